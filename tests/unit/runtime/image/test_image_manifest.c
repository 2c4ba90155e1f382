/* test_image_manifest.c -- manifests, indexes and configurations: read, chosen by platform,
 * refused. */
#include "core/base/str.h"
#include "runtime/image/image.h"
#include "runtime/image/image_manifest.h"
#include "tests/harness/test.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"
#define D(c) "sha256:" HEX c

static int parse(struct image_manifest *m, struct arena *a, const char *text, struct err *err)
{
    return image_manifest_parse(m, a, text, strlen(text), err);
}

TEST(manifest)
{
    struct arena *a = arena_new(IMAGE_ARENA_BYTES);
    struct image_manifest m;
    struct err err = ERR_INIT;

    EXPECT_OK(parse(&m, a,
                    "{\"schemaVersion\":2,\"config\":{\"digest\":\"" D("0") "\",\"size\":10},"
                    "\"layers\":[{\"digest\":\"" D("1") "\",\"size\":20,\"mediaType\":\"x\"},"
                    "{\"digest\":\"" D("2") "\"}]}", &err), &err);
    EXPECT(!m.is_index);
    EXPECT_STR(m.config.digest, D("0"));
    EXPECT_EQ(m.config.size, 10);
    EXPECT_EQ(m.n, 2);
    EXPECT_STR(m.v[0].media_type, "x");
    EXPECT_EQ(m.v[1].size, -1);
    arena_free(a);
}

TEST(selects_platform)
{
    static const struct { const char *arch, *variant, *want; } rows[] = {
        { "amd64", "", D("0") }, { "arm64", "v8", D("1") }, { "arm", "v7", D("3") },
        { "riscv64", "", NULL },
    };
    static const char text[] = "{\"schemaVersion\":2,\"manifests\":["
        "{\"digest\":\"" D("9") "\",\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown"
        "\"}},"
        "{\"digest\":\"" D("8") "\",\"platform\":{\"os\":\"windows\",\"architecture\":\"amd64\"}},"
        "{\"digest\":\"" D("7") "\",\"platform\":{\"os\":\"linux\",\"architecture\":\"386\"}},"
        "{\"digest\":\"" D("0") "\",\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}},"
        "{\"digest\":\"" D("2") "\",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\",\"va"
        "riant\":\"v6\"}},"
        "{\"digest\":\"" D("3") "\",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\",\"va"
        "riant\":\"v7\"}},"
        "{\"digest\":\"" D("1") "\",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\"}}]}";
    struct arena *a = arena_new(IMAGE_ARENA_BYTES);
    struct image_manifest m;
    struct err err = ERR_INIT;

    EXPECT_OK(parse(&m, a, text, &err), &err);
    EXPECT(m.is_index);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct image_platform p = { "linux", rows[i].arch, rows[i].variant };
        const struct image_desc *d = image_manifest_select(&m, p);

        EXPECT_STR(d ? d->digest : NULL, rows[i].want);
    }
    arena_free(a);
}

TEST(refuses)
{
    static const struct { const char *text; int code; } rows[] = {
        { "", ERR_CORRUPT }, { "[]", ERR_CORRUPT }, { "{", ERR_CORRUPT }, { "{}", ERR_CORRUPT },
        { "{\"schemaVersion\":1,\"fsLayers\":[]}", ERR_UNSUPPORTED },
        { "{\"schemaVersion\":2}", ERR_CORRUPT },
        { "{\"schemaVersion\":2,\"layers\":[],\"manifests\":[]}", ERR_CORRUPT },
        { "{\"schemaVersion\":2,\"layers\":[]}", ERR_CORRUPT },
        { "{\"schemaVersion\":2,\"manifests\":[{}]}", ERR_CORRUPT },
        { "{\"schemaVersion\":2,\"manifests\":[7]}", ERR_CORRUPT },
        { "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"sha256:x\"}]}", ERR_CORRUPT },
        { "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"" D("Z") "\"}]}", ERR_CORRUPT },
        { "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"" D("00") "\"}]}", ERR_CORRUPT },
        { "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"sha512:00\"}]}", ERR_UNSUPPORTED },
        { "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"" D("0") "\",\"size\":-1}]}",
            ERR_CORRUPT },
        { "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"" D("0") "\",\"mediaType\":7}]}",
            ERR_CORRUPT },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena *a = arena_new(IMAGE_ARENA_BYTES);
        struct image_manifest m;
        struct err err = ERR_INIT;

        if (parse(&m, a, rows[i].text, &err) == 0)
            test_fail(__FILE__, __LINE__, "row %zu was taken", i);
        if (err.code != rows[i].code)
            test_fail(__FILE__, __LINE__, "row %zu: %s", i, err.msg);
        arena_free(a);
    }
}

