/* sched_preempt.c: room for a pod that fits nowhere: which node has pods of lower priority whose
 * end would help, and which of them are the least loss. They are deleted with their grace; until
 * they are gone the pod is nominated to the node, so that nobody lower takes the room. */
#include <stdlib.h>

#include "core/sched/sched_cycle.h"

#define CANDIDATES_MIN 100
#define CANDIDATES_PERCENT 10

static int32_t priority(const struct sched_pod *p)
{
    return sched_pod_view(p)->spec.priority;
}

void sched_preempt_nominate(struct sched_pod *p, struct sched_node *n)
{
    struct sched_node *old = p->nominated;

    if (old == n)
        return;
    p->nominated = n;
    if (old) {
        list_del(&p->in_nominated);
        sched_snapshot_tidy(p->s, old);
    }
    if (n)
        list_push(&n->nominated, &p->in_nominated);
}

/* --- filters beside nominated pods */

static bool counts(const struct sched_pod *q, const struct sched_pod *p)
{
    return q != p && !q->node && priority(q) >= priority(p);
}

enum sched_fit sched_preempt_filter(struct sched_cycle *c, struct sched_node *n, unsigned *wakes)
{
    enum sched_fit fit = sched_filter_node(c, n, wakes);
    bool any = false;

    if (fit != SCHED_FIT || list_empty(&n->nominated))
        return fit;
    list_each(q, &n->nominated, struct sched_pod, in_nominated) {
        if (counts(q, c->pod)) {
            sched_snapshot_place(q, n);
            any = true;
        }
    }
    if (any)
        fit = sched_filter_node(c, n, wakes);
    list_each(q, &n->nominated, struct sched_pod, in_nominated) {
        if (q->node)
            sched_snapshot_unplace(q);
    }
    return fit;
}

/* --- one node tried */

struct candidate {
    struct sched_node *node;
    VEC(struct sched_pod *) victims;     /* most important first */
};

/* The filters again, after pods went or came. Rules about other pods are counted anew. */
static enum sched_fit try_again(struct sched_cycle *c, struct sched_node *n)
{
    struct sched_cycle again = { .s = c->s, .pod = c->pod, .v = c->v };
    enum sched_fit fit;
    unsigned wakes = 0;

    again.a = arena_new(SCHED_ARENA_MAX);
    sched_filter_prepare(&again);
    fit = sched_preempt_filter(&again, n, &wakes);
    c->n_why = again.n_why;
    memcpy(c->why, again.why, sizeof(c->why));
    arena_free(again.a);
    return fit;
}

static int more_important(const void *a, const void *b)
{
    const struct sched_pod *x = *(struct sched_pod *const *)a, *y = *(struct sched_pod *const *)b;
    int64_t sx = sched_pod_view(x)->status.start_time_s;
    int64_t sy = sched_pod_view(y)->status.start_time_s;

    if (priority(x) != priority(y))
        return priority(x) > priority(y) ? -1 : 1;
    if (sx != sy)
        return sx < sy ? -1 : 1;
    return strcmp(object_uid(x->object), object_uid(y->object));
}

/* Takes all lower pods off, then puts back whoever may stay. False: it would not help. */
static bool find_victims(struct sched_cycle *c, struct candidate *k)
{
    struct sched_node *n = k->node;
    VEC(struct sched_pod *) lower = { 0 };
    bool helps;

    for (size_t i = 0; i < n->pods.len; i++) {
        if (priority(n->pods.v[i]) < priority(c->pod))
            vec_push(&lower, n->pods.v[i]);
    }
    if (!lower.len) {
        c->n_why = 0;
        sched_cycle_why(c, "No preemption victims found for incoming pod");
        return false;
    }
    qsort(lower.v, lower.len, sizeof(*lower.v), more_important);
    for (size_t i = 0; i < lower.len; i++)
        sched_snapshot_unplace(lower.v[i]);
    helps = try_again(c, n) == SCHED_FIT;
    for (size_t i = 0; i < lower.len; i++) {
        sched_snapshot_place(lower.v[i], n);
        if (!helps || try_again(c, n) == SCHED_FIT)
            continue;
        sched_snapshot_unplace(lower.v[i]);
        vec_push(&k->victims, lower.v[i]);
    }
    for (size_t i = 0; i < k->victims.len; i++)
        sched_snapshot_place(k->victims.v[i], n);
    vec_deinit(&lower);
    return helps;
}

/* --- the least loss */

static int64_t earliest_start(const struct candidate *k)
{
    int64_t least = INT64_MAX;

    for (size_t i = 0; i < k->victims.len; i++) {
        int64_t s = sched_pod_view(k->victims.v[i])->status.start_time_s;

        if (priority(k->victims.v[i]) == priority(k->victims.v[0]) && s < least)
            least = s;
    }
    return least;
}

