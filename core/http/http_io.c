#include "core/http/http_io.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/fd.h"

#define IO_PIECES 32                         /* of one sendmsg */

static void io_on_kick(struct loop_timer *t);
static void io_on_ready(struct loop_io *watch, unsigned events);

void http_io_fail(struct http_io *io, const struct err *why)
{
    if (io->why)
        return;
    io->why = NEW(struct err);
    *io->why = *why;
    http_io_kick(io);
}

/* What the loop should wake us for. */
static void io_watch(struct http_io *io)
{
    unsigned events = 0;

    if (!io->watch.loop || io->why)
        return;
    if (io->handshaking) {
        loop_io_set(&io->watch, tls_events(io->tls));
        return;
    }
    if (io->reading && !io->eof)
        events |= io->read_wants ? io->read_wants : LOOP_READ;
    if (io->out.bytes)
        events |= io->write_wants ? io->write_wants : LOOP_WRITE;
    loop_io_set(&io->watch, events);
}

int http_io_init(struct http_io *io, struct loop *l, int fd, const struct http_io_ops *ops,
                 struct err *err)
{
    *io = (struct http_io){
        .ops = ops, .loop = l, .fd = fd, .reading = true, .guard = NEW(struct http_guard)
    };
    if (fd_set_nonblock(fd, err) < 0 ||
        loop_io_add(l, &io->watch, fd, LOOP_READ, io_on_ready, err) < 0) {
        io->fd = fd_close(io->fd);
        return -1;
    }
    return 0;
}

int http_io_start_tls(struct http_io *io, struct tls_ctx *ctx, const char *server_name,
                      struct err *err)
{
    if (tls_new(&io->tls, ctx, io->fd, server_name, err) < 0)
        return -1;
    io->handshaking = true;
    http_io_kick(io);                        /* a client speaks first */
    return 0;
}

static void io_guard_drop(struct http_io *io)
{
    if (io->guard && io->guard->busy)
        io->guard->dead = true;
    else
        mem_free(io->guard);
    io->guard = NULL;
}

void http_io_deinit(struct http_io *io)
{
    io_guard_drop(io);
    loop_timer_del(&io->kick);
    loop_io_del(&io->watch);
    io->tls = tls_free(io->tls);
    if (io->loop) {
        io->fd = fd_close(io->fd);
        io->loop = NULL;
    }
    http_queue_deinit(&io->out);
    io->why = mem_free(io->why);
}

void http_io_move(struct http_io *to, struct http_io *from, const struct http_io_ops *ops)
{
    struct loop *l = from->loop;
    bool unwatched = !from->watch.loop;

    io_guard_drop(from);
    loop_timer_del(&from->kick);
    loop_io_del(&from->watch);
    *to = *from;
    to->ops = ops;
    to->guard = NEW(struct http_guard);
    to->watch = (struct loop_io){ 0 };
    to->kick = (struct loop_timer){ 0 };
    *from = (struct http_io){ .fd = -1 };
    if (!unwatched) {
        struct err err = ERR_INIT;

        if (loop_io_add(l, &to->watch, to->fd, LOOP_READ, io_on_ready, &err) < 0)
            http_io_fail(to, &err);
    }
    io_watch(to);
    http_io_kick(to);
}

void http_io_kick(struct http_io *io)
{
    loop_timer_set(io->loop, &io->kick, 0, io_on_kick);
}

void http_io_flush_soon(struct http_io *io)
{
    if (!loop_timer_is_set(&io->kick))
        http_io_kick(io);
}

void http_io_read_on(struct http_io *io, bool on)
{
    struct err err = ERR_INIT;

    if (io->reading == on)
        return;
    io->reading = on;
    if (on && io->quiet) {
        io->quiet = false;
        if (loop_io_add(io->loop, &io->watch, io->fd, LOOP_READ, io_on_ready, &err) < 0)
            http_io_fail(io, &err);
    }
    if (on && (io->eof || (io->tls && tls_pending(io->tls))))
        http_io_kick(io);                    /* the descriptor alone would not tell */
    io_watch(io);
}

