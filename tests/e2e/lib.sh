# lib.sh: what every scenario is made of. Source it, make a node, check, finish:
#
#   . "$(dirname "$0")/lib.sh"
#   e2e_begin story                          a folder and an empty ledger; cleaned up whatever happens
#   node_new n1 192.0.2.1                    a network namespace with that address on a bridge of its own, no way out
#   server_start n1 --disable dns ...        inro server in it; waits until it and its Node are ready
#   check "pods run" eventually 10 pods_running app=foo 3
#   e2e_end
#
# Several nodes: switch_new before node_new, which then plugs each node into it; server_start for the first,
# start_agent for the others:
#
#   switch_new; node_new n1 192.0.2.1; node_new n2 192.0.2.2; server_start n1; start_agent n2
#
# check runs a command and counts; what it printed is shown when it fails. eventually waits for a state, polling.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
INRO_BIN=${INRO_BIN:-$top/out/inro}
tools=$top/out/e2e/tools
images=$top/out/e2e/images
kubectl_suite=${KUBECTL_SUITE:-trixie}
passed=0 failed=0
nodes=() procs=() switch=

e2e_begin() {
    e2e_name=$1-$$
    work=$(mktemp -d "/tmp/inro-e2e-$1.XXXXXX")
    [ -z "${INRO_SAN:-}" ] || chmod 711 "$work"      # sanitized roles are not rooted in their folder: they walk to it
    cgroup_base=inro-e2e-$e2e_name
    export HOME=$work/home; mkdir -p "$HOME"
    trap e2e_cleanup EXIT
    trap 'exit 130' INT TERM
}

# --- counting
check() {
    local what=$1 text status=0; shift
    text=$("$@" 2>&1) || status=$?
    if [ $status = 0 ]; then passed=$((passed + 1)); [ -z "${INRO_VERBOSE:-}" ] || echo "  ok: $what"; return 0; fi
    failed=$((failed + 1))
    echo "  FAILED: $what: $* (status $status)"
    sed 's/^/    /' <<< "$text" | tail -n 30
    return 1
}
# need WHAT COMMAND...: a check without which the rest makes no sense
need() { check "$@" || { tail -n 20 "$work/$node/log"; e2e_end; }; }
# eventually SECONDS COMMAND...: until it succeeds; its last output stays
eventually() {
    local end=$(($(date +%s%3N) + $1 * 1000)) text status; shift
    while :; do
        text=$("$@" 2>&1) && { echo "$text"; return 0; }
        status=$?
        [ "$(date +%s%3N)" -lt $end ] || { echo "$text"; return $status; }
        sleep 0.1
    done
}
is() { [ "$1" = "$2" ] || { echo "got:  $1"; echo "want: $2"; return 1; }; }
# says TEXT COMMAND...: the command's output (whatever its status) holds the text
says() {
    local want=$1 text; shift
    text=$("$@" 2>&1)
    grep -qF -- "$want" <<< "$text" || { echo "no \"$want\" in:"; echo "$text"; return 1; }
}
fails() { ! "$@"; }

# --- nodes: namespaces that lead nowhere
node_new() {
    local name=$1 ip=$2 ns=inro-$1-$$
    ip netns add "$ns" || exit 1
    nodes+=("$name")
    eval "ns_$name=$ns ip_$name=$ip"
    inside "$name" ip link set lo up
    inside "$name" ip link add up0 type bridge
    inside "$name" ip addr add "$ip/24" dev up0
    inside "$name" ip link set up0 up
    mkdir -p "$work/$name"
    [ -z "$switch" ] || wire_new "$name"
}
# switch_new: a namespace whose bridge joins the nodes made after it
switch_new() {
    switch=inro-switch-$$
    ip netns add "$switch" || exit 1
    nsenter --net="/run/netns/$switch" ip link add sw0 type bridge
    nsenter --net="/run/netns/$switch" ip link set sw0 up
}
wire_new() {
    inside "$1" ip link add wire0 type veth peer name "to-$1" netns "$switch"
    inside "$1" ip link set wire0 master up0 up
    nsenter --net="/run/netns/$switch" ip link set "to-$1" master sw0 up
}
# wire_cut NODE, wire_mend NODE: its cable
wire_cut() { nsenter --net="/run/netns/$switch" ip link set "to-$1" down; }
wire_mend() { nsenter --net="/run/netns/$switch" ip link set "to-$1" up; }
ns_of() { eval "echo \$ns_$1"; }
ip_of() { eval "echo \$ip_$1"; }
inside() { local name=$1; shift; nsenter --net="/run/netns/$(ns_of "$name")" "$@"; }

