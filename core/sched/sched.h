/* core/sched/sched.h -- the scheduler: which node a pod runs on.
 *
 * Pods without a node wait in a queue; one at a time is filtered and scored over a snapshot of the
 * nodes and bound by the "binding" subresource. A decision is assumed at once, so that the next pod
 * sees it before the watch tells. What fits nowhere gets PodScheduled=False with upstream's words
 * and is tried again when something that may help changes. One loop, no thread.
 */
#ifndef CORE_SCHED_SCHED_H
#define CORE_SCHED_SCHED_H

#include <stdbool.h>

#include "core/base/str.h"
#include "core/client/client.h"

#define SCHED_NAME "default-scheduler"   /* spec.schedulerName of the pods that are ours */

struct sched;

struct sched_opts {
    const char *name;                    /* NULL: SCHED_NAME */
};

/* Lives on the client's loop. Texts are copied. */
int sched_new(struct sched **out, struct client *c, const struct sched_opts *opts,
              struct err *err);
struct sched *sched_free(struct sched *s);
CLEANUP_DEFINE(struct sched, sched_free)
bool sched_synced(const struct sched *s);
void sched_metrics(const struct sched *s, struct buf *out);      /* any thread */

#endif
