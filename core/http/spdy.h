/* core/http/spdy.h -- SPDY/3.1 over an upgraded connection, server side: what kubectl and other
 * clients use for exec, attach and port-forward where WebSocket is not offered.
 *
 * Each stream is opened by the client with headers ("streamtype: stdin"), answered by spdy_reply,
 * and carries bytes both ways. Flow control windows are kept for the reader: spdy_stream_consumed()
 * gives credit.
 */
#ifndef CORE_HTTP_SPDY_H
#define CORE_HTTP_SPDY_H

#include "core/http/http.h"

#define SPDY_STREAMS_MAX 256                 /* at once */
#define SPDY_HEADERS_MAX (16u << 10)         /* decompressed */
#define SPDY_FRAME_MAX (64u << 10)           /* of a control frame */
#define SPDY_DATA_MAX (1u << 20)             /* of a data frame, handed on in pieces */
#define SPDY_PROTOCOL "SPDY/3.1"

struct spdy;
struct spdy_stream;

struct spdy_ops {
    /* A new stream; answer with spdy_reply or spdy_reset now or later. */
    void (*on_stream)(struct spdy *s, struct spdy_stream *st, void *ctx);
    void (*on_data)(struct spdy_stream *st, const char *p, size_t len, void *ctx);
    void (*on_fin)(struct spdy_stream *st, void *ctx);       /* the peer will send no more */
    /* by the peer; the stream is freed after */
    void (*on_reset)(struct spdy_stream *st, void *ctx);
    /* its queue is empty again; may be NULL */
    void (*on_drain)(struct spdy_stream *st, void *ctx);
    /* once; streams are all gone. Free it here or later */
    void (*on_close)(struct spdy *s, const struct err *why, void *ctx);
    void *ctx;
};

bool spdy_is_upgrade(const struct http_req *r);
/* Answers 101 (`protocol`: X-Stream-Protocol-Version to agree on, or NULL) and takes over. */
int spdy_accept(struct spdy **out, struct http_req *r, const char *protocol,
                const struct spdy_ops *ops, struct err *err);
/* takes the raw */
struct spdy *spdy_new(struct http_raw *raw, struct loop *l, const struct spdy_ops *ops);
struct spdy *spdy_free(struct spdy *s);      /* no callback after */
CLEANUP_DEFINE(struct spdy, spdy_free)
/* GOAWAY; frees itself once all is written: no callback after */
void spdy_end(struct spdy *s);

uint32_t spdy_stream_id(const struct spdy_stream *st);
/* lower-case; or NULL */
const char *spdy_stream_field(const struct spdy_stream *st, const char *name);
void *spdy_stream_user(const struct spdy_stream *st);
void spdy_stream_set_user(struct spdy_stream *st, void *user);
int spdy_reply(struct spdy_stream *st);      /* SYN_REPLY with no headers */
/* copies; bytes queued on this stream */
size_t spdy_write(struct spdy_stream *st, const void *p, size_t len);
size_t spdy_queued(const struct spdy_stream *st);
/* half-close after what is queued; freed once both sides have */
void spdy_fin(struct spdy_stream *st);
void spdy_reset(struct spdy_stream *st);     /* freed */
/* bytes of on_data dealt with */
void spdy_consumed(struct spdy_stream *st, size_t len);

#endif
