/* store/watch/watch_impl.h -- inside the room: the cache's parts. All under its one lock. */
#ifndef STORE_WATCH_WATCH_IMPL_H
#define STORE_WATCH_WATCH_IMPL_H

#include <pthread.h>

#include "core/base/map.h"
#include "store/watch/watch.h"
#include "store/watch/watch_shelf.h"

struct watch_cache {
    const struct env *env;
    pthread_mutex_t lock;
    struct shelf *shelves;                   /* by id of the storage kind */
    struct list *cursors;                    /* without a topic, by id of the storage kind */
    struct map *topics;                      /* "kind id/topic" -> its cursors; none is empty */
    int64_t revision;                        /* newest applied */
    /* newest revision that left the ring (or was never in it) */
    int64_t compacted;
    /* The ring: event number n is at ring[n % WATCH_RING_EVENTS], for first <= n < next. */
    struct watch_event **ring;
    uint64_t first, next;
    size_t bytes;
};

/* watch_ring.c. Oldest events leave while limits are exceeded. Takes the event's reference. */
void watch_ring_push(struct watch_cache *w, struct watch_event *e);
void watch_ring_clear(struct watch_cache *w);
static inline struct watch_event *watch_ring_at(const struct watch_cache *w, uint64_t n)
{
    return w->ring[n % WATCH_RING_EVENTS];
}
/* The number of the first event with a revision above this one. */
uint64_t watch_ring_after(const struct watch_cache *w, int64_t revision);

/* watch_cursor.c: tells the cursors that the newest event is for. */
void watch_cursor_wake(struct watch_cache *w);

#endif
