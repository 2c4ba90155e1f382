/* recorder.c: events are made, or their count is raised. */
#include "core/client/recorder.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/base/map.h"
#include "core/base/timefmt.h"

struct known {                           /* an event that was made */
    char *name;
    int64_t count, at_ms;
};

struct similar {                         /* events that differ in their message only */
    struct map *messages;
    int64_t at_ms;
};

struct budget { int64_t left, at_ms; };  /* of one object */

struct recorder {
    struct client *client;
    char *component, *host;
    struct map *known, *similar, *budgets;
    uint64_t n_new;
};

static void free_known(void *p)
{
    struct known *k = p;

    mem_free(k->name);
    mem_free(k);
}

static void free_similar(void *p)
{
    struct similar *s = p;

    map_free(s->messages, NULL);
    mem_free(s);
}

static void free_budget(void *p)
{
    mem_free(p);
}

struct recorder *recorder_new(struct client *c, const char *component, const char *host)
{
    struct recorder *r = NEW(struct recorder);

    r->client = c;
    r->component = mem_strdup(component);
    r->host = mem_strdup(host ? host : "");
    r->known = map_new();
    r->similar = map_new();
    r->budgets = map_new();
    return r;
}

struct recorder *recorder_free(struct recorder *r)
{
    if (!r)
        return NULL;
    map_free(r->known, free_known);
    map_free(r->similar, free_similar);
    map_free(r->budgets, free_budget);
    mem_free(r->component);
    mem_free(r->host);
    return mem_free(r);
}

/* Makes room by forgetting the oldest. */
static void keep_small(struct map *m, void (*free_value)(void *))
{
    const char *key;
    void *value;
    size_t at = 0;

    if (map_len(m) >= RECORDER_KNOWN_MAX && map_next(m, &at, &key, &value)) {
        map_del(m, key);
        free_value(value);
    }
}

static bool may_speak(struct recorder *r, const char *uid)
{
    struct budget *b = map_get(r->budgets, uid);
    int64_t now = loop_now_ms(r->client->loop), more;

    if (!b) {
        keep_small(r->budgets, free_budget);
        b = NEW(struct budget);
        *b = (struct budget){ RECORDER_BURST, now };
        map_put(r->budgets, uid, b);
    }
    more = (now - b->at_ms) / RECORDER_REFILL_MS;
    b->at_ms += more * RECORDER_REFILL_MS;
    b->left = b->left + more > RECORDER_BURST ? RECORDER_BURST : b->left + more;
    if (b->left <= 0)
        return false;
    b->left--;
    return true;
}

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

static const char *ns_of(const struct recorder_ref *about)
{
    return str_empty(about->ns) ? "default" : about->ns;
}

static void set_text(struct arena *a, struct json *o, const char *key, const char *s)
{
    if (!str_empty(s))
        json_set_str(a, o, key, s);
}

static struct json *involved(struct arena *a, const struct recorder_ref *about)
{
    struct json *o = json_object(a);

    set_text(a, o, "kind", about->kind);
    set_text(a, o, "namespace", about->ns);
    set_text(a, o, "name", about->name);
    set_text(a, o, "uid", about->uid);
    set_text(a, o, "apiVersion", about->api_version);
    if (about->rv)
        json_set(a, o, "resourceVersion", json_fmt(a, "%" PRId64, about->rv));
    set_text(a, o, "fieldPath", about->field_path);
    return o;
}

struct said { enum recorder_type type; const char *reason, *message; };

static struct json *event_tree(struct recorder *r, struct arena *a,
                               const struct recorder_ref *about,
                               const struct said *said, const char *name)
{
    struct json *o = json_object(a), *meta = json_object(a), *source = json_object(a);
    char now[TIMEFMT_BYTES];

    timefmt_rfc3339(now, env_wall_s(loop_env(r->client->loop)));
    json_set_str(a, meta, "name", name);
    json_set_str(a, meta, "namespace", ns_of(about));
    json_set(a, o, "metadata", meta);
    json_set(a, o, "involvedObject", involved(a, about));
    json_set_str(a, o, "reason", said->reason);
    json_set_str(a, o, "message", said->message);
    json_set_str(a, source, "component", r->component);
    set_text(a, source, "host", r->host);
    json_set(a, o, "source", source);
    json_set_str(a, o, "firstTimestamp", now);
    json_set_str(a, o, "lastTimestamp", now);
    json_set_int(a, o, "count", 1);
    json_set_str(a, o, "type", said->type == RECORDER_WARNING ? "Warning" : "Normal");
    json_set_str(a, o, "reportingComponent", r->component);
    json_set_str(a, o, "reportingInstance", r->host);
    return o;
}

