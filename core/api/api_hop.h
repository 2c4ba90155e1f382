/* api_hop.h -- inside the room: connections onward, to nodes and pods. */
#ifndef CORE_API_API_HOP_H
#define CORE_API_API_HOP_H

#include "core/api/api_call.h"

#define API_HOPS_IDLE_MAX 64             /* clients kept that no request uses */
/* more than the streams of a node: it says when it is full */
#define API_HOP_CONNS_MAX 320

/* Where a relayed request goes; texts in the call's arena. */
struct api_target {
    const char *node;                    /* reached over its tunnel, if it has one; "": directly */
    const char *origin;                  /* "https://10.0.0.2:10250" */
    const char *path;                    /* with the query, as the other side gets it */
    bool kubelet;                        /* with our certificate, and theirs is checked */
    const char *prefix;                  /* proxy: the path up to there; NULL: a stream of a pod */
};

/* One client to one origin, while somebody uses it and some time after. */
struct api_hop;
int api_hop_take(struct api_hop **out, struct api_hops *all, const struct api_target *t,
                 struct err *err);
struct http_client *api_hop_client(const struct api_hop *h);
void api_hop_drop(struct api_hop *h);    /* NULL is fine */

/* api_proxy.c: the target of a proxy subresource; -1: c->status is set. */
int api_proxy_target(struct api_call *c, const struct http_req *req, struct api_target *out);
/* The node's own port. -1: c->status is set. */
int api_proxy_kubelet(struct api_call *c, const char *node, struct api_target *out);
/* Headers that go on; `out` has room for API_FIELDS_MAX. */
#define API_FIELDS_MAX (HTTP_FIELDS_MAX + 4)
unsigned api_proxy_ask_fields(struct api_call *c, const struct http_req *req, bool upgrade,
                              struct http_field *out);
unsigned api_proxy_answer_fields(struct api_call *c, const struct api_target *t,
                                 const struct http_req *req, const struct http_call *up,
                                 struct http_field *out);

#endif
