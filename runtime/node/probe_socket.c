/* probe_socket.c -- tcpSocket: does it connect; grpc: one grpc.health.v1.Health/Check over HTTP/2.
 *
 *   RESOLVE --> CONNECT --> (tcp: success)
 *                       --> CALL: preface, request; frames until the answer's message or its end
 *
 * The HTTP/2 spoken here is the least that a single call needs: our headers are sent as literals,
 * the server's are skipped, as all that counts is the message.
 */
#include "runtime/node/probe_run.h"

#include "core/base/fd.h"
#include "core/http/resolve.h"
#include "runtime/node/node_get.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME_HEAD 9
#define FRAME_MAX 16384                  /* what a peer may send unless we say otherwise */
#define MESSAGE_MAX 4096

enum { FRAME_DATA, FRAME_HEADERS, FRAME_RST = 3, FRAME_SETTINGS = 4, FRAME_PING = 6,
       FRAME_GOAWAY = 7 };
enum { FLAG_END = 1, FLAG_ACK = 1, FLAG_HEADERS_END = 4, FLAG_PADDED = 8 };

struct probe_socket {
    struct loop *loop;
    char *host, *service;
    uint16_t port;
    int64_t timeout_ms;
    int fd;
    struct loop_io io;
    struct loop_timer timeout, tell;
    struct resolve *resolve;
    bool connected;
    struct buf out, in, message;
    enum probe_result result;
    char text[256];
    probe_run_done *done;
    void *ctx;
};

static void socket_free(struct probe_socket *s)
{
    loop_timer_del(&s->timeout);
    loop_timer_del(&s->tell);
    loop_io_del(&s->io);
    resolve_free(s->resolve);
    fd_close(s->fd);
    buf_deinit(&s->out);
    buf_deinit(&s->in);
    buf_deinit(&s->message);
    mem_free(s->host);
    mem_free(s->service);
    mem_free(s);
}

static void on_tell(struct loop_timer *t)
{
    struct probe_socket *s = container_of(t, struct probe_socket, tell);

    s->done(s->ctx, s->result, s->text);
    socket_free(s);
}

static void __attribute__((format(printf, 3, 4))) end(struct probe_socket *s, enum probe_result r,
                                                      const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(s->text, sizeof(s->text), format, ap);
    va_end(ap);
    s->result = r;
    loop_timer_del(&s->timeout);
    loop_io_del(&s->io);
    loop_timer_set(s->loop, &s->tell, 0, on_tell);
}

static bool ended(const struct probe_socket *s)
{
    return loop_timer_is_set(&s->tell);
}

static void address(const struct probe_socket *s, char out[300])
{
    snprintf(out, 300, strchr(s->host, ':') ? "[%s]:%u" : "%s:%u", s->host, s->port);
}

/* why: "connect: connection refused" or "i/o timeout". */
static void not_connected(struct probe_socket *s, const char *why)
{
    char at[300];

    address(s, at);
    if (s->service)
        end(s, PROBE_FAILURE, "timeout: failed to connect service \"%s\" within %llds: %s", at,
            (long long)s->timeout_ms / 1000, why);
    else
        end(s, PROBE_FAILURE, "dial tcp %s: %s", at, why);
}

static void on_timeout(struct loop_timer *t)
{
    struct probe_socket *s = container_of(t, struct probe_socket, timeout);

    if (s->connected)
        end(s, PROBE_FAILURE, "timeout: health rpc did not complete within %llds",
            (long long)s->timeout_ms / 1000);
    else
        not_connected(s, "i/o timeout");
}

/* --- frames out */

struct frame { unsigned type, flags; uint32_t stream; const void *p; size_t len; };

static void put_frame(struct buf *b, struct frame f)
{
    unsigned char head[FRAME_HEAD] = {
        (unsigned char)(f.len >> 16), (unsigned char)(f.len >> 8), (unsigned char)f.len,
        (unsigned char)f.type, (unsigned char)f.flags, 0, 0, 0, (unsigned char)f.stream };

    buf_add(b, head, sizeof(head));
    if (f.len)
        buf_add(b, f.p, f.len);
}

/* A length with 7 bits in its first byte (HPACK). */
static void put_text(struct buf *b, const char *text)
{
    size_t len = strlen(text);

    buf_chr(b, (char)(len < 127 ? len : 127));
    for (size_t rest = len - 127; len >= 127; rest >>= 7) {
        buf_chr(b, (char)((rest & 127) | (rest > 127 ? 128 : 0)));
        if (rest <= 127)
            break;
    }
    buf_str(b, text);
}

