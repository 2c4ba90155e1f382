/* tests/fake/fake_env.h -- clock and randomness under the test's control.
 *
 *     struct fake_env fe;
 *     fake_env_init(&fe, 1);
 *     loop_new(&l, &fe.env, &err);
 *     fake_env_advance(&fe, 1000);
 *
 * Starts at mono 1,000,000 ms and 2026-01-01T00:00:00Z. One owner, or set only while nobody else runs.
 */
#ifndef TESTS_FAKE_FAKE_ENV_H
#define TESTS_FAKE_FAKE_ENV_H

#include "core/base/env.h"

struct fake_env {
    struct env env;
    int64_t mono_ms;
    int64_t wall_us;
    uint64_t random;            /* state of the generator: the same seed, the same bytes */
};

void fake_env_init(struct fake_env *fe, uint64_t seed);      /* fe must not move afterwards */
void fake_env_advance(struct fake_env *fe, int64_t ms);      /* both clocks */

#endif
