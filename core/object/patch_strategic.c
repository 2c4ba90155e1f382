/* core/object/patch_strategic.c -- Kubernetes strategic merge: objects merge by member, lists by
 * the merge key that the schema declares, steered by directives in the patch:
 *
 *   $patch: replace|delete|merge        in an object: what to do with it
 *   $retainKeys: [..]                   all other members go
 *   $setElementOrder/x: [..]            the order of list x afterwards
 *   $deleteFromPrimitiveList/x: [..]    values that leave list x
 *
 * Works on copies: `doc` and `patch` may be changed freely here.
 */
#include "core/base/check.h"
#include "core/base/mem.h"
#include "core/base/str.h"
#include "core/object/patch.h"
#include "core/object/schema.h"

#define DIRECTIVE "$patch"
#define RETAIN_KEYS "$retainKeys"
#define DELETE_PREFIX "$deleteFromPrimitiveList"
#define ORDER_PREFIX "$setElementOrder"

static struct json *merge_object(struct arena *a, struct json *doc, struct json *patch,
                                 const struct schema_type *type, struct err *err);

/* --- words of errors */

static void write_go_object(struct buf *b, const struct json *v)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *sorted = json_clone(a, v);
    bool first = true;

    json_sort_keys(sorted);
    buf_str(b, "map[");
    json_each_member(m, sorted) {
        buf_fmt(b, "%s%s:", first ? "" : " ", m->key);
        patch_go_text(b, m->val);
        first = false;
    }
    buf_chr(b, ']');
}

void patch_go_text(struct buf *b, const struct json *v)
{
    if (json_is(v, JSON_OBJECT)) {
        write_go_object(b, v);
    } else if (json_is(v, JSON_ARRAY)) {
        buf_chr(b, '[');
        for (size_t i = 0; i < json_len(v); i++) {
            if (i)
                buf_chr(b, ' ');
            patch_go_text(b, json_at(v, i));
        }
        buf_chr(b, ']');
    } else if (json_text(v)) {
        buf_add(b, v->s, v->len);
    } else if (!v || v->type == JSON_NULL) {
        buf_str(b, "<nil>");
    } else {
        json_write(b, v);
    }
}

static int no_merge_key(const struct json *item, const char *key, struct err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    patch_go_text(&b, item);
    return err_set(err, ERR_FAILED, "map: %.300s does not contain declared merge key: %s", b.p,
                   key);
}

static int bad_directive(const struct json *directive, const struct json *in, struct err *err)
{
    _cleanup_buf_ struct buf word = BUF_INIT, map = BUF_INIT;

    patch_go_text(&word, directive);
    patch_go_text(&map, in);
    return err_set(err, ERR_FAILED, "unknown patch type: %.60s in map: %.300s", word.p, map.p);
}

static int bad_order(struct err *err)
{
    return err_set(err, ERR_UNSUPPORTED, "invalid patch format of setElementOrder list");
}

static int bad_retain(struct err *err)
{
    return err_set(err, ERR_INVALID, "invalid patch format of retainKeys");
}

/* --- small helpers */

static bool is_directive(const struct json *v, const char *word)
{
    return str_eq(json_text(v), word);
}

static bool same_scalar(const struct json *x, const struct json *y)
{
    if (!x || !y || x->type == JSON_OBJECT || x->type == JSON_ARRAY)
        return false;
    return json_equal(x, y);
}

/* What identifies an item of a list: its merge key's value, or itself. */
static const struct json *identity(const struct json *item, const char *key)
{
    return key ? json_get(item, key) : item;
}

static size_t find_item(const struct json *list, const struct json *id, const char *key)
{
    size_t n = json_len(list);

    for (size_t i = 0; i < n; i++)
        if (same_scalar(id, identity(json_at(list, i), key)))
            return i;
    return n;
}

static void drop_null_members(struct json *v)
{
    struct json *item;

    json_each(item, v)
        drop_null_members(item);
    if (!json_is(v, JSON_OBJECT))
        return;
    for (size_t i = 0; i < v->len;) {
        if (json_is(v->members[i].val, JSON_NULL)) {
            json_del(v, v->members[i].key);
        } else {
            drop_null_members(v->members[i].val);
            i++;
        }
    }
}

