/* pod_net_node.c -- the node's own part of the pod network: bridge, forwarding, routes, DNS link.
 * */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "net/pod/pod_net_int.h"

#define MTU_DEFAULT 1500
#define MTU_MIN 576                      /* that every host takes (RFC 791) */

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void pod_net_clock_start(struct pod_net_clock *c, int64_t deadline_ms)
{
    c->until_ms = now_ms() + deadline_ms;
}

int64_t pod_net_clock_left(const struct pod_net_clock *c)
{
    int64_t left = c->until_ms - now_ms();

    return left > 0 ? left : 0;
}

int pod_net_open(struct netlink **out, enum netlink_bus bus, const struct pod_net_clock *c,
                 struct err *err)
{
    if (netlink_open(out, bus, err) < 0)
        return -1;
    netlink_set_timeout(*out, pod_net_clock_left(c));
    return 0;
}

/* --- links of our own */

/* The link by name, made where it is missing; fallback is the type for kernels without `type`. */
static int ensure_link(struct netlink *nl, const char *name, const char *const types[2],
                       const uint8_t mac[6], struct netlink_link *out, struct err *err)
{
    struct err own = ERR_INIT;

    if (netlink_link_get(nl, name, out, &own) == 0) {
        if (!strcmp(out->type, types[0]) || (types[1] && !strcmp(out->type, types[1])))
            return 0;
        return err_set(err, ERR_EXISTS, "there is a link %s already, and it is no %s", name,
                       types[0]);
    }
    err_clear(&own);
    if (netlink_link_add(nl, name, types[0], mac, &own) < 0 && own.code == ERR_UNSUPPORTED &&
        types[1]) {
        err_clear(&own);
        netlink_link_add(nl, name, types[1], mac, &own);
    }
    if (own.code != ERR_NONE && own.code != ERR_EXISTS) {
        if (err)
            *err = own;
        return -1;
    }
    return netlink_link_get(nl, name, out, err);
}

