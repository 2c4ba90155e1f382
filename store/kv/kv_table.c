/* kv_table.c -- see kv_table.h.
 *
 * A batch goes through three passes:
 *   plan     each commit in order against the revisions as the commits before it left them;
 *            entries move at once and remember what they were
 *   write    the durable ones and, when it is reached, the mark, in one transaction; if that fails
 * because
 *            the disk is full, the plan is undone and the store goes on; if for any other reason,
 * it ends
 *   publish  in revision order; volatile values are kept for the next flush
 */
#include "store/kv/kv_table.h"

#include <stdatomic.h>

#include "core/base/check.h"
#include "core/base/list.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/vec.h"

#define KV_FLUSH_MS_DEFAULT 60000
#define KV_RETRY_MS 5000                    /* after a flush that found the disk full */
#define KV_IDLE_MS 5000                     /* without a write: time to move a WAL of KV_IDLE_BYTES */
#define KV_IDLE_BYTES (1u << 20)

struct kv_entry {
    int64_t revision;                       /* 0: the key is absent */
    int64_t row;                            /* on disk; 0: not there */
    bool waits;                             /* for the disk: value (NULL: deleted) is newer */
    struct list link;                       /* in t->waiting */
    char *key;                              /* while it waits */
    char *value;
    size_t value_len;
};

/* What an entry was before the commit; NULL: the commit is refused. */
struct kv_step { struct kv_entry *entry; int64_t revision, row; };

struct kv_table {
    struct kv_opts opts;
    struct kv_sqlite *disk;
    struct map *keys;                       /* -> struct kv_entry */
    int64_t revision, mark;
    struct list waiting;                    /* entries, in order of their first unwritten change */
    size_t waiting_bytes;
    int64_t flush_at_ms, written_at_ms;
    bool full;                              /* the last flush found no room */
    struct kv_figures figures;
    atomic_bool failed;
    struct err why;
    struct kv_step plan[KV_BATCH_MAX];
};

static int64_t kv_table_now_ms(const struct kv_table *t)
{
    return env_mono_ms(t->opts.env);
}

static void kv_table_fail(struct kv_table *t, const struct err *why)
{
    if (t->failed)
        return;
    t->failed = true;
    t->why = *why;
    err_wrap(&t->why, "the store has failed");
    if (t->opts.on_fatal)
        t->opts.on_fatal(t->opts.ctx, why);
}

static const int64_t kv_table_sync_bounds[] = {
    1000000, 2000000, 4000000, 8000000, 16000000, 32000000, 64000000, 128000000, 256000000,
    512000000, 1024000000, 2048000000, 4096000000, 8192000000,
};
const struct metric_family kv_table_sync = {
    "inro_store_sync_duration_seconds", "Time of ending a transaction, with its sync.",
    METRIC_HISTOGRAM, kv_table_sync_bounds, ARRAY_LEN(kv_table_sync_bounds), 0,
};

const struct kv_figures *kv_table_figures(const struct kv_table *t)
{
    return &t->figures;
}

bool kv_table_failed(const struct kv_table *t)
{
    return t->failed;
}

int64_t kv_table_revision(const struct kv_table *t)
{
    return t->revision;
}

/* --- volatile values */

static void kv_entry_settled(struct kv_table *t, struct kv_entry *e)
{
    if (!e->waits)
        return;
    t->waiting_bytes -= e->value_len;
    e->waits = false;
    e->value_len = 0;
    e->value = mem_free(e->value);
    e->key = mem_free(e->key);
    list_del(&e->link);
}

/* A newer value of a pair that the disk has is no news: a heartbeat waits for company, so that a
 * cluster at rest writes nothing. */
static void kv_entry_wait(struct kv_table *t, struct kv_entry *e, const struct kv_commit *c)
{
    if (list_empty(&t->waiting))
        t->flush_at_ms = INT64_MAX;
    if ((!e->row || !c->value) && t->flush_at_ms == INT64_MAX)
        t->flush_at_ms = kv_table_now_ms(t) + t->opts.volatile_flush_ms;
    if (!e->waits) {
        e->key = mem_strdup(c->key);
        list_push(&t->waiting, &e->link);
    }
    t->waiting_bytes -= e->value_len;
    mem_free(e->value);
    e->waits = true;
    e->value = c->value ? mem_strndup(c->value, c->value_len) : NULL;
    e->value_len = c->value ? c->value_len : 0;
    t->waiting_bytes += e->value_len;
    if (t->waiting_bytes > KV_VOLATILE_BYTES_MAX && !t->full)
        t->flush_at_ms = kv_table_now_ms(t);
}

