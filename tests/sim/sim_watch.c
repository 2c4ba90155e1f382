/* sim_watch.c -- see sim_watch.h.
 *
 * Each event is compared with what the store published, as it comes from the API: every change
 * once, in order, none left out. On its way further it may be late, but stays in order.
 */
#include "tests/sim/sim_watch.h"

#include <stdio.h>

#include "core/base/check.h"

enum what { SYNC_BEGIN, SYNC_END, CHANGE };

struct event {
    enum what what;
    enum client_event type;
    struct object *object;               /* reference */
    int64_t due_ms;
};

struct sim_watch {
    struct client_watch watch;           /* first */
    struct sim_door *door;
    struct list link;
    struct client_watch_opts opts;
    char *ns, *labels, *fields;
    int node;                            /* the one whose pods it wants; -1: no such filter */
    struct client_watch *inner;          /* NULL: not connected */
    struct loop_timer connect, turn;
    VEC(struct event) queue;
    size_t first;                        /* of queue: what was delivered is before it */
    bool listing;
    size_t listed, seen;                 /* objects of this list; entries of the history */
    int64_t last;                        /* revision */
};

/* --- to whoever listens */

static void hand_over(struct sim_watch *w, const struct event *e)
{
    if (e->what == CHANGE)
        w->opts.on_event(e->type, e->object, w->opts.ctx);
    else
        w->opts.on_sync(e->what == SYNC_END, w->opts.ctx);
}

static void clear_queue(struct sim_watch *w)
{
    for (; w->first < w->queue.len; w->first++)
        object_unref(w->queue.v[w->first].object);
    w->first = w->queue.len = 0;
    loop_timer_del(&w->turn);
}

static void on_turn(struct loop_timer *t)
{
    struct sim_watch *w = container_of(t, struct sim_watch, turn);
    struct loop *loop = w->door->s->loop;

    while (w->first < w->queue.len && w->queue.v[w->first].due_ms <= loop_now_ms(loop)) {
        struct event e = w->queue.v[w->first++];

        hand_over(w, &e);
        object_unref(e.object);
    }
    if (w->first == w->queue.len)
        clear_queue(w);
    else
        loop_timer_set(loop, t, w->queue.v[w->first].due_ms - loop_now_ms(loop), on_turn);
}

static int64_t lag_of(const struct sim_watch *w)
{
    const struct sim *s = w->door->s;

    return w->door->who == SIM_NODE ? s->delay_ms : s->lag_ms;
}

static void pass_on(struct sim_watch *w, struct event e)
{
    struct loop *loop = w->door->s->loop;

    e.due_ms = loop_now_ms(loop) + lag_of(w);
    if (w->first == w->queue.len && lag_of(w) == 0) {
        hand_over(w, &e);
        return;
    }
    if (w->first < w->queue.len && w->queue.v[w->queue.len - 1].due_ms > e.due_ms)
        e.due_ms = w->queue.v[w->queue.len - 1].due_ms;
    object_ref(e.object);
    vec_push(&w->queue, e);
    if (!loop_timer_is_set(&w->turn))
        loop_timer_set(loop, &w->turn, e.due_ms - loop_now_ms(loop), on_turn);
}

/* --- what the API says is what the store published */

static bool wants(const struct sim_watch *w, const struct sim_entry *e)
{
    return w->node < 0 || e->node_before == w->node || e->node_after == w->node;
}

static bool is_checkable(const struct sim_watch *w)
{
    return str_empty(w->ns) && !w->labels && (!w->fields || w->node >= 0);
}

static const struct sim_history *history_of(const struct sim_watch *w)
{
    return &w->door->s->history[w->opts.kind->storage->id];
}

static void check_listed(struct sim_watch *w, const struct object *o)
{
    struct sim *s = w->door->s;
    const struct object *now = sim_get(s, w->opts.kind, object_ns(o), object_name(o));

    w->listed++;
    if (!now || object_rv(now) != object_rv(o))
        sim_break(s, "a list has %s %s at revision %lld, not %lld", w->opts.kind->resource,
                  object_name(o), (long long)object_rv(o), (long long)(now ? object_rv(now) : 0));
}

static void check_complete(struct sim_watch *w)
{
    struct sim *s = w->door->s;

    w->seen = history_of(w)->v.len;
    if (str_empty(w->ns) && !w->labels && !w->fields && w->listed != sim_count(s, w->opts.kind))
        sim_break(s, "a list of %s has %zu of %zu objects", w->opts.kind->resource, w->listed,
                  sim_count(s, w->opts.kind));
}

static void check_event(struct sim_watch *w, const struct object *o)
{
    struct sim *s = w->door->s;
    const struct sim_history *h = history_of(w);
    int64_t rv = object_rv(o);

    if (rv <= w->last)
        sim_break(s, "a watch of %s went from revision %lld to %lld", w->opts.kind->resource,
                  (long long)w->last, (long long)rv);
    w->last = rv;
    if (!is_checkable(w))
        return;
    while (w->seen < h->v.len && !wants(w, &h->v.v[w->seen]))
        w->seen++;
    if (w->seen == h->v.len || h->v.v[w->seen].revision != rv)
        sim_break(s, "a watch of %s got revision %lld, where %lld came next",
                  w->opts.kind->resource, (long long)rv,
                  (long long)(w->seen < h->v.len ? h->v.v[w->seen].revision : 0));
    w->seen++;
}

