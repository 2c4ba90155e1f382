/* core/base/map.h -- text key -> pointer, walked in insertion order (the same walk every run).
 * Keys are copied. Values are the caller's. One owner, no locking. */
#ifndef CORE_BASE_MAP_H
#define CORE_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>

struct map;

struct map *map_new(void);
/* NULL map and NULL function are fine; always returns NULL. */
struct map *map_free(struct map *m, void (*free_value)(void *));
size_t map_len(const struct map *m);
void *map_get(const struct map *m, const char *key);               /* NULL when missing */
/* The former value or NULL; value not NULL. An existing key keeps its place. */
void *map_put(struct map *m, const char *key, void *value);
void *map_del(struct map *m, const char *key);                     /* the former value or NULL */
/* Iteration: start with *at = 0; deleting the entry just returned is allowed. */
bool map_next(const struct map *m, size_t *at, const char **key, void **value);

#endif
