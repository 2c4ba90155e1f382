/* plugins/admit/admit_lua.h -- admission by Lua: every NAME.lua of a folder is a plugin
 * (plugins/lua).
 *
 * Plugins run in the order of their files' names, after the built-in ones of their phase. A
 * reload puts a whole new set in place: requests that run keep the set they began with, so none
 * is lost. A file that does not load keeps its former version, if there is one; either way the
 * log says what is wrong.
 *
 * Any thread: a plugin's machine is used by one at a time, under its own lock.
 */
#ifndef PLUGINS_ADMIT_ADMIT_LUA_H
#define PLUGINS_ADMIT_ADMIT_LUA_H

#include "plugins/admit/admit.h"

#define ADMIT_LUA_PLUGINS_MAX 64

struct admit_lua;
struct admit_lua *admit_lua_free(struct admit_lua *l);
CLEANUP_DEFINE(struct admit_lua, admit_lua_free)

/* dir: the open folder; taken. Loads nothing yet. */
struct admit_lua *admit_lua_new(int dir, const struct env *env);
/* Reads the folder; what changed is loaded. Returns how many files failed to load. */
unsigned admit_lua_reload(struct admit_lua *l);

/* As admit_mutate and admit_validate. */
struct status *admit_lua_mutate(struct admit_lua *l, const struct admit_request *r);
struct status *admit_lua_validate(struct admit_lua *l, const struct admit_request *r);

/* What plugins do, for people: told from any thread, texts live until it returns. Not of writes
 * that are dry runs, nor of Events. */
struct admit_lua_event {
    const char *plugin;                  /* its name */
    const char *reason;                  /* "Denied", "Failed", "Stopped", "FailedLoad" */
    const char *message;
};
void admit_lua_on_event(struct admit_lua *l,
                        void (*fn)(void *ctx, const struct admit_lua_event *e), void *ctx);

/* inro_plugin_calls_total, inro_plugin_duration_seconds, ...; any thread */
void admit_lua_metrics(struct admit_lua *l, struct buf *out);

/* One plugin for the eyes of a person; texts live until the next call with this set. */
struct admit_lua_row {
    const char *name, *file, *handlers;
    uint64_t calls, denied, failed, stopped;
    const char *error;                   /* the last one; "": none */
    int64_t error_s;                     /* when, since 1970 */
    bool broken;                         /* the file does not load; handlers are the former's */
};
/* Walks a copy of the figures, on one thread: *at = 0 first. */
bool admit_lua_next(struct admit_lua *l, size_t *at, struct admit_lua_row *out);

#endif
