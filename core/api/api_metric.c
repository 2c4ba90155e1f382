/* api_metric.c: upstream's figures of an API server, and the page /metrics.
 *
 * A series' key packs what its labels are made of: kind, subresource, verb, scope, dry run and
 * code. Requests of nobody's resource have the path in place of the subresource.
 */
#include "core/api/api_call.h"
#include "core/base/metric.h"

#include <stdio.h>

#define SERIES_MAX 1024                      /* of one family */
#define MS 1000000ll

enum scope { SCOPE_NONE, SCOPE_CLUSTER, SCOPE_NAMESPACE, SCOPE_RESOURCE };

static const int64_t duration_bounds[] = {
    5 * MS, 25 * MS, 50 * MS, 100 * MS, 200 * MS, 400 * MS, 600 * MS, 800 * MS, 1000 * MS,
    1250 * MS, 1500 * MS, 2000 * MS, 3000 * MS, 4000 * MS, 5000 * MS, 6000 * MS, 8000 * MS,
    10000 * MS, 15000 * MS, 20000 * MS, 30000 * MS, 45000 * MS, 60000 * MS,
};
static const int64_t admit_bounds[] = { 5 * MS, 25 * MS, 100 * MS, 500 * MS, 1000 * MS, 2500 * MS };

static const struct metric_family
    f_total = { "apiserver_request_total", "Counter of apiserver requests broken out for each verb,"
                " dry run value, group, version, resource, scope, component, and HTTP response "
                "code.", METRIC_COUNTER, NULL, 0, 0 },
    f_duration = { "apiserver_request_duration_seconds", "Response latency distribution in seconds "
                   "for each verb, dry run value, group, version, resource, subresource, scope and "
                   "component.", METRIC_HISTOGRAM, duration_bounds, ARRAY_LEN(duration_bounds), 0 },
    f_events = { "apiserver_watch_events_total", "Number of events sent in watch clients.",
                 METRIC_COUNTER, NULL, 0, 0 },
    f_step = { "apiserver_admission_step_admission_duration_seconds", "Admission sub-step latency "
               "histogram in seconds, broken out for each operation and type.",
               METRIC_HISTOGRAM, admit_bounds, ARRAY_LEN(admit_bounds), 0 },
    f_inflight = { "apiserver_current_inflight_requests", "Number of requests under way, by kind.",
                   METRIC_GAUGE, NULL, 0, 0 },
    f_long = { "apiserver_longrunning_requests", "Gauge of all active long-running apiserver "
               "requests broken out by verb, group, version, resource, scope and component.",
               METRIC_GAUGE, NULL, 0, 0 },
    f_authn = { "authentication_attempts", "Counter of authenticated attempts.", METRIC_COUNTER,
                NULL, 0, 0 },
    f_authz = { "apiserver_authorization_decisions_total", "Decisions about what users may do.",
                METRIC_COUNTER, NULL, 0, 0 };

enum { READ_ONLY, MUTATING, INFLIGHT_MAX };

struct api_metric {
    struct metric_set *total, *duration, *longs, *events, *steps;
    _Atomic int64_t inflight[INFLIGHT_MAX];
    _Atomic uint64_t authn[2], authz[2];     /* refused, taken */
};

struct api_metric *api_metric_new(void)
{
    struct api_metric *m = NEW(struct api_metric);

    m->total = metric_set_new(&f_total, SERIES_MAX);
    m->duration = metric_set_new(&f_duration, SERIES_MAX / 2);
    m->longs = metric_set_new(&f_long, SERIES_MAX / 4);
    m->events = metric_set_new(&f_events, SERIES_MAX / 4);
    m->steps = metric_set_new(&f_step, 16);
    return m;
}

struct api_metric *api_metric_free(struct api_metric *m)
{
    if (!m)
        return NULL;
    metric_set_free(m->total);
    metric_set_free(m->duration);
    metric_set_free(m->longs);
    metric_set_free(m->events);
    metric_set_free(m->steps);
    return mem_free(m);
}

/* --- keys */

static const char *const pages[] = { "", "/healthz", "/livez", "/readyz", "/metrics", "/version",
                                     "/api", "/apis", "/openapi/v2", "/openapi/v3" };
#define NO_KIND 0xffffu

