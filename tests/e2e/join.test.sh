#!/bin/bash
# join.test.sh: a second machine becomes a node by "inro agent", and only with the right to.
. "$(dirname "$0")/lib.sh"
e2e_begin join
switch_new
node_new n1 192.0.2.1
node_new n2 192.0.2.2
server_start n1
is_log() { is "$(k logs "$1")" "$2"; }
token() { inro n1 token "$@" --data-dir "$work/n1/data"; }

token create --description "for n2" > "$work/token"
t=$(tail -n 1 "$work/token")
check "the token names the authority" is "${t%%::*}" \
    "K10$(sha256sum < "$work/n1/data/server/tls/server-ca.crt" | cut -d' ' -f1)"
check "the token is listed" says "for n2" token list
start_agent n2 --token "$t"
grep -a "agent is ready" "$work/n2/log" | sed 's/.*ms=\([0-9]*\).*/  agent ready after \1 ms/'
check "both nodes are ready" eventually 5 node_is_ready n1
check "its requests were approved" is "$(k get csr -o jsonpath='{range .items[*]}{.spec.signerName}{"\n"}{end}' | sort)" \
"kubernetes.io/kube-apiserver-client
kubernetes.io/kube-apiserver-client-kubelet
kubernetes.io/kubelet-serving"
check "kubectl shows them" says "Approved,Issued" k get csr
check "keys are for root alone" is "$(stat -c %a "$work/n2/data/agent" "$work/n2/data/agent/client-kubelet.pem" | xargs)" "700 600"
cat > "$work/pod.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: there}
spec:
  nodeName: n2
  containers: [{name: c, image: inro.local/box, command: [sh, -c, "echo hello; sleep 1000"]}]
Y
check "apply" k apply -f "$work/pod.yaml"
check "a pod runs there" eventually 10 pod_ready there
check "its log is read through its certificate" eventually 5 is_log there hello

check "the agent stops" server_stop n2
check "it starts again without a token" agent_launch n2 --token ''
check "and is ready" eventually 10 node_is_ready n2
e2e_end
