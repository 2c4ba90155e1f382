#include "core/crypto/crypto_priv.h"

#include "core/base/b64.h"

void crypto_pem_write(struct buf *out, const char *label, const void *der, size_t len)
{
    _cleanup_buf_ struct buf text = BUF_INIT;

    b64_encode(&text, B64_STD, der, len);
    buf_fmt(out, "-----BEGIN %s-----\n", label);
    for (size_t i = 0; i < text.len; i += 64) {
        buf_add(out, text.p + i, text.len - i < 64 ? text.len - i : 64);
        buf_chr(out, '\n');
    }
    buf_fmt(out, "-----END %s-----\n", label);
}

int crypto_pem_read(struct buf *der, const char *label, const char *p, size_t len, struct err *err)
{
    char begin[64], end[64];
    const char *from, *to;

    snprintf(begin, sizeof(begin), "-----BEGIN %s-----", label);
    snprintf(end, sizeof(end), "-----END %s-----", label);
    from = len ? memmem(p, len, begin, strlen(begin)) : NULL;
    if (!from)
        return err_set(err, ERR_INVALID, "no %s in this PEM text", label);
    from += strlen(begin);
    to = memmem(from, len - (size_t)(from - p), end, strlen(end));
    if (!to)
        return err_set(err, ERR_INVALID, "this PEM text has no end");
    _cleanup_buf_ struct buf text = BUF_INIT;

    for (; from < to; from++)
        if (!memchr(" \t\r\n", *from, 4))
            buf_chr(&text, *from);
    if (!text.len || b64_decode(der, B64_STD, text.p, text.len, err) < 0)
        return err_set(err, ERR_INVALID, "this PEM text is no base64");
    return 0;
}
