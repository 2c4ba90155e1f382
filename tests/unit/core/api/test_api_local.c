#include "tests/unit/core/api/api_fix.h"

/* --- calls */

struct got { int n, code; char text[160]; };

static void on_done(const struct client_result *r, void *ctx)
{
    struct got *g = ctx;

    g->n++;
    g->code = r->code;
    snprintf(g->text, sizeof(g->text), "%s", r->object ? object_name(r->object) : r->message);
}

static void settle(struct fix *f, const int *counter, int until)
{
    for (int i = 0; i < API_PEER_STEPS_MAX && *counter < until; i++)
        loop_step(f->box->loop, 10);
}

static int do_req(struct fix *f, struct client *c, struct client_req req, struct got *g)
{
    struct err err = ERR_INIT;

    *g = (struct got){ 0 };
    req.kind = kind_config_map();
    req.ns = "default";
    req.on_done = on_done;
    req.ctx = g;
    if (req.verb == CLIENT_DELETE)
        req.grace_s = -1;
    EXPECT_OK(client_do(c, &req, &err), &err);
    EXPECT_EQ(g->n, 0);                          /* never from inside of the call */
    settle(f, &g->n, 1);
    return g->code;
}

static struct json *parse(struct arena *a, const char *text)
{
    struct json *v;

    EXPECT(json_parse(&v, a, text, strlen(text), NULL, NULL) == 0);
    return v;
}

TEST(calls)
{
    struct fix f = fix_new();
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *body = parse(a, "{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"v\"}}");
    struct json *patch = parse(a, "{\"data\":{\"k\":\"w\"}}");
    struct client *c;
    struct err err = ERR_INIT;
    struct got g;

    EXPECT_OK(api_client_new(&c, f.box->api, f.box->loop, "tester", &err), &err);
    EXPECT_EQ(do_req(&f, c, (struct client_req){ .verb = CLIENT_CREATE, .body = body }, &g), 201);
    EXPECT_STR(g.text, "a");
    EXPECT_EQ(do_req(&f, c, (struct client_req){ .verb = CLIENT_CREATE, .body = body }, &g), 409);
    EXPECT_EQ(do_req(&f, c, (struct client_req){ .verb = CLIENT_GET, .name = "a" }, &g), 200);
    EXPECT_EQ(do_req(&f, c, (struct client_req){ .verb = CLIENT_PATCH_MERGE, .name = "a",
                                                 .body = patch }, &g), 200);
    EXPECT_STR(fix_str(api_peer_get(f.peer, CMS "/a"), "data.k"), "w");
    EXPECT_EQ(do_req(&f, c, (struct client_req){ .verb = CLIENT_DELETE, .name = "a",
                                                 .uid_precondition = "x" }, &g), 409);
    EXPECT_EQ(do_req(&f, c, (struct client_req){ .verb = CLIENT_DELETE, .name = "a" }, &g), 200);
    EXPECT_EQ(do_req(&f, c, (struct client_req){ .verb = CLIENT_GET, .name = "a" }, &g), 404);
    client_free(c);
    fix_close(&f);
}

/* Writers of one object on several threads: no patch is lost. */
TEST(patches_at_once)
{
    enum { WRITERS = 40 };
    struct fix f = { 0 };
    struct err err = ERR_INIT;
    struct got g[WRITERS];
    struct client *c;
    int done = 0, failed = 0;

    EXPECT_OK(api_box_new(&f.box, test_tmpdir(), 4, &err), &err);
    EXPECT_OK(api_peer_new(&f.peer, f.box, "admin", "system:masters", &err), &err);
    EXPECT_OK(api_client_new(&c, f.box->api, f.box->loop, "tester", &err), &err);
    ANSWERS(api_peer_post(f.peer, CMS, "{\"metadata\":{\"name\":\"a\"}}"), 201);
    for (int i = 0; i < WRITERS; i++) {
        _cleanup_(arena_freep) struct arena *a = arena_new(0);
        struct json *patch = json_object(a);

        json_set_str(a, json_ensure_object(a, patch, "data"), arena_printf(a, "k%d", i), "v");
        g[i] = (struct got){ 0 };
        EXPECT_OK(client_do(c, &(struct client_req){ .verb = CLIENT_PATCH_MERGE, .name = "a",
                  .kind = kind_config_map(), .ns = "default", .body = patch, .on_done = on_done,
                  .ctx = &g[i] }, &err), &err);
    }
    for (int i = 0; i < WRITERS; i++) {
        settle(&f, &g[i].n, 1);
        done += g[i].code == 200;
        failed += g[i].code == 409;              /* after too many tries: told, not lost */
    }
    EXPECT_EQ(done + failed, WRITERS);
    EXPECT_EQ(json_len(json_get(api_peer_get(f.peer, CMS "/a")->json, "data")), (size_t)done);
    client_free(c);
    fix_close(&f);
}

/* --- watches */

struct seen { char text[512]; int n; };

static void add(struct seen *s, const char *word, const char *name)
{
    size_t at = strlen(s->text);

    s->n++;
    snprintf(s->text + at, sizeof(s->text) - at, "%s%s%s%s", at ? " " : "", word, *name ? ":" : "",
             name);
}

static void on_sync(bool end, void *ctx)
{
    add(ctx, end ? "synced" : "begin", "");
}

static void on_event(enum client_event type, struct object *o, void *ctx)
{
    static const char *const names[] = { [CLIENT_ADDED] = "add", [CLIENT_MODIFIED] = "mod",
                                         [CLIENT_DELETED] = "del" };

    add(ctx, names[type], object_name(o));
}

TEST(watch)
{
    struct fix f = fix_new();
    struct seen all = { .text = "" }, some = { .text = "" };
    struct client_watch_opts o = { .kind = kind_config_map(), .ns = "default", .on_sync = on_sync,
                                   .on_event = on_event, .ctx = &all };
    struct client_watch *w, *v;
    struct client *c;
    struct err err = ERR_INIT;

    EXPECT_OK(api_client_new(&c, f.box->api, f.box->loop, "tester", &err), &err);
    ANSWERS(api_peer_post(f.peer, CMS, "{\"metadata\":{\"name\":\"a\"}}"), 201);
    EXPECT_OK(client_watch_new(c, &w, &o, &err), &err);
    o.label_selector = "x=1";
    o.ctx = &some;
    EXPECT_OK(client_watch_new(c, &v, &o, &err), &err);
    settle(&f, &all.n, 3);
    ANSWERS(api_peer_patch(f.peer, CMS "/a", "merge", "{\"metadata\":{\"labels\":{\"x\":\"1\"}}}"),
            200);
    ANSWERS(api_peer_patch(f.peer, CMS "/a", "merge", "{\"metadata\":{\"labels\":{\"x\":\"2\"}}}"),
            200);
    ANSWERS(api_peer_delete(f.peer, CMS "/a", NULL), 200);
    settle(&f, &all.n, 6);
    settle(&f, &some.n, 4);
    EXPECT_STR(all.text, "begin add:a synced mod:a mod:a del:a");
    EXPECT_STR(some.text, "begin synced add:a del:a");
    client_watch_free(w);
    client_watch_free(v);
    o.label_selector = "===";
    EXPECT_ERR(client_watch_new(c, &w, &o, &err), &err, ERR_INVALID);
    client_free(c);
    fix_close(&f);
}
