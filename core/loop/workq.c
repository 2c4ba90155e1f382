/* workq.c -- a key is in one place at a time: due later (heap), ready (list), or running. */
#include "core/loop/workq.h"

#include "core/base/check.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/metric.h"

#define WORKQ_BACKOFF_MIN_MS 5
#define WORKQ_BACKOFF_MAX_MS 30000

struct workq_key {
    char *name;
    struct heap_node due;           /* in q->later, or in none */
    struct list link;               /* in q->ready; points to itself otherwise */
    bool running;
    bool again;                     /* became dirty while running: then due at again_ms */
    bool in_call;                   /* on_key is on the stack and still reads name */
    bool dead;                      /* left the queue while in_call */
    int64_t again_ms;
    int64_t ready_ns, run_ns;       /* for figures */
    unsigned failures;
};

struct workq {
    struct loop *loop;
    struct workq_opts opts;
    struct map *keys;
    struct heap later;
    struct list ready;
    unsigned running;
    size_t n_ready;
    struct loop_timer timer;
    _Atomic uint64_t adds, retries; /* figures */
    _Atomic int64_t depth;
    struct metric_hist waited, worked;
};

static void workq_key_free(void *arg)
{
    struct workq_key *k = arg;

    mem_free(k->name);
    mem_free(k);
}

struct workq *workq_new(struct loop *l, const struct workq_opts *opts)
{
    struct workq *q = NEW(struct workq);

    check(opts->on_key);
    q->loop = l;
    q->opts = *opts;
    if (q->opts.running_max == 0)
        q->opts.running_max = 1;
    if (q->opts.backoff_min_ms == 0)
        q->opts.backoff_min_ms = WORKQ_BACKOFF_MIN_MS;
    if (q->opts.backoff_max_ms == 0)
        q->opts.backoff_max_ms = WORKQ_BACKOFF_MAX_MS;
    q->keys = map_new();
    list_init(&q->ready);
    return q;
}

struct workq *workq_free(struct workq *q)
{
    if (!q)
        return NULL;
    loop_timer_del(&q->timer);
    heap_deinit(&q->later);
    map_free(q->keys, workq_key_free);
    return mem_free(q);
}

static void workq_on_time(struct loop_timer *t);

/* The one timer fires when a key can start or becomes due. */
static void workq_arm(struct workq *q)
{
    const struct heap_node *n = heap_min(&q->later);

    if (q->n_ready > 0 && q->running < q->opts.running_max)
        loop_timer_set(q->loop, &q->timer, 0, workq_on_time);
    else if (n)
        loop_timer_set(q->loop, &q->timer, n->key - loop_now_ms(q->loop), workq_on_time);
    else
        loop_timer_del(&q->timer);
}

static const int64_t workq_bounds[] = {
    10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000,
    100000000000, 1000000000000,
};
#define WORKQ_FAMILY(id, name_, type_, help_)                                               \
    static const struct metric_family id = { .name = "workqueue_" name_, .help = help_,     \
                                             .type = METRIC_##type_, .bounds = workq_bounds, \
                                             .n_bounds = ARRAY_LEN(workq_bounds) }
WORKQ_FAMILY(workq_f_adds, "adds_total", COUNTER, "Total number of adds handled by workqueue.");
WORKQ_FAMILY(workq_f_depth, "depth", GAUGE, "Current depth of workqueue.");
WORKQ_FAMILY(workq_f_retries, "retries_total", COUNTER,
             "Total number of retries handled by workqueue.");
WORKQ_FAMILY(workq_f_waited, "queue_duration_seconds", HISTOGRAM,
             "How long in seconds an item stays in workqueue before being requested.");
WORKQ_FAMILY(workq_f_worked, "work_duration_seconds", HISTOGRAM,
             "How long in seconds processing an item from workqueue takes.");

static void workq_make_ready(struct workq *q, struct workq_key *k)
{
    heap_remove(&q->later, &k->due);
    list_push(&q->ready, &k->link);
    q->n_ready++;
    k->ready_ns = metric_now_ns();
    atomic_fetch_add_explicit(&q->adds, 1, memory_order_relaxed);
    atomic_store_explicit(&q->depth, (int64_t)q->n_ready, memory_order_relaxed);
}

static void workq_run(struct workq *q, struct workq_key *k)
{
    list_del(&k->link);
    q->n_ready--;
    atomic_store_explicit(&q->depth, (int64_t)q->n_ready, memory_order_relaxed);
    k->run_ns = metric_now_ns();
    metric_hist_add(&q->waited, &workq_f_waited, k->run_ns - k->ready_ns);
    q->running++;
    k->running = true;
    k->in_call = true;
    q->opts.on_key(q->opts.ctx, k->name);
    k->in_call = false;
    if (k->dead)
        workq_key_free(k);
}

