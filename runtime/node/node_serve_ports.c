/* node_serve_ports.c -- portForward in the older form, for clients without SPDY (Python's,
 * browsers): one WebSocket v4.channel.k8s.io, the ports in the query. Port number i of the list has
 * channel 2i for its bytes and 2i + 1 for an error; the first two bytes on each, from us, are the
 * port, low byte first.
 */
#include "runtime/node/node_serve_int.h"

#include "core/base/fd.h"
#include "core/http/websocket.h"

#define QUEUED_MAX (256u << 10)
#define PORTS_MAX 100                    /* two channels each, one byte for the channel */

struct ports;

struct port {
    struct ports *all;
    unsigned index;
    uint16_t number;
    struct http_raw *raw;
    struct dial *dial;                   /* under way */
    struct buf early;                    /* from the client before the connection stands */
    bool over;
};

/* The shim cannot be told to forget a dial: this outlives the port. */
struct dial { struct port *p; };

struct ports {
    struct node_serve_stream st;
    struct node_exec_target target;
    char *pod;
    struct websocket *ws;
    struct port *v;
    unsigned n;
    struct loop_timer later;             /* dials, frees: not from inside callbacks */
    bool over;
};

/* --- the end */

static void on_free_time(struct loop_timer *t)
{
    struct ports *f = container_of(t, struct ports, later);

    websocket_free(f->ws);
    mem_free(f->v);
    mem_free(f->pod);
    mem_free(f);
}

static void ports_end(struct ports *f)
{
    if (f->over)
        return;
    f->over = true;
    node_serve_stream_del(&f->st);
    for (unsigned i = 0; i < f->n; i++) {
        struct port *p = &f->v[i];

        if (p->dial)
            p->dial->p = NULL;
        http_raw_free(p->raw);
        buf_deinit(&p->early);
    }
    loop_timer_set(f->target.loop, &f->later, 0, on_free_time);
}

/* The session ends with its last port. */
static void port_over(struct port *p, const char *why)
{
    struct ports *f = p->all;
    _cleanup_(mem_freep) char *text = NULL;
    bool any = false;

    p->over = true;
    if (why) {
        text = mem_printf("error forwarding port %u to pod %s: %s", p->number, f->pod, why);
        websocket_send_channel(f->ws, (unsigned char)(2 * p->index + 1), text, strlen(text));
    }
    for (unsigned i = 0; i < f->n; i++)
        any = any || !f->v[i].over;
    if (!any)
        websocket_close(f->ws, 1000, "");
}

/* --- bytes */

static void raw_data(struct http_raw *w, const char *bytes, size_t len, void *ctx)
{
    struct port *p = ctx;

    if (websocket_send_channel(p->all->ws, (unsigned char)(2 * p->index), bytes, len) > QUEUED_MAX)
        http_raw_pause(w, true);
}

static void raw_drain(struct http_raw *w, void *ctx)
{
    (void)w;
    websocket_pause(((struct port *)ctx)->all->ws, false);
}

static void raw_close(struct http_raw *w, const struct err *why, void *ctx)
{
    struct port *p = ctx;

    (void)why;
    http_raw_end(w);
    p->raw = NULL;
    port_over(p, NULL);
}

static void on_message(struct websocket *w, enum websocket_op op, const char *bytes, size_t len,
                       void *ctx)
{
    struct ports *f = ctx;
    unsigned channel = len ? (unsigned char)bytes[0] : 1;
    struct port *p = channel / 2 < f->n && channel % 2 == 0 ? &f->v[channel / 2] : NULL;
    size_t queued = 0;

    (void)op;
    if (!p || p->over || len < 2)
        return;
    if (p->raw)
        queued = http_raw_write(p->raw, bytes + 1, len - 1);
    else
        buf_add(&p->early, bytes + 1, len - 1);
    if (queued > QUEUED_MAX || p->early.len > QUEUED_MAX)
        websocket_pause(w, true);
}

static void on_drain(struct websocket *w, void *ctx)
{
    struct ports *f = ctx;

    (void)w;
    for (unsigned i = 0; i < f->n; i++)
        if (f->v[i].raw)
            http_raw_pause(f->v[i].raw, false);
}

