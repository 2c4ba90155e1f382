/* tests/fake/api_peer.h -- a client with a certificate before an api_box: real HTTP over real TLS,
 * on socket pairs of one loop. Each call steps the loop until its answer is there.
 */
#ifndef TESTS_FAKE_API_PEER_H
#define TESTS_FAKE_API_PEER_H

#include "core/base/json.h"
#include "core/http/http.h"
#include "tests/fake/api_box.h"

#define API_PEER_STEPS_MAX 30000        /* of at most 10 ms each: then a call is given up */

struct api_peer;

/* An answer, until the next call. code 0: there was none. */
struct api_reply {
    int code;
    const char *text;
    size_t len;
    const struct json *json;            /* NULL when the body is none */
    const char *type, *warning, *etag, *location;  /* headers, "" when absent; the first */
};

struct api_ask {
    const char *method, *path;          /* with the query */
    const char *body;                   /* NULL: none */
    size_t body_len;                    /* 0: of the text */
    const char *type, *accept;          /* NULL: application/json */
    const char *token;                  /* a bearer token; NULL: none */
    const char *node_password;          /* header Inro-Node-Password; NULL: none */
};

/* cn NULL: no certificate at all. */
int api_peer_new(struct api_peer **out, struct api_box *b, const char *cn, const char *org,
                 struct err *err);
struct api_peer *api_peer_free(struct api_peer *p);
const struct api_reply *api_peer_ask(struct api_peer *p, const struct api_ask *ask);
/* The same in short. */
const struct api_reply *api_peer_get(struct api_peer *p, const char *path);
const struct api_reply *api_peer_post(struct api_peer *p, const char *path, const char *body);
const struct api_reply *api_peer_put(struct api_peer *p, const char *path, const char *body);
const struct api_reply *api_peer_delete(struct api_peer *p, const char *path, const char *body);
/* kind: "json", "merge" or "strategic-merge" */
const struct api_reply *api_peer_patch(struct api_peer *p, const char *path, const char *kind,
                                       const char *body);

/* A watch. Lines are texts without their end, until the next call of this kind. */
struct api_stream;
struct api_stream *api_peer_watch(struct api_peer *p, const char *path, const char *accept);
/* NULL: the stream ended, or nothing came */
const char *api_stream_line(struct api_stream *s);
bool api_stream_is_quiet(struct api_stream *s, int ms);  /* no line for so long */
bool api_stream_ended(const struct api_stream *s);
struct api_stream *api_stream_free(struct api_stream *s);

#endif
