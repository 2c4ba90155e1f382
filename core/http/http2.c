/* http2.c -- HTTP/2 on a connection of the server: nghttp2 does frames, HPACK and windows; each
 * stream is an http_exchange with a queue that nghttp2 draws from. All sending happens on the
 * loop's turn (http2_turn), never inside a call of the handler.
 */
#include "core/http/http_conn.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>

#define HTTP2_WINDOW (256u << 10)            /* of a stream, for request bodies */
#define HTTP2_CONN_WINDOW (1u << 20)
#define HTTP2_OUT_MAX (64u << 10)            /* framed ahead of what the socket takes */
/* what a header counts beside its bytes, RFC 9113 6.5.2 */
#define HTTP2_PER_FIELD 32
#define HTTP2_FIELDS_OUT (HTTP_FIELDS_MAX + 8)

struct http2 {
    nghttp2_session *session;
    struct http_conn *conn;
    struct list streams;
    unsigned n;
    bool drains;                             /* some stream's drain_due is set */
};

/* A request's head while it arrives. */
struct http2_head {
    struct buf method, path, authority, text;
    VEC(size_t) at;
    size_t bytes;
};

void http2_head_free(struct http2_head *h)
{
    buf_deinit(&h->method);
    buf_deinit(&h->path);
    buf_deinit(&h->authority);
    buf_deinit(&h->text);
    vec_deinit(&h->at);
    mem_free(h);
}

static void http2_on_stream_time(struct loop_timer *t)
{
    struct http_exchange *x = container_of(t, struct http_exchange, timer);

    nghttp2_submit_rst_stream(x->conn->h2->session, NGHTTP2_FLAG_NONE, x->id, NGHTTP2_CANCEL);
    http_io_kick(&x->conn->io);
}

static void http2_stream_timer(struct http_exchange *x, int64_t ms)
{
    loop_timer_set(x->loop, &x->timer, ms, http2_on_stream_time);
}

/* An answer without a handler. The rest of the request is thrown away, but not for long; a reset at
 * once would overtake the answer. */
static void http2_refuse(struct http_exchange *x, int status)
{
    char text[16];
    nghttp2_nv nv = {
        .name = (uint8_t *)":status", .namelen = 7, .value = (uint8_t *)text, .valuelen = 3
    };

    snprintf(text, sizeof(text), "%03d", status % 1000);
    x->state = EXCHANGE_DONE;
    nghttp2_submit_response2(x->conn->h2->session, x->id, &nv, 1, NULL);
    http2_stream_timer(x, HTTP_LINGER_MS);
}

/* --- what nghttp2 tells --- */

static int http2_on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct http2 *h = ctx;
    struct http_exchange *x;

    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    x = http_exchange_new(h->conn);
    x->id = frame->hd.stream_id;
    x->req.version = HTTP_2;
    x->head = NEW(struct http2_head);
    list_push(&h->streams, &x->stream);
    h->n++;
    nghttp2_session_set_stream_user_data(session, x->id, x);
    http2_stream_timer(x, h->conn->server->o.head_ms);
    return 0;
}

static struct buf *http2_pseudo(struct http2_head *h, const uint8_t *name, size_t len)
{
    struct slice s = { (const char *)name, len };

    if (slice_is(s, ":method"))
        return &h->method;
    if (slice_is(s, ":path"))
        return &h->path;
    return slice_is(s, ":authority") ? &h->authority : NULL;
}

