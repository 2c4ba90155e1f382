/* core/base/b64.h -- base64 (RFC 4648): standard with padding, and the URL alphabet without, for
 * JWT. */
#ifndef CORE_BASE_B64_H
#define CORE_BASE_B64_H

#include "core/base/str.h"

enum b64_kind { B64_STD, B64_URL };

void b64_encode(struct buf *out, enum b64_kind kind, const void *p, size_t len);
/* Strict: bad length, alphabet or trailing bits are ERR_INVALID (the offset in the text, as Go
 * words it: "illegal base64 data at input byte N"). Newlines are skipped in B64_STD, as Go does.
 * On failure `out` is as it was. */
int b64_decode(struct buf *out, enum b64_kind kind, const char *text, size_t len, struct err *err);

#endif
