/* Protobuf as typed clients send it: known bytes, and broken ones. */
#include "core/base/json.h"
#include "core/object/codec_protobuf.h"
#include "core/object/kind.h"
#include "core/object/schema.h"
#include "tests/harness/test.h"

#define BYTES(lit) ((struct slice){ (lit), sizeof(lit) - 1 })

/* A ConfigMap named a with data k: v, as a Go client writes it. */
#define CONFIG_MAP "k8s\0" "\x0a\x0f" "\x0a\x02v1" "\x12\x09" "ConfigMap" \
    "\x12\x0d" "\x0a\x03" "\x0a\x01" "a" "\x12\x06" "\x0a\x01k" "\x12\x01v" "\x1a\x00" "\x22\x00"

TEST(a_config_map)
{
    struct arena *a = arena_new(0);
    struct json *tree = NULL;
    struct buf text = BUF_INIT;
    struct err err = ERR_INIT;

    EXPECT_OK(codec_protobuf_read(&tree, a, BYTES(CONFIG_MAP), NULL, &err), &err);
    json_write(&text, tree);
    EXPECT_STR(text.p, "{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"v\"},"
                       "\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\"}");
    buf_deinit(&text);
    arena_free(a);
}

/* What does not say what it is, is what is expected. */
TEST(no_type_meta)
{
    struct arena *a = arena_new(0);
    const struct kind *pod = kind_by_api_version("v1", "Pod");
    struct json *tree = NULL;
    struct err err = ERR_INIT;

    EXPECT_OK(codec_protobuf_read(&tree, a, BYTES("k8s\0\x12\x00"), pod, &err), &err);
    EXPECT_STR(json_get_str(tree, "kind"), "Pod");
    EXPECT_STR(json_get_str(tree, "apiVersion"), "v1");
    arena_free(a);
}

/* Lists, and what only servers make, have types too. */
TEST(types)
{
    static const char *const rows[][3] = {
        { "v1", "Pod", "Pod" }, { "apps/v1", "DeploymentList", "DeploymentList" },
        { "v1", "Status", "Status" }, { "v1", "APIResourceList", "APIResourceList" },
        { "meta.k8s.io/v1", "PartialObjectMetadata", "PartialObjectMetadata" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct schema_type *t = codec_protobuf_type(rows[i][0], rows[i][1]);

        EXPECT(t);
        if (t)
            EXPECT_STR(schema_type_name(t), rows[i][2]);
    }
    EXPECT(!codec_protobuf_type("v1", "Nope"));
}

/* Cut anywhere: an error or a smaller object, never more than the bytes there are. */
TEST(cut)
{
    for (size_t len = 0; len < sizeof(CONFIG_MAP) - 1; len++) {
        struct arena *a = arena_new(0);
        char *copy = malloc(len + 1);            /* exact, for the sanitizer */
        struct json *tree = NULL;
        struct err err = ERR_INIT;

        memcpy(copy, CONFIG_MAP, len);
        copy = realloc(copy, len ? len : 1);
        if (codec_protobuf_read(&tree, a, (struct slice){ copy, len }, NULL, &err) < 0)
            EXPECT_EQ(err.code, ERR_INVALID);
        free(copy);
        arena_free(a);
    }
}

TEST(refusals)
{
    static const struct { struct slice bytes; const char *why; } rows[] = {
        { BYTES("{\"a\":1}"), "proto: provided data does not appear to be a protobuf message" },
        { BYTES("k8s\0\x0a\x0a\x0a\x02v1\x12\x04Nope"),
          "no kind \"Nope\" is registered for version \"v1\"" },
        { BYTES("k8s\0\x0a\xff\xff\xff\xff\x0f"), "unexpected EOF" },
        { BYTES("k8s\0"), "empty body" },
        { BYTES("k8s\0\x0b"), "proto: illegal wireType" },
        { BYTES("k8s\0\x00\x00"), "proto: illegal tag" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena *a = arena_new(0);
        struct json *tree = NULL;
        struct err err = ERR_INIT;

        EXPECT_ERR(codec_protobuf_read(&tree, a, rows[i].bytes, NULL, &err), &err, ERR_INVALID);
        EXPECT_STR(err.msg, rows[i].why);
        EXPECT(!tree);
        arena_free(a);
    }
}
