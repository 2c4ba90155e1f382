/* nodeevict.c: pods leave a node with NoExecute taints, each after as long as it tolerates them. */
#include "core/control/control_impl.h"

#include "core/base/map.h"
#include "core/base/timefmt.h"
#include "core/control/podnode.h"
#include "gen/views.h"

#define FOREVER INT64_MAX

/* "taint key/pod uid" of taints without a time -> int64_t s */
struct state { struct map *since; };

/* --- keys */

static bool has_no_execute(const struct object *node)
{
    const struct node_view *v = node_view(node);

    for (unsigned i = 0; i < v->spec.n_taints; i++)
        if (str_eq(v->spec.taints[i].effect, "NoExecute"))
            return true;
    return false;
}

static void on_node(struct controller *c, struct object *before, struct object *after)
{
    (void)before;
    if (after && has_no_execute(after))
        control_enqueue_object(c, after);
}

static void on_pod(struct controller *c, struct object *before, struct object *after)
{
    const char *name = after ? pod_view(after)->spec.node_name : "";
    struct object *node;

    if (!after || str_empty(name) || object_is_deleting(after))
        return;
    if (before && str_eq(pod_view(before)->spec.node_name, name) &&
        pod_view(before)->spec.n_tolerations == pod_view(after)->spec.n_tolerations)
        return;
    node = control_find(c, kind_node(), "", name);
    if (node && has_no_execute(node))
        control_enqueue(c, "", name);
}

/* --- how long */

static bool tolerates(const struct toleration_view *t, const struct taint_view *taint)
{
    if (!str_empty(t->effect) && !str_eq(t->effect, taint->effect))
        return false;
    if (!str_empty(t->key) && !str_eq(t->key, taint->key))
        return false;
    if (str_eq(t->operator, "Exists"))
        return true;
    return str_eq(t->value ? t->value : "", taint->value ? taint->value : "");
}

/* Seconds that the pod tolerates this taint. */
static int64_t tolerated_s(const struct object *pod, const struct taint_view *taint)
{
    const struct pod_view *v = pod_view(pod);
    int64_t least = FOREVER;
    bool any = false;

    for (unsigned i = 0; i < v->spec.n_tolerations; i++) {
        const struct toleration_view *t = &v->spec.tolerations[i];
        int64_t s = t->has_toleration_seconds ? t->toleration_seconds : FOREVER;

        if (!tolerates(t, taint))
            continue;
        any = true;
        if (s < least)
            least = s < 0 ? 0 : s;
    }
    return any ? least : 0;
}

static int64_t since_s(struct pass *p, const struct object *pod, const struct taint_view *taint)
{
    struct state *s = p->c->state;
    const char *key;
    int64_t *at;

    if (taint->time_added_s)
        return taint->time_added_s;
    key = arena_printf(p->a, "%s/%s", taint->key, object_uid(pod));
    at = map_get(s->since, key);
    if (!at) {
        at = NEW(int64_t);
        *at = control_now_s(p->c->control);
        map_put(s->since, key, at);
    }
    return *at;
}

/* The second at which it must go; FOREVER: never. */
static int64_t due_s(struct pass *p, const struct object *node, const struct object *pod)
{
    const struct node_view *v = node_view(node);
    int64_t due = FOREVER;

    for (unsigned i = 0; i < v->spec.n_taints; i++) {
        const struct taint_view *taint = &v->spec.taints[i];
        int64_t s;

        if (!str_eq(taint->effect, "NoExecute"))
            continue;
        s = tolerated_s(pod, taint);
        if (s == FOREVER)
            continue;
        if (s > 0)
            s += since_s(p, pod, taint);
        if (s < due)
            due = s;
    }
    return due;
}

/* --- the pass */

static void evict(struct pass *p, struct object *pod)
{
    struct json *patch = json_object(p->a), *c = json_object(p->a);
    struct client_req req = { .verb = CLIENT_PATCH_STRATEGIC, .kind = kind_pod(),
                              .ns = object_ns(pod), .name = object_name(pod),
                              .subresource = "status", .body = patch, .grace_s = -1 };
    char now[TIMEFMT_BYTES];

    timefmt_rfc3339(now, control_now_s(p->c->control));
    json_set_str(p->a, json_ensure_object(p->a, patch, "metadata"), "uid", object_uid(pod));
    json_set_str(p->a, c, "type", "DisruptionTarget");
    json_set_str(p->a, c, "status", "True");
    json_set_str(p->a, c, "lastTransitionTime", now);
    json_set_str(p->a, c, "reason", "DeletionByTaintManager");
    json_set_str(p->a, c, "message", "Taint manager: deleting due to NoExecute taint");
    json_append(p->a, json_ensure_array(p->a, json_ensure_object(p->a, patch, "status"),
                                        "conditions"), c);
    recorder_normal(p->c->events, pod, "TaintManagerEviction", "Marking for deletion Pod %s/%s",
                    object_ns(pod), object_name(pod));
    control_do(p, &req, NULL, NULL);
    control_delete(p, pod, NULL, NULL, NULL);
}

static void reconcile(struct pass *p)
{
    struct informer *pods = control_informer(p->c, kind_pod());
    struct object *node = control_get(p, kind_node()), *pod;
    int64_t now = control_now_s(p->c->control);

    if (!node || !has_no_execute(node))
        return;
    for (size_t at = 0; (pod = podnode_next(p->c->control->by_node, pods, p->name, &at));) {
        int64_t due = object_is_deleting(pod) ? FOREVER : due_s(p, node, pod);

        if (due <= now)
            evict(p, pod);
        else if (due != FOREVER)
            control_again(p, (due - now) * 1000);
    }
}

static int init(struct controller *c, struct err *err)
{
    struct state *s = c->state;

    (void)err;
    s->since = map_new();
    return 0;
}

static void free_time(void *p)
{
    mem_free(p);
}

static void stop(struct controller *c)
{
    struct state *s = c->state;

    map_free(s->since, free_time);
}

const struct control_def nodeevict_control = {
    .name = "taint-eviction-controller",
    .watches = { { kind_node, on_node }, { kind_pod, on_pod } },
    .reconcile = reconcile,
    .state_bytes = sizeof(struct state),
    .init = init,
    .stop = stop,
};
