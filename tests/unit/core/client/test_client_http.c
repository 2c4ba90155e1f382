#include "core/client/client_http.h"

#include "tests/fake/fake_env.h"
#include "tests/harness/test.h"

#define POD(name, rv) "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"" name \
    "\",\"namespace\":\"d\",\"resourceVersion\":\"" rv "\"}}"
#define ITEM(name, rv) "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"d\",\"resourceVersion\":\"" rv "\"}}"

#define STREAM (-200)                        /* status 200, and the answer goes on */

/* A server that answers by a script: one line for each request that is expected. */
struct step { const char *want; int status; const char *body; };

struct fix {
    struct loop *loop;
    struct http_server *s;
    struct client *c;
    struct client_watch *w;
    const struct step *steps;
    unsigned n_steps, at;
    char seen[4096];
    struct http_req *stream;
    struct buf log;
    bool free_in_event;
    int done;
};

static void stream_gone(struct http_req *r)
{
    struct fix *f = r->user;

    f->stream = NULL;
    http_stream_end(r);
}

static void on_request(struct http_req *r, void *ctx)
{
    struct fix *f = ctx;
    const struct step *s = &f->steps[f->at];
    struct http_answer a = { .status = abs(s->status), .type = "application/json" };

    snprintf(f->seen, sizeof(f->seen), "%s %s?%s %.*s", r->method, r->path, r->query, (int)r->body.len, r->body.p);
    if (f->at >= f->n_steps)
        test_fail(__FILE__, __LINE__, "one request too many: %s", f->seen);
    if (!str_starts(f->seen, s->want))
        test_fail(__FILE__, __LINE__, "step %u wanted %s, got %s", f->at, s->want, f->seen);
    f->at++;
    a.body = s->body;
    a.len = strlen(s->body);
    if (s->status != STREAM) {
        http_respond(r, &a);
        return;
    }
    http_stream_begin(r, &a);
    r->user = f;
    r->on_gone = stream_gone;
    f->stream = r;
}

static struct fix *fix_new(const struct step *steps, unsigned n)
{
    struct fix *f = NEW(struct fix);
    struct http_server_opts o = { .on_request = on_request, .ctx = f };
    struct client_http_opts co = { .name = "tester" };
    struct err err = ERR_INIT;
    char url[64];

    f->steps = steps;
    f->n_steps = n;
    EXPECT_OK(loop_new(&f->loop, NULL, &err), &err);
    EXPECT_OK(http_server_new(&f->s, f->loop, &o, &err), &err);
    EXPECT_OK(http_server_listen(f->s, "127.0.0.1", 0, NULL, &err), &err);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", http_server_port(f->s));
    co.http.base_url = url;
    EXPECT_OK(client_http_new(&f->c, f->loop, &co, &err), &err);
    return f;
}

static void fix_free(struct fix *f)
{
    client_watch_free(f->w);
    client_free(f->c);
    for (int i = 0; i < 20 && f->stream; i++)
        loop_step(f->loop, 1);
    http_server_free(f->s);
    loop_free(f->loop);
    buf_deinit(&f->log);
    mem_free(f);
}

static void run(struct fix *f, unsigned until)
{
    for (int i = 0; i < 2000 && f->at < until; i++)
        loop_step(f->loop, 5);
    EXPECT_EQ(f->at, until);
    for (int i = 0; i < 10; i++)
        loop_step(f->loop, 1);
}

static void on_done(const struct client_result *r, void *ctx)
{
    struct fix *f = ctx;

    f->done++;
    buf_fmt(&f->log, "%d %s %s|%s", r->code, r->object ? object_name(r->object) : r->body ? "body" : "-", r->reason,
            r->message);
}

static void ask(struct fix *f, struct client_req q)
{
    struct err err = ERR_INIT;

    q.on_done = on_done;
    q.ctx = f;
    buf_clear(&f->log);
    f->done = 0;
    EXPECT_OK(client_do(f->c, &q, &err), &err);
    for (int i = 0; i < 1000 && !f->done; i++)
        loop_step(f->loop, 5);
    EXPECT_EQ(f->done, 1);
}

