/* core/object/apply_impl.h -- what apply_*.c share; for this room only. */
#ifndef CORE_OBJECT_APPLY_IMPL_H
#define CORE_OBJECT_APPLY_IMPL_H

#include "core/object/apply.h"
#include "core/object/fieldset.h"
#include "core/object/schema.h"

/* Where in the types a value is: a struct (f NULL), the value of a field, or an element of it. */
struct apply_spot { const struct schema_type *t; const struct schema_field *f; bool element; };

enum apply_class { APPLY_LEAF, APPLY_STRUCT, APPLY_MAP, APPLY_LIST };
/* How values at this spot are merged; lists that are no sets and have no keys are leaves. */
enum apply_class apply_class_of(struct apply_spot s);
/* Of the struct's field or the map's key; f is NULL when the struct has no such field. */
struct apply_spot apply_below(struct apply_spot s, const char *key, size_t len);
struct apply_spot apply_item(struct apply_spot s);
/* "k:{...}" or "v:..." of an item of a list; NULL with err when it has no key. */
const char *apply_item_key(struct arena *a, struct apply_spot list, const struct json *item);

/* All fields that v sets. */
struct json *apply_fields(struct arena *a, struct apply_spot s, const struct json *v);
struct apply_delta { struct json *changed, *removed; };
/* changed: added or modified. */
struct apply_delta apply_compare(struct arena *a, struct apply_spot s, const struct json *from,
                                 const struct json *to);
struct json *apply_merge(struct arena *a, struct apply_spot s, const struct json *live,
                         const struct json *config);
/* v without the members of the set; NULL when nothing is left. */
struct json *apply_remove(struct arena *a, struct apply_spot s, const struct json *v,
                          const struct json *set);
/* Fields of structs that have members below them become members themselves. */
struct json *apply_named(struct arena *a, struct apply_spot s, const struct json *set);
/* Whether a client's object fits the types, in upstream's words. */
int apply_check(struct arena *a, struct apply_spot s, const struct json *v, struct err *err);
/* Each member's path as errors print it: `.spec.containers[name="c"].image`. */
void apply_paths(struct arena *a, const struct json *set, const char *prefix,
                 void (*each)(void *ctx, const char *path), void *ctx);

#endif
