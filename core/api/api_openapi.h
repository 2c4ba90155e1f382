/* core/api/api_openapi.h -- inside the room: one OpenAPI document being written.
 *
 * Documents are written straight to text, on a job thread, each time they are asked for: that takes
 * milliseconds, and an idle server keeps none of them.
 */
#ifndef CORE_API_API_OPENAPI_H
#define CORE_API_API_OPENAPI_H

#include "core/base/str.h"
#include "core/object/kind.h"
#include "core/object/schema.h"

#define API_OPENAPI_TYPES_MAX 1024

struct api_openapi_doc {
    struct buf *b;
    bool v2;
    const char *group, *version;             /* of a document about one; else NULL */
    /* to be defined, in the order they were met */
    const struct schema_type *types[API_OPENAPI_TYPES_MAX];
    unsigned n_types;
    unsigned scalars;                        /* bits by enum schema_base */
};

/* JSON as it goes: a comma is written where one is due. */
void api_openapi_key(struct api_openapi_doc *d, const char *key);
void api_openapi_text(struct api_openapi_doc *d, const char *s);
void api_openapi_member(struct api_openapi_doc *d, const char *key, const char *text);
/* key NULL: none */
void api_openapi_open(struct api_openapi_doc *d, const char *key, char bracket);
void api_openapi_close(struct api_openapi_doc *d, char bracket);

/* api_openapi_types.c: {"$ref": ...} to a type, which is then defined too. */
void api_openapi_ref(struct api_openapi_doc *d, const struct schema_type *t);
/* The members of "definitions" or "schemas": all types met, and what they lead to. */
void api_openapi_define(struct api_openapi_doc *d);
const struct schema_type *api_openapi_type_of(const char *gvk);          /* "apps/v1/Deployment" */

/* api_openapi_paths.c: members of "paths". */
void api_openapi_paths(struct api_openapi_doc *d, const char *group, const char *version);
/* A path with one GET that answers this type. */
struct api_openapi_answer { const char *path, *id, *tag, *type_id; bool json_only; };
void api_openapi_get(struct api_openapi_doc *d, const struct api_openapi_answer *what);
/* "RbacAuthorization" of "rbac.authorization.k8s.io", "Core" of "". */
void api_openapi_group_title(char *out, size_t out_bytes, const char *group);

#endif
