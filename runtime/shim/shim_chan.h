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

/* Shims outlive the program that started them: after an upgrade, or a way back, the two ends are
 * of different versions. So a record keeps its number and its members their meaning for ever. New
 * records get new numbers: a shim answers a request it does not know with ERR_UNSUPPORTED, and
 * what a shim tells beyond what we know is passed over. New members are passed over, too, and
 * missing ones mean what was so before they came. A plan is such a record.
 * Additions raise SHIM_PROTOCOL. SHIM_SETUP and SHIM_READY say it ("protocol"; nothing: 1), and
 * SHIM_READY the oldest that the shim can still be asked in ("oldest"; nothing: 1). */
#define SHIM_PROTOCOL 1
#define SHIM_PROTOCOL_OLDEST 1

enum shim_record {
    SHIM_SETUP = IMSG_USER,              /* its options; fd: network namespace, if any */
    SHIM_CREATE = 17,                    /* fd: memory file with the plan */
    SHIM_START = 18,
    SHIM_KILL = 19,
    SHIM_KILL_ALL = 20,
    SHIM_REMOVE = 21,
    SHIM_REOPEN = 22,
    SHIM_RESIZE = 23,
    SHIM_SHUTDOWN = 24,
    SHIM_EXEC = 25,                      /* fds: plan, then of stdio those in "fds" */
    SHIM_EXEC_KILL = 26,
    SHIM_EXEC_FORGET = 27,
    SHIM_ATTACH = 28,                    /* fds: those that "fds" has bits for */
    SHIM_DETACH = 29,
    SHIM_DIAL = 30,
    /* from the shim */
    SHIM_READY = 31,                     /* "pid", "protocol", "oldest"; fd: network namespace,
                                          * if not the host's */
    SHIM_FAILED = 32,                    /* set-up went wrong: "code", "msg" */
    SHIM_DONE = 33,                      /* "seq", "code", "msg"; SHIM_DIAL: fd */
    SHIM_CONTAINER = 34,                 /* a container as in state.json */
    SHIM_EXEC_STARTED = 35,              /* "seq", "code", "msg", "pid"; fd: terminal */
    SHIM_EXEC_EXITED = 36,               /* "seq", "exit", "signal" */
    SHIM_ATTACH_END = 37,                /* "seq" */
};
_Static_assert(IMSG_USER == 16, "numbers of records are for ever");

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
