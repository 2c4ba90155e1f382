/* pod_step.c -- the pod's states: the drawing of pod.h as a table, and a function for each. */
#include <inttypes.h>

#include "core/base/log.h"
#include "runtime/node/pod_admit.h"
#include "runtime/node/pod_self.h"
#include "runtime/node/pod_status.h"

#define ENDS SM_TO(POD_STOP) | SM_TO(POD_CLEAN)

static enum sm_next step_admit(void *owner);
static enum sm_next step_setup(void *owner);
static enum sm_next step_sandbox(void *owner);
static enum sm_next step_network(void *owner);
static enum sm_next step_run(void *owner);
static enum sm_next step_backoff(void *owner);
static enum sm_next step_stop(void *owner);
static enum sm_next step_clean(void *owner);
static enum sm_next step_done(void *owner);
static enum sm_next step_gone(void *owner);

const struct sm_state pod_step_states[POD_STATE_MAX] = {
    [POD_ADMIT] = { "admit", step_admit, SM_TO(POD_SETUP) | SM_TO(POD_SANDBOX) | SM_TO(POD_DONE) |
                                             ENDS },
    [POD_SETUP] = { "setup", step_setup, SM_TO(POD_SANDBOX) | ENDS },
    [POD_SANDBOX] = { "sandbox", step_sandbox, SM_TO(POD_NETWORK) | ENDS },
    [POD_NETWORK] = { "network", step_network, SM_TO(POD_RUN) | ENDS },
    [POD_RUN] = { "run", step_run, ENDS },
    [POD_BACKOFF] = { "backoff", step_backoff, SM_TO(POD_SETUP) | ENDS },
    [POD_STOP] = { "stop", step_stop, SM_TO(POD_CLEAN) },
    [POD_CLEAN] = { "clean", step_clean, SM_TO(POD_BACKOFF) | SM_TO(POD_DONE) },
    [POD_DONE] = { "done", step_done, SM_TO(POD_GONE) },
    [POD_GONE] = { "gone", step_gone, 0 },
};

static enum sm_next go(struct pod *p, unsigned to)
{
    pod_move(p, to);
    return SM_AGAIN;
}

/* What was begun is undone, and tried again later. */
static enum sm_next retry(struct pod *p, const char *reason, const char *format)
{
    pod_warn(p, NULL, reason, format, p->op.err.msg);
    log_warn("pod not started", "pod=%s/%s step=%s why=\"%s\"", p->ns, p->name, sm_name(&p->sm),
             p->op.err.msg);
    p->again = true;
    pod_backoff(&p->backoff_ms, POD_RETRY_MIN_MS, POD_RETRY_MAX_MS);
    p->again_ms = pod_now_ms(p) + p->backoff_ms;
    return go(p, POD_CLEAN);
}

/* --- before it runs */

static bool api_says_over(const struct pod *p)
{
    return str_eq(p->view->status.phase, "Succeeded") || str_eq(p->view->status.phase, "Failed");
}

/* The node has all that pods need. Those known from before wait for no API. */
static bool may_start(const struct pod *p)
{
    const struct node_self *self = p->self;

    return !self->draining && self->prepared && (self->swept || p->known) &&
           (self->network_ready || p->view->spec.host_network);
}

static enum sm_next step_admit(void *owner)
{
    struct pod *p = owner;
    struct pod_refusal no = { 0 };

    if (p->adopted)                          /* also to end what is left of it */
        return go(p, POD_SANDBOX);
    if (p->final || api_says_over(p) || pod_wants_end(p))
        return go(p, POD_CLEAN);
    if (!pod_admit(&no, p)) {
        pod_fail(p, no.reason, "%s", no.message);
        return go(p, POD_CLEAN);
    }
    return may_start(p) ? go(p, POD_SETUP) : SM_WAIT;
}

static enum sm_next step_setup(void *owner)
{
    struct pod *p = owner;

    if (!p->op.busy && pod_wants_end(p))
        return go(p, POD_CLEAN);
    if (!p->op.busy && !p->op.over) {
        pod_volume_refs_ready(p);            /* begins to ask */
        pod_job_setup(p);
        return SM_WAIT;
    }
    if (!pod_op_take(&p->op))
        return SM_WAIT;
    if (p->op.err.code)
        return retry(p, "FailedCreatePodContainer", "unable to ensure pod container exists: %s");
    return go(p, POD_SANDBOX);
}

