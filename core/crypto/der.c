#include "core/crypto/crypto_priv.h"

size_t der_open(struct buf *b, unsigned tag)
{
    buf_chr(b, (char)tag);
    return b->len;
}

/* The length goes between the tag and what was added since der_open. */
void der_close(struct buf *b, size_t at)
{
    size_t len = b->len - at, n = len < 128 ? 1 : len < 256 ? 2 : len < 65536 ? 3 : 4;
    unsigned char head[4] = { (unsigned char)len };

    check(len < 1u << 24);
    if (n > 1) {
        head[0] = (unsigned char)(0x80 | (n - 1));
        for (size_t i = 1; i < n; i++)
            head[i] = (unsigned char)(len >> (8 * (n - 1 - i)));
    }
    buf_add(b, head, n);
    memmove(b->p + at + n, b->p + at, len);
    memcpy(b->p + at, head, n);
}

void der_value(struct buf *b, unsigned tag, const void *p, size_t len)
{
    size_t at = der_open(b, tag);

    buf_add(b, p, len);
    der_close(b, at);
}

void der_oid(struct buf *b, const char *oid, size_t len)
{
    der_value(b, DER_OBJECT, oid, len);
}

void der_uint(struct buf *b, const unsigned char *p, size_t len)
{
    size_t at = der_open(b, DER_INT);

    while (len > 1 && !*p)
        p++, len--;
    if (*p & 0x80)
        buf_chr(b, 0);
    buf_add(b, p, len);
    der_close(b, at);
}
