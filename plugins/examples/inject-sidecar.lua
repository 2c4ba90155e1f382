-- inject-sidecar.lua: a pod with the annotation example.com/sidecar: "true" gets a log sidecar.
plugin { name = "inject-sidecar", kinds = { "Pod" }, operations = { "CREATE" } }

function mutate(req)
    local pod = req.object
    local notes = pod.metadata.annotations
    if not notes or notes["example.com/sidecar"] ~= "true" then return end
    for _, c in ipairs(pod.spec.containers) do
        if c.name == "sidecar" then return end
    end
    table.insert(pod.spec.containers, {
        name = "sidecar",
        image = "inro.local/box",
        command = { "sleep", "3600" },
    })
end
