/* plugins/lua/lua_sandbox.c -- the globals of a program: an allow-list of Lua's own, a few of
 * them with a guard.
 *
 * Guards close what the instruction hook cannot see: loops inside C functions (patterns,
 * string.rep of nothing, table functions on a made-up length), finalizers (they run without
 * hooks), and pcall as a way to survive the end of one's time. */
#include <lualib.h>
#include <string.h>

#include "plugins/lua/lua_host_impl.h"

#define LENGTH_MAX 1000000                   /* of a list in insert, remove, move, unpack */

/* --- guards */

static int guard_pcall(lua_State *l)
{
    struct lua_host *h = lua_host_of(l);
    int status;

    luaL_checkany(l, 1);
    status = lua_pcall(l, lua_gettop(l) - 1, LUA_MULTRET, 0);
    if (h->expired || (h->verdict && h->verdict->denied))
        return lua_error(l);                 /* an end is an end */
    lua_pushboolean(l, status == LUA_OK);
    lua_insert(l, 1);
    return lua_gettop(l);
}

static int guard_setmetatable(lua_State *l)
{
    luaL_checktype(l, 1, LUA_TTABLE);
    luaL_argexpected(l, lua_istable(l, 2) || lua_isnil(l, 2), 2, "nil or table");
    if (lua_istable(l, 2)) {
        lua_pushstring(l, "__gc");
        if (lua_rawget(l, 2) != LUA_TNIL)
            return luaL_error(l, "finalizers are not allowed");
        lua_pop(l, 1);
    }
    if (luaL_getmetafield(l, 1, "__metatable") != LUA_TNIL)
        return luaL_error(l, "cannot change a protected metatable");
    lua_settop(l, 2);
    lua_setmetatable(l, 1);
    return 1;
}

/* Calls the original, which is the first upvalue, with all arguments. */
static int call_original(lua_State *l)
{
    lua_pushvalue(l, lua_upvalueindex(1));
    lua_insert(l, 1);
    lua_call(l, lua_gettop(l) - 1, LUA_MULTRET);
    return lua_gettop(l);
}

static int guard_rep(lua_State *l)
{
    size_t len, sep = 0;

    luaL_checklstring(l, 1, &len);
    luaL_optlstring(l, 3, "", &sep);
    if (len + sep == 0) {
        lua_pushliteral(l, "");
        return 1;
    }
    return call_original(l);
}

/* A search backs up over every item that repeats: about length ^ repeats steps, once per start. */
static int guard_pattern(lua_State *l)
{
    size_t len, pattern_len;
    const char *pattern;
    double steps = 1;
    bool anchored;

    luaL_checklstring(l, 1, &len);
    pattern = luaL_checklstring(l, 2, &pattern_len);
    anchored = pattern_len && pattern[0] == '^';
    for (size_t i = anchored; i < pattern_len; i++) {
        if (pattern[i] == '%') {
            if (i + 1 < pattern_len && pattern[i + 1] == 'b')
                steps *= (double)len + 1;
            i++;
        } else if (strchr("*+-", pattern[i])) {
            steps *= (double)len + 1;
        }
    }
    if (!anchored)
        steps *= (double)len + 1;
    if (len > 64 && steps > LUA_HOST_PATTERN_STEPS_MAX)
        return luaL_error(l,
                          "this pattern could take too long on %d bytes: anchor it with ^, or use "
                             "fewer of * + -", (int)len);
    if (len <= 64 && steps > 1e9)
        return luaL_error(l, "this pattern could take too long: use fewer of * + -");
    return call_original(l);
}

static int guard_length(lua_State *l)
{
    luaL_argcheck(l, luaL_len(l, 1) <= LENGTH_MAX, 1, "the list is too long");
    return call_original(l);
}

static int guard_move(lua_State *l)
{
    lua_Integer from = luaL_checkinteger(l, 2), to = luaL_checkinteger(l, 3);

    luaL_argcheck(l, to < from || (from > 0 && to - from < LENGTH_MAX), 3, "too many elements");
    return call_original(l);
}

static int guard_unpack(lua_State *l)
{
    lua_Integer from = luaL_optinteger(l, 2, 1);
    lua_Integer to = lua_isnoneornil(l, 3) ? luaL_len(l, 1) : luaL_checkinteger(l, 3);

    luaL_argcheck(l, to < from || (from > -LENGTH_MAX && to < LENGTH_MAX), 3, "too many elements");
    return call_original(l);
}

/* --- our own */

static int own_print(lua_State *l)
{
    struct lua_host *h = lua_host_of(l);
    luaL_Buffer b;

    if (!h->o.on_print)
        return 0;
    luaL_buffinit(l, &b);
    for (int i = 1, n = lua_gettop(l); i <= n; i++) {
        if (i > 1)
            luaL_addchar(&b, '\t');
        luaL_tolstring(l, i, NULL);
        luaL_addvalue(&b);
    }
    luaL_pushresult(&b);

    char line[LUA_HOST_TEXT_BYTES_MAX];

    snprintf(line, sizeof(line), "%s", lua_tostring(l, -1));
    h->o.on_print(h->o.ctx, h->o.name, line);
    return 0;
}

