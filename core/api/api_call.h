/* core/api/api_call.h -- inside the room: one request on its way, whatever transport brought it.
 *
 *   transport --api_call_new--> fill --api_call_start--> [route, authz, options, media]
 *       --> inline (get, discovery) or job (list, writes) --> on_done on the home loop -->
 * api_call_free
 *   a watch leaves this path: the transport that brought it takes it over (api_watch.c,
 * api_local.c).
 *
 * Steps return 0 or -1 with c->status set: the answer of a failure.
 */
#ifndef CORE_API_API_CALL_H
#define CORE_API_API_CALL_H

#include "core/api/api.h"
#include "core/auth/auth.h"
#include "core/object/codec.h"
#include "core/object/selector.h"
#include "core/object/status.h"
#include "plugins/admit/admit.h"

enum api_verb {
    API_GET, API_LIST, API_WATCH, API_CREATE, API_UPDATE, API_PATCH, API_DELETE,
        API_DELETECOLLECTION,
    API_CONNECT, API_NONRESOURCE,
    API_VERB_MAX
};

struct api_param { const char *key, *val; };

struct api_query { struct api_param *v; unsigned len; };

struct api_route {
    enum api_verb verb;
    const struct kind *kind;                /* as asked; NULL: a path that is no resource */
    const struct kind_subresource *sub;     /* NULL: the object itself */
    const char *ns, *name;                  /* "" where not given */
    const char *tail;                       /* what follows a proxy subresource */
};

/* The query of a request, typed. Texts are NULL where not given. */
struct api_options {
    bool dry_run, force, watch, bookmarks, has_send_initial, send_initial;
    enum codec_strict strict;
    const char *field_manager;
    const char *label_selector, *field_selector, *rv, *rv_match, *cont;
    int64_t limit, timeout_s;               /* 0: none */
    const char *grace, *propagation, *orphan, *dry_run_text;    /* of a delete, as given */
    const char *include_object;
};

enum api_as { API_AS_OBJECT, API_AS_TABLE, API_AS_PARTIAL, API_AS_PARTIAL_LIST };

enum api_form { API_JSON, API_YAML, API_PROTOBUF };
struct api_media {
    enum api_form form;
    bool pretty;
    /* a Status has no other forms: the first clause without "as" */
    enum api_form failure_form;
    enum api_as as;
    const char *as_version;                 /* "v1" or "v1beta1" */
};

struct api_call {
    struct job job;                         /* private */
    struct api *api;
    struct loop *home;
    struct arena *a;
    void (*on_done)(struct api_call *c);
    void *transport;                        /* an http_req; NULL in process */
    void *user_data;                        /* of the transport */
    /* Request. */
    const char *method, *path;
    struct api_query query;
    struct slice body;
    const char *content_type, *accept, *user_agent, *if_none_match;
    const char *node_password;              /* header Inro-Node-Password, of machines that join */
    struct auth_user user;
    struct api_route route;
    struct api_options opt;
    struct api_media media;
    struct codec_notes notes;               /* of decoding: unknown and duplicate fields */
    struct codec_notes warnings;            /* to be sent as Warning headers */
    /* Answer: a failure, or code and one of object, tree, text. */
    struct status *status;
    int code;
    struct object *object;                  /* owned */
    const struct json *tree;
    struct buf text;
    const char *text_type;
    const char *etag;                       /* or NULL */
    bool lasting;                           /* the answer may be kept for ever */
    bool heartbeat;                         /* the write may be lost in a crash: it comes again */
    bool flies;                             /* counted as being under way */
    int64_t begun_ns;                       /* for figures; 0: counted */
};

struct api_strategy;

struct api_join_facts { char *ca, *config, *token_hash, *node_name; };     /* struct api_join */

struct api {
    struct loop *loop;
    struct job_pool *jobs;
    struct watch_cache *cache;
    struct kv *kv;
    const struct env *env;
    const struct crypto_key *sa_key;
    char *issuer, *advertise, *cluster_dns;
    struct api_alloc *alloc;
    struct api_hops *hops;                  /* api_hop.c */
    struct admit_lookup lookup;
    struct admit_lua *lua;                  /* borrowed; NULL: no plugins */
    struct admit_settings admit;
    struct list watches;                    /* open HTTP watches, on loop */
    struct api_join_facts *join;            /* api_join.c; NULL: nothing can join */
    struct map *tokens;                     /* api_token.c: proven ones, on loop */
    /* api_http.c: memory goes back after much work */
    struct loop_timer trim;
    struct job trim_job;
    unsigned trims;
    bool ready, stopping, trimming;
    struct api_metric *metrics;
    struct api_more more;
    struct buf openapi_index;               /* made at first use, by jobs of one key */
};

struct api_call *api_call_new(struct api *api, struct loop *home);
struct api_call *api_call_free(struct api_call *c);
CLEANUP_DEFINE(struct api_call, api_call_free)
/* Runs the phases; on_done is called later, from the loop. Watches and connects end with on_done at
 * once, code 0 and no status: the transport goes on with them. */
