/* pod_target.c -- a container seen by its probes, hooks and streams; what its shim says of it. */
#include <fcntl.h>
#include <stdio.h>

#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "runtime/node/node_hook.h"
#include "runtime/node/node_images.h"
#include "runtime/node/node_serve.h"
#include "runtime/node/pod_create.h"
#include "runtime/node/pod_self.h"
#include "runtime/node/probe.h"

/* --- what others reach it by */

static int exec_plan(void *ctx, struct arena *a, struct oci_plan *out, struct err *err)
{
    return pod_create_exec_plan(ctx, a, out, err);
}

bool pod_target(struct pod_container *c, struct node_exec_target *out)
{
    struct pod *p = c->pod;

    if (!pod_is_running(c) || !p->shim || p->shim_lost)
        return false;
    *out = (struct node_exec_target){
        .loop = p->self->loop, .shims = p->self->shims, .shim = p->shim,
        .container_id = c->now.id, .pod_ip = pod_ip(p), .host_ip = p->self->conf->ip,
        .prober = p->self->prober, .plan = exec_plan, .ctx = c };
    return true;
}

/* --- hooks */

void pod_hook_start(struct pod_container *c, const struct lifecycle_handler_view *handler,
                    int64_t timeout_ms, void (*done)(void *ctx, const struct err *err))
{
    struct node_exec_target target;
    char key[OBJECT_KEY_BYTES];

    check(pod_target(c, &target));
    pod_hook_drop(c);
    c->hook_object = object_ref(c->pod->object);
    c->hook = node_hook_start(&(struct node_hook_opts){
        .target = &target, .handler = handler, .container = pod_spec(c),
        .pod_key = pod_key(c->pod, key), .timeout_ms = timeout_ms, .done = done, .ctx = c });
}

void pod_hook_over(struct pod_container *c)
{
    c->hook = NULL;
    c->hook_object = object_unref(c->hook_object);
}

void pod_hook_drop(struct pod_container *c)
{
    if (c->hook)
        node_hook_cancel(c->hook);
    pod_hook_over(c);
}

/* --- postStart and probes */

static void on_post_start(void *ctx, const struct err *err)
{
    struct pod_container *c = ctx;

    pod_hook_over(c);
    c->post_start_over = true;
    if (err) {
        pod_warn(c->pod, c, "FailedPostStartHook", "PostStartHook failed");
        log_warn("postStart failed", "pod=%s/%s container=%s why=\"%s\"", c->pod->ns,
                 c->pod->name, c->name, err->msg);
        pod_container_stop(c, "failed its postStart hook", POD_GRACE_SPEC);
    }
    pod_touch(c->pod);
}

static void on_probe_change(void *ctx)
{
    struct pod_container *c = ctx;

    pod_touch(c->pod);
}

static void on_unhealthy(void *ctx, enum probe_kind kind, int64_t grace_s)
{
    struct pod_container *c = ctx;

    pod_container_stop(c, kind == PROBE_STARTUP ? "failed startup probe" : "failed liveness probe",
                       grace_s >= 0 ? grace_s * 1000 : POD_GRACE_SPEC);
    c->again_anyway = true;
}

static void on_probe_event(void *ctx, const char *reason, const char *message)
{
    struct pod_container *c = ctx;

    pod_warn(c->pod, c, reason, "%s", message);
}

static void start_probes(struct pod_container *c, const struct node_exec_target *target)
{
    bool old = c->pod->adopted;

    c->probes = probe_set_new(&(struct probe_opts){
        .target = target, .pod = c->pod->object, .container = pod_spec(c),
        .started_s = c->now.started_ns / 1000000000, .was_started = old && c->was_started,
        .was_ready = old && c->was_ready, .ports = c->serves,
        .net_pid = c->pod->self->shims->pid(c->pod->shim), .counts = &c->probed,
        .on_change = on_probe_change,
        .on_unhealthy = on_unhealthy, .on_event = on_probe_event, .ctx = c });
    pod_touch(c->pod);
}

void pod_container_started(struct pod_container *c)
{
    const struct container_view *v = pod_spec(c);
    struct node_exec_target target;

    if (c->probes || c->hook || !pod_target(c, &target))
        return;
    if (c->pod->adopted || !v->lifecycle || !v->lifecycle->post_start)
        c->post_start_over = true;
    if (c->post_start_over) {
        start_probes(c, &target);
        return;
    }
    pod_hook_start(c, v->lifecycle->post_start, 0, on_post_start);
}

