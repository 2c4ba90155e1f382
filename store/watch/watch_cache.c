/* watch_cache.c: all current objects, written by the store's writer, read by everyone. */
#include "store/watch/watch_impl.h"

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/metric.h"

#include <stdio.h>

struct watch_cache *watch_cache_new(const struct env *env)
{
    struct watch_cache *w = NEW(struct watch_cache);

    w->env = env;
    pthread_mutex_init(&w->lock, NULL);
    w->shelves = mem_alloc_array(kind_count(), sizeof(*w->shelves));
    w->cursors = mem_alloc_array(kind_count(), sizeof(*w->cursors));
    w->topics = map_new();
    w->ring = mem_alloc_array(WATCH_RING_EVENTS, sizeof(struct watch_event *));
    for (unsigned i = 0; i < kind_count(); i++)
        list_init(&w->cursors[i]);
    return w;
}

struct watch_cache *watch_cache_free(struct watch_cache *w)
{
    if (!w)
        return NULL;
    watch_ring_clear(w);
    for (unsigned i = 0; i < kind_count(); i++) {
        check(list_empty(&w->cursors[i]));
        watch_shelf_deinit(&w->shelves[i]);
    }
    check(map_len(w->topics) == 0);
    map_free(w->topics, NULL);
    mem_free(w->shelves);
    mem_free(w->cursors);
    mem_free(w->ring);
    pthread_mutex_destroy(&w->lock);
    return mem_free(w);
}

/* --- keys */

void watch_key(char out[KV_KEY_BYTES_MAX], const struct kind *kind, const char *ns,
               const char *name)
{
    const char *prefix = kind->storage->storage_prefix;

    if (kind->namespaced)
        snprintf(out, KV_KEY_BYTES_MAX, "%s/%s/%s", prefix, ns, name);
    else
        snprintf(out, KV_KEY_BYTES_MAX, "%s/%s", prefix, name);
}

static const struct kind *kind_by_prefix(const char *prefix, size_t len, bool namespaced)
{
    for (unsigned i = 0; i < kind_count(); i++) {
        const struct kind *k = kind_by_id(i);

        if (k->storage == k && k->namespaced == namespaced && k->storage_prefix &&
            strlen(k->storage_prefix) == len && memcmp(k->storage_prefix, prefix, len) == 0)
            return k;
    }
    return NULL;
}

/* prefix/ns/name or prefix/name; prefixes may hold slashes themselves. */
static const struct kind *kind_of_key(const char *key)
{
    const char *last = strrchr(key, '/'), *before;
    const struct kind *k;

    if (!last)
        return NULL;
    before = memrchr(key, '/', (size_t)(last - key));
    k = before ? kind_by_prefix(key, (size_t)(before - key), true) : NULL;
    return k ? k : kind_by_prefix(key, (size_t)(last - key), false);
}

/* --- writing */

int watch_cache_load(struct watch_cache *w, const struct kv_change *pair, struct err *err)
{
    const struct kind *k = kind_of_key(pair->key);
    struct object *o;

    if (!k)
        return 0;
    if (object_new(&o, k, pair->value, pair->value_len, pair->revision, err) < 0)
        return err_wrap(err, "stored object %s", pair->key);
    object_unref(watch_shelf_put(&w->shelves[k->id], pair->key, o));
    return 0;
}

void watch_cache_ready(struct watch_cache *w, int64_t revision)
{
    pthread_mutex_lock(&w->lock);
    w->revision = revision;
    w->compacted = revision;
    pthread_mutex_unlock(&w->lock);
}

/* The last state, with the revision of the deletion. */
static struct object *tombstone(struct object *last, int64_t revision)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *tree = object_tree(last, a);
    struct object *o;
    char rv[24];

    snprintf(rv, sizeof(rv), "%lld", (long long)revision);
    json_set_str(a, json_get(tree, "metadata"), "resourceVersion", rv);
    return object_from_tree(&o, object_kind(last), tree, 0, NULL) == 0 ? o : object_ref(last);
}

static struct watch_event *event_new(struct watch_cache *w, const struct kv_change *c,
                                     struct object *now, struct object *before)
{
    struct watch_event *e = NEW(struct watch_event);

    ref_init(&e->ref);
    e->revision = c->revision;
    e->mono_ms = env_mono_ms(w->env);
    e->type = !c->value ? WATCH_DELETED : before ? WATCH_MODIFIED : WATCH_ADDED;
    e->object = now;
    e->prev = object_ref(before);
    e->n_topics = fieldsel_topics(now, e->topics);
    if (before)
        e->n_topics += fieldsel_topics(before, e->topics + e->n_topics);
    return e;
}

