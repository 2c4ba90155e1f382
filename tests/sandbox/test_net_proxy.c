/* test_net_proxy.c -- Services on the real kernel: svcmap, renderer and batches against three pods
 * of this node and a client outside. */
#include "net/proxy/proxy.h"
#include "net/proxy/proxy_apply.h"
#include "net/proxy/proxy_render.h"
#include "tests/sandbox/net_world.h"

struct world {
    struct net_world net;
    struct proxy_render *render;
    struct svcmap *before;
};

static void world_end(struct world *w)
{
    svcmap_free(w->before);
    proxy_render_free(w->render);
}

static void world_start(struct world *w)
{
    struct proxy_render_opts ro = { .cluster = { 0x0a2a0000, 16 }, .service = { 0x0a2b0000, 16 } };

    net_world_start(&w->net);
    w->render = proxy_render_new(&ro);
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
    struct proxy_batch b;
    struct err err = ERR_INIT;

    proxy_batch_init(&b);
    proxy_render_batch(w->render, full ? PROXY_ANEW : PROXY_CHANGED, &b);
    EXPECT_OK(proxy_apply(&b, full, &err), &err);
    proxy_batch_deinit(&b);
}

static void wish(struct world *w, struct wish x, bool full)
{
    static const uint32_t vip = 0x0a2b0007, external = 0xc0a80763;
    static const struct svcmap_in_port ports[] = { { "web", IPPROTO_TCP, 80, 30080 },
                                                   { "udp", IPPROTO_UDP, 80, 30080 } };
    static const struct svcmap_slice_port slice_ports[] = { { "web", IPPROTO_TCP, 8080 },
                                                            { "udp", IPPROTO_UDP, 8080 } };
    struct svcmap_endpoint eps[NET_WORLD_PODS];
    struct svcmap_slice slice = { slice_ports, 2, eps, NET_WORLD_PODS };
    struct svcmap_in in = { &vip, &external, 1, 1, x.external_local, x.internal_local,
                            x.affinity_s, ports, 2, &slice, 1 };
    struct svcmap *m;

    for (int i = 0; i < NET_WORLD_PODS; i++)
        eps[i] = (struct svcmap_endpoint){ .ip = w->net.ips[i], .ready = x.ready >> i & 1,
                                           .serving = x.ready >> i & 1,
                                           .local = x.local >> i & 1 };
    m = x.gone ? NULL : svcmap_new(&in, w->before);
    proxy_render_set(w->render, "default/web", m);
    svcmap_free(w->before);
    w->before = m;
    apply(w, full);
}

TEST(cluster_ip)
{
    _cleanup_(world_end) struct world w = { 0 };
    char peer[128];

    world_start(&w);
    wish(&w, (struct wish){ .ready = 7, .local = 7 }, true);
    /* The asker itself is one of them. */
    EXPECT_EQ(net_world_who(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer), 7);
    EXPECT_EQ(net_world_who(w.net.host, SOCK_STREAM, "10.43.0.7", 80, peer), 7);
    EXPECT_EQ(net_world_who(w.net.pods[1], SOCK_DGRAM, "10.43.0.7", 80, peer), 7);
    wish(&w, (struct wish){ .ready = 4, .local = 7 }, false);
    EXPECT_EQ(net_world_who(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer), 4);
    EXPECT_STR(peer, "10.42.0.2");                           /* a pod's address is kept */
    EXPECT_EQ(net_world_who(w.net.pods[2], SOCK_STREAM, "10.43.0.7", 80, peer), 4);
    EXPECT_STR(peer, "10.42.0.1");                           /* but not towards itself */
    wish(&w, (struct wish){ .ready = 3, .local = 7 }, false);
    EXPECT_EQ(net_world_who(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer), 3);
    wish(&w, (struct wish){ .ready = 3, .local = 1, .internal_local = true }, false);
    EXPECT_EQ(net_world_who(w.net.pods[1], SOCK_STREAM, "10.43.0.7", 80, peer), 1);
    wish(&w, (struct wish){ .gone = true }, false);
    EXPECT_EQ(net_world_refused(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 80), ECONNREFUSED);
    apply(&w, false);                            /* what a packet on its way might have needed */
    EXPECT_EQ(proxy_render_len(w.render), 0);
}

