#!/bin/bash
# cluster.test.sh: two and three nodes. Pods of all reach each other and Services; logs, exec, cp, port-forward and proxies
# of pods on agents that the server cannot connect to; the tunnels come back; what a node leaves.
. "$(dirname "$0")/lib.sh"
e2e_begin cluster
switch_new
for i in 1 2 3; do node_new n$i 192.0.2.$i; done
left_of_n3() { leftovers n3 | grep -v -F -e "$work/n1/" -e "$work/n2/"; }
before=$(left_of_n3)

# The server cannot reach the agents' ports: whatever it wants there goes over what the agents keep open.
deny() {
    inside "$1" nft -f - <<N
table ip e2e-deny { chain input { type filter hook input priority -200; ip saddr 192.0.2.1 tcp dport 10250 drop; }; }
N
}
server_start n1
deny n2
start_agent n2
check "the server cannot connect to the agent" fails inside n1 curl -sk --max-time 1 https://192.0.2.2:10250/healthz

# pod NAME NODE
pod() {
    cat <<Y
---
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: web}}
spec:
  nodeName: $2
  terminationGracePeriodSeconds: 1
  containers:
  - {name: web, image: inro.local/box, command: [http, -p, "8080"], ports: [{name: http, containerPort: 8080}]}
  - {name: log, image: inro.local/box, command: [sh, -c, 'echo here is $1; sleep 100000']}
Y
}
{
    pod a n1; pod b n2
    cat <<'Y'
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{name: http, port: 80, targetPort: http, nodePort: 30080}]}
---
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, selector: {app: web}, ports: [{name: http, port: 8080}]}
Y
} > "$work/pods.yaml"
check "apply" k apply -f "$work/pods.yaml"
check "two pods run on two nodes" eventually 20 pods_running app=web 2

in_pod() { local pod=$1; shift; k_long exec "$pod" -c web -- "$@"; }
# meet PODS...: each of them gets the name of each other from its address
meet() {
    local from to
    for from in "$@"; do
        for to in "$@"; do
            check "pod $from reaches pod $to" is "$(in_pod "$from" fetch --timeout 3s "http://$(pod_ip "$to"):8080/")" "$to"
        done
    done
}
# whom COMMAND...: the different answers to it, sorted, in one line; whom_in POD URL: the same from a pod
different() { sort -u | grep . | paste -sd' '; }
whom() { for _ in $(seq 30); do "$@"; echo; done | different; }
whom_in() { in_pod "$1" sh -c "for i in \$(seq 30); do fetch --timeout 3s $2; echo; done" | different; }
# by_service PODS...: all of them behind each way to the Service, from each pod and through each node
by_service() {
    local all pod host; all=$(printf '%s\n' "$@" | sort | paste -sd' ')
    for pod in "$@"; do
        check "pod $pod: the cluster address" is "$(whom_in "$pod" "http://$(service_ip web)/")" "$all"
        check "pod $pod: the name" is "$(whom_in "$pod" http://web/)" "$all"
        check "pod $pod: the whole name" is "$(whom_in "$pod" http://web.default.svc.cluster.local/)" "$all"
        check "pod $pod: headless" is "$(in_pod "$pod" dig headless.default.svc.cluster.local +short | sort | paste -sd' ')" \
            "$(for p in "$@"; do pod_ip "$p"; echo; done | grep . | sort | paste -sd' ')"
    done
    for host in "${up[@]}"; do
        check "node port of $host, from outside" is "$(whom outside curl -s --max-time 3 "http://$(ip_of "$host"):30080/")" "$all"
        check "node port of $host, from itself" is "$(whom inside "$host" curl -s --max-time 3 "http://$(ip_of "$host"):30080/")" "$all"
    done
}
outside() { nsenter --net="/run/netns/$switch" "$@"; }
nsenter --net="/run/netns/$switch" ip addr add 192.0.2.254/24 dev sw0

up=(n1 n2)
meet a b
by_service a b
check "a remote log" eventually 5 is "$(k logs b -c log)" "here is b"

# --- a third node
deny n3
start_agent n3
pod c n3 > "$work/c.yaml"
check "apply" k apply -f "$work/c.yaml"
check "three pods run" eventually 20 pods_running app=web 3
up=(n1 n2 n3)
endpoints() { k get endpointslices -l kubernetes.io/service-name=web -o jsonpath='{.items[*].endpoints[*].targetRef.name}' | tr ' ' '\n' | sort | paste -sd' '; }
has_endpoints() { is "$(endpoints)" "$1"; }
check "all are endpoints" eventually 5 has_endpoints "a b c"
check "the new node is known to all" eventually 5 says c in_pod b fetch --timeout 3s "http://$(pod_ip c):8080/"
meet a b c
by_service a b c
cat > "$work/spread.yaml" <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata: {name: spread}
spec:
  replicas: 6
  selector: {matchLabels: {app: spread}}
  template:
    metadata: {labels: {app: spread}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: inro.local/box, command: [sleep, infinity]}]
