#!/bin/bash
# sched.test.sh: where pods go, with the real kubectl and Nodes made by hand: no container runs.
. "$(dirname "$0")/lib.sh"
e2e_begin sched
node_new n1 192.0.2.1
server_start n1 --disable-agent

# a_node NAME ZONE: 4 CPUs, 8Gi, 20 pods, and alive as far as anybody can see
a_node() {
    k create -f - > /dev/null <<Y && lease "$1" &&
apiVersion: v1
kind: Node
metadata: {name: $1, labels: {kubernetes.io/hostname: $1, topology.kubernetes.io/zone: $2}}
Y
    k patch node "$1" --subresource=status --type=merge -p '{"status":{
        "allocatable":{"cpu":"4","memory":"8Gi","pods":"20"},"capacity":{"cpu":"4","memory":"8Gi","pods":"20"},
        "conditions":[{"type":"Ready","status":"True","reason":"KubeletReady"}]}}' > /dev/null
}
lease() {
    k create -f - > /dev/null <<Y
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: $1, namespace: kube-node-lease}
spec: {holderIdentity: $1, leaseDurationSeconds: 3600, renewTime: "$(date -u +%Y-%m-%dT%H:%M:%S.000000Z)"}
Y
}
# Who does not renew is taken for dead after 40 seconds.
renew() {
    local n
    while sleep 5; do
        for n in a b c; do
            k -n kube-node-lease patch lease $n --type=merge \
                -p "{\"spec\":{\"renewTime\":\"$(date -u +%Y-%m-%dT%H:%M:%S.000000Z)\"}}" > /dev/null 2>&1
        done
    done
}
no_taints() { is "$(k get nodes -o jsonpath='{.items[*].spec.taints}')" ""; }
# workload NAME REPLICAS [POD-SPEC]: flow-style YAML of the pod's spec besides its container
workload() {
    k apply -f - <<Y
apiVersion: apps/v1
kind: Deployment
metadata: {name: $1}
spec:
  replicas: $2
  selector: {matchLabels: {app: $1}}
  template:
    metadata: {labels: {app: $1}}
    spec:
      ${3:-}
      containers:
      - {name: a, image: inro.local/box, resources: {requests: {cpu: ${4:-100m}}}}
Y
}
# on APP: how many pods of it each node has, as "a=2 b=2 c=2"; pending ones are "=N"
on() {
    k get pods -l "app=$1" -o jsonpath='{range .items[*]}{.spec.nodeName}{"\n"}{end}' | sort | uniq -c |
        awk '{ printf "%s%s=%s", (NR > 1 ? " " : ""), (NF > 1 ? $2 : ""), $1 }'
}
lies() { is "$(on "$1")" "$2"; }
why() { k get pods -l "app=$1" -o jsonpath='{.items[0].status.conditions[?(@.type=="PodScheduled")].message}'; }

for n in a b c; do check "node $n is made" a_node $n "zone-$n"; done
renew & procs+=($!)
check "Ready nodes lose their taint" eventually 10 no_taints

check "apply" workload web 6
check "six replicas on three nodes" eventually 10 lies web "a=2 b=2 c=2"
check "events tell" says "Successfully assigned default/web-" k get events --field-selector reason=Scheduled

check "cordon" k cordon a
check "apply" workload picky 2 "nodeSelector: {topology.kubernetes.io/zone: zone-a}"
check "the reasons are counted" eventually 5 says "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling." why picky
check "describe tells" says "FailedScheduling" k describe pods -l app=picky
check "uncordon" k uncordon a
check "it goes there then" eventually 20 lies picky "a=2"

check "taint" k taint node b dedicated=gpu:NoSchedule
check "apply" workload bold 4 "tolerations: [{key: dedicated, operator: Equal, value: gpu, effect: NoSchedule}]"
check "who bears it may" eventually 10 says "b=" on bold
check "apply" workload shy 3
check "who does not goes elsewhere" eventually 10 fails says b= on shy

check "apply" workload huge 1 "" 9
check "too much of one thing" eventually 5 says "1 node(s) had untolerated taint(s), 2 Insufficient cpu." why huge
check "a larger node" k patch node c --subresource=status --type=merge -p '{"status":{"allocatable":{"cpu":"32"}}}'
check "takes it" eventually 20 lies huge "c=1"

check "apply" workload apart 3 "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: apart}}}]}}"
check "one a node, one too many" eventually 10 lies apart "=1 a=1 c=1"
check "untaint" k taint node b dedicated-
check "room for the third" eventually 20 lies apart "a=1 b=1 c=1"

check "gated" k apply -f - <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: gated, labels: {app: gated}}
spec:
  schedulingGates: [{name: example.com/wait}]
  containers: [{name: a, image: inro.local/box}]
Y
check "waits for its gate" says SchedulingGated k get pod gated
check "gate opens" k patch pod gated --type=json -p '[{"op":"remove","path":"/spec/schedulingGates"}]'
check "goes on" eventually 10 fails lies gated "=1"

# the scheduler's process dies: nothing is placed twice, what waits is placed
check "apply" workload later 2 "nodeSelector: {disk: ssd}"
check "waits" eventually 5 says "didn't match Pod's node affinity/selector" why later
for p in $(cat "/proc/$(server_pid n1)/task/$(server_pid n1)/children"); do
    ! { tr '\0' ' ' < "/proc/$p/cmdline"; } 2> /dev/null | grep -qw control || kill -KILL "$p"
done
check "the server is back" eventually 10 server_is_ready
check "label" eventually 5 k label node b disk=ssd
check "placed by the new one" eventually 20 lies later "b=2"
e2e_end
