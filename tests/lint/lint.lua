-- lint.lua: the house rules. Usage: lua5.4 tests/lint/lint.lua [--update] [--root DIR]
-- Reads sources only; what needs the compiler (headers that compile alone, symbols) is in lint.sh.
-- Rules that older code breaks are ratchets: tests/lint/ratchet.txt holds each case with its figure,
-- which may only fall. --update writes the file anew, and never raises a figure.
local here = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = here .. "/?.lua;" .. package.path
local source = require("source")
local rooms = require("rooms")
local rules = require("rules")
local ratchet = require("ratchet")

local root, update = ".", false
local at = 1
while arg[at] do
    if arg[at] == "--root" then at = at + 1; root = arg[at]
    elseif arg[at] == "--update" then update = true
    else io.stderr:write("lint.lua: unknown argument " .. arg[at] .. "\n"); os.exit(2) end
    at = at + 1
end

local files = source.load_all(root)
local found, checks = {}, 0
local function report(rule, file, line, text, figure, key)
    found[#found + 1] = { rule = rule, file = file, line = line, text = text,
                          figure = figure, key = key or file }
end

local table_of_rooms = rooms.read(root .. "/tests/lint/rooms.txt", report)
for _, rule in ipairs(rules.all) do
    rule(files, table_of_rooms, report)
    checks = checks + 1
end

local bad = ratchet.apply(found, root .. "/tests/lint/ratchet.txt", update)
table.sort(bad, function(a, b)
    if a.file ~= b.file then return a.file < b.file end
    return (a.line or 0) < (b.line or 0)
end)
for _, f in ipairs(bad) do
    print(("%s:%d: [%s] %s"):format(f.file, f.line or 1, f.rule, f.text))
end
local rules_failed = {}
for _, f in ipairs(bad) do rules_failed[f.rule] = true end
local n_failed = 0
for _ in pairs(rules_failed) do n_failed = n_failed + 1 end
print(("%d passed, %d failed"):format(checks - n_failed, n_failed))
os.exit(n_failed == 0)
