/* core/object/codec.c -- raw tree -> canonical tree.
 *
 * codec_canonical walks the raw tree by the schema. Each level keeps a frame on the stack, so that
 * an unknown field or a wrong type can be named by its path. Errors read as those of Go's JSON
 * decoder, because clients and their users know these texts: the innermost struct, the path of
 * fields (with the names of embedded structs, without list indices), the Go type.
 */
#include "core/object/codec.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"
#include "core/object/codec_scalar.h"
#include "core/object/schema.h"
#include "gen/schema_tables.h"

#define GO_TYPE_BYTES 200

/* One step from the root: a field of a struct, or below it an item of a list or map. */
struct frame {
    const struct frame *up;
    const struct schema_type *type;      /* the struct that `field` belongs to */
    const struct schema_field *field;
    const char *key;                     /* item of a map */
    size_t index;                        /* item of a list */
    unsigned depth;                      /* structs above */
    bool item;
};

struct walk {
    struct arena *a;
    struct codec_notes *notes;           /* may be NULL */
    struct err *err;
};

/* --- notes */

/* "spec.containers[0]" */
static void strict_path(struct buf *b, const struct frame *f)
{
    if (!f)
        return;
    strict_path(b, f->up);
    if (f->item && !f->key) {
        buf_fmt(b, "[%zu]", f->index);
    } else {
        if (b->len)
            buf_chr(b, '.');
        buf_str(b, f->item ? f->key : schema_field_name(f->field));
    }
}

static void note_unknown(const struct walk *w, const struct frame *at, const struct json_member *m)
{
    _cleanup_buf_ struct buf path = BUF_INIT;

    if (!w->notes || w->notes->len >= CODEC_NOTES_MAX)
        return;
    strict_path(&path, at);
    if (path.len)
        buf_chr(&path, '.');
    buf_add(&path, m->key, m->key_len);
    codec_note(w->notes, "unknown field \"%s\"", path.p);
}

/* --- errors */

/* "spec.template.spec.volumes.VolumeSource.emptyDir" */
static void go_path(struct buf *b, const struct frame *f)
{
    const struct schema_embed *chain[4];
    unsigned n = 0;

    if (!f)
        return;
    go_path(b, f->up);
    if (f->item)
        return;
    for (const struct schema_embed *e = schema_field_embed(f->field); e && n < ARRAY_LEN(chain);
         e = schema_embed_parent(e))
        chain[n++] = e;
    if (b->len)
        buf_chr(b, '.');
    while (n > 0)
        buf_fmt(b, "%s.", schema_type_name(schema_embed_type(chain[--n])));
    buf_str(b, schema_field_name(f->field));
}

/* at: the frame of the value; NULL at the root. */
static int mismatch(const struct walk *w, const struct frame *at, const char *found,
                    const char *go_type)
{
    _cleanup_buf_ struct buf path = BUF_INIT;
    const struct frame *field = at;

    if (!at)
        return err_set(w->err, ERR_INVALID, "json: cannot unmarshal %s into Go value of type %s",
                       found, go_type);
    while (field->item)
        field = field->up;
    go_path(&path, at);
    return err_set(w->err, ERR_INVALID,
                   "json: cannot unmarshal %s into Go struct field %s.%s of type %s", found,
                   schema_type_name(field->type), path.p, go_type);
}

static int field_mismatch(const struct walk *w, const struct frame *at, const struct json *raw)
{
    char go_type[GO_TYPE_BYTES];

    schema_field_go(at->field, at->item, go_type, sizeof(go_type));
    return mismatch(w, at, json_type_name(raw->type), go_type);
}

/* A number that is none of this integer type: Go prints it. */
static int number_mismatch(const struct walk *w, const struct frame *at, const struct json *raw,
                           const char *go_type)
{
    char found[64];

    if (raw->type == JSON_INT)
        snprintf(found, sizeof(found), "number %" PRId64, raw->i);
    else if (raw->d > -1e15 && raw->d < 1e15 && raw->d == (double)(int64_t)raw->d)
        snprintf(found, sizeof(found), "number %.1f", raw->d);
    else
        snprintf(found, sizeof(found), "number %.15g", raw->d);
    return mismatch(w, at, found, go_type);
}

/* --- values */

static int canonical_struct(struct json **out, const struct walk *w, const struct schema_type *t,
                            const struct json *raw, const struct frame *at);

