/* node.c -- the agent's life: what is opened in which order, and when pods may start.
 *
 *   node_new: groups, store, ledger, pods of a former run, informers, Node object
 *   prepare (job): the bound binary, the built-in image
 *   network (job): when the pod CIDR is known
 *   both done: pods start; the Node says Ready
 */
#include <fcntl.h>
#include <stdio.h>

#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/vec.h"
#include "core/client/informer.h"
#include "runtime/node/node_conf.h"
#include "runtime/node/node_event.h"
#include "runtime/node/node_images.h"
#include "runtime/node/node_object.h"
#include "runtime/node/node_ops.h"
#include "runtime/node/node_peers.h"
#include "runtime/node/node_ports.h"
#include "runtime/node/node_ref.h"
#include "runtime/node/node_serve.h"
#include "runtime/node/node_sweep.h"
#include "runtime/node/podset.h"
#include "runtime/node/prober.h"
#include "runtime/shim/shim_box.h"

#define CIDR_WAIT_MS 3000                /* then the first of the cluster's is ours */
#define CIDR_FILE "cidr"
#define CIDR_BYTES_MAX 64u
#define NET_RETRY_MS 2000
#define NET_TROUBLE "container runtime network not ready: NetworkReady=false " \
                    "reason:NetworkPluginNotReady message:Network plugin returns error: %s"
#define PREPARE_TROUBLE "container runtime is down: %s"

struct node {
    struct node_self self;
    struct node_conf conf;
    struct cgroup *cgroup;
    struct buf cgroup_text;
    char *box_exe;
    char **applets;
    struct informer *services;
    struct node_ports *ports;
    struct node_peers *peers;
    struct loop_timer cidr_timer, net_timer, prepare_timer;
    bool prepared, net_up, net_busy, own_shims;
    char *trouble, *cidr;
    bool freed;
};

/* --- small start-up jobs */

struct start_job {
    struct job job;
    struct node_self *self;
    struct node *node;                   /* not to be touched when freed */
    struct pod_net_node net;
    VEC(struct pod_net_lease) leases;
    bool sweep;
    struct err err;
    bool failed;
};

static void update(struct node *n)
{
    bool was = n->self.network_ready, had = n->self.prepared;

    n->self.prepared = n->prepared;
    n->self.network_ready = n->net_up && n->prepared;
    if (n->self.node_object)
        node_object_set_trouble(n->self.node_object, n->self.network_ready ? NULL : n->trouble);
    if (n->self.network_ready && !was)
        podset_claim_all(n->self.pods);
    if ((n->self.network_ready && !was) || (n->self.prepared && !had))
        podset_touch_all(n->self.pods);
    if (n->self.network_ready && n->peers)
        node_peers_touch(n->peers);
}

static void set_trouble(struct node *n, const char *format, const char *why)
{
    char text[ERR_MSG_BYTES + 200];

    snprintf(text, sizeof(text), format, why);  /* one of the two above */
    mem_free(n->trouble);
    n->trouble = mem_strdup(text);
}

static void start_job_free(struct start_job *s)
{
    vec_deinit(&s->leases);
    node_drop(s->self);
    mem_free(s);
}

static int start_job_add(struct node *n, struct start_job *s, const char *key,
                         void (*run)(struct job *), void (*done)(struct job *))
{
    struct err err = ERR_INIT;

    s->node = n;
    s->self = node_hold(&n->self);
    if (job_add(n->self.jobs, n->self.loop, &s->job, JOB_NODE, key, run, done, &err) == 0)
        return 0;
    log_warn("start-up work not begun", "what=%s why=\"%s\"", key, err.msg);
    start_job_free(s);
    return -1;
}

/* --- the binary and its image */

static int prepare_image(const struct node *n, struct err *err)
{
    struct image_box_opts o = { .applets = (const char *const *)n->applets };
    const char *path = n->conf.image_exe ? n->conf.image_exe : "/proc/self/exe";
    _cleanup_fd_ int exe = open(path, O_RDONLY | O_CLOEXEC);

    if (exe < 0)
        return err_sys(err, "open %s", path);
    o.exe_fd = exe;
    return image_box_prepare(n->self.store, &o, err);
}

