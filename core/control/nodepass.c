/* nodepass.c: with a Node goes the password that bound its name to a machine (core/api/api_csr.c):
 * after "kubectl delete node" another machine may join under that name. */
#include "core/control/control_impl.h"

#define SUFFIX ".node-password.inro"

/* Only a Node that goes: the Secret of a machine that joins is there before its Node. */
static void on_node(struct controller *c, struct object *before, struct object *after)
{
    if (before && !after)
        control_enqueue(c, "", object_name(before));
}

static void reconcile(struct pass *p)
{
    struct client_req req = { .verb = CLIENT_DELETE, .kind = kind_secret(), .ns = "kube-system",
                              .grace_s = -1 };

    if (control_get(p, kind_node()))
        return;
    req.name = arena_printf(p->a, "%s" SUFFIX, p->name);
    control_do(p, &req, NULL, NULL);
}

const struct control_def nodepass_control = {
    .name = "node-password-controller",
    .watches = { { kind_node, on_node } },
    .reconcile = reconcile,
};
