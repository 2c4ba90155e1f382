/* node_chan.c -- one set of streams, two ways to carry it. */
#include "runtime/node/node_chan.h"

#include "core/base/check.h"
#include "core/base/json.h"
#include "core/http/spdy.h"
#include "core/http/websocket.h"

#define CHANNEL_CLOSE 255                /* v5: [255, channel] ends a stream */
#define RESIZE_MAX 1024

struct node_chan {
    struct node_chan_ops ops;
    struct loop *loop;
    struct websocket *ws;
    struct spdy *spdy;
    struct spdy_stream *streams[NODE_CHAN_MAX];
    unsigned wanted;
    bool v5, version, opened, finishing, eof, in_callback;
    size_t unread;
    struct buf resize;                   /* SPDY: sizes come as a stream of JSON values */
    struct loop_timer timer;             /* waits for the streams; later: frees */
};

/* --- texts */

bool node_chan_size(const char *p, size_t len, uint16_t *rows, uint16_t *cols)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *size;
    int64_t h, w;

    if (len > RESIZE_MAX || json_parse(&size, a, p, len, NULL, NULL) < 0)
        return false;
    h = json_get_int(size, "Height", -1);
    w = json_get_int(size, "Width", -1);
    if (h < 0 || w < 0 || h > UINT16_MAX || w > UINT16_MAX)
        return false;
    *rows = (uint16_t)h;
    *cols = (uint16_t)w;
    return true;
}

static void write_status(struct buf *out, const char *message, const char *reason, int code,
                         const char *exit_code)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *s = json_object(a), *details, *cause;

    json_set(a, s, "metadata", json_object(a));
    json_set_str(a, s, "status", message ? "Failure" : "Success");
    if (message) {
        json_set_str(a, s, "message", message);
        json_set_str(a, s, "reason", reason);
    }
    if (exit_code) {
        details = json_ensure_object(a, s, "details");
        cause = json_object(a);
        json_set_str(a, cause, "reason", "ExitCode");
        json_set_str(a, cause, "message", exit_code);
        json_append(a, json_ensure_array(a, details, "causes"), cause);
    }
    if (code)
        json_set_int(a, s, "code", code);
    json_write(out, s);
}

void node_chan_status_exit(struct buf *out, int code)
{
    _cleanup_(mem_freep) char *number = mem_printf("%d", code);
    _cleanup_(mem_freep) char *text =
        mem_printf("command terminated with non-zero exit code: exit status %d", code);

    write_status(out, code ? text : NULL, "NonZeroExitCode", 0, code ? number : NULL);
}

void node_chan_status_error(struct buf *out, const char *message)
{
    _cleanup_(mem_freep) char *text = mem_printf("Internal error occurred: %s", message);

    write_status(out, text, "InternalError", 500, NULL);
}

/* --- both ways */

static void chan_destroy(struct node_chan *c)
{
    loop_timer_del(&c->timer);
    websocket_free(c->ws);
    spdy_free(c->spdy);
    buf_deinit(&c->resize);
    mem_free(c);
}

static void on_free_time(struct loop_timer *t)
{
    chan_destroy(container_of(t, struct node_chan, timer));
}

/* From inside callbacks of the carrier it must not be freed at once. */
static void free_later(struct node_chan *c)
{
    loop_timer_set(c->loop, &c->timer, 0, on_free_time);
}

static void closed(struct node_chan *c)
{
    loop_timer_del(&c->timer);
    if (c->finishing)
        free_later(c);
    else
        c->ops.on_close(c->ops.ctx);
}

static void give_data(struct node_chan *c, const char *p, size_t len)
{
    if (len == 0 || c->eof || c->finishing)
        return;
    c->unread += len;
    c->ops.on_data(c->ops.ctx, p, len);
}

static void give_eof(struct node_chan *c)
{
    if (c->eof || c->finishing)
        return;
    c->eof = true;
    c->ops.on_eof(c->ops.ctx);
}

