/* api_path.c: method and path -> kind, namespace, name, subresource and verb. */
#include "core/api/api_call.h"

#define PATH_PARTS_MAX 64

struct parts { char *v[PATH_PARTS_MAX]; unsigned len; };

const char *api_verb_name(enum api_verb v)
{
    static const char *const names[API_VERB_MAX] = {
        [API_GET] = "get", [API_LIST] = "list", [API_WATCH] = "watch", [API_CREATE] = "create",
        [API_UPDATE] = "update", [API_PATCH] = "patch", [API_DELETE] = "delete",
        [API_DELETECOLLECTION] = "deletecollection", [API_CONNECT] = "create",
        [API_NONRESOURCE] = "get",
    };
    return names[v];
}

static struct status *no_such_resource(struct arena *a)
{
    struct status *s = status_new(a, 404, "NotFound",
                                  "the server could not find the requested resource");

    s->kind = "";
    return s;
}

static int method_not_allowed(struct api_call *c)
{
    struct status *s = status_new(c->a, 405, "MethodNotAllowed",
                                  "the server does not allow this method on the requested "
                                      "resource");

    s->kind = "";
    return api_fail(c, s);
}

static int split(struct api_call *c, struct parts *out)
{
    struct slice rest = slice_of(c->path), part;

    while (rest.len && slice_split(&rest, '/', &part)) {
        if (!part.len)
            continue;
        if (out->len == PATH_PARTS_MAX)
            return api_fail(c, no_such_resource(c->a));
        out->v[out->len] = api_unescape(c->a, part.p, part.len, false);
        if (!out->v[out->len])
            return api_fail(c, status_bad_request(c->a, "the path is not properly escaped"));
        out->len++;
    }
    return 0;
}

static const struct kind *find_kind(const char *group, const char *version, const char *resource)
{
    const struct kind *k = kind_by_resource(group, version, resource);

    return k && k->served ? k : NULL;
}

/* What follows so many parts, as it was sent: escapes and a last '/' mean something to whom it goes
 * on to. */
static const char *raw_tail(const char *path, unsigned parts)
{
    for (unsigned i = 0; i < parts; i++) {
        path += strspn(path, "/");
        path += strcspn(path, "/");
    }
    return path;
}

static bool group_is_served(const char *group)
{
    for (unsigned i = 0; i < kind_count(); i++)
        if (kind_by_id(i)->served && str_eq(kind_by_id(i)->group, group))
            return true;
    return false;
}

/* What a method means on a collection, an object, or a subresource that is no object. */
static int pick_verb(struct api_call *c)
{
    static const struct { const char *method; int on_list, on_one; } rows[] = {
        { "GET", API_LIST, API_GET },        { "HEAD", API_LIST, API_GET },
        { "POST", API_CREATE, -1 },          { "PUT", -1, API_UPDATE },
        { "PATCH", -1, API_PATCH },          { "DELETE", API_DELETECOLLECTION, API_DELETE },
    };
    struct api_route *r = &c->route;
    bool one = *r->name != '\0';
    int verb = -1;

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        if (str_eq(rows[i].method, c->method))
            verb = one ? rows[i].on_one : rows[i].on_list;
    if (r->sub && str_eq(c->method, "POST"))
        verb = API_CREATE;
    if (verb < 0)
        return method_not_allowed(c);
    r->verb = (enum api_verb)verb;
    return 0;
}

static unsigned verb_bit(enum api_verb v)
{
    static const unsigned bits[API_VERB_MAX] = {
        [API_GET] = VERB_GET, [API_LIST] = VERB_LIST, [API_WATCH] = VERB_WATCH,
        [API_CREATE] = VERB_CREATE, [API_UPDATE] = VERB_UPDATE, [API_PATCH] = VERB_PATCH,
        [API_DELETE] = VERB_DELETE, [API_DELETECOLLECTION] = VERB_DELETECOLLECTION,
    };
    return bits[v];
}

