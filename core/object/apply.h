/* core/object/apply.h -- server-side apply: who manages which field, and merging what a manager
 * wants into an object (metadata.managedFields, structured merge).
 *
 * Works on trees of one version of a kind; results share nodes with what is passed in. Every write
 * passes through apply_update() or apply_apply(), so that managedFields is always true to the
 * object.
 */
#ifndef CORE_OBJECT_APPLY_H
#define CORE_OBJECT_APPLY_H

#include "core/base/env.h"
#include "core/object/kind.h"
#include "core/object/rules.h"
#include "core/object/status.h"

#define APPLY_MANAGERS_MAX 10            /* of operation Update; the oldest become one */

struct apply_ctx {
    struct arena *a;
    const struct env *env;
    const struct kind *kind;             /* of the trees */
    const char *manager;                 /* fieldManager, or the user agent up to "/" */
    const char *subresource;             /* "" or "status", ... */
    bool force;                          /* an apply takes fields from other managers */
    struct causes *conflicts;            /* of an apply that does not */
};

/* The manager's name that a user agent stands for. */
const char *apply_manager_of(struct arena *a, const char *user_agent);

/* A create (live NULL) or update: sets metadata.managedFields of obj, a canonical, defaulted tree,
 * from what live had and what differs. A client resets them by [{}]. */
void apply_update(const struct apply_ctx *c, struct json *obj, const struct json *live);

/* Merges `config` into live (NULL: there is none yet) and drops what this manager applied before
 * and does not any more. out is not canonical and has managedFields set; it is NULL when the object
 * and its managers stay as they are. -1: conflicts with other managers, unless force, or else a
 * config that does not fit the schema (err). */
int apply_apply(const struct apply_ctx *c, struct json **out, const struct json *live,
                const struct json *config, struct err *err);
/* Whether two managedFields differ in nothing but times: such a write changes nothing. */
bool apply_same_managers(const struct json *x, const struct json *y);
/* The answer to a client whose apply met conflicts: 409 with each field and who has it. */
struct status *apply_conflict(struct arena *a, const struct causes *conflicts);

#endif
