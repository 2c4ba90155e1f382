/* pod_container.c -- a container's states: the second drawing of pod.h, and a function for each. */
#include <inttypes.h>
#include <stdio.h>

#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/timefmt.h"
#include "runtime/node/node_images.h"
#include "runtime/node/node_metric.h"
#include "runtime/node/pod_create.h"
#include "runtime/node/pod_self.h"
#include "runtime/node/probe.h"

#define PULL_FLIP_MS 2000                /* ErrImagePull becomes ImagePullBackOff after so long */

/* The pod counts as started once its last main container has, unless it was there before us. */
static void count_start(const struct pod_container *c)
{
    struct pod *p = c->pod;

    p->self->figures.containers_started++;
    for (size_t i = 0; i < p->n_containers; i++)
        if (p->containers[i].kind == POD_MAIN && !p->containers[i].now.started)
            return;
    if (!p->counted && !p->adopted)
        node_metric_pod_started(&p->self->figures, env_wall_us(p->self->clock) - p->start_us);
    p->counted = true;
}

static enum sm_next step_wait(void *owner);
static enum sm_next step_pull(void *owner);
static enum sm_next step_config(void *owner);
static enum sm_next step_create(void *owner);
static enum sm_next step_start(void *owner);
static enum sm_next step_run(void *owner);
static enum sm_next step_exited(void *owner);

const struct sm_state pod_container_states[POD_C_MAX] = {
    [POD_C_WAIT] = { "wait", step_wait, SM_TO(POD_C_PULL) | SM_TO(POD_C_START) |
                         SM_TO(POD_C_RUN) | SM_TO(POD_C_EXITED) },
    [POD_C_PULL] = { "pull", step_pull, SM_TO(POD_C_CONFIG) | SM_TO(POD_C_WAIT) },
    [POD_C_CONFIG] = { "config", step_config, SM_TO(POD_C_CREATE) | SM_TO(POD_C_WAIT) },
    [POD_C_CREATE] = { "create", step_create, SM_TO(POD_C_START) | SM_TO(POD_C_WAIT) },
    [POD_C_START] = { "start", step_start, SM_TO(POD_C_RUN) | SM_TO(POD_C_EXITED) |
                          SM_TO(POD_C_KILL) },
    [POD_C_RUN] = { "run", step_run, SM_TO(POD_C_KILL) | SM_TO(POD_C_EXITED) },
    [POD_C_KILL] = { "kill", pod_container_step_kill, SM_TO(POD_C_EXITED) },
    [POD_C_EXITED] = { "exited", step_exited, SM_TO(POD_C_WAIT) },
};

static enum sm_next go(struct pod_container *c, unsigned to)
{
    sm_move(&c->sm, to, pod_now_ms(c->pod));
    c->stage = 0;
    c->op = (struct pod_op){ 0 };
    return SM_AGAIN;
}

static void set_waiting(struct pod_container *c, const char *reason, const char *message)
{
    c->waiting = reason;
    mem_free(c->waiting_message);
    c->waiting_message = mem_strdup(message);
    c->told_ms = pod_now_ms(c->pod);
}

/* Back to WAIT, for a reason that the status tells. */
static enum sm_next put_off(struct pod_container *c, const char *reason, const char *message,
                            int64_t ms)
{
    set_waiting(c, reason, message);
    c->again_ms = pod_now_ms(c->pod) + ms;
    pod_create_drop(c);
    return go(c, POD_C_WAIT);
}

/* The pod ends before this run began. */
static enum sm_next give_up(struct pod_container *c)
{
    pod_container_let_go(c);
    return go(c, POD_C_WAIT);
}

/* --- who comes when */

static bool main_began(const struct pod *p)
{
    for (size_t i = 0; i < p->n_containers; i++)
        if (p->containers[i].kind == POD_MAIN && p->containers[i].now.created)
            return true;
    return false;
}

static bool is_past(const struct pod_container *c)
{
    if (c->kind == POD_INIT)
        return c->now.ended && c->now.exit_code == 0;
    return pod_is_running(c) && c->post_start_over && (!c->probes || probe_set_started(c->probes));
}

