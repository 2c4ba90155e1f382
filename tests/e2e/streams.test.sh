#!/bin/bash
# streams.test.sh: logs, exec, attach, cp and port-forward with the real kubectl, over WebSocket and over SPDY.
. "$(dirname "$0")/lib.sh"
e2e_begin streams
node_new n1 192.0.2.1
server_start n1
cat > "$work/pods.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: a}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: count, image: inro.local/box, command: [sh, -c, 'for i in $(seq 20); do echo line $i; done; echo oops >&2; sleep 1000']}
  - {name: web, image: inro.local/box, command: [http, -p, "8080"]}
  - {name: cat, image: inro.local/box, command: [cat], stdin: true}
  - {name: shell, image: inro.local/box, command: [sh], stdin: true, tty: true}
---
apiVersion: v1
kind: Pod
metadata: {name: crash}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: inro.local/box
    command: [sh, -c, 'echo x >> /e/n; echo run $(cat /e/n); sleep 2; echo end; exit 7']
    volumeMounts: [{name: e, mountPath: /e}]
  volumes: [{name: e, emptyDir: {}}]
---
apiVersion: v1
kind: Pod
metadata: {name: never}
spec: {containers: [{name: c, image: inro.local/none, imagePullPolicy: Never}]}
Y
check "apply" k apply -f "$work/pods.yaml"
check "the pod is ready" eventually 20 pod_ready a
head -c 3000000 /dev/urandom > "$work/big"
head -c 1000 /dev/zero | tr '\0' x > "$work/small"

# --- logs
last() { k logs a -c count "$@" | tail -n 1; }
check "logs: all of it" eventually 5 is "$(k logs a -c count | wc -l)" 21
check "logs: the last lines" is "$(k logs a -c count --tail=2)" $'line 20\noops'
check "logs: none" is "$(k logs a -c count --tail=0)" ""
check "logs: a limit" is "$(k logs a -c count --limit-bytes=9)" $'line 1\nli'
check "logs: since long ago" is "$(k logs a -c count --since=1h | wc -l)" 21
check "logs: since the future" is "$(k logs a -c count --since-time=2999-01-01T00:00:00Z)" ""
check "logs: times" says "Z oops" last --timestamps
check "logs: which container" says "choose one of: [count web cat shell]" k get --raw /api/v1/namespaces/default/pods/a/log
check "logs: no such container" says "container zz is not valid for pod a" k logs a -c zz
check "logs: bad tail" says "tailLines" k get --raw '/api/v1/namespaces/default/pods/a/log?container=count&tailLines=x'
check "logs: no previous one" says 'previous terminated container "count" in pod "a" not found' k logs a -c count -p
check "logs: not yet started" eventually 10 says 'is waiting to start: ' k logs never
check "logs: of the run before" eventually 20 says "end" k logs crash --previous
check "logs: follow ends with the container" says "end" k_long logs -f crash
k_long logs -f a -c cat > "$work/follow" & follower=$!
procs+=($follower)

# --- both ways to carry streams
in_pod() { k_long exec a -c count "$@"; }
exit_code() { "$@" > /dev/null 2>&1; echo $?; }
terminal() { KUBECONFIG=$work/n1/kubeconfig inside n1 python3 "$here/terminal.py" "$@"; }
forward() {      # PORTS...: its process is $forward
    k_long port-forward pod/a "$@" > "$work/forward" 2>&1 & forward=$!
    procs+=($forward)
    check "$way: port-forward $*" eventually 10 grep -q "Forwarding from 127" "$work/forward"
}
forward_end() { kill $(cat /proc/$forward/task/$forward/children 2> /dev/null) $forward 2> /dev/null; wait $forward 2> /dev/null; }
attach_cat() { (echo "hi $ws"; sleep 1) | timeout 3 bash -c "$(declare -f k_long inside ns_of); $(declare -p work node \
    tools kubectl_suite ns_n1); k_long attach -i a -c cat"; }
