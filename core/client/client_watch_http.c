/* client_watch_http.c -- list, then follow, for ever. The states are drawn in client_http.h. */
#include "core/client/client_http_impl.h"

#include <stdio.h>

#include "core/base/log.h"
#include "core/client/client_wire.h"

#define WATCH_SHORT_MS 1000                  /* a stream that ends sooner is a failure */

enum watch_state { WATCH_LIST, WATCH_FOLLOW };

struct watch {
    struct client_watch base;
    struct list link;
    struct client_http *client;
    struct client_watch_opts o;
    char *ns, *labels, *fields;
    enum watch_state state;
    struct loop_timer timer;
    struct http_call *call;
    char *rv, *token;                        /* of the list; the place in it */
    bool begun;                              /* on_sync(false) was told for this list */
    bool gone;                               /* the server said that our place is too old */
    struct buf line;
    int64_t backoff_ms, since_ms;
    unsigned busy;                           /* callbacks that run */
    bool freed;
};

static void watch_go(struct watch *w);

static void watch_destroy(struct watch *w)
{
    list_del(&w->link);
    loop_timer_del(&w->timer);
    if (w->call)
        http_call_cancel(TAKE(w->call));
    buf_deinit(&w->line);
    mem_free(w->ns);
    mem_free(w->labels);
    mem_free(w->fields);
    mem_free(w->rv);
    mem_free(w->token);
    mem_free(w);
}

struct client_watch *client_watch_http_free(struct client_watch *base)
{
    struct watch *w = container_of(base, struct watch, base);

    w->freed = true;
    if (!w->busy)
        watch_destroy(w);
    return NULL;
}

void client_watch_http_drop(struct client_http *c)
{
    list_each(w, &c->watches, struct watch, link)
        watch_destroy(w);
}

static void watch_set(char **to, char *text)
{
    mem_free(*to);
    *to = text;
}

/* The text of a JSON string without escapes; NULL when it is none. */
static char *watch_text(struct slice s)
{
    if (s.len < 2 || *s.p != '"' || memchr(s.p, '\\', s.len))
        return NULL;
    return mem_strndup(s.p + 1, s.len - 2);
}

static char *watch_meta(struct slice text, const char *key)
{
    struct slice meta, value;

    if (!client_wire_member(text, "metadata", &meta) || !client_wire_member(meta, key, &value))
        return NULL;
    return watch_text(value);
}

static void watch_on_time(struct loop_timer *t)
{
    watch_go(container_of(t, struct watch, timer));
}

static uint32_t watch_chance(const struct watch *w, int64_t below)
{
    uint32_t chance;

    env_random(loop_env(w->client->base.loop), &chance, sizeof(chance));
    return chance % (uint32_t)below;
}

/* Again after the back-off: half of it sure, half of it by chance. */
static void watch_retry(struct watch *w)
{

    w->backoff_ms = w->backoff_ms ? w->backoff_ms * 2 : CLIENT_HTTP_BACKOFF_MIN_MS;
    if (w->backoff_ms > CLIENT_HTTP_BACKOFF_MAX_MS)
        w->backoff_ms = CLIENT_HTTP_BACKOFF_MAX_MS;
    loop_timer_set(w->client->base.loop, &w->timer,
                   w->backoff_ms / 2 + watch_chance(w, w->backoff_ms) / 2, watch_on_time);
}

static void watch_relist(struct watch *w)
{
    w->state = WATCH_LIST;
    watch_set(&w->rv, NULL);
    watch_set(&w->token, NULL);
    w->begun = false;
}

/* Callbacks; false: the watch was freed inside. */
static bool watch_tell_sync(struct watch *w, bool end)
{
    w->busy++;
    if (w->o.on_sync)
        w->o.on_sync(end, w->o.ctx);
    w->busy--;
    return !w->freed;
}

static bool watch_tell(struct watch *w, enum client_event type, struct object *o)
{
    w->busy++;
    if (w->o.on_event)
        w->o.on_event(type, o, w->o.ctx);
    w->busy--;
    return !w->freed;
}

/* --- listing --- */

static int watch_items(struct watch *w, struct slice items)
{
    struct slice item;

    while (client_wire_item(&items, &item)) {
        _cleanup_(object_unrefp) struct object *o = NULL;
        struct err err = ERR_INIT;

        if (client_wire_object(&o, w->o.kind, item, &err) < 0) {
            log_warn("a listed object is left out", "kind=%s err=\"%s\"", w->o.kind->resource,
                     err.msg);
            continue;
        }
        if (!watch_tell(w, CLIENT_ADDED, o))
            return -1;
    }
    return 0;
}

