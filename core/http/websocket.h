/* core/http/websocket.h -- WebSocket (RFC 6455) over an upgraded connection: frames, messages,
 * close.
 *
 * The server side of kubectl exec, attach, port-forward (v5.channel.k8s.io, v4.channel.k8s.io,
 * ...), and the client side for relays and tests. The first byte of a message (the channel) is the
 * user's.
 */
#ifndef CORE_HTTP_WEBSOCKET_H
#define CORE_HTTP_WEBSOCKET_H

#include "core/http/http.h"

#define WEBSOCKET_MESSAGE_MAX (4u << 20)     /* reassembled; past it 1009 */
#define WEBSOCKET_FRAGMENTS_MAX 1024
/* ours, when the peer is silent; two unanswered: gone */
#define WEBSOCKET_PING_MS 30000
#define WEBSOCKET_ACCEPT_BYTES 29
#define WEBSOCKET_PROTOCOL_BYTES 64

enum websocket_op {
    WEBSOCKET_TEXT = 1,
    WEBSOCKET_BINARY = 2,
    WEBSOCKET_CLOSE = 8,
    WEBSOCKET_PING = 9,
    WEBSOCKET_PONG = 10
};

struct websocket;

struct websocket_ops {
    /* A whole message. */
    void (*on_message)(struct websocket *w, enum websocket_op op, const char *p, size_t len,
                       void *ctx);
    void (*on_drain)(struct websocket *w, void *ctx);                    /* may be NULL */
    /* Once: closed by either side or broken. code: RFC 6455 7.4, 1006 when it just went. Free it
     * here or later. */
    void (*on_close)(struct websocket *w, int code, const char *reason, void *ctx);
    void *ctx;
};

/* Is this a WebSocket handshake? Then `protocol` is the first of `protocols` (NULL-terminated, ours
 * by preference) that the client offers, or "". ERR_INVALID: bad handshake (answer 400);
 * ERR_UNSUPPORTED: none matches (403). */
bool websocket_is_upgrade(const struct http_req *r);
int websocket_negotiate(const struct http_req *r, const char *const *protocols,
                        char protocol[WEBSOCKET_PROTOCOL_BYTES], struct err *err);
/* Answers 101 and takes over. On -1 the request is still the handler's. */
int websocket_accept(struct websocket **out, struct http_req *r, const char *protocol,
                     const struct websocket_ops *ops, struct err *err);
/* Over a raw stream that was upgraded by hand; client: masks what it sends. Takes the raw. */
struct websocket *websocket_new(struct http_raw *raw, struct loop *l, bool client,
                                const struct websocket_ops *ops);
struct websocket *websocket_free(struct websocket *w);                   /* no callback after */
CLEANUP_DEFINE(struct websocket, websocket_free)
/* queued bytes */
size_t websocket_send(struct websocket *w, enum websocket_op op, const void *p, size_t len);
/* The same with a channel byte in front. */
size_t websocket_send_channel(struct websocket *w, unsigned char channel, const void *p,
                              size_t len);
void websocket_pause(struct websocket *w, bool paused);
size_t websocket_queued(const struct websocket *w);
/* then on_close when the peer agrees, or 5 s */
void websocket_close(struct websocket *w, int code, const char *reason);

void websocket_accept_key(char out[WEBSOCKET_ACCEPT_BYTES], const char *key);

/* The pure parser, for tests. */
struct websocket_frame {
    bool fin, masked;
    unsigned op;
    uint64_t len;
    unsigned head;
    unsigned char mask[4];
};
/* 1: a whole frame head (`head` bytes), 0: more bytes needed, -1: protocol error. */
int websocket_parse(struct websocket_frame *out, const char *p, size_t len, struct err *err);

#endif
