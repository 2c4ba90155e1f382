/* oci_root.c -- a container's file tree: root, mounts in order of depth, masked and read-only paths, pivot.
 *
 * Sources of binds are cloned first, in the host's namespace, so that they keep what they propagate to; then comes
 * our own namespace, in which everything is attached. Nothing is ever mounted at a path of the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "runtime/oci/oci_child.h"

#define CGROUP_DIRS_MAX 16

struct job {
    const struct oci_pod *pod;
    const struct oci_plan *plan;
    const struct plan_mount *v[PLAN_MOUNTS_MAX];     /* in the order of mounting */
    int tree[PLAN_MOUNTS_MAX];                       /* cloned source, or -1 */
    size_t len;
    struct { char *name; int tree; } groups[CGROUP_DIRS_MAX];
    size_t n_groups;
    int root;
};

/* --- order */

static int depth_of(const char *path)
{
    int depth = 0;

    for (; *path; path++)
        depth += path[0] == '/' && path[1] && path[1] != '/';
    return depth;
}

static bool same_path(const char *a, const char *b)
{
    while (*a && *b) {
        while (a[0] == '/' && (a[1] == '/' || !a[1]))
            a++;
        while (b[0] == '/' && (b[1] == '/' || !b[1]))
            b++;
        if (*a != *b)
            return false;
        if (*a)
            a++, b++;
    }
    return a[strspn(a, "/")] == '\0' && b[strspn(b, "/")] == '\0';
}

static void order_mounts(struct job *j)
{
    const struct oci_plan *p = j->plan;

    for (size_t i = 0; i < p->mounts.len; i++) {
        const struct plan_mount *m = &p->mounts.v[i];
        bool replaced = false;
        size_t at = j->len;

        for (size_t k = i + 1; k < p->mounts.len && !replaced; k++)
            replaced = same_path(m->dest, p->mounts.v[k].dest);
        if (replaced)
            continue;
        for (; at > 0 && depth_of(j->v[at - 1]->dest) > depth_of(m->dest); at--)
            j->v[at] = j->v[at - 1];
        j->v[at] = m;
        j->len++;
    }
    for (size_t i = 0; i < j->len; i++)
        j->tree[i] = -1;
}

/* --- sources */

/* One directory below an open one. The new one is opened before its mode is set: nobody can put a
 * link in its place. */
static int make_below(int parent, const char *name, mode_t mode, struct err *err)
{
    _cleanup_fd_ int fd = -1;

    if (mkdirat(parent, name, 0700) < 0)
        return errno == EEXIST ? 0 : err_sys(err, "make %s", name);
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, mode) < 0)
        return err_sys(err, "set the mode of %s", name);
    return 0;
}

static int make_subpath(int source, const char *path, struct err *err)
{
    char done[PATH_MAX] = ".", part[NAME_MAX + 1];
    struct stat st;

    if (fstat(source, &st) < 0)
        return err_sys(err, "stat a volume");
    while (*(path += strspn(path, "/"))) {
        size_t len = strcspn(path, "/"), had = strlen(done);
        _cleanup_fd_ int parent = fd_open_beneath(source, done, O_RDONLY | O_DIRECTORY, 0, err);

        if (len > NAME_MAX || had + len + 2 > sizeof(done))
            return err_set(err, ERR_INVALID, "name too long");
        snprintf(part, sizeof(part), "%.*s", (int)len, path);
        if (parent < 0 || make_below(parent, part, st.st_mode & 07777, err) < 0)
            return -1;
        snprintf(done + had, sizeof(done) - had, "/%s", part);
        path += len;
    }
    return 0;
}

