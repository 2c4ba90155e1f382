/* plugins/admit/admit.h -- admission: what the cluster itself makes of a write before it is stored.
 *
 * Rows pick themselves by kind, subresource and verb and run in the fixed order: mutating ones
 * before the schema's validation, validating ones after it. Runs on the job thread of the write.
 */
#ifndef PLUGINS_ADMIT_ADMIT_H
#define PLUGINS_ADMIT_ADMIT_H

#include "core/base/env.h"
#include "core/object/codec.h"
#include "core/object/object.h"
#include "core/object/status.h"

enum admit_verb { ADMIT_CREATE = 1, ADMIT_UPDATE = 2, ADMIT_DELETE = 4 };

/* What plugins may look up; any thread. The result is a reference or NULL. */
struct admit_lookup {
    struct object *(*get)(void *ctx, const struct kind *kind, const char *ns, const char *name);
    void *ctx;
};

struct admit_lua;                       /* admit_lua.h */

/* What the cluster's owner may set otherwise. */
struct admit_settings { int64_t not_ready_s, unreachable_s; };   /* tolerations of all pods */
#define ADMIT_TOLERATION_S 300

struct admit_request {
    struct arena *a;
    const struct env *env;
    const struct admit_lookup *lookup;
    enum admit_verb verb;
    const struct kind *kind;
    const char *subresource;            /* "" for none */
    const char *ns, *name;              /* name "" on create with generateName */
    const char *user;
    /* canonical; mutating plugins change it in place; NULL on delete */
    struct json *object;
    const struct json *old;             /* NULL on create */
    bool dry_run;
    struct codec_notes *warnings;
    struct admit_lua *lua;              /* plugins of others, after our own; NULL: none */
    const struct admit_settings *settings;
};

/* NULL: go on. Else the refusal, to be answered as it is. */
struct status *admit_mutate(const struct admit_request *r);
struct status *admit_validate(const struct admit_request *r);

#endif
