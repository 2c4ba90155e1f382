# bench_agent.sh: from "inro agent" on an empty disk to a Node that is Ready, and what an idle agent holds in memory.
. "$(dirname "$0")/lib.sh"
bench_begin agent
bench_need curl curl
bench_need openssl openssl
times=${BENCH_AGENT_TIMES:-10} idle_s=10 there=inro-bench-there-$$ server_ip=198.51.100.1 agent_ip=198.51.100.2

# --- a second machine: another namespace at the end of a cable
at_agent() { nsenter --net="/run/netns/$there" "$@"; }
agent_own() { echo --data-dir "$work/agent/data" --run-dir "$work/agent/run" --cgroup-root "inro-bench-$$-agent" --node-name "$name"; }
agent_sweep() { at_agent "$INRO_BIN" stop --all $(agent_own) > "$work/stop-agent.log" 2>&1 || :; rm -rf "$work/agent"; }
end() { kill "${agent:-}" 2> /dev/null && wait "$agent"; [ -z "${name:-}" ] || agent_sweep; ip netns del "$there" 2> /dev/null; bench_end; }
trap end EXIT
ip netns add "$there"
at_agent ip link set lo up
inside ip link add cable type veth peer name cable netns "$there"
inside ip addr add $server_ip/24 dev cable; inside ip link set cable up
at_agent ip addr add $agent_ip/24 dev cable; at_agent ip link set cable up
server_start --disable-agent --tls-san $server_ip --advertise-address $server_ip

now_ms() { date +%s%N | sed 's/......$//'; }
is_ready() { api GET "/api/v1/nodes/$name" 2> /dev/null | grep -Eq '"status":"True"[^}]*"type":"Ready"|"type":"Ready","status":"True"'; }
: > "$work/joined"
for ((n = 1; n <= times; n++)); do
    name=agent-$n
    mkdir -p "$work/agent"
    start=$(now_ms)
    nsenter --net="/run/netns/$there" "$INRO_BIN" agent --server "https://$server_ip:$port" --token-file "$work/data/server/token" \
        $(agent_own) --node-ip $agent_ip --resolv-conf "$work/resolv.conf" --private-registry "$work/registries.yaml" > "$work/log-agent" 2>&1 &
    agent=$!
    until is_ready; do
        [ $(($(now_ms) - start)) -lt 20000 ] && kill -0 $agent 2> /dev/null || { tail -n 20 "$work/log-agent" >&2; say "not joined"; exit 1; }
    done
    echo $(($(now_ms) - start)) >> "$work/joined"
    [ $n = "$times" ] || { kill $agent; wait $agent || :; agent_sweep; api DELETE "/api/v1/nodes/$name" > /dev/null; }
done
row "agent: empty disk to Node Ready, median of $times" "$(median < "$work/joined") ms"

# --- at rest
tree() { local c; echo "$1"; for c in $(ps -o pid= --ppid "$1"); do tree "$c"; done; }
role_of() { tr '\0' '\n' < "/proc/$1/cmdline" | sed -n 2p | tr -d '\n'; [ "$1" != "$agent" ] || printf ' (parent)'; }
sleep $idle_s
total=0
for pid in $(tree "$agent"); do
    pss=$(awk '$1 == "Pss:" { print $2 }' "/proc/$pid/smaps_rollup" 2> /dev/null) || continue
    [ -n "$pss" ] || continue
    total=$((total + pss))
    row "idle agent's memory (PSS): $(role_of "$pid")" "$(awk "BEGIN { printf \"%.1f MB\", $pss / 1024 }")"
done
row "idle agent's memory (PSS): all processes" "$(awk "BEGIN { printf \"%.1f MB\", $total / 1024 }")"
server_stop
