/* client_slice_watch.c -- topics: one watch below for all who watch the same.
 *
 *   topic: EMPTY --the server's list ends--> SYNCED        EMPTY --nothing came--> SYNCED (as kept)
 *
 * A topic holds the objects and tells differences; those who come to a synced one are told all of
 * it from the loop. Nothing is freed while somebody is told.
 */
#include "core/base/log.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/client/client_slice_impl.h"

struct item { struct object *object; bool stale; };

struct topic {
    struct list link;
    struct client_slice *client;
    const struct kind *kind;
    char *ns, *labels, *fields;
    struct client_watch *below;
    struct client_slice_kept *kept;      /* NULL: not kept */
    struct map *objects;                 /* key -> struct item */
    struct list subs;
    struct loop_timer wait;
    bool begun, synced;
    bool current;                        /* the server told it, not the disk */
    unsigned busy;
};

struct sub {
    struct client_watch base;
    struct list link;
    struct topic *topic;
    struct client_watch_opts o;
    struct loop_timer start;
    bool begun, freed;
};

static void item_free(void *p)
{
    struct item *i = p;

    object_unref(i->object);
    mem_free(i);
}

static void topic_free(struct topic *t)
{
    list_del(&t->link);
    loop_timer_del(&t->wait);
    client_watch_free(t->below);
    map_free(t->objects, item_free);
    mem_free(t->ns);
    mem_free(t->labels);
    mem_free(t->fields);
    mem_free(t);
}

static void sub_free(struct sub *s)
{
    list_del(&s->link);
    loop_timer_del(&s->start);
    mem_free(s);
}

static void enter(struct topic *t)
{
    t->busy++;
}

static void leave(struct topic *t)
{
    if (--t->busy > 0)
        return;
    list_each(s, &t->subs, struct sub, link)
        if (s->freed)
            sub_free(s);
    if (list_empty(&t->subs))
        topic_free(t);
}

/* --- telling */

static void tell(struct topic *t, enum client_event type, struct object *o)
{
    list_each(s, &t->subs, struct sub, link)
        if (s->begun && !s->freed && s->o.on_event)
            s->o.on_event(type, o, s->o.ctx);
}

static void sub_sync(struct sub *s, bool end)
{
    if (!s->freed && s->o.on_sync)
        s->o.on_sync(end, s->o.ctx);
}

/* All there is. Within enter and leave. */
static void sub_begin(struct sub *s)
{
    void *value;

    if (s->begun || s->freed)
        return;
    loop_timer_del(&s->start);
    s->begun = true;
    sub_sync(s, false);
    for (size_t at = 0; !s->freed && map_next(s->topic->objects, &at, NULL, &value);)
        if (s->o.on_event)
            s->o.on_event(CLIENT_ADDED, ((struct item *)value)->object, s->o.ctx);
    sub_sync(s, true);
}

static void begin_all(struct topic *t)
{
    list_each(s, &t->subs, struct sub, link)
        sub_begin(s);
}

/* --- keeping */

static void keep(struct topic *t, struct object *o)
{
    _cleanup_buf_ struct buf value = BUF_INIT, mark = BUF_INIT;
    char key[OBJECT_KEY_BYTES];

    if (!t->kept || t->client->dir < 0)
        return;
    object_key(o, key);
    client_slice_text(&value, &mark, o);
    slice_file_put(t->kept->file, key, (struct slice){ value.p, value.len },
                   (struct slice){ mark.p, mark.len });
    client_slice_disk_touch(t->client, t->kept);
}

static void strike(struct topic *t, const char *key)
{
    if (!t->kept || t->client->dir < 0)
        return;
    slice_file_del(t->kept->file, key);
    client_slice_disk_touch(t->client, t->kept);
}

