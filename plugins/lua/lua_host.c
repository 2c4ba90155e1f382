/* plugins/lua/lua_host.c -- the machine: loading, limits, calling handlers. */
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "core/base/check.h"
#include "plugins/lua/lua_host_impl.h"

#define WRITES_CAP_BYTES (128u << 20)        /* of the arena of writes; its owner stops far below */

struct lua_host *lua_host_of(lua_State *l)
{
    return *(struct lua_host **)lua_getextraspace(l);
}

/* --- limits */

/* What so many bytes take: malloc keeps a size beside them and rounds up. */
static size_t taken(size_t bytes)
{
    return bytes ? (bytes + sizeof(size_t) + 15) & ~(size_t)15 : 0;
}

static void *allocate(void *ctx, void *p, size_t old, size_t new)
{
    struct lua_host *h = ctx;
    size_t had = p ? taken(old) : 0;         /* without p, `old` is a kind of object */
    void *got;

    if (new == 0) {
        h->used -= had;
        return mem_free(p);
    }
    if (new > h->max || (taken(new) > had && h->used - had + taken(new) > h->max))
        return NULL;
    got = mem_try_grow(p, new);
    if (got)
        h->used = h->used - had + taken(new);
    return got;
}

static void look_at_clock(lua_State *l, lua_Debug *ar)
{
    struct lua_host *h = lua_host_of(l);

    (void)ar;
    if (h->expired || env_mono_ms(h->o.env) >= h->deadline_ms) {
        h->expired = true;
        luaL_error(l, "the time limit of %d ms is reached", (int)h->o.time_ms);
    }
}

/* What a call took up to the limit is no part of what a plugin costs from then on. */
static void give_back(struct lua_host *h)
{
    lua_gc(h->lua, LUA_GCCOLLECT);           /* there are no finalizers: the sandbox refuses __gc */
    mem_trim(h->max / 4);
}

/* Pops the error of a failed call. */
static int tell(struct lua_host *h, int status, struct err *err)
{
    const char *text = lua_type(h->lua, -1) == LUA_TSTRING ? lua_tostring(h->lua, -1)
                                                           : "the error is no text";

    if (h->expired)
        err_set(err, ERR_TIMEOUT, "plugin %s: %s", h->o.name, text);
    else if (status == LUA_ERRMEM)
        err_set(err, ERR_QUOTA, "plugin %s: the memory limit of %zu KiB is reached", h->o.name,
                h->max >> 10);
    else
        err_set(err, ERR_FAILED, "plugin %s: %s", h->o.name, text);
    lua_settop(h->lua, 0);
    if (status == LUA_ERRMEM)
        give_back(h);
    return -1;
}

/* Runs a C function in the machine, with limits. */
static int run(struct lua_host *h, lua_CFunction f, struct err *err)
{
    int status;

    h->expired = false;
    h->deadline_ms = env_mono_ms(h->o.env) + h->o.time_ms;
    if (!lua_checkstack(h->lua, LUA_MINSTACK))
        return err_set(err, ERR_QUOTA, "plugin %s: no stack", h->o.name);
    lua_pushcfunction(h->lua, f);            /* a light function: takes no memory */
    status = lua_pcall(h->lua, 0, 0, 0);
    if (status != LUA_OK)
        return tell(h, status, err);
    lua_settop(h->lua, 0);
    return 0;
}

const char *lua_host_format(lua_State *l, int first, struct arena *a)
{
    size_t len;
    const char *text;

    luaL_checkany(l, first);
    if (lua_gettop(l) > first) {
        lua_getglobal(l, "string");
        lua_getfield(l, -1, "format");
        lua_remove(l, -2);
        lua_insert(l, first);
        lua_call(l, lua_gettop(l) - first, 1);
    }
    text = luaL_tolstring(l, first, &len);
    if (len > LUA_HOST_TEXT_BYTES_MAX)
        len = LUA_HOST_TEXT_BYTES_MAX;

    struct buf *clean = &lua_host_of(l)->scratch;

    buf_clear(clean);
    buf_utf8(clean, text, len);
    return arena_strndup(a, clean->len ? clean->p : "", clean->len);
}

