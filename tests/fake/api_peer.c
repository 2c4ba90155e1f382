#include "tests/fake/api_peer.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/crypto/crypto.h"
#include "core/tls/tls.h"

#define STEP_MS 10
#define PATIENCE_MS 300000               /* fifty handshakes at once, on an emulated processor */

struct api_peer {
    struct api_box *box;
    struct http_server *server;
    struct http_client *client;
    struct tls_ctx *tls;
    struct arena *a;                    /* of the last reply */
    struct api_reply reply;
    bool done;
};

struct api_stream {
    struct api_peer *peer;
    struct http_call *call;
    struct buf got, line;
    bool ended;
};

/* --- certificates */

struct material { struct buf ca, server, server_key, client, client_key; };

static void material_deinit(struct material *m)
{
    struct buf *all[] = { &m->ca, &m->server, &m->server_key, &m->client, &m->client_key };

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        buf_deinit(all[i]);
}

struct authority { struct crypto_key *key; struct crypto_cert *cert; };

static int issue(struct authority *ca, const struct crypto_issue *what, struct buf *cert,
                 struct buf *key_pem, struct err *err)
{
    _cleanup_(crypto_key_unrefp) struct crypto_key *key = NULL;

    if (crypto_key_new(&key, err) < 0 || crypto_key_write(key_pem, key, err) < 0)
        return -1;
    return crypto_cert_issue(cert, ca->cert, ca->key, key, what, err);
}

static int make(struct material *m, const char *cn, const char *org, struct err *err)
{
    const char *const dns[] = { "localhost", NULL }, *const orgs[] = { org, NULL };
    int64_t now = env_wall_s(env_real());
    struct crypto_issue what = { .cn = "test", .uses = CRYPTO_USE_CA, .not_before_s = now - 60,
                                 .not_after_s = now + 3600 };
    struct authority ca = { 0 };
    int result = -1;

    if (crypto_key_new(&ca.key, err) < 0 || crypto_ca_new(&m->ca, ca.key, &what, err) < 0 ||
        crypto_cert_parse(&ca.cert, m->ca.p, m->ca.len, err) < 0)
        goto out;
    what.uses = CRYPTO_USE_SERVER;
    what.dns = dns;
    if (issue(&ca, &what, &m->server, &m->server_key, err) < 0)
        goto out;
    what = (struct crypto_issue){ .cn = cn, .orgs = org ? orgs : NULL, .uses = CRYPTO_USE_CLIENT,
                                  .not_before_s = now - 60, .not_after_s = now + 3600 };
    result = cn ? issue(&ca, &what, &m->client, &m->client_key, err) : 0;
out:
    crypto_cert_unref(ca.cert);
    crypto_key_unref(ca.key);
    return result;
}

/* --- the two ends */

static int dial(void *ctx, const char *host, uint16_t port, struct err *err)
{
    struct api_peer *p = ctx;
    int fds[2];

    (void)host;
    (void)port;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
        return err_set(err, ERR_SYSTEM, "socketpair");
    if (http_server_adopt(p->server, fds[0], p->tls, err) < 0) {
        close(fds[1]);
        return -1;
    }
    return fds[1];
}

static struct slice slice_of_buf(const struct buf *b)
{
    return (struct slice){ b->p ? b->p : "", b->len };
}

static int open_ends(struct api_peer *p, const struct material *m, struct err *err)
{
    static const char *const alpn[] = { "h2", "http/1.1", NULL };
    struct http_server_opts so = { .on_request = api_on_request, .ctx = p->box->api,
                                   .handshake_ms = PATIENCE_MS };
    struct tls_ctx_opts to = { .server = true, .want_peer = true, .alpn = alpn,
                               .cert_pem = slice_of_buf(&m->server), .ca_pem = slice_of_buf(&m->ca),
                               .key_pem = slice_of_buf(&m->server_key) };
    struct http_client_opts co = { .base_url = "https://localhost:6443", .dial = dial,
                                   .dial_ctx = p, .connect_ms = PATIENCE_MS,
                                   .ca_pem = slice_of_buf(&m->ca), .user_agent = "test/1",
                                   .cert_pem = slice_of_buf(&m->client),
                                   .key_pem = slice_of_buf(&m->client_key) };

    if (tls_ctx_new(&p->tls, &to, err) < 0 ||
        http_server_new(&p->server, p->box->loop, &so, err) < 0)
        return -1;
    return http_client_new(&p->client, p->box->loop, &co, err);
}

int api_peer_new(struct api_peer **out, struct api_box *b, const char *cn, const char *org,
                 struct err *err)
{
    struct api_peer *p = NEW(struct api_peer);
    struct material m = { 0 };

    p->box = b;
    p->a = arena_new(0);
    if (make(&m, cn, org, err) < 0 || open_ends(p, &m, err) < 0)
        p = api_peer_free(p);
    material_deinit(&m);
    *out = p;
    return p ? 0 : -1;
}

struct api_peer *api_peer_free(struct api_peer *p)
{
    if (!p)
        return NULL;
    http_client_free(p->client);
    http_server_free(p->server);
    for (int i = 0; i < 20 && loop_step(p->box->loop, 0); i++)
        continue;                       /* what was on its way is thrown away */
    tls_ctx_unref(p->tls);
    arena_free(p->a);
    return mem_free(p);
}

/* --- calls */

static const char *header(struct api_peer *p, const struct http_call *call, const char *name)
{
    const char *v = http_call_field(call, name);

    return arena_strdup(p->a, v ? v : "");
}

