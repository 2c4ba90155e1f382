/* tunnel_frame.h -- inside the room: the frames on a tunnel's connection. Pure.
 *
 *   type (1)  zero (1)  length of payload (2)  stream (4)  payload        big endian
 *
 *   OPEN     server: stream goes to port (2), host (text)
 *   DATA     1 to TUNNEL_PAYLOAD_MAX bytes of the stream
 *   WINDOW   so many more bytes (4) may be sent on the stream
 *   END      no more DATA will come; the other direction goes on
 *   RESET    the stream is broken: why (text)
 *   PING     stream 0; answered by PONG
 *   BYE      stream 0; the connection ends: why (text)
 */
#ifndef NET_TUNNEL_TUNNEL_FRAME_H
#define NET_TUNNEL_TUNNEL_FRAME_H

#include <stdint.h>

#include "core/base/err.h"
#include "core/base/str.h"

#define TUNNEL_HEAD_BYTES 8
#define TUNNEL_PAYLOAD_MAX 16384
#define TUNNEL_HOST_MAX 63               /* an address as text */
#define TUNNEL_TEXT_MAX 200              /* of RESET and BYE */

enum tunnel_type {
    TUNNEL_FRAME_OPEN = 1, TUNNEL_FRAME_DATA, TUNNEL_FRAME_WINDOW, TUNNEL_FRAME_END,
    TUNNEL_FRAME_RESET, TUNNEL_FRAME_PING, TUNNEL_FRAME_PONG, TUNNEL_FRAME_BYE,
    TUNNEL_FRAME_MAX
};

struct tunnel_frame {
    enum tunnel_type type;
    uint32_t stream;
    struct slice payload;                /* borrowed */
    /* read from the payload */
    uint16_t port;                       /* OPEN */
    char host[TUNNEL_HOST_MAX + 1];
    uint32_t credit;                     /* WINDOW: not 0 */
};

/* The first frame of these bytes: how many it takes, 0 when it is not complete, -1 (ERR_INVALID)
 * for what no peer may send. */
int tunnel_frame_read(struct tunnel_frame *out, struct slice bytes, struct err *err);

/* The frame's head and payload, behind what is in `out`. Too long texts are cut. */
void tunnel_frame_write(struct buf *out, enum tunnel_type type, uint32_t stream,
                        struct slice payload);
void tunnel_frame_write_open(struct buf *out, uint32_t stream, const char *host, uint16_t port);
void tunnel_frame_write_window(struct buf *out, uint32_t stream, uint32_t credit);

#endif
