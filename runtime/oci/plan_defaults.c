/* plan_defaults.c -- what a container has when nobody says otherwise, as containerd gives it. */
#include <linux/capability.h>
#include <stdio.h>
#include <strings.h>

#include "core/base/check.h"
#include "runtime/oci/plan.h"

#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_CHECKPOINT_RESTORE 40
#endif
#define CAP_NAMES (CAP_CHECKPOINT_RESTORE + 1)
#define BIT(cap) ((uint64_t)1 << (cap))

static const char *const cap_names[CAP_NAMES] = {
    [CAP_CHOWN] = "CHOWN", [CAP_DAC_OVERRIDE] = "DAC_OVERRIDE",
    [CAP_DAC_READ_SEARCH] = "DAC_READ_SEARCH", [CAP_FOWNER] = "FOWNER", [CAP_FSETID] = "FSETID",
    [CAP_KILL] = "KILL", [CAP_SETGID] = "SETGID", [CAP_SETUID] = "SETUID", [CAP_SETPCAP] = "SETPCAP",
    [CAP_LINUX_IMMUTABLE] = "LINUX_IMMUTABLE", [CAP_NET_BIND_SERVICE] = "NET_BIND_SERVICE",
    [CAP_NET_BROADCAST] = "NET_BROADCAST", [CAP_NET_ADMIN] = "NET_ADMIN", [CAP_NET_RAW] = "NET_RAW",
    [CAP_IPC_LOCK] = "IPC_LOCK", [CAP_IPC_OWNER] = "IPC_OWNER", [CAP_SYS_MODULE] = "SYS_MODULE",
    [CAP_SYS_RAWIO] = "SYS_RAWIO", [CAP_SYS_CHROOT] = "SYS_CHROOT", [CAP_SYS_PTRACE] = "SYS_PTRACE",
    [CAP_SYS_PACCT] = "SYS_PACCT", [CAP_SYS_ADMIN] = "SYS_ADMIN", [CAP_SYS_BOOT] = "SYS_BOOT",
    [CAP_SYS_NICE] = "SYS_NICE", [CAP_SYS_RESOURCE] = "SYS_RESOURCE", [CAP_SYS_TIME] = "SYS_TIME",
    [CAP_SYS_TTY_CONFIG] = "SYS_TTY_CONFIG", [CAP_MKNOD] = "MKNOD", [CAP_LEASE] = "LEASE",
    [CAP_AUDIT_WRITE] = "AUDIT_WRITE", [CAP_AUDIT_CONTROL] = "AUDIT_CONTROL",
    [CAP_SETFCAP] = "SETFCAP", [CAP_MAC_OVERRIDE] = "MAC_OVERRIDE", [CAP_MAC_ADMIN] = "MAC_ADMIN",
    [CAP_SYSLOG] = "SYSLOG", [CAP_WAKE_ALARM] = "WAKE_ALARM", [CAP_BLOCK_SUSPEND] = "BLOCK_SUSPEND",
    [CAP_AUDIT_READ] = "AUDIT_READ", [CAP_PERFMON] = "PERFMON", [CAP_BPF] = "BPF",
    [CAP_CHECKPOINT_RESTORE] = "CHECKPOINT_RESTORE",
};

static const struct plan_mount default_mounts[] = {
    { .kind = PLAN_PROC, .dest = "/proc", .noexec = true },
    { .kind = PLAN_DEV, .dest = "/dev" },
    { .kind = PLAN_DEVPTS, .dest = "/dev/pts", .noexec = true },
    { .kind = PLAN_MQUEUE, .dest = "/dev/mqueue", .noexec = true },
    { .kind = PLAN_SHM, .dest = "/dev/shm", .noexec = true },
    { .kind = PLAN_SYSFS, .dest = "/sys", .read_only = true, .noexec = true },
    { .kind = PLAN_CGROUP, .dest = "/sys/fs/cgroup", .read_only = true, .noexec = true },
};

static const char *const masked_paths[] = {
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
    "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
    "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
};
static const char *const readonly_paths[] = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

