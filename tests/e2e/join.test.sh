#!/bin/bash
# join.test.sh: a second machine becomes a node by "inro agent", and only with the right to.
. "$(dirname "$0")/lib.sh"
e2e_begin join
switch_new
node_new n1 192.0.2.1
node_new n2 192.0.2.2
server_start n1 --kube-controller-manager-arg cluster-signing-duration=140s
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
agent_launch n2 --token ''
is_back() { [ "$(grep -ac "agent is ready" "$work/n2/log")" = 2 ]; }
check "it starts again without a token" eventually 20 is_back
check "and is ready" eventually 10 node_is_ready n2

# --- certificates that soon end are renewed without a new start
serial() { openssl x509 -in "$work/n2/data/agent/$1.pem" -noout -serial; }
served() { inside n2 openssl s_client -connect 127.0.0.1:10250 < /dev/null 2> /dev/null | openssl x509 -noout -serial; }
role_of() {
    local p
    for p in $(cat "/proc/$(server_pid n2)/task/$(server_pid n2)/children"); do
        case $({ tr '\0' ' ' < "/proc/$p/cmdline"; } 2> /dev/null) in *" $1 "*) echo "$p" ;; esac
    done
}
differs() { [ "$("${@:2}")" != "$1" ]; }
client=$(serial client-kubelet) serving=$(serial serving-kubelet) dns=$(serial client-dns) roles="$(role_of node) $(role_of dns)"
check "there are roles" is "$(wc -w <<< "$roles")" 2
check "the client's certificate is renewed" eventually 60 differs "$client" serial client-kubelet
check "the serving one" eventually 20 differs "$serving" serial serving-kubelet
check "that of the name server" eventually 20 differs "$dns" serial client-dns
check "the node shows the new one" eventually 10 differs "$serving" served
check "by the same processes" is "$(role_of node) $(role_of dns)" "$roles"
check "which still work" is_log there hello
check "and are ready" node_is_ready n2

# --- the server's own token
old=$(cat "$work/n1/data/server/node-token")
token rotate --run-dir "$work/n1/run" > "$work/new"
check "another token of the server" differs "$old" cat "$work/n1/data/server/node-token"
accepted() { [ "$(inside n1 curl -sk -o /dev/null -w '%{http_code}' -H "Authorization: Bearer ${1##*::}" https://127.0.0.1:6443/v1-inro/config)" = "$2" ]; }
check "is accepted" eventually 5 accepted "$(tail -n 1 "$work/new")" 200
check "the former is not" accepted "$old" 401

# --- who may not. refused NODE WANT FLAGS...: the agent there ends with status 1 and one message that says so.
refused() {
    local name=$1 want=$2 out status=0; shift 2
    : > "$work/$name/resolv.conf"
    out=$(inside "$name" timeout 20 "$INRO_BIN" agent --server "https://$(ip_of n1):6443" $(agent_flags "$name") "$@" 2>&1) ||
        status=$?
    [ $status = 1 ] && [ "$(grep -c "^inro agent: " <<< "$out")" = 1 ] && grep -qF -- "$want" <<< "$out" && return
    echo "status $status:"; echo "$out"; return 1
}
node_new n3 192.0.2.3
wrong_ca=K10$(printf %064d 0)::${t##*::}
check "wrong CA" refused n3 "the server's authority is not the token's" --token "$wrong_ca"
check "wrong token" refused n3 "the server does not accept the token" --token "${t%%::*}::abcdef.0123456789abcdef"
token create --ttl 1s > "$work/short"
short=$(tail -n 1 "$work/short")
check "an expired token is removed" eventually 10 fails says "$(cut -d. -f1 <<< "${short##*::}")" token list
check "expired token" refused n3 "has expired or was deleted" --token "$short"
check "the name of another agent" refused n3 'node name "n2" is taken: another machine joined under it' --token "$t" --node-name n2
check "the name of the server" refused n3 'node name "n1" is taken by the server itself' --token "$t" --node-name n1
check "no token" refused n3 "--token or --token-file is needed to join"
check "nobody new is a node" is "$(k get nodes -o name | sort | xargs)" "node/n1 node/n2"

# The request of n2 once more, by somebody who knows all but its key.
replay() {
    k get csr -o json | python3 -c 'import json, sys
o = [i for i in json.load(sys.stdin)["items"] if i["spec"]["signerName"].endswith("client-kubelet")][0]
print(json.dumps({"apiVersion": o["apiVersion"], "kind": o["kind"], "metadata": {"name": "again"}, "spec":
    {k: o["spec"][k] for k in ("request", "signerName", "usages")}}))' > "$work/replay.json" || return 1
    inside n3 curl -sk -H "Authorization: Bearer ${t##*::}" -H "Inro-Node-Password: $(cat "$work/n2/data/agent/node-password")" \
        -H 'Content-Type: application/json' --data-binary "@$work/replay.json" \
        "https://$(ip_of n1):6443/apis/certificates.k8s.io/v1/certificatesigningrequests"
}
check "a replayed request" says 'this request for node \"n2\" was made before' replay
check "it is not there" says NotFound k get csr again

token delete "$t" > "$work/deleted"
check "a deleted token" refused n3 "has expired or was deleted" --token "$t"
check "the server's own token" start_agent n3

# --- what a node may not: as n2, read what its pods do not name
k create secret generic s1 --from-literal a=b > /dev/null
as_n2() {
    inside n2 curl -s --cacert "$work/n1/data/server/tls/server-ca.crt" --cert "$work/n2/data/agent/client-kubelet.pem" \
        "https://$(ip_of n1):6443$1"
}
check "a node cannot read others' secrets" says '"code":403' as_n2 /api/v1/namespaces/default/secrets/s1
check "nor list them" says '"code":403' as_n2 /api/v1/secrets
check "but sees its pod" says '"name":"there"' as_n2 /api/v1/namespaces/default/pods/there

# --- a person approves
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/bob.key" -subj "/CN=bob/O=people" \
    -out "$work/bob.csr" 2> /dev/null
cat > "$work/bob.yaml" <<Y
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: bob}
spec: {request: $(base64 -w0 < "$work/bob.csr"), signerName: kubernetes.io/kube-apiserver-client, usages: [client auth]}
Y
check "a request of a person" k apply -f "$work/bob.yaml"
check "waits" says Pending k get csr bob
check "kubectl certificate approve" k certificate approve bob
issued() { k get csr bob -o jsonpath='{.status.certificate}' | base64 -d > "$work/bob.crt"; [ -s "$work/bob.crt" ]; }
check "is issued" eventually 5 issued
check "to bob" says "CN = bob" openssl x509 -in "$work/bob.crt" -noout -subject
e2e_end