/* What Go prints for the zero value of an element or of a field without omitempty. */
static int zero_value(struct json **out, const struct walk *w, const struct schema_field *f)
{
    switch ((enum schema_base)f->base) {
    case SCHEMA_STRING: *out = json_str_ref(w->a, "", 0); return 0;
    case SCHEMA_BOOL: *out = json_bool(w->a, false); return 0;
    case SCHEMA_INT32: case SCHEMA_INT64: case SCHEMA_DOUBLE: case SCHEMA_INT_OR_STRING:
        *out = json_int(w->a, 0);
        return 0;
    case SCHEMA_QUANTITY: *out = json_str_ref(w->a, "0", 1); return 0;
    case SCHEMA_DURATION: *out = json_str_ref(w->a, "0s", 2); return 0;
    case SCHEMA_STRUCT: return canonical_struct(out, w, schema_field_type(f), NULL, NULL);
    case SCHEMA_BYTES: case SCHEMA_TIME: case SCHEMA_MICRO_TIME: case SCHEMA_RAW:
    case SCHEMA_FIELDS_V1: case SCHEMA_JSON: case SCHEMA_ANY:
        break;
    case SCHEMA_BASE_MAX: check_unreachable();
    }
    *out = json_null(w->a);
    return 0;
}

static int canonical_int(struct json **out, const struct walk *w, const struct frame *at,
                         const struct json *raw)
{
    bool small = at->field->base != SCHEMA_INT64;
    char go_type[GO_TYPE_BYTES];

    schema_field_go(at->field, true, go_type, sizeof(go_type));
    if (raw->type == JSON_FLOAT)
        return number_mismatch(w, at, raw, go_type);
    if (raw->type != JSON_INT)
        return mismatch(w, at, json_type_name(raw->type), go_type);
    if (small && (raw->i < INT32_MIN || raw->i > INT32_MAX))
        return number_mismatch(w, at, raw, go_type);
    *out = json_int(w->a, raw->i);
    return 0;
}

static int canonical_plain(struct json **out, const struct walk *w, const struct frame *at,
                           const struct json *raw)
{
    enum schema_base base = at->field->base;

    if (base == SCHEMA_STRING && raw->type == JSON_STRING) {
        *out = json_str_ref(w->a, raw->s, raw->len);
        return 0;
    }
    if (base == SCHEMA_BOOL && raw->type == JSON_BOOL) {
        *out = json_bool(w->a, raw->b);
        return 0;
    }
    if (base == SCHEMA_DOUBLE && raw->type == JSON_INT) {
        *out = json_int(w->a, raw->i);
        return 0;
    }
    if (base == SCHEMA_DOUBLE && raw->type == JSON_FLOAT) {
        *out = json_float(w->a, raw->d);
        return 0;
    }
    return field_mismatch(w, at, raw);
}

/* One element; raw is not null. */
static int canonical_value(struct json **out, const struct walk *w, const struct frame *at,
                           const struct json *raw)
{
    const struct schema_field *f = at->field;
    bool wrong = false;
    int r = 0;

    switch ((enum schema_base)f->base) {
    case SCHEMA_STRING: case SCHEMA_BOOL: case SCHEMA_DOUBLE:
        return canonical_plain(out, w, at, raw);
    case SCHEMA_INT_OR_STRING:
        if (raw->type == JSON_STRING) {
            *out = json_str_ref(w->a, raw->s, raw->len);
            return 0;
        }
        return canonical_int(out, w, at, raw);
    case SCHEMA_INT32: case SCHEMA_INT64:
        return canonical_int(out, w, at, raw);
    case SCHEMA_BYTES:
        r = codec_scalar_bytes(out, w->a, raw, &wrong, w->err);
        break;
    case SCHEMA_QUANTITY:
        return codec_scalar_quantity(out, w->a, raw, w->err);
    case SCHEMA_TIME: case SCHEMA_MICRO_TIME:
        r = codec_scalar_when(out, w->a, raw, f->base == SCHEMA_MICRO_TIME, &wrong, w->err);
        break;
    case SCHEMA_DURATION:
        r = codec_scalar_duration(out, w->a, raw, &wrong, w->err);
        break;
    case SCHEMA_RAW: case SCHEMA_FIELDS_V1: case SCHEMA_JSON: case SCHEMA_ANY:
        *out = json_clone(w->a, raw);
        return 0;
    case SCHEMA_STRUCT:
        return canonical_struct(out, w, schema_field_type(f), raw, at);
    case SCHEMA_BASE_MAX: check_unreachable();
    }
    return r < 0 && wrong ? field_mismatch(w, at, raw) : r;
}

