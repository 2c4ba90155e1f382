/* node_hook.c -- one hook from its start to its end. */
#include "runtime/node/node_hook.h"

#include "runtime/node/node_get.h"

#define GET_MS 30000                     /* of a postStart, which has no time of its own */
#define HOOK_MS_MAX 86400000ll

struct node_hook {
    struct node_hook_opts o;
    struct loop *loop;
    char *pod_key;
    struct node_exec *exec;
    struct node_get *get;
    struct loop_timer timer;             /* sleep, what needs nothing, what could not start */
    struct err err;
};

static void hook_free(struct node_hook *h)
{
    loop_timer_del(&h->timer);
    node_exec_cancel(h->exec);
    node_get_cancel(h->get);
    mem_free(h->pod_key);
    mem_free(h);
}

static void end(struct node_hook *h)
{
    h->exec = NULL;
    h->get = NULL;
    h->o.done(h->o.ctx, h->err.code ? &h->err : NULL);
    hook_free(h);
}

static void on_timer(struct loop_timer *t)
{
    end(container_of(t, struct node_hook, timer));
}

static void on_exec(void *ctx, const struct node_exec_result *x)
{
    struct node_hook *h = ctx;
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf text = BUF_INIT;
    const char *why = x->err ? x->err->msg : x->timed_out ? "command timed out"
                      : arena_printf(a, "command '%s' exited with %d",
                                     node_exec_words(a, h->o.handler->exec),
                                     x->exit_code);

    buf_utf8(&text, x->output.p, x->output.len);
    if (x->err || x->timed_out || x->exit_code)
        err_set(&h->err, ERR_FAILED,
                "Exec lifecycle hook ([%s]) for Container \"%s\" in Pod \"%s\" failed - error: "
                "%s, message: \"%s\"", node_exec_words(a, h->o.handler->exec), h->o.container->name,
                    h->pod_key, why,
                text.p ? text.p : "");
    end(h);
}

static void on_get(void *ctx, const struct node_get_result *g)
{
    struct node_hook *h = ctx;
    _cleanup_buf_ struct buf text = BUF_INIT;

    buf_utf8(&text, g->body.p, g->body.len);
    if (g->err)
        err_set(&h->err, ERR_FAILED,
                "HTTP lifecycle hook (%s) for Container \"%s\" in Pod \"%s\" failed - error: "
                "%s, message: \"%s\"", h->o.handler->http_get->path, h->o.container->name,
                    h->pod_key, g->err->msg,
                text.p ? text.p : "");
    end(h);
}

static int start(struct node_hook *h, struct err *err)
{
    const struct lifecycle_handler_view *w = h->o.handler;
    static const struct view_int_or_string http = { NULL, 80 };
    int64_t wait_ms = 0;
    uint16_t port;

    if (w->exec) {
        h->exec = node_exec_start(h->o.target, &(struct node_exec_opts){
            .argv = w->exec->command, .n = w->exec->n_command, .timeout_ms = h->o.timeout_ms,
            .done = on_exec, .ctx = h });
        return 0;
    }
    if (w->http_get) {
        const struct view_int_or_string *p = &w->http_get->port;

        if (node_get_port(&port, p->s && !*p->s ? &http : p, h->o.container, err) < 0)
            return -1;
        h->get = node_get_start(h->o.target, &(struct node_get_opts){
            .what = w->http_get, .port = port, .done = on_get, .ctx = h,
            .timeout_ms = h->o.timeout_ms ? h->o.timeout_ms : GET_MS });
        return 0;
    }
    if (w->sleep)
        wait_ms = w->sleep->seconds > HOOK_MS_MAX / 1000 ? HOOK_MS_MAX : w->sleep->seconds * 1000;
    else if (!w->tcp_socket)
        return err_set(err, ERR_INVALID,
                       "invalid handler: it has none of exec, httpGet, tcpSocket, sleep");
    if (h->o.timeout_ms && wait_ms > h->o.timeout_ms)
        wait_ms = h->o.timeout_ms;
    loop_timer_set(h->loop, &h->timer, wait_ms, on_timer);
    return 0;
}

struct node_hook *node_hook_start(const struct node_hook_opts *o)
{
    struct node_hook *h = NEW(struct node_hook);

    *h = (struct node_hook){ .o = *o, .loop = o->target->loop, .pod_key = mem_strdup(o->pod_key),
                             .err = ERR_INIT };
    if (start(h, &h->err) < 0)
        loop_timer_set(h->loop, &h->timer, 0, on_timer);
    h->o.target = NULL;
    return h;
}

void node_hook_cancel(struct node_hook *h)
{
    if (h)
        hook_free(h);
}
