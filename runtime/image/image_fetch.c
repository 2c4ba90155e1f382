/* image_fetch.c -- one GET after another over an HTTP client on a private loop.
 *
 *   GET endpoint --401--> token --> GET endpoint --307--> GET elsewhere --200--> body
 */
#include "runtime/image/image_fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/b64.h"
#include "core/base/check.h"
#include "core/http/http.h"
#include "core/loop/loop.h"

#define FETCH_CHALLENGES_MAX 2                  /* of one GET: the token may have expired */
#define FETCH_ARENA_BYTES (4u << 20)

struct image_fetch {
    struct loop *loop;
    struct http_client *client;
    const struct image_endpoint *e;
    struct image_cred cred;
    bool has_cred;
    int64_t stall_ms;
    char *authorization;  /* what the endpoint wants to hear; NULL before it asked */
};

/* One request and what came back. */
struct fetch_call {
    const struct image_fetch_ask *ask;          /* NULL: the body is collected, of any status */
    struct http_call *call;
    bool ended, failed;
    struct err err;
    int status;
    int64_t from;
    struct buf text;                            /* of an error, or of a token */
    char *location, *challenge;
};

struct image_fetch *image_fetch_free(struct image_fetch *f)
{
    if (!f)
        return NULL;
    http_client_free(f->client);
    loop_free(f->loop);
    mem_free(f->authorization);
    return mem_free(f);
}

int image_fetch_new(struct image_fetch **out, const struct image_endpoint *e, size_t cred,
                    int64_t stall_ms, struct err *err)
{
    _cleanup_(image_fetch_freep) struct image_fetch *f = NEW(struct image_fetch);
    struct http_client_opts o = {
        .ca_pem = slice_of(e->ca_pem), .cert_pem = slice_of(e->cert_pem),
        .key_pem = slice_of(e->key_pem), .insecure = e->insecure, .user_agent = "inro",
    };

    f->e = e;
    f->stall_ms = stall_ms;
    f->has_cred = cred < e->creds.n;
    if (f->has_cred)
        f->cred = e->creds.v[cred];
    if (loop_new(&f->loop, env_real(), err) < 0 ||
        http_client_new(&f->client, f->loop, &o, err) < 0)
        return err_wrap(err, "%s", e->url);
    *out = TAKE(f);
    return 0;
}

/* --- one request */

static void fetch_deinit(struct fetch_call *c)
{
    if (c->call)
        http_call_cancel(c->call);
    buf_deinit(&c->text);
    c->location = mem_free(c->location);
    c->challenge = mem_free(c->challenge);
}

static void fetch_fail(struct fetch_call *c, const struct err *why)
{
    if (!c->failed)
        c->err = *why;
    c->failed = c->ended = true;
}

/* "bytes 100-199/200" -> 100; -1 when it is something else. */
static int64_t fetch_range_start(const char *text)
{
    char *end;
    long long v;

    if (!text || !str_starts(text, "bytes "))
        return -1;
    v = strtoll(text + 6, &end, 10);
    return *end == '-' && v >= 0 ? v : -1;
}

static void fetch_on_head(struct http_call *call, void *ctx)
{
    struct fetch_call *c = ctx;
    struct err err = ERR_INIT;

    c->status = http_call_status(call);
    c->location = mem_strdup(http_call_field(call, "location"));
    c->challenge = mem_strdup(http_call_field(call, "www-authenticate"));
    if (!c->ask || c->status / 100 != 2)
        return;
    if (c->status == 206)
        c->from = fetch_range_start(http_call_field(call, "content-range"));
    if (c->from < 0 || (c->status == 206 && c->from != c->ask->from)) {
        err_set(&err, ERR_CORRUPT, "the registry sent another range than it was asked for");
        fetch_fail(c, &err);
    } else if (c->ask->on_start(c->ask->ctx, c->from, &err) < 0) {
        fetch_fail(c, &err);
    }
}

