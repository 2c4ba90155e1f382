#include "core/client/client_http_impl.h"

#include <stdio.h>

#include "core/base/check.h"
#include "core/client/client_wire.h"
#include "core/object/status.h"

struct request {
    struct list link;
    struct client_http *client;
    const struct kind *kind;
    enum client_http_method method;
    int64_t begun_ns;                        /* for figures */
    struct http_call *call;
    void (*on_done)(const struct client_result *r, void *ctx);
    void *ctx;
};

static const char *const methods[CLIENT_HTTP_METHOD_MAX] = {
    [CLIENT_HTTP_GET] = "GET", [CLIENT_HTTP_POST] = "POST", [CLIENT_HTTP_PUT] = "PUT",
    [CLIENT_HTTP_PATCH] = "PATCH", [CLIENT_HTTP_DELETE] = "DELETE",
};

static const struct { enum client_http_method method; const char *type; } verbs[CLIENT_VERB_MAX] = {
    [CLIENT_GET] = { CLIENT_HTTP_GET, NULL },
    [CLIENT_CREATE] = { CLIENT_HTTP_POST, "application/json" },
    [CLIENT_UPDATE] = { CLIENT_HTTP_PUT, "application/json" },
    [CLIENT_PATCH_MERGE] = { CLIENT_HTTP_PATCH, "application/merge-patch+json" },
    [CLIENT_PATCH_JSON] = { CLIENT_HTTP_PATCH, "application/json-patch+json" },
    [CLIENT_PATCH_STRATEGIC] = { CLIENT_HTTP_PATCH, "application/strategic-merge-patch+json" },
    [CLIENT_DELETE] = { CLIENT_HTTP_DELETE, "application/json" },
};

static struct client_http *http_of(struct client *c)
{
    return container_of(c, struct client_http, base);
}

/* --- is the server there? --- */

static void client_http_on_wake(struct loop_timer *t)
{
    client_watch_http_wake(container_of(t, struct client_http, wake));
}

void client_http_heard(struct client_http *c, bool here)
{
    if (!here && !c->away_ms)
        c->away_ms = loop_now_ms(c->base.loop);
    if (here && c->away_ms && !loop_timer_is_set(&c->wake))
        loop_timer_set(c->base.loop, &c->wake, 0, client_http_on_wake);
}

/* --- the answer --- */

static void request_answer(struct request *q, struct client_result *r, struct object **o,
                           struct arena *a)
{
    struct slice body = http_call_body(q->call);
    struct json *tree = NULL;
    struct status *s;

    r->code = http_call_status(q->call);
    if (client_ok(r) && object_new(o, q->kind, body.p, body.len, 0, NULL) == 0) {
        r->object = *o;
        return;
    }
    if (body.len && json_parse(&tree, a, body.p, body.len, NULL, NULL) == 0)
        r->body = tree;
    if (client_ok(r))
        return;
    s = tree ? status_read(a, tree) : NULL;
    if (s) {
        r->reason = s->reason ? s->reason : "";
        r->message = s->message ? s->message : "";
    } else {
        r->message =
            arena_printf(a, "the server answered with %d %s", r->code, http_status_text(r->code));
    }
}

static void request_free(struct request *q)
{
    list_del(&q->link);
    mem_free(q);
}

static void request_on_end(struct http_call *call, const struct err *why, void *ctx)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(CLIENT_HTTP_BODY_MAX * 8ul);
    _cleanup_(object_unrefp) struct object *o = NULL;
    struct request *q = ctx;
    struct client_result r = { .reason = "", .message = "" };
    void (*on_done)(const struct client_result *, void *) = q->on_done;
    void *done_ctx = q->ctx;

    (void)call;
    client_http_heard(q->client, !why);
    if (why)
        r.message = why->msg;
    else
        request_answer(q, &r, &o, a);
    client_http_count(q->client, q->method, r.code, q->begun_ns);
    request_free(q);
    if (on_done)
        on_done(&r, done_ctx);
}

