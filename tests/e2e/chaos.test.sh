#!/bin/bash
# chaos.test.sh: kill -9 at random points of pods' lives -- of the node role, shims, children, containers, control and the
# parent -- under a stream of pods: nothing starts twice, no exit code and no log's end is lost, all is in order again
# soon, and nothing is left. INRO_CHAOS_KILLS=500 for a long run, INRO_CHAOS_SEED to do one again.
. "$(dirname "$0")/lib.sh"
e2e_begin chaos
kills=${INRO_CHAOS_KILLS:-60} seed=${INRO_CHAOS_SEED:-$((RANDOM * 32768 + RANDOM))}
node_new n1 192.0.2.1
registry_start n1

# images to pull: the binary, and above it a layer of each one's own
layout=$work/layout names=''
umoci init --layout "$layout"
umoci new --image "$layout:base"
mkdir -p "$work/root/bin" "$work/root/tmp" "$work/root/etc"
cp "${INRO_IMAGE_EXE:-$INRO_BIN}" "$work/root/bin/inro-box"
for name in sh sleep grep test echo; do ln -s inro-box "$work/root/bin/$name"; done
umoci insert --image "$layout:base" "$work/root" / > /dev/null
umoci config --image "$layout:base" --config.env PATH=/bin --architecture "$(dpkg --print-architecture)" --os linux
for i in 1 2 3 4 5 6; do
    head -c $((i * 100000)) /dev/urandom > "$work/own"
    umoci insert --image "$layout:base" --tag "$i" "$work/own" /own-file > /dev/null
    inside n1 skopeo --insecure-policy copy -q --dest-tls-verify=false "oci:$layout:$i" "docker://127.0.0.1:5000/library/chaos:$i"
    names=$names,docker.io/library/chaos:$i
done

look() { inside n1 python3 -B "$here/look.py" left "$work/n1" "$cgroup_base-n1" "$1" | grep -v '^descriptors '; }
server_start n1
cat > "$work/first.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: first}
spec:
  restartPolicy: Never
  containers: [{name: c, image: inro.local/box, command: ["true"]}]
Y
check "a first pod" k apply -f "$work/first.yaml"
check "it ends" k wait --for=jsonpath='{.status.phase}'=Succeeded pod/first --timeout=20s
check "it goes" k delete pod first --timeout=20s
before=$(look "$(server_pid n1)")
mkdir "$work/book"
echo "  seed $seed"
check_run() {
    inside n1 python3 -B "$here/chaos.py" --kubeconfig "$work/n1/kubeconfig" --book "$work/book" --work "$work/n1" \
        --cgroup-root "$cgroup_base-n1" --log "$work/n1/log" --result "$work/result" --parent "$(server_pid n1)" \
        --images "${names#,}" --kills "$kills" --seed "$seed" -- "$INRO_BIN" server $(server_flags n1) > "$work/report" 2>&1
    local status=$?
    grep -v WRONG "$work/report"
    return $status
}
check_run; status=$?
check "what the API tells is what happened" [ "$status" = 0 ] || grep WRONG "$work/report" | head -n 30
parent=$(python3 -c "import json; print(json.load(open('$work/result'))['parent'])")
same() { diff <(echo "$before") <(look "$parent"); }
check "nothing is left" eventually 20 same
e2e_end
