#include "core/client/client_slice.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/client/informer.h"
#include "core/object/convert.h"
#include "gen/views.h"
#include "tests/fake/fake_env.h"
#include "tests/harness/test.h"

/* --- a server by hand: watches and requests stay until the test answers */

#define MAX 16

struct hand_watch { struct client_watch base; struct client_watch_opts o; bool there; };
struct hand_req { struct client_req q; bool there; char name[64]; };

struct hand {
    struct client base;
    struct hand_watch watches[MAX];
    struct hand_req reqs[MAX];
    unsigned n_watches, n_reqs;
};

static int hand_do(struct client *c, const struct client_req *q, struct err *err)
{
    struct hand *h = container_of(c, struct hand, base);

    (void)err;
    EXPECT(h->n_reqs < MAX);
    h->reqs[h->n_reqs] = (struct hand_req){ .q = *q, .there = true };
    snprintf(h->reqs[h->n_reqs].name, 64, "%s", q->name);
    h->n_reqs++;
    return 0;
}

static int hand_watch(struct client *c, struct client_watch **out,
                      const struct client_watch_opts *o, struct err *err)
{
    struct hand *h = container_of(c, struct hand, base);
    struct hand_watch *w = &h->watches[h->n_watches++];

    (void)err;
    EXPECT(h->n_watches <= MAX);
    *w = (struct hand_watch){ .base = { c->ops }, .o = *o, .there = true };
    *out = &w->base;
    return 0;
}

static struct client_watch *hand_watch_free(struct client_watch *w)
{
    container_of(w, struct hand_watch, base)->there = false;
    return NULL;
}

static struct client *hand_free(struct client *c)
{
    mem_free(container_of(c, struct hand, base));
    return NULL;
}

static const struct client_ops hand_ops = { hand_do, hand_watch, hand_watch_free, hand_free };

/* --- the node */

struct world {
    struct fake_env env;
    struct loop *loop;
    struct job_pool *jobs;
    struct hand *server;
    struct client *client;
};

static void start(struct world *w)
{
    struct client_slice_opts o = { .dir = test_tmpdir(), .scope = "n1" };
    struct err err = ERR_INIT;

    EXPECT_OK(job_pool_new(&w->jobs, 0, NULL, &err), &err);
    w->server = NEW(struct hand);
    w->server->base = (struct client){ &hand_ops, w->loop, "hand" };
    o.jobs = w->jobs;
    EXPECT_OK(client_slice_new(&w->client, &w->server->base, &o, &err), &err);
}

static void stop(struct world *w)
{
    client_slice_stop(w->client);
    w->jobs = job_pool_free(w->jobs);
    while (loop_step(w->loop, 0))
        ;
    w->client = client_free(w->client);
}

static void world_new(struct world *w)
{
    struct err err = ERR_INIT;

    fake_env_init(&w->env, 1);
    EXPECT_OK(loop_new(&w->loop, &w->env.env, &err), &err);
    start(w);
}

static void world_free(struct world *w)
{
    stop(w);
    loop_free(w->loop);
}

static void pass(struct world *w, int64_t ms)
{
    fake_env_advance(&w->env, ms);
    while (loop_step(w->loop, 0))
        ;
}

static struct object *make(const struct kind *k, int64_t rv, const char *json)
{
    struct object *o;
    struct err err = ERR_INIT;

    EXPECT_OK(object_new(&o, k, json, strlen(json), rv, &err), &err);
    return o;
}

#define POD(name, uid, ip, spec) \
    "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"" name "\"," \
    "\"namespace\":\"d\",\"uid\":\"" uid "\",\"resourceVersion\":\"\"," \
    "\"managedFields\":[{\"manager\":\"m\"}]},\"spec\":{\"containers\":[]," spec "}," \
    "\"status\":{\"phase\":\"Running\",\"podIP\":\"" ip "\"}}"
#define VOLUMES "\"volumes\":[{\"name\":\"c\",\"configMap\":{\"name\":\"conf\"}}," \
    "{\"name\":\"s\",\"secret\":{\"secretName\":\"pw\"}}]"

