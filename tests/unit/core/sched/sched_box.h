/* sched_box.h -- a scheduler over a cluster in memory. */
#ifndef TESTS_UNIT_CORE_SCHED_SCHED_BOX_H
#define TESTS_UNIT_CORE_SCHED_SCHED_BOX_H

#include "core/base/str.h"
#include "core/sched/sched.h"
#include "gen/views.h"
#include "tests/fake/fake_client.h"
#include "tests/fake/fake_env.h"
#include "tests/harness/test.h"

struct sched_box {
    struct fake_env env;
    struct loop *loop;
    struct fake_client *fake;
    struct sched *sched;
};

static inline void box_open(struct sched_box *b)
{
    struct err err = ERR_INIT;

    fake_env_init(&b->env, 7);
    EXPECT_OK(loop_new(&b->loop, &b->env.env, &err), &err);
    b->fake = fake_client_new(b->loop);
    b->sched = NULL;
}

static inline void box_start(struct sched_box *b)
{
    struct err err = ERR_INIT;

    EXPECT_OK(sched_new(&b->sched, fake_client_door(b->fake), NULL, &err), &err);
    fake_client_run(b->fake);
    EXPECT(sched_synced(b->sched));
}

static inline void box_close(struct sched_box *b)
{
    b->sched = sched_free(b->sched);
    fake_client_free(b->fake);
    loop_free(b->loop);
}

static inline void box_pass(struct sched_box *b, int64_t ms)
{
    fake_client_pass(b->fake, &b->env, ms, 100);
}

/* A node of 4 CPUs, 8Gi and 110 pods; `more` is YAML of flow style inside of metadata, spec. */
static inline void box_node(struct sched_box *b, const char *name, const char *labels,
                            const char *spec)
{
    _cleanup_buf_ struct buf y = BUF_INIT;

    buf_fmt(&y, "apiVersion: v1\nkind: Node\nmetadata: {name: %s, labels: {"
            "kubernetes.io/hostname: %s%s%s}}\nspec: {%s}\n"
            "status: {allocatable: "
            "{cpu: '4', memory: 8Gi, pods: '110', ephemeral-storage: 10Gi}}\n",
            name, name, *labels ? ", " : "", labels, spec);
    fake_client_put(b->fake, y.p);
}

/* A pod; `meta` and `spec` are YAML of flow style, `requests` of its one container. */
static inline void box_pod(struct sched_box *b, const char *name, const char *meta,
                           const char *requests, const char *spec)
{
    _cleanup_buf_ struct buf y = BUF_INIT;

    buf_fmt(&y, "apiVersion: v1\nkind: Pod\nmetadata: {name: %s%s%s}\nspec: {containers: "
            "[{name: a, image: a, resources: {requests: {%s}}}]%s%s}\n", name, *meta ? ", " : "",
            meta, requests, *spec ? ", " : "", spec);
    fake_client_put(b->fake, y.p);
}

static inline const struct pod_view *box_view(struct sched_box *b, const char *name)
{
    struct object *o = fake_client_get(b->fake, kind_pod(), "default", name);

    EXPECT(o);
    return pod_view(o);
}

static inline const char *box_node_of(struct sched_box *b, const char *name)
{
    return box_view(b, name)->spec.node_name;
}

/* The text of the condition that says why it is not scheduled; "" when there is none. */
static inline const char *box_why(struct sched_box *b, const char *name)
{
    const struct pod_view *v = box_view(b, name);

    for (unsigned i = 0; i < v->status.n_conditions; i++) {
        if (str_eq(v->status.conditions[i].type, "PodScheduled") &&
            str_eq(v->status.conditions[i].status, "False"))
            return v->status.conditions[i].message;
    }
    return "";
}

#endif