static int http2_on_header(nghttp2_session *session, const nghttp2_frame *frame,
                           const uint8_t *name, size_t name_len, const uint8_t *value,
                           size_t value_len, uint8_t flags, void *ctx)
{
    struct http_exchange *x = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    struct http2_head *h = x ? x->head : NULL;
    struct buf *pseudo;

    (void)flags;
    (void)ctx;
    if (!h || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;                            /* trailers are dropped */
    h->bytes += name_len + value_len + HTTP2_PER_FIELD;
    if (h->bytes > HTTP_HEAD_MAX || h->at.len / 2 >= HTTP_FIELDS_MAX) {
        http2_refuse(x, 431);
        http2_head_free(h);
        x->head = NULL;
        return 0;
    }
    if (name_len && name[0] == ':') {
        pseudo = http2_pseudo(h, name, name_len);
        if (pseudo)
            buf_add(pseudo, value, value_len);
        return 0;
    }
    vec_push(&h->at, h->text.len);
    buf_add(&h->text, name, name_len);
    buf_chr(&h->text, 0);
    vec_push(&h->at, h->text.len);
    buf_add(&h->text, value, value_len);
    buf_chr(&h->text, 0);
    return 0;
}

/* The layout of http_exchange_fill: method, target, then names and values; :authority becomes host.
 */
static int http2_fill(struct http_exchange *x, int *status)
{
    struct http2_head *h = TAKE(x->head);
    _cleanup_buf_ struct buf text = BUF_INIT;
    VEC(size_t) at = { 0 };
    int rc;

    buf_add(&text, h->method.p, h->method.len);
    buf_chr(&text, 0);
    buf_add(&text, h->path.p, h->path.len);
    buf_chr(&text, 0);
    if (h->authority.len) {
        vec_push(&at, text.len);
        buf_add(&text, "host", 5);
        vec_push(&at, text.len);
        buf_add(&text, h->authority.p, h->authority.len);
        buf_chr(&text, 0);
    }
    for (size_t i = 0; i < h->at.len; i += 2) {
        if (h->authority.len && strcmp(h->text.p + h->at.v[i], "host") == 0)
            continue;
        vec_push(&at, text.len + h->at.v[i]);
        vec_push(&at, text.len + h->at.v[i + 1]);
    }
    buf_add(&text, h->text.p, h->text.len);
    rc = http_exchange_fill(x, &text, at.v, at.len, status);
    vec_deinit(&at);
    http2_head_free(h);
    return rc;
}

static int http2_on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct http_exchange *x;
    int status = 0;

    (void)ctx;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    x = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!x || x->state != EXCHANGE_READING)
        return 0;
    if (x->head && http2_fill(x, &status) < 0) {
        http2_refuse(x, status);
        return 0;
    }
    if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        if (frame->hd.type == NGHTTP2_HEADERS)
            http2_stream_timer(x, x->server->o.body_ms);
        return 0;
    }
    loop_timer_del(&x->timer);
    http_exchange_dispatch(x);
    return 0;
}

static int http2_on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p,
                         size_t len, void *ctx)
{
    struct http_exchange *x = nghttp2_session_get_stream_user_data(session, id);
    int status = 0;

    (void)flags;
    (void)ctx;
    if (!x || x->state != EXCHANGE_READING)
        return 0;
    x->progress += len;
    if (x->progress >= HTTP_BODY_STEP) {
        x->progress = 0;
        http2_stream_timer(x, x->server->o.body_ms);
    }
    if (http_exchange_body(x, (const char *)p, len, &status) < 0)
        http2_refuse(x, status);
    return 0;
}

static void http2_detach(struct http2 *h, struct http_exchange *x)
{
    nghttp2_session_set_stream_user_data(h->session, x->id, NULL);
    list_del(&x->stream);
    h->n--;
    loop_timer_del(&x->timer);
    x->conn = NULL;
}

static int http2_on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *ctx)
{
    struct http_exchange *x = nghttp2_session_get_stream_user_data(session, id);

    (void)code;
    if (!x)
        return 0;
    http2_detach(ctx, x);
    http_exchange_gone(x);
    return 0;
}

static nghttp2_ssize http2_draw(nghttp2_session *session, int32_t id, uint8_t *out, size_t len,
                                uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
    struct http_exchange *x = nghttp2_session_get_stream_user_data(session, id);
    struct http2 *h = ctx;
    size_t n;

    (void)source;
    if (!x)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    n = http_queue_copy(&x->out, out, len);
    http_queue_eat(&x->out, n);
    if (!x->out.bytes && x->out_ended) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    } else if (!n) {
        x->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (x->out.bytes)
        http2_stream_timer(x, x->server->o.stall_ms);
    else
        loop_timer_del(&x->timer);
    if (x->want_drain && x->out.bytes < HTTP_DRAIN_BYTES) {
        x->want_drain = false;
        x->drain_due = h->drains = true;
    }
    return (nghttp2_ssize)n;
}

