/* test_json_write.c -- the text that Go's encoding/json would write. */
#include <float.h>
#include <math.h>

#include "core/base/json.h"
#include "tests/harness/test.h"

static const struct { const char *s; size_t len; const char *out; } strings[] = {
    {"", 0, "\"\""},
    {"abc", 3, "\"abc\""},
    {"\"\\/", 3, "\"\\\"\\\\/\""},
    {"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
    {"\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\""},
    {"<a&b>", 5, "\"\\u003ca\\u0026b\\u003e\""},
    {"\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa", 9, "\"\\u2028\\u2029\xe2\x80\xaa\""},
    {"\xc3\xa4\xf0\x9f\x98\x80", 6, "\"\xc3\xa4\xf0\x9f\x98\x80\""},
    {"a\xff" "b\xe2\x82", 5, "\"a\\ufffdb\\ufffd\\ufffd\""},
};

TEST(strings)
{
    for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
        _cleanup_buf_ struct buf b = BUF_INIT;

        json_write_string(&b, strings[i].s, strings[i].len);
        EXPECT_STR(b.p, strings[i].out);
    }
}

static const struct { double d; const char *out; } doubles[] = {
    {0, "0"}, {-0.0, "-0"}, {1, "1"}, {-1.5, "-1.5"}, {0.1, "0.1"}, {100, "100"},
    {1e20, "100000000000000000000"}, {1e21, "1e+21"}, {1.5e300, "1.5e+300"}, {1e-6, "0.000001"},
    {1.5e-6, "0.0000015"},
    {9.99e-7, "9.99e-7"}, {1e-7, "1e-7"}, {1e-10, "1e-10"}, {1.25e-100, "1.25e-100"},
    {0.30000000000000004, "0.30000000000000004"}, {123456789.125, "123456789.125"},
    {DBL_MAX, "1.7976931348623157e+308"}, {5e-324, "5e-324"}, {3.14159, "3.14159"},
    {1234567890123456789.0, "1234567890123456800"}, {123, "123"}, {1200, "1200"},
    {999999999999999900000.0, "999999999999999900000"}, {NAN, "null"}, {INFINITY, "null"},
};

TEST(doubles)
{
    for (size_t i = 0; i < ARRAY_LEN(doubles); i++) {
        _cleanup_buf_ struct buf b = BUF_INIT;

        json_write_double(&b, doubles[i].d);
        EXPECT_STR(b.p, doubles[i].out);
        if (isfinite(doubles[i].d))
            EXPECT(strtod(b.p, NULL) == doubles[i].d);
    }
}

TEST(pretty)
{
    const char *text = "{\"a\":[1,{\"b\":null}],\"c\":{},\"d\":[],\"e\":\"x\"}";
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct json *v;
    struct err err;

    EXPECT_OK(json_parse(&v, a, text, strlen(text), NULL, &err), &err);
    json_write_pretty(&b, v, 2);
    EXPECT_STR(b.p, "{\n  \"a\": [\n    1,\n    {\n      \"b\": null\n    }\n  ],\n  \"c\": {},\n"
                    "  \"d\": [],\n  \"e\": \"x\"\n}");
    buf_clear(&b);
    json_write(&b, v);
    EXPECT_STR(b.p, text);
    buf_clear(&b);
    json_write(&b, NULL);
    EXPECT_STR(b.p, "null");
}