int plan_cap(const char *name)
{
    if (strncasecmp(name, "CAP_", 4) == 0)
        name += 4;
    if (strcasecmp(name, "ALL") == 0)
        return PLAN_CAP_ALL;
    for (int i = 0; i < CAP_NAMES; i++)
        if (strcasecmp(name, cap_names[i]) == 0)
            return i;
    return -1;
}

uint64_t plan_caps_default(void)
{
    return BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FSETID) | BIT(CAP_FOWNER) |
           BIT(CAP_MKNOD) | BIT(CAP_NET_RAW) | BIT(CAP_SETGID) | BIT(CAP_SETUID) | BIT(CAP_SETFCAP) |
           BIT(CAP_SETPCAP) | BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SYS_CHROOT) | BIT(CAP_KILL) |
           BIT(CAP_AUDIT_WRITE);
}

uint64_t plan_caps_all(void)
{
    return BIT(CAP_NAMES) - 1;
}

static void set_all(struct oci_plan *p, uint64_t caps)
{
    p->caps[PLAN_CAP_BOUNDING] = caps;
    p->caps[PLAN_CAP_EFFECTIVE] = caps;
    p->caps[PLAN_CAP_PERMITTED] = caps;
}

void plan_add_text(struct plan_texts *t, struct arena *a, const char *text)
{
    if ((t->len & (t->len - 1)) == 0) {          /* full at each power of two */
        const char **v = arena_alloc(a, (t->len ? t->len * 2 : 1) * sizeof(*v));

        if (t->len)
            memcpy(v, t->v, t->len * sizeof(*v));
        t->v = v;
    }
    t->v[t->len++] = arena_strdup(a, text);
}

struct plan_mount *plan_add_mount(struct oci_plan *p, struct arena *a)
{
    size_t len = p->mounts.len;

    if ((len & (len - 1)) == 0) {
        struct plan_mount *v = arena_alloc(a, (len ? len * 2 : 1) * sizeof(*v));

        if (len)
            memcpy(v, p->mounts.v, len * sizeof(*v));
        p->mounts.v = v;
    }
    p->mounts.v[len] = (struct plan_mount){ 0 };
    return &p->mounts.v[p->mounts.len++];
}

void plan_defaults(struct oci_plan *p, struct arena *a, bool privileged)
{
    *p = (struct oci_plan){ .uid = PLAN_NO_ID, .gid = PLAN_NO_ID, .cwd = "/" };
    for (size_t i = 0; i < ARRAY_LEN(default_mounts); i++) {
        struct plan_mount *m = plan_add_mount(p, a);

        *m = default_mounts[i];
        if (privileged)
            m->read_only = false;
    }
    set_all(p, privileged ? plan_caps_all() : plan_caps_default());
    p->host_dev = privileged;
    p->seccomp = privileged ? PLAN_SECCOMP_UNCONFINED : PLAN_SECCOMP_DEFAULT;
    for (size_t i = 0; i < ARRAY_LEN(masked_paths) && !privileged; i++)
        plan_add_text(&p->masked, a, masked_paths[i]);
    for (size_t i = 0; i < ARRAY_LEN(readonly_paths) && !privileged; i++)
        plan_add_text(&p->readonly, a, readonly_paths[i]);
}

static int caps_of(uint64_t *out, const struct plan_texts *names, bool *all, struct err *err)
{
    *out = 0;
    *all = false;
    for (size_t i = 0; names && i < names->len; i++) {
        int cap = plan_cap(names->v[i]);

        if (cap < 0)
            return err_set(err, ERR_INVALID, "unknown capability \"%s\"", names->v[i]);
        if (cap == PLAN_CAP_ALL)
            *all = true;
        else
            *out |= BIT(cap);
    }
    return 0;
}

/* As containerd does: ALL first, then the named ones. */
int plan_set_caps(struct oci_plan *p, const struct plan_texts *add, const struct plan_texts *drop,
                  struct err *err)
{
    uint64_t caps = p->caps[PLAN_CAP_BOUNDING], more, less;
    bool add_all, drop_all;

    if (caps_of(&more, add, &add_all, err) < 0 || caps_of(&less, drop, &drop_all, err) < 0)
        return -1;
    if (add_all)
        caps = plan_caps_all();
    if (drop_all)
        caps = 0;
    set_all(p, (caps | more) & ~less);
    return 0;
}
