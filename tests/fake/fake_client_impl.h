/* fake_client_impl.h -- between the files of the fake client. */
#ifndef TESTS_FAKE_FAKE_CLIENT_IMPL_H
#define TESTS_FAKE_FAKE_CLIENT_IMPL_H

#include "core/base/map.h"
#include "core/base/vec.h"
#include "core/object/codec.h"
#include "core/object/selector.h"
#include "tests/fake/fake_client.h"

struct fake_event {
    enum client_event type;
    struct object *object;                   /* reference */
    int64_t due_ms;
};

struct fake_watch {
    struct client_watch watch;               /* first */
    struct fake_client *owner;
    struct list link;
    struct client_watch_opts opts;
    char *ns;
    struct selector *labels;
    struct fieldsel *fields;
    struct loop_timer timer;
    bool listed;                             /* false: the next turn lists */
    VEC(struct fake_event) queue;
};

struct fake_fault {
    enum client_verb verb;
    const struct kind *kind;
    unsigned left;
    int code;
    enum fake_client_when when;
};

/* A request as it waits for its turn: everything copied. */
struct fake_call {
    struct list link;
    struct arena *a;
    struct client_req req;
    /* the answer */
    int code;
    const char *reason, *message;
    struct object *object;                   /* reference */
    struct json *body;
};

struct fake_door {
    struct client client;                    /* first */
    struct fake_client *owner;
    char *name;
    bool own;                                /* the one inside struct fake_client */
};

struct fake_client {
    struct loop *loop;
    struct fake_door door;
    struct map *objects[KIND_ID_MAX];        /* key -> struct object, by stored kind */
    int64_t rv;
    unsigned next_ip, next_port;
    struct list watches, calls;
    struct loop_timer turn;
    VEC(struct fake_fault) faults;
    size_t counts[CLIENT_VERB_MAX][KIND_ID_MAX];
    int64_t lag_ms;
    void (*on_request)(const struct client_req *req, void *ctx);
    void *ctx;
};

/* fake_client_store.c: the request takes effect and its answer is filled in. */
void fake_client_execute(struct fake_client *f, struct fake_call *c);
/* The tree becomes the object under its name, with a new revision; watches will hear. */
struct object *fake_client_store(struct fake_client *f, struct arena *a, const struct kind *kind,
                                 struct json *tree);
/* Gives the last state, with the revision of the deletion: a reference. */
struct object *fake_client_remove(struct fake_client *f, struct object *o, struct arena *a);
/* Fills in what every new object has. */
void fake_client_fill(struct fake_client *f, struct arena *a, struct json *meta);
/* fake_client.c: tells the watches. `before` NULL: created; `after` NULL: deleted, `last` is its
 * final state. */
void fake_client_publish(struct fake_client *f, struct object *before, struct object *after,
                         struct object *last);

#endif
