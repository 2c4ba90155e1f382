/* oci_caps.c -- giving up what the container shall not have, in the only order that works: bounding set while we may,
 * then ids with capabilities kept, then the sets, and the system call filter last where that is allowed. */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/oci/oci_child.h"

#define CAP_BITS 64

static int cap_get(uint64_t *permitted, struct err *err)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = { 0 };

    if (syscall(SYS_capget, &header, data) < 0)
        return err_sys(err, "read capabilities");
    *permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    return 0;
}

static int cap_set(uint64_t effective, uint64_t permitted, uint64_t inheritable, struct err *err)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = {
        { .effective = (uint32_t)effective, .permitted = (uint32_t)permitted,
          .inheritable = (uint32_t)inheritable },
        { .effective = (uint32_t)(effective >> 32), .permitted = (uint32_t)(permitted >> 32),
          .inheritable = (uint32_t)(inheritable >> 32) },
    };

    return syscall(SYS_capset, &header, data) < 0 ? err_sys(err, "set capabilities") : 0;
}

static int drop_bounding(uint64_t keep, struct err *err)
{
    for (unsigned long cap = 0; cap < CAP_BITS; cap++) {
        if (keep >> cap & 1)
            continue;
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
            if (errno == EINVAL)             /* past the kernel's last one */
                return 0;
            return err_sys(err, "drop capability %lu", cap);
        }
    }
    return 0;
}

static int become(const struct oci_user *u, struct err *err)
{
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        return err_sys(err, "keep capabilities");
    if (setgroups(u->n_groups, u->groups) < 0)
        return err_sys(err, "set groups");
    if (setresgid(u->gid, u->gid, u->gid) < 0 || setresuid(u->uid, u->uid, u->uid) < 0)
        return err_sys(err, "become user %u:%u", (unsigned)u->uid, (unsigned)u->gid);
    if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
        return err_sys(err, "keep capabilities");
    return 0;
}

int oci_caps_become(const struct oci_plan *p, const struct oci_user *u, struct err *err)
{
    bool filter = p->seccomp == PLAN_SECCOMP_DEFAULT;
    uint64_t may = 0, ambient;

    /* Without no_new_privs a filter needs CAP_SYS_ADMIN, so it comes before that is gone. */
    if (filter && !p->no_new_privs && seccomp_install(p->caps[PLAN_CAP_BOUNDING], err) < 0)
        return -1;
    if (cap_get(&may, err) < 0 || drop_bounding(p->caps[PLAN_CAP_BOUNDING], err) < 0 ||
        become(u, err) < 0)
        return -1;
    ambient = p->caps[PLAN_CAP_AMBIENT] & may;
    if (cap_set(p->caps[PLAN_CAP_EFFECTIVE] & may, (p->caps[PLAN_CAP_PERMITTED] & may) | ambient,
                (p->caps[PLAN_CAP_INHERITABLE] & may) | ambient, err) < 0)
        return -1;
    for (unsigned long cap = 0; cap < CAP_BITS; cap++)
        if (ambient >> cap & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
            return err_sys(err, "raise ambient capability %lu", cap);
    if (p->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_sys(err, "set no_new_privs");
    if (filter && p->no_new_privs && seccomp_install(p->caps[PLAN_CAP_BOUNDING], err) < 0)
        return -1;
    return 0;
}
