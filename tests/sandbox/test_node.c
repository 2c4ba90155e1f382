/* test_node.c -- the node agent on the real kernel: real shims, images, groups and links in
 * namespaces of the test's own; only the cluster is a fake. The program in the containers is
 * test_payload(). */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/box/box.h"
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/base/str.h"
#include "gen/views.h"
#include "net/pod/pod_net.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/node/node.h"
#include "runtime/shim/shim.h"
#include "tests/fake/fake_client.h"
#include "tests/sandbox/net_box.h"

#define WAIT_ROUNDS 1500                 /* of 10 ms */

static int run_box(int argc, char **argv)
{
    return box_main(argc, argv);
}

TEST_VERB(shim, SHIM_VERB, shim_main)
TEST_VERB(netns, POD_NET_VERB, pod_net_verb_main)
TEST_VERB(http, "http", run_box)
TEST_VERB(sleep, "sleep", run_box)
TEST_VERB(false, "false", run_box)
TEST_VERB(true, "true", run_box)

struct world {
    struct arena *a;
    struct loop *loop;
    struct fake_client *f;
    struct client *client;
    struct job_pool *jobs;
    struct node *node;
    struct node_opts opts;
    int net;
    size_t mounts;
};

#define UNTIL(w, cond)                                                                             \
    do {                                                                                           \
        for (int until_ = 0; !(cond) && until_ < WAIT_ROUNDS; until_++)                            \
            loop_step((w)->loop, 10);                                                              \
        if (!(cond))                                                                               \
            test_fail(__FILE__, __LINE__, "never: %s", #cond);                                     \
    } while (0)

static size_t count_lines(const char *path, const char *part)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct slice rest, line;
    size_t n = 0;

    if (fd_read_file(&b, AT_FDCWD, path, 4u << 20, NULL) < 0)
        return 0;
    rest = (struct slice){ b.p, b.len };
    while (slice_split(&rest, '\n', &line))
        n += line.len > 0 && memmem(line.p, line.len, part, strlen(part));
    return n;
}

static size_t count_entries(const char *path)
{
    DIR *d = opendir(path);
    size_t n = 0;

    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

static void world_node(struct world *w)
{
    struct err err = ERR_INIT;

    w->client = fake_client_open(w->f, "kubelet");
    EXPECT_OK(node_new(&w->node, w->loop, w->client, w->jobs, &w->opts, &err), &err);
}

static void world_init(struct world *w)
{
    static const unsigned class_max[JOB_CLASS_MAX] = { 0 };
    static const char *const applets[] = { "http", "sleep", "true", "false", NULL };
    struct cgroup *cg = NULL;
    struct err err = ERR_INIT;

    *w = (struct world){ .a = arena_new(0) };
    w->net = net_box_here();
    if (cgroup_open(&cg, strrchr(test_tmpdir(), '/') + 1, &err) < 0)
        test_skip(err.msg);
    cgroup_free(cg);
    w->opts = (struct node_opts){
        .name = "n1", .ip = "10.42.0.1", .data_dir = arena_printf(w->a, "%s/data", test_tmpdir()),
        .run_dir = arena_printf(w->a, "%s/run", test_tmpdir()),
        .cgroup_root = strrchr(test_tmpdir(), '/') + 1, .applets = applets,
        .image_exe = test_payload(),
        .resolv_conf = "/nonexistent" };
    w->mounts = count_lines("/proc/self/mountinfo", test_tmpdir());
    EXPECT_OK(loop_new(&w->loop, env_real(), &err), &err);
    EXPECT_OK(job_pool_new(&w->jobs, 4, class_max, &err), &err);
    w->f = fake_client_new(w->loop);
    world_node(w);
    UNTIL(w, fake_client_get(w->f, kind_node(), "", "n1"));
    fake_client_edit(w->f, kind_node(), "", "n1",
                     "{spec: {podCIDR: 10.42.0.0/24, podCIDRs: [10.42.0.0/24]}}");
    UNTIL(w, node_ready(w->node));
}

static void world_let_go(struct world *w)
{
    w->node = node_free(w->node);
    for (int i = 0; i < 50; i++)             /* what the last jobs say */
        loop_step(w->loop, 2);
    w->client = client_free(w->client);
}

static bool file_has(struct world *w, const char *pid, const char *file, const char *part)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    return fd_read_file(&b, AT_FDCWD, arena_printf(w->a, "/proc/%s/%s", pid, file), 1u << 20,
                        NULL) == 0 && b.len && memmem(b.p, b.len, part, strlen(part));
}

