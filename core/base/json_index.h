/* core/base/json_index.h -- inside the room: the members of an object and the index of its keys.
 *
 * An object with room for more than JSON_INDEX_FROM members has an index in the same allocation,
 * behind members[cap]: an open-addressed table of places. `entered` says for how many members it
 * holds; when that differs from len, somebody changed the object by hand and the search is linear.
 */
#ifndef CORE_BASE_JSON_INDEX_H
#define CORE_BASE_JSON_INDEX_H

#include "core/base/json.h"

#define JSON_INDEX_FROM 32u

/* Room for `cap` members (no less than there are). Fails only past the arena's cap. */
int json_index_reserve(struct arena *a, struct json *obj, size_t cap);
/* The member of this key (the first of equal keys), or NULL. */
struct json_member *json_index_find(const struct json *obj, const char *key, size_t key_len);
/* Appends without looking for an equal key; there must be room. The key is not copied. */
void json_index_append(struct json *obj, struct json_member m);
void json_index_remove(struct json *obj, size_t at);
void json_index_rebuild(struct json *obj);       /* after members changed places */

/* What json_clone of v would take. */
struct json_cost {
    size_t bytes;      /* of an arena; an upper bound */
    size_t nodes;
    size_t depth;      /* 0 for a leaf */
};
struct json_cost json_index_cost(const struct json *v);

#endif
