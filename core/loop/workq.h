/* core/loop/workq.h -- dirty keys: level-triggered work with delay and back-off, one run per key.
 *
 * An event only marks a key dirty. The handler re-reads desired and actual state and finishes the
 * key with done, after N ms, or failed (exponential back-off). A key added while it runs is run
 * once more after. Lives on one loop.
 */
#ifndef CORE_LOOP_WORKQ_H
#define CORE_LOOP_WORKQ_H

#include "core/base/str.h"
#include "core/loop/loop.h"

struct workq;

struct workq_opts {
    const char *name;
    unsigned running_max;                              /* keys at once; 0 means 1 */
    int64_t backoff_min_ms, backoff_max_ms;            /* 0: 5 ms and 30 s */
    /* Starts the work; it ends by workq_done/failed, from inside or later. */
    void (*on_key)(void *ctx, const char *key);
    void *ctx;
};

struct workq *workq_new(struct loop *l, const struct workq_opts *opts);
struct workq *workq_free(struct workq *q);
CLEANUP_DEFINE(struct workq, workq_free)
void workq_add(struct workq *q, const char *key);                       /* dirty now */
/* dirty then; an earlier time wins */
void workq_add_after(struct workq *q, const char *key, int64_t ms);
void workq_done(struct workq *q, const char *key);                      /* resets its back-off */
/* again after its back-off */
void workq_failed(struct workq *q, const char *key);
/* waiting and running keys */
size_t workq_len(const struct workq *q);
/* The figures of n queues, labelled by their names; any thread. */
void workq_metrics(struct buf *out, const struct workq *const *v, size_t n);

#endif
