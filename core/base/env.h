/* core/base/env.h -- the effects that deciders may need, as a table: clock and randomness. Tests
 * and the simulator give their own. */
#ifndef CORE_BASE_ENV_H
#define CORE_BASE_ENV_H

#include <stddef.h>
#include <stdint.h>

struct env {
    int64_t (*mono_ms)(void *ctx);                    /* monotonic clock */
    int64_t (*wall_us)(void *ctx);                    /* microseconds since 1970, UTC */
    void (*random)(void *ctx, void *out, size_t len); /* unpredictable bytes */
    void *ctx;
};

const struct env *env_real(void);

static inline int64_t env_mono_ms(const struct env *e) { return e->mono_ms(e->ctx); }
static inline int64_t env_wall_us(const struct env *e) { return e->wall_us(e->ctx); }
static inline int64_t env_wall_s(const struct env *e) { return e->wall_us(e->ctx) / 1000000; }
static inline void env_random(const struct env *e, void *out, size_t len)
{
    e->random(e->ctx, out, len);
}

#define UUID_BYTES 37
void env_uuid(const struct env *e, char out[UUID_BYTES]);   /* RFC 9562 version 4, terminated */
/* `len` letters of Kubernetes's generated-name alphabet (bcdfghjklmnpqrstvwxz2456789), and the
 * terminator: out has len + 1 bytes. */
void env_suffix(const struct env *e, char *out, size_t len);

#endif
