/* metric.c -- counting without locks, and the text. */
#include "core/base/metric.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "core/base/check.h"
#include "core/base/mem.h"

#define NS_PER_S 1000000000

int64_t metric_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* --- one histogram */

void metric_hist_add(struct metric_hist *h, const struct metric_family *f, int64_t value)
{
    unsigned i = 0;

    while (i < f->n_bounds && value > f->bounds[i])
        i++;
    atomic_fetch_add_explicit(&h->n[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum, value, memory_order_relaxed);
}

uint64_t metric_hist_count(const struct metric_hist *h, const struct metric_family *f)
{
    uint64_t n = 0;

    for (unsigned i = 0; i <= f->n_bounds; i++)
        n += atomic_load_explicit(&h->n[i], memory_order_relaxed);
    return n;
}

/* --- many series: an open table whose keys only come. A slot is taken by its key; the histogram
 * behind it follows, and whoever loses that race gives his back. */

struct slot {
    _Atomic uint64_t key;                /* 0: free; else the key + 1 */
    _Atomic uint64_t count;
    _Atomic(struct metric_hist *) hist;
};

struct metric_set {
    const struct metric_family *family;
    unsigned max;
    uint64_t mask;
    _Atomic unsigned used;
    struct slot other;                   /* what came past max */
    struct slot slots[];
};

struct metric_set *metric_set_new(const struct metric_family *f, unsigned max)
{
    struct metric_set *s;
    uint64_t places = 16;

    check(f->n_bounds <= METRIC_BOUNDS_MAX);
    check(max > 0);
    while (places < (uint64_t)max * 3 / 2)
        places *= 2;
    s = mem_alloc(sizeof(*s) + places * sizeof(s->slots[0]));
    s->family = f;
    s->max = max;
    s->mask = places - 1;
    return s;
}

struct metric_set *metric_set_free(struct metric_set *s)
{
    if (!s)
        return NULL;
    for (uint64_t i = 0; i <= s->mask; i++)
        mem_free(s->slots[i].hist);
    mem_free(s->other.hist);
    return mem_free(s);
}

static uint64_t spread(uint64_t key)
{
    key *= 0x9e3779b97f4a7c15u;
    return key ^ key >> 29;
}

static struct slot *find(struct metric_set *s, uint64_t key)
{
    for (uint64_t at = spread(key); ; at++) {
        struct slot *slot = &s->slots[at & s->mask];
        uint64_t there = atomic_load_explicit(&slot->key, memory_order_acquire);

        if (there == key + 1)
            return slot;
        if (there)
            continue;
        if (atomic_fetch_add(&s->used, 1) >= s->max) {
            atomic_fetch_sub(&s->used, 1);
            return &s->other;
        }
        if (atomic_compare_exchange_strong(&slot->key, &there, key + 1))
            return slot;
        atomic_fetch_sub(&s->used, 1);
        if (there == key + 1)
            return slot;
    }
}

static struct metric_hist *hist_of(struct slot *slot, const struct metric_family *f)
{
    struct metric_hist *h = atomic_load_explicit(&slot->hist, memory_order_acquire), *mine;

    if (h)
        return h;
    /* no longer than its family needs */
    mine = mem_alloc(sizeof(*mine) - (METRIC_BOUNDS_MAX - f->n_bounds) * sizeof(mine->n[0]));
    if (atomic_compare_exchange_strong(&slot->hist, &h, mine))
        return mine;
    mem_free(mine);
    return h;
}

void metric_set_add(struct metric_set *s, uint64_t key, int64_t value)
{
    struct slot *slot;

    check(key < METRIC_OTHER - 1);
    slot = find(s, key);
    if (s->family->type == METRIC_HISTOGRAM)
        metric_hist_add(hist_of(slot, s->family), s->family, value);
    else
        atomic_fetch_add_explicit(&slot->count, (uint64_t)value, memory_order_relaxed);
}

static void write_slot(struct buf *out, const struct metric_set *s, const struct slot *slot,
                       const char *labels)
{
    const struct metric_hist *h = atomic_load_explicit(&slot->hist, memory_order_acquire);
    uint64_t count = atomic_load_explicit(&slot->count, memory_order_relaxed);

    if (s->family->type != METRIC_HISTOGRAM && (count || slot != &s->other))
        metric_write_u64(out, s->family, labels, count);
    else if (h)
        metric_write_hist(out, s->family, labels, h);
}

void metric_set_write(struct buf *out, const struct metric_set *s, metric_labels_fn labels,
                      void *ctx)
{
    _cleanup_buf_ struct buf text = BUF_INIT;

    metric_write_head(out, s->family);
    for (uint64_t i = 0; i <= s->mask; i++) {
        uint64_t key = atomic_load_explicit(&s->slots[i].key, memory_order_acquire);

        if (!key)
            continue;
        buf_clear(&text);
        labels(&text, key - 1, ctx);
        write_slot(out, s, &s->slots[i], text.p);
    }
    buf_clear(&text);
    labels(&text, METRIC_OTHER, ctx);
    write_slot(out, s, &s->other, text.p);
}

/* --- text */

void metric_label(struct buf *labels, const char *key, const char *value)
{
    if (labels->len)
        buf_chr(labels, ',');
    buf_str(labels, key);
    buf_str(labels, "=\"");
    for (const char *p = value ? value : ""; *p; p++) {
        if (*p == '\\' || *p == '"')
            buf_chr(labels, '\\');
        if (*p == '\n')
            buf_str(labels, "\\n");
        else
            buf_chr(labels, *p);
    }
    buf_chr(labels, '"');
}

void metric_write_head(struct buf *out, const struct metric_family *f)
{
    static const char *const types[] = { [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge",
                                         [METRIC_HISTOGRAM] = "histogram" };

    buf_str(out, "# HELP ");
    buf_str(out, f->name);
    buf_chr(out, ' ');
    buf_str(out, f->help);
    buf_str(out, "\n# TYPE ");
    buf_str(out, f->name);
    buf_chr(out, ' ');
    buf_str(out, types[f->type]);
    buf_chr(out, '\n');
}

static void start(struct buf *out, const struct metric_family *f, const char *suffix,
                  const char *labels)
{
    buf_str(out, f->name);
    buf_str(out, suffix);
    if (!str_empty(labels)) {
        buf_chr(out, '{');
        buf_str(out, labels);
        buf_chr(out, '}');
    }
    buf_chr(out, ' ');
}

void metric_write_u64(struct buf *out, const struct metric_family *f, const char *labels,
                      uint64_t v)
{
    start(out, f, "", labels);
    buf_fmt(out, "%llu\n", (unsigned long long)v);
}

void metric_write_real(struct buf *out, const struct metric_family *f, const char *labels,
                       double v)
{
    start(out, f, "", labels);
    if (isnan(v) || isinf(v))
        buf_str(out, isnan(v) ? "NaN\n" : v > 0 ? "+Inf\n" : "-Inf\n");
    else
        buf_fmt(out, "%.15g\n", v);
}

void metric_write_one(struct buf *out, const struct metric_family *f, uint64_t v)
{
    metric_write_head(out, f);
    metric_write_u64(out, f, NULL, v);
}

void metric_write_hist(struct buf *out, const struct metric_family *f, const char *labels,
                       const struct metric_hist *h)
{
    double scale = (double)(f->scale ? f->scale : NS_PER_S);
    const char *comma = str_empty(labels) ? "" : ",";
    uint64_t n = 0;

    labels = labels ? labels : "";
    for (unsigned i = 0; i <= f->n_bounds; i++) {
        char bound[32] = "+Inf";

        if (i < f->n_bounds)
            snprintf(bound, sizeof(bound), "%.9g", (double)f->bounds[i] / scale);
        n += atomic_load_explicit(&h->n[i], memory_order_relaxed);
        buf_str(out, f->name);
        buf_str(out, "_bucket{");
        buf_str(out, labels);
        buf_str(out, comma);
        buf_fmt(out, "le=\"%s\"} %llu\n", bound, (unsigned long long)n);
    }
    start(out, f, "_sum", labels);
    buf_fmt(out, "%.15g\n", (double)atomic_load_explicit(&h->sum, memory_order_relaxed) / scale);
    start(out, f, "_count", labels);
    buf_fmt(out, "%llu\n", (unsigned long long)n);
}
