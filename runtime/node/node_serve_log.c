/* node_serve_log.c -- containerLogs: options as kubelet reads them, then node_log into a streamed
 * answer. */
#include "runtime/node/node_serve_int.h"

#include "core/base/timefmt.h"
#include "runtime/node/node_log.h"

#define QUEUED_MAX (256u << 10)          /* bytes the peer has not yet taken before reading rests */

struct log_stream {
    struct node_serve_stream st;
    struct http_req *req;                /* NULL: ended */
    struct node_log *log;
};

/* --- options */

static int number(const struct node_serve_call *c, const char *name, int64_t min, int64_t *out,
                  struct err *err)
{
    const char *v = node_serve_query(c, name);

    if (str_empty(v))
        return 0;
    if (str_to_i64(v, INT64_MIN, INT64_MAX, out, NULL) < 0)
        return err_set(err, ERR_INVALID,
                       "unable to decode query: %s: Invalid value: \"%s\": must be a number", name,
                       v);
    if (*out < min)
        return err_set(err, ERR_INVALID,
                       "%s: Invalid value: %lld: must be greater than or equal to %lld", name,
                       (long long)*out, (long long)min);
    return 0;
}

static int read_options(const struct node_serve_call *c, struct node_log_opts *o, struct err *err)
{
    const char *since = node_serve_query(c, "sinceTime");
    int64_t seconds = 0;

    *o = (struct node_log_opts){ .follow = node_serve_flag(c, "follow"), .tail = -1,
                                 .limit_bytes = -1,
                                 .timestamps = node_serve_flag(c, "timestamps") };
    if (number(c, "tailLines", 0, &o->tail, err) < 0 || number(c, "limitBytes", 1, &o->limit_bytes,
                                                               err) < 0 ||
        number(c, "sinceSeconds", 1, &seconds, err) < 0)
        return -1;
    if (seconds && !str_empty(since))
        return err_set(err, ERR_INVALID,
                       "at most one of `sinceTime` or `sinceSeconds` may be specified");
    if (!str_empty(since) && timefmt_parse(since, &o->since_us, err) < 0)
        return err_wrap(err, "sinceTime");
    if (seconds) {
        int64_t now_us = env_wall_us(loop_env(c->s->loop));

        o->since_us = seconds < now_us / 1000000 ? now_us - seconds * 1000000 : 1;
    }
    return 0;
}

/* --- the stream */

static void log_free(struct log_stream *g)
{
    node_serve_stream_del(&g->st);
    node_log_free(g->log);
    mem_free(g);
}

static void on_data(void *ctx, const char *p, size_t len)
{
    struct log_stream *g = ctx;

    if (http_stream_write(g->req, p, len) > QUEUED_MAX)
        node_log_pause(g->log, true);
}

static void on_drain(struct http_req *req)
{
    struct log_stream *g = req->user;

    node_log_pause(g->log, false);
}

static void on_end(void *ctx, const struct err *err)
{
    struct log_stream *g = ctx;

    if (err)
        http_stream_write(g->req, err->msg, strlen(err->msg));
    http_stream_end(g->req);
    log_free(g);
}

static void on_peer_gone(struct http_req *req)
{
    struct log_stream *g = req->user;

    http_stream_end(req);
    log_free(g);
}

static void on_container_gone(struct node_serve_stream *st, bool shim_gone)
{
    struct log_stream *g = container_of(st, struct log_stream, st);

    (void)shim_gone;
    st->shim = NULL;
    node_log_finish(g->log);
}

static void on_server_gone(struct node_serve_stream *st)
{
    struct log_stream *g = container_of(st, struct log_stream, st);

    http_abort(g->req);                  /* what was sent is not all */
    log_free(g);
}

void node_serve_log(struct node_serve_call *c)
{
    struct node_serve_container found = { .log_path = NULL };
    struct http_answer head = { .status = 200, .type = "text/plain" };
    struct node_serve_name name;
    struct node_log_opts o;
    struct err err = ERR_INIT;
    struct log_stream *g;

    name = (struct node_serve_name){ .ns = c->parts[1], .pod = c->parts[2],
                                     .container = c->parts[3],
                                     .uid = "", .previous = node_serve_flag(c, "previous") };
    if (read_options(c, &o, &err) < 0 || c->s->ops->log(c->s->ctx, &name, &found, c->a, &err) < 0) {
        node_serve_refuse_err(c, &err);
        return;
    }
    g = NEW(struct log_stream);
    g->st = (struct node_serve_stream){ .on_gone = on_container_gone, .free = on_server_gone };
    g->st.shim = found.running ? found.target.shim : NULL;
    (void)str_copy(g->st.container_id, sizeof(g->st.container_id),
                   found.target.container_id ? found.target.container_id : "", NULL);
    g->req = c->req;
    if (!node_serve_stream_add(c->s, &g->st)) {
        mem_free(g);
        node_serve_refuse(c, 503, "too many streams at once");
        return;
    }
    o.path = found.log_path;
    o.watch = c->s->watch;
    o.follow = o.follow && found.running;
    o.on_data = on_data;
    o.on_end = on_end;
    o.ctx = g;
    c->req->user = g;
    c->req->on_gone = on_peer_gone;
    c->req->on_drain = on_drain;
    http_stream_begin(c->req, &head);
    g->log = node_log_new(c->s->loop, c->s->jobs, &o);
}
