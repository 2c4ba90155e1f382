/* core/base/b64.h -- base64 (RFC 4648): standard with padding, and the URL alphabet without, for
 * JWT. */
#ifndef CORE_BASE_B64_H
#define CORE_BASE_B64_H

#include "core/base/str.h"

enum b64_kind { B64_STD, B64_URL };

void b64_encode(struct buf *out, enum b64_kind kind, const void *p, size_t len);
/* A bad length or alphabet is ERR_INVALID (the offset in the text, as Go words it: "illegal base64
 * data at input byte N"). As Go does, B64_STD skips newlines and lets trailing bits be; B64_URL is
 * strict, so that a token has one form only. On failure `out` is as it was. */
int b64_decode(struct buf *out, enum b64_kind kind, const char *text, size_t len, struct err *err);

#endif
