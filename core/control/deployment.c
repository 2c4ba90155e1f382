/* deployment.c: a Deployment keeps one ReplicaSet for each template it had, and moves the pods from
 * the old ones to the new one within the bounds of its strategy.
 *
 * A pass takes one step (all changes of one step are sent together, then the status) and comes back
 * by the events that the step causes.
 */
#include "core/base/map.h"
#include "core/control/deploy.h"
#include "core/control/podstate.h"

struct state { struct adopt_orphans orphans; };

/* --- keys */

static void on_deployment(struct controller *c, struct object *before, struct object *after)
{
    control_enqueue_object(c, after ? after : before);
}

static bool selects(const struct object *d, const struct object *o)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_(selector_freep) struct selector *s = NULL;

    return selector_from_json(&s, json_path(object_tree(d, a), "spec.selector"), NULL) == 0 &&
           selector_matches(s, o);
}

static void on_set(struct controller *c, struct object *before, struct object *after)
{
    struct informer *i = control_informer(c, kind_deployment());
    struct state *s = c->state;
    struct object *d;

    adopt_note(&s->orphans, before, after);
    if (before)
        control_enqueue_owner(c, before, kind_deployment());
    if (after)
        control_enqueue_owner(c, after, kind_deployment());
    if (!after || object_controller(after) || object_is_deleting(after))
        return;
    for (size_t at = 0; (d = informer_next(i, &at));)
        if (str_eq(object_ns(d), object_ns(after)) && selects(d, after))
            control_enqueue_object(c, d);
}

/* Recreate waits for the last old pod. */
static void on_pod(struct controller *c, struct object *before, struct object *after)
{
    const struct object *pod = after ? after : before;
    const struct object_owner *owner = object_controller(pod);
    struct object *rs, *d;

    if ((after && !podstate_ended(after)) || !owner || !str_eq(owner->kind, "ReplicaSet"))
        return;
    rs = informer_get(control_informer(c, kind_replica_set()), object_ns(pod), owner->name);
    owner = rs ? object_controller(rs) : NULL;
    d = owner ? informer_get(control_informer(c, kind_deployment()), object_ns(pod), owner->name)
              : NULL;
    if (d && str_eq(deployment_view(d)->spec.strategy.type, "Recreate"))
        control_enqueue_object(c, d);
}

/* --- ways */

static void scale_only(struct deploy *d)
{
    if (deploy_sets_sync_new(d))
        return;
    deploy_plan_scale(d);
    deploy_sets_apply(d);
    if (d->view->spec.paused)
        deploy_sets_clean(d);
    deploy_status_counts(d);
    deploy_status_write(d);
}

static void note_found(struct deploy *d)
{
    if (deploy_status_has_deadline(d) && !deploy_status_find(d->status, "Progressing"))
        deploy_status_condition(d, "Progressing", "True", "FoundNewReplicaSet",
                                arena_printf(d->p->a, "Found new replica set \"%s\"",
                                             object_name(d->fresh->o)));
}

/* True: the new set is there and in order. */
static bool have_new(struct deploy *d)
{
    if (!d->fresh) {
        deploy_sets_create(d);
        return false;
    }
    if (deploy_sets_sync_new(d))
        return false;
    note_found(d);
    return true;
}

static void finish_rollout(struct deploy *d, bool changed)
{
    deploy_sets_apply(d);
    if (!changed && deploy_status_was_complete(d))
        deploy_sets_clean(d);
    deploy_status_rollout(d);
    deploy_status_write(d);
}

static void roll(struct deploy *d)
{
    if (have_new(d))
        finish_rollout(d, deploy_plan_rolling(d));
}

static bool old_pods_run(const struct deploy *d)
{
    struct informer *pods = control_informer(d->p->c, kind_pod());
    struct object *pod;

    for (unsigned i = 0; i < d->n_sets; i++) {
        const struct deploy_set *s = &d->sets[i];

        if (s == d->fresh)
            continue;
        if (s->view->status.replicas > 0)
            return true;
        for (size_t at = 0; (pod = informer_next_owned(pods, object_uid(s->o), &at));)
            if (!podstate_ended(pod))
                return true;
    }
    return false;
}

static void recreate(struct deploy *d)
{
    bool changed;

    if (d->fresh && deploy_sets_sync_new(d))
        return;
    changed = deploy_plan_recreate_down(d);
    if (changed || old_pods_run(d)) {
        finish_rollout(d, true);
        return;
    }
    if (!have_new(d))
        return;
    changed = d->fresh->size != d->replicas;
    d->fresh->size = d->replicas;
    finish_rollout(d, changed);
}

static void step(struct deploy *d)
{
    if (object_is_deleting(d->o)) {
        deploy_status_counts(d);
        deploy_status_write(d);
        return;
    }
    deploy_status_pause(d);
    if (d->view->spec.paused || deploy_plan_is_scaling(d))
        scale_only(d);
    else if (str_eq(d->view->spec.strategy.type, "Recreate"))
        recreate(d);
    else
        roll(d);
}

static void reconcile(struct pass *p)
{
    struct state *s = p->c->state;
    struct object *o = control_get(p, kind_deployment());
    struct deploy *d;

    if (!o)
        return;
    d = ANEW(p->a, struct deploy);
    *d = (struct deploy){ .p = p, .o = o, .view = deployment_view(o),
                          .tree = object_tree(o, p->a) };
    p->data = d;
    d->uid = arena_strdup(p->a, object_uid(o));
    d->replicas = d->view->spec.has_replicas ? d->view->spec.replicas : 1;
    d->status = json_get(d->tree, "status") ? json_clone(p->a, json_get(d->tree, "status"))
                                            : json_object(p->a);
    d->annotations = json_get(json_get(d->tree, "metadata"), "annotations");
    d->annotations = d->annotations ? json_clone(p->a, d->annotations) : json_object(p->a);
    deploy_plan_bounds(d);
    if (deploy_sets_collect(d, &s->orphans) == 0)
        step(d);
}

static int init(struct controller *c, struct err *err)
{
    struct state *s = c->state;

    (void)err;
    adopt_init(&s->orphans);
    return 0;
}

static void stop(struct controller *c)
{
    struct state *s = c->state;

    adopt_deinit(&s->orphans);
}

const struct control_def deployment_control = {
    .name = "deployment-controller",
    .watches = { { kind_deployment, on_deployment }, { kind_replica_set, on_set },
                 { kind_pod, on_pod } },
    .reconcile = reconcile,
    .state_bytes = sizeof(struct state),
    .init = init,
    .stop = stop,
};
