/* core/loop/child.h -- short or long lived children: our own binary re-executed with a hidden verb,
 * single threaded, speaking typed records over a socket (imsg.h). clone, setns, mount and unpacking
 * happen only there.
 */
#ifndef CORE_LOOP_CHILD_H
#define CORE_LOOP_CHILD_H

#include "core/loop/imsg.h"
#include "core/loop/loop.h"

#define CHILD_ARGS_MAX 32

struct child;

struct child_opts {
    const char *verb;                           /* argv[1] of the re-executed binary, "shim" */
    /* further arguments, NULL-terminated; may be NULL */
    const char *const *args;
    /* whole environment, NULL-terminated; NULL: empty */
    const char *const *env;
    const char *exe;                            /* path to execute; NULL: /proc/self/exe */
    int fds[8];                                 /* fds given to it as 4, 5, ...; end with -1 */
    /* own session, not killed with us or by child_free */
    bool detached;
    /* stdin is /dev/null; stdout and stderr are ours, but /dev/null for a detached child without
     * this. */
    bool keep_stderr;
    /* On the loop. Records from the child; fds in the record are the callee's to take. */
    void (*on_msg)(struct child *c, struct imsg *m, void *ctx);
    /* After the last record: exit code 0-255 or 128+signal. Then c may be freed. */
    void (*on_exit)(struct child *c, int status, int sig, void *ctx);
    void *ctx;
};

/* vfork + exec with no code between; the child's end of the socket is fd 3. */
int child_start(struct child **out, struct loop *l, const struct child_opts *opts, struct err *err);
/* Kills and reaps; no callback after. A detached child lives on and is reaped by the loop when it
 * ends. */
struct child *child_free(struct child *c);
CLEANUP_DEFINE(struct child, child_free)
/* To one that has ended: nothing happens, its exit is on its way. */
int child_send(struct child *c, uint32_t type, const void *p, size_t len, const int *fds,
               size_t n_fds, struct err *err);
pid_t child_pid(const struct child *c);
int child_kill(struct child *c, int sig, struct err *err);

/* Blocking form for jobs: starts, sends one record, collects records until the child exits or
 * deadline_ms have passed (then it is killed, ERR_TIMEOUT). A record of type IMSG_ERR from the
 * child becomes *err. The last other record is handed out in *reply (may be NULL). Non-zero exit
 * without IMSG_ERR is ERR_FAILED. */
int child_call(const struct child_opts *opts, uint32_t type, const void *p, size_t len,
               int64_t deadline_ms, struct imsg *reply, struct err *err);

#endif
