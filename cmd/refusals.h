/* cmd/refusals.h -- what a role asked the kernel for that its row of the table does not allow
 * (runtime/confine): the parent answers, and the log says each call once. Either a call is missing
 * in the table, or somebody is at work inside the role. */
#ifndef CMD_REFUSALS_H
#define CMD_REFUSALS_H

#include "core/loop/loop.h"

#define REFUSALS_MAX 256                 /* answers; then the kernel answers alone, with ENOSYS */

struct refusals;

/* fd is taken; role: a name that lasts. NULL and a line in the log when it fails. */
struct refusals *refusals_new(struct loop *l, int fd, const char *role);
struct refusals *refusals_free(struct refusals *r);

#endif
