#!/bin/bash
# build.sh: the one way to build, run and test inro. Needs Debian 12 or 13 and nothing else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
unset LIBRARY_PATH CPATH C_INCLUDE_PATH COMPILER_PATH GCC_EXEC_PREFIX LD_RUN_PATH MAKEFLAGS MAKELEVEL
version=v1.36.2+inro0.1.0

usage() {
    cat <<'U'
usage: ./build.sh [options] [command]
  (none)                  build the release binary out/inro (unstripped beside it: out/inro.debug)
  run [server flags]      build, then run out/inro server with these flags
  test [pattern]          every layer of tests (tests/run.sh lists them); pattern is a layer (unit),
                          a layer and names (unit:core/base/*), or names in any layer (watch)
  lint [--update]         the house rules; --update lowers tests/lint/ratchet.txt
  bench [pattern]         the benchmarks
  fuzz [target] [seconds] fuzz one target or all
  objects                 compile everything, link nothing; out/compile_commands.json
  clean                   remove out/
options
  --san asan|ubsan|tsan   build and test with a sanitizer
  --arch amd64|arm64|armhf   build for another architecture (out/inro-ARCH)
  --debug                 build with -Og
  -v, --verbose           print commands and passing tests
environment
  INRO_DEPS_DIR           where the libraries are unpacked (default out/deps); checkouts may share it
  CC                      the compiler (default: gcc, through ccache where that is installed)
  INRO_CORPUS             recorded API cases for the replay layer
U
}
die() { echo "build.sh: $*" >&2; exit 1; }

# --- arguments
host=$(dpkg --print-architecture)
arch=$host san='' debug='' verbose='' command=''
while [ $# -gt 0 ]; do
    case $1 in
        --san) san=${2:?--san needs a value}; shift ;;
        --arch) arch=${2:?--arch needs a value}; shift ;;
        --debug) debug=1 ;;
        -v|--verbose) verbose=1 ;;
        -h|--help) usage; exit 0 ;;
        -*) die "unknown option $1 (see --help)" ;;
        *) command=$1; shift; break ;;
    esac
    shift
done
if [ "$command" != run ]; then           # options may also follow the command
    rest=()
    while [ $# -gt 0 ]; do
        case $1 in
            --san) san=${2:?--san needs a value}; shift ;;
            --arch) arch=${2:?--arch needs a value}; shift ;;
            --debug) debug=1 ;;
            -v|--verbose) verbose=1 ;;
            *) rest+=("$1") ;;
        esac
        shift
    done
    set -- "${rest[@]}"
fi
triplet_of() {
    case $1 in
        amd64) echo x86_64-linux-gnu ;;
        arm64) echo aarch64-linux-gnu ;;
        armhf) echo arm-linux-gnueabihf ;;
        *) die "no such architecture: $1" ;;
    esac
}
triplet=$(triplet_of "$arch")
case $san in ''|asan|ubsan|tsan|fuzz) ;; *) die "no such sanitizer: $san" ;; esac

# --- the host's own packages
need_packages() {
    local missing=() p prefix=$triplet
    want() { command -v "$1" > /dev/null || missing+=("$2"); }
    want make make; want lua5.4 lua5.4; want xz xz-utils; want bzip2 bzip2; want flock util-linux
    [ -r /usr/share/keyrings/debian-archive-keyring.gpg ] ||
        [ -r /usr/share/keyrings/debian-archive-keyring.pgp ] || missing+=(debian-archive-keyring)
    if [ "$arch" = "$host" ]; then
        want gcc gcc; want ld binutils
    else
        want "$prefix-gcc" "gcc-${prefix//_/-}"
        [ "$command" != test ] || [ -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ] ||
            want qemu-aarch64-static qemu-user-static
    fi
    [ ${#missing[@]} -gt 0 ] || return 0
    local install="apt-get install -y --no-install-recommends ${missing[*]}"
    [ "$(id -u)" = 0 ] || die "packages are missing; run as root: $install"
    echo "build.sh: installing ${missing[*]}"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive $install -qq; } > out/packages.log 2>&1 ||
        { tail -5 out/packages.log >&2; die "failed: $install"; }
}

# --- version.h: rewritten only when its content changed
write_version() {
    local commit='' date='' new=out/gen/version.h.new
    if commit=$(git rev-parse --short=12 HEAD 2> /dev/null); then
        date=$(TZ=UTC git show -s --date='format-local:%Y-%m-%dT%H:%M:%SZ' --format=%cd HEAD)
    fi
    {
        echo '/* Written by build.sh. */'
        echo "#define INRO_VERSION \"$version\""
        echo "#define INRO_COMMIT \"$commit\""
        echo "#define INRO_COMMIT_DATE \"$date\""
        echo "#define INRO_DEPS \\"
        awk '{ printf "    \"%s %s\\n\" \\\n", $3, $4 } END { print "    \"\"" }' "$1/.versions"
    } > "$new"
    if cmp -s "$new" out/gen/version.h; then rm "$new"; else mv "$new" out/gen/version.h; fi
}

generate() {
    local schema=core/object/schema
    [ -e $schema/generate.lua ] || return 0
    if [ ! -e out/gen/.stamp ] || [ -n "$(find $schema -newer out/gen/.stamp -print -quit)" ]; then
        lua5.4 $schema/generate.lua $schema out/gen
        touch out/gen/.stamp
    fi
}

