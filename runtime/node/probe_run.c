/* probe_run.c -- starts what the probe says and turns its end into a result and kubelet's words. */
#include "runtime/node/probe_run.h"

#include "runtime/node/node_get.h"
#include "runtime/node/prober.h"

struct probe_run {
    struct loop *loop;
    const struct probe_view *what;
    int64_t timeout_ms;
    struct node_exec *exec;
    struct node_get *get;
    struct probe_socket *socket;
    struct prober_call *apart;           /* instead of socket */
    enum probe_result result;
    char *message;
    struct loop_timer tell;              /* what failed before it began */
    probe_run_done *done;
    void *ctx;
};

static void run_free(struct probe_run *r)
{
    loop_timer_del(&r->tell);
    node_exec_cancel(r->exec);
    node_get_cancel(r->get);
    probe_socket_cancel(r->socket);
    prober_cancel(r->apart);
    mem_free(r->message);
    mem_free(r);
}

static void end(struct probe_run *r, enum probe_result result, const char *message)
{
    r->exec = NULL;
    r->get = NULL;
    r->socket = NULL;
    r->apart = NULL;
    r->done(r->ctx, result, message);
    run_free(r);
}

static void on_tell(struct loop_timer *t)
{
    struct probe_run *r = container_of(t, struct probe_run, tell);

    end(r, r->result, r->message);
}

static void fail_later(struct probe_run *r, const char *message)
{
    r->result = PROBE_ERROR;
    r->message = mem_strdup(message);
    loop_timer_set(r->loop, &r->tell, 0, on_tell);
}

static void on_exec(void *ctx, const struct node_exec_result *x)
{
    struct probe_run *r = ctx;
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf text = BUF_INIT;

    buf_utf8(&text, x->output.p, x->output.len);
    if (x->err)
        end(r, PROBE_ERROR, x->err->msg);
    else if (x->timed_out)
        end(r, PROBE_FAILURE, arena_printf(a, "command timed out: \"%s\" timed out after %llds",
                                           node_exec_words(a, r->what->exec),
                                           (long long)r->timeout_ms / 1000));
    else
        end(r, x->exit_code == 0 ? PROBE_SUCCESS : PROBE_FAILURE, x->exit_code && text.p ? text.p :
            "");
}

static void on_get(void *ctx, const struct node_get_result *g)
{
    struct probe_run *r = ctx;
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf body = BUF_INIT;

    buf_utf8(&body, g->body.p, g->body.len);
    if (g->err)
        end(r, g->lost ? PROBE_ERROR : PROBE_FAILURE, g->err->msg);
    else if (g->status >= 300 && g->status < 400)
        end(r, PROBE_WARNING, arena_printf(a, "Probe terminated redirects, Response body: %s",
                                           body.p ? body.p : ""));
    else if (g->status >= 200 && g->status < 300)
        end(r, PROBE_SUCCESS, "");
    else
        end(r, PROBE_FAILURE, arena_printf(a, "HTTP probe failed with statuscode: %d", g->status));
}

static void on_socket(void *ctx, enum probe_result result, const char *message)
{
    end(ctx, result, message);
}

static void on_apart(void *ctx, const struct prober_answer *a)
{
    end(ctx, a->result, a->message);
}

static void start_socket(struct probe_run *r, const struct node_exec_target *t,
                         const struct probe_socket_opts *o)
{
    struct prober_ask ask = { .host = o->host, .port = o->port, .service = o->service,
                              .timeout_ms = o->timeout_ms };

    if (t->prober)
        r->apart = prober_call(t->prober, &ask, on_apart, r);
    else
        r->socket = probe_socket_start(t->loop, o);
}

static int start(struct probe_run *r, const struct node_exec_target *t,
                 const struct container_view *c,
                 struct err *err)
{
    const struct probe_view *w = r->what;
    struct probe_socket_opts so = { .host = t->pod_ip ? t->pod_ip : "", .timeout_ms = r->timeout_ms,
                                    .done = on_socket, .ctx = r };
    uint16_t port = 0;

    if (w->exec) {
        r->exec = node_exec_start(t, &(struct node_exec_opts){
            .argv = w->exec->command, .n = w->exec->n_command, .timeout_ms = r->timeout_ms,
            .done = on_exec, .ctx = r });
    } else if (w->http_get) {
        if (node_get_port(&port, &w->http_get->port, c, err) < 0)
            return -1;
        r->get = node_get_start(t, &(struct node_get_opts){
            .what = w->http_get, .port = port, .timeout_ms = r->timeout_ms, .done = on_get, .ctx =
                r });
    } else if (w->tcp_socket) {
        if (node_get_port(&so.port, &w->tcp_socket->port, c, err) < 0)
            return -1;
        if (!str_empty(w->tcp_socket->host))
            so.host = w->tcp_socket->host;
        start_socket(r, t, &so);
    } else if (w->grpc) {
        so.port = (uint16_t)w->grpc->port;
        so.service = w->grpc->service ? w->grpc->service : "";
        start_socket(r, t, &so);
    } else {
        return err_set(err, ERR_INVALID, "missing probe handler for container %s", c->name);
    }
    return 0;
}

struct probe_run *probe_run_start(const struct node_exec_target *t, const struct probe_view *what,
                                  const struct container_view *c, probe_run_done *done, void *ctx)
{
    struct probe_run *r = NEW(struct probe_run);
    struct err err = ERR_INIT;

    *r = (struct probe_run){ .loop = t->loop, .what = what, .done = done, .ctx = ctx };
    r->timeout_ms = (what->timeout_seconds > 0 ? what->timeout_seconds : 1) * 1000ll;
    if (start(r, t, c, &err) < 0)
        fail_later(r, err.msg);
    return r;
}

void probe_run_cancel(struct probe_run *r)
{
    if (r)
        run_free(r);
}
