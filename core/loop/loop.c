/* loop.c -- one round: wait, take what was posted, run ready descriptors, messages, due timers.
 *
 * Messages and timers that a round's callbacks add run in the next round, so that a round ends.
 */
#include "core/loop/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/mem.h"

#define LOOP_READY_MAX 128                      /* descriptors taken by one wait */
#define LOOP_TIMER_MAX_MS (1000ll * 86400 * 3650)
#define LOOP_NAME_BYTES 16
#define LOOP_WAITS (-1)                         /* no round is under way */

struct loop {
    const struct env *env;
    int epoll;
    int wake;                                   /* eventfd: something was posted, or stop */
    _Atomic(pthread_t) owner;
    atomic_bool stop;
    bool in_round, closing;
    int64_t now_ms;
    _Atomic int64_t round_ms;                   /* when this round began, or LOOP_WAITS */
    struct heap timers;
    struct list owned;
    struct epoll_event ready[LOOP_READY_MAX];   /* of this round; a deleted io is cleared in it */
    int n_ready, at_ready;
    pthread_mutex_t lock;                       /* guards first and last */
    struct loop_msg *first, *last;
};

struct loop_thread {
    pthread_t thread;
    struct loop *loop;
    char name[LOOP_NAME_BYTES];
};

bool loop_is_mine(const struct loop *l)
{
    return pthread_equal(atomic_load_explicit(&l->owner, memory_order_relaxed), pthread_self());
}

int loop_new(struct loop **out, const struct env *env, struct err *err)
{
    struct loop *l = NEW(struct loop);
    struct epoll_event ev = { .events = EPOLLIN };

    l->env = env ? env : env_real();
    atomic_init(&l->owner, pthread_self());
    atomic_init(&l->stop, false);
    atomic_init(&l->round_ms, LOOP_WAITS);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ev.data.ptr = NULL;                         /* no io: the wake descriptor */
    if (l->epoll < 0 || l->wake < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->wake, &ev) < 0) {
        err_sys(err, "new loop");
        if (l->epoll >= 0)
            close(l->epoll);
        if (l->wake >= 0)
            close(l->wake);
        mem_free(l);
        return -1;
    }
    list_init(&l->owned);
    check(pthread_mutex_init(&l->lock, NULL) == 0);
    l->now_ms = env_mono_ms(l->env);
    *out = l;
    return 0;
}

const struct env *loop_env(const struct loop *l)
{
    return l->env;
}

int64_t loop_busy_ms(const struct loop *l)
{
    int64_t since = atomic_load_explicit(&l->round_ms, memory_order_relaxed);

    return since == LOOP_WAITS ? 0 : env_mono_ms(l->env) - since;
}

int64_t loop_now_ms(const struct loop *l)
{
    return l->in_round ? l->now_ms : env_mono_ms(l->env);
}

bool loop_is_closing(const struct loop *l)
{
    return l->closing;
}

/* --- mailbox */

static void loop_wake(struct loop *l)
{
    uint64_t one = 1;
    ssize_t n;

    do
        n = write(l->wake, &one, sizeof(one));
    while (n < 0 && errno == EINTR);            /* EAGAIN: the counter is full, so it is awake */
}

void loop_post(struct loop *l, struct loop_msg *m, void (*on_deliver)(struct loop_msg *m))
{
    bool was_empty;

    check(on_deliver);
    m->next = NULL;
    m->on_deliver = on_deliver;
    pthread_mutex_lock(&l->lock);
    was_empty = !l->first;
    if (was_empty)
        l->first = m;
    else
        l->last->next = m;
    l->last = m;
    if (was_empty)
        loop_wake(l);                           /* under the lock: l may be freed right after */
    pthread_mutex_unlock(&l->lock);
}

void loop_stop(struct loop *l)
{
    atomic_store(&l->stop, true);
    loop_wake(l);
}

static struct loop_msg *loop_take_posted(struct loop *l)
{
    struct loop_msg *first;

    pthread_mutex_lock(&l->lock);
    first = l->first;
    l->first = l->last = NULL;
    pthread_mutex_unlock(&l->lock);
    return first;
}

