/* The table from inside: a process with a role's row in force tries what it must not, and what it
 * must be able to. Each attempt is a process of its own, as some end it. What lies around it is as
 * inviting as can be: files that everybody may read and write, a victim of the same user, open
 * ports, descriptors opened before. */
#include "runtime/confine/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/str.h"
#include "runtime/confine/confine_refusal.h"
#include "tests/harness/test.h"

#define NODE_PORT 10250
#define API_PORT 6443
#define FOREIGN_PORT 2379                /* an etcd, say */
#define DONE 200                         /* exit status: it worked */
#define BIT(role) (1u << (role))
#define ASKS (BIT(CONFINE_DNS) | BIT(CONFINE_JOIN))       /* the API, and name servers */
#define ANYWHERE (BIT(CONFINE_PULL) | BIT(CONFINE_PROBE))
#define PLAIN (BIT(CONFINE_CONTROL) | ASKS | ANYWHERE | BIT(CONFINE_LIST))
#define UNPACKS BIT(CONFINE_UNPACK)
#define ALL (PLAIN | UNPACKS)
#define NO_ANY_PORT (ALL & ~ANYWHERE)

struct world {
    char top[200], store[256], plugins[256], resolv[256], tree[256], outside[256];
    int outside_fd, plugins_fd, tree_fd; /* folders, opened before */
    int tcp, unix_fd, file;              /* sockets and a file, opened before */
    pid_t victim;
};

static struct world w;

/* --- around it */

static void make_folder(char out[256], const char *name)
{
    snprintf(out, 256, "%s/%s", w.top, name);
    EXPECT_EQ(mkdir(out, 0777), 0);
    EXPECT_EQ(chmod(out, 0777), 0);
}

static void make_file(const char *dir, const char *name)
{
    char path[512];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    EXPECT(fd >= 0 && write(fd, "secret\n", 7) == 7 && fchmod(fd, 0666) == 0);
    close(fd);
}

static void loopback_up(void)
{
    struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    EXPECT_EQ(ioctl(fd, SIOCSIFFLAGS, &r), 0);
    close(fd);
}

static int listen_at(uint16_t port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port),
                             .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    EXPECT(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 64) == 0);
    return fd;
}

static struct sockaddr_un abstract(socklen_t *len)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "\0inro-test" };

    *len = offsetof(struct sockaddr_un, sun_path) + 10;
    return a;
}

