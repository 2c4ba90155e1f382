/* pod_kill.c -- ending a running container: preStop, the stop signal, KILL after the grace.
 *
 * All of it lies within one grace period. Sidecars of an ending pod wait until the others are gone,
 * the last one first.
 */
#include <signal.h>

#include "core/base/log.h"
#include "runtime/node/pod_plan.h"
#include "runtime/node/pod_self.h"
#include "runtime/node/probe.h"

#define KILL_AGAIN_MS 5000
#define DRAIN_MS 500                     /* until every proxy has heard that the pod goes */

static bool must_wait(const struct pod_container *c)
{
    const struct pod *p = c->pod;

    if (c->kind != POD_SIDECAR || c->stop_why)
        return false;
    for (size_t i = (size_t)(c - p->containers) + 1; i < p->n_containers; i++) {
        const struct pod_container *o = &p->containers[i];

        if (o->kind != POD_EPHEMERAL && o->now.created && !o->now.ended)
            return true;
    }
    return false;
}

static void begin(struct pod_container *c)
{
    struct pod *p = c->pod;
    bool whole = pod_is_stopping(p);

    c->kill.since_ms = pod_now_ms(p);
    if (whole) {
        c->kill.grace_ms = pod_grace_ms(p);
        if (p->stop_since_ms)
            c->kill.grace_ms -= c->kill.since_ms - p->stop_since_ms;
        pod_event(p, c, "Killing", "Stopping container %s", c->name);
        if (c->probes)
            probe_set_stop(c->probes);
        return;
    }
    c->kill.grace_ms = c->stop_grace_ms >= 0 ? c->stop_grace_ms : pod_grace_ms(p);
    pod_event(p, c, "Killing", "Container %s %s, will be restarted", c->name, c->stop_why);
}

static void on_hook(void *ctx, const struct err *err)
{
    struct pod_container *c = ctx;

    pod_hook_over(c);
    c->kill.hook_over = true;
    if (err)
        pod_warn(c->pod, c, "FailedPreStopHook", "%s", err->msg);
    pod_touch(c->pod);
}

/* True: it is over, or there is none. */
static bool hook(struct pod_container *c, int64_t left_ms)
{
    const struct container_view *v = pod_spec(c);
    struct node_exec_target target;

    if (c->kill.hook_begun)
        return c->kill.hook_over;
    c->kill.hook_begun = true;
    if (!v->lifecycle || !v->lifecycle->pre_stop || left_ms <= 0 || !pod_target(c, &target)) {
        c->kill.hook_over = true;
        return true;
    }
    pod_hook_start(c, v->lifecycle->pre_stop, left_ms, on_hook);
    return false;
}

static bool is_behind_service(const struct pod *p)
{
    struct object *service;

    for (size_t at = 0; p->self->services && (service = informer_next(p->self->services, &at));) {
        const struct view_map *s = &service_view(service)->spec.selector;
        unsigned i = 0;

        if (!str_eq(object_ns(service), p->ns))
            continue;
        while (i < s->n && str_eq(object_label(p->object, s->v[i].key), s->v[i].value))
            i++;
        if (s->n && i == s->n)
            return true;
    }
    return false;
}

/* Those who have not yet heard that a deleted pod goes still send it their connections: it serves
 * them a moment longer. Not with a preStop hook, which is the user's own way to do that. */
static bool must_drain(const struct pod_container *c, int64_t now)
{
    const struct container_view *v = pod_spec(c);

    return c->pod->deleting && !c->pod->gone && now < c->kill.since_ms + DRAIN_MS &&
           c->kill.grace_ms >= 2 * DRAIN_MS && !(v->lifecycle && v->lifecycle->pre_stop) &&
           is_behind_service(c->pod);
}

static void on_killed(void *ctx, const struct err *err)
{
    struct pod_container *c = ctx;

    if (err && err->code != ERR_CANCELED)
        log_warn("container not killed", "container=%s id=%s why=\"%s\"", c->name, c->now.id,
                 err->msg);
}

static void send(struct pod_container *c, bool hard)
{
    struct pod *p = c->pod;

    if (!p->shim || p->shim_lost)
        return;
    if (hard)
        p->self->shims->kill_all(p->shim, c->now.id, on_killed, c);
    else
        p->self->shims->kill_container(p->shim, c->now.id, pod_plan_signal(c->stop_signal),
                                       on_killed, c);
}

static void kill_now(struct pod_container *c)
{
    c->kill.killed = true;
    pod_hook_drop(c);
    send(c, true);
    pod_touch_at(c->pod, pod_now_ms(c->pod) + KILL_AGAIN_MS);
}

enum sm_next pod_container_step_kill(void *owner)
{
    struct pod_container *c = owner;
    int64_t now = pod_now_ms(c->pod), end, min;

    if (c->now.ended) {
        sm_move(&c->sm, POD_C_EXITED, now);
        return SM_AGAIN;
    }
    if (must_wait(c))
        return SM_WAIT;
    if (!c->kill.since_ms)
        begin(c);
    end = c->kill.since_ms + c->kill.grace_ms;
    if (!c->now.started) {                   /* created only: it can hear nothing */
        kill_now(c);
        return SM_WAIT;
    }
    if (!c->kill.termed && must_drain(c, now)) {
        pod_touch_at(c->pod, c->kill.since_ms + DRAIN_MS);
        return SM_WAIT;
    }
    if (!c->kill.termed && !hook(c, end - now) && now < end) {
        pod_touch_at(c->pod, end);
        return SM_WAIT;
    }
    if (!c->kill.termed) {
        c->kill.termed = true;
        min = now + POD_GRACE_MIN_MS;
        if (c->pod->end_grace_ms < 0 && end < min)
            c->kill.grace_ms = min - c->kill.since_ms;
        send(c, false);
        end = c->kill.since_ms + c->kill.grace_ms;
    }
    if (now >= end)
        kill_now(c);
    else
        pod_touch_at(c->pod, end);
    return SM_WAIT;
}
