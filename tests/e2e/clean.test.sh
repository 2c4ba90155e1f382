#!/bin/bash
# clean.test.sh: what inro leaves: nothing after a stop with pods, nothing after kill -9 of everything and a new start.
. "$(dirname "$0")/lib.sh"
e2e_begin clean
node_new n1 192.0.2.1
before=$(leftovers n1)
stop_all() {
    inro n1 stop --all --run-dir "$work/n1/run" --data-dir "$work/n1/data" --cgroup-root "$cgroup_base-n1" --node-name n1
}
cat > "$work/pods.yaml" <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: inro.local/box, command: [http], ports: [{containerPort: 80, hostPort: 18080}]}
      - name: side
        image: inro.local/box
        command: [sh, -c, "exec sleep 3600"]
        volumeMounts: [{name: mem, mountPath: /mem}, {name: disk, mountPath: /disk}]
      volumes:
      - {name: mem, emptyDir: {medium: Memory}}
      - {name: disk, emptyDir: {}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, nodePort: 30080}], type: NodePort}
Y
sed -i 's/, hostPort: 18080//' "$work/pods.yaml"

server_start n1
check "apply" k apply -f "$work/pods.yaml"
check "pods run" eventually 20 pods_running app=web 3
check "node port answers" eventually 5 inside n1 curl -sf http://192.0.2.1:30080/
check "SIGTERM ends the server" server_stop n1
check "containers run on without it" inside n1 curl -sf http://192.0.2.1:30080/
check "stop --all" stop_all
check "nothing is left after a stop" is "$(leftovers n1)" "$before"

server_start n1
check "the pods come back" eventually 20 pods_running app=web 3
# everything dies at once: roles, shims, containers
everything() {
    local p net
    net=$(stat -Lc %i "/run/netns/$(ns_of n1)")
    for p in /proc/[0-9]*; do
        grep -q "$cgroup_base-n1" "$p/cgroup" 2> /dev/null || { tr '\0' ' ' < "$p/cmdline"; } 2> /dev/null | grep -qF "$work/n1/" ||
            [ "$(stat -Lc %i "$p/ns/net" 2> /dev/null)" = "$net" ] || continue
        echo "${p#/proc/}"
    done
}
for p in $(server_pid n1) $(everything); do kill -KILL "$p" 2> /dev/null; done
wait "$(server_pid n1)" 2> /dev/null || :
server_start n1
check "the pods run again after kill -9 of everything" eventually 30 pods_running app=web 3
check "they answer" eventually 5 inside n1 curl -sf http://192.0.2.1:30080/
check "delete all" k delete deployment,service --all --wait --timeout=30s
no_pods() { says "No resources found" k get pods; }
check "pods are gone" eventually 20 no_pods
check "stop with pods" stop_all
check "nothing is left after kill -9, start and stop" is "$(leftovers n1)" "$before"
check "stop again is fine" stop_all
e2e_end
