/* tunnel_mux.h -- inside the room: one end of a tunnel's connection, and its streams.
 *
 *   a stream at the server:  OPEN sent --> both ways --> each direction ENDs --> gone
 *   at the agent:            OPEN --allow, connect--> both ways ...     (DATA waits meanwhile)
 *   at both:                 any --RESET, either side--> gone
 *
 * A stream's slot is its id modulo TUNNEL_STREAMS_MAX; the ids of a slot differ, so that frames on
 * their way to a stream that is gone are told from those of its successor.
 */
#ifndef NET_TUNNEL_TUNNEL_MUX_H
#define NET_TUNNEL_TUNNEL_MUX_H

#include "net/tunnel/tunnel.h"

struct tunnel_mux;

struct tunnel_mux_opts {
    struct loop *loop;
    bool agent;                          /* takes streams; else opens them */
    int (*allow)(void *ctx, const char *host, uint16_t port, struct err *err);   /* of an agent */
    /* Once, the last thing: the connection is of no use, why NULL: it ended. Free the mux. */
    void (*on_close)(void *ctx, const struct err *why);
    void *ctx;
};

/* Takes the raw stream. */
struct tunnel_mux *tunnel_mux_new(struct http_raw *raw, const struct tunnel_mux_opts *o);
/* Ends the connection and all streams at once; no callback after. */
struct tunnel_mux *tunnel_mux_free(struct tunnel_mux *m);
/* The same, and the other side is told why. */
struct tunnel_mux *tunnel_mux_end(struct tunnel_mux *m, const char *why);
/* The server's: a socket whose other end is a new stream. */
int tunnel_mux_open(struct tunnel_mux *m, const char *host, uint16_t port, struct err *err);
unsigned tunnel_mux_streams(const struct tunnel_mux *m);

/* tunnel_stream.c: one stream. What follows is between the two files. */
struct tunnel_stream;
struct tunnel_frame;

struct tunnel_mux {
    struct tunnel_mux_opts o;
    struct http_raw *raw;
    struct buf in;                       /* the beginning of a frame */
    struct tunnel_stream *slots[TUNNEL_STREAMS_MAX];
    unsigned n, next;                    /* streams; the slot to try first */
    uint32_t turn;                       /* of ids */
    struct loop_timer timer;
    int64_t heard_ms;
    bool asked;                          /* PING went out, nothing was heard since */
    struct err err;                      /* told by the timer */
};

/* Fails later, from the loop; for what is found out inside a call of others. */
void tunnel_mux_fail_soon(struct tunnel_mux *m, const struct err *why);
/* Whether a stream may put DATA on the connection now. */
bool tunnel_mux_has_room(const struct tunnel_mux *m);
void tunnel_mux_send(struct tunnel_mux *m, struct buf *frames);      /* and empties them */

/* Either fd is a connected socket, or to is where to connect. Takes the fd. */
struct tunnel_target { int fd; const struct sockaddr *to; socklen_t to_len; };
int tunnel_stream_new(struct tunnel_mux *m, uint32_t id, const struct tunnel_target *target,
                      struct err *err);
/* Nothing is sent. */
void tunnel_stream_free(struct tunnel_stream *s);
uint32_t tunnel_stream_id(const struct tunnel_stream *s);
/* A frame of this stream but OPEN; -1: no peer may send it. May free the stream. */
int tunnel_stream_take(struct tunnel_stream *s, const struct tunnel_frame *f, struct err *err);
/* There is room on the connection again. May free the stream. */
void tunnel_stream_push(struct tunnel_stream *s);

#endif