Y
check "apply" k apply -f "$work/spread.yaml"
check "a Deployment runs" eventually 30 pods_running app=spread 6
check "on all nodes alike" is "$(k get pods -l app=spread -o jsonpath='{range .items[*]}{.spec.nodeName}{"\n"}{end}' | sort | uniq -c | sed 's/^ *//' | paste -sd' ')" \
    "2 n1 2 n2 2 n3"

# --- streams of remote pods, only over the tunnel
head -c 5000000 /dev/urandom > "$work/big"
forwarded() {
    k_long port-forward pod/c 18080:8080 > "$work/forward" 2>&1 & local forward=$!
    procs+=($forward)
    eventually 10 grep -q "Forwarding from 127" "$work/forward" && inside n1 curl -s --max-time 5 http://127.0.0.1:18080/
    kill $(cat /proc/$forward/task/$forward/children 2> /dev/null) $forward 2> /dev/null; wait $forward 2> /dev/null
}
for ws in true false; do
    export KUBECTL_REMOTE_COMMAND_WEBSOCKETS=$ws KUBECTL_PORT_FORWARD_WEBSOCKETS=$ws
    [ $ws = true ] && way=WebSocket || way=SPDY
    check "$way: exec" is "$(in_pod b hostname)" b
    check "$way: cp there" k_long cp "$work/big" b:/tmp/big-$ws -c web
    check "$way: cp back" k_long cp b:/tmp/big-$ws "$work/back-$ws" -c web
    check "$way: cp, the same" cmp "$work/big" "$work/back-$ws"
    check "$way: port-forward" says c forwarded
done
k_long logs -f b -c log > "$work/follow" & follow=$!
procs+=($follow)
check "a log is followed" eventually 5 grep -q "here is b" "$work/follow"
check "proxy: a node" is "$(k get --raw /api/v1/nodes/n2/proxy/healthz)" ok
check "proxy: a node's pods" says '"name":"b"' k get --raw /api/v1/nodes/n2/proxy/pods
check "proxy: a pod" is "$(k get --raw /api/v1/namespaces/default/pods/c:8080/proxy/)" c
check "proxy: a pod's path" says "GET /echo?a=b" k get --raw '/api/v1/namespaces/default/pods/c/proxy/echo?a=b'
check "proxy: a Service" is "$(whom k get --raw /api/v1/namespaces/default/services/web:http/proxy/)" "a b c"
check "proxy: nothing else of the node" says "error trying to reach service" k get --raw /api/v1/nodes/http:n2:22/proxy/
check "proxy: of the server's own" is "$(k get --raw /api/v1/namespaces/default/pods/a:8080/proxy/)" a

# --- the tunnels come back
# role NODE NAME: process id of a role
role() {
    local p
    for p in $(cat "/proc/$(server_pid "$1")/task/$(server_pid "$1")/children"); do
        [ "$(tr '\0' '\n' < "/proc/$p/cmdline" | sed -n 2p)" = "$2" ] && echo "$p"
    done
}
logs_of() { is "$(k logs "$1" -c log)" "here is $1"; }
kill -KILL "$(role n1 control)"
check "kill -9 of control: logs again" eventually 20 logs_of b
check "of the other, too" eventually 10 logs_of c
check "and exec" is "$(in_pod c hostname)" c
kill -KILL "$(role n2 node)"
check "kill -9 of a node role: logs again" eventually 20 logs_of b
check "and exec" is "$(in_pod b hostname)" b
meet a b c

# --- what a node leaves
stop_all() {
    inro "$1" stop --all --run-dir "$work/$1/run" --data-dir "$work/$1/data" --cgroup-root "$cgroup_base-$1" --node-name "$1"
}
check "stop --all of an agent" stop_all n3
inside n3 nft delete table ip e2e-deny
check "nothing is left" is "$(left_of_n3)" "$before"
check "the others go on" is "$(in_pod a fetch --timeout 3s "http://$(pod_ip b):8080/")" b
check "the node goes" k delete node n3
ways_to_n3() { inside n1 ip route show | grep -c "10.42.2.0/24"; }
gone_n3() { is "$(ways_to_n3)" 0; }
check "and the ways to it" eventually 5 gone_n3
check "the logs are clean" fails grep -E "check failed|Sanitizer" "$work/n1/log" "$work/n2/log"
e2e_end
