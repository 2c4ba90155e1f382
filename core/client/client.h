/* core/client/client.h -- the door through which controllers, scheduler, node, proxy and DNS see
 * the cluster: get, list, watch and write objects. In the control role it is called in process
 * (core/api), elsewhere over HTTPS (client_http.c), in tests it is tests/fake/fake_client.c.
 *
 * Everything is asynchronous on one loop: a call starts it, completion arrives as a callback from
 * the loop, never from inside the call. All functions on the loop that the client was made for.
 */
#ifndef CORE_CLIENT_CLIENT_H
#define CORE_CLIENT_CLIENT_H

#include "core/loop/loop.h"
#include "core/object/object.h"

struct client;

enum client_verb {
    CLIENT_GET,
    CLIENT_CREATE,
    CLIENT_UPDATE,
    CLIENT_PATCH_MERGE,
    CLIENT_PATCH_JSON,
    CLIENT_PATCH_STRATEGIC,
    CLIENT_DELETE,
    CLIENT_VERB_MAX
};

/* What came back. `code` is the HTTP status (0: the server could not be reached; err says why). */
struct client_result {
    int code;
    /* on 2xx, when the answer is an object of a known kind; borrowed */
    struct object *object;
    /* any other 2xx body (subresources) or the Status of a failure; may be NULL */
    const struct json *body;
    const char *reason;          /* Status.reason or "" */
    const char *message;         /* Status.message or "" */
};
static inline bool client_ok(const struct client_result *r)
{
    return r->code >= 200 && r->code < 300;
}

struct client_req {
    enum client_verb verb;
    const struct kind *kind;
    const char *ns, *name;       /* copied; ns "" for cluster-scoped; name NULL on create */
    const char *subresource;     /* "status", "binding", "scale", "token", ...; NULL for none */
    /* object, patch, or DeleteOptions; serialised before client_do returns */
    const struct json *body;
    const char *field_manager;   /* NULL: the client's own name */
    /* Delete. */
    const char *uid_precondition;
    const char *rv_precondition;
    int64_t grace_s;             /* -1: the object's own */
    const char *propagation;     /* "Background", "Foreground", "Orphan"; NULL: default */
    int64_t timeout_ms;          /* 0: 30 s */
    /* once; also on failure; may be NULL */
    void (*on_done)(const struct client_result *r, void *ctx);
    void *ctx;
};

enum client_event { CLIENT_ADDED, CLIENT_MODIFIED, CLIENT_DELETED, CLIENT_BOOKMARK };

struct client_watch_opts {
    const struct kind *kind;
    const char *ns;              /* "" or NULL: all */
    const char *label_selector, *field_selector;   /* NULL: all */
    /* List, then watch from there, for ever: reconnects, resumes, relists by itself.
     * on_sync(begin): a (re)list starts; every present object follows as on_event ADDED;
     * on_sync(end): complete: objects not seen since begin are gone. */
    void (*on_sync)(bool end, void *ctx);
    /* o borrowed; deleted: last state */
    void (*on_event)(enum client_event type, struct object *o, void *ctx);
    void *ctx;
};

struct client_watch;

struct client_ops {
    int (*do_req)(struct client *c, const struct client_req *req, struct err *err);
    int (*watch)(struct client *c, struct client_watch **out, const struct client_watch_opts *opts,
                 struct err *err);
    struct client_watch *(*watch_free)(struct client_watch *w);
    struct client *(*free)(struct client *c);
};

/* Embed as the first member of an implementation. */
struct client { const struct client_ops *ops; struct loop *loop; const char *name; };

/* -1 only for requests that cannot be sent at all (bad arguments); on_done is not called then. */
static inline int client_do(struct client *c, const struct client_req *req, struct err *err)
{
    return c->ops->do_req(c, req, err);
}
static inline int client_watch_new(struct client *c, struct client_watch **out,
                                   const struct client_watch_opts *o, struct err *err)
{
    return c->ops->watch(c, out, o, err);
}
/* An implementation's watch begins with this. */
struct client_watch { const struct client_ops *ops; };
static inline struct client_watch *client_watch_free(struct client_watch *w)
{
    return w ? w->ops->watch_free(w) : NULL;
}
static inline struct client *client_free(struct client *c) { return c ? c->ops->free(c) : NULL; }

#endif
