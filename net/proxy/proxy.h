/* net/proxy/proxy.h -- Services on this node: cluster IPs, node ports, external and load balancer
 * IPs become nftables elements that send each new connection to one of the endpoints.
 *
 *   informers -> svcmap (pure) -> [quiet_ms / max_ms] -> job: render the difference, one atomic
 *   batch
 *                                                        failed: everything is rendered anew
 *
 * Layout of table ip inro: flat maps, keyed by (address . protocol . port), and one chain per
 * number of endpoints, never per service: see proxy_render.c. A change costs what changed, not what
 * there is.
 *
 * Lives on the loop of its client. Only IPv4.
 */
#ifndef NET_PROXY_PROXY_H
#define NET_PROXY_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/cleanup.h"
#include "core/base/err.h"

#define PROXY_TABLE "inro"
#define PROXY_QUIET_MS 10                /* a change waits this long for more changes ... */
#define PROXY_MAX_MS 100                 /* ... but never longer than this */
#define PROXY_RETRY_MAX_MS 30000
#define PROXY_ENDPOINTS_MAX 1000 /* of one port of one service; more are left out */

struct proxy;
struct loop;
struct client;
struct job_pool;

struct proxy_opts {
    const char *node_name;               /* Local traffic policies: which endpoints are ours */
    const char *cluster_cidr;    /* sources that need no masquerading; NULL: POD_NET_CLUSTER_CIDR */
    const char *service_cidr;  /* NULL: 10.43.0.0/16; unknown addresses in it are refused at once */
    const char *dns_ip;           /* answered by the dns role itself: no rules for it; NULL: none */
    int64_t quiet_ms, max_ms;            /* 0: the defaults */
};

int proxy_new(struct proxy **out, struct loop *l, struct client *c, struct job_pool *pool,
              const struct proxy_opts *opts, struct err *err);
/* The rules stay in the kernel: connections live on over restarts and upgrades. Free it before the
 * pool; a running job ends by itself. */
struct proxy *proxy_free(struct proxy *p);
CLEANUP_DEFINE(struct proxy, proxy_free)

/* Every rule for what the informers held at first sync is in the kernel. */
bool proxy_ready(const struct proxy *p);

struct proxy_stats {
    uint64_t applied, applied_full, failed;
    uint32_t services, elements;
    int64_t last_apply_us, last_full_us;
};
void proxy_stats(const struct proxy *p, struct proxy_stats *out);

/* Removes the table. Blocking, for cmd and jobs. */
int proxy_cleanup(struct err *err);

#endif
