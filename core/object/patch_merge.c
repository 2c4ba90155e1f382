/* core/object/patch_merge.c -- RFC 7386, and the patch of that form between two trees. */
#include "core/base/check.h"
#include "core/base/str.h"
#include "core/object/patch.h"

/* A copy without the null members of objects, at any depth. */
static struct json *without_nulls(struct arena *a, const struct json *v)
{
    struct json *out, *item;

    if (json_is(v, JSON_ARRAY)) {
        out = json_array(a);
        json_each(item, v)
            json_append(a, out, without_nulls(a, item));
        return out;
    }
    if (!json_is(v, JSON_OBJECT))
        return json_clone(a, v);
    out = json_object(a);
    json_each_member(m, v)
        if (!json_is(m->val, JSON_NULL))
            json_setn(a, out, m->key, m->key_len, without_nulls(a, m->val));
    return out;
}

static void merge_into(struct arena *a, struct json *doc, const struct json *patch)
{
    json_each_member(m, patch) {
        struct json *have = json_getn(doc, m->key, m->key_len);

        if (json_is(m->val, JSON_NULL)) {
            if (have)
                json_del(doc, m->key);
        } else if (json_is(have, JSON_OBJECT) && json_is(m->val, JSON_OBJECT)) {
            merge_into(a, have, m->val);
        } else {
            json_setn(a, doc, m->key, m->key_len, without_nulls(a, m->val));
        }
    }
}

int patch_merge(struct json **out, struct arena *a, const struct json *doc,
                const struct json *patch,
                struct err *err)
{
    struct json *result;

    if (json_is(patch, JSON_ARRAY)) {
        *out = without_nulls(a, patch);
        return 0;
    }
    if (!json_is(patch, JSON_OBJECT))
        return err_set(err, ERR_INVALID, "Invalid JSON Patch");
    result = json_is(doc, JSON_OBJECT) ? json_clone(a, doc) : json_object(a);
    merge_into(a, result, patch);
    *out = result;
    return 0;
}

struct json *patch_merge_diff(struct arena *a, const struct json *from, const struct json *to)
{
    struct json *out = NULL;

    if (!json_is(from, JSON_OBJECT) || !json_is(to, JSON_OBJECT))
        return json_equal(from, to) ? NULL : json_clone(a, to);
    json_each_member(m, from) {
        if (json_getn(to, m->key, m->key_len))
            continue;
        out = out ? out : json_object(a);
        json_setn(a, out, m->key, m->key_len, json_null(a));
    }
    json_each_member(n, to) {
        const struct json *have = json_getn(from, n->key, n->key_len);
        struct json *diff = have ? patch_merge_diff(a, have, n->val) : json_clone(a, n->val);

        if (!diff)
            continue;
        out = out ? out : json_object(a);
        json_setn(a, out, n->key, n->key_len, diff);
    }
    return out;
}
