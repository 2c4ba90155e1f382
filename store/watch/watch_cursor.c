/* watch_cursor.c: a reader's place in the ring.
 *
 * A cursor is told once that there is more (`told`) and not again until it has taken everything, so
 * a burst of changes costs a slow reader one message. One that waits is moved straight to the next
 * event that is for it, and one with a topic stands in a list of those with the same: a change
 * costs nothing for the watches of thousands of nodes that it is not about.
 *
 * The message lives in the cursor: one freed while its message is under way is only marked, and
 * goes when the message arrives.
 */
#include "store/watch/watch_impl.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/base/mem.h"

#define TOPIC_KEY_BYTES 32

struct topic { struct list cursors; char key[TOPIC_KEY_BYTES]; };

struct watch_cursor {
    struct list link;                        /* of its kind or topic; under the cache's lock */
    struct topic *topic;                     /* NULL: it has none */
    uint64_t topic_id;
    struct loop_msg msg;
    struct watch_cache *cache;
    const struct kind *kind;
    char *ns;
    struct loop *loop;
    void (*on_more)(void *ctx);
    void *ctx;
    uint64_t at;                             /* told: number of the next event to look at */
    int64_t revision;                        /* all up to here was looked at */
    /* under the lock; told: there is more, or was; under_way: the message is not delivered yet */
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

static bool is_about(const struct watch_event *e, uint64_t topic)
{
    for (unsigned i = 0; i < e->n_topics; i++)
        if (e->topics[i] == topic)
            return true;
    return topic == 0;
}

static bool fits(const struct watch_cursor *c, const struct watch_event *e)
{
    return object_kind(e->object) == c->kind && (!*c->ns || str_eq(object_ns(e->object), c->ns)) &&
           is_about(e, c->topic_id);
}

static void wake_list(struct watch_cache *w, struct list *cursors)
{
    const struct watch_event *e = watch_ring_at(w, w->next - 1);

    list_each(c, cursors, struct watch_cursor, link) {
        if (c->told || !fits(c, e))
            continue;
        c->at = w->next - 1;
        tell(c);
    }
}

static void topic_key(char out[TOPIC_KEY_BYTES], const struct kind *kind, uint64_t topic)
{
    snprintf(out, TOPIC_KEY_BYTES, "%u/%" PRIx64, kind->id, topic);
}

void watch_cursor_wake(struct watch_cache *w)
{
    const struct watch_event *e = watch_ring_at(w, w->next - 1);
    const struct kind *kind = object_kind(e->object);
    char key[TOPIC_KEY_BYTES];
    struct topic *t;

    wake_list(w, &w->cursors[kind->id]);
    for (unsigned i = 0; i < e->n_topics && map_len(w->topics); i++) {
        topic_key(key, kind, e->topics[i]);
        t = map_get(w->topics, key);
        if (t)
            wake_list(w, &t->cursors);
    }
}

static void enlist(struct watch_cursor *c)
{
    struct watch_cache *w = c->cache;
    char key[TOPIC_KEY_BYTES];

    if (!c->topic_id) {
        list_push(&w->cursors[c->kind->id], &c->link);
        return;
    }
    topic_key(key, c->kind, c->topic_id);
    c->topic = map_get(w->topics, key);
    if (!c->topic) {
        c->topic = NEW(struct topic);
        list_init(&c->topic->cursors);
        memcpy(c->topic->key, key, sizeof(key));
        map_put(w->topics, key, c->topic);
    }
    list_push(&c->topic->cursors, &c->link);
}

static void delist(struct watch_cursor *c)
{
    list_del(&c->link);
    if (!c->topic || !list_empty(&c->topic->cursors))
        return;
    map_del(c->cache->topics, c->topic->key);
    c->topic = mem_free(c->topic);
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
    c->topic_id = opts->topic;
    c->loop = opts->loop;
    c->on_more = opts->on_more;
    c->ctx = opts->ctx;
    c->at = watch_ring_after(w, opts->after);
    c->revision = opts->after;
    enlist(c);
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
    delist(c);
    under_way = c->under_way;
    pthread_mutex_unlock(&c->cache->lock);
    c->dead = true;
    if (!under_way)
        destroy(c);
    return NULL;
}

int watch_cursor_next(struct watch_cursor *c, struct watch_event **out, struct err *err)
{
    struct watch_cache *w = c->cache;

    *out = NULL;
    pthread_mutex_lock(&w->lock);
    if (c->told && c->at < w->first) {
        pthread_mutex_unlock(&w->lock);
        return err_set(err, ERR_EXPIRED, "the watch fell behind");
    }
    while (c->told && c->at < w->next && !*out) {
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
    revision = !c->told || c->at >= c->cache->next ? c->cache->revision : c->revision;
    pthread_mutex_unlock(&c->cache->lock);
    return revision;
}
