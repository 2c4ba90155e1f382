/* runtime/node/node.h -- the node agent: registers this machine as a Node and makes its containers
 * follow the pods that are bound to it.
 *
 *   informer (pods of this node) -> podset -> one pod machine each (pod.h) -> shim, image, pod_net
 *
 * Lives on one loop; blocking work goes to jobs, kernel work to children. It serves the kubelet's
 * paths (exec, attach, portForward, containerLogs, pods, healthz) over TLS on `port` to clients
 * with a certificate of `client_ca_pem`. Services are net/proxy's and names net/dns's business: the
 * node role starts them beside this.
 *
 * node_free only lets go: containers live on and are adopted at the next node_new.
 */
#ifndef RUNTIME_NODE_NODE_H
#define RUNTIME_NODE_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/str.h"
#include "core/client/client.h"
#include "core/loop/job.h"
#include "runtime/shim/shim_client.h"

#define NODE_PORT 10250
#define NODE_PROBE_VERB "probe"          /* hidden: node_probe_main */
#define NODE_PODS_MAX 110
#define NODE_LEASE_MS 10000

struct node;

/* Figures of what runs beside the node; called on its loop. */
struct node_more { void (*metrics)(void *ctx, struct buf *out); void *ctx; };

struct node_opts {
    const char *name;                    /* of the Node object */
    const char *ip;                      /* InternalIP */
    const char *data_dir;                /* images, and below pods/ volumes and layers */
    const char *run_dir;                 /* shims, ledger, sealed binary: gone after a reboot */
    const char *cgroup_root;             /* NULL: CGROUP_ROOT_DEFAULT */
    const char *cluster_cidr, *service_cidr, *cluster_dns, *cluster_domain;
    const char *flannel_backend;         /* vxlan, host-gw, none; NULL: vxlan */
    const char *resolv_conf;             /* NULL: /etc/resolv.conf */
    const char *registries_file;         /* may be missing */
    const char *api_host;                /* KUBERNETES_SERVICE_HOST falls back to it; may be NULL */
    const char *const *labels, *const *taints;   /* "key=value", "key=value:Effect"; or NULL */
    uint16_t port;                       /* 0: NODE_PORT */
    unsigned pods_max;                   /* 0: NODE_PODS_MAX */
    int64_t heartbeat_ms;                /* between two renewals of the Lease; 0: NODE_LEASE_MS */
    struct slice cert_pem, key_pem;      /* of the server on `port` */
    struct slice client_ca_pem;
    const char *const *applets;          /* of the built-in image; NULL: there is none */
    const char *image_exe;               /* the binary in it; NULL: our own */
    struct node_more more;
    const struct shim_driver *shims;     /* NULL: shim_client_driver() */
    bool probes_apart;                   /* a child without rights connects to pods */
};

/* Adopts what runs already. Texts are copied. */
int node_new(struct node **out, struct loop *l, struct client *c, struct job_pool *jobs,
             const struct node_opts *opts, struct err *err);
struct node *node_free(struct node *n);
CLEANUP_DEFINE(struct node, node_free)
bool node_can_run(const struct node *n);     /* pods can start, whether the API knows it or not */
bool node_ready(const struct node *n);   /* the Node object is there and says Ready */

/* Whether others may reach this address by way of this node: its own port, what its pods serve. -1:
 * no, and why. */
int node_may_dial(const struct node *n, const char *host, uint16_t port, struct err *err);
/* Another certificate, key and authority of clients, for connections to come. */
int node_reload(struct node *n, const struct node_opts *opts, struct err *err);

/* Ends all pods of this node, their objects stay: preStop, TERM, after grace_ms KILL. Then done. */
void node_stop_pods(struct node *n, int64_t grace_ms, void (*done)(void *ctx), void *ctx);

/* Without a running node: kills what is left and removes every trace: shims, groups, mounts,
 * namespaces, links, nft tables, files below run_dir. Blocking; uses name, run_dir, data_dir and
 * cgroup_root only. May be repeated. */
int node_cleanup(const struct node_opts *opts, struct err *err);

/* The child that connects to pods. */
int node_probe_main(int argc, char **argv);

#endif
