/* probe.c -- when to try, and what the results add up to.
 *
 *   startup:  WAIT --successThreshold--> started; then liveness and readiness begin
 *             WAIT --failureThreshold--> unhealthy
 *   liveness: --failureThreshold--> unhealthy, once; nothing is tried after that
 *   readiness: ready <--> not ready
 */
#include "runtime/node/probe.h"

#include "runtime/node/probe_run.h"

#define TRIES 3                          /* of one that cannot even be started */

struct probe {
    struct probe_set *set;
    enum probe_kind kind;
    const struct probe_view *spec;       /* NULL: there is none */
    struct loop_timer tick;
    struct probe_run *run;
    bool last_ok;                        /* result of the last try, and how often in a row */
    int row;
    unsigned tries;
    bool held;                           /* no more of it for this container */
};

struct probe_set {
    struct probe_opts o;
    struct node_exec_target target;
    struct probe probes[PROBE_KIND_MAX];
    bool started, ready;
    struct loop_timer listen;            /* until the ports listen */
    int64_t listen_end_ms;
    bool unhealthy;                      /* told */
    int busy;                            /* in callbacks of the owner */
    bool dead;
};

static const char *const kind_words[] = { [PROBE_STARTUP] = "Startup",
                                          [PROBE_LIVENESS] = "Liveness",
                                          [PROBE_READINESS] = "Readiness" };
_Static_assert(ARRAY_LEN(kind_words) == PROBE_KIND_MAX, "a word for each kind");

static void on_tick(struct loop_timer *t);

static int64_t period_ms(const struct probe *p)
{
    return (p->spec->period_seconds > 0 ? p->spec->period_seconds : 10) * 1000ll;
}

/* From now on: once what is left of the initial delay is over. */
static void begin(struct probe *p, int64_t after_ms)
{
    struct loop *l = p->set->target.loop;
    int64_t delay = p->set->o.started_s + p->spec->initial_delay_seconds - env_wall_s(loop_env(l));

    delay = delay < 0 ? 0 : delay * 1000;
    loop_timer_set(l, &p->tick, delay > after_ms ? delay : after_ms, on_tick);
}

static void begin_others(struct probe_set *s, bool adopted)
{
    for (int k = PROBE_LIVENESS; k < PROBE_KIND_MAX; k++) {
        struct probe *p = &s->probes[k];
        uint32_t random = 0;

        if (!p->spec || p->held)
            continue;
        /* After a restart of ours: not all containers of the node at once. */
        if (adopted)
            env_random(loop_env(s->target.loop), &random, sizeof(random));
        begin(p, adopted ? (int64_t)(random % (uint64_t)period_ms(p)) : 0);
    }
}

static void halt(struct probe *p)
{
    p->held = true;
    loop_timer_del(&p->tick);
    if (p->run)
        probe_run_cancel(p->run);
    p->run = NULL;
}

/* --- without a readiness probe */

static void on_listen(struct loop_timer *t)
{
    struct probe_set *s = container_of(t, struct probe_set, listen);

    if (!node_listen_all(&s->o.ports, s->o.net_pid) &&
        loop_now_ms(s->target.loop) < s->listen_end_ms) {
        loop_timer_set(s->target.loop, t, PROBE_LISTEN_LOOK_MS, on_listen);
        return;
    }
    s->ready = true;
    if (s->o.on_change)
        s->o.on_change(s->o.ctx);
}

/* It has started: is it ready, too? */
static bool settle(struct probe_set *s)
{
    if (s->probes[PROBE_READINESS].spec)
        return false;
    if (!s->o.ports.n || node_listen_all(&s->o.ports, s->o.net_pid))
        return true;
    s->listen_end_ms = loop_now_ms(s->target.loop) + PROBE_LISTEN_MS;
    loop_timer_set(s->target.loop, &s->listen, PROBE_LISTEN_LOOK_MS, on_listen);
    return false;
}

/* --- results */

static void set_started(struct probe_set *s)
{
    s->started = true;
    s->ready = settle(s);
    halt(&s->probes[PROBE_STARTUP]);
    begin_others(s, false);
}

/* True when what the owner sees is different. */
static bool conclude(struct probe *p, bool ok)
{
    struct probe_set *s = p->set;
    bool before = s->ready;

    p->row = p->row && p->last_ok == ok ? p->row + 1 : 1;
    p->last_ok = ok;
    if (p->row < (ok ? p->spec->success_threshold : p->spec->failure_threshold))
        return false;
    if (p->kind == PROBE_READINESS) {
        s->ready = ok;
        return before != ok;
    }
    if (!ok) {
        halt(p);
        s->unhealthy = true;
        return false;
    }
    if (p->kind == PROBE_STARTUP)
        set_started(s);
    return p->kind == PROBE_STARTUP;
}

