/* cgroup.c -- finding the hierarchies, and paths in them. */
#include "runtime/cgroup/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "runtime/cgroup/cgroup_tree.h"

static const struct { const char *name; unsigned bit; } controllers[] = {
    { "cpu", CGROUP_CPU }, { "cpuacct", CGROUP_CPUACCT }, { "memory", CGROUP_MEMORY },
    { "pids", CGROUP_PIDS }, { "freezer", CGROUP_FREEZER },
};

static unsigned controller_bit(struct slice name)
{
    for (size_t i = 0; i < ARRAY_LEN(controllers); i++)
        if (slice_is(name, controllers[i].name))
            return controllers[i].bit;
    return 0;
}

/* Bits of the known controllers in a list; *text (may be NULL) gets them as a list. */
static unsigned controllers_parse(struct slice list, char sep, struct buf *text)
{
    struct slice part;
    unsigned bits = 0;

    while (slice_split(&list, sep, &part)) {
        unsigned bit = controller_bit(part);

        if (bit && !(bits & bit) && text) {
            buf_str(text, bits ? "," : "");
            buf_add(text, part.p, part.len);
        }
        bits |= bit;
    }
    return bits;
}

/* mountinfo writes space, tab, newline and backslash as \ooo. */
static char *mount_unescape(struct slice s)
{
    char *out = mem_alloc(s.len + 1);
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] == '\\' && i + 3 < s.len) {
            out[n++] =
                (char)((s.p[i + 1] - '0') * 64 + (s.p[i + 2] - '0') * 8 + (s.p[i + 3] - '0'));
            i += 3;
        } else {
            out[n++] = s.p[i];
        }
    }
    return out;
}

static bool tree_known(const struct cgroup *c, unsigned has, bool v2)
{
    for (size_t i = 0; i < c->len; i++)
        if (c->v[i].v2 == v2 && (v2 || (c->v[i].has & has)))
            return true;
    return false;
}

static void tree_add(struct cgroup *c, char *mount, char *name, unsigned has, bool v2)
{
    struct cgroup_tree *t = &c->v[c->len++];

    *t = (struct cgroup_tree){ .mount = mount, .name = name, .has = has, .v2 = v2 };
    t->dir = mem_printf("%s/%s", mount, c->root);
}

/* 36 35 98:0 /root /mount options [optional ...] - type source super-options */
static void scan_line(struct cgroup *c, struct slice line)
{
    struct slice mount = { 0 }, type, field, super = { 0 };
    int at = 0;

    while (slice_split(&line, ' ', &field) && !(at > 5 && slice_is(field, "-"))) {
        if (at++ == 4)
            mount = field;
    }
    if (!mount.p || !slice_split(&line, ' ', &type) || !slice_split(&line, ' ', &field))
        return;
    if (!slice_split(&line, ' ', &super) || c->len == CGROUP_TREES_MAX)
        return;
    if (slice_is(type, "cgroup2") && !tree_known(c, 0, true)) {
        tree_add(c, mount_unescape(mount), mem_strdup(""), 0, true);
    } else if (slice_is(type, "cgroup")) {
        _cleanup_buf_ struct buf name = BUF_INIT;
        unsigned has = controllers_parse(super, ',', &name);

        if (has && !tree_known(c, has, false))
            tree_add(c, mount_unescape(mount), buf_take(&name, NULL), has, false);
    }
}

int cgroup_check_path(const char *path, struct err *err)
{
    struct slice rest = slice_of(path), part;

    if (!*path)
        return 0;
    if (rest.len >= CGROUP_PATH_BYTES)
        return err_set(err, ERR_INVALID, "cgroup path is longer than %d bytes", CGROUP_PATH_BYTES);
    while (slice_split(&rest, '/', &part))
        if (part.len == 0 || slice_is(part, ".") || slice_is(part, ".."))
            return err_set(err, ERR_INVALID, "bad cgroup path \"%s\"", path);
    if (path[strlen(path) - 1] == '/')
        return err_set(err, ERR_INVALID, "bad cgroup path \"%s\"", path);
    return 0;
}

