/* node_serve_forward.c -- portForward: SPDY streams in pairs (error and data, of one port and
 * request id), each joined to a connection that the pod's shim makes on the pod's own loopback.
 *
 *   client --SPDY/3.1------------------------------> streams <--> connections
 *   client --WebSocket (SPDY/3.1+portforward.k8s.io), whose messages are the bytes of the same--->
 *          a socket pair --> streams
 */
#include "runtime/node/node_serve_int.h"

#include "core/base/fd.h"
#include "core/http/spdy.h"
#include "core/http/websocket.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUEUED_MAX (256u << 10)
#define PROTOCOL "portforward.k8s.io"
#define TUNNEL "SPDY/3.1+portforward.k8s.io"
#define PAIRS_MAX 128
#define REQUEST_ID_MAX 64
/* for the client's silence once the pod has ended its side */
#define LINGER_MS 1000

struct forward {
    struct node_serve_stream st;
    struct node_exec_target target;
    char *pod;                           /* "ns/name", for messages */
    struct spdy *spdy;
    struct websocket *ws;                /* of a tunnel, with the near end of its socket pair */
    struct http_raw *near;
    struct list pairs;
    unsigned n_pairs;
    struct loop_timer free_timer;
    bool over;
};

/* One connection. The streams are NULL once they are gone. */
struct pair {
    struct list link;
    struct forward *f;
    char id[REQUEST_ID_MAX];
    uint16_t port;
    struct spdy_stream *error, *data;
    struct http_raw *raw;
    struct dial *dial;                   /* under way */
    struct buf early;                    /* from the client before the connection stands */
    bool early_fin;
    bool client_fin, pod_fin;            /* no more will come from there */
    struct loop_timer linger;
    size_t owed;                         /* bytes from the client, not yet on the socket */
};

/* The shim cannot be told to forget a dial: this outlives the pair. */
struct dial { struct pair *p; };

static void forward_end(struct forward *f);

/* --- pairs */

static void pair_free(struct pair *p)
{
    if (p->error)
        spdy_stream_set_user(p->error, NULL);
    if (p->data)
        spdy_stream_set_user(p->data, NULL);
    if (p->dial)
        p->dial->p = NULL;
    loop_timer_del(&p->linger);
    http_raw_free(p->raw);
    buf_deinit(&p->early);
    list_del(&p->link);
    p->f->n_pairs--;
    mem_free(p);
}

/* Both directions are done: the client sees the ends of both streams. */
static void pair_close(struct pair *p)
{
    struct spdy_stream *error = p->error, *data = p->data;

    if (error)
        spdy_stream_set_user(error, NULL);
    if (data)
        spdy_stream_set_user(data, NULL);
    p->error = p->data = NULL;
    if (data)
        spdy_fin(data);
    if (error)
        spdy_fin(error);
    pair_free(p);
}

static void pair_fail(struct pair *p, const char *why)
{
    _cleanup_(mem_freep) char *text = mem_printf("error forwarding port %u to pod %s: %s", p->port,
                                                 p->f->pod, why);

    if (p->error)
        spdy_write(p->error, text, strlen(text));
    pair_close(p);
}

/* --- the connection */

static void raw_data(struct http_raw *w, const char *bytes, size_t len, void *ctx)
{
    struct pair *p = ctx;

    if (!p->data)
        return;
    if (spdy_write(p->data, bytes, len) > QUEUED_MAX)
        http_raw_pause(w, true);
}

/* Credit for the client, unless the socket lags behind: then raw_drain gives it. */
static void owe_nothing(struct pair *p)
{
    size_t owed = p->owed;

    if (!p->data || (p->raw && http_raw_queued(p->raw) >= HTTP_DRAIN_BYTES))
        return;
    p->owed = 0;
    spdy_consumed(p->data, owed);
}

static void raw_drain(struct http_raw *w, void *ctx)
{
    (void)w;
    owe_nothing(ctx);
}

