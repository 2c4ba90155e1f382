/* sim_node.c -- nodes that renew leases, run the pods that are bound to them and let deleted ones
 * go. */
#include <stdio.h>

#include "gen/views.h"
#include "tests/sim/sim_impl.h"

#define RENEW_MS 10000

static void put_node(struct sim *s, struct sim_node *n)
{
    n->exists = true;
    n->silent = false;
    n->lease_ms = 0;
    sim_log(s, "node %s joins", n->name);
    fake_client_put(s->f, arena_printf(s->a,
        "apiVersion: v1\nkind: Node\nmetadata: {name: %s, labels: {kubernetes.io/hostname: %s}}\n"
        "status: {allocatable: {cpu: '16', memory: 32Gi, pods: '%d'}, "
        "conditions: [{type: Ready, status: 'True', reason: KubeletReady}]}\n", n->name, n->name,
        SIM_NODE_PODS));
}

void sim_node_begin(struct sim *s)
{
    s->n_nodes = s->o.nodes;
    for (unsigned i = 0; i < s->n_nodes; i++) {
        snprintf(s->nodes[i].name, sizeof(s->nodes[i].name), "n%u", i);
        put_node(s, &s->nodes[i]);
    }
}

static struct sim_node *node_of(struct sim *s, const char *name)
{
    for (unsigned i = 0; name && i < s->n_nodes; i++)
        if (str_eq(s->nodes[i].name, name))
            return &s->nodes[i];
    return NULL;
}

/* --- the node itself */

static void renew(struct sim *s, struct sim_node *n)
{
    int64_t us = env_wall_us(&s->env.env), day_s = us / 1000000 % 86400;
    struct json *list = json_path(sim_tree(s, fake_client_get(s->f, kind_node(), "", n->name)),
                                  "status.conditions"), *it;

    n->lease_ms = sim_now_ms(s) + RENEW_MS;
    fake_client_put(s->f, arena_printf(s->a,
        "apiVersion: coordination.k8s.io/v1\nkind: Lease\n"
        "metadata: {name: %s, namespace: kube-node-lease}\n"
        "spec: {renewTime: '2026-01-01T%02d:%02d:%02d.%06dZ'}\n", n->name, (int)(day_s / 3600),
        (int)(day_s / 60 % 60), (int)(day_s % 60), (int)(us % 1000000)));
    json_each(it, list)
        if (str_eq(json_get_str(it, "type"), "Ready") && !str_eq(json_get_str(it, "status"),
                                                                 "True"))
            fake_client_edit(s->f, kind_node(), "", n->name, "status: {conditions: "
                             "[{type: Ready, status: 'True', reason: KubeletReady}]}");
}

/* --- its pods */

static void start(struct sim *s, const char *pod)
{
    unsigned ip = ++s->next_ip;

    fake_client_edit(s->f, kind_pod(), "default", pod, arena_printf(s->a,
        "status: {phase: Running, podIP: 10.42.%u.%u, podIPs: [{ip: 10.42.%u.%u}], conditions: "
        "[{type: Ready, status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z'}]}",
        ip / 250 % 250, ip % 250 + 1, ip / 250 % 250, ip % 250 + 1));
}

static bool is_ready(const struct object *pod)
{
    const struct pod_status_view *v = &pod_view(pod)->status;

    for (unsigned i = 0; i < v->n_conditions; i++)
        if (str_eq(v->conditions[i].type, "Ready"))
            return str_eq(v->conditions[i].status, "True");
    return false;
}

static void tend(struct sim *s, const char *name)
{
    struct object *pod = fake_client_get(s->f, kind_pod(), "default", name);
    const char *phase = pod_view(pod)->status.phase;

    if (object_is_deleting(pod)) {
        if (s->o.plant != SIM_PLANT_STUCK_NODE)
            fake_client_drop(s->f, kind_pod(), "default", name);
    } else if (!str_eq(phase, "Failed") && (!str_eq(phase, "Running") || !is_ready(pod))) {
        start(s, name);
    }
}

void sim_node_tick(struct sim *s)
{
    const char *todo[SIM_NODES_MAX * SIM_NODE_PODS];
    unsigned n = 0;
    struct object *pod;

    for (unsigned i = 0; i < s->n_nodes; i++)
        if (s->nodes[i].exists && !s->nodes[i].silent && sim_now_ms(s) >= s->nodes[i].lease_ms)
            renew(s, &s->nodes[i]);
    for (size_t at = 0; (pod = fake_client_next(s->f, kind_pod(), &at)) && n < ARRAY_LEN(todo);) {
        struct sim_node *node = node_of(s, pod_view(pod)->spec.node_name);

        if (!node || !node->exists || node->silent)
            continue;
        if (is_ready(pod) && !object_is_deleting(pod))
            continue;
        if (s->peace || sim_pick(s, 6) == 0)
            todo[n++] = arena_strdup(s->a, object_name(pod));
    }
    for (unsigned i = 0; i < n; i++)
        tend(s, todo[i]);
}

/* --- trouble */

static void spoil_pod(struct sim *s)
{
    struct object *pod;
    size_t skip = sim_pick(s, 10);

    for (size_t at = 0; (pod = fake_client_next(s->f, kind_pod(), &at));) {
        const char *phase = pod_view(pod)->status.phase;
        bool fails = sim_pick(s, 3) == 0;

        if (!str_eq(phase, "Running") || skip-- > 0)
            continue;
        sim_log(s, "pod %s %s", object_name(pod), fails ? "fails" : "is not ready");
        fake_client_edit(s->f, kind_pod(), "default", object_name(pod), fails
            ? "status: {phase: Failed, conditions: []}"
            : "status: {conditions: [{type: Ready, status: 'False'}]}");
        return;
    }
}

/* Half of the nodes at least are left. */
void sim_node_trouble(struct sim *s)
{
    struct sim_node *n = &s->nodes[sim_pick(s, s->n_nodes)];
    unsigned away = 0;

    for (unsigned i = 0; i < s->n_nodes; i++)
        away += !s->nodes[i].exists || s->nodes[i].silent;
    if (!n->exists) {
        put_node(s, n);
    } else if (n->silent) {
        sim_log(s, "node %s speaks again", n->name);
        n->silent = false;
        n->lease_ms = 0;
    } else if (away * 2 >= s->n_nodes || sim_pick(s, 2)) {
        spoil_pod(s);
    } else if (sim_pick(s, 3)) {
        sim_log(s, "node %s is silent", n->name);
        n->silent = true;
    } else {
        sim_log(s, "node %s is removed", n->name);
        n->exists = false;
        fake_client_drop(s->f, kind_node(), "", n->name);
    }
}

void sim_node_peace(struct sim *s)
{
    for (unsigned i = 0; i < s->n_nodes; i++) {
        if (!s->nodes[i].exists)
            put_node(s, &s->nodes[i]);
        s->nodes[i].silent = false;
        s->nodes[i].lease_ms = 0;
    }
}
