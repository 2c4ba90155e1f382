/* tests/fake/fake_client.h -- a cluster in memory behind the door core/client/client.h: for tests
 * of whatever reads and writes through a client, and for the simulator.
 *
 *     struct fake_client *f = fake_client_new(loop);
 *     fake_client_put(f, "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n");
 *     control_new(&control, fake_client_door(f), &opts, &err);
 *     fake_client_run(f);                                  until nothing more happens now
 *     pod = fake_client_get(f, kind_pod(), "default", "a");
 *
 * It behaves as the API does: uid, resourceVersion, creationTimestamp, generated names, defaults,
 * the rules of core/object/rules.h, 404/409/422, status apart from the rest, finalizers, graceful
 * deletion of pods on nodes, cluster addresses of Services (10.43.0.N), the subresources status,
 * finalize, binding, eviction, token. Not there: admission, except that nothing new is made in a
 * Terminating namespace; namespaces need not exist.
 *
 * A request takes effect when the loop comes to it; watches hear of it later still. Never from
 * inside a call.
 */
#ifndef TESTS_FAKE_FAKE_CLIENT_H
#define TESTS_FAKE_FAKE_CLIENT_H

#include "core/client/client.h"

struct fake_client;

struct fake_client *fake_client_new(struct loop *loop);
/* Requests that wait are answered with code 0 now. */
struct fake_client *fake_client_free(struct fake_client *f);
CLEANUP_DEFINE(struct fake_client, fake_client_free)

/* The fake's own door: lives as long as the fake; client_free() leaves it. */
struct client *fake_client_door(struct fake_client *f);
/* A further door to the same objects, for another part of the cluster; client_free() frees it. */
struct client *fake_client_open(struct fake_client *f, const char *name);
/* Steps the loop until a round has nothing to do. The clock stands. */
void fake_client_run(struct fake_client *f);
/* Moves the fake clock of the loop by this much, step by step, and runs in between. `env` is the
 * loop's. */
struct fake_env;
void fake_client_pass(struct fake_client *f, struct fake_env *env, int64_t ms, int64_t step_ms);

/* --- what a test does as if it were somebody else; takes effect at once, past the rules and past
 * faults. A text that is no object stops the test. */
/* YAML or JSON, one or several documents: made, or put in place of the one there. Gives the last,
 * borrowed. Missing uid, resourceVersion, creationTimestamp and name are filled in, defaults set;
 * namespace "default" where needed. */
struct object *fake_client_put(struct fake_client *f, const char *yaml);
/* Applies an RFC 7386 patch, in YAML, to any part of it; generation follows spec. Gives the
 * object, borrowed. */
struct object *fake_client_edit(struct fake_client *f, const struct kind *kind, const char *ns,
                                const char *name,
                                const char *yaml);
/* Away, without grace and whatever the finalizers. Fine when it is not there. */
void fake_client_drop(struct fake_client *f, const struct kind *kind, const char *ns,
                      const char *name);
/* As a DELETE by a user. `propagation` may be NULL. The HTTP code. */
int fake_client_delete(struct fake_client *f, const struct kind *kind, const char *ns,
                       const char *name,
                       const char *propagation);

/* --- looking */
struct object *fake_client_get(struct fake_client *f, const struct kind *kind, const char *ns,
                               const char *name);
size_t fake_client_count(const struct fake_client *f, const struct kind *kind);
/* *at = 0 first; NULL at the end. Order of creation. Borrowed; do not run the loop in between. */
struct object *fake_client_next(struct fake_client *f, const struct kind *kind, size_t *at);
/* Requests that took effect or failed so far; of kind NULL: of all. */
size_t fake_client_calls(const struct fake_client *f, enum client_verb verb,
                         const struct kind *kind);
size_t fake_client_writes(const struct fake_client *f);  /* every call but GET */

/* --- faults */
enum fake_client_when {
    FAKE_CLIENT_BEFORE,          /* the request has no effect */
    FAKE_CLIENT_AFTER,           /* it has, but the answer says otherwise */
};
/* The next n requests of this verb (and kind, unless NULL) are answered with `code`; 0: none
 * comes. */
void fake_client_fail(struct fake_client *f, enum client_verb verb, const struct kind *kind,
                      unsigned n, int code);
void fake_client_lose(struct fake_client *f, enum client_verb verb, const struct kind *kind,
                      unsigned n);
void fake_client_heal(struct fake_client *f);            /* no more faults */
/* Requests that wait for their turn have no effect and are answered with code 0 at once: their
 * sender died. */
void fake_client_cut(struct fake_client *f);
/* Watches (of this kind, unless NULL) lose what they had not yet heard, and list again. */
void fake_client_drop_watches(struct fake_client *f, const struct kind *kind);
/* Watches hear of a change this much later than the answer of its request; 0 at first: in a later
 * round. */
void fake_client_lag(struct fake_client *f, int64_t ms);
/* Called for each request before it takes effect. */
void fake_client_on_request(struct fake_client *f, void (*fn)(const struct client_req *req,
                                                              void *ctx), void *ctx);

#endif
