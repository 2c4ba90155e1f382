/* bench_container.c: how long a container takes from its creation to the exit of a program that
 * does nothing: in a pod that runs, and with a pod of its own; beside `crun run` of the same
 * program and a bare clone with namespaces and exec. All take turns in one loop.
 *
 *     bench_container FOLDER RUN-FOLDER CGROUP [BUNDLE]     BUNDLE: an OCI bundle for crun
 *
 * The run folder, where shims keep their state, is meant to lie in memory, as /run does.
 */
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/str.h"
#include "runtime/shim/shim.h"
#include "runtime/shim/shim_client.h"
#include "tests/bench/bench.h"

#define ROUNDS 30
#define WAIT_S 10
#define NAMESPACES (CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET)

struct scene {
    struct arena *a;
    struct loop *loop;
    struct cgroup *cg;
    struct buf cg_text;
    struct shim *shim;
    const char *dir, *run, *bundle;      /* bundle: of crun; NULL: without it */
    char exe[512];
    bool ready, done, exited;
    unsigned n;                          /* containers made so far */
};

static const struct shim_driver *driver(void)
{
    return shim_client_driver();
}

static void fail_on(const struct err *err)
{
    if (err && err->code)
        bench_fail("container", err->msg);
}

static void on_ready(void *ctx, const struct err *err)
{
    fail_on(err);
    ((struct scene *)ctx)->ready = true;
}

static void on_container(void *ctx, const struct shim_container *c)
{
    if (c->state == SHIM_EXITED)
        ((struct scene *)ctx)->exited = true;
}

static void on_lost(void *ctx, const struct err *why)
{
    (void)ctx;
    fail_on(why);
}

static void on_done(void *ctx, const struct err *err)
{
    fail_on(err);
    ((struct scene *)ctx)->done = true;
}

static void wait_for(struct scene *s, const bool *flag)
{
    double end = bench_now_s() + WAIT_S;

    while (!*flag) {
        loop_step(s->loop, 100);
        if (bench_now_s() > end)
            bench_fail("container", "no answer");
    }
}

#define DO(s, call) do { (s)->done = false; call; wait_for((s), &(s)->done); } while (0)

static void pod_start(struct scene *s)
{
    struct shim_opts opts = { .cgroup = s->cg_text.p, .cgroup_path = "pod", .hostname = "bench",
                              .netns = -1 };
    struct shim_events ev = { on_ready, on_container, on_lost, s };
    struct err err = ERR_INIT;

    opts.dir = arena_printf(s->a, "%s/pod-%u", s->run, s->n);
    s->ready = false;
    if (driver()->start(NULL, &s->shim, s->loop, &opts, &ev, &err) < 0)
        fail_on(&err);
    wait_for(s, &s->ready);
}

static void pod_end(struct scene *s)
{
    DO(s, driver()->shutdown(s->shim, on_done, s));
    s->shim = driver()->free(s->shim);
}

static struct oci_plan *make_plan(struct scene *s, const char *id)
{
    struct oci_plan *p = ANEW(s->a, struct oci_plan);
    struct plan_mount *m;

    plan_defaults(p, s->a, false);
    p->id = id;
    p->no_new_privs = true;
    plan_add_text(&p->rootfs.lower, s->a, arena_printf(s->a, "%s/low", s->dir));
    p->rootfs.upper = arena_printf(s->a, "%s/%s-upper", s->dir, id);
    p->rootfs.work = arena_printf(s->a, "%s/%s-work", s->dir, id);
    mkdir(p->rootfs.upper, 0755);
    mkdir(p->rootfs.work, 0755);
    m = plan_add_mount(p, s->a);
    *m = (struct plan_mount){ .kind = PLAN_BIND, .source = s->exe, .dest = "/bin/t",
                              .read_only = true };
    plan_add_text(&p->args, s->a, "/bin/t");
    plan_add_text(&p->args, s->a, "true");
    return p;
}

static void run_container(struct scene *s)
{
    const char *id = arena_printf(s->a, "c%u", s->n++);
    struct shim_create c = { .id = id, .plan = make_plan(s, id) };

    s->exited = false;
    DO(s, driver()->create_container(s->shim, &c, on_done, s));
    DO(s, driver()->start_container(s->shim, id, on_done, s));
    wait_for(s, &s->exited);
    DO(s, driver()->remove_container(s->shim, id, on_done, s));
}