static void on_close(struct websocket *w, int code, const char *reason, void *ctx)
{
    (void)w;
    (void)code;
    (void)reason;
    ports_end(ctx);
}

/* --- connections */

static void on_dialed(void *ctx, const struct err *err, int fd)
{
    struct dial *d = ctx;
    struct port *p = d->p;
    struct http_raw_ops ops = { raw_data, raw_drain, raw_close, p };
    struct err why = ERR_INIT;

    mem_free(d);
    if (!p) {
        fd_close(fd);
        return;
    }
    p->dial = NULL;
    if (err || http_raw_new(&p->raw, p->all->target.loop, fd, &ops, &why) < 0) {
        p->raw = NULL;
        port_over(p, err ? err->msg : why.msg);
        return;
    }
    if (p->early.len && http_raw_write(p->raw, p->early.p, p->early.len) < HTTP_DRAIN_BYTES)
        websocket_pause(p->all->ws, false);
    buf_deinit(&p->early);
}

static void on_dial_time(struct loop_timer *t)
{
    struct ports *f = container_of(t, struct ports, later);

    for (unsigned i = 0; i < f->n; i++) {
        struct port *p = &f->v[i];
        char head[2] = { (char)(p->number & 255), (char)(p->number >> 8) };

        websocket_send_channel(f->ws, (unsigned char)(2 * i), head, sizeof(head));
        websocket_send_channel(f->ws, (unsigned char)(2 * i + 1), head, sizeof(head));
        p->dial = NEW(struct dial);
        p->dial->p = p;
        f->target.shims->dial(f->st.shim, p->number, on_dialed, p->dial);
    }
}

static void on_gone(struct node_serve_stream *st, bool shim_gone)
{
    st->shim = shim_gone ? NULL : st->shim;
    if (shim_gone)
        ports_end(container_of(st, struct ports, st));
}

static void on_server_gone(struct node_serve_stream *st)
{
    ports_end(container_of(st, struct ports, st));
}

/* --- the request: port=80&port=81, also port=80,81 */

static int add_port(struct ports *f, const char *text, struct err *err)
{
    int64_t number;

    if (str_to_i64(text, 1, 65535, &number, NULL) < 0)
        return err_set(err, ERR_INVALID, "unable to parse \"%s\" as a port", text);
    if (f->n == PORTS_MAX)
        return err_set(err, ERR_INVALID, "more than %d ports", PORTS_MAX);
    f->v[f->n] = (struct port){ .all = f, .index = f->n, .number = (uint16_t)number };
    f->n++;
    return 0;
}

static int read_ports(struct ports *f, const struct node_serve_call *c, struct err *err)
{
    struct slice rest = slice_of(c->req->query), list, one;
    const char *key, *value;

    while (http_query_next(&rest, c->a, &key, &value)) {
        if (!str_eq(key, "port") && !str_eq(key, "ports"))
            continue;
        for (list = slice_of(value); slice_split(&list, ',', &one);)
            if (add_port(f, arena_strndup(c->a, one.p, one.len), err) < 0)
                return -1;
    }
    return f->n ? 0 : err_set(err, ERR_INVALID, "query parameter \"port\" is required");
}

int node_serve_ports(struct node_serve_call *c, const struct node_exec_target *t, struct err *err)
{
    struct websocket_ops ops = { on_message, on_drain, on_close, NULL };
    struct ports *f = NEW(struct ports);

    ops.ctx = f;
    f->target = *t;
    f->target.loop = c->s->loop;
    f->st = (struct node_serve_stream){ .shim = t->shim, .on_gone = on_gone,
                                        .free = on_server_gone };
    f->pod = mem_printf("%s/%s", c->parts[1], c->parts[2]);
    f->v = mem_alloc_array(PORTS_MAX, sizeof(*f->v));
    if (read_ports(f, c, err) < 0 ||
        (!node_serve_stream_add(c->s, &f->st) && err_set(err, ERR_UNAVAILABLE,
                                                         "too many streams at once")) ||
        websocket_accept(&f->ws, c->req, NODE_SERVE_PORTS_PROTOCOL, &ops, err) < 0) {
        ports_end(f);
        return -1;
    }
    loop_timer_set(f->target.loop, &f->later, 0, on_dial_time);
    return 0;
}