static void prepare_run(struct job *j)
{
    struct start_job *s = container_of(j, struct start_job, job);
    const struct node *n = s->node;

    s->failed = (n->own_shims && shim_box_prepare(n->conf.run_dir, NULL, &s->err) < 0) ||
                (n->applets && prepare_image(n, &s->err) < 0);
}

static void prepare_start(struct node *n);

static void prepare_on_time(struct loop_timer *t)
{
    prepare_start(container_of(t, struct node, prepare_timer));
}

static void prepare_done(struct job *j)
{
    struct start_job *s = container_of(j, struct start_job, job);
    struct node *n = s->node;

    if (!n->freed && job_was_run(j)) {
        n->prepared = !s->failed;
        if (s->failed) {
            log_error("node not prepared", "why=\"%s\"", s->err.msg);
            set_trouble(n, PREPARE_TROUBLE, s->err.msg);
            loop_timer_set(n->self.loop, &n->prepare_timer, NET_RETRY_MS, prepare_on_time);
        } else {
            node_object_look(n->self.node_object);
        }
        update(n);
    }
    start_job_free(s);
}

static void prepare_start(struct node *n)
{
    if (start_job_add(n, NEW(struct start_job), "node/prepare", prepare_run, prepare_done) < 0)
        loop_timer_set(n->self.loop, &n->prepare_timer, NET_RETRY_MS, prepare_on_time);
}

/* --- the network */

static void net_run(struct job *j)
{
    struct start_job *s = container_of(j, struct start_job, job);

    const struct node_kernel *k = s->self->kernel;

    /* Once, before pods have links that the list does not name. */
    s->failed = k->net_up(&s->net, NODE_JOB_MS, &s->err) < 0 ||
                (s->sweep && k->net_sweep(s->leases.v, (unsigned)s->leases.len, NODE_JOB_MS,
                                          &s->err) < 0);
}

static void net_start(struct node *n);

static void net_on_time(struct loop_timer *t)
{
    net_start(container_of(t, struct node, net_timer));
}

static void net_done(struct job *j)
{
    struct start_job *s = container_of(j, struct start_job, job);
    struct node *n = s->node;

    if (!n->freed && job_was_run(j)) {
        n->net_busy = false;
        n->net_up |= !s->failed;
        if (s->failed) {
            log_error("pod network not set up", "why=\"%s\"", s->err.msg);
            set_trouble(n, NET_TROUBLE, s->err.msg);
            loop_timer_set(n->self.loop, &n->net_timer, NET_RETRY_MS, net_on_time);
        }
        update(n);
    }
    start_job_free(s);
}

static void net_start(struct node *n)
{
    struct start_job *s = NEW(struct start_job);
    struct pod_net_lease lease;
    struct err err = ERR_INIT;

    if (n->net_busy) {
        mem_free(s);
        loop_timer_set(n->self.loop, &n->net_timer, NET_RETRY_MS, net_on_time);
        return;
    }
    n->net_busy = true;
    if (node_conf_net(&s->net, &n->conf, n->self.net, &err) < 0) {
        log_error("pod network not set up", "why=\"%s\"", err.msg);
        set_trouble(n, NET_TROUBLE, err.msg);
        n->net_busy = false;
        mem_free(s);
        return;
    }
    s->sweep = !n->net_up;
    for (size_t at = 0; s->sweep && pod_net_next(n->self.net, &at, &lease);)
        vec_push(&s->leases, lease);
    if (start_job_add(n, s, "node/net", net_run, net_done) < 0) {
        n->net_busy = false;
        loop_timer_set(n->self.loop, &n->net_timer, NET_RETRY_MS, net_on_time);
    }
}

static void cidr_on_time(struct loop_timer *t)
{
    struct node *n = container_of(t, struct node, cidr_timer);

    log_warn("the node has no pod CIDR yet: taking the first of the cluster's", "cidr=%s",
             pod_net_cidr(n->self.net));
    net_start(n);
}

