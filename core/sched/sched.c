/* sched.c: informers in, turns of the queue, decisions out. */
#include "core/sched/sched.h"

#include "core/sched/sched_cycle.h"

/* --- turns */

static void schedule(struct sched_pod *p)
{
    struct sched_verdict verdict;

    p->attempts++;
    p->begun_ns = metric_now_ns();
    sched_decide(p, &verdict);
    if (verdict.node) {
        sched_bind(p, verdict.node);
        return;
    }
    sched_metric_attempt(p->s, SCHED_UNSCHEDULABLE, p->begun_ns);
    sched_report_failed(p, "Unschedulable", verdict.message);
    sched_queue_park(p, verdict.wakes);
    mem_free(verdict.message);
}

static void on_turn(struct loop_timer *t)
{
    struct sched *s = container_of(t, struct sched, turn);
    const struct env *env = loop_env(s->loop);
    int64_t end = env_mono_ms(env) + SCHED_TURN_MS;
    struct sched_pod *p;

    sched_queue_stir(s);
    while (s->binding < SCHED_BINDS_MAX && (p = sched_queue_pop(s))) {
        schedule(p);
        if (env_mono_ms(env) >= end)
            break;
    }
    if (heap_min(&s->active) || s->woken)
        sched_kick(s);
}

void sched_kick(struct sched *s)
{
    bool work = s->woken || (heap_min(&s->active) && s->binding < SCHED_BINDS_MAX);

    if (s->ready && work && !loop_timer_is_set(&s->turn))
        loop_timer_set(s->loop, &s->turn, 0, on_turn);
}

/* --- pods */

static void drop_pod(struct sched *s, struct sched_pod *p)
{
    char key[OBJECT_KEY_BYTES];

    object_key(p->object, key);
    map_del(s->pods, key);
    if (p->node) {
        sched_snapshot_unplace(p);
        sched_queue_wake(s, SCHED_ON_POD_GONE);
    }
    sched_pod_free(p);
}

/* A pod without a node: into the queue, unless it waits for something else. */
static void enqueue(struct sched_pod *p, bool changed)
{
    const char *nominated = sched_pod_view(p)->status.nominated_node_name;

    if (*nominated && p->state == SCHED_NEW)             /* as an earlier scheduler left it */
        sched_preempt_nominate(p, sched_snapshot_find(p->s, nominated, true));
    if (object_is_deleting(p->object)) {
        sched_queue_remove(p);
    } else if (sched_pod_view(p)->spec.n_scheduling_gates) {
        sched_queue_remove(p);
        sched_metric_state(p, SCHED_GATED);
    } else if (p->state == SCHED_NEW || p->state == SCHED_GATED || changed) {
        sched_queue_active(p);
    }
}

static struct sched_pod *new_pod(struct sched *s, struct object *o, const char *key)
{
    struct sched_pod *p = NEW(struct sched_pod);

    p->s = s;
    p->object = object_ref(o);
    map_put(s->pods, key, p);
    return p;
}

/* Takes the new state of a pod that is known. True when it may decide differently now. */
static bool renew_pod(struct sched_pod *p, struct object *o)
{
    struct object *old = p->object;
    const struct sched_class *class = p->class;
    bool changed;

    p->object = object_ref(o);
    sched_pod_describe(p);
    changed = object_generation(old) != object_generation(o) || class != p->class;
    object_unref(old);
    return changed;
}

static void set_node(struct sched_pod *p, const char *name, bool fresh)
{
    sched_snapshot_place(p, sched_snapshot_find(p->s, name, true));
    if (fresh)
        sched_queue_wake(p->s, SCHED_ON_POD_ADD);
}

static void update_pod(struct sched_pod *p, struct object *o)
{
    char *held = p->node ? mem_strdup(p->node->name) : NULL;
    const char *node = pod_view(o)->spec.node_name;
    bool changed;

    sched_snapshot_unplace(p);
    changed = renew_pod(p, o);
    if (*node) {
        sched_queue_remove(p);
        sched_preempt_nominate(p, NULL);
        sched_metric_state(p, SCHED_PLACED);
        set_node(p, node, !held || changed);
        if (held && changed)
            sched_queue_wake(p->s, SCHED_ON_POD_GONE);   /* smaller, or with other labels */
    } else if (held) {
        set_node(p, held, false);        /* the binding is under way */
    } else {
        enqueue(p, changed);
    }
    mem_free(held);
}

static void on_pod(struct object *before, struct object *after, void *ctx)
{
    struct sched *s = ctx;
    const struct pod_spec_view *spec = after ? &pod_view(after)->spec : NULL;
    char key[OBJECT_KEY_BYTES];
    struct sched_pod *p;

    object_key(after ? after : before, key);
    p = map_get(s->pods, key);
    if (p && (!after || !str_eq(object_uid(p->object), object_uid(after)))) {
        drop_pod(s, p);
        p = NULL;
    }
    if (!after)
        return;
    if (sched_pod_terminal(after) ||
        (!*spec->node_name && !str_eq(spec->scheduler_name, s->name))) {
        if (p)
            drop_pod(s, p);
        return;
    }
    update_pod(p ? p : new_pod(s, after, key), after);
}

static void on_node(struct object *before, struct object *after, void *ctx)
{
    sched_snapshot_node(ctx, before, after);
}

/* --- life */

static bool all_synced(const struct sched *s)
{
    return informer_synced(s->pods_in) && informer_synced(s->nodes_in) &&
           informer_synced(s->services_in) && informer_synced(s->sets_in) &&
           informer_synced(s->namespaces_in);
}

bool sched_synced(const struct sched *s)
{
    return s->ready;
}

static void on_synced(void *ctx)
{
    struct sched *s = ctx;

    s->ready = all_synced(s);
    sched_kick(s);
}

static int watch(struct sched *s, struct informer **out, const struct kind *kind, informer_fn fn,
                 struct err *err)
{
    struct informer_opts opts = { .kind = kind };

    if (informer_new(out, s->client, &opts, err) < 0)
        return err_wrap(err, "scheduler: watch %s", kind->resource);
    if (fn)
        informer_on_change(*out, fn, s);
    informer_on_synced(*out, on_synced, s);
    return 0;
}

int sched_new(struct sched **out, struct client *c, const struct sched_opts *opts, struct err *err)
{
    _cleanup_(sched_freep) struct sched *s = NEW(struct sched);

    s->client = c;
    s->loop = c->loop;
    s->name = mem_strdup(opts && opts->name ? opts->name : SCHED_NAME);
    list_init(&s->calls);
    sched_snapshot_init(s);
    sched_queue_init(s);
    if (watch(s, &s->namespaces_in, kind_namespace(), NULL, err) < 0 ||
        watch(s, &s->services_in, kind_service(), NULL, err) < 0 ||
        watch(s, &s->sets_in, kind_replica_set(), NULL, err) < 0 ||
        watch(s, &s->nodes_in, kind_node(), on_node, err) < 0 ||
        watch(s, &s->pods_in, kind_pod(), on_pod, err) < 0)
        return -1;
    *out = TAKE(s);
    return 0;
}

struct sched *sched_free(struct sched *s)
{
    if (!s)
        return NULL;
    informer_free(s->pods_in);
    informer_free(s->nodes_in);
    informer_free(s->services_in);
    informer_free(s->sets_in);
    informer_free(s->namespaces_in);
    sched_bind_deinit(s);
    s->ready = false;
    sched_snapshot_deinit(s);
    sched_queue_deinit(s);
    mem_free(s->name);
    return mem_free(s);
}
