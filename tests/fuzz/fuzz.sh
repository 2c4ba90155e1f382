# fuzz.sh: the fuzz targets; sourced by tests/run.sh. In tests each target runs its corpus and a fixed number of
# mutations under ASan+UBSan; `./build.sh fuzz` searches by coverage and for a time.
fuzz_runs=3000

fuzz_targets() {
    local f
    for f in tests/fuzz/fuzz_*.c; do
        f=${f##*/fuzz_}; f=${f%.c}
        case $f in *${1:-}*) echo "$f" ;; esac
    done
}

# fuzz_one CONFIG NAME ARGS...: one target; tells what was run last when it dies
fuzz_one() {
    local binary=out/obj/$1/fuzz/fuzz_$2 name=$2 text; shift 2
    if text=$("$binary" "$@" "tests/fuzz/corpus/$name" 2>&1); then
        echo "fuzz $name: $text"
        return 0
    fi
    tail -n 40 <<< "$text"
    cp "$binary.current" "out/fuzz-crash-$name"
    echo "fuzz $name: failed; the input is in out/fuzz-crash-$name"
    return 1
}

fuzz_layer() {
    local name p=0 f=0
    for name in $(fuzz_targets "${1:-}"); do
        if fuzz_one "$host-asan" "$name" -n $fuzz_runs; then p=$((p + 1)); else f=$((f + 1)); fi
    done
    echo "$p passed, $f failed"
    [ $f = 0 ]
}

test_fuzz() { build asan fuzzers; layer fuzz fuzz_layer "${1:-}"; }

run_fuzz() {
    local name status=0
    build fuzz fuzzers
    for name in $(fuzz_targets "${1:-}"); do
        mkdir -p "out/fuzz-found/$name"
        fuzz_one "$host-fuzz" "$name" -t "${2:-30}" -s "$(date +%s)" -k "out/fuzz-found/$name" || status=1
    done
    return $status
}
