/* http_share.c -- a connection of the client that speaks HTTP/2: nghttp2 does frames, HPACK and
 * windows; each call is a stream. Sending happens on the loop's turn (share_turn), never inside a
 * call of the owner.
 */
#include "core/http/http_client.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>

#define SHARE_WINDOW (256u << 10)            /* of a stream, for the answer's body */
#define SHARE_CONN_WINDOW (4u << 20)
#define SHARE_PER_FIELD 32                   /* counted beside a header's bytes, RFC 9113 6.5.2 */

struct http_share {
    nghttp2_session *session;
    struct http_link *link;
    struct list streams;
    unsigned n;
    bool retired;                            /* told to go away, by the server or by us */
};

struct http_stream {
    struct list link;                        /* share->streams */
    struct http_share *share;
    struct http_call *call;
    int32_t id;
    size_t sent;                             /* of the request's body */
    size_t unread;                           /* bytes that came during a pause: not acknowledged */
    /* The answer's head while it arrives. */
    int status;
    struct buf text;
    VEC(size_t) at;
    size_t bytes;
    bool ended;
};

static void stream_free(struct http_stream *s)
{
    nghttp2_session_set_stream_user_data(s->share->session, s->id, NULL);
    list_del(&s->link);
    s->share->n--;
    buf_deinit(&s->text);
    vec_deinit(&s->at);
    mem_free(s);
}

/* Takes the call from its stream, which is freed. */
static struct http_call *stream_let_go(struct http_stream *s)
{
    struct http_call *c = s->call;

    c->stream = NULL;
    c->conn = NULL;
    stream_free(s);
    return c;
}

static void stream_fail(struct http_stream *s, uint32_t code, const struct err *why)
{
    struct http_share *h = s->share;

    if (code != NGHTTP2_NO_ERROR)
        nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id, code);
    http_call_failed(stream_let_go(s), why);
}

/* Runs the owner's callbacks; false: the call was cancelled by one, and its stream is gone. */
static bool stream_call(struct http_stream *s, const char *p, size_t len)
{
    struct http_call *c = s->call;
    int rc = 0;

    c->busy = true;
    if (p)
        rc = http_call_on_body(c, p, len);
    else
        http_call_on_head(c, &(struct http_head){ .status = s->status,
                                                  .text = { s->text.p, s->text.len },
                                                  .at = s->at.v,
                                                  .n_fields = (unsigned)(s->at.len / 2) });
    c->busy = false;
    if (c->cancelled)
        http_call_free(c);
    else if (rc < 0)
        stream_fail(s, NGHTTP2_CANCEL, &c->err);
    else
        return true;
    return false;
}

/* --- what nghttp2 tells */

static struct http_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

static void head_clear(struct http_stream *s)
{
    buf_clear(&s->text);
    s->at.len = 0;
    s->bytes = 0;
    s->status = 0;
}

static int share_on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct http_stream *s = stream_of(session, frame->hd.stream_id);

    (void)ctx;
    if (s && s->call->state != CALL_HEAD)
        head_clear(s);
    return 0;
}

static int share_on_header(nghttp2_session *session, const nghttp2_frame *frame,
                           nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags, void *ctx)
{
    struct http_stream *s = stream_of(session, frame->hd.stream_id);
    nghttp2_vec n = nghttp2_rcbuf_get_buf(name), v = nghttp2_rcbuf_get_buf(value);
    struct err err = ERR_INIT;

    (void)flags;
    (void)ctx;
    if (!s || s->call->state == CALL_HEAD)
        return 0;                            /* trailers are dropped */
    s->bytes += n.len + v.len + SHARE_PER_FIELD;
    if (s->bytes > HTTP_HEAD_MAX || s->at.len / 2 >= HTTP_FIELDS_MAX) {
        err_set(&err, ERR_QUOTA, "%s %s: the answer's headers are too long", s->call->method,
                s->call->url);
        stream_fail(s, NGHTTP2_CANCEL, &err);
        return 0;
    }
    if (n.len && n.base[0] == ':') {
        for (size_t i = 0; i < v.len && n.len == 7; i++)
            s->status = s->status * 10 + (v.base[i] - '0');
        return 0;
    }
    vec_push(&s->at, s->text.len);
    buf_add(&s->text, n.base, n.len);
    buf_chr(&s->text, 0);
    vec_push(&s->at, s->text.len);
    buf_add(&s->text, v.base, v.len);
    buf_chr(&s->text, 0);
    return 0;
}

