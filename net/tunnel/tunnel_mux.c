/* tunnel_mux.c -- frames in and out, ids, and whether the other side still lives. */
#include "net/tunnel/tunnel_mux.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "net/tunnel/tunnel_frame.h"

/* The window lets a peer have this much on the way; so much of WINDOW, RESET and the like may be
 * queued beside it before a peer that does not read is given up. */
#define QUEUE_LIMIT (4 * TUNNEL_QUEUE_MAX)

static void on_time(struct loop_timer *t);

static int64_t now(const struct tunnel_mux *m)
{
    return loop_now_ms(m->o.loop);
}

bool tunnel_mux_has_room(const struct tunnel_mux *m)
{
    return http_raw_queued(m->raw) < TUNNEL_QUEUE_MAX;
}

void tunnel_mux_fail_soon(struct tunnel_mux *m, const struct err *why)
{
    if (m->err.code)
        return;
    m->err = *why;
    loop_timer_set(m->o.loop, &m->timer, 0, on_time);
}

void tunnel_mux_send(struct tunnel_mux *m, struct buf *frames)
{
    struct err err = ERR_INIT;

    if (http_raw_write(m->raw, frames->p, frames->len) > QUEUE_LIMIT) {
        err_set(&err, ERR_QUOTA, "the other side does not read");
        tunnel_mux_fail_soon(m, &err);
    }
    buf_clear(frames);
}

static void send_bare(struct tunnel_mux *m, enum tunnel_type type, const char *text)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    tunnel_frame_write(&b, type, 0, slice_of(text));
    tunnel_mux_send(m, &b);
}

/* The last thing of a callback: the owner frees the mux. */
static void fail(struct tunnel_mux *m, const struct err *why)
{
    struct err copy = *why;

    m->o.on_close(m->o.ctx, &copy);
}

/* --- liveness */

static int64_t silence(const struct tunnel_mux *m)
{
    return m->o.agent ? TUNNEL_PING_MS : TUNNEL_SILENCE_MS;
}

static void ask(struct tunnel_mux *m)
{
    m->asked = true;
    send_bare(m, TUNNEL_FRAME_PING, "");
    loop_timer_set(m->o.loop, &m->timer, TUNNEL_ANSWER_MS, on_time);
}

static void on_time(struct loop_timer *t)
{
    struct tunnel_mux *m = container_of(t, struct tunnel_mux, timer);
    int64_t left = m->heard_ms + silence(m) - now(m);

    if (!m->err.code && m->asked)
        err_set(&m->err, ERR_TIMEOUT, "the other side does not answer");
    if (m->err.code)
        fail(m, &m->err);
    else if (left > 0)
        loop_timer_set(m->o.loop, t, left, on_time);
    else
        ask(m);
}

static void heard(struct tunnel_mux *m)
{
    m->heard_ms = now(m);
    if (m->asked && !m->err.code)
        loop_timer_set(m->o.loop, &m->timer, silence(m), on_time);
    m->asked = false;
}

/* --- frames */

/* Never busy: an id of a peer that counts right finds its slot free. */
static int take_open(struct tunnel_mux *m, const struct tunnel_frame *f, struct err *err)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(f->port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(f->port) };
    struct tunnel_target to = { .fd = -1 };
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct err own = ERR_INIT;
    int r;

    if (!m->o.agent)
        return err_set(err, ERR_INVALID, "OPEN from an agent");
    if (m->slots[f->stream % TUNNEL_STREAMS_MAX])
        return err_set(err, ERR_INVALID, "OPEN of stream %u, whose place is taken", f->stream);
    if (inet_pton(AF_INET, f->host, &v4.sin_addr) == 1)
        to = (struct tunnel_target){ -1, (struct sockaddr *)&v4, sizeof(v4) };
    else if (inet_pton(AF_INET6, f->host, &v6.sin6_addr) == 1)
        to = (struct tunnel_target){ -1, (struct sockaddr *)&v6, sizeof(v6) };
    r = to.to ? m->o.allow(m->o.ctx, f->host, f->port, &own)
              : err_set(&own, ERR_INVALID, "%s is no address", f->host);
    if (r == 0)
        r = tunnel_stream_new(m, f->stream, &to, &own);
    if (r < 0) {
        tunnel_frame_write(&b, TUNNEL_FRAME_RESET, f->stream, slice_of(own.msg));
        tunnel_mux_send(m, &b);
    }
    return 0;
}

static int take_bye(const struct tunnel_frame *f, struct err *err)
{
    char text[TUNNEL_TEXT_MAX + 1];

    for (size_t i = 0; i < f->payload.len; i++)
        text[i] = f->payload.p[i] < ' ' || f->payload.p[i] > '~' ? '?' : f->payload.p[i];
    text[f->payload.len] = 0;
    return err_set(err, ERR_UNAVAILABLE, "the other side ended it: %s", text);
}

