#include "core/http/http.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/crypto/crypto.h"
#include "core/tls/tls.h"
#include "tests/harness/test.h"

/* A server and a client on one loop. */
struct fix {
    struct loop *loop;
    struct http_server *s;
    struct tls_ctx *tls;
    struct http_client *c;
    struct buf ca, cert, key;
    int reqs;
    struct http_req *held;
    char last[256], auth[256], peer[256];
    /* of the call */
    struct http_call *call;
    int heads, ends, status, code;
    struct buf got;
    bool cancel_in_head, cancel_in_data;
    struct http_raw *raw, *server_raw;
    char url[64];
};

static void echo_data(struct http_raw *w, const char *p, size_t len, void *ctx)
{
    (void)ctx;
    http_raw_write(w, p, len);
}

static void echo_close(struct http_raw *w, const struct err *why, void *ctx)
{
    (void)why;
    ((struct fix *)ctx)->server_raw = NULL;
    http_raw_end(w);
}

static void answer_to(struct fix *f, struct http_req *r, const char *to)
{
    struct http_field at = { "Location", to };

    http_respond(r, &(struct http_answer){ .status = 302, .fields = &at, .n_fields = 1, .body = "moved", .len = 5 });
    (void)f;
}

static void on_request(struct http_req *r, void *ctx)
{
    struct fix *f = ctx;
    const char *auth = http_req_field(r, "authorization");

    f->reqs++;
    snprintf(f->last, sizeof(f->last), "%s %s?%s %.*s", r->method, r->path, r->query, (int)r->body.len, r->body.p);
    snprintf(f->auth, sizeof(f->auth), "%s", auth ? auth : "");
    snprintf(f->peer, sizeof(f->peer), "%s", r->peer_cert ? crypto_cert_names(r->peer_cert)->cn : "");
    if (str_starts(r->path, "/hold")) {
        f->held = r;
    } else if (str_starts(r->path, "/stream")) {
        http_stream_begin(r, &(struct http_answer){ .status = 200, .body = "one", .len = 3 });
        f->held = r;
    } else if (str_starts(r->path, "/upgrade")) {
        f->server_raw = http_upgrade(r, "echo", NULL, 0,
                                     &(struct http_raw_ops){ echo_data, NULL, echo_close, f });
    } else if (str_eq(r->path, "/to")) {
        answer_to(f, r, "/final?x=1");
    } else if (str_eq(r->path, "/dir/relative")) {
        answer_to(f, r, "other");
    } else if (str_eq(r->path, "/big-head")) {
        _cleanup_(mem_freep) char *value = mem_alloc(HTTP_HEAD_MAX);
        struct http_field field = { "X", memset(value, 'x', HTTP_HEAD_MAX - 1) };

        http_respond(r, &(struct http_answer){ .status = 200, .fields = &field, .n_fields = 1 });
    } else if (str_eq(r->path, "/circle")) {
        answer_to(f, r, "/circle");
    } else {
        http_respond(r, &(struct http_answer){ .status = 200, .body = f->last, .len = strlen(f->last) });
    }
}

static void make_pki(struct fix *f)
{
    _cleanup_(crypto_key_unrefp) struct crypto_key *ca_key = NULL, *key = NULL;
    _cleanup_(crypto_cert_unrefp) struct crypto_cert *ca = NULL;
    struct crypto_issue w = { .cn = "ca", .not_before_s = 1700000000, .not_after_s = 4000000000 };
    struct err err = ERR_INIT;

    EXPECT_OK(crypto_key_new(&ca_key, &err), &err);
    EXPECT_OK(crypto_key_new(&key, &err), &err);
    EXPECT_OK(crypto_ca_new(&f->ca, ca_key, &w, &err), &err);
    EXPECT_OK(crypto_cert_parse(&ca, f->ca.p, f->ca.len, &err), &err);
    w.cn = "node-1";
    w.ips = (const char *const[]){ "127.0.0.1", NULL };
    w.dns = (const char *const[]){ "name.example", NULL };
    w.uses = CRYPTO_USE_SERVER | CRYPTO_USE_CLIENT;
    EXPECT_OK(crypto_cert_issue(&f->cert, ca, ca_key, key, &w, &err), &err);
    EXPECT_OK(crypto_key_write(&f->key, key, &err), &err);
}

static struct slice all(const struct buf *b)
{
    return (struct slice){ b->p, b->len };
}

