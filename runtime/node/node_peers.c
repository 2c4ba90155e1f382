/* node_peers.c -- podCIDR and InternalIP of every other node, brought to the kernel. */
#include "runtime/node/node_peers.h"

#include <stdio.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/client/informer.h"
#include "gen/views.h"
#include "runtime/node/node_conf.h"

#define SETTLE_MS 50                     /* nodes that come together are one change */
#define RETRY_MS 2000

struct peers_list { struct pod_net_peer *v; unsigned n; };

struct peers_job {
    struct job job;
    struct node_self *self;
    struct node_peers *owner;            /* NULL: it went away */
    struct pod_net_node net;
    struct peers_list list;
    struct err err;
    bool failed;
};

struct node_peers {
    struct node_self *self;
    struct informer *nodes;
    struct peers_list set;               /* what the kernel has */
    struct pod_net_node net;             /* and as which node */
    struct peers_job *job;
    struct loop_timer timer;
    bool known;                          /* set is true */
};

static const char *internal_ip(const struct node_view *v)
{
    for (unsigned i = 0; i < v->status.n_addresses; i++)
        if (str_eq(v->status.addresses[i].type, "InternalIP"))
            return v->status.addresses[i].address;
    return "";
}

static struct peers_list wanted(const struct node_peers *n)
{
    size_t most = informer_len(n->nodes);
    struct peers_list l = { mem_alloc_array(most + 1, sizeof(*l.v)), 0 };
    struct object *o;

    for (size_t at = 0; (o = informer_next(n->nodes, &at)) && l.n < POD_NET_PEERS_MAX;) {
        const struct node_view *v = node_view(o);
        struct pod_net_peer *p = &l.v[l.n];
        const char *ip = internal_ip(v);

        if (str_eq(object_name(o), n->self->conf->name) || str_empty(v->spec.pod_cidr) ||
            strchr(v->spec.pod_cidr, ':') || str_empty(ip) || strchr(ip, ':'))
            continue;
        snprintf(p->pod_cidr, sizeof(p->pod_cidr), "%s", v->spec.pod_cidr);
        snprintf(p->node_ip, sizeof(p->node_ip), "%s", ip);
        l.n++;
    }
    return l;
}

static void run(struct job *job)
{
    struct peers_job *j = container_of(job, struct peers_job, job);

    j->failed = j->self->kernel->net_set_peers(&j->net, j->list.v, j->list.n, NODE_JOB_MS,
                                               &j->err) < 0;
}

static void on_time(struct loop_timer *t);

static void job_free(struct peers_job *j)
{
    mem_free(j->list.v);
    node_drop(j->self);
    mem_free(j);
}

static void done(struct job *job)
{
    struct peers_job *j = container_of(job, struct peers_job, job);
    struct node_peers *n = j->owner;

    if (j->failed)
        log_warn("ways to other nodes not set", "why=\"%s\"", j->err.msg);
    if (n) {
        n->job = NULL;
        n->known = !j->failed;
        if (n->known) {
            mem_free(n->set.v);
            n->set = j->list;
            n->net = j->net;
            j->list.v = NULL;
        }
        loop_timer_set(n->self->loop, &n->timer, j->failed ? RETRY_MS : SETTLE_MS, on_time);
    }
    job_free(j);
}

/* Fills the job's list. */
static bool is_set(const struct node_peers *n, struct peers_job *j)
{
    j->list = wanted(n);
    return n->known && j->list.n == n->set.n && memcmp(&j->net, &n->net, sizeof(n->net)) == 0 &&
           memcmp(j->list.v, n->set.v, j->list.n * sizeof(*j->list.v)) == 0;
}

static void on_time(struct loop_timer *t)
{
    struct node_peers *n = container_of(t, struct node_peers, timer);
    struct peers_job *j;

    /* An empty list before the API named all would cut off nodes that a former run knew. */
    if (n->job || !n->self->network_ready || !informer_synced(n->nodes))
        return;
    j = NEW(struct peers_job);
    j->self = node_hold(n->self);
    if (node_conf_net(&j->net, n->self->conf, n->self->net, &j->err) == 0 && is_set(n, j)) {
        job_free(j);
        return;
    }
    j->owner = n;
    n->job = j;
    if (j->err.code ||
        job_add(n->self->jobs, n->self->loop, &j->job, JOB_NODE, "node/peers", run, done,
                &j->err) < 0) {
        j->failed = true;
        done(&j->job);
    }
}

static void on_change(struct object *before, struct object *after, void *ctx)
{
    (void)before;
    (void)after;
    node_peers_touch(ctx);
}

static void on_synced(void *ctx)
{
    node_peers_touch(ctx);
}

struct node_peers *node_peers_new(struct node_self *self, struct informer *nodes)
{
    struct node_peers *n = NEW(struct node_peers);

    n->self = self;
    n->nodes = nodes;
    informer_on_change(nodes, on_change, n);
    informer_on_synced(nodes, on_synced, n);
    return n;
}

struct node_peers *node_peers_free(struct node_peers *n)
{
    if (!n)
        return NULL;
    loop_timer_del(&n->timer);
    if (n->job)
        n->job->owner = NULL;
    mem_free(n->set.v);
    mem_free(n);
    return NULL;
}

void node_peers_touch(struct node_peers *n)
{
    if (!n->job && !loop_timer_is_set(&n->timer))
        loop_timer_set(n->self->loop, &n->timer, SETTLE_MS, on_time);
}
