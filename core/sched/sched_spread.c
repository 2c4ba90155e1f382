/* sched_spread.c: topologySpreadConstraints: the strict ones filter, the soft ones score. A pod
 * without any is spread softly over host names and zones, beside the pods that the same Services or
 * the same ReplicaSet select. */
#include <math.h>

#include "core/sched/sched_cycle.h"

struct spread_rule {
    unsigned topo;
    bool hostname;
    bool honor_affinity, honor_taints;   /* nodes the pod cannot use are no domains */
    bool self;                           /* the pod itself matches */
    int32_t max_skew, min_domains;
    uint8_t *match;                      /* by class: its pods count */
    int32_t *counts;                     /* by value; -1: no domain */
    int32_t min;
    double weight;                       /* of scores: log of the number of domains */
};

struct sched_spread {
    struct spread_rule *rules;
    unsigned n;
    bool require_all;                    /* a node must have all of the keys */
};

/* --- which pods a rule counts */

static bool same_keys(const struct topology_spread_constraint_view *t, const struct object *pod,
                      const struct object *other)
{
    for (unsigned i = 0; i < t->n_match_label_keys; i++) {
        const char *value = object_label(pod, t->match_label_keys[i]);

        if (value && !str_eq(value, object_label(other, t->match_label_keys[i])))
            return false;
    }
    return true;
}

static uint8_t *match_explicit(struct sched_cycle *c,
                               const struct topology_spread_constraint_view *t)
{
    uint8_t *match = arena_alloc(c->a, c->s->classes.len + 1);
    const struct object *pod = c->pod->object;

    for (size_t i = 0; i < c->s->classes.len; i++) {
        const struct sched_class *k = c->s->classes.v[i];

        match[i] = k && !k->leaving && str_eq(object_ns(k->like), object_ns(pod)) &&
                   sched_match_labels(t->label_selector, k->like) && same_keys(t, pod, k->like);
    }
    return match;
}

/* Whoever else selects the pod: Services of its namespace and the ReplicaSet it belongs to. */
struct selectors {
    VEC(const struct view_map *) services;
    const struct label_selector_view *set;
};

static bool selects(const struct view_map *selector, const struct object *o)
{
    for (unsigned i = 0; i < selector->n; i++) {
        if (!str_eq(object_label(o, selector->v[i].key), selector->v[i].value))
            return false;
    }
    return selector->n > 0;
}

static bool find_selectors(struct sched_cycle *c, struct selectors *out)
{
    const struct object *pod = c->pod->object;
    const struct object_owner *owner = object_controller(pod);
    struct object *o;

    for (size_t at = 0; (o = informer_next(c->s->services_in, &at));) {
        const struct view_map *sel = &service_view(o)->spec.selector;

        if (str_eq(object_ns(o), object_ns(pod)) && selects(sel, pod))
            vec_push(&out->services, sel);
    }
    if (owner && str_eq(owner->kind, "ReplicaSet") && str_starts(owner->api_version, "apps/")) {
        o = informer_get(c->s->sets_in, object_ns(pod), owner->name);
        if (o && str_eq(object_uid(o), owner->uid))
            out->set = replica_set_view(o)->spec.selector;
    }
    return out->services.len || out->set;
}

static bool selected(const struct selectors *sel, const struct object *o)
{
    for (size_t i = 0; i < sel->services.len; i++) {
        if (!selects(sel->services.v[i], o))
            return false;
    }
    return !sel->set || sched_match_labels(sel->set, o);
}

static uint8_t *match_default(struct sched_cycle *c)
{
    struct selectors sel = { 0 };
    uint8_t *match = NULL;

    if (find_selectors(c, &sel)) {
        match = arena_alloc(c->a, c->s->classes.len + 1);
        for (size_t i = 0; i < c->s->classes.len; i++) {
            const struct sched_class *k = c->s->classes.v[i];

            match[i] = k && !k->leaving &&
                       str_eq(object_ns(k->like), object_ns(c->pod->object)) &&
                       selected(&sel, k->like);
        }
    }
    vec_deinit(&sel.services);
    return match;
}

static int32_t count_on(const struct spread_rule *r, const struct sched_node *n)
{
    int32_t count = 0;

    for (size_t i = 0; i < n->classes.len; i++) {
        if (r->match[n->classes.v[i].class->id])
            count += (int32_t)n->classes.v[i].n;
    }
    return count;
}