/* The file is the list, now that it is complete. */
static void keep_all(struct topic *t)
{
    const char *key;
    void *value;

    if (!t->kept || t->client->dir < 0)
        return;
    for (size_t at = 0; (key = slice_file_next(t->kept->file, &at));)
        if (!map_get(t->objects, key))
            slice_file_del(t->kept->file, key);
    for (size_t at = 0; map_next(t->objects, &at, NULL, &value);)
        keep(t, ((struct item *)value)->object);
    slice_file_set_whole(t->kept->file);
    client_slice_disk_touch(t->client, t->kept);
}

/* --- changes */

static void put(struct topic *t, struct object *o)
{
    char key[OBJECT_KEY_BYTES];
    struct item *i;
    struct object *before;

    object_key(o, key);
    i = map_get(t->objects, key);
    if (!i) {
        i = NEW(struct item);
        i->object = object_ref(o);
        map_put(t->objects, key, i);
        if (t->current)
            keep(t, o);
        tell(t, CLIENT_ADDED, o);
        return;
    }
    i->stale = false;
    if (object_rv(i->object) == object_rv(o) && str_eq(object_uid(i->object), object_uid(o)))
        return;
    before = i->object;
    i->object = object_ref(o);
    if (t->current)
        keep(t, o);
    tell(t, CLIENT_MODIFIED, o);
    object_unref(before);
}

static void drop(struct topic *t, const char *key, struct object *last)
{
    struct item *i = map_del(t->objects, key);

    if (!i)
        return;
    if (t->current)
        strike(t, key);
    tell(t, CLIENT_DELETED, last ? last : i->object);
    item_free(i);
}

static void on_event(enum client_event type, struct object *o, void *ctx)
{
    struct topic *t = ctx;
    char key[OBJECT_KEY_BYTES];

    client_slice_heard(t->client, true);
    if (type == CLIENT_BOOKMARK)
        return;
    enter(t);
    if (type == CLIENT_DELETED) {
        object_key(o, key);
        drop(t, key, o);
    } else {
        put(t, o);
    }
    leave(t);
}

static void mark_all(struct topic *t)
{
    void *value;

    for (size_t at = 0; map_next(t->objects, &at, NULL, &value);)
        ((struct item *)value)->stale = true;
}

static void drop_stale(struct topic *t)
{
    const char *key;
    void *value;

    for (size_t at = 0; map_next(t->objects, &at, &key, &value);) {
        char copy[OBJECT_KEY_BYTES];

        if (!((struct item *)value)->stale)
            continue;
        str_copy(copy, sizeof(copy), key, NULL);
        drop(t, copy, NULL);
    }
}

static void on_sync(bool end, void *ctx)
{
    struct topic *t = ctx;

    client_slice_heard(t->client, true);
    t->begun = true;
    if (!end) {
        mark_all(t);
        return;
    }
    enter(t);
    loop_timer_del(&t->wait);
    drop_stale(t);
    t->synced = true;
    if (!t->current) {
        t->current = true;
        keep_all(t);
    }
    begin_all(t);
    leave(t);
}

/* --- from the disk */

static void recall(struct topic *t)
{
    const char *key;

    for (size_t at = 0; (key = slice_file_next(t->kept->file, &at));) {
        _cleanup_(object_unrefp) struct object *o = NULL;
        _cleanup_buf_ struct buf text = BUF_INIT;
        struct err err = ERR_INIT;

        if (map_get(t->objects, key) || !client_slice_disk_get(t->client, t->kept, key, &text))
            continue;
        if (object_new(&o, t->kind, text.p, text.len, 0, &err) < 0) {
            log_warn("a kept object is left out", "kind=%s key=%s why=\"%s\"", t->kind->resource,
                     key, err.msg);
            continue;
        }
        put(t, o);
        ((struct item *)map_get(t->objects, key))->stale = true;     /* until a list names it */
    }
}

static void on_wait(struct loop_timer *timer)
{
    struct topic *t = container_of(timer, struct topic, wait);

    if (t->begun) {                          /* a long list on a slow line: once */
        t->begun = false;
        loop_timer_set(t->client->base.loop, timer, CLIENT_SLICE_LIST_MS, on_wait);
        return;
    }
    if (t->client->server == CLIENT_SLICE_UNKNOWN)
        client_slice_heard(t->client, false);
    if (!slice_file_is_known(t->kept->file))
        return;
    log_info("told from the slice", "kind=%s", t->kind->resource);
    enter(t);
    recall(t);
    t->synced = true;
    begin_all(t);
    leave(t);
}

