/* The filter is run here, instruction by instruction, and compared with the rules it was made from. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include "runtime/oci/oci_child.h"
#include "tests/harness/test.h"

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#else
#define NATIVE AUDIT_ARCH_ARM
#endif

static unsigned steps_most;

static uint32_t run(const struct sock_filter *code, size_t len, const struct seccomp_data *d)
{
    uint32_t acc = 0;
    unsigned steps = 0;

    for (size_t pc = 0; pc < len; pc++, steps++) {
        const struct sock_filter *i = &code[pc];

        switch (i->code) {
        case BPF_LD | BPF_W | BPF_ABS: memcpy(&acc, (const char *)d + i->k, 4); break;
        case BPF_JMP | BPF_JA: pc += i->k; break;
        case BPF_JMP | BPF_JEQ | BPF_K: pc += acc == i->k ? i->jt : i->jf; break;
        case BPF_JMP | BPF_JGE | BPF_K: pc += acc >= i->k ? i->jt : i->jf; break;
        case BPF_JMP | BPF_JSET | BPF_K: pc += acc & i->k ? i->jt : i->jf; break;
        case BPF_RET | BPF_K:
            steps_most = steps > steps_most ? steps : steps_most;
            return i->k;
        default: test_fail(__FILE__, __LINE__, "instruction %x", i->code);
        }
    }
    test_fail(__FILE__, __LINE__, "ran off the end");
}

static uint32_t ask(uint64_t caps, uint32_t arch, uint32_t nr, uint64_t arg)
{
    struct sock_filter code[SECCOMP_PROGRAM_MAX];
    size_t len = seccomp_program(code, caps);
    struct seccomp_data d = { .nr = (int)nr, .arch = arch, .args = { arg } };

    return run(code, len, &d);
}

TEST(tree_says_what_the_rules_say)
{
    static const uint32_t answer[] = {
        [SECCOMP_DENY] = SECCOMP_RET_ERRNO | EPERM, [SECCOMP_ALLOW] = SECCOMP_RET_ALLOW,
        [SECCOMP_NOSYS] = SECCOMP_RET_ERRNO | ENOSYS, [SECCOMP_PERSONALITY] = SECCOMP_RET_ALLOW,
        [SECCOMP_CLONE] = SECCOMP_RET_ALLOW, [SECCOMP_SOCKET] = SECCOMP_RET_ALLOW,
    };
    uint64_t sets[] = { 0, plan_caps_default(), plan_caps_all() };

    for (size_t s = 0; s < ARRAY_LEN(sets); s++) {
        struct seccomp_range r[SECCOMP_RANGES_MAX];
        struct sock_filter code[SECCOMP_PROGRAM_MAX];
        size_t n = seccomp_rules(r, sets[s]), len = seccomp_program(code, sets[s]);

        EXPECT_EQ(r[0].from, 0);
        EXPECT_EQ(r[n - 1].to, UINT32_MAX);
        for (size_t i = 0; i < n; i++) {
            struct seccomp_data d = { .arch = NATIVE };

            EXPECT(i == 0 || (r[i].from == r[i - 1].to + 1 && r[i].rule != r[i - 1].rule));
            d.nr = (int)r[i].from;
            EXPECT_EQ(run(code, len, &d), answer[r[i].rule]);
            d.nr = (int)r[i].to;
            EXPECT_EQ(run(code, len, &d), answer[r[i].rule]);
        }
    }
    EXPECT(steps_most < 32);
}

TEST(default_profile)
{
    uint64_t caps = plan_caps_default(), admin = caps | (uint64_t)1 << CAP_SYS_ADMIN;
    uint32_t eperm = SECCOMP_RET_ERRNO | EPERM, enosys = SECCOMP_RET_ERRNO | ENOSYS;

    EXPECT_EQ(ask(caps, NATIVE, SYS_read, 0), SECCOMP_RET_ALLOW);
    EXPECT_EQ(ask(caps, NATIVE, SYS_chroot, 0), SECCOMP_RET_ALLOW);
    EXPECT_EQ(ask(0, NATIVE, SYS_chroot, 0), eperm);
    EXPECT_EQ(ask(caps, NATIVE, SYS_mount, 0), eperm);
    EXPECT_EQ(ask(admin, NATIVE, SYS_mount, 0), SECCOMP_RET_ALLOW);
    EXPECT_EQ(ask(caps, NATIVE, SYS_keyctl, 0), eperm);
    EXPECT_EQ(ask(caps, NATIVE, SYS_clone, 0x11), SECCOMP_RET_ALLOW);
    EXPECT_EQ(ask(caps, NATIVE, SYS_clone, 0x10000000 | 0x11), eperm);
    EXPECT_EQ(ask(admin, NATIVE, SYS_clone, 0x10000000), SECCOMP_RET_ALLOW);
    EXPECT_EQ(ask(caps, NATIVE, SYS_clone3, 0), enosys);
    EXPECT_EQ(ask(caps, NATIVE, SYS_socket, 2), SECCOMP_RET_ALLOW);
    EXPECT_EQ(ask(caps, NATIVE, SYS_socket, 40), eperm);
    EXPECT_EQ(ask(caps, NATIVE, SYS_socket, 38), eperm);
    EXPECT_EQ(ask(caps, NATIVE, SYS_personality, 0), SECCOMP_RET_ALLOW);
    EXPECT_EQ(ask(caps, NATIVE, SYS_personality, 0xffffffff), SECCOMP_RET_ALLOW);
    EXPECT_EQ(ask(caps, NATIVE, SYS_personality, 0x0040000), eperm);
    EXPECT_EQ(ask(caps, NATIVE, 500, 0), enosys);
    EXPECT_EQ(ask(caps, AUDIT_ARCH_PPC, SYS_read, 0), enosys);
#if defined(__x86_64__)
    EXPECT_EQ(ask(caps, NATIVE, 0x40000000 | SYS_read, 0), enosys);      /* x32 */
    EXPECT_EQ(ask(caps, AUDIT_ARCH_I386, 3, 0), enosys);
#endif
}
