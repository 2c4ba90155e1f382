/* test_net_pod.c -- pods' network on the real kernel: two pods, the host, and a world outside. */
#include "core/base/cleanup.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "net/netlink/netlink.h"
#include "net/pod/pod_net.h"
#include "tests/sandbox/net_box.h"

TEST_VERB(netns, POD_NET_VERB, pod_net_verb_main)

#define TEN_S 10000

struct world {
    int host, pods[2];
    struct pod_net *net;
    struct pod_net_node node;
    struct pod_net_lease leases[2];
};

static const char *ns_path(int ns, char out[64])
{
    snprintf(out, 64, "/proc/%d/fd/%d", getpid(), ns);
    return out;
}

static bool is_running(const char *name)
{
    struct err err = ERR_INIT;
    struct netlink *nl = NULL;
    struct netlink_link link;

    EXPECT_OK(netlink_open(&nl, NETLINK_BUS_ROUTE, &err), &err);
    EXPECT_OK(netlink_link_get(nl, name, &link, &err), &err);
    netlink_free(nl);
    return link.running;
}

static void attach(struct world *w, int i, const char *uid)
{
    struct err err = ERR_INIT;
    char path[64];

    EXPECT_OK(pod_net_reserve(w->net, uid, &w->leases[i], &err), &err);
    EXPECT_OK(pod_net_attach(&w->leases[i], ns_path(w->pods[i], path), TEN_S, &err), &err);
    EXPECT(is_running(w->leases[i].host_if) && is_running(POD_NET_BRIDGE));
}

static void world_end(struct world *w)
{
    pod_net_free(w->net);
}

static void world_start(struct world *w)
{
    char *ledger = mem_printf("%s/ledger", test_tmpdir());
    struct pod_net_opts opts = { .ledger = ledger };
    struct err err = ERR_INIT;

    w->pods[0] = net_box_new();
    w->pods[1] = net_box_new();
    w->host = net_box_here();
    EXPECT_OK(pod_net_new(&w->net, &opts, &err), &err);
    EXPECT_OK(pod_net_node_init(&w->node, w->net, NULL, NULL, &err), &err);
    EXPECT_OK(pod_net_up(&w->node, TEN_S, &err), &err);
    attach(w, 0, "uid-a");
    attach(w, 1, "uid-b");
    mem_free(ledger);
}

TEST(pods_and_host_reach_each_other)
{
    _cleanup_(world_end) struct world w = { 0 };
    struct err err = ERR_INIT;
    char said[128], path[64];

    world_start(&w);
    net_box_serve(w.pods[0], SOCK_STREAM, "0.0.0.0", 80, "a");
    net_box_serve(w.host, SOCK_STREAM, "0.0.0.0", 81, "host");
    EXPECT_STR(net_box_ask(w.host, SOCK_STREAM, "10.42.0.2", 80, 2000, said), "a 10.42.0.1");
    EXPECT_STR(net_box_ask(w.pods[1], SOCK_STREAM, "10.42.0.2", 80, 2000, said), "a 10.42.0.3");
    EXPECT_STR(net_box_ask(w.pods[0], SOCK_STREAM, "127.0.0.1", 80, 2000, said), "a 127.0.0.1");
    EXPECT_STR(net_box_ask(w.pods[1], SOCK_STREAM, "10.42.0.1", 81, 2000, said), "host 10.42.0.3");
    EXPECT_STR(net_box_ask(w.pods[1], SOCK_STREAM, "10.43.0.10", 81, 2000, said), "host 10.42.0.3");
    EXPECT_STR(net_box_ask(w.host, SOCK_STREAM, "10.43.0.10", 81, 2000, said), "host 10.43.0.10");

    /* Again and again is the same as once. */
    EXPECT_OK(pod_net_up(&w.node, TEN_S, &err), &err);
    EXPECT_OK(pod_net_attach(&w.leases[1], ns_path(w.pods[1], path), TEN_S, &err), &err);
    EXPECT_STR(net_box_ask(w.pods[1], SOCK_STREAM, "10.42.0.2", 80, 2000, said), "a 10.42.0.3");
    EXPECT_OK(pod_net_detach(&w.leases[1], TEN_S, &err), &err);
    EXPECT_OK(pod_net_detach(&w.leases[1], TEN_S, &err), &err);
    EXPECT_STR(net_box_ask(w.pods[1], SOCK_STREAM, "10.42.0.2", 80, 2000, said), "");
    EXPECT_EQ(errno, ENETUNREACH);
}

static int index_of(const char *name)
{
    struct err err = ERR_INIT;
    struct netlink *nl = NULL;
    struct netlink_link link;

    EXPECT_OK(netlink_open(&nl, NETLINK_BUS_ROUTE, &err), &err);
    EXPECT_OK(netlink_link_get(nl, name, &link, &err), &err);
    netlink_free(nl);
    return link.index;
}

