/* core/object/table_impl.h -- what the table_*.c files share; for this room only. */
#ifndef CORE_OBJECT_TABLE_IMPL_H
#define CORE_OBJECT_TABLE_IMPL_H

#include "core/object/table.h"

/* One row being written. */
struct table_row {
    struct buf *b;
    struct arena *a;
    const struct json *obj;
    int64_t now_s;
    bool started;
};

void table_text(struct table_row *r, const char *s);
void table_int(struct table_row *r, int64_t v);
/* The text, or `otherwise` when it is missing or empty. */
void table_or(struct table_row *r, const char *s, const char *otherwise);
/* How long ago a time in the object was: a short age, "<unknown>" when it is not set. */
const char *table_since(const struct table_row *r, const char *time);
void table_age(struct table_row *r);
/* A member of every item of a list, joined by commas. */
const char *table_join(const struct table_row *r, const struct json *list, const char *member);

void table_pod_cells(struct table_row *r);

#endif
