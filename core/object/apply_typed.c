/* core/object/apply_typed.c -- objects seen through their types: which fields are set, what
 * differs, what two objects are together. Follows the structured merge of upstream. */
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"
#include "core/object/apply_impl.h"

/* --- spots */

static const struct schema_type *struct_of(struct apply_spot s)
{
    return s.f ? schema_field_type(s.f) : s.t;
}

static enum schema_shape shape_of(struct apply_spot s)
{
    if (!s.f || (s.element && s.f->shape != SCHEMA_MAP_OF_LISTS))
        return SCHEMA_ONE;
    return s.element ? SCHEMA_LIST : (enum schema_shape)s.f->shape;
}

enum apply_class apply_class_of(struct apply_spot s)
{
    const struct schema_type *t = struct_of(s);

    switch (shape_of(s)) {
    case SCHEMA_LIST:
        return !s.element && (s.f->list_type == SCHEMA_LIST_SET ||
                              s.f->list_type == SCHEMA_LIST_MAP) ? APPLY_LIST : APPLY_LEAF;
    case SCHEMA_MAP: case SCHEMA_MAP_OF_LISTS:
        return s.f->flags & SCHEMA_MAP_ATOMIC ? APPLY_LEAF : APPLY_MAP;
    default:
        break;
    }
    if (!t || schema_type_is_either(t) || schema_type_is_atomic(t) ||
        (s.f && !s.element && s.f->flags & SCHEMA_MAP_ATOMIC))
        return APPLY_LEAF;
    return APPLY_STRUCT;
}

struct apply_spot apply_below(struct apply_spot s, const char *key, size_t len)
{
    if (apply_class_of(s) == APPLY_STRUCT) {
        const struct schema_field *f = schema_field(struct_of(s), key, len);

        return (struct apply_spot){ .t = f ? struct_of(s) : NULL, .f = f };
    }
    return (struct apply_spot){ .t = s.t, .f = s.f, .element = true };
}

struct apply_spot apply_item(struct apply_spot s)
{
    return (struct apply_spot){ .t = s.t, .f = s.f, .element = true };
}

/* --- keys */

static const char *field_key(struct arena *a, const struct json_member *m)
{
    char *key = arena_alloc(a, m->key_len + 3);

    memcpy(key, "f:", 2);
    memcpy(key + 2, m->key, m->key_len + 1);
    return key;
}

static int by_text(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

const char *apply_item_key(struct arena *a, struct apply_spot list, const struct json *item)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    const char *names[8], *name;
    unsigned n = 0;

    if (list.f->list_type == SCHEMA_LIST_SET) {
        buf_str(&b, "v:");
        json_write(&b, item);
        return arena_strdup(a, b.p);
    }
    while (n < ARRAY_LEN(names) && (name = schema_field_key(list.f, n)))
        names[n++] = name;
    qsort(names, n, sizeof(names[0]), by_text);
    buf_str(&b, "k:{");
    for (unsigned i = 0; i < n; i++) {
        const struct schema_field *f = schema_field(schema_field_type(list.f), names[i],
                                                    strlen(names[i]));
        const struct json *v = json_get(item, names[i]);
        const char *dflt = f ? schema_field_default(f) : NULL;

        if ((!v || v->type == JSON_NULL) && !dflt)
            continue;
        buf_str(&b, b.p[b.len - 1] == '{' ? "" : ",");
        json_write_string(&b, names[i], strlen(names[i]));
        buf_chr(&b, ':');
        if (v && v->type != JSON_NULL)
            json_write(&b, v);
        else
            json_write_string(&b, dflt, strlen(dflt));
    }
    buf_chr(&b, '}');
    return arena_strdup(a, b.p);
}

/* --- which fields are set */

static bool is_empty(const struct json *v)
{
    return !v || v->type == JSON_NULL || (v->type >= JSON_ARRAY && v->len == 0);
}

struct json *apply_fields(struct arena *a, struct apply_spot s, const struct json *v)
{
    enum apply_class class = apply_class_of(s);
    struct json *out = json_object(a), *item;

    if (class == APPLY_LIST)
        json_each(item, v)
            fieldset_put(a, out, apply_item_key(a, s, item), true,
                         apply_fields(a, apply_item(s), item));
    if (class != APPLY_STRUCT && class != APPLY_MAP)
        return out;
    json_each_member(m, v) {
        struct apply_spot below = apply_below(s, m->key, m->key_len);
        enum apply_class inner = below.f ? apply_class_of(below) : APPLY_LEAF;
        bool empty_list = inner == APPLY_LIST && m->val->type == JSON_ARRAY && m->val->len == 0;
        bool member = class == APPLY_MAP || inner == APPLY_LEAF ||
                      (is_empty(m->val) && !empty_list);

        if (below.f)
            fieldset_put(a, out, field_key(a, m), member, apply_fields(a, below, m->val));
    }
    return out;
}

