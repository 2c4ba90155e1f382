#include "core/http/http_client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/fd.h"

static const struct http_io_ops link_io_ops;
static void link_connect(struct http_link *k);

void http_link_free(struct http_link *k)
{
    struct http_origin *o = k->origin;

    loop_timer_del(&k->timer);
    loop_io_del(&k->connecting);
    k->fd = fd_close(k->fd);
    resolve_free(k->resolve);
    if (k->share)
        http_share_free(k);
    if (k->has_io)
        http_io_deinit(&k->io);
    http_parse_deinit(&k->parse);
    list_del(&k->all);
    list_del(&k->idle);
    o->n_conns--;
    mem_free(k);
}

bool http_link_takes(const struct http_link *k)
{
    return k->share && http_share_takes(k);
}

bool http_link_opens(const struct http_link *k)
{
    return k->state < LINK_BUSY;
}

/* Moves the calls that hear of it to `out`: its own, and those that waited to see it open. */
static void link_calls(struct http_link *k, struct list *out)
{
    struct http_origin *o = k->origin;
    struct http_call *c = TAKE(k->call);

    if (c)
        list_push(out, &c->waiting);
    while (k->share && (c = http_share_pop(k)))
        list_push(out, &c->waiting);
    while (http_link_opens(k) && o->http2 && !o->plain &&
           (c = list_first(&o->waiting, struct http_call, waiting))) {
        list_del(&c->waiting);
        list_push(out, &c->waiting);
    }
}

void http_link_break(struct http_link *k, const struct err *why)
{
    struct http_origin *o = k->origin;
    struct err copy = *why;
    struct http_call *c;
    struct list calls;

    list_init(&calls);
    link_calls(k, &calls);
    http_link_free(k);
    list_each(one, &calls, struct http_call, waiting)
        one->conn = NULL;
    while ((c = list_first(&calls, struct http_call, waiting))) {
        list_del(&c->waiting);
        http_call_failed(c, &copy);
    }
    http_origin_next(o);
}

void http_link_on_time(struct loop_timer *t)
{
    struct http_link *k = container_of(t, struct http_link, timer);
    struct err err = ERR_INIT;

    if (k->state == LINK_IDLE || k->state == LINK_SHARED) {
        http_link_free(k);
        return;
    }
    if (!k->err.code)
        err_set(&k->err, ERR_TIMEOUT, "connect to %s port %u: timed out", k->origin->url.host,
                k->origin->url.port);
    err = k->err;
    http_link_break(k, &err);
}

/* Fails from the loop, not from inside the call that began it. */
static void link_fail_soon(struct http_link *k)
{
    loop_timer_set(k->origin->client->loop, &k->timer, 0, http_link_on_time);
}

static void link_on_body_head(struct http_parse *p)
{
    struct http_link *k = container_of(p, struct http_link, parse);

    struct http_head head = { .status = p->ll.status_code, .text = { p->text.p, p->text.len },
                              .at = p->at.v, .n_fields = http_parse_fields(p) };

    if (head.status >= 200 && k->call)
        http_call_on_head(k->call, &head);
}

static int link_on_body(struct http_parse *p, const char *data, size_t len)
{
    struct http_link *k = container_of(p, struct http_link, parse);

    return http_call_on_body(k->call, data, len);
}

static void link_share(struct http_link *k)
{
    struct http_call *c = TAKE(k->call);

    k->state = LINK_SHARED;
    loop_timer_del(&k->timer);
    k->origin->plain = false;
    if (http_share_new(k) < 0) {
        struct err err = ERR_INIT;

        k->call = c;
        err_set(&err, ERR_FAILED, "%s: HTTP/2 cannot begin", k->origin->url.host);
        http_link_break(k, &err);
        return;
    }
    http_link_send(k, c);
    http_origin_next(k->origin);
}

static void link_ready(struct http_link *k)
{
    struct http_call *c = k->call;

    if (k->io.tls && strcmp(tls_alpn(k->io.tls), "h2") == 0) {
        link_share(k);
        return;
    }
    k->origin->plain = true;
    k->state = LINK_BUSY;
    loop_timer_del(&k->timer);
    http_parse_init(&k->parse, true, HTTP_HEAD_MAX, SIZE_MAX);
    k->parse.on_head = link_on_body_head;
    k->parse.on_body = link_on_body;
    http_link_send(k, c);
    if (k->origin->http2)
        http_origin_next(k->origin);         /* the others need connections of their own */
}

