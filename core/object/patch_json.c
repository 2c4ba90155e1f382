/* core/object/patch_json.c -- RFC 6902, with the liberties of the library that upstream uses:
 * negative indices count from the end, "replace" of a missing member of an object adds it. */
#include "core/base/check.h"
#include "core/base/str.h"
#include "core/object/patch.h"


struct doc { struct json *root; struct arena *a; };

/* Where a pointer leads: the container and the last key. */
struct place { struct json *in; const char *key; const char *path; };

static int fails(struct err *err, const char *what, const char *path, const char *why)
{
    return err_set(err, ERR_UNSUPPORTED, "%s operation does not apply: %s: %.200s", what, why,
                   path);
}

/* "a~1b~0c" -> "a/b~c". */
static const char *unescape(struct arena *a, const char *s, size_t len)
{
    char *out = arena_strndup(a, s, len), *to = out;

    for (const char *p = out; *p; p++) {
        if (p[0] == '~' && (p[1] == '0' || p[1] == '1'))
            *to++ = *++p == '0' ? '~' : '/';
        else
            *to++ = *p;
    }
    *to = 0;
    return out;
}

/* An index within [0, limit]; -1 when the key is none. Negative ones count back from limit. */
static int64_t array_index(const char *key, size_t limit)
{
    int64_t i;

    if (str_to_i64(key, -(int64_t)limit, (int64_t)limit, &i, NULL) < 0)
        return -1;
    return i < 0 ? i + (int64_t)limit : i;
}

static struct json *get(const struct json *in, const char *key)
{
    int64_t i;

    if (json_is(in, JSON_OBJECT))
        return json_get(in, key);
    i = array_index(key, json_len(in));
    return i >= 0 ? json_at(in, (size_t)i) : NULL;
}

static int find(struct place *out, const struct doc *d, const char *what, const char *path,
                struct err *err)
{
    struct json *at = d->root;
    const char *p = path;

    if (*p != '/')
        return fails(err, what, path, "doc is missing path");
    for (p++;; ) {
        size_t len = strcspn(p, "/");
        const char *key = unescape(d->a, p, len);

        if (!json_is(at, JSON_OBJECT) && !json_is(at, JSON_ARRAY))
            return fails(err, what, path, "doc is missing path");
        if (!p[len]) {
            *out = (struct place){ at, key, path };
            return 0;
        }
        at = get(at, key);
        p += len + 1;
    }
}

static int add(struct doc *d, const struct place *at, struct json *value, struct err *err)
{
    int64_t i;

    if (json_is(at->in, JSON_OBJECT)) {
        json_set(d->a, at->in, at->key, value);
        return 0;
    }
    if (str_eq(at->key, "-")) {
        json_append(d->a, at->in, value);
        return 0;
    }
    i = array_index(at->key, json_len(at->in) + (at->key[0] == '-' ? 1 : 0));
    if (i < 0)
        return fails(err, "add", at->path, "invalid index");
    json_insert(d->a, at->in, (size_t)i, value);
    return 0;
}

static int drop(const struct place *at, struct err *err)
{
    int64_t i;

    if (json_is(at->in, JSON_OBJECT))
        return json_del(at->in, at->key) ? 0 : fails(err, "remove", at->path, "no such key");
    i = array_index(at->key, json_len(at->in));
    if (i < 0 || (size_t)i >= json_len(at->in))
        return fails(err, "remove", at->path, "invalid index");
    json_remove(at->in, (size_t)i);
    return 0;
}

static int op_add(struct doc *d, const struct json *op, const char *path, struct err *err)
{
    const struct json *value = json_get(op, "value");
    struct place at;

    if (find(&at, d, "add", path, err) < 0)
        return -1;
    return add(d, &at, value ? json_clone(d->a, value) : json_null(d->a), err);
}

static int op_remove(struct doc *d, const struct json *op, const char *path, struct err *err)
{
    struct place at;

    (void)op;
    return find(&at, d, "remove", path, err) < 0 ? -1 : drop(&at, err);
}