static void new_client(struct fix *f, struct http_client_opts o)
{
    struct err err = ERR_INIT;

    http_client_free(f->c);
    f->c = NULL;
    o.base_url = f->url;
    EXPECT_OK(http_client_new(&f->c, f->loop, &o, &err), &err);
}

static struct fix *fix_serving(bool tls, struct http_server_opts o)
{
    static const char *const alpn[] = { "h2", "http/1.1", NULL };
    struct fix *f = NEW(struct fix);
    struct err err = ERR_INIT;

    o.on_request = on_request;
    o.ctx = f;
    EXPECT_OK(loop_new(&f->loop, NULL, &err), &err);
    EXPECT_OK(http_server_new(&f->s, f->loop, &o, &err), &err);
    if (tls) {
        make_pki(f);
        struct tls_ctx_opts t = { .server = true, .cert_pem = all(&f->cert), .key_pem = all(&f->key),
                                  .ca_pem = all(&f->ca), .alpn = alpn + o.no_http2,
                                  .want_peer = true };

        EXPECT_OK(tls_ctx_new(&f->tls, &t, &err), &err);
    }
    EXPECT_OK(http_server_listen(f->s, "127.0.0.1", 0, f->tls, &err), &err);
    snprintf(f->url, sizeof(f->url), "%s://127.0.0.1:%u", tls ? "https" : "http", http_server_port(f->s));
    new_client(f, (struct http_client_opts){ .ca_pem = all(&f->ca), .token = "secret" });
    return f;
}

static struct fix *fix_new(bool tls)
{
    return fix_serving(tls, (struct http_server_opts){ 0 });
}

static void fix_free(struct fix *f)
{
    http_raw_free(f->raw);
    http_raw_free(f->server_raw);
    http_client_free(f->c);
    http_server_free(f->s);
    tls_ctx_unref(f->tls);
    loop_free(f->loop);
    buf_deinit(&f->got);
    buf_deinit(&f->ca);
    buf_deinit(&f->cert);
    buf_deinit(&f->key);
    mem_free(f);
}

static void on_head(struct http_call *c, void *ctx)
{
    struct fix *f = ctx;

    f->heads++;
    f->status = http_call_status(c);
    if (f->cancel_in_head)
        http_call_cancel(c);
}

static void on_data(struct http_call *c, const char *p, size_t len, void *ctx)
{
    struct fix *f = ctx;

    buf_add(&f->got, p, len);
    if (f->cancel_in_data)
        http_call_cancel(c);
}

static void on_end(struct http_call *c, const struct err *why, void *ctx)
{
    struct fix *f = ctx;

    f->ends++;
    f->code = why ? why->code : 0;
    f->status = http_call_status(c);
    buf_add(&f->got, http_call_body(c).p, http_call_body(c).len);
    http_call_cancel(c);                     /* harmless here */
}

static void raw_data(struct http_raw *w, const char *p, size_t len, void *ctx)
{
    (void)w;
    buf_add(&((struct fix *)ctx)->got, p, len);
}

static void raw_close(struct http_raw *w, const struct err *why, void *ctx)
{
    (void)w;
    (void)why;
    ((struct fix *)ctx)->ends++;
}

static void on_upgrade(struct http_call *c, struct http_raw *raw, void *ctx)
{
    struct fix *f = ctx;

    EXPECT_EQ(http_call_status(c), 101);
    EXPECT_STR(http_call_field(c, "upgrade"), "echo");
    f->raw = raw;
    http_raw_set(raw, &(struct http_raw_ops){ raw_data, NULL, raw_close, f });
}

static void start(struct fix *f, struct http_call_opts o)
{
    struct err err = ERR_INIT;

    o.on_head = on_head;
    o.on_data = on_data;
    o.on_end = on_end;
    o.on_upgrade = on_upgrade;
    o.ctx = f;
    buf_clear(&f->got);
    f->ends = f->heads = 0;
    EXPECT_OK(http_client_call(&f->call, f->c, &o, &err), &err);
    EXPECT_EQ(f->ends, 0);
}

static void run(struct fix *f)
{
    for (int i = 0; i < 2000 && !f->ends; i++)
        loop_step(f->loop, 5);
    EXPECT_EQ(f->ends, 1);
}

static void settle(struct fix *f)
{
    for (int i = 0; i < 20; i++)
        loop_step(f->loop, 1);
}

