/* api_write.c: create, and what creates and updates share. */
#include "core/api/api_call.h"

#include "core/base/metric.h"

#include "core/base/timefmt.h"
#include "core/object/convert.h"
#include "core/object/rules.h"

#define GENERATED_BASE_MAX 58               /* bytes kept of generateName: 63 with the suffix */
#define GENERATED_SUFFIX 5

static const struct api_strategy strategies[] = {
    { .resource = "pods", .group = "", .returns_deleted = true },
    { .resource = "services", .group = "", .put_creates = true, .returns_deleted = true },
    { .resource = "serviceaccounts", .group = "", .returns_deleted = true },
    { .resource = "namespaces", .group = "", .returns_deleted = true },
    { .resource = "events", .group = "", .put_creates = true, .no_gc = true },
    { .resource = "leases", .group = "coordination.k8s.io", .put_creates = true, .needs_rv = true },
};

const struct api_strategy *api_strategy_of(const struct kind *kind)
{
    static const struct api_strategy plain = { .resource = "", .group = "" };

    for (size_t i = 0; i < ARRAY_LEN(strategies); i++)
        if (str_eq(strategies[i].resource, kind->storage->resource) &&
            str_eq(strategies[i].group, kind->storage->group))
            return &strategies[i];
    return &plain;
}

/* Upstream names the internal kind, whatever version was asked. */
int api_invalid(struct api_call *c, const struct kind *kind, const char *name,
                const struct causes *causes)
{
    if (!causes->len)
        return 0;
    return api_fail(c, status_invalid(c->a, kind->storage, name, causes));
}

/* Two kinds of different groups may share their objects and yet follow rules of their own (events):
 * the tree as the asked kind sees it. */
const struct kind *api_rules_view(struct api_call *c, const struct kind *kind, struct json **tree)
{
    if (!*tree || str_eq(kind->group, kind->storage->group))
        return kind->storage;
    *tree = convert_tree(c->a, *tree, kind->storage, kind);
    return kind;
}

static const char *text_of(const struct json *meta, const char *key)
{
    const char *s = json_get_str(meta, key);

    return s ? s : "";
}

/* --- metadata of a new object */

static void generate_name(struct api_call *c, struct json *meta)
{
    char suffix[GENERATED_SUFFIX + 1];
    const char *base = text_of(meta, "generateName");
    size_t len = strlen(base);

    if (*text_of(meta, "name") || !len)
        return;
    if (len > GENERATED_BASE_MAX)
        len = GENERATED_BASE_MAX;
    env_suffix(c->api->env, suffix, GENERATED_SUFFIX);
    json_set(c->a, meta, "name", json_fmt(c->a, "%.*s%s", (int)len, base, suffix));
}

static int check_namespace(struct api_call *c, const struct kind *kind, struct json *meta)
{
    const char *ns = text_of(meta, "namespace");

    if (!kind->namespaced) {
        if (*ns)
            json_del(meta, "namespace");
        return 0;
    }
    if (*ns && !str_eq(ns, c->route.ns))
        return api_fail(c, status_bad_request(c->a, "the namespace of the provided object does not "
                                              "match "
                                              "the namespace sent on the request"));
    json_set_str(c->a, meta, "namespace", c->route.ns);
    return 0;
}

static void fill_metadata(struct api_call *c, struct json *meta)
{
    static const char *const dropped[] = { "deletionTimestamp", "deletionGracePeriodSeconds",
                                           "selfLink",
                                           "resourceVersion" };
    char uid[UUID_BYTES], now[TIMEFMT_BYTES];

    for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
        json_del(meta, dropped[i]);
    env_uuid(c->api->env, uid);
    timefmt_rfc3339(now, env_wall_s(c->api->env));
    json_set_str(c->a, meta, "uid", uid);
    json_set_str(c->a, meta, "creationTimestamp", now);
}

static struct admit_request admit_request(struct api_call *c, const struct kind *kind,
                                          struct json *tree,
                                          const struct json *old)
{
    return (struct admit_request){
        .a = c->a, .env = c->api->env, .lookup = &c->api->lookup,
        .lua = c->api->lua, .settings = &c->api->admit,
        .verb = old ? ADMIT_UPDATE : ADMIT_CREATE, .kind = kind,
        .subresource = c->route.sub ? c->route.sub->name : "", .ns = c->route.ns,
        .name = text_of(json_get(tree, "metadata"), "name"), .user = c->user.name,
        .object = tree, .old = old, .dry_run = c->opt.dry_run, .warnings = &c->warnings,
    };
}

int api_admit(struct api_call *c, const struct admit_request *r, bool validating)
{
    int64_t begun_ns = metric_now_ns();

    c->status = validating ? admit_validate(r) : admit_mutate(r);
    api_metric_admit(c, r->verb, validating, begun_ns);
    return c->status ? -1 : 0;
}

