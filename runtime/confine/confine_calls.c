/* confine_calls.c -- from the names in a row to a seccomp program. Most calls are allowed or not;
 * some are allowed with certain arguments:
 *
 *   clone              threads only; clone3, whose flags no filter sees, "does not exist", and
 *                      libc takes clone
 *   mmap, mprotect     never executable: no code comes in but what the binary holds
 *   socket             TCP and UDP of IPv4 and IPv6. Not MPTCP or others, which Landlock's port
 *                      rules do not see
 *   sendto, sendmsg    not MSG_FASTOPEN, which connects past those rules
 *   prctl              names of threads
 *   prlimit64, tgkill  this process
 */
#include "runtime/confine/confine_calls.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/base/str.h"

#define SOCKET_TYPE 0xff                 /* without SOCK_CLOEXEC and SOCK_NONBLOCK */

enum rule {
    RULE_REFUSE, RULE_ALLOW, RULE_KILL, RULE_NOSYS, RULE_CLONE, RULE_MEMORY, RULE_SOCKET,
    RULE_SENDTO, RULE_SENDMSG, RULE_PRCTL, RULE_LIMIT, RULE_OWN,
};

static const struct { const char *call; enum rule rule; } with_arguments[] = {
    { "clone", RULE_CLONE }, { "mmap", RULE_MEMORY }, { "mmap2", RULE_MEMORY },
    { "mprotect", RULE_MEMORY }, { "socket", RULE_SOCKET }, { "sendto", RULE_SENDTO },
    { "send", RULE_SENDTO }, { "sendmsg", RULE_SENDMSG }, { "prctl", RULE_PRCTL },
    { "prlimit64", RULE_LIMIT }, { "tgkill", RULE_OWN },
};

/* --- rules */

static void set_all(uint8_t rules[CONFINE_CALLS_MAX], const char *names, enum rule rule)
{
    struct slice rest = slice_of(names ? names : ""), name;
    char text[CONFINE_CALLS_MAX];

    while (slice_split(&rest, ' ', &name)) {
        int nr;

        if (!name.len)
            continue;
        check(name.len < sizeof(text));
        memcpy(text, name.p, name.len);
        text[name.len] = 0;
        if ((nr = confine_call(text)) >= 0)
            rules[nr] = (uint8_t)rule;
    }
}

static void make_rules(uint8_t rules[CONFINE_CALLS_MAX], const struct confine_row *row)
{
    memset(rules, RULE_REFUSE, CONFINE_CALLS_MAX);
    set_all(rules, confine_hostile, RULE_KILL);
    for (unsigned i = 0; i < CONFINE_GROUPS; i++)
        if (row->groups >> i & 1)
            set_all(rules, confine_groups[i], RULE_ALLOW);
    set_all(rules, row->more, RULE_ALLOW);
    for (size_t i = 0; i < ARRAY_LEN(with_arguments); i++) {
        int nr = confine_call(with_arguments[i].call);

        if (nr >= 0 && rules[nr] == RULE_ALLOW)
            rules[nr] = (uint8_t)with_arguments[i].rule;
    }
    set_all(rules, "clone3", RULE_NOSYS);
}

/* --- the program */

/* One of the values goes on to what comes next, anything else to the refusal. */
static void emit_one_of(struct confine_filter *f, const uint32_t *values, uint8_t n,
                        uint32_t refuse)
{
    for (uint8_t i = 0; i < n; i++)
        confine_emit(f, BPF_JMP | BPF_JEQ | BPF_K, values[i], (uint8_t)(n - i), 0);
    confine_emit_return(f, refuse);
}

static void emit_without(struct confine_filter *f, unsigned arg, uint32_t bits, uint32_t refuse)
{
    confine_emit_arg(f, arg);
    confine_emit(f, BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1);
    confine_emit_return(f, refuse);
}

