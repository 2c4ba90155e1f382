/* plugins/lua/lua_host_impl.h -- private: the machine behind a host, and its two halves: what a
 * program may call (lua_sandbox.c), and objects as it sees them (lua_object.c). All functions
 * but the allocator run inside a protected call. */
#ifndef PLUGINS_LUA_LUA_HOST_IMPL_H
#define PLUGINS_LUA_LUA_HOST_IMPL_H

#include <lauxlib.h>
#include <lua.h>

#include "plugins/lua/lua_host.h"

#define LUA_HOST_HOOK_STEPS 1000             /* instructions between two looks at the clock */
#define LUA_HOST_WRITES_BYTES_MAX (16u << 20)    /* of all that one mutate writes into an object */
#define LUA_HOST_OBJECT_BYTES_MAX (3u << 20)     /* about; of the object when mutate returns */

struct lua_host {
    lua_State *lua;
    struct lua_host_opts o;                  /* texts copied into own */
    struct arena *own;
    struct lua_host_decl decl;
    bool declared;
    size_t used, max;                        /* bytes of the machine */
    int64_t deadline_ms;
    bool expired;                            /* the time is over: nothing catches that */
    /* While a handler runs: */
    const struct lua_host_request *request;
    struct lua_host_verdict *verdict;
    struct arena *writes;                    /* of mutate; NULL: objects are read-only */
    struct buf scratch;
};

struct lua_host *lua_host_of(lua_State *l);
/* Formats the arguments from `first` on as string.format does (one argument: as it is) into the
 * arena. */
const char *lua_host_format(lua_State *l, int first, struct arena *a);

/* lua_sandbox.c: fills the globals. */
void lua_sandbox_open(lua_State *l);
/* lua_object.c */
void lua_object_open(lua_State *l);          /* metatables and the table json */
/* A proxy, or a plain value for texts, numbers, booleans; nil for NULL. */
void lua_object_push(lua_State *l, const struct json *v, bool writable);

#endif
