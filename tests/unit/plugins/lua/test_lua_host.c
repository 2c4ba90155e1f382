/* Plugins: what they can do, and what they cannot. */
#include "core/base/json.h"
#include "plugins/lua/lua_host.h"
#include "tests/harness/test.h"

static struct lua_host *host(const char *source)
{
    struct lua_host_opts o = { .name = "t", .source = slice_of(source), .env = env_real() };
    struct lua_host *h = NULL;
    struct err err = ERR_INIT;

    EXPECT_OK(lua_host_new(&h, &o, &err), &err);
    return h;
}

static struct json *parse(struct arena *a, const char *text)
{
    struct json *v = NULL;
    struct err err = ERR_INIT;

    EXPECT_OK(json_parse(&v, a, text, strlen(text), NULL, &err), &err);
    return v;
}

static const char pod[] =
    "{\"metadata\":{\"name\":\"p\",\"labels\":{\"b\":\"2\",\"a\":\"1\"}},\"spec\":{\"containers\":["
    "{\"name\":\"x\",\"image\":\"a/b:1\"},{\"name\":\"y\",\"image\":\"c/d:2\"}],\"n\":3,\"f\":1.5,\"t\":true,"
    "\"z\":null,\"empty\":[]}}";

static struct lua_host_request request(struct arena *a)
{
    return (struct lua_host_request){ .a = a, .operation = LUA_CREATE, .api_version = "v1",
                                      .kind = "Pod",
                                      .resource = "pods", .ns = "default", .name = "p", .user =
                                          "admin",
                                      .object = parse(a, pod) };
}

/* Runs mutate with this body; the object after it as text. */
static void expect_mutate(const char *body, const char *want)
{
    struct arena *a = arena_new(0);
    struct lua_host_request r = request(a);
    struct lua_host_verdict v = { 0 };
    struct buf text = BUF_INIT;
    char source[2000];
    struct lua_host *h;
    struct err err = ERR_INIT;

    snprintf(source, sizeof(source), "plugin {}\nfunction mutate(req) local o = req.object %s end",
             body);
    h = host(source);
    EXPECT_OK(lua_host_mutate(h, &r, &v, &err), &err);
    if (!want) {
        EXPECT(!v.object);
    } else {
        EXPECT(v.object);
        json_write(&text, json_get(v.object, "spec"));
        EXPECT_STR(text.p, want);
    }
    buf_deinit(&text);
    lua_host_free(h);
    arena_free(a);
}

/* Runs validate with this body: denied with this text, or not at all. */
static void expect_validate(const char *body, const char *denied)
{
    struct arena *a = arena_new(0);
    struct lua_host_request r = request(a);
    struct lua_host_verdict v = { 0 };
    char source[2000];
    struct lua_host *h;
    struct err err = ERR_INIT;

    snprintf(source, sizeof(source),
             "plugin {}\nfunction validate(req) local o = req.object %s end", body);
    h = host(source);
    EXPECT_OK(lua_host_validate(h, &r, &v, &err), &err);
    EXPECT_STR(v.denied, denied);
    lua_host_free(h);
    arena_free(a);
}

TEST(declares)
{
    struct lua_host *h =
        host("plugin { name = 'n', kinds = { 'Pod', 'apps/*' }, operations = { 'DELETE' },\n"
                              "  namespaces = { 'team-*' }, exclude = { 'team-x' }, failure = 'Ignore' }\n"
                              "function validate() end");
    const struct lua_host_decl *d = lua_host_decl(h);

    EXPECT_STR(d->name, "n");
    EXPECT_STR(d->kinds[1], "apps/*");
    EXPECT(!d->kinds[2]);
    EXPECT_EQ(d->operations, LUA_DELETE);
    EXPECT_EQ(d->failure, LUA_IGNORE);
    EXPECT(d->validates && !d->mutates);
    EXPECT(lua_host_matches(h, LUA_DELETE, "", "Pod", "team-a"));
    EXPECT(lua_host_matches(h, LUA_DELETE, "apps", "Deployment", "team-a"));
    EXPECT(!lua_host_matches(h, LUA_DELETE, "", "Secret", "team-a"));
    EXPECT(!lua_host_matches(h, LUA_CREATE, "", "Pod", "team-a"));
    EXPECT(!lua_host_matches(h, LUA_DELETE, "", "Pod", "team-x"));
    EXPECT(!lua_host_matches(h, LUA_DELETE, "", "Pod", "other"));
    lua_host_free(h);
}

