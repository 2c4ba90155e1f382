/* tunnel_server.c -- who has a tunnel, and sockets through it. */
#include "core/base/log.h"
#include "core/base/map.h"
#include "net/tunnel/tunnel_mux.h"

struct tunnel_server {
    struct loop *loop;
    struct map *nodes;                   /* name -> struct node */
};

struct node {
    struct tunnel_server *s;
    struct tunnel_mux *mux;
    char name[];
};

struct tunnel_server *tunnel_server_new(struct loop *l)
{
    struct tunnel_server *s = NEW(struct tunnel_server);

    s->loop = l;
    s->nodes = map_new();
    return s;
}

static void node_free(void *p)
{
    struct node *n = p;

    tunnel_mux_end(n->mux, "the server ends");
    mem_free(n);
}

struct tunnel_server *tunnel_server_free(struct tunnel_server *s)
{
    if (!s)
        return NULL;
    map_free(s->nodes, node_free);
    return mem_free(s);
}

static void on_close(void *ctx, const struct err *why)
{
    struct node *n = ctx;

    map_del(n->s->nodes, n->name);
    log_info("tunnel ended", "node=%s streams=%u why=\"%s\"", n->name, tunnel_mux_streams(n->mux),
             why ? why->msg : "the agent closed it");
    if (why)
        tunnel_mux_end(n->mux, why->msg);
    else
        tunnel_mux_free(n->mux);
    mem_free(n);
}

static void refuse(struct http_req *req, int status, const char *text)
{
    http_respond(req, &(struct http_answer){ .status = status, .type = "text/plain; charset=utf-8",
                                             .body = text, .len = strlen(text) });
}

static void keep(struct tunnel_server *s, const char *name, struct http_raw *raw)
{
    size_t len = strlen(name) + 1;
    struct node *n = mem_alloc(sizeof(*n) + len), *before = map_del(s->nodes, name);
    struct tunnel_mux_opts o = { .loop = s->loop, .on_close = on_close, .ctx = n };

    if (before) {
        tunnel_mux_end(before->mux, "the node has a newer connection");
        mem_free(before);
    }
    n->s = s;
    memcpy(n->name, name, len);
    n->mux = tunnel_mux_new(raw, &o);
    map_put(s->nodes, name, n);
    log_info("tunnel", "node=%s again=%d", name, before != NULL);
}

void tunnel_server_accept(struct tunnel_server *s, const char *node, struct http_req *req)
{
    const char *upgrade = http_req_field(req, "upgrade");
    struct http_raw *raw;

    if (!str_eq(upgrade, TUNNEL_PROTOCOL)) {
        refuse(req, 426, "this path takes an upgrade to " TUNNEL_PROTOCOL "\n");
        return;
    }
    if (map_len(s->nodes) >= TUNNEL_NODES_MAX && !map_get(s->nodes, node)) {
        refuse(req, 503, "too many tunnels\n");
        return;
    }
    raw = http_upgrade(req, TUNNEL_PROTOCOL, NULL, 0, &(struct http_raw_ops){ 0 });
    if (raw)
        keep(s, node, raw);
    else
        refuse(req, 400, "an upgrade needs HTTP/1.1\n");
}

bool tunnel_server_has(const struct tunnel_server *s, const char *node)
{
    return map_get(s->nodes, node) != NULL;
}

unsigned tunnel_server_nodes(const struct tunnel_server *s)
{
    return (unsigned)map_len(s->nodes);
}

int tunnel_server_dial(struct tunnel_server *s, const char *node, const char *host, uint16_t port,
                       struct err *err)
{
    struct node *n = map_get(s->nodes, node);
    int fd;

    if (!n)
        return HTTP_DIAL_DIRECT;
    fd = tunnel_mux_open(n->mux, host, port, err);
    return fd < 0 ? err_wrap(err, "tunnel to node %s", node) : fd;
}
