/* watch_list.c: lists: of now, or of a revision the ring still reaches back to. References are
 * gathered under the lock, filters run without it.
 */
#include "store/watch/watch_impl.h"

#include "core/base/map.h"
#include "core/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

/* most: 0, or how many are wanted; further ones are only counted. */
struct gathered { struct object **v; size_t len, cap, most, further; };

static void add(struct gathered *g, struct object *o)
{
    if (g->len == g->cap) {
        g->cap = g->cap ? g->cap * 2 : 64;
        g->v = mem_grow(g->v, g->cap * sizeof(struct object *));
    }
    g->v[g->len++] = object_ref(o);
}

/* All keys of a kind, or of one namespace of it, begin with this. */
static void prefix_of(char out[KV_KEY_BYTES_MAX], const struct watch_list_opts *o)
{
    if (o->kind->namespaced && *o->ns)
        snprintf(out, KV_KEY_BYTES_MAX, "%s/%s/", o->kind->storage_prefix, o->ns);
    else
        snprintf(out, KV_KEY_BYTES_MAX, "%s/", o->kind->storage_prefix);
}

static void gather_now(struct gathered *g, struct watch_cache *w, const struct watch_list_opts *o,
                       const struct map *then)
{
    const struct shelf *s = &w->shelves[o->kind->id];
    char prefix[KV_KEY_BYTES_MAX];
    struct shelf_at at, end;
    size_t n;

    prefix_of(prefix, o);
    at = o->after && strcmp(o->after, prefix) > 0 ? watch_shelf_seek(s, o->after, true)
                                                  : watch_shelf_seek(s, prefix, false);
    prefix[strlen(prefix) - 1]++;            /* '/' -> '0': behind all keys of this prefix */
    end = watch_shelf_seek(s, prefix, false);
    n = watch_shelf_between(s, at, end);
    for (; n > 0 && (!g->most || g->len < g->most); n--) {
        struct shelf_item *it = watch_shelf_next(s, &at);

        if (!then || !map_get(then, it->key))
            add(g, it->object);
    }
    g->further = n;
}

/* --- the past: what each key changed since then was before its first change */

static bool in_range(const struct watch_list_opts *o, const char *prefix, const char *key)
{
    return str_starts(key, prefix) && (!o->after || strcmp(key, o->after) > 0);
}

static struct map *states_before(struct watch_cache *w, const struct watch_list_opts *o)
{
    struct map *then = map_new();
    char prefix[KV_KEY_BYTES_MAX], key[KV_KEY_BYTES_MAX];

    prefix_of(prefix, o);
    for (uint64_t n = watch_ring_after(w, o->at); n < w->next; n++) {
        struct watch_event *e = watch_ring_at(w, n);

        if (object_kind(e->object) != o->kind)
            continue;
        watch_key(key, o->kind, object_ns(e->object), object_name(e->object));
        if (in_range(o, prefix, key) && !map_get(then, key))
            map_put(then, key, e);
    }
    return then;
}

static int by_key(const void *a, const void *b)
{
    struct object *x = *(struct object *const *)a, *y = *(struct object *const *)b;
    char kx[KV_KEY_BYTES_MAX], ky[KV_KEY_BYTES_MAX];

    watch_key(kx, object_kind(x), object_ns(x), object_name(x));
    watch_key(ky, object_kind(y), object_ns(y), object_name(y));
    return strcmp(kx, ky);
}

static void gather_past(struct gathered *g, struct watch_cache *w, const struct watch_list_opts *o)
{
    struct map *then = states_before(w, o);
    const char *key;
    void *value;

    if (map_len(then))                       /* these come in later, at any place */
        g->most = 0;
    gather_now(g, w, o, then);
    for (size_t at = 0; map_next(then, &at, &key, &value);) {
        struct watch_event *e = value;

        if (e->prev)
            add(g, e->prev);
    }
    if (map_len(then))
        qsort(g->v, g->len, sizeof(struct object *), by_key);
    map_free(then, NULL);
}

static int gather(struct gathered *g, struct watch_cache *w, const struct watch_list_opts *o,
                  int64_t *revision, struct err *err)
{
    int result = 0;

    pthread_mutex_lock(&w->lock);
    *revision = o->at ? o->at : w->revision;
    if (o->at && o->at < w->compacted)
        result = err_set(err, ERR_EXPIRED, "revision %lld is compacted", (long long)o->at);
    else if (o->at && o->at < w->revision)
        gather_past(g, w, o);
    else
        gather_now(g, w, o, NULL);
    pthread_mutex_unlock(&w->lock);
    return result;
}

int watch_cache_list(struct watch_list *out, struct watch_cache *w,
                     const struct watch_list_opts *opts,
                     struct err *err)
{
    struct gathered g = { .most = opts->keep ? 0 : opts->limit };
    size_t kept = 0, i;

    *out = (struct watch_list){ 0 };
    if (gather(&g, w, opts, &out->revision, err) < 0)
        return -1;
    for (i = 0; i < g.len; i++) {
        struct object *o = g.v[i];

        if (opts->keep && !opts->keep(opts->ctx, o)) {
            object_unref(o);
            continue;
        }
        if (opts->limit && kept == opts->limit)          /* one more that fits: so there is more */
            break;
        g.v[kept++] = o;
    }
    out->remaining = g.len - i + g.further;
    out->more = out->remaining > 0;
    for (; i < g.len; i++)
        object_unref(g.v[i]);
    out->v = g.v;
    out->len = kept;
    return 0;
}

void watch_list_deinit(struct watch_list *l)
{
    for (size_t i = 0; i < l->len; i++)
        object_unref(l->v[i]);
    l->v = mem_free(l->v);
    l->len = 0;
}
