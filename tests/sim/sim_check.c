/* sim_check.c -- what must hold after every step, and what must have come about in peace. */
#include <inttypes.h>

#include "gen/views.h"
#include "tests/sim/sim_impl.h"

/* --- at each request of the control role */

static bool is_active(const struct object *pod)
{
    const char *phase = pod_view(pod)->status.phase;

    return !object_is_deleting(pod) && !str_eq(phase, "Failed") && !str_eq(phase, "Succeeded");
}

static unsigned active_of(struct sim *s, const char *owner_uid)
{
    struct object *pod;
    unsigned n = 0;

    for (size_t at = 0; (pod = fake_client_next(s->f, kind_pod(), &at));) {
        const struct object_owner *o = object_controller(pod);

        n += o && str_eq(o->uid, owner_uid) && is_active(pod);
    }
    return n;
}

static void note_size(struct sim *s, const char *uid, int64_t n)
{
    int64_t *most = map_get(s->sizes, uid);

    if (!most) {
        most = NEW(int64_t);
        map_put(s->sizes, uid, most);
    }
    if (n > *most)
        *most = n;
}

static void note_sizes(struct sim *s)
{
    struct object *rs;

    for (size_t at = 0; (rs = fake_client_next(s->f, kind_replica_set(), &at));)
        note_size(s, object_uid(rs), json_get_int(json_get(sim_tree(s, rs), "spec"), "replicas",
                                                  1));
}

/* No set gets more pods than it was ever asked for. */
void sim_check_request(struct sim *s, const struct client_req *req)
{
    struct json *refs = json_path(req->body, "metadata.ownerReferences");
    const char *uid = json_get_str(json_at(refs, 0), "uid");
    const int64_t *most;

    note_sizes(s);
    if (req->verb == CLIENT_UPDATE && req->kind == kind_replica_set())
        note_size(s, json_path_str(req->body, "metadata.uid"),
                  json_get_int(json_get(req->body, "spec"), "replicas", 1));
    if (req->verb != CLIENT_CREATE || req->kind != kind_pod())
        return;
    most = uid ? map_get(s->sizes, uid) : NULL;
    if (!most)
        return;
    if (active_of(s, uid) >= *most + s->lost_creates)
        sim_break(s, "a pod too many: set %s has %u, at most %" PRId64 " were asked for",
                  json_get_str(json_at(refs, 0), "name"), active_of(s, uid), *most);
}

/* --- always */

static void check_sets(struct sim *s)
{
    struct object *rs;

    for (size_t at = 0; (rs = fake_client_next(s->f, kind_replica_set(), &at));) {
        const int64_t *most = map_get(s->sizes, object_uid(rs));

        if (most && active_of(s, object_uid(rs)) > *most + s->lost_creates)
            sim_break(s, "set %s has more pods than it was ever asked for", object_name(rs));
    }
}

static void check_bindings(struct sim *s)
{
    unsigned on[SIM_NODES_MAX] = { 0 };
    struct object *pod;

    for (size_t at = 0; (pod = fake_client_next(s->f, kind_pod(), &at));) {
        const char *node = pod_view(pod)->spec.node_name;
        const char *was = map_get(s->bound, object_uid(pod));

        if (str_empty(node))
            node = NULL;
        if (was && !str_eq(was, node))
            sim_break(s, "pod %s moved from %s to %s", object_name(pod), was, node ? node : "none");
        if (node && !was)
            map_put(s->bound, object_uid(pod), mem_strdup(node));
        for (unsigned i = 0; node && i < s->n_nodes; i++)
            on[i] += str_eq(s->nodes[i].name, node) &&
                     !str_eq(pod_view(pod)->status.phase, "Failed");
    }
    for (unsigned i = 0; i < s->n_nodes; i++)
        if (on[i] > SIM_NODE_PODS)
            sim_break(s, "node %s has %u pods", s->nodes[i].name, on[i]);
}

static void check_networks(struct sim *s)
{
    struct map *seen = map_new();
    struct object *node;

    for (size_t at = 0; (node = fake_client_next(s->f, kind_node(), &at));) {
        const char *cidr = node_view(node)->spec.pod_cidr;

        if (!str_empty(cidr) && map_put(seen, cidr, s))
            sim_break(s, "two nodes have the network %s", cidr);
    }
    map_free(seen, NULL);
}

static void check_revisions(struct sim *s)
{
    for (unsigned i = 0; i < SIM_APPS; i++) {
        struct object *d = fake_client_get(s->f, kind_deployment(), "default", sim_user_app(s, i));
        const char *text = d ? object_annotation(d, "deployment.kubernetes.io/revision") : NULL;
        int64_t n;

        if (!text || !s->apps[i].exists || str_to_i64(text, 0, INT64_MAX, &n, NULL) < 0)
            continue;
        if (n < s->apps[i].revision)
            sim_break(s, "revision of d%u went from %" PRId64 " to %" PRId64, i,
                      s->apps[i].revision, n);
        s->apps[i].revision = n;
    }
}

void sim_check_always(struct sim *s)
{
    note_sizes(s);
    check_sets(s);
    check_bindings(s);
    check_networks(s);
    check_revisions(s);
    if (!fake_client_get(s->f, kind_config_map(), "default", "precious"))
        sim_break(s, "an object with a living owner was deleted");
}

/* --- in peace */

