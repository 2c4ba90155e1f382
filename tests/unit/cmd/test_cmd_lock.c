/* One holder per folder, who is known to others and forgotten when it ends. */
#include "cmd/cmd_lock.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "tests/harness/test.h"

/* A process that holds the lock, once it has said so. */
static pid_t hold(const char *dir)
{
    int ready[2];
    char byte;
    pid_t pid;

    EXPECT_EQ(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        byte = cmd_lock_take(dir, "--run-dir", NULL) == 0;
        (void)!write(ready[1], &byte, 1);
        pause();
        _exit(0);
    }
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    EXPECT_EQ(byte, 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

TEST(held_by_another)
{
    const char *dir = test_tmpdir();
    struct err err = ERR_INIT;
    pid_t pid = hold(dir), seen;
    char *want = mem_printf("--run-dir %s is in use by another inro server (process %d)", dir,
                            (int)pid);

    EXPECT_ERR(cmd_lock_take(dir, "--run-dir", &err), &err, ERR_EXISTS);
    EXPECT_STR(err.msg, want);
    EXPECT_OK(cmd_lock_holder(dir, &seen, &err), &err);
    EXPECT_EQ(seen, pid);
    EXPECT_EQ(kill(pid, SIGKILL), 0);
    EXPECT_EQ(waitpid(pid, NULL, 0), pid);
    EXPECT_OK(cmd_lock_holder(dir, &seen, &err), &err);
    EXPECT_EQ(seen, 0);
    EXPECT_OK(cmd_lock_take(dir, "--run-dir", &err), &err);
    mem_free(want);
}

TEST(nobody)
{
    struct err err = ERR_INIT;
    pid_t seen = 1;

    EXPECT_OK(cmd_lock_holder(test_tmpdir(), &seen, &err), &err);
    EXPECT_EQ(seen, 0);
    EXPECT_OK(cmd_lock_holder("/nonexistent", &seen, &err), &err);
    EXPECT_EQ(seen, 0);
    EXPECT_ERR(cmd_lock_take("/nonexistent", "--data-dir", &err), &err, ERR_SYSTEM);
}
