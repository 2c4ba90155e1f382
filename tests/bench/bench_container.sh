#!/bin/bash
# bench_container.sh: the start of a container beside crun's, which gets a bundle with the same program.
. "$(dirname "$0")/lib.sh"
bench_begin container
bench_need crun crun
mkdir -p "$work/bundle/rootfs/bin" "$work/pods"
cp "$BENCH_BIN/bench_container" "$work/bundle/rootfs/bin/t"
(cd "$work/bundle" && crun spec)
sed -i 's|"terminal": true|"terminal": false|; s|"sh"|"/bin/t", "true"|' "$work/bundle/config.json"

# In mounts of their own: /run in memory, as it is on a machine with an init system.
private='mount -t tmpfs tmpfs /run && mkdir /run/pods'
# crun refuses hybrid control groups whose v2 side owns a controller: there both run without that side.
if ! inside crun run --bundle "$work/bundle" "inro-bench-$$" < /dev/null 2> "$work/crun.log"; then
    grep -q 'hybrid mode' "$work/crun.log" || { tail -n1 "$work/crun.log" >&2; skip "crun does not run here"; }
    say "crun refuses hybrid control groups: without their v2 side for this benchmark"
    private="umount /sys/fs/cgroup/unified && $private"
fi
inside unshare -m sh -c "$private && exec \"\$@\"" sh \
    "$BENCH_BIN/bench_container" "$work/pods" /run/pods "inro-bench-$$" "$work/bundle" < /dev/null
