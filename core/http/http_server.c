#include "core/http/http_conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/http/resolve.h"

#define SERVER_BACKLOG 1024
#define SERVER_ACCEPTS 64                    /* in one round of the loop */
#define SERVER_PAUSE_MS 100                  /* without descriptors accepting rests so long */

struct listener {
    struct list link;
    struct http_server *server;
    struct loop_io io;
    struct loop_timer pause;
    struct tls_ctx *tls;
    int fd;
};

static void server_default(struct http_server_opts *o)
{
    if (!o->body_max)
        o->body_max = HTTP_BODY_MAX;
    if (!o->bodies_max)
        o->bodies_max = HTTP_BODIES_MAX;
    if (!o->conns_max)
        o->conns_max = HTTP_CONNS_MAX;
    if (!o->conns_peer_max)
        o->conns_peer_max = HTTP_CONNS_PEER_MAX;
    if (!o->streams_max)
        o->streams_max = HTTP_STREAMS_MAX;
    if (!o->idle_ms)
        o->idle_ms = HTTP_IDLE_MS;
    if (!o->head_ms)
        o->head_ms = HTTP_HEAD_MS;
    if (!o->body_ms)
        o->body_ms = HTTP_BODY_MS;
    if (!o->handshake_ms)
        o->handshake_ms = HTTP_HANDSHAKE_MS;
    if (!o->stall_ms)
        o->stall_ms = HTTP_STALL_MS;
}

int http_server_new(struct http_server **out, struct loop *l, const struct http_server_opts *opts,
                    struct err *err)
{
    struct http_server *s;

    if (!opts->on_request)
        return err_set(err, ERR_INVALID, "a server needs someone to answer");
    s = NEW(struct http_server);
    s->loop = l;
    s->o = *opts;
    server_default(&s->o);
    list_init(&s->listeners);
    list_init(&s->conns);
    list_init(&s->exchanges);
    s->peers = map_new();
    s->date_s = -1;
    *out = s;
    return 0;
}

static void listener_free(struct listener *ln)
{
    list_del(&ln->link);
    loop_timer_del(&ln->pause);
    loop_io_del(&ln->io);
    fd_close(ln->fd);
    tls_ctx_unref(ln->tls);
    mem_free(ln);
}

static void server_close_listeners(struct http_server *s)
{
    list_each(ln, &s->listeners, struct listener, link)
        listener_free(ln);
}

static void server_close_conns(struct http_server *s)
{
    struct http_conn *c;

    while ((c = list_first(&s->conns, struct http_conn, link)))
        http_conn_free(c);
}

struct http_server *http_server_free(struct http_server *s)
{
    if (!s)
        return NULL;
    s->on_stopped = NULL;
    server_close_listeners(s);
    server_close_conns(s);
    list_each(x, &s->exchanges, struct http_exchange, link) {     /* the handlers' to end */
        list_del(&x->link);
        x->server = NULL;
    }
    loop_timer_del(&s->stop_timer);
    map_free(s->peers, NULL);                /* empty: each connection took its count back */
    return mem_free(s);
}

static void server_on_pause(struct loop_timer *t)
{
    loop_io_set(&container_of(t, struct listener, pause)->io, LOOP_READ);
}

static void server_on_accept(struct loop_io *io, unsigned events)
{
    struct listener *ln = container_of(io, struct listener, io);
    struct http_server *s = ln->server;
    int one = 1;

    (void)events;
    for (int i = 0; i < SERVER_ACCEPTS; i++) {
        int fd = accept4(ln->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                log_warn("no descriptor for a connection", "conns=%u", s->stats.conns);
                loop_io_set(&ln->io, 0);
                loop_timer_set(s->loop, &ln->pause, SERVER_PAUSE_MS, server_on_pause);
            }
            return;                          /* EAGAIN, or a connection that is gone already */
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
        http_conn_new(s, fd, ln->tls, NULL);
    }
}

