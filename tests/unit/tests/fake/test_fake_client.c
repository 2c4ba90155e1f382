#include "tests/fake/fake_client.h"

#include "core/client/informer.h"
#include "core/base/yaml.h"
#include "tests/fake/fake_env.h"
#include "tests/harness/test.h"

struct box {
    struct fake_env env;
    struct loop *loop;
    struct fake_client *f;
    struct arena *a;
    int code;
    char reason[64], message[256];
    unsigned answers;
};

static void begin(struct box *b)
{
    struct err err = ERR_INIT;

    *b = (struct box){ 0 };
    fake_env_init(&b->env, 1);
    EXPECT_OK(loop_new(&b->loop, &b->env.env, &err), &err);
    b->f = fake_client_new(b->loop);
    b->a = arena_new(0);
}

static void end(struct box *b)
{
    fake_client_free(b->f);
    loop_free(b->loop);
    arena_free(b->a);
}

static void on_done(const struct client_result *r, void *ctx)
{
    struct box *b = ctx;

    b->code = r->code;
    b->answers++;
    str_copy(b->reason, sizeof(b->reason), r->reason, NULL);
    str_copy(b->message, sizeof(b->message), r->message, NULL);
}

static struct json *yaml(struct box *b, const char *text)
{
    struct json *out;
    struct err err = ERR_INIT;

    EXPECT_OK(yaml_parse(&out, b->a, text, strlen(text), NULL, &err), &err);
    return out;
}

static int call(struct box *b, enum client_verb verb, const struct kind *kind, const char *name, const char *body)
{
    struct client_req req = { .verb = verb, .kind = kind, .ns = kind->namespaced ? "default" : "", .name = name,
                              .body = body ? yaml(b, body) : NULL, .grace_s = -1, .on_done = on_done, .ctx = b };
    struct err err = ERR_INIT;
    unsigned before = b->answers;

    EXPECT_OK(client_do(fake_client_door(b->f), &req, &err), &err);
    EXPECT_EQ(b->answers, before);                       /* never from inside the call */
    fake_client_run(b->f);
    EXPECT_EQ(b->answers, before + 1);
    return b->code;
}

#define POD "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n" \
            "spec: {containers: [{name: c, image: inro.local/box}]}\n"

TEST(create_get_delete)
{
    struct box b;

    begin(&b);
    EXPECT_EQ(call(&b, CLIENT_GET, kind_pod(), "a", NULL), 404);
    EXPECT_STR(b.message, "pods \"a\" not found");
    EXPECT_EQ(call(&b, CLIENT_CREATE, kind_pod(), NULL, POD), 201);
    EXPECT_EQ(call(&b, CLIENT_CREATE, kind_pod(), NULL, POD), 409);
    EXPECT_STR(b.reason, "AlreadyExists");
    EXPECT_EQ(call(&b, CLIENT_GET, kind_pod(), "a", NULL), 200);
    EXPECT_EQ(call(&b, CLIENT_DELETE, kind_pod(), "a", NULL), 200);
    EXPECT_EQ(fake_client_count(b.f, kind_pod()), 0);    /* on no node: at once */
    EXPECT_EQ(call(&b, CLIENT_CREATE, kind_pod(), NULL, "apiVersion: v1\nkind: Pod\nmetadata: {name: b}\n"), 422);
    EXPECT_EQ(fake_client_calls(b.f, CLIENT_CREATE, kind_pod()), 3);
    end(&b);
}

TEST(pod_on_node_goes_gracefully)
{
    struct box b;
    struct client_req req = { .verb = CLIENT_CREATE, .kind = kind_pod(), .ns = "default", .name = "a",
                              .subresource = "binding", .on_done = on_done, .ctx = &b };
    struct err err = ERR_INIT;

    begin(&b);
    fake_client_put(b.f, POD);
    req.body = yaml(&b, "apiVersion: v1\nkind: Binding\nmetadata: {name: a}\ntarget: {kind: Node, name: n1}\n");
    EXPECT_OK(client_do(fake_client_door(b.f), &req, &err), &err);
    fake_client_run(b.f);
    EXPECT_EQ(b.code, 201);
    EXPECT_EQ(call(&b, CLIENT_DELETE, kind_pod(), "a", NULL), 200);
    EXPECT(object_is_deleting(fake_client_get(b.f, kind_pod(), "default", "a")));
    req = (struct client_req){ .verb = CLIENT_DELETE, .kind = kind_pod(), .ns = "default", .name = "a",
                               .on_done = on_done, .ctx = &b };
    EXPECT_OK(client_do(fake_client_door(b.f), &req, &err), &err);
    fake_client_run(b.f);
    EXPECT_EQ(fake_client_count(b.f, kind_pod()), 0);
    end(&b);
}

