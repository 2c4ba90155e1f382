/* core/object/wide.h -- inside the room: unsigned numbers of 128 bits, the same on every machine
 * (32-bit ones have no such type). Where a result does not fit, its low bits are kept. */
#ifndef CORE_OBJECT_WIDE_H
#define CORE_OBJECT_WIDE_H

#include <stdbool.h>
#include <stdint.h>

#define WIDE_WORDS 4

struct wide { uint32_t w[WIDE_WORDS]; };         /* the lowest first */

static inline struct wide wide_of(uint64_t v)
{
    return (struct wide){ { (uint32_t)v, (uint32_t)(v >> 32) } };
}

static inline bool wide_is_zero(const struct wide *a)
{
    return (a->w[0] | a->w[1] | a->w[2] | a->w[3]) == 0;
}

static inline uint64_t wide_low(const struct wide *a)
{
    return (uint64_t)a->w[1] << 32 | a->w[0];
}

static inline bool wide_fits_i64(const struct wide *a)
{
    return (a->w[2] | a->w[3] | a->w[1] >> 31) == 0;
}

static inline int wide_cmp(const struct wide *a, const struct wide *b)
{
    for (int i = WIDE_WORDS - 1; i >= 0; i--)
        if (a->w[i] != b->w[i])
            return a->w[i] < b->w[i] ? -1 : 1;
    return 0;
}

/* a = a * m + add; true when it fits. */
static inline bool wide_mul_add(struct wide *a, uint32_t m, uint32_t add)
{
    uint64_t carry = add;

    for (int i = 0; i < WIDE_WORDS; i++) {
        carry += (uint64_t)a->w[i] * m;
        a->w[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return carry == 0;
}

/* a = a / d; returns the rest. */
static inline uint32_t wide_div(struct wide *a, uint32_t d)
{
    uint64_t rest = 0;

    for (int i = WIDE_WORDS - 1; i >= 0; i--) {
        rest = rest << 32 | a->w[i];
        a->w[i] = (uint32_t)(rest / d);
        rest %= d;
    }
    return (uint32_t)rest;
}

/* a = a * 2^bits; true when it fits. */
static inline bool wide_shift_up(struct wide *a, unsigned bits)
{
    bool fits = true;

    for (; bits > 0; bits -= bits > 31 ? 31 : bits)
        fits &= wide_mul_add(a, 1u << (bits > 31 ? 31 : bits), 0);
    return fits;
}

/* The 32 bits from `at` on; at < 96. */
static inline uint32_t wide_bits(const struct wide *a, unsigned at)
{
    uint64_t two = (uint64_t)a->w[at / 32 + 1] << 32 | a->w[at / 32];

    return (uint32_t)(two >> at % 32);
}

static inline struct wide wide_pow10(unsigned n)
{
    struct wide v = wide_of(1);

    while (n-- > 0)
        wide_mul_add(&v, 10, 0);
    return v;
}

#endif
