/* image_tar.c -- one header block after another; special entries change the meaning of the next
 * one.
 *
 *   [pax 'x'] [GNU 'L'] [GNU 'K']  header  data, padded to 512   ...   two blocks of zeros
 */
#include "runtime/image/image_tar.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/mem.h"
#include "core/base/str.h"

#define TAR_BLOCK 512
#define TAR_SPECIALS_MAX 16             /* headers that belong to one entry */

struct tar_header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100];
    char magic[6], version[2], uname[32], gname[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct tar_header) == TAR_BLOCK, "a header is one block");

struct image_tar {
    image_tar_read_fn *read;
    void *ctx;
    int64_t at;                         /* bytes read of the archive */
    int64_t left;                       /* data of the entry not read yet */
    unsigned pad;                       /* zeros after it */
    bool ended;
    struct image_tar_entry e;
    struct buf path, link, pax;         /* where e's texts live */
    bool has_path, has_link, has_size, has_uid, has_gid, has_mtime;
};

struct image_tar *image_tar_new(image_tar_read_fn *read, void *ctx)
{
    struct image_tar *t = NEW(struct image_tar);

    check(read);
    t->read = read;
    t->ctx = ctx;
    return t;
}

struct image_tar *image_tar_free(struct image_tar *t)
{
    if (!t)
        return NULL;
    buf_deinit(&t->path);
    buf_deinit(&t->link);
    buf_deinit(&t->pax);
    return mem_free(t);
}

int64_t image_tar_offset(const struct image_tar *t)
{
    return t->at;
}

/* --- bytes */

/* Exactly len, or 0 bytes when `end_ok` and the archive ends here. Returns bytes or -1. */
static ssize_t tar_fill(struct image_tar *t, void *p, size_t len, bool end_ok, struct err *err)
{
    size_t got = 0;

    while (got < len) {
        ssize_t n = t->read(t->ctx, (char *)p + got, len - got, err);

        if (n < 0)
            return -1;
        if (n == 0 && got == 0 && end_ok)
            return 0;
        if (n == 0)
            return err_set(err, ERR_CORRUPT, "tar: cut off after %lld bytes", (long long)t->at);
        got += (size_t)n;
        t->at += n;
    }
    return (ssize_t)got;
}

static int tar_skip(struct image_tar *t, struct err *err)
{
    char block[8192];

    while (t->left > 0) {
        size_t n = t->left < (int64_t)sizeof(block) ? (size_t)t->left : sizeof(block);

        if (tar_fill(t, block, n, false, err) < 0)
            return -1;
        t->left -= (int64_t)n;
    }
    /* An archive may end with its last byte of data: some tools write layers so, Go reads them. */
    while (t->pad > 0) {
        ssize_t n = t->read(t->ctx, block, t->pad, err);

        if (n < 0)
            return -1;
        t->at += n;
        t->pad = n ? t->pad - (unsigned)n : 0;
    }
    return 0;
}

ssize_t image_tar_data(struct image_tar *t, void *p, size_t len, struct err *err)
{
    ssize_t n;

    if (t->left == 0 || len == 0)
        return 0;
    n = t->read(t->ctx, p, t->left < (int64_t)len ? (size_t)t->left : len, err);
    if (n == 0)
        return err_set(err, ERR_CORRUPT, "tar: cut off in %.200s", t->e.path);
    if (n < 0)
        return -1;
    t->at += n;
    t->left -= n;
    return n;
}

static void tar_set_left(struct image_tar *t, int64_t size)
{
    t->left = size;
    t->pad = (unsigned)(-(uint64_t)size % TAR_BLOCK);
}

/* --- numbers */

static int tar_bad(struct err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "tar: %s is not a number in range", what);
}

/* Octal, padded by blanks or NULs; or, with the first bit set, big endian two's complement (GNU).
 * */
static int tar_number(int64_t *out, const char *p, size_t len, const char *what, struct err *err)
{
    const unsigned char *u = (const unsigned char *)p;
    uint64_t v = 0;
    size_t i = 0;

    if (u[0] & 0x80) {
        bool negative = u[0] & 0x40;

        v = negative ? ~(uint64_t)0 : 0;
        for (i = 0; i < len; i++) {
            unsigned byte = i == 0 ? (negative ? u[0] | 0x80u : u[0] & 0x7fu) : u[i];

            if (v >> 56 != (negative ? 0xffu : 0))
                return tar_bad(err, what);
            v = v << 8 | byte;
        }
        if ((int64_t)v < 0 ? !negative : negative)
            return tar_bad(err, what);
        *out = (int64_t)v;
        return 0;
    }
    while (i < len && u[i] == ' ')
        i++;
    for (; i < len && u[i] >= '0' && u[i] <= '7'; i++) {
        if (v >> 60)
            return tar_bad(err, what);
        v = v << 3 | (u[i] - '0');
    }
    for (; i < len; i++)
        if (u[i] != ' ' && u[i] != 0)
            return tar_bad(err, what);
    *out = (int64_t)v;
    return 0;
}

