/* net/dns/dns_forward.h -- inside the room: questions to the name servers of the host.
 *
 *   ask -> (in flight already: wait with the others)
 *       -> UDP to one server, own socket, random id -- cut: the same over TCP
 *          no answer in time, or a failure: the next server, until the total time is over
 *
 * A server that stays silent is left out for a while; with none left, and with none at all, the
 * answer is a failure at once. A server that leads back to ourselves is found by a question with a
 * random name, sent once to each, and never asked again.
 */
#ifndef NET_DNS_DNS_FORWARD_H
#define NET_DNS_DNS_FORWARD_H

#include "core/base/list.h"
#include "core/loop/loop.h"
#include "net/dns/dns_resolv.h"
#include "net/dns/dns_wire.h"

#define DNS_FORWARD_ASKS_MAX (4 * DNS_FORWARDS_MAX)      /* askers that wait, in all */
#define DNS_FORWARD_SILENT_MAX 3         /* times in a row; then it is left out ... */
#define DNS_FORWARD_DOWN_MS 5000         /* ... for so long, then one question tries again */

struct dns_forward;

/* One who waits for an answer; embed it. */
struct dns_ask {
    struct list link;
    struct dns_forward *forward;
    /* Once, from the loop. a NULL: no server gave an answer. Borrowed. */
    void (*done)(struct dns_ask *ask, const struct dns_answer *a);
};

/* port: where we listen ourselves, with listen_ip. */
int dns_forward_new(struct dns_forward **out, struct loop *l, const struct dns_server_opts *opts,
                    struct err *err);
struct dns_forward *dns_forward_free(struct dns_forward *f);     /* no callback after */
CLEANUP_DEFINE(struct dns_forward, dns_forward_free)

/* What is known already, or NULL. Borrowed until the next call. */
const struct dns_answer *dns_forward_cached(struct dns_forward *f, const struct dns_query *q,
                                            uint32_t *out_age_s);
/* 0: done() follows; -1: there is nobody to ask, or too much is asked already. */
int dns_forward_ask(struct dns_forward *f, struct dns_ask *ask, const struct dns_query *q,
                    void (*done)(struct dns_ask *, const struct dns_answer *));
void dns_forward_cancel(struct dns_ask *ask);            /* done() does not follow */
/* Did we ask this ourselves, to find out whether a server leads back here? Then it does. */
bool dns_forward_is_loop(struct dns_forward *f, const struct dns_query *q);
unsigned dns_forward_flights(const struct dns_forward *f);

#endif