/* What the last run knew, so that pods come back while no API is in reach. */
static void recall_cidr(struct node *n)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/" CIDR_FILE, n->conf.run_dir);
    _cleanup_buf_ struct buf b = BUF_INIT;

    if (fd_read_file(&b, AT_FDCWD, path, CIDR_BYTES_MAX, NULL) < 0 || b.len == 0 ||
        pod_net_set_cidr(n->self.net, b.p, NULL) < 0)
        return;
    n->cidr = buf_take(&b, NULL);
    net_start(n);
}

static void keep_cidr(struct node *n, const char *cidr)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/" CIDR_FILE, n->conf.run_dir);
    struct err err = ERR_INIT;

    mem_free(n->cidr);
    n->cidr = mem_strdup(cidr);
    if (fd_replace_file(AT_FDCWD, path, slice_of(cidr), 0600, &err) < 0)
        log_warn("pod CIDR not noted", "why=\"%s\"", err.msg);
}

static void on_cidr(void *ctx, const char *cidr)
{
    struct node *n = ctx;
    struct err err = ERR_INIT;

    if (str_eq(cidr, n->cidr))
        return;

    if (!*cidr) {
        if (!n->net_up && !n->net_busy && !loop_timer_is_set(&n->cidr_timer))
            loop_timer_set(n->self.loop, &n->cidr_timer, CIDR_WAIT_MS, cidr_on_time);
        return;
    }
    loop_timer_del(&n->cidr_timer);
    if (pod_net_set_cidr(n->self.net, cidr, &err) < 0) {
        log_error("pod CIDR not taken", "cidr=%s why=\"%s\"", cidr, err.msg);
        set_trouble(n, NET_TROUBLE, err.msg);
        update(n);
        return;
    }
    keep_cidr(n, cidr);
    net_start(n);
}

/* --- life */

static void on_images(void *ctx)
{
    struct node *n = ctx;

    node_object_look(n->self.node_object);
}

static void on_ports(void *ctx)
{
    struct node *n = ctx;

    node_ports_touch(n->ports);
}

static void on_pods_synced(void *ctx)
{
    struct node *n = ctx;

    node_sweep_start(&n->self);
}

static int open_disk(struct node *n, const struct node_opts *o, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(64u << 10);
    const struct node_conf *c = &n->conf;
    struct pod_net_opts net = { .cluster_cidr = c->cluster_cidr,
                                .ledger = arena_printf(a, "%s/addresses", c->run_dir) };

    if (fd_mkdirs(c->data_dir, 0755, err) < 0 ||
        fd_mkdirs(arena_printf(a, "%s/pods", c->data_dir), 0711, err) < 0 ||
        fd_mkdirs(arena_printf(a, "%s/logs", c->data_dir), 0755, err) < 0 ||
        fd_mkdirs(arena_printf(a, "%s/pods", c->run_dir), 0711, err) < 0)
        return -1;
    if (cgroup_open(&n->cgroup, o->cgroup_root, err) < 0 ||
        pod_net_new(&n->self.net, &net, err) < 0)
        return -1;
    cgroup_describe(n->cgroup, &n->cgroup_text);
    n->box_exe = mem_printf("%s/" SHIM_BOX_EXE, c->run_dir);
    return image_store_open(&n->self.store, arena_printf(a, "%s/images", c->data_dir),
                            n->self.clock, err);
}

static void set_room(struct node *n)
{
    const struct node_facts *f = node_object_facts(n->self.node_object);

    n->self.memory_bytes = f->memory_bytes;
    n->self.allocatable.milli_cpu = (int64_t)f->cpus * 1000;
    n->self.allocatable.memory_bytes = f->memory_bytes - node_facts_memory_reserve(f);
    n->self.allocatable.storage_bytes = f->storage_bytes - node_facts_storage_reserve(f);
}

static int open_parts(struct node *n, const struct node_opts *o, struct err *err)
{
    struct node_self *s = &n->self;
    struct node_object_opts object = { on_cidr, n };

    s->events = node_events_new(s->client, n->conf.name);
    s->images = node_images_new(s, on_images, n);
    s->refs = node_ref_cache_new(s->client);
    n->ports = node_ports_new(s);
    s->on_ports = on_ports;
    s->on_pods_synced = on_pods_synced;
    s->ctx = n;
    if (informer_new(&n->services, s->client, &(struct informer_opts){ .kind = kind_service() },
                     err) < 0 ||
        node_object_new(&s->node_object, s, &object, err) < 0)
        return -1;
    s->services = n->services;
    n->peers = node_peers_new(s, node_object_all(s->node_object));
    set_room(n);
    set_trouble(n, NET_TROUBLE, "not initialized");
    node_object_set_trouble(s->node_object, n->trouble);
    if (podset_new(&s->pods, s, err) < 0)
        return -1;
    if (o->cert_pem.len && node_ops_serve(&s->serve, s, o, err) < 0)
        return -1;
    return 0;
}

