#include "tests/unit/core/control/control_box.h"

#define SERVICE \
    "apiVersion: v1\nkind: Service\nmetadata: {name: s, labels: {team: x}}\nspec:\n" \
    "  clusterIP: 10.43.0.9\n  selector: {app: foo}\n" \
    "  ports: [{name: web, port: 80, targetPort: %s}]\n"

static void put_service(struct box *b, const char *port)
{
    fake_client_put(b->f, arena_printf(b->a, SERVICE, port));
}

static void put_pod(struct box *b, int i, const char *labels, int port)
{
    const char *name = arena_printf(b->a, "p%d", i);

    fake_client_put(b->f, arena_printf(b->a,
        "apiVersion: v1\nkind: Pod\nmetadata: {name: %s, labels: {%s}}\nspec:\n  nodeName: n1\n"
        "  containers: [{name: c, image: x, ports: [{name: http, containerPort: %d}]}]\n"
        "status: {podIP: 10.42.%d.%d}\n", name, labels, port, i / 250, i % 250 + 1));
}

static struct object *first_slice(struct box *b)
{
    size_t at = 0;

    return fake_client_next(b->f, kind_endpoint_slice(), &at);
}

static unsigned endpoints(struct box *b)
{
    struct object *o;
    unsigned n = 0;

    for (size_t at = 0; (o = fake_client_next(b->f, kind_endpoint_slice(), &at));)
        n += json_len(json_get(object_tree(o, b->a), "endpoints"));
    return n;
}

static void begin(struct box *b)
{
    box_init(b);
    fake_client_put(b->f, "apiVersion: v1\nkind: Node\n"
                          "metadata: {name: n1, labels: {topology.kubernetes.io/zone: z1}}\n");
}

TEST(one_slice)
{
    struct box b;
    struct object *o;
    struct json *t, *e;

    begin(&b);
    put_pod(&b, 0, "app: foo", 8080);
    put_pod(&b, 1, "app: bar", 8080);
    box_ready(&b, "p0", true);
    put_service(&b, "http");
    box_settle(&b);
    EXPECT_EQ(fake_client_count(b.f, kind_endpoint_slice()), 1);
    o = first_slice(&b);
    t = object_tree(o, b.a);
    EXPECT_MEM(object_name(o), "s-", 2);
    EXPECT_STR(object_label(o, "kubernetes.io/service-name"), "s");
    EXPECT_STR(object_label(o, "endpointslice.kubernetes.io/managed-by"),
               "endpointslice-controller.k8s.io");
    EXPECT_STR(object_label(o, "team"), "x");
    EXPECT(!object_label(o, "service.kubernetes.io/headless"));
    EXPECT_STR(object_controller(o)->kind, "Service");
    EXPECT_EQ(json_len(json_get(t, "endpoints")), 1);
    e = json_at(json_get(t, "endpoints"), 0);
    EXPECT_STR(json_text(json_at(json_get(e, "addresses"), 0)), "10.42.0.1");
    EXPECT(json_get_bool(json_get(e, "conditions"), "ready", false));
    EXPECT(json_get_bool(json_get(e, "conditions"), "serving", false));
    EXPECT(!json_get_bool(json_get(e, "conditions"), "terminating", true));
    EXPECT_STR(json_path_str(e, "targetRef.name"), "p0");
    EXPECT_STR(json_get_str(e, "nodeName"), "n1");
    EXPECT_STR(json_get_str(e, "zone"), "z1");
    EXPECT_EQ(json_get_int(json_at(json_get(t, "ports"), 0), "port", 0), 8080);
    EXPECT_STR(json_get_str(json_at(json_get(t, "ports"), 0), "name"), "web");
    /* in the same slice, whatever happens to the pods */
    box_ready(&b, "p0", false);
    put_pod(&b, 2, "app: foo", 8080);
    box_settle(&b);
    EXPECT_EQ(fake_client_count(b.f, kind_endpoint_slice()), 1);
    EXPECT_EQ(endpoints(&b), 2);
    e = json_at(json_get(object_tree(first_slice(&b), b.a), "endpoints"), 0);
    EXPECT(!json_get_bool(json_get(e, "conditions"), "ready", true));
    EXPECT(!json_get_bool(json_get(e, "conditions"), "serving", true));
    box_deinit(&b);
}

TEST(terminating_ended_and_gone)
{
    struct box b;
    struct json *c;

    begin(&b);
    put_service(&b, "8080");
    put_pod(&b, 0, "app: foo", 8080);
    box_ready(&b, "p0", true);
    fake_client_pass(b.f, &b.env, 100, 10);
    EXPECT_EQ(fake_client_delete(b.f, kind_pod(), "default", "p0", NULL), 200);
    fake_client_pass(b.f, &b.env, 100, 10);
    c = json_get(json_at(json_get(object_tree(first_slice(&b), b.a), "endpoints"), 0),
                 "conditions");
    EXPECT(!json_get_bool(c, "ready", true));
    EXPECT(json_get_bool(c, "serving", false));
    EXPECT(json_get_bool(c, "terminating", false));
    fake_client_edit(b.f, kind_pod(), "default", "p0", "status: {phase: Succeeded}");
    fake_client_pass(b.f, &b.env, 100, 10);
    EXPECT_EQ(endpoints(&b), 0);
    EXPECT_EQ(fake_client_count(b.f, kind_endpoint_slice()), 1);         /* the placeholder */
    box_deinit(&b);
}

