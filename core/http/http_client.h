/* core/http/http_client.h -- private: the client's connections and calls.
 *
 *   a call:        WAIT (for a connection) --> SENT --> HEAD --> end
 *   a connection:  RESOLVE --> CONNECT --> HANDSHAKE --> BUSY <--> IDLE      (HTTP/1.1: one call)
 *                                                  \--> SHARED               (HTTP/2: many calls)
 *
 * A call on a kept connection that dies before the first byte of the answer is sent once more on a
 * fresh one, when its method allows that.
 */
#ifndef CORE_HTTP_HTTP_CLIENT_H
#define CORE_HTTP_HTTP_CLIENT_H

#include "core/base/map.h"
#include "core/http/http.h"
#include "core/http/http_io.h"
#include "core/http/http_parse.h"
#include "core/http/resolve.h"

struct http_client {
    struct loop *loop;
    struct http_client_opts o;               /* texts copied */
    struct http_url base;
    bool has_base;
    struct tls_ctx *tls[2];                  /* made when needed; [1]: offers HTTP/2 too */
    struct map *origins;                     /* "https://host:port" -> struct http_origin */
    struct list calls;
};

struct http_origin {
    struct http_client *client;
    struct http_url url;                     /* target unused */
    struct list idle, waiting, conns;
    unsigned n_conns;
    bool http2;                              /* offers it: calls wait for the first connection */
    bool plain;                              /* but the server speaks HTTP/1.1 only */
};

enum http_link_state { LINK_RESOLVE, LINK_CONNECT, LINK_HANDSHAKE, LINK_BUSY, LINK_IDLE,
                       LINK_SHARED };

/* One connection to an origin. */
struct http_link {
    struct http_origin *origin;
    struct list all, idle;                   /* in origin->conns, origin->idle */
    struct http_io io;
    bool has_io;
    struct loop_io connecting;
    int fd;
    struct resolve *resolve;
    struct resolve_address addresses[RESOLVE_ADDRESSES_MAX];
    unsigned n_addresses, address;
    struct loop_timer timer;                 /* connecting, idle */
    enum http_link_state state;
    struct http_parse parse;
    struct http_call *call;                  /* NULL when shared: it has many */
    struct http_share *share;                /* http_share.c; NULL: HTTP/1.1 */
    struct err err;
    bool used;                               /* answered a call before */
};

enum http_call_state { CALL_WAIT, CALL_SENT, CALL_HEAD };

struct http_call {
    struct list link;                        /* client->calls */
    struct list waiting;                     /* origin->waiting */
    struct http_client *client;
    struct http_call_opts o;                 /* callbacks and limits; texts below */
    char *method, *url, *type;
    struct http_field *own;                  /* the caller's headers, copied */
    struct buf body;
    struct http_origin *origin;
    struct http_url to;
    struct http_link *conn;
    struct http_stream *stream;              /* on a shared connection */
    enum http_call_state state;
    struct loop_timer deadline, silence, kick;
    struct err err;                          /* told by kick */
    int status;
    struct buf text;                         /* of the answer's headers */
    struct http_field *fields;
    unsigned n_fields, redirects;
    struct buf got;
    size_t n_got;
    bool paused, busy, cancelled, tried;
    bool reused;                             /* sent on a kept connection */
    bool refused;                            /* the server did not begin to work on it */
    bool crossed;                            /* redirected to another origin */
};

/* The head of an answer: at[] are offsets into text, name, value, name, value, ... */
struct http_head { int status; struct slice text; const size_t *at; unsigned n_fields; };

/* http_link.c */
int http_link_new(struct http_origin *o, struct http_call *c, struct err *err);
void http_link_free(struct http_link *k);    /* its call is the caller's to end */
void http_link_send(struct http_link *k, struct http_call *c);
void http_link_read_on(struct http_link *k, bool on);
void http_link_on_time(struct loop_timer *t);
bool http_link_takes(const struct http_link *k);     /* shared, and one more call has room */
bool http_link_opens(const struct http_link *k);     /* not known yet what it will be */
/* The connection is of no use; its calls hear why. */
void http_link_break(struct http_link *k, const struct err *why);

/* http_share.c: one HTTP/2 connection (RFC 9113) for many calls. */
int http_share_new(struct http_link *k);
void http_share_free(struct http_link *k);   /* its calls are let go first */
bool http_share_takes(const struct http_link *k);
void http_share_send(struct http_link *k, struct http_call *c);
void http_share_forget(struct http_link *k, struct http_call *c);    /* resets its stream */
void http_share_resume(struct http_link *k, struct http_call *c);    /* after a pause */
void http_share_readable(struct http_link *k);
void http_share_written(struct http_link *k);
void http_share_retire(struct http_link *k);         /* no new calls; ends with the last one */
struct http_call *http_share_pop(struct http_link *k);   /* lets one call go; NULL: none is left */

/* http_call.c: told by the connection */
void http_call_write(struct http_call *c, struct http_queue *q);
/* Each header of the request, Host and Content-Length apart. */
void http_call_fields(struct http_call *c, void (*each)(void *ctx, const char *name,
                                                        const char *value), void *ctx);
bool http_call_has_length(const struct http_call *c);
void http_call_on_head(struct http_call *c, const struct http_head *head);
int http_call_on_body(struct http_call *c, const char *p, size_t len);
/* the whole answer is there */
void http_call_on_done(struct http_call *c, struct http_link *k);
void http_call_on_upgrade(struct http_call *c, struct http_link *k, const char *p, size_t len);
/* the connection broke: may try again */
void http_call_failed(struct http_call *c, const struct err *why);
void http_call_free(struct http_call *c);
/* http_client.c */
/* finds or waits for a connection */
int http_client_start(struct http_call *c, struct err *err);
int http_client_tls(struct http_client *c, bool http2, struct tls_ctx **out, struct err *err);
/* a connection is free or gone: who waits goes on */
void http_origin_next(struct http_origin *o);

#endif
