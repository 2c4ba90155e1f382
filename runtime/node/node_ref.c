/* node_ref.c -- entries shared by the sets that name them; one GET at a time per entry.
 *
 *   entry: NEW --GET--> answered (object, or err) --poll or refresh--> GET --> answered ...
 */
#include "runtime/node/node_ref.h"

#include "core/base/check.h"
#include "core/base/map.h"
#include "core/object/podrefs.h"
#include "gen/views.h"

struct node_ref_cache {
    struct client *client;
    struct map *entries;                     /* "configmap/ns/name" */
    struct loop_timer poll;
};

struct entry {
    struct node_ref_cache *cache;
    char *key;
    const struct kind *kind;
    char *ns, *name;
    struct object *object;
    struct err err;                          /* why there is none */
    bool answered;
    int64_t answered_ms;
    struct fetch *fetch;                     /* in flight */
    struct list links;
};

/* The context of one GET: outlives an entry that goes meanwhile. */
struct fetch { struct entry *entry; };

struct link { struct list list; struct entry *entry; struct node_ref_set *set; };

struct node_ref_set {
    struct node_ref_cache *cache;
    struct node_ref_events ev;
    char *ns;
    struct link **links;
    size_t n_links, cap_links;
    bool waiting, changed, ready;
    struct loop_timer tell;
};

static const char *word(const struct kind *k)
{
    return k == kind_secret() ? "secret" : "configmap";
}

/* --- sets are told from a timer, so that their owner may do anything */

static bool set_busy(const struct node_ref_set *s)
{
    for (size_t i = 0; i < s->n_links; i++)
        if (s->links[i]->entry->fetch || !s->links[i]->entry->answered)
            return true;
    return false;
}

static void set_tell(struct loop_timer *t)
{
    struct node_ref_set *s = container_of(t, struct node_ref_set, tell);

    if (s->waiting && !set_busy(s)) {
        s->waiting = s->changed = false;
        s->ready = true;
        s->ev.on_ready(s->ev.ctx);
    } else if (s->ready && s->changed) {
        s->changed = false;
        if (s->ev.on_change)
            s->ev.on_change(s->ev.ctx);
    }
}

static void entry_answered(struct entry *e, bool changed)
{
    list_each(l, &e->links, struct link, list) {
        l->set->changed = l->set->changed || changed;
        if (changed || l->set->waiting)
            loop_timer_set(e->cache->client->loop, &l->set->tell, 0, set_tell);
    }
}

/* --- entries */

static void entry_free(struct entry *e)
{
    if (e->fetch)
        e->fetch->entry = NULL;
    object_unref(e->object);
    mem_free(e->key);
    mem_free(e->ns);
    mem_free(e->name);
    mem_free(e);
}

static bool entry_immutable(const struct entry *e)
{
    if (!e->object)
        return false;
    return e->kind == kind_secret() ? secret_view(e->object)->immutable :
        config_map_view(e->object)->immutable;
}

/* True when what readers see is different now. */
static bool entry_store(struct entry *e, const struct client_result *r)
{
    struct object *before = e->object;
    bool changed;

    err_clear(&e->err);
    e->object = NULL;
    if (client_ok(r) && r->object)
        e->object = object_ref(r->object);
    else if (r->code == 404)
        err_set(&e->err, ERR_NOT_FOUND, "%s \"%s\" not found", word(e->kind), e->name);
    else
        err_set(&e->err, r->code ? ERR_DENIED : ERR_UNAVAILABLE, "%s",
                *r->message ? r->message : "the API server does not answer");
    /* An answer that says nothing about the object leaves what was known. */
    if (!e->object && before && r->code != 404)
        e->object = object_ref(before);
    changed = !before != !e->object || (before && (object_rv(before) != object_rv(e->object) ||
                                                   !str_eq(object_uid(before),
                                                           object_uid(e->object))));
    object_unref(before);
    return changed;
}

static void on_got(const struct client_result *r, void *ctx)
{
    struct fetch *f = ctx;
    struct entry *e = f->entry;
    bool first;

    mem_free(f);
    if (!e)
        return;
    first = !e->answered;
    e->fetch = NULL;
    e->answered = true;
    e->answered_ms = loop_now_ms(e->cache->client->loop);
    entry_answered(e, entry_store(e, r) && !first);
}

static void entry_fetch(struct entry *e)
{
    struct client_req q = { .verb = CLIENT_GET, .kind = e->kind, .ns = e->ns, .name = e->name,
                            .on_done = on_got };
    struct err err = ERR_INIT;

    if (e->fetch)
        return;
    e->fetch = NEW(struct fetch);
    e->fetch->entry = e;
    q.ctx = e->fetch;
    if (client_do(e->cache->client, &q, &err) == 0)
        return;
    e->fetch = mem_free(e->fetch);
    e->err = err;
    e->answered = true;
    e->answered_ms = loop_now_ms(e->cache->client->loop);
    entry_answered(e, false);
}

