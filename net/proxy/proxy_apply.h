/* proxy_apply.h -- inside the room: a batch to the kernel. Blocking, in a job. */
#ifndef NET_PROXY_PROXY_APPLY_H
#define NET_PROXY_PROXY_APPLY_H

#include "net/proxy/proxy_render.h"

#define PROXY_APPLY_MS 60000             /* of one batch, however big */

/* The chains, the rules, each all or nothing; then the flows are forgotten and, with `sweep`,
 * chains that nobody needs any more go, where a failure is only logged. */
int proxy_apply(const struct proxy_batch *b, bool sweep, struct err *err);

#endif
