#!/bin/bash
# loss.test.sh: nodes that die, come back, are cut off, drained and cordoned, with a client at the Service all along.
. "$(dirname "$0")/lib.sh"
e2e_begin loss
switch_new
node_new n1 192.0.2.1
node_new n2 192.0.2.2
node_new n3 192.0.2.3
pace=(--kubelet-arg=node-status-update-frequency=1s)
server_start n1 "${pace[@]}" --kube-controller-manager-arg=node-monitor-grace-period=6s \
    --kube-apiserver-arg=default-not-ready-toleration-seconds=1 \
    --kube-apiserver-arg=default-unreachable-toleration-seconds=1
start_agent n2 "${pace[@]}"
start_agent n3 "${pace[@]}"

where() { k get pods -l app=web --field-selector=status.phase=Running \
    -o jsonpath='{range .items[*]}{.metadata.deletionTimestamp}{" "}{.spec.nodeName}{"\n"}{end}'; }
on_node() { where | grep -c "^ $1\$"; }         # NODE: how many pods run there that nobody deletes
has() { [ "$(on_node "$1")" "$2" "$3" ] || { where; return 1; }; }
web_ready() { is "$(k get deployment web -o jsonpath='{.status.readyReplicas}/{.status.replicas}')" "$1/$1"; }
taint_of() { k get node "$1" -o jsonpath='{.spec.taints[*].key}'; }
untainted() { is "$(taint_of "$1")" ""; }
not_ready() { fails node_is_ready "$1"; }
# load_begin ... load_end; check "..." lossless: a client at the Service's address, from the server's node
load_begin() {
    rm -f "$work/stop"; mkfifo "$work/stop"
    inside n1 python3 "$here/client_loop.py" "http://$(service_ip web)/" 120 50 < "$work/stop" > "$work/client.json" &
    load=$!
    exec 6> "$work/stop"
}
load_end() { exec 6>&-; wait "$load"; }
lossless() { cat "$work/client.json"; grep -q '"failed": 0' "$work/client.json" && ! grep -q '"asked": 0' "$work/client.json"; }

k apply -f - > /dev/null <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 6
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: c, image: inro.local/box, args: [http], ports: [{containerPort: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
Y
need "the deployment is ready" eventually 20 web_ready 6
for n in n1 n2 n3; do check "pods are spread: $n" has $n = 2; done

# --- drained, under load: no request is lost
load_begin
check "drain" k drain n2 --ignore-daemonsets --delete-emptydir-data --timeout=60s
check "all pods run elsewhere" eventually 20 web_ready 6
check "none is left there" eventually 10 has n2 = 0
check "the node is not for new pods" says "SchedulingDisabled" k get node n2
load_end
check "no request was lost" lossless
check "uncordon" k uncordon n2
check "its taint goes" eventually 5 untainted n2
check "cordon the others" k cordon n1 n3
check "more pods" k scale deployment web --replicas=8
check "they are ready" eventually 20 web_ready 8
check "they run where they may" has n2 = 2
check "uncordon the others" k uncordon n1 n3

# --- a node dies
before=$(on_node n3)
check "pods are on the node that dies" [ "$before" -ge 2 ]
begun=$(date +%s%3N)
wire_cut n3
node_kill n3
check "it is noticed" eventually 30 not_ready n3
check "as unreachable" eventually 5 says node.kubernetes.io/unreachable taint_of n3
check "its pods run elsewhere" eventually 30 web_ready 8
echo "  pods of a dead node are ready elsewhere after $(($(date +%s%3N) - begun)) ms (grace 6 s, toleration 1 s)"
check "none counts there" has n3 = 0
load_begin
sleep 2
load_end
check "the Service leads to living pods only" lossless

# --- and comes back
wire_mend n3
agent_launch n3 --token '' "${pace[@]}"
check "it is ready again" eventually 20 node_is_ready n3
check "without a taint" eventually 10 untainted n3
gone() { is "$(k get pods -l app=web -o jsonpath='{.items[?(@.metadata.deletionTimestamp)].metadata.name}')" ""; }
check "what was evicted is gone" eventually 20 gone
check "no more pods than asked" is "$(k get pods -l app=web -o name | wc -l)" 8
check "more pods" k scale deployment web --replicas=12
check "they are ready" eventually 20 web_ready 12
check "and it takes its share" has n3 -ge 2

# --- a node is cut off for long: its pods are replaced, and those that went on there end when it is back
stale=$(k get pods -l app=web --field-selector=spec.nodeName=n3 -o jsonpath='{.items[0].metadata.uid}')
wire_cut n3
check "it is taken for dead" eventually 30 not_ready n3
check "its pods run elsewhere" eventually 30 web_ready 12
cut_off_runs() { grep -qa "$stale" <(e2e_processes n3; ls "$work/n3/run/shim" "$work/n3/run" -R 2> /dev/null); }
check "while they go on there" cut_off_runs
wire_mend n3
check "it is ready again" eventually 20 node_is_ready n3
check "what was evicted ends" eventually 30 gone
check "there, too" eventually 10 fails cut_off_runs
check "as many pods as asked" is "$(k get pods -l app=web -o name | wc -l)" 12

# --- a Node that is deleted: its pods go, and the agent registers anew
check "delete the node" k delete node n2
check "it registers again" eventually 30 node_is_ready n2
check "all pods run" eventually 40 web_ready 12
e2e_end
