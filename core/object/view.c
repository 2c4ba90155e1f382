/* core/object/view.c -- canonical trees -> typed views, by table.
 *
 * The same walk runs twice: the first time it only counts bytes, the second time it fills one block
 * of exactly that size. While counting, structs are written to a scratch place, which nobody reads.
 */
#include "core/object/view_table.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/b64.h"
#include "core/base/check.h"
#include "core/object/codec_scalar.h"
#include "gen/schema_tables.h"

struct view {
    struct arena *json;          /* of members that stay JSON; NULL when there are none */
    _Alignas(16) char data[];
};

struct fill {
    char *base;                  /* NULL: counting */
    size_t used;
    struct view *view;
    char *scratch;               /* VIEW_STRUCT_BYTES_MAX, for counting */
};

/* Room for n rows of this size. While counting all rows are the scratch place. */
static char *take(struct fill *f, size_t n, size_t bytes)
{
    size_t at = f->used;

    check(bytes <= VIEW_STRUCT_BYTES_MAX);
    f->used += (n * bytes + 7) & ~(size_t)7;
    return f->base ? f->base + at : f->scratch;
}

static void *row(const struct fill *f, char *rows, size_t i, size_t bytes)
{
    return f->base ? rows + i * bytes : rows;
}

static const char *put_text(struct fill *f, const char *s, size_t len)
{
    size_t at = f->used;

    if (!len)
        return "";
    f->used += (len + 8) & ~(size_t)7;
    if (!f->base)
        return "";
    memcpy(f->base + at, s, len);
    f->base[at + len] = 0;
    return f->base + at;
}

static const char *put_string(struct fill *f, const struct json *v)
{
    return v->type == JSON_STRING ? put_text(f, v->s, v->len) : "";
}

static struct slice put_bytes(struct fill *f, const struct json *v)
{
    _cleanup_buf_ struct buf plain = BUF_INIT;

    if (v->type != JSON_STRING || b64_decode(&plain, B64_STD, v->s, v->len, NULL) < 0)
        return (struct slice){ "", 0 };
    return (struct slice){ put_text(f, plain.p, plain.len), plain.len };
}

static int64_t time_us(const struct json *v, bool micro)
{
    int64_t us = 0;

    if (v->type != JSON_STRING || codec_scalar_time(v->s, v->len, micro, &us, NULL) < 0)
        return 0;
    return us;
}

static void put_map(struct fill *f, struct view_map *to, const struct json *v)
{
    char *rows = take(f, v->len, sizeof(struct view_pair));

    for (uint32_t i = 0; i < v->len; i++) {
        struct view_pair *pair = row(f, rows, i, sizeof(*pair));

        pair->key = put_text(f, v->members[i].key, v->members[i].key_len);
        pair->value = put_string(f, v->members[i].val);
    }
    *to = (struct view_map){ (const struct view_pair *)(void *)rows, v->len };
}

static void put_bytes_map(struct fill *f, struct view_bytes_map *to, const struct json *v)
{
    char *rows = take(f, v->len, sizeof(struct view_bytes));

    for (uint32_t i = 0; i < v->len; i++) {
        struct view_bytes *pair = row(f, rows, i, sizeof(*pair));

        pair->key = put_text(f, v->members[i].key, v->members[i].key_len);
        pair->value = put_bytes(f, v->members[i].val);
    }
    *to = (struct view_bytes_map){ (const struct view_bytes *)(void *)rows, v->len };
}

static void put_texts(struct fill *f, const char *const **to, const struct json *v)
{
    char *rows = take(f, v->len, sizeof(char *));

    for (uint32_t i = 0; i < v->len; i++)
        *(const char **)row(f, rows, i, sizeof(char *)) = put_string(f, v->items[i]);
    *to = (const char *const *)(void *)rows;
}

static int64_t int_of(const struct json *v)
{
    return v->type == JSON_INT ? v->i : 0;
}

static double double_of(const struct json *v)
{
    return v->type == JSON_FLOAT ? v->d : (double)int_of(v);
}

static void put_ints(struct fill *f, const int64_t **to, const struct json *v)
{
    char *rows = take(f, v->len, sizeof(int64_t));

    for (uint32_t i = 0; i < v->len; i++)
        *(int64_t *)row(f, rows, i, sizeof(int64_t)) = int_of(v->items[i]);
    *to = (const int64_t *)(void *)rows;
}

static void put_struct(struct fill *f, unsigned index, char *to, const struct json *v);

/* A struct of its own behind a pointer, or a list of them. */
static void put_structs(struct fill *f, unsigned index, const void **to, struct json *const *items,
                        size_t n)
{
    size_t bytes = view_structs[index].bytes;
    char *rows = take(f, n, bytes);

    for (size_t i = 0; i < n; i++)
        put_struct(f, index, row(f, rows, i, bytes), items[i]);
    *to = rows;
}

static void put_json(struct fill *f, const struct json **to, const struct json *v)
{
    if (!f->base)
        return;
    if (!f->view->json)
        f->view->json = arena_new(0);
    *to = json_clone(f->view->json, v);
}

static void put_int_or_string(struct fill *f, struct view_int_or_string *to, const struct json *v)
{
    to->i = v->type == JSON_INT ? (int32_t)v->i : 0;
    to->s = v->type == JSON_STRING ? put_string(f, v) : NULL;
}

