/* role_node.c -- the node and the Services' rules, both over HTTPS with the node's certificate. */
#include "cmd/role.h"

#include <stdlib.h>

#include "cmd/box/box.h"
#include "cmd/config_args.h"
#include "cmd/prepare.h"
#include "cmd/role_slice.h"
#include "cmd/selfstat.h"
#include "core/base/log.h"
#include "core/client/client_http.h"
#include "core/loop/job.h"
#include "net/proxy/proxy.h"
#include "net/tunnel/tunnel.h"
#include "runtime/node/node.h"

#define NODE_JOBS 6                      /* threads */
#define NODE_JOBS_IMAGE 3                /* of them at most for images */
#define NODE_CONNS 16                    /* to the API; watches hold about half */
#define NODE_CONNS_IDLE_MS 15000
#define NODE_POLL_MS 5                   /* until everything is ready */
#define NODE_POLL_LATE_MS 500
#define NODE_POLLS 200                   /* before it is late */
#define NODE_STOP_GRACE_MS 30000         /* of pods that are ended with the server */

struct node_role {
    struct role *role;
    struct node_opts opts;
    const char **applets;
    struct job_pool *jobs;
    struct client *client;               /* over HTTP */
    struct client *slice;                /* of an agent: what all go through; owns client */
    struct node *node;
    struct proxy *proxy;
    struct tunnel_agent *tunnel;
    struct loop_timer poll;
    unsigned polls;
};

static struct http_client_opts api_opts(const struct role *r)
{
    return (struct http_client_opts){
        .base_url = config_api_url(r->config),
        .ca_pem = role_pem(r, ROLE_SERVER_CA), .cert_pem = role_pem(r, ROLE_CLIENT_CERT),
        .key_pem = role_pem(r, ROLE_CLIENT_KEY), .user_agent = "inro-node",
        .conns_max = NODE_CONNS, .idle_ms = NODE_CONNS_IDLE_MS,
    };
}

static int connect_api(struct node_role *n, struct err *err)
{
    const struct role *r = n->role;
    struct client_http_opts opts = { .name = "kubelet", .http = api_opts(r) };

    return client_http_new(&n->client, r->loop, &opts, err);
}

/* A sanitized binary needs shared libraries, which the built-in image has not: tests name
 * another. */
static const char *image_exe(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return getenv("INRO_IMAGE_EXE");
#else
    return NULL;
#endif
}

static void metrics(void *ctx, struct buf *out)
{
    struct node_role *n = ctx;

    selfstat_metrics(n->role->selfstat, out);
    client_http_metrics(n->client, out);
}

static struct client *api(const struct node_role *n)
{
    return n->slice ? n->slice : n->client;
}

static int keep_slice(struct node_role *n, struct err *err)
{
    return role_slice_wanted(n->role) ? role_slice_keep(&n->slice, n->role, n->client, n->jobs, err)
                                      : 0;
}

static int start_node(struct node_role *n, struct err *err)
{
    const struct role *r = n->role;
    const struct config *c = r->config;
    struct config_args args;

    if (config_args(&args, c, NULL, NULL, err) < 0)
        return -1;
    n->applets = box_names();
    n->opts = (struct node_opts){
        .name = c->node_name, .ip = c->node_ip, .data_dir = c->data_dir, .run_dir = c->run_dir,
        .cgroup_root = c->cgroup_root, .cluster_cidr = c->cluster_cidr,
        .service_cidr = c->service_cidr, .cluster_dns = c->cluster_dns,
        .flannel_backend = c->flannel_backend,
        .cluster_domain = c->cluster_domain, .resolv_conf = c->resolv_conf,
        .registries_file = c->private_registry, .api_host = c->advertise_address,
        .labels = c->node_label.v, .taints = c->node_taint.v,
        .cert_pem = role_pem(r, ROLE_CERT), .key_pem = role_pem(r, ROLE_KEY),
        .client_ca_pem = role_pem(r, ROLE_CLIENT_CA), .applets = n->applets,
        .more = { metrics, n }, .probes_apart = true,
        .pods_max = (unsigned)args.max_pods, .heartbeat_ms = args.heartbeat_ms,
        .image_exe = image_exe(),
    };
    return node_new(&n->node, r->loop, api(n), n->jobs, &n->opts, err);
}

