/* map.c -- entries in insertion order, and an open-addressed table of their places.
 *
 * A deleted entry leaves a hole (key NULL) in `v`, and its table slot stays taken; both go when the
 * table is built anew, which only map_put does: so a walk may delete. */
#include "core/base/map.h"

#include <stdint.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/mem.h"
#include "core/base/str.h"

#define MAP_CAP_FIRST 8u
#define SLOT_FREE UINT32_MAX

struct entry { char *key; void *value; uint64_t hash; };

struct map {
    struct entry *v;
    uint32_t *table;          /* places in v, or SLOT_FREE; 2 * cap slots */
    size_t len, cap, live;    /* len counts holes, live does not; cap is a power of two */
};

struct map *map_new(void)
{
    return NEW(struct map);
}

struct map *map_free(struct map *m, void (*free_value)(void *))
{
    if (!m)
        return NULL;
    for (size_t i = 0; i < m->len; i++) {
        if (m->v[i].key && free_value)
            free_value(m->v[i].value);
        mem_free(m->v[i].key);
    }
    mem_free(m->v);
    mem_free(m->table);
    return mem_free(m);
}

size_t map_len(const struct map *m)
{
    return m->live;
}

static struct entry *map_find(const struct map *m, const char *key, uint64_t hash)
{
    size_t mask = m->cap * 2 - 1;

    if (m->cap == 0)
        return NULL;
    for (size_t i = hash & mask; m->table[i] != SLOT_FREE; i = (i + 1) & mask) {
        struct entry *e = &m->v[m->table[i]];

        if (e->key && e->hash == hash && strcmp(e->key, key) == 0)
            return e;
    }
    return NULL;
}

static void map_enter(struct map *m, size_t place)
{
    size_t mask = m->cap * 2 - 1;
    size_t i = m->v[place].hash & mask;

    while (m->table[i] != SLOT_FREE)
        i = (i + 1) & mask;
    m->table[i] = (uint32_t)place;
}

/* Drops the holes, and doubles when more than half was in use. */
static void map_rebuild(struct map *m)
{
    size_t cap = m->cap ? m->cap : MAP_CAP_FIRST;
    size_t len = 0;

    if (m->live > m->cap / 2)
        cap *= m->cap ? 2 : 1;
    check(cap < SLOT_FREE / 2);
    for (size_t i = 0; i < m->len; i++)
        if (m->v[i].key)
            m->v[len++] = m->v[i];
    check(len == m->live);
    m->len = len;
    if (cap != m->cap) {
        m->v = mem_grow(m->v, cap * sizeof(*m->v));
        m->table = mem_grow(m->table, cap * 2 * sizeof(*m->table));
        m->cap = cap;
    }
    memset(m->table, 0xff, cap * 2 * sizeof(*m->table));
    for (size_t i = 0; i < len; i++)
        map_enter(m, i);
}

void *map_get(const struct map *m, const char *key)
{
    struct entry *e = map_find(m, key, str_hash_keyed(key, strlen(key)));

    return e ? e->value : NULL;
}

void *map_put(struct map *m, const char *key, void *value)
{
    uint64_t hash = str_hash_keyed(key, strlen(key));
    struct entry *e = map_find(m, key, hash);

    check(value);
    if (e) {
        void *former = e->value;

        e->value = value;
        return former;
    }
    if (m->len == m->cap)
        map_rebuild(m);
    m->v[m->len] = (struct entry){mem_strdup(key), value, hash};
    map_enter(m, m->len++);
    m->live++;
    return NULL;
}

void *map_del(struct map *m, const char *key)
{
    struct entry *e = map_find(m, key, str_hash_keyed(key, strlen(key)));

    if (!e)
        return NULL;
    e->key = mem_free(e->key);
    m->live--;
    return TAKE(e->value);
}

bool map_next(const struct map *m, size_t *at, const char **key, void **value)
{
    while (*at < m->len && !m->v[*at].key)
        ++*at;
    if (*at >= m->len)
        return false;
    if (key)
        *key = m->v[*at].key;
    if (value)
        *value = m->v[*at].value;
    ++*at;
    return true;
}