/* Cuts objects with directives out of a value; false when the value itself is one. */
static bool strip_directives(struct json *v)
{
    if (json_is(v, JSON_ARRAY)) {
        for (size_t i = 0; i < v->len;) {
            if (strip_directives(v->items[i]))
                i++;
            else
                json_remove(v, i);
        }
        return true;
    }
    if (!json_is(v, JSON_OBJECT))
        return true;
    if (json_get(v, DIRECTIVE))
        return false;
    for (size_t i = 0; i < v->len;) {
        if (strip_directives(v->members[i].val))
            i++;
        else
            json_del(v, v->members[i].key);
    }
    return true;
}

/* --- lists */

/* All items of both lists must be objects, or none. *objects tells which. */
static int item_kind(const struct json *x, const struct json *y, bool *objects, struct err *err)
{
    const struct json *lists[] = { x, y }, *first = NULL, *item;

    for (size_t k = 0; k < ARRAY_LEN(lists); k++)
        json_each(item, lists[k]) {
            if (!first)
                first = item;
            if (item->type == JSON_ARRAY)
                return err_set(err, ERR_UNSUPPORTED, "lists of lists are not supported");
            if ((first->type == JSON_OBJECT) != (item->type == JSON_OBJECT))
                return err_set(err, ERR_FAILED, "list element types are not identical");
        }
    if (!first)
        return err_set(err, ERR_FAILED, "no elements in any of the given slices");
    *objects = first->type == JSON_OBJECT;
    return 0;
}

/* Sorts the items of `list` as `order` has them, stably; items that it has not come before others.
 */
static struct json *sort_by(struct arena *a, const struct json *list, const struct json *order,
                            const char *key)
{
    size_t n = json_len(list);
    struct json *out = json_array(a);
    size_t *at = arena_alloc(a, (n + 1) * sizeof(*at));

    for (size_t i = 0; i < n; i++) {
        struct json *item = json_at(list, i);
        size_t rank = find_item(order, identity(item, key), key), to = i;

        json_append(a, out, item);
        for (; to > 0 && at[to - 1] > rank && rank < json_len(order); to--) {
            at[to] = at[to - 1];
            out->items[to] = out->items[to - 1];
        }
        at[to] = rank;
        out->items[to] = item;
    }
    return out;
}

/* The items of the patch in its order, woven into the others where the old order tells it. */
static struct json *weave(struct arena *a, const struct json *merged, const struct json *order,
                          const struct json *old_order, const char *key)
{
    struct json *ours = json_array(a), *others = json_array(a), *out = json_array(a), *item;
    size_t i = 0, j = 0, n = json_len(old_order);

    json_each(item, merged) {
        bool named = find_item(order, identity(item, key), key) < json_len(order);

        json_append(a, named ? ours : others, item);
    }
    ours = sort_by(a, ours, order, key);
    others = sort_by(a, others, old_order, key);
    while (i < json_len(others) || j < json_len(ours)) {
        bool take_other = j >= json_len(ours);

        if (i < json_len(others) && j < json_len(ours)) {
            size_t l = find_item(old_order, identity(json_at(others, i), key), key);
            size_t r = find_item(old_order, identity(json_at(ours, j), key), key);

            take_other = l < n && r < n && l < r;
        }
        json_append(a, out, take_other ? json_at(others, i++) : json_at(ours, j++));
    }
    return out;
}

static struct json *merge_scalars(struct arena *a, const struct json *doc, const struct json *patch)
{
    const struct json *lists[] = { doc, patch };
    struct json *out = json_array(a), *item;

    for (size_t k = 0; k < ARRAY_LEN(lists); k++)
        json_each(item, lists[k])
            if (find_item(out, item, NULL) == json_len(out))
                json_append(a, out, item);
    return out;
}

static struct json *delete_scalars(struct arena *a, const struct json *doc, const struct json *gone)
{
    struct json *out = json_array(a), *item;

    json_each(item, doc)
        if (find_item(gone, item, NULL) == json_len(gone))
            json_append(a, out, item);
    return out;
}

/* Carries out the items of the patch that are directives. What is left of the patch stays in it. */
static int apply_list_directives(struct arena *a, struct json **doc, struct json **patch,
                                 const char *key, struct err *err)
{
    struct json *left = json_array(a), *item;
    bool replace = false;

    json_each(item, *patch) {
        const struct json *word = json_get(item, DIRECTIVE), *id = json_get(item, key);

        if (!word) {
            json_append(a, left, item);
        } else if (is_directive(word, "delete")) {
            size_t at;

            if (!id)
                return no_merge_key(item, key, err);
            while ((at = find_item(*doc, id, key)) < json_len(*doc))
                json_remove(*doc, at);
        } else if (is_directive(word, "replace")) {
            replace = true;
        } else if (is_directive(word, "merge")) {
            return err_set(err, ERR_FAILED, "merging lists cannot yet be specified in the patch");
        } else {
            return bad_directive(word, item, err);
        }
    }
    *patch = replace ? json_array(a) : left;
    if (replace)
        *doc = left;
    return 0;
}

