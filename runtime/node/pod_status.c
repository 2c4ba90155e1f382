/* pod_status.c -- phase, conditions, addresses; containers are in pod_status_container.c. */
#include "runtime/node/pod_status.h"

#include <inttypes.h>

#include "core/base/mem.h"
#include "core/base/timefmt.h"
#include "runtime/node/pod_self.h"
#include "runtime/node/pod_status_int.h"
#include "runtime/node/probe.h"

#define ARENA_BYTES (4u << 20)

bool pod_status_is_over(const struct pod *p)
{
    bool mains_done = true;

    if (p->fail_reason)
        return true;
    for (size_t i = 0; i < p->n_containers; i++) {
        const struct pod_container *c = &p->containers[i];

        if (c->kind == POD_INIT && pod_container_is_done(c) && c->now.exit_code != 0)
            return true;
        if (c->kind == POD_MAIN && !pod_container_is_done(c))
            mains_done = false;
    }
    return mains_done;
}

/* --- phase */

struct tally {
    unsigned init_pending, init_failed, side_pending, unknown, running, waiting, stopped,
        not_again, succeeded;
};

static void tally_init(struct tally *t, const struct pod_container *c)
{
    const struct pod_run *r = &c->now;

    if (!r->ended) {
        t->init_pending++;
        return;
    }
    if (r->exit_code != 0 && pod_container_is_done(c))
        t->init_failed++;
    else if (r->exit_code != 0 && !c->last.ended && !c->waiting)
        t->init_pending++;
}

static void tally_side(struct tally *t, const struct pod_container *c)
{
    if (pod_is_running(c)) {
        t->running++;
        if (!pod_status_started(c))
            t->side_pending++;
    } else if (!c->now.ended && !c->last.ended) {
        t->side_pending++;
        t->waiting++;
    }
}

static void tally_main(struct tally *t, const struct pod_container *c)
{
    const struct pod_run *r = c->now.created ? &c->now : &c->last;

    if (pod_is_running(c)) {
        t->running++;
    } else if (r->ended) {
        t->stopped++;
        t->not_again += c->now.ended && pod_container_is_done(c);
        t->succeeded += r->exit_code == 0;
    } else {
        t->waiting++;
    }
}

static bool main_began(const struct pod *p)
{
    for (size_t i = 0; i < p->n_containers; i++) {
        const struct pod_container *c = &p->containers[i];

        if (c->kind == POD_MAIN && (c->now.started || c->last.ended))
            return true;
    }
    return false;
}

static const char *phase_of(const struct pod *p, bool over)
{
    struct tally t = { 0 };
    const char *before = p->view->status.phase;

    if (p->fail_reason)
        return "Failed";
    if (str_eq(before, "Failed") || str_eq(before, "Succeeded"))
        return before;
    for (size_t i = 0; i < p->n_containers; i++) {
        const struct pod_container *c = &p->containers[i];

        if (c->kind == POD_INIT)
            tally_init(&t, c);
        else if (c->kind == POD_SIDECAR)
            tally_side(&t, c);
        else if (c->kind == POD_MAIN)
            tally_main(&t, c);
    }
    if (t.init_failed)
        return "Failed";
    if (over)                                /* nothing runs, nothing will */
        return t.stopped && t.stopped == t.succeeded && !t.waiting && !t.running ? "Succeeded"
                                                                                 : "Failed";
    if ((t.init_pending || t.side_pending) && !main_began(p))
        return "Pending";
    if (t.waiting)
        return "Pending";
    if (t.running)
        return "Running";
    if (!t.stopped)
        return "Pending";
    if (t.stopped != t.not_again)
        return "Running";
    return t.stopped == t.succeeded ? "Succeeded" : "Failed";
}

/* --- conditions */

struct maker {
    struct arena *a;
    const struct pod *p;
    const char *phase;
    int64_t now_s;
    struct json *list;
};

struct condition { const char *type; bool on; const char *reason, *message; };

