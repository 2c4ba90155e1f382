/* fd_tree.c -- opens beneath a root, and making and removing trees of directories. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/fd_fail.h"
#include "core/base/fd_walk.h"
#include "core/base/mem.h"
#include "core/base/vec.h"

#define OPEN_TRIES 128           /* openat2 gives EAGAIN when somebody renames at the same time */

static int open_how(int dir, const char *path, int flags, mode_t mode, uint64_t resolve)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
        .mode = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? mode : 0,
        .resolve = resolve,
    };
    long fd = -1;

    for (int i = 0; i < OPEN_TRIES; i++) {
        fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    if (fd < 0 && errno == ENOSYS)
        return fd_walk(dir, path, &how);
    return (int)fd;
}

int fd_open_in_root(int root, const char *path, int flags, mode_t mode, struct err *err)
{
    int fd = open_how(root, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);

    return fd < 0 ? fd_fail(err, "open %s in the root", path) : fd;
}

int fd_open_beneath(int root, const char *path, int flags, mode_t mode, struct err *err)
{
    int fd = open_how(root, path, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);

    return fd < 0 ? fd_fail(err, "open %s beneath", path) : fd;
}

int fd_mkdirs(const char *path, mode_t mode, struct err *err)
{
    _cleanup_(mem_freep) char *part = mem_strdup(path);
    struct stat st;

    for (char *p = part; *p;) {
        char kept;

        p += strspn(p, "/");
        p += strcspn(p, "/");
        kept = *p;
        *p = 0;
        if (*part && mkdir(part, mode) < 0 && errno != EEXIST)
            return fd_fail(err, "mkdir %s", part);
        *p = kept;
    }
    if (stat(path, &st) < 0)
        return fd_fail(err, "mkdir %s", path);
    if (!S_ISDIR(st.st_mode)) {
        errno = ENOTDIR;
        return fd_fail(err, "mkdir %s", path);
    }
    return 0;
}

/* --- removal: one open directory at a time, however deep the tree; back up by "..", and only if
 * that is still the directory we came from. */

struct above { char *name; dev_t dev; ino_t ino; };      /* a directory, and the name below it */
struct remover { int fd; VEC(struct above) way; };

static int descend(struct remover *r, const char *name, struct err *err)
{
    struct above a = {0};
    struct stat st;
    int fd;

    fd = open_how(r->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0,
                  RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS);
    if (fd < 0 && errno == EXDEV)
        return err_set(err, ERR_DENIED, "remove %s: it is a mount point", name);
    if (fd < 0)
        return fd_fail(err, "open %s", name);
    if (fstat(r->fd, &st) < 0) {
        fd_close(fd);
        return fd_fail(err, "stat above %s", name);
    }
    a.name = mem_strdup(name);
    a.dev = st.st_dev;
    a.ino = st.st_ino;
    vec_push(&r->way, a);
    fd_close(r->fd);
    r->fd = fd;
    return 0;
}

static int ascend(struct remover *r, struct err *err)
{
    struct above a = r->way.v[r->way.len - 1];
    _cleanup_fd_ int fd = openat(r->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_(mem_freep) char *name = a.name;
    struct stat st;

    r->way.len--;
    if (fd < 0 || fstat(fd, &st) < 0)
        return fd_fail(err, "open above %s", name);
    if (st.st_dev != a.dev || st.st_ino != a.ino)
        return err_set(err, ERR_CONFLICT, "%s was moved while it was removed", name);
    if (unlinkat(fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return fd_fail(err, "rmdir %s", name);
    fd_close(r->fd);
    r->fd = TAKE_FD(fd);
    return 0;
}

/* Removes one entry, or goes down into it: 1 then. */
static int remove_entry(struct remover *r, const char *name, struct err *err)
{
    if (unlinkat(r->fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR)
        return fd_fail(err, "unlink %s", name);
    if (unlinkat(r->fd, name, AT_REMOVEDIR) == 0)
        return 0;
    return descend(r, name, err) < 0 ? -1 : 1;
}

DIR *fd_opendir(int at, const char *path, struct err *err)
{
    int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir) {
        fd_fail(err, "open %s", path);
        fd_close(fd);
    }
    return dir;
}

/* Empties the current directory up to its first subdirectory that is not empty: 1 then. */
static int remove_entries(struct remover *r, struct err *err)
{
    struct dirent *entry;
    int result = 0;
    DIR *dir = fd_opendir(r->fd, ".", err);

    if (!dir)
        return -1;
    while (result == 0) {
        errno = 0;
        entry = readdir(dir);
        if (!entry) {
            result = errno ? fd_fail(err, "read a directory") : 0;
            break;
        }
        if (!str_eq(entry->d_name, ".") && !str_eq(entry->d_name, ".."))
            result = remove_entry(r, entry->d_name, err);
    }
    closedir(dir);
    return result;
}

int fd_remove_tree(int dir, const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    _cleanup_(mem_freep) char *parent =
        slash ? mem_strndup(path, (size_t)(slash - path) + 1) : mem_strdup(".");
    struct remover r = {.fd = openat(dir, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    int result;

    if (!*name || str_eq(name, ".") || str_eq(name, "..")) {
        fd_close(r.fd);
        return err_set(err, ERR_INVALID, "remove %s: no name at its end", path);
    }
    if (r.fd < 0 && errno == ENOENT)
        return 0;
    if (r.fd < 0)
        return fd_fail(err, "open %s", parent);
    result = remove_entry(&r, name, err);
    while (result >= 0 && r.way.len) {
        result = remove_entries(&r, err);
        if (result == 0)
            result = ascend(&r, err);
    }
    for (size_t i = 0; i < r.way.len; i++)
        mem_free(r.way.v[i].name);
    vec_deinit(&r.way);
    fd_close(r.fd);
    return result < 0 ? err_wrap(err, "remove %s", path) : 0;
}
