/* oci_path.c -- opening and making paths below a root whose content is not to be trusted: every step is resolved by
 * the kernel inside the root (openat2), so a link that is swapped meanwhile still leads nowhere else. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "runtime/oci/oci_child.h"

#define LINKS_MAX 40

struct walk {
    char done[PATH_MAX];                 /* resolved part, "" or "/a/b" */
    char rest[2 * PATH_MAX];
    int links;
};

static bool is_missing(const struct err *err)
{
    return err->code == ERR_NOT_FOUND || err->sys_errno == ENOENT;
}

int oci_path_open(int root, const char *path, struct err *err)
{
    struct err why = ERR_INIT;
    int fd = fd_open_in_root(root, path, O_PATH | O_CLOEXEC, 0, &why);

    if (fd >= 0)
        return fd;
    return is_missing(&why) ? err_set(err, ERR_NOT_FOUND, "%s: no such file or directory", path)
                            : err_set(err, why.code, "%s", why.msg);
}

/* Takes the first part of rest; false when none is left. */
static bool walk_part(struct walk *w, char part[NAME_MAX + 1], struct err *err)
{
    size_t skip = strspn(w->rest, "/"), len = strcspn(w->rest + skip, "/");

    if (len == 0)
        return false;
    if (len > NAME_MAX) {
        err_set(err, ERR_INVALID, "part of a path is too long");
        part[0] = '\0';
        return true;
    }
    memcpy(part, w->rest + skip, len);
    part[len] = '\0';
    memmove(w->rest, w->rest + skip + len, strlen(w->rest + skip + len) + 1);
    return true;
}

static int walk_link(struct walk *w, int fd, struct err *err)
{
    char target[PATH_MAX], rest[2 * PATH_MAX];
    ssize_t n = readlinkat(fd, "", target, sizeof(target) - 1);
    int len;

    if (n < 0)
        return err_sys(err, "readlink %s", w->done);
    target[n] = '\0';
    if (++w->links > LINKS_MAX)
        return err_set(err, ERR_INVALID, "%s: too many links", w->done);
    len = snprintf(rest, sizeof(rest), "%s/%s", target, w->rest);
    if (len < 0 || (size_t)len >= sizeof(w->rest))
        return err_set(err, ERR_INVALID, "%s: link too long", w->done);
    memcpy(w->rest, rest, (size_t)len + 1);
    if (target[0] == '/')
        w->done[0] = '\0';
    return 0;
}

static int make_one(int root, const char *done, const char *part, bool directory, struct err *err)
{
    _cleanup_fd_ int parent = fd_open_in_root(root, *done ? done : "/",
                                              O_PATH | O_DIRECTORY | O_CLOEXEC, 0, err);
    int r;

    if (parent < 0)
        return -1;
    r = directory ? mkdirat(parent, part, 0755) : mknodat(parent, part, S_IFREG | 0644, 0);
    if (r < 0 && errno != EEXIST)
        return err_sys(err, "make mount point %s/%s", done, part);
    return 0;
}

/* One step: a part that is a directory or file, a link, or missing. */
static int walk_step(struct walk *w, int root, const char *part, bool directory, struct err *err)
{
    char next[PATH_MAX];
    struct err why = ERR_INIT;
    struct stat st;
    _cleanup_fd_ int fd = -1;
    size_t len = strlen(w->done);

    if (strcmp(part, "..") == 0) {
        char *slash = strrchr(w->done, '/');

        if (slash)
            *slash = '\0';
        return 0;
    }
    if (strcmp(part, ".") == 0)
        return 0;
    if (len + strlen(part) + 2 > sizeof(next))
        return err_set(err, ERR_INVALID, "path too long");
    snprintf(next, sizeof(next), "%.*s/%s", (int)len, w->done, part);
    fd = fd_open_in_root(root, next, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, &why);
    if (fd < 0 && !is_missing(&why))
        return err_set(err, why.code, "%s", why.msg);
    if (fd < 0 && make_one(root, w->done, part, directory || w->rest[strspn(w->rest, "/")], err) < 0)
        return -1;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode))
        return walk_link(w, fd, err);
    memcpy(w->done, next, strlen(next) + 1);
    return 0;
}

int oci_path_make(int root, const char *path, bool directory, struct err *err)
{
    struct err why = ERR_INIT;
    char part[NAME_MAX + 1];
    struct walk w = { .links = 0 };
    int fd = oci_path_open(root, path, &why);

    if (fd >= 0)
        return fd;
    if (why.code != ERR_NOT_FOUND)
        return err_set(err, why.code, "%s", why.msg);
    if (str_copy(w.rest, PATH_MAX, path, err) < 0)
        return -1;
    while (walk_part(&w, part, err))
        if (!*part || walk_step(&w, root, part, directory, err) < 0)
            return err_wrap(err, "%s", path);
    return oci_path_open(root, *w.done ? w.done : "/", err);
}
