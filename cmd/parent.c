/* parent.c -- roles as children: what they are given, their ends and their new starts. */
#include "cmd/parent.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cmd/keep.h"
#include "cmd/notify.h"
#include "cmd/refusals.h"
#include "cmd/runfile.h"
#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/loop/child.h"

#define AGAIN_MIN_MS 20                  /* until a role that ended is started again; doubles */
#define AGAIN_MAX_MS 10000
#define AGAIN_MAX_READY_MS 1000          /* of one whose start works */
#define STEADY_MS 10000                  /* having run so long, the next failure is a first one */
#define STEADY_TIMES 10                  /* or so many times as long as it had waited */
#define END_MS 15000                     /* roles may take this long to end */
#define END_PODS_MS 150000               /* with their pods */
#define OOM_SCORE "-999"
#define IMPATIENT_MS 1000                /* a signal so long after the first one kills the roles */

struct parent_role {
    struct parent *parent;
    enum role_id id;
    bool wanted, ready;
    struct child *child;
    struct refusals *refusals;
    struct loop_timer again;
    int64_t wait_ms, started_ms;
    struct runfile_role note;
    int fds[PARENT_FDS];                 /* given to it and its successors */
};

struct parent {
    struct parent_opts o;
    struct loop *loop;
    struct parent_role roles[ROLE_MAX];
    struct loop_io on_signal;
    struct loop_timer deadline;
    int signals;
    bool ready, stopping, stop_pods, kill;
    int64_t stopping_ms, started_s;
};

/* --- what `inro status` reads */

static int64_t now_s(void)
{
    return env_wall_s(env_real());
}

static void note(struct parent *p)
{
    const struct config *c = p->o.config;
    struct runfile r = { .command = p->o.command ? p->o.command : "agent", .node = c->node_name,
                         .api = p->o.api ? p->o.api : "", .pid = getpid(),
                         .started_s = p->started_s };
    struct err err = ERR_INIT;

    for (size_t i = 0; i < ROLE_MAX; i++) {
        struct parent_role *pr = &p->roles[i];

        if (!pr->wanted)
            continue;
        pr->note.name = role_rows[i].verb;
        pr->note.pid = pr->child ? child_pid(pr->child) : 0;
        pr->note.ready = pr->ready;
        r.roles[r.n_roles++] = pr->note;
    }
    if (runfile_write(&r, c->run_dir, &err) < 0)
        log_warn("no note for status", "error=\"%s\"", err.msg);
}

/* --- one role */

int parent_send_secret(struct child *to, enum role_pem id, const char *text, struct err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    int result;

    buf_chr(&b, (char)id);
    buf_str(&b, text);
    result = child_send(to, ROLE_PEM, b.p, b.len, NULL, 0, err);
    explicit_bzero(b.p, b.len);
    return result;
}

static int send_secrets(struct parent_role *pr, struct err *err)
{
    const struct parent_opts *o = &pr->parent->o;

    for (int i = 0; i < ROLE_PEM_MAX; i++) {
        const char *text = o->secret(o->ctx, pr->id, (enum role_pem)i);

        if (text && parent_send_secret(pr->child, (enum role_pem)i, text, err) < 0)
            return -1;
    }
    return 0;
}

static void role_start(struct parent_role *pr);
static void parent_step(struct parent *p);

static void on_again(struct loop_timer *t)
{
    role_start(container_of(t, struct parent_role, again));
}

int64_t parent_wait_ms(int64_t wait_ms, int64_t ran_ms, bool was_ready)
{
    int64_t most = was_ready ? AGAIN_MAX_READY_MS : AGAIN_MAX_MS;

    if (!wait_ms || ran_ms >= STEADY_MS || ran_ms >= STEADY_TIMES * wait_ms)
        return AGAIN_MIN_MS;
    return wait_ms > most / 2 ? most : wait_ms * 2;
}

static void role_again(struct parent_role *pr, bool was_ready)
{
    struct parent *p = pr->parent;

    pr->wait_ms = parent_wait_ms(pr->wait_ms, loop_now_ms(p->loop) - pr->started_ms, was_ready);
    loop_timer_set(p->loop, &pr->again, pr->wait_ms, on_again);
}

