#include "tests/unit/core/control/control_box.h"

/* With the ordinary time until a silent node is Unknown. */
static void begin(struct box *b)
{
    box_init(b);
    b->opts.node_grace_ms = 0;
    box_restart(b);
}

static void put_node(struct box *b, const char *name, const char *ready)
{
    fake_client_put(b->f, arena_printf(b->a,
        "apiVersion: v1\nkind: Node\nmetadata: {name: %s}\n"
        "spec: {taints: [{key: node.kubernetes.io/not-ready, effect: NoSchedule}, "
        "{key: own, value: v, effect: NoSchedule}]}\n"
        "status: {conditions: [{type: Ready, status: '%s', reason: KubeletReady}]}\n",
        name, ready));
}

static void renew(struct box *b, const char *name)
{
    int64_t us = env_wall_us(&b->env.env);

    fake_client_put(b->f, arena_printf(b->a,
        "apiVersion: coordination.k8s.io/v1\nkind: Lease\n"
        "metadata: {name: %s, namespace: kube-node-lease}\n"
        "spec: {holderIdentity: %s, renewTime: '2026-01-01T%02d:%02d:%02d.000000Z'}\n", name, name,
        (int)(us / 3600000000 % 24), (int)(us / 60000000 % 60), (int)(us / 1000000 % 60)));
}

/* "key:effect ..." */
static const char *taints(struct box *b, const char *name)
{
    struct json *it;
    const char *out = "";

    json_each(it, json_path(box_tree(b, kind_node(), name), "spec.taints"))
        out = arena_printf(b->a, "%s%s:%s ", out, json_get_str(it, "key"), json_get_str(it,
                                                                                        "effect"));
    return out;
}

static const char *ready(struct box *b, const char *name)
{
    return box_condition(b, kind_node(), name, "Ready");
}

TEST(taints_follow_conditions)
{
    struct box b;

    begin(&b);
    put_node(&b, "n1", "False");
    put_node(&b, "n2", "True");
    fake_client_pass(b.f, &b.env, 200, 10);
    EXPECT_STR(taints(&b, "n2"), "own:NoSchedule ");
    EXPECT_STR(taints(&b, "n1"), "own:NoSchedule node.kubernetes.io/not-ready:NoSchedule "
                                 "node.kubernetes.io/not-ready:NoExecute ");
    fake_client_edit(b.f, kind_node(), "", "n1",
                     "{spec: {unschedulable: true}, status: {conditions: "
                     "[{type: Ready, status: 'True'}, {type: DiskPressure, status: 'True'}]}}");
    fake_client_pass(b.f, &b.env, 200, 10);
    EXPECT_STR(taints(&b, "n1"), "own:NoSchedule node.kubernetes.io/disk-pressure:NoSchedule "
                                 "node.kubernetes.io/unschedulable:NoSchedule ");
    box_deinit(&b);
}

TEST(silent_node_is_unknown)
{
    struct box b;

    begin(&b);
    put_node(&b, "n1", "True");
    put_node(&b, "n2", "True");
    fake_client_put(b.f, "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n"
                         "spec: {nodeName: n1, containers: [{name: c, image: x}]}\n");
    box_ready(&b, "p", true);
    for (int i = 0; i < 20; i++) {                       /* 100 s: the lease keeps it alive */
        renew(&b, "n1");
        renew(&b, "n2");
        fake_client_pass(b.f, &b.env, 5000, 500);
    }
    EXPECT_STR(ready(&b, "n1"), "True KubeletReady");
    for (int i = 0; i < 9; i++) {                        /* 45 s, after 5 */
        renew(&b, "n2");
        fake_client_pass(b.f, &b.env, 5000, 500);
    }
    EXPECT_STR(ready(&b, "n1"), "Unknown NodeStatusUnknown");
    EXPECT_STR(ready(&b, "n2"), "True KubeletReady");
    EXPECT_STR(taints(&b, "n1"), "own:NoSchedule node.kubernetes.io/unreachable:NoSchedule "
                                 "node.kubernetes.io/unreachable:NoExecute ");
    EXPECT_STR(box_condition(&b, kind_node(), "n1", "MemoryPressure"),
               "Unknown NodeStatusNeverUpdated");
    EXPECT_MEM(box_condition(&b, kind_pod(), "p", "Ready"), "False", 5);
    EXPECT(strstr(box_events(&b, "n1"), "NodeNotReady: Node n1 status is now: NodeNotReady"));
    fake_client_edit(b.f, kind_node(), "", "n1",
                     "status: {conditions: [{type: Ready, status: 'True', reason: KubeletReady}]}");
    fake_client_pass(b.f, &b.env, 1000, 100);
    EXPECT_STR(taints(&b, "n1"), "own:NoSchedule ");
    box_deinit(&b);
}

/* All are away: nobody is evicted. */
TEST(no_eviction_when_all_are_away)
{
    struct box b;

    begin(&b);
    put_node(&b, "n1", "True");
    put_node(&b, "n2", "True");
    fake_client_pass(b.f, &b.env, 60000, 1000);
    EXPECT_STR(taints(&b, "n1"), "own:NoSchedule node.kubernetes.io/unreachable:NoSchedule ");
    EXPECT_STR(taints(&b, "n2"), "own:NoSchedule node.kubernetes.io/unreachable:NoSchedule ");
    box_deinit(&b);
}

TEST(one_node_after_the_other)
{
    struct box b;

    begin(&b);
    put_node(&b, "n1", "False");
    put_node(&b, "n2", "False");
    put_node(&b, "n3", "True");
    put_node(&b, "n4", "True");
    fake_client_pass(b.f, &b.env, 1000, 100);
    EXPECT(!!strstr(taints(&b, "n1"), "NoExecute") != !!strstr(taints(&b, "n2"), "NoExecute"));
    fake_client_pass(b.f, &b.env, 11000, 1000);
    EXPECT(strstr(taints(&b, "n1"), "NoExecute") && strstr(taints(&b, "n2"), "NoExecute"));
    box_deinit(&b);
}

TEST(rests_while_leases_are_renewed)
{
    struct box b;
    size_t writes;

    begin(&b);
    put_node(&b, "n1", "True");
    renew(&b, "n1");
    fake_client_pass(b.f, &b.env, 1000, 100);
    writes = fake_client_writes(b.f);
    for (int i = 0; i < 100; i++) {
        renew(&b, "n1");
        fake_client_pass(b.f, &b.env, 10000, 1000);
    }
    EXPECT_EQ(fake_client_writes(b.f), writes);
    box_deinit(&b);
}
