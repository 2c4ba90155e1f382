#include "core/http/http_client.h"

#include <strings.h>

#include "core/http/http_raw.h"

static void call_restart_timers(struct http_call *c);

void http_call_free(struct http_call *c)
{
    struct http_link *k = TAKE(c->conn);
    struct http_origin *o = c->origin;

    if (k && k->share) {
        http_share_forget(k, c);
    } else if (k) {                          /* half-way through: it cannot be used again */
        k->call = NULL;
        http_link_free(k);
    }
    list_del(&c->link);
    list_del(&c->waiting);
    loop_timer_del(&c->deadline);
    loop_timer_del(&c->silence);
    loop_timer_del(&c->kick);
    for (unsigned i = 0; i < c->o.n_fields; i++) {
        mem_free((void *)(uintptr_t)c->own[i].name);
        mem_free((void *)(uintptr_t)c->own[i].value);
    }
    mem_free(c->own);
    mem_free(c->method);
    mem_free(c->url);
    mem_free(c->type);
    mem_free(c->fields);
    buf_deinit(&c->body);
    buf_deinit(&c->text);
    buf_deinit(&c->got);
    mem_free(c);
    if (k)
        http_origin_next(o);
}

static void call_end(struct http_call *c, const struct err *why)
{
    struct err copy = ERR_INIT;

    if (why)
        copy = *why;
    c->busy = true;                          /* a cancel inside is no second free */
    if (c->o.on_end)
        c->o.on_end(c, why ? &copy : NULL, c->o.ctx);
    http_call_free(c);
}

static void call_on_kick(struct loop_timer *t)
{
    struct http_call *c = container_of(t, struct http_call, kick);

    call_end(c, &c->err);
}

static void call_end_soon(struct http_call *c, const struct err *why)
{
    c->err = *why;
    loop_timer_set(c->client->loop, &c->kick, 0, call_on_kick);
}

static bool call_may_repeat(const struct http_call *c)
{
    static const char *const safe[] = { "GET", "HEAD", "PUT", "DELETE", "OPTIONS" };

    for (size_t i = 0; i < ARRAY_LEN(safe); i++)
        if (strcmp(c->method, safe[i]) == 0)
            return true;
    return false;
}

/* From the connection, which is gone already. */
void http_call_failed(struct http_call *c, const struct err *why)
{
    struct err err = *why;
    struct http_origin *o = c->origin;

    c->conn = NULL;
    if (c->state == CALL_SENT && !c->tried && why->code != ERR_INVALID &&
        (c->refused || (c->reused && call_may_repeat(c)))) {
        c->tried = true;
        if (http_client_start(c, &err) == 0)
            return;
    }
    call_end_soon(c, &err);
    http_origin_next(o);
}

static void call_on_deadline(struct loop_timer *t)
{
    struct http_call *c = container_of(t, struct http_call, deadline);
    struct err err = ERR_INIT;

    err_set(&err, ERR_TIMEOUT, "%s %s: no answer in time", c->method, c->url);
    call_end(c, &err);
}

static void call_on_silence(struct loop_timer *t)
{
    struct http_call *c = container_of(t, struct http_call, silence);
    struct err err = ERR_INIT;

    err_set(&err, ERR_TIMEOUT, "%s %s: nothing came for too long", c->method, c->url);
    call_end(c, &err);
}

/* --- the request --- */

static bool call_has_own(const struct http_call *c, const char *name)
{
    for (unsigned i = 0; i < c->o.n_fields; i++)
        if (strcasecmp(c->own[i].name, name) == 0)
            return true;
    return false;
}

static bool call_is_home(const struct http_call *c)
{
    const struct http_client *k = c->client;

    return k->has_base && c->to.tls == k->base.tls && c->to.port == k->base.port &&
           strcasecmp(c->to.host, k->base.host) == 0;
}

