/* deciders.c -- what is not disabled, started on one loop. */
#include "cmd/deciders.h"

#include "cmd/config_args.h"
#include "core/control/control.h"
#include "core/sched/sched.h"

struct deciders {
    struct loop *loop;
    struct loop_thread *thread;
    struct client *control_client, *sched_client;
    struct control *control;
    struct sched *sched;
};

static int start_control(struct deciders *d, struct api *api, const struct config *c,
                         const struct deciders_facts *facts, struct err *err)
{
    struct control_opts opts = {
        .root_ca_pem = facts->root_ca_pem, .cluster_cidr = c->cluster_cidr,
        .server_signer = facts->server_signer, .client_signer = facts->client_signer,
        .api_cert = facts->api_cert,
    };
    struct config_args args;

    if (config_args(&args, c, NULL, NULL, err) < 0)
        return -1;
    opts.node_grace_ms = args.node_grace_ms;
    opts.node_startup_grace_ms = args.node_startup_grace_ms;
    opts.event_ttl_ms = args.event_ttl_ms;
    opts.sign_s = args.sign_ms / 1000;
    if (api_client_new(&d->control_client, api, d->loop, "system:kube-controller-manager", err) < 0)
        return -1;
    return control_new(&d->control, d->control_client, &opts, err);
}

static int start_sched(struct deciders *d, struct api *api, struct err *err)
{
    struct sched_opts opts = { 0 };

    if (api_client_new(&d->sched_client, api, d->loop, "system:kube-scheduler", err) < 0)
        return -1;
    return sched_new(&d->sched, d->sched_client, &opts, err);
}

int deciders_new(struct deciders **out, struct api *api, const struct config *c,
                 const struct deciders_facts *facts, struct err *err)
{
    _cleanup_(deciders_freep) struct deciders *d = NEW(struct deciders);

    if (loop_new(&d->loop, env_real(), err) < 0)
        return -1;
    if (!c->disable_controller_manager && start_control(d, api, c, facts, err) < 0)
        return -1;
    if (!c->disable_scheduler && start_sched(d, api, err) < 0)
        return -1;
    if (loop_thread_start(&d->thread, d->loop, "deciders", err) < 0)
        return -1;
    *out = TAKE(d);
    return 0;
}

int deciders_health(const struct deciders *d, struct err *err)
{
    int64_t busy = d ? loop_busy_ms(d->loop) : 0;

    if (!d)
        return err_set(err, ERR_UNAVAILABLE, "not started");
    if (busy >= DECIDERS_STUCK_MS)
        return err_set(err, ERR_TIMEOUT, "busy for %lld ms", (long long)busy);
    return 0;
}

void deciders_metrics(const struct deciders *d, struct buf *out)
{
    if (d->control)
        control_metrics(d->control, out);
    if (d->sched)
        sched_metrics(d->sched, out);
}

struct deciders *deciders_free(struct deciders *d)
{
    if (!d)
        return NULL;
    if (d->thread) {
        loop_stop(d->loop);
        d->thread = loop_thread_join(d->thread);
    }
    sched_free(d->sched);
    control_free(d->control);
    client_free(d->control_client);
    client_free(d->sched_client);
    loop_free(d->loop);
    return mem_free(d);
}
