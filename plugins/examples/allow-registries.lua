-- allow-registries.lua: pods may use images of these registries only.
plugin { name = "allow-registries", kinds = { "Pod" }, exclude = { "kube-system" } }

local allowed = { ["inro.local"] = true, ["registry.example.com"] = true }

-- "nginx" and "library/nginx" are Docker Hub's; a registry has a dot, a colon, or is localhost.
local function registry(image)
    local first = image:match("^([^/]+)/")
    if first and (first:find("[.:]") or first == "localhost") then return first end
    return "docker.io"
end

local function check(containers)
    for _, c in ipairs(containers or {}) do
        local from = registry(c.image or "")
        if not allowed[from] then
            deny("image %s of container %s: registry %s is not allowed", c.image, c.name, from)
        end
    end
end

function validate(req)
    local spec = req.object.spec
    check(spec.initContainers)
    check(spec.containers)
    check(spec.ephemeralContainers)
end
