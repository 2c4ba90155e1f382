#!/bin/bash
# upgrade.test.sh: the binary replaced and the parent restarted, up and down, under 200 open connections and a loop of new
# ones through a Service: no request fails, no connection closes, no container restarts, names are answered, data stay.
# An older binary refuses what a newer one has migrated, and the backup is the way back.
# INRO_OLDER_BIN=FILE in the environment: a binary of an earlier commit is the older one; else this one is both, but for
# its version.
. "$(dirname "$0")/lib.sh"
e2e_begin upgrade
older=$work/inro.older newer=$work/inro.newer
version=$("$INRO_BIN" version --short)
newer_version=v1.36.9${version#v1.36.[0-9]}
# the same program with another version in it, of the same length
cp "${INRO_OLDER_BIN:-$INRO_BIN}" "$older"
LC_ALL=C sed "s/${version//./\\.}/$newer_version/g" "$INRO_BIN" > "$newer"
chmod +x "$newer"
check "the two are of different versions" is "$("$older" version --short) $("$newer" version --short)" "$version $newer_version"
INRO_BIN=$work/inro
replace() { cp "$1" "$work/inro.next" && mv "$work/inro.next" "$INRO_BIN"; }

replace "$older"
node_new n1 192.0.2.1
server_start n1
cat > "$work/app.yaml" <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
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
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 30080}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kept}
data: {word: lacquer}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {containers: [{name: c, image: inro.local/box, command: [sleep, "3600"]}]}
Y
check "apply" k apply -f "$work/app.yaml"
need "pods run" eventually 20 pods_running app=web 2
need "client runs" eventually 20 pod_ready client
ip=$(service_ip web)
uid=$(k get pod client -o jsonpath='{.metadata.uid}')
from_pod() { nsenter --net="$work/n1/run/pods/$uid/netns" "$@"; }
check "the Service answers" eventually 5 inside n1 curl -sf "http://$ip/"
check "the node's port answers" eventually 5 inside n1 curl -sf http://192.0.2.1:30080/

# --- 200 connections that stay: from the node by both ways, and from a pod; new ones; names
mkfifo "$work"/stop{1,2,3,4}
inside n1 python3 "$here/open_conns.py" "$ip:80,192.0.2.1:30080" 100 0.2 < "$work/stop1" > "$work/conns1" & c1=$!
from_pod python3 "$here/open_conns.py" "$ip:80,192.0.2.1:30080" 100 0.2 < "$work/stop2" > "$work/conns2" & c2=$!
inside n1 python3 "$here/client_loop.py" "http://$ip/" 300 100 < "$work/stop3" > "$work/client.json" & c3=$!
from_pod python3 "$here/dns_loop.py" 10.43.0.10 web.default.svc.cluster.local 300 < "$work/stop4" > "$work/dns.json" & c4=$!
exec 5> "$work/stop1" 6> "$work/stop2" 7> "$work/stop3" 8> "$work/stop4"
check "100 connections are open" eventually 20 grep -q open "$work/conns1"
check "100 connections of a pod are open" eventually 20 grep -q open "$work/conns2"

# processes of the containers with their start times
containers() {
    local p
    for p in $(find /sys/fs/cgroup/pids/$cgroup_base-n1 /sys/fs/cgroup/$cgroup_base-n1 -name cgroup.procs -exec cat {} + 2> /dev/null | sort -u); do
        case $({ tr '\0' ' ' < "/proc/$p/cmdline"; } 2> /dev/null) in http*|sleep*) echo "$p $(cut -d' ' -f22 "/proc/$p/stat")" ;; esac
    done | sort
}
# to BINARY VERSION: replaced on disk, parent ended and started; what ran before runs on
to() {
    local before start
    before=$(containers)
    replace "$1"
    start=$(date +%s%3N)
    check "parent ends" server_stop n1
    server_launch n1
    need "$2: server is ready" eventually 20 server_is_ready
    need "$2: node is ready" eventually 20 node_is_ready n1
    echo "  $2: all ready $(($(date +%s%3N) - start)) ms after the end was asked for"
    check "$2 serves" says "Server Version: $2" k version
    check "$2: get pods" says "1/1     Running" k get pods
    check "$2: data are there" is "$(k get configmap kept -o jsonpath='{.data.word}')" lacquer
    check "$2: the same containers" is "$(containers)" "$before"
    check "$2 is noted" says "\"version\":\"$2\"" cat "$work/n1/data/version"
    check "$2: exec through a pod's old shim" says client k exec client -- hostname
    check "$2: new writes" k create configmap "by-${2/+/-}-$RANDOM" --from-literal=a=b
}
check "two containers and the client" is "$(containers | wc -l)" 3
to "$newer" "$newer_version"
check "pods made by the newer one" k scale deployment web --replicas=4
check "they run" eventually 20 pods_running app=web 4
to "$older" "$version"
check "pods made by both" is "$(containers | wc -l)" 5
for pod in $(k get pods -l app=web -o name); do
    check "exec in $pod" says "${pod#pod/}" k exec "${pod#pod/}" -- hostname
