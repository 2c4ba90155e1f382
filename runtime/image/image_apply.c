/* image_apply.c -- makes files, directories, links and devices as a layer's tar says. */
#include "runtime/image/image_apply.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/base/str.h"
#include "core/base/vec.h"

#define APPLY_COPY_BYTES (256u << 10)
#define APPLY_LINKS_MAX 40  /* dangling links followed for one parent directory */
#define APPLY_BLOCK 4096

struct apply_dir { char *path; int64_t mtime_s; uint32_t mtime_ns; };

struct image_apply {
    struct image_apply_opts o;
    bool root_user;                             /* may give files away */
    int parent;                                 /* the directory of the last entry ... */
    /* ... and its path: most entries share it. It cannot go stale: to replace a directory above it,
     * an entry must be placed in another parent first. */
    struct buf parent_path;
    bool parent_known;
    struct buf path;  /* of the entry, cleaned: "usr/bin/env", "" for the root */
    VEC(struct apply_dir) dirs;
    int64_t disk_bytes;
    char *block;
};

struct apply_at { int dir; const char *name; };      /* where an entry goes; dir is borrowed */

struct image_apply *image_apply_new(const struct image_apply_opts *o)
{
    struct image_apply *a = NEW(struct image_apply);

    check(o->root >= 0);
    check(o->on_opaque);
    a->o = *o;
    a->root_user = geteuid() == 0;
    a->parent = -1;
    a->block = mem_alloc(APPLY_COPY_BYTES);
    return a;
}

struct image_apply *image_apply_free(struct image_apply *a)
{
    if (!a)
        return NULL;
    fd_close(a->parent);
    buf_deinit(&a->parent_path);
    buf_deinit(&a->path);
    for (size_t i = 0; i < a->dirs.len; i++)
        mem_free(a->dirs.v[i].path);
    vec_deinit(&a->dirs);
    mem_free(a->block);
    return mem_free(a);
}

int64_t image_apply_disk_bytes(const struct image_apply *a)
{
    return a->disk_bytes;
}

/* --- paths */

/* Without "/" at the ends, "." and empty components. */
static int apply_clean(struct buf *out, const char *path, struct err *err)
{
    struct slice rest = slice_of(path), part;

    buf_clear(out);
    buf_reserve(out, 1);
    while (slice_split(&rest, '/', &part)) {
        if (part.len == 0 || slice_is(part, "."))
            continue;
        if (slice_is(part, ".."))
            return err_set(err, ERR_CORRUPT, "%.200s: leads out of the layer", path);
        if (part.len > NAME_MAX)
            return err_set(err, ERR_CORRUPT, "%.200s: a name of %zu bytes", path, part.len);
        if (out->len > 0)
            buf_chr(out, '/');
        buf_add(out, part.p, part.len);
    }
    out->p[out->len] = 0;
    return 0;
}

static void apply_forget_parent(struct image_apply *a)
{
    a->parent = fd_close(a->parent);
    a->parent_known = false;
}

/* The dangling link `name` in `dir` stands where a directory should be: the path with its target
 * instead. */
static int apply_follow(struct buf *path, size_t from, size_t to, int dir, const char *name,
                        struct err *err)
{
    _cleanup_buf_ struct buf next = BUF_INIT;
    char target[PATH_MAX];
    ssize_t n = readlinkat(dir, name, target, sizeof(target) - 1);

    if (n < 0)
        return err_set(err, ERR_CORRUPT, "%.200s: a parent is not a directory", path->p);
    target[n] = 0;
    if (target[0] != '/')
        buf_add(&next, path->p, from);
    buf_str(&next, target);
    buf_str(&next, path->p + to);
    if (next.len > IMAGE_TAR_PATH_MAX)
        return err_set(err, ERR_CORRUPT, "%.200s: links make the path too long", path->p);
    buf_clear(path);
    buf_add(path, next.p, next.len);
    return 0;
}

/* Opens the directory `path`, which may change, component by component, making what is missing.
 * 1: done, 0: a link was replaced by its target, start again, -1. */
