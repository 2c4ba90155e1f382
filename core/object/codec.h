/* core/object/codec.h -- bytes from a client -> canonical tree, driven by the schema tables.
 *
 * Canonical means what upstream's decode into Go types, store and encode again would give: fields
 * in declaration order, unknown ones gone, omitempty zero values gone, maps sorted by key,
 * quantities canonical, times RFC 3339. Fields without omitempty are always there: "" 0 false {},
 * and null for an unset time, list or map (`"lastTransitionTime":null`, `"rules":null`); no other
 * null is left. metadata.creationTimestamp is left out while unset. All trees the server passes on
 * are canonical.
 */
#ifndef CORE_OBJECT_CODEC_H
#define CORE_OBJECT_CODEC_H

#include "core/object/kind.h"
#include "core/base/json.h"

enum codec_media { MEDIA_JSON, MEDIA_YAML, MEDIA_PATCH };   /* patch: JSON, see codec_parse */
enum codec_strict { STRICT_IGNORE, STRICT_WARN, STRICT_STRICT };     /* fieldValidation */

/* Texts of the warnings or, for strict, of the errors: `unknown field "spec.foo"`, `duplicate field
 * "x"`. */
#define CODEC_DEPTH_MAX 500              /* nesting of structs; only schemas in CRDs come near */
#define CODEC_NOTES_MAX 100              /* further ones are dropped, as upstream does */
struct codec_notes { const char **v; unsigned len, cap; struct arena *a; };

/* Syntax only: bytes -> raw tree; duplicates are noted. In JSON they merge, as Go decodes into
 * structs; in YAML and patches the last one wins. Errors: ERR_INVALID with upstream's meaning. */
int codec_parse(struct json **out, struct arena *a, enum codec_media media, struct slice bytes,
                struct codec_notes *notes, struct err *err);
/* Raw tree -> canonical tree of `type` (input is left as it was; out shares its texts, so it must
 * outlive out). Unknown fields are noted with their path. notes may be NULL.
 * ERR_INVALID: `json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type
 * []v1.Container`. */
int codec_canonical(struct json **out, struct arena *a, const struct schema_type *type,
                    const struct json *raw, struct codec_notes *notes, struct err *err);
/* Adds the defaults that upstream sets for this kind (constants of the tables and coded ones). On a
 * canonical tree; keeps it canonical. */
void codec_default(struct json *tree, struct arena *a, const struct kind *kind);
/* The same for a type that is no kind of its own (TokenRequest spec, Scale...): no-op where nothing
 * is known. */
void codec_default_type(struct json *tree, struct arena *a, const struct schema_type *type);
/* A canonical tree of one version of an object -> of another (to->storage, or back).
 * ERR_UNSUPPORTED when they are not versions of one object. out shares texts with tree. */
int codec_convert(struct json **out, struct arena *a, const struct json *tree,
                  const struct kind *from, const struct kind *to, struct err *err);
/* All notes as the one text behind "strict decoding error: ". Notes about YAML (`line 1: key "x"
 * already set in map`) are one item of it, as upstream's. In the arena of notes. */
const char *codec_notes_text(const struct codec_notes *notes);
/* Adds a note, unless there are CODEC_NOTES_MAX. */
void codec_note(struct codec_notes *notes, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* "autoscaling.v1.Scale"; NULL: unknown */
const struct schema_type *codec_type(const char *type_id);

#endif
