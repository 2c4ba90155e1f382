-- lint_test.lua: each rule can fail. Every row is a small tree with one thing wrong and the rule that must
-- say so; the clean tree must pass.
local lint = arg[0]:match("^(.*)/[^/]*$") or "."
local passed, failed = 0, 0

local function check(what, ok)
    if ok then passed = passed + 1 else failed = failed + 1; print("lint_test: " .. what) end
end

local function run(command)
    local pipe = io.popen(command .. " 2>&1")
    local text = pipe:read("a")
    return text, pipe:close() == true
end

local function write(path, text)
    os.execute("mkdir -p '" .. path:match("^(.*)/") .. "'")
    local f = assert(io.open(path, "w"))
    f:write(text)
    f:close()
end

local rooms_text = [[
core/base | - | yyjson | *
core/loop | base | | loop.h
core/http | base loop | | http.h
]]
local clean = {
    ["core/base/err.h"] = "/* err.h -- errors. */\n#ifndef CORE_BASE_ERR_H\n#define CORE_BASE_ERR_H\n#endif\n",
    ["core/base/err.c"] = '/* err.c -- errors. */\n#include "core/base/err.h"\n\nint err_x(void)\n{\n    return 0;\n}\n',
    ["core/loop/loop.h"] = "/* loop.h -- loops. */\n#ifndef CORE_LOOP_LOOP_H\n#define CORE_LOOP_LOOP_H\n#endif\n",
    ["core/loop/loop_private.h"] = "/* p. */\n#ifndef CORE_LOOP_LOOP_PRIVATE_H\n#define CORE_LOOP_LOOP_PRIVATE_H\n#endif\n",
}
local long = {}
for i = 1, 72 do long[i] = "    x += " .. i .. ";" end
local filler = ("/* a line */\n"):rep(801)
local head = "/* x.c -- x. */\n"

local rows = {      -- rule, file, text; "rooms.txt" replaces the table of rooms
    { "include", "core/base/x.c", head .. '#include "err.h"\n' },
    { "include", "core/base/x.c", head .. '#include "tests/fake/f.h"\n',
      ["tests/fake/f.h"] = "/* f. */\n#ifndef TESTS_FAKE_F_H\n#define TESTS_FAKE_F_H\n#endif\n" },
    { "rooms", "core/base/x.c", head .. '#include "core/loop/loop.h"\n' },
    { "rooms", "core/other/x.c", head .. '#include "core/base/err.h"\n' },
    { "rooms", "tests/lint/rooms.txt", "core/base | loop | | *\ncore/loop | base | | *\n" },
    { "rooms", "tests/lint/rooms.txt", rooms_text .. "core/x | nowhere | | *\n" },
    { "door", "core/http/x.c", head .. '#include "core/loop/loop_private.h"\n' },
    { "library", "core/loop/x.c", head .. "#include <yyjson.h>\n" },
    { "basename", "core/loop/err.c", head },
    { "banned", "core/base/x.c", head .. "void x(char *p)\n{\n    strcpy(p, \"a\");\n}\n" },
    { "banned", "core/base/x.c", head .. "void x(void)\n{\n    system(\"a\");\n}\n" },
    { "memory", "core/base/x.c", head .. "void x(void)\n{\n    free(malloc(1));\n}\n" },
    { "todo", "core/base/x.c", head .. "/* TO" .. "DO: later */\n" },
    { "file-lines", "core/base/x.c", filler },
    { "function-lines", "core/base/x.c",
      head .. "int x(int x)\n{\n" .. table.concat(long, "\n") .. "\n    return x;\n}\n" },
    { "parameters", "core/base/x.c", head .. "int x(int a, int b, int c, int d, int e, int f)\n{\n    return 0;\n}\n" },
    { "columns", "core/base/x.c", head .. "/* " .. ("x"):rep(100) .. " */\n" },
    { "blanks", "core/base/x.c", head .. "int x; \n" },
    { "blanks", "core/base/x.c", head .. "\tint x;\n" },
    { "purpose", "core/base/x.c", "int x;\n" },
    { "guard", "core/base/x.h", "/* x. */\n#ifndef X_H\n#define X_H\n#endif\n" },
}

local function tree(row)
    local dir = os.tmpname()
    os.remove(dir)
    write(dir .. "/tests/lint/rooms.txt", rooms_text)
    for path, text in pairs(clean) do write(dir .. "/" .. path, text) end
    for path, text in pairs(row) do
        if type(path) == "string" then write(dir .. "/" .. path, text) end
    end
    if row[2] then write(dir .. "/" .. row[2], row[3]) end
    return dir
end

local function lint_of(row, more)
    local dir = tree(row)
    local text, ok = run(("lua5.4 '%s/lint.lua' --root '%s' %s"):format(lint, dir, more or ""))
    return text, ok, dir
end

local text, ok, dir = lint_of({})
check("the clean tree fails: " .. text, ok)
os.execute("rm -rf '" .. dir .. "'")
for i, row in ipairs(rows) do
    text, ok, dir = lint_of(row)
    check(("row %d: %s does not fail: %s"):format(i, row[1], text),
          not ok and text:find("[" .. row[1] .. "]", 1, true) and text:find("1 failed", 1, true))
    os.execute("rm -rf '" .. dir .. "'")
end

-- The ratchet: what is on file passes, more fails, and an update never raises a figure.
local wide = "/* " .. ("x"):rep(100) .. " */\n"
text, ok, dir = lint_of({ nil, "core/base/x.c", head .. wide }, "--update")
local again = ("lua5.4 '%s/lint.lua' --root '%s'"):format(lint, dir)
check("the ratchet holds nothing", select(2, run(again)))
write(dir .. "/core/base/x.c", head .. wide .. wide)
check("the ratchet lets a figure rise", not select(2, run(again)))
run(again .. " --update")
check("an update raises a figure", not select(2, run(again)))
os.execute("rm -rf '" .. dir .. "'")

-- Symbols: fixed listings of objdump -t.
local function symbols(line)
    local list = os.tmpname()
    write(list, "o/core/base/err.o:     file format elf64\n" .. line .. "\n")
    local out, good = run(("lua5.4 '%s/symbols.lua' o < '%s'"):format(lint, list))
    os.remove(list)
    return out, good
end
check("a symbol of its file", select(2, symbols("0000 g     F .text.err_set 00 err_set")))
check("a constant table", select(2, symbols("0000 l     O .data.rel.ro.local.rows 00 rows")))
text, ok = symbols("0000 g     F .text.wrong 00 wrong")
check("prefix does not fail", not ok and text:find("[prefix]", 1, true))
text, ok = symbols("0000 l     O .bss.counter 00 counter")
check("global does not fail", not ok and text:find("[global]", 1, true))

print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0)
