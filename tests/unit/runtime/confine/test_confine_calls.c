/* Every row as a program, asked about every system call. */
#include "runtime/confine/confine_calls.h"

#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/str.h"
#include "tests/fake/fake_bpf.h"
#include "tests/harness/test.h"

#define REFUSED (SECCOMP_RET_ERRNO | EPERM)

static unsigned steps;

static uint32_t ask_arch(enum confine_role role, uint32_t arch, long nr, const uint64_t args[4])
{
    struct seccomp_data d = { .nr = (int)nr, .arch = arch,
                              .args = { args[0], args[1], args[2], args[3] } };
    struct confine_filter f;

    confine_calls_program(&f, &confine_rows[role], REFUSED);
    return fake_bpf(f.v, f.len, &d, &steps);
}

#define ASK(role, nr, ...)                                                                         \
    ask_arch((role), FAKE_BPF_NATIVE, (nr), (const uint64_t[4]){ __VA_ARGS__ })

static const enum confine_role filtered[] = { CONFINE_CONTROL, CONFINE_DNS, CONFINE_JOIN,
                                              CONFINE_PROBE,
                                              CONFINE_PULL, CONFINE_UNPACK, CONFINE_LIST };

static void each_name(const char *names, void (*see)(const char *name))
{
    struct slice rest = slice_of(names), name;

    while (slice_split(&rest, ' ', &name)) {
        char *text = mem_strndup(name.p, name.len);

        if (name.len)
            see(text);
        mem_free(text);
    }
}

static void is_known(const char *name)
{
    if (seccomp_syscall_resolve_name(name) == __NR_SCMP_ERROR)
        test_fail(__FILE__, __LINE__, "no architecture has a system call \"%s\"", name);
}

TEST(names_are_calls)
{
    for (size_t i = 0; i < CONFINE_GROUPS; i++)
        each_name(confine_groups[i], is_known);
    each_name(confine_hostile, is_known);
    for (size_t i = 0; i < CONFINE_ROLE_MAX; i++)
        if (confine_rows[i].more)
            each_name(confine_rows[i].more, is_known);
}

static void kills(const char *name)
{
    int nr = confine_call(name);

    for (size_t i = 0; nr >= 0 && i < ARRAY_LEN(filtered); i++)
        if (ASK(filtered[i], nr, 0, 0, 0, 0) != SECCOMP_RET_KILL_PROCESS)
            test_fail(__FILE__, __LINE__, "%s may call %s", confine_name(filtered[i]), name);
}

TEST(hostile_calls_kill_and_no_row_takes_them_back)
{
    each_name(confine_hostile, kills);
}

/* By default: an unlisted call, one past the table, a foreign architecture's. */
TEST(what_is_not_listed_is_refused)
{
    static const uint64_t none[4];

    for (size_t i = 0; i < ARRAY_LEN(filtered); i++) {
        enum confine_role r = filtered[i];

        EXPECT_EQ(ASK(r, SYS_read, 0, 0, 0, 0), SECCOMP_RET_ALLOW);
        EXPECT_EQ(ASK(r, SYS_kill, 1, 9, 0, 0), REFUSED);
        EXPECT_EQ(ASK(r, SYS_setuid, 0, 0, 0, 0), REFUSED);
        EXPECT_EQ(ASK(r, SYS_setresuid, 0, 0, 0, 0), REFUSED);
        EXPECT_EQ(ASK(r, SYS_ioctl, 0, 0x5412, 0, 0), REFUSED);
        EXPECT_EQ(ASK(r, SYS_bind, 0, 0, 0, 0), REFUSED);
        EXPECT_EQ(ASK(r, SYS_listen, 0, 0, 0, 0), REFUSED);
        EXPECT_EQ(ASK(r, SYS_sendmmsg, 0, 0, 0, 0), REFUSED);
        EXPECT_EQ(ASK(r, SYS_clone3, 0, 0, 0, 0), SECCOMP_RET_ERRNO | ENOSYS);
        EXPECT_EQ(ASK(r, CONFINE_CALLS_MAX - 1, 0, 0, 0, 0), REFUSED);
        EXPECT_EQ(ASK(r, CONFINE_CALLS_MAX, 0, 0, 0, 0), REFUSED);
        EXPECT_EQ(ask_arch(r, AUDIT_ARCH_PPC, SYS_read, none), SECCOMP_RET_KILL_PROCESS);
#if defined(__x86_64__)
        EXPECT_EQ(ASK(r, 0x40000000 | SYS_read, 0, 0, 0, 0), REFUSED);       /* x32 */
        EXPECT_EQ(ask_arch(r, AUDIT_ARCH_I386, 3, none), SECCOMP_RET_KILL_PROCESS);
#endif
    }
    EXPECT(steps < 40);
}

TEST(memory_is_never_executable)
{
    for (size_t i = 0; i < ARRAY_LEN(filtered); i++) {
        EXPECT_EQ(ASK(filtered[i], SYS_mprotect, 0, 0, PROT_READ | PROT_WRITE, 0),
                  SECCOMP_RET_ALLOW);
        EXPECT_EQ(ASK(filtered[i], SYS_mprotect, 0, 0, PROT_READ | PROT_EXEC, 0), REFUSED);
        EXPECT_EQ(ASK(filtered[i], confine_call("mmap2") >= 0 ? confine_call("mmap2")
                                                              : confine_call("mmap"),
                      0, 0, PROT_EXEC, 0), REFUSED);
    }
}

