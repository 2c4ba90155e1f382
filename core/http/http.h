/* core/http/http.h -- the HTTP server and client (1.1 and 2), without Kubernetes.
 *
 * All functions on the loop that the server or client was made for, except http_fetch(), which
 * drives a private loop and is for jobs and children. Callbacks come from the loop, never from
 * inside a call.
 *
 * A request of the server:
 *
 *   complete --on_request--> HELD --http_respond-----------------------------> freed
 *                            HELD --http_stream_begin--> STREAM --http_stream_end--> freed
 *                            HELD --http_upgrade: bytes go on as http_raw----> freed
 *                            HELD or STREAM --http_abort: connection or stream reset--> freed
 *
 * When the peer goes away meanwhile, on_gone is called once; the request stays valid, what is
 * written is thrown away, and it must still be ended by one of the arrows (from inside on_gone or
 * later). So a job may work on the body without fear, and a watch ends itself in on_gone by
 * http_stream_end().
 */
#ifndef CORE_HTTP_HTTP_H
#define CORE_HTTP_HTTP_H

#include <sys/socket.h>

#include "core/base/mem.h"
#include "core/base/str.h"
#include "core/loop/loop.h"

struct tls_ctx;                              /* core/tls/tls.h */
struct crypto_cert;                          /* core/crypto/crypto.h */

/* Limits: defaults where the options may say otherwise. */
#define HTTP_HEAD_MAX (32u << 10)            /* bytes of request line and headers; past it 431 */
#define HTTP_FIELDS_MAX 100                  /* headers of one message */
#define HTTP_BODY_MAX (3u << 20)             /* of a request; past it 413 */
/* of all unfinished requests of a server; past it 503 */
#define HTTP_BODIES_MAX (48u << 20)
/* of a server; past it a connection is closed at once */
#define HTTP_CONNS_MAX 4096
#define HTTP_CONNS_PEER_MAX 1024             /* of one address */
#define HTTP_STREAMS_MAX 100                 /* at once on one HTTP/2 connection */
/* streams a peer may reset within 10 s before it is shown the door */
#define HTTP_RESETS_MAX 200
#define HTTP_IDLE_MS 120000                  /* no request at all */
/* from the first byte of a request to the end of its headers */
#define HTTP_HEAD_MS 20000
/* from there to the end of the body; more time for more bytes */
#define HTTP_BODY_MS 60000
#define HTTP_HANDSHAKE_MS 10000              /* TLS */
#define HTTP_STALL_MS 60000                  /* no byte of a queued response taken by the peer */
/* bytes queued on a stream; past it the peer is taken for gone */
#define HTTP_QUEUE_MAX (8u << 20)
#define HTTP_DRAIN_BYTES (64u << 10)         /* on_drain when the queue falls below */
#define HTTP_URL_MAX 8192
#define HTTP_ADDRESS_BYTES 64

/* names: any case; sent lower-case on HTTP/2 */
struct http_field { const char *name, *value; };

/* --- server --- */

struct http_server;
struct http_req;
struct http_raw;

enum http_version { HTTP_1_0, HTTP_1_1, HTTP_2 };

struct http_req {
    const char *method;                      /* "GET"; upper-case as sent */
    const char *path;                        /* raw: percent-encoded; begins with '/' (or is "*") */
    const char *query;                       /* raw, without '?'; "" for none */
    const char *host;                        /* Host or :authority; "" for none */
    enum http_version version;
    const struct http_field *fields;         /* all headers; names lower-case */
    unsigned n_fields;
    /* complete, decoded from chunks; terminated by a NUL past len */
    struct slice body;
    char peer[HTTP_ADDRESS_BYTES];           /* numeric address without port */
    uint16_t peer_port;
    bool tls;
    struct crypto_cert *peer_cert;           /* borrowed, or NULL */
    /* NULL: trusted; else why not (401 is the handler's to say) */
    const char *peer_cert_why;