static int tar_id(uint32_t *out, const char *p, const char *what, struct err *err)
{
    int64_t v;

    if (tar_number(&v, p, 8, what, err) < 0)
        return -1;
    if (v < 0 || v >= UINT32_MAX)       /* -1 means "leave as it is" to chown */
        return tar_bad(err, what);
    *out = (uint32_t)v;
    return 0;
}

/* "12.345", "-3": seconds and nanoseconds, the latter never negative. */
static int tar_pax_time(int64_t *s, uint32_t *ns, const char *text, struct err *err)
{
    bool negative = *text == '-';
    uint32_t frac = 0, scale = 100000000;
    char *end;
    long long v;

    errno = 0;
    v = strtoll(text, &end, 10);
    if (end == text || errno || (*end != '.' && *end))
        return tar_bad(err, "mtime");
    if (*end == '.')
        for (end++; *end >= '0' && *end <= '9'; end++, scale /= 10)
            frac += (uint32_t)(*end - '0') * scale;
    if (*end)
        return tar_bad(err, "mtime");
    if (negative && frac > 0) {
        v--;
        frac = 1000000000 - frac;
    }
    *s = v;
    *ns = frac;
    return 0;
}

/* --- pax headers */

static int tar_pax_xattr(struct image_tar *t, const char *name, const char *value, size_t len,
                         struct err *err)
{
    struct image_tar_entry *e = &t->e;

    if (e->n_xattrs == IMAGE_TAR_XATTRS_MAX)
        return err_set(err, ERR_QUOTA, "tar: more than %d extended attributes",
                       IMAGE_TAR_XATTRS_MAX);
    if (len > IMAGE_TAR_XATTR_BYTES_MAX || strlen(name) > 255)
        return err_set(err, ERR_QUOTA, "tar: an extended attribute of %zu bytes", len);
    e->xattrs[e->n_xattrs++] = (struct image_tar_xattr){ name, value, len };
    return 0;
}

static int tar_pax_text(struct buf *out, bool *has, const char *value, size_t len, struct err *err)
{
    if (strlen(value) != len)
        return err_set(err, ERR_CORRUPT, "tar: a NUL in a name");
    buf_clear(out);
    buf_add(out, value, len);
    *has = len > 0;
    return 0;
}

static int tar_pax_i64(int64_t *out, bool *has, const char *value, int64_t max, const char *what,
                       struct err *err)
{
    if (str_to_i64(value, 0, max, out, NULL) < 0)
        return tar_bad(err, what);
    *has = true;
    return 0;
}

/* key and value are terminated. */
static int tar_pax_record(struct image_tar *t, const char *key, const char *value, size_t len,
                          struct err *err)
{
    int64_t v = 0;
    int r = 0;

    if (str_eq(key, "path"))
        return tar_pax_text(&t->path, &t->has_path, value, len, err);
    if (str_eq(key, "linkpath"))
        return tar_pax_text(&t->link, &t->has_link, value, len, err);
    if (str_eq(key, "size"))
        return tar_pax_i64(&t->e.size, &t->has_size, value, INT64_MAX / 2, "size", err);
    if (str_eq(key, "uid")) {
        r = tar_pax_i64(&v, &t->has_uid, value, UINT32_MAX - 1, "uid", err);
        t->e.uid = (uint32_t)v;
    } else if (str_eq(key, "gid")) {
        r = tar_pax_i64(&v, &t->has_gid, value, UINT32_MAX - 1, "gid", err);
        t->e.gid = (uint32_t)v;
    } else if (str_eq(key, "mtime")) {
        t->has_mtime = true;
        r = tar_pax_time(&t->e.mtime_s, &t->e.mtime_ns, value, err);
    } else if (str_starts(key, "SCHILY.xattr.")) {
        r = tar_pax_xattr(t, key + strlen("SCHILY.xattr."), value, len, err);
    } else if (str_starts(key, "GNU.sparse.")) {
        r = err_set(err, ERR_UNSUPPORTED, "tar: sparse files are not supported");
    }
    return r;           /* others (atime, comment, ...) say nothing that we need */
}

