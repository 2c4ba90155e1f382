/* api_discovery.c: what the server offers (legacy and aggregated discovery), its version and its
 * health. */
#include "core/api/api_call.h"

#include "core/base/b64.h"
#include "core/object/schema.h"

#include <stdio.h>
#include <sys/utsname.h>

#include "gen/version.h"

static const struct { unsigned bit; const char *name; } verbs[] = {
    { VERB_CREATE, "create" }, { VERB_DELETE, "delete" }, { VERB_DELETECOLLECTION,
                                                            "deletecollection" },
    { VERB_GET, "get" }, { VERB_LIST, "list" }, { VERB_PATCH, "patch" }, { VERB_UPDATE, "update" },
    { VERB_WATCH, "watch" },
};

static struct json *verb_list(struct arena *a, unsigned bits)
{
    struct json *list = json_array(a);

    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (bits & verbs[i].bit)
            json_append(a, list, json_str(a, verbs[i].name));
    return list;
}

static struct json *text_list(struct arena *a, const char *const *v)
{
    struct json *list = json_array(a);

    for (; v && *v; v++)
        json_append(a, list, json_str(a, *v));
    return list;
}

static struct json *head(struct arena *a, const char *kind, const char *version)
{
    struct json *o = json_object(a);

    json_set_str(a, o, "kind", kind);
    json_set_str(a, o, "apiVersion", version);
    return o;
}

static bool is_in(const struct kind *k, const char *group, const char *version)
{
    return k->served && str_eq(k->group, group) && str_eq(k->version, version);
}

static bool is_served(const char *group, const char *version)
{
    for (unsigned i = 0; i < kind_count(); i++)
        if (is_in(kind_by_id(i), group, version))
            return true;
    return false;
}

/* --- legacy */

/* First eight bytes of the digest of the stored form's name, as upstream. */
static struct json *storage_hash(struct arena *a, const struct kind *k)
{
    const char *name = arena_printf(a, "%s/%s/%s", k->storage->group, k->storage->version,
                                    k->storage->kind);
    unsigned char digest[CRYPTO_SHA256_BYTES];
    _cleanup_buf_ struct buf text = BUF_INIT;

    crypto_sha256(digest, name, strlen(name));
    b64_encode(&text, B64_STD, digest, 8);
    return json_str(a, text.p);
}

static struct json *resource_row(struct arena *a, const struct kind *k)
{
    struct json *r = json_object(a);

    json_set_str(a, r, "name", k->resource);
    json_set_str(a, r, "singularName", k->singular);
    json_set_bool(a, r, "namespaced", k->namespaced);
    json_set_str(a, r, "kind", k->kind);
    json_set(a, r, "verbs", verb_list(a, k->verbs));
    if (k->short_names && *k->short_names)
        json_set(a, r, "shortNames", text_list(a, k->short_names));
    if (k->categories && *k->categories)
        json_set(a, r, "categories", text_list(a, k->categories));
    json_set(a, r, "storageVersionHash", storage_hash(a, k));
    return r;
}

static struct json *sub_row(struct arena *a, const struct kind *k, const struct kind_subresource *s)
{
    struct json *r = json_object(a);

    json_set(a, r, "name", json_fmt(a, "%s/%s", k->resource, s->name));
    json_set_str(a, r, "singularName", "");
    json_set_bool(a, r, "namespaced", k->namespaced);
    if (s->group && !str_eq(s->group, k->group)) {
        json_set_str(a, r, "group", s->group);
        json_set_str(a, r, "version", s->version);
    }
    json_set_str(a, r, "kind", s->kind);
    json_set(a, r, "verbs", verb_list(a, s->verbs));
    return r;
}

static struct json *resource_list(struct arena *a, const char *group, const char *version)
{
    struct json *o = head(a, "APIResourceList", "v1"), *list = json_array(a);

    json_set(a, o, "groupVersion", *group ? json_fmt(a, "%s/%s", group, version)
             : json_str(a, version));
    for (unsigned i = 0; i < kind_count(); i++) {
        const struct kind *k = kind_by_id(i);

        if (!is_in(k, group, version))
            continue;
        json_append(a, list, resource_row(a, k));
        for (unsigned s = 0; s < k->n_subs; s++)
            json_append(a, list, sub_row(a, k, &k->subs[s]));
    }
    json_set(a, o, "resources", list);
    return o;
}

static struct json *group_version(struct arena *a, const char *group, const char *version)
{
    struct json *v = json_object(a);

    json_set(a, v, "groupVersion", json_fmt(a, "%s/%s", group, version));
    json_set_str(a, v, "version", version);
    return v;
}