static int share_on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct http_share *h = ctx;
    struct http_stream *s;

    if (frame->hd.type == NGHTTP2_GOAWAY)
        h->retired = true;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    s = stream_of(session, frame->hd.stream_id);
    if (s && frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        s->ended = true;
    if (s && frame->hd.type == NGHTTP2_HEADERS && s->call->state != CALL_HEAD && s->status >= 200)
        stream_call(s, NULL, 0);
    return 0;
}

static int share_on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p,
                         size_t len, void *ctx)
{
    struct http_stream *s = stream_of(session, id);

    (void)flags;
    (void)ctx;
    nghttp2_session_consume_connection(session, len);
    if (!s || !stream_call(s, (const char *)p, len))
        return 0;
    if (s->call->paused)
        s->unread += len;
    else
        nghttp2_session_consume_stream(session, id, len);
    return 0;
}

static int share_on_close(nghttp2_session *session, int32_t id, uint32_t code, void *ctx)
{
    struct http_stream *s = stream_of(session, id);
    struct http_share *h = ctx;
    struct err err = ERR_INIT;

    if (!s)
        return 0;
    if (s->ended && s->call->state == CALL_HEAD) {
        h->link->used = true;
        http_call_on_done(stream_let_go(s), NULL);
        return 0;
    }
    s->call->refused = code == NGHTTP2_REFUSED_STREAM;
    err_set(&err, ERR_UNAVAILABLE, "%s %s: the server ended the stream: %s", s->call->method,
            s->call->url, nghttp2_http2_strerror(code));
    http_call_failed(stream_let_go(s), &err);
    return 0;
}

/* --- the connection */

static int share_session(struct http_share *h)
{
    static const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, SHARE_WINDOW },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_MAX },
    };
    nghttp2_session_callbacks *cb = NULL;
    nghttp2_option *opt = NULL;
    int rc;

    check(nghttp2_session_callbacks_new(&cb) == 0 && nghttp2_option_new(&opt) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, share_on_begin);
    nghttp2_session_callbacks_set_on_header_callback2(cb, share_on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, share_on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, share_on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, share_on_close);
    nghttp2_option_set_no_auto_window_update(opt, 1);
    nghttp2_option_set_no_closed_streams(opt, 1);
    rc = nghttp2_session_client_new2(&h->session, cb, h, opt);
    nghttp2_session_callbacks_del(cb);
    nghttp2_option_del(opt);
    if (rc || nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings,
                                      ARRAY_LEN(settings)) ||
        nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0, SHARE_CONN_WINDOW))
        return -1;
    return 0;
}

int http_share_new(struct http_link *k)
{
    struct http_share *h = NEW(struct http_share);

    h->link = k;
    list_init(&h->streams);
    k->share = h;
    return share_session(h);
}

void http_share_free(struct http_link *k)
{
    struct http_share *h = TAKE(k->share);

    check(list_empty(&h->streams));
    nghttp2_session_del(h->session);
    mem_free(h);
}

