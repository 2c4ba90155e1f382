/* plugins/lua/lua_object.c -- objects as a program sees them: proxies over JSON trees, lists
 * counted from 1. */
#include <string.h>

#include "core/base/check.h"
#include "plugins/lua/lua_host_impl.h"

#define PROXY "inro.object"
#define ARRAY_NAME "inro.array"              /* metatable of json.array{} */
#define DEPTH_MAX 100
#define NODES_MAX 100000                     /* of one written value */

struct proxy { struct json *node; bool writable; };

static const char null_value;                /* its address is json.null, and where it is kept */

void lua_object_push(lua_State *l, const struct json *v, bool writable)
{
    struct proxy *p;

    switch (v ? v->type : JSON_NULL) {
    case JSON_BOOL: lua_pushboolean(l, v->b); return;
    case JSON_INT: lua_pushinteger(l, v->i); return;
    case JSON_FLOAT: lua_pushnumber(l, v->d); return;
    case JSON_STRING: lua_pushlstring(l, v->s, v->len); return;
    case JSON_ARRAY: case JSON_OBJECT:
        p = lua_newuserdatauv(l, sizeof(*p), 0);
        p->node = (struct json *)v;
        p->writable = writable;
        luaL_setmetatable(l, PROXY);
        return;
    default:
        if (v)
            lua_pushlightuserdata(l, (void *)&null_value);
        else
            lua_pushnil(l);
    }
}

/* --- Lua value -> JSON */

struct conversion { lua_State *l; struct arena *a; unsigned nodes, depth; };

static struct json *to_json(struct conversion *c, int at);

static void charge(struct lua_host *h, lua_State *l)
{
    if (!h->writes || arena_used(h->writes) > LUA_HOST_WRITES_BYTES_MAX)
        luaL_error(l, "too much is written into the object");
}

static bool is_array(lua_State *l, int at)
{
    bool marked;

    if (!lua_getmetatable(l, at)) {
        lua_Integer n = (lua_Integer)lua_rawlen(l, at);

        return n > 0;
    }
    luaL_getmetatable(l, ARRAY_NAME);
    marked = lua_rawequal(l, -1, -2);
    lua_pop(l, 2);
    return marked || lua_rawlen(l, at) > 0;
}

static struct json *table_to_json(struct conversion *c, int at)
{
    lua_State *l = c->l;
    struct json *out;

    if (is_array(l, at)) {
        out = json_array(c->a);
        for (lua_Integer i = 1, n = (lua_Integer)lua_rawlen(l, at); i <= n; i++) {
            lua_rawgeti(l, at, i);
            json_append(c->a, out, to_json(c, lua_gettop(l)));
            lua_pop(l, 1);
        }
        return out;
    }
    out = json_object(c->a);
    lua_pushnil(l);
    while (lua_next(l, at)) {
        size_t len;
        const char *key;

        if (lua_type(l, -2) != LUA_TSTRING)
            luaL_error(l, "the keys of an object are texts, not %s", luaL_typename(l, -2));
        key = lua_tolstring(l, -2, &len);
        json_setn(c->a, out, key, len, to_json(c, lua_gettop(l)));
        lua_pop(l, 1);
    }
    json_sort_keys(out);                     /* lua_next has no order worth keeping */
    return out;
}

static unsigned count_nodes(const struct json *v)
{
    unsigned n = 1;

    if (json_is(v, JSON_ARRAY))
        for (uint32_t i = 0; i < v->len; i++)
            n += count_nodes(v->items[i]);
    if (json_is(v, JSON_OBJECT))
        for (uint32_t i = 0; i < v->len; i++)
            n += count_nodes(v->members[i].val);
    return n;
}

static struct json *to_json(struct conversion *c, int at)
{
    lua_State *l = c->l;
    struct proxy *p;
    struct json *out;
    size_t len;
    const char *s;

    luaL_checkstack(l, 8, "too deep");
    if (++c->nodes > NODES_MAX || c->depth > DEPTH_MAX)
        luaL_error(l, "the value is too %s", c->depth > DEPTH_MAX ? "deep" : "large");
    charge(lua_host_of(l), l);
    switch (lua_type(l, at)) {
    case LUA_TBOOLEAN: return json_bool(c->a, lua_toboolean(l, at));
    case LUA_TNUMBER:
        return lua_isinteger(l, at) ? json_int(c->a, lua_tointeger(l, at))
                                    : json_float(c->a, lua_tonumber(l, at));
    case LUA_TSTRING:
        s = lua_tolstring(l, at, &len);
        return json_strn(c->a, s, len);
    case LUA_TTABLE:
        c->depth++;
        out = table_to_json(c, at);
        c->depth--;
        return out;
    case LUA_TLIGHTUSERDATA: return json_null(c->a);
    case LUA_TUSERDATA:
        p = luaL_testudata(l, at, PROXY);
        if (p) {
            c->nodes += count_nodes(p->node);
            if (c->nodes > NODES_MAX)
                luaL_error(l, "the value is too large");
            return json_clone(c->a, p->node);
        }
        /* fall through */
    default:
        luaL_error(l, "a %s cannot be part of an object", luaL_typename(l, at));
        return NULL;
    }
}

/* --- the metatable */

static struct proxy *proxy_of(lua_State *l)
{
    return luaL_checkudata(l, 1, PROXY);
}

