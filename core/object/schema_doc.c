/* core/object/schema_doc.c -- finding a line. */
#include "core/object/schema_doc.h"

#include <stdio.h>
#include <string.h>

const char *schema_doc(const struct schema_type *t, const struct schema_field *field)
{
    const struct schema_embed *e = field ? schema_field_embed(field) : NULL;
    const char *id = schema_type_id(e ? schema_embed_type(e) : t);
    unsigned low = 0, high = schema_doc_len;
    char key[160];

    snprintf(key, sizeof(key), "%s%s%s", id, field ? "." : "",
             field ? schema_field_name(field) : "");
    while (low < high) {
        unsigned mid = (low + high) / 2;
        const char *row = schema_doc_pool + schema_doc_at[mid];
        int order = strcmp(key, row);

        if (order == 0)
            return row + strlen(row) + 1;
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}
