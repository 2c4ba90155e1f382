/* node_serve_exec.c -- exec and attach: pipes (or a terminal) on one side, node_chan on the other.
 *
 *   OPEN --streams are there--> START --on_started--> RUN --on_exit--> DRAIN --end of output-->
 *   status
 *
 * Bytes go straight through. What one side does not take stops the other: outputs rest while too
 * much is queued for the client, stdin while the process does not read. A client that goes takes
 * its process with it.
 */
#include "runtime/node/node_serve_int.h"

#include "core/base/fd.h"
#include "core/base/vec.h"
#include "runtime/node/node_chan.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define QUEUED_MAX (256u << 10)
#define DRAIN_MS 1000                    /* for output that is still held open by others */
#define COMMAND_MAX 4096                 /* words */
#define EXIT_KILLED 137

enum { PUMP_OUT, PUMP_ERR, PUMPS };

struct pump { struct session *x; struct loop_io io; int fd; enum node_chan_stream to; };

struct session {
    struct node_serve_stream st;
    struct node_exec_target target;      /* texts: container_id in st */
    struct node_chan *chan;
    struct arena *a;                     /* of the plan */
    struct oci_plan plan;
    unsigned wanted;
    bool exec, tty, started, over, eof, resized;
    uint32_t id;
    int exit_code;
    uint16_t rows, cols;
    struct pump pumps[PUMPS];
    /* our end of stdin; the other side's ends until it has them */
    int in, give[3];
    struct loop_io in_io;
    struct buf in_buf;
    struct loop_timer drain;
};

/* --- the end */

static void session_free(struct session *x)
{
    node_serve_stream_del(&x->st);
    loop_timer_del(&x->drain);
    loop_io_del(&x->in_io);
    fd_close(x->in);
    for (int i = 0; i < PUMPS; i++) {
        loop_io_del(&x->pumps[i].io);
        fd_close(x->pumps[i].fd);
    }
    for (int i = 0; i < 3; i++)
        fd_close(x->give[i]);
    buf_deinit(&x->in_buf);
    arena_free(x->a);
    mem_free(x);
}

/* The shim shall know us no more. */
static void let_go(struct session *x)
{
    if (x->st.shim && x->id && !x->over) {
        if (x->exec)
            x->target.shims->exec_forget(x->st.shim, x->id);
        else
            x->target.shims->detach(x->st.shim, x->id);
    }
    x->id = 0;
}

static void finish(struct session *x, const struct buf *status)
{
    let_go(x);
    node_chan_finish(TAKE(x->chan), status->p);
    session_free(x);
}

static void fail(struct session *x, const struct err *err)
{
    _cleanup_buf_ struct buf status = BUF_INIT;
    _cleanup_(mem_freep) char *text = mem_printf("error %s container: %s", x->exec ?
                                                 "executing command in"
                                                 : "attaching to", err->msg);

    node_chan_status_error(&status, text);
    finish(x, &status);
}

static void on_drained(struct loop_timer *t)
{
    struct session *x = container_of(t, struct session, drain);
    _cleanup_buf_ struct buf status = BUF_INIT;

    node_chan_status_exit(&status, x->exit_code);
    finish(x, &status);
}

static void check_over(struct session *x)
{
    if (!x->over)
        return;
    for (int i = 0; i < PUMPS; i++)
        if (x->pumps[i].fd >= 0)
            return;
    loop_timer_set(x->target.loop, &x->drain, 0, on_drained);
}

/* The process is gone; its output may still be on the way. */
static void over(struct session *x, int exit_code)
{
    if (x->over)
        return;
    x->over = true;
    x->exit_code = exit_code;
    loop_timer_set(x->target.loop, &x->drain, DRAIN_MS, on_drained);
    check_over(x);
}

/* --- output */

static void pump_close(struct pump *p)
{
    loop_io_del(&p->io);
    p->fd = fd_close(p->fd);
    check_over(p->x);
}

