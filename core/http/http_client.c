#include "core/http/http_client.h"

#include <fcntl.h>
#include <stdio.h>

#include "core/base/fd.h"

static const char *const client_bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
};
static const char *const client_alpn[] = { "h2", "http/1.1", NULL };

static char *client_slice(struct slice *s)
{
    char *copy = s->len ? mem_strndup(s->p, s->len) : NULL;

    s->p = copy;
    return copy;
}

static void client_opts_copy(struct http_client_opts *o)
{
    o->base_url = mem_strdup(o->base_url);
    o->ca_file = mem_strdup(o->ca_file);
    o->server_name = mem_strdup(o->server_name);
    o->token = mem_strdup(o->token);
    o->user_agent = mem_strdup(o->user_agent ? o->user_agent : "inro");
    client_slice(&o->ca_pem);
    client_slice(&o->cert_pem);
    client_slice(&o->key_pem);
}

static void client_opts_free(struct http_client_opts *o)
{
    const void *all[] = { o->base_url,   o->ca_file,  o->server_name,
                          o->user_agent, o->ca_pem.p, o->cert_pem.p };

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        mem_free((void *)(uintptr_t)all[i]);
    if (o->token)
        explicit_bzero((void *)(uintptr_t)o->token, strlen(o->token));
    mem_free((void *)(uintptr_t)o->token);
    if (o->key_pem.p)
        explicit_bzero((void *)(uintptr_t)o->key_pem.p, o->key_pem.len);
    mem_free((void *)(uintptr_t)o->key_pem.p);
}

static int client_roots(struct http_client *c, struct buf *out, struct err *err)
{
    if (c->o.ca_file)
        return fd_read_file(out, AT_FDCWD, c->o.ca_file, CRYPTO_BUNDLE_MAX, err);
    for (size_t i = 0; i < ARRAY_LEN(client_bundles); i++)
        if (fd_read_file(out, AT_FDCWD, client_bundles[i], CRYPTO_BUNDLE_MAX, err) == 0)
            return 0;
    return err_set(err, ERR_NOT_FOUND, "no bundle of trusted roots on this machine");
}

/* Made at the first https connection: a client of plain http needs no roots. */
int http_client_tls(struct http_client *c, bool http2, struct tls_ctx **out, struct err *err)
{
    struct tls_ctx_opts t = { .cert_pem = c->o.cert_pem,
                              .key_pem = c->o.key_pem,
                              .ca_pem = c->o.ca_pem,
                              .alpn = client_alpn + !http2,
                              .insecure = c->o.insecure };
    _cleanup_buf_ struct buf roots = BUF_INIT;

    *out = c->tls[http2];
    if (*out)
        return 0;
    if (!t.ca_pem.len && !t.insecure) {
        if (client_roots(c, &roots, err) < 0)
            return -1;
        t.ca_pem = (struct slice){ roots.p, roots.len };
    }
    if (tls_ctx_new(&c->tls[http2], &t, err) < 0)
        return -1;
    *out = c->tls[http2];
    return 0;
}

int http_client_new(struct http_client **out, struct loop *l, const struct http_client_opts *opts,
                    struct err *err)
{
    _cleanup_(http_client_freep) struct http_client *c = NEW(struct http_client);
    struct tls_ctx *tls;

    c->loop = l;
    c->o = *opts;
    client_opts_copy(&c->o);
    if (!c->o.conns_max)
        c->o.conns_max = HTTP_CLIENT_CONNS_MAX;
    if (!c->o.connect_ms)
        c->o.connect_ms = HTTP_CONNECT_MS;
    if (!c->o.idle_ms)
        c->o.idle_ms = HTTP_CLIENT_IDLE_MS;
    c->origins = map_new();
    list_init(&c->calls);
    if (opts->base_url) {
        if (http_url_parse(&c->base, c->o.base_url, err) < 0)
            return err_wrap(err, "base URL");
        c->has_base = true;
        if (c->base.tls && http_client_tls(c, c->o.http2, &tls, err) < 0)
            return -1;
    }
    *out = TAKE(c);
    return 0;
}

/* Connections of before are for the calls that they have. */
static void client_retire(struct http_client *c)
{
    const char *key;
    void *value;

    for (size_t at = 0; map_next(c->origins, &at, &key, &value); ) {
        struct http_origin *o = value;
        struct http_link *k;

        while ((k = list_first(&o->idle, struct http_link, idle)))
            http_link_free(k);
        list_each(shared, &o->conns, struct http_link, all)
            if (shared->share)
                http_share_retire(shared);
    }
}

