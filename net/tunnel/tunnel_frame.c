/* tunnel_frame.c -- frames from bytes and back. */
#include "net/tunnel/tunnel_frame.h"

#include <string.h>

#include "core/base/check.h"

/* Which lengths a type may have, and whether it belongs to a stream. */
static const struct rule { const char *name; uint16_t min, max; bool stream; } rules[] = {
    [TUNNEL_FRAME_OPEN] = { "OPEN", 3, 2 + TUNNEL_HOST_MAX, true },
    [TUNNEL_FRAME_DATA] = { "DATA", 1, TUNNEL_PAYLOAD_MAX, true },
    [TUNNEL_FRAME_WINDOW] = { "WINDOW", 4, 4, true },
    [TUNNEL_FRAME_END] = { "END", 0, 0, true },
    [TUNNEL_FRAME_RESET] = { "RESET", 0, TUNNEL_TEXT_MAX, true },
    [TUNNEL_FRAME_PING] = { "PING", 0, 0, false },
    [TUNNEL_FRAME_PONG] = { "PONG", 0, 0, false },
    [TUNNEL_FRAME_BYE] = { "BYE", 0, TUNNEL_TEXT_MAX, false },
};
_Static_assert(ARRAY_LEN(rules) == TUNNEL_FRAME_MAX, "one rule a type");

static uint32_t number(const char *p, unsigned n)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < n; i++)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

static void put(struct buf *out, uint32_t v, unsigned n)
{
    for (unsigned i = n; i-- > 0;)
        buf_chr(out, (char)(v >> (8 * i)));
}

static int read_open(struct tunnel_frame *f, struct err *err)
{
    size_t len = f->payload.len - 2;

    f->port = (uint16_t)number(f->payload.p, 2);
    if (!f->port)
        return err_set(err, ERR_INVALID, "OPEN of port 0");
    for (size_t i = 0; i < len; i++) {
        if (f->payload.p[2 + i] <= ' ' || f->payload.p[2 + i] > '~')
            return err_set(err, ERR_INVALID, "OPEN of a host that is no text");
    }
    memcpy(f->host, f->payload.p + 2, len);
    f->host[len] = 0;
    return 0;
}

static int read_payload(struct tunnel_frame *f, struct err *err)
{
    if (f->type == TUNNEL_FRAME_OPEN)
        return read_open(f, err);
    if (f->type == TUNNEL_FRAME_WINDOW) {
        f->credit = number(f->payload.p, 4);
        if (!f->credit)
            return err_set(err, ERR_INVALID, "WINDOW of 0 bytes");
    }
    return 0;
}

int tunnel_frame_read(struct tunnel_frame *out, struct slice bytes, struct err *err)
{
    struct tunnel_frame f = { 0 };
    unsigned type;
    size_t len;

    if (bytes.len < TUNNEL_HEAD_BYTES)
        return 0;
    type = (unsigned char)bytes.p[0];
    if (type == 0 || type >= TUNNEL_FRAME_MAX || bytes.p[1] != 0)
        return err_set(err, ERR_INVALID, "a frame of unknown type %u", type);
    len = number(bytes.p + 2, 2);
    f.type = (enum tunnel_type)type;
    f.stream = number(bytes.p + 4, 4);
    if (len < rules[type].min || len > rules[type].max)
        return err_set(err, ERR_INVALID, "%s of %zu bytes", rules[type].name, len);
    if ((f.stream != 0) != rules[type].stream)
        return err_set(err, ERR_INVALID, "%s of stream %u", rules[type].name, f.stream);
    if (bytes.len < TUNNEL_HEAD_BYTES + len)
        return 0;
    f.payload = (struct slice){ bytes.p + TUNNEL_HEAD_BYTES, len };
    if (read_payload(&f, err) < 0)
        return -1;
    *out = f;
    return (int)(TUNNEL_HEAD_BYTES + len);
}

void tunnel_frame_write(struct buf *out, enum tunnel_type type, uint32_t stream,
                        struct slice payload)
{
    bool text = type == TUNNEL_FRAME_RESET || type == TUNNEL_FRAME_BYE;

    if (text && payload.len > TUNNEL_TEXT_MAX)
        payload.len = TUNNEL_TEXT_MAX;
    check(payload.len <= TUNNEL_PAYLOAD_MAX);
    put(out, type, 1);
    put(out, 0, 1);
    put(out, (uint32_t)payload.len, 2);
    put(out, stream, 4);
    buf_add(out, payload.p, payload.len);
}

void tunnel_frame_write_open(struct buf *out, uint32_t stream, const char *host, uint16_t port)
{
    size_t len = strlen(host);

    check(len > 0 && len <= TUNNEL_HOST_MAX && port);
    put(out, TUNNEL_FRAME_OPEN, 1);
    put(out, 0, 1);
    put(out, (uint32_t)(2 + len), 2);
    put(out, stream, 4);
    put(out, port, 2);
    buf_add(out, host, len);
}

void tunnel_frame_write_window(struct buf *out, uint32_t stream, uint32_t credit)
{
    put(out, TUNNEL_FRAME_WINDOW, 1);
    put(out, 0, 1);
    put(out, 4, 2);
    put(out, stream, 4);
    put(out, credit, 4);
}