/* NULL when nothing of it is served. */
static struct json *group_object(struct arena *a, unsigned g, struct json *o)
{
    const char *group = schema_group_name(g), *version, *preferred = NULL;
    struct json *versions = json_array(a);

    json_set_str(a, o, "name", group);
    for (unsigned v = 0; (version = schema_group_version(g, v)); v++) {
        if (!is_served(group, version))
            continue;
        json_append(a, versions, group_version(a, group, version));
        preferred = preferred ? preferred : version;
    }
    if (!preferred)
        return NULL;
    json_set(a, o, "versions", versions);
    json_set(a, o, "preferredVersion", group_version(a, group, preferred));
    return o;
}

static struct json *group_list(struct arena *a)
{
    struct json *o = head(a, "APIGroupList", "v1"), *list = json_array(a);

    for (unsigned g = 0; g < schema_group_count(); g++) {
        struct json *one = *schema_group_name(g) ? group_object(a, g, json_object(a)) : NULL;

        if (one)
            json_append(a, list, one);
    }
    json_set(a, o, "groups", list);
    return o;
}

static struct json *core_versions(struct api_call *c)
{
    struct arena *a = c->a;
    struct json *o = head(a, "APIVersions", ""), *list = json_array(a), *cidrs = json_array(a);
    struct json *cidr = json_object(a);

    json_del(o, "apiVersion");
    json_append(a, list, json_str(a, "v1"));
    json_set(a, o, "versions", list);
    json_set_str(a, cidr, "clientCIDR", "0.0.0.0/0");
    json_set_str(a, cidr, "serverAddress", c->api->advertise ? c->api->advertise : "");
    json_append(a, cidrs, cidr);
    json_set(a, o, "serverAddressByClientCIDRs", cidrs);
    return o;
}

/* --- aggregated (apidiscovery.k8s.io/v2) */

static struct json *response_kind(struct arena *a, const char *group, const char *version,
                                  const char *kind)
{
    struct json *o = json_object(a);

    json_set_str(a, o, "group", group);
    json_set_str(a, o, "version", version);
    json_set_str(a, o, "kind", kind);
    return o;
}

static struct json *aggregated_resource(struct arena *a, const struct kind *k)
{
    struct json *r = json_object(a), *subs = json_array(a);

    json_set_str(a, r, "resource", k->resource);
    json_set(a, r, "responseKind", response_kind(a, "", "", k->kind));
    json_set_str(a, r, "scope", k->namespaced ? "Namespaced" : "Cluster");
    json_set_str(a, r, "singularResource", k->singular);
    json_set(a, r, "verbs", verb_list(a, k->verbs));
    if (k->short_names && *k->short_names)
        json_set(a, r, "shortNames", text_list(a, k->short_names));
    if (k->categories && *k->categories)
        json_set(a, r, "categories", text_list(a, k->categories));
    for (unsigned i = 0; i < k->n_subs; i++) {
        const struct kind_subresource *s = &k->subs[i];
        bool own = !s->group || str_eq(s->group, k->group);
        struct json *one = json_object(a);

        json_set_str(a, one, "subresource", s->name);
        json_set(a, one, "responseKind", response_kind(a, own ? "" : s->group,
                                                       own ? "" : s->version,
                                                       s->kind));
        json_set(a, one, "verbs", verb_list(a, s->verbs));
        json_append(a, subs, one);
    }
    if (json_len(subs))
        json_set(a, r, "subresources", subs);
    return r;
}

static struct json *aggregated_version(struct arena *a, const char *group, const char *version)
{
    struct json *v = json_object(a), *list = json_array(a);

    json_set_str(a, v, "version", version);
    for (unsigned i = 0; i < kind_count(); i++)
        if (is_in(kind_by_id(i), group, version))
            json_append(a, list, aggregated_resource(a, kind_by_id(i)));
    json_set(a, v, "resources", list);
    json_set_str(a, v, "freshness", "Current");
    return v;
}

static struct json *aggregated(struct arena *a, bool core)
{
    struct json *o = head(a, "APIGroupDiscoveryList", "apidiscovery.k8s.io/v2"),
        *items = json_array(a);

    json_set(a, o, "metadata", json_object(a));
    for (unsigned g = 0; g < schema_group_count(); g++) {
        const char *group = schema_group_name(g), *version;
        struct json *one = json_object(a), *meta = json_object(a), *versions = json_array(a);

        if (core != !*group)
            continue;
        for (unsigned v = 0; (version = schema_group_version(g, v)); v++)
            if (is_served(group, version))
                json_append(a, versions, aggregated_version(a, group, version));
        if (!json_len(versions))
            continue;
        if (*group)
            json_set_str(a, meta, "name", group);
        json_set(a, one, "metadata", meta);
        json_set(a, one, "versions", versions);
        json_append(a, items, one);
    }
    json_set(a, o, "items", items);
    return o;
}

