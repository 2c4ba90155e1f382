/* core/base/cleanup.h -- every owning local has a cleanup attribute, every escape a TAKE().
 *
 *   _cleanup_(image_freep) struct image *image = NULL;
 *   _cleanup_(fd_closep) int fd = -1;
 *   *out = TAKE(image);
 */
#ifndef CORE_BASE_CLEANUP_H
#define CORE_BASE_CLEANUP_H

#include <stddef.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

#define TAKE(p) ({ \
    __typeof__(p) *take_p_ = &(p); \
    __typeof__(p) take_v_ = *take_p_; \
    *take_p_ = NULL; \
    take_v_; \
})
#define TAKE_FD(fd) ({ \
    int *take_p_ = &(fd); \
    int take_v_ = *take_p_; \
    *take_p_ = -1; \
    take_v_; \
})

/* Defines `static inline void FUNCp(TYPE **p)`, for _cleanup_(FUNCp). */
#define CLEANUP_DEFINE(type, func) \
    static inline void func##p(type **p) { if (*p) func(*p); *p = NULL; }

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) \
    ((type *)((char *)(ptr) - __builtin_offsetof(type, member)))

#endif
