/* nodelife.c: a node that renews neither its lease nor its status is Unknown after a while; taints
 * follow the conditions, and pods on an Unknown node are no longer ready.
 *
 * NoSchedule taints come at once. NoExecute ones, which evict, come one at a time, and none when
 * all nodes are away: then it is this side that is cut off.
 */
#include "core/control/control_impl.h"

#include "core/base/map.h"
#include "core/base/timefmt.h"
#include "core/control/podnode.h"
#include "core/control/podstate.h"
#include "gen/views.h"

#define NODE_EVICT_MS 10000              /* between two nodes that begin to be evicted */
#define NODE_EVICT_LARGE_MS 100000       /* when most of a large cluster is away */
#define NODE_LARGE 50
#define LEASE_NS "kube-node-lease"

#define NOT_READY "node.kubernetes.io/not-ready"
#define UNREACHABLE "node.kubernetes.io/unreachable"

struct health { int64_t seen_ms; };      /* when the node last told something */

struct state {
    struct map *health;                  /* name -> struct health */
    int64_t next_evict_ms;
};

static int64_t now_ms(const struct controller *c)
{
    return loop_now_ms(c->control->loop);
}

static void free_health(void *p)
{
    mem_free(p);
}

static struct health *health_of(struct controller *c, const char *name)
{
    struct state *s = c->state;
    struct health *h = map_get(s->health, name);

    if (!h) {
        h = NEW(struct health);
        h->seen_ms = now_ms(c);
        map_put(s->health, name, h);
    }
    return h;
}

/* --- conditions */

static const struct node_condition_view *condition(const struct object *node, const char *type)
{
    const struct node_view *v = node_view(node);

    for (unsigned i = 0; i < v->status.n_conditions; i++)
        if (str_eq(v->status.conditions[i].type, type))
            return &v->status.conditions[i];
    return NULL;
}

static const char *ready_status(const struct object *node)
{
    const struct node_condition_view *c = condition(node, "Ready");

    return c ? c->status : "";
}

static bool is_ready(const struct object *node)
{
    return str_eq(ready_status(node), "True");
}

/* --- keys */

static void enqueue_all(struct controller *c)
{
    struct informer *i = control_informer(c, kind_node());
    struct object *node;

    for (size_t at = 0; (node = informer_next(i, &at));)
        control_enqueue_object(c, node);
}

static bool has_news(const struct object *before, const struct object *after)
{
    const struct node_condition_view *b = condition(before, "Ready"), *a = condition(after,
                                                                                     "Ready");

    return a && (!b || a->last_heartbeat_time_s != b->last_heartbeat_time_s ||
                 (!str_eq(a->status, b->status) && !str_eq(a->status, "Unknown")));
}

static void on_node(struct controller *c, struct object *before, struct object *after)
{
    struct state *s = c->state;

    if (!after) {
        mem_free(map_del(s->health, object_name(before)));
        recorder_normal(c->events, before, "RemovingNode",
                        "Node %s event: Removing Node %s from Controller", object_name(before),
                        object_name(before));
        enqueue_all(c);
        return;
    }
    if (!before) {
        health_of(c, object_name(after));
        recorder_normal(c->events, after, "RegisteredNode",
                        "Node %s event: Registered Node %s in Controller", object_name(after),
                        object_name(after));
    } else if (has_news(before, after)) {
        health_of(c, object_name(after))->seen_ms = now_ms(c);
    }
    if (before && is_ready(before) && !is_ready(after))
        recorder_normal(c->events, after, "NodeNotReady", "Node %s status is now: NodeNotReady",
                        object_name(after));
    if (!before || is_ready(before) != is_ready(after))
        enqueue_all(c);
    control_enqueue_object(c, after);
}

static void on_lease(struct controller *c, struct object *before, struct object *after)
{
    if (!after || !str_eq(object_ns(after), LEASE_NS) ||
        !control_find(c, kind_node(), "", object_name(after)))
        return;
    if (!before || lease_view(before)->spec.renew_time_us != lease_view(after)->spec.renew_time_us)
        health_of(c, object_name(after))->seen_ms = now_ms(c);
}

/* A pod that became ready on a node that is away, by an old message. */
static void on_pod(struct controller *c, struct object *before, struct object *after)
{
    const char *name = after ? pod_view(after)->spec.node_name : "";
    struct object *node;

    if (!after || str_empty(name) || !podstate_ready(after) || (before && podstate_ready(before)))
        return;
    node = control_find(c, kind_node(), "", name);
    if (node && str_eq(ready_status(node), "Unknown"))
        control_enqueue(c, "", name);
}

/* --- Unknown */

static void on_written(struct pass *p, const struct client_result *r, void *arg)
{
    (void)arg;
    if (!client_ok(r) && r->code != 404)
        control_fail(p);
}

