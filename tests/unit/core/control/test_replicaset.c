#include "tests/unit/core/control/control_box.h"

#define SET \
    "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: r}\nspec:\n  replicas: %d\n" \
    "  selector: {matchLabels: {app: foo}}\n  template:\n    metadata: {labels: {app: foo}}\n" \
    "    spec: {containers: [{name: c, image: inro.local/box}]}\n"

static void put_set(struct box *b, int replicas)
{
    fake_client_put(b->f, arena_printf(b->a, SET, replicas));
}

static void scale(struct box *b, int replicas)
{
    fake_client_edit(b->f, kind_replica_set(), "default", "r",
                     arena_printf(b->a, "spec: {replicas: %d}", replicas));
}

TEST(creates_and_counts)
{
    struct box b;
    struct object *pod;
    size_t at = 0;

    box_init(&b);
    put_set(&b, 3);
    box_settle(&b);
    EXPECT_EQ(box_pods(&b, "foo"), 3);
    pod = fake_client_next(b.f, kind_pod(), &at);
    EXPECT_MEM(object_name(pod), "r-", 2);
    EXPECT_STR(object_controller(pod)->name, "r");
    EXPECT(object_controller(pod)->block_deletion);
    EXPECT_EQ(box_int(&b, kind_replica_set(), "r", "status.replicas"), 3);
    EXPECT_EQ(box_int(&b, kind_replica_set(), "r", "status.readyReplicas"), 3);
    EXPECT_EQ(box_int(&b, kind_replica_set(), "r", "status.availableReplicas"), 3);
    EXPECT_EQ(box_int(&b, kind_replica_set(), "r", "status.fullyLabeledReplicas"), 3);
    EXPECT_EQ(box_int(&b, kind_replica_set(), "r", "status.observedGeneration"), 1);
    EXPECT(strstr(box_events(&b, "r"), "SuccessfulCreate: Created pod: r-"));
    scale(&b, 1);
    box_settle(&b);
    EXPECT_EQ(box_pods(&b, "foo"), 1);
    EXPECT_EQ(box_int(&b, kind_replica_set(), "r", "status.replicas"), 1);
    EXPECT(strstr(box_events(&b, "r"), "SuccessfulDelete: Deleted pod: r-"));
    box_deinit(&b);
}

/* However late the watches: never one pod too many. */
TEST(never_more_than_asked_on_a_slow_cache)
{
    struct box b;

    box_init(&b);
    fake_client_run(b.f);
    fake_client_lag(b.f, 700);
    put_set(&b, 10);
    for (int i = 0; i < 60; i++) {
        fake_client_pass(b.f, &b.env, 100, 10);
        EXPECT(box_pods(&b, "foo") <= 10);
        if (i % 7 == 3)
            fake_client_edit(b.f, kind_replica_set(), "default", "r",
                             arena_printf(b.a, "metadata: {labels: {x: v%d}}", i));
        box_nodes(&b);
    }
    EXPECT_EQ(box_pods(&b, "foo"), 10);
    EXPECT_EQ(fake_client_calls(b.f, CLIENT_CREATE, kind_pod()), 10);
    box_deinit(&b);
}

TEST(failures_are_told_and_got_over)
{
    struct box b;

    box_init(&b);
    fake_client_fail(b.f, CLIENT_CREATE, kind_pod(), 1000, 500);
    put_set(&b, 4);
    box_settle(&b);
    EXPECT_STR(box_condition(&b, kind_replica_set(), "r", "ReplicaFailure"), "True FailedCreate");
    EXPECT(strstr(box_events(&b, "r"), "FailedCreate: Error creating: injected fault"));
    fake_client_heal(b.f);
    fake_client_pass(b.f, &b.env, 31000, 100);           /* past the longest back-off */
    box_settle(&b);
    EXPECT_STR(box_condition(&b, kind_replica_set(), "r", "ReplicaFailure"), "");
    EXPECT_EQ(box_pods(&b, "foo"), 4);
    box_deinit(&b);
}

