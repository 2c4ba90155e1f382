/* oci_mount.c -- mounts as descriptors: made detached, attributes set, then attached once. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "runtime/oci/oci_child.h"

/* The kernel's own words about a failed configuration, if it has any. */
static int config_error(int fs, const char *type, const char *key, struct err *err)
{
    int code = errno;
    char text[200];
    ssize_t n = read(fs, text, sizeof(text) - 1);

    errno = code;
    if (n <= 2)
        return err_sys(err, "mount %s: %s", type, key);
    text[n] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return err_sys(err, "mount %s: %s: %s", type, key, text + 2);
}

int oci_mount_new(const char *type, const struct oci_opt *opts, size_t n, unsigned attr, struct err *err)
{
    _cleanup_fd_ int fs = fsopen(type, FSOPEN_CLOEXEC);
    int fd;

    if (fs < 0)
        return err_sys(err, "mount %s", type);
    if (fsconfig(fs, FSCONFIG_SET_STRING, "source", type, 0) < 0)
        return config_error(fs, type, "source", err);
    for (size_t i = 0; i < n; i++) {
        int cmd = opts[i].value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;

        if (fsconfig(fs, (unsigned)cmd, opts[i].key, opts[i].value, 0) < 0)
            return config_error(fs, type, opts[i].key, err);
    }
    if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return config_error(fs, type, "create", err);
    fd = fsmount(fs, FSMOUNT_CLOEXEC, attr);
    return fd < 0 ? err_sys(err, "mount %s", type) : fd;
}

int oci_mount_clone(int dir, const char *path, bool recursive, struct err *err)
{
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0) |
                     (*path ? 0 : AT_EMPTY_PATH);
    int fd = open_tree(dir, path, flags);

    return fd < 0 ? err_sys(err, "bind %s", path) : fd;
}

int oci_mount_set(int tree, uint64_t attr, uint64_t propagation, bool recursive, struct err *err)
{
    struct mount_attr a = { .attr_set = attr, .propagation = propagation };

    if (mount_setattr(tree, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &a, sizeof(a)) < 0)
        return err_sys(err, "set mount attributes");
    return 0;
}

int oci_mount_attach(int tree, int to_dir, const char *to, struct err *err)
{
    unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | (*to ? 0 : MOVE_MOUNT_T_EMPTY_PATH);

    if (move_mount(tree, "", to_dir, to, flags) < 0)
        return err_sys(err, "attach mount");
    return 0;
}

int oci_mount_pivot(int root, struct err *err)
{
    if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
        return err_sys(err, "change the root");
    /* The old root now lies on top of the new one at ".". */
    if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return err_sys(err, "leave the old root");
    return 0;
}
