/* Whole cycles of the scheduler: queue, binding, what is reported, races and restarts. */
#include "tests/unit/core/sched/sched_box.h"

static const struct event_view *find_event(struct sched_box *b, const char *pod, const char *reason)
{
    struct object *o;

    for (size_t at = 0; (o = fake_client_next(b->fake, kind_event(), &at));) {
        const struct event_view *e = event_view(o);

        if (str_eq(e->involved_object.name, pod) && str_eq(e->reason, reason))
            return e;
    }
    return NULL;
}

TEST(binds_and_says_so)
{
    struct sched_box b;
    const struct event_view *e;

    box_open(&b);
    box_node(&b, "n1", "", "");
    box_pod(&b, "a", "", "cpu: 1", "");
    box_start(&b);
    EXPECT_STR(box_node_of(&b, "a"), "n1");
    e = find_event(&b, "a", "Scheduled");
    EXPECT(e);
    EXPECT_STR(e->message, "Successfully assigned default/a to n1");
    EXPECT_STR(e->type, "Normal");
    EXPECT_STR(e->action, "Binding");
    EXPECT_STR(e->reporting_component, "default-scheduler");
    EXPECT(!find_event(&b, "a", "FailedScheduling"));
    box_close(&b);
}

TEST(leaves_others_alone)
{
    struct sched_box b;

    box_open(&b);
    box_node(&b, "n1", "", "");
    box_pod(&b, "other", "", "cpu: 1", "schedulerName: mine");
    box_pod(&b, "gated", "", "cpu: 1", "schedulingGates: [{name: example.com/wait}]");
    box_start(&b);
    EXPECT_STR(box_node_of(&b, "other"), "");
    EXPECT_STR(box_node_of(&b, "gated"), "");
    fake_client_edit(b.fake, kind_pod(), "default", "gated", "spec: {schedulingGates: null}");
    fake_client_run(b.fake);
    EXPECT_STR(box_node_of(&b, "gated"), "n1");
    EXPECT_STR(box_node_of(&b, "other"), "");
    box_close(&b);
}

TEST(no_nodes)
{
    struct sched_box b;

    box_open(&b);
    box_pod(&b, "a", "", "", "");
    box_start(&b);
    EXPECT_STR(box_why(&b, "a"), "no nodes available to schedule pods");
    box_node(&b, "n1", "", "");
    box_pass(&b, 1500);
    EXPECT_STR(box_node_of(&b, "a"), "n1");
    box_close(&b);
}

/* What is assumed counts before the watch tells. */
TEST(assumes)
{
    struct sched_box b;

    box_open(&b);
    fake_client_lag(b.fake, 60000);
    box_node(&b, "n1", "", "");
    box_pod(&b, "a", "", "cpu: 3", "");
    box_pod(&b, "b", "", "cpu: 3", "");
    box_start(&b);
    EXPECT_STR(box_node_of(&b, "a"), "n1");
    EXPECT_STR(box_node_of(&b, "b"), "");
    EXPECT(str_starts(box_why(&b, "b"), "0/1 nodes are available: 1 Insufficient cpu."));
    box_close(&b);
}

TEST(priority_then_age)
{
    struct sched_box b;

    box_open(&b);
    box_node(&b, "n1", "", "");
    box_pod(&b, "young", "creationTimestamp: '2026-01-01T00:00:09Z'", "cpu: 3", "");
    box_pod(&b, "old", "creationTimestamp: '2026-01-01T00:00:01Z'", "cpu: 3", "");
    box_start(&b);
    EXPECT_STR(box_node_of(&b, "old"), "n1");
    EXPECT_STR(box_node_of(&b, "young"), "");
    fake_client_drop(b.fake, kind_pod(), "default", "old");
    box_pod(&b, "grand", "creationTimestamp: '2026-01-01T00:00:20Z'", "cpu: 3", "priority: 5");
    fake_client_run(b.fake);
    EXPECT_STR(box_node_of(&b, "grand"), "n1");
    box_close(&b);
}

/* A parked pod comes back when room is made, not before its back-off, and not for nothing. */
TEST(wakes)
{
    struct sched_box b;
    size_t patches;

    box_open(&b);
    box_node(&b, "n1", "", "");
    box_pod(&b, "a", "", "cpu: 3", "");
    box_start(&b);
    box_pod(&b, "b", "", "cpu: 3", "");
    fake_client_run(b.fake);
    EXPECT_STR(box_node_of(&b, "b"), "");
    patches = fake_client_calls(b.fake, CLIENT_PATCH_STRATEGIC, kind_pod());
    EXPECT_EQ(patches, 1);
    box_pass(&b, 30000);
    fake_client_edit(b.fake, kind_node(), "", "n1", "metadata: {labels: {colour: red}}");
    box_pass(&b, 5000);
    EXPECT_EQ(fake_client_calls(b.fake, CLIENT_PATCH_STRATEGIC, kind_pod()), patches);
    fake_client_drop(b.fake, kind_pod(), "default", "a");
    fake_client_run(b.fake);
    EXPECT_STR(box_node_of(&b, "b"), "n1");
    box_close(&b);
}