static bool is_my_turn(const struct pod_container *c)
{
    const struct pod *p = c->pod;

    if (c->kind == POD_EPHEMERAL)
        return !c->now.id[0];
    if (main_began(p))
        return c->kind != POD_INIT;
    for (size_t i = 0; i < p->n_containers; i++) {
        const struct pod_container *b = &p->containers[i];

        if (b == c || (b->kind != POD_INIT && b->kind != POD_SIDECAR))
            return true;
        if (!is_past(b))
            return false;
    }
    return true;
}

/* --- waiting */

static void flip_pull(struct pod_container *c)
{
    int64_t at = c->told_ms + PULL_FLIP_MS;
    char *message;

    if (!str_eq(c->waiting, "ErrImagePull"))
        return;
    if (pod_now_ms(c->pod) < at) {
        pod_touch_at(c->pod, at);
        return;
    }
    message = mem_printf("Back-off pulling image \"%s\": ErrImagePull: %s", pod_spec(c)->image,
                         c->waiting_message);
    pod_event(c->pod, c, "BackOff", "Back-off pulling image \"%s\"", pod_spec(c)->image);
    set_waiting(c, "ImagePullBackOff", message);
    mem_free(message);
}

static enum sm_next step_wait(void *owner)
{
    struct pod_container *c = owner;
    struct pod *p = c->pod;

    if (c->now.ended && !c->judged)
        return go(c, POD_C_EXITED);
    if (c->now.created && !c->now.ended)                 /* adopted */
        return go(c, c->now.started ? POD_C_RUN : POD_C_START);
    if (p->sm.now != POD_RUN || p->shim_lost || !is_my_turn(c))
        return SM_WAIT;
    flip_pull(c);
    if (pod_now_ms(p) < c->again_ms) {
        pod_touch_at(p, c->again_ms);
        return SM_WAIT;
    }
    return go(c, POD_C_PULL);
}

/* --- image */

static void on_pulling(void *ctx)
{
    struct pod_container *c = ctx;

    pod_event(c->pod, c, "Pulling", "Pulling image \"%s\"", pod_spec(c)->image);
}

static void on_no_secrets(void *ctx, const char *names)
{
    struct pod_container *c = ctx;

    pod_warn(c->pod, c, "FailedToRetrieveImagePullSecret",
              "Unable to retrieve some image pull secrets (%s); attempting to pull the image may "
              "not succeed.", names);
}

static void tell_pulled(struct pod_container *c, const struct node_images_result *r)
{
    char pull[TIMEFMT_BYTES], all[TIMEFMT_BYTES];

    if (r->end == NODE_IMAGES_THERE) {
        pod_event(c->pod, c, "Pulled", "Container image \"%s\" already present on machine "
                  "and can be accessed by the pod", pod_spec(c)->image);
        return;
    }
    timefmt_duration(pull, r->pull_ms * 1000000);
    timefmt_duration(all, r->all_ms * 1000000);
    pod_event(c->pod, c, "Pulled", "Successfully pulled image \"%s\" in %s (%s including "
              "waiting). Image size: %" PRId64 " bytes.", pod_spec(c)->image, pull, all,
              r->image->size_bytes);
}

static void on_image(void *ctx, struct node_images_result *r)
{
    struct pod_container *c = ctx;

    c->pull = NULL;
    c->stage = 1 + (unsigned)r->end;
    if (r->end == NODE_IMAGES_THERE || r->end == NODE_IMAGES_PULLED) {
        tell_pulled(c, r);
        c->im = TAKE(r->image);
        c->mount = r->mount;
        r->mount = (struct image_mount){ 0 };
        c->has_image = true;
    }
    pod_op_end(&c->op, &r->err);
    pod_touch(c->pod);
}

static enum sm_next pull_failed(struct pod_container *c, enum node_images_end end)
{
    const char *image = pod_spec(c)->image;
    char text[ERR_MSG_BYTES + 600];

