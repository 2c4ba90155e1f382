/* core/http/http_io.h -- private: a connected socket on a loop, plain or TLS, with a queue of bytes
 * to send.
 *
 * The callbacks come from the loop only; each may free the io. What fails inside a call (a write
 * that meets a reset) is told by on_broken later.
 */
#ifndef CORE_HTTP_HTTP_IO_H
#define CORE_HTTP_HTTP_IO_H

#include <sys/types.h>

#include "core/base/check.h"
#include "core/base/mem.h"
#include "core/base/str.h"
#include "core/loop/loop.h"
#include "core/tls/tls.h"

#define HTTP_IO_READ 16384                   /* bytes read at once, on the stack */
#define HTTP_IO_ROUNDS 4                     /* reads of one connection in one round of the loop */

/* --- a queue of bytes: copies, and pieces borrowed until their release() --- */

struct http_seg {
    struct http_seg *next;
    const char *p;
    size_t len, room;                        /* room: left behind a copy, for the next one */
    void (*release)(void *owner);
    void *owner;
    char copy[];
};
struct http_queue { struct http_seg *first, *last; size_t bytes; };

void http_queue_add(struct http_queue *q, const void *p, size_t len);
void http_queue_ref(struct http_queue *q, const void *p, size_t len, void (*release)(void *),
                    void *owner);
void http_queue_eat(struct http_queue *q, size_t n);
/* from the front, not eaten */
size_t http_queue_copy(const struct http_queue *q, void *out, size_t max);
/* the first n bytes */
void http_queue_move(struct http_queue *to, struct http_queue *from, size_t n);
void http_queue_deinit(struct http_queue *q);

/* --- the socket --- */

struct http_io;

struct http_io_ops {
    /* the handshake is done; not for plain ones */
    void (*on_open)(struct http_io *io);
    void (*on_readable)(struct http_io *io);                       /* call http_io_read */
    /* bytes left the queue; may be NULL */
    void (*on_written)(struct http_io *io);
    void (*on_broken)(struct http_io *io, const struct err *why);  /* no more I/O: free it */
};

struct http_guard { bool busy, dead; };

struct http_io {
    const struct http_io_ops *ops;
    struct loop *loop;
    struct loop_io watch;
    struct loop_timer kick;
    struct tls *tls;
    struct http_queue out;
    struct err *why;                         /* set: broken */
    /* outlives the io when it is freed inside a callback */
    struct http_guard *guard;
    int fd;
    bool handshaking, reading, eof, half_closed, shut;
    bool quiet;                              /* hung up while nobody reads: not watched */
    unsigned read_wants, write_wants;        /* other than usual: what TLS waits for */
};

/* Takes the fd, also on failure. tls NULL: plain. */
int http_io_init(struct http_io *io, struct loop *l, int fd, const struct http_io_ops *ops,
                 struct err *err);
int http_io_start_tls(struct http_io *io, struct tls_ctx *ctx, const char *server_name,
                      struct err *err);
void http_io_deinit(struct http_io *io);                           /* callable twice */
/* whether on_readable is wished */
void http_io_read_on(struct http_io *io, bool on);
/* Bytes, 0 at the end, TLS_AGAIN; a failure is TLS_AGAIN now and on_broken soon. */
ssize_t http_io_read(struct http_io *io, void *p, size_t len);
void http_io_flush(struct http_io *io);                            /* now, as far as it goes */
/* in the next round: more may be added */
void http_io_flush_soon(struct http_io *io);
/* No more I/O: on_broken soon. */
void http_io_fail(struct http_io *io, const struct err *why);
void http_io_kick(struct http_io *io);                             /* on_readable soon */
/* no more will be sent after the queue */
void http_io_half_close(struct http_io *io);
/* http2.c: frames what an HTTP/2 session has ready and sends it; -1: the session is finished. */
struct nghttp2_session;
int http2_pump(struct nghttp2_session *session, struct http_io *io);
/* Moves everything to another owner; `from` is deinitialised. */
void http_io_move(struct http_io *to, struct http_io *from, const struct http_io_ops *ops);

#endif
