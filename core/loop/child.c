/* child.c -- start by vfork and exec, watch by pidfd and socket, reap, tell. */
#include "core/loop/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/mem.h"
#include "core/base/proc.h"

#define CHILD_FDS_MAX 8
#define CHILD_FIRST_FD (IMSG_FD + 1)
/* where descriptors are kept clear of the numbers the child uses */
#define CHILD_HIGH_FD 64
#define CHILD_RECORDS_A_ROUND 64

struct child {
    struct loop *loop;
    struct child_opts opts;
    pid_t pid;
    int pidfd, sock;
    struct loop_io on_pid, on_sock;
    struct loop_own orphan;         /* detached and let go: the loop's from then on */
    bool reaped;
    bool *freed;                    /* set while a callback runs: becomes true when it freed us */
};

/* All that the new process needs, prepared so that between vfork and exec there are only system
 * calls. */
struct child_exec {
    const char *exe;
    char *argv[CHILD_ARGS_MAX + 3];
    char *const *env;
    /* becomes descriptor i; -1: as it is. Last: failure */
    int from[3 + 1 + CHILD_FDS_MAX + 1];
    unsigned n;
    bool detached;
    pid_t parent;
};

/* --- the new process; shares our memory until exec */

_Noreturn static void child_exec_fail(const struct child_exec *x)
{
    int why = errno;

    (void)!write((int)x->n - 1, &why, sizeof(why));
    _exit(127);
}

_Noreturn static void __attribute__((noinline)) child_exec_run(const struct child_exec *x)
{
    struct sigaction sa = { .sa_handler = SIG_DFL };
    sigset_t none;

    for (unsigned i = 0; i < x->n; i++)
        if (x->from[i] >= 0 && dup3(x->from[i], (int)i, i == x->n - 1 ? O_CLOEXEC : 0) < 0)
            _exit(126);
    if (close_range(x->n, ~0u, 0) < 0)
        child_exec_fail(x);
    for (int sig = 1; sig < NSIG; sig++)
        (void)sigaction(sig, &sa, NULL);        /* an ignored signal would stay ignored */
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (x->detached && setsid() < 0)
        child_exec_fail(x);
    if (!x->detached && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        child_exec_fail(x);
    if (!x->detached && getppid() != x->parent)
        _exit(126);                             /* the parent died before prctl */
    execve(x->exe, x->argv, x->env);
    child_exec_fail(x);
}

/* --- start */

static int child_high_fd(int fd, int *out, struct err *err)
{
    *out = fcntl(fd, F_DUPFD_CLOEXEC, CHILD_HIGH_FD);
    return *out < 0 ? err_sys(err, "pass descriptor %d", fd) : 0;
}

static int child_exec_fds(struct child_exec *x, const struct child_opts *o, int sock, int fail,
                          struct err *err)
{
    _cleanup_fd_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0)
        return err_sys(err, "open /dev/null");
    if (child_high_fd(null, &x->from[0], err) < 0)
        return -1;
    for (int i = 1; i < 3; i++)
        if (o->detached && !o->keep_stderr && child_high_fd(null, &x->from[i], err) < 0)
            return -1;
    if (child_high_fd(sock, &x->from[IMSG_FD], err) < 0)
        return -1;
    x->n = CHILD_FIRST_FD;
    for (unsigned i = 0; i < CHILD_FDS_MAX && o->fds[i] >= 0; i++)
        if (child_high_fd(o->fds[i], &x->from[x->n++], err) < 0)
            return -1;
    return child_high_fd(fail, &x->from[x->n++], err);
}

static int child_exec_args(struct child_exec *x, const struct child_opts *o, struct err *err)
{
    static char *const no_env[] = { NULL };
    unsigned n = 0;

    check(o->verb);
    x->exe = o->exe ? o->exe : "/proc/self/exe";
    x->env = o->env ? (char *const *)o->env : no_env;
    x->detached = o->detached;
    x->parent = getpid();
    x->argv[n++] = (char *)"inro";
    x->argv[n++] = (char *)o->verb;
    for (const char *const *arg = o->args; arg && *arg; arg++) {
        if (n - 2 == CHILD_ARGS_MAX)
            return err_set(err, ERR_QUOTA, "more than %d arguments", CHILD_ARGS_MAX);
        x->argv[n++] = (char *)*arg;
    }
    x->argv[n] = NULL;
    return 0;
}

static void child_exec_deinit(struct child_exec *x)
{
    for (size_t i = 0; i < ARRAY_LEN(x->from); i++)
        fd_close(x->from[i]);
}

/* Reads what exec failed with, if it did, and reaps then. */
static int child_exec_result(const struct child_exec *x, pid_t pid, int fail, struct err *err)
{
    int why = 0;
    ssize_t n;

    do
        n = read(fail, &why, sizeof(why));
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return 0;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    errno = why;
    return err_sys(err, "execute %s", x->exe);
}

