/* fd_walk.c -- see fd_walk.h. */
#include "core/base/fd_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/base/fd.h"

struct fd_walk {
    const struct open_how *how;
    int held[FD_WALK_DEPTH_MAX];         /* the way down from the root, which is the caller's */
    unsigned depth;
    int root, links;
    char rest[2 * PATH_MAX];             /* of the path */
};

static int failed(int why)
{
    errno = why;
    return -1;
}

static bool asks(const struct fd_walk *w, uint64_t resolve)
{
    return w->how->resolve & resolve;
}

static int here(const struct fd_walk *w)
{
    return w->depth ? w->held[w->depth - 1] : w->root;
}

static void back_to(struct fd_walk *w, unsigned depth)
{
    int saved = errno;

    while (w->depth > depth)
        fd_close(w->held[--w->depth]);
    errno = saved;
}

/* The next name of the rest; *last: nothing but slashes follows. */
static int next_name(struct fd_walk *w, char out[NAME_MAX + 1], bool *last, bool *dir)
{
    size_t skip = strspn(w->rest, "/"), len = strcspn(w->rest + skip, "/"), end, after;

    if (len > NAME_MAX)
        return failed(ENAMETOOLONG);
    memcpy(out, w->rest + skip, len);
    out[len] = 0;
    end = skip + len;
    after = strspn(w->rest + end, "/");
    *last = !w->rest[end + after];
    *dir = after > 0;
    memmove(w->rest, w->rest + end + after, strlen(w->rest + end + after) + 1);
    return 0;
}

static int start_at_root(struct fd_walk *w)
{
    if (asks(w, RESOLVE_BENEATH))
        return failed(EXDEV);
    back_to(w, 0);
    return 0;
}

/* What the link says comes before the rest. slash: the link was followed by one. */
static int take_link(struct fd_walk *w, int link, bool slash)
{
    char target[PATH_MAX], rest[2 * PATH_MAX];
    struct statfs fs;
    ssize_t n;
    int len;

    if (asks(w, RESOLVE_NO_SYMLINKS) || ++w->links > FD_WALK_LINKS_MAX)
        return failed(ELOOP);
    if (asks(w, RESOLVE_NO_MAGICLINKS) &&
        (fstatfs(link, &fs) < 0 || fs.f_type == PROC_SUPER_MAGIC))
        return failed(ELOOP);
    n = readlinkat(link, "", target, sizeof(target) - 1);
    if (n <= 0)
        return n < 0 ? -1 : failed(ENOENT);
    target[n] = 0;
    len = snprintf(rest, sizeof(rest), "%s%s%s", target, slash ? "/" : "", w->rest);
    if (len < 0 || (size_t)len >= sizeof(rest))
        return failed(ENAMETOOLONG);
    memcpy(w->rest, rest, (size_t)len + 1);
    return target[0] == '/' ? start_at_root(w) : 0;
}

/* The mount that a descriptor lies on: two of one file system may be bound. -1: not known. Asked
 * with the size of no handle, which tells the mount alone and needs no /proc. */
static int mount_of(int fd)
{
    struct file_handle none = { 0 };
    int id = -1;

    return name_to_handle_at(fd, "", &none, &id, AT_EMPTY_PATH) < 0 && errno == EOVERFLOW ? id : -1;
}

static int check_mount(const struct fd_walk *w, int fd)
{
    int was, is;

    if (!asks(w, RESOLVE_NO_XDEV))
        return 0;
    was = mount_of(here(w));
    is = mount_of(fd);
    return was < 0 || was != is ? failed(EXDEV) : 0;
}

static int go_up(struct fd_walk *w)
{
    if (w->depth == 0)
        return asks(w, RESOLVE_BENEATH) ? failed(EXDEV) : 0;
    back_to(w, w->depth - 1);
    return 0;
}

/* A name in the middle: a directory, or a link to go on with. */
static int go_down(struct fd_walk *w, const char *name)
{
    _cleanup_fd_ int fd = openat(here(w), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -1;
    if (S_ISLNK(st.st_mode))
        return take_link(w, fd, true);
    if (!S_ISDIR(st.st_mode))
        return failed(ENOTDIR);
    if (w->depth == FD_WALK_DEPTH_MAX)
        return failed(ENAMETOOLONG);
    if (check_mount(w, fd) < 0)
        return -1;
    w->held[w->depth++] = TAKE_FD(fd);
    return 0;
}

static int open_at(const struct fd_walk *w, const char *name, int more)
{
    int fd = openat(here(w), name, (int)w->how->flags | more | O_CLOEXEC, (mode_t)w->how->mode);

    if (fd >= 0 && check_mount(w, fd) < 0) {
        int saved = errno;

        fd_close(fd);
        return failed(saved);
    }
    return fd;
}

/* The last name, unless it is a link to go on with: then -1 and *again. */
static int open_last(struct fd_walk *w, const char *name, bool slash, bool *again)
{
    int flags = (int)w->how->flags;
    _cleanup_fd_ int link = -1;
    bool follow = slash || !(flags & O_NOFOLLOW || (flags & O_CREAT && flags & O_EXCL));
    struct stat st;

    if (slash && flags & O_CREAT)
        return failed(EISDIR);
    if (!follow)
        return open_at(w, name, 0);
    link = openat(here(w), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (link >= 0 && fstat(link, &st) == 0 && S_ISLNK(st.st_mode)) {
        *again = take_link(w, link, slash) == 0;
        return -1;
    }
    return open_at(w, name, O_NOFOLLOW | (slash ? O_DIRECTORY : 0));
}

static int step(struct fd_walk *w, bool *again)
{
    char name[NAME_MAX + 1];
    bool last, slash;

    *again = false;
    if (next_name(w, name, &last, &slash) < 0)
        return -1;
    if (strcmp(name, "..") == 0 && go_up(w) < 0)
        return -1;
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        *again = !last;
        return last ? open_at(w, ".", 0) : -1;
    }
    if (last)
        return open_last(w, name, slash, again);
    *again = go_down(w, name) == 0;
    return -1;
}

int fd_walk(int dir, const char *path, const struct open_how *how)
{
    struct fd_walk w = { .how = how, .root = dir };
    bool again = true;
    int fd = -1;

    if (!*path)
        return failed(ENOENT);
    if (strlen(path) >= PATH_MAX)
        return failed(ENAMETOOLONG);
    memcpy(w.rest, path, strlen(path) + 1);
    if (path[0] == '/' && start_at_root(&w) < 0)
        return -1;
    while (again)
        fd = step(&w, &again);
    back_to(&w, 0);
    return fd;
}
