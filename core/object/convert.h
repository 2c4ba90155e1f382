/* core/object/convert.h -- one object in two versions: a stored tree as another version of its
 * kind, and back.
 *
 * Only Events differ today: events.k8s.io/v1 is stored as core v1 (its regarding is
 * involvedObject, its note is message, ...). Everything else with two versions has the same fields.
 */
#ifndef CORE_OBJECT_CONVERT_H
#define CORE_OBJECT_CONVERT_H

#include "core/base/json.h"
#include "core/object/kind.h"

/* A new tree (sharing nodes with `tree`); `tree` itself when the kinds are the same. Field order
 * is that of the source: codec_canonical() puts it right where that counts. */
struct json *convert_tree(struct arena *a, struct json *tree, const struct kind *from,
                          const struct kind *to);

#endif