int pod_net_ensure_addr(struct netlink *nl, int index, struct ip4 addr, struct err *err)
{
    _cleanup_(mem_freep) struct ip4 *have = NULL;
    size_t n = 0;

    if (netlink_addr_list(nl, index, &have, &n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if ((have[i].addr != addr.addr || have[i].prefix != addr.prefix) &&
            netlink_addr_del(nl, index, have[i], err) < 0)
            return -1;
    }
    return netlink_addr_add(nl, index, addr, false, err);
}

/* Of the links that lead outside: the one with the node's address, else those with a default
 * route, of which the smallest counts. */
static uint32_t mtu_of(const struct netlink_link *links, size_t n, const struct netlink_route *to,
                       uint32_t node_ip)
{
    bool ours = node_ip && to->src == node_ip;

    for (size_t k = 0; (ours || to->dst.prefix == 0) && k < n; k++) {
        if (links[k].index == to->index)
            return links[k].mtu;
    }
    return 0;
}

static int uplink_mtu(struct netlink *nl, uint32_t node_ip, uint32_t *out, struct err *err)
{
    _cleanup_(mem_freep) struct netlink_route *routes = NULL;
    _cleanup_(mem_freep) struct netlink_link *links = NULL;
    size_t n_routes = 0, n_links = 0;
    uint32_t least = 0;

    if (netlink_route_list(nl, 0, &routes, &n_routes, err) < 0 ||
        netlink_link_list(nl, &links, &n_links, err) < 0)
        return -1;
    for (size_t i = 0; i < n_routes; i++) {
        uint32_t mtu = mtu_of(links, n_links, &routes[i], node_ip);

        if (mtu && node_ip && routes[i].src == node_ip) {
            *out = mtu;
            return 0;
        }
        if (mtu && (least == 0 || mtu < least))
            least = mtu;
    }
    *out = least ? least : MTU_DEFAULT;
    return 0;
}

static int pods_mtu(struct netlink *nl, const struct pod_net_node *node, uint32_t *out,
                    struct err *err)
{
    struct ip4 ip = { 0 };
    uint32_t mtu = node->mtu;

    if (node->node_ip[0] && ip4_parse(&ip, node->node_ip, err) < 0)
        return err_wrap(err, "node address");
    if (mtu == 0 && uplink_mtu(nl, ip.addr, &mtu, err) < 0)
        return -1;
    if (node->backend == POD_NET_VXLAN_OVERLAY && mtu > MTU_MIN + POD_NET_VXLAN_BYTES)
        mtu -= POD_NET_VXLAN_BYTES;
    *out = mtu;
    return 0;
}

static int bridge_up(struct netlink *nl, const struct pod_net_node *node,
                     struct netlink_link *bridge,
                     struct err *err)
{
    static const char *const types[2] = { "bridge", NULL };
    struct netlink_link_change change = NETLINK_LINK_CHANGE_INIT;
    struct ip4 net, gateway;
    uint32_t mtu = 0;
    uint8_t mac[6] = { 0x0a, 0x58 };

    if (ip4_parse_net(&net, node->pod_cidr, err) < 0)
        return err_wrap(err, "pod CIDR");
    gateway = (struct ip4){ net.addr + 1, net.prefix };
    for (int i = 0; i < 4; i++)
        mac[2 + i] = (uint8_t)(gateway.addr >> (24 - 8 * i));
    /* An address of its own keeps the bridge from taking over those of its ports, one after
     * another. */
    if (ensure_link(nl, POD_NET_BRIDGE, types, mac, bridge, err) < 0 ||
        pods_mtu(nl, node, &mtu, err) < 0)
        return -1;
    change.up = 1;
    change.mtu = mtu;
    if (netlink_link_set(nl, bridge->index, &change, err) < 0 ||
        pod_net_ensure_addr(nl, bridge->index, gateway, err) < 0)
        return err_wrap(err, "bridge %s", POD_NET_BRIDGE);
    /* 127.0.0.1 of the host reaches node ports and host ports; pods never learn short cuts. */
    if (netlink_link_conf(nl, bridge->index, NETLINK_CONF_ROUTE_LOCALNET, 1, err) < 0 ||
        netlink_link_conf(nl, bridge->index, NETLINK_CONF_SEND_REDIRECTS, 0, err) < 0)
        return err_wrap(err, "bridge %s", POD_NET_BRIDGE);
    return 0;
}

static int dns_link_up(struct netlink *nl, const struct pod_net_node *node, struct err *err)
{
    static const char *const types[2] = { "dummy", "bridge" };
    struct netlink_link_change change = NETLINK_LINK_CHANGE_INIT;
    struct netlink_link link;
    struct ip4 addr;

    if (!node->dns_ip[0])
        return 0;
    change.up = 1;
    if (ip4_parse(&addr, node->dns_ip, err) < 0 ||
        ensure_link(nl, POD_NET_DNS_LINK, types, NULL, &link, err) < 0 ||
        netlink_link_set(nl, link.index, &change, err) < 0 ||
        pod_net_ensure_addr(nl, link.index, addr, err) < 0)
        return err_wrap(err, "link %s", POD_NET_DNS_LINK);
    return 0;
}

/* Services have no interface: without this route the host itself could not even begin to connect
 * where it has no default route. The proxy rewrites the destination before the packet leaves. */
static int service_route(struct netlink *nl, const struct pod_net_node *node, int bridge,
                         struct err *err)
{
    struct netlink_route route = { .index = bridge, .protocol = NETLINK_PROTO_INRO };
    struct ip4 pods;

    if (!node->service_cidr[0])
        return 0;
    if (ip4_parse_net(&route.dst, node->service_cidr, err) < 0 ||
        ip4_parse_net(&pods, node->pod_cidr, err) < 0)
        return -1;
    route.src = pods.addr + 1;
    return netlink_route_add(nl, &route, err);
}

/* --- forwarding */

static bool forwarding_is_on(void)
{
    _cleanup_buf_ struct buf text = BUF_INIT;

    return fd_read_file(&text, AT_FDCWD, "/proc/sys/net/ipv4/ip_forward", 16, NULL) == 0 &&
           text.len > 0 && text.p[0] == '1';
}

/* Where /proc/sys cannot be written each link still can be told to forward. */
static int forward_by_link(struct netlink *nl, struct err *err)
{
    _cleanup_(mem_freep) struct netlink_link *links = NULL;
    size_t n = 0;

    if (netlink_link_list(nl, &links, &n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (netlink_link_conf(nl, links[i].index, NETLINK_CONF_FORWARDING, 1, err) < 0)
            return -1;
    }
    return 0;
}

static int forwarding_up(struct netlink *nl, struct err *err)
{
    struct err own = ERR_INIT;

    /* Pods' traffic leaves by the link it came from. A redirect for it would also use up what the
     * kernel allows in ICMP errors, which clients of Services without endpoints wait for. The rules
     * drop redirects where this cannot be written. */
    (void)fd_write_kernel(AT_FDCWD, "/proc/sys/net/ipv4/conf/all/send_redirects", "0", NULL);
    if (forwarding_is_on() ||
        fd_write_kernel(AT_FDCWD, "/proc/sys/net/ipv4/ip_forward", "1", &own) == 0)
        return 0;
    if (forward_by_link(nl, err) < 0)
        return err_wrap(err, "turn on forwarding (%s)", own.msg);
    log_warn("forwarding is turned on for the present links only", "why=\"%s\"", own.msg);
    return 0;
}

/* A node in a namespace of its own may find lo down, and nothing local works then. */
static int lo_up(struct netlink *nl, struct err *err)
{
    struct netlink_link_change up = NETLINK_LINK_CHANGE_INIT;
    struct netlink_link lo;

    up.up = 1;
    return netlink_link_get(nl, "lo", &lo, err) < 0 ? -1
         : lo.up ? 0 : netlink_link_set(nl, lo.index, &up, err);
}

/* --- the door */

int pod_net_up(const struct pod_net_node *node, int64_t deadline_ms, struct err *err)
{
    _cleanup_(netlink_freep) struct netlink *nl = NULL;
    struct netlink_link bridge;
    struct pod_net_clock clock;

    pod_net_clock_start(&clock, deadline_ms);
    if (pod_net_open(&nl, NETLINK_BUS_ROUTE, &clock, err) < 0 || lo_up(nl, err) < 0 ||
        bridge_up(nl, node, &bridge, err) < 0 ||
        service_route(nl, node, bridge.index, err) < 0 || dns_link_up(nl, node, err) < 0 ||
        forwarding_up(nl, err) < 0 || pod_net_rules_up(node, &clock, err) < 0)
        return err_wrap(err, "pod network");
    return 0;
}

int pod_net_link_gone(struct netlink *nl, const char *name, struct err *err)
{
    struct err own = ERR_INIT;

    if (netlink_link_del(nl, name, &own) == 0 || own.code == ERR_NOT_FOUND)
        return 0;
    if (err)
        *err = own;
    return -1;
}

int pod_net_down(int64_t deadline_ms, struct err *err)
{
    _cleanup_(netlink_freep) struct netlink *nl = NULL;
    struct pod_net_clock clock;

    pod_net_clock_start(&clock, deadline_ms);
    if (pod_net_sweep(NULL, 0, deadline_ms, err) < 0 ||
        pod_net_set_peers(NULL, NULL, 0, deadline_ms, err) < 0 ||
        pod_net_open(&nl, NETLINK_BUS_ROUTE, &clock, err) < 0 ||
        pod_net_link_gone(nl, POD_NET_BRIDGE, err) < 0 ||
        pod_net_link_gone(nl, POD_NET_DNS_LINK, err) < 0 ||
        pod_net_rules_down(&clock, err) < 0)
        return err_wrap(err, "take the pod network down");
    return 0;
}
