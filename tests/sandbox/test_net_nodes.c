/* test_net_nodes.c -- three nodes on one network, a pod on each: the overlay, routes, Services. */
#include <string.h>

#include "core/base/cleanup.h"
#include "core/loop/job.h"
#include "net/netlink/netlink.h"
#include "net/pod/pod_net.h"
#include "net/proxy/proxy.h"
#include "tests/fake/fake_client.h"
#include "tests/sandbox/net_world.h"

TEST_VERB(netns, POD_NET_VERB, pod_net_verb_main)

#define NODES 3
#define TEN_S 10000
#define CLIENT "192.168.7.254"

/* Node i has 192.168.7.(i+1) and 10.42.i.0/24; its pod has 10.42.i.2 and answers on 8080. */
struct nodes {
    int lan, hosts[NODES], pods[NODES];
    struct pod_net *nets[NODES];
    struct pod_net_node self[NODES];
    struct pod_net_lease leases[NODES];
};

static struct netlink *open_route(void)
{
    struct netlink *nl = NULL;
    struct err err = ERR_INIT;

    EXPECT_OK(netlink_open(&nl, NETLINK_BUS_ROUTE, &err), &err);
    return nl;
}

static int link_up(struct netlink *nl, const char *name, int master)
{
    struct netlink_link_change up = NETLINK_LINK_CHANGE_INIT;
    struct netlink_link link;
    struct err err = ERR_INIT;

    up.up = 1;
    up.master = master;
    EXPECT_OK(netlink_link_get(nl, name, &link, &err), &err);
    EXPECT_OK(netlink_link_set(nl, link.index, &up, &err), &err);
    return link.index;
}

/* The network between the nodes: a bridge in a namespace of its own. */
static void wire(struct nodes *w)
{
    struct netlink *lan, *nl;
    struct err err = ERR_INIT;
    char name[8];
    int bridge;

    net_box_enter(w->lan);
    lan = open_route();
    EXPECT_OK(netlink_link_add(lan, "lan", "bridge", NULL, &err), &err);
    bridge = link_up(lan, "lan", -1);
    EXPECT_OK(netlink_addr_add(lan, bridge, (struct ip4){ 0xc0a807fe, 24 }, false, &err), &err);
    for (unsigned i = 0; i < NODES; i++) {
        struct netlink_veth veth = { .name = "up0", .peer = name, .peer_netns = w->lan };

        snprintf(name, sizeof(name), "n%u", i);
        net_box_enter(w->hosts[i]);
        nl = open_route();
        EXPECT_OK(netlink_link_add_veth(nl, &veth, &err), &err);
        EXPECT_OK(netlink_addr_add(nl, link_up(nl, "up0", -1),
                                   (struct ip4){ 0xc0a80701 + i, 24 }, false, &err), &err);
        link_up(lan, name, bridge);
        net_world_until_running(nl, "up0");
        netlink_free(nl);
    }
    net_world_until_running(lan, "lan");
    netlink_free(lan);
}

static void node_start(struct nodes *w, int i, const char *backend)
{
    _cleanup_(mem_freep) char *ledger = mem_printf("%s/ledger-%d", test_tmpdir(), i);
    char cidr[20], ip[20], path[64], uid[16];
    struct pod_net_opts opts = { .ledger = ledger, .pod_cidr = cidr };
    struct err err = ERR_INIT;

    snprintf(cidr, sizeof(cidr), "10.42.%d.0/24", i);
    snprintf(ip, sizeof(ip), "192.168.7.%d", i + 1);
    snprintf(uid, sizeof(uid), "uid-%d", i);
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), w->pods[i]);
    net_box_enter(w->hosts[i]);
    EXPECT_OK(pod_net_new(&w->nets[i], &opts, &err), &err);
    EXPECT_OK(pod_net_node_init(&w->self[i], w->nets[i], NULL, NULL, &err), &err);
    EXPECT_OK(pod_net_node_reach(&w->self[i], backend, ip, &err), &err);
    EXPECT_OK(pod_net_up(&w->self[i], TEN_S, &err), &err);
    EXPECT_OK(pod_net_reserve(w->nets[i], uid, &w->leases[i], &err), &err);
    EXPECT_OK(pod_net_attach(&w->leases[i], path, TEN_S, &err), &err);
    snprintf(uid, sizeof(uid), "%c", 'a' + i);
    net_box_serve(w->pods[i], SOCK_STREAM, "0.0.0.0", 8080, uid);
    net_box_serve(w->pods[i], SOCK_DGRAM, "0.0.0.0", 8080, uid);
    net_box_serve(w->hosts[i], SOCK_STREAM, "0.0.0.0", 8081, uid);
}

