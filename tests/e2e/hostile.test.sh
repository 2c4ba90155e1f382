#!/bin/bash
# hostile.test.sh: bad images and bad requests: each one clear error, nothing written outside, nothing kept.
. "$(dirname "$0")/lib.sh"
e2e_begin hostile
node_new n1 192.0.2.1
server_start n1
import() { inro n1 image import "$1" --data-dir "$work/n1/data" --run-dir "$work/n1/run"; }
refuses() {     # TEXT FILE: the import fails with this text, and the list of images stays as it was
    local before text
    before=$(inro n1 image ls --data-dir "$work/n1/data")
    text=$(import "$2" 2>&1) && { echo "it was taken"; return 1; }
    grep -qiE -- "$1" <<< "$text" || { echo "no \"$1\" in: $text"; return 1; }
    is "$(inro n1 image ls --data-dir "$work/n1/data")" "$before"
}
python3 "$here/bad_images.py" "$images/app-0.3.2.tar" "$work/bad"
check "a truncated tar" refuses "truncated|unexpected end|cut" "$work/bad/truncated.tar"
check "not a tar at all" refuses "tar|image" "$work/bad/noise.tar"
check "a wrong layer digest" refuses "digest|diff" "$work/bad/digest.tar"
check "no manifest" refuses "manifest" "$work/bad/manifest.tar"
check "an empty file" refuses "empty|tar|image" "$work/bad/empty.tar"
check "no such file" refuses "no such file" "$work/bad/none.tar"
# names that lead outside: refused, or kept inside; either way nothing appears outside
for kind in dotdot absolute symlink hardlink device; do
    import "$work/bad/$kind.tar" > "$work/$kind.log" 2>&1
    check "$kind: nothing outside" fails ls /tmp/inro-e2e-escaped "$work/escaped" /inro-e2e-escaped
done
check "a good image is still taken" import "$images/app-0.3.2.tar"
check "it is listed" says "app" inro n1 image ls --data-dir "$work/n1/data"

# --- requests
python3 "$here/bad_requests.py" "$work/n1/kubeconfig" < /dev/null > "$work/requests.log" 2>&1 || :
inside n1 python3 "$here/bad_requests.py" "$work/n1/kubeconfig" > "$work/requests.log" 2>&1
while IFS= read -r line; do
    check "request: ${line#* }" [ "${line%% *}" = ok ]
done < <(grep -E '^(ok|bad) ' "$work/requests.log")
check "requests were made" [ "$(grep -cE '^(ok|bad) ' "$work/requests.log")" -gt 10 ] || cat "$work/requests.log"
check "the server answers as before" server_is_ready
e2e_end
