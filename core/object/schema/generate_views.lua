-- generate_views.lua: views.schema -> views.h (the structs of typed views) and views.c (how to fill
-- them). Loaded by generate.lua; returns a function of what that has read.
local by_id, kinds, views, embeds, first_row, snake, write, banner, STRUCT

local function c_name(name)
    name = snake((name:gsub("IPs", "Ips"):gsub("CIDRs", "Cidrs")))
    local keywords = { default = true, static = true, volatile = true, signed = true, register =
        true }
    return keywords[name] and name .. "_" or name
end
-- What a field becomes in C: the declaration (%s: its name), the operation of the decoder, the
-- member that holds the count or says whether it is set.
local one_ops = {
    [0] = { "const char *%s;", "TEXT" }, { "bool %s;", "BOOL" }, { "int32_t %s;", "INT32" },
    { "int64_t %s;", "INT64" }, { "double %s;", "DOUBLE" }, { "struct slice %s;", "BYTES" },
    { "const char *%s;", "TEXT" }, { "struct view_int_or_string %s;", "INT_OR_STRING" },
    { "int64_t %s_s;", "TIME", "_s" }, { "int64_t %s_us;", "MICRO_TIME", "_us" },
    { "const char *%s;", "TEXT" },
}
local function member_of(f, v, sub)
    local name = c_name(f.name)
    local m = { name = name, lines = {}, op = nil, aux = nil, sub = sub }
    local function line(format, ...) m.lines[#m.lines + 1] = string.format(format, ...) end
    local struct = sub and "struct " .. sub.name
    if v.json[f.name] or f.base >= 11 and f.base < STRUCT or f.shape == 3 or
        f.shape == 2 and (f.base == STRUCT or f.base == 8) then
        line("const struct json *%s;", name)
        m.op = "JSON"
    elseif f.shape == 1 then
        m.aux = "n_" .. name
        if struct then
            line("const %s *%s;", struct, name); m.op = "STRUCTS"
        elseif f.base == 2 or f.base == 3 then
            line("const int64_t *%s;", name); m.op = "INTS"
        else
            line("const char *const *%s;", name); m.op = "TEXTS"
        end
        line("unsigned %s;", m.aux)
    elseif f.shape == 2 then
        if f.base == 5 then
            line("struct view_bytes_map %s;", name); m.op = "BYTES_MAP"
        else
            line("struct view_map %s;", name); m.op = "MAP"
        end
    elseif struct then
        line(f.pointer and "const %s *%s;" or "%s %s;", struct, name)
        m.op = f.pointer and "STRUCT_POINTER" or "STRUCT"
    else
        local op = assert(one_ops[f.base], f.name)
        line(op[1], name)
        m.op = op[2]
        if op[3] then m.member = name .. op[3] end
        if m.op == "TEXT" and f.pointer then
            m.op = "TEXT_POINTER"
        elseif f.pointer and (f.base >= 1 and f.base <= 4 or f.base == 7) then
            m.aux = "has_" .. name
            line("bool %s;", m.aux)
        end
    end
    m.member = m.member or name
    return m
end

local view_structs, view_by_id, view_names = {}, {}, {}
local function view_struct(id)
    if view_by_id[id] then return view_by_id[id] end
    local t = assert(by_id[id], "no type " .. id)
    local v = views[id] or { id = id, all = true, take = {}, skip = {}, json = {} }
    local name = snake(t.name) .. "_view"
    if view_names[name] then name = id:match("^[^.]+") .. "_" .. name end
    assert(not view_names[name], "two views are called " .. name)
    view_names[name] = true
    local s = { name = name, members = {}, type = t, top = v.top }
    view_by_id[id] = s
    local left = {}
    for key in pairs(v.take) do left[key] = true end
    for key in pairs(v.skip) do left[key] = true end
    for at, e in ipairs(t.flat) do
        local f = e.field
        left[f.name] = nil
        local embed = embeds[e.via + 1]
        if not embed or embed.id ~= "meta.v1.TypeMeta" then
            if (v.all or v.take[f.name]) and not v.skip[f.name] then
                local sub = f.type and f.shape < 2 and not v.json[f.name] and view_struct(f.type) or
                    nil
                local m = member_of(f, v, sub)
                m.row = first_row[t] + at - 1
                s.members[#s.members + 1] = m
            end
        end
    end
    assert(next(left) == nil, "view of " .. id .. ": no field " .. tostring(next(left)))
    view_structs[#view_structs + 1] = s
    s.index = #view_structs
    return s
end

local function write_views()
    local h = { banner, "#ifndef GEN_VIEWS_H", "#define GEN_VIEWS_H", "",
        '#include "core/object/view.h"', "" }
    for _, v in ipairs(views) do
        if v.top then view_struct(v.id) end
    end
    for _, s in ipairs(view_structs) do
        h[#h + 1] = "struct " .. s.name .. " {"
        for _, m in ipairs(s.members) do
            for _, line in ipairs(m.lines) do h[#h + 1] = "    " .. line end
        end
        h[#h + 1] = "};"
        h[#h + 1] = ""
    end
    local tops = {}
    for _, k in ipairs(kinds) do
        local s = view_by_id[k.type]
        if s and s.top then
            tops[k.id] = s
            h[#h + 1] = string.format("static inline const struct %s *%s(const struct object *o)",
                s.name, s.name)
            h[#h + 1] = "{"
            h[#h + 1] = string.format("    return view_of(o, KIND_ID_%s);", k.short_name:upper())
            h[#h + 1] = "}"
        end
    end
    h[#h + 1] = ""
    h[#h + 1] = "#endif"
    write("views.h", h)

    local c = { banner, '#include "core/object/view_table.h"', '#include "gen/views.h"', "",
        "#define AT(type, member) offsetof(struct type, member)", "" }
    local rows_out, structs_out, at = {}, { "    { 0 }," }, 0
    for _, s in ipairs(view_structs) do
        structs_out[#structs_out + 1] = string.format("    { %d, %d, sizeof(struct %s) },", at,
            #s.members, s.name)
        for _, m in ipairs(s.members) do
            rows_out[#rows_out + 1] = string.format("    { %d, VIEW_%s, AT(%s, %s), %s, %d },",
                m.row, m.op,
                s.name, m.member, m.aux and string.format("AT(%s, %s)", s.name, m.aux) or "0",
                m.sub and m.sub.index or 0)
            at = at + 1
        end
    end
    c[#c + 1] = "const struct view_field view_fields[] = {"
    for _, row in ipairs(rows_out) do c[#c + 1] = row end
    c[#c + 1] = "};"
    c[#c + 1] = "const struct view_struct view_structs[] = {"
    for _, row in ipairs(structs_out) do c[#c + 1] = row end
    c[#c + 1] = "};"
    c[#c + 1] = "const uint16_t view_of_kind[KIND_ID_MAX] = {"
    for _, k in ipairs(kinds) do
        if tops[k.id] then c[#c + 1] = string.format("    [%d] = %d,", k.id, tops[k.id].index) end
    end
    c[#c + 1] = "};"
    write("views.c", c)
end

return function(read)
    by_id, kinds, views, embeds = read.by_id, read.kinds, read.views, read.embeds
    first_row, snake, write, banner = read.first_row, read.snake, read.write, read.banner
    STRUCT = read.STRUCT
    write_views()
end