static pid_t start_victim(unsigned uid)
{
    int ready[2];
    pid_t pid;
    char c;

    EXPECT_EQ(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        if (uid && (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0))
            _exit(1);
        prctl(PR_SET_DUMPABLE, 1);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (write(ready[1], "x", 1) == 1)
            for (;;)
                pause();
        _exit(1);
    }
    EXPECT_EQ(read(ready[0], &c, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void make_world(void)
{
    struct sockaddr_un a;
    socklen_t len;
    int fd;

    if (geteuid() != 0 || setresuid(CONFINE_UID, CONFINE_UID, 0) < 0 || setresuid(0, 0, 0) < 0)
        test_skip("needs root, and users");
    snprintf(w.top, sizeof(w.top), "%s/world", test_tmpdir());
    EXPECT(mkdir(w.top, 0755) == 0 && chmod(w.top, 0755) == 0);
    EXPECT_EQ(chmod(test_tmpdir(), 0755), 0);
    make_folder(w.store, "db");
    make_folder(w.plugins, "plugins");
    make_folder(w.tree, "tree");
    make_folder(w.outside, "outside");
    make_folder(w.resolv, "etc");
    make_file(w.plugins, "a.lua");
    make_file(w.outside, "file");
    make_file(w.resolv, "resolv.conf");
    snprintf(w.resolv, sizeof(w.resolv), "%s/etc/resolv.conf", w.top);
    w.outside_fd = open(w.outside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    w.plugins_fd = open(w.plugins, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    loopback_up();
    listen_at(NODE_PORT), listen_at(API_PORT), listen_at(FOREIGN_PORT), listen_at(53);
    w.tcp = socket(AF_INET, SOCK_STREAM, 0);
    a = abstract(&len);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT(bind(fd, (struct sockaddr *)&a, len) == 0 && listen(fd, 64) == 0);
    w.unix_fd = socket(AF_UNIX, SOCK_STREAM, 0);
    w.file = memfd_create("given", MFD_CLOEXEC);
}

static int confine(enum confine_role role, int *refusals)
{
    struct confine_opts o = {
        .role = role, .root = &w.tree_fd, .refusals = refusals, .sanitized_too = true,
        .places = { [CONFINE_STORE] = w.store, [CONFINE_PLUGINS] = w.plugins,
                    [CONFINE_RESOLV] = w.resolv, [CONFINE_HOSTS] = "/etc/hosts" },
        .ports = { [CONFINE_API] = API_PORT },
    };
    struct err err = ERR_INIT;
    int r;

    w.tree_fd = open(role == CONFINE_CONTROL ? w.top : w.tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r = confine_apply(&o, &err);
    if (r < 0)
        fprintf(stderr, "%s\n", err.msg);
    return r < 0 ? -1 : 0;
}

/* --- attempts: below 0 is refused, errno says how */

static int call(long r)
{
    return r < 0 ? -1 : 0;
}

static int connect_to(int fd, uint16_t port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port),
                             .sin_addr = { htonl(INADDR_LOOPBACK) } };

    return connect(fd, (struct sockaddr *)&a, sizeof(a));
}

static int dial(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd < 0 ? -1 : connect_to(fd, port);
}

static int open_in(int dir, const char *name, int flags)
{
    return openat(dir, name, flags | O_CLOEXEC, 0666);
}

static int read_secret(void) { return open_in(w.outside_fd, "file", O_RDONLY); }
static int write_secret(void) { return open_in(w.outside_fd, "file", O_WRONLY); }
static int list_secrets(void) { return open_in(w.outside_fd, ".", O_RDONLY | O_DIRECTORY); }
static int make_outside(void) { return open_in(w.outside_fd, "new", O_WRONLY | O_CREAT); }
static int remove_outside(void) { return unlinkat(w.outside_fd, "file", 0); }
static int rename_outside(void) { return renameat(w.outside_fd, "file", w.outside_fd, "b"); }
static int truncate_outside(void) { return open_in(w.outside_fd, "file", O_WRONLY | O_TRUNC); }
static int climb_outside(void) { return open_in(w.outside_fd, "..", O_RDONLY | O_DIRECTORY); }
static int write_plugin(void) { return open_in(w.plugins_fd, "a.lua", O_WRONLY); }
static int make_plugin(void) { return open_in(w.plugins_fd, "b.lua", O_WRONLY | O_CREAT); }
static int read_passwd(void) { return open_in(AT_FDCWD, "/etc/passwd", O_RDONLY); }
static int read_shadow(void) { return open_in(AT_FDCWD, "/etc/shadow", O_RDONLY); }
static int read_init(void) { return open_in(AT_FDCWD, "/proc/1/environ", O_RDONLY); }
static int write_itself(void) { return open_in(AT_FDCWD, "/proc/self/mem", O_RDWR); }
static int by_handle(void) { return call(syscall(SYS_open_by_handle_at, w.outside_fd, "", 0)); }
static int make_device(void) { return mknodat(w.outside_fd, "null", S_IFCHR | 0666, 0x103); }
static int make_link(void) { return linkat(w.outside_fd, "file", w.outside_fd, "c", 0); }
static int make_symlink(void) { return symlinkat("file", w.outside_fd, "d"); }
static int give_away(void) { return fchownat(w.outside_fd, "file", 1, 1, 0); }
static int set_mode(void) { return fchmodat(w.outside_fd, "file", 04755, 0); }
static int set_attribute(void) { return fsetxattr(w.file, "user.a", "b", 1, 0); }

static int run_program(void)
{
    char *argv[] = { (char *)"true", NULL };

    return execve("/proc/self/exe", argv, NULL);
}
static int run_given(void)
{
    return call(syscall(SYS_execveat, w.file, "", NULL, NULL, AT_EMPTY_PATH));
}
static int do_fork(void) { return call(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); }
static int do_libc_fork(void) { return fork(); }
static int new_user(void) { return unshare(CLONE_NEWUSER); }
static int thread_new_net(void)
{
    return call(syscall(SYS_clone, CLONE_NEWNET | SIGCHLD, 0, 0, 0));
}
static int trace(void) { return call(ptrace(PTRACE_ATTACH, w.victim, NULL, NULL)); }
static int trace_me(void) { return call(ptrace(PTRACE_TRACEME, 0, NULL, NULL)); }
static int peek(void)
{
    char c;
    struct iovec v = { &c, 1 };

    return call(process_vm_readv(w.victim, &v, 1, &v, 1, 0));
}
static int kill_it(void) { return kill(w.victim, SIGKILL); }
static int kill_all(void) { return kill(-1, SIGKILL); }
static int kill_thread(void) { return call(syscall(SYS_tgkill, w.victim, w.victim, SIGKILL)); }
static int queue_it(void) { return call(syscall(SYS_rt_sigqueueinfo, w.victim, SIGKILL, NULL)); }
static int pidfd(void) { return call(syscall(SYS_pidfd_open, w.victim, 0)); }
static int own_signal(void)
{
    int fd = fcntl(w.tcp, F_SETOWN, w.victim);

    return fd < 0 || fcntl(w.tcp, F_SETSIG, SIGKILL) < 0 ? -1
                                                         : call(syscall(SYS_ioctl, w.tcp, 0, 0));
}
static int limit_it(void)
{
    struct rlimit l = { 0, 0 };

    return prlimit(w.victim, RLIMIT_NOFILE, &l, NULL);
}
static int raise_core(void)
{
    struct rlimit l = { RLIM_INFINITY, RLIM_INFINITY };

    return setrlimit(RLIMIT_CORE, &l);
}
static int be_root(void) { return setresuid(0, 0, 0); }
static int be_group(void) { return setresgid(0, 0, 0); }
static int be_capable(void)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct all[2] = { { ~0u, ~0u, ~0u }, { ~0u, ~0u, ~0u } };

    return call(syscall(SYS_capset, &head, all));
}
static int be_dumpable(void) { return prctl(PR_SET_DUMPABLE, 1); }
static int be_unfiltered(void) { return prctl(PR_SET_SECCOMP, 0); }
static int be_ambient(void)
{
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0);
}

static int do_mount(void) { return mount("none", "/", "tmpfs", 0, NULL); }
static int do_umount(void) { return umount2("/", MNT_DETACH); }
static int tree_clone(void)
{
    return call(syscall(SYS_open_tree, w.outside_fd, "", 1 | AT_EMPTY_PATH));
}
static int do_fsopen(void) { return call(syscall(SYS_fsopen, "tmpfs", 0)); }
static int do_chroot(void) { return chroot("/"); }
static int do_setns(void) { return setns(w.outside_fd, 0); }
static int do_pivot(void) { return call(syscall(SYS_pivot_root, ".", ".")); }

static int load_bpf(void)
{
    union bpf_attr a = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4,
                         .max_entries = 1 };

    return call(syscall(SYS_bpf, BPF_MAP_CREATE, &a, sizeof(a)));
}
static int watch_cpu(void)
{
    struct perf_event_attr a = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(a),
                                 .config = PERF_COUNT_SW_CPU_CLOCK, .exclude_kernel = 1 };

    return call(syscall(SYS_perf_event_open, &a, 0, -1, -1, 0));
}
static int do_uring(void)
{
    struct io_uring_params p = { 0 };

    return call(syscall(SYS_io_uring_setup, 4, &p));
}
static int do_userfault(void) { return call(syscall(SYS_userfaultfd, 1)); }
static int do_keyctl(void) { return call(syscall(SYS_keyctl, 0, -3, 1)); }
static int do_add_key(void) { return call(syscall(SYS_add_key, "user", "a", "b", 1, -3)); }
static int do_module(void) { return call(syscall(SYS_finit_module, w.file, "", 0)); }
static int do_kexec(void) { return call(syscall(SYS_kexec_load, 0, 0, NULL, 0)); }
static int do_reboot(void) { return reboot(RB_DISABLE_CAD); }
static int set_clock(void)
{
    struct timespec ts = { 0 };

    return clock_settime(CLOCK_REALTIME, &ts);
}
static int set_name(void) { return sethostname("x", 1); }
static int set_personality(void) { return call(syscall(SYS_personality, 0x0040000)); }
static int read_log(void) { return call(syscall(SYS_syslog, 3, NULL, 0)); }
static int type_keys(void) { return call(syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, "x")); }
static int run_memory(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? -1 : 0;
}
static int make_runnable(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static int unix_socket(void) { return socket(AF_UNIX, SOCK_STREAM, 0); }
static int netlink_socket(void) { return socket(AF_NETLINK, SOCK_RAW, 0); }
static int packet_socket(void) { return socket(AF_PACKET, SOCK_RAW, 0); }
static int raw_socket(void) { return socket(AF_INET, SOCK_RAW, 1); }
static int ping_socket(void) { return socket(AF_INET, SOCK_DGRAM, 1); }
static int alg_socket(void) { return socket(AF_ALG, SOCK_SEQPACKET, 0); }
static int vsock_socket(void) { return socket(AF_VSOCK, SOCK_STREAM, 0); }
static int mptcp_socket(void) { return socket(AF_INET, SOCK_STREAM, 262); }
static int tcp_socket(void) { return socket(AF_INET, SOCK_STREAM, 0); }
static int udp_socket(void) { return socket(AF_INET, SOCK_DGRAM, 0); }
static int pair_sockets(void)
{
    int fds[2];

    return socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
}
static int dial_foreign(void) { return dial(FOREIGN_PORT); }
static int dial_given(void) { return connect_to(w.tcp, FOREIGN_PORT); }
static int dial_node(void) { return dial(NODE_PORT); }
static int dial_api(void) { return dial(API_PORT); }
static int dial_dns(void) { return dial(53); }
static int dial_abstract(void)
{
    socklen_t len;
    struct sockaddr_un a = abstract(&len);

    return connect(w.unix_fd, (struct sockaddr *)&a, len);
}
static int fast_open(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(FOREIGN_PORT),
                             .sin_addr = { htonl(INADDR_LOOPBACK) } };

    return call(sendto(w.tcp, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&a, sizeof(a)));
}
static int bind_port(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(8080) };

    return bind(w.tcp, (struct sockaddr *)&a, sizeof(a));
}
static int listen_port(void) { return listen(w.tcp, 1); }