/* Takes the pod's address away, as someone in it may. */
static void lose_addr(struct world *w, uint32_t addr)
{
    struct err err = ERR_INIT;
    struct netlink *nl = NULL;
    struct netlink_link link;

    net_box_enter(w->pods[0]);
    EXPECT_OK(netlink_open(&nl, NETLINK_BUS_ROUTE, &err), &err);
    EXPECT_OK(netlink_link_get(nl, "eth0", &link, &err), &err);
    EXPECT_OK(netlink_addr_del(nl, link.index, (struct ip4){ addr, 24 }, &err), &err);
    netlink_free(nl);
    net_box_enter(w->host);
}

TEST(a_whole_network_is_left_alone)
{
    _cleanup_(world_end) struct world w = { 0 };
    struct err err = ERR_INIT;
    char said[128], path[64];
    int before;

    world_start(&w);
    before = index_of(w.leases[0].host_if);
    EXPECT_OK(pod_net_attach(&w.leases[0], ns_path(w.pods[0], path), TEN_S, &err), &err);
    EXPECT_EQ(index_of(w.leases[0].host_if), before);
    lose_addr(&w, 0x0a2a0002);                           /* not whole: made anew */
    EXPECT_OK(pod_net_attach(&w.leases[0], ns_path(w.pods[0], path), TEN_S, &err), &err);
    EXPECT(index_of(w.leases[0].host_if) != before);
    net_box_serve(w.pods[0], SOCK_STREAM, "0.0.0.0", 80, "a");
    EXPECT_STR(net_box_ask(w.pods[1], SOCK_STREAM, "10.42.0.2", 80, 2000, said), "a 10.42.0.3");
}

TEST(host_ports)
{
    _cleanup_(world_end) struct world w = { 0 };
    struct err err = ERR_INIT;
    char said[128];
    struct pod_net_port ports[] = {
        { .host_port = 8080, .container_port = 80, .protocol = IPPROTO_TCP },
        { .host_port = 8081, .container_port = 80, .protocol = IPPROTO_TCP,
          .host_ip = "10.42.0.1" },
        { .host_port = 8080, .container_port = 80, .protocol = IPPROTO_UDP, .host_ip = "0.0.0.0" },
    };
    struct pod_net_ports pods[2] = { { .ports = ports, .n = 3 }, { .ports = ports, .n = 1 } };

    world_start(&w);
    net_box_serve(w.pods[0], SOCK_STREAM, "0.0.0.0", 80, "a");
    net_box_serve(w.pods[0], SOCK_DGRAM, "0.0.0.0", 80, "udp");
    pods[0].lease = w.leases[0];
    pods[1].lease = w.leases[1];             /* asks for a port that is taken: the first keeps it */
    EXPECT_OK(pod_net_set_ports(pods, 2, TEN_S, &err), &err);
    EXPECT_STR(net_box_ask(w.pods[1], SOCK_STREAM, "10.42.0.1", 8080, 2000, said), "a 10.42.0.3");
    EXPECT_STR(net_box_ask(w.pods[1], SOCK_STREAM, "10.42.0.1", 8081, 2000, said), "a 10.42.0.3");
    EXPECT_STR(net_box_ask(w.pods[1], SOCK_STREAM, "10.43.0.10", 8081, 2000, said), "");
    EXPECT_STR(net_box_ask(w.pods[1], SOCK_DGRAM, "10.42.0.1", 8080, 2000, said), "udp 10.42.0.3");
    EXPECT_STR(net_box_ask(w.host, SOCK_STREAM, "127.0.0.1", 8080, 2000, said), "a 10.42.0.1");
    EXPECT_STR(net_box_ask(w.host, SOCK_STREAM, "10.42.0.1", 8080, 2000, said), "a 10.42.0.1");
    EXPECT_STR(net_box_ask(w.pods[0], SOCK_STREAM, "10.42.0.1", 8080, 2000, said), "a 10.42.0.1");

    EXPECT_OK(pod_net_up(&w.node, TEN_S, &err), &err);       /* leaves the ports alone */
    EXPECT_STR(net_box_ask(w.pods[1], SOCK_STREAM, "10.42.0.1", 8080, 2000, said), "a 10.42.0.3");
    EXPECT_OK(pod_net_set_ports(NULL, 0, TEN_S, &err), &err);
    EXPECT_STR(net_box_ask(w.pods[1], SOCK_STREAM, "10.42.0.1", 8080, 2000, said), "");
    EXPECT_EQ(errno, ECONNREFUSED);
}