TEST(no_pods_headless_and_not_ready)
{
    struct box b;

    begin(&b);
    fake_client_put(b.f,
                    "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {clusterIP: None, "
                         "publishNotReadyAddresses: true, selector: {app: foo}}\n");
    box_settle(&b);
    EXPECT_EQ(fake_client_count(b.f, kind_endpoint_slice()), 1);
    EXPECT_EQ(endpoints(&b), 0);
    EXPECT_STR(object_label(first_slice(&b), "service.kubernetes.io/headless"), "");
    put_pod(&b, 0, "app: foo", 8080);
    fake_client_pass(b.f, &b.env, 100, 10);
    EXPECT_EQ(fake_client_count(b.f, kind_endpoint_slice()), 1);
    EXPECT(json_get_bool(json_get(json_at(json_get(object_tree(first_slice(&b), b.a), "endpoints"),
                                          0),
                                  "conditions"), "ready", false));
    box_deinit(&b);
}

TEST(not_without_a_selector)
{
    struct box b;

    begin(&b);
    fake_client_put(b.f, "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n"
                         "spec: {ports: [{port: 80}]}\n---\n"
                         "apiVersion: v1\nkind: Service\nmetadata: {name: e}\n"
                         "spec: {type: ExternalName, externalName: x.y, selector: {app: foo}}\n");
    box_settle(&b);
    EXPECT_EQ(fake_client_count(b.f, kind_endpoint_slice()), 0);
    box_deinit(&b);
}

/* A named port that is another number on some pods: slices of their own. */
TEST(ports_by_pod)
{
    struct box b;

    begin(&b);
    put_service(&b, "http");
    put_pod(&b, 0, "app: foo", 8080);
    put_pod(&b, 1, "app: foo", 9090);
    box_settle(&b);
    EXPECT_EQ(fake_client_count(b.f, kind_endpoint_slice()), 2);
    EXPECT_EQ(endpoints(&b), 2);
    fake_client_drop(b.f, kind_pod(), "default", "p1");
    box_settle(&b);
    EXPECT_EQ(fake_client_count(b.f, kind_endpoint_slice()), 1);
    box_deinit(&b);
}

TEST(a_hundred_to_a_slice)
{
    struct box b;
    size_t writes;

    begin(&b);
    for (int i = 0; i < 201; i++)
        put_pod(&b, i, "app: foo", 8080);
    put_service(&b, "8080");
    fake_client_pass(b.f, &b.env, 200, 10);
    EXPECT_EQ(fake_client_count(b.f, kind_endpoint_slice()), 3);
    EXPECT_EQ(endpoints(&b), 201);
    /* one more pod changes one slice */
    writes = fake_client_calls(b.f, CLIENT_UPDATE, kind_endpoint_slice());
    put_pod(&b, 300, "app: foo", 8080);
    fake_client_pass(b.f, &b.env, 200, 10);
    EXPECT_EQ(fake_client_calls(b.f, CLIENT_UPDATE, kind_endpoint_slice()), writes + 1);
    EXPECT_EQ(fake_client_count(b.f, kind_endpoint_slice()), 3);
    EXPECT_EQ(endpoints(&b), 202);
    box_deinit(&b);
}

TEST(what_others_change_is_put_right)
{
    struct box b;
    const char *name;

    begin(&b);
    put_service(&b, "8080");
    put_pod(&b, 0, "app: foo", 8080);
    box_settle(&b);
    name = arena_strdup(b.a, object_name(first_slice(&b)));
    fake_client_edit(b.f, kind_endpoint_slice(), "default", name, "endpoints: []");
    box_settle(&b);
    EXPECT_EQ(endpoints(&b), 1);
    fake_client_drop(b.f, kind_endpoint_slice(), "default", name);
    box_settle(&b);
    EXPECT_EQ(endpoints(&b), 1);
    box_deinit(&b);
}

TEST(never_twice_on_a_slow_cache)
{
    struct box b;

    begin(&b);
    fake_client_run(b.f);
    fake_client_lag(b.f, 500);
    put_service(&b, "8080");
    for (int i = 0; i < 40; i++) {
        put_pod(&b, i, "app: foo", 8080);
        fake_client_pass(b.f, &b.env, 100, 20);
        EXPECT(fake_client_count(b.f, kind_endpoint_slice()) <= 1);
    }
    fake_client_pass(b.f, &b.env, 3000, 20);
    EXPECT_EQ(endpoints(&b), 40);
    box_deinit(&b);
}

TEST(switches_with_the_labels)
{
    struct box b;

    begin(&b);
    put_service(&b, "8080");
    put_pod(&b, 0, "app: foo, color: blue", 8080);
    put_pod(&b, 1, "app: foo, color: green", 8080);
    box_settle(&b);
    EXPECT_EQ(endpoints(&b), 2);
    fake_client_edit(b.f, kind_service(), "default", "s", "spec: {selector: {color: green}}");
    box_settle(&b);
    EXPECT_EQ(endpoints(&b), 1);
    EXPECT_STR(json_path_str(json_at(json_get(object_tree(first_slice(&b), b.a), "endpoints"), 0),
                             "targetRef.name"), "p1");
    fake_client_edit(b.f, kind_pod(), "default", "p0", "metadata: {labels: {color: green}}");
    box_settle(&b);
    EXPECT_EQ(endpoints(&b), 2);
    box_deinit(&b);
}
