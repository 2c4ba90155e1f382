/* heap.c -- binary min-heap; nodes know their place, so that removal is logarithmic. */
#include "core/base/heap.h"

#include "core/base/check.h"
#include "core/base/mem.h"

static bool heap_before(const struct heap_node *a, const struct heap_node *b)
{
    return a->key != b->key ? a->key < b->key : a->seq < b->seq;
}

static void heap_place(struct heap *h, size_t at, struct heap_node *n)
{
    h->v[at] = n;
    n->at = at + 1;
}

static void heap_up(struct heap *h, size_t at, struct heap_node *n)
{
    while (at > 0 && heap_before(n, h->v[(at - 1) / 2])) {
        heap_place(h, at, h->v[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_place(h, at, n);
}

static void heap_down(struct heap *h, size_t at, struct heap_node *n)
{
    for (;;) {
        size_t child = at * 2 + 1;

        if (child + 1 < h->len && heap_before(h->v[child + 1], h->v[child]))
            child++;
        if (child >= h->len || heap_before(n, h->v[child]))
            break;
        heap_place(h, at, h->v[child]);
        at = child;
    }
    heap_place(h, at, n);
}

void heap_push(struct heap *h, struct heap_node *n, int64_t key)
{
    heap_remove(h, n);
    if (h->len == h->cap) {
        h->cap = h->cap ? h->cap * 2 : 16;
        h->v = mem_grow(h->v, h->cap * sizeof(*h->v));
    }
    n->key = key;
    n->seq = h->seq++;
    heap_up(h, h->len++, n);
}

void heap_remove(struct heap *h, struct heap_node *n)
{
    struct heap_node *last;
    size_t at = n->at - 1;

    if (n->at == 0)
        return;
    check(at < h->len && h->v[at] == n);
    n->at = 0;
    last = h->v[--h->len];
    if (last == n)
        return;
    if (at > 0 && heap_before(last, h->v[(at - 1) / 2]))
        heap_up(h, at, last);
    else
        heap_down(h, at, last);
}

struct heap_node *heap_min(const struct heap *h)
{
    return h->len ? h->v[0] : NULL;
}

void heap_deinit(struct heap *h)
{
    for (size_t i = 0; i < h->len; i++)
        h->v[i]->at = 0;
    h->v = mem_free(h->v);
    h->len = h->cap = 0;
}