/* --- the declaration */

/* The list of texts at -1, or a single text, or nil. */
static const char *const *texts_of(lua_State *l, struct lua_host *h, const char *field)
{
    const char **out;
    lua_Integer n;

    lua_getfield(l, 1, field);
    if (lua_isnil(l, -1)) {
        lua_pop(l, 1);
        return NULL;
    }
    if (lua_type(l, -1) != LUA_TTABLE)
        luaL_error(l, "plugin: %s is a list of texts", field);
    n = luaL_len(l, -1);
    if (n < 1 || n > LUA_HOST_LIST_MAX)
        luaL_error(l, "plugin: %s has 1 to %d entries", field, LUA_HOST_LIST_MAX);
    out = arena_alloc(h->own, ((size_t)n + 1) * sizeof(*out));
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(l, -1, i);
        if (lua_type(l, -1) != LUA_TSTRING || lua_rawlen(l, -1) > 256)
            luaL_error(l, "plugin: %s is a list of texts of at most 256 bytes", field);
        out[i - 1] = arena_strdup(h->own, lua_tostring(l, -1));
        lua_pop(l, 1);
    }
    lua_pop(l, 1);
    return out;
}

static const struct { const char *name; enum lua_operation is; } operations[] = {
    { "CREATE", LUA_CREATE }, { "UPDATE", LUA_UPDATE }, { "DELETE", LUA_DELETE },
};

static unsigned operations_of(lua_State *l, struct lua_host *h)
{
    const char *const *names = texts_of(l, h, "operations");
    unsigned mask = names ? 0 : LUA_CREATE | LUA_UPDATE;

    for (; names && *names; names++) {
        size_t i = 0;

        while (i < ARRAY_LEN(operations) && !str_eq(operations[i].name, *names))
            i++;
        if (i == ARRAY_LEN(operations))
            luaL_error(l, "plugin: operations are CREATE, UPDATE and DELETE, not %s", *names);
        mask |= operations[i].is;
    }
    return mask;
}

static const char *const fields[] = { "name", "kinds", "operations", "namespaces", "exclude",
                                      "failure",
                                      "description" };

static void check_fields(lua_State *l)
{
    lua_pushnil(l);
    while (lua_next(l, 1)) {
        size_t i = 0;

        while (i < ARRAY_LEN(fields) &&
               !(lua_type(l, -2) == LUA_TSTRING && str_eq(fields[i], lua_tostring(l, -2))))
            i++;
        if (i == ARRAY_LEN(fields))
            luaL_error(l, "plugin: no such field: %s", luaL_tolstring(l, -2, NULL));
        lua_pop(l, 1);
    }
}

/* plugin { ... } */
static int declare(lua_State *l)
{
    struct lua_host *h = lua_host_of(l);
    const char *failure, *name;

    luaL_checktype(l, 1, LUA_TTABLE);
    if (h->declared)
        return luaL_error(l, "plugin: declared twice");
    check_fields(l);
    lua_getfield(l, 1, "name");
    if (!lua_isnil(l, -1)) {
        name = luaL_checkstring(l, -1);
        h->decl.name = arena_strndup(h->own, name, strnlen(name, 63));
    }
    h->decl.kinds = texts_of(l, h, "kinds");
    h->decl.namespaces = texts_of(l, h, "namespaces");
    h->decl.exclude = texts_of(l, h, "exclude");
    h->decl.operations = operations_of(l, h);
    lua_getfield(l, 1, "failure");
    failure = lua_isnil(l, -1) ? "Fail" : luaL_checkstring(l, -1);
    if (!str_eq(failure, "Fail") && !str_eq(failure, "Ignore"))
        return luaL_error(l, "plugin: failure is Fail or Ignore, not %s", failure);
    h->decl.failure = str_eq(failure, "Ignore") ? LUA_IGNORE : LUA_FAIL;
    h->declared = true;
    return 0;
}

/* --- loading */

static int open_machine(lua_State *l)
{
    lua_sandbox_open(l);
    lua_object_open(l);
    lua_pushcfunction(l, declare);
    lua_setglobal(l, "plugin");
    return 0;
}