static int proxy_index(lua_State *l)
{
    struct proxy *p = proxy_of(l);
    const struct json *v = NULL;
    size_t len;

    if (p->node->type == JSON_ARRAY && lua_isinteger(l, 2)) {
        lua_Integer i = lua_tointeger(l, 2);

        if (i >= 1 && i <= (lua_Integer)p->node->len)
            v = p->node->items[i - 1];
    } else if (p->node->type == JSON_OBJECT && lua_type(l, 2) == LUA_TSTRING) {
        const char *key = lua_tolstring(l, 2, &len);

        v = json_getn(p->node, key, len);
    }
    lua_object_push(l, v, p->writable);
    return 1;
}

static int set_item(lua_State *l, struct arena *a, struct json *list, struct json *v)
{
    lua_Integer i = luaL_checkinteger(l, 2), n = (lua_Integer)list->len;

    if (i < 1 || i > n + 1)
        return luaL_error(l, "index %d is outside of the list (1 to %d)", (int)i, (int)n + 1);
    if (v && i <= n)
        list->items[i - 1] = v;
    else if (v)
        json_append(a, list, v);
    else if (i == n)
        json_remove(list, (size_t)i - 1);
    else if (i < n)
        return luaL_error(l, "only the last item can be set to nil; use table.remove");
    return 0;
}

static int proxy_newindex(lua_State *l)
{
    struct lua_host *h = lua_host_of(l);
    struct proxy *p = proxy_of(l);
    struct conversion c = { .l = l, .a = h->writes };
    struct json *v = NULL;
    const char *key;
    size_t len;

    if (!p->writable || !h->writes)
        return luaL_error(l, "this object is read-only");
    if (!lua_isnil(l, 3))
        v = to_json(&c, 3);
    if (p->node->type == JSON_ARRAY)
        return set_item(l, h->writes, p->node, v);
    key = luaL_checklstring(l, 2, &len);
    if (v)
        json_setn(h->writes, p->node, key, len, v);
    else if (strlen(key) == len)
        json_del(p->node, key);
    return 0;
}

static int proxy_len(lua_State *l)
{
    lua_pushinteger(l, (lua_Integer)json_len(proxy_of(l)->node));
    return 1;
}

static int proxy_eq(lua_State *l)
{
    struct proxy *a = luaL_testudata(l, 1, PROXY), *b = luaL_testudata(l, 2, PROXY);

    lua_pushboolean(l, a && b && json_equal(a->node, b->node));
    return 1;
}

static int proxy_tostring(lua_State *l)
{
    struct buf *text = &lua_host_of(l)->scratch;     /* the host's: an error below loses nothing */

    buf_clear(text);
    json_write(text, proxy_of(l)->node);
    lua_pushlstring(l, text->p, text->len);
    return 1;
}

/* pairs walks a copy of the keys: upvalues are the proxy, the keys, and how far we are. */
static int proxy_step(lua_State *l)
{
    struct proxy *p = luaL_checkudata(l, lua_upvalueindex(1), PROXY);
    lua_Integer i = lua_tointeger(l, lua_upvalueindex(3)) + 1;
    const char *key;
    size_t len;

    lua_pushinteger(l, i);
    lua_replace(l, lua_upvalueindex(3));
    if (p->node->type == JSON_ARRAY) {
        if (i > (lua_Integer)p->node->len)
            return 0;
        lua_pushinteger(l, i);
        lua_object_push(l, p->node->items[i - 1], p->writable);
        return 2;
    }
    if (lua_rawgeti(l, lua_upvalueindex(2), i) == LUA_TNIL)
        return 0;
    key = lua_tolstring(l, -1, &len);
    lua_object_push(l, json_getn(p->node, key, len), p->writable);
    return 2;
}

static int proxy_pairs(lua_State *l)
{
    struct proxy *p = proxy_of(l);
    lua_Integer n = 0;

    lua_pushvalue(l, 1);
    lua_newtable(l);
    json_each_member(m, p->node) {
        lua_pushlstring(l, m->key, m->key_len);
        lua_rawseti(l, -2, ++n);
    }
    lua_pushinteger(l, 0);
    lua_pushcclosure(l, proxy_step, 3);
    return 1;
}

static const luaL_Reg proxy_methods[] = {
    { "__index", proxy_index }, { "__newindex", proxy_newindex }, { "__len", proxy_len },
    { "__eq", proxy_eq }, { "__tostring", proxy_tostring }, { "__pairs", proxy_pairs }, { NULL,
                                                                                          NULL },
};

/* json.array(t): a table that is a list also when it is empty. */
static int json_array_of(lua_State *l)
{
    if (lua_isnoneornil(l, 1))
        lua_newtable(l);
    else
        luaL_checktype(l, 1, LUA_TTABLE);
    luaL_setmetatable(l, ARRAY_NAME);
    return 1;
}

void lua_object_open(lua_State *l)
{
    luaL_newmetatable(l, PROXY);
    luaL_setfuncs(l, proxy_methods, 0);
    lua_pushliteral(l, "object");
    lua_setfield(l, -2, "__metatable");
    luaL_newmetatable(l, ARRAY_NAME);
    lua_pushliteral(l, "array");
    lua_setfield(l, -2, "__metatable");
    lua_pop(l, 2);
    lua_newtable(l);
    lua_pushcfunction(l, json_array_of);
    lua_setfield(l, -2, "array");
    lua_pushlightuserdata(l, (void *)&null_value);
    lua_setfield(l, -2, "null");
    lua_setglobal(l, "json");
}
