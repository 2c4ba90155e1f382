/* store/watch/watch.h -- all current objects in memory, and the recent past as a ring: every read,
 * list and watch.
 *
 * Written by the store writer's thread only (watch_apply, in revision order), read by any. One
 * lock, held for pointer work only, never while encoding or doing I/O. A watch is a cursor, not a
 * thread: it is told "there is more" on its loop and takes what it wants.
 */
#ifndef STORE_WATCH_WATCH_H
#define STORE_WATCH_WATCH_H

#include "core/base/ref.h"
#include "core/loop/loop.h"
#include "core/object/object.h"
#include "core/object/selector.h"
#include "store/kv/kv.h"

#define WATCH_RING_EVENTS 16384        /* newest events kept for resuming watches and old lists */
#define WATCH_RING_BYTES (8u << 20)
#define WATCH_RING_MS (10 * 60 * 1000)

struct watch_cache;

struct watch_cache *watch_cache_new(const struct env *env);
struct watch_cache *watch_cache_free(struct watch_cache *w);
CLEANUP_DEFINE(struct watch_cache, watch_cache_free)

/* Start-up: one current pair; then watch_cache_ready with the newest revision. Unknown kinds are
 * kept aside. */
int watch_cache_load(struct watch_cache *w, const struct kv_change *pair, struct err *err);
void watch_cache_ready(struct watch_cache *w, int64_t revision);
/* One change, in revision order. The event's object is spliced with its revision once, shared by
 * all readers. For deletions the event carries the last state with the deletion's revision. */
void watch_cache_apply(struct watch_cache *w, const struct kv_change *change);

/* Key of an object: "<storage_prefix>/<ns>/<name>" or "<storage_prefix>/<name>". */
void watch_key(char out[KV_KEY_BYTES_MAX], const struct kind *kind, const char *ns,
               const char *name);

int64_t watch_cache_revision(const struct watch_cache *w);
void watch_cache_metrics(struct watch_cache *w, struct buf *out);
/* Oldest revision a watch can start after; older asks get ERR_EXPIRED. */
int64_t watch_cache_compacted(const struct watch_cache *w);

struct object *watch_cache_get(struct watch_cache *w, const struct kind *kind, const char *ns,
                               const char *name);

/* A list at one revision. */
struct watch_list_opts {
    const struct kind *kind;           /* storage kind */
    const char *ns;                    /* "" : all */
    /* 0: now; else as the state was at that revision (ERR_EXPIRED when gone) */
    int64_t at;
    const char *after;                 /* key to continue after; NULL: from the start */
    size_t limit;                      /* objects examined-and-kept at most; 0: all */
    /* filter; NULL keeps all; called without the lock */
    bool (*keep)(void *ctx, struct object *o);
    void *ctx;
};
struct watch_list {
    struct object **v;                 /* in key order; refs owned by the list */
    size_t len;
    int64_t revision;                  /* the list is exact at this revision */
    bool more;                         /* limit was reached and more objects follow */
    size_t remaining;                  /* of them, ignoring the filter */
};
int watch_cache_list(struct watch_list *out, struct watch_cache *w,
                     const struct watch_list_opts *opts, struct err *err);
void watch_list_deinit(struct watch_list *l);

enum watch_type { WATCH_ADDED, WATCH_MODIFIED, WATCH_DELETED };

/* An event as the ring has it. `prev`: the object before, NULL when it was created. */
struct watch_event {
    struct ref ref;
    int64_t revision;
    int64_t mono_ms;
    enum watch_type type;
    /* of a deletion: last state, resourceVersion of the deletion */
    struct object *object;
    struct object *prev;
    /* of the object and of the one before (core/object/selector.h) */
    uint64_t topics[2 * FIELDSEL_TOPICS_MAX];
    unsigned n_topics;
};

struct watch_cursor;

struct watch_cursor_opts {
    const struct kind *kind;
    const char *ns;                    /* "" : all */
    /* 0: all; else only changes of objects that have this topic or had it before */
    uint64_t topic;
    /* events with revision > after; ERR_EXPIRED when compacted */
    int64_t after;
    struct loop *loop;                 /* where on_more is called (coalesced, one at a time) */
    void (*on_more)(void *ctx);        /* take with watch_cursor_next until it gives NULL */
    void *ctx;
};
int watch_cursor_new(struct watch_cursor **out, struct watch_cache *w,
                     const struct watch_cursor_opts *opts, struct err *err);
struct watch_cursor *watch_cursor_free(struct watch_cursor *c);        /* on its loop */
/* The next event of this kind, namespace and topic, as a reference; NULL: nothing now. ERR_EXPIRED:
 * the cursor fell out of the ring; the stream must end with 410. */
int watch_cursor_next(struct watch_cursor *c, struct watch_event **out, struct err *err);
struct watch_event *watch_event_unref(struct watch_event *e);
/* Everything <= this revision has been handed out by watch_cursor_next: what a bookmark may claim.
 */
int64_t watch_cursor_revision(const struct watch_cursor *c);

#endif
