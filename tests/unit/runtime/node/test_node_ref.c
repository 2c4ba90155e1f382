#include "tests/unit/runtime/node/node_box.h"

static const char pod_text[] =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n"
    "  - {name: c, image: i, envFrom: [{configMapRef: {name: a}}, {secretRef: {name: s}}],\n"
    "     env: [{name: X, valueFrom: {configMapKeyRef: {name: a, key: k}}}]}\n"
    "  volumes:\n"
    "  - {name: v, projected: {sources: [{configMap: {name: b}}, {secret: {name: s}}]}}\n";

TEST(missing_then_there)
{
    struct node_box b;
    struct err err = ERR_INIT;

    node_box_init(&b);
    fake_client_put(b.cluster,
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n");
    node_box_refs(&b, fake_client_put(b.cluster, pod_text));
    EXPECT(node_ref_get(b.refs, kind_config_map(), "a", &err));
    EXPECT(!node_ref_get(b.refs, kind_config_map(), "b", &err));
    EXPECT_EQ(err.code, ERR_NOT_FOUND);
    EXPECT_STR(err.msg, "configmap \"b\" not found");
    EXPECT(!node_ref_get(b.refs, kind_secret(), "s", &err));
    EXPECT_STR(err.msg, "secret \"s\" not found");
    EXPECT_EQ(fake_client_calls(b.cluster, CLIENT_GET, kind_config_map()), 2);
    EXPECT_EQ(fake_client_calls(b.cluster, CLIENT_GET, kind_secret()), 1);

    fake_client_put(b.cluster, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n");
    node_ref_set_refresh(b.refs, 60000);
    fake_client_run(b.cluster);
    EXPECT_EQ(b.ready, 2);
    EXPECT(node_ref_get(b.refs, kind_config_map(), "b", &err));
    EXPECT_EQ(fake_client_calls(b.cluster, CLIENT_GET, kind_config_map()), 3);
    node_box_deinit(&b);
}

TEST(changes_are_told_within_a_minute)
{
    struct node_box b;

    node_box_init(&b);
    fake_client_put(b.cluster,
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n");
    node_box_refs(&b, fake_client_put(b.cluster, pod_text));
    node_box_pass(&b, 2 * NODE_REF_POLL_MS);
    EXPECT_EQ(b.changed, 0);
    fake_client_edit(b.cluster, kind_config_map(), "default", "a", "data: {k: w}\n");
    node_box_pass(&b, NODE_REF_POLL_MS);
    EXPECT_EQ(b.changed, 1);
    EXPECT_EQ(b.ready, 1);
    fake_client_drop(b.cluster, kind_config_map(), "default", "a");
    node_box_pass(&b, NODE_REF_POLL_MS);
    EXPECT_EQ(b.changed, 2);
    EXPECT(!node_ref_get(b.refs, kind_config_map(), "a", NULL));
    node_box_deinit(&b);
}

TEST(immutable_is_asked_for_once)
{
    struct node_box b;
    size_t calls;

    node_box_init(&b);
    fake_client_put(b.cluster,
                    "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nimmutable: true\n");
    node_box_refs(&b, fake_client_put(b.cluster, pod_text));
    calls = fake_client_calls(b.cluster, CLIENT_GET, kind_secret());
    node_box_pass(&b, 3 * NODE_REF_POLL_MS);
    node_ref_set_refresh(b.refs, 0);
    fake_client_run(b.cluster);
    EXPECT_EQ(b.ready, 2);
    EXPECT_EQ(fake_client_calls(b.cluster, CLIENT_GET, kind_secret()), calls);
    node_box_deinit(&b);
}

/* A server that does not answer does not take away what is known. */
TEST(failure_keeps_the_object)
{
    struct node_box b;
    struct err err = ERR_INIT;

    node_box_init(&b);
    fake_client_put(b.cluster,
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n");
    node_box_refs(&b, fake_client_put(b.cluster, pod_text));
    fake_client_fail(b.cluster, CLIENT_GET, kind_config_map(), 2, 0);
    node_ref_set_refresh(b.refs, -1);
    fake_client_run(b.cluster);
    EXPECT_EQ(b.ready, 2);
    EXPECT_EQ(b.changed, 0);
    EXPECT(node_ref_get(b.refs, kind_config_map(), "a", &err));
    EXPECT(!node_ref_get(b.refs, kind_config_map(), "b", &err));
    EXPECT_EQ(err.code, ERR_UNAVAILABLE);
    node_box_deinit(&b);
}

TEST(freed_with_requests_under_way)
{
    struct node_box b;
    struct node_ref_events ev = { node_box_on_ready, NULL, &b };

    node_box_init(&b);
    b.refs = node_ref_set_new(b.cache, fake_client_put(b.cluster, pod_text), &ev);
    b.refs = node_ref_set_free(b.refs);
    fake_client_run(b.cluster);
    EXPECT_EQ(b.ready, 0);
    b.refs = node_ref_set_new(b.cache, fake_client_get(b.cluster, kind_pod(), "default", "p"), &ev);
    b.refs = node_ref_set_free(b.refs);
    b.cache = node_ref_cache_free(b.cache);
    fake_client_run(b.cluster);
    EXPECT_EQ(b.ready, 0);
    node_box_deinit(&b);
}

TEST(nothing_named_is_ready_too)
{
    struct node_box b;

    node_box_init(&b);
    node_box_refs(&b, fake_client_put(b.cluster, "apiVersion: v1\nkind: Pod\nmetadata: {name: q}\n"
                                                 "spec: {containers: [{name: c, image: i}]}\n"));
    node_box_deinit(&b);
}