static void put_headers(struct buf *b, const char *authority)
{
    buf_add(b, "\x83\x86\x04", 3);               /* POST, http, :path */
    put_text(b, "/grpc.health.v1.Health/Check");
    buf_chr(b, 0x01);                            /* :authority */
    put_text(b, authority);
    buf_add(b, "\x0f\x10", 2);                   /* content-type */
    put_text(b, "application/grpc");
    buf_add(b, "\x0f\x2b", 2);                   /* user-agent */
    put_text(b, "kube-probe/1.36");
    buf_chr(b, 0x00);
    put_text(b, "te");
    put_text(b, "trailers");
}

/* HealthCheckRequest{service} behind its length. */
static void put_request(struct buf *b, const char *service)
{
    _cleanup_buf_ struct buf m = BUF_INIT;
    size_t len = strlen(service);

    if (len) {
        buf_chr(&m, 0x0a);
        for (size_t n = len; ; n >>= 7) {
            buf_chr(&m, (char)((n & 127) | (n > 127 ? 128 : 0)));
            if (n <= 127)
                break;
        }
        buf_add(&m, service, len);
    }
    buf_add(b, "\0", 1);
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_chr(b, (char)(m.len >> shift));
    buf_add(b, m.p ? m.p : "", m.len);
}

static void queue_call(struct probe_socket *s)
{
    _cleanup_buf_ struct buf headers = BUF_INIT;
    _cleanup_buf_ struct buf request = BUF_INIT;
    char at[300];

    address(s, at);
    put_headers(&headers, at);
    put_request(&request, s->service);
    buf_str(&s->out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    put_frame(&s->out, (struct frame){ .type = FRAME_SETTINGS });
    put_frame(&s->out, (struct frame){ FRAME_HEADERS, FLAG_HEADERS_END, 1, headers.p,
                                       headers.len });
    put_frame(&s->out, (struct frame){ FRAME_DATA, FLAG_END, 1, request.p, request.len });
}

/* --- frames in */

/* The message is complete: status is field 1, a varint; missing is 0. */
static void read_message(struct probe_socket *s, const unsigned char *p, size_t len)
{
    static const char *const names[] = { "UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN" };
    unsigned status = len >= 2 && p[0] == 0x08 ? p[1] : 0;

    if (status == 1)
        end(s, PROBE_SUCCESS, "service healthy");
    else
        end(s, PROBE_FAILURE, "service unhealthy (responded with \"%s\")",
            status < ARRAY_LEN(names) ? names[status] : "UNKNOWN");
}

static void on_frame_data(struct probe_socket *s, unsigned flags, const unsigned char *p,
                          size_t len)
{
    size_t pad = 0, want;

    if (flags & FLAG_PADDED) {
        pad = len ? p[0] : 0;
        if (len < pad + 1) {
            end(s, PROBE_FAILURE, "error: health rpc probe failed: bad padding");
            return;
        }
        p++;
        len -= pad + 1;
    }
    if (s->message.len + len > MESSAGE_MAX) {
        end(s, PROBE_FAILURE, "error: health rpc probe failed: the answer is too long");
        return;
    }
    buf_add(&s->message, p, len);
    if (s->message.len < 5)
        return;
    p = (const unsigned char *)s->message.p;
    want = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
    if (s->message.len - 5 >= want)
        read_message(s, p + 5, want);
}

static void on_frame(struct probe_socket *s, unsigned type, unsigned flags, const unsigned char *p,
                     size_t len)
{
    if (type == FRAME_SETTINGS && !(flags & FLAG_ACK))
        put_frame(&s->out, (struct frame){ .type = FRAME_SETTINGS, .flags = FLAG_ACK });
    else if (type == FRAME_PING && !(flags & FLAG_ACK))
        put_frame(&s->out, (struct frame){ FRAME_PING, FLAG_ACK, 0, p, len });
    else if (type == FRAME_DATA)
        on_frame_data(s, flags, p, len);
    else if (type == FRAME_RST || type == FRAME_GOAWAY)
        end(s, PROBE_FAILURE, "error: health rpc probe failed: the server gave up the call");
    if (!ended(s) && (type == FRAME_DATA || type == FRAME_HEADERS) && (flags & FLAG_END))
        end(s, PROBE_FAILURE,
            "error: health rpc probe failed: the server ended the call without an answer");
}

static void take_frames(struct probe_socket *s)
{
    while (!ended(s) && s->in.len >= FRAME_HEAD) {
        const unsigned char *p = (const unsigned char *)s->in.p;
        size_t len = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];

        if (len > FRAME_MAX) {
            end(s, PROBE_FAILURE, "error: health rpc probe failed: this is no HTTP/2");
            return;
        }
        if (s->in.len < FRAME_HEAD + len)
            return;
        on_frame(s, p[3], p[4], p + FRAME_HEAD, len);
        buf_eat(&s->in, FRAME_HEAD + len);
    }
}