static void set_free(struct probe_set *s)
{
    for (int k = 0; k < PROBE_KIND_MAX; k++)
        halt(&s->probes[k]);
    loop_timer_del(&s->listen);
    object_unref(s->o.pod);
    mem_free(s);
}

static void tell_event(struct probe *p, enum probe_result r, const char *message)
{
    static const char *const formats[] = {
        [PROBE_WARNING] = "%s probe warning: %s",
        [PROBE_FAILURE] = "%s probe failed: %s",
        [PROBE_ERROR] = "%s probe errored and resulted in unknown state: %s",
    };
    _cleanup_(mem_freep) char *text = NULL;

    if (r == PROBE_SUCCESS || !p->set->o.on_event)
        return;
    text = mem_printf(formats[r], kind_words[p->kind], message);
    p->set->o.on_event(p->set->o.ctx, r == PROBE_WARNING ? "ProbeWarning" : "Unhealthy", text);
}

static int64_t grace_of(const struct probe *p)
{
    return p->spec->has_termination_grace_period_seconds ?
        p->spec->termination_grace_period_seconds : -1;
}

static void on_run(void *ctx, enum probe_result r, const char *message);

static void attempt(struct probe *p)
{
    p->run = probe_run_start(&p->set->target, p->spec, p->set->o.container, on_run, p);
}

static void on_run(void *ctx, enum probe_result r, const char *message)
{
    struct probe *p = ctx;
    struct probe_set *s = p->set;
    bool changed = false, was_unhealthy = s->unhealthy;

    p->run = NULL;
    if (r == PROBE_ERROR && ++p->tries < TRIES) {
        attempt(p);
        return;
    }
    p->tries = 0;
    if (s->o.counts)
        s->o.counts->n[p->kind][r == PROBE_FAILURE ? PROBE_BAD : r == PROBE_ERROR ? PROBE_UNKNOWN
                                                                               : PROBE_GOOD]++;
    s->busy++;
    tell_event(p, r, message);
    if (!s->dead && r != PROBE_ERROR)
        changed = conclude(p, r != PROBE_FAILURE);
    if (!s->dead && changed && s->o.on_change)
        s->o.on_change(s->o.ctx);
    if (!s->dead && s->unhealthy && !was_unhealthy && s->o.on_unhealthy)
        s->o.on_unhealthy(s->o.ctx, p->kind, grace_of(p));
    if (--s->busy == 0 && s->dead)
        set_free(s);
}

static void on_tick(struct loop_timer *t)
{
    struct probe *p = container_of(t, struct probe, tick);

    loop_timer_set(p->set->target.loop, &p->tick, period_ms(p), on_tick);
    if (!p->run)
        attempt(p);
}

/* --- the doors */

struct probe_set *probe_set_new(const struct probe_opts *o)
{
    struct probe_set *s = NEW(struct probe_set);
    const struct container_view *c = o->container;
    const struct probe_view *const specs[] = {
        [PROBE_STARTUP] = c->startup_probe, [PROBE_LIVENESS] = c->liveness_probe,
        [PROBE_READINESS] = c->readiness_probe,
    };

    s->o = *o;
    s->o.pod = object_ref(o->pod);
    s->target = *o->target;
    for (int k = 0; k < PROBE_KIND_MAX; k++)
        s->probes[k] = (struct probe){ .set = s, .kind = (enum probe_kind)k, .spec = specs[k] };
    s->started = o->was_started || !specs[PROBE_STARTUP];
    s->ready = s->started && (o->was_ready || settle(s));
    if (s->started)
        begin_others(s, o->was_started);
    else
        begin(&s->probes[PROBE_STARTUP], 0);
    return s;
}

struct probe_set *probe_set_free(struct probe_set *s)
{
    if (!s)
        return NULL;
    s->dead = true;
    loop_timer_del(&s->listen);
    if (s->busy == 0)
        set_free(s);
    return NULL;
}

bool probe_set_started(const struct probe_set *s) { return s->started; }
bool probe_set_ready(const struct probe_set *s) { return s->ready; }

void probe_set_stop(struct probe_set *s)
{
    halt(&s->probes[PROBE_STARTUP]);
    halt(&s->probes[PROBE_LIVENESS]);
}
