#!/bin/bash
# tools.sh: brings what the scenarios use into out/e2e/tools, once: kubectl of Debian 13 and of unstable (unpacked, not
# installed), and from the host's own packages a registry, image tools and programs to look from outside.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools=out/e2e/tools
mkdir -p $tools
exec 8> $tools/.lock; flock 8
. packaging/apt.sh

missing=()
want() { command -v "$1" > /dev/null || missing+=("$2"); }
want skopeo skopeo; want umoci umoci; want docker-registry docker-registry; want nft nftables
want sqlite3 sqlite3; want ip iproute2; want python3 python3; want nsenter util-linux; want curl curl
if [ ${#missing[@]} -gt 0 ]; then
    echo "e2e: installing ${missing[*]}"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
        > $tools/packages.log 2>&1 || { tail -n 5 $tools/packages.log >&2; exit 1; }
fi

# kubectl SUITE: out/e2e/tools/kubectl-SUITE
kubectl() {
    local suite=$1 dir
    [ ! -e "$tools/kubectl-$suite" ] || return 0
    dir=$(mktemp -d "$PWD/$tools/get.XXXXXX")
    apt_init "$dir" "$(dpkg --print-architecture)" "$suite"
    (cd "$dir" && aptc get download -qq kubectl && dpkg-deb -x kubectl_*.deb root)
    mv "$dir/root/usr/bin/kubectl" "$tools/kubectl-$suite"
    rm -rf "$dir"
}
kubectl trixie
kubectl sid
