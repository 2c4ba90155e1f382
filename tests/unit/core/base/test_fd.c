/* test_fd.c -- whole reads and writes, small files. */
#include "core/base/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "tests/harness/test.h"

static int tmp_dir(void)
{
    int fd = open(test_tmpdir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    EXPECT(fd >= 0);
    return fd;
}

TEST(close)
{
    int fd = open("/dev/null", O_RDONLY);

    errno = 5;
    EXPECT_EQ(fd_close(-1), -1);
    EXPECT_EQ(fd_close(fd), -1);
    EXPECT_EQ(errno, 5);
    EXPECT(fcntl(fd, F_GETFD) < 0);
}

TEST(all)
{
    char out[6] = "";
    struct err err;
    int p[2];

    EXPECT(pipe(p) == 0);
    EXPECT_OK(fd_write_all(p[1], "hello", 5, &err), &err);
    EXPECT_OK(fd_read_all(p[0], out, 3, &err), &err);
    EXPECT_STR(out, "hel");
    fd_close(p[1]);
    EXPECT_ERR(fd_read_all(p[0], out, 3, &err), &err, ERR_CORRUPT);
    EXPECT_ERR(fd_read_all(-1, out, 3, &err), &err, ERR_SYSTEM);
    EXPECT_EQ(err.sys_errno, EBADF);
    fd_close(p[0]);
}

TEST(flags)
{
    struct err err;
    int p[2];

    EXPECT(pipe(p) == 0);
    EXPECT_OK(fd_set_nonblock(p[0], &err), &err);
    EXPECT(fcntl(p[0], F_GETFL) & O_NONBLOCK);
    EXPECT_OK(fd_set_cloexec(p[0], true, &err), &err);
    EXPECT_EQ(fcntl(p[0], F_GETFD), FD_CLOEXEC);
    EXPECT_OK(fd_set_cloexec(p[0], false, &err), &err);
    EXPECT_EQ(fcntl(p[0], F_GETFD), 0);
    EXPECT_ERR(fd_set_nonblock(-1, &err), &err, ERR_SYSTEM);
}

TEST(write_then_read)
{
    _cleanup_fd_ int dir = tmp_dir();
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct stat st;
    struct err err;

    buf_str(&b, "> ");
    EXPECT_OK(fd_write_file(dir, "f", "first, longer", 13, 0640, &err), &err);
    EXPECT_OK(fd_write_file(dir, "f", "12345", 5, 0604, &err), &err);
    EXPECT(fstatat(dir, "f", &st, 0) == 0);
    EXPECT_EQ(st.st_mode & 0777, 0604);
    EXPECT_OK(fd_read_file(&b, dir, "f", 6, &err), &err);
    EXPECT_OK(fd_read_file(&b, dir, "f", 5, &err), &err);
    EXPECT_STR(b.p, "> 1234512345");
    EXPECT_ERR(fd_read_file(&b, dir, "f", 4, &err), &err, ERR_QUOTA);
    EXPECT_ERR(fd_read_file(&b, dir, "missing", 4, &err), &err, ERR_NOT_FOUND);
    EXPECT_ERR(fd_read_file(&b, dir, ".", 4, &err), &err, ERR_SYSTEM);
    EXPECT_STR(b.p, "> 1234512345");
    EXPECT_ERR(fd_write_file(dir, "no/f", "x", 1, 0600, &err), &err, ERR_NOT_FOUND);
    EXPECT(faccessat(dir, "f.new~", F_OK, 0) < 0);
    EXPECT_OK(fd_write_file(dir, "empty", "", 0, 0600, &err), &err);
    buf_clear(&b);
    EXPECT_OK(fd_read_file(&b, dir, "empty", 0, &err), &err);
    EXPECT_EQ(b.len, 0);
}

TEST(large_and_virtual_files)
{
    _cleanup_fd_ int dir = tmp_dir();
    _cleanup_buf_ struct buf b = BUF_INIT;
    char *big = mem_alloc(1000000);
    struct err err;

    EXPECT_OK(fd_write_file(dir, "big", big, 1000000, 0600, &err), &err);
    EXPECT_OK(fd_read_file(&b, dir, "big", 1000000, &err), &err);
    EXPECT_EQ(b.len, 1000000);
    mem_free(big);
    buf_clear(&b);
    EXPECT_OK(fd_read_file(&b, AT_FDCWD, "/proc/self/status", 100000, &err), &err);
    EXPECT(str_starts(b.p, "Name:"));
}

TEST(writers_at_once)
{
    _cleanup_fd_ int dir = tmp_dir();
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct err err;
    int status;

    for (int child = 0; child < 4; child++) {
        char text[2000];

        memset(text, 'a' + child, sizeof(text));
        if (fork() == 0) {
            for (int i = 0; i < 50; i++)
                if (fd_write_file(dir, "f", text, sizeof(text), 0600, &err) < 0)
                    _exit(1);
            _exit(0);
        }
    }
    for (int i = 0; i < 200; i++) {
        buf_clear(&b);
        if (fd_read_file(&b, dir, "f", 2000, &err) < 0)
            EXPECT_EQ(err.code, ERR_NOT_FOUND);
        else
            EXPECT_EQ(strspn(b.p, (char[]){b.p[0], 0}), 2000);
    }
    for (int child = 0; child < 4; child++) {
        EXPECT(wait(&status) > 0);
        EXPECT_EQ(status, 0);
    }
    EXPECT(faccessat(dir, "f.new~", F_OK, 0) < 0);
}

TEST(replaced_files)
{
    char *path = mem_printf("%s/r", test_tmpdir());
    struct err err = ERR_INIT;
    struct buf b = BUF_INIT;

    EXPECT_OK(fd_replace_file(AT_FDCWD, path, SLICE("one and more"), 0640, &err), &err);
    EXPECT_OK(fd_replace_file(AT_FDCWD, path, SLICE("two"), 0640, &err), &err);
    EXPECT_OK(fd_read_file(&b, AT_FDCWD, path, 100, &err), &err);
    EXPECT_STR(b.p, "two");
    EXPECT_EQ(fd_replace_file(AT_FDCWD, "/nonexistent/x", SLICE("a"), 0600, &err), -1);
    buf_deinit(&b);
    mem_free(path);
}

TEST(kernel_files)
{
    _cleanup_fd_ int dir = tmp_dir();
    struct err err;

    EXPECT_OK(fd_write_kernel(AT_FDCWD, "/proc/self/comm", "renamed", &err), &err);
    EXPECT_ERR(fd_write_kernel(dir, "missing", "x", &err), &err, ERR_NOT_FOUND);
    EXPECT_ERR(fd_write_kernel(AT_FDCWD, "/proc/self/oom_score_adj", "no number", &err), &err,
               ERR_SYSTEM);
    EXPECT_EQ(err.sys_errno, EINVAL);
}
