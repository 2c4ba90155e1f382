/* The runner, and the small controllers. */
#include "tests/unit/core/control/control_box.h"

static void put_namespace(struct box *b, const char *name)
{
    fake_client_put(b->f, arena_printf(b->a,
                                       "apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n",
                                       name));
}

TEST(starts_when_all_caches_are_full)
{
    struct box b;

    box_init(&b);
    EXPECT(!control_synced(b.control));
    fake_client_run(b.f);
    EXPECT(control_synced(b.control));
    box_deinit(&b);
}

TEST(namespaces_get_account_and_ca)
{
    struct box b;
    struct object *o;

    box_init(&b);
    put_namespace(&b, "default");
    put_namespace(&b, "other");
    box_settle(&b);
    EXPECT(fake_client_get(b.f, kind_service_account(), "default", "default"));
    EXPECT(fake_client_get(b.f, kind_service_account(), "other", "default"));
    o = fake_client_get(b.f, kind_config_map(), "other", "kube-root-ca.crt");
    EXPECT(o);
    EXPECT_STR(json_get_str(json_get(object_tree(o, b.a), "data"), "ca.crt"), "PEM");
    EXPECT_STR(object_annotation(o, "kubernetes.io/description"),
               "Contains a CA bundle that can be used to verify the kube-apiserver when using "
               "internal endpoints such as the internal service IP or kubernetes.default.svc. No "
               "other usage is guaranteed across distributions of Kubernetes clusters.");
    fake_client_drop(b.f, kind_service_account(), "other", "default");
    fake_client_edit(b.f, kind_config_map(), "other", "kube-root-ca.crt", "data: {ca.crt: x}");
    box_settle(&b);
    EXPECT(fake_client_get(b.f, kind_service_account(), "other", "default"));
    o = fake_client_get(b.f, kind_config_map(), "other", "kube-root-ca.crt");
    EXPECT_STR(json_get_str(json_get(object_tree(o, b.a), "data"), "ca.crt"), "PEM");
    fake_client_drop(b.f, kind_config_map(), "other", "kube-root-ca.crt");
    box_settle(&b);
    EXPECT(fake_client_get(b.f, kind_config_map(), "other", "kube-root-ca.crt"));
    box_deinit(&b);
}

TEST(failed_writes_are_tried_again)
{
    struct box b;

    box_init(&b);
    fake_client_fail(b.f, CLIENT_CREATE, NULL, 8, 500);
    put_namespace(&b, "default");
    fake_client_pass(b.f, &b.env, 5000, 50);
    EXPECT(fake_client_get(b.f, kind_service_account(), "default", "default"));
    EXPECT(fake_client_get(b.f, kind_config_map(), "default", "kube-root-ca.crt"));
    box_deinit(&b);
}

TEST(freed_with_requests_on_their_way)
{
    struct box b;

    box_init(&b);
    put_namespace(&b, "default");
    while (fake_client_calls(b.f, CLIENT_CREATE, NULL) == 0)
        loop_step(b.loop, 0);
    b.control = control_free(b.control);
    fake_client_run(b.f);
    box_start(&b);
    box_settle(&b);
    EXPECT(fake_client_get(b.f, kind_service_account(), "default", "default"));
    box_deinit(&b);
}

TEST(events_are_kept_for_an_hour)
{
    struct box b;

    box_init(&b);
    fake_client_put(b.f, "apiVersion: v1\nkind: Event\nmetadata: {name: old}\n"
                         "lastTimestamp: '2026-01-01T00:00:00Z'\n---\n"
                         "apiVersion: v1\nkind: Event\nmetadata: {name: young}\n"
                         "lastTimestamp: '2026-01-01T00:10:00Z'\n");
    fake_client_pass(b.f, &b.env, 3599000, 1000);
    EXPECT(fake_client_get(b.f, kind_event(), "default", "old"));
    fake_client_pass(b.f, &b.env, 2000, 1000);
    EXPECT(!fake_client_get(b.f, kind_event(), "default", "old"));
    EXPECT(fake_client_get(b.f, kind_event(), "default", "young"));
    fake_client_pass(b.f, &b.env, 600000, 1000);
    EXPECT_EQ(fake_client_count(b.f, kind_event()), 0);
    box_deinit(&b);
}