static int clone_bind(const struct plan_mount *m, struct err *err)
{
    struct err why = ERR_INIT;
    _cleanup_fd_ int source = -1, below = -1;

    if (str_empty(m->subpath))
        return oci_mount_clone(AT_FDCWD, m->source, m->recursive, err);
    source = open(m->source, O_PATH | O_CLOEXEC | O_DIRECTORY);
    if (source < 0)
        return err_sys(err, "open %s", m->source);
    below = fd_open_beneath(source, m->subpath, O_PATH | O_CLOEXEC, 0, &why);
    if (below < 0 && why.code == ERR_NOT_FOUND && m->make_subpath) {
        if (make_subpath(source, m->subpath, err) < 0)
            return err_wrap(err, "subPath %s", m->subpath);
        below = fd_open_beneath(source, m->subpath, O_PATH | O_CLOEXEC, 0, &why);
    }
    if (below < 0)
        err_set(err, why.code, "%s", why.msg);
    if (below < 0)
        return err_wrap(err, "subPath %s", m->subpath);
    return oci_mount_clone(below, "", m->recursive, err);
}

static int clone_sources(struct job *j, struct err *err)
{
    for (size_t i = 0; i < j->len; i++) {
        if (j->v[i]->kind != PLAN_BIND)
            continue;
        j->tree[i] = clone_bind(j->v[i], err);
        if (j->tree[i] < 0)
            return err_wrap(err, "mount %s", j->v[i]->dest);
    }
    return 0;
}

/* The pod's shared memory is the root of a namespace apart: there and back. */
static int clone_shm(struct job *j, struct err *err)
{
    for (size_t i = 0; i < j->len && j->pod->shm >= 0; i++) {
        if (j->v[i]->kind != PLAN_SHM)
            continue;
        if (setns(j->pod->shm, CLONE_NEWNS) < 0)
            return err_sys(err, "enter the shared memory's namespace");
        j->tree[i] = oci_mount_clone(AT_FDCWD, "/", false, err);
        if (setns(j->pod->mounts, CLONE_NEWNS) < 0)
            return err_sys(err, "return to the host's mount namespace");
        if (j->tree[i] < 0)
            return err_wrap(err, "mount %s", j->v[i]->dest);
    }
    return 0;
}

static void clone_group(void *ctx, const char *name, const char *dir)
{
    struct job *j = ctx;

    if (j->n_groups == CGROUP_DIRS_MAX)
        return;
    j->groups[j->n_groups].name = mem_strdup(name);
    j->groups[j->n_groups++].tree = oci_mount_clone(AT_FDCWD, dir, false, NULL);
}

/* --- the root */

static int overlay_set(int fs, const char *key, const char *value, struct err *err)
{
    unsigned cmd = value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;

    return fsconfig(fs, cmd, key, value, 0) < 0 ? err_sys(err, "overlay: %s", key) : 0;
}

/* Layers go in as short names of descriptors: a value may have 255 bytes. More than fit are added one by one,
 * which kernels can from 6.5 on. */
static int overlay_layers(int fs, const int *fds, size_t n, struct err *err)
{
    _cleanup_buf_ struct buf all = BUF_INIT;

    for (size_t i = 0; i < n; i++)
        buf_fmt(&all, "%s/proc/self/fd/%d", i ? ":" : "", fds[i]);
    if (all.len <= 255)
        return overlay_set(fs, "lowerdir", all.p, err);
    for (size_t i = 0; i < n; i++) {
        char path[40];

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[i]);
        if (overlay_set(fs, "lowerdir+", path, err) < 0)
            return -1;
    }
    return 0;
}

