/* test_node_object.c -- registering, status, lease, Events: what is written, and how often. */
#include <sys/stat.h>

#include "gen/views.h"
#include "runtime/node/node_conf.h"
#include "runtime/node/node_event.h"
#include "runtime/node/node_object.h"
#include "tests/fake/fake_client.h"
#include "tests/fake/fake_env.h"
#include "tests/harness/test.h"

struct bench {
    struct fake_env env;
    struct loop *loop;
    struct fake_client *f;
    struct job_pool *jobs;
    struct node_conf conf;
    struct node_self self;
    struct node_object *n;
    char cidr[64];
};

static void on_cidr(void *ctx, const char *cidr)
{
    struct bench *b = ctx;

    snprintf(b->cidr, sizeof(b->cidr), "%s", cidr);
}

static void start(struct bench *b)
{
    struct err err = ERR_INIT;

    EXPECT_OK(node_object_new(&b->n, &b->self, &(struct node_object_opts){ on_cidr, b }, &err),
              &err);
}

static void init(struct bench *b)
{
    static const char *const labels[] = { "zone=a", NULL }, *const taints[] = { "k=v:NoSchedule",
                                                                                NULL };
    struct err err = ERR_INIT;

    *b = (struct bench){ 0 };
    fake_env_init(&b->env, 5);
    EXPECT_OK(loop_new(&b->loop, &b->env.env, &err), &err);
    EXPECT_OK(job_pool_new(&b->jobs, 0, (unsigned[JOB_CLASS_MAX]){ 0 }, &err), &err);
    b->f = fake_client_new(b->loop);
    EXPECT_OK(node_conf_init(&b->conf, &(struct node_opts){
        .name = "n1", .ip = "192.0.2.1", .data_dir = test_tmpdir(), .run_dir = test_tmpdir(),
        .labels = labels, .taints = taints }, &err), &err);
    b->self = (struct node_self){ .loop = b->loop, .clock = &b->env.env, .jobs = b->jobs,
                                  .client = fake_client_door(b->f), .conf = &b->conf };
    start(b);
}

static void deinit(struct bench *b)
{
    node_object_free(b->n);
    fake_client_run(b->f);
    EXPECT_EQ(b->self.held, 0);
    fake_client_free(b->f);
    job_pool_free(b->jobs);
    loop_free(b->loop);
    node_conf_deinit(&b->conf);
}

static const struct node_view *see(struct bench *b)
{
    struct object *o = fake_client_get(b->f, kind_node(), "", "n1");

    return o ? node_view(o) : NULL;
}

static const struct node_condition_view *condition(struct bench *b, const char *type)
{
    const struct node_view *v = see(b);

    for (unsigned i = 0; i < v->status.n_conditions; i++)
        if (str_eq(v->status.conditions[i].type, type))
            return &v->status.conditions[i];
    return NULL;
}

TEST(registers_and_says_ready)
{
    struct bench b;
    const struct node_view *v;

    init(&b);
    fake_client_run(b.f);
    v = see(&b);
    EXPECT(v);
    EXPECT_STR(view_map_get(&v->metadata.labels, "kubernetes.io/os"), "linux");
    EXPECT_STR(view_map_get(&v->metadata.labels, "kubernetes.io/hostname"), "n1");
    EXPECT_STR(view_map_get(&v->metadata.labels, "zone"), "a");
    EXPECT_STR(v->spec.taints[0].key, "k");
    EXPECT_STR(v->spec.taints[0].effect, "NoSchedule");
    EXPECT_STR(v->status.addresses[0].address, "192.0.2.1");
    EXPECT_EQ(v->status.daemon_endpoints.kubelet_endpoint.port, NODE_PORT);
    EXPECT(view_map_get(&v->status.capacity, "cpu"));
    EXPECT_STR(view_map_get(&v->status.allocatable, "pods"), "110");
    EXPECT_STR(condition(&b, "Ready")->status, "True");
    EXPECT_STR(condition(&b, "MemoryPressure")->reason, "KubeletHasSufficientMemory");
    EXPECT(node_object_says_ready(b.n));
    fake_client_edit(b.f, kind_node(), "", "n1", "{spec: {podCIDR: 10.42.3.0/24}}");
    fake_client_run(b.f);
    EXPECT_STR(b.cidr, "10.42.3.0/24");
    deinit(&b);
}

TEST(trouble_is_told_at_once)
{
    struct bench b;

    init(&b);
    fake_client_run(b.f);
    node_object_set_trouble(b.n, "no network");
    EXPECT(!node_object_says_ready(b.n));
    fake_client_run(b.f);
    EXPECT_STR(condition(&b, "Ready")->status, "False");
    EXPECT_STR(condition(&b, "Ready")->message, "no network");
    EXPECT_STR(condition(&b, "Ready")->reason, "KubeletNotReady");
    deinit(&b);
}

