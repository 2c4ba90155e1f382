/* The filter is run here, instruction by instruction, and compared with the rules it was made from. */
#include <errno.h>
#include <linux/capability.h>
#include <sys/syscall.h>

#include "runtime/oci/oci_child.h"
#include "tests/fake/fake_bpf.h"
#include "tests/harness/test.h"

#define NATIVE FAKE_BPF_NATIVE

static unsigned steps_most;

static uint32_t ask(uint64_t caps, uint32_t arch, uint32_t nr, uint64_t arg)
{
    struct confine_filter f;
    struct seccomp_data d = { .nr = (int)nr, .arch = arch, .args = { arg } };

    seccomp_program(&f, caps);
    return fake_bpf(f.v, f.len, &d, &steps_most);
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
        struct confine_range r[CONFINE_RANGES_MAX];
        struct confine_filter f;
        size_t n = seccomp_rules(r, sets[s]);

        seccomp_program(&f, sets[s]);
        EXPECT_EQ(r[0].from, 0);
        EXPECT_EQ(r[n - 1].to, UINT32_MAX);
        for (size_t i = 0; i < n; i++) {
            struct seccomp_data d = { .arch = NATIVE };

            EXPECT(i == 0 || (r[i].from == r[i - 1].to + 1 && r[i].rule != r[i - 1].rule));
            d.nr = (int)r[i].from;
            EXPECT_EQ(fake_bpf(f.v, f.len, &d, &steps_most), answer[r[i].rule]);
            d.nr = (int)r[i].to;
            EXPECT_EQ(fake_bpf(f.v, f.len, &d, &steps_most), answer[r[i].rule]);
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
