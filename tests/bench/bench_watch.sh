#!/bin/bash
# bench_watch.sh: a server for bench_watch.
. "$(dirname "$0")/lib.sh"
bench_begin watch
bench_need curl curl
server_start --disable-agent --disable-scheduler --disable-controller-manager
control=$(pgrep -P "$server" -x -f 'inro control') || { say "no control role"; exit 1; }
inside "$BENCH_BIN/bench_watch" "https://127.0.0.1:$port" "$work/ca.crt" "$work/admin.crt" "$work/admin.key" "$control"
