/* deploy_plan.c -- the numbers of roll-outs, as upstream counts them. Pure. */
#include "core/control/deploy.h"

#include <stdlib.h>

static int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }

/* "25%" of n, or the number. */
static int64_t scaled(const struct view_int_or_string *v, int64_t n, bool up)
{
    int64_t percent = 0;
    char digits[16];

    if (!v->s)
        return v->i;
    if (str_copy(digits, sizeof(digits), v->s, NULL) < 0 || !strchr(digits, '%'))
        return 0;
    *strchr(digits, '%') = 0;
    if (str_to_i64(digits, 0, INT32_MAX, &percent, NULL) < 0)
        return 0;
    return (percent * n + (up ? 99 : 0)) / 100;
}

void deploy_plan_bounds(struct deploy *d)
{
    const struct deployment_strategy_view *s = &d->view->spec.strategy;

    d->surge = d->unavailable = 0;
    if (!str_eq(s->type, "RollingUpdate") || !s->rolling_update)
        return;
    d->surge = scaled(&s->rolling_update->max_surge, d->replicas, true);
    d->unavailable = scaled(&s->rolling_update->max_unavailable, d->replicas, false);
    if (d->surge == 0 && d->unavailable == 0)
        d->unavailable = 1;              /* a percentage came to nothing; or nothing would move */
    if (d->replicas == 0)
        d->unavailable = 0;
    d->unavailable = min(d->unavailable, d->replicas);
}

static int64_t total_size(const struct deploy *d)
{
    int64_t sum = 0;

    for (unsigned i = 0; i < d->n_sets; i++)
        sum += d->sets[i].size;
    return sum;
}

/* A set that has yet to shrink still counts pods as available that are to go. */
static int64_t total_available(const struct deploy *d)
{
    int64_t sum = 0;

    for (unsigned i = 0; i < d->n_sets; i++)
        sum += min(d->sets[i].view->status.available_replicas, d->sets[i].size);
    return sum;
}

static bool is_rolling(const struct deploy *d)
{
    return str_eq(d->view->spec.strategy.type, "RollingUpdate");
}

int64_t deploy_plan_new_size(const struct deploy *d)
{
    int64_t size = d->fresh ? d->fresh->size : 0, room;

    if (!is_rolling(d))
        return d->replicas;
    room = d->replicas + d->surge - total_size(d);
    return room <= 0 ? size : size + min(room, d->replicas - size);
}

/* --- rolling update */

static bool grow_new(struct deploy *d)
{
    int64_t size = d->fresh->size;

    if (size == d->replicas)
        return false;
    d->fresh->size = size > d->replicas ? d->replicas : deploy_plan_new_size(d);
    return d->fresh->size != size;
}

/* Old pods that serve nobody go first: they cost no availability. */
static int64_t drop_unhealthy(struct deploy *d, int64_t most)
{
    int64_t dropped = 0;

    for (unsigned i = 0; i < d->n_sets && dropped < most; i++) {
        struct deploy_set *s = &d->sets[i];
        int64_t n = min(most - dropped, s->size - s->view->status.available_replicas);

        if (s == d->fresh || n <= 0)
            continue;
        s->size -= n;
        dropped += n;
    }
    return dropped;
}

static int64_t drop_old(struct deploy *d)
{
    int64_t most = total_available(d) - (d->replicas - d->unavailable), dropped = 0;

    for (unsigned i = 0; i < d->n_sets && dropped < most; i++) {
        struct deploy_set *s = &d->sets[i];
        int64_t n = min(s->size, most - dropped);

        if (s == d->fresh || n <= 0)
            continue;
        s->size -= n;
        dropped += n;
    }
    return dropped;
}

static bool shrink_old(struct deploy *d)
{
    int64_t all = total_size(d), fresh = d->fresh ? d->fresh->size : 0;
    int64_t unavailable = d->fresh ? fresh - d->fresh->view->status.available_replicas : 0;
    int64_t most = all - (d->replicas - d->unavailable) - unavailable, dropped;

    if (all == fresh || most <= 0)
        return false;
    dropped = drop_unhealthy(d, most);
    return dropped + drop_old(d) > 0;
}

bool deploy_plan_rolling(struct deploy *d)
{
    return grow_new(d) || shrink_old(d);
}

