/* node_serve.c -- the port: peers, paths, and what is answered at once. */
#include "runtime/node/node_serve_int.h"

#include "core/base/metric.h"
#include "core/tls/tls.h"

#define TEXT "text/plain; charset=utf-8"

/* --- helpers of all handlers */

const char *node_serve_query(const struct node_serve_call *c, const char *name)
{
    struct slice rest = slice_of(c->req->query);
    const char *key, *value;

    while (http_query_next(&rest, c->a, &key, &value))
        if (str_eq(key, name))
            return value;
    return NULL;
}

bool node_serve_flag(const struct node_serve_call *c, const char *name)
{
    const char *v = node_serve_query(c, name);

    return v && (str_eq(v, "1") || str_eq(v, "true") || str_eq(v, "True") || str_eq(v, "TRUE") ||
                 str_eq(v, "t"));
}

void node_serve_refuse(const struct node_serve_call *c, int status, const char *text)
{
    struct http_answer a = { .status = status, .type = TEXT, .body = text, .len = strlen(text) };

    http_respond(c->req, &a);
}

void node_serve_refuse_err(const struct node_serve_call *c, const struct err *err)
{
    int status = err->code == ERR_NOT_FOUND ? 404 : err->code == ERR_INVALID ? 400
                 : err->code == ERR_UNAVAILABLE ? 503 : 500;

    node_serve_refuse(c, status, err->msg);
}

bool node_serve_stream_add(struct node_serve *s, struct node_serve_stream *st)
{
    st->s = s;
    if (s->n_streams >= NODE_SERVE_STREAMS_MAX)
        return false;
    s->n_streams++;
    list_push(&s->streams, &st->link);
    return true;
}

void node_serve_stream_del(struct node_serve_stream *st)
{
    if (!st->link.next || list_empty(&st->link))
        return;
    list_del(&st->link);
    st->s->n_streams--;
}

/* --- at once */

static void answer_buf(struct node_serve_call *c, const char *type, const struct buf *b)
{
    struct http_answer a = { .status = 200, .type = type, .body = b->p ? b->p : "", .len = b->len };

    http_respond(c->req, &a);
}

/* As the kubelet's: three checks, of which only the last can fail. */
static const char *const checks[] = { "ping", "log", "syncloop" };

static void healthz_one(struct node_serve_call *c, const char *name, bool healthy)
{
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        if (!str_eq(checks[i], name))
            continue;
        if (healthy || i + 1 < ARRAY_LEN(checks))
            node_serve_refuse(c, 200, "ok");
        else
            node_serve_refuse(c, 500, "internal server error: the node is not healthy");
        return;
    }
    node_serve_refuse(c, 404, "404 page not found");
}

static void healthz(struct node_serve_call *c)
{
    struct err err = ERR_INIT;
    bool healthy = !c->s->ops->healthy || c->s->ops->healthy(c->s->ctx, &err) == 0;
    _cleanup_buf_ struct buf b = BUF_INIT;

    if (c->n_parts > 1) {
        healthz_one(c, c->parts[1], healthy);
        return;
    }
    buf_str(&b, "[+]ping ok\n[+]log ok\n");
    buf_str(&b, healthy ? "[+]syncloop ok\nhealthz check passed\n"
                        : "[-]syncloop failed: reason withheld\nhealthz check failed\n");
    if (healthy && !node_serve_query(c, "verbose"))
        node_serve_refuse(c, 200, "ok");
    else
        node_serve_refuse(c, healthy ? 200 : 500, b.p);
}

static void list_pods(struct node_serve_call *c, bool running)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    c->s->ops->pods(c->s->ctx, &b, running);
    answer_buf(c, "application/json", &b);
}

static void pods(struct node_serve_call *c) { list_pods(c, false); }
static void running_pods(struct node_serve_call *c) { list_pods(c, true); }

static void summary(struct node_serve_call *c)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct err err = ERR_INIT;

    if (!c->s->ops->summary)
        node_serve_refuse(c, 404, "404 page not found");
    else if (c->s->ops->summary(c->s->ctx, &b, &err) < 0)
        node_serve_refuse_err(c, &err);
    else
        answer_buf(c, "application/json", &b);
}

static void metrics(struct node_serve_call *c)
{
    const char *page = c->n_parts > 1 ? c->parts[1] : "";
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct err err = ERR_INIT;

    if (!c->s->ops->metrics)
        node_serve_refuse(c, 404, "404 page not found");
    else if (c->s->ops->metrics(c->s->ctx, page, &b, &err) < 0)
        node_serve_refuse_err(c, &err);
    else
        answer_buf(c, METRIC_TYPE, &b);
}

/* --- paths */

enum may { FOR_ALL = 1, FOR_MONITORS = 2 };

static const struct route {
    const char *first, *second;          /* second NULL: the parts are the handler's */
    unsigned min, max;                   /* parts in all */
    unsigned may;                        /* who else but the API server and administrators */
    bool read_only;                      /* GET only */
    void (*handle)(struct node_serve_call *c);
} routes[] = {
    { "healthz", NULL, 1, 2, FOR_ALL, true, healthz },
    { "pods", NULL, 1, 1, 0, true, pods },
    { "runningpods", NULL, 1, 1, 0, true, running_pods },
    { "stats", "summary", 2, 2, FOR_MONITORS, true, summary },
    { "metrics", NULL, 1, 2, FOR_MONITORS, true, metrics },
    { "containerLogs", NULL, 4, 4, 0, true, node_serve_log },
    { "exec", NULL, 4, 5, 0, false, node_serve_exec },
    { "attach", NULL, 4, 5, 0, false, node_serve_attach },
    { "portForward", NULL, 3, 4, 0, false, node_serve_forward },
};
_Static_assert(ARRAY_LEN(routes) <= NODE_SERVE_ROUTES_MAX, "a counter for each route");

