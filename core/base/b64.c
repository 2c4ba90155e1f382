/* b64.c -- base64, with the errors of Go's encoding/base64. */
#include "core/base/b64.h"

#include "core/base/check.h"

static const char *const alphabets[] = {
    [B64_STD] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    [B64_URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

void b64_encode(struct buf *out, enum b64_kind kind, const void *p, size_t len)
{
    const char *letters = alphabets[kind];
    const unsigned char *s = p;

    buf_reserve(out, len / 3 * 4 + 4);
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t v = (uint32_t)s[i] << 16;
        char quad[4];

        v |= n > 1 ? (uint32_t)s[i + 1] << 8 : 0;
        v |= n > 2 ? s[i + 2] : 0;
        for (int k = 0; k < 4; k++)
            quad[k] = letters[v >> (18 - 6 * k) & 63];
        quad[2] = n > 1 ? quad[2] : '=';
        quad[3] = n > 2 ? quad[3] : '=';
        buf_add(out, quad, kind == B64_URL ? n + 1 : 4);
    }
    buf_add(out, "", 0);
}

static int b64_value(enum b64_kind kind, char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == (kind == B64_STD ? '+' : '-'))
        return 62;
    return c == (kind == B64_STD ? '/' : '_') ? 63 : -1;
}

struct decoder {
    enum b64_kind kind;
    const char *text;
    size_t len, at;
};

static void skip_newlines(struct decoder *d)
{
    while (d->kind == B64_STD && d->at < d->len &&
           (d->text[d->at] == '\n' || d->text[d->at] == '\r'))
        d->at++;
}

/* After the first '=' behind n letters: the rest of the padding, and nothing behind it. Returns -1,
 * or the offset of what is wrong. */
static int64_t take_padding(struct decoder *d, int n)
{
    if (n < 2)
        return (int64_t)d->at - 1;
    skip_newlines(d);
    if (n == 2) {
        if (d->at == d->len)
            return (int64_t)d->len;
        if (d->text[d->at] != '=')
            return (int64_t)d->at - 1;
        d->at++;
        skip_newlines(d);
    }
    return d->at < d->len ? (int64_t)d->at : -1;
}

/* Up to four letters into *v; *n says how many. Returns -1, or the offset of what is wrong. */
static int64_t take_quad(struct decoder *d, uint32_t *v, int *n)
{
    *v = 0;
    for (*n = 0; *n < 4; ++*n) {
        int value;

        skip_newlines(d);
        if (d->at == d->len)
            break;
        value = b64_value(d->kind, d->text[d->at++]);
        if (value < 0 && d->kind == B64_STD && d->text[d->at - 1] == '=')
            return take_padding(d, *n);
        if (value < 0)
            return (int64_t)d->at - 1;
        *v |= (uint32_t)value << (18 - 6 * *n);
    }
    if (*n == 1 || (*n > 0 && *n < 4 && d->kind == B64_STD))
        return (int64_t)d->at - *n;
    return -1;
}

int b64_decode(struct buf *out, enum b64_kind kind, const char *text, size_t len, struct err *err)
{
    struct decoder d = {.kind = kind, .text = text, .len = len};
    size_t before = out->len;

    buf_reserve(out, len / 4 * 3 + 3);
    while (d.at < d.len) {
        uint32_t v;
        int n;
        int64_t wrong = take_quad(&d, &v, &n);
        unsigned char bytes[3];

        if (wrong < 0 && kind == B64_URL && n > 0 && n < 4 && v & (n == 2 ? 0xffff : 0xff))
            wrong = (int64_t)d.at - 1;
        if (wrong >= 0) {
            out->len = before;
            out->p[before] = 0;
            return err_set(err, ERR_INVALID, "illegal base64 data at input byte %lld",
                           (long long)wrong);
        }
        bytes[0] = (unsigned char)(v >> 16);
        bytes[1] = (unsigned char)(v >> 8);
        bytes[2] = (unsigned char)v;
        buf_add(out, bytes, n ? (size_t)n - 1 : 0);
    }
    buf_add(out, "", 0);
    return 0;
}
