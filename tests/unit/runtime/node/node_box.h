/* tests/unit/runtime/node/node_box.h -- a loop with a fake clock, a fake cluster and the ConfigMaps
 * of a pod. */
#ifndef TESTS_UNIT_RUNTIME_NODE_NODE_BOX_H
#define TESTS_UNIT_RUNTIME_NODE_NODE_BOX_H

#include "runtime/node/node_ref.h"
#include "tests/fake/fake_client.h"
#include "tests/fake/fake_env.h"
#include "tests/harness/test.h"

struct node_box {
    struct fake_env env;
    struct loop *loop;
    struct fake_client *cluster;
    struct node_ref_cache *cache;
    struct node_ref_set *refs;
    struct arena *a;
    int ready, changed;
};

static inline void node_box_on_ready(void *ctx) { ((struct node_box *)ctx)->ready++; }
static inline void node_box_on_change(void *ctx) { ((struct node_box *)ctx)->changed++; }

static inline void node_box_init(struct node_box *b)
{
    struct err err = ERR_INIT;

    *b = (struct node_box){ .a = arena_new(0) };
    fake_env_init(&b->env, 1);
    EXPECT_OK(loop_new(&b->loop, &b->env.env, &err), &err);
    b->cluster = fake_client_new(b->loop);
    b->cache = node_ref_cache_new(fake_client_door(b->cluster));
}

static inline void node_box_pass(struct node_box *b, int64_t ms)
{
    fake_client_pass(b->cluster, &b->env, ms, 1000);
}

/* The refs of this pod, ready. */
static inline void node_box_refs(struct node_box *b, struct object *pod)
{
    struct node_ref_events ev = { node_box_on_ready, node_box_on_change, b };

    b->refs = node_ref_set_new(b->cache, pod, &ev);
    fake_client_run(b->cluster);
    EXPECT_EQ(b->ready, 1);
    EXPECT(node_ref_set_ready(b->refs));
}

static inline void node_box_deinit(struct node_box *b)
{
    node_ref_set_free(b->refs);
    node_ref_cache_free(b->cache);
    fake_client_free(b->cluster);
    loop_free(b->loop);
    arena_free(b->a);
}

#endif
