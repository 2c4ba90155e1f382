/* core/http/spdy_frame.h -- private: SPDY/3.1 header blocks: name and value pairs, compressed with
 * one zlib stream for each direction that begins with the protocol's dictionary. */
#ifndef CORE_HTTP_SPDY_FRAME_H
#define CORE_HTTP_SPDY_FRAME_H

#include <zlib.h>

#include "core/http/spdy.h"

#define SPDY_PAIRS_MAX 64

struct spdy_codec { z_stream in, out; bool has_in, has_out; };

void spdy_codec_deinit(struct spdy_codec *c);
/* Names come lower-case; several values of one name (separated by a zero byte) become several
 * fields. *text holds the texts. */
int spdy_codec_read(struct spdy_codec *c, struct buf *text, struct http_field **fields, unsigned *n,
                    struct slice block, struct err *err);
int spdy_codec_write(struct spdy_codec *c, struct buf *out, const struct http_field *fields,
                     unsigned n, struct err *err);

#endif
