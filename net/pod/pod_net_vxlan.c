/* pod_net_vxlan.c -- the overlay, as flannel makes it: one vxlan link that learns nothing; for each
 * other node a fixed neighbour and a fixed forwarding entry.
 *
 *   10.42.1.0/24 via 10.42.1.0 dev inro.1 onlink      pod_net_peer.c
 *   10.42.1.0 has MAC 0a:59:NODE-IP                   neighbour
 *   0a:59:NODE-IP is behind NODE-IP                   forwarding entry
 */
#include <string.h>

#include "core/base/mem.h"
#include "core/base/str.h"
#include "net/pod/pod_net_int.h"

static void mac_of(uint8_t out[6], uint32_t node)
{
    out[0] = 0x0a;
    out[1] = 0x59;                       /* pods and bridges have 0x58 */
    for (int i = 0; i < 4; i++)
        out[2 + i] = (uint8_t)(node >> (24 - 8 * i));
}

static bool is_ours(const struct netlink_link *l, const struct netlink_vxlan *want,
                    const uint8_t mac[6])
{
    return l->vxlan.id == want->id && l->vxlan.port == want->port &&
           l->vxlan.local == want->local && memcmp(l->mac, mac, sizeof(l->mac)) == 0;
}

/* There afterwards, as wanted. */
static int ensure(struct netlink *nl, uint32_t node, struct netlink_link *out, struct err *err)
{
    struct netlink_vxlan want = { POD_NET_VXLAN_ID, POD_NET_VXLAN_PORT, node };
    struct err own = ERR_INIT;
    uint8_t mac[6];

    mac_of(mac, node);
    if (netlink_link_get(nl, POD_NET_VXLAN, out, &own) == 0) {
        if (!str_eq(out->type, "vxlan"))
            return err_set(err, ERR_EXISTS, "there is a link of this name already, and it is no "
                           "vxlan");
        if (is_ours(out, &want, mac))
            return 0;
        if (netlink_link_del(nl, POD_NET_VXLAN, err) < 0)
            return -1;
    }
    err_clear(&own);
    if (netlink_link_add_vxlan(nl, POD_NET_VXLAN, mac, &want, &own) < 0) {
        if (own.code == ERR_UNSUPPORTED)
            return err_set(err, ERR_UNSUPPORTED, "this kernel has no vxlan (module vxlan); see "
                           "--flannel-backend");
        if (err)
            *err = own;
        return -1;
    }
    return netlink_link_get(nl, POD_NET_VXLAN, out, err);
}

static int set_up(struct netlink *nl, const struct pod_net_node *node, struct netlink_link *out,
                  struct err *err)
{
    struct netlink_link_change change = NETLINK_LINK_CHANGE_INIT;
    struct netlink_link bridge;
    struct ip4 pods, ip;

    if (ip4_parse(&ip, node->node_ip, err) < 0 || ip4_parse_net(&pods, node->pod_cidr, err) < 0 ||
        netlink_link_get(nl, POD_NET_BRIDGE, &bridge, err) < 0 ||
        ensure(nl, ip.addr, out, err) < 0)
        return -1;
    if (!out->up || out->mtu != bridge.mtu) {
        change.up = 1;
        change.mtu = bridge.mtu;
        if (netlink_link_set(nl, out->index, &change, err) < 0)
            return -1;
    }
    /* 127.0.0.1 of the host reaches pods of other nodes through node ports. */
    return netlink_link_conf(nl, out->index, NETLINK_CONF_ROUTE_LOCALNET, 1, err) < 0 ||
           netlink_link_conf(nl, out->index, NETLINK_CONF_SEND_REDIRECTS, 0, err) < 0 ||
           netlink_link_conf(nl, out->index, NETLINK_CONF_FORWARDING, 1, err) < 0
               ? -1
               : pod_net_ensure_addr(nl, out->index, (struct ip4){ pods.addr, 32 }, err);
}

int pod_net_vxlan_up(struct netlink *nl, const struct pod_net_node *node, struct netlink_link *out,
                     struct err *err)
{
    return set_up(nl, node, out, err) < 0 ? err_wrap(err, "link %s", POD_NET_VXLAN) : 0;
}

/* --- entries */

/* Neighbours are told apart by address, forwarding entries by MAC, which follows from the node. */
static bool same(const struct netlink_neigh *a, const struct netlink_neigh *b)
{
    return a->addr == b->addr && memcmp(a->mac, b->mac, sizeof(a->mac)) == 0;
}

static bool has(const struct netlink_neigh *list, size_t n, const struct netlink_neigh *what)
{
    for (size_t i = 0; i < n; i++) {
        if (same(&list[i], what))
            return true;
    }
    return false;
}

/* With thousands of nodes the lists are long, but they are compared in a job, on changes of nodes
 * only. */
static int set_list(struct netlink *nl, const struct netlink_neigh *like,
                    const struct netlink_neigh *want, size_t n, struct err *err)
{
    _cleanup_(mem_freep) struct netlink_neigh *have = NULL;
    size_t n_have = 0;

    if (netlink_neigh_list(nl, like, &have, &n_have, err) < 0)
        return -1;
    for (size_t i = 0; i < n_have; i++) {
        if (!has(want, n, &have[i]) && netlink_neigh_del(nl, &have[i], err) < 0)
            return -1;
    }
    for (size_t i = 0; i < n; i++) {
        if (!has(have, n_have, &want[i]) && netlink_neigh_add(nl, &want[i], err) < 0)
            return -1;
    }
    return 0;
}

int pod_net_vxlan_set(struct netlink *nl, int index, const struct pod_net_end *ends, unsigned n,
                      struct err *err)
{
    _cleanup_(mem_freep) struct netlink_neigh *want = mem_alloc_array(n + 1, sizeof(*want));
    struct netlink_neigh like = { .index = index, .fdb = true };

    for (unsigned i = 0; i < n; i++) {
        want[i] = like;
        want[i].addr = ends[i].node;
        mac_of(want[i].mac, ends[i].node);
    }
    if (set_list(nl, &like, want, n, err) < 0)
        return -1;
    like.fdb = false;
    for (unsigned i = 0; i < n; i++) {
        want[i].fdb = false;
        want[i].addr = ends[i].end;
    }
    return set_list(nl, &like, want, n, err);
}
