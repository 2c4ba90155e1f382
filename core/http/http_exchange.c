/* http_exchange.c -- a request while the handler has it: the public functions on struct http_req.
 */
#include "core/http/http_conn.h"

#include "core/crypto/crypto.h"

static struct http_exchange *exchange_of(const struct http_req *r)
{
    return container_of((struct http_req *)(uintptr_t)r, struct http_exchange, req);
}

struct http_exchange *http_exchange_new(struct http_conn *c)
{
    struct http_exchange *x = NEW(struct http_exchange);

    x->conn = c;
    x->server = c->server;
    x->loop = c->server->loop;
    list_push(&c->server->exchanges, &x->link);
    c->server->stats.reqs++;
    c->server->stats.reqs_total++;
    x->req.tls = c->io.tls;
    memcpy(x->req.peer, c->peer, sizeof(x->req.peer));
    x->req.peer_port = c->port;
    if (c->io.tls && tls_peer(c->io.tls)) {
        const char *why = tls_peer_why(c->io.tls);

        x->cert = crypto_cert_ref(tls_peer(c->io.tls));
        x->req.peer_cert = x->cert;
        if (why) {
            str_copy(x->why, sizeof(x->why), why, NULL);
            x->req.peer_cert_why = x->why;
        }
    }
    return x;
}

void http_exchange_free(struct http_exchange *x)
{
    if (x->server) {
        x->server->stats.reqs--;
        x->server->stats.body_bytes -= x->charged;
        list_del(&x->link);
    }
    if (x->head)
        http2_head_free(x->head);
    loop_timer_del(&x->timer);
    http_queue_deinit(&x->out);
    buf_deinit(&x->text);
    buf_deinit(&x->body);
    crypto_cert_unref(x->cert);
    mem_free((void *)(uintptr_t)x->req.fields);
    mem_free(x);
}

void http_exchange_gone(struct http_exchange *x)
{
    if (x->state == EXCHANGE_READING || x->state == EXCHANGE_DONE) {
        http_exchange_free(x);
        return;
    }
    if (x->gone)
        return;
    x->gone = true;
    if (x->req.on_gone)
        x->req.on_gone(&x->req);
}

/* Splits the target into path and query, in place. */
static int exchange_target(struct http_req *r, char *target)
{
    char *q;

    if (str_starts(target, "http://") || str_starts(target, "https://")) {
        char *slash = strchr(strstr(target, "://") + 3, '/');

        if (!slash)
            return -1;
        target = slash;
    }
    if (*target != '/' && strcmp(target, "*") != 0)
        return -1;
    if (strchr(target, '#'))
        return -1;
    q = strchr(target, '?');
    r->query = "";
    if (q) {
        *q = 0;
        r->query = q + 1;
    }
    r->path = target;
    return 0;
}

int http_exchange_fill(struct http_exchange *x, struct buf *text, const size_t *at, size_t n_at,
                       int *status)
{
    struct http_req *r = &x->req;
    struct http_field *f = n_at ? mem_alloc_array(n_at / 2, sizeof(*f)) : NULL;
    unsigned hosts = 0;

    x->text = *text;
    *text = BUF_INIT;
    r->fields = f;
    r->n_fields = (unsigned)(n_at / 2);
    r->host = "";
    r->method = x->text.p;
    for (size_t i = 0; i < r->n_fields; i++) {
        f[i] = (struct http_field){ x->text.p + at[2 * i], x->text.p + at[2 * i + 1] };
        if (strcmp(f[i].name, "host") == 0) {
            hosts++;
            r->host = f[i].value;
        }
    }
    x->head_only = strcmp(r->method, "HEAD") == 0;
    if (exchange_target(r, x->text.p + strlen(x->text.p) + 1) < 0 || hosts > 1 ||
        (r->version == HTTP_1_1 && !hosts)) {
        *status = 400;
        return -1;
    }
    return 0;
}