TEST(without_endpoints_it_is_refused)
{
    _cleanup_(world_end) struct world w = { 0 };

    world_start(&w);
    wish(&w, (struct wish){ .ready = 0 }, true);
    EXPECT_EQ(net_world_refused(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 80), ECONNREFUSED);
    EXPECT_EQ(net_world_refused(w.net.pods[0], SOCK_DGRAM, "10.43.0.7", 80), ECONNREFUSED);
    EXPECT_EQ(net_world_refused(w.net.host, SOCK_STREAM, "10.43.0.7", 80), ECONNREFUSED);
    EXPECT_EQ(net_world_refused(w.net.out, SOCK_STREAM, "192.168.7.1", 30080), ECONNREFUSED);
    EXPECT_EQ(net_world_refused(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 81), ECONNREFUSED);
    EXPECT_EQ(net_world_refused(w.net.pods[0], SOCK_STREAM, "10.43.9.9", 80), ECONNREFUSED);
    EXPECT_EQ(net_world_refused(w.net.host, SOCK_STREAM, "10.43.9.9", 80), ECONNREFUSED);
}

TEST(node_port)
{
    _cleanup_(world_end) struct world w = { 0 };
    char peer[128];

    world_start(&w);
    wish(&w, (struct wish){ .ready = 7, .local = 7 }, true);
    EXPECT_EQ(net_world_who(w.net.out, SOCK_STREAM, "192.168.7.1", 30080, peer), 7);
    EXPECT_STR(peer, "10.42.0.1");
    EXPECT_EQ(net_world_who(w.net.out, SOCK_DGRAM, "192.168.7.1", 30080, peer), 7);
    EXPECT_EQ(net_world_who(w.net.pods[0], SOCK_STREAM, "192.168.7.1", 30080, peer), 7);
    EXPECT_EQ(net_world_who(w.net.host, SOCK_STREAM, "192.168.7.1", 30080, peer), 7);
    EXPECT_EQ(net_world_who(w.net.host, SOCK_STREAM, "127.0.0.1", 30080, peer), 7);

    /* Local: the client's address is kept; insiders still reach all. */
    wish(&w, (struct wish){ .ready = 7, .local = 2, .external_local = true }, false);
    EXPECT_EQ(net_world_who(w.net.out, SOCK_STREAM, "192.168.7.1", 30080, peer), 2);
    EXPECT_STR(peer, "192.168.7.2");
    EXPECT_EQ(net_world_who(w.net.pods[1], SOCK_STREAM, "192.168.7.1", 30080, peer), 7);
    EXPECT_EQ(net_world_who(w.net.host, SOCK_STREAM, "192.168.7.1", 30080, peer), 7);
    EXPECT_EQ(net_world_who(w.net.pods[1], SOCK_STREAM, "10.43.0.7", 80, peer), 7);
    wish(&w, (struct wish){ .ready = 7, .local = 0, .external_local = true }, false);
    /* Dropped: it is for another node to answer. */
    EXPECT(net_world_refused(w.net.out, SOCK_STREAM, "192.168.7.1", 30080) != ECONNREFUSED);
    EXPECT_EQ(net_world_who(w.net.host, SOCK_STREAM, "192.168.7.1", 30080, peer), 7);
}

TEST(external_ip)
{
    _cleanup_(world_end) struct world w = { 0 };
    char peer[128];

    world_start(&w);
    wish(&w, (struct wish){ .ready = 7, .local = 7 }, true);
    EXPECT_EQ(net_world_who(w.net.pods[0], SOCK_STREAM, "192.168.7.99", 80, peer), 7);
    EXPECT_EQ(net_world_who(w.net.host, SOCK_STREAM, "192.168.7.99", 80, peer), 7);
}

