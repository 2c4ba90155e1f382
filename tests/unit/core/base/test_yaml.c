/* test_yaml.c -- YAML text -> tree as sigs.k8s.io/yaml makes it. */
#include "core/base/yaml.h"

#include "tests/harness/test.h"

static const struct { const char *in, *out; } good[] = {
    {"", "null"}, {"# only a comment\n", "null"}, {"---\n", "null"}, {"a", "\"a\""},
    {"a: 1\nb: [x, \"y\", 'z']\nc:\n- d: {e: f}\n-\n", "{\"a\":1,\"b\":[\"x\",\"y\",\"z\"],"
     "\"c\":[{\"d\":{\"e\":\"f\"}},null]}"},
    /* words */
    {"[y, Yes, on, True, n, NO, off, FALSE]", "[true,true,true,true,false,false,false,false]"},
    {"[\"yes\", 'no', !!str on, yEs]", "[\"yes\",\"no\",\"on\",\"yEs\"]"},
    {"[~, null, Null, NULL, nULL, '']", "[null,null,null,null,\"nULL\",\"\"]"},
    /* numbers */
    {"[0, -0, +5, 1_000, 0x1F, 0o17, 017, 0b101, -0b11, 09]", "[0,0,5,1000,31,15,15,5,-3,9]"},
    {"[9223372036854775807, 9223372036854775808, -9223372036854775809]",
     "[9223372036854775807,9223372036854776000,-9223372036854776000]"},
    {"[1.5, 1., .5, 1e3, 1.5E-3, +.5, -1.5, 1e400, 1.2.3, 1:30, 0x, 0xg, _1, 1e]",
     "[1.5,1,0.5,1000,0.0015,0.5,-1.5,\"1e400\",\"1.2.3\",\"1:30\",\"0x\",\"0xg\",\"_1\",\"1e\"]"},
    {"[2001-01-01, 2001-12-14t21:59:43.10-05:00, 2001-1-1 1:2:3, 2001-13-01, 2001-01]",
     "[\"2001-01-01\",\"2001-12-14t21:59:43.10-05:00\",\"2001-1-1 1:2:3\",\"2001-13-01\","
     "\"2001-01\"]"},
    {"[!!float 1, !!int \"5\", !!str 5, !!binary Zm9v, !!binary /w==, !custom 5]",
     "[1,5,\"5\",\"foo\",\"\xef\xbf\xbd\",\"5\"]"},
    /* keys */
    {"1: a\ntrue: b\n1.5: c\nyes: d\n0x10: e\n", "{\"1\":\"a\",\"true\":\"d\",\"1.5\":\"c\","
     "\"16\":\"e\"}"},
    {"a: 1\nb: 2\na: 3\n", "{\"a\":3,\"b\":2}"},
    /* block scalars */
    {"a: |\n  x\n  y\nb: >-\n  x\n  y\nc: |+\n  x\n\nd: plain\n  folded\n",
     "{\"a\":\"x\\ny\\n\",\"b\":\"x y\",\"c\":\"x\\n\\n\",\"d\":\"plain folded\"}"},
    /* aliases and merges */
    {"a: &x {m: 1}\nb: *x\nc: &z [1]\nd: *z\n",
     "{\"a\":{\"m\":1},\"b\":{\"m\":1},\"c\":[1],\"d\":[1]}"},
    {"d: &d {a: 1, b: 2}\ne:\n  <<: *d\n  b: 3\n",
     "{\"d\":{\"a\":1,\"b\":2},\"e\":{\"a\":1,\"b\":3}}"},
    {"e:\n  <<: [{a: 1, b: 2}, {b: 3, c: 4}]\n", "{\"e\":{\"b\":2,\"c\":4,\"a\":1}}"},
    {"n: 1\n", "{\"false\":1}"},
    {"e: {\"<<\": 1}\n", "{\"e\":{\"\\u003c\\u003c\":1}}"},
    {"&k a: 1\nb: *k\n", "{\"a\":1,\"b\":\"a\"}"},
    /* JSON in YAML clothes */
    {"{\"a\":\"\\ud83d\\ude00\\/\",\n\t\"b\":1}", "{\"a\":\"\xf0\x9f\x98\x80/\",\"b\":1}"},
    {"{a: 1}", "{\"a\":1}"},
    {"a: 1\n---\nb: 2\n", "{\"a\":1}"},
};