static int overlay_mount(const struct plan_rootfs *r, const int *fds, struct err *err)
{
    _cleanup_fd_ int fs = fsopen("overlay", FSOPEN_CLOEXEC);
    char text[256];
    ssize_t n;
    int fd;

    if (fs < 0)
        return err_sys(err, "overlay");
    if (overlay_layers(fs, fds, r->lower.len, err) < 0)
        return -1;
    if (r->upper && (overlay_set(fs, "upperdir", r->upper, err) < 0 ||
                     overlay_set(fs, "workdir", r->work, err) < 0))
        return -1;
    /* The upper layer never outlives its container by a power cut: no need to sync it. The kernel leaves a mark
     * against a second use of such a layer, which is fine as long as the machine stayed up. */
    if (r->upper && overlay_set(fs, "volatile", NULL, NULL) == 0) {
        _cleanup_fd_ int work = open(r->work, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (work >= 0)
            (void)fd_remove_tree(work, "work/incompat", NULL);
    }
    if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
        err_sys(err, "overlay");
        n = read(fs, text, sizeof(text) - 1);
        text[n > 0 ? n : 0] = '\0';
        text[strcspn(text, "\n")] = '\0';
        return n > 2 ? err_wrap(err, "%s", text + 2) : -1;
    }
    fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
    return fd < 0 ? err_sys(err, "overlay") : fd;
}

static int root_overlay(const struct plan_rootfs *r, struct err *err)
{
    int fds[PLAN_LOWER_MAX], fd = -1;
    size_t n = 0;

    for (; n < r->lower.len; n++) {
        fds[n] = open(r->lower.v[n], O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fds[n] < 0) {
            err_sys(err, "layer %s", r->lower.v[n]);
            break;
        }
    }
    if (n == r->lower.len)
        fd = overlay_mount(r, fds, err);
    while (n > 0)
        fd_close(fds[--n]);
    return fd;
}

static int root_make(struct job *j, struct err *err)
{
    const struct plan_rootfs *r = &j->plan->rootfs;

    j->root = r->dir ? oci_mount_clone(AT_FDCWD, r->dir, true, err) : root_overlay(r, err);
    if (j->root < 0)
        return err_wrap(err, "root file system");
    if (oci_mount_set(j->root, j->plan->host_dev ? 0 : MOUNT_ATTR_NODEV, MS_PRIVATE, false, err) < 0)
        return -1;
    return oci_mount_attach(j->root, AT_FDCWD, "/", err);
}

/* --- mounts */

static uint64_t mount_attr(const struct plan_mount *m, bool host_dev)
{
    uint64_t attr = 0;

    if (m->read_only)
        attr |= MOUNT_ATTR_RDONLY;
    if (m->noexec)
        attr |= MOUNT_ATTR_NOEXEC;
    if (!m->allow_dev && !(host_dev && m->kind == PLAN_BIND))
        attr |= MOUNT_ATTR_NODEV;
    if (!m->allow_suid && m->kind != PLAN_BIND)
        attr |= MOUNT_ATTR_NOSUID;
    return attr;
}

static int make_tmpfs(const struct plan_mount *m, uint64_t attr, struct err *err)
{
    char mode[16], size[32];
    struct oci_opt opts[2] = { { "mode", mode }, { "size", size } };

    snprintf(mode, sizeof(mode), "%o", m->mode ? m->mode : 01777);
    snprintf(size, sizeof(size), "%lld", (long long)(m->size_bytes ? m->size_bytes : OCI_SHM_BYTES));
    return oci_mount_new("tmpfs", opts, m->size_bytes || m->kind == PLAN_SHM ? 2 : 1,
                         (unsigned)attr, err);
}

