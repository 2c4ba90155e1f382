/* sim_check.c -- what must have come about in peace. */
#include "tests/sim/sim_impl.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "gen/views.h"

/* What is not yet as it should be: the first thing found. */
struct want { struct sim *s; const char *why; };

__attribute__((format(printf, 2, 3)))
static void lacks(struct want *w, const char *format, ...)
{
    va_list ap;
    char line[512];

    if (w->why)
        return;
    va_start(ap, format);
    vsnprintf(line, sizeof(line), format, ap);
    va_end(ap);
    w->why = arena_strdup(w->s->a, line);
}

/* --- apps */

static void expect(struct want *w, struct json *status, const char *key, int64_t want)
{
    if (json_get_int(status, key, 0) != want)
        lacks(w, "status.%s is %" PRId64 ", not %" PRId64, key, json_get_int(status, key, 0), want);
}

static bool is_rolled_out(const struct json *status)
{
    struct json *it;

    json_each(it, json_get(status, "conditions"))
        if (str_eq(json_get_str(it, "type"), "Progressing"))
            return str_eq(json_get_str(it, "reason"), "NewReplicaSetAvailable");
    return false;
}

static bool is_of(struct sim *s, const struct object *o, unsigned i)
{
    return str_eq(object_label(o, "app"), sim_user_app(s, i));
}

static void check_pods(struct want *w, unsigned i)
{
    struct sim *s = w->s;
    const char *image = arena_printf(s->a, "app:%d", s->apps[i].image);
    struct object *pod;
    int n = 0;

    for (size_t at = 0; (pod = sim_next(s, kind_pod(), &at));) {
        if (!is_of(s, pod, i) || !sim_is_active(pod))
            continue;
        n++;
        if (!str_eq(pod_view(pod)->spec.containers[0].image, image))
            lacks(w, "pod %s has not the image %s", object_name(pod), image);
    }
    if (n != s->apps[i].replicas)
        lacks(w, "d%u has %d pods, not %d", i, n, s->apps[i].replicas);
}

static void check_app(struct want *w, unsigned i)
{
    struct sim *s = w->s;
    struct object *d = sim_get(s, kind_deployment(), "default", sim_user_app(s, i));
    struct json *status;

    if (!d) {
        lacks(w, "d%u is gone", i);
        return;
    }
    status = json_get(sim_tree(s, d), "status");
    expect(w, status, "observedGeneration", object_generation(d));
    expect(w, status, "replicas", s->apps[i].replicas);
    expect(w, status, "updatedReplicas", s->apps[i].replicas);
    expect(w, status, "availableReplicas", s->apps[i].replicas);
    if (!is_rolled_out(status))
        lacks(w, "d%u is not rolled out", i);
    check_pods(w, i);
}

/* --- Sets and pods of apps that are gone, and too much history */

static void check_remains(struct want *w)
{
    struct sim *s = w->s;
    struct object *o;
    unsigned sets[SIM_APPS] = { 0 };

    for (size_t at = 0; (o = sim_next(s, kind_replica_set(), &at));)
        for (unsigned i = 0; i < SIM_APPS; i++)
            sets[i] += is_of(s, o, i);
    for (unsigned i = 0; i < SIM_APPS; i++)
        if (sets[i] > (s->apps[i].exists ? 3 : 0))
            lacks(w, "d%u has %u sets", i, sets[i]);
    for (size_t at = 0; (o = sim_next(s, kind_pod(), &at));) {
        for (unsigned i = 0; i < SIM_APPS; i++)
            if (!s->apps[i].exists && is_of(s, o, i))
                lacks(w, "pod %s of a deleted Deployment is there", object_name(o));
        if (object_is_deleting(o))
            lacks(w, "pod %s does not go", object_name(o));
    }
}

/* --- Services */

static void take_endpoints(struct want *w, const struct object *slice, struct map *seen)
{
    struct sim *s = w->s;
    struct json *e;

    json_each(e, json_get(sim_tree(s, slice), "endpoints")) {
        const char *name = json_path_str(e, "targetRef.name");
        struct object *pod = name ? sim_get(s, kind_pod(), "default", name) : NULL;

        if (!pod || map_put(seen, name, s))
            lacks(w, "slice %s: endpoint of no pod, or twice", object_name(slice));
        else if (json_get_bool(json_get(e, "conditions"), "ready", true) != sim_is_ready(pod))
            lacks(w, "slice %s: pod %s is not as ready as it says", object_name(slice), name);
    }
}

