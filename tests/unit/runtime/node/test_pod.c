/* test_pod.c -- a pod's whole life, with a fake clock, cluster, shim and kernel. */
#include <unistd.h>

#include "tests/unit/runtime/node/pod_box.h"

TEST(runs_and_goes)
{
    struct pod_box b;
    const struct pod_view *v;

    pod_box_init(&b);
    pod_box_pod(&b, "a", QUICK ONE);
    fake_client_run(b.f);
    EXPECT_STR(pod_box_says(&b, "a"), "Running/True");
    EXPECT_STR(fake_shims_story(b.shims), "start create:web run:web");
    v = pod_view(pod_box_get_pod(&b, "a"));
    EXPECT_STR(v->status.pod_ip, "10.42.0.2");
    EXPECT_STR(v->status.host_ip, "192.0.2.1");
    EXPECT_EQ(v->status.n_conditions, 5);
    EXPECT_EQ(v->status.observed_generation, 1);
    EXPECT(str_starts(v->status.container_statuses[0].container_id, "inro://"));
    EXPECT_STR(v->status.container_statuses[0].image_id, "img@sha256:1");
    EXPECT_EQ(fake_client_calls(b.f, CLIENT_PATCH_STRATEGIC, kind_pod()), 2);

    EXPECT_EQ(fake_client_delete(b.f, kind_pod(), "default", "a", NULL), 200);
    fake_client_run(b.f);
    EXPECT_STR(pod_box_says(&b, "a"), "");
    EXPECT_STR(fake_shims_story(b.shims), "start create:web run:web TERM:web exit:web stop");
    pod_box_expect_empty(&b);
    pod_box_deinit(&b);
}

/* A request of a former life of the role, held up on its way, arrives after the newest status. */
TEST(what_a_late_write_undid_is_told_again)
{
    struct pod_box b;
    struct object *late;
    size_t calls;

    pod_box_init(&b);
    pod_box_pod(&b, "a", QUICK ONE);
    pod_box_pass(&b, 2000);
    EXPECT_STR(pod_box_says(&b, "a"), "Running/True");
    calls = fake_client_calls(b.f, CLIENT_PATCH_STRATEGIC, kind_pod());
    /* What others own is theirs. */
    EXPECT(fake_client_edit(b.f, kind_pod(), "default", "a", "metadata: {labels: {of: others}}\n"
        "status: {nominatedNodeName: n9}"));
    pod_box_pass(&b, 5000);
    EXPECT_EQ(fake_client_calls(b.f, CLIENT_PATCH_STRATEGIC, kind_pod()), calls);

    late = fake_client_edit(b.f, kind_pod(), "default", "a", "status:\n"
        "  conditions: [{type: Ready, status: 'False'}]\n"
        "  containerStatuses: [{name: web, restartCount: 7, ready: false, image: app:1, "
        "imageID: '', state: {terminated: {exitCode: 137}}}]\n");
    EXPECT(late);
    EXPECT_STR(pod_box_says(&b, "a"), "Running/False");
    pod_box_pass(&b, 5000);
    EXPECT_STR(pod_box_says(&b, "a"), "Running/True");
    EXPECT_STR(pod_box_state(&b, "a", 0), "running");
    EXPECT_EQ(pod_box_status(&b, "a", 0)->restart_count, 0);
    EXPECT_EQ(fake_client_calls(b.f, CLIENT_PATCH_STRATEGIC, kind_pod()), calls + 1);
    EXPECT_STR(fake_shims_story(b.shims), "start create:web run:web");
    pod_box_deinit(&b);
}

