/* core/http/http_raw.h -- private: how the server and the client make a raw stream. */
#ifndef CORE_HTTP_HTTP_RAW_H
#define CORE_HTTP_HTTP_RAW_H

#include "core/http/http.h"
#include "core/http/http_io.h"

/* Takes over the socket and what was read ahead on it (`in` is emptied). */
struct http_raw *http_raw_take(struct http_io *io, struct buf *in, const struct http_raw_ops *ops);
struct loop *http_raw_loop(const struct http_raw *w);

#endif
