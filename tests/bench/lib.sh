# lib.sh: what benchmarks with a running server are made of. Source it, then:
#
#   bench_begin api                          a folder below out and a network namespace that leads nowhere
#   bench_need wrk wrk                       a program and the Debian package that has it
#   server_start [flags]                     inro server in the namespace, until /readyz says ok
#   api GET /api/v1/pods                     curl with the administrator's certificate
#   row WHAT OURS PEER RATIO                 a row of the table
#
# Everything is ended and removed at exit.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
INRO_BIN=${INRO_BIN:-$top/out/inro}
BENCH_BIN=${BENCH_BIN:-$top/out/obj/$(dpkg --print-architecture)/bench}
node_ip=192.0.2.1
port=6443
procs=()

say() { echo "bench: $*" >&2; }
skip() { say "skipped: $*"; exit 0; }

bench_begin() {
    [ "$(id -u)" = 0 ] || skip "needs root, for a network namespace of its own"
    command -v nsenter > /dev/null || skip "nsenter is missing (apt-get install util-linux)"
    bench_need ip iproute2
    mkdir -p "$top/out"
    work=$(mktemp -d "$top/out/bench-$1.XXXXXX")
    ns=inro-bench-$1-$$
    trap bench_end EXIT
    trap 'exit 130' INT TERM
    net_new
}
net_new() {
    ip netns add "$ns"
    inside ip link set lo up
    inside ip addr add $node_ip/32 dev lo
}
bench_end() {
    local p
    for p in "${procs[@]}"; do kill "$p" 2> /dev/null || :; done
    for p in "${procs[@]}"; do wait "$p" 2> /dev/null || :; done
    server_sweep
    find /sys/fs/cgroup -depth -type d -path "*/inro-bench-$$*" -exec rmdir {} + 2> /dev/null || :
    ip netns del "$ns" 2> /dev/null || :
    rm -rf --one-file-system "$work"
}
inside() { nsenter --net="/run/netns/$ns" "$@"; }

# bench_need PROGRAM PACKAGE: installs what is missing
bench_need() {
    command -v "$1" > /dev/null && return
    say "installing $2"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2"; } \
        > "$top/out/bench-packages.log" 2>&1 || skip "$1 is missing (apt-get install $2)"
}
# bench_unpack PROGRAM PACKAGE: the package's files in out/bench-tools, without its services; prints the program's path
bench_unpack() {
    local dir=$top/out/bench-tools/$2 found
    if [ ! -e "$dir/.done" ]; then
        mkdir -p "$dir"
        (cd "$dir" && apt-get download -qq "$2" > /dev/null && dpkg-deb -x "$2"_*.deb . && rm -f "$2"_*.deb && : > .done) ||
            return 1
    fi
    for found in "$dir"/usr/sbin/"$1" "$dir"/usr/bin/"$1"; do [ ! -x "$found" ] || { echo "$found"; return 0; }; done
    return 1
}

# --- the server
server_own() { echo --data-dir "$work/data" --run-dir "$work/run" --cgroup-root "inro-bench-$$" --node-name bench; }
# What a stopped server leaves for the next one (its pods, mounts and groups) goes as well.
server_sweep() {
    [ ! -d "$work/run" ] || inside "$INRO_BIN" stop --all $(server_own) > "$work/stop.log" 2>&1 || tail -n 5 "$work/stop.log" >&2
}
server_launch() {
    : > "$work/resolv.conf"
    nsenter --net="/run/netns/$ns" "$INRO_BIN" server $(server_own) --node-ip $node_ip --write-kubeconfig "$work/kubeconfig" --https-listen-port $port \
        --resolv-conf "$work/resolv.conf" --private-registry "$work/registries.yaml" "$@" > "$work/log" 2>&1 &
    server=$!
    procs=("${procs[@]}" $server)
}
server_start() {
    local i
    server_launch "$@"
    for ((i = 0; i < 1000; i++)); do
        if [ -s "$work/kubeconfig" ] && api GET /readyz > /dev/null 2>&1; then return; fi
        kill -0 $server 2> /dev/null || break
        sleep 0.01
    done
    tail -n 20 "$work/log" >&2
    say "the server did not become ready"
    exit 1
}
server_stop() {
    kill "$server" && { wait "$server" || :; }
}
field() { sed -nE "s/^ *$1: *//p" "$work/kubeconfig" | head -n1; }
credentials() {
    [ ! -e "$work/admin.key" ] || return 0
    field certificate-authority-data | base64 -d > "$work/ca.crt"
    field client-certificate-data | base64 -d > "$work/admin.crt"
    field client-key-data | base64 -d > "$work/admin.key.new"
    mv "$work/admin.key.new" "$work/admin.key"
}
# api METHOD PATH [CURL FLAGS...]
api() {
    local method=$1 path=$2 status=0; shift 2
    credentials
    inside curl -sS --fail-with-body --cacert "$work/ca.crt" --cert "$work/admin.crt" --key "$work/admin.key" \
        -X "$method" "$@" -o "$work/answer" "https://127.0.0.1:$port$path" || status=$?
    if [ $status = 0 ]; then cat "$work/answer"; else say "$method $path: $(cat "$work/answer")"; fi
    return $status
}

# --- figures
row() { printf 'row|%s|%s|%s|%s\n' "$1" "$2" "${3:--}" "${4:--}"; }
median() { sort -g | awk '{ v[NR] = $1 } END { if (NR % 2) print v[(NR + 1) / 2]; else print (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
# ratio_of OURS-FILE PEER-FILE: the median of the rounds' own ratios, more is better
ratio_of() { paste "$1" "$2" | awk '$2 > 0 { print $1 / $2 }' | median | xargs printf '%.2f'; }
