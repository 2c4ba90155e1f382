/* runtime/node/node_self.h -- private to the room: what the parts of the node agent share.
 *
 *   node.c           life, the loop's side of everything
 *   node_object.c    the Node object: facts, conditions, lease
 *   node_facts.c     what /proc and the host's files say
 *   node_event.c     Events
 *   node_images.c    pulls, leases, collection
 *   podset.c         desired pods against machines (pod.h)
 *
 * Everything below lives on the node's loop.
 */
#ifndef RUNTIME_NODE_NODE_SELF_H
#define RUNTIME_NODE_NODE_SELF_H

#include "core/client/client.h"
#include "core/loop/job.h"
#include "core/base/metric.h"
#include "net/pod/pod_net.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/image/image.h"
#include "runtime/node/node.h"
#include "runtime/shim/shim_client.h"

#define NODE_COMPONENT "kubelet"         /* who Events come from, as clients expect */
#define NODE_JOB_MS 30000                /* the longest that kernel work may take */
#define NODE_RUNTIME_PREFIX "inro://"    /* before container ids in statuses */

/* The blocking calls into the kernel and the image store, run in jobs; tests give their own. */
struct node_kernel {
    int (*image_get)(struct image **out, const struct image_store *s, const char *name,
                     struct err *err);
    int (*image_pull)(struct image **out, const struct image_store *s,
                      const struct image_pull_opts *o, struct err *err);
    int (*image_lease)(struct image_mount *out, const struct image_store *s,
                       const struct image *im, const char *id, struct err *err);
    int (*image_unlease)(const struct image_store *s, const char *id, struct err *err);
    int (*image_gc)(struct image_gc_result *out, const struct image_store *s,
                    const struct image_gc_opts *o, struct err *err);
    int (*net_up)(const struct pod_net_node *node, int64_t deadline_ms, struct err *err);
    int (*net_sweep)(const struct pod_net_lease *leases, unsigned n, int64_t deadline_ms,
                     struct err *err);
    int (*net_set_ports)(const struct pod_net_ports *pods, unsigned n, int64_t deadline_ms,
                         struct err *err);
    int (*net_set_peers)(const struct pod_net_node *node, const struct pod_net_peer *peers,
                         unsigned n, int64_t deadline_ms, struct err *err);
    int (*net_attach)(const struct pod_net_lease *lease, const char *netns, int64_t deadline_ms,
                      struct err *err);
    int (*net_detach)(const struct pod_net_lease *lease, int64_t deadline_ms, struct err *err);
    int (*group_make)(const struct cgroup *c, const char *path, const struct cgroup_limits *l,
                      struct err *err);
    int (*group_kill)(const struct cgroup *c, const char *path, struct err *err);
    int (*group_remove)(const struct cgroup *c, const char *path, struct err *err);
    int (*group_usage)(const struct cgroup *c, const char *path, struct cgroup_usage *out,
                       struct err *err);
};
const struct node_kernel *node_kernel_real(void);

/* The options with every default filled in; texts are ours. */
struct node_conf {
    char *name, *ip, *data_dir, *run_dir, *cgroup_root;
    char *cluster_cidr, *service_cidr, *cluster_dns, *cluster_domain, *resolv_conf;
    char *registries_file, *api_host, *flannel_backend, *image_exe;
    char **labels, **taints;             /* NULL-ended */
    uint16_t port;
    unsigned pods_max;
    int64_t heartbeat_ms;
};

struct informer;
struct node_events;
struct node_images;
struct node_object;
struct node_ref_cache;
struct node_serve;
struct podset;
struct prober;

/* What is counted as it happens (node_metric.c). */
struct node_figures {
    struct metric_hist pod_start;        /* seen to all of it running */
    uint64_t pods_started, containers_started, containers_failed;
};

/* What every pod machine uses; outlives them all. */
struct node_self {
    struct loop *loop;
    const struct env *clock;
    struct client *client;
    struct job_pool *jobs;
    struct prober *prober;               /* probes and hooks connect there; NULL: here */
    const struct shim_driver *shims;
    const struct node_kernel *kernel;
    const struct node_conf *conf;
    const struct cgroup *cgroup;
    const char *cgroup_text;             /* cgroup_describe() */
    const char *box_exe;                 /* the bound binary that shims execute */
    struct image_store *store;
    struct pod_net *net;
    struct node_images *images;
    struct node_object *node_object;     /* may be NULL */
    struct node_events *events;
    struct node_ref_cache *refs;
    struct informer *services;           /* NULL: none are known */
    struct node_serve *serve;            /* may be NULL */
    struct podset *pods;
    int64_t memory_bytes;                /* of the machine */
    struct { int64_t milli_cpu, memory_bytes, storage_bytes; } allocatable;
    void (*on_ports)(void *ctx);         /* host ports changed; may be NULL */
    void (*on_pods_synced)(void *ctx);   /* the API named all pods; may be NULL */
    void *ctx;
    bool prepared;                       /* the bound binary and the built-in image are there */
    bool network_ready;                  /* bridge and addresses too */
    bool swept;                          /* leftovers are gone: new pods may come */
    bool draining;                       /* node_stop_pods: nothing new starts */
    struct node_figures figures;
    struct node_more more;
    unsigned held;                       /* jobs and requests that still use it */
    void (*on_unheld)(struct node_self *self);   /* after the owner went; NULL before */
};

/* Around whatever may outlive the owner. */
static inline struct node_self *node_hold(struct node_self *self)
{
    self->held++;
    return self;
}
static inline void node_drop(struct node_self *self)
{
    if (--self->held == 0 && self->on_unheld)
        self->on_unheld(self);
}

#endif