TEST(leaked_links_are_swept)
{
    _cleanup_(world_end) struct world w = { 0 };
    struct err err = ERR_INIT;
    struct netlink *nl = NULL;
    struct netlink_link link;

    world_start(&w);
    EXPECT_OK(netlink_open(&nl, NETLINK_BUS_ROUTE, &err), &err);
    EXPECT_EQ(pod_net_sweep(w.leases, 2, TEN_S, &err), 0);
    EXPECT_EQ(pod_net_sweep(w.leases, 1, TEN_S, &err), 1);
    EXPECT_OK(netlink_link_get(nl, w.leases[0].host_if, &link, &err), &err);
    EXPECT_ERR(netlink_link_get(nl, w.leases[1].host_if, &link, &err), &err, ERR_NOT_FOUND);
    EXPECT_OK(pod_net_down(TEN_S, &err), &err);
    EXPECT_OK(pod_net_down(TEN_S, &err), &err);
    EXPECT_ERR(netlink_link_get(nl, w.leases[0].host_if, &link, &err), &err, ERR_NOT_FOUND);
    EXPECT_ERR(netlink_link_get(nl, POD_NET_BRIDGE, &link, &err), &err, ERR_NOT_FOUND);
    netlink_free(nl);
}

/* The host's way to another node, made as a veth pair into `out`: 192.168.7.1 here, .2 there. */
static void outside(struct netlink *nl, int out)
{
    struct err err = ERR_INIT;
    struct netlink *there = NULL;
    struct netlink_link link;
    struct netlink_link_change up = NETLINK_LINK_CHANGE_INIT;
    struct netlink_veth veth = { .name = "up0", .peer = "up1", .peer_netns = out };

    up.up = 1;
    EXPECT_OK(netlink_link_add_veth(nl, &veth, &err), &err);
    EXPECT_OK(netlink_link_get(nl, "up0", &link, &err), &err);
    EXPECT_OK(netlink_addr_add(nl, link.index, (struct ip4){ 0xc0a80701, 24 }, false, &err), &err);
    EXPECT_OK(netlink_link_set(nl, link.index, &up, &err), &err);
    net_box_enter(out);
    EXPECT_OK(netlink_open(&there, NETLINK_BUS_ROUTE, &err), &err);
    EXPECT_OK(netlink_link_get(there, "up1", &link, &err), &err);
    EXPECT_OK(netlink_addr_add(there, link.index, (struct ip4){ 0xc0a80702, 24 }, false, &err),
              &err);
    EXPECT_OK(netlink_link_set(there, link.index, &up, &err), &err);
    netlink_free(there);
}

TEST(traffic_outside_goes_as_the_node)
{
    _cleanup_(world_end) struct world w = { 0 };
    struct err err = ERR_INIT;
    struct netlink *nl = NULL;
    struct netlink_route *routes = NULL;
    struct pod_net_peer peers[] = { { "10.42.1.0/24", "192.168.7.2" },
                                    { "10.42.2.0/24", "192.168.7.3" } };
    size_t n = 0;
    char said[128];
    int out;

    world_start(&w);
    out = net_box_new();
    EXPECT_OK(netlink_open(&nl, NETLINK_BUS_ROUTE, &err), &err);
    outside(nl, out);
    net_box_serve(out, SOCK_STREAM, "0.0.0.0", 80, "out");
    net_box_enter(w.host);
    EXPECT_STR(net_box_ask(w.pods[0], SOCK_STREAM, "192.168.7.2", 80, 2000, said),
               "out 192.168.7.1");

    w.node.backend = POD_NET_HOST_GW;
    EXPECT_OK(pod_net_set_peers(&w.node, peers, 2, TEN_S, &err), &err);
    EXPECT_OK(pod_net_set_peers(&w.node, peers + 1, 1, TEN_S, &err), &err);
    EXPECT_OK(netlink_route_list(nl, NETLINK_PROTO_INRO, &routes, &n, &err), &err);
    EXPECT_EQ(n, 2);                             /* the Services' and the one peer's */
    mem_free(routes);
    EXPECT_OK(pod_net_set_peers(NULL, NULL, 0, TEN_S, &err), &err);
    EXPECT_OK(netlink_route_list(nl, NETLINK_PROTO_INRO, &routes, &n, &err), &err);
    EXPECT_EQ(n, 1);
    mem_free(routes);
    netlink_free(nl);
}

TEST(a_missing_namespace_is_one_clear_error)
{
    struct pod_net_lease lease = { .uid = "u", .ip = "10.42.0.2", .gateway = "10.42.0.1",
                                   .prefix = 24, .host_if = "pod0000000001" };
    struct err err = ERR_INIT;

    net_box_here();
    EXPECT(pod_net_attach(&lease, "/no/such/netns", TEN_S, &err) < 0);
    EXPECT(strstr(err.msg, "/no/such/netns"));
    EXPECT(pod_net_attach(&lease, "/proc/self/ns/net", TEN_S, &err) < 0);
    EXPECT(strstr(err.msg, "the pod network is not up"));
}