bool deploy_plan_recreate_down(struct deploy *d)
{
    bool changed = false;

    for (unsigned i = 0; i < d->n_sets; i++) {
        if (&d->sets[i] == d->fresh || d->sets[i].size == 0)
            continue;
        d->sets[i].size = 0;
        changed = true;
    }
    return changed;
}

/* --- scaling */

int64_t deploy_plan_annotation(const struct object *o, const char *key)
{
    const char *text = object_annotation(o, key);
    int64_t n;

    return text && str_to_i64(text, 0, INT32_MAX, &n, NULL) == 0 ? n : -1;
}

bool deploy_plan_is_scaling(const struct deploy *d)
{
    for (unsigned i = 0; i < d->n_sets; i++) {
        int64_t told = deploy_plan_annotation(d->sets[i].o, DEPLOY_DESIRED);

        if (d->sets[i].size > 0 && told >= 0 && told != d->replicas)
            return true;
    }
    return false;
}

/* The only set with pods; without any, the new one or else the youngest; NULL when several have. */
static struct deploy_set *active_or_latest(struct deploy *d)
{
    struct deploy_set *active = NULL;

    for (unsigned i = 0; i < d->n_sets; i++) {
        if (d->sets[i].size == 0)
            continue;
        if (active)
            return NULL;
        active = &d->sets[i];
    }
    if (active || d->n_sets == 0)
        return active;
    return d->fresh ? d->fresh : &d->sets[d->n_sets - 1];
}

static bool is_saturated(const struct deploy *d)
{
    return d->fresh && d->fresh->size == d->replicas &&
           deploy_plan_annotation(d->fresh->o, DEPLOY_DESIRED) == d->replicas &&
           d->fresh->view->status.available_replicas == d->replicas;
}

static int64_t round_div(int64_t a, int64_t b)
{
    return (2 * a + b) / (2 * b);
}

/* How much of the change falls on this set, by its share of the former total. */
static int64_t share_of(const struct deploy *d, const struct deploy_set *s, int64_t left)
{
    int64_t before = deploy_plan_annotation(s->o, DEPLOY_MAX), change;

    if (s->size == 0 || left == 0)
        return 0;
    if (d->replicas == 0)
        return max(-s->size, left);
    if (before <= 0)
        before = d->view->status.replicas;
    if (before <= 0)
        return 0;
    change = round_div(s->size * (d->replicas + d->surge), before) - s->size;
    return left > 0 ? min(change, left) : max(change, left);
}

static int by_size(const struct deploy_set *x, const struct deploy_set *y)
{
    return x->size == y->size ? 0 : x->size > y->size ? -1 : 1;
}

/* Sets come the oldest first, so addresses order them by age. */
static int larger_newer(const void *a, const void *b)
{
    const struct deploy_set *x = *(struct deploy_set *const *)a;
    const struct deploy_set *y = *(struct deploy_set *const *)b;
    int order = by_size(x, y);

    return order ? order : x > y ? -1 : 1;
}

static int larger_older(const void *a, const void *b)
{
    const struct deploy_set *x = *(struct deploy_set *const *)a;
    const struct deploy_set *y = *(struct deploy_set *const *)b;
    int order = by_size(x, y);

    return order ? order : x < y ? -1 : 1;
}

static void scale_in_proportion(struct deploy *d)
{
    struct deploy_set **active = arena_alloc(d->p->a, (d->n_sets + 1) * sizeof(*active));
    int64_t allowed = d->replicas > 0 ? d->replicas + d->surge : 0;
    int64_t change = allowed - total_size(d), done = 0;
    size_t n = 0;

    for (unsigned i = 0; i < d->n_sets; i++)
        if (d->sets[i].size > 0)
            active[n++] = &d->sets[i];
    if (n == 0)
        return;
    if (change)
        qsort(active, n, sizeof(*active), change > 0 ? larger_newer : larger_older);
    for (size_t i = 0; i < n; i++) {
        int64_t share = share_of(d, active[i], change - done);

        active[i]->size += share;
        active[i]->annotate = true;
        done += share;
    }
    active[0]->size = max(0, active[0]->size + change - done);
}

void deploy_plan_scale(struct deploy *d)
{
    struct deploy_set *only = active_or_latest(d);

    if (only) {
        only->size = d->replicas;
    } else if (is_saturated(d)) {
        deploy_plan_recreate_down(d);
    } else if (is_rolling(d)) {
        scale_in_proportion(d);
    }
}