/* After a reboot: the run directory is empty, Services still point to the old addresses. */
TEST(a_former_address_is_taken_again)
{
    struct pod_box b;

    pod_box_init(&b);
    b.self.network_ready = false;
    pod_box_pod(&b, "new", QUICK ONE);
    fake_client_put(b.f, "apiVersion: v1\nkind: Pod\nmetadata: {name: old, generation: 1}\n"
                    "spec: {nodeName: n1, " QUICK ONE "}\n"
                    "status: {phase: Running, podIP: 10.42.0.2, podIPs: [{ip: 10.42.0.2}]}\n");
    fake_client_put(b.f, "apiVersion: v1\nkind: Pod\nmetadata: {name: over, generation: 1}\n"
                    "spec: {nodeName: n1, " QUICK ONE "}\n"
                    "status: {phase: Succeeded, podIP: 10.42.0.3}\n");
    fake_client_run(b.f);
    b.self.network_ready = true;
    podset_claim_all(b.pods);
    podset_touch_all(b.pods);
    fake_client_run(b.f);
    EXPECT_STR(pod_view(pod_box_get_pod(&b, "old"))->status.pod_ip, "10.42.0.2");
    EXPECT_STR(pod_view(pod_box_get_pod(&b, "new"))->status.pod_ip, "10.42.0.3");
    fake_client_delete(b.f, kind_pod(), "default", "old", NULL);
    fake_client_delete(b.f, kind_pod(), "default", "new", NULL);
    fake_client_delete(b.f, kind_pod(), "default", "over", NULL);
    pod_box_pass(&b, 1000);
    pod_box_expect_empty(&b);
    pod_box_deinit(&b);
}
TEST(kill_after_the_grace)
{
    struct pod_box b;

    pod_box_init(&b);
    fake_shims_deaf(b.shims, true);
    pod_box_pod(&b, "a", QUICK ONE);
    fake_client_run(b.f);
    fake_client_delete(b.f, kind_pod(), "default", "a", NULL);
    pod_box_pass(&b, 4800);
    EXPECT_EQ(fake_shims_running(b.shims, NULL), 1);
    EXPECT_STR(pod_box_says(&b, "a"), "Running/True");
    pod_box_pass(&b, 400);
    EXPECT_STR(fake_shims_story(b.shims),
               "start create:web run:web TERM:web KILL:web exit:web stop");
    EXPECT_STR(pod_box_says(&b, "a"), "");
    pod_box_expect_empty(&b);
    pod_box_deinit(&b);
}

TEST(pre_stop_comes_first_and_within_the_grace)
{
    struct pod_box b;

    pod_box_init(&b);
    pod_box_pod(&b, "a", QUICK "containers: [{name: web, image: 'app:1', "
                "imagePullPolicy: IfNotPresent, "
                "lifecycle: {preStop: {exec: {command: [pre]}}, "
                "postStart: {exec: {command: [post]}}}}]");
    fake_client_run(b.f);
    EXPECT_STR(pod_box_says(&b, "a"), "Running/True");
    fake_client_delete(b.f, kind_pod(), "default", "a", NULL);
    pod_box_pass(&b, 1000);
    EXPECT_STR(fake_shims_story(b.shims),
               "start create:web run:web exec:web exec:web TERM:web exit:web stop");
    pod_box_expect_empty(&b);
    pod_box_deinit(&b);
}

TEST(post_start_failure_kills_it)
{
    struct pod_box b;

    pod_box_init(&b);
    fake_shims_exec_exit(b.shims, 3);
    pod_box_pod(&b, "a", QUICK "restartPolicy: Never, containers: [{name: web, image: 'app:1', "
                "imagePullPolicy: IfNotPresent, "
                "lifecycle: {postStart: {exec: {command: [post]}}}}]");
    fake_client_run(b.f);
    EXPECT_STR(fake_shims_story(b.shims),
               "start create:web run:web exec:web TERM:web exit:web stop");
    EXPECT_STR(pod_box_says(&b, "a"), "Failed/False");
    pod_box_deinit(&b);
}

/* --- ends and restarts */

TEST(crash_loop_backs_off)
{
    static const int64_t waits_ms[] = { 0, 10000, 20000, 40000, 80000, 160000, 300000, 300000 };
    struct pod_box b;

    pod_box_init(&b);
    pod_box_pod(&b, "a", ONE);
    fake_client_run(b.f);
    for (size_t i = 0; i < ARRAY_LEN(waits_ms); i++) {
        EXPECT_EQ(fake_shims_runs(b.shims, "web"), i + 1);
        fake_shims_exit(b.shims, "web", 1);
        fake_client_run(b.f);
        if (waits_ms[i] > 0) {
            EXPECT_STR(pod_box_state(&b, "a", 0), "waiting:CrashLoopBackOff");
            EXPECT_STR(pod_box_says(&b, "a"), "Running/False");
            EXPECT_EQ(pod_box_status(&b, "a", 0)->last_state.terminated->exit_code, 1);
            pod_box_pass(&b, waits_ms[i] - 200);
            EXPECT_EQ(fake_shims_runs(b.shims, "web"), i + 1);
            pod_box_pass(&b, 400);
        }
        EXPECT_STR(pod_box_state(&b, "a", 0), "running");
        EXPECT_EQ(pod_box_status(&b, "a", 0)->restart_count, i + 1);
        EXPECT(fake_shims_kept(b.shims) <= 2);
    }
    pod_box_pass(&b, POD_BACKOFF_FORGET_MS + 1000);       /* well behaved: all is forgiven */
    fake_shims_exit(b.shims, "web", 0);
    fake_client_run(b.f);
    EXPECT_STR(pod_box_state(&b, "a", 0), "running");
    pod_box_deinit(&b);
}