static void set_unknown(struct pass *p, struct json *status, const char *type)
{
    struct json *list = json_ensure_array(p->a, status, "conditions"), *it, *c = NULL;
    char now[TIMEFMT_BYTES];

    json_each(it, list)
        if (str_eq(json_get_str(it, "type"), type))
            c = it;
    timefmt_rfc3339(now, control_now_s(p->c->control));
    if (!c) {
        c = json_object(p->a);
        json_set_str(p->a, c, "type", type);
        json_set_str(p->a, c, "lastHeartbeatTime",
                     json_path_str(object_tree(control_get(p, kind_node()), p->a),
                                   "metadata.creationTimestamp"));
        json_set_str(p->a, c, "reason", "NodeStatusNeverUpdated");
        json_set_str(p->a, c, "message", "Kubelet never posted node status.");
        json_append(p->a, list, c);
    } else if (str_eq(json_get_str(c, "status"), "Unknown")) {
        return;
    } else {
        json_set_str(p->a, c, "reason", "NodeStatusUnknown");
        json_set_str(p->a, c, "message", "Kubelet stopped posting node status.");
    }
    json_set_str(p->a, c, "status", "Unknown");
    json_set_str(p->a, c, "lastTransitionTime", now);
}

static void mark_unknown(struct pass *p, struct object *node)
{
    static const char *const types[] = { "Ready", "MemoryPressure", "DiskPressure", "PIDPressure" };
    struct json *tree = object_tree(node, p->a);
    struct json *status = json_ensure_object(p->a, tree, "status");

    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        set_unknown(p, status, types[i]);
    control_update_status(p, node, tree, on_written, NULL);
}

static void mark_pods(struct pass *p)
{
    struct informer *pods = control_informer(p->c, kind_pod());
    char now[TIMEFMT_BYTES];
    struct object *pod;

    timefmt_rfc3339(now, control_now_s(p->c->control));
    for (size_t at = 0; (pod = podnode_next(p->c->control->by_node, pods, p->name, &at));) {
        struct json *patch = json_object(p->a), *c = json_object(p->a);
        struct client_req req = { .verb = CLIENT_PATCH_STRATEGIC, .kind = kind_pod(),
                                  .ns = object_ns(pod), .name = object_name(pod),
                                  .subresource = "status", .body = patch, .grace_s = -1 };

        if (!podstate_ready(pod))
            continue;
        json_set_str(p->a, json_ensure_object(p->a, patch, "metadata"), "uid", object_uid(pod));
        json_set_str(p->a, c, "type", "Ready");
        json_set_str(p->a, c, "status", "False");
        json_set_str(p->a, c, "lastTransitionTime", now);
        json_append(p->a, json_ensure_array(p->a, json_ensure_object(p->a, patch, "status"),
                                            "conditions"), c);
        recorder_warning(p->c->events, pod, "NodeNotReady", "Node is not ready");
        control_do(p, &req, on_written, NULL);
    }
}

/* --- taints */

struct cluster { unsigned ready, away; };

static struct cluster count_nodes(struct controller *c)
{
    struct informer *i = control_informer(c, kind_node());
    struct cluster n = { 0 };
    struct object *node;

    for (size_t at = 0; (node = informer_next(i, &at));) {
        n.ready += is_ready(node);
        n.away += !is_ready(node);
    }
    return n;
}

/* How long after another a node may begin to be evicted; below 0: not at all. */
static int64_t evict_pace(const struct cluster *n)
{
    if (n->away <= 2 || n->away * 100 < (n->ready + n->away) * 55)
        return NODE_EVICT_MS;
    return n->ready + n->away > NODE_LARGE ? NODE_EVICT_LARGE_MS : -1;
}

static bool has_taint(const struct object *node, const char *key, const char *effect)
{
    const struct node_view *v = node_view(node);

    for (unsigned i = 0; i < v->spec.n_taints; i++)
        if (str_eq(v->spec.taints[i].key, key) && str_eq(v->spec.taints[i].effect, effect))
            return true;
    return false;
}

/* The NoExecute taint that this node should have, or NULL. */
static const char *evicting_taint(struct pass *p, const struct object *node)
{
    struct state *s = p->c->state;
    struct cluster n = count_nodes(p->c);
    const char *status = ready_status(node);
    const char *key = str_eq(status, "Unknown") ? UNREACHABLE
                    : str_eq(status, "False") ? NOT_READY : NULL;
    int64_t now = now_ms(p->c), pace = evict_pace(&n);

    if (!key || n.ready == 0)
        return NULL;
    if (has_taint(node, NOT_READY, "NoExecute") || has_taint(node, UNREACHABLE, "NoExecute"))
        return key;
    if (pace < 0)
        return NULL;
    if (now < s->next_evict_ms) {
        control_again(p, s->next_evict_ms - now);
        return NULL;
    }
    s->next_evict_ms = now + pace;
    return key;
}