static void call_host(struct buf *b, const struct http_url *u)
{
    bool v6 = strchr(u->host, ':');

    buf_fmt(b, "Host: %s%s%s", v6 ? "[" : "", u->host, v6 ? "]" : "");
    if (u->port != (u->tls ? 443 : 80))
        buf_fmt(b, ":%u", u->port);
    buf_str(b, "\r\n");
}

void http_call_fields(struct http_call *c, void (*each)(void *ctx, const char *name,
                                                        const char *value), void *ctx)
{
    if (!call_has_own(c, "user-agent"))
        each(ctx, "User-Agent", c->client->o.user_agent);
    if (c->client->o.token && call_is_home(c) && !call_has_own(c, "authorization")) {
        char *bearer = mem_printf("Bearer %s", c->client->o.token);

        each(ctx, "Authorization", bearer);
        explicit_bzero(bearer, strlen(bearer));
        mem_free(bearer);
    }
    for (unsigned i = 0; i < c->o.n_fields; i++)
        if (!c->crossed || (strcasecmp(c->own[i].name, "authorization") != 0 &&
                            strcasecmp(c->own[i].name, "cookie") != 0))
            each(ctx, c->own[i].name, c->own[i].value);
    if (c->type)
        each(ctx, "Content-Type", c->type);
}

bool http_call_has_length(const struct http_call *c)
{
    return c->body.len || strcmp(c->method, "POST") == 0 || strcmp(c->method, "PUT") == 0 ||
           strcmp(c->method, "PATCH") == 0;
}

static void call_field(void *ctx, const char *name, const char *value)
{
    buf_fmt(ctx, "%s: %s\r\n", name, value);
}

void http_call_write(struct http_call *c, struct http_queue *q)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    buf_fmt(&b, "%s %s HTTP/1.1\r\n", c->method, c->to.target);
    if (!call_has_own(c, "host"))
        call_host(&b, &c->to);
    http_call_fields(c, call_field, &b);
    if (http_call_has_length(c))
        buf_fmt(&b, "Content-Length: %zu\r\n", c->body.len);
    buf_str(&b, "\r\n");
    http_queue_add(q, b.p, b.len);
    http_queue_add(q, c->body.p, c->body.len);
}

/* --- the answer --- */

static void call_take_head(struct http_call *c, const struct http_head *h)
{
    mem_free(c->fields);
    buf_clear(&c->text);
    buf_add(&c->text, h->text.p, h->text.len);
    c->status = h->status;
    c->fields = h->n_fields ? mem_alloc_array(h->n_fields, sizeof(*c->fields)) : NULL;
    c->n_fields = h->n_fields;
    for (unsigned i = 0; i < h->n_fields; i++)
        c->fields[i] = (struct http_field){ c->text.p + h->at[2 * i],
                                            c->text.p + h->at[2 * i + 1] };
}

static bool call_is_redirect(const struct http_call *c)
{
    return (c->status == 301 || c->status == 302 || c->status == 303 || c->status == 307 ||
            c->status == 308) &&
           c->redirects < c->o.redirects && http_call_field(c, "location") &&
           (strcmp(c->method, "GET") == 0 || strcmp(c->method, "HEAD") == 0);
}

void http_call_on_head(struct http_call *c, const struct http_head *head)
{
    c->state = CALL_HEAD;
    call_take_head(c, head);
    if (call_is_redirect(c))
        return;
    if (!c->o.collect)
        loop_timer_del(&c->deadline);
    if (c->o.silence_ms)
        loop_timer_set(c->client->loop, &c->silence, c->o.silence_ms, call_on_silence);
    if (c->o.on_head)
        c->o.on_head(c, c->o.ctx);
}

