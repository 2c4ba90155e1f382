/* test_net_proxy.c -- Services on the real kernel: svcmap, renderer and batches against three pods
 * of this node and a client outside. */
#include "core/base/err.h"
#include "core/base/mem.h"
#include "net/netlink/netlink.h"
#include "net/pod/pod_net.h"
#include "net/proxy/proxy.h"
#include "net/proxy/proxy_apply.h"
#include "net/proxy/proxy_render.h"
#include "tests/sandbox/net_box.h"

#define TEN_S 10000
#define PODS 3
#define TRIES 40

struct world {
    int host, out, pods[PODS];
    uint32_t ips[PODS];
    struct proxy_render *render;
    struct svcmap *before;
};

static void outside(struct world *w)
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
    net_box_enter(w->host);
    netlink_free(there);
    netlink_free(nl);
}

static void world_start(struct world *w)
{
    char *ledger = mem_printf("%s/ledger", test_tmpdir());
    struct pod_net_opts opts = { .ledger = ledger };
    struct pod_net *net = NULL;
    struct pod_net_node node;
    struct pod_net_lease lease;
    struct proxy_render_opts ro = { .cluster = { 0x0a2a0000, 16 }, .service = { 0x0a2b0000, 16 } };
    struct err err = ERR_INIT;
    struct ip4 ip;
    char path[64], uid[16];

    for (int i = 0; i < PODS; i++)
        w->pods[i] = net_box_new();
    w->out = net_box_new();
    w->host = net_box_here();
    EXPECT_OK(pod_net_new(&net, &opts, &err), &err);
    EXPECT_OK(pod_net_node_init(&node, net, NULL, NULL, &err), &err);
    EXPECT_OK(pod_net_up(&node, TEN_S, &err), &err);
    for (int i = 0; i < PODS; i++) {
        snprintf(uid, sizeof(uid), "uid-%d", i);
        snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), w->pods[i]);
        EXPECT_OK(pod_net_reserve(net, uid, &lease, &err), &err);
        EXPECT_OK(pod_net_attach(&lease, path, TEN_S, &err), &err);
        EXPECT_OK(ip4_parse(&ip, lease.ip, &err), &err);
        w->ips[i] = ip.addr;
        snprintf(uid, sizeof(uid), "%c", 'a' + i);
        net_box_serve(w->pods[i], SOCK_STREAM, "0.0.0.0", 8080, uid);
        net_box_serve(w->pods[i], SOCK_DGRAM, "0.0.0.0", 8080, uid);
    }
    outside(w);
    w->render = proxy_render_new(&ro);
    pod_net_free(net);
    mem_free(ledger);
}

/* The one Service of these tests: 10.43.0.7 port 80 and node port 30080, TCP and UDP. */
struct wish {
    unsigned ready;                      /* bit per pod */
    unsigned local;                      /* bit per pod: said to be on this node */
    bool external_local, internal_local, gone;
    uint32_t affinity_s;
};

static void apply(struct world *w, bool full)
{
    struct nft_batch *b = nft_batch_new();
    struct proxy_flows flows = { 0 };
    struct err err = ERR_INIT;

    proxy_render_batch(w->render, full, b, &flows);
    EXPECT_OK(proxy_apply(b, &flows, &err), &err);
    vec_deinit(&flows.v);
    nft_batch_free(b);
}

static void wish(struct world *w, struct wish x, bool full)
{
    static const uint32_t vip = 0x0a2b0007, external = 0xc0a80763;
    static const struct svcmap_in_port ports[] = { { "web", IPPROTO_TCP, 80, 30080 },
                                                   { "udp", IPPROTO_UDP, 80, 30080 } };
    static const struct svcmap_slice_port slice_ports[] = { { "web", IPPROTO_TCP, 8080 },
                                                            { "udp", IPPROTO_UDP, 8080 } };
    struct svcmap_endpoint eps[PODS];
    struct svcmap_slice slice = { slice_ports, 2, eps, PODS };
    struct svcmap_in in = { &vip, &external, 1, 1, x.external_local, x.internal_local,
                            x.affinity_s, ports, 2, &slice, 1 };
    struct svcmap *m;

    for (int i = 0; i < PODS; i++)
        eps[i] = (struct svcmap_endpoint){ .ip = w->ips[i], .ready = x.ready >> i & 1,
                                           .serving = x.ready >> i & 1,
                                           .local = x.local >> i & 1 };
    m = x.gone ? NULL : svcmap_new(&in, w->before);
    proxy_render_set(w->render, "default/web", m);
    svcmap_free(w->before);
    w->before = m;
    apply(w, full);
}