static int apply_make_parents(struct image_apply *a, struct buf *path, int *out, struct err *err)
{
    _cleanup_fd_ int dir = fd_open_in_root(a->o.root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
                                           err);
    size_t from = 0;

    while (dir >= 0 && from < path->len) {
        size_t to = from + strcspn(path->p + from, "/");
        _cleanup_(mem_freep) char *prefix = mem_strndup(path->p, to);
        struct err why = ERR_INIT;
        int next;

        if (to == from) {                       /* an absolute target, or "//" */
            from++;
            continue;
        }
        next = fd_open_in_root(a->o.root, prefix, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, &why);
        if (next < 0 && why.sys_errno != ENOENT && why.code != ERR_NOT_FOUND)
            return err_set(err, ERR_CORRUPT, "%.200s: a parent is not a directory", path->p);
        if (next < 0 && mkdirat(dir, prefix + from, 0755) < 0) {
            if (errno != EEXIST)
                return err_sys(err, "mkdir %.200s", prefix);
            return apply_follow(path, from, to, dir, prefix + from, err);
        }
        if (next < 0)
            next = fd_open_in_root(a->o.root, prefix, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, err);
        fd_close(dir);
        dir = next;
        from = path->p[to] ? to + 1 : to;
    }
    if (dir < 0)
        return -1;
    *out = TAKE_FD(dir);
    return 1;
}

static int apply_open_parent(struct image_apply *a, const char *path, size_t len, int *out,
                             struct err *err)
{
    _cleanup_buf_ struct buf full = BUF_INIT;
    _cleanup_(mem_freep) char *text = mem_strndup(path, len);
    struct err why = ERR_INIT;
    int fd = fd_open_in_root(a->o.root, len > 0 ? text : ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
                             &why);

    if (fd >= 0) {
        *out = fd;
        return 0;
    }
    buf_add(&full, path, len);
    for (int i = 0; i < APPLY_LINKS_MAX; i++) {
        int r = apply_make_parents(a, &full, out, err);

        if (r != 0)
            return r < 0 ? -1 : 0;
    }
    return err_set(err, ERR_CORRUPT, "%.200s: too many links", text);
}

/* Splits a cleaned path into its directory, opened, and the last name. */
static int apply_place(struct apply_at *out, struct image_apply *a, const struct buf *path,
                       struct err *err)
{
    const char *slash = memrchr(path->p, '/', path->len);
    size_t len = slash ? (size_t)(slash - path->p) : 0;

    out->name = slash ? slash + 1 : path->p;
    if (!a->parent_known || a->parent_path.len != len ||
        (len > 0 && memcmp(a->parent_path.p, path->p, len) != 0)) {
        int dir;

        apply_forget_parent(a);
        if (apply_open_parent(a, path->p, len, &dir, err) < 0)
            return -1;
        a->parent = dir;
        a->parent_known = true;
        buf_clear(&a->parent_path);
        buf_add(&a->parent_path, path->p, len);
    }
    out->dir = a->parent;
    return 0;
}

/* --- attributes */

static bool apply_xattr_kept(const char *name)
{
    if (str_starts(name, "user."))
        return !str_starts(name, "user.overlay.");      /* those would speak to overlay itself */
    return str_eq(name, "security.capability") || str_eq(name, "system.posix_acl_access") ||
           str_eq(name, "system.posix_acl_default");
}

static int apply_xattrs(int fd, const struct image_tar_entry *e, struct err *err)
{
    for (size_t i = 0; i < e->n_xattrs; i++) {
        const struct image_tar_xattr *x = &e->xattrs[i];

        if (!apply_xattr_kept(x->name) || fsetxattr(fd, x->name, x->value, x->len, 0) == 0 ||
            errno == ENOTSUP)
            continue;
        if (str_eq(x->name, "security.capability") && errno != EPERM)
            return err_sys(err, "%.200s: set %.60s", e->path, x->name);
    }
    return 0;
}

