/* node_get.c -- a client per request, so that nothing is kept between probes. */
#include "runtime/node/node_get.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/vec.h"
#include "core/http/http.h"
#include "runtime/node/prober.h"

#define REDIRECTS_MAX 10
#define USER_AGENT "kube-probe/1.36"

struct node_get {
    struct loop *loop;
    struct http_client *client;
    struct http_call *call;
    struct prober_call *apart;           /* all of it happens there */
    char *url, *host;                    /* of the current request, of the first */
    VEC(struct http_field) fields;       /* texts are the caller's view: valid while it runs */
    int64_t deadline_ms;
    unsigned redirects;
    int status;
    struct buf body;
    struct err err;
    node_get_done *done;
    void *ctx;
    struct loop_timer finish, next;
};

static void get_free(struct node_get *g)
{
    loop_timer_del(&g->finish);
    loop_timer_del(&g->next);
    if (g->call)
        http_call_cancel(g->call);
    prober_cancel(g->apart);
    http_client_free(g->client);
    buf_deinit(&g->body);
    vec_deinit(&g->fields);
    mem_free(g->url);
    mem_free(g->host);
    mem_free(g);
}

static void on_finish(struct loop_timer *t)
{
    struct node_get *g = container_of(t, struct node_get, finish);
    struct node_get_result r = { .status = g->status };

    r.err = g->err.code ? &g->err : NULL;
    r.body = (struct slice){ g->body.p ? g->body.p : "", g->body.len };
    g->done(g->ctx, &r);
    get_free(g);
}

static void finish(struct node_get *g)
{
    loop_timer_set(g->loop, &g->finish, 0, on_finish);
}

void node_get_why(char *out, size_t bytes, int sys_errno)
{
    snprintf(out, bytes, "%s", strerror(sys_errno));
    out[0] = (char)tolower((unsigned char)out[0]);
}

/* In the words of Go's client. */
static void fail(struct node_get *g, const struct err *why)
{
    char text[64];

    if (why->code == ERR_TIMEOUT) {
        err_set(&g->err, why->code,
                "Get \"%s\": context deadline exceeded (Client.Timeout exceeded while awaiting "
                "headers)", g->url);
    } else if (why->sys_errno) {
        struct http_url u;

        node_get_why(text, sizeof(text), why->sys_errno);
        if (http_url_parse(&u, g->url, NULL) < 0)
            u = (struct http_url){ .port = 0 };
        err_set(&g->err, why->code, "Get \"%s\": dial tcp %s:%u: connect: %s", g->url, u.host,
                u.port, text);
    } else {
        err_set(&g->err, why->code, "Get \"%s\": %s", g->url, why->msg);
    }
}

static void start(struct node_get *g);

static void on_next(struct loop_timer *t)
{
    start(container_of(t, struct node_get, next));
}