struct attempt { const char *what; unsigned roles; int (*try)(void); };
#define TRY(roles, f) { #f, (roles), f }

static const struct attempt forbidden[] = {
    TRY(ALL, read_secret), TRY(ALL, write_secret), TRY(ALL, list_secrets), TRY(ALL, make_outside),
    TRY(ALL, remove_outside), TRY(ALL, rename_outside), TRY(ALL, truncate_outside),
    TRY(ALL, climb_outside), TRY(ALL, write_plugin), TRY(ALL, make_plugin), TRY(ALL, by_handle),
    TRY(ALL, make_device), TRY(ALL, make_link), TRY(ALL, make_symlink), TRY(PLAIN, give_away),
    TRY(PLAIN, set_mode), TRY(PLAIN, set_attribute), TRY(PLAIN, read_passwd),
    TRY(PLAIN, read_shadow), TRY(PLAIN, read_init), TRY(PLAIN, write_itself),

    TRY(ALL, run_program), TRY(ALL, run_given), TRY(ALL, do_fork), TRY(ALL, do_libc_fork),
    TRY(ALL, new_user), TRY(ALL, thread_new_net), TRY(ALL, trace), TRY(ALL, trace_me),
    TRY(ALL, peek), TRY(ALL, kill_it), TRY(ALL, kill_all), TRY(ALL, kill_thread),
    TRY(ALL, queue_it), TRY(ALL, pidfd), TRY(ALL, own_signal), TRY(ALL, limit_it),
    TRY(ALL, raise_core), TRY(ALL, be_root), TRY(ALL, be_group), TRY(ALL, be_capable),
    TRY(ALL, be_dumpable), TRY(ALL, be_unfiltered), TRY(ALL, be_ambient),

    TRY(ALL, do_mount), TRY(ALL, do_umount), TRY(ALL, tree_clone), TRY(ALL, do_fsopen),
    TRY(ALL, do_chroot), TRY(ALL, do_setns), TRY(ALL, do_pivot), TRY(ALL, load_bpf),
    TRY(ALL, watch_cpu), TRY(ALL, do_uring), TRY(ALL, do_userfault), TRY(ALL, do_keyctl),
    TRY(ALL, do_add_key), TRY(ALL, do_module), TRY(ALL, do_kexec), TRY(ALL, do_reboot),
    TRY(ALL, set_clock), TRY(ALL, set_name), TRY(ALL, set_personality), TRY(ALL, read_log),
    TRY(ALL, type_keys), TRY(ALL, run_memory), TRY(ALL, make_runnable),

    TRY(ALL, unix_socket), TRY(ALL, netlink_socket), TRY(ALL, packet_socket),
    TRY(ALL, raw_socket), TRY(ALL, ping_socket), TRY(ALL, alg_socket), TRY(ALL, vsock_socket),
    TRY(ALL, mptcp_socket), TRY(ALL & ~BIT(CONFINE_CONTROL), pair_sockets),
    TRY(NO_ANY_PORT, dial_foreign),
    TRY(NO_ANY_PORT, dial_given), TRY(ALL, dial_abstract), TRY(ALL, fast_open),
    TRY(ALL, bind_port), TRY(ALL, listen_port), TRY(UNPACKS | BIT(CONFINE_LIST), tcp_socket),
    TRY(UNPACKS | BIT(CONFINE_LIST), udp_socket), TRY(ASKS, dial_node),
    TRY(BIT(CONFINE_CONTROL), dial_dns),
};

