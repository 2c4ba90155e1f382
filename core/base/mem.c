/* mem.c -- allocation. Blocks of an arena are chained, newest first; each starts with its header
 * and hands out its bytes in order. */
#include "core/base/mem.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"

#define BLOCK_BYTES_FIRST 4096u
#define BLOCK_BYTES_MOST (256u << 10)
#define ALIGN _Alignof(max_align_t)      /* what malloc gives: 16, on 32-bit machines 8 */

static void *mem_or_abort(void *p)
{
    if (!p)
        check_fail("memory is out", __FILE__, __LINE__);
    return p;
}

void *mem_try(size_t bytes)
{
    return calloc(1, bytes ? bytes : 1);
}

void *mem_alloc(size_t bytes)
{
    return mem_or_abort(mem_try(bytes));
}

void *mem_alloc_array(size_t count, size_t bytes)
{
    return mem_or_abort(calloc(count ? count : 1, bytes ? bytes : 1));
}

void *mem_try_grow(void *p, size_t bytes)
{
    return realloc(p, bytes ? bytes : 1);
}

void *mem_grow(void *p, size_t bytes)
{
    return mem_or_abort(mem_try_grow(p, bytes));
}

void *mem_free(void *p)
{
    free(p);
    return NULL;
}

void mem_trim(size_t spare_bytes)
{
    if (mallinfo2().fordblks > spare_bytes)
        (void)malloc_trim(0);
}

char *mem_strndup(const char *s, size_t len)
{
    char *copy;

    check(s || len == 0);
    check(len < SIZE_MAX);
    copy = mem_grow(NULL, len + 1);
    if (len)
        memcpy(copy, s, len);
    copy[len] = 0;
    return copy;
}

char *mem_strdup(const char *s)
{
    return s ? mem_strndup(s, strlen(s)) : NULL;
}

char *mem_printf(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    int len;

    va_start(args, format);
    len = vasprintf(&text, format, args);
    va_end(args);
    check(len >= 0);
    return text;
}

/* --- arenas */

struct block {
    struct block *next;      /* older */
    size_t size, used;       /* of data */
    _Alignas(ALIGN) char data[];
};

struct arena {
    struct block *blocks;
    size_t cap, used;
    size_t next_block;       /* size of the next ordinary block */
};

struct arena *arena_new(size_t cap_bytes)
{
    struct arena *a = NEW(struct arena);

    a->cap = cap_bytes ? cap_bytes : ARENA_CAP_DEFAULT;
    a->next_block = BLOCK_BYTES_FIRST - sizeof(struct block);
    return a;
}

static void arena_free_blocks(struct block *b)
{
    while (b) {
        struct block *next = b->next;

        mem_free(b);
        b = next;
    }
}

struct arena *arena_free(struct arena *a)
{
    if (!a)
        return NULL;
    arena_free_blocks(a->blocks);
    return mem_free(a);
}

void arena_reset(struct arena *a)
{
    struct block *keep = a->blocks;

    if (keep) {
        arena_free_blocks(keep->next);
        keep->next = NULL;
        keep->used = 0;
    }
    a->used = 0;
}

/* A block with room for `bytes`, put in front; a large one behind, where it hides no free room. */
static struct block *arena_add_block(struct arena *a, size_t bytes)
{
    bool large = bytes > a->next_block / 2;
    size_t size = large ? bytes : a->next_block;
    struct block *b = mem_try_grow(NULL, sizeof(*b) + size);

    if (!b)
        return NULL;
    b->size = size;
    b->used = 0;
    if (large && a->blocks) {
        b->next = a->blocks->next;
        a->blocks->next = b;
        return b;
    }
    b->next = a->blocks;
    a->blocks = b;
    if (!large && (a->next_block + sizeof(*b)) * 2 <= BLOCK_BYTES_MOST)
        a->next_block = (a->next_block + sizeof(*b)) * 2 - sizeof(*b);
    return b;
}

/* Not zeroed. */
static void *arena_take(struct arena *a, size_t bytes)
{
    struct block *b = a->blocks;
    size_t size = (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    void *p;

    if (size < bytes || size > a->cap - a->used)
        return NULL;
    if (!b || b->size - b->used < size)
        b = arena_add_block(a, size);
    if (!b)
        return NULL;
    p = b->data + b->used;
    b->used += size;
    a->used += size;
    return p;
}

void *arena_try(struct arena *a, size_t bytes)
{
    void *p = arena_take(a, bytes ? bytes : 1);

    return p ? memset(p, 0, bytes) : NULL;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
    void *p = arena_try(a, bytes);

    if (!p)
        check_fail("arena is full", __FILE__, __LINE__);
    return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
    char *copy;

    check(s || len == 0);
    copy = arena_take(a, len + 1);
    if (!copy)
        check_fail("arena is full", __FILE__, __LINE__);
    if (len)
        memcpy(copy, s, len);
    copy[len] = 0;
    return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    char *text;
    int len;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    check(len >= 0);
    text = arena_alloc(a, (size_t)len + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}

size_t arena_used(const struct arena *a)
{
    return a->used;
}

size_t arena_left(const struct arena *a)
{
    return a->cap - a->used;
}
