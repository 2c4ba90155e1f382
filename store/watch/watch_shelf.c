/* watch_shelf.c: sorted blocks. */
#include "store/watch/watch_shelf.h"

#include "core/base/mem.h"

void watch_shelf_deinit(struct shelf *s)
{
    for (size_t b = 0; b < s->n_blocks; b++) {
        for (size_t i = 0; i < s->blocks[b].len; i++) {
            object_unref(s->blocks[b].v[i]->object);
            mem_free(s->blocks[b].v[i]);
        }
        mem_free(s->blocks[b].v);
    }
    mem_free(s->blocks);
    *s = (struct shelf){ 0 };
}

/* The last block whose first key is <= key; 0 when there is none such. */
static size_t find_block(const struct shelf *s, const char *key)
{
    size_t low = 0, high = s->n_blocks;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (strcmp(s->blocks[mid].v[0]->key, key) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low ? low - 1 : 0;
}

/* The first index whose key is >= key. */
static size_t find_item(const struct shelf_block *b, const char *key)
{
    size_t low = 0, high = b->len;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (strcmp(b->v[mid]->key, key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct shelf_item *find(const struct shelf *s, const char *key, struct shelf_at *at)
{
    struct shelf_block *b;

    *at = (struct shelf_at){ 0, 0 };
    if (!s->n_blocks)
        return NULL;
    at->block = find_block(s, key);
    b = &s->blocks[at->block];
    at->item = find_item(b, key);
    return at->item < b->len && strcmp(b->v[at->item]->key, key) == 0 ? b->v[at->item] : NULL;
}

struct object *watch_shelf_get(const struct shelf *s, const char *key)
{
    struct shelf_at at;
    struct shelf_item *it = find(s, key, &at);

    return it ? it->object : NULL;
}

static void insert_block(struct shelf *s, size_t at)
{
    if (s->n_blocks == s->cap_blocks) {
        s->cap_blocks = s->cap_blocks ? s->cap_blocks * 2 : 4;
        s->blocks = mem_grow(s->blocks, s->cap_blocks * sizeof(*s->blocks));
    }
    memmove(s->blocks + at + 1, s->blocks + at, (s->n_blocks - at) * sizeof(*s->blocks));
    s->n_blocks++;
    s->blocks[at] = (struct shelf_block){ mem_alloc(SHELF_BLOCK * sizeof(struct shelf_item *)), 0 };
}

static void split(struct shelf *s, size_t block)
{
    struct shelf_block *from, *to;
    size_t half = SHELF_BLOCK / 2;

    insert_block(s, block + 1);
    from = &s->blocks[block];
    to = &s->blocks[block + 1];
    memcpy(to->v, from->v + half, (from->len - half) * sizeof(*to->v));
    to->len = from->len - half;
    from->len = half;
}

struct object *watch_shelf_put(struct shelf *s, const char *key, struct object *o)
{
    struct shelf_at at;
    struct shelf_item *it = find(s, key, &at);
    struct shelf_block *b;

    if (it) {
        struct object *before = it->object;

        it->object = o;
        return before;
    }
    if (!s->n_blocks)
        insert_block(s, 0);
    if (s->blocks[at.block].len == SHELF_BLOCK) {
        split(s, at.block);
        find(s, key, &at);
    }
    it = mem_alloc(sizeof(*it) + strlen(key) + 1);
    memcpy(it->key, key, strlen(key) + 1);
    it->object = o;
    b = &s->blocks[at.block];
    memmove(b->v + at.item + 1, b->v + at.item, (b->len - at.item) * sizeof(*b->v));
    b->v[at.item] = it;
    b->len++;
    s->len++;
    return NULL;
}

struct object *watch_shelf_del(struct shelf *s, const char *key)
{
    struct shelf_at at;
    struct shelf_item *it = find(s, key, &at);
    struct shelf_block *b;
    struct object *o;

    if (!it)
        return NULL;
    b = &s->blocks[at.block];
    o = it->object;
    mem_free(it);
    memmove(b->v + at.item, b->v + at.item + 1, (b->len - at.item - 1) * sizeof(*b->v));
    b->len--;
    s->len--;
    if (!b->len) {
        mem_free(b->v);
        memmove(b, b + 1, (s->n_blocks - at.block - 1) * sizeof(*b));
        s->n_blocks--;
    }
    return o;
}

struct shelf_at watch_shelf_seek(const struct shelf *s, const char *key, bool after)
{
    struct shelf_at at;
    struct shelf_item *it = find(s, key, &at);

    if (it && after)
        at.item++;
    return at;
}

struct shelf_item *watch_shelf_next(const struct shelf *s, struct shelf_at *at)
{
    while (at->block < s->n_blocks && at->item >= s->blocks[at->block].len) {
        at->block++;
        at->item = 0;
    }
    return at->block < s->n_blocks ? s->blocks[at->block].v[at->item++] : NULL;
}

size_t watch_shelf_between(const struct shelf *s, struct shelf_at from, struct shelf_at to)
{
    size_t n = 0;

    if (from.block > to.block || (from.block == to.block && from.item >= to.item))
        return 0;
    for (size_t b = from.block; b < to.block; b++)
        n += s->blocks[b].len;
    return n - from.item + to.item;
}