/* A process of this node: a shim runs our bound binary, a container's is in one of our groups. */
static pid_t pid_of(struct world *w, const char *verb)
{
    DIR *d = opendir("/proc");
    pid_t found = 0;

    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char link[512];
        ssize_t n = readlink(arena_printf(w->a, "/proc/%s/exe", e->d_name), link,
                             sizeof(link) - 1);

        link[n > 0 ? n : 0] = 0;
        if (file_has(w, e->d_name, "cmdline", verb) &&
            (strstr(link, test_tmpdir()) ||
             file_has(w, e->d_name, "cgroup", w->opts.cgroup_root)))
            found = (pid_t)strtol(e->d_name, NULL, 10);
    }
    closedir(d);
    return found;
}

static void world_deinit(struct world *w)
{
    struct err err = ERR_INIT;
    struct cgroup *cg = NULL;

    if (w->node)
        world_let_go(w);
    EXPECT_OK(node_cleanup(&w->opts, &err), &err);
    EXPECT_OK(node_cleanup(&w->opts, &err), &err);       /* twice is fine */
    EXPECT_EQ(pid_of(w, SHIM_VERB), 0);
    EXPECT_EQ(pid_of(w, "inro-box"), 0);
    EXPECT_EQ(count_lines("/proc/self/mountinfo", test_tmpdir()), w->mounts);
    EXPECT_EQ(count_entries(w->opts.run_dir), 0);
    EXPECT_EQ(count_entries(arena_printf(w->a, "%s/pods", w->opts.data_dir)), 0);
    EXPECT_EQ(count_entries(arena_printf(w->a, "%s/images/leases", w->opts.data_dir)), 0);
    EXPECT_EQ(count_lines("/proc/net/dev", ":"), 1);     /* lo */
    EXPECT_EQ(count_lines("/proc/self/cgroup", w->opts.cgroup_root), 0);
    EXPECT_OK(cgroup_open(&cg, w->opts.cgroup_root, &err), &err);
    EXPECT_OK(cgroup_remove(cg, "", &err), &err);
    cgroup_free(cg);
    fake_client_free(w->f);
    job_pool_free(w->jobs);
    loop_free(w->loop);
    arena_free(w->a);
}

static void make_pod(struct world *w, const char *name, const char *spec)
{
    fake_client_put(w->f, arena_printf(w->a, "apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\n"
        "spec: {nodeName: n1, terminationGracePeriodSeconds: 2, %s}\n"
        "status: {phase: Pending, qosClass: BestEffort}\n", name, spec));
}

static const struct pod_view *see(struct world *w, const char *name)
{
    struct object *o = fake_client_get(w->f, kind_pod(), "default", name);

    return o ? pod_view(o) : NULL;
}

static bool is_phase(struct world *w, const char *name, const char *phase)
{
    const struct pod_view *v = see(w, name);

    return v && str_eq(v->status.phase, phase);
}

static const struct container_status_view *status(struct world *w, const char *name)
{
    const struct pod_view *v = see(w, name);

    return v && v->status.n_container_statuses ? &v->status.container_statuses[0] : NULL;
}

