/* node_ports.c -- hostPort of every container of every attached pod. */
#include "runtime/node/node_ports.h"

#include <netinet/in.h>
#include <stdio.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/vec.h"
#include "runtime/node/pod_self.h"
#include "runtime/node/podset.h"

#define RETRY_MS 2000

struct ports_job {
    struct job job;
    struct node_self *self;
    struct node_ports *owner;            /* NULL: it went away */
    VEC(struct pod_net_ports) pods;
    struct err err;
    bool failed;
};

struct node_ports {
    struct node_self *self;
    struct ports_job *job;
    struct loop_timer timer;
    bool dirty, any;                     /* any: rules are there */
};

static uint8_t protocol(const char *text)
{
    if (str_eq(text, "UDP"))
        return IPPROTO_UDP;
    return str_eq(text, "SCTP") ? IPPROTO_SCTP : IPPROTO_TCP;
}

static void job_free(struct ports_job *j)
{
    for (size_t i = 0; i < j->pods.len; i++)
        mem_free((void *)j->pods.v[i].ports);
    vec_deinit(&j->pods);
    node_drop(j->self);
    mem_free(j);
}

static void add_container(struct pod_net_port *ports, unsigned *n, const struct container_view *c)
{
    for (unsigned i = 0; i < c->n_ports && *n < POD_NET_PORTS_MAX; i++) {
        struct pod_net_port *p = &ports[*n];

        if (!c->ports[i].host_port)
            continue;
        *p = (struct pod_net_port){ .host_port = (uint16_t)c->ports[i].host_port,
                                    .container_port = (uint16_t)c->ports[i].container_port,
                                    .protocol = protocol(c->ports[i].protocol) };
        snprintf(p->host_ip, sizeof(p->host_ip), "%s",
                 c->ports[i].host_ip ? c->ports[i].host_ip : "");
        ++*n;
    }
}

static void add_pod(struct ports_job *j, const struct pod *p)
{
    struct pod_net_port *ports;
    unsigned n = 0;

    if (!p->has_lease || p->sm.now < POD_RUN || p->sm.now > POD_STOP ||
        p->sm.now == POD_BACKOFF || p->view->spec.host_network)
        return;
    ports = mem_alloc_array(POD_NET_PORTS_MAX, sizeof(*ports));
    for (size_t i = 0; i < p->n_containers; i++)
        add_container(ports, &n, pod_spec(&p->containers[i]));
    if (n == 0) {
        mem_free(ports);
        return;
    }
    vec_push(&j->pods, ((struct pod_net_ports){ .lease = p->lease, .ports = ports, .n = n }));
}

static void run(struct job *job)
{
    struct ports_job *j = container_of(job, struct ports_job, job);

    j->failed = j->self->kernel->net_set_ports(j->pods.v, (unsigned)j->pods.len, NODE_JOB_MS,
                                               &j->err) < 0;
}

static void start(struct node_ports *n);

static void on_time(struct loop_timer *t)
{
    start(container_of(t, struct node_ports, timer));
}

static void done(struct job *job)
{
    struct ports_job *j = container_of(job, struct ports_job, job);
    struct node_ports *n = j->owner;

    if (n) {
        n->job = NULL;
        n->any = j->pods.len > 0 || j->failed;
        if (j->failed) {
            log_warn("host ports not set", "why=\"%s\"", j->err.msg);
            n->dirty = true;
            loop_timer_set(n->self->loop, &n->timer, RETRY_MS, on_time);
        } else if (n->dirty) {
            loop_timer_set(n->self->loop, &n->timer, 0, on_time);
        }
    }
    job_free(j);
}

static void start(struct node_ports *n)
{
    struct ports_job *j;
    struct pod *p;

    if (n->job || !n->dirty || !n->self->pods)
        return;
    n->dirty = false;
    j = NEW(struct ports_job);
    j->self = node_hold(n->self);
    j->owner = n;
    for (size_t at = 0; (p = podset_next(n->self->pods, &at)) != NULL;)
        add_pod(j, p);
    if (j->pods.len == 0 && !n->any) {
        job_free(j);
        return;
    }
    n->job = j;
    if (job_add(n->self->jobs, n->self->loop, &j->job, JOB_NODE, "node/ports", run, done,
                &j->err) < 0) {
        n->job = NULL;
        job_free(j);
    }
}

struct node_ports *node_ports_new(struct node_self *self)
{
    struct node_ports *n = NEW(struct node_ports);

    n->self = self;
    n->any = true;                           /* a former run may have left some */
    return n;
}

struct node_ports *node_ports_free(struct node_ports *n)
{
    if (!n)
        return NULL;
    loop_timer_del(&n->timer);
    if (n->job)
        n->job->owner = NULL;
    mem_free(n);
    return NULL;
}

void node_ports_touch(struct node_ports *n)
{
    n->dirty = true;
    if (!n->job)
        loop_timer_set(n->self->loop, &n->timer, 0, on_time);
}