static void apply(struct watch_cache *w, const struct kind *k, const struct kv_change *c,
                  struct object *now, struct object *before)
{
    struct watch_event *e = event_new(w, c, object_ref(now), before);
    struct object *former;

    pthread_mutex_lock(&w->lock);
    former = c->value ? watch_shelf_put(&w->shelves[k->id], c->key, object_ref(now))
                      : watch_shelf_del(&w->shelves[k->id], c->key);
    w->revision = c->revision;
    watch_ring_push(w, e);
    watch_cursor_wake(w);
    pthread_mutex_unlock(&w->lock);
    object_unref(former);
}

void watch_cache_apply(struct watch_cache *w, const struct kv_change *c)
{
    const struct kind *k = kind_of_key(c->key);
    struct object *now = NULL, *before;
    struct err err = ERR_INIT;

    if (!k)
        return;
    pthread_mutex_lock(&w->lock);
    before = object_ref(watch_shelf_get(&w->shelves[k->id], c->key));
    pthread_mutex_unlock(&w->lock);
    if (c->value && object_new(&now, k, c->value, c->value_len, c->revision, &err) < 0)
        log_error("a written object cannot be read back", "key=%s err=%s", c->key, err.msg);
    else if (!c->value && before)
        now = tombstone(before, c->revision);
    if (now)
        apply(w, k, c, now, before);
    object_unref(now);
    object_unref(before);
}

/* --- reading */

int64_t watch_cache_revision(const struct watch_cache *w)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&w->lock;
    int64_t revision;

    pthread_mutex_lock(lock);
    revision = w->revision;
    pthread_mutex_unlock(lock);
    return revision;
}

int64_t watch_cache_compacted(const struct watch_cache *w)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&w->lock;
    int64_t revision;

    pthread_mutex_lock(lock);
    revision = w->compacted;
    pthread_mutex_unlock(lock);
    return revision;
}

struct object *watch_cache_get(struct watch_cache *w, const struct kind *kind, const char *ns,
                               const char *name)
{
    char key[KV_KEY_BYTES_MAX];
    struct object *o;

    watch_key(key, kind, ns, name);
    pthread_mutex_lock(&w->lock);
    o = object_ref(watch_shelf_get(&w->shelves[kind->storage->id], key));
    pthread_mutex_unlock(&w->lock);
    return o;
}

/* --- figures */

static void write_objects(const size_t *len, const struct metric_family *f, bool grouped,
                          struct buf *out)
{
    metric_write_head(out, f);
    for (unsigned i = 0; i < kind_count(); i++) {
        const struct kind *k = kind_by_id(i);
        _cleanup_buf_ struct buf labels = BUF_INIT;

        if (k->storage != k || !k->served)
            continue;
        if (grouped)
            metric_label(&labels, "group", k->group);
        metric_label(&labels, "resource", grouped ? k->resource : kind_group_resource(k));
        metric_write_u64(out, f, labels.p, len[i]);
    }
}

void watch_cache_metrics(struct watch_cache *w, struct buf *out)
{
    static const struct metric_family
        objects = { "apiserver_resource_objects", "Number of stored objects.", METRIC_GAUGE, NULL,
                    0, 0 },
        old = { "apiserver_storage_objects", "Number of stored objects, by the former name.",
                METRIC_GAUGE, NULL, 0, 0 },
        events = { "inro_watch_ring_events", "Changes kept for watches that resume.", METRIC_GAUGE,
                   NULL, 0, 0 },
        bytes = { "inro_watch_ring_bytes", "Bytes of these changes.", METRIC_GAUGE, NULL, 0, 0 },
        compacted = { "inro_watch_compacted_revision", "Watches can start after this revision.",
                      METRIC_GAUGE, NULL, 0, 0 };
    _cleanup_(mem_freep) size_t *len = mem_alloc_array(kind_count(), sizeof(*len));
    uint64_t n, held, oldest;

    pthread_mutex_lock(&w->lock);
    for (unsigned i = 0; i < kind_count(); i++)
        len[i] = w->shelves[i].len;
    n = w->next - w->first;
    held = w->bytes;
    oldest = (uint64_t)w->compacted;
    pthread_mutex_unlock(&w->lock);
    write_objects(len, &objects, true, out);
    write_objects(len, &old, false, out);
    metric_write_one(out, &events, n);
    metric_write_one(out, &bytes, held);
    metric_write_one(out, &compacted, oldest);
}
