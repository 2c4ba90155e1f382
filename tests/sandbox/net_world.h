/* net_world.h -- a node with three pods, and a client outside: 192.168.7.2 beside the node's
 * 192.168.7.1. Each pod answers on port 8080 over TCP and UDP with its letter and the peer. */
#ifndef TESTS_SANDBOX_NET_WORLD_H
#define TESTS_SANDBOX_NET_WORLD_H

#include "core/base/err.h"
#include "core/base/mem.h"
#include "net/netlink/netlink.h"
#include "net/pod/pod_net.h"
#include "tests/sandbox/net_box.h"

#define NET_WORLD_MS 10000
#define NET_WORLD_PODS 3
#define NET_WORLD_TRIES 40

struct net_world {
    int host, out, pods[NET_WORLD_PODS];
    uint32_t ips[NET_WORLD_PODS];
};

/* Before that, packets are lost. */
static inline void net_world_until_running(struct netlink *nl, const char *name)
{
    struct err err = ERR_INIT;
    struct netlink_link link;

    do {
        EXPECT_OK(netlink_link_get(nl, name, &link, &err), &err);
    } while (!link.running && usleep(500) == 0);
}

static inline void net_world_outside(struct net_world *w)
{
    struct err err = ERR_INIT;
    struct netlink *nl = NULL, *there = NULL;
    struct netlink_link link;
    struct netlink_link_change up = NETLINK_LINK_CHANGE_INIT;
    struct netlink_veth veth = { .name = "up0", .peer = "up1", .peer_netns = w->out };

    up.up = 1;
    EXPECT_OK(netlink_open(&nl, NETLINK_BUS_ROUTE, &err), &err);
    EXPECT_OK(netlink_link_add_veth(nl, &veth, &err), &err);
    EXPECT_OK(netlink_link_get(nl, "up0", &link, &err), &err);
    EXPECT_OK(netlink_addr_add(nl, link.index, (struct ip4){ 0xc0a80701, 24 }, false, &err), &err);
    EXPECT_OK(netlink_link_set(nl, link.index, &up, &err), &err);
    net_box_enter(w->out);
    EXPECT_OK(netlink_open(&there, NETLINK_BUS_ROUTE, &err), &err);
    EXPECT_OK(netlink_link_get(there, "up1", &link, &err), &err);
    EXPECT_OK(netlink_addr_add(there, link.index, (struct ip4){ 0xc0a80702, 24 }, false, &err),
              &err);
    EXPECT_OK(netlink_link_set(there, link.index, &up, &err), &err);
    net_world_until_running(there, "up1");
    net_box_enter(w->host);
    net_world_until_running(nl, "up0");
    netlink_free(there);
    netlink_free(nl);
}

static inline void net_world_start(struct net_world *w)
{
    char *ledger = mem_printf("%s/ledger", test_tmpdir());
    struct pod_net_opts opts = { .ledger = ledger };
    struct pod_net *net = NULL;
    struct pod_net_node node;
    struct pod_net_lease lease;
    struct err err = ERR_INIT;
    struct ip4 ip;
    char path[64], uid[16];

    for (int i = 0; i < NET_WORLD_PODS; i++)
        w->pods[i] = net_box_new();
    w->out = net_box_new();
    w->host = net_box_here();
    EXPECT_OK(pod_net_new(&net, &opts, &err), &err);
    EXPECT_OK(pod_net_node_init(&node, net, NULL, NULL, &err), &err);
    EXPECT_OK(pod_net_up(&node, NET_WORLD_MS, &err), &err);
    for (int i = 0; i < NET_WORLD_PODS; i++) {
        snprintf(uid, sizeof(uid), "uid-%d", i);
        snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), w->pods[i]);
        EXPECT_OK(pod_net_reserve(net, uid, &lease, &err), &err);
        EXPECT_OK(pod_net_attach(&lease, path, NET_WORLD_MS, &err), &err);
        EXPECT_OK(ip4_parse(&ip, lease.ip, &err), &err);
        w->ips[i] = ip.addr;
        snprintf(uid, sizeof(uid), "%c", 'a' + i);
        net_box_serve(w->pods[i], SOCK_STREAM, "0.0.0.0", 8080, uid);
        net_box_serve(w->pods[i], SOCK_DGRAM, "0.0.0.0", 8080, uid);
    }
    net_world_outside(w);
    pod_net_free(net);
    mem_free(ledger);
}

/* Which pods answered (bit each) in many tries, all of which must succeed; the last peer seen. */
static inline unsigned net_world_who(int from, int type, const char *ip, uint16_t port,
                                     char peer[128])
{
    unsigned seen = 0;
    char said[128];

    for (int i = 0; i < NET_WORLD_TRIES; i++) {
        net_box_ask(from, type, ip, port, 2000, said);
        if (!said[0])
            test_fail(__FILE__, __LINE__, "%s:%u try %d: %s", ip, port, i, strerror(errno));
        seen |= 1u << (said[0] - 'a');
        snprintf(peer, 128, "%.100s", said + 2);
    }
    return seen;
}

static inline int net_world_refused(int from, int type, const char *ip, uint16_t port)
{
    char said[128];

    EXPECT_STR(net_box_ask(from, type, ip, port, 1000, said), "");
    return errno;
}

#endif
