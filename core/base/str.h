/* core/base/str.h -- slices, growing buffers, and the small text helpers everyone needs. */
#ifndef CORE_BASE_STR_H
#define CORE_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/base/err.h"

/* A borrowed piece of text; not terminated. */
struct slice { const char *p; size_t len; };

#define SLICE(lit) ((struct slice){ (lit), sizeof(lit) - 1 })
static inline struct slice slice_of(const char *s)
{
    return (struct slice){ s, s ? strlen(s) : 0 };
}
bool slice_eq(struct slice a, struct slice b);
bool slice_is(struct slice a, const char *s);
struct slice slice_trim(struct slice s);                  /* spaces and tabs off both ends */
/* Cuts the part before the next `sep` off `rest`; false when rest is used up. */
bool slice_split(struct slice *rest, char sep, struct slice *out);

static inline bool str_eq(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
static inline bool str_empty(const char *s) { return !s || !*s; }
/* Copies with termination; -1 with ERR_INVALID when it does not fit. */
int str_copy(char *dst, size_t dst_bytes, const char *src, struct err *err);
bool str_is_utf8(const char *s, size_t len);
/* Bytes (1-4) of the well-formed UTF-8 character at the front of s; 0 when there is none. */
size_t str_utf8_len(const char *s, size_t len);
/* Whole text as a decimal number within [min, max]; no sign but '-', no spaces. */
int str_to_i64(const char *s, int64_t min, int64_t max, int64_t *out, struct err *err);
uint64_t str_hash(const void *p, size_t len);             /* FNV-1a, stable over runs */
/* SipHash-1-3 under a key of this process: for tables whose keys come from outside, so that nobody
 * can prepare keys that all fall into one place. Differs from run to run. */
uint64_t str_hash_keyed(const void *p, size_t len);

/* A growing byte buffer. `p` is always terminated once something was added. Zero-initialise. */
struct buf { char *p; size_t len, cap; };

#define BUF_INIT ((struct buf){ 0 })
void buf_deinit(struct buf *b);                               /* callable twice */
void buf_clear(struct buf *b);                                /* keeps the memory */
void buf_reserve(struct buf *b, size_t more);                 /* room for `more` bytes past len */
void buf_add(struct buf *b, const void *p, size_t len);
void buf_str(struct buf *b, const char *s);
void buf_chr(struct buf *b, char c);
void buf_fmt(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_i64(struct buf *b, int64_t v);
/* Adds text with U+FFFD in place of each byte that is not UTF-8. */
void buf_utf8(struct buf *b, const char *s, size_t len);
void buf_eat(struct buf *b, size_t n);                        /* drops the first n bytes */
char *buf_take(struct buf *b, size_t *out_len);               /* caller frees; never NULL */
#define _cleanup_buf_ _cleanup_(buf_deinit)

#endif