/* Records "LENGTH KEY=VALUE\n", LENGTH counting all of it. Terminates keys and values in place. */
static int tar_pax_parse(struct image_tar *t, struct err *err)
{
    char *p = t->pax.p, *end = p + t->pax.len;

    t->e.n_xattrs = 0;
    while (p < end) {
        char *digits = p, *eq;
        size_t len = 0;

        while (p < end && *p >= '0' && *p <= '9' && len < IMAGE_TAR_HEADER_BYTES_MAX)
            len = len * 10 + (size_t)(*p++ - '0');
        if (p == end || *p != ' ' || len > (size_t)(end - digits) ||
            len <= (size_t)(p - digits) + 1)
            return err_set(err, ERR_CORRUPT, "tar: bad pax header");
        p++;
        eq = memchr(p, '=', len - (size_t)(p - digits));
        if (!eq || eq == p || digits[len - 1] != '\n')
            return err_set(err, ERR_CORRUPT, "tar: bad pax header");
        *eq = 0;
        digits[len - 1] = 0;
        if (tar_pax_record(t, p, eq + 1, (size_t)(digits + len - 1 - (eq + 1)), err) < 0)
            return -1;
        p = digits + len;
    }
    return 0;
}

/* The data of a special header, whole. */
static int tar_slurp(struct image_tar *t, struct buf *out, int64_t size, struct err *err)
{
    if (size < 0 || size > IMAGE_TAR_HEADER_BYTES_MAX)
        return err_set(err, ERR_QUOTA, "tar: a header of %lld bytes, more than %u", (long long)size,
                       IMAGE_TAR_HEADER_BYTES_MAX);
    buf_clear(out);
    buf_reserve(out, (size_t)size + 1);
    if (size > 0 && tar_fill(t, out->p, (size_t)size, false, err) < 0)
        return -1;
    out->len = (size_t)size;
    out->p[size] = 0;
    tar_set_left(t, size);
    t->left = 0;
    return tar_skip(t, err);
}

/* --- headers */

static bool tar_is_zero(const struct tar_header *h)
{
    const char *p = (const char *)h;

    return p[0] == 0 && memcmp(p, p + 1, TAR_BLOCK - 1) == 0;
}

static int tar_check_sum(const struct tar_header *h, struct err *err)
{
    const unsigned char *p = (const unsigned char *)h;
    size_t from = __builtin_offsetof(struct tar_header, sum);
    int64_t want, sum = 0, signed_sum = 0;

    for (size_t i = 0; i < TAR_BLOCK; i++) {
        unsigned char c = i >= from && i < from + sizeof(h->sum) ? ' ' : p[i];

        sum += c;
        signed_sum += (signed char)c;
    }
    if (tar_number(&want, h->sum, sizeof(h->sum), "checksum", NULL) < 0 ||
        (want != sum && want != signed_sum))
        return err_set(err, ERR_CORRUPT, "tar: a header's checksum is wrong");
    return 0;
}

static int tar_set_type(struct image_tar_entry *e, char type, struct err *err)
{
    switch (type) {
    case '0': case 0: case '7': e->type = IMAGE_TAR_FILE; return 0;
    case '1': e->type = IMAGE_TAR_LINK; return 0;
    case '2': e->type = IMAGE_TAR_SYMLINK; return 0;
    case '3': e->type = IMAGE_TAR_CHAR; return 0;
    case '4': e->type = IMAGE_TAR_BLOCK; return 0;
    case '5': e->type = IMAGE_TAR_DIR; return 0;
    case '6': e->type = IMAGE_TAR_FIFO; return 0;
    case 'S': return err_set(err, ERR_UNSUPPORTED, "tar: sparse files are not supported");
    case 'M': return err_set(err, ERR_UNSUPPORTED, "tar: multi-volume archives are not supported");
    default: return err_set(err, ERR_UNSUPPORTED, "tar: unknown entry type 0x%02x",
                            (unsigned char)type);
    }
}

static void tar_names(struct image_tar *t, const struct tar_header *h)
{
    bool posix = memcmp(h->magic, "ustar\0", 6) == 0;

    if (!t->has_path) {
        buf_clear(&t->path);
        if (posix && h->prefix[0]) {
            buf_add(&t->path, h->prefix, strnlen(h->prefix, sizeof(h->prefix)));
            buf_chr(&t->path, '/');
        }
        buf_add(&t->path, h->name, strnlen(h->name, sizeof(h->name)));
    }
    if (!t->has_link) {
        buf_clear(&t->link);
        buf_add(&t->link, h->link, strnlen(h->link, sizeof(h->link)));
    }
    t->e.path = t->path.len > 0 ? t->path.p : "";
    t->e.link = t->link.len > 0 ? t->link.p : "";
}

static int tar_check_names(struct image_tar *t, struct err *err)
{
    struct image_tar_entry *e = &t->e;
    bool links = e->type == IMAGE_TAR_LINK || e->type == IMAGE_TAR_SYMLINK;

    if (!*e->path)
        return err_set(err, ERR_CORRUPT, "tar: an entry without a name");
    if (t->path.len > IMAGE_TAR_PATH_MAX || t->link.len > IMAGE_TAR_PATH_MAX)
        return err_set(err, ERR_QUOTA, "tar: a path longer than %d bytes", IMAGE_TAR_PATH_MAX);
    if (links && !*e->link)
        return err_set(err, ERR_CORRUPT, "tar: %.200s: a link to nothing", e->path);
    if (!links)
        e->link = "";
    if (e->type == IMAGE_TAR_FILE && e->path[t->path.len - 1] == '/')
        e->type = IMAGE_TAR_DIR;        /* before POSIX there was no type for it */
    return 0;
}

