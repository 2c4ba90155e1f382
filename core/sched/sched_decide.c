/* sched_decide.c: one decision: nodes from a rotating start until enough fit, the best of those. */
#include <stdlib.h>

#include "core/sched/sched_cycle.h"

struct reason { const char *text; unsigned n; };
struct reasons { VEC(struct reason) v; };

static void add_reason(struct reasons *r, const char *text)
{
    struct reason fresh = { text, 1 };

    for (size_t i = 0; i < r->v.len; i++) {
        if (r->v.v[i].text == text || str_eq(r->v.v[i].text, text)) {
            r->v.v[i].n++;
            return;
        }
    }
    vec_push(&r->v, fresh);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* " 1 Insufficient cpu, 2 Too many pods." in the order of the texts, numbers and all. */
static void write_reasons(struct sched_cycle *c, const struct reasons *r, struct buf *out)
{
    char **texts = arena_alloc(c->a, (r->v.len + 1) * sizeof(*texts));

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
    struct reasons reasons;
    uint8_t *fits;                       /* enum sched_fit per node of s->order */
    unsigned wakes;
};

static void look(struct sched_cycle *c, struct search *f, struct sched_node *n)
{
    enum sched_fit fit = sched_filter_node(c, n, &f->wakes);

    f->fits[n->at] = (uint8_t)fit;
    if (fit == SCHED_FIT)
        c->feasible[c->n_feasible++] = n;
    for (unsigned i = 0; i < c->n_why; i++)
        add_reason(&f->reasons, c->why[i]);
}

static void search(struct sched_cycle *c, struct search *f)
{
    struct sched *s = c->s;
    size_t nodes = s->order.len, want = enough(nodes), at = s->next_start % nodes, seen = 0;

    for (; seen < nodes && c->n_feasible < want; seen++) {
        look(c, f, s->order.v[at]);
        at = at + 1 == nodes ? 0 : at + 1;
    }
    s->next_start = at;
}

static void explain(struct sched_cycle *c, struct search *f, struct sched_verdict *out)
{
    struct buf text = BUF_INIT;

    buf_fmt(&text, "0/%zu nodes are available:", c->s->order.len);
    write_reasons(c, &f->reasons, &text);
    sched_preempt(c, f->fits, &text);
    out->message = buf_take(&text, NULL);
    out->wakes = f->wakes;
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
