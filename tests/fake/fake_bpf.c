#include "tests/fake/fake_bpf.h"

#include "tests/harness/test.h"

uint32_t fake_bpf(const struct sock_filter *code, size_t len, const struct seccomp_data *d,
                  unsigned *most)
{
    uint32_t acc = 0;
    unsigned steps = 0;

    for (size_t pc = 0; pc < len; pc++, steps++) {
        const struct sock_filter *i = &code[pc];

        switch (i->code) {
        case BPF_LD | BPF_W | BPF_ABS: memcpy(&acc, (const char *)d + i->k, 4); break;
        case BPF_ALU | BPF_AND | BPF_K: acc &= i->k; break;
        case BPF_JMP | BPF_JA: pc += i->k; break;
        case BPF_JMP | BPF_JEQ | BPF_K: pc += acc == i->k ? i->jt : i->jf; break;
        case BPF_JMP | BPF_JGE | BPF_K: pc += acc >= i->k ? i->jt : i->jf; break;
        case BPF_JMP | BPF_JSET | BPF_K: pc += acc & i->k ? i->jt : i->jf; break;
        case BPF_RET | BPF_K: *most = steps > *most ? steps : *most; return i->k;
        default: test_fail(__FILE__, __LINE__, "instruction %x", i->code);
        }
    }
    test_fail(__FILE__, __LINE__, "ran off the end");
}
