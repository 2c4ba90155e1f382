#!/bin/bash
# metrics.test.sh: figures of the API and of the node in a form that a strict parser takes, health pages, inro status.
. "$(dirname "$0")/lib.sh"
e2e_begin metrics
status() { inside n1 "$INRO_BIN" status --data-dir "$work/n1/data" --run-dir "$work/n1/run" "$@"; }
exits() { local want=$1 code=0; shift; "$@" > "$work/out" 2>&1 || code=$?; [ $code = "$want" ] || { cat "$work/out"; is "$code" "$want"; }; }
node_new n1 192.0.2.1
check "status before a server says so" exits 3 status
check "and what to do next" says "inro server" status
server_start n1 --log "$work/n1/server.log" --log-format json
check "with a server all is well" eventually 10 exits 0 status
check "the roles are shown" says "control" status
check "so is the store" says "state.db" status

lines() {
    python3 - "$work/n1/server.log" <<'P'
import json, sys
lines = [json.loads(l) for l in open(sys.argv[1])]
assert all(list(l)[:4] == ["ts", "level", "role", "msg"] for l in lines)
ready = [l for l in lines if l["msg"] == "server is ready"]
assert len(ready) == 1 and ready[0]["node"] == "n1" and ready[0]["port"] == 6443, ready
assert {"server", "control", "node", "dns"} <= {l["role"] for l in lines}
P
}
check "the log is in its file, one JSON object a line" lines

# --- figures
page() { k get --raw "$1" > "$work/page" || return; python3 "$here/metrics_parse.py" "$work/page" "${@:2}"; }
api() { page /metrics "$@"; }
kubelet() { page "/api/v1/nodes/n1/proxy/metrics$1" "${@:2}"; }
check "the API's figures are well-formed" api
for p in "" /cadvisor /resource /probes; do check "so are the node's: metrics$p" kubelet "$p"; done
check "and /metrics/slis" page /metrics/slis
posts() { api 'apiserver_request_total{resource="configmaps",verb="POST",code="201"}'; }
before=$(posts)
k create configmap one > /dev/null; k create configmap two > /dev/null
check "two creates are two more" is "$(posts)" $((before + 2))
check "and take a time each" is "$(api 'apiserver_request_duration_seconds_count{resource="configmaps",verb="POST"}')" \
    "$(api 'apiserver_request_total{resource="configmaps",verb="POST"}')"
check "objects are counted" is "$(api 'apiserver_storage_objects{resource="nodes"}')" 1
more_than() { python3 -c "import sys; sys.exit(not float(sys.argv[1]) > float(sys.argv[2]))" "$@" || { echo "$1, not above $2"; return 1; }; }
for name in process_resident_memory_bytes process_cpu_seconds_total process_open_fds workqueue_adds_total \
            inro_store_sync_duration_seconds_count kubernetes_build_info apiserver_longrunning_requests; do
    check "$name is more than 0" more_than "$(api $name)" 0
done

k apply -f - > /dev/null <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - name: web
    image: inro.local/box
    command: [http]
    readinessProbe: {httpGet: {path: /healthz, port: 80}, periodSeconds: 1}
Y
ready() { is "$(k get pod web -o jsonpath='{.status.containerStatuses[0].ready}')" true; }
check "a pod is ready" eventually 20 ready
check "it was scheduled" is "$(api 'scheduler_schedule_attempts_total{result="scheduled"}')" 1
check "its start took a time" is "$(kubelet "" kubelet_pod_start_duration_seconds_count)" 1
check "one container runs" is "$(kubelet "" 'kubelet_running_containers{container_state="running"}')" 1
check "its probes are counted" more_than "$(kubelet /probes 'prober_probe_total{pod="web",probe_type="Readiness",result="successful"}')" 0
check "it uses memory" more_than "$(kubelet /cadvisor 'container_memory_working_set_bytes{container="web"}')" 0
check "and got packets" eventually 10 more_than "$(kubelet /cadvisor 'container_network_transmit_bytes_total{pod="web"}')" 0
check "for metrics-server, too" more_than "$(kubelet /resource 'container_memory_working_set_bytes{container="web"}')" 0
check "a stranger sees no figures" says 403 inside n1 curl -sk -o /dev/null -w '%{http_code}' https://192.0.2.1:6443/metrics
check "nor those of the node" says 401 inside n1 curl -sk -o /dev/null -w '%{http_code}' https://192.0.2.1:10250/metrics

# --- health
check "livez" is "$(k get --raw /livez)" ok
check "readyz tells its checks" says "[+]controllers ok" k get --raw '/readyz?verbose'
check "one check can be left out" says "[+]plugins excluded: ok" k get --raw '/readyz?verbose&exclude=plugins'
check "one alone" is "$(k get --raw /livez/etcd)" ok
check "the node's health" says "[+]syncloop ok" k get --raw '/api/v1/nodes/n1/proxy/healthz?verbose'

# --- status in trouble
k run broken --image=inro.local/box --restart=Always --command -- sh -c 'echo oh; exit 3' > /dev/null
degraded() { exits 1 status && grep -q 'default/broken: CrashLoopBackOff' "$work/out"; }
check "a pod that crashes is named" eventually 20 degraded
check "with its last end" says "exit code 3" status
in_json() { status -o json | python3 -c "import json, sys; r = json.load(sys.stdin); print($1)"; }
check "as JSON, too" is "$(in_json 'r["state"], r["pods"]["failing"][0]["name"]')" "degraded broken"
k delete pod broken --force --grace-period=0 > /dev/null 2>&1
check "without it all is well again" eventually 20 exits 0 status
kill -STOP "$(in_json '[x["pid"] for x in r["roles"] if x["name"] == "control"][0]')"
hangs() { exits 1 status && grep -q 'API .*not ready' "$work/out"; }
check "an API that hangs is told" hangs
kill -CONT "$(in_json '[x["pid"] for x in r["roles"] if x["name"] == "control"][0]')"
kill -KILL "$(in_json '[x["pid"] for x in r["roles"] if x["name"] == "dns"][0]')"
again() { says "started again once" status && exits 0 status; }
check "a role that was killed has a successor" eventually 20 again
check "and status says why" says "signal 9" status
server_stop n1
check "after the end nothing runs" exits 3 status
check "the pod goes on" says "1 pod goes on without a server" status
e2e_end