TEST(status_is_apart)
{
    struct box b;
    struct client_req req = { .verb = CLIENT_PATCH_MERGE, .kind = kind_pod(), .ns = "default", .name = "a",
                              .subresource = "status", .on_done = on_done, .ctx = &b };
    struct err err = ERR_INIT;
    struct json *tree;

    begin(&b);
    fake_client_put(b.f, POD);
    EXPECT_EQ(call(&b, CLIENT_PATCH_MERGE, kind_pod(), "a", "{metadata: {labels: {x: w}}, status: {phase: Failed}}"),
              200);
    req.body = yaml(&b, "{spec: {nodeName: n1}, status: {phase: Running}}");
    EXPECT_OK(client_do(fake_client_door(b.f), &req, &err), &err);
    fake_client_run(b.f);
    EXPECT_STR(b.message, "");
    tree = object_tree(fake_client_get(b.f, kind_pod(), "default", "a"), b.a);
    EXPECT_STR(json_path_str(tree, "status.phase"), "Running");
    EXPECT(!json_path(tree, "spec.nodeName"));
    EXPECT_STR(json_path_str(tree, "metadata.labels.x"), "w");
    end(&b);
}

TEST(conflict)
{
    struct box b;

    begin(&b);
    fake_client_put(b.f, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n");
    EXPECT_EQ(call(&b, CLIENT_PATCH_MERGE, kind_config_map(), "a", "{metadata: {resourceVersion: '1'}}"), 409);
    EXPECT_STR(b.reason, "Conflict");
    end(&b);
}

static void on_change(struct object *before, struct object *after, void *ctx)
{
    struct buf *log = ctx;

    buf_fmt(log, "%c%s ", before ? after ? '~' : '-' : '+', object_name(after ? after : before));
}

TEST(watch_hears_in_order_and_survives_a_drop)
{
    struct box b;
    struct informer *i = NULL;
    struct informer_opts opts = { .kind = kind_config_map(), .label_selector = "x=w" };
    struct buf log = BUF_INIT;
    struct err err = ERR_INIT;

    begin(&b);
    fake_client_put(b.f, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {x: w}}\n---\n"
                         "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n");
    EXPECT_OK(informer_new(&i, fake_client_door(b.f), &opts, &err), &err);
    informer_on_change(i, on_change, &log);
    EXPECT(!informer_synced(i));
    fake_client_run(b.f);
    EXPECT(informer_synced(i));
    fake_client_edit(b.f, kind_config_map(), "default", "a", "data: {k: v}");
    fake_client_edit(b.f, kind_config_map(), "default", "b", "metadata: {labels: {x: w}}");
    fake_client_edit(b.f, kind_config_map(), "default", "a", "metadata: {labels: null}");
    EXPECT_STR(log.p, "+a ");                            /* not before the loop runs */
    fake_client_run(b.f);
    EXPECT_STR(log.p, "+a ~a +b -a ");
    fake_client_drop(b.f, kind_config_map(), "default", "b");
    fake_client_drop_watches(b.f, NULL);
    fake_client_run(b.f);
    EXPECT_STR(log.p, "+a ~a +b -a -b ");
    informer_free(i);
    buf_deinit(&log);
    end(&b);
}

TEST(faults)
{
    struct box b;

    begin(&b);
    fake_client_fail(b.f, CLIENT_CREATE, kind_pod(), 1, 500);
    EXPECT_EQ(call(&b, CLIENT_CREATE, kind_pod(), NULL, POD), 500);
    EXPECT_EQ(fake_client_count(b.f, kind_pod()), 0);
    fake_client_lose(b.f, CLIENT_CREATE, NULL, 1);
    EXPECT_EQ(call(&b, CLIENT_CREATE, kind_pod(), NULL, POD), 0);
    EXPECT_EQ(fake_client_count(b.f, kind_pod()), 1);
    EXPECT_EQ(call(&b, CLIENT_GET, kind_pod(), "a", NULL), 200);
    end(&b);
}

TEST(namespace_goes_by_finalize)
{
    struct box b;
    struct client_req req = { .verb = CLIENT_UPDATE, .kind = kind_namespace(), .name = "n1",
                              .subresource = "finalize", .on_done = on_done, .ctx = &b };
    struct err err = ERR_INIT;
    struct json *tree;

    begin(&b);
    EXPECT_EQ(call(&b, CLIENT_CREATE, kind_namespace(), NULL, "apiVersion: v1\nkind: Namespace\nmetadata: {name: n1}\n"),
              201);
    EXPECT_EQ(call(&b, CLIENT_DELETE, kind_namespace(), "n1", NULL), 200);
    tree = object_tree(fake_client_get(b.f, kind_namespace(), "", "n1"), b.a);
    EXPECT_STR(json_path_str(tree, "status.phase"), "Terminating");
    json_del(json_get(tree, "spec"), "finalizers");
    req.body = tree;
    EXPECT_OK(client_do(fake_client_door(b.f), &req, &err), &err);
    fake_client_run(b.f);
    EXPECT_EQ(b.code, 200);
    EXPECT_EQ(fake_client_count(b.f, kind_namespace()), 0);
    end(&b);
}

static unsigned freed_answers;

static void count_answer(const struct client_result *r, void *ctx)
{
    (void)ctx;
    EXPECT_EQ(r->code, 0);
    freed_answers++;
}

TEST(free_answers_what_waits)
{
    struct box b;
    struct client_req req = { .verb = CLIENT_GET, .kind = kind_pod(), .ns = "default", .name = "a",
                              .on_done = count_answer };
    struct err err = ERR_INIT;

    begin(&b);
    EXPECT_OK(client_do(fake_client_door(b.f), &req, &err), &err);
    end(&b);
    EXPECT_EQ(freed_answers, 1);
}
