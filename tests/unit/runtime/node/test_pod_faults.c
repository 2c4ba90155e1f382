/* test_pod_faults.c -- whatever fails, whenever the node role dies, whenever the pod is deleted:
 * in the end it runs once, or nothing of it is left. */
#include <fcntl.h>
#include <unistd.h>

#include "core/base/fd.h"

#include "tests/unit/runtime/node/pod_box.h"

#define STEPS 60                         /* rounds of the loop that a start takes, and some more */

#define TWO "initContainers: [{name: i, image: 'app:1', imagePullPolicy: IfNotPresent}], " \
            "containers: [{name: a, image: 'app:1', imagePullPolicy: IfNotPresent}, " \
            "{name: b, image: 'absent:1', imagePullPolicy: IfNotPresent}]"

static void steps(struct pod_box *b, int n)
{
    for (int i = 0; i < n; i++) {
        loop_step(b->loop, 0);
        if (fake_shims_running(b->shims, "i"))
            fake_shims_exit(b->shims, "i", 0);
    }
}

/* Until nothing happens, with the init container ended as soon as it runs. */
static void settle(struct pod_box *b)
{
    for (int i = 0; i < 10; i++) {
        steps(b, STEPS);
        pod_box_pass(b, 500);
    }
}

static void expect_runs_once(struct pod_box *b)
{
    EXPECT_STR(pod_box_says(b, "p"), "Running/True");
    EXPECT_EQ(fake_shims_alive(b->shims), 1);
    EXPECT_EQ(fake_shims_running(b->shims, "a"), 1);
    EXPECT_EQ(fake_shims_running(b->shims, "b"), 1);
}

static void expect_goes(struct pod_box *b)
{
    fake_client_delete(b->f, kind_pod(), "default", "p", NULL);
    settle(b);
    pod_box_pass(b, 70000);
    EXPECT_STR(pod_box_says(b, "p"), "");
    pod_box_expect_empty(b);
}

TEST(every_call_may_fail_a_few_times)
{
    for (unsigned what = 0; what < BOX_FAULTS; what++) {
        struct pod_box b;

        pod_box_init(&b);
        pod_box_fail(what, 2, ERR_FAILED);
        pod_box_pod(&b, "p", QUICK TWO);
        settle(&b);
        pod_box_pass(&b, 60000);
        settle(&b);
        expect_runs_once(&b);
        pod_box_fail(what, 2, ERR_FAILED);
        expect_goes(&b);
        pod_box_deinit(&b);
    }
}

TEST(the_shim_may_fail_a_few_times)
{
    for (unsigned what = 0; what < FAKE_SHIM_FAULTS; what++) {
        struct pod_box b;

        pod_box_init(&b);
        fake_shims_fail(b.shims, what, what == FAKE_SHIM_SHUTDOWN ? 0 : 2, "no luck");
        pod_box_pod(&b, "p", QUICK TWO);
        settle(&b);
        pod_box_pass(&b, 60000);
        settle(&b);
        expect_runs_once(&b);
        expect_goes(&b);
        pod_box_deinit(&b);
    }
}

TEST(a_command_that_is_not_there_fails_the_pod)
{
    struct pod_box b;

    pod_box_init(&b);
    fake_shims_fail(b.shims, FAKE_SHIM_CREATE, 1, "exec: \"/x\": stat /x: no such file");
    pod_box_pod(&b, "p", "restartPolicy: Never, " ONE);
    fake_client_run(b.f);
    EXPECT_STR(pod_box_says(&b, "p"), "Failed/False");
    EXPECT_STR(pod_box_state(&b, "p", 0), "terminated:StartError:128");
    pod_box_deinit(&b);
}

TEST_SLOW(deleted_at_any_moment, 120)
{
    for (int n = 0; n < STEPS; n++) {
        struct pod_box b;

        pod_box_init(&b);
        pod_box_pod(&b, "p", QUICK TWO);
        steps(&b, n);
        expect_goes(&b);
        pod_box_deinit(&b);
    }
}

TEST_SLOW(forced_away_at_any_moment, 120)
{
    for (int n = 0; n < STEPS; n++) {
        struct pod_box b;

        pod_box_init(&b);
        pod_box_pod(&b, "p", QUICK TWO);
        steps(&b, n);
        fake_client_drop(b.f, kind_pod(), "default", "p");
        settle(&b);
        pod_box_pass(&b, 10000);
        pod_box_expect_empty(&b);
        pod_box_deinit(&b);
    }
}

