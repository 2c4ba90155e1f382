/* core/object/schema.c -- the accessors over the generated tables. */
#include "core/object/schema.h"

#include <stdio.h>
#include <string.h>

#include "core/base/check.h"
#include "gen/schema_tables.h"

static const char *text_at(uint32_t at)
{
    return schema_pool + at;
}

/* Offset 0 is the empty text: "none". */
static const char *text_or_null(uint32_t at)
{
    return at ? text_at(at) : NULL;
}

static const char *list_item(uint32_t list, unsigned i)
{
    if (!list || i >= schema_lists[list])
        return NULL;
    return text_at(schema_lists[list + 1 + i]);
}

static const struct schema_extra *extra_of(const struct schema_field *f)
{
    return &schema_extras[f->extra_];
}

unsigned schema_type_count(void)
{
    return SCHEMA_TYPES_LEN;
}

const struct schema_type *schema_type_at(unsigned i)
{
    check(i < SCHEMA_TYPES_LEN);
    return &schema_types[i];
}

const struct schema_type *schema_type_by_id(const char *id)
{
    unsigned low = 0, high = SCHEMA_TYPES_LEN;

    check(id);
    while (low < high) {
        unsigned mid = (low + high) / 2;
        const struct schema_type *t = &schema_types[schema_types_sorted[mid]];
        int order = strcmp(id, text_at(t->id));

        if (order == 0)
            return t;
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

const char *schema_type_id(const struct schema_type *t)
{
    return text_at(t->id);
}

const char *schema_type_name(const struct schema_type *t)
{
    const char *dot = strrchr(text_at(t->id), '.');

    return dot ? dot + 1 : text_at(t->id);
}

/* The Go package of an API type is its version: "core.v1.Pod" is v1.Pod. */
const char *schema_type_go(const struct schema_type *t)
{
    const char *id = text_at(t->id), *from = id;
    unsigned dots = 0;

    for (const char *p = id + strlen(id); p > id; p--)
        if (p[-1] == '.' && ++dots == 2) {
            from = p;
            break;
        }
    return from;
}

const char *schema_type_proto(const struct schema_type *t)
{
    return text_or_null(t->proto);
}

const char *schema_type_openapi(const struct schema_type *t)
{
    return text_or_null(t->openapi);
}

bool schema_type_is_atomic(const struct schema_type *t)
{
    return t->flags & SCHEMA_TYPE_ATOMIC;
}

bool schema_type_is_list(const struct schema_type *t)
{
    return t->flags & SCHEMA_TYPE_LIST;
}

bool schema_type_is_object(const struct schema_type *t)
{
    return t->flags & SCHEMA_TYPE_OBJECT;
}

bool schema_type_is_either(const struct schema_type *t)
{
    return t->flags & SCHEMA_TYPE_EITHER;
}

bool schema_type_has_defaults(const struct schema_type *t)
{
    return t->flags & SCHEMA_TYPE_DEFAULTS;
}

const char *schema_type_gvk(const struct schema_type *t, unsigned i)
{
    return list_item(t->gvks, i);
}

const char *schema_type_unions(const struct schema_type *t)
{
    return text_or_null(t->unions);
}

unsigned schema_fields(const struct schema_type *t, const struct schema_field **out)
{
    *out = &schema_field_rows[t->first];
    return t->n_fields;
}

const struct schema_field *schema_field(const struct schema_type *t, const char *name, size_t len)
{
    const struct schema_field *rows = &schema_field_rows[t->first];
    uint8_t hash = 0;

    for (size_t i = 0; i < len; i++)
        hash = (uint8_t)(hash * 31 + (uint8_t)name[i]);
    for (unsigned i = 0; i < t->n_fields; i++)
        if (rows[i].hash_ == hash && rows[i].name_len == len &&
            !memcmp(text_at(rows[i].name_), name, len))
            return &rows[i];
    return NULL;
}

const struct schema_field *schema_field_path(const struct schema_type *t, const char *path)
{
    const struct schema_field *f = NULL;

    while (t) {
        size_t len = strcspn(path, ".");

        f = schema_field(t, path, len);
        if (!f || !path[len])
            return f;
        t = schema_field_type(f);
        path += len + 1;
    }
    return NULL;
}

const char *schema_field_name(const struct schema_field *f)
{
    return text_at(f->name_);
}

const struct schema_type *schema_field_type(const struct schema_field *f)
{
    return f->base == SCHEMA_STRUCT ? &schema_types[f->type_] : NULL;
}

const char *schema_field_merge_key(const struct schema_field *f)
{
    return text_or_null(extra_of(f)->merge_key);
}

const char *schema_field_key(const struct schema_field *f, unsigned i)
{
    return list_item(extra_of(f)->keys, i);
}

const char *schema_field_value(const struct schema_field *f, unsigned i)
{
    return list_item(extra_of(f)->values, i);
}

const char *schema_field_default(const struct schema_field *f)
{
    return f->flags & SCHEMA_HAS_DEFAULT ? text_at(extra_of(f)->dflt) : NULL;
}

const char *schema_field_set(const struct schema_field *f)
{
    return f->flags & SCHEMA_HAS_SET ? text_at(extra_of(f)->set) : NULL;
}

const char *schema_field_rule(const struct schema_field *f, unsigned i)
{
    return list_item(extra_of(f)->rules, i);
}

const char *schema_field_gate(const struct schema_field *f, unsigned i)
{
    return list_item(extra_of(f)->gates, i);
}

const char *schema_field_format(const struct schema_field *f)
{
    return text_or_null(extra_of(f)->format);
}

const char *schema_field_union(const struct schema_field *f)
{
    return text_or_null(extra_of(f)->one);
}

const char *schema_field_proto(const struct schema_field *f)
{
    const char *own = text_or_null(extra_of(f)->proto);

    return own ? own : schema_field_name(f);
}

/* `go=` names the type of the element; when it begins with '=' that of the whole list or map. */
void schema_field_go(const struct schema_field *f, bool element, char *out, size_t out_bytes)
{
    static const char *const base_names[SCHEMA_BASE_MAX] = {
        [SCHEMA_STRING] = "string", [SCHEMA_BOOL] = "bool", [SCHEMA_INT32] = "int32",
        [SCHEMA_INT64] = "int64", [SCHEMA_DOUBLE] = "float64", [SCHEMA_BYTES] = "[]uint8",
        [SCHEMA_QUANTITY] = "resource.Quantity", [SCHEMA_INT_OR_STRING] = "int32",
        [SCHEMA_TIME] = "string", [SCHEMA_MICRO_TIME] = "string", [SCHEMA_DURATION] = "string",
        [SCHEMA_RAW] = "runtime.RawExtension", [SCHEMA_FIELDS_V1] = "v1.FieldsV1",
        [SCHEMA_JSON] = "v1.JSON", [SCHEMA_ANY] = "interface {}",
    };
    static const char *const prefixes[SCHEMA_SHAPE_MAX] = {
        [SCHEMA_ONE] = "", [SCHEMA_LIST] = "[]", [SCHEMA_MAP] = "map[string]",
        [SCHEMA_MAP_OF_LISTS] = "map[string][]",
    };
    const char *own = text_or_null(extra_of(f)->go), *base = base_names[f->base];

    if (f->base == SCHEMA_STRUCT)
        base = schema_type_go(schema_field_type(f));
    if (own && *own == '=') {
        if (!element) {
            snprintf(out, out_bytes, "%s", own + 1);
            return;
        }
    } else if (own) {
        base = own;
    }
    snprintf(out, out_bytes, "%s%s%s", element ? "" : prefixes[f->shape],
             !element && f->flags & SCHEMA_ELEM_POINTER ? "*" : "", base);
}

const struct schema_embed *schema_field_embed(const struct schema_field *f)
{
    return f->embed_ ? &schema_embeds[f->embed_] : NULL;
}

const struct schema_embed *schema_embed_parent(const struct schema_embed *e)
{
    return e->parent_ ? &schema_embeds[e->parent_] : NULL;
}

const struct schema_type *schema_embed_type(const struct schema_embed *e)
{
    return &schema_types[e->type_];
}

unsigned schema_group_count(void)
{
    return SCHEMA_GROUPS_LEN;
}

const char *schema_group_name(unsigned i)
{
    check(i < SCHEMA_GROUPS_LEN);
    return text_at(schema_group_rows[i].name);
}

const char *schema_group_version(unsigned i, unsigned v)
{
    check(i < SCHEMA_GROUPS_LEN);
    return list_item(schema_group_rows[i].versions, v);
}

const char *schema_group_preferred(unsigned i)
{
    check(i < SCHEMA_GROUPS_LEN);
    return text_at(schema_group_rows[i].preferred);
}
