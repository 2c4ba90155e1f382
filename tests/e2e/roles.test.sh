#!/bin/bash
# roles.test.sh: what each live role may: /proc says it, and tests started inside the roles themselves (inject.py) try
# forbidden calls, files and connections. tests/sandbox/test_confine.c tries more, on the same table.
. "$(dirname "$0")/lib.sh"
[ "$(uname -m)" = x86_64 ] || { echo "0 passed, 0 failed"; exit 3; }
e2e_begin roles
node_new n1 192.0.2.1
registry_start n1
check "push app" registry_push n1 app 0.3.2
server_start n1
inject() { inside n1 python3 "$here/inject.py" "$@"; }
# role VERB: its process
role() {
    local p
    for p in $(cat /proc/"$(server_pid n1)"/task/*/children); do
        [ "$(tr '\0' ' ' < "/proc/$p/cmdline")" != "inro $1 " ] || { echo "$p"; return 0; }
    done
    return 1
}
field() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status" | tr '\t' ' '; }
# plain PID UID: no capability, its own user, no groups, filter, no new privileges
plain() {
    local f
    is "$(field "$1" Uid)" "$2 $2 $2 $2" && is "$(field "$1" Gid)" "$2 $2 $2 $2" && is "$(field "$1" Groups)" "" || return 1
    for f in Inh Prm Eff Bnd Amb; do is "$f $(field "$1" Cap$f)" "$f 0000000000000000" || return 1; done
    is "$(field "$1" NoNewPrivs) $(field "$1" Seccomp)" "1 2"
}
everywhere() {         # PID: every thread has the filter
    is "$(cat /proc/"$1"/task/*/status | sed -n 's/^Seccomp:\t//p' | sort -u)" 2
}
no_refusals() { is "$(grep -c 'system call refused' "$work/n1/log")" 0; }

# --- the roles that live
check "control is plain" plain "$(role control)" 64210
check "dns is plain" plain "$(role dns)" 64211
check "all of control's threads are filtered" everywhere "$(role control)"
check "control sees <data-dir>/server alone" is "$(readlink "/proc/$(role control)/root")" "$work/n1/data/server"
check "the store is control's" is "$(stat -c %u "$work/n1/data/server/db/state.db")" 64210
check "the node gave up loading modules and setting clocks" \
    is $((0x$(field "$(role node)" CapEff) & (1 << 16 | 1 << 25 | 1 << 17 | 1 << 22))) 0
check "a pod runs" k run web --image=app:0.3.2 --image-pull-policy=Always
need "it is ready" eventually 20 pod_ready web
dig() { inside n1 bash -c 'exec -a dig "$0" "$@"' "$INRO_BIN" "$@"; }
check "a name is answered" eventually 5 says 10.43.0.1 dig @10.43.0.10 kubernetes.default.svc.cluster.local
check "nothing was refused so far" no_refusals

# --- the node: root, but it hears nobody: pods are probed by a child without rights
cat > "$work/probed.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: probed}
spec:
  containers:
  - name: a
    image: inro.local/box
    command: [http]
    ports: [{containerPort: 80}]
    readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 1}
    livenessProbe: {tcpSocket: {port: 80}, periodSeconds: 1}
    lifecycle: {postStart: {httpGet: {path: /hook, port: 80}}}
