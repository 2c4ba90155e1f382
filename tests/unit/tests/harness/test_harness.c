/* test_harness.c -- the harness tests itself: what it reports for a child that misbehaves. */
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness/test.h"

/* Runs fn in a child; returns its exit status, or -1 when a signal ended it. */
static int outcome(void (*fn)(void))
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        fn();
        _exit(0);
    }
    EXPECT(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void wrong_int(void)
{
    EXPECT_EQ(1, 2);
}

static void wrong_str(void)
{
    EXPECT_STR("a", NULL);
}

static void wrong_mem(void)
{
    EXPECT_MEM("ab", "ac", 2);
}

static void wrong_cond(void)
{
    EXPECT(1 > 2);
}

static void skipped(void)
{
    test_skip("no reason");
}

TEST(failures_end_the_test)
{
    EXPECT_EQ(outcome(wrong_int), 1);
    EXPECT_EQ(outcome(wrong_str), 1);
    EXPECT_EQ(outcome(wrong_mem), 1);
    EXPECT_EQ(outcome(wrong_cond), 1);
    EXPECT_EQ(outcome(skipped), 77);
}

TEST(equal_values_pass)
{
    EXPECT(1 < 2);
    EXPECT_EQ(-1, -1);
    EXPECT_STR("a", "a");
    EXPECT_STR(NULL, NULL);
    EXPECT_MEM("abc", "abd", 2);
}

TEST(tmpdir_is_empty_and_stays)
{
    struct stat st;
    const char *dir = test_tmpdir();

    EXPECT_EQ(stat(dir, &st), 0);
    EXPECT(S_ISDIR(st.st_mode));
    EXPECT_EQ(st.st_nlink, 2);
    EXPECT_STR(test_tmpdir(), dir);
}