ssize_t http_io_read(struct http_io *io, void *p, size_t len)
{
    struct err err = ERR_INIT;
    ssize_t n;

    if (io->eof)
        return 0;
    if (io->why)
        return TLS_AGAIN;
    io->read_wants = 0;
    if (io->tls) {
        n = tls_read(io->tls, p, len, &err);
        if (n == TLS_AGAIN && tls_events(io->tls) != LOOP_READ)
            io->read_wants = tls_events(io->tls);
    } else {
        do
            n = recv(io->fd, p, len, MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
        if (n < 0 && errno == EAGAIN)
            n = TLS_AGAIN;
        else if (n < 0)
            err_sys(&err, "read");
    }
    if (n == 0)
        io->eof = true;
    if (n == -1) {
        http_io_fail(io, &err);
        n = TLS_AGAIN;
    }
    io_watch(io);
    return n;
}

static ssize_t io_send_plain(struct http_io *io, struct err *err)
{
    struct iovec iov[IO_PIECES];
    struct msghdr m = { .msg_iov = iov };
    ssize_t n;

    for (struct http_seg *s = io->out.first; s && m.msg_iovlen < IO_PIECES; s = s->next)
        iov[m.msg_iovlen++] = (struct iovec){ (void *)s->p, s->len };
    do
        n = sendmsg(io->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return TLS_AGAIN;
    return n < 0 ? err_sys(err, "write") : n;
}

/* Small pieces are joined into one record. */
static ssize_t io_send_tls(struct http_io *io, struct err *err)
{
    char joined[TLS_RECORD_MAX];
    const struct http_seg *s = io->out.first;
    const void *p = s->p;
    size_t len = s->len;
    ssize_t n;

    if (len < TLS_RECORD_MAX && s->next) {
        p = joined;
        len = http_queue_copy(&io->out, joined, sizeof(joined));
    }
    n = tls_write(io->tls, p, len, err);
    if (n == TLS_AGAIN && tls_events(io->tls) != LOOP_WRITE)
        io->write_wants = tls_events(io->tls);
    return n;
}

void http_io_flush(struct http_io *io)
{
    struct err err = ERR_INIT;

    if (io->handshaking || io->why)
        return;
    io->write_wants = 0;
    while (io->out.bytes) {
        ssize_t n = io->tls ? io_send_tls(io, &err) : io_send_plain(io, &err);

        if (n == TLS_AGAIN)
            break;
        if (n < 0) {
            http_io_fail(io, &err);
            return;
        }
        http_queue_eat(&io->out, (size_t)n);
    }
    if (!io->out.bytes && io->half_closed && !io->shut) {
        io->shut = true;
        if (io->tls)
            tls_shutdown(io->tls, NULL);
        shutdown(io->fd, SHUT_WR);
    }
    io_watch(io);
}

void http_io_half_close(struct http_io *io)
{
    io->half_closed = true;
    http_io_flush(io);
}

/* Each callback may free the io: then `dead` is set and nothing of it is touched any more. */
static void io_handshake(struct http_io *io)
{
    struct err err = ERR_INIT;
    int rc = tls_handshake(io->tls, &err);

    if (rc == -1) {
        io->handshaking = false;
        http_io_fail(io, &err);
    } else if (rc == 0) {
        io->handshaking = false;
        io_watch(io);
        if (io->ops->on_open)
            io->ops->on_open(io);
    } else {
        io_watch(io);
    }
}

static void io_steps(struct http_io *io, bool readable, const bool *dead)
{
    size_t before = io->out.bytes;

    if (io->handshaking && !io->why) {
        io_handshake(io);
        if (*dead || io->handshaking)
            return;
        /* the first bytes may have come with the last of the handshake */
        readable = true;
    }
    if (!io->why && before) {
        http_io_flush(io);
        if (!io->why && io->out.bytes < before && io->ops->on_written)
            io->ops->on_written(io);
    }
    if (!*dead && !io->why && readable && io->reading)
        io->ops->on_readable(io);
    if (*dead || !io->why)
        return;
    loop_timer_del(&io->kick);
    loop_io_del(&io->watch);
    io->ops->on_broken(io, io->why);
}

static void io_work(struct http_io *io, bool readable)
{
    struct http_guard *guard = io->guard;

    guard->busy = true;
    io_steps(io, readable, &guard->dead);
    guard->busy = false;
    if (guard->dead)
        mem_free(guard);
}

static void io_on_kick(struct loop_timer *t)
{
    io_work(container_of(t, struct http_io, kick), true);
}

static void io_on_ready(struct loop_io *watch, unsigned events)
{
    struct http_io *io = container_of(watch, struct http_io, watch);

    if (events == LOOP_HANGUP && !io->handshaking) {
        /* nobody reads or writes now, and the kernel would tell again and again */
        loop_io_del(&io->watch);
        io->quiet = true;
        return;
    }
    io_work(io, io->handshaking || (events & (io->read_wants ? io->read_wants : LOOP_READ)));
}
