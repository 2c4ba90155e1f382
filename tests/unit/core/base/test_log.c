/* test_log.c -- what lines look like. */
#include "core/base/log.h"

#include <sys/mman.h>
#include <unistd.h>

#include "core/base/str.h"
#include "tests/harness/test.h"

/* What log_line writes, with stderr put back after it. */
static const char *logged(char *text, size_t text_bytes, enum log_level level, const char *what,
                          const char *details)
{
    int fd = memfd_create("log", 0);
    int saved = dup(2);
    ssize_t n;

    dup2(fd, 2);
    log_line(level, what, "%s", details);
    dup2(saved, 2);
    close(saved);
    n = pread(fd, text, text_bytes - 1, 0);
    text[n > 0 ? n : 0] = 0;
    close(fd);
    return text;
}

TEST(text)
{
    char out[8192];

    log_setup("node", LOG_INFO, LOG_TEXT);
    logged(out, sizeof(out), LOG_INFO, "pod started", "pod=a/b ms=12");
    EXPECT_EQ(out[0], 'I');
    EXPECT_EQ(strcspn(out, " "), 5);
    EXPECT_STR(out + strlen("I1124 05:03:12.123456"), " node pod started pod=a/b ms=12\n");
    EXPECT_STR(logged(out, sizeof(out), LOG_DEBUG, "x", ""), "");
    logged(out, sizeof(out), LOG_ERROR, "a\nb", "c\x1b[0m\x7f");
    EXPECT_EQ(out[0], 'E');
    EXPECT_STR(out + strlen("I1124 05:03:12.123456"), " node a\\nb c\\x1b[0m\\x7f\n");
}

TEST(json)
{
    char out[8192];

    log_setup("dns", LOG_DEBUG, LOG_JSON);
    logged(out, sizeof(out), LOG_WARN, "say \"hi\"", "a=b\\c\n\x01");
    EXPECT(str_starts(out, "{\"ts\":\"2"));
    EXPECT(str_ends(out, "Z\",\"level\":\"warn\",\"role\":\"dns\","
                         "\"msg\":\"say \\\"hi\\\"\",\"a\":\"b\\\\c\\n\\u0001\"}\n"));
}

TEST(details)
{
    static const struct { const char *details, *text, *json; } rows[] = {
        { "pod=a/b ms=12", "pod=a/b ms=12", ",\"pod\":\"a/b\",\"ms\":12" },
        { "a=two words b=1", "a=\"two words\" b=1", ",\"a\":\"two words\",\"b\":1" },
        { "why=\"in quotes\" b=x", "why=\"in quotes\" b=x", ",\"why\":\"in quotes\",\"b\":\"x\"" },
        { "error=open a=b: no", "error=\"open a=b: no\"", ",\"error\":\"open a=b: no\"" },
        { "error=say \"x\"", "error=\"say \\\"x\\\"\"", ",\"error\":\"say \\\"x\\\"\"" },
        { "a= b=007", "a=\"\" b=007", ",\"a\":\"\",\"b\":\"007\"" },
        { "a=\"x\"y b=1", "a=\"\\\"x\\\"y\" b=1", ",\"a\":\"\\\"x\\\"y\",\"b\":1" },
    };
    char out[8192];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        log_setup("", LOG_INFO, LOG_TEXT);
        logged(out, sizeof(out), LOG_INFO, "m", rows[i].details);
        out[strlen(out) - 1] = 0;
        EXPECT_STR(out + strlen("I1124 05:03:12.123456 m "), rows[i].text);
        log_setup("", LOG_INFO, LOG_JSON);
        logged(out, sizeof(out), LOG_INFO, "m", rows[i].details);
        out[strlen(out) - 2] = 0;
        EXPECT_STR(strstr(out, "\"msg\":\"m\"") + strlen("\"msg\":\"m\""), rows[i].json);
    }
}

/* A line that is too long still is JSON, wherever it is cut. */
TEST(cut_json)
{
    char out[8192], text[LOG_LINE_BYTES];

    log_setup("node", LOG_INFO, LOG_JSON);
    for (size_t len = LOG_LINE_BYTES - 200; len < LOG_LINE_BYTES - 20; len++) {
        memset(text, 'x', len);
        memcpy(text, "k=", 2);
        memcpy(text + len - 20, " second=1234 third=y", 20);
        text[len] = 0;
        logged(out, sizeof(out), LOG_INFO, "m", text);
        EXPECT(strlen(out) <= LOG_LINE_BYTES);
        EXPECT(str_ends(out, "\"}\n") || str_ends(out, "1234}\n"));
        EXPECT_EQ(strcspn(out, "\n"), strlen(out) - 1);
    }
}

TEST(cut)
{
    char out[8192];
    char text[LOG_LINE_BYTES];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
        log_setup("node", LOG_INFO, (enum log_format)format);
        for (int esc = 0; esc < 8; esc++) {
            text[3900 + esc] = '\n';
            logged(out, sizeof(out), LOG_INFO, text, text);
            EXPECT(strlen(out) <= LOG_LINE_BYTES);
            EXPECT(str_ends(out, format == LOG_TEXT ? "x...\n" : "x...\"}\n"));
            EXPECT_EQ(strcspn(out, "\n"), strlen(out) - 1);
        }
    }
}
