/* kv.c: the writer thread: group commit in front of the data base file.
 *
 *   kv_submit --queue--> take a batch -> check expectations -> one transaction, one sync -> publish -> on_done
 *
 * Volatile pairs are given a revision and published like all others but wait in `pending` for the next flush. So that
 * no revision is ever given twice, the file holds a high-water mark ahead of what was given out.
 */
#include "store/kv/kv.h"

#include "core/base/check.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "store/kv/kv_sqlite.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define RESERVE_STEP 10000
#define FLUSH_MS_DEFAULT 60000

struct entry { int64_t revision; };
struct pending { int64_t revision; char *value; size_t len; };    /* value NULL: deleted */

struct kv {
    struct kv_opts opts;
    char *path;
    struct kv_sqlite *file;
    pthread_t thread;
    pthread_mutex_t lock;                    /* queue, n_queued, stopping */
    pthread_cond_t more;
    struct kv_commit *head, **tail;
    unsigned n_queued;
    bool stopping;
    /* The writer's own. */
    struct map *index;                       /* key -> struct entry */
    struct map *pending;                     /* key -> struct pending */
    int64_t next_flush_ms;
    int64_t last, reserved;
    bool failed;
    _Atomic int64_t published;
};

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

static void free_pending(void *p)
{
    struct pending *e = p;

    mem_free(e->value);
    mem_free(e);
}

/* --- one batch */

static void drop_pending(struct kv *kv, const char *key)
{
    struct pending *p = map_del(kv->pending, key);

    if (p)
        free_pending(p);
}

static void note_pending(struct kv *kv, const struct kv_commit *c)
{
    struct pending *p = NEW(struct pending);

    p->revision = c->revision;
    if (c->value) {
        p->value = mem_strndup(c->value, c->value_len);
        p->len = c->value_len;
    }
    drop_pending(kv, c->key);
    if (!map_len(kv->pending))
        kv->next_flush_ms = now_ms() + (kv->opts.volatile_flush_ms ? kv->opts.volatile_flush_ms
                                                                  : FLUSH_MS_DEFAULT);
    map_put(kv->pending, c->key, p);
}

static bool expected(struct kv *kv, struct kv_commit *c)
{
    struct entry *e = map_get(kv->index, c->key);
    int64_t at = e ? e->revision : 0;

    err_clear(&c->err);
    if ((c->expect == KV_ANY || c->expect == at) && (c->value || at))
        return true;
    c->revision = at;
    err_set(&c->err, ERR_CONFLICT, "%s is at revision %lld, not %lld", c->key, (long long)at,
            (long long)c->expect);
    return false;
}

/* Gives the revision and moves the index; *previous is what the key was at. */
static void assign(struct kv *kv, struct kv_commit *c, int64_t *previous)
{
    struct entry *e = map_get(kv->index, c->key);

    *previous = e ? e->revision : 0;
    c->revision = ++kv->last;
    if (!c->value) {
        mem_free(map_del(kv->index, c->key));
        return;
    }
    if (!e) {
        e = NEW(struct entry);
        map_put(kv->index, c->key, e);
    }
    e->revision = c->revision;
}

static int write_one(struct kv *kv, const struct kv_commit *c, struct err *err)
{
    drop_pending(kv, c->key);
    return kv_sqlite_put(kv->file, c->key, c->revision, c->value, c->value_len, err);
}

static int ensure_reserved(struct kv *kv, struct err *err)
{
    if (kv->last <= kv->reserved)
        return 0;
    kv->reserved = kv->last + RESERVE_STEP;
    return kv_sqlite_reserve(kv->file, kv->reserved, err);
}

static int flush_pending(struct kv *kv, struct err *err)
{
    const char *key;
    void *value;

    for (size_t at = 0; map_next(kv->pending, &at, &key, &value);) {
        struct pending *p = value;

        if (kv_sqlite_put(kv->file, key, p->revision, p->value, p->len, err) < 0)
            return -1;
    }
    map_free(kv->pending, free_pending);
    kv->pending = map_new();
    return 0;
}

static void go_down(struct kv *kv, const struct err *err)
{
    if (kv->failed)
        return;
    kv->failed = true;
    if (kv->opts.on_fatal)
        kv->opts.on_fatal(kv->opts.ctx, err);
}