/* One page. Returns -1 when the watch is to be destroyed. */
static int watch_page(struct watch *w, struct slice body)
{
    struct slice items = SLICE("[]");
    char *rv = watch_meta(body, "resourceVersion");

    if (!rv) {
        watch_relist(w);
        watch_retry(w);
        return 0;
    }
    if (!w->begun) {
        w->begun = true;
        if (!watch_tell_sync(w, false)) {
            mem_free(rv);
            return -1;
        }
    }
    watch_set(&w->rv, rv);
    watch_set(&w->token, watch_meta(body, "continue"));
    client_wire_member(body, "items", &items);
    if (watch_items(w, items) < 0)
        return -1;
    if (str_empty(w->token)) {
        w->state = WATCH_FOLLOW;
        w->backoff_ms = 0;
        if (!watch_tell_sync(w, true))
            return -1;
    }
    watch_go(w);
    return 0;
}

static void watch_list_end(struct http_call *c, const struct err *why, void *ctx)
{
    struct watch *w = ctx;
    int status = http_call_status(c), rc = 0;

    client_http_count(w->client, CLIENT_HTTP_GET, why ? 0 : status, 0);
    w->call = NULL;
    client_http_heard(w->client, !why);
    if (why || status != 200) {
        log_debug("list failed", "kind=%s status=%d err=\"%s\"", w->o.kind->resource, status,
                  why ? why->msg : "");
        if (status == 410)
            watch_relist(w);
        watch_retry(w);
        return;
    }
    w->busy++;
    rc = watch_page(w, http_call_body(c));
    w->busy--;
    if (rc < 0 || w->freed)
        watch_destroy(w);
}

/* --- following --- */

static int watch_error(struct watch *w, struct slice status)
{
    struct slice code = SLICE("0");

    client_wire_member(status, "code", &code);
    w->gone = slice_is(code, "410");
    return -1;
}

/* One event. -1: the stream is of no more use (or the watch freed). */
static int watch_event(struct watch *w, struct slice line)
{
    static const struct { const char *name; enum client_event type; } types[] = {
        { "\"ADDED\"", CLIENT_ADDED },
        { "\"MODIFIED\"", CLIENT_MODIFIED },
        { "\"DELETED\"", CLIENT_DELETED },
        { "\"BOOKMARK\"", CLIENT_BOOKMARK },
    };
    _cleanup_(object_unrefp) struct object *o = NULL;
    struct slice type, text;
    struct err err = ERR_INIT;
    char *rv;

    if (!client_wire_member(line, "type", &type) || !client_wire_member(line, "object", &text))
        return -1;
    if (slice_is(type, "\"ERROR\""))
        return watch_error(w, text);
    rv = watch_meta(text, "resourceVersion");
    if (!rv)
        return -1;
    watch_set(&w->rv, rv);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (!slice_is(type, types[i].name))
            continue;
        if (client_wire_object(&o, w->o.kind, text, &err) < 0) {
            if (types[i].type != CLIENT_BOOKMARK)
                log_warn("a watched object is left out", "kind=%s err=\"%s\"", w->o.kind->resource,
                         err.msg);
            return 0;
        }
        return watch_tell(w, types[i].type, o) ? 0 : -1;
    }
    return 0;
}

static void watch_follow_end(struct watch *w)
{
    int64_t lasted = loop_now_ms(w->client->base.loop) - w->since_ms;

    w->call = NULL;
    buf_deinit(&w->line);
    if (w->gone)
        watch_relist(w);
    if (lasted >= WATCH_SHORT_MS || w->gone)
        w->backoff_ms = 0;
    if (lasted < WATCH_SHORT_MS)
        watch_retry(w);
    else
        watch_go(w);
}

static void watch_break(struct watch *w)
{
    http_call_cancel(TAKE(w->call));
    if (w->freed)
        watch_destroy(w);
    else
        watch_follow_end(w);
}

