/* sched_score.c: which of the nodes that fit is best: a table of weighted scores of 0 to 100. */
#include <math.h>

#include "core/sched/sched_cycle.h"

#define MB (1024ll * 1024)
#define IMAGE_MIN (23 * MB)              /* below: not worth a word */
#define IMAGE_MAX (1000 * MB)            /* of one container */

/* 0 to 100 of the largest; `reverse`: the largest gets 0. */
static void normalize_to_max(struct sched_cycle *c, int64_t *scores, bool reverse)
{
    int64_t max = 0;

    for (size_t i = 0; i < c->n_feasible; i++)
        max = scores[i] > max ? scores[i] : max;
    for (size_t i = 0; i < c->n_feasible; i++) {
        int64_t v = max ? SCHED_SCORE_MAX * scores[i] / max : 0;

        scores[i] = reverse ? SCHED_SCORE_MAX - v : v;
    }
}

static void normalize(struct sched_cycle *c, int64_t *scores)
{
    normalize_to_max(c, scores, false);
}

static void normalize_reverse(struct sched_cycle *c, int64_t *scores)
{
    normalize_to_max(c, scores, true);
}

/* --- taints that rather keep pods out */

static int64_t taint_score(struct sched_cycle *c, struct sched_node *n)
{
    const struct node_view *v = sched_node_view(n);
    int64_t score = 0;

    for (unsigned i = 0; i < v->spec.n_taints; i++) {
        if (str_eq(v->spec.taints[i].effect, "PreferNoSchedule") &&
            !sched_match_tolerates(c->v, &v->spec.taints[i]))
            score++;
    }
    return score;
}

/* --- preferred node affinity */

static const struct node_affinity_view *node_affinity(const struct sched_cycle *c)
{
    return c->v->spec.affinity ? c->v->spec.affinity->node_affinity : NULL;
}

static bool affinity_prepare(struct sched_cycle *c)
{
    const struct node_affinity_view *na = node_affinity(c);

    return na && na->n_preferred_during_scheduling_ignored_during_execution;
}

static int64_t affinity_score(struct sched_cycle *c, struct sched_node *n)
{
    const struct node_affinity_view *na = node_affinity(c);
    int64_t score = 0;

    for (unsigned i = 0; i < na->n_preferred_during_scheduling_ignored_during_execution; i++) {
        const struct preferred_scheduling_term_view *t =
            &na->preferred_during_scheduling_ignored_during_execution[i];

        if (sched_match_node_term(&t->preference, n->object))
            score += t->weight;
    }
    return score;
}

/* --- resources */

/* Of 0..SCHED_SCORE_MAX; also for amounts that the product would be too big for. */
static int64_t part_of(int64_t part, int64_t whole)
{
    if (part > INT64_MAX / SCHED_SCORE_MAX)
        return part / (whole / SCHED_SCORE_MAX);
    return part * SCHED_SCORE_MAX / whole;
}

static int64_t least_score(struct sched_cycle *c, struct sched_node *n)
{
    const int64_t has[2] = { n->has.cpu_m, n->has.memory };
    const int64_t want[2] = { n->full_cpu_m + c->pod->full_cpu_m,
                              n->full_memory + c->pod->full_memory };
    int64_t sum = 0, weights = 0;

    for (unsigned i = 0; i < 2; i++) {
        if (!has[i])
            continue;
        weights++;
        if (want[i] <= has[i])
            sum += part_of(has[i] - want[i], has[i]);
    }
    return weights ? sum / weights : 0;
}

static bool balanced_prepare(struct sched_cycle *c)
{
    return c->pod->ask.cpu_m || c->pod->ask.memory;
}

static int64_t balanced_score(struct sched_cycle *c, struct sched_node *n)
{
    const int64_t has[2] = { n->has.cpu_m, n->has.memory };
    const int64_t want[2] = { n->used.cpu_m + c->pod->ask.cpu_m,
                              n->used.memory + c->pod->ask.memory };
    double part[2], deviation = 0;
    unsigned parts = 0;

    for (unsigned i = 0; i < 2; i++) {
        if (!has[i])
            continue;
        part[parts] = (double)want[i] / (double)has[i];
        if (part[parts] > 1)
            part[parts] = 1;
        parts++;
    }
    if (parts == 2)
        deviation = fabs((part[0] - part[1]) / 2);
    return (int64_t)((1 - deviation) * SCHED_SCORE_MAX);
}

