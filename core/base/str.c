/* str.c -- slices, text helpers and growing buffers. */
#include "core/base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/auxv.h>

#include "core/base/check.h"
#include "core/base/mem.h"

/* --- slices */

bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

bool slice_is(struct slice a, const char *s)
{
    return slice_eq(a, slice_of(s));
}

struct slice slice_trim(struct slice s)
{
    while (s.len && (s.p[0] == ' ' || s.p[0] == '\t'))
        s.p++, s.len--;
    while (s.len && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
        s.len--;
    return s;
}

bool slice_split(struct slice *rest, char sep, struct slice *out)
{
    const char *at;

    if (!rest->p)
        return false;
    at = rest->len ? memchr(rest->p, sep, rest->len) : NULL;
    if (!at) {
        *out = *rest;
        *rest = (struct slice){0};
        return true;
    }
    *out = (struct slice){rest->p, (size_t)(at - rest->p)};
    rest->len -= out->len + 1;
    rest->p = at + 1;
    return true;
}

/* --- text */

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t len = strlen(s);
    size_t want = strlen(suffix);

    return len >= want && memcmp(s + len - want, suffix, want) == 0;
}

int str_copy(char *dst, size_t dst_bytes, const char *src, struct err *err)
{
    size_t len = strlen(src);

    if (len >= dst_bytes)
        return err_set(err, ERR_INVALID, "text of %zu bytes, at most %zu", len,
                       dst_bytes ? dst_bytes - 1 : 0);
    memcpy(dst, src, len + 1);
    return 0;
}

/* How many continuation bytes follow a first byte, and in what range the second byte must be:
 * that excludes overlong forms, surrogates and everything past U+10FFFF. */
size_t str_utf8_len(const char *s, size_t len)
{
    const unsigned char *p = (const unsigned char *)s;
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    size_t n;

    if (len == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : low;
    high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : high;
    if (len < n || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

bool str_is_utf8(const char *s, size_t len)
{
    size_t i = 0;

    while (i < len) {
        size_t n;
        uint64_t word;

        if (len - i >= 8) {
            memcpy(&word, s + i, 8);
            if (!(word & 0x8080808080808080u)) {
                i += 8;
                continue;
            }
        }
        n = str_utf8_len(s + i, len - i);
        if (!n)
            return false;
        i += n;
    }
    return true;
}

int str_to_i64(const char *s, int64_t min, int64_t max, int64_t *out, struct err *err)
{
    const char *p = s;
    bool negative = p && *p == '-';
    int64_t v = 0;

    if (negative)
        p++;
    if (!p || !*p)
        return err_set(err, ERR_INVALID, "not a number: \"%s\"", s ? s : "");
    for (; *p; p++) {
        if (*p < '0' || *p > '9')
            return err_set(err, ERR_INVALID, "not a number: \"%s\"", s);
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_sub_overflow(v, *p - '0', &v))      /* downwards: INT64_MIN has no positive */
            return err_set(err, ERR_INVALID, "number out of range: %s", s);
    }
    if (!negative && __builtin_sub_overflow(0, v, &v))
        return err_set(err, ERR_INVALID, "number out of range: %s", s);
    if (v < min || v > max)
        return err_set(err, ERR_INVALID, "%s is not between %lld and %lld", s, (long long)min,
                       (long long)max);
    *out = v;
    return 0;
}

uint64_t str_hash(const void *p, size_t len)
{
    const unsigned char *s = p;
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < len; i++)
        h = (h ^ s[i]) * 0x100000001b3u;
    return h;
}

/* --- SipHash-1-3 */

static inline uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
    v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
}

uint64_t str_hash_keyed(const void *p, size_t len)
{
    const char *s = p;
    const void *random = (const void *)getauxval(AT_RANDOM);   /* 16 bytes, by the kernel */
    uint64_t key[2] = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
    uint64_t v[4];
    uint64_t m;
    size_t left = len;

    if (random)
        memcpy(key, random, sizeof(key));
    v[0] = key[0] ^ 0x736f6d6570736575u;
    v[1] = key[1] ^ 0x646f72616e646f6du;
    v[2] = key[0] ^ 0x6c7967656e657261u;
    v[3] = key[1] ^ 0x7465646279746573u;
    for (; left >= 8; left -= 8, s += 8) {
        memcpy(&m, s, 8);
        v[3] ^= m;
        sip_round(v);
        v[0] ^= m;
    }
    m = (uint64_t)len << 56;
    for (size_t i = 0; i < left; i++)
        m |= (uint64_t)(unsigned char)s[i] << (8 * i);
    v[3] ^= m;
    sip_round(v);
    v[0] ^= m;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* --- buffers */

void buf_deinit(struct buf *b)
{
    mem_free(b->p);
    *b = BUF_INIT;
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    if (b->p)
        b->p[0] = 0;
}

void buf_reserve(struct buf *b, size_t more)
{
    size_t need;
    size_t cap = b->cap ? b->cap : 64;

    check(!__builtin_add_overflow(b->len, more, &need) && need < SIZE_MAX / 2);
    need++;
    if (need <= b->cap)
        return;
    while (cap < need)
        cap *= 2;
    b->p = mem_grow(b->p, cap);
    b->p[b->len] = 0;
    b->cap = cap;
}

void buf_add(struct buf *b, const void *p, size_t len)
{
    check(p || len == 0);
    buf_reserve(b, len);
    if (len)
        memcpy(b->p + b->len, p, len);
    b->len += len;
    b->p[b->len] = 0;
}

void buf_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_chr(struct buf *b, char c)
{
    if (b->len + 1 >= b->cap)
        buf_reserve(b, 1);
    b->p[b->len++] = c;
    b->p[b->len] = 0;
}

void buf_fmt(struct buf *b, const char *format, ...)
{
    va_list args;
    int len;

    buf_reserve(b, 64);
    va_start(args, format);
    len = vsnprintf(b->p + b->len, b->cap - b->len, format, args);
    va_end(args);
    check(len >= 0);
    if ((size_t)len >= b->cap - b->len) {
        buf_reserve(b, (size_t)len);
        va_start(args, format);
        vsnprintf(b->p + b->len, b->cap - b->len, format, args);
        va_end(args);
    }
    b->len += (size_t)len;
}

void buf_i64(struct buf *b, int64_t v)
{
    char digits[24];
    char *p = digits + sizeof(digits);
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

    do
        *--p = (char)('0' + u % 10);
    while (u /= 10);
    if (v < 0)
        *--p = '-';
    buf_add(b, p, (size_t)(digits + sizeof(digits) - p));
}

void buf_utf8(struct buf *b, const char *s, size_t len)
{
    if (str_is_utf8(s, len)) {
        buf_add(b, s, len);
        return;
    }
    for (size_t i = 0; i < len;) {
        size_t n = str_utf8_len(s + i, len - i);

        buf_add(b, n ? s + i : "\xef\xbf\xbd", n ? n : 3);
        i += n ? n : 1;
    }
}

void buf_eat(struct buf *b, size_t n)
{
    check(n <= b->len);
    if (n == 0)
        return;
    memmove(b->p, b->p + n, b->len - n);
    b->len -= n;
    b->p[b->len] = 0;
}

char *buf_take(struct buf *b, size_t *out_len)
{
    char *p;

    buf_reserve(b, 0);
    p = b->p;
    if (out_len)
        *out_len = b->len;
    *b = BUF_INIT;
    return p;
}
