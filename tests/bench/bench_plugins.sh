#!/bin/bash
# bench_plugins.sh: what plugins add to a create, as ratios to the same creates without any, in one run; and what an
# endless loop and a memory hog cost before they are stopped.
. "$(dirname "$0")/lib.sh"
bench_begin plugins
bench_need python3 python3
bench_need curl curl
rounds=5 requests=400
server_start --disable-agent --disable-scheduler --disable-controller-manager
ns_path=/api/v1/namespaces/default
plugins=$work/data/plugins
cat "$work/admin.crt" "$work/admin.key" > "$work/admin.pem"
printf '%s' '{"metadata":{"generateName":"p-","labels":{"team":"a","app":"b"}},"spec":{"automountServiceAccountToken":false,' \
    '"containers":[{"name":"c","image":"inro.local/box:1","resources":{"requests":{"cpu":"1","memory":"1Mi"},' \
    '"limits":{"cpu":"1","memory":"1Mi"}}}]}}' > "$work/pod.json"
api POST "$ns_path/serviceaccounts" -H 'Content-Type: application/json' --data '{"metadata":{"name":"default"}}' > /dev/null
metric() { api GET /metrics | sed -nE "s|^$1 ||p" | head -n1; }

# loads FILE...: exactly these plugins; waits until the server has them
loads() {
    local i
    rm -f "$plugins"/*.lua
    [ $# = 0 ] || cp "$@" "$plugins/"
    for ((i = 0; i < 100; i++)); do
        [ "$(api GET /metrics | grep -c '^inro_plugin_loaded{.*} 1$')" != $# ] || return 0
        sleep 0.05
    done
    say "plugins are not loaded"; exit 1
}
# creates: mean milliseconds of a create, over one connection; a dry run, so that the disk does not count
creates() {
    inside python3 - "$work/pod.json" "$ns_path/pods?dryRun=All" "$port" $requests "$work/admin.pem" <<'P'
import http.client, ssl, sys, time
body, path, port, n, pem = open(sys.argv[1]).read(), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
tls = ssl._create_unverified_context()
tls.load_cert_chain(pem)
c = http.client.HTTPSConnection("127.0.0.1", port, context=tls)
def create():
    c.request("POST", path, body, {"Content-Type": "application/json"})
    r = c.getresponse()
    r.read()
    assert r.status == 201, r.status
for i in range(50):
    create()
start = time.monotonic()
for i in range(n):
    create()
print("%.3f" % ((time.monotonic() - start) * 1000 / n))
P
}
example() { echo "$top/plugins/examples/$1.lua"; }
all=("$(example allow-registries)" "$(example default-resources)" "$(example inject-sidecar)" "$(example require-labels)")
: > "$work/t0"; : > "$work/t1"; : > "$work/t4"
for ((i = 0; i < rounds; i++)); do
    loads; creates >> "$work/t0"
    loads "${all[0]}"; creates >> "$work/t1"
    loads "${all[@]}"; creates >> "$work/t4"
done
none=$(median < "$work/t0")
row "create of a pod (dry run) with 1 plugin" "$(median < "$work/t1") ms" "none $none ms" "$(ratio_of "$work/t0" "$work/t1")"
row "create of a pod (dry run) with 4 plugins" "$(median < "$work/t4") ms" "none $none ms" "$(ratio_of "$work/t0" "$work/t4")"

# --- limits: the plugin's own time, from its figures; memory: the role's peak beyond what it had
ask() { api POST "$ns_path/configmaps" -H 'Content-Type: application/json' --data '{"metadata":{"generateName":"c-"}}' > /dev/null 2>&1 || :; }
took() { metric "inro_plugin_duration_seconds_sum\{plugin=\"$1\",handler=\"validate\"\}"; }
mkdir "$work/lua"
echo 'plugin { kinds = { "ConfigMap" } } function validate() while true do end end' > "$work/lua/loop.lua"
echo 'plugin { kinds = { "ConfigMap" } } function validate() local t = {} while true do t[#t + 1] = ("x"):rep(1000) .. #t end end' \
    > "$work/lua/hog.lua"
loads "$work/lua/loop.lua"
for ((i = 0; i < 10; i++)); do ask; done
row "an endless loop is stopped after" "$(awk -v s="$(took loop)" 'BEGIN { printf "%.1f ms", s * 100 }')" "limit 50 ms" ""
server_stop                              # a fresh one: memory that was freed before would be used again
server_start --disable-agent --disable-scheduler --disable-controller-manager
loads "$work/lua/hog.lua"
role=$(pgrep -P $server -x inro-control)
peak() { sed -nE 's|^VmHWM:[^0-9]*([0-9]+) kB|\1|p' "/proc/$role/status"; }
now() { sed -nE 's|^VmRSS:[^0-9]*([0-9]+) kB|\1|p' "/proc/$role/status"; }
echo 5 > "/proc/$role/clear_refs"
before=$(now)
for ((i = 0; i < 10; i++)); do ask; done
row "a memory hog is stopped after" "$(awk -v s="$(took hog)" 'BEGIN { printf "%.1f ms", s * 100 }')" "limit 50 ms" ""
row "and at most took" "$(awk -v a="$before" -v b="$(peak)" 'BEGIN { printf "%.1f MiB", (b - a) / 1024 }')" "limit 16 MiB" ""
