/* core/object/apply_check.c -- whether what a client applies fits the types, and paths in words. */
#include "core/base/check.h"
#include "core/object/apply_impl.h"

#define ERRORS_MAX 10                    /* that are named */

struct check_errors { struct arena *a; const char *v[ERRORS_MAX]; unsigned n; };

static void add(struct check_errors *e, const char *path, const char *why)
{
    if (e->n < ERRORS_MAX)
        e->v[e->n++] = arena_printf(e->a, "%s: %s", path, why);
}

/* `name="c",protocol="TCP"` of k:{...}, `="x"` of v:"x". */
static void write_element(struct buf *b, struct arena *a, const char *key)
{
    struct json *keys = NULL;

    if (key[0] == 'f') {
        buf_fmt(b, ".%s", key + 2);
        return;
    }
    if (key[0] == 'v' || json_parse(&keys, a, key + 2, strlen(key + 2), NULL, NULL) < 0) {
        buf_fmt(b, "[=%s]", key + 2);
        return;
    }
    json_each_member(m, keys) {
        buf_fmt(b, "%c%s=", m == keys->members ? '[' : ',', m->key);
        json_write(b, m->val);
    }
    buf_chr(b, ']');
}

static const char *element(struct arena *a, const char *prefix, const char *key)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    buf_str(&b, prefix);
    write_element(&b, a, key);
    return arena_strdup(a, b.p);
}

/* What Go prints of a value that is of the wrong type. */
static const char *go_value(struct arena *a, const struct json *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    if (json_text(v))
        return arena_printf(a, "&{%s}", v->s);
    json_write(&b, v);
    return arena_printf(a, "&{%s}", b.p);
}

static void check_leaf(struct check_errors *e, const struct schema_field *f, const char *path,
                       const struct json *v)
{
    bool number = v->type == JSON_INT || v->type == JSON_FLOAT;

    switch ((enum schema_base)f->base) {
    case SCHEMA_INT32: case SCHEMA_INT64: case SCHEMA_DOUBLE:
        if (!number)
            add(e, path, arena_printf(e->a, "expected numeric (int or float), got %s",
                                      json_type_name((int)v->type)));
        break;
    case SCHEMA_BOOL:
        if (v->type != JSON_BOOL)
            add(e, path, arena_printf(e->a, "expected boolean, got %s", go_value(e->a, v)));
        break;
    case SCHEMA_STRING: case SCHEMA_BYTES: case SCHEMA_TIME: case SCHEMA_MICRO_TIME:
    case SCHEMA_DURATION:
        if (v->type != JSON_STRING)
            add(e, path, arena_printf(e->a, "expected string, got %s", go_value(e->a, v)));
        break;
    case SCHEMA_QUANTITY: case SCHEMA_INT_OR_STRING:
        if (v->type != JSON_STRING && !number)
            add(e, path, arena_printf(e->a, "expected scalar, got %s", go_value(e->a, v)));
        break;
    default:
        break;
    }
}

static void check_value(struct check_errors *e, struct apply_spot s, const char *path,
                        const struct json *v);

static void check_items(struct check_errors *e, struct apply_spot s, const char *path,
                        const struct json *v)
{
    bool keyed = apply_class_of(s) == APPLY_LIST;
    struct json *seen = json_object(e->a), *item;

    json_each(item, v) {
        const char *key = keyed && item->type != JSON_NULL ? apply_item_key(e->a, s, item) : NULL;
        const char *at = key ? element(e->a, path, key) :
                         arena_printf(e->a, "%s[%zu]", path, item_i);

        if (key && json_get(seen, key))
            add(e, path, arena_printf(e->a, "duplicate entries for key %s",
                                      element(e->a, "", key)));
        else if (key)
            json_set_bool(e->a, seen, key, true);
        check_value(e, apply_item(s), at, item);
    }
}

static void check_members(struct check_errors *e, struct apply_spot s, const char *path,
                          const struct json *v, bool is_struct)
{
    json_each_member(m, v) {
        const struct schema_type *t = s.f ? schema_field_type(s.f) : s.t;
        const struct schema_field *f = is_struct ? schema_field(t, m->key, m->key_len) : NULL;
        const char *at = arena_printf(e->a, "%s.%s", path, m->key);

        if (is_struct && !f)
            add(e, at, "field not declared in schema");
        else
            check_value(e, is_struct ? (struct apply_spot){ .t = t, .f = f } : apply_item(s), at,
                        m->val);
    }
}

/* Atomic values are checked inside as well. */
static void check_value(struct check_errors *e, struct apply_spot s, const char *path,
                        const struct json *v)
{
    const struct schema_type *t = s.f ? schema_field_type(s.f) : s.t;
    bool list = s.f && !s.element && s.f->shape == SCHEMA_LIST;
    bool map = s.f && !s.element && s.f->shape >= SCHEMA_MAP;

    if (v->type == JSON_NULL || (s.f && s.element && s.f->shape == SCHEMA_MAP_OF_LISTS) ||
        (t && schema_type_is_either(t)))
        return;
    if (list && v->type != JSON_ARRAY)
        add(e, path, arena_printf(e->a, "expected list, got %s", go_value(e->a, v)));
    else if (list)
        check_items(e, s, path, v);
    else if ((map || t) && v->type != JSON_OBJECT)
        add(e, path, arena_printf(e->a, "expected map, got %s", go_value(e->a, v)));
    else if (map || t)
        check_members(e, s, path, v, !map);
    else
        check_leaf(e, s.f, path, v);
}

int apply_check(struct arena *a, struct apply_spot s, const struct json *v, struct err *err)
{
    struct check_errors e = { .a = a };
    _cleanup_buf_ struct buf b = BUF_INIT;

    check_value(&e, s, "", v);
    if (e.n == 0)
        return 0;
    if (e.n > 1)
        buf_str(&b, "errors:");
    for (unsigned i = 0; i < e.n; i++)
        buf_fmt(&b, "%s%s", e.n > 1 ? "\n  " : "", e.v[i]);
    return err_set(err, ERR_INVALID, "%s", b.p);
}

void apply_paths(struct arena *a, const struct json *set, const char *prefix,
                 void (*each)(void *ctx, const char *path), void *ctx)
{
    fieldset_each(m, set) {
        const char *path = element(a, prefix, m->key);

        if (fieldset_is_member(m->val))
            each(ctx, path);
        apply_paths(a, m->val, path, each, ctx);
    }
}
