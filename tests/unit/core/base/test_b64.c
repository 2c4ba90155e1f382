/* test_b64.c -- base64 both ways and Go's errors. */
#include "core/base/b64.h"

#include "tests/harness/test.h"

static const struct { const char *plain, *std, *url; } pairs[] = {
    {"", "", ""}, {"f", "Zg==", "Zg"}, {"fo", "Zm8=", "Zm8"}, {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"}, {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"}, {"\xfb\xff\xfe", "+//+", "-__-"},
};

TEST(both_ways)
{
    struct err err;

    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        for (int kind = B64_STD; kind <= B64_URL; kind++) {
            const char *want = kind == B64_STD ? pairs[i].std : pairs[i].url;
            _cleanup_buf_ struct buf text = BUF_INIT, back = BUF_INIT;

            b64_encode(&text, (enum b64_kind)kind, pairs[i].plain, strlen(pairs[i].plain));
            EXPECT_STR(text.p, want);
            EXPECT_OK(b64_decode(&back, (enum b64_kind)kind, text.p, text.len, &err), &err);
            EXPECT_STR(back.p, pairs[i].plain);
        }
    }
}

TEST(all_bytes)
{
    _cleanup_buf_ struct buf text = BUF_INIT, back = BUF_INIT;
    unsigned char bytes[257];
    struct err err;

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)i;
    b64_encode(&text, B64_STD, bytes, sizeof(bytes));
    EXPECT_OK(b64_decode(&back, B64_STD, text.p, text.len, &err), &err);
    EXPECT_EQ(back.len, sizeof(bytes));
    EXPECT_MEM(back.p, bytes, sizeof(bytes));
}

TEST(newlines_and_trailing_bits)
{
    _cleanup_buf_ struct buf out = BUF_INIT;
    struct err err;

    EXPECT_OK(b64_decode(&out, B64_STD, "Zm\r\n9v\nYg=\n=\n", 13, &err), &err);
    EXPECT_STR(out.p, "foob");
    buf_clear(&out);
    EXPECT_OK(b64_decode(&out, B64_STD, "Zh==", 4, &err), &err);
    EXPECT_STR(out.p, "f");
    EXPECT_ERR(b64_decode(&out, B64_URL, "Zh", 2, &err), &err, ERR_INVALID);
    EXPECT_ERR(b64_decode(&out, B64_URL, "Zm9", 3, &err), &err, ERR_INVALID);
    EXPECT_STR(out.p, "f");
}

/* The offsets are those of Go's encoding/base64. */
static const struct { enum b64_kind kind; const char *text; int at; } bad[] = {
    {B64_STD, "!!!!", 0}, {B64_STD, "====", 0}, {B64_STD, "x===", 1}, {B64_STD, "=AAA", 0},
    {B64_STD, "A=AA", 1}, {B64_STD, "AA=A", 2}, {B64_STD, "AA==A", 4}, {B64_STD, "AAA=AAAA", 4},
    {B64_STD, "AAAAA", 4}, {B64_STD, "AAAAAA", 4}, {B64_STD, "A=", 1}, {B64_STD, "AA=", 3},
    {B64_STD, "AAAAAAAA=", 8}, {B64_STD, "YWJj-", 4}, {B64_URL, "AAAAA", 4}, {B64_URL, "A", 0},
    {B64_URL, "AA==", 2}, {B64_URL, "AA\nAA", 2}, {B64_URL, "AA+A", 2}, {B64_STD, "AAA", 0},
};

TEST(bad_input)
{
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        _cleanup_buf_ struct buf out = BUF_INIT;
        char want[80];
        struct err err;

        buf_str(&out, "kept");
        snprintf(want, sizeof(want), "illegal base64 data at input byte %d", bad[i].at);
        EXPECT_ERR(b64_decode(&out, bad[i].kind, bad[i].text, strlen(bad[i].text), &err), &err,
                   ERR_INVALID);
        EXPECT_STR(err.msg, want);
        EXPECT_STR(out.p, "kept");
    }
}