static const char *got(struct fix *f)
{
    return f->got.p ? f->got.p : "";
}

TEST(get_and_keep)
{
    struct fix *f = fix_new(false);

    start(f, (struct http_call_opts){ .url = "/a?b=c", .collect = true });
    run(f);
    EXPECT_EQ(f->status, 200);
    EXPECT_STR(got(f), "GET /a?b=c ");
    EXPECT_STR(f->auth, "Bearer secret");
    start(f, (struct http_call_opts){ .method = "POST", .url = "/p", .body = SLICE("data"), .type = "x/y" });
    run(f);
    EXPECT_STR(got(f), "POST /p? data");
    EXPECT_EQ(http_server_stats(f->s).conns_total, 1);
    fix_free(f);
}

TEST(tls_with_certificate)
{
    struct fix *f = fix_new(true);

    start(f, (struct http_call_opts){ .url = "/", .collect = true });
    run(f);
    EXPECT_EQ(f->status, 200);
    EXPECT_STR(f->peer, "");
    new_client(f, (struct http_client_opts){ .ca_pem = all(&f->ca), .cert_pem = all(&f->cert),
                                             .key_pem = all(&f->key) });
    start(f, (struct http_call_opts){ .url = "/", .collect = true });
    run(f);
    EXPECT_STR(f->peer, "node-1");
    new_client(f, (struct http_client_opts){ .ca_pem = all(&f->ca), .server_name = "name.example" });
    start(f, (struct http_call_opts){ .url = "/" });
    run(f);
    EXPECT_EQ(f->code, 0);
    new_client(f, (struct http_client_opts){ .ca_pem = all(&f->ca), .server_name = "wrong.example" });
    start(f, (struct http_call_opts){ .url = "/" });
    run(f);
    EXPECT_EQ(f->code, ERR_DENIED);
    new_client(f, (struct http_client_opts){ .ca_pem = all(&f->cert) });
    start(f, (struct http_call_opts){ .url = "/" });
    run(f);
    EXPECT_EQ(f->code, ERR_DENIED);
    new_client(f, (struct http_client_opts){ .insecure = true });
    start(f, (struct http_call_opts){ .url = "/" });
    run(f);
    EXPECT_EQ(f->code, 0);
    fix_free(f);
}

TEST(big_over_tls)
{
    struct fix *f = fix_new(true);
    size_t len = 3000000;
    char *p = mem_alloc(len);

    memset(p, 'z', len);
    start(f, (struct http_call_opts){ .method = "PUT", .url = "/hold", .body = { p, len }, .collect = true });
    for (int i = 0; i < 5000 && !f->held; i++)
        loop_step(f->loop, 5);
    EXPECT(f->held);
    EXPECT_EQ(f->held->body.len, len);
    EXPECT_MEM(f->held->body.p, p, len);
    http_respond(f->held, &(struct http_answer){ .status = 200, .body = p, .len = len });
    run(f);
    EXPECT_EQ(f->got.len, len);
    EXPECT_MEM(f->got.p, p, len);
    mem_free(p);
    fix_free(f);
}

TEST(many_at_once)
{
    struct fix *f = fix_new(false);
    struct http_call *c;
    struct http_call_opts o = { .url = "/x", .on_end = on_end, .ctx = f };
    struct err err = ERR_INIT;

    new_client(f, (struct http_client_opts){ .conns_max = 2 });
    for (int i = 0; i < 10; i++)
        EXPECT_OK(http_client_call(&c, f->c, &o, &err), &err);
    for (int i = 0; i < 1000 && f->ends < 10; i++)
        loop_step(f->loop, 5);
    EXPECT_EQ(f->ends, 10);
    EXPECT_EQ(http_server_stats(f->s).conns_total, 2);
    fix_free(f);
}

