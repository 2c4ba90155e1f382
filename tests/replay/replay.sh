# replay.sh: requests recorded from a real API server, sent to ours; sourced by tests/run.sh.
#
# INRO_CORPUS names the folder of recorded cases; the program that sends them lies at ../../tools/replay from there.
# passing.txt is a ratchet: every case named in it must pass. INRO_UPDATE=1 adds what passes today, and takes out
# what does not any more (to be explained in the commit).

# What a server without controllers cannot show.
replay_without=gc-controller,namespace-controller,serviceaccount-controller,root-ca-publisher,token-controller
replay_without+=,resourcequota-controller,clusterrole-aggregation,pvc-protection,compacted

# Groups that need what is not there yet and would wait for it for minutes.
replay_not_yet=rbac

# The kinds this release serves, by their plural names.
replay_kinds() { sed -nE 's/^kind ([^ ]+) .* served( .*)?$/\1/p' core/object/schema/*.schema | sort -u | paste -sd,; }

# replay_server DIR: starts the server on a port of its own; sets replay_pid
replay_server() {
    local dir=$1 port=16443 i
    mkdir -p "$dir"
    "./$inro" server --disable-agent --disable-scheduler --disable-controller-manager --data-dir "$dir/data" \
        --run-dir "$dir/run" --bind-address 127.0.0.1 --https-listen-port $port --node-ip 127.0.0.1 \
        --write-kubeconfig "$dir/kubeconfig" > "$dir/log" 2>&1 &
    replay_pid=$!
    for ((i = 0; i < 200; i++)); do
        [ ! -e "$dir/kubeconfig" ] ||
            [ "$(curl -sk --max-time 2 "https://127.0.0.1:$port/readyz")" != ok ] || return 0
        kill -0 $replay_pid 2> /dev/null || break
        sleep 0.05
    done
    echo "replay: the server did not start:"; tail -n5 "$dir/log"
    return 1
}

# replay_cases DIR PROGRAM: all cases of our kinds, and those about no kind; ids of what passed to DIR/passed
replay_cases() {
    local dir=$1 program=$2 files=() f
    for f in "$INRO_CORPUS"/*.jsonl; do
        [[ " $replay_not_yet " = *" $(basename "$f" .jsonl) "* ]] || files+=("$f")
    done
    "$program" --kubeconfig "$dir/kubeconfig" --without "$replay_without" --messages off --jobs 4 --verbose \
        --resources "$(replay_kinds)" "${files[@]}" > "$dir/kinds.out" 2>&1
    "$program" --kubeconfig "$dir/kubeconfig" --without "$replay_without" --messages off --jobs 4 --verbose \
        "$INRO_CORPUS"/{discovery,health,openapi}.jsonl > "$dir/other.out" 2>&1
    sed -nE 's/^ok +(.*) \([0-9.]+ s\)$/\1/p' "$dir"/{kinds,other}.out | LC_ALL=C sort -u > "$dir/passed"
    [ -s "$dir/passed" ] || { echo "replay: nothing passed"; tail -n5 "$dir/kinds.out"; return 1; }
}

# replay_judge PASSED RATCHET
replay_judge() {
    local lost
    lost=$(LC_ALL=C comm -13 "$1" "$2")
    [ -z "$lost" ] || sed 's/^/FAIL  /' <<< "$lost"
    echo "$(LC_ALL=C comm -23 "$1" "$2" | wc -l) cases pass that the ratchet does not name"
    echo "$(LC_ALL=C comm -12 "$1" "$2" | wc -l) passed, $(printf %s "${lost:+$lost$'\n'}" | wc -l) failed"
    [ -z "$lost" ]
}

# In a network namespace of its own, where loopback is all there is.
run_replay() {
    local dir status=0 ratchet=tests/replay/passing.txt program=$INRO_CORPUS/../../tools/replay
    ip link set lo up
    dir=$(mktemp -d)
    replay_server "$dir" && replay_cases "$dir" "$program" || status=1
    kill "$replay_pid" 2> /dev/null; wait "$replay_pid" 2> /dev/null
    if [ $status = 0 ]; then
        sed -n '/^group /,${/ passed, /d;p}' "$dir/kinds.out"
        [ -z "${INRO_UPDATE:-}" ] || cp "$dir/passed" $ratchet
        replay_judge "$dir/passed" $ratchet || status=1
    fi
    cp "$dir"/*.out out/ 2> /dev/null
    rm -rf "$dir"
    return $status
}

replay_alone() { unshare --net ${replay_user:+--map-root-user} bash -c run_replay; }

test_replay() {
    if [ -z "${INRO_CORPUS:-}" ]; then
        echo "== replay"; echo "replay: skipped: INRO_CORPUS names no recorded cases"; return 0
    fi
    binary > /dev/null
    export -f run_replay replay_server replay_cases replay_judge replay_kinds
    export inro replay_without replay_not_yet
    layer replay replay_alone
}
[ "$(id -u)" = 0 ] || replay_user=1