static void fetch_on_data(struct http_call *call, const char *p, size_t len, void *ctx)
{
    struct fetch_call *c = ctx;
    struct err err = ERR_INIT;

    (void)call;
    if (c->failed)
        return;
    if (!c->ask || c->status / 100 != 2) {
        if (c->text.len + len <= IMAGE_FETCH_ERROR_BYTES_MAX)
            buf_add(&c->text, p, len);
        return;
    }
    if (c->ask->on_data(c->ask->ctx, p, len, &err) < 0)
        fetch_fail(c, &err);
}

/* What a connection may fail with, in the few words that callers tell apart. */
static void fetch_sort_error(struct err *out, const struct err *why)
{
    *out = *why;
    if (why->code == ERR_SYSTEM || why->code == ERR_FAILED || why->code == ERR_NOT_FOUND)
        out->code = ERR_UNAVAILABLE;
    if (strstr(why->msg, "certificate"))        /* trying again would not help */
        err_set(out, ERR_DENIED,
                "%.250s (if it was made by a CA of your own, name that as tls.ca_file in "
                "the configs of registries.yaml)", why->msg);
}

static void fetch_on_end(struct http_call *call, const struct err *why, void *ctx)
{
    struct fetch_call *c = ctx;
    struct err err;

    (void)call;
    c->call = NULL;
    c->ended = true;
    if (!why || c->failed)
        return;
    fetch_sort_error(&err, why);
    fetch_fail(c, &err);
}

static int fetch_run(struct fetch_call *c, struct image_fetch *f, const struct http_call_opts *with,
                     struct err *err)
{
    struct http_call_opts o = *with;

    o.timeout_ms = f->stall_ms < IMAGE_FETCH_HEAD_MS ? f->stall_ms : IMAGE_FETCH_HEAD_MS;
    o.silence_ms = f->stall_ms;
    o.on_head = fetch_on_head;
    o.on_data = fetch_on_data;
    o.on_end = fetch_on_end;
    o.ctx = c;
    if (http_client_call(&c->call, f->client, &o, err) < 0)
        return -1;
    while (!c->ended)
        loop_step(f->loop, -1);
    if (c->call) {                              /* a callback refused */
        http_call_cancel(c->call);
        c->call = NULL;
    }
    if (c->failed && err)
        *err = c->err;
    return c->failed ? -1 : 0;
}

/* --- answers that are no success */

/* The first message of {"errors":[{"code":..., "message":...}]}, or "". */
static void fetch_server_says(char out[200], const struct buf *text)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(FETCH_ARENA_BYTES);
    struct json *doc = NULL, *first;
    const char *code, *message;

    out[0] = 0;
    if (text->len == 0 || json_parse(&doc, a, text->p, text->len, NULL, NULL) < 0)
        return;
    first = json_at(json_get(doc, "errors"), 0);
    code = json_get_str(first, "code");
    message = json_get_str(first, "message");
    if (message || code)
        snprintf(out, 200, ": %.50s: %.140s", code ? code : "error", message ? message : "");
}

static int fetch_status_error(const struct fetch_call *c, struct err *err)
{
    char says[200];

    fetch_server_says(says, &c->text);
    switch (c->status) {
    case 401: case 403:
        return err_set(err, ERR_DENIED,
                       "pull access denied, repository does not exist or may require "
                       "authorization%s", says);
    case 404:
        return err_set(err, ERR_NOT_FOUND, "not found%s", says);
    case 429:
        return err_set(err, ERR_UNAVAILABLE, "too many requests (429)%s", says);
    case 408: case 500: case 502: case 503: case 504:
        return err_set(err, ERR_UNAVAILABLE, "the registry answers %d%s", c->status, says);
    default:
        return err_set(err, ERR_CORRUPT, "the registry answers %d%s", c->status, says);
    }
}

/* --- authorization */