static void give_size(struct node_chan *c, const char *p, size_t len)
{
    uint16_t rows, cols;

    if (!c->finishing && node_chan_size(p, len, &rows, &cols))
        c->ops.on_resize(c->ops.ctx, rows, cols);
}

static void open_now(struct node_chan *c)
{
    c->opened = true;
    loop_timer_del(&c->timer);
    c->ops.on_open(c->ops.ctx);
}

/* --- WebSocket: the first byte of a message is its stream */

static void ws_message(struct websocket *w, enum websocket_op op, const char *p, size_t len,
                       void *ctx)
{
    struct node_chan *c = ctx;
    unsigned char stream;

    (void)op;
    if (len == 0 || c->finishing)
        return;
    stream = (unsigned char)p[0];
    if (stream == NODE_CHAN_IN && c->wanted & 1u << NODE_CHAN_IN)
        give_data(c, p + 1, len - 1);
    else if (stream == NODE_CHAN_RESIZE)
        give_size(c, p + 1, len - 1);
    else if (stream == CHANNEL_CLOSE && c->v5 && len == 2 && p[1] == NODE_CHAN_IN)
        give_eof(c);
    if (c->unread > NODE_CHAN_UNREAD_MAX && !c->finishing)
        websocket_pause(w, true);
}

static void ws_drain(struct websocket *w, void *ctx)
{
    struct node_chan *c = ctx;

    (void)w;
    if (!c->finishing)
        c->ops.on_drain(c->ops.ctx);
}

static void ws_close(struct websocket *w, int code, const char *reason, void *ctx)
{
    (void)w;
    (void)code;
    (void)reason;
    closed(ctx);
}

static void on_open_time(struct loop_timer *t)
{
    struct node_chan *c = container_of(t, struct node_chan, timer);

    if (c->ws)
        open_now(c);
    else
        closed(c);                       /* the streams did not come */
}

/* An empty message on the lowest stream says that the connection stands. */
static void ws_greet(struct node_chan *c)
{
    enum node_chan_stream s = c->wanted & 1u << NODE_CHAN_OUT   ? NODE_CHAN_OUT
                              : c->wanted & 1u << NODE_CHAN_ERR ? NODE_CHAN_ERR : NODE_CHAN_STATUS;

    websocket_send_channel(c->ws, (unsigned char)s, "", 0);
}

static int accept_ws(struct node_chan *c, struct http_req *r, struct err *err)
{
    static const char *const protocols[] = { "v5.channel.k8s.io", "v4.channel.k8s.io", NULL };
    struct websocket_ops ops = { ws_message, ws_drain, ws_close, c };
    char protocol[WEBSOCKET_PROTOCOL_BYTES];

    if (websocket_negotiate(r, protocols, protocol, err) < 0)
        return -1;
    if (!*protocol)
        return err_set(err, ERR_UNSUPPORTED,
                       "a subprotocol is needed: v5.channel.k8s.io or v4.channel.k8s.io");
    c->v5 = str_eq(protocol, protocols[0]);
    if (websocket_accept(&c->ws, r, protocol, &ops, err) < 0)
        return -1;
    ws_greet(c);
    loop_timer_set(c->loop, &c->timer, 0, on_open_time);
    return 0;
}

/* --- SPDY: a stream of its own for each */

static const char *const stream_names[] = { "stdin", "stdout", "stderr", "error", "resize" };
_Static_assert(ARRAY_LEN(stream_names) == NODE_CHAN_MAX, "a name for each stream");

static int stream_of(const struct node_chan *c, const struct spdy_stream *st)
{
    for (int i = 0; i < NODE_CHAN_MAX; i++)
        if (c->streams[i] == st)
            return i;
    return -1;
}

