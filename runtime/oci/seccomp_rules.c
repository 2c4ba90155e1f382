/* seccomp_rules.c -- the default system call filter: what containerd's default profile allows, as ranges of numbers.
 * Names are resolved by libseccomp, so the table is the same on every architecture; a call that an architecture
 * does not have is skipped. */
#include <linux/capability.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "runtime/oci/oci_child.h"

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#define CAP_BPF 39
#endif

static const char *const allowed[] = {
    "accept", "accept4", "access", "alarm", "arch_prctl", "arm_fadvise64_64", "arm_sync_file_range",
    "bind", "breakpoint", "brk", "cacheflush", "cachestat", "capget", "capset", "chdir", "chmod",
    "chown", "chown32", "clock_adjtime", "clock_adjtime64", "clock_getres", "clock_getres_time64",
    "clock_gettime", "clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64", "close",
    "close_range", "connect", "copy_file_range", "creat", "dup", "dup2", "dup3", "epoll_create",
    "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2", "epoll_wait",
    "epoll_wait_old", "eventfd", "eventfd2", "execve", "execveat", "exit", "exit_group",
    "faccessat", "faccessat2", "fadvise64", "fadvise64_64", "fallocate", "fanotify_mark", "fchdir",
    "fchmod", "fchmodat", "fchmodat2", "fchown", "fchown32", "fchownat", "fcntl", "fcntl64",
    "fdatasync", "fgetxattr", "flistxattr", "flock", "fork", "fremovexattr", "fsetxattr", "fstat",
    "fstat64", "fstatat64", "fstatfs", "fstatfs64", "fsync", "ftruncate", "ftruncate64", "futex",
    "futex_requeue", "futex_time64", "futex_wait", "futex_waitv", "futex_wake", "futimesat",
    "getcpu", "getcwd", "getdents", "getdents64", "getegid", "getegid32", "geteuid", "geteuid32",
    "getgid", "getgid32", "getgroups", "getgroups32", "getitimer", "getpeername", "getpgid",
    "getpgrp", "getpid", "getppid", "getpriority", "getrandom", "getresgid", "getresgid32",
    "getresuid", "getresuid32", "getrlimit", "get_robust_list", "getrusage", "getsid",
    "getsockname", "getsockopt", "get_thread_area", "gettid", "gettimeofday", "getuid", "getuid32",
    "getxattr", "getxattrat", "inotify_add_watch", "inotify_init", "inotify_init1",
    "inotify_rm_watch", "io_cancel", "ioctl", "io_destroy", "io_getevents", "io_pgetevents",
    "io_pgetevents_time64", "ioprio_get", "ioprio_set", "io_setup", "io_submit", "ipc", "kill",
    "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "lchown", "lchown32",
    "lgetxattr", "link", "linkat", "listen", "listmount", "listxattr", "listxattrat", "llistxattr",
    "_llseek", "lremovexattr", "lseek", "lsetxattr", "lstat", "lstat64", "madvise",
    "map_shadow_stack", "membarrier", "memfd_create", "memfd_secret", "mincore", "mkdir",
    "mkdirat", "mknod", "mknodat", "mlock", "mlock2", "mlockall", "mmap", "mmap2", "modify_ldt",
    "mprotect", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive",
    "mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64", "mq_unlink", "mremap",
    "mseal", "msgctl", "msgget", "msgrcv", "msgsnd", "msync", "munlock", "munlockall", "munmap",
    "name_to_handle_at", "nanosleep", "newfstatat", "_newselect", "open", "openat", "openat2",
    "pause", "pidfd_open", "pidfd_send_signal", "pipe", "pipe2", "pkey_alloc", "pkey_free",
    "pkey_mprotect", "poll", "ppoll", "ppoll_time64", "prctl", "pread64", "preadv", "preadv2",
    "prlimit64", "process_madvise", "process_mrelease", "process_vm_readv", "process_vm_writev",
    "pselect6", "pselect6_time64", "ptrace", "pwrite64", "pwritev", "pwritev2", "read",
    "readahead", "readlink", "readlinkat", "readv", "recv", "recvfrom", "recvmmsg",
    "recvmmsg_time64", "recvmsg", "remap_file_pages", "removexattr", "removexattrat", "rename",
    "renameat", "renameat2", "restart_syscall", "riscv_flush_icache", "rmdir", "rseq",
    "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn",
    "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_tgsigqueueinfo",
    "sched_getaffinity", "sched_getattr", "sched_getparam", "sched_get_priority_max",
    "sched_get_priority_min", "sched_getscheduler", "sched_rr_get_interval",
    "sched_rr_get_interval_time64", "sched_setaffinity", "sched_setattr", "sched_setparam",
    "sched_setscheduler", "sched_yield", "seccomp", "select", "semctl", "semget", "semop",
    "semtimedop", "semtimedop_time64", "send", "sendfile", "sendfile64", "sendmmsg", "sendmsg",
    "sendto", "setfsgid", "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32",
    "setgroups", "setgroups32", "setitimer", "setpgid", "setpriority", "setregid", "setregid32",
    "setresgid", "setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32", "setrlimit",
    "set_robust_list", "setsid", "setsockopt", "set_thread_area", "set_tid_address", "set_tls",
    "setuid", "setuid32", "setxattr", "setxattrat", "shmat", "shmctl", "shmdt", "shmget",
    "shutdown", "sigaltstack", "signalfd", "signalfd4", "sigprocmask", "sigreturn", "socketpair",
    "splice", "stat", "stat64", "statfs", "statfs64", "statmount", "statx", "symlink", "symlinkat",
    "sync", "sync_file_range", "syncfs", "sysinfo", "tee", "tgkill", "time", "timer_create",
    "timer_delete", "timer_getoverrun", "timer_gettime", "timer_gettime64", "timer_settime",
    "timer_settime64", "timerfd_create", "timerfd_gettime", "timerfd_gettime64",
    "timerfd_settime", "timerfd_settime64", "times", "tkill", "truncate", "truncate64",
    "ugetrlimit", "umask", "uname", "unlink", "unlinkat", "uretprobe", "utime", "utimensat",
    "utimensat_time64", "utimes", "vfork", "vmsplice", "wait4", "waitid", "waitpid", "write",
    "writev",
};

