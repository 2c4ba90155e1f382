#!/bin/bash
# offline.test.sh: an agent without its server: cut off, its pods run on, are restarted and serve; after a reboot it
# starts them from its own slice of the cluster; back at the server all agree, and what was deleted meanwhile ends.
. "$(dirname "$0")/lib.sh"
e2e_begin offline
switch_new
node_new n1 192.0.2.1
node_new n2 192.0.2.2
server_start n1
start_agent n2
cat > "$work/app.yaml" <<'Y'
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {k: conf}
---
apiVersion: v1
kind: Secret
metadata: {name: pw}
stringData: {k: sesame-offline}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeName: n2
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: inro.local/box
        command: [http]
        ports: [{containerPort: 80}]
        livenessProbe: {httpGet: {path: /healthz, port: 80}, periodSeconds: 1}
        readinessProbe: {httpGet: {path: /healthz, port: 80}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: full, labels: {app: full}}
spec:
  nodeName: n2
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: inro.local/box
    command: [sh, -c, 'echo x >> /data/starts; exec http --text "$(cat /conf/k) $(cat /pw/k) $E $(wc -l < /data/starts) $(wc -c < /var/run/secrets/kubernetes.io/serviceaccount/token)"']
    env: [{name: E, valueFrom: {secretKeyRef: {name: pw, key: k}}}, {name: MAYBE, valueFrom: {configMapKeyRef: {name: absent, key: k, optional: true}}}]
    volumeMounts: [{name: conf, mountPath: /conf}, {name: pw, mountPath: /pw}, {name: data, mountPath: /data}]
  volumes: [{name: conf, configMap: {name: conf}}, {name: pw, secret: {secretName: pw}}, {name: data, emptyDir: {}}]
---
apiVersion: v1
kind: Pod
metadata: {name: doomed, labels: {app: doomed}}
spec:
  nodeName: n2
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: inro.local/box, command: [http]}]
---
apiVersion: v1
kind: Service
metadata: {name: full}
spec: {selector: {app: full}, ports: [{port: 80}]}
Y
ln -s "$INRO_BIN" "$work/dig"
get() { inside n2 curl -sf --connect-timeout 0.3 --max-time 2 "http://$1/"; }
name_is() { is "$(inside n2 "$work/dig" "$1.default.svc.cluster.local" A @10.43.0.10 +short)" "$2"; }
full_says() { local t; t=$(get "$full_ip") && is "$(cut -d' ' -f1-4 <<< "$t")" "$1" && [ "$(cut -d' ' -f5 <<< "$t")" -gt 100 ]; }
ips() { k get pods -o jsonpath='{range .items[*]}{.metadata.name}={.status.podIP}{"\n"}{end}' | sort; }
restarts() { k get pods -l app=web -o jsonpath='{range .items[*]}{.status.containerStatuses[0].restartCount}{"\n"}{end}' | awk '{ n += $1 } END { print n }'; }

groups_n2() { find /sys/fs/cgroup -type d -path "*/$cgroup_base-n2*" 2> /dev/null; }
# Host process ids of the containers' web servers on n2, with their start times.
webs() {
    local p
    for p in $(groups_n2 | while read -r g; do cat "$g/cgroup.procs"; done 2> /dev/null | sort -un); do
        case $({ tr '\0' ' ' < "/proc/$p/cmdline"; } 2> /dev/null) in http* | sh*) echo "$p $(cut -d' ' -f22 "/proc/$p/stat")" ;; esac
    done | sort
}
webs_are() { is "$(webs | wc -l)" "$1"; }
web_is_new() { local now; now=$(webs) && is "$(wc -l <<< "$now")" 4 && ! grep -qx "$1" <<< "$now"; }

check "apply" k apply -f "$work/app.yaml"
check "the Deployment runs" eventually 20 pods_running app=web 2
check "the pod with volumes runs" eventually 20 pods_running app=full 1
check "the other, too" eventually 20 pods_running app=doomed 1
web_ip=$(service_ip web) full_ip=$(service_ip full)
check "Services answer" eventually 5 get "$web_ip"
check "volumes are there" eventually 5 full_says "conf sesame-offline sesame-offline 1"
check "names" eventually 5 name_is web "$web_ip"
before=$(webs)
check "four web servers run" webs_are 4