static int canonical_item(struct json **out, const struct walk *w, const struct frame *at,
                          const struct json *raw)
{
    if (raw->type != JSON_NULL)
        return canonical_value(out, w, at, raw);
    if (at->field->flags & SCHEMA_ELEM_POINTER) {
        *out = json_null(w->a);
        return 0;
    }
    if (at->field->base == SCHEMA_BYTES) {
        *out = json_str_ref(w->a, "", 0);
        return 0;
    }
    return zero_value(out, w, at->field);
}

static int canonical_list(struct json **out, const struct walk *w, const struct frame *at,
                          const struct json *raw)
{
    struct json *list;

    if (raw->type != JSON_ARRAY)
        return field_mismatch(w, at, raw);
    list = json_array(w->a);
    list->items = arena_alloc(w->a, raw->len * sizeof(*list->items));
    list->cap = raw->len;
    for (uint32_t i = 0; i < raw->len; i++) {
        struct frame item = *at;

        item.up = at;
        item.item = true;
        item.key = NULL;
        item.index = i;
        if (canonical_item(&list->items[i], w, &item, raw->items[i]) < 0)
            return -1;
        list->len++;
    }
    *out = list;
    return 0;
}

static int by_key(const void *x, const void *y)
{
    const struct json_member *a = x, *b = y;
    uint32_t len = a->key_len < b->key_len ? a->key_len : b->key_len;
    int order = memcmp(a->key, b->key, len);

    return order ? order : (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

static int canonical_map(struct json **out, const struct walk *w, const struct frame *at,
                         const struct json *raw)
{
    bool lists = at->field->shape == SCHEMA_MAP_OF_LISTS;
    int (*element)(struct json **, const struct walk *, const struct frame *, const struct json *) =
        lists ? canonical_list : canonical_item;
    struct json *map;

    if (raw->type != JSON_OBJECT)
        return field_mismatch(w, at, raw);
    map = json_object(w->a);
    map->members = arena_alloc(w->a, raw->len * sizeof(*map->members));
    map->cap = raw->len;
    for (uint32_t i = 0; i < raw->len; i++) {
        const struct json_member *m = &raw->members[i];
        struct frame item = *at;

        item.up = at;
        item.item = true;
        item.key = m->key;
        map->members[i] = *m;
        if (lists && m->val->type == JSON_NULL)
            map->members[i].val = json_null(w->a);
        else if (element(&map->members[i].val, w, &item, m->val) < 0)
            return -1;
        map->len++;
    }
    if (map->len > 1)
        qsort(map->members, map->len, sizeof(*map->members), by_key);
    *out = map;
    return 0;
}

/* --- fields */

static bool is_struct_like(const struct schema_field *f)
{
    switch ((enum schema_base)f->base) {
    case SCHEMA_QUANTITY: case SCHEMA_INT_OR_STRING: case SCHEMA_TIME: case SCHEMA_MICRO_TIME:
    case SCHEMA_DURATION: case SCHEMA_RAW: case SCHEMA_JSON: case SCHEMA_FIELDS_V1:
    case SCHEMA_STRUCT:
        return true;
    default:
        return false;
    }
}

/* False: absent_field() has nothing to say, as of most fields. */
static inline bool may_show_absent(const struct schema_field *f)
{
    return f->flags & SCHEMA_ALWAYS ||
           (f->shape == SCHEMA_ONE && !(f->flags & SCHEMA_POINTER) && f->base > SCHEMA_BYTES);
}

/* A field that the raw object does not have, or has as null. NULL: left out. */
static int absent_field(struct json **out, const struct walk *w, const struct schema_type *t,
                        const struct schema_field *f)
{
    bool always = f->flags & SCHEMA_ALWAYS;

    *out = NULL;
    if (f->shape != SCHEMA_ONE) {
        if (always && schema_type_is_list(t))
            *out = json_array(w->a);         /* items of an empty List */
        else if (always)
            *out = json_null(w->a);
        return 0;
    }
    if (f->flags & SCHEMA_POINTER || f->base == SCHEMA_BYTES || f->base == SCHEMA_ANY) {
        if (always)
            *out = json_null(w->a);
        return 0;
    }
    if (f->flags & SCHEMA_OMITZERO || (!always && !is_struct_like(f)))
        return 0;
    return zero_value(out, w, f);
}

/* Whether omitempty or omitzero leaves this canonical value out. */
static bool is_empty(const struct schema_field *f, const struct json *v)
{
    if (f->shape != SCHEMA_ONE || f->base == SCHEMA_BYTES)
        return v->len == 0;
    if (f->flags & SCHEMA_POINTER)
        return v->type == JSON_NULL;
    if (f->flags & SCHEMA_OMITZERO)
        return v->type == JSON_NULL;
    switch (v->type) {
    case JSON_STRING: return v->len == 0 && f->base == SCHEMA_STRING;
    case JSON_BOOL: return !v->b;
    case JSON_INT: return v->i == 0 && f->base != SCHEMA_INT_OR_STRING;
    case JSON_FLOAT: return v->d == 0;
    default: return false;
    }
}

static int canonical_field(struct json **out, const struct walk *w, const struct frame *at,
                           const struct json *raw)
{
    const struct schema_field *f = at->field;
    struct json *v = NULL;
    int r;

    if (raw->type == JSON_NULL)
        return absent_field(out, w, at->type, f);
    switch ((enum schema_shape)f->shape) {
    case SCHEMA_ONE: r = canonical_value(&v, w, at, raw); break;
    case SCHEMA_LIST: r = canonical_list(&v, w, at, raw); break;
    case SCHEMA_MAP: case SCHEMA_MAP_OF_LISTS: r = canonical_map(&v, w, at, raw); break;
    default: check_unreachable();
    }
    if (r < 0)
        return -1;
    if (is_empty(f, v))
        return absent_field(out, w, at->type, f);
    *out = v;
    return 0;
}

/* A type whose JSON is that of one of its fields; which one, the JSON type says. */
static int canonical_either(struct json **out, const struct walk *w, const struct schema_type *t,
                            const struct json *raw, unsigned depth)
{
    const struct schema_field *fields;
    unsigned n = schema_fields(t, &fields);

    for (unsigned i = 0; i < n; i++) {
        const struct schema_field *f = &fields[i];
        struct frame here = { .type = t, .field = f, .depth = depth };

        if (f->shape == SCHEMA_LIST && raw->type == JSON_ARRAY)
            return canonical_list(out, w, &here, raw);
        if (f->shape == SCHEMA_ONE && (f->base == SCHEMA_STRUCT ? raw->type == JSON_OBJECT
                                                                : raw->type == JSON_BOOL))
            return canonical_value(out, w, &here, raw);
    }
    return err_set(w->err, ERR_INVALID, "boolean or JSON schema expected");
}

/* raw NULL: the zero value. */
static int canonical_struct(struct json **out, const struct walk *w, const struct schema_type *t,
                            const struct json *raw, const struct frame *at)
{
    const struct schema_field *fields;
    unsigned n = schema_fields(t, &fields);
    struct json *vals[SCHEMA_FIELDS_MAX] = { 0 };
    bool seen[SCHEMA_FIELDS_MAX] = { 0 };
    unsigned len = 0, depth = at ? at->depth + 1 : 1;
    struct json *obj;

    if (depth > CODEC_DEPTH_MAX)
        return err_set(w->err, ERR_INVALID, "the object is nested deeper than %d", CODEC_DEPTH_MAX);
    if (raw && schema_type_is_either(t))
        return canonical_either(out, w, t, raw, depth);
    if (raw && raw->type != JSON_OBJECT)
        return mismatch(w, at, json_type_name(raw->type), schema_type_go(t));
    for (uint32_t i = 0; raw && i < raw->len; i++) {
        const struct json_member *m = &raw->members[i];
        const struct schema_field *f = schema_field(t, m->key, m->key_len);
        struct frame here = { .up = at, .type = t, .field = f, .depth = depth };

        if (!f) {
            note_unknown(w, at, m);
            continue;
        }
        if (canonical_field(&vals[f - fields], w, &here, m->val) < 0)
            return -1;
        seen[f - fields] = true;
    }
    for (unsigned i = 0; i < n; i++) {
        if (!seen[i] && may_show_absent(&fields[i]) &&
            absent_field(&vals[i], w, t, &fields[i]) < 0)
            return -1;
        len += vals[i] != NULL;
    }
    obj = json_object(w->a);
    obj->members = arena_alloc(w->a, len * sizeof(*obj->members));
    obj->cap = len;
    for (unsigned i = 0; i < n; i++)
        if (vals[i])
            obj->members[obj->len++] = (struct json_member){
                schema_field_name(&fields[i]), fields[i].name_len, vals[i] };
    *out = obj;
    return 0;
}

int codec_canonical(struct json **out, struct arena *a, const struct schema_type *type,
                    const struct json *raw, struct codec_notes *notes, struct err *err)
{
    struct walk w = { .a = a, .notes = notes, .err = err };

    check(type);
    check(raw);
    if (raw->type == JSON_NULL)
        raw = NULL;
    return canonical_struct(out, &w, type, raw, NULL);
}

const struct schema_type *codec_type(const char *type_id)
{
    return schema_type_by_id(type_id);
}