/* --- what each must be able to */

static int given_file(void) { return write(w.file, "x", 1) == 1 ? 0 : -1; }
static int store_file(void)
{
    int fd = open_in(AT_FDCWD, "/db/state", O_RDWR | O_CREAT);

    return fd < 0 || write(fd, "x", 1) != 1 || fdatasync(fd) < 0 ? -1 : unlink("/db/state");
}
static int read_plugin(void) { return open_in(w.plugins_fd, "a.lua", O_RDONLY); }
static int read_resolv(void) { return open_in(AT_FDCWD, w.resolv, O_RDONLY); }
static int tree_files(void)
{
    int root = w.tree_fd, fd;

    if (mkdirat(root, "dir", 0755) < 0 || mknodat(root, "dir/fifo", S_IFIFO | 0644, 0) < 0 ||
        mknodat(root, "dir/null", S_IFCHR | 0666, 0x103) < 0 ||
        symlinkat("/etc", root, "dir/etc") < 0 ||
        linkat(root, "dir/etc", root, "dir/etc2", 0) < 0 || fchownat(root, "dir", 5, 6, 0) < 0)
        return -1;
    fd = open_in(AT_FDCWD, "/dir/file", O_WRONLY | O_CREAT);
    if (fd < 0 || fchown(fd, 7, 8) < 0 || fchmod(fd, 04755) < 0)
        return -1;
    return futimens(fd, NULL);
}
static int dead_device(void)             /* of a stranger's tree: made, but nobody is there */
{
    if (mknodat(w.tree_fd, "null", S_IFCHR | 0666, 0x103) < 0)
        return -1;
    return open_in(AT_FDCWD, "/null", O_RDWR) < 0 && errno == EACCES ? 0 : -1;
}
static void *nothing(void *p) { return p; }
static int new_thread(void)
{
    pthread_t t;

    errno = pthread_create(&t, NULL, nothing, NULL);
    return errno || (errno = pthread_join(t, NULL)) ? -1 : 0;
}

