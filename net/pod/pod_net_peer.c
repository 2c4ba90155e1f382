/* pod_net_peer.c -- routes to other nodes' pods over a network shared with them. */
#include <string.h>

#include "core/base/mem.h"
#include "net/pod/pod_net_int.h"

static bool same_route(const struct netlink_route *a, const struct netlink_route *b)
{
    return a->dst.addr == b->dst.addr && a->dst.prefix == b->dst.prefix && a->via == b->via;
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

int pod_net_set_peers(const struct pod_net_peer *peers, unsigned n, int64_t deadline_ms,
                      struct err *err)
{
    _cleanup_(netlink_freep) struct netlink *nl = NULL;
    _cleanup_(mem_freep) struct netlink_route *want = NULL;
    _cleanup_(mem_freep) struct netlink_route *have = NULL;
    struct pod_net_clock clock;
    struct ip4 via;
    size_t n_have = 0;

    if (n > POD_NET_PEERS_MAX)
        return err_set(err, ERR_QUOTA, "%u nodes, limit %d", n, POD_NET_PEERS_MAX);
    want = mem_alloc_array(n + 1, sizeof(*want));
    for (unsigned i = 0; i < n; i++) {
        want[i].protocol = NETLINK_PROTO_INRO;
        if (ip4_parse_net(&want[i].dst, peers[i].pod_cidr, err) < 0 ||
            ip4_parse(&via, peers[i].node_ip, err) < 0)
            return err_wrap(err, "route to another node's pods");
        want[i].via = via.addr;
    }
    pod_net_clock_start(&clock, deadline_ms);
    if (pod_net_open(&nl, NETLINK_BUS_ROUTE, &clock, err) < 0 ||
        netlink_route_list(nl, NETLINK_PROTO_INRO, &have, &n_have, err) < 0 ||
        drop_others(nl, want, n, have, n_have, err) < 0 ||
        add_missing(nl, want, n, have, n_have, err) < 0)
        return err_wrap(err, "routes to other nodes' pods");
    return 0;
}
