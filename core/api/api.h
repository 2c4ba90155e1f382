/* core/api/api.h -- the API server: requests in, object or Status out.
 *
 * One `struct api` serves HTTPS requests (api_on_request is the handler of an http server) and
 * in-process clients (api_client_new). Both become a `struct api_call`, which runs through the same
 * phases. Reads of one object are answered on the loop, lists and writes run as jobs, a watch is a
 * cursor on its connection.
 */
#ifndef CORE_API_API_H
#define CORE_API_API_H

#include "core/client/client.h"
#include "core/crypto/crypto.h"
#include "core/http/http.h"
#include "core/loop/job.h"
#include "store/kv/kv.h"
#include "store/watch/watch.h"

#define API_BODY_MAX (3u << 20)             /* bytes of a request body, as upstream */
#define API_LIST_LIMIT_MAX 100000
#define API_WATCH_QUEUE_BYTES (1u << 20)    /* unsent bytes of one watch before it waits */
/* on conflict, when the patch itself names no version */
#define API_PATCH_TRIES 5
#define API_NAME_TRIES 8                    /* generated names that turn out to be taken */
/* a watch without timeoutSeconds lives 30 to 60 minutes */
#define API_WATCH_MIN_S 1800

struct api;

struct admit_lua;                           /* plugins/admit/admit_lua.h */
struct admit_settings;                      /* plugins/admit/admit.h */

/* A check of /livez and /readyz: -1 and why when it fails (err may be NULL). It may not wait. */
typedef int (*api_check_fn)(void *ctx, struct err *err);
struct api_check { const char *name; api_check_fn run; };

/* What else runs in this process. Called on the API's loop. */
struct api_more {
    void (*metrics)(void *ctx, struct buf *out);     /* adds to /metrics; or NULL */
    /* a page below /inro/, for administrators, as JSON; -1: there is none; or NULL */
    int (*page)(void *ctx, const char *name, struct buf *out);
    const struct api_check *checks;
    unsigned n_checks;
    void *ctx;
};

/* For machines that want to be nodes; api_join.c. Copied. */
struct api_join {
    const char *ca_pem;                     /* of the server's certificate: GET /cacerts */
    const char *config;                     /* JSON: GET /v1-inro/config */
    const char *token_hash;                 /* sha256 in hex of "server:PASSWORD"; NULL: none */
    const char *node_name;                  /* of the server's own node: nobody else's */
};

/* A way to nodes that need not be reachable: a connected socket to this address as seen from the
 * node, or HTTP_DIAL_DIRECT. dial NULL: there is none. */
struct api_dial {
    int (*dial)(void *ctx, const char *node, const char *host, uint16_t port, struct err *err);
    void *ctx;
};

struct api_opts {
    struct loop *loop;                      /* the HTTP requests' loop */
    struct job_pool *jobs;
    struct watch_cache *cache;
    struct kv *kv;
    const struct env *env;
    const char *service_cidr;               /* "10.43.0.0/16" */
    int node_port_min, node_port_max;       /* 0: 30000-32767 */
    const char *issuer;                     /* of service-account tokens */
    const struct crypto_key *sa_key;        /* signs them; borrowed for the life of the api */
    struct admit_lua *lua;                  /* plugins of others; borrowed; NULL: none */
    const struct admit_settings *admit;     /* plugins/admit/admit.h; copied; NULL: as upstream */
    /* Identity towards nodes (logs, exec, ...), PEM; copied. */
    const char *node_ca_pem, *node_cert_pem, *node_key_pem;
    struct api_dial dial;                   /* copied */
    const char *cluster_dns;                /* of kube-system/kube-dns; NULL: no such Service */
    /* "10.0.0.5:6443": the endpoint of default/kubernetes; NULL: none */
    const char *advertise;
    struct api_more more;
    const struct api_join *join;            /* NULL: nothing can join */
};

int api_new(struct api **out, const struct api_opts *opts, struct err *err);
/* Open watches are ended. After the HTTP server and the clients are freed. */
struct api *api_free(struct api *api);
CLEANUP_DEFINE(struct api, api_free)

/* The request handler; ctx is the api. */
void api_on_request(struct http_req *req, void *ctx);
/* Answers 503 to everything but /livez until this is called: the store is loaded, the first
 * objects are there. */
void api_ready(struct api *api);
/* From now on /readyz fails: send no more requests here. */
void api_stopping(struct api *api);

/* Other facts from now on, but the node's name; on the loop. */
void api_join_set(struct api *api, const struct api_join *join);

/* Another identity towards nodes, for connections to come; on the loop. */
struct api_node_identity { const char *ca_pem, *cert_pem, *key_pem; };
int api_node_identity_set(struct api *api, const struct api_node_identity *id, struct err *err);

/* An in-process client on `loop` (any loop), acting as this user of group system:masters. */
int api_client_new(struct client **out, struct api *api, struct loop *loop, const char *user,
                   struct err *err);

/* Makes what must exist before anyone asks (namespaces, default/kubernetes Service); blocks: from a
 * job or before the loops run. */
int api_bootstrap(struct api *api, struct err *err);

#endif
