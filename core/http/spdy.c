/* spdy.c -- frames and streams. Sending is not held back by windows: the clients that still speak
 * this protocol neither give nor ask for credit; the socket's queue holds it back. Receiving
 * stops when readers lag behind. */
#include "core/http/spdy.h"

#include <strings.h>

#include "core/base/check.h"
#include "core/http/http_raw.h"
#include "core/http/spdy_frame.h"

/* given to on_data but not yet consumed; past it reading rests */
#define SPDY_UNREAD_MAX (256u << 10)
#define SPDY_CREDIT_STEP (16u << 10)
#define SPDY_WRITE_MAX (32u << 10)           /* of one data frame of ours */

enum {
    SYN_STREAM = 1,
    SYN_REPLY = 2,
    RST_STREAM = 3,
    SETTINGS = 4,
    PING = 6,
    GOAWAY = 7,
    HEADERS = 8,
    WINDOW_UPDATE = 9
};
enum { FLAG_FIN = 1, FLAG_UNIDIRECTIONAL = 2 };
enum { RST_PROTOCOL = 1, RST_INVALID = 2, RST_REFUSED = 3, RST_CANCEL = 5 };

struct spdy_stream {
    struct list link;
    struct spdy *spdy;
    uint32_t id;
    struct buf text;
    struct http_field *fields;
    unsigned n_fields;
    size_t unread, credit;
    bool replied, fin_sent, fin_seen, dead;
    void *user;
};

struct spdy {
    struct spdy_ops ops;
    struct http_raw *raw;
    struct spdy_codec codec;
    struct list streams, dead;               /* dead: freed when no callback runs */
    unsigned n_streams;
    uint32_t last_id;
    struct buf in;
    uint32_t data_id;                        /* of the data frame that is coming in */
    size_t data_left, unread;
    unsigned char data_flags;
    bool busy, freed, told, paused;
};

/* --- streams --- */

static struct spdy_stream *spdy_find(struct spdy *s, uint32_t id)
{
    list_each(st, &s->streams, struct spdy_stream, link)
        if (st->id == id)
            return st;
    return NULL;
}

static void stream_destroy(struct spdy_stream *st)
{
    list_del(&st->link);
    buf_deinit(&st->text);
    mem_free(st->fields);
    mem_free(st);
}

static void spdy_unpause(struct spdy *s)
{
    if (s->paused && s->unread < SPDY_UNREAD_MAX && s->raw) {
        s->paused = false;
        http_raw_pause(s->raw, false);
    }
}

static void stream_drop(struct spdy_stream *st)
{
    struct spdy *s = st->spdy;

    if (st->dead)
        return;
    st->dead = true;
    s->n_streams--;
    s->unread -= st->unread;
    st->unread = 0;
    list_del(&st->link);
    list_push(&s->dead, &st->link);
    spdy_unpause(s);
    if (!s->busy)
        stream_destroy(st);
}

static void spdy_bury(struct spdy *s)
{
    list_each(st, &s->dead, struct spdy_stream, link)
        stream_destroy(st);
}

static void spdy_destroy(struct spdy *s)
{
    list_each(st, &s->streams, struct spdy_stream, link)
        stream_destroy(st);
    spdy_bury(s);
    if (s->raw)
        http_raw_end(s->raw);
    spdy_codec_deinit(&s->codec);
    buf_deinit(&s->in);
    mem_free(s);
}

static void spdy_over(struct spdy *s, const struct err *why)
{
    if (s->told)
        return;
    s->told = true;
    list_each(st, &s->streams, struct spdy_stream, link)
        stream_drop(st);
    if (s->raw)
        http_raw_end(TAKE(s->raw));
    if (s->ops.on_close)
        s->ops.on_close(s, why, s->ops.ctx);
}

/* --- frames out --- */

static void spdy_put32(struct buf *b, uint32_t v)
{
    buf_add(b, (char[]){ (char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v }, 4);
}

static void spdy_control(struct spdy *s, unsigned type, unsigned flags, const struct buf *body)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    if (!s->raw)
        return;
    spdy_put32(&b, 0x80030000u | type);
    spdy_put32(&b, (uint32_t)flags << 24 | (uint32_t)body->len);
    buf_add(&b, body->p, body->len);
    http_raw_write(s->raw, b.p, b.len);
}