/* All others, but the one to be left out (-1: none). */
static void node_meet(struct nodes *w, int i, int without)
{
    struct pod_net_peer peers[NODES];
    struct err err = ERR_INIT;
    unsigned n = 0;

    for (int k = 0; k < NODES; k++) {
        if (k == i || k == without)
            continue;
        snprintf(peers[n].pod_cidr, sizeof(peers[n].pod_cidr), "10.42.%d.0/24", k);
        snprintf(peers[n].node_ip, sizeof(peers[n].node_ip), "192.168.7.%d", k + 1);
        n++;
    }
    net_box_enter(w->hosts[i]);
    EXPECT_OK(pod_net_set_peers(&w->self[i], peers, n, TEN_S, &err), &err);
}

static void nodes_start(struct nodes *w, const char *backend)
{
    w->lan = net_box_new();
    for (int i = 0; i < NODES; i++)
        w->pods[i] = net_box_new();
    for (int i = 1; i < NODES; i++)
        w->hosts[i] = net_box_new();
    w->hosts[0] = net_box_here();
    wire(w);
    for (int i = 0; i < NODES; i++)
        node_start(w, i, backend);
    for (int i = 0; i < NODES; i++)
        node_meet(w, i, -1);
}

static void nodes_end(struct nodes *w)
{
    for (int i = 0; i < NODES; i++)
        pod_net_free(w->nets[i]);
}

static const char *ask(int ns, const char *ip, uint16_t port)
{
    static _Thread_local char said[128];

    return net_box_ask(ns, SOCK_STREAM, ip, port, 3000, said);
}

static uint32_t mtu_of(int ns, const char *name)
{
    struct netlink *nl;
    struct netlink_link link;
    struct err err = ERR_INIT;

    net_box_enter(ns);
    nl = open_route();
    EXPECT_OK(netlink_link_get(nl, name, &link, &err), &err);
    netlink_free(nl);
    return link.mtu;
}

static void everybody_meets(struct nodes *w)
{
    char ip[20], want[40];

    for (int from = 0; from < NODES; from++) {
        for (int to = 0; to < NODES; to++) {
            snprintf(ip, sizeof(ip), "10.42.%d.2", to);
            snprintf(want, sizeof(want), "%c 10.42.%d.2", 'a' + to, from);
            if (from != to)
                EXPECT_STR(ask(w->pods[from], ip, 8080), want);
            snprintf(ip, sizeof(ip), "192.168.7.%d", to + 1);
            snprintf(want, sizeof(want), from == to ? "%c 10.42.%d.2" : "%c 192.168.7.%d",
                     'a' + to, from == to ? from : from + 1);
            EXPECT_STR(ask(w->pods[from], ip, 8081), want);
        }
    }
}

TEST(pods_of_all_nodes_meet_over_vxlan)
{
    _cleanup_(nodes_end) struct nodes w = { 0 };

    nodes_start(&w, NULL);
    everybody_meets(&w);
    EXPECT_STR(ask(w.hosts[0], "10.42.1.2", 8080), "b 10.42.0.0");
    EXPECT_EQ(mtu_of(w.pods[0], "eth0"), 1450);
    EXPECT_EQ(mtu_of(w.hosts[0], POD_NET_VXLAN), 1450);
    net_box_enter(w.hosts[0]);
}

TEST(pods_of_all_nodes_meet_by_routes)
{
    _cleanup_(nodes_end) struct nodes w = { 0 };

    nodes_start(&w, "host-gw");
    everybody_meets(&w);
    EXPECT_STR(ask(w.hosts[0], "10.42.1.2", 8080), "b 192.168.7.1");
    EXPECT_EQ(mtu_of(w.pods[0], "eth0"), 1500);
    net_box_enter(w.hosts[0]);
}

/* --- what is in the kernel */

struct ways { bool link; struct netlink_link is; size_t routes, neighbours, behind; };

static struct ways ways(void)
{
    struct netlink *nl = open_route();
    struct netlink_route *routes = NULL;
    struct netlink_neigh *neigh = NULL;
    struct ways w = { 0 };
    struct err err = ERR_INIT;
    size_t n = 0;

