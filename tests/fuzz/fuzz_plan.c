/* fuzz_plan.c -- any bytes: a plan that is read is written and read again as the same, and can be checked. */
#include "core/base/check.h"
#include "runtime/oci/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf one = BUF_INIT, two = BUF_INIT;
    struct err err = ERR_INIT;
    struct oci_plan p, q;

    if (plan_decode(&p, a, (const char *)data, size, &err) < 0 || !p.id)
        return 0;
    (void)plan_check(&p, &err);
    plan_encode(&one, &p);
    check(plan_decode(&q, a, one.p, one.len, &err) == 0);
    plan_encode(&two, &q);
    check(one.len == two.len && memcmp(one.p, two.p, one.len) == 0);
    return 0;
}
