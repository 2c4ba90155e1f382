/* core/base/heap.h -- binary min-heap of intrusive nodes, for timers and queues. One owner. */
#ifndef CORE_BASE_HEAP_H
#define CORE_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    int64_t key;
    uint64_t seq;
    size_t at;      /* 1 + index; 0 when in no heap */
};
struct heap { struct heap_node **v; size_t len, cap; uint64_t seq; };

/* Moves it when it is in already. */
void heap_push(struct heap *h, struct heap_node *n, int64_t key);
void heap_remove(struct heap *h, struct heap_node *n);              /* fine when it is in no heap */
struct heap_node *heap_min(const struct heap *h);   /* NULL when empty; equal keys in push order */
void heap_deinit(struct heap *h);

#endif