static void emit_socket(struct confine_filter *f, uint32_t refuse)
{
    static const uint32_t families[] = { AF_INET, AF_INET6 };
    static const uint32_t types[] = { SOCK_STREAM, SOCK_DGRAM };
    static const uint32_t protocols[] = { 0, IPPROTO_TCP, IPPROTO_UDP };

    confine_emit_arg(f, 0);
    emit_one_of(f, families, ARRAY_LEN(families), refuse);
    confine_emit_arg(f, 1);
    confine_emit(f, BPF_ALU | BPF_AND | BPF_K, SOCKET_TYPE, 0, 0);
    emit_one_of(f, types, ARRAY_LEN(types), refuse);
    confine_emit_arg(f, 2);
    emit_one_of(f, protocols, ARRAY_LEN(protocols), refuse);
}

static void emit_clone(struct confine_filter *f, uint32_t refuse)
{
    confine_emit_arg(f, 0);
    confine_emit(f, BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0);
    confine_emit_return(f, refuse);
    emit_without(f, 0, CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                       CLONE_NEWNET | CLONE_NEWCGROUP, refuse);
}

static void emit_rule(struct confine_filter *f, unsigned rule, void *ctx)
{
    static const uint32_t prctls[] = { PR_SET_NAME };
    uint32_t refuse = *(uint32_t *)ctx;
    uint32_t self[] = { (uint32_t)getpid(), 0 };     /* 0: of prlimit64, the caller */

    switch ((enum rule)rule) {
    case RULE_REFUSE: confine_emit_return(f, refuse); return;
    case RULE_KILL: confine_emit_return(f, SECCOMP_RET_KILL_PROCESS); return;
    case RULE_NOSYS: confine_emit_return(f, SECCOMP_RET_ERRNO | ENOSYS); return;
    case RULE_ALLOW: break;
    case RULE_CLONE: emit_clone(f, refuse); break;
    case RULE_MEMORY: emit_without(f, 2, PROT_EXEC, refuse); break;
    case RULE_SOCKET: emit_socket(f, refuse); break;
    case RULE_SENDTO: emit_without(f, 3, MSG_FASTOPEN, refuse); break;
    case RULE_SENDMSG: emit_without(f, 2, MSG_FASTOPEN, refuse); break;
    case RULE_PRCTL:
        confine_emit_arg(f, 0);
        emit_one_of(f, prctls, ARRAY_LEN(prctls), refuse);
        break;
    case RULE_LIMIT:
    case RULE_OWN:
        confine_emit_arg(f, 0);
        emit_one_of(f, self, rule == RULE_LIMIT ? 2 : 1, refuse);
        break;
    }
    confine_emit_return(f, SECCOMP_RET_ALLOW);
}

void confine_calls_program(struct confine_filter *out, const struct confine_row *row,
                           uint32_t refuse)
{
    struct confine_range ranges[CONFINE_RANGES_MAX];
    uint8_t rules[CONFINE_CALLS_MAX];
    struct confine_leaf leaf = { emit_rule, &refuse };

    make_rules(rules, row);
    confine_emit_tree(out, SECCOMP_RET_KILL_PROCESS, ranges,
                      confine_ranges(ranges, rules, RULE_REFUSE), &leaf);
}

/* --- in force */

static int install(const struct confine_row *row, unsigned flags, uint32_t refuse)
{
    struct confine_filter filter;
    struct sock_fprog program = { .filter = filter.v };

    confine_calls_program(&filter, row, refuse);
    program.len = (unsigned short)filter.len;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

int confine_calls_install(const struct confine_row *row, int *refusals, struct err *err)
{
    int fd = -1;

    if (refusals) {
        *refusals = -1;
        fd = install(row, SECCOMP_FILTER_FLAG_NEW_LISTENER, SECCOMP_RET_USER_NOTIF);
        if (fd >= 0) {
            *refusals = fd;
            return 0;
        }
    }
    if (install(row, 0, SECCOMP_RET_ERRNO | EPERM) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return err_sys(err, "limit system calls");
    if (row->lives)
        log_warn("the kernel has no seccomp: system calls are not limited", "role=%s", row->name);
    return 0;
}