static bool loop_deliver(struct loop *l)
{
    struct loop_msg *m = loop_take_posted(l);
    bool ran = m;

    while (m) {
        struct loop_msg *next = m->next;

        m->next = NULL;
        m->on_deliver(m);
        m = next;
    }
    return ran;
}

/* --- what has no other owner */

void loop_own(struct loop *l, struct loop_own *o, void (*on_free)(struct loop_own *))
{
    check(loop_is_mine(l));
    check(!o->loop);
    check(on_free);
    o->loop = l;
    o->on_free = on_free;
    list_push(&l->owned, &o->link);
}

void loop_disown(struct loop_own *o)
{
    if (!o->loop)
        return;
    check(loop_is_mine(o->loop));
    list_del(&o->link);
    o->loop = NULL;
}

static void loop_free_owned(struct loop *l)
{
    struct loop_own *o;

    while ((o = list_first(&l->owned, struct loop_own, link))) {
        loop_disown(o);
        o->on_free(o);
    }
}

struct loop *loop_free(struct loop *l)
{
    struct heap_node *n;

    if (!l)
        return NULL;
    check(loop_is_mine(l));
    check(!l->in_round);
    l->closing = true;
    while (loop_deliver(l))
        ;
    loop_free_owned(l);
    while ((n = heap_min(&l->timers)))
        loop_timer_del(container_of(n, struct loop_timer, node));
    heap_deinit(&l->timers);
    close(l->epoll);
    close(l->wake);
    pthread_mutex_destroy(&l->lock);
    return mem_free(l);
}

/* --- descriptors */

static uint32_t loop_epoll_events(unsigned events)
{
    return (events & LOOP_READ ? (uint32_t)EPOLLIN : 0) |
           (events & LOOP_WRITE ? (uint32_t)EPOLLOUT : 0);
}

int loop_io_add(struct loop *l, struct loop_io *io, int fd, unsigned events,
                void (*on_ready)(struct loop_io *, unsigned), struct err *err)
{
    struct epoll_event ev = { .events = loop_epoll_events(events), .data.ptr = io };

    check(loop_is_mine(l));
    check(!io->loop);
    check(on_ready);
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
        return err_sys(err, "watch descriptor %d", fd);
    io->fd = fd;
    io->events = events;
    io->on_ready = on_ready;
    io->loop = l;
    return 0;
}

void loop_io_set(struct loop_io *io, unsigned events)
{
    struct epoll_event ev = { .events = loop_epoll_events(events), .data.ptr = io };

    check(io->loop);
    check(loop_is_mine(io->loop));
    if (io->events == events)
        return;
    check(epoll_ctl(io->loop->epoll, EPOLL_CTL_MOD, io->fd, &ev) == 0);
    io->events = events;
}

void loop_io_del(struct loop_io *io)
{
    struct loop *l = io->loop;

    if (!l)
        return;
    check(loop_is_mine(l));
    check(epoll_ctl(l->epoll, EPOLL_CTL_DEL, io->fd, NULL) == 0);
    for (int i = l->at_ready; i < l->n_ready; i++)
        if (l->ready[i].data.ptr == io)
            l->ready[i].events = 0;             /* it was ready too: forget that */
    io->loop = NULL;
}

static void loop_drain_wake(struct loop *l)
{
    uint64_t n;

    while (read(l->wake, &n, sizeof(n)) < 0 && errno == EINTR)
        ;
}

/* On an error or hang-up the callback is told all it asked for, so that its next call sees the
 * error. */
static unsigned loop_ready_events(const struct loop_io *io, uint32_t events)
{
    unsigned out = 0;

    if (events & (EPOLLHUP | EPOLLERR))
        out = LOOP_HANGUP | (io->events & (LOOP_READ | LOOP_WRITE));
    if (events & EPOLLIN)
        out |= LOOP_READ;
    if (events & EPOLLOUT)
        out |= LOOP_WRITE;
    return out;
}

static bool loop_run_ready(struct loop *l)
{
    bool ran = false;

    for (l->at_ready = 0; l->at_ready < l->n_ready; ) {
        const struct epoll_event *ev = &l->ready[l->at_ready++];
        struct loop_io *io = ev->data.ptr;
        unsigned events;

        if (ev->events == 0)
            continue;
        if (!io) {
            loop_drain_wake(l);
            continue;
        }
        events = loop_ready_events(io, ev->events) & (io->events | LOOP_HANGUP);
        if (events == 0)
            continue;                           /* loop_io_set took it back meanwhile */
        ran = true;
        io->on_ready(io, events);
    }
    l->n_ready = l->at_ready = 0;
    return ran;
}

