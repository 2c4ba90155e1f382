/* admit.c: the built-in plugins as rows, in upstream's order. */
#include "plugins/admit/admit_lua.h"
#include "plugins/admit/admit_rows.h"

typedef struct status *(*plugin_fn)(const struct admit_request *r);

struct row {
    const char *name;                       /* upstream's name of the plugin */
    unsigned verbs;
    const char *resource;                   /* "*": all; else of the core group */
    bool subresources;                      /* also for writes of subresources */
    plugin_fn run;
};

static const struct row mutating[] = {
    { "NamespaceLifecycle", ADMIT_CREATE, "*", false, admit_namespace_lifecycle },
    { "TaintNodesByCondition", ADMIT_CREATE, "nodes", false, admit_taint_node },
    { "ServiceAccount", ADMIT_CREATE, "pods", false, admit_service_account },
    { "Priority", ADMIT_CREATE, "pods", false, admit_priority },
    { "Priority", ADMIT_UPDATE, "pods", false, admit_priority_update },
    { "DefaultTolerationSeconds", ADMIT_CREATE | ADMIT_UPDATE, "pods", false, admit_tolerations },
    { "RuntimeClass", ADMIT_CREATE, "pods", false, admit_runtime_class },
};

static const struct row validating[] = {
    { "NamespaceLifecycle", ADMIT_DELETE, "namespaces", false, admit_namespace_delete },
};

static struct status *run(const struct row *rows, size_t n, const struct admit_request *r)
{
    for (size_t i = 0; i < n; i++) {
        const struct row *row = &rows[i];
        struct status *s;

        if (!(row->verbs & r->verb) || (*r->subresource && !row->subresources))
            continue;
        if (!str_eq(row->resource, "*") && (*r->kind->group ||
                                            !str_eq(row->resource, r->kind->resource)))
            continue;
        s = row->run(r);
        if (s)
            return s;
    }
    return NULL;
}

struct status *admit_mutate(const struct admit_request *r)
{
    struct status *s = run(mutating, ARRAY_LEN(mutating), r);

    return s || !r->lua ? s : admit_lua_mutate(r->lua, r);
}

struct status *admit_validate(const struct admit_request *r)
{
    struct status *s = run(validating, ARRAY_LEN(validating), r);

    return s || !r->lua ? s : admit_lua_validate(r->lua, r);
}