void api_call_start(struct api_call *c);
/* The same for a call whose route is filled already (in-process clients). */
void api_call_dispatch(struct api_call *c);

static inline int api_fail(struct api_call *c, struct status *why)
{
    c->status = why;
    return -1;
}
/* Failure from an err, by its code. */
int api_fail_err(struct api_call *c, const struct err *err);

/* api_path.c, api_query.c, api_negotiate.c */
int api_route_parse(struct api_call *c);
const char *api_verb_name(enum api_verb v);
void api_query_parse(struct api_query *out, struct arena *a, const char *text);
const char *api_query_get(const struct api_query *q, const char *key);      /* NULL: not there */
int api_options_parse(struct api_call *c);
int api_negotiate(struct api_call *c);
/* Percent-decoding; '+' only in queries. NULL when broken. */
char *api_unescape(struct arena *a, const char *p, size_t len, bool plus);

/* api_encode.c: the answer as bytes. Fills text and text_type from object, tree or status. */
void api_encode(struct api_call *c);
void api_encode_object(struct buf *b, struct api_call *c, struct object *o);    /* by media.as */
/* A tree with apiVersion and kind. -1: its kind is none of protobuf. */
int api_encode_protobuf(struct buf *b, const struct json *tree);
#define API_TYPE_PROTOBUF "application/vnd.kubernetes.protobuf"
/* A Table of one row; columns false: they are null, as in all events of a watch but the first. */
void api_encode_row_table(struct buf *b, struct api_call *c, struct object *o,
                          const char *list_meta,
                          bool columns);
void api_encode_table(struct buf *b, struct api_call *c, struct object *const *v, size_t n,
                      const char *list_meta);
/* Writes an object's JSON as this kind: converted when it is stored as another version; bare: as
 * a list item. */
void api_write_object(struct buf *b, struct api_call *c, struct object *o, bool bare);

/* api_decode.c */
/* Body -> raw tree of any JSON or YAML. */
int api_decode_raw(struct api_call *c, struct json **out);
/* Body -> canonical, defaulted tree of this kind. */
int api_decode(struct api_call *c, const struct kind *kind, struct json **out);
int api_canonical(struct api_call *c, const struct kind *kind, const struct json *raw,
                  struct json **out);
/* Answers strict mode's failures and moves warnings; what: "" or "patch". */
int api_notes_settle(struct api_call *c, const struct kind *kind, const char *what);

/* api_commit.c: towards the store; job threads only. 1: a conflict, the caller decides. */
int api_commit(struct api_call *c, const struct kind *kind, const struct json *tree, int64_t expect,
               struct object **out);
int api_commit_delete(struct api_call *c, struct object *old, struct json *last,
                      struct object **out);
void api_stamp_rv(struct arena *a, struct json *tree, const char *rv);

/* api_read.c */
struct object *api_lookup(struct api *api, const struct kind *kind, const char *ns,
                          const char *name);
int api_get(struct api_call *c);
int api_list(struct api_call *c);
struct api_filter { struct selector *labels; struct fieldsel *fields; };
int api_filter_init(struct api_filter *f, struct api_call *c);
void api_filter_deinit(struct api_filter *f);
bool api_filter_keeps(const struct api_filter *f, struct object *o);
/* Of a watch with this filter (watch_cursor_opts.topic). */
uint64_t api_filter_topic(const struct api_filter *f, const struct api_call *c);
/* The name and namespace of the call, narrowed by metadata.name selectors. */
int api_rv_parse(struct api_call *c, const char *text, int64_t *out);

/* api_apply.c. api_track notes in metadata.managedFields of a new or changed object who manages
 * what (old NULL: it is new). */
void api_track(struct api_call *c, const struct kind *store, struct json *tree,
               const struct json *old);
/* An empty managedFields of a client, which is a wish to forget all, survives as [{}]. */
void api_keep_reset(struct api_call *c, const struct json *raw, struct json *tree);
int api_apply_parse(struct api_call *c, const struct kind *kind, struct json **out);
/* What is stored (NULL: nothing) and the config -> the new object, canonical, as stored. */
int api_apply_merge(struct api_call *c, const struct kind *kind, const struct json *old,
                    const struct json *config, struct json **out);

/* api_write.c, api_update.c, api_delete.c, api_sub.c */
int api_create(struct api_call *c);
int api_create_by_put(struct api_call *c, struct json *tree);
int api_create_by_apply(struct api_call *c, struct json *tree);
/* PUT and PATCH, also of status and other subresources */
int api_update(struct api_call *c);
int api_delete(struct api_call *c);
int api_delete_collection(struct api_call *c);
int api_subresource(struct api_call *c);    /* binding, eviction, token, scale */
int api_token(struct api_call *c);
/* Who this bearer token is; false: nobody. */
bool api_token_user(struct api *api, struct arena *a, const char *token, struct auth_user *out);
void api_token_forget(struct api *api);     /* what api_token_user remembers */
/* api_join.c: the same for tokens of machines that join; and what they read. */
bool api_join_user(struct api *api, struct arena *a, const char *token, struct auth_user *out);
void api_join_free(struct api *api);
int api_join_cacerts(struct api_call *c);
int api_join_config(struct api_call *c);
/* api_csr.c: completes and checks a new request for a certificate; other kinds pass. -1:
 * answered. */