static int merge_objects(struct arena *a, struct json *doc, const struct json *patch,
                         const struct schema_field *f, struct err *err)
{
    const char *key = schema_field_merge_key(f);
    struct json *item, *merged;

    json_each(item, patch) {
        const struct json *id = json_get(item, key);
        size_t at;

        if (!id)
            return no_merge_key(item, key, err);
        at = find_item(doc, id, key);
        if (at == json_len(doc)) {
            json_append(a, doc, item);
            continue;
        }
        merged = merge_object(a, doc->items[at], item, schema_field_type(f), err);
        if (!merged)
            return -1;
        doc->items[at] = merged;
    }
    return 0;
}

static struct json *merge_list(struct arena *a, struct json *doc, struct json *patch,
                               const struct schema_field *f, bool is_delete, struct err *err)
{
    const char *key = schema_field_merge_key(f);
    struct json *merged, *item;
    bool objects = false;

    if (!(f->flags & SCHEMA_PATCH_MERGE) && !is_delete)
        return patch;
    if (json_len(doc) == 0 && json_len(patch) == 0)
        return doc;
    if (item_kind(doc, patch, &objects, err) < 0)
        return NULL;
    if (!objects) {
        if (is_delete)
            return delete_scalars(a, doc, patch);
        return weave(a, merge_scalars(a, doc, patch), patch, doc, NULL);
    }
    if (!key) {
        err_set(err, ERR_FAILED, "cannot merge lists without merge key for %s",
                schema_field_name(f));
        return NULL;
    }
    if (apply_list_directives(a, &doc, &patch, key, err) < 0)
        return NULL;
    merged = json_array(a);
    json_each(item, doc)
        json_append(a, merged, item);
    if (merge_objects(a, merged, patch, f, err) < 0)
        return NULL;
    json_each(item, merged)
        if (!json_get(item, key)) {
            no_merge_key(item, key, err);
            return NULL;
        }
    return weave(a, merged, patch, doc, key);
}

/* --- objects */

static const struct schema_field *lookup(const struct schema_type *type, const char *name,
                                         struct err *err)
{
    const struct schema_field *f;

    if (!type) {
        err_set(err, ERR_FAILED,
                "merging an object in json but data type is not struct, instead is: map");
        return NULL;
    }
    f = schema_field(type, name, strlen(name));
    if (!f)
        err_set(err, ERR_FAILED,
                "unable to find api field in struct %s for the json field \"%.100s\"",
                schema_type_name(type), name);
    return f;
}

static int apply_retain_keys(struct arena *a, struct json *doc, struct json *patch, struct err *err)
{
    struct json *keys = json_get(patch, RETAIN_KEYS);

    if (!keys)
        return 0;
    json_del(patch, RETAIN_KEYS);
    if (!json_is(keys, JSON_ARRAY))
        return bad_retain(err);
    json_each_member(m, patch) {
        if (json_is(m->val, JSON_NULL) || str_starts(m->key, DELETE_PREFIX) ||
            str_starts(m->key, ORDER_PREFIX))
            continue;
        if (find_item(keys, json_str(a, m->key), NULL) == json_len(keys))
            return bad_retain(err);
    }
    for (size_t i = 0; i < doc->len;) {
        if (find_item(keys, json_str(a, doc->members[i].key), NULL) == json_len(keys))
            json_del(doc, doc->members[i].key);
        else
            i++;
    }
    return 0;
}

/* The items of the patch must come in the order that $setElementOrder names. */
static int check_order(const struct json *patch, const struct json *order, const char *key,
                       struct err *err)
{
    size_t at = 0;
    struct json *item;

    if (json_len(order) == 0)
        return 0;
    json_each(item, patch) {
        if (json_get(item, DIRECTIVE))
            continue;
        if (key && !json_get(item, key))
            return no_merge_key(item, key, err);
        while (at < json_len(order) &&
               !same_scalar(identity(item, key), identity(json_at(order, at), key))) {
            if (key && !json_get(json_at(order, at), key))
                return no_merge_key(json_at(order, at), key, err);
            at++;
        }
        if (at++ >= json_len(order))
            return err_set(err, ERR_FAILED, "The order in patch list doesn't match %s list",
                           ORDER_PREFIX);
    }
    return 0;
}

