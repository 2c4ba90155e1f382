/* runtime/node/probe.h -- the probes of one running container: startup, liveness, readiness.
 *
 * Made when the container starts (or is adopted), freed when it ends. Timers on the loop, no
 * thread. Liveness and readiness wait until the startup probe has succeeded. Without a probe:
 * started at once, never unhealthy, ready once started and once the ports listen that the container
 * is known to serve, but at the latest PROBE_LISTEN_MS after: so a Service does not send connections
 * to a server that is still getting up.
 */
#ifndef RUNTIME_NODE_PROBE_H
#define RUNTIME_NODE_PROBE_H

#include "gen/views.h"
#include "runtime/node/node_exec.h"
#include "runtime/node/node_listen.h"

#define PROBE_LISTEN_MS 1000
#define PROBE_LISTEN_LOOK_MS 10
#define PROBE_BODY_MAX 10240                     /* bytes of an answer kept for the message */

enum probe_kind { PROBE_STARTUP, PROBE_LIVENESS, PROBE_READINESS, PROBE_KIND_MAX };

struct probe_set;

enum probe_count { PROBE_GOOD, PROBE_BAD, PROBE_UNKNOWN, PROBE_COUNT_MAX };
struct probe_counts { uint64_t n[PROBE_KIND_MAX][PROBE_COUNT_MAX]; };

struct probe_opts {
    const struct node_exec_target *target;       /* copied; what it points to is borrowed */
    struct object *pod;                          /* referenced */
    const struct container_view *container;      /* of that pod */
    /* since 1970: initialDelaySeconds counts from there */
    int64_t started_s;
    bool was_started, was_ready;                 /* adopted: the results known before; else false */
    /* without a readiness probe: what must listen in net_pid's network; none: nothing is waited for */
    struct node_listen_ports ports;
    pid_t net_pid;
    struct probe_counts *counts;                 /* results are added there; may be NULL */
    void (*on_change)(void *ctx);                /* started or ready changed: read them again */
    /* Liveness or startup failed for good: the container is to be killed, with this grace (-1: the
     * pod's). Once. */
    void (*on_unhealthy)(void *ctx, enum probe_kind kind, int64_t grace_s);
    /* Event: reason "Unhealthy" or "ProbeWarning", type Warning. */
    void (*on_event)(void *ctx, const char *reason, const char *message);
    void *ctx;
};

struct probe_set *probe_set_new(const struct probe_opts *o);
/* fine from inside its callbacks */
struct probe_set *probe_set_free(struct probe_set *p);
CLEANUP_DEFINE(struct probe_set, probe_set_free)
bool probe_set_started(const struct probe_set *p);
bool probe_set_ready(const struct probe_set *p);
/* the pod terminates: liveness and startup end, readiness goes on */
void probe_set_stop(struct probe_set *p);

#endif
