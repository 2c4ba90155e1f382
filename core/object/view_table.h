/* core/object/view_table.h -- the tables behind typed views and their decoder. Inside core/object
 * only. */
#ifndef CORE_OBJECT_VIEW_TABLE_H
#define CORE_OBJECT_VIEW_TABLE_H

#include "core/object/view.h"

enum view_op {
    VIEW_TEXT, VIEW_TEXT_POINTER, VIEW_BOOL, VIEW_INT32, VIEW_INT64, VIEW_DOUBLE, VIEW_BYTES,
    VIEW_INT_OR_STRING, VIEW_TIME, VIEW_MICRO_TIME, VIEW_MAP, VIEW_BYTES_MAP, VIEW_TEXTS, VIEW_INTS,
    VIEW_STRUCT,
    VIEW_STRUCT_POINTER, VIEW_STRUCTS, VIEW_JSON,
    VIEW_OP_MAX
};

struct view_field {
    uint16_t row;                /* of schema_field_rows: the name */
    uint8_t op;                  /* enum view_op */
    uint16_t at;                 /* offset of the member */
    uint16_t aux;                /* offset of its count or has_ flag; 0: none */
    uint16_t sub;                /* view_structs row of a struct */
};

struct view_struct {
    uint16_t first;              /* of view_fields */
    uint16_t n_fields;
    uint16_t bytes;
};

extern const struct view_field view_fields[];
extern const struct view_struct view_structs[];
extern const uint16_t view_of_kind[KIND_ID_MAX];         /* view_structs row; 0: no view */

#define VIEW_STRUCT_BYTES_MAX 4096

/* A view in one piece of memory, freed by view_free. NULL when the kind has none. */
struct view *view_new(const struct kind *kind, const struct json *tree);
struct view *view_free(struct view *v);                  /* NULL is fine */
const void *view_root(const struct view *v);

#endif
