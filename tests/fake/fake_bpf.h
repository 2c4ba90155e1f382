/* tests/fake/fake_bpf.h -- a system call filter run here, instruction by instruction. */
#ifndef TESTS_FAKE_FAKE_BPF_H
#define TESTS_FAKE_FAKE_BPF_H

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#define FAKE_BPF_NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define FAKE_BPF_NATIVE AUDIT_ARCH_AARCH64
#else
#define FAKE_BPF_NATIVE AUDIT_ARCH_ARM
#endif

/* What it returns; *most grows to the number of instructions this took. An instruction that the
 * kernel would not take, or none left, ends the test. */
uint32_t fake_bpf(const struct sock_filter *code, size_t len, const struct seccomp_data *d,
                  unsigned *most);

#endif