TEST(back_off_says_how_long)
{
    struct pod_box b;

    pod_box_init(&b);
    pod_box_pod(&b, "a", ONE);
    fake_client_run(b.f);
    for (int i = 0; i < 2; i++) {
        fake_shims_exit(b.shims, "web", 2);
        fake_client_run(b.f);
    }
    EXPECT(str_starts(pod_box_status(&b, "a", 0)->state.waiting->message,
                      "back-off 10s restarting failed container=web pod=a_default("));
    pod_box_deinit(&b);
}

struct ending { const char *policy; int exit_code; const char *says, *state; unsigned runs; };

static const struct ending endings[] = {
    { "Never", 0, "Succeeded/False", "terminated:Completed:0", 1 },
    { "Never", 4, "Failed/False", "terminated:Error:4", 1 },
    { "OnFailure", 0, "Succeeded/False", "terminated:Completed:0", 1 },
    { "OnFailure", 4, "Running/True", "running", 2 },
    { "Always", 0, "Running/True", "running", 2 },
};

TEST(restart_policies)
{
    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        const struct ending *e = &endings[i];
        struct pod_box b;

        pod_box_init(&b);
        pod_box_pod(&b, "a", arena_printf(b.a, "restartPolicy: %s, " ONE, e->policy));
        fake_client_run(b.f);
        fake_shims_exit(b.shims, "web", e->exit_code);
        fake_client_run(b.f);
        EXPECT_STR(pod_box_says(&b, "a"), e->says);
        EXPECT_STR(pod_box_state(&b, "a", 0), e->state);
        EXPECT_EQ(fake_shims_runs(b.shims, "web"), e->runs);
        EXPECT_EQ(fake_shims_alive(b.shims), e->runs == 2);
        EXPECT_EQ(kernel.groups, e->runs == 2);
        pod_box_crash(&b);                   /* an ended pod does not run again */
        fake_client_run(b.f);
        EXPECT_STR(pod_box_says(&b, "a"), e->says);
        EXPECT_EQ(fake_shims_runs(b.shims, "web"), e->runs);
        fake_client_drop(b.f, kind_pod(), "default", "a");
        fake_client_run(b.f);
        pod_box_expect_empty(&b);
        pod_box_deinit(&b);
    }
}

TEST(out_of_memory_is_told)
{
    struct pod_box b;

    pod_box_init(&b);
    pod_box_pod(&b, "a", "restartPolicy: Never, " ONE);
    fake_client_run(b.f);
    fake_shims_oom(b.shims, "web");
    fake_client_run(b.f);
    EXPECT_STR(pod_box_state(&b, "a", 0), "terminated:OOMKilled:137");
    pod_box_deinit(&b);
}

/* --- several containers */

#define C(n) "{name: " n ", image: 'app:1', imagePullPolicy: IfNotPresent}"
#define SIDE(n) "{name: " n ", image: 'app:1', imagePullPolicy: IfNotPresent, " \
                "restartPolicy: Always}"

TEST(init_containers_come_one_by_one)
{
    struct pod_box b;

    pod_box_init(&b);
    pod_box_pod(&b, "a", "initContainers: [" C("i1") ", " SIDE("s") ", " C("i2") "], "
                "containers: [" C("m1") ", " C("m2") "]");
    fake_client_run(b.f);
    EXPECT_STR(fake_shims_story(b.shims), "start create:i1 run:i1");
    EXPECT_STR(pod_box_says(&b, "a"), "Pending/False");
    EXPECT_STR(pod_box_state(&b, "a", 0), "waiting:PodInitializing");
    fake_shims_exit(b.shims, "i1", 0);
    fake_client_run(b.f);
    EXPECT_EQ(fake_shims_running(b.shims, "s"), 1);
    EXPECT_EQ(fake_shims_running(b.shims, "i2"), 1);
    EXPECT_EQ(fake_shims_running(b.shims, "m1"), 0);
    fake_shims_exit(b.shims, "i2", 1);       /* it runs again; s does not */
    fake_client_run(b.f);
    EXPECT_EQ(fake_shims_runs(b.shims, "i2"), 2);
    EXPECT_EQ(fake_shims_runs(b.shims, "s"), 1);
    fake_shims_exit(b.shims, "i2", 0);
    fake_client_run(b.f);
    EXPECT_STR(pod_box_says(&b, "a"), "Running/True");
    EXPECT_EQ(fake_shims_running(b.shims, NULL), 3);
    pod_box_deinit(&b);
}