TEST_SLOW(the_node_role_dies_at_any_moment, 120)
{
    for (int n = 0; n < STEPS; n++) {
        struct pod_box b;

        pod_box_init(&b);
        pod_box_pod(&b, "p", QUICK TWO);
        steps(&b, n);
        pod_box_crash(&b);
        steps(&b, n / 2);
        pod_box_crash(&b);
        settle(&b);
        pod_box_pass(&b, 30000);
        expect_runs_once(&b);
        EXPECT_EQ(fake_shims_runs(b.shims, "a"), 1);     /* never twice */
        expect_goes(&b);
        pod_box_deinit(&b);
    }
}

TEST_SLOW(the_node_role_dies_while_a_pod_ends, 120)
{
    for (int n = 0; n < STEPS; n++) {
        struct pod_box b;

        pod_box_init(&b);
        pod_box_pod(&b, "p", QUICK TWO);
        settle(&b);
        expect_runs_once(&b);
        fake_client_delete(b.f, kind_pod(), "default", "p", NULL);
        steps(&b, n);
        pod_box_crash(&b);
        settle(&b);
        pod_box_pass(&b, 30000);
        EXPECT_STR(pod_box_says(&b, "p"), "");
        EXPECT_EQ(fake_shims_runs(b.shims, "a"), 1);
        pod_box_expect_empty(&b);
        pod_box_deinit(&b);
    }
}

TEST_SLOW(all_shims_die_at_any_moment, 120)
{
    for (int n = 0; n < STEPS; n++) {
        struct pod_box b;

        pod_box_init(&b);
        pod_box_pod(&b, "p", QUICK TWO);
        steps(&b, n);
        fake_shims_lose_all(b.shims);
        settle(&b);
        pod_box_pass(&b, 30000);
        settle(&b);
        expect_runs_once(&b);
        expect_goes(&b);
        pod_box_deinit(&b);
    }
}

/* Volumes are the pod's: a new sandbox finds in them what the former one left. */
TEST(volumes_outlive_a_sandbox)
{
    struct pod_box b;
    const char *file;

    pod_box_init(&b);
    pod_box_pod(&b, "p", QUICK "volumes: [{name: v, emptyDir: {}}], containers: [{name: a, "
                "image: 'app:1', imagePullPolicy: IfNotPresent, "
                "volumeMounts: [{name: v, mountPath: /v}]}]");
    settle(&b);
    file = arena_printf(b.a, "%s/pods/%s/volumes/kubernetes.io~empty-dir/v/f", b.conf.data_dir,
                        object_uid(pod_box_get_pod(&b, "p")));
    EXPECT_EQ(fd_write_file(AT_FDCWD, file, "x", 1, 0600, NULL), 0);
    fake_shims_lose_all(b.shims);
    settle(&b);
    EXPECT_STR(pod_box_says(&b, "p"), "Running/True");
    EXPECT_EQ(fake_shims_runs(b.shims, "a"), 2);
    EXPECT_EQ(access(file, F_OK), 0);
    expect_goes(&b);
    EXPECT(access(file, F_OK) < 0);
    pod_box_deinit(&b);
}

static void watch_init(const struct client_req *req, void *ctx)
{
    const struct json *c, *list = json_path(req->body, "status.initContainerStatuses");
    int *seen = ctx;                         /* ended, then not ended */

    if (req->verb != CLIENT_PATCH_STRATEGIC)
        return;
    json_each(c, list) {
        if (json_path(c, "state.terminated"))
            seen[0]++;
        else if (seen[0])
            seen[1]++;
    }
}

/* The API lets init containers that succeeded not leave that state. */
TEST(init_containers_of_a_new_sandbox)
{
    struct pod_box b;
    int seen[2] = { 0, 0 };

    pod_box_init(&b);
    fake_client_on_request(b.f, watch_init, seen);
    pod_box_pod(&b, "p", "restartPolicy: OnFailure, " QUICK TWO);
    settle(&b);
    fake_shims_lose_all(b.shims);
    for (int i = 0; i < STEPS; i++)
        loop_step(b.loop, 0);
    EXPECT_EQ(fake_shims_running(b.shims, "i"), 1);
    pod_box_pass(&b, 3000);
    settle(&b);
    EXPECT_EQ(fake_shims_runs(b.shims, "i"), 2);
    expect_runs_once(&b);
    EXPECT(seen[0] > 0);
    EXPECT_EQ(seen[1], 0);
    fake_client_on_request(b.f, NULL, NULL);
    pod_box_deinit(&b);
}