/* The whole list of one watch. */
static void list(struct world *w, unsigned watch, unsigned n, struct object **objects)
{
    const struct client_watch_opts *o = &w->server->watches[watch].o;

    o->on_sync(false, o->ctx);
    for (unsigned i = 0; i < n; i++)
        o->on_event(CLIENT_ADDED, objects[i], o->ctx);
    o->on_sync(true, o->ctx);
}

static void tell(struct world *w, unsigned watch, enum client_event type, struct object *obj)
{
    const struct client_watch_opts *o = &w->server->watches[watch].o;

    o->on_event(type, obj, o->ctx);
}

static struct informer *watch(struct world *w, const struct kind *k)
{
    struct informer *i;
    struct err err = ERR_INIT;

    EXPECT_OK(informer_new(&i, w->client, &(struct informer_opts){ .kind = k }, &err), &err);
    return i;
}

/* --- watches */

TEST(a_list_outlives_the_server)
{
    struct object *a = make(kind_pod(), 5, POD("a", "u1", "10.42.0.2", "\"nodeName\":\"n1\""));
    struct object *b = make(kind_pod(), 6, POD("b", "u2", "10.42.0.3", "\"nodeName\":\"n1\""));
    struct object *c = make(kind_pod(), 9, POD("c", "u3", "10.42.0.4", "\"nodeName\":\"n1\""));
    struct object *now[] = { a, c };
    struct informer *pods;
    struct world w;

    world_new(&w);
    pods = watch(&w, kind_pod());
    pass(&w, CLIENT_SLICE_WAIT_MS);
    EXPECT(!informer_synced(pods));          /* nothing is known yet: the server must say */
    list(&w, 0, 2, (struct object *[]){ a, b });
    EXPECT(informer_synced(pods));
    EXPECT_EQ(informer_len(pods), 2);
    pass(&w, CLIENT_SLICE_SETTLE_MS);
    informer_free(pods);
    stop(&w);

    start(&w);                               /* no server */
    pods = watch(&w, kind_pod());
    pass(&w, CLIENT_SLICE_WAIT_MS - 1);
    EXPECT(!informer_synced(pods));
    EXPECT(!client_slice_is_away(w.client));
    pass(&w, 1);
    EXPECT(informer_synced(pods));
    EXPECT(client_slice_is_away(w.client));
    EXPECT_EQ(informer_len(pods), 2);
    EXPECT_STR(pod_view(informer_get(pods, "d", "b"))->status.pod_ip, "10.42.0.3");
    EXPECT_EQ(object_rv(informer_get(pods, "d", "b")), 6);

    list(&w, 0, 2, now);                     /* it is back: b has gone, c has come */
    EXPECT(!client_slice_is_away(w.client));
    EXPECT_EQ(informer_len(pods), 2);
    EXPECT(!informer_get(pods, "d", "b"));
    EXPECT(informer_get(pods, "d", "c"));
    informer_free(pods);
    stop(&w);                                /* before it was written: the end does it */

    start(&w);
    pods = watch(&w, kind_pod());
    pass(&w, CLIENT_SLICE_WAIT_MS);
    EXPECT_EQ(informer_len(pods), 2);
    EXPECT(informer_get(pods, "d", "c"));
    informer_free(pods);
    world_free(&w);
    object_unref(a);
    object_unref(b);
    object_unref(c);
}

TEST(changes_outlive_it_too)
{
    struct object *a = make(kind_pod(), 5, POD("a", "u1", "10.42.0.2", "\"nodeName\":\"n1\""));
    struct object *b = make(kind_pod(), 6, POD("b", "u2", "10.42.0.3", "\"nodeName\":\"n1\""));
    struct informer *pods;
    struct world w;

    world_new(&w);
    pods = watch(&w, kind_pod());
    list(&w, 0, 1, &a);
    pass(&w, CLIENT_SLICE_SETTLE_MS);
    tell(&w, 0, CLIENT_ADDED, b);
    tell(&w, 0, CLIENT_DELETED, a);
    pass(&w, CLIENT_SLICE_SETTLE_MS);
    informer_free(pods);
    stop(&w);
    start(&w);
    pods = watch(&w, kind_pod());
    pass(&w, CLIENT_SLICE_WAIT_MS);
    EXPECT_EQ(informer_len(pods), 1);
    EXPECT(informer_get(pods, "d", "b"));
    informer_free(pods);
    world_free(&w);
    object_unref(a);
    object_unref(b);
}

