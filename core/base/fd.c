/* fd.c -- whole reads and writes, and small files. */
#include "core/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/fd_fail.h"
#include "core/base/mem.h"

#define READ_STEP_BYTES 16384u

int fd_close(int fd)
{
    int saved = errno;

    if (fd >= 0) {
        int result = close(fd);

        check(result == 0 || errno != EBADF);      /* closed twice: it may be another's by now */
        errno = saved;
    }
    return -1;
}

int fd_write_all(int fd, const void *p, size_t len, struct err *err)
{
    const char *at = p;

    while (len > 0) {
        ssize_t n = write(fd, at, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, "write");
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

int fd_read_all(int fd, void *p, size_t len, struct err *err)
{
    char *at = p;
    size_t left = len;

    while (left > 0) {
        ssize_t n = read(fd, at, left);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, "read");
        if (n == 0)
            return err_set(err, ERR_CORRUPT, "read: end after %zu of %zu bytes", len - left, len);
        at += n;
        left -= (size_t)n;
    }
    return 0;
}

int fd_set_nonblock(int fd, struct err *err)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return err_sys(err, "set O_NONBLOCK");
    return 0;
}

int fd_set_cloexec(int fd, bool on, struct err *err)
{
    if (fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0)
        return err_sys(err, "set FD_CLOEXEC");
    return 0;
}

/* --- whole files */

int fd_read_file(struct buf *out, int dir, const char *path, size_t max_bytes, struct err *err)
{
    _cleanup_fd_ int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
    size_t before = out->len;

    if (fd < 0)
        return fd_fail(err, "open %s", path);
    for (;;) {
        ssize_t n;

        buf_reserve(out, READ_STEP_BYTES);
        n = read(fd, out->p + out->len, out->cap - out->len - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n > 0 && (size_t)n <= max_bytes - (out->len - before)) {
            out->len += (size_t)n;
            continue;
        }
        if (n == 0) {
            out->p[out->len] = 0;
            return 0;
        }
        out->len = before;
        out->p[before] = 0;
        if (n < 0)
            return fd_fail(err, "read %s", path);
        return err_set(err, ERR_QUOTA, "%s has more than %zu bytes", path, max_bytes);
    }
}

/* The temporary file, locked. Its name is fixed so that a crash leaves at most one behind; the lock
 * keeps two writers apart, and whoever waited for it looks whether the name is still this file. */
static int open_temporary(int dir, const char *path, mode_t mode, struct err *err)
{
    for (;;) {
        _cleanup_fd_ int fd = openat(dir, path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, mode);
        struct stat mine, named;
        int result;

        if (fd < 0)
            return fd_fail(err, "create %s", path);
        do
            result = flock(fd, LOCK_EX);
        while (result < 0 && errno == EINTR);
        if (result < 0 || fstat(fd, &mine) < 0)
            return fd_fail(err, "lock %s", path);
        if (fstatat(dir, path, &named, AT_SYMLINK_NOFOLLOW) < 0 || named.st_ino != mine.st_ino ||
            named.st_dev != mine.st_dev)
            continue;
        if (ftruncate(fd, 0) < 0 || fchmod(fd, mode) < 0)
            return fd_fail(err, "create %s", path);
        return TAKE_FD(fd);
    }
}

static int sync_parent(int dir, const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    _cleanup_(mem_freep) char *parent =
        slash ? mem_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : mem_strdup(".");
    _cleanup_fd_ int fd = openat(dir, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return fd_fail(err, "sync %s", parent);
    return 0;
}

struct replacing { struct slice text; mode_t mode; bool sync; };

static int replace(int dir, const char *path, const struct replacing *r, struct err *err)
{
    _cleanup_(mem_freep) char *temporary = mem_printf("%s" FD_REPLACE_SUFFIX, path);
    _cleanup_fd_ int fd = open_temporary(dir, temporary, r->mode, err);

    if (fd < 0)
        return -1;
    if (fd_write_all(fd, r->text.p, r->text.len, err) < 0) {
        unlinkat(dir, temporary, 0);
        return err_wrap(err, "%s", path);
    }
    if ((r->sync && fsync(fd) < 0) || renameat(dir, temporary, dir, path) < 0) {
        fd_fail(err, "write %s", path);
        unlinkat(dir, temporary, 0);
        return -1;
    }
    return r->sync ? sync_parent(dir, path, err) : 0;
}

int fd_write_file(int dir, const char *path, const void *p, size_t len, mode_t mode,
                  struct err *err)
{
    return replace(dir, path, &(struct replacing){ { p, len }, mode, true }, err);
}

int fd_replace_file(int dir, const char *path, struct slice text, mode_t mode, struct err *err)
{
    return replace(dir, path, &(struct replacing){ text, mode, false }, err);
}

int fd_write_kernel(int dir, const char *path, const char *text, struct err *err)
{
    _cleanup_fd_ int fd = openat(dir, path, O_WRONLY | O_CLOEXEC);
    size_t len = strlen(text);
    ssize_t n;

    if (fd < 0)
        return fd_fail(err, "open %s", path);
    do          /* one call: these files act on what one write gives them */
        n = write(fd, text, len);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return fd_fail(err, "write \"%.40s\" to %s", text, path);
    if ((size_t)n != len)
        return err_set(err, ERR_FAILED, "write \"%.40s\" to %s: %zd bytes taken", text, path, n);
    return 0;
}
