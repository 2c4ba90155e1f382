/* pod_box.h -- a node in memory for tests of the machines: fake clock, cluster, shims and kernel;
 * jobs run inline. The node role may die (pod_box_crash) and come back.
 */
#ifndef TESTS_UNIT_RUNTIME_NODE_POD_BOX_H
#define TESTS_UNIT_RUNTIME_NODE_POD_BOX_H

#include <sys/stat.h>

#include "runtime/node/node_conf.h"
#include "runtime/node/node_event.h"
#include "runtime/node/node_images.h"
#include "runtime/node/node_ref.h"
#include "runtime/node/pod_self.h"
#include "runtime/node/podset.h"
#include "tests/fake/fake_client.h"
#include "tests/fake/fake_env.h"
#include "tests/fake/fake_shim.h"
#include "tests/harness/test.h"

enum pod_box_fault { BOX_GET, BOX_PULL, BOX_LEASE, BOX_ATTACH, BOX_DETACH, BOX_MAKE, BOX_REMOVE,
                     BOX_FAULTS };

/* What the fake kernel holds; tests are single-threaded and each has its own process. */
static struct {
    unsigned fail[BOX_FAULTS];
    enum err_code code[BOX_FAULTS];
    unsigned groups, links, leases, pulls;
} kernel;

static inline int pod_box_fault(enum pod_box_fault what, struct err *err)
{
    if (kernel.fail[what] == 0)
        return 0;
    kernel.fail[what]--;
    return err_set(err, kernel.code[what] ? kernel.code[what] : ERR_FAILED, "fault %d", what);
}

static inline void pod_box_fail(enum pod_box_fault what, unsigned n, enum err_code code)
{
    kernel.fail[what] = n;
    kernel.code[what] = code;
}

static inline struct image *pod_box_image(void)
{
    static const char *const none[] = { NULL };
    static const char *const entry[] = { "/bin/app", NULL };
    static const char *const digests[] = { "img@sha256:1", NULL };
    struct arena *a = arena_new(0);
    struct image *im = ANEW(a, struct image);

    *im = (struct image){ .id = "sha256:2", .manifest = "", .target = "", .names = none,
                          .digests = digests, .entrypoint = entry, .cmd = none, .env = none,
                          .exposed_ports = none, .volumes = none, .labels = none, .workdir = "",
                          .user = "", .stop_signal = "", .os = "linux", .arch = "", .variant = "",
                          .layers = none, .arena = a, .size_bytes = 5 };
    return im;
}

static inline int pod_box_get(struct image **out, const struct image_store *s, const char *name,
                              struct err *err)
{
    (void)s;
    if (strstr(name, "absent"))
        return err_set(err, ERR_NOT_FOUND, "image %s", name);
    if (pod_box_fault(BOX_GET, err) < 0)
        return -1;
    *out = pod_box_image();
    return 0;
}

static inline int pod_box_pull(struct image **out, const struct image_store *s,
                               const struct image_pull_opts *o, struct err *err)
{
    (void)s;
    (void)o;
    kernel.pulls++;
    if (pod_box_fault(BOX_PULL, err) < 0)
        return -1;
    *out = pod_box_image();
    return 0;
}

static inline int pod_box_lease(struct image_mount *out, const struct image_store *s,
                                const struct image *im, const char *id, struct err *err)
{
    (void)s;
    (void)im;
    (void)id;
    if (pod_box_fault(BOX_LEASE, err) < 0)
        return -1;
    *out = (struct image_mount){ .n = 1 };
    out->lower = mem_alloc_array(2, sizeof(*out->lower));
    out->lower[0] = mem_strdup("/lower");
    return 0;
}

static inline int pod_box_unlease(const struct image_store *s, const char *id, struct err *err)
{
    (void)s;
    (void)id;
    (void)err;
    return 0;
}

static inline int pod_box_gc(struct image_gc_result *out, const struct image_store *s,
                             const struct image_gc_opts *o, struct err *err)
{
    (void)s;
    (void)o;
    (void)err;
    *out = (struct image_gc_result){ 0 };
    return 0;
}

static inline int pod_box_attach(const struct pod_net_lease *l, const char *netns, int64_t ms,
                                 struct err *err)
{
    (void)l;
    (void)netns;
    (void)ms;
    if (pod_box_fault(BOX_ATTACH, err) < 0)
        return -1;
    kernel.links++;
    return 0;
}