TEST(values)
{
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        _cleanup_(arena_freep) struct arena *a = arena_new(0);
        _cleanup_buf_ struct buf b = BUF_INIT;
        struct json *v = NULL;
        struct err err;

        EXPECT_OK(yaml_parse(&v, a, good[i].in, strlen(good[i].in), NULL, &err), &err);
        json_write(&b, v);
        EXPECT_STR(b.p, good[i].out);
    }
}

static const struct { const char *in, *msg; } bad[] = {
    {"a: b: c", "yaml: mapping values are not allowed in this context"},
    {"x: 1\na: b: c", "yaml: line 2: mapping values are not allowed in this context"},
    {"a: [1", "yaml: line 1: did not find expected ',' or ']'"},
    {"a: *x", "yaml: unknown anchor 'x' referenced"},
    {"a: &x [*x]", "yaml: anchor 'x' value contains itself"},
    {"? [a]\n: b", "yaml: unsupported map key"},
    {"? ~\n: b", "yaml: unsupported map key"},
    {"a: .nan", "json: unsupported value: NaN"},
    {"a: -.inf", "json: unsupported value: -Inf"},
    {"a: !!int x", "yaml: line 1: cannot decode `x` as a !!int"},
    {"a: !!binary '*'", "yaml: !!binary value contains invalid base64 data"},
    {"a:\n  <<: 5\n", "yaml: line 1: map merge requires map or sequence of maps as the value"},
    {"a:\n\t- b\n", "yaml: line 2: found character that cannot start any token"},
    {"a: \x01", "yaml: control characters are not allowed"},
};

TEST(errors)
{
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        _cleanup_(arena_freep) struct arena *a = arena_new(0);
        struct json *v = NULL;
        struct err err;

        EXPECT_ERR(yaml_parse(&v, a, bad[i].in, strlen(bad[i].in), NULL, &err), &err, ERR_INVALID);
        EXPECT_STR(err.msg, bad[i].msg);
        EXPECT(v == NULL);
    }
}

TEST(all_documents)
{
    static const struct { const char *in, *out; } cases[] = {
        {"", "[]"}, {"---\n---\n# nothing\n---\n", "[]"},
        {"a: 1\n---\nb: 2\n...\n---\n- c\n", "[{\"a\":1},{\"b\":2},[\"c\"]]"},
        {"{\"a\":1}\n", "[{\"a\":1}]"}, {"{\"a\":1}\n---\n{\"b\":2}\n", "[{\"a\":1},{\"b\":2}]"},
        {"a: &x 1\n---\nb: &x 2\nc: *x\n", "[{\"a\":1},{\"b\":2,\"c\":2}]"},
    };
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *v;
    struct err err;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_buf_ struct buf b = BUF_INIT;

        EXPECT_OK(yaml_parse_all(&v, a, cases[i].in, strlen(cases[i].in), &err), &err);
        json_write(&b, v);
        EXPECT_STR(b.p, cases[i].out);
    }
    EXPECT_ERR(yaml_parse_all(&v, a, "a: &x 1\n---\nb: *x\n", 19, &err), &err, ERR_INVALID);
    EXPECT_ERR(yaml_parse_all(&v, a, "a: 1\n---\na: b: c\n", 18, &err), &err, ERR_INVALID);
}

static void note(void *ctx, const char *path, const char *key)
{
    buf_fmt(ctx, "<%s %s>", path, key);
}

TEST(duplicates)
{
    const char *text = "a: 1\ns:\n  c:\n  - {}\n  - m: 1\n    m: 2\na:\n  2\nm:\n  <<: {x: 1}\n"
                       "  x: 2\n";
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf seen = BUF_INIT;
    struct json_opts opts = {.on_duplicate = note, .ctx = &seen};
    struct json *v;
    struct err err;

    EXPECT_OK(yaml_parse(&v, a, text, strlen(text), &opts, &err), &err);
    EXPECT_STR(seen.p, "<line 6 m><line 8 a>");
    buf_clear(&seen);
    EXPECT_OK(yaml_parse(&v, a, "{\"a\":1,\"a\":2}", 13, &opts, &err), &err);
    EXPECT_STR(seen.p, "<line 1 a>");
}

