/* sim_node.c -- nodes: machines that renew their lease, run the pods that are bound to them and let
 * deleted ones go. They hear and speak through their door only; of themselves they know what the
 * store has. */
#include "tests/sim/sim_impl.h"

#include <stdio.h>

#include "core/base/timefmt.h"
#include "gen/views.h"

#define RENEW_MS 10000

static const char is_ready_text[] =
    "status: {conditions: [{type: Ready, status: 'True', reason: KubeletReady}]}";

/* --- what it hears */

static bool needs_work(const struct sim_pod *p)
{
    const char *phase = pod_view(p->o)->status.phase;

    if (object_is_deleting(p->o))
        return true;
    return !str_eq(phase, "Failed") && (!str_eq(phase, "Running") || !sim_is_ready(p->o));
}

static void pod_free(void *arg)
{
    struct sim_pod *p = arg;

    if (!p)
        return;
    object_unref(p->o);
    mem_free(p);
}

static void forget_pods(struct sim_node *n, bool all)
{
    const char *key;
    void *value;

    for (size_t at = 0; map_next(n->pods, &at, &key, &value);)
        if (all || !((struct sim_pod *)value)->listed)
            pod_free(map_del(n->pods, key));
}

static void on_sync(bool end, void *ctx)
{
    struct sim_node *n = ctx;
    const char *key;
    void *value;

    if (end)
        forget_pods(n, false);
    for (size_t at = 0; !end && map_next(n->pods, &at, &key, &value);)
        ((struct sim_pod *)value)->listed = false;
}

static void on_event(enum client_event type, struct object *o, void *ctx)
{
    struct sim_node *n = ctx;
    struct sim_pod *p = map_get(n->pods, object_name(o));

    if (type == CLIENT_DELETED) {
        if (p && str_eq(object_uid(p->o), object_uid(o)))
            pod_free(map_del(n->pods, object_name(o)));
        return;
    }
    if (!p) {
        p = NEW(struct sim_pod);
        map_put(n->pods, object_name(o), p);
    }
    object_ref(o);
    object_unref(p->o);
    p->o = o;
    p->listed = true;
    n->has_todo = n->has_todo || needs_work(p);
}

static void watch_pods(struct sim_node *n)
{
    char filter[48];
    struct client_watch_opts o = { .kind = kind_pod(), .field_selector = filter,
                                   .on_sync = on_sync, .on_event = on_event, .ctx = n };
    struct err err = ERR_INIT;

    snprintf(filter, sizeof(filter), "spec.nodeName=%s", n->name);
    if (client_watch_new(&n->door.client, &n->watch, &o, &err) < 0)
        sim_break(n->door.s, "node %s: %s", n->name, err.msg);
}

/* --- its lease and itself */

static void on_told(const struct client_result *r, void *ctx)
{
    (void)r;
    ((struct sim_node *)ctx)->telling = false;
}

static void join(struct sim_node *n)
{
    struct sim *s = n->door.s;
    bool odd = (n - s->nodes) % 2;
    struct sim_ask ask = { .verb = CLIENT_CREATE, .kind = kind_node(), .on_done = on_told,
                           .ctx = n };

    n->telling = true;
    ask.yaml = arena_printf(s->a,
        "metadata: {name: %s, labels: {kubernetes.io/hostname: %s, disk: %s}}\n"
        "status: {allocatable: {cpu: %dm, memory: 32Gi, pods: '%d'}, "
        "conditions: [{type: Ready, status: 'True', reason: KubeletReady}]}\n", n->name, n->name,
        odd ? "slow" : "fast", s->node_milli, s->node_pods);
    sim_net_ask(&n->door, &ask);
}

static bool says_ready(const struct object *node)
{
    const struct node_status_view *v = &node_view(node)->status;

    for (unsigned i = 0; i < v->n_conditions; i++)
        if (str_eq(v->conditions[i].type, "Ready"))
            return str_eq(v->conditions[i].status, "True");
    return false;
}

static void tell(struct sim_node *n)
{
    struct sim_ask ask = { .verb = CLIENT_PATCH_STRATEGIC, .kind = kind_node(), .name = n->name,
                           .subresource = "status", .yaml = is_ready_text, .on_done = on_told,
                           .ctx = n };

    n->telling = true;
    sim_net_ask(&n->door, &ask);
}

