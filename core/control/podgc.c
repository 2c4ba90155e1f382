/* podgc.c: pods that nobody will ever finish: those on nodes that are gone, those that were never
 * placed and are being deleted, those on nodes out of service, and ended ones when there are too
 * many.
 *
 * Keys are names of nodes, ENDED and UNPLACED.
 */
#include "core/control/control_impl.h"

#include <stdlib.h>

#include "core/base/map.h"
#include "core/base/timefmt.h"
#include "core/control/podnode.h"
#include "core/control/podstate.h"
#include "gen/views.h"

#define GONE_AFTER_MS 40000              /* a node may come back under its name */
#define ENDED "_ended"                   /* no node has such a name */
#define UNPLACED "_unplaced"             /* nor such a one */
#define ENDED_MAX 12500                  /* ended pods that are kept, as upstream */

struct state {
    struct map *missing;                 /* name of a node -> int64_t ms: since when it is gone */
    size_t n_ended;
};

static void free_time(void *p)
{
    mem_free(p);
}

/* --- keys */

static void on_node(struct controller *c, struct object *before, struct object *after)
{
    struct state *s = c->state;

    if (after)
        mem_free(map_del(s->missing, object_name(after)));
    control_enqueue(c, "", object_name(after ? after : before));
}

static void on_pod(struct controller *c, struct object *before, struct object *after)
{
    struct state *s = c->state;
    const char *node = after ? pod_view(after)->spec.node_name : "";

    s->n_ended += after && podstate_ended(after);
    s->n_ended -= before && podstate_ended(before);
    if (s->n_ended > ENDED_MAX)
        control_enqueue(c, "", ENDED);
    if (after && str_empty(node) && object_is_deleting(after))
        control_enqueue(c, "", UNPLACED);
    if (str_empty(node))
        return;
    if (!control_find(c, kind_node(), "", node) ||
        (object_is_deleting(after) && !(before && object_is_deleting(before))))
        control_enqueue(c, "", node);
}

/* --- deleting for good */

static void on_failed_phase(struct pass *p, const struct client_result *r, void *arg)
{
    (void)arg;
    if (!client_ok(r) && r->code != 404 && r->code != 409)
        control_fail(p);
}

/* Others read from the phase that nothing runs any more. */
static void set_failed(struct pass *p, struct object *pod)
{
    struct json *patch = json_object(p->a), *status, *c = json_object(p->a);
    struct client_req req = { .verb = CLIENT_PATCH_STRATEGIC, .kind = kind_pod(),
                              .ns = object_ns(pod), .name = object_name(pod),
                              .subresource = "status", .body = patch, .grace_s = -1 };
    char now[TIMEFMT_BYTES];

    if (podstate_ended(pod))
        return;
    timefmt_rfc3339(now, control_now_s(p->c->control));
    json_set_str(p->a, json_ensure_object(p->a, patch, "metadata"), "uid", object_uid(pod));
    status = json_ensure_object(p->a, patch, "status");
    json_set_str(p->a, status, "phase", "Failed");
    json_set_str(p->a, c, "type", "DisruptionTarget");
    json_set_str(p->a, c, "status", "True");
    json_set_str(p->a, c, "lastTransitionTime", now);
    json_set_str(p->a, c, "reason", "DeletionByPodGC");
    json_set_str(p->a, c, "message", "PodGC: node no longer exists");
    json_append(p->a, json_ensure_array(p->a, status, "conditions"), c);
    control_do(p, &req, on_failed_phase, NULL);
}

static void force(struct pass *p, struct object *pod)
{
    struct client_req req = { .verb = CLIENT_DELETE, .kind = kind_pod(), .ns = object_ns(pod),
                              .name = object_name(pod), .uid_precondition = object_uid(pod),
                              .grace_s = 0 };

    control_do(p, &req, NULL, NULL);
}

/* --- nodes */