static bool trusted(const struct http_req *r, const struct route *route)
{
    unsigned may = route ? route->may : 0;
    const struct crypto_names *n;

    if (may & FOR_ALL)
        return true;
    if (!r->peer_cert || r->peer_cert_why)
        return false;
    n = crypto_cert_names(r->peer_cert);
    if (str_eq(n->cn, NODE_SERVE_PEER))
        return true;
    for (unsigned i = 0; i < n->n_orgs; i++)
        if (str_eq(n->orgs[i], "system:masters") ||
            (may & FOR_MONITORS && str_eq(n->orgs[i], "system:monitoring")))
            return true;
    return false;
}

void node_serve_metrics(const struct node_serve *s, struct buf *out)
{
    static const struct metric_family f = {
        "kubelet_http_requests_total", "Number of the http requests received since the server "
        "started", METRIC_COUNTER, NULL, 0, 0,
    };

    metric_write_head(out, &f);
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        _cleanup_buf_ struct buf labels = BUF_INIT;

        if (!s->asked[i])
            continue;
        metric_label(&labels, "path", routes[i].first);
        metric_label(&labels, "server_type", "readwrite");
        metric_write_u64(out, &f, labels.p, s->asked[i]);
    }
}

/* False: a part that cannot be decoded, or too many. */
static bool split_path(struct node_serve_call *c)
{
    struct slice rest = slice_of(c->req->path), part;

    while (slice_split(&rest, '/', &part)) {
        _cleanup_buf_ struct buf text = BUF_INIT;

        if (part.len == 0)
            continue;
        if (c->n_parts == NODE_SERVE_PARTS_MAX || http_unescape(&text, part, false, NULL) < 0)
            return false;
        c->parts[c->n_parts++] = arena_strdup(c->a, text.p);
    }
    return true;
}

static const struct route *find_route(const struct node_serve_call *c)
{
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        const struct route *r = &routes[i];

        if (c->n_parts >= r->min && c->n_parts <= r->max && str_eq(c->parts[0], r->first) &&
            (!r->second || str_eq(c->parts[1], r->second)))
            return r;
    }
    return NULL;
}

static void on_request(struct http_req *req, void *ctx)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct node_serve_call c = { .s = ctx, .req = req, .a = a };
    const struct route *r = split_path(&c) ? find_route(&c) : NULL;
    bool get = str_eq(req->method, "GET") || str_eq(req->method, "HEAD");

    if (r)
        c.s->asked[r - routes]++;
    if (!trusted(req, r))
        node_serve_refuse(&c, 401, req->peer_cert_why ?
                          "Unauthorized: the client's certificate is not trusted"
                                                      : "Unauthorized");
    else if (!r)
        node_serve_refuse(&c, 404, "404 page not found");
    else if (!get && (r->read_only || !str_eq(req->method, "POST")))
        node_serve_refuse(&c, 405, "405: Method Not Allowed");
    else
        r->handle(&c);
}

/* --- the doors */

static struct tls_ctx_opts tls_opts(const struct node_serve_opts *o)
{
    static const char *const alpn[] = { "http/1.1", NULL };

    return (struct tls_ctx_opts){ .server = true, .cert_pem = o->cert_pem, .key_pem = o->key_pem,
                                  .ca_pem = o->client_ca_pem, .alpn = alpn, .want_peer = true };
}

int node_serve_new(struct node_serve **out, struct loop *l, const struct node_serve_opts *o,
                   struct err *err)
{
    _cleanup_(node_serve_freep) struct node_serve *s = NEW(struct node_serve);
    struct http_server_opts http = { .on_request = on_request, .ctx = s, .no_http2 = true };
    struct tls_ctx_opts tls = tls_opts(o);

    *s = (struct node_serve){ .loop = l, .jobs = o->jobs, .ops = o->ops, .ctx = o->ctx };
    list_init(&s->streams);
    s->watch = node_watch_new(l);
    if (tls_ctx_new(&s->tls, &tls, err) < 0 || http_server_new(&s->http, l, &http, err) < 0 ||
        http_server_listen(s->http, o->address, o->port, s->tls, err) < 0)
        return err_wrap(err, "node's port");
    *out = TAKE(s);
    return 0;
}

struct node_serve *node_serve_free(struct node_serve *s)
{
    if (!s)
        return NULL;
    list_each(st, &s->streams, struct node_serve_stream, link)
        st->free(st);
    http_server_free(s->http);
    tls_ctx_unref(s->tls);
    node_watch_free(s->watch);
    return mem_free(s);
}

uint16_t node_serve_port(const struct node_serve *s)
{
    return http_server_port(s->http);
}

void node_serve_container_gone(struct node_serve *s, struct shim *shim, const char *container_id)
{
    list_each(st, &s->streams, struct node_serve_stream, link)
        if (st->shim == shim && (!container_id || str_eq(st->container_id, container_id)))
            st->on_gone(st, !container_id);
}

int node_serve_reload(struct node_serve *s, const struct node_serve_opts *o, struct err *err)
{
    struct tls_ctx_opts tls = tls_opts(o);

    return tls_ctx_reload(s->tls, &tls, err);
}
