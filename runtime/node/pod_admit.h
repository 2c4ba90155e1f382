/* runtime/node/pod_admit.h -- whether this node can run a pod that was bound to it: it has the room
 * and can do all that is asked. Pure, but for the pods that are there already.
 */
#ifndef RUNTIME_NODE_POD_ADMIT_H
#define RUNTIME_NODE_POD_ADMIT_H

#include "runtime/node/pod.h"

struct pod_refusal { const char *reason; char message[512]; };

bool pod_admit(struct pod_refusal *out, const struct pod *p);

#endif
