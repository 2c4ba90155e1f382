/* cgroup_procs.c -- processes in groups: join, kill, count, and the removal of groups. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/map.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/cgroup_tree.h"

#define DEPTH_MAX 32                     /* a container may nest groups in its own */
#define KILL_PASSES_MAX 8                /* without freezer and cgroup.kill: forks race with us */

static bool is_missing(const struct err *err)
{
    return err->code == ERR_NOT_FOUND || err->sys_errno == ENOENT || err->sys_errno == ENODEV;
}

int cgroup_join(const struct cgroup *c, const char *path, bool in_v2, struct err *err)
{
    for (size_t i = 0; i < c->len; i++) {
        const struct cgroup_tree *t = &c->v[i];

        if (t->v2 && in_v2)
            continue;
        if (cgroup_write(t, path, t->v2 ? "cgroup.procs" : "tasks", "0", err) < 0)
            return err_wrap(err, "join group %s", path);
    }
    return 0;
}

int cgroup_add(const struct cgroup *c, const char *path, pid_t pid, struct err *err)
{
    char text[24];

    snprintf(text, sizeof(text), "%d", (int)pid);
    for (size_t i = 0; i < c->len; i++)
        if (cgroup_write(&c->v[i], path, "cgroup.procs", text, err) < 0)
            return err_wrap(err, "add process %d to group %s", (int)pid, path);
    return 0;
}

int cgroup_open_v2(const struct cgroup *c, const char *path, struct err *err)
{
    const struct cgroup_tree *t = cgroup_tree_v2(c);
    char dir[PATH_MAX];
    int fd;

    if (!t)
        return err_set(err, ERR_UNSUPPORTED, "no version 2 hierarchy");
    if (cgroup_file(dir, t, path, NULL, err) < 0)
        return -1;
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? err_sys(err, "open %s", dir) : fd;
}

/* Calls each(ctx, dir fd) for a directory and all below, children first; a negative answer ends the
 * walk. */
struct walk {
    int (*each)(void *ctx, int dir, struct err *err);
    void *ctx;
    bool remove;                         /* directories below are removed after their visit */
};

static int walk_dir(int parent, const char *name, const struct walk *w, int depth, struct err *err);

static int walk_children(int dir, const struct walk *w, int depth, struct err *err)
{
    int copy = fcntl(dir, F_DUPFD_CLOEXEC, 0), result = 0;
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *e;

    if (!d) {
        fd_close(copy);
        return err_sys(err, "list group");
    }
    while (result == 0 && (e = readdir(d)))
        if (e->d_type == DT_DIR && e->d_name[0] != '.')
            result = walk_dir(dir, e->d_name, w, depth + 1, err);
    closedir(d);
    return result;
}

