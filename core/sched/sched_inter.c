/* sched_inter.c: pods that want to be near, or far from, other pods. Both sides count: what the pod
 * asks of the pods that run, and what those ask of it. */
#include "core/sched/sched_cycle.h"

typedef const struct pod_affinity_term_view term_t;
typedef const struct weighted_pod_affinity_term_view weighted_t;

/* Counts, or weights, by value of one topology key. */
struct inter_tally {
    struct inter_tally *next;
    unsigned topo;
    int64_t *v;
};

/* What each pod of a class adds to a tally. */
struct inter_effect {
    struct inter_effect *next;
    struct inter_tally *tally;
    int64_t weight;
};

struct sched_inter {
    struct inter_effect **effects;       /* by class */
    struct inter_tally **near, **far;    /* of the pod's required terms */
    unsigned n_near, n_far;
    struct inter_tally *shunned;         /* by required anti-affinity of pods that run */
    struct inter_tally *liked;           /* scores */
    bool near_nobody;                    /* no pod anywhere is what the pod wants to be near to */
    bool near_self;                      /* but the pod itself would be */
};

/* --- terms */

static const struct pod_affinity_view *affinity_of(const struct pod_view *v)
{
    return v->spec.affinity ? v->spec.affinity->pod_affinity : NULL;
}

static const struct pod_anti_affinity_view *anti_of(const struct pod_view *v)
{
    return v->spec.affinity ? v->spec.affinity->pod_anti_affinity : NULL;
}

static bool in_namespaces(struct sched *s, term_t *t, const char *own, const char *ns)
{
    struct object *o;

    if (!t->n_namespaces && !t->namespace_selector)
        return str_eq(own, ns);
    for (unsigned i = 0; i < t->n_namespaces; i++) {
        if (str_eq(t->namespaces[i], ns))
            return true;
    }
    if (!t->namespace_selector)
        return false;
    if (!t->namespace_selector->match_labels.n && !t->namespace_selector->n_match_expressions)
        return true;
    o = informer_get(s->namespaces_in, "", ns);
    return o && sched_match_labels(t->namespace_selector, o);
}

/* Does the term of pod `whose` mean pod `other`? */
static bool term_means(struct sched *s, term_t *t, const struct object *whose,
                       const struct object *other)
{
    if (!in_namespaces(s, t, object_ns(whose), object_ns(other)) ||
        !sched_match_labels(t->label_selector, other))
        return false;
    for (unsigned i = 0; i < t->n_match_label_keys; i++) {
        const char *v = object_label(whose, t->match_label_keys[i]);

        if (v && !str_eq(v, object_label(other, t->match_label_keys[i])))
            return false;
    }
    for (unsigned i = 0; i < t->n_mismatch_label_keys; i++) {
        const char *v = object_label(whose, t->mismatch_label_keys[i]);

        if (v && str_eq(v, object_label(other, t->mismatch_label_keys[i])))
            return false;
    }
    return true;
}

/* --- the part of a class's key: pods with equal terms are alike */

static void key_selector(struct buf *b, const struct label_selector_view *sel)
{
    if (!sel)
        return;
    buf_chr(b, '{');
    for (unsigned i = 0; i < sel->match_labels.n; i++)
        buf_fmt(b, "%s=%s,", sel->match_labels.v[i].key, sel->match_labels.v[i].value);
    for (unsigned i = 0; i < sel->n_match_expressions; i++) {
        const struct label_selector_requirement_view *r = &sel->match_expressions[i];

        buf_fmt(b, "%s %s(", r->key, r->operator);
        for (unsigned k = 0; k < r->n_values; k++)
            buf_fmt(b, "%s,", r->values[k]);
        buf_str(b, "),");
    }
    buf_chr(b, '}');
}

static void key_list(struct buf *b, const char *const *list, unsigned n)
{
    buf_chr(b, '[');
    for (unsigned i = 0; i < n; i++)
        buf_fmt(b, "%s,", list[i]);
    buf_chr(b, ']');
}