int api_admit_create(struct api_call *c, const struct kind *kind, struct json *tree)
{
    struct rules_ctx ctx = { .a = c->a, .env = c->api->env, .ns = c->route.ns, .subresource = "",
                             .dry_run = c->opt.dry_run, .warnings = &c->warnings };
    struct causes causes = { .a = c->a };
    struct admit_request r = admit_request(c, kind, tree, NULL);
    struct json *meta, *seen = tree;
    const struct kind *view;

    if (api_admit(c, &r, false) < 0)
        return -1;
    meta = json_get(tree, "metadata");
    rules_prepare_create(tree, kind, &ctx);
    if (api_csr_create(c, kind, tree, &causes) < 0 ||
        api_node_restrict(c, kind, tree, NULL) < 0)
        return -1;
    view = c->route.kind->storage == kind ? api_rules_view(c, c->route.kind, &seen) : kind;
    rules_validate_create(&causes, seen, view, &ctx);
    if (kind == kind_service() && api_alloc_service(c, tree, NULL, &causes) < 0)
        return -1;
    if (api_invalid(c, c->route.kind, text_of(meta, "name"), &causes) < 0)
        return -1;
    r.name = text_of(meta, "name");
    return api_admit(c, &r, true);
}

/* The object that a dry run would have stored. */
static int pretend(struct api_call *c, const struct kind *kind, struct json *tree)
{
    struct json *canonical;
    struct err err = ERR_INIT;

    if (codec_canonical(&canonical, c->a, kind->type, tree, NULL, &err) < 0 ||
        object_from_tree(&c->object, kind, canonical, 0, &err) < 0)
        return api_fail(c, status_internal(c->a, err.msg));
    return 0;
}

static int taken(struct api_call *c, const struct kind *kind, const char *name)
{
    struct object *there = api_lookup(c->api, kind, c->route.ns, name);
    struct status *s = status_exists(c->a, c->route.kind, name);

    if (there && json_path_str(object_tree(there, c->a), "metadata.deletionTimestamp"))
        s->message = arena_printf(c->a, "object is being deleted: %s", s->message);
    object_unref(there);
    return api_fail(c, s);
}

/* One try: 0 stored, 1 the name is taken, -1 answered. */
static int create_once(struct api_call *c, const struct kind *kind, struct json *tree)
{
    struct json *meta = json_get(tree, "metadata");
    struct object *there;

    generate_name(c, meta);
    if (api_admit_create(c, kind, tree) < 0)
        return -1;
    there = api_lookup(c->api, kind, c->route.ns, text_of(meta, "name"));
    if (there) {
        object_unref(there);
        return 1;
    }
    if (c->opt.dry_run)
        return pretend(c, kind, tree);
    if (api_csr_claim(c, kind, tree) < 0)
        return -1;
    return api_commit(c, kind, tree, KV_ABSENT, &c->object);
}

/* tracked: managedFields is right already. */
static int create_tree(struct api_call *c, const struct kind *kind, struct json *tree, bool tracked)
{
    struct json *meta = json_ensure_object(c->a, tree, "metadata");
    bool generated = !*text_of(meta, "name") && *text_of(meta, "generateName");
    const char *rv = text_of(meta, "resourceVersion");
    int result = -1;

    if (check_namespace(c, kind, meta) < 0)
        return -1;
    if (*rv && !str_eq(rv, "0"))
        return api_fail(c, status_new(c->a, 500, "",
            "resourceVersion should not be set on objects to be created"));
    if (!tracked)
        api_track(c, kind, tree, NULL);
    fill_metadata(c, meta);
    for (int i = 0; i < (generated ? API_NAME_TRIES : 1); i++) {
        struct json *copy = json_clone(c->a, tree);

        result = create_once(c, kind, copy);
        if (result <= 0)
            break;
        if (!generated || i == API_NAME_TRIES - 1)
            return taken(c, kind, text_of(json_get(copy, "metadata"), "name"));
    }
    if (result == 0)
        c->code = 201;
    return result;
}

int api_create(struct api_call *c)
{
    const struct kind *kind = c->route.kind;
    struct json *tree;

    if (api_decode(c, kind, &tree) < 0)
        return -1;
    return create_tree(c, kind->storage, tree, false);
}

/* PUT to a name that is not there, for kinds that allow it. */
int api_create_by_put(struct api_call *c, struct json *tree)
{
    struct json *meta = json_ensure_object(c->a, tree, "metadata");
    const char *rv = text_of(meta, "resourceVersion");

    if (*text_of(meta, "uid") || (*rv && !str_eq(rv, "0")))
        return api_fail(c, status_conflict(c->a, c->route.kind, c->route.name,
            arena_printf(c->a, "StorageError: invalid object, Code: 4, Key: /registry/%s/%s/%s, "
                "ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: "
                    "%s, UID in "
                "object meta: ", c->route.kind->resource, c->route.ns, c->route.name,
                text_of(meta, "uid"))));
    json_del(meta, "resourceVersion");
    return create_tree(c, c->route.kind->storage, tree, false);
}

/* What is applied under a name that is not there. */
int api_create_by_apply(struct api_call *c, struct json *tree)
{
    json_del(json_ensure_object(c->a, tree, "metadata"), "resourceVersion");
    return create_tree(c, c->route.kind->storage, tree, true);
}
