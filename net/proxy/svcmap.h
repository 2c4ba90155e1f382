/* svcmap.h -- inside the room: one Service and its EndpointSlices -> where its connections go.
 * Pure.
 *
 * Endpoints keep their places from one result to the next (a place that became free is taken by a
 * newcomer or, when there are fewer now, by one from the end), so that a change of one endpoint is
 * a change of one or two map elements.
 */
#ifndef NET_PROXY_SVCMAP_H
#define NET_PROXY_SVCMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/cleanup.h"

struct svcmap_endpoint { uint32_t ip; bool ready, serving, terminating, local; };
struct svcmap_slice_port { const char *name; uint8_t proto; uint16_t port; };
struct svcmap_slice {
    const struct svcmap_slice_port *ports;
    unsigned n_ports;
    const struct svcmap_endpoint *endpoints;
    unsigned n_endpoints;
};
struct svcmap_in_port { const char *name; uint8_t proto; uint16_t port, node_port; };
struct svcmap_in {
    const uint32_t *cluster_ips, *external_ips;      /* external: externalIPs, load balancer */
    unsigned n_cluster_ips, n_external_ips;
    bool external_local, internal_local;             /* traffic policies */
    uint32_t affinity_s;                             /* ClientIP; 0: none */
    const struct svcmap_in_port *ports;
    unsigned n_ports;
    const struct svcmap_slice *slices;
    unsigned n_slices;
};

struct svcmap_ep { uint32_t ip; uint16_t port; bool local; };
struct svcmap_eps { struct svcmap_ep *v; unsigned n; };
struct svcmap_port {
    char *name;
    uint8_t proto;
    uint16_t port, node_port;
    struct svcmap_eps all, local;                    /* local: those of this node */
};
struct svcmap {
    uint32_t *cluster_ips, *external_ips;
    unsigned n_cluster_ips, n_external_ips;
    bool external_local, internal_local;
    uint32_t affinity_s;
    struct svcmap_port *ports;
    unsigned n_ports;
};

/* `before` is the former result for this Service, or NULL. */
struct svcmap *svcmap_new(const struct svcmap_in *in, const struct svcmap *before);
struct svcmap *svcmap_free(struct svcmap *m);
CLEANUP_DEFINE(struct svcmap, svcmap_free)

#endif
