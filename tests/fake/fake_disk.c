/* fake_disk.c -- a VFS without an operating system. A file is what readers see, what the medium
 * holds, and the writes in between. */
#include "tests/fake/fake_disk.h"

#include <sqlite3.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/base/vec.h"

#define FAKE_DISK_NEVER UINT64_MAX

struct fake_disk_bytes { char *p; size_t len, cap; };

/* A write, or (p NULL) a truncation to `at`. */
struct fake_disk_change { char *p; size_t len, at; };

struct fake_disk_data {
    struct list link;
    char *name;
    struct fake_disk_bytes seen, medium;
    VEC(struct fake_disk_change) changes;       /* since the last sync */
    unsigned opens;
    bool gone;                                  /* deleted while open */
};

struct fake_disk {
    sqlite3_vfs vfs;
    struct list files;
    uint64_t random, ops, cut_at, fail_at;
    bool stopped, full, lies;
};

struct fake_disk_file {
    sqlite3_file base;
    struct fake_disk *disk;
    struct fake_disk_data *data;
    int persist_wal;
};

/* splitmix64 */
static uint64_t fake_disk_random(struct fake_disk *d)
{
    uint64_t x = d->random += 0x9e3779b97f4a7c15u;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* --- bytes */

static void fake_disk_resize(struct fake_disk_bytes *b, size_t len)
{
    if (len > b->cap) {
        b->cap = len * 2;
        b->p = mem_grow(b->p, b->cap);
    }
    if (len > b->len)
        memset(b->p + b->len, 0, len - b->len);
    b->len = len;
}

static void fake_disk_put(struct fake_disk_bytes *b, size_t at, const char *p, size_t len)
{
    if (at + len > b->len)
        fake_disk_resize(b, at + len);
    if (len > 0)
        memcpy(b->p + at, p, len);
}

static void fake_disk_copy(struct fake_disk_bytes *to, const struct fake_disk_bytes *from)
{
    to->len = 0;
    fake_disk_put(to, 0, from->len ? from->p : "", from->len);
}

static void fake_disk_forget(struct fake_disk_data *f)
{
    for (size_t i = 0; i < f->changes.len; i++)
        mem_free(f->changes.v[i].p);
    f->changes.len = 0;
}

static void fake_disk_reach(struct fake_disk_data *f, const struct fake_disk_change *c)
{
    if (c->p)
        fake_disk_put(&f->medium, c->at, c->p, c->len);
    else if (c->at < f->medium.len)
        f->medium.len = c->at;
}

/* Each sector got there or not. */
static void fake_disk_reach_partly(struct fake_disk *d, struct fake_disk_data *f)
{
    for (size_t i = 0; i < f->changes.len; i++) {
        const struct fake_disk_change *c = &f->changes.v[i];

        if (!c->p) {
            if (fake_disk_random(d) % 2)
                fake_disk_reach(f, c);
            continue;
        }
        for (size_t at = 0; at < c->len;) {
            size_t n = FAKE_DISK_SECTOR - (c->at + at) % FAKE_DISK_SECTOR;

            n = n < c->len - at ? n : c->len - at;
            if (fake_disk_random(d) % 2)
                fake_disk_put(&f->medium, c->at + at, c->p + at, n);
            at += n;
        }
    }
}

static struct fake_disk_data *fake_disk_find(struct fake_disk *d, const char *name)
{
    list_each(f, &d->files, struct fake_disk_data, link)
        if (!f->gone && strcmp(f->name, name) == 0)
            return f;
    return NULL;
}

static void fake_disk_drop(struct fake_disk_data *f)
{
    fake_disk_forget(f);
    vec_deinit(&f->changes);
    list_del(&f->link);
    mem_free(f->seen.p);
    mem_free(f->medium.p);
    mem_free(f->name);
    mem_free(f);
}

/* --- faults */

/* True: this operation must fail; power may go in it. */
static bool fake_disk_fails(struct fake_disk *d)
{
    if (d->stopped)
        return true;
    d->stopped = d->ops == d->cut_at;
    return d->ops++ == d->fail_at || d->stopped;
}

static void fake_disk_note(struct fake_disk_data *f, const char *p, size_t len, size_t at)
{
    struct fake_disk_change c = { .len = len, .at = at };

    if (p) {
        c.p = mem_alloc(len);
        memcpy(c.p, p, len);
    }
    vec_push(&f->changes, c);
}

/* --- the methods of a file */

static int fake_disk_write(sqlite3_file *file, const void *p, int n, sqlite3_int64 at)
{
    struct fake_disk_file *h = (struct fake_disk_file *)file;
    struct fake_disk *d = h->disk;

    if (d->stopped)
        return SQLITE_IOERR_WRITE;
    if (d->full && (size_t)(at + n) > h->data->seen.len)
        return SQLITE_FULL;
    if (fake_disk_fails(d)) {
        if (d->stopped)                         /* power went in the midst of it */
            fake_disk_note(h->data, p, (size_t)n, (size_t)at);
        return SQLITE_IOERR_WRITE;
    }
    fake_disk_put(&h->data->seen, (size_t)at, p, (size_t)n);
    fake_disk_note(h->data, p, (size_t)n, (size_t)at);
    return SQLITE_OK;
}

static int fake_disk_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct fake_disk_file *h = (struct fake_disk_file *)file;

    if (fake_disk_fails(h->disk))
        return SQLITE_IOERR_TRUNCATE;
    if ((size_t)size < h->data->seen.len)
        h->data->seen.len = (size_t)size;
    fake_disk_note(h->data, NULL, 0, (size_t)size);
    return SQLITE_OK;
}