/* --- life */

static bool same(const char *a, const char *b)
{
    return str_eq(a ? a : "", b ? b : "");
}

static struct topic *find(struct client_slice *c, const struct client_watch_opts *o)
{
    list_each(t, &c->topics, struct topic, link)
        if (t->kind == o->kind && same(t->ns, o->ns) && same(t->labels, o->label_selector) &&
            same(t->fields, o->field_selector))
            return t;
    return NULL;
}

/* One list a kind: a second one with other selectors is not kept. */
static bool is_first(struct client_slice *c, const struct kind *k)
{
    list_each(t, &c->topics, struct topic, link)
        if (t->kind == k)
            return false;
    return true;
}

static int topic_new(struct topic **out, struct client_slice *c,
                     const struct client_watch_opts *o, struct err *err)
{
    struct client_watch_opts below = *o;
    struct topic *t = NEW(struct topic);
    char name[OBJECT_KEY_BYTES];

    t->client = c;
    t->kind = o->kind;
    t->ns = mem_strdup(o->ns);
    t->labels = mem_strdup(o->label_selector);
    t->fields = mem_strdup(o->field_selector);
    t->objects = map_new();
    list_init(&t->subs);
    if (o->kind && is_first(c, o->kind))
        t->kept = client_slice_disk_file(c, client_slice_name(o->kind, name));
    list_push(&c->topics, &t->link);
    below.on_sync = on_sync;
    below.on_event = on_event;
    below.ctx = t;
    if (client_watch_new(c->inner, &t->below, &below, err) < 0) {
        topic_free(t);
        return -1;
    }
    if (t->kept)
        loop_timer_set(c->base.loop, &t->wait,
                       c->server == CLIENT_SLICE_AWAY ? 0 : CLIENT_SLICE_WAIT_MS, on_wait);
    *out = t;
    return 0;
}

static void on_start(struct loop_timer *timer)
{
    struct sub *s = container_of(timer, struct sub, start);
    struct topic *t = s->topic;

    enter(t);
    if (t->synced)
        sub_begin(s);
    leave(t);
}

int client_slice_watch_new(struct client *base, struct client_watch **out,
                           const struct client_watch_opts *o, struct err *err)
{
    struct client_slice *c = client_slice_of(base);
    struct topic *t = find(c, o);
    struct sub *s;

    if (!t && topic_new(&t, c, o, err) < 0)
        return -1;
    s = NEW(struct sub);
    s->base.ops = base->ops;
    s->topic = t;
    s->o = *o;
    list_push(&t->subs, &s->link);
    if (t->synced)
        loop_timer_set(c->base.loop, &s->start, 0, on_start);
    *out = &s->base;
    return 0;
}

struct client_watch *client_slice_watch_free(struct client_watch *base)
{
    struct sub *s = container_of(base, struct sub, base);
    struct topic *t = s->topic;

    enter(t);
    s->freed = true;
    leave(t);
    return NULL;
}

/* The client goes: so do its watches, without a word. */
void client_slice_watch_drop(struct client_slice *c)
{
    list_each(t, &c->topics, struct topic, link) {
        list_each(s, &t->subs, struct sub, link)
            sub_free(s);
        topic_free(t);
    }
}

bool client_slice_watch_pods(struct client_slice *c, void (*fn)(void *ctx, struct object *pod),
                             void *ctx)
{
    list_each(t, &c->topics, struct topic, link) {
        void *value;

        if (t->kind != kind_pod() || !t->synced)
            continue;
        for (size_t at = 0; fn && map_next(t->objects, &at, NULL, &value);)
            fn(ctx, ((struct item *)value)->object);
        return true;
    }
    return false;
}
