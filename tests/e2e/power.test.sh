#!/bin/bash
# power.test.sh: a guest of QEMU with cgroup v2 alone runs the story of one node; then its power is cut again and again
# under a writer load. Its disk loses what was not flushed, in any order (power_disk.py); no acknowledged write may be
# lost, the file system must be whole, and the pods must come back. INRO_POWER_CUTS says how often.
. "$(dirname "$0")/lib.sh"
cuts=${INRO_POWER_CUTS:-6}
skip() { echo "power: skipped: $1"; echo "0 passed, 0 failed"; exit 0; }
[ "$(uname -m)" = x86_64 ] || skip "the guest is amd64"
[ -z "${INRO_SAN:-}" ] || skip "the guest has no libraries for a sanitized binary"
"$here/guest.sh" || { echo "power: no guest"; echo "0 passed, 1 failed"; exit 1; }
e2e_begin power
node=guest
guest=$top/out/e2e/guest
ip netns add "inro-guest-$$"; nodes+=(guest); ns_guest=inro-guest-$$
inside guest ip link set lo up
mkdir -p "$work/guest" "$work/media" "$work/add/bin"
: > "$work/guest/log"

# --- the guest's parts
cp "$INRO_BIN" "$work/add/bin/inro"
{ cat "$guest/base.cpio"; (cd "$work/add" && find bin | "$guest/ram/bin/busybox" cpio -o -H newc 2> /dev/null); } > "$work/initrd"
cp "$images"/*.tar "$work/media/"
truncate -s 96M "$work/media.img"; mkfs.ext4 -q -d "$work/media" "$work/media.img"
truncate -s 1G "$work/disk.img"; mkfs.ext4 -q "$work/disk.img"
seed=${INRO_POWER_SEED:-$RANDOM}; RANDOM=$seed
echo "  seed $seed"
python3 "$here/power_disk.py" "$work/disk.img" "$work/disk.sock" "$seed" > "$work/disk.log" & disk=$!
procs+=("$disk")
check "there is a disk" eventually 10 [ -S "$work/disk.sock" ]

power_on() {
    : > "$work/guest/log"
    rm -f "$work/guest/out"
    nsenter --net="/run/netns/$ns_guest" qemu-system-x86_64 -M q35 -cpu max -smp 1 -m 768 -accel tcg \
        -display none -monitor none -no-reboot -kernel "$guest/vmlinuz" -initrd "$work/initrd" \
        -append "console=ttyS0 quiet cgroup_no_v1=all panic=-1 mitigations=off no_timer_check" \
        -drive "driver=nbd,server.type=unix,server.path=$work/disk.sock,if=none,id=data" \
        -device virtio-blk-pci,drive=data,physical_block_size=4096 \
        -drive "file=$work/media.img,format=raw,if=none,id=media,readonly=on" -device virtio-blk-pci,drive=media \
        -netdev user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:6443-10.0.2.15:6443,hostfwd=tcp:127.0.0.1:30080-10.0.2.15:30080 \
        -device virtio-net-pci,netdev=net,romfile= -device virtio-rng-pci \
        -serial "file:$work/guest/log" -serial "file:$work/guest/out" 2> "$work/guest/qemu.log" &
    qemu=$!
    procs+=("$qemu")
}
power_off() { kill -KILL "$qemu" 2> /dev/null; wait "$qemu" 2> /dev/null; }
# What a client outside sees: the Service through the node's port. Node and pod states in the store are of before the cut.
pods_answer() { says "app 0.3.2" inside guest curl -sf -m 10 http://127.0.0.1:30080/; }
# the boot that the Node tells of
boot() { k get node n1 -o jsonpath='{.status.nodeInfo.bootID}'; }
node_is_of_another_boot() { local now; now=$(boot) && [ -n "$now" ] && [ "$now" != "$1" ]; }

# --- the story
power_on
need "the kubeconfig comes out" eventually 240 grep -q "# whole" "$work/guest/out"
tr -d '\r' < "$work/guest/out" > "$work/guest/kubeconfig"
need "server is ready" eventually 120 server_is_ready
need "node is ready" eventually 60 node_is_ready n1
story=$here/story
check "apply pod" k apply -f "$story/1-pod.yaml"
need "pod is ready" k wait --for=condition=Ready pod/nginx --timeout=150s
check "pod answers" eventually 10 says "nginx/1" k exec nginx -- nginx -v
check "delete waits" k delete -f "$story/1-pod.yaml" --wait --timeout=150s
check "apply sidecar" k apply -f "$story/2-sidecar.yaml"
check "sidecar: two of two" k wait --for=condition=Ready pod/foo-instance-1 --timeout=150s
check "sidecar: delete" k delete -f "$story/2-sidecar.yaml" --wait --timeout=150s
check "apply deployment" k apply -f "$story/3-deployment.yaml"
check "rollout of 10" k rollout status deployment/foo-deployment-1 --timeout=240s
check "apply service" k apply -f "$story/4-service.yaml"
check "a pod with limits to ask from" k run client --image=inro.local/box --restart=Never \
    --overrides='{"spec":{"containers":[{"name":"client","image":"inro.local/box","command":["sleep","3600"],"resources":{"limits":{"memory":"40Mi","cpu":"500m"}}}]}}'
need "client runs" k wait --for=condition=Ready pod/client --timeout=150s
check "the name works" eventually 120 says "app 0.3.2" k exec client -- fetch http://foo.default.svc.cluster.local/
check "groups are of version 2" is "$(k exec client -- cat /proc/self/cgroup | sed 's/:.*//')" 0
check "limit of memory" is "$(k exec client -- cat /sys/fs/cgroup/memory.max)" $((40 << 20))
check "limit of time" is "$(k exec client -- cat /sys/fs/cgroup/cpu.max)" "50000 100000"
check "logs" eventually 60 says "GET /" k logs -l app=foo -c nginx
check "scale to 2" k scale deployment/foo-deployment-1 --replicas=2
check "2 pods run" eventually 90 pods_running app=foo 2
check "a port of the node" k patch service foo -p '{"spec":{"type":"NodePort","ports":[{"port":80,"nodePort":30080}]}}'
need "pods answer" eventually 20 pods_answer

