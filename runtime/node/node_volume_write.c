/* node_volume_write.c -- the files of a volume, changed as a whole:
 *
 *   volume/app.conf -> ..data/app.conf            what a container opens
 *   volume/..data -> ..2026_11_27_09_00_00.123    renamed over: before all old, after all new
 *   volume/..2026_11_27_09_00_00.123/app.conf     the bytes
 *
 * A write that was interrupted leaves a dated directory without a link to it; the next one removes
 * it.
 */
#include "runtime/node/node_volume_int.h"

#include "core/base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DATA "..data"
#define DATA_TMP "..data_tmp"

static int open_dir(int at, const char *name, struct err *err)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? err_sys(err, "open %s", name) : fd;
}

/* --- what is there */

static size_t count_files(int dir)
{
    DIR *d = fd_opendir(dir, ".", NULL);
    struct dirent *e;
    size_t n = 0;

    if (!d)
        return 0;
    while ((e = readdir(d))) {
        if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
            continue;
        if (e->d_type == DT_DIR) {
            _cleanup_fd_ int below = open_dir(dir, e->d_name, NULL);

            n += below >= 0 ? count_files(below) : 0;
        } else {
            n++;
        }
    }
    closedir(d);
    return n;
}

static bool same_file(int dir, const struct node_volume_file *f)
{
    _cleanup_fd_ int fd = fd_open_beneath(dir, f->path, O_RDONLY | O_NOFOLLOW, 0, NULL);
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (size_t)st.st_size != f->data.len)
        return false;
    buf_reserve(&text, f->data.len + 1);
    return fd_read_all(fd, text.p, f->data.len, NULL) == 0 &&
        memcmp(text.p, f->data.p, f->data.len) == 0;
}

static bool same_files(int dir, const struct node_volume_task *t)
{
    for (size_t i = 0; i < t->files.len; i++)
        if (!same_file(dir, &t->files.v[i]))
            return false;
    return count_files(dir) == t->files.len;
}

/* Name of the directory that ..data points to; "" when there is none. */
static void current_name(int volume, char out[NAME_MAX + 1])
{
    ssize_t n = readlinkat(volume, DATA, out, NAME_MAX);

    out[n > 0 ? n : 0] = '\0';
    if (strchr(out, '/') || !str_starts(out, ".."))
        out[0] = '\0';
}

/* --- the new files */

/* Directories get group and mode when all is written: setgid and the group's x, as upstream. */
static int own_dir(int fd, const struct node_volume_task *t, struct err *err)
{
    if (t->fs_group < 0)
        return fchmod(fd, 0755) < 0 ? err_sys(err, "set the mode of a directory") : 0;
    if (fchown(fd, (uid_t)-1, (gid_t)t->fs_group) < 0 || fchmod(fd, 02755) < 0)
        return err_sys(err, "set the group of a directory");
    return 0;
}

/* Opens the directory that holds the last part of path, making what is missing. */
static int parent_of(int dir, const struct node_volume_task *t, const char **name, struct err *err)
{
    _cleanup_fd_ int at = fcntl(dir, F_DUPFD_CLOEXEC, 0);
    char part[NAME_MAX + 1];
    const char *p = *name, *slash;

    while (at >= 0 && (slash = strchr(p, '/'))) {
        int next;

        snprintf(part, sizeof(part), "%.*s", (int)(slash - p), p);
        p = slash + 1;
        if (!*part || str_eq(part, "."))
            continue;
        if (mkdirat(at, part, 0755) < 0 && errno != EEXIST)
            return err_sys(err, "make %s", part);
        next = open_dir(at, part, err);
        if (next < 0 || own_dir(next, t, err) < 0) {
            fd_close(next);
            return -1;
        }
        fd_close(at);
        at = next;
    }
    *name = p;
    return at < 0 ? err_sys(err, "open a directory") : TAKE_FD(at);
}

static int write_one(int dir, const struct node_volume_task *t, const struct node_volume_file *f,
                     struct err *err)
{
    const char *name = f->path;
    _cleanup_fd_ int parent = parent_of(dir, t, &name, err), fd = -1;
    mode_t mode = f->mode;

    if (parent < 0)
        return err_wrap(err, "write %s", f->path);
    fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(err, "write %s", f->path);
    if (fd_write_all(fd, f->data.p, f->data.len, err) < 0)
        return err_wrap(err, "write %s", f->path);
    if (t->fs_group >= 0)
        mode |= 0440;
    if ((f->uid >= 0 || t->fs_group >= 0) &&
        fchown(fd, f->uid >= 0 ? (uid_t)f->uid : (uid_t)-1, t->fs_group >= 0 ? (gid_t)t->fs_group :
               (gid_t)-1) < 0)
        return err_sys(err, "set the owner of %s", f->path);
    return fchmod(fd, mode) < 0 ? err_sys(err, "set the mode of %s", f->path) : 0;
}

