/* runtime/node/pod_plan.h -- a container of a pod as a plan for the runtime. Pure.
 *
 * Volumes are added after it (node_volumes_add_mounts). What cannot be honoured is an error here:
 * the text becomes CreateContainerConfigError.
 */
#ifndef RUNTIME_NODE_POD_PLAN_H
#define RUNTIME_NODE_POD_PLAN_H

#include "gen/views.h"
#include "runtime/node/node_self.h"

struct pod_plan_in {
    const struct node_conf *conf;
    const struct pod_view *pod;
    const struct container_view *container;
    const struct image *image;
    const struct image_mount *mount;
    const char *id;                      /* of the run: <data>/containers/ID is prepared */
    const char *data;                    /* of the pod */
    const struct plan_texts *args, *env;         /* final ones */
    int64_t memory_bytes;                /* of the machine: weighs the oom score */
};
int pod_plan_make(struct oci_plan *out, struct cgroup_limits *limits, struct arena *a,
                  const struct pod_plan_in *in, struct err *err);
/* Of the group that holds all containers of the pod. */
void pod_plan_pod_limits(struct cgroup_limits *out, const struct pod_spec_view *s);
/* "SIGTERM"; by lifecycle.stopSignal, then the image. */
const char *pod_plan_stop_signal(const struct container_view *c, const struct image *im);
int pod_plan_signal(const char *name);   /* "SIGQUIT", "QUIT", "3", "RTMIN+3"; SIGTERM for others */

#endif
