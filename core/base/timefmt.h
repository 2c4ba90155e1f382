/* core/base/timefmt.h -- RFC 3339 times, Go durations, and kubectl's short ages. */
#ifndef CORE_BASE_TIMEFMT_H
#define CORE_BASE_TIMEFMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

#define TIMEFMT_BYTES 40

void timefmt_rfc3339(char out[TIMEFMT_BYTES], int64_t unix_s);   /* 2026-11-23T10:00:00Z */
void timefmt_micro(char out[TIMEFMT_BYTES], int64_t unix_us);    /* 2026-11-23T10:00:00.000000Z */
void timefmt_nano(char out[TIMEFMT_BYTES], int64_t unix_ns);     /* CRI log form, nine digits */
/* Any RFC 3339 time with zone and fraction; digits past microseconds are dropped. */
int timefmt_parse(const char *text, int64_t *out_us, struct err *err);
/* "1h0m0s" and friends; nanoseconds. */
int timefmt_parse_duration(const char *text, int64_t *out_ns, struct err *err);
void timefmt_duration(char out[TIMEFMT_BYTES], int64_t ns);      /* Go's Duration.String */
void timefmt_age(char out[TIMEFMT_BYTES], int64_t seconds);      /* "5d3h", "4m10s", "<invalid>" */

#endif
