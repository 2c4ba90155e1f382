/* node_ops.c -- finding containers and logs for requests; pods as a list; usage. */
#include "runtime/node/node_ops.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/timefmt.h"
#include "runtime/node/node_metric.h"
#include "runtime/node/node_stats.h"
#include "runtime/node/pod_self.h"
#include "runtime/node/pod_status.h"
#include "runtime/node/podset.h"

/* --- finding */

static struct pod *find_pod(const struct node_self *self, const struct node_serve_name *n,
                            struct err *err)
{
    struct pod *p = podset_find_name(self->pods, n->ns, n->pod, n->uid);

    if (!p)
        err_set(err, ERR_NOT_FOUND, "pod \"%s_%s\" not found", n->pod, n->ns);
    return p;
}

static struct pod_container *find(const struct node_self *self, const struct node_serve_name *n,
                                  struct err *err)
{
    struct pod *p = find_pod(self, n, err);
    struct pod_container *c = p ? pod_find(p, n->container) : NULL;

    if (p && !c)
        err_set(err, ERR_NOT_FOUND, "container not found (\"%s\")", n->container);
    return c;
}

static const char *log_path(const struct pod_container *c, const struct pod_run *r,
                            struct arena *a)
{
    return arena_printf(a, "%s/%s/%u.log", c->pod->logs, c->name, r->attempt);
}

static int op_container(void *ctx, const struct node_serve_name *n,
                        struct node_serve_container *out,
                        struct arena *a, struct err *err)
{
    struct pod_container *c = find(ctx, n, err);

    if (!c)
        return -1;
    *out = (struct node_serve_container){ .running = pod_is_running(c), .tty = pod_spec(c)->tty,
                                          .with_stdin = pod_spec(c)->stdin };
    if (!pod_target(c, &out->target))
        return err_set(err, ERR_NOT_FOUND, "container not found (\"%s\")", n->container);
    out->log_path = log_path(c, &c->now, a);
    return 0;
}

static int op_log(void *ctx, const struct node_serve_name *n, struct node_serve_container *out,
                  struct arena *a, struct err *err)
{
    struct pod_container *c = find(ctx, n, err);
    const struct pod_run *r;
    const char *reason;

    if (!c)
        return -1;
    r = &c->now;
    if (n->previous)
        r = c->now.ended && c->waiting ? &c->now : &c->last;
    else if (!r->id[0])
        r = &c->last;
    if (!r->id[0] && n->previous)
        return err_set(err, ERR_INVALID, "previous terminated container \"%s\" in pod \"%s\" not "
                       "found", n->container, n->pod);
    if (!r->id[0]) {
        reason = c->waiting ? c->waiting : c->pod->view->spec.n_init_containers
                                               ? "PodInitializing" : "ContainerCreating";
        if (str_eq(reason, "ErrImagePull"))
            reason = "image can't be pulled";
        else if (str_eq(reason, "ImagePullBackOff"))
            reason = "trying and failing to pull image";
        return err_set(err, ERR_INVALID, "container \"%s\" in pod \"%s\" is waiting to start: %s",
                       n->container, n->pod, reason);
    }
    *out = (struct node_serve_container){ .log_path = log_path(c, r, a),
                                          .running = r == &c->now && !r->ended,
                                          .tty = pod_spec(c)->tty };
    pod_target(c, &out->target);
    return 0;
}

static int op_pod(void *ctx, const struct node_serve_name *n, struct node_exec_target *out,
                  struct err *err)
{
    struct pod *p = find_pod(ctx, n, err);

    if (!p)
        return -1;
    if (!p->shim || !p->shim_ready || p->shim_lost)
        return err_set(err, ERR_INVALID, "pod \"%s_%s\" is not running", n->pod, n->ns);
    *out = (struct node_exec_target){ .loop = p->self->loop, .shims = p->self->shims,
                                      .shim = p->shim, .container_id = "", .pod_ip = pod_ip(p),
                                      .host_ip = p->self->conf->ip };
    return 0;
}

/* --- lists */

static bool any_running(const struct pod *p)
{
    for (size_t i = 0; i < p->n_containers; i++)
        if (pod_is_running(&p->containers[i]))
            return true;
    return false;
}

static void op_pods(void *ctx, struct buf *out, bool running_only)
{
    const struct node_self *self = ctx;
    bool first = true;
    struct pod *p;

    buf_str(out, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[");
    for (size_t at = 0; (p = podset_next(self->pods, &at)) != NULL;) {
        _cleanup_(arena_freep) struct arena *a = NULL;
        struct json *tree;

        if (running_only && !any_running(p))
            continue;
        a = arena_new(0);
        tree = object_tree(p->object, a);
        json_set(a, tree, "status",
                 pod_status_make(a, p, p->sm.now == POD_DONE, env_wall_s(self->clock)));
        if (!first)
            buf_chr(out, ',');
        first = false;
        json_write(out, tree);
    }
    buf_str(out, "]}");
}

static int op_summary(void *ctx, struct buf *out, struct err *err)
{
    return node_stats_summary(out, ctx, err);
}

static int op_metrics(void *ctx, const char *page, struct buf *out, struct err *err)
{
    static const struct {
        const char *page;
        void (*write)(struct buf *out, struct node_self *self);
    } pages[] = {
        { "", node_metric_node }, { "cadvisor", node_metric_cadvisor },
        { "resource", node_metric_resource }, { "probes", node_metric_probes },
    };

    for (size_t i = 0; i < ARRAY_LEN(pages); i++)
        if (str_eq(pages[i].page, page)) {
            pages[i].write(out, ctx);
            return 0;
        }
    return err_set(err, ERR_NOT_FOUND, "404 page not found");
}

/* Pods can be started: the kubelet's loop turns. */
static int op_healthy(void *ctx, struct err *err)
{
    const struct node_self *self = ctx;

    return self->prepared ? 0 : err_set(err, ERR_UNAVAILABLE, "the runtime is not set up");
}

static const struct node_serve_ops ops = {
    .container = op_container, .log = op_log, .pod = op_pod, .pods = op_pods,
    .summary = op_summary, .metrics = op_metrics, .healthy = op_healthy,
};

int node_ops_serve(struct node_serve **out, struct node_self *self, const struct node_opts *o,
                   struct err *err)
{
    struct node_serve_opts so = {
        .address = "", .port = self->conf->port, .cert_pem = o->cert_pem, .key_pem = o->key_pem,
        .client_ca_pem = o->client_ca_pem, .jobs = self->jobs, .ops = &ops, .ctx = self };

    return node_serve_new(out, self->loop, &so, err);
}

/* --- connections from elsewhere */

/* With the node's own address a pod has only the ports that it names. */
static bool names_port(const struct pod *p, uint16_t port)
{
    for (size_t i = 0; i < p->n_containers; i++) {
        const struct container_view *c = pod_spec(&p->containers[i]);

        for (unsigned k = 0; k < c->n_ports; k++)
            if (c->ports[k].container_port == port)
                return true;
    }
    return false;
}

int node_ops_may_dial(const struct node_self *self, const char *host, uint16_t port,
                      struct err *err)
{
    struct pod *p;

    if (str_eq(host, self->conf->ip) && port == self->conf->port)
        return 0;
    for (size_t at = 0; (p = podset_next(self->pods, &at));) {
        if (str_eq(pod_ip(p), host) && (!p->view->spec.host_network || names_port(p, port)))
            return 0;
    }
    return err_set(err, ERR_DENIED, "%s port %u is neither this node's nor a pod's here", host,
                   port);
}
