/* test_net_dns.c -- the name server as a pod sees it: at the cluster's address, in a network that
 * leads nowhere else. */
#include <fcntl.h>

#include "cmd/box/box_dns.h"
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "net/dns/dns.h"
#include "net/pod/pod_net.h"
#include "tests/fake/fake_client.h"
#include "tests/sandbox/net_box.h"

TEST_VERB(dns_netns, POD_NET_VERB, pod_net_verb_main)

#define TEN_S 10000
#define AT_ONCE_MS 1500                  /* less than the time given to a server of the host */

static const char objects[] =
    "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: default}\n"
    "spec: {clusterIP: 10.43.0.7, clusterIPs: [10.43.0.7], ports: [{name: http, port: 80}]}\n"
    "---\n"
    "apiVersion: v1\nkind: Service\nmetadata: {name: many, namespace: default}\n"
    "spec: {clusterIP: None, clusterIPs: [None], ports: [{name: http, port: 80}]}\n";

static void put_many(struct fake_client *f)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    buf_str(&b, "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: many-1, "
                "namespace: default, labels: {kubernetes.io/service-name: many}}\n"
                "addressType: IPv4\nendpoints:\n");
    for (int i = 2; i < 202; i++)
        buf_fmt(&b, "- {addresses: [10.42.7.%d]}\n", i);
    fake_client_put(f, b.p);
}

static _Noreturn void serve(const char *resolv_conf, int ready)
{
    struct dns_server_opts o = { .listen_ip = "10.43.0.10", .udp_fd = -1, .tcp_fd = -1,
                                 .resolv_conf = resolv_conf };
    struct dns_server *s = NULL;
    struct loop *l = NULL;
    struct fake_client *f;
    struct err err = ERR_INIT;

    if (loop_new(&l, env_real(), &err) < 0)
        _exit(2);
    f = fake_client_new(l);
    fake_client_put(f, objects);
    put_many(f);
    if (dns_server_new(&s, l, fake_client_door(f), &o, &err) < 0)
        _exit(3);
    while (!dns_server_ready(s))
        loop_step(l, 10);
    if (write(ready, "r", 1) != 1)
        _exit(4);
    loop_run(l);
    _exit(0);
}

/* A host with one pod and the server; gives the pod's namespace. This process is in it after. */
static void start(const char *servers)
{
    _cleanup_(mem_freep) char *ledger = mem_printf("%s/ledger", test_tmpdir());
    _cleanup_(mem_freep) char *conf = mem_printf("%s/resolv.conf", test_tmpdir());
    struct pod_net_opts opts = { .ledger = ledger };
    struct pod_net *net = NULL;
    struct pod_net_node node;
    struct pod_net_lease lease;
    struct err err = ERR_INIT;
    int pod = net_box_new(), ready[2];
    char path[64], c;

    net_box_here();
    EXPECT_OK(fd_write_file(AT_FDCWD, conf, servers, strlen(servers), 0644, &err), &err);
    EXPECT_OK(pod_net_new(&net, &opts, &err), &err);
    EXPECT_OK(pod_net_node_init(&node, net, NULL, NULL, &err), &err);
    EXPECT_OK(pod_net_up(&node, TEN_S, &err), &err);
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), pod);
    EXPECT_OK(pod_net_reserve(net, "uid", &lease, &err), &err);
    EXPECT_OK(pod_net_attach(&lease, path, TEN_S, &err), &err);
    pod_net_free(net);
    EXPECT_EQ(pipe2(ready, O_CLOEXEC), 0);
    if (fork() == 0)
        serve(conf, ready[1]);
    close(ready[1]);
    EXPECT_EQ(read(ready[0], &c, 1), 1);
    close(ready[0]);
    net_box_enter(pod);
}

static const struct box_dns_answer *dig(const char *name, uint16_t type)
{
    static struct box_dns_answer a;
    static uint8_t packet[65536];
    struct sockaddr_storage server = { 0 };
    struct sockaddr_in at = net_box_addr("10.43.0.10", 53);
    struct err err = ERR_INIT;

    memcpy(&server, &at, sizeof(at));
    EXPECT_OK(box_dns_ask(&a, packet, &server, name, type, AT_ONCE_MS, &err), &err);
    return &a;
}

