/* api_connect.c: subresources that are streams (logs, exec, attach, port-forward, proxy): the
 * request goes on to the node, as upstream's API server hands it to the kubelet, and bytes flow
 * both ways.
 *
 *   request --> pick node and path --> http_client_call --on_head/on_data/on_end--> streamed answer
 *                                                       --on_upgrade--> two raw streams, spliced
 */
#include "core/api/api_call.h"

#include "core/base/map.h"

#include <stdio.h>

#define NODE_PORT 10250
/* more than the streams of a node: it says when it is full */
#define NODE_CONNS_MAX 320
#define SPLICE_BYTES (1u << 20)              /* queued on one side before the other is paused */
#define REFUSAL_BYTES 10240                  /* of a node's answer, as upstream */

struct api_node_link {
    struct loop *loop;
    char *ca, *cert, *key;
    struct map *clients;                     /* "https://host:port" -> struct http_client */
};

int api_node_link_new(struct api_node_link **out, const struct api_opts *opts, struct err *err)
{
    struct api_node_link *l = NEW(struct api_node_link);

    (void)err;
    l->loop = opts->loop;
    l->ca = mem_strdup(opts->node_ca_pem);
    l->cert = mem_strdup(opts->node_cert_pem);
    l->key = mem_strdup(opts->node_key_pem);
    l->clients = map_new();
    *out = l;
    return 0;
}

static void free_client(void *c)
{
    http_client_free(c);
}

struct api_node_link *api_node_link_free(struct api_node_link *l)
{
    if (!l)
        return NULL;
    map_free(l->clients, free_client);
    mem_free(l->ca);
    mem_free(l->cert);
    mem_free(l->key);
    return mem_free(l);
}

static struct http_client *client_for(struct api_node_link *l, const char *origin, struct err *err)
{
    struct http_client *c = map_get(l->clients, origin);
    struct http_client_opts o = { .base_url = origin, .ca_pem = slice_of(l->ca),
                                  .cert_pem = slice_of(l->cert), .key_pem = slice_of(l->key),
                                  .conns_max = NODE_CONNS_MAX, .user_agent = "inro-apiserver" };

    if (c)
        return c;
    if (http_client_new(&c, l->loop, &o, err) < 0)
        return NULL;
    map_put(l->clients, origin, c);
    return c;
}

/* --- one connection */

struct relay {
    struct api_call *call;
    struct http_req *req;                    /* until it is answered or upgraded */
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
    buf_deinit(&r->why);
    mem_free(r);
}

static void relay_free(struct relay *r)
{
    if (r->up)
        http_call_cancel(r->up);
    http_raw_free(r->client);
    http_raw_free(r->node);
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
    static const char *const passed[] = { "sec-websocket-accept", "sec-websocket-protocol",
                                          "x-stream-protocol-version" };
    struct relay *r = ctx;
    struct http_raw_ops client_ops = { from_client, client_drained, client_closed, r };
    struct http_raw_ops node_ops = { from_node, node_drained, node_closed, r };
    struct http_field fields[ARRAY_LEN(passed)];
    const char *protocol = http_call_field(up, "upgrade");
    unsigned n = 0;

    for (size_t i = 0; i < ARRAY_LEN(passed); i++) {
        const char *value = http_call_field(up, passed[i]);

        if (value)
            fields[n++] = (struct http_field){ passed[i], arena_strdup(r->call->a, value) };
    }
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
    struct http_answer a = { .status = http_call_status(up), .type = type };

    if (a.status >= 300 && str_eq(r->call->route.sub->name, "log")) {
        r->refused = a.status;
        return;
    }
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
        refuse(r, status_new(r->call->a, 502, "BadGateway", "error dialing the node: %s",
                             why ? why->msg : "it closed the connection"));
        return;
    }
    if (why)
        http_abort(r->req);
    else
        http_stream_end(r->req);
    relay_free(r);
}

static void start(struct relay *r, const char *origin, const char *target)
{
    static const char *const passed[] = { "connection", "upgrade", "sec-websocket-key",
                                          "sec-websocket-version",
                                          "sec-websocket-protocol", "x-stream-protocol-version",
                                          "accept" };
    struct api_call *c = r->call;
    struct http_field fields[ARRAY_LEN(passed) + 8];
    struct err err = ERR_INIT;
    struct http_client *client = client_for(c->api->nodes, origin, &err);
    struct http_call_opts o = {
        .method = c->method, .url = target, .fields = fields, .body = c->body,
        .type = c->content_type, .upgrade = http_req_field(r->req, "upgrade") != NULL,
        .on_head = on_head, .on_data = on_data, .on_upgrade = on_upgrade, .on_end = on_end,
        .ctx = r,
    };

    for (size_t i = 0; i < ARRAY_LEN(passed); i++)
        if (http_req_field(r->req, passed[i]))
            fields[o.n_fields++] = (struct http_field){ passed[i],
                                                        http_req_field(r->req, passed[i]) };
    for (unsigned i = 0; i < r->req->n_fields && o.n_fields < ARRAY_LEN(fields); i++)
        if (str_eq(r->req->fields[i].name, "x-stream-protocol-version") &&
            r->req->fields[i].value != http_req_field(r->req, "x-stream-protocol-version"))
            fields[o.n_fields++] = r->req->fields[i];
    if (o.upgrade && r->req->version == HTTP_2) {
        refuse(r, status_bad_request(c->a, "upgrade needs HTTP/1.1"));
        return;
    }
    r->req->user = r;
    r->req->on_gone = on_gone;
    if (!client || http_client_call(&r->up, client, &o, &err) < 0)
        refuse(r, status_new(c->a, 502, "BadGateway", "error dialing the node: %s", err.msg));
}