static void send_new(struct recorder *r, const struct recorder_ref *about, const struct said *said,
                     struct known *k)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    const struct kind *kind = kind_by_gvk("", "v1", "Event");
    int64_t us = env_wall_us(loop_env(r->client->loop));
    struct client_req req = { .verb = CLIENT_CREATE, .kind = kind, .ns = ns_of(about) };

    mem_free(k->name);                   /* it ends in nanoseconds: the last three are counted */
    k->name = mem_printf("%.*s.%" PRIx64, 230, or_empty(about->name),
                         (uint64_t)us * 1000 + r->n_new++ % 1000);
    k->count = 1;
    req.body = event_tree(r, a, about, said, k->name);
    client_do(r->client, &req, NULL);
}

/* `message` NULL: as it was. */
static void send_again(struct recorder *r, const struct recorder_ref *about, struct known *k,
                       const char *message)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *body = json_object(a);
    char now[TIMEFMT_BYTES];
    struct client_req req = { .verb = CLIENT_PATCH_MERGE, .kind = kind_by_gvk("", "v1", "Event"),
                              .ns = ns_of(about), .name = k->name, .body = body };

    timefmt_rfc3339(now, env_wall_s(loop_env(r->client->loop)));
    json_set_int(a, body, "count", ++k->count);
    json_set_str(a, body, "lastTimestamp", now);
    if (message)
        json_set_str(a, body, "message", message);
    client_do(r->client, &req, NULL);
}

/* Cut at a whole character. */
static void cut(char *message)
{
    size_t n = RECORDER_MESSAGE_MAX - 3;

    if (strlen(message) <= RECORDER_MESSAGE_MAX)
        return;
    while (n > 0 && ((unsigned char)message[n] & 0xc0) == 0x80)
        n--;
    memcpy(message + n, "...", 4);
}

/* True: there were so many with other messages that this one is counted with them. */
static bool is_combined(struct recorder *r, const char *key, const char *message)
{
    int64_t now = loop_now_ms(r->client->loop);
    struct similar *s = map_get(r->similar, key);

    if (s && now - s->at_ms > RECORDER_KNOWN_MS) {
        free_similar(map_del(r->similar, key));
        s = NULL;
    }
    if (!s) {
        keep_small(r->similar, free_similar);
        s = NEW(struct similar);
        s->messages = map_new();
        map_put(r->similar, key, s);
    }
    s->at_ms = now;
    if (map_get(s->messages, message))
        return false;
    if (map_len(s->messages) + 1 >= RECORDER_SIMILAR_MAX)
        return true;
    map_put(s->messages, message, s);
    return false;
}

/* A new event under this key, or one more of it. */
static void count(struct recorder *r, const struct recorder_ref *about, const struct said *said,
                  const char *key, bool combined)
{
    int64_t now = loop_now_ms(r->client->loop);
    struct known *k = map_get(r->known, key);

    if (k && now - k->at_ms < RECORDER_KNOWN_MS) {
        send_again(r, about, k, combined ? said->message : NULL);
    } else {
        if (!k) {
            keep_small(r->known, free_known);
            k = NEW(struct known);
            map_put(r->known, key, k);
        }
        send_new(r, about, said, k);
    }
    k->at_ms = now;
}

void recorder_event_ref(struct recorder *r, const struct recorder_ref *about,
                        enum recorder_type type, const char *reason, const char *message)
{
    struct said said = { type, reason, message };
    char *group, *own, *text;
    bool combined;

    if (!may_speak(r, or_empty(about->uid)))
        return;
    group = mem_printf("%s\n%s\n%s\n%d\n%s", or_empty(about->uid), or_empty(about->name),
                       or_empty(about->field_path), (int)type, reason);
    own = mem_printf("%s\n%s", group, message);
    text = mem_printf("(combined from similar events): %s", message);
    combined = is_combined(r, group, message);
    if (combined)
        said.message = text;
    cut(text);
    count(r, about, &said, combined ? group : own, combined);
    mem_free(group);
    mem_free(own);
    mem_free(text);
}

/* Frees message. */
static void event_about(struct recorder *r, const struct object *about, enum recorder_type type,
                        const char *reason, char *message)
{
    const struct kind *kind = object_kind(about);
    struct recorder_ref ref = { .api_version = kind->api_version, .kind = kind->kind,
                                .ns = object_ns(about), .name = object_name(about),
                                .uid = object_uid(about), .rv = object_rv(about) };

    cut(message);
    recorder_event_ref(r, &ref, type, reason, message);
    mem_free(message);
}

void recorder_normal(struct recorder *r, const struct object *about, const char *reason,
                     const char *format, ...)
{
    char *message = NULL;
    va_list ap;

    va_start(ap, format);
    if (vasprintf(&message, format, ap) >= 0)
        event_about(r, about, RECORDER_NORMAL, reason, message);
    va_end(ap);
}

void recorder_warning(struct recorder *r, const struct object *about, const char *reason,
                      const char *format, ...)
{
    char *message = NULL;
    va_list ap;

    va_start(ap, format);
    if (vasprintf(&message, format, ap) >= 0)
        event_about(r, about, RECORDER_WARNING, reason, message);
    va_end(ap);
}