/* --- images that are there already */

static bool image_prepare(struct sched_cycle *c)
{
    return map_len(c->s->images) > 0;
}

static int64_t image_bytes(struct sched_cycle *c, const struct sched_node *n, const char *image)
{
    const char *colon = strrchr(image, ':'), *slash = strrchr(image, '/');
    const char *name = image;

    if (!colon || (slash && colon < slash))
        name = arena_printf(c->a, "%s:latest", image);
    for (size_t i = 0; i < n->images.len; i++) {
        const struct sched_held *h = &n->images.v[i];

        if (str_eq(h->name, name))
            return (int64_t)((double)h->bytes * (double)h->image->nodes /
                             (double)c->s->order.len);
    }
    return 0;
}

static int64_t image_score(struct sched_cycle *c, struct sched_node *n)
{
    const struct pod_spec_view *spec = &c->v->spec;
    int64_t containers = spec->n_containers + spec->n_init_containers;
    int64_t max = IMAGE_MAX * (containers ? containers : 1), sum = 0;

    for (unsigned i = 0; n->images.len && i < spec->n_init_containers; i++)
        sum += image_bytes(c, n, spec->init_containers[i].image);
    for (unsigned i = 0; n->images.len && i < spec->n_containers; i++)
        sum += image_bytes(c, n, spec->containers[i].image);
    sum = sum < IMAGE_MIN ? IMAGE_MIN : sum > max ? max : sum;
    return SCHED_SCORE_MAX * (sum - IMAGE_MIN) / (max - IMAGE_MIN);
}

/* --- the table */

const struct sched_score sched_score_table[] = {
    { "TaintToleration", 3, NULL, taint_score, normalize_reverse },
    { "NodeAffinity", 2, affinity_prepare, affinity_score, normalize },
    { "PodTopologySpread", 2, sched_spread_score_prepare, sched_spread_score,
      sched_spread_score_normalize },
    { "InterPodAffinity", 2, sched_inter_score_prepare, sched_inter_score,
      sched_inter_score_normalize },
    { "NodeResourcesFit", 1, NULL, least_score, NULL },
    { "NodeResourcesBalancedAllocation", 1, balanced_prepare, balanced_score, NULL },
    { "ImageLocality", 1, image_prepare, image_score, NULL },
};
const unsigned sched_score_count = ARRAY_LEN(sched_score_table);

void sched_score_nodes(struct sched_cycle *c, int64_t *totals)
{
    int64_t *one = arena_alloc(c->a, c->n_feasible * sizeof(*one));

    for (unsigned t = 0; t < sched_score_count; t++) {
        const struct sched_score *row = &sched_score_table[t];

        if (row->prepare && !row->prepare(c))
            continue;
        for (size_t i = 0; i < c->n_feasible; i++)
            one[i] = row->score(c, c->feasible[i]);
        if (row->normalize)
            row->normalize(c, one);
        for (size_t i = 0; i < c->n_feasible; i++)
            totals[i] += row->weight * one[i];
    }
}

struct sched_node *sched_score_best(struct sched_cycle *c)
{
    int64_t *totals;
    size_t best = 0, equals = 1, pick;
    uint64_t chance;

    if (c->n_feasible == 1)
        return c->feasible[0];
    totals = arena_alloc(c->a, c->n_feasible * sizeof(*totals));
    sched_score_nodes(c, totals);
    for (size_t i = 1; i < c->n_feasible; i++) {
        if (totals[i] > totals[best]) {
            best = i;
            equals = 1;
        } else if (totals[i] == totals[best]) {
            equals++;
        }
    }
    if (equals == 1)
        return c->feasible[best];
    env_random(loop_env(c->s->loop), &chance, sizeof(chance));
    pick = (size_t)(chance % equals);
    for (size_t i = best; ; i++) {
        if (totals[i] == totals[best] && pick-- == 0)
            return c->feasible[i];
    }
}
