/* core/object/view.h -- what typed views are made of. Include gen/views.h for the views themselves:
 *
 *     const struct pod_view *pod = pod_view(object);
 *     for (unsigned i = 0; i < pod->spec.n_containers; i++)
 *         use(pod->spec.containers[i].image);
 *
 * Views are decoded once per object, read-only, and live as long as the object. Names are those of
 * the API in C style: terminationGracePeriodSeconds is termination_grace_period_seconds. Of each
 * field:
 *   string, quantity      text; "" when unset, NULL where the API tells unset from empty (optional)
 *   bool, int, IntOrString   the value; an optional one has `has_x` beside it
 *   time, microtime       x_s seconds, x_us microseconds since 1970; 0 when unset
 *   list                  pointer and count n_x; (NULL, 0) when unset; of text, int64_t or structs
 *   map                   pairs in order of keys
 *   bytes                 a slice, decoded from base64
 *   struct                in place; an optional one is a pointer, NULL when unset
 *   whatever else         the JSON tree, NULL when unset
 */
#ifndef CORE_OBJECT_VIEW_H
#define CORE_OBJECT_VIEW_H

#include "core/base/json.h"
#include "core/object/object.h"

struct view_pair { const char *key, *value; };
struct view_map { const struct view_pair *v; unsigned n; };
struct view_bytes { const char *key; struct slice value; };
struct view_bytes_map { const struct view_bytes *v; unsigned n; };
struct view_int_or_string {
    const char *s;               /* NULL: it is the number i */
    int32_t i;
};

/* NULL when there is none of this key. */
const char *view_map_get(const struct view_map *m, const char *key);
const struct slice *view_bytes_get(const struct view_bytes_map *m, const char *key);

/* The view of an object that must be of this kind. Used by the generated wrappers. */
const void *view_of(const struct object *o, unsigned kind_id);

#endif
