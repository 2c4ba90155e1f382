/* test_image_ref.c -- image names: the grammar, normalisation and the words of refusal. */
#include "core/base/err.h"
#include "runtime/image/image.h"
#include "tests/harness/test.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

TEST(normalises)
{
    static const struct { const char *text, *want; } rows[] = {
        { "nginx", "docker.io/library/nginx:latest" },
        { "nginx:1.20.1", "docker.io/library/nginx:1.20.1" },
        { "foo/bar", "docker.io/foo/bar:latest" },
        { "index.docker.io/nginx", "docker.io/library/nginx:latest" },
        { "docker.io/a/b/c:x", "docker.io/a/b/c:x" },
        { "localhost/x", "localhost/x:latest" },
        { "localhost:5000", "docker.io/library/localhost:5000" },
        { "localhost:5000/x", "localhost:5000/x:latest" },
        { "[::1]:5000/x:y", "[::1]:5000/x:y" },
        { "[::1]/x", "[::1]/x:latest" },
        { "Foo/bar", "Foo/bar:latest" },
        { "reg.k8s.io/a__b/c---d/e.f_g:V-1._", "reg.k8s.io/a__b/c---d/e.f_g:V-1._" },
        { "nginx@sha256:" HEX, "docker.io/library/nginx@sha256:" HEX },
        { "nginx:1@sha256:" HEX, "docker.io/library/nginx:1@sha256:" HEX },
        { "10.0.0.1:5000/x", "10.0.0.1:5000/x:latest" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct image_ref ref;
        struct err err = ERR_INIT;

        EXPECT_OK(image_ref_parse(&ref, rows[i].text, &err), &err);
        EXPECT_STR(ref.text, rows[i].want);
    }
}

TEST(parts)
{
    struct image_ref ref;
    struct err err = ERR_INIT;

    EXPECT_OK(image_ref_parse(&ref, "nginx:1.20.1", &err), &err);
    EXPECT_STR(ref.domain, "docker.io");
    EXPECT_STR(ref.path, "library/nginx");
    EXPECT_STR(ref.tag, "1.20.1");
    EXPECT_STR(ref.digest, "");
    EXPECT(!image_ref_is_latest(&ref));
    EXPECT_OK(image_ref_parse(&ref, "r.io/x@sha256:" HEX, &err), &err);
    EXPECT_STR(ref.tag, "");
    EXPECT_STR(ref.digest, "sha256:" HEX);
    EXPECT(!image_ref_is_latest(&ref));
    EXPECT_OK(image_ref_parse(&ref, "nginx", &err), &err);
    EXPECT(image_ref_is_latest(&ref));
    EXPECT_OK(image_ref_parse(&ref, "inro.local/box:any", &err), &err);
    EXPECT(image_ref_is_box(&ref));
    EXPECT_OK(image_ref_parse(&ref, "box", &err), &err);
    EXPECT(!image_ref_is_box(&ref));
}

TEST(refuses)
{
    static const char *const rows[] = {
        "", "/", "a/", "/a", "a//b", "nginx:", "nginx:-x", ":x", "a b", "nginx:a:b", "-a",
        "a-", "_a", "a..b", "a___b", "a._b", "r.io:/x", "r.io:x/y", "-r.io/x", "r..io/x", "r.io./x", "[::1/x",
        "[zz]/x", "nginx@", "nginx@sha256:12", "nginx@sha256:" HEX "0", "nginx@md5:" HEX, "nginx@x",
        "nginx@sha256:" HEX "@sha256:" HEX, "http://r.io/x", "a/B", "Nginx", HEX,
        "nginx@sha256:ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef0123456789",
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct image_ref ref;
        struct err err = ERR_INIT;

        if (image_ref_parse(&ref, rows[i], &err) == 0)
            test_fail(__FILE__, __LINE__, "\"%s\" was taken as %s", rows[i], ref.text);
        EXPECT_EQ(err.code, ERR_INVALID);
    }
}

TEST(words)
{
    struct image_ref ref;
    struct err err = ERR_INIT;

    EXPECT_ERR(image_ref_parse(&ref, "a b", &err), &err, ERR_INVALID);
    EXPECT_STR(err.msg, "couldn't parse image name \"a b\": invalid reference format");
    EXPECT_ERR(image_ref_parse(&ref, "Nginx", &err), &err, ERR_INVALID);
    EXPECT_STR(err.msg, "couldn't parse image name \"Nginx\": invalid reference format: repository "
                        "name (library/Nginx) must be lowercase");
}

TEST(limits)
{
    struct image_ref ref;
    struct err err = ERR_INIT;
    char text[1200];

    memset(text, 'a', sizeof(text));
    memcpy(text, "r.io/", 5);
    text[5 + 255] = 0;
    EXPECT_OK(image_ref_parse(&ref, text, &err), &err);
    EXPECT_EQ(strlen(ref.path), 255);
    text[5 + 255] = 'a';
    text[5 + 256] = 0;
    EXPECT_ERR(image_ref_parse(&ref, text, &err), &err, ERR_INVALID);
    memset(text, 'a', sizeof(text));
    memcpy(text, "x:", 2);
    text[2 + 128] = 0;
    EXPECT_OK(image_ref_parse(&ref, text, &err), &err);
    text[2 + 128] = 'a';
    text[2 + 129] = 0;
    EXPECT_ERR(image_ref_parse(&ref, text, &err), &err, ERR_INVALID);
    memset(text, 'a', sizeof(text));
    memcpy(text + 300, ".io/x", 6);
    EXPECT_ERR(image_ref_parse(&ref, text, &err), &err, ERR_INVALID);
}
