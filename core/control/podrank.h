/* podrank.h -- which pods a ReplicaSet deletes first. Inside core/control only. */
#ifndef CORE_CONTROL_PODRANK_H
#define CORE_CONTROL_PODRANK_H

#include "core/control/adopt.h"

/* The active ones of `pods`, in the pass's arena, the first to go first: on no node; pending;
 * not ready; cheap by controller.kubernetes.io/pod-deletion-cost; on a node with many of the same
 * application; ready for a short time; often restarted; young. Times count by their logarithm, so
 * that among the old ones chance decides. NULL when there is none. */
struct object **podrank(struct pass *p, const struct object *rs, const struct adopt_list *pods);

#endif
