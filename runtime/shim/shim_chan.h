/* runtime/shim/shim_chan.h -- private to the room: the records between the node role and a shim, and a channel
 * for them on a loop that never blocks and never loses one while it lives.
 *
 * A record is an imsg whose data is one JSON object. Requests carry a "seq" that the answer repeats.
 */
#ifndef RUNTIME_SHIM_SHIM_CHAN_H
#define RUNTIME_SHIM_SHIM_CHAN_H

#include "core/base/json.h"
#include "core/loop/imsg.h"
#include "core/loop/loop.h"

#define SHIM_CHAN_WAITING_MAX 1024       /* records the peer has not taken; more: it is given up */
#define SHIM_CHAN_FD 4                   /* where a started shim finds its side */

enum shim_record {
    SHIM_SETUP = IMSG_USER,              /* to a new shim: its options; fd: network namespace, if any */
    SHIM_CREATE,                         /* fd: memory file with the plan */
    SHIM_START, SHIM_KILL, SHIM_KILL_ALL, SHIM_REMOVE, SHIM_REOPEN, SHIM_RESIZE, SHIM_SHUTDOWN,
    SHIM_EXEC,                           /* fds: plan, then those of stdio that "fds" has bits for */
    SHIM_EXEC_KILL, SHIM_EXEC_FORGET,
    SHIM_ATTACH, SHIM_DETACH,            /* fds: those that "fds" has bits for */
    SHIM_DIAL,
    /* from the shim */
    SHIM_READY,                          /* "pid"; fd: network namespace, if not the host's */
    SHIM_FAILED,                         /* set-up went wrong: "code", "msg" */
    SHIM_DONE,                           /* "seq", "code", "msg"; SHIM_DIAL: fd */
    SHIM_CONTAINER,                      /* a container as in state.json */
    SHIM_EXEC_STARTED,                   /* "seq", "code", "msg", "pid"; fd: terminal */
    SHIM_EXEC_EXITED,                    /* "seq", "exit", "signal" */
    SHIM_ATTACH_END,                     /* "seq" */
};

struct shim_chan;

struct shim_chan_opts {
    void (*on_record)(void *ctx, struct imsg *m, const struct json *v);
    void (*on_end)(void *ctx, const struct err *why);    /* the peer closed, or broke the rules */
    void *ctx;
};

/* Takes fd. Callbacks never come from inside a call; freeing is allowed in them. */
int shim_chan_new(struct shim_chan **out, struct loop *l, int fd, const struct shim_chan_opts *o, struct err *err);
struct shim_chan *shim_chan_free(struct shim_chan *c);
/* Copies text, duplicates fds. What cannot be sent ends the channel, so there is nothing to check. */
void shim_chan_send(struct shim_chan *c, uint32_t type, const struct buf *text, const int *fds, size_t n_fds);
/* {"seq":seq,"code":..,"msg":..} of an error or of none. */
void shim_chan_answer(struct shim_chan *c, uint32_t type, uint32_t seq, const struct err *why, int fd);
bool shim_chan_idle(const struct shim_chan *c);          /* nothing waits to be sent */
/* The error in a record; false when it says none. */
bool shim_chan_error(const struct json *v, struct err *out);

#endif
