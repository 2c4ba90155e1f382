/* proxy_elems.h -- inside the room: the elements of all maps as they should be and as the kernel
 * has them, and the difference. Pure.
 *
 * A Service claims elements; the same element may be claimed by several. An element that is claimed
 * with other data already stays with whoever came first.
 */
#ifndef NET_PROXY_PROXY_ELEMS_H
#define NET_PROXY_PROXY_ELEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/cleanup.h"

enum proxy_set {
    PROXY_SERVICES, PROXY_INSIDE, PROXY_NO_ENDPOINTS, PROXY_ENDPOINTS, PROXY_HAIRPIN,
    PROXY_SET_MAX
};

#define PROXY_KEY_FIELDS 4

/* Fields in host order; unused ones are 0. */
struct proxy_elem {
    uint32_t set;                        /* enum proxy_set */
    uint32_t key[PROXY_KEY_FIELDS];
    uint32_t data[2];
};

struct proxy_entry {
    struct proxy_elem want;              /* data: as claimed */
    uint32_t have_data[2];
    unsigned claims;                     /* 0: not wanted */
    bool have;                           /* the kernel has it, with have_data */
    bool listed;                         /* in the list of changed ones */
    struct proxy_entry *next, *next_changed;
};

struct proxy_elems;

struct proxy_elems *proxy_elems_new(void);
struct proxy_elems *proxy_elems_free(struct proxy_elems *t);
CLEANUP_DEFINE(struct proxy_elems, proxy_elems_free)

/* NULL when it is claimed with other data. */
struct proxy_entry *proxy_elems_claim(struct proxy_elems *t, const struct proxy_elem *e);
void proxy_elems_release(struct proxy_elems *t, struct proxy_entry *entry);
const struct proxy_entry *proxy_elems_find(const struct proxy_elems *t, uint32_t set,
                                           const uint32_t key[PROXY_KEY_FIELDS]);
size_t proxy_elems_len(const struct proxy_elems *t);

/* What differs from the kernel, in the order it was changed. */
static inline bool proxy_entry_gone(const struct proxy_entry *e)          /* to be deleted */
{
    return e->have && (e->claims == 0 || e->have_data[0] != e->want.data[0] ||
                       e->have_data[1] != e->want.data[1]);
}
static inline bool proxy_entry_new(const struct proxy_entry *e)        /* to be added, after that */
{
    return e->claims > 0 && (!e->have || proxy_entry_gone(e));
}
struct proxy_entry *proxy_elems_changed(const struct proxy_elems *t);     /* next_changed follows */
/* From now on the kernel has what is wanted. */
void proxy_elems_settle(struct proxy_elems *t);
/* The kernel has nothing: everything wanted is changed. */
void proxy_elems_forget(struct proxy_elems *t);

#endif
