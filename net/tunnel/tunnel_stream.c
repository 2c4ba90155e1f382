/* tunnel_stream.c -- one stream: a socket here, frames there, and how much is on the way. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "net/tunnel/tunnel_frame.h"
#include "net/tunnel/tunnel_mux.h"

struct tunnel_stream {
    struct tunnel_mux *m;
    uint32_t id;
    int fd;                              /* while it connects */
    struct loop_io connecting;
    struct http_raw *local;              /* then */
    struct buf early;                    /* came from the peer before that */
    struct buf out;                      /* read here, to be sent */
    size_t may_send;                     /* bytes the peer takes */
    size_t held;                         /* bytes the peer sent and was not told are taken */
    struct loop_timer linger;            /* since end_sent nothing came from the peer */
    bool local_ended, end_sent, peer_ended;
};

uint32_t tunnel_stream_id(const struct tunnel_stream *s)
{
    return s->id;
}

void tunnel_stream_free(struct tunnel_stream *s)
{
    loop_io_del(&s->connecting);
    loop_timer_del(&s->linger);
    s->fd = fd_close(s->fd);
    http_raw_free(s->local);
    buf_deinit(&s->early);
    buf_deinit(&s->out);
    s->m->slots[s->id % TUNNEL_STREAMS_MAX] = NULL;
    s->m->n--;
    mem_free(s);
}

static void reset(struct tunnel_stream *s, const char *why)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    tunnel_frame_write(&b, TUNNEL_FRAME_RESET, s->id, slice_of(why));
    tunnel_mux_send(s->m, &b);
    tunnel_stream_free(s);
}

/* Both directions ended: what is queued for the socket still goes there. */
static bool is_over(struct tunnel_stream *s)
{
    if (!s->end_sent || !s->peer_ended || !s->local)
        return false;
    http_raw_end(TAKE(s->local));
    tunnel_stream_free(s);
    return true;
}

/* Whoever closed its socket waits for nothing any more, but to the other side it looks like the end
 * of one direction. */
static void on_linger(struct loop_timer *t)
{
    reset(container_of(t, struct tunnel_stream, linger), "nobody reads any more");
}

static void linger(struct tunnel_stream *s)
{
    loop_timer_set(s->m->o.loop, &s->linger, TUNNEL_LINGER_MS, on_linger);
}

/* --- from the socket to the peer */

void tunnel_stream_push(struct tunnel_stream *s)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    size_t at = 0;

    while (at < s->out.len && s->may_send && tunnel_mux_has_room(s->m)) {
        size_t n = s->out.len - at;

        n = n < s->may_send ? n : s->may_send;
        n = n < TUNNEL_PAYLOAD_MAX ? n : TUNNEL_PAYLOAD_MAX;
        tunnel_frame_write(&b, TUNNEL_FRAME_DATA, s->id, (struct slice){ s->out.p + at, n });
        tunnel_mux_send(s->m, &b);
        s->may_send -= n;
        at += n;
    }
    buf_eat(&s->out, at);
    if (s->local)
        http_raw_pause(s->local, s->out.len > 0);
    if (s->local_ended && !s->out.len && !s->end_sent) {
        tunnel_frame_write(&b, TUNNEL_FRAME_END, s->id, SLICE(""));
        tunnel_mux_send(s->m, &b);
        s->end_sent = true;
        if (!is_over(s))
            linger(s);
    }
}

static void on_data(struct http_raw *w, const char *p, size_t len, void *ctx)
{
    struct tunnel_stream *s = ctx;

    (void)w;
    buf_add(&s->out, p, len);
    tunnel_stream_push(s);
}

static void on_close(struct http_raw *w, const struct err *why, void *ctx)
{
    struct tunnel_stream *s = ctx;

    (void)w;
    if (why) {
        reset(s, why->msg);
        return;
    }
    s->local_ended = true;
    tunnel_stream_push(s);
}

/* --- from the peer to the socket */

/* Tells the peer of what the socket took, not for each byte. */
static void settle(struct tunnel_stream *s)
{
    size_t queued = s->local ? http_raw_queued(s->local) : s->early.len;
    size_t taken = s->held > queued ? s->held - queued : 0;
    _cleanup_buf_ struct buf b = BUF_INIT;

    if (taken < TUNNEL_WINDOW / 2 || s->peer_ended)
        return;
    s->held -= taken;
    tunnel_frame_write_window(&b, s->id, (uint32_t)taken);
    tunnel_mux_send(s->m, &b);
}

