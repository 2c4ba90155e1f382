/* pod.c -- a pod's life, its tick, and what others may ask of it. */
#include <stdarg.h>
#include <stdio.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "runtime/node/node_event.h"
#include "runtime/node/pod_self.h"
#include "runtime/node/podset.h"

#define FAIL_MESSAGE_BYTES 1024

int64_t pod_now_ms(const struct pod *p)
{
    return loop_now_ms(p->self->loop);
}

const char *pod_key(const struct pod *p, char out[OBJECT_KEY_BYTES])
{
    snprintf(out, OBJECT_KEY_BYTES, "%s_%s(%s)", p->name, p->ns, p->uid);
    return out;
}

/* --- the tick */

static void on_timer(struct loop_timer *t)
{
    struct pod *p = container_of(t, struct pod, timer);

    p->timer_ms = 0;
    pod_touch(p);
}

void pod_touch_at(struct pod *p, int64_t at_ms)
{
    int64_t now = pod_now_ms(p);

    if (at_ms <= now) {
        pod_touch(p);
        return;
    }
    if (p->timer_ms && p->timer_ms <= at_ms)
        return;
    p->timer_ms = at_ms;
    loop_timer_set(p->self->loop, &p->timer, at_ms - now, on_timer);
}

static void on_tick(struct loop_timer *t)
{
    struct pod *p = container_of(t, struct pod, tick);

    sm_tick(&p->sm, p);
    if (p->sm.now == POD_GONE && !p->op.busy) {
        podset_pod_gone(p->self->pods, p);           /* frees it */
        return;
    }
    pod_send_status(p);
    if (p->sm.now == POD_DONE)
        podset_pod_settled(p->self->pods);
}

void pod_touch(struct pod *p)
{
    if (!loop_timer_is_set(&p->tick))
        loop_timer_set(p->self->loop, &p->tick, 0, on_tick);
}

void pod_move(struct pod *p, unsigned to)
{
    log_debug("pod", "pod=%s/%s from=%s to=%s", p->ns, p->name, sm_name(&p->sm),
              pod_step_states[to].name);
    sm_move(&p->sm, to, pod_now_ms(p));
    p->stage = 0;
    p->op = (struct pod_op){ 0 };
}

void pod_op_done(void *ctx, const struct err *err)
{
    struct pod *p = ctx;

    pod_op_end(&p->op, err);
    pod_touch(p);
}

int64_t pod_backoff(int64_t *ms, int64_t min, int64_t max)
{
    *ms = *ms ? *ms * 2 : min;
    if (*ms > max)
        *ms = max;
    return *ms;
}

/* --- life */

static void set_object(struct pod *p, struct object *o)
{
    object_ref(o);
    object_unref(p->object);
    p->object = o;
    p->view = pod_view(o);
    p->deleting = object_is_deleting(o);
}

struct pod *pod_new(struct node_self *self, const struct pod_new_opts *o)
{
    struct pod *p = NEW(struct pod);
    const struct node_conf *conf = self->conf;

    p->self = node_hold(self);
    set_object(p, o->object);
    p->uid = mem_strdup(object_uid(o->object));
    p->ns = mem_strdup(object_ns(o->object));
    p->name = mem_strdup(object_name(o->object));
    list_init(&p->jobs);
    p->start_us = o->start_us ? o->start_us : env_wall_us(self->clock);
    p->end_grace_ms = POD_GRACE_SPEC;
    p->adopted = p->known = p->recorded = o->adopted;
    p->final = mem_strdup(o->final);
    p->dir = mem_printf("%s/pods/%s", conf->run_dir, p->uid);
    p->data = mem_printf("%s/pods/%s", conf->data_dir, p->uid);
    p->group = mem_printf("pod%s", p->uid);
    p->logs = mem_printf("%s/logs/%s_%s_%s", conf->data_dir, p->ns, p->name, p->uid);
    p->has_lease = self->net && pod_net_find(self->net, p->uid, &p->lease);
    sm_init(&p->sm, pod_step_states, POD_STATE_MAX, POD_ADMIT, loop_now_ms(self->loop));
    pod_container_make_all(p);
    pod_container_set_attempts(p, o->attempts);
    pod_claim_address(p);
    pod_touch(p);
    return p;
}

void pod_claim_address(struct pod *p)
{
    const struct pod_status_view *s = &p->view->status;

    if (p->has_lease || !p->self->net || !p->self->network_ready || p->view->spec.host_network ||
        p->final || str_empty(s->pod_ip) || str_eq(s->phase, "Succeeded") ||
        str_eq(s->phase, "Failed"))
        return;
    p->has_lease = pod_net_claim(p->self->net, p->uid, s->pod_ip, &p->lease);
}

struct pod *pod_free(struct pod *p)
{
    if (!p)
        return NULL;
    loop_timer_del(&p->tick);
    loop_timer_del(&p->timer);
    pod_job_orphan(p);
    pod_send_orphan(p);
    pod_sandbox_free(p);
    pod_container_free_all(p);
    pod_volume_free(p);
    loop_timer_del(&p->tick);                /* the shim's last answers touch */
    object_unref(p->object);
    mem_free(p->fail_message);
    mem_free(p->final);
    mem_free(p->sent);
    mem_free(p->sending);
    mem_free(p->told);
    mem_free(p->dir);
    mem_free(p->data);
    mem_free(p->group);
    mem_free(p->logs);
    mem_free(p->uid);
    mem_free(p->ns);
    mem_free(p->name);
    node_drop(p->self);
    mem_free(p);
    return NULL;
}