#define AGGREGATED "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

/* 1 aggregated, 0 plain, -1 neither is wanted. */
static int wants_aggregated(struct api_call *c)
{
    struct slice rest = slice_of(c->accept ? c->accept : ""), part;

    if (!rest.len)
        return 0;
    while (rest.len && slice_split(&rest, ',', &part)) {
        part = slice_trim(part);
        if (slice_is(part, "*/*"))
            return 0;
        if (part.len < 16 || memcmp(part.p, "application/", 12) != 0)
            continue;
        if (!memmem(part.p, part.len, "as=APIGroupDiscoveryList", 24)) {
            if (memmem(part.p, part.len, "json", 4) || memmem(part.p, part.len, "yaml", 4))
                return 0;
            continue;
        }
        if (memmem(part.p, part.len, "json", 4) && memmem(part.p, part.len, "v=v2;", 5))
            return 1;
        if (memmem(part.p, part.len, "json", 4) && part.len > 4 &&
            memcmp(part.p + part.len - 4, "v=v2", 4) == 0)
            return 1;
    }
    return -1;
}

/* --- plain texts */

static int text(struct api_call *c, int code, const char *body)
{
    buf_str(&c->text, body);
    c->text_type = "text/plain; charset=utf-8";
    c->code = code;
    return 0;
}

static const char *architecture(const char *machine)
{
    static const struct { const char *prefix, *name; } rows[] = {
        { "x86_64", "amd64" }, { "aarch64", "arm64" }, { "arm", "arm" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_starts(machine, rows[i].prefix))
            return rows[i].name;
    return machine;
}

static int version(struct api_call *c)
{
    static const char full[] = INRO_VERSION;
    struct json *o = json_object(c->a);
    struct utsname host;
    int major = 1, minor = 0;

    (void)!sscanf(full, "v%d.%d", &major, &minor);
    uname(&host);
    json_set(c->a, o, "major", json_fmt(c->a, "%d", major));
    json_set(c->a, o, "minor", json_fmt(c->a, "%d", minor));
    json_set(c->a, o, "emulationMajor", json_fmt(c->a, "%d", major));
    json_set(c->a, o, "emulationMinor", json_fmt(c->a, "%d", minor));
    json_set(c->a, o, "minCompatibilityMajor", json_fmt(c->a, "%d", major));
    json_set(c->a, o, "minCompatibilityMinor", json_fmt(c->a, "%d", minor - 1));
    json_set_str(c->a, o, "gitVersion", full);
    json_set_str(c->a, o, "gitCommit", INRO_COMMIT);
    json_set_str(c->a, o, "gitTreeState", "clean");
    json_set_str(c->a, o, "buildDate", *INRO_COMMIT_DATE ? INRO_COMMIT_DATE
                 : "1970-01-01T00:00:00Z");
    json_set_str(c->a, o, "goVersion", "none");
    json_set_str(c->a, o, "compiler", "gcc");
    json_set(c->a, o, "platform", json_fmt(c->a, "linux/%s", architecture(host.machine)));
    c->tree = o;
    c->code = 200;
    return 0;
}

static int jwks(struct api_call *c)
{
    struct err err = ERR_INIT;

    if (!str_empty(c->accept) && !strstr(c->accept, "jwk-set+json") && !strstr(c->accept, "*/*") &&
        !strstr(c->accept, "application/*")) {
        struct status *s = status_new(c->a, 406, "NotAcceptable",
                                      "only the following media types are "
                                      "accepted: application/jwk-set+json");

        return api_fail(c, s);
    }
    buf_str(&c->text, "{\"keys\":[");
    if (crypto_key_jwk(&c->text, c->api->sa_key, &err) < 0)
        return api_fail(c, status_internal(c->a, err.msg));
    buf_str(&c->text, "]}");
    c->text_type = "application/jwk-set+json";
    c->code = 200;
    return 0;
}

/* Where a stranger that trusts the issuer finds the keys. */
static int openid(struct api_call *c)
{
    static const struct { const char *key, *value; } lists[] = {
        { "response_types_supported", "id_token" }, { "subject_types_supported", "public" },
        { "id_token_signing_alg_values_supported", "ES256" },
    };
    struct json *o = json_object(c->a);

    json_set_str(c->a, o, "issuer", c->api->issuer);
    json_set(c->a, o, "jwks_uri", json_fmt(c->a, "https://%s/openid/v1/jwks",
                                           c->api->advertise ? c->api->advertise : "localhost"));
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct json *list = json_array(c->a);

        json_append(c->a, list, json_str(c->a, lists[i].value));
        json_set(c->a, o, lists[i].key, list);
    }
    c->tree = o;
    c->code = 200;
    return 0;
}