    w.link = netlink_link_get(nl, POD_NET_VXLAN, &w.is, NULL) == 0;
    EXPECT_OK(netlink_route_list(nl, NETLINK_PROTO_INRO, &routes, &n, &err), &err);
    for (size_t i = 0; i < n; i++)
        w.routes += routes[i].via != 0;
    mem_free(routes);
    if (w.link) {
        struct netlink_neigh like = { .index = w.is.index };

        EXPECT_OK(netlink_neigh_list(nl, &like, &neigh, &w.neighbours, &err), &err);
        neigh = mem_free(neigh);
        like.fdb = true;
        EXPECT_OK(netlink_neigh_list(nl, &like, &neigh, &w.behind, &err), &err);
        mem_free(neigh);
    }
    netlink_free(nl);
    return w;
}

static void expect_ways(size_t n)
{
    struct ways w = ways();

    EXPECT(w.link);
    EXPECT_EQ(w.routes, n);
    EXPECT_EQ(w.neighbours, n);
    EXPECT_EQ(w.behind, n);
}

/* What a former run, or somebody, left on the link. */
static void leave_stale(int index)
{
    struct netlink_neigh stale = { .index = index, .addr = 0x0a2a0900, .mac = { 2, 9 } };
    struct netlink_route route = { .dst = { 0x0a2a0900, 24 }, .via = 0x0a2a0900, .index = index,
                                   .onlink = true, .protocol = NETLINK_PROTO_INRO };
    struct netlink *nl = open_route();
    struct err err = ERR_INIT;

    EXPECT_OK(netlink_neigh_add(nl, &stale, &err), &err);
    stale.fdb = true;
    stale.addr = 0xc0a80709;
    EXPECT_OK(netlink_neigh_add(nl, &stale, &err), &err);
    EXPECT_OK(netlink_route_add(nl, &route, &err), &err);
    netlink_free(nl);
}

TEST(only_what_is_wanted_stays)
{
    _cleanup_(nodes_end) struct nodes w = { 0 };
    struct err err = ERR_INIT;
    int index;

    nodes_start(&w, "vxlan");
    net_box_enter(w.hosts[0]);
    index = ways().is.index;
    leave_stale(index);
    expect_ways(3);
    node_meet(&w, 0, -1);
    expect_ways(2);
    node_meet(&w, 0, 2);
    expect_ways(1);
    EXPECT_EQ(ways().is.index, index);
    EXPECT_STR(ask(w.pods[0], "10.42.1.2", 8080), "b 10.42.0.2");
    EXPECT_STR(ask(w.pods[0], "10.42.2.2", 8080), "");

    /* The node got another address, and back: the link is made anew. */
    EXPECT_OK(pod_net_node_reach(&w.self[0], "vxlan", "192.168.7.99", &err), &err);
    node_meet(&w, 0, -1);
    expect_ways(2);
    EXPECT(ways().is.index != index);
    EXPECT_EQ(ways().is.vxlan.local, 0xc0a80763);
    EXPECT_OK(pod_net_node_reach(&w.self[0], "vxlan", "192.168.7.1", &err), &err);
    node_meet(&w, 0, -1);
    everybody_meets(&w);

    net_box_enter(w.hosts[0]);
    EXPECT_OK(pod_net_set_peers(&w.self[0], NULL, 0, TEN_S, &err), &err);
    EXPECT(!ways().link && ways().routes == 0);
}

TEST(another_backend_leaves_nothing_of_the_first)
{
    _cleanup_(nodes_end) struct nodes w = { 0 };
    struct err err = ERR_INIT;

    nodes_start(&w, "vxlan");
    for (int i = 0; i < NODES; i++) {
        w.self[i].backend = POD_NET_HOST_GW;
        node_meet(&w, i, -1);
    }
    net_box_enter(w.hosts[0]);
    EXPECT(!ways().link);
    EXPECT_EQ(ways().routes, 2);
    everybody_meets(&w);
    net_box_enter(w.hosts[0]);
    w.self[0].backend = POD_NET_VXLAN_OVERLAY;
    node_meet(&w, 0, -1);
    expect_ways(2);
    w.self[0].backend = POD_NET_NONE;
    node_meet(&w, 0, -1);
    EXPECT(!ways().link && ways().routes == 0);
    w.self[0].backend = POD_NET_VXLAN_OVERLAY;
    node_meet(&w, 0, -1);
    EXPECT_OK(pod_net_down(TEN_S, &err), &err);
    EXPECT(!ways().link && ways().routes == 0);
    EXPECT_OK(pod_net_down(TEN_S, &err), &err);
}

