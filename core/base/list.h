/* core/base/list.h -- intrusive doubly linked list with a sentinel head. */
#ifndef CORE_BASE_LIST_H
#define CORE_BASE_LIST_H

#include <stdbool.h>

#include "core/base/cleanup.h"

struct list { struct list *next, *prev; };

static inline void list_init(struct list *l) { l->next = l->prev = l; }
static inline bool list_empty(const struct list *l) { return l->next == l; }
static inline void list_add_before(struct list *at, struct list *n)
{
    n->next = at;
    n->prev = at->prev;
    at->prev->next = n;
    at->prev = n;
}
/* At the end. */
static inline void list_push(struct list *head, struct list *n) { list_add_before(head, n); }
/* Callable twice. */
static inline void list_del(struct list *n)
{
    n->next->prev = n->prev;
    n->prev->next = n->next;
    n->next = n->prev = n;
}
#define list_first(head, type, member) \
    (list_empty(head) ? NULL : container_of((head)->next, type, member))
/* Deleting the current entry is allowed. */
#define list_each(it, head, type, member) \
    for (type *it = container_of((head)->next, type, member), \
         *it##_next = container_of(it->member.next, type, member); \
         &it->member != (head); \
         it = it##_next, it##_next = container_of(it->member.next, type, member))

#endif
