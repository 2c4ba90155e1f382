/* control_impl.h -- what a controller is made of. Inside core/control only.
 *
 * A controller is a row (struct control_def): the kinds it watches, how their changes name its
 * keys, and one function that brings one key into order. That function runs as a pass:
 *
 *   - it reads informers and sends requests with control_do(); nothing waits inside it;
 *   - when all answers are there, pass->then runs (if set), and so on;
 *   - after the last: failed passes come again after a back-off, others after control_again().
 *
 * A key never runs twice at once, and not before the informers have seen what its former passes
 * wrote: every pass reads its own writes. So no pass does a thing twice because of an old cache.
 */
#ifndef CORE_CONTROL_CONTROL_IMPL_H
#define CORE_CONTROL_CONTROL_IMPL_H

#include "core/client/informer.h"
#include "core/client/recorder.h"
#include "core/control/control.h"
#include "core/loop/workq.h"
#include "core/object/object.h"

#define CONTROL_WATCHES_MAX 8            /* kinds that one controller hears of */
#define CONTROL_RUNNING_MAX 8            /* keys of one controller at once */
#define CONTROL_WROTE_MAX 4              /* kinds that one pass writes and waits for */
/* after this long a pass runs on the cache that there is */
#define CONTROL_STALE_MS 10000

struct controller;
struct pass;

struct control_watch {
    const struct kind *(*kind)(void);
    /* before NULL: added; after NULL: deleted. */
    void (*on_change)(struct controller *c, struct object *before, struct object *after);
};

struct control_def {
    const char *name;                    /* also the source of its Events */
    struct control_watch watches[CONTROL_WATCHES_MAX];
    /* Of every kind that is served and can be deleted. NULL: none but the watches. */
    void (*on_any)(struct controller *c, struct object *before, struct object *after);
    void (*reconcile)(struct pass *p);
    unsigned running_max;                /* 0: CONTROL_RUNNING_MAX */
    size_t state_bytes;                  /* of `state`: zeroed before init, freed after stop */
    /* All may be NULL. `start` runs when every informer is complete, before the first key. */
    int (*init)(struct controller *c, struct err *err);
    void (*start)(struct controller *c);
    void (*stop)(struct controller *c);
};

struct control_rv { const struct kind *kind; int64_t rv; };
struct control_need {                    /* revisions that the caches must have come to */
    struct control_rv v[CONTROL_WROTE_MAX];
    unsigned n;
    int64_t until_ms;
};

struct controller {
    const struct control_def *def;
    struct control *control;
    struct workq *queue;
    struct recorder *events;
    struct map *waiting;                 /* key -> struct control_need: its cache is too old */
    void *state;                         /* its own; NULL without state_bytes */
};


struct pass {
    struct controller *c;
    struct list link;
    struct arena *a;
    char key[OBJECT_KEY_BYTES], ns[OBJECT_KEY_BYTES], name[OBJECT_KEY_BYTES];
    unsigned pending;                    /* requests without an answer */
    bool failed;
    int64_t again_ms;                    /* below 0: not */
    void (*then)(struct pass *p);        /* when pending gets to 0; cleared before it runs */
    void *data;                          /* of the controller, in the arena */
    void (*cleanup)(struct pass *p);     /* before the pass goes, also when it is cut short */
    struct control_need wrote;
};

typedef void (*control_answer)(struct pass *p, const struct client_result *r, void *arg);

struct control {
    struct client *client;
    struct loop *loop;
    const struct env *env;
    struct control_opts opts;            /* texts are its own */
    struct informer *informers[KIND_ID_MAX];
    int64_t seen[KIND_ID_MAX];           /* newest revision that the informer told */
    unsigned n_informers, n_synced;
    _Atomic bool started;
    struct controller *controllers;
    unsigned n_controllers;
    struct list passes, ears;
    struct podnode *by_node;             /* podnode.h */
    struct control_live *live;
};

/* --- for controllers */

/* Walks the kinds of on_any; *id is 0 first; NULL at the end. */
const struct kind *control_next_kind(unsigned *id);
/* The shared copy of a kind; it exists because the controller (or another) watches it. */
struct informer *control_informer(const struct controller *c, const struct kind *kind);
/* by the pass's key */
struct object *control_get(const struct pass *p, const struct kind *kind);
int64_t control_now_s(const struct control *c);
/* NULL when there is no informer of this kind, or no such object. */
struct object *control_find(const struct controller *c, const struct kind *kind, const char *ns,
                            const char *name);
void control_enqueue(struct controller *c, const char *ns, const char *name);
void control_enqueue_object(struct controller *c, const struct object *o);
/* The key of the controlling owner, when that is of this kind. */
void control_enqueue_owner(struct controller *c, const struct object *o, const struct kind *kind);
void control_enqueue_after(struct controller *c, const struct object *o, int64_t ms);

/* Sends; on_done, ctx and timeout of the request are set here. `answer` may be NULL: then any
 * answer but 2xx fails the pass, except 404 to a delete. With one, it decides itself
 * (control_fail). */
void control_do(struct pass *p, struct client_req *req, control_answer answer, void *arg);
void control_fail(struct pass *p);
void control_again(struct pass *p, int64_t ms);        /* the earliest wins */
/* Usual requests. `tree` is the whole object. */
void control_create(struct pass *p, const struct kind *kind, const struct json *tree,
                    control_answer answer, void *arg);
void control_update(struct pass *p, const struct object *o, const struct json *tree,
                    control_answer answer, void *arg);
void control_update_status(struct pass *p, const struct object *o, const struct json *tree,
                           control_answer answer, void *arg);
void control_patch_merge(struct pass *p, const struct object *o, const struct json *patch,
                         control_answer answer, void *arg);
void control_patch_strategic(struct pass *p, const struct object *o, const struct json *patch,
                             control_answer answer, void *arg);
void control_delete(struct pass *p, const struct object *o, const char *propagation,
                    control_answer answer, void *arg);
/* Now, or in a later pass when its time (of the wall clock) has come. */
void control_delete_at(struct pass *p, const struct object *o, int64_t at_s);
bool control_is_terminating_ns(const struct client_result *r);   /* refused: its namespace goes */

/* --- the table (control.c): one row each */
extern const struct control_def deployment_control, replicaset_control, sactl_control,
    rootca_control, endpointslice_control, gcowner_control, nsctl_control, eventttl_control,
    nodelife_control, nodecidr_control, nodeevict_control, podgc_control,
    tokenctl_control, csrapprove_control, csrsign_control, tokenclean_control,
    csrclean_control, nodepass_control;

#endif