static int walk_dir(int parent, const char *name, const struct walk *w, int depth, struct err *err)
{
    _cleanup_fd_ int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    if (dir < 0)
        return errno == ENOENT || errno == ENODEV ? 0 : err_sys(err, "open group %s", name);
    if (depth > DEPTH_MAX)
        return err_set(err, ERR_QUOTA, "groups nested deeper than %d", DEPTH_MAX);
    if (walk_children(dir, w, depth, err) < 0)
        return -1;
    if (w->each && w->each(w->ctx, dir, err) < 0)
        return -1;
    if (!w->remove || unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    if (errno == EBUSY)
        return err_set(err, ERR_UNAVAILABLE, "group %s still has processes", name);
    return err_sys(err, "remove group %s", name);
}

static int walk(const struct cgroup_tree *t, const char *path, const struct walk *w,
                struct err *err)
{
    char dir[PATH_MAX];

    if (cgroup_file(dir, t, path, NULL, err) < 0)
        return -1;
    return walk_dir(AT_FDCWD, dir, w, 0, err);
}

static int each_pid(int dir, void (*each)(void *ctx, pid_t pid), void *ctx, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct slice rest, line;
    struct err why = ERR_INIT;

    if (fd_read_file(&text, dir, "cgroup.procs", CGROUP_FILE_BYTES_MAX, &why) < 0) {
        if (is_missing(&why))
            return 0;
        if (err)
            *err = why;
        return -1;
    }
    rest = (struct slice){ text.p, text.len };
    while (slice_split(&rest, '\n', &line)) {
        char number[16];
        int64_t pid;

        snprintf(number, sizeof(number), "%.*s", (int)line.len, line.p);
        if (line.len && str_to_i64(number, 0, INT32_MAX, &pid, NULL) == 0)
            each(ctx, (pid_t)pid);
    }
    return 0;
}

/* --- counting */

static void count_one(void *ctx, pid_t pid)
{
    (void)pid;
    (*(int *)ctx)++;
}

static int count_dir(void *ctx, int dir, struct err *err)
{
    return each_pid(dir, count_one, ctx, err);
}

/* One hierarchy has them all; the newest tells the truth soonest. */
static const struct cgroup_tree *main_tree(const struct cgroup *c)
{
    const struct cgroup_tree *t = cgroup_tree_v2(c);

    if (!t)
        t = cgroup_tree_of(c, CGROUP_FREEZER);
    return t ? t : &c->v[0];
}

int cgroup_count(const struct cgroup *c, const char *path, struct err *err)
{
    int n = 0;

    if (walk(main_tree(c), path, &(struct walk){ .each = count_dir, .ctx = &n }, err) < 0)
        return -1;
    return n;
}

/* --- killing */

static void kill_one(void *ctx, pid_t pid)
{
    if (pid > 1 && pid != getpid() && kill(pid, SIGKILL) == 0)
        (*(int *)ctx)++;
}

static int kill_dir(void *ctx, int dir, struct err *err)
{
    return each_pid(dir, kill_one, ctx, err);
}

/* Without cgroup.kill: stop all, signal all, let them go on to die. */
static int kill_frozen(const struct cgroup *c, const char *path, struct err *err)
{
    const struct cgroup_tree *t = main_tree(c);
    const char *file = t->v2 ? "cgroup.freeze" : "freezer.state";
    bool can_freeze = t->v2 || (t->has & CGROUP_FREEZER);
    int passes = can_freeze ? 2 : KILL_PASSES_MAX, result = 0;

    if (can_freeze)
        cgroup_write(t, path, file, t->v2 ? "1" : "FROZEN", NULL);
    for (int i = 0; i < passes && result == 0; i++) {
        int n = 0;

        result = walk(t, path, &(struct walk){ .each = kill_dir, .ctx = &n }, err);
        if (n == 0)
            break;
    }
    if (can_freeze)
        cgroup_write(t, path, file, t->v2 ? "0" : "THAWED", NULL);
    return result;
}

int cgroup_kill(const struct cgroup *c, const char *path, struct err *err)
{
    const struct cgroup_tree *t = cgroup_tree_v2(c);
    char dir[PATH_MAX];
    struct err why = ERR_INIT;

    if (t && cgroup_write(t, path, "cgroup.kill", "1", &why) == 0)
        return 0;
    if (t && !is_missing(&why)) {
        if (err)
            *err = why;
        return -1;
    }
    if (cgroup_file(dir, main_tree(c), path, NULL, err) < 0)
        return -1;
    if (access(dir, F_OK) < 0)
        return 0;
    return kill_frozen(c, path, err);
}

/* --- removing and listing */

int cgroup_remove(const struct cgroup *c, const char *path, struct err *err)
{
    for (size_t i = 0; i < c->len; i++)
        if (walk(&c->v[i], path, &(struct walk){ .remove = true }, err) < 0)
            return err_wrap(err, "remove group %s", path);
    return 0;
}

int cgroup_list(const struct cgroup *c, const char *path,
                void (*each)(void *ctx, const char *name), void *ctx, struct err *err)
{
    struct map *seen = map_new();
    int result = 0;

    for (size_t i = 0; i < c->len && result == 0; i++) {
        char dir[PATH_MAX];
        struct dirent *e;
        DIR *d;

        result = cgroup_file(dir, &c->v[i], path, NULL, err);
        d = result == 0 ? opendir(dir) : NULL;
        if (!d && result == 0 && errno != ENOENT)
            result = err_sys(err, "list %s", dir);
        while (d && (e = readdir(d)))
            if (e->d_type == DT_DIR && e->d_name[0] != '.' && !map_put(seen, e->d_name, seen))
                each(ctx, e->d_name);
        if (d)
            closedir(d);
    }
    map_free(seen, NULL);
    return result;
}
