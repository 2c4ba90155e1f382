/* api_apply.c: who manages which field: every write is noted in metadata.managedFields, and PATCH
 * with application/apply-patch+yaml merges what a manager wants. */
#include "core/api/api_call.h"

#include "core/object/apply.h"
#include "core/object/convert.h"

static struct apply_ctx apply_ctx(struct api_call *c, const struct kind *kind)
{
    const char *manager = c->opt.field_manager;

    if (str_empty(manager))
        manager = c->user_agent ? apply_manager_of(c->a, c->user_agent) : c->user.name;
    return (struct apply_ctx){ .a = c->a, .env = c->api->env, .kind = kind, .manager = manager,
                               .subresource = c->route.sub ? c->route.sub->name : "" };
}

/* The version in which the client speaks; entries name it. */
static const struct kind *view_of(const struct api_call *c, const struct kind *store)
{
    return c->route.kind && c->route.kind->storage == store ? c->route.kind : store;
}

void api_track(struct api_call *c, const struct kind *store, struct json *tree,
               const struct json *old)
{
    const struct kind *kind = view_of(c, store);
    struct apply_ctx ctx = apply_ctx(c, kind);
    struct json *seen = tree, *before = (struct json *)(uintptr_t)old, *meta, *list;

    if (kind != store) {
        seen = convert_tree(c->a, json_clone(c->a, tree), store, kind);
        before = old ? convert_tree(c->a, json_clone(c->a, old), store, kind) : NULL;
    }
    apply_update(&ctx, seen, before);
    if (seen == tree)
        return;
    meta = json_ensure_object(c->a, tree, "metadata");
    list = json_get(json_get(seen, "metadata"), "managedFields");
    json_del(meta, "managedFields");
    if (list)
        json_set(c->a, meta, "managedFields", list);
}

void api_keep_reset(struct api_call *c, const struct json *raw, struct json *tree)
{
    const struct json *list = json_get(json_get(raw, "metadata"), "managedFields");
    struct json *reset = json_array(c->a);

    if (!json_is(list, JSON_ARRAY) || list->len)
        return;
    json_append(c->a, reset, json_object(c->a));
    json_set(c->a, json_ensure_object(c->a, tree, "metadata"), "managedFields", reset);
}

/* --- apply */

int api_apply_parse(struct api_call *c, const struct kind *kind, struct json **out)
{
    struct causes causes = { .a = c->a };
    const char *version, *name;
    struct err err = ERR_INIT;

    if (str_empty(c->opt.field_manager)) {
        causes_add(&causes, CAUSE_REQUIRED, "fieldManager", NULL, "is required for apply patch");
        return api_fail(c, status_invalid_gk(c->a, "meta.k8s.io", "PatchOptions", "", &causes));
    }
    if (codec_parse(out, c->a, MEDIA_YAML, c->body, &c->notes, &err) < 0)
        return api_fail(c, status_bad_request(c->a, "error decoding YAML: error converting YAML to "
                                              "JSON: %s", err.msg));
    if (json_is(*out, JSON_NULL))
        *out = json_object(c->a);
    if (!json_is(*out, JSON_OBJECT))
        return api_fail(c, status_bad_request(c->a, "error decoding YAML: error unmarshaling JSON: "
            "while decoding JSON: json: cannot unmarshal %s into Go value of type "
            "map[string]interface {}", json_type_name((int)(*out)->type)));
    if (c->notes.len && c->opt.strict == STRICT_STRICT)
        return api_fail(c, status_bad_request(c->a, "error strict decoding YAML: error converting "
                                              "YAML to JSON: %s", codec_notes_text(&c->notes)));
    if (api_notes_settle(c, kind, "patch") < 0)
        return -1;
    version = json_get_str(*out, "apiVersion");
    name = json_get_str(*out, "kind");
    if (!str_eq(version, kind_api_version(kind)) || !str_eq(name, kind->kind)) {
        const char *slash = version ? strchr(version, '/') : NULL;

        return api_fail(c, status_bad_request(c->a, "invalid object type: %s%s, Kind=%s",
                                              slash ? "" : "/", version ? version : "",
                                              name ? name : ""));
    }
    if (json_len(json_get(json_get(*out, "metadata"), "managedFields")))
        return api_fail(c, status_bad_request(c->a, "metadata.managedFields must be nil"));
    return 0;
}

static int does_not_fit(struct api_call *c, const struct kind *kind, const struct json *config,
                        const char *why)
{
    const struct json *meta = json_get(config, "metadata");
    const char *ns = json_get_str(meta, "namespace"), *name = json_get_str(meta, "name");

    return api_fail(c, status_new(c->a, 500, "", "failed to create typed patch object "
                                  "(%s/%s; %s/%s, Kind=%s): %s", ns ? ns : "", name ? name : "",
                                  kind->group, kind->version, kind->kind, why));
}

int api_apply_merge(struct api_call *c, const struct kind *kind, const struct json *old,
                    const struct json *config, struct json **out)
{
    const struct kind *store = kind->storage;
    struct apply_ctx ctx = apply_ctx(c, kind);
    struct causes conflicts = { .a = c->a };
    struct json *live = NULL, *merged;
    struct err err = ERR_INIT;

    if (old)
        live = kind == store ? json_clone(c->a, old) :
               convert_tree(c->a, json_clone(c->a, old), store, kind);
    ctx.force = c->opt.force;
    ctx.conflicts = &conflicts;
    if (apply_apply(&ctx, &merged, live, config, &err) < 0)
        return conflicts.len ? api_fail(c, apply_conflict(c->a, &conflicts)) :
               does_not_fit(c, kind, config, err.msg);
    if (codec_canonical(out, c->a, kind->type, merged, NULL, &err) < 0)
        return api_fail(c, status_new(c->a, 500, "", "%s", err.msg));
    json_set_str(c->a, *out, "kind", kind->kind);
    json_set_str(c->a, *out, "apiVersion", kind_api_version(kind));
    *out = convert_tree(c->a, *out, kind, store);
    codec_default(*out, c->a, store);
    return 0;
}