TEST(a_quiet_node_writes_little)
{
    struct bench b;
    size_t before;

    init(&b);
    fake_client_run(b.f);
    before = fake_client_calls(b.f, CLIENT_PATCH_STRATEGIC, kind_node());
    fake_client_pass(b.f, &b.env, 290000, 500);
    EXPECT_EQ(fake_client_calls(b.f, CLIENT_PATCH_STRATEGIC, kind_node()), before);
    fake_client_pass(b.f, &b.env, 20000, 500);
    EXPECT_EQ(fake_client_calls(b.f, CLIENT_PATCH_STRATEGIC, kind_node()), before + 1);
    EXPECT(fake_client_calls(b.f, CLIENT_PATCH_MERGE, kind_lease()) >= 30);
    EXPECT(fake_client_calls(b.f, CLIENT_PATCH_MERGE, kind_lease()) <= 33);
    EXPECT_EQ(lease_view(fake_client_get(b.f, kind_lease(), "kube-node-lease", "n1"))
                  ->spec.lease_duration_seconds, NODE_LEASE_S);
    deinit(&b);
}

TEST(the_heartbeat_is_a_setting)
{
    struct bench b;

    init(&b);
    b.conf.heartbeat_ms = 1000;
    fake_client_run(b.f);
    fake_client_pass(b.f, &b.env, 30000, 100);
    EXPECT(fake_client_calls(b.f, CLIENT_PATCH_MERGE, kind_lease()) >= 25);
    deinit(&b);
}

TEST(a_node_that_is_there_is_taken_up)
{
    struct bench b;

    init(&b);
    fake_client_put(b.f, "apiVersion: v1\nkind: Node\nmetadata: {name: n1, labels: {mine: 'yes'}}\n"
                         "spec: {podCIDR: 10.42.9.0/24}\n");
    fake_client_run(b.f);
    EXPECT_STR(view_map_get(&see(&b)->metadata.labels, "mine"), "yes");
    EXPECT_STR(view_map_get(&see(&b)->metadata.labels, "zone"), "a");
    EXPECT_STR(condition(&b, "Ready")->status, "True");
    EXPECT_STR(b.cidr, "10.42.9.0/24");
    deinit(&b);
}

TEST(a_deleted_node_comes_back)
{
    struct bench b;

    init(&b);
    fake_client_run(b.f);
    fake_client_drop(b.f, kind_node(), "", "n1");
    fake_client_pass(b.f, &b.env, 3000, 500);
    EXPECT(see(&b));
    EXPECT_STR(condition(&b, "Ready")->status, "True");
    deinit(&b);
}

TEST(the_server_may_be_away)
{
    struct bench b;

    init(&b);
    fake_client_fail(b.f, CLIENT_CREATE, kind_node(), 3, 503);
    fake_client_fail(b.f, CLIENT_PATCH_STRATEGIC, kind_node(), 2, 500);
    fake_client_fail(b.f, CLIENT_CREATE, kind_lease(), 2, 500);
    fake_client_pass(b.f, &b.env, 15000, 100);
    EXPECT_STR(condition(&b, "Ready")->status, "True");
    EXPECT(fake_client_get(b.f, kind_lease(), "kube-node-lease", "n1"));
    deinit(&b);
}

/* --- Events */

static size_t events(struct bench *b)
{
    return fake_client_count(b->f, kind_event());
}

TEST(equal_events_are_counted)
{
    struct bench b;
    struct node_events *e;
    struct node_event_about about = { .warning = true, .field = "spec.containers{c}" };
    struct object *o;
    size_t at = 0;

    init(&b);
    fake_client_run(b.f);
    about.object = fake_client_put(b.f, "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n"
                                        "spec: {containers: [{name: c, image: x}]}\n");
    e = node_events_new(b.self.client, "n1");
    for (int i = 0; i < 5; i++) {
        node_events_add(e, &about, "BackOff", "again %s", "and again");
        fake_client_run(b.f);
    }
    EXPECT_EQ(events(&b), 1);
    o = fake_client_next(b.f, kind_event(), &at);
    EXPECT_EQ(event_view(o)->count, 5);
    EXPECT_STR(event_view(o)->type, "Warning");
    EXPECT_STR(event_view(o)->message, "again and again");
    EXPECT_STR(event_view(o)->involved_object.field_path, "spec.containers{c}");
    EXPECT_STR(event_view(o)->source.component, "kubelet");
    fake_client_pass(b.f, &b.env, 700000, 10000);        /* long ago: a new one */
    node_events_add(e, &about, "BackOff", "again %s", "and again");
    fake_client_run(b.f);
    EXPECT_EQ(events(&b), 2);
    node_events_free(e);
    deinit(&b);
}

TEST(a_loud_pod_is_cut_off)
{
    struct bench b;
    struct node_events *e;
    struct node_event_about about = { 0 };

    init(&b);
    fake_client_run(b.f);
    about.object = fake_client_put(b.f, "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n"
                                        "spec: {containers: [{name: c, image: x}]}\n");
    e = node_events_new(b.self.client, "n1");
    for (int i = 0; i < 40; i++) {
        node_events_add(e, &about, "Loud", "number %d", i);
        fake_client_run(b.f);
    }
    EXPECT_EQ(events(&b), 25);
    fake_client_pass(b.f, &b.env, 301000, 10000);
    node_events_add(e, &about, "Loud", "once more");
    fake_client_run(b.f);
    EXPECT_EQ(events(&b), 26);
    node_events_free(e);
    deinit(&b);
}
