#include "core/object/object.h"

#include "tests/harness/test.h"

static const char pod_text[] =
    "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"web\",\"namespace\":"
        "\"shop\",\"uid\":\"u-1\","
    "\"resourceVersion\":\"\",\"generation\":3,\"creationTimestamp\":\"2026-11-24T17:00:00Z\","
    "\"labels\":{\"app\":\"foo\",\"tier\":\"a\\\"b\"},\"annotations\":{\"note\":\"x\"},"
    "\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"name\":\"n\",\"uid\":\"u-3\"},"
    "{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"name\":\"rs\",\"uid\":\"u-2\","
        "\"controller\":true,"
    "\"blockOwnerDeletion\":true}]},\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{}}]}"
        ",\"status\":{}}";

static struct object *pod(int64_t rv)
{
    struct object *o;
    struct err err = ERR_INIT;

    EXPECT_OK(object_new(&o, kind_pod(), pod_text, sizeof(pod_text) - 1, rv, &err), &err);
    return o;
}

TEST(metadata)
{
    struct object *o = pod(42);
    const struct object_owner *owners;
    unsigned at = 0;
    const char *key, *value;

    EXPECT(object_kind(o) == kind_pod());
    EXPECT_STR(object_ns(o), "shop");
    EXPECT_STR(object_name(o), "web");
    EXPECT_STR(object_uid(o), "u-1");
    EXPECT_EQ(object_rv(o), 42);
    EXPECT_EQ(object_generation(o), 3);
    EXPECT_EQ(object_created_s(o), 1795539600);
    EXPECT(!object_is_deleting(o));
    EXPECT_STR(object_label(o, "app"), "foo");
    EXPECT_STR(object_label(o, "tier"), "a\"b");
    EXPECT(!object_label(o, "b"));
    EXPECT(!object_label(o, "note"));
    EXPECT_STR(object_annotation(o, "note"), "x");
    EXPECT(object_next_label(o, &at, &key, &value));
    EXPECT_STR(key, "app");
    EXPECT(object_next_label(o, &at, &key, &value));
    EXPECT(!object_next_label(o, &at, &key, &value));
    EXPECT_EQ(object_owners(o, &owners), 2);
    EXPECT_STR(owners[0].kind, "Node");
    EXPECT_STR(object_controller(o)->name, "rs");
    EXPECT(object_controller(o)->block_deletion);
    EXPECT(!object_unref(o));
}

TEST(resource_version_is_spliced)
{
    struct object *o = pod(9007199254740993);
    struct arena *a = arena_new(0);
    const char *at = strstr(pod_text, "\"\"") + 1;
    char want[2048];

    snprintf(want, sizeof(want), "%.*s9007199254740993%s", (int)(at - pod_text), pod_text, at);
    EXPECT_STR(object_bytes(o).p, want);
    EXPECT_EQ(object_bytes(o).len, strlen(want));
    EXPECT_STR(json_path_str(object_tree(o, a), "metadata.resourceVersion"), "9007199254740993");
    object_unref(o);
    arena_free(a);
}

TEST(wrong_bytes)
{
    static const char *const bad[] = {
        "", "{", "[]", "{}", "{\"kind\":\"Node\",\"apiVersion\":\"v1\"}",
            "{\"kind\":\"Pod\",\"apiVersion\":\"v2\"}",
    };
    struct object *o = NULL;
    struct err err;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        err = ERR_INIT;
        EXPECT_ERR(object_new(&o, kind_pod(), bad[i], strlen(bad[i]), 0, &err), &err, ERR_CORRUPT);
        EXPECT(!o);
    }
    err = ERR_INIT;                                      /* no place for the number */
    EXPECT_ERR(object_new(&o, kind_pod(), "{\"kind\":\"Pod\",\"apiVersion\":\"v1\"}", 31, 5, &err),
               &err,
               ERR_CORRUPT);
}

TEST(encode_puts_the_version_in_its_place)
{
    struct object *o = pod(7), *again;
    struct arena *a = arena_new(0);
    struct json *tree = object_tree(o, a);
    struct buf b = BUF_INIT;
    struct err err = ERR_INIT;

    object_encode(&b, tree, 0);
    EXPECT_STR(b.p, pod_text);
    EXPECT_OK(object_from_tree(&again, kind_pod(), tree, 8, &err), &err);
    EXPECT_EQ(object_rv(again), 8);
    EXPECT_EQ(object_bytes(again).len, object_bytes(o).len);
    object_unref(again);
    EXPECT_OK(object_from_tree(&again, kind_pod(), tree, 0, &err), &err);
    EXPECT_EQ(object_rv(again), 7);
    object_unref(again);
    json_del(json_get(tree, "metadata"), "resourceVersion");
    buf_clear(&b);
    object_encode(&b, tree, 0);
    EXPECT_STR(b.p, pod_text);
    buf_deinit(&b);
    object_unref(o);
    arena_free(a);
}

TEST(references)
{
    struct object *o = pod(1);

    EXPECT(object_ref(o) == o);
    object_unref(o);
    EXPECT_STR(object_name(o), "web");
    object_unref(o);
    EXPECT(!object_unref(NULL));
}

TEST(keys)
{
    char key[OBJECT_KEY_BYTES], ns[OBJECT_KEY_BYTES], name[OBJECT_KEY_BYTES];
    struct object *o = pod(1);

    object_key(o, key);
    EXPECT_STR(key, "shop/web");
    object_key_split(key, ns, name);
    EXPECT_STR(ns, "shop");
    EXPECT_STR(name, "web");
    object_key_of(key, "", "node-1");
    EXPECT_STR(key, "node-1");
    object_key_split(key, ns, name);
    EXPECT_STR(ns, "");
    EXPECT_STR(name, "node-1");
    object_unref(o);
}