static void on_renewed(const struct client_result *r, void *ctx)
{
    struct sim_node *n = ctx;

    n->renewing = false;
    n->lease_ms = sim_now_ms(n->door.s) + (client_ok(r) ? RENEW_MS : RENEW_MS / 10);
}

static void renew(struct sim_node *n)
{
    struct sim *s = n->door.s;
    char now[TIMEFMT_BYTES];
    bool is_new = !sim_get(s, kind_lease(), "kube-node-lease", n->name);
    struct sim_ask ask = { .verb = is_new ? CLIENT_CREATE : CLIENT_PATCH_MERGE,
                           .kind = kind_lease(), .ns = "kube-node-lease",
                           .name = is_new ? NULL : n->name, .on_done = on_renewed, .ctx = n };

    n->renewing = true;
    timefmt_micro(now, env_wall_us(&s->env.env));
    ask.yaml = arena_printf(s->a, "metadata: {name: %s}\nspec: {renewTime: '%s'}\n", n->name, now);
    sim_net_ask(&n->door, &ask);
}

/* --- its pods */

struct tending { struct sim_node *node; char name[OBJECT_KEY_BYTES]; };

static void on_tended(const struct client_result *r, void *ctx)
{
    struct tending *t = ctx;
    struct sim_pod *p = map_get(t->node->pods, t->name);

    (void)r;
    if (p) {
        p->busy = false;
        t->node->has_todo = true;
    }
    mem_free(t);
}

static void ask_about(struct sim_node *n, struct sim_pod *p, struct sim_ask *ask)
{
    struct tending *t = NEW(struct tending);

    t->node = n;
    snprintf(t->name, sizeof(t->name), "%s", object_name(p->o));
    p->busy = true;
    ask->kind = kind_pod();
    ask->ns = object_ns(p->o);
    ask->name = t->name;
    ask->on_done = on_tended;
    ask->ctx = t;
    sim_net_ask(&n->door, ask);
}

static void start_pod(struct sim_node *n, struct sim_pod *p)
{
    struct sim *s = n->door.s;
    unsigned ip = ++s->next_ip;
    char now[TIMEFMT_BYTES];
    struct sim_ask ask = { .verb = CLIENT_PATCH_STRATEGIC, .subresource = "status" };

    timefmt_rfc3339(now, env_wall_s(&s->env.env));
    ask.yaml = arena_printf(s->a,
        "metadata: {uid: %s}\n"
        "status: {phase: Running, podIP: 10.42.%u.%u, podIPs: [{ip: 10.42.%u.%u}], conditions: "
        "[{type: Ready, status: 'True', lastTransitionTime: '%s'}]}", object_uid(p->o),
        ip / 250 % 250, ip % 250 + 1, ip / 250 % 250, ip % 250 + 1, now);
    ask_about(n, p, &ask);
}

static void tend(struct sim_node *n, struct sim_pod *p)
{
    struct sim_ask gone = { .verb = CLIENT_DELETE, .uid = object_uid(p->o), .at_once = true };

    if (!object_is_deleting(p->o))
        start_pod(n, p);
    else if (n->door.s->o.plant != SIM_PLANT_STUCK_NODE)
        ask_about(n, p, &gone);
}

static void tend_all(struct sim_node *n)
{
    struct sim *s = n->door.s;
    const char *key;
    void *value;

    n->has_todo = false;
    for (size_t at = 0; map_next(n->pods, &at, &key, &value);) {
        struct sim_pod *p = value;

        if (!needs_work(p))
            continue;
        n->has_todo = true;
        if (!p->busy && (s->peace || sim_pick(s, 6) == 0))
            tend(n, p);
    }
}

static void tick(struct sim_node *n)
{
    struct sim *s = n->door.s;
    const struct object *self = sim_get(s, kind_node(), "", n->name);

    if (!n->telling && !self)
        join(n);
    else if (!n->telling && !says_ready(self))
        tell(n);
    if (!n->renewing && self && sim_now_ms(s) >= n->lease_ms)
        renew(n);
    if (n->has_todo)
        tend_all(n);
}

void sim_node_tick(struct sim *s)
{
    for (unsigned i = 0; i < s->n_nodes; i++)
        if (s->nodes[i].exists && !s->nodes[i].silent)
            tick(&s->nodes[i]);
}

/* --- trouble */

static struct object *a_running_pod(struct sim *s, struct sim_node **on)
{
    struct object *pod;
    size_t skip = sim_pick(s, 10);

