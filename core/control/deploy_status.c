/* deploy_status.c -- status and conditions of a Deployment, with upstream's reasons. */
#include "core/control/deploy.h"

#include "core/base/timefmt.h"

#define NEW_SET_AVAILABLE "NewReplicaSetAvailable"
#define TIMED_OUT "ProgressDeadlineExceeded"
#define PAUSED "DeploymentPaused"

/* --- conditions */

struct json *deploy_status_find(const struct json *status, const char *type)
{
    struct json *it;

    json_each(it, json_get(status, "conditions"))
        if (str_eq(json_get_str(it, "type"), type))
            return it;
    return NULL;
}

static void drop(struct deploy *d, const char *type)
{
    struct json *list = json_get(d->status, "conditions");

    for (size_t i = json_len(list); i-- > 0;)
        if (str_eq(json_get_str(json_at(list, i), "type"), type))
            json_remove(list, i);
    if (list && !json_len(list))
        json_del(d->status, "conditions");
}

static const char *now_text(struct deploy *d)
{
    char now[TIMEFMT_BYTES];

    timefmt_rfc3339(now, control_now_s(d->p->c->control));
    return arena_strdup(d->p->a, now);
}

/* `since` NULL: now. */
struct condition { const char *type, *status, *reason, *message, *since; };

static void put(struct deploy *d, const struct condition *n)
{
    struct arena *a = d->p->a;
    struct json *c = json_object(a);
    const char *now = now_text(d);

    json_set_str(a, c, "type", n->type);
    json_set_str(a, c, "status", n->status);
    json_set_str(a, c, "lastUpdateTime", now);
    json_set_str(a, c, "lastTransitionTime", n->since ? n->since : now);
    json_set_str(a, c, "reason", n->reason);
    json_set_str(a, c, "message", n->message);
    drop(d, n->type);
    json_append(a, json_ensure_array(a, d->status, "conditions"), c);
}

/* The transition time changes with the status only. */
static const char *since(const struct json *old, const char *status)
{
    return str_eq(json_get_str(old, "status"), status) ? json_get_str(old, "lastTransitionTime")
                                                       : NULL;
}

void deploy_status_condition(struct deploy *d, const char *type, const char *status,
                             const char *reason, const char *message)
{
    struct json *old = deploy_status_find(d->status, type);

    if (old && str_eq(json_get_str(old, "status"), status) &&
        str_eq(json_get_str(old, "reason"), reason))
        return;
    put(d, &(struct condition){ type, status, reason, message, since(old, status) });
}

bool deploy_status_has_deadline(const struct deploy *d)
{
    return d->view->spec.has_progress_deadline_seconds &&
           d->view->spec.progress_deadline_seconds != INT32_MAX;
}

/* --- counts */

static void set_count(struct deploy *d, const char *key, int64_t n)
{
    if (n)
        json_set_int(d->p->a, d->status, key, n);
    else
        json_del(d->status, key);
}

static int64_t count(const struct json *status, const char *key)
{
    return json_get_int(status, key, 0);
}

void deploy_status_counts(struct deploy *d)
{
    int64_t replicas = 0, ready = 0, available = 0, terminating = 0;

    for (unsigned i = 0; i < d->n_sets; i++) {
        const struct replica_set_status_view *s = &d->sets[i].view->status;

        replicas += s->replicas;
        ready += s->ready_replicas;
        available += s->available_replicas;
        terminating += s->terminating_replicas;
    }
    set_count(d, "observedGeneration", object_generation(d->o));
    set_count(d, "replicas", replicas);
    set_count(d, "updatedReplicas", d->fresh ? d->fresh->view->status.replicas : 0);
    set_count(d, "readyReplicas", ready);
    set_count(d, "availableReplicas", available);
    set_count(d, "unavailableReplicas", replicas > available ? replicas - available : 0);
    json_set_int(d->p->a, d->status, "terminatingReplicas", terminating);
    if (available >= d->replicas - d->unavailable)
        deploy_status_condition(d, "Available", "True", "MinimumReplicasAvailable",
                                "Deployment has minimum availability.");
    else
        deploy_status_condition(d, "Available", "False", "MinimumReplicasUnavailable",
                                "Deployment does not have minimum availability.");
}

static bool is_complete(const struct deploy *d, const struct json *status)
{
    return count(status, "updatedReplicas") == d->replicas &&
           count(status, "replicas") == d->replicas &&
           count(status, "availableReplicas") == d->replicas &&
           count(status, "observedGeneration") >= object_generation(d->o);
}

bool deploy_status_complete(const struct deploy *d)
{
    return is_complete(d, d->status);
}

bool deploy_status_was_complete(const struct deploy *d)
{
    return is_complete(d, json_get(d->tree, "status"));
}

/* --- the roll-out */

