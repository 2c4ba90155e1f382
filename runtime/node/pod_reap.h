/* runtime/node/pod_reap.h -- a shim that nobody can speak with any more, ended by the record
 * that it left. Blocking. */
#ifndef RUNTIME_NODE_POD_REAP_H
#define RUNTIME_NODE_POD_REAP_H

#include "core/base/err.h"

#define POD_REAP_MS 5000                 /* until it must be gone */

/* dir: <run-dir>/pods/UID. No record, or another process with its number by now: fine. */
int pod_reap_shim(const char *dir, struct err *err);

#endif