static inline int pod_box_detach(const struct pod_net_lease *l, int64_t ms, struct err *err)
{
    (void)l;
    (void)ms;
    if (pod_box_fault(BOX_DETACH, err) < 0)
        return -1;
    kernel.links = 0;
    return 0;
}

static inline int pod_box_make(const struct cgroup *c, const char *path,
                               const struct cgroup_limits *l, struct err *err)
{
    (void)c;
    (void)path;
    (void)l;
    if (pod_box_fault(BOX_MAKE, err) < 0)
        return -1;
    kernel.groups = 1;
    return 0;
}

static inline int pod_box_kill(const struct cgroup *c, const char *path, struct err *err)
{
    (void)c;
    (void)path;
    (void)err;
    return 0;
}

static inline int pod_box_remove(const struct cgroup *c, const char *path, struct err *err)
{
    (void)c;
    (void)path;
    if (pod_box_fault(BOX_REMOVE, err) < 0)
        return -1;
    kernel.groups = 0;
    return 0;
}

static inline int pod_box_usage(const struct cgroup *c, const char *path, struct cgroup_usage *out,
                                struct err *err)
{
    (void)c;
    (void)err;
    *out = (struct cgroup_usage){ .cpu_ns = strchr(path, '/') ? 1234567890123 : 2000000000000,
                                  .memory_bytes = 4096, .memory_working_set_bytes = 1234567 };
    return 0;
}

static const struct node_kernel pod_box_kernel = {
    .image_get = pod_box_get, .image_pull = pod_box_pull, .image_lease = pod_box_lease,
    .image_unlease = pod_box_unlease, .image_gc = pod_box_gc, .net_attach = pod_box_attach,
    .net_detach = pod_box_detach, .group_make = pod_box_make, .group_kill = pod_box_kill,
    .group_remove = pod_box_remove, .group_usage = pod_box_usage,
};

struct pod_box {
    struct fake_env env;
    struct loop *loop;
    struct fake_client *f;
    struct client *client;
    struct fake_shims *shims;
    struct job_pool *jobs;
    struct node_conf conf;
    struct node_self self;
    struct podset *pods;
    struct arena *a;
};

static inline void pod_box_start(struct pod_box *b)
{
    struct pod_net_opts net = { .ledger = arena_printf(b->a, "%s/addresses", b->conf.run_dir) };
    struct err err = ERR_INIT;

    b->client = fake_client_open(b->f, "kubelet");
    b->self = (struct node_self){
        .loop = b->loop, .clock = &b->env.env, .client = b->client, .jobs = b->jobs,
        .shims = fake_shims_door(b->shims), .kernel = &pod_box_kernel, .conf = &b->conf,
        .cgroup_text = "", .memory_bytes = 1ll << 30, .prepared = true, .network_ready = true,
        .swept = true,
        .allocatable = { 4000, 1ll << 30, 1ll << 30 } };
    EXPECT_OK(pod_net_new(&b->self.net, &net, &err), &err);
    b->self.events = node_events_new(b->client, "n1");
    b->self.images = node_images_new(&b->self, NULL, NULL);
    b->self.refs = node_ref_cache_new(b->client);
    EXPECT_OK(podset_new(&b->pods, &b->self, &err), &err);
}

static inline void pod_box_init(struct pod_box *b)
{
    struct err err = ERR_INIT;

    *b = (struct pod_box){ .a = arena_new(0) };
    memset(&kernel, 0, sizeof(kernel));
    fake_env_init(&b->env, 3);
    EXPECT_OK(loop_new(&b->loop, &b->env.env, &err), &err);
    EXPECT_OK(job_pool_new(&b->jobs, 0, (unsigned[JOB_CLASS_MAX]){ 0 }, &err), &err);
    b->f = fake_client_new(b->loop);
    b->shims = fake_shims_new(b->loop);
    EXPECT_OK(node_conf_init(&b->conf, &(struct node_opts){
        .name = "n1", .ip = "192.0.2.1", .data_dir = arena_printf(b->a, "%s/data", test_tmpdir()),
        .run_dir = arena_printf(b->a, "%s/run", test_tmpdir()), .cluster_dns = "10.43.0.10",
        .resolv_conf = "/nonexistent" }, &err), &err);
    mkdir(b->conf.data_dir, 0755);
    mkdir(b->conf.run_dir, 0755);
    mkdir(arena_printf(b->a, "%s/pods", b->conf.data_dir), 0755);
    mkdir(arena_printf(b->a, "%s/pods", b->conf.run_dir), 0755);
    pod_box_start(b);
    fake_client_run(b->f);
}

