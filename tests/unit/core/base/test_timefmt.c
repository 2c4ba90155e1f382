/* test_timefmt.c -- RFC 3339 times, durations and ages. */
#include "core/base/timefmt.h"

#include "core/base/cleanup.h"
#include "tests/harness/test.h"

static const struct { int64_t s; const char *text; } times[] = {
    {0, "1970-01-01T00:00:00Z"},
    {-1, "1969-12-31T23:59:59Z"},
    {951782400, "2000-02-29T00:00:00Z"},
    {1763892000, "2025-11-23T10:00:00Z"},
    {4107542399, "2100-02-28T23:59:59Z"},
    {4107542400, "2100-03-01T00:00:00Z"},
    {253402300799, "9999-12-31T23:59:59Z"},
    {-62167219200, "0000-01-01T00:00:00Z"},
};

TEST(both_ways)
{
    char text[TIMEFMT_BYTES];
    struct err err;
    int64_t us;

    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        timefmt_rfc3339(text, times[i].s);
        EXPECT_STR(text, times[i].text);
        EXPECT_OK(timefmt_parse(text, &us, &err), &err);
        EXPECT_EQ(us, times[i].s * 1000000);
    }
    for (int64_t s = -3000000000; s < 9000000000; s += 86399) {
        timefmt_rfc3339(text, s);
        EXPECT_OK(timefmt_parse(text, &us, &err), &err);
        EXPECT_EQ(us, s * 1000000);
    }
    timefmt_rfc3339(text, INT64_MAX);
    timefmt_rfc3339(text, INT64_MIN);
    timefmt_nano(text, INT64_MIN);
}

TEST(fractions)
{
    char text[TIMEFMT_BYTES];

    timefmt_micro(text, 1);
    EXPECT_STR(text, "1970-01-01T00:00:00.000001Z");
    timefmt_micro(text, -1);
    EXPECT_STR(text, "1969-12-31T23:59:59.999999Z");
    timefmt_nano(text, 1500000001);
    EXPECT_STR(text, "1970-01-01T00:00:01.500000001Z");
}

TEST(zones)
{
    struct err err;
    int64_t us;

    EXPECT_OK(timefmt_parse("1970-01-01T01:00:00.5+01:00", &us, &err), &err);
    EXPECT_EQ(us, 500000);
    EXPECT_OK(timefmt_parse("1969-12-31T23:29:59.123456789-00:30", &us, &err), &err);
    EXPECT_EQ(us, -1000000 + 123456);
}

TEST(bad_times)
{
    static const char *const bad[] = {
        "", "2026", "2026-11-24", "2026-11-24T10:00:00", "2026-11-24 10:00:00Z",
        "2026-13-24T10:00:00Z", "2026-00-24T10:00:00Z", "2026-02-29T10:00:00Z",
        "2026-11-31T10:00:00Z", "2026-11-24T24:00:00Z", "2026-11-24T10:60:00Z",
        "2026-11-24T10:00:60Z", "2026-11-24T10:00:00.Z", "2026-11-24T10:00:00z",
        "2026-11-24T10:00:00Zx", "2026-11-24T10:00:00+1:00", "2026-11-24T10:00:00+01",
        "-026-11-24T10:00:00Z",
    };
    struct err err;
    int64_t us;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        EXPECT_ERR(timefmt_parse(bad[i], &us, &err), &err, ERR_INVALID);
}

static const struct { const char *in; int64_t ns; const char *out; } durations[] = {
    {"0", 0, "0s"},
    {"-0", 0, "0s"},
    {"1ns", 1, "1ns"},
    {"1100ns", 1100, "1.1\xc2\xb5s"},
    {"1.1us", 1100, "1.1\xc2\xb5s"},
    {"2\xc2\xb5s", 2000, "2\xc2\xb5s"},
    {"2\xce\xbcs", 2000, "2\xc2\xb5s"},
    {"2.5ms", 2500000, "2.5ms"},
    {"3s", 3000000000, "3s"},
    {".5s", 500000000, "500ms"},
    {"1.s", 1000000000, "1s"},
    {"90s", 90000000000, "1m30s"},
    {"1h", 3600000000000, "1h0m0s"},
    {"+1h30m", 5400000000000, "1h30m0s"},
    {"-1.5h", -5400000000000, "-1h30m0s"},
    {"1h1ns", 3600000000001, "1h0m0.000000001s"},
    {"9223372036854775807ns", INT64_MAX, "2562047h47m16.854775807s"},
    {"-9223372036854775808ns", INT64_MIN, "-2562047h47m16.854775808s"},
};

TEST(durations)
{
    char text[TIMEFMT_BYTES];
    struct err err;
    int64_t ns;

    for (size_t i = 0; i < ARRAY_LEN(durations); i++) {
        EXPECT_OK(timefmt_parse_duration(durations[i].in, &ns, &err), &err);
        EXPECT_EQ(ns, durations[i].ns);
        timefmt_duration(text, ns);
        EXPECT_STR(text, durations[i].out);
        EXPECT_OK(timefmt_parse_duration(text, &ns, &err), &err);
        EXPECT_EQ(ns, durations[i].ns);
    }
}

static const struct { const char *in, *msg; } bad_durations[] = {
    {"", "time: invalid duration \"\""},
    {"-", "time: invalid duration \"-\""},
    {"1", "time: missing unit in duration \"1\""},
    {"1h2", "time: missing unit in duration \"1h2\""},
    {".s", "time: invalid duration \".s\""},
    {"s", "time: invalid duration \"s\""},
    {"1d", "time: unknown unit \"d\" in duration \"1d\""},
    {"1 s", "time: unknown unit \" s\" in duration \"1 s\""},
    {"1h-1m", "time: unknown unit \"h-\" in duration \"1h-1m\""},
    {"9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\""},
    {"-9223372036854775809ns", "time: invalid duration \"-9223372036854775809ns\""},
    {"99999999999999999999s", "time: invalid duration \"99999999999999999999s\""},
    {"3000000h", "time: invalid duration \"3000000h\""},
};

TEST(bad_durations)
{
    struct err err;
    int64_t ns;

    for (size_t i = 0; i < ARRAY_LEN(bad_durations); i++) {
        EXPECT_ERR(timefmt_parse_duration(bad_durations[i].in, &ns, &err), &err, ERR_INVALID);
        EXPECT_STR(err.msg, bad_durations[i].msg);
    }
}

static const struct { int64_t s; const char *text; } ages[] = {
    {-2, "<invalid>"}, {-1, "0s"}, {0, "0s"}, {119, "119s"}, {120, "2m"}, {121, "2m1s"},
    {599, "9m59s"}, {600, "10m"}, {661, "11m"}, {3 * 3600 - 1, "179m"}, {3 * 3600, "3h"},
    {3 * 3600 + 60, "3h1m"}, {8 * 3600 - 1, "7h59m"}, {8 * 3600, "8h"}, {48 * 3600 - 1, "47h"},
    {48 * 3600, "2d"}, {49 * 3600, "2d1h"}, {8 * 86400 - 1, "7d23h"}, {8 * 86400, "8d"},
    {730 * 86400 - 1, "729d"}, {730 * 86400, "2y"}, {731 * 86400, "2y1d"},
    {8 * 365 * 86400 - 1, "7y364d"}, {8 * 365 * 86400, "8y"},
};

TEST(ages)
{
    char text[TIMEFMT_BYTES];

    for (size_t i = 0; i < ARRAY_LEN(ages); i++) {
        timefmt_age(text, ages[i].s);
        EXPECT_STR(text, ages[i].text);
    }
}
