/* test_image_registries.c -- which endpoints an image is asked for at, by registries.yaml. */
#include "runtime/image/image_registries.h"
#include "tests/fake/fake_image.h"
#include "tests/harness/test.h"

static int find(struct image_endpoints *out, struct arena *a, const char *image, const char *yaml,
                struct err *err)
{
    static const struct image_creds creds = { .v = { { "pod", "p", "", "" } }, .n = 1 };
    struct image_registries_opts o = { .ca_pem = "", .creds = &creds };
    struct image_ref ref;
    struct buf b = BUF_INIT;
    char path[300];

    EXPECT_OK(image_ref_parse(&ref, image, err), err);
    if (yaml) {
        snprintf(path, sizeof(path), "%s/registries.yaml", test_tmpdir());
        buf_str(&b, yaml);
        fake_write(path, &b);
        buf_deinit(&b);
        o.file = path;
    }
    return image_registries_find(out, a, &ref, &o, err);
}

static const char mirrors[] =
    "mirrors:\n"
    "  docker.io:\n"
    "    endpoint: [\"https://m.example.org:5000\", \"http://10.0.0.1/x/v2/\", plain.example.org]\n"
    "    rewrite:\n"
    "      \"^library/(.*)\": \"hub/$1-${1}\"\n"
    "  \"*\":\n"
    "    endpoint: [\"https://all.example.org\"]\n"
    "configs:\n"
    "  \"m.example.org:5000\":\n"
    "    auth: {username: u, password: p}\n"
    "    tls: {insecure_skip_verify: true}\n"
    "  plain.example.org:\n"
    "    auth: {auth: dTI6cDI=}\n"
    "  own.example.org:\n"
    "    auth: {username: config, password: p}\n";

TEST(without_file)
{
    struct arena *a = arena_new(0);
    struct image_endpoints e;
    struct err err = ERR_INIT;

    EXPECT_OK(find(&e, a, "nginx", NULL, &err), &err);
    EXPECT_EQ(e.n, 1);
    EXPECT_STR(e.v[0].url, "https://registry-1.docker.io/v2");
    EXPECT_STR(e.v[0].path, "library/nginx");
    EXPECT_STR(e.v[0].ns, "");
    EXPECT_STR(e.v[0].creds.v[0].user, "pod");
    EXPECT_OK(find(&e, a, "localhost:5000/x", NULL, &err), &err);
    EXPECT_STR(e.v[0].url, "http://localhost:5000/v2");
    EXPECT_OK(find(&e, a, "10.0.0.1:5000/x", NULL, &err), &err);
    EXPECT_STR(e.v[0].url, "https://10.0.0.1:5000/v2");
    arena_free(a);
}

TEST(mirrors_first)
{
    struct arena *a = arena_new(0);
    struct image_endpoints e;
    struct err err = ERR_INIT;

    EXPECT_OK(find(&e, a, "nginx", mirrors, &err), &err);
    EXPECT_EQ(e.n, 4);
    EXPECT_STR(e.v[0].url, "https://m.example.org:5000/v2");
    EXPECT_STR(e.v[0].path, "hub/nginx-nginx");
    EXPECT_STR(e.v[0].ns, "docker.io");
    EXPECT(e.v[0].insecure);
    EXPECT_STR(e.v[0].creds.v[0].user, "u");        /* the pod's secret is not for mirrors */
    EXPECT_STR(e.v[1].url, "http://10.0.0.1/x/v2");
    EXPECT_EQ(e.v[1].creds.n, 0);
    EXPECT_STR(e.v[2].url, "https://plain.example.org/v2");
    EXPECT_STR(e.v[2].creds.v[0].password, "p2");
    EXPECT_STR(e.v[3].path, "library/nginx");
    EXPECT_STR(e.v[3].creds.v[0].user, "pod");
    EXPECT_OK(find(&e, a, "own.example.org/x", mirrors, &err), &err);
    EXPECT_EQ(e.n, 2);
    EXPECT_STR(e.v[0].url, "https://all.example.org/v2");
    EXPECT_STR(e.v[1].creds.v[0].user, "pod");      /* before what the file says */
    arena_free(a);
}

TEST(ca_beside_the_roots)
{
    struct arena *a = arena_new(0);
    struct image_endpoints e;
    struct err err = ERR_INIT;
    struct buf pem = BUF_INIT;
    char path[300], yaml[500];

    snprintf(path, sizeof(path), "%s/ca.pem", test_tmpdir());
    buf_str(&pem, "-----own CA-----");
    fake_write(path, &pem);
    snprintf(yaml, sizeof(yaml), "configs:\n  r.example.org:\n    tls: {ca_file: %s}\n", path);
    EXPECT_OK(find(&e, a, "r.example.org/x", yaml, &err), &err);
    EXPECT(strstr(e.v[0].ca_pem, "-----own CA-----"));
    EXPECT_OK(find(&e, a, "other.example.org/x", yaml, &err), &err);
    EXPECT_STR(e.v[0].ca_pem, "");
    EXPECT_ERR(find(&e, a, "r.example.org/x",
                    "configs: {r.example.org: {tls: {ca_file: /no/file}}}",
                    &err), &err, ERR_NOT_FOUND);
    buf_deinit(&pem);
    arena_free(a);
}

TEST(refuses)
{
    static const char *const rows[] = {
        "mirrors: [", "just text", "mirrors: {docker.io: {endpoint: [\"ftp://x\"]}}",
        "mirrors: {docker.io: {endpoint: [\"https://\"]}}", "mirrors: {docker.io: {endpoint: [7]}}",
        "mirrors: {docker.io: {endpoint: [\"https://u:p@x\"]}}",
        "mirrors: {docker.io: {rewrite: {\"(\": x}}}",
    };
    struct arena *a = arena_new(0);
    struct image_endpoints e;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;

        if (find(&e, a, "nginx", rows[i], &err) == 0)
            test_fail(__FILE__, __LINE__, "taken: %s", rows[i]);
        EXPECT_EQ(err.code, ERR_INVALID);
    }
    arena_free(a);
}

TEST(endpoints_limit)
{
    for (int n = IMAGE_ENDPOINTS_MAX - 1; n <= IMAGE_ENDPOINTS_MAX; n++) {
        struct arena *a = arena_new(0);
        struct buf b = BUF_INIT;
        struct image_endpoints e;
        struct err err = ERR_INIT;

        buf_str(&b, "mirrors: {docker.io: {endpoint: [");
        for (int i = 0; i < n; i++)
            buf_fmt(&b, "\"https://m%d\",", i);
        buf_str(&b, "]}}");
        if (n < IMAGE_ENDPOINTS_MAX)
            EXPECT_OK(find(&e, a, "nginx", b.p, &err), &err);
        else
            EXPECT_ERR(find(&e, a, "nginx", b.p, &err), &err, ERR_QUOTA);
        buf_deinit(&b);
        arena_free(a);
    }
}

TEST(loopback)
{
    EXPECT(image_registries_is_loopback("localhost"));
    EXPECT(image_registries_is_loopback("localhost:5000"));
    EXPECT(image_registries_is_loopback("127.0.0.1"));
    EXPECT(image_registries_is_loopback("127.1.2.3:80"));
    EXPECT(image_registries_is_loopback("[::1]:80"));
    EXPECT(!image_registries_is_loopback("localhost.example.org"));
    EXPECT(!image_registries_is_loopback("127.0.0.1.example.org"));
    EXPECT(!image_registries_is_loopback("127.0.0.example"));
    EXPECT(!image_registries_is_loopback("10.127.0.1"));
    EXPECT(!image_registries_is_loopback("[::2]"));
}