/* Neither the new sandbox nor the API knows of the former run: the record does. */
TEST(runs_of_a_former_sandbox_count)
{
    struct pod_box b;

    pod_box_init(&b);
    pod_box_pod(&b, "p", ONE);
    fake_client_fail(b.f, CLIENT_PATCH_STRATEGIC, kind_pod(), 20, 500);
    settle(&b);
    EXPECT_EQ(fake_shims_runs(b.shims, "web"), 1);
    fake_shims_lose_all(b.shims);
    for (int i = 0; fake_shims_alive(b.shims) == 0 && i < STEPS; i++)
        loop_step(b.loop, 0);
    EXPECT_EQ(fake_shims_runs(b.shims, "web"), 1);
    pod_box_crash(&b);
    settle(&b);
    pod_box_pass(&b, 30000);
    EXPECT_EQ(fake_shims_runs(b.shims, "web"), 2);
    EXPECT_EQ(pod_box_status(&b, "p", 0)->restart_count, 1);
    pod_box_deinit(&b);
}

/* What the shim knew went with it; the record says which run it was, so that its log is found. */
TEST(an_ended_pod_keeps_its_runs)
{
    struct pod_box b;
    struct pod *p;

    pod_box_init(&b);
    pod_box_pod(&b, "q", "restartPolicy: OnFailure, containers: [{name: once, image: 'app:1', "
                "imagePullPolicy: IfNotPresent}]");
    settle(&b);
    fake_shims_exit(b.shims, "once", 3);
    settle(&b);
    fake_client_fail(b.f, CLIENT_PATCH_STRATEGIC, kind_pod(), 10, 500);  /* it hears no more */
    fake_shims_exit(b.shims, "once", 0);
    settle(&b);
    EXPECT_EQ(fake_shims_alive(b.shims), 0);
    pod_box_crash(&b);
    settle(&b);
    p = podset_find(b.pods, object_uid(pod_box_get_pod(&b, "q")));
    EXPECT(p && p->containers[0].now.id[0]);
    EXPECT_EQ(p->containers[0].now.attempt, 1);
    EXPECT_EQ(p->containers[0].now.exit_code, 0);
    EXPECT_EQ(p->containers[0].last.exit_code, 3);
    EXPECT_EQ(fake_shims_runs(b.shims, "once"), 2);
    pod_box_pass(&b, 10000);
    EXPECT_STR(pod_box_says(&b, "q"), "Succeeded/False");
    pod_box_deinit(&b);
}

TEST(shim_and_node_role_die_together)
{
    struct pod_box b;

    pod_box_init(&b);
    pod_box_pod(&b, "p", QUICK TWO);
    pod_box_pod(&b, "q", "restartPolicy: Never, containers: [{name: once, image: 'app:1', "
                "imagePullPolicy: IfNotPresent}]");
    settle(&b);
    fake_shims_lose_all(b.shims);
    pod_box_crash(&b);
    settle(&b);
    expect_runs_once(&b);
    EXPECT_EQ(pod_box_status(&b, "p", 0)->restart_count, 1);
    EXPECT_EQ(pod_box_status(&b, "p", 0)->last_state.terminated->exit_code, 137);
    EXPECT_STR(pod_box_says(&b, "q"), "Failed/False");
    EXPECT_STR(pod_box_state(&b, "q", 0), "terminated:ContainerStatusUnknown:137");
    EXPECT_EQ(fake_shims_runs(b.shims, "once"), 1);
    pod_box_deinit(&b);
}

static void watch_ready(const struct client_req *req, void *ctx)
{
    const struct json *c, *list = json_path(req->body, "status.conditions");

    if (req->verb != CLIENT_PATCH_STRATEGIC)
        return;
    json_each(c, list)
        if (str_eq(json_get_str(c, "type"), "Ready") && !str_eq(json_get_str(c, "status"), "True"))
            ++*(int *)ctx;
}