static void spdy_control2(struct spdy *s, unsigned type, uint32_t a, uint32_t b)
{
    _cleanup_buf_ struct buf body = BUF_INIT;

    spdy_put32(&body, a);
    spdy_put32(&body, b);
    spdy_control(s, type, 0, &body);
}

static void spdy_data(struct spdy_stream *st, unsigned flags, const char *p, size_t len)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    if (!st->spdy->raw)
        return;
    spdy_put32(&b, st->id);
    spdy_put32(&b, (uint32_t)flags << 24 | (uint32_t)len);
    http_raw_write(st->spdy->raw, b.p, b.len);
    http_raw_write(st->spdy->raw, p, len);
}

/* --- frames in --- */

static uint32_t spdy_get32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;

    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static void spdy_fin_seen(struct spdy_stream *st)
{
    struct spdy *s = st->spdy;

    if (st->fin_seen || st->dead)
        return;
    st->fin_seen = true;
    if (s->ops.on_fin)
        s->ops.on_fin(st, s->ops.ctx);
    if (!st->dead && st->fin_sent)
        stream_drop(st);
}

static int spdy_on_syn_stream(struct spdy *s, unsigned flags, const char *p, size_t len,
                              struct err *err)
{
    struct spdy_stream *st;
    uint32_t id;

    if (len < 10)
        return err_set(err, ERR_INVALID, "a stream without an id");
    st = NEW(struct spdy_stream);
    list_init(&st->link);
    /* the headers are always read: they move the shared state of the compression on */
    if (spdy_codec_read(&s->codec, &st->text, &st->fields, &st->n_fields,
                        (struct slice){ p + 10, len - 10 }, err) < 0) {
        stream_destroy(st);
        return -1;
    }
    id = spdy_get32(p) & 0x7fffffff;
    if (!(id & 1) || id <= s->last_id) {
        stream_destroy(st);
        return err_set(err, ERR_INVALID, "stream %u out of order", id);
    }
    s->last_id = id;
    if (s->n_streams >= SPDY_STREAMS_MAX) {
        stream_destroy(st);
        spdy_control2(s, RST_STREAM, id, RST_REFUSED);
        return 0;
    }
    st->id = id;
    st->spdy = s;
    st->fin_sent = flags & FLAG_UNIDIRECTIONAL;
    list_push(&s->streams, &st->link);
    s->n_streams++;
    s->ops.on_stream(s, st, s->ops.ctx);
    if (!st->dead && flags & FLAG_FIN)
        spdy_fin_seen(st);
    return 0;
}

static int spdy_on_headers(struct spdy *s, unsigned flags, const char *p, size_t len,
                           struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct http_field *fields = NULL;
    struct spdy_stream *st;
    unsigned n = 0;

    if (len < 4)
        return err_set(err, ERR_INVALID, "headers without a stream");
    if (spdy_codec_read(&s->codec, &text, &fields, &n, (struct slice){ p + 4, len - 4 }, err) < 0)
        return -1;
    mem_free(fields);                        /* nobody uses late headers */
    st = spdy_find(s, spdy_get32(p) & 0x7fffffff);
    if (st && flags & FLAG_FIN)
        spdy_fin_seen(st);
    return 0;
}

static void spdy_on_rst(struct spdy *s, uint32_t id)
{
    struct spdy_stream *st = spdy_find(s, id);

    if (!st)
        return;
    if (s->ops.on_reset)
        s->ops.on_reset(st, s->ops.ctx);
    stream_drop(st);
}

static int spdy_on_control(struct spdy *s, const char *p, size_t len, struct err *err)
{
    unsigned type = spdy_get32(p) & 0xffff, flags = (unsigned char)p[4];
    _cleanup_buf_ struct buf echo = BUF_INIT;

    if ((spdy_get32(p) >> 16 & 0x7fff) != 3)
        return err_set(err, ERR_INVALID, "only version 3 of SPDY is spoken");
    p += 8;
    len -= 8;
    switch (type) {
    case SYN_STREAM:
        return spdy_on_syn_stream(s, flags, p, len, err);
    case HEADERS:
        return spdy_on_headers(s, flags, p, len, err);
    case RST_STREAM:
        if (len < 8)
            return err_set(err, ERR_INVALID, "a reset without a stream");
        spdy_on_rst(s, spdy_get32(p) & 0x7fffffff);
        return 0;
    case PING:
        if (len < 4)
            return err_set(err, ERR_INVALID, "a ping without an id");
        if (spdy_get32(p) & 1) {             /* theirs: send it back */
            buf_add(&echo, p, 4);
            spdy_control(s, PING, 0, &echo);
        }
        return 0;
    case SYN_REPLY:
        return err_set(err, ERR_INVALID, "a reply to a stream that was never opened");
    default:
        return 0;                            /* SETTINGS, WINDOW_UPDATE, GOAWAY, what is unknown */
    }
}