static int check_verb(struct api_call *c)
{
    struct api_route *r = &c->route;
    const char *watch = api_query_get(&c->query, "watch");

    if (r->sub && r->sub->connect) {
        if (!str_eq(c->method, "GET") && !str_eq(c->method, "POST") &&
            !str_eq(r->sub->name, "proxy"))
            return method_not_allowed(c);
        r->verb = API_CONNECT;
        return 0;
    }
    if (pick_verb(c) < 0)
        return -1;
    if (r->verb == API_LIST && watch && strcmp(watch, "0") != 0 && strcmp(watch, "false") != 0)
        r->verb = API_WATCH;
    if (!((r->sub ? r->sub->verbs : r->kind->verbs) & verb_bit(r->verb)))
        return method_not_allowed(c);
    /* Writing or counting over all namespaces does not exist for namespaced kinds. */
    if (r->kind->namespaced && !*r->ns && r->verb != API_LIST && r->verb != API_WATCH)
        return method_not_allowed(c);
    return 0;
}

/* resource[/name[/sub[/tail]]] from part `at` on. */
static int resource_path(struct api_call *c, const struct parts *p, unsigned at, const char *group,
                         const char *version)
{
    struct api_route *r = &c->route;

    r->kind = find_kind(group, version, p->v[at]);
    if (!r->kind && str_eq(p->v[at], "bindings") && !*group && *r->ns && p->len == at + 1) {
        /* POST namespaces/NS/bindings names the pod in its body */
        r->kind = kind_pod();
        r->sub = kind_sub(r->kind, "binding");
        if (!str_eq(c->method, "POST"))
            return method_not_allowed(c);
        r->verb = API_CREATE;
        return 0;
    }
    if (!r->kind || (*r->ns && !r->kind->namespaced))
        return api_fail(c, no_such_resource(c->a));
    if (p->len > at + 1)
        r->name = p->v[at + 1];
    if (p->len > at + 2) {
        r->sub = kind_sub(r->kind, p->v[at + 2]);
        if (!r->sub || (p->len > at + 3 && !r->sub->connect))
            return api_fail(c, no_such_resource(c->a));
        r->tail = raw_tail(c->path, at + 3);
    }
    if (*r->name && r->kind->namespaced && !*r->ns)
        return api_fail(c, no_such_resource(c->a));
    return check_verb(c);
}

static int namespaces_path(struct api_call *c, const struct parts *p, unsigned at,
                           const char *group,
                           const char *version)
{
    struct api_route *r = &c->route;
    bool core = !*group;

    if (p->len < at + 3 || (core && p->len == at + 3 && kind_sub(kind_namespace(), p->v[at + 2])))
        return core ? resource_path(c, p, at, group, version)
                    : api_fail(c, no_such_resource(c->a));
    r->ns = p->v[at + 1];
    return resource_path(c, p, at + 2, group, version);
}

int api_route_parse(struct api_call *c)
{
    struct api_route *r = &c->route;
    struct parts p = { .len = 0 };
    const char *group = "", *version;
    unsigned at;

    *r = (struct api_route){ .ns = "", .name = "", .tail = "", .verb = API_NONRESOURCE };
    if (split(c, &p) < 0)
        return -1;
    if (p.len >= 3 && str_eq(p.v[0], "api")) {
        version = p.v[1];
        at = 2;
    } else if (p.len >= 4 && str_eq(p.v[0], "apis")) {
        group = p.v[1];
        version = p.v[2];
        at = 3;
    } else {
        return 0;
    }
    if (!group_is_served(group))
        return 0;                            /* a path that nothing stands behind */
    if (str_eq(p.v[at], "watch") && p.len > at + 1) {        /* the old spelling of ?watch=1 */
        struct api_param *more = arena_alloc(c->a, (c->query.len + 2) * sizeof(*more));

        memcpy(more, c->query.v, c->query.len * sizeof(*more));
        more[c->query.len] = (struct api_param){ "watch", "1" };
        c->query = (struct api_query){ .v = more, .len = c->query.len + 1 };
        at++;
    }
    if (str_eq(p.v[at], "namespaces"))
        return namespaces_path(c, &p, at, group, version);
    return resource_path(c, &p, at, group, version);
}