static void check_service(struct want *w, unsigned i)
{
    struct sim *s = w->s;
    struct map *seen = map_new();
    struct object *o;
    size_t pods = 0;

    for (size_t at = 0; (o = sim_next(s, kind_endpoint_slice(), &at));)
        if (str_eq(object_label(o, "kubernetes.io/service-name"), sim_user_app(s, i)))
            take_endpoints(w, o, seen);
    for (size_t at = 0; (o = sim_next(s, kind_pod(), &at));) {
        if (!is_of(s, o, i) || !sim_is_active(o))
            continue;
        pods++;
        if (!map_get(seen, object_name(o)))
            lacks(w, "pod %s is no endpoint", object_name(o));
    }
    if (map_len(seen) != pods)
        lacks(w, "Service d%u has %zu endpoints for %zu pods", i, map_len(seen), pods);
    map_free(seen, NULL);
}

static void check_extras(struct want *w)
{
    struct object *o;
    const char *owner;

    for (unsigned i = 0; i < SIM_EXTRAS; i++) {
        const char *name = arena_printf(w->s->a, "x%u", i);

        if (w->s->extras[i].exists != !!sim_get(w->s, kind_service(), "default", name))
            lacks(w, "Service x%u %s", i, w->s->extras[i].exists ? "is not there" : "stays");
    }
    for (size_t at = 0; (o = sim_next(w->s, kind_endpoint_slice(), &at));) {
        owner = object_label(o, "kubernetes.io/service-name");
        if (owner && !sim_get(w->s, kind_service(), object_ns(o), owner))
            lacks(w, "slice %s of a deleted Service is there", object_name(o));
    }
}

/* The namespace with all that belongs in it, or nothing of it. */
static void check_team(struct want *w)
{
    struct sim *s = w->s;
    struct object *o;

    if (s->team.exists && (!sim_get(s, kind_config_map(), "team", "c") ||
                           !sim_get(s, kind_config_map(), "team", "kube-root-ca.crt") ||
                           !sim_get(s, kind_service_account(), "team", "default")))
        lacks(w, "something is missing in the namespace team");
    if (s->team.exists)
        return;
    if (sim_get(s, kind_namespace(), "", "team"))
        lacks(w, "the namespace team stays");
    for (unsigned i = 0; i < kind_count(); i++)
        for (size_t at = 0; (o = sim_next(s, kind_by_id(i), &at));)
            if (str_eq(object_ns(o), "team") && !object_kind(o)->volatile_class)
                lacks(w, "%s %s of the namespace team stays", object_kind(o)->resource,
                      object_name(o));
}

/* --- nodes */

static void check_nodes(struct want *w)
{
    struct object *node;

    if (sim_count(w->s, kind_node()) != w->s->n_nodes)
        lacks(w, "there are %zu of %u nodes", sim_count(w->s, kind_node()), w->s->n_nodes);
    for (size_t at = 0; (node = sim_next(w->s, kind_node(), &at));) {
        if (node_view(node)->spec.n_taints)
            lacks(w, "node %s keeps a taint", object_name(node));
        if (str_empty(node_view(node)->spec.pod_cidr))
            lacks(w, "node %s has no network", object_name(node));
    }
}

const char *sim_check_end(struct sim *s)
{
    struct want w = { .s = s };

    if (!s->role.up)
        lacks(&w, "the role is down");
    if (!sim_user_is_content(s))
        lacks(&w, "a user's wish was not heard");
    for (unsigned i = 0; i < SIM_APPS; i++) {
        if (s->apps[i].exists)
            check_app(&w, i);
        check_service(&w, i);
    }
    check_remains(&w);
    check_extras(&w);
    check_team(&w);
    check_nodes(&w);
    if (!sim_get(s, kind_service_account(), "default", "default") ||
        !sim_get(s, kind_config_map(), "default", "kube-root-ca.crt"))
        lacks(&w, "no default account, or no root CA");
    return w.why;
}

/* --- always */

void sim_check_always(struct sim *s)
{
    if (s->precious && s->role.up && !sim_get(s, kind_config_map(), "default", "precious"))
        sim_break(s, "an object with a living owner was deleted");
}