static void on_linger(struct loop_timer *t)
{
    struct pair *p = container_of(t, struct pair, linger);

    if (p->raw)
        http_raw_end(TAKE(p->raw));
    if (p->data && !p->client_fin) {     /* it would stay half open for the rest of the session */
        spdy_stream_set_user(p->data, NULL);
        spdy_reset(TAKE(p->data));
    }
    pair_close(p);
}

static void raw_close(struct http_raw *w, const struct err *why, void *ctx)
{
    struct pair *p = ctx;

    if (why || p->client_fin || !p->data) {
        http_raw_end(w);
        p->raw = NULL;
        pair_close(p);
        return;
    }
    /* The client may have more to say; many wait for us to end it. */
    p->pod_fin = true;
    spdy_fin(p->data);
    loop_timer_set(p->f->target.loop, &p->linger, LINGER_MS, on_linger);
}

static void to_socket(struct pair *p, const char *bytes, size_t len)
{
    p->owed += len;
    http_raw_write(p->raw, bytes, len);
    if (p->pod_fin)
        loop_timer_set(p->f->target.loop, &p->linger, LINGER_MS, on_linger);
    owe_nothing(p);
}

static void on_dialed(void *ctx, const struct err *err, int fd)
{
    struct dial *d = ctx;
    struct pair *p = d->p;
    struct http_raw_ops ops = { raw_data, raw_drain, raw_close, p };
    struct err why = ERR_INIT;

    mem_free(d);
    if (!p) {
        fd_close(fd);
        return;
    }
    p->dial = NULL;
    if (err || http_raw_new(&p->raw, p->f->target.loop, fd, &ops, &why) < 0) {
        p->raw = NULL;
        pair_fail(p, err ? err->msg : why.msg);
        return;
    }
    if (p->early.len)
        to_socket(p, p->early.p, p->early.len);
    buf_deinit(&p->early);
    if (p->early_fin)
        http_raw_shut(p->raw);
}

static void pair_dial(struct pair *p)
{
    if (!p->f->st.shim) {
        pair_fail(p, "the pod has ended");
        return;
    }
    p->dial = NEW(struct dial);
    p->dial->p = p;
    p->f->target.shims->dial(p->f->st.shim, p->port, on_dialed, p->dial);
}

/* --- streams */

static struct pair *pair_get(struct forward *f, const char *id, uint16_t port)
{
    struct pair *p;

    list_each(it, &f->pairs, struct pair, link)
        if (str_eq(it->id, id) && it->port == port && (!it->error || !it->data))
            return it;
    if (f->n_pairs >= PAIRS_MAX)
        return NULL;
    p = NEW(struct pair);
    p->f = f;
    p->port = port;
    (void)str_copy(p->id, sizeof(p->id), id, NULL);
    list_push(&f->pairs, &p->link);
    f->n_pairs++;
    return p;
}

static void on_stream(struct spdy *s, struct spdy_stream *st, void *ctx)
{
    struct forward *f = ctx;
    const char *type = spdy_stream_field(st, "streamtype"), *port = spdy_stream_field(st, "port");
    const char *id = spdy_stream_field(st, "requestid");
    char own[REQUEST_ID_MAX];
    bool error = str_eq(type, "error");
    int64_t number;
    struct pair *p;

    (void)s;
    /* Old clients send no id: error comes first, data right behind. */
    if (str_empty(id)) {
        snprintf(own, sizeof(own), "%u", spdy_stream_id(st) - (error ? 0 : 2));
        id = own;
    }
    if ((!error && !str_eq(type, "data")) || str_empty(port) || strlen(id) >= REQUEST_ID_MAX ||
        str_to_i64(port, 1, 65535, &number, NULL) < 0) {
        spdy_reset(st);
        return;
    }
    p = pair_get(f, id, (uint16_t)number);
    if (!p || (error ? p->error : p->data)) {
        spdy_reset(st);
        return;
    }
    *(error ? &p->error : &p->data) = st;
    spdy_stream_set_user(st, p);
    spdy_reply(st);
    if (p->error && p->data)
        pair_dial(p);
}

