#include "core/http/websocket.h"

#include <strings.h>

#include "core/base/b64.h"
#include "core/base/check.h"
#include "core/http/http_raw.h"

#define WEBSOCKET_CLOSE_MS 5000              /* for the peer to agree to our close */

enum {
    CLOSE_NORMAL = 1000,
    CLOSE_PROTOCOL = 1002,
    CLOSE_NONE = 1005,
    CLOSE_BROKEN = 1006,
    CLOSE_TEXT = 1007,
    CLOSE_TOO_BIG = 1009
};

struct websocket {
    struct websocket_ops ops;
    struct http_raw *raw;                    /* NULL once it is over */
    struct loop *loop;
    struct loop_timer timer, kick;
    struct buf in;                           /* not yet parsed */
    struct buf message;                      /* of fragments so far */
    unsigned op, fragments;                  /* op: of the message begun; 0: none */
    unsigned unanswered;                     /* pings */
    bool client, paused, close_sent, told, busy, freed, heard;
};

static void websocket_over(struct websocket *w, int code, const char *reason)
{
    loop_timer_del(&w->timer);
    loop_timer_del(&w->kick);
    if (w->raw)
        http_raw_end(TAKE(w->raw));
    if (w->told)
        return;
    w->told = true;
    if (w->ops.on_close)
        w->ops.on_close(w, code, reason, w->ops.ctx);
}

/* --- sending --- */

static size_t websocket_frame(struct websocket *w, unsigned op, struct slice a, struct slice b)
{
    _cleanup_buf_ struct buf f = BUF_INIT;
    size_t len = a.len + b.len, at;
    unsigned char mask[4], bit = w->client ? 0x80 : 0;

    if (!w->raw || w->close_sent)
        return 0;
    buf_reserve(&f, len + 16);
    buf_chr(&f, (char)(0x80 | op));
    if (len < 126) {
        buf_chr(&f, (char)(bit | len));
    } else {
        unsigned wide = len < 65536 ? 2 : 8;

        buf_chr(&f, (char)(bit | (wide == 2 ? 126 : 127)));
        for (unsigned i = wide; i-- > 0; )
            buf_chr(&f, (char)((uint64_t)len >> (8 * i)));
    }
    if (w->client) {
        env_random(loop_env(w->loop), mask, sizeof(mask));
        buf_add(&f, mask, sizeof(mask));
    }
    at = f.len;
    buf_add(&f, a.p, a.len);
    buf_add(&f, b.p, b.len);
    for (size_t i = at; w->client && i < f.len; i++)
        f.p[i] ^= (char)mask[(i - at) & 3];
    return http_raw_write(w->raw, f.p, f.len);
}

size_t websocket_send(struct websocket *w, enum websocket_op op, const void *p, size_t len)
{
    check(op != WEBSOCKET_CLOSE);
    return websocket_frame(w, op, (struct slice){ p, len }, SLICE(""));
}

size_t websocket_send_channel(struct websocket *w, unsigned char channel, const void *p, size_t len)
{
    return websocket_frame(w, WEBSOCKET_BINARY, (struct slice){ (const char *)&channel, 1 },
                           (struct slice){ p, len });
}

size_t websocket_queued(const struct websocket *w)
{
    return w->raw ? http_raw_queued(w->raw) : 0;
}

static void websocket_on_close_time(struct loop_timer *t)
{
    websocket_over(container_of(t, struct websocket, timer), CLOSE_BROKEN, "");
}

static void websocket_send_close(struct websocket *w, int code, const char *reason)
{
    char head[2] = { (char)(code >> 8), (char)code };
    size_t len = strlen(reason);

    if (w->close_sent)
        return;
    if (code == CLOSE_NONE)
        websocket_frame(w, WEBSOCKET_CLOSE, SLICE(""), SLICE(""));
    else
        websocket_frame(w, WEBSOCKET_CLOSE, (struct slice){ head, 2 },
                        (struct slice){ reason, len < 123 ? len : 123 });
    w->close_sent = true;
}

void websocket_close(struct websocket *w, int code, const char *reason)
{
    if (!w->raw || w->close_sent)
        return;
    websocket_send_close(w, code, reason ? reason : "");
    w->paused = false;
    http_raw_pause(w->raw, false);
    loop_timer_set(w->loop, &w->timer, WEBSOCKET_CLOSE_MS, websocket_on_close_time);
}

/* --- receiving --- */

static int websocket_fail(struct websocket *w, int code, const char *why)
{
    websocket_send_close(w, code, why);
    websocket_over(w, code, why);
    return -1;
}

static int websocket_peer_close(struct websocket *w, const char *p, size_t len)
{
    char reason[124] = "";
    int code = CLOSE_NONE;

    if (len == 1)
        return websocket_fail(w, CLOSE_PROTOCOL, "bad close");
    if (len >= 2) {
        code = (unsigned char)p[0] << 8 | (unsigned char)p[1];
        memcpy(reason, p + 2, len - 2);
        if (code < 1000 || code >= 5000 || code == CLOSE_NONE || code == CLOSE_BROKEN ||
            code == 1004 || (code > 1014 && code < 3000) || !str_is_utf8(p + 2, len - 2))
            return websocket_fail(w, CLOSE_PROTOCOL, "bad close");
    }
    websocket_send_close(w, code, "");
    websocket_over(w, code, reason);
    return -1;
}

