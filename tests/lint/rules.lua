-- rules.lua: one function per rule: (files, rooms, report). A report with a figure is a ratchet.
local source = require("source")
local rooms_of = require("rooms")

local M = { all = {} }
local function rule(f) M.all[#M.all + 1] = f end

local FILE_LINES, FUNCTION_LINES, COLUMNS, PARAMETERS = 800, 70, 100, 5

-- Quoted includes are written from the root, name a file that is there, and respect the rooms.
rule(function(files, rooms, report)
    local there = {}
    for _, f in ipairs(files) do there[f.path] = f end
    for _, f in ipairs(files) do
        for n, line in ipairs(f.lines) do
            local header = line:match('^%s*#%s*include%s+"([^"]+)"')
            local target = header and there[header]
            if header and not header:match("^gen/") then
                if not target then
                    report("include", f.path, n, "no such file from the root: " .. header)
                elseif f.room ~= "tests" and target.room == "tests" then
                    report("include", f.path, n, "code includes a test's header: " .. header)
                elseif f.room ~= "tests" and target.room ~= f.room then
                    M.check_edge(f, n, target, rooms, report)
                end
            end
        end
    end
end)

function M.check_edge(f, n, target, rooms, report)
    local from, to = rooms[f.room], rooms[target.room]
    if not from then
        report("rooms", f.path, n, f.room .. " is no room of tests/lint/rooms.txt")
    elseif not from.may["*"] and not from.may[target.room] then
        report("rooms", f.path, n, f.room .. " may not include " .. target.room)
    elseif not to then
        report("rooms", f.path, n, target.room .. " is no room of tests/lint/rooms.txt")
    elseif not rooms_of.is_door(to, target.name) then
        report("door", f.path, n, target.path .. " is no door of " .. target.room)
    end
end

-- A library's header appears in its rooms only.
rule(function(files, rooms, report)
    for _, f in ipairs(files) do
        for n, line in ipairs(f.lines) do
            local header = line:match("^%s*#%s*include%s+<([^>]+)>")
            local library = header and rooms_of.library(header)
            local room = rooms[f.room]
            if library and f.room ~= "tests" and not (room and room.third[library]) then
                report("library", f.path, n, library .. " does not belong into " .. f.room)
            end
        end
    end
end)

-- Basenames are unique: a symbol's first word then names its file.
rule(function(files, _, report)
    local seen = {}
    for _, f in ipairs(files) do
        if seen[f.name] then
            report("basename", f.path, 1, "the same name as " .. seen[f.name])
        end
        seen[f.name] = f.path
    end
end)

-- Calls that have a better replacement here.
local banned = {
    getaddrinfo = "core/http/resolve.h", gethostbyname = "core/http/resolve.h",
    getpwnam = "oci_user.c reads passwd itself", getpwuid = "oci_user.c", dlopen = "nothing: static",
    setlocale = "nothing", iconv_open = "nothing", strcpy = "str_copy", strcat = "buf_str",
    sprintf = "snprintf or buf_fmt", vsprintf = "vsnprintf", gets = "fd.h", strtok = "slice_split",
    atoi = "str_to_i64", atol = "str_to_i64", system = "child_start", popen = "child_start",
    tmpnam = "mkostemp", rand = "env_random", srand = "env_random", alloca = "mem.h",
    signal = "sigaction or signalfd", usleep = "a timer of the loop", fork = "child_start",
}
-- Places where the call is the point: the forks of supervisors, shells and test processes.
local allowed = { fork = { "^runtime/", "^cmd/", "^tests/", "^core/base/proc%.c" },
                  signal = { "^cmd/", "^tests/", "^runtime/" },
                  usleep = { "^tests/" }, rand = { "^tests/" }, system = { "^tests/" },
                  strcat = { "^tests/" } }
local memory = { malloc = true, calloc = true, realloc = true, free = true, strdup = true, strndup = true }

rule(function(files, _, report)
    for _, f in ipairs(files) do
        for n, line in ipairs(f.code) do
            for name in line:gmatch("%f[%w_]([%a_][%w_]*)%s*%(") do
                local before = line:match("([%.>])%s*" .. name .. "%s*%(")
                local instead = banned[name]
                for _, where in ipairs(allowed[name] or {}) do
                    if f.path:match(where) then instead = nil end
                end
                if instead and not before then
                    report("banned", f.path, n, name .. ": use " .. instead)
                end
                if memory[name] and not before and f.room ~= "tests" and f.path ~= "core/base/mem.c" then
                    report("memory", f.path, n, name .. ": use core/base/mem.h", 1,
                           f.path .. ":" .. name)
                end
            end
        end
    end
end)

-- Unfinished business does not stay in the tree.
rule(function(files, _, report)
    for _, f in ipairs(files) do
        for n, line in ipairs(f.lines) do
            local word = line:match("%f[%w](TODO)%f[%W]") or line:match("%f[%w](FIXME)%f[%W]")
            if word then report("todo", f.path, n, word .. ": do it, or say in the text what is so") end
        end
    end
end)

-- Sizes: files, functions, parameters, lines.
rule(function(files, _, report)
    for _, f in ipairs(files) do
        if #f.lines > FILE_LINES then
            report("file-lines", f.path, 1, ("%d lines, at most %d"):format(#f.lines, FILE_LINES),
                   #f.lines)
        end
    end
end)
rule(function(files, _, report)
    for _, f in ipairs(files) do
        for _, fn in ipairs(source.functions(f)) do
            if fn.lines > FUNCTION_LINES then
                report("function-lines", f.path, fn.first,
                       ("%s has %d lines, at most %d"):format(fn.name, fn.lines, FUNCTION_LINES),
                       fn.lines, f.path .. ":" .. fn.name)
            end
        end
    end
end)
rule(function(files, _, report)
    for _, f in ipairs(files) do
        for _, fn in ipairs(source.functions(f)) do
            if fn.params > PARAMETERS then
                report("parameters", f.path, fn.first,
                       ("%s takes %d, at most %d: an options struct"):format(fn.name, fn.params,
                                                                              PARAMETERS),
                       fn.params, f.path .. ":" .. fn.name)
            end
        end
    end
end)
rule(function(files, _, report)
    for _, f in ipairs(files) do
        local long, first = 0, 1
        for n, line in ipairs(f.lines) do
            if (utf8.len(line) or #line) > COLUMNS then
                if long == 0 then first = n end
                long = long + 1
            end
        end
        if long > 0 then
            report("columns", f.path, first, ("%d lines over %d columns"):format(long, COLUMNS), long)
        end
    end
end)

-- Blanks: no tabs, none at the ends of lines, one line end at the end of the file.
rule(function(files, _, report)
    for _, f in ipairs(files) do
        for n, line in ipairs(f.lines) do
            if line:find("\t", 1, true) then report("blanks", f.path, n, "a tab") end
            if line:match("%s$") then report("blanks", f.path, n, "blanks at the end of the line") end
        end
        if f.text:sub(-1) ~= "\n" then report("blanks", f.path, #f.lines, "no line end at the end") end
    end
end)

-- A header has a guard named after its path, and says first what it is for; so does a file of code, unless
-- the header of its name says it.
rule(function(files, _, report)
    local there = {}
    for _, f in ipairs(files) do there[f.path] = true end
    for _, f in ipairs(files) do
        local says = f.text:match("^/%*%s")
        if f.is_header then
            local guard = f.path:upper():gsub("[^%w]", "_")
            if not f.text:find("#ifndef " .. guard .. "\n", 1, true) then
                report("guard", f.path, 1, "the guard is " .. guard)
            end
            if not says then report("purpose", f.path, 1, "the first comment says what it is for") end
        elseif not says and f.room ~= "tests" and not there[f.path:gsub("%.c$", ".h")] then
            report("purpose", f.path, 1, "the first comment says what it is for", 1)
        end
    end
end)

return M