static int http2_session(struct http2 *h)
{
    struct http_server *s = h->conn->server;
    nghttp2_session_callbacks *cb = NULL;
    nghttp2_option *opt = NULL;
    nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, s->o.streams_max },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_WINDOW },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_MAX },
    };

    check(nghttp2_session_callbacks_new(&cb) == 0 && nghttp2_option_new(&opt) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, http2_on_begin);
    nghttp2_session_callbacks_set_on_header_callback(cb, http2_on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, http2_on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, http2_on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, http2_on_stream_close);
    nghttp2_option_set_no_closed_streams(opt, 1);
    nghttp2_option_set_stream_reset_rate_limit(opt, HTTP_RESETS_MAX, HTTP_RESETS_MAX / 10);
    check(nghttp2_session_server_new2(&h->session, cb, h, opt) == 0);
    nghttp2_session_callbacks_del(cb);
    nghttp2_option_del(opt);
    if (nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) ||
        nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0, HTTP2_CONN_WINDOW))
        return -1;
    return 0;
}

/* --- the connection --- */

static void http2_drains(struct http2 *h)
{
    while (h->drains) {
        h->drains = false;
        list_each(x, &h->streams, struct http_exchange, stream)
            if (x->drain_due) {
                x->drain_due = false;
                h->drains = true;            /* the callback may change the list: begin anew */
                if (x->req.on_drain && x->state == EXCHANGE_STREAM)
                    x->req.on_drain(&x->req);
                break;
            }
    }
}

int http2_pump(struct nghttp2_session *session, struct http_io *io)
{
    do {
        while (io->out.bytes < HTTP2_OUT_MAX) {
            const uint8_t *p;
            nghttp2_ssize n = nghttp2_session_mem_send2(session, &p);

            if (n < 0)
                return -1;
            if (n == 0)
                break;
            http_queue_add(&io->out, p, (size_t)n);
        }
        if (!io->out.bytes)
            break;
        http_io_flush(io);
    } while (!io->out.bytes && !io->why);
    return io->out.bytes || nghttp2_session_want_read(session) ||
           nghttp2_session_want_write(session) ? 0 : -1;
}

static int http2_send(struct http2 *h)
{
    return http2_pump(h->session, &h->conn->io);
}

static void http2_conn_timer(struct http_conn *c, bool progress)
{
    if (c->io.out.bytes && (progress || !loop_timer_is_set(&c->timer)))
        http_conn_set_timer(c, c->server->o.stall_ms);
    else if (!c->io.out.bytes && !c->h2->n)
        http_conn_set_timer(c, c->server->o.idle_ms);
    else if (!c->io.out.bytes)
        loop_timer_del(&c->timer);
}

static void http2_turn(struct http_conn *c, bool progress)
{
    if (http2_send(c->h2) < 0) {
        http_conn_free(c);
        return;
    }
    http2_drains(c->h2);
    http2_conn_timer(c, progress);
}

static int http2_take(struct http_conn *c, const char *p, size_t len)
{
    return nghttp2_session_mem_recv2(c->h2->session, (const uint8_t *)p, len) < 0 ? -1 : 0;
}

int http2_begin(struct http_conn *c, const char *p, size_t len)
{
    c->h2 = NEW(struct http2);
    c->h2->conn = c;
    list_init(&c->h2->streams);
    if (http2_session(c->h2) < 0 || (len && http2_take(c, p, len) < 0))
        return -1;
    http_io_kick(&c->io);
    return 0;
}

void http2_free(struct http_conn *c)
{
    struct http2 *h = c->h2;
    struct http_exchange *x;

    while ((x = list_first(&h->streams, struct http_exchange, stream))) {
        http2_detach(h, x);
        http_exchange_gone(x);
    }
    nghttp2_session_del(h->session);
    c->h2 = mem_free(h);
}

void http2_readable(struct http_conn *c)
{
    char data[HTTP_IO_READ];
    bool eof = false;

    for (int i = 0; i < HTTP_IO_ROUNDS && c->io.out.bytes < HTTP2_OUT_MAX; i++) {
        ssize_t n = http_io_read(&c->io, data, sizeof(data));

        if (n == TLS_AGAIN)
            break;
        if (n == 0 || http2_take(c, data, (size_t)n) < 0) {
            eof = true;
            break;
        }
    }
    if (eof) {
        http2_send(c->h2);                   /* a GOAWAY with the reason, if there is one */
        http_conn_free(c);
        return;
    }
    if (c->io.tls && tls_pending(c->io.tls))
        http_io_kick(&c->io);
    http2_turn(c, false);
}

void http2_written(struct http_conn *c)
{
    http2_turn(c, true);
}

void http2_timeout(struct http_conn *c)
{
    if (!c->io.out.bytes) {
        nghttp2_session_terminate_session(c->h2->session, NGHTTP2_NO_ERROR);
        http2_send(c->h2);
    }
    http_conn_free(c);
}