static pid_t __attribute__((noinline)) child_vfork(const struct child_exec *x)
{
    sigset_t all, before;
    pid_t pid;

    sigfillset(&all);                           /* no handler of ours may run in the child */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = vfork();
    if (pid == 0)
        child_exec_run(x);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pid;
}

static int child_exec(const struct child_opts *o, int sock, pid_t *out, struct err *err)
{
    _cleanup_(child_exec_deinit) struct child_exec x = { 0 };
    _cleanup_fd_ int fail_in = -1;
    _cleanup_fd_ int fail_out = -1;
    int pair[2];
    pid_t pid;

    for (size_t i = 0; i < ARRAY_LEN(x.from); i++)
        x.from[i] = -1;
    if (pipe2(pair, O_CLOEXEC) < 0)
        return err_sys(err, "pipe");
    fail_in = pair[0];
    fail_out = pair[1];
    if (child_exec_args(&x, o, err) < 0 || child_exec_fds(&x, o, sock, fail_out, err) < 0)
        return -1;
    pid = child_vfork(&x);
    if (pid < 0)
        return err_sys(err, "vfork");
    x.from[x.n - 1] = fd_close(x.from[x.n - 1]);
    fail_out = fd_close(fail_out);
    if (child_exec_result(&x, pid, fail_in, err) < 0)
        return -1;
    *out = pid;
    return 0;
}

