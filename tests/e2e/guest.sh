#!/bin/bash
# guest.sh: what a guest of QEMU is made of, in out/e2e/guest, once: a kernel of Debian 13 (vmlinuz), and base.cpio, an
# initramfs with busybox, the modules a node needs and guest_init. QEMU and e2fsprogs are the host's own packages.
set -euo pipefail
cd "$(dirname "$0")/../.."
guest=$PWD/out/e2e/guest here=$PWD/tests/e2e
kernel=linux-image-cloud-amd64
mkdir -p "$guest"
exec 8> "$guest/.lock"; flock 8
. packaging/apt.sh

missing=()
want() { command -v "$1" > /dev/null || missing+=("$2"); }
want qemu-system-x86_64 qemu-system-x86; want mkfs.ext4 e2fsprogs; want python3 python3
if [ ${#missing[@]} -gt 0 ]; then
    echo "e2e: installing ${missing[*]}"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
        > "$guest/packages.log" 2>&1 || { tail -n 5 "$guest/packages.log" >&2; exit 1; }
fi
if [ ! -e "$guest/root/.stamp" ]; then
    dir=$(mktemp -d "$guest/get.XXXXXX")
    trap 'rm -rf "$dir"' EXIT
    apt_init "$dir" amd64 trixie
    image=$(aptc cache depends --important "$kernel" | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
    (cd "$dir" && aptc get download -qq "$image" busybox-static && for p in *.deb; do dpkg-deb -x "$p" root; done)
    rm -rf "$guest/root"
    touch "$dir/root/.stamp"
    mv "$dir/root" "$guest/root"
fi
[ ! -e "$guest/base.cpio" ] || [ "$guest/base.cpio" -ot "$here/guest.sh" ] || [ "$guest/base.cpio" -ot "$here/guest_init" ] || exit 0
cp "$guest"/root/boot/vmlinuz-* "$guest/vmlinuz"
rm -rf "$guest/ram"
mkdir -p "$guest"/ram/{bin,modules,root}
cp "$(find "$guest/root" -path '*bin/busybox' -type f)" "$guest/ram/bin/busybox"
cp "$here/guest_init" "$guest/ram/init"; chmod +x "$guest/ram/init"
python3 "$here/guest_modules.py" "$guest/root" "$guest/ram/modules" virtio_blk virtio_net overlay veth bridge vxlan \
    nf_tables nft_ct nft_nat nft_chain_nat nft_masq nft_fib_inet nft_numgen nft_reject_inet nft_reject_ipv4 nft_hash nf_conntrack_netlink
(cd "$guest/ram" && find . | bin/busybox cpio -o -H newc 2> /dev/null) > "$guest/base.cpio.new"
mv "$guest/base.cpio.new" "$guest/base.cpio"
