/* sched_queue.c: pods that wait: ready by priority and age, backing off by time, parked until an
 * event that may help them. */
#include "core/sched/sched_impl.h"

static int64_t now_ms(const struct sched *s)
{
    return env_mono_ms(loop_env(s->loop));
}

void sched_queue_init(struct sched *s)
{
    list_init(&s->parked);
}

void sched_queue_deinit(struct sched *s)
{
    heap_deinit(&s->active);
    heap_deinit(&s->backoff);
    loop_timer_del(&s->turn);
    loop_timer_del(&s->tick);
}

void sched_queue_remove(struct sched_pod *p)
{
    if (p->state == SCHED_ACTIVE)
        heap_remove(&p->s->active, &p->in_heap);
    else if (p->state == SCHED_BACKOFF)
        heap_remove(&p->s->backoff, &p->in_heap);
    else if (p->state == SCHED_PARKED)
        list_del(&p->parked);
    sched_metric_state(p, SCHED_NEW);
}

/* Higher priorities first, then the older pod; the heap keeps the order of arrival of equals. */
static int64_t rank(const struct sched_pod *p)
{
    int64_t priority = sched_pod_view(p)->spec.priority;

    if (priority <= INT32_MIN)
        priority = INT32_MIN + 1;
    return -priority * (1ll << 32) + (object_created_s(p->object) & 0xffffffffll);
}

void sched_queue_active(struct sched_pod *p)
{
    sched_queue_remove(p);
    sched_metric_state(p, SCHED_ACTIVE);
    if (!p->queued_ns)
        p->queued_ns = metric_now_ns();
    heap_push(&p->s->active, &p->in_heap, rank(p));
    sched_kick(p->s);
}

struct sched_pod *sched_queue_pop(struct sched *s)
{
    struct heap_node *n = heap_min(&s->active);
    struct sched_pod *p;

    if (!n)
        return NULL;
    p = container_of(n, struct sched_pod, in_heap);
    sched_queue_remove(p);
    return p;
}

/* --- time */

static int64_t backoff_ms(const struct sched_pod *p)
{
    int64_t ms = SCHED_BACKOFF_MIN_MS;

    for (unsigned i = 1; i < p->attempts && ms < SCHED_BACKOFF_MAX_MS; i++)
        ms *= 2;
    return ms < SCHED_BACKOFF_MAX_MS ? ms : SCHED_BACKOFF_MAX_MS;
}

static void on_tick(struct loop_timer *t);

/* The tick comes when the first pod has backed off enough, or has been parked too long. */
static void arm(struct sched *s)
{
    struct heap_node *n = heap_min(&s->backoff);
    int64_t at = INT64_MAX;

    if (n)
        at = n->key;
    if (!list_empty(&s->parked)) {
        struct sched_pod *p = list_first(&s->parked, struct sched_pod, parked);

        if (p->parked_ms + SCHED_PARKED_MAX_MS < at)
            at = p->parked_ms + SCHED_PARKED_MAX_MS;
    }
    if (at == INT64_MAX)
        loop_timer_del(&s->tick);
    else
        loop_timer_set(s->loop, &s->tick, at > now_ms(s) ? at - now_ms(s) : 0, on_tick);
}

static void backoff_until(struct sched_pod *p, int64_t at)
{
    sched_queue_remove(p);
    sched_metric_state(p, SCHED_BACKOFF);
    heap_push(&p->s->backoff, &p->in_heap, at);
    arm(p->s);
}

static void on_tick(struct loop_timer *t)
{
    struct sched *s = container_of(t, struct sched, tick);
    int64_t now = now_ms(s);

    for (struct heap_node *n; (n = heap_min(&s->backoff)) && n->key <= now;)
        sched_queue_active(container_of(n, struct sched_pod, in_heap));
    list_each(p, &s->parked, struct sched_pod, parked) {
        if (p->parked_ms + SCHED_PARKED_MAX_MS > now)
            break;
        sched_queue_active(p);
    }
    arm(s);
}

void sched_queue_backoff(struct sched_pod *p)
{
    backoff_until(p, now_ms(p->s) + backoff_ms(p));
}

/* --- parked pods */

void sched_queue_park(struct sched_pod *p, unsigned wakes)
{
    sched_queue_remove(p);
    sched_metric_state(p, SCHED_PARKED);
    p->wakes = wakes;
    p->parked_ms = now_ms(p->s);
    list_push(&p->s->parked, &p->parked);
    arm(p->s);
}

void sched_queue_wake(struct sched *s, unsigned events)
{
    if (!events)
        return;
    s->woken |= events;
    if (!list_empty(&s->parked))
        sched_kick(s);
}

void sched_queue_stir(struct sched *s)
{
    unsigned events = s->woken;

    s->woken = 0;
    if (!events)
        return;
    list_each(p, &s->parked, struct sched_pod, parked) {
        int64_t at = p->parked_ms + backoff_ms(p);

        if (!(p->wakes & events))
            continue;
        if (at <= now_ms(s))
            sched_queue_active(p);
        else
            backoff_until(p, at);
    }
}