static void on_end(struct http_call *call, const struct err *why, void *ctx)
{
    struct api_peer *p = ctx;
    struct api_reply *r = &p->reply;
    struct slice body = http_call_body(call);
    struct json *tree;

    p->done = true;
    if (why) {
        r->text = arena_strdup(p->a, why->msg);
        return;
    }
    r->code = http_call_status(call);
    r->text = arena_strndup(p->a, body.p, body.len);
    r->len = body.len;
    r->type = header(p, call, "content-type");
    r->warning = header(p, call, "warning");
    r->etag = header(p, call, "etag");
    r->location = header(p, call, "location");
    if (json_parse(&tree, p->a, body.p, body.len, NULL, NULL) == 0)
        r->json = tree;
}

const struct api_reply *api_peer_ask(struct api_peer *p, const struct api_ask *ask)
{
    struct http_field fields[3] = { { "Accept", ask->accept ? ask->accept : "application/json" } };
    struct http_call_opts o = {
        .method = ask->method, .url = ask->path, .fields = fields, .n_fields = 1, .collect = true,
        .type = ask->body ? (ask->type ? ask->type : "application/json") : NULL, .on_end = on_end,
        .ctx = p, .timeout_ms = PATIENCE_MS,
    };
    struct http_call *call;
    struct err err = ERR_INIT;

    arena_reset(p->a);
    p->done = false;
    p->reply = (struct api_reply){ .text = "", .type = "", .warning = "", .etag = "",
                                   .location = "" };
    if (ask->token)
        fields[o.n_fields++] = (struct http_field){ "Authorization",
                                                    arena_printf(p->a, "Bearer %s", ask->token) };
    if (ask->node_password)
        fields[o.n_fields++] = (struct http_field){ "Inro-Node-Password", ask->node_password };
    if (ask->body)
        o.body = (struct slice){ ask->body, ask->body_len ? ask->body_len : strlen(ask->body) };
    check(http_client_call(&call, p->client, &o, &err) == 0);
    for (int i = 0; i < API_PEER_STEPS_MAX && !p->done; i++)
        loop_step(p->box->loop, STEP_MS);
    check(p->done);
    return &p->reply;
}

const struct api_reply *api_peer_get(struct api_peer *p, const char *path)
{
    return api_peer_ask(p, &(struct api_ask){ .method = "GET", .path = path });
}

const struct api_reply *api_peer_post(struct api_peer *p, const char *path, const char *body)
{
    return api_peer_ask(p, &(struct api_ask){ .method = "POST", .path = path, .body = body });
}

const struct api_reply *api_peer_put(struct api_peer *p, const char *path, const char *body)
{
    return api_peer_ask(p, &(struct api_ask){ .method = "PUT", .path = path, .body = body });
}

const struct api_reply *api_peer_delete(struct api_peer *p, const char *path, const char *body)
{
    return api_peer_ask(p, &(struct api_ask){ .method = "DELETE", .path = path, .body = body });
}

const struct api_reply *api_peer_patch(struct api_peer *p, const char *path, const char *kind,
                                       const char *body)
{
    char type[64];

    snprintf(type, sizeof(type), "application/%s-patch+json", kind);
    return api_peer_ask(p, &(struct api_ask){ .method = "PATCH", .path = path, .body = body,
                                              .type = type });
}

/* --- watches */

static void on_line(struct http_call *call, const char *data, size_t len, void *ctx)
{
    struct api_stream *s = ctx;

    (void)call;
    buf_add(&s->got, data, len);
}

static void on_stream_end(struct http_call *call, const struct err *why, void *ctx)
{
    struct api_stream *s = ctx;

    (void)call;
    (void)why;
    s->ended = true;
    s->call = NULL;
}

struct api_stream *api_peer_watch(struct api_peer *p, const char *path, const char *accept)
{
    struct api_stream *s = NEW(struct api_stream);
    struct http_field field = { "Accept", accept ? accept : "application/json" };
    struct http_call_opts o = { .method = "GET", .url = path, .fields = &field, .n_fields = 1,
                                .on_data = on_line, .on_end = on_stream_end, .ctx = s,
                                .timeout_ms = PATIENCE_MS };
    struct err err = ERR_INIT;

    s->peer = p;
    check(http_client_call(&s->call, p->client, &o, &err) == 0);
    return s;
}

static bool take_line(struct api_stream *s)
{
    const char *end = s->got.len ? memchr(s->got.p, '\n', s->got.len) : NULL;
    size_t len;

    if (!end)
        return false;
    len = (size_t)(end - s->got.p);
    buf_clear(&s->line);
    buf_add(&s->line, s->got.p, len);
    memmove(s->got.p, end + 1, s->got.len - len - 1);
    s->got.len -= len + 1;
    return true;
}

const char *api_stream_line(struct api_stream *s)
{
    for (int i = 0; i < API_PEER_STEPS_MAX; i++) {
        if (take_line(s))
            return s->line.p ? s->line.p : "";
        if (s->ended)
            return NULL;
        loop_step(s->peer->box->loop, STEP_MS);
    }
    return NULL;
}

bool api_stream_is_quiet(struct api_stream *s, int ms)
{
    int64_t until = env_mono_ms(env_real()) + ms;

    while (env_mono_ms(env_real()) < until)
        loop_step(s->peer->box->loop, 1);
    return s->got.len == 0;
}

bool api_stream_ended(const struct api_stream *s)
{
    return s->ended;
}

struct api_stream *api_stream_free(struct api_stream *s)
{
    if (!s)
        return NULL;
    if (s->call)
        http_call_cancel(s->call);
    buf_deinit(&s->got);
    buf_deinit(&s->line);
    return mem_free(s);
}
