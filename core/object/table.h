/* core/object/table.h -- Table output (meta.k8s.io/v1): columns and cells per kind, as kubectl get
 * shows them. */
#ifndef CORE_OBJECT_TABLE_H
#define CORE_OBJECT_TABLE_H

#include "core/base/env.h"
#include "core/object/object.h"

/* The columnDefinitions array of a kind, JSON text. Kinds without columns of their own get Name and
 * Created At. */
void table_columns(struct buf *b, const struct kind *kind);
/* The cells array of one object, JSON text. now_s: wall clock, for ages. */
void table_cells(struct buf *b, const struct object *o, int64_t now_s);
/* The conditions array of its row (a finished pod is Completed), JSON text; false when it has none.
 */
bool table_conditions(struct buf *b, const struct object *o);

#endif