static void spdy_on_piece(struct spdy *s, const char *p, size_t len)
{
    struct spdy_stream *st = spdy_find(s, s->data_id);

    s->data_left -= len;
    if (!st) {
        if (!s->data_left && s->data_id > s->last_id)
            spdy_control2(s, RST_STREAM, s->data_id, RST_INVALID);
        return;
    }
    if (len && !st->fin_seen) {
        st->unread += len;
        s->unread += len;
        if (s->unread >= SPDY_UNREAD_MAX && !s->paused && s->raw) {
            s->paused = true;
            http_raw_pause(s->raw, true);
        }
        s->ops.on_data(st, p, len, s->ops.ctx);
    }
    if (!st->dead && !s->data_left && s->data_flags & FLAG_FIN)
        spdy_fin_seen(st);
}

/* One frame, or a piece of one: how many bytes were taken, 0: more are needed, -1: broken. */
static ssize_t spdy_take(struct spdy *s, const char *p, size_t len, struct err *err)
{
    size_t body;

    if (s->data_left) {
        size_t n = len < s->data_left ? len : s->data_left;

        spdy_on_piece(s, p, n);
        return (ssize_t)n;
    }
    if (len < 8)
        return 0;
    body = spdy_get32(p + 4) & 0xffffff;
    if (p[0] & 0x80) {
        if (body > SPDY_FRAME_MAX)
            return err_set(err, ERR_QUOTA, "a control frame of %zu bytes", body);
        if (len < 8 + body)
            return 0;
        return spdy_on_control(s, p, 8 + body, err) < 0 ? -1 : (ssize_t)(8 + body);
    }
    if (body > SPDY_DATA_MAX)
        return err_set(err, ERR_QUOTA, "a data frame of %zu bytes", body);
    s->data_id = spdy_get32(p);
    s->data_flags = (unsigned char)p[4];
    s->data_left = body;
    if (!body)
        spdy_on_piece(s, p, 0);
    return 8;
}

static void spdy_on_bytes(struct http_raw *raw, const char *p, size_t len, void *ctx)
{
    struct spdy *s = ctx;
    struct err err = ERR_INIT;
    ssize_t n = 1;
    size_t at = 0;

    (void)raw;
    buf_add(&s->in, p, len);
    s->busy = true;
    while (n > 0 && at < s->in.len && !s->freed && !s->told) {
        n = spdy_take(s, s->in.p + at, s->in.len - at, &err);
        at += n > 0 ? (size_t)n : 0;
    }
    if (n < 0 && !s->freed)
        spdy_over(s, &err);
    s->busy = false;
    if (s->freed) {
        spdy_destroy(s);
        return;
    }
    spdy_bury(s);
    if (at == s->in.len || s->told)
        buf_deinit(&s->in);
    else
        buf_eat(&s->in, at);
}

static void spdy_on_raw_drain(struct http_raw *raw, void *ctx)
{
    struct spdy *s = ctx;

    (void)raw;
    if (!s->ops.on_drain)
        return;
    s->busy = true;
    list_each(st, &s->streams, struct spdy_stream, link) {
        if (s->freed)
            break;
        if (!st->dead)
            s->ops.on_drain(st, s->ops.ctx);
    }
    s->busy = false;
    if (s->freed)
        spdy_destroy(s);
    else
        spdy_bury(s);
}

static void spdy_on_raw_close(struct http_raw *raw, const struct err *why, void *ctx)
{
    (void)raw;
    spdy_over(ctx, why);
}

static const struct http_raw_ops spdy_raw_ops = {
    .on_data = spdy_on_bytes,
    .on_drain = spdy_on_raw_drain,
    .on_close = spdy_on_raw_close,
};

/* --- spdy.h --- */

static struct spdy *spdy_make(const struct spdy_ops *ops)
{
    struct spdy *s = NEW(struct spdy);

    check(ops->on_stream && ops->on_data);
    s->ops = *ops;
    list_init(&s->streams);
    list_init(&s->dead);
    return s;
}

