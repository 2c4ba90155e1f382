/* image_inflate.c -- decompresses layers as a stream, counting and hashing. */
#include "runtime/image/image_inflate.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "core/base/check.h"
#include "core/base/mem.h"
#include "core/base/str.h"
#include "core/crypto/crypto.h"

#define INFLATE_IN_BYTES (256u << 10)

struct image_inflate {
    int fd;
    int64_t offset, left;  /* of the piece not read yet; left -1: until the end of the file */
    int64_t n_in, n_out, max;
    enum image_codec codec;
    bool hash_in, hash_out, ended, z_open, z_fresh;
    z_stream z;
    ZSTD_DStream *zstd;
    size_t zstd_wants;                  /* 0: at the end of a frame */
    struct crypto_digest d_in, d_out;
    size_t at, len;                     /* of `in`, not used yet */
    unsigned char in[INFLATE_IN_BYTES];
};

struct image_inflate *image_inflate_free(struct image_inflate *i)
{
    if (!i)
        return NULL;
    if (i->z_open)
        inflateEnd(&i->z);
    ZSTD_freeDStream(i->zstd);
    return mem_free(i);
}

/* More compressed bytes when there are none: 1 there are, 0 the end, -1. */
static int inflate_fill(struct image_inflate *i, struct err *err)
{
    size_t want = sizeof(i->in);
    ssize_t n;

    if (i->at < i->len)
        return 1;
    if (i->left >= 0 && i->left < (int64_t)want)
        want = (size_t)i->left;
    if (want == 0)
        return 0;
    do
        n = pread(i->fd, i->in, want, i->offset);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_sys(err, "read");
    if (n == 0 && i->left > 0)
        return err_set(err, ERR_CORRUPT, "cut off: %lld bytes are missing", (long long)i->left);
    if (n == 0)
        return 0;
    i->offset += n;
    i->n_in += n;
    if (i->left >= 0)
        i->left -= n;
    if (i->hash_in)
        crypto_digest_add(&i->d_in, i->in, (size_t)n);
    i->at = 0;
    i->len = (size_t)n;
    return 1;
}

static int inflate_start(struct image_inflate *i, struct err *err)
{
    static const unsigned char zstd_magic[4] = { 0x28, 0xb5, 0x2f, 0xfd };

    if (inflate_fill(i, err) < 0)
        return -1;
    if (i->len >= 2 && i->in[0] == 0x1f && i->in[1] == 0x8b) {
        i->codec = IMAGE_GZIP;
        if (inflateInit2(&i->z, 15 + 16) != Z_OK)
            return err_set(err, ERR_FAILED, "gzip: out of memory");
        i->z_open = i->z_fresh = true;
    } else if (i->len >= 4 && (memcmp(i->in, zstd_magic, 4) == 0 ||
                               (memcmp(i->in + 1, "\x2a\x4d\x18", 3) == 0 && i->in[0] >> 4 == 5))) {
        i->codec = IMAGE_ZSTD;
        i->zstd = ZSTD_createDStream();
        if (!i->zstd || ZSTD_isError(ZSTD_initDStream(i->zstd)) ||
            ZSTD_isError(ZSTD_DCtx_setParameter(i->zstd, ZSTD_d_windowLogMax,
                                                IMAGE_INFLATE_WINDOW_LOG_MAX)))
            return err_set(err, ERR_FAILED, "zstd: out of memory");
    }
    return 0;
}

int image_inflate_new(struct image_inflate **out, const struct image_inflate_opts *o,
                      struct err *err)
{
    _cleanup_(image_inflate_freep) struct image_inflate *i = NEW(struct image_inflate);

    check(o->offset >= 0);
    check(o->max_bytes > 0);
    i->fd = o->fd;
    i->offset = o->offset;
    i->left = o->length;
    i->max = o->max_bytes;
    i->hash_in = o->hash_in;
    i->hash_out = o->hash_out;
    crypto_digest_init(&i->d_in, CRYPTO_SHA256);
    crypto_digest_init(&i->d_out, CRYPTO_SHA256);
    if (inflate_start(i, err) < 0)
        return -1;
    *out = TAKE(i);
    return 0;
}

enum image_codec image_inflate_codec(const struct image_inflate *i)
{
    return i->codec;
}

int64_t image_inflate_in(const struct image_inflate *i)
{
    return i->n_in;
}

int64_t image_inflate_out(const struct image_inflate *i)
{
    return i->n_out;
}

/* Each gives bytes, 0 at the end of everything, -1. */

