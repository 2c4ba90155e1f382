/* test_yaml_write.c -- what kubectl -o yaml would print. */
#include "core/base/yaml.h"
#include "tests/harness/test.h"

static const struct { const char *in, *out; } cases[] = {
    {"null", "null\n"}, {"{}", "{}\n"}, {"[]", "[]\n"}, {"5", "5\n"}, {"\"x\"", "x\n"},
    {"{\"a\":{\"b\":[1,{\"c\":\"d\",\"e\":[]}]},\"f\":{},\"g\":null,\"h\":true}",
     "a:\n  b:\n  - 1\n  - c: d\n    e: []\nf: {}\ng: null\nh: true\n"},
    {"[[1,2],[3]]", "- - 1\n  - 2\n- - 3\n"},
    {"{\"creationTimestamp\":\"2026-11-24T10:00:00Z\",\"d\":\"2001-01-01\"}",
     "creationTimestamp: \"2026-11-24T10:00:00Z\"\nd: \"2001-01-01\"\n"},
    {"[\"yes\",\"y\",\"null\",\"~\",\"\",\"5\",\"1.5\",\"0x1\",\"1e3\",\"1:30\",\"true\"]",
     "- \"yes\"\n- \"y\"\n- \"null\"\n- \"~\"\n- \"\"\n- \"5\"\n- \"1.5\"\n- \"0x1\"\n- \"1e3\"\n"
     "- \"1:30\"\n- \"true\"\n"},
    {"[\"a: b\",\"- x\",\"#c\",\"a #c\",\"*x\",\"@x\",\"{x\",\" x\",\"x \",\"'\",\"a:\",\"a:b\"]",
     "- 'a: b'\n- '- x'\n- '#c'\n- 'a #c'\n- '*x'\n- '@x'\n- '{x'\n- ' x'\n- 'x '\n- ''''\n- 'a:'\n"
     "- a:b\n"},
    {"[\"a\\nb\\n\",\"a\\nb\",\"a\\n\\n\",\"\\n\",\"a \\nb\",\"tab\\there\"]",
     "- |\n  a\n  b\n- |-\n  a\n  b\n- |+\n  a\n\n- |2+\n\n- \"a \\nb\"\n- \"tab\\there\"\n"},
    {"{\"<<\":{\"a\":1}}", "\"<<\":\n  a: 1\n"},
    {"{\"5\":1,\"true\":2,\"a b\":3}", "\"5\": 1\n\"true\": 2\na b: 3\n"},
    {"[1.5,1e6,1500000.5,0.0001,0.00001,1e30,-2.5,9223372036854775807]",
     "- 1.5\n- 1000000\n- 1.5000005e+06\n- 0.0001\n- 1e-05\n- 1e+30\n- -2.5\n"
     "- 9223372036854775807\n"},
    {"[\"\xc3\xa4\xf0\x9f\x98\x80\",\"\\u0001\\u0000\"]",
     "- \"\xc3\xa4\\U0001F600\"\n- \"\\x01\\0\"\n"},
    {"{\"m\":\"0/1 nodes are available: 1 node(s) had untolerated taint "
     "{node.kubernetes.io/not-ready: }. preemption: none.\"}",
     "m: '0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready:\n"
     "  }. preemption: none.'\n"},
};

TEST(texts)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(arena_freep) struct arena *a = arena_new(0);
        _cleanup_buf_ struct buf b = BUF_INIT;
        struct json *v, *back;
        struct err err;

        EXPECT_OK(json_parse(&v, a, cases[i].in, strlen(cases[i].in), NULL, &err), &err);
        yaml_write(&b, v);
        EXPECT_STR(b.p, cases[i].out);
        EXPECT_OK(yaml_parse(&back, a, b.p, b.len, NULL, &err), &err);
        EXPECT(json_equal(v, back));
    }
}

TEST(deep_and_null)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct json *v = json_array(a), *back;
    struct err err;

    for (int i = 1; i < 100; i++) {
        struct json *outer = json_object(a);

        json_set(a, outer, "k", v);
        v = outer;
    }
    yaml_write(&b, v);
    EXPECT_OK(yaml_parse(&back, a, b.p, b.len, NULL, &err), &err);
    EXPECT(json_equal(v, back));
    buf_clear(&b);
    yaml_write(&b, NULL);
    EXPECT_STR(b.p, "null\n");
}
