/* core/object/fieldset.c -- see the header. */
#include "core/object/fieldset.h"

#include "core/base/check.h"

bool fieldset_is_member(const struct json *node)
{
    return node && (node->len == 0 || json_get(node, "."));
}

bool fieldset_is_empty(const struct json *x)
{
    fieldset_each(m, x)
        return false;
    return true;
}

void fieldset_put(struct arena *a, struct json *set, const char *key, bool member,
                  const struct json *below)
{
    struct json *node = json_object(a);

    if (fieldset_is_empty(below)) {
        if (member)
            json_set(a, set, key, node);
        return;
    }
    if (member)
        json_set(a, node, ".", json_object(a));
    fieldset_each(m, below)
        json_setn(a, node, m->key, m->key_len, m->val);
    json_set(a, set, key, node);
}

struct json *fieldset_union(struct arena *a, const struct json *x, const struct json *y)
{
    struct json *out = json_object(a);

    fieldset_each(m, x) {
        const struct json *other = json_getn(y, m->key, m->key_len);

        fieldset_put(a, out, m->key, fieldset_is_member(m->val) || fieldset_is_member(other),
                     fieldset_union(a, m->val, other));
    }
    fieldset_each(n, y)
        if (!json_getn(x, n->key, n->key_len))
            json_setn(a, out, n->key, n->key_len, n->val);
    return out;
}

struct json *fieldset_difference(struct arena *a, const struct json *x, const struct json *y)
{
    struct json *out = json_object(a);

    fieldset_each(m, x) {
        const struct json *other = json_getn(y, m->key, m->key_len);

        if (!other)
            json_setn(a, out, m->key, m->key_len, m->val);
        else
            fieldset_put(a, out, m->key, fieldset_is_member(m->val) && !fieldset_is_member(other),
                         fieldset_difference(a, m->val, other));
    }
    return out;
}

struct json *fieldset_intersection(struct arena *a, const struct json *x, const struct json *y)
{
    struct json *out = json_object(a);

    fieldset_each(m, x) {
        const struct json *other = json_getn(y, m->key, m->key_len);

        if (other)
            fieldset_put(a, out, m->key, fieldset_is_member(m->val) && fieldset_is_member(other),
                         fieldset_intersection(a, m->val, other));
    }
    return out;
}

bool fieldset_equal(const struct json *x, const struct json *y)
{
    return json_equal(x, y);
}