void http_link_send(struct http_link *k, struct http_call *c)
{
    c->conn = k;
    c->state = CALL_SENT;
    c->reused = k->used;
    if (k->share) {
        http_share_send(k, c);
        return;
    }
    k->call = c;
    list_del(&k->idle);
    loop_timer_del(&k->timer);
    k->state = LINK_BUSY;
    http_parse_next(&k->parse);
    k->parse.head_only = strcmp(c->method, "HEAD") == 0;
    http_call_write(c, &k->io.out);
    http_io_read_on(&k->io, !c->paused);
    http_io_flush_soon(&k->io);
}

void http_link_read_on(struct http_link *k, bool on)
{
    if (k->has_io && k->state == LINK_BUSY)
        http_io_read_on(&k->io, on);
}

/* A host that went without a word is noticed by a waiting watch within two minutes. */
static void link_keepalive(int fd)
{
    int one = 1, idle = 60, interval = 15, count = 4;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

static void link_connected(struct http_link *k, int fd)
{
    struct http_client *client = k->origin->client;
    const char *name = client->o.server_name ? client->o.server_name : k->origin->url.host;
    struct tls_ctx *tls;
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    link_keepalive(fd);
    k->has_io = true;
    if (http_io_init(&k->io, client->loop, fd, &link_io_ops, &k->err) < 0) {
        link_fail_soon(k);
        return;
    }
    if (!k->origin->url.tls) {
        link_ready(k);
        return;
    }
    k->state = LINK_HANDSHAKE;
    if (http_client_tls(client, k->origin->http2, &tls, &k->err) < 0 ||
        http_io_start_tls(&k->io, tls, name, &k->err) < 0)
        link_fail_soon(k);
}

static void link_on_connect(struct loop_io *io, unsigned events)
{
    struct http_link *k = container_of(io, struct http_link, connecting);
    int rc = 0;
    socklen_t len = sizeof(rc);

    (void)events;
    loop_io_del(io);
    if (getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &rc, &len) < 0)
        rc = errno;
    if (rc == 0) {
        link_connected(k, TAKE_FD(k->fd));
        return;
    }
    errno = rc;
    err_sys(&k->err, "connect to %s port %u", k->origin->url.host, k->origin->url.port);
    k->fd = fd_close(k->fd);
    k->address++;
    link_connect(k);
}

/* Tries the addresses in order. */
static void link_connect(struct http_link *k)
{
    struct http_origin *o = k->origin;

    k->state = LINK_CONNECT;
    for (; k->address < k->n_addresses; k->address++) {
        struct resolve_address *a = &k->addresses[k->address];

        resolve_set_port(a, o->url.port);
        k->fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (k->fd >= 0 &&
            (connect(k->fd, (struct sockaddr *)&a->sa, a->len) == 0 || errno == EINPROGRESS)) {
            err_clear(&k->err);
            if (loop_io_add(o->client->loop, &k->connecting, k->fd, LOOP_WRITE, link_on_connect,
                            &k->err) == 0)
                return;
        } else {
            err_sys(&k->err, "connect to %s port %u", o->url.host, o->url.port);
        }
        k->fd = fd_close(k->fd);
    }
    link_fail_soon(k);
}

static void link_on_resolved(const struct resolve_address *a, unsigned n, const struct err *why,
                             void *ctx)
{
    struct http_link *k = ctx;

    k->resolve = NULL;
    if (why) {
        struct err copy = *why;

        http_link_break(k, &copy);
        return;
    }
    memcpy(k->addresses, a, n * sizeof(*a));
    k->n_addresses = n;
    link_connect(k);
}

int http_link_new(struct http_origin *o, struct http_call *c, struct err *err)
{
    struct http_link *k = NEW(struct http_link);
    struct http_client_opts *co = &o->client->o;
    struct resolve_opts ro = { .host = o->url.host, .on_done = link_on_resolved, .ctx = k };
    int fd = HTTP_DIAL_DIRECT;

    k->origin = o;
    k->fd = -1;
    k->call = c;
    c->conn = k;
    list_init(&k->idle);
    list_push(&o->conns, &k->all);
    o->n_conns++;
    http_parse_init(&k->parse, true, HTTP_HEAD_MAX, SIZE_MAX);
    loop_timer_set(o->client->loop, &k->timer, co->connect_ms, http_link_on_time);
    if (co->dial)
        fd = co->dial(co->dial_ctx, o->url.host, o->url.port, err);
    if (fd >= 0) {
        link_connected(k, fd);
        return 0;
    }
    if (fd == HTTP_DIAL_DIRECT && resolve_new(&k->resolve, o->client->loop, &ro, err) == 0)
        return 0;
    c->conn = NULL;
    http_link_free(k);
    return -1;
}