static int fake_disk_sync(sqlite3_file *file, int flags)
{
    struct fake_disk_file *h = (struct fake_disk_file *)file;
    struct fake_disk *d = h->disk;

    (void)flags;
    if (d->stopped)
        return SQLITE_IOERR_FSYNC;
    if (fake_disk_fails(d)) {
        if (d->stopped)
            return SQLITE_IOERR_FSYNC;          /* all of it is still under way */
        fake_disk_reach_partly(d, h->data);     /* and nobody will try again */
        fake_disk_forget(h->data);
        return SQLITE_IOERR_FSYNC;
    }
    if (d->lies)
        return SQLITE_OK;
    for (size_t i = 0; i < h->data->changes.len; i++)
        fake_disk_reach(h->data, &h->data->changes.v[i]);
    fake_disk_forget(h->data);
    return SQLITE_OK;
}

static int fake_disk_read(sqlite3_file *file, void *p, int n, sqlite3_int64 at)
{
    const struct fake_disk_file *h = (const struct fake_disk_file *)file;
    const struct fake_disk_bytes *b = &h->data->seen;
    size_t len = (size_t)n, have = (size_t)at < b->len ? b->len - (size_t)at : 0;

    if (h->disk->stopped)
        return SQLITE_IOERR_READ;
    have = have < len ? have : len;
    if (have)
        memcpy(p, b->p + at, have);
    memset((char *)p + have, 0, len - have);
    return have == len ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int fake_disk_size(sqlite3_file *file, sqlite3_int64 *size)
{
    *size = (sqlite3_int64)((struct fake_disk_file *)file)->data->seen.len;
    return SQLITE_OK;
}

static int fake_disk_close(sqlite3_file *file)
{
    struct fake_disk_data *f = ((struct fake_disk_file *)file)->data;

    if (--f->opens == 0 && f->gone)
        fake_disk_drop(f);
    return SQLITE_OK;
}

static int fake_disk_lock(sqlite3_file *file, int lock)
{
    (void)file;
    (void)lock;
    return SQLITE_OK;
}

static int fake_disk_reserved(sqlite3_file *file, int *out)
{
    (void)file;
    *out = 0;
    return SQLITE_OK;
}

static int fake_disk_control(sqlite3_file *file, int op, void *arg)
{
    struct fake_disk_file *h = (struct fake_disk_file *)file;
    int *value = arg;

    if (op != SQLITE_FCNTL_PERSIST_WAL)
        return SQLITE_NOTFOUND;
    if (*value < 0)
        *value = h->persist_wal;
    else
        h->persist_wal = *value;
    return SQLITE_OK;
}

static int fake_disk_sector(sqlite3_file *file)
{
    (void)file;
    return 4096;
}

static int fake_disk_device(sqlite3_file *file)
{
    (void)file;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;    /* as SQLite takes a Linux disk to be */
}

static const sqlite3_io_methods fake_disk_methods = {
    .iVersion = 1,              /* no shared memory: the store locks its file for itself */
    .xClose = fake_disk_close,
    .xRead = fake_disk_read,
    .xWrite = fake_disk_write,
    .xTruncate = fake_disk_truncate,
    .xSync = fake_disk_sync,
    .xFileSize = fake_disk_size,
    .xLock = fake_disk_lock,
    .xUnlock = fake_disk_lock,
    .xCheckReservedLock = fake_disk_reserved,
    .xFileControl = fake_disk_control,
    .xSectorSize = fake_disk_sector,
    .xDeviceCharacteristics = fake_disk_device,
};

/* --- the methods of the disk */

static int fake_disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                          int *out)
{
    struct fake_disk *d = vfs->pAppData;
    struct fake_disk_file *h = (struct fake_disk_file *)file;

    memset(h, 0, sizeof(*h));
    if (d->stopped || !name)
        return SQLITE_CANTOPEN;
    h->disk = d;
    h->data = fake_disk_find(d, name);
    if (!h->data) {
        h->data = NEW(struct fake_disk_data);
        h->data->name = mem_strdup(name);
        list_push(&d->files, &h->data->link);
    }
    h->data->opens++;
    h->base.pMethods = &fake_disk_methods;
    if (out)
        *out = flags;
    return SQLITE_OK;
}

