/* core/loop/loop.h -- epoll, timers and a mailbox; one loop per thread, which owns all of its data.
 *
 * Nothing blocks on a loop. Callbacks are leaves: fd ready, timer, message. All functions here but
 * loop_post() and loop_stop() may be called on the loop's own thread only (asserted). A callback
 * may free the very io or timer it runs for.
 *
 * In tests a loop is stepped by hand with a fake clock: loop_step().
 */
#ifndef CORE_LOOP_LOOP_H
#define CORE_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/cleanup.h"
#include "core/base/env.h"
#include "core/base/err.h"
#include "core/base/heap.h"
#include "core/base/list.h"

struct loop;

enum { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_HANGUP = 4 };      /* HANGUP is always reported */

int loop_new(struct loop **out, const struct env *env, struct err *err);
struct loop *loop_free(struct loop *l);
CLEANUP_DEFINE(struct loop, loop_free)
const struct env *loop_env(const struct loop *l);
int64_t loop_now_ms(const struct loop *l);                    /* monotonic, cached per round */
/* How long its present round takes; 0 while it waits. Any thread: tells a loop that hangs. */
int64_t loop_busy_ms(const struct loop *l);

/* until loop_stop(); binds to this thread */
void loop_run(struct loop *l);
/* from any thread, also from signal-like contexts */
void loop_stop(struct loop *l);
/* One round: waits at most wait_ms (0: poll; -1: until something), runs what is due. True if
 * anything ran. */
bool loop_step(struct loop *l, int wait_ms);
bool loop_is_mine(const struct loop *l);

/* Watching a file descriptor. Embed it; zero-initialise. The fd stays the caller's. */
struct loop_io {
    int fd;
    unsigned events;
    void (*on_ready)(struct loop_io *io, unsigned events);
    struct loop *loop;          /* NULL when not added */
};
int loop_io_add(struct loop *l, struct loop_io *io, int fd, unsigned events,
                void (*on_ready)(struct loop_io *, unsigned), struct err *err);
void loop_io_set(struct loop_io *io, unsigned events);        /* 0 keeps only HANGUP */
/* callable twice; before closing the fd */
void loop_io_del(struct loop_io *io);

/* A one-shot timer. Embed it; zero-initialise. Setting it again moves it. */
struct loop_timer {
    struct heap_node node;
    void (*on_time)(struct loop_timer *t);
    struct loop *loop;
};
void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t after_ms,
                    void (*on_time)(struct loop_timer *));
void loop_timer_del(struct loop_timer *t);                    /* callable twice */
bool loop_timer_is_set(const struct loop_timer *t);

/* A message: the only way into a loop from another thread. Delivered in order, once, on the loop's
 * thread, never from inside loop_post(). The memory is the caller's until on_deliver runs; embed
 * it. Messages still waiting when the loop is freed are delivered with loop_is_closing() true,
 * so that they free what they own. */
struct loop_msg {
    struct loop_msg *next;
    void (*on_deliver)(struct loop_msg *m);
};
void loop_post(struct loop *l, struct loop_msg *m, void (*on_deliver)(struct loop_msg *));
bool loop_is_closing(const struct loop *l);

/* Something that nobody else owns any more: when the loop is freed and it is still there, on_free
 * ends it. Embed it; zero-initialise. */
struct loop_own {
    struct list link;
    void (*on_free)(struct loop_own *o);
    struct loop *loop;          /* NULL when not owned */
};
void loop_own(struct loop *l, struct loop_own *o, void (*on_free)(struct loop_own *));
void loop_disown(struct loop_own *o);                         /* callable twice */

/* A thread that runs a loop. */
struct loop_thread;
int loop_thread_start(struct loop_thread **out, struct loop *l, const char *name, struct err *err);
/* after loop_stop(); always returns NULL */
struct loop_thread *loop_thread_join(struct loop_thread *t);

#endif
