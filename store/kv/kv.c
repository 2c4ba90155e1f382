/* kv.c -- the door, the queue, and the writer's thread: group commit in front of the table.
 *
 *   kv_submit --queue--> take a batch --kv_table_apply--> one transaction, one sync, publish -->
 * on_done each
 *
 * While a transaction syncs, commits queue; the next batch takes them all. That is the whole
 * scheme: no commit ever waits for others to come.
 */
#include "store/kv/kv.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#include "core/base/check.h"
#include "core/base/mem.h"
#include "store/kv/kv_table.h"

#define KV_BACKUP_PAGES 256                 /* copied between two batches */

struct kv_queue { struct kv_commit *first, **end; unsigned len; };

/* A backup that is asked for; lives on the asker's stack. */
struct kv_copy {
    const char *path;
    struct kv_sqlite_backup *backup;
    int result;
    struct err err;
    sem_t done;
};

struct kv {
    const struct env *env;
    char *path;
    struct kv_table *table;                 /* the writer's own once it runs */
    pthread_t thread;
    pthread_mutex_t lock;                   /* guards the queues, copy, stopping */
    pthread_cond_t more;
    struct kv_queue queue;
    struct kv_queue refused;                /* err is set already; only on_done is missing */
    struct kv_copy *copy;
    bool stopping;
    bool inlined;                           /* no thread: callers take the writer's turns */
    _Atomic int64_t revision;
    _Atomic int64_t busy_ms;                /* since when the writer works; 0: it waits */
    struct metric_hist group;               /* commits a batch */
};

static void kv_queue_init(struct kv_queue *q)
{
    *q = (struct kv_queue){ .end = &q->first };
}

static void kv_queue_push(struct kv_queue *q, struct kv_commit *c)
{
    c->next = NULL;
    *q->end = c;
    q->end = &c->next;
    q->len++;
}

static struct kv_commit *kv_queue_pop(struct kv_queue *q)
{
    struct kv_commit *c = q->first;

    if (!c)
        return NULL;
    q->first = c->next;
    if (!q->first)
        q->end = &q->first;
    q->len--;
    c->next = NULL;
    return c;
}

/* --- the writer */

struct kv_batch {
    struct kv_commit *v[KV_BATCH_MAX];
    unsigned n;
    struct kv_commit *refused;
};

/* The lock is held. */
static void kv_take(struct kv *kv, struct kv_batch *b)
{
    size_t bytes = 0;

    b->n = 0;
    while (kv->queue.first && b->n < KV_BATCH_MAX) {
        bytes += kv->queue.first->value ? kv->queue.first->value_len : 0;
        if (b->n > 0 && bytes > KV_BATCH_BYTES_MAX)
            break;
        b->v[b->n++] = kv_queue_pop(&kv->queue);
    }
    b->refused = kv->refused.first;
    kv_queue_init(&kv->refused);
}

static const int64_t kv_group_bounds[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512 };
static const struct metric_family kv_group = {
    "inro_store_group_size", "Commits that share one transaction.", METRIC_HISTOGRAM,
    kv_group_bounds, ARRAY_LEN(kv_group_bounds), 1,
};

static void kv_run(struct kv *kv, struct kv_batch *b)
{
    if (b->n > 0) {
        kv_table_apply(kv->table, b->v, b->n, &kv->revision);
        metric_hist_add(&kv->group, &kv_group, b->n);
    }
    for (unsigned i = 0; i < b->n; i++)
        b->v[i]->on_done(b->v[i]);          /* v[i] is its owner's again from here on */
    while (b->refused) {
        struct kv_commit *c = b->refused;

        b->refused = c->next;
        c->next = NULL;
        c->on_done(c);
    }
}

/* A piece of the backup; true while there is more to do. */
static bool kv_copy_step(struct kv *kv, struct kv_copy *copy)
{
    if (!copy->backup)
        copy->result = kv_table_backup_new(&copy->backup, kv->table, copy->path, &copy->err);
    if (copy->backup)
        copy->result = kv_sqlite_backup_step(copy->backup, KV_BACKUP_PAGES, &copy->err);
    if (copy->result > 0)
        return true;
    copy->backup = kv_sqlite_backup_free(copy->backup);
    pthread_mutex_lock(&kv->lock);
    kv->copy = NULL;
    pthread_mutex_unlock(&kv->lock);
    sem_post(&copy->done);                  /* the asker may be gone after this */
    return false;
}

/* The lock is held. Until there is something to do, or upkeep is due. */
static void kv_wait(struct kv *kv, int64_t due_ms)
{
    int64_t left = due_ms == INT64_MAX ? due_ms : due_ms - env_mono_ms(kv->env);
    struct timespec t;

    if (kv->queue.first || kv->refused.first || kv->copy || kv->stopping || left <= 0)
        return;
    if (left == INT64_MAX) {
        pthread_cond_wait(&kv->more, &kv->lock);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += left / 1000;
    t.tv_nsec += left % 1000 * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&kv->more, &kv->lock, &t);
}