/* --- where to */

static const char *node_origin(struct api_call *c, const char *name)
{
    struct object *node = api_lookup(c->api, kind_node(), "", name);
    struct json *tree, *list, *it;
    const char *address = NULL;
    int64_t port;

    if (!node) {
        api_fail(c, status_not_found(c->a, kind_node(), name));
        return NULL;
    }
    tree = object_tree(node, c->a);
    object_unref(node);
    list = json_path(tree, "status.addresses");
    json_each(it, list)
        if (!address && str_eq(json_get_str(it, "type"), "InternalIP"))
            address = json_get_str(it, "address");
    if (!address) {
        api_fail(c, status_internal(c->a, arena_printf(c->a, "node %s has no InternalIP address",
                                                       name)));
        return NULL;
    }
    port = json_get_int(json_path(tree, "status.daemonEndpoints.kubeletEndpoint"), "Port",
                        NODE_PORT);
    return arena_printf(c->a, strchr(address, ':') ? "https://[%s]:%lld" : "https://%s:%lld",
                        address,
                        (long long)port);
}

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
    const char *node, *origin = NULL, *target;
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
    target = pod_target(c, pod);
    if (target && str_empty(node)) {
        if (log) {
            struct http_answer a = { .status = 204 };

            http_respond(r->req, &a);
            relay_free(r);
            return;
        }
        api_fail(c, status_bad_request(c->a, "pod %s does not have a host assigned",
                                       c->route.name));
    }
    if (!c->status)
        origin = node_origin(c, node);
    if (c->status)
        refuse(r, c->status);
    else
        start(r, origin, target);
}

/* nodes/NAME/proxy: the node's own port. */
static void to_node(struct relay *r)
{
    struct api_call *c = r->call;
    char *name = arena_strdup(c->a, c->route.name);
    const char *origin, *query = r->req->query;

    name[strcspn(name, ":")] = '\0';
    origin = node_origin(c, name);
    if (!origin)
        refuse(r, c->status);
    else
        start(r, origin, arena_printf(c->a, "%s%s%s", *c->route.tail ? c->route.tail : "/",
                                      *query ? "?" : "", query));
}

/* [scheme:]name[:port] of a proxied pod or service. */
static void split_name(struct api_call *c, const char **scheme, const char **name,
                       const char **port)
{
    char *s = arena_strdup(c->a, c->route.name), *a = strchr(s, ':'), *b = a ? strchr(a + 1, ':') :
        NULL;

    *scheme = "http";
    *name = s;
    *port = "";
    if (a)
        *a = '\0';
    if (b) {
        *b = '\0';
        *scheme = *s ? s : "http";
        *name = a + 1;
        *port = b + 1;
    } else if (a) {
        *port = a + 1;
    }
}

static struct json *lookup_tree(struct api_call *c, const struct kind *k, const char *name)
{
    struct object *o = api_lookup(c->api, k, c->route.ns, name);
    struct json *tree;

    if (!o) {
        api_fail(c, status_not_found(c->a, k, name));
        return NULL;
    }
    tree = object_tree(o, c->a);
    object_unref(o);
    return tree;
}

static const char *port_by_name(struct api_call *c, const struct json *list, const char *port)
{
    struct json *it;

    json_each(it, list) {
        int64_t n = json_get_int(it, "containerPort", json_get_int(it, "port", 0));

        if (!*port || str_eq(json_get_str(it, "name"), port) ||
            str_eq(arena_printf(c->a, "%lld", (long long)n), port))
            return arena_printf(c->a, "%lld", (long long)n);
    }
    return port;
}

static void to_address(struct relay *r)
{
    struct api_call *c = r->call;
    bool pod = c->route.kind == kind_pod();
    const char *scheme, *name, *port, *ip;
    struct json *tree;

    split_name(c, &scheme, &name, &port);
    tree = lookup_tree(c, c->route.kind, name);
    if (!tree) {
        refuse(r, c->status);
        return;
    }
    ip = json_path_str(tree, pod ? "status.podIP" : "spec.clusterIP");
    port = port_by_name(c, pod ? json_get(json_at(json_path(tree, "spec.containers"), 0), "ports")
                               : json_path(tree, "spec.ports"), port);
    if (pod && str_empty(ip))
        refuse(r, status_bad_request(c->a, "address not allowed"));
    else if (str_empty(ip) || str_eq(ip, "None"))
        refuse(r, status_new(c->a, 503, "ServiceUnavailable",
                             "no endpoints available for service \"%s\"",
                             name));
    else
        start(r, arena_printf(c->a, "%s://%s:%s", scheme, ip, *port ? port : "80"),
              arena_printf(c->a, "%s%s%s", *c->route.tail ? c->route.tail : "/", *r->req->query ?
                           "?" : "",
                           r->req->query));
}

void api_connect_start(struct api_call *c, struct http_req *req)
{
    struct relay *r = NEW(struct relay);

    r->call = c;
    r->req = req;
    if (!str_eq(c->route.sub->name, "proxy"))
        to_pod(r);
    else if (c->route.kind == kind_node())
        to_node(r);
    else
        to_address(r);
}
