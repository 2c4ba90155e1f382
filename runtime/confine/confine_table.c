/* confine_table.c -- THE table: each role's user, rights, system calls, paths and networks.
 *
 * To let a role do more, add to its row the least that does it: a call to `more` (to a group only
 * when all rows of the group need it), a place, a port. CONTRIBUTING.md says how to see what is
 * refused. tests/sandbox/test_confine.c and tests/e2e/roles.test.sh try the rows from inside.
 *
 * Not in the table, because whatever they give up their children lose as well, and the children
 * are containers, some of them privileged: the parent (starts and watches, reads nobody's bytes),
 * the shims and `netns`. So is the filter of the node's row empty: see there.
 *
 * What no row can say, as the kernel has no such rule: which addresses a role talks to (Landlock
 * knows ports of TCP), and UDP.
 */
#include "runtime/confine/confine_table.h"

#include <linux/capability.h>

#include "core/base/cleanup.h"

#define BIT(cap) (1ull << (cap))
#define NODE_PORT 10250
#define DNS_PORT 53

const struct confine_row confine_rows[CONFINE_ROLE_MAX] = {
    /* Everybody's requests. Sees <data-dir>/server alone; plugins through their folder. */
    [CONFINE_CONTROL] = {
        .name = "control", .user = "inro", .uid = CONFINE_UID, .filtered = true, .lives = true,
        .root = CONFINE_ROOT_DIR,
        .groups = CONFINE_BASIC | CONFINE_THREADS | CONFINE_LOOP | CONFINE_PARENT | CONFINE_NET |
                  CONFINE_FILES | CONFINE_DATABASE,
        .more = "socketpair",            /* the ends of streams through tunnels */
        .connect = CONFINE_CONNECT_PORTS, .ports = { NODE_PORT },
        .paths = { { CONFINE_STORE, CONFINE_WRITE }, { CONFINE_PLUGINS, CONFINE_READ } },
    },
    /* Root, as mounts, links and rules need it, and whoever starts privileged containers has all
     * rights already: a filter here would be theirs too. What protects it is what it does not
     * hear: strangers' bytes end in its children and in control. It connects to the API alone, and
     * control connects to it; that is by its code, not by the kernel. Rights that it never uses
     * are given up, which its children get back as they execute. */
    [CONFINE_NODE] = {
        .name = "node", .lives = true, .connect = CONFINE_CONNECT_ANY,
        .caps = BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) |
                BIT(CAP_FOWNER) | BIT(CAP_FSETID) | BIT(CAP_KILL) | BIT(CAP_SETGID) |
                BIT(CAP_SETUID) | BIT(CAP_SETPCAP) | BIT(CAP_NET_BIND_SERVICE) |
                BIT(CAP_NET_ADMIN) | BIT(CAP_NET_RAW) | BIT(CAP_SYS_CHROOT) |
                BIT(CAP_SYS_PTRACE) | BIT(CAP_SYS_ADMIN) | BIT(CAP_SYS_RESOURCE) | BIT(CAP_MKNOD),
    },
    /* Questions of pods, answers of the host's name servers. */
    [CONFINE_DNS] = {
        .name = "dns", .user = "inro-dns", .uid = CONFINE_UID + 1, .filtered = true,
        .lives = true,
        .groups = CONFINE_BASIC | CONFINE_LOOP | CONFINE_PARENT | CONFINE_NET | CONFINE_FILES,
        .connect = CONFINE_CONNECT_PORTS, .ports = { DNS_PORT }, .api = true,
        .paths = { { CONFINE_RESOLV, CONFINE_READ_REPLACED },
                   { CONFINE_HOSTS, CONFINE_READ_FILE } },
    },
    /* Answers of pods to probes and hooks, which a pod's spec may send anywhere. */
    [CONFINE_PROBE] = {
        .name = "probe", .user = "inro-probe", .uid = CONFINE_UID + 5, .filtered = true,
        .memory_bytes = CONFINE_MEMORY_BYTES,
        .groups = CONFINE_BASIC | CONFINE_LOOP | CONFINE_PARENT | CONFINE_NET | CONFINE_FILES,
        .connect = CONFINE_CONNECT_ANY,
        .paths = { { CONFINE_RESOLV, CONFINE_READ_REPLACED },
                   { CONFINE_HOSTS, CONFINE_READ_FILE } },
    },
    /* Bytes of a server that is not trusted yet. Keeps nothing: its parent does. */
    [CONFINE_JOIN] = {
        .name = "join", .user = "inro-join", .uid = CONFINE_UID + 4, .filtered = true,
        .groups = CONFINE_BASIC | CONFINE_LOOP | CONFINE_PARENT | CONFINE_NET | CONFINE_FILES,
        .connect = CONFINE_CONNECT_PORTS, .ports = { DNS_PORT }, .api = true,
        .paths = { { CONFINE_RESOLV, CONFINE_READ_FILE }, { CONFINE_HOSTS, CONFINE_READ_FILE } },
    },
    /* Bytes of registries. Writes to the descriptors it is given; a registry may send it to any
     * address and port for a blob. */
    [CONFINE_PULL] = {
        .name = "pull", .user = "inro-pull", .uid = CONFINE_UID + 2, .filtered = true,
        .memory_bytes = CONFINE_MEMORY_BYTES,
        .groups = CONFINE_BASIC | CONFINE_LOOP | CONFINE_PARENT | CONFINE_NET | CONFINE_FILES,
        .more = "ftruncate ftruncate64",
        .connect = CONFINE_CONNECT_ANY,
        .paths = { { CONFINE_RESOLV, CONFINE_READ_FILE }, { CONFINE_HOSTS, CONFINE_READ_FILE } },
    },
    /* A stranger's tar becomes files of any owner, so it stays root, in one directory.
     * CAP_SYS_ADMIN, CAP_SYS_CHROOT and CAP_DAC_READ_SEARCH (open by handle) would lead out. */
    [CONFINE_UNPACK] = {
        .name = "unpack", .filtered = true, .root = CONFINE_ROOT_CLONE,
        .memory_bytes = CONFINE_MEMORY_BYTES,
        .caps = BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) |
                BIT(CAP_MKNOD) | BIT(CAP_SETFCAP),
        .groups = CONFINE_BASIC | CONFINE_PARENT | CONFINE_FILES | CONFINE_MAKE,
        .more = "name_to_handle_at",     /* which mount a file lies on, where openat2 is not */
        .paths = { { CONFINE_TREE, CONFINE_ANY } },
    },
    [CONFINE_LIST] = {
        .name = "unpack", .user = "inro-unpack", .uid = CONFINE_UID + 3, .filtered = true,
        .memory_bytes = CONFINE_MEMORY_BYTES,
        .groups = CONFINE_BASIC | CONFINE_PARENT,
    },
};