#define TOKEN_SECRET \
    "apiVersion: v1\nkind: Secret\nmetadata: {name: t, annotations: " \
    "{kubernetes.io/service-account.name: sa}}\ntype: kubernetes.io/service-account-token\n"

TEST(token_secrets_are_filled_and_go_with_their_account)
{
    struct box b;
    struct json *tree;

    box_init(&b);
    fake_client_put(b.f, "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: sa}\n");
    fake_client_put(b.f, TOKEN_SECRET);
    box_settle(&b);
    tree = box_tree(&b, kind_secret(), "t");
    EXPECT_STR(json_get_str(json_path(tree, "metadata.annotations"),
                            "kubernetes.io/service-account.uid"),
               object_uid(fake_client_get(b.f, kind_service_account(), "default", "sa")));
    EXPECT_STR(json_get_str(json_get(tree, "data"), "ca.crt"), "UEVN");
    EXPECT_STR(json_get_str(json_get(tree, "data"), "namespace"), "ZGVmYXVsdA==");
    EXPECT_MEM(json_get_str(json_get(tree, "data"), "token"), "dG9rZW4t", 8);    /* "token-" */
    fake_client_drop(b.f, kind_service_account(), "default", "sa");
    box_settle(&b);
    EXPECT(!fake_client_get(b.f, kind_secret(), "default", "t"));
    box_deinit(&b);
}

TEST(token_secrets_without_account_go)
{
    struct box b;

    box_init(&b);
    fake_client_put(b.f, TOKEN_SECRET);
    box_settle(&b);
    EXPECT(!fake_client_get(b.f, kind_secret(), "default", "t"));
    box_deinit(&b);
}

/* A pod that was made and went before any watch could tell: the set does not wait for it for ever.
 * */
TEST(a_write_that_no_watch_tells_of)
{
    struct box b;
    struct object *pod;
    size_t at = 0;

    box_init(&b);
    fake_client_run(b.f);
    fake_client_lag(b.f, 500);
    fake_client_put(b.f,
        "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: r}\nspec:\n  replicas: 1\n"
        "  selector: {matchLabels: {app: foo}}\n  template:\n    metadata: {labels: {app: foo}}\n"
        "    spec: {containers: [{name: c, image: x}]}\n");
    while (fake_client_calls(b.f, CLIENT_CREATE, kind_pod()) == 0) {
        if (!loop_step(b.loop, 0))
            fake_env_advance(&b.env, 100);
    }
    pod = fake_client_next(b.f, kind_pod(), &at);
    fake_client_drop(b.f, kind_pod(), "default", object_name(pod));
    fake_client_drop_watches(b.f, kind_pod());
    fake_client_lag(b.f, 0);
    fake_client_pass(b.f, &b.env, 9000, 100);
    EXPECT_EQ(fake_client_count(b.f, kind_pod()), 0);    /* it may be on its way to the cache */
    fake_client_pass(b.f, &b.env, 3000, 100);
    EXPECT_EQ(fake_client_count(b.f, kind_pod()), 1);
    box_deinit(&b);
}

TEST(figures_of_every_queue)
{
    struct box b;
    _cleanup_buf_ struct buf out = BUF_INIT;

    box_init(&b);
    fake_client_run(b.f);
    control_metrics(b.control, &out);
    EXPECT(strstr(out.p, "workqueue_depth{name=\"deployment-controller\"} 0\n"));
    EXPECT(strstr(out.p, "workqueue_adds_total{name=\"node-controller\"} "));
    EXPECT(!strstr(out.p, "workqueue_adds_total{name=\"node-controller\"} 0\n"));
    box_deinit(&b);
}
