#include "core/object/selector.h"
#include "tests/harness/test.h"

static struct json *parse_json(struct arena *a, const char *text)
{
    struct json *v = NULL;
    struct err err = ERR_INIT;

    EXPECT_OK(json_parse(&v, a, text, strlen(text), NULL, &err), &err);
    return v;
}

static bool match(const char *selector, const char *labels)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_(selector_freep) struct selector *s = NULL;
    struct err err = ERR_INIT;

    EXPECT_OK(selector_parse(&s, selector, &err), &err);
    return selector_matches_map(s, parse_json(a, labels));
}

TEST(matches)
{
    EXPECT(match("", "{}"));
    EXPECT(match("a=b", "{\"a\":\"b\"}"));
    EXPECT(!match("a=b", "{}"));
    EXPECT(match("a!=b", "{}"));
    EXPECT(match("a in (x, y)", "{\"a\":\"y\"}"));
    EXPECT(!match("a in (x,y)", "{\"a\":\"z\"}"));
    EXPECT(match("a notin (x,y)", "{\"a\":\"z\"}"));
    EXPECT(match("a", "{\"a\":\"\"}"));
    EXPECT(match("!a,b", "{\"b\":\"\"}"));
    EXPECT(match("a>3,a<9", "{\"a\":\"5\"}"));
    EXPECT(!match("a>3", "{\"a\":\"x\"}"));
    EXPECT(match("a=", "{\"a\":\"\"}"));
    EXPECT(match("in in (in)", "{\"in\":\"in\"}"));
}

TEST(canonical_text)
{
    static const char *const texts[][2] = {
        { "b=1,a", "a,b=1" }, { "x in (c,a,b,a)", "x in (a,b,c)" }, { "!x", "!x" },
        { "x==1", "x==1" },
        { "x notin ()", "x notin ()" }, { "x in (a,,b)", "x in (,a,b)" }, { "x!=1", "x!=1" },
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        _cleanup_(selector_freep) struct selector *s = NULL;
        _cleanup_buf_ struct buf b = BUF_INIT;
        struct err err = ERR_INIT;

        EXPECT_OK(selector_parse(&s, texts[i][0], &err), &err);
        selector_write(&b, s);
        EXPECT_STR(b.p, texts[i][1]);
    }
}

TEST(errors)
{
    static const char *const bad[][2] = {
        { "app in (a", "unable to parse requirement: found '', expected: ',' or ')'" },
        { "bad Key=x",
          "unable to parse requirement: found 'Key', expected: in, notin, =, ==, !=, gt, lt" },
        { "a>1.5", "unable to parse requirement: values[0]: Invalid value: \"1.5\": "
          "for 'Gt', 'Lt' operators, the value must be an integer" },
        { "a,", "found '', expected: identifier after ','" },
        { ",a", "found ',', expected: !, identifier, or 'end of string'" },
        { "a in x", "unable to parse requirement: found 'x' expected: '('" },
        { "a=b c", "found 'c', expected: ',' or 'end of string'" },
        { "a/b/c=1", NULL }, { "a=-x", NULL }, { "_=1", NULL },
    };
    struct err err = ERR_INIT;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct selector *s = NULL;

        EXPECT_ERR(selector_parse(&s, bad[i][0], &err), &err, ERR_INVALID);
        EXPECT(s == NULL);
        if (bad[i][1])
            EXPECT_STR(err.msg, bad[i][1]);
    }
}

TEST(from_json)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_(selector_freep) struct selector *s = NULL, *none = NULL, *map = NULL;
    struct err err = ERR_INIT;
    struct selector *bad = NULL;

    EXPECT_OK(selector_from_json(&s,
                                 parse_json(a,
                                            "{\"matchLabels\":{\"b\":\"1\"},\"matchExpressions\":"
              "[{\"key\":\"a\",\"operator\":\"In\",\"values\":[\"x\",\"y\"]}]}"), &err), &err);
    EXPECT(selector_matches_map(s, parse_json(a, "{\"a\":\"x\",\"b\":\"1\"}")));
    EXPECT(!selector_matches_map(s, parse_json(a, "{\"a\":\"x\"}")));
    EXPECT_OK(selector_from_json(&none, NULL, &err), &err);
    EXPECT(!selector_matches_map(none, NULL));
    EXPECT(!selector_is_everything(none));
    map = selector_from_map(parse_json(a, "{}"));
    EXPECT(!selector_matches_map(map, NULL));
    EXPECT_ERR(selector_from_json(&bad, parse_json(a, "{\"matchExpressions\":[{\"key\":\"a\","
               "\"operator\":\"Near\"}]}"), &err), &err, ERR_INVALID);
    EXPECT_STR(err.msg, "\"Near\" is not a valid label selector operator");
}
