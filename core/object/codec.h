/* core/object/codec.h -- bytes from a client -> canonical tree, driven by the schema tables.
 *
 * Canonical means what upstream's decode into Go types and encode again would give: fields in declaration
 * order, unknown ones gone, nulls and omitempty zero values gone, maps sorted by key, quantities canonical,
 * times RFC 3339. All trees the server passes on are canonical.
 */
#ifndef CORE_OBJECT_CODEC_H
#define CORE_OBJECT_CODEC_H

#include "core/object/kind.h"
#include "core/base/json.h"

enum codec_media { MEDIA_JSON, MEDIA_YAML };
enum codec_strict { STRICT_IGNORE, STRICT_WARN, STRICT_STRICT };     /* fieldValidation */

/* Texts of the warnings or, for strict, of the errors: `unknown field "spec.foo"`, `duplicate field "x"`. */
struct codec_notes { const char **v; unsigned len, cap; struct arena *a; };

/* Syntax only: bytes -> raw tree; duplicates are noted. Errors: ERR_INVALID with upstream's meaning. */
int codec_parse(struct json **out, struct arena *a, enum codec_media media, struct slice bytes,
                struct codec_notes *notes, struct err *err);
/* Raw tree -> canonical tree of `type` (input is left as it was). Unknown fields are noted with their path.
 * ERR_INVALID: `json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container`. */
int codec_canonical(struct json **out, struct arena *a, const struct schema_type *type, const struct json *raw,
                    struct codec_notes *notes, struct err *err);
/* Adds the defaults that upstream sets for this kind (constants of the tables and coded ones). On a canonical
 * tree; keeps it canonical. */
void codec_default(struct json *tree, struct arena *a, const struct kind *kind);
/* The same for a type that is no kind of its own (TokenRequest spec, Scale...): no-op where nothing is known. */
const struct schema_type *codec_type(const char *type_id);           /* "autoscaling.v1.Scale"; NULL: unknown */

#endif
