/* runtime/node/node_get.h -- one httpGet of a probe or a hook. Private to probes and hooks.
 *
 * Redirects are followed to the same host only, at most 10; another host's stay unvisited and the
 * answer is the redirect itself. Certificates are not checked. With a prober in the target it
 * happens there. Loop only.
 */
#ifndef RUNTIME_NODE_NODE_GET_H
#define RUNTIME_NODE_NODE_GET_H

#include "gen/views.h"
#include "runtime/node/node_exec.h"

#define NODE_GET_BODY_MAX 10240

struct node_get;

struct node_get_result {
    const struct err *err;               /* no answer: Go's words; else NULL */
    bool lost;                           /* err, but it says nothing about the pod */
    int status;
    struct slice body;                   /* its first NODE_GET_BODY_MAX bytes */
};
typedef void node_get_done(void *ctx, const struct node_get_result *r);

struct node_get_opts {
    const struct http_get_action_view *what;     /* borrowed until done */
    uint16_t port;
    int64_t timeout_ms;
    /* never from inside; the handle is freed after it */
    node_get_done *done;
    void *ctx;
};

struct node_get *node_get_start(const struct node_exec_target *t, const struct node_get_opts *o);
void node_get_cancel(struct node_get *g);        /* no callback. NULL is fine; not after done */

/* A port by number or by name among the ports of the container. */
int node_get_port(uint16_t *out, const struct view_int_or_string *port,
                  const struct container_view *c, struct err *err);
/* "connection refused": strerror in Go's lower case. */
void node_get_why(char *out, size_t bytes, int sys_errno);

#endif
