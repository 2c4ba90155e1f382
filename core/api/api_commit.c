/* api_commit.c: a finished tree -> the store -> the object as it is now. Job threads only. */
#include "core/api/api_call.h"

/* Where resourceVersion stands in metadata: after these. */
static bool before_rv(const char *key)
{
    return str_eq(key, "name") || str_eq(key, "generateName") || str_eq(key, "namespace") ||
           str_eq(key, "selfLink") || str_eq(key, "uid");
}

void api_stamp_rv(struct arena *a, struct json *tree, const char *rv)
{
    struct json *meta = json_ensure_object(a, tree, "metadata"), *out;
    bool done = false;

    if (json_get(meta, "resourceVersion")) {
        json_set_str(a, meta, "resourceVersion", rv);
        return;
    }
    out = json_object(a);
    json_each_member(m, meta) {
        if (!done && !before_rv(m->key)) {
            json_set_str(a, out, "resourceVersion", rv);
            done = true;
        }
        json_set(a, out, m->key, m->val);
    }
    if (!done)
        json_set_str(a, out, "resourceVersion", rv);
    json_set(a, tree, "metadata", out);
}

/* Canonical bytes with the place of resourceVersion left open. */
static int stored_bytes(struct api_call *c, const struct kind *kind, const struct json *tree,
                        struct buf *out)
{
    struct json *canonical;
    struct err err = ERR_INIT;

    if (codec_canonical(&canonical, c->a, kind->type, tree, NULL, &err) < 0)
        return api_fail(c, status_internal(c->a, err.msg));
    json_set_str(c->a, canonical, "kind", kind->kind);
    json_set_str(c->a, canonical, "apiVersion", kind_api_version(kind));
    api_stamp_rv(c->a, canonical, "");
    json_write(out, canonical);
    return 0;
}

static int too_large(struct api_call *c)
{
    return api_fail(c, status_new(c->a, 413, "RequestEntityTooLarge",
                                  "Request entity too large: limit is %u", KV_VALUE_BYTES_MAX));
}

/* The request is not too large, whatever it is: there is no room on the disk, or in the queue. */
static int no_room(struct api_call *c, const struct err *err)
{
    return api_fail(c, status_internal(c->a, arena_printf(c->a, "the store has no room: %s",
                                                          err->msg)));
}

/* 0 done, 1 conflict, -1 answered. */
static int submit(struct api_call *c, struct kv_commit *commit)
{
    kv_commit_wait(c->api->kv, commit);
    switch (commit->err.code) {
    case ERR_NONE: return 0;
    case ERR_CONFLICT: return 1;
    case ERR_QUOTA: return no_room(c, &commit->err);
    default: return api_fail_err(c, &commit->err);
    }
}

static const char *meta_str(const struct json *tree, const char *key)
{
    const char *s = json_get_str(json_get(tree, "metadata"), key);

    return s ? s : "";
}

int api_commit(struct api_call *c, const struct kind *kind, const struct json *tree, int64_t expect,
               struct object **out)
{
    _cleanup_buf_ struct buf bytes = BUF_INIT;
    char key[KV_KEY_BYTES_MAX];
    struct kv_commit commit = { .key = key, .expect = expect,
                                .volatile_class = kind->volatile_class || c->heartbeat };
    struct err err = ERR_INIT;
    int result;

    if (stored_bytes(c, kind, tree, &bytes) < 0)
        return -1;
    if (bytes.len > KV_VALUE_BYTES_MAX - 64)
        return too_large(c);
    watch_key(key, kind, kind->namespaced ? meta_str(tree, "namespace") : "",
              meta_str(tree, "name"));
    commit.value = bytes.p;
    commit.value_len = bytes.len;
    result = submit(c, &commit);
    if (result != 0)
        return result;
    if (object_new(out, kind, bytes.p, bytes.len, commit.revision, &err) < 0)
        return api_fail(c, status_internal(c->a, err.msg));
    return 0;
}

/* `last`: the final state to answer (its resourceVersion becomes that of the deletion); NULL:
 * the old one. */
int api_commit_delete(struct api_call *c, struct object *old, struct json *last,
                      struct object **out)
{
    const struct kind *kind = object_kind(old);
    _cleanup_buf_ struct buf bytes = BUF_INIT;
    char key[KV_KEY_BYTES_MAX];
    struct kv_commit commit = { .key = key, .expect = object_rv(old),
                                .volatile_class = kind->volatile_class };
    struct err err = ERR_INIT;
    int result;

    watch_key(key, kind, object_ns(old), object_name(old));
    result = submit(c, &commit);
    if (result != 0)
        return result;
    if (stored_bytes(c, kind, last ? last : object_tree(old, c->a), &bytes) < 0)
        return -1;
    if (object_new(out, kind, bytes.p, bytes.len, commit.revision, &err) < 0)
        return api_fail(c, status_internal(c->a, err.msg));
    return 0;
}
