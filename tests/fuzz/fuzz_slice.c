/* Slice files: any bytes as a file; and records made of the bytes, written, then damaged in one
 * place: what comes out is what went in, up to the damage. */
#include "core/base/check.h"
#include "core/client/slice_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t read_all(struct slice text)
{
    struct slice_reader r;
    struct slice_record rec;
    size_t n = 0;

    if (!slice_record_open(&r, text))
        return 0;
    while (slice_record_next(&r, &rec)) {
        check(rec.key.len <= SLICE_RECORD_KEY_MAX);
        check(rec.value.len <= SLICE_RECORD_VALUE_MAX);
        check(rec.value.p + rec.value.len <= text.p + text.len);
        n++;
    }
    check(r.at <= text.len);
    return n;
}

/* The next record that the bytes ask for. */
static bool take(struct slice_record *r, struct slice *rest)
{
    size_t key, value;

    if (rest->len < 2)
        return false;
    key = (unsigned char)rest->p[0] & 0x3f;
    r->gone = rest->p[0] & 0x40;
    value = r->gone ? 0 : (unsigned char)rest->p[1];
    rest->p += 2;
    rest->len -= 2;
    if (key + value > rest->len)
        return false;
    r->key = (struct slice){ rest->p, key };
    r->value = (struct slice){ rest->p + key, value };
    rest->p += key + value;
    rest->len -= key + value;
    return !memchr(r->key.p, 0, key);
}

static void write_and_read(struct slice rest)
{
    static const unsigned char nonce[SLICE_RECORD_NONCE] = "fuzz";
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct slice_record r = { 0 };
    size_t n = 0, at;

    slice_record_head(&b, nonce, "node");
    for (; take(&r, &rest); n++)
        slice_record_add(&b, 0, nonce, &r);
    check(read_all((struct slice){ b.p, b.len }) == n);
    at = rest.len ? (size_t)(unsigned char)rest.p[0] * b.len / 256 : 0;
    b.p[at] ^= 1;
    check(read_all((struct slice){ b.p, b.len }) < n + (n == 0));
    b.p[at] ^= 1;
    check(read_all((struct slice){ b.p, at }) <= n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = { (const char *)data, size };

    read_all(text);
    write_and_read(text);
    return 0;
}
