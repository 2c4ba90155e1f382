/* admit_namespace.c: NamespaceLifecycle. */
#include "plugins/admit/admit_rows.h"

static const char *const immortal[] = { "default", "kube-system", "kube-public" };

struct status *admit_namespace_lifecycle(const struct admit_request *r)
{
    struct object *ns;
    struct status *s = NULL;

    if (!r->kind->namespaced)
        return NULL;
    ns = r->lookup->get(r->lookup->ctx, kind_namespace(), "", r->ns);
    if (!ns)
        return status_not_found(r->a, kind_namespace(), r->ns);
    if (object_is_deleting(ns)) {
        struct causes *causes = ANEW(r->a, struct causes);

        causes->a = r->a;
        causes_add(causes, CAUSE_NAMESPACE_TERMINATING, "metadata.namespace", NULL,
                   "namespace %s is being terminated", r->ns);
        s = status_forbidden(r->a, r->kind, r->name, arena_printf(r->a,
            "unable to create new content in namespace %s because it is being terminated", r->ns));
        s->causes = causes;
    }
    object_unref(ns);
    return s;
}

struct status *admit_namespace_delete(const struct admit_request *r)
{
    for (size_t i = 0; i < ARRAY_LEN(immortal); i++)
        if (str_eq(immortal[i], r->name))
            return status_forbidden(r->a, r->kind, r->name, "this namespace may not be deleted");
    return NULL;
}