/* Kills and waits. */
static void child_end(pid_t pid)
{
    /* ours and not reaped: the number is still its own */
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

/* Starts it; our end of the socket and the pidfd are the caller's. */
static int child_spawn(const struct child_opts *o, pid_t *pid, int *sock, int *pidfd,
                       struct err *err)
{
    _cleanup_fd_ int ours = -1;
    _cleanup_fd_ int its = -1;
    int pair[2];

    if (imsg_pair(pair, err) < 0)
        return -1;
    ours = pair[0];
    its = pair[1];
    if (child_exec(o, its, pid, err) < 0)
        return err_wrap(err, "start %s", o->verb);
    *pidfd = proc_pidfd(*pid, err);
    if (*pidfd < 0) {
        child_end(*pid);
        return err_wrap(err, "start %s", o->verb);
    }
    *sock = TAKE_FD(ours);
    return 0;
}

/* --- on a loop */

/* One record to on_msg. 1 more may come, 0 none now or ever, -1 c is gone. */
static int child_take_record(struct child *c)
{
    struct imsg m = { 0 };
    struct err err = ERR_INIT;
    bool freed = false;
    int n = imsg_recv(c->sock, &m, &err);

    if (n < 0 && err.code == ERR_UNAVAILABLE)
        return 0;
    /* EOF or a broken record: nothing more is trusted */
    if (n <= 0) {
        loop_io_del(&c->on_sock);
        return 0;
    }
    c->freed = &freed;
    if (c->opts.on_msg)
        c->opts.on_msg(c, &m, c->opts.ctx);
    imsg_deinit(&m);
    if (freed)
        return -1;
    c->freed = NULL;
    return c->on_sock.loop ? 1 : 0;
}

static void child_on_sock(struct loop_io *io, unsigned events)
{
    struct child *c = container_of(io, struct child, on_sock);

    (void)events;
    for (int i = 0; i < CHILD_RECORDS_A_ROUND && child_take_record(c) > 0; i++)
        ;
}

static struct child *child_drop(struct child *c)
{
    loop_disown(&c->orphan);
    loop_io_del(&c->on_sock);
    loop_io_del(&c->on_pid);
    fd_close(c->sock);
    fd_close(c->pidfd);
    return mem_free(c);
}

static void child_on_pid(struct loop_io *io, unsigned events)
{
    struct child *c = container_of(io, struct child, on_pid);
    struct err err = ERR_INIT;
    int status = 255, sig = 0, more;            /* 255: somebody else reaped it */

    (void)events;
    do
        more = c->on_sock.loop ? child_take_record(c) : 0;
    while (more > 0);
    if (more < 0)
        return;
    if (proc_reap(c->pidfd, &status, &sig, &err) == 0)
        return;
    c->reaped = true;
    loop_io_del(&c->on_sock);
    loop_io_del(&c->on_pid);
    if (c->opts.on_exit)
        c->opts.on_exit(c, status, sig, c->opts.ctx);
}

int child_start(struct child **out, struct loop *l, const struct child_opts *opts, struct err *err)
{
    struct child *c = NEW(struct child);

    c->loop = l;
    c->opts = *opts;
    c->sock = c->pidfd = -1;
    if (child_spawn(opts, &c->pid, &c->sock, &c->pidfd, err) < 0) {
        child_drop(c);
        return -1;
    }
    if (fd_set_nonblock(c->sock, err) < 0 ||
        loop_io_add(l, &c->on_sock, c->sock, LOOP_READ, child_on_sock, err) < 0 ||
        loop_io_add(l, &c->on_pid, c->pidfd, LOOP_READ, child_on_pid, err) < 0) {
        child_end(c->pid);
        child_drop(c);
        return -1;
    }
    *out = c;
    return 0;
}

/* A detached child lives on after child_free; only its end is still waited for, so that no zombie
 * stays. */
static void child_on_orphan(struct loop_io *io, unsigned events)
{
    struct child *c = container_of(io, struct child, on_pid);
    int status, sig;

    (void)events;
    if (proc_reap(c->pidfd, &status, &sig, NULL) != 0)
        child_drop(c);
}

static void child_on_loop_free(struct loop_own *o)
{
    child_drop(container_of(o, struct child, orphan));
}

struct child *child_free(struct child *c)
{
    if (!c)
        return NULL;
    if (c->freed)
        *c->freed = true;
    c->freed = NULL;
    if (c->reaped)
        return child_drop(c);
    if (!c->opts.detached) {
        child_end(c->pid);
        return child_drop(c);
    }
    loop_io_del(&c->on_sock);
    c->sock = fd_close(c->sock);
    c->on_pid.on_ready = child_on_orphan;
    loop_own(c->loop, &c->orphan, child_on_loop_free);
    return NULL;
}

int child_send(struct child *c, uint32_t type, const void *p, size_t len, const int *fds,
               size_t n_fds, struct err *err)
{
    struct err why = ERR_INIT;

    if (imsg_send(c->sock, type, p, len, fds, n_fds, &why) == 0 || why.sys_errno == EPIPE ||
        why.sys_errno == ECONNRESET)
        return 0;
    if (err)
        *err = why;
    return -1;
}

pid_t child_pid(const struct child *c)
{
    return c->pid;
}

int child_kill(struct child *c, int sig, struct err *err)
{
    return c->reaped ? 0 : proc_signal(c->pidfd, sig, err);
}

/* --- blocking */

struct child_answer {
    struct imsg last;                           /* of the other records */
    bool failed;
    struct err why;                             /* of the first IMSG_ERR */
};

static int64_t child_now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* 1 a record was taken, 0 none now, -1 the socket is of no more use. */
static int child_collect(int sock, struct child_answer *a)
{
    struct imsg m = { 0 };
    struct err err = ERR_INIT;
    int n = imsg_recv(sock, &m, &err);

    if (n <= 0)
        return n < 0 && err.code == ERR_UNAVAILABLE ? 0 : -1;
    if (m.type == IMSG_ERR) {
        if (!a->failed)
            imsg_get_err(&m, &a->why);
        a->failed = true;
        imsg_deinit(&m);
        return 1;
    }
    imsg_deinit(&a->last);
    a->last = m;
    return 1;
}

/* Until the process has ended. */
static int child_wait(int sock, int pidfd, int64_t deadline_ms, struct child_answer *a,
                      struct err *err)
{
    struct pollfd p[2] = { { .fd = pidfd, .events = POLLIN }, { .fd = sock, .events = POLLIN } };
    int64_t until = child_now_ms() + deadline_ms;

    while (!p[0].revents) {
        int64_t left = until - child_now_ms();

        if (left <= 0)
            return err_set(err, ERR_TIMEOUT, "not done after %lld ms", (long long)deadline_ms);
        if (poll(p, 2, left > INT32_MAX ? INT32_MAX : (int)left) < 0 && errno != EINTR)
            return err_sys(err, "poll");
        if (p[1].revents && child_collect(sock, a) < 0)
            p[1].fd = -1;
    }
    while (p[1].fd >= 0 && child_collect(sock, a) > 0)
        ;
    return 0;
}

static int child_verdict(struct child_answer *a, int pidfd, struct err *err)
{
    int status = 0, sig = 0;

    if (proc_reap(pidfd, &status, &sig, err) < 0)
        return -1;
    if (a->failed) {
        if (err)
            *err = a->why;
        return -1;
    }
    if (sig != 0)
        return err_set(err, ERR_FAILED, "killed by signal %d", sig);
    if (status != 0)
        return err_set(err, ERR_FAILED, "exit status %d", status);
    return 0;
}

static void child_answer_deinit(struct child_answer *a)
{
    imsg_deinit(&a->last);
}

int child_call(const struct child_opts *opts, uint32_t type, const void *p, size_t len,
               int64_t deadline_ms, struct imsg *reply, struct err *err)
{
    _cleanup_(child_answer_deinit) struct child_answer a = { 0 };
    _cleanup_fd_ int sock = -1;
    _cleanup_fd_ int pidfd = -1;
    pid_t pid;

    if (child_spawn(opts, &pid, &sock, &pidfd, err) < 0)
        return -1;
    /* A child that ended before it read shows in its status, not here. */
    (void)imsg_send(sock, type, p, len, NULL, 0, NULL);
    if (fd_set_nonblock(sock, err) < 0 || child_wait(sock, pidfd, deadline_ms, &a, err) < 0) {
        child_end(pid);
        return err_wrap(err, "%s", opts->verb);
    }
    if (child_verdict(&a, pidfd, err) < 0)
        return err_wrap(err, "%s", opts->verb);
    if (reply) {
        *reply = a.last;
        a.last = (struct imsg){ 0 };
    }
    return 0;
}
