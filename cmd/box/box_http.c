/* box_http.c -- a web server to point Services, probes and routes at.
 *
 *   /          the host name, or --text        /healthz   ok
 *   /env       the environment                 /status/N  status N
 *   /echo      the request as it came          /delay/T   answers after T ("200", "2s")
 *
 * One process, one poll loop; a connection is a buffer and two times.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmd/box/box.h"
#include "cmd/box/box_run.h"
#include "core/base/cleanup.h"
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/base/str.h"

#define CONNS_MAX 512
#define REQUEST_BYTES_MAX (1u << 20)
#define IDLE_MS 75000

struct conn {
    int fd;
    struct buf in, out;
    int64_t answer_at, idle_at;          /* when to send `out`; when to give up */
    bool closing;
};

struct server {
    int listener;
    const char *text;
    long long delay_ms;
    struct conn v[CONNS_MAX];
    size_t n;
};

struct http_request {
    char method[16], path[1024];
    bool http10, keep, expects;
    size_t head, body;
};

static void conn_close(struct conn *c)
{
    c->fd = fd_close(c->fd);
    buf_deinit(&c->in);
    buf_deinit(&c->out);
}

/* --- requests */

static const char *header_of(const char *head, const char *end, const char *name)
{
    size_t len = strlen(name);

    for (const char *line = head;
         (line = memchr(line, '\n', (size_t)(end - line))) && ++line < end;)
        if ((size_t)(end - line) > len && strncasecmp(line, name, len) == 0 && line[len] == ':')
            return line + len + 1 + strspn(line + len + 1, " \t");
    return NULL;
}

/* 1 whole, 0 more must come, -1 it is none. */
static int request_parse(struct http_request *r, const struct buf *in)
{
    const char *end = in->len ? memmem(in->p, in->len, "\r\n\r\n", 4) : NULL, *value;
    char version[16];

    if (!end)
        return in->len > 65536 ? -1 : 0;
    *r = (struct http_request){ .head = (size_t)(end - in->p) + 4 };
    if (sscanf(in->p, "%15[A-Z] %1023[^ \r\n] %15[^ \r\n]", r->method, r->path, version) != 3 ||
        strncmp(version, "HTTP/1.", 7) != 0)
        return -1;
    r->http10 = version[7] == '0';
    value = header_of(in->p, end, "content-length");
    r->body = value ? strtoul(value, NULL, 10) : 0;
    if (header_of(in->p, end, "transfer-encoding") || r->body > REQUEST_BYTES_MAX)
        return -1;
    value = header_of(in->p, end, "connection");
    r->keep = value ? strncasecmp(value, r->http10 ? "keep-alive" : "close", 5) == 0 ? r->http10
                                                                                     : !r->http10
                    : !r->http10;
    r->expects = header_of(in->p, end, "expect") != NULL;
    return in->len >= r->head + r->body ? 1 : 0;
}

static bool path_is(const char *path, const char *want)
{
    size_t len = strlen(want);

    return strncmp(path, want, len) == 0 && (!path[len] || path[len] == '?');
}

static const char *status_text(int status)
{
    static const struct { int status; const char *text; } all[] = {
        { 200, "OK" },
        { 201, "Created" },
        { 204, "No Content" },
        { 301, "Moved Permanently" },
        { 302, "Found" },
        { 400, "Bad Request" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 429, "Too Many Requests" },
        { 500, "Internal Server Error" },
        { 503, "Service Unavailable" },
    };

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i].status == status)
            return all[i].text;
    return "Status";
}

/* Fills body; returns the status. */
static int answer_body(struct server *s, struct conn *c, const struct http_request *r,
                       struct buf *body)
{
    char name[HOST_NAME_MAX + 1] = "";
    int status = 200;

    if (path_is(r->path, "/healthz") || path_is(r->path, "/readyz") || path_is(r->path, "/livez")) {
        buf_str(body, "ok\n");
    } else if (path_is(r->path, "/env")) {
        for (char **e = environ; e && *e; e++)
            buf_fmt(body, "%s\n", *e);
    } else if (path_is(r->path, "/echo")) {
        buf_add(body, c->in.p, r->head + r->body);
    } else if (str_starts(r->path, "/status/")) {
        status = (int)strtol(r->path + 8, NULL, 10);
        status = status >= 200 && status <= 599 ? status : 400;
        buf_fmt(body, "%d\n", status);
    } else if (path_is(r->path, "/") || str_starts(r->path, "/delay/") ||
               path_is(r->path, "/hostname")) {
        gethostname(name, sizeof(name));
        buf_fmt(body, "%s\n", s->text ? s->text : name);
    } else {
        status = 404;
        buf_fmt(body, "nothing at %s\n", r->path);
    }
    return status;
}

static void answer(struct server *s, struct conn *c, const struct http_request *r)
{
    _cleanup_buf_ struct buf body = BUF_INIT;
    int status = answer_body(s, c, r, &body);
    long long delay = s->delay_ms;

    if (str_starts(r->path, "/delay/"))
        delay = box_duration_ms(r->path + 7, 1);
    buf_fmt(&c->out, "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
            "Connection: %s\r\n\r\n", status, status_text(status), status == 204 ? 0 : body.len,
            r->keep ? "keep-alive" : "close");
    if (strcmp(r->method, "HEAD") != 0 && status != 204)
        buf_add(&c->out, body.p, body.len);
    c->answer_at = box_now_ms() + (delay > 0 ? delay : 0);
    c->closing = c->closing || !r->keep;
    buf_eat(&c->in, r->head + r->body);
}