static const char *shown(const struct box_dns_answer *a, size_t i)
{
    static char text[512];

    EXPECT(i < a->n);
    box_dns_show(text, sizeof(text), a, &a->v[i]);
    return text;
}

TEST(a_pod_asks)
{
    const struct box_dns_answer *a;

    start("");
    a = dig("web.default.svc.cluster.local", BOX_DNS_A);
    EXPECT_EQ(a->rcode, 0);
    EXPECT_STR(shown(a, 0), "10.43.0.7");
    a = dig("_http._tcp.web.default.svc.cluster.local", BOX_DNS_SRV);
    EXPECT_STR(shown(a, 0), "0 100 80 web.default.svc.cluster.local.");
    a = dig("7.0.43.10.in-addr.arpa", BOX_DNS_PTR);
    EXPECT_STR(shown(a, 0), "web.default.svc.cluster.local.");
    a = dig("dns-version.cluster.local", BOX_DNS_TXT);
    EXPECT_STR(shown(a, 0), "\"1.1.0\"");
    a = dig("web.default.svc.cluster.local", BOX_DNS_AAAA);
    EXPECT_EQ(a->rcode, 0);
    EXPECT_EQ(a->counts[1], 0);
    EXPECT_EQ(a->counts[2], 1);
    EXPECT_EQ(dig("wep.default.svc.cluster.local", BOX_DNS_A)->rcode, 3);
    a = dig("many.default.svc.cluster.local", BOX_DNS_A);        /* too many for UDP */
    EXPECT(!a->truncated);
    EXPECT_EQ(a->counts[1], 200);
}

TEST(no_resolver_and_no_way_out_are_told_at_once)
{
    start("");
    EXPECT_EQ(dig("example.com", BOX_DNS_A)->rcode, 2);
}

TEST(a_resolver_that_cannot_be_reached_is_told_at_once)
{
    start("nameserver 192.0.2.1\nnameserver 2001:db8::1\nnameserver 127.0.0.1\n"
          "nameserver 10.43.0.10\n");
    EXPECT_EQ(dig("example.com", BOX_DNS_A)->rcode, 2);
    EXPECT_EQ(dig("example.com", BOX_DNS_AAAA)->rcode, 2);
    EXPECT_EQ(dig("web.default.svc.cluster.local", BOX_DNS_A)->rcode, 0);
}

/* Questions with random bytes changed, over both transports; good ones in between. */
TEST(broken_packets)
{
    struct sockaddr_in at = net_box_addr("10.43.0.10", 53);
    uint8_t q[514], good[512];
    int udp, tcp, len;
    struct err err = ERR_INIT;

    start("");
    udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(udp, (struct sockaddr *)&at, sizeof(at)), 0);
    len = box_dns_question(good, 7, "_http._tcp.web.default.svc.cluster.local", BOX_DNS_SRV, &err);
    EXPECT(len > 0);
    for (int i = 0; i < 20000; i++) {
        memcpy(q + 2, good, (size_t)len);
        for (int n = rand() % 6; n >= 0; n--)
            q[2 + rand() % len] = (uint8_t)rand();
        send(udp, q + 2, (size_t)(rand() % 4 ? len : rand() % len), MSG_DONTWAIT);
        if (i % 100 == 0)                /* so that no question is lost in a full buffer */
            EXPECT_EQ(dig("web.default.svc.cluster.local", BOX_DNS_A)->rcode, 0);
        if (i % 20)
            continue;
        tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        EXPECT_EQ(connect(tcp, (struct sockaddr *)&at, sizeof(at)), 0);
        q[0] = 0;
        q[1] = (uint8_t)(rand() % 3 ? len : rand());
        send(tcp, q, (size_t)len + 2, MSG_NOSIGNAL);
        close(tcp);
    }
    close(udp);
    EXPECT_STR(shown(dig("web.default.svc.cluster.local", BOX_DNS_A), 0), "10.43.0.7");
}
