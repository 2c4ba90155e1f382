# bench.sh: the benchmarks; sourced by tests/run.sh.
#
# A benchmark is a program (bench_NAME.c) or a script (bench_NAME.sh). Each prints lines "row|WHAT|OURS|PEER|RATIO";
# the rest of what it prints is shown as it comes. RATIO says how many times better ours is than the peer's in the same
# run. Nothing is asserted: figures of a shared machine are for a reader.

bench_seconds=300                        # of one benchmark at most

bench_names() {
    local f
    for f in tests/bench/bench_*.c tests/bench/bench_*.sh; do
        [ -e "$f" ] || continue
        f=${f##*/bench_}; f=${f%.*}
        case $f in *${1:-}*) echo "$f" ;; esac
    done | sort -u
}

# One benchmark: the script where there is one (it may call the program beside it), else the program.
bench_one() {
    local name=$1
    if [ -e "tests/bench/bench_$name.sh" ]; then
        INRO_BIN=$PWD/$inro BENCH_BIN=$PWD/out/obj/$config/bench \
            timeout -k 10 $bench_seconds bash "tests/bench/bench_$name.sh"
    else
        timeout -k 10 $bench_seconds "out/obj/$config/bench/bench_$name"
    fi
}

bench_table() {
    {
        echo "what|ours|peer|times better"
        cat "$1"
    } | awk -F'|' '
        { for (i = 1; i <= 4; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) } }
        END {
            for (r = 1; r <= NR; r++) {
                printf "%-*s  %*s  %*s  %*s\n", width[1], cell[r, 1], width[2], cell[r, 2], width[3], cell[r, 3],
                       width[4], cell[r, 4]
                if (r == 1) { for (i = 1; i <= 4; i++) for (j = 0; j < width[i] + (i > 1) * 2; j++) printf "-"; print "" }
            }
        }'
}

run_bench() {
    local names name failed=0 rows=out/bench.rows start
    names=$(bench_names "${1:-}")
    [ -n "$names" ] || die "no such benchmark: $1; there are: $(bench_names | xargs)"
    build "$san" benches
    [ -z "$(cd tests/bench && for name in $names; do ls "bench_$name.sh" 2> /dev/null; done)" ] || binary
    : > $rows
    for name in $names; do
        start=$SECONDS
        echo "-- $name"
        bench_one "$name" > >(tee >(sed -n 's/^row|//p' >> $rows) | grep -v '^row|') || { failed=1; echo "bench: $name failed"; }
        wait $! 2> /dev/null || :
        echo "-- $name: $((SECONDS - start)) s"
    done
    bench_table $rows | tee out/bench.txt
    return $failed
}
