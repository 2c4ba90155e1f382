/* api_http.c: the HTTP transport: a request becomes a call, its answer a response. */
#include "core/api/api_call.h"

#include <stdio.h>

#define API_SPARE_BYTES (1u << 20)           /* free memory that is kept at hand */
#define WARNINGS_MAX CODEC_NOTES_MAX
#define FIELDS_MAX (WARNINGS_MAX + 5)

/* --- memory: given back some time after requests, and once more when their connections are gone
 * too */

static const int64_t trim_after_ms[] = { 3000, 30000, HTTP_IDLE_MS + 10000 };

static void on_trim(struct loop_timer *t);

static void trim(struct job *j)
{
    (void)j;
    mem_trim(API_SPARE_BYTES);
}

static void trim_done(struct job *j)
{
    struct api *api = container_of(j, struct api, trim_job);

    api->trimming = false;
    if (++api->trims < ARRAY_LEN(trim_after_ms) && job_was_run(j))
        loop_timer_set(api->loop, &api->trim, trim_after_ms[api->trims], on_trim);
}

static void on_trim(struct loop_timer *t)
{
    struct api *api = container_of(t, struct api, trim);

    if (!api->trimming && job_add(api->jobs, api->loop, &api->trim_job, JOB_READ, "", trim,
                                  trim_done, NULL) == 0)
        api->trimming = true;
}

void api_http_stop(struct api *api)
{
    loop_timer_del(&api->trim);
}

static void free_call(void *owner)
{
    struct api_call *c = owner;
    struct api *api = c->api;
    bool plan = !loop_is_closing(api->loop) &&
                (!loop_timer_is_set(&api->trim) || api->trims > 0);

    api_call_free(c);
    if (!plan)
        return;
    api->trims = 0;
    loop_timer_set(api->loop, &api->trim, trim_after_ms[0], on_trim);
}

/* RFC 7234 5.5: 299 - "text", with quotes and backslashes escaped. */
static const char *warning_text(struct arena *a, const char *text)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    buf_str(&b, "299 - \"");
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\')
            buf_chr(&b, '\\');
        buf_chr(&b, (unsigned char)*p < 0x20 ? ' ' : *p);
    }
    buf_chr(&b, '"');
    return arena_strdup(a, b.p);
}

static unsigned fields_of(struct api_call *c, struct http_field out[FIELDS_MAX])
{
    unsigned n = 0;

    out[n++] = (struct http_field){ "Cache-Control", c->lasting ? "public, immutable"
                                    : "no-cache, private" };
    if (c->etag)
        out[n++] = (struct http_field){ "Etag", c->etag };
    if (c->status && c->status->retry_after_s)
        out[n++] = (struct http_field){ "Retry-After", arena_printf(c->a, "%d",
                                                                    c->status->retry_after_s) };
    if (c->route.verb == API_NONRESOURCE && str_starts(c->path, "/api"))
        out[n++] = (struct http_field){ "Vary", "Accept" };
    for (unsigned i = 0; i < c->warnings.len && i < WARNINGS_MAX; i++)
        out[n++] = (struct http_field){ "Warning", warning_text(c->a, c->warnings.v[i]) };
    return n;
}

void api_http_answer(struct api_call *c, struct http_req *req)
{
    struct http_field fields[FIELDS_MAX];

    api_metric_end(c);

    struct http_answer a = {
        .status = c->code, .type = *c->text_type ? c->text_type : NULL, .fields = fields,
            .n_fields = fields_of(c, fields),
        .body = c->text.p, .len = c->text.len, .release = free_call, .owner = c,
    };

    http_respond(req, &a);
}

static void on_done(struct api_call *c)
{
    struct http_req *req = c->transport;

    if (!c->status && !c->code && c->route.verb == API_WATCH)
        api_watch_start(c, req);
    else if (!c->status && !c->code && c->route.verb == API_CONNECT)
        api_connect_start(c, req);
    else
        api_http_answer(c, req);
}

/* 401 for bad credentials; no credentials at all are anonymous. */
static int authenticate(struct api_call *c, const struct http_req *req)
{
    const char *auth = http_req_field(req, "authorization");
    struct status *s;

    if (auth && strncasecmp(auth, "Bearer ", 7) == 0) {
        if (api_join_user(c->api, c->a, auth + 7, &c->user) ||
            api_token_user(c->api, c->a, auth + 7, &c->user))
            return 0;
    } else if (!req->peer_cert || !req->peer_cert_why) {
        auth_user_of_cert(&c->user, c->a, req->peer_cert);
        return 0;
    }
    s = status_new(c->a, 401, "Unauthorized", "Unauthorized");
    return api_fail(c, s);
}

void api_on_request(struct http_req *req, void *ctx)
{
    struct api *api = ctx;
    struct api_call *c = api_call_new(api, api->loop);
    bool good;

    c->transport = req;
    c->on_done = on_done;
    c->method = arena_strdup(c->a, req->method);
    c->path = arena_strdup(c->a, req->path);
    c->body = req->body;
    c->accept = http_req_field(req, "accept");
    c->content_type = http_req_field(req, "content-type");
    c->user_agent = http_req_field(req, "user-agent");
    c->if_none_match = http_req_field(req, "if-none-match");
    c->node_password = http_req_field(req, "inro-node-password");
    api_query_parse(&c->query, c->a, req->query);
    good = authenticate(c, req) == 0;
    api_metric_authn(api, good);
    if (!good) {
        api_encode(c);
        api_http_answer(c, req);
        return;
    }
    api_call_start(c);
}