int http_call_on_body(struct http_call *c, const char *p, size_t len)
{
    size_t max = c->o.body_max ? c->o.body_max : c->o.collect ? HTTP_COLLECT_MAX : SIZE_MAX;

    if (c->cancelled)
        return -1;
    if (call_is_redirect(c))
        max = HTTP_HEAD_MAX * 2;
    if (len > max - c->n_got)
        return err_set(&c->err, ERR_QUOTA, "%s %s: the answer has more than %zu bytes", c->method,
                       c->url, max);
    c->n_got += len;
    if (call_is_redirect(c))
        return 0;
    if (c->o.silence_ms)
        loop_timer_set(c->client->loop, &c->silence, c->o.silence_ms, call_on_silence);
    if (c->o.collect)
        buf_add(&c->got, p, len);
    else if (c->o.on_data)
        c->o.on_data(c, p, len, c->o.ctx);
    return c->cancelled ? -1 : 0;
}

/* The place that Location names, seen from the present one. */
static char *call_location(const struct http_call *c, const char *location)
{
    size_t base =
        strcspn(strstr(c->url, "://") + 3, "/?#") + (size_t)(strstr(c->url, "://") + 3 - c->url);
    size_t cut = strcspn(location, "#");

    if (strstr(location, "://") && strcspn(location, "/") > strcspn(location, ":"))
        return mem_strndup(location, cut);
    if (str_starts(location, "//"))
        return mem_printf("%s:%.*s", c->to.tls ? "https" : "http", (int)cut, location);
    if (*location == '/')
        return mem_printf("%.*s%.*s", (int)base, c->url, (int)cut, location);
    size_t dir = strcspn(c->url, "?#");

    while (dir > base && c->url[dir - 1] != '/')
        dir--;
    return mem_printf("%.*s%s%.*s", (int)dir, c->url, dir == base ? "/" : "", (int)cut, location);
}

static int call_redirect(struct http_call *c, struct err *err)
{
    struct http_url before = c->to;
    char *url = call_location(c, http_call_field(c, "location"));

    mem_free(c->url);
    c->url = url;
    if (http_url_parse(&c->to, c->url, err) < 0)
        return err_wrap(err, "redirect");
    if (before.tls && !c->to.tls)
        return err_set(err, ERR_DENIED, "redirect from https to http");
    if (before.tls != c->to.tls || before.port != c->to.port ||
        strcasecmp(before.host, c->to.host) != 0)
        c->crossed = true;
    c->redirects++;
    c->tried = false;
    c->n_got = 0;
    c->status = 0;
    buf_clear(&c->got);
    call_restart_timers(c);
    return http_client_start(c, err);
}

void http_call_on_done(struct http_call *c, struct http_link *k)
{
    struct err err = ERR_INIT;

    (void)k;
    if (!call_is_redirect(c))
        call_end(c, NULL);
    else if (call_redirect(c, &err) < 0)
        call_end(c, &err);
}

void http_call_on_upgrade(struct http_call *c, struct http_link *k, const char *p, size_t len)
{
    _cleanup_buf_ struct buf in = BUF_INIT;
    struct http_raw_ops none = { 0 };
    struct err err = ERR_INIT;
    struct http_raw *raw;

    call_take_head(c, &(struct http_head){ .status = 101,
                                           .text = { k->parse.text.p, k->parse.text.len },
                                           .at = k->parse.at.v,
                                           .n_fields = http_parse_fields(&k->parse) });
    k->call = NULL;
    c->conn = NULL;
    if (!c->o.upgrade || !c->o.on_upgrade) {
        http_link_free(k);
        err_set(&err, ERR_INVALID, "%s %s: an upgrade that was not asked for", c->method, c->url);
        call_end(c, &err);
        return;
    }
    buf_add(&in, p, len);
    raw = http_raw_take(&k->io, &in, &none);
    k->has_io = false;
    http_link_free(k);
    c->busy = true;
    c->o.on_upgrade(c, raw, c->o.ctx);
    http_call_free(c);
}

/* --- http.h --- */

