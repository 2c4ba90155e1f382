/* core/object/rules.c -- the general part of the rules: which row a kind has, and what every write
 * does. */
#include "core/base/check.h"
#include "core/object/rules_impl.h"
#include "core/object/rules_warn.h"

static const struct rules_row *const tables[] = {
    rules_core_rows, rules_event_rows, rules_net_rows, rules_apps_rows, rules_pod_rows,
    rules_service_rows, rules_cert_rows,
};

static const struct rules_row *find_row(const struct kind *kind)
{
    static const struct rules_row none = { .group = "" };

    for (size_t t = 0; t < ARRAY_LEN(tables); t++)
        for (const struct rules_row *r = tables[t]; r->resource; r++)
            if (str_eq(r->resource, kind->resource) && str_eq(r->group, kind->group))
                return r;
    return &none;
}

bool rules_needs_version(const struct kind *kind) { return find_row(kind)->needs_version; }
bool rules_creates_on_update(const struct kind *kind) { return find_row(kind)->creates_on_update; }

static struct json *metadata(struct json *obj, const struct kind *kind, struct arena *a)
{
    if (!json_is(json_get(obj, "metadata"), JSON_OBJECT))
        rules_put(a, obj, kind->type, "metadata", json_object(a));
    return json_get(obj, "metadata");
}

static void set_generation(struct json *obj, const struct kind *kind, struct arena *a,
                           int64_t value)
{
    rules_put(a, metadata(obj, kind, a), rules_type(kind->type, "metadata"), "generation",
              json_int(a, value));
}

/* --- prepare */

void rules_prepare_create(struct json *obj, const struct kind *kind, const struct rules_ctx *ctx)
{
    static const char *const cleared[] = {
        "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink",
    };
    const struct rules_row *row = find_row(kind);
    struct json *meta = metadata(obj, kind, ctx->a);

    for (size_t i = 0; i < ARRAY_LEN(cleared); i++)
        json_del(meta, cleared[i]);
    if (kind->has_status && !row->keeps_status_on_create)
        rules_put(ctx->a, obj, kind->type, "status",
                  rules_zero(ctx->a, rules_type(kind->type, "status")));
    if (kind->has_generation)
        set_generation(obj, kind, ctx->a, 1);
    if (row->prepare_create)
        row->prepare_create(obj, kind, ctx);
}

/* System metadata that a client cannot change, or may leave out. */
static void keep_metadata(struct json *obj, const struct json *old, const struct kind *kind,
                          struct arena *a)
{
    static const struct { const char *name; bool only_if_missing; } kept[] = {
        { "generation", false },       { "uid", true },
        { "creationTimestamp", false }, { "deletionGracePeriodSeconds", true },
    };
    struct json *meta = metadata(obj, kind, a);
    const struct json *before = json_get(old, "metadata");
    const struct schema_type *type = rules_type(kind->type, "metadata");

    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        if (!kept[i].only_if_missing || !json_get(meta, kept[i].name))
            rules_put_or_del(a, meta, type, kept[i].name, json_get(before, kept[i].name));
    if (json_get(before, "deletionTimestamp"))
        rules_put_or_del(a, meta, type, "deletionTimestamp", json_get(before, "deletionTimestamp"));
    json_del(meta, "selfLink");
}

/* Takes over every member of the old object but those named. */
static void keep_others(struct json *obj, const struct json *old, const struct kind *kind,
                        struct arena *a, const char *const *taken)
{
    const struct schema_field *fields;
    unsigned n = schema_fields(kind->type, &fields);

    for (unsigned i = 0; i < n; i++) {
        const char *name = schema_field_name(&fields[i]);

        if (!rules_in(name, taken))
            rules_put_or_del(a, obj, kind->type, name, json_get(old, name));
    }
}

/* Whether anything outside metadata and status differs. */
static bool spec_changed(const struct json *obj, const struct json *old, const struct kind *kind)
{
    const struct schema_field *fields;
    unsigned n = schema_fields(kind->type, &fields);

    for (unsigned i = 0; i < n; i++) {
        const char *name = schema_field_name(&fields[i]);

        if (!str_eq(name, "metadata") && !str_eq(name, "status") &&
            !rules_same(json_get(obj, name), json_get(old, name)))
            return true;
    }
    return false;
}

void rules_prepare_update(struct json *obj, const struct json *old, const struct kind *kind,
                          const struct rules_ctx *ctx)
{
    static const char *const status_takes[] = { "apiVersion", "kind", "metadata", "status", NULL };
    const struct rules_row *row = find_row(kind);
    bool is_status = str_eq(ctx->subresource, "status");

    keep_metadata(obj, old, kind, ctx->a);
    if (is_status)
        keep_others(obj, old, kind, ctx->a, status_takes);
    else if (kind->has_status && !str_eq(ctx->subresource, row->status_sub))
        rules_put_or_del(ctx->a, obj, kind->type, "status", json_get(old, "status"));
    if (row->prepare_update)
        row->prepare_update(obj, old, kind, ctx);
    if (kind->has_generation && !is_status && spec_changed(obj, old, kind))
        set_generation(obj, kind, ctx->a,
                       json_get_int(json_get(old, "metadata"), "generation", 0) + 1);
}

/* --- validate */

void rules_validate_create(struct causes *out, const struct json *obj, const struct kind *kind,
                           const struct rules_ctx *ctx)
{
    const struct rules_row *row = find_row(kind);

    if (!row->no_meta_create) {
        rules_meta_create(out, obj, kind, rules_name_format(kind));
        if (!row->any_finalizer)
            rules_meta_finalizers(out, obj);
    }
    if (row->create)
        row->create(out, obj, ctx);
    if (out->len == 0)
        rules_meta_create(out, obj, kind, rules_fmt_path_segment);
    if (out->len == 0)
        rules_warn_create(obj, kind, ctx);
}

void rules_validate_update(struct causes *out, const struct json *obj, const struct json *old,
                           const struct kind *kind, const struct rules_ctx *ctx)
{
    const struct rules_row *row = find_row(kind);

    rules_meta_create(out, obj, kind, rules_fmt_path_segment);
    rules_meta_update(out, obj, old);
    if (!row->no_meta_update) {
        rules_meta_update(out, obj, old);
        if (!row->any_finalizer)
            rules_meta_finalizers(out, obj);
    }
    if (row->meta_create_on_update && str_empty(ctx->subresource)) {
        rules_meta_create(out, obj, kind, rules_name_format(kind));
        if (!row->any_finalizer)
            rules_meta_finalizers(out, obj);
    }
    if (row->update)
        row->update(out, obj, old, ctx);
    if (out->len == 0)
        rules_warn_update(obj, old, kind, ctx);
}
