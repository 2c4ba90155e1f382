/* api_connect.c: subresources that are streams (logs, exec, attach, port-forward, proxy): the
 * request goes on to the node, as upstream's API server hands it to the kubelet, and bytes flow
 * both ways.
 *
 *   request --> pick node and path --> http_client_call --on_head/on_data/on_end--> streamed answer
 *                                                       --on_upgrade--> two raw streams, spliced
 */
#include "core/api/api_hop.h"

#include <stdio.h>

#define SPLICE_BYTES (1u << 20)              /* queued on one side before the other is paused */
#define REFUSAL_BYTES 10240                  /* of a node's answer, as upstream */
#define PROXY_MS 600000                      /* until a proxied answer begins */

/* --- one connection */

struct relay {
    struct api_call *call;
    struct http_req *req;                    /* until it is answered or upgraded */
    struct api_target to;
    struct api_hop *hop;
    struct http_call *up;                    /* towards the node */
    struct http_raw *client, *node;          /* once upgraded */
    bool begun;
    int refused;                             /* status of a node that did not give the log */
    struct buf why;                          /* its body */
};

static void refuse(struct relay *r, struct status *s)
{
    struct api_call *c = r->call;

    c->status = s;
    api_encode(c);
    api_http_answer(c, r->req);
    api_hop_drop(r->hop);
    buf_deinit(&r->why);
    mem_free(r);
}

static void relay_free(struct relay *r)
{
    if (r->up)
        http_call_cancel(r->up);
    http_raw_free(r->client);
    http_raw_free(r->node);
    api_hop_drop(r->hop);
    api_call_free(r->call);
    buf_deinit(&r->why);
    mem_free(r);
}

/* --- raw bytes both ways */

static void from_client(struct http_raw *w, const char *p, size_t len, void *ctx)
{
    struct relay *r = ctx;

    if (http_raw_write(r->node, p, len) > SPLICE_BYTES)
        http_raw_pause(w, true);
}

static void from_node(struct http_raw *w, const char *p, size_t len, void *ctx)
{
    struct relay *r = ctx;

    if (http_raw_write(r->client, p, len) > SPLICE_BYTES)
        http_raw_pause(w, true);
}

static void client_drained(struct http_raw *w, void *ctx)
{
    (void)w;
    http_raw_pause(((struct relay *)ctx)->node, false);
}

static void node_drained(struct http_raw *w, void *ctx)
{
    (void)w;
    http_raw_pause(((struct relay *)ctx)->client, false);
}

static void client_closed(struct http_raw *w, const struct err *why, void *ctx)
{
    struct relay *r = ctx;

    (void)w;
    (void)why;
    http_raw_end(r->node);
    r->node = NULL;
    relay_free(r);
}

static void node_closed(struct http_raw *w, const struct err *why, void *ctx)
{
    struct relay *r = ctx;

    (void)w;
    (void)why;
    http_raw_end(r->client);
    r->client = NULL;
    relay_free(r);
}

static void on_upgrade(struct http_call *up, struct http_raw *raw, void *ctx)
{
    struct relay *r = ctx;
    struct http_raw_ops client_ops = { from_client, client_drained, client_closed, r };
    struct http_raw_ops node_ops = { from_node, node_drained, node_closed, r };
    struct http_field fields[API_FIELDS_MAX];
    const char *protocol = http_call_field(up, "upgrade");
    unsigned n = api_proxy_answer_fields(r->call, &r->to, r->req, up, fields);

    protocol = arena_strdup(r->call->a, protocol ? protocol : "SPDY/3.1");
    r->up = NULL;
    r->node = raw;
    r->client = http_upgrade(r->req, protocol, fields, n, &client_ops);
    if (!r->client) {
        http_abort(r->req);
        relay_free(r);
        return;
    }
    r->req = NULL;
    http_raw_set(raw, &node_ops);
}

/* --- plain answers, streamed */

static void on_drain(struct http_req *req)
{
    struct relay *r = req->user;

    if (r->up)
        http_call_pause(r->up, false);
}

