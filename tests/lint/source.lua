-- source.lua: the tree's C files as the rules see them: raw lines, and the same lines with comments and
-- the contents of strings blanked out, so that a rule never trips over prose.
local M = {}

local function list(root)
    local files = {}
    local pipe = io.popen("cd '" .. root .. "' && find cmd core runtime net store plugins tests " ..
                          "-name '*.[ch]' -not -path '*/corpus/*' 2>/dev/null | LC_ALL=C sort")
    for path in pipe:lines() do files[#files + 1] = path end
    pipe:close()
    return files
end

-- Blanks comments, and what is between quotes (the quotes stay).
function M.strip(text)
    local out, i, n = {}, 1, #text
    local function put(s) out[#out + 1] = s end
    while i <= n do
        local two, one = text:sub(i, i + 1), text:sub(i, i)
        if two == "/*" then
            local _, e = text:find("*/", i + 2, true)
            e = e or n
            put((text:sub(i, e):gsub("[^\n]", " ")))
            i = e + 1
        elseif two == "//" then
            local e = text:find("\n", i, true) or n + 1
            i = e
        elseif one == '"' or one == "'" then
            local e = i + 1
            while e <= n and text:sub(e, e) ~= one do
                if text:sub(e, e) == "\\" then e = e + 1 end
                e = e + 1
            end
            put(one .. (text:sub(i + 1, e - 1):gsub("[^\n]", " ")) .. one)
            i = e + 1
        else
            local e = text:find("[/\"']", i + 1) or n + 1
            put(text:sub(i, e - 1))
            i = e
        end
    end
    return table.concat(out)
end

local function lines_of(text)
    local lines = {}
    for line in (text:sub(-1) == "\n" and text or text .. "\n"):gmatch("(.-)\n") do
        lines[#lines + 1] = line
    end
    return lines
end

-- "core/base/str.c" -> "core/base"; "cmd/main.c" -> "cmd"; "cmd/box/sh.c" -> "cmd/box"; tests: "tests".
function M.room_of(path)
    if path:match("^tests/") then return "tests" end
    if path:match("^cmd/[^/]+$") then return "cmd" end
    return path:match("^(%w+/%w+)/") or path:match("^(%w+)/")
end

function M.load_all(root)
    local files = {}
    for _, path in ipairs(list(root)) do
        local f = assert(io.open(root .. "/" .. path))
        local text = f:read("a")
        f:close()
        files[#files + 1] = {
            path = path, base = path:match("([^/]+)%.[ch]$"), name = path:match("([^/]+)$"),
            is_header = path:sub(-2) == ".h", room = M.room_of(path), text = text,
            lines = lines_of(text), code = lines_of(M.strip(text)),
        }
    end
    return files
end

-- Functions defined in a file: name, first and last line, number of parameters. House style puts both
-- braces of a function in the first column.
function M.functions(file)
    local found, code = {}, file.code
    for open = 1, #code do
        if code[open] == "{" then
            local first, head = open, ""
            while first > 1 and not code[first - 1]:match("^%s*$") and
                  not code[first - 1]:match("[;}]%s*$") and not code[first - 1]:match("^#") do
                first = first - 1
            end
            for i = first, open - 1 do head = head .. " " .. code[i] end
            local last = open
            while last < #code and code[last] ~= "}" do last = last + 1 end
            local name, args = head:match("([%a_][%w_]*)%s*(%b())%s*$")
            if name and not head:match("=%s*$") then
                local depth, params = 0, 1
                for c in args:sub(2, -2):gmatch("[(),]") do
                    if c == "(" then depth = depth + 1
                    elseif c == ")" then depth = depth - 1
                    elseif depth == 0 then params = params + 1 end
                end
                if args:match("^%(%s*%)$") or args:match("^%(%s*void%s*%)$") then params = 0 end
                found[#found + 1] = { name = name, first = first, last = last, params = params,
                                      lines = last - open - 1,
                                      static = head:match("%f[%w]static%f[%W]") ~= nil }
            end
        end
    end
    return found
end

return M