/* Known and not allowed: named so that what is newer than this table is told from them (see seccomp_rules). */
static const struct { int cap; const char *names[20]; } with_cap[] = {
    { CAP_DAC_READ_SEARCH, { "open_by_handle_at" } },
    { CAP_SYS_ADMIN, { "bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen",
                       "fspick", "lookup_dcookie", "mount", "mount_setattr", "move_mount",
                       "open_tree", "perf_event_open", "quotactl", "quotactl_fd", "setdomainname",
                       "sethostname", "setns" } },
    { CAP_SYS_ADMIN, { "syslog", "umount", "umount2", "unshare" } },
    { CAP_SYS_BOOT, { "reboot" } },
    { CAP_SYS_CHROOT, { "chroot" } },
    { CAP_SYS_MODULE, { "delete_module", "init_module", "finit_module" } },
    { CAP_SYS_PACCT, { "acct" } },
    { CAP_SYS_PTRACE, { "kcmp", "pidfd_getfd" } },
    { CAP_SYS_RAWIO, { "iopl", "ioperm" } },
    { CAP_SYS_TIME, { "settimeofday", "stime", "adjtimex", "clock_settime", "clock_settime64" } },
    { CAP_SYS_TTY_CONFIG, { "vhangup" } },
    { CAP_SYS_NICE, { "get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node",
                      "migrate_pages", "move_pages" } },
    { CAP_SYSLOG, { "syslog" } },
    { CAP_BPF, { "bpf" } },
    { CAP_PERFMON, { "perf_event_open" } },
};

static const char *const never[] = { "add_key", "io_uring_enter", "io_uring_register",
                                     "io_uring_setup", "kexec_file_load", "kexec_load", "keyctl",
                                     "pivot_root", "request_key", "swapoff", "swapon",
                                     "userfaultfd", "vserver" };

static void set_rule(uint8_t rules[CONFINE_CALLS_MAX], const char *name, enum seccomp_rule rule)
{
    int nr = confine_call(name);

    if (nr >= 0)
        rules[nr] = (uint8_t)rule;
}

size_t seccomp_rules(struct confine_range out[CONFINE_RANGES_MAX], uint64_t caps)
{
    bool admin = caps >> CAP_SYS_ADMIN & 1;
    uint8_t rules[CONFINE_CALLS_MAX];

    /* Unknown calls do not exist here, so that programs try the older way; known and refused ones say EPERM. */
    memset(rules, SECCOMP_NOSYS, sizeof(rules));
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        set_rule(rules, never[i], SECCOMP_DENY);
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < ARRAY_LEN(with_cap); i++)
            for (size_t k = 0; k < ARRAY_LEN(with_cap[i].names) && with_cap[i].names[k]; k++)
                if ((int)(caps >> with_cap[i].cap & 1) == pass)
                    set_rule(rules, with_cap[i].names[k], pass ? SECCOMP_ALLOW : SECCOMP_DENY);
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
        set_rule(rules, allowed[i], SECCOMP_ALLOW);
    set_rule(rules, "personality", SECCOMP_PERSONALITY);
    set_rule(rules, "socket", SECCOMP_SOCKET);
    if (!admin) {
        set_rule(rules, "clone", SECCOMP_CLONE);
        set_rule(rules, "clone3", SECCOMP_NOSYS);       /* its flags lie in memory: no filter can see them */
    }
    return confine_ranges(out, rules, SECCOMP_NOSYS);
}