static enum sm_next sandbox_failed(struct pod *p)
{
    if (!p->adopted)
        return retry(p, "FailedCreatePodSandBox", "Failed to create pod sandbox: %s");
    log_warn("shim not found again", "pod=%s/%s why=\"%s\"", p->ns, p->name, p->op.err.msg);
    pod_sandbox_lost(p);
    p->again = !p->final;
    return go(p, POD_CLEAN);
}

static enum sm_next step_sandbox(void *owner)
{
    struct pod *p = owner;
    int r;

    if (!p->final)
        pod_volume_keep(p);                  /* meanwhile */
    if (p->stage == 0) {
        pod_op_begin(&p->op);
        p->stage = 1;
        r = p->adopted ? pod_sandbox_adopt(p, &p->op.err) : pod_sandbox_start(p, &p->op.err);
        return r < 0 ? sandbox_failed(p) : SM_WAIT;
    }
    if (!pod_op_take(&p->op))
        return SM_WAIT;
    if (p->op.err.code || p->shim_lost)
        return sandbox_failed(p);
    return go(p, p->final ? POD_CLEAN : POD_NETWORK);
}

static enum sm_next step_network(void *owner)
{
    struct pod *p = owner;

    pod_volume_keep(p);
    if (p->shim_lost && !p->op.busy) {
        pod_sandbox_lost(p);
        p->again = true;
        return go(p, POD_CLEAN);
    }
    if (p->op.over && pod_op_take(&p->op))
        return p->op.err.code ? retry(p, "FailedCreatePodSandBox",
                                      "Failed to create pod sandbox: setup network: %s")
                              : go(p, POD_RUN);
    if (p->op.busy)
        return SM_WAIT;
    if (!p->view->spec.host_network && !p->has_lease) {
        if (pod_net_reserve(p->self->net, p->uid, &p->lease, &p->op.err) < 0)
            return retry(p, "FailedCreatePodSandBox",
                         "Failed to create pod sandbox: setup network: %s");
        p->has_lease = true;
    }
    pod_job_attach(p);
    return SM_WAIT;
}

/* --- running */

static void check_deadline(struct pod *p)
{
    const struct pod_spec_view *s = &p->view->spec;
    int64_t left_ms;

    if (!s->has_active_deadline_seconds)
        return;
    left_ms = s->active_deadline_seconds * 1000 -
              (env_wall_us(p->self->clock) - p->start_us) / 1000;
    if (left_ms > 0)
        pod_touch_at(p, pod_now_ms(p) + left_ms);
    else
        pod_fail(p, "DeadlineExceeded",
                 "Pod was active on the node longer than the specified deadline");
}

static enum sm_next step_run(void *owner)
{
    struct pod *p = owner;

    p->backoff_ms = 0;
    if (p->shim_lost) {
        pod_event(p, NULL, "SandboxChanged",
                  "Pod sandbox changed, it will be killed and re-created.");
        pod_sandbox_lost(p);
        p->again = true;
        return go(p, POD_CLEAN);
    }
    check_deadline(p);
    if (pod_wants_end(p) || pod_status_is_over(p))
        return go(p, POD_STOP);
    pod_volume_keep(p);
    pod_container_tick_all(p);
    return pod_status_is_over(p) ? go(p, POD_STOP) : SM_WAIT;
}

static enum sm_next step_backoff(void *owner)
{
    struct pod *p = owner;

    if (pod_wants_end(p) || pod_status_is_over(p))
        return go(p, POD_CLEAN);
    if (pod_now_ms(p) < p->again_ms) {
        pod_touch_at(p, p->again_ms);
        return SM_WAIT;
    }
    return may_start(p) ? go(p, POD_SETUP) : SM_WAIT;
}

/* --- ending */

static enum sm_next step_stop(void *owner)
{
    struct pod *p = owner;

    if (p->stage == 0) {
        p->stage = 1;
        p->stop_since_ms = pod_now_ms(p);
    }
    if (p->shim_lost) {
        pod_sandbox_lost(p);
        return go(p, POD_CLEAN);
    }
    pod_container_tick_all(p);
    return pod_container_all_dead(p) ? go(p, POD_CLEAN) : SM_WAIT;
}