TEST(a_ready_pod_stays_ready_while_the_node_role_restarts)
{
    struct pod_box b;
    int unready = 0;

    pod_box_init(&b);
    pod_box_pod(&b, "p", "containers: [{name: a, image: 'app:1', imagePullPolicy: IfNotPresent, "
                "readinessProbe: {exec: {command: [ok]}, periodSeconds: 10}}]");
    pod_box_pass(&b, 15000);
    EXPECT_STR(pod_box_says(&b, "p"), "Running/True");
    fake_client_on_request(b.f, watch_ready, &unready);
    for (int i = 0; i < 5; i++) {
        pod_box_crash(&b);
        pod_box_pass(&b, 3000);
    }
    EXPECT_STR(pod_box_says(&b, "p"), "Running/True");
    EXPECT_EQ(unready, 0);
    EXPECT_EQ(fake_shims_runs(b.shims, "a"), 1);
    fake_client_on_request(b.f, NULL, NULL);
    pod_box_deinit(&b);
}

/* What lies on memory is gone, the API remembers. */
static void reboot(struct pod_box *b)
{
    pod_box_stop(b, true);
    fake_shims_lose_all(b->shims);
    kernel.groups = kernel.links = 0;
    EXPECT_EQ(fd_remove_tree(AT_FDCWD, b->conf.run_dir, NULL), 0);
    mkdir(b->conf.run_dir, 0755);
    mkdir(arena_printf(b->a, "%s/pods", b->conf.run_dir), 0755);
    pod_box_start(b);
    settle(b);
}

TEST(the_machine_reboots)
{
    struct pod_box b;

    pod_box_init(&b);
    pod_box_pod(&b, "p", QUICK TWO);
    pod_box_pod(&b, "q", "restartPolicy: Never, containers: [{name: once, image: 'app:1', "
                "imagePullPolicy: IfNotPresent}]");
    settle(&b);
    reboot(&b);
    expect_runs_once(&b);
    EXPECT_EQ(pod_box_status(&b, "p", 0)->restart_count, 1);
    EXPECT_STR(pod_box_says(&b, "q"), "Failed/False");
    EXPECT_EQ(fake_shims_runs(b.shims, "once"), 1);
    reboot(&b);                                  /* what ended stays ended */
    EXPECT_STR(pod_box_says(&b, "q"), "Failed/False");
    EXPECT_STR(pod_box_state(&b, "q", 0), "terminated:ContainerStatusUnknown:137");
    EXPECT_EQ(fake_shims_runs(b.shims, "once"), 1);
    pod_box_deinit(&b);
}

TEST(the_api_is_away)
{
    struct pod_box b;

    pod_box_init(&b);
    pod_box_pod(&b, "p", QUICK TWO);
    settle(&b);
    fake_client_fail(b.f, CLIENT_PATCH_STRATEGIC, kind_pod(), 5, 500);
    fake_shims_exit(b.shims, "a", 1);
    pod_box_pass(&b, 12000);
    expect_runs_once(&b);
    EXPECT_EQ(pod_box_status(&b, "p", 0)->restart_count, 1);
    fake_client_fail(b.f, CLIENT_DELETE, kind_pod(), 2, 500);
    expect_goes(&b);
    pod_box_deinit(&b);
}

static void on_stopped(void *ctx)
{
    *(bool *)ctx = true;
}

TEST(all_pods_are_stopped_and_their_objects_stay)
{
    struct pod_box b;
    bool done = false;

    pod_box_init(&b);
    fake_shims_deaf(b.shims, true);
    pod_box_pod(&b, "p", TWO);
    settle(&b);
    podset_stop(b.pods, 3000, on_stopped, &done);
    pod_box_pod(&b, "late", ONE);
    pod_box_pass(&b, 2000);
    EXPECT(!done);
    pod_box_pass(&b, 2000);
    EXPECT(done);
    EXPECT_EQ(fake_shims_alive(b.shims), 0);
    EXPECT_EQ(kernel.groups, 0);
    EXPECT_STR(pod_box_says(&b, "p"), "Running/True");
    EXPECT_EQ(fake_shims_started(b.shims), 1);
    pod_box_deinit(&b);
}
