/* shim_stream.c -- output: each chunk goes to the log, then to all who are attached. Nobody who reads slowly holds up
 * the container: he has a megabyte, then he is let go. Input: back-pressure to the one who types. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "runtime/shim/shim_self.h"

#define TYPED_BYTES 4096

struct end {                             /* one output of an attached */
    struct shim_attached *owner;
    struct loop_io io;
    struct buf behind;
    int fd;
};

struct shim_attached {
    struct list link;
    struct shim_box_container *owner;
    uint32_t seq;
    struct loop_io on_in;
    int in;
    struct end out[SHIM_LOG_STREAMS];
    bool leaving;                        /* the container ended: only what is left */
};

/* --- attached */

static void end_close(struct end *e)
{
    loop_io_del(&e->io);
    e->fd = fd_close(e->fd);
    buf_deinit(&e->behind);
}

static void attached_free(struct shim_attached *a, bool tell)
{
    struct shim_self *s = a->owner->self;

    loop_io_del(&a->on_in);
    fd_close(a->in);
    for (int i = 0; i < SHIM_LOG_STREAMS; i++)
        end_close(&a->out[i]);
    list_del(&a->link);
    a->owner->n_attached--;
    if (tell && s->link)
        shim_chan_answer(s->link, SHIM_ATTACH_END, a->seq, NULL, -1);
    mem_free(a);
}

/* True when it went. */
static bool attached_settle(struct shim_attached *a)
{
    bool outs = a->out[0].fd >= 0 || a->out[1].fd >= 0;
    bool behind = a->out[0].behind.len || a->out[1].behind.len;

    if (a->leaving ? !behind : !outs && a->in < 0) {
        attached_free(a, true);
        return true;
    }
    return false;
}

static void end_write(struct end *e)
{
    while (e->behind.len > 0) {
        ssize_t n = write(e->fd, e->behind.p, e->behind.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            end_close(e);
            return;
        }
        buf_eat(&e->behind, (size_t)n);
    }
    loop_io_set(&e->io, e->behind.len ? LOOP_WRITE : 0);
}

static void end_on_ready(struct loop_io *io, unsigned events)
{
    struct end *e = container_of(io, struct end, io);

    if (events & LOOP_HANGUP)
        end_close(e);
    else
        end_write(e);
    attached_settle(e->owner);
}

static void end_add(struct end *e, struct slice text)
{
    if (e->fd < 0)
        return;
    if (e->behind.len + text.len > SHIM_BEHIND_BYTES_MAX) {
        end_close(e);
        return;
    }
    buf_add(&e->behind, text.p, text.len);
    end_write(e);
}

/* --- output */

static bool stream_read(struct shim_stream *t)
{
    struct shim_box_container *c = t->owner;
    char chunk[SHIM_READ_BYTES];
    ssize_t n = read(t->fd, chunk, sizeof(chunk));
    struct slice text = { chunk, n > 0 ? (size_t)n : 0 };

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {                            /* a terminal says EIO when its last user has gone */
        shim_stream_end(t);
        return false;
    }
    shim_log_write(&c->log, t->which, shim_now_ns(c->self), text);
    list_each(a, &c->attached, struct shim_attached, link) {
        end_add(&a->out[t->which], text);
        attached_settle(a);
    }
    return true;
}

static void stream_on_ready(struct loop_io *io, unsigned events)
{
    struct shim_stream *t = container_of(io, struct shim_stream, io);
    struct shim_box_container *c = t->owner;

    (void)events;
    stream_read(t);
    if (t->fd < 0 && c->dead && !shim_stream_open(c))
        shim_container_drained(c);
}

int shim_stream_add(struct shim_box_container *c, enum shim_log_stream which, int fd, struct err *err)
{
    struct shim_stream *t = &c->out[which];

    t->owner = c;
    t->which = which;
    t->fd = fd;
    if (fd_set_nonblock(fd, err) < 0)
        return -1;
    return loop_io_add(c->self->loop, &t->io, fd, LOOP_READ, stream_on_ready, err);
}

void shim_stream_end(struct shim_stream *t)
{
    loop_io_del(&t->io);
    t->fd = fd_close(t->fd);
}

bool shim_stream_open(const struct shim_box_container *c)
{
    return c->out[0].fd >= 0 || c->out[1].fd >= 0;
}

void shim_stream_drain(struct shim_box_container *c)
{
    for (int i = 0; i < SHIM_LOG_STREAMS; i++)
        while (c->out[i].fd >= 0 && stream_read(&c->out[i]))
            ;
}

/* --- input */

void shim_stdin_close(struct shim_box_container *c)
{
    loop_io_del(&c->on_in);
    c->in = fd_close(c->in);
    buf_deinit(&c->typed);
}