static void apply_times(struct timespec out[2], int64_t s, uint32_t ns)
{
    out[0] = (struct timespec){ .tv_nsec = UTIME_OMIT };
    out[1] = (struct timespec){ .tv_sec = (time_t)s, .tv_nsec = (long)ns };
}

static int apply_owner(const struct image_apply *a, struct apply_at at,
                       const struct image_tar_entry *e,
                       struct err *err)
{
    struct stat st;

    if (!a->root_user && fstatat(at.dir, at.name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        st.st_uid == e->uid && st.st_gid == e->gid)
        return 0;
    if (fchownat(at.dir, at.name, e->uid, e->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(err, "%.200s: owner %u:%u", e->path, e->uid, e->gid);
    return 0;
}

/* Of anything but regular files and hard links. Links have no mode; only directories have
 * attributes here. */
static int apply_meta(struct image_apply *a, struct apply_at at, const struct image_tar_entry *e,
                      struct err *err)
{
    struct timespec times[2];

    if (apply_owner(a, at, e, err) < 0)
        return -1;
    if (e->type != IMAGE_TAR_SYMLINK && fchmodat(at.dir, at.name, e->mode, 0) < 0)
        return err_sys(err, "%.200s: mode %04o", e->path, e->mode);
    if (e->type == IMAGE_TAR_DIR && e->n_xattrs > 0) {
        _cleanup_fd_ int fd = openat(at.dir, at.name,
                                     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0)
            return err_sys(err, "open %.200s", e->path);
        if (apply_xattrs(fd, e, err) < 0)
            return -1;
    }
    apply_times(times, e->mtime_s, e->mtime_ns);
    if (utimensat(at.dir, at.name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(err, "%.200s: time", e->path);
    return 0;
}

/* --- what is there already */

enum apply_found { APPLY_NOTHING, APPLY_DIR, APPLY_WHITEOUT, APPLY_OTHER };

static int apply_look(enum apply_found *out, struct apply_at at, struct err *err)
{
    struct stat st;

    *out = APPLY_NOTHING;
    if (fstatat(at.dir, at.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : err_sys(err, "stat %.200s", at.name);
    *out = S_ISDIR(st.st_mode) ? APPLY_DIR :
           S_ISCHR(st.st_mode) && st.st_rdev == 0 ? APPLY_WHITEOUT : APPLY_OTHER;
    return 0;
}

/* A later entry of the same name replaces the former one. */
static int apply_clear(struct image_apply *a, struct apply_at at, struct err *err)
{
    enum apply_found found;

    if (apply_look(&found, at, err) < 0)
        return -1;
    if (found == APPLY_DIR)
        return fd_remove_tree(at.dir, at.name, err);
    if (found != APPLY_NOTHING && unlinkat(at.dir, at.name, 0) < 0)
        return err_sys(err, "%.200s: replace", a->path.p);
    return 0;
}

/* --- one kind of entry each */

static int apply_data(struct image_apply *a, int fd, struct image_tar *t,
                      const struct image_tar_entry *e,
                      struct err *err)
{
    ssize_t n;

    while ((n = image_tar_data(t, a->block, APPLY_COPY_BYTES, err)) > 0)
        if (fd_write_all(fd, a->block, (size_t)n, err) < 0)
            return err_wrap(err, "write %.200s", e->path);
    return n < 0 ? -1 : 0;
}

static int apply_file(struct image_apply *a, struct apply_at at, const struct image_tar_entry *e,
                      struct image_tar *t, struct err *err)
{
    _cleanup_fd_ int fd = -1;
    struct timespec times[2];

    if (apply_clear(a, at, err) < 0)
        return -1;
    fd = openat(at.dir, at.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(err, "create %.200s", e->path);
    if (apply_data(a, fd, t, e, err) < 0 || apply_owner(a, at, e, err) < 0)
        return -1;
    if (fchmod(fd, e->mode) < 0)            /* after the owner: chown clears the setuid bit */
        return err_sys(err, "%.200s: mode %04o", e->path, e->mode);
    if (apply_xattrs(fd, e, err) < 0)       /* after the owner: chown clears capabilities */
        return -1;
    apply_times(times, e->mtime_s, e->mtime_ns);
    if (futimens(fd, times) < 0)
        return err_sys(err, "%.200s: time", e->path);
    a->disk_bytes += (e->size + APPLY_BLOCK - 1) / APPLY_BLOCK * APPLY_BLOCK;
    return 0;
}

static int apply_dir(struct image_apply *a, struct apply_at at, const struct image_tar_entry *e,
                     struct image_tar *t, struct err *err)
{
    enum apply_found found;
    struct apply_dir d = { NULL, e->mtime_s, e->mtime_ns };

    (void)t;
    if (apply_look(&found, at, err) < 0)
        return -1;
    if (found != APPLY_DIR) {
        if (apply_clear(a, at, err) < 0)
            return -1;
        if (mkdirat(at.dir, at.name, 0700) < 0)
            return err_sys(err, "mkdir %.200s", e->path);
        a->disk_bytes += APPLY_BLOCK;
    }
    if (apply_meta(a, at, e, err) < 0)
        return -1;
    d.path = mem_strdup(a->path.p);
    vec_push(&a->dirs, d);
    return found == APPLY_WHITEOUT ? a->o.on_opaque(a->o.ctx, a->path.p, err) : 0;
}

static int apply_symlink(struct image_apply *a, struct apply_at at, const struct image_tar_entry *e,
                         struct image_tar *t, struct err *err)
{
    (void)t;
    if (apply_clear(a, at, err) < 0)
        return -1;
    if (symlinkat(e->link, at.dir, at.name) < 0)
        return err_sys(err, "link %.200s", e->path);
    return apply_meta(a, at, e, err);
}

static int apply_hard_link(struct image_apply *a, struct apply_at at,
                           const struct image_tar_entry *e,
                           struct image_tar *t, struct err *err)
{
    _cleanup_buf_ struct buf target = BUF_INIT;
    _cleanup_fd_ int dir = -1;
    struct stat from, to;
    const char *slash, *name;

    (void)t;
    if (apply_clean(&target, e->link, err) < 0)
        return -1;
    slash = memrchr(target.p, '/', target.len);
    name = slash ? slash + 1 : target.p;
    if (slash)
        target.p[slash - target.p] = 0;
    dir = fd_open_in_root(a->o.root, slash ? target.p : ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
                          NULL);
    if (dir < 0 || fstatat(dir, name, &from, AT_SYMLINK_NOFOLLOW) < 0)
        return err_set(err, ERR_CORRUPT, "%.200s: a hard link to %.150s, which is not in the layer",
                       e->path, e->link);
    if (S_ISDIR(from.st_mode))
        return err_set(err, ERR_CORRUPT, "%.200s: a hard link to a directory", e->path);
    if (fstatat(at.dir, at.name, &to, AT_SYMLINK_NOFOLLOW) == 0 && from.st_dev == to.st_dev &&
        from.st_ino == to.st_ino)
        return 0;
    if (apply_clear(a, at, err) < 0)
        return -1;
    if (linkat(dir, name, at.dir, at.name, 0) < 0)
        return err_sys(err, "%.200s: link to %.150s", e->path, e->link);
    return 0;
}

static int apply_node(struct image_apply *a, struct apply_at at, const struct image_tar_entry *e,
                      struct image_tar *t, struct err *err)
{
    mode_t type = e->type == IMAGE_TAR_CHAR ? S_IFCHR :
                  e->type == IMAGE_TAR_BLOCK ? S_IFBLK : S_IFIFO;

    (void)t;
    if (a->o.no_devices && type != S_IFIFO)
        return 0;
    if (apply_clear(a, at, err) < 0)
        return -1;
    if (mknodat(at.dir, at.name, type | 0600, makedev(e->dev_major, e->dev_minor)) < 0)
        return err_sys(err, "make device %.200s", e->path);
    return apply_meta(a, at, e, err);
}

/* "name" of ".wh.name" goes; what this layer itself has under that name stays. */
static int apply_whiteout(struct image_apply *a, struct apply_at at, const char *hidden,
                          struct err *err)
{
    struct apply_at place = { at.dir, hidden };
    _cleanup_buf_ struct buf path = BUF_INIT;
    enum apply_found found;

    if (!*hidden || str_eq(hidden, ".") || str_eq(hidden, ".."))
        return err_set(err, ERR_CORRUPT, "%.200s: a whiteout of nothing", a->path.p);
    if (apply_look(&found, place, err) < 0)
        return -1;
    if (found == APPLY_DIR) {
        buf_add(&path, a->path.p, (size_t)(at.name - a->path.p));
        buf_str(&path, hidden);
        return a->o.on_opaque(a->o.ctx, path.p, err);
    }
    if (found == APPLY_NOTHING && mknodat(at.dir, hidden, S_IFCHR, 0) < 0)
        return err_sys(err, "make whiteout %.200s", a->path.p);
    return 0;
}

static int apply_special(struct image_apply *a, struct apply_at at, struct err *err)
{
    _cleanup_buf_ struct buf dir = BUF_INIT;

    if (!str_starts(at.name, ".wh..wh."))
        return apply_whiteout(a, at, at.name + strlen(".wh."), err);
    if (!str_eq(at.name, ".wh..wh..opq"))
        return 0;                               /* notes of aufs to itself */
    if (at.name == a->path.p)
        buf_str(&dir, ".");
    else
        buf_add(&dir, a->path.p, (size_t)(at.name - a->path.p) - 1);
    return a->o.on_opaque(a->o.ctx, dir.p, err);
}

static int apply_root(struct image_apply *a, const struct image_tar_entry *e, struct err *err)
{
    struct apply_at at = { a->o.root, "." };
    struct apply_dir d = { NULL, e->mtime_s, e->mtime_ns };

    if (e->type != IMAGE_TAR_DIR)
        return err_set(err, ERR_CORRUPT, "%.200s: the root is not a directory", e->path);
    if (apply_meta(a, at, e, err) < 0)
        return -1;
    d.path = mem_strdup(".");
    vec_push(&a->dirs, d);
    return 0;
}

int image_apply_entry(struct image_apply *a, const struct image_tar_entry *e, struct image_tar *t,
                      struct err *err)
{
    static int (*const kinds[])(struct image_apply *, struct apply_at,
                                const struct image_tar_entry *,
                                struct image_tar *, struct err *) = {
        [IMAGE_TAR_FILE] = apply_file,  [IMAGE_TAR_LINK] = apply_hard_link,
        [IMAGE_TAR_SYMLINK] = apply_symlink, [IMAGE_TAR_CHAR] = apply_node,
        [IMAGE_TAR_BLOCK] = apply_node, [IMAGE_TAR_DIR] = apply_dir, [IMAGE_TAR_FIFO] = apply_node,
    };
    struct apply_at at;

    if (apply_clean(&a->path, e->path, err) < 0)
        return -1;
    if (a->path.len == 0)
        return apply_root(a, e, err);
    if (apply_place(&at, a, &a->path, err) < 0)
        return -1;
    if (str_starts(at.name, ".wh."))
        return apply_special(a, at, err);
    return kinds[e->type](a, at, e, t, err);
}

int image_apply_finish(struct image_apply *a, struct err *err)
{
    struct timespec times[2];

    for (size_t i = 0; i < a->dirs.len; i++) {
        const struct apply_dir *d = &a->dirs.v[i];
        int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        _cleanup_fd_ int fd = fd_open_in_root(a->o.root, d->path, flags, 0, NULL);

        apply_times(times, d->mtime_s, d->mtime_ns);
        if (fd >= 0 && futimens(fd, times) < 0)
            return err_sys(err, "%.200s: time", d->path);
    }
    return 0;
}