static void spdy_on_stream(struct spdy *s, struct spdy_stream *st, void *ctx)
{
    struct node_chan *c = ctx;
    const char *type = spdy_stream_field(st, "streamtype");
    unsigned have = 0;

    (void)s;
    for (int i = 0; i < NODE_CHAN_MAX; i++) {
        if (str_eq(type, stream_names[i]) && !c->streams[i] && c->wanted & 1u << i) {
            c->streams[i] = st;
            type = NULL;
            spdy_reply(st);
        }
        have |= c->streams[i] ? 1u << i : 0;
    }
    if (type)
        spdy_reset(st);                  /* unknown, not asked for, or there already */
    else if (have == c->wanted && !c->opened)
        open_now(c);
}

/* Sizes come one behind the other, cut anywhere: each is an object without further braces. */
static void spdy_sizes(struct node_chan *c, const char *p, size_t len)
{
    const char *end;

    if (c->resize.len + len > RESIZE_MAX)
        buf_clear(&c->resize);
    buf_add(&c->resize, p, len < RESIZE_MAX ? len : RESIZE_MAX);
    while (c->resize.len && (end = memchr(c->resize.p, '}', c->resize.len))) {
        size_t n = (size_t)(end - c->resize.p) + 1;

        give_size(c, c->resize.p, n);
        buf_eat(&c->resize, n);
    }
}

static void spdy_on_data(struct spdy_stream *st, const char *p, size_t len, void *ctx)
{
    struct node_chan *c = ctx;
    int i = stream_of(c, st);

    if (i == NODE_CHAN_IN && !c->finishing) {
        give_data(c, p, len);
        return;
    }
    if (i == NODE_CHAN_RESIZE)
        spdy_sizes(c, p, len);
    spdy_consumed(st, len);
}

static void spdy_on_fin(struct spdy_stream *st, void *ctx)
{
    struct node_chan *c = ctx;

    if (stream_of(c, st) == NODE_CHAN_IN)
        give_eof(c);
}

static void spdy_on_reset(struct spdy_stream *st, void *ctx)
{
    struct node_chan *c = ctx;
    int i = stream_of(c, st);

    if (i < 0)
        return;
    c->streams[i] = NULL;
    c->wanted &= ~(1u << i);
    if (i == NODE_CHAN_IN)
        give_eof(c);
}

static void spdy_on_drain(struct spdy_stream *st, void *ctx)
{
    struct node_chan *c = ctx;

    (void)st;
    if (c->opened && !c->finishing)
        c->ops.on_drain(c->ops.ctx);
}

static void spdy_on_close(struct spdy *s, const struct err *why, void *ctx)
{
    struct node_chan *c = ctx;

    (void)s;
    (void)why;
    memset(c->streams, 0, sizeof(c->streams));
    closed(c);
}

/* The newest that both speak; v1 when the client names none. */
static const char *spdy_version(const struct http_req *r)
{
    static const char *const ours[] = { "v4.channel.k8s.io", "v3.channel.k8s.io",
                                        "v2.channel.k8s.io",
                                        "channel.k8s.io" };
    bool any = false;

    for (unsigned i = 0; i < r->n_fields; i++) {
        struct slice rest = slice_of(r->fields[i].value), one;

        if (!str_eq(r->fields[i].name, "x-stream-protocol-version"))
            continue;
        any = true;
        while (slice_split(&rest, ',', &one))
            for (size_t k = 0; k < ARRAY_LEN(ours); k++)
                if (slice_is(slice_trim(one), ours[k]))
                    return ours[k];
    }
    return any ? NULL : "";
}