TEST(finished_pods_leave_room)
{
    struct sched_box b;

    box_open(&b);
    box_node(&b, "n1", "", "");
    box_pod(&b, "a", "", "cpu: 4", "");
    box_start(&b);
    EXPECT_STR(box_node_of(&b, "a"), "n1");
    box_pod(&b, "b", "", "cpu: 4", "");
    fake_client_run(b.fake);
    fake_client_edit(b.fake, kind_pod(), "default", "a", "status: {phase: Succeeded}");
    box_pass(&b, 2000);
    EXPECT_STR(box_node_of(&b, "b"), "n1");
    box_close(&b);
}

TEST(repeats_as_series)
{
    struct sched_box b;
    const struct event_view *e;

    box_open(&b);
    box_node(&b, "n1", "", "");
    box_pod(&b, "a", "", "cpu: 9", "");
    box_start(&b);
    e = find_event(&b, "a", "FailedScheduling");
    EXPECT(e && !e->series);
    fake_client_edit(b.fake, kind_node(), "", "n1", "status: {allocatable: {cpu: '5'}}");
    box_pass(&b, 2000);
    e = find_event(&b, "a", "FailedScheduling");
    EXPECT(e && e->series);
    EXPECT_EQ(e->series->count, 2);
    EXPECT_EQ(fake_client_count(b.fake, kind_event()), 1);
    box_close(&b);
}

/* --- races */

TEST(bind_fails_then_works)
{
    struct sched_box b;
    const struct event_view *e;

    box_open(&b);
    box_node(&b, "n1", "", "");
    box_pod(&b, "a", "", "cpu: 3", "");
    fake_client_fail(b.fake, CLIENT_CREATE, kind_pod(), 1, 500);
    box_start(&b);
    EXPECT_STR(box_node_of(&b, "a"), "");
    e = find_event(&b, "a", "FailedScheduling");
    EXPECT(e);
    EXPECT(str_starts(e->message, "binding rejected: running Bind plugin \"DefaultBinder\": "));
    box_pass(&b, 1500);
    EXPECT_STR(box_node_of(&b, "a"), "n1");
    box_close(&b);
}

/* Somebody else bound it meanwhile: no second try, and it counts where it is. */
TEST(bind_conflict)
{
    struct sched_box b;
    size_t binds;

    box_open(&b);
    box_node(&b, "n1", "", "");
    box_start(&b);
    fake_client_lag(b.fake, 500);
    box_pod(&b, "a", "", "cpu: 3", "");
    box_pass(&b, 400);
    fake_client_edit(b.fake, kind_pod(), "default", "a", "spec: {nodeName: n1}");
    box_pass(&b, 3000);
    EXPECT_STR(box_node_of(&b, "a"), "n1");
    binds = fake_client_calls(b.fake, CLIENT_CREATE, kind_pod());
    EXPECT(binds <= 1);
    box_pod(&b, "b", "", "cpu: 3", "");
    box_pass(&b, 3000);
    EXPECT_STR(box_node_of(&b, "b"), "");
    box_close(&b);
}

/* The answer is lost, the binding was made: the watch says so and nothing is bound twice. */
TEST(bind_answer_lost)
{
    struct sched_box b;

    box_open(&b);
    box_node(&b, "n1", "", "");
    box_node(&b, "n2", "", "");
    fake_client_lose(b.fake, CLIENT_CREATE, kind_pod(), 1);
    box_pod(&b, "a", "", "cpu: 3", "");
    box_start(&b);
    box_pass(&b, 15000);
    EXPECT(*box_node_of(&b, "a"));
    box_pod(&b, "b", "", "cpu: 3", "");
    box_pass(&b, 15000);
    EXPECT(*box_node_of(&b, "b"));
    EXPECT(!str_eq(box_node_of(&b, "a"), box_node_of(&b, "b")));
    box_close(&b);
}

TEST(node_vanishes)
{
    struct sched_box b;

    box_open(&b);
    box_node(&b, "n1", "", "");
    box_start(&b);
    box_pod(&b, "a", "", "cpu: 3", "");
    fake_client_run(b.fake);
    EXPECT_STR(box_node_of(&b, "a"), "n1");
    fake_client_drop(b.fake, kind_node(), "", "n1");
    fake_client_run(b.fake);
    box_pod(&b, "b", "", "cpu: 3", "");
    fake_client_run(b.fake);
    EXPECT_STR(box_why(&b, "b"), "no nodes available to schedule pods");
    box_node(&b, "n1", "", "");                          /* back, with "a" still on it */
    box_pass(&b, 2000);
    EXPECT(str_starts(box_why(&b, "b"), "0/1 nodes are available: 1 Insufficient cpu."));
    fake_client_drop(b.fake, kind_pod(), "default", "a");
    box_pass(&b, 5000);
    EXPECT_STR(box_node_of(&b, "b"), "n1");
    box_close(&b);
}