static void watch_on_data(struct http_call *c, const char *p, size_t len, void *ctx)
{
    struct watch *w = ctx;
    size_t at = 0;
    const char *end;
    int rc = 0;

    if (http_call_status(c) != 200)
        return;
    client_http_heard(w->client, true);
    buf_add(&w->line, p, len);
    w->busy++;
    while (rc == 0 && (end = memchr(w->line.p + at, '\n', w->line.len - at))) {
        rc = watch_event(w, (struct slice){ w->line.p + at, (size_t)(end - w->line.p) - at });
        at = (size_t)(end - w->line.p) + 1;
    }
    w->busy--;
    if (rc < 0 || w->line.len - at > CLIENT_HTTP_EVENT_MAX) {
        watch_break(w);
        return;
    }
    if (at == w->line.len)
        buf_deinit(&w->line);                /* an idle watch holds no buffer */
    else
        buf_eat(&w->line, at);
}

static void watch_on_end(struct http_call *c, const struct err *why, void *ctx)
{
    struct watch *w = ctx;
    int status = http_call_status(c);

    if (why)
        client_http_heard(w->client, false);
    client_http_count(w->client, CLIENT_HTTP_GET, why && !status ? 0 : status, 0);
    if (status == 410)
        w->gone = true;
    else if (status && status != 200)
        w->since_ms = loop_now_ms(w->client->base.loop);         /* refused: back off */
    watch_follow_end(w);
}

/* --- requests --- */

static void watch_url(struct watch *w, struct buf *url)
{
    char number[16];

    client_wire_path(url, w->o.kind, w->ns, NULL, NULL);
    if (w->state == WATCH_LIST) {
        snprintf(number, sizeof(number), "%d", CLIENT_HTTP_PAGE);
        client_wire_query(url, "limit", number);
        client_wire_query(url, "continue", w->token);
    } else {
        snprintf(number, sizeof(number), "%u",
                 CLIENT_HTTP_WATCH_S + watch_chance(w, CLIENT_HTTP_WATCH_S));
        client_wire_query(url, "watch", "true");
        client_wire_query(url, "allowWatchBookmarks", "true");
        client_wire_query(url, "resourceVersion", w->rv);
        client_wire_query(url, "timeoutSeconds", number);
    }
    client_wire_query(url, "labelSelector", w->labels);
    client_wire_query(url, "fieldSelector", w->fields);
}

static void watch_go(struct watch *w)
{
    static const struct http_field accept = { "Accept", "application/json" };
    _cleanup_buf_ struct buf url = BUF_INIT;
    struct http_call_opts o = { .fields = &accept, .n_fields = 1, .ctx = w };
    struct err err = ERR_INIT;

    watch_url(w, &url);
    o.url = url.p;
    if (w->state == WATCH_LIST) {
        o.collect = true;
        o.body_max = CLIENT_HTTP_BODY_MAX;
        o.on_end = watch_list_end;
    } else {
        o.on_data = watch_on_data;
        o.on_end = watch_on_end;
        o.silence_ms = 2 * CLIENT_HTTP_WATCH_S * 1000 + HTTP_CALL_MS;
        w->since_ms = loop_now_ms(w->client->base.loop);
        w->gone = false;
    }
    if (http_client_call(&w->call, w->client->http, &o, &err) < 0) {
        log_warn("a watch cannot be sent", "kind=%s err=\"%s\"", w->o.kind->resource, err.msg);
        watch_retry(w);
    }
}

int client_watch_http_new(struct client *c, struct client_watch **out,
                          const struct client_watch_opts *o, struct err *err)
{
    struct watch *w;

    if (!o->kind)
        return err_set(err, ERR_INVALID, "a watch needs a kind");
    w = NEW(struct watch);
    w->base.ops = c->ops;
    w->client = container_of(c, struct client_http, base);
    w->o = *o;
    w->ns = mem_strdup(o->ns);
    w->labels = mem_strdup(o->label_selector);
    w->fields = mem_strdup(o->field_selector);
    w->state = WATCH_LIST;
    list_push(&w->client->watches, &w->link);
    watch_go(w);
    *out = &w->base;
    return 0;
}

void client_watch_http_wake(struct client_http *c)
{
    list_each(w, &c->watches, struct watch, link) {
        if (w->call && (w->state != WATCH_FOLLOW || w->since_ms >= c->away_ms))
            continue;                        /* on its way */
        if (w->call)
            http_call_cancel(TAKE(w->call));
        buf_deinit(&w->line);
        w->backoff_ms = 0;
        loop_timer_set(c->base.loop, &w->timer, watch_chance(w, CLIENT_HTTP_WAKE_MS),
                       watch_on_time);
    }
    c->away_ms = 0;
}