for ws in true false; do
    export KUBECTL_REMOTE_COMMAND_WEBSOCKETS=$ws KUBECTL_PORT_FORWARD_WEBSOCKETS=$ws
    [ $ws = true ] && way=WebSocket || way=SPDY
    check "$way: exec" is "$(in_pod -- sh -c 'echo out; echo err >&2' 2> /dev/null)" out
    check "$way: exec, its errors" is "$(in_pod -- sh -c 'echo out; echo err >&2' 2>&1 > /dev/null)" err
    check "$way: exec, its exit code" is "$(exit_code in_pod -- sh -c 'exit 42')" 42
    check "$way: exec of nothing" says "executable file not found" in_pod -- nosuchthing
    check "$way: exec without a container" says "container zz is not valid" k exec a -c zz -- true
    check "$way: exec reads to the end" is "$(echo hello | in_pod -i -- cat)" hello
    in_pod -i -- sh -c 'cat > /tmp/big; wc -c < /tmp/big' < "$work/big" > "$work/count"
    check "$way: exec takes 3 MB" is "$(tr -d ' ' < "$work/count")" 3000000
    in_pod -- cat /tmp/big > "$work/back"
    check "$way: exec gives 3 MB" cmp "$work/big" "$work/back"
    check "$way: exec leaves no process behind" is "$(in_pod -- sh -c 'ps' | grep -c 'cat /tmp')" 0
    check "$way: a terminal" says size-1 terminal 30x90 '# =>echo a$((20+2))b $TERM\n' \
        'a22b xterm=>resize:50x120:sh' 'size-=>exit\n' -- "$tools/kubectl-$kubectl_suite" exec -it a -c count -- sh
    check "$way: a terminal, its exit code" is "$(exit_code terminal 30x90 '# =>exit 9\n' -- \
        "$tools/kubectl-$kubectl_suite" exec -it a -c count -- sh)" 9
    check "$way: cp there" k_long cp "$work/big" a:/tmp/cp-$ws -c count
    check "$way: cp back" k_long cp a:/tmp/cp-$ws "$work/cp-$ws" -c count
    check "$way: cp, the same" cmp "$work/big" "$work/cp-$ws"
    check "$way: attach" says "hi $ws" attach_cat
    check "$way: attach to a terminal" says "b44" terminal 30x90 'prompt=>\n' '# =>echo b$((40+4))\n' 'b44=>exit\n' -- \
        "$tools/kubectl-$kubectl_suite" attach -it a -c shell
    check "$way: the terminal's container is back" eventually 20 pod_ready a
    forward 18080:8080
    check "$way: port-forward answers" is "$(inside n1 curl -s http://127.0.0.1:18080/)" a
    for i in 1 2 3 4 5 6 7 8; do
        inside n1 curl -s --data-binary "@$work/small" http://127.0.0.1:18080/echo > "$work/echo-$i" & curls[i]=$!
    done
    wait "${curls[@]}"
    for i in 1 2 3 4 5 6 7 8; do check "$way: port-forward, connection $i" grep -q xxxxxxxx "$work/echo-$i"; done
    forward_end
    forward 18081:9
    inside n1 curl -s http://127.0.0.1:18081/ > /dev/null
    check "$way: port-forward tells why" eventually 5 grep -qi "connection refused" "$work/forward"
    forward_end
done
check "debug shares the processes of its target" says "for i in" terminal 30x90 'prompt=>\n' '# =>ps\n' \
    'for i in=>exit\n' -- "$tools/kubectl-$kubectl_suite" debug -it a --image=inro.local/box --target=count \
    --profile=general -- sh
check "what was attached is in the log" eventually 5 says "hi true" k logs a -c cat
check "and was followed" eventually 5 grep -q "hi false" "$work/follow"

# --- the node's port
check "the port is not for everyone" is "$(inside n1 curl -sk https://192.0.2.1:10250/pods)" Unauthorized
check "but its health is" is "$(inside n1 curl -sk https://192.0.2.1:10250/healthz)" ok
check "through the API it is" says '"name":"a"' k get --raw /api/v1/nodes/n1/proxy/pods
check "delete ends what follows" k delete pod a --now --timeout=20s
check "the follower ended" eventually 5 fails kill -0 $follower
check "the log is clean" fails grep -E "check failed|Sanitizer" "$work/n1/log"
e2e_end