static void add_condition(struct maker *m, struct condition c)
{
    const struct pod_status_view *s = &m->p->view->status;
    struct json *o = json_object(m->a);
    int64_t since = m->now_s;
    char text[TIMEFMT_BYTES];

    for (unsigned i = 0; i < s->n_conditions; i++)
        if (str_eq(s->conditions[i].type, c.type) &&
            str_eq(s->conditions[i].status, c.on ? "True" : "False") &&
            s->conditions[i].last_transition_time_s)
            since = s->conditions[i].last_transition_time_s;
    json_set_str(m->a, o, "type", c.type);
    if (object_generation(m->p->object))
        json_set_int(m->a, o, "observedGeneration", object_generation(m->p->object));
    json_set_str(m->a, o, "status", c.on ? "True" : "False");
    json_set(m->a, o, "lastProbeTime", json_null(m->a));
    if (m->now_s >= 0) {
        timefmt_rfc3339(text, since);
        json_set_str(m->a, o, "lastTransitionTime", text);
    }
    json_set(m->a, o, "reason", c.reason ? json_str(m->a, c.reason) : json_null(m->a));
    json_set(m->a, o, "message", c.message ? json_str(m->a, c.message) : json_null(m->a));
    json_append(m->a, m->list, o);
}

/* "containers with unready status: [a b]" of those that are not; NULL when all are. */
static const char *those(struct maker *m, const char *what,
                         bool (*is_fine)(const struct pod_container *))
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    for (size_t i = 0; i < m->p->n_containers; i++) {
        const struct pod_container *c = &m->p->containers[i];

        if (!is_fine(c))
            buf_fmt(&b, "%s%s", b.len ? " " : "", c->name);
    }
    return b.len ? arena_printf(m->a, "containers with %s status: [%s]", what, b.p) : NULL;
}

static bool is_ready(const struct pod_container *c)
{
    return (c->kind != POD_MAIN && c->kind != POD_SIDECAR) || pod_status_ready(c);
}

static bool is_initialized(const struct pod_container *c)
{
    if (c->kind == POD_INIT)
        return c->now.ended && c->now.exit_code == 0;
    return c->kind != POD_SIDECAR || pod_status_started(c);
}

static struct condition containers_ready(struct maker *m)
{
    struct condition c = { .type = "ContainersReady" };

    if (str_eq(m->phase, "Succeeded"))
        c.reason = "PodCompleted";
    else if (str_eq(m->phase, "Failed"))
        c.reason = "PodFailed";
    else if ((c.message = those(m, "unready", is_ready)) != NULL)
        c.reason = "ContainersNotReady";
    else
        c.on = true;
    return c;
}

static struct condition initialized(struct maker *m)
{
    struct condition c = { .type = "Initialized", .on = true };

    if (str_eq(m->phase, "Succeeded")) {
        c.reason = "PodCompleted";
    } else if (!main_began(m->p) &&
               (c.message = those(m, "incomplete", is_initialized)) != NULL) {
        c.on = false;
        c.reason = "ContainersNotInitialized";
    }
    return c;
}

static struct condition pod_ready(struct maker *m, struct condition containers)
{
    const struct pod_view *v = m->p->view;
    _cleanup_buf_ struct buf b = BUF_INIT;

    containers.type = "Ready";
    if (!containers.on)
        return containers;
    for (unsigned i = 0; i < v->spec.n_readiness_gates; i++) {
        const char *type = v->spec.readiness_gates[i].condition_type, *status = NULL;

        for (unsigned n = 0; n < v->status.n_conditions; n++)
            if (str_eq(v->status.conditions[n].type, type))
                status = v->status.conditions[n].status;
        if (!status)
            buf_fmt(&b, "%scorresponding condition of pod readiness gate \"%s\" does not exist.",
                    b.len ? ", " : "", type);
        else if (!str_eq(status, "True"))
            buf_fmt(&b, "%sthe status of pod readiness gate \"%s\" is not \"True\", but %s",
                    b.len ? ", " : "", type, status);
    }
    if (b.len == 0)
        return containers;
    return (struct condition){ "Ready", false, "ReadinessGatesNotReady",
                               arena_strdup(m->a, b.p) };
}