static void on_output(struct loop_io *io, unsigned events)
{
    struct pump *p = container_of(io, struct pump, io);
    char text[32768];
    ssize_t n = read(p->fd, text, sizeof(text));

    (void)events;
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        pump_close(p);                   /* also EIO: the terminal has no user any more */
        return;
    }
    if (node_chan_write(p->x->chan, p->to, text, (size_t)n) > QUEUED_MAX)
        loop_io_set(&p->io, 0);
}

static void on_drain(void *ctx)
{
    struct session *x = ctx;

    for (int i = 0; i < PUMPS; i++)
        if (x->pumps[i].fd >= 0 && x->pumps[i].io.loop)
            loop_io_set(&x->pumps[i].io, LOOP_READ);
}

static int pump_start(struct session *x, int i, int fd, struct err *err)
{
    struct pump *p = &x->pumps[i];

    p->fd = fd;
    p->to = i == PUMP_OUT ? NODE_CHAN_OUT : NODE_CHAN_ERR;
    if (fd_set_nonblock(fd, err) < 0)
        return -1;
    return loop_io_add(x->target.loop, &p->io, fd, LOOP_READ, on_output, err);
}

/* --- stdin */

static void in_close(struct session *x)
{
    loop_io_del(&x->in_io);
    x->in = fd_close(x->in);
    node_chan_consumed(x->chan, x->in_buf.len);
    buf_clear(&x->in_buf);
}

static void in_write(struct session *x)
{
    while (x->in_buf.len) {
        ssize_t n = write(x->in, x->in_buf.p, x->in_buf.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            in_close(x);                 /* nobody reads it any more */
            return;
        }
        node_chan_consumed(x->chan, (size_t)n);
        buf_eat(&x->in_buf, (size_t)n);
    }
    if (x->in_buf.len == 0 && x->eof && !x->tty)
        in_close(x);
    else
        loop_io_set(&x->in_io, x->in_buf.len ? LOOP_WRITE : 0);
}

static void on_in_ready(struct loop_io *io, unsigned events)
{
    struct session *x = container_of(io, struct session, in_io);

    if (events & LOOP_HANGUP && !(events & LOOP_WRITE))
        in_close(x);
    else
        in_write(x);
}

static void on_data(void *ctx, const char *p, size_t len)
{
    struct session *x = ctx;

    if (x->started && x->in < 0) {
        node_chan_consumed(x->chan, len);
        return;
    }
    buf_add(&x->in_buf, p, len);
    if (x->started)
        in_write(x);
}

static void on_eof(void *ctx)
{
    struct session *x = ctx;

    x->eof = true;
    if (x->started && x->in >= 0)
        in_write(x);
}

static int in_start(struct session *x, int fd, struct err *err)
{
    x->in = fd;
    if (fd_set_nonblock(fd, err) < 0)
        return -1;
    return loop_io_add(x->target.loop, &x->in_io, fd, 0, on_in_ready, err);
}

/* --- size of the terminal */

static void set_size(struct session *x)
{
    struct winsize w = { .ws_row = x->rows, .ws_col = x->cols };

    if (!x->resized || !x->started || !x->tty)
        return;
    if (!x->exec && x->st.shim)
        x->target.shims->resize(x->st.shim, x->st.container_id, x->rows, x->cols);
    else if (x->exec && x->in >= 0)
        (void)ioctl(x->in, TIOCSWINSZ, &w);
    else if (x->exec && x->pumps[PUMP_OUT].fd >= 0)
        (void)ioctl(x->pumps[PUMP_OUT].fd, TIOCSWINSZ, &w);
}

static void on_resize(void *ctx, uint16_t rows, uint16_t cols)
{
    struct session *x = ctx;

    x->rows = rows;
    x->cols = cols;
    x->resized = true;
    set_size(x);
}

/* --- start */

static void started(struct session *x)
{
    for (int i = 0; i < 3; i++)
        x->give[i] = fd_close(x->give[i]);
    x->started = true;
    set_size(x);
    if (x->in >= 0)
        in_write(x);
    else if (x->in_buf.len)
        in_close(x);
}