static bool map_differs(const struct view_map *a, const struct view_map *b)
{
    for (unsigned i = 0; a->n == b->n && i < a->n; i++)
        if (!str_eq(a->v[i].key, b->v[i].key) || !str_eq(a->v[i].value, b->v[i].value))
            return true;
    return a->n != b->n;
}

void pod_set_object(struct pod *p, struct object *o)
{
    const struct object_meta_view *now = &pod_view(o)->metadata;
    struct err err = ERR_INIT;

    check(str_eq(object_uid(o), p->uid));
    if (map_differs(&p->view->metadata.labels, &now->labels) ||
        map_differs(&p->view->metadata.annotations, &now->annotations))
        p->volumes_stale = true;             /* they may show them */
    set_object(p, o);
    p->gone = false;
    pod_send_check(p);
    pod_container_sync(p);
    /* With its status: who comes after us starts from what probes had found. */
    if (p->recorded && p->sm.now < POD_GONE && pod_job_record(p, &err) < 0)
        log_warn("pod not recorded", "pod=%s/%s why=\"%s\"", p->ns, p->name, err.msg);
    pod_touch(p);
}

void pod_set_gone(struct pod *p)
{
    p->gone = true;
    p->deleting = true;
    pod_touch(p);
}

void pod_end(struct pod *p, int64_t grace_ms)
{
    p->ending = true;
    p->end_grace_ms = grace_ms;
    pod_touch(p);
}

void pod_fail(struct pod *p, const char *reason, const char *format, ...)
{
    char text[FAIL_MESSAGE_BYTES];
    va_list args;

    if (p->fail_reason)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    p->fail_reason = reason;
    p->fail_message = mem_strdup(text);
    pod_warn(p, NULL, reason, "%s", text);
}

bool pod_wants_end(const struct pod *p)
{
    return p->deleting || p->ending || p->fail_reason;
}

int64_t pod_grace_ms(const struct pod *p)
{
    const struct pod_view *v = p->view;
    int64_t s = 30;

    if (p->end_grace_ms >= 0)
        return p->end_grace_ms;
    if (v->metadata.has_deletion_grace_period_seconds && p->deleting)
        s = v->metadata.deletion_grace_period_seconds;
    else if (v->spec.has_termination_grace_period_seconds)
        s = v->spec.termination_grace_period_seconds;
    return (s < 1 ? 1 : s) * 1000;
}

/* --- asking */

struct pod_container *pod_find(const struct pod *p, const char *container)
{
    for (size_t i = 0; i < p->n_containers; i++)
        if (str_eq(p->containers[i].name, container))
            return &p->containers[i];
    return NULL;
}

_Static_assert(offsetof(struct ephemeral_container_view, tty) ==
                   offsetof(struct container_view, tty), "the common part");

const struct container_view *pod_spec(const struct pod_container *c)
{
    const struct pod_spec_view *s = &c->pod->view->spec;

    switch (c->kind) {
    case POD_INIT: case POD_SIDECAR:
        return &s->init_containers[c->index];
    case POD_MAIN:
        return &s->containers[c->index];
    case POD_EPHEMERAL:
        return (const struct container_view *)(const void *)&s->ephemeral_containers[c->index];
    }
    check_unreachable();
}

bool pod_is_running(const struct pod_container *c)
{
    return c->now.started && !c->now.ended;
}

bool pod_is_stopping(const struct pod *p)
{
    return p->sm.now >= POD_STOP || pod_wants_end(p);
}

const char *pod_ip(const struct pod *p)
{
    if (p->view->spec.host_network)
        return p->self->conf->ip;
    return p->has_lease ? p->lease.ip : "";
}

static void add_event(struct pod *p, const struct pod_container *c, bool warning,
                      const char *reason, const char *text)
{
    node_events_add(p->self->events,
                    &(struct node_event_about){ .object = p->object,
                                                .field = c ? c->field : NULL,
                                                .warning = warning },
                    reason, "%s", text);
}

void pod_event(struct pod *p, const struct pod_container *c, const char *reason,
               const char *format, ...)
{
    char text[NODE_EVENT_MESSAGE_MAX + 1];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    add_event(p, c, false, reason, text);
}

void pod_warn(struct pod *p, const struct pod_container *c, const char *reason,
              const char *format, ...)
{
    char text[NODE_EVENT_MESSAGE_MAX + 1];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    add_event(p, c, true, reason, text);
}

struct node_env_facts pod_facts(struct pod *p)
{
    const struct node_self *self = p->self;

    return (struct node_env_facts){
        .node_name = self->conf->name, .host_ip = self->conf->ip, .pod_ip = pod_ip(p),
        .node_milli_cpu = self->allocatable.milli_cpu,
        .node_memory_bytes = self->allocatable.memory_bytes,
        .node_storage_bytes = self->allocatable.storage_bytes };
}