TEST(half_a_list_is_none)
{
    struct object *a = make(kind_pod(), 5, POD("a", "u1", "10.42.0.2", "\"nodeName\":\"n1\""));
    struct object *b = make(kind_pod(), 6, POD("b", "u2", "10.42.0.3", "\"nodeName\":\"n1\""));
    struct object *c = make(kind_pod(), 7, POD("c", "u3", "10.42.0.4", "\"nodeName\":\"n1\""));
    const struct client_watch_opts *o;
    struct informer *pods;
    struct world w;

    world_new(&w);
    pods = watch(&w, kind_pod());
    list(&w, 0, 2, (struct object *[]){ a, b });
    informer_free(pods);
    stop(&w);
    start(&w);
    pods = watch(&w, kind_pod());
    o = &w.server->watches[0].o;
    o->on_sync(false, o->ctx);
    o->on_event(CLIENT_ADDED, c, o->ctx);
    pass(&w, CLIENT_SLICE_WAIT_MS);
    EXPECT(!informer_synced(pods));          /* the rest may still come */
    pass(&w, CLIENT_SLICE_LIST_MS);
    EXPECT(informer_synced(pods));
    EXPECT_EQ(informer_len(pods), 3);
    o->on_event(CLIENT_ADDED, a, o->ctx);
    o->on_sync(true, o->ctx);                /* it came: b was not in it */
    EXPECT_EQ(informer_len(pods), 2);
    EXPECT(!informer_get(pods, "d", "b"));
    informer_free(pods);
    world_free(&w);
    object_unref(a);
    object_unref(b);
    object_unref(c);
}

TEST(watches_are_shared)
{
    struct object *a = make(kind_pod(), 5, POD("a", "u1", "10.42.0.2", "\"nodeName\":\"n1\""));
    struct informer *one, *two, *late;
    struct world w;

    world_new(&w);
    one = watch(&w, kind_pod());
    two = watch(&w, kind_pod());
    EXPECT_EQ(w.server->n_watches, 1);
    list(&w, 0, 1, &a);
    EXPECT_EQ(informer_len(one), 1);
    EXPECT_EQ(informer_len(two), 1);
    late = watch(&w, kind_pod());
    EXPECT(!informer_synced(late));          /* never from inside the call */
    pass(&w, 0);
    EXPECT_EQ(informer_len(late), 1);
    tell(&w, 0, CLIENT_DELETED, a);
    EXPECT_EQ(informer_len(one) + informer_len(two) + informer_len(late), 0);
    informer_free(one);
    informer_free(late);
    EXPECT(w.server->watches[0].there);
    informer_free(two);
    EXPECT(!w.server->watches[0].there);
    world_free(&w);
    object_unref(a);
}

/* --- flash */