/* Which pods answered (bit each) in many tries, all of which must succeed; the last peer seen. */
static unsigned who(int from, int type, const char *ip, uint16_t port, char peer[128])
{
    unsigned seen = 0;
    char said[128];

    for (int i = 0; i < TRIES; i++) {
        net_box_ask(from, type, ip, port, 2000, said);
        if (!said[0])
            test_fail(__FILE__, __LINE__, "%s:%u try %d: %s", ip, port, i, strerror(errno));
        seen |= 1u << (said[0] - 'a');
        snprintf(peer, 128, "%.100s", said + 2);
    }
    return seen;
}

static int refused(int from, int type, const char *ip, uint16_t port)
{
    char said[128];

    EXPECT_STR(net_box_ask(from, type, ip, port, 1000, said), "");
    return errno;
}

TEST(cluster_ip)
{
    struct world w = { 0 };
    char peer[128];

    world_start(&w);
    wish(&w, (struct wish){ .ready = 7, .local = 7 }, true);
    EXPECT_EQ(who(w.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer), 7);    /* itself included */
    EXPECT_EQ(who(w.host, SOCK_STREAM, "10.43.0.7", 80, peer), 7);
    EXPECT_EQ(who(w.pods[1], SOCK_DGRAM, "10.43.0.7", 80, peer), 7);
    wish(&w, (struct wish){ .ready = 4, .local = 7 }, false);
    EXPECT_EQ(who(w.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer), 4);
    EXPECT_STR(peer, "10.42.0.2");                           /* a pod's address is kept */
    EXPECT_EQ(who(w.pods[2], SOCK_STREAM, "10.43.0.7", 80, peer), 4);
    EXPECT_STR(peer, "10.42.0.1");                           /* but not towards itself */
    wish(&w, (struct wish){ .ready = 3, .local = 7 }, false);
    EXPECT_EQ(who(w.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer), 3);
    wish(&w, (struct wish){ .ready = 3, .local = 1, .internal_local = true }, false);
    EXPECT_EQ(who(w.pods[1], SOCK_STREAM, "10.43.0.7", 80, peer), 1);
    wish(&w, (struct wish){ .gone = true }, false);
    EXPECT_EQ(refused(w.pods[0], SOCK_STREAM, "10.43.0.7", 80), ECONNREFUSED);
    EXPECT_EQ(proxy_render_len(w.render), 0);
}

TEST(without_endpoints_it_is_refused)
{
    struct world w = { 0 };

    world_start(&w);
    wish(&w, (struct wish){ .ready = 0 }, true);
    EXPECT_EQ(refused(w.pods[0], SOCK_STREAM, "10.43.0.7", 80), ECONNREFUSED);
    EXPECT_EQ(refused(w.pods[0], SOCK_DGRAM, "10.43.0.7", 80), ECONNREFUSED);
    EXPECT_EQ(refused(w.host, SOCK_STREAM, "10.43.0.7", 80), ECONNREFUSED);
    EXPECT_EQ(refused(w.out, SOCK_STREAM, "192.168.7.1", 30080), ECONNREFUSED);
    EXPECT_EQ(refused(w.pods[0], SOCK_STREAM, "10.43.0.7", 81), ECONNREFUSED);
    EXPECT_EQ(refused(w.pods[0], SOCK_STREAM, "10.43.9.9", 80), ECONNREFUSED);
    EXPECT_EQ(refused(w.host, SOCK_STREAM, "10.43.9.9", 80), ECONNREFUSED);
}

TEST(node_port)
{
    struct world w = { 0 };
    char peer[128];

    world_start(&w);
    wish(&w, (struct wish){ .ready = 7, .local = 7 }, true);
    EXPECT_EQ(who(w.out, SOCK_STREAM, "192.168.7.1", 30080, peer), 7);
    EXPECT_STR(peer, "10.42.0.1");
    EXPECT_EQ(who(w.out, SOCK_DGRAM, "192.168.7.1", 30080, peer), 7);
    EXPECT_EQ(who(w.pods[0], SOCK_STREAM, "192.168.7.1", 30080, peer), 7);
    EXPECT_EQ(who(w.host, SOCK_STREAM, "192.168.7.1", 30080, peer), 7);
    EXPECT_EQ(who(w.host, SOCK_STREAM, "127.0.0.1", 30080, peer), 7);

    /* Local: the client's address is kept; insiders still reach all. */
    wish(&w, (struct wish){ .ready = 7, .local = 2, .external_local = true }, false);
    EXPECT_EQ(who(w.out, SOCK_STREAM, "192.168.7.1", 30080, peer), 2);
    EXPECT_STR(peer, "192.168.7.2");
    EXPECT_EQ(who(w.pods[1], SOCK_STREAM, "192.168.7.1", 30080, peer), 7);
    EXPECT_EQ(who(w.host, SOCK_STREAM, "192.168.7.1", 30080, peer), 7);
    EXPECT_EQ(who(w.pods[1], SOCK_STREAM, "10.43.0.7", 80, peer), 7);
    wish(&w, (struct wish){ .ready = 7, .local = 0, .external_local = true }, false);
    EXPECT(refused(w.out, SOCK_STREAM, "192.168.7.1", 30080) != ECONNREFUSED);    /* dropped */
    EXPECT_EQ(who(w.host, SOCK_STREAM, "192.168.7.1", 30080, peer), 7);
}

