/* core/http/http_conn.h -- private: the server's connections and the requests on them.
 *
 *   accept --tls--> HANDSHAKE --> PREFACE --> HTTP1 | HTTP2
 *   HTTP1 --answer with "close"--> LINGER: what still comes is thrown away until the peer has read
 *   the answer
 *   any --http_conn_free: from the loop only, never inside a call of the handler--> freed
 */
#ifndef CORE_HTTP_HTTP_CONN_H
#define CORE_HTTP_HTTP_CONN_H

#include "core/base/map.h"
#include "core/http/http.h"
#include "core/http/http_io.h"
#include "core/http/http_parse.h"

#define HTTP_LINGER_MS 2000
#define HTTP_PIPELINE_MAX 65536              /* bytes read ahead while a request is answered */
#define HTTP_BODY_STEP 16384                 /* so many bytes of a body renew its time */
#define HTTP_DATE_BYTES 32

struct http2;
struct http2_head;

struct http_server {
    struct loop *loop;
    struct http_server_opts o;               /* defaults filled in */
    struct list listeners, conns, exchanges;
    struct map *peers;                       /* address -> struct peer_count */
    struct http_server_stats stats;
    struct loop_timer stop_timer;
    void (*on_stopped)(void *ctx);
    void *stopped_ctx;
    bool stopping;
    char date[HTTP_DATE_BYTES];
    int64_t date_s;
};

enum http_conn_state {
    CONN_HANDSHAKE,
    CONN_PREFACE,
    CONN_HTTP1,
    CONN_HTTP2,
    CONN_LINGER,
    CONN_GONE
};

struct http_conn {
    struct list link;
    struct http_server *server;
    struct http_io io;
    struct loop_timer timer;
    enum http_conn_state state;
    char peer[HTTP_ADDRESS_BYTES];
    uint16_t port;
    bool counted;
    /* HTTP/1 */
    struct http_parse parse;
    struct buf in;                           /* read ahead */
    struct http_exchange *now;               /* the request being read or answered */
    bool close_after;
    size_t progress;                         /* bytes of the body since its time was renewed */
    struct http2 *h2;
};

enum http_exchange_state {
    EXCHANGE_READING, EXCHANGE_HELD, EXCHANGE_STREAM,
    EXCHANGE_DONE,                           /* the handler ended it; HTTP/2 still sends */
};

/* One request and its answer. */
struct http_exchange {
    struct http_req req;
    struct list link;                        /* server->exchanges */
    struct http_server *server;              /* NULL: freed meanwhile */
    struct http_conn *conn;                  /* NULL: gone */
    enum http_exchange_state state;
    bool gone;                               /* on_gone was told, or nobody was there to tell */
    bool head_only, chunked, upgrade, want_drain;
    struct loop *loop;
    struct buf text, body;
    size_t charged;                          /* bytes of the body, in server->stats */
    struct crypto_cert *cert;
    char why[128];
    /* HTTP/2 */
    int32_t id;
    struct list stream;                      /* http2->streams */
    struct http2_head *head;                 /* while it is read */
    struct http_queue out;
    bool out_ended, deferred, drain_due;
    struct loop_timer timer;
    size_t progress;
};

/* http_conn.c */
int http_conn_new(struct http_server *s, int fd, struct tls_ctx *tls, struct err *err);
void http_conn_free(struct http_conn *c);
void http_conn_free_soon(struct http_conn *c);
void http_conn_stop(struct http_conn *c);    /* graceful */
void http_conn_set_timer(struct http_conn *c, int64_t ms);

/* http_exchange.c */
struct http_exchange *http_exchange_new(struct http_conn *c);
void http_exchange_free(struct http_exchange *x);
void http_exchange_gone(struct http_exchange *x);        /* tells on_gone once; may free x */
/* Takes the texts; -1: status to refuse with in *status. */
int http_exchange_fill(struct http_exchange *x, struct buf *text, const size_t *at, size_t n_at,
                       int *status);
/* Charges a piece of body; -1: status in *status. */
int http_exchange_body(struct http_exchange *x, const char *p, size_t len, int *status);
void http_exchange_dispatch(struct http_exchange *x);
const char *http_server_date(struct http_server *s);
void http_server_conn_gone(struct http_server *s);

/* http1.c */
void http1_readable(struct http_conn *c);
void http1_written(struct http_conn *c);
void http1_timeout(struct http_conn *c);
void http1_start(struct http_exchange *x, const struct http_answer *a, bool whole);
void http1_data(struct http_exchange *x, const struct http_answer *piece);
void http1_end(struct http_exchange *x);
void http1_upgraded(struct http_exchange *x);
void http1_feed(struct http_conn *c, const char *p, size_t len);
void http1_stop(struct http_conn *c);

/* http2.c */
int http2_begin(struct http_conn *c, const char *p, size_t len);
void http2_free(struct http_conn *c);        /* requests are told they are gone */
void http2_readable(struct http_conn *c);
void http2_written(struct http_conn *c);
void http2_timeout(struct http_conn *c);
void http2_start(struct http_exchange *x, const struct http_answer *a, bool whole);
void http2_data(struct http_exchange *x, const struct http_answer *piece);
void http2_end(struct http_exchange *x);
void http2_abort(struct http_exchange *x);
void http2_stop(struct http_conn *c);
void http2_head_free(struct http2_head *h);

#endif
