#include "core/http/http_conn.h"

#include <sys/socket.h>

#include "core/http/resolve.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define PREFACE_BYTES (sizeof(PREFACE) - 1)

struct peer_count { unsigned n; };

static void conn_on_time(struct loop_timer *t)
{
    struct http_conn *c = container_of(t, struct http_conn, timer);

    switch (c->state) {
    case CONN_HTTP1:
        http1_timeout(c);
        break;
    case CONN_HTTP2:
        http2_timeout(c);
        break;
    default:
        http_conn_free(c);
    }
}

void http_conn_set_timer(struct http_conn *c, int64_t ms)
{
    loop_timer_set(c->server->loop, &c->timer, ms, conn_on_time);
}

static bool conn_count(struct http_conn *c)
{
    struct http_server *s = c->server;
    struct peer_count *p = map_get(s->peers, c->peer);

    if (s->stats.conns >= s->o.conns_max || (p && p->n >= s->o.conns_peer_max))
        return false;
    if (!p) {
        p = NEW(struct peer_count);
        map_put(s->peers, c->peer, p);
    }
    p->n++;
    s->stats.conns++;
    s->stats.conns_total++;
    c->counted = true;
    return true;
}

static void conn_uncount(struct http_conn *c)
{
    struct peer_count *p = c->counted ? map_get(c->server->peers, c->peer) : NULL;

    if (!p)
        return;
    c->server->stats.conns--;
    if (--p->n == 0)
        mem_free(map_del(c->server->peers, c->peer));
}

void http_conn_free(struct http_conn *c)
{
    struct http_server *s = c->server;
    struct http_exchange *x = TAKE(c->now);

    c->state = CONN_GONE;
    loop_timer_del(&c->timer);
    list_del(&c->link);
    http_io_deinit(&c->io);
    if (c->h2)
        http2_free(c);
    if (x) {
        x->conn = NULL;
        http_exchange_gone(x);
    }
    conn_uncount(c);
    http_parse_deinit(&c->parse);
    buf_deinit(&c->in);
    mem_free(c);
    http_server_conn_gone(s);
}

void http_conn_free_soon(struct http_conn *c)
{
    c->state = CONN_GONE;
    if (c->io.loop)
        http_io_read_on(&c->io, false);
    http_conn_set_timer(c, 0);
}

void http_conn_stop(struct http_conn *c)
{
    switch (c->state) {
    case CONN_HTTP1:
        http1_stop(c);
        break;
    case CONN_HTTP2:
        http2_stop(c);
        break;
    case CONN_HANDSHAKE:
    case CONN_PREFACE:
        http_conn_free(c);
        break;
    default:
        break;
    }
}

static void conn_http2(struct http_conn *c, const char *p, size_t len)
{
    c->state = CONN_HTTP2;
    if (http2_begin(c, p, len) < 0)
        http_conn_free(c);
}

/* The first bytes of a plain connection tell which protocol it speaks. */
static void conn_preface(struct http_conn *c)
{
    char data[PREFACE_BYTES];
    ssize_t n = http_io_read(&c->io, data, PREFACE_BYTES - c->in.len);

    if (n == TLS_AGAIN)
        return;
    if (n == 0) {
        http_conn_free(c);
        return;
    }
    buf_add(&c->in, data, (size_t)n);
    if (!c->server->o.no_http2 && memcmp(c->in.p, PREFACE, c->in.len) == 0) {
        if (c->in.len == PREFACE_BYTES) {
            _cleanup_buf_ struct buf in = c->in;

            c->in = BUF_INIT;
            conn_http2(c, in.p, in.len);
        }
        return;
    }
    c->state = CONN_HTTP1;
    http_conn_set_timer(c, c->server->o.head_ms);
    http1_readable(c);
}

static void conn_on_open(struct http_io *io)
{
    struct http_conn *c = container_of(io, struct http_conn, io);

    http_conn_set_timer(c, c->server->o.idle_ms);
    c->state = CONN_HTTP1;
    if (strcmp(tls_alpn(io->tls), "h2") == 0)
        conn_http2(c, NULL, 0);
}

static void conn_on_readable(struct http_io *io)
{
    struct http_conn *c = container_of(io, struct http_conn, io);

    switch (c->state) {
    case CONN_PREFACE:
        conn_preface(c);
        break;
    case CONN_HTTP2:
        http2_readable(c);
        break;
    case CONN_HTTP1:
    case CONN_LINGER:
        http1_readable(c);
        break;
    default:
        break;
    }
}

static void conn_on_written(struct http_io *io)
{
    struct http_conn *c = container_of(io, struct http_conn, io);

    if (c->state == CONN_HTTP2)
        http2_written(c);
    else
        http1_written(c);
}

static void conn_on_broken(struct http_io *io, const struct err *why)
{
    (void)why;
    http_conn_free(container_of(io, struct http_conn, io));
}

static const struct http_io_ops conn_ops = {
    .on_open = conn_on_open,
    .on_readable = conn_on_readable,
    .on_written = conn_on_written,
    .on_broken = conn_on_broken,
};

static void conn_name_peer(struct http_conn *c, int fd)
{
    struct sockaddr_storage sa = { 0 };
    socklen_t len = sizeof(sa);

    if (getpeername(fd, (struct sockaddr *)&sa, &len) < 0 ||
        (sa.ss_family != AF_INET && sa.ss_family != AF_INET6))
        return;
    resolve_text((struct sockaddr *)&sa, c->peer, sizeof(c->peer), &c->port);
}

int http_conn_new(struct http_server *s, int fd, struct tls_ctx *tls, struct err *err)
{
    struct http_conn *c = NEW(struct http_conn);

    c->server = s;
    list_init(&c->link);
    http_parse_init(&c->parse, false, HTTP_HEAD_MAX, s->o.body_max);
    conn_name_peer(c, fd);
    if (http_io_init(&c->io, s->loop, fd, &conn_ops, err) < 0) {
        mem_free(c);
        return -1;
    }
    if (!conn_count(c)) {
        http_io_deinit(&c->io);
        mem_free(c);
        return err_set(err, ERR_QUOTA, "too many connections");
    }
    list_push(&s->conns, &c->link);
    c->state = tls ? CONN_HANDSHAKE : CONN_PREFACE;
    http_conn_set_timer(c, tls ? s->o.handshake_ms : s->o.idle_ms);
    if (tls && http_io_start_tls(&c->io, tls, NULL, err) < 0) {
        http_conn_free(c);
        return -1;
    }
    return 0;
}
