/* core/object/codec_scalar.h -- single values whose JSON form has a syntax of its own: times,
 * durations, quantities, base64. Inside core/object only; codec.c is the user. */
#ifndef CORE_OBJECT_CODEC_SCALAR_H
#define CORE_OBJECT_CODEC_SCALAR_H

#include "core/base/json.h"

/* RFC 3339 in Go's words and with Go's errors: `parsing time "x" as "2006-...": cannot parse "x" as
 * "2006"`. micro: exactly six digits of a second are asked for. out: microseconds since 1970. */
int codec_scalar_time(const char *text, size_t len, bool micro, int64_t *out_us, struct err *err);
/* year 1: Go's zero time, printed as null */
#define CODEC_SCALAR_ZERO_TIME_S (-62135596800)

/* All four take a raw node that is not null. -1 with `mismatch` set: the JSON type is wrong and the
 * caller words the error; else err is filled. */
int codec_scalar_when(struct json **out, struct arena *a, const struct json *raw, bool micro,
                      bool *mismatch, struct err *err);
int codec_scalar_duration(struct json **out, struct arena *a, const struct json *raw,
                          bool *mismatch, struct err *err);
int codec_scalar_quantity(struct json **out, struct arena *a, const struct json *raw,
                          struct err *err);
int codec_scalar_bytes(struct json **out, struct arena *a, const struct json *raw, bool *mismatch,
                       struct err *err);

#endif