static int tar_numbers(struct image_tar *t, const struct tar_header *h, struct err *err)
{
    struct image_tar_entry *e = &t->e;
    bool device = e->type == IMAGE_TAR_CHAR || e->type == IMAGE_TAR_BLOCK;
    int64_t mode, size;

    if (tar_number(&mode, h->mode, sizeof(h->mode), "mode", err) < 0 ||
        tar_number(&size, h->size, sizeof(h->size), "size", err) < 0 ||
        (!t->has_uid && tar_id(&e->uid, h->uid, "uid", err) < 0) ||
        (!t->has_gid && tar_id(&e->gid, h->gid, "gid", err) < 0) ||
        (device && (tar_id(&e->dev_major, h->major, "device number", err) < 0 ||
                    tar_id(&e->dev_minor, h->minor, "device number", err) < 0)))
        return -1;
    if (!t->has_mtime) {
        e->mtime_ns = 0;
        if (tar_number(&e->mtime_s, h->mtime, sizeof(h->mtime), "mtime", err) < 0)
            return -1;
    }
    if (!device)
        e->dev_major = e->dev_minor = 0;
    if (!t->has_size)
        e->size = size;
    if (e->size < 0 || e->size > INT64_MAX / 2)
        return tar_bad(err, "size");
    e->mode = (mode_t)mode & 07777;
    return 0;
}

static int tar_entry(struct image_tar *t, const struct tar_header *h, struct err *err)
{
    if (tar_set_type(&t->e, h->type, err) < 0)
        return -1;
    tar_names(t, h);
    if (tar_numbers(t, h, err) < 0)
        return err_wrap(err, "%.200s", t->e.path);
    if (tar_check_names(t, err) < 0)
        return -1;
    /* The size of a link is that of its target in some archives: no data follows. */
    if (t->e.type != IMAGE_TAR_FILE)
        t->e.size = 0;
    tar_set_left(t, t->e.size);
    return 1;
}

/* A header that says something about the next one: 1 it was one, 0 it is a real entry, -1. */
static int tar_special(struct image_tar *t, const struct tar_header *h, struct err *err)
{
    _cleanup_buf_ struct buf ignored = BUF_INIT;
    int64_t size;

    if (!strchr("xgLKV", h->type) || h->type == 0)
        return 0;
    if (tar_number(&size, h->size, sizeof(h->size), "size", err) < 0)
        return -1;
    switch (h->type) {
    case 'x':
        return tar_slurp(t, &t->pax, size, err) < 0 || tar_pax_parse(t, err) < 0 ? -1 : 1;
    case 'L':
        if (tar_slurp(t, &t->path, size, err) < 0)
            return -1;
        t->path.len = strlen(t->path.p);
        t->has_path = true;
        return 1;
    case 'K':
        if (tar_slurp(t, &t->link, size, err) < 0)
            return -1;
        t->link.len = strlen(t->link.p);
        t->has_link = true;
        return 1;
    default:                            /* global pax headers, volume labels */
        return tar_slurp(t, &ignored, size, err) < 0 ? -1 : 1;
    }
}

int image_tar_next(const struct image_tar_entry **out, struct image_tar *t, struct err *err)
{
    struct tar_header h;

    if (t->ended)
        return 0;
    if (tar_skip(t, err) < 0)
        return -1;
    t->has_path = t->has_link = t->has_size = t->has_uid = t->has_gid = t->has_mtime = false;
    t->e.n_xattrs = 0;
    t->e.path = t->e.link = "";
    for (unsigned specials = 0; specials < TAR_SPECIALS_MAX; specials++) {
        ssize_t n = tar_fill(t, &h, sizeof(h), specials == 0, err);
        int r;

        if (n < 0)
            return -1;
        if (n == 0 || tar_is_zero(&h)) {
            t->ended = true;
            return specials == 0 ? 0 : err_set(err, ERR_CORRUPT, "tar: ends after a pax header");
        }
        if (tar_check_sum(&h, err) < 0 || (r = tar_special(t, &h, err)) < 0)
            return -1;
        if (r == 0) {
            if (tar_entry(t, &h, err) < 0)
                return -1;
            *out = &t->e;
            return 1;
        }
    }
    return err_set(err, ERR_CORRUPT, "tar: more than %d headers for one entry", TAR_SPECIALS_MAX);
}
