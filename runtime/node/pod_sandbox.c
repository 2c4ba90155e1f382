/* pod_sandbox.c -- the pod's shim: started, found again, lost. */
#include <stdio.h>

#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "runtime/node/node_serve.h"
#include "runtime/node/pod_files.h"
#include "runtime/node/pod_self.h"
#include "runtime/shim/shim_state.h"

static void on_ready(void *ctx, const struct err *err)
{
    struct pod *p = ctx;

    p->shim_ready = !err;
    pod_op_done(p, err);
}

static void on_container(void *ctx, const struct shim_container *c)
{
    pod_container_on_shim(ctx, c);
}

static void on_lost(void *ctx, const struct err *why)
{
    struct pod *p = ctx;

    log_warn("shim lost", "pod=%s/%s why=\"%s\"", p->ns, p->name, why->msg);
    p->shim_lost = true;
    p->shim_ready = false;
    if (p->op.busy)
        pod_op_end(&p->op, why);
    pod_touch(p);
}

static struct shim_events events(struct pod *p)
{
    return (struct shim_events){ on_ready, on_container, on_lost, p };
}

int pod_sandbox_start(struct pod *p, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(256u << 10);
    const struct pod_spec_view *s = &p->view->spec;
    const struct pod_security_context_view *sec = s->security_context;
    unsigned n = sec ? sec->n_sysctls : 0;
    struct plan_sysctl *sysctls = arena_alloc(a, (n + 1) * sizeof(*sysctls));
    struct shim_events ev = events(p);
    struct shim_opts o = {
        .dir = p->dir, .box_exe = p->self->box_exe, .cgroup = p->self->cgroup_text,
        .cgroup_path = p->group, .hostname = pod_files_hostname(a, p->self->conf, p->view),
        .host_network = s->host_network, .host_ipc = s->host_ipc,
        .share_pids = s->share_process_namespace, .netns = -1, .sysctls = sysctls,
        .n_sysctls = n };

    for (unsigned i = 0; i < n; i++)
        sysctls[i] = (struct plan_sysctl){ sec->sysctls[i].name, sec->sysctls[i].value };
    p->shim_lost = p->shim_ready = false;
    return p->self->shims->start(p->self->shims->driver, &p->shim, p->self->loop, &o, &ev, err);
}

int pod_sandbox_adopt(struct pod *p, struct err *err)
{
    struct shim_events ev = events(p);

    p->shim_lost = p->shim_ready = false;
    return p->self->shims->adopt(p->self->shims->driver, &p->shim, p->self->loop, p->dir, &ev,
                                 err);
}

/* What did not end while the shim could see it has ended with it. */
static void end_unknown(struct pod *p, struct pod_container *c)
{
    if (!c->now.created || c->now.ended)
        return;
    c->now.ended = true;
    c->now.exit_code = 137;
    c->now.signal = 0;
    c->now.reason = "ContainerStatusUnknown";
    c->now.finished_ns = env_wall_us(p->self->clock) * 1000;
    pod_container_run_text(&c->now, "The container could not be located when the pod was "
                                    "terminated");
    pod_container_ended(c);
}

void pod_sandbox_lost(struct pod *p)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(4u << 20);
    struct shim_state_file f = { 0 };
    struct err err = ERR_INIT;

    if (shim_state_read(&f, a, p->dir, &err) == 0)
        for (size_t i = 0; i < f.len; i++)
            pod_container_on_shim(p, &f.containers[i]);
    else if (err.code != ERR_NOT_FOUND)
        log_warn("shim's record not read", "pod=%s/%s why=\"%s\"", p->ns, p->name, err.msg);
    for (size_t i = 0; i < p->n_containers; i++)
        end_unknown(p, &p->containers[i]);
    pod_sandbox_free(p);
}

void pod_sandbox_free(struct pod *p)
{
    struct shim *s = p->shim;

    if (!s)
        return;
    for (size_t i = 0; i < p->n_containers; i++)
        pod_container_let_go(&p->containers[i]);
    if (p->self->serve)
        node_serve_container_gone(p->self->serve, s, NULL);
    p->shim = NULL;
    p->shim_ready = false;
    p->self->shims->free(s);
}
