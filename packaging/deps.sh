#!/bin/bash
# deps.sh: makes the sysroot that inro is built against: the current libraries, as static archives, out of
# Debian 13's -dev packages, whatever Debian the host is. Needs no root and changes nothing outside its folder.
#
#   deps.sh [--arch amd64|arm64|armhf|riscv64] [--dir DIR] [--locked | --update] [--asan]
#
# --locked  fail where a version in deps.lock is no longer served (default: take the suite's, and say so)
# --update  write deps.lock anew from what the suite serves now
# --asan    also unpack the shared libc, for builds with sanitizers
# Prints the sysroot's path. Its name carries a hash of what it is made of, so several checkouts may share DIR.
# Trust: apt (apt.sh) checks every file against the signed Release; deps.lock pins their SHA-256 once more.
# INRO_SUITE (trixie) names another suite.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
arch=$(dpkg --print-architecture); dir=out/deps; how=default; asan=
while [ $# -gt 0 ]; do case $1 in
    --arch) arch=$2; shift ;; --dir) dir=$2; shift ;; --locked|--update) how=${1#--} ;; --asan) asan=1 ;;
    *) echo "deps.sh: unknown option $1" >&2; exit 2 ;;
esac; shift; done
[ "$how" != update ] || asan=1   # the lock holds everything either kind of build needs
suite=${INRO_SUITE:-trixie}
lock=$here/deps.lock
debs="libc6-dev linux-libc-dev libcrypt-dev libmbedtls-dev libsqlite3-dev liblua5.4-dev libseccomp-dev
      libmnl-dev libnghttp2-dev libllhttp-dev libyaml-dev zlib1g-dev libzstd-dev libdeflate-dev ${asan:+libc6} ${INRO_EXTRA_DEBS:-}"
srcs="yyjson"                    # no archive in Debian: its source tarball
mkdir -p "$dir"; dir=$(cd "$dir" && pwd)
key=$({ cat "$0"; cat "$lock" 2>/dev/null || :; echo "$debs $suite"; } | sha256sum | cut -c1-16)
root=$dir/sysroot-$arch-$key; stamp=$root/.stamp
[ "$how" = default ] && [ -e "$stamp" ] && { echo "$root"; exit 0; }
exec 8> "$dir/.lock"; flock 8                       # one download at a time; whoever waited may find it done
[ "$how" = default ] && [ -e "$stamp" ] && { echo "$root"; exit 0; }

. "$here/apt.sh"
security=; [ "$how" != locked ] || security=need-security
apt_init "$dir/apt-$arch" "$arch" "$suite" $security

# --- download, each file held against the lock
dl=$dir/files-$arch; rm -rf "$dl"; mkdir -p "$dl"; new=$dl.lock; : > "$new"; drift=0
locked() { awk -v k="$1" -v a="$2" -v p="$3" '$1==k && $2==a && $3==p {print $4, $5}' "$lock" 2>/dev/null; }
if [ "$how" = update ]; then all=$debs; else all=$(for p in $debs; do read -r v h <<<"$(locked deb "$arch" "$p")" || :; echo "$p${v:+=$v}"; done); fi
( cd "$dl" && aptc get download -qq $all 2>/dev/null ) || :     # in one go; what is missing then, one by one
for p in $debs; do
    read -r v h <<<"$(locked deb "$arch" "$p")" || :
    got=$(cd "$dl" && echo "$p"_*.deb)
    [ ! -e "$dl/$got" ] || [ "$how" = update ] || [ "$(dpkg-deb -f "$dl/$got" Version)" = "${v:-}" ] || rm -f "$dl/$got"
    if [ ! -e "$dl/$got" ] && { [ "$how" = update ] || [ -z "${v:-}" ] || ! ( cd "$dl" && aptc get download -qq "$p=$v" 2>/dev/null ); }; then
        [ "$how" != locked ] || { echo "deps.sh: $p ${v:-(not in the lock)} is not served any more" >&2; exit 1; }
        ( cd "$dl" && aptc get download -qq "$p" )
        [ "$how" = update ] || { drift=1; echo "deps.sh: note: $p ${v:-unlocked} -> $(cd "$dl" && echo "$p"_*.deb)" >&2; }; h=
    fi
    f=$(cd "$dl" && echo "$p"_*.deb); s=$(sha256sum < "$dl/$f" | cut -d' ' -f1)
    [ "$how" = update ] || [ -z "${h:-}" ] || [ "$h" = "$s" ] || { echo "deps.sh: $f: SHA-256 $s, but the lock says $h" >&2; exit 1; }
    echo "deb $arch $p $(dpkg-deb -f "$dl/$f" Version) $s" >> "$new"
done
for p in $srcs; do
    ( cd "$dl" && aptc get source -qq --tar-only --download-only "$p" )
    f=$(cd "$dl" && ls "$p"_*.orig.tar.*[!c] | head -n1); s=$(sha256sum < "$dl/$f" | cut -d' ' -f1)
    read -r v h <<<"$(locked src all "$p")" || :
    [ "$how" = update ] || [ -z "${h:-}" ] || [ "$h" = "$s" ] || { echo "deps.sh: $f is not the locked $v" >&2; exit 1; }
    echo "src all $p $f $s" >> "$new"
done
if [ "$how" = update ]; then
    { grep -v -e "^deb $arch " -e '^src all ' "$lock" 2>/dev/null || :; cat "$new"; } | sort -u > "$lock.new"; mv "$lock.new" "$lock"
fi

# --- unpack: headers, crt files and archives; nothing shared, so that nothing can be linked but what is meant
[ "$how" != update ] || { echo "deps.sh: $lock is rewritten for $arch" >&2; exit 0; }
new_root=$root.new; rm -rf "$root" "$new_root" "$root.tmp"
mkdir -p "$new_root/usr/lib"; ln -s usr/lib "$new_root/lib"; ln -s usr/lib64 "$new_root/lib64"
for f in "$dl"/*.deb; do
    dpkg-deb -x "$f" "$root.tmp"; cp -a "$root.tmp/usr/." "$new_root/usr/"
    [ ! -d "$root.tmp/lib" ] || cp -a "$root.tmp/lib/." "$new_root/usr/lib/"
    rm -rf "$root.tmp"
done
if [ -z "$asan" ]; then find "$new_root" -name '*.so*' -delete
else find "$new_root/usr/lib" -name '*.so' ! -name libc.so ! -name libm.so -delete; fi
rm -rf "$new_root"/usr/share/{doc,man,locale,info,lintian}
for p in $srcs; do
    mkdir -p "$new_root/src/$p"; tar -xf "$dl/$p"_*.orig.tar.* -C "$new_root/src/$p" --strip-components=1
done
if [ -n "$asan" ]; then          # the linker looks for libNAME.so; the packages hold only libNAME.so.N
    for l in libc libm libmvec; do for v in "$new_root"/usr/lib/*/"$l".so.[0-9]*; do
        [ ! -e "$v" ] || [ -e "${v%.so.*}.so" ] || ln -s "$(basename "$v")" "${v%.so.*}.so"
    done; done
fi
cp "$new" "$new_root/.versions"                     # what the binary is made of
[ "$drift" = 0 ] || touch "$new_root/.drift"
touch "$new_root/.stamp"; mv "$new_root" "$root"
echo "$root"
