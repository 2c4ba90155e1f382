/* core/base/metric.h -- figures about what runs, written as Prometheus's text (0.0.4).
 *
 * There is no registry: a figure lives in the struct of the room that makes it, and the room has a
 * function x_metrics(x, out) that writes them all. Three shapes:
 *
 *   a plain _Atomic integer, or a function      metric_write_u64, metric_write_real
 *   struct metric_hist                          one histogram
 *   struct metric_set                           counters or histograms of one family, by a key of
 *                                               64 bits that its room packs and names (labels)
 *
 * Counting is a relaxed atomic add; nothing is allocated but a series at its first appearance.
 * Any thread may count and any may write at once; figures of one moment need not fit each other.
 */
#ifndef CORE_BASE_METRIC_H
#define CORE_BASE_METRIC_H

#include <stdatomic.h>
#include <stdint.h>

#include "core/base/str.h"

#define METRIC_BOUNDS_MAX 25             /* of a histogram, without +Inf */
#define METRIC_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_family {
    const char *name, *help;
    enum metric_type type;
    const int64_t *bounds;               /* HISTOGRAM: rising; in units of `scale` */
    unsigned n_bounds;
    int64_t scale;                       /* so many are 1 of what is written; 0: 10^9, ns and s */
};

/* Monotonic; for figures only, nothing may be decided by it. */
int64_t metric_now_ns(void);

/* --- one histogram; zero-initialised; its family is given each time */
struct metric_hist {
    _Atomic int64_t sum;
    _Atomic uint32_t n[METRIC_BOUNDS_MAX + 1];
};
void metric_hist_add(struct metric_hist *h, const struct metric_family *f, int64_t value);
uint64_t metric_hist_count(const struct metric_hist *h, const struct metric_family *f);

/* --- many series of one family */
struct metric_set;
/* max: of series; further ones are counted together in one that is labelled as METRIC_OTHER. */
#define METRIC_OTHER UINT64_MAX
struct metric_set *metric_set_new(const struct metric_family *f, unsigned max);
struct metric_set *metric_set_free(struct metric_set *s);
CLEANUP_DEFINE(struct metric_set, metric_set_free)
/* key below METRIC_OTHER - 1. value: of a counter what is added, of a histogram what was seen. */
void metric_set_add(struct metric_set *s, uint64_t key, int64_t value);
/* labels: adds those of a key (metric_label); ctx is its own. */
typedef void (*metric_labels_fn)(struct buf *labels, uint64_t key, void *ctx);
void metric_set_write(struct buf *out, const struct metric_set *s, metric_labels_fn labels,
                      void *ctx);

/* --- text: the family's head once, then its series */
void metric_label(struct buf *labels, const char *key, const char *value);   /* escapes value */
void metric_write_head(struct buf *out, const struct metric_family *f);
/* labels: as metric_label made them; NULL or "": none */
void metric_write_u64(struct buf *out, const struct metric_family *f, const char *labels,
                      uint64_t v);
void metric_write_real(struct buf *out, const struct metric_family *f, const char *labels,
                       double v);
void metric_write_hist(struct buf *out, const struct metric_family *f, const char *labels,
                       const struct metric_hist *h);
/* Head and its only series. */
void metric_write_one(struct buf *out, const struct metric_family *f, uint64_t v);

#endif
