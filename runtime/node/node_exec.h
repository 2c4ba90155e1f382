/* runtime/node/node_exec.h -- one command in a running container, to its end: for probes and hooks.
 * Output (both streams) is kept up to NODE_EXEC_OUTPUT_MAX, the rest is read and dropped. Loop
 * only. */
#ifndef RUNTIME_NODE_NODE_EXEC_H
#define RUNTIME_NODE_NODE_EXEC_H

#include "gen/views.h"
#include "runtime/shim/shim_client.h"

#define NODE_EXEC_OUTPUT_MAX 10240

/* A running container, as probes, hooks and streams need it. Borrowed by them until they are freed:
 * free them before the shim's handle goes or the container ends. */
struct prober;
struct node_exec_target {
    struct loop *loop;
    const struct shim_driver *shims;
    struct shim *shim;
    const char *container_id;
    const char *pod_ip;                          /* "" when it has none yet */
    const char *host_ip;                         /* of the node */
    struct prober *prober;                       /* NULL: connections are made right here */
    /* Fills a plan for one more process there: the container's env, cwd, user, groups, caps,
     * seccomp ... */
    int (*plan)(void *ctx, struct arena *a, struct oci_plan *out, struct err *err);
    void *ctx;
};

struct node_exec;
struct node_exec_result {
    const struct err *err;                       /* could not be started; else NULL */
    bool timed_out;                              /* killed */
    int exit_code;                               /* 128 + signal */
    struct slice output;
};

typedef void node_exec_done(void *ctx, const struct node_exec_result *r);

struct node_exec_opts {
    const char *const *argv;                     /* copied */
    unsigned n;
    int64_t timeout_ms;                          /* 0: none */
    /* never from inside; the handle is freed after it */
    node_exec_done *done;
    void *ctx;
};

struct node_exec *node_exec_start(const struct node_exec_target *t,
                                  const struct node_exec_opts *o);
/* kills it; no callback. NULL is fine; not after done */
void node_exec_cancel(struct node_exec *e);
/* "a b c", for messages. */
const char *node_exec_words(struct arena *a, const struct exec_action_view *e);

#endif
