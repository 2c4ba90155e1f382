/* api_proxy.c -- nodes/N/proxy, pods/P/proxy, services/S/proxy: where such a request goes, and what
 * of its headers goes along. As upstream's ResourceLocation of each and its proxy handler. */
#include "core/api/api_hop.h"

#include <arpa/inet.h>
#include <strings.h>

#define KUBELET_PORT 10250

/* --- names and addresses */

/* [scheme:]name[:port]; false: too many parts, or another scheme. */
static bool split_name(struct api_call *c, const char **scheme, const char **name,
                       const char **port)
{
    char *s = arena_strdup(c->a, c->route.name), *a = strchr(s, ':');
    char *b = a ? strchr(a + 1, ':') : NULL;

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
    return **name && !strchr(*port, ':') && (str_eq(*scheme, "http") || str_eq(*scheme, "https"));
}

/* An object may claim any address: none of them leads to this machine itself. */
static bool is_proxyable(const char *ip)
{
    struct in6_addr v6;
    struct in_addr v4;
    uint32_t a;

    if (inet_pton(AF_INET6, ip, &v6) == 1)
        return !IN6_IS_ADDR_LOOPBACK(&v6) && !IN6_IS_ADDR_UNSPECIFIED(&v6) &&
               !IN6_IS_ADDR_LINKLOCAL(&v6) && !IN6_IS_ADDR_MULTICAST(&v6) &&
               !IN6_IS_ADDR_V4MAPPED(&v6);
    if (inet_pton(AF_INET, ip, &v4) != 1)
        return false;
    a = ntohl(v4.s_addr);
    return a >> 24 != 127 && a >> 16 != 0xa9fe && a >> 28 != 0xe && a != 0 && a != 0xffffffff;
}

static const char *origin_of(struct api_call *c, const char *scheme, const char *ip,
                             const char *port)
{
    if (!*port)
        port = str_eq(scheme, "https") ? "443" : "80";
    return arena_printf(c->a, strchr(ip, ':') ? "%s://[%s]:%s" : "%s://%s:%s", scheme, ip, port);
}

static int not_allowed(struct api_call *c)
{
    return api_fail(c, status_bad_request(c->a, "address not allowed"));
}

static struct json *tree_of(struct api_call *c, const struct kind *k, const char *name)
{
    struct object *o = api_lookup(c->api, k, c->route.ns, name);
    struct json *tree;

    if (!o)
        return NULL;
    tree = object_tree(o, c->a);
    object_unref(o);
    return tree;
}

/* --- nodes */

static int node_address(struct api_call *c, const char *name, const char **ip, int64_t *port)
{
    struct json *tree = tree_of(c, kind_node(), name), *it;
    const char *found = NULL;

    if (!tree)
        return api_fail(c, status_not_found(c->a, kind_node(), name));
    json_each(it, json_path(tree, "status.addresses"))
        if (!found && str_eq(json_get_str(it, "type"), "InternalIP"))
            found = json_get_str(it, "address");
    if (!found)
        return api_fail(c, status_internal(c->a, arena_printf(
            c->a, "node %s has no InternalIP address", name)));
    if (!is_proxyable(found))
        return not_allowed(c);
    *ip = found;
    *port = json_get_int(json_path(tree, "status.daemonEndpoints.kubeletEndpoint"), "Port",
                         KUBELET_PORT);
    return 0;
}

int api_proxy_kubelet(struct api_call *c, const char *node, struct api_target *out)
{
    const char *ip;
    int64_t port;

    if (node_address(c, node, &ip, &port) < 0)
        return -1;
    out->kubelet = true;
    out->node = node;
    out->origin = origin_of(c, "https", ip, arena_printf(c->a, "%lld", (long long)port));
    return 0;
}

static int to_node(struct api_call *c, struct api_target *out)
{
    const char *scheme, *name, *port, *ip;
    int64_t own;

    if (!split_name(c, &scheme, &name, &port))
        return api_fail(c, status_bad_request(c->a, "invalid node request \"%s\"",
                                              c->route.name));
    if (node_address(c, name, &ip, &own) < 0)
        return -1;
    if (!*port || str_eq(port, arena_printf(c->a, "%lld", (long long)own)))
        return api_proxy_kubelet(c, name, out);
    out->node = name;
    out->origin = origin_of(c, scheme, ip, port);
    return 0;
}

/* --- pods */

/* The first port that a container names. */
static const char *first_port(struct api_call *c, const struct json *pod)
{
    struct json *it;

    json_each(it, json_path(pod, "spec.containers")) {
        const struct json *ports = json_get(it, "ports");

        if (json_len(ports))
            return arena_printf(c->a, "%lld", (long long)json_get_int(json_at(ports, 0),
                                                                      "containerPort", 0));
    }
    return "";
}

