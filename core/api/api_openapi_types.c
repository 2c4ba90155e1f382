/* api_openapi_types.c: the tables of the schema -> definitions of OpenAPI v2 and v3. */
#include "core/api/api_openapi.h"

#include "core/base/check.h"
#include "core/base/cleanup.h"
#include "core/base/json.h"
#include "core/object/schema_doc.h"

#include <stdio.h>
#include <string.h>

/* Types with a form of their own. */
static const struct { const char *name, *v2, *v3; } scalars[SCHEMA_BASE_MAX] = {
#define META "io.k8s.apimachinery.pkg.apis.meta.v1."
    [SCHEMA_QUANTITY] = { "io.k8s.apimachinery.pkg.api.resource.Quantity", "\"type\":\"string\"",
                          "\"oneOf\":[{\"type\":\"string\"},{\"type\":\"number\"}]" },
    [SCHEMA_INT_OR_STRING] = { "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
                               "\"type\":\"string\",\"format\":\"int-or-string\"",
                               "\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}],"
                               "\"format\":\"int-or-string\"" },
    [SCHEMA_TIME] = { META "Time", "\"type\":\"string\",\"format\":\"date-time\"",
                      "\"type\":\"string\",\"format\":\"date-time\"" },
    [SCHEMA_MICRO_TIME] = { META "MicroTime", "\"type\":\"string\",\"format\":\"date-time\"",
                            "\"type\":\"string\",\"format\":\"date-time\"" },
    [SCHEMA_DURATION] = { META "Duration", "\"type\":\"string\"", "\"type\":\"string\"" },
    [SCHEMA_RAW] = { "io.k8s.apimachinery.pkg.runtime.RawExtension", "\"type\":\"object\"",
                     "\"type\":\"object\"" },
    [SCHEMA_FIELDS_V1] = { META "FieldsV1", "\"type\":\"object\"", "\"type\":\"object\"" },
    [SCHEMA_JSON] = { "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON", "", "" },
#undef META
};

/* Plain values: their JSON type, format and zero. */
static const struct { const char *type, *format, *zero; } plain[SCHEMA_BASE_MAX] = {
    [SCHEMA_STRING] = { "string", NULL, "\"\"" },   [SCHEMA_BOOL] = { "boolean", NULL, "false" },
    [SCHEMA_INT32] = { "integer", "int32", "0" },   [SCHEMA_INT64] = { "integer", "int64", "0" },
    [SCHEMA_DOUBLE] = { "number", "double", "0" },  [SCHEMA_BYTES] = { "string", "byte", NULL },
};

/* --- text */

static void comma(struct api_openapi_doc *d)
{
    if (d->b->len && !strchr("{[:", d->b->p[d->b->len - 1]))
        buf_chr(d->b, ',');
}

void api_openapi_text(struct api_openapi_doc *d, const char *s)
{
    comma(d);
    json_write_string(d->b, s, strlen(s));
}

void api_openapi_key(struct api_openapi_doc *d, const char *key)
{
    api_openapi_text(d, key);
    buf_chr(d->b, ':');
}

void api_openapi_member(struct api_openapi_doc *d, const char *key, const char *text)
{
    api_openapi_key(d, key);
    api_openapi_text(d, text);
}

void api_openapi_open(struct api_openapi_doc *d, const char *key, char bracket)
{
    if (key)
        api_openapi_key(d, key);
    else
        comma(d);
    buf_chr(d->b, bracket);
}

void api_openapi_close(struct api_openapi_doc *d, char bracket)
{
    buf_chr(d->b, bracket);
}

static void raw_member(struct api_openapi_doc *d, const char *key, const char *json)
{
    api_openapi_key(d, key);
    buf_str(d->b, json);
}

/* --- references */

static void remember(struct api_openapi_doc *d, const struct schema_type *t)
{
    for (unsigned i = 0; i < d->n_types; i++)
        if (d->types[i] == t)
            return;
    check(d->n_types < API_OPENAPI_TYPES_MAX);
    d->types[d->n_types++] = t;
}

static void ref_name(struct api_openapi_doc *d, const char *name)
{
    api_openapi_key(d, "$ref");
    buf_fmt(d->b, "\"#/%s/%s\"", d->v2 ? "definitions" : "components/schemas", name);
}

void api_openapi_ref(struct api_openapi_doc *d, const struct schema_type *t)
{
    check(t && schema_type_openapi(t));
    remember(d, t);
    ref_name(d, schema_type_openapi(t));
}

