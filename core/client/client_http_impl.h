/* core/client/client_http_impl.h -- private: shared by requests and watches over HTTP. */
#ifndef CORE_CLIENT_CLIENT_HTTP_IMPL_H
#define CORE_CLIENT_CLIENT_HTTP_IMPL_H

#include "core/base/metric.h"
#include "core/client/client_http.h"

struct client_http {
    struct client base;
    char *name;
    struct http_client *http;
    struct list reqs, watches;
    struct loop_timer wake;
    int64_t away_ms;                         /* since when nothing answers; 0: it does */
    char *host;
    struct metric_set *total, *duration;     /* by enum client_http_method, and code */
};

/* client_http.c: an answer came, or a connection failed. After a time without any, the first answer
 * wakes the watches. */
void client_http_heard(struct client_http *c, bool here);

enum client_http_method { CLIENT_HTTP_GET, CLIENT_HTTP_POST, CLIENT_HTTP_PUT, CLIENT_HTTP_PATCH,
                          CLIENT_HTTP_DELETE, CLIENT_HTTP_METHOD_MAX };
/* A request ended; code 0: without an answer. begun_ns 0: a watch, its time is no latency. */
void client_http_count(struct client_http *c, enum client_http_method m, int code,
                       int64_t begun_ns);

/* client_watch_http.c */
int client_watch_http_new(struct client *c, struct client_watch **out,
                          const struct client_watch_opts *o, struct err *err);
struct client_watch *client_watch_http_free(struct client_watch *w);
/* The server is back: those that wait for their next try make it soon, and those that follow over
 * a connection from before follow anew. */
void client_watch_http_wake(struct client_http *c);
/* The client goes: so do its watches, without a word. */
void client_watch_http_drop(struct client_http *c);

#endif