TEST(threads_but_no_processes)
{
    EXPECT_EQ(ASK(CONFINE_CONTROL, SYS_clone, CLONE_VM | CLONE_THREAD, 0, 0, 0),
              SECCOMP_RET_ALLOW);
    EXPECT_EQ(ASK(CONFINE_CONTROL, SYS_clone, 17, 0, 0, 0), REFUSED);
    EXPECT_EQ(ASK(CONFINE_CONTROL, SYS_clone, CLONE_VM | CLONE_VFORK, 0, 0, 0), REFUSED);
    EXPECT_EQ(ASK(CONFINE_CONTROL, SYS_clone, CLONE_THREAD | CLONE_NEWUSER, 0, 0, 0), REFUSED);
    EXPECT_EQ(ASK(CONFINE_PULL, SYS_clone, CLONE_VM | CLONE_THREAD, 0, 0, 0), REFUSED);
}

static void sockets_of(enum confine_role r, uint32_t expected)
{
    EXPECT_EQ(ASK(r, SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0, 0), expected);
    EXPECT_EQ(ASK(r, SYS_socket, AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, IPPROTO_UDP, 0), expected);
    EXPECT_EQ(ASK(r, SYS_socket, AF_INET, SOCK_RAW, 0, 0), REFUSED);
    EXPECT_EQ(ASK(r, SYS_socket, AF_INET, SOCK_STREAM, 262, 0), REFUSED);       /* MPTCP */
    EXPECT_EQ(ASK(r, SYS_socket, AF_INET, SOCK_STREAM, IPPROTO_SCTP, 0), REFUSED);
    EXPECT_EQ(ASK(r, SYS_socket, AF_UNIX, SOCK_STREAM, 0, 0), REFUSED);
    EXPECT_EQ(ASK(r, SYS_socket, AF_NETLINK, SOCK_DGRAM, 0, 0), REFUSED);
    EXPECT_EQ(ASK(r, SYS_socket, AF_PACKET, SOCK_DGRAM, 0, 0), REFUSED);
    EXPECT_EQ(ASK(r, SYS_socket, AF_VSOCK, SOCK_STREAM, 0, 0), REFUSED);
}

TEST(sockets_are_tcp_and_udp)
{
    sockets_of(CONFINE_CONTROL, SECCOMP_RET_ALLOW);
    sockets_of(CONFINE_DNS, SECCOMP_RET_ALLOW);
    sockets_of(CONFINE_PULL, SECCOMP_RET_ALLOW);
    sockets_of(CONFINE_UNPACK, REFUSED);
    sockets_of(CONFINE_LIST, REFUSED);
}

TEST(fast_open_does_not_connect)
{
    EXPECT_EQ(ASK(CONFINE_CONTROL, SYS_sendto, 0, 0, 0, MSG_NOSIGNAL), SECCOMP_RET_ALLOW);
    EXPECT_EQ(ASK(CONFINE_CONTROL, SYS_sendto, 0, 0, 0, MSG_FASTOPEN), REFUSED);
    EXPECT_EQ(ASK(CONFINE_CONTROL, SYS_sendmsg, 0, 0, MSG_NOSIGNAL, 0), SECCOMP_RET_ALLOW);
    EXPECT_EQ(ASK(CONFINE_CONTROL, SYS_sendmsg, 0, 0, MSG_FASTOPEN, 0), REFUSED);
}

TEST(only_itself)
{
    uint64_t self = (uint64_t)getpid();

    EXPECT_EQ(ASK(CONFINE_DNS, SYS_tgkill, self, 1, 6, 0), SECCOMP_RET_ALLOW);
    EXPECT_EQ(ASK(CONFINE_DNS, SYS_tgkill, 1, 1, 6, 0), REFUSED);
    EXPECT_EQ(ASK(CONFINE_DNS, SYS_prlimit64, 0, 7, 0, 0), SECCOMP_RET_ALLOW);
    EXPECT_EQ(ASK(CONFINE_DNS, SYS_prlimit64, 1, 7, 0, 0), REFUSED);
    EXPECT_EQ(ASK(CONFINE_DNS, SYS_prctl, PR_SET_NAME, 0, 0, 0), SECCOMP_RET_ALLOW);
    EXPECT_EQ(ASK(CONFINE_DNS, SYS_prctl, PR_SET_SECCOMP, 0, 0, 0), REFUSED);
    EXPECT_EQ(ASK(CONFINE_DNS, SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0), REFUSED);
}

TEST(rows_differ)
{
    EXPECT_EQ(ASK(CONFINE_CONTROL, SYS_fdatasync, 0, 0, 0, 0), SECCOMP_RET_ALLOW);
    EXPECT_EQ(ASK(CONFINE_DNS, SYS_fdatasync, 0, 0, 0, 0), REFUSED);
    EXPECT_EQ(ASK(CONFINE_UNPACK, SYS_mknodat, 0, 0, 0, 0), SECCOMP_RET_ALLOW);
    EXPECT_EQ(ASK(CONFINE_CONTROL, SYS_mknodat, 0, 0, 0, 0), REFUSED);
    EXPECT_EQ(ASK(CONFINE_LIST, SYS_openat, 0, 0, 0, 0), REFUSED);
    EXPECT_EQ(ASK(CONFINE_PULL, SYS_openat, 0, 0, 0, 0), SECCOMP_RET_ALLOW);
}

/* No two roles share a user: one could send signals to the other, and read its files. */
TEST(each_its_own_user)
{
    for (size_t i = 0; i < ARRAY_LEN(filtered); i++)
        for (size_t k = 0; k < i; k++)
            EXPECT(confine_rows[filtered[i]].uid != confine_rows[filtered[k]].uid);
    EXPECT_EQ(confine_uid(CONFINE_NODE), 0);
    EXPECT_EQ(confine_uid(CONFINE_UNPACK), 0);
}
