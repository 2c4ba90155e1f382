/* Preemption: who has to go, what is said, and that nobody lower takes the room. */
#include "tests/unit/core/sched/sched_box.h"

static bool gone(struct sched_box *b, const char *name)
{
    struct object *o = fake_client_get(b->fake, kind_pod(), "default", name);

    return !o || object_is_deleting(o);
}

static bool is_victim(struct sched_box *b, const char *name)
{
    const struct pod_view *v = box_view(b, name);

    for (unsigned i = 0; i < v->status.n_conditions; i++) {
        if (str_eq(v->status.conditions[i].type, "DisruptionTarget"))
            return str_eq(v->status.conditions[i].reason, "PreemptionByScheduler");
    }
    return false;
}

TEST(makes_room)
{
    struct sched_box b;

    box_open(&b);
    box_node(&b, "n1", "", "");
    box_start(&b);
    box_pod(&b, "low", "", "cpu: 3", "priority: 1");
    fake_client_run(b.fake);
    box_pod(&b, "high", "", "cpu: 3", "priority: 10");
    fake_client_run(b.fake);
    EXPECT(gone(&b, "low") && is_victim(&b, "low"));
    EXPECT_STR(box_node_of(&b, "high"), "");
    EXPECT_STR(box_view(&b, "high")->status.nominated_node_name, "n1");
    EXPECT_STR(box_why(&b, "high"), "0/1 nodes are available: 1 Insufficient cpu.");
    box_pod(&b, "thief", "", "cpu: 1", "priority: 9");   /* fits today, but not beside "high" */
    box_pod(&b, "small", "", "cpu: 1", "priority: 9");
    fake_client_run(b.fake);
    fake_client_drop(b.fake, kind_pod(), "default", "low");
    box_pass(&b, 12000);
    EXPECT_STR(box_node_of(&b, "high"), "n1");
    EXPECT(*box_node_of(&b, "thief") || *box_node_of(&b, "small"));
    EXPECT(!*box_node_of(&b, "thief") || !*box_node_of(&b, "small"));
    box_close(&b);
}

/* The node whose loss is least: lower victims first, then fewer. */
TEST(least_loss)
{
    struct sched_box b;

    box_open(&b);
    for (int i = 1; i <= 3; i++) {
        char name[8], spec[64];

        snprintf(name, sizeof(name), "n%d", i);
        box_node(&b, name, "", "");
        snprintf(spec, sizeof(spec), "priority: %d, nodeName: n%d", i == 2 ? 1 : 5, i);
        snprintf(name, sizeof(name), "p%d", i);
        box_pod(&b, name, "", "cpu: 4", spec);
    }
    box_start(&b);
    box_pod(&b, "high", "", "cpu: 2", "priority: 10");
    fake_client_run(b.fake);
    EXPECT(gone(&b, "p2"));
    EXPECT(!gone(&b, "p1") && !gone(&b, "p3"));
    EXPECT_STR(box_view(&b, "high")->status.nominated_node_name, "n2");
    box_close(&b);
}

/* Only as many as needed, the least important ones. */
TEST(reprieve)
{
    struct sched_box b;

    box_open(&b);
    box_node(&b, "n1", "", "");
    box_pod(&b, "a", "", "cpu: 1", "priority: 3, nodeName: n1");
    box_pod(&b, "b", "", "cpu: 1", "priority: 1, nodeName: n1");
    box_pod(&b, "c", "", "cpu: 2", "priority: 2, nodeName: n1");
    box_start(&b);
    box_pod(&b, "high", "", "cpu: 1", "priority: 10");
    fake_client_run(b.fake);
    EXPECT(gone(&b, "b"));
    EXPECT(!gone(&b, "a") && !gone(&b, "c"));
    box_close(&b);
}

TEST(what_is_said)
{
    struct sched_box b;

    box_open(&b);
    box_node(&b, "n1", "", "");
    box_node(&b, "n2", "", "unschedulable: true");
    box_pod(&b, "a", "", "cpu: 3", "priority: 5, nodeName: n1");
    box_start(&b);
    box_pod(&b, "equal", "", "cpu: 3", "priority: 5");
    box_pod(&b, "huge", "", "cpu: 5", "priority: 9");
    box_pod(&b, "meek", "", "cpu: 3", "priority: 9, preemptionPolicy: Never");
    fake_client_run(b.fake);
    EXPECT_STR(box_why(&b, "equal"), "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were "
               "unschedulable. no new claims to deallocate, preemption: 0/2 nodes are available: "
               "1 No preemption victims found for incoming pod, "
               "1 Preemption is not helpful for scheduling.");
    EXPECT_STR(box_why(&b, "huge"), "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were "
               "unschedulable. no new claims to deallocate, preemption: 0/2 nodes are available: "
               "2 Preemption is not helpful for scheduling.");
    EXPECT_STR(box_why(&b, "meek"), "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were "
               "unschedulable. no new claims to deallocate, preemption: not eligible due to "
               "preemptionPolicy=Never.");
    EXPECT(!gone(&b, "a"));
    box_close(&b);
}

/* Rules about other pods are seen anew without the victims. */
TEST(anti_affinity)
{
    struct sched_box b;

    box_open(&b);
    box_node(&b, "n1", "", "");
    box_pod(&b, "a", "labels: {app: w}", "", "priority: 1, nodeName: n1");
    box_pod(&b, "b", "", "", "priority: 1, nodeName: n1");
    box_start(&b);
    box_pod(&b, "high", "", "", "priority: 10, affinity: {podAntiAffinity: "
            "{requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: "
            "kubernetes.io/hostname, labelSelector: {matchLabels: {app: w}}}]}}");
    fake_client_run(b.fake);
    EXPECT(gone(&b, "a"));
    EXPECT(!gone(&b, "b"));
    box_close(&b);
}

/* A new scheduler keeps the room that the former one made. */
TEST(restart)
{
    struct sched_box b;

    box_open(&b);
    box_node(&b, "n1", "", "");
    box_start(&b);
    box_pod(&b, "low", "", "cpu: 3", "priority: 1");
    fake_client_run(b.fake);
    box_pod(&b, "high", "", "cpu: 3", "priority: 10");
    fake_client_run(b.fake);
    b.sched = sched_free(b.sched);
    fake_client_drop(b.fake, kind_pod(), "default", "low");
    box_pod(&b, "thief", "", "cpu: 3", "priority: 9");
    box_start(&b);
    box_pass(&b, 3000);
    EXPECT_STR(box_node_of(&b, "high"), "n1");
    EXPECT_STR(box_node_of(&b, "thief"), "");
    box_close(&b);
}
