/* http1.c -- HTTP/1.1 on a connection of the server: one request at a time, pipelined ones wait. */
#include "core/http/http_conn.h"

#include <stdio.h>
#include <strings.h>

#define HTTP1_CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

static void http1_next(struct http_conn *c)
{
    http_parse_next(&c->parse);
    c->progress = 0;
}

/* Answers what is broken or too big, without a handler, and closes. */
static void http1_refuse(struct http_conn *c, int status)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    const char *text = http_status_text(status);

    if (c->now)
        http_exchange_free(TAKE(c->now));
    buf_fmt(&b, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
            "Content-Length: %zu\r\n\r\n%d %s", status, text, strlen(text) + 4, status, text);
    http_queue_add(&c->io.out, b.p, b.len);
    c->state = CONN_LINGER;
    buf_deinit(&c->in);
    http_conn_set_timer(c, HTTP_LINGER_MS);
    http_io_half_close(&c->io);
}

static int http1_head_status(const struct http_parse *p)
{
    const char *te = http_parse_get(p, "transfer-encoding");

    if (p->ll.http_major != 1 || p->ll.http_minor > 1)
        return 505;
    if (te && (p->ll.http_minor == 0 || http_parse_count(p, "transfer-encoding") > 1))
        return 400;
    if (te && strcasecmp(te, "chunked") != 0)
        return 501;
    return strcmp(http_parse_method(p), "CONNECT") == 0 ? 405 : 0;
}

static void http1_on_head(struct http_parse *p)
{
    struct http_conn *c = container_of(p, struct http_conn, parse);
    bool body = p->chunked || (p->ll.flags & F_CONTENT_LENGTH && p->ll.content_length > 0);

    p->refuse = http1_head_status(p);
    if (p->refuse)
        return;
    c->now = http_exchange_new(c);
    c->now->req.version = p->ll.http_minor ? HTTP_1_1 : HTTP_1_0;
    if (body && p->expect_continue) {
        http_queue_add(&c->io.out, HTTP1_CONTINUE, sizeof(HTTP1_CONTINUE) - 1);
        http_io_flush(&c->io);
    }
    if (body)
        http_conn_set_timer(c, c->server->o.body_ms);
}

static int http1_on_body(struct http_parse *p, const char *data, size_t len)
{
    struct http_conn *c = container_of(p, struct http_conn, parse);

    if (p->refuse)
        return -1;
    c->progress += len;
    if (c->progress >= HTTP_BODY_STEP) {
        c->progress = 0;
        http_conn_set_timer(c, c->server->o.body_ms);
    }
    return http_exchange_body(c->now, data, len, &p->refuse);
}

static void http1_complete(struct http_conn *c)
{
    struct http_exchange *x = c->now;
    struct http_parse *p = &c->parse;
    int status = 0;

    if (!p->refuse && http_exchange_fill(x, &p->text, p->at.v, p->at.len, &status) < 0)
        p->refuse = status;
    if (p->refuse) {
        http1_refuse(c, p->refuse);
        return;
    }
    x->upgrade = p->upgrade;
    c->close_after = !p->keep_alive && !p->upgrade;
    if (p->upgrade && x->req.version == HTTP_1_0)
        c->close_after = true;
    http1_next(c);
    loop_timer_del(&c->timer);
    http_exchange_dispatch(x);
}

void http1_feed(struct http_conn *c, const char *p, size_t len)
{
    c->parse.on_head = http1_on_head;
    c->parse.on_body = http1_on_body;
    while (len && c->state == CONN_HTTP1) {
        bool begun = c->parse.begun;
        ssize_t n;

        if (c->now && c->now->state != EXCHANGE_READING) {
            buf_add(&c->in, p, len);
            break;
        }
        n = http_parse_feed(&c->parse, p, len, NULL);
        if (n < 0 || c->parse.refuse) {
            http1_refuse(c, c->parse.refuse ? c->parse.refuse : 400);
            break;
        }
        p += n;
        len -= (size_t)n;
        if (c->parse.done && c->parse.upgrade) {
            buf_add(&c->in, p, len);         /* perhaps of another protocol already */
            len = 0;
        }
        if (c->parse.done)
            http1_complete(c);
        else if (!begun)
            http_conn_set_timer(c, c->server->o.head_ms);
    }
}

/* What was read ahead while the last request was answered. */
static void http1_resume(struct http_conn *c)
{
    _cleanup_buf_ struct buf in = c->in;

    c->in = BUF_INIT;
    if (in.len)
        http1_feed(c, in.p, in.len);
}

static void http1_eof(struct http_conn *c)
{
    if (c->state == CONN_HTTP1 && c->now && c->now->state != EXCHANGE_READING) {
        c->close_after = true;               /* it may still read the answer */
        http_exchange_gone(c->now);
        return;
    }
    http_conn_free(c);
}

void http1_readable(struct http_conn *c)
{
    char data[HTTP_IO_READ];

    if (c->state == CONN_HTTP1 && !c->now)
        http1_resume(c);
    for (int i = 0; i < HTTP_IO_ROUNDS; i++) {
        ssize_t n;

        if (c->state == CONN_GONE)
            return;
        if (c->in.len >= HTTP_PIPELINE_MAX) {
            http_io_read_on(&c->io, false);
            return;
        }
        n = http_io_read(&c->io, data, sizeof(data));
        if (n == TLS_AGAIN)
            return;
        if (n == 0) {
            http_io_read_on(&c->io, false);
            http1_eof(c);
            return;
        }
        if (c->state == CONN_HTTP1)
            http1_feed(c, data, (size_t)n);
    }
    if (c->state != CONN_GONE && c->io.tls && tls_pending(c->io.tls))
        http_io_kick(&c->io);
}

