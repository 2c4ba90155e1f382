/* node_exec.c -- a process in a container with one pipe for both its outputs.
 *
 *   start --on_started(err)--> done          start --on_started--> runs --on_exit--> done
 *   time is up: the process is killed and forgotten --> done(timed_out)
 *
 * What is written after the process has ended, by children of it, is not waited for.
 */
#include "runtime/node/node_exec.h"

#include "core/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct node_exec {
    struct node_exec_target t;
    node_exec_done *done;
    void *ctx;
    uint32_t id;
    bool started, ended, timed_out;
    int exit_code, pipe;
    struct err err;
    struct buf output;
    struct loop_io io;
    struct loop_timer timeout, finish;
};

static void exec_free(struct node_exec *e)
{
    loop_timer_del(&e->timeout);
    loop_timer_del(&e->finish);
    loop_io_del(&e->io);
    fd_close(e->pipe);
    buf_deinit(&e->output);
    mem_free(e);
}

/* False when there is nothing more now. */
static bool read_some(struct node_exec *e)
{
    char text[4096];
    ssize_t n = e->pipe >= 0 ? read(e->pipe, text, sizeof(text)) : 0;
    size_t room = NODE_EXEC_OUTPUT_MAX - e->output.len;

    if (n > 0)
        buf_add(&e->output, text, (size_t)n < room ? (size_t)n : room);
    return n > 0 || (n < 0 && errno == EINTR);
}

static void on_finish(struct loop_timer *t)
{
    struct node_exec *e = container_of(t, struct node_exec, finish);
    struct node_exec_result r = { .timed_out = e->timed_out, .exit_code = e->exit_code };

    for (int i = 0; i < 64 && read_some(e); i++)
        ;
    r.err = e->err.code ? &e->err : NULL;
    r.output = (struct slice){ e->output.p ? e->output.p : "", e->output.len };
    e->done(e->ctx, &r);
    exec_free(e);
}

static void finish(struct node_exec *e)
{
    e->ended = true;
    loop_timer_del(&e->timeout);
    loop_io_del(&e->io);
    loop_timer_set(e->t.loop, &e->finish, 0, on_finish);
}

static void on_readable(struct loop_io *io, unsigned events)
{
    struct node_exec *e = container_of(io, struct node_exec, io);

    if (!read_some(e) && (events & LOOP_HANGUP))
        loop_io_del(&e->io);
}

static void on_started(void *ctx, const struct err *err, pid_t pid, int pty)
{
    struct node_exec *e = ctx;

    (void)pid;
    fd_close(pty);
    e->started = !err;
    if (!err)
        return;
    e->err = *err;
    finish(e);
}

static void on_exit_of(void *ctx, int exit_code, int sig)
{
    struct node_exec *e = ctx;

    (void)sig;
    e->exit_code = exit_code;
    finish(e);
}

static void on_timeout(struct loop_timer *t)
{
    struct node_exec *e = container_of(t, struct node_exec, timeout);

    e->t.shims->exec_forget(e->t.shim, e->id);
    e->timed_out = true;
    finish(e);
}

static int start(struct node_exec *e, const char *const *argv, unsigned n, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct oci_plan plan = { .id = NULL };
    _cleanup_fd_ int write_end = -1;
    int fds[2];
    struct shim_exec x = { .container_id = e->t.container_id, .plan = &plan,
                           .on_started = on_started,
                           .on_exit = on_exit_of, .ctx = e };

    if (e->t.plan(e->t.ctx, a, &plan, err) < 0)
        return -1;
    plan.args = (struct plan_texts){ 0 };
    plan.tty = false;
    for (unsigned i = 0; i < n; i++)
        plan_add_text(&plan.args, a, argv[i]);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_sys(err, "pipe");
    e->pipe = fds[0];
    write_end = fds[1];
    if (fd_set_nonblock(e->pipe, err) < 0 ||
        loop_io_add(e->t.loop, &e->io, e->pipe, LOOP_READ, on_readable, err) < 0)
        return -1;
    x.fds[0] = -1;
    x.fds[1] = x.fds[2] = write_end;
    e->id = e->t.shims->exec(e->t.shim, &x);
    return 0;
}

struct node_exec *node_exec_start(const struct node_exec_target *t, const struct node_exec_opts *o)
{
    struct node_exec *e = NEW(struct node_exec);

    *e = (struct node_exec){ .t = *t, .done = o->done, .ctx = o->ctx, .pipe = -1, .err = ERR_INIT };
    if (start(e, o->argv, o->n, &e->err) < 0)
        finish(e);
    else if (o->timeout_ms > 0)
        loop_timer_set(t->loop, &e->timeout, o->timeout_ms, on_timeout);
    return e;
}

void node_exec_cancel(struct node_exec *e)
{
    if (!e)
        return;
    if (!e->ended)
        e->t.shims->exec_forget(e->t.shim, e->id);
    exec_free(e);
}

const char *node_exec_words(struct arena *a, const struct exec_action_view *e)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    for (unsigned i = 0; i < e->n_command; i++)
        buf_fmt(&b, "%s%s", i ? " " : "", e->command[i]);
    return arena_strdup(a, b.p ? b.p : "");
}
