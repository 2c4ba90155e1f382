/* json.c -- trees: making, reading and changing them. */
#include "core/base/json.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/base/check.h"
#include "core/base/json_index.h"

static const char *const json_type_names[] = {
    [JSON_NULL] = "null",     [JSON_BOOL] = "bool",     [JSON_INT] = "number",
    [JSON_FLOAT] = "number",  [JSON_STRING] = "string", [JSON_ARRAY] = "array",
    [JSON_OBJECT] = "object",
};
_Static_assert(ARRAY_LEN(json_type_names) == JSON_TYPE_MAX, "a name for each type");

const char *json_type_name(int type)
{
    check(type >= 0 && type < JSON_TYPE_MAX);
    return json_type_names[type];
}

/* --- making */

static struct json *json_new(struct arena *a, enum json_type type)
{
    struct json *v = ANEW(a, struct json);

    v->type = type;
    return v;
}

struct json *json_null(struct arena *a)
{
    return json_new(a, JSON_NULL);
}

struct json *json_bool(struct arena *a, bool b)
{
    struct json *v = json_new(a, JSON_BOOL);

    v->b = b;
    return v;
}

struct json *json_int(struct arena *a, int64_t i)
{
    struct json *v = json_new(a, JSON_INT);

    v->i = i;
    return v;
}

struct json *json_float(struct arena *a, double d)
{
    struct json *v = json_new(a, JSON_FLOAT);

    v->d = d;
    return v;
}

struct json *json_str_ref(struct arena *a, const char *s, size_t len)
{
    struct json *v = json_new(a, JSON_STRING);

    check(s && len <= UINT32_MAX);
    v->s = s;
    v->len = (uint32_t)len;
    return v;
}

struct json *json_strn(struct arena *a, const char *s, size_t len)
{
    return json_str_ref(a, arena_strndup(a, s, len), len);
}

struct json *json_str(struct arena *a, const char *s)
{
    return s ? json_strn(a, s, strlen(s)) : json_null(a);
}

struct json *json_fmt(struct arena *a, const char *format, ...)
{
    va_list args;
    char *text;
    int len;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    check(len >= 0);
    text = arena_alloc(a, (size_t)len + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return json_str_ref(a, text, (size_t)len);
}

struct json *json_array(struct arena *a)
{
    return json_new(a, JSON_ARRAY);
}

struct json *json_object(struct arena *a)
{
    return json_new(a, JSON_OBJECT);
}

/* --- reading */

struct json *json_getn(const struct json *obj, const char *key, size_t key_len)
{
    struct json_member *m;

    if (!json_is(obj, JSON_OBJECT))
        return NULL;
    m = json_index_find(obj, key, key_len);
    return m ? m->val : NULL;
}

struct json *json_get(const struct json *obj, const char *key)
{
    return json_getn(obj, key, strlen(key));
}

struct json *json_at(const struct json *arr, size_t i)
{
    return json_is(arr, JSON_ARRAY) && i < arr->len ? arr->items[i] : NULL;
}

size_t json_len(const struct json *v)
{
    return json_is(v, JSON_ARRAY) || json_is(v, JSON_OBJECT) ? v->len : 0;
}

const char *json_text(const struct json *v)
{
    return json_is(v, JSON_STRING) ? v->s : NULL;
}

const char *json_get_str(const struct json *obj, const char *key)
{
    return json_text(json_get(obj, key));
}

int64_t json_get_int(const struct json *obj, const char *key, int64_t otherwise)
{
    const struct json *v = json_get(obj, key);

    if (json_is(v, JSON_INT))
        return v->i;
    if (json_is(v, JSON_FLOAT) && v->d >= -0x1p63 && v->d < 0x1p63 && v->d == (double)(int64_t)v->d)
        return (int64_t)v->d;
    return otherwise;
}

bool json_get_bool(const struct json *obj, const char *key, bool otherwise)
{
    const struct json *v = json_get(obj, key);

    return json_is(v, JSON_BOOL) ? v->b : otherwise;
}

struct json *json_path(const struct json *v, const char *path)
{
    struct slice rest = slice_of(path);
    struct slice key;
    struct json *at = NULL;