void http1_written(struct http_conn *c)
{
    struct http_exchange *x = c->now;

    if (c->state != CONN_HTTP1)
        return;
    if (c->io.out.bytes)
        http_conn_set_timer(c, c->server->o.stall_ms);
    else if (x && x->state == EXCHANGE_STREAM)
        loop_timer_del(&c->timer);
    else if (!x)
        http_conn_set_timer(c, c->server->o.idle_ms);
    if (x && x->want_drain && c->io.out.bytes < HTTP_DRAIN_BYTES) {
        x->want_drain = false;
        if (x->req.on_drain)
            x->req.on_drain(&x->req);
    }
}

void http1_timeout(struct http_conn *c)
{
    if (c->state == CONN_HTTP1 && !c->io.out.bytes && c->parse.begun)
        http1_refuse(c, 408);
    else
        http_conn_free(c);
}

/* --- answers --- */

static void http1_field(struct buf *b, const char *name, const char *value)
{
    check(!strpbrk(name, "\r\n: ") && !strpbrk(value, "\r\n"));
    buf_fmt(b, "%s: %s\r\n", name, value);
}

static bool http1_no_body(int status)
{
    return status == 204 || status == 304;
}

static void http1_head(struct buf *b, struct http_exchange *x, const struct http_answer *a,
                       bool whole)
{
    struct http_conn *c = x->conn;

    buf_fmt(b, "HTTP/1.1 %d %s\r\n", a->status, http_status_text(a->status));
    for (unsigned i = 0; i < a->n_fields; i++)
        http1_field(b, a->fields[i].name, a->fields[i].value);
    if (a->type)
        http1_field(b, "Content-Type", a->type);
    http1_field(b, "Date", http_server_date(c->server));
    if (whole && !http1_no_body(a->status))
        buf_fmt(b, "Content-Length: %zu\r\n", a->len);
    x->chunked = !whole && x->req.version == HTTP_1_1 && !http1_no_body(a->status);
    if (x->chunked)
        http1_field(b, "Transfer-Encoding", "chunked");
    if (!whole && !x->chunked && !http1_no_body(a->status))
        c->close_after = true;               /* HTTP/1.0: the end of the connection ends the body */
    if (c->server->stopping)
        c->close_after = true;
    if (c->close_after)
        http1_field(b, "Connection", "close");
    else if (x->req.version == HTTP_1_0)
        http1_field(b, "Connection", "keep-alive");
    buf_str(b, "\r\n");
}

static void http1_piece(struct http_conn *c, const struct http_answer *a)
{
    if (a->release)
        http_queue_ref(&c->io.out, a->body, a->len, a->release, a->owner);
    else
        http_queue_add(&c->io.out, a->body, a->len);
}

void http1_start(struct http_exchange *x, const struct http_answer *a, bool whole)
{
    _cleanup_buf_ struct buf head = BUF_INIT;
    struct http_conn *c = x->conn;

    http1_head(&head, x, a, whole);
    http_queue_add(&c->io.out, head.p, head.len);
    http_conn_set_timer(c, c->server->o.stall_ms);
    if (x->head_only || http1_no_body(a->status)) {
        x->head_only = true;
        if (a->release)
            a->release(a->owner);
    } else if (!whole) {
        http1_data(x, a);
    } else {
        http1_piece(c, a);
    }
    if (!whole)
        http_io_flush_soon(&c->io);
}

void http1_data(struct http_exchange *x, const struct http_answer *a)
{
    struct http_conn *c = x->conn;
    char size[24];

    if (!a->len) {
        if (a->release)
            a->release(a->owner);
        return;
    }
    if (c->io.out.bytes + a->len > HTTP_QUEUE_MAX) {
        struct err err = ERR_INIT;

        err_set(&err, ERR_QUOTA, "peer reads too slowly");
        http_io_fail(&c->io, &err);
        if (a->release)
            a->release(a->owner);
        return;
    }
    if (!loop_timer_is_set(&c->timer))
        http_conn_set_timer(c, c->server->o.stall_ms);
    if (x->chunked)
        http_queue_add(&c->io.out, size, (size_t)snprintf(size, sizeof(size), "%zx\r\n", a->len));
    http1_piece(c, a);
    if (x->chunked)
        http_queue_add(&c->io.out, "\r\n", 2);
    if (c->io.out.bytes >= HTTP_DRAIN_BYTES)
        x->want_drain = true;
    http_io_flush_soon(&c->io);
}

/* The answer is complete; the connection goes on or lingers. Never frees it: the caller may be
 * inside it. */
void http1_end(struct http_exchange *x)
{
    struct http_conn *c = x->conn;

    if (x->chunked && !x->head_only)
        http_queue_add(&c->io.out, "0\r\n\r\n", 5);
    c->now = NULL;
    http_exchange_free(x);
    if (c->close_after) {
        c->state = CONN_LINGER;
        buf_deinit(&c->in);
        http_conn_set_timer(c, HTTP_LINGER_MS + (c->io.out.bytes ? c->server->o.stall_ms : 0));
        http_io_half_close(&c->io);
        http_io_read_on(&c->io, true);
        return;
    }
    http_io_flush(&c->io);
    http_conn_set_timer(c, c->io.out.bytes ? c->server->o.stall_ms : c->server->o.idle_ms);
    http_io_read_on(&c->io, true);
    if (c->in.len)
        http_io_kick(&c->io);
}

void http1_stop(struct http_conn *c)
{
    c->close_after = true;
    if (c->state == CONN_HTTP1 && !c->now && !c->parse.begun)
        http_conn_free(c);
}

/* The connection's socket went to a raw stream. */
void http1_upgraded(struct http_exchange *x)
{
    struct http_conn *c = x->conn;

    c->now = NULL;
    http_exchange_free(x);
    http_conn_free_soon(c);
}
