/* cmd/status_judge.h -- what of the API's lists is well and what is not, in few words. Pure. */
#ifndef CMD_STATUS_JUDGE_H
#define CMD_STATUS_JUDGE_H

#include "core/base/json.h"

/* items of a NodeList -> [{name, ready, reason, message}] */
struct json *status_judge_nodes(struct arena *a, const struct json *items);
/* items of a PodList -> {total, phases: {Running: 3}, failing: [{namespace, name, phase, container,
 * reason, message, last}]}. Failing: what waits for another reason than being made, cannot be
 * scheduled, ended badly or is not ready. */
struct json *status_judge_pods(struct arena *a, const struct json *items);

#endif