static void on_sync(bool end, void *ctx)
{
    struct sim_watch *w = ctx;

    if (!end)
        w->listed = 0;
    else
        check_complete(w);
    w->listing = !end;
    w->last = w->door->s->role.kv ? kv_revision(w->door->s->role.kv) : 0;
    pass_on(w, (struct event){ .what = end ? SYNC_END : SYNC_BEGIN });
}

static void on_event(enum client_event type, struct object *o, void *ctx)
{
    struct sim_watch *w = ctx;

    if (w->listing)
        check_listed(w, o);
    else
        check_event(w, o);
    if (!w->listing && sim_plant_deaf(w->door->s, w->door, o))
        return;
    pass_on(w, (struct event){ .what = CHANGE, .type = type, .object = o });
}

static void check_end(struct sim_watch *w)
{
    const struct sim_history *h = history_of(w);

    if (!w->inner || !is_checkable(w))
        return;
    while (w->seen < h->v.len && !wants(w, &h->v.v[w->seen]))
        w->seen++;
    if (w->seen < h->v.len || w->first < w->queue.len)
        sim_break(w->door->s, "a watch of %s by %s has not heard of revision %lld",
                  w->opts.kind->resource, w->door->name,
                  (long long)(w->seen < h->v.len ? h->v.v[w->seen].revision : 0));
}

void sim_watch_check_end(struct sim_door *d)
{
    list_each(w, &d->watches, struct sim_watch, link)
        check_end(w);
}

/* --- connections */

static void on_connect(struct loop_timer *t)
{
    struct sim_watch *w = container_of(t, struct sim_watch, connect);
    struct client_watch_opts o = w->opts;
    struct err err = ERR_INIT;

    if (!w->door->inner || w->door->cut || w->inner)
        return;
    o.ns = w->ns;
    o.label_selector = w->labels;
    o.field_selector = w->fields;
    o.on_sync = on_sync;
    o.on_event = on_event;
    o.ctx = w;
    if (client_watch_new(w->door->inner, &w->inner, &o, &err) < 0)
        sim_break(w->door->s, "a watch of %s: %s", w->opts.kind->resource, err.msg);
}

static void disconnect(struct sim_watch *w)
{
    w->inner = client_watch_free(w->inner);
    loop_timer_del(&w->connect);
    clear_queue(w);
    w->listing = false;
}

static void connect_after(struct sim_watch *w, int64_t after_ms)
{
    loop_timer_set(w->door->s->loop, &w->connect, after_ms, on_connect);
}

void sim_watch_connect(struct sim_door *d, int64_t after_ms)
{
    list_each(w, &d->watches, struct sim_watch, link)
        connect_after(w, after_ms);
}

void sim_watch_hang_up(struct sim_door *d)
{
    list_each(w, &d->watches, struct sim_watch, link)
        disconnect(w);
}

void sim_watch_break(struct sim_door *d, const struct kind *kind, int64_t after_ms)
{
    list_each(w, &d->watches, struct sim_watch, link) {
        if (kind && w->opts.kind->storage != kind->storage)
            continue;
        disconnect(w);
        connect_after(w, after_ms);
    }
}

/* --- the door's operations */

static char *copy(const char *text)
{
    return str_empty(text) ? NULL : mem_strdup(text);
}

static int node_of_filter(const struct sim_door *d, const char *fields)
{
    const char *name = fields && str_starts(fields, "spec.nodeName=") ? strchr(fields, '=') + 1
        : "";

    for (unsigned i = 0; i < d->s->n_nodes; i++)
        if (str_eq(d->s->nodes[i].name, name))
            return (int)i;
    return -1;
}

int sim_watch_new(struct client *c, struct client_watch **out, const struct client_watch_opts *o,
                  struct err *err)
{
    struct sim_door *d = (struct sim_door *)(void *)c;
    struct sim_watch *w = NEW(struct sim_watch);

    (void)err;
    w->watch.ops = c->ops;
    w->door = d;
    w->opts = *o;
    w->ns = copy(o->ns);
    w->labels = copy(o->label_selector);
    w->fields = copy(o->field_selector);
    w->node = node_of_filter(d, w->fields);
    list_push(&d->watches, &w->link);
    connect_after(w, 0);
    *out = &w->watch;
    return 0;
}

struct client_watch *sim_watch_free(struct client_watch *watch)
{
    struct sim_watch *w = (struct sim_watch *)(void *)watch;

    disconnect(w);
    list_del(&w->link);
    vec_deinit(&w->queue);
    mem_free(w->ns);
    mem_free(w->labels);
    mem_free(w->fields);
    return mem_free(w);
}

void sim_watch_close(struct sim_door *d)
{
    check(list_empty(&d->watches));
}