    while (slice_split(&rest, '.', &key)) {
        at = json_getn(v, key.p, key.len);
        if (!at)
            return NULL;
        v = at;
    }
    return at;
}

const char *json_path_str(const struct json *v, const char *path)
{
    return json_text(json_path(v, path));
}

/* --- changing */

static uint32_t json_cap_after(uint32_t cap)
{
    check(cap < UINT32_MAX / 8);
    return cap ? cap * 2 : 4;
}

void json_setn(struct arena *a, struct json *obj, const char *key, size_t key_len,
               struct json *val)
{
    struct json_member *m;

    check(json_is(obj, JSON_OBJECT));
    check(key && key_len <= UINT32_MAX);
    if (!val)
        val = json_null(a);
    m = json_index_find(obj, key, key_len);
    if (m) {
        m->val = val;
        return;
    }
    if (obj->len == obj->cap)
        check(json_index_reserve(a, obj, json_cap_after(obj->cap)) == 0);
    json_index_append(obj, (struct json_member){.key = arena_strndup(a, key, key_len),
                                                .key_len = (uint32_t)key_len,
                                                .val = val});
}

void json_set(struct arena *a, struct json *obj, const char *key, struct json *val)
{
    json_setn(a, obj, key, strlen(key), val);
}

void json_set_str(struct arena *a, struct json *obj, const char *key, const char *s)
{
    json_set(a, obj, key, json_str(a, s));
}

void json_set_int(struct arena *a, struct json *obj, const char *key, int64_t i)
{
    json_set(a, obj, key, json_int(a, i));
}

void json_set_bool(struct arena *a, struct json *obj, const char *key, bool b)
{
    json_set(a, obj, key, json_bool(a, b));
}

bool json_del(struct json *obj, const char *key)
{
    struct json_member *m;

    if (!json_is(obj, JSON_OBJECT))
        return false;
    m = json_index_find(obj, key, strlen(key));
    if (!m)
        return false;
    json_index_remove(obj, (size_t)(m - obj->members));
    return true;
}

void json_insert(struct arena *a, struct json *arr, size_t at, struct json *val)
{
    check(json_is(arr, JSON_ARRAY) && at <= arr->len);
    if (arr->len == arr->cap) {
        uint32_t cap = json_cap_after(arr->cap);
        struct json **items = arena_alloc(a, cap * sizeof(*items));

        if (arr->len)
            memcpy(items, arr->items, arr->len * sizeof(*items));
        arr->items = items;
        arr->cap = cap;
    }
    memmove(arr->items + at + 1, arr->items + at, (arr->len - at) * sizeof(*arr->items));
    arr->items[at] = val ? val : json_null(a);
    arr->len++;
}

void json_append(struct arena *a, struct json *arr, struct json *val)
{
    check(json_is(arr, JSON_ARRAY));
    json_insert(a, arr, arr->len, val);
}

void json_remove(struct json *arr, size_t at)
{
    check(json_is(arr, JSON_ARRAY) && at < arr->len);
    arr->len--;
    memmove(arr->items + at, arr->items + at + 1, (arr->len - at) * sizeof(*arr->items));
}

static struct json *json_ensure(struct arena *a, struct json *obj, const char *key,
                                enum json_type type)
{
    struct json *v = json_get(obj, key);

    if (!json_is(v, type)) {
        v = json_new(a, type);
        json_set(a, obj, key, v);
    }
    return v;
}

struct json *json_ensure_object(struct arena *a, struct json *obj, const char *key)
{
    return json_ensure(a, obj, key, JSON_OBJECT);
}

struct json *json_ensure_array(struct arena *a, struct json *obj, const char *key)
{
    return json_ensure(a, obj, key, JSON_ARRAY);
}
