/* json_index.c -- see the header. Slots of removed members stay tombstones until a rebuild. */
#include "core/base/json_index.h"

#include "core/base/check.h"

#define SLOT_FREE UINT32_MAX
#define SLOT_TOMB (UINT32_MAX - 1)

struct json_index {
    uint32_t entered;      /* members that the table knows */
    uint32_t used;         /* slots that are not free */
    uint32_t slot[];
};

/* A power of two, at least twice the members. */
static size_t slots_for(size_t cap)
{
    size_t slots = JSON_INDEX_FROM * 2;

    while (slots < cap * 2)
        slots *= 2;
    return slots;
}

static struct json_index *index_of(const struct json *obj)
{
    return obj->indexed ? (struct json_index *)(void *)(obj->members + obj->cap) : NULL;
}

static void index_enter(struct json_index *x, size_t mask, const struct json_member *m, size_t at)
{
    size_t i = str_hash_keyed(m->key, m->key_len) & mask;

    while (x->slot[i] < SLOT_TOMB)
        i = (i + 1) & mask;
    x->used += x->slot[i] == SLOT_FREE;
    x->slot[i] = (uint32_t)at;
    x->entered++;
}

void json_index_rebuild(struct json *obj)
{
    struct json_index *x = index_of(obj);
    size_t slots = slots_for(obj->cap);

    if (!x)
        return;
    memset(x->slot, 0xff, slots * sizeof(x->slot[0]));
    x->entered = x->used = 0;
    for (size_t i = 0; i < obj->len; i++)
        index_enter(x, slots - 1, &obj->members[i], i);
}

int json_index_reserve(struct arena *a, struct json *obj, size_t cap)
{
    size_t bytes = cap * sizeof(struct json_member);
    struct json_member *members;

    check(cap >= obj->len && cap < SLOT_TOMB / 4);
    if (cap > JSON_INDEX_FROM)
        bytes += sizeof(struct json_index) + slots_for(cap) * sizeof(uint32_t);
    members = arena_try(a, bytes);
    if (!members)
        return -1;
    if (obj->len)
        memcpy(members, obj->members, obj->len * sizeof(*members));
    obj->members = members;
    obj->cap = (uint32_t)cap;
    obj->indexed = cap > JSON_INDEX_FROM;
    json_index_rebuild(obj);
    return 0;
}

static bool key_is(const struct json_member *m, const char *key, size_t key_len)
{
    return m->key_len == key_len &&
           (!key_len || (m->key[0] == key[0] && memcmp(m->key, key, key_len) == 0));
}

struct json_member *json_index_find(const struct json *obj, const char *key, size_t key_len)
{
    struct json_index *x = index_of(obj);
    size_t mask = slots_for(obj->cap) - 1;

    if (!x || x->entered != obj->len || obj->len <= JSON_INDEX_FROM / 4) {
        for (size_t i = 0; i < obj->len; i++)
            if (key_is(&obj->members[i], key, key_len))
                return &obj->members[i];
        return NULL;
    }
    for (size_t i = str_hash_keyed(key, key_len) & mask; x->slot[i] != SLOT_FREE;
         i = (i + 1) & mask) {
        uint32_t at = x->slot[i];

        if (at < obj->len && key_is(&obj->members[at], key, key_len))
            return &obj->members[at];
    }
    return NULL;
}

void json_index_append(struct json *obj, struct json_member m)
{
    struct json_index *x = index_of(obj);
    size_t slots = slots_for(obj->cap);

    check(obj->len < obj->cap);
    obj->members[obj->len++] = m;
    if (!x)
        return;
    if (x->entered == obj->len - 1 && x->used < slots / 4 * 3)
        index_enter(x, slots - 1, &m, obj->len - 1);
    else
        json_index_rebuild(obj);
}

void json_index_remove(struct json *obj, size_t at)
{
    struct json_index *x = index_of(obj);
    size_t slots = slots_for(obj->cap);
    bool good = x && x->entered == obj->len;

    check(at < obj->len);
    memmove(obj->members + at, obj->members + at + 1,
            (obj->len - at - 1) * sizeof(*obj->members));
    obj->len--;
    if (!good) {
        json_index_rebuild(obj);
        return;
    }
    for (size_t i = 0; i < slots; i++) {      /* cheaper than hashing all keys anew */
        if (x->slot[i] == at)
            x->slot[i] = SLOT_TOMB;
        else if (x->slot[i] > at && x->slot[i] < SLOT_TOMB)
            x->slot[i]--;
    }
    x->entered--;
}
