/* test_check.c -- assertions abort and say where. */
#include "core/base/check.h"

#include <sys/wait.h>
#include <unistd.h>

#include "core/base/ref.h"
#include "tests/harness/test.h"

static void outcome(void (*fn)(void), int *out_signal, char *text, size_t text_bytes)
{
    int status, pipes[2];
    ssize_t n;
    pid_t pid;

    EXPECT(pipe(pipes) == 0);
    pid = fork();
    if (pid == 0) {
        dup2(pipes[1], 2);
        fn();
        _exit(0);
    }
    close(pipes[1]);
    n = read(pipes[0], text, text_bytes - 1);
    text[n > 0 ? n : 0] = 0;
    EXPECT(waitpid(pid, &status, 0) == pid);
    *out_signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void holds(void) { check(1 + 1 == 2); }
static void fails(void) { check(1 + 1 == 3); }
static void reaches(void) { check_unreachable(); }

static void over_put(void)
{
    struct ref r = REF_INIT;

    ref_put(&r);
    ref_put(&r);
}

TEST(aborts)
{
    char text[256];
    int sig;

    outcome(holds, &sig, text, sizeof(text));
    EXPECT_EQ(sig, 0);
    outcome(fails, &sig, text, sizeof(text));
    EXPECT_EQ(sig, 6);
    EXPECT(strstr(text, "check failed: 1 + 1 == 3 at "));
    EXPECT(strstr(text, "test_check.c:"));
    outcome(reaches, &sig, text, sizeof(text));
    EXPECT_EQ(sig, 6);
    EXPECT(strstr(text, "unreachable"));
}

TEST(ref)
{
    struct ref r;
    char text[256];
    int sig;

    ref_init(&r);
    ref_get(&r);
    EXPECT(!ref_put(&r));
    EXPECT(ref_put(&r));
    outcome(over_put, &sig, text, sizeof(text));
    EXPECT_EQ(sig, 6);
}