bool http_share_takes(const struct http_link *k)
{
    struct http_share *h = k->share;
    uint32_t max = nghttp2_session_get_remote_settings(h->session,
                                                       NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

    return !h->retired && h->n < HTTP_STREAMS_MAX && h->n < max && !k->io.why && !k->io.eof &&
           nghttp2_session_check_request_allowed(h->session);
}

struct http_call *http_share_pop(struct http_link *k)
{
    struct http_stream *s = list_first(&k->share->streams, struct http_stream, link);

    return s ? stream_let_go(s) : NULL;
}

static void share_turn(struct http_link *k)
{
    struct http_share *h = k->share;
    struct err err = ERR_INIT;

    if (http2_pump(h->session, &k->io) < 0) {
        err_set(&err, ERR_UNAVAILABLE, "%s: the server ended the connection", k->origin->url.host);
        http_link_break(k, &err);
        return;
    }
    if (!h->n && h->retired) {
        struct http_origin *o = k->origin;

        http_link_free(k);
        http_origin_next(o);
        return;
    }
    if (h->n)
        loop_timer_del(&k->timer);
    else if (!loop_timer_is_set(&k->timer))
        loop_timer_set(k->origin->client->loop, &k->timer, k->origin->client->o.idle_ms,
                       http_link_on_time);
    http_origin_next(k->origin);
}

void http_share_retire(struct http_link *k)
{
    k->share->retired = true;
    http_io_kick(&k->io);
}

void http_share_readable(struct http_link *k)
{
    char data[HTTP_IO_READ];
    struct err err = ERR_INIT;

    for (int i = 0; i < HTTP_IO_ROUNDS; i++) {
        ssize_t n = http_io_read(&k->io, data, sizeof(data)), took;

        if (n == TLS_AGAIN)
            break;
        took = n ? nghttp2_session_mem_recv2(k->share->session, (const uint8_t *)data, (size_t)n)
                 : 0;
        if (n == 0)
            err_set(&err, ERR_UNAVAILABLE, "%s: the server closed the connection",
                    k->origin->url.host);
        else if (took < 0)
            err_set(&err, ERR_INVALID, "%s: not HTTP/2: %s", k->origin->url.host,
                    nghttp2_strerror((int)took));
        if (err.code) {
            if (took < 0)
                http2_pump(k->share->session, &k->io);   /* a GOAWAY with the reason */
            http_link_break(k, &err);
            return;
        }
    }
    if (k->io.tls && tls_pending(k->io.tls))
        http_io_kick(&k->io);
    share_turn(k);
}

void http_share_written(struct http_link *k)
{
    share_turn(k);
}

/* --- requests */

struct share_fields {
    nghttp2_nv nv[HTTP_FIELDS_MAX + 8];
    size_t n;
    struct arena *a;
};

static void share_field(void *ctx, const char *name, const char *value)
{
    static const char *const own[] = { "connection", "host", "keep-alive", "transfer-encoding",
                                       "upgrade" };
    struct share_fields *f = ctx;
    char *low = arena_strdup(f->a, name);

    for (char *p = low; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p |= 0x20;
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (str_eq(low, own[i]))
            return;
    check(f->n < ARRAY_LEN(f->nv));
    value = arena_strdup(f->a, value);
    f->nv[f->n++] = (nghttp2_nv){ .name = (uint8_t *)low, .namelen = strlen(low),
                                  .value = (uint8_t *)(uintptr_t)value,
                                  .valuelen = strlen(value) };
}

static nghttp2_ssize share_draw(nghttp2_session *session, int32_t id, uint8_t *out, size_t len,
                                uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
    struct http_stream *s = stream_of(session, id);
    size_t left;

    (void)source;
    (void)ctx;
    if (!s)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    left = s->call->body.len - s->sent;
    if (len > left)
        len = left;
    memcpy(out, s->call->body.p + s->sent, len);
    s->sent += len;
    if (len == left)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (nghttp2_ssize)len;
}

static void share_head(struct share_fields *f, struct http_call *c)
{
    const char *host = c->to.host;

    share_field(f, ":method", c->method);
    share_field(f, ":scheme", "https");
    share_field(f, ":authority", arena_printf(f->a, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host,
                                              c->to.port));
    share_field(f, ":path", c->to.target);
    http_call_fields(c, share_field, f);
    if (http_call_has_length(c))
        share_field(f, "content-length", arena_printf(f->a, "%zu", c->body.len));
}

void http_share_send(struct http_link *k, struct http_call *c)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct http_share *h = k->share;
    struct share_fields f = { .a = a };
    nghttp2_data_provider2 body = { .read_callback = share_draw };
    struct http_stream *s = NEW(struct http_stream);
    struct err err = ERR_INIT;

    s->share = h;
    s->call = c;
    c->stream = s;
    list_push(&h->streams, &s->link);
    h->n++;
    loop_timer_del(&k->timer);
    share_head(&f, c);
    s->id = nghttp2_submit_request2(h->session, NULL, f.nv, f.n, c->body.len ? &body : NULL, s);
    http_io_flush_soon(&k->io);
    if (s->id >= 0)
        return;
    err_set(&err, ERR_UNAVAILABLE, "%s %s: %s", c->method, c->url, nghttp2_strerror(s->id));
    s->id = 0;
    stream_fail(s, NGHTTP2_NO_ERROR, &err);
}

void http_share_forget(struct http_link *k, struct http_call *c)
{
    struct http_stream *s = c->stream;

    nghttp2_submit_rst_stream(k->share->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL);
    stream_let_go(s);
    http_io_kick(&k->io);
}

void http_share_resume(struct http_link *k, struct http_call *c)
{
    struct http_stream *s = c->stream;

    nghttp2_session_consume_stream(k->share->session, s->id, s->unread);
    s->unread = 0;
    http_io_kick(&k->io);
}
