-- generate.lua [--report] SCHEMADIR OUTDIR: the *.schema files -> constant tables, run by build.sh.
--
-- Writes schema_tables.h, schema_tables.c and schema_flags.h (types and fields), kinds.h and
-- kinds.c (what is served where), views.h and views.c (typed views, generate_views.lua),
-- schema_docs.c (docs.txt). --report
-- prints the bytes of the tables per kind and writes nothing.
--
-- The notation. One statement a line; a line that begins with 4 or more blanks continues the
-- statement (after "..." even the word). Words with blanks or signs are quoted. '#' begins a
-- comment line.
--
--   package core.v1 gv=v1 pb=k8s.io.api.core.v1 openapi=io.k8s.api.core.v1
--       What follows belongs to it: type ids are PACKAGE.NAME, group and version of kinds, prefixes
--       of the protobuf and OpenAPI names.
--   kind pods Pod singular=pod namespaced|cluster [served] [volatile] [on=0] [allns] [wpath]
--     verbs get list ...          short po      categories all
--     store version=v1 key=pods hash=x [versions=v1,v1beta1] [preferred=v1]
--     rules [put-creates] [unconditional-put] [returns-deleted] [generation="1; +1 Spec"]
--         [delete=orphan]
--     query list=q2 ...                                            query sets are in index.schema
--     sub status Pod verbs=get,patch [gv=autoscaling/v1] [connect] [tail] [req=TYPE] [resp=TYPE]
--     column Name string [format=name] [priority=1] cell="where the cell comes from"
--   type PodSpec [kind[=GVK,...]] [pb=-|NAME] [openapi=-|NAME] [scalar] [same=TYPE] [map=atomic]
--           [unions="JSON"] [introduced=1.0] [deprecated=..] [rules="..."] [coded] [either]
--       coded: codec_default.c has defaults for it. either: its JSON is that of the one field that
--       is set.
--     NUMBER NAME TYPE FLAG...
--       NUMBER is protobuf's ('-': none). NAME '-' embeds the fields of TYPE. TYPE: string bool
--       int32 int64 double bytes quantity intOrString time microTime duration raw fieldsV1 json
--       any, a type of this package, or PACKAGE.NAME; '*' optional (a pointer), '[]' list, '{}' map
--       with string keys.
--       always          written even when empty (no omitempty)
--       omitzero        left out when zero
--       required, +required, +optional, nullable     as OpenAPI has it; as the source marks it
--       default=X       the default that OpenAPI documents too
--       set=X           the default that only the server knows
--       enum=A,B        all values there are; known=A,B: values with a meaning, others allowed
--       list=atomic|set|map(KEYS)      merging under server-side apply;  map=atomic|granular
--       patch=merge,retainKeys(KEY)    strategic merge
--       one=GROUP, discriminator       unions
--       zero, nozero    whether OpenAPI's default is the zero value, where not as usual
--       go=NAME         the Go type in decode errors;  pn=NAME: protobuf name;  wire=b|v;  wrap=1|2
--       format=X, gate=GATE,..., rules="declarative validation tags"
--
-- views.schema: which fields the typed views hold, see there.
local report = arg[1] == "--report"
if report then table.remove(arg, 1) end
local dir, outdir = arg[1], arg[2]
assert(dir, "usage: generate.lua [--report] SCHEMADIR OUTDIR")