static void on_started(void *ctx, const struct err *err, pid_t pid, int pty)
{
    struct session *x = ctx;
    struct err why = ERR_INIT;
    int in = -1;

    (void)pid;
    if (err) {
        x->id = 0;
        why = *err;
        fail(x, &why);
        return;
    }
    if (pty >= 0) {
        in = fcntl(pty, F_DUPFD_CLOEXEC, 0);
        if (pump_start(x, PUMP_OUT, pty, &why) < 0 || in < 0 || in_start(x, in, &why) < 0) {
            fail(x, &why);
            return;
        }
    }
    started(x);
}

static void on_exit_of(void *ctx, int exit_code, int sig)
{
    (void)sig;
    over(ctx, exit_code);
}

static void on_attached(void *ctx, const struct err *err)
{
    struct session *x = ctx;
    struct err why = ERR_INIT;

    if (!err) {
        started(x);
        return;
    }
    x->id = 0;
    why = *err;
    fail(x, &why);
}

static void on_attach_end(void *ctx)
{
    over(ctx, 0);
}

static int make_pipes(struct session *x, struct err *err)
{
    static const enum node_chan_stream streams[] = { NODE_CHAN_IN, NODE_CHAN_OUT, NODE_CHAN_ERR };

    for (int i = 0; i < 3; i++) {
        int fds[2];

        if (!(x->wanted & 1u << streams[i]))
            continue;
        if (pipe2(fds, O_CLOEXEC) < 0)
            return err_sys(err, "pipe");
        x->give[i] = i == 0 ? fds[0] : fds[1];
        if ((i == 0 ? in_start(x, fds[1], err) : pump_start(x, i - 1, fds[0], err)) < 0)
            return -1;
    }
    return 0;
}

static int start(struct session *x, struct err *err)
{
    struct shim_exec e = { .container_id = x->st.container_id, .plan = &x->plan,
                           .on_started = on_started,
                           .on_exit = on_exit_of, .ctx = x };
    struct shim_attach a = { .container_id = x->st.container_id, .on_attached = on_attached,
                             .on_end = on_attach_end, .ctx = x };

    if (!x->st.shim)
        return err_set(err, ERR_UNAVAILABLE, "the container has ended");
    if (!(x->exec && x->tty) && make_pipes(x, err) < 0)
        return -1;
    if (x->exec) {
        x->plan.tty_rows = x->rows;
        x->plan.tty_cols = x->cols;
        memcpy(e.fds, x->give, sizeof(e.fds));
        x->id = x->target.shims->exec(x->st.shim, &e);
    } else {
        a.in = x->give[0];
        a.out = x->give[1];
        a.errout = x->give[2];
        x->id = x->target.shims->attach(x->st.shim, &a);
    }
    return 0;
}

static void on_open(void *ctx)
{
    struct session *x = ctx;
    struct err err = ERR_INIT;

    if (start(x, &err) < 0)
        fail(x, &err);
}

static void on_close(void *ctx)
{
    struct session *x = ctx;

    let_go(x);
    node_chan_free(x->chan);
    session_free(x);
}

static void on_gone(struct node_serve_stream *st, bool shim_gone)
{
    struct session *x = container_of(st, struct session, st);
    bool pending;

    /* Of an attach the last output is still to come, and its end. */
    if (!x->exec && !shim_gone)
        return;
    pending = x->id && !x->started;
    let_go(x);
    st->shim = NULL;
    if (x->started)
        over(x, x->exec ? EXIT_KILLED : 0);
    else if (pending)
        on_open(x);                      /* tells that it has ended */
}

static void on_server_gone(struct node_serve_stream *st)
{
    on_close(container_of(st, struct session, st));
}

/* --- the request */

