/* shim_scene.h -- a pod's life through the client's door, with a real shim and real containers. The
 * program in them is test_payload(), under the verb "prog" of test_shim.c. */
#ifndef TESTS_SANDBOX_SHIM_SCENE_H
#define TESTS_SANDBOX_SHIM_SCENE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/loop/child.h"
#include "core/loop/imsg.h"
#include "runtime/shim/shim.h"
#include "runtime/shim/shim_box.h"
#include "runtime/shim/shim_chan.h"
#include "runtime/shim/shim_client.h"
#include "runtime/shim/shim_state.h"
#include "tests/harness/test.h"

struct seen {
    char id[64], note[64];
    enum shim_state state;
    int exit_code, signal;
    bool oom;
    pid_t pid;
};

struct scene {
    struct arena *a;
    struct loop *loop;
    struct cgroup *cg;
    struct buf cg_text;
    struct shim *shim;
    struct shim_opts opts;
    bool ready, lost, done;
    struct err err;
    struct seen seen[16];
    size_t n_seen;
    int exec_exit, exec_pid, pty, dial_fd, attach_ended;
};

static inline const struct shim_driver *driver(void)
{
    return shim_client_driver();
}

static inline void on_ready(void *ctx, const struct err *err)
{
    struct scene *s = ctx;

    s->ready = true;
    s->err = err ? *err : ERR_INIT;
}

static inline void on_container(void *ctx, const struct shim_container *c)
{
    struct scene *s = ctx;
    struct seen *e = NULL;

    for (size_t i = 0; i < s->n_seen; i++)
        e = strcmp(s->seen[i].id, c->id) == 0 ? &s->seen[i] : e;
    if (!e)
        e = &s->seen[s->n_seen++];
    snprintf(e->id, sizeof(e->id), "%s", c->id);
    snprintf(e->note, sizeof(e->note), "%s", c->note);
    e->state = c->state;
    e->exit_code = c->exit_code;
    e->signal = c->signal;
    e->oom = c->oom_killed;
    e->pid = c->pid;
}

static inline void on_lost(void *ctx, const struct err *why)
{
    struct scene *s = ctx;

    s->lost = true;
    s->err = *why;
}

static inline void on_done(void *ctx, const struct err *err)
{
    struct scene *s = ctx;

    s->done = true;
    s->err = err ? *err : ERR_INIT;
}

static inline struct shim_events events(struct scene *s)
{
    return (struct shim_events){ on_ready, on_container, on_lost, s };
}