static int load_source(lua_State *l)
{
    struct lua_host *h = lua_host_of(l);
    char chunk[80];

    snprintf(chunk, sizeof(chunk), "=%.60s.lua", h->o.name);
    if (luaL_loadbufferx(l, h->o.source.p, h->o.source.len, chunk, "t") != LUA_OK)
        return lua_error(l);
    lua_call(l, 0, 0);
    if (!h->declared)
        return luaL_error(l, "it does not declare itself: plugin { ... } is missing");
    h->decl.mutates = lua_getglobal(l, "mutate") == LUA_TFUNCTION;
    h->decl.validates = lua_getglobal(l, "validate") == LUA_TFUNCTION;
    if (!h->decl.mutates && !h->decl.validates)
        return luaL_error(l, "it has no handler: function mutate(req) or function validate(req)");
    return 0;
}

int lua_host_new(struct lua_host **out, const struct lua_host_opts *opts, struct err *err)
{
    _cleanup_(lua_host_freep) struct lua_host *h = NEW(struct lua_host);

    check(opts->name);
    check(opts->env);
    if (opts->source.len > LUA_HOST_SOURCE_BYTES_MAX)
        return err_set(err, ERR_QUOTA, "plugin %s: the file has more than %u bytes", opts->name,
                       LUA_HOST_SOURCE_BYTES_MAX);
    h->own = arena_new(0);
    h->o = *opts;
    h->o.name = arena_strdup(h->own, opts->name);
    h->o.time_ms = opts->time_ms ? opts->time_ms : LUA_HOST_TIME_MS;
    h->max = opts->memory_bytes ? opts->memory_bytes : LUA_HOST_MEMORY_BYTES;
    h->decl.name = h->o.name;
    h->lua = lua_newstate(allocate, h);
    if (!h->lua)
        return err_set(err, ERR_QUOTA, "plugin %s: no memory", opts->name);
    *(struct lua_host **)lua_getextraspace(h->lua) = h;
    if (run(h, open_machine, err) < 0)
        return -1;
    lua_sethook(h->lua, look_at_clock, LUA_MASKCOUNT, LUA_HOST_HOOK_STEPS);
    if (run(h, load_source, err) < 0) {
        if (err && err->code == ERR_FAILED)
            err->code = ERR_INVALID;
        return -1;
    }
    h->o.source = (struct slice){ 0 };       /* the caller's, and no longer needed */
    *out = TAKE(h);
    return 0;
}

struct lua_host *lua_host_free(struct lua_host *h)
{
    if (!h)
        return NULL;
    if (h->lua)
        lua_close(h->lua);
    arena_free(h->writes);
    arena_free(h->own);
    buf_deinit(&h->scratch);
    return mem_free(h);
}

const struct lua_host_decl *lua_host_decl(const struct lua_host *h)
{
    return &h->decl;
}

size_t lua_host_memory(const struct lua_host *h)
{
    return h->used;
}

/* --- matching */

static bool any_glob(const char *const *globs, const char *text)
{
    for (; globs && *globs; globs++)
        if (fnmatch(*globs, text, 0) == 0)
            return true;
    return false;
}

/* "Pod" is of any group; "apps/Deployment" of one; "core/Pod" is the empty one. */
static bool is_kind(const char *pattern, const char *group, const char *kind)
{
    const char *slash = strchr(pattern, '/');
    char text[400];

    if (!slash)
        return fnmatch(pattern, kind, 0) == 0;
    snprintf(text, sizeof(text), "%s/%s", *group ? group : "core", kind);
    return fnmatch(pattern, text, 0) == 0;
}

bool lua_host_matches(const struct lua_host *h, enum lua_operation operation, const char *group,
                      const char *kind, const char *ns)
{
    const char *const *k = h->decl.kinds;

    if (!(h->decl.operations & operation))
        return false;
    while (k && *k && !is_kind(*k, group, kind))
        k++;
    if (k && !*k)
        return false;
    if (h->decl.namespaces && !any_glob(h->decl.namespaces, ns))
        return false;
    return !any_glob(h->decl.exclude, ns);
}

/* --- handlers */