    /* The handler's. */
    void *user;
    void (*on_gone)(struct http_req *r);     /* the peer went away; may be NULL */
    /* a stream's queue fell below HTTP_DRAIN_BYTES; may be NULL */
    void (*on_drain)(struct http_req *r);
};

struct http_server_opts {
    void (*on_request)(struct http_req *r, void *ctx);
    void *ctx;
    size_t body_max, bodies_max;             /* 0: the default, here and below */
    unsigned conns_max, conns_peer_max, streams_max;
    int64_t idle_ms, head_ms, body_ms, handshake_ms, stall_ms;
    bool no_http2;
};

int http_server_new(struct http_server **out, struct loop *l, const struct http_server_opts *opts,
                    struct err *err);
/* closes all at once; on_gone is told */
struct http_server *http_server_free(struct http_server *s);
CLEANUP_DEFINE(struct http_server, http_server_free)
/* address: numeric, "" for all (dual stack). port 0: any. tls NULL: plain (HTTP/2 only with prior
 * knowledge). */
int http_server_listen(struct http_server *s, const char *address, uint16_t port,
                       struct tls_ctx *tls, struct err *err);
/* takes the fd */
int http_server_listen_fd(struct http_server *s, int fd, struct tls_ctx *tls, struct err *err);
uint16_t http_server_port(const struct http_server *s);        /* of the first listener */
/* Serves one connected stream socket (a tunnel, a socket pair). Takes the fd, also on failure. */
int http_server_adopt(struct http_server *s, int fd, struct tls_ctx *tls, struct err *err);
/* Graceful: no new connections, GOAWAY / "connection: close"; requests that run may end until the
 * deadline. on_stopped once, when the last connection is gone. */
void http_server_stop(struct http_server *s, int64_t deadline_ms, void (*on_stopped)(void *ctx),
                      void *ctx);
struct http_server_stats {
    unsigned conns, reqs;
    uint64_t conns_total, reqs_total;
    size_t body_bytes;
};
struct http_server_stats http_server_stats(const struct http_server *s);

/* the first; name lower-case; or NULL */
const char *http_req_field(const struct http_req *r, const char *name);
/* caller frees; the body is "" then */
char *http_req_take_body(struct http_req *r, size_t *out_len);
struct loop *http_req_loop(const struct http_req *r);
bool http_req_is_gone(const struct http_req *r);

struct http_answer {
    int status;
    const char *type;                        /* content-type; NULL for none */
    const struct http_field *fields;         /* further headers; copied */
    unsigned n_fields;
    const void *body;
    size_t len;
    /* Not NULL: body is not copied but borrowed until this is called, once, on the loop (also on
     * failure). */
    void (*release)(void *owner);
    void *owner;
};

/* The whole answer. Content-Length, Date and connection handling are done here; HEAD gets no body.
 */
void http_respond(struct http_req *r, const struct http_answer *a);
/* Status and headers of an answer of unknown length (`body` is its first part, may be empty). */
void http_stream_begin(struct http_req *r, const struct http_answer *a);
/* More bytes; copied. Answers how many are queued now. */
size_t http_stream_write(struct http_req *r, const void *p, size_t len);
/* The same, borrowed until release(owner). For bytes that many watchers share. */
size_t http_stream_write_ref(struct http_req *r, const void *p, size_t len,
                             void (*release)(void *owner), void *owner);
size_t http_stream_queued(const struct http_req *r);
void http_stream_end(struct http_req *r);
/* the peer sees a broken answer: for failures after the first byte */
void http_abort(struct http_req *r);

/* --- upgraded connections: a raw stream of bytes, of the server or of the client --- */

struct http_raw_ops {
    void (*on_data)(struct http_raw *w, const char *p, size_t len, void *ctx);
    void (*on_drain)(struct http_raw *w, void *ctx);                 /* may be NULL */
    /* Once: the peer closed (why NULL) or it broke. End of reading only: what is queued may still
     * be written after an orderly close. Free the raw here or later. */
    void (*on_close)(struct http_raw *w, const struct err *why, void *ctx);
    void *ctx;
};