static int root(struct api_call *c)
{
    static const char *const fixed[] = { "/.well-known/openid-configuration", "/api", "/api/v1",
                                         "/apis", "/healthz", "/livez", "/metrics",
                                         "/metrics/slis", "/openapi/v2",
                                         "/openapi/v3", "/openid/v1/jwks", "/readyz", "/version" };
    struct json *o = json_object(c->a), *list = json_array(c->a);

    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        json_append(c->a, list, json_str(c->a, fixed[i]));
    json_set(c->a, o, "paths", list);
    c->tree = o;
    c->code = 200;
    return 0;
}

int api_page_not_found(struct api_call *c)
{
    return text(c, 404, "404 page not found\n");
}

static int more_page(struct api_call *c)
{
    const struct api_more *more = &c->api->more;

    if (!more->page || !str_starts(c->path, "/inro/") ||
        more->page(more->ctx, c->path + sizeof("/inro/") - 1, &c->text) < 0)
        return api_page_not_found(c);
    c->text_type = "application/json";
    c->code = 200;
    return 0;
}

/* --- routes */

static int answer(struct api_call *c, const struct json *tree)
{
    c->tree = tree;
    c->code = 200;
    return 0;
}

static int not_found(struct api_call *c)
{
    struct status *s = status_new(c->a, 404, "NotFound",
                                  "the server could not find the requested resource");

    s->kind = "";
    return api_fail(c, s);
}

static int discover_root(struct api_call *c, bool core)
{
    int form = wants_aggregated(c);

    if (form <= 0 && api_negotiate(c) < 0)
        return -1;
    if (form > 0) {
        json_write(&c->text, aggregated(c->a, core));
        c->text_type = AGGREGATED;
        c->code = 200;
        return 0;
    }
    return answer(c, core ? core_versions(c) : group_list(c->a));
}

static int discover_group(struct api_call *c, const char *path)
{
    const char *slash = strchr(path, '/');
    const char *group = slash ? arena_strndup(c->a, path, (size_t)(slash - path)) : path;
    const char *v = slash && slash[1] ? slash + 1 : NULL;

    if (v && v[strlen(v) - 1] == '/')
        v = arena_strndup(c->a, v, strlen(v) - 1);
    if (v && !strchr(v, '/') && is_served(group, v))
        return answer(c, resource_list(c->a, group, v));
    for (unsigned g = 0; g < schema_group_count(); g++) {
        struct json *o = str_eq(schema_group_name(g), group)
            ? group_object(c->a, g, head(c->a, "APIGroup", "v1")) : NULL;

        if (o)
            return v ? not_found(c) : answer(c, o);
    }
    return api_page_not_found(c);
}

static int discover(struct api_call *c)
{
    const char *p = c->path;
    /* upstream's does not look at the method */
    bool list = str_eq(p, "/apis") || str_eq(p, "/apis/");

    if (!list && !str_eq(c->method, "GET")) {
        struct status *s = status_new(c->a, 405, "MethodNotAllowed",
                                      "the server does not allow this method on the requested "
                                          "resource");

        s->kind = "";
        return api_fail(c, s);
    }
    if (str_eq(p, "/api") || str_eq(p, "/api/"))
        return discover_root(c, true);
    if (list)
        return discover_root(c, false);
    if (api_negotiate(c) < 0)
        return -1;
    if (str_eq(p, "/api/v1") || str_eq(p, "/api/v1/"))
        return answer(c, resource_list(c->a, "", "v1"));
    return str_starts(p, "/apis/") ? discover_group(c, p + 6) : not_found(c);
}

int api_nonresource(struct api_call *c)
{
    static const struct {
        const char *prefix;
        int (*run)(struct api_call *c);
        bool exact;
    } rows[] = {
        { "/api", discover, false }, { "/livez", api_health, false },
        { "/readyz", api_health, false },
        { "/healthz", api_health, false }, { "/version", version, false },
        { "/metrics", api_metric_page, true }, { "/metrics/slis", api_health_slis, true },
        { "/inro", more_page, false }, { "/openapi", api_openapi, false },
        { "/openid/v1/jwks", jwks, true }, { "/", root, true },
        { "/.well-known/openid-configuration", openid, true },
        { "/cacerts", api_join_cacerts, true }, { "/v1-inro/config", api_join_config, true },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t len = strlen(rows[i].prefix);

        if (rows[i].exact ? str_eq(c->path, rows[i].prefix)
                          : strncmp(c->path, rows[i].prefix, len) == 0 &&
                            (!c->path[len] || c->path[len] == '/' ||
                             str_eq(rows[i].prefix, "/api")))
            return rows[i].run(c);
    }
    return api_page_not_found(c);
}