TEST(external_ip)
{
    struct world w = { 0 };
    char peer[128];

    world_start(&w);
    wish(&w, (struct wish){ .ready = 7, .local = 7 }, true);
    EXPECT_EQ(who(w.pods[0], SOCK_STREAM, "192.168.7.99", 80, peer), 7);
    EXPECT_EQ(who(w.host, SOCK_STREAM, "192.168.7.99", 80, peer), 7);
}

TEST(a_client_keeps_its_endpoint)
{
    struct world w = { 0 };
    char peer[128];
    unsigned first, second;

    world_start(&w);
    wish(&w, (struct wish){ .ready = 7, .local = 7, .affinity_s = 600 }, true);
    first = who(w.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer);
    EXPECT(first == 1 || first == 2 || first == 4);
    second = who(w.out, SOCK_STREAM, "192.168.7.1", 30080, peer);
    EXPECT(second == 1 || second == 2 || second == 4);
    wish(&w, (struct wish){ .ready = 7 & ~first, .local = 7, .affinity_s = 600 }, false);
    second = who(w.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer);
    EXPECT(second != first && (second == 1 || second == 2 || second == 4));
    wish(&w, (struct wish){ .ready = 7, .local = 7, .affinity_s = 600 }, false);
    EXPECT_EQ(who(w.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer), second);
}

/* One UDP socket: conntrack holds it to its endpoint until that is gone. */
TEST(udp_leaves_an_endpoint_that_is_gone)
{
    struct world w = { 0 };
    char said[128], first;
    int sock;

    world_start(&w);
    wish(&w, (struct wish){ .ready = 7, .local = 7 }, true);
    net_box_enter(w.pods[0]);
    sock = socket(AF_INET, SOCK_DGRAM, 0);
    net_box_enter(w.host);
    first = net_box_ask_by(w.pods[0], sock, "10.43.0.7", 80, 2000, said)[0];
    EXPECT(first >= 'a' && first <= 'c');
    for (int i = 0; i < 5; i++)
        EXPECT_EQ(net_box_ask_by(w.pods[0], sock, "10.43.0.7", 80, 2000, said)[0], first);
    wish(&w, (struct wish){ .ready = 7 & ~(1u << (first - 'a')), .local = 7 }, false);
    EXPECT(net_box_ask_by(w.pods[0], sock, "10.43.0.7", 80, 2000, said)[0] != first);
    EXPECT(said[0]);
    wish(&w, (struct wish){ .ready = 1u << (first - 'a'), .local = 7 }, false);
    EXPECT_EQ(net_box_ask_by(w.pods[0], sock, "10.43.0.7", 80, 2000, said)[0], first);
    close(sock);
}

/* A rollout: endpoints change all the time, no connection fails. */
TEST_SLOW(no_request_fails_while_endpoints_change, 60)
{
    static const unsigned steps[] = { 1, 3, 2, 6, 4, 5, 7, 3 };
    struct world w = { 0 };
    int report[2], bad = -1;
    pid_t client;

    world_start(&w);
    wish(&w, (struct wish){ .ready = 7, .local = 7 }, true);
    EXPECT_EQ(pipe2(report, O_CLOEXEC), 0);
    client = fork();
    EXPECT(client >= 0);
    if (client == 0) {
        char said[128];
        int failed = 0;

        for (int i = 0; i < 3000; i++)
            failed += !net_box_ask(w.pods[0], SOCK_STREAM, "10.43.0.7", 80, 3000, said)[0];
        _exit(write(report[1], &failed, sizeof(failed)) == sizeof(failed) ? 0 : 1);
    }
    close(report[1]);
    for (int i = 0; waitpid(client, NULL, WNOHANG) == 0; i++) {
        wish(&w, (struct wish){ .ready = steps[i % 8], .local = 7 }, i % 50 == 49);
        usleep(500);
    }
    EXPECT_EQ(read(report[0], &bad, sizeof(bad)), sizeof(bad));
    EXPECT_EQ(bad, 0);
}