int node_new(struct node **out, struct loop *l, struct client *c, struct job_pool *jobs,
             const struct node_opts *opts, struct err *err)
{
    struct node *n = NEW(struct node);

    n->own_shims = !opts->shims;
    n->self = (struct node_self){
        .loop = l, .clock = loop_env(l), .client = c, .jobs = jobs, .kernel = node_kernel_real(),
        .shims = opts->shims ? opts->shims : shim_client_driver(), .conf = &n->conf,
        .more = opts->more };
    node_hold(&n->self);                     /* ours, until node_free */
    n->applets = node_conf_copy_list(opts->applets);
    if (node_conf_init(&n->conf, opts, err) < 0 || open_disk(n, opts, err) < 0) {
        node_free(n);
        return -1;
    }
    if (opts->probes_apart)
        n->self.prober = prober_new(l, NULL);
    n->self.cgroup = n->cgroup;
    n->self.cgroup_text = n->cgroup_text.p;
    n->self.box_exe = n->own_shims ? n->box_exe : NULL;
    if (open_parts(n, opts, err) < 0) {
        node_free(n);
        return -1;
    }
    prepare_start(n);
    recall_cidr(n);
    *out = n;
    return 0;
}

/* After the last job and request. */
static void on_unheld(struct node_self *self)
{
    struct node *n = container_of(self, struct node, self);

    if (n->self.store)
        image_store_free(n->self.store);
    if (n->self.net)
        pod_net_free(n->self.net);
    cgroup_free(n->cgroup);
    buf_deinit(&n->cgroup_text);
    node_conf_deinit(&n->conf);
    node_conf_free_list(n->applets);
    mem_free(n->box_exe);
    mem_free(n->trouble);
    mem_free(n->cidr);
    mem_free(n);
}

struct node *node_free(struct node *n)
{
    struct node_self *s;

    if (!n)
        return NULL;
    s = &n->self;
    n->freed = true;
    loop_timer_del(&n->cidr_timer);
    loop_timer_del(&n->net_timer);
    loop_timer_del(&n->prepare_timer);
    s->on_ports = NULL;
    s->on_pods_synced = NULL;
    s->serve = node_serve_free(s->serve);
    s->pods = podset_free(s->pods);
    s->prober = prober_free(s->prober);
    n->ports = node_ports_free(n->ports);
    n->peers = node_peers_free(n->peers);
    s->node_object = node_object_free(s->node_object);
    s->images = node_images_free(s->images);
    s->refs = s->refs ? node_ref_cache_free(s->refs) : NULL;
    n->services = informer_free(n->services);
    s->services = NULL;
    s->events = node_events_free(s->events);
    s->on_unheld = on_unheld;
    node_drop(s);
    return NULL;
}

bool node_can_run(const struct node *n)
{
    return n->self.network_ready && podset_synced(n->self.pods);
}

bool node_ready(const struct node *n)
{
    return n->self.network_ready && node_object_says_ready(n->self.node_object);
}

int node_may_dial(const struct node *n, const char *host, uint16_t port, struct err *err)
{
    return node_ops_may_dial(&n->self, host, port, err);
}

int node_reload(struct node *n, const struct node_opts *o, struct err *err)
{
    struct node_serve_opts so = { .cert_pem = o->cert_pem, .key_pem = o->key_pem,
                                  .client_ca_pem = o->client_ca_pem };

    return node_serve_reload(n->self.serve, &so, err);
}

void node_stop_pods(struct node *n, int64_t grace_ms, void (*done)(void *ctx), void *ctx)
{
    podset_stop(n->self.pods, grace_ms, done, ctx);
}