static bool is_progressing(const struct deploy *d)
{
    const struct json *was = json_get(d->tree, "status"), *is = d->status;
    int64_t old_was = count(was, "replicas") - count(was, "updatedReplicas");
    int64_t old_is = count(is, "replicas") - count(is, "updatedReplicas");

    return count(is, "updatedReplicas") > count(was, "updatedReplicas") || old_is < old_was ||
           count(is, "readyReplicas") > count(was, "readyReplicas") ||
           count(is, "availableReplicas") > count(was, "availableReplicas");
}

static int64_t updated_s(const struct json *condition)
{
    const char *text = json_get_str(condition, "lastUpdateTime");
    int64_t us = 0;

    if (!text || timefmt_parse(text, &us, NULL) < 0)
        return 0;
    return us / 1000000;
}

static bool is_timed_out(const struct deploy *d)
{
    const struct json *c = deploy_status_find(d->status, "Progressing");
    const char *reason = json_get_str(c, "reason");

    if (!c || str_eq(reason, NEW_SET_AVAILABLE))
        return false;
    return str_eq(reason, TIMED_OUT) ||
           updated_s(c) + d->view->spec.progress_deadline_seconds <
               control_now_s(d->p->c->control);
}

static const char *about(struct deploy *d, const char *what)
{
    return arena_printf(d->p->a, "%s \"%s\" %s", d->fresh ? "ReplicaSet" : "Deployment",
                        d->fresh ? object_name(d->fresh->o) : d->p->name, what);
}

static void progress(struct deploy *d)
{
    struct json *old = deploy_status_find(d->status, "Progressing");

    if (str_eq(json_get_str(old, "reason"), NEW_SET_AVAILABLE) &&
        count(d->status, "replicas") == count(d->status, "updatedReplicas"))
        return;
    if (deploy_status_complete(d))
        deploy_status_condition(d, "Progressing", "True", NEW_SET_AVAILABLE,
                                about(d, "has successfully progressed."));
    else if (is_progressing(d))
        put(d, &(struct condition){ "Progressing", "True", "ReplicaSetUpdated",
                                    about(d, "is progressing."), since(old, "True") });
    else if (is_timed_out(d))
        deploy_status_condition(d, "Progressing", "False", TIMED_OUT,
                                about(d, "has timed out progressing."));
}

static const struct replica_set_condition_view *failure_of(const struct deploy_set *s)
{
    for (unsigned i = 0; s && i < s->view->status.n_conditions; i++)
        if (str_eq(s->view->status.conditions[i].type, "ReplicaFailure"))
            return &s->view->status.conditions[i];
    return NULL;
}

static void take_failure(struct deploy *d)
{
    const struct replica_set_condition_view *f = failure_of(d->fresh);

    for (unsigned i = 0; !f && i < d->n_sets; i++)
        f = failure_of(&d->sets[i]);
    if (f)
        deploy_status_condition(d, "ReplicaFailure", f->status, f->reason, f->message);
    else
        drop(d, "ReplicaFailure");
}

void deploy_status_rollout(struct deploy *d)
{
    deploy_status_counts(d);
    if (deploy_status_has_deadline(d))
        progress(d);
    else
        drop(d, "Progressing");
    take_failure(d);
}

void deploy_status_pause(struct deploy *d)
{
    const char *reason = json_get_str(deploy_status_find(d->status, "Progressing"), "reason");
    bool paused = str_eq(reason, PAUSED);

    if (!deploy_status_has_deadline(d) || str_eq(reason, TIMED_OUT))
        return;
    if (d->view->spec.paused && !paused)
        deploy_status_condition(d, "Progressing", "Unknown", PAUSED, "Deployment is paused");
    else if (!d->view->spec.paused && paused)
        deploy_status_condition(d, "Progressing", "Unknown", "DeploymentResumed",
                                "Deployment is resumed");
}

/* --- writing */

/* A roll-out that stands still must be looked at when its deadline has passed. */
static void come_back_in_time(struct deploy *d)
{
    const struct json *c = deploy_status_find(d->status, "Progressing");
    const char *reason = json_get_str(c, "reason");
    int64_t left;

    if (!deploy_status_has_deadline(d) || !c || deploy_status_complete(d) || d->view->spec.paused ||
        str_eq(reason, TIMED_OUT) || str_eq(reason, NEW_SET_AVAILABLE))
        return;
    left = updated_s(c) + d->view->spec.progress_deadline_seconds -
           control_now_s(d->p->c->control);
    control_again(d->p, left < 0 ? 1000 : (left + 1) * 1000);
}

static void on_written(struct pass *p, const struct client_result *r, void *arg)
{
    (void)arg;
    if (!client_ok(r) && r->code != 404)
        control_fail(p);
}

void deploy_status_write(struct deploy *d)
{
    struct arena *a = d->p->a;
    struct json *tree = json_clone(a, d->tree), *meta = json_get(tree, "metadata");

    come_back_in_time(d);
    json_set(a, tree, "status", d->status);
    if (json_len(d->annotations))
        json_set(a, meta, "annotations", d->annotations);
    if (!json_equal(tree, d->tree))
        control_update_status(d->p, d->o, tree, on_written, NULL);
}
