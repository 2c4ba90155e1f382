/* image_confine.c -- chroot into a clone of a mount, capabilities, Landlock and seccomp for
 * children. */
#include "runtime/image/image_confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/fd.h"

#if defined(__x86_64__)
#define CONFINE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define CONFINE_ARCH AUDIT_ARCH_AARCH64
#elif defined(__arm__)
#define CONFINE_ARCH AUDIT_ARCH_ARM
#elif defined(__riscv)
#define CONFINE_ARCH AUDIT_ARCH_RISCV64
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CONFINE_MEMORY 0                        /* shadow memory is larger than any limit */
#else
#define CONFINE_MEMORY 1
#endif

/* CAP_SYS_ADMIN, CAP_SYS_CHROOT and CAP_DAC_READ_SEARCH (open by handle) would lead out again. */
#define CONFINE_CAPS (1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER | \
                      1u << CAP_FSETID | \
                      1u << CAP_MKNOD | 1u << CAP_SETFCAP)
_Static_assert(CAP_SETFCAP < 32, "all capabilities kept are in the first word");

static int confine_limits(struct err *err)
{
    struct rlimit core = { 0, 0 };
    struct rlimit memory = { IMAGE_CONFINE_MEMORY_BYTES, IMAGE_CONFINE_MEMORY_BYTES };

    if (setrlimit(RLIMIT_CORE, &core) < 0 || (CONFINE_MEMORY && setrlimit(RLIMIT_AS, &memory) < 0))
        return err_sys(err, "set limits");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_sys(err, "no new privileges");
    return 0;
}

/* Keeps those of `keep` that there are. */
static int confine_caps(uint32_t keep, struct err *err)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = { 0 };

    if (syscall(SYS_capget, &head, data) < 0)
        return err_sys(err, "read capabilities");
    data[0].effective = data[0].permitted = data[0].permitted & keep;
    data[1].effective = data[1].permitted = 0;
    data[0].inheritable = data[1].inheritable = 0;
    if (syscall(SYS_capset, &head, data) < 0)
        return err_sys(err, "drop capabilities");
    return 0;
}

/* --- system calls that no child of ours needs once it works */

#define DENY(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), \
                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)

static int confine_seccomp(bool network, struct err *err)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CONFINE_ARCH, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#ifdef __x86_64__
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1),      /* x32 */
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
#endif
        DENY(SYS_execve), DENY(SYS_execveat), DENY(SYS_ptrace), DENY(SYS_process_vm_readv),
        DENY(SYS_process_vm_writev), DENY(SYS_pidfd_open), DENY(SYS_pidfd_getfd), DENY(SYS_bpf),
        DENY(SYS_perf_event_open), DENY(SYS_io_uring_setup), DENY(SYS_userfaultfd),
        DENY(SYS_keyctl),
        DENY(SYS_add_key), DENY(SYS_request_key), DENY(SYS_mount), DENY(SYS_umount2),
        DENY(SYS_open_tree), DENY(SYS_move_mount), DENY(SYS_fsopen), DENY(SYS_pivot_root),
        DENY(SYS_unshare), DENY(SYS_setns), DENY(SYS_chroot), DENY(SYS_open_by_handle_at),
        DENY(SYS_kexec_load), DENY(SYS_init_module), DENY(SYS_finit_module), DENY(SYS_reboot),
        /* a false instead of a number never matches: these two are for the network */
        DENY(network ? 0xffffffffu : SYS_socket), DENY(network ? 0xffffffffu : SYS_connect),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { ARRAY_LEN(code), code };

    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 && errno != EINVAL)
        return err_sys(err, "limit system calls");
    return 0;
}

/* --- Landlock: what the kernel has of it */

static int confine_landlock(int root, struct err *err)
{
    struct landlock_ruleset_attr attr = { 0 };
    struct landlock_path_beneath_attr beneath = { .parent_fd = root };
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    _cleanup_fd_ int rules = -1;

    if (version < 1)
        return 0;
    attr.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1;      /* all of version 1 */
    if (version >= 2)
        attr.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3)
        attr.handled_access_fs |= LANDLOCK_ACCESS_FS_TRUNCATE;
    beneath.allowed_access = attr.handled_access_fs & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE;
    rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
    if (rules < 0)
        return err_sys(err, "landlock");
    if (root >= 0 &&
        syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
        return err_sys(err, "landlock: add rule");
    if (syscall(SYS_landlock_restrict_self, rules, 0) < 0)
        return err_sys(err, "landlock: restrict");
    return 0;
}

/* --- the root */

/* A detached clone of the directory as a mount of its own, on which devices are dead. -1 without an
 * error when this process may not make one. */
static int confine_clone(int root)
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

static int confine_root(int *root, struct err *err)
{
    int fd = confine_clone(*root), inside;

    if (fchdir(fd >= 0 ? fd : *root) < 0 || chroot(".") < 0 || chdir("/") < 0) {
        fd_close(fd);
        return err_sys(err, "change root");
    }
    inside = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (inside < 0)
        return err_sys(err, "open root");
    *root = inside;                 /* fd stays open: with it the mount would go */
    return 0;
}

int image_confine_tree(int *root, struct err *err)
{
    bool privileged = geteuid() == 0;

    umask(0);
    if (privileged && confine_root(root, err) < 0)
        return -1;
    if (privileged && setgroups(0, NULL) < 0 && errno != EPERM)
        return err_sys(err, "drop groups");
    if (confine_limits(err) < 0 || confine_caps(CONFINE_CAPS, err) < 0 ||
        confine_landlock(*root, err) < 0 || confine_seccomp(false, err) < 0)
        return err_wrap(err, "confine");
    return 0;
}

int image_confine_user(bool network, struct err *err)
{
    if (geteuid() == 0 && ((setgroups(0, NULL) < 0 && errno != EPERM) ||
                           setresgid(IMAGE_CONFINE_UID, IMAGE_CONFINE_UID, IMAGE_CONFINE_UID) < 0 ||
                           setresuid(IMAGE_CONFINE_UID, IMAGE_CONFINE_UID,
                                     IMAGE_CONFINE_UID) < 0) &&
        errno != EINVAL)  /* a user namespace that has no such user: capabilities go all the same */
        return err_sys(err, "drop privileges");
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)       /* forgotten with the change of the user */
        return err_sys(err, "follow the parent");
    if (confine_limits(err) < 0 || confine_caps(0, err) < 0 || confine_seccomp(network, err) < 0)
        return err_wrap(err, "confine");
    return 0;
}