    pod_backoff(&c->pull_backoff_ms, POD_BACKOFF_MIN_MS, POD_BACKOFF_MAX_MS);
    switch (end) {
    case NODE_IMAGES_NEVER:
        snprintf(text, sizeof(text),
                 "Container image \"%s\" is not present with pull policy of Never", image);
        pod_warn(c->pod, c, "ErrImageNeverPull", "%s", text);
        pod_warn(c->pod, c, "Failed", "Error: ErrImageNeverPull");
        return put_off(c, "ErrImageNeverPull", text, POD_BACKOFF_MIN_MS);
    case NODE_IMAGES_BAD_NAME:
        snprintf(text, sizeof(text), "Failed to apply default image tag \"%s\": %s", image,
                 c->op.err.msg);
        pod_warn(c->pod, c, "InspectFailed", "%s", text);
        pod_warn(c->pod, c, "Failed", "Error: InvalidImageName");
        return put_off(c, "InvalidImageName", text, POD_BACKOFF_MAX_MS);
    case NODE_IMAGES_BROKEN:
        snprintf(text, sizeof(text), "Failed to inspect image \"%s\": %s", image, c->op.err.msg);
        pod_warn(c->pod, c, "InspectFailed", "%s", text);
        pod_warn(c->pod, c, "Failed", "Error: ImageInspectError");
        return put_off(c, "ImageInspectError", text, c->pull_backoff_ms);
    default:
        pod_warn(c->pod, c, "Failed", "Failed to pull image \"%s\": %s", image,
                  c->op.err.msg);
        pod_warn(c->pod, c, "Failed", "Error: ErrImagePull");
        return put_off(c, "ErrImagePull", c->op.err.msg, c->pull_backoff_ms);
    }
}

static enum sm_next step_pull(void *owner)
{
    struct pod_container *c = owner;
    const struct container_view *v = pod_spec(c);
    char *lease;

    if (c->pod->sm.now != POD_RUN)
        return give_up(c);
    if (pod_op_take(&c->op)) {
        if (!c->has_image)
            return pull_failed(c, c->stage - 1);
        c->pull_backoff_ms = 0;
        return go(c, POD_C_CONFIG);
    }
    if (c->op.busy)
        return SM_WAIT;
    pod_op_begin(&c->op);
    lease = mem_printf("%s.%s", c->pod->uid, c->name);
    c->pull = node_images_ensure(c->pod->self->images, &(struct node_images_opts){
        .image = v->image, .policy = v->image_pull_policy, .lease = lease,
        .pod = c->pod->object, .may_pull = true, .on_pulling = on_pulling,
        .on_no_secrets = on_no_secrets, .done = on_image, .ctx = c });
    mem_free(lease);
    if (!c->pull)
        return put_off(c, "ErrImagePull", "the node is busy", POD_RETRY_MIN_MS);
    return SM_WAIT;
}

/* --- configuration, creation, start */

static enum sm_next step_config(void *owner)
{
    struct pod_container *c = owner;
    struct err err = ERR_INIT;

    if (c->pod->sm.now != POD_RUN)
        return give_up(c);
    if (!pod_volume_ready(c->pod)) {
        pod_volume_keep(c->pod);
        return SM_WAIT;
    }
    if (pod_create_plan(c, &err) == 0) {
        c->config_backoff_ms = 0;
        return go(c, POD_C_CREATE);
    }
    pod_warn(c->pod, c, "Failed", "Error: %s", err.msg);
    pod_volume_ask_again(c->pod);
    pod_backoff(&c->config_backoff_ms, POD_RETRY_MIN_MS, POD_RETRY_MAX_MS);
    return put_off(c, "CreateContainerConfigError", err.msg, c->config_backoff_ms);
}

static void on_done(void *ctx, const struct err *err)
{
    struct pod_container *c = ctx;

    pod_op_end(&c->op, err);
    pod_touch(c->pod);
}

static enum sm_next create_failed(struct pod_container *c)
{
    struct err err = c->op.err;