# slim ROOT LIB: the folder of the same archives without unwind tables, which nothing in C looks at: half a megabyte
slim() {
    local to=$1/slim objcopy=$triplet-objcopy a
    command -v "$objcopy" > /dev/null || objcopy=objcopy
    if [ ! -e "$to/.stamp" ]; then
        rm -rf "$to.new" && mkdir -p "$to.new"
        for a in "$2"/*.a; do
            case $(head -c 7 "$a") in '!<arch>') ;; *) continue ;; esac      # libm.a is a text that names others
            "$objcopy" -R .eh_frame -R .rela.eh_frame "$a" "$to.new/${a##*/}"
        done
        touch "$to.new/.stamp"
        rm -rf "$to" && mv "$to.new" "$to"
    fi
    echo "$to"
}

# --- prepare CONFIG: everything make needs to know, in out/obj/NAME/config.mk
prepare() {
    local san=$1 cc=${CC:-} deps root lib opt cold link kind rt='' strip
    config=$arch${san:+-$san}${debug:+-debug}
    deps=${INRO_DEPS_DIR:-out/deps}
    root=$(packaging/deps.sh --arch "$arch" --dir "$deps" ${san:+--asan})
    root=${root/#"$PWD"\//}
    lib=$root/usr/lib/$triplet
    if [ -z "$cc" ]; then
        if [ "$arch" = "$host" ]; then cc=gcc; else cc=$triplet-gcc; fi
        ! command -v ccache > /dev/null || cc="ccache $cc"
    fi
    opt="-O2 -fno-asynchronous-unwind-tables -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"
    [ $arch != amd64 ] || opt+=" -fcf-protection"
    [ $arch != arm64 ] || opt+=" -mbranch-protection=standard"
    cold=-Os
    [ -z "$debug$san" ] || cold=''
    [ -z "$debug" ] || opt="-Og"
    case $san in
        asan) opt="-O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined"
              rt="-static-libasan -static-libubsan" ;;
        fuzz) opt="-O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined"
              opt+=" -fsanitize-coverage=trace-pc"
              rt="-static-libasan -static-libubsan" ;;
        ubsan) opt="-O1 -fsanitize=undefined -fno-sanitize-recover=undefined"; rt=-static-libubsan ;;
        tsan) opt="-O1 -fsanitize=thread"; rt=-static-libtsan ;;
    esac
    [ $arch != armhf ] || opt+=" -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64"
    # With a sanitizer the compiler knows fewer ranges: its warnings about lengths are guesses then.
    [ -z "$san" ] || opt+=" -fno-omit-frame-pointer -Wno-format-truncation"
    kind=-static-pie
    [ -e "$lib/rcrt1.o" ] || kind="-static -no-pie"       # armhf's glibc has no static PIE
    if [ -n "$san" ]; then
        root=$(cd "$root" && pwd); lib=$root/usr/lib/$triplet
        kind="$rt -pie -Wl,--dynamic-linker=$(find "$root/usr/lib" -name 'ld-linux*.so.*' | head -n1)"
        kind+=" -Wl,-rpath,$lib"
    fi
    link="--sysroot=$root -B$lib"
    [ -n "$san" ] || { link+=" -L$(slim "$root" "$lib") -Wl,-z,pack-relative-relocs"; }
    link="$kind $link -L$lib -Wl,-z,relro,-z,now,-z,noexecstack"
    link+=" -Wl,--build-id=sha1 -Wl,--gc-sections"
    strip=$triplet-strip
    command -v "$strip" > /dev/null || strip=strip
    mkdir -p "out/obj/$config"
    write_version "$root"
    cat > "out/obj/$config/config.mk.new" <<M
CC := $cc
OPT := $opt
COLD := $cold
INCLUDE := -nostdinc -isystem $(${cc#ccache } -print-file-name=include) \\
    -isystem $root/usr/include/$triplet -isystem $root/usr/include \\
    -isystem $root/usr/include/lua5.4 -isystem $root/src/yyjson/src -I. -I out -I out/gen
MAP := -ffile-prefix-map=$root=deps -ffile-prefix-map=$PWD=.
YYJSON := $root/src/yyjson/src/yyjson.c
LINK := $link
STRIP := $strip
M
    if cmp -s "out/obj/$config/config.mk.new" "out/obj/$config/config.mk"; then
        rm "out/obj/$config/config.mk.new"
    else
        mv "out/obj/$config/config.mk.new" "out/obj/$config/config.mk"
    fi
}

# build SANITIZER TARGET...: bring targets of one configuration up to date
build() {
    local san=$1 quiet=-s; shift
    prepare "$san"
    export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1       # hits across checkouts
    [ -z "$verbose" ] || quiet=''
    make $quiet -j "$(nproc)" --output-sync=line -f packaging/build.mk O="out/obj/$config" "$@"
}

# --- the binary, checked
binary() {
    build "$san" inro
    [ -e cmd/main.c ] || { echo "build.sh: no cmd/main.c yet: objects only"; return 0; }
    local to=out/inro size
    [ "$config" = "$host" ] || to=out/inro-$config
    inro=$to
    [ ! "out/obj/$config/inro" -nt $to ] || {
        packaging/check-binary.sh "out/obj/$config/inro.debug" "out/obj/$config/inro" ${san:+--sanitized}
        cp "out/obj/$config/inro.debug" $to.debug
        cp "out/obj/$config/inro" $to.new && mv $to.new $to
    }
    size=$(stat -c %s $to)
    echo "$to: $size bytes"
}

mkdir -p out/gen
echo '*' > out/.gitignore
[ "$command" != clean ] || { rm -rf out; exit 0; }
need_packages
exec 9> out/.lock; flock 9               # one build at a time in one checkout
generate
export INRO_SAN=$san INRO_ARCH=$arch INRO_VERBOSE=$verbose

case $command in
    '') binary ;;
    objects) build "$san" objects compile_commands ;;
    run) binary; exec 9>&-; exec ./$inro server "$@" ;;
    test|lint|bench|fuzz) . tests/run.sh; "run_$command" "$@" ;;
    *) die "no such command: $command (see --help)" ;;
esac