/* --- the socket --- */

static void link_on_open(struct http_io *io)
{
    link_ready(container_of(io, struct http_link, io));
}

/* The answer is complete: the connection is kept when both sides like that and nothing is left
 * over. */
static void link_done(struct http_link *k, bool more)
{
    struct http_origin *o = k->origin;
    struct http_call *c = TAKE(k->call);
    bool keep = k->parse.keep_alive && !more && !k->io.eof && !k->io.why && !k->io.out.bytes;

    c->conn = NULL;
    if (keep) {
        k->used = true;
        k->state = LINK_IDLE;
        http_parse_next(&k->parse);
        http_io_read_on(&k->io, true);
        list_push(&o->idle, &k->idle);
        loop_timer_set(o->client->loop, &k->timer, o->client->o.idle_ms, http_link_on_time);
    } else {
        http_link_free(k);
    }
    http_origin_next(o);
    http_call_on_done(c, NULL);
}

static void link_bad(struct http_link *k, const struct err *why)
{
    struct err copy = *why;

    http_link_break(k, &copy);
}

/* Takes bytes of the answer. False: the connection went away or to another owner. */
static bool link_feed(struct http_link *k, const char *p, size_t len)
{
    struct err err = ERR_INIT;

    while (len) {
        struct http_call *c = k->call;
        ssize_t n;

        if (!c) {                            /* unasked bytes on an idle connection */
            http_link_free(k);
            return false;
        }
        c->busy = true;
        n = http_parse_feed(&k->parse, p, len, &err);
        c->busy = false;
        if (c->cancelled) {
            http_call_free(c);
            return false;
        }
        if (n < 0) {
            link_bad(k, c->err.code ? &c->err : &err);
            return false;
        }
        p += n;
        len -= (size_t)n;
        if (!k->parse.done)
            continue;
        if (k->parse.ll.status_code == 101) {
            http_call_on_upgrade(c, k, p, len);
            return false;
        }
        if (k->parse.ll.status_code < 200) {
            http_parse_next(&k->parse);
            k->parse.head_only = strcmp(c->method, "HEAD") == 0;
            continue;
        }
        link_done(k, len > 0);
        return false;
    }
    return true;
}

static void link_eof(struct http_link *k)
{
    struct http_call *c = k->call;
    struct err err = ERR_INIT;
    int rc;

    if (!c) {
        http_link_free(k);
        return;
    }
    c->busy = true;
    rc = http_parse_eof(&k->parse, &err);
    c->busy = false;
    if (c->cancelled)
        http_call_free(c);
    else if (rc < 0)
        link_bad(k, &err);
    else
        link_done(k, false);
}

static void link_on_readable(struct http_io *io)
{
    struct http_link *k = container_of(io, struct http_link, io);
    char data[HTTP_IO_READ];

    if (k->share) {
        http_share_readable(k);
        return;
    }
    if (k->state != LINK_BUSY && k->state != LINK_IDLE)
        return;
    for (int i = 0; i < HTTP_IO_ROUNDS && io->reading; i++) {
        ssize_t n = http_io_read(io, data, sizeof(data));

        if (n == TLS_AGAIN)
            return;
        if (n == 0) {
            link_eof(k);
            return;
        }
        if (!link_feed(k, data, (size_t)n))
            return;
    }
    if (io->tls && tls_pending(io->tls))
        http_io_kick(io);
}

static void link_on_written(struct http_io *io)
{
    struct http_link *k = container_of(io, struct http_link, io);

    if (k->share)
        http_share_written(k);
}

static void link_on_broken(struct http_io *io, const struct err *why)
{
    struct http_link *k = container_of(io, struct http_link, io);

    if (k->state == LINK_IDLE)
        http_link_free(k);
    else
        link_bad(k, why);
}

static const struct http_io_ops link_io_ops = {
    .on_open = link_on_open,
    .on_readable = link_on_readable,
    .on_written = link_on_written,
    .on_broken = link_on_broken,
};
