/* test_net_service.c -- the whole proxy on the real kernel: from Service and EndpointSlice objects
 * to packets. */
#include <string.h>

#include "core/loop/job.h"
#include "net/netlink/nft.h"
#include "net/proxy/proxy.h"
#include "tests/fake/fake_client.h"
#include "tests/sandbox/net_world.h"

struct world {
    struct net_world net;
    struct loop *loop;
    struct fake_client *fake;
    struct job_pool *jobs;
    struct proxy *proxy;
};

static void proxy_start(struct world *w)
{
    struct proxy_opts o = { .node_name = "n1" };
    struct err err = ERR_INIT;

    EXPECT_OK(proxy_new(&w->proxy, w->loop, fake_client_door(w->fake), w->jobs, &o, &err), &err);
    while (!proxy_ready(w->proxy))
        loop_step(w->loop, 10);
}

static void world_start(struct world *w)
{
    static const unsigned unlimited[JOB_CLASS_MAX];
    struct err err = ERR_INIT;

    memset(w, 0, sizeof(*w));
    net_world_start(&w->net);
    EXPECT_OK(loop_new(&w->loop, env_real(), &err), &err);
    EXPECT_OK(job_pool_new(&w->jobs, 0, unlimited, &err), &err);
    w->fake = fake_client_new(w->loop);
}

static void world_end(struct world *w)
{
    proxy_free(w->proxy);
    job_pool_free(w->jobs);
    fake_client_free(w->fake);
    loop_free(w->loop);
}

/* Until what was changed is in the kernel. */
static void settle(struct world *w)
{
    struct proxy_stats before, now;

    proxy_stats(w->proxy, &before);
    do {
        loop_step(w->loop, 10);
        proxy_stats(w->proxy, &now);
    } while (now.applied == before.applied);
}

static void put_service(struct world *w, const char *more)
{
    char text[512];

    snprintf(text, sizeof(text),
             "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: default}\n"
             "spec: {type: NodePort, clusterIP: 10.43.0.7, clusterIPs: [10.43.0.7], "
             "selector: {a: b}, "
             "ports: [{name: http, port: 80, targetPort: 8080, nodePort: 30080}]%s%s}\n",
             more[0] ? ", " : "", more);
    fake_client_put(w->fake, text);
}

/* One letter a pod: r ready, t ending, n not ready, - not there. The second pod is said to be on
 * another node: it must not ask itself. */
static void put_slice(struct world *w, const char states[NET_WORLD_PODS + 1])
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    buf_str(&b, "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: web-1, "
                "namespace: default, labels: {kubernetes.io/service-name: web}}\n"
                "addressType: IPv4\nports: [{name: http, port: 8080}]\nendpoints:\n");
    for (int i = 0; i < NET_WORLD_PODS; i++)
        if (states[i] != '-')
            buf_fmt(&b, "- {addresses: [10.42.0.%d], nodeName: n%d, conditions: {ready: %s, "
                        "serving: %s, terminating: %s}}\n",
                    i + 2, i % 2 + 1, states[i] == 'r' ? "true" : "false",
                    states[i] == 'n' ? "false" : "true", states[i] == 't' ? "true" : "false");
    fake_client_put(w->fake, b.p);
}

