/* runtime/node/pod_status.h -- a pod's machines as PodStatus, in kubelet's words. Pure: reads the
 * struct, the newest object and the clock given.
 */
#ifndef RUNTIME_NODE_POD_STATUS_H
#define RUNTIME_NODE_POD_STATUS_H

#include "runtime/node/pod.h"

/* All that should run has run, and nothing will run again. */
bool pod_status_is_over(const struct pod *p);
/* over: the pod ends here for good: what did not run counts as failed. now_s < 0: without the times
 * of transitions, to compare by. */
struct json *pod_status_make(struct arena *a, const struct pod *p, bool over, int64_t now_s);
/* The same as text; the caller's. */
char *pod_status_text(const struct pod *p, bool over, int64_t now_s);
/* One of the words that a terminated container may have, as a constant; "Error" for others. */
const char *pod_status_reason(const char *text);

#endif