const struct schema_type *api_openapi_type_of(const char *gvk)
{
    for (unsigned i = 0; i < schema_type_count(); i++) {
        const struct schema_type *t = schema_type_at(i);
        const char *is = schema_type_gvk(t, 0);

        if (is && strcmp(is, gvk) == 0)
            return t;
    }
    return NULL;
}

/* --- fields */

static bool is_ref(const struct schema_field *f)
{
    return f->base == SCHEMA_STRUCT || scalars[f->base].name;
}

static void write_enum(struct api_openapi_doc *d, const struct schema_field *f)
{
    if (!(f->flags & SCHEMA_ENUM_CLOSED) || !schema_field_value(f, 0))
        return;
    api_openapi_open(d, "enum", '[');
    for (unsigned i = 0; schema_field_value(f, i); i++)
        api_openapi_text(d, schema_field_value(f, i));
    api_openapi_close(d, ']');
}

static void write_ref(struct api_openapi_doc *d, const struct schema_field *f)
{
    if (f->base == SCHEMA_STRUCT) {
        api_openapi_ref(d, schema_field_type(f));
        return;
    }
    d->scalars |= 1u << f->base;
    ref_name(d, scalars[f->base].name);
}

/* The members of one value. A reference with siblings is wrapped in v3. */
static void write_value(struct api_openapi_doc *d, const struct schema_field *f, bool wrapped)
{
    const char *format = schema_field_format(f);

    if (is_ref(f) && wrapped && !d->v2) {
        api_openapi_open(d, "allOf", '[');
        api_openapi_open(d, NULL, '{');
        write_ref(d, f);
        api_openapi_close(d, '}');
        api_openapi_close(d, ']');
    } else if (is_ref(f)) {
        write_ref(d, f);
    } else if (plain[f->base].type) {
        api_openapi_member(d, "type", plain[f->base].type);
        format = format ? format : plain[f->base].format;
        if (format)
            api_openapi_member(d, "format", format);
        write_enum(d, f);
    }
}

static void write_list(struct api_openapi_doc *d, const struct schema_field *f)
{
    api_openapi_member(d, "type", "array");
    api_openapi_open(d, "items", '{');
    write_value(d, f, false);
    api_openapi_close(d, '}');
}

static void write_default(struct api_openapi_doc *d, const struct schema_field *f)
{
    const char *text = f->flags & SCHEMA_HAS_DEFAULT ? schema_field_default(f) : NULL;

    if (d->v2)
        return;
    if (text && f->base == SCHEMA_STRING)
        api_openapi_member(d, "default", text);
    else if (text)
        raw_member(d, "default", text);
    else if (f->flags & SCHEMA_ZERO_DEFAULT)
        raw_member(d, "default", f->base == SCHEMA_STRUCT ? "{}" : plain[f->base].zero);
}

static void write_shape(struct api_openapi_doc *d, const struct schema_field *f)
{
    switch ((enum schema_shape)f->shape) {
    case SCHEMA_LIST:
        write_list(d, f);
        return;
    case SCHEMA_MAP: case SCHEMA_MAP_OF_LISTS:
        api_openapi_member(d, "type", "object");
        api_openapi_open(d, "additionalProperties", '{');
        if (f->shape == SCHEMA_MAP)
            write_value(d, f, false);
        else
            write_list(d, f);
        api_openapi_close(d, '}');
        return;
    default:
        write_value(d, f, true);
        write_default(d, f);
    }
}

/* --- what the merging of patches and of applied objects reads */

static void write_strategy(struct api_openapi_doc *d, const struct schema_field *f)
{
    static const struct { unsigned flag; const char *name; } rows[] = {
        { SCHEMA_PATCH_MERGE, "merge" }, { SCHEMA_PATCH_REPLACE, "replace" },
        { SCHEMA_PATCH_RETAIN_KEYS, "retainKeys" },
    };
    char text[64] = "";

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t len = strlen(text);

        if (f->flags & rows[i].flag)
            snprintf(text + len, sizeof(text) - len, "%s%s", len ? "," : "", rows[i].name);
    }
    if (*text)
        api_openapi_member(d, "x-kubernetes-patch-strategy", text);
    if (schema_field_merge_key(f))
        api_openapi_member(d, "x-kubernetes-patch-merge-key", schema_field_merge_key(f));
}

static void write_list_type(struct api_openapi_doc *d, const struct schema_field *f)
{
    static const char *const names[SCHEMA_LIST_TYPE_MAX] = {
        [SCHEMA_LIST_ATOMIC] = "atomic", [SCHEMA_LIST_SET] = "set", [SCHEMA_LIST_MAP] = "map",
    };

    if (f->flags & SCHEMA_MAP_ATOMIC)
        api_openapi_member(d, "x-kubernetes-map-type", "atomic");
    if (!names[f->list_type])
        return;
    api_openapi_member(d, "x-kubernetes-list-type", names[f->list_type]);
    if (f->list_type != SCHEMA_LIST_MAP)
        return;
    api_openapi_open(d, "x-kubernetes-list-map-keys", '[');
    for (unsigned i = 0; schema_field_key(f, i); i++)
        api_openapi_text(d, schema_field_key(f, i));
    api_openapi_close(d, ']');
}