static void workq_on_time(struct loop_timer *t)
{
    struct workq *q = container_of(t, struct workq, timer);
    int64_t now = loop_now_ms(q->loop);
    struct heap_node *n;
    size_t left;

    while ((n = heap_min(&q->later)) && n->key <= now)
        workq_make_ready(q, container_of(n, struct workq_key, due));
    /* keys that make themselves ready again wait for the next round */
    left = q->n_ready;
    while (left-- > 0 && q->n_ready > 0 && q->running < q->opts.running_max)
        workq_run(q, list_first(&q->ready, struct workq_key, link));
    workq_arm(q);
}

static struct workq_key *workq_key_get(struct workq *q, const char *key)
{
    struct workq_key *k = map_get(q->keys, key);

    if (k)
        return k;
    k = NEW(struct workq_key);
    k->name = mem_strdup(key);
    list_init(&k->link);
    map_put(q->keys, key, k);
    return k;
}

/* `at` is a time of the loop; at or before now means ready. */
static void workq_schedule(struct workq *q, struct workq_key *k, int64_t at)
{
    if (!list_empty(&k->link))
        return;                     /* ready already */
    if (at <= loop_now_ms(q->loop))
        workq_make_ready(q, k);
    else if (k->due.at == 0 || at < k->due.key)
        heap_push(&q->later, &k->due, at);
    workq_arm(q);
}

void workq_add_after(struct workq *q, const char *key, int64_t ms)
{
    struct workq_key *k = workq_key_get(q, key);
    int64_t at = loop_now_ms(q->loop) + (ms > 0 ? ms : 0);

    check(loop_is_mine(q->loop));
    if (!k->running) {
        workq_schedule(q, k, at);
        return;
    }
    if (!k->again || at < k->again_ms)
        k->again_ms = at;
    k->again = true;
}

void workq_add(struct workq *q, const char *key)
{
    workq_add_after(q, key, 0);
}

/* Takes the key out of the running ones. */
static struct workq_key *workq_stopped(struct workq *q, const char *key)
{
    struct workq_key *k = map_get(q->keys, key);

    check(loop_is_mine(q->loop));
    check(k);
    check(k->running);
    k->running = false;
    q->running--;
    metric_hist_add(&q->worked, &workq_f_worked, metric_now_ns() - k->run_ns);
    return k;
}

void workq_done(struct workq *q, const char *key)
{
    struct workq_key *k = workq_stopped(q, key);

    k->failures = 0;
    if (k->again) {
        k->again = false;
        workq_schedule(q, k, k->again_ms);
        return;
    }
    map_del(q->keys, key);
    if (k->in_call)
        k->dead = true;
    else
        workq_key_free(k);
    workq_arm(q);
}

void workq_failed(struct workq *q, const char *key)
{
    struct workq_key *k = workq_stopped(q, key);
    int64_t delay = q->opts.backoff_min_ms;
    int64_t at;

    for (unsigned i = 0; i < k->failures && delay < q->opts.backoff_max_ms; i++)
        delay *= 2;
    if (delay > q->opts.backoff_max_ms)
        delay = q->opts.backoff_max_ms;
    k->failures++;
    atomic_fetch_add_explicit(&q->retries, 1, memory_order_relaxed);
    at = loop_now_ms(q->loop) + delay;
    if (k->again && k->again_ms < at)
        at = k->again_ms;
    k->again = false;
    workq_schedule(q, k, at);
}

size_t workq_len(const struct workq *q)
{
    return map_len(q->keys);
}

/* --- figures */

static void workq_write(struct buf *out, const struct metric_family *f, const struct workq *q)
{
    _cleanup_buf_ struct buf labels = BUF_INIT;

    metric_label(&labels, "name", q->opts.name);
    if (f == &workq_f_waited)
        metric_write_hist(out, f, labels.p, &q->waited);
    else if (f == &workq_f_worked)
        metric_write_hist(out, f, labels.p, &q->worked);
    else
        metric_write_u64(out, f, labels.p, f == &workq_f_adds ? q->adds
                         : f == &workq_f_retries ? q->retries : (uint64_t)q->depth);
}

void workq_metrics(struct buf *out, const struct workq *const *v, size_t n)
{
    static const struct metric_family *const all[] = {
        &workq_f_adds, &workq_f_depth, &workq_f_waited, &workq_f_retries, &workq_f_worked,
    };

    for (size_t f = 0; f < ARRAY_LEN(all); f++) {
        metric_write_head(out, all[f]);
        for (size_t i = 0; i < n; i++)
            workq_write(out, all[f], v[i]);
    }
}
