#include "core/http/spdy_frame.h"

#include "core/base/check.h"
#include "core/base/vec.h"

/* The dictionary: these words, each after its length in four bytes, then the text without lengths.
 */
static const char *const dictionary_words[] = {
    "options",
    "head",
    "post",
    "put",
    "delete",
    "trace",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-base",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "method",
    "get",
    "status",
    "200 OK",
    "version",
    "HTTP/1.1",
    "url",
    "public",
    "set-cookie",
    "keep-alive",
    "origin",
};
static const char dictionary_text[] =
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 "
    "Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, "
    "GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/"
    "plain,"
    "text/"
    "javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq="
    "0.";

#define DICTIONARY_BYTES 1423
#define DICTIONARY_ADLER 0xe3c6a7c2u

static void dictionary_build(struct buf *b)
{
    for (size_t i = 0; i < ARRAY_LEN(dictionary_words); i++) {
        size_t len = strlen(dictionary_words[i]);

        buf_add(b, (char[]){ 0, 0, 0, (char)len }, 4);
        buf_add(b, dictionary_words[i], len);
    }
    buf_str(b, dictionary_text);
    check(b->len == DICTIONARY_BYTES);
    check(adler32(adler32(0, NULL, 0), (unsigned char *)b->p, (unsigned)b->len) ==
          DICTIONARY_ADLER);
}

void spdy_codec_deinit(struct spdy_codec *c)
{
    if (c->has_in)
        inflateEnd(&c->in);
    if (c->has_out)
        deflateEnd(&c->out);
    c->has_in = c->has_out = false;
}

static int codec_dictionary(struct spdy_codec *c)
{
    _cleanup_buf_ struct buf d = BUF_INIT;

    dictionary_build(&d);
    return inflateSetDictionary(&c->in, (unsigned char *)d.p, (unsigned)d.len) == Z_OK ? 0 : -1;
}

static int codec_inflate(struct spdy_codec *c, struct buf *out, struct slice block, struct err *err)
{
    if (!c->has_in && inflateInit(&c->in) != Z_OK)
        return err_set(err, ERR_FAILED, "start zlib");
    c->has_in = true;
    c->in.next_in = (unsigned char *)(uintptr_t)block.p;
    c->in.avail_in = (unsigned)block.len;
    while (c->in.avail_in) {
        unsigned char chunk[2048];
        int rc;

        c->in.next_out = chunk;
        c->in.avail_out = sizeof(chunk);
        rc = inflate(&c->in, Z_SYNC_FLUSH);
        if (rc == Z_NEED_DICT) {
            if (codec_dictionary(c) < 0)
                return err_set(err, ERR_CORRUPT, "headers use another dictionary");
            continue;
        }
        if (rc != Z_OK)
            return err_set(err, ERR_CORRUPT, "headers cannot be decompressed");
        buf_add(out, chunk, sizeof(chunk) - c->in.avail_out);
        if (out->len > SPDY_HEADERS_MAX)
            return err_set(err, ERR_QUOTA, "headers have more than %u bytes", SPDY_HEADERS_MAX);
    }
    return 0;
}

static int codec_number(struct slice *s, size_t *out)
{
    const unsigned char *p = (const unsigned char *)s->p;

    if (s->len < 4)
        return -1;
    *out = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    s->p += 4;
    s->len -= 4;
    return 0;
}

static int codec_text(struct slice *s, struct slice *out)
{
    size_t len;

    if (codec_number(s, &len) < 0 || len > s->len)
        return -1;
    *out = (struct slice){ s->p, len };
    s->p += len;
    s->len -= len;
    return 0;
}

struct codec_at { VEC(size_t) v; };

/* One name with its values; offsets of both go to `at`. */
static int codec_pair(struct slice *rest, struct buf *text, struct codec_at *at)
{
    struct slice name, values, value;

    if (codec_text(rest, &name) < 0 || codec_text(rest, &values) < 0 || !name.len ||
        memchr(name.p, 0, name.len))
        return -1;
    do {
        if (!slice_split(&values, 0, &value))
            break;
        if (at->v.len / 2 >= SPDY_PAIRS_MAX)
            return -1;
        vec_push(&at->v, text->len);
        for (size_t i = 0; i < name.len; i++)
            buf_chr(text, name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] | 0x20 : name.p[i]);
        buf_chr(text, 0);
        vec_push(&at->v, text->len);
        buf_add(text, value.p, value.len);
        buf_chr(text, 0);
    } while (values.len);
    return 0;
}

int spdy_codec_read(struct spdy_codec *c, struct buf *text, struct http_field **fields, unsigned *n,
                    struct slice block, struct err *err)
{
    _cleanup_buf_ struct buf plain = BUF_INIT;
    struct codec_at at = { { 0 } };
    struct slice rest;
    size_t pairs = 0;
    int rc = 0;

    if (codec_inflate(c, &plain, block, err) < 0)
        return -1;
    rest = (struct slice){ plain.p, plain.len };
    if (codec_number(&rest, &pairs) < 0 || pairs > SPDY_PAIRS_MAX)
        return err_set(err, ERR_CORRUPT, "malformed headers");
    while (rc == 0 && pairs--)
        rc = codec_pair(&rest, text, &at);
    if (rc == 0 && !rest.len) {
        *n = (unsigned)(at.v.len / 2);
        *fields = *n ? mem_alloc_array(*n, sizeof(**fields)) : NULL;
        for (unsigned i = 0; i < *n; i++)
            (*fields)[i] =
                (struct http_field){ text->p + at.v.v[2 * i], text->p + at.v.v[2 * i + 1] };
    } else {
        rc = err_set(err, ERR_CORRUPT, "malformed headers");
    }
    vec_deinit(&at.v);
    return rc;
}

static void codec_put(struct buf *b, size_t v)
{
    buf_add(b, (char[]){ (char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v }, 4);
}

int spdy_codec_write(struct spdy_codec *c, struct buf *out, const struct http_field *fields,
                     unsigned n, struct err *err)
{
    _cleanup_buf_ struct buf plain = BUF_INIT;
    _cleanup_buf_ struct buf d = BUF_INIT;

    if (!c->has_out) {
        /* a small window is enough and takes 10 KB instead of 260 */
        if (deflateInit2(&c->out, 1, Z_DEFLATED, 11, 1, Z_DEFAULT_STRATEGY) != Z_OK)
            return err_set(err, ERR_FAILED, "start zlib");
        c->has_out = true;
        dictionary_build(&d);
        check(deflateSetDictionary(&c->out, (unsigned char *)d.p, (unsigned)d.len) == Z_OK);
    }
    codec_put(&plain, n);
    for (unsigned i = 0; i < n; i++) {
        codec_put(&plain, strlen(fields[i].name));
        buf_str(&plain, fields[i].name);
        codec_put(&plain, strlen(fields[i].value));
        buf_str(&plain, fields[i].value);
    }
    c->out.next_in = (unsigned char *)plain.p;
    c->out.avail_in = (unsigned)plain.len;
    do {
        unsigned char chunk[512];

        c->out.next_out = chunk;
        c->out.avail_out = sizeof(chunk);
        check(deflate(&c->out, Z_SYNC_FLUSH) != Z_STREAM_ERROR);
        buf_add(out, chunk, sizeof(chunk) - c->out.avail_out);
    } while (c->out.avail_out == 0);
    return 0;
}
