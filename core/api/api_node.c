/* api_node.c: what a node may do, as upstream's node authorizer and NodeRestriction have it: after
 * the table of core/auth has said that nodes may do such things at all, it must be this node's.
 *
 *   nodes, leases          its own alone is written; labels that say where pods may go are not
 *                          its to set
 *   pods                   those bound to it: read (lists by spec.nodeName), deleted, their status
 *   secrets, configmaps    one by one, those that its pods name
 *   tokens of accounts     for its pods, bound to them
 */
#include "core/api/api_call.h"

#include "core/auth/auth_node.h"
#include "core/base/json.h"
#include "gen/views.h"

#define LEASES "kube-node-lease"
#define PROTECTED "node-restriction.kubernetes.io/"

static bool own_pod(struct api_call *c, const char *node)
{
    const struct api_route *r = &c->route;
    const char *selector = api_query_get(&c->query, "fieldSelector");
    struct object *o;
    bool own;

    if (!*r->name)
        return str_eq(selector, arena_printf(c->a, "spec.nodeName=%s", node));
    o = api_lookup(c->api, r->kind, r->ns, r->name);
    own = !o || auth_node_runs(node, o);     /* what is not there is a 404 */
    object_unref(o);
    return own;
}

struct seeker { const char *node, *name; const struct kind *kind; };

static bool names_it(void *ctx, struct object *pod)
{
    const struct seeker *s = ctx;

    return auth_node_runs(s->node, pod) && auth_node_pod_names(pod, s->kind, s->name);
}

static bool of_own_pod(struct api_call *c, const char *node)
{
    struct seeker s = { node, c->route.name, c->route.kind };
    struct watch_list_opts o = { .kind = kind_pod(), .ns = c->route.ns, .limit = 1,
                                 .keep = names_it, .ctx = &s };
    struct watch_list l = { 0 };
    bool found;

    if (c->route.verb != API_GET || !*c->route.name ||
        watch_cache_list(&l, c->api->cache, &o, NULL) < 0)
        return false;
    found = l.len > 0;
    watch_list_deinit(&l);
    return found;
}

bool api_node_may(struct api_call *c)
{
    const char *node = auth_node_of(&c->user);
    const struct kind *k = c->route.kind ? c->route.kind->storage : NULL;
    enum api_verb verb = c->route.verb;

    if (!node || !k)
        return true;
    if (k == kind_pod())
        return own_pod(c, node);
    if (k == kind_secret() || k == kind_config_map())
        return of_own_pod(c, node);
    if (k == kind_lease())
        return str_eq(c->route.ns, LEASES) && (verb == API_CREATE || str_eq(c->route.name, node));
    if (k == kind_node() && verb != API_GET && verb != API_LIST && verb != API_WATCH)
        return verb == API_CREATE || str_eq(c->route.name, node);
    return true;
}

/* --- bodies */

static int refuse(struct api_call *c, const char *why)
{
    return api_fail(c, status_forbidden(c->a, c->route.kind, c->route.name, why));
}

static bool is_allowed_label(const char *key)
{
    static const char *const known[] = {
        "kubernetes.io/hostname", "kubernetes.io/arch", "kubernetes.io/os",
        "beta.kubernetes.io/arch", "beta.kubernetes.io/os", "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type", "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
    };
    const char *slash = strchr(key, '/');
    struct slice domain = { key, slash ? (size_t)(slash - key) : 0 };

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(key, known[i]))
            return true;
    for (; domain.len; domain = (struct slice){ domain.p + 1, domain.len - 1 }) {
        if (slice_is(domain, "kubelet.kubernetes.io") || slice_is(domain, "node.kubernetes.io"))
            return true;
        if (slice_is(domain, "kubernetes.io") || slice_is(domain, "k8s.io"))
            return false;
    }
    return true;
}

/* A label may be set when upstream's kubelets may set it, and stay when it is there. */
static int check_labels(struct api_call *c, const struct json *tree, const struct json *old)
{
    const struct json *had = json_path(old, "metadata.labels"), *now;

    now = json_path(tree, "metadata.labels");
    json_each_member(m, now) {
        bool same = json_equal(json_getn(had, m->key, m->key_len), m->val);

        if (!same && (str_starts(m->key, PROTECTED) || !is_allowed_label(m->key)))
            return refuse(c, arena_printf(c->a, "is not allowed to set the label \"%s\" on its "
                                          "Node", m->key));
    }
    json_each_member(m, had)
        if (str_starts(m->key, PROTECTED) && !json_getn(now, m->key, m->key_len))
            return refuse(c, arena_printf(c->a, "is not allowed to remove the label \"%s\" of its "
                                          "Node", m->key));
    return 0;
}

static int check_node(struct api_call *c, const struct json *tree, const struct json *old)
{
    const struct json *taints = json_path(tree, "spec.taints");

    const struct json *had = json_path(old, "spec.taints");

    if (old && !json_equal(taints, had) && (json_len(taints) || json_len(had)))
        return refuse(c, "is not allowed to modify taints");
    return check_labels(c, tree, old);
}

int api_node_restrict(struct api_call *c, const struct kind *kind, const struct json *tree,
                      const struct json *old)
{
    const char *node = auth_node_of(&c->user);
    const char *name = json_path_str(tree, "metadata.name");

    if (!node || (kind != kind_node() && kind != kind_lease()))
        return 0;
    if (!str_eq(name, node))
        return refuse(c, arena_printf(c->a, "node \"%s\" is not allowed to modify %s \"%s\"", node,
                                      kind->singular, name ? name : ""));
    return kind == kind_node() ? check_node(c, tree, old) : 0;
}

int api_node_token(struct api_call *c, const char *kind, const char *name, const char *uid)
{
    const char *node = auth_node_of(&c->user);
    struct object *pod;
    bool own;

    if (!node)
        return 0;
    if (!str_eq(kind, "Pod") || str_empty(uid))
        return refuse(c, "node requested token not bound to a pod");
    pod = api_lookup(c->api, kind_pod(), c->route.ns, name);
    own = pod && auth_node_runs(node, pod) &&
          str_eq(pod_view(pod)->spec.service_account_name, c->route.name);
    object_unref(pod);
    return own ? 0 : refuse(c, "node requested token bound to a pod scheduled on a different node, "
                            "or of another account");
}
