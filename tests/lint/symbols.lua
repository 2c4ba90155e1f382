-- symbols.lua: rules over what the compiler made. Reads `objdump -t` of the rooms' objects from
-- standard input: a symbol's first words name its file (or a header of its room), and nothing is writable:
-- state is passed, not global.
-- Usage: objdump -t ... | lua5.4 tests/lint/symbols.lua OBJECT-FOLDER
local folder = arg[1] or ""

-- The log's level and sink are the one permitted global; each line says why it may stay.
local writable = {
    ["core/base/log.c"] = "the one permitted global",
    ["core/base/str.c"] = "the key of str_hash_keyed, drawn once a process",
    ["cmd/box/box_sh.c"] = "what a signal handler saw",
}
-- Files of several small types, each with a name of its own.
local also = {
    ["core/base/str.c"] = { "slice", "buf" },
    ["core/base/mem.c"] = { "arena" },
    ["core/object/rules_cause.c"] = { "cause", "causes" },
}
local free_names = { main = true, LLVMFuzzerTestOneInput = true }

-- "image_box.c" may define image_box_x, and image_x when a header of its room is called image.
local function names_its_file(symbol, base, file)
    local words = base
    for _, word in ipairs(also[file] or {}) do
        if symbol:sub(1, #word + 1) == word .. "_" then return true end
    end
    while words do
        if symbol == words or symbol:sub(1, #words + 1) == words .. "_" then return true end
        words = words:match("^(.*)_[^_]*$")
    end
    return false
end

local bad, rules_failed = 0, {}
local function report(file, rule, text)
    bad = bad + 1
    rules_failed[rule] = true
    print(("%s:1: [%s] %s"):format(file, rule, text))
end

local file
for line in io.lines() do
    local object = line:match("^(%S+):%s+file format")
    if object then
        if object:sub(1, #folder) == folder then object = object:sub(#folder + 1) end
        file = object:gsub("^/", ""):gsub("%.o$", ".c")
    end
    local bind, kind, section, symbol = line:match("^%x+ (.).....(.) (%S+)%s+%x+%s+(%S+)$")
    if not symbol then
        bind, kind, section, symbol = line:match("^%x+ (.).....(.) (%S+)%s+%x+ %.hidden (%S+)$")
    end
    if symbol and file and (kind == "F" or kind == "O") then
        local base = file:match("([^/]+)%.c$") or ""
        if bind == "g" and not free_names[symbol] and not names_its_file(symbol, base, file) then
            report(file, "prefix", symbol .. " does not begin with the name of its file")
        end
        local written = section:match("^%.bss") or section == "*COM*" or
                        (section:match("^%.data") and not section:match("^%.data%.rel%.ro"))
        if kind == "O" and written and not writable[file] then
            report(file, "global", symbol .. " can be written: pass state instead")
        end
    end
end
local failed = 0
for _ in pairs(rules_failed) do failed = failed + 1 end
print(("%d passed, %d failed"):format(2 - failed, failed))
os.exit(failed == 0)
