/* core/object/schema.h -- the types of the API and their fields, as constant tables.
 *
 * Generated from core/object/schema (the notation is explained in generate.lua there). All that
 * walks an object by type reads this: decoding, defaults, validation, strategic merge, server-side
 * apply, OpenAPI, protobuf. Fields come in the order in which they are written as JSON; embedded
 * types are already flattened into the outer one. Everything is constant and shared by all threads.
 * Rows hold offsets, not pointers: use the functions.
 */
#ifndef CORE_OBJECT_SCHEMA_H
#define CORE_OBJECT_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* enum schema_flag: SCHEMA_POINTER (optional in Go), SCHEMA_ELEM_POINTER (list of pointers),
 * SCHEMA_ALWAYS (no omitempty), SCHEMA_OMITZERO, SCHEMA_REQUIRED (in OpenAPI), SCHEMA_OPTIONAL
 * (marked so), SCHEMA_ZERO_DEFAULT (OpenAPI's default is the zero value), SCHEMA_HAS_DEFAULT,
 * SCHEMA_HAS_SET, SCHEMA_ENUM_CLOSED (no other value is valid), SCHEMA_MAP_ATOMIC,
 * SCHEMA_PATCH_MERGE, SCHEMA_PATCH_REPLACE, SCHEMA_PATCH_RETAIN_KEYS, SCHEMA_NULLABLE,
 * SCHEMA_IMMUTABLE (by a declarative rule), SCHEMA_DISCRIMINATOR (of a union), SCHEMA_WRAPPED
 * (protobuf). */
#include "gen/schema_flags.h"

enum schema_base {               /* of a value, or of the elements of a list or map */
    SCHEMA_STRING, SCHEMA_BOOL, SCHEMA_INT32, SCHEMA_INT64, SCHEMA_DOUBLE,
    SCHEMA_BYTES /* base64 */,
    SCHEMA_QUANTITY, SCHEMA_INT_OR_STRING, SCHEMA_TIME, SCHEMA_MICRO_TIME, SCHEMA_DURATION,
    SCHEMA_RAW /* any object */, SCHEMA_FIELDS_V1 /* of managedFields */,
    SCHEMA_JSON /* any value */, SCHEMA_ANY,
    SCHEMA_STRUCT,
    SCHEMA_BASE_MAX
};
enum schema_shape {
    SCHEMA_ONE, SCHEMA_LIST, SCHEMA_MAP /* string keys */, SCHEMA_MAP_OF_LISTS,
    SCHEMA_SHAPE_MAX
};
enum schema_list_type {          /* x-kubernetes-list-type; none means atomic */
    SCHEMA_LIST_NONE, SCHEMA_LIST_ATOMIC, SCHEMA_LIST_SET, SCHEMA_LIST_MAP,
    SCHEMA_LIST_TYPE_MAX
};

/* Readable members have no underscore at their end. */
struct schema_field {
    uint32_t name_;
    uint16_t type_, extra_;
    uint32_t flags;              /* enum schema_flag */
    uint8_t name_len;
    uint8_t hash_;
    /* protobuf; inside the embedding message when there is one; 0: none */
    uint8_t number;
    uint8_t base;                /* enum schema_base */
    uint8_t shape;               /* enum schema_shape */
    uint8_t list_type;           /* enum schema_list_type */
    uint8_t embed_;
};

struct schema_type;

unsigned schema_type_count(void);
const struct schema_type *schema_type_at(unsigned i);
/* By id: "core.v1.PodSpec", "meta.v1.ObjectMeta". NULL when unknown. */
const struct schema_type *schema_type_by_id(const char *id);
const char *schema_type_id(const struct schema_type *t);
const char *schema_type_name(const struct schema_type *t);       /* "PodSpec" */
/* "v1.PodSpec", as decode errors print it */
const char *schema_type_go(const struct schema_type *t);
const char *schema_type_proto(const struct schema_type *t);      /* message name, or NULL */
/* definition name, or NULL: not published */
const char *schema_type_openapi(const struct schema_type *t);
bool schema_type_is_atomic(const struct schema_type *t);         /* x-kubernetes-map-type: atomic */
/* a List kind: metadata is ListMeta */
bool schema_type_is_list(const struct schema_type *t);
bool schema_type_is_object(const struct schema_type *t);         /* a kind with ObjectMeta */
/* Its JSON form is that of the one field that is set: an object is the struct field, an array the
 * list... */
bool schema_type_is_either(const struct schema_type *t);
bool schema_type_has_defaults(const struct schema_type *t);      /* in it or below it, by table */
/* "v1/Pod", "apps/v1/Deployment"; "*" for types registered in every group; NULL when i is past the
 * end. */
const char *schema_type_gvk(const struct schema_type *t, unsigned i);
/* x-kubernetes-unions as JSON text, or NULL. */
const char *schema_type_unions(const struct schema_type *t);

/* The fields in JSON order. */
unsigned schema_fields(const struct schema_type *t, const struct schema_field **out);
/* NULL when it has none of this name. */
const struct schema_field *schema_field(const struct schema_type *t, const char *name, size_t len);
/* Walks names separated by dots through structs, lists and maps alike: "spec.containers.ports".
 * NULL: no such. */
const struct schema_field *schema_field_path(const struct schema_type *t, const char *path);

const char *schema_field_name(const struct schema_field *f);
/* The type of the value or of its elements when base is SCHEMA_STRUCT, else NULL. */
const struct schema_type *schema_field_type(const struct schema_field *f);
/* strategic merge; NULL: none */
const char *schema_field_merge_key(const struct schema_field *f);
/* list map keys; NULL past the end */
const char *schema_field_key(const struct schema_field *f, unsigned i);
/* Values of enum (SCHEMA_ENUM_CLOSED) or well-known ones; NULL past the end. */
const char *schema_field_value(const struct schema_field *f, unsigned i);
/* as in OpenAPI: SCHEMA_HAS_DEFAULT; else NULL */
const char *schema_field_default(const struct schema_field *f);
/* the server's own: SCHEMA_HAS_SET; else NULL */
const char *schema_field_set(const struct schema_field *f);
/* declarative tags; NULL past the end */
const char *schema_field_rule(const struct schema_field *f, unsigned i);
/* feature gates; NULL past the end */
const char *schema_field_gate(const struct schema_field *f, unsigned i);
const char *schema_field_format(const struct schema_field *f);   /* or NULL */
const char *schema_field_union(const struct schema_field *f);    /* the one-of group, or NULL */
/* protobuf name, where not the JSON name */
const char *schema_field_proto(const struct schema_field *f);
/* The Go type of the whole value ("[]v1.Container", "map[string]string") or of one element, for
 * errors. */
void schema_field_go(const struct schema_field *f, bool element, char *out, size_t out_bytes);

/* A field that came with an embedded type: its row, or NULL for an own field. Embedded types nest:
 * parent. */
struct schema_embed {
    uint16_t type_;
    uint8_t number;              /* protobuf number of the embedding message field; 0: none */
    uint8_t parent_;
};
const struct schema_embed *schema_field_embed(const struct schema_field *f);
const struct schema_embed *schema_embed_parent(const struct schema_embed *e);   /* or NULL */
const struct schema_type *schema_embed_type(const struct schema_embed *e);

/* API groups in the server's order, for discovery. */
unsigned schema_group_count(void);
const char *schema_group_name(unsigned i);                       /* "" for core */
/* by preference; NULL past the end */
const char *schema_group_version(unsigned i, unsigned v);
const char *schema_group_preferred(unsigned i);

#endif