int cgroup_scan(struct cgroup **out, const char *mountinfo, const char *root, struct err *err)
{
    _cleanup_(cgroup_freep) struct cgroup *c = NULL;
    struct slice rest = slice_of(mountinfo), line;

    if (str_empty(root))
        root = CGROUP_ROOT_DEFAULT;
    if (cgroup_check_path(root, err) < 0)
        return -1;
    c = NEW(struct cgroup);
    c->root = mem_strdup(root);
    while (slice_split(&rest, '\n', &line))
        scan_line(c, line);
    if (c->len == 0)
        return err_set(err, ERR_UNSUPPORTED, "no cgroup file system is mounted");
    *out = TAKE(c);
    return 0;
}

int cgroup_enable_v2(const char *dir, struct err *err)
{
    _cleanup_buf_ struct buf have = BUF_INIT, want = BUF_INIT;
    char path[PATH_MAX];
    struct slice rest, part;

    snprintf(path, sizeof(path), "%s/cgroup.controllers", dir);
    if (fd_read_file(&have, AT_FDCWD, path, CGROUP_FILE_BYTES_MAX, err) < 0)
        return -1;
    rest = slice_trim((struct slice){ have.p, have.len && have.p[have.len - 1] == '\n' ?
                                      have.len - 1 : have.len });
    while (slice_split(&rest, ' ', &part)) {
        if (controller_bit(part))
            buf_fmt(&want, "%s+%.*s", want.len ? " " : "", (int)part.len, part.p);
    }
    if (want.len == 0)
        return 0;
    snprintf(path, sizeof(path), "%s/cgroup.subtree_control", dir);
    return fd_write_kernel(AT_FDCWD, path, want.p, err);
}

/* Makes our root, part by part, with the controllers enabled on the way (v2). */
static int tree_make_root(const struct cgroup_tree *t, const char *root, struct err *err)
{
    _cleanup_(mem_freep) char *dir = mem_strdup(t->mount);
    struct slice rest = slice_of(root), part;

    while (slice_split(&rest, '/', &part)) {
        char *next = mem_printf("%s/%.*s", dir, (int)part.len, part.p);

        if (t->v2 && t->has && cgroup_enable_v2(dir, err) < 0) {
            mem_free(next);
            return err_wrap(err, "enable controllers in %s", dir);
        }
        mem_free(dir);
        dir = next;
        if (mkdir(dir, 0755) < 0 && errno != EEXIST)
            return err_sys(err, "make %s", dir);
    }
    if (t->v2 && t->has && cgroup_enable_v2(dir, err) < 0)
        return err_wrap(err, "enable controllers in %s", dir);
    return 0;
}

int cgroup_prepare(struct cgroup *c, struct err *err)
{
    for (size_t i = 0; i < c->len; i++) {
        struct cgroup_tree *t = &c->v[i];

        if (t->v2) {
            _cleanup_buf_ struct buf text = BUF_INIT;
            char path[PATH_MAX];

            snprintf(path, sizeof(path), "%s/cgroup.controllers", t->mount);
            if (fd_read_file(&text, AT_FDCWD, path, CGROUP_FILE_BYTES_MAX, err) < 0)
                return -1;
            if (text.len && text.p[text.len - 1] == '\n')
                text.len--;
            t->has = controllers_parse((struct slice){ text.p, text.len }, ' ', NULL);
        }
        if (tree_make_root(t, c->root, err) < 0)
            return -1;
    }
    return 0;
}

int cgroup_open(struct cgroup **out, const char *root, struct err *err)
{
    _cleanup_(cgroup_freep) struct cgroup *c = NULL;
    _cleanup_buf_ struct buf text = BUF_INIT;

    check(out);
    if (fd_read_file(&text, AT_FDCWD, "/proc/self/mountinfo", 16u << 20, err) < 0)
        return -1;
    if (cgroup_scan(&c, text.p ? text.p : "", root, err) < 0 || cgroup_prepare(c, err) < 0)
        return err_wrap(err, "open cgroups");
    *out = TAKE(c);
    return 0;
}

struct cgroup *cgroup_free(struct cgroup *c)
{
    if (!c)
        return NULL;
    for (size_t i = 0; i < c->len; i++) {
        mem_free(c->v[i].mount);
        mem_free(c->v[i].dir);
        mem_free(c->v[i].name);
    }
    mem_free(c->root);
    return mem_free(c);
}

/* Line 1 the root, then "<version> <controller bits> <name or -> <mount point>". */
void cgroup_describe(const struct cgroup *c, struct buf *out)
{
    buf_fmt(out, "%s\n", c->root);
    for (size_t i = 0; i < c->len; i++)
        buf_fmt(out, "%d %u %s %s\n", c->v[i].v2 ? 2 : 1, c->v[i].has,
                *c->v[i].name ? c->v[i].name : "-", c->v[i].mount);
}