/* Writes what must be durable. The order of the batch is the order of its revisions. */
static int write_batch(struct kv *kv, struct kv_commit *const *v, unsigned n, struct err *err)
{
    bool flush = map_len(kv->pending) && now_ms() >= kv->next_flush_ms, any = flush;

    for (unsigned i = 0; i < n; i++)
        any = any || !v[i]->volatile_class;
    if (!any && kv->last <= kv->reserved)
        goto pending;
    if (kv_sqlite_begin(kv->file, err) < 0)
        return -1;
    for (unsigned i = 0; i < n; i++)
        if (!v[i]->volatile_class && write_one(kv, v[i], err) < 0)
            return -1;
    if ((flush && flush_pending(kv, err) < 0) || ensure_reserved(kv, err) < 0 ||
        kv_sqlite_commit(kv->file, err) < 0)
        return -1;
pending:
    for (unsigned i = 0; i < n; i++)
        if (v[i]->volatile_class)
            note_pending(kv, v[i]);
    return 0;
}

static void publish(struct kv *kv, const struct kv_commit *c, int64_t previous)
{
    struct kv_change change = { .revision = c->revision, .previous = previous, .key = c->key,
                                .value = c->value, .value_len = c->value_len, .commit_ctx = c->ctx };

    if (kv->opts.on_change)
        kv->opts.on_change(kv->opts.ctx, &change);
    atomic_store(&kv->published, c->revision);
}

static void run_batch(struct kv *kv, struct kv_commit *list)
{
    struct kv_commit *good[KV_BATCH_MAX], *next;
    int64_t previous[KV_BATCH_MAX];
    unsigned n = 0;
    struct err err = ERR_INIT;

    for (struct kv_commit *c = list; c && !kv->failed; c = c->next) {
        if (!expected(kv, c))
            continue;
        assign(kv, c, &previous[n]);
        good[n++] = c;
    }
    if (!kv->failed && (n || list == NULL) && write_batch(kv, good, n, &err) < 0)
        go_down(kv, &err);
    for (unsigned i = 0; i < n && !kv->failed; i++)
        publish(kv, good[i], previous[i]);
    for (struct kv_commit *c = list; c; c = next) {
        next = c->next;                      /* c is its owner's again once it is done */
        if (kv->failed)
            err_set(&c->err, ERR_UNAVAILABLE, "the store has failed and is stopping");
        c->on_done(c);
    }
}

/* --- the thread */

static void wait_for_more(struct kv *kv)
{
    struct timespec t;
    int64_t left;

    if (!map_len(kv->pending)) {
        pthread_cond_wait(&kv->more, &kv->lock);
        return;
    }
    left = kv->next_flush_ms - now_ms();
    if (left <= 0)
        return;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += left / 1000;
    t.tv_nsec += (left % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&kv->more, &kv->lock, &t);
}

static bool flush_is_due(const struct kv *kv)
{
    return map_len(kv->pending) && now_ms() >= kv->next_flush_ms;
}

static struct kv_commit *take_batch(struct kv *kv)
{
    struct kv_commit *list = kv->head, **end = &kv->head;
    unsigned n = 0;

    while (*end && n < KV_BATCH_MAX) {
        end = &(*end)->next;
        n++;
    }
    kv->head = *end;
    *end = NULL;
    if (!kv->head)
        kv->tail = &kv->head;
    kv->n_queued -= n;
    return n ? list : NULL;
}

static void *writer(void *arg)
{
    struct kv *kv = arg;

    pthread_mutex_lock(&kv->lock);
    for (;;) {
        struct kv_commit *batch;

        while (!kv->head && !kv->stopping && !flush_is_due(kv))
            wait_for_more(kv);
        if (!kv->head && kv->stopping)
            break;
        batch = take_batch(kv);
        pthread_mutex_unlock(&kv->lock);
        run_batch(kv, batch);
        pthread_mutex_lock(&kv->lock);
    }
    pthread_mutex_unlock(&kv->lock);
    return NULL;
}

/* --- open and close */

struct loading {
    struct kv *kv;
    void (*on_load)(void *ctx, const struct kv_change *pair);
};

static void load_one(void *ctx, const struct kv_change *pair)
{
    struct loading *l = ctx;
    struct entry *e = NEW(struct entry);

    e->revision = pair->revision;
    map_put(l->kv->index, pair->key, e);
    if (pair->revision > l->kv->last)
        l->kv->last = pair->revision;
    if (l->on_load)
        l->on_load(l->kv->opts.ctx, pair);
}

static void free_entry(void *e)
{
    mem_free(e);
}

static void free_kv(struct kv *kv)
{
    kv_sqlite_close(kv->file);
    map_free(kv->index, free_entry);
    map_free(kv->pending, free_pending);
    pthread_cond_destroy(&kv->more);
    pthread_mutex_destroy(&kv->lock);
    mem_free(kv->path);
    mem_free(kv);
}

