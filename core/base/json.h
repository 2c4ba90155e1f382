/* core/base/json.h -- JSON text <-> tree in an arena.
 *
 * Parsing follows RFC 8259 strictly (yyjson underneath). Integers that fit int64 stay integers, all
 * other numbers become doubles, as Kubernetes's decoders do. Trees are mutable while their owner
 * builds them; node addresses are stable (children are pointers). Nodes and texts live in the arena
 * given; a tree may mix nodes of several arenas as long as all outlive it. Building aborts when the
 * arena is full (json_parse fails instead).
 *
 * Nothing here recurses: depth costs heap, not stack. Large objects carry an index of their keys,
 * so json_get is fast in objects of any size: read members freely, but add, remove, rename and
 * reorder them only through the functions below.
 */
#ifndef CORE_BASE_JSON_H
#define CORE_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/mem.h"
#include "core/base/str.h"

#define JSON_DEPTH_MAX 1000      /* nesting; Go's encoding/json allows 10000, yaml less */

enum json_type {
    JSON_NULL, JSON_BOOL, JSON_INT, JSON_FLOAT, JSON_STRING, JSON_ARRAY, JSON_OBJECT,
    JSON_TYPE_MAX
};

struct json;
struct json_member {
    const char *key;             /* terminated; may hold NULs inside key_len */
    uint32_t key_len;
    struct json *val;
};

struct json {
    uint8_t type;                /* enum json_type */
    bool indexed;                /* private: an index follows members[cap] */
    uint32_t len;                /* bytes of a string, items of an array, members of an object */
    uint32_t cap;
    union {
        bool b;
        int64_t i;
        double d;
        const char *s;           /* terminated; may hold NULs inside len */
        struct json **items;
        struct json_member *members;
    };
};

struct json_opts {
    bool keep_duplicates;        /* default: the last of equal keys wins, as Go does */
    /* Called for each repetition of a key with the path of its object ("spec.containers[0]"; ""
     * at the top); used by fieldValidation. */
    void (*on_duplicate)(void *ctx, const char *path, const char *key);
    void *ctx;
};

/* Text -> tree. Trailing bytes after the value are an error. The text is copied where needed.
 * Errors: ERR_INVALID (syntax, with byte offset; bad UTF-8 is replaced by U+FFFD as Go does),
 * ERR_QUOTA (depth, arena cap). */
int json_parse(struct json **out, struct arena *a, const char *text, size_t len,
               const struct json_opts *opts, struct err *err);

void json_write(struct buf *b, const struct json *v);         /* compact, members in order */
void json_write_pretty(struct buf *b, const struct json *v, int spaces);
/* Quoted and escaped as Go's encoding/json does for HTML: < > & U+2028 U+2029 and control
 * characters as \u00xx, except \b \f \n \r \t; a byte that is not UTF-8 as \ufffd. */
void json_write_string(struct buf *b, const char *s, size_t len);
/* Go's form: shortest digits that read back the same, exponents below 1e-6 and from 1e21. NaN and
 * infinities, which JSON has not, give null. */
void json_write_double(struct buf *b, double d);

/* Constructors. */
struct json *json_null(struct arena *a);
struct json *json_bool(struct arena *a, bool b);
struct json *json_int(struct arena *a, int64_t i);
struct json *json_float(struct arena *a, double d);
struct json *json_str(struct arena *a, const char *s);                /* copies; NULL gives null */
struct json *json_strn(struct arena *a, const char *s, size_t len);   /* copies */
/* Borrows: s must outlive the tree. */
struct json *json_str_ref(struct arena *a, const char *s, size_t len);
struct json *json_fmt(struct arena *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct json *json_array(struct arena *a);
struct json *json_object(struct arena *a);
struct json *json_clone(struct arena *a, const struct json *v);       /* deep, nothing shared */

/* Reading: all take NULL and the wrong type and answer NULL, "", 0 or false then. */
static inline bool json_is(const struct json *v, enum json_type t) { return v && v->type == t; }
struct json *json_get(const struct json *obj, const char *key);
struct json *json_getn(const struct json *obj, const char *key, size_t key_len);
struct json *json_at(const struct json *arr, size_t i);
size_t json_len(const struct json *v);                        /* items or members; 0 for others */
const char *json_text(const struct json *v);                          /* a string's text, or NULL */
const char *json_get_str(const struct json *obj, const char *key);    /* or NULL */
int64_t json_get_int(const struct json *obj, const char *key, int64_t otherwise);   /* 3.0 is 3 */
bool json_get_bool(const struct json *obj, const char *key, bool otherwise);
/* Walks keys separated by dots ("spec.template.metadata"); keys with dots need json_get. */
struct json *json_path(const struct json *v, const char *path);
const char *json_path_str(const struct json *v, const char *path);

/* Building. Keys are copied. */
/* Replaces or appends; a NULL value gives null. */
void json_set(struct arena *a, struct json *obj, const char *key, struct json *val);
void json_setn(struct arena *a, struct json *obj, const char *key, size_t key_len,
               struct json *val);
void json_set_str(struct arena *a, struct json *obj, const char *key, const char *s);
void json_set_int(struct arena *a, struct json *obj, const char *key, int64_t i);
void json_set_bool(struct arena *a, struct json *obj, const char *key, bool b);
bool json_del(struct json *obj, const char *key);     /* keeps the order; true if it was there */
void json_append(struct arena *a, struct json *arr, struct json *val);
void json_insert(struct arena *a, struct json *arr, size_t at, struct json *val);
void json_remove(struct json *arr, size_t at);
/* The object (array) at this key, made where it is missing or of another type. */
struct json *json_ensure_object(struct arena *a, struct json *obj, const char *key);
struct json *json_ensure_array(struct arena *a, struct json *obj, const char *key);

/* Member order does not count; 1 == 1.0; a NULL pointer equals only NULL. */
bool json_equal(const struct json *a, const struct json *b);
void json_sort_keys(struct json *v);                  /* at all depths, by byte order */
/* Go's words: "null" "bool" "number" "string" "array" "object". */
const char *json_type_name(int type);

#define json_each(it, arr) \
    for (size_t it##_i = 0; it##_i < json_len(arr) && json_is((arr), JSON_ARRAY) && \
         ((it) = (arr)->items[it##_i], 1); it##_i++)
#define json_each_member(m, obj) \
    for (struct json_member *m = json_is((obj), JSON_OBJECT) ? (obj)->members : NULL, \
         *m##_end = m ? m + (obj)->len : NULL; m != m##_end; m++)

#endif
