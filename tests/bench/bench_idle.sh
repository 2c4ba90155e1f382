#!/bin/bash
# bench_idle.sh: what a cluster at rest costs: a server whose node runs ten pods, and an agent with ten more. A minute of
# CPU, wake-ups and writes to the disk of each process, and its memory.
. "$(dirname "$0")/lib.sh"
bench_begin idle
bench_need curl curl
pods=${BENCH_IDLE_PODS:-10} settle=${BENCH_IDLE_SETTLE:-75} seconds=${BENCH_IDLE_S:-60}
ns_path=/api/v1/namespaces/default

pod() {
    printf '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"%s","labels":{"app":"idle"}},"spec":{"nodeName":"%s",
        "terminationGracePeriodSeconds":1,"containers":[{"name":"a","image":"inro.local/box","args":["sleep","100000"]}]}}' "$1" "$2"
}
create() { pod "$1" "$2" | api POST $ns_path/pods -H 'Content-Type: application/json' --data-binary @- > /dev/null; }
running() { [ "$(api GET "$ns_path/pods?labelSelector=app=idle" | grep -o '"phase":"Running"' | wc -l)" = "$1" ]; }
node_ready() { api GET "/api/v1/nodes/$1" | grep -q KubeletReady; }
await() {
    local i
    for ((i = 0; i < 600; i++)); do ! "$@" > /dev/null 2>&1 || return 0; sleep 0.1; done
    say "not within a minute: $*"
    return 1
}

# Our processes that talk to this log: "PID NAME", shims all under one name.
processes() {
    local p verb
    for p in $(pgrep -x inro; pgrep '^inro-'); do
        [ "$(readlink "/proc/$p/fd/2")" = "$1" ] || continue
        verb=$(tr '\0' '\n' < "/proc/$p/cmdline" 2> /dev/null | sed -n 2p)
        case $verb in server | agent | control | node | dns | shim) echo "$p $verb" ;; esac
    done
}
# sample PID: nanoseconds of CPU, wake-ups, bytes written, PSS in KiB
sample() {
    local cpu wakes bytes pss
    cpu=$(cat "/proc/$1"/task/*/schedstat | awk '{ s += $1 } END { printf "%.0f", s }')
    wakes=$(cat "/proc/$1"/task/*/status | awk '/^voluntary_ctxt/ { s += $2 } END { print s }')
    bytes=$(awk '$1 == "write_bytes:" { print $2 }' "/proc/$1/io")
    pss=$(awk '$1 == "Pss:" { print $2 }' "/proc/$1/smaps_rollup")
    echo "$cpu $wakes $bytes $pss"
}
samples() { local pid name; while read -r pid name; do echo "$pid $name $(sample "$pid")"; done; }

# rest LABEL LOG: begins to look at its processes
rest() {
    local label=$1 list; list=$(processes "$2")
    samples <<< "$list" > "$work/before-$label"
    echo "$list" > "$work/list-$label"
}
report() {
    local label=$1
    samples < "$work/list-$label" > "$work/after-$label"
    join <(sort "$work/before-$label") <(sort "$work/after-$label") | awk -v s="$seconds" -v label="$label" '
        { name = $2; n[name]++; cpu[name] += $8 - $3; wakes[name] += $9 - $4; bytes[name] += $10 - $5; pss[name] += $11
          if (!(name in order)) { order[name] = ++k; names[k] = name } }
        END { for (i = 1; i <= k; i++) { m = names[i]; many = n[m] > 1 ? " x" n[m] : ""
            printf "row|%s: %s%s|%.0f ms CPU, %.0f wake-ups, %.1f KiB written a minute; %d KiB PSS|-|-\n", label, m, many,
                cpu[m] / 1e6 * 60 / s, wakes[m] * 60 / s, bytes[m] / 1024 * 60 / s, pss[m]
            c += cpu[m]; w += wakes[m]; b += bytes[m]; p += pss[m] }
          printf "row|%s: all|%.0f ms CPU, %.0f wake-ups, %.1f KiB written a minute; %d KiB PSS|-|-\n", label,
              c / 1e6 * 60 / s, w * 60 / s, b / 1024 * 60 / s, p }'
}

# A second namespace, wired to the server's, with an agent.
agent_ns=inro-bench-idle2-$$
agent_own() { echo --data-dir "$work/data2" --run-dir "$work/run2" --cgroup-root "inro-bench-$$-2" --node-name bench2; }
agent_end() {
    nsenter --net="/run/netns/$agent_ns" "$INRO_BIN" stop --all $(agent_own) > "$work/stop2.log" 2>&1 || :
    ip netns del "$agent_ns" 2> /dev/null || :
    find /sys/fs/cgroup -depth -type d -path "*/inro-bench-$$-2*" -exec rmdir {} + 2> /dev/null || :
    bench_end
}
agent_start() {
    ip netns add "$agent_ns"
    trap agent_end EXIT
    inside ip link add up0 type veth peer name up0 netns "$agent_ns"
    inside ip addr add "$node_ip/24" dev up0
    inside ip link set up0 up
    nsenter --net="/run/netns/$agent_ns" sh -c "ip link set lo up; ip addr add 192.0.2.2/24 dev up0; ip link set up0 up"
    nsenter --net="/run/netns/$agent_ns" "$INRO_BIN" agent --server "https://$node_ip:$port" --token-file "$work/data/server/node-token" \
        $(agent_own) --node-ip 192.0.2.2 --resolv-conf "$work/resolv.conf" > "$work/log2" 2>&1 &
    procs=("${procs[@]}" $!)
}

server_start
await node_ready bench
agent_start
await node_ready bench2
await api GET $ns_path/serviceaccounts/default
for ((i = 0; i < pods; i++)); do create "server-$i" bench; create "agent-$i" bench2; done
await running $((2 * pods))
sleep "$settle"
rest server "$work/log"
rest agent "$work/log2"
sleep "$seconds"
report server
report agent
