/* core/http/resolve.h -- names to addresses without libc: numeric ones, localhost, /etc/hosts, then
 * the name servers of /etc/resolv.conf over UDP (A and AAAA, search list, ndots). Asynchronous on
 * one loop.
 */
#ifndef CORE_HTTP_RESOLVE_H
#define CORE_HTTP_RESOLVE_H

#include <netinet/in.h>

#include "core/loop/loop.h"

#define RESOLVE_ADDRESSES_MAX 16
#define RESOLVE_SERVERS_MAX 3
#define RESOLVE_TRY_MS 2000                  /* one server, one question */
#define RESOLVE_TRIES 2                      /* rounds over all servers */
#define RESOLVE_FILE_MAX (1u << 20)

struct resolve_address { struct sockaddr_storage sa; socklen_t len; };   /* port 0 */

struct resolve;

struct resolve_opts {
    const char *host;
    const char *hosts_file, *conf_file;      /* NULL: /etc/hosts, /etc/resolv.conf */
    /* Once, from the loop; why NULL: n > 0 addresses, IPv4 first. The resolve is freed after. */
    void (*on_done)(const struct resolve_address *a, unsigned n, const struct err *why, void *ctx);
    void *ctx;
};

int resolve_new(struct resolve **out, struct loop *l, const struct resolve_opts *opts,
                struct err *err);
/* cancels; no callback after */
struct resolve *resolve_free(struct resolve *r);
CLEANUP_DEFINE(struct resolve, resolve_free)

/* A numeric address; false when it is none. */
bool resolve_numeric(struct resolve_address *out, const char *host);
void resolve_set_port(struct resolve_address *a, uint16_t port);
/* IPv4-mapped as IPv4 */
void resolve_text(const struct sockaddr *sa, char *out, size_t bytes, uint16_t *port);

#endif
