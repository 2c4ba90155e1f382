#!/bin/bash
# kill.test.sh: kill -9 of each process of inro in turn, under a client loop through a Service and a writer loop:
# no container restarts, no acknowledged write is lost, everything is ready again.
. "$(dirname "$0")/lib.sh"
e2e_begin kill
node_new n1 192.0.2.1
server_start n1
cat > "$work/app.yaml" <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: inro.local/box, command: [http], ports: [{containerPort: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
Y
check "apply" k apply -f "$work/app.yaml"
check "4 pods run" eventually 20 pods_running app=web 4
ip=$(service_ip web)
check "the Service answers" eventually 5 inside n1 curl -sf "http://$ip/"

# Process ids of the containers' first processes, and their start times: the same ones must live on.
containers() {
    local p
    for p in $(find /sys/fs/cgroup/pids/$cgroup_base-n1 /sys/fs/cgroup/$cgroup_base-n1 -name cgroup.procs -exec cat {} + 2> /dev/null | sort -u); do
        case $({ tr '\0' ' ' < "/proc/$p/cmdline"; } 2> /dev/null) in http*) echo "$p $(cut -d' ' -f22 "/proc/$p/stat")" ;; esac
    done | sort
}
# role_pid NAME: the child of the server process that runs this role
role_pid() {
    local p
    for p in $(cat "/proc/$(server_pid n1)/task/$(server_pid n1)/children"); do
        { tr '\0' ' ' < "/proc/$p/cmdline"; } 2> /dev/null | grep -qw -- "$1" && { echo "$p"; return 0; }
    done
    echo "no role $1"; return 1
}
restarts() { k get pods -l app=web -o jsonpath='{range .items[*]}{.status.containerStatuses[0].restartCount}{" "}{end}'; }
role_back() { local now; now=$(role_pid "$1") && [ "$now" != "$2" ] && server_is_ready && node_is_ready n1; }
before=$(containers)
check "four containers are seen" is "$(wc -l <<< "$before")" 4

mkfifo "$work/stop1" "$work/stop2"
inside n1 python3 "$here/client_loop.py" "http://$ip/" 120 100 < "$work/stop1" > "$work/client.json" & client=$!
inside n1 python3 "$here/writer_loop.py" "$work/n1/kubeconfig" default 120 < "$work/stop2" > "$work/writer.json" & writer=$!
exec 6> "$work/stop1" 7> "$work/stop2"
sleep 1
for role in control node dns control node; do
    pid=$(role_pid $role)
    check "there is a $role" [ -d "/proc/$pid" ]
    start=$(date +%s%3N)
    kill -KILL "$pid"
    check "$role comes back" eventually 15 role_back $role "$pid"
    echo "  $role back and all ready after $(($(date +%s%3N) - start)) ms"
    check "the same containers after $role" is "$(containers)" "$before"
    sleep 1
done
start=$(date +%s%3N)
kill -KILL "$(server_pid n1)"
wait "$(server_pid n1)" 2> /dev/null
server_launch n1
check "a new parent takes over" eventually 15 server_is_ready
check "its node is ready" eventually 15 node_is_ready n1
echo "  parent back and all ready after $(($(date +%s%3N) - start)) ms"
check "the same containers after the parent" is "$(containers)" "$before"
sleep 1
exec 6>&- 7>&-
wait $client $writer
check "no request through the Service failed" is "$(python3 -c "import json; print(json.load(open('$work/client.json'))['failed'])")" 0
k get configmaps -o name | sed 's,.*/,,' > "$work/have"
lost() {
    python3 - "$work" <<'P'
import json, sys
have = set(open(sys.argv[1] + "/have").read().split())
acked = json.load(open(sys.argv[1] + "/writer.json"))["acked"]
print("%d acknowledged" % len(acked), [n for n in acked if n not in have] or "none lost")
P
}
lost > "$work/lost"
check "no acknowledged write is lost" grep -q "none lost" "$work/lost"
echo "  $(cat "$work/lost")"
check "writes went through" [ "$(sed 's/ .*//' "$work/lost")" -gt 100 ]
check "no restarts are told" is "$(restarts)" "0 0 0 0 "
e2e_end
