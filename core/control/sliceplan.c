/* sliceplan.c -- see sliceplan.h. */
#include "core/control/sliceplan.h"

#include "core/base/check.h"
#include "core/base/map.h"

/* The wanted endpoints of one list of ports. */
struct sliceplan_group {
    struct json *ports;
    struct map *wanted;                  /* uid of the pod -> struct json; those not yet placed */
};

static void *grow(struct arena *a, const void *old, size_t n, size_t *cap, size_t item)
{
    void *out;

    *cap = *cap ? *cap * 2 : 8;
    out = arena_alloc(a, *cap * item);
    if (n)
        memcpy(out, old, n * item);
    return out;
}

struct sliceplan *sliceplan_new(struct arena *a)
{
    struct sliceplan *plan = ANEW(a, struct sliceplan);

    plan->a = a;
    return plan;
}

static struct sliceplan_slice *new_slice(struct sliceplan *plan, struct json *ports)
{
    struct sliceplan_slice *s;

    if (plan->n_slices == plan->cap_slices)
        plan->slices = grow(plan->a, plan->slices, plan->n_slices, &plan->cap_slices, sizeof(*s));
    s = &plan->slices[plan->n_slices++];
    *s = (struct sliceplan_slice){ .ports = ports, .endpoints = json_array(plan->a) };
    return s;
}

static struct json *or_array(struct arena *a, struct json *v)
{
    return json_is(v, JSON_ARRAY) ? v : json_array(a);
}

void sliceplan_take(struct sliceplan *plan, struct object *slice)
{
    struct json *tree = object_tree(slice, plan->a);
    struct sliceplan_slice *s = new_slice(plan, or_array(plan->a, json_get(tree, "ports")));

    s->object = slice;
    s->endpoints = or_array(plan->a, json_get(tree, "endpoints"));
}

static struct sliceplan_group *group_of(struct sliceplan *plan, struct json *ports)
{
    struct sliceplan_group *g;

    for (size_t i = 0; i < plan->n_groups; i++)
        if (json_equal(plan->groups[i].ports, ports))
            return &plan->groups[i];
    if (plan->n_groups == plan->cap_groups)
        plan->groups = grow(plan->a, plan->groups, plan->n_groups, &plan->cap_groups, sizeof(*g));
    g = &plan->groups[plan->n_groups++];
    *g = (struct sliceplan_group){ ports, map_new() };
    return g;
}

static const char *uid_of(const struct json *endpoint)
{
    const char *uid = json_path_str(endpoint, "targetRef.uid");

    return uid ? uid : "";
}

void sliceplan_add(struct sliceplan *plan, struct json *ports, struct json *endpoint)
{
    map_put(group_of(plan, ports)->wanted, uid_of(endpoint), endpoint);
}

/* Keeps and renews what is wanted in this slice, drops the rest. */
static void sift(struct sliceplan *plan, struct sliceplan_group *g, struct sliceplan_slice *s)
{
    struct json *kept = json_array(plan->a), *it;

    json_each(it, s->endpoints) {
        struct json *now = map_del(g->wanted, uid_of(it));

        if (!now) {
            s->changed = true;
            continue;
        }
        s->changed = s->changed || !json_equal(now, it);
        json_append(plan->a, kept, now);
    }
    s->endpoints = kept;
}

static void fill(struct sliceplan *plan, struct sliceplan_group *g, struct sliceplan_slice *s)
{
    const char *uid;
    void *endpoint;

    for (size_t at = 0; json_len(s->endpoints) < SLICEPLAN_MAX &&
                        map_next(g->wanted, &at, &uid, &endpoint);) {
        json_append(plan->a, s->endpoints, endpoint);
        map_del(g->wanted, uid);
        s->changed = true;
    }
}

static bool is_of(const struct sliceplan_slice *s, const struct sliceplan_group *g)
{
    return s->object && !s->drop && json_equal(s->ports, g->ports);
}

/* The fullest unchanged slice that takes all that is left; NULL: none. */
static struct sliceplan_slice *roomy(struct sliceplan *plan, const struct sliceplan_group *g)
{
    struct sliceplan_slice *best = NULL;

    for (size_t i = 0; i < plan->n_slices; i++) {
        struct sliceplan_slice *s = &plan->slices[i];
        size_t n = json_len(s->endpoints);

        if (is_of(s, g) && n + map_len(g->wanted) <= SLICEPLAN_MAX &&
            (!best || n > json_len(best->endpoints)))
            best = s;
    }
    return best;
}

static void fit_group(struct sliceplan *plan, struct sliceplan_group *g)
{
    size_t there = plan->n_slices;
    struct sliceplan_slice *s;

    for (size_t i = 0; i < there; i++)
        if (is_of(&plan->slices[i], g))
            sift(plan, g, &plan->slices[i]);
    for (size_t i = 0; i < there; i++)
        if (is_of(&plan->slices[i], g) && plan->slices[i].changed)
            fill(plan, g, &plan->slices[i]);
    if (map_len(g->wanted) && (s = roomy(plan, g)))
        fill(plan, g, s);
    while (map_len(g->wanted))
        fill(plan, g, new_slice(plan, g->ports));
}

static bool is_placeholder(const struct sliceplan_slice *s)
{
    return !json_len(s->endpoints) && !json_len(s->ports) && !s->changed;
}

/* Empty slices go; but one stays, without ports, when nothing else is left. */
static void drop_empty(struct sliceplan *plan)
{
    struct sliceplan_slice *placeholder = NULL;
    size_t left = 0;

    for (size_t i = 0; i < plan->n_slices; i++) {
        struct sliceplan_slice *s = &plan->slices[i];

        s->drop = !json_len(s->endpoints);
        left += !s->drop;
        if (is_placeholder(s) && !placeholder)
            placeholder = s;
    }
    if (left)
        return;
    if (placeholder)
        placeholder->drop = false;
    else
        new_slice(plan, json_array(plan->a));
}

static bool has_group(const struct sliceplan *plan, const struct sliceplan_slice *s)
{
    for (size_t i = 0; i < plan->n_groups; i++)
        if (is_of(s, &plan->groups[i]))
            return true;
    return false;
}

void sliceplan_fit(struct sliceplan *plan)
{
    for (size_t i = 0; i < plan->n_slices; i++) {
        struct sliceplan_slice *s = &plan->slices[i];

        if (has_group(plan, s) || !json_len(s->endpoints))
            continue;
        s->endpoints = json_array(plan->a);          /* of ports that nobody has any more */
        s->changed = true;
    }
    for (size_t i = 0; i < plan->n_groups; i++) {
        fit_group(plan, &plan->groups[i]);
        plan->groups[i].wanted = map_free(plan->groups[i].wanted, NULL);
    }
    drop_empty(plan);
}