struct spdy *spdy_new(struct http_raw *raw, struct loop *l, const struct spdy_ops *ops)
{
    struct spdy *s = spdy_make(ops);
    struct http_raw_ops r = spdy_raw_ops;

    (void)l;
    r.ctx = s;
    s->raw = raw;
    http_raw_set(raw, &r);
    return s;
}

bool spdy_is_upgrade(const struct http_req *r)
{
    const char *upgrade = http_req_field(r, "upgrade");

    return r->version == HTTP_1_1 && upgrade && strcasecmp(upgrade, SPDY_PROTOCOL) == 0;
}

int spdy_accept(struct spdy **out, struct http_req *r, const char *protocol,
                const struct spdy_ops *ops, struct err *err)
{
    struct http_field field = { "X-Stream-Protocol-Version", protocol };
    struct http_raw_ops raw_ops = spdy_raw_ops;
    struct spdy *s = spdy_make(ops);

    raw_ops.ctx = s;
    s->raw = http_upgrade(r, SPDY_PROTOCOL, &field, protocol ? 1 : 0, &raw_ops);
    if (!s->raw) {
        spdy_destroy(s);
        return err_set(err, ERR_UNAVAILABLE, "the connection cannot be upgraded");
    }
    *out = s;
    return 0;
}

struct spdy *spdy_free(struct spdy *s)
{
    if (!s)
        return NULL;
    s->freed = true;
    s->told = true;
    if (!s->busy)
        spdy_destroy(s);
    return NULL;
}

void spdy_end(struct spdy *s)
{
    spdy_control2(s, GOAWAY, s->last_id, 0);
    spdy_free(s);                            /* the raw stream sends what is queued, then closes */
}

uint32_t spdy_stream_id(const struct spdy_stream *st)
{
    return st->id;
}

const char *spdy_stream_field(const struct spdy_stream *st, const char *name)
{
    for (unsigned i = 0; i < st->n_fields; i++)
        if (strcmp(st->fields[i].name, name) == 0)
            return st->fields[i].value;
    return NULL;
}

void *spdy_stream_user(const struct spdy_stream *st)
{
    return st->user;
}

void spdy_stream_set_user(struct spdy_stream *st, void *user)
{
    st->user = user;
}

int spdy_reply(struct spdy_stream *st)
{
    _cleanup_buf_ struct buf body = BUF_INIT;

    check(!st->dead);
    if (st->replied)
        return 0;
    st->replied = true;
    spdy_put32(&body, st->id);
    if (spdy_codec_write(&st->spdy->codec, &body, NULL, 0, NULL) < 0)
        return -1;
    spdy_control(st->spdy, SYN_REPLY, 0, &body);
    return 0;
}

size_t spdy_write(struct spdy_stream *st, const void *p, size_t len)
{
    check(!st->dead);
    if (st->fin_sent)
        return spdy_queued(st);
    for (size_t at = 0; at < len; at += SPDY_WRITE_MAX)
        spdy_data(st, 0, (const char *)p + at,
                  len - at < SPDY_WRITE_MAX ? len - at : SPDY_WRITE_MAX);
    return spdy_queued(st);
}

size_t spdy_queued(const struct spdy_stream *st)
{
    return st->spdy->raw ? http_raw_queued(st->spdy->raw) : 0;
}

void spdy_fin(struct spdy_stream *st)
{
    if (st->dead || st->fin_sent)
        return;
    st->fin_sent = true;
    spdy_data(st, FLAG_FIN, NULL, 0);
    if (st->fin_seen)
        stream_drop(st);
}

void spdy_reset(struct spdy_stream *st)
{
    if (st->dead)
        return;
    spdy_control2(st->spdy, RST_STREAM, st->id, RST_CANCEL);
    stream_drop(st);
}

void spdy_consumed(struct spdy_stream *st, size_t len)
{
    struct spdy *s = st->spdy;

    if (st->dead)
        return;
    check(len <= st->unread);
    st->unread -= len;
    s->unread -= len;
    st->credit += len;
    if (st->credit >= SPDY_CREDIT_STEP) {
        spdy_control2(s, WINDOW_UPDATE, st->id, (uint32_t)st->credit);
        spdy_control2(s, WINDOW_UPDATE, 0, (uint32_t)st->credit);
        st->credit = 0;
    }
    spdy_unpause(s);
}
