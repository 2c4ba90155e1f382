/* core/object/schema_doc.h -- one line about a type or field, for OpenAPI and kubectl explain.
 *
 * From core/object/schema/docs.txt. Apart from schema.h: nothing but OpenAPI reads it.
 */
#ifndef CORE_OBJECT_SCHEMA_DOC_H
#define CORE_OBJECT_SCHEMA_DOC_H

#include "core/object/schema.h"

/* Of a field of this type, or (field NULL) of the type itself. NULL: nothing is written. */
const char *schema_doc(const struct schema_type *t, const struct schema_field *field);

/* The generated table: "core.v1.Pod.spec\0text\0", sorted, and where each begins. */
extern const char schema_doc_pool[];
extern const uint16_t schema_doc_at[];
extern const unsigned schema_doc_len;

#endif