TEST(requests)
{
    static const struct step steps[] = {
        { "GET /api/v1/namespaces/d/pods/a? ", 200, POD("a", "5") },
        { "GET /api/v1/namespaces/d/pods/b? ", 404,
          "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"message\":\"pods \\\"b\\\" not found\","
          "\"reason\":\"NotFound\",\"code\":404}" },
        { "POST /api/v1/namespaces/d/pods?fieldManager=tester {\"x\":1}", 201, POD("new", "6") },
        { "POST /api/v1/namespaces/d/pods/a/binding?fieldManager=sched {\"x\":1}", 201,
          "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Success\"}" },
        { "PATCH /api/v1/namespaces/d/pods/a/status?fieldManager=tester {\"x\":1}", 200, POD("a", "7") },
        { "DELETE /api/v1/namespaces/d/pods/a? {\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\","
          "\"gracePeriodSeconds\":0,\"preconditions\":{\"uid\":\"u\"},\"propagationPolicy\":\"Background\"}", 200,
          POD("a", "8") },
        { "GET /api/v1/nodes/n? ", 502, "<html>" },
    };
    struct fix *f = fix_new(steps, ARRAY_LEN(steps));
    struct arena *a = arena_new(0);
    struct json *body = json_object(a);
    struct err err = ERR_INIT;

    json_set_int(a, body, "x", 1);
    ask(f, (struct client_req){ .verb = CLIENT_GET, .kind = kind_pod(), .ns = "d", .name = "a" });
    EXPECT_STR(f->log.p, "200 a |");
    ask(f, (struct client_req){ .verb = CLIENT_GET, .kind = kind_pod(), .ns = "d", .name = "b" });
    EXPECT_STR(f->log.p, "404 body NotFound|pods \"b\" not found");
    ask(f, (struct client_req){ .verb = CLIENT_CREATE, .kind = kind_pod(), .ns = "d", .body = body });
    EXPECT_STR(f->log.p, "201 new |");
    ask(f, (struct client_req){ .verb = CLIENT_CREATE, .kind = kind_pod(), .ns = "d", .name = "a",
                                .subresource = "binding", .body = body, .field_manager = "sched" });
    EXPECT_STR(f->log.p, "201 body |");
    ask(f, (struct client_req){ .verb = CLIENT_PATCH_MERGE, .kind = kind_pod(), .ns = "d", .name = "a",
                                .subresource = "status", .body = body });
    EXPECT_STR(f->log.p, "200 a |");
    ask(f, (struct client_req){ .verb = CLIENT_DELETE, .kind = kind_pod(), .ns = "d", .name = "a",
                                .uid_precondition = "u", .propagation = "Background" });
    EXPECT_STR(f->log.p, "200 a |");
    ask(f, (struct client_req){ .verb = CLIENT_GET, .kind = kind_node(), .name = "n" });
    EXPECT_STR(f->log.p, "502 - |the server answered with 502 Bad Gateway");
    f->s = http_server_free(f->s);
    ask(f, (struct client_req){ .verb = CLIENT_GET, .kind = kind_node(), .name = "n" });
    EXPECT(str_starts(f->log.p, "0 - |connect to 127.0.0.1"));
    buf_clear(&f->log);
    client_http_metrics(f->c, &f->log);
    EXPECT(strstr(f->log.p, "rest_client_requests_total{code=\"201\",host=\"127.0.0.1:"));
    EXPECT(strstr(f->log.p, "\",method=\"POST\"} 2\n"));
    EXPECT(strstr(f->log.p, "rest_client_requests_total{code=\"<error>\",host=\""));
    EXPECT(strstr(f->log.p, "rest_client_requests_total{code=\"502\",host=\""));
    EXPECT(strstr(f->log.p, ",verb=\"GET\",le=\"+Inf\"} 4\n"));
    EXPECT_ERR(client_do(f->c, &(struct client_req){ .verb = CLIENT_GET, .kind = kind_pod(), .ns = "d" }, &err),
               &err, ERR_INVALID);
    EXPECT_ERR(client_do(f->c, &(struct client_req){ .verb = CLIENT_CREATE, .kind = kind_pod(), .ns = "d" }, &err),
               &err, ERR_INVALID);
    arena_free(a);
    fix_free(f);
}

static void on_sync(bool end, void *ctx)
{
    buf_str(&((struct fix *)ctx)->log, end ? "end " : "begin ");
}