static unsigned page_of(const char *path)
{
    for (unsigned i = 1; i < ARRAY_LEN(pages); i++) {
        size_t len = strlen(pages[i]);

        if (strncmp(path, pages[i], len) == 0 && (!path[len] || path[len] == '/'))
            return i;
    }
    return 0;
}

static bool is_dry(const struct api_call *c)
{
    return c->opt.dry_run || !str_empty(c->opt.dry_run_text);
}

static bool is_apply(const struct api_call *c)
{
    return c->route.verb == API_PATCH && c->content_type && strstr(c->content_type, "apply-patch");
}

/* As upstream's CleanScope. */
static enum scope scope_of(const struct api_route *r)
{
    return !r->kind ? SCOPE_NONE : *r->name || r->verb == API_CREATE ? SCOPE_RESOURCE
         : *r->ns ? SCOPE_NAMESPACE : SCOPE_CLUSTER;
}

static uint64_t key_of(const struct api_call *c, int code)
{
    const struct api_route *r = &c->route;
    uint64_t kind = r->kind ? r->kind->id : NO_KIND;
    uint64_t sub = r->kind ? (r->sub ? (uint64_t)(r->sub - r->kind->subs) + 1 : 0)
                           : page_of(c->path);

    return (uint64_t)code | kind << 16 | sub << 32 | (uint64_t)r->verb << 40 |
           (uint64_t)scope_of(r) << 44 | (uint64_t)is_dry(c) << 48 |
           (uint64_t)is_apply(c) << 49;
}

static const char *verb_text(uint64_t key)
{
    static const char *const names[API_VERB_MAX] = {
        [API_GET] = "GET", [API_LIST] = "LIST", [API_WATCH] = "WATCH", [API_CREATE] = "POST",
        [API_UPDATE] = "PUT", [API_PATCH] = "PATCH", [API_DELETE] = "DELETE",
        [API_DELETECOLLECTION] = "DELETECOLLECTION", [API_CONNECT] = "CONNECT",
        [API_NONRESOURCE] = "GET",
    };

    return key >> 49 & 1 ? "APPLY" : names[key >> 40 & 15];
}

static void name_of(struct buf *labels, uint64_t key, const struct metric_family *f)
{
    static const char *const scopes[] = { "", "cluster", "namespace", "resource" };
    unsigned id = key >> 16 & 0xffff, sub = key >> 32 & 0xff;
    const struct kind *k = id == NO_KIND ? NULL : kind_by_id(id);
    char code[24];

    metric_label(labels, "component", k ? "apiserver" : "");
    if (f == &f_total) {
        snprintf(code, sizeof(code), "%u", (unsigned)(key & 0xffff));
        metric_label(labels, "code", code);
    }
    if (f != &f_long)
        metric_label(labels, "dry_run", key >> 48 & 1 ? "All" : "");
    metric_label(labels, "group", k ? k->group : "");
    metric_label(labels, "resource", k ? k->resource : "");
    metric_label(labels, "scope", scopes[key >> 44 & 3]);
    metric_label(labels, "subresource", k ? (sub ? k->subs[sub - 1].name : "") : pages[sub]);
    metric_label(labels, "verb", verb_text(key));
    metric_label(labels, "version", k ? k->version : "");
}

static void request_labels(struct buf *labels, uint64_t key, void *ctx)
{
    if (key == METRIC_OTHER)
        metric_label(labels, "resource", "other");
    else
        name_of(labels, key, ctx);
}

static void event_labels(struct buf *labels, uint64_t key, void *ctx)
{
    const struct kind *k = key == METRIC_OTHER ? NULL : kind_by_id((unsigned)key);

    (void)ctx;
    metric_label(labels, "group", k ? k->group : "");
    metric_label(labels, "version", k ? k->version : "");
    metric_label(labels, "kind", k ? k->kind : "other");
}

static void step_labels(struct buf *labels, uint64_t key, void *ctx)
{
    static const char *const operations[] = {
        [ADMIT_CREATE] = "CREATE", [ADMIT_UPDATE] = "UPDATE", [ADMIT_DELETE] = "DELETE",
    };

    (void)ctx;
    if (key == METRIC_OTHER)
        return;
    metric_label(labels, "operation", operations[key & 7]);
    metric_label(labels, "rejected", key >> 3 & 1 ? "true" : "false");
    metric_label(labels, "type", key >> 4 & 1 ? "validate" : "admit");
}