uid=$(k get pods -l app=web -o jsonpath='{.items[0].metadata.uid}')
victim=$(grep -wFf <(groups_n2 | grep -F "pod$uid" | while read -r g; do cat "$g/cgroup.procs"; done | sort -u) <<< "$before")
check "one of them is chosen" is "$(wc -w <<< "$victim")" 2
sleep 6                                  # what the cluster changed last is on the disk by then
echo "  cut off"
wire_cut n2
kill -KILL "${victim% *}"
check "a killed container is started again" eventually 10 web_is_new "$victim"
check "its Service answers" eventually 5 get "$web_ip"
check "names are answered" name_is full "$full_ip"
cut=$(webs)
# role_pid NAME: the child of the agent that runs this role
role_pid() {
    local p
    for p in $(cat "/proc/$(server_pid n2)/task/$(server_pid n2)/children"); do
        { tr '\0' ' ' < "/proc/$p/cmdline"; } 2> /dev/null | grep -qw -- "$1" && { echo "$p"; return 0; }
    done
    echo "no role $1"; return 1
}
roles_back() {
    local n d; n=$(role_pid node) && d=$(role_pid dns) && [ "$n" != "$node_pid" ] && [ "$d" != "$dns_pid" ]
}
log_lines=$(wc -l < "$work/n2/log")
both_ready() { is "$(tail -n "+$((log_lines + 1))" "$work/n2/log" | grep -cE '(node|dns) ready pid=')" 2; }
node_pid=$(role_pid node) dns_pid=$(role_pid dns)
check "its roles die" kill -KILL "$node_pid" "$dns_pid"
check "and come back" eventually 10 roles_back
check "without a server" eventually 10 both_ready
check "the same containers" is "$(webs)" "$cut"
check "its Service answers still" eventually 5 get "$web_ip"
check "names are answered still" eventually 5 name_is full "$full_ip"
wire_mend n2
one_restart() { is "$(restarts)" 1; }
check "back: the restart is told" eventually 30 one_restart
check "back: all are ready" eventually 15 pods_running app=web 2
check "back: the node is ready" eventually 15 node_is_ready n2
check "back: the same containers" is "$(webs)" "$cut"

echo "  reboot"
sleep 6
was=$(ips)
echo "$work/n2/" > "$work/path"           # in a file: grep would find itself
pids_n2() {
    local net; net=$(stat -Lc %i "/run/netns/$(ns_of n2)")
    groups_n2 | while read -r g; do cat "$g/cgroup.procs"; done 2> /dev/null
    find /proc/[0-9]*/fd -lname "$work/n2/log*" 2> /dev/null | cut -d/ -f3         # shims are in their pods' namespaces
    { stat -Lc '%i %n' /proc/[0-9]*/ns/net | awk -v net="$net" -F'[ /]' '$1 == net { print $4 }'
      grep -laF -f "$work/path" /proc/[0-9]*/cmdline /proc/[0-9]*/environ | cut -d/ -f3; } 2> /dev/null
}
none_n2() {
    local pids; pids=$(pids_n2 | sort -un)
    [ -z "$pids" ] || { kill -KILL $pids 2> /dev/null; ps -o pid,stat,args -p "$(xargs <<< "$pids" | tr ' ' ,)"; return 1; }
}
power_off() {
    eventually 20 none_n2 || return 1
    grep -F "$work/n2/" /proc/self/mountinfo | awk '{ print $5 }' | sort -r | while read -r m; do umount -l "$m"; done
    rm -rf --one-file-system "$work/n2/run"
    groups_n2 | sort -r | while read -r g; do rmdir "$g"; done 2> /dev/null
    ip netns del "$(ns_of n2)"
    is "$(groups_n2; grep -F "$work/n2/" /proc/self/mountinfo)" ""
}
agent=$(server_pid n2)
{ kill -KILL "$agent"; wait "$agent"; } 2> /dev/null
check "nothing of it is left" power_off
check "deleted meanwhile" k delete pod doomed --force --grace-period=0
check "deleted meanwhile, gently" k delete pod full --wait=false
node_new n2 192.0.2.2
wire_cut n2
inside n2 ip addr flush dev up0          # and no network at all
agent_flags() { server_flags "$1" | sed 's/ --write-kubeconfig [^ ]*//; s/ --node-ip [^ ]*//'; }
start=$(date +%s%3N)
agent_launch n2 --token ''
all_serve() { get "$web_ip" && get "$full_ip" && name_is web "$web_ip"; }
check "offline: pods, Services and names are there" eventually 20 all_serve
echo "  pods, Services and DNS after $(($(date +%s%3N) - start)) ms"
check "offline: volumes are there" full_says "conf sesame-offline sesame-offline 2"
check "offline: all pods run" eventually 5 webs_are 4
served_at() { local name ip; while IFS='=' read -r name ip; do get "$ip" > /dev/null || { echo "$name is not at $ip"; return 1; }; done <<< "$was"; }
check "offline: at their former addresses" served_at
check "no secret lies open" fails grep -rqa sesame-offline "$work/n2/data/agent"
alone=$(webs)

inside n2 ip addr add "$(ip_of n2)/24" dev up0
wire_mend n2
gone() { is "$(k get pod "$1" --ignore-not-found)" ""; }
check "back: the node is ready" eventually 30 node_is_ready n2
check "back: the deleted pods end" eventually 30 webs_are 2
check "back: the gently deleted one is gone" eventually 10 gone full
check "back: all are ready" eventually 15 pods_running app=web 2
check "back: the same containers" is "$(comm -12 <(echo "$alone") <(webs) | wc -l)" 2
check "back: the same addresses" is "$(grep '^web' <<< "$was")" "$(ips)"
check "back: none is there twice" is "$(k get pods -o name | wc -l)" 2
e2e_end