static int64_t disk_size(void)
{
    int64_t sum = 0;
    DIR *d = opendir(test_tmpdir());
    struct dirent *e;
    struct stat st;

    while ((e = readdir(d)) != NULL)
        if (fstatat(dirfd(d), e->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
            sum += st.st_size + (int64_t)st.st_ino;
    closedir(d);
    return sum;
}

TEST(heartbeats_write_nothing)
{
    static const char node[] =
        "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"n1\",\"uid\":\"n\","
        "\"resourceVersion\":\"\"},\"spec\":{\"podCIDR\":\"10.42.1.0/24\"},\"status\":{"
        "\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"192.0.2.2\"}],"
        "\"conditions\":[{\"type\":\"Ready\","
        "\"status\":\"%s\",\"lastHeartbeatTime\":\"2026-01-01T00:00:0%dZ\"}]}}";
    struct informer *nodes;
    struct world w;
    int64_t before = 0;

    world_new(&w);
    nodes = watch(&w, kind_node());
    for (int i = 0; i < 5; i++) {
        _cleanup_(mem_freep) char *text = mem_printf(node, i == 3 ? "False" : "True", i);
        struct object *o = make(kind_node(), 5 + i, text);

        if (i == 0)
            list(&w, 0, 1, &o);
        else
            tell(&w, 0, CLIENT_MODIFIED, o);
        pass(&w, CLIENT_SLICE_SETTLE_WIDE_MS);
        EXPECT_EQ(object_rv(informer_get(nodes, "", "n1")), 5 + i);
        if (i == 0)
            before = disk_size();
        EXPECT_EQ(disk_size(), before);
        object_unref(o);
    }
    informer_free(nodes);
    world_free(&w);
}

TEST(changes_are_written_together)
{
    struct object *a = make(kind_pod(), 5, POD("a", "u1", "", "\"nodeName\":\"n1\""));
    struct object *b = make(kind_pod(), 6, POD("a", "u1", "10.42.0.3", "\"nodeName\":\"n1\""));
    struct informer *pods;
    struct world w;
    int64_t before;

    world_new(&w);
    pods = watch(&w, kind_pod());
    list(&w, 0, 1, &a);
    pass(&w, CLIENT_SLICE_SETTLE_MS);
    before = disk_size();
    tell(&w, 0, CLIENT_MODIFIED, b);
    pass(&w, CLIENT_SLICE_SETTLE_MS - 1);
    EXPECT_EQ(disk_size(), before);
    pass(&w, 1);
    EXPECT(disk_size() != before);
    informer_free(pods);
    world_free(&w);
    object_unref(a);
    object_unref(b);
}

/* The disk is a job's, while the loop goes on changing. */
TEST(written_by_a_thread)
{
    struct object *a = make(kind_pod(), 5, POD("a", "u1", "", "\"nodeName\":\"n1\""));
    struct client_slice_opts o = { .dir = test_tmpdir(), .scope = "n1" };
    struct err err = ERR_INIT;
    struct informer *pods;
    struct world w = { 0 };
    int64_t before;

    EXPECT_OK(loop_new(&w.loop, NULL, &err), &err);
    EXPECT_OK(job_pool_new(&w.jobs, 2, NULL, &err), &err);
    w.server = NEW(struct hand);
    w.server->base = (struct client){ &hand_ops, w.loop, "hand" };
    o.jobs = w.jobs;
    EXPECT_OK(client_slice_new(&w.client, &w.server->base, &o, &err), &err);
    pods = watch(&w, kind_pod());
    list(&w, 0, 1, &a);
    before = disk_size();
    for (int i = 0; i < 400 && disk_size() == before; i++) {
        _cleanup_(mem_freep) char *text = mem_printf(
            POD("b", "u%d", "10.42.0.2", "\"nodeName\":\"n1\""), i);
        struct object *b = make(kind_pod(), 6 + i, text);

        tell(&w, 0, i ? CLIENT_MODIFIED : CLIENT_ADDED, b);
        object_unref(b);
        loop_step(w.loop, 20);
    }
    EXPECT(disk_size() != before);
    informer_free(pods);
    stop(&w);
    start(&w);
    pods = watch(&w, kind_pod());
    for (int i = 0; i < 200 && !informer_synced(pods); i++)
        loop_step(w.loop, 20);
    EXPECT_EQ(informer_len(pods), 2);
    informer_free(pods);
    world_free(&w);
    object_unref(a);
}

/* --- requests */

struct got { int n, code; char text[200]; };

static void on_got(const struct client_result *r, void *ctx)
{
    struct got *g = ctx;
    struct slice bytes = r->object ? object_bytes(r->object) : (struct slice){ "", 0 };

    g->n++;
    g->code = r->code;
    snprintf(g->text, sizeof(g->text), "%.*s", (int)bytes.len, bytes.p);
    if (r->body && json_path_str(r->body, "status.token"))
        snprintf(g->text, sizeof(g->text), "%s", json_path_str(r->body, "status.token"));
}

static void get(struct world *w, const struct kind *k, const char *name, struct got *g)
{
    struct err err = ERR_INIT;

    *g = (struct got){ 0 };
    EXPECT_OK(client_do(w->client, &(struct client_req){ .verb = CLIENT_GET, .kind = k, .ns = "d",
                                                         .name = name, .on_done = on_got,
                                                         .ctx = g }, &err), &err);
}

static void answer(struct world *w, int code, struct object *o)
{
    struct client_result r = { .code = code, .object = o, .reason = "", .message = "" };

    EXPECT(w->server->n_reqs > 0);
    w->server->n_reqs--;
    w->server->reqs[w->server->n_reqs].q.on_done(&r, w->server->reqs[w->server->n_reqs].q.ctx);
}

#define CONFIG "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"conf\"," \
    "\"namespace\":\"d\",\"uid\":\"c\",\"resourceVersion\":\"\"},\"data\":{\"k\":\"plain\"}}"
#define SECRET "{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"pw\"," \
    "\"namespace\":\"d\",\"uid\":\"s\",\"resourceVersion\":\"\"},\"data\":{\"k\":\"c2VzYW1l\"}}"

static struct informer *one_pod(struct world *w, const char *text)
{
    struct object *a = make(kind_pod(), 5, text);
    struct informer *pods = watch(w, kind_pod());

    list(w, w->server->n_watches - 1, 1, &a);
    object_unref(a);
    return pods;
}

static bool disk_has(const char *file, const char *text)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/%s", test_tmpdir(), file);
    _cleanup_buf_ struct buf b = BUF_INIT;

    return fd_read_file(&b, AT_FDCWD, path, 1 << 20, NULL) == 0 && b.len &&
           memmem(b.p, b.len, text, strlen(text));
}

/* A node whose pod uses conf, pw and "none", which is not there; written. */
static void know(struct world *w)
{
    struct object *conf = make(kind_config_map(), 7, CONFIG), *pw = make(kind_secret(), 8, SECRET);
    struct informer *pods = one_pod(w, POD("a", "u1", "10.42.0.2", VOLUMES
        ",\"imagePullSecrets\":[{\"name\":\"none\"}]"));
    struct got g;

    get(w, kind_config_map(), "conf", &g);
    EXPECT_EQ(g.n, 0);
    answer(w, 200, conf);
    EXPECT_EQ(g.code, 200);
    get(w, kind_secret(), "pw", &g);
    answer(w, 200, pw);
    get(w, kind_secret(), "none", &g);
    answer(w, 404, NULL);
    EXPECT_EQ(g.code, 404);
    pass(w, CLIENT_SLICE_SETTLE_MS);
    EXPECT(disk_has("configmaps", "plain"));
    EXPECT(disk_has("secrets", "d/pw"));
    EXPECT(!disk_has("secrets", "c2VzYW1l"));
    informer_free(pods);
    object_unref(conf);
    object_unref(pw);
}

static void recall(struct world *w, const struct kind *k, const char *name, int code,
                   const char *text)
{
    struct got g;

    get(w, k, name, &g);
    EXPECT_EQ(w->server->n_reqs, 0);
    EXPECT_EQ(g.n, 0);                       /* never from inside the call */
    pass(w, 0);
    EXPECT_EQ(g.n, 1);
    EXPECT_EQ(g.code, code);
    EXPECT(strstr(g.text, text));
}

TEST(what_pods_use_outlives_the_server)
{
    struct informer *pods;
    struct got g;
    struct world w;

    world_new(&w);
    know(&w);
    stop(&w);
    start(&w);
    pods = watch(&w, kind_pod());
    get(&w, kind_config_map(), "conf", &g);  /* nothing is known of the server yet */
    EXPECT_EQ(w.server->n_reqs, 1);
    EXPECT_EQ(w.server->reqs[0].q.timeout_ms, CLIENT_SLICE_PATIENCE_MS);
    answer(&w, 0, NULL);
    EXPECT_EQ(g.code, 200);
    EXPECT(strstr(g.text, "plain"));
    EXPECT(client_slice_is_away(w.client));
    recall(&w, kind_config_map(), "conf", 200, "plain");
    recall(&w, kind_secret(), "pw", 200, "c2VzYW1l");
    recall(&w, kind_secret(), "none", 404, "");
    get(&w, kind_secret(), "never", &g);     /* not kept: it is asked, but not for long */
    EXPECT_EQ(w.server->reqs[0].q.timeout_ms, CLIENT_SLICE_PATIENCE_MS);
    answer(&w, 0, NULL);
    EXPECT_EQ(g.code, 0);
    informer_free(pods);
    world_free(&w);
}

TEST(a_server_that_answers_is_right)
{
    struct informer *pods;
    struct got g;
    struct world w;

    world_new(&w);
    know(&w);
    pods = one_pod(&w, POD("a", "u1", "10.42.0.2", VOLUMES));
    get(&w, kind_config_map(), "conf", &g);
    answer(&w, 404, NULL);
    EXPECT_EQ(g.code, 404);
    get(&w, kind_secret(), "pw", &g);
    answer(&w, 403, NULL);
    EXPECT_EQ(g.code, 403);
    get(&w, kind_config_map(), "conf", &g);
    answer(&w, 0, NULL);
    EXPECT_EQ(g.code, 404);                  /* as it said last */
    get(&w, kind_secret(), "pw", &g);
    answer(&w, 0, NULL);
    EXPECT_EQ(g.code, 0);
    informer_free(pods);
    world_free(&w);
}

TEST(what_no_pod_uses_leaves)
{
    struct object *a = make(kind_pod(), 5, POD("a", "u1", "", VOLUMES));
    struct informer *pods;
    struct world w;

    world_new(&w);
    know(&w);
    pods = watch(&w, kind_pod());
    list(&w, w.server->n_watches - 1, 1, &a);
    pass(&w, CLIENT_SLICE_SETTLE_MS);
    EXPECT(disk_has("secrets", "d/pw"));
    tell(&w, w.server->n_watches - 1, CLIENT_DELETED, a);
    pass(&w, CLIENT_SLICE_SETTLE_MS);        /* the pod leaves, and then what it used */
    pass(&w, CLIENT_SLICE_SETTLE_MS);
    informer_free(pods);
    stop(&w);
    start(&w);
    pods = watch(&w, kind_pod());
    pass(&w, CLIENT_SLICE_WAIT_MS);
    EXPECT_EQ(informer_len(pods), 0);
    {
        struct got g;

        get(&w, kind_secret(), "pw", &g);
        answer(&w, 0, NULL);
        EXPECT_EQ(g.code, 0);
    }
    informer_free(pods);
    world_free(&w);
    object_unref(a);
}

TEST(without_the_key_only_secrets_are_lost)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/key", test_tmpdir());
    struct informer *pods;
    struct stat st;
    struct got g;
    struct world w;

    world_new(&w);
    know(&w);
    stop(&w);
    EXPECT_EQ(stat(path, &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600);
    EXPECT_EQ(unlink(path), 0);
    start(&w);
    pods = watch(&w, kind_pod());
    pass(&w, CLIENT_SLICE_WAIT_MS);
    EXPECT_EQ(informer_len(pods), 1);
    recall(&w, kind_config_map(), "conf", 200, "plain");
    get(&w, kind_secret(), "pw", &g);
    pass(&w, 0);
    EXPECT_EQ(g.n, 1);
    EXPECT_EQ(g.code, 0);
    informer_free(pods);
    world_free(&w);
}

/* --- tokens */

static void token(struct world *w, const char *uid, const char *audience, struct got *g)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct err err = ERR_INIT;
    struct json *body;
    const char *text = arena_printf(a, "{\"spec\":{\"audiences\":[\"%s\"],\"expirationSeconds\":"
                                    "3607,\"boundObjectRef\":{\"kind\":\"Pod\",\"uid\":\"%s\"}}}",
                                    audience, uid);

    *g = (struct got){ 0 };
    EXPECT_OK(json_parse(&body, a, text, strlen(text), NULL, &err), &err);
    EXPECT_OK(client_do(w->client, &(struct client_req){
        .verb = CLIENT_CREATE, .kind = kind_service_account(), .ns = "d", .name = "default",
        .subresource = "token", .body = body, .on_done = on_got, .ctx = g }, &err), &err);
}

