# run.sh: the test layers; sourced by build.sh, which provides build, binary and die.
passed=0 failed=0 ran=0

# count TEXT: adds up what a layer said in its last "N passed, N failed"
count() {
    local p f
    read -r p f < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed.*/\1 \2/p' <<< "$1" | tail -n1) || :
    passed=$((passed + ${p:-0})) failed=$((failed + ${f:-0}))
    [ -n "${p:-}" ] || return 1
    [ $((p + f)) = 0 ] || ran=1
}

# layer NAME COMMAND...: runs it, shows its output, counts; a layer that dies counts as one failure
layer() {
    local title=$1 text status=0 log=out/test-$1.log; shift
    echo "== $title"
    "$@" > >(tee "$log") 2>&1 || status=$?
    wait $! 2> /dev/null || :
    text=$(cat "$log")
    count "$text" || { [ $status != 0 ] || status=1; }
    case $status in
        0|3) ;;                                         # 3: nothing matched
        *) [[ $text =~ [1-9][0-9]*\ failed ]] || { failed=$((failed + 1)); echo "$title: exit status $status"; } ;;
    esac
}

binary_layer() { "out/obj/$config/$1" ${verbose:+-v} ${2:+"$2"}; }
test_unit() { build "$san" unit; layer unit binary_layer unit "${1:-}"; }
# Namespaces, mounts and groups of the kernel: only root may make them.
test_sandbox() {
    [ -n "$(ls tests/sandbox/test_*.c 2> /dev/null)" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        echo "== sandbox"; echo "sandbox: skipped: needs root"; return 0
    fi
    build "$san" sandbox; layer sandbox binary_layer sandbox "${1:-}"
}

layers="unit sandbox"
run_test() {
    local pattern=${1:-} only='' l
    case " $layers " in *" ${pattern%%:*} "*)
        only=${pattern%%:*}; pattern=${pattern#"$only"}; pattern=${pattern#:} ;;
    esac
    for l in $layers; do
        [ -n "$only" ] && [ "$only" != "$l" ] || "test_$l" "$pattern"
    done
    echo "$passed passed, $failed failed"
    [ $failed = 0 ] && [ $ran = 1 ]
}
run_lint() { echo "lint: no rules yet"; }
run_bench() { die "no benches yet"; }
run_fuzz() { die "no fuzz targets yet"; }
