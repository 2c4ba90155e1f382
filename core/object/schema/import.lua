-- import.lua FACTS OUTDIR [GOTYPES]: writes the *.schema files from a folder of API facts. Run by
-- hand when the facts change; the build reads only its output (notation: see generate.lua).
-- FACTS holds types.jsonl, resources.jsonl, columns.jsonl and strategy.md. GOTYPES, optional, has
-- lines "TYPE<tab>FIELD<tab>GO TYPE" for fields whose Go type has a name of its own: decode errors
-- print it.
local facts, outdir, gotypes = arg[1], arg[2], arg[3]
assert(facts and outdir, "usage: import.lua FACTS OUTDIR [GOTYPES]")

-- JSON -------------------------------------------------------------------------------------------
local escapes = { n = "\n", t = "\t", r = "\r", b = "\b", f = "\f" }
local decode_value
local function decode_string(s, i)
    local out, at = {}, i + 1
    while true do
        local stop = s:find('["\\]', at)
        out[#out + 1] = s:sub(at, stop - 1)
        if s:sub(stop, stop) == '"' then return table.concat(out), stop + 1 end
        local c = s:sub(stop + 1, stop + 1)
        if c == "u" then
            out[#out + 1] = utf8.char(tonumber(s:sub(stop + 2, stop + 5), 16))
            at = stop + 6
        else
            out[#out + 1] = escapes[c] or c
            at = stop + 2
        end
    end
end
local function decode_list(s, i, close, each)
    i = s:find("%S", i + 1)
    while s:sub(i, i) ~= close do
        i = s:find("%S", each(i))
        if s:sub(i, i) == "," then i = s:find("%S", i + 1) end
    end
    return i + 1
end
function decode_value(s, i)
    i = s:find("%S", i)
    local c = s:sub(i, i)
    if c == '"' then return decode_string(s, i) end
    local out = {}
    if c == "{" then
        i = decode_list(s, i, "}", function(at)
            local key, after = decode_string(s, at)
            local value, next_at = decode_value(s, s:find(":", after, true) + 1)
            out[key] = value
            out[#out + 1] = key                     -- members in order, as well as by name
            return next_at
        end)
        return out, i
    elseif c == "[" then
        i = decode_list(s, i, "]", function(at)
            local value, next_at = decode_value(s, at)
            out[#out + 1] = value
            return next_at
        end)
        return out, i
    end
    local word = s:match("^[%w%.%+%-]+", i)
    local known = { ["true"] = true, ["false"] = false }
    if known[word] ~= nil then return known[word], i + #word end
    return tonumber(word), i + #word
end
local function lines_of(name)
    local out = {}
    for line in io.lines(facts .. "/" .. name) do
        if line ~= "" then out[#out + 1] = (decode_value(line, 1)) end
    end
    return out
end

-- what the facts say only in prose ----------------------------------------------------------------
local served = {}
for name in ([[v1/pods v1/nodes v1/namespaces v1/services v1/configmaps v1/secrets
    v1/serviceaccounts
    v1/events events.k8s.io/v1/events discovery.k8s.io/v1/endpointslices
    coordination.k8s.io/v1/leases certificates.k8s.io/v1/certificatesigningrequests
    apps/v1/deployments apps/v1/replicasets]]):gmatch("%S+") do served[name] = true end
local volatile = { events = true, leases = true }
-- Set by the server when unset, though the OpenAPI documents do not say so; wherever the type
-- occurs.
local set = {
    ["core.v1.PodSpec"] = { dnsPolicy = "ClusterFirst", restartPolicy = "Always", securityContext =
        "{}",
        terminationGracePeriodSeconds = "30", schedulerName = "default-scheduler" },
    ["core.v1.Container"] = { terminationMessagePath = "/dev/termination-log",
        terminationMessagePolicy = "File" },
    ["core.v1.EphemeralContainerCommon"] = { terminationMessagePath = "/dev/termination-log",
        terminationMessagePolicy = "File" },
    ["core.v1.Probe"] = { timeoutSeconds = "1", periodSeconds = "10", successThreshold = "1",
        failureThreshold = "3" },
    ["core.v1.HTTPGetAction"] = { path = "/", scheme = "HTTP" },
    ["core.v1.ObjectFieldSelector"] = { apiVersion = "v1" },
    ["core.v1.SecretVolumeSource"] = { defaultMode = "420" },
    ["core.v1.ConfigMapVolumeSource"] = { defaultMode = "420" },
    ["core.v1.DownwardAPIVolumeSource"] = { defaultMode = "420" },
    ["core.v1.ProjectedVolumeSource"] = { defaultMode = "420" },
    ["core.v1.ServiceAccountTokenProjection"] = { expirationSeconds = "3600" },
    ["core.v1.HostPathVolumeSource"] = { type = '""' },
    ["core.v1.ServiceSpec"] = { sessionAffinity = "None", type = "ClusterIP" },
    ["core.v1.EndpointPort"] = { protocol = "TCP" },
    ["core.v1.Secret"] = { type = "Opaque" },
    ["core.v1.PersistentVolumeSpec"] = { persistentVolumeReclaimPolicy = "Retain",
        volumeMode = "Filesystem" },
    ["core.v1.PersistentVolumeStatus"] = { phase = "Pending" },
    ["core.v1.PersistentVolumeClaimSpec"] = { volumeMode = "Filesystem" },
    ["core.v1.PersistentVolumeClaimStatus"] = { phase = "Pending" },
    ["core.v1.NamespaceStatus"] = { phase = "Active" },
    ["apps.v1.DeploymentSpec"] = { replicas = "1", revisionHistoryLimit = "10",
        progressDeadlineSeconds = "600" },
    ["apps.v1.DeploymentStrategy"] = { type = "RollingUpdate" },
    ["apps.v1.DaemonSetSpec"] = { revisionHistoryLimit = "10" },
    ["apps.v1.DaemonSetUpdateStrategy"] = { type = "RollingUpdate" },
    ["apps.v1.StatefulSetSpec"] = { podManagementPolicy = "OrderedReady", replicas = "1",
        revisionHistoryLimit = "10" },
    ["apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy"] = { whenDeleted = "Retain",
        whenScaled = "Retain" },
    ["apps.v1.ReplicaSetSpec"] = { replicas = "1" },
    ["batch.v1.CronJobSpec"] = { concurrencyPolicy = "Allow", suspend = "false",
        successfulJobsHistoryLimit = "3", failedJobsHistoryLimit = "1" },
    ["batch.v1.PodFailurePolicyOnPodConditionsPattern"] = { status = "True" },
    ["autoscaling.v1.HorizontalPodAutoscalerSpec"] = { minReplicas = "1" },
    ["autoscaling.v2.HorizontalPodAutoscalerSpec"] = { minReplicas = "1" },
    ["networking.v1.NetworkPolicyPort"] = { protocol = "TCP" },
    ["networking.v1.IngressClassParametersReference"] = { scope = "Cluster" },
    ["rbac.v1.RoleRef"] = { apiGroup = "rbac.authorization.k8s.io" },
    ["discovery.v1.EndpointPort"] = { name = '""', protocol = "TCP" },
    ["storage.v1.StorageClass"] = { reclaimPolicy = "Delete", volumeBindingMode = "Immediate" },
    ["storage.v1.CSIDriverSpec"] = { attachRequired = "true", podInfoOnMount = "false",
        storageCapacity = "false", requiresRepublish = "false",
        fsGroupPolicy = "ReadWriteOnceWithFSType" },
    ["scheduling.v1.PriorityClass"] = { preemptionPolicy = "PreemptLowerPriority" },
}
-- Types with defaults that depend on more than one field: codec_default.c has the code.
local coded = {}
for id in ([[core.v1.Container core.v1.EphemeralContainer core.v1.ImageVolumeSource
    core.v1.NodeSpec core.v1.NodeStatus core.v1.PodStatus
    core.v1.PodSpec core.v1.ServicePort core.v1.ServiceSpec core.v1.Volume
    apps.v1.DeploymentStrategy]]):gmatch("%S+") do coded[id] = true end
for _, hook in ipairs { "ValidatingWebhook", "MutatingWebhook" } do
    set["admissionregistration.v1." .. hook] = { failurePolicy = "Fail", matchPolicy = "Equivalent",
        namespaceSelector = "{}", objectSelector = "{}", timeoutSeconds = "10" }
end
set["admissionregistration.v1.MutatingWebhook"].reinvocationPolicy = "Never"
set["admissionregistration.v1.Rule"] = { scope = "*" }
set["admissionregistration.v1.ServiceReference"] = { port = "443" }
set["admissionregistration.v1.ValidatingAdmissionPolicySpec"] = { failurePolicy = "Fail" }
for _, version in ipairs { "v1", "v1beta1", "v1alpha1" } do
    local at = "admissionregistration." .. version .. "."
    set[at .. "MutatingAdmissionPolicySpec"] = { failurePolicy = "Fail" }
    set[at .. "MatchResources"] = { matchPolicy = "Equivalent", namespaceSelector = "{}",
        objectSelector = "{}" }
end

-- types ------------------------------------------------------------------------------------------
local types = lines_of("types.jsonl")
local by_id, packages, order = {}, {}, {}
local function package_of(id)
    if id:find("^pbonly:") then return "wrappers", id end
    local pre, name = id:match("^(.*)%.([^.]+)$")
    return pre or "base", name or id
end
local function package(name)
    if not packages[name] then
        packages[name] = { name = name, types = {}, kinds = {} }
        order[#order + 1] = name
    end
    return packages[name]
end
for _, t in ipairs(types) do
    by_id[t.t] = t
    local p = package((package_of(t.t)))
    p.types[#p.types + 1] = t
end
local go = {}
if gotypes then
    for line in io.lines(gotypes) do
        local t, f, name = line:match("^(%S+)\t(%S+)\t(%S+)$")
        go[t .. " " .. f] = name
    end
end

local function most_common(p, key)
    local count, best = {}, nil
    for _, t in ipairs(p.types) do
        local head = t[key] and t[key]:match("^(.*)%.[^.]+$")
        if head then
            count[head] = (count[head] or 0) + 1
            if not best or count[head] > count[best] then best = head end
        end
    end
    return best
end
local function gv_of(p)
    local count, best = {}, nil
    for _, t in ipairs(p.types) do
        for _, gvk in ipairs(t.gvk or {}) do
            local gv = gvk:match("^(.*)/[^/]+$")
            if gv then
                count[gv] = (count[gv] or 0) + 1
                if not best or count[gv] > count[best] then best = gv end
            end
        end
    end
    return best
end

local function quote(v)
    if type(v) ~= "string" then return tostring(v) end
    if v == "" or v:find("[^%w_%.%-/:+*]") then return '"' .. v:gsub('[\\"]', "\\%0") .. '"' end
    return v
end
local function quote_list(list)
    local out = {}
    for i, v in ipairs(list) do out[i] = quote(v) end
    return table.concat(out, ",")
end
local function json_of(v)
    if type(v) ~= "table" then return '"' .. tostring(v) .. '"' end
    local out = {}
    if v[1] and v[v[1]] ~= nil then
        for i, key in ipairs(v) do out[i] = '"' .. key .. '":' .. json_of(v[key]) end
        return "{" .. table.concat(out, ",") .. "}"
    end
    for i, item in ipairs(v) do out[i] = json_of(item) end
    return "[" .. table.concat(out, ",") .. "]"
end
local function quote_json(v) return '"' .. json_of(v):gsub('[\\"]', "\\%0") .. '"' end

-- "list:core.v1.Volume" in core.v1 -> "[]Volume"
local function type_text(t, pkg, elem_pointer)
    local list, map = t:match("^list:(.*)$"), t:match("^map:(.*)$")
    if list then return "[]" .. (elem_pointer and "*" or "") .. type_text(list, pkg) end
    if map then return "{}" .. type_text(map, pkg, elem_pointer) end
    local pre, name = package_of(t)
    if pre == pkg and pre ~= "base" then return name end
    return t
end
local struct_like = { time = true, microTime = true, quantity = true, intOrString = true, raw =
    true,
    duration = true, json = true }
local function derived_wire(f)
    local t = f.t:gsub("^list:", "")
    if t == "bool" or t == "int32" or t == "int64" then return "v" end
    return t == "double" and "f64" or "b"
end
local function derived_zero(f)
    if f.ptr or f.t:find("^list:") or f.t:find("^map:") then return false end
    if by_id[f.t] and not by_id[f.t].scalar or struct_like[f.t] then return true end
    return not f.oe and (f.t == "string" or f.t == "bool" or f.t:find("^int") ~= nil)
end
-- The facts of what OpenAPI says are missing where a type is published only inside another.
local required_inside = { ["core.v1.EphemeralContainerCommon name"] = true }
local seen = {}
local function known(what, record, names)
    for _, key in ipairs(record) do
        assert((" " .. names .. " "):find(" " .. key .. " ", 1, true), what .. " has unknown " ..
            key)
        seen[what .. "." .. key] = true
    end
end

local function field_words(t, f, pkg)
    known("field", f, "inline n p w pn t ptr ep oe oz str r dz d e E lt lk mt ps pk one disc" ..
        " null opt rq fg fmt wrap v pt rep")
    local words = {}
    local function add(word) words[#words + 1] = word end
    if f.inline then
        add(f.p or "-"); add("-"); add(type_text(f.inline, pkg))
        if f.pn then add("pn=" .. f.pn) end
        return words
    end
    add(f.p or "-")
    if f.pt then                            -- a scalar's protobuf form
        add(f.n); add((f.rep == 1 and "[]" or "") .. f.pt)
        return words
    end
    add(f.n)
    add((f.ptr and "*" or "") .. type_text(f.t, pkg, f.ep))
    if not f.oe then add("always") end
    if f.oz then add("omitzero") end
    if f.str then add("asstring") end
    if f.r or required_inside[t.t .. " " .. f.n] then add("required") end
    if f.rq then add("+required") end
    if f.opt then add("+optional") end
    if f.null then add("nullable") end
    if f.d ~= nil then add("default=" .. quote(f.d)) end
    local s = set[t.t] and set[t.t][f.n]
    if s then add("set=" .. s); set[t.t][f.n] = nil end
    if f.e then add((f.E and "enum=" or "known=") .. quote_list(f.e)) end
    if f.lt then add("list=" .. f.lt .. (f.lk and "(" .. table.concat(f.lk, ",") .. ")" or "")) end
    if f.ps or f.pk then
        add("patch=" .. (f.ps or "") .. (f.pk and "(" .. f.pk .. ")" or ""))
    end
    if f.mt then add("map=" .. f.mt) end
    if f.one then add("one=" .. f.one) end
    if f.disc then add("discriminator") end
    if f.fmt then add("format=" .. f.fmt) end
    if f.wrap then add("wrap=" .. f.wrap) end
    if f.pn then add("pn=" .. f.pn) end
    if f.w and f.w ~= derived_wire(f) then add("wire=" .. f.w) end
    if t.oa and (f.dz == 1) ~= derived_zero(f) then add(f.dz and "zero" or "nozero") end
    local name = go[t.t .. " " .. f.n]
    if name then add("go=" .. name) end
    if f.fg then add("gate=" .. table.concat(f.fg, ",")) end
    if f.v then add("rules=" .. quote_list(f.v)) end
    return words
end

-- Words to lines of at most 100 columns; long lists break after a comma.
local function wrap(out, words, indent)
    local line = indent .. words[1]
    for i = 2, #words do
        local word = tostring(words[i])
        if #line + 1 + #word > 100 then
            local room = 100 - #line - 1
            local cut = 0
            if word:find("^[a-z]+=") and not word:find('"') and room > 20 then
                local at = word:sub(1, room):find(",[^,]*$")
                if at and #word > 60 then cut = at end
            end
            if cut > 0 then
                line = line .. " " .. word:sub(1, cut)
                word = word:sub(cut + 1)
            end
            out[#out + 1] = line
            line = indent .. "    " .. (cut > 0 and "..." or "")
            while #line + #word > 100 and word:find(",") do
                local at = word:sub(1, 99 - #line):find(",[^,]*$")
                if not at or (word:find('"') and not word:sub(at + 1, at + 1):find('"')) then
                    break end
                out[#out + 1] = line .. word:sub(1, at)
                word = word:sub(at + 1)
                line = indent .. "    ..."
            end
            line = line .. word
        else
            line = line .. " " .. word
        end
    end
    out[#out + 1] = line
end

-- Registered in every group, which the facts show for the core only.
local everywhere = { ["meta.v1.DeleteOptions"] = true, ["meta.v1.WatchEvent"] = true }
local function write_type(out, t, p)
    known("type", t, "t pb oa gvk mt un union life v same scalar oat fmt f")
    local _, name = package_of(t.t)
    local words = { "type", name }
    local function add(word) words[#words + 1] = word end
    if t.pb ~= (p.pb and p.pb .. "." .. name) then add("pb=" .. (t.pb or "-")) end
    if t.oa ~= (p.openapi and p.openapi .. "." .. name) then add("openapi=" .. (t.oa or "-")) end
    if everywhere[t.t] then
        add("kind=" .. table.concat(t.gvk, ",") .. ",*")
    elseif t.gvk then
        if #t.gvk == 1 and p.gv and t.gvk[1] == p.gv .. "/" .. name then add("kind")
        else add("kind=" .. table.concat(t.gvk, ",")) end
    end
    if t.scalar then add("scalar") end
    if coded[t.t] then add("coded") end
    if t.t:find("%.JSONSchemaPropsOr") then add("either") end
    if t.oat then add("json=" .. quote_json(t.oat)) end
    if t.fmt then add("format=" .. t.fmt) end
    if t.same then add("same=" .. t.same) end
    if t.mt then add("map=" .. t.mt) end
    for _, key in ipairs(t.life or {}) do add(key .. "=" .. quote(t.life[key])) end
    if t.un then add("unions=" .. quote_json(t.un)) end
    if t.v then add("rules=" .. quote_list(t.v)) end
    out[#out + 1] = ""
    wrap(out, words, "")
    for _, f in ipairs(t.f or {}) do wrap(out, field_words(t, f, p.name), "  ") end
end

-- kinds ------------------------------------------------------------------------------------------
local strategy, returned = {}, {}
for line in io.lines(facts .. "/strategy.md") do
    local dir, ns, put, free, gen, del =
        line:match("^| (%l[%l/]+) | (%a+) | (%a+) | (%a+) | (.+) | ([^|]+) |$")
    if dir then
        strategy[dir:match("[^/]*$")] = { ns = ns, put = put == "yes", free = free == "yes", gen =
            gen,
            del = del }
    end
    local list = line:match("answer the deleted object instead: ([^.]*)%.")
    for name in (list or ""):gmatch("[^%s,]+") do returned[name] = true end
end
strategy.certificatesigningrequest = strategy.certificatesigningrequest or strategy.certificates
strategy.endpoints = strategy.endpoints or strategy.endpoint

local columns = {}
local rules = {}
local index = lines_of("resources.jsonl")
for _, c in ipairs(lines_of("columns.jsonl")) do
    if c.cols then columns[(c.g or "") .. "/" .. c.r] = c else rules[#rules + 1] = c end
end
local head = {}
for _, r in ipairs(index) do
    if not r.r then
        head[#head + 1] = r
    else
        local gv = (r.g == "" and "" or r.g .. "/") .. r.v
        local found
        for _, t in ipairs(types) do
            for _, gvk in ipairs(t.gvk or {}) do
                if gvk == gv .. "/" .. r.k then found = t.t end
            end
        end
        -- not registered in the server itself: metrics
        local other = r.g:match("^[^.]*") .. "." .. r.v .. "." .. r.k
        found = found or by_id[other] and other
        assert(found, "no type for " .. gv .. "/" .. r.k)
        local p = package((package_of(found)))
        p.kinds[#p.kinds + 1] = r
        if p.gv == nil then p.gv = gv end
    end
end

local function write_kind(out, r, gv)
    known("kind", r, "g v r k s ns verbs sn cat on store svh vers pref key allns wpath q sub note")
    local words = { "kind", r.r, r.k }
    local function add(word) words[#words + 1] = word end
    if r.s ~= "" then add("singular=" .. r.s) end
    add(r.ns == 1 and "namespaced" or "cluster")
    if served[gv .. "/" .. r.r] then add("served") end
    if volatile[r.r] then add("volatile") end
    if r.on ~= 1 then add("on=" .. r.on) end
    if r.allns then add("allns") end
    if r.wpath then add("wpath") end
    out[#out + 1] = ""
    wrap(out, words, "")
    local function line(name, list)
        if list and #list > 0 then wrap(out, { name, table.unpack(list) }, "  ") end
    end
    line("verbs", r.verbs)
    line("short", r.sn)
    line("categories", r.cat)
    local s = strategy[r.s] or strategy[r.r]
    if r.key then
        words = { "store", "version=" .. r.store, "key=" .. r.key }
        if r.svh then add("hash=" .. quote(r.svh)) end
        if #r.vers > 1 then add("versions=" .. table.concat(r.vers, ",")) end
        if r.pref ~= r.v then add("preferred=" .. r.pref) end
        wrap(out, words, "  ")
    end
    if s then
        words = { "rules" }
        if s.put then add("put-creates") end
        if s.free then add("unconditional-put") end
        if returned[r.r] then add("returns-deleted") end
        if s.gen ~= "-" then add("generation=" .. quote(s.gen)) end
        if s.del ~= "background" then add("delete=" .. quote((s.del:gsub(" .*", "")))) end
        if #words > 1 then wrap(out, words, "  ") end
    elseif r.key then
        io.stderr:write("no strategy row: ", gv, "/", r.r, "\n")
    end
    local function queries(q)
        local list = {}
        for _, action in ipairs(q or {}) do list[#list + 1] = action .. "=" .. q[action] end
        return list
    end
    line("query", queries(r.q))
    for _, sub in ipairs(r.sub or {}) do
        known("sub", sub, "n k gv verbs req resp q conn tail")
        words = { "sub", sub.n, sub.k }
        if sub.gv then add("gv=" .. sub.gv) end
        add("verbs=" .. table.concat(sub.verbs, ","))
        if sub.conn then add("connect") end
        if sub.tail then add("tail") end
        if sub.req then add("req=" .. sub.req) end
        if sub.resp then add("resp=" .. sub.resp) end
        for _, q in ipairs(queries(sub.q)) do add("query." .. q) end
        wrap(out, words, "  ")
    end
    local c = columns[r.g .. "/" .. r.r]
    for _, col in ipairs(c and type(c.cols) == "table" and c.cols or {}) do
        known("column", col, "n t f p v")
        words = { "column", quote(col.n), col.t }
        if col.f then add("format=" .. col.f) end
        if col.p then add("priority=" .. col.p) end
        add("cell=" .. quote(col.v))
        wrap(out, words, "  ")
    end
end

local function write_file(name, out)
    local file = assert(io.open(outdir .. "/" .. name .. ".schema", "w"))
    file:write(table.concat(out, "\n"), "\n")
    file:close()
end
for _, name in ipairs(order) do
    local p = packages[name]
    p.pb, p.openapi, p.gv = most_common(p, "pb"), most_common(p, "oa"), p.gv or gv_of(p)
    if name == "base" or name == "wrappers" then p.pb, p.openapi = nil, nil end
    local out = { "# " .. name ..
        ": written by import.lua; the notation is explained in generate.lua." }
    local words = { "package", name }
    if p.gv then words[#words + 1] = "gv=" .. p.gv end
    if p.pb then words[#words + 1] = "pb=" .. p.pb end
    if p.openapi then words[#words + 1] = "openapi=" .. p.openapi end
    wrap(out, words, "")
    for _, r in ipairs(p.kinds) do
        write_kind(out, r, (r.g == "" and "" or r.g .. "/") .. r.v)
    end
    for _, t in ipairs(p.types) do write_type(out, t, p) end
    write_file(name, out)
end

-- groups, parameters ------------------------------------------------------------------------------
local out = { "# index: written by import.lua; groups in server order, query sets, other paths." }
for _, h in ipairs(head) do
    for _, g in ipairs(h.groups or {}) do
        wrap(out, { "group", quote(g.g), "versions=" .. table.concat(g.vers, ","), "preferred=" ..
            g.pref }, "")
    end
    if h.qset then wrap(out, { "queryset", h.qset, table.unpack(h.params) }, "") end
    for _, name in ipairs(h.ptypes or {}) do
        wrap(out, { "parameter", name, h.ptypes[name] }, "")
    end
    for _, path in ipairs(h.otherpaths or {}) do
        wrap(out, { "path", quote(path), table.unpack(h.otherpaths[path]) }, "")
    end
end
for _, c in ipairs(rules) do
    if c.rule then wrap(out, { "cell", c.rule, quote(json_of(c.steps)) }, "") end
end
write_file("index", out)
for t, rest in pairs(set) do
    for f in pairs(rest) do io.stderr:write("default for unknown field ", t, ".", f, "\n") end
end
