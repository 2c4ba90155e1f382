/* core/base/vec.h -- a growing typed array: `struct { T *v; size_t len, cap; } x = { 0 };` */
#ifndef CORE_BASE_VEC_H
#define CORE_BASE_VEC_H

#include "core/base/mem.h"

#define VEC(type) struct { type *v; size_t len, cap; }
#define vec_push(x, item) \
    do { \
        if ((x)->len == (x)->cap) { \
            (x)->cap = (x)->cap ? (x)->cap * 2 : 8; \
            (x)->v = mem_grow((x)->v, (x)->cap * sizeof(*(x)->v)); \
        } \
        (x)->v[(x)->len++] = (item); \
    } while (0)
#define vec_deinit(x) do { (x)->v = mem_free((x)->v); (x)->len = (x)->cap = 0; } while (0)

#endif
