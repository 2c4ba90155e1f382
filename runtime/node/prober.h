/* runtime/node/prober.h -- the node's hand towards its pods: a child without rights
 * (runtime/confine) that connects to them for probes and hooks and reads what they answer. So the
 * node role, which is root, hears no byte of a pod, and connects to nothing but the API.
 *
 *   prober_call --PROBER_ASK--> child: node_get.c or probe_socket.c there --PROBER_ANSWER--> done
 *
 * The child starts with the first call and stays. When it ends, its calls come back as lost:
 * nothing is known then, and nothing may be concluded. One that does not answer in time is killed.
 * Loop only.
 */
#ifndef RUNTIME_NODE_PROBER_H
#define RUNTIME_NODE_PROBER_H

#include "runtime/node/node_get.h"
#include "runtime/node/probe_run.h"

#define PROBER_GRACE_MS 2000             /* past a call's own timeout, until the child is killed */

struct prober;
struct prober_call;

struct prober_ask {
    const struct http_get_action_view *get;  /* NULL: a socket */
    const char *host;                    /* for get: of the pod, where the action names none */
    uint16_t port;
    const char *service;                 /* as in probe_socket_opts */
    int64_t timeout_ms;
};

struct prober_answer {
    bool lost;
    struct node_get_result get;
    enum probe_result result;            /* of a socket */
    const char *message;
};
typedef void prober_done(void *ctx, const struct prober_answer *a);

/* exe: NULL is ourselves. */
struct prober *prober_new(struct loop *l, const char *exe);
struct prober *prober_free(struct prober *p);            /* after its last call is gone */

/* done never comes from inside; the handle is freed after it. */
struct prober_call *prober_call(struct prober *p, const struct prober_ask *ask, prober_done *done,
                                void *ctx);
void prober_cancel(struct prober_call *c);               /* no callback. NULL is fine */

#endif
