/* bench_sched.c: the scheduler alone: 10,000 pods onto 5,000 nodes in three zones, in process, with
 * a client that answers at once. Pods belong to ReplicaSets, which are spread by score. */
#include "core/base/str.h"
#include "core/object/codec.h"
#include "core/object/codec_default.h"
#include "core/sched/sched.h"
#include "gen/views.h"
#include "tests/bench/bench.h"

#define NODES 5000
#define PODS 10000
#define SETS 100

/* --- a client over a fixed set of objects: lists once, and tells of each binding as a change */

struct answer {
    struct loop_msg msg;
    struct loop_timer timer;
    struct memory *m;
    struct object *pod;                  /* with its node; NULL: no binding */
    void (*on_done)(const struct client_result *r, void *ctx);
    void *ctx;
};

struct memory_watch {
    struct client_watch base;
    struct memory *m;
    struct client_watch_opts opts;
    struct loop_timer timer;
};

struct memory {
    struct client base;
    struct object **nodes, **pods, **sets;
    size_t n_nodes, n_pods, n_sets;
    struct memory_watch *pods_watch;
    size_t bound, other;
    int64_t rv;
};

static void on_list(struct loop_timer *t)
{
    struct memory_watch *w = container_of(t, struct memory_watch, timer);
    struct memory *m = w->m;
    struct object **v = w->opts.kind == kind_node() ? m->nodes : w->opts.kind == kind_pod()
        ? m->pods : w->opts.kind == kind_replica_set() ? m->sets : NULL;
    size_t n = w->opts.kind == kind_node() ? m->n_nodes : w->opts.kind == kind_pod()
        ? m->n_pods : w->opts.kind == kind_replica_set() ? m->n_sets : 0;

    w->opts.on_sync(false, w->opts.ctx);
    for (size_t i = 0; i < n; i++)
        w->opts.on_event(CLIENT_ADDED, v[i], w->opts.ctx);
    w->opts.on_sync(true, w->opts.ctx);
}

static int memory_watch(struct client *c, struct client_watch **out,
                        const struct client_watch_opts *o, struct err *err)
{
    struct memory_watch *w = NEW(struct memory_watch);

    (void)err;
    w->base.ops = c->ops;
    w->m = container_of(c, struct memory, base);
    w->opts = *o;
    if (o->kind == kind_pod())
        w->m->pods_watch = w;
    loop_timer_set(c->loop, &w->timer, 0, on_list);
    *out = &w->base;
    return 0;
}

static struct client_watch *memory_watch_free(struct client_watch *base)
{
    struct memory_watch *w = container_of(base, struct memory_watch, base);

    loop_timer_del(&w->timer);
    return mem_free(w);
}

static void on_answer(struct loop_timer *t)
{
    struct answer *a = container_of(t, struct answer, timer);
    struct client_result r = { .code = 201, .reason = "", .message = "" };

    if (a->pod) {
        struct memory_watch *w = a->m->pods_watch;

        a->m->bound++;
        w->opts.on_event(CLIENT_MODIFIED, a->pod, w->opts.ctx);
        object_unref(a->pod);
    }
    if (a->on_done)
        a->on_done(&r, a->ctx);
    mem_free(a);
}

/* The pod again, with a node. */
static struct object *with_node(struct memory *m, const char *name, const char *node)
{
    struct object *pod = m->pods[strtoul(name + 1, NULL, 10)], *out = NULL;
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *tree = object_tree(pod, a);

    json_set_str(a, json_get(tree, "spec"), "nodeName", node);
    if (object_from_tree(&out, kind_pod(), tree, ++m->rv, NULL) < 0)
        bench_fail("sched", "no pod");
    return out;
}

static int memory_do(struct client *c, const struct client_req *req, struct err *err)
{
    struct memory *m = container_of(c, struct memory, base);
    struct answer *a = NEW(struct answer);

    (void)err;
    a->m = m;
    a->on_done = req->on_done;
    a->ctx = req->ctx;
    if (req->subresource && str_eq(req->subresource, "binding"))
        a->pod = with_node(m, req->name, json_path_str(req->body, "target.name"));
    else
        m->other++;
    loop_timer_set(c->loop, &a->timer, 0, on_answer);
    return 0;
}

static struct client *memory_free(struct client *c)
{
    (void)c;
    return NULL;
}