static const struct attempt allowed[] = {
    TRY(ALL, given_file), TRY(BIT(CONFINE_CONTROL), store_file),
    TRY(BIT(CONFINE_CONTROL), read_plugin), TRY(BIT(CONFINE_CONTROL), new_thread),
    TRY(BIT(CONFINE_CONTROL), dial_node), TRY(BIT(CONFINE_CONTROL), pair_sockets),
    TRY(ASKS, dial_api),
    TRY(ASKS, dial_dns), TRY(ASKS | ANYWHERE, udp_socket),
    TRY(ASKS | ANYWHERE, read_resolv), TRY(ANYWHERE, dial_foreign),
    TRY(UNPACKS, tree_files), TRY(UNPACKS, dead_device),
};

/* --- running them */

/* DONE, errno, or 128 + signal. */
static int outcome(enum confine_role role, int (*try)(void))
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        if (confine(role, NULL) < 0)
            _exit(1);
        errno = 0;
        _exit(try() < 0 ? (errno ? errno : 2) : DONE);
    }
    EXPECT(waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void try_forbidden(enum confine_role role)
{
    unsigned tried = 0;

    make_world();
    w.victim = start_victim(confine_uid(role));
    for (size_t i = 0; i < ARRAY_LEN(forbidden); i++) {
        int got;

        if (!(forbidden[i].roles & BIT(role)))
            continue;
        got = outcome(role, forbidden[i].try);
        tried++;
        if (got != EPERM && got != EACCES && got != 128 + SIGSYS &&
            !(got == ENOENT && role == CONFINE_CONTROL))     /* a path that it does not see */
            test_fail(__FILE__, __LINE__, "%s: %s: %d %s", confine_name(role), forbidden[i].what,
                      got, got < 128 ? strerror(got) : "");
    }
    EXPECT(tried > 70);
    EXPECT_EQ(kill(w.victim, 0), 0);
    EXPECT_EQ(waitpid(w.victim, NULL, WNOHANG), 0);
}

TEST(control_is_refused) { try_forbidden(CONFINE_CONTROL); }
TEST(dns_is_refused) { try_forbidden(CONFINE_DNS); }
TEST(join_is_refused) { try_forbidden(CONFINE_JOIN); }
TEST(probe_is_refused) { try_forbidden(CONFINE_PROBE); }
TEST(pull_is_refused) { try_forbidden(CONFINE_PULL); }
TEST(unpack_is_refused) { try_forbidden(CONFINE_UNPACK); }
TEST(list_is_refused) { try_forbidden(CONFINE_LIST); }

/* The same attempts without a row: they are refused by it, not for another reason. */
TEST(nobody_else_is_refused)
{
    static int (*const tries[])(void) = {
        read_secret, write_plugin, read_passwd, do_fork, trace, kill_it, dial_foreign,
        dial_abstract, bind_port, mptcp_socket, unix_socket, make_runnable, be_dumpable, pidfd,
    };

    make_world();
    for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
        pid_t pid;
        int status;

        w.victim = start_victim(CONFINE_UID);
        pid = fork();
        if (pid == 0)
            _exit(setresgid(CONFINE_UID, CONFINE_UID, CONFINE_UID) < 0 ||
                  setresuid(CONFINE_UID, CONFINE_UID, CONFINE_UID) < 0 || tries[i]() < 0);
        EXPECT(waitpid(pid, &status, 0) == pid);
        if (status != 0)
            test_fail(__FILE__, __LINE__, "attempt %zu does not work outside either", i);
        kill(w.victim, SIGKILL);
    }
}

