/* oci_dev.c -- a container's /dev: a small tmpfs that holds no device of its own (nodev); the six everyone needs are
 * bound from the host, one by one. So a device made with mknod is of no use, on any cgroup version. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "runtime/oci/oci_child.h"

#define HOST_DEV_DEPTH_MAX 8

static const char *const devices[] = { "null", "zero", "full", "random", "urandom", "tty" };
static const struct { const char *name, *to; } links[] = {
    { "fd", "/proc/self/fd" }, { "stdin", "/proc/self/fd/0" }, { "stdout", "/proc/self/fd/1" },
    { "stderr", "/proc/self/fd/2" }, { "ptmx", "pts/ptmx" }, { "core", "/proc/kcore" },
};
static const char *const folders[] = { "pts", "shm", "mqueue" };
static const char *const not_copied[] = { "pts", "shm", "fd", "mqueue", ".udev", "console", "core",
                                          "stdin", "stdout", "stderr", "ptmx", "log" };

static int copy_host_dev(int from, int to, int depth);

static void copy_entry(int from, int to, const char *name, int depth)
{
    struct stat st;
    char target[256];
    ssize_t n;

    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
        if (mknodat(to, name, st.st_mode, st.st_rdev) == 0 &&
            fchownat(to, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) == 0)
            (void)!fchmodat(to, name, st.st_mode & 07777, 0);
    } else if (S_ISLNK(st.st_mode)) {
        n = readlinkat(from, name, target, sizeof(target) - 1);
        if (n > 0) {
            target[n] = '\0';
            if (symlinkat(target, to, name) < 0 && errno != EEXIST)
                return;
        }
    } else if (S_ISDIR(st.st_mode) && depth < HOST_DEV_DEPTH_MAX) {
        _cleanup_fd_ int sub_from = openat(from, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        _cleanup_fd_ int sub_to = -1;

        if (sub_from < 0 || (mkdirat(to, name, 0755) < 0 && errno != EEXIST))
            return;
        sub_to = openat(to, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (sub_to >= 0)
            copy_host_dev(sub_from, sub_to, depth + 1);
    }
}

/* What cannot be copied is left out: a device that a privileged container misses is no reason not to start. */
static int copy_host_dev(int from, int to, int depth)
{
    int copy = fcntl(from, F_DUPFD_CLOEXEC, 0);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *e;

    if (!d)
        return fd_close(copy);
    while ((e = readdir(d))) {
        bool skip = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;

        for (size_t i = 0; depth == 0 && i < ARRAY_LEN(not_copied); i++)
            skip = skip || strcmp(e->d_name, not_copied[i]) == 0;
        if (!skip)
            copy_entry(from, to, e->d_name, depth);
    }
    closedir(d);
    return 0;
}

static int touch(int dir, const char *name, struct err *err)
{
    if (mknodat(dir, name, S_IFREG | 0666, 0) < 0 && errno != EEXIST)
        return err_sys(err, "make /dev/%s", name);
    return 0;
}

int oci_dev_make(int *out, const struct oci_plan *p, struct err *err)
{
    static const struct oci_opt opts[] = { { "mode", "0755" }, { "size", "65536k" } };
    unsigned attr = MOUNT_ATTR_NOSUID | (p->host_dev ? 0 : MOUNT_ATTR_NODEV);
    _cleanup_fd_ int dev = oci_mount_new("tmpfs", opts, ARRAY_LEN(opts), attr, err);

    if (dev < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(links); i++)
        if (symlinkat(links[i].to, dev, links[i].name) < 0)
            return err_sys(err, "make /dev/%s", links[i].name);
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        if (mkdirat(dev, folders[i], 0755) < 0)
            return err_sys(err, "make /dev/%s", folders[i]);
    if (p->host_dev) {
        _cleanup_fd_ int host = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (host >= 0)
            copy_host_dev(host, dev, 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(devices); i++)
        if (touch(dev, devices[i], err) < 0)
            return -1;
    if (p->tty && touch(dev, "console", err) < 0)
        return -1;
    *out = TAKE_FD(dev);
    return 0;
}

int oci_dev_bind(int dev, const struct oci_plan *p, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(devices); i++) {
        char path[32];
        struct stat st;
        _cleanup_fd_ int tree = -1;

        if (p->host_dev && fstatat(dev, devices[i], &st, 0) == 0 && S_ISCHR(st.st_mode))
            continue;
        snprintf(path, sizeof(path), "/dev/%s", devices[i]);
        tree = oci_mount_clone(AT_FDCWD, path, false, err);
        if (tree < 0 || oci_mount_set(tree, 0, MS_PRIVATE, false, err) < 0 ||
            oci_mount_attach(tree, dev, devices[i], err) < 0)
            return err_wrap(err, "%s", path);
    }
    return 0;
}

int oci_dev_extra(int root, const struct oci_plan *p, struct err *err)
{
    for (size_t i = 0; i < p->devices.len; i++) {
        const struct plan_device *d = &p->devices.v[i];
        _cleanup_fd_ int tree = oci_mount_clone(AT_FDCWD, d->host, false, err), at = -1;
        struct stat st;

        if (tree < 0)
            return err_wrap(err, "device %s", d->host);
        if (fstat(tree, &st) < 0 || (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode)))
            return err_set(err, ERR_INVALID, "device %s: not a device", d->host);
        at = oci_path_make(root, d->dest, false, err);
        if (at < 0 || oci_mount_set(tree, 0, MS_PRIVATE, false, err) < 0 ||
            oci_mount_attach(tree, at, "", err) < 0)
            return err_wrap(err, "device %s at %s", d->host, d->dest);
    }
    return 0;
}