TEST(stream_and_cancel)
{
    struct fix *f = fix_new(false);

    start(f, (struct http_call_opts){ .url = "/stream" });
    settle(f);
    EXPECT_EQ(f->heads, 1);
    EXPECT_STR(got(f), "one");
    http_stream_write(f->held, "two", 3);
    settle(f);
    EXPECT_STR(got(f), "onetwo");
    http_call_pause(f->call, true);
    http_stream_write(f->held, "three", 5);
    settle(f);
    EXPECT_STR(got(f), "onetwo");
    http_call_pause(f->call, false);
    settle(f);
    EXPECT_STR(got(f), "onetwothree");
    http_call_cancel(f->call);
    settle(f);
    EXPECT(http_req_is_gone(f->held));
    http_stream_end(f->held);
    EXPECT_EQ(f->ends, 0);
    f->cancel_in_head = true;
    start(f, (struct http_call_opts){ .url = "/stream" });
    settle(f);
    EXPECT_EQ(f->heads, 1);
    http_stream_end(f->held);
    f->cancel_in_head = false;
    f->cancel_in_data = true;
    start(f, (struct http_call_opts){ .url = "/stream" });
    settle(f);
    EXPECT_STR(got(f), "one");
    EXPECT_EQ(f->ends, 0);
    http_stream_end(f->held);
    settle(f);
    EXPECT_EQ(http_server_stats(f->s).conns, 0);
    fix_free(f);
}

TEST(broken_answer)
{
    struct fix *f = fix_new(false);

    start(f, (struct http_call_opts){ .url = "/stream" });
    settle(f);
    http_abort(f->held);
    run(f);
    EXPECT_EQ(f->code, ERR_UNAVAILABLE);
    fix_free(f);
}

TEST(timeouts)
{
    struct fix *f = fix_new(false);

    start(f, (struct http_call_opts){ .url = "/hold", .timeout_ms = 30 });
    run(f);
    EXPECT_EQ(f->code, ERR_TIMEOUT);
    settle(f);
    http_respond(f->held, &(struct http_answer){ .status = 200 });
    start(f, (struct http_call_opts){ .url = "/stream", .timeout_ms = 1000, .silence_ms = 30 });
    run(f);
    EXPECT_EQ(f->code, ERR_TIMEOUT);
    EXPECT_STR(got(f), "one");
    http_stream_end(f->held);
    fix_free(f);
}

TEST(limits)
{
    struct fix *f = fix_new(false);

    /* the answer is "GET /a? ": 8 bytes */
    start(f, (struct http_call_opts){ .url = "/a", .collect = true, .body_max = 8 });
    run(f);
    EXPECT_EQ(f->code, 0);
    start(f, (struct http_call_opts){ .url = "/a", .collect = true, .body_max = 7 });
    run(f);
    EXPECT_EQ(f->code, ERR_QUOTA);
    fix_free(f);
}

TEST(redirects)
{
    struct fix *f = fix_new(false);

    start(f, (struct http_call_opts){ .url = "/to" });
    run(f);
    EXPECT_EQ(f->status, 302);
    EXPECT_STR(got(f), "moved");
    start(f, (struct http_call_opts){ .url = "/to", .redirects = 1 });
    run(f);
    EXPECT_EQ(f->status, 200);
    EXPECT_STR(got(f), "GET /final?x=1 ");
    start(f, (struct http_call_opts){ .url = "/dir/relative", .redirects = 3 });
    run(f);
    EXPECT_STR(got(f), "GET /dir/other? ");
    f->reqs = 0;
    start(f, (struct http_call_opts){ .url = "/circle", .redirects = 3 });
    run(f);
    EXPECT_EQ(f->status, 302);
    EXPECT_EQ(f->reqs, 4);
    start(f, (struct http_call_opts){ .method = "POST", .url = "/to", .redirects = 1 });
    run(f);
    EXPECT_EQ(f->status, 302);
    fix_free(f);
}

TEST(kept_connection_went)
{
    struct fix *f = fix_new(false);
    struct http_server_opts o = { .on_request = on_request, .ctx = f };
    struct err err = ERR_INIT;
    uint16_t port = http_server_port(f->s);

    start(f, (struct http_call_opts){ .url = "/1", .collect = true });
    run(f);
    http_server_free(f->s);
    EXPECT_OK(http_server_new(&f->s, f->loop, &o, &err), &err);
    EXPECT_OK(http_server_listen(f->s, "127.0.0.1", port, NULL, &err), &err);
    start(f, (struct http_call_opts){ .url = "/2", .collect = true });   /* before the client sees the end */
    run(f);
    EXPECT_EQ(f->code, 0);
    EXPECT_STR(got(f), "GET /2? ");
    f->s = http_server_free(f->s);
    settle(f);
    start(f, (struct http_call_opts){ .url = "/3", .collect = true });
    run(f);
    EXPECT_EQ(f->code, ERR_SYSTEM);
    fix_free(f);
}