static int request_get(lua_State *l)
{
    struct lua_host *h = lua_host_of(l);
    const struct lua_host_request *r = h->request;
    const struct lua_host_key key = {
        .api_version = luaL_checkstring(l, 1), .kind = luaL_checkstring(l, 2),
        .ns = luaL_optstring(l, 3, ""), .name = luaL_checkstring(l, 4),
    };

    if (!r || !r->get)
        return luaL_error(l, "get is for handlers");
    lua_object_push(l, r->get(r->ctx, r->a, &key), false);
    return 1;
}

static void set_text(lua_State *l, const char *field, const char *text)
{
    lua_pushstring(l, text ? text : "");
    lua_setfield(l, -2, field);
}

static void push_request(lua_State *l, const struct lua_host_request *r, struct json *object)
{
    size_t i = 0;

    while (operations[i].is != r->operation)
        i++;
    lua_newtable(l);
    set_text(l, "operation", operations[i].name);
    set_text(l, "kind", r->kind);
    set_text(l, "apiVersion", r->api_version);
    set_text(l, "resource", r->resource);
    set_text(l, "subresource", r->subresource);
    set_text(l, "namespace", r->ns);
    set_text(l, "name", r->name);
    set_text(l, "user", r->user);
    lua_pushboolean(l, r->dry_run);
    lua_setfield(l, -2, "dryRun");
    lua_object_push(l, object ? object : r->object, object != NULL);
    lua_setfield(l, -2, "object");
    lua_object_push(l, r->old, false);
    lua_setfield(l, -2, "old");
    lua_pushcfunction(l, request_get);
    lua_setglobal(l, "get");
}

static int call_validate(lua_State *l)
{
    struct lua_host *h = lua_host_of(l);

    lua_getglobal(l, "validate");
    push_request(l, h->request, NULL);
    lua_call(l, 1, 0);
    return 0;
}

static int call_mutate(lua_State *l)
{
    struct lua_host *h = lua_host_of(l);
    _Static_assert(sizeof(lua_Integer) == sizeof(int64_t), "JSON integers are Lua integers");

    lua_getglobal(l, "mutate");
    push_request(l, h->request, h->verdict->object);
    lua_call(l, 1, 0);
    return 0;
}

/* A denial ends the handler by an error of its own. */
static int call(struct lua_host *h, lua_CFunction f, const struct lua_host_request *r,
                struct lua_host_verdict *v, struct err *err)
{
    int result;

    h->request = r;
    h->verdict = v;
    result = run(h, f, err);
    if (result < 0 && v->denied && !h->expired) {
        err_clear(err);
        result = 0;
    }
    h->request = NULL;
    h->verdict = NULL;
    return result;
}

int lua_host_validate(struct lua_host *h, const struct lua_host_request *r,
                      struct lua_host_verdict *out, struct err *err)
{
    struct lua_host_verdict v = { 0 };

    check(h->decl.validates);
    if (call(h, call_validate, r, &v, err) < 0)
        return -1;
    *out = v;
    return 0;
}

int lua_host_mutate(struct lua_host *h, const struct lua_host_request *r,
                    struct lua_host_verdict *out, struct err *err)
{
    struct lua_host_verdict v = { 0 };
    _cleanup_(arena_freep) struct arena *writes = NULL;
    int result;

    check(h->decl.mutates);
    check(r->object);
    writes = arena_new(WRITES_CAP_BYTES);
    v.object = json_clone(writes, r->object);
    h->writes = writes;
    result = call(h, call_mutate, r, &v, err);
    h->writes = NULL;
    if (result < 0)
        return -1;
    if (v.denied || json_equal(v.object, r->object)) {
        v.object = NULL;
    } else {
        _cleanup_buf_ struct buf text = BUF_INIT;

        json_write(&text, v.object);
        if (text.len > LUA_HOST_OBJECT_BYTES_MAX)
            return err_set(err, ERR_QUOTA, "plugin %s: it made the object larger than %u bytes",
                           h->o.name, LUA_HOST_OBJECT_BYTES_MAX);
        v.object = json_clone(r->a, v.object);
    }
    *out = v;
    return 0;
}