static void on_gone(struct http_req *req)
{
    struct relay *r = req->user;

    if (r->begun)
        http_stream_end(req);
    else
        http_abort(req);
    relay_free(r);
}

static void on_head(struct http_call *up, void *ctx)
{
    struct relay *r = ctx;
    const char *type = http_call_field(up, "content-type");
    struct http_field fields[API_FIELDS_MAX];
    struct http_answer a = { .status = http_call_status(up), .type = type, .fields = fields };

    if (a.status >= 300 && str_eq(r->call->route.sub->name, "log")) {
        r->refused = a.status;
        return;
    }
    if (r->to.prefix)
        a.n_fields = api_proxy_answer_fields(r->call, &r->to, r->req, up, fields);
    r->begun = true;
    r->req->on_drain = on_drain;
    http_stream_begin(r->req, &a);
}

static void on_data(struct http_call *up, const char *p, size_t len, void *ctx)
{
    struct relay *r = ctx;

    if (r->refused)
        buf_add(&r->why, p, r->why.len + len <= REFUSAL_BYTES ? len : 0);
    else if (http_stream_write(r->req, p, len) > SPLICE_BYTES)
        http_call_pause(up, true);
}

/* A node's plain text as a Status, as upstream's server puts it. */
static struct status *refusal(struct relay *r)
{
    struct api_call *c = r->call;
    const char *text;

    while (r->why.len && r->why.p[r->why.len - 1] == '\n')
        r->why.p[--r->why.len] = '\0';
    text = arena_strdup(c->a, r->why.p ? r->why.p : "");
    if (r->refused == 400)
        return status_bad_request(c->a, "%s", text);
    if (r->refused == 404)
        return status_new(c->a, 404, "NotFound",
                          "the server could not find the requested resource (%s "
                          "pods/log %s)", c->method, c->route.name);
    return r->refused == 500 ? status_internal(c->a, text)
                             : status_new(c->a, r->refused, "", "%s", text);
}

static struct status *out_of_reach(struct relay *r, const char *why)
{
    struct arena *a = r->call->a;

    return r->to.prefix ? status_new(a, 503, "ServiceUnavailable",
                                     "error trying to reach service: %s", why)
                        : status_new(a, 502, "BadGateway", "error dialing the node: %s", why);
}

static void on_end(struct http_call *up, const struct err *why, void *ctx)
{
    struct relay *r = ctx;

    (void)up;
    r->up = NULL;
    if (r->refused && !why) {
        refuse(r, refusal(r));
        return;
    }
    if (!r->begun) {
        refuse(r, out_of_reach(r, why ? why->msg : "it closed the connection"));
        return;
    }
    if (why)
        http_abort(r->req);
    else
        http_stream_end(r->req);
    relay_free(r);
}

/* Of a stream of a pod: what kubelet and client agree by. */
static unsigned stream_fields(const struct http_req *req, struct http_field *out)
{
    static const char *const passed[] = { "connection", "upgrade", "sec-websocket-key",
                                          "sec-websocket-version", "sec-websocket-protocol",
                                          "x-stream-protocol-version", "accept" };
    unsigned n = 0;

    for (unsigned i = 0; i < req->n_fields; i++)
        for (size_t k = 0; k < ARRAY_LEN(passed); k++)
            if (str_eq(req->fields[i].name, passed[k]))
                out[n++] = req->fields[i];
    return n;
}

static void start(struct relay *r)
{
    struct api_call *c = r->call;
    struct http_field fields[API_FIELDS_MAX];
    struct err err = ERR_INIT;
    struct http_call_opts o = {
        .method = c->method, .url = r->to.path, .fields = fields, .body = c->body,
        .type = c->content_type, .upgrade = http_req_field(r->req, "upgrade") != NULL,
        .timeout_ms = r->to.prefix ? PROXY_MS : 0,
        .on_head = on_head, .on_data = on_data, .on_upgrade = on_upgrade, .on_end = on_end,
        .ctx = r,
    };

    if (o.upgrade && r->req->version == HTTP_2) {
        refuse(r, status_bad_request(c->a, "upgrade needs HTTP/1.1"));
        return;
    }
    o.n_fields = r->to.prefix ? api_proxy_ask_fields(c, r->req, o.upgrade, fields)
                              : stream_fields(r->req, fields);
    r->req->user = r;
    r->req->on_gone = on_gone;
    if (api_hop_take(&r->hop, c->api->hops, &r->to, &err) < 0 ||
        http_client_call(&r->up, api_hop_client(r->hop), &o, &err) < 0)
        refuse(r, out_of_reach(r, err.msg));
}

