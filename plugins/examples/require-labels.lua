-- require-labels.lua: a namespace names the labels that its pods must have, in its annotation
-- example.com/require-labels: "team,cost-centre".
plugin { name = "require-labels", kinds = { "Pod" } }

function validate(req)
    local ns = get("v1", "Namespace", "", req.namespace)
    local wanted = ns and ns.metadata.annotations and ns.metadata.annotations["example.com/require-labels"]
    if not wanted then return end
    local labels = req.object.metadata.labels or {}
    for label in wanted:gmatch("[^,]+") do
        if not labels[label] then deny("label %s is required in namespace %s", label, req.namespace) end
    end
end