static bool is_out_of_service(const struct object *node)
{
    const struct node_view *v = node_view(node);
    bool ready = false, out = false;

    for (unsigned i = 0; i < v->spec.n_taints; i++)
        out = out || str_eq(v->spec.taints[i].key, "node.kubernetes.io/out-of-service");
    for (unsigned i = 0; i < v->status.n_conditions; i++)
        ready = ready || (str_eq(v->status.conditions[i].type, "Ready") &&
                          str_eq(v->status.conditions[i].status, "True"));
    return out && !ready;
}

static void clear_out_of_service(struct pass *p)
{
    struct informer *pods = control_informer(p->c, kind_pod());
    struct object *pod;

    for (size_t at = 0; (pod = podnode_next(p->c->control->by_node, pods, p->name, &at));) {
        if (!object_is_deleting(pod))
            continue;
        set_failed(p, pod);
        force(p, pod);
    }
}

static void clear_gone(struct pass *p)
{
    struct informer *pods = control_informer(p->c, kind_pod());
    struct state *s = p->c->state;
    int64_t now = loop_now_ms(p->c->control->loop), *since = map_get(s->missing, p->name);
    struct object *pod;
    size_t at = 0;

    if (!podnode_next(p->c->control->by_node, pods, p->name, &at)) {
        mem_free(map_del(s->missing, p->name));
        return;
    }
    if (!since) {
        since = NEW(int64_t);
        *since = now;
        map_put(s->missing, p->name, since);
    }
    if (now - *since < GONE_AFTER_MS) {
        control_again(p, *since + GONE_AFTER_MS - now);
        return;
    }
    for (at = 0; (pod = podnode_next(p->c->control->by_node, pods, p->name, &at));) {
        set_failed(p, pod);
        force(p, pod);
    }
}

/* --- ended ones */

static int by_age(const void *a, const void *b)
{
    struct object *const *x = a, *const *y = b;
    int64_t cx = object_created_s(*x), cy = object_created_s(*y);

    return cx != cy ? (cx < cy ? -1 : 1) : strcmp(object_name(*x), object_name(*y));
}

static void clear_ended(struct pass *p)
{
    struct informer *pods = control_informer(p->c, kind_pod());
    struct object **ended = arena_alloc(p->a, (informer_len(pods) + 1) * sizeof(*ended)), *pod;
    size_t n = 0;

    for (size_t at = 0; (pod = informer_next(pods, &at));)
        if (podstate_ended(pod) && !object_is_deleting(pod))
            ended[n++] = pod;
    qsort(ended, n, sizeof(*ended), by_age);
    for (size_t i = 0; i + ENDED_MAX < n; i++)
        force(p, ended[i]);
}

/* Without a node nobody ends them: whoever deleted one may have died after marking it. */
static void clear_unplaced(struct pass *p)
{
    struct informer *pods = control_informer(p->c, kind_pod());
    struct object *pod;

    for (size_t at = 0; (pod = informer_next(pods, &at));)
        if (str_empty(pod_view(pod)->spec.node_name) && object_is_deleting(pod))
            force(p, pod);
}

static void reconcile(struct pass *p)
{
    struct object *node = control_get(p, kind_node());

    if (str_eq(p->name, ENDED))
        clear_ended(p);
    else if (str_eq(p->name, UNPLACED))
        clear_unplaced(p);
    else if (!node)
        clear_gone(p);
    else if (is_out_of_service(node))
        clear_out_of_service(p);
}

static int init(struct controller *c, struct err *err)
{
    struct state *s = c->state;

    (void)err;
    s->missing = map_new();
    return 0;
}

static void stop(struct controller *c)
{
    struct state *s = c->state;

    map_free(s->missing, free_time);
}

const struct control_def podgc_control = {
    .name = "pod-garbage-collector-controller",
    .watches = { { kind_node, on_node }, { kind_pod, on_pod } },
    .reconcile = reconcile,
    .state_bytes = sizeof(struct state),
    .init = init,
    .stop = stop,
};
