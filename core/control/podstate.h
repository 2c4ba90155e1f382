/* podstate.h -- what controllers ask about a pod. Inside core/control only. */
#ifndef CORE_CONTROL_PODSTATE_H
#define CORE_CONTROL_PODSTATE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/object/object.h"

struct pod_condition_view;

/* Succeeded or Failed. */
bool podstate_ended(const struct object *pod);
/* Not ended and not being deleted. */
bool podstate_active(const struct object *pod);
bool podstate_ready(const struct object *pod);
/* Ready for at least min_ready_s; when not yet: *left_s more seconds are needed, below 0 when that
 * is not a matter of time. left_s may be NULL. */
bool podstate_available(const struct object *pod, int64_t min_ready_s, int64_t now_s,
                        int64_t *left_s);
/* When it became ready; 0: it is not. */
int64_t podstate_ready_since(const struct object *pod);
const struct pod_condition_view *podstate_condition(const struct object *pod, const char *type);
/* The most restarts of one container, init containers included. */
int64_t podstate_restarts(const struct object *pod);

#endif
