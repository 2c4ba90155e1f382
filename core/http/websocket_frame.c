#include "core/http/websocket.h"

#include "core/base/b64.h"
#include "core/base/check.h"
#include "core/crypto/crypto.h"

static uint64_t frame_number(const unsigned char *p, unsigned n)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static int frame_check(const struct websocket_frame *f, unsigned char first, struct err *err)
{
    bool control = f->op & 8;

    if (first & 0x70)
        return err_set(err, ERR_INVALID, "a frame uses reserved bits");
    if (f->op > WEBSOCKET_PONG || (f->op > WEBSOCKET_BINARY && f->op < WEBSOCKET_CLOSE))
        return err_set(err, ERR_INVALID, "a frame of unknown kind %u", f->op);
    if (control && (!f->fin || f->len > 125))
        return err_set(err, ERR_INVALID, "a control frame is split or too long");
    return 0;
}

int websocket_parse(struct websocket_frame *out, const char *data, size_t len, struct err *err)
{
    const unsigned char *p = (const unsigned char *)data;
    struct websocket_frame f = { .head = 2 };
    unsigned wide = 0;

    if (len < 2)
        return 0;
    f.fin = p[0] & 0x80;
    f.op = p[0] & 0x0f;
    f.masked = p[1] & 0x80;
    f.len = p[1] & 0x7f;
    if (f.len == 126)
        wide = 2;
    else if (f.len == 127)
        wide = 8;
    if (frame_check(&f, p[0], err) < 0)
        return -1;
    if (len < f.head + wide + (f.masked ? 4 : 0))
        return 0;
    if (wide) {
        f.len = frame_number(p + 2, wide);
        if (f.len < (wide == 2 ? 126u : 65536u) || f.len >> 63)
            return err_set(err, ERR_INVALID, "a frame's length is not in its shortest form");
    }
    f.head += wide;
    if (f.masked) {
        memcpy(f.mask, p + f.head, 4);
        f.head += 4;
    }
    *out = f;
    return 1;
}

void websocket_accept_key(char out[WEBSOCKET_ACCEPT_BYTES], const char *key)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    _cleanup_buf_ struct buf text = BUF_INIT;
    unsigned char hash[20];

    buf_fmt(&b, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    crypto_sha1(hash, b.p, b.len);
    b64_encode(&text, B64_STD, hash, sizeof(hash));
    check(text.len + 1 == WEBSOCKET_ACCEPT_BYTES);
    memcpy(out, text.p, WEBSOCKET_ACCEPT_BYTES);
}