int http_server_listen_fd(struct http_server *s, int fd, struct tls_ctx *tls, struct err *err)
{
    struct listener *ln = NEW(struct listener);

    ln->server = s;
    ln->fd = fd;
    list_init(&ln->link);
    if (fd_set_nonblock(fd, err) < 0 ||
        loop_io_add(s->loop, &ln->io, fd, LOOP_READ, server_on_accept, err) < 0) {
        listener_free(ln);
        return -1;
    }
    ln->tls = tls ? tls_ctx_ref(tls) : NULL;
    list_push(&s->listeners, &ln->link);
    return 0;
}

int http_server_listen(struct http_server *s, const char *address, uint16_t port,
                       struct tls_ctx *tls, struct err *err)
{
    struct resolve_address a;
    _cleanup_fd_ int fd = -1;
    int one = 1, zero = 0;

    if (!resolve_numeric(&a, *address ? address : "::"))
        return err_set(err, ERR_INVALID, "listen on \"%s\": no numeric address", address);
    resolve_set_port(&a, port);
    fd = socket(a.sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 && !*address) {               /* a kernel without IPv6 */
        resolve_numeric(&a, "0.0.0.0");
        resolve_set_port(&a, port);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    if (fd < 0)
        return err_sys(err, "listen on %s", address);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (a.sa.ss_family == AF_INET6 && !*address)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
    if (bind(fd, (struct sockaddr *)&a.sa, a.len) < 0 || listen(fd, SERVER_BACKLOG) < 0)
        return err_sys(err, "listen on %s port %u", *address ? address : "*", port);
    return http_server_listen_fd(s, TAKE_FD(fd), tls, err);
}

uint16_t http_server_port(const struct http_server *s)
{
    const struct listener *ln = list_first(&s->listeners, struct listener, link);
    struct sockaddr_storage sa = { 0 };
    socklen_t len = sizeof(sa);
    char text[HTTP_ADDRESS_BYTES];
    uint16_t port = 0;

    if (ln && getsockname(ln->fd, (struct sockaddr *)&sa, &len) == 0)
        resolve_text((struct sockaddr *)&sa, text, sizeof(text), &port);
    return port;
}

int http_server_adopt(struct http_server *s, int fd, struct tls_ctx *tls, struct err *err)
{
    return http_conn_new(s, fd, tls, err);
}

struct http_server_stats http_server_stats(const struct http_server *s)
{
    return s->stats;
}

static void server_on_deadline(struct loop_timer *t)
{
    struct http_server *s = container_of(t, struct http_server, stop_timer);
    void (*on_stopped)(void *) = s->on_stopped;

    server_close_conns(s);
    s->on_stopped = NULL;
    loop_timer_del(&s->stop_timer);
    if (on_stopped)
        on_stopped(s->stopped_ctx);
}

void http_server_conn_gone(struct http_server *s)
{
    if (s->stopping && s->on_stopped && list_empty(&s->conns))
        loop_timer_set(s->loop, &s->stop_timer, 0, server_on_deadline);
}

void http_server_stop(struct http_server *s, int64_t deadline_ms, void (*on_stopped)(void *ctx),
                      void *ctx)
{
    s->stopping = true;
    s->on_stopped = on_stopped;
    s->stopped_ctx = ctx;
    server_close_listeners(s);
    loop_timer_set(s->loop, &s->stop_timer, deadline_ms, server_on_deadline);
    list_each(c, &s->conns, struct http_conn, link)
        http_conn_stop(c);
    http_server_conn_gone(s);
}

const char *http_server_date(struct http_server *s)
{
    static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    time_t now = (time_t)env_wall_s(loop_env(s->loop));
    struct tm tm;

    if (now == s->date_s)
        return s->date;
    s->date_s = now;
    gmtime_r(&now, &tm);
    snprintf(s->date, sizeof(s->date), "%s, %02u %s %04u %02u:%02u:%02u GMT", days[tm.tm_wday],
             (unsigned)tm.tm_mday % 100, months[tm.tm_mon], (unsigned)(tm.tm_year + 1900) % 10000,
             (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
    return s->date;
}
