/* fake_env.c -- see fake_env.h. */
#include "tests/fake/fake_env.h"

#include <string.h>

static int64_t fake_env_mono(void *ctx)
{
    return ((struct fake_env *)ctx)->mono_ms;
}

static int64_t fake_env_wall(void *ctx)
{
    return ((struct fake_env *)ctx)->wall_us;
}

/* splitmix64 */
static uint64_t fake_env_next(struct fake_env *fe)
{
    uint64_t x = fe->random += 0x9e3779b97f4a7c15u;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static void fake_env_random(void *ctx, void *out, size_t len)
{
    char *p = out;

    while (len > 0) {
        uint64_t x = fake_env_next(ctx);
        size_t n = len < sizeof(x) ? len : sizeof(x);

        memcpy(p, &x, n);
        p += n;
        len -= n;
    }
}

void fake_env_init(struct fake_env *fe, uint64_t seed)
{
    *fe = (struct fake_env){
        .env = { .mono_ms = fake_env_mono, .wall_us = fake_env_wall, .random = fake_env_random,
                 .ctx = fe },
        .mono_ms = 1000000,
        .wall_us = 1767225600000000,
        .random = seed,
    };
}

void fake_env_advance(struct fake_env *fe, int64_t ms)
{
    fe->mono_ms += ms;
    fe->wall_us += ms * 1000;
}
