/* net/dns/dns.h -- the cluster's DNS: names of Services and Pods from watches, everything else
 * forwarded to the name servers of the host.
 *
 *   watches -> zone (only what names need, never whole objects) -> answers over UDP and TCP
 *   other names -> cache -> servers in turn, each with a timeout -> SERVFAIL when none answers
 *
 * One loop, no thread: a change and a question never meet, so the zone needs no snapshot. Until
 * the first complete list, questions wait in the sockets for up to DNS_PATIENCE_MS; after that the
 * answer about cluster names is SERVFAIL, never that they do not exist.
 *
 * Records, as the Kubernetes DNS specification 1.1.0 wants them: A for cluster IPs and headless
 * endpoints (AAAA: empty), SRV for named ports, PTR, CNAME for ExternalName, A for pods
 * (10-42-0-5.ns.pod).
 *
 * The dns role has no privilege: whoever starts it binds the sockets (dns_bind) and passes them.
 */
#ifndef NET_DNS_DNS_H
#define NET_DNS_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/cleanup.h"
#include "core/base/err.h"

#define DNS_CLUSTER_DOMAIN "cluster.local"
#define DNS_PATIENCE_MS 3000             /* less than resolvers' 5 s */
#define DNS_TTL_S 5                      /* of cluster names, and of their absence */
#define DNS_UPSTREAMS_MAX 8
#define DNS_UPSTREAM_TIMEOUT_MS 2000     /* per try */
#define DNS_UPSTREAM_TOTAL_MS 4500       /* per question, less than resolvers' 5 s */
#define DNS_FORWARDS_MAX 1024            /* questions in flight to upstreams; more get SERVFAIL */
#define DNS_CACHE_ENTRIES_MAX 4096
#define DNS_CACHE_BYTES_MAX (4u << 20)
#define DNS_CACHE_TTL_MAX_S 30
#define DNS_TCP_CONNS_MAX 256
#define DNS_TCP_IDLE_MS 10000
#define DNS_UDP_BYTES_MAX 1232           /* largest UDP answer, whatever EDNS offers */

struct dns_server;
struct loop;
struct client;

struct dns_server_opts {
    const char *listen_ip;            /* the cluster DNS address; also what upstreams must not be */
    uint16_t port;                       /* 0: 53 */
    int udp_fd, tcp_fd;                  /* from dns_bind, taken; -1: bound here */
    const char *domain;                  /* NULL: cluster.local */
    const char *resolv_conf;             /* NULL: /etc/resolv.conf; read again when it changes */
    /* "10.0.0.2" or "10.0.0.2:5353", NULL-terminated: instead of resolv_conf */
    const char *const *upstreams;
    /* 10-42-0-5.ns.pod only while there is such a pod: needs all pods of the cluster. Else the
     * answer is read off the name, as CoreDNS's `pods insecure` does. */
    bool pod_names;
};

/* Two bound, listening, non-blocking sockets. The address need not be there yet (IP_FREEBIND). */
int dns_bind(const char *ip, uint16_t port, int *out_udp, int *out_tcp, struct err *err);

/* c NULL: only forwards (tests). */
int dns_server_new(struct dns_server **out, struct loop *l, struct client *c,
                   const struct dns_server_opts *opts,
                   struct err *err);
struct dns_server *dns_server_free(struct dns_server *s);
CLEANUP_DEFINE(struct dns_server, dns_server_free)
bool dns_server_ready(const struct dns_server *s);      /* the zone holds the first complete list */

struct dns_server_stats {
    uint64_t asked, cluster, cached, forwarded, failed, refused, tcp;
    uint32_t names;
};
void dns_server_stats(const struct dns_server *s, struct dns_server_stats *out);

#endif
