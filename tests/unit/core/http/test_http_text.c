#include "core/http/http.h"
#include "tests/harness/test.h"

TEST(url)
{
    struct http_url u;
    struct err err = ERR_INIT;
    static const char *const bad[] = { "ftp://x/", "http://", "http:///x", "https://h:0/", "https://h:65536/",
                                       "https://u@h/", "https://h/a b", "https://[::1", "https://[::1]x", "//h/" };

    EXPECT_OK(http_url_parse(&u, "https://h.example/a?b=c", &err), &err);
    EXPECT(u.tls);
    EXPECT_STR(u.host, "h.example");
    EXPECT_EQ(u.port, 443);
    EXPECT_STR(u.target, "/a?b=c");
    EXPECT_OK(http_url_parse(&u, "http://[fd00::1]:8080", &err), &err);
    EXPECT(!u.tls);
    EXPECT_STR(u.host, "fd00::1");
    EXPECT_EQ(u.port, 8080);
    EXPECT_STR(u.target, "/");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        EXPECT_ERR(http_url_parse(&u, bad[i], &err), &err, ERR_INVALID);
}

TEST(escapes)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct err err = ERR_INIT;

    EXPECT_OK(http_unescape(&b, SLICE("a%20b+c%2F"), false, &err), &err);
    EXPECT_STR(b.p, "a b+c/");
    buf_clear(&b);
    EXPECT_OK(http_unescape(&b, SLICE("a+b"), true, &err), &err);
    EXPECT_STR(b.p, "a b");
    EXPECT_ERR(http_unescape(&b, SLICE("a%2"), false, &err), &err, ERR_INVALID);
    EXPECT_ERR(http_unescape(&b, SLICE("a%zz"), false, &err), &err, ERR_INVALID);
    EXPECT_ERR(http_unescape(&b, SLICE("a%00b"), false, &err), &err, ERR_INVALID);
    EXPECT_STR(b.p, "a b");
    buf_clear(&b);
    http_escape(&b, SLICE("a b/=~é"));
    EXPECT_STR(b.p, "a%20b%2F%3D~%C3%A9");
}

TEST(query)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct slice rest = slice_of("watch=true&a%3Db=c+d&&flag&bad=%z&=v");
    const char *name, *value;

    EXPECT(http_query_next(&rest, a, &name, &value));
    EXPECT_STR(name, "watch");
    EXPECT_STR(value, "true");
    EXPECT(http_query_next(&rest, a, &name, &value));
    EXPECT_STR(name, "a=b");
    EXPECT_STR(value, "c d");
    EXPECT(http_query_next(&rest, a, &name, &value));
    EXPECT_STR(name, "flag");
    EXPECT_STR(value, "");
    EXPECT(http_query_next(&rest, a, &name, &value));
    EXPECT_STR(name, "");
    EXPECT_STR(value, "v");
    EXPECT(!http_query_next(&rest, a, &name, &value));
}
