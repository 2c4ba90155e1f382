/* store/watch/watch_shelf.h -- inside the room: the objects of one kind in key order.
 *
 * Sorted blocks of at most SHELF_BLOCK entries: look-up is two binary searches, inserting moves one
 * block. Not locked: the cache's lock guards it.
 */
#ifndef STORE_WATCH_WATCH_SHELF_H
#define STORE_WATCH_WATCH_SHELF_H

#include "core/object/object.h"

#define SHELF_BLOCK 256

struct shelf_item {
    struct object *object;                   /* reference */
    char key[];                              /* whole store key */
};
struct shelf_block { struct shelf_item **v; size_t len; };
struct shelf { struct shelf_block *blocks; size_t n_blocks, cap_blocks, len; };

struct shelf_at { size_t block, item; };

void watch_shelf_deinit(struct shelf *s);
/* borrowed or NULL */
struct object *watch_shelf_get(const struct shelf *s, const char *key);
/* Takes the reference. Answers the former object, whose reference is the caller's then, or NULL. */
struct object *watch_shelf_put(struct shelf *s, const char *key, struct object *o);
struct object *watch_shelf_del(struct shelf *s, const char *key);
/* The first entry whose key is >= key (after: > key). */
struct shelf_at watch_shelf_seek(const struct shelf *s, const char *key, bool after);
/* How many entries lie from the one place up to the other. */
size_t watch_shelf_between(const struct shelf *s, struct shelf_at from, struct shelf_at to);
/* The entry there, moving on; NULL at the end. */
struct shelf_item *watch_shelf_next(const struct shelf *s, struct shelf_at *at);

#endif