static void expect(struct sim *s, struct json *status, const char *key, int64_t want)
{
    if (json_get_int(status, key, 0) != want)
        sim_break(s, "status.%s is %" PRId64 ", not %" PRId64, key, json_get_int(status, key, 0),
                  want);
}

static bool is_rolled_out(const struct json *status)
{
    struct json *it;

    json_each(it, json_get(status, "conditions"))
        if (str_eq(json_get_str(it, "type"), "Progressing"))
            return str_eq(json_get_str(it, "reason"), "NewReplicaSetAvailable");
    return false;
}

static const char *image_of(const struct json *tree, const char *path)
{
    return json_get_str(json_at(json_path(tree, path), 0), "image");
}

static void check_pods(struct sim *s, unsigned i)
{
    const char *image = arena_printf(s->a, "app:%d", s->apps[i].image);
    struct object *pod;
    int n = 0;

    for (size_t at = 0; (pod = fake_client_next(s->f, kind_pod(), &at));) {
        struct json *tree = sim_tree(s, pod);

        if (!str_eq(object_label(pod, "app"), sim_user_app(s, i)) || !is_active(pod))
            continue;
        n++;
        if (!str_eq(image_of(tree, "spec.containers"), image))
            sim_break(s, "pod %s has not the image %s", object_name(pod), image);
    }
    if (n != s->apps[i].replicas)
        sim_break(s, "d%u has %d pods, not %d", i, n, s->apps[i].replicas);
}

static void check_app(struct sim *s, unsigned i)
{
    struct object *d = fake_client_get(s->f, kind_deployment(), "default", sim_user_app(s, i));
    struct json *status;

    if (!d) {
        sim_break(s, "d%u is gone", i);
        return;
    }
    status = json_get(sim_tree(s, d), "status");
    expect(s, status, "observedGeneration", object_generation(d));
    expect(s, status, "replicas", s->apps[i].replicas);
    expect(s, status, "updatedReplicas", s->apps[i].replicas);
    expect(s, status, "availableReplicas", s->apps[i].replicas);
    if (!is_rolled_out(status))
        sim_break(s, "d%u is not rolled out", i);
    check_pods(s, i);
}

/* Sets and pods of apps that are gone, and too much history. */
static void check_remains(struct sim *s)
{
    struct object *o;
    unsigned sets[SIM_APPS] = { 0 };

    for (size_t at = 0; (o = fake_client_next(s->f, kind_replica_set(), &at));)
        for (unsigned i = 0; i < SIM_APPS; i++)
            sets[i] += str_eq(object_label(o, "app"), sim_user_app(s, i));
    for (unsigned i = 0; i < SIM_APPS; i++)
        if (sets[i] > (s->apps[i].exists ? 3 : 0))
            sim_break(s, "d%u has %u sets", i, sets[i]);
    for (size_t at = 0; (o = fake_client_next(s->f, kind_pod(), &at));) {
        for (unsigned i = 0; i < SIM_APPS; i++)
            if (!s->apps[i].exists && str_eq(object_label(o, "app"), sim_user_app(s, i)))
                sim_break(s, "pod %s of a deleted Deployment is there", object_name(o));
        if (object_is_deleting(o))
            sim_break(s, "pod %s does not go", object_name(o));
    }
}

static void take_endpoints(struct sim *s, const struct object *slice, struct map *seen)
{
    struct json *e;

    json_each(e, json_get(sim_tree(s, slice), "endpoints")) {
        const char *pod = json_path_str(e, "targetRef.name");

        if (!pod || map_put(seen, pod, s))
            sim_break(s, "slice %s: endpoint of no pod, or twice", object_name(slice));
    }
}

static void check_service(struct sim *s, unsigned i)
{
    struct map *seen = map_new();
    struct object *o;
    size_t pods = 0;

    for (size_t at = 0; (o = fake_client_next(s->f, kind_endpoint_slice(), &at));)
        if (str_eq(object_label(o, "kubernetes.io/service-name"), sim_user_app(s, i)))
            take_endpoints(s, o, seen);
    for (size_t at = 0; (o = fake_client_next(s->f, kind_pod(), &at));) {
        if (!str_eq(object_label(o, "app"), sim_user_app(s, i)) || !is_active(o))
            continue;
        pods++;
        if (!map_get(seen, object_name(o)))
            sim_break(s, "pod %s is no endpoint", object_name(o));
    }
    if (map_len(seen) != pods)
        sim_break(s, "Service d%u has %zu endpoints for %zu pods", i, map_len(seen), pods);
    map_free(seen, NULL);
}

static void check_nodes(struct sim *s)
{
    struct object *node;

    for (size_t at = 0; (node = fake_client_next(s->f, kind_node(), &at));) {
        struct json *tree = sim_tree(s, node);

        if (json_len(json_path(tree, "spec.taints")))
            sim_break(s, "node %s keeps a taint", object_name(node));
        if (!json_path_str(tree, "spec.podCIDR"))
            sim_break(s, "node %s has no network", object_name(node));
    }
}

void sim_check_end(struct sim *s)
{
    for (unsigned i = 0; i < SIM_APPS; i++) {
        if (s->apps[i].exists)
            check_app(s, i);
        check_service(s, i);
    }
    check_remains(s);
    check_nodes(s);
    if (!fake_client_get(s->f, kind_service_account(), "default", "default") ||
        !fake_client_get(s->f, kind_config_map(), "default", "kube-root-ca.crt"))
        sim_break(s, "no default account, or no root CA");
}
