/* slice_file.c -- the map in memory, and what a write is made of.
 *
 * An entry whose text is not NULL differs from the disk. A write borrows nothing: it holds copies
 * of what is new, and places in the old file of what a replacement carries over.
 */
#include "core/client/slice_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/vec.h"
#include "core/client/slice_record.h"
#include "core/crypto/crypto.h"

#define FILE_BYTES_MAX (4ull * SLICE_FILE_BYTES_MAX)
#define RECORD_BYTES 39                  /* around key and value */

struct entry {
    unsigned char mark[SLICE_RECORD_MARK];
    bool gone;                           /* to be struck from the disk, then forgotten */
    bool dirty;
    uint64_t seq;                        /* of its last change */
    char *text;                          /* as on the disk (sealed); NULL: see place */
    size_t len, place;
};

struct slice_file {
    int dir, fd;
    char *name, *scope;
    bool sealed, read_only, known, whole, damaged, full, busy;
    bool anew;                           /* the next write replaces the file */
    unsigned char seal[CRYPTO_SEAL_KEY_BYTES];
    unsigned char nonce[SLICE_RECORD_NONCE];
    struct map *entries;
    size_t live, end;                    /* bytes of what counts; of the file */
    size_t n_dirty;
    uint64_t seq;
};

/* One record of a write. */
struct piece {
    char *key;
    struct entry now;                    /* its text is ours */
    size_t to;                           /* place of its value in the new file */
};

struct slice_write {
    int dir, fd;                         /* fd: the old file. Both are the slice_file's */
    char *name;
    char *scope;
    bool anew;
    unsigned char nonce[SLICE_RECORD_NONCE];
    size_t end;
    VEC(struct piece) pieces;
    int made;                            /* the new file */
    struct err err;
};

/* --- sealing */

static void make_bind(struct buf *out, const struct slice_file *f, const char *key)
{
    buf_fmt(out, "%s|%s|%s", f->scope, f->name, key);
}

static void make_mark(unsigned char out[SLICE_RECORD_MARK], const struct slice_file *f,
                      struct slice text)
{
    unsigned char sum[CRYPTO_SHA256_BYTES];

    if (f->sealed)
        crypto_hmac_sha256(sum, (struct slice){ (const char *)f->seal, sizeof(f->seal) }, text.p,
                           text.len);
    else
        crypto_sha256(sum, text.p, text.len);
    memcpy(out, sum, SLICE_RECORD_MARK);
}

static int store(struct buf *out, const struct slice_file *f, const char *key, struct slice value)
{
    _cleanup_buf_ struct buf bind = BUF_INIT;

    if (!f->sealed) {
        buf_add(out, value.p, value.len);
        return 0;
    }
    make_bind(&bind, f, key);
    return crypto_seal(out, f->seal, (struct slice){ bind.p, bind.len }, value, NULL);
}

/* --- entries */

/* What an entry costs in a file. */
static size_t cost(const char *key, size_t len)
{
    return len + strlen(key) + RECORD_BYTES;
}

static void entry_free(void *p)
{
    struct entry *e = p;

    mem_free(e->text);
    mem_free(e);
}

static void forget(struct slice_file *f, const char *key)
{
    struct entry *e = map_get(f->entries, key);

    f->n_dirty -= e->dirty;
    f->live -= e->gone ? 0 : cost(key, e->len);
    map_del(f->entries, key);
    entry_free(e);
}

static void touch(struct slice_file *f, struct entry *e)
{
    f->n_dirty += !e->dirty;
    e->dirty = true;
    e->seq = ++f->seq;
}

static void take(struct slice_file *f, const struct slice_record *r, size_t place)
{
    _cleanup_(mem_freep) char *key = mem_strndup(r->key.p, r->key.len);
    struct entry *e = map_get(f->entries, key);

    if (r->gone) {
        if (e)
            forget(f, key);
        return;
    }
    if (!e) {
        e = NEW(struct entry);
        map_put(f->entries, key, e);
    } else {
        f->live -= cost(key, e->len);
    }
    f->live += cost(key, r->value.len);
    memcpy(e->mark, r->mark, sizeof(e->mark));
    e->place = place;
    e->len = r->value.len;
}

