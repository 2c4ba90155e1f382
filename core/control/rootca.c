/* rootca.c: every namespace has the ConfigMap kube-root-ca.crt, by which pods know the API server.
 * */
#include "core/control/control_impl.h"

#define NAME "kube-root-ca.crt"

static const char about[] =
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal "
    "endpoints such as the internal service IP or kubernetes.default.svc. No other usage is "
    "guaranteed across distributions of Kubernetes clusters.";

static void on_namespace(struct controller *c, struct object *before, struct object *after)
{
    (void)before;
    if (after)
        control_enqueue(c, "", object_name(after));
}

static void on_config_map(struct controller *c, struct object *before, struct object *after)
{
    const struct object *o = after ? after : before;

    if (str_eq(object_name(o), NAME))
        control_enqueue(c, "", object_ns(o));
}

static void on_written(struct pass *p, const struct client_result *r, void *arg)
{
    (void)arg;
    if (!client_ok(r) && r->code != 409 && r->code != 404 && !control_is_terminating_ns(r))
        control_fail(p);
    else if (r->code == 409 || r->code == 404)
        control_again(p, 1000);
}

static struct json *wanted(struct pass *p, struct json *o)
{
    struct json *meta = json_ensure_object(p->a, o, "metadata"), *data = json_object(p->a);

    json_set_str(p->a, meta, "name", NAME);
    json_set_str(p->a, meta, "namespace", p->name);
    json_set_str(p->a, json_ensure_object(p->a, meta, "annotations"), "kubernetes.io/description",
                 about);
    json_set_str(p->a, data, "ca.crt", p->c->control->opts.root_ca_pem);
    json_set(p->a, o, "data", data);
    return o;
}

static void reconcile(struct pass *p)
{
    struct object *ns = control_get(p, kind_namespace()), *map;
    struct json *tree, *want;

    if (!ns || object_is_deleting(ns) || !p->c->control->opts.root_ca_pem)
        return;
    map = informer_get(control_informer(p->c, kind_config_map()), p->name, NAME);
    if (!map) {
        control_create(p, kind_config_map(), wanted(p, json_object(p->a)), on_written, NULL);
        return;
    }
    tree = object_tree(map, p->a);
    want = wanted(p, json_clone(p->a, tree));
    if (!json_equal(want, tree))
        control_update(p, map, want, on_written, NULL);
}

const struct control_def rootca_control = {
    .name = "root-ca-certificate-publisher-controller",
    .watches = { { kind_namespace, on_namespace }, { kind_config_map, on_config_map } },
    .reconcile = reconcile,
};