static void kv_entry_free(void *arg)
{
    struct kv_entry *e = arg;

    mem_free(e->key);
    mem_free(e->value);
    mem_free(e);
}

/* Forgets a key that is neither here nor on disk. */
static void kv_table_tidy(struct kv_table *t, const char *key)
{
    struct kv_entry *e = map_get(t->keys, key);

    if (e && e->revision == 0 && e->row == 0 && !e->waits)
        kv_entry_free(map_del(t->keys, key));
}

/* --- plan */

static struct kv_entry *kv_table_entry(struct kv_table *t, const char *key)
{
    struct kv_entry *e = map_get(t->keys, key);

    if (!e) {
        e = NEW(struct kv_entry);
        list_init(&e->link);
        map_put(t->keys, key, e);
    }
    return e;
}

static int kv_table_expect(const struct kv_table *t, struct kv_commit *c)
{
    const struct kv_entry *e = map_get(t->keys, c->key);
    int64_t at = e ? e->revision : 0;

    if ((c->expect == KV_ANY || c->expect == at) && (c->value || at > 0))
        return 0;
    c->revision = at;
    return err_set(&c->err, ERR_CONFLICT, "%s is at revision %lld, not %lld", c->key, (long long)at,
                   (long long)c->expect);
}

static void kv_table_plan(struct kv_table *t, struct kv_commit *c, struct kv_step *step)
{
    struct kv_entry *e;

    *step = (struct kv_step){ 0 };
    err_clear(&c->err);
    if (kv_table_expect(t, c) < 0)
        return;
    if (c->volatile_class && c->value && t->waiting_bytes > 2 * KV_VOLATILE_BYTES_MAX) {
        err_set(&c->err, ERR_QUOTA, "too much waits for room on the disk");
        return;
    }
    e = kv_table_entry(t, c->key);
    *step = (struct kv_step){ .entry = e, .revision = e->revision, .row = e->row };
    c->revision = ++t->revision;
    e->revision = c->value ? c->revision : 0;
}

static void kv_table_undo(struct kv_table *t, struct kv_commit *const *v, unsigned n,
                          int64_t revision)
{
    for (unsigned i = n; i-- > 0; ) {
        const struct kv_step *s = &t->plan[i];

        if (!s->entry)
            continue;
        s->entry->revision = s->revision;
        s->entry->row = s->row;
    }
    for (unsigned i = 0; i < n; i++)
        kv_table_tidy(t, v[i]->key);
    t->revision = revision;
}

/* --- write */

static int kv_table_write_row(struct kv_table *t, struct kv_entry *e,
                              const struct kv_sqlite_row *row, struct err *err)
{
    if (row->value)
        return kv_sqlite_put(t->disk, &e->row, row, err);
    if (e->row != 0 && kv_sqlite_delete(t->disk, e->row, err) < 0)
        return -1;
    e->row = 0;
    return 0;
}

static int kv_table_write_mark(struct kv_table *t, int64_t mark, struct err *err)
{
    if (mark == t->mark)
        return 0;
    t->mark = mark;
    return kv_sqlite_set_mark(t->disk, mark, err);
}

static int kv_table_write_all(struct kv_table *t, struct kv_commit *const *v, unsigned n,
                              struct err *err)
{
    for (unsigned i = 0; i < n; i++) {
        const struct kv_commit *c = v[i];
        struct kv_sqlite_row row = { .revision = c->revision, .key = c->key, .value = c->value,
                                     .value_len = c->value_len };

        if (t->plan[i].entry && !c->volatile_class &&
            kv_table_write_row(t, t->plan[i].entry, &row, err) < 0)
            return -1;
    }
    return t->revision > t->mark ? kv_table_write_mark(t, t->revision + KV_REVISION_BLOCK, err) : 0;
}

/* Ends the transaction well or not at all. -1 with ERR_QUOTA: the disk is full, nothing has
 * happened. */
static int kv_table_end(struct kv_table *t, int result, int64_t mark, struct err *err)
{
    int64_t begun = metric_now_ns();

    if (result == 0)
        result = kv_sqlite_commit(t->disk, err);
    metric_hist_add(&t->figures.sync, &kv_table_sync, metric_now_ns() - begun);
    t->figures.full = result < 0 && err->code == ERR_QUOTA;
    t->written_at_ms = kv_table_now_ms(t);
    if (result == 0)
        return 0;
    t->mark = mark;
    if (err->code != ERR_QUOTA || kv_sqlite_rollback(t->disk, err) < 0) {
        if (err->code == ERR_QUOTA)
            err->code = ERR_FAILED;
        kv_table_fail(t, err);
    }
    return -1;
}

