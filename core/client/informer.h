/* core/client/informer.h -- a local, always current copy of one kind: what deciders read.
 *
 * Lives on the client's loop. Objects are shared, immutable snapshots. Several handlers may listen.
 */
#ifndef CORE_CLIENT_INFORMER_H
#define CORE_CLIENT_INFORMER_H

#include "core/client/client.h"

struct informer;

struct informer_opts {
    const struct kind *kind;
    const char *ns, *label_selector, *field_selector;     /* as in client_watch_opts */
};

int informer_new(struct informer **out, struct client *c, const struct informer_opts *opts,
                 struct err *err);
struct informer *informer_free(struct informer *i);
CLEANUP_DEFINE(struct informer, informer_free)
bool informer_synced(const struct informer *i);           /* the first list is complete */
/* borrowed or NULL */
struct object *informer_get(const struct informer *i, const char *ns, const char *name);
size_t informer_len(const struct informer *i);
/* Walk: *at = 0 first; NULL at the end. Insertion order. Do not change the informer meanwhile. */
struct object *informer_next(const struct informer *i, size_t *at);
/* Walk over the objects controlled by this owner uid (index kept for all). */
struct object *informer_next_owned(const struct informer *i, const char *owner_uid, size_t *at);

/* before NULL: added; after NULL: deleted; both: changed. During relists only real differences are
 * told. Called after the informer holds the new state. */
typedef void (*informer_fn)(struct object *before, struct object *after, void *ctx);
void informer_on_change(struct informer *i, informer_fn fn, void *ctx);
/* called once, or at once from the loop */
void informer_on_synced(struct informer *i, void (*fn)(void *ctx), void *ctx);

#endif
