# e2e.sh: the real binary with the real kubectl, images and packets; sourced by tests/run.sh.
#
# A scenario is tests/e2e/NAME.test.sh: a script of its own that sources lib.sh, makes one or more nodes, each in a
# network namespace of its own, calls `check`, and closes with "N passed, N failed". Tools and images are made once,
# in out/e2e.

e2e_scenarios() {
    local f
    for f in tests/e2e/*.test.sh; do
        f=${f##*/}; f=${f%.test.sh}
        case $f in *${1:-}*) echo "$f" ;; esac
    done
}

# e2e_one NAME: its output is shown as a whole, when it ends
e2e_one() {
    local start=$SECONDS status=0 text
    text=$(INRO_BIN=$PWD/$inro bash "tests/e2e/$1.test.sh" 2>&1) || status=1
    printf -- '-- %s: %d s\n%s\n' "$1" $((SECONDS - start)) "$text"
    return $status
}

# e2e_reap: waits for one of e2e_running
e2e_reap() {
    local pid status=0 p rest=()
    wait -n -p pid "${e2e_running[@]}" || status=1
    for p in "${e2e_running[@]}"; do [ "$p" = "$pid" ] || rest+=("$p"); done
    e2e_running=("${rest[@]}")
    return $status
}

# Two at a time, as most of them wait most of the time.
e2e_layer() {
    local name status=0 e2e_running=()
    tests/e2e/tools.sh && tests/e2e/images.sh || { echo "e2e: no tools"; return 1; }
    for name in $(e2e_scenarios "${1:-}"); do
        [ ${#e2e_running[@]} -lt 2 ] || e2e_reap || status=1
        e2e_one "$name" & e2e_running+=($!)
    done
    while [ ${#e2e_running[@]} -gt 0 ]; do e2e_reap || status=1; done
    return $status
}

test_e2e() {
    if [ "$(id -u)" != 0 ]; then
        echo "== e2e"; echo "e2e: skipped: needs root"; return 0
    fi
    # a sanitized binary cannot be the built-in image's, whose root has no libraries: the plain one is
    if [ -n "$san" ]; then
        build '' inro
        local -x INRO_IMAGE_EXE=$PWD/out/obj/$config/inro
    fi
    binary
    layer "${san:+$san-}e2e" e2e_layer "${1:-}"
}
