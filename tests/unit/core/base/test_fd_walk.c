/* test_fd_walk.c -- the walk beside the system call, where there is that: the same file, or the
 * same error. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/fd_walk.h"
#include "core/base/str.h"
#include "tests/harness/test.h"

static void make(int dir, const char *path, const char *what)
{
    int fd;

    if (!what)
        EXPECT_EQ(mkdirat(dir, path, 0700), 0);
    else if (*what)
        EXPECT_EQ(symlinkat(what, dir, path), 0);
    else if ((fd = openat(dir, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) >= 0)
        fd_close(fd);
    EXPECT_EQ(faccessat(dir, path, F_OK, AT_SYMLINK_NOFOLLOW), 0);
}

/* A tree with every kind of link; the root is its folder "root". */
static int tree(void)
{
    static const struct { const char *path, *what; } items[] = {
        { "root", NULL }, { "root/a", NULL }, { "root/a/b", NULL }, { "root/a/b/file", "" },
        { "root/file", "" }, { "outside", "" }, { "root/in", "a/b" }, { "root/abs", "/a/b/file" },
        { "root/up", "../outside" }, { "root/a/up", "../file" }, { "root/far", "/../../outside" },
        { "root/a/chain", "../in/file" }, { "root/loop", "loop" }, { "root/ping", "pong" },
        { "root/pong", "ping" }, { "root/dangling", "nothing" }, { "root/dir", "a/" },
        { "root/self", "." }, { "root/top", "/" },
    };
    _cleanup_fd_ int dir = open(test_tmpdir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        make(dir, items[i].path, items[i].what);
    return openat(dir, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The kernel wants to be asked again when something is renamed or mounted anywhere meanwhile. */
static int kernel_open(int root, const char *path, const struct open_how *how)
{
    long fd;

    do
        fd = syscall(SYS_openat2, root, path, how, sizeof(*how));
    while (fd < 0 && errno == EAGAIN);
    return (int)fd;
}

static void expect_same(int root, const char *path, const struct open_how *how)
{
    int mine = fd_walk(root, path, how), mine_errno = errno;
    int its = kernel_open(root, path, how), its_errno = errno;
    struct stat a, b;

    if (its < 0 && its_errno == ENOSYS)
        test_skip("no openat2 to compare with");
    if ((mine < 0) != (its < 0) || (mine < 0 && mine_errno != its_errno))
        test_fail(__FILE__, __LINE__, "%s flags %llx resolve %llx: %s, the kernel: %s", path,
                  (unsigned long long)how->flags, (unsigned long long)how->resolve,
                  mine < 0 ? strerror(mine_errno) : "opened",
                  its < 0 ? strerror(its_errno) : "opened");
    if (mine < 0)
        return;
    EXPECT_EQ(fstat(mine, &a), 0);
    EXPECT_EQ(fstat(its, &b), 0);
    EXPECT_EQ(a.st_ino, b.st_ino);
    EXPECT_EQ(fcntl(mine, F_GETFD), FD_CLOEXEC);
    fd_close(mine);
    fd_close(its);
}

TEST(as_the_kernel_does)
{
    static const char *const paths[] = {
        "a", "a/", "/a", "//a//b///file", "a/b/file", "file", "file/", "file/x", "in", "in/",
        "in/file", "abs", "up", "a/up", "far", "a/chain", "loop", "ping", "dangling", "dangling/x",
        "dir", "dir/", "dir/b", "self", "self/self/file", "top", "top/file", ".", "..", "/", "/..",
        "a/..", "a/../file", "a/../..", "a/../../outside", "a/b/../../in/../up", "./a/./b/.",
        "nothing", "nothing/x", "a/nothing", "in/../b/file", "", "in/..", "a/b/file/..",
    };
    static const uint64_t resolves[] = {
        RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
        RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
        RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
    };
    static const int flags[] = {
        O_RDONLY, O_PATH, O_PATH | O_NOFOLLOW, O_RDONLY | O_NOFOLLOW, O_RDONLY | O_DIRECTORY,
        O_RDONLY | O_DIRECTORY | O_NOFOLLOW, O_PATH | O_DIRECTORY, O_WRONLY,
    };
    _cleanup_fd_ int root = tree();

    for (size_t p = 0; p < ARRAY_LEN(paths); p++)
        for (size_t r = 0; r < ARRAY_LEN(resolves); r++)
            for (size_t f = 0; f < ARRAY_LEN(flags); f++)
                expect_same(root, paths[p], &(struct open_how){
                    .flags = (uint64_t)(unsigned)(flags[f] | O_CLOEXEC), .resolve = resolves[r] });
}

/* Each is made by one of the two and opened by the other. */
TEST(creates)
{
    static const char *const paths[] = { "new", "a/new", "in/new", "dangling", "a/../n", "../out",
                                         "up/x", "new/", "file", "a" };
    _cleanup_fd_ int root = tree();
    struct open_how how = { .flags = O_WRONLY | O_CREAT | O_CLOEXEC, .mode = 0640,
                            .resolve = RESOLVE_BENEATH };
    struct stat st;
    int fd;

    for (size_t p = 0; p < ARRAY_LEN(paths); p++)
        expect_same(root, paths[p], &how);
    how.flags |= O_EXCL;
    for (size_t p = 0; p < ARRAY_LEN(paths) - 3; p++) {
        fd = fd_walk(root, paths[p], &how);
        EXPECT_EQ(fd, -1);
    }
    fd = fd_walk(root, "a/b/fresh", &how);
    EXPECT_EQ(fstat(fd, &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0640);
    fd_close(fd);
}

TEST(other_mounts)
{
    struct open_how how = { .flags = O_RDONLY | O_CLOEXEC,
                            .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV };
    _cleanup_fd_ int root = tree();
    char path[256];

    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        test_skip("no namespaces");
    snprintf(path, sizeof(path), "%s/root/a/b", test_tmpdir());
    if (mount(path, path, NULL, MS_BIND, NULL) < 0)
        test_skip("no mounts");
    fd_close(root);
    snprintf(path, sizeof(path), "%s/root", test_tmpdir());
    root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    expect_same(root, "a", &how);
    expect_same(root, "a/b", &how);
    expect_same(root, "a/b/file", &how);
    expect_same(root, "a/b/..", &how);
    EXPECT_EQ(fd_walk(root, "a/b", &how), -1);
    EXPECT_EQ(errno, EXDEV);
}

TEST(limits)
{
    struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH };
    _cleanup_buf_ struct buf deep = BUF_INIT;
    _cleanup_fd_ int root = tree();
    _cleanup_fd_ int at = fcntl(root, F_DUPFD_CLOEXEC, 3);
    int fd;

    for (int i = 0; i < FD_WALK_DEPTH_MAX + 2; i++) {
        int next;

        EXPECT_EQ(mkdirat(at, "d", 0700), 0);
        next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fd_close(at);
        at = next;
        buf_str(&deep, i ? "/d" : "d");
        fd = fd_walk(root, deep.p, &how);
        EXPECT_EQ(fd >= 0, i <= FD_WALK_DEPTH_MAX);      /* the last one is not held */
        fd_close(fd);
    }
    EXPECT_EQ(errno, ENAMETOOLONG);
}