TEST(each_can_do_its_work)
{
    make_world();
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
        for (unsigned role = 0; role < CONFINE_ROLE_MAX; role++) {
            int got = allowed[i].roles & BIT(role) ? outcome((enum confine_role)role,
                                                             allowed[i].try) : DONE;

            if (got != DONE)
                test_fail(__FILE__, __LINE__, "%s: %s: %d %s",
                          confine_name((enum confine_role)role), allowed[i].what, got,
                          got < 128 ? strerror(got) : "");
        }
}

/* resolv.conf is another file by then, as its owners replace it. */
TEST(dns_reads_a_replaced_file)
{
    char other[512];
    int ready[2], go[2], status;
    char c;
    pid_t pid;

    make_world();
    EXPECT(pipe(ready) == 0 && pipe(go) == 0);
    pid = fork();
    if (pid == 0) {
        if (confine(CONFINE_DNS, NULL) < 0 || write(ready[1], "x", 1) != 1 ||
            read(go[0], &c, 1) != 1)
            _exit(1);
        _exit(read_resolv() < 0 ? errno : DONE);
    }
    EXPECT_EQ(read(ready[0], &c, 1), 1);
    snprintf(other, sizeof(other), "%s/etc", w.top);
    make_file(other, "new");
    snprintf(other, sizeof(other), "%s/etc/new", w.top);
    EXPECT_EQ(rename(other, w.resolv), 0);
    EXPECT_EQ(write(go[1], "x", 1), 1);
    EXPECT(waitpid(pid, &status, 0) == pid);
    EXPECT_EQ(WEXITSTATUS(status), DONE);
}