/* One turn of the writer; false: it was the last. */
static bool kv_turn(struct kv *kv)
{
    struct kv_batch b;
    struct kv_copy *copy;
    bool last;

    pthread_mutex_lock(&kv->lock);
    if (!kv->inlined)
        kv_wait(kv, kv_table_due_ms(kv->table));
    kv_take(kv, &b);
    copy = kv->copy;
    last = kv->stopping && b.n == 0 && !b.refused && !copy;
    pthread_mutex_unlock(&kv->lock);
    atomic_store_explicit(&kv->busy_ms, env_mono_ms(kv->env), memory_order_relaxed);
    kv_run(kv, &b);
    if (copy)
        kv_copy_step(kv, copy);
    kv_table_upkeep(kv->table);
    atomic_store_explicit(&kv->busy_ms, 0, memory_order_relaxed);
    return !last;
}

static void *kv_writer(void *arg)
{
    struct kv *kv = arg;

    while (kv_turn(kv))
        ;
    return NULL;
}

void kv_step(struct kv *kv)
{
    check(kv->inlined);
    kv_turn(kv);
}

/* --- open and close */

static void kv_init(struct kv *kv)
{
    pthread_condattr_t attr;

    kv_queue_init(&kv->queue);
    kv_queue_init(&kv->refused);
    check(pthread_mutex_init(&kv->lock, NULL) == 0);
    check(pthread_condattr_init(&attr) == 0);
    check(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    check(pthread_cond_init(&kv->more, &attr) == 0);
    pthread_condattr_destroy(&attr);
}

static struct kv *kv_drop(struct kv *kv)
{
    kv_table_close(kv->table);
    pthread_cond_destroy(&kv->more);
    pthread_mutex_destroy(&kv->lock);
    mem_free(kv->path);
    return mem_free(kv);
}

static int kv_start(struct kv *kv, struct err *err)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);                       /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&kv->thread, NULL, kv_writer, kv);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = rc;
    if (rc != 0)
        return err_sys(err, "start the store's writer");
    pthread_setname_np(kv->thread, "writer");
    return 0;
}

int kv_open(struct kv **out, const struct kv_opts *opts,
            void (*on_load)(void *ctx, const struct kv_change *pair), struct err *err)
{
    struct kv *kv = NEW(struct kv);
    struct kv_opts own = *opts;

    kv_init(kv);
    own.path = kv->path = mem_strdup(opts->path);
    own.env = kv->env = opts->env ? opts->env : env_real();
    if (kv_table_open(&kv->table, &own, on_load, err) < 0) {
        kv_drop(kv);
        return err_wrap(err, "open the store");
    }
    atomic_store(&kv->revision, kv_table_revision(kv->table));
    kv->inlined = opts->inlined;
    if (!kv->inlined && kv_start(kv, err) < 0) {
        kv_drop(kv);
        return -1;
    }
    *out = kv;
    return 0;
}

struct kv *kv_close(struct kv *kv)
{
    if (!kv)
        return NULL;
    pthread_mutex_lock(&kv->lock);
    kv->stopping = true;
    pthread_cond_signal(&kv->more);
    pthread_mutex_unlock(&kv->lock);
    if (kv->inlined)
        kv_writer(kv);
    else
        check(pthread_join(kv->thread, NULL) == 0);
    return kv_drop(kv);
}

/* --- door */

static int kv_refuse(const struct kv *kv, struct kv_commit *c)
{
    size_t key_len = strlen(c->key);

    if (key_len == 0 || key_len > KV_KEY_BYTES_MAX)
        return err_set(&c->err, ERR_QUOTA, "a key of %zu bytes, limit %d", key_len,
                       KV_KEY_BYTES_MAX);
    if (c->value && c->value_len > KV_VALUE_BYTES_MAX)
        return err_set(&c->err, ERR_QUOTA, "a value of %zu bytes, limit %u", c->value_len,
                       KV_VALUE_BYTES_MAX);
    if (kv->queue.len >= KV_QUEUE_MAX)
        return err_set(&c->err, ERR_QUOTA, "%d writes are waiting", KV_QUEUE_MAX);
    return 0;
}

void kv_submit(struct kv *kv, struct kv_commit *c)
{
    check(c->key);
    check(c->on_done);
    check(c->expect >= KV_ANY);
    c->revision = 0;
    err_clear(&c->err);
    pthread_mutex_lock(&kv->lock);
    check(!kv->stopping);
    kv_queue_push(kv_refuse(kv, c) < 0 ? &kv->refused : &kv->queue, c);
    if (kv->queue.len + kv->refused.len == 1)
        pthread_cond_signal(&kv->more);
    pthread_mutex_unlock(&kv->lock);
}

