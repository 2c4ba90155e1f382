/* core/sched/sched_cycle.h -- private: one decision about one pod.
 *
 * The tables of filters and scores follow upstream's default plugins, their order and weights.
 * Each may prepare once per cycle; what it prepares lives in the cycle's arena.
 */
#ifndef CORE_SCHED_SCHED_CYCLE_H
#define CORE_SCHED_SCHED_CYCLE_H

#include "core/sched/sched_impl.h"

#define SCHED_WHY_MAX 16                 /* reasons of one node */

enum sched_fit {
    SCHED_FIT = 0,
    SCHED_NO,                            /* other pods are in the way */
    SCHED_NEVER,                         /* whatever goes away */
};

struct sched_spread;                     /* sched_spread.c */
struct sched_inter;                      /* sched_inter.c */

struct sched_cycle {
    struct sched *s;
    struct sched_pod *pod;
    const struct pod_view *v;
    struct arena *a;
    struct sched_spread *hard, *soft;
    struct sched_inter *inter;
    struct sched_node **feasible;        /* what scores look at */
    size_t n_feasible;
    const char *why[SCHED_WHY_MAX];      /* of the node just refused */
    unsigned n_why;
};

static inline void sched_cycle_why(struct sched_cycle *c, const char *text)
{
    if (c->n_why < SCHED_WHY_MAX)
        c->why[c->n_why++] = text;
}

struct sched_filter {
    const char *name;
    void (*prepare)(struct sched_cycle *c);
    enum sched_fit (*fits)(struct sched_cycle *c, struct sched_node *n);
    unsigned wakes;                      /* SCHED_ON_*: what may change its mind */
};

struct sched_score {
    const char *name;
    int64_t weight;
    bool (*prepare)(struct sched_cycle *c);              /* false: nothing to say about this pod */
    int64_t (*score)(struct sched_cycle *c, struct sched_node *n);
    void (*normalize)(struct sched_cycle *c, int64_t *scores);   /* NULL: 0..100 already */
};

/* sched_filter.c */
extern const struct sched_filter sched_filter_table[];
extern const unsigned sched_filter_count;
void sched_filter_prepare(struct sched_cycle *c);
/* All filters in order; the reasons of the first that refuses are in c->why. */
enum sched_fit sched_filter_node(struct sched_cycle *c, struct sched_node *n, unsigned *wakes);

/* sched_score.c: the best of c->feasible; equals by chance. */
struct sched_node *sched_score_best(struct sched_cycle *c);
void sched_score_nodes(struct sched_cycle *c, int64_t *totals);
extern const struct sched_score sched_score_table[];
extern const unsigned sched_score_count;

/* sched_spread.c */
void sched_spread_filter_prepare(struct sched_cycle *c);
enum sched_fit sched_spread_filter(struct sched_cycle *c, struct sched_node *n);
bool sched_spread_score_prepare(struct sched_cycle *c);
int64_t sched_spread_score(struct sched_cycle *c, struct sched_node *n);
void sched_spread_score_normalize(struct sched_cycle *c, int64_t *scores);

/* sched_inter.c */
void sched_inter_filter_prepare(struct sched_cycle *c);
enum sched_fit sched_inter_filter(struct sched_cycle *c, struct sched_node *n);
bool sched_inter_score_prepare(struct sched_cycle *c);
int64_t sched_inter_score(struct sched_cycle *c, struct sched_node *n);
void sched_inter_score_normalize(struct sched_cycle *c, int64_t *scores);
void sched_inter_key(struct buf *b, const struct pod_view *v);   /* its part of a class's key */

/* sched_decide.c: from a pod to a node, or to the reasons why not. */
struct sched_verdict {
    struct sched_node *node;             /* NULL: nowhere */
    char *message;                       /* owned; upstream's words */
    unsigned wakes;
};
void sched_decide(struct sched_pod *p, struct sched_verdict *out);

/* sched_preempt.c: makes room for a pod that fits nowhere. `fits` has what the filters said per
 * node of s->order. Appends upstream's words about it. */
void sched_preempt(struct sched_cycle *c, const uint8_t *fits, struct sched_verdict *out,
                   struct buf *message);
void sched_preempt_nominate(struct sched_pod *p, struct sched_node *n);  /* NULL: no more */
/* The filters, beside the pods for which room is made there and which rank not lower. */
enum sched_fit sched_preempt_filter(struct sched_cycle *c, struct sched_node *n, unsigned *wakes);

/* Reasons of many nodes, counted. */
struct sched_reasons { VEC(struct sched_reason { const char *text; unsigned n; }) v; };
void sched_decide_reason(struct sched_reasons *r, const char *text, unsigned n);
/* "0/3 nodes are available: 1 Insufficient cpu, 2 Too many pods." */
void sched_decide_explain(struct sched_cycle *c, const struct sched_reasons *r, struct buf *out);

#endif