static ssize_t inflate_plain(struct image_inflate *i, void *p, size_t len, struct err *err)
{
    int more = inflate_fill(i, err);
    size_t n;

    if (more <= 0)
        return more;
    n = i->len - i->at < len ? i->len - i->at : len;
    memcpy(p, i->in + i->at, n);
    i->at += n;
    return (ssize_t)n;
}

/* One call of zlib. *done: the end of a member was reached. Bytes given, or -1. */
static ssize_t inflate_gzip_step(struct image_inflate *i, void *p, size_t len, bool *done,
                                 struct err *err)
{
    int r;

    i->z.next_in = i->in + i->at;
    i->z.avail_in = (unsigned)(i->len - i->at);
    i->z.next_out = p;
    i->z.avail_out = (unsigned)len;
    r = inflate(&i->z, Z_NO_FLUSH);
    i->at = i->len - i->z.avail_in;
    *done = r == Z_STREAM_END;
    if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
        return err_set(err, ERR_CORRUPT, "gzip: %s", i->z.msg ? i->z.msg : "bad data");
    return (ssize_t)(len - i->z.avail_out);
}

static ssize_t inflate_gzip(struct image_inflate *i, void *p, size_t len, struct err *err)
{
    for (;;) {
        int more = inflate_fill(i, err);
        bool done = false;
        ssize_t n;

        if (more < 0)
            return -1;
        if (more == 0)
            return i->z_fresh ? 0 : err_set(err, ERR_CORRUPT, "gzip: cut off");
        i->z_fresh = false;
        n = inflate_gzip_step(i, p, len > 1u << 30 ? 1u << 30 : len, &done, err);
        if (n < 0)
            return -1;
        if (done) {
            if (inflateReset(&i->z) != Z_OK)
                return err_set(err, ERR_FAILED, "gzip: reset");
            i->z_fresh = true;          /* another member may follow */
        }
        if (n > 0)
            return n;
    }
}

static ssize_t inflate_zstd(struct image_inflate *i, void *p, size_t len, struct err *err)
{
    ZSTD_outBuffer out = { p, len, 0 };

    while (out.pos == 0) {
        ZSTD_inBuffer in;
        int more = inflate_fill(i, err);

        if (more < 0)
            return -1;
        if (more == 0 && i->zstd_wants == 0)
            return 0;
        in = (ZSTD_inBuffer){ i->in, i->len, i->at };
        i->zstd_wants = ZSTD_decompressStream(i->zstd, &out, &in);
        i->at = in.pos;
        if (ZSTD_isError(i->zstd_wants))
            return err_set(err, ERR_CORRUPT, "zstd: %s", ZSTD_getErrorName(i->zstd_wants));
        if (more == 0 && out.pos == 0 && i->zstd_wants != 0)
            return err_set(err, ERR_CORRUPT, "zstd: cut off");
    }
    return (ssize_t)out.pos;
}

ssize_t image_inflate_read(struct image_inflate *i, void *p, size_t len, struct err *err)
{
    static ssize_t (*const codecs[])(struct image_inflate *, void *, size_t, struct err *) = {
        [IMAGE_PLAIN] = inflate_plain, [IMAGE_GZIP] = inflate_gzip, [IMAGE_ZSTD] = inflate_zstd,
    };
    ssize_t n;

    if (i->ended || len == 0)
        return 0;
    n = codecs[i->codec](i, p, len, err);
    if (n < 0)
        return -1;
    if (n == 0)
        i->ended = true;
    i->n_out += n;
    if (i->n_out > i->max)
        return err_set(err, ERR_QUOTA, "more than %lld bytes when unpacked", (long long)i->max);
    if (i->hash_out)
        crypto_digest_add(&i->d_out, p, (size_t)n);
    return n;
}

static void inflate_digest_text(char out[IMAGE_INFLATE_DIGEST_BYTES], struct crypto_digest *d)
{
    unsigned char sum[CRYPTO_SHA256_BYTES];

    crypto_digest_end(d, sum);
    memcpy(out, "sha256:", 7);
    crypto_hex(out + 7, sum, sizeof(sum));
}

int image_inflate_digests(struct image_inflate *i, char in[IMAGE_INFLATE_DIGEST_BYTES],
                          char out[IMAGE_INFLATE_DIGEST_BYTES], struct err *err)
{
    _cleanup_(mem_freep) char *block = mem_alloc(64u << 10);
    ssize_t n;

    do
        n = image_inflate_read(i, block, 64u << 10, err);
    while (n > 0);
    if (n < 0)
        return -1;
    if (i->hash_in)
        inflate_digest_text(in, &i->d_in);
    if (i->hash_out)
        inflate_digest_text(out, &i->d_out);
    return 0;
}