TEST(bad_declarations)
{
    static const struct { const char *source, *why; } rows[] = {
        { "", "it does not declare itself" },
        { "plugin {}", "it has no handler" },
        { "plugin { kinds = 'Pod' } function validate() end", "kinds is a list of texts" },
        { "plugin { kinds = {} } function validate() end", "kinds has 1 to 64 entries" },
        { "plugin { operations = { 'READ' } } function validate() end", "not READ" },
        { "plugin { failure = 'x' } function validate() end", "failure is Fail or Ignore, not x" },
        { "plugin { kindz = {} } function validate() end", "no such field: kindz" },
        { "plugin {} plugin {} function validate() end", "declared twice" },
        { "plugin {", "t.lua:1: " },
        { "plugin {}\nfunction validate()\n  x = = 1\nend", "t.lua:3: " },
        { "\x1bLua", "attempt to load a binary chunk" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct lua_host_opts o = { .name = "t", .source = slice_of(rows[i].source),
                                   .env = env_real() };
        struct lua_host *h = NULL;
        struct err err = ERR_INIT;

        EXPECT_ERR(lua_host_new(&h, &o, &err), &err, ERR_INVALID);
        if (!strstr(err.msg, rows[i].why))
            test_fail(__FILE__, __LINE__, "row %zu: %s", i, err.msg);
        EXPECT(!h);
    }
}

TEST(reads)
{
    expect_validate("if o.spec.containers[2].image ~= 'c/d:2' then deny('a') end", NULL);
    expect_validate("if #o.spec.containers ~= 2 then deny('a') end", NULL);
    expect_validate("if o.nothing ~= nil or o.spec.containers[3] ~= nil then deny('a') end", NULL);
    expect_validate("if o.spec.z ~= json.null then deny('a') end", NULL);
    expect_validate("local s = '' for k, v in pairs(o.metadata.labels) do s = s .. k .. v end deny(s)", "b2a1");
    expect_validate("local s = '' for i, c in ipairs(o.spec.containers) do s = s .. i .. c.name end deny(s)",
                    "1x2y");
    expect_validate("local s = '' for i, c in pairs(o.spec.containers) do s = s .. i .. c.name end deny(s)",
                    "1x2y");
    expect_validate("deny('%s %d %s', o.spec.f, o.spec.n, o.spec.t)", "1.5 3 true");
    expect_validate("deny(tostring(o.metadata.labels))", "{\"b\":\"2\",\"a\":\"1\"}");
    expect_validate("if o.metadata == req.object.metadata then deny('same') end", "same");
    expect_validate("deny(req.operation .. req.kind .. req.apiVersion .. req.namespace .. req.user)",
                    "CREATEPodv1defaultadmin");
    expect_validate("pcall(deny, 'through pcall') deny('not reached')", "through pcall");
}

TEST(writes)
{
    expect_mutate("o.spec = { a = 1 }", "{\"a\":1}");
    expect_mutate("o.spec = { list = { 'x', { y = true } }, none = json.array(), obj = {}, null = json.null }",
                  "{\"list\":[\"x\",{\"y\":true}],\"none\":[],\"null\":null,\"obj\":{}}");
    expect_mutate("local s = o.spec o.spec = { c = s.containers }",
                  "{\"c\":[{\"image\":\"a/b:1\",\"name\":\"x\"},{\"image\":\"c/d:2\",\"name\":\"y\"}]}");
    expect_mutate("o.spec = { l = o.spec.empty } o.spec.l[1] = 'a' table.insert(o.spec.l, 'c') "
                  "table.insert(o.spec.l, 2, 'b')", "{\"l\":[\"a\",\"b\",\"c\"]}");
    expect_mutate("o.spec = { l = { 1, 2, 3 } } table.remove(o.spec.l, 1)", "{\"l\":[2,3]}");
    expect_mutate("for k in pairs(o.spec) do o.spec[k] = nil end", "{}");
    expect_mutate("local x = o.metadata.name", NULL);
    expect_mutate("o.metadata.name = 'p'", NULL);
    expect_mutate("o.metadata.labels.c = nil", NULL);
}

TEST(handlers_that_fail)
{
    static const struct { const char *body, *why; } rows[] = {
        { "o.spec.x = 1", "read-only" },
        { "req.object.spec.containers[1].image = 'x'", "read-only" },
        { "error('mine')", "t.lua:2: mine" },
        { "local x = o.a.b.c", "attempt to index a nil value" },
        { "error({})", "the error is no text" },
        { "nosuch()", "attempt to call a nil value" },
        { "deny()", "bad argument" },
        { "get('v1', 'Pod', '', 'x')", "get is for handlers" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena *a = arena_new(0);
        struct lua_host_request r = request(a);
        struct lua_host_verdict v = { 0 };
        char source[1000];
        struct lua_host *h;
        struct err err = ERR_INIT;

        snprintf(source, sizeof(source),
                 "plugin {}\nfunction validate(req) local o = req.object %s end",
                 rows[i].body);
        h = host(source);
        EXPECT_ERR(lua_host_validate(h, &r, &v, &err), &err, ERR_FAILED);
        if (!strstr(err.msg, rows[i].why))
            test_fail(__FILE__, __LINE__, "row %zu: %s", i, err.msg);
        lua_host_free(h);
        arena_free(a);
    }
}

/* Each must end by itself, within the limits, and leave the machine usable. The text: part of
 * the error. */
static const struct { const char *body, *why; } hostile[] = {
    /* time */
    { "while true do end", "time limit" },
    { "repeat until false", "time limit" },
    { "for i = 1, math.maxinteger do end", "time limit" },
    { "local function f() return f() end f()", "time limit" },
    { "while true do pcall(function() while true do end end) end", "time limit" },
    { "pcall(pcall, function() while true do end end) deny('survived')", "time limit" },
    { "local t = setmetatable({}, { __index = function(t, k) while true do end end }) local x = t.a",
      "time limit" },
    { "table.sort({ 3, 1, 2 }, function() while true do end end)", "time limit" },
    { "string.gsub('aaa', 'a', function() while true do end end)", "time limit" },
    { "setmetatable({}, { __close = function() while true do end end }) local t <close> = "
      "setmetatable({}, { __close = function() while true do end end })", "time limit" },
    { "local t = setmetatable({}, { __len = function() while true do end end }) local n = #t",
      "time limit" },
    { "tostring(setmetatable({}, { __tostring = function() while true do end end }))",
      "time limit" },
    { "string.find(('a'):rep(100000), '.-.-.-.-b')", "pattern could take too long" },
    { "string.match(('a'):rep(30000), '.-b')", "pattern could take too long" },
    { "local s = ('a'):rep(3000) s:gsub('.*.*.*b', '')", "pattern could take too long" },
    { "for w in (('a'):rep(100000)):gmatch('%bab') do end", "pattern could take too long" },
    { "string.find(('a'):rep(60), '.-.-.-.-.-.-.-b')", "pattern could take too long" },
    { "string.rep('', math.maxinteger) while true do end", "time limit" },
    { "table.insert(setmetatable({}, { __len = function() return 1 << 60 end }), 1, 1)",
      "too long" },
    { "table.remove(setmetatable({}, { __len = function() return 1 << 60 end }), 1)", "too long" },
    { "table.move({}, 1, math.maxinteger - 1, 2)", "too many elements" },
    { "table.unpack({}, 1, 1 << 40)", "too many elements" },
    { "table.unpack({}, math.mininteger, 1)", "too many elements" },
    { "table.concat(setmetatable({}, { __len = function() return 1 << 60 end }))", "too long" },
    /* memory */
    { "local t = {} while true do t[#t + 1] = ('x'):rep(1000) end", "limit" },
    { "local s = 'x' while true do s = s .. s end", "memory limit" },
    { "string.rep('x', 1 << 40)", "" },
    { "string.rep('x', 1 << 30)", "memory limit" },
    { "local t = {} for i = 1, 1 << 30 do t[i] = i end", "limit" },
    { "local s = ('x'):rep(1 << 20) local t = {} for i = 1, 100 do t[i] = s .. i end",
      "memory limit" },
    { "table.concat({ ('x'):rep(1 << 22), ('x'):rep(1 << 22), ('x'):rep(1 << 22) })",
      "memory limit" },
    { "local t = table.pack(('x'):rep(1 << 20):byte(1, -1))", "" },
    { "error(('x'):rep(1 << 22))", "x" },
    { "local function f(n) local a, b, c, d = n, n, n, n return 1 + f(n + 1) end f(1)", "limit" },
    { "local t = {} t[1] = t error(tostring(#t) .. tostring(rawlen(t)))", "11" },
    /* out of the box */
    { "os.execute('true')", "nil value (global 'os')" },
    { "io.open('/etc/passwd')", "nil value (global 'io')" },
    { "debug.getinfo(1)", "nil value (global 'debug')" },
    { "require('os')", "nil value (global 'require')" },
    { "package.loadlib('x', 'y')", "nil value (global 'package')" },
    { "load('return 1')()", "nil value (global 'load')" },
    { "loadstring('return 1')()", "nil value (global 'loadstring')" },
    { "loadfile('/etc/passwd')", "nil value (global 'loadfile')" },
    { "dofile('/etc/passwd')", "nil value (global 'dofile')" },
    { "collectgarbage('stop')", "nil value (global 'collectgarbage')" },
    { "coroutine.wrap(function() while true do end end)()", "nil value (global 'coroutine')" },
    { "string.dump(function() end)", "nil value (field 'dump')" },
    { "local f = ('').dump f(function() end)", "call a nil value" },
    { "math.random()", "nil value (field 'random')" },
    { "xpcall(function() end, function() end)", "nil value (global 'xpcall')" },
    { "_G.os.exit()", "nil value (field 'os')" },
    { "getmetatable('').__index.dump(function() end)", "" },
    { "getmetatable('').__index = nil", "" },
    { "getmetatable(o).__index = nil", "" },
    { "setmetatable(o, {})", "table expected" },
    { "setmetatable({}, { __gc = function() while true do end end })",
      "finalizers are not allowed" },
    { "setmetatable(setmetatable({}, { __metatable = 1 }), {})", "protected metatable" },
    { "rawset(o, 'a', 1)", "table expected" },
    { "rawget(o, 'a')", "table expected" },
    { "local e = getmetatable(req.object) error(type(e))", "string" },
    { "next(o)", "table expected" },
    { "_ENV = nil x = 1", "nil value (upvalue '_ENV')" },
    { "goto = 1", "" },
    { "plugin { }", "declared twice" },
    { "string.format('%d', 'x')", "number expected" },
    { "string.format('%999d', 1)", "invalid conversion" },
    { "(('x'):rep(300)):find(('('):rep(40))", "" },
};

TEST_SLOW(hostile_scripts, 60)
{
    EXPECT(ARRAY_LEN(hostile) >= 60);
    for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
        struct arena *a = arena_new(0);
        struct lua_host_request r = request(a);
        struct lua_host_verdict v = { 0 };
        struct lua_host *h = NULL;
        char source[1000];
        struct err err = ERR_INIT;

        snprintf(source, sizeof(source),
                 "plugin {}\nfunction validate(req) if req.dryRun then return end local o = req.object %s end",
                 hostile[i].body);
        struct lua_host_opts o = { .name = "t", .source = slice_of(source), .env = env_real() };

        if (lua_host_new(&h, &o, &err) == 0) {
            int64_t before = env_mono_ms(env_real());

            if (lua_host_validate(h, &r, &v, &err) == 0)
                test_fail(__FILE__, __LINE__, "it got through: %s", hostile[i].body);
            /* it ended; how fast is for a bench */
            EXPECT(env_mono_ms(env_real()) - before < 10000);
            EXPECT(lua_host_memory(h) <= LUA_HOST_MEMORY_BYTES);
            if (!strstr(err.msg, hostile[i].why))
                test_fail(__FILE__, __LINE__, "%s: %s", hostile[i].body, err.msg);
            r.dry_run = true;
            err_clear(&err);
            EXPECT_OK(lua_host_validate(h, &r, &v, &err), &err);   /* usable as before */
            EXPECT(!v.denied);
        }
        lua_host_free(h);
        arena_free(a);
    }
}

/* The same in mutate: too much written, cycles, too deep. */
TEST_SLOW(hostile_writes, 60)
{
    static const struct { const char *body, *why; } rows[] = {
        { "while true do o.spec.x = ('x'):rep(1000) end", "" },
        { "local t = {} t.t = t o.spec.x = t", "too deep" },
        { "local t = {} for i = 1, 200 do t = { t } end o.spec.x = t", "too deep" },
        { "for i = 1, 40 do o.spec.x = { o.spec, o.spec } end", "too l" },
        { "o.spec.x = function() end", "cannot be part of an object" },
        { "o.spec.x = print", "cannot be part of an object" },
        { "o.spec.x = { [1.5] = 1 }", "keys of an object are texts" },
        { "o.spec.containers[7] = 1", "outside of the list" },
        { "o.spec.containers.x = 1", "number expected" },
        { "o.spec.containers[1] = nil", "only the last item" },
        { "for i = 1, 100000 do table.insert(o.spec.empty, ('x'):rep(100)) end", "" },
        { "o.spec.x = ('x'):rep(4 << 20)", "larger than" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena *a = arena_new(0);
        struct lua_host_request r = request(a);
        struct lua_host_verdict v = { 0 };
        struct lua_host *h;
        char source[1000];
        struct err err = ERR_INIT;

        snprintf(source, sizeof(source),
                 "plugin {}\nfunction mutate(req) local o = req.object %s end",
                 rows[i].body);
        h = host(source);
        if (lua_host_mutate(h, &r, &v, &err) == 0)
            test_fail(__FILE__, __LINE__, "it got through: %s", rows[i].body);
        if (!strstr(err.msg, rows[i].why))
            test_fail(__FILE__, __LINE__, "%s: %s", rows[i].body, err.msg);
        lua_host_free(h);
        arena_free(a);
    }
}

static const struct json *look_up(void *ctx, struct arena *a, const struct lua_host_key *key)
{
    struct json *v;

    (void)ctx;
    if (!str_eq(key->name, "there"))
        return NULL;
    v = json_object(a);
    json_set(a, v, "is", json_fmt(a, "%s/%s/%s", key->api_version, key->kind, key->ns));
    return v;
}

TEST(looks_up)
{
    struct arena *a = arena_new(0);
    struct lua_host_request r = request(a);
    struct lua_host_verdict v = { 0 };
    struct lua_host *h = host("plugin {}\nfunction validate(req)\n"
                              "warn('a %s', get('v1', 'Namespace', 'x', 'there').is)\n"
                              "warn(tostring(get('v1', 'Namespace', '', 'gone'))) end");
    struct err err = ERR_INIT;

    r.get = look_up;
    EXPECT_OK(lua_host_validate(h, &r, &v, &err), &err);
    EXPECT_EQ(v.n_warnings, 2);
    EXPECT_STR(v.warnings[0], "a v1/Namespace/x");
    EXPECT_STR(v.warnings[1], "nil");
    lua_host_free(h);
    arena_free(a);
}
