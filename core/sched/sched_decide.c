/* sched_decide.c: one decision: nodes from a rotating start until enough fit, the best of those. */
#include <stdlib.h>

#include "core/sched/sched_cycle.h"

void sched_decide_reason(struct sched_reasons *r, const char *text, unsigned n)
{
    struct sched_reason fresh = { text, n };

    for (size_t i = 0; i < r->v.len; i++) {
        if (r->v.v[i].text == text || str_eq(r->v.v[i].text, text)) {
            r->v.v[i].n += n;
            return;
        }
    }
    vec_push(&r->v, fresh);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted as texts, numbers and all. */
void sched_decide_explain(struct sched_cycle *c, const struct sched_reasons *r, struct buf *out)
{
    char **texts = arena_alloc(c->a, (r->v.len + 1) * sizeof(*texts));

    buf_fmt(out, "0/%zu nodes are available:", c->s->order.len);
    for (size_t i = 0; i < r->v.len; i++)
        texts[i] = arena_printf(c->a, "%u %s", r->v.v[i].n, r->v.v[i].text);
    qsort(texts, r->v.len, sizeof(*texts), compare_texts);
    for (size_t i = 0; i < r->v.len; i++)
        buf_fmt(out, "%s%s", i ? ", " : " ", texts[i]);
    if (r->v.len)
        buf_chr(out, '.');
}

/* Of many nodes, only so many are looked at that fit. */
static size_t enough(size_t nodes)
{
    size_t percent = nodes / 125 < 50 - SCHED_FEASIBLE_PERCENT_MIN
        ? 50 - nodes / 125 : SCHED_FEASIBLE_PERCENT_MIN;
    size_t n = nodes * percent / 100;

    if (nodes < SCHED_FEASIBLE_MIN)
        return nodes;
    return n < SCHED_FEASIBLE_MIN ? SCHED_FEASIBLE_MIN : n;
}

struct search {
    struct sched_reasons reasons;
    uint8_t *fits;                       /* enum sched_fit per node of s->order */
    unsigned wakes;
};

static void look(struct sched_cycle *c, struct search *f, struct sched_node *n)
{
    enum sched_fit fit = sched_preempt_filter(c, n, &f->wakes);

    f->fits[n->at] = (uint8_t)fit;
    if (fit == SCHED_FIT)
        c->feasible[c->n_feasible++] = n;
    for (unsigned i = 0; i < c->n_why; i++)
        sched_decide_reason(&f->reasons, c->why[i], 1);
}

struct named { VEC(struct sched_node *) nodes; };

static void add_named(struct sched_cycle *c, struct named *out, const char *name)
{
    struct sched_node *n = sched_snapshot_find(c->s, name, false);

    if (!n || !n->object)
        return;
    for (size_t i = 0; i < out->nodes.len; i++) {
        if (out->nodes.v[i] == n)
            return;
    }
    vec_push(&out->nodes, n);
}

/* Pods of a DaemonSet name their node by field. Then no other is looked at: false when any of the
 * terms leaves it open. */
static bool find_named(struct sched_cycle *c, struct named *out)
{
    const struct affinity_view *af = c->v->spec.affinity;
    const struct node_selector_view *need = af && af->node_affinity
        ? af->node_affinity->required_during_scheduling_ignored_during_execution : NULL;

    if (!need || !need->n_node_selector_terms)
        return false;
    for (unsigned i = 0; i < need->n_node_selector_terms; i++) {
        const struct node_selector_term_view *t = &need->node_selector_terms[i];
        const struct node_selector_requirement_view *r = t->match_fields;

        if (!t->n_match_fields || !str_eq(r->key, "metadata.name") || !str_eq(r->operator, "In"))
            return false;
        for (unsigned k = 0; k < r->n_values; k++)
            add_named(c, out, r->values[k]);
    }
    return true;
}

static void search_named(struct sched_cycle *c, struct search *f, const struct named *named)
{
    size_t rest = c->s->order.len - named->nodes.len;

    memset(f->fits, SCHED_NEVER, c->s->order.len);
    for (size_t i = 0; i < named->nodes.len; i++)
        look(c, f, named->nodes.v[i]);
    if (rest)
        sched_decide_reason(&f->reasons, "node(s) didn't satisfy plugin(s) [NodeAffinity]",
                            (unsigned)rest);
    f->wakes |= SCHED_ON_NODE_ADD;
}

static void search(struct sched_cycle *c, struct search *f)
{
    struct sched *s = c->s;
    size_t nodes = s->order.len, want = enough(nodes), at = s->next_start % nodes, seen = 0;
    struct named named = { 0 };

    if (c->pod->nominated && c->pod->nominated->object) {
        struct search once = { .fits = f->fits };

        look(c, &once, c->pod->nominated);
        vec_deinit(&once.reasons.v);
        if (c->n_feasible)
            return;
    }
    if (find_named(c, &named)) {
        search_named(c, f, &named);
    } else {
        for (; seen < nodes && c->n_feasible < want; seen++) {
            look(c, f, s->order.v[at]);
            at = at + 1 == nodes ? 0 : at + 1;
        }
        s->next_start = at;
    }
    vec_deinit(&named.nodes);
}

static void explain(struct sched_cycle *c, struct search *f, struct sched_verdict *out)
{
    struct buf text = BUF_INIT;

    sched_decide_explain(c, &f->reasons, &text);
    out->wakes = f->wakes;
    sched_preempt(c, f->fits, out, &text);
    out->message = buf_take(&text, NULL);
}

void sched_decide(struct sched_pod *p, struct sched_verdict *out)
{
    _cleanup_(arena_freep) struct arena *a = NULL;
    struct sched_cycle c = { .s = p->s, .pod = p, .v = sched_pod_view(p) };
    struct search f = { 0 };

    *out = (struct sched_verdict){ 0 };
    sched_snapshot_order(p->s);
    if (!p->s->order.len) {
        out->message = mem_strdup("no nodes available to schedule pods");
        out->wakes = SCHED_ON_NODE_ADD;
        return;
    }
    a = c.a = arena_new(SCHED_ARENA_MAX);
    f.fits = arena_alloc(a, p->s->order.len);
    c.feasible = arena_alloc(a, p->s->order.len * sizeof(*c.feasible));
    sched_filter_prepare(&c);
    search(&c, &f);
    if (c.n_feasible)
        out->node = sched_score_best(&c);
    else
        explain(&c, &f, out);
    vec_deinit(&f.reasons.v);
}