/* The taints that conditions ask for. A node that has not said whether it is ready is not. */
static const struct { const char *type, *status, *key; } by_condition[] = {
    { "Ready", "False", NOT_READY },
    { "Ready", "", NOT_READY },
    { "Ready", "Unknown", UNREACHABLE },
    { "MemoryPressure", "True", "node.kubernetes.io/memory-pressure" },
    { "DiskPressure", "True", "node.kubernetes.io/disk-pressure" },
    { "PIDPressure", "True", "node.kubernetes.io/pid-pressure" },
    { "NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable" },
};
static const char unschedulable[] = "node.kubernetes.io/unschedulable";

static bool is_ours(const char *key, const char *effect)
{
    if (str_eq(effect, "NoExecute"))
        return str_eq(key, NOT_READY) || str_eq(key, UNREACHABLE);
    if (!str_eq(effect, "NoSchedule"))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(by_condition); i++)
        if (str_eq(by_condition[i].key, key))
            return true;
    return str_eq(key, unschedulable);
}

struct taints { struct json *list; const struct object *node; bool changed; };

/* Keeps the one there is, with its time. */
static void want(struct pass *p, struct taints *t, const char *key, const char *effect)
{
    struct json *old = json_path(object_tree(t->node, p->a), "spec.taints"), *it, *taint;
    char now[TIMEFMT_BYTES];

    json_each(it, old) {
        if (str_eq(json_get_str(it, "key"), key) && str_eq(json_get_str(it, "effect"), effect)) {
            json_append(p->a, t->list, it);
            return;
        }
    }
    timefmt_rfc3339(now, control_now_s(p->c->control));
    taint = json_object(p->a);
    json_set_str(p->a, taint, "key", key);
    json_set_str(p->a, taint, "effect", effect);
    json_set_str(p->a, taint, "timeAdded", now);
    json_append(p->a, t->list, taint);
    t->changed = true;
}

static void want_by_condition(struct pass *p, struct taints *t)
{
    for (size_t i = 0; i < ARRAY_LEN(by_condition); i++) {
        const struct node_condition_view *c = condition(t->node, by_condition[i].type);

        if (str_eq(c ? c->status : "", by_condition[i].status))
            want(p, t, by_condition[i].key, "NoSchedule");
    }
    if (node_view(t->node)->spec.unschedulable)
        want(p, t, unschedulable, "NoSchedule");
}

static void set_taints(struct pass *p, struct object *node)
{
    struct json *tree = object_tree(node, p->a), *old = json_path(tree, "spec.taints"), *it;
    struct taints t = { .list = json_array(p->a), .node = node };
    struct json *patch = json_object(p->a), *meta = json_ensure_object(p->a, patch, "metadata");
    const char *evicting = evicting_taint(p, node);

    json_each(it, old)
        if (!is_ours(json_get_str(it, "key"), json_get_str(it, "effect")))
            json_append(p->a, t.list, it);
    want_by_condition(p, &t);
    if (evicting)
        want(p, &t, evicting, "NoExecute");
    if (!t.changed && json_len(t.list) == json_len(old))
        return;
    json_set(p->a, meta, "resourceVersion", json_fmt(p->a, "%lld", (long long)object_rv(node)));
    json_set(p->a, json_ensure_object(p->a, patch, "spec"), "taints",
             json_len(t.list) ? t.list : json_null(p->a));
    control_patch_merge(p, node, patch, on_written, NULL);
}

/* --- the pass */

static void reconcile(struct pass *p)
{
    struct object *node = control_get(p, kind_node());
    int64_t grace, left;

    if (!node)
        return;
    grace = condition(node, "Ready") ? p->c->control->opts.node_grace_ms
                                     : p->c->control->opts.node_startup_grace_ms;
    left = health_of(p->c, p->name)->seen_ms + grace - now_ms(p->c);
    if (!str_eq(ready_status(node), "Unknown") && left <= 0) {
        mark_unknown(p, node);
        control_again(p, 0);             /* taints follow what will then be stored */
        return;
    }
    if (str_eq(ready_status(node), "Unknown"))
        mark_pods(p);
    else
        control_again(p, left);
    set_taints(p, node);
}

static int init(struct controller *c, struct err *err)
{
    struct state *s = c->state;

    (void)err;
    s->health = map_new();
    return 0;
}

static void stop(struct controller *c)
{
    struct state *s = c->state;

    map_free(s->health, free_health);
}

const struct control_def nodelife_control = {
    .name = "node-controller",
    .watches = { { kind_node, on_node }, { kind_lease, on_lease }, { kind_pod, on_pod } },
    .reconcile = reconcile,
    .state_bytes = sizeof(struct state),
    .init = init,
    .stop = stop,
};