static void on_exit_role(struct child *c, int status, int sig, void *ctx)
{
    struct parent_role *pr = ctx;
    struct parent *p = pr->parent;
    bool was_ready = pr->ready;

    pr->child = child_free(c);
    pr->refusals = refusals_free(pr->refusals);
    pr->ready = false;
    if (p->stopping) {
        if (status != 0)
            log_warn("role ended badly", "which=%s status=%d", role_rows[pr->id].verb, status);
        parent_step(p);
        return;
    }
    pr->note.ended_s = now_s();
    pr->note.status = status;
    pr->note.signal = sig;
    pr->note.restarts++;
    role_again(pr, was_ready);
    note(p);
    log_error("role ended", "which=%s status=%d signal=%d restart_ms=%lld%s",
              role_rows[pr->id].verb, status, sig, (long long)pr->wait_ms,
              sig == SIGSYS ? " why=\"a system call that nobody needs\"" : "");
}

static void on_role_msg(struct child *c, struct imsg *m, void *ctx)
{
    struct parent_role *pr = ctx;

    (void)c;
    if (m->type == ROLE_REFUSALS && m->n_fds == 1 && !pr->refusals)
        pr->refusals = refusals_new(pr->parent->loop, imsg_take_fd(m, 0), role_rows[pr->id].verb);
    if (m->type != ROLE_READY)
        return;
    pr->ready = true;
    note(pr->parent);
    parent_step(pr->parent);
}

static int role_spawn(struct parent_role *pr, struct err *err)
{
    struct child_opts opts = {
        .verb = role_rows[pr->id].verb, .env = (const char *const *)environ,
        .fds = { pr->fds[0], pr->fds[1], -1 }, .on_msg = on_role_msg, .on_exit = on_exit_role,
        .ctx = pr,
    };
    _cleanup_buf_ struct buf config = BUF_INIT;

    if (child_start(&pr->child, pr->parent->loop, &opts, err) < 0)
        return -1;
    config_write(&config, pr->parent->o.config);
    if (child_send(pr->child, ROLE_CONFIG, config.p, config.len, NULL, 0, err) < 0 ||
        send_secrets(pr, err) < 0)
        return -1;
    return child_send(pr->child, ROLE_GO, NULL, 0, NULL, 0, err);
}

static void role_start(struct parent_role *pr)
{
    struct err err = ERR_INIT;

    pr->started_ms = loop_now_ms(pr->parent->loop);
    pr->note.started_s = now_s();
    if (role_spawn(pr, &err) == 0) {
        note(pr->parent);
        return;
    }
    log_error("role not started", "which=%s error=%s", role_rows[pr->id].verb, err.msg);
    pr->child = child_free(pr->child);
    pr->refusals = refusals_free(pr->refusals);
    role_again(pr, false);
}

/* --- all roles: they start together, as the API's socket is there already and connections wait in
 * it; they end in order: the node, which may have states to tell, before the API */

static bool stop_role(struct parent_role *pr)
{
    struct parent *p = pr->parent;

    loop_timer_del(&pr->again);
    if (!pr->child)
        return false;
    if (pr->wanted) {                    /* not told yet */
        pr->wanted = false;
        if (p->stop_pods && pr->id == ROLE_NODE)
            (void)child_send(pr->child, ROLE_STOP_PODS, NULL, 0, NULL, 0, NULL);
        (void)child_kill(pr->child, SIGTERM, NULL);
    }
    if (p->kill)
        (void)child_kill(pr->child, SIGKILL, NULL);
    return true;
}

static void stop_step(struct parent *p)
{
    bool left = stop_role(&p->roles[ROLE_NODE]);

    if (left && !p->kill)
        return;
    left = stop_role(&p->roles[ROLE_DNS]) || left;
    left = stop_role(&p->roles[ROLE_CONTROL]) || left;
    if (!left)
        loop_stop(p->loop);
}

static void parent_step(struct parent *p)
{
    bool all = true;

    if (p->stopping) {
        stop_step(p);
        return;
    }
    for (size_t i = 0; i < ROLE_MAX; i++) {
        struct parent_role *pr = &p->roles[i];

        all = all && (!pr->wanted || pr->ready);
        if (pr->wanted && !pr->child && !loop_timer_is_set(&pr->again))
            role_start(pr);
    }
    if (!all || p->ready)
        return;
    p->ready = true;
    p->o.on_ready(p->o.ctx, loop_now_ms(p->loop) - p->o.begun_ms);
    notify_state("READY=1\nSTATUS=ready");
    (void)malloc_trim(0);
}

static void on_deadline(struct loop_timer *t)
{
    struct parent *p = container_of(t, struct parent, deadline);

    log_warn("roles do not end", "killing=true");
    p->kill = true;
    stop_step(p);
}