/* --- what /proc says */

static void status_of(enum confine_role role, const char *caps)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    char path[64], want[256], c;
    unsigned uid = confine_uid(role);
    int ready[2];
    pid_t pid;

    EXPECT_EQ(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        if (confine(role, NULL) < 0 || write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            (void)poll(NULL, 0, -1);
    }
    close(ready[1]);
    EXPECT_EQ(read(ready[0], &c, 1), 1);
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    EXPECT_OK(fd_read_file(&text, AT_FDCWD, path, 1 << 16, NULL), (&(struct err){ 0 }));
    snprintf(want, sizeof(want), "\nUid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n", uid, uid, uid,
             uid, uid, uid, uid, uid);
    EXPECT(strstr(text.p, want) != NULL);
    EXPECT(strstr(text.p, "\nGroups:\t \n") != NULL);
    EXPECT(strstr(text.p, "\nCapInh:\t0000000000000000\n") != NULL);
    EXPECT(strstr(text.p, "\nCapAmb:\t0000000000000000\n") != NULL);
    for (const char *const *set = (const char *const[]){ "Prm", "Eff", "Bnd", NULL }; *set; set++) {
        snprintf(want, sizeof(want), "\nCap%s:\t%s\n", *set, caps);
        if (!strstr(text.p, want))
            test_fail(__FILE__, __LINE__, "%s: no %s in %s", confine_name(role), want, text.p);
    }
    EXPECT(strstr(text.p, "\nNoNewPrivs:\t1\nSeccomp:\t2\n") != NULL);
    kill(pid, SIGKILL);
}

TEST(proc_shows_it)
{
    make_world();
    status_of(CONFINE_CONTROL, "0000000000000000");
    status_of(CONFINE_DNS, "0000000000000000");
    status_of(CONFINE_PULL, "0000000000000000");
    status_of(CONFINE_PROBE, "0000000000000000");
    status_of(CONFINE_LIST, "0000000000000000");
    status_of(CONFINE_UNPACK, "000000008800001b");
}

/* --- kernels that lack something */

static long lacking;                     /* the system call that "does not exist" */

static void lack(long nr)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { ARRAY_LEN(code), code };

    EXPECT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

