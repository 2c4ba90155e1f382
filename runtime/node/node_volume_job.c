/* node_volume_job.c -- makes one volume on the host: in jobs, may block. */
#include "runtime/node/node_volume_int.h"

#include "core/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* --- memory */

static bool is_tmpfs(const char *path)
{
    struct statfs st;

    /* The number is signed on some machines. */
    return statfs(path, &st) == 0 &&
           ((uint32_t)st.f_type == TMPFS_MAGIC || (uint32_t)st.f_type == RAMFS_MAGIC);
}

static bool is_mount_point(const char *path)
{
    _cleanup_(mem_freep) char *up = mem_printf("%s/..", path);
    struct stat a, b;

    return lstat(path, &a) == 0 && lstat(up, &b) == 0 && a.st_dev != b.st_dev;
}

int node_volume_job_memory(const char *run_dir, struct err *err)
{
    _cleanup_(mem_freep) char *dir = mem_printf("%s/volumes", run_dir);
    _cleanup_fd_ int lock = -1;

    if (fd_mkdirs(dir, 0711, err) < 0)
        return -1;
    /* Jobs of several pods come here at once, and only one may mount. */
    lock = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) < 0)
        return err_sys(err, "lock %s", run_dir);
    if (is_tmpfs(dir))
        return 0;
    if (mount("tmpfs", dir, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0711") < 0)
        return err_sys(err, "mount memory for secrets at %s", dir);
    return 0;
}

static int make_memory(const struct node_volume_task *t, struct err *err)
{
    char opts[64] = "mode=0777";

    if (fd_mkdirs(t->dir, 0755, err) < 0)
        return -1;
    if (is_mount_point(t->dir))
        return 0;
    if (t->size_bytes > 0)
        snprintf(opts, sizeof(opts), "mode=0777,size=%lld", (long long)t->size_bytes);
    if (mount("tmpfs", t->dir, "tmpfs", MS_NOSUID | MS_NODEV, opts) < 0)
        return err_sys(err, "mount tmpfs at %s", t->dir);
    return 0;
}

/* --- emptyDir */

static int own_empty(const struct node_volume_task *t, struct err *err)
{
    _cleanup_fd_ int fd = open(t->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return err_sys(err, "open %s", t->dir);
    if (t->fs_group >= 0 && fchown(fd, (uid_t)-1, (gid_t)t->fs_group) < 0)
        return err_sys(err, "set the group of %s", t->dir);
    return fchmod(fd, t->fs_group >= 0 ? 02777 : 0777) < 0 ? err_sys(err, "set the mode of %s",
                                                                     t->dir) : 0;
}

/* --- hostPath */

static const struct host_type {
    const char *name;
    /* made with this mode when it is missing; 0: it must be there */
    mode_t type, make;
    const char *is_not;
} host_types[] = {
    { "", 0, 0755 | S_IFDIR, NULL },
    { "DirectoryOrCreate", S_IFDIR, 0755 | S_IFDIR, "a directory" },
    { "Directory", S_IFDIR, 0, "a directory" },
    { "FileOrCreate", S_IFREG, 0644 | S_IFREG, "a file" },
    { "File", S_IFREG, 0, "a file" },
    { "Socket", S_IFSOCK, 0, "a socket file" },
    { "CharDevice", S_IFCHR, 0, "a character device" },
    { "BlockDevice", S_IFBLK, 0, "a block device" },
};

static int make_host(const char *path, mode_t mode, struct err *err)
{
    _cleanup_fd_ int fd = -1;

    if (S_ISDIR(mode))
        return fd_mkdirs(path, mode & 0777, err);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode & 0777);
    return fd < 0 ? err_sys(err, "make %s", path) : 0;
}

static int check_host(const struct node_volume_task *t, struct err *err)
{
    const struct host_type *h = NULL;
    struct stat st;

    for (size_t i = 0; i < ARRAY_LEN(host_types); i++)
        if (str_eq(t->host_type, host_types[i].name))
            h = &host_types[i];
    if (!h)
        return err_set(err, ERR_INVALID, "hostPath type \"%s\" is not supported", t->host_type);
    if (stat(t->dir, &st) < 0) {
        if (errno != ENOENT)
            return err_sys(err, "%s", t->dir);
        if (!h->make)
            return err_set(err, ERR_NOT_FOUND, "hostPath type check failed: %s is not %s", t->dir,
                           h->is_not);
        return make_host(t->dir, h->make, err);
    }
    if (h->type && (st.st_mode & S_IFMT) != h->type)
        return err_set(err, ERR_INVALID, "hostPath type check failed: %s is not %s", t->dir,
                       h->is_not);
    return 0;
}

int node_volume_job_run(const struct node_volume_task *t, struct err *err)
{
    switch (t->kind) {
    case NODE_VOLUME_FILES:
        return node_volume_write(t, env_wall_us(env_real()), err);
    case NODE_VOLUME_HOST:
        return t->made ? 0 : check_host(t, err);
    case NODE_VOLUME_MEMORY:
        if (make_memory(t, err) < 0)
            return -1;
        return t->made ? 0 : own_empty(t, err);
    case NODE_VOLUME_DISK:
        if (fd_mkdirs(t->dir, 0755, err) < 0)
            return -1;
        return t->made ? 0 : own_empty(t, err);
    }
    return err_set(err, ERR_UNSUPPORTED, "unknown kind of volume");
}