# --- the cuts
fsck_is_clean() {
    local status=0
    cp --sparse=always "$work/disk.img" "$work/fsck.img"
    e2fsck -p "$work/fsck.img" || status=$?                  # replays the journal
    [ $status -le 1 ] && e2fsck -fn "$work/fsck.img"
}
# load_begins: what was acknowledged before is all there
load_begins() { grep -q ^kept "$work/load.log" || { cat "$work/load.log"; return 1; }; }
boot=none
for cut in $(seq "$cuts"); do
    inside guest python3 "$here/power_load.py" "$work/guest/kubeconfig" "$work/state" "$cut" > "$work/load.log" 2>&1 & load=$!
    need "cut $cut: nothing was lost before" eventually 260 load_begins
    check "cut $cut: pods answer" eventually 120 pods_answer
    check "cut $cut: the node is back" eventually 60 node_is_of_another_boot "$boot"
    check "cut $cut: the node is ready" eventually 30 node_is_ready n1
    boot=$(boot)
    sleep "$((RANDOM % 3)).$((RANDOM % 10))"
    kill -USR1 "$disk"
    check "cut $cut: power goes" eventually 20 is_gone "$qemu"
    wait "$qemu" 2> /dev/null
    wait $load
    check "cut $cut: the load ended with the power" [ $? = 0 ]
    check "cut $cut: disk" eventually 5 [ "$(wc -l < "$work/disk.log")" = "$cut" ]
    check "cut $cut: file system" fsck_is_clean
    echo "  cut $cut: $(tr '\n' ' ' < "$work/load.log"); $(tail -n 1 "$work/disk.log")"
    power_on
done
python3 - <<P > "$work/sums"
import re
rows = [list(map(int, re.findall(r"\d+", l))) for l in open("$work/disk.log")]
print(sum(r[3] for r in rows))
P
check "the disk did lose what was not flushed" [ "$(cat "$work/sums")" -gt 0 ]
check "after the last cut" eventually 240 server_is_ready
inside guest python3 "$here/power_load.py" "$work/guest/kubeconfig" "$work/state" end > "$work/load.log" 2>&1 & load=$!
check "nothing was lost at the end" eventually 260 load_begins
check "pods answer at the end" eventually 120 pods_answer
check "10 again" k scale deployment/foo-deployment-1 --replicas=10
check "10 pods run at the end" k rollout status deployment/foo-deployment-1 --timeout=240s
power_off
wait $load
[ $failed = 0 ] || tail -n 40 "$work/guest/log"
e2e_end
