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

e2e_layer() {
    local name start status=0 p f
    p=0 f=0
    tests/e2e/tools.sh && tests/e2e/images.sh || { echo "e2e: no tools"; return 1; }
    for name in $(e2e_scenarios "${1:-}"); do
        start=$SECONDS
        echo "-- $name"
        INRO_BIN=$PWD/$inro bash "tests/e2e/$name.test.sh" || status=1
        echo "-- $name: $((SECONDS - start)) s"
    done
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