TEST(upgraded)
{
    struct fix *f = fix_new(true);
    struct http_field fields[] = { { "Connection", "Upgrade" }, { "Upgrade", "echo" } };

    start(f, (struct http_call_opts){ .url = "/upgrade", .fields = fields, .n_fields = 2, .upgrade = true });
    settle(f);
    EXPECT(f->raw);
    http_raw_write(f->raw, "hello", 5);
    settle(f);
    EXPECT_STR(got(f), "hello");
    http_raw_end(f->server_raw);
    f->server_raw = NULL;
    settle(f);
    EXPECT_EQ(f->ends, 1);
    f->raw = http_raw_free(f->raw);
    settle(f);
    fix_free(f);
}

TEST(bad_calls)
{
    struct fix *f = fix_new(false);
    struct http_field bad = { "X", "a\r\nInjected: yes" };
    struct http_call *c;
    struct err err = ERR_INIT;

    EXPECT_ERR(http_client_call(&c, f->c, &(struct http_call_opts){ .url = "/", .fields = &bad, .n_fields = 1 },
                                &err), &err, ERR_INVALID);
    EXPECT_ERR(http_client_call(&c, f->c, &(struct http_call_opts){ .url = "/a b" }, &err), &err, ERR_INVALID);
    EXPECT_ERR(http_client_call(&c, f->c, &(struct http_call_opts){ .url = "nonsense" }, &err), &err, ERR_INVALID);
    EXPECT_ERR(http_client_call(&c, f->c, &(struct http_call_opts){ .url = "/", .method = "GET /x" }, &err), &err,
               ERR_INVALID);
    fix_free(f);
}

static int count_data(void *ctx, const char *p, size_t len, struct err *err)
{
    (void)p;
    *(size_t *)ctx += len;
    return *(size_t *)ctx > 1000 ? err_set(err, ERR_CANCELED, "enough") : 0;
}

TEST(fetch)
{
    struct fix *f = fix_new(false);
    struct loop_thread *t = NULL;
    struct http_fetcher *fetcher = NULL;
    struct http_fetched r = { 0 };
    struct err err = ERR_INIT;
    char url[128];
    size_t n = 0;

    f->c = http_client_free(f->c);
    EXPECT_OK(http_fetcher_new(&fetcher, &(struct http_client_opts){ 0 }, &err), &err);
    EXPECT_OK(loop_thread_start(&t, f->loop, "server", &err), &err);
    snprintf(url, sizeof(url), "%s/to", f->url);
    EXPECT_OK(http_fetch(&r, fetcher, &(struct http_fetch){ .url = url, .redirects = 5 }, &err), &err);
    EXPECT_EQ(r.status, 200);
    EXPECT_STR(r.body.p, "GET /final?x=1 ");
    EXPECT(str_ends(r.url, "/final?x=1"));
    EXPECT_STR(http_fetched_field(&r, "content-length"), "15");
    http_fetched_deinit(&r);
    EXPECT_OK(http_fetch(&r, fetcher, &(struct http_fetch){ .url = url, .redirects = 1, .on_data = count_data,
                                                            .ctx = &n }, &err), &err);
    EXPECT_EQ(n, 15);
    http_fetched_deinit(&r);
    n = 990;
    EXPECT_ERR(http_fetch(&r, fetcher, &(struct http_fetch){ .url = url, .redirects = 1, .on_data = count_data,
                                                             .ctx = &n }, &err), &err, ERR_CANCELED);
    snprintf(url, sizeof(url), "%s/stream", f->url);
    EXPECT_ERR(http_fetch(&r, fetcher, &(struct http_fetch){ .url = url, .deadline_ms = 50 }, &err), &err,
               ERR_TIMEOUT);
    http_fetcher_free(fetcher);
    loop_stop(f->loop);
    loop_thread_join(t);
    if (f->held)
        http_stream_end(f->held);
    fix_free(f);
}

/* --- HTTP/2: many calls on one connection */

static struct fix *fix_shared(struct http_server_opts o)
{
    struct fix *f = fix_serving(true, o);

    new_client(f, (struct http_client_opts){ .ca_pem = all(&f->ca), .cert_pem = all(&f->cert),
                                             .key_pem = all(&f->key), .token = "secret",
                                             .http2 = true });
    return f;
}

