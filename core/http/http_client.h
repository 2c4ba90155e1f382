/* core/http/http_client.h -- private: the client's connections and calls.
 *
 *   a call:        WAIT (for a connection) --> SENT --> HEAD --> end
 *   a connection:  RESOLVE --> CONNECT --> HANDSHAKE --> BUSY <--> IDLE
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
    struct tls_ctx *tls;
    struct map *origins;                     /* "https://host:port" -> struct http_origin */
    struct list calls;
};

struct http_origin {
    struct http_client *client;
    struct http_url url;                     /* target unused */
    struct list idle, waiting, conns;
    unsigned n_conns;
};

enum http_link_state { LINK_RESOLVE, LINK_CONNECT, LINK_HANDSHAKE, LINK_BUSY, LINK_IDLE };

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
    struct http_call *call;
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
    bool crossed;                            /* redirected to another origin */
};

/* http_link.c */
int http_link_new(struct http_origin *o, struct http_call *c, struct err *err);
void http_link_free(struct http_link *k);    /* its call is the caller's to end */
void http_link_send(struct http_link *k, struct http_call *c);
void http_link_read_on(struct http_link *k, bool on);

/* http_call.c: told by the connection */
void http_call_write(struct http_call *c, struct http_queue *q);
void http_call_on_head(struct http_call *c, struct http_parse *p);
int http_call_on_body(struct http_call *c, const char *p, size_t len);
/* the whole answer is there */
void http_call_on_done(struct http_call *c, struct http_link *k);
void http_call_on_upgrade(struct http_call *c, struct http_link *k, const char *p, size_t len);
/* the connection broke: may try again */
void http_call_failed(struct http_call *c, const struct err *why);
void http_call_free(struct http_call *c);
/* http_client.c */
struct http_origin *http_client_origin(struct http_client *c, const struct http_url *u);
/* finds or waits for a connection */
int http_client_start(struct http_call *c, struct err *err);
int http_client_tls(struct http_client *c, struct err *err);
/* a connection is free or gone */
void http_origin_next(struct http_origin *o);

#endif
