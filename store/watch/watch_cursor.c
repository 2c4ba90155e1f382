/* watch_cursor.c: a reader's place in the ring.
 *
 * A cursor is told once that there is more (`told`) and not again until it has taken everything, so
 * a burst of changes costs a slow reader one message. The message lives in the cursor: one freed
 * while its message is under way is only marked, and goes when the message arrives.
 */
#include "store/watch/watch_impl.h"

#include "core/base/mem.h"

struct watch_cursor {
    struct list link;                        /* of its kind; under the cache's lock */
    struct loop_msg msg;
    struct watch_cache *cache;
    const struct kind *kind;
    char *ns;
    struct loop *loop;
    void (*on_more)(void *ctx);
    void *ctx;
    uint64_t at;                             /* number of the next event to look at */
    int64_t revision;                        /* all up to here was looked at */
    /* under the lock; under_way: the message is not delivered yet */
    bool told, under_way;
    bool dead;                               /* the loop's */
};

static void destroy(struct watch_cursor *c)
{
    mem_free(c->ns);
    mem_free(c);
}

static void deliver(struct loop_msg *m)
{
    struct watch_cursor *c = container_of(m, struct watch_cursor, msg);

    if (c->dead) {
        destroy(c);
        return;
    }
    pthread_mutex_lock(&c->cache->lock);
    c->under_way = false;
    pthread_mutex_unlock(&c->cache->lock);
    if (!loop_is_closing(c->loop))
        c->on_more(c->ctx);
}

static void tell(struct watch_cursor *c)
{
    c->told = true;
    if (c->under_way)                        /* it will find this too */
        return;
    c->under_way = true;
    loop_post(c->loop, &c->msg, deliver);
}

void watch_cursor_wake(struct watch_cache *w, unsigned kind_id)
{
    list_each(c, &w->cursors[kind_id], struct watch_cursor, link) {
        if (c->told)
            continue;
        tell(c);
    }
}

int watch_cursor_new(struct watch_cursor **out, struct watch_cache *w,
                     const struct watch_cursor_opts *opts, struct err *err)
{
    struct watch_cursor *c;

    pthread_mutex_lock(&w->lock);
    if (opts->after < w->compacted) {
        int64_t compacted = w->compacted;

        pthread_mutex_unlock(&w->lock);
        return err_set(err, ERR_EXPIRED, "too old resource version: %lld (%lld)",
                       (long long)opts->after, (long long)compacted);
    }
    c = NEW(struct watch_cursor);
    c->cache = w;
    c->kind = opts->kind;
    c->ns = mem_strdup(opts->ns ? opts->ns : "");
    c->loop = opts->loop;
    c->on_more = opts->on_more;
    c->ctx = opts->ctx;
    c->at = watch_ring_after(w, opts->after);
    c->revision = opts->after;
    list_push(&w->cursors[opts->kind->id], &c->link);
    if (c->at < w->next)
        tell(c);
    pthread_mutex_unlock(&w->lock);
    *out = c;
    return 0;
}

struct watch_cursor *watch_cursor_free(struct watch_cursor *c)
{
    bool under_way;

    if (!c)
        return NULL;
    pthread_mutex_lock(&c->cache->lock);
    list_del(&c->link);
    under_way = c->under_way;
    pthread_mutex_unlock(&c->cache->lock);
    c->dead = true;
    if (!under_way)
        destroy(c);
    return NULL;
}

static bool fits(const struct watch_cursor *c, const struct watch_event *e)
{
    return object_kind(e->object) == c->kind && (!*c->ns || str_eq(object_ns(e->object), c->ns));
}

int watch_cursor_next(struct watch_cursor *c, struct watch_event **out, struct err *err)
{
    struct watch_cache *w = c->cache;

    *out = NULL;
    pthread_mutex_lock(&w->lock);
    if (c->at < w->first) {
        pthread_mutex_unlock(&w->lock);
        return err_set(err, ERR_EXPIRED, "the watch fell behind");
    }
    while (c->at < w->next && !*out) {
        struct watch_event *e = watch_ring_at(w, c->at++);

        c->revision = e->revision;
        if (!fits(c, e))
            continue;
        ref_get(&e->ref);
        *out = e;
    }
    if (!*out) {
        c->told = false;
        if (w->revision > c->revision)
            c->revision = w->revision;
    }
    pthread_mutex_unlock(&w->lock);
    return 0;
}

int64_t watch_cursor_revision(const struct watch_cursor *c)
{
    int64_t revision;

    pthread_mutex_lock(&c->cache->lock);
    revision = c->at >= c->cache->next ? c->cache->revision : c->revision;
    pthread_mutex_unlock(&c->cache->lock);
    return revision;
}