TEST(pod_deleted_while_binding)
{
    struct sched_box b;

    box_open(&b);
    box_node(&b, "n1", "", "");
    box_start(&b);
    fake_client_lag(b.fake, 500);
    box_pod(&b, "a", "", "cpu: 3", "");
    box_pass(&b, 600);
    fake_client_drop(b.fake, kind_pod(), "default", "a");
    box_pod(&b, "a", "", "cpu: 3", "");                  /* another one of this name */
    box_pass(&b, 5000);
    EXPECT_STR(box_node_of(&b, "a"), "n1");
    box_pod(&b, "b", "", "cpu: 1", "");
    box_pass(&b, 2000);
    EXPECT_STR(box_node_of(&b, "b"), "n1");
    box_close(&b);
}

TEST(relist)
{
    struct sched_box b;

    box_open(&b);
    box_node(&b, "n1", "", "");
    box_start(&b);
    box_pod(&b, "a", "", "cpu: 3", "");
    fake_client_run(b.fake);
    fake_client_lag(b.fake, 500);
    fake_client_drop(b.fake, kind_pod(), "default", "a");
    box_pod(&b, "b", "", "cpu: 3", "");
    fake_client_drop_watches(b.fake, NULL);
    box_pass(&b, 5000);
    EXPECT_STR(box_node_of(&b, "b"), "n1");
    box_close(&b);
}

/* A new scheduler knows from the API alone what runs where. */
TEST(restart)
{
    struct sched_box b;

    box_open(&b);
    box_node(&b, "n1", "", "");
    box_pod(&b, "a", "", "cpu: 3", "");
    box_start(&b);
    b.sched = sched_free(b.sched);
    box_pod(&b, "b", "", "cpu: 3", "");
    box_pod(&b, "c", "", "cpu: 1", "");
    box_start(&b);
    EXPECT_STR(box_node_of(&b, "b"), "");
    EXPECT_STR(box_node_of(&b, "c"), "n1");
    box_close(&b);
}

/* Freed while bindings are under way: their answers find nobody. */
TEST(freed_while_binding)
{
    struct sched_box b;

    box_open(&b);
    box_node(&b, "n1", "", "");
    box_start(&b);
    for (int i = 0; i < 20; i++) {
        char name[16];

        snprintf(name, sizeof(name), "p%d", i);
        box_pod(&b, name, "", "cpu: 100m", "");
    }
    loop_step(b.loop, 0);
    loop_step(b.loop, 0);
    b.sched = sched_free(b.sched);
    fake_client_run(b.fake);
    box_close(&b);
}

TEST(figures)
{
    struct sched_box b;
    _cleanup_buf_ struct buf out = BUF_INIT;

    box_open(&b);
    box_node(&b, "n1", "", "");
    box_pod(&b, "fits", "", "cpu: 1", "");
    box_pod(&b, "big", "", "cpu: 999", "");
    box_pod(&b, "gated", "", "cpu: 1", "schedulingGates: [{name: example.com/wait}]");
    box_start(&b);
    sched_metrics(b.sched, &out);
    EXPECT(strstr(out.p, "scheduler_schedule_attempts_total{profile=\"default-scheduler\","
                         "result=\"scheduled\"} 1\n"));
    EXPECT(strstr(out.p, "scheduler_schedule_attempts_total{profile=\"default-scheduler\","
                         "result=\"unschedulable\"} 1\n"));
    EXPECT(strstr(out.p, "scheduler_pod_scheduling_sli_duration_seconds_count 1\n"));
    EXPECT(strstr(out.p, "scheduler_pod_scheduling_attempts_bucket{le=\"1\"} 1\n"));
    EXPECT(strstr(out.p, "scheduler_pending_pods{queue=\"unschedulable\"} 1\n"));
    EXPECT(strstr(out.p, "scheduler_pending_pods{queue=\"gated\"} 1\n"));
    EXPECT(strstr(out.p, "scheduler_pending_pods{queue=\"active\"} 0\n"));
    fake_client_delete(b.fake, kind_pod(), "default", "big", NULL);
    fake_client_run(b.fake);
    buf_clear(&out);
    sched_metrics(b.sched, &out);
    EXPECT(strstr(out.p, "scheduler_pending_pods{queue=\"unschedulable\"} 0\n"));
    box_close(&b);
}
