/* runtime/node/node_serve.h -- the node's HTTPS port: what the API server relays to it (logs, exec,
 * attach, port-forward) and what is read there (pods, healthz, stats, metrics).
 *
 *   /containerLogs/NS/POD/CONTAINER   /exec/NS/POD[/UID]/CONTAINER   /attach/NS/POD[/UID]/CONTAINER
 *   /portForward/NS/POD[/UID]
 *   /pods  /runningpods/  /healthz  /stats/summary
 *   /metrics  /metrics/cadvisor  /metrics/resource  /metrics/probes
 *
 * Only for peers with a certificate of our CA that is in group system:masters or is the API
 * server's (NODE_SERVE_PEER); figures also for system:monitoring; /healthz for everyone. Pods are
 * reached through node_serve_ops; nothing of a request is kept past the end of its container but
 * what its callbacks say.
 */
#ifndef RUNTIME_NODE_NODE_SERVE_H
#define RUNTIME_NODE_NODE_SERVE_H

#include "core/loop/job.h"
#include "runtime/node/node_exec.h"

#define NODE_SERVE_PEER "kube-apiserver-kubelet-client"      /* CN that may ask */
/* exec, attach, port-forward and follow, together */
#define NODE_SERVE_STREAMS_MAX 256

struct node_serve;

struct node_serve_container {
    struct node_exec_target target;              /* shim NULL: it does not run */
    const char *log_path;                        /* current file; rotated ones beside it */
    bool tty, with_stdin;                        /* as the container was made */
    bool running;                                /* or created: its log may still grow */
};

/* Texts in outputs are in the arena given or live until the next turn of the loop. ERR_NOT_FOUND
 * becomes 404, ERR_INVALID 400, else 500; the messages are kubelet's:
 *   pod does not exist: `pod "p_ns" not found` ; container: `container not found ("c")`
 *   waiting (logs): `container "c" in pod "p" is waiting to start: ContainerCreating`
 *   previous missing: `previous terminated container "c" in pod "p" not found` */
struct node_serve_name {
    const char *ns, *pod, *container;
    const char *uid;                             /* "": any */
    bool previous;                               /* the instance before the current one */
};
struct node_serve_ops {
    /* For exec and attach: it must run. */
    int (*container)(void *ctx, const struct node_serve_name *n, struct node_serve_container *out,
                     struct arena *a, struct err *err);
    int (*log)(void *ctx, const struct node_serve_name *n, struct node_serve_container *out,
               struct arena *a, struct err *err);
    /* Any shim of the pod, for port-forward; only shims, shim, pod_ip, host_ip of target are read.
     * */
    int (*pod)(void *ctx, const struct node_serve_name *n, struct node_exec_target *out,
               struct err *err);
    void (*pods)(void *ctx, struct buf *out, bool running_only);     /* a PodList as JSON */
    /* stats/summary as JSON; may be NULL */
    int (*summary)(void *ctx, struct buf *out, struct err *err);
    /* page: what follows "metrics/", or ""; as Prometheus's text; may be NULL */
    int (*metrics)(void *ctx, const char *page, struct buf *out, struct err *err);
    int (*healthy)(void *ctx, struct err *err);  /* NULL: always */
};

struct node_serve_opts {
    const char *address;                         /* "" : all */
    uint16_t port;                               /* 0: any, for tests */
    struct slice cert_pem, key_pem, client_ca_pem;
    struct job_pool *jobs;                       /* logs are read there */
    const struct node_serve_ops *ops;            /* borrowed, as ctx */
    void *ctx;
};

int node_serve_new(struct node_serve **out, struct loop *l, const struct node_serve_opts *o,
                   struct err *err);
/* ends all streams; before the pods are freed */
struct node_serve *node_serve_free(struct node_serve *s);
CLEANUP_DEFINE(struct node_serve, node_serve_free)
uint16_t node_serve_port(const struct node_serve *s);
void node_serve_metrics(const struct node_serve *s, struct buf *out);    /* its requests */
/* A container ended: its streams end once all is sent. container_id NULL: the handle of the shim
 * goes, nothing of it is used after this; call it before each free() of one. */
void node_serve_container_gone(struct node_serve *s, struct shim *shim, const char *container_id);
/* new certificate */
int node_serve_reload(struct node_serve *s, const struct node_serve_opts *o, struct err *err);

#endif