/* --- rules */

static void rule_init(struct sched_cycle *c, struct spread_rule *r, const char *key, int32_t skew)
{
    r->topo = sched_snapshot_topo(c->s, key);
    r->hostname = str_eq(key, SCHED_HOSTNAME);
    r->max_skew = skew;
    r->min_domains = 1;
    r->honor_affinity = true;
    r->counts = arena_alloc(c->a, (c->s->topos.v[r->topo].n + 1) * sizeof(*r->counts));
    memset(r->counts, 0xff, (c->s->topos.v[r->topo].n + 1) * sizeof(*r->counts));
}

static struct sched_spread *explicit_rules(struct sched_cycle *c, const char *when)
{
    const struct pod_spec_view *spec = &c->v->spec;
    struct sched_spread *sp = ANEW(c->a, struct sched_spread);

    sp->require_all = true;
    sp->rules = arena_alloc(c->a, (spec->n_topology_spread_constraints + 1) * sizeof(*sp->rules));
    for (unsigned i = 0; i < spec->n_topology_spread_constraints; i++) {
        const struct topology_spread_constraint_view *t = &spec->topology_spread_constraints[i];
        struct spread_rule *r = &sp->rules[sp->n];

        if (!str_eq(t->when_unsatisfiable, when))
            continue;
        rule_init(c, r, t->topology_key, t->max_skew);
        r->match = match_explicit(c, t);
        r->self = sched_match_labels(t->label_selector, c->pod->object);
        r->min_domains = t->has_min_domains ? t->min_domains : 1;
        r->honor_affinity = !str_eq(t->node_affinity_policy, "Ignore");
        r->honor_taints = str_eq(t->node_taints_policy, "Honor");
        sp->n++;
    }
    return sp->n ? sp : NULL;
}

static struct sched_spread *default_rules(struct sched_cycle *c)
{
    uint8_t *match = match_default(c);
    struct sched_spread *sp;

    if (!match)
        return NULL;
    sp = ANEW(c->a, struct sched_spread);
    sp->n = 2;
    sp->rules = arena_alloc(c->a, sp->n * sizeof(*sp->rules));
    rule_init(c, &sp->rules[0], SCHED_HOSTNAME, 3);
    rule_init(c, &sp->rules[1], SCHED_ZONE, 5);
    sp->rules[0].match = sp->rules[1].match = match;
    return sp;
}

static bool has_all_keys(struct sched_cycle *c, const struct sched_spread *sp, struct sched_node *n)
{
    for (unsigned i = 0; i < sp->n; i++) {
        if (sched_snapshot_topo_of(c->s, n, sp->rules[i].topo) < 0)
            return false;
    }
    return true;
}

static bool is_domain(struct sched_cycle *c, const struct spread_rule *r,
                      const struct sched_node *n)
{
    if (r->honor_affinity && !sched_match_node_affinity(c->v, n->object))
        return false;
    return !r->honor_taints || sched_match_taints(c->v, sched_node_view(n));
}

/* --- the filter */

static void find_min(struct spread_rule *r, unsigned values)
{
    int32_t domains = 0;

    r->min = INT32_MAX;
    for (unsigned i = 0; i < values; i++) {
        if (r->counts[i] < 0)
            continue;
        domains++;
        r->min = r->counts[i] < r->min ? r->counts[i] : r->min;
    }
    if (domains < r->min_domains)
        r->min = 0;
}

void sched_spread_filter_prepare(struct sched_cycle *c)
{
    struct sched_spread *sp = NULL;

    if (c->v->spec.n_topology_spread_constraints)
        sp = explicit_rules(c, "DoNotSchedule");
    c->hard = sp;
    for (size_t i = 0; sp && i < c->s->order.len; i++) {
        struct sched_node *n = c->s->order.v[i];

        if (!has_all_keys(c, sp, n))
            continue;
        for (unsigned k = 0; k < sp->n; k++) {
            struct spread_rule *r = &sp->rules[k];
            int32_t *count = &r->counts[sched_snapshot_topo_of(c->s, n, r->topo)];

            if (is_domain(c, r, n))
                *count = (*count < 0 ? 0 : *count) + count_on(r, n);
        }
    }
    for (unsigned k = 0; sp && k < sp->n; k++)
        find_min(&sp->rules[k], c->s->topos.v[sp->rules[k].topo].n);
}