TEST(a_link_of_somebody_else_is_left_alone)
{
    _cleanup_(nodes_end) struct nodes w = { 0 };
    struct pod_net_peer peer = { "10.42.1.0/24", "192.168.7.2" };
    struct netlink *nl;
    struct err err = ERR_INIT;

    nodes_start(&w, "none");
    net_box_enter(w.hosts[0]);
    nl = open_route();
    EXPECT_OK(netlink_link_add(nl, POD_NET_VXLAN, "bridge", NULL, &err), &err);
    w.self[0].backend = POD_NET_VXLAN_OVERLAY;
    EXPECT_ERR(pod_net_set_peers(&w.self[0], &peer, 1, TEN_S, &err), &err, ERR_EXISTS);
    EXPECT(strstr(err.msg, POD_NET_VXLAN));
    netlink_free(nl);
}

/* --- Services */

struct proxies {
    struct loop *loop;
    struct job_pool *jobs;
    struct fake_client *fake;
    struct proxy *v[NODES];
};

static void proxies_start(struct proxies *p, struct nodes *w)
{
    static const unsigned unlimited[JOB_CLASS_MAX];
    char name[8];
    struct proxy_opts o = { .node_name = name };
    struct err err = ERR_INIT;

    EXPECT_OK(loop_new(&p->loop, env_real(), &err), &err);
    EXPECT_OK(job_pool_new(&p->jobs, 0, unlimited, &err), &err);
    p->fake = fake_client_new(p->loop);
    fake_client_put(p->fake,
                    "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: default}\n"
                    "spec: {type: NodePort, clusterIP: 10.43.0.7, clusterIPs: [10.43.0.7], "
                    "selector: {a: b}, "
                    "ports: [{name: http, port: 80, targetPort: 8080, nodePort: 30080}]}\n");
    fake_client_put(p->fake,
                    "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
                    "metadata: {name: web-1, namespace: default, "
                    "labels: {kubernetes.io/service-name: web}}\n"
                    "addressType: IPv4\nports: [{name: http, port: 8080}]\n"
                    "endpoints: [{addresses: [10.42.1.2], nodeName: n1, "
                    "conditions: {ready: true, serving: true, terminating: false}}]\n");
    for (int i = 0; i < NODES; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        net_box_enter(w->hosts[i]);          /* the jobs run in this thread */
        EXPECT_OK(proxy_new(&p->v[i], p->loop, fake_client_door(p->fake), p->jobs, &o, &err),
                  &err);
        while (!proxy_ready(p->v[i]))
            loop_step(p->loop, 10);
    }
}

static void proxies_end(struct proxies *p)
{
    for (int i = 0; i < NODES; i++)
        proxy_free(p->v[i]);
    job_pool_free(p->jobs);
    fake_client_free(p->fake);
    loop_free(p->loop);
}

static void services_meet(struct nodes *w, const char *first_hop, const char *last_hop)
{
    /* from pods with their own address, also from the node of the endpoint */
    EXPECT_STR(ask(w->pods[0], "10.43.0.7", 80), "b 10.42.0.2");
    EXPECT_STR(ask(w->pods[2], "10.43.0.7", 80), "b 10.42.2.2");
    EXPECT_STR(ask(w->pods[1], "10.43.0.7", 80), "b 10.42.1.1");     /* itself: as its gateway */
    EXPECT_STR(ask(w->hosts[0], "10.43.0.7", 80), "b 10.42.0.1");
    /* the node port of each node, from outside: as the node that was asked */
    EXPECT_STR(ask(w->lan, "192.168.7.1", 30080), first_hop);
    EXPECT_STR(ask(w->lan, "192.168.7.2", 30080), "b 10.42.1.1");
    EXPECT_STR(ask(w->lan, "192.168.7.3", 30080), last_hop);
    /* of another node, from a pod */
    EXPECT_STR(ask(w->pods[0], "192.168.7.3", 30080), last_hop);
}

TEST(services_over_vxlan)
{
    _cleanup_(nodes_end) struct nodes w = { 0 };
    _cleanup_(proxies_end) struct proxies p = { 0 };

    nodes_start(&w, "vxlan");
    proxies_start(&p, &w);
    services_meet(&w, "b 10.42.0.0", "b 10.42.2.0");
    EXPECT_STR(ask(w.hosts[0], "127.0.0.1", 30080), "b 10.42.0.0");
    net_box_enter(w.hosts[0]);
}

TEST(services_by_routes)
{
    _cleanup_(nodes_end) struct nodes w = { 0 };
    _cleanup_(proxies_end) struct proxies p = { 0 };

    nodes_start(&w, "host-gw");
    proxies_start(&p, &w);
    services_meet(&w, "b 192.168.7.1", "b 192.168.7.3");
    net_box_enter(w.hosts[0]);
}