static int own_deny(lua_State *l)
{
    struct lua_host *h = lua_host_of(l);

    if (!h->verdict)
        return luaL_error(l, "deny is for handlers");
    h->verdict->denied = lua_host_format(l, 1, h->request->a);
    return luaL_error(l, "denied");
}

static int own_warn(lua_State *l)
{
    struct lua_host *h = lua_host_of(l);

    if (!h->verdict)
        return luaL_error(l, "warn is for handlers");
    if (h->verdict->n_warnings < LUA_HOST_WARNINGS_MAX)
        h->verdict->warnings[h->verdict->n_warnings++] = lua_host_format(l, 1, h->request->a);
    return 0;
}

/* --- the allow-list */

struct allowed { const char *name; lua_CFunction guard; };      /* guard NULL: as it is */

static const struct allowed base_names[] = {
    { "assert", NULL }, { "error", NULL }, { "ipairs", NULL }, { "next", NULL }, { "pairs", NULL },
    { "pcall", guard_pcall }, { "rawequal", NULL }, { "rawget", NULL }, { "rawlen", NULL },
    { "rawset", NULL }, { "select", NULL }, { "setmetatable", guard_setmetatable },
    { "getmetatable", NULL }, { "tonumber", NULL }, { "tostring", NULL }, { "type", NULL },
    { "print", own_print }, { "deny", own_deny }, { "warn", own_warn }, { NULL, NULL },
};
static const struct allowed string_names[] = {
    { "byte", NULL }, { "char", NULL }, { "format", NULL }, { "len", NULL }, { "lower", NULL },
    { "reverse", NULL }, { "sub", NULL }, { "upper", NULL }, { "rep", guard_rep },
    { "find", guard_pattern }, { "match", guard_pattern }, { "gmatch", guard_pattern },
    { "gsub", guard_pattern }, { NULL, NULL },
};
static const struct allowed table_names[] = {
    { "concat", guard_length }, { "insert", guard_length }, { "remove", guard_length },
    { "sort", guard_length }, { "pack", NULL }, { "unpack", guard_unpack }, { "move", guard_move },
    { NULL, NULL },
};
static const struct allowed math_names[] = {
    { "abs", NULL }, { "ceil", NULL }, { "floor", NULL }, { "fmod", NULL }, { "huge", NULL },
    { "max", NULL }, { "maxinteger", NULL }, { "min", NULL }, { "mininteger", NULL }, { "modf",
                                                                                        NULL },
    { "pi", NULL }, { "sqrt", NULL }, { "tointeger", NULL }, { "type", NULL }, { "ult", NULL },
    { NULL, NULL },
};
static const struct allowed utf8_names[] = {
    { "char", NULL }, { "charpattern", NULL }, { "codepoint", NULL }, { "codes", NULL },
    { "len", NULL }, { "offset", NULL }, { NULL, NULL },
};

static const struct {
    const char *name;
    lua_CFunction open;
    const struct allowed *names;
} libraries[] = {
    { "string", luaopen_string, string_names },
    { "table", luaopen_table, table_names },
    { "math", luaopen_math, math_names },
    { "utf8", luaopen_utf8, utf8_names },
};

/* Copies what is allowed from the library at -1 into the table at -2; pops the library. */
static void copy_allowed(lua_State *l, const struct allowed *names)
{
    for (; names->name; names++) {
        lua_getfield(l, -1, names->name);
        if (names->guard)
            lua_pushcclosure(l, names->guard, 1);        /* the original is its upvalue */
        lua_setfield(l, -3, names->name);
    }
    lua_pop(l, 1);
}

void lua_sandbox_open(lua_State *l)
{
    lua_newtable(l);                                     /* what will be the globals */
    luaL_requiref(l, LUA_GNAME, luaopen_base, 0);
    copy_allowed(l, base_names);
    for (size_t i = 0; i < ARRAY_LEN(libraries); i++) {
        lua_newtable(l);
        luaL_requiref(l, libraries[i].name, libraries[i].open, 0);
        copy_allowed(l, libraries[i].names);
        lua_setfield(l, -2, libraries[i].name);
    }
    /* ("x"):method() finds the guarded functions, and nobody finds the real ones behind them */
    lua_pushliteral(l, "");
    lua_getmetatable(l, -1);
    lua_getfield(l, -3, "string");
    lua_setfield(l, -2, "__index");
    lua_pushliteral(l, "string");
    lua_setfield(l, -2, "__metatable");
    lua_pop(l, 2);
    lua_pushvalue(l, -1);
    lua_setfield(l, -2, LUA_GNAME);
    lua_rawseti(l, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_pushnil(l);                                      /* the originals, where require looks */
    lua_setfield(l, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
}
