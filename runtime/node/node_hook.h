/* runtime/node/node_hook.h -- postStart and preStop of a container: exec, httpGet, tcpSocket (does
 * nothing, as upstream), sleep. */
#ifndef RUNTIME_NODE_NODE_HOOK_H
#define RUNTIME_NODE_NODE_HOOK_H

#include "gen/views.h"
#include "runtime/node/node_exec.h"

struct node_hook;

struct node_hook_opts {
    const struct node_exec_target *target;       /* copied; what it points to is borrowed */
    const struct lifecycle_handler_view *handler;        /* borrowed until done */
    const struct container_view *container;      /* for named ports */
    const char *pod_key;                         /* "name_namespace(uid)", for messages */
    /* preStop: the grace period; 0: none (postStart) */
    int64_t timeout_ms;
    /* err NULL: done. Else the message; events FailedPostStartHook / FailedPreStopHook. Freed after
     * it. */
    void (*done)(void *ctx, const struct err *err);
    void *ctx;
};

/* done never comes from inside */
struct node_hook *node_hook_start(const struct node_hook_opts *o);
void node_hook_cancel(struct node_hook *h);      /* no callback; NULL is fine; not after done */

#endif