static int start_proxy(struct node_role *n, struct err *err)
{
    const struct config *c = n->role->config;
    struct proxy_opts opts = {
        .node_name = c->node_name, .cluster_cidr = c->cluster_cidr,
        .service_cidr = c->service_cidr, .dns_ip = c->cluster_dns,
    };

    if (config_has(&c->disable, "proxy"))
        return 0;
    if (!prepare_has_dns(c))
        opts.dns_ip = NULL;
    return proxy_new(&n->proxy, n->role->loop, api(n), n->jobs, &opts, err);
}

static int may_dial(void *ctx, const char *host, uint16_t port, struct err *err)
{
    return node_may_dial(((struct node_role *)ctx)->node, host, port, err);
}

/* Also beside the server: it connects to nothing itself. */
static int start_tunnel(struct node_role *n, struct err *err)
{
    const struct role *r = n->role;
    struct tunnel_agent_opts opts = {
        .url = config_api_url(r->config), .ca_pem = role_pem(r, ROLE_SERVER_CA),
        .cert_pem = role_pem(r, ROLE_CLIENT_CERT), .key_pem = role_pem(r, ROLE_CLIENT_KEY),
        .allow = may_dial, .ctx = n,
    };

    return tunnel_agent_new(&n->tunnel, r->loop, &opts, err);
}

static void on_poll(struct loop_timer *t)
{
    struct node_role *n = container_of(t, struct node_role, poll);

    /* Without a server that could be told, it is enough that pods run. */
    bool alone = n->slice && client_slice_is_away(n->slice) && node_can_run(n->node);

    if ((alone || node_ready(n->node)) && (!n->proxy || proxy_ready(n->proxy)))
        role_ready();
    else
        loop_timer_set(n->role->loop, t,
                       n->polls++ < NODE_POLLS ? NODE_POLL_MS : NODE_POLL_LATE_MS, on_poll);
}

int role_node_start(struct role *r, struct err *err)
{
    static const unsigned class_max[JOB_CLASS_MAX] = { [JOB_IMAGE] = NODE_JOBS_IMAGE };
    struct node_role *n = NEW(struct node_role);

    n->role = r;
    r->state = n;
    if (job_pool_new(&n->jobs, NODE_JOBS, class_max, err) < 0 || connect_api(n, err) < 0 ||
        keep_slice(n, err) < 0 || start_node(n, err) < 0 || start_proxy(n, err) < 0 ||
        start_tunnel(n, err) < 0)
        return -1;
    loop_timer_set(r->loop, &n->poll, NODE_POLL_MS, on_poll);
    return 0;
}

int role_node_reload(struct role *r, struct err *err)
{
    struct node_role *n = r->state;
    struct http_client_opts http = api_opts(r);
    struct tunnel_agent_opts tunnel = { .ca_pem = http.ca_pem, .cert_pem = http.cert_pem,
                                        .key_pem = http.key_pem };

    n->opts.cert_pem = role_pem(r, ROLE_CERT);
    n->opts.key_pem = role_pem(r, ROLE_KEY);
    n->opts.client_ca_pem = role_pem(r, ROLE_CLIENT_CA);
    if (node_reload(n->node, &n->opts, err) < 0 ||
        tunnel_agent_reload(n->tunnel, &tunnel, err) < 0)
        return -1;
    return client_http_reload(n->client, &http, err);
}

static void on_pods_stopped(void *ctx)
{
    struct node_role *n = ctx;

    loop_stop(n->role->loop);
}

void role_node_stop(struct role *r)
{
    struct node_role *n = r->state;

    loop_timer_del(&n->poll);
    if (r->stop_pods)
        node_stop_pods(n->node, NODE_STOP_GRACE_MS, on_pods_stopped, n);
    else
        loop_stop(r->loop);
}

void role_node_release(struct role *r)
{
    struct node_role *n = r->state;
    struct err err = ERR_INIT;

    if (!n)
        return;
    loop_timer_del(&n->poll);
    tunnel_agent_free(n->tunnel);
    proxy_free(n->proxy);
    node_free(n->node);
    if (n->slice)
        client_slice_stop(n->slice);
    job_pool_free(n->jobs);
    while (loop_step(r->loop, 0))        /* what the last jobs left */
        ;
    client_free(api(n));
    if (r->stop_pods && (node_cleanup(&n->opts, &err) < 0 || proxy_cleanup(&err) < 0))
        log_error("traces are left", "error=%s", err.msg);
    mem_free(n->applets);
    mem_free(n);
}
