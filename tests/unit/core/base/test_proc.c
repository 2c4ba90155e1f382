/* test_proc.c -- processes by descriptor. */
#include "core/base/proc.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "tests/harness/test.h"

static int started(int exit_with)
{
    struct err err;
    pid_t pid = fork();
    int fd;

    if (pid == 0) {
        if (exit_with < 0)
            pause();
        _exit(exit_with);
    }
    fd = proc_pidfd(pid, &err);
    EXPECT_OK(fd, &err);
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    return fd;
}

TEST(exit_code)
{
    int fd = started(200), status = -1, sig = -1;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct err err;

    EXPECT_EQ(poll(&p, 1, 5000), 1);
    EXPECT_EQ(proc_reap(fd, &status, &sig, &err), 1);
    EXPECT_EQ(status, 200);
    EXPECT_EQ(sig, 0);
    EXPECT_OK(proc_signal(fd, SIGTERM, &err), &err);         /* gone is no error */
    EXPECT_ERR(proc_reap(fd, &status, &sig, &err), &err, ERR_SYSTEM);
    fd_close(fd);
}

TEST(killed)
{
    int fd = started(-1), status = -1, sig = -1;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct err err;

    EXPECT_EQ(proc_reap(fd, &status, &sig, &err), 0);
    EXPECT_OK(proc_signal(fd, SIGKILL, &err), &err);
    EXPECT_EQ(poll(&p, 1, 5000), 1);
    EXPECT_EQ(proc_reap(fd, &status, NULL, &err), 1);
    EXPECT_EQ(status, 128 + SIGKILL);
    fd_close(fd);
}

TEST(no_such_process)
{
    struct err err;
    uint64_t ticks;

    EXPECT_ERR(proc_pidfd(0x3fffffff, &err), &err, ERR_NOT_FOUND);
    EXPECT_ERR(proc_start_ticks(0x3fffffff, &ticks, &err), &err, ERR_NOT_FOUND);
    EXPECT_ERR(proc_signal(-1, SIGTERM, &err), &err, ERR_SYSTEM);
}

TEST(start_ticks)
{
    uint64_t one = 0, again = 0, parent = 0;
    struct err err;

    EXPECT(prctl(PR_SET_NAME, "a) 1 (b 2") == 0);
    EXPECT_OK(proc_start_ticks(getpid(), &one, &err), &err);
    EXPECT_OK(proc_start_ticks(getpid(), &again, &err), &err);
    EXPECT_OK(proc_start_ticks(getppid(), &parent, &err), &err);
    EXPECT_EQ(one, again);
    EXPECT(one > 0 && parent > 0 && parent <= one);
}

TEST(self_exe)
{
    struct stat a, b;
    struct err err;
    int fd = proc_self_exe(&err);

    EXPECT_OK(fd, &err);
    if (test_is_emulated())
        test_skip("the executable is the emulator");
    EXPECT(fstat(fd, &a) == 0 && stat("/proc/self/exe", &b) == 0);
    EXPECT_EQ(a.st_ino, b.st_ino);
    fd_close(fd);
}
