/* core/base/mem.h -- the only place that allocates.
 *
 * Three kinds of memory exist: a capped arena per request or job, refcounted immutable snapshots,
 * and plain owned structs. Small allocations abort when memory is out; sizes that come from outside
 * go through a *_try function, which fails instead.
 */
#ifndef CORE_BASE_MEM_H
#define CORE_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/cleanup.h"

void *mem_alloc(size_t bytes);                       /* zeroed; aborts when memory is out */
void *mem_alloc_array(size_t count, size_t bytes);   /* zeroed; aborts also on overflow */
void *mem_grow(void *p, size_t bytes);               /* realloc; new bytes are not zeroed */
void *mem_try(size_t bytes);                         /* zeroed; NULL when memory is out */
void *mem_try_grow(void *p, size_t bytes);           /* NULL when memory is out, p stays valid */
char *mem_strdup(const char *s);                     /* NULL gives NULL */
char *mem_strndup(const char *s, size_t len);
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *mem_free(void *p);                             /* always returns NULL */
/* Gives what is free back to the kernel, when it is more than this; may take milliseconds. */
void mem_trim(size_t spare_bytes);
static inline void mem_freep(void *pp) { void **p = pp; *p = mem_free(*p); }
#define NEW(type) ((type *)mem_alloc(sizeof(type)))

/* An arena: bump allocation in growing blocks, freed as a whole. Not thread-safe: one owner. */
struct arena;

#define ARENA_CAP_DEFAULT (64u << 20)

struct arena *arena_new(size_t cap_bytes);           /* cap 0 means ARENA_CAP_DEFAULT */
struct arena *arena_free(struct arena *a);
CLEANUP_DEFINE(struct arena, arena_free)
void arena_reset(struct arena *a);                   /* forgets everything, keeps one block */
void *arena_alloc(struct arena *a, size_t bytes);    /* zeroed, for any type; aborts past the cap */
void *arena_try(struct arena *a, size_t bytes);      /* NULL past the cap: for sizes from outside */
char *arena_strdup(struct arena *a, const char *s);  /* NULL gives NULL */
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
size_t arena_used(const struct arena *a);            /* bytes handed out */
size_t arena_left(const struct arena *a);            /* bytes until the cap */
#define ANEW(a, type) ((type *)arena_alloc((a), sizeof(type)))

#endif
