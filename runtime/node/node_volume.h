/* runtime/node/node_volume.h -- the volumes of a pod: made, kept up to date, mounted into
 * containers, removed.
 *
 *   node_volumes_new --prepare--> done(NULL): node_volumes_add_mounts for each container
 *                    --prepare--> done(err): FailedMount with err->msg; node_ref_set_refresh,
     prepare again later
 *   a ConfigMap, a Secret,
     the pod's labels changed: prepare again; tokens renew by themselves at 80 % of their life
 *   containers gone: remove --> done --> free
 *
 * Files of Secrets, tokens and everything projected lie on memory, below <run_dir>/volumes/<uid>;
 * emptyDir below <data_dir>/pods/<uid>/volumes/kubernetes.io~empty-dir/<name>, with medium Memory
 * on a tmpfs of its own. Contents change as a whole: ..data is a link to a dated directory and is
 * renamed over.
 *
 * Loop only; the work is jobs under the key "volumes/<uid>".
 */
#ifndef RUNTIME_NODE_NODE_VOLUME_H
#define RUNTIME_NODE_NODE_VOLUME_H

#include "core/loop/job.h"
#include "runtime/node/node_env.h"

#define NODE_VOLUME_FILES_MAX 4096               /* in one volume */
#define NODE_VOLUME_BYTES_MAX (64u << 20)        /* of them together */

struct node_volumes;

struct node_volume_opts {
    struct client *client;                       /* tokens; its loop is ours */
    struct job_pool *jobs;
    const char *data_dir, *run_dir;              /* copied */
    const struct node_ref_set *refs;             /* of the same pod; outlives this */
    /* texts copied; node_volumes_set_facts() when they change */
    struct node_env_facts facts;
};

typedef void node_volume_done(void *ctx, const struct err *err);     /* err NULL: done */

struct node_volumes *node_volumes_new(struct object *pod, const struct node_volume_opts *o);
/* Lets go; what is on disk stays (adopted by the next new + prepare). No callback after. */
struct node_volumes *node_volumes_free(struct node_volumes *v);
CLEANUP_DEFINE(struct node_volumes, node_volumes_free)
void node_volumes_set_facts(struct node_volumes *v, const struct node_env_facts *f);
/* Makes or updates all volumes for this state of the pod. One at a time (asserted); refs must be
 * ready. The error is the text of event FailedMount: `MountVolume.SetUp failed for volume "v" :
 * configmap "x" not found`. */
void node_volumes_prepare(struct node_volumes *v, struct object *pod, node_volume_done *done,
                          void *ctx);
bool node_volumes_prepared(const struct node_volumes *v);            /* once successfully */
bool node_volumes_busy(const struct node_volumes *v);
/* Adds the volumeMounts of a container to its plan; own: of node_env_build, for subPathExpr. */
struct node_volume_mounts {
    struct oci_plan *plan;
    struct arena *a;
    const struct container_view *c;
    const struct plan_texts *own;
};
int node_volumes_add_mounts(const struct node_volumes *v, const struct node_volume_mounts *m,
                            struct err *err);
/* Host directory or file of a volume; NULL when there is none of this name. */
const char *node_volumes_path(const struct node_volumes *v, struct arena *a, const char *name);
/* Unmounts and deletes all of it, after a job that runs. A prepare is not answered any more. */
void node_volumes_remove(struct node_volumes *v, node_volume_done *done, void *ctx);

/* Blocking, at start and in cleanup: removes volumes of pods whose uid is not in keep
 * (NULL-terminated; NULL: all). */
int node_volume_sweep(const char *data_dir, const char *run_dir, const char *const *keep,
                      struct err *err);

#endif