void http2_stop(struct http_conn *c)
{
    nghttp2_submit_goaway(c->h2->session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(c->h2->session), NGHTTP2_NO_ERROR,
                          NULL, 0);
    http_io_kick(&c->io);
}

/* --- answers --- */

static bool http2_skip(const char *name)
{
    static const char *const own[] = { "connection", "keep-alive", "transfer-encoding", "upgrade",
                                       "proxy-connection" };

    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (strcmp(name, own[i]) == 0)
            return true;
    return false;
}

struct http2_fields { nghttp2_nv nv[HTTP2_FIELDS_OUT]; size_t n; struct arena *names; };

static void http2_field(struct http2_fields *f, const char *name, const char *value)
{
    char *low = arena_strdup(f->names, name);

    check(f->n < HTTP2_FIELDS_OUT);
    for (char *p = low; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p |= 0x20;
    if (http2_skip(low))
        return;
    f->nv[f->n++] = (nghttp2_nv){ .name = (uint8_t *)low, .namelen = strlen(low),
                                  .value = (uint8_t *)(uintptr_t)value, .valuelen = strlen(value) };
}

void http2_start(struct http_exchange *x, const struct http_answer *a, bool whole)
{
    _cleanup_(arena_freep) struct arena *names = arena_new(0);
    struct http2_fields f = { .names = names };
    nghttp2_data_provider2 draw = { .read_callback = http2_draw };
    bool no_body = x->head_only || a->status == 204 || a->status == 304;
    char status[16], length[24];

    snprintf(status, sizeof(status), "%d", a->status);
    http2_field(&f, ":status", status);
    for (unsigned i = 0; i < a->n_fields; i++)
        http2_field(&f, a->fields[i].name, a->fields[i].value);
    if (a->type)
        http2_field(&f, "content-type", a->type);
    http2_field(&f, "date", http_server_date(x->server));
    if (whole && a->status != 204 && a->status != 304) {
        snprintf(length, sizeof(length), "%zu", a->len);
        http2_field(&f, "content-length", length);
    }
    if (nghttp2_submit_response2(x->conn->h2->session, x->id, f.nv, f.n, no_body ? NULL : &draw))
        nghttp2_submit_rst_stream(x->conn->h2->session, NGHTTP2_FLAG_NONE, x->id,
                                  NGHTTP2_INTERNAL_ERROR);
    x->head_only = no_body;
    if (no_body || !a->len) {
        if (a->release)
            a->release(a->owner);
    } else {
        http2_data(x, a);
    }
    http_io_flush_soon(&x->conn->io);
}

void http2_data(struct http_exchange *x, const struct http_answer *a)
{
    nghttp2_session *session = x->conn->h2->session;

    if (x->state == EXCHANGE_STREAM && x->out.bytes + a->len > HTTP_QUEUE_MAX) {
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, x->id, NGHTTP2_CANCEL);
        if (a->release)
            a->release(a->owner);
        http_io_flush_soon(&x->conn->io);
        return;
    }
    if (a->release)
        http_queue_ref(&x->out, a->body, a->len, a->release, a->owner);
    else
        http_queue_add(&x->out, a->body, a->len);
    if (x->out.bytes >= HTTP_DRAIN_BYTES)
        x->want_drain = true;
    if (!loop_timer_is_set(&x->timer))
        http2_stream_timer(x, x->server->o.stall_ms);
    if (x->deferred) {
        x->deferred = false;
        nghttp2_session_resume_data(session, x->id);
    }
    http_io_flush_soon(&x->conn->io);
}

void http2_end(struct http_exchange *x)
{
    x->state = EXCHANGE_DONE;
    x->out_ended = true;
    x->req.on_gone = NULL;
    x->req.on_drain = NULL;
    if (x->deferred) {
        x->deferred = false;
        nghttp2_session_resume_data(x->conn->h2->session, x->id);
    }
    http_io_flush_soon(&x->conn->io);
}

void http2_abort(struct http_exchange *x)
{
    struct http_conn *c = x->conn;

    nghttp2_submit_rst_stream(c->h2->session, NGHTTP2_FLAG_NONE, x->id, NGHTTP2_INTERNAL_ERROR);
    http2_detach(c->h2, x);
    http_exchange_free(x);
    http_io_kick(&c->io);
}