/* --- where to */

static bool names_container(const struct json *spec, const char *list, const char *name)
{
    struct json *all = json_get(spec, list), *it;

    json_each(it, all)
        if (str_eq(json_get_str(it, "name"), name))
            return true;
    return false;
}

/* The container asked for, or the only one. NULL: answered. */
static const char *container_of_pod(struct api_call *c, const struct json *pod)
{
    const struct json *spec = json_get(pod, "spec");
    const char *name = api_query_get(&c->query, "container");
    struct json *list = json_get(spec, "containers"), *it;
    _cleanup_buf_ struct buf all = BUF_INIT;

    if (str_empty(name)) {
        if (json_len(list) == 1)
            return json_get_str(json_at(list, 0), "name");
        json_each(it, list)
            buf_fmt(&all, "%s%s", it_i ? " " : "", json_get_str(it, "name"));
        api_fail(c, status_bad_request(c->a,
                                       "a container name must be specified for pod %s, choose one "
                                       "of: "
                                       "[%s]", c->route.name, all.p));
        return NULL;
    }
    if (names_container(spec, "containers", name) || names_container(spec, "initContainers",
                                                                     name) ||
        names_container(spec, "ephemeralContainers", name))
        return name;
    api_fail(c, status_bad_request(c->a, "container %s is not valid for pod %s", name,
                                   c->route.name));
    return NULL;
}

static void add_param(struct buf *b, const char *key, const char *val)
{
    buf_chr(b, b->len && strchr(b->p, '?') ? '&' : '?');
    http_escape(b, slice_of(key));
    buf_chr(b, '=');
    http_escape(b, slice_of(val));
}

/* kubelet's spelling of the stream options. */
static bool stream_params(struct api_call *c, struct buf *b)
{
    static const struct { const char *ours, *theirs; } flags[] = {
        { "stdin", "input" }, { "stdout", "output" }, { "stderr", "error" }, { "tty", "tty" },
    };
    bool any = false;

    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        const char *v = api_query_get(&c->query, flags[i].ours);

        if (!v || str_eq(v, "false") || str_eq(v, "0"))
            continue;
        add_param(b, flags[i].theirs, "1");
        any = any || i < 3;
    }
    for (unsigned i = 0; i < c->query.len; i++)
        if (str_eq(c->query.v[i].key, "command"))
            add_param(b, "command", c->query.v[i].val);
    return any;
}

static bool is_io(const char *sub) { return str_eq(sub, "exec") || str_eq(sub, "attach"); }

/* Path and query at the node; NULL: answered. */
static const char *pod_target(struct api_call *c, const struct json *pod)
{
    const char *sub = c->route.sub->name, *container = NULL;
    _cleanup_buf_ struct buf b = BUF_INIT;

    if (!str_eq(sub, "portforward")) {
        container = container_of_pod(c, pod);
        if (!container)
            return NULL;
    }
    if (str_eq(sub, "log")) {
        buf_fmt(&b, "/containerLogs/%s/%s/%s", c->route.ns, c->route.name, container);
        for (unsigned i = 0; i < c->query.len; i++)
            if (!str_eq(c->query.v[i].key, "container"))
                add_param(&b, c->query.v[i].key, c->query.v[i].val);
    } else if (is_io(sub)) {
        buf_fmt(&b, "/%s/%s/%s/%s", sub, c->route.ns, c->route.name, container);
        if (!stream_params(c, &b)) {
            api_fail(c, status_bad_request(c->a,
                                           "you must specify at least 1 of stdin, stdout, stderr"));
            return NULL;
        }
    } else {
        buf_fmt(&b, "/portForward/%s/%s", c->route.ns, c->route.name);
        for (unsigned i = 0; i < c->query.len; i++)
            if (str_eq(c->query.v[i].key, "ports"))
                add_param(&b, "port", c->query.v[i].val);
    }
    return arena_strdup(c->a, b.p);
}

