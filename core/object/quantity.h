/* core/object/quantity.h -- resource.Quantity: "100m", "1Gi", "1e3"; exact arithmetic, canonical
 * text. */
#ifndef CORE_OBJECT_QUANTITY_H
#define CORE_OBJECT_QUANTITY_H

#include <stdint.h>

#include "core/base/err.h"
#include "core/base/str.h"

#define QUANTITY_BYTES 64

/* Canonical text as upstream prints it after parsing ("1000m" -> "1", "1024Mi" -> "1Gi").
 * ERR_INVALID: "quantities must match the regular expression ...". */
int quantity_canonical(char out[QUANTITY_BYTES], const char *text, size_t len, struct err *err);
/* Value and thousandths, rounded up, saturating. -1 when it is no quantity. */
int quantity_value(const char *text, int64_t *out, struct err *err);
int quantity_milli(const char *text, int64_t *out, struct err *err);
/* Canonical text after rounding up to thousandths, as upstream does with every value of a resource
 * list. */
int quantity_round_milli(char out[QUANTITY_BYTES], const char *text, struct err *err);
int quantity_cmp(const char *a, const char *b);          /* -1, 0, 1; both must be valid */
void quantity_from_milli(char out[QUANTITY_BYTES], int64_t milli);      /* decimal SI */
void quantity_from_bytes(char out[QUANTITY_BYTES], int64_t bytes);      /* binary SI */

#endif