static bool has_sandbox(const struct pod *p)
{
    return p->shim_ready && !p->shim_lost && p->sm.now >= POD_RUN && p->sm.now <= POD_STOP &&
           p->sm.now != POD_BACKOFF;
}

/* Those of others are kept by the strategic patch. */
static struct json *conditions(struct maker *m)
{
    struct condition containers = containers_ready(m);

    m->list = json_array(m->a);
    add_condition(m, (struct condition){ .type = "PodReadyToStartContainers",
                                         .on = has_sandbox(m->p) });
    add_condition(m, initialized(m));
    add_condition(m, pod_ready(m, containers));
    add_condition(m, containers);
    add_condition(m, (struct condition){ .type = "PodScheduled", .on = true });
    return m->list;
}

/* --- the whole */

static void set_ips(struct arena *a, struct json *s, const struct pod *p)
{
    const char *ip = pod_ip(p), *before = p->view->status.pod_ip, *host = p->self->conf->ip;
    struct json *o = json_object(a), *list = json_array(a);

    json_set_str(a, s, "hostIP", host);
    json_set_str(a, o, "ip", host);
    json_append(a, list, o);
    json_set(a, s, "hostIPs", list);
    if (str_empty(ip))
        ip = before;                         /* of a pod that ended: as it was */
    if (str_empty(ip))
        return;
    json_set_str(a, s, "podIP", ip);
    list = json_array(a);
    if (!str_empty(before) && !str_eq(before, ip)) {
        o = json_object(a);
        json_set_str(a, o, "$patch", "delete");
        json_set_str(a, o, "ip", before);
        json_append(a, list, o);
    }
    o = json_object(a);
    json_set_str(a, o, "ip", ip);
    json_append(a, list, o);
    json_set(a, s, "podIPs", list);
}

static void set_list(struct arena *a, struct json *s, const char *key, const struct pod *p,
                     const bool kinds[POD_EPHEMERAL + 1])
{
    struct json *list = json_array(a);

    for (size_t i = 0; i < p->n_containers; i++)
        if (kinds[p->containers[i].kind])
            json_append(a, list, pod_status_container(a, &p->containers[i]));
    if (json_len(list) > 0)
        json_set(a, s, key, list);
}

struct json *pod_status_make(struct arena *a, const struct pod *p, bool over, int64_t now_s)
{
    static const bool inits[] = { [POD_INIT] = true, [POD_SIDECAR] = true, [POD_EPHEMERAL] = 0 };
    static const bool mains[] = { [POD_MAIN] = true, [POD_EPHEMERAL] = false };
    static const bool debug[] = { [POD_EPHEMERAL] = true };
    struct json *s = json_object(a);
    struct maker m = { .a = a, .p = p, .phase = phase_of(p, over), .now_s = now_s };
    const struct pod_status_view *before = &p->view->status;
    bool keep = str_eq(m.phase, before->phase);
    char text[TIMEFMT_BYTES];

    if (object_generation(p->object))
        json_set_int(a, s, "observedGeneration", object_generation(p->object));
    json_set_str(a, s, "phase", m.phase);
    json_set(a, s, "conditions", conditions(&m));
    if (p->fail_reason) {
        json_set_str(a, s, "reason", p->fail_reason);
        json_set_str(a, s, "message", p->fail_message);
    } else if (!keep) {
        json_set(a, s, "reason", json_null(a));
        json_set(a, s, "message", json_null(a));
    }
    set_ips(a, s, p);
    timefmt_rfc3339(text, before->start_time_s ? before->start_time_s : p->start_us / 1000000);
    json_set_str(a, s, "startTime", text);
    set_list(a, s, "initContainerStatuses", p, inits);
    set_list(a, s, "containerStatuses", p, mains);
    set_list(a, s, "ephemeralContainerStatuses", p, debug);
    return s;
}

char *pod_status_text(const struct pod *p, bool over, int64_t now_s)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(ARENA_BYTES);
    struct buf b = BUF_INIT;

    json_write(&b, pod_status_make(a, p, over, now_s));
    return buf_take(&b, NULL);
}