static void begin_stop(struct parent *p, bool pods)
{
    p->stopping = true;
    p->stopping_ms = loop_now_ms(p->loop);
    p->stop_pods = pods;
    log_info("stopping", "pods=%s", pods ? "stop" : "go-on");
    notify_state("STOPPING=1");
    loop_timer_set(p->loop, &p->deadline, pods ? END_PODS_MS : END_MS, on_deadline);
}

static void on_signal(struct loop_io *io, unsigned events)
{
    struct parent *p = container_of(io, struct parent, on_signal);
    struct signalfd_siginfo info;

    (void)events;
    if (read(p->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (info.ssi_signo == SIGHUP) {
        if (!p->stopping)
            p->o.on_hup(p->o.ctx);
        return;
    }
    if (!p->stopping) {
        begin_stop(p, p->o.config->stop_pods || info.ssi_signo == SIGUSR1);
    } else if (loop_now_ms(p->loop) - p->stopping_ms >= IMPATIENT_MS) {
        log_warn("asked again", "killing=true");
        p->kill = true;
    }
    stop_step(p);
}

/* --- the whole */

static int take_signals(struct parent *p, struct err *err)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGHUP);
    check(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    (void)signal(SIGPIPE, SIG_IGN);
    p->signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (p->signals < 0)
        return err_sys(err, "signals");
    return 0;
}

/* Roles inherit it. */
static int log_to(const char *path, struct err *err)
{
    _cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
        return err_sys(err, "--log %s", path);
    return 0;
}

int parent_new(struct parent **out, const struct parent_opts *opts, struct err *err)
{
    _cleanup_(parent_freep) struct parent *p = NEW(struct parent);

    p->o = *opts;
    p->started_s = now_s();
    p->signals = -1;
    for (size_t i = 0; i < ROLE_MAX; i++)
        p->roles[i] = (struct parent_role){ .parent = p, .id = (enum role_id)i,
                                            .fds = { -1, -1 } };
    if (!str_empty(p->o.config->log_file) && log_to(p->o.config->log_file, err) < 0)
        return -1;
    if (take_signals(p, err) < 0)
        return -1;
    /* As the kubelet's: short of memory, the kernel looks elsewhere first. Containers get their
     * own. */
    (void)fd_write_kernel(AT_FDCWD, "/proc/self/oom_score_adj", OOM_SCORE, NULL);
    if (loop_new(&p->loop, env_real(), err) < 0 ||
        loop_io_add(p->loop, &p->on_signal, p->signals, LOOP_READ, on_signal, err) < 0)
        return -1;
    *out = TAKE(p);
    return 0;
}

struct parent *parent_free(struct parent *p)
{
    if (!p)
        return NULL;
    loop_io_del(&p->on_signal);
    loop_timer_del(&p->deadline);
    for (size_t i = 0; i < ROLE_MAX; i++) {
        loop_timer_del(&p->roles[i].again);
        child_free(p->roles[i].child);
        refusals_free(p->roles[i].refusals);
    }
    loop_free(p->loop);
    fd_close(p->signals);
    return mem_free(p);
}

struct loop *parent_loop(struct parent *p)
{
    return p->loop;
}

void parent_want(struct parent *p, enum role_id id, int fd0, int fd1)
{
    p->roles[id].wanted = true;
    p->roles[id].fds[0] = fd0;
    p->roles[id].fds[1] = fd1;
}

void parent_reload(struct parent *p)
{
    for (size_t i = 0; i < ROLE_MAX; i++) {
        struct parent_role *pr = &p->roles[i];
        struct err err = ERR_INIT;

        if (pr->child && (send_secrets(pr, &err) < 0 ||
                          child_send(pr->child, ROLE_RELOAD, NULL, 0, NULL, 0, &err) < 0))
            log_error("role not told", "which=%s error=%s", role_rows[i].verb, err.msg);
    }
}

void parent_go(struct parent *p)
{
    parent_step(p);
}

void parent_end(struct parent *p)
{
    begin_stop(p, p->o.config->stop_pods);
    stop_step(p);
}

/* For the next one: what pods ask meanwhile waits. */
static void keep_names(struct parent *p)
{
    const int *fds = p->roles[ROLE_DNS].fds;
    struct err err = ERR_INIT;

    if (!p->stop_pods && !p->kill && fds[0] >= 0 && fds[1] >= 0 &&
        keep_start(p->loop, p->o.config->run_dir, fds[0], fds[1], &err) < 0)
        log_warn("nobody keeps the name server's sockets", "error=%s", err.msg);
}

void parent_run(struct parent *p)
{
    loop_run(p->loop);
    runfile_remove(p->o.config->run_dir);
    keep_names(p);
    log_info("stopped", "pods=%s", p->stop_pods ? "stopped" : "go-on");
}
