/* api_watch.c: a watch over HTTP: a cursor of the watch cache on a connection. No thread waits for
 * it: the cursor says "there is more", the connection says "I have room", and each takes what it
 * can.
 */
#include "core/api/api_call.h"

#include <stdio.h>

#define BOOKMARK_MS 60000

struct api_watch {
    struct list link;                        /* api->watches */
    struct api_call *call;
    struct http_req *req;
    struct watch_cursor *cursor;
    struct api_filter filter;
    struct loop_timer end, bookmark;
    int64_t claimed;                         /* newest revision the client knows of */
    bool columns_sent, ended;
};

static void finish(struct api_watch *w)
{
    if (w->ended)
        return;
    w->ended = true;
    loop_timer_del(&w->end);
    loop_timer_del(&w->bookmark);
    list_del(&w->link);
    w->cursor = watch_cursor_free(w->cursor);
    api_filter_deinit(&w->filter);
    http_stream_end(w->req);
    api_call_free(w->call);
    mem_free(w);
}

/* --- events */

/* Protobuf frames: the length in 4 bytes, then WatchEvent{1: type, 2: RawExtension{1: object}}. */
static void put_bytes(struct buf *b, unsigned number, const void *p, size_t len)
{
    buf_chr(b, (char)(number << 3 | 2));
    for (size_t rest = len; ; rest >>= 7) {
        buf_chr(b, (char)(rest >= 0x80 ? rest | 0x80 : rest));
        if (rest < 0x80)
            break;
    }
    buf_add(b, p, len);
}

static void to_frame(struct buf *b)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf object = BUF_INIT, raw = BUF_INIT, event = BUF_INIT;
    const char *type;
    struct json *v;
    int failed = json_parse(&v, a, b->p, b->len, NULL, NULL);

    buf_clear(b);
    if (failed || api_encode_protobuf(&object, json_get(v, "object")) < 0)
        return;
    type = json_get_str(v, "type");
    put_bytes(&raw, 1, object.p, object.len);
    put_bytes(&event, 1, type, strlen(type));
    put_bytes(&event, 2, raw.p, raw.len);
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_chr(b, (char)(event.len >> shift));
    buf_add(b, event.p, event.len);
}

/* One event as JSON goes out in the form of the watch. */
static void send_text(struct api_watch *w, struct buf *b)
{
    if (w->call->media.form == API_PROTOBUF)
        to_frame(b);
    http_stream_write(w->req, b->p, b->len);
}

static void write_table(struct api_watch *w, struct buf *b, struct object *o)
{
    char meta[64];

    snprintf(meta, sizeof(meta), "{\"resourceVersion\":\"%lld\"}", (long long)object_rv(o));
    api_encode_row_table(b, w->call, o, meta, !w->columns_sent);
    w->columns_sent = true;
}

static void send_event(struct api_watch *w, const char *type, struct object *o)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    api_metric_event(w->call);
    buf_fmt(&b, "{\"type\":\"%s\",\"object\":", type);
    if (w->call->media.as == API_AS_TABLE)
        write_table(w, &b, o);
    else
        api_encode_object(&b, w->call, o);
    buf_str(&b, "}\n");
    send_text(w, &b);
}

static void send_bookmark(struct api_watch *w, int64_t rv, bool initial_end)
{
    struct api_call *c = w->call;
    bool partial = c->media.as == API_AS_PARTIAL;
    const char *kind = partial ? "PartialObjectMetadata" : c->route.kind->kind;
    const char *version = partial ? "meta.k8s.io/v1" : kind_api_version(c->route.kind);
    _cleanup_buf_ struct buf b = BUF_INIT;

    if (c->media.as == API_AS_TABLE) {
        kind = "Table";
        version = "meta.k8s.io/v1";
    }
    buf_fmt(&b,
            "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"%s\",\"apiVersion\":\"%s\","
            "\"metadata\":{"
            "\"resourceVersion\":\"%lld\"", kind, version, (long long)rv);
    if (c->media.as == API_AS_TABLE)
        buf_str(&b, "},\"columnDefinitions\":null,\"rows\":[]}}\n");
    else
        buf_fmt(&b, "%s}}}\n",
                initial_end ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}"
                                         : "");
    send_text(w, &b);
    w->claimed = rv;
}

static void send_status(struct api_watch *w, const struct status *s)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    buf_str(&b, "{\"type\":\"ERROR\",\"object\":");
    status_write(&b, s);
    while (b.len && b.p[b.len - 1] == '\n')
        b.len--;
    buf_str(&b, "}\n");
    send_text(w, &b);
}

/* The state before, with the revision of the change that took it out of sight. */
static struct object *last_seen(struct api_watch *w, const struct watch_event *e)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *tree = object_tree(e->prev, a);
    struct object *o = NULL;
    char rv[24];

    (void)w;
    snprintf(rv, sizeof(rv), "%lld", (long long)e->revision);
    api_stamp_rv(a, tree, rv);
    return object_from_tree(&o, object_kind(e->prev), tree, 0, NULL) == 0 ? o
        : object_ref(e->object);
}

static bool name_fits(struct api_watch *w, struct object *o)
{
    const char *name = w->call->route.name;

    return !*name || str_eq(object_name(o), name);
}

