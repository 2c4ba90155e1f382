#include "core/http/http_raw.h"

#include "core/http/http_conn.h"

/* an ended stream may take so long to send what is queued */
#define RAW_END_MS 30000
/* and then so long to see the peer's end: a close with unread bytes would reset the connection and
 * lose what was sent last */
#define RAW_LINGER_MS 2000

struct http_raw {
    struct http_io io;
    struct http_raw_ops ops;
    struct buf in;                           /* came before the upgrade was done */
    struct loop_timer timer;
    bool closed, ending, want_drain;
};

static void raw_on_end_time(struct loop_timer *t)
{
    http_raw_free(container_of(t, struct http_raw, timer));
}

static void raw_close(struct http_raw *w, const struct err *why)
{
    http_io_read_on(&w->io, false);
    if (w->closed)
        return;
    w->closed = true;
    if (w->ops.on_close)
        w->ops.on_close(w, why, w->ops.ctx);
}

static void raw_on_readable(struct http_io *io)
{
    struct http_raw *w = container_of(io, struct http_raw, io);
    char data[HTTP_IO_READ];
    ssize_t n;

    if (w->in.len && !w->ending) {
        _cleanup_buf_ struct buf in = w->in;

        w->in = BUF_INIT;
        http_io_kick(io);                    /* then the socket */
        w->ops.on_data(w, in.p, in.len, w->ops.ctx);
        return;
    }
    n = http_io_read(io, data, sizeof(data));
    if (n == TLS_AGAIN)
        return;
    if (n == 0 && w->ending) {
        http_io_read_on(io, false);
        if (!io->out.bytes)
            http_raw_free(w);
        return;
    }
    if (n == 0) {
        raw_close(w, NULL);
        return;
    }
    if (io->tls && tls_pending(io->tls))
        http_io_kick(io);
    if (!w->ending)
        w->ops.on_data(w, data, (size_t)n, w->ops.ctx);
}

static void raw_on_written(struct http_io *io)
{
    struct http_raw *w = container_of(io, struct http_raw, io);

    if (w->ending && !io->out.bytes) {
        if (io->eof)
            http_raw_free(w);
        else
            loop_timer_set(io->loop, &w->timer, RAW_LINGER_MS, raw_on_end_time);
        return;
    }
    if (!w->ending && w->want_drain && io->out.bytes < HTTP_DRAIN_BYTES) {
        w->want_drain = false;
        if (w->ops.on_drain)
            w->ops.on_drain(w, w->ops.ctx);
    }
}

static void raw_on_broken(struct http_io *io, const struct err *why)
{
    struct http_raw *w = container_of(io, struct http_raw, io);
    struct err copy = *why;

    if (w->ending)
        http_raw_free(w);
    else
        raw_close(w, &copy);
}

static const struct http_io_ops raw_ops = {
    .on_readable = raw_on_readable,
    .on_written = raw_on_written,
    .on_broken = raw_on_broken,
};

struct http_raw *http_raw_take(struct http_io *io, struct buf *in, const struct http_raw_ops *ops)
{
    struct http_raw *w = NEW(struct http_raw);

    http_io_move(&w->io, io, &raw_ops);
    w->ops = *ops;
    w->in = *in;
    *in = BUF_INIT;
    w->io.reading = false;
    http_io_read_on(&w->io, true);
    http_io_kick(&w->io);
    return w;
}

int http_raw_new(struct http_raw **out, struct loop *l, int fd, const struct http_raw_ops *ops,
                 struct err *err)
{
    struct http_raw *w = NEW(struct http_raw);

    if (http_io_init(&w->io, l, fd, &raw_ops, err) < 0) {
        http_io_deinit(&w->io);
        mem_free(w);
        return -1;
    }
    w->ops = *ops;
    *out = w;
    return 0;
}

struct http_raw *http_raw_free(struct http_raw *w)
{
    if (!w)
        return NULL;
    loop_timer_del(&w->timer);
    http_io_deinit(&w->io);
    buf_deinit(&w->in);
    return mem_free(w);
}

struct loop *http_raw_loop(const struct http_raw *w)
{
    return w->io.loop;
}

void http_raw_set(struct http_raw *w, const struct http_raw_ops *ops)
{
    w->ops = *ops;
}

size_t http_raw_write(struct http_raw *w, const void *p, size_t len)
{
    if (w->ending || w->io.why)
        return 0;
    http_queue_add(&w->io.out, p, len);
    if (w->io.out.bytes >= HTTP_DRAIN_BYTES)
        w->want_drain = true;
    http_io_flush_soon(&w->io);
    return w->io.out.bytes;
}

size_t http_raw_queued(const struct http_raw *w)
{
    return w->io.out.bytes;
}

void http_raw_pause(struct http_raw *w, bool paused)
{
    if (w->ending || w->closed)
        return;
    http_io_read_on(&w->io, !paused);
    if (!paused && w->in.len)
        http_io_kick(&w->io);
}

void http_raw_end(struct http_raw *w)
{
    int64_t ms = RAW_LINGER_MS;

    w->ending = true;
    if (!w->io.why)
        http_io_half_close(&w->io);
    if (w->io.why || (w->io.eof && !w->io.out.bytes))
        ms = 0;
    else if (w->io.out.bytes)
        ms = RAW_END_MS;
    loop_timer_set(w->io.loop, &w->timer, ms, raw_on_end_time);
    if (ms)
        http_io_read_on(&w->io, true);
}

void http_raw_shut(struct http_raw *w)
{
    if (!w->ending && !w->io.why)
        http_io_half_close(&w->io);
}

struct http_raw *http_upgrade(struct http_req *r, const char *protocol,
                              const struct http_field *fields, unsigned n_fields,
                              const struct http_raw_ops *ops)
{
    struct http_exchange *x = container_of(r, struct http_exchange, req);
    struct http_conn *c = x->conn;
    _cleanup_buf_ struct buf head = BUF_INIT;
    struct http_raw *w;

    check(x->state == EXCHANGE_HELD);
    if (!c || x->gone || !x->upgrade || r->version != HTTP_1_1)
        return NULL;
    buf_fmt(&head, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: %s\r\nConnection: Upgrade\r\n",
            protocol);
    for (unsigned i = 0; i < n_fields; i++) {
        check(!strpbrk(fields[i].name, "\r\n: ") && !strpbrk(fields[i].value, "\r\n"));
        buf_fmt(&head, "%s: %s\r\n", fields[i].name, fields[i].value);
    }
    buf_str(&head, "\r\n");
    http_queue_add(&c->io.out, head.p, head.len);
    w = http_raw_take(&c->io, &c->in, ops);
    http1_upgraded(x);
    http_io_flush(&w->io);
    return w;
}