static void many(struct fix *f, int n, const char *url)
{
    struct http_call_opts o = { .url = url, .on_end = on_end, .collect = true, .ctx = f };
    struct http_call *c;
    struct err err = ERR_INIT;

    buf_clear(&f->got);
    f->ends = 0;
    for (int i = 0; i < n; i++)
        EXPECT_OK(http_client_call(&c, f->c, &o, &err), &err);
    for (int i = 0; i < 2000 && f->ends < n; i++)
        loop_step(f->loop, 5);
    EXPECT_EQ(f->ends, n);
}

TEST(shared_by_all_calls)
{
    struct fix *f = fix_shared((struct http_server_opts){ 0 });

    many(f, 40, "/x");
    EXPECT_EQ(f->code, 0);
    EXPECT_STR(f->auth, "Bearer secret");
    EXPECT_STR(f->peer, "node-1");
    start(f, (struct http_call_opts){ .method = "POST", .url = "/p?q=1", .body = SLICE("data"),
                                      .type = "x/y" });
    run(f);
    EXPECT_EQ(f->status, 200);
    EXPECT_STR(got(f), "POST /p?q=1 data");
    start(f, (struct http_call_opts){ .url = "/to", .redirects = 1 });
    run(f);
    EXPECT_STR(got(f), "GET /final?x=1 ");
    EXPECT_EQ(http_server_stats(f->s).conns_total, 1);
    fix_free(f);
}

TEST(shared_waits_for_streams)
{
    struct fix *f = fix_shared((struct http_server_opts){ .streams_max = 3 });

    new_client(f, (struct http_client_opts){ .ca_pem = all(&f->ca), .http2 = true,
                                             .conns_max = 1 });
    many(f, 1, "/x");                        /* the server's limit is known from here on */
    many(f, 20, "/x");
    EXPECT_EQ(f->code, 0);
    EXPECT_EQ(http_server_stats(f->s).conns_total, 1);
    fix_free(f);
}

TEST(shared_streams_are_apart)
{
    struct fix *f = fix_shared((struct http_server_opts){ 0 });
    struct http_call *stream;
    struct http_req *held;

    start(f, (struct http_call_opts){ .url = "/stream" });
    stream = f->call;
    settle(f);
    EXPECT_STR(got(f), "one");
    held = f->held;
    many(f, 5, "/x");
    http_call_cancel(stream);
    settle(f);
    EXPECT(http_req_is_gone(held));
    http_stream_end(held);
    f->cancel_in_head = true;
    start(f, (struct http_call_opts){ .url = "/stream" });
    settle(f);
    EXPECT_EQ(f->heads, 1);
    http_stream_end(f->held);
    f->cancel_in_head = false;
    f->cancel_in_data = true;
    start(f, (struct http_call_opts){ .url = "/stream" });
    settle(f);
    EXPECT_STR(got(f), "one");
    http_stream_end(f->held);
    f->cancel_in_data = false;
    start(f, (struct http_call_opts){ .url = "/stream" });
    settle(f);
    http_abort(f->held);
    run(f);
    EXPECT_EQ(f->code, ERR_UNAVAILABLE);
    start(f, (struct http_call_opts){ .url = "/hold", .timeout_ms = 30 });
    run(f);
    EXPECT_EQ(f->code, ERR_TIMEOUT);
    settle(f);
    http_respond(f->held, &(struct http_answer){ .status = 200 });
    many(f, 5, "/x");
    EXPECT_EQ(f->code, 0);
    EXPECT_EQ(http_server_stats(f->s).conns_total, 1);
    fix_free(f);
}

/* More than a window each way; while paused no more than a window comes. */
TEST(shared_big_and_paused)
{
    struct fix *f = fix_shared((struct http_server_opts){ 0 });
    size_t len = 2900000, before;
    char *p = mem_alloc(len);

    memset(p, 'z', len);
    start(f, (struct http_call_opts){ .method = "PUT", .url = "/hold", .body = { p, len } });
    for (int i = 0; i < 5000 && !f->held; i++)
        loop_step(f->loop, 5);
    EXPECT(f->held);
    EXPECT_MEM(f->held->body.p, p, len);
    http_call_pause(f->call, true);
    http_respond(f->held, &(struct http_answer){ .status = 200, .body = p, .len = len });
    settle(f);
    before = f->got.len;
    settle(f);
    EXPECT_EQ(f->got.len, before);
    EXPECT(before < len / 2);
    http_call_pause(f->call, false);
    run(f);
    EXPECT_EQ(f->got.len, len);
    EXPECT_MEM(f->got.p, p, len);
    mem_free(p);
    fix_free(f);
}

