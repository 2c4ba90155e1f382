/* test_str.c -- slices, text helpers, buffers. */
#include "core/base/str.h"

#include "core/base/mem.h"
#include "tests/harness/test.h"

TEST(slices)
{
    struct slice rest = SLICE("a,,bc");
    struct slice part;

    EXPECT(slice_eq(SLICE("ab"), slice_of("ab")));
    EXPECT(!slice_eq(SLICE("ab"), SLICE("ac")));
    EXPECT(slice_is(SLICE(""), NULL));
    EXPECT(slice_is(slice_trim(SLICE(" \t a b \t")), "a b"));
    EXPECT(slice_is(slice_trim(SLICE("  ")), ""));
    EXPECT(slice_split(&rest, ',', &part) && slice_is(part, "a"));
    EXPECT(slice_split(&rest, ',', &part) && slice_is(part, ""));
    EXPECT(slice_split(&rest, ',', &part) && slice_is(part, "bc"));
    EXPECT(!slice_split(&rest, ',', &part));
    rest = SLICE("a,");
    EXPECT(slice_split(&rest, ',', &part) && slice_is(part, "a"));
    EXPECT(slice_split(&rest, ',', &part) && slice_is(part, ""));
    EXPECT(!slice_split(&rest, ',', &part));
    rest = SLICE("");
    EXPECT(slice_split(&rest, ',', &part) && slice_is(part, ""));
    EXPECT(!slice_split(&rest, ',', &part));
}

TEST(comparisons)
{
    EXPECT(str_eq(NULL, NULL));
    EXPECT(!str_eq("", NULL));
    EXPECT(str_eq("a", "a"));
    EXPECT(str_starts("abc", "ab"));
    EXPECT(!str_starts("a", "ab"));
    EXPECT(str_ends("abc", "bc"));
    EXPECT(!str_ends("c", "bc"));
    EXPECT(str_empty(NULL));
    EXPECT(str_empty(""));
    EXPECT(!str_empty("x"));
}

TEST(copy)
{
    char small[4];
    struct err err;

    EXPECT_OK(str_copy(small, sizeof(small), "ab", &err), &err);
    EXPECT_OK(str_copy(small, sizeof(small), "abc", &err), &err);
    EXPECT_STR(small, "abc");
    EXPECT_ERR(str_copy(small, sizeof(small), "abcd", &err), &err, ERR_INVALID);
    EXPECT_STR(small, "abc");
}

static const struct { const char *s; size_t len; bool good; } utf8_cases[] = {
    {"", 0, true},
    {"plain ascii of some length", 26, true},
    {"12345678\xc3\xa4", 10, true},
    {"\xe2\x82\xac", 3, true},
    {"\xf0\x9f\x98\x80", 4, true},
    {"\xf4\x8f\xbf\xbf", 4, true},
    {"\xf4\x90\x80\x80", 4, false},       /* past U+10FFFF */
    {"\xed\xa0\x80", 3, false},           /* a surrogate */
    {"\xed\x9f\xbf", 3, true},
    {"\xc0\x80", 2, false},               /* overlong */
    {"\xe0\x9f\xbf", 3, false},
    {"\xf0\x8f\xbf\xbf", 4, false},
    {"\xe2\x82", 2, false},               /* cut */
    {"12345678\x80", 9, false},
    {"\xff", 1, false},
};

TEST(utf8)
{
    for (size_t i = 0; i < ARRAY_LEN(utf8_cases); i++)
        EXPECT_EQ(str_is_utf8(utf8_cases[i].s, utf8_cases[i].len), utf8_cases[i].good);
    EXPECT_EQ(str_utf8_len("\xe2\x82\xacx", 4), 3);
    EXPECT_EQ(str_utf8_len("", 0), 0);
}

TEST(numbers)
{
    struct err err;
    int64_t v = 0;

    EXPECT_OK(str_to_i64("9223372036854775807", INT64_MIN, INT64_MAX, &v, &err), &err);
    EXPECT_EQ(v, INT64_MAX);
    EXPECT_OK(str_to_i64("-9223372036854775808", INT64_MIN, INT64_MAX, &v, &err), &err);
    EXPECT_EQ(v, INT64_MIN);
    EXPECT_ERR(str_to_i64("9223372036854775808", INT64_MIN, INT64_MAX, &v, &err), &err,
               ERR_INVALID);
    EXPECT_ERR(str_to_i64("-9223372036854775809", INT64_MIN, INT64_MAX, &v, &err), &err,
               ERR_INVALID);
    EXPECT_EQ(v, INT64_MIN);
    EXPECT_OK(str_to_i64("1", 1, 3, &v, &err), &err);
    EXPECT_OK(str_to_i64("3", 1, 3, &v, &err), &err);
    EXPECT_ERR(str_to_i64("0", 1, 3, &v, &err), &err, ERR_INVALID);
    EXPECT_ERR(str_to_i64("4", 1, 3, &v, &err), &err, ERR_INVALID);
    EXPECT_STR(err.msg, "4 is not between 1 and 3");
    const char *bad[] = {"", "-", "+1", " 1", "1 ", "1a", "0x1", "--1"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        EXPECT_ERR(str_to_i64(bad[i], INT64_MIN, INT64_MAX, &v, &err), &err, ERR_INVALID);
    EXPECT_ERR(str_to_i64(NULL, 0, 1, &v, &err), &err, ERR_INVALID);
}

TEST(hashes)
{
    EXPECT(str_hash("", 0) == 0xcbf29ce484222325u);
    EXPECT(str_hash("foobar", 6) == 0x85944171f73967e8u);
    EXPECT(str_hash_keyed("a", 1) == str_hash_keyed("a", 1));
    EXPECT(str_hash_keyed("a", 1) != str_hash_keyed("b", 1));
    EXPECT(str_hash_keyed("12345678", 8) != str_hash_keyed("12345679", 8));
}

TEST(buffers)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    char *p;
    size_t len;

    buf_clear(&b);
    buf_eat(&b, 0);
    buf_str(&b, "ab");
    buf_chr(&b, 'c');
    buf_i64(&b, INT64_MIN);
    buf_i64(&b, 0);
    buf_i64(&b, INT64_MAX);
    EXPECT_STR(b.p, "abc-922337203685477580809223372036854775807");
    buf_eat(&b, 3);
    EXPECT_STR(b.p, "-922337203685477580809223372036854775807");
    buf_clear(&b);
    EXPECT_STR(b.p, "");
    buf_utf8(&b, "a\xff\xc3\xa4", 4);
    EXPECT_STR(b.p, "a\xef\xbf\xbd\xc3\xa4");
    buf_clear(&b);
    for (int i = 0; i < 1000; i++)
        buf_fmt(&b, "%d,", i);
    EXPECT_EQ(b.len, 10 * 2 + 90 * 3 + 900 * 4);
    EXPECT_EQ(strlen(b.p), b.len);
    p = buf_take(&b, &len);
    EXPECT_EQ(len, 3890);
    EXPECT(b.p == NULL && b.len == 0);
    mem_free(p);
    p = buf_take(&b, NULL);
    EXPECT_STR(p, "");
    mem_free(p);
}

TEST(buffer_formats_what_is_long)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    char text[300];

    memset(text, 'x', sizeof(text));
    for (size_t len = 0; len < sizeof(text); len++) {
        buf_clear(&b);
        buf_fmt(&b, "%.*s", (int)len, text);
        EXPECT_EQ(b.len, len);
        EXPECT_EQ(strlen(b.p), len);
    }
}