-- reading ----------------------------------------------------------------------------------------
local function split_words(text)
    local words = {}
    if not text:find('"', 1, true) then
        for word in text:gmatch("%S+") do words[#words + 1] = word end
        return words
    end
    local at = text:find("%S")
    while at do
        local from = at
        while true do
            local stop = text:find('[%s"]', at)
            if not stop then at = #text + 1; break end
            if text:sub(stop, stop) ~= '"' then at = stop; break end
            local close = stop + 1
            while text:sub(close, close) ~= '"' do
                if text:sub(close, close) == "\\" then close = close + 1 end
                close = close + 1
                assert(close <= #text, "open quote: " .. text)
            end
            at = close + 1
        end
        words[#words + 1] = text:sub(from, at - 1)
        at = text:find("%S", at)
    end
    return words
end
local function unquote(v)
    if v:sub(1, 1) ~= '"' then return v end
    return (v:sub(2, -2):gsub("\\(.)", "%1"))
end
-- 'a,"b c",d' -> a list
local function list_of(text)
    local out, at = {}, 1
    while at <= #text do
        local stop
        if text:sub(at, at) == '"' then
            stop = at + 1
            while text:sub(stop, stop) ~= '"' do
                stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
            end
            stop = stop + 1
        else
            stop = text:find(",", at, true) or #text + 1
        end
        out[#out + 1] = unquote(text:sub(at, stop - 1))
        at = stop + 1
    end
    return out
end
local function flags_of(words, from)
    local flags = {}
    for i = from, #words do
        local key, value = words[i]:match("^([%w%.+-]+)=(.*)$")
        if key then flags[key] = value else flags[words[i]] = true end
    end
    return flags
end
-- Calls each(words, indented) for every statement of a file.
local function statements(path, each)
    local text, indented, number = nil, false, 0
    local function flush()
        if not text then return end
        local ok, e = pcall(each, split_words(text), indented)
        if not ok then error(path .. ":" .. number .. ": " .. e, 0) end
    end
    for line in io.lines(path) do
        number = number + 1
        local rest = line:match("^    +(.*)$")
        if rest then
            if rest:sub(1, 3) == "..." then text = text .. rest:sub(4) else text = text .. " " ..
                rest end
        elseif line ~= "" and line:sub(1, 1) ~= "#" then
            flush()
            text, indented = line, line:sub(1, 1) == " "
        end
    end
    flush()
end

local types, by_id, kinds, groups, querysets = {}, {}, {}, {}, {}
local views = {}
local bases = { string = 0, bool = 1, int32 = 2, int64 = 3, double = 4, bytes = 5, quantity = 6,
    intOrString = 7, time = 8, microTime = 9, duration = 10, raw = 11, fieldsV1 = 12, json = 13,
        any = 14 }
local STRUCT = 15

local function parse_field(package, words)
    local f = { number = words[1] ~= "-" and math.tointeger(tonumber(words[1])) or 0, name =
        words[2] }
    local t = words[3]
    f.flags = flags_of(words, 4)
    if t:sub(1, 1) == "*" then f.pointer = true; t = t:sub(2) end
    f.shape = 0
    local list, map = t:match("^%[%](.*)$"), t:match("^{}(.*)$")
    if list then
        f.shape, t = 1, list
    elseif map then
        f.shape, t = 2, map
        if map:sub(1, 2) == "[]" then f.shape, t = 3, map:sub(3) end
    end
    if t:sub(1, 1) == "*" then f.elem_pointer = true; t = t:sub(2) end
    f.base = bases[t] or STRUCT
    if f.base == STRUCT then f.type = t:find(".", 1, true) and t or package.name .. "." .. t end
    return f
end

local function read_package(path)
    local package, item
    statements(path, function(w, indented)
        local word = w[1]
        if indented and item.columns then
            if word == "verbs" or word == "short" or word == "categories" then
                item[word] = table.move(w, 2, #w, 1, {})
            elseif word == "sub" then
                item.subs[#item.subs + 1] = { name = w[2], kind = w[3], flags = flags_of(w, 4) }
            elseif word == "column" then
                item.columns[#item.columns + 1] = { name = unquote(w[2]), type = w[3], flags =
                    flags_of(w, 4) }
            elseif word == "store" or word == "rules" or word == "query" then
                item[word] = flags_of(w, 2)
            else
                error("unknown statement " .. word)
            end
        elseif indented then
            item.fields[#item.fields + 1] = parse_field(package, w)
        elseif word == "package" then
            package = flags_of(w, 3)
            package.name = w[2]
        elseif word == "kind" then
            local group, version = (package.gv or ""):match("^(.*)/(.*)$")
            item = { resource = w[2], kind = w[3], group = group or "", version = version or
                package.gv,
                flags = flags_of(w, 4), subs = {}, columns = {}, type = package.name .. "." .. w[3],
                store = {}, rules = {}, query = {} }
            kinds[#kinds + 1] = item
        elseif word == "type" then
            local flags = flags_of(w, 3)
            item = { name = w[2], id = package.name == "base" and w[2] or package.name .. "." ..
                w[2],
                package = package, flags = flags, fields = {} }
            if package.name == "wrappers" then item.id = w[2] end
            local function full(key)
                local own, prefix = flags[key], package[key]
                if own then return own ~= "-" and own or nil end
                return prefix and prefix .. "." .. item.name
            end
            item.pb, item.openapi = full("pb"), full("openapi")
            types[#types + 1] = item
            by_id[item.id] = item
        else
            error("unknown statement " .. word)
        end
    end)
end

local function read_index(path)
    statements(path, function(w)
        if w[1] == "group" then
            local flags = flags_of(w, 3)
            groups[#groups + 1] = { name = unquote(w[2]), versions = list_of(flags.versions),
                preferred = flags.preferred }
        elseif w[1] == "queryset" then
            querysets[w[2]] = table.move(w, 3, #w, 1, {})
        end
    end)
end

local function read_views(path)
    statements(path, function(w)
        local v = { id = w[2], top = w[1] == "view", all = false, take = {}, skip = {}, json = {} }
        for i = 3, #w do
            local json, skip = w[i]:match("^(.*)=json$"), w[i]:match("^%-(.*)$")
            if w[i] == "*" then v.all = true
            elseif json then v.json[json] = true; v.take[json] = true
            elseif skip then v.skip[skip] = true
            else v.take[w[i]] = true end
        end
        assert(not views[v.id], "twice: " .. v.id)
        views[v.id] = v
        views[#views + 1] = v
    end)
end

local files = {}
local listing = assert(io.popen("cd '" .. dir .. "' && ls *.schema"))
for name in listing:lines() do files[#files + 1] = name end
listing:close()
table.sort(files)
for _, name in ipairs(files) do
    if name == "index.schema" then read_index(dir .. "/" .. name)
    elseif name == "views.schema" then read_views(dir .. "/" .. name)
    else read_package(dir .. "/" .. name) end
end

-- flattening: embedded types give their fields to the outer one -----------------------------------
local embeds, embed_ids = { false }, {}       -- row 0: not embedded
local function embed_of(number, id, parent)
    local key = number .. " " .. id .. " " .. parent
    if not embed_ids[key] then
        embeds[#embeds + 1] = { number = number, id = id, parent = parent }
        embed_ids[key] = #embeds - 1
    end
    return embed_ids[key]
end
local function flatten(t, into, via)
    for _, f in ipairs(t.fields) do
        if f.name == "-" then
            local inner = assert(by_id[f.type], "embeds unknown " .. f.type)
            flatten(inner, into, embed_of(f.number, f.type, via))
        else
            into[#into + 1] = { field = f, via = via }
        end
    end
    return into
end
for i, t in ipairs(types) do
    t.index = i - 1
    if t.flags.same then t.fields = assert(by_id[t.flags.same]).fields end
end
local fields_max = 0
for _, t in ipairs(types) do
    t.flat = t.flags.scalar and {} or flatten(t, {}, 0)
    fields_max = math.max(fields_max, #t.flat)
end

-- texts: one pool, everything points in by offset -------------------------------------------------
local pool, pool_at, pool_len = {}, {}, 0
local function text(s)
    if s == nil then return 0 end
    if not pool_at[s] then
        pool_at[s] = pool_len
        pool[#pool + 1] = s
        pool_len = pool_len + #s + 1
    end
    return pool_at[s]
end
text("")
local lists, list_at = { 0 }, {}              -- [count, offsets...]; 0 is the empty list
local function text_list(list)
    if not list or #list == 0 then return 0 end
    local key = table.concat(list, "\0")
    if not list_at[key] then
        list_at[key] = #lists
        lists[#lists + 1] = #list
        for _, s in ipairs(list) do lists[#lists + 1] = text(s) end
    end
    return list_at[key]
end

-- what few fields have sits in shared rows beside the field table
local extras, extra_at = { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 } }, {}
local function extra_of(f)
    local g = f.flags
    local keys = g.list and g.list:match("%((.*)%)")
    local merge_key = g.patch and g.patch:match("%((.*)%)")
    local row = {
        text_list(keys and list_of(keys)), text(merge_key),
        text_list(g.enum and list_of(g.enum) or g.known and list_of(g.known)),
        g.default and text(unquote(g.default)) or 0, g.set and text(unquote(g.set)) or 0,
        text_list(g.rules and list_of(g.rules)), text(g.format), text(g.go),
        text_list(g.gate and list_of(g.gate)), text(g.pn), text(g.one),
    }
    local key = table.concat(row, " ")
    if key == table.concat(extras[1], " ") then return 0 end
    if not extra_at[key] then
        extras[#extras + 1] = row
        extra_at[key] = #extras - 1
    end
    return extra_at[key]
end

local list_types = { atomic = 1, set = 2, map = 3 }
local struct_like = { [6] = true, [7] = true, [8] = true, [9] = true, [10] = true, [11] = true,
    [13] = true,
    [15] = true }
local function is_zero(f)
    local g = f.flags
    if g.zero then return true elseif g.nozero then return false end
    if f.pointer or f.shape ~= 0 then return false end
    return struct_like[f.base] or g.always and f.base <= 3 or false
end
local function has_rule(f, rule)
    for _, r in ipairs(f.flags.rules and list_of(f.flags.rules) or {}) do
        if r == rule then return true end
    end
end
local flag_names = {
    { "POINTER", function(f) return f.pointer end },
    { "ELEM_POINTER", function(f) return f.elem_pointer end },
    { "ALWAYS", function(f) return f.flags.always end },
    { "OMITZERO", function(f) return f.flags.omitzero end },
    { "REQUIRED", function(f) return f.flags.required end },
    { "OPTIONAL", function(f) return f.flags["+optional"] end },
    { "ZERO_DEFAULT", is_zero },
    { "HAS_DEFAULT", function(f) return f.flags.default end },
    { "HAS_SET", function(f) return f.flags.set end },
    { "ENUM_CLOSED", function(f) return f.flags.enum end },
    { "MAP_ATOMIC", function(f) return f.flags.map == "atomic" end },
    { "PATCH_MERGE", function(f) return f.flags.patch and f.flags.patch:find("merge") end },
    { "PATCH_REPLACE", function(f) return f.flags.patch and f.flags.patch:find("replace") end },
    { "PATCH_RETAIN_KEYS", function(f) return f.flags.patch and
        f.flags.patch:find("retainKeys") end },
    { "NULLABLE", function(f) return f.flags.nullable end },
    { "IMMUTABLE", function(f) return has_rule(f, "immutable") end },
    { "DISCRIMINATOR", function(f) return f.flags.discriminator end },
    { "WRAPPED", function(f) return f.flags.wrap end },
}
local function hash8(s)
    local h = 0
    for i = 1, #s do h = (h * 31 + s:byte(i)) & 0xff end
    return h
end

local field_rows, field_total, first_row = {}, 0, {}
local function field_row(f, via)
    local flags = 0
    for bit, flag in ipairs(flag_names) do
        if flag[2](f) then flags = flags | 1 << (bit - 1) end
    end
    local type_index = 0
    if f.base == STRUCT then
        type_index = assert(by_id[f.type], "unknown type " .. f.type).index
    end
    assert(f.number < 256 and #f.name < 256)
    return string.format("{%d,%d,%d,0x%x,%d,%d,%d,%d,%d,%d,%d}", text(f.name), type_index,
        extra_of(f),
        flags, #f.name, hash8(f.name), f.number, f.base, f.shape,
        f.flags.list and list_types[f.flags.list:match("^%a+")] or 0, via)
end

-- which types have defaults in or below them
local defaulted = {}
local function has_defaults(t, path)
    if defaulted[t] ~= nil then return defaulted[t] end
    if path[t] then return false end
    path[t] = true
    local found = t.flags.coded or false
    for _, e in ipairs(t.flat) do
        local f = e.field
        if f.flags.default or f.flags.set or f.base == 6 and f.shape == 2 or f.type and
            has_defaults(by_id[f.type], path) then
            found = true
        end
    end
    path[t] = nil
    if found or next(path) == nil then defaulted[t] = found end
    return found
end

local type_rows = {}
for _, t in ipairs(types) do
    local first = field_total
    first_row[t] = first
    for _, e in ipairs(t.flat) do
        field_rows[#field_rows + 1] = field_row(e.field, e.via)
        field_total = field_total + 1
    end
    local meta = ""
    for _, e in ipairs(t.flat) do
        if e.field.name == "metadata" then meta = e.field.type or "" end
    end
    local flags = 0
    local function flag(bit, on) if on then flags = flags | bit end end
    flag(1, has_defaults(t, {}))
    flag(2, t.flags.map == "atomic")
    flag(4, t.flags.scalar)
    flag(8, meta == "meta.v1.ListMeta")
    flag(16, meta == "meta.v1.ObjectMeta" and t.flags.kind)
    flag(32, t.flags.kind)
    flag(64, t.flags.coded)
    flag(128, t.flags.either)
    local gvk = type(t.flags.kind) == "string" and list_of(t.flags.kind) or
        t.flags.kind and { t.package.gv .. "/" .. t.name } or nil
    type_rows[#type_rows + 1] = string.format("{%d,%d,%d,%d,%d,%d,%d,%d}", text(t.id), text(t.pb),
        text(t.openapi), first, #t.flat, flags, text_list(gvk), text(t.flags.unions and
        unquote(t.flags.unions)))
end
assert(field_total < 65536 and #extras < 65536 and #embeds < 256)

-- writing ----------------------------------------------------------------------------------------
-- A file is replaced only when its content changes, so that make compiles only what it must.
local function write(name, out)
    local content = table.concat(out, "\n") .. "\n"
    local old = io.open(outdir .. "/" .. name, "r")
    if old then
        local same = old:read("a") == content
        old:close()
        if same then return end
    end
    local file = assert(io.open(outdir .. "/" .. name .. ".new", "w"))
    file:write(content)
    file:close()
    assert(os.rename(outdir .. "/" .. name .. ".new", outdir .. "/" .. name))
end
local banner = "/* Written by core/object/schema/generate.lua. */"
local function c_string(s)
    if s == nil then return "NULL" end
    return '"' .. s:gsub('[\\"]', "\\%0"):gsub("%?%?", "?\\?") .. '"'
end
local function rows(out, list, per_line)
    for i = 1, #list, per_line do
        out[#out + 1] = "    " .. table.concat(list, ", ", i, math.min(i + per_line - 1, #list)) ..
            ","
    end
end

local function write_tables()
    local h = { banner, "#ifndef GEN_SCHEMA_TABLES_H", "#define GEN_SCHEMA_TABLES_H", "",
        '#include "core/object/schema.h"', "",
        "#define SCHEMA_FIELDS_MAX " .. fields_max .. "       /* fields of one type */",
        "#define SCHEMA_TYPES_LEN " .. #types, "#define SCHEMA_GROUPS_LEN " .. #groups, "",
        "struct schema_type {",
        "    uint32_t id, proto, openapi;",
        "    uint16_t first;              /* row of its first field */",
        "    uint8_t n_fields;",
        "    uint8_t flags;",
        "    uint32_t gvks, unions;",
        "};",
        "enum schema_type_flag {",
        "    SCHEMA_TYPE_DEFAULTS = 1, SCHEMA_TYPE_ATOMIC = 2, SCHEMA_TYPE_SCALAR = 4,",
        "    SCHEMA_TYPE_LIST = 8, SCHEMA_TYPE_OBJECT = 16, SCHEMA_TYPE_KIND = 32,",
        "    SCHEMA_TYPE_CODED = 64, SCHEMA_TYPE_EITHER = 128,",
        "};",
        "struct schema_extra {",
        "    uint32_t keys, merge_key, values, dflt, set, rules, format, go, gates, proto, one;",
        "};",
        "struct schema_group { uint32_t name, versions, preferred; };", "",
        "extern const char schema_pool[];",
        "extern const uint32_t schema_lists[];            /* [count, offsets...] */",
        "extern const struct schema_type schema_types[SCHEMA_TYPES_LEN];",
        "extern const uint16_t schema_types_sorted[SCHEMA_TYPES_LEN];     /* by id */",
        "extern const struct schema_field schema_field_rows[];",
        "extern const struct schema_extra schema_extras[];",
        "extern const struct schema_embed schema_embeds[];",
        "extern const struct schema_group schema_group_rows[SCHEMA_GROUPS_LEN];",
        "", "#endif" }
    write("schema_tables.h", h)

    local f = { banner, "#ifndef GEN_SCHEMA_FLAGS_H", "#define GEN_SCHEMA_FLAGS_H", "",
        "enum schema_flag {" }
    for bit, flag in ipairs(flag_names) do
        f[#f + 1] = string.format("    SCHEMA_%s = 0x%x,", flag[1], 1 << (bit - 1))
    end
    f[#f + 1] = "};"
    f[#f + 1] = ""
    f[#f + 1] = "#endif"
    write("schema_flags.h", f)

    local embed_rows, extra_rows, group_rows = {}, {}, {}
    for i, e in ipairs(embeds) do
        embed_rows[i] = e and string.format("{%d,%d,%d}", by_id[e.id].index, e.number, e.parent) or
            "{0,0,0}"
    end
    for i, e in ipairs(extras) do extra_rows[i] = "{" .. table.concat(e, ",") .. "}" end
    for i, g in ipairs(groups) do
        group_rows[i] = string.format("{%d,%d,%d}", text(g.name), text_list(g.versions),
            text(g.preferred))
    end
    local sorted = {}
    for i, t in ipairs(types) do sorted[i] = t end
    table.sort(sorted, function(a, b) return a.id < b.id end)
    for i, t in ipairs(sorted) do sorted[i] = tostring(t.index) end
    local c = { banner, '#include "gen/schema_tables.h"', "",
        "const struct schema_type schema_types[] = {" }
    rows(c, type_rows, 4)
    c[#c + 1] = "};"
    c[#c + 1] = "const struct schema_field schema_field_rows[] = {"
    rows(c, field_rows, 3)
    c[#c + 1] = "};"
    c[#c + 1] = "const struct schema_extra schema_extras[] = {"
    rows(c, extra_rows, 3)
    c[#c + 1] = "};"
    c[#c + 1] = "const struct schema_embed schema_embeds[] = {"
    rows(c, embed_rows, 8)
    c[#c + 1] = "};"
    c[#c + 1] = "const struct schema_group schema_group_rows[] = {"
    rows(c, group_rows, 6)
    c[#c + 1] = "};"
    c[#c + 1] = "const uint16_t schema_types_sorted[] = {"
    rows(c, sorted, 20)
    c[#c + 1] = "};"
    c[#c + 1] = "const uint32_t schema_lists[] = {"
    rows(c, lists, 16)
    c[#c + 1] = "};"
    c[#c + 1] = "const char schema_pool[] ="
    for _, s in ipairs(pool) do
        c[#c + 1] = "    " .. c_string(s):sub(1, -2) .. '\\0"'
    end
    c[#c + 1] = "    ;"
    write("schema_tables.c", c)
end

-- docs.txt: what kubectl explain says -----------------------------------------------------------
-- "TYPE: text", and indented "field: text"; each key is TYPE or TYPE.field. Sorted, for looking up.
local function read_docs(path)
    local docs, owner = {}, nil
    for line in io.lines(path) do
        local indent, name, words = line:match("^(%s*)([^%s:#]+):%s*(.*)$")
        if indent == "" then
            owner = assert(by_id[name], path .. ": no type " .. name)
        elseif name then
            local known = false
            for _, f in ipairs(owner.fields) do known = known or f.name == name end
            assert(known, path .. ": no field " .. owner.id .. "." .. name)
        end
        if name and words ~= "" then
            docs[#docs + 1] = { key = indent == "" and name or owner.id .. "." .. name, words }
        end
    end
    table.sort(docs, function(a, b) return a.key < b.key end)
    return docs
end
local function write_docs()
    local c = { banner, '#include "core/object/schema_doc.h"', "", "const char schema_doc_pool[] =" }
    local starts, at = {}, 0
    for _, d in ipairs(read_docs(dir .. "/docs.txt")) do
        c[#c + 1] = "    " .. c_string(d.key) .. ' "\\0" ' .. c_string(d[1]) .. ' "\\0"'
        starts[#starts + 1] = at
        at = at + #d.key + #d[1] + 2
    end
    assert(at < 65536)
    c[#c] = c[#c] .. ";"
    c[#c + 1] = "const uint16_t schema_doc_at[] = {"
    rows(c, starts, 16)
    c[#c + 1] = "};"
    c[#c + 1] = "const unsigned schema_doc_len = " .. #starts .. ";"
    write("schema_docs.c", c)
end

-- kinds ------------------------------------------------------------------------------------------
local group_order = {}
for i, g in ipairs(groups) do group_order[g.name] = i end
for i, k in ipairs(kinds) do k.at = i end
table.sort(kinds, function(a, b)
    local x, y = group_order[a.group] or 99, group_order[b.group] or 99
    if x ~= y then return x < y end
    return a.at < b.at
end)
local function snake(name)
    return (name:gsub("(%l)(%u)", "%1_%2"):gsub("(%u)(%u%l)", "%1_%2"):lower())
end
local function gvk_of(k) return k.group .. "/" .. k.version .. "/" .. k.kind end
local kind_names, by_gvk = {}, {}
for i, k in ipairs(kinds) do
    k.id = i - 1
    by_gvk[gvk_of(k)] = k
    local preferred
    for _, g in ipairs(groups) do
        if g.name == k.group then preferred = g.preferred end
    end
    local name = snake(k.kind)
    if k.group == "events.k8s.io" then name = "events_" .. name end
    if kind_names[name] or preferred and k.version ~= (k.store.preferred or preferred) then
        name = name .. "_" .. k.version
    end
    assert(not kind_names[name], "two kinds are called " .. name)
    kind_names[name] = true
    k.short_name = name
end
local function storage_of(k)
    if k.group == "events.k8s.io" then return by_gvk["/v1/Event"] end      -- one store for both
    return by_gvk[k.group .. "/" .. (k.store.version or k.version) .. "/" .. k.kind] or k
end
local verb_bits = { get = "GET", list = "LIST", watch = "WATCH", create = "CREATE", update =
    "UPDATE",
    patch = "PATCH", delete = "DELETE", deletecollection = "DELETECOLLECTION" }
local function verbs_of(list)
    local out = {}
    for i, v in ipairs(list or {}) do out[i] = "VERB_" .. verb_bits[v] end
    return #out > 0 and table.concat(out, " | ") or "0"
end
local function texts(list)
    if not list or #list == 0 then return "NULL" end
    local out = {}
    for i, v in ipairs(list) do out[i] = c_string(v) end
    return "(const char *const[]){ " .. table.concat(out, ", ") .. ", NULL }"
end

local function kind_row(c, k)
    local has_status = false
    local subs, cols = {}, {}
    for _, s in ipairs(k.subs) do
        if s.name == "status" then has_status = true end
        local group, version = nil, nil
        if s.flags.gv then
            group, version = s.flags.gv:match("^(.*)/(.*)$")
            group, version = group or "", version or s.flags.gv
        end
        subs[#subs + 1] = string.format("        { %s, %s, %s, %s, %s, %s },", c_string(s.name),
            c_string(group),
            c_string(version), c_string(s.kind), verbs_of(list_of(s.flags.verbs)),
            (s.flags.connect or s.name == "log") and "true" or "false")
    end
    for _, col in ipairs(k.columns) do
        cols[#cols + 1] = string.format("        { %s, %s, %s, %s },", c_string(col.name),
            c_string(col.type),
            c_string(col.flags.format or ""), col.flags.priority or "0")
    end
    local function flag(v) return v and "true" or "false" end
    local storage = storage_of(k)
    c[#c + 1] = "    {"
    local function set(name, value) c[#c + 1] = "        ." .. name .. " = " .. value .. "," end
    set("id", k.id)
    set("group", c_string(k.group)); set("version", c_string(k.version)); set("kind",
        c_string(k.kind))
    set("resource", c_string(k.resource)); set("singular", c_string(k.flags.singular or ""))
    set("namespaced", flag(k.flags.namespaced)); set("served", flag(k.flags.served))
    set("volatile_class", flag(k.flags.volatile)); set("has_status", flag(has_status))
    set("has_generation", flag(k.rules.generation))
    set("put_creates", flag(k.rules["put-creates"]))
    set("unconditional_put", flag(k.rules["unconditional-put"]))
    set("returns_deleted", flag(k.rules["returns-deleted"]))
    set("orphans", flag(k.rules.delete == "orphan"))
    set("verbs", verbs_of(k.verbs))
    set("short_names", texts(k.short)); set("categories", texts(k.categories))
    if #subs > 0 then
        set("subs", "(const struct kind_subresource[]){")
        c[#c] = c[#c]:sub(1, -2)
        for _, s in ipairs(subs) do c[#c + 1] = s end
        c[#c + 1] = "        },"
        set("n_subs", #subs)
    end
    if #cols > 0 then
        set("columns", "(const struct kind_column[]){")
        c[#c] = c[#c]:sub(1, -2)
        for _, s in ipairs(cols) do c[#c + 1] = s end
        c[#c + 1] = "        },"
        set("n_columns", #cols)
    end
    set("type", "&schema_types[" .. by_id[k.type].index .. "]")
    set("storage_prefix", c_string(storage.store.key or storage.resource))
    set("storage", "&kind_rows[" .. storage.id .. "]")
    set("storage_hash", c_string(k.store.hash and unquote(k.store.hash) or ""))
    set("api_version", c_string((k.group == "" and "" or k.group .. "/") .. k.version))
    set("group_resource", c_string(k.resource .. (k.group == "" and "" or "." .. k.group)))
    c[#c + 1] = "    },"
end

local function write_kinds()
    local h = { banner, "#ifndef GEN_KINDS_H", "#define GEN_KINDS_H", "", "enum kind_id {" }
    for _, k in ipairs(kinds) do
        h[#h + 1] = string.format("    KIND_ID_%s = %d,", k.short_name:upper(), k.id)
    end
    h[#h + 1] = "    KIND_ID_MAX = " .. #kinds
    h[#h + 1] = "};"
    h[#h + 1] = ""
    h[#h + 1] = "extern const struct kind kind_rows[KIND_ID_MAX];"
    h[#h + 1] = ""
    for _, k in ipairs(kinds) do
        local format = "static inline const struct kind *kind_%s(void) { return &kind_rows[%d]; }"
        h[#h + 1] = string.format(format, k.short_name, k.id)
    end
    h[#h + 1] = ""
    h[#h + 1] = "#endif"
    write("kinds.h", h)
    local c = { banner, '#include "core/object/kind.h"', '#include "gen/schema_tables.h"', "",
        "const struct kind kind_rows[KIND_ID_MAX] = {" }
    for _, k in ipairs(kinds) do kind_row(c, k) end
    c[#c + 1] = "};"
    write("kinds.c", c)
end

local function print_report()
    local total = pool_len + #lists * 4 + #types * (24 + 2) + field_total * 20 + #extras * 44 +
        #embeds * 4
    print(string.format("types %d, fields %d, extras %d, lists %d, embeds %d, text %d bytes",
        #types, field_total, #extras, #lists, #embeds, pool_len))
    print(string.format("all tables: %d bytes", total))
    for _, k in ipairs(kinds) do
        local seen, bytes = {}, 0
        local function walk(t)
            if seen[t] then return end
            seen[t] = true
            bytes = bytes + 26 + #t.flat * 20
            for _, e in ipairs(t.flat) do
                bytes = bytes + #e.field.name + 1
                if e.field.type then walk(by_id[e.field.type]) end
            end
        end
        walk(by_id[k.type])
        print(string.format("%7d  %s", bytes, gvk_of(k)))
    end
end

if report then print_report() os.exit(0) end
assert(outdir, "usage: generate.lua [--report] SCHEMADIR OUTDIR")
write_kinds()
write_tables()
write_docs()
local write_views = assert(loadfile(dir .. "/generate_views.lua"))()
write_views { by_id = by_id, kinds = kinds, views = views, embeds = embeds, first_row = first_row,
    snake = snake, write = write, banner = banner, STRUCT = STRUCT }