static void on_data(struct spdy_stream *st, const char *bytes, size_t len, void *ctx)
{
    struct pair *p = spdy_stream_user(st);

    (void)ctx;
    if (!p || st != p->data)
        spdy_consumed(st, len);
    else if (p->raw)
        to_socket(p, bytes, len);
    else
        buf_add(&p->early, bytes, len);          /* bounded by what is not yet consumed */
}

static void on_fin(struct spdy_stream *st, void *ctx)
{
    struct pair *p = spdy_stream_user(st);

    (void)ctx;
    if (!p || st != p->data)
        return;
    p->client_fin = true;
    if (p->pod_fin)
        on_linger(&p->linger);
    else if (p->raw)
        http_raw_shut(p->raw);
    else
        p->early_fin = true;
}

static void on_reset(struct spdy_stream *st, void *ctx)
{
    struct pair *p = spdy_stream_user(st);

    (void)ctx;
    if (!p)
        return;
    *(st == p->data ? &p->data : &p->error) = NULL;
    pair_close(p);
}

static void on_drain(struct spdy_stream *st, void *ctx)
{
    struct pair *p = spdy_stream_user(st);

    (void)ctx;
    if (p && st == p->data && p->raw)
        http_raw_pause(p->raw, false);
}

static void on_close(struct spdy *s, const struct err *why, void *ctx)
{
    struct forward *f = ctx;

    (void)s;
    (void)why;
    list_each(p, &f->pairs, struct pair, link) {
        p->error = p->data = NULL;
        pair_free(p);
    }
    forward_end(f);
}

/* --- WebSocket tunnel: its messages are a piece of the byte stream */

static void ws_message(struct websocket *w, enum websocket_op op, const char *p, size_t len,
                       void *ctx)
{
    struct forward *f = ctx;

    (void)op;
    if (f->near && http_raw_write(f->near, p, len) > QUEUED_MAX)
        websocket_pause(w, true);
}

static void ws_drain(struct websocket *w, void *ctx)
{
    struct forward *f = ctx;

    (void)w;
    if (f->near)
        http_raw_pause(f->near, false);
}

static void ws_close(struct websocket *w, int code, const char *reason, void *ctx)
{
    struct forward *f = ctx;

    (void)w;
    (void)code;
    (void)reason;
    if (f->near)
        http_raw_end(TAKE(f->near));             /* SPDY sees the end, and ends us */
    else
        forward_end(f);
}

static void near_data(struct http_raw *raw, const char *p, size_t len, void *ctx)
{
    struct forward *f = ctx;

    if (websocket_send(f->ws, WEBSOCKET_BINARY, p, len) > QUEUED_MAX)
        http_raw_pause(raw, true);
}

static void near_drain(struct http_raw *raw, void *ctx)
{
    struct forward *f = ctx;

    (void)raw;
    websocket_pause(f->ws, false);
}

static void near_close(struct http_raw *raw, const struct err *why, void *ctx)
{
    struct forward *f = ctx;

    (void)why;
    http_raw_end(raw);
    f->near = NULL;
    if (f->ws)
        websocket_close(f->ws, 1000, "");
}

/* --- begin and end */

static void on_free_time(struct loop_timer *t)
{
    struct forward *f = container_of(t, struct forward, free_timer);

    websocket_free(f->ws);
    http_raw_free(f->near);
    spdy_free(f->spdy);
    mem_free(f->pod);
    mem_free(f);
}

/* Not from inside callbacks of what it frees. */
static void forward_end(struct forward *f)
{
    if (f->over)
        return;
    f->over = true;
    node_serve_stream_del(&f->st);
    list_each(p, &f->pairs, struct pair, link)
        pair_free(p);
    loop_timer_set(f->target.loop, &f->free_timer, 0, on_free_time);
}

static void on_gone(struct node_serve_stream *st, bool shim_gone)
{
    struct forward *f = container_of(st, struct forward, st);

    if (!shim_gone)
        return;                                  /* a container of many */
    st->shim = NULL;
    forward_end(f);
}

