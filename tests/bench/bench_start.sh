#!/bin/bash
# bench_start.sh: from an empty disk to a cluster that answers (/readyz) and to a Node that is Ready, and what its idle
# processes hold in memory and do.
. "$(dirname "$0")/lib.sh"
bench_begin start
bench_need curl curl
bench_need openssl openssl
times=${BENCH_START_TIMES:-20} idle_s=10

now_ms() { date +%s%N | sed 's/......$//'; }
node_is_ready() { api GET /api/v1/nodes/bench 2> /dev/null | grep -Eq '"status":"True"[^}]*"type":"Ready"|"type":"Ready","status":"True"'; }
# until COMMAND...: polls without a pause, at most 20 s; prints the time since the start
until_ms() {
    local start=$1 end; shift
    end=$((start + 20000))
    until "$@" > /dev/null 2>&1; do
        [ "$(now_ms)" -lt $end ] || return 1
        kill -0 "$server" 2> /dev/null || return 1
    done
    echo $(($(now_ms) - start))
}
has_kubeconfig() { [ -s "$work/kubeconfig" ]; }

: > "$work/ready"; : > "$work/node"; : > "$work/size"
node=1
for ((n = 0; n < times; n++)); do
    rm -rf "$work"/{data,run,kubeconfig,ca.crt,admin.crt,admin.key}
    start=$(now_ms)
    server_launch
    until_ms "$start" has_kubeconfig > /dev/null && until_ms "$start" api GET /readyz >> "$work/ready" ||
        { tail -n 20 "$work/log" >&2; say "not ready"; exit 1; }
    [ $node = 0 ] || until_ms "$start" node_is_ready >> "$work/node" || { say "the Node does not become Ready"; node=0; }
    [ $((n + 1)) = "$times" ] || { server_stop; server_sweep; }
done
row "start: empty disk to /readyz, median of $times" "$(median < "$work/ready") ms"
[ $node = 0 ] || row "start: empty disk to Node Ready, median of $times" "$(median < "$work/node") ms"

# --- at rest
tree() { local c; echo "$1"; for c in $(ps -o pid= --ppid "$1"); do tree "$c"; done; }
# ticks of the processor, and bytes written to disks, of all processes so far
ticks() { local p; for p in $(tree "$server"); do cat "/proc/$p/stat" 2> /dev/null; done | sed 's/.*) //' | awk '{ n += $12 + $13 } END { print n }'; }
writes() { local p; for p in $(tree "$server"); do cat "/proc/$p/io" 2> /dev/null; done | awk '$1 == "write_bytes:" { n += $2 } END { print n + 0 }'; }
sleep $idle_s
ticks=$(ticks) writes=$(writes)
sleep $idle_s
per_minute=$((60 / idle_s)) ticks=$(($(ticks) - ticks)) writes=$(($(writes) - writes))
row "idle: processor time a minute" "$(awk "BEGIN { printf \"%.2f s\", $ticks * $per_minute / $(getconf CLK_TCK) }")"
row "idle: written to disk a minute" "$(awk "BEGIN { printf \"%.0f KiB\", $writes * $per_minute / 1024 }")"
role_of() { tr '\0' '\n' < "/proc/$1/cmdline" | sed -n 2p | tr -d '\n'; [ "$1" != "$server" ] || printf ' (parent)'; }
total=0
for pid in $(tree "$server"); do
    pss=$(awk '$1 == "Pss:" { print $2 }' "/proc/$pid/smaps_rollup" 2> /dev/null) || continue
    [ -n "$pss" ] || continue
    total=$((total + pss))
    row "idle memory (PSS): $(role_of "$pid")" "$(awk "BEGIN { printf \"%.1f MB\", $pss / 1024 }")"
done
row "idle memory (PSS): all processes" "$(awk "BEGIN { printf \"%.1f MB\", $total / 1024 }")"
row "size of the binary" "$(awk "BEGIN { printf \"%.2f MB\", $(stat -c %s "$INRO_BIN") / 1048576 }")"
server_stop