static int64_t sum_of(const struct candidate *k)
{
    int64_t sum = 0;

    for (size_t i = 0; i < k->victims.len; i++)
        sum += (int64_t)priority(k->victims.v[i]) + INT32_MAX + 1;
    return sum;
}

static bool is_better(const struct candidate *a, const struct candidate *b)
{
    int64_t x, y;

    if (!a->victims.len || !b->victims.len)
        return !a->victims.len && b->victims.len;
    if ((x = priority(a->victims.v[0])) != (y = priority(b->victims.v[0])))
        return x < y;
    if ((x = sum_of(a)) != (y = sum_of(b)))
        return x < y;
    if (a->victims.len != b->victims.len)
        return a->victims.len < b->victims.len;
    return earliest_start(a) > earliest_start(b);
}

struct hunt {
    struct sched_reasons reasons;
    struct candidate best;
    size_t found, explained;
};

static void hunt(struct sched_cycle *c, const uint8_t *fits, struct hunt *h)
{
    size_t nodes = c->s->order.len, at = c->s->next_start % nodes, want = 0;

    for (size_t i = 0; i < nodes; i++)
        want += fits[i] == SCHED_NO;
    want = want * CANDIDATES_PERCENT / 100;
    want = want < CANDIDATES_MIN ? CANDIDATES_MIN : want;
    for (size_t i = 0; i < nodes && h->found < want; i++, at = at + 1 == nodes ? 0 : at + 1) {
        struct candidate k = { .node = c->s->order.v[at] };

        if (fits[at] != SCHED_NO)
            continue;
        if (!find_victims(c, &k)) {
            h->explained++;
            for (unsigned w = 0; w < c->n_why; w++)
                sched_decide_reason(&h->reasons, c->why[w], 1);
            continue;
        }
        if (!h->found++ || is_better(&k, &h->best)) {
            struct candidate worse = h->best;

            h->best = k;
            k = worse;
        }
        vec_deinit(&k.victims);
    }
}

/* --- doing it */

static void evict(struct sched_cycle *c, const struct candidate *k)
{
    sched_metric_preempt(c->s, k->victims.len);
    for (size_t i = 0; i < k->victims.len; i++)
        sched_report_victim(k->victims.v[i], c->pod, k->node->name);
    list_each(q, &k->node->nominated, struct sched_pod, in_nominated) {
        if (q == c->pod || priority(q) >= priority(c->pod))
            continue;
        sched_preempt_nominate(q, NULL);                 /* it has to look elsewhere */
        sched_report_nominated(q, NULL);
    }
    sched_preempt_nominate(c->pod, k->node);
    if (!str_eq(c->v->status.nominated_node_name, k->node->name))
        sched_report_nominated(c->pod, k->node->name);
}

/* Room is being made already: somebody lower is on the way out. */
static bool is_waiting(const struct sched_cycle *c, const uint8_t *fits)
{
    struct sched_node *n = c->pod->nominated;

    if (!n || !n->object || fits[n->at] == SCHED_NEVER)
        return false;
    for (size_t i = 0; i < n->pods.len; i++) {
        if (object_is_deleting(n->pods.v[i]->object) && priority(n->pods.v[i]) < priority(c->pod))
            return true;
    }
    return false;
}

static void in_vain(struct sched_cycle *c, struct hunt *h, struct buf *message)
{
    size_t rest = c->s->order.len - h->explained;

    sched_metric_preempt(c->s, 0);
    if (rest)
        sched_decide_reason(&h->reasons, "Preemption is not helpful for scheduling",
                            (unsigned)rest);
    sched_decide_explain(c, &h->reasons, message);
    sched_preempt_nominate(c->pod, NULL);
    if (*c->v->status.nominated_node_name)
        sched_report_nominated(c->pod, NULL);
}

void sched_preempt(struct sched_cycle *c, const uint8_t *fits, struct sched_verdict *out,
                   struct buf *message)
{
    struct hunt h = { 0 };
    size_t before = message->len;

    buf_str(message, " no new claims to deallocate, preemption: ");
    if (str_eq(c->v->spec.preemption_policy, "Never")) {
        buf_str(message, "not eligible due to preemptionPolicy=Never.");
        return;
    }
    if (is_waiting(c, fits)) {
        buf_str(message, "not eligible due to a terminating pod on the nominated node.");
        out->wakes |= SCHED_ON_POD_GONE;
        return;
    }
    hunt(c, fits, &h);
    if (h.found) {
        message->len = before;                           /* upstream is silent about success */
        message->p[before] = '\0';
        evict(c, &h.best);
        out->wakes |= SCHED_ON_POD_GONE;
    } else {
        in_vain(c, &h, message);
    }
    vec_deinit(&h.best.victims);
    vec_deinit(&h.reasons.v);
}