TEST(sidecars_end_last)
{
    struct pod_box b;

    pod_box_init(&b);
    pod_box_pod(&b, "a", "restartPolicy: Never, initContainers: [" SIDE("s1") ", " SIDE("s2") "], "
                "containers: [" C("m") "]");
    fake_client_run(b.f);
    EXPECT_STR(pod_box_says(&b, "a"), "Running/True");
    fake_shims_exit(b.shims, "m", 0);
    fake_client_run(b.f);
    EXPECT(strstr(fake_shims_story(b.shims),
                  "exit:m TERM:s2 exit:s2 TERM:s1 exit:s1 stop"));
    EXPECT_STR(pod_box_says(&b, "a"), "Succeeded/False");
    pod_box_deinit(&b);
}

TEST(failed_init_fails_the_pod)
{
    struct pod_box b;

    pod_box_init(&b);
    pod_box_pod(&b, "a", "restartPolicy: Never, initContainers: [" C("i") "], "
                "containers: [" C("m") "]");
    fake_client_run(b.f);
    fake_shims_exit(b.shims, "i", 1);
    fake_client_run(b.f);
    EXPECT_STR(pod_box_says(&b, "a"), "Failed/False");
    EXPECT_EQ(fake_shims_runs(b.shims, "m"), 0);
    EXPECT_EQ(fake_shims_alive(b.shims), 0);
    pod_box_deinit(&b);
}

TEST(one_bad_image_stops_only_its_container)
{
    struct pod_box b;

    pod_box_init(&b);
    pod_box_fail(BOX_PULL, 2, ERR_UNAVAILABLE);
    pod_box_pod(&b, "a", "containers: [" C("m") ", {name: x, image: 'absent:1', "
                "imagePullPolicy: IfNotPresent}]");
    fake_client_run(b.f);
    EXPECT_STR(pod_box_state(&b, "a", 0), "running");
    EXPECT_STR(pod_box_state(&b, "a", 1), "waiting:ErrImagePull");
    EXPECT_STR(pod_box_says(&b, "a"), "Pending/False");
    pod_box_pass(&b, 3000);
    EXPECT_STR(pod_box_state(&b, "a", 1), "waiting:ImagePullBackOff");
    EXPECT_STR(pod_box_status(&b, "a", 1)->state.waiting->message,
               "Back-off pulling image \"absent:1\": ErrImagePull: fault 1");
    pod_box_pass(&b, 8000);
    EXPECT_EQ(kernel.pulls, 2);
    pod_box_pass(&b, 18000);
    EXPECT_EQ(kernel.pulls, 2);
    pod_box_pass(&b, 3000);
    EXPECT_EQ(kernel.pulls, 3);
    EXPECT_STR(pod_box_says(&b, "a"), "Running/True");
    pod_box_deinit(&b);
}

struct image_case { const char *image, *policy, *state; unsigned pulls; };

static const struct image_case image_cases[] = {
    { "app:1", "IfNotPresent", "running", 0 },
    { "app:1", "Never", "running", 0 },
    { "app:1", "Always", "running", 1 },
    { "absent:1", "IfNotPresent", "running", 1 },
    { "absent:1", "Never", "waiting:ErrImageNeverPull", 0 },
    { "inro.local/box", "Always", "running", 0 },
    { "UPPER CASE", "IfNotPresent", "waiting:InvalidImageName", 0 },
};

TEST(pull_policies)
{
    for (size_t i = 0; i < ARRAY_LEN(image_cases); i++) {
        const struct image_case *c = &image_cases[i];
        struct pod_box b;

        pod_box_init(&b);
        pod_box_pod(&b, "a", arena_printf(b.a, "containers: [{name: web, image: '%s', "
                                          "imagePullPolicy: %s}]", c->image, c->policy));
        fake_client_run(b.f);
        EXPECT_STR(pod_box_state(&b, "a", 0), c->state);
        EXPECT_EQ(kernel.pulls, c->pulls);
        pod_box_deinit(&b);
    }
}

/* --- refusals and deadlines */

struct refusal_case { const char *spec, *reason; };