static int kv_table_write(struct kv_table *t, struct kv_commit *const *v, unsigned n,
                          struct err *err)
{
    bool needed = t->revision > t->mark;
    int64_t mark = t->mark;

    for (unsigned i = 0; i < n && !needed; i++)
        needed = t->plan[i].entry && !v[i]->volatile_class;
    if (!needed)
        return 0;
    if (kv_sqlite_begin(t->disk, err) < 0)
        return kv_table_end(t, -1, mark, err);
    return kv_table_end(t, kv_table_write_all(t, v, n, err), mark, err);
}

/* --- publish */

static void kv_table_publish(struct kv_table *t, const struct kv_commit *c, const struct kv_step *s,
                             _Atomic int64_t *published)
{
    struct kv_change change = { .revision = c->revision, .previous = s->revision, .key = c->key,
                                .value = c->value, .value_len = c->value_len,
                                .commit_ctx = c->ctx };

    atomic_fetch_add_explicit(c->volatile_class ? &t->figures.kept : &t->figures.written, 1,
                              memory_order_relaxed);
    if (!c->volatile_class)
        kv_entry_settled(t, s->entry);
    else if (c->value || s->entry->row != 0)
        kv_entry_wait(t, s->entry, c);
    else
        kv_entry_settled(t, s->entry);      /* deleted before it ever was on disk */
    if (t->opts.on_change)
        t->opts.on_change(t->opts.ctx, &change);
    atomic_store(published, c->revision);
}

static void kv_table_refuse(struct kv_commit *const *v, unsigned n, int code, const char *why)
{
    for (unsigned i = 0; i < n; i++) {
        v[i]->revision = 0;
        err_set(&v[i]->err, code, "%s", why);
    }
}

void kv_table_apply(struct kv_table *t, struct kv_commit *const *v, unsigned n,
                    _Atomic int64_t *published)
{
    int64_t before = t->revision;
    struct err err = ERR_INIT;

    check(n <= KV_BATCH_MAX);
    for (unsigned i = 0; i < n && !t->failed; i++)
        kv_table_plan(t, v[i], &t->plan[i]);
    if (!t->failed && kv_table_write(t, v, n, &err) < 0 && !t->failed) {
        kv_table_undo(t, v, n, before);
        kv_table_refuse(v, n, ERR_QUOTA, err.msg);
        return;
    }
    if (t->failed) {
        kv_table_refuse(v, n, ERR_UNAVAILABLE, t->why.msg);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        if (t->plan[i].entry)
            kv_table_publish(t, v[i], &t->plan[i], published);
        else
            atomic_fetch_add_explicit(&t->figures.refused, 1, memory_order_relaxed);
    }
    atomic_store_explicit(&t->figures.waiting_bytes, t->waiting_bytes, memory_order_relaxed);
    for (unsigned i = 0; i < n; i++)
        kv_table_tidy(t, v[i]->key);
}

/* --- upkeep */

static int kv_table_write_waiting(struct kv_table *t, struct err *err)
{
    list_each(e, &t->waiting, struct kv_entry, link) {
        struct kv_sqlite_row row = { .revision = e->revision, .key = e->key, .value = e->value,
                                     .value_len = e->value_len };

        if (kv_table_write_row(t, e, &row, err) < 0)
            return -1;
    }
    return 0;
}

/* The rows that entries have after a transaction that was rolled back: as before it. */
static void kv_table_restore_rows(struct kv_table *t, const int64_t *rows)
{
    list_each(e, &t->waiting, struct kv_entry, link)
        e->row = *rows++;
}

static void kv_table_settle_waiting(struct kv_table *t)
{
    struct kv_entry *e;

    while ((e = list_first(&t->waiting, struct kv_entry, link))) {
        _cleanup_(mem_freep) char *key = TAKE(e->key);

        kv_entry_settled(t, e);
        kv_table_tidy(t, key);
    }
}

/* Writes what waits, and the mark, in one transaction. */
static int kv_table_flush(struct kv_table *t, int64_t mark, struct err *err)
{
    VEC(int64_t) rows = { 0 };
    int64_t mark_before = t->mark;
    int rc;

    if (t->failed)
        return -1;
    if (list_empty(&t->waiting) && mark == t->mark)
        return 0;
    list_each(e, &t->waiting, struct kv_entry, link)
        vec_push(&rows, e->row);
    rc = kv_sqlite_begin(t->disk, err);
    if (rc == 0)
        rc = kv_table_write_waiting(t, err);
    if (rc == 0)
        rc = kv_table_write_mark(t, mark, err);
    rc = kv_table_end(t, rc, mark_before, err);
    if (rc == 0)
        kv_table_settle_waiting(t);
    else
        kv_table_restore_rows(t, rows.v);
    vec_deinit(&rows);
    return rc;
}

