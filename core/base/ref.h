/* core/base/ref.h -- an atomic reference count, embedded in what two threads may see. */
#ifndef CORE_BASE_REF_H
#define CORE_BASE_REF_H

#include <stdatomic.h>
#include <stdbool.h>

#include "core/base/check.h"

struct ref { atomic_uint n; };

#define REF_INIT ((struct ref){ 1 })

static inline void ref_init(struct ref *r) { atomic_init(&r->n, 1); }
static inline void ref_get(struct ref *r)
{
    unsigned before = atomic_fetch_add_explicit(&r->n, 1, memory_order_relaxed);
    check(before > 0);
}
/* True when the last reference went: the caller frees. */
static inline bool ref_put(struct ref *r)
{
    unsigned before = atomic_fetch_sub_explicit(&r->n, 1, memory_order_acq_rel);
    check(before > 0);
    return before == 1;
}

#endif
