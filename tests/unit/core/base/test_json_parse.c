/* test_json_parse.c -- text -> tree: syntax, what is forgiven, duplicates, limits. */
#include "core/base/json.h"
#include "tests/harness/test.h"

/* Parses and writes again. */
static void expect_again(const char *text, const char *want)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct json *v = NULL;
    struct err err;

    EXPECT_OK(json_parse(&v, a, text, strlen(text), NULL, &err), &err);
    json_write(&b, v);
    EXPECT_STR(b.p, want);
}

static const struct { const char *in, *out; } values[] = {
    {" null ", "null"}, {"true", "true"}, {"false", "false"}, {"\"\"", "\"\""}, {"[]", "[]"},
    {"{}", "{}"}, {"[ 1 , [ ] , { } ]", "[1,[],{}]"},
    {"0", "0"}, {"-1", "-1"}, {"9223372036854775807", "9223372036854775807"},
    {"-9223372036854775808", "-9223372036854775808"},
    {"9223372036854775808", "9223372036854776000"},
    {"18446744073709551615", "18446744073709552000"}, {"1e3", "1000"}, {"1.0", "1"},
    {"0.1", "0.1"}, {"\"\\u00e4\\ud83d\\ude00\"", "\"\xc3\xa4\xf0\x9f\x98\x80\""},
    {"\"\\ud83d\"", "\"\xef\xbf\xbd\""}, {"\"\\ude00x\"", "\"\xef\xbf\xbdx\""},
    {"\"\\ud83d\\ud83d\\ude00\"", "\"\xef\xbf\xbd\xf0\x9f\x98\x80\""},
    {"\"\\\\ud83d\"", "\"\\\\ud83d\""},
    {"\"a\xff\xe2\x82z\"", "\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\""},
    {"{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}"},
};

TEST(values)
{
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        expect_again(values[i].in, values[i].out);
}

TEST(nul_inside_texts)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    const char *text = "{\"k\\u0000\":\"a\\u0000b\"}";
    struct json *v;
    struct err err;

    EXPECT_OK(json_parse(&v, a, text, strlen(text), NULL, &err), &err);
    EXPECT(json_get(v, "k") == NULL);
    EXPECT_EQ(json_getn(v, "k", 2)->len, 3);
}

TEST(syntax_errors)
{
    static const char *const bad[] = {
        "", " ", "{", "[1,]", "{\"a\"}", "{\"a\":1,}", "{a:1}", "'a'", "01", "1.", ".5", "+1", "-",
        "nul", "1 2", "[1] x", "\"a", "\"\x01\"", "\"\\x\"", "// c\n1", "NaN", "Infinity", "1e999",
        "\xef\xbb\xbf" "1", "\"\\u12\"", "\xff",
    };
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *v = NULL;
    struct err err;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        EXPECT_ERR(json_parse(&v, a, bad[i], strlen(bad[i]), NULL, &err), &err, ERR_INVALID);
    EXPECT_ERR(json_parse(&v, a, "1\0", 2, NULL, &err), &err, ERR_INVALID);
    EXPECT(v == NULL);
    EXPECT_ERR(json_parse(&v, a, "{\"a\":x}", 7, NULL, &err), &err, ERR_INVALID);
    EXPECT(strstr(err.msg, "at byte 5"));
}

static void nested(struct buf *b, const char *open, const char *close, int depth)
{
    buf_clear(b);
    for (int i = 0; i < depth; i++)
        buf_str(b, open);
    for (int i = 0; i < depth; i++)
        buf_str(b, i == 0 && open[0] == '{' ? "1}" : close);
}

TEST(depth)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct json *v;
    struct err err;

    for (int i = 0; i < 2; i++) {
        const char *open = i ? "{\"a\":" : "[", *close = i ? "}" : "]";

        nested(&b, open, close, JSON_DEPTH_MAX - 1);
        EXPECT_OK(json_parse(&v, a, b.p, b.len, NULL, &err), &err);
        nested(&b, open, close, JSON_DEPTH_MAX);
        EXPECT_OK(json_parse(&v, a, b.p, b.len, NULL, &err), &err);
        nested(&b, open, close, JSON_DEPTH_MAX + 1);
        EXPECT_ERR(json_parse(&v, a, b.p, b.len, NULL, &err), &err, ERR_QUOTA);
    }
    nested(&b, "[", "]", 500000);
    EXPECT_ERR(json_parse(&v, a, b.p, b.len, NULL, &err), &err, ERR_QUOTA);
}

TEST(arena_cap)
{
    const char *text = "{\"a\":[1,2,3,{\"b\":\"cccccccccccccccccccccccccccc\"}]}";
    struct json *v;
    struct err err;
    size_t need;
    struct arena *a = arena_new(0);

    EXPECT_OK(json_parse(&v, a, text, strlen(text), NULL, &err), &err);
    need = arena_used(a);
    arena_free(a);
    for (size_t cap = 16; cap <= need; cap += 16) {
        a = arena_new(cap);
        if (cap < need)
            EXPECT_ERR(json_parse(&v, a, text, strlen(text), NULL, &err), &err, ERR_QUOTA);
        else
            EXPECT_OK(json_parse(&v, a, text, strlen(text), NULL, &err), &err);
        arena_free(a);
    }
}

static void note(void *ctx, const char *path, const char *key)
{
    buf_fmt(ctx, "<%s %s>", path, key);
}

TEST(duplicates)
{
    const char *text = "{\"a\":1,\"s\":{\"c\":[0,{\"n\":1,\"n\":2,\"n\":3}]},"
                       "\"a\":{\"x\":1,\"x\":2},\"s\":5}";
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf seen = BUF_INIT, b = BUF_INIT;
    struct json_opts opts = {.on_duplicate = note, .ctx = &seen};
    struct json *v;
    struct err err;

    EXPECT_OK(json_parse(&v, a, text, strlen(text), &opts, &err), &err);
    EXPECT_STR(seen.p, "<s.c[1] n><s.c[1] n>< a><a x>< s>");
    json_write(&b, v);
    EXPECT_STR(b.p, "{\"a\":{\"x\":2},\"s\":5}");
    opts.keep_duplicates = true;
    EXPECT_OK(json_parse(&v, a, text, strlen(text), &opts, &err), &err);
    buf_clear(&b);
    json_write(&b, v);
    EXPECT_STR(b.p, text);
}

TEST(large_object)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(1u << 30);
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct json *v;
    struct err err;
    char key[32];
    enum { N = 200000 };

    buf_str(&b, "{");
    for (int i = 0; i < 2 * N; i++)
        buf_fmt(&b, "%s\"key%d\":%d", i ? "," : "", i % N, i);
    buf_str(&b, "}");
    EXPECT_OK(json_parse(&v, a, b.p, b.len, NULL, &err), &err);
    EXPECT_EQ(v->len, N);
    for (int i = 0; i < N; i += 7) {
        snprintf(key, sizeof(key), "key%d", i);
        EXPECT_EQ(json_get_int(v, key, -1), N + i);
    }
}