/* --- what differs */

/* A node of the comparison: whether it itself is changed or gone, and what is below (NULL: nothing
 * is). */
struct diff { bool changed, removed; struct apply_delta below; };

static struct diff compare(struct arena *a, struct apply_spot s, const struct json *from,
                           const struct json *to);

static void put_part(struct arena *a, struct json **set, const char *key, bool member,
                     const struct json *below)
{
    if (!member && fieldset_is_empty(below))
        return;
    if (!*set)
        *set = json_object(a);
    fieldset_put(a, *set, key, member, below);
}

static void put_diff(struct arena *a, struct apply_delta *out, const char *key, struct diff d)
{
    put_part(a, &out->changed, key, d.changed, d.below.changed);
    put_part(a, &out->removed, key, d.removed, d.below.removed);
}

static bool is_nothing(struct diff d)
{
    return !d.changed && !d.removed && !d.below.changed && !d.below.removed;
}

static void compare_members(struct arena *a, struct apply_delta *out, struct apply_spot s,
                            const struct json *from, const struct json *to)
{
    json_each_member(m, from) {
        struct apply_spot below = apply_below(s, m->key, m->key_len);
        struct diff d = { 0 };

        if (below.f)
            d = compare(a, below, m->val, json_getn(to, m->key, m->key_len));
        if (!is_nothing(d))
            put_diff(a, out, field_key(a, m), d);
    }
    json_each_member(n, to) {
        struct apply_spot below = apply_below(s, n->key, n->key_len);

        if (below.f && !json_getn(from, n->key, n->key_len))
            put_diff(a, out, field_key(a, n), compare(a, below, NULL, n->val));
    }
}

/* Items by their keys; of several under one key the first. */
static struct json *by_key(struct arena *a, struct apply_spot s, const struct json *list)
{
    struct json *out = json_object(a), *item;

    json_each(item, list) {
        const char *key = apply_item_key(a, s, item);

        if (!json_get(out, key))
            json_set(a, out, key, item);
    }
    return out;
}

static void compare_items(struct arena *a, struct apply_delta *out, struct apply_spot s,
                          const struct json *from, const struct json *to)
{
    const struct json *x = by_key(a, s, from), *y = by_key(a, s, to);

    json_each_member(m, x)
        put_diff(a, out, m->key, compare(a, apply_item(s), m->val, json_get(y, m->key)));
    json_each_member(n, y)
        if (!json_get(x, n->key))
            put_diff(a, out, n->key, compare(a, apply_item(s), NULL, n->val));
}

static struct diff compare(struct arena *a, struct apply_spot s, const struct json *from,
                           const struct json *to)
{
    enum apply_class class = apply_class_of(s);
    struct diff d = { 0 };

    if (class == APPLY_LIST && json_equal(from, to))
        return d;
    if (class == APPLY_LEAF || (is_empty(from) && is_empty(to))) {
        d.changed = to && (!from || !json_equal(from, to));
        d.removed = from && !to;
        return d;
    }
    if (class == APPLY_LIST)
        compare_items(a, &d.below, s, from, to);
    else
        compare_members(a, &d.below, s, from, to);
    d.changed = !from;
    d.removed = !to;
    return d;
}

struct apply_delta apply_compare(struct arena *a, struct apply_spot s, const struct json *from,
                                 const struct json *to)
{
    struct apply_delta d = compare(a, s, from, to).below;

    d.changed = d.changed ? d.changed : json_object(a);
    d.removed = d.removed ? d.removed : json_object(a);
    return d;
}

/* --- two objects together */

static struct json *merge_members(struct arena *a, struct apply_spot s, const struct json *live,
                                  const struct json *config)
{
    struct json *out = json_object(a);

    json_each_member(m, live) {
        const struct json *other = json_getn(config, m->key, m->key_len);

        json_setn(a, out, m->key, m->key_len,
                  apply_merge(a, apply_below(s, m->key, m->key_len), m->val, other));
    }
    json_each_member(n, config)
        if (!json_getn(live, n->key, n->key_len))
            json_setn(a, out, n->key, n->key_len,
                      apply_merge(a, apply_below(s, n->key, n->key_len), NULL, n->val));
    return out;
}

/* Two lists as one: the config's order rules; live items that it does not have stay where they are
 * between their neighbours. */
struct weave {
    struct arena *a;
    struct apply_spot s;
    const struct json *live, *config;
    const char **live_keys, **config_keys;
    struct json *live_by, *config_by, *done;         /* key -> item; keys that are in out */
    struct json *out;
};