TEST(shared_head_too_long)
{
    struct fix *f = fix_shared((struct http_server_opts){ 0 });

    start(f, (struct http_call_opts){ .url = "/big-head" });
    run(f);
    EXPECT_EQ(f->code, ERR_QUOTA);
    EXPECT_EQ(f->heads, 0);
    many(f, 3, "/x");
    EXPECT_EQ(f->code, 0);
    EXPECT_EQ(http_server_stats(f->s).conns_total, 1);
    fix_free(f);
}

TEST(server_of_http1_gives_each_call_its_own)
{
    struct fix *f = fix_shared((struct http_server_opts){ .no_http2 = true });

    many(f, 5, "/x");
    EXPECT_EQ(f->code, 0);
    EXPECT(http_server_stats(f->s).conns_total > 1);
    fix_free(f);
}

TEST(shared_server_goes)
{
    struct fix *f = fix_shared((struct http_server_opts){ 0 });
    struct http_server_opts o = { .on_request = on_request, .ctx = f };
    struct err err = ERR_INIT;
    uint16_t port = http_server_port(f->s);

    many(f, 3, "/x");
    http_server_free(f->s);
    EXPECT_OK(http_server_new(&f->s, f->loop, &o, &err), &err);
    EXPECT_OK(http_server_listen(f->s, "127.0.0.1", port, f->tls, &err), &err);
    many(f, 3, "/y");                        /* before the client sees the end */
    EXPECT_EQ(f->code, 0);
    start(f, (struct http_call_opts){ .url = "/stream" });
    settle(f);
    f->s = http_server_free(f->s);
    run(f);
    EXPECT_EQ(f->code, ERR_UNAVAILABLE);
    http_stream_end(f->held);
    many(f, 10, "/z");                       /* nobody listens: all hear it, none waits */
    EXPECT_EQ(f->code, ERR_SYSTEM);
    fix_free(f);
}

/* A server that stops lets running calls end; new ones go to who comes after it. */
TEST(shared_goaway)
{
    struct fix *f = fix_shared((struct http_server_opts){ 0 });
    struct http_server_opts o = { .on_request = on_request, .ctx = f };
    struct http_server *old = f->s;
    struct err err = ERR_INIT;
    uint16_t port = http_server_port(f->s);
    struct http_req *held;

    start(f, (struct http_call_opts){ .url = "/hold", .collect = true });
    for (int i = 0; i < 1000 && !f->held; i++)
        loop_step(f->loop, 5);
    held = f->held;
    http_server_stop(old, 5000, NULL, NULL);
    settle(f);
    EXPECT_OK(http_server_new(&f->s, f->loop, &o, &err), &err);
    EXPECT_OK(http_server_listen(f->s, "127.0.0.1", port, f->tls, &err), &err);
    many(f, 3, "/y");
    EXPECT_EQ(f->code, 0);
    f->ends = 0;
    http_respond(held, &(struct http_answer){ .status = 200, .body = "late", .len = 4 });
    run(f);
    EXPECT_EQ(f->code, 0);
    EXPECT(strstr(got(f), "late"));
    settle(f);
    EXPECT_EQ(http_server_stats(old).conns, 0);
    http_server_free(old);
    fix_free(f);
}

TEST(shared_reload_and_upgrade)
{
    struct fix *f = fix_shared((struct http_server_opts){ 0 });
    struct http_field fields[] = { { "Connection", "Upgrade" }, { "Upgrade", "echo" } };
    struct http_client_opts o = { .ca_pem = all(&f->ca) };
    struct err err = ERR_INIT;

    many(f, 3, "/x");
    EXPECT_STR(f->peer, "node-1");
    EXPECT_OK(http_client_reload(f->c, &o, &err), &err);
    many(f, 3, "/x");
    EXPECT_STR(f->peer, "");
    settle(f);
    EXPECT_EQ(http_server_stats(f->s).conns_total, 2);
    EXPECT_EQ(http_server_stats(f->s).conns, 1);
    start(f, (struct http_call_opts){ .url = "/upgrade", .fields = fields, .n_fields = 2,
                                      .upgrade = true });
    settle(f);
    EXPECT(f->raw);
    EXPECT_EQ(http_server_stats(f->s).conns_total, 3);
    f->raw = http_raw_free(f->raw);
    settle(f);
    fix_free(f);
}