/* HTTP/1.1 only (NULL on HTTP/2 or when the peer is gone: the request is then still the handler's
 * to end). Sends 101 with these headers ("upgrade" and "connection" are the caller's choice of
 * `protocol`). Ends the request. */
struct http_raw *http_upgrade(struct http_req *r, const char *protocol,
                              const struct http_field *fields, unsigned n_fields,
                              const struct http_raw_ops *ops);
/* closes at once; no callback after */
struct http_raw *http_raw_free(struct http_raw *w);
CLEANUP_DEFINE(struct http_raw, http_raw_free)
void http_raw_set(struct http_raw *w, const struct http_raw_ops *ops);
/* copies; answers what is queued now */
size_t http_raw_write(struct http_raw *w, const void *p, size_t len);
size_t http_raw_queued(const struct http_raw *w);
/* no on_data while paused: back-pressure */
void http_raw_pause(struct http_raw *w, bool paused);
/* Sends what is queued, then frees itself when the peer has closed too (or after a while). No
 * callback after. */
void http_raw_end(struct http_raw *w);
/* No more will be written: the peer sees the end behind what is queued. Reading goes on. */
void http_raw_shut(struct http_raw *w);
/* A raw stream over any connected socket (takes the fd, also on failure). */
int http_raw_new(struct http_raw **out, struct loop *l, int fd, const struct http_raw_ops *ops,
                 struct err *err);

/* --- client --- */

#define HTTP_CLIENT_CONNS_MAX 64             /* to one origin; further calls wait */
#define HTTP_CLIENT_IDLE_MS 60000            /* an unused connection is kept so long */
#define HTTP_CONNECT_MS 10000
#define HTTP_CALL_MS 30000                   /* from the call to the end of the answer's headers */
#define HTTP_REDIRECTS_MAX 10
#define HTTP_COLLECT_MAX (64u << 20)
#define HTTP_DIAL_DIRECT (-2)                /* of a dial: connect as if there were none */

struct http_client;
struct http_call;

struct http_client_opts {
    /* "https://host:port" for calls by path; may be NULL */
    const char *base_url;
    struct slice ca_pem;                     /* trusted roots for https */
    /* used when ca_pem is empty; NULL: the system's bundle */
    const char *ca_file;
    struct slice cert_pem, key_pem;          /* own certificate, may be empty */
    const char *server_name;                 /* to check instead of the URL's host; may be NULL */
    /* bearer token; may be NULL; sent to base_url's origin only */
    const char *token;
    const char *user_agent;
    bool insecure;                           /* takes any certificate */
    bool http2;                              /* https: many calls share one connection where the
                                              * server speaks HTTP/2; upgrades have their own */
    unsigned conns_max;
    int64_t connect_ms, idle_ms;
    /* gives a connected stream socket instead of connecting, or HTTP_DIAL_DIRECT; may be NULL */
    int (*dial)(void *ctx, const char *host, uint16_t port, struct err *err);
    void *dial_ctx;
};

int http_client_new(struct http_client **out, struct loop *l, const struct http_client_opts *opts,
                    struct err *err);
/* cancels open calls; not from inside callbacks */
struct http_client *http_client_free(struct http_client *c);
CLEANUP_DEFINE(struct http_client, http_client_free)
/* New roots and certificate for connections to come; idle ones are closed. */
int http_client_reload(struct http_client *c, const struct http_client_opts *opts, struct err *err);
void http_client_set_token(struct http_client *c, const char *token);