static int make_mount(struct job *j, size_t i, struct err *err)
{
    static const struct oci_opt pts[] = { { "newinstance", NULL }, { "ptmxmode", "0666" },
                                          { "mode", "0620" }, { "gid", "5" } };
    const struct plan_mount *m = j->v[i];
    unsigned attr = (unsigned)mount_attr(m, j->plan->host_dev);

    switch (m->kind) {
    case PLAN_BIND: break;
    case PLAN_SHM:
        return j->tree[i] >= 0 ? 0 : (j->tree[i] = make_tmpfs(m, attr, err));
    case PLAN_TMPFS: return j->tree[i] = make_tmpfs(m, attr, err);
    case PLAN_PROC: return j->tree[i] = oci_mount_new("proc", NULL, 0, attr, err);
    case PLAN_SYSFS: return j->tree[i] = oci_mount_new("sysfs", NULL, 0, attr, err);
    case PLAN_DEVPTS:
        return j->tree[i] = oci_mount_new("devpts", pts, ARRAY_LEN(pts), attr & ~MOUNT_ATTR_NODEV, err);
    case PLAN_MQUEUE: return j->tree[i] = oci_mount_new("mqueue", NULL, 0, attr, err);
    case PLAN_DEV: return oci_dev_make(&j->tree[i], j->plan, err);
    case PLAN_CGROUP: {
        static const struct oci_opt opts[] = { { "mode", "0755" } };

        if (cgroup_is_v2(j->pod->cgroup) && j->n_groups == 1)
            return j->tree[i] = TAKE_FD(j->groups[0].tree);
        return j->tree[i] = oci_mount_new("tmpfs", opts, 1, attr & ~MOUNT_ATTR_RDONLY, err);
    }
    case PLAN_MOUNT_MAX: check_unreachable();
    }
    return 0;
}

/* v1: a folder per hierarchy, and links for those mounted together. */
static int fill_groups(struct job *j, int at, const struct plan_mount *m, struct err *err)
{
    for (size_t i = 0; i < j->n_groups; i++) {
        const char *name = j->groups[i].name;
        struct slice rest = slice_of(name), part;

        if (j->groups[i].tree < 0)
            continue;
        if (mkdirat(at, name, 0755) < 0)
            return err_sys(err, "make %s", name);
        while (strchr(name, ',') && slice_split(&rest, ',', &part)) {
            char link[32];

            snprintf(link, sizeof(link), "%.*s", (int)part.len, part.p);
            if (symlinkat(name, at, link) < 0)
                return err_sys(err, "make %s", link);
        }
        if (oci_mount_set(j->groups[i].tree, mount_attr(m, false), MS_PRIVATE, false, err) < 0 ||
            oci_mount_attach(j->groups[i].tree, at, name, err) < 0)
            return err_wrap(err, "%s", name);
    }
    return oci_mount_set(at, mount_attr(m, false), 0, false, err);
}

static int attach_mount(struct job *j, size_t i, struct err *err)
{
    static const uint64_t propagation[] = { [PLAN_PRIVATE] = MS_PRIVATE, [PLAN_SLAVE] = MS_SLAVE,
                                            [PLAN_SHARED] = MS_SHARED };
    const struct plan_mount *m = j->v[i];
    bool is_bind = m->kind == PLAN_BIND;
    _cleanup_fd_ int at = -1;
    struct stat st;

    if (make_mount(j, i, err) < 0)
        return -1;
    if (fstat(j->tree[i], &st) < 0)
        return err_sys(err, "stat source");
    at = oci_path_make(j->root, m->dest, S_ISDIR(st.st_mode), err);
    if (at < 0)
        return -1;
    /* Propagation goes with what is below, attributes only when asked. */
    if (is_bind && oci_mount_set(j->tree[i], 0, propagation[m->propagation], true, err) < 0)
        return -1;
    if ((is_bind || m->kind == PLAN_SHM) &&
        oci_mount_set(j->tree[i], mount_attr(m, j->plan->host_dev), is_bind ? 0 : MS_PRIVATE,
                      m->recursive, err) < 0)
        return -1;
    if (oci_mount_attach(j->tree[i], at, "", err) < 0)
        return -1;
    if (m->kind == PLAN_DEV)
        return oci_dev_bind(j->tree[i], j->plan, err);
    if (m->kind == PLAN_CGROUP && j->n_groups > 1)
        return fill_groups(j, j->tree[i], m, err);
    if (m->kind == PLAN_CGROUP)
        return oci_mount_set(j->tree[i], mount_attr(m, false), MS_PRIVATE, false, err);
    return 0;
}