# server_flags NODE: what makes a server of this node its own
server_flags() {
    echo --data-dir "$work/$1/data" --run-dir "$work/$1/run" --cgroup-root "$cgroup_base-$1" --node-name "$1" \
        --node-ip "$(ip_of "$1")" --write-kubeconfig "$work/$1/kubeconfig" --resolv-conf "$work/$1/resolv.conf" \
        --private-registry "$work/$1/registries.yaml"
}
server_launch() {
    local name=$1; shift
    : >> "$work/$name/resolv.conf"
    # not through inside(): that would be a subshell's process id; 5 to 8 are the ends of loops' input
    nsenter --net="/run/netns/$(ns_of "$name")" "$INRO_BIN" server $(server_flags "$name") "$@" \
        >> "$work/$name/log" 2>&1 5>&- 6>&- 7>&- 8>&- &
    eval "server_$name=$!"
    procs+=($!)
    [ -n "${node:-}" ] || node=$name
}
server_pid() { eval "echo \$server_$1"; }
server_is_ready() { [ "$(k -n default get --raw /readyz 2>&1)" = ok ]; }
node_is_ready() { [ "$(k get node "$1" -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}')" = True ]; }
server_start() {
    server_launch "$@"
    need "server of $1 is ready" eventually 20 server_is_ready
    case " $* " in *" --disable-agent "*) ;; *)
        need "node $1 is ready" eventually 20 node_is_ready "$1" ;;
    esac
}
# start_agent NODE [FLAGS...]: inro agent there, joined to the first node's server; waits until its Node is ready.
# agent_launch does not wait; without a --token of its own it takes the server's. server_stop and server_pid are for
# agents too.
agent_flags() { server_flags "$1" | sed 's/ --write-kubeconfig [^ ]*//'; }
agent_launch() {
    local name=$1 token=(); shift
    : >> "$work/$name/resolv.conf"
    case " $* " in *" --token"*) ;; *) token=(--token-file "$work/$node/data/server/node-token") ;; esac
    nsenter --net="/run/netns/$(ns_of "$name")" "$INRO_BIN" agent --server "https://$(ip_of "$node"):6443" "${token[@]}" \
        $(agent_flags "$name") "$@" >> "$work/$name/log" 2>&1 6>&- 7>&- &
    eval "server_$name=$!"
    procs+=($!)
}
start_agent() {
    agent_launch "$@"
    need "agent $1 is ready" eventually 20 node_is_ready "$1"
}
# server_stop NODE [SIGNAL]: waits for its end
server_stop() {
    local pid; pid=$(server_pid "$1")
    kill -"${2:-TERM}" "$pid" 2> /dev/null || return 1
    eventually 30 is_gone "$pid"
}
is_gone() { [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }
inro() { local name=$1; shift; inside "$name" "$INRO_BIN" "$@"; }

# kubectl against the first node's server
k() {
    KUBECONFIG=$work/$node/kubeconfig inside "$node" "$tools/kubectl-$kubectl_suite" \
        --cache-dir "$work/cache" --request-timeout=30s "$@"
}
# The same without a time limit on requests: for logs -f, exec, attach, port-forward.
k_long() {
    KUBECONFIG=$work/$node/kubeconfig inside "$node" "$tools/kubectl-$kubectl_suite" --cache-dir "$work/cache" "$@"
}

# --- images
registry_start() {
    local name=$1
    cat > "$work/registry.yaml" <<Y
version: 0.1
storage: { filesystem: { rootdirectory: $work/registry } }
http: { addr: 127.0.0.1:5000 }
log: { level: warn }
Y
    nsenter --net="/run/netns/$(ns_of "$name")" docker-registry serve "$work/registry.yaml" >> "$work/registry.log" 2>&1 &
    procs+=($!)
    printf 'mirrors:\n  docker.io:\n    endpoint: ["http://127.0.0.1:5000"]\n' > "$work/$name/registries.yaml"
    check "registry answers" eventually 10 inside "$name" curl -sf http://127.0.0.1:5000/v2/
}
# registry_push NODE NAME TAG: into the registry as docker.io/library/NAME:TAG
registry_push() {
    inside "$1" skopeo --insecure-policy copy -q --dest-tls-verify=false "oci:$images/$2-$3:$3" \
        "docker://127.0.0.1:5000/library/$2:$3"
}

# --- states
pods_running() {       # LABEL N: exactly N pods, all ready, none going
    local rows; rows=$(k get pods -l "$1" -o jsonpath='{range .items[*]}{.metadata.deletionTimestamp}{"|"}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}')
    is "$(sort <<< "$rows" | uniq -c | sed 's/^ *//')" "$2 |True"
}
pod_ready() { is "$(k get pod "$1" -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}')" True; }
pod_ip() { k get pod "$1" -o jsonpath='{.status.podIP}'; }
service_ip() { k get service "$1" -o jsonpath='{.spec.clusterIP}'; }

# --- what is left: all that a node may leave on a machine, as text that must be the same before and after
leftovers() {
    local name=$1 group
    echo "mounts:"; grep -F "$work" /proc/self/mountinfo | awk '{print $5}'
    echo "groups:"
    for group in /sys/fs/cgroup "/sys/fs/cgroup/"*; do
        [ ! -e "$group/$cgroup_base-$name" ] || echo "$group/$cgroup_base-$name"
    done
    echo "links:"; inside "$name" ip -o link show | awk -F': ' '{print $2}' | sort
    echo "routes:"; inside "$name" ip route show table all | grep -v -e ^local -e ^broadcast -e ^ff00 -e ^fe80 | sort
    echo "nft:"; inside "$name" nft list tables
    echo "processes:"; e2e_processes "$name"
    echo "files:"; find "$work/$name/run" -mindepth 1 2> /dev/null | sort
}
# Processes whose command line, environment or namespace says that they are of this node.
e2e_processes() {
    local p net
    net=$(stat -Lc %i "/run/netns/$(ns_of "$1")")
    for p in /proc/[0-9]*; do
        [ "$(stat -Lc %i "$p/ns/net" 2> /dev/null)" = "$net" ] || grep -qaF "$work/$1/" "$p/cmdline" 2> /dev/null || continue
        case $({ tr '\0' ' ' < "$p/cmdline"; } 2> /dev/null) in *docker-registry*|'') ;; *)
            { tr '\0' ' ' < "$p/cmdline"; } 2> /dev/null; echo ;;
        esac
    done
}