/* Answers what is complete, one at a time. */
static void conn_think(struct server *s, struct conn *c)
{
    static const char bad[] =
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct http_request r;
    int known;

    if (c->out.len > 0 || c->closing)
        return;
    known = request_parse(&r, &c->in);
    if (known > 0) {
        answer(s, c, &r);
    } else if (known < 0) {
        buf_str(&c->out, bad);
        c->closing = true;
    } else if (c->in.len && memmem(c->in.p, c->in.len, "\r\n\r\n", 4) && r.expects &&
               c->in.len == r.head) {
        buf_str(&c->out, go_on);
    }
}

/* --- connections */

static void conn_read(struct server *s, struct conn *c)
{
    char chunk[16384];
    ssize_t n = read(c->fd, chunk, sizeof(chunk));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || c->in.len + (size_t)n > 2 * REQUEST_BYTES_MAX) {
        conn_close(c);
        return;
    }
    buf_add(&c->in, chunk, (size_t)n);
    c->idle_at = box_now_ms() + IDLE_MS;
    conn_think(s, c);
}

static void conn_write(struct server *s, struct conn *c)
{
    ssize_t n = send(c->fd, c->out.p, c->out.len, MSG_NOSIGNAL);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        conn_close(c);
        return;
    }
    buf_eat(&c->out, (size_t)n);
    if (c->out.len > 0)
        return;
    c->answer_at = 0;
    if (c->closing)
        conn_close(c);
    else
        conn_think(s, c);
}

static void server_accept(struct server *s)
{
    int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), on = 1;

    if (fd < 0)
        return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    s->v[s->n++] = (struct conn){ .fd = fd, .idle_at = box_now_ms() + IDLE_MS };
}

static int server_poll(struct server *s, struct pollfd *p)
{
    int64_t now = box_now_ms();
    int64_t wait = -1;

    for (size_t i = 0; i < s->n; i++) {
        struct conn *c = &s->v[i];
        bool due = c->out.len > 0 && now >= c->answer_at;
        int64_t until = c->out.len > 0 && !due ? c->answer_at : c->idle_at;

        p[i] =
            (struct pollfd){ .fd = c->fd,
                             .events = (short)((c->out.len ? 0 : POLLIN) | (due ? POLLOUT : 0)) };
        until = until > now ? until - now : 0;
        wait = wait < 0 || until < wait ? until : wait;
    }
    p[s->n] = (struct pollfd){ .fd = s->n < CONNS_MAX ? s->listener : -1, .events = POLLIN };
    return poll(p, s->n + 1, wait > INT_MAX ? INT_MAX : (int)wait);
}

static void server_round(struct server *s)
{
    struct pollfd p[CONNS_MAX + 1];
    size_t n = s->n, kept = 0;

    if (server_poll(s, p) < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        struct conn *c = &s->v[i];

        if (p[i].revents & (POLLIN | POLLHUP | POLLERR))
            conn_read(s, c);
        else if (p[i].revents & POLLOUT)
            conn_write(s, c);
        else if (c->out.len == 0 && box_now_ms() >= c->idle_at)
            conn_close(c);
    }
    if (p[n].revents)
        server_accept(s);
    for (size_t i = 0; i < s->n; i++)
        if (s->v[i].fd >= 0)
            s->v[kept++] = s->v[i];
    s->n = kept;
}

/* IPv6 with IPv4 in it, or IPv4 alone where there is no IPv6. */
static int server_listen(int port)
{
    struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
    struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, off = 0;

    if (fd >= 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
        if (bind(fd, (struct sockaddr *)&six, sizeof(six)) == 0 && listen(fd, 511) == 0)
            return fd;
        close(fd);
    }
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&four, sizeof(four)) == 0 && listen(fd, 511) == 0)
        return fd;
    return fd_close(fd);
}

int box_http(int argc, char **argv)
{
    static const char *const longs[] = { "port:", "delay:", "text:", NULL };
    struct box_opts o = { .argc = argc, .argv = argv, .letters = "p:d:t:", .longs = longs };
    struct server *s = NEW(struct server);
    int64_t port = 80;
    int c;

    while ((c = box_opt(&o)) != -1) {
        bool bad = c == '?';

        if (c == 'p' || c == 256)
            bad = str_to_i64(o.value, 0, 65535, &port, NULL) < 0;
        else if (c == 'd' || c == 257)
            bad = (s->delay_ms = box_duration_ms(o.value, 1)) < 0;
        else if (c == 't' || c == 258)
            s->text = o.value;
        if (bad)
            return box_usage(argv, "bad option or value");
    }
    box_die_on_signals();
    signal(SIGPIPE, SIG_IGN);
    s->listener = server_listen((int)port);
    if (s->listener < 0)
        return box_fail(argv, "listen on port %lld", (long long)port);
    for (;;)
        server_round(s);
}
