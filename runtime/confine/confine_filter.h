/* runtime/confine/confine_filter.h -- programs for seccomp: rules by system call number as a
 * balanced tree of comparisons.
 *
 * The kernel runs a filter once for each system call number when it is installed (to know which
 * are always allowed), and then for each call that is not: some eight comparisons instead of some
 * hundred. x86-64 sees a second ABI under the same architecture (x32, bit 30): those numbers lie
 * past CONFINE_CALLS_MAX. Any other architecture's calls are refused before.
 */
#ifndef RUNTIME_CONFINE_CONFINE_FILTER_H
#define RUNTIME_CONFINE_CONFINE_FILTER_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#define CONFINE_CALLS_MAX 512            /* numbers are below this on all our architectures */
#define CONFINE_FILTER_MAX 2048          /* instructions */
#define CONFINE_RANGES_MAX 513

struct confine_filter {
    struct sock_filter v[CONFINE_FILTER_MAX];
    size_t len;
};

/* From..to, both included; sorted, none missing up to UINT32_MAX. */
struct confine_range { uint32_t from, to; unsigned rule; };

/* The number of a call, or -1 where this architecture has none of that name. */
int confine_call(const char *name);
/* Neighbours of one rule become one range; beyond: of numbers past the table. */
size_t confine_ranges(struct confine_range out[CONFINE_RANGES_MAX],
                      const uint8_t rules[CONFINE_CALLS_MAX], unsigned beyond);

void confine_emit(struct confine_filter *f, uint16_t code, uint32_t k, uint8_t yes, uint8_t no);
void confine_emit_return(struct confine_filter *f, uint32_t action);
/* The low word of an argument. */
void confine_emit_arg(struct confine_filter *f, unsigned arg);
/* Writes what a rule says, ending in returns. */
struct confine_leaf {
    void (*emit)(struct confine_filter *f, unsigned rule, void *ctx);
    void *ctx;
};
/* A whole program; foreign is the action for other architectures. */
void confine_emit_tree(struct confine_filter *f, uint32_t foreign, const struct confine_range *r,
                       size_t n, const struct confine_leaf *leaf);

#endif
