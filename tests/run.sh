# run.sh: the test layers; sourced by build.sh, which provides build, binary, die and the options' variables.
#
# A layer is a function test_NAME [pattern] that runs `layer NAME COMMAND...`; the command says
# "N passed, N failed" alone on a line. Without a pattern all run, in this order:
#   lint     the house rules
#   unit     one file each, no root
#   sandbox  real namespaces, mounts, links and groups; root
#   sim      the whole cluster in one thread, by seed
#   replay   recorded requests of a real API server, where INRO_CORPUS names them
#   e2e      the real binary with the real kubectl, images and packets; root
#   asan     unit, sandbox and sim under ASan and UBSan
#   tsan     unit under TSan
#   fuzz     every parser: its corpus and some mutations, under ASan and UBSan
#   cross    only by name, as it compiles all twice more: the builds for arm64 and armhf under qemu-user, their version
#            and unit; root, to register qemu with the kernel
layers="lint unit sandbox sim replay e2e asan tsan fuzz"
passed=0 failed=0 ran=0
for part in lint fuzz replay e2e bench; do
    [ ! -e tests/$part/$part.sh ] || . "tests/$part/$part.sh"
done

# count TEXT: adds up the lines "N passed, N failed" of a layer
count() {
    local p f seen=1
    while read -r p f; do
        passed=$((passed + p)) failed=$((failed + f)) seen=0
        [ $((p + f)) = 0 ] || ran=1
    done < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed.*/\1 \2/p' <<< "$1")
    return $seen
}

# Stopped: so is what the layer runs, and what it made is cleaned up before we go.
layer_stop() {
    local end=$((SECONDS + 60))
    kill -TERM -- "-$1" 2> /dev/null
    while kill -0 -- "-$1" 2> /dev/null && [ $SECONDS -lt $end ]; do sleep 0.1; done
    exit 130
}

# layer NAME COMMAND...: runs it, shows its output, counts; a layer that dies counts as one failure
layer() {
    local title=$1 text status=0 worker viewer log=out/test-$1.log before=$failed start=$SECONDS; shift
    echo "== $title"
    # into a file, and shown from there: a process left behind cannot hold us up as the end of a pipe
    : > "$log"
    set -m                                           # a process group of its own, to be ended as a whole
    (set +e; "$@") > "$log" 2>&1 & worker=$!
    set +m
    trap 'layer_stop $worker' INT TERM
    tail -n +1 -s 0.2 -f --pid=$worker "$log" & viewer=$!
    wait $worker || status=$?
    wait $viewer || :
    trap - INT TERM
    text=$(cat "$log")
    count "$text" || { [ $status != 0 ] || status=1; }
    case $status in
        0|3) ;;                                         # 3: nothing matched
        *) [ $failed != $before ] || { failed=$((failed + 1)); echo "$title: exit status $status"; } ;;
    esac
    echo "== $title: $((SECONDS - start)) s"
}

# By its whole path: tests change their directory, and under an emulator /proc/self/exe is the name given here.
binary_layer() { "$PWD/out/obj/$config/$1" ${verbose:+-v} ${2:+"$2"}; }

test_lint() { layer lint run_lint; }
test_unit() { build "$san" unit; layer "${san:+$san-}unit" binary_layer unit "${1:-}"; }
# Namespaces, mounts and groups of the kernel: only root may make them.
test_sandbox() {
    [ -n "$(ls tests/sandbox/test_*.c 2> /dev/null)" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        echo "== sandbox"; echo "sandbox: skipped: needs root"; return 0
    fi
    # a sanitized binary needs shared libraries, which an empty root file system has not: the programs
    # in the containers of tests are of the plain build
    if [ -n "$san" ]; then
        build '' sandbox
        local -x INRO_PAYLOAD=$PWD/out/obj/$config/sandbox
    fi
    build "$san" sandbox; layer "${san:+$san-}sandbox" binary_layer sandbox "${1:-}"
}
test_sim() {
    [ -n "$(ls tests/sim/*.c 2> /dev/null)" ] || return 0
    build "$san" sim; layer "${san:+$san-}sim" binary_layer sim "${1:-}"
}
test_asan() { local san=asan; local -x INRO_SAN=asan; test_unit "${1:-}"; test_sandbox "${1:-}"; test_sim "${1:-}"; }
test_tsan() { local san=tsan; local -x INRO_SAN=tsan; test_unit "${1:-}"; }


# Programs of another architecture start like our own, also when they start themselves again.
cross_register() {
    local misc=/proc/sys/fs/binfmt_misc name
    [ -e $misc/register ] || mount -t binfmt_misc binfmt_misc $misc || return 1
    for name in qemu-aarch64 qemu-arm; do
        [ -e $misc/$name ] || cat /usr/lib/binfmt.d/$name.conf > $misc/register || return 1
    done
}
cross_layer() {
    local said
    said=$(out/inro-"$config" version --short) && [ "$said" = "$version" ] || { echo "version: $said"; return 1; }
    echo "1 passed, 0 failed"
    binary_layer unit "${1:-}"
}
test_cross() {
    local arch triplet config inro san=''
    if [ "$(id -u)" != 0 ]; then echo "== cross"; echo "cross: skipped: needs root"; return 0; fi
    local -x INRO_EMULATED=1 INRO_ARCH INRO_SAN=''
    for arch in arm64 armhf; do
        triplet=$(triplet_of $arch) INRO_ARCH=$arch
        need_packages
        cross_register || die "cross: qemu-user cannot be registered with the kernel"
        binary
        build '' unit
        layer "cross-$arch" cross_layer "${1:-}"
    done
}

run_test() {
    local pattern=${1:-} only='' l
    case " $layers cross " in *" ${pattern%%:*} "*)
        only=${pattern%%:*}; pattern=${pattern#"$only"}; pattern=${pattern#:} ;;
    esac
    # a pattern of names, or a sanitizer chosen by hand, means the layers of C tests
    [ -n "$only" ] || { [ -z "$pattern$san" ] || layers="unit sandbox sim"; }
    [ "$only" != cross ] || layers=cross
    for l in $layers; do
        [ -n "$only" ] && [ "$only" != "$l" ] || ! declare -F "test_$l" > /dev/null || "test_$l" "$pattern"
    done
    echo "$passed passed, $failed failed"
    [ $failed = 0 ] && [ $ran = 1 ]
}
declare -F run_bench > /dev/null || run_bench() { die "no benches yet"; }