e2e_stop_all() {
    local name
    for name in "${nodes[@]:-}"; do
        [ -z "$name" ] || inro "$name" stop --all --run-dir "$work/$name/run" --data-dir "$work/$name/data" \
            --cgroup-root "$cgroup_base-$name" --node-name "$name" >> "$work/$name/stop.log" 2>&1
    done
}
e2e_cleanup() {
    local name p
    trap - EXIT
    trap '' INT TERM PIPE                            # once is enough, and nobody may listen any more
    # killed first: pods would take their grace, and nobody looks any more
    for name in "${nodes[@]:-}"; do [ -z "$name" ] || node_kill "$name"; done
    e2e_stop_all
    for p in "${procs[@]:-}"; do [ -z "$p" ] || kill -KILL "$p" 2> /dev/null; done
    wait 2> /dev/null
    for name in "${nodes[@]:-}"; do [ -z "$name" ] || ip netns del "$(ns_of "$name")" 2> /dev/null; done
    [ -z "$switch" ] || ip netns del "$switch" 2> /dev/null
    if [ $failed != 0 ] && [ -n "${INRO_KEEP:-}" ]; then echo "  kept: $work"; else rm -rf "$work"; fi
}
# node_kill NODE: all of its processes at once, as when the power goes
node_kill() {
    local round p
    disown "$(server_pid "$1" 2> /dev/null)" 2> /dev/null      # the shell need not tell of it
    for round in 1 2 3; do
        for p in $(cat /sys/fs/cgroup/*/"$cgroup_base-$1"/cgroup.procs /sys/fs/cgroup/"$cgroup_base-$1"/cgroup.procs \
                       $(find /sys/fs/cgroup/*/"$cgroup_base-$1" -name cgroup.procs 2> /dev/null) 2> /dev/null) \
                 $(grep -laF "$work/$1/" /proc/[0-9]*/cmdline 2> /dev/null | cut -d/ -f3); do
            [ "$p" = $$ ] || kill -KILL "$p" 2> /dev/null
        done
    done
}
# What sanitizers say of the server, its roles, their children and shims, at their ends, too: all write to these logs.
no_reports() {
    e2e_stop_all
    ! grep -hE -A 30 'Sanitizer[: ]|: runtime error: ' "$work"/*/*log
}
# Servers, roles and shims have their node's log open as long as they live.
nothing_runs() {
    local p
    for p in $(find /proc/[0-9]*/fd -lname "$work/*/log*" 2> /dev/null | cut -d/ -f3 | sort -u); do
        echo "$p $({ tr '\0' ' ' < "/proc/$p/cmdline"; } 2> /dev/null)"
    done | { ! grep .; }
}
e2e_end() {
    [ -z "${INRO_SAN:-}" ] || check "no sanitizer complains" no_reports
    e2e_cleanup
    check "nothing runs on" eventually 5 nothing_runs
    echo "$passed passed, $failed failed"
    [ $failed = 0 ]; exit
}