enum sched_fit sched_spread_filter(struct sched_cycle *c, struct sched_node *n)
{
    for (unsigned i = 0; c->hard && i < c->hard->n; i++) {
        const struct spread_rule *r = &c->hard->rules[i];
        int32_t value = sched_snapshot_topo_of(c->s, n, r->topo), have;

        if (value < 0) {
            sched_cycle_why(c, "node(s) didn't match pod topology spread constraints "
                               "(missing required label)");
            return SCHED_NEVER;
        }
        have = r->counts[value] < 0 ? 0 : r->counts[value];
        if ((int64_t)have + r->self - r->min > r->max_skew) {
            sched_cycle_why(c, "node(s) didn't match pod topology spread constraints");
            return SCHED_NO;
        }
    }
    return SCHED_FIT;
}

/* --- the score */

/* Domains are what the feasible nodes have; the rest of the cluster is counted into them. */
static void score_domains(struct sched_cycle *c, struct sched_spread *sp)
{
    size_t usable = 0;

    for (size_t i = 0; i < c->n_feasible; i++) {
        struct sched_node *n = c->feasible[i];

        if (sp->require_all && !has_all_keys(c, sp, n))
            continue;
        usable++;
        for (unsigned k = 0; k < sp->n; k++) {
            struct spread_rule *r = &sp->rules[k];
            int32_t value = sched_snapshot_topo_of(c->s, n, r->topo);

            if (r->hostname || value < 0 || r->counts[value] >= 0)
                continue;
            r->counts[value] = 0;
            r->weight++;
        }
    }
    for (unsigned k = 0; k < sp->n; k++) {
        struct spread_rule *r = &sp->rules[k];

        r->weight = log((r->hostname ? (double)usable : r->weight) + 2);
    }
}

static void score_count(struct sched_cycle *c, struct sched_spread *sp, struct sched_node *n)
{
    if (!n->classes.len || (sp->require_all && !has_all_keys(c, sp, n)))
        return;
    for (unsigned k = 0; k < sp->n; k++) {
        struct spread_rule *r = &sp->rules[k];
        int32_t count = r->hostname ? 0 : count_on(r, n), value;

        if (!count)
            continue;
        value = sched_snapshot_topo_of(c->s, n, r->topo);
        if (value >= 0 && r->counts[value] >= 0 && is_domain(c, r, n))
            r->counts[value] += count;
    }
}

bool sched_spread_score_prepare(struct sched_cycle *c)
{
    struct sched_spread *sp;
    bool wide = false;

    c->soft = sp = c->v->spec.n_topology_spread_constraints
        ? explicit_rules(c, "ScheduleAnyway") : default_rules(c);
    if (!sp)
        return false;
    score_domains(c, sp);
    for (unsigned k = 0; k < sp->n; k++)
        wide = wide || (!sp->rules[k].hostname && c->s->topos.v[sp->rules[k].topo].n);
    for (size_t i = 0; wide && i < c->s->order.len; i++)
        score_count(c, sp, c->s->order.v[i]);
    return true;
}

int64_t sched_spread_score(struct sched_cycle *c, struct sched_node *n)
{
    double score = 0;

    if (c->soft->require_all && !has_all_keys(c, c->soft, n))
        return -1;
    for (unsigned k = 0; k < c->soft->n; k++) {
        const struct spread_rule *r = &c->soft->rules[k];
        int32_t value = sched_snapshot_topo_of(c->s, n, r->topo);

        if (value < 0)
            continue;
        score += (double)(r->hostname ? count_on(r, n) : r->counts[value]) * r->weight +
                 (double)(r->max_skew - 1);
    }
    return (int64_t)round(score);
}

/* The fewer, the better; nodes without the keys get nothing. */
void sched_spread_score_normalize(struct sched_cycle *c, int64_t *scores)
{
    int64_t min = INT64_MAX, max = 0;

    for (size_t i = 0; i < c->n_feasible; i++) {
        if (scores[i] < 0)
            continue;
        min = scores[i] < min ? scores[i] : min;
        max = scores[i] > max ? scores[i] : max;
    }
    for (size_t i = 0; i < c->n_feasible; i++) {
        if (scores[i] < 0)
            scores[i] = 0;
        else
            scores[i] = max ? SCHED_SCORE_MAX * (max + min - scores[i]) / max : SCHED_SCORE_MAX;
    }
}