struct kv_waiter { struct kv_commit commit; sem_t done; };

static void kv_wake_waiter(struct kv_commit *c)
{
    sem_post(&container_of(c, struct kv_waiter, commit)->done);
}

static void kv_sleep(struct kv *kv, sem_t *s)
{
    while ((kv->inlined ? sem_trywait(s) : sem_wait(s)) < 0) {
        check(errno == EINTR || errno == EAGAIN);
        if (kv->inlined)
            kv_turn(kv);
    }
    sem_destroy(s);
}

void kv_commit_wait(struct kv *kv, struct kv_commit *c)
{
    struct kv_waiter w = { .commit = *c };

    w.commit.on_done = kv_wake_waiter;      /* ctx stays: it goes out with the change */
    check(sem_init(&w.done, 0, 0) == 0);
    kv_submit(kv, &w.commit);
    kv_sleep(kv, &w.done);
    c->revision = w.commit.revision;
    c->err = w.commit.err;
}

int64_t kv_revision(const struct kv *kv)
{
    return atomic_load(&kv->revision);
}

int kv_backup(struct kv *kv, const char *path, struct err *err)
{
    struct kv_copy copy = { .path = path };
    bool busy;

    check(sem_init(&copy.done, 0, 0) == 0);
    pthread_mutex_lock(&kv->lock);
    check(!kv->stopping);
    busy = kv->copy;
    if (!busy)
        kv->copy = &copy;
    pthread_cond_signal(&kv->more);
    pthread_mutex_unlock(&kv->lock);
    if (busy) {
        sem_destroy(&copy.done);
        return err_set(err, ERR_UNAVAILABLE, "another backup is running");
    }
    kv_sleep(kv, &copy.done);
    if (copy.result == 0)
        return 0;
    if (err)
        *err = copy.err;
    return err_wrap(err, "backup to %s", path);
}

int kv_copy(const char *from, const char *to, struct err *err)
{
    return kv_sqlite_copy(from, to, err) < 0 ? err_wrap(err, "copy the store") : 0;
}

/* --- health and figures */

int kv_health(const struct kv *kv, struct err *err)
{
    int64_t since = atomic_load_explicit(&kv->busy_ms, memory_order_relaxed);
    int64_t busy = since ? env_mono_ms(kv->env) - since : 0;

    if (kv_table_failed(kv->table))
        return err_set(err, ERR_UNAVAILABLE, "the store has failed");
    if (busy >= KV_STUCK_MS)
        return err_set(err, ERR_TIMEOUT, "the disk has not answered for %lld ms", (long long)busy);
    return 0;
}

static uint64_t kv_file_bytes(const struct kv *kv)
{
    char *wal = mem_printf("%s-wal", kv->path);
    struct stat st;
    uint64_t n = 0;

    if (stat(kv->path, &st) == 0)
        n += (uint64_t)st.st_size;
    if (stat(wal, &st) == 0)
        n += (uint64_t)st.st_size;
    mem_free(wal);
    return n;
}

void kv_metrics(const struct kv *kv, struct buf *out)
{
    static const struct metric_family
        size = { "apiserver_storage_size_bytes", "Size of the storage database file physically "
                 "allocated in bytes.", METRIC_GAUGE, NULL, 0, 0 },
        commits = { "inro_store_commits_total", "Commits by what became of them.", METRIC_COUNTER,
                    NULL, 0, 0 },
        waiting = { "inro_store_volatile_bytes", "Volatile values not on disk yet.", METRIC_GAUGE,
                    NULL, 0, 0 },
        full = { "inro_store_full", "1: the last write found no room on the disk.", METRIC_GAUGE,
                 NULL, 0, 0 },
        revision = { "inro_store_revision", "Newest revision.", METRIC_COUNTER, NULL, 0, 0 };
    const struct kv_figures *f = kv_table_figures(kv->table);

    metric_write_head(out, &size);
    metric_write_u64(out, &size, "storage_cluster_id=\"sqlite-0\"", kv_file_bytes(kv));
    metric_write_head(out, &commits);
    metric_write_u64(out, &commits, "result=\"durable\"", f->written);
    metric_write_u64(out, &commits, "result=\"volatile\"", f->kept);
    metric_write_u64(out, &commits, "result=\"conflict\"", f->refused);
    metric_write_one(out, &waiting, f->waiting_bytes);
    metric_write_one(out, &full, f->full);
    metric_write_one(out, &revision, (uint64_t)kv_revision(kv));
    metric_write_head(out, &kv_group);
    metric_write_hist(out, &kv_group, NULL, &kv->group);
    metric_write_head(out, &kv_table_sync);
    metric_write_hist(out, &kv_table_sync, NULL, &f->sync);
}
