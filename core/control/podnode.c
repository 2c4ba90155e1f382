/* podnode.c -- see podnode.h. */
#include "core/control/podnode.h"

#include "core/base/map.h"
#include "gen/views.h"

struct podnode { struct map *nodes; };   /* name -> struct map of pod keys */

static void free_keys(void *p)
{
    map_free(p, NULL);
}

struct podnode *podnode_new(void)
{
    struct podnode *p = NEW(struct podnode);

    p->nodes = map_new();
    return p;
}

struct podnode *podnode_free(struct podnode *p)
{
    if (!p)
        return NULL;
    map_free(p->nodes, free_keys);
    return mem_free(p);
}

static const char *node_of(const struct object *pod)
{
    const char *name = pod ? pod_view(pod)->spec.node_name : NULL;

    return str_empty(name) ? NULL : name;
}

static void put(struct podnode *p, const char *node, const char *key)
{
    struct map *keys = map_get(p->nodes, node);

    if (!keys) {
        keys = map_new();
        map_put(p->nodes, node, keys);
    }
    map_put(keys, key, p);
}

static void del(struct podnode *p, const char *node, const char *key)
{
    struct map *keys = map_get(p->nodes, node);

    if (!keys)
        return;
    map_del(keys, key);
    if (map_len(keys) == 0)
        free_keys(map_del(p->nodes, node));
}

void podnode_note(struct podnode *p, struct object *before, struct object *after)
{
    const char *was = node_of(before), *is = node_of(after);
    char key[OBJECT_KEY_BYTES];

    if (was && is && str_eq(was, is))
        return;
    object_key(after ? after : before, key);
    if (was)
        del(p, was, key);
    if (is)
        put(p, is, key);
}

struct object *podnode_next(const struct podnode *p, const struct informer *pods, const char *node,
                            size_t *at)
{
    const struct map *keys = map_get(p->nodes, node);
    char ns[OBJECT_KEY_BYTES], name[OBJECT_KEY_BYTES];
    const char *key;
    void *value;

    while (keys && map_next(keys, at, &key, &value)) {
        struct object *pod;

        object_key_split(key, ns, name);
        pod = informer_get(pods, ns, name);
        if (pod)
            return pod;
    }
    return NULL;
}

const char *podnode_next_node(const struct podnode *p, size_t *at)
{
    const char *key;
    void *value;

    return map_next(p->nodes, at, &key, &value) ? key : NULL;
}
