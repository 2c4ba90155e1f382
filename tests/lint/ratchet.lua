-- ratchet.lua: what older code may still break. A line of ratchet.txt is "rule key figure"; a finding with
-- a figure passes while its figure is not above the one on file.
local M = {}

local function read(path)
    local held = {}
    local f = io.open(path)
    if not f then return held end
    for line in f:lines() do
        local rule, key, figure = line:match("^(%S+) (%S+) (%d+)$")
        if rule then held[rule .. " " .. key] = tonumber(figure) end
    end
    f:close()
    return held
end

local function write(path, held)
    local lines = {}
    for key, figure in pairs(held) do lines[#lines + 1] = ("%s %d"):format(key, figure) end
    table.sort(lines)
    local f = assert(io.open(path, "w"))
    f:write("# rule, place, figure: what may stay until someone mends it; figures only fall.\n")
    f:write("# ./build.sh lint --update writes it anew.\n")
    f:write(table.concat(lines, "\n"), #lines > 0 and "\n" or "")
    f:close()
end

-- Returns what is not covered. An update keeps no figure that is higher than before, but for a file that
-- has none at all yet (the first time).
function M.apply(found, path, update)
    local held, bad, now = read(path), {}, {}
    local first = next(held) == nil
    for _, f in ipairs(found) do
        local key = f.rule .. " " .. f.key
        if not f.figure then
            bad[#bad + 1] = f
        elseif held[key] and f.figure <= held[key] then
            now[key] = math.max(now[key] or 0, f.figure)
        elseif update and first then
            now[key] = math.max(now[key] or 0, f.figure)
        else
            now[key] = held[key]
            bad[#bad + 1] = f
        end
    end
    if update then write(path, now) end
    return bad
end

return M