    if (c->pod->shim_lost || !c->pod->shim)
        return give_up(c);
    log_warn("container not created", "pod=%s/%s container=%s why=\"%s\"", c->pod->ns,
             c->pod->name, c->name, err.msg);
    pod_warn(c->pod, c, "Failed", "Error: %s", err.msg);
    pod_create_undo(c);
    pod_backoff(&c->config_backoff_ms, POD_RETRY_MIN_MS, POD_RETRY_MAX_MS);
    return put_off(c, "CreateContainerError", err.msg, c->config_backoff_ms);
}

static enum sm_next start_failed(struct pod_container *c)
{
    c->pod->self->figures.containers_failed++;
    pod_warn(c->pod, c, "Failed", "Error: %s", c->op.err.msg);
    if (!c->now.ended) {
        c->now.ended = true;
        c->now.exit_code = 128;
        c->now.reason = "StartError";
        c->now.finished_ns = env_wall_us(c->pod->self->clock) * 1000;
        pod_container_run_text(&c->now, c->op.err.msg);
        pod_container_ended(c);
    }
    return go(c, POD_C_EXITED);
}

/* The command cannot be run: this counts as a run that failed, as it does elsewhere. */
static enum sm_next exec_failed(struct pod_container *c)
{
    struct err err = c->op.err;

    pod_create_done(c);
    go(c, POD_C_START);
    c->op.err = err;
    return start_failed(c);
}

static enum sm_next step_create(void *owner)
{
    struct pod_container *c = owner;

    if (c->op.busy)
        return SM_WAIT;
    if (c->stage < 2 && c->pod->sm.now != POD_RUN)
        return give_up(c);
    if (pod_op_take(&c->op)) {
        if (c->op.err.code && c->stage == 2 && c->next_id[0] && str_starts(c->op.err.msg, "exec:"))
            return exec_failed(c);
        if (c->op.err.code)
            return create_failed(c);
        if (c->stage == 2) {
            pod_create_done(c);
            c->config_backoff_ms = 0;
            pod_event(c->pod, c, "Created", "Container created");
            return go(c, POD_C_START);
        }
    }
    if (c->stage == 0) {
        c->stage = 1;
        pod_job_prepare(c);
        return SM_WAIT;
    }
    c->stage = 2;
    pod_op_begin(&c->op);
    if (!c->pod->shim || c->pod->shim_lost || pod_create_send(c, on_done, &c->op.err) < 0)
        return create_failed(c);
    return SM_WAIT;
}

static enum sm_next step_start(void *owner)
{
    struct pod_container *c = owner;
    struct pod *p = c->pod;

    if (c->stage == 0) {
        if (!p->shim || p->shim_lost)
            return c->now.ended ? go(c, POD_C_EXITED) : SM_WAIT;
        if (pod_is_stopping(p))
            return go(c, POD_C_KILL);
        c->stage = 1;
        pod_op_begin(&c->op);
        p->self->shims->start_container(p->shim, c->now.id, on_done, c);
        return SM_WAIT;
    }
    if (c->op.busy)
        return c->now.ended && !p->shim ? go(c, POD_C_EXITED) : SM_WAIT;
    if (!pod_op_take(&c->op))
        return SM_WAIT;
    if (c->op.err.code)
        return start_failed(c);
    c->now.started = true;
    if (!c->now.started_ns)
        c->now.started_ns = env_wall_us(p->self->clock) * 1000;
    count_start(c);
    pod_event(p, c, "Started", "Container started");
    log_info("container started", "pod=%s/%s container=%s attempt=%u", p->ns, p->name, c->name,
             c->now.attempt);
    return go(c, c->now.ended ? POD_C_EXITED : POD_C_RUN);
}

/* --- running */

static bool changed(struct pod_container *c)
{
    if (c->stop_why || c->kind == POD_EPHEMERAL || str_eq(c->image, pod_spec(c)->image))
        return false;
    pod_container_stop(c, "definition changed", POD_GRACE_SPEC);
    c->again_anyway = true;
    return true;
}