/* 1, then 2, then 4: a template that is refused costs one request a try. */
TEST(slow_start)
{
    struct box b;

    box_init(&b);
    fake_client_fail(b.f, CLIENT_CREATE, kind_pod(), 1000, 422);
    put_set(&b, 100);
    fake_client_pass(b.f, &b.env, 1000, 10);
    EXPECT(fake_client_calls(b.f, CLIENT_CREATE, kind_pod()) < 12);
    box_deinit(&b);
}

TEST(adopts_and_releases)
{
    struct box b;

    box_init(&b);
    fake_client_put(b.f, "apiVersion: v1\nkind: Pod\nmetadata: {name: stray, labels: {app: foo}}\n"
                         "spec: {containers: [{name: c, image: inro.local/box}]}\n");
    put_set(&b, 2);
    box_settle(&b);
    EXPECT_EQ(box_pods(&b, "foo"), 2);
    EXPECT_STR(object_controller(fake_client_get(b.f, kind_pod(), "default", "stray"))->name, "r");
    fake_client_edit(b.f, kind_pod(), "default", "stray", "metadata: {labels: {app: bar}}");
    box_settle(&b);
    EXPECT(!object_controller(fake_client_get(b.f, kind_pod(), "default", "stray")));
    EXPECT_EQ(box_pods(&b, "foo"), 2);
    /* labelled back: taken again, and one too many goes */
    fake_client_edit(b.f, kind_pod(), "default", "stray", "metadata: {labels: {app: foo}}");
    box_settle(&b);
    EXPECT_EQ(box_pods(&b, "foo"), 2);
    box_deinit(&b);
}

TEST(deletes_the_cheapest_first)
{
    struct box b;
    struct object *pod;
    const char *names[4];
    unsigned n = 0;

    box_init(&b);
    put_set(&b, 4);
    box_settle(&b);
    for (size_t at = 0; (pod = fake_client_next(b.f, kind_pod(), &at));)
        names[n++] = arena_strdup(b.a, object_name(pod));
    EXPECT_EQ(n, 4);
    box_ready(&b, names[2], false);
    fake_client_edit(b.f, kind_pod(), "default", names[1],
                     "metadata: {annotations: {controller.kubernetes.io/pod-deletion-cost: '-5'}}");
    b.broken = true;
    scale(&b, 3);
    box_settle(&b);
    EXPECT(!fake_client_get(b.f, kind_pod(), "default", names[2]));
    scale(&b, 2);
    box_settle(&b);
    EXPECT(!fake_client_get(b.f, kind_pod(), "default", names[1]));
    box_deinit(&b);
}

TEST(ended_pods_are_replaced)
{
    struct box b;
    struct object *pod;
    size_t at = 0;

    box_init(&b);
    put_set(&b, 2);
    box_settle(&b);
    pod = fake_client_next(b.f, kind_pod(), &at);
    fake_client_edit(b.f, kind_pod(), "default", object_name(pod), "status: {phase: Failed}");
    b.broken = true;
    box_settle(&b);
    EXPECT_EQ(fake_client_count(b.f, kind_pod()), 3);
    EXPECT_EQ(box_int(&b, kind_replica_set(), "r", "status.replicas"), 2);
    box_deinit(&b);
}

TEST(available_after_min_ready_seconds)
{
    struct box b;

    box_init(&b);
    put_set(&b, 1);
    fake_client_edit(b.f, kind_replica_set(), "default", "r", "spec: {minReadySeconds: 60}");
    box_settle(&b);
    EXPECT_EQ(box_int(&b, kind_replica_set(), "r", "status.readyReplicas"), 1);
    EXPECT_EQ(box_int(&b, kind_replica_set(), "r", "status.availableReplicas"), 0);
    fake_client_pass(b.f, &b.env, 61000, 1000);
    EXPECT_EQ(box_int(&b, kind_replica_set(), "r", "status.availableReplicas"), 1);
    box_deinit(&b);
}

TEST(rests_when_done)
{
    struct box b;
    size_t writes;

    box_init(&b);
    put_set(&b, 3);
    box_settle(&b);
    writes = fake_client_writes(b.f);
    fake_client_pass(b.f, &b.env, 3000000, 10000);
    EXPECT_EQ(fake_client_writes(b.f), writes);
    box_deinit(&b);
}
