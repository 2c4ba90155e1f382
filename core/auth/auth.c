/* auth.c: identities from certificates and accounts, and the table of what groups may do. */
#include "core/auth/auth.h"

#include "core/base/str.h"

static void add_group(struct auth_user *u, const char *group)
{
    if (u->n_groups < AUTH_GROUPS_MAX)
        u->groups[u->n_groups++] = group;
}

void auth_user_named(struct auth_user *out, const char *name, const char *group)
{
    *out = (struct auth_user){ .name = name, .uid = "" };
    if (group)
        add_group(out, group);
    add_group(out, "system:authenticated");
}

void auth_user_of_cert(struct auth_user *out, struct arena *a, const struct crypto_cert *cert)
{
    const struct crypto_names *n;

    *out = (struct auth_user){ .name = "system:anonymous", .uid = "" };
    if (!cert) {
        add_group(out, "system:unauthenticated");
        return;
    }
    n = crypto_cert_names(cert);
    out->name = arena_strdup(a, n->cn);
    for (unsigned i = 0; i < n->n_orgs; i++)
        add_group(out, arena_strdup(a, n->orgs[i]));
    add_group(out, "system:authenticated");
}

void auth_user_of_service_account(struct auth_user *out, struct arena *a, const char *ns,
                                  const char *name,
                                  const char *uid)
{
    *out = (struct auth_user){ .name = arena_printf(a, "system:serviceaccount:%s:%s", ns, name),
                               .uid = arena_strdup(a, uid) };
    add_group(out, "system:serviceaccounts");
    add_group(out, arena_printf(a, "system:serviceaccounts:%s", ns));
    add_group(out, "system:authenticated");
}

bool auth_user_in(const struct auth_user *u, const char *group)
{
    for (size_t i = 0; i < u->n_groups; i++)
        if (str_eq(u->groups[i], group))
            return true;
    return false;
}

/* Which of these a node may do to what is its own: core/api/api_node.c.
 *
 * One row allows `verbs` (a comma-separated list) on a resource; "*" is all. */
struct rule { const char *group, *verbs, *api_group, *resource; };

#define READ "get,list,watch"

static const struct rule rules[] = {
    { "system:masters", "*", "*", "*" },
    { AUTH_BOOTSTRAPPERS, "create,get,list,watch", "certificates.k8s.io",
      "certificatesigningrequests" },
    { "system:nodes", "create,get,list,watch", "certificates.k8s.io",
      "certificatesigningrequests" },
    { "system:nodes", READ, "", "nodes" },
    { "system:nodes", "create,update,patch", "", "nodes" },
    { "system:nodes", "update,patch", "", "nodes/status" },
    { "system:nodes", "get,list,watch,delete", "", "pods" },
    { "system:nodes", "update,patch", "", "pods/status" },
    { "system:nodes", "create", "", "serviceaccounts/token" },
    { "system:nodes", READ, "", "services" },
    { "system:nodes", "get", "", "configmaps" },
    { "system:nodes", "get", "", "secrets" },
    { "system:nodes", READ, "discovery.k8s.io", "endpointslices" },
    { "system:nodes", "get,create,update,patch,delete", "coordination.k8s.io", "leases" },
    { "system:nodes", "create,update,patch", "", "events" },
    { "system:nodes", "create,update,patch", "events.k8s.io", "events" },
    { "inro:dns", READ, "", "services" },
    { "inro:dns", READ, "", "pods" },
    { "inro:dns", READ, "", "namespaces" },
    { "inro:dns", READ, "discovery.k8s.io", "endpointslices" },
};

static bool verb_in(const char *list, const char *verb)
{
    struct slice rest = slice_of(list), one;

    if (str_eq(list, "*"))
        return true;
    while (rest.len && slice_split(&rest, ',', &one))
        if (slice_is(one, verb))
            return true;
    return false;
}

static bool resource_is(const char *row, const struct auth_request *r)
{
    size_t len = strlen(r->resource);

    if (str_eq(row, "*"))
        return true;
    if (strncmp(row, r->resource, len) != 0)
        return false;
    if (!*r->subresource)
        return row[len] == '\0';
    return row[len] == '/' && str_eq(row + len + 1, r->subresource);
}

static bool is_below(const char *path, const char *const *roots, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(roots[i]);

        if (strncmp(path, roots[i], len) == 0 && (!path[len] || path[len] == '/'))
            return true;
    }
    return false;
}

static bool path_allowed(const struct auth_user *u, const char *path)
{
    static const char *const anyone[] = { "/livez", "/readyz", "/healthz", "/version",
                                          "/version/", "/cacerts" };
    static const char *const known[] = { "/api", "/apis", "/openapi" };
    static const char *const watched[] = { "/livez", "/readyz", "/healthz", "/metrics" };

    if (auth_user_in(u, "system:masters"))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(anyone); i++)
        if (str_eq(path, anyone[i]))
            return true;
    if (!auth_user_in(u, "system:authenticated"))
        return false;
    if (str_eq(path, "/v1-inro/config"))
        return auth_user_in(u, AUTH_BOOTSTRAPPERS) || auth_user_in(u, "system:nodes");
    return is_below(path, known, ARRAY_LEN(known)) ||
           (auth_user_in(u, "system:monitoring") && is_below(path, watched, ARRAY_LEN(watched)));
}

bool auth_allows(const struct auth_user *u, const struct auth_request *r)
{
    if (r->path)
        return path_allowed(u, r->path);
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        const struct rule *row = &rules[i];

        if (!auth_user_in(u, row->group) || !verb_in(row->verbs, r->verb))
            continue;
        if (!str_eq(row->api_group, "*") && !str_eq(row->api_group, r->group))
            continue;
        if (resource_is(row->resource, r))
            return true;
    }
    return false;
}