static int tree_from_line(struct cgroup *c, struct slice line, struct err *err)
{
    struct slice version, bits, name;
    char number[16];
    int64_t has;

    if (!slice_split(&line, ' ', &version) || !slice_split(&line, ' ', &bits) ||
        !slice_split(&line, ' ', &name) || line.len == 0 || c->len == CGROUP_TREES_MAX)
        return err_set(err, ERR_INVALID, "bad cgroup description");
    snprintf(number, sizeof(number), "%.*s", (int)bits.len, bits.p);
    if (str_to_i64(number, 0, 0xff, &has, err) < 0)
        return -1;
    tree_add(c, mem_strndup(line.p, line.len),
             slice_is(name, "-") ? mem_strdup("") : mem_strndup(name.p, name.len), (unsigned)has,
             slice_is(version, "2"));
    return 0;
}

int cgroup_from_text(struct cgroup **out, const char *text, struct err *err)
{
    _cleanup_(cgroup_freep) struct cgroup *c = NEW(struct cgroup);
    struct slice rest = slice_of(text), line;

    if (!slice_split(&rest, '\n', &line) || line.len == 0)
        return err_set(err, ERR_INVALID, "bad cgroup description");
    c->root = mem_strndup(line.p, line.len);
    if (cgroup_check_path(c->root, err) < 0)
        return -1;
    while (slice_split(&rest, '\n', &line))
        if (line.len && tree_from_line(c, line, err) < 0)
            return -1;
    if (c->len == 0)
        return err_set(err, ERR_INVALID, "bad cgroup description: no hierarchy");
    *out = TAKE(c);
    return 0;
}

const struct cgroup_tree *cgroup_tree_of(const struct cgroup *c, unsigned controller)
{
    for (size_t i = 0; i < c->len; i++)
        if (c->v[i].has & controller)
            return &c->v[i];
    return NULL;
}

const struct cgroup_tree *cgroup_tree_v2(const struct cgroup *c)
{
    for (size_t i = 0; i < c->len; i++)
        if (c->v[i].v2)
            return &c->v[i];
    return NULL;
}

bool cgroup_is_v2(const struct cgroup *c)
{
    return c->len == 1 && c->v[0].v2;
}

bool cgroup_v2_is_all(const struct cgroup *c)
{
    return cgroup_is_v2(c);
}

bool cgroup_has(const struct cgroup *c, const char *controller)
{
    unsigned bit = controller_bit(slice_of(controller));

    return bit && cgroup_tree_of(c, bit) != NULL;
}

int cgroup_file(char out[PATH_MAX], const struct cgroup_tree *t, const char *path, const char *file,
                struct err *err)
{
    int n;

    if (cgroup_check_path(path, err) < 0)
        return -1;
    n = snprintf(out, PATH_MAX, "%s%s%s%s%s", t->dir, *path ? "/" : "", path, file ? "/" : "",
                 file ? file : "");
    if (n < 0 || n >= PATH_MAX)
        return err_set(err, ERR_INVALID, "cgroup path too long");
    return 0;
}

int cgroup_read(struct buf *out, const struct cgroup_tree *t, const char *path, const char *file,
                struct err *err)
{
    char full[PATH_MAX];

    if (cgroup_file(full, t, path, file, err) < 0 ||
        fd_read_file(out, AT_FDCWD, full, CGROUP_FILE_BYTES_MAX, err) < 0)
        return -1;
    buf_str(out, "");
    return 0;
}

int cgroup_write(const struct cgroup_tree *t, const char *path, const char *file, const char *text,
                 struct err *err)
{
    char full[PATH_MAX];

    if (cgroup_file(full, t, path, file, err) < 0)
        return -1;
    return fd_write_kernel(AT_FDCWD, full, text, err);
}

void cgroup_each_dir(const struct cgroup *c, const char *path,
                     void (*each)(void *ctx, const char *name, const char *dir), void *ctx)
{
    char dir[PATH_MAX];

    for (size_t i = 0; i < c->len; i++)
        if (cgroup_file(dir, &c->v[i], path, NULL, NULL) == 0)
            each(ctx, c->v[i].v2 && c->len > 1 ? "unified" : c->v[i].name, dir);
}