static int mask_path(struct job *j, const char *path, struct err *err)
{
    static const struct oci_opt opts[] = { { "size", "0" }, { "mode", "0555" } };
    struct err why = ERR_INIT;
    _cleanup_fd_ int at = oci_path_open(j->root, path, &why), tree = -1;
    struct stat st;

    if (at < 0)
        return why.code == ERR_NOT_FOUND ? 0 : err_set(err, why.code, "%s", why.msg);
    if (fstat(at, &st) < 0)
        return err_sys(err, "stat");
    tree = S_ISDIR(st.st_mode) ? oci_mount_new("tmpfs", opts, ARRAY_LEN(opts), MOUNT_ATTR_RDONLY, err)
                               : oci_mount_clone(AT_FDCWD, "/dev/null", false, err);
    if (tree < 0 || oci_mount_set(tree, 0, MS_PRIVATE, false, err) < 0)
        return -1;
    return oci_mount_attach(tree, at, "", err);
}

static int readonly_path(struct job *j, const char *path, struct err *err)
{
    struct err why = ERR_INIT;
    _cleanup_fd_ int at = oci_path_open(j->root, path, &why), tree = -1;

    if (at < 0)
        return why.code == ERR_NOT_FOUND ? 0 : err_set(err, why.code, "%s", why.msg);
    tree = oci_mount_clone(at, "", true, err);
    if (tree < 0 || oci_mount_set(tree, MOUNT_ATTR_RDONLY, 0, true, err) < 0)
        return -1;
    return oci_mount_attach(tree, at, "", err);
}

static int attach_all(struct job *j, struct err *err)
{
    const struct oci_plan *p = j->plan;

    for (size_t i = 0; i < j->len; i++)
        if (attach_mount(j, i, err) < 0)
            return err_wrap(err, "mount %s", j->v[i]->dest);
    if (oci_dev_extra(j->root, p, err) < 0)
        return -1;
    for (size_t i = 0; i < p->masked.len; i++)
        if (mask_path(j, p->masked.v[i], err) < 0)
            return err_wrap(err, "mask %s", p->masked.v[i]);
    for (size_t i = 0; i < p->readonly.len; i++)
        if (readonly_path(j, p->readonly.v[i], err) < 0)
            return err_wrap(err, "make %s read-only", p->readonly.v[i]);
    return 0;
}

static int make_cwd(struct job *j, struct err *err)
{
    _cleanup_fd_ int at = -1;

    if (str_empty(j->plan->cwd))
        return 0;
    at = oci_path_make(j->root, j->plan->cwd, true, err);
    return at < 0 ? err_wrap(err, "working directory %s", j->plan->cwd) : 0;
}

static int root_enter(struct job *j, const char *cgroup_path, struct err *err)
{
    order_mounts(j);
    cgroup_each_dir(j->pod->cgroup, cgroup_path, clone_group, j);
    if (clone_shm(j, err) < 0 || clone_sources(j, err) < 0)
        return -1;
    if (unshare(CLONE_NEWNS) < 0)
        return err_sys(err, "new mount namespace");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return err_sys(err, "make mounts private");
    if (root_make(j, err) < 0 || attach_all(j, err) < 0 || make_cwd(j, err) < 0 ||
        oci_mount_pivot(j->root, err) < 0)
        return -1;
    if (j->plan->rootfs.read_only && oci_mount_set(j->root, MOUNT_ATTR_RDONLY, 0, false, err) < 0)
        return -1;
    return 0;
}

int oci_root_enter(const struct oci_pod *pod, const struct oci_plan *p, const char *cgroup_path,
                   struct err *err)
{
    struct job *j = NEW(struct job);
    int result;

    j->pod = pod;
    j->plan = p;
    j->root = -1;
    result = root_enter(j, cgroup_path, err);
    fd_close(j->root);
    for (size_t i = 0; i < j->len; i++)
        fd_close(j->tree[i]);
    for (size_t i = 0; i < j->n_groups; i++) {
        fd_close(j->groups[i].tree);
        mem_free(j->groups[i].name);
    }
    mem_free(j);
    return result;
}
