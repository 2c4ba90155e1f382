/* plugins/lua/lua_host.h -- one plugin: a Lua program in a machine of its own, with limits and
 * no I/O.
 *
 * A plugin's file runs once when it is loaded. It declares itself and gives one or two
 * handlers:
 *
 *     plugin {
 *         name = "allow-registries",            -- default: the file's name
 *         kinds = { "Pod" },                    -- "Pod", "apps/Deployment", "*"; default: every
 *         kind
 *         operations = { "CREATE", "UPDATE" },  -- default: both; "DELETE" only for validate
 *         namespaces = { "team-*" },            -- globs; default: all
 *         exclude = { "kube-system" },
 *         failure = "Fail",                     -- or "Ignore": what an error or a limit means
 *     }
 *     function mutate(req) req.object.metadata.labels.team = "x" end
 *     function validate(req)
 *         if bad then deny("image %s is not allowed", image) end
 *         if odd then warn("...") end
 *     end
 *
 * req: operation, kind, apiVersion, resource, subresource, namespace, name, user, dryRun,
 * object, old; get(apiVersion, kind, namespace, name) looks an object up (read-only, or nil).
 * Objects are proxies: obj.spec.containers[1].image, #list, pairs, ipairs, table.insert work;
 * in mutate writes go to a copy that replaces the object when the handler returns; in validate
 * a write is an error. json.null is null. print() goes to the log (and to `inro plugin test`).
 *
 * Limits: LUA_HOST_TIME_MS of running and LUA_HOST_MEMORY_BYTES per machine; there is no file,
 * network, process, clock, randomness, debug, load or coroutine; finalizers are refused;
 * patterns whose search could take long are refused. A program cannot catch the end of its
 * time.
 *
 * Threads: a host is used by one thread at a time; its owner sees to it (admit_lua.c keeps a
 * lock).
 */
#ifndef PLUGINS_LUA_LUA_HOST_H
#define PLUGINS_LUA_LUA_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/cleanup.h"
#include "core/base/env.h"
#include "core/base/json.h"

#define LUA_HOST_TIME_MS 40                  /* the stop itself comes within 50 */
#define LUA_HOST_MEMORY_BYTES (16u << 20)
#define LUA_HOST_SOURCE_BYTES_MAX (1u << 20)
#define LUA_HOST_LIST_MAX 64                 /* entries of kinds, namespaces, exclude */
#define LUA_HOST_WARNINGS_MAX 16
/* of one denial, warning or printed line; cut past it */
#define LUA_HOST_TEXT_BYTES_MAX 4096
#define LUA_HOST_PATTERN_STEPS_MAX 4000000   /* estimated steps of one pattern search */

struct lua_host;

enum lua_operation { LUA_CREATE = 1, LUA_UPDATE = 2, LUA_DELETE = 4 };
enum lua_failure { LUA_FAIL, LUA_IGNORE };

struct lua_host_opts {
    const char *name;                        /* the file's, without .lua */
    struct slice source;                     /* text; bytecode is refused */
    const struct env *env;
    int64_t time_ms;                         /* 0: LUA_HOST_TIME_MS */
    size_t memory_bytes;                     /* 0: LUA_HOST_MEMORY_BYTES */
    void (*on_print)(void *ctx, const char *plugin, const char *line);   /* may be NULL */
    void *ctx;
};

/* What the file declares. Lists end with NULL; NULL: not given. */
struct lua_host_decl {
    const char *name;
    const char *const *kinds, *const *namespaces, *const *exclude;
    unsigned operations;                     /* enum lua_operation */
    enum lua_failure failure;
    bool mutates, validates;
};

struct lua_host_key { const char *api_version, *kind, *ns, *name; };

struct lua_host_request {
    struct arena *a;                         /* results live in it */
    enum lua_operation operation;
    const char *api_version, *kind, *resource, *subresource, *ns, *name, *user;
    bool dry_run;
    const struct json *object, *old;         /* NULL where there is none */
    /* A tree in a, or NULL: what get() finds. NULL: there is no look-up. */
    const struct json *(*get)(void *ctx, struct arena *a, const struct lua_host_key *key);
    void *ctx;
};

struct lua_host_verdict {
    const char *denied;                      /* the text of deny(); NULL: not denied */
    const char *warnings[LUA_HOST_WARNINGS_MAX];
    unsigned n_warnings;
    /* of mutate: the object as it should be; NULL: unchanged */
    struct json *object;
};

/* Loads and runs the file. ERR_INVALID: syntax or declaration, with file and line; ERR_TIMEOUT,
 * ERR_QUOTA: a limit. */
int lua_host_new(struct lua_host **out, const struct lua_host_opts *opts, struct err *err);
struct lua_host *lua_host_free(struct lua_host *h);
CLEANUP_DEFINE(struct lua_host, lua_host_free)
const struct lua_host_decl *lua_host_decl(const struct lua_host *h);
/* Does it want this request? group "" is core. */
bool lua_host_matches(const struct lua_host *h, enum lua_operation operation, const char *group,
                      const char *kind, const char *ns);

/* Run a handler. -1: it failed (ERR_FAILED with file, line and message), or a limit (ERR_TIMEOUT,
 * ERR_QUOTA); the failure policy is the caller's to apply. */
int lua_host_mutate(struct lua_host *h, const struct lua_host_request *r,
                    struct lua_host_verdict *out, struct err *err);
int lua_host_validate(struct lua_host *h, const struct lua_host_request *r,
                      struct lua_host_verdict *out, struct err *err);
size_t lua_host_memory(const struct lua_host *h);     /* bytes in use */

#endif
