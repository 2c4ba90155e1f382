/* test_fd_pass.c -- messages with descriptors. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "tests/harness/test.h"

static int count_open(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

TEST(pass)
{
    char text[16] = "";
    int s[2], fds[FD_PASS_MAX], null = open("/dev/null", O_RDONLY);
    struct stat a, b;
    size_t n = FD_PASS_MAX;
    struct err err;

    EXPECT(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) == 0);
    for (int i = 0; i < FD_PASS_MAX; i++)
        fds[i] = null;
    EXPECT_OK(fd_send(s[0], "hi", 2, fds, FD_PASS_MAX, &err), &err);
    EXPECT_EQ(fd_recv(s[1], text, sizeof(text), fds, &n, &err), 2);
    EXPECT_EQ(n, FD_PASS_MAX);
    EXPECT_STR(text, "hi");
    EXPECT(fstat(null, &a) == 0 && fstat(fds[15], &b) == 0);
    EXPECT_EQ(a.st_rdev, b.st_rdev);
    EXPECT_EQ(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
    for (size_t i = 0; i < n; i++)
        fd_close(fds[i]);
    EXPECT_OK(fd_send(s[0], "x", 1, NULL, 0, &err), &err);
    EXPECT_EQ(fd_recv(s[1], text, sizeof(text), NULL, NULL, &err), 1);
    fd_close(s[0]);
    n = 1;
    EXPECT_EQ(fd_recv(s[1], text, sizeof(text), fds, &n, &err), 0);
    EXPECT_EQ(n, 0);
    EXPECT_ERR(fd_send(s[1], "x", 1, NULL, 0, &err), &err, ERR_SYSTEM);
    EXPECT_EQ(err.sys_errno, EPIPE);
}

TEST(limits)
{
    char text[4];
    int s[2], fds[3] = {0, 0, 0};
    size_t n = 2;
    struct err err;
    int before;

    EXPECT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, s) == 0);
    before = count_open();
    EXPECT_ERR(fd_recv(s[1], text, 4, fds, &n, &err), &err, ERR_UNAVAILABLE);
    EXPECT_OK(fd_send(s[0], "abcd", 4, fds, 3, &err), &err);
    EXPECT_ERR(fd_recv(s[1], text, 4, fds, &n, &err), &err, ERR_QUOTA);
    EXPECT_EQ(count_open(), before);
    EXPECT_OK(fd_send(s[0], "abcd", 4, fds, 1, &err), &err);
    EXPECT_ERR(fd_recv(s[1], text, 4, NULL, NULL, &err), &err, ERR_QUOTA);
    EXPECT_OK(fd_send(s[0], "abcde", 5, fds, 2, &err), &err);
    n = 2;
    EXPECT_ERR(fd_recv(s[1], text, 4, fds, &n, &err), &err, ERR_QUOTA);
    EXPECT_EQ(count_open(), before);
}

TEST(large_messages_on_a_stream)
{
    char *big = mem_alloc(2000000);
    int s[2], null = open("/dev/null", O_RDONLY), got = -1;
    size_t n = 1;
    struct err err;

    EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    if (fork() == 0) {
        EXPECT_OK(fd_set_nonblock(s[0], &err), &err);
        EXPECT_OK(fd_send(s[0], big, 2000000, &null, 1, &err), &err);
        _exit(0);
    }
    EXPECT_EQ(fd_recv(s[1], big, 1, &got, &n, &err), 1);
    EXPECT_EQ(n, 1);
    EXPECT_OK(fd_read_all(s[1], big, 1999999, &err), &err);
    mem_free(big);
}
