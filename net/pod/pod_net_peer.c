/* pod_net_peer.c -- routes to other nodes' pods: into the overlay, or over a network shared with
 * the other node. */
#include <string.h>

#include "core/base/mem.h"
#include "net/pod/pod_net_int.h"

/* index 0: the kernel chose the link, by `via` */
static bool same_route(const struct netlink_route *have, const struct netlink_route *want)
{
    return have->dst.addr == want->dst.addr && have->dst.prefix == want->dst.prefix &&
           have->via == want->via && (!want->index || have->index == want->index);
}

/* Our routes with a gateway are those to peers; the one to the Services has none. */
static int drop_others(struct netlink *nl, const struct netlink_route *want, unsigned n,
                       const struct netlink_route *have, size_t n_have, struct err *err)
{
    for (size_t i = 0; i < n_have; i++) {
        bool wanted = have[i].via == 0;

        for (unsigned k = 0; !wanted && k < n; k++)
            wanted = same_route(&have[i], &want[k]);
        if (!wanted && netlink_route_del(nl, &have[i], err) < 0)
            return -1;
    }
    return 0;
}

static int add_missing(struct netlink *nl, const struct netlink_route *want, unsigned n,
                       const struct netlink_route *have, size_t n_have, struct err *err)
{
    int r = 0;

    for (unsigned k = 0; k < n; k++) {
        bool there = false;

        for (size_t i = 0; !there && i < n_have; i++)
            there = same_route(&have[i], &want[k]);
        /* One peer out of reach must not keep the others from getting their routes. */
        if (!there && netlink_route_add(nl, &want[k], r < 0 ? NULL : err) < 0)
            r = -1;
    }
    return r;
}

static int parse(struct netlink_route *out, struct pod_net_end *end, const struct pod_net_peer *p,
                 struct err *err)
{
    struct ip4 node;

    *out = (struct netlink_route){ .protocol = NETLINK_PROTO_INRO };
    if (ip4_parse_net(&out->dst, p->pod_cidr, err) < 0 || ip4_parse(&node, p->node_ip, err) < 0)
        return err_wrap(err, "route to another node's pods");
    out->via = node.addr;
    *end = (struct pod_net_end){ out->dst.addr, node.addr };
    return 0;
}

struct ways { struct netlink_route *routes; struct pod_net_end *ends; unsigned n; };

static void ways_deinit(struct ways *w)
{
    mem_free(w->routes);
    mem_free(w->ends);
}

/* The routes lead to the other ends of the overlay. */
static int over_vxlan(struct netlink *nl, const struct pod_net_node *node, struct ways *w,
                      struct err *err)
{
    struct netlink_link link;

    if (pod_net_vxlan_up(nl, node, &link, err) < 0 ||
        pod_net_vxlan_set(nl, link.index, w->ends, w->n, err) < 0)
        return -1;
    for (unsigned i = 0; i < w->n; i++) {
        w->routes[i].via = w->ends[i].end;
        w->routes[i].index = link.index;
        w->routes[i].onlink = true;
    }
    return 0;
}

static int set_routes(struct netlink *nl, const struct netlink_route *want, unsigned n,
                      struct err *err)
{
    _cleanup_(mem_freep) struct netlink_route *have = NULL;
    size_t n_have = 0;

    return netlink_route_list(nl, NETLINK_PROTO_INRO, &have, &n_have, err) < 0 ||
           drop_others(nl, want, n, have, n_have, err) < 0 ||
           add_missing(nl, want, n, have, n_have, err) < 0
               ? -1
               : 0;
}

int pod_net_set_peers(const struct pod_net_node *node, const struct pod_net_peer *peers, unsigned n,
                      int64_t deadline_ms, struct err *err)
{
    _cleanup_(netlink_freep) struct netlink *nl = NULL;
    _cleanup_(ways_deinit) struct ways w = { 0 };
    struct pod_net_clock clock;
    bool vxlan;

    if (n > POD_NET_PEERS_MAX)
        return err_set(err, ERR_QUOTA, "%u nodes, limit %d", n, POD_NET_PEERS_MAX);
    if (!node || node->backend == POD_NET_NONE)
        n = 0;
    vxlan = n && node->backend == POD_NET_VXLAN_OVERLAY;
    w = (struct ways){ mem_alloc_array(n + 1, sizeof(*w.routes)),
                       mem_alloc_array(n + 1, sizeof(*w.ends)), n };
    for (unsigned i = 0; i < n; i++) {
        if (parse(&w.routes[i], &w.ends[i], &peers[i], err) < 0)
            return -1;
    }
    pod_net_clock_start(&clock, deadline_ms);
    if (pod_net_open(&nl, NETLINK_BUS_ROUTE, &clock, err) < 0 ||
        (!vxlan && pod_net_link_gone(nl, POD_NET_VXLAN, err) < 0) ||
        (vxlan && over_vxlan(nl, node, &w, err) < 0) ||
        set_routes(nl, w.routes, n, err) < 0)
        return err_wrap(err, "ways to other nodes' pods");
    return 0;
}