static void on_event(enum client_event type, struct object *o, void *ctx)
{
    struct fix *f = ctx;

    buf_fmt(&f->log, "%c:%s@%lld ", "AMDB"[type], object_name(o), (long long)object_rv(o));
    if (f->free_in_event)
        f->w = client_watch_free(f->w);
}

static void watch(struct fix *f)
{
    struct client_watch_opts o = { .kind = kind_pod(), .label_selector = "a=b", .on_sync = on_sync,
                                   .on_event = on_event, .ctx = f };
    struct err err = ERR_INIT;

    EXPECT_OK(client_watch_new(f->c, &f->w, &o, &err), &err);
    EXPECT_EQ(f->log.len, 0);
}

#define LIST(rv, token, items) "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"" rv \
    "\"" token "},\"items\":[" items "]}"
#define GONE "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"status\":\"Failure\",\"code\":410}}\n"

TEST(list_then_follow)
{
    static const struct step steps[] = {
        { "GET /api/v1/pods?limit=500&labelSelector=a%3Db ", 200,
          LIST("9", ",\"continue\":\"next\"", ITEM("p1", "3") "," ITEM("p2", "4")) },
        { "GET /api/v1/pods?limit=500&continue=next&labelSelector=a%3Db ", 200, LIST("9", "", ITEM("p3", "5")) },
        { "GET /api/v1/pods?watch=true&allowWatchBookmarks=true&resourceVersion=9&timeoutSeconds=", STREAM,
          "{\"type\":\"ADDED\",\"object\":" POD("p4", "10") "}\n" },
        { "GET /api/v1/pods?watch=true&allowWatchBookmarks=true&resourceVersion=33&timeoutSeconds=", STREAM, "" },
    };
    struct fix *f = fix_new(steps, ARRAY_LEN(steps));
    static const char bookmark[] = "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\","
                                   "\"metadata\":{\"resourceVersion\":\"33\"}}}\n";
    static const char split[] = "{\"type\":\"DELETED\",\"object\":" POD("p4", "12") "}\n";

    watch(f);
    run(f, 3);
    EXPECT_STR(f->log.p, "begin A:p1@3 A:p2@4 A:p3@5 end A:p4@10 ");
    buf_clear(&f->log);
    for (size_t i = 0; i + 1 < sizeof(split); i++) {
        http_stream_write(f->stream, split + i, 1);
        loop_step(f->loop, 0);
    }
    http_stream_write(f->stream, bookmark, sizeof(bookmark) - 1);
    for (int i = 0; i < 20; i++)
        loop_step(f->loop, 1);
    EXPECT(str_starts(f->log.p, "D:p4@12 "));
    http_abort(f->stream);
    f->stream = NULL;
    run(f, 4);                               /* goes on from the bookmark */
    fix_free(f);
}

static void pass(struct fix *f, struct fake_env *env, int64_t ms)
{
    fake_env_advance(env, ms);
    for (int i = 0; i < 20; i++)
        loop_step(f->loop, 1);
}

static void get_node(struct fix *f)
{
    struct err err = ERR_INIT;

    f->done = 0;
    EXPECT_OK(client_do(f->c, &(struct client_req){ .verb = CLIENT_GET, .kind = kind_node(),
                                                    .name = "n", .timeout_ms = 1000,
                                                    .on_done = on_done, .ctx = f }, &err), &err);
}

/* A watch whose next try is far, and one that follows over a connection that may be dead: an answer
 * to something else wakes both. */