static void init_sync(struct kv *kv)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&kv->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&kv->more, &attr);
    pthread_condattr_destroy(&attr);
}

int kv_open(struct kv **out, const struct kv_opts *opts,
            void (*on_load)(void *ctx, const struct kv_change *pair), struct err *err)
{
    struct kv *kv = NEW(struct kv);
    struct loading loading = { kv, on_load };
    int code;

    kv->opts = *opts;
    kv->path = mem_strdup(opts->path);
    kv->opts.path = kv->path;
    kv->tail = &kv->head;
    kv->index = map_new();
    kv->pending = map_new();
    init_sync(kv);
    if (kv_sqlite_open(&kv->file, kv->path, err) < 0 ||
        kv_sqlite_load(kv->file, load_one, &loading, &kv->reserved, err) < 0)
        goto failed;
    if (kv->reserved > kv->last)             /* whatever the last run gave out beyond what it wrote is below */
        kv->last = kv->reserved;
    atomic_store(&kv->published, kv->last);
    code = pthread_create(&kv->thread, NULL, writer, kv);
    if (code) {
        errno = code;
        err_sys(err, "start the store's writer");
        goto failed;
    }
    *out = kv;
    return 0;
failed:
    free_kv(kv);
    return -1;
}

/* The last words: what is pending, and the exact revision. */
static void settle(struct kv *kv)
{
    struct err err = ERR_INIT;

    if (kv->failed || (kv->reserved == kv->last && !map_len(kv->pending)))
        return;
    if (kv_sqlite_begin(kv->file, &err) < 0 || flush_pending(kv, &err) < 0 ||
        kv_sqlite_reserve(kv->file, kv->last, &err) < 0 || kv_sqlite_commit(kv->file, &err) < 0)
        go_down(kv, &err);
}

struct kv *kv_close(struct kv *kv)
{
    if (!kv)
        return NULL;
    pthread_mutex_lock(&kv->lock);
    kv->stopping = true;
    pthread_cond_signal(&kv->more);
    pthread_mutex_unlock(&kv->lock);
    pthread_join(kv->thread, NULL);
    settle(kv);
    free_kv(kv);
    return NULL;
}

/* --- commits */

static const char *refusal(const struct kv *kv, const struct kv_commit *c)
{
    if (strlen(c->key) > KV_KEY_BYTES_MAX)
        return "the key is too long";
    if (c->value && c->value_len > KV_VALUE_BYTES_MAX)
        return "the value is too large";
    if (kv->n_queued >= KV_QUEUE_MAX)
        return "too many writes are waiting";
    return NULL;
}

void kv_submit(struct kv *kv, struct kv_commit *c)
{
    const char *why;

    check(c->key && c->on_done);
    c->next = NULL;
    c->revision = 0;
    err_clear(&c->err);
    pthread_mutex_lock(&kv->lock);
    why = refusal(kv, c);
    if (!why) {
        *kv->tail = c;
        kv->tail = &c->next;
        if (kv->n_queued++ == 0)
            pthread_cond_signal(&kv->more);
    }
    pthread_mutex_unlock(&kv->lock);
    if (!why)
        return;
    err_set(&c->err, ERR_QUOTA, "%s", why);
    c->on_done(c);
}

struct waiter { pthread_mutex_t lock; pthread_cond_t done; bool is_done; };

static void wake(struct kv_commit *c)
{
    struct waiter *w = c->ctx;

    pthread_mutex_lock(&w->lock);
    w->is_done = true;
    pthread_cond_signal(&w->done);
    pthread_mutex_unlock(&w->lock);
}

void kv_commit_wait(struct kv *kv, struct kv_commit *c)
{
    struct waiter w = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false };

    c->on_done = wake;
    c->ctx = &w;
    kv_submit(kv, c);
    pthread_mutex_lock(&w.lock);
    while (!w.is_done)
        pthread_cond_wait(&w.done, &w.lock);
    pthread_mutex_unlock(&w.lock);
    pthread_mutex_destroy(&w.lock);
    pthread_cond_destroy(&w.done);
}

int64_t kv_revision(const struct kv *kv)
{
    return atomic_load(&kv->published);
}

int kv_backup(struct kv *kv, const char *path, struct err *err)
{
    return kv_sqlite_copy(kv->path, path, err) < 0 ? err_wrap(err, "backup to %s", path) : 0;
}
