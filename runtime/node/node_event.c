/* node_event.c -- counting what repeats, limiting who is loud, and writing the rest. */
#include "runtime/node/node_event.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/timefmt.h"
#include "runtime/node/node_self.h"

#define SAME_FOR_S 600
#define BURST 25                         /* Events of one object at once */
#define REFILL_S 300                     /* one more after so long */

struct seen {                            /* an Event that may come again */
    char *name, *ns;
    int count;
    int64_t first_s, last_s;
};

struct talker { int left; int64_t since_s; };

struct node_events {
    struct client *client;
    char *node;
    struct map *seen;                    /* key -> struct seen; the oldest first */
    struct map *talkers;                 /* uid -> struct talker */
    unsigned flying;
    bool freed;
};

static void seen_free(void *p)
{
    struct seen *s = p;

    mem_free(s->name);
    mem_free(s->ns);
    mem_free(s);
}

static void talker_free(void *p)
{
    mem_free(p);
}

struct node_events *node_events_new(struct client *c, const char *node_name)
{
    struct node_events *e = NEW(struct node_events);

    e->client = c;
    e->node = mem_strdup(node_name);
    e->seen = map_new();
    e->talkers = map_new();
    return e;
}

static void events_release(struct node_events *e)
{
    if (e->freed && e->flying == 0)
        mem_free(e);
}

struct node_events *node_events_free(struct node_events *e)
{
    if (!e)
        return NULL;
    e->seen = map_free(e->seen, seen_free);
    e->talkers = map_free(e->talkers, talker_free);
    e->node = mem_free(e->node);
    e->freed = true;
    events_release(e);
    return NULL;
}

/* Makes room by dropping the oldest. */
static void trim(struct map *m, void (*free_value)(void *))
{
    size_t at = 0;
    const char *key;
    void *value;

    if (map_len(m) < NODE_EVENTS_KEPT || !map_next(m, &at, &key, &value))
        return;
    map_del(m, key);
    free_value(value);
}

static bool may_talk(struct node_events *e, const char *uid, int64_t now_s)
{
    struct talker *t = map_get(e->talkers, uid);
    int64_t more;

    if (!t) {
        trim(e->talkers, talker_free);
        t = NEW(struct talker);
        *t = (struct talker){ .left = BURST, .since_s = now_s };
        map_put(e->talkers, uid, t);
    }
    more = (now_s - t->since_s) / REFILL_S;
    if (more > 0) {
        t->left = t->left + more > BURST ? BURST : t->left + (int)more;
        t->since_s += more * REFILL_S;
    }
    return t->left > 0 ? t->left-- > 0 : false;
}

static void on_done(const struct client_result *r, void *ctx)
{
    struct node_events *e = ctx;

    e->flying--;
    if (!client_ok(r) && !e->freed)
        log_debug("event not written", "code=%d why=%s", r->code, r->message);
    events_release(e);
}

static void send(struct node_events *e, const struct client_req *req)
{
    struct err err = ERR_INIT;

    if (e->flying >= NODE_EVENTS_FLYING)
        return;
    e->flying++;
    if (client_do(e->client, req, &err) < 0) {
        e->flying--;
        log_debug("event not written", "why=%s", err.msg);
    }
}

static void repeat(struct node_events *e, struct arena *a, struct seen *s, const char *now)
{
    struct json *patch = json_object(a);

    json_set_int(a, patch, "count", s->count);
    json_set_str(a, patch, "lastTimestamp", now);
    send(e, &(struct client_req){ .verb = CLIENT_PATCH_MERGE, .kind = kind_event(), .ns = s->ns,
                                  .name = s->name, .body = patch, .on_done = on_done, .ctx = e });
}

struct text { bool warning; const char *reason, *message, *now; };

static void first(struct node_events *e, struct arena *a, const struct node_event_about *about,
                  const struct seen *s, const struct text *t)
{
    struct json *body = json_object(a), *meta = json_ensure_object(a, body, "metadata"), *ref;
    const struct kind *k = object_kind(about->object);

    json_set_str(a, meta, "name", s->name);
    json_set_str(a, meta, "namespace", s->ns);
    ref = json_ensure_object(a, body, "involvedObject");
    json_set_str(a, ref, "kind", k->kind);
    if (*object_ns(about->object))
        json_set_str(a, ref, "namespace", object_ns(about->object));
    json_set_str(a, ref, "name", object_name(about->object));
    json_set_str(a, ref, "uid", object_uid(about->object));
    json_set_str(a, ref, "apiVersion", k->api_version);
    json_set(a, ref, "resourceVersion",
             json_fmt(a, "%" PRId64, object_rv(about->object)));
    if (about->field)
        json_set_str(a, ref, "fieldPath", about->field);
    json_set_str(a, body, "reason", t->reason);
    json_set_str(a, body, "message", t->message);
    json_set_str(a, json_ensure_object(a, body, "source"), "component", NODE_COMPONENT);
    json_set_str(a, json_ensure_object(a, body, "source"), "host", e->node);
    json_set_str(a, body, "firstTimestamp", t->now);
    json_set_str(a, body, "lastTimestamp", t->now);
    json_set_int(a, body, "count", 1);
    json_set_str(a, body, "type", t->warning ? "Warning" : "Normal");
    json_set_str(a, body, "reportingComponent", NODE_COMPONENT);
    json_set_str(a, body, "reportingInstance", e->node);
    send(e, &(struct client_req){ .verb = CLIENT_CREATE, .kind = kind_event(), .ns = s->ns,
                                  .body = body, .on_done = on_done, .ctx = e });
}

/* False: too loud. */
static bool note(struct node_events *e, struct arena *a, const struct node_event_about *about,
                 struct text *t)
{
    int64_t us = env_wall_us(loop_env(e->client->loop)), now_s = us / 1000000;
    const char *uid = object_uid(about->object), *ns = object_ns(about->object);
    char *key = arena_printf(a, "%s/%s/%s/%s", uid, about->field ? about->field : "", t->reason,
                             t->message);
    struct seen *s = map_get(e->seen, key);

    if (!may_talk(e, uid, now_s))
        return false;
    if (s && now_s - s->last_s <= SAME_FOR_S) {
        s->count++;
        s->last_s = now_s;
        repeat(e, a, s, t->now);
        return true;
    }
    if (s)
        seen_free(map_del(e->seen, key));
    trim(e->seen, seen_free);
    s = NEW(struct seen);
    *s = (struct seen){ .count = 1, .first_s = now_s, .last_s = now_s };
    s->name = mem_printf("%s.%" PRIx64, object_name(about->object), us * 1000 +
                         (int64_t)(map_len(e->seen) % 1000));
    s->ns = mem_strdup(*ns ? ns : "default");
    map_put(e->seen, key, s);
    first(e, a, about, s, t);
    return true;
}

void node_events_add(struct node_events *e, const struct node_event_about *about,
                     const char *reason, const char *format, ...)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(256u << 10);
    char message[NODE_EVENT_MESSAGE_MAX + 1], now[TIMEFMT_BYTES];
    struct text t = { about->warning, reason, message, now };
    va_list args;

    if (!e)
        return;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    timefmt_rfc3339(now, env_wall_s(loop_env(e->client->loop)));
    note(e, a, about, &t);
}