/* --- timers */

bool loop_timer_is_set(const struct loop_timer *t)
{
    return t->loop;
}

void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t after_ms,
                    void (*on_time)(struct loop_timer *))
{
    check(loop_is_mine(l));
    check(!t->loop || t->loop == l);
    check(on_time);
    if (after_ms < 0)
        after_ms = 0;
    if (after_ms > LOOP_TIMER_MAX_MS)
        after_ms = LOOP_TIMER_MAX_MS;
    t->on_time = on_time;
    t->loop = l;
    heap_push(&l->timers, &t->node, loop_now_ms(l) + after_ms);
}

void loop_timer_del(struct loop_timer *t)
{
    if (!t->loop)
        return;
    check(loop_is_mine(t->loop));
    heap_remove(&t->loop->timers, &t->node);
    t->loop = NULL;
}

static bool loop_run_timers(struct loop *l)
{
    size_t left = l->timers.len;                /* a timer that sets itself anew must not hold us */
    bool ran = false;
    struct heap_node *n;

    while (left-- > 0 && (n = heap_min(&l->timers)) && n->key <= l->now_ms) {
        struct loop_timer *t = container_of(n, struct loop_timer, node);

        loop_timer_del(t);
        ran = true;
        t->on_time(t);
    }
    return ran;
}

/* --- rounds */

static int loop_wait_ms(const struct loop *l, int wait_ms)
{
    const struct heap_node *n = heap_min(&l->timers);
    int64_t ms;

    if (!n || wait_ms == 0)
        return wait_ms;
    ms = n->key - env_mono_ms(l->env);
    if (ms < 0)
        ms = 0;
    if (ms > INT32_MAX)
        ms = INT32_MAX;
    return wait_ms < 0 || ms < wait_ms ? (int)ms : wait_ms;
}

bool loop_step(struct loop *l, int wait_ms)
{
    bool ran;
    int n;

    check(loop_is_mine(l));
    check(!l->in_round);
    n = epoll_wait(l->epoll, l->ready, LOOP_READY_MAX, loop_wait_ms(l, wait_ms));
    check(n >= 0 || errno == EINTR);
    l->n_ready = n > 0 ? n : 0;
    l->in_round = true;
    l->now_ms = env_mono_ms(l->env);
    atomic_store_explicit(&l->round_ms, l->now_ms, memory_order_relaxed);
    ran = loop_run_ready(l);
    ran = loop_deliver(l) || ran;
    ran = loop_run_timers(l) || ran;
    l->in_round = false;
    atomic_store_explicit(&l->round_ms, LOOP_WAITS, memory_order_relaxed);
    return ran;
}

void loop_run(struct loop *l)
{
    atomic_store(&l->owner, pthread_self());
    while (!atomic_exchange(&l->stop, false))
        loop_step(l, -1);
}

/* --- threads */

static void *loop_thread_main(void *arg)
{
    struct loop_thread *t = arg;

    pthread_setname_np(pthread_self(), t->name);
    loop_run(t->loop);
    return NULL;
}

int loop_thread_start(struct loop_thread **out, struct loop *l, const char *name, struct err *err)
{
    struct loop_thread *t = NEW(struct loop_thread);
    sigset_t all, before;
    int rc;

    check(loop_is_mine(l));
    t->loop = l;
    for (size_t i = 0; i < sizeof(t->name) - 1 && name[i]; i++)
        t->name[i] = name[i];
    sigfillset(&all);                           /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&t->thread, NULL, loop_thread_main, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        errno = rc;
        mem_free(t);
        return err_sys(err, "start thread %s", name);
    }
    atomic_store(&l->owner, t->thread);         /* from here on not ours, even before it runs */
    *out = t;
    return 0;
}

struct loop_thread *loop_thread_join(struct loop_thread *t)
{
    if (!t)
        return NULL;
    check(pthread_join(t->thread, NULL) == 0);
    atomic_store(&t->loop->owner, pthread_self());
    return mem_free(t);
}
