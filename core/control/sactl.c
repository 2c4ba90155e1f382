/* sactl.c: every namespace has the ServiceAccount "default". */
#include "core/control/control_impl.h"

static void on_namespace(struct controller *c, struct object *before, struct object *after)
{
    (void)before;
    if (after)
        control_enqueue(c, "", object_name(after));
}

static void on_account(struct controller *c, struct object *before, struct object *after)
{
    if (!after && str_eq(object_name(before), "default"))
        control_enqueue(c, "", object_ns(before));
}

static void on_created(struct pass *p, const struct client_result *r, void *arg)
{
    (void)arg;
    if (!client_ok(r) && r->code != 409 && !control_is_terminating_ns(r))
        control_fail(p);
}

static void reconcile(struct pass *p)
{
    struct object *ns = control_get(p, kind_namespace());
    struct json *account, *meta;

    if (!ns || object_is_deleting(ns) ||
        informer_get(control_informer(p->c, kind_service_account()), p->name, "default"))
        return;
    account = json_object(p->a);
    meta = json_ensure_object(p->a, account, "metadata");
    json_set_str(p->a, meta, "name", "default");
    json_set_str(p->a, meta, "namespace", p->name);
    control_create(p, kind_service_account(), account, on_created, NULL);
}

const struct control_def sactl_control = {
    .name = "serviceaccount-controller",
    .watches = { { kind_namespace, on_namespace }, { kind_service_account, on_account } },
    .reconcile = reconcile,
};