static void many_layers(struct buf *b, int n)
{
    buf_str(b, "{\"schemaVersion\":2,\"config\":{\"digest\":\"" D("0") "\"},\"layers\":[");
    for (int i = 0; i < n; i++)
        buf_fmt(b, "%s{\"digest\":\"" D("1") "\"}", i ? "," : "");
    buf_str(b, "]}");
}

TEST(layers_limit)
{
    for (int n = IMAGE_LAYERS_MAX - 1; n <= IMAGE_LAYERS_MAX + 1; n++) {
        struct arena *a = arena_new(IMAGE_ARENA_BYTES);
        struct buf b = BUF_INIT;
        struct image_manifest m;
        struct err err = ERR_INIT;

        many_layers(&b, n);
        if (n <= IMAGE_LAYERS_MAX)
            EXPECT_OK(parse(&m, a, b.p, &err), &err);
        else
            EXPECT_ERR(parse(&m, a, b.p, &err), &err, ERR_QUOTA);
        buf_deinit(&b);
        arena_free(a);
    }
}

TEST(bytes_limit)
{
    struct arena *a = arena_new(IMAGE_ARENA_BYTES);
    char *text = mem_alloc(IMAGE_MANIFEST_BYTES_MAX + 2);
    struct image_manifest m;
    struct err err = ERR_INIT;

    memset(text, ' ', IMAGE_MANIFEST_BYTES_MAX + 1);
    memcpy(text, "{\"schemaVersion\":2,\"manifests\":[]}", 34);
    EXPECT_OK(image_manifest_parse(&m, a, text, IMAGE_MANIFEST_BYTES_MAX, &err), &err);
    EXPECT_ERR(image_manifest_parse(&m, a, text, IMAGE_MANIFEST_BYTES_MAX + 1, &err), &err,
               ERR_QUOTA);
    mem_free(text);
    arena_free(a);
}

TEST(config)
{
    static const char text[] = "{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\","
                               "\"config\":{"
        "\"Entrypoint\":null,\"Cmd\":[\"sh\"],\"Labels\":{\"a\":\"b\"}},\"rootfs\":{\"diff_ids\""
        ":[\""
        D("0") "\"]}}";
    static const char *const bad[] = {
        "{}", "{\"rootfs\":{\"diff_ids\":[\"x\"]}}", "{\"rootfs\":{\"diff_ids\":7}}",
        "{\"rootfs\":{\"diff_ids\":[]},\"config\":{\"Cmd\":\"sh\"}}",
        "{\"rootfs\":{\"diff_ids\":[]},\"config\":{\"Cmd\":[1]}}",
        "{\"rootfs\":{\"diff_ids\":[]},\"config\":{\"Env\":[\"A=\\u0000\"]}}",
        "{\"rootfs\":{\"diff_ids\":[]},\"config\":{\"Labels\":{\"a\":1}}}",
        "{\"rootfs\":{\"diff_ids\":[]},\"config\":{\"User\":[]}}",
    };
    struct arena *a = arena_new(IMAGE_ARENA_BYTES);
    struct image_config c;
    struct err err = ERR_INIT;

    EXPECT_OK(image_config_parse(&c, a, text, strlen(text), &err), &err);
    EXPECT_STR(c.platform.variant, "v8");
    EXPECT(!c.entrypoint[0] && !c.env[0] && !c.ports[0]);
    EXPECT_STR(c.cmd[0], "sh");
    EXPECT_STR(c.labels[1], "b");
    EXPECT_STR(c.user, "");
    EXPECT_EQ(c.n_layers, 1);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (image_config_parse(&c, a, bad[i], strlen(bad[i]), &err) == 0)
            test_fail(__FILE__, __LINE__, "row %zu was taken", i);
        EXPECT_EQ(err.code, ERR_CORRUPT);
    }
    arena_free(a);
}