/* A number of the log's options; false: it is not there. */
static bool log_number(struct api_call *c, const char *key, int64_t *out)
{
    const char *v = api_query_get(&c->query, key);

    return !str_empty(v) && str_to_i64(v, INT64_MIN, INT64_MAX, out, NULL) == 0;
}

static int check_log_options(struct api_call *c)
{
    struct causes causes = { .a = c->a };
    bool since_time = !str_empty(api_query_get(&c->query, "sinceTime"));
    int64_t n;

    if (log_number(c, "tailLines", &n) && n < 0)
        causes_add(&causes, CAUSE_INVALID, "tailLines", json_int(c->a, n),
                   "must be greater than or equal to 0");
    if (log_number(c, "limitBytes", &n) && n < 1)
        causes_add(&causes, CAUSE_INVALID, "limitBytes", json_int(c->a, n),
                   "must be greater than 0");
    if (log_number(c, "sinceSeconds", &n) && since_time)
        causes_add(&causes, CAUSE_FORBIDDEN, "[]", NULL,
                   "at most one of `sinceTime` or `sinceSeconds` may be specified");
    else if (log_number(c, "sinceSeconds", &n) && n < 1)
        causes_add(&causes, CAUSE_INVALID, "sinceSeconds", json_int(c->a, n),
                   "must be greater than 0");
    if (!str_empty(api_query_get(&c->query, "stream")))
        causes_add(&causes, CAUSE_FORBIDDEN, "stream", NULL, "may not be specified");
    if (!causes.len)
        return 0;
    return api_fail(c, status_invalid_gk(c->a, "", "PodLogOptions", c->route.name, &causes));
}

static void to_pod(struct relay *r)
{
    struct api_call *c = r->call;
    struct object *o;
    const char *node;
    bool log = str_eq(c->route.sub->name, "log");
    struct json *pod;

    if (log && check_log_options(c) < 0) {
        refuse(r, c->status);
        return;
    }
    o = api_lookup(c->api, kind_pod(), c->route.ns, c->route.name);
    if (!o) {
        refuse(r, status_not_found(c->a, kind_pod(), c->route.name));
        return;
    }
    pod = object_tree(o, c->a);
    object_unref(o);
    node = json_path_str(pod, "spec.nodeName");
    r->to.path = pod_target(c, pod);
    if (r->to.path && str_empty(node)) {
        if (log) {
            struct http_answer a = { .status = 204 };

            http_respond(r->req, &a);
            relay_free(r);
            return;
        }
        api_fail(c, status_bad_request(c->a, "pod %s does not have a host assigned",
                                       c->route.name));
    }
    if (c->status || api_proxy_kubelet(c, node, &r->to) < 0)
        refuse(r, c->status);
    else
        start(r);
}

/* A page's links are relative to what looks like a folder. */
static void to_folder(struct relay *r)
{
    struct api_call *c = r->call;
    const char *query = r->req->query;
    struct http_field at = { "Location", arena_printf(c->a, "%s/%s%s", c->path, *query ? "?" : "",
                                                      query) };

    http_respond(r->req, &(struct http_answer){ .status = 301, .fields = &at, .n_fields = 1 });
    relay_free(r);
}

static void to_proxied(struct relay *r)
{
    struct api_call *c = r->call;
    bool reads = str_eq(c->method, "GET") || str_eq(c->method, "HEAD");

    if (api_proxy_target(c, r->req, &r->to) < 0)
        refuse(r, c->status);
    else if (!*c->route.tail && reads && !http_req_field(r->req, "upgrade"))
        to_folder(r);
    else
        start(r);
}

void api_connect_start(struct api_call *c, struct http_req *req)
{
    struct relay *r = NEW(struct relay);

    r->call = c;
    r->req = req;
    r->to.node = "";
    if (str_eq(c->route.sub->name, "proxy"))
        to_proxied(r);
    else
        to_pod(r);
}