int api_csr_create(struct api_call *c, const struct kind *kind, struct json *tree,
                   struct causes *causes);
/* Before it is stored: binds the name of a node to who asks for its certificate. */
int api_csr_claim(struct api_call *c, const struct kind *kind, const struct json *tree);
/* api_node.c: for users that are nodes; others pass. */
bool api_node_may(struct api_call *c);      /* what the route names is this node's */
/* A new or changed object (old NULL: it is new). -1: answered. */
int api_node_restrict(struct api_call *c, const struct kind *kind, const struct json *tree,
                      const struct json *old);
/* A token of the account of the route, bound to this. -1: answered. */
int api_node_token(struct api_call *c, const char *kind, const char *name, const char *uid);
bool api_csr_visible(struct api_call *c);   /* may the user see the CSR of this route */
/* Deletes one object with these options; used by eviction and collections too. */
struct api_delete_opts {
    bool has_grace; int64_t grace_s;
    const char *propagation;                /* NULL: default */
    bool orphan, orphan_given, dry_run;
    const char *uid, *rv;                   /* preconditions or NULL */
};
int api_delete_one(struct api_call *c, const struct kind *kind, const char *ns, const char *name,
                   const struct api_delete_opts *o, struct object **out, bool *gone);
const struct api_strategy *api_strategy_of(const struct kind *kind);
/* Runs prepare, admission and validation of a new object in place. */
int api_admit_create(struct api_call *c, const struct kind *kind, struct json *tree);
int api_invalid(struct api_call *c, const struct kind *kind, const char *name,
                const struct causes *causes);
const struct kind *api_rules_view(struct api_call *c, const struct kind *kind, struct json **tree);

/* What differs per kind in writes (strategy of upstream's registry). */
struct api_strategy {
    const char *resource, *group;
    bool put_creates, needs_rv, returns_deleted, no_gc;
};

/* api_alloc.c: cluster addresses and node ports; job key "services" orders its callers. */
struct api_alloc;
int api_alloc_new(struct api_alloc **out, const struct api_opts *opts, struct err *err);
struct api_alloc *api_alloc_free(struct api_alloc *al);
/* The first usable address of the range, as text. */
void api_alloc_first(const struct api_alloc *al, char out[16]);
/* Fills spec.clusterIP(s), families and nodePorts of a Service. Upstream allocates before it
 * validates: what cannot be allocated takes the place of all other causes. old may be NULL. -1:
 * answered. */
int api_alloc_service(struct api_call *c, struct json *svc, const struct json *old,
                      struct causes *causes);

/* api_discovery.c, api_openapi.c: paths that are no resource; -1 with 404 when unknown. */
int api_nonresource(struct api_call *c);
int api_openapi(struct api_call *c);
/* 404 in plain text, for paths that nothing stands behind */
int api_page_not_found(struct api_call *c);

/* api_metric.c: figures of requests; any thread, but the page. A call is counted once, when it
 * is answered or freed: what it has of its request must still be there. */
struct api_metric *api_metric_new(void);
struct api_metric *api_metric_free(struct api_metric *m);
void api_metric_begin(struct api_call *c);      /* it goes to work */
void api_metric_end(struct api_call *c);
void api_metric_event(struct api_call *c);
void api_metric_admit(struct api_call *c, enum admit_verb verb, bool validating, int64_t begun_ns);
void api_metric_authn(struct api *api, bool good);
void api_metric_authz(struct api *api, bool allowed);
int api_metric_page(struct api_call *c);        /* /metrics */
/* api_health.c: /livez, /readyz, /healthz; /metrics/slis */
int api_health(struct api_call *c);
int api_health_slis(struct api_call *c);
/* api_write.c: -1: refused, answered. */
int api_admit(struct api_call *c, const struct admit_request *r, bool validating);

/* api_http.c, api_watch.c, api_connect.c: HTTP only. api_http_answer frees the call. */
void api_http_answer(struct api_call *c, struct http_req *req);
void api_watch_start(struct api_call *c, struct http_req *req);
void api_watch_stop_all(struct api *api);
void api_http_stop(struct api *api);
void api_connect_start(struct api_call *c, struct http_req *req);
struct api_hops;
int api_hops_new(struct api_hops **out, const struct api_opts *opts, struct err *err);
struct api_hops *api_hops_free(struct api_hops *a);

/* The name of the type as Go prints it in a few texts: "core.ConfigMap". */
const char *api_internal_type(struct arena *a, const struct kind *k);

#endif