/* --- what the shim says */

void pod_container_run_text(struct pod_run *r, const char *message)
{
    mem_free(r->message);
    r->message = mem_strdup(message);
}

static const char *end_reason(const struct shim_container *sc)
{
    if (sc->oom_killed)
        return "OOMKilled";
    if (!sc->started_ns)
        return "StartError";
    return sc->exit_code == 0 ? "Completed" : "Error";
}

static void fill(struct pod_run *r, const struct shim_container *sc)
{
    r->created = true;
    r->started |= sc->state == SHIM_RUNNING || (sc->state == SHIM_EXITED && sc->started_ns);
    if (sc->started_ns)
        r->started_ns = sc->started_ns;
    if (sc->state != SHIM_EXITED || r->ended)
        return;
    r->ended = true;
    r->exit_code = sc->started_ns ? sc->exit_code : 128;
    r->signal = sc->signal;
    r->finished_ns = sc->finished_ns;
    r->reason = end_reason(sc);
    if (!sc->started_ns)
        pod_container_run_text(r, sc->message);
}

/* A run that a former node role began. */
static void take_found(struct pod_container *c, const struct shim_container *sc,
                       const struct pod_note *note)
{
    struct pod_run r = { .attempt = note->attempt };

    snprintf(r.id, sizeof(r.id), "%s", sc->id);
    fill(&r, sc);
    if (c->now.id[0] && c->now.attempt > r.attempt) {
        mem_free(c->last.message);
        c->last = r;
        return;
    }
    mem_free(c->last.message);
    c->last = c->now;
    c->now = r;
    c->judged = false;
    if (c->attempts < r.attempt + 1)
        c->attempts = r.attempt + 1;
    mem_free(c->image);
    mem_free(c->image_id);
    mem_free(c->stop_signal);
    c->image = mem_strdup(note->image);
    c->image_id = mem_strdup(note->image_id);
    c->stop_signal = mem_strdup(note->stop_signal);
    if (r.ended)
        pod_container_ended(c);
}

void pod_container_on_shim(struct pod *p, const struct shim_container *sc)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(64u << 10);
    struct pod_note note;
    struct pod_container *c;
    bool was;

    pod_create_note_read(&note, a, sc->note);
    c = pod_find(p, note.name);
    if (!c)
        return;
    pod_touch(p);
    if (str_eq(c->last.id, sc->id))
        return;
    if (c->next_id[0] && str_eq(c->next_id, sc->id))
        pod_create_done(c);
    if (!str_eq(c->now.id, sc->id)) {
        take_found(c, sc, &note);
        return;
    }
    was = c->now.ended;
    fill(&c->now, sc);
    if (c->now.ended && !was)
        pod_container_ended(c);
}

/* --- its end */

static void read_message(struct pod_container *c)
{
    _cleanup_buf_ struct buf b = BUF_INIT, text = BUF_INIT;
    _cleanup_(mem_freep) char *path = mem_printf("%s/containers/%s/message", c->pod->data,
                                                 c->now.id);

    if (c->now.message || fd_read_file(&b, AT_FDCWD, path, 1u << 20, NULL) < 0 || b.len == 0)
        return;
    if (b.len > POD_MESSAGE_MAX)
        buf_eat(&b, b.len - POD_MESSAGE_MAX);
    buf_utf8(&text, b.p, b.len);
    pod_container_run_text(&c->now, text.p);
}

void pod_container_ended(struct pod_container *c)
{
    struct pod *p = c->pod;

    read_message(c);
    if (!c->now.message && c->now.exit_code != 0 &&
        str_eq(pod_spec(c)->termination_message_policy, "FallbackToLogsOnError"))
        pod_create_log_tail(c);
    if (p->self->serve && p->shim)
        node_serve_container_gone(p->self->serve, p->shim, c->now.id);
    c->probes = probe_set_free(c->probes);
    pod_hook_drop(c);
    log_info("container ended", "pod=%s/%s container=%s exit=%d reason=%s", p->ns, p->name,
             c->name, c->now.exit_code, c->now.reason ? c->now.reason : "");
}

void pod_container_let_go(struct pod_container *c)
{
    c->probes = probe_set_free(c->probes);
    pod_hook_drop(c);
    node_images_cancel(c->pull);
    c->pull = NULL;
    pod_job_orphan_op(c->pod, &c->op);
    pod_create_drop(c);
}
