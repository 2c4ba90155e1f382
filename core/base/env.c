/* env.c -- the real clock and the kernel's randomness, and what is derived from any env. */
#include "core/base/env.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "core/base/check.h"

static int64_t env_real_mono_ms(void *ctx)
{
    struct timespec ts;

    (void)ctx;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t env_real_wall_us(void *ctx)
{
    struct timespec ts;

    (void)ctx;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void env_real_random(void *ctx, void *out, size_t len)
{
    char *p = out;

    (void)ctx;
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);

        if (n < 0 && errno == EINTR)
            continue;
        check(n > 0);
        p += n;
        len -= (size_t)n;
    }
}

static const struct env env_real_table = {
    .mono_ms = env_real_mono_ms,
    .wall_us = env_real_wall_us,
    .random = env_real_random,
};

const struct env *env_real(void)
{
    return &env_real_table;
}

void env_uuid(const struct env *e, char out[UUID_BYTES])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char r[16];
    size_t at = 0;

    env_random(e, r, sizeof(r));
    r[6] = (r[6] & 0x0f) | 0x40;
    r[8] = (r[8] & 0x3f) | 0x80;
    for (size_t i = 0; i < sizeof(r); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[at++] = '-';
        out[at++] = hex[r[i] >> 4];
        out[at++] = hex[r[i] & 15];
    }
    out[at] = 0;
    check(at == UUID_BYTES - 1);
}

void env_suffix(const struct env *e, char *out, size_t len)
{
    static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
    const unsigned n = sizeof(letters) - 1;
    unsigned char r;

    for (size_t i = 0; i < len;) {
        env_random(e, &r, 1);
        if (r < 256 / n * n)              /* the rest would favour the first letters */
            out[i++] = letters[r % n];
    }
    out[len] = 0;
}