/* --- the peers */

static void wait_child(pid_t pid, const char *what)
{
    int status = 0;

    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status))
        bench_fail("container", what);
}

static void run_crun(struct scene *s)
{
    char *id = arena_printf(s->a, "inro-bench-%d-%u", (int)getpid(), s->n);
    pid_t pid = vfork();

    if (pid == 0) {
        execlp("crun", "crun", "run", "--bundle", s->bundle, id, (char *)NULL);
        _exit(127);
    }
    wait_child(pid, "crun run failed");
}

static void run_bare(struct scene *s)
{
    pid_t pid = (pid_t)syscall(SYS_clone, NAMESPACES | SIGCHLD, NULL, NULL, NULL, NULL);

    if (pid == 0) {
        execl(s->exe, s->exe, "true", (char *)NULL);
        _exit(127);
    }
    wait_child(pid, "clone and exec failed");
}

/* --- turns */

enum { IN_POD, WITH_POD, CRUN, BARE, KINDS };

static void turn(struct scene *s, double took[KINDS][ROUNDS], unsigned i)
{
    double t[KINDS + 1];

    pod_start(s);
    t[0] = bench_now_s();
    run_container(s);
    took[IN_POD][i] = (bench_now_s() - t[0]) * 1000;
    pod_end(s);
    t[1] = bench_now_s();
    pod_start(s);
    run_container(s);
    pod_end(s);
    t[2] = bench_now_s();
    if (s->bundle)
        run_crun(s);
    t[3] = bench_now_s();
    run_bare(s);
    t[4] = bench_now_s();
    for (unsigned k = WITH_POD; k < KINDS; k++)
        took[k][i] = (t[k + 1] - t[k]) * 1000;
}

static void one_row(const char *what, double took[KINDS][ROUNDS], int ours, int peer)
{
    double a[ROUNDS], b[ROUNDS], ratio[ROUNDS];
    char x[64], y[64];

    for (unsigned i = 0; i < ROUNDS; i++) {
        a[i] = took[ours][i];
        b[i] = took[peer][i];
        ratio[i] = b[i] / a[i];
    }
    snprintf(x, sizeof(x), "%.2f ms", bench_median(a, ROUNDS));
    snprintf(y, sizeof(y), "%s %.2f ms", peer == CRUN ? "crun" : "clone", bench_median(b, ROUNDS));
    bench_row(what, x, y, bench_median(ratio, ROUNDS));
}

static void open_scene(struct scene *s, const char *dir, const char *group)
{
    struct err err = ERR_INIT;
    ssize_t n = readlink("/proc/self/exe", s->exe, sizeof(s->exe) - 1);

    if (n <= 0)
        bench_fail("container", "cannot read /proc/self/exe");
    s->dir = dir;
    s->a = arena_new(0);
    mkdir(arena_printf(s->a, "%s/low", dir), 0755);
    if (cgroup_open(&s->cg, group, &err) < 0 ||
        cgroup_make(s->cg, "pod", NULL, &err) < 0 || loop_new(&s->loop, env_real(), &err) < 0)
        fail_on(&err);
    cgroup_describe(s->cg, &s->cg_text);
}

static void close_scene(struct scene *s)
{
    cgroup_remove(s->cg, "", NULL);
    cgroup_free(s->cg);
    buf_deinit(&s->cg_text);
    loop_free(s->loop);
    arena_free(s->a);
}

int main(int argc, char **argv)
{
    static double took[KINDS][ROUNDS];
    struct scene s = { 0 };

    if (argc > 1 && strcmp(argv[1], SHIM_VERB) == 0)
        return shim_main(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "true") == 0)
        return 0;
    if (argc < 4)
        bench_fail("container", "it wants two folders and the name of a control group");
    open_scene(&s, argv[1], argv[3]);
    s.run = argv[2];
    s.bundle = argc > 4 ? argv[4] : NULL;
    for (unsigned i = 0; i < ROUNDS; i++)
        turn(&s, took, i);
    if (s.bundle) {
        one_row("container in a running pod, creation to exit", took, IN_POD, CRUN);
        one_row("pod with a container, creation to nothing left", took, WITH_POD, CRUN);
    }
    one_row("container in a running pod, against the bare kernel", took, IN_POD, BARE);
    close_scene(&s);
    return 0;
}
