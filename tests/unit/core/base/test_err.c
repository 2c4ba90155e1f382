/* test_err.c -- the error value. */
#include "core/base/err.h"

#include "core/base/str.h"
#include "tests/harness/test.h"

TEST(chain)
{
    struct err err = ERR_INIT;

    EXPECT_EQ(err_set(&err, ERR_NOT_FOUND, "image %s", "x"), -1);
    EXPECT_EQ(err_wrap(&err, "pull %s", "x"), -1);
    EXPECT_EQ(err.code, ERR_NOT_FOUND);
    EXPECT_STR(err.msg, "pull x: image x");
    EXPECT(str_ends(err.file, "test_err.c"));
    err_clear(&err);
    EXPECT_EQ(err.code, ERR_NONE);
    EXPECT_STR(err.msg, "");
}

TEST(system)
{
    struct err err;

    errno = ENOENT;
    EXPECT_EQ(err_sys(&err, "open /x"), -1);
    EXPECT_EQ(err.code, ERR_SYSTEM);
    EXPECT_EQ(err.sys_errno, ENOENT);
    EXPECT_STR(err.msg, "open /x: No such file or directory");
}

TEST(null_is_fine)
{
    EXPECT_EQ(err_set(NULL, ERR_FAILED, "x"), -1);
    EXPECT_EQ(err_sys(NULL, "x"), -1);
    EXPECT_EQ(err_wrap(NULL, "x"), -1);
    err_clear(NULL);
}

TEST(own_text_as_argument)
{
    struct err err;

    err_set(&err, ERR_FAILED, "inner");
    err_set(&err, ERR_INVALID, "outer (%s)", err.msg);
    EXPECT_STR(err.msg, "outer (inner)");
    err_wrap(&err, "%s", err.msg);
    EXPECT_STR(err.msg, "outer (inner): outer (inner)");
}

TEST(long_texts_are_cut)
{
    char text[ERR_MSG_BYTES + 10];
    struct err err;

    memset(text, 'a', sizeof(text));
    text[ERR_MSG_BYTES - 2] = 0;
    err_set(&err, ERR_FAILED, "%s", text);              /* limit - 1 */
    EXPECT_STR(err.msg, text);
    text[ERR_MSG_BYTES - 2] = 'a';
    text[ERR_MSG_BYTES - 1] = 0;
    err_set(&err, ERR_FAILED, "%s", text);              /* limit */
    EXPECT_STR(err.msg, text);
    text[ERR_MSG_BYTES - 1] = 'a';
    text[ERR_MSG_BYTES] = 0;
    err_set(&err, ERR_FAILED, "%s", text);              /* limit + 1 */
    EXPECT_EQ(strlen(err.msg), ERR_MSG_BYTES - 1);
    EXPECT(str_ends(err.msg, "aaa..."));
    err_wrap(&err, "outer");
    EXPECT_EQ(strlen(err.msg), ERR_MSG_BYTES - 1);
    EXPECT(str_starts(err.msg, "outer: aaa"));
    EXPECT(str_ends(err.msg, "aaa..."));
}

TEST(cut_at_a_character)
{
    char text[ERR_MSG_BYTES + 10] = "";
    struct err err;

    for (size_t i = 0; i + 2 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa4", 3);
    for (int shift = 0; shift < 2; shift++) {
        err_set(&err, ERR_FAILED, "%s%s", shift ? "x" : "", text);
        EXPECT(str_is_utf8(err.msg, strlen(err.msg)));
        EXPECT(str_ends(err.msg, "\xa4..."));
    }
}

TEST(names)
{
    EXPECT_STR(err_name(ERR_NOT_FOUND), "not found");
    EXPECT_STR(err_name(ERR_CODE_MAX), "unknown error");
    EXPECT_STR(err_name(-1), "unknown error");
    for (int i = 0; i < ERR_CODE_MAX; i++)
        EXPECT(err_name(i));
}