static int fake_disk_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
    struct fake_disk *d = vfs->pAppData;
    struct fake_disk_data *f = fake_disk_find(d, name);

    (void)sync_dir;
    if (fake_disk_fails(d))
        return SQLITE_IOERR_DELETE;
    if (!f)
        return SQLITE_IOERR_DELETE_NOENT;
    f->gone = true;
    if (f->opens == 0)
        fake_disk_drop(f);
    return SQLITE_OK;
}

static int fake_disk_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    (void)flags;
    *out = fake_disk_find(vfs->pAppData, name) != NULL;
    return SQLITE_OK;
}

static int fake_disk_path(sqlite3_vfs *vfs, const char *name, int room, char *out)
{
    (void)vfs;
    sqlite3_snprintf(room, out, "%s", name);
    return SQLITE_OK;
}

static int fake_disk_randomness(sqlite3_vfs *vfs, int n, char *out)
{
    for (int i = 0; i < n; i++)
        out[i] = (char)fake_disk_random(vfs->pAppData);
    return n;
}

static int fake_disk_sleep(sqlite3_vfs *vfs, int us)
{
    (void)vfs;
    return us;
}

static int fake_disk_time(sqlite3_vfs *vfs, double *out)
{
    (void)vfs;
    *out = 2461041.5;                           /* 2026-01-01, a Julian day */
    return SQLITE_OK;
}

static int fake_disk_error(sqlite3_vfs *vfs, int n, char *out)
{
    (void)vfs;
    (void)n;
    (void)out;
    return 0;
}

/* --- door */

struct fake_disk *fake_disk_new(uint64_t seed)
{
    struct fake_disk *d = NEW(struct fake_disk);

    d->random = seed;
    d->cut_at = d->fail_at = FAKE_DISK_NEVER;
    list_init(&d->files);
    d->vfs = (sqlite3_vfs){
        .iVersion = 1, .szOsFile = (int)sizeof(struct fake_disk_file), .mxPathname = 512,
        .zName = "fake-disk", .pAppData = d, .xOpen = fake_disk_open, .xDelete = fake_disk_delete,
        .xAccess = fake_disk_access, .xFullPathname = fake_disk_path,
        .xRandomness = fake_disk_randomness, .xSleep = fake_disk_sleep,
        .xCurrentTime = fake_disk_time, .xGetLastError = fake_disk_error,
    };
    check(sqlite3_vfs_register(&d->vfs, 1) == SQLITE_OK);
    sqlite3_randomness(0, NULL);                /* SQLite's own generator starts anew from ours */
    return d;
}

struct fake_disk *fake_disk_free(struct fake_disk *d)
{
    struct fake_disk_data *f;

    if (!d)
        return NULL;
    while ((f = list_first(&d->files, struct fake_disk_data, link))) {
        check(f->opens == 0);
        fake_disk_drop(f);
    }
    check(sqlite3_vfs_unregister(&d->vfs) == SQLITE_OK);
    return mem_free(d);
}

void fake_disk_cut_after(struct fake_disk *d, uint64_t n)
{
    d->cut_at = d->ops + n;
}

void fake_disk_fail_after(struct fake_disk *d, uint64_t n)
{
    d->fail_at = d->ops + n;
}

void fake_disk_fill(struct fake_disk *d, bool full)
{
    d->full = full;
}

void fake_disk_lie(struct fake_disk *d, bool lies)
{
    d->lies = lies;
}

void fake_disk_stop(struct fake_disk *d)
{
    d->stopped = true;
}

bool fake_disk_is_stopped(const struct fake_disk *d)
{
    return d->stopped;
}

uint64_t fake_disk_ops(const struct fake_disk *d)
{
    return d->ops;
}

void fake_disk_revive(struct fake_disk *d, bool power)
{
    list_each(f, &d->files, struct fake_disk_data, link) {
        check(f->opens == 0);
        if (power) {
            fake_disk_reach_partly(d, f);
            fake_disk_forget(f);
            fake_disk_copy(&f->seen, &f->medium);
        }
    }
    d->stopped = d->full = false;
    d->cut_at = d->fail_at = FAKE_DISK_NEVER;
}