static void key_term(struct buf *b, const char *what, int32_t weight, term_t *t)
{
    buf_fmt(b, "\n%s%d %s", what, (int)weight, t->topology_key);
    key_selector(b, t->label_selector);
    key_list(b, t->namespaces, t->n_namespaces);
    key_selector(b, t->namespace_selector);
    key_list(b, t->match_label_keys, t->n_match_label_keys);
    key_list(b, t->mismatch_label_keys, t->n_mismatch_label_keys);
}

static void key_need(struct buf *b, const char *what, term_t *terms, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        key_term(b, what, 0, &terms[i]);
}

static void key_like(struct buf *b, const char *what, weighted_t *terms, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        key_term(b, what, terms[i].weight, &terms[i].pod_affinity_term);
}

void sched_inter_key(struct buf *b, const struct pod_view *v)
{
    const struct pod_affinity_view *near = affinity_of(v);
    const struct pod_anti_affinity_view *far = anti_of(v);

    if (near) {
        key_need(b, "near", near->required_during_scheduling_ignored_during_execution,
                 near->n_required_during_scheduling_ignored_during_execution);
        key_like(b, "near", near->preferred_during_scheduling_ignored_during_execution,
                 near->n_preferred_during_scheduling_ignored_during_execution);
    }
    if (far) {
        key_need(b, "far", far->required_during_scheduling_ignored_during_execution,
                 far->n_required_during_scheduling_ignored_during_execution);
        key_like(b, "far", far->preferred_during_scheduling_ignored_during_execution,
                 far->n_preferred_during_scheduling_ignored_during_execution);
    }
}

/* --- tallies */

static struct inter_tally *tally_new(struct sched_cycle *c, const char *key)
{
    struct inter_tally *t = ANEW(c->a, struct inter_tally);

    t->topo = sched_snapshot_topo(c->s, key);
    t->v = arena_alloc(c->a, (c->s->topos.v[t->topo].n + 1) * sizeof(*t->v));
    return t;
}

static struct inter_tally *tally_for(struct sched_cycle *c, struct inter_tally **list,
                                     const char *key)
{
    unsigned topo = sched_snapshot_topo(c->s, key);
    struct inter_tally *t = *list;

    while (t && t->topo != topo)
        t = t->next;
    if (!t) {
        t = tally_new(c, key);
        t->next = *list;
        *list = t;
    }
    return t;
}

static int64_t tally_of(struct sched_cycle *c, const struct inter_tally *t, struct sched_node *n)
{
    int32_t value = sched_snapshot_topo_of(c->s, n, t->topo);

    return value < 0 ? 0 : t->v[value];
}

static void add_effect(struct sched_cycle *c, struct sched_inter *in, const struct sched_class *k,
                       struct inter_tally *t, int64_t weight)
{
    struct inter_effect *e = ANEW(c->a, struct inter_effect);

    e->tally = t;
    e->weight = weight;
    e->next = in->effects[k->id];
    in->effects[k->id] = e;
}

/* Every pod that runs, into the tallies that its class has an effect on. */
static void run_effects(struct sched_cycle *c, struct sched_inter *in)
{
    for (size_t i = 0; i < c->s->order.len; i++) {
        struct sched_node *n = c->s->order.v[i];

        for (size_t k = 0; k < n->classes.len; k++) {
            struct inter_effect *e = in->effects[n->classes.v[k].class->id];

            for (; e; e = e->next) {
                int32_t value = sched_snapshot_topo_of(c->s, n, e->tally->topo);

                if (value >= 0)
                    e->tally->v[value] += e->weight * (int64_t)n->classes.v[k].n;
            }
        }
    }
}

static struct sched_inter *inter_new(struct sched_cycle *c)
{
    struct sched_inter *in = ANEW(c->a, struct sched_inter);

    in->effects = arena_alloc(c->a, (c->s->classes.len + 1) * sizeof(*in->effects));
    return in;
}

/* --- the filter */