/* The names of other architectures stand beside: 32-bit ARM has many calls twice. */
const char *const confine_groups[CONFINE_GROUPS] = {
    /* BASIC: of these are checked in their arguments (confine_calls.c): mmap and mprotect (never
     * executable), prctl (names of threads), prlimit64 and tgkill (only ourselves) */
    "brk mmap mmap2 munmap mremap mprotect madvise futex futex_time64 membarrier getrandom "
    "exit exit_group restart_syscall rt_sigreturn sigreturn rt_sigaction rt_sigprocmask "
    "sigaltstack tgkill gettid getpid getppid getuid getuid32 geteuid geteuid32 getgid getgid32 "
    "getegid getegid32 clock_gettime clock_gettime64 clock_getres clock_getres_time64 "
    "clock_nanosleep clock_nanosleep_time64 nanosleep gettimeofday time getrusage sysinfo uname "
    "sched_yield sched_getaffinity getcpu prctl prlimit64 getrlimit ugetrlimit rseq "
    "set_robust_list set_tid_address set_tls cacheflush "
    "read write readv writev pread64 pwrite64 close lseek _llseek fstat fstat64 fcntl fcntl64 "
    "poll ppoll ppoll_time64",
    "clone",
    "epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd2 timerfd_create "
    "timerfd_settime timerfd_settime64 timerfd_gettime timerfd_gettime64",
    "sendmsg recvmsg shutdown",
    "socket connect accept4 getsockopt setsockopt getsockname getpeername shutdown sendto "
    "recvfrom send recv sendmsg recvmsg",
    "open openat openat2 stat stat64 lstat lstat64 newfstatat fstatat64 statx access faccessat "
    "faccessat2 readlink readlinkat getdents64 statfs statfs64 fstatfs fstatfs64 getcwd",
    "unlink unlinkat ftruncate ftruncate64 fsync fdatasync fallocate rename renameat renameat2 "
    "fchmod",
    "mkdirat mknodat symlinkat linkat unlinkat unlink rmdir renameat2 fchmod fchmodat fchmodat2 "
    "fchown fchown32 fchownat utimensat utimensat_time64 setxattr lsetxattr fsetxattr ftruncate "
    "ftruncate64 fallocate fsync copy_file_range umask",
};
_Static_assert(ARRAY_LEN(confine_groups) == CONFINE_GROUPS, "a list for each group");

/* No role of ours calls these even by mistake: whoever does in a filtered one is killed. */
const char *const confine_hostile =
    "execve execveat ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp bpf "
    "perf_event_open userfaultfd keyctl add_key request_key io_uring_setup io_uring_enter "
    "io_uring_register kexec_load kexec_file_load init_module finit_module delete_module reboot "
    "mount umount umount2 move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr "
    "pivot_root chroot unshare setns open_by_handle_at swapon swapoff acct quotactl iopl ioperm "
    "modify_ldt clock_settime clock_settime64 settimeofday";