Y
check "apply a pod with probes and a hook" k apply -f "$work/probed.yaml"
need "it is ready by its probe" eventually 20 pod_ready probed
child_of_node() {
    local p
    for p in $(cat /proc/"$(role node)"/task/*/children); do
        [ "$(tr '\0' ' ' < "/proc/$p/cmdline")" != "inro $1 " ] || { echo "$p"; return 0; }
    done
    return 1
}
peers() {              # PID: remote ends of its TCP connections that it may have made (not of its own server)
    inside n1 python3 - "$1" <<'P'
import os, sys
own = set()
for fd in os.listdir(f"/proc/{sys.argv[1]}/fd"):
    try: own.add(os.readlink(f"/proc/{sys.argv[1]}/fd/{fd}"))
    except OSError: pass
for name in ("tcp", "tcp6"):
    for row in list(open(f"/proc/{sys.argv[1]}/net/{name}"))[1:]:
        f = row.split()
        local, remote = int(f[1].split(":")[1], 16), int(f[2].split(":")[1], 16)
        if f"socket:[{f[9]}]" in own and remote and local != 10250: print(remote)
P
}
only_api() { local i; for i in $(seq 1 30); do is "$(peers "$(role node)" | sort -u)" 6443 || return 1; done; }
check "the node is connected to the API and nothing else, while it probes" only_api
probe=$(child_of_node probe)
check "probe is plain" plain "$probe" 64215
check "probe is refused everything" inject "$probe" probe 5000
kill -KILL "$probe"
probed_anew() { local p; p=$(child_of_node probe) && [ "$p" != "$probe" ]; }
check "a killed one is replaced" eventually 5 probed_anew
check "and no container was restarted for it" is "$(k get pod probed -o jsonpath='{.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].ready}')" "0 true"

check "control is refused everything" inject "$(role control)" control 5000
check "dns is refused everything" inject "$(role dns)" dns 5000
check "the log tells of it" grep -q 'server.*system call refused which=dns call=ptrace\|system call refused which=dns call=kill' "$work/n1/log"
check "each call once" is "$(grep -c 'refused which=dns call=kill ' "$work/n1/log")" 1
check "control goes on" is "$(k get --raw /readyz)" ok
check "dns goes on" says 10.43.0.1 dig @10.43.0.10 kubernetes.default.svc.cluster.local

# --- what only an attacker calls ends the role, and a new one serves
for what in "ptrace 101" "execve 59" "keyctl 250" "mount 165"; do
    before=$(role control)
    check "${what% *} in control: killed" is "$(inject "$before" "${what#* }" 0 0 0)" "killed 31"
    check "the log says why" eventually 5 grep -q 'role ended which=control.*signal=31' "$work/n1/log"
    check "another control serves" eventually 20 server_is_ready
    check "it is another" fails is "$(role control)" "$before"
done

# --- the short-lived: a registry that never answers holds a pull, a large layer an unpack
cat > "$work/stall.py" <<'P'
import socket, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", 5001)); s.listen(8)
time.sleep(600)
P
nsenter --net="/run/netns/$(ns_of n1)" python3 "$work/stall.py" & procs+=($!)
nsenter --net="/run/netns/$(ns_of n1)" "$INRO_BIN" image pull 127.0.0.1:5001/stall:1 --data-dir "$work/n1/data" > "$work/pull.log" 2>&1 & puller=$!
procs+=($puller)
pull=$(python3 "$here/inject.py" --wait pull "$work/n1/data")
check "a pull is there" [ -n "$pull" ]
check "pull is plain" plain "$pull" 64212
check "pull is refused everything" inject "$pull" pull
kill -CONT "$pull"; kill "$puller"
check "it ends with who asked for it" eventually 5 is_gone "$pull"

mkdir -p "$work/layer" && truncate -s 1536M "$work/layer/zeros"
python3 - "$work" <<'P'
import gzip, hashlib, io, json, sys, tarfile
work = sys.argv[1]
plain = hashlib.sha256()
class Sum:
    def __init__(self, to): self.to = to
    def write(self, b): plain.update(b); return self.to.write(b)
with open(work + "/layer.gz", "wb") as f, gzip.GzipFile(fileobj=f, mode="wb", compresslevel=1) as z:
    with tarfile.open(fileobj=Sum(z), mode="w|") as t:
        t.add(work + "/layer/zeros", "zeros")
config = json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                     "rootfs": {"type": "layers", "diff_ids": ["sha256:" + plain.hexdigest()]}}).encode()
manifest = json.dumps([{"Config": "config.json", "RepoTags": ["big:1"], "Layers": ["layer.gz"]}]).encode()
with tarfile.open(work + "/big.tar", "w") as t:
    for name, data in (("manifest.json", manifest), ("config.json", config)):
        i = tarfile.TarInfo(name); i.size = len(data); t.addfile(i, io.BytesIO(data))
    t.add(work + "/layer.gz", "layer.gz")
P
rm -f "$work/layer/zeros" "$work/layer.gz"
inro n1 image import "$work/big.tar" --data-dir "$work/n1/data" > "$work/import.log" 2>&1 & importer=$!
unpack=$(python3 "$here/inject.py" --wait unpack "$work")
check "an unpack is there" [ -n "$unpack" ]
check "unpack has no group and no new privileges" is "$(field "$unpack" Groups)$(field "$unpack" NoNewPrivs)$(field "$unpack" Seccomp)" 12
check "unpack is refused everything" inject "$unpack" unpack 5000
kill -CONT "$unpack"
wait "$importer"
check "the image is whole all the same" says big inro n1 image ls --data-dir "$work/n1/data"
check "pods still start" k run again --image=inro.local/box --restart=Never -- true
e2e_end