/* --- counting */

static bool is_mutating(const struct api_call *c)
{
    return c->route.verb >= API_CREATE && c->route.verb <= API_DELETECOLLECTION;
}

static bool is_long(const struct api_call *c)
{
    return c->route.verb == API_WATCH || c->route.verb == API_CONNECT;
}

void api_metric_begin(struct api_call *c)
{
    struct api_metric *m = c->api->metrics;

    c->flies = true;
    if (is_long(c))
        metric_set_add(m->longs, key_of(c, 0), 1);
    else
        atomic_fetch_add_explicit(&m->inflight[is_mutating(c)], 1, memory_order_relaxed);
}

/* Streams do not know their code; those of watches and logs are plain answers. */
static int code_of(const struct api_call *c)
{
    if (c->status || c->code)
        return c->status ? c->status->code : c->code;
    return c->route.verb != API_CONNECT || str_eq(c->route.sub->name, "log") ||
           str_eq(c->route.sub->name, "proxy") ? 200 : 101;
}

void api_metric_end(struct api_call *c)
{
    struct api_metric *m = c->api->metrics;

    if (!c->begun_ns)
        return;
    metric_set_add(m->total, key_of(c, code_of(c)), 1);
    metric_set_add(m->duration, key_of(c, 0), metric_now_ns() - c->begun_ns);
    c->begun_ns = 0;
    if (!c->flies)
        return;
    if (is_long(c))
        metric_set_add(m->longs, key_of(c, 0), -1);
    else
        atomic_fetch_sub_explicit(&m->inflight[is_mutating(c)], 1, memory_order_relaxed);
}

void api_metric_event(struct api_call *c)
{
    metric_set_add(c->api->metrics->events, c->route.kind->id, 1);
}

void api_metric_admit(struct api_call *c, enum admit_verb verb, bool validating, int64_t begun_ns)
{
    metric_set_add(c->api->metrics->steps, (uint64_t)verb | (uint64_t)(c->status != NULL) << 3 |
                   (uint64_t)validating << 4, metric_now_ns() - begun_ns);
}

void api_metric_authn(struct api *api, bool good)
{
    atomic_fetch_add_explicit(&api->metrics->authn[good], 1, memory_order_relaxed);
}

void api_metric_authz(struct api *api, bool allowed)
{
    atomic_fetch_add_explicit(&api->metrics->authz[allowed], 1, memory_order_relaxed);
}

/* --- the page */

static void write_pair(struct buf *out, const struct metric_family *f, const char *const labels[2],
                       _Atomic uint64_t v[2])
{
    metric_write_head(out, f);
    for (unsigned i = 0; i < 2; i++)
        metric_write_u64(out, f, labels[i], v[i]);
}

static void write_own(struct api_metric *m, struct buf *out)
{
    static const char *const authn[] = { "result=\"failure\"", "result=\"success\"" };
    static const char *const authz[] = { "decision=\"denied\"", "decision=\"allowed\"" };

    metric_set_write(out, m->total, request_labels, (void *)&f_total);
    metric_set_write(out, m->duration, request_labels, (void *)&f_duration);
    metric_set_write(out, m->longs, request_labels, (void *)&f_long);
    metric_set_write(out, m->events, event_labels, NULL);
    metric_set_write(out, m->steps, step_labels, NULL);
    metric_write_head(out, &f_inflight);
    metric_write_u64(out, &f_inflight, "request_kind=\"mutating\"",
                     (uint64_t)m->inflight[MUTATING]);
    metric_write_u64(out, &f_inflight, "request_kind=\"readOnly\"",
                     (uint64_t)m->inflight[READ_ONLY]);
    write_pair(out, &f_authn, authn, m->authn);
    write_pair(out, &f_authz, authz, m->authz);
}

int api_metric_page(struct api_call *c)
{
    struct api *api = c->api;

    write_own(api->metrics, &c->text);
    watch_cache_metrics(api->cache, &c->text);
    kv_metrics(api->kv, &c->text);
    if (api->more.metrics)
        api->more.metrics(api->more.ctx, &c->text);
    c->text_type = METRIC_TYPE;
    c->code = 200;
    return 0;
}