/* --- reading */

static void read_all(struct slice_file *f, struct slice text)
{
    struct slice_reader r;
    struct slice_record rec;

    if (!slice_record_open(&r, text)) {
        f->damaged = text.len > 0;
        return;
    }
    if (!slice_is(r.scope, f->scope))
        return;
    while (slice_record_next(&r, &rec))
        take(f, &rec, (size_t)(rec.value.p - text.p));
    f->known = true;
    f->damaged = r.at < text.len;
    f->anew = f->damaged;
    f->end = r.at;
    memcpy(f->nonce, r.nonce, sizeof(f->nonce));
}

static int read_whole(struct buf *out, const struct slice_file *f, struct err *err)
{
    struct stat st;
    size_t done = 0;

    if (fstat(f->fd, &st) < 0)
        return err_sys(err, "slice %s", f->name);
    if (!S_ISREG(st.st_mode))
        return 0;
    if ((uint64_t)st.st_size > FILE_BYTES_MAX)
        return err_set(err, ERR_QUOTA, "slice %s is larger than %llu bytes", f->name,
                       FILE_BYTES_MAX);
    buf_reserve(out, (size_t)st.st_size);
    while (done < (size_t)st.st_size) {
        ssize_t n = pread(f->fd, out->p + done, (size_t)st.st_size - done, (off_t)done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, "read slice %s", f->name);
        if (n == 0)
            break;
        done += (size_t)n;
    }
    out->len = done;
    return 0;
}