static unsigned wanted_streams(const struct node_serve_call *c, bool tty)
{
    unsigned w = 0;

    w |= node_serve_flag(c, "input") || node_serve_flag(c, "stdin") ? 1u << NODE_CHAN_IN : 0;
    w |= node_serve_flag(c, "output") || node_serve_flag(c, "stdout") ? 1u << NODE_CHAN_OUT : 0;
    if (!tty)
        w |= node_serve_flag(c, "error") || node_serve_flag(c, "stderr") ? 1u << NODE_CHAN_ERR : 0;
    return w;
}

static int plan_command(struct session *x, const struct node_serve_call *c, struct err *err)
{
    struct slice rest = slice_of(c->req->query);
    const char *key, *value;

    if (x->target.plan(x->target.ctx, x->a, &x->plan, err) < 0)
        return -1;
    x->plan.args = (struct plan_texts){ 0 };
    x->plan.tty = x->tty;
    while (http_query_next(&rest, c->a, &key, &value)) {
        if (!str_eq(key, "command"))
            continue;
        if (x->plan.args.len == COMMAND_MAX)
            return err_set(err, ERR_INVALID, "command: more than %d words", COMMAND_MAX);
        plan_add_text(&x->plan.args, x->a, value);
    }
    return x->plan.args.len ? 0 : err_set(err, ERR_INVALID, "you must specify at least 1 command");
}

static struct session *session_new(struct node_serve_call *c, bool exec,
                                   const struct node_serve_container *found)
{
    struct session *x = NEW(struct session);

    *x = (struct session){ .exec = exec, .target = found->target, .in = -1,
                           .give = { -1, -1, -1 } };
    x->st = (struct node_serve_stream){ .shim = found->target.shim, .on_gone = on_gone,
                                        .free = on_server_gone };
    (void)str_copy(x->st.container_id, sizeof(x->st.container_id), found->target.container_id,
                   NULL);
    x->target.container_id = x->st.container_id;
    x->a = arena_new(0);
    for (int i = 0; i < PUMPS; i++)
        x->pumps[i] = (struct pump){ .x = x, .fd = -1 };
    x->tty = exec ? node_serve_flag(c, "tty") : found->tty;
    x->wanted = wanted_streams(c, x->tty);
    return x;
}

/* NULL: refused with err. */
static struct session *session_start(struct node_serve_call *c, bool exec,
                                     const struct node_serve_container *found,
                                     struct err *err)
{
    struct session *x = session_new(c, exec, found);
    struct node_chan_ops ops = { on_open, on_data, on_eof, on_resize, on_drain, on_close, x };
    unsigned asked = x->wanted | (x->tty ? 1u << NODE_CHAN_RESIZE : 0);
    int r = 0;

    if (!x->wanted)
        r = err_set(err, ERR_INVALID, "you must specify at least 1 of stdin, stdout, stderr");
    if (r == 0 && exec)
        r = plan_command(x, c, err);
    if (!exec && !found->with_stdin)
        x->wanted &= ~(1u << NODE_CHAN_IN);      /* taken from the client, given to nobody */
    if (r == 0 && !node_serve_stream_add(c->s, &x->st))
        r = err_set(err, ERR_UNAVAILABLE, "too many streams at once");
    if (r == 0 && node_chan_accept(&x->chan, c->req, asked, &ops, err) == 0)
        return x;
    session_free(x);
    return NULL;
}

static void serve(struct node_serve_call *c, bool exec)
{
    struct node_serve_container found = { .log_path = NULL };
    struct node_serve_name name = { .ns = c->parts[1], .pod = c->parts[2],
                                    .uid = c->n_parts == 5 ? c->parts[3] : "",
                                    .container = c->parts[c->n_parts - 1] };
    struct err err = ERR_INIT;

    if (c->s->ops->container(c->s->ctx, &name, &found, c->a, &err) < 0 ||
        !session_start(c, exec, &found, &err)) {
        if (err.code == ERR_UNSUPPORTED)
            node_serve_refuse(c, 403, err.msg);
        else
            node_serve_refuse_err(c, &err);
    }
}

void node_serve_exec(struct node_serve_call *c) { serve(c, true); }
void node_serve_attach(struct node_serve_call *c) { serve(c, false); }
