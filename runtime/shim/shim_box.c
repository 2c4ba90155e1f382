/* shim_box.c -- bind, make read-only, keep when it is the same file. */
#include "runtime/shim/shim_box.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/base/fd.h"

static int box_path(char out[PATH_MAX], const char *run_dir, const char *name, struct err *err)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", run_dir, name);

    return n < 0 || n >= PATH_MAX ? err_set(err, ERR_INVALID, "run directory: path too long") : 0;
}

/* Whether what is bound there is this file, and read-only. */
static bool box_is(const char *path, const struct stat *exe)
{
    struct statvfs fs;
    struct stat st;

    return stat(path, &st) == 0 && st.st_dev == exe->st_dev && st.st_ino == exe->st_ino &&
           statvfs(path, &fs) == 0 && (fs.f_flag & ST_RDONLY);
}

static int box_unmount(const char *path, struct err *err)
{
    while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        ;
    if (errno != EINVAL && errno != ENOENT)
        return err_sys(err, "unmount %s", path);
    return 0;
}

/* A process that has changed its mount namespace since it started reaches its binary there by path only. */
static int box_clone(const char *exe, const struct stat *want, struct err *err)
{
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
    int tree = open_tree(AT_FDCWD, exe, flags);
    char path[PATH_MAX];
    struct stat st;
    ssize_t n;

    if (tree >= 0 || errno != EINVAL)
        return tree < 0 ? err_sys(err, "bind %s", exe) : tree;
    n = readlink(exe, path, sizeof(path) - 1);
    path[n > 0 ? n : 0] = '\0';
    if (n <= 0 || stat(path, &st) < 0 || st.st_dev != want->st_dev || st.st_ino != want->st_ino)
        return err_set(err, ERR_FAILED, "bind %s: not in this mount namespace", exe);
    tree = open_tree(AT_FDCWD, path, flags);
    return tree < 0 ? err_sys(err, "bind %s", path) : tree;
}

int shim_box_prepare(const char *run_dir, const char *exe, struct err *err)
{
    struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
                               .propagation = MS_PRIVATE };
    _cleanup_fd_ int tree = -1, file = -1;
    char path[PATH_MAX];
    struct stat st;

    exe = exe ? exe : "/proc/self/exe";
    if (stat(exe, &st) < 0)
        return err_sys(err, "open %s", exe);
    if (box_path(path, run_dir, "box", err) < 0 || fd_mkdirs(path, 0700, err) < 0 ||
        box_path(path, run_dir, SHIM_BOX_EXE, err) < 0)
        return -1;
    if (box_is(path, &st))
        return 0;
    if (box_unmount(path, err) < 0)
        return -1;
    file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0)
        return err_sys(err, "make %s", path);
    tree = box_clone(exe, &st, err);
    if (tree < 0)
        return -1;
    if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ||
        move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_sys(err, "bind %s to %s", exe, path);
    return 0;
}

int shim_box_remove(const char *run_dir, struct err *err)
{
    char path[PATH_MAX];

    if (box_path(path, run_dir, SHIM_BOX_EXE, err) < 0 || box_unmount(path, err) < 0)
        return -1;
    if (unlink(path) < 0 && errno != ENOENT)
        return err_sys(err, "remove %s", path);
    return 0;
}