/* With a selector, coming into sight is ADDED and going out of it is DELETED. */
static void handle(struct api_watch *w, const struct watch_event *e)
{
    bool now, before;
    struct object *last;

    if (!name_fits(w, e->object))
        return;
    now = e->type != WATCH_DELETED && api_filter_keeps(&w->filter, e->object);
    before = e->prev ? api_filter_keeps(&w->filter, e->prev)
                     : e->type == WATCH_DELETED && api_filter_keeps(&w->filter, e->object);
    if (now) {
        send_event(w, before ? "MODIFIED" : "ADDED", e->object);
    } else if (before && e->type == WATCH_DELETED) {
        send_event(w, "DELETED", e->object);
    } else if (before) {
        last = last_seen(w, e);
        send_event(w, "DELETED", last);
        object_unref(last);
    } else {
        return;
    }
    w->claimed = e->revision;
}

static void pump(void *ctx)
{
    struct api_watch *w = ctx;
    struct err err = ERR_INIT;

    while (http_stream_queued(w->req) < API_WATCH_QUEUE_BYTES) {
        struct watch_event *e = NULL;

        if (watch_cursor_next(w->cursor, &e, &err) < 0) {
            send_status(w, status_expired(w->call->a, "too old resource version: the watch fell "
                                          "behind"));
            finish(w);
            return;
        }
        if (!e)
            return;
        handle(w, e);
        watch_event_unref(e);
    }
}

static void on_drain(struct http_req *r)
{
    pump(r->user);
}

static void on_gone(struct http_req *r)
{
    finish(r->user);
}

static void on_end(struct loop_timer *t)
{
    finish(container_of(t, struct api_watch, end));
}

static void on_bookmark(struct loop_timer *t)
{
    struct api_watch *w = container_of(t, struct api_watch, bookmark);
    int64_t rv = watch_cursor_revision(w->cursor);

    if (rv > w->claimed && http_stream_queued(w->req) < API_WATCH_QUEUE_BYTES)
        send_bookmark(w, rv, false);
    loop_timer_set(w->call->home, t, BOOKMARK_MS, on_bookmark);
}

/* --- start */

static bool keep(void *ctx, struct object *o)
{
    struct api_watch *w = ctx;

    return name_fits(w, o) && api_filter_keeps(&w->filter, o);
}

/* What is there now, as ADDED. *rv is the revision it is exact at. */
static int send_present(struct api_watch *w, int64_t *rv, struct err *err)
{
    struct api_call *c = w->call;
    struct watch_list_opts o = { .kind = c->route.kind->storage, .ns = c->route.ns, .keep = keep,
                                 .ctx = w };
    struct watch_list l;

    if (watch_cache_list(&l, c->api->cache, &o, err) < 0)
        return -1;
    for (size_t i = 0; i < l.len; i++)
        send_event(w, "ADDED", l.v[i]);
    *rv = l.revision;
    watch_list_deinit(&l);
    return 0;
}

static int open_cursor(struct api_watch *w, int64_t after, struct err *err)
{
    struct api_call *c = w->call;
    struct watch_cursor_opts o = { .kind = c->route.kind->storage, .ns = c->route.ns,
                                   .topic = api_filter_topic(&w->filter, c), .after = after,
                                   .loop = c->home, .on_more = pump, .ctx = w };

    return watch_cursor_new(&w->cursor, c->api->cache, &o, err);
}

static int64_t lifetime_ms(struct api_call *c)
{
    uint32_t r;

    if (c->opt.timeout_s > 0)
        return c->opt.timeout_s * 1000;
    env_random(c->api->env, &r, sizeof(r));
    return (API_WATCH_MIN_S + r % API_WATCH_MIN_S) * 1000ll;
}

static void begin_stream(struct api_watch *w)
{
    struct http_answer a = { .status = 200, .type = w->call->media.form == API_PROTOBUF ?
                             API_TYPE_PROTOBUF ";stream=watch" : "application/json" };

    w->req->user = w;
    w->req->on_gone = on_gone;
    w->req->on_drain = on_drain;
    http_stream_begin(w->req, &a);
}

static void run(struct api_watch *w, int64_t rv)
{
    struct api_call *c = w->call;
    bool initial = c->opt.has_send_initial ? c->opt.send_initial : rv == 0;
    struct err err = ERR_INIT;

    begin_stream(w);
    loop_timer_set(c->home, &w->end, lifetime_ms(c), on_end);
    /* events are single objects: no such form; nor has protobuf tables */
    if (c->media.as == API_AS_PARTIAL_LIST ||
        (c->media.as == API_AS_TABLE && c->media.form == API_PROTOBUF)) {
        finish(w);
        return;
    }
    if (!initial && rv == 0)
        rv = watch_cache_revision(c->api->cache);
    w->claimed = rv;
    if ((initial && send_present(w, &rv, &err) < 0) || open_cursor(w, rv, &err) < 0) {
        send_status(w, status_expired(c->a, arena_printf(c->a,
                                                         "too old resource version: %lld (%lld)",
            (long long)rv, (long long)watch_cache_compacted(c->api->cache))));
        finish(w);
        return;
    }
    if (c->opt.has_send_initial && initial && c->opt.bookmarks)
        send_bookmark(w, rv, true);
    if (c->opt.bookmarks)
        loop_timer_set(c->home, &w->bookmark, BOOKMARK_MS, on_bookmark);
    pump(w);
}

void api_watch_start(struct api_call *c, struct http_req *req)
{
    struct api_watch *w = NEW(struct api_watch);
    int64_t rv;

    w->call = c;
    w->req = req;
    list_init(&w->link);
    if (api_rv_parse(c, c->opt.rv, &rv) < 0 || api_filter_init(&w->filter, c) < 0) {
        mem_free(w);
        api_encode(c);
        api_http_answer(c, req);
        return;
    }
    list_push(&c->api->watches, &w->link);
    run(w, rv);
}

void api_watch_stop_all(struct api *api)
{
    list_each(w, &api->watches, struct api_watch, link)
        finish(w);
}
