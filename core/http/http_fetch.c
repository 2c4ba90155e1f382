/* http_fetch.c -- the client on a private loop, for code that may block. */
#include "core/http/http_client.h"

#define FETCH_MS 30000

struct http_fetcher {
    struct loop *loop;
    struct http_client *client;
};

struct fetch {
    const struct http_fetch *what;
    struct http_fetched *out;
    struct buf body;
    size_t max;
    struct err err;
    bool done, failed;
};

int http_fetcher_new(struct http_fetcher **out, const struct http_client_opts *opts,
                     struct err *err)
{
    _cleanup_(http_fetcher_freep) struct http_fetcher *f = NEW(struct http_fetcher);

    if (loop_new(&f->loop, NULL, err) < 0 || http_client_new(&f->client, f->loop, opts, err) < 0)
        return -1;
    *out = TAKE(f);
    return 0;
}

struct http_fetcher *http_fetcher_free(struct http_fetcher *f)
{
    if (!f)
        return NULL;
    http_client_free(f->client);
    loop_free(f->loop);
    return mem_free(f);
}

static void fetch_fail(struct fetch *f, struct http_call *c)
{
    f->failed = f->done = true;
    http_call_cancel(c);
}

static void fetch_on_data(struct http_call *c, const char *p, size_t len, void *ctx)
{
    struct fetch *f = ctx;
    int status = http_call_status(c);

    if (f->what->on_data && status >= 200 && status < 300) {
        if (f->what->on_data(f->what->ctx, p, len, &f->err) < 0)
            fetch_fail(f, c);
        return;
    }
    if (len > f->max - f->body.len) {
        err_set(&f->err, ERR_QUOTA, "%s: the answer has more than %zu bytes", http_call_url(c),
                f->max);
        fetch_fail(f, c);
        return;
    }
    buf_add(&f->body, p, len);
}

static void fetch_on_end(struct http_call *c, const struct err *why, void *ctx)
{
    struct fetch *f = ctx;
    struct http_fetched *r = f->out;

    f->done = true;
    if (why) {
        f->failed = true;
        f->err = *why;
        return;
    }
    r->status = http_call_status(c);
    r->url = mem_strdup(c->url);
    r->n_fields = c->n_fields;
    r->fields = c->n_fields ? mem_alloc_array(c->n_fields, sizeof(*r->fields)) : NULL;
    for (unsigned i = 0; i < c->n_fields; i++)
        r->fields[i] =
            (struct http_field){ mem_strdup(c->fields[i].name), mem_strdup(c->fields[i].value) };
    r->body = f->body;
    f->body = BUF_INIT;
}

int http_fetch(struct http_fetched *out, struct http_fetcher *f, const struct http_fetch *what,
               struct err *err)
{
    int64_t ms = what->deadline_ms ? what->deadline_ms : FETCH_MS, end = loop_now_ms(f->loop) + ms;
    struct http_fetched got = { 0 };
    struct fetch state = { .what = what,
                           .out = &got,
                           .max = what->body_max ? what->body_max : HTTP_COLLECT_MAX };
    struct http_call_opts o = {
        .method = what->method,
        .url = what->url,
        .fields = what->fields,
        .n_fields = what->n_fields,
        .body = what->body,
        .type = what->type,
        .redirects = what->redirects,
        .timeout_ms = ms,
        .silence_ms = what->silence_ms ? what->silence_ms : FETCH_MS,
        .on_data = fetch_on_data,
        .on_end = fetch_on_end,
        .ctx = &state,
    };
    struct http_call *c = NULL;

    if (http_client_call(&c, f->client, &o, err) < 0)
        return -1;
    while (!state.done && loop_now_ms(f->loop) < end)
        loop_step(f->loop, (int)(end - loop_now_ms(f->loop)));
    if (!state.done) {
        http_call_cancel(c);
        err_set(&state.err, ERR_TIMEOUT, "%s: not complete in time", what->url);
        state.failed = true;
    }
    buf_deinit(&state.body);
    if (state.failed) {
        if (err)
            *err = state.err;
        return -1;
    }
    *out = got;
    return 0;
}

void http_fetched_deinit(struct http_fetched *r)
{
    for (unsigned i = 0; i < r->n_fields; i++) {
        mem_free((void *)(uintptr_t)r->fields[i].name);
        mem_free((void *)(uintptr_t)r->fields[i].value);
    }
    r->fields = mem_free(r->fields);
    r->n_fields = 0;
    r->url = mem_free(r->url);
    buf_deinit(&r->body);
}

const char *http_fetched_field(const struct http_fetched *r, const char *name)
{
    for (unsigned i = 0; i < r->n_fields; i++)
        if (strcmp(r->fields[i].name, name) == 0)
            return r->fields[i].value;
    return NULL;
}