/* What GET / answers; "" when nobody does. */
static const char *ask(struct world *w, const char *ip)
{
    static const char request[] = "GET / HTTP/1.0\r\n\r\n";
    struct sockaddr_in a = net_box_addr(ip, 8080);
    _cleanup_fd_ int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval tv = { 2, 0 };
    _cleanup_buf_ struct buf b = BUF_INIT;
    char part[512];
    ssize_t n;

    EXPECT(s >= 0);
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
    if (connect(s, (struct sockaddr *)&a, sizeof(a)) < 0 ||
        send(s, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
        return "";
    while ((n = recv(s, part, sizeof(part), 0)) > 0)
        buf_add(&b, part, (size_t)n);
    return arena_strdup(w->a, b.p ? b.p : "");
}

#define BOX "image: inro.local/box, imagePullPolicy: Always"

TEST_SLOW(a_pod_of_the_box_answers_and_goes, 60)
{
    struct world w;

    world_init(&w);
    make_pod(&w, "web", "containers: [{name: c, " BOX ", args: [http, --port, '8080'], "
             "readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}}]");
    UNTIL(&w, status(&w, "web") && status(&w, "web")->ready);
    EXPECT(strstr(ask(&w, see(&w, "web")->status.pod_ip), "web"));
    fake_client_delete(w.f, kind_pod(), "default", "web", NULL);
    UNTIL(&w, !see(&w, "web"));
    UNTIL(&w, count_entries(arena_printf(w.a, "%s/pods", w.opts.run_dir)) == 0);
    EXPECT_EQ(pid_of(&w, "http"), 0);
    EXPECT_EQ(pid_of(&w, SHIM_VERB), 0);
    EXPECT_EQ(count_entries(arena_printf(w.a, "%s/pods", w.opts.data_dir)), 0);
    EXPECT_EQ(count_entries(arena_printf(w.a, "%s/logs", w.opts.data_dir)), 0);
    world_deinit(&w);
}

TEST_SLOW(the_node_role_comes_back, 60)
{
    struct world w;
    const char *id;
    pid_t pid;

    world_init(&w);
    make_pod(&w, "web", "containers: [{name: c, " BOX ", args: [http, --port, '8080']}]");
    UNTIL(&w, is_phase(&w, "web", "Running"));
    pid = pid_of(&w, "http");
    id = arena_strdup(w.a, status(&w, "web")->container_id);
    EXPECT(pid > 0);
    world_let_go(&w);
    EXPECT(strstr(ask(&w, see(&w, "web")->status.pod_ip), "web"));
    world_node(&w);
    UNTIL(&w, node_ready(w.node));
    EXPECT_EQ(pid_of(&w, "http"), pid);
    EXPECT_STR(status(&w, "web")->container_id, id);
    EXPECT_EQ(status(&w, "web")->restart_count, 0);

    world_let_go(&w);                        /* deleted while nobody looks */
    fake_client_drop(w.f, kind_pod(), "default", "web");
    world_node(&w);
    UNTIL(&w, node_ready(w.node) && pid_of(&w, SHIM_VERB) == 0);
    UNTIL(&w, count_entries(arena_printf(w.a, "%s/pods", w.opts.run_dir)) == 0);
    world_deinit(&w);
}

/* A node role died while it recorded a pod, or forgot one: its folder is there without a record. */
TEST_SLOW(leftovers_of_a_dead_node_role, 60)
{
    struct world w;
    const char *dir, *file;

    world_init(&w);
    world_let_go(&w);
    dir = arena_printf(w.a, "%s/pods/1b2c", w.opts.run_dir);
    file = arena_printf(w.a, "%s/c1.plan", dir);
    EXPECT_EQ(fd_mkdirs(dir, 0700, NULL), 0);
    EXPECT_EQ(fd_write_file(AT_FDCWD, file, "{}", 2, 0600, NULL), 0);
    world_node(&w);
    UNTIL(&w, node_ready(w.node) && access(dir, F_OK) < 0);
    world_deinit(&w);
}

TEST_SLOW(a_dead_shim_is_replaced, 60)
{
    struct world w;

    world_init(&w);
    make_pod(&w, "web", "containers: [{name: c, " BOX ", args: [http, --port, '8080']}]");
    make_pod(&w, "once", "restartPolicy: Never, containers: [{name: c, " BOX
             ", args: [sleep, '1000']}]");
    UNTIL(&w, is_phase(&w, "web", "Running") && is_phase(&w, "once", "Running"));
    EXPECT_EQ(kill(pid_of(&w, SHIM_VERB), SIGKILL), 0);
    UNTIL(&w, is_phase(&w, "once", "Failed") || status(&w, "web")->restart_count == 1);
    if (!is_phase(&w, "once", "Failed"))
        EXPECT_EQ(kill(pid_of(&w, "sleep"), SIGKILL), 0);
    UNTIL(&w, is_phase(&w, "once", "Failed") && pid_of(&w, "sleep") == 0);
    UNTIL(&w, status(&w, "web")->ready);
    EXPECT(strstr(ask(&w, see(&w, "web")->status.pod_ip), "web"));
    world_deinit(&w);
}

TEST_SLOW(ends_and_limits_are_told, 60)
{
    struct world w;

    world_init(&w);
    make_pod(&w, "good", "restartPolicy: Never, containers: [{name: c, " BOX ", args: ['true']}]");
    make_pod(&w, "bad", "restartPolicy: Never, containers: [{name: c, " BOX ", args: ['false']}]");
    make_pod(&w, "none", "restartPolicy: Never, containers: [{name: c, " BOX
             ", command: [/nothing]}]");
    make_pod(&w, "user", "containers: [{name: c, " BOX ", args: [sleep, '1000'], "
             "securityContext: {runAsNonRoot: true}}]");
    UNTIL(&w, is_phase(&w, "good", "Succeeded") && is_phase(&w, "bad", "Failed") &&
              is_phase(&w, "none", "Failed"));
    EXPECT_STR(status(&w, "good")->state.terminated->reason, "Completed");
    EXPECT_EQ(status(&w, "bad")->state.terminated->exit_code, 1);
    EXPECT_STR(status(&w, "none")->state.terminated->reason, "StartError");
    UNTIL(&w, status(&w, "user")->state.waiting &&
              str_eq(status(&w, "user")->state.waiting->reason, "CreateContainerConfigError"));
    EXPECT_EQ(pid_of(&w, SHIM_VERB) > 0, 1);             /* of "user" */
    world_deinit(&w);
}

/* As after kill -9 of everything but containers: node_cleanup finds them by what is on the disk. */
TEST_SLOW(cleanup_without_a_node, 60)
{
    struct world w;

    world_init(&w);
    make_pod(&w, "web", "containers: [{name: c, " BOX ", args: [http, --port, '8080'], "
             "volumeMounts: [{name: m, mountPath: /m}, {name: d, mountPath: /d}]}], "
             "volumes: [{name: m, emptyDir: {medium: Memory}}, {name: d, emptyDir: {}}]");
    make_pod(&w, "host", "hostNetwork: true, containers: [{name: c, " BOX
             ", args: [sleep, '1000']}]");
    UNTIL(&w, is_phase(&w, "web", "Running") && is_phase(&w, "host", "Running"));
    EXPECT(count_lines("/proc/self/mountinfo", test_tmpdir()) > w.mounts);
    world_let_go(&w);
    EXPECT(pid_of(&w, "http") > 0);
    world_deinit(&w);
}

static void on_stopped(void *ctx)
{
    *(bool *)ctx = true;
}

TEST_SLOW(stop_with_pods_leaves_nothing, 60)
{
    struct world w;
    bool done = false;

    world_init(&w);
    make_pod(&w, "web", "containers: [{name: c, " BOX ", args: [http, --port, '8080']}]");
    UNTIL(&w, is_phase(&w, "web", "Running"));
    node_stop_pods(w.node, 2000, on_stopped, &done);
    UNTIL(&w, done);
    EXPECT_EQ(pid_of(&w, "http"), 0);
    world_let_go(&w);
    world_deinit(&w);
}
