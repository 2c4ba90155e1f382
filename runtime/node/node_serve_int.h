/* runtime/node/node_serve_int.h -- private to node_serve*.c.
 *
 *   node_serve.c          the port, who may ask, which path goes where, what is answered at once
 *   node_serve_log.c      containerLogs
 *   node_serve_exec.c     exec and attach: a process or container joined to node_chan
 *   node_serve_forward.c  portForward
 */
#ifndef RUNTIME_NODE_NODE_SERVE_INT_H
#define RUNTIME_NODE_NODE_SERVE_INT_H

#include "core/base/list.h"
#include "core/http/http.h"
#include "runtime/node/node_serve.h"
#include "runtime/node/node_watch.h"

#define NODE_SERVE_PARTS_MAX 8
#define NODE_SERVE_ROUTES_MAX 16

struct node_serve {
    struct loop *loop;
    struct job_pool *jobs;
    const struct node_serve_ops *ops;
    void *ctx;
    struct http_server *http;
    struct tls_ctx *tls;
    struct node_watch *watch;                    /* of logs that are followed */
    struct list streams;
    unsigned n_streams;
    uint64_t asked[NODE_SERVE_ROUTES_MAX];       /* requests by route */
};

/* A request taken apart; everything in the arena. */
struct node_serve_call {
    struct node_serve *s;
    struct http_req *req;
    struct arena *a;
    const char *parts[NODE_SERVE_PARTS_MAX];     /* of the path, decoded */
    unsigned n_parts;
};

/* What lasts: log that follows, exec, attach, port-forward. Embed it. */
struct node_serve_stream {
    struct list link;
    struct node_serve *s;
    struct shim *shim;                           /* NULL: none any more */
    char container_id[SHIM_ID_BYTES];            /* "" : all containers of the shim */
    /* The container ended; with shim_gone its shim's handle goes too. */
    void (*on_gone)(struct node_serve_stream *st, bool shim_gone);
    void (*free)(struct node_serve_stream *st);          /* the server goes */
};
/* false: too many */
bool node_serve_stream_add(struct node_serve *s, struct node_serve_stream *st);
/* callable twice */
void node_serve_stream_del(struct node_serve_stream *st);

/* the first; or NULL */
const char *node_serve_query(const struct node_serve_call *c, const char *name);
bool node_serve_flag(const struct node_serve_call *c, const char *name);
void node_serve_refuse(const struct node_serve_call *c, int status, const char *text);
void node_serve_refuse_err(const struct node_serve_call *c, const struct err *err);

void node_serve_log(struct node_serve_call *c);
void node_serve_exec(struct node_serve_call *c);
void node_serve_attach(struct node_serve_call *c);
void node_serve_forward(struct node_serve_call *c);
/* node_serve_ports.c: the same by channels. On -1 the request is still the caller's. */
#define NODE_SERVE_PORTS_PROTOCOL "v4.channel.k8s.io"
int node_serve_ports(struct node_serve_call *c, const struct node_exec_target *t, struct err *err);

#endif