/* Says its letter for each byte it gets, as long as the other side likes. */
static void serve_long(int ns, uint16_t port, char letter)
{
    struct sockaddr_in a = net_box_addr("0.0.0.0", port);
    int ready[2];
    char c;

    EXPECT_EQ(pipe2(ready, O_CLOEXEC), 0);
    if (fork() == 0) {
        int s;

        net_box_enter(ns);
        s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        signal(SIGCHLD, SIG_IGN);
        if (bind(s, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(s, 8) < 0 ||
            write(ready[1], "r", 1) != 1)
            _exit(1);
        for (;;) {
            int conn = accept(s, NULL, NULL);

            if (fork() == 0) {
                while (read(conn, &c, 1) == 1 && write(conn, &letter, 1) == 1)
                    continue;
                _exit(0);
            }
            close(conn);
        }
    }
    close(ready[1]);
    EXPECT_EQ(read(ready[0], &c, 1), 1);
    close(ready[0]);
}

static int connect_from(struct world *w, int ns, const char *ip, uint16_t port)
{
    struct sockaddr_in a = net_box_addr(ip, port);
    struct timeval patience = { 3, 0 };
    int s;

    net_box_enter(ns);
    s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    net_box_enter(w->net.host);
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    EXPECT_EQ(connect(s, (struct sockaddr *)&a, sizeof(a)), 0);
    return s;
}

static char talk(int s)
{
    char c = '?';

    return send(s, &c, 1, MSG_NOSIGNAL) == 1 && recv(s, &c, 1, 0) == 1 ? c : '-';
}

TEST(endpoints_come_end_and_go)
{
    struct world w;
    char peer[128];

    world_start(&w);
    put_service(&w, "");
    put_slice(&w, "rnr");
    proxy_start(&w);
    EXPECT_EQ(net_world_who(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer), 5);
    EXPECT_EQ(net_world_who(w.net.out, SOCK_STREAM, "192.168.7.1", 30080, peer), 5);
    put_slice(&w, "rrt");
    settle(&w);
    EXPECT_EQ(net_world_who(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer), 3);
    put_slice(&w, "tnt");                        /* better these than nobody */
    settle(&w);
    EXPECT_EQ(net_world_who(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer), 5);
    EXPECT_EQ(net_world_who(w.net.out, SOCK_STREAM, "192.168.7.1", 30080, peer), 5);
    put_slice(&w, "--n");
    settle(&w);
    EXPECT_EQ(net_world_refused(w.net.pods[1], SOCK_STREAM, "10.43.0.7", 80), ECONNREFUSED);
    fake_client_drop(w.fake, kind_endpoint_slice(), "default", "web-1");
    put_slice(&w, "r--");
    settle(&w);
    EXPECT_EQ(net_world_who(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer), 1);
    fake_client_drop(w.fake, kind_service(), "default", "web");
    settle(&w);
    EXPECT_EQ(net_world_refused(w.net.pods[1], SOCK_STREAM, "10.43.0.7", 80), ECONNREFUSED);
    world_end(&w);
}

TEST(connections_stay_with_an_endpoint_that_ends)
{
    struct world w;
    char first, peer[128];
    int s, t;

    world_start(&w);
    for (int i = 0; i < NET_WORLD_PODS; i++)
        serve_long(w.net.pods[i], 8081, (char)('a' + i));
    put_service(&w, "");
    fake_client_edit(w.fake, kind_service(), "default", "web",
                     "spec: {ports: [{name: long, port: 81, targetPort: 8081}, "
                     "{name: http, port: 80, targetPort: 8080}]}");
    put_slice(&w, "rrr");
    fake_client_edit(w.fake, kind_endpoint_slice(), "default", "web-1",
                     "ports: [{name: long, port: 8081}, {name: http, port: 8080}]");
    proxy_start(&w);
    s = connect_from(&w, w.net.pods[0], "10.43.0.7", 81);
    t = connect_from(&w, w.net.host, "10.43.0.7", 81);
    first = talk(s);
    EXPECT(first >= 'a' && first <= 'c');
    put_slice(&w, first == 'a' ? "trr" : first == 'b' ? "rtr" : "rrt");
    fake_client_edit(w.fake, kind_endpoint_slice(), "default", "web-1",
                     "ports: [{name: long, port: 8081}, {name: http, port: 8080}]");
    settle(&w);
    EXPECT_EQ(net_world_who(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer),
              7 & ~(1u << (first - 'a')));
    EXPECT_EQ(talk(s), first);
    EXPECT(talk(t) != '-');
    fake_client_drop(w.fake, kind_endpoint_slice(), "default", "web-1");
    settle(&w);
    EXPECT_EQ(talk(s), first);                   /* it decides itself when it hangs up */
    EXPECT(talk(t) != '-');
    close(s);
    close(t);
    world_end(&w);
}

TEST(policies_of_the_object)
{
    struct world w;
    char peer[128];
    unsigned one;

    world_start(&w);
    put_service(&w, "externalTrafficPolicy: Local");
    put_slice(&w, "rrr");                        /* a and c are on this node */
    proxy_start(&w);
    EXPECT_EQ(net_world_who(w.net.out, SOCK_STREAM, "192.168.7.1", 30080, peer), 5);
    EXPECT_STR(peer, "192.168.7.2");
    EXPECT_EQ(net_world_who(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer), 7);
    put_slice(&w, "trn");                        /* of ours only one that ends is left */
    settle(&w);
    EXPECT_EQ(net_world_who(w.net.out, SOCK_STREAM, "192.168.7.1", 30080, peer), 1);
    EXPECT_EQ(net_world_who(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer), 2);
    put_service(&w, "internalTrafficPolicy: Local");
    put_slice(&w, "rrn");
    settle(&w);
    EXPECT_EQ(net_world_who(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer), 1);
    EXPECT_EQ(net_world_who(w.net.out, SOCK_STREAM, "192.168.7.1", 30080, peer), 3);
    put_service(&w, "sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: "
                    "{timeoutSeconds: 60}}");
    put_slice(&w, "rrr");
    settle(&w);
    one = net_world_who(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer);
    EXPECT(one == 1 || one == 2 || one == 4);
    world_end(&w);
}

/* The Service `kubernetes`: its endpoint is the node itself, or another node. */
TEST(an_endpoint_that_is_no_pod)
{
    struct world w;
    char said[128];

    world_start(&w);
    net_box_serve(w.net.host, SOCK_STREAM, "192.168.7.1", 6443, "api");
    net_box_serve(w.net.out, SOCK_STREAM, "192.168.7.2", 6443, "other");
    fake_client_put(w.fake, "apiVersion: v1\nkind: Service\nmetadata: {name: kubernetes}\n"
                            "spec: {clusterIP: 10.43.0.1, clusterIPs: [10.43.0.1], "
                            "ports: [{name: https, port: 443, targetPort: 6443}]}\n");
    fake_client_put(w.fake, "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
                            "metadata: {name: kubernetes, labels: "
                            "{kubernetes.io/service-name: kubernetes}}\naddressType: IPv4\n"
                            "ports: [{name: https, port: 6443}]\n"
                            "endpoints: [{addresses: [192.168.7.1]}]\n");
    proxy_start(&w);
    EXPECT_STR(net_box_ask(w.net.pods[0], SOCK_STREAM, "10.43.0.1", 443, 2000, said),
               "api 10.42.0.2");
    net_box_ask(w.net.host, SOCK_STREAM, "10.43.0.1", 443, 2000, said);
    EXPECT(strncmp(said, "api ", 4) == 0);
    fake_client_edit(w.fake, kind_endpoint_slice(), "default", "kubernetes",
                     "endpoints: [{addresses: [192.168.7.2]}]");
    settle(&w);
    EXPECT_STR(net_box_ask(w.net.pods[0], SOCK_STREAM, "10.43.0.1", 443, 2000, said),
               "other 192.168.7.1");
    EXPECT_STR(net_box_ask(w.net.host, SOCK_STREAM, "10.43.0.1", 443, 2000, said),
               "other 192.168.7.1");
    world_end(&w);
}

/* A client asks all the time while the proxy goes, comes again and writes everything anew. */
TEST_SLOW(rules_outlive_the_proxy, 60)
{
    struct world w;
    int report[2], bad = -1, status = 0;
    pid_t client;

    world_start(&w);
    put_service(&w, "");
    put_slice(&w, "rrr");
    proxy_start(&w);
    EXPECT_EQ(pipe2(report, O_CLOEXEC), 0);
    client = fork();
    EXPECT(client >= 0);
    if (client == 0) {
        char said[128];
        int failed = 0;

        for (int i = 0; i < 2000; i++)
            failed += !net_box_ask(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 80, 3000, said)[0];
        _exit(write(report[1], &failed, sizeof(failed)) == sizeof(failed) ? 0 : 1);
    }
    close(report[1]);
    for (int i = 0; waitpid(client, &status, WNOHANG) == 0; i++) {
        w.proxy = proxy_free(w.proxy);
        put_slice(&w, i % 2 ? "rrr" : "rr-");    /* what changed meanwhile is seen at the start */
        proxy_start(&w);
    }
    EXPECT_EQ(read(report[0], &bad, sizeof(bad)), sizeof(bad));
    EXPECT_EQ(bad, 0);
    world_end(&w);
}

/* Has the table `other` its set still? Adding to it fails otherwise. */
static bool other_is_there(void)
{
    const uint32_t key = nft_ip(0x0a000001);
    struct nft_batch *b = nft_batch_new();
    struct netlink *nl = NULL;
    struct err err = ERR_INIT;
    bool there;

    nft_elem_add(b, "other", "set", &(struct nft_elem){ .key = &key, .key_fields = 1 });
    EXPECT_OK(netlink_open(&nl, NETLINK_BUS_NETFILTER, &err), &err);
    there = nft_batch_send(b, nl, &err) == 0;
    netlink_free(nl);
    nft_batch_free(b);
    return there;
}

TEST(tables_of_others)
{
    static const struct nft_set set = { .name = "set", .key = { NFT_FIELD_IP } };
    struct nft_batch *b = nft_batch_new();
    struct netlink *nl = NULL;
    struct err err = ERR_INIT;
    struct world w;
    char peer[128];

    world_start(&w);
    EXPECT(!other_is_there());
    nft_table_add(b, "other");
    nft_set_add(b, "other", &set);
    nft_chain_add(b, "other", "nat", &(struct nft_hook){ "nat", NFT_HOOK_PREROUTING, -150 });
    nft_chain_add(b, "other", "post", &(struct nft_hook){ "nat", NFT_HOOK_POSTROUTING, 200 });
    nft_chain_add(b, "other", "forward", &(struct nft_hook){ "filter", NFT_HOOK_FORWARD, 10 });
    nft_rule_begin(b, "other", "forward");       /* as a firewall does */
    nft_match_bit(b, NFT_INFO_CT_STATE, NFT_STATE_ESTABLISHED);
    nft_verdict(b, NFT_V_ACCEPT, NULL);
    nft_rule_end(b);
    EXPECT_OK(netlink_open(&nl, NETLINK_BUS_NETFILTER, &err), &err);
    EXPECT_OK(nft_batch_send(b, nl, &err), &err);
    put_service(&w, "");
    put_slice(&w, "rrr");
    proxy_start(&w);
    EXPECT_EQ(net_world_who(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer), 7);
    EXPECT(other_is_there());
    EXPECT_OK(proxy_cleanup(&err), &err);
    EXPECT_OK(proxy_cleanup(&err), &err);
    EXPECT_OK(pod_net_down(NET_WORLD_MS, &err), &err);
    EXPECT(other_is_there());
    netlink_free(nl);
    nft_batch_free(b);
    world_end(&w);
}

/* Somebody removes our table: the next change fails, and then everything is written anew. */
TEST(rules_that_somebody_removed_come_back)
{
    struct proxy_stats st;
    struct err err = ERR_INIT;
    struct world w;
    char peer[128];

    world_start(&w);
    put_service(&w, "");
    put_slice(&w, "rrr");
    proxy_start(&w);
    EXPECT_OK(proxy_cleanup(&err), &err);
    put_slice(&w, "rr-");
    settle(&w);
    EXPECT_EQ(net_world_who(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer), 3);
    proxy_stats(w.proxy, &st);
    EXPECT_EQ(st.failed, 1);
    EXPECT_EQ(st.applied_full, 2);
    world_end(&w);
}

/* Left by another version: a map with our name and another form, a chain that nobody needs. */
TEST(a_table_of_another_form)
{
    static const struct nft_set set = { .name = "services", .key = { NFT_FIELD_MARK } };
    struct nft_batch *b = nft_batch_new(), *none = nft_batch_new();
    struct netlink *nl = NULL;
    struct proxy_stats st;
    struct err err = ERR_INIT;
    struct world w;
    char peer[128];

    world_start(&w);
    nft_table_add(b, PROXY_TABLE);
    nft_set_add(b, PROXY_TABLE, &set);
    EXPECT_OK(netlink_open(&nl, NETLINK_BUS_NETFILTER, &err), &err);
    EXPECT_OK(nft_batch_send(b, nl, &err), &err);
    nft_batch_free(b);
    put_service(&w, "");
    put_slice(&w, "rrr");
    proxy_start(&w);
    proxy_stats(w.proxy, &st);
    EXPECT_EQ(st.failed, 1);
    EXPECT_EQ(net_world_who(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer), 7);

    w.proxy = proxy_free(w.proxy);
    b = nft_batch_new();
    nft_chain_add(b, PROXY_TABLE, "ip-out-77", NULL);
    EXPECT_OK(nft_batch_send(b, nl, &err), &err);
    EXPECT_OK(nft_chains_unused(none, nl, PROXY_TABLE, &err), &err);
    EXPECT(!nft_batch_empty(none));
    put_slice(&w, "rr-");                        /* and that of three endpoints is none too many */
    proxy_start(&w);
    none = nft_batch_free(none);
    none = nft_batch_new();
    EXPECT_OK(nft_chains_unused(none, nl, PROXY_TABLE, &err), &err);
    EXPECT(nft_batch_empty(none));
    EXPECT_EQ(net_world_who(w.net.pods[0], SOCK_STREAM, "10.43.0.7", 80, peer), 3);
    nft_batch_free(none);
    nft_batch_free(b);
    netlink_free(nl);
    world_end(&w);
}