struct http_call_opts {
    const char *method;                      /* NULL: "GET" */
    /* a path below base_url ("/api/v1/pods?limit=5") or a whole http(s) URL */
    const char *url;
    const struct http_field *fields;
    unsigned n_fields;
    struct slice body;                       /* copied */
    const char *type;                        /* content-type of the body */
    /* until the answer's headers; with collect: the whole answer */
    int64_t timeout_ms;
    /* longest wait for the next byte of the body; 0: for ever */
    int64_t silence_ms;
    bool collect;                            /* gather the body: http_call_body() in on_end */
    /* collected or streamed; 0: HTTP_COLLECT_MAX when collecting, else none */
    size_t body_max;
    unsigned redirects;                      /* to follow; only with GET and HEAD; 0: none */
    /* the caller put "upgrade" headers: 101 ends in on_upgrade */
    bool upgrade;
    void (*on_head)(struct http_call *c, void *ctx);                             /* may be NULL */
    /* when not collecting */
    void (*on_data)(struct http_call *c, const char *p, size_t len, void *ctx);
    /* takes raw; on_end does not come */
    void (*on_upgrade)(struct http_call *c, struct http_raw *raw, void *ctx);
    /* once; why NULL: complete */
    void (*on_end)(struct http_call *c, const struct err *why, void *ctx);
    void *ctx;
};

/* -1 for what cannot be sent at all; no callback then. The call is freed after on_end or
 * on_upgrade. */
int http_client_call(struct http_call **out, struct http_client *c,
                     const struct http_call_opts *opts, struct err *err);
/* frees; no callback after; fine from inside its callbacks */
void http_call_cancel(struct http_call *c);
/* No on_data while paused, but for what is on its way already (on HTTP/2 at most a window). */
void http_call_pause(struct http_call *c, bool paused);
int http_call_status(const struct http_call *c);                         /* 0 before the headers */
/* all; answers how many */
unsigned http_call_answer_fields(const struct http_call *c, const struct http_field **out);
/* lower-case name; or NULL */
const char *http_call_field(const struct http_call *c, const char *name);
struct slice http_call_body(const struct http_call *c);
const char *http_call_url(const struct http_call *c);                    /* after redirects */

/* Blocking, for jobs and children: one fetcher keeps its connections over several fetches. */
struct http_fetcher;
struct http_fetch {
    const char *method, *url;
    const struct http_field *fields;
    unsigned n_fields;
    struct slice body;
    const char *type;
    unsigned redirects;
    int64_t deadline_ms;                     /* for all of it, from now; 0: 30 s */
    int64_t silence_ms;                      /* 0: 30 s */
    size_t body_max;                         /* 0: HTTP_COLLECT_MAX */
    /* NULL: collected; only for 2xx */
    int (*on_data)(void *ctx, const char *p, size_t len, struct err *err);
    void *ctx;
};
struct http_fetched {
    int status;
    struct buf body;                         /* collected, or the body of a non-2xx */
    struct http_field *fields;               /* lower-case names */
    unsigned n_fields;
    char *url;                               /* after redirects */
};
int http_fetcher_new(struct http_fetcher **out, const struct http_client_opts *opts,
                     struct err *err);
struct http_fetcher *http_fetcher_free(struct http_fetcher *f);
CLEANUP_DEFINE(struct http_fetcher, http_fetcher_free)
int http_fetch(struct http_fetched *out, struct http_fetcher *f, const struct http_fetch *what,
               struct err *err);
void http_fetched_deinit(struct http_fetched *r);                        /* callable twice */
const char *http_fetched_field(const struct http_fetched *r, const char *name);

/* --- texts --- */

/* scheme://host:port/path?query; host without brackets, port always there, target begins with '/'.
 */
struct http_url { bool tls; char host[256]; uint16_t port; const char *target; };
int http_url_parse(struct http_url *out, const char *url, struct err *err);
/* Decodes %XX; '+' becomes a blank when form is true. ERR_INVALID: bad escape or a NUL. */
int http_unescape(struct buf *out, struct slice text, bool form, struct err *err);
/* all but A-Z a-z 0-9 - . _ ~ */
void http_escape(struct buf *out, struct slice text);
/* Walks "a=b&c=d": decoded name and value in the arena; false at the end. Bad escapes are skipped.
 */
bool http_query_next(struct slice *rest, struct arena *a, const char **name, const char **value);
/* "Not Found"; "" when unknown */
const char *http_status_text(int status);

#endif
