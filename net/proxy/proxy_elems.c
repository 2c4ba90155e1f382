/* proxy_elems.c -- a chained hash table of elements, and a list of the changed ones. */
#include "net/proxy/proxy_elems.h"

#include <string.h>

#include "core/base/check.h"
#include "core/base/mem.h"
#include "core/base/str.h"

struct proxy_elems {
    struct proxy_entry **slots;
    size_t n_slots, len;                 /* n_slots is a power of two */
    struct proxy_entry *changed, **changed_end;
};

#define SLOTS_FIRST 256

struct proxy_elems *proxy_elems_new(void)
{
    struct proxy_elems *t = NEW(struct proxy_elems);

    t->n_slots = SLOTS_FIRST;
    t->slots = mem_alloc_array(t->n_slots, sizeof(t->slots[0]));
    t->changed_end = &t->changed;
    return t;
}

struct proxy_elems *proxy_elems_free(struct proxy_elems *t)
{
    if (!t)
        return NULL;
    for (size_t i = 0; i < t->n_slots; i++) {
        for (struct proxy_entry *e = t->slots[i], *next; e; e = next) {
            next = e->next;
            mem_free(e);
        }
    }
    mem_free(t->slots);
    return mem_free(t);
}

size_t proxy_elems_len(const struct proxy_elems *t)
{
    return t->len;
}

static uint64_t hash(uint32_t set, const uint32_t key[PROXY_KEY_FIELDS])
{
    uint64_t h = 0x9e3779b97f4a7c15u ^ set;

    for (int i = 0; i < PROXY_KEY_FIELDS; i++) {
        h = (h ^ key[i]) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    return h;
}

static struct proxy_entry **place(const struct proxy_elems *t, uint32_t set,
                                  const uint32_t key[PROXY_KEY_FIELDS])
{
    struct proxy_entry **at = &t->slots[hash(set, key) & (t->n_slots - 1)];

    while (*at && ((*at)->want.set != set ||
                   memcmp((*at)->want.key, key, sizeof((*at)->want.key)) != 0))
        at = &(*at)->next;
    return at;
}

static void grow(struct proxy_elems *t)
{
    struct proxy_entry **old = t->slots;
    size_t n = t->n_slots;

    if (t->len < n)
        return;
    t->n_slots = n * 2;
    t->slots = mem_alloc_array(t->n_slots, sizeof(t->slots[0]));
    for (size_t i = 0; i < n; i++) {
        for (struct proxy_entry *e = old[i], *next; e; e = next) {
            struct proxy_entry **at = &t->slots[hash(e->want.set, e->want.key) & (t->n_slots - 1)];

            next = e->next;
            e->next = *at;
            *at = e;
        }
    }
    mem_free(old);
}

static void list(struct proxy_elems *t, struct proxy_entry *e)
{
    if (e->listed)
        return;
    e->listed = true;
    e->next_changed = NULL;
    *t->changed_end = e;
    t->changed_end = &e->next_changed;
}

const struct proxy_entry *proxy_elems_find(const struct proxy_elems *t, uint32_t set,
                                           const uint32_t key[PROXY_KEY_FIELDS])
{
    return *place(t, set, key);
}

struct proxy_entry *proxy_elems_claim(struct proxy_elems *t, const struct proxy_elem *elem)
{
    struct proxy_entry *e = *place(t, elem->set, elem->key);

    check(elem->set < PROXY_SET_MAX);
    if (e && e->claims > 0) {
        if (memcmp(e->want.data, elem->data, sizeof(elem->data)) != 0)
            return NULL;
        e->claims++;
        return e;
    }
    if (!e) {
        grow(t);
        e = NEW(struct proxy_entry);
        *place(t, elem->set, elem->key) = e;
        t->len++;
    }
    e->want = *elem;
    e->claims = 1;
    list(t, e);
    return e;
}

void proxy_elems_release(struct proxy_elems *t, struct proxy_entry *e)
{
    check(e->claims > 0);
    if (--e->claims == 0)
        list(t, e);
}

struct proxy_entry *proxy_elems_changed(const struct proxy_elems *t)
{
    return t->changed;
}

static void drop(struct proxy_elems *t, struct proxy_entry *e)
{
    struct proxy_entry **at = place(t, e->want.set, e->want.key);

    check(*at == e);
    *at = e->next;
    t->len--;
    mem_free(e);
}

void proxy_elems_settle(struct proxy_elems *t)
{
    struct proxy_entry *next;

    for (struct proxy_entry *e = t->changed; e; e = next) {
        next = e->next_changed;
        e->listed = false;
        e->next_changed = NULL;
        e->have = e->claims > 0;
        memcpy(e->have_data, e->want.data, sizeof(e->have_data));
        if (!e->have)
            drop(t, e);
    }
    t->changed = NULL;
    t->changed_end = &t->changed;
}

void proxy_elems_forget(struct proxy_elems *t)
{
    for (size_t i = 0; i < t->n_slots; i++) {
        for (struct proxy_entry *e = t->slots[i]; e; e = e->next) {
            e->have = false;
            list(t, e);
        }
    }
}
