/* client_slice_text.c -- what is kept of an object, and what of it is worth a write. */
#include "core/client/client_slice_impl.h"

#define ARENA_BYTES (64u << 20)

/* What other nodes need of a Node; heartbeats, images and conditions are not in it. */
static void cut_node(struct arena *a, struct json *tree)
{
    struct json *addresses = json_path(tree, "status.addresses");
    struct json *status = json_object(a);

    if (addresses)
        json_set(a, status, "addresses", addresses);
    json_set(a, tree, "status", status);
}

/* Of a pod's status only this is worth a write. */
static void cut_pod(struct arena *a, struct json *tree)
{
    static const char *const keys[] = { "phase", "podIP", "startTime" };
    struct json *old = json_get(tree, "status"), *status = json_object(a);

    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (json_get(old, keys[i]))
            json_set(a, status, keys[i], json_get(old, keys[i]));
    json_set(a, tree, "status", status);
}

void client_slice_text(struct buf *value, struct buf *mark, const struct object *o)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(ARENA_BYTES);
    struct json *tree = object_tree(o, a), *meta = json_get(tree, "metadata");

    json_del(meta, "managedFields");
    if (object_kind(o) == kind_node())
        cut_node(a, tree);
    json_write(value, tree);
    json_del(meta, "resourceVersion");
    if (object_kind(o) == kind_pod())
        cut_pod(a, tree);
    json_write(mark, tree);
}
