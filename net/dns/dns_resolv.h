/* net/dns/dns_resolv.h -- inside the room: which name servers the host uses.
 *
 * The file is looked at again when a question needs it, at most once a second: without questions
 * nothing wakes up.
 */
#ifndef NET_DNS_DNS_RESOLV_H
#define NET_DNS_DNS_RESOLV_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "core/base/err.h"
#include "net/dns/dns.h"

#define DNS_RESOLV_CHECK_MS 1000
#define DNS_RESOLV_BYTES_MAX (64u << 10)

struct dns_upstream { struct sockaddr_storage sa; socklen_t len; };
struct dns_upstreams { struct dns_upstream v[DNS_UPSTREAMS_MAX]; unsigned n; };

/* "10.0.0.2", "10.0.0.2:5353", "fd00::1", "[fd00::1]:5353", "fe80::1%eth0". */
int dns_resolv_address(struct dns_upstream *out, const char *text, struct err *err);
/* The nameserver lines of a resolv.conf; what cannot be read is left out. */
void dns_resolv_parse(struct dns_upstreams *out, const char *text);

struct dns_resolv {
    char *path;
    int64_t checked_ms;                  /* 0: never */
    struct stat seen;                    /* zero: there was no file */
};
void dns_resolv_init(struct dns_resolv *r, const char *path);
void dns_resolv_deinit(struct dns_resolv *r);
/* True when the file is another one than before: *out is what it says now. */
bool dns_resolv_changed(struct dns_resolv *r, int64_t now_ms, struct dns_upstreams *out);

#endif