    for (size_t at = 0; (pod = sim_next(s, kind_pod(), &at));) {
        struct sim_node *n = sim_node_of(s, pod_view(pod)->spec.node_name);

        if (!str_eq(pod_view(pod)->status.phase, "Running") || !n || !n->exists || n->silent ||
            skip-- > 0)
            continue;
        *on = n;
        return pod;
    }
    return NULL;
}

static void spoil_pod(struct sim *s)
{
    struct sim_node *n;
    bool fails = sim_pick(s, 3) == 0;
    struct object *pod = a_running_pod(s, &n);
    struct sim_ask ask = { .verb = CLIENT_PATCH_STRATEGIC, .kind = kind_pod(),
                           .subresource = "status" };

    if (!pod)
        return;
    sim_log(s, "pod %s %s", object_name(pod), fails ? "fails" : "is not ready");
    ask.ns = object_ns(pod);
    ask.name = object_name(pod);
    ask.yaml = arena_printf(s->a, "metadata: {uid: %s}\nstatus: {%sconditions: "
                            "[{type: Ready, status: 'False'}]}", object_uid(pod),
                            fails ? "phase: Failed, " : "");
    sim_net_ask(&n->door, &ask);
}

/* The machine comes (again): it lists the pods that are bound to it. */
static void power_on(struct sim_node *n)
{
    sim_log(n->door.s, "node %s joins", n->name);
    n->exists = true;
    n->silent = n->door.cut = false;
    n->lease_ms = 0;
    watch_pods(n);
}

/* Its user deletes the Node (sim_user.c). */
static void power_off(struct sim_node *n)
{
    sim_log(n->door.s, "node %s is removed", n->name);
    n->exists = false;
    n->watch = client_watch_free(n->watch);
    sim_net_drop_calls(&n->door);
    forget_pods(n, true);
}

static void cut_off(struct sim_node *n)
{
    sim_log(n->door.s, "node %s is silent", n->name);
    n->silent = n->door.cut = true;
    sim_net_break_door(&n->door);
}

static void let_in(struct sim_node *n)
{
    n->silent = n->door.cut = false;
    n->lease_ms = 0;
    sim_net_break_door(&n->door);
}

/* Half of the nodes at least are left. */
void sim_node_trouble(struct sim *s)
{
    struct sim_node *n = &s->nodes[sim_pick(s, s->n_nodes)];
    unsigned away = 0;

    for (unsigned i = 0; i < s->n_nodes; i++)
        away += !s->nodes[i].exists || s->nodes[i].silent;
    if (!n->exists) {
        power_on(n);
    } else if (n->silent) {
        sim_log(s, "node %s speaks again", n->name);
        let_in(n);
    } else if (away * 2 >= s->n_nodes || sim_pick(s, 2)) {
        spoil_pod(s);
    } else if (sim_pick(s, 3)) {
        cut_off(n);
    } else {
        power_off(n);
    }
}

void sim_node_peace(struct sim *s)
{
    for (unsigned i = 0; i < s->n_nodes; i++) {
        if (!s->nodes[i].exists)
            power_on(&s->nodes[i]);
        else if (s->nodes[i].silent)
            let_in(&s->nodes[i]);
    }
}

/* --- begin and end */

void sim_node_begin(struct sim *s)
{
    char name[48];
    int share = s->o.nodes < SIM_NODES_FULL ? (int)s->o.nodes : SIM_NODES_FULL;

    s->n_nodes = s->o.nodes;
    s->node_milli = SIM_NODE_MILLI * SIM_NODES_FULL / share;
    s->node_pods = SIM_NODE_PODS * SIM_NODES_FULL / share;
    for (unsigned i = 0; i < s->n_nodes; i++) {
        struct sim_node *n = &s->nodes[i];

        snprintf(n->name, sizeof(n->name), "n%u", i);
        snprintf(name, sizeof(name), "system:node:n%u", i);
        sim_net_open(s, &n->door, SIM_NODE, name);
        n->pods = map_new();
    }
    for (unsigned i = 0; i < s->n_nodes; i++)
        power_on(&s->nodes[i]);
}

void sim_node_end(struct sim *s)
{
    for (unsigned i = 0; i < s->n_nodes; i++) {
        struct sim_node *n = &s->nodes[i];

        n->watch = client_watch_free(n->watch);
        sim_net_close(&n->door);
        forget_pods(n, true);
        n->pods = map_free(n->pods, NULL);
    }
}