static void input_resume(struct shim_box_container *c, bool on)
{
    list_each(a, &c->attached, struct shim_attached, link)
        if (a->in >= 0)
            loop_io_set(&a->on_in, on ? LOOP_READ : 0);
}

static void input_flush(struct shim_box_container *c)
{
    while (c->in >= 0 && c->typed.len > 0) {
        ssize_t n = write(c->in, c->typed.p, c->typed.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            shim_stdin_close(c);
            return;
        }
        buf_eat(&c->typed, (size_t)n);
    }
    if (c->on_in.loop)
        loop_io_set(&c->on_in, c->typed.len ? LOOP_WRITE : 0);
    input_resume(c, c->typed.len == 0);
}

static void input_on_ready(struct loop_io *io, unsigned events)
{
    struct shim_box_container *c = container_of(io, struct shim_box_container, on_in);

    if (events & LOOP_WRITE)
        input_flush(c);
    else if (events & LOOP_HANGUP)
        shim_stdin_close(c);
}

static void input_done(struct shim_attached *a)
{
    struct shim_box_container *c = a->owner;

    loop_io_del(&a->on_in);
    a->in = fd_close(a->in);
    if (c->stdin_once && !c->tty && c->in >= 0) {
        if (c->typed.len > 0 && fd_set_nonblock(c->in, NULL) == 0)
            input_flush(c);
        shim_stdin_close(c);
    }
}

static void attached_on_in(struct loop_io *io, unsigned events)
{
    struct shim_attached *a = container_of(io, struct shim_attached, on_in);
    struct shim_box_container *c = a->owner;
    char chunk[TYPED_BYTES];
    ssize_t n;

    if (c->typed.len > 0 && c->in >= 0 && !(events & LOOP_HANGUP))
        return;                              /* the container is behind; a last rest is taken all the same */
    n = read(a->in, chunk, sizeof(chunk));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        input_done(a);
        attached_settle(a);
        return;
    }
    if (c->in < 0)
        return;
    buf_add(&c->typed, chunk, (size_t)n);
    input_flush(c);
}

static int input_watch(struct shim_box_container *c, struct err *err)
{
    if (c->in < 0 || c->on_in.loop)
        return 0;
    if (fd_set_nonblock(c->in, err) < 0)
        return -1;
    return loop_io_add(c->self->loop, &c->on_in, c->in, 0, input_on_ready, err);
}

/* --- coming and going */

static int attached_watch(struct shim_attached *a, struct err *err)
{
    struct loop *l = a->owner->self->loop;

    for (int i = 0; i < SHIM_LOG_STREAMS; i++) {
        struct end *e = &a->out[i];

        if (e->fd >= 0 && (fd_set_nonblock(e->fd, err) < 0 ||
                           loop_io_add(l, &e->io, e->fd, 0, end_on_ready, err) < 0))
            return -1;
    }
    if (a->in < 0)
        return 0;
    if (input_watch(a->owner, err) < 0)
        return -1;
    return loop_io_add(l, &a->on_in, a->in, LOOP_READ, attached_on_in, err);
}

int shim_attach(struct shim_box_container *c, uint32_t seq, int fds[3], struct err *err)
{
    struct shim_attached *a;

    if (c->info.state == SHIM_EXITED || c->dead)
        return err_set(err, ERR_CONFLICT, "container %s is not running", c->info.id);
    if (c->n_attached == SHIM_ATTACHED_MAX)
        return err_set(err, ERR_QUOTA, "more than %d attached to one container", SHIM_ATTACHED_MAX);
    a = NEW(struct shim_attached);
    a->owner = c;
    a->seq = seq;
    a->in = TAKE_FD(fds[0]);
    if (c->in < 0)
        a->in = fd_close(a->in);
    for (int i = 0; i < SHIM_LOG_STREAMS; i++) {
        a->out[i].owner = a;
        a->out[i].fd = TAKE_FD(fds[i + 1]);
    }
    list_push(&c->attached, &a->link);
    c->n_attached++;
    if (attached_watch(a, err) < 0) {
        attached_free(a, false);
        return -1;
    }
    return 0;
}

void shim_detach(struct shim_self *s, uint32_t seq)
{
    list_each(c, &s->containers, struct shim_box_container, link)
        list_each(a, &c->attached, struct shim_attached, link)
            if (a->seq == seq) {
                input_done(a);
                attached_free(a, false);
                return;
            }
}

void shim_detach_all(struct shim_box_container *c, bool now)
{
    list_each(a, &c->attached, struct shim_attached, link) {
        if (now) {
            attached_free(a, true);
            continue;
        }
        loop_io_del(&a->on_in);
        a->in = fd_close(a->in);
        a->leaving = true;
        attached_settle(a);
    }
}