static int to_pod(struct api_call *c, struct api_target *out)
{
    const char *scheme, *name, *port, *ip, *node;
    struct json *pod;

    if (!split_name(c, &scheme, &name, &port))
        return api_fail(c, status_bad_request(c->a, "invalid pod request \"%s\"", c->route.name));
    pod = tree_of(c, kind_pod(), name);
    if (!pod)
        return api_fail(c, status_not_found(c->a, kind_pod(), name));
    ip = json_path_str(pod, "status.podIP");
    node = json_path_str(pod, "spec.nodeName");
    if (!ip || !is_proxyable(ip))
        return not_allowed(c);
    out->node = node ? node : "";
    out->origin = origin_of(c, scheme, ip, *port ? port : first_port(c, pod));
    return 0;
}

/* --- services */

/* The name of the Service's port that was asked for, by name or number. -1: it has no such. */
static int port_name(struct api_call *c, const struct json *service, const char *name,
                     const char **port)
{
    struct json *it;
    int64_t n;

    if (str_to_i64(*port, INT64_MIN, INT64_MAX, &n, NULL) < 0)
        return 0;
    json_each(it, json_path(service, "spec.ports"))
        if (json_get_int(it, "port", 0) == n) {
            *port = json_get_str(it, "name") ? json_get_str(it, "name") : "";
            return 0;
        }
    return api_fail(c, status_new(c->a, 503, "ServiceUnavailable",
                                  "no service port %lld found for service \"%s\"", (long long)n,
                                  name));
}

struct endpoints {
    struct api_call *c;
    const char *service, *port, *scheme;
    struct api_target *out;
    uint32_t seen;                           /* candidates so far: each is as likely */
};

static bool keep_slice(void *ctx, struct object *o)
{
    const struct endpoints *e = ctx;

    return str_eq(object_label(o, "kubernetes.io/service-name"), e->service);
}

/* An endpoint counts if it is a pod that really has this address. */
static const char *node_of(const struct endpoints *e, const struct json *endpoint, const char *ip)
{
    const struct json *ref = json_get(endpoint, "targetRef");
    struct json *pod;
    const char *node;

    if (!str_eq(json_get_str(ref, "kind"), "Pod") || !is_proxyable(ip))
        return NULL;
    pod = tree_of(e->c, kind_pod(), json_get_str(ref, "name") ? json_get_str(ref, "name") : "");
    if (!pod || !str_eq(json_path_str(pod, "status.podIP"), ip))
        return NULL;
    node = json_path_str(pod, "spec.nodeName");
    return node ? node : "";
}

static void consider(struct endpoints *e, const struct json *endpoint, int64_t port)
{
    const char *ip = json_text(json_at(json_get(endpoint, "addresses"), 0)), *node;
    uint32_t chance;

    if (!ip || !json_get_bool(json_get(endpoint, "conditions"), "ready", true))
        return;
    node = node_of(e, endpoint, ip);
    if (!node)
        return;
    env_random(e->c->api->env, &chance, sizeof(chance));
    if (chance % ++e->seen != 0)
        return;
    e->out->node = node;
    e->out->origin = origin_of(e->c, e->scheme, ip, arena_printf(e->c->a, "%lld",
                                                                 (long long)port));
}

static void consider_slice(struct endpoints *e, struct object *o)
{
    struct json *tree = object_tree(o, e->c->a), *it, *port;

    json_each(port, json_get(tree, "ports")) {
        const char *name = json_get_str(port, "name");

        if (!str_eq(name ? name : "", e->port))
            continue;
        json_each(it, json_get(tree, "endpoints"))
            consider(e, it, json_get_int(port, "port", 0));
    }
}

static int to_service(struct api_call *c, struct api_target *out)
{
    struct endpoints e = { .c = c, .out = out };
    struct watch_list_opts o = { .kind = kind_endpoint_slice()->storage, .ns = c->route.ns,
                                 .keep = keep_slice, .ctx = &e };
    struct watch_list list;
    struct err err = ERR_INIT;
    struct json *service;

    if (!split_name(c, &e.scheme, &e.service, &e.port))
        return api_fail(c, status_bad_request(c->a, "invalid service request \"%s\"",
                                              c->route.name));
    service = tree_of(c, kind_service(), e.service);
    if (!service)
        return api_fail(c, status_not_found(c->a, kind_service(), e.service));
    if (port_name(c, service, e.service, &e.port) < 0)
        return -1;
    if (watch_cache_list(&list, c->api->cache, &o, &err) < 0)
        return api_fail_err(c, &err);
    for (size_t i = 0; i < list.len; i++)
        consider_slice(&e, list.v[i]);
    watch_list_deinit(&list);
    if (!e.seen)
        return api_fail(c, status_new(c->a, 503, "ServiceUnavailable",
                                      "no endpoints available for service \"%s\"", e.service));
    return 0;
}