TEST(woken_by_an_answer)
{
    static const struct step steps[] = {
        { "GET /api/v1/nodes/n? ", 404, "{}" },
        { "GET /api/v1/pods?limit=500 ", 200,
          "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[" ITEM("a", "5") "]}" },
        { "GET /api/v1/pods?watch=true&allowWatchBookmarks=true&resourceVersion=9", STREAM, "" },
        { "GET /api/v1/nodes/n? ", STREAM, "" },                     /* never whole */
        { "GET /api/v1/nodes/n? ", 404, "{}" },
        { "GET /api/v1/pods?watch=true&allowWatchBookmarks=true&resourceVersion=9", STREAM, "" },
    };
    struct fix *f = fix_new(steps, ARRAY_LEN(steps));
    struct http_server_opts o = { .on_request = on_request, .ctx = f };
    struct client_watch_opts w = { .kind = kind_pod(), .on_event = on_event, .ctx = f };
    struct client_http_opts co = { .name = "tester" };
    uint16_t port = http_server_port(f->s);
    struct err err = ERR_INIT;
    struct fake_env env;
    char url[64];

    client_free(f->c);
    http_server_free(f->s);
    loop_free(f->loop);
    fake_env_init(&env, 1);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", port);
    co.http.base_url = url;
    EXPECT_OK(loop_new(&f->loop, &env.env, &err), &err);
    EXPECT_OK(client_http_new(&f->c, f->loop, &co, &err), &err);
    EXPECT_OK(client_watch_new(f->c, &f->w, &w, &err), &err);
    for (int i = 0; i < 12; i++)             /* nobody is there */
        pass(f, &env, CLIENT_HTTP_BACKOFF_MAX_MS);
    EXPECT_OK(http_server_new(&f->s, f->loop, &o, &err), &err);
    EXPECT_OK(http_server_listen(f->s, "127.0.0.1", port, NULL, &err), &err);
    get_node(f);
    for (int i = 0; i < 100 && f->at < 1; i++)
        pass(f, &env, 0);
    for (int i = 0; i < 100 && f->at < 3; i++)
        pass(f, &env, i < 5 ? CLIENT_HTTP_WAKE_MS / 5 : 0);
    EXPECT_EQ(f->at, 3);
    get_node(f);
    for (int i = 0; i < 100 && f->at < 4; i++)
        pass(f, &env, 0);
    pass(f, &env, 1000);
    EXPECT_EQ(f->done, 1);                   /* in vain */
    get_node(f);
    for (int i = 0; i < 100 && f->at < 6; i++)
        pass(f, &env, i < 6 ? CLIENT_HTTP_WAKE_MS / 5 : 0);
    EXPECT_EQ(f->at, 6);
    fix_free(f);
}

TEST(too_old)
{
    static const struct step steps[] = {
        { "GET /api/v1/pods?limit=500", 200, LIST("9", "", ITEM("p1", "3")) },
        { "GET /api/v1/pods?watch=true&allowWatchBookmarks=true&resourceVersion=9&", 200, GONE },
        { "GET /api/v1/pods?limit=500", 200, LIST("20", "", "") },
        { "GET /api/v1/pods?watch=true&allowWatchBookmarks=true&resourceVersion=20&", 410, "{}" },
        { "GET /api/v1/pods?limit=500", 503, "{}" },
        { "GET /api/v1/pods?limit=500", 200, LIST("30", ",\"continue\":\"c\"", "") },
        { "GET /api/v1/pods?limit=500&continue=c", 410, "{}" },
        { "GET /api/v1/pods?limit=500&labelSelector", 200, LIST("31", "", "") },
        { "GET /api/v1/pods?watch=true&allowWatchBookmarks=true&resourceVersion=31&", STREAM, "" },
    };
    struct fix *f = fix_new(steps, ARRAY_LEN(steps));

    watch(f);
    run(f, ARRAY_LEN(steps));
    EXPECT_STR(f->log.p, "begin A:p1@3 end begin end begin begin end ");
    fix_free(f);
}

TEST(freed_inside)
{
    static const struct step steps[] = {
        { "GET /api/v1/pods?limit=500", 200, LIST("9", "", ITEM("p1", "3") "," ITEM("p2", "3")) },
        { "GET /api/v1/pods?limit=500", 200, LIST("9", "", "") },
        { "GET /api/v1/pods?watch=true", STREAM, "{\"type\":\"ADDED\",\"object\":" POD("p4", "10") "}\n"
          "{\"type\":\"ADDED\",\"object\":" POD("p5", "10") "}\n" },
    };
    struct fix *f = fix_new(steps, ARRAY_LEN(steps));

    f->free_in_event = true;
    watch(f);
    run(f, 1);
    EXPECT_STR(f->log.p, "begin A:p1@3 ");
    EXPECT(!f->w);
    buf_clear(&f->log);
    watch(f);
    run(f, 3);
    EXPECT_STR(f->log.p, "begin end A:p4@10 ");
    fix_free(f);
}