static void answer_token(struct world *w, const char *text)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *body = json_object(a);
    struct client_result r = { .code = 201, .body = body, .reason = "", .message = "" };

    json_set_str(a, json_ensure_object(a, body, "status"), "token", text);
    w->server->n_reqs--;
    w->server->reqs[w->server->n_reqs].q.on_done(&r, w->server->reqs[w->server->n_reqs].q.ctx);
}

TEST(the_last_token_is_used)
{
    struct informer *pods;
    struct got g;
    struct world w;

    world_new(&w);
    pods = one_pod(&w, POD("a", "u1", "10.42.0.2", VOLUMES));
    token(&w, "u1", "api", &g);
    answer_token(&w, "eyJ.old");
    token(&w, "u1", "api", &g);
    answer_token(&w, "eyJ.new");
    EXPECT_STR(g.text, "eyJ.new");
    pass(&w, CLIENT_SLICE_SETTLE_MS);
    EXPECT(!disk_has("tokens", "eyJ"));
    informer_free(pods);
    stop(&w);
    start(&w);
    pods = watch(&w, kind_pod());
    pass(&w, CLIENT_SLICE_WAIT_MS);
    token(&w, "u1", "api", &g);
    EXPECT_EQ(w.server->n_reqs, 0);
    pass(&w, 0);
    EXPECT_EQ(g.code, 201);
    EXPECT_STR(g.text, "eyJ.new");
    token(&w, "u1", "other", &g);            /* of another audience, of another pod: none */
    answer(&w, 0, NULL);
    EXPECT_EQ(g.code, 0);
    token(&w, "u2", "api", &g);
    answer(&w, 0, NULL);
    EXPECT_EQ(g.code, 0);
    informer_free(pods);
    world_free(&w);
}

