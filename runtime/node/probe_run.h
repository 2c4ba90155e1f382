/* runtime/node/probe_run.h -- one try of a probe: exec, httpGet, tcpSocket or grpc. Private to
 * probe*.c. */
#ifndef RUNTIME_NODE_PROBE_RUN_H
#define RUNTIME_NODE_PROBE_RUN_H

#include "runtime/node/probe.h"

enum probe_result { PROBE_SUCCESS, PROBE_WARNING, PROBE_FAILURE, PROBE_ERROR };

struct probe_run;
/* message: what went wrong; "" on success. */
typedef void probe_run_done(void *ctx, enum probe_result r, const char *message);

/* The view is borrowed until done. Freed after done, which never comes from inside. */
struct probe_run *probe_run_start(const struct node_exec_target *t, const struct probe_view *what,
                                  const struct container_view *c, probe_run_done *done, void *ctx);
void probe_run_cancel(struct probe_run *r);      /* no callback. NULL is fine; not after done */

/* probe_socket.c: tcpSocket, and grpc over it. service NULL: connecting is all. */
struct probe_socket;
struct probe_socket_opts {
    const char *host;                    /* copied, as service */
    uint16_t port;
    const char *service;
    int64_t timeout_ms;
    probe_run_done *done;                /* never from inside; the handle is freed after it */
    void *ctx;
};
struct probe_socket *probe_socket_start(struct loop *l, const struct probe_socket_opts *o);
void probe_socket_cancel(struct probe_socket *s);

#endif
