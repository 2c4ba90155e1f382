/* pod_volume.c -- what the pod refers to, and its volumes, kept current while it runs. */
#include "core/base/log.h"
#include "runtime/node/node_volume.h"
#include "runtime/node/pod_self.h"

static void on_ready(void *ctx)
{
    pod_touch(ctx);
}

static void on_change(void *ctx)
{
    struct pod *p = ctx;

    p->volumes_stale = true;
    pod_touch(p);
}

static void make(struct pod *p)
{
    const struct node_conf *conf = p->self->conf;
    struct node_volume_opts o;

    if (p->volumes)
        return;
    p->refs = node_ref_set_new(p->self->refs, p->object, &(struct node_ref_events){
        .on_ready = on_ready, .on_change = on_change, .ctx = p });
    o = (struct node_volume_opts){
        .client = p->self->client, .jobs = p->self->jobs, .data_dir = conf->data_dir,
        .run_dir = conf->run_dir, .refs = p->refs, .facts = pod_facts(p) };
    p->volumes = node_volumes_new(p->object, &o);
}

bool pod_volume_refs_ready(struct pod *p)
{
    make(p);
    return node_ref_set_ready(p->refs);
}

bool pod_volume_ready(struct pod *p)
{
    return p->volumes && node_volumes_prepared(p->volumes);
}

void pod_volume_ask_again(struct pod *p)
{
    if (p->refs)
        node_ref_set_refresh(p->refs, 0);
}

static void on_kept(void *ctx, const struct err *err)
{
    struct pod *p = ctx;

    p->volumes_stale |= !!err;
    pod_touch(p);
    if (!err) {
        p->volumes_backoff_ms = 0;
        return;
    }
    pod_warn(p, NULL, "FailedMount", "%s", err->msg);
    node_ref_set_refresh(p->refs, 0);
    p->volumes_again_ms = pod_now_ms(p) +
                          pod_backoff(&p->volumes_backoff_ms, POD_RETRY_MIN_MS, POD_RETRY_MAX_MS);
}

void pod_volume_keep(struct pod *p)
{
    if (!pod_volume_refs_ready(p) || node_volumes_busy(p->volumes))
        return;
    if (node_volumes_prepared(p->volumes) && !p->volumes_stale)
        return;
    if (pod_now_ms(p) < p->volumes_again_ms) {
        pod_touch_at(p, p->volumes_again_ms);
        return;
    }
    p->volumes_stale = false;
    node_volumes_prepare(p->volumes, p->object, on_kept, p);
}

void pod_volume_remove(struct pod *p)
{
    make(p);
    pod_op_begin(&p->op);
    node_volumes_remove(p->volumes, pod_op_done, p);
}

void pod_volume_free(struct pod *p)
{
    p->volumes = node_volumes_free(p->volumes);
    p->refs = node_ref_set_free(p->refs);
}