/* --- the request --- */

static int request_check(const struct client_req *req, struct err *err)
{
    if (!req->kind || req->verb >= CLIENT_VERB_MAX)
        return err_set(err, ERR_INVALID, "a request needs a kind and a verb");
    if (req->verb != CLIENT_CREATE && str_empty(req->name))
        return err_set(err, ERR_INVALID, "%s: a request needs a name", req->kind->resource);
    if (req->verb != CLIENT_GET && req->verb != CLIENT_DELETE && !req->body)
        return err_set(err, ERR_INVALID, "%s: a request needs a body", req->kind->resource);
    if (req->kind->namespaced && str_empty(req->ns))
        return err_set(err, ERR_INVALID, "%s: a request needs a namespace", req->kind->resource);
    return 0;
}

static void request_delete_options(struct buf *b, const struct client_req *req)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *o = json_object(a), *pre = json_object(a);

    json_set_str(a, o, "kind", "DeleteOptions");
    json_set_str(a, o, "apiVersion", "v1");
    if (req->grace_s >= 0)
        json_set_int(a, o, "gracePeriodSeconds", req->grace_s);
    if (req->uid_precondition)
        json_set_str(a, pre, "uid", req->uid_precondition);
    if (req->rv_precondition)
        json_set_str(a, pre, "resourceVersion", req->rv_precondition);
    if (json_len(pre))
        json_set(a, o, "preconditions", pre);
    if (req->propagation)
        json_set_str(a, o, "propagationPolicy", req->propagation);
    json_write(b, o);
}

static int client_http_do(struct client *base, const struct client_req *req, struct err *err)
{
    static const struct http_field accept = { "Accept", "application/json" };
    struct client_http *c = http_of(base);
    _cleanup_buf_ struct buf url = BUF_INIT;
    _cleanup_buf_ struct buf body = BUF_INIT;
    struct http_call_opts o = { .fields = &accept, .n_fields = 1, .collect = true,
                                .body_max = CLIENT_HTTP_BODY_MAX, .on_end = request_on_end };
    struct request *q;

    if (request_check(req, err) < 0)
        return -1;
    /* the name of what is created stands in the body, except for a subresource of something */
    client_wire_path(&url, req->kind, req->ns,
                     req->verb == CLIENT_CREATE && str_empty(req->subresource) ? NULL : req->name,
                     req->subresource);
    if (req->verb != CLIENT_GET && req->verb != CLIENT_DELETE)
        client_wire_query(&url, "fieldManager", req->field_manager ? req->field_manager : c->name);
    if (req->body)
        json_write(&body, req->body);
    else if (req->verb == CLIENT_DELETE)
        request_delete_options(&body, req);
    q = NEW(struct request);
    q->client = c;
    q->kind = req->kind;
    q->method = verbs[req->verb].method;
    q->begun_ns = metric_now_ns();
    q->on_done = req->on_done;
    q->ctx = req->ctx;
    list_push(&c->reqs, &q->link);
    o.method = methods[verbs[req->verb].method];
    o.type = body.len ? verbs[req->verb].type : NULL;
    o.url = url.p;
    o.body = (struct slice){ body.p, body.len };
    o.timeout_ms = req->timeout_ms;
    o.ctx = q;
    if (http_client_call(&q->call, c->http, &o, err) < 0) {
        request_free(q);
        return -1;
    }
    return 0;
}

static struct client *client_http_free(struct client *base)
{
    struct client_http *c = http_of(base);

    loop_timer_del(&c->wake);
    client_watch_http_drop(c);
    list_each(q, &c->reqs, struct request, link) {
        http_call_cancel(q->call);
        request_free(q);
    }
    http_client_free(c->http);
    metric_set_free(c->total);
    metric_set_free(c->duration);
    mem_free(c->host);
    mem_free(c->name);
    mem_free(c);
    return NULL;
}

/* --- figures --- */