static int apply_order(struct arena *a, struct json *doc, struct json *patch, const char *name,
                       const struct json *order, const struct schema_type *type, struct err *err)
{
    struct json *have = json_get(doc, name), *want = json_get(patch, name), *merged;
    const struct schema_field *f = lookup(type, name, err);

    if (!f)
        return -1;
    if (!json_is(order, JSON_ARRAY) || (have && !json_is(have, JSON_ARRAY)) ||
        (want && !json_is(want, JSON_ARRAY)))
        return bad_order(err);
    if (check_order(want, order, schema_field_merge_key(f), err) < 0)
        return -1;
    if (!have && !want)
        return 0;
    if (have && want) {
        merged = merge_list(a, json_clone(a, have), want, f, false, err);
        if (!merged)
            return -1;
    } else {
        merged = have ? have : want;
        if (want)
            strip_directives(want);
    }
    json_set(a, doc, name, weave(a, merged, order, have, schema_field_merge_key(f)));
    json_del(patch, name);
    return 0;
}

static int apply_orders(struct arena *a, struct json *doc, struct json *patch,
                        const struct schema_type *type, struct err *err)
{
    for (size_t i = 0; i < patch->len;) {
        const char *key = patch->members[i].key;
        struct json *order = patch->members[i].val;

        if (!str_starts(key, ORDER_PREFIX)) {
            i++;
            continue;
        }
        if (key[sizeof(ORDER_PREFIX) - 1] != '/')
            return bad_order(err);
        json_del(patch, key);
        if (apply_order(a, doc, patch, key + sizeof(ORDER_PREFIX), order, type, err) < 0)
            return -1;
        i = 0;
    }
    return 0;
}

static int merge_member(struct arena *a, struct json *doc, const char *key, struct json *v,
                        const struct schema_type *type, struct err *err)
{
    bool is_delete = str_starts(key, DELETE_PREFIX);
    const struct schema_field *f;
    struct json *have;

    if (is_delete) {
        if (key[sizeof(DELETE_PREFIX) - 1] != '/')
            return err_set(err, ERR_INVALID, "invalid patch format of primitive list");
        key += sizeof(DELETE_PREFIX);
    }
    have = json_get(doc, key);
    if (json_is(v, JSON_NULL)) {
        json_del(doc, key);
        return 0;
    }
    if (!have || have->type != v->type || (v->type != JSON_OBJECT && v->type != JSON_ARRAY)) {
        if (is_delete)
            return 0;
        drop_null_members(v);
        if (strip_directives(v))
            json_set(a, doc, key, v);
        else
            json_del(doc, key);
        return 0;
    }
    f = lookup(type, key, err);
    if (!f)
        return -1;
    if (v->type == JSON_ARRAY)
        v = merge_list(a, have, v, f, is_delete, err);
    else if (!(f->flags & SCHEMA_PATCH_REPLACE))
        v = merge_object(a, have, v, f->shape == SCHEMA_ONE ? schema_field_type(f) : NULL, err);
    if (!v)
        return -1;
    json_set(a, doc, key, v);
    return 0;
}

static struct json *merge_object(struct arena *a, struct json *doc, struct json *patch,
                                 const struct schema_type *type, struct err *err)
{
    struct json *word = json_get(patch, DIRECTIVE);

    if (word) {
        if (is_directive(word, "replace")) {
            json_del(patch, DIRECTIVE);
            return patch;
        }
        if (is_directive(word, "delete"))
            return json_object(a);
        bad_directive(word, patch, err);
        return NULL;
    }
    if (apply_retain_keys(a, doc, patch, err) < 0 || apply_orders(a, doc, patch, type, err) < 0)
        return NULL;
    json_each_member(m, patch)
        if (merge_member(a, doc, m->key, m->val, type, err) < 0)
            return NULL;
    return doc;
}

int patch_strategic(struct json **out, struct arena *a, const struct json *doc,
                    const struct json *patch,
                    const struct schema_type *type, struct err *err)
{
    struct json *result;

    if (!json_is(patch, JSON_OBJECT))
        return err_set(err, ERR_INVALID,
                       "json: cannot unmarshal %s into Go value of type map[string]interface {}",
                       json_type_name(patch->type));
    result = json_is(doc, JSON_OBJECT) ? json_clone(a, doc) : json_object(a);
    result = merge_object(a, result, json_clone(a, patch), type, err);
    if (!result)
        return -1;
    *out = result;
    return 0;
}