/* --- from descriptors, as the dns role has them */

TEST(lists_from_descriptors)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/pods", test_tmpdir());
    struct object *a = make(kind_pod(), 5, POD("a", "u1", "", VOLUMES));
    struct client_slice_opts o = { .scope = "n1" };
    struct client_slice_fd fds[1];
    struct err err = ERR_INIT;
    struct informer *pods;
    struct world w;
    struct hand *server;
    int64_t before;

    world_new(&w);
    pods = watch(&w, kind_pod());
    list(&w, 0, 1, &a);
    informer_free(pods);
    stop(&w);
    fds[0] = (struct client_slice_fd){ kind_pod(), open(path, O_RDONLY | O_CLOEXEC) };
    o.fds = fds;
    o.n_fds = 1;
    server = NEW(struct hand);
    server->base = (struct client){ &hand_ops, w.loop, "hand" };
    EXPECT_OK(client_slice_new(&w.client, &server->base, &o, &err), &err);
    w.server = server;
    pods = watch(&w, kind_pod());
    pass(&w, CLIENT_SLICE_WAIT_MS);
    EXPECT_EQ(informer_len(pods), 1);
    before = disk_size();
    list(&w, 0, 0, NULL);
    EXPECT_EQ(informer_len(pods), 0);
    pass(&w, CLIENT_SLICE_SETTLE_WIDE_MS);
    EXPECT_EQ(disk_size(), before);
    informer_free(pods);
    w.client = client_free(w.client);
    loop_free(w.loop);
    object_unref(a);
}