done
to "$newer" "$newer_version"
to "$newer" "$newer_version"
check "one more by the newer one" k scale deployment web --replicas=5
check "it runs" eventually 20 pods_running app=web 5
to "$older" "$version"
exec 5>&- 6>&- 7>&- 8>&-
wait $c1 $c2 $c3 $c4
got() { python3 -c "import json; v = json.loads(open('$work/$1').read().strip().split('\n')[-1]); print($2)"; }
for f in conns1 conns2; do
    check "$f: none failed or closed" is "$(got $f 'v["connections"], v["failed"]')" "100 []"
    check "$f: traffic went through" [ "$(got $f 'v["answers"]')" -gt 400 ]
done
check "no new connection failed" is "$(got client.json 'v["failed"]')" 0
check "new connections were made" [ "$(got client.json 'v["asked"]')" -gt 100 ]
echo "  connections: $(got conns1 'v["answers"]') and $(got conns2 'v["answers"]') answers; new ones: $(got client.json 'v["asked"]')"
echo "  names: $(cat "$work/dns.json")"
check "no name was refused or left unanswered" is "$(got dns.json 'v["refused"] + v["unanswered"]')" 0
check "no restarts are told" is "$(k get pods -o jsonpath='{range .items[*]}{.status.containerStatuses[0].restartCount}{end}')" 000000

# --- what a newer one has migrated: refused by name, by all that opens it; the backup is the way back
check "a word of before" k patch configmap kept -p '{"data":{"word":"before"}}'
check "end for the migration" server_stop n1
data=$work/n1/data
mkdir -p "$data/backup/format-1"
cp "$data/version" "$data/backup/format-1/version"
check "a backup" sqlite3 "$data/server/db/state.db" "VACUUM INTO '$data/backup/format-1/state.db'"
server_launch n1
need "goes on" eventually 20 server_is_ready
check "a word of after" k patch configmap kept -p '{"data":{"word":"after"}}'
check "end" server_stop n1
echo '{"format":2,"oldest":2,"version":"v9.9.9+inro9.9.9"}' > "$data/version"
refused() {
    local text status=0
    text=$(inro n1 "$@" 2>&1) || status=$?
    is "$status" 1 && says "has format 2, written by inro v9.9.9+inro9.9.9" echo "$text" &&
        says "this is inro $version, which knows formats up to 1. Start inro v9.9.9+inro9.9.9 or newer" echo "$text" &&
        says "inro restore --data-dir $data" echo "$text"
}
check "server refuses" refused server $(server_flags n1)
check "image refuses" refused image ls --data-dir "$data"
check "restore" says "has format 1 again, as written by inro $version" inro n1 restore --data-dir "$data"
check "once" says "nothing to go back to" inro n1 restore --data-dir "$data"
server_launch n1
need "starts after the way back" eventually 20 server_is_ready
check "no restore while it runs" says "is in use by another inro server" inro n1 restore --data-dir "$data"
check "the word of before" is "$(k get configmap kept -o jsonpath='{.data.word}')" before
check "pods run on" eventually 20 pods_running app=web 5
check "a damaged version" server_stop n1
echo '{"format":' > "$data/version"
check "is refused" says "$data/version is damaged" inro n1 server $(server_flags n1)
e2e_end