static void fetch_set_basic(struct image_fetch *f)
{
    _cleanup_buf_ struct buf pair = BUF_INIT;
    _cleanup_buf_ struct buf b = BUF_INIT;

    buf_fmt(&pair, "%s:%s", f->cred.user, f->cred.password);
    buf_str(&b, "Basic ");
    b64_encode(&b, B64_STD, pair.p, pair.len);
    mem_free(f->authorization);
    f->authorization = buf_take(&b, NULL);
}

static void fetch_escape(struct buf *b, const char *key, const char *value)
{
    if (!*value)
        return;
    buf_fmt(b, "%s%s=", b->len > 0 && b->p[b->len - 1] != '?' ? "&" : "", key);
    http_escape(b, slice_of(value));
}

/* The request for a token: a form that is posted with an identity token, else a query. */
static int fetch_ask_token(struct fetch_call *c, struct image_fetch *f,
                           const struct image_challenge *ch,
                           struct err *err)
{
    bool post = f->has_cred && *f->cred.identity_token;
    _cleanup_buf_ struct buf params = BUF_INIT;
    _cleanup_buf_ struct buf url = BUF_INIT;
    struct http_field basic = { "authorization", NULL };
    struct http_call_opts o = { 0 };

    if (post) {
        fetch_escape(&params, "grant_type", "refresh_token");
        fetch_escape(&params, "client_id", "inro");
        fetch_escape(&params, "refresh_token", f->cred.identity_token);
    }
    fetch_escape(&params, "service", ch->service);
    fetch_escape(&params, "scope", ch->scope);
    if (f->has_cred && !post && *f->cred.user) {
        fetch_escape(&params, "account", f->cred.user);
        fetch_set_basic(f);
        basic.value = f->authorization;
        o.fields = &basic;
        o.n_fields = 1;
    }
    buf_str(&url, ch->realm);
    if (!post && params.len > 0)
        buf_fmt(&url, "%c%s", strchr(ch->realm, '?') ? '&' : '?', params.p);
    o.url = url.p;
    if (post) {
        o.method = "POST";
        o.type = "application/x-www-form-urlencoded";
        o.body = (struct slice){ params.p, params.len };
    }
    return fetch_run(c, f, &o, err);
}

static int fetch_token(struct image_fetch *f, const struct image_challenge *ch, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(FETCH_ARENA_BYTES);
    _cleanup_(fetch_deinit) struct fetch_call c = { 0 };
    struct json *doc = NULL;
    const char *token;

    if (!str_starts(ch->realm, "https://") &&
        !(str_starts(ch->realm, "http://") && str_starts(f->e->url, "http://")))
        return err_set(err, ERR_CORRUPT, "the registry names a bad token server: \"%.200s\"",
                       ch->realm);
    if (f->has_cred && *f->cred.registry_token) {
        mem_free(f->authorization);
        f->authorization = mem_printf("Bearer %s", f->cred.registry_token);
        return 0;
    }
    if (fetch_ask_token(&c, f, ch, err) < 0)
        return err_wrap(err, "token server %.150s", ch->realm);
    if (c.status / 100 != 2) {
        fetch_status_error(&c, err);
        return err_wrap(err, "token server %.150s", ch->realm);
    }
    if (c.text.len > 0 && json_parse(&doc, a, c.text.p, c.text.len, NULL, NULL) < 0)
        doc = NULL;
    token = json_get_str(doc, "token");
    if (!token)
        token = json_get_str(doc, "access_token");
    if (!token || !*token || strpbrk(token, "\r\n"))
        return err_set(err, ERR_CORRUPT, "token server %.150s: no token in the answer", ch->realm);
    mem_free(f->authorization);
    f->authorization = mem_printf("Bearer %s", token);
    return 0;
}

/* After a 401: something better to say next time, or ERR_DENIED. */
static int fetch_answer_challenge(struct image_fetch *f, const struct fetch_call *c,
                                  struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(FETCH_ARENA_BYTES);
    struct image_challenge ch = { 0 };

    if (c->challenge)
        image_auth_challenge(&ch, a, c->challenge);
    if (ch.bearer)
        return fetch_token(f, &ch, err);
    if (!ch.basic || !f->has_cred || !*f->cred.user)
        return fetch_status_error(c, err);
    fetch_set_basic(f);
    return 0;
}