/* The next URL when it is on the same host; NULL: stay with the answer. */
static char *redirect_to(const struct node_get *g, const char *location)
{
    _cleanup_(mem_freep) char *next = NULL;
    struct http_url u, now;

    if (http_url_parse(&now, g->url, NULL) < 0)
        return NULL;
    if (str_starts(location, "http://") || str_starts(location, "https://"))
        next = mem_strdup(location);
    else if (str_starts(location, "//"))
        next = mem_printf("%s:%s", now.tls ? "https" : "http", location);
    else
        next = mem_printf(strchr(now.host, ':') ? "%s://[%s]:%u%s%s" : "%s://%s:%u%s%s", now.tls ?
                          "https" : "http",
                          now.host, now.port, location[0] == '/' ? "" : "/", location);
    if (http_url_parse(&u, next, NULL) < 0 || !str_eq(u.host, g->host))
        return NULL;
    return TAKE(next);
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static void on_head(struct http_call *c, void *ctx)
{
    struct node_get *g = ctx;
    const char *location = http_call_field(c, "location");
    char *next;

    g->status = http_call_status(c);
    if (!is_redirect(g->status) || !location)
        return;
    next = redirect_to(g, location);
    if (!next)
        return;
    http_call_cancel(g->call);
    g->call = NULL;
    if (++g->redirects > REDIRECTS_MAX) {
        err_set(&g->err, ERR_QUOTA, "Get \"%s\": stopped after %d redirects", next, REDIRECTS_MAX);
        mem_free(next);
        finish(g);
        return;
    }
    mem_free(g->url);
    g->url = next;
    loop_timer_set(g->loop, &g->next, 0, on_next);
}

static void on_data(struct http_call *c, const char *p, size_t len, void *ctx)
{
    struct node_get *g = ctx;
    size_t room = NODE_GET_BODY_MAX - g->body.len;

    (void)c;
    buf_add(&g->body, p, len < room ? len : room);
    if (len < room)
        return;
    http_call_cancel(g->call);           /* enough */
    g->call = NULL;
    finish(g);
}

static void on_end(struct http_call *c, const struct err *why, void *ctx)
{
    struct node_get *g = ctx;

    (void)c;
    g->call = NULL;
    if (why)
        fail(g, why);
    finish(g);
}

static void start(struct node_get *g)
{
    int64_t left = g->deadline_ms - loop_now_ms(g->loop);
    struct http_call_opts o = {
        .url = g->url, .fields = g->fields.v, .n_fields = (unsigned)g->fields.len,
        .timeout_ms = left > 0 ? left : 1, .silence_ms = left > 0 ? left : 1,
        .on_head = on_head, .on_data = on_data, .on_end = on_end, .ctx = g,
    };
    struct err err = ERR_INIT;

    if (http_client_call(&g->call, g->client, &o, &err) == 0)
        return;
    g->call = NULL;
    fail(g, &err);
    finish(g);
}

static void add_fields(struct node_get *g, const struct http_get_action_view *what)
{
    bool has_accept = false;

    for (unsigned i = 0; i < what->n_http_headers; i++) {
        const struct http_header_view *h = &what->http_headers[i];
        struct http_field f = { h->name, h->value ? h->value : "" };

        has_accept = has_accept || strcasecmp(h->name, "accept") == 0;
        if (strcasecmp(h->name, "accept") != 0 || *f.value)
            vec_push(&g->fields, f);
    }
    if (!has_accept)
        vec_push(&g->fields, ((struct http_field){ "Accept", "*/*" }));
    vec_push(&g->fields, ((struct http_field){ "Connection", "close" }));
}

static void on_apart(void *ctx, const struct prober_answer *a)
{
    struct node_get *g = ctx;

    g->apart = NULL;
    g->done(g->ctx, &a->get);
    get_free(g);
}

static struct node_get *start_apart(const struct node_exec_target *t,
                                    const struct node_get_opts *o)
{
    struct prober_ask ask = { .get = o->what, .host = t->pod_ip ? t->pod_ip : "", .port = o->port,
                              .timeout_ms = o->timeout_ms };
    struct node_get *g = NEW(struct node_get);

    *g = (struct node_get){ .loop = t->loop, .done = o->done, .ctx = o->ctx };
    g->apart = prober_call(t->prober, &ask, on_apart, g);
    return g;
}

static struct node_get *start_here(const struct node_exec_target *t, const struct node_get_opts *o)
{
    struct node_get *g = NEW(struct node_get);
    struct http_client_opts client = { .user_agent = USER_AGENT, .insecure = true,
                                       .connect_ms = o->timeout_ms };
    const char *scheme = str_eq(o->what->scheme, "HTTPS") ? "https" : "http";
    const char *path = o->what->path ? o->what->path : "", *host = t->pod_ip ? t->pod_ip : "";

    *g = (struct node_get){ .loop = t->loop, .done = o->done, .ctx = o->ctx, .err = ERR_INIT,
                            .deadline_ms = loop_now_ms(t->loop) + o->timeout_ms };
    g->host = mem_strdup(str_empty(o->what->host) ? host : o->what->host);
    g->url = mem_printf(strchr(g->host, ':') ? "%s://[%s]:%u%s%s" : "%s://%s:%u%s%s", scheme,
                        g->host, o->port, *path == '/' ? "" : "/", path);
    add_fields(g, o->what);
    if (http_client_new(&g->client, t->loop, &client, &g->err) < 0)
        finish(g);
    else
        start(g);
    return g;
}

struct node_get *node_get_start(const struct node_exec_target *t, const struct node_get_opts *o)
{
    return t->prober ? start_apart(t, o) : start_here(t, o);
}

void node_get_cancel(struct node_get *g)
{
    if (g)
        get_free(g);
}

int node_get_port(uint16_t *out, const struct view_int_or_string *port,
                  const struct container_view *c, struct err *err)
{
    int64_t n = port->i;

    if (port->s) {
        n = 0;
        for (unsigned i = 0; i < c->n_ports; i++)
            if (str_eq(c->ports[i].name, port->s))
                n = c->ports[i].container_port;
        if (n == 0 && str_to_i64(port->s, 1, 65535, &n, NULL) < 0)
            return err_set(err, ERR_NOT_FOUND, "port %s not found", port->s);
    }
    if (n < 1 || n > 65535)
        return err_set(err, ERR_INVALID, "invalid port number: %lld", (long long)n);
    *out = (uint16_t)n;
    return 0;
}
