/* core/client/client_http.h -- client.h over HTTPS: how everyone outside the control role sees the
 * cluster.
 *
 * The server was out of reach: the first answer to anything wakes all watches.
 * A watch lists in pages, then follows from the list's resourceVersion: it resumes where it was
 * after every interruption, keeps its place by bookmarks, lists anew when the server says that its
 * place is too old (410), and backs off with jitter when the server is away.
 *
 *   LIST --last page--> FOLLOW --end of stream--> FOLLOW
 *   LIST or FOLLOW --failure--> WAIT --back-off--> where it was;  410 --> LIST
 */
#ifndef CORE_CLIENT_CLIENT_HTTP_H
#define CORE_CLIENT_CLIENT_HTTP_H

#include "core/client/client.h"
#include "core/http/http.h"

#define CLIENT_HTTP_PAGE 500                 /* objects of one list request */
#define CLIENT_HTTP_BODY_MAX (64u << 20)     /* of one answer */
#define CLIENT_HTTP_EVENT_MAX (8u << 20)     /* of one watch event */
/* a watch is renewed after this and up to twice this */
#define CLIENT_HTTP_WATCH_S 300
#define CLIENT_HTTP_BACKOFF_MIN_MS 200
#define CLIENT_HTTP_BACKOFF_MAX_MS 10000
#define CLIENT_HTTP_WAKE_MS 500              /* woken ones spread over this */

struct client_http_opts {
    const char *name;                        /* field manager; copied */
    struct http_client_opts http;            /* base_url is needed; copied */
};

int client_http_new(struct client **out, struct loop *l, const struct client_http_opts *opts,
                    struct err *err);
/* New certificate, roots or token, for a client of client_http_new. */
int client_http_reload(struct client *c, const struct http_client_opts *opts, struct err *err);
/* Its requests by method and code: rest_client_requests_total. Nothing for clients of others. */
void client_http_metrics(struct client *c, struct buf *out);
/* The connection pool below it: for streams (exec, log) and plain paths. */
struct http_client *client_http_http(struct client *c);

#endif