static const struct refusal_case refusals[] = {
    { "containers: [{name: c, image: x, resources: {requests: {cpu: 5}}}]", "OutOfcpu" },
    { "containers: [{name: c, image: x, resources: {requests: {memory: 2Gi}}}]", "OutOfmemory" },
    { "securityContext: {sysctls: [{name: kernel.msgmax, value: '1'}]}, " ONE,
      "SysctlForbidden" },
    { "hostUsers: false, " ONE, "UserNamespacesNotSupported" },
    { "os: {name: windows}, " ONE, "PodOSNotSupported" },
    { "runtimeClassName: kata, " ONE, "RuntimeClassNotSupported" },
    { "containers: [{name: c, image: x, volumeDevices: [{name: v, devicePath: /d}]}], "
      "volumes: [{name: v, persistentVolumeClaim: {claimName: p}}]",
      "VolumeDevicesNotSupported" },
};

TEST(what_cannot_be_done_is_refused)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct pod_box b;

        pod_box_init(&b);
        pod_box_pod(&b, "a", refusals[i].spec);
        fake_client_run(b.f);
        EXPECT_STR(pod_box_says(&b, "a"), "Failed/False");
        EXPECT_STR(pod_view(pod_box_get_pod(&b, "a"))->status.reason, refusals[i].reason);
        EXPECT_EQ(fake_shims_started(b.shims), 0);
        fake_client_delete(b.f, kind_pod(), "default", "a", NULL);
        fake_client_run(b.f);
        pod_box_expect_empty(&b);
        pod_box_deinit(&b);
    }
}

TEST(a_host_port_belongs_to_one_pod)
{
    struct pod_box b;

    pod_box_init(&b);
    pod_box_pod(&b, "a", "containers: [{name: c, image: 'app:1', imagePullPolicy: IfNotPresent, "
                "ports: [{containerPort: 80, hostPort: 8080, protocol: TCP}]}]");
    fake_client_run(b.f);
    pod_box_pod(&b, "b", "containers: [{name: c, image: 'app:1', imagePullPolicy: IfNotPresent, "
                "ports: [{containerPort: 80, hostPort: 8080, protocol: TCP}]}]");
    pod_box_pod(&b, "u", "containers: [{name: c, image: 'app:1', imagePullPolicy: IfNotPresent, "
                "ports: [{containerPort: 80, hostPort: 8080, protocol: UDP}]}]");
    fake_client_run(b.f);
    EXPECT(str_starts(pod_box_says(&b, "a"), "Running/"));
    EXPECT_STR(pod_box_says(&b, "b"), "Failed/False");
    EXPECT_STR(pod_view(pod_box_get_pod(&b, "b"))->status.reason, "NodePorts");
    EXPECT(str_starts(pod_box_says(&b, "u"), "Running/"));
    pod_box_deinit(&b);
}

TEST(active_deadline)
{
    struct pod_box b;

    pod_box_init(&b);
    pod_box_pod(&b, "a", "activeDeadlineSeconds: 10, " QUICK ONE);
    pod_box_pass(&b, 9000);
    EXPECT_STR(pod_box_says(&b, "a"), "Running/True");
    pod_box_pass(&b, 1500);
    EXPECT_STR(pod_box_says(&b, "a"), "Failed/False");
    EXPECT_STR(pod_view(pod_box_get_pod(&b, "a"))->status.reason, "DeadlineExceeded");
    EXPECT_EQ(fake_shims_alive(b.shims), 0);
    pod_box_deinit(&b);
}

TEST(a_missing_config_map_is_waited_for)
{
    struct pod_box b;

    pod_box_init(&b);
    pod_box_pod(&b, "a", "containers: [{name: web, image: 'app:1', imagePullPolicy: IfNotPresent, "
                "env: [{name: A, valueFrom: {configMapKeyRef: {name: cm, key: k}}}]}]");
    fake_client_run(b.f);
    EXPECT_STR(pod_box_state(&b, "a", 0), "waiting:CreateContainerConfigError");
    EXPECT_STR(pod_box_status(&b, "a", 0)->state.waiting->message,
               "configmap \"cm\" not found");
    fake_client_put(b.f, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\n"
                         "data: {k: v}\n");
    pod_box_pass(&b, 5000);
    EXPECT_STR(pod_box_says(&b, "a"), "Running/True");
    pod_box_deinit(&b);
}

TEST(a_changed_image_restarts_the_container)
{
    struct pod_box b;

    pod_box_init(&b);
    pod_box_pod(&b, "a", ONE);
    fake_client_run(b.f);
    fake_client_edit(b.f, kind_pod(), "default", "a",
                     "{spec: {containers: [{name: web, image: 'app:2'}]}}");
    fake_client_run(b.f);
    EXPECT_EQ(fake_shims_runs(b.shims, "web"), 2);
    EXPECT_STR(pod_box_status(&b, "a", 0)->image, "app:2");
    EXPECT_STR(pod_box_says(&b, "a"), "Running/True");
    pod_box_deinit(&b);
}