/* Runs with what there is: the role, its first thread's attempt. */
static int outcome_lacking(int (*try)(void))
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        lack(lacking);
        if (confine(CONFINE_DNS, NULL) < 0)
            _exit(1);
        errno = 0;
        _exit(try() < 0 ? errno : DONE);
    }
    EXPECT(waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

TEST(without_landlock_the_rest_holds)
{
    make_world();
    lacking = SYS_landlock_create_ruleset;
    EXPECT_EQ(outcome_lacking(read_secret), DONE);       /* a file that everybody may read */
    EXPECT_EQ(outcome_lacking(unix_socket), EPERM);
    EXPECT_EQ(outcome_lacking(do_keyctl), 128 + SIGSYS);
    EXPECT_EQ(outcome_lacking(read_resolv), DONE);
}

TEST(without_seccomp_the_rest_holds)
{
    make_world();
    lacking = SYS_seccomp;
    EXPECT_EQ(outcome_lacking(read_secret), EACCES);
    EXPECT_EQ(outcome_lacking(dial_foreign), EACCES);
    EXPECT_EQ(outcome_lacking(be_root), EPERM);
    EXPECT_EQ(outcome_lacking(read_resolv), DONE);
}

/* --- threads, and who hears of it */

static void *threads_attempt(void *p)
{
    *(int *)p = read_secret() < 0 && errno == EACCES && socket(AF_UNIX, SOCK_STREAM, 0) < 0 &&
                errno == EPERM;
    return NULL;
}

static int thread_is_confined(void)
{
    pthread_t t;
    int refused = 0;

    errno = pthread_create(&t, NULL, threads_attempt, &refused);
    return errno || pthread_join(t, NULL) || !refused ? -1 : 0;
}

TEST(threads_made_later_are_confined)
{
    make_world();
    EXPECT_EQ(outcome(CONFINE_CONTROL, thread_is_confined), DONE);
}

TEST(refusals_are_heard)
{
    struct confine_refusal what = { 0 };
    struct err err = ERR_INIT;
    int pair[2], fd = -1, status;
    char c;
    size_t n = 1;
    pid_t pid;

    make_world();
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    pid = fork();
    if (pid == 0) {
        if (confine(CONFINE_DNS, &fd) < 0 || fd_send(pair[1], "x", 1, &fd, 1, NULL) < 0)
            _exit(1);
        close(fd);
        _exit(kill(77, 9) < 0 ? errno : DONE);
    }
    EXPECT_OK(fd_recv(pair[0], &c, 1, &fd, &n, &err), &err);
    EXPECT_EQ(n, 1);
    EXPECT_EQ(confine_refusal_read(fd, &what, &err), 1);
    EXPECT_STR(what.call, "kill");
    EXPECT_EQ(what.nr, SYS_kill);
    EXPECT_EQ(what.args[0], 77);
    EXPECT(waitpid(pid, &status, 0) == pid);
    EXPECT_EQ(WEXITSTATUS(status), EPERM);
}

/* Nobody listens any more: the caller gets an error, and does not wait. */
TEST(refusals_without_a_listener)
{
    int pair[2], fd = -1, status;
    size_t n = 1;
    char c;
    pid_t pid;

    make_world();
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    pid = fork();
    if (pid == 0) {
        if (confine(CONFINE_DNS, &fd) < 0 || fd_send(pair[1], "x", 1, &fd, 1, NULL) < 0)
            _exit(1);
        close(fd);
        _exit(read(pair[1], &c, 1) == 1 && kill(77, 9) < 0 ? errno : DONE);
    }
    EXPECT(fd_recv(pair[0], &c, 1, &fd, &n, NULL) == 1 && n == 1);
    close(fd);
    EXPECT_EQ(write(pair[0], "x", 1), 1);
    EXPECT(waitpid(pid, &status, 0) == pid);
    EXPECT_EQ(WEXITSTATUS(status), ENOSYS);
}
