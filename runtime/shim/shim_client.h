/* runtime/shim/shim_client.h -- the door of the node role: one shim process per pod, seen from outside.
 *
 * A shim owns a pod's namespaces and containers and outlives every daemon. It is started (start) or found again
 * after our own restart (adopt); free() only lets go of it, shutdown() ends it. Everything is asynchronous on one
 * loop: calls never block, results arrive by callback, never from inside the call. Callbacks run in order; each
 * request is answered exactly once (ERR_UNAVAILABLE when the link is lost; ERR_CANCELED, from inside free(), when the
 * handle is freed first).
 *
 *   start --on_ready(NULL)--> create_container --done--> start_container --done--> on_container(RUNNING)
 *     ... on_container(EXITED) ... remove_container ... shutdown --done--> free
 *   on_lost: the shim died or the link broke: its containers are dying or dead. Kill and remove the pod's cgroup;
 *   exit codes written before are in <dir>/state.json (shim_state.h).
 *
 * All of it goes through a table so that tests give their own: shim_client_driver() is the real one,
 * tests/fake/fake_shim.c the other.
 */
#ifndef RUNTIME_SHIM_SHIM_CLIENT_H
#define RUNTIME_SHIM_SHIM_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/loop/loop.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/oci/plan.h"

#define SHIM_ID_BYTES 128            /* container and exec ids: letters, digits, - _ . */
#define SHIM_CONTAINERS_MAX 64       /* in one pod, exited ones included */
#define SHIM_EXECS_MAX 64            /* at the same time */
#define SHIM_NOTE_BYTES_MAX 4096

struct shim;                         /* a handle; the driver's */

enum shim_state { SHIM_CREATED, SHIM_RUNNING, SHIM_EXITED, SHIM_STATE_MAX };

struct shim_container {
    const char *id;
    const char *note;                /* what create_container was given, for the owner's own use */
    enum shim_state state;
    pid_t pid;                       /* in the host's numbers; 0 unless created or running */
    int exit_code;                   /* 0-255, 128 + signal; valid when exited */
    int signal;                      /* 0 or what killed it */
    bool oom_killed;
    int64_t created_ns, started_ns, finished_ns;     /* since 1970; 0: not yet */
    const char *log_path;
    const char *message;             /* why it could not be started, or "" */
};

struct shim_events {
    /* The shim is ready (err NULL) or could not be started or found; then only free() is left. After adopt(),
     * on_container was called for each container before. */
    void (*on_ready)(void *ctx, const struct err *err);
    void (*on_container)(void *ctx, const struct shim_container *c);     /* a container changed */
    void (*on_lost)(void *ctx, const struct err *why);                   /* then only free() is left */
    void *ctx;
};

struct shim_opts {
    const char *dir;                 /* <run-dir>/pods/<uid>, 0700, made when missing; holds socket and state */
    const char *box_exe;             /* our binary where it cannot be written (shim_box.h); NULL: /proc/self/exe */
    const char *cgroup;              /* cgroup_describe() of the host */
    const char *cgroup_path;         /* "pod<uid>": must exist; containers get a group below */
    const char *hostname;            /* of the pod; with a host network the host's name stays */
    const char *domainname;          /* or NULL */
    bool host_network, host_ipc;
    bool share_pids;                 /* shareProcessNamespace */
    int netns;                       /* -1: the shim makes one (unless host_network); else it joins this. Borrowed. */
    const struct plan_sysctl *sysctls;
    size_t n_sysctls;
};

struct shim_create {
    const char *id;
    const char *note;                /* or NULL */
    const struct oci_plan *plan;     /* encoded before the call returns */
    const struct cgroup_limits *limits;
    const char *log_path;            /* CRI-format file; its folder must exist. NULL: output is dropped */
    int64_t log_bytes_max;           /* 0: 10 MiB; rotated then */
    int log_files_max;               /* 0: 5, the current one included */
    bool with_stdin, stdin_once;     /* spec.stdin, spec.stdinOnce */
};

struct shim_exec {
    const char *container_id;
    const struct oci_plan *plan;     /* args env cwd user groups caps seccomp rlimits tty ...: no mounts, no rootfs */
    int fds[3];                      /* stdin, stdout, stderr of the process; -1: /dev/null. Borrowed. Not with tty */
    /* Started, or failed to (err). With a tty, pty is its master, the callee's to close; else -1. */
    void (*on_started)(void *ctx, const struct err *err, pid_t pid, int pty);
    void (*on_exit)(void *ctx, int exit_code, int signal);               /* only after a good on_started */
    void *ctx;
};

struct shim_attach {
    const char *container_id;
    int in, out, errout;             /* in is read, others written to the end of the container; -1: not wanted. Borrowed */
    void (*on_attached)(void *ctx, const struct err *err);
    void (*on_end)(void *ctx);       /* the container ended or all ends closed; only after a good on_attached */
    void *ctx;
};

typedef void shim_done(void *ctx, const struct err *err);                /* err NULL: done */
typedef void shim_dialed(void *ctx, const struct err *err, int fd);      /* fd: the callee's, non-blocking */

struct shim_driver {
    int (*start)(void *driver, struct shim **out, struct loop *l, const struct shim_opts *o,
                 const struct shim_events *ev, struct err *err);
    int (*adopt)(void *driver, struct shim **out, struct loop *l, const char *dir,
                 const struct shim_events *ev, struct err *err);
    struct shim *(*free)(struct shim *s);            /* NULL is fine; the process lives on; no callback after */
    int (*netns)(const struct shim *s);              /* the pod's network namespace, borrowed; -1: the host's */
    pid_t (*pid)(const struct shim *s);              /* of the shim itself */

    void (*create_container)(struct shim *s, const struct shim_create *c, shim_done *done, void *ctx);
    void (*start_container)(struct shim *s, const char *id, shim_done *done, void *ctx);
    void (*kill_container)(struct shim *s, const char *id, int sig, shim_done *done, void *ctx);  /* gone: fine */
    void (*kill_all)(struct shim *s, const char *id, shim_done *done, void *ctx);   /* SIGKILL to its whole group */
    void (*remove_container)(struct shim *s, const char *id, shim_done *done, void *ctx); /* exited ones only */
    uint32_t (*exec)(struct shim *s, const struct shim_exec *e);         /* an id for the two below */
    void (*exec_kill)(struct shim *s, uint32_t exec, int sig);
    void (*exec_forget)(struct shim *s, uint32_t exec);                  /* no callback any more; kills it */
    uint32_t (*attach)(struct shim *s, const struct shim_attach *a);
    void (*detach)(struct shim *s, uint32_t attach);
    void (*resize)(struct shim *s, const char *id, uint16_t rows, uint16_t cols);
    void (*reopen_log)(struct shim *s, const char *id, shim_done *done, void *ctx);
    /* Connects to a port at the pod's own loopback address, IPv4 first: port-forward. */
    void (*dial)(struct shim *s, uint16_t port, shim_dialed *done, void *ctx);
    /* Kills what is left, removes the containers' groups, the namespaces, its files in dir, and ends. Done when the
     * process has gone; not followed by on_lost. */
    void (*shutdown)(struct shim *s, shim_done *done, void *ctx);
    void *driver;                    /* first argument of start and adopt */
};

const struct shim_driver *shim_client_driver(void);

#endif
