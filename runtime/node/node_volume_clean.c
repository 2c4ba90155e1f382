/* node_volume_clean.c -- volumes away: unmounted, then deleted without following links or crossing
 * mounts. The directories themselves are the ledger: a volume's is made before anything is mounted
 * on it. */
#include "runtime/node/node_volume_int.h"

#include "core/base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* Calls fn for each entry; a missing directory has none. */
static int each_entry(const char *dir, int (*fn)(const char *dir, const char *name, void *ctx,
                                                 struct err *err),
                      void *ctx, struct err *err)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    int r = 0;

    if (!d)
        return errno == ENOENT || errno == ENOTDIR ? 0 : err_sys(err, "open %s", dir);
    while (r == 0 && (e = readdir(d)))
        if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
            r = fn(dir, e->d_name, ctx, err);
    closedir(d);
    return r;
}

/* Whatever is mounted at an entry, also several times. What still uses it keeps it until it ends.
 * */
static int unmount_entry(const char *dir, const char *name, void *ctx, struct err *err)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/%s", dir, name);

    (void)ctx;
    for (unsigned i = 0; i < 64; i++)
        if (umount2(path, UMOUNT_NOFOLLOW | MNT_DETACH) < 0)
            return errno == EINVAL || errno == ENOENT || errno == EPERM ? 0 :
                err_sys(err, "unmount %s", path);
    return err_set(err, ERR_QUOTA, "unmount %s: too many mounts", path);
}

static int unmount_plugin(const char *dir, const char *name, void *ctx, struct err *err)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/%s", dir, name);
    struct stat st;

    if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return 0;
    return each_entry(path, unmount_entry, ctx, err);
}

static int clean_dir(const char *dir, struct err *err)
{
    struct stat st;

    if (lstat(dir, &st) < 0)
        return errno == ENOENT ? 0 : err_sys(err, "%s", dir);
    if (S_ISDIR(st.st_mode) && each_entry(dir, unmount_plugin, NULL, err) < 0)
        return -1;
    return fd_remove_tree(AT_FDCWD, dir, err);
}

int node_volume_clean_pod(const char *data_dir, const char *run_dir, const char *uid,
                          struct err *err)
{
    _cleanup_(mem_freep) char *disk = mem_printf("%s/pods/%s/volumes", data_dir, uid);
    _cleanup_(mem_freep) char *memory = mem_printf("%s/volumes/%s", run_dir, uid);
    _cleanup_(mem_freep) char *pod = mem_printf("%s/pods/%s", data_dir, uid);

    if (str_empty(uid) || strchr(uid, '/') || str_eq(uid, ".") || str_eq(uid, ".."))
        return err_set(err, ERR_INVALID, "\"%s\" is no pod uid", uid ? uid : "");
    if (clean_dir(memory, err) < 0 || clean_dir(disk, err) < 0)
        return -1;
    (void)rmdir(pod);                    /* others may keep files there */
    return 0;
}

struct sweep { const char *data_dir, *run_dir; const char *const *keep; };

static int sweep_entry(const char *dir, const char *name, void *ctx, struct err *err)
{
    const struct sweep *s = ctx;

    (void)dir;
    for (const char *const *k = s->keep; k && *k; k++)
        if (str_eq(*k, name))
            return 0;
    return node_volume_clean_pod(s->data_dir, s->run_dir, name, err);
}

int node_volume_sweep(const char *data_dir, const char *run_dir, const char *const *keep,
                      struct err *err)
{
    struct sweep s = { data_dir, run_dir, keep };
    _cleanup_(mem_freep) char *disk = mem_printf("%s/pods", data_dir);
    _cleanup_(mem_freep) char *memory = mem_printf("%s/volumes", run_dir);

    if (each_entry(disk, sweep_entry, &s, err) < 0 || each_entry(memory, sweep_entry, &s, err) < 0)
        return -1;
    if (!keep)
        /* nothing there when run_dir is on memory itself */
        (void)umount2(memory, UMOUNT_NOFOLLOW);
    return 0;
}
