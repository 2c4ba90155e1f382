/* tunnel_agent.c -- dials the server, again and again.
 *
 *   DIAL --on_upgrade--> UP --on_close--> WAIT --timer--> DIAL        DIAL --on_end--> WAIT
 */
#include "core/base/log.h"
#include "net/tunnel/tunnel_mux.h"

struct tunnel_agent {
    struct loop *loop;
    struct http_client *client;
    struct http_call *call;              /* DIAL */
    struct tunnel_mux *mux;              /* UP */
    struct loop_timer timer;             /* WAIT */
    struct tunnel_agent_opts o;          /* allow and its ctx only */
    int64_t up_ms;                       /* when it came up */
    int64_t retry_ms;
    struct err said;                     /* the failure that was logged last */
};

static void dial(struct tunnel_agent *t);

static void on_time(struct loop_timer *timer)
{
    dial(container_of(timer, struct tunnel_agent, timer));
}

/* Half of the time is chance: agents of a server that came back do not come all at once. */
static void wait_a_while(struct tunnel_agent *t)
{
    int64_t half = t->retry_ms / 2;
    uint32_t chance;

    env_random(loop_env(t->loop), &chance, sizeof(chance));
    loop_timer_set(t->loop, &t->timer, half + chance % (half + 1), on_time);
    t->retry_ms = t->retry_ms * 2 < TUNNEL_RETRY_MAX_MS ? t->retry_ms * 2 : TUNNEL_RETRY_MAX_MS;
}

static void failed(struct tunnel_agent *t, const struct err *why)
{
    if (strcmp(t->said.msg, why->msg) != 0)
        log_warn("no tunnel to the server", "why=\"%s\"", why->msg);
    t->said = *why;
    wait_a_while(t);
}

static void on_close(void *ctx, const struct err *why)
{
    struct tunnel_agent *t = ctx;

    log_info("tunnel ended", "why=\"%s\"", why ? why->msg : "the server closed it");
    if (why)
        tunnel_mux_end(t->mux, why->msg);
    else
        tunnel_mux_free(t->mux);
    t->mux = NULL;
    if (loop_now_ms(t->loop) - t->up_ms >= TUNNEL_STEADY_MS)
        t->retry_ms = TUNNEL_RETRY_MIN_MS;
    wait_a_while(t);
}

static int allow(void *ctx, const char *host, uint16_t port, struct err *err)
{
    struct tunnel_agent *t = ctx;

    return t->o.allow(t->o.ctx, host, port, err);
}

static void on_upgrade(struct http_call *call, struct http_raw *raw, void *ctx)
{
    struct tunnel_agent *t = ctx;
    struct tunnel_mux_opts mux = { .loop = t->loop, .agent = true, .allow = allow,
                                   .on_close = on_close, .ctx = t };
    const char *protocol = http_call_field(call, "upgrade");
    struct err err = ERR_INIT;

    t->call = NULL;
    if (!str_eq(protocol, TUNNEL_PROTOCOL)) {
        http_raw_free(raw);
        err_set(&err, ERR_INVALID, "the server speaks \"%.40s\"", protocol ? protocol : "");
        failed(t, &err);
        return;
    }
    t->up_ms = loop_now_ms(t->loop);
    t->said = ERR_INIT;
    t->mux = tunnel_mux_new(raw, &mux);
    log_info("tunnel to the server", "protocol=%s", protocol);
}

static void on_end(struct http_call *call, const struct err *why, void *ctx)
{
    struct tunnel_agent *t = ctx;
    struct slice body = http_call_body(call);
    struct err err = ERR_INIT;

    t->call = NULL;
    if (why)
        err = *why;
    else
        err_set(&err, ERR_DENIED, "the server answers %d %.*s", http_call_status(call),
                (int)(body.len < 120 ? strcspn(body.p, "\r\n") : 120), body.p);
    failed(t, &err);
}

static void dial(struct tunnel_agent *t)
{
    static const struct http_field fields[] = { { "connection", "Upgrade" },
                                                { "upgrade", TUNNEL_PROTOCOL } };
    struct http_call_opts o = {
        .url = TUNNEL_PATH, .fields = fields, .n_fields = ARRAY_LEN(fields), .upgrade = true,
        .collect = true, .body_max = 65536, .on_upgrade = on_upgrade, .on_end = on_end, .ctx = t,
    };
    struct err err = ERR_INIT;

    if (http_client_call(&t->call, t->client, &o, &err) < 0)
        failed(t, &err);
}

int tunnel_agent_new(struct tunnel_agent **out, struct loop *l, const struct tunnel_agent_opts *o,
                     struct err *err)
{
    _cleanup_(tunnel_agent_freep) struct tunnel_agent *t = NEW(struct tunnel_agent);
    struct http_client_opts http = {
        .base_url = o->url, .ca_pem = o->ca_pem, .cert_pem = o->cert_pem, .key_pem = o->key_pem,
        .user_agent = "inro-tunnel", .conns_max = 1,
    };

    t->loop = l;
    t->retry_ms = TUNNEL_RETRY_MIN_MS;
    t->o = (struct tunnel_agent_opts){ .allow = o->allow, .ctx = o->ctx };
    if (http_client_new(&t->client, l, &http, err) < 0)
        return -1;
    dial(t);
    *out = TAKE(t);
    return 0;
}

struct tunnel_agent *tunnel_agent_free(struct tunnel_agent *t)
{
    if (!t)
        return NULL;
    loop_timer_del(&t->timer);
    if (t->call)
        http_call_cancel(t->call);
    tunnel_mux_end(t->mux, "the agent ends");
    http_client_free(t->client);
    return mem_free(t);
}

int tunnel_agent_reload(struct tunnel_agent *t, const struct tunnel_agent_opts *o, struct err *err)
{
    struct http_client_opts http = { .ca_pem = o->ca_pem, .cert_pem = o->cert_pem,
                                     .key_pem = o->key_pem };

    return http_client_reload(t->client, &http, err);
}

bool tunnel_agent_up(const struct tunnel_agent *t)
{
    return t->mux != NULL;
}
