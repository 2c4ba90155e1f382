/* deploy.h -- between the files of the Deployment controller. Inside core/control only.
 *
 *   deployment.c      one pass: which of the ways below, and their keys
 *   deploy_sets.c     the ReplicaSets: which is the new one, revisions, making it, sizes
 *   deploy_plan.c     pure numbers: how many replicas each ReplicaSet should have next
 *   deploy_status.c   status and conditions
 */
#ifndef CORE_CONTROL_DEPLOY_H
#define CORE_CONTROL_DEPLOY_H

#include "core/control/adopt.h"
#include "gen/views.h"

#define DEPLOY_REVISION "deployment.kubernetes.io/revision"
#define DEPLOY_HISTORY "deployment.kubernetes.io/revision-history"
#define DEPLOY_DESIRED "deployment.kubernetes.io/desired-replicas"
#define DEPLOY_MAX "deployment.kubernetes.io/max-replicas"
#define DEPLOY_HASH_LABEL "pod-template-hash"
#define DEPLOY_HISTORY_MAX 2000          /* bytes of the annotation revision-history */

struct deploy_set {
    struct object *o;                    /* borrowed */
    const struct replica_set_view *view;
    int64_t size;                        /* spec.replicas, and what this pass makes of it */
    bool annotate;                       /* also when the size stays: desired and max replicas */
};

struct deploy {
    struct pass *p;
    struct object *o;                    /* the Deployment, borrowed: not in answers */
    const char *uid;
    const struct deployment_view *view;
    struct json *tree;                   /* of it, to read */
    struct json *status, *annotations;   /* as they will be */
    struct deploy_set *sets;             /* the oldest first */
    unsigned n_sets;
    struct deploy_set *fresh;            /* the one of the present template, or NULL */
    int64_t replicas, surge, unavailable;
};

/* --- deploy_plan.c: all read and write `size` of the sets and nothing else */
void deploy_plan_bounds(struct deploy *d);               /* surge and unavailable */
/* of the new set, as large as it may be now */
int64_t deploy_plan_new_size(const struct deploy *d);
/* one step of a rolling update; true: a change */
bool deploy_plan_rolling(struct deploy *d);
bool deploy_plan_recreate_down(struct deploy *d);
void deploy_plan_scale(struct deploy *d);                /* to spec.replicas, in proportion */
/* spec.replicas is not what the sets were told */
bool deploy_plan_is_scaling(const struct deploy *d);
int64_t deploy_plan_annotation(const struct object *o, const char *key);     /* -1: none */

/* --- deploy_sets.c */
int deploy_sets_collect(struct deploy *d, struct adopt_orphans *orphans);
/* Revision and annotations of the new set; true when it sent a change: the pass ends. */
bool deploy_sets_sync_new(struct deploy *d);
void deploy_sets_create(struct deploy *d);               /* the new set */
void deploy_sets_apply(struct deploy *d);                /* sends the sizes of the plan */
void deploy_sets_clean(struct deploy *d);                /* those past revisionHistoryLimit */
int64_t deploy_sets_revision(const struct object *o);

/* --- deploy_status.c */
void deploy_status_counts(struct deploy *d);             /* fills d->status; conditions stay */
void deploy_status_rollout(struct deploy *d);            /* Progressing and ReplicaFailure */
/* Progressing of paused and resumed ones */
void deploy_status_pause(struct deploy *d);
bool deploy_status_complete(const struct deploy *d);     /* by the status as it will be */
/* As stored, and of this generation. */
bool deploy_status_was_complete(const struct deploy *d);
void deploy_status_condition(struct deploy *d, const char *type, const char *status,
                             const char *reason, const char *message);
bool deploy_status_has_deadline(const struct deploy *d);
struct json *deploy_status_find(const struct json *status, const char *type);
/* when it differs; asks to come back in time */
void deploy_status_write(struct deploy *d);

#endif
