#include "runtime/confine/confine_landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/log.h"

#define FS(what) LANDLOCK_ACCESS_FS_##what
#define LANDLOCK_ALL 6                   /* the version that has all we ask for */

/* What each version of Landlock added, of files. */
static const uint64_t added[] = {
    0, FS(MAKE_SYM) * 2 - 1, FS(REFER), FS(TRUNCATE), 0, FS(IOCTL_DEV),
};

static const uint64_t accesses[] = {
    [CONFINE_READ] = FS(READ_FILE) | FS(READ_DIR),
    [CONFINE_READ_FILE] = FS(READ_FILE),
    [CONFINE_READ_REPLACED] = FS(READ_FILE),
    [CONFINE_WRITE] = FS(READ_FILE) | FS(READ_DIR) | FS(WRITE_FILE) | FS(TRUNCATE) |
                      FS(MAKE_REG) | FS(REMOVE_FILE),
    [CONFINE_ANY] = ~(uint64_t)(FS(EXECUTE) | FS(IOCTL_DEV)),
};

static int landlock_version(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

static uint64_t handled(int version)
{
    uint64_t all = 0;

    for (int i = 0; i < (int)ARRAY_LEN(added) && i <= version; i++)
        all |= added[i];
    return all;
}

static int make_rules(const struct confine_row *row, int version)
{
    struct landlock_ruleset_attr attr = { .handled_access_fs = handled(version) };
    size_t size = sizeof(attr.handled_access_fs);

    if (version >= 4) {
        attr.handled_access_net = LANDLOCK_ACCESS_NET_BIND_TCP;
        if (row->connect != CONFINE_CONNECT_ANY)
            attr.handled_access_net |= LANDLOCK_ACCESS_NET_CONNECT_TCP;
        size += sizeof(attr.handled_access_net);
    }
    if (version >= LANDLOCK_ALL) {
        attr.scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL;
        size += sizeof(attr.scoped);
    }
    return (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
}

static int allow_fd(int rules, int fd, enum confine_access access, struct err *err)
{
    struct landlock_path_beneath_attr beneath = {
        .parent_fd = fd, .allowed_access = accesses[access] & handled(landlock_version()),
    };

    if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
        return err_sys(err, "landlock: add rule");
    return 0;
}

static int allow_path(int rules, const char *path, enum confine_access access, struct err *err)
{
    _cleanup_fd_ int fd = open(path, O_PATH | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0
                                                                      : err_sys(err, "%s", path);
    return allow_fd(rules, fd, access, err) < 0 ? err_wrap(err, "%s", path) : 0;
}

static int allow_folder(int rules, const char *path, enum confine_access access, struct err *err)
{
    char folder[PATH_MAX];
    char *slash;

    if (str_copy(folder, sizeof(folder), path, err) < 0)
        return -1;
    slash = strrchr(folder, '/');
    if (!slash)
        return 0;
    slash[slash == folder] = 0;
    return allow_path(rules, folder, access, err);
}

/* The folder of the file, and where it is a link, of what it leads to. */
static int allow_replaced(int rules, const char *path, enum confine_access access, struct err *err)
{
    char real[PATH_MAX];

    if (allow_folder(rules, path, access, err) < 0)
        return -1;
    return realpath(path, real) ? allow_folder(rules, real, access, err) : 0;
}

static int allow_port(int rules, uint16_t port, struct err *err)
{
    struct landlock_net_port_attr attr = {
        .allowed_access = LANDLOCK_ACCESS_NET_CONNECT_TCP, .port = port,
    };

    if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_NET_PORT, &attr, 0) < 0)
        return err_sys(err, "landlock: port %u", port);
    return 0;
}

static int allow_ports(int rules, const struct confine_row *row, const struct confine_opts *o,
                       struct err *err)
{
    for (size_t i = 0; i < CONFINE_PORTS_MAX && row->ports[i]; i++)
        if (allow_port(rules, row->ports[i], err) < 0)
            return -1;
    if (row->api && o->ports[CONFINE_API])
        return allow_port(rules, o->ports[CONFINE_API], err);
    return 0;
}

static int allow_paths(int rules, const struct confine_row *row, const struct confine_opts *o,
                       struct err *err)
{
    for (size_t i = 0; i < CONFINE_PATHS_MAX && row->paths[i].access; i++) {
        const struct confine_path *p = &row->paths[i];
        const char *path = o->places[p->place];
        int r;

        if (!path)
            continue;
        r = p->access == CONFINE_READ_REPLACED ? allow_replaced(rules, path, p->access, err)
                                               : allow_path(rules, path, p->access, err);
        if (r < 0)
            return -1;
    }
    return 0;
}

/* --- */

int confine_landlock_open(int *out, const struct confine_row *row, const struct confine_opts *o,
                          struct err *err)
{
    _cleanup_fd_ int rules = -1;
    int version = landlock_version();

    *out = -1;
    if (version < LANDLOCK_ALL && row->lives)
        log_warn("the kernel has not all of Landlock: paths and ports are limited in part",
                 "role=%s version=%d wanted=%d", row->name, version < 0 ? 0 : version,
                 LANDLOCK_ALL);
    if (version < 1)
        return 0;
    rules = make_rules(row, version);
    if (rules < 0)
        return err_sys(err, "landlock");
    if (allow_paths(rules, row, o, err) < 0)
        return -1;
    if (version >= 4 && row->connect == CONFINE_CONNECT_PORTS &&
        allow_ports(rules, row, o, err) < 0)
        return -1;
    *out = TAKE_FD(rules);
    return 0;
}

int confine_landlock_tree(int rules, const struct confine_row *row, int root, struct err *err)
{
    for (size_t i = 0; rules >= 0 && i < CONFINE_PATHS_MAX && row->paths[i].access; i++)
        if (row->paths[i].place == CONFINE_TREE &&
            allow_fd(rules, root, row->paths[i].access, err) < 0)
            return -1;
    return 0;
}

int confine_landlock_enter(int rules, struct err *err)
{
    if (rules >= 0 && syscall(SYS_landlock_restrict_self, rules, 0) < 0)
        return err_sys(err, "landlock: restrict");
    return 0;
}