static void on_drain(struct http_raw *w, void *ctx)
{
    (void)w;
    settle(ctx);
}

static const struct http_raw_ops *local_ops(struct http_raw_ops *out, struct tunnel_stream *s)
{
    *out = (struct http_raw_ops){ on_data, on_drain, on_close, s };
    return out;
}

static int connected(struct tunnel_stream *s, struct err *err)
{
    struct http_raw_ops ops;

    if (http_raw_new(&s->local, s->m->o.loop, TAKE_FD(s->fd), local_ops(&ops, s), err) < 0)
        return -1;
    if (s->early.len)
        http_raw_write(s->local, s->early.p, s->early.len);
    buf_deinit(&s->early);
    if (s->peer_ended)
        http_raw_shut(s->local);
    return 0;
}

static void on_connect(struct loop_io *io, unsigned events)
{
    struct tunnel_stream *s = container_of(io, struct tunnel_stream, connecting);
    struct err err = ERR_INIT;
    int rc = 0, one = 1;
    socklen_t len = sizeof(rc);

    (void)events;
    loop_io_del(io);
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &rc, &len) < 0)
        rc = errno;
    errno = rc;
    if (rc) {
        err_sys(&err, "connect");
        reset(s, err.msg);
        return;
    }
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connected(s, &err) < 0)
        reset(s, err.msg);
    else
        settle(s);
}

static int take_data(struct tunnel_stream *s, const struct tunnel_frame *f, struct err *err)
{
    if (s->peer_ended)
        return err_set(err, ERR_INVALID, "DATA after END of stream %u", s->id);
    if (f->payload.len > TUNNEL_WINDOW - s->held)
        return err_set(err, ERR_INVALID, "more DATA of stream %u than its window has", s->id);
    s->held += f->payload.len;
    if (s->end_sent)
        linger(s);
    if (s->local)
        http_raw_write(s->local, f->payload.p, f->payload.len);
    else
        buf_add(&s->early, f->payload.p, f->payload.len);
    settle(s);
    return 0;
}

static int take_window(struct tunnel_stream *s, const struct tunnel_frame *f, struct err *err)
{
    if (f->credit > TUNNEL_WINDOW - s->may_send)
        return err_set(err, ERR_INVALID, "a window of stream %u beyond its limit", s->id);
    s->may_send += f->credit;
    tunnel_stream_push(s);
    return 0;
}

static int take_end(struct tunnel_stream *s, struct err *err)
{
    if (s->peer_ended)
        return err_set(err, ERR_INVALID, "two ENDs of stream %u", s->id);
    s->peer_ended = true;
    if (s->local && !is_over(s))
        http_raw_shut(s->local);
    return 0;
}

int tunnel_stream_take(struct tunnel_stream *s, const struct tunnel_frame *f, struct err *err)
{
    switch (f->type) {
    case TUNNEL_FRAME_DATA:
        return take_data(s, f, err);
    case TUNNEL_FRAME_WINDOW:
        return take_window(s, f, err);
    case TUNNEL_FRAME_END:
        return take_end(s, err);
    default:
        check(f->type == TUNNEL_FRAME_RESET);
        tunnel_stream_free(s);
        return 0;
    }
}

/* --- birth */

static int begin_connect(struct tunnel_stream *s, const struct tunnel_target *t, struct err *err)
{
    s->fd = socket(t->to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0)
        return err_sys(err, "socket");
    if (connect(s->fd, t->to, t->to_len) < 0 && errno != EINPROGRESS)
        return err_sys(err, "connect");
    return loop_io_add(s->m->o.loop, &s->connecting, s->fd, LOOP_WRITE, on_connect, err);
}

int tunnel_stream_new(struct tunnel_mux *m, uint32_t id, const struct tunnel_target *t,
                      struct err *err)
{
    struct tunnel_stream *s = NEW(struct tunnel_stream);

    check(!m->slots[id % TUNNEL_STREAMS_MAX]);
    *s = (struct tunnel_stream){ .m = m, .id = id, .fd = t->fd, .may_send = TUNNEL_WINDOW };
    m->slots[id % TUNNEL_STREAMS_MAX] = s;
    m->n++;
    if ((t->fd >= 0 ? connected(s, err) : begin_connect(s, t, err)) < 0) {
        tunnel_stream_free(s);
        return -1;
    }
    return 0;
}