#define UNTIL(s, cond)                                                                             \
    do {                                                                                           \
        for (int until_ = 0; !(cond) && until_ < 1000; until_++)                                   \
            loop_step((s)->loop, 10);                                                              \
        if (!(cond))                                                                               \
            test_fail(__FILE__, __LINE__, "never: %s (%s)", #cond, (s)->err.msg);                  \
    } while (0)

#define DO(s, call)                                                                                \
    do {                                                                                           \
        (s)->done = false;                                                                         \
        call;                                                                                      \
        UNTIL(s, (s)->done);                                                                       \
        if ((s)->err.code)                                                                         \
            test_fail(__FILE__, __LINE__, "%s: %s", #call, (s)->err.msg);                          \
    } while (0)

static inline struct scene *scene_make(void)
{
    struct scene *s = NEW(struct scene);

    s->a = arena_new(0);
    if (geteuid() != 0 || cgroup_open(&s->cg, strrchr(test_tmpdir(), '/') + 1, &s->err) < 0)
        test_skip(geteuid() != 0 ? "needs root" : s->err.msg);
    EXPECT_OK(cgroup_make(s->cg, "pod1", NULL, &s->err), &s->err);
    cgroup_describe(s->cg, &s->cg_text);
    EXPECT_OK(loop_new(&s->loop, env_real(), &s->err), &s->err);
    s->opts = (struct shim_opts){ .dir = arena_printf(s->a, "%s/pod", test_tmpdir()),
                                  .cgroup = s->cg_text.p, .cgroup_path = "pod1",
                                  .hostname = "mypod", .netns = -1 };
    mkdir(arena_printf(s->a, "%s/low", test_tmpdir()), 0755);
    return s;
}

static inline void scene_start(struct scene *s)
{
    struct shim_events ev = events(s);

    EXPECT_OK(driver()->start(NULL, &s->shim, s->loop, &s->opts, &ev, &s->err), &s->err);
    UNTIL(s, s->ready);
    EXPECT_STR(s->err.msg, "");
}

static inline struct oci_plan *scene_plan(struct scene *s, const char *id, const char *what)
{
    struct oci_plan *p = ANEW(s->a, struct oci_plan);
    struct plan_mount *m;

    plan_defaults(p, s->a, false);
    p->id = id;
    p->no_new_privs = true;
    plan_add_text(&p->rootfs.lower, s->a, arena_printf(s->a, "%s/low", test_tmpdir()));
    p->rootfs.upper = arena_printf(s->a, "%s/up-%s", test_tmpdir(), id);
    p->rootfs.work = arena_printf(s->a, "%s/work-%s", test_tmpdir(), id);
    mkdir(p->rootfs.upper, 0755);
    mkdir(p->rootfs.work, 0755);
    m = plan_add_mount(p, s->a);
    *m = (struct plan_mount){ .kind = PLAN_BIND, .source = test_payload(), .dest = "/bin/t",
                              .read_only = true };
    plan_add_text(&p->args, s->a, "/bin/t");
    plan_add_text(&p->args, s->a, "prog");
    plan_add_text(&p->args, s->a, what);
    return p;
}

static inline const char *scene_log(struct scene *s, const char *id)
{
    return arena_printf(s->a, "%s/%s.log", test_tmpdir(), id);
}

static inline struct shim_create scene_create(struct scene *s, const char *id, const char *what)
{
    return (struct shim_create){ .id = id, .note = "my note", .plan = scene_plan(s, id, what),
                                 .log_path = scene_log(s, id) };
}

static inline struct seen *scene_seen(struct scene *s, const char *id)
{
    static struct seen none;

    for (size_t i = 0; i < s->n_seen; i++)
        if (strcmp(s->seen[i].id, id) == 0)
            return &s->seen[i];
    return &none;
}

static inline void scene_run(struct scene *s, const struct shim_create *c)
{
    DO(s, driver()->create_container(s->shim, c, on_done, s));
    EXPECT_EQ(scene_seen(s, c->id)->state, SHIM_CREATED);
    DO(s, driver()->start_container(s->shim, c->id, on_done, s));
}

static inline char *scene_text(struct scene *s, const char *path)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    EXPECT_OK(fd_read_file(&b, AT_FDCWD, path, 1 << 20, &s->err), &s->err);
    return arena_strdup(s->a, b.p);
}

static inline void scene_stop(struct scene *s)
{
    DO(s, driver()->shutdown(s->shim, on_done, s));
    EXPECT(!s->lost);
    driver()->free(s->shim);
}

static inline void scene_end(struct scene *s)
{
    char text[64];

    EXPECT_EQ(cgroup_count(s->cg, "", &s->err), 0);
    EXPECT_OK(cgroup_remove(s->cg, "", &s->err), &s->err);
    snprintf(text, sizeof(text), "%s/netns", s->opts.dir);
    EXPECT(access(text, F_OK) < 0);
    EXPECT(!strstr(scene_text(s, "/proc/self/mountinfo"), s->opts.dir));
    loop_free(s->loop);
    cgroup_free(s->cg);
    buf_deinit(&s->cg_text);
    arena_free(s->a);
    mem_free(s);
}

static inline void expect_text(const char *text, const char *part)
{
    if (!strstr(text, part))
        test_fail(__FILE__, __LINE__, "no \"%s\" in:\n%s", part, text);
}

#endif
