/* seccomp_program.c -- what the rules of a container's filter say, as instructions. */
#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "core/base/check.h"
#include "runtime/oci/oci_child.h"

#define NEW_NAMESPACES (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
                        CLONE_NEWNET | CLONE_NEWCGROUP)

static void emit_leaf(struct confine_filter *p, unsigned rule, void *ctx)
{
    (void)ctx;
    switch ((enum seccomp_rule)rule) {
    case SECCOMP_ALLOW: confine_emit_return(p, SECCOMP_RET_ALLOW); break;
    case SECCOMP_DENY: confine_emit_return(p, SECCOMP_RET_ERRNO | EPERM); break;
    case SECCOMP_NOSYS: confine_emit_return(p, SECCOMP_RET_ERRNO | ENOSYS); break;
    case SECCOMP_PERSONALITY:
        confine_emit_arg(p, 0);
        confine_emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0x0, 4, 0);
        confine_emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0x0008, 3, 0);
        confine_emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0x20000, 2, 0);
        confine_emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0x20008, 1, 0);
        confine_emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0xffffffff, 0, 1);
        confine_emit_return(p, SECCOMP_RET_ALLOW);
        confine_emit_return(p, SECCOMP_RET_ERRNO | EPERM);
        break;
    case SECCOMP_CLONE:
        confine_emit_arg(p, 0);
        confine_emit(p, BPF_JMP | BPF_JSET | BPF_K, NEW_NAMESPACES, 1, 0);
        confine_emit_return(p, SECCOMP_RET_ALLOW);
        confine_emit_return(p, SECCOMP_RET_ERRNO | EPERM);
        break;
    case SECCOMP_SOCKET:
        confine_emit_arg(p, 0);
        confine_emit(p, BPF_JMP | BPF_JEQ | BPF_K, AF_VSOCK, 2, 0);
        confine_emit(p, BPF_JMP | BPF_JEQ | BPF_K, AF_ALG, 1, 0);
        confine_emit_return(p, SECCOMP_RET_ALLOW);
        confine_emit_return(p, SECCOMP_RET_ERRNO | EPERM);
        break;
    case SECCOMP_RULE_MAX: check_unreachable();
    }
}

void seccomp_program(struct confine_filter *out, uint64_t caps)
{
    struct confine_range ranges[CONFINE_RANGES_MAX];
    size_t n = seccomp_rules(ranges, caps);
    struct confine_leaf leaf = { emit_leaf, NULL };

    confine_emit_tree(out, SECCOMP_RET_ERRNO | ENOSYS, ranges, n, &leaf);
}

int seccomp_install(uint64_t caps, struct err *err)
{
    struct confine_filter filter;
    struct sock_fprog program = { .filter = filter.v };

    seccomp_program(&filter, caps);
    program.len = (unsigned short)filter.len;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
        return err_sys(err, "install the system call filter");
    return 0;
}