/* --- redirects */

static bool fetch_is_redirect(const struct fetch_call *c)
{
    return c->location && (c->status == 301 || c->status == 302 || c->status == 303 ||
                           c->status == 307 || c->status == 308);
}

/* The address that `location` means, seen from `url`. */
static int fetch_redirect(char **url, const char *location, struct err *err)
{
    struct http_url from, to;
    char *next;

    if (http_url_parse(&from, *url, err) < 0)
        return -1;
    if (location[0] == '/' && location[1] != '/')
        next = mem_printf("%s://%s%s%s:%u%s", from.tls ? "https" : "http",
                          strchr(from.host, ':') ? "[" : "", from.host,
                          strchr(from.host, ':') ? "]" : "", from.port, location);
    else
        next = mem_strdup(location);
    if (http_url_parse(&to, next, NULL) < 0 || (from.tls && !to.tls)) {
        err_set(err, ERR_CORRUPT, "the registry redirects to \"%.200s\"", next);
        mem_free(next);
        return -1;
    }
    mem_free(*url);
    *url = next;
    return 0;
}

static bool fetch_same_origin(const char *a, const char *b)
{
    struct http_url x, y;

    return http_url_parse(&x, a, NULL) == 0 && http_url_parse(&y, b, NULL) == 0 && x.tls == y.tls &&
           x.port == y.port && str_eq(x.host, y.host);
}

/* One request at one address. */
static int fetch_at(struct fetch_call *c, struct image_fetch *f, const char *url, struct err *err)
{
    const struct image_fetch_ask *ask = c->ask;
    struct http_field fields[3];
    struct http_call_opts o = { .url = url, .fields = fields, .body_max = ask->max_bytes };
    char range[48];

    if (ask->accept)
        fields[o.n_fields++] = (struct http_field){ "accept", ask->accept };
    if (f->authorization && fetch_same_origin(url, f->e->url))
        fields[o.n_fields++] = (struct http_field){ "authorization", f->authorization };
    if (ask->from > 0) {
        snprintf(range, sizeof(range), "bytes=%lld-", (long long)ask->from);
        fields[o.n_fields++] = (struct http_field){ "range", range };
    }
    return fetch_run(c, f, &o, err);
}

static int fetch_follow(struct image_fetch *f, const struct image_fetch_ask *ask, char **url,
                        struct err *err)
{
    unsigned redirects = 0, challenges = 0;

    for (;;) {
        _cleanup_(fetch_deinit) struct fetch_call c = { .ask = ask };

        if (fetch_at(&c, f, *url, err) < 0)
            return -1;
        if (c.status / 100 == 2)
            return 0;
        if (fetch_is_redirect(&c)) {
            if (redirects++ == IMAGE_FETCH_REDIRECTS_MAX)
                return err_set(err, ERR_CORRUPT, "more than %d redirects",
                               IMAGE_FETCH_REDIRECTS_MAX);
            if (fetch_redirect(url, c.location, err) < 0)
                return -1;
            continue;
        }
        if (c.status != 401 || challenges++ == FETCH_CHALLENGES_MAX ||
            !fetch_same_origin(*url, f->e->url))
            return fetch_status_error(&c, err);
        if (fetch_answer_challenge(f, &c, err) < 0)
            return -1;
    }
}

int image_fetch_get(struct image_fetch *f, const struct image_fetch_ask *ask, struct err *err)
{
    char *url = mem_printf("%s/%s/%s%s%s", f->e->url, f->e->path, ask->what,
                           *f->e->ns ? "?ns=" : "", f->e->ns);
    int r;

    check(ask->on_start && ask->on_data);
    r = fetch_follow(f, ask, &url, err);
    mem_free(url);
    return r;
}