/* What the status will say for ever is on disk before the shim, which knew it, goes. */
static void keep_final(struct pod *p)
{
    struct err err = ERR_INIT;

    if (p->final || p->ending || !p->recorded)
        return;
    if (!p->again)
        p->final = pod_status_text(p, true, env_wall_s(p->self->clock));
    if (pod_job_record(p, &err) < 0)
        log_warn("pod's end not noted", "pod=%s/%s why=\"%s\"", p->ns, p->name, err.msg);
}

enum clean_stage { CLEAN_BEGIN, CLEAN_SHIM, CLEAN_VOLUMES, CLEAN_KERNEL, CLEAN_VOLUMES_AGAIN,
                   CLEAN_KERNEL_AGAIN };

static enum sm_next clean_begin(struct pod *p)
{
    keep_final(p);
    for (size_t i = 0; i < p->n_containers; i++)
        pod_container_let_go(&p->containers[i]);
    p->stage = CLEAN_SHIM;
    pod_op_begin(&p->op);
    if (p->shim && p->shim_ready && !p->shim_lost)
        p->self->shims->shutdown(p->shim, pod_op_done, p);
    else
        pod_op_done(p, NULL);
    return SM_WAIT;
}

/* Something holds on, such as a process that does not die: again soon. */
static enum sm_next clean_later(struct pod *p, unsigned stage)
{
    log_warn("pod not cleaned up yet", "pod=%s/%s why=\"%s\"", p->ns, p->name, p->op.err.msg);
    pod_backoff(&p->clean_backoff_ms, POD_RETRY_MIN_MS, POD_RETRY_MAX_MS);
    p->clean_again_ms = pod_now_ms(p) + p->clean_backoff_ms;
    p->stage = stage;
    return SM_AGAIN;
}

static enum sm_next clean_over(struct pod *p)
{
    if (p->has_lease && pod_net_release(p->self->net, p->uid, &p->op.err) < 0)
        log_warn("pod address not released", "pod=%s/%s why=\"%s\"", p->ns, p->name,
                 p->op.err.msg);
    p->has_lease = false;
    p->clean_backoff_ms = 0;
    p->adopted = false;
    if (p->self->on_ports)
        p->self->on_ports(p->self->ctx);
    if (!p->again)
        return go(p, POD_DONE);
    p->again = false;
    pod_container_reset_all(p);
    return go(p, POD_BACKOFF);
}

static enum sm_next step_clean(void *owner)
{
    struct pod *p = owner;
    bool again = p->stage == CLEAN_VOLUMES_AGAIN || p->stage == CLEAN_KERNEL_AGAIN;

    if (p->stage == CLEAN_BEGIN)
        return clean_begin(p);
    if (again && pod_now_ms(p) < p->clean_again_ms) {
        pod_touch_at(p, p->clean_again_ms);
        return SM_WAIT;
    }
    if (!again && !pod_op_take(&p->op))
        return SM_WAIT;
    switch (p->stage) {
    case CLEAN_SHIM:
        pod_sandbox_free(p);
        if (p->again) {                      /* volumes are the pod's, not the sandbox's */
            p->stage = CLEAN_KERNEL;
            pod_job_clean(p);
            return SM_WAIT;
        }                                    /* fall through */
    case CLEAN_VOLUMES_AGAIN:
        p->stage = CLEAN_VOLUMES;
        pod_volume_remove(p);
        return SM_WAIT;
    case CLEAN_VOLUMES:
        if (p->op.err.code)
            return clean_later(p, CLEAN_VOLUMES_AGAIN);   /* fall through */
    case CLEAN_KERNEL_AGAIN:
        p->stage = CLEAN_KERNEL;
        pod_job_clean(p);
        return SM_WAIT;
    case CLEAN_KERNEL:
        return p->op.err.code ? clean_later(p, CLEAN_KERNEL_AGAIN) : clean_over(p);
    }
    check_unreachable();
}

static enum sm_next step_done(void *owner)
{
    struct pod *p = owner;

    if (p->gone || p->delete_done)
        return go(p, POD_GONE);
    if (p->deleting && pod_send_is_settled(p))
        pod_send_delete(p);
    return SM_WAIT;
}

static enum sm_next step_gone(void *owner)
{
    struct pod *p = owner;

    if (p->stage == 0) {
        p->stage = 1;
        pod_job_forget(p);
    }
    return SM_WAIT;
}