TEST(a_client_keeps_its_endpoint)
{
    _cleanup_(world_end) struct world w = { 0 };
    char peer[128];
    unsigned first, second;

    world_start(&w);
    wish(&w, (struct wish){ .ready = 7, .local = 7, .affinity_s = 600 }, true);
    first = net_world_who(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer);
    EXPECT(first == 1 || first == 2 || first == 4);
    second = net_world_who(w.net.out, SOCK_STREAM, "192.168.7.1", 30080, peer);
    EXPECT(second == 1 || second == 2 || second == 4);
    wish(&w, (struct wish){ .ready = 7 & ~first, .local = 7, .affinity_s = 600 }, false);
    second = net_world_who(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer);
    EXPECT(second != first && (second == 1 || second == 2 || second == 4));
    wish(&w, (struct wish){ .ready = 7, .local = 7, .affinity_s = 600 }, false);
    EXPECT_EQ(net_world_who(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer), second);
}

/* One UDP socket: conntrack holds it to its endpoint until that is gone. */
TEST(udp_leaves_an_endpoint_that_is_gone)
{
    _cleanup_(world_end) struct world w = { 0 };
    char said[128], first;
    int sock;

    world_start(&w);
    wish(&w, (struct wish){ .ready = 7, .local = 7 }, true);
    net_box_enter(w.net.pods[0]);
    sock = socket(AF_INET, SOCK_DGRAM, 0);
    net_box_enter(w.net.host);
    first = net_box_ask_by(w.net.pods[0], sock, "10.43.0.7", 80, 2000, said)[0];
    EXPECT(first >= 'a' && first <= 'c');
    for (int i = 0; i < 5; i++)
        EXPECT_EQ(net_box_ask_by(w.net.pods[0], sock, "10.43.0.7", 80, 2000, said)[0], first);
    wish(&w, (struct wish){ .ready = 7 & ~(1u << (first - 'a')), .local = 7 }, false);
    EXPECT(net_box_ask_by(w.net.pods[0], sock, "10.43.0.7", 80, 2000, said)[0] != first);
    EXPECT(said[0]);
    wish(&w, (struct wish){ .ready = 1u << (first - 'a'), .local = 7 }, false);
    EXPECT_EQ(net_box_ask_by(w.net.pods[0], sock, "10.43.0.7", 80, 2000, said)[0], first);
    close(sock);
}

/* A rollout: endpoints change all the time, no connection fails. */
TEST_SLOW(no_request_fails_while_endpoints_change, 60)
{
    static const unsigned steps[] = { 1, 3, 2, 6, 4, 5, 7, 3 };
    _cleanup_(world_end) struct world w = { 0 };
    struct { int failed, why, at; } bad = { -1, 0, 0 };       /* why: errno of the last */
    int report[2];
    pid_t client;

    world_start(&w);
    wish(&w, (struct wish){ .ready = 7, .local = 7 }, true);
    EXPECT_EQ(pipe2(report, O_CLOEXEC), 0);
    client = fork();
    EXPECT(client >= 0);
    if (client == 0) {
        char said[128];

        bad.failed = 0;
        for (int i = 0; i < 3000; i++) {
            if (net_box_ask(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 80, 3000, said)[0])
                continue;
            bad.failed++;
            bad.why = errno;
            bad.at = i;
        }
        _exit(write(report[1], &bad, sizeof(bad)) == sizeof(bad) ? 0 : 1);
    }
    close(report[1]);
    for (int i = 0; waitpid(client, NULL, WNOHANG) == 0; i++) {
        wish(&w, (struct wish){ .ready = steps[i % 8], .local = 7 }, i % 50 == 49);
        usleep(500);
    }
    EXPECT_EQ(read(report[0], &bad, sizeof(bad)), sizeof(bad));
    if (bad.failed)
        test_fail(__FILE__, __LINE__, "%d failed, the last was number %d: %s", bad.failed, bad.at,
                  strerror(bad.why));
}