static bool means_all(struct sched_cycle *c, term_t *terms, unsigned n, const struct object *other)
{
    for (unsigned i = 0; i < n; i++) {
        if (!term_means(c->s, &terms[i], c->pod->object, other))
            return false;
    }
    return n > 0;
}

/* The pod's own required terms: near pods that match all, far from those that match any. */
static void own_terms(struct sched_cycle *c, struct sched_inter *in, const struct sched_class *k)
{
    const struct pod_affinity_view *near = affinity_of(c->v);
    const struct pod_anti_affinity_view *far = anti_of(c->v);

    if (in->n_near && means_all(c, near->required_during_scheduling_ignored_during_execution,
                                in->n_near, k->like)) {
        for (unsigned i = 0; i < in->n_near; i++)
            add_effect(c, in, k, in->near[i], 1);
    }
    for (unsigned i = 0; i < in->n_far; i++) {
        if (term_means(c->s, &far->required_during_scheduling_ignored_during_execution[i],
                       c->pod->object, k->like))
            add_effect(c, in, k, in->far[i], 1);
    }
}

/* What pods that run refuse to be near to. */
static void their_terms(struct sched_cycle *c, struct sched_inter *in, const struct sched_class *k)
{
    const struct pod_anti_affinity_view *far = anti_of(pod_view(k->like));
    unsigned n = k->has_anti ? far->n_required_during_scheduling_ignored_during_execution : 0;

    for (unsigned i = 0; i < n; i++) {
        term_t *t = &far->required_during_scheduling_ignored_during_execution[i];

        if (term_means(c->s, t, k->like, c->pod->object))
            add_effect(c, in, k, tally_for(c, &in->shunned, t->topology_key), 1);
    }
}

static struct inter_tally **own_tallies(struct sched_cycle *c, term_t *terms, unsigned n)
{
    struct inter_tally **list = arena_alloc(c->a, (n + 1) * sizeof(*list));

    for (unsigned i = 0; i < n; i++)
        list[i] = tally_new(c, terms[i].topology_key);
    return list;
}

static bool all_zero(struct sched_cycle *c, struct inter_tally **list, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = 0; k < c->s->topos.v[list[i]->topo].n; k++) {
            if (list[i]->v[k])
                return false;
        }
    }
    return true;
}

void sched_inter_filter_prepare(struct sched_cycle *c)
{
    const struct pod_affinity_view *near = affinity_of(c->v);
    const struct pod_anti_affinity_view *far = anti_of(c->v);
    struct sched_inter *in = inter_new(c);

    c->inter = in;
    if (near) {
        term_t *terms = near->required_during_scheduling_ignored_during_execution;

        in->n_near = near->n_required_during_scheduling_ignored_during_execution;
        in->near = own_tallies(c, terms, in->n_near);
        in->near_self = means_all(c, terms, in->n_near, c->pod->object);
    }
    if (far) {
        in->n_far = far->n_required_during_scheduling_ignored_during_execution;
        in->far = own_tallies(c, far->required_during_scheduling_ignored_during_execution,
                              in->n_far);
    }
    for (size_t i = 0; i < c->s->classes.len; i++) {
        const struct sched_class *k = c->s->classes.v[i];

        if (!k)
            continue;
        own_terms(c, in, k);
        their_terms(c, in, k);
    }
    if (in->n_near || in->n_far || in->shunned)
        run_effects(c, in);
    in->near_nobody = all_zero(c, in->near, in->n_near);
}

static bool is_near(struct sched_cycle *c, struct sched_node *n)
{
    const struct sched_inter *in = c->inter;
    bool found = true;

    for (unsigned i = 0; i < in->n_near; i++) {
        if (sched_snapshot_topo_of(c->s, n, in->near[i]->topo) < 0)
            return false;
        found = found && tally_of(c, in->near[i], n) > 0;
    }
    return found || (in->near_nobody && in->near_self);  /* the first of its group */
}

enum sched_fit sched_inter_filter(struct sched_cycle *c, struct sched_node *n)
{
    const struct sched_inter *in = c->inter;

