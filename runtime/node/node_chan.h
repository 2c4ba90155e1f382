/* runtime/node/node_chan.h -- the streams of one exec or attach: stdin, stdout, stderr, status,
 * resize, over WebSocket (v5, v4.channel.k8s.io) or SPDY (v4 .. v1). Private to node_serve*.c. Loop
 * only.
 *
 *   accept --all streams are there--> on_open --on_data ...--> node_chan_finish      frees itself
 *          --the client goes------------------> on_close --> node_chan_free
 */
#ifndef RUNTIME_NODE_NODE_CHAN_H
#define RUNTIME_NODE_NODE_CHAN_H

#include "core/http/http.h"

#define NODE_CHAN_UNREAD_MAX (128u << 10)        /* of stdin, given on and not yet consumed */
#define NODE_CHAN_OPEN_MS 30000                  /* for the client to open its streams */

enum node_chan_stream { NODE_CHAN_IN, NODE_CHAN_OUT, NODE_CHAN_ERR, NODE_CHAN_STATUS,
                        NODE_CHAN_RESIZE,
                        NODE_CHAN_MAX };

struct node_chan;

struct node_chan_ops {
    void (*on_open)(void *ctx);
    /* stdin; then node_chan_consumed */
    void (*on_data)(void *ctx, const char *p, size_t len);
    void (*on_eof)(void *ctx);                                   /* stdin ended */
    void (*on_resize)(void *ctx, uint16_t rows, uint16_t cols);
    void (*on_drain)(void *ctx);                                 /* what was written is sent */
    void (*on_close)(void *ctx);                                 /* once; the client is gone */
    void *ctx;
};

/* wanted: bit per stream the client asked for in the query (status is always there). On -1 the
 * request is still the caller's: ERR_INVALID 400, ERR_UNSUPPORTED 403. */
int node_chan_accept(struct node_chan **out, struct http_req *r, unsigned wanted,
                     const struct node_chan_ops *ops,
                     struct err *err);
/* queued */
size_t node_chan_write(struct node_chan *c, enum node_chan_stream s, const char *p, size_t len);
size_t node_chan_queued(const struct node_chan *c);
void node_chan_consumed(struct node_chan *c, size_t len);
/* status: JSON of a Status. Sends it behind all that was written, and ends. No callback after. */
void node_chan_finish(struct node_chan *c, const char *status);
struct node_chan *node_chan_free(struct node_chan *c);           /* breaks off. NULL is fine */
CLEANUP_DEFINE(struct node_chan, node_chan_free)

/* "{"Width":80,"Height":24}"; false when it is none. */
bool node_chan_size(const char *p, size_t len, uint16_t *rows, uint16_t *cols);
/* The Status of a process that ended: code 0 is Success. */
void node_chan_status_exit(struct buf *out, int code);
void node_chan_status_error(struct buf *out, const char *message);

#endif
