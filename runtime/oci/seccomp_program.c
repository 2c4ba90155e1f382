/* seccomp_program.c -- ranges as a balanced tree of comparisons.
 *
 * The kernel runs a filter once for each system call number when it is installed (to know which are always
 * allowed), and then for each call that is not: some eight comparisons instead of some hundred.
 * x86-64 sees a second ABI under the same architecture (x32, bit 30): those numbers lie in the last range, which
 * says "no such call". Any other architecture's calls are refused before.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/check.h"
#include "runtime/oci/oci_child.h"

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#elif defined(__arm__)
#define NATIVE AUDIT_ARCH_ARM
#else
#error "no system call filter for this architecture"
#endif

#define LOW_WORD(i) (offsetof(struct seccomp_data, args) + (i) * 8)       /* little endian */
#define NEW_NAMESPACES (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
                        CLONE_NEWNET | CLONE_NEWCGROUP)

struct program {
    struct sock_filter *v;
    size_t len;
};

static void emit(struct program *p, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
    check(p->len < SECCOMP_PROGRAM_MAX);
    p->v[p->len++] = (struct sock_filter){ code, yes, no, k };
}

static void emit_load(struct program *p, size_t at)
{
    emit(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)at, 0, 0);
}

static void emit_return(struct program *p, uint32_t what)
{
    emit(p, BPF_RET | BPF_K, what, 0, 0);
}

static void emit_leaf(struct program *p, enum seccomp_rule rule)
{
    switch (rule) {
    case SECCOMP_ALLOW: emit_return(p, SECCOMP_RET_ALLOW); break;
    case SECCOMP_DENY: emit_return(p, SECCOMP_RET_ERRNO | EPERM); break;
    case SECCOMP_NOSYS: emit_return(p, SECCOMP_RET_ERRNO | ENOSYS); break;
    case SECCOMP_PERSONALITY:
        emit_load(p, LOW_WORD(0));
        emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0x0, 4, 0);
        emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0x0008, 3, 0);
        emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0x20000, 2, 0);
        emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0x20008, 1, 0);
        emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0xffffffff, 0, 1);
        emit_return(p, SECCOMP_RET_ALLOW);
        emit_return(p, SECCOMP_RET_ERRNO | EPERM);
        break;
    case SECCOMP_CLONE:
        emit_load(p, LOW_WORD(0));
        emit(p, BPF_JMP | BPF_JSET | BPF_K, NEW_NAMESPACES, 1, 0);
        emit_return(p, SECCOMP_RET_ALLOW);
        emit_return(p, SECCOMP_RET_ERRNO | EPERM);
        break;
    case SECCOMP_SOCKET:
        emit_load(p, LOW_WORD(0));
        emit(p, BPF_JMP | BPF_JEQ | BPF_K, AF_VSOCK, 2, 0);
        emit(p, BPF_JMP | BPF_JEQ | BPF_K, AF_ALG, 1, 0);
        emit_return(p, SECCOMP_RET_ALLOW);
        emit_return(p, SECCOMP_RET_ERRNO | EPERM);
        break;
    case SECCOMP_RULE_MAX: check_unreachable();
    }
}

/* nr >= ranges[mid].from goes right. Offsets have eight bits: a far right half is reached by a plain jump. */
static void emit_tree(struct program *p, const struct seccomp_range *r, size_t n)
{
    size_t mid = n / 2, branch, left;

    if (n == 1) {
        emit_leaf(p, r->rule);
        return;
    }
    branch = p->len;
    emit(p, BPF_JMP | BPF_JGE | BPF_K, r[mid].from, 0, 1);
    emit(p, BPF_JMP | BPF_JA, 0, 0, 0);
    left = p->len;
    emit_tree(p, r, mid);
    p->v[branch + 1].k = (uint32_t)(p->len - left);
    emit_tree(p, r + mid, n - mid);
}

size_t seccomp_program(struct sock_filter out[SECCOMP_PROGRAM_MAX], uint64_t caps)
{
    struct seccomp_range ranges[SECCOMP_RANGES_MAX];
    size_t n = seccomp_rules(ranges, caps);
    struct program p = { .v = out };

    emit_load(&p, offsetof(struct seccomp_data, arch));
    emit(&p, BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 1, 0);
    emit_return(&p, SECCOMP_RET_ERRNO | ENOSYS);
    emit_load(&p, offsetof(struct seccomp_data, nr));
    emit_tree(&p, ranges, n);
    return p.len;
}

int seccomp_install(uint64_t caps, struct err *err)
{
    struct sock_filter code[SECCOMP_PROGRAM_MAX];
    struct sock_fprog program = { .filter = code };

    program.len = (unsigned short)seccomp_program(code, caps);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
        return err_sys(err, "install the system call filter");
    return 0;
}
