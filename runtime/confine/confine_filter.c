#include "runtime/confine/confine_filter.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include "core/base/check.h"

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#elif defined(__arm__)
#define NATIVE AUDIT_ARCH_ARM
#else
#error "no system call filter for this architecture"
#endif

int confine_call(const char *name)
{
    int nr = seccomp_syscall_resolve_name(name);

    return nr >= 0 && nr < CONFINE_CALLS_MAX ? nr : -1;
}

size_t confine_ranges(struct confine_range out[CONFINE_RANGES_MAX],
                      const uint8_t rules[CONFINE_CALLS_MAX], unsigned beyond)
{
    size_t n = 0;

    for (uint32_t nr = 0; nr < CONFINE_CALLS_MAX; nr++) {
        if (n > 0 && out[n - 1].rule == rules[nr])
            out[n - 1].to = nr;
        else
            out[n++] = (struct confine_range){ nr, nr, rules[nr] };
    }
    if (out[n - 1].rule == beyond)
        out[n - 1].to = UINT32_MAX;
    else
        out[n++] = (struct confine_range){ CONFINE_CALLS_MAX, UINT32_MAX, beyond };
    return n;
}

void confine_emit(struct confine_filter *f, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
    check(f->len < CONFINE_FILTER_MAX);
    f->v[f->len++] = (struct sock_filter){ code, yes, no, k };
}

void confine_emit_return(struct confine_filter *f, uint32_t action)
{
    confine_emit(f, BPF_RET | BPF_K, action, 0, 0);
}

static void emit_load(struct confine_filter *f, size_t at)
{
    confine_emit(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)at, 0, 0);
}

void confine_emit_arg(struct confine_filter *f, unsigned arg)
{
    emit_load(f, offsetof(struct seccomp_data, args) + arg * 8);     /* little endian */
}

/* nr >= ranges[mid].from goes right. Offsets have eight bits: a far right half is reached by a
 * plain jump. */
static void emit_branch(struct confine_filter *f, const struct confine_range *r, size_t n,
                        const struct confine_leaf *leaf)
{
    size_t mid = n / 2, branch, left;

    if (n == 1) {
        leaf->emit(f, r->rule, leaf->ctx);
        return;
    }
    branch = f->len;
    confine_emit(f, BPF_JMP | BPF_JGE | BPF_K, r[mid].from, 0, 1);
    confine_emit(f, BPF_JMP | BPF_JA, 0, 0, 0);
    left = f->len;
    emit_branch(f, r, mid, leaf);
    f->v[branch + 1].k = (uint32_t)(f->len - left);
    emit_branch(f, r + mid, n - mid, leaf);
}

void confine_emit_tree(struct confine_filter *f, uint32_t foreign, const struct confine_range *r,
                       size_t n, const struct confine_leaf *leaf)
{
    f->len = 0;
    emit_load(f, offsetof(struct seccomp_data, arch));
    confine_emit(f, BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 1, 0);
    confine_emit_return(f, foreign);
    emit_load(f, offsetof(struct seccomp_data, nr));
    emit_branch(f, r, n, leaf);
}