TEST(depth)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *v;
    struct err err;

    for (int depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
        _cleanup_buf_ struct buf b = BUF_INIT;

        for (int i = 0; i < depth; i++)
            buf_str(&b, i % 20 ? "[" : "[\n");
        for (int i = 0; i < depth; i++)
            buf_str(&b, "]");
        if (depth <= JSON_DEPTH_MAX)
            EXPECT_OK(yaml_parse(&v, a, b.p, b.len, NULL, &err), &err);
        else
            EXPECT_ERR(yaml_parse(&v, a, b.p, b.len, NULL, &err), &err, ERR_QUOTA);
    }
}

/* A list of n copies of a map of about 1000 nodes. */
static int parse_copies(struct arena *a, int n, struct err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct json *v;

    buf_str(&b, "a: &a [");                        /* 1 map, 1 key, 1 list + 997 items = 1000 */
    for (int i = 0; i < 997; i++)
        buf_str(&b, i ? ",1" : "1");
    buf_str(&b, "]\nb: [");                        /* 1 key, 1 list */
    for (int i = 0; i < n; i++)
        buf_str(&b, i ? ",*a" : "*a");             /* 998 each */
    buf_str(&b, "]\n");
    return yaml_parse(&v, a, b.p, b.len, NULL, err);
}

TEST(alias_bombs)
{
    struct err err;
    struct json *v;
    const char *bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                       "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\n"
                       "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\n"
                       "g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]\n";
    _cleanup_(arena_freep) struct arena *a = arena_new((size_t)1 << 30);
    _cleanup_(arena_freep) struct arena *small = arena_new(0);

    EXPECT_ERR(yaml_parse(&v, a, bomb, strlen(bomb), NULL, &err), &err, ERR_QUOTA);
    EXPECT_ERR(yaml_parse(&v, small, bomb, strlen(bomb), NULL, &err), &err, ERR_QUOTA);
    arena_reset(a);
    EXPECT_OK(parse_copies(a, (YAML_NODES_MAX - 1002) / 998, &err), &err);
    arena_reset(a);
    EXPECT_ERR(parse_copies(a, (YAML_NODES_MAX - 1002) / 998 + 1, &err), &err, ERR_QUOTA);
    EXPECT(strstr(err.msg, "nodes"));
}

TEST(anchors)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *v;
    struct err err;

    for (int n = YAML_ANCHORS_MAX - 1; n <= YAML_ANCHORS_MAX + 1; n++) {
        _cleanup_buf_ struct buf b = BUF_INIT;

        for (int i = 0; i < n; i++)
            buf_fmt(&b, "- &a%d x\n", i);
        arena_reset(a);
        if (n <= YAML_ANCHORS_MAX)
            EXPECT_OK(yaml_parse(&v, a, b.p, b.len, NULL, &err), &err);
        else
            EXPECT_ERR(yaml_parse(&v, a, b.p, b.len, NULL, &err), &err, ERR_QUOTA);
    }
}

TEST(small_arenas_fail_without_abort)
{
    const char *text = "a: &x {k1: [1,2,3], k2: \"some text that is not short\", 5: 6}\n"
                       "b:\n  <<: *x\n  c: *x\n  d: |\n    text\n---\nb: 1\n";
    struct json *v;
    struct err err;
    int good_runs = 0;

    for (size_t cap = 16; cap < 20000; cap += 48) {
        _cleanup_(arena_freep) struct arena *a = arena_new(cap);
        int one = yaml_parse(&v, a, text, strlen(text), NULL, &err);

        EXPECT(one == 0 || err.code == ERR_QUOTA);
        arena_reset(a);
        EXPECT(yaml_parse_all(&v, a, text, strlen(text), &err) == 0 || err.code == ERR_QUOTA);
        good_runs += one == 0;
    }
    EXPECT(good_runs > 0);
}