#define CODES_MAX 32                         /* seen codes of one method */
#define MS 1000000ll

static const int64_t duration_bounds[] = { 5 * MS, 25 * MS, 100 * MS, 250 * MS, 500 * MS, 1000 * MS,
                                           2000 * MS, 4000 * MS, 8000 * MS, 15000 * MS, 30000 * MS,
                                           60000 * MS };
static const struct metric_family
    total = { "rest_client_requests_total", "Number of HTTP requests, partitioned by status code, "
              "method, and host.", METRIC_COUNTER, NULL, 0, 0 },
    duration = { "rest_client_request_duration_seconds", "Request latency in seconds. Broken down "
                 "by verb, and host.", METRIC_HISTOGRAM, duration_bounds,
                 ARRAY_LEN(duration_bounds), 0 };

/* "https://10.0.0.1:6443/x" -> "10.0.0.1:6443" */
static char *host_of(const char *url)
{
    const char *at = strstr(url, "://");

    at = at ? at + 3 : url;
    return mem_strndup(at, strcspn(at, "/"));
}

void client_http_count(struct client_http *c, enum client_http_method m, int code,
                       int64_t begun_ns)
{
    metric_set_add(c->total, (uint64_t)m << 16 | (uint64_t)code, 1);
    if (begun_ns)
        metric_set_add(c->duration, (uint64_t)m, metric_now_ns() - begun_ns);
}

static void total_labels(struct buf *labels, uint64_t key, void *ctx)
{
    const struct client_http *c = ctx;
    char code[24] = "<error>";

    if (key & 0xffff)
        snprintf(code, sizeof(code), "%u", (unsigned)(key & 0xffff));
    metric_label(labels, "code", key == METRIC_OTHER ? "other" : code);
    metric_label(labels, "host", c->host);
    metric_label(labels, "method", key == METRIC_OTHER ? "other" : methods[key >> 16]);
}

static void duration_labels(struct buf *labels, uint64_t key, void *ctx)
{
    const struct client_http *c = ctx;

    metric_label(labels, "host", c->host);
    metric_label(labels, "verb", key == METRIC_OTHER ? "other" : methods[key]);
}

static const struct client_ops client_http_ops = {
    .do_req = client_http_do,
    .watch = client_watch_http_new,
    .watch_free = client_watch_http_free,
    .free = client_http_free,
};

int client_http_new(struct client **out, struct loop *l, const struct client_http_opts *opts,
                    struct err *err)
{
    struct http_client_opts http = opts->http;
    struct client_http *c;

    if (!opts->http.base_url)
        return err_set(err, ERR_INVALID, "a client needs the server's URL");
    c = NEW(struct client_http);
    c->name = mem_strdup(opts->name ? opts->name : "inro");
    c->base = (struct client){ .ops = &client_http_ops, .loop = l, .name = c->name };
    list_init(&c->reqs);
    list_init(&c->watches);
    http.http2 = true;
    if (http_client_new(&c->http, l, &http, err) < 0) {
        mem_free(c->name);
        mem_free(c);
        return -1;
    }
    c->host = host_of(opts->http.base_url);
    c->total = metric_set_new(&total, CLIENT_HTTP_METHOD_MAX * CODES_MAX);
    c->duration = metric_set_new(&duration, CLIENT_HTTP_METHOD_MAX);
    *out = &c->base;
    return 0;
}

int client_http_reload(struct client *c, const struct http_client_opts *opts, struct err *err)
{
    check(c->ops == &client_http_ops);
    return http_client_reload(http_of(c)->http, opts, err);
}

struct http_client *client_http_http(struct client *c)
{
    check(c->ops == &client_http_ops);
    return http_of(c)->http;
}

void client_http_metrics(struct client *base, struct buf *out)
{
    struct client_http *c = http_of(base);

    if (base->ops != &client_http_ops)
        return;
    metric_set_write(out, c->total, total_labels, c);
    metric_set_write(out, c->duration, duration_labels, c);
}
