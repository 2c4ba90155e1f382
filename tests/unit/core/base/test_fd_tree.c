/* test_fd_tree.c -- opens beneath a root; making and removing trees. */
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "tests/harness/test.h"

static int tmp_dir(void)
{
    int fd = open(test_tmpdir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    EXPECT(fd >= 0);
    return fd;
}

static void touch(int dir, const char *path)
{
    fd_close(openat(dir, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    EXPECT(faccessat(dir, path, F_OK, 0) == 0);
}

TEST(mkdirs)
{
    _cleanup_fd_ int dir = tmp_dir();
    _cleanup_(mem_freep) char *path = mem_printf("%s/a//b/c/", test_tmpdir());
    _cleanup_(mem_freep) char *file = mem_printf("%s/f", test_tmpdir());
    struct err err;

    EXPECT_OK(fd_mkdirs(path, 0755, &err), &err);
    EXPECT_OK(fd_mkdirs(path, 0755, &err), &err);
    EXPECT(faccessat(dir, "a/b/c", F_OK, 0) == 0);
    EXPECT_OK(fd_mkdirs("/", 0755, &err), &err);
    touch(dir, "f");
    EXPECT_ERR(fd_mkdirs(file, 0755, &err), &err, ERR_SYSTEM);
    EXPECT_EQ(err.sys_errno, ENOTDIR);
}

TEST(opens_stay_inside)
{
    _cleanup_fd_ int dir = tmp_dir();
    struct err err;
    int fd;

    EXPECT(mkdirat(dir, "root", 0700) == 0);
    EXPECT(mkdirat(dir, "root/etc", 0700) == 0);
    touch(dir, "root/etc/passwd");
    touch(dir, "outside");
    _cleanup_fd_ int root = openat(dir, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    EXPECT(symlinkat("/etc/passwd", root, "absolute") == 0);
    EXPECT(symlinkat("../outside", root, "up") == 0);
    EXPECT(symlinkat("etc/passwd", root, "inner") == 0);
    fd = fd_open_in_root(root, "absolute", O_RDONLY, 0, &err);
    EXPECT_OK(fd, &err);
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    fd_close(fd);
    EXPECT_ERR(fd_open_in_root(root, "up", O_RDONLY, 0, &err), &err, ERR_NOT_FOUND);
    fd = fd_open_beneath(root, "inner", O_RDONLY, 0, &err);
    EXPECT_OK(fd, &err);
    fd_close(fd);
    EXPECT_ERR(fd_open_beneath(root, "up", O_RDONLY, 0, &err), &err, ERR_DENIED);
    EXPECT_ERR(fd_open_beneath(root, "absolute", O_RDONLY, 0, &err), &err, ERR_DENIED);
    EXPECT_ERR(fd_open_beneath(root, "../outside", O_RDONLY, 0, &err), &err, ERR_DENIED);
    EXPECT_ERR(fd_open_beneath(root, "none", O_RDONLY, 0, &err), &err, ERR_NOT_FOUND);
    fd = fd_open_beneath(root, "made", O_WRONLY | O_CREAT, 0600, &err);
    EXPECT_OK(fd, &err);
    fd_close(fd);
}

TEST(remove_tree)
{
    _cleanup_fd_ int dir = tmp_dir();
    struct err err;
    char name[32];

    touch(dir, "kept");
    EXPECT(mkdirat(dir, "t", 0700) == 0);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "t/d%d", i);
        EXPECT(mkdirat(dir, name, 0700) == 0);
        for (int k = 0; k < 5; k++) {
            snprintf(name, sizeof(name), "t/d%d/%d", i, k);
            touch(dir, name);
        }
    }
    EXPECT(symlinkat("../kept", dir, "t/link") == 0);
    EXPECT(symlinkat("..", dir, "t/dirlink") == 0);
    EXPECT_OK(fd_remove_tree(dir, "t/d0", &err), &err);
    EXPECT_OK(fd_remove_tree(dir, "t/d1/0", &err), &err);
    EXPECT_OK(fd_remove_tree(dir, "t", &err), &err);
    EXPECT_OK(fd_remove_tree(dir, "t", &err), &err);
    EXPECT_OK(fd_remove_tree(dir, "no/t", &err), &err);
    EXPECT(faccessat(dir, "t", F_OK, 0) < 0);
    EXPECT(faccessat(dir, "kept", F_OK, 0) == 0);
    EXPECT_ERR(fd_remove_tree(dir, "x/..", &err), &err, ERR_INVALID);
    EXPECT_ERR(fd_remove_tree(dir, "", &err), &err, ERR_INVALID);
}

TEST_SLOW(remove_deep_tree, 120)
{
    _cleanup_fd_ int dir = tmp_dir();
    _cleanup_fd_ int at = dup(dir);
    struct err err;

    for (int i = 0; i < 5000; i++) {
        int next;

        EXPECT(mkdirat(at, "d", 0700) == 0);
        next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        EXPECT(next >= 0);
        fd_close(at);
        at = next;
    }
    EXPECT_OK(fd_remove_tree(dir, "d", &err), &err);
    EXPECT(faccessat(dir, "d", F_OK, 0) < 0);
}

TEST(remove_stops_at_mounts)
{
    _cleanup_fd_ int dir = -1;
    _cleanup_(mem_freep) char *mnt = mem_printf("%s/t/a/mnt", test_tmpdir());
    _cleanup_(mem_freep) char *source = mem_printf("%s/source", test_tmpdir());
    struct err err;

    EXPECT_OK(fd_mkdirs(mnt, 0755, &err), &err);
    EXPECT_OK(fd_mkdirs(source, 0755, &err), &err);
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        test_skip("needs the right to mount");
    dir = tmp_dir();             /* of the new namespace */
    touch(dir, "source/kept");
    EXPECT(mount(source, mnt, NULL, MS_BIND, NULL) == 0);      /* the same file system */
    EXPECT_ERR(fd_remove_tree(dir, "t", &err), &err, ERR_DENIED);
    EXPECT(faccessat(dir, "source/kept", F_OK, 0) == 0);
    EXPECT_ERR(fd_remove_tree(dir, "t/a/mnt", &err), &err, ERR_DENIED);
    EXPECT(faccessat(dir, "source/kept", F_OK, 0) == 0);
    EXPECT(umount2(mnt, MNT_DETACH) == 0);
    EXPECT_OK(fd_remove_tree(dir, "t", &err), &err);
}