static enum sm_next step_run(void *owner)
{
    struct pod_container *c = owner;

    if (c->now.ended)
        return go(c, POD_C_EXITED);
    changed(c);
    if (c->stop_why || pod_is_stopping(c->pod))
        return go(c, POD_C_KILL);
    pod_container_started(c);
    return SM_WAIT;
}

void pod_container_stop(struct pod_container *c, const char *why, int64_t grace_ms)
{
    if (c->stop_why || !pod_is_running(c))
        return;
    c->stop_why = why;
    c->stop_grace_ms = grace_ms;
    pod_touch(c->pod);
}

/* --- ended */

static bool rule_says_restart(const struct container_view *v, int exit_code)
{
    for (unsigned i = 0; i < v->n_restart_policy_rules; i++) {
        const struct container_restart_rule_view *r = &v->restart_policy_rules[i];
        bool in = false;

        for (unsigned n = 0; r->exit_codes && n < r->exit_codes->n_values; n++)
            in |= r->exit_codes->values[n] == exit_code;
        if (r->exit_codes && in == str_eq(r->exit_codes->operator, "In") &&
            str_eq(r->action, "Restart"))
            return true;
    }
    return false;
}

bool pod_container_should_restart(const struct pod_container *c, int exit_code)
{
    const struct container_view *v = pod_spec(c);
    const char *policy = c->pod->view->spec.restart_policy;

    if (c->kind == POD_EPHEMERAL)
        return false;
    if (c->kind == POD_SIDECAR)
        return true;
    if (rule_says_restart(v, exit_code))
        return true;
    if (!str_empty(v->restart_policy))
        policy = v->restart_policy;
    if (c->kind == POD_INIT)
        return exit_code != 0 && !str_eq(policy, "Never");
    if (c->again_anyway && !str_eq(policy, "Never"))
        return true;
    return str_eq(policy, "OnFailure") ? exit_code != 0 : !str_eq(policy, "Never");
}

bool pod_container_is_done(const struct pod_container *c)
{
    return c->now.ended && !pod_container_should_restart(c, c->now.exit_code);
}

static enum sm_next step_exited(void *owner)
{
    struct pod_container *c = owner;
    struct pod *p = c->pod;
    char key[OBJECT_KEY_BYTES], delay[TIMEFMT_BYTES], *text;
    int64_t wait_ms = c->backoff_ms;

    if (p->sm.now != POD_RUN || pod_is_stopping(p) || pod_container_is_done(c))
        return SM_WAIT;
    if (c->now.started_ns &&
        c->now.finished_ns - c->now.started_ns > POD_BACKOFF_FORGET_MS * 1000000ll)
        wait_ms = c->backoff_ms = 0;
    pod_backoff(&c->backoff_ms, POD_BACKOFF_MIN_MS, POD_BACKOFF_MAX_MS);
    c->again_ms = pod_now_ms(p) + wait_ms;
    c->stop_why = NULL;
    c->waiting = NULL;
    c->judged = true;
    go(c, POD_C_WAIT);
    if (wait_ms == 0)
        return SM_AGAIN;
    timefmt_duration(delay, wait_ms * 1000000);
    text = mem_printf("back-off %s restarting failed container=%s pod=%s", delay, c->name,
                      pod_key(p, key));
    set_waiting(c, "CrashLoopBackOff", text);
    mem_free(text);
    pod_warn(p, c, "BackOff", "Back-off restarting failed container %s in pod %s", c->name,
              key);
    return SM_AGAIN;
}

/* --- all of them */

bool pod_container_all_dead(const struct pod *p)
{
    for (size_t i = 0; i < p->n_containers; i++) {
        const struct pod_container *c = &p->containers[i];

        if ((c->now.created && !c->now.ended) || (c->sm.now == POD_C_CREATE && c->stage == 2))
            return false;
    }
    return true;
}

void pod_container_tick_all(struct pod *p)
{
    for (size_t i = 0; i < p->n_containers; i++)
        sm_tick(&p->containers[i].sm, &p->containers[i]);
}