static int take(struct tunnel_mux *m, const struct tunnel_frame *f, struct err *err)
{
    struct tunnel_stream *s = m->slots[f->stream % TUNNEL_STREAMS_MAX];

    switch (f->type) {
    case TUNNEL_FRAME_OPEN:
        return take_open(m, f, err);
    case TUNNEL_FRAME_PING:
        send_bare(m, TUNNEL_FRAME_PONG, "");
        return 0;
    case TUNNEL_FRAME_PONG:
        return 0;
    case TUNNEL_FRAME_BYE:
        return take_bye(f, err);
    default:
        /* On its way while we reset the stream: nobody waits for it. */
        return s && tunnel_stream_id(s) == f->stream ? tunnel_stream_take(s, f, err) : 0;
    }
}

static void on_data(struct http_raw *w, const char *p, size_t len, void *ctx)
{
    struct tunnel_mux *m = ctx;
    struct tunnel_frame f;
    struct err err = ERR_INIT;
    struct slice rest;
    int n;

    (void)w;
    heard(m);
    buf_add(&m->in, p, len);
    rest = (struct slice){ m->in.p, m->in.len };
    while ((n = tunnel_frame_read(&f, rest, &err)) > 0) {
        if (take(m, &f, &err) < 0) {
            n = -1;
            break;
        }
        rest.p += n;
        rest.len -= (size_t)n;
    }
    if (n < 0)
        fail(m, &err);
    else
        buf_eat(&m->in, m->in.len - rest.len);
}

static void on_drain(struct http_raw *w, void *ctx)
{
    struct tunnel_mux *m = ctx;

    (void)w;
    for (unsigned i = 0; i < TUNNEL_STREAMS_MAX && tunnel_mux_has_room(m); i++) {
        if (m->slots[i])
            tunnel_stream_push(m->slots[i]);
    }
}

static void on_close(struct http_raw *w, const struct err *why, void *ctx)
{
    struct tunnel_mux *m = ctx;

    (void)w;
    m->o.on_close(m->o.ctx, why);
}

/* --- the doors */

struct tunnel_mux *tunnel_mux_new(struct http_raw *raw, const struct tunnel_mux_opts *o)
{
    struct tunnel_mux *m = NEW(struct tunnel_mux);

    m->o = *o;
    m->raw = raw;
    m->heard_ms = now(m);
    http_raw_set(raw, &(struct http_raw_ops){ on_data, on_drain, on_close, m });
    loop_timer_set(o->loop, &m->timer, silence(m), on_time);
    return m;
}

static void free_rest(struct tunnel_mux *m)
{
    loop_timer_del(&m->timer);
    for (unsigned i = 0; i < TUNNEL_STREAMS_MAX; i++) {
        if (m->slots[i])
            tunnel_stream_free(m->slots[i]);
    }
    buf_deinit(&m->in);
    mem_free(m);
}

struct tunnel_mux *tunnel_mux_free(struct tunnel_mux *m)
{
    if (!m)
        return NULL;
    http_raw_free(m->raw);
    free_rest(m);
    return NULL;
}

struct tunnel_mux *tunnel_mux_end(struct tunnel_mux *m, const char *why)
{
    if (!m)
        return NULL;
    send_bare(m, TUNNEL_FRAME_BYE, why);
    http_raw_end(m->raw);
    free_rest(m);
    return NULL;
}

static uint32_t next_id(struct tunnel_mux *m)
{
    while (m->slots[m->next])
        m->next = (m->next + 1) % TUNNEL_STREAMS_MAX;
    m->turn = m->turn < UINT32_MAX / TUNNEL_STREAMS_MAX - 1 ? m->turn + 1 : 1;
    return m->turn * TUNNEL_STREAMS_MAX + m->next;
}

int tunnel_mux_open(struct tunnel_mux *m, const char *host, uint16_t port, struct err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    int pair[2];
    uint32_t id;

    check(!m->o.agent);
    if (m->err.code)
        return err_set(err, ERR_UNAVAILABLE, "the tunnel broke: %s", m->err.msg);
    if (strlen(host) > TUNNEL_HOST_MAX || !*host || !port)
        return err_set(err, ERR_INVALID, "\"%.80s\" port %u is no address", host, port);
    if (m->n == TUNNEL_STREAMS_MAX)
        return err_set(err, ERR_QUOTA, "%d streams at once", TUNNEL_STREAMS_MAX);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return err_sys(err, "socket pair");
    id = next_id(m);
    if (tunnel_stream_new(m, id, &(struct tunnel_target){ .fd = pair[0] }, err) < 0) {
        fd_close(pair[1]);
        return -1;
    }
    tunnel_frame_write_open(&b, id, host, port);
    tunnel_mux_send(m, &b);
    if (!m->asked && now(m) - m->heard_ms > TUNNEL_DOUBT_MS)
        ask(m);
    return pair[1];
}

unsigned tunnel_mux_streams(const struct tunnel_mux *m)
{
    return m->n;
}