/* The node role goes; what it had asked for is lost when it dies (cut). Jobs of it end. */
static inline void pod_box_stop(struct pod_box *b, bool dies)
{
    podset_free(b->pods);
    b->self.images = node_images_free(b->self.images);
    b->self.refs = node_ref_cache_free(b->self.refs);
    b->self.events = node_events_free(b->self.events);
    if (dies)
        fake_client_cut(b->f);
    fake_client_run(b->f);
    EXPECT_EQ(b->self.held, 0);
    client_free(b->client);
    b->self.net = pod_net_free(b->self.net);
}

static inline void pod_box_crash(struct pod_box *b)
{
    pod_box_stop(b, true);
    pod_box_start(b);
}

static inline void pod_box_deinit(struct pod_box *b)
{
    pod_box_stop(b, false);
    fake_shims_free(b->shims);
    fake_client_free(b->f);
    job_pool_free(b->jobs);
    loop_free(b->loop);
    node_conf_deinit(&b->conf);
    arena_free(b->a);
}

static inline void pod_box_pass(struct pod_box *b, int64_t ms)
{
    fake_client_pass(b->f, &b->env, ms, 100);
}

/* A pod of this spec, in YAML, bound to the node. */
static inline struct object *pod_box_pod(struct pod_box *b, const char *name, const char *spec)
{
    return fake_client_put(b->f, arena_printf(b->a, "apiVersion: v1\nkind: Pod\n"
        "metadata: {name: %s, generation: 1}\nspec: {nodeName: n1, %s}\n"
        "status: {phase: Pending, qosClass: BestEffort}\n", name, spec));
}

static inline struct object *pod_box_get_pod(struct pod_box *b, const char *name)
{
    return fake_client_get(b->f, kind_pod(), "default", name);
}

/* "Running/True": phase and Ready; "" when the pod is gone. */
static inline const char *pod_box_says(struct pod_box *b, const char *name)
{
    struct object *o = pod_box_get_pod(b, name);
    const struct pod_view *v = o ? pod_view(o) : NULL;
    const char *ready = "";

    for (unsigned i = 0; v && i < v->status.n_conditions; i++)
        if (str_eq(v->status.conditions[i].type, "Ready"))
            ready = v->status.conditions[i].status;
    return v ? arena_printf(b->a, "%s/%s", v->status.phase, ready) : "";
}

static inline const struct container_status_view *pod_box_status(struct pod_box *b,
                                                                 const char *pod, unsigned i)
{
    struct object *o = pod_box_get_pod(b, pod);

    EXPECT(o);
    EXPECT(i < pod_view(o)->status.n_container_statuses);
    return &pod_view(o)->status.container_statuses[i];
}

/* "waiting:CrashLoopBackOff", "running", "terminated:Completed:0". */
static inline const char *pod_box_state(struct pod_box *b, const char *pod, unsigned i)
{
    const struct container_state_view *s = &pod_box_status(b, pod, i)->state;

    if (s->waiting)
        return arena_printf(b->a, "waiting:%s", s->waiting->reason);
    if (s->terminated)
        return arena_printf(b->a, "terminated:%s:%d", s->terminated->reason,
                            (int)s->terminated->exit_code);
    return s->running ? "running" : "?";
}

/* Nothing of any pod is left. */
static inline void pod_box_expect_empty(struct pod_box *b)
{
    struct pod_net_lease lease;
    size_t at = 0;

    EXPECT_EQ(podset_len(b->pods), 0);
    EXPECT_EQ(fake_shims_alive(b->shims), 0);
    EXPECT_EQ(kernel.groups, 0);
    EXPECT_EQ(kernel.links, 0);
    EXPECT(!pod_net_next(b->self.net, &at, &lease));
    EXPECT(rmdir(arena_printf(b->a, "%s/pods", b->conf.run_dir)) == 0);
    mkdir(arena_printf(b->a, "%s/pods", b->conf.run_dir), 0755);
}

#define ONE "containers: [{name: web, image: 'app:1', imagePullPolicy: IfNotPresent}]"
#define QUICK "terminationGracePeriodSeconds: 5, "

#endif