static int op_replace(struct doc *d, const struct json *op, const char *path, struct err *err)
{
    const struct json *v = json_get(op, "value");
    struct json *value = v ? json_clone(d->a, v) : json_null(d->a);
    struct place at;
    int64_t i;

    if (!*path) {
        if (!json_is(value, JSON_OBJECT) && !json_is(value, JSON_ARRAY))
            return fails(err, "replace", path, "value must be object or array");
        d->root = value;
        return 0;
    }
    if (find(&at, d, "replace", path, err) < 0)
        return -1;
    if (json_is(at.in, JSON_OBJECT)) {
        json_set(d->a, at.in, at.key, value);
        return 0;
    }
    i = array_index(at.key, json_len(at.in));
    if (i < 0 || (size_t)i >= json_len(at.in))
        return fails(err, "replace", path, "doc is missing key");
    at.in->items[i] = value;
    return 0;
}

static int op_test(struct doc *d, const struct json *op, const char *path, struct err *err)
{
    const struct json *want = json_get(op, "value"), *have = d->root;
    struct place at;

    if (*path) {
        if (find(&at, d, "test", path, err) < 0)
            return -1;
        have = get(at.in, at.key);
        if (!have && !json_is(at.in, JSON_OBJECT))
            return fails(err, "test", path, "invalid index");
    }
    if (json_is(have, JSON_NULL))
        have = NULL;
    if (json_is(want, JSON_NULL))
        want = NULL;
    if (have == want || (have && want && json_equal(have, want)))
        return 0;
    return err_set(err, ERR_UNSUPPORTED, "testing value %.200s failed: test failed", path);
}

/* move and copy. */
static int op_from(struct doc *d, const struct json *op, const char *path, struct err *err)
{
    bool move = str_eq(json_get_str(op, "op"), "move");
    const char *what = move ? "move" : "copy", *from = json_get_str(op, "from");
    struct place at;
    struct json *value;

    if (!from)
        return fails(err, what, path, "missing from field");
    if (find(&at, d, what, from, err) < 0)
        return -1;
    value = get(at.in, at.key);
    if (!value && !json_is(at.in, JSON_OBJECT))
        return fails(err, what, from, "invalid index");
    value = value ? json_clone(d->a, value) : json_null(d->a);
    if (move && drop(&at, err) < 0)
        return -1;
    if (find(&at, d, what, path, err) < 0)
        return -1;
    return add(d, &at, value, err);
}

static const struct {
    const char *name;
    int (*run)(struct doc *d, const struct json *op, const char *path, struct err *err);
} ops[] = {
    { "add", op_add },       { "remove", op_remove }, { "replace", op_replace },
    { "move", op_from },     { "copy", op_from },     { "test", op_test },
};

static int apply(struct doc *d, const struct json *op, struct err *err)
{
    const char *name = json_get_str(op, "op"), *path = json_get_str(op, "path");

    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        if (!str_eq(ops[i].name, name))
            continue;
        if (!path)
            return fails(err, name, "", "missing path field");
        return ops[i].run(d, op, path, err);
    }
    return err_set(err, ERR_UNSUPPORTED, "Unexpected kind: %.100s", name ? name : "unknown");
}

int patch_json(struct json **out, struct arena *a, const struct json *doc, const struct json *patch,
               struct err *err)
{
    struct doc d = { .a = a };
    struct json *op;

    if (!json_is(patch, JSON_ARRAY))
        return err_set(err, ERR_INVALID,
                       "error decoding patch: json: cannot unmarshal %s into Go value "
                       "of type []handlers.jsonPatchOp", json_type_name(patch->type));
    if (json_len(patch) > PATCH_JSON_OPS_MAX)
        return err_set(err, ERR_QUOTA,
                       "The allowed maximum operations in a JSON patch is %d, got %zu",
                       PATCH_JSON_OPS_MAX, json_len(patch));
    json_each(op, patch)
        if (!json_is(op, JSON_OBJECT))
            return err_set(err, ERR_INVALID,
                           "error decoding patch: json: cannot unmarshal %s into Go "
                           "value of type handlers.jsonPatchOp", json_type_name(op->type));
    d.root = json_clone(a, doc);
    json_each(op, patch) {
        /* Copies of copies grow without bound: the arena is the limit. */
        if (arena_left(a) < arena_used(a) / 2)
            return err_set(err, ERR_QUOTA, "the patched object is too big");
        if (apply(&d, op, err) < 0)
            return -1;
    }
    *out = d.root;
    return 0;
}
