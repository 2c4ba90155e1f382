/* podrank.c -- see podrank.h; the order is upstream's (ActivePodsWithRanks). */
#include "core/control/podrank.h"

#include <stdlib.h>

#include "core/base/map.h"
#include "core/control/podstate.h"
#include "gen/views.h"

struct ranked {
    struct object *pod;
    bool assigned, ready;
    int phase, ready_age, age;           /* ages as powers of two; -1: in the future */
    int64_t cost, siblings, ready_since, restarts, created;
};

static int phase_of(const struct object *pod)
{
    const char *phase = pod_view(pod)->status.phase;

    return str_eq(phase, "Running") ? 2 : str_eq(phase, "Unknown") ? 1 : 0;
}

static int64_t cost_of(const struct object *pod)
{
    const char *text = object_annotation(pod, "controller.kubernetes.io/pod-deletion-cost");
    int64_t cost = 0;

    if (!text || str_to_i64(text, INT32_MIN, INT32_MAX, &cost, NULL) < 0)
        return 0;
    return cost;
}

static int log_age(int64_t since_s, int64_t now_s)
{
    int64_t age = now_s - since_s;

    return age <= 0 ? -1 : 63 - __builtin_clzll((unsigned long long)age);
}

/* Active pods of the application by node: of all sets that the owner of this one controls. */
static void count_set(struct map *nodes, struct pass *p, const struct object *rs)
{
    struct informer *pods = control_informer(p->c, kind_pod());
    struct object *pod;

    for (size_t at = 0; (pod = informer_next_owned(pods, object_uid(rs), &at));) {
        const char *node = pod_view(pod)->spec.node_name;
        int64_t *n;

        if (str_empty(node) || !podstate_active(pod))
            continue;
        n = map_get(nodes, node);
        if (!n) {
            n = ANEW(p->a, int64_t);
            map_put(nodes, node, n);
        }
        (*n)++;
    }
}

static struct map *count_nodes(struct pass *p, const struct object *rs)
{
    const struct object_owner *owner = object_controller(rs);
    struct informer *sets = control_informer(p->c, kind_replica_set());
    struct map *nodes = map_new();
    struct object *other;

    if (!owner)
        count_set(nodes, p, rs);
    else
        for (size_t at = 0; (other = informer_next_owned(sets, owner->uid, &at));)
            count_set(nodes, p, other);
    return nodes;
}

static struct ranked rank_of(struct object *pod, const struct map *nodes, int64_t now)
{
    const char *node = pod_view(pod)->spec.node_name;
    const int64_t *siblings = str_empty(node) ? NULL : map_get(nodes, node);
    struct ranked r = {
        .pod = pod, .assigned = !str_empty(node), .phase = phase_of(pod),
        .ready = podstate_ready(pod), .cost = cost_of(pod), .siblings = siblings ? *siblings : 0,
        .ready_since = podstate_ready_since(pod), .restarts = podstate_restarts(pod),
        .created = object_created_s(pod),
    };

    r.ready_age = log_age(r.ready_since, now);
    r.age = log_age(r.created, now);
    return r;
}

/* The younger first; those of about one age by uid. */
static int by_age(const struct ranked *x, const struct ranked *y, int age_x, int age_y)
{
    return age_x != age_y ? (age_x < age_y ? -1 : 1)
                          : strcmp(object_uid(x->pod), object_uid(y->pod));
}

static int compare(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->assigned != y->assigned)
        return x->assigned ? 1 : -1;
    if (x->phase != y->phase)
        return x->phase < y->phase ? -1 : 1;
    if (x->ready != y->ready)
        return x->ready ? 1 : -1;
    if (x->cost != y->cost)
        return x->cost < y->cost ? -1 : 1;
    if (x->siblings != y->siblings)
        return x->siblings > y->siblings ? -1 : 1;
    if (x->ready && y->ready && x->ready_since != y->ready_since)
        return by_age(x, y, x->ready_age, y->ready_age);
    if (x->restarts != y->restarts)
        return x->restarts > y->restarts ? -1 : 1;
    if (x->created != y->created)
        return by_age(x, y, x->age, y->age);
    return strcmp(object_uid(x->pod), object_uid(y->pod));
}

struct object **podrank(struct pass *p, const struct object *rs, const struct adopt_list *pods)
{
    struct map *nodes = count_nodes(p, rs);
    struct ranked *all;
    struct object **out;
    size_t n = 0;

    all = arena_alloc(p->a, (pods->len + 1) * sizeof(*all));
    out = arena_alloc(p->a, (pods->len + 1) * sizeof(struct object *));
    for (size_t i = 0; i < pods->len; i++)
        if (podstate_active(pods->v[i]))
            all[n++] = rank_of(pods->v[i], nodes, control_now_s(p->c->control));
    map_free(nodes, NULL);
    qsort(all, n, sizeof(*all), compare);
    for (size_t i = 0; i < n; i++)
        out[i] = all[i].pod;
    return n ? out : NULL;
}