static int websocket_control(struct websocket *w, unsigned op, const char *p, size_t len)
{
    if (op == WEBSOCKET_CLOSE)
        return websocket_peer_close(w, p, len);
    if (op == WEBSOCKET_PING)
        websocket_frame(w, WEBSOCKET_PONG, (struct slice){ p, len }, SLICE(""));
    return 0;
}

static int websocket_deliver(struct websocket *w, unsigned op, const char *p, size_t len)
{
    if (op == WEBSOCKET_TEXT && !str_is_utf8(p, len))
        return websocket_fail(w, CLOSE_TEXT, "text is not UTF-8");
    if (!w->close_sent)
        w->ops.on_message(w, op, p, len, w->ops.ctx);
    return w->freed || !w->raw ? -1 : 0;
}

static int websocket_data(struct websocket *w, const struct websocket_frame *f, const char *p,
                          size_t len)
{
    unsigned op = f->op;
    int rc;

    if ((op == 0) != (w->op != 0))
        return websocket_fail(w, CLOSE_PROTOCOL, "fragments out of order");
    if (f->fin && op)
        return websocket_deliver(w, op, p, len);
    if (op)
        w->op = op;
    if (++w->fragments > WEBSOCKET_FRAGMENTS_MAX)
        return websocket_fail(w, CLOSE_TOO_BIG, "too many fragments");
    buf_add(&w->message, p, len);
    if (!f->fin)
        return 0;
    op = w->op;
    w->op = w->fragments = 0;
    rc = websocket_deliver(w, op, w->message.len ? w->message.p : "", w->message.len);
    if (!w->freed)
        buf_deinit(&w->message);
    return rc;
}

/* One frame from the front of `in`: 1 done, 0 more bytes needed, -1 over. */
static int websocket_take(struct websocket *w, size_t *at)
{
    struct websocket_frame f;
    char *p = w->in.p + *at;
    size_t left = w->in.len - *at;
    int rc = websocket_parse(&f, p, left, NULL);

    if (rc == 0)
        return 0;
    if (rc < 0 || f.masked == w->client)
        return websocket_fail(w, CLOSE_PROTOCOL, "malformed frame");
    if (f.len > WEBSOCKET_MESSAGE_MAX || f.len + w->message.len > WEBSOCKET_MESSAGE_MAX)
        return websocket_fail(w, CLOSE_TOO_BIG, "message too big");
    if (left < f.head + f.len)
        return 0;
    p += f.head;
    for (size_t i = 0; f.masked && i < f.len; i++)
        p[i] ^= (char)f.mask[i & 3];
    *at += f.head + (size_t)f.len;
    rc = f.op & 8 ? websocket_control(w, f.op, p, (size_t)f.len)
                  : websocket_data(w, &f, p, (size_t)f.len);
    return rc < 0 ? -1 : 1;
}

static void websocket_destroy(struct websocket *w)
{
    loop_timer_del(&w->timer);
    loop_timer_del(&w->kick);
    if (w->raw)
        http_raw_end(w->raw);
    buf_deinit(&w->in);
    buf_deinit(&w->message);
    mem_free(w);
}

static void websocket_work(struct websocket *w)
{
    size_t at = 0;
    int rc = 1;

    w->busy = true;
    while (rc > 0 && !w->paused && w->in.len > at)
        rc = websocket_take(w, &at);
    w->busy = false;
    if (w->freed)
        websocket_destroy(w);
    else if (rc < 0 || at == w->in.len)
        buf_deinit(&w->in);                  /* an idle one holds no buffer */
    else
        buf_eat(&w->in, at);
}

static void websocket_on_kick(struct loop_timer *t)
{
    websocket_work(container_of(t, struct websocket, kick));
}

static void websocket_on_data(struct http_raw *raw, const char *p, size_t len, void *ctx)
{
    struct websocket *w = ctx;

    (void)raw;
    w->heard = true;
    buf_add(&w->in, p, len);
    websocket_work(w);
}

static void websocket_on_drain(struct http_raw *raw, void *ctx)
{
    struct websocket *w = ctx;

    (void)raw;
    if (w->ops.on_drain)
        w->ops.on_drain(w, w->ops.ctx);
}

static void websocket_on_raw_close(struct http_raw *raw, const struct err *why, void *ctx)
{
    struct websocket *w = ctx;

    (void)raw;
    websocket_over(w, CLOSE_BROKEN, why ? why->msg : "");
}

static const struct http_raw_ops websocket_raw_ops = {
    .on_data = websocket_on_data,
    .on_drain = websocket_on_drain,
    .on_close = websocket_on_raw_close,
};