static void cache_poll(struct loop_timer *t)
{
    struct node_ref_cache *c = container_of(t, struct node_ref_cache, poll);
    int64_t now = loop_now_ms(c->client->loop);
    bool any = false;
    void *value;
    size_t at = 0;

    while (map_next(c->entries, &at, NULL, &value)) {
        struct entry *e = value;

        any = any || !entry_immutable(e);
        if (e->answered && now - e->answered_ms >= NODE_REF_POLL_MS * 3 / 4 && !entry_immutable(e))
            entry_fetch(e);
    }
    if (any)
        loop_timer_set(c->client->loop, &c->poll, NODE_REF_POLL_MS / 4, cache_poll);
}

/* --- the doors */

struct node_ref_cache *node_ref_cache_new(struct client *client)
{
    struct node_ref_cache *c = NEW(struct node_ref_cache);

    c->client = client;
    c->entries = map_new();
    return c;
}

static void free_entry(void *e)
{
    check(list_empty(&((struct entry *)e)->links));
    entry_free(e);
}

struct node_ref_cache *node_ref_cache_free(struct node_ref_cache *c)
{
    if (!c)
        return NULL;
    loop_timer_del(&c->poll);
    map_free(c->entries, free_entry);
    return mem_free(c);
}

static char *entry_key(const struct kind *k, const char *ns, const char *name)
{
    return mem_printf("%s/%s/%s", word(k), ns, name);
}

static void set_add(struct node_ref_set *s, const struct kind *k, const char *name)
{
    _cleanup_(mem_freep) char *key = entry_key(k, s->ns, name);
    struct entry *e = map_get(s->cache->entries, key);
    struct link *l;

    for (size_t i = 0; i < s->n_links; i++)
        if (s->links[i]->entry == e && e)
            return;
    if (!e) {
        e = NEW(struct entry);
        *e = (struct entry){ .cache = s->cache, .key = mem_strdup(key), .kind = k,
                             .ns = mem_strdup(s->ns),
                             .name = mem_strdup(name) };
        list_init(&e->links);
        map_put(s->cache->entries, key, e);
        if (!loop_timer_is_set(&s->cache->poll))
            loop_timer_set(s->cache->client->loop, &s->cache->poll, NODE_REF_POLL_MS / 4,
                           cache_poll);
    }
    l = NEW(struct link);
    l->entry = e;
    l->set = s;
    list_push(&e->links, &l->list);
    if (s->n_links == s->cap_links) {
        s->cap_links = s->cap_links ? s->cap_links * 2 : 4;
        s->links = mem_grow(s->links, s->cap_links * sizeof(*s->links));
    }
    s->links[s->n_links++] = l;
}

static void add(void *ctx, const struct kind *k, const char *name)
{
    set_add(ctx, k, name);
}

struct node_ref_set *node_ref_set_new(struct node_ref_cache *c, struct object *pod,
                                      const struct node_ref_events *ev)
{
    struct node_ref_set *s = NEW(struct node_ref_set);

    s->cache = c;
    s->ev = *ev;
    s->ns = mem_strdup(object_ns(pod));
    podrefs_each(&pod_view(pod)->spec, add, s);
    node_ref_set_refresh(s, NODE_REF_POLL_MS);
    return s;
}

struct node_ref_set *node_ref_set_free(struct node_ref_set *s)
{
    if (!s)
        return NULL;
    loop_timer_del(&s->tell);
    for (size_t i = 0; i < s->n_links; i++) {
        struct entry *e = s->links[i]->entry;

        list_del(&s->links[i]->list);
        mem_free(s->links[i]);
        if (!list_empty(&e->links))
            continue;
        map_del(s->cache->entries, e->key);
        entry_free(e);
    }
    mem_free(s->links);
    mem_free(s->ns);
    return mem_free(s);
}

bool node_ref_set_ready(const struct node_ref_set *s)
{
    return s->ready;
}

void node_ref_set_refresh(struct node_ref_set *s, int64_t max_age_ms)
{
    int64_t now = loop_now_ms(s->cache->client->loop);

    s->waiting = true;
    for (size_t i = 0; i < s->n_links; i++) {
        struct entry *e = s->links[i]->entry;

        if (!e->answered || e->err.code ||
            (!entry_immutable(e) && now - e->answered_ms > max_age_ms))
            entry_fetch(e);
    }
    loop_timer_set(s->cache->client->loop, &s->tell, 0, set_tell);
}

struct object *node_ref_get(const struct node_ref_set *s, const struct kind *k, const char *name,
                            struct err *err)
{
    _cleanup_(mem_freep) char *key = entry_key(k, s->ns, name);
    struct entry *e = map_get(s->cache->entries, key);

    if (e && e->object)
        return e->object;
    if (e && e->err.code)
        err_set(err, e->err.code, "%s", e->err.msg);
    else
        err_set(err, ERR_NOT_FOUND, "%s \"%s\" not found", word(k), name);
    return NULL;
}