static int make_dated(int volume, char name[NAME_MAX + 1], int64_t now_us, struct err *err)
{
    time_t s = (time_t)(now_us / 1000000);
    struct tm tm;

    gmtime_r(&s, &tm);
    for (unsigned i = 0; i < 1000; i++) {
        size_t n = strftime(name, NAME_MAX, "..%Y_%m_%d_%H_%M_%S", &tm);

        snprintf(name + n, NAME_MAX - n, ".%09lld", (long long)(now_us % 1000000 * 1000 + i));
        if (mkdirat(volume, name, 0755) == 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    return err_sys(err, "make %s", name);
}

static int write_dated(int volume, const char *name, const struct node_volume_task *t,
                       struct err *err)
{
    _cleanup_fd_ int dir = open_dir(volume, name, err);

    if (dir < 0 || own_dir(dir, t, err) < 0)
        return -1;
    for (size_t i = 0; i < t->files.len; i++)
        if (write_one(dir, t, &t->files.v[i], err) < 0)
            return -1;
    return 0;
}

/* --- links */

static bool first_part(char out[NAME_MAX + 1], const char *path)
{
    path += str_starts(path, "./") ? 2 : 0;
    return snprintf(out, NAME_MAX + 1, "%.*s", (int)strcspn(path, "/"), path) <= NAME_MAX && *out;
}

static int link_files(int volume, const struct node_volume_task *t, struct err *err)
{
    for (size_t i = 0; i < t->files.len; i++) {
        char part[NAME_MAX + 1], target[NAME_MAX + sizeof(DATA) + 2];

        if (!first_part(part, t->files.v[i].path))
            continue;
        snprintf(target, sizeof(target), DATA "/%s", part);
        if (symlinkat(target, volume, part) < 0 && errno != EEXIST)
            return err_sys(err, "link %s", part);
    }
    return 0;
}

static int switch_to(int volume, const char *name, struct err *err)
{
    (void)unlinkat(volume, DATA_TMP, 0);
    if (symlinkat(name, volume, DATA_TMP) < 0 || renameat(volume, DATA_TMP, volume, DATA) < 0)
        return err_sys(err, "switch to %s", name);
    return 0;
}

static bool is_wanted(const struct node_volume_task *t, const char *entry)
{
    char part[NAME_MAX + 1];

    for (size_t i = 0; i < t->files.len; i++)
        if (first_part(part, t->files.v[i].path) && str_eq(part, entry))
            return true;
    return false;
}

/* Links of files that are no more, and dated directories but the current one. */
static int remove_old(int volume, const char *current, const struct node_volume_task *t,
                      struct err *err)
{
    DIR *d = fd_opendir(volume, ".", err);
    struct dirent *e;
    int r = 0;

    if (!d)
        return err_wrap(err, "a volume");
    while (r == 0 && (e = readdir(d))) {
        if (str_eq(e->d_name, ".") || str_eq(e->d_name, "..") || str_eq(e->d_name, DATA) ||
            str_eq(e->d_name, current) || is_wanted(t, e->d_name))
            continue;
        r = fd_remove_tree(volume, e->d_name, err);
    }
    closedir(d);
    return r;
}

/* --- all of it */

int node_volume_write(const struct node_volume_task *t, int64_t now_us, struct err *err)
{
    _cleanup_fd_ int volume = -1, old = -1;
    char current[NAME_MAX + 1], name[NAME_MAX + 1];
    struct err ignored = ERR_INIT;

    if (fd_mkdirs(t->dir, 0755, err) < 0)
        return -1;
    volume = open_dir(AT_FDCWD, t->dir, err);
    if (volume < 0 || own_dir(volume, t, err) < 0)
        return -1;
    current_name(volume, current);
    old = *current ? open_dir(volume, current, &ignored) : -1;
    if (old >= 0 && same_files(old, t))
        return link_files(volume, t, err) < 0 ? -1 : remove_old(volume, current, t, err);
    if (make_dated(volume, name, now_us, err) < 0)
        return -1;
    if (write_dated(volume, name, t, err) < 0 || link_files(volume, t, err) < 0 ||
        switch_to(volume, name, err) < 0) {
        (void)fd_remove_tree(volume, name, &ignored);
        return -1;
    }
    return remove_old(volume, name, t, err);
}
