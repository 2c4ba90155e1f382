-- default-resources.lua: containers that ask for nothing get small requests.
plugin { name = "default-resources", kinds = { "Pod" }, operations = { "CREATE" } }

function mutate(req)
    for _, c in ipairs(req.object.spec.containers) do
        c.resources = c.resources or {}
        c.resources.requests = c.resources.requests or {}
        local requests = c.resources.requests
        requests.cpu = requests.cpu or "10m"
        requests.memory = requests.memory or "16Mi"
    end
end
