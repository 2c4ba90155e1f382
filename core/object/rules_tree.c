/* core/object/rules_tree.c -- changing canonical trees so that they stay canonical: members at
 * their place. */
#include "core/base/check.h"
#include "core/object/codec.h"
#include "core/object/rules_impl.h"

/* Rebuilds the object with the member inserted at `at`. */
static void insert_member(struct arena *a, struct json *obj, uint32_t at, const char *key,
                          struct json *val)
{
    struct json *grown = json_object(a);

    for (uint32_t i = 0; i <= obj->len; i++) {
        if (i == at)
            json_set(a, grown, key, val);
        if (i < obj->len)
            json_setn(a, grown, obj->members[i].key, obj->members[i].key_len, obj->members[i].val);
    }
    *obj = *grown;
}

void rules_put(struct arena *a, struct json *obj, const struct schema_type *type, const char *key,
               struct json *val)
{
    const struct schema_field *f = schema_field(type, key, strlen(key));
    uint32_t at = 0;

    check(f);
    if (json_get(obj, key)) {
        json_set(a, obj, key, val);
        return;
    }
    while (at < obj->len && schema_field(type, obj->members[at].key, obj->members[at].key_len) < f)
        at++;
    insert_member(a, obj, at, key, val);
}

void rules_put_or_del(struct arena *a, struct json *obj, const struct schema_type *type,
                      const char *key, const struct json *val)
{
    if (val)
        rules_put(a, obj, type, key, json_clone(a, val));
    else
        json_del(obj, key);
}

void rules_put_key(struct arena *a, struct json *map, const char *key, struct json *val)
{
    uint32_t at = 0;

    if (json_get(map, key)) {
        json_set(a, map, key, val);
        return;
    }
    while (at < map->len && strcmp(map->members[at].key, key) < 0)
        at++;
    insert_member(a, map, at, key, val);
}

struct json *rules_zero(struct arena *a, const struct schema_type *type)
{
    struct json nothing = { .type = JSON_NULL }, *out = NULL;
    struct err err = ERR_INIT;

    check(codec_canonical(&out, a, type, &nothing, NULL, &err) == 0);
    return json_is(out, JSON_OBJECT) ? out : json_object(a);
}

const struct schema_type *rules_type(const struct schema_type *outer, const char *field)
{
    const struct schema_field *f = schema_field_path(outer, field);

    return f ? schema_field_type(f) : NULL;
}

bool rules_same(const struct json *x, const struct json *y)
{
    bool no_x = !x || x->type == JSON_NULL || (x->type >= JSON_STRING && x->len == 0);
    bool no_y = !y || y->type == JSON_NULL || (y->type >= JSON_STRING && y->len == 0);

    if (no_x || no_y)
        return no_x && no_y;
    return json_equal(x, y);
}
