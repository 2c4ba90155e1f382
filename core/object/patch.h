/* core/object/patch.h -- the three patch formats, on trees. Inputs are left as they were; what
 * comes out shares nothing with them.
 *
 * Errors tell the answer: ERR_INVALID is a malformed patch (400), ERR_QUOTA too much of it (413),
 * ERR_UNSUPPORTED a well-formed patch that does not apply (422), ERR_FAILED what upstream answers
 * with 500.
 */
#ifndef CORE_OBJECT_PATCH_H
#define CORE_OBJECT_PATCH_H

#include "core/base/json.h"
#include "core/object/kind.h"

#define PATCH_JSON_OPS_MAX 10000         /* as upstream */

/* RFC 6902. The text of a 422 is for logs: clients see upstream's "the server rejected our request
 * due to an error in our request". */
int patch_json(struct json **out, struct arena *a, const struct json *doc, const struct json *patch,
               struct err *err);
/* RFC 7386. */
int patch_merge(struct json **out, struct arena *a, const struct json *doc,
                const struct json *patch,
                struct err *err);
/* Kubernetes strategic merge by the schema's merge keys; directives $patch, $retainKeys,
 * $setElementOrder/x, $deleteFromPrimitiveList/x. */
int patch_strategic(struct json **out, struct arena *a, const struct json *doc,
                    const struct json *patch,
                    const struct schema_type *type, struct err *err);
/* The RFC 7386 patch that leads from one tree to the other; NULL when they are equal. */
struct json *patch_merge_diff(struct arena *a, const struct json *from, const struct json *to);
/* As Go prints an unstructured value with %v: "map[data:map[x:1]]"; errors about patches hold it.
 */
void patch_go_text(struct buf *b, const struct json *v);

#endif
