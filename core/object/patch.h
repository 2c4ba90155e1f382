/* core/object/patch.h -- the three patch formats, on trees. Inputs are left as they were. */
#ifndef CORE_OBJECT_PATCH_H
#define CORE_OBJECT_PATCH_H

#include "core/base/json.h"
#include "core/object/kind.h"

#define PATCH_JSON_OPS_MAX 10000         /* as upstream */

/* RFC 6902. Errors: ERR_INVALID (bad patch; upstream 400/422 texts of evanphx/json-patch), ERR_CONFLICT is not used;
 * a failed test operation is ERR_INVALID with "testing value ... failed". */
int patch_json(struct json **out, struct arena *a, const struct json *doc, const struct json *patch, struct err *err);
/* RFC 7386. */
int patch_merge(struct json **out, struct arena *a, const struct json *doc, const struct json *patch, struct err *err);
/* Kubernetes strategic merge by the schema's merge keys; directives $patch, $retainKeys, $setElementOrder/x,
 * $deleteFromPrimitiveList/x. */
int patch_strategic(struct json **out, struct arena *a, const struct json *doc, const struct json *patch,
                    const struct schema_type *type, struct err *err);
/* The RFC 7386 patch that leads from one tree to the other; NULL when they are equal. */
struct json *patch_merge_diff(struct arena *a, const struct json *from, const struct json *to);

#endif
