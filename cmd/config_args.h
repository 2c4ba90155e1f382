/* cmd/config_args.h -- settings of the parts that upstream runs as programs of their own:
 * --kubelet-arg=max-pods=50 and its sisters.
 *
 * One table names the settings that mean something here, with upstream's names, units and initial
 * values; others are told as ignored, as any flag of k3s without meaning here.
 */
#ifndef CMD_CONFIG_ARGS_H
#define CMD_CONFIG_ARGS_H

#include "cmd/config.h"

struct config_args {
    /* kube-apiserver */
    int64_t not_ready_toleration_s, unreachable_toleration_s, event_ttl_ms;
    /* kube-controller-manager */
    int64_t node_grace_ms, node_startup_grace_ms, sign_ms;
    /* kubelet */
    int64_t max_pods, heartbeat_ms;
};

/* Errors name the flag and the setting. unknown: told of each "kubelet-arg=NAME" without meaning
 * here; may be NULL. */
int config_args(struct config_args *out, const struct config *c,
                void (*unknown)(const char *what, void *ctx), void *ctx, struct err *err);

#endif