/* --- the socket */

static void flush_out(struct probe_socket *s)
{
    while (!ended(s) && s->out.len) {
        ssize_t n = send(s->fd, s->out.p, s->out.len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            end(s, PROBE_FAILURE, "error: health rpc probe failed: the connection broke");
        if (n < 0)
            break;
        buf_eat(&s->out, (size_t)n);
    }
    if (!ended(s))
        loop_io_set(&s->io, LOOP_READ | (s->out.len ? LOOP_WRITE : 0));
}

static void read_in(struct probe_socket *s)
{
    char text[4096];
    ssize_t n = recv(s->fd, text, sizeof(text), 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        end(s, PROBE_FAILURE, "error: health rpc probe failed: the server closed the connection");
        return;
    }
    buf_add(&s->in, text, (size_t)n);
    take_frames(s);
}

static void on_connected(struct probe_socket *s)
{
    int why = 0;
    socklen_t len = sizeof(why);
    char text[96] = "connect: ";

    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0)
        why = errno;
    if (why) {
        node_get_why(text + 9, sizeof(text) - 9, why);
        not_connected(s, text);
        return;
    }
    s->connected = true;
    if (!s->service) {
        end(s, PROBE_SUCCESS, "%s", "");
        return;
    }
    queue_call(s);
    flush_out(s);
}

static void on_ready(struct loop_io *io, unsigned events)
{
    struct probe_socket *s = container_of(io, struct probe_socket, io);

    if (!s->connected) {
        on_connected(s);
        return;
    }
    if (events & (LOOP_READ | LOOP_HANGUP))
        read_in(s);
    if (!ended(s))
        flush_out(s);
}

static void dial(struct probe_socket *s, struct resolve_address *a)
{
    struct err err = ERR_INIT;
    char text[96] = "connect: ";

    resolve_set_port(a, s->port);
    s->fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || (connect(s->fd, (struct sockaddr *)&a->sa, a->len) < 0 &&
                      errno != EINPROGRESS)) {
        node_get_why(text + 9, sizeof(text) - 9, errno);
        not_connected(s, text);
    } else if (loop_io_add(s->loop, &s->io, s->fd, LOOP_WRITE, on_ready, &err) < 0) {
        end(s, PROBE_ERROR, "%s", err.msg);
    }
}

static void on_resolved(const struct resolve_address *a, unsigned n, const struct err *why,
                        void *ctx)
{
    struct probe_socket *s = ctx;
    struct resolve_address first;

    s->resolve = NULL;
    if (why || n == 0) {
        end(s, PROBE_FAILURE, "dial tcp: lookup %s: %s", s->host, why ? why->msg : "no such host");
        return;
    }
    first = a[0];
    dial(s, &first);
}

struct probe_socket *probe_socket_start(struct loop *l, const struct probe_socket_opts *o)
{
    struct probe_socket *s = NEW(struct probe_socket);
    struct resolve_opts ro = { .host = o->host, .on_done = on_resolved, .ctx = s };
    struct resolve_address a;
    struct err err = ERR_INIT;

    *s = (struct probe_socket){ .loop = l, .host = mem_strdup(o->host), .port = o->port, .fd = -1,
                                .service = mem_strdup(o->service), .timeout_ms = o->timeout_ms,
                                .done = o->done, .ctx = o->ctx };
    loop_timer_set(l, &s->timeout, o->timeout_ms, on_timeout);
    if (resolve_numeric(&a, o->host))
        dial(s, &a);
    else if (resolve_new(&s->resolve, l, &ro, &err) < 0)
        end(s, PROBE_FAILURE, "dial tcp: lookup %s: %s", o->host, err.msg);
    return s;
}

void probe_socket_cancel(struct probe_socket *s)
{
    if (s)
        socket_free(s);
}