/* Unset members: texts are "" and in-place structs are filled in turn; all else is zero already. */
static void put_unset(struct fill *f, const struct view_field *vf, char *to)
{
    if (vf->op == VIEW_TEXT)
        *(const char **)(void *)(to + vf->at) = "";
    else if (vf->op == VIEW_BYTES)
        *(struct slice *)(void *)(to + vf->at) = (struct slice){ "", 0 };
    else if (vf->op == VIEW_STRUCT)
        put_struct(f, vf->sub, to + vf->at, NULL);
}

static bool right_shape(const struct view_field *vf, const struct json *v)
{
    switch ((enum view_op)vf->op) {
    case VIEW_MAP: case VIEW_BYTES_MAP: case VIEW_STRUCT: case VIEW_STRUCT_POINTER:
        return v->type == JSON_OBJECT;
    case VIEW_TEXTS: case VIEW_INTS: case VIEW_STRUCTS:
        return v->type == JSON_ARRAY;
    default:
        return v->type != JSON_NULL;
    }
}

static void put_field(struct fill *f, const struct view_field *vf, char *struct_at, struct json *v)
{
    void *to = struct_at + vf->at;

    switch ((enum view_op)vf->op) {
    case VIEW_TEXT: case VIEW_TEXT_POINTER: *(const char **)to = put_string(f, v); break;
    case VIEW_BOOL: *(bool *)to = v->type == JSON_BOOL && v->b; break;
    case VIEW_INT32: *(int32_t *)to = (int32_t)int_of(v); break;
    case VIEW_INT64: *(int64_t *)to = int_of(v); break;
    case VIEW_DOUBLE: *(double *)to = double_of(v); break;
    case VIEW_BYTES: *(struct slice *)to = put_bytes(f, v); break;
    case VIEW_INT_OR_STRING: put_int_or_string(f, to, v); break;
    case VIEW_TIME: *(int64_t *)to = time_us(v, false) / 1000000; break;
    case VIEW_MICRO_TIME: *(int64_t *)to = time_us(v, true); break;
    case VIEW_MAP: put_map(f, to, v); break;
    case VIEW_BYTES_MAP: put_bytes_map(f, to, v); break;
    case VIEW_TEXTS: put_texts(f, to, v); break;
    case VIEW_INTS: put_ints(f, to, v); break;
    case VIEW_STRUCT: put_struct(f, vf->sub, to, v); break;
    case VIEW_STRUCT_POINTER: put_structs(f, vf->sub, to, &v, 1); break;
    case VIEW_STRUCTS: put_structs(f, vf->sub, to, v->items, v->len); break;
    case VIEW_JSON: put_json(f, to, v); break;
    case VIEW_OP_MAX: check_unreachable();
    }
    if (!vf->aux)
        return;
    if (vf->op == VIEW_TEXTS || vf->op == VIEW_INTS || vf->op == VIEW_STRUCTS)
        *(unsigned *)(void *)(struct_at + vf->aux) = v->len;
    else
        *(bool *)(struct_at + vf->aux) = true;
}

/* Both the members of a canonical object and the rows of a view are in the order of the schema: the
 * search for the next row goes on where the last one ended. */
static void put_struct(struct fill *f, unsigned index, char *to, const struct json *v)
{
    const struct view_struct *s = &view_structs[index];
    uint32_t at = 0, n = v && v->type == JSON_OBJECT ? v->len : 0;

    for (unsigned i = 0; i < s->n_fields; i++) {
        const struct view_field *vf = &view_fields[s->first + i];
        const struct schema_field *sf = &schema_field_rows[vf->row];
        const char *name = schema_pool + sf->name_;
        struct json *val = NULL;

        for (uint32_t j = 0; j < n && !val; j++) {
            const struct json_member *m = &v->members[(at + j) % n];

            if (m->key_len == sf->name_len && !memcmp(m->key, name, m->key_len)) {
                val = m->val;
                at = (at + j + 1) % n;
            }
        }
        if (val && right_shape(vf, val))
            put_field(f, vf, to, val);
        else
            put_unset(f, vf, to);
    }
}

struct view *view_new(const struct kind *kind, const struct json *tree)
{
    unsigned index = view_of_kind[kind->id];
    _Alignas(16) char scratch[VIEW_STRUCT_BYTES_MAX];
    struct fill f = { .scratch = scratch };
    struct view *v;
    size_t bytes;

    if (!index)
        return NULL;
    put_struct(&f, index, take(&f, 1, view_structs[index].bytes), tree);
    bytes = f.used;
    v = mem_alloc(sizeof(*v) + bytes);
    f = (struct fill){ .base = v->data, .view = v, .scratch = scratch };
    put_struct(&f, index, take(&f, 1, view_structs[index].bytes), tree);
    check(f.used == bytes);
    return v;
}

struct view *view_free(struct view *v)
{
    if (!v)
        return NULL;
    arena_free(v->json);
    return mem_free(v);
}

const void *view_root(const struct view *v)
{
    return v->data;
}

const char *view_map_get(const struct view_map *m, const char *key)
{
    for (unsigned i = 0; i < m->n; i++)
        if (!strcmp(m->v[i].key, key))
            return m->v[i].value;
    return NULL;
}

const struct slice *view_bytes_get(const struct view_bytes_map *m, const char *key)
{
    for (unsigned i = 0; i < m->n; i++)
        if (!strcmp(m->v[i].key, key))
            return &m->v[i].value;
    return NULL;
}

const void *view_of(const struct object *o, unsigned kind_id)
{
    check(object_kind(o)->id == kind_id);
    return object_view(o);
}
