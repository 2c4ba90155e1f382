#include "core/client/slice_record.h"

#include "core/base/check.h"
#include "core/crypto/crypto.h"

#define MAGIC "inroslc1"
#define MAGIC_BYTES 8
#define CHECK_BYTES 16
#define HEAD_FIXED (MAGIC_BYTES + SLICE_RECORD_NONCE + 2)
#define BODY_FIXED (1 + 2 + SLICE_RECORD_MARK)
#define BODY_MAX (BODY_FIXED + SLICE_RECORD_KEY_MAX + SLICE_RECORD_VALUE_MAX)

enum { PUT = 1, GONE = 2 };

static void add_number(struct buf *out, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        buf_chr(out, (char)(v >> (8 * i)));
}

static uint32_t number(const char *p, unsigned bytes)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < bytes; i++)
        v |= (uint32_t)(unsigned char)p[i] << (8 * i);
    return v;
}

static void make_check(unsigned char out[CRYPTO_SHA256_BYTES], const unsigned char *nonce,
                       uint64_t place, struct slice what)
{
    unsigned char at[8];
    struct crypto_digest d;

    for (unsigned i = 0; i < sizeof(at); i++)
        at[i] = (unsigned char)(place >> (8 * i));
    crypto_digest_init(&d, CRYPTO_SHA256);
    crypto_digest_add(&d, nonce, SLICE_RECORD_NONCE);
    crypto_digest_add(&d, at, sizeof(at));
    crypto_digest_add(&d, what.p, what.len);
    crypto_digest_end(&d, out);
}

static bool is_whole(const unsigned char *nonce, uint64_t place, struct slice what)
{
    unsigned char sum[CRYPTO_SHA256_BYTES];

    make_check(sum, nonce, place, what);
    return memcmp(sum, what.p + what.len, CHECK_BYTES) == 0;
}

/* --- reading */

bool slice_record_open(struct slice_reader *r, struct slice text)
{
    size_t scope, len;

    *r = (struct slice_reader){ .text = text };
    if (text.len < HEAD_FIXED + CHECK_BYTES || memcmp(text.p, MAGIC, MAGIC_BYTES) != 0)
        return false;
    memcpy(r->nonce, text.p + MAGIC_BYTES, SLICE_RECORD_NONCE);
    scope = number(text.p + MAGIC_BYTES + SLICE_RECORD_NONCE, 2);
    len = HEAD_FIXED + scope;
    if (scope > SLICE_RECORD_SCOPE_MAX || text.len < len + CHECK_BYTES ||
        !is_whole(r->nonce, 0, (struct slice){ text.p, len }))
        return false;
    r->scope = (struct slice){ text.p + HEAD_FIXED, scope };
    r->at = len + CHECK_BYTES;
    return true;
}

static bool read_body(struct slice_record *out, struct slice body)
{
    size_t key;

    if (body.len < BODY_FIXED || (body.p[0] != PUT && body.p[0] != GONE))
        return false;
    key = number(body.p + 1, 2);
    if (key > SLICE_RECORD_KEY_MAX || body.len < BODY_FIXED + key)
        return false;
    out->gone = body.p[0] == GONE;
    out->key = (struct slice){ body.p + 3, key };
    memcpy(out->mark, body.p + 3 + key, SLICE_RECORD_MARK);
    out->value = (struct slice){ body.p + BODY_FIXED + key, body.len - BODY_FIXED - key };
    return !memchr(out->key.p, 0, key);
}

bool slice_record_next(struct slice_reader *r, struct slice_record *out)
{
    struct slice rest = { r->text.p + r->at, r->text.len - r->at };
    size_t body;

    if (rest.len < 4)
        return false;
    body = number(rest.p, 4);
    if (body > BODY_MAX || rest.len < 4 + body + CHECK_BYTES ||
        !is_whole(r->nonce, r->at, (struct slice){ rest.p, 4 + body }) ||
        !read_body(out, (struct slice){ rest.p + 4, body }))
        return false;
    r->at += 4 + body + CHECK_BYTES;
    return true;
}

/* --- writing */

static void add_check(struct buf *out, const unsigned char *nonce, uint64_t place, size_t from)
{
    unsigned char sum[CRYPTO_SHA256_BYTES];

    make_check(sum, nonce, place, (struct slice){ out->p + from, out->len - from });
    buf_add(out, sum, CHECK_BYTES);
}

void slice_record_head(struct buf *out, const unsigned char nonce[SLICE_RECORD_NONCE],
                       const char *scope)
{
    size_t from = out->len;

    check(strlen(scope) <= SLICE_RECORD_SCOPE_MAX);
    buf_add(out, MAGIC, MAGIC_BYTES);
    buf_add(out, nonce, SLICE_RECORD_NONCE);
    add_number(out, strlen(scope), 2);
    buf_str(out, scope);
    add_check(out, nonce, 0, from);
}

void slice_record_add(struct buf *out, size_t place,
                      const unsigned char nonce[SLICE_RECORD_NONCE], const struct slice_record *r)
{
    size_t from = out->len;

    check(r->key.len <= SLICE_RECORD_KEY_MAX);
    check(r->value.len <= SLICE_RECORD_VALUE_MAX);
    add_number(out, BODY_FIXED + r->key.len + r->value.len, 4);
    add_number(out, r->gone ? GONE : PUT, 1);
    add_number(out, r->key.len, 2);
    buf_add(out, r->key.p, r->key.len);
    buf_add(out, r->mark, SLICE_RECORD_MARK);
    buf_add(out, r->value.p, r->value.len);
    add_check(out, nonce, place + from, from);
}