static int open_file(struct slice_file *f, const struct slice_file_opts *o, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;

    if (f->read_only)
        f->fd = o->fd;
    else
        f->fd = openat(f->dir, f->name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (f->fd < 0)
        return f->read_only || errno == ENOENT ? 0 : err_sys(err, "open slice %s", f->name);
    if (read_whole(&text, f, err) < 0)
        return -1;
    read_all(f, (struct slice){ text.p, text.len });
    return 0;
}

int slice_file_open(struct slice_file **out, const struct slice_file_opts *o, struct err *err)
{
    _cleanup_(slice_file_freep) struct slice_file *f = NEW(struct slice_file);

    check(strlen(o->scope) <= SLICE_RECORD_SCOPE_MAX);
    f->dir = o->dir;
    f->fd = -1;
    f->name = mem_strdup(o->name);
    f->scope = mem_strdup(o->scope);
    f->read_only = o->dir < 0;
    f->entries = map_new();
    f->anew = true;
    f->sealed = o->seal;
    if (o->seal)
        memcpy(f->seal, o->seal, sizeof(f->seal));
    if (open_file(f, o, err) < 0)
        return -1;
    *out = TAKE(f);
    return 0;
}

struct slice_file *slice_file_free(struct slice_file *f)
{
    if (!f)
        return NULL;
    check(!f->busy);
    fd_close(f->fd);
    map_free(f->entries, entry_free);
    memset(f->seal, 0, sizeof(f->seal));
    mem_free(f->name);
    mem_free(f->scope);
    return mem_free(f);
}

bool slice_file_is_known(const struct slice_file *f) { return f->known || f->whole; }
bool slice_file_is_written(const struct slice_file *f) { return f->known; }
bool slice_file_is_damaged(const struct slice_file *f) { return f->damaged; }
bool slice_file_is_full(const struct slice_file *f) { return f->full; }

bool slice_file_has(const struct slice_file *f, const char *key)
{
    const struct entry *e = map_get(f->entries, key);

    return e && !e->gone;
}

static int read_place(struct buf *out, int fd, size_t len, size_t place)
{
    buf_reserve(out, len);
    for (size_t done = 0; done < len;) {
        ssize_t n = pread(fd, out->p + out->len, len - done, (off_t)(place + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        done += (size_t)n;
        out->len += (size_t)n;
    }
    return 0;
}

int slice_file_get(const struct slice_file *f, const char *key, struct buf *out, struct err *err)
{
    _cleanup_buf_ struct buf bytes = BUF_INIT, bind = BUF_INIT;
    const struct entry *e = map_get(f->entries, key);

    if (!e || e->gone)
        return err_set(err, ERR_NOT_FOUND, "%s: %s is not kept", f->name, key);
    if (e->text)
        buf_add(&bytes, e->text, e->len);
    else if (read_place(&bytes, f->fd, e->len, e->place) < 0)
        return err_sys(err, "read %s of slice %s", key, f->name);
    if (!f->sealed) {
        buf_add(out, bytes.p, bytes.len);
        return 0;
    }
    make_bind(&bind, f, key);
    return crypto_open(out, f->seal, (struct slice){ bind.p, bind.len },
                       (struct slice){ bytes.p, bytes.len }, err);
}

const char *slice_file_next(const struct slice_file *f, size_t *at)
{
    const char *key;
    void *value;

    while (map_next(f->entries, at, &key, &value))
        if (!((struct entry *)value)->gone)
            return key;
    return NULL;
}

/* --- changing */

void slice_file_put(struct slice_file *f, const char *key, struct slice value, struct slice mark)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct entry *e = map_get(f->entries, key);
    unsigned char sum[SLICE_RECORD_MARK];
    size_t before = e && !e->gone ? cost(key, e->len) : 0;

    make_mark(sum, f, mark);
    if (e && !e->gone && memcmp(e->mark, sum, sizeof(sum)) == 0)
        return;
    if (value.len > SLICE_RECORD_VALUE_MAX - CRYPTO_SEAL_OVERHEAD ||
        strlen(key) > SLICE_RECORD_KEY_MAX ||
        f->live - before + cost(key, value.len) > SLICE_FILE_BYTES_MAX ||
        store(&text, f, key, value) < 0) {
        f->full = true;                  /* better nothing than what is out of date */
        slice_file_del(f, key);
        return;
    }
    if (!e) {
        e = NEW(struct entry);
        map_put(f->entries, key, e);
    }
    mem_free(e->text);
    e->len = text.len;
    e->text = buf_take(&text, NULL);
    e->gone = false;
    memcpy(e->mark, sum, sizeof(sum));
    f->live += cost(key, e->len) - before;
    touch(f, e);
}

void slice_file_del(struct slice_file *f, const char *key)
{
    struct entry *e = map_get(f->entries, key);

    if (!e || e->gone)
        return;
    f->live -= cost(key, e->len);
    e->gone = true;
    e->text = mem_free(e->text);
    e->len = 0;
    touch(f, e);
}

void slice_file_set_whole(struct slice_file *f)
{
    f->whole = true;
}

bool slice_file_is_dirty(const struct slice_file *f)
{
    return !f->read_only && slice_file_is_known(f) && (f->n_dirty > 0 || !f->known || f->damaged);
}

/* --- writing */

static bool wants_anew(const struct slice_file *f)
{
    return f->anew || !f->known || f->fd < 0 || f->end > 2 * f->live + SLICE_FILE_SLACK;
}

static void add_piece(struct slice_write *w, const char *key, const struct entry *e)
{
    struct piece p = { .key = mem_strdup(key), .now = *e };

    if (e->text) {
        p.now.text = mem_alloc(e->len + 1);
        memcpy(p.now.text, e->text, e->len);
    }
    vec_push(&w->pieces, p);
}

struct slice_write *slice_file_begin(struct slice_file *f)
{
    struct slice_write *w;
    const char *key;
    void *value;

    if (f->busy || !slice_file_is_dirty(f))
        return NULL;
    w = NEW(struct slice_write);
    w->dir = f->dir;
    w->fd = f->fd;
    w->made = -1;
    w->name = mem_strdup(f->name);
    w->scope = mem_strdup(f->scope);
    w->anew = wants_anew(f);
    w->end = w->anew ? 0 : f->end;
    memcpy(w->nonce, f->nonce, sizeof(w->nonce));
    if (w->anew)
        crypto_random(w->nonce, sizeof(w->nonce));
    for (size_t at = 0; map_next(f->entries, &at, &key, &value);) {
        const struct entry *e = value;

        if (e->dirty || (w->anew && !e->gone))
            add_piece(w, key, e);
    }
    f->busy = true;
    return w;
}

static int render(struct buf *out, struct slice_write *w, struct err *err)
{
    if (w->anew)
        slice_record_head(out, w->nonce, w->scope);
    for (size_t i = 0; i < w->pieces.len; i++) {
        struct piece *p = &w->pieces.v[i];
        _cleanup_buf_ struct buf old = BUF_INIT;
        struct slice_record r = { .gone = p->now.gone, .key = slice_of(p->key),
                                  .value = { p->now.text ? p->now.text : "", p->now.len } };

        if (w->anew && p->now.gone)
            continue;
        if (!p->now.text && !p->now.gone) {
            if (read_place(&old, w->fd, p->now.len, p->now.place) < 0)
                return err_sys(err, "read slice %s", w->name);
            r.value = (struct slice){ old.p, old.len };
        }
        memcpy(r.mark, p->now.mark, sizeof(r.mark));
        slice_record_add(out, w->end, w->nonce, &r);
        p->to = w->end + out->len - r.value.len - 16;
    }
    return 0;
}

static int append(struct slice_write *w, struct slice text, struct err *err)
{
    size_t done = 0;

    while (done < text.len) {
        ssize_t n = pwrite(w->fd, text.p + done, text.len - done, (off_t)(w->end + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, "write slice %s", w->name);
        done += (size_t)n;
    }
    return fdatasync(w->fd) < 0 ? err_sys(err, "sync slice %s", w->name) : 0;
}

static int replace(struct slice_write *w, struct slice text, struct err *err)
{
    if (fd_write_file(w->dir, w->name, text.p, text.len, 0600, err) < 0)
        return err_wrap(err, "slice");
    w->made = openat(w->dir, w->name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    return w->made < 0 ? err_sys(err, "open slice %s", w->name) : 0;
}

void slice_file_run(struct slice_write *w)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct slice all;

    if (render(&text, w, &w->err) < 0)
        return;
    all = (struct slice){ text.p ? text.p : "", text.len };
    if ((w->anew ? replace(w, all, &w->err) : append(w, all, &w->err)) == 0)
        w->end += text.len;
}

static void piece_home(struct slice_file *f, const struct piece *p)
{
    struct entry *e = map_get(f->entries, p->key);

    if (!e)
        return;
    if (!e->text || e->seq == p->now.seq)
        e->place = p->to;
    if (e->seq != p->now.seq)
        return;                          /* changed meanwhile: it is still dirty */
    if (e->gone) {
        forget(f, p->key);
        return;
    }
    e->text = mem_free(e->text);
    f->n_dirty -= e->dirty;
    e->dirty = false;
}

static void write_home(struct slice_file *f, struct slice_write *w)
{
    for (size_t i = 0; i < w->pieces.len; i++)
        piece_home(f, &w->pieces.v[i]);
    if (w->anew) {
        fd_close(f->fd);
        f->fd = TAKE_FD(w->made);
        memcpy(f->nonce, w->nonce, sizeof(f->nonce));
    }
    f->end = w->end;
    f->known = true;
    f->anew = f->damaged = false;
}

int slice_file_end(struct slice_file *f, struct slice_write *w, struct err *err)
{
    int result = w->err.code ? -1 : 0;

    f->busy = false;
    if (result == 0)
        write_home(f, w);
    else
        f->anew = true;                  /* whatever got there */
    if (result < 0 && err)
        *err = w->err;
    for (size_t i = 0; i < w->pieces.len; i++) {
        mem_free(w->pieces.v[i].key);
        mem_free(w->pieces.v[i].now.text);
    }
    vec_deinit(&w->pieces);
    fd_close(w->made);
    mem_free(w->name);
    mem_free(w->scope);
    mem_free(w);
    return result;
}