static const struct client_ops memory_ops = {
    .do_req = memory_do, .watch = memory_watch, .watch_free = memory_watch_free,
    .free = memory_free,
};

/* --- the cluster */

static struct object *make(struct memory *m, const struct kind *kind, const char *text)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct err err = ERR_INIT;
    struct json *tree = NULL;
    struct object *o = NULL;

    if (json_parse(&tree, a, text, strlen(text), NULL, &err) < 0 ||
        object_from_tree(&o, kind, tree, ++m->rv, &err) < 0)
        bench_fail("sched", err.msg);
    return o;
}

static struct object *make_node(struct memory *m, unsigned i)
{
    char text[600];

    snprintf(text, sizeof(text),
             "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"n%u\",\"uid\":"
             "\"node-%u\",\"resourceVersion\":\"\",\"labels\":{\"kubernetes.io/hostname\":\"n%u\","
             "\"topology.kubernetes.io/zone\":\"z%u\"}},\"spec\":{},\"status\":{\"allocatable\":"
             "{\"cpu\":\"4\",\"memory\":\"32Gi\",\"pods\":\"110\"}}}", i, i, i, i % 3);
    return make(m, kind_node(), text);
}

static struct object *make_set(struct memory *m, unsigned i)
{
    char text[500];

    snprintf(text, sizeof(text),
             "{\"kind\":\"ReplicaSet\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"r%u\","
             "\"namespace\":\"default\",\"uid\":\"set-%u\",\"resourceVersion\":\"\"},\"spec\":{"
             "\"selector\":{\"matchLabels\":{\"app\":\"a%u\"}},\"template\":{}},\"status\":{}}",
             i, i, i);
    return make(m, kind_replica_set(), text);
}

static struct object *make_pod(struct memory *m, unsigned i)
{
    char text[900];
    unsigned set = i % SETS;

    snprintf(text, sizeof(text),
             "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"p%u\",\"namespace\":"
             "\"default\",\"uid\":\"pod-%u\",\"resourceVersion\":\"\",\"labels\":{\"app\":\"a%u\"},"
             "\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"name\":"
             "\"r%u\",\"uid\":\"set-%u\",\"controller\":true}]},\"spec\":{\"containers\":["
             "{\"name\":\"a\",\"image\":\"a\",\"resources\":{\"requests\":{\"cpu\":\"100m\","
             "\"memory\":"
             "\"500Mi\"}}}],\"schedulerName\":\"default-scheduler\"},\"status\":{}}",
             i, i, set, set, set);
    return make(m, kind_pod(), text);
}

static struct object **make_all(struct memory *m, struct object *(*one)(struct memory *, unsigned),
                                size_t n)
{
    struct object **v = mem_alloc_array(n, sizeof(*v));

    for (size_t i = 0; i < n; i++)
        v[i] = one(m, (unsigned)i);
    return v;
}

static void free_all(struct object **v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        object_unref(v[i]);
    mem_free(v);
}

int main(void)
{
    struct memory m = { .base = { .ops = &memory_ops, .name = "bench" } };
    struct err err = ERR_INIT;
    struct sched *s = NULL;
    char ours[64];
    double start;

    if (loop_new(&m.base.loop, env_real(), &err) < 0)
        bench_fail("sched", err.msg);
    m.nodes = make_all(&m, make_node, m.n_nodes = NODES);
    m.pods = make_all(&m, make_pod, m.n_pods = PODS);
    m.sets = make_all(&m, make_set, m.n_sets = SETS);
    start = bench_now_s();
    if (sched_new(&s, &m.base, NULL, &err) < 0)
        bench_fail("sched", err.msg);
    while (m.bound < PODS && bench_now_s() - start < 120)
        loop_step(m.base.loop, 100);
    if (m.bound < PODS)
        bench_fail("sched", "not all pods were bound within two minutes");
    snprintf(ours, sizeof(ours), "%.0f pods/s", PODS / (bench_now_s() - start));
    bench_row("scheduler, 10,000 pods on 5,000 nodes", ours, NULL, 0);
    sched_free(s);
    while (loop_step(m.base.loop, 0))
        ;
    free_all(m.nodes, NODES);
    free_all(m.pods, PODS);
    free_all(m.sets, SETS);
    loop_free(m.base.loop);
    return 0;
}
