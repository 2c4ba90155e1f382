/* informer.c: list and watch kept as a map of snapshots, with an index by controlling owner. */
#include "core/client/informer.h"

#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/vec.h"

/* An object and where it is in its owner's list. Entries stay in `order` until a walk finds the
 * holes too many. */
struct entry {
    struct object *object;                   /* reference */
    bool stale;                              /* not seen yet in the relist that runs */
};

struct owned { VEC(struct entry *) entries; };

struct handler { informer_fn fn; void *ctx; };
struct synced_handler { void (*fn)(void *ctx); void *ctx; };

struct informer {
    struct loop *loop;
    struct client_watch *watch;
    struct map *objects;                     /* key -> struct entry */
    struct map *owners;                      /* uid of the controller -> struct owned */
    VEC(struct handler) handlers;
    VEC(struct synced_handler) synced_handlers;
    struct loop_timer tell_synced;           /* for handlers that come late */
    size_t told_synced;
    bool synced;
};

/* --- the index by owner */

static const char *owner_uid(const struct object *o)
{
    const struct object_owner *owner = object_controller(o);

    return owner ? owner->uid : NULL;
}

static void index_add(struct informer *i, struct entry *e)
{
    const char *uid = owner_uid(e->object);
    struct owned *list;

    if (!uid)
        return;
    list = map_get(i->owners, uid);
    if (!list) {
        list = NEW(struct owned);
        map_put(i->owners, uid, list);
    }
    vec_push(&list->entries, e);
}

static void free_owned(void *p)
{
    struct owned *list = p;

    vec_deinit(&list->entries);
    mem_free(list);
}

static void index_del(struct informer *i, struct entry *e)
{
    const char *uid = owner_uid(e->object);
    struct owned *list = uid ? map_get(i->owners, uid) : NULL;

    for (size_t at = 0; list && at < list->entries.len; at++) {
        if (list->entries.v[at] != e)
            continue;
        memmove(list->entries.v + at, list->entries.v + at + 1,
                (list->entries.len - at - 1) * sizeof(*list->entries.v));
        list->entries.len--;
        break;
    }
    if (list && !list->entries.len)
        free_owned(map_del(i->owners, uid));
}

/* --- changes */

static void tell(struct informer *i, struct object *before, struct object *after)
{
    for (size_t n = 0; n < i->handlers.len; n++)
        i->handlers.v[n].fn(before, after, i->handlers.v[n].ctx);
}

static void put(struct informer *i, const char *key, struct object *o)
{
    struct entry *e = map_get(i->objects, key);
    struct object *before;

    if (!e) {
        e = NEW(struct entry);
        e->object = object_ref(o);
        map_put(i->objects, key, e);
        index_add(i, e);
        tell(i, NULL, o);
        return;
    }
    e->stale = false;
    if (object_rv(e->object) == object_rv(o))
        return;
    before = e->object;
    index_del(i, e);
    e->object = object_ref(o);
    index_add(i, e);
    tell(i, before, o);
    object_unref(before);
}

static void drop(struct informer *i, const char *key, struct object *last)
{
    struct entry *e = map_get(i->objects, key);
    struct object *before;

    if (!e)
        return;
    index_del(i, e);
    map_del(i->objects, key);
    before = e->object;
    mem_free(e);
    tell(i, last ? last : before, NULL);
    object_unref(before);
}

static void on_event(enum client_event type, struct object *o, void *ctx)
{
    struct informer *i = ctx;
    char key[OBJECT_KEY_BYTES];

    if (type == CLIENT_BOOKMARK)
        return;
    object_key(o, key);
    if (type == CLIENT_DELETED)
        drop(i, key, o);
    else
        put(i, key, o);
}

/* --- lists */

static void mark_all(struct informer *i)
{
    const char *key;
    void *value;

    for (size_t at = 0; map_next(i->objects, &at, &key, &value);)
        ((struct entry *)value)->stale = true;
}

static void drop_stale(struct informer *i)
{
    const char *key;
    void *value;

    for (size_t at = 0; map_next(i->objects, &at, &key, &value);) {
        char copy[OBJECT_KEY_BYTES];

        if (!((struct entry *)value)->stale)
            continue;
        str_copy(copy, sizeof(copy), key, NULL);
        drop(i, copy, NULL);
    }
}

static void tell_synced(struct informer *i)
{
    while (i->told_synced < i->synced_handlers.len) {
        struct synced_handler h = i->synced_handlers.v[i->told_synced++];

        h.fn(h.ctx);
    }
}

static void on_sync(bool end, void *ctx)
{
    struct informer *i = ctx;

    if (!end) {
        mark_all(i);
        return;
    }
    drop_stale(i);
    i->synced = true;
    tell_synced(i);
}

int informer_new(struct informer **out, struct client *c, const struct informer_opts *opts,
                 struct err *err)
{
    struct informer *i = NEW(struct informer);
    struct client_watch_opts wo = { .kind = opts->kind,
                                    .ns = opts->ns,
                                    .label_selector = opts->label_selector,
                                    .field_selector = opts->field_selector,
                                    .on_sync = on_sync,
                                    .on_event = on_event,
                                    .ctx = i };

    i->loop = c->loop;
    i->objects = map_new();
    i->owners = map_new();
    if (client_watch_new(c, &i->watch, &wo, err) < 0) {
        informer_free(i);
        return -1;
    }
    *out = i;
    return 0;
}

static void free_entry(void *p)
{
    struct entry *e = p;

    object_unref(e->object);
    mem_free(e);
}

struct informer *informer_free(struct informer *i)
{
    if (!i)
        return NULL;
    loop_timer_del(&i->tell_synced);
    client_watch_free(i->watch);
    map_free(i->objects, free_entry);
    map_free(i->owners, free_owned);
    vec_deinit(&i->handlers);
    vec_deinit(&i->synced_handlers);
    return mem_free(i);
}

/* --- reading */

bool informer_synced(const struct informer *i)
{
    return i->synced;
}

struct object *informer_get(const struct informer *i, const char *ns, const char *name)
{
    char key[OBJECT_KEY_BYTES];
    struct entry *e;

    object_key_of(key, ns, name);
    e = map_get(i->objects, key);
    return e ? e->object : NULL;
}

size_t informer_len(const struct informer *i)
{
    return map_len(i->objects);
}

struct object *informer_next(const struct informer *i, size_t *at)
{
    const char *key;
    void *value;

    return map_next(i->objects, at, &key, &value) ? ((struct entry *)value)->object : NULL;
}

struct object *informer_next_owned(const struct informer *i, const char *uid, size_t *at)
{
    const struct owned *list = map_get(i->owners, uid);

    return list && *at < list->entries.len ? list->entries.v[(*at)++]->object : NULL;
}

void informer_on_change(struct informer *i, informer_fn fn, void *ctx)
{
    struct handler h = { fn, ctx };

    vec_push(&i->handlers, h);
}

static void on_late(struct loop_timer *t)
{
    struct informer *i = container_of(t, struct informer, tell_synced);

    if (i->synced)
        tell_synced(i);
}

void informer_on_synced(struct informer *i, void (*fn)(void *ctx), void *ctx)
{
    struct synced_handler h = { fn, ctx };

    vec_push(&i->synced_handlers, h);
    if (i->synced)
        loop_timer_set(i->loop, &i->tell_synced, 0, on_late);
}