    if (!is_near(c, n)) {
        sched_cycle_why(c, "node(s) didn't match pod affinity rules");
        return SCHED_NEVER;
    }
    for (unsigned i = 0; i < in->n_far; i++) {
        if (tally_of(c, in->far[i], n) > 0) {
            sched_cycle_why(c, "node(s) didn't match pod anti-affinity rules");
            return SCHED_NO;
        }
    }
    for (const struct inter_tally *t = in->shunned; t; t = t->next) {
        if (tally_of(c, t, n) > 0) {
            sched_cycle_why(c, "node(s) didn't satisfy existing pods anti-affinity rules");
            return SCHED_NO;
        }
    }
    return SCHED_FIT;
}

/* --- the score */

/* `whose` would rather (or not, by the sign) be near to `other`; pods of class k are counted. */
static void prefer(struct sched_cycle *c, struct sched_inter *in, const struct sched_class *k,
                   bool own, int sign)
{
    const struct object *whose = own ? c->pod->object : k->like;
    const struct object *other = own ? k->like : c->pod->object;
    const struct pod_affinity_view *near = affinity_of(pod_view(whose));
    const struct pod_anti_affinity_view *far = anti_of(pod_view(whose));
    weighted_t *terms;
    unsigned n;

    if (sign > 0 ? !near : !far)
        return;
    terms = sign > 0 ? near->preferred_during_scheduling_ignored_during_execution
                     : far->preferred_during_scheduling_ignored_during_execution;
    n = sign > 0 ? near->n_preferred_during_scheduling_ignored_during_execution
                 : far->n_preferred_during_scheduling_ignored_during_execution;
    for (unsigned i = 0; i < n; i++) {
        term_t *t = &terms[i].pod_affinity_term;

        if (term_means(c->s, t, whose, other))
            add_effect(c, in, k, tally_for(c, &in->liked, t->topology_key),
                       sign * terms[i].weight);
    }
}

/* A pod that needs to be near to this one counts a little for it. */
static void needed(struct sched_cycle *c, struct sched_inter *in, const struct sched_class *k)
{
    const struct pod_affinity_view *near = affinity_of(pod_view(k->like));
    unsigned n = near ? near->n_required_during_scheduling_ignored_during_execution : 0;

    for (unsigned i = 0; i < n; i++) {
        term_t *t = &near->required_during_scheduling_ignored_during_execution[i];

        if (term_means(c->s, t, k->like, c->pod->object))
            add_effect(c, in, k, tally_for(c, &in->liked, t->topology_key), 1);
    }
}

bool sched_inter_score_prepare(struct sched_cycle *c)
{
    struct sched_inter *in = inter_new(c);

    c->inter = in;
    for (size_t i = 0; i < c->s->classes.len; i++) {
        const struct sched_class *k = c->s->classes.v[i];

        if (!k)
            continue;
        prefer(c, in, k, true, 1);
        prefer(c, in, k, true, -1);
        if (!k->has_terms)
            continue;
        prefer(c, in, k, false, 1);
        prefer(c, in, k, false, -1);
        needed(c, in, k);
    }
    if (!in->liked)
        return false;
    run_effects(c, in);
    return true;
}

int64_t sched_inter_score(struct sched_cycle *c, struct sched_node *n)
{
    int64_t score = 0;

    for (const struct inter_tally *t = c->inter->liked; t; t = t->next)
        score += tally_of(c, t, n);
    return score;
}

void sched_inter_score_normalize(struct sched_cycle *c, int64_t *scores)
{
    int64_t min = INT64_MAX, max = INT64_MIN;

    for (size_t i = 0; i < c->n_feasible; i++) {
        min = scores[i] < min ? scores[i] : min;
        max = scores[i] > max ? scores[i] : max;
    }
    for (size_t i = 0; i < c->n_feasible; i++)
        scores[i] = max > min ? (int64_t)((double)SCHED_SCORE_MAX * (double)(scores[i] - min) /
                                          (double)(max - min)) : 0;
}
