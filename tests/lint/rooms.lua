-- rooms.lua: reads rooms.txt into a table and tells whether its graph is free of cycles.
local M = {}

local libraries = {      -- of a header in <>: the first part of its path, or its name, -> library
    ["yyjson.h"] = "yyjson", ["yaml.h"] = "yaml", mbedtls = "mbedtls", psa = "psa",
    ["llhttp.h"] = "llhttp", nghttp2 = "nghttp2", ["zlib.h"] = "zlib", ["zstd.h"] = "zstd",
    ["libdeflate.h"] = "libdeflate", ["sqlite3.h"] = "sqlite3", ["seccomp.h"] = "seccomp",
    libmnl = "libmnl", ["lua.h"] = "lua", ["lauxlib.h"] = "lua", ["lualib.h"] = "lua",
    libnftnl = "libnftnl", libnetfilter_queue = "libnetfilter_queue",
}

function M.library(header)
    return libraries[header:match("^([^/]+)/") or header] or libraries[header]
end

local function words(text)
    local set = {}
    for w in (text or ""):gmatch("%S+") do set[w] = true end
    set["-"] = nil
    return set
end

function M.read(path, report)
    local rooms, order, short, line_no = {}, {}, {}, 0
    local f = assert(io.open(path))
    for line in f:lines() do
        line_no = line_no + 1
        if not line:match("^#") and line:match("%S") then
            local cells = {}
            for cell in (line .. "|"):gmatch("%s*(.-)%s*|") do cells[#cells + 1] = cell end
            local room = { name = cells[1], may = words(cells[2]), third = words(cells[3]),
                           doors = words(cells[4]), line = line_no }
            rooms[room.name] = room
            order[#order + 1] = room
            if room.name ~= "cmd/box" then short[room.name:match("[^/]+$")] = room.name end
        end
    end
    f:close()
    for _, room in ipairs(order) do
        local full = {}
        for w in pairs(room.may) do
            if w ~= "*" and not short[w] then
                report("rooms", path, room.line, "no such room: " .. w)
            end
            full[w == "*" and "*" or short[w] or w] = true
        end
        room.may = full
    end
    M.check_cycles(rooms, order, path, report)
    return rooms
end

function M.check_cycles(rooms, order, path, report)
    local state = {}
    local function visit(name, trail)
        if state[name] == "done" or not rooms[name] then return end
        if state[name] == "open" then
            report("rooms", path, rooms[name].line, "cycle: " .. trail .. " -> " .. name)
            return
        end
        state[name] = "open"
        for next_name in pairs(rooms[name].may) do
            if next_name ~= "*" then visit(next_name, trail .. " -> " .. next_name) end
        end
        state[name] = "done"
    end
    for _, room in ipairs(order) do visit(room.name, room.name) end
end

function M.is_door(room, header)
    return room.doors["*"] or room.doors[header]
end

return M
