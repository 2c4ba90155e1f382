#include "core/object/quantity.h"
#include "tests/harness/test.h"

static const struct { const char *in, *out; } canonical[] = {
    { "0", "0" }, { "1", "1" }, { "1000m", "1" }, { "1024Mi", "1Gi" }, { "1024", "1024" },
    { "100m", "100m" }, { "0.5", "500m" }, { "1.5Gi", "1536Mi" }, { "1000", "1k" },
    { "1500", "1500" },
    { "1e3", "1e3" }, { "1E3", "1E3" }, { "1000k", "1M" }, { "12e6", "12e6" }, { "1.2e3", "1200" },
    { "1Ki", "1Ki" }, { "1023Ki", "1023Ki" }, { "8Ki", "8Ki" }, { "0.5Ki", "512" }, { "-1", "-1" },
    { "1n", "1n" }, { "0.1n", "1n" }, { "1.500", "1.500" }, { ".5", "500m" }, { " 5 ", "5" },
    { "9223372036854775807", "9223372036854775807" }, { "16Ei", "9223372036854775807" },
    { "100000000000000000000", "100E" }, { "0.0005", "500u" }, { "Ki", "0" }, { "2048Ki", "2Mi" },
};

TEST(canonical)
{
    struct err err = ERR_INIT;
    char out[QUANTITY_BYTES];

    for (size_t i = 0; i < sizeof(canonical) / sizeof(*canonical); i++) {
        EXPECT_OK(quantity_canonical(out, canonical[i].in, strlen(canonical[i].in), &err), &err);
        EXPECT_STR(out, canonical[i].out);
    }
}

TEST(invalid)
{
    static const char *const bad[] = { "", "abc", "1x", "1 m", "1mm", "1eE", "--1", "1.2.3", "1e",
                                       "1Kii",
                                       "1e999999999999" };
    struct err err = ERR_INIT;
    char out[QUANTITY_BYTES];

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        EXPECT_ERR(quantity_canonical(out, bad[i], strlen(bad[i]), &err), &err, ERR_INVALID);
    EXPECT_ERR(quantity_canonical(out, "abc", 3, &err), &err, ERR_INVALID);
    EXPECT_STR(err.msg, "quantities must match the regular expression "
               "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
}

static int64_t value(const char *s)
{
    int64_t v = -1;
    EXPECT_EQ(quantity_value(s, &v, NULL), 0);
    return v;
}

static int64_t milli(const char *s)
{
    int64_t v = -1;
    EXPECT_EQ(quantity_milli(s, &v, NULL), 0);
    return v;
}

TEST(values)
{
    EXPECT_EQ(value("100m"), 1);
    EXPECT_EQ(value("1001m"), 2);
    EXPECT_EQ(value("-100m"), -1);
    EXPECT_EQ(value("1Gi"), 1073741824);
    EXPECT_EQ(value("1E"), 1000000000000000000);
    EXPECT_EQ(value("100E"), INT64_MAX);
    EXPECT_EQ(value("1e2000000"), INT64_MAX);
    EXPECT_EQ(milli("1"), 1000);
    EXPECT_EQ(milli("250m"), 250);
    EXPECT_EQ(milli("1u"), 1);
    EXPECT_EQ(milli("0.0011"), 2);
    EXPECT_EQ(milli("8Ei"), INT64_MAX);
}

TEST(compare)
{
    EXPECT_EQ(quantity_cmp("1", "1000m"), 0);
    EXPECT_EQ(quantity_cmp("1Gi", "1G"), 1);
    EXPECT_EQ(quantity_cmp("1Mi", "1048576"), 0);
    EXPECT_EQ(quantity_cmp("-1", "1"), -1);
    EXPECT_EQ(quantity_cmp("-2", "-1"), -1);
    EXPECT_EQ(quantity_cmp("0", "-0"), 0);
    EXPECT_EQ(quantity_cmp("1e100", "1e99"), 1);
    EXPECT_EQ(quantity_cmp("0", "1n"), -1);
    EXPECT_EQ(quantity_cmp("1e-9", "1n"), 0);
}

TEST(rounding_and_numbers)
{
    char out[QUANTITY_BYTES];

    EXPECT_EQ(quantity_round_milli(out, "100u", NULL), 0);
    EXPECT_STR(out, "1m");
    EXPECT_EQ(quantity_round_milli(out, "1.500", NULL), 0);
    EXPECT_STR(out, "1.500");
    quantity_from_milli(out, 1500);
    EXPECT_STR(out, "1500m");
    quantity_from_milli(out, 2000000);
    EXPECT_STR(out, "2k");
    quantity_from_bytes(out, 64 << 20);
    EXPECT_STR(out, "64Mi");
    quantity_from_bytes(out, 1000);
    EXPECT_STR(out, "1k");
    quantity_from_bytes(out, INT64_MIN);
    EXPECT_STR(out, "-8Ei");
}
