#!/bin/bash
# bench_pods.sh: pods of the built-in image through the whole system: from the request to running and gone again, and
# the memory that a pod's keeper holds.
. "$(dirname "$0")/lib.sh"
bench_begin pods
bench_need curl curl
times=${BENCH_POD_TIMES:-10} pods=20
ns_path=/api/v1/namespaces/default

now_ms() { date +%s%N | sed 's/......$//'; }
# until_ms START COMMAND...: polls, at most 60 s; prints the time since the start
until_ms() {
    local start=$1; shift
    until "$@" > /dev/null 2>&1; do
        [ $(($(now_ms) - start)) -lt 60000 ] || { say "not within a minute: $*"; return 1; }
    done
    echo $(($(now_ms) - start))
}
pod() {
    printf '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"%s","labels":{"app":"bench"}},"spec":{"terminationGracePeriodSeconds":1,
        "containers":[{"name":"a","image":"inro.local/box","args":["sleep","1000"]}]}}' "$1"
}
create() { pod "$1" | api POST $ns_path/pods -H 'Content-Type: application/json' --data-binary @- > /dev/null; }
phase_is() { api GET "$ns_path/pods/$1" | grep -q "\"phase\":\"$2\""; }
is_gone() { [ "$(api GET "$ns_path/pods?labelSelector=app=bench" | grep -o '"phase"' | wc -l)" = 0 ]; }
running() { [ "$(api GET "$ns_path/pods?labelSelector=app=bench" | grep -o '"phase":"Running"' | wc -l)" = "$1" ]; }

server_start
until_ms "$(now_ms)" eval 'api GET /api/v1/namespaces/default/serviceaccounts/default && api GET /api/v1/nodes/bench | grep -q KubeletReady' > /dev/null
: > "$work/start"; : > "$work/end"
for ((i = 0; i < times; i++)); do
    start=$(now_ms)
    create "one-$i"
    until_ms "$start" phase_is "one-$i" Running >> "$work/start"
    start=$(now_ms)
    api DELETE "$ns_path/pods/one-$i" > /dev/null
    until_ms "$start" is_gone >> "$work/end"
done
row "pod: request to Running, median of $times" "$(median < "$work/start") ms"
row "pod: delete to gone, median of $times" "$(median < "$work/end") ms"

start=$(now_ms)
for ((i = 0; i < pods; i++)); do create "many-$i" & done
wait $(jobs -p | grep -vx "$server")
row "$pods pods at once: requests to all Running" "$(until_ms "$start" running $pods) ms"
sleep 2
total=0 n=0
for pid in $(pgrep -x -f 'inro shim' || :); do
    [ "$(readlink "/proc/$pid/fd/1")" = "$work/log" ] || continue        # of this server
    pss=$(awk '$1 == "Pss:" { print $2 }' "/proc/$pid/smaps_rollup" 2> /dev/null) || continue
    total=$((total + pss)) n=$((n + 1))
done
[ $n = 0 ] || row "memory (PSS) of the process that keeps a pod, mean of $n" "$((total / n)) KiB"
start=$(now_ms)
api DELETE "$ns_path/pods?labelSelector=app=bench" > /dev/null
row "$pods pods at once: delete to all gone" "$(until_ms "$start" is_gone) ms"
