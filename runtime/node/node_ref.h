/* runtime/node/node_ref.h -- the ConfigMaps and Secrets that the pods of this node name in env and
 * volumes.
 *
 * One cache per node holds each object once and asks for it again every NODE_REF_POLL_MS as long as
 * a set refers to it (never again when it is immutable). A set belongs to one pod. All on the loop
 * of the client; callbacks come from the loop, never from inside a call. They may free the set.
 */
#ifndef RUNTIME_NODE_NODE_REF_H
#define RUNTIME_NODE_NODE_REF_H

#include "core/client/client.h"

#define NODE_REF_POLL_MS 60000

struct node_ref_cache;
struct node_ref_set;

struct node_ref_events {
    /* Each object was answered (also: is missing, may not be read): after new and after each
     * refresh. */
    void (*on_ready)(void *ctx);
    void (*on_change)(void *ctx);            /* later: one came, changed or went. May be NULL */
    void *ctx;
};

struct node_ref_cache *node_ref_cache_new(struct client *c);
struct node_ref_cache *node_ref_cache_free(struct node_ref_cache *c);        /* after its sets */
CLEANUP_DEFINE(struct node_ref_cache, node_ref_cache_free)

struct node_ref_set *node_ref_set_new(struct node_ref_cache *c, struct object *pod,
                                      const struct node_ref_events *ev);
struct node_ref_set *node_ref_set_free(struct node_ref_set *s);
CLEANUP_DEFINE(struct node_ref_set, node_ref_set_free)
bool node_ref_set_ready(const struct node_ref_set *s);
/* Asks again for what is older than max_age_ms, missing or failed; then on_ready. Before a
 * container starts, and when something was missing. */
void node_ref_set_refresh(struct node_ref_set *s, int64_t max_age_ms);
/* Borrowed, until the next turn of the loop. NULL: ERR_NOT_FOUND `configmap "x" not found`, or why
 * it could not be read. kind_config_map() or kind_secret(), in the pod's namespace. */
struct object *node_ref_get(const struct node_ref_set *s, const struct kind *k, const char *name,
                            struct err *err);

#endif
