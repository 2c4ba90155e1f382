#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "runtime/shim/shim_log.h"
#include "tests/harness/test.h"

#define AT 1795514400000000001ll
#define WHEN "2026-11-24T10:00:00.000000001Z "

static void lines(struct buf *out, struct buf *part, const char *text)
{
    shim_log_format(out, part, SHIM_LOG_STDOUT, AT, slice_of(text));
}

TEST(format)
{
    struct buf out = BUF_INIT, part = BUF_INIT;

    lines(&out, &part, "one\ntwo\nthr");
    EXPECT_STR(out.p, WHEN "stdout F one\n" WHEN "stdout F two\n");
    EXPECT_EQ(part.len, 3);
    buf_clear(&out);
    lines(&out, &part, "ee\n\n");
    EXPECT_STR(out.p, WHEN "stdout F three\n" WHEN "stdout F \n");
    buf_clear(&out);
    shim_log_format_rest(&out, &part, SHIM_LOG_STDERR, AT);
    EXPECT_EQ(out.len, 0);
    lines(&out, &part, "end");
    shim_log_format_rest(&out, &part, SHIM_LOG_STDERR, AT);
    EXPECT_STR(out.p, WHEN "stderr F end\n");
    buf_deinit(&out);
    buf_deinit(&part);
}

/* A line of one byte less than the limit, of the limit, and of one more; whole and byte by byte. */
TEST(long_lines)
{
    for (int extra = -1; extra <= 1; extra++)
        for (int piece = 0; piece < 2; piece++) {
            struct buf out = BUF_INIT, part = BUF_INIT, text = BUF_INIT;
            size_t n = (size_t)(SHIM_LOG_LINE_MAX + extra), got = 0;
            int full = 0, parts = 0;

            for (size_t i = 0; i < n; i++)
                buf_chr(&text, 'x');
            buf_chr(&text, '\n');
            for (size_t i = 0; i < text.len; i += piece ? 1 : text.len)
                shim_log_format(&out, &part, SHIM_LOG_STDOUT, AT,
                                (struct slice){ text.p + i, piece ? 1 : text.len });
            for (char *line = out.p; line && *line; line = strchr(line, '\n') + 1) {
                full += strncmp(line + strlen(WHEN), "stdout F ", 9) == 0;
                parts += strncmp(line + strlen(WHEN), "stdout P ", 9) == 0;
                got += strcspn(line, "\n") - strlen(WHEN "stdout F ");
            }
            EXPECT_EQ(got, n);
            EXPECT_EQ(full, 1);
            EXPECT_EQ(parts, extra > 0 || (extra == 0 && piece) ? 1 : 0);
            EXPECT_EQ(part.len, 0);
            buf_deinit(&out);
            buf_deinit(&part);
            buf_deinit(&text);
        }
}

static int64_t size_of(const char *path)
{
    struct stat st;

    return stat(path, &st) < 0 ? -1 : st.st_size;
}

TEST(rotation)
{
    struct shim_log l;
    struct err err = ERR_INIT;
    char path[200], other[220];

    snprintf(path, sizeof(path), "%s/0.log", test_tmpdir());
    EXPECT_OK(shim_log_open(&l, path, 100, 3, &err), &err);
    for (int i = 0; i < 10; i++)                     /* 43 bytes each: two to a file */
        shim_log_write(&l, SHIM_LOG_STDOUT, AT, SLICE("ab\n"));
    EXPECT_EQ(size_of(path), 86);
    snprintf(other, sizeof(other), "%s.1", path);
    EXPECT_EQ(size_of(other), 86);
    snprintf(other, sizeof(other), "%s.2", path);
    EXPECT_EQ(size_of(other), 86);
    snprintf(other, sizeof(other), "%s.3", path);
    EXPECT_EQ(size_of(other), -1);
    EXPECT(rename(path, other) == 0);                /* others may rotate, too */
    EXPECT_OK(shim_log_reopen(&l, &err), &err);
    EXPECT_EQ(size_of(path), 0);
    shim_log_write(&l, SHIM_LOG_STDERR, AT, SLICE("rest"));
    shim_log_close(&l, AT);
    EXPECT_EQ(size_of(path), (int64_t)strlen(WHEN "stderr F rest\n"));
    shim_log_close(&l, AT);
    EXPECT_OK(shim_log_open(&l, path, 1, 1, &err), &err);
    for (int i = 0; i < 3; i++)
        shim_log_write(&l, SHIM_LOG_STDOUT, AT, SLICE("ab\n"));
    EXPECT_EQ(size_of(path), 43);                    /* a line is never cut, and one file stays one */
    shim_log_close(&l, AT);
}

TEST(bad_paths)
{
    struct shim_log l;
    struct err err = ERR_INIT;

    EXPECT_ERR(shim_log_open(&l, "/nonexistent/dir/0.log", 0, 0, &err), &err, ERR_SYSTEM);
    EXPECT_ERR(shim_log_open(&l, "/dev/null", 0, 0, &err), &err, ERR_INVALID);
    EXPECT_ERR(shim_log_open(&l, NULL, 0, SHIM_LOG_FILES_MAX + 1, &err), &err, ERR_INVALID);
    EXPECT_OK(shim_log_open(&l, NULL, 0, SHIM_LOG_FILES_MAX, &err), &err);
    shim_log_write(&l, SHIM_LOG_STDOUT, AT, SLICE("dropped\n"));
    shim_log_close(&l, AT);
}