int api_proxy_target(struct api_call *c, const struct http_req *req, struct api_target *out)
{
    size_t tail = strlen(c->route.tail), path = strlen(c->path);
    int result = c->route.kind == kind_node() ? to_node(c, out)
               : c->route.kind == kind_pod() ? to_pod(c, out)
                                             : to_service(c, out);

    if (result < 0)
        return -1;
    check(tail <= path);
    out->prefix = arena_strndup(c->a, c->path, path - tail);
    out->path = arena_printf(c->a, "%s%s%s", tail ? c->route.tail : "/", *req->query ? "?" : "",
                             req->query);
    return 0;
}

/* --- headers */

static bool is_one_of(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (strcasecmp(name, *list) == 0)
            return true;
    return false;
}

/* Of one connection, not of the message; and what this side writes itself. */
static const char *const hop_by_hop[] = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
    "te", "trailer", "transfer-encoding", "upgrade", "content-length", NULL,
};
static const char *const not_asked[] = { "authorization", "content-type", "x-forwarded-for",
                                         "x-forwarded-uri", "x-forwarded-host",
                                         "x-forwarded-proto", NULL };
static const char *const not_answered[] = {
    "content-type", "date", "access-control-allow-credentials", "access-control-allow-headers",
    "access-control-allow-methods", "access-control-allow-origin", NULL,
};

unsigned api_proxy_ask_fields(struct api_call *c, const struct http_req *req, bool upgrade,
                              struct http_field *out)
{
    const char *before = http_req_field(req, "x-forwarded-for");
    bool has_host = false;
    unsigned n = 0;

    for (unsigned i = 0; i < req->n_fields; i++) {
        const struct http_field *f = &req->fields[i];
        bool switches = upgrade && (str_eq(f->name, "connection") || str_eq(f->name, "upgrade"));

        if ((is_one_of(f->name, hop_by_hop) && !switches) || is_one_of(f->name, not_asked) ||
            *f->name == ':')
            continue;
        has_host = has_host || str_eq(f->name, "host");
        out[n++] = *f;
    }
    if (!has_host && n < API_FIELDS_MAX - 3)
        out[n++] = (struct http_field){ "host", req->host };
    if (n > API_FIELDS_MAX - 3)
        return n;
    out[n++] = (struct http_field){ "x-forwarded-for", before
                                    ? arena_printf(c->a, "%s, %s", before, req->peer)
                                    : arena_strdup(c->a, req->peer) };
    out[n++] = (struct http_field){ "x-forwarded-host", req->host };
    out[n++] = (struct http_field){ "x-forwarded-proto", req->tls ? "https" : "http" };
    return n;
}

/* What follows "http://HOST" if that is this host; else NULL. */
static const char *after_host(const char *url, const char *host)
{
    const char *at = strstr(url, "://");
    size_t len = strlen(host);

    at = at ? at + 3 : url;
    return len && strncmp(at, host, len) == 0 && (!at[len] || at[len] == '/') ? at + len : NULL;
}

/* A redirect within the other side becomes one within the proxy. */
static const char *location(struct api_call *c, const struct api_target *t,
                            const struct http_req *req, const char *to)
{
    const char *path = to;

    if (str_starts(to, "http://") || str_starts(to, "https://")) {
        path = after_host(to, strstr(t->origin, "://") + 3);
        if (!path)
            path = after_host(to, req->host);
        if (!path)
            return to;
        if (!*path)
            path = "/";
    }
    if (*path != '/' || path[1] == '/')      /* relative, or another host */
        return to;
    return str_starts(path, t->prefix) ? path : arena_printf(c->a, "%s%s", t->prefix, path);
}

unsigned api_proxy_answer_fields(struct api_call *c, const struct api_target *t,
                                 const struct http_req *req, const struct http_call *up,
                                 struct http_field *out)
{
    const struct http_field *all;
    unsigned have = http_call_answer_fields(up, &all), n = 0;

    for (unsigned i = 0; i < have && n < API_FIELDS_MAX; i++) {
        const char *value = all[i].value;

        if (is_one_of(all[i].name, hop_by_hop) || is_one_of(all[i].name, not_answered))
            continue;
        if (t->prefix && str_eq(all[i].name, "location"))
            value = location(c, t, req, value);
        out[n++] = (struct http_field){ all[i].name, value };
    }
    return n;
}