static int call_check(const struct http_call_opts *o, struct err *err)
{
    if (o->n_fields > HTTP_FIELDS_MAX)
        return err_set(err, ERR_INVALID, "more than %d headers", HTTP_FIELDS_MAX);
    for (unsigned i = 0; i < o->n_fields; i++)
        if (str_empty(o->fields[i].name) || strpbrk(o->fields[i].name, "\r\n: ") ||
            strpbrk(o->fields[i].value, "\r\n"))
            return err_set(err, ERR_INVALID, "a header has a bad name or value");
    if (o->type && strpbrk(o->type, "\r\n"))
        return err_set(err, ERR_INVALID, "a content type has a bad value");
    if (o->method &&
        (!*o->method || strspn(o->method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != strlen(o->method)))
        return err_set(err, ERR_INVALID, "a bad method");
    return 0;
}

static int call_url(char **url, struct http_url *to, struct http_client *c, const char *from,
                    struct err *err)
{
    size_t base;

    if (*from != '/') {
        *url = mem_strdup(from);
        return http_url_parse(to, *url, err);
    }
    if (!c->has_base)
        return err_set(err, ERR_INVALID, "a path without a base URL");
    base = strlen(c->o.base_url);
    while (base && c->o.base_url[base - 1] == '/')
        base--;
    *url = mem_printf("%.*s%s", (int)base, c->o.base_url, from);
    return http_url_parse(to, *url, err);
}

static void call_restart_timers(struct http_call *c)
{
    int64_t ms = c->o.timeout_ms ? c->o.timeout_ms : HTTP_CALL_MS;

    loop_timer_del(&c->silence);
    if (!loop_timer_is_set(&c->deadline))
        loop_timer_set(c->client->loop, &c->deadline, ms, call_on_deadline);
}

int http_client_call(struct http_call **out, struct http_client *client,
                     const struct http_call_opts *opts, struct err *err)
{
    struct http_call *c;
    struct http_url to;
    char *url = NULL;

    if (call_check(opts, err) < 0 || call_url(&url, &to, client, opts->url, err) < 0) {
        mem_free(url);
        return -1;
    }
    c = NEW(struct http_call);
    c->client = client;
    c->o = *opts;
    c->method = mem_strdup(opts->method ? opts->method : "GET");
    c->url = url;
    c->to = to;
    c->type = mem_strdup(opts->type);
    c->own = opts->n_fields ? mem_alloc_array(opts->n_fields, sizeof(*c->own)) : NULL;
    for (unsigned i = 0; i < opts->n_fields; i++)
        c->own[i] = (struct http_field){ mem_strdup(opts->fields[i].name),
                                         mem_strdup(opts->fields[i].value) };
    buf_add(&c->body, opts->body.p, opts->body.len);
    list_init(&c->waiting);
    list_push(&client->calls, &c->link);
    call_restart_timers(c);
    if (http_client_start(c, err) < 0) {
        http_call_free(c);
        return -1;
    }
    *out = c;
    return 0;
}

void http_call_cancel(struct http_call *c)
{
    c->cancelled = true;
    if (!c->busy)
        http_call_free(c);
}

void http_call_pause(struct http_call *c, bool paused)
{
    c->paused = paused;
    if (paused)
        loop_timer_del(&c->silence);
    if (c->conn && c->conn->share && !paused)
        http_share_resume(c->conn, c);
    else if (c->conn)
        http_link_read_on(c->conn, !paused);
}

int http_call_status(const struct http_call *c)
{
    return c->status;
}

const char *http_call_field(const struct http_call *c, const char *name)
{
    for (unsigned i = 0; i < c->n_fields; i++)
        if (strcmp(c->fields[i].name, name) == 0)
            return c->fields[i].value;
    return NULL;
}

unsigned http_call_answer_fields(const struct http_call *c, const struct http_field **out)
{
    *out = c->fields;
    return c->n_fields;
}

struct slice http_call_body(const struct http_call *c)
{
    return c->got.len ? (struct slice){ c->got.p, c->got.len } : SLICE("");
}

const char *http_call_url(const struct http_call *c)
{
    return c->url;
}