static void write_doc(struct api_openapi_doc *d, const char *text)
{
    if (text)
        api_openapi_member(d, "description", text);
}

static void write_field(struct api_openapi_doc *d, const struct schema_type *t,
                        const struct schema_field *f)
{
    api_openapi_open(d, schema_field_name(f), '{');
    write_doc(d, schema_doc(t, f));
    write_shape(d, f);
    write_strategy(d, f);
    write_list_type(d, f);
    api_openapi_close(d, '}');
}

/* --- types */

static void one_gvk(struct api_openapi_doc *d, const char *group, int group_len,
                    const char *version,
                    const char *kind)
{
    api_openapi_open(d, NULL, '{');
    api_openapi_key(d, "group");
    buf_fmt(d->b, "\"%.*s\"", group_len, group);
    api_openapi_member(d, "kind", kind);
    api_openapi_key(d, "version");
    buf_fmt(d->b, "\"%.*s\"", (int)strcspn(version, "/"), version);
    api_openapi_close(d, '}');
}

/* Registered in every group there is: a document of one group names that beside the core. */
static void every_gvk(struct api_openapi_doc *d, const char *kind)
{
    for (unsigned g = 0; g < schema_group_count(); g++)
        for (unsigned v = 0; schema_group_version(g, v); v++) {
            const char *group = schema_group_name(g), *version = schema_group_version(g, v);

            if (*group && (d->v2 || (str_eq(d->group, group) && str_eq(d->version, version))))
                one_gvk(d, group, (int)strlen(group), version, kind);
        }
}

static void write_gvks(struct api_openapi_doc *d, const struct schema_type *t)
{
    if (!schema_type_gvk(t, 0))
        return;
    api_openapi_open(d, "x-kubernetes-group-version-kind", '[');
    for (unsigned i = 0; schema_type_gvk(t, i); i++) {
        const char *gvk = schema_type_gvk(t, i), *kind = strrchr(gvk, '/'), *version = kind;

        if (!kind) {
            every_gvk(d, schema_type_name(t));
            continue;
        }
        while (version > gvk && version[-1] != '/')
            version--;
        one_gvk(d, gvk, version > gvk ? (int)(version - gvk) - 1 : 0, version, kind + 1);
    }
    api_openapi_close(d, ']');
}

static void write_required(struct api_openapi_doc *d, const struct schema_field *fields, unsigned n)
{
    bool any = false;

    for (unsigned i = 0; i < n; i++) {
        if (!(fields[i].flags & SCHEMA_REQUIRED))
            continue;
        if (!any)
            api_openapi_open(d, "required", '[');
        any = true;
        api_openapi_text(d, schema_field_name(&fields[i]));
    }
    if (any)
        api_openapi_close(d, ']');
}

static void write_type(struct api_openapi_doc *d, const struct schema_type *t)
{
    const struct schema_field *fields;
    unsigned n = schema_fields(t, &fields);

    api_openapi_open(d, schema_type_openapi(t), '{');
    write_doc(d, schema_doc(t, NULL));
    if (!schema_type_is_either(t))
        api_openapi_member(d, "type", "object");
    if (n && !schema_type_is_either(t)) {
        api_openapi_open(d, "properties", '{');
        for (unsigned i = 0; i < n; i++)
            write_field(d, t, &fields[i]);
        api_openapi_close(d, '}');
        write_required(d, fields, n);
    }
    if (schema_type_is_atomic(t))
        api_openapi_member(d, "x-kubernetes-map-type", "atomic");
    write_gvks(d, t);
    if (schema_type_unions(t))
        raw_member(d, "x-kubernetes-unions", schema_type_unions(t));
    api_openapi_close(d, '}');
}

void api_openapi_define(struct api_openapi_doc *d)
{
    for (unsigned i = 0; i < d->n_types; i++)            /* grows while it is walked */
        write_type(d, d->types[i]);
    for (unsigned i = 0; i < SCHEMA_BASE_MAX; i++) {
        if (!(d->scalars & (1u << i)))
            continue;
        api_openapi_open(d, scalars[i].name, '{');
        buf_str(d->b, d->v2 ? scalars[i].v2 : scalars[i].v3);
        api_openapi_close(d, '}');
    }
}