int http_exchange_body(struct http_exchange *x, const char *p, size_t len, int *status)
{
    struct http_server *s = x->server;

    if (x->body.len + len > s->o.body_max) {
        *status = 413;
        return -1;
    }
    if (s->stats.body_bytes + len > s->o.bodies_max) {
        *status = 503;
        return -1;
    }
    buf_add(&x->body, p, len);
    x->charged += len;
    s->stats.body_bytes += len;
    return 0;
}

void http_exchange_dispatch(struct http_exchange *x)
{
    struct http_server *s = x->server;

    x->state = EXCHANGE_HELD;
    x->req.body = x->body.len ? (struct slice){ x->body.p, x->body.len } : SLICE("");
    s->o.on_request(&x->req, s->o.ctx);
}

/* --- http.h --- */

const char *http_req_field(const struct http_req *r, const char *name)
{
    for (unsigned i = 0; i < r->n_fields; i++)
        if (strcmp(r->fields[i].name, name) == 0)
            return r->fields[i].value;
    return NULL;
}

char *http_req_take_body(struct http_req *r, size_t *out_len)
{
    r->body = SLICE("");
    return buf_take(&exchange_of(r)->body, out_len);
}

struct loop *http_req_loop(const struct http_req *r)
{
    return exchange_of(r)->loop;
}

bool http_req_is_gone(const struct http_req *r)
{
    return exchange_of(r)->gone;
}

static void exchange_release(const struct http_answer *a)
{
    if (a->release)
        a->release(a->owner);
}

void http_respond(struct http_req *r, const struct http_answer *a)
{
    struct http_exchange *x = exchange_of(r);

    check(x->state == EXCHANGE_HELD);
    check(a->status >= 200 && a->status <= 999);
    if (!x->conn) {
        exchange_release(a);
        http_exchange_free(x);
        return;
    }
    if (x->req.version == HTTP_2) {
        http2_start(x, a, true);
        http2_end(x);
    } else {
        http1_start(x, a, true);
        http1_end(x);
    }
}

void http_stream_begin(struct http_req *r, const struct http_answer *a)
{
    struct http_exchange *x = exchange_of(r);

    check(x->state == EXCHANGE_HELD);
    check(a->status >= 200 && a->status <= 999);
    x->state = EXCHANGE_STREAM;
    if (!x->conn)
        exchange_release(a);
    else if (x->req.version == HTTP_2)
        http2_start(x, a, false);
    else
        http1_start(x, a, false);
}

static size_t exchange_write(struct http_exchange *x, const struct http_answer *piece)
{
    check(x->state == EXCHANGE_STREAM);
    if (!x->conn || x->head_only || !piece->len)
        exchange_release(piece);
    else if (x->req.version == HTTP_2)
        http2_data(x, piece);
    else
        http1_data(x, piece);
    return http_stream_queued(&x->req);
}

size_t http_stream_write(struct http_req *r, const void *p, size_t len)
{
    return exchange_write(exchange_of(r), &(struct http_answer){ .body = p, .len = len });
}

size_t http_stream_write_ref(struct http_req *r, const void *p, size_t len,
                             void (*release)(void *owner), void *owner)
{
    return exchange_write(
        exchange_of(r),
        &(struct http_answer){ .body = p, .len = len, .release = release, .owner = owner });
}

size_t http_stream_queued(const struct http_req *r)
{
    const struct http_exchange *x = exchange_of(r);

    if (!x->conn)
        return 0;
    return x->req.version == HTTP_2 ? x->out.bytes : x->conn->io.out.bytes;
}

void http_stream_end(struct http_req *r)
{
    struct http_exchange *x = exchange_of(r);

    check(x->state == EXCHANGE_STREAM);
    if (!x->conn)
        http_exchange_free(x);
    else if (x->req.version == HTTP_2)
        http2_end(x);
    else
        http1_end(x);
}

void http_abort(struct http_req *r)
{
    struct http_exchange *x = exchange_of(r);
    struct http_conn *c = x->conn;

    check(x->state != EXCHANGE_READING);
    if (c && x->req.version == HTTP_2) {
        http2_abort(x);
        return;
    }
    if (c) {
        c->now = NULL;
        http_conn_free_soon(c);
    }
    http_exchange_free(x);
}
