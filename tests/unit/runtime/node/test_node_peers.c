/* test_node_peers.c -- from Node objects to the list of peers: when it is set, and to what. */
#include "core/client/informer.h"
#include "core/object/kind.h"
#include "runtime/node/node_conf.h"
#include "runtime/node/node_peers.h"
#include "tests/fake/fake_client.h"
#include "tests/fake/fake_env.h"
#include "tests/harness/test.h"

/* What the last call was given. */
static struct {
    struct pod_net_node node;
    struct pod_net_peer peers[8];
    unsigned n, calls, fail;
} kernel;

static int set_peers(const struct pod_net_node *node, const struct pod_net_peer *peers, unsigned n,
                     int64_t deadline_ms, struct err *err)
{
    (void)deadline_ms;
    kernel.calls++;
    if (kernel.fail && kernel.fail--)
        return err_set(err, ERR_SYSTEM, "no");
    kernel.node = *node;
    kernel.n = n;
    for (unsigned i = 0; i < n && i < ARRAY_LEN(kernel.peers); i++)
        kernel.peers[i] = peers[i];
    return 0;
}

static const struct node_kernel fake_kernel = { .net_set_peers = set_peers };

struct bench {
    struct fake_env env;
    struct loop *loop;
    struct fake_client *f;
    struct job_pool *jobs;
    struct informer *nodes;
    struct node_conf conf;
    struct node_self self;
    struct node_peers *peers;
};

static void init(struct bench *b)
{
    _cleanup_(mem_freep) char *ledger = mem_printf("%s/addresses", test_tmpdir());
    struct informer_opts opts = { .kind = kind_node() };
    struct err err = ERR_INIT;

    memset(&kernel, 0, sizeof(kernel));
    *b = (struct bench){ 0 };
    fake_env_init(&b->env, 5);
    EXPECT_OK(loop_new(&b->loop, &b->env.env, &err), &err);
    EXPECT_OK(job_pool_new(&b->jobs, 0, (unsigned[JOB_CLASS_MAX]){ 0 }, &err), &err);
    b->f = fake_client_new(b->loop);
    EXPECT_OK(node_conf_init(&b->conf, &(struct node_opts){
        .name = "n1", .ip = "192.0.2.1", .data_dir = test_tmpdir(), .run_dir = test_tmpdir(),
        .flannel_backend = "host-gw" }, &err), &err);
    b->self = (struct node_self){ .loop = b->loop, .clock = &b->env.env, .jobs = b->jobs,
                                  .client = fake_client_door(b->f), .conf = &b->conf,
                                  .kernel = &fake_kernel };
    EXPECT_OK(pod_net_new(&b->self.net, &(struct pod_net_opts){ .ledger = ledger }, &err), &err);
    EXPECT_OK(informer_new(&b->nodes, b->self.client, &opts, &err), &err);
    b->peers = node_peers_new(&b->self, b->nodes);
}

static void deinit(struct bench *b)
{
    node_peers_free(b->peers);
    informer_free(b->nodes);
    fake_client_run(b->f);
    pod_net_free(b->self.net);
    node_conf_deinit(&b->conf);
    job_pool_free(b->jobs);
    fake_client_free(b->f);
    loop_free(b->loop);
}

static void pass(struct bench *b, int64_t ms)
{
    fake_client_pass(b->f, &b->env, ms, 50);
}

static void put_node(struct bench *b, const char *name, const char *cidr, const char *ip)
{
    char text[256];

    snprintf(text, sizeof(text), "apiVersion: v1\nkind: Node\nmetadata: {name: %s}\n"
             "spec: {podCIDR: \"%s\"}\nstatus: {addresses: [{type: Hostname, address: x}, "
             "{type: InternalIP, address: \"%s\"}]}\n", name, cidr, ip);
    fake_client_put(b->f, text);
}

TEST(all_others_once)
{
    _cleanup_(deinit) struct bench b;

    init(&b);
    put_node(&b, "n1", "10.42.0.0/24", "192.0.2.1");
    put_node(&b, "n2", "10.42.1.0/24", "192.0.2.2");
    put_node(&b, "n3", "10.42.2.0/24", "");          /* no address yet */
    put_node(&b, "n4", "", "192.0.2.4");             /* no pods yet */
    pass(&b, 1000);
    EXPECT_EQ(kernel.calls, 0);                      /* no network yet */
    b.self.network_ready = true;
    node_peers_touch(b.peers);
    pass(&b, 1000);
    EXPECT_EQ(kernel.calls, 1);
    EXPECT_EQ(kernel.n, 1);
    EXPECT_STR(kernel.peers[0].pod_cidr, "10.42.1.0/24");
    EXPECT_STR(kernel.peers[0].node_ip, "192.0.2.2");
    EXPECT_EQ(kernel.node.backend, POD_NET_HOST_GW);
    EXPECT_STR(kernel.node.node_ip, "192.0.2.1");

    put_node(&b, "n1", "10.42.0.0/24", "192.0.2.1");     /* nothing that matters */
    pass(&b, 1000);
    EXPECT_EQ(kernel.calls, 1);
    put_node(&b, "n4", "10.42.3.0/24", "192.0.2.4");
    pass(&b, 1000);
    EXPECT_EQ(kernel.calls, 2);
    EXPECT_EQ(kernel.n, 2);
    fake_client_drop(b.f, kind_node(), "", "n2");
    pass(&b, 1000);
    EXPECT_EQ(kernel.n, 1);
    EXPECT_STR(kernel.peers[0].node_ip, "192.0.2.4");
}

TEST(nothing_before_the_api_named_all)
{
    _cleanup_(deinit) struct bench b;

    init(&b);
    put_node(&b, "n2", "10.42.1.0/24", "192.0.2.2");
    b.self.network_ready = true;
    node_peers_touch(b.peers);
    fake_env_advance(&b.env, 1000);
    for (int i = 0; !informer_synced(b.nodes); i++) {
        EXPECT_EQ(kernel.calls, 0);
        EXPECT(i < 100);
        loop_step(b.loop, 0);
        fake_env_advance(&b.env, 1000);
    }
    pass(&b, 1000);
    EXPECT_EQ(kernel.calls, 1);
    EXPECT_EQ(kernel.n, 1);
}

TEST(again_after_a_failure_and_with_another_network_of_its_own)
{
    _cleanup_(deinit) struct bench b;
    struct err err = ERR_INIT;

    init(&b);
    put_node(&b, "n2", "10.42.1.0/24", "192.0.2.2");
    b.self.network_ready = true;
    kernel.fail = 2;
    node_peers_touch(b.peers);
    pass(&b, 10000);
    EXPECT_EQ(kernel.calls, 3);
    EXPECT_EQ(kernel.n, 1);
    EXPECT_OK(pod_net_set_cidr(b.self.net, "10.42.7.0/24", &err), &err);
    node_peers_touch(b.peers);
    pass(&b, 1000);
    EXPECT_EQ(kernel.calls, 4);
    EXPECT_STR(kernel.node.pod_cidr, "10.42.7.0/24");
}