static void on_server_gone(struct node_serve_stream *st)
{
    forward_end(container_of(st, struct forward, st));
}

static const struct spdy_ops forward_ops = {
    .on_stream = on_stream, .on_data = on_data, .on_fin = on_fin, .on_reset = on_reset,
    .on_drain = on_drain, .on_close = on_close,
};

static int accept_tunnel(struct forward *f, struct http_req *r, struct err *err)
{
    struct websocket_ops ws = { ws_message, ws_drain, ws_close, f };
    struct http_raw_ops near = { near_data, near_drain, near_close, f };
    struct spdy_ops ops = forward_ops;
    struct http_raw *far;
    int fds[2];

    ops.ctx = f;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
        return err_sys(err, "socketpair");
    if (http_raw_new(&f->near, f->target.loop, fds[0], &near, err) < 0) {
        fd_close(fds[1]);
        return -1;
    }
    if (http_raw_new(&far, f->target.loop, fds[1], &(struct http_raw_ops){ .on_data = NULL },
                     err) < 0)
        return -1;
    if (websocket_accept(&f->ws, r, TUNNEL, &ws, err) < 0) {
        http_raw_free(far);
        return -1;
    }
    f->spdy = spdy_new(far, f->target.loop, &ops);
    return 0;
}

static int accept_spdy(struct forward *f, struct http_req *r, struct err *err)
{
    struct spdy_ops ops = forward_ops;

    ops.ctx = f;
    if (!spdy_is_upgrade(r))
        return err_set(err, ERR_INVALID, "unable to upgrade: missing upgrade headers in request");
    return spdy_accept(&f->spdy, r, PROTOCOL, &ops, err);
}

/* Over the tunnel, over plain SPDY. */
static int forward_start(struct node_serve_call *c, const struct node_exec_target *t, bool tunnel,
                         struct err *err)
{
    struct forward *f = NEW(struct forward);
    int r = 0;

    list_init(&f->pairs);
    f->target = *t;
    f->target.loop = c->s->loop;
    f->st = (struct node_serve_stream){ .shim = t->shim, .on_gone = on_gone,
                                        .free = on_server_gone };
    f->pod = mem_printf("%s/%s", c->parts[1], c->parts[2]);
    if (!node_serve_stream_add(c->s, &f->st))
        r = err_set(err, ERR_UNAVAILABLE, "too many streams at once");
    if (r == 0)
        r = tunnel ? accept_tunnel(f, c->req, err) : accept_spdy(f, c->req, err);
    if (r < 0)
        forward_end(f);
    return r;
}

static int accept_any(struct node_serve_call *c, const struct node_exec_target *t, struct err *err)
{
    static const char *const protocols[] = { TUNNEL, NODE_SERVE_PORTS_PROTOCOL, NULL };
    char protocol[WEBSOCKET_PROTOCOL_BYTES] = "";

    if (!websocket_is_upgrade(c->req))
        return forward_start(c, t, false, err);
    if (websocket_negotiate(c->req, protocols, protocol, err) < 0)
        return -1;
    if (!*protocol)
        return err_set(err, ERR_UNSUPPORTED, "a subprotocol is needed: " TUNNEL " or "
                       NODE_SERVE_PORTS_PROTOCOL);
    return str_eq(protocol, TUNNEL) ? forward_start(c, t, true, err) : node_serve_ports(c, t, err);
}

void node_serve_forward(struct node_serve_call *c)
{
    struct node_serve_name name = { .ns = c->parts[1], .pod = c->parts[2],
                                    .uid = c->n_parts == 4 ? c->parts[3] : "" };
    struct node_exec_target target = { .loop = NULL };
    struct err err = ERR_INIT;

    if (c->s->ops->pod(c->s->ctx, &name, &target, &err) == 0 &&
        accept_any(c, &target, &err) == 0)
        return;
    if (err.code == ERR_UNSUPPORTED)
        node_serve_refuse(c, 403, err.msg);
    else
        node_serve_refuse_err(c, &err);
}
