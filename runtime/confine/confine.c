/* confine.c -- root directory, limits, user and capabilities of a role, and the order of it all. */
#include "runtime/confine/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/log.h"
#include "runtime/confine/confine_calls.h"
#include "runtime/confine/confine_landlock.h"

#define PASSWD_BYTES_MAX (4u << 20)
#define CAP_BITS 64

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CONFINE_SANITIZED 1              /* see confine.h */
#else
#define CONFINE_SANITIZED 0
#endif

static bool is_relaxed(const struct confine_opts *o)
{
    return CONFINE_SANITIZED && !o->sanitized_too;
}

/* --- users */

static unsigned named_uid(const char *name)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct slice rest, line, field;

    if (fd_read_file(&text, AT_FDCWD, "/etc/passwd", PASSWD_BYTES_MAX, NULL) < 0)
        return 0;
    rest = (struct slice){ text.p, text.len };
    while (slice_split(&rest, '\n', &line)) {
        long uid;

        if (!slice_split(&line, ':', &field) || !slice_is(field, name))
            continue;
        if (slice_split(&line, ':', &field) && slice_split(&line, ':', &field) && field.len &&
            (uid = strtol(field.p, NULL, 10)) > 0)
            return (unsigned)uid;
    }
    return 0;
}

unsigned confine_uid(enum confine_role role)
{
    const struct confine_row *row = &confine_rows[role];
    unsigned uid = row->user ? named_uid(row->user) : 0;

    return uid ? uid : row->uid;
}

const char *confine_name(enum confine_role role)
{
    return confine_rows[role].name;
}

/* A user namespace may not know the user: the role then stays who it is, without capabilities. */
static int become(const struct confine_row *row, uid_t uid, struct err *err)
{
    if (setgroups(0, NULL) < 0 && errno != EPERM)
        return err_sys(err, "drop groups");
    if (!row->user || (setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0))
        return 0;
    if (errno != EINVAL && errno != EPERM)
        return err_sys(err, "become user %u", uid);
    if (row->lives)
        log_warn("staying root", "user=%u error=%s", uid, strerror(errno));
    return 0;
}

/* --- capabilities */

/* Keeps those of `keep` that there are. */
static int keep_caps(uint64_t keep, struct err *err)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = { 0 };

    if (syscall(SYS_capget, &head, data) < 0)
        return err_sys(err, "read capabilities");
    for (unsigned i = 0; i < 2; i++) {
        data[i].permitted &= (uint32_t)(keep >> 32 * i);
        data[i].effective = data[i].permitted;
        data[i].inheritable = 0;
    }
    if (syscall(SYS_capset, &head, data) < 0)
        return err_sys(err, "drop capabilities");
    return 0;
}

static void bound_caps(uint64_t keep)
{
    for (unsigned long cap = 0; cap < CAP_BITS; cap++)
        if (!(keep >> cap & 1))
            (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);      /* past the last one: fine */
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

/* --- the root directory */

/* A detached clone of the directory as a mount of its own, on which devices are dead. -1 without an
 * error when this process may not make one. */
static int clone_mount(int root)
{
    struct mount_attr attr = {
        .attr_set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
    };
    int fd = (int)syscall(SYS_open_tree, root, "",
                          OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

    if (fd >= 0 && syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        fd = fd_close(fd);
    return fd;
}

static int change_root(const struct confine_row *row, int *root, struct err *err)
{
    int clone = row->root == CONFINE_ROOT_CLONE ? clone_mount(*root) : -1, inside;

    if (fchdir(clone >= 0 ? clone : *root) < 0 || chroot(".") < 0 || chdir("/") < 0) {
        fd_close(clone);
        return err_sys(err, "change root");
    }
    inside = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (inside < 0)
        return err_sys(err, "open root");
    fd_close(*root);
    *root = inside;                      /* clone stays open: with it the mount would go */
    return 0;
}

/* The leak checker of a sanitizer reads /proc, which a role that lives must keep then. */
static bool changes_root(const struct confine_row *row, const struct confine_opts *o)
{
    return row->root != CONFINE_ROOT_KEPT && geteuid() == 0 && !(is_relaxed(o) && row->lives);
}

/* --- all of it */

static int set_limits(const struct confine_row *row, struct err *err)
{
    struct rlimit core = { 0, 0 };
    struct rlimit memory = { row->memory_bytes, row->memory_bytes };

    if (setrlimit(RLIMIT_CORE, &core) < 0)
        return err_sys(err, "limit core files");
    /* shadow memory of sanitizers is larger than any limit */
    if (row->memory_bytes && !CONFINE_SANITIZED && setrlimit(RLIMIT_AS, &memory) < 0)
        return err_sys(err, "limit memory");
    return 0;
}

static int drop_rights(const struct confine_row *row, uid_t uid, struct err *err)
{
    bool privileged = geteuid() == 0;

    if (privileged)
        bound_caps(row->caps);
    if (set_limits(row, err) < 0 || (privileged && become(row, uid, err) < 0))
        return -1;
    /* forgotten with the change of the user */
    if (prctl(PR_SET_PDEATHSIG, row->lives ? 0 : SIGKILL) < 0)
        return err_sys(err, "follow the parent");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_sys(err, "no new privileges");
    if (CONFINE_SANITIZED)
        (void)prctl(PR_SET_DUMPABLE, 1);
    return keep_caps(row->caps, err);
}

static int confine(const struct confine_row *row, const struct confine_opts *o, int rules,
                   struct err *err)
{
    uid_t uid = confine_uid(o->role);    /* while there is an /etc */
    bool change = changes_root(row, o);

    if (change && change_root(row, o->root, err) < 0)
        return -1;
    if (row->root != CONFINE_ROOT_KEPT && confine_landlock_tree(rules, row, *o->root, err) < 0)
        return -1;
    if (drop_rights(row, uid, err) < 0 || confine_landlock_enter(rules, err) < 0)
        return -1;
    if (!is_relaxed(o) && confine_calls_install(row, o->refusals, err) < 0)
        return -1;
    return change;
}

int confine_apply(const struct confine_opts *o, struct err *err)
{
    const struct confine_row *row = &confine_rows[o->role];
    _cleanup_fd_ int rules = -1;
    int changed;

    check(row->root == CONFINE_ROOT_KEPT || o->root);
    if (o->refusals)
        *o->refusals = -1;
    if (!row->filtered)
        return keep_caps(row->caps, err);
    if (!is_relaxed(o) && confine_landlock_open(&rules, row, o, err) < 0)
        return err_wrap(err, "confine %s", row->name);
    changed = confine(row, o, rules, err);
    return changed < 0 ? err_wrap(err, "confine %s", row->name) : changed;
}