/* A silent peer is asked whether it is there. */
static void websocket_on_ping_time(struct loop_timer *t)
{
    struct websocket *w = container_of(t, struct websocket, timer);

    if (w->heard || w->paused)
        w->unanswered = 0;
    w->heard = false;
    if (w->unanswered >= 2) {
        websocket_over(w, CLOSE_BROKEN, "no answer");
        return;
    }
    w->unanswered++;
    websocket_frame(w, WEBSOCKET_PING, SLICE(""), SLICE(""));
    loop_timer_set(w->loop, &w->timer, WEBSOCKET_PING_MS, websocket_on_ping_time);
}

static struct websocket *websocket_make(struct loop *l, bool client,
                                        const struct websocket_ops *ops)
{
    struct websocket *w = NEW(struct websocket);

    check(ops->on_message);
    w->ops = *ops;
    w->loop = l;
    w->client = client;
    loop_timer_set(l, &w->timer, WEBSOCKET_PING_MS, websocket_on_ping_time);
    return w;
}

struct websocket *websocket_new(struct http_raw *raw, struct loop *l, bool client,
                                const struct websocket_ops *ops)
{
    struct websocket *w = websocket_make(l, client, ops);
    struct http_raw_ops r = websocket_raw_ops;

    r.ctx = w;
    w->raw = raw;
    http_raw_set(raw, &r);
    return w;
}

struct websocket *websocket_free(struct websocket *w)
{
    if (!w)
        return NULL;
    w->freed = true;
    w->told = true;
    if (!w->busy)
        websocket_destroy(w);
    return NULL;
}

void websocket_pause(struct websocket *w, bool paused)
{
    w->paused = paused;
    if (!w->raw)
        return;
    http_raw_pause(w->raw, paused);
    if (!paused && w->in.len && !w->busy)
        loop_timer_set(w->loop, &w->kick, 0, websocket_on_kick);
}

/* --- the handshake --- */

static bool websocket_has_word(const struct http_req *r, const char *name, const char *word)
{
    for (unsigned i = 0; i < r->n_fields; i++) {
        struct slice rest = slice_of(r->fields[i].value), part;

        if (strcmp(r->fields[i].name, name) != 0)
            continue;
        while (slice_split(&rest, ',', &part)) {
            part = slice_trim(part);
            if (part.len == strlen(word) && strncasecmp(part.p, word, part.len) == 0)
                return true;
        }
    }
    return false;
}

bool websocket_is_upgrade(const struct http_req *r)
{
    return r->version == HTTP_1_1 && websocket_has_word(r, "connection", "upgrade") &&
           websocket_has_word(r, "upgrade", "websocket");
}

int websocket_negotiate(const struct http_req *r, const char *const *protocols,
                        char protocol[WEBSOCKET_PROTOCOL_BYTES], struct err *err)
{
    const char *key = http_req_field(r, "sec-websocket-key"),
               *version = http_req_field(r, "sec-websocket-version");
    _cleanup_buf_ struct buf raw = BUF_INIT;

    if (!websocket_is_upgrade(r) || strcmp(r->method, "GET") != 0)
        return err_set(err, ERR_INVALID, "no WebSocket handshake");
    if (!str_eq(version, "13"))
        return err_set(err, ERR_INVALID, "only version 13 of WebSocket is spoken");
    if (!key || b64_decode(&raw, B64_STD, key, strlen(key), NULL) < 0 || raw.len != 16)
        return err_set(err, ERR_INVALID, "a WebSocket key has 16 bytes in base64");
    *protocol = 0;
    if (!http_req_field(r, "sec-websocket-protocol"))
        return 0;
    for (; protocols && *protocols; protocols++)
        if (websocket_has_word(r, "sec-websocket-protocol", *protocols))
            return str_copy(protocol, WEBSOCKET_PROTOCOL_BYTES, *protocols, err);
    return err_set(err, ERR_UNSUPPORTED, "none of the offered WebSocket protocols is spoken");
}

int websocket_accept(struct websocket **out, struct http_req *r, const char *protocol,
                     const struct websocket_ops *ops, struct err *err)
{
    struct http_raw_ops raw_ops = websocket_raw_ops;
    char accept[WEBSOCKET_ACCEPT_BYTES];
    struct http_field fields[2] = { { "Sec-WebSocket-Accept", accept },
                                    { "Sec-WebSocket-Protocol", protocol } };
    const char *key = http_req_field(r, "sec-websocket-key");
    struct websocket *w;

    if (!key)
        return err_set(err, ERR_INVALID, "no WebSocket handshake");
    websocket_accept_key(accept, key);
    w = websocket_make(http_req_loop(r), false, ops);
    raw_ops.ctx = w;
    w->raw = http_upgrade(r, "websocket", fields, str_empty(protocol) ? 1 : 2, &raw_ops);
    if (!w->raw) {
        websocket_destroy(w);
        return err_set(err, ERR_UNAVAILABLE, "the connection cannot be upgraded");
    }
    *out = w;
    return 0;
}
