/* core/object/fieldset.h -- sets of fields of an object, in the form of managedFields (FieldsV1).
 *
 * A set is a JSON object: each key names a field ("f:spec"), an item by its keys
 * (k:{"name":"c"}) or by its value (v:"x"); behind it is {} for a member, an object with "." for a
 * member that has members below it, without "." for one that has only those. The empty object is
 * the empty set. Sets are never changed: operations make new ones, which may share nodes.
 */
#ifndef CORE_OBJECT_FIELDSET_H
#define CORE_OBJECT_FIELDSET_H

#include "core/base/json.h"

struct json *fieldset_union(struct arena *a, const struct json *x, const struct json *y);
/* What is in x and not in y; members only: what lies below a member of y stays. */
struct json *fieldset_difference(struct arena *a, const struct json *x, const struct json *y);
struct json *fieldset_intersection(struct arena *a, const struct json *x, const struct json *y);
bool fieldset_is_empty(const struct json *x);
bool fieldset_equal(const struct json *x, const struct json *y);

/* Of one node, as found behind a key (NULL is fine). */
bool fieldset_is_member(const struct json *node);
/* Puts a key into a set under construction: whether it is a member itself, and what is below it
 * (a set, or NULL). Nothing happens when it would be neither. */
void fieldset_put(struct arena *a, struct json *set, const char *key, bool member,
                  const struct json *below);
/* Member or not, and below, of a node. */
#define fieldset_each(m, set) \
    json_each_member(m, set) if (!(m->key_len == 1 && m->key[0] == '.'))

#endif
