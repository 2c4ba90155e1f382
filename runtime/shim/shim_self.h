/* runtime/shim/shim_self.h -- private to the room: the inside of a shim process. One thread, one loop.
 *
 *   shim.c            set-up, the link to the node role, requests by table, the end
 *   shim_sandbox.c    the pod's namespaces
 *   shim_container.c  containers: created -> running -> exited
 *   shim_stream.c     their output to log and attached, and what is typed to them
 *   shim_exec.c       further processes in them
 */
#ifndef RUNTIME_SHIM_SHIM_SELF_H
#define RUNTIME_SHIM_SHIM_SELF_H

#include "runtime/oci/oci.h"
#include "runtime/shim/shim_chan.h"
#include "runtime/shim/shim_client.h"
#include "runtime/shim/shim_log.h"

#define SHIM_READ_BYTES 16384            /* one read of a container's output */
#define SHIM_BEHIND_BYTES_MAX (1u << 20) /* output that one attached has not taken; more: it is let go */
#define SHIM_ATTACHED_MAX 64             /* to one container at the same time */
#define SHIM_DRAIN_MS 1000               /* how long an exited container's output may still come from others */

struct shim_attached;
struct shim_self;

struct shim_stream {                     /* one output of a container */
    struct shim_box_container *owner;
    enum shim_log_stream which;
    struct loop_io io;
    int fd;                              /* -1: ended */
};

struct shim_box_container {
    struct list link;
    struct shim_self *self;
    struct shim_container info;          /* texts are ours */
    char *group;
    struct oci_proc proc;
    struct loop_io on_sync, on_pid;
    struct loop_timer drain;
    bool going, dead, tty;               /* dead: reaped, its output may still come */
    uint32_t create_seq, start_seq;      /* a request to answer; 0: none */
    struct shim_stream out[SHIM_LOG_STREAMS];
    struct shim_log log;
    int in;                              /* where its input goes, or -1 */
    bool stdin_once;
    struct buf typed;                    /* input it has not taken */
    struct loop_io on_in;
    struct list attached;
    size_t n_attached;
};

struct shim_exec_proc {
    struct list link;
    struct shim_self *self;
    uint32_t seq;
    struct oci_proc proc;
    struct loop_io on_sync, on_pid;
    bool started, quiet;                 /* quiet: nobody wants to hear of it */
};

struct shim_dial {
    struct list link;
    struct shim_self *self;
    struct loop_io io;
    struct loop_timer timer;
    uint32_t seq;
    uint16_t port;
    bool v6;
    int fd;
};

struct shim_self {
    struct loop *loop;
    const struct env *env;
    char *dir;
    struct cgroup *cgroup;
    char *cgroup_path;
    struct oci_pod pod;
    struct oci_proc pause;
    struct loop_io on_pause;
    int netns;                           /* -1: the host's */
    uint64_t ticks;
    bool recorded;                       /* state.json is ours */
    int listener;
    struct loop_io on_listener;
    struct shim_chan *link;              /* the node role, or NULL while it is away */
    struct list containers, execs, dials;
    size_t n_containers, n_execs;
    uint32_t stop_seq;
    bool stopping;
    int stop_tries;
    struct loop_timer stop_timer;
};

/* --- shim.c */
int64_t shim_now_ns(const struct shim_self *s);
void shim_save(struct shim_self *s);                     /* writes state.json */
void shim_answer(struct shim_self *s, uint32_t seq, const struct err *why);
void shim_tell_container(struct shim_self *s, const struct shim_box_container *c);
int shim_plan(struct oci_plan *out, struct arena *a, struct imsg *m, struct err *err);   /* from the record's first fd */

/* --- shim_sandbox.c */
int shim_sandbox_make(struct shim_self *s, const struct json *setup, int netns, struct err *err);
void shim_dial(struct shim_self *s, uint32_t seq, uint16_t port);
void shim_dial_free(struct shim_dial *d);

/* --- shim_container.c */
struct shim_box_container *shim_container_find(struct shim_self *s, const char *id);
int shim_container_create(struct shim_self *s, struct imsg *m, const struct json *v, struct err *err);
int shim_container_start(struct shim_box_container *c, uint32_t seq, struct err *err);
int shim_container_remove(struct shim_box_container *c, struct err *err);
void shim_container_free(struct shim_box_container *c);
void shim_container_drained(struct shim_box_container *c);   /* its outputs have ended */

/* --- shim_stream.c */
int shim_stream_add(struct shim_box_container *c, enum shim_log_stream which, int fd, struct err *err);
void shim_stream_end(struct shim_stream *t);
void shim_stream_drain(struct shim_box_container *c);        /* what is there now, without waiting */
bool shim_stream_open(const struct shim_box_container *c);
int shim_attach(struct shim_box_container *c, uint32_t seq, int fds[3], struct err *err);   /* takes fds */
void shim_detach(struct shim_self *s, uint32_t seq);
void shim_detach_all(struct shim_box_container *c, bool now);    /* not now: they get what is left first */
void shim_stdin_close(struct shim_box_container *c);

/* --- shim_exec.c */
int shim_exec_start(struct shim_self *s, struct imsg *m, const struct json *v, struct err *err);
void shim_exec_kill(struct shim_self *s, uint32_t seq, int sig, bool forget);
void shim_exec_free(struct shim_exec_proc *e);

#endif