static bool kv_table_wal_is_due(const struct kv_table *t, int64_t now)
{
    size_t bytes = kv_sqlite_wal_bytes(t->disk);

    return bytes >= KV_SQLITE_WAL_BYTES_MAX ||
           (bytes >= KV_IDLE_BYTES && now >= t->written_at_ms + KV_IDLE_MS);
}

int64_t kv_table_due_ms(const struct kv_table *t)
{
    int64_t due = INT64_MAX;

    if (t->failed)
        return due;
    if (!list_empty(&t->waiting))
        due = t->flush_at_ms;
    if (kv_sqlite_wal_bytes(t->disk) >= KV_IDLE_BYTES && t->written_at_ms + KV_IDLE_MS < due)
        due = t->written_at_ms + KV_IDLE_MS;
    return due;
}

static void kv_table_checkpoint(struct kv_table *t, bool truncate)
{
    struct err err = ERR_INIT;
    int rc = kv_sqlite_checkpoint(t->disk, truncate, &err);

    t->written_at_ms = kv_table_now_ms(t);  /* what is left waits a while */
    if (rc < 0 && err.code != ERR_QUOTA)
        kv_table_fail(t, &err);
}

void kv_table_upkeep(struct kv_table *t)
{
    int64_t now = kv_table_now_ms(t);
    struct err err = ERR_INIT;

    if (t->failed)
        return;
    if (!list_empty(&t->waiting) && now >= t->flush_at_ms) {
        t->full = kv_table_flush(t, t->mark, &err) < 0;
        if (t->full)
            t->flush_at_ms = now + KV_RETRY_MS;
    }
    if (!t->failed && kv_table_wal_is_due(t, now))
        kv_table_checkpoint(t, false);
}

int kv_table_backup_new(struct kv_sqlite_backup **out, struct kv_table *t, const char *path,
                        struct err *err)
{
    if (t->failed)
        return err_set(err, ERR_UNAVAILABLE, "%s", t->why.msg);
    if (kv_table_flush(t, t->mark, err) < 0)
        return -1;
    return kv_sqlite_backup_new(out, t->disk, path, err);
}

/* --- open and close */

struct kv_loading {
    struct kv_table *table;
    void (*on_load)(void *ctx, const struct kv_change *pair);
};

static int kv_table_load_row(void *ctx, const struct kv_sqlite_row *row, struct err *err)
{
    struct kv_loading *l = ctx;
    struct kv_table *t = l->table;
    struct kv_change pair = { .revision = row->revision, .key = row->key, .value = row->value,
                              .value_len = row->value_len };
    struct kv_entry *e;

    if (row->revision <= 0 || row->revision > t->mark)
        return err_set(err, ERR_CORRUPT, "%s is at revision %lld, the mark at %lld", row->key,
                       (long long)row->revision, (long long)t->mark);
    e = kv_table_entry(t, row->key);
    e->revision = row->revision;
    e->row = row->id;
    if (l->on_load)
        l->on_load(t->opts.ctx, &pair);
    return 0;
}

int kv_table_open(struct kv_table **out, const struct kv_opts *opts,
                  void (*on_load)(void *ctx, const struct kv_change *pair), struct err *err)
{
    _cleanup_(kv_table_closep) struct kv_table *t = NEW(struct kv_table);
    struct kv_loading loading = { t, on_load };

    t->opts = *opts;
    if (t->opts.volatile_flush_ms == 0)
        t->opts.volatile_flush_ms = KV_FLUSH_MS_DEFAULT;
    t->keys = map_new();
    list_init(&t->waiting);
    t->failed = true;                       /* until it is loaded there is nothing to settle */
    if (opts->keep_revisions != 0)
        return err_set(err, ERR_UNSUPPORTED, "this back end keeps no history");
    if (kv_sqlite_open(&t->disk, opts->path, err) < 0)
        return -1;
    t->mark = t->revision = kv_sqlite_mark(t->disk);
    if (kv_sqlite_load(t->disk, kv_table_load_row, &loading, err) < 0)
        return err_wrap(err, "%s", opts->path);
    t->failed = false;
    *out = TAKE(t);
    return 0;
}

struct kv_table *kv_table_close(struct kv_table *t)
{
    struct err err = ERR_INIT;

    if (!t)
        return NULL;
    (void)kv_table_flush(t, t->revision, &err);
    if (!t->failed)
        kv_table_checkpoint(t, true);
    kv_sqlite_close(t->disk);
    map_free(t->keys, kv_entry_free);
    return mem_free(t);
}