static int accept_spdy(struct node_chan *c, struct http_req *r, struct err *err)
{
    struct spdy_ops ops = { spdy_on_stream, spdy_on_data, spdy_on_fin, spdy_on_reset, spdy_on_drain,
                            spdy_on_close, c };
    const char *version = spdy_version(r);

    if (!version)
        return err_set(err, ERR_UNSUPPORTED,
                       "unable to upgrade: unable to negotiate protocol: the server speaks "
                       "v4.channel.k8s.io");
    c->version = str_eq(version, "v4.channel.k8s.io");
    if (!c->version && !str_eq(version, "v3.channel.k8s.io"))
        c->wanted &= ~(1u << NODE_CHAN_RESIZE);
    if (spdy_accept(&c->spdy, r, *version ? version : NULL, &ops, err) < 0)
        return -1;
    loop_timer_set(c->loop, &c->timer, NODE_CHAN_OPEN_MS, on_open_time);
    return 0;
}

/* --- the doors */

int node_chan_accept(struct node_chan **out, struct http_req *r, unsigned wanted,
                     const struct node_chan_ops *ops,
                     struct err *err)
{
    struct node_chan *c = NEW(struct node_chan);
    int result;

    *c = (struct node_chan){ .ops = *ops, .loop = http_req_loop(r), .wanted = wanted |
                             1u << NODE_CHAN_STATUS };
    if (websocket_is_upgrade(r))
        result = accept_ws(c, r, err);
    else if (spdy_is_upgrade(r))
        result = accept_spdy(c, r, err);
    else
        result = err_set(err, ERR_INVALID, "unable to upgrade: missing upgrade headers in request");
    if (result < 0) {
        chan_destroy(c);
        return -1;
    }
    *out = c;
    return 0;
}

size_t node_chan_write(struct node_chan *c, enum node_chan_stream s, const char *p, size_t len)
{
    if (len == 0 || c->finishing || !(c->wanted & 1u << s))
        return node_chan_queued(c);
    if (c->ws)
        return websocket_send_channel(c->ws, (unsigned char)s, p, len);
    return c->streams[s] ? spdy_write(c->streams[s], p, len) : 0;
}

size_t node_chan_queued(const struct node_chan *c)
{
    size_t most = 0;

    if (c->ws)
        return websocket_queued(c->ws);
    for (int i = 0; i < NODE_CHAN_MAX; i++)
        if (c->streams[i] && spdy_queued(c->streams[i]) > most)
            most = spdy_queued(c->streams[i]);
    return most;
}

void node_chan_consumed(struct node_chan *c, size_t len)
{
    check(len <= c->unread);
    c->unread -= len;
    if (c->finishing)
        return;
    if (c->streams[NODE_CHAN_IN])
        spdy_consumed(c->streams[NODE_CHAN_IN], len);
    if (c->ws && c->unread <= NODE_CHAN_UNREAD_MAX)
        websocket_pause(c->ws, false);
}

static void finish_spdy(struct node_chan *c, const char *status, bool success)
{
    struct spdy_stream *st = c->streams[NODE_CHAN_STATUS];

    /* Before v4 the error is plain text, and silence is success. */
    if (st && (c->version || !success))
        spdy_write(st, status, strlen(status));
    for (int i = 0; i < NODE_CHAN_MAX; i++)
        if (c->streams[i] && i != NODE_CHAN_IN && i != NODE_CHAN_RESIZE)
            spdy_fin(c->streams[i]);
    spdy_end(TAKE(c->spdy));
    free_later(c);
}

void node_chan_finish(struct node_chan *c, const char *status)
{
    c->finishing = true;
    loop_timer_del(&c->timer);
    if (c->spdy) {
        finish_spdy(c, status, strstr(status, "\"Success\"") != NULL);
    } else if (c->ws) {
        websocket_pause(c->ws, false);
        websocket_send_channel(c->ws, NODE_CHAN_STATUS, status, strlen(status));
        websocket_close(c->ws, 1000, "");
    } else {
        free_later(c);
    }
}

struct node_chan *node_chan_free(struct node_chan *c)
{
    if (!c)
        return NULL;
    c->finishing = true;
    c->ws = websocket_free(c->ws);
    c->spdy = spdy_free(c->spdy);
    free_later(c);
    return NULL;
}