struct http_client *http_client_free(struct http_client *c)
{
    const char *key;
    void *value;
    struct http_call *call;

    if (!c)
        return NULL;
    while ((call = list_first(&c->calls, struct http_call, link)))
        http_call_free(call);
    for (size_t at = 0; map_next(c->origins, &at, &key, &value); ) {
        struct http_origin *o = value;
        struct http_link *k;

        while ((k = list_first(&o->conns, struct http_link, all)))
            http_link_free(k);
        mem_free(o);
    }
    map_free(c->origins, NULL);
    tls_ctx_unref(c->tls[0]);
    tls_ctx_unref(c->tls[1]);
    client_opts_free(&c->o);
    return mem_free(c);
}

int http_client_reload(struct http_client *c, const struct http_client_opts *opts, struct err *err)
{
    struct http_client_opts fresh = c->o, before = c->o;
    struct tls_ctx *tls[2] = { c->tls[0], c->tls[1] }, *made;

    fresh.ca_pem = opts->ca_pem;
    fresh.ca_file = opts->ca_file;
    fresh.cert_pem = opts->cert_pem;
    fresh.key_pem = opts->key_pem;
    if (opts->token)
        fresh.token = opts->token;
    client_opts_copy(&fresh);
    c->o = fresh;
    c->tls[0] = c->tls[1] = NULL;
    if ((tls[0] || tls[1]) && http_client_tls(c, c->o.http2, &made, err) < 0) {
        c->o = before;
        c->tls[0] = tls[0];
        c->tls[1] = tls[1];
        client_opts_free(&fresh);
        return -1;
    }
    client_opts_free(&before);
    tls_ctx_unref(tls[0]);
    tls_ctx_unref(tls[1]);
    if (c->has_base)                         /* its target points into the text that was replaced */
        http_url_parse(&c->base, c->o.base_url, NULL);
    client_retire(c);
    return 0;
}

void http_client_set_token(struct http_client *c, const char *token)
{
    char *copy = mem_strdup(token);

    mem_free((void *)(uintptr_t)c->o.token);
    c->o.token = copy;
}

static struct http_origin *client_origin(struct http_client *c, const struct http_url *u,
                                         bool http2)
{
    char key[sizeof(u->host) + 32];
    struct http_origin *o;

    snprintf(key, sizeof(key), "%s%s://%s:%u", http2 ? "h2+" : "", u->tls ? "https" : "http",
             u->host, u->port);
    o = map_get(c->origins, key);
    if (o)
        return o;
    o = NEW(struct http_origin);
    o->client = c;
    o->url = *u;
    o->url.target = NULL;
    o->http2 = http2;
    list_init(&o->idle);
    list_init(&o->waiting);
    list_init(&o->conns);
    map_put(c->origins, key, o);
    return o;
}

/* A kept or shared connection that can take a call now. */
static struct http_link *origin_link(struct http_origin *o)
{
    struct http_link *k = list_first(&o->idle, struct http_link, idle);

    if (!k)
        list_each(shared, &o->conns, struct http_link, all)
            if (http_link_takes(shared))
                return shared;
    return k;
}

/* Where HTTP/2 is offered, one connection shows what the server speaks before others are made. */
static bool origin_may_open(const struct http_origin *o)
{
    if (o->http2 && !o->plain)
        list_each(k, &o->conns, struct http_link, all)
            if (http_link_opens(k))
                return false;
    return o->n_conns < o->client->o.conns_max;
}

int http_client_start(struct http_call *c, struct err *err)
{
    struct http_client *client = c->client;
    bool http2 = client->o.http2 && c->to.tls && !c->o.upgrade;
    struct http_origin *o = client_origin(client, &c->to, http2);
    struct http_link *k = origin_link(o);

    c->origin = o;
    c->state = CALL_WAIT;
    if (k && (!c->tried || k->share)) {
        http_link_send(k, c);
        return 0;
    }
    if (origin_may_open(o))
        return http_link_new(o, c, err);
    if (k) {                                 /* a kept one gives way to a fresh one */
        http_link_free(k);
        return http_link_new(o, c, err);
    }
    list_push(&o->waiting, &c->waiting);
    return 0;
}

void http_origin_next(struct http_origin *o)
{
    struct http_call *c;

    while ((origin_link(o) || origin_may_open(o)) &&
           (c = list_first(&o->waiting, struct http_call, waiting))) {
        struct err err = ERR_INIT;

        list_del(&c->waiting);
        if (http_client_start(c, &err) < 0)
            http_call_failed(c, &err);
    }
}
