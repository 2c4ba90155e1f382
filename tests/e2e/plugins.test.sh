#!/bin/bash
# plugins.test.sh: Lua in the path of admission: refusals that kubectl prints, changes, reloads, limits.
. "$(dirname "$0")/lib.sh"
e2e_begin plugins
check "the examples pass their own tests" says "0 failed" "$INRO_BIN" plugin test "$top"/plugins/examples/*.lua
check "a failing test fails" fails "$INRO_BIN" plugin test "$here/e2e.sh"
node_new n1 192.0.2.1
server_start n1 --disable-agent
plugins=$work/n1/data/plugins
check "the folder is there" [ -d "$plugins" ]
run() { k run "$1" --image="$2" --restart=Never; }
check "without plugins any image is taken" run free nginx
cp "$top/plugins/examples/allow-registries.lua" "$plugins/"
check "list shows it" says allow-registries.lua "$INRO_BIN" plugin list --data-dir "$work/n1/data"
refused() { says "registry docker.io is not allowed" run "x$RANDOM" nginx; }
check "it counts at once, and kubectl prints its text" eventually 5 refused
check "it says that it is forbidden" says "Error from server (Forbidden)" run y nginx
check "an allowed image is taken" run allowed inro.local/box
check "a Deployment's pods are refused as well" k create deployment d --image=nginx
replica_failure() { says "registry docker.io is not allowed" k get rs -o jsonpath='{.items[0].status.conditions[0].message}'; }
check "the ReplicaSet tells why" eventually 10 replica_failure

cp "$top/plugins/examples/inject-sidecar.lua" "$plugins/"
sidecar() {
    k delete pod s --ignore-not-found --force --grace-period=0 > /dev/null 2>&1
    k run s --image=inro.local/box --annotations=example.com/sidecar=true --restart=Never > /dev/null 2>&1
    is "$(k get pod s -o jsonpath='{.spec.containers[*].name}')" "s sidecar"
}
check "a sidecar is injected" eventually 5 sidecar
check "it got its defaults" is "$(k get pod s -o jsonpath='{.spec.containers[1].imagePullPolicy}')" Always

# a broken file keeps the former version; an endless loop ends, and only its own requests fail
echo 'plugin { kinds = ' > "$plugins/allow-registries.lua"
loaded_not() { grep -q 'plugin not loaded.*allow-registries' "$work/n1/log"; }
check "the log tells what does not load" eventually 5 loaded_not
check "the former version stays" refused
rm "$plugins/allow-registries.lua"
gone() { run "g$RANDOM" nginx; }
check "without the file it is gone" eventually 5 gone
cat > "$plugins/loop.lua" <<'L'
plugin { kinds = { "ConfigMap" } }
function validate() while true do end end
L
endless() { says "time limit" k create configmap "c$RANDOM"; }
check "an endless loop is stopped" eventually 5 endless
check "others go on" k create secret generic fine
cat > "$plugins/loop.lua" <<'L'
plugin { kinds = { "ConfigMap" }, failure = "Ignore" }
function validate() local t = {} while true do t[#t + 1] = ("x"):rep(1000) .. #t end end
L
ignored() { k create configmap "c$RANDOM"; }
check "with failure = Ignore the request goes on" eventually 5 ignored

# what they did is told: Events about the plugin, figures, and the list of a running server
told() { says "$2" k get events -n kube-system --field-selector "involvedObject.name=$1,reason=$3" -o jsonpath='{.items[*].message}'; }
check "a refusal is an Event" eventually 5 told allow-registries "registry docker.io is not allowed" Denied
check "a file that does not load is one" eventually 5 told allow-registries "unexpected symbol" FailedLoad
check "a plugin that was stopped is one" eventually 5 told loop "time limit" Stopped
list() { inside n1 "$INRO_BIN" plugin list --data-dir "$work/n1/data" --run-dir "$work/n1/run"; }
check "list shows why it was stopped" says "limit" list
metric() { k get --raw /metrics > "$work/page" && python3 "$here/metrics_parse.py" "$work/page" "$@"; }
stopped() { [ "$(metric 'inro_plugin_calls_total{plugin="loop",handler="validate",result="stopped"}')" -ge 2 ]; }
check "its ends by a limit are counted" stopped
check "and its times" [ "$(metric 'inro_plugin_duration_seconds_count{plugin="loop"}')" -ge 2 ]
rm "$plugins"/*.lua
emptied() { ! list | grep -q loop.lua; }
check "without its file it leaves the list" eventually 5 emptied

# reloads lose no request
inside n1 python3 "$here/writer_loop.py" "$work/n1/kubeconfig" default 3 < /dev/zero > "$work/writer.json" & writer=$!
for i in $(seq 1 30); do
    echo "plugin { kinds = { 'ConfigMap' } } function validate() warn('$i') end" > "$plugins/r.lua"
    sleep 0.1
done
wait $writer
check "no request is lost by reloads" is "$(python3 -c "import json; print(json.load(open('$work/writer.json'))['failed'])")" 0
e2e_end