static const char **keys_of(struct weave *w, const struct json *list)
{
    const char **keys = arena_alloc(w->a, (json_len(list) + 1) * sizeof(*keys));
    struct json *item;

    json_each(item, list)
        keys[item_i] = apply_item_key(w->a, w->s, item);
    return keys;
}

static void weave_item(struct weave *w, const struct json *live, const struct json *config)
{
    json_append(w->a, w->out, apply_merge(w->a, apply_item(w->s), live, config));
}

/* The next key of the config, from `at` on, that live has too; NULL when there is none. */
static const char *next_shared(const struct weave *w, size_t *at)
{
    for (; *at < json_len(w->config); (*at)++)
        if (json_get(w->live_by, w->config_keys[*at]))
            return w->config_keys[(*at)++];
    return NULL;
}

static void weave_config(struct weave *w, size_t i)
{
    const char *key = w->config_keys[i];

    json_set_bool(w->a, w->done, key, true);
    weave_item(w, json_get(w->live_by, key), json_get(w->config_by, key));
}

static void weave_lists(struct weave *w)
{
    size_t n = json_len(w->live), k = json_len(w->config), i = 0, j = 0, shared_at = 0;
    const char *shared = next_shared(w, &shared_at);

    while (i < n || j < k) {
        const char *key = i < n ? w->live_keys[i] : NULL;

        if (key && j < k && str_eq(key, w->config_keys[j])) {
            weave_config(w, j++);
            i++;
            shared = next_shared(w, &shared_at);
            continue;
        }
        if (key && j < k && json_get(w->config_by, key) && shared && !str_eq(shared, key)) {
            i++;
            continue;
        }
        if (key && !json_get(w->config_by, key)) {
            weave_item(w, w->live->items[i++], NULL);
            continue;
        }
        if (key && json_get(w->done, key))
            i++;
        if (j < k) {
            weave_config(w, j);
            if (shared && str_eq(shared, w->config_keys[j]))
                shared = next_shared(w, &shared_at);
            j++;
        }
    }
}

static struct json *merge_items(struct arena *a, struct apply_spot s, const struct json *live,
                                const struct json *config)
{
    struct weave w = { .a = a, .s = s, .live = live, .config = config, .done = json_object(a),
                       .live_by = by_key(a, s, live), .config_by = by_key(a, s, config),
                       .out = json_array(a) };

    w.live_keys = keys_of(&w, live);
    w.config_keys = keys_of(&w, config);
    weave_lists(&w);
    return w.out;
}

struct json *apply_merge(struct arena *a, struct apply_spot s, const struct json *live,
                         const struct json *config)
{
    enum apply_class class = apply_class_of(s);

    if (class == APPLY_LEAF || (is_empty(live) && is_empty(config)))
        return json_clone(a, config ? config : live);
    if (class == APPLY_LIST)
        return merge_items(a, s, live, config);
    return merge_members(a, s, live, config);
}

/* --- taking fields away */

static struct json *remove_items(struct arena *a, struct apply_spot s, const struct json *v,
                                 const struct json *set)
{
    struct json *out = json_array(a), *item;

    json_each(item, v) {
        const struct json *node = json_get(set, apply_item_key(a, s, item));
        struct json *left = item;

        if (node && fieldset_is_member(node))
            continue;
        if (node)
            left = apply_remove(a, apply_item(s), item, node);
        json_append(a, out, left ? left : json_null(a));
    }
    return out->len ? out : NULL;
}

struct json *apply_remove(struct arena *a, struct apply_spot s, const struct json *v,
                          const struct json *set)
{
    enum apply_class class = apply_class_of(s);
    struct json *out;

    if (class == APPLY_LEAF || is_empty(v))
        return json_clone(a, v);
    if (class == APPLY_LIST)
        return remove_items(a, s, v, set);
    out = json_object(a);
    json_each_member(m, v) {
        struct apply_spot below = apply_below(s, m->key, m->key_len);
        const struct json *node = json_get(set, field_key(a, m));
        struct json *left = m->val;

        if (node && fieldset_is_member(node))
            continue;
        if (node && below.f)
            left = apply_remove(a, below, m->val, node);
        json_setn(a, out, m->key, m->key_len, left ? left : json_null(a));
    }
    return out->len ? out : NULL;
}

struct json *apply_named(struct arena *a, struct apply_spot s, const struct json *set)
{
    bool is_struct = apply_class_of(s) == APPLY_STRUCT;
    struct json *out = json_object(a);

    fieldset_each(m, set) {
        bool field = m->key_len > 2 && m->key[0] == 'f';
        struct apply_spot below = field ? apply_below(s, m->key + 2, m->key_len - 2) :
                                  apply_item(s);

        fieldset_put(a, out, m->key, fieldset_is_member(m->val) || (field && is_struct && below.f),
                     below.f ? apply_named(a, below, m->val) : m->val);
    }
    return out;
}
