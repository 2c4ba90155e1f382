#!/bin/bash
# volumes.test.sh: what a pod is given (ConfigMaps, Secrets, tokens, itself) as files and variables; probes and hooks.
. "$(dirname "$0")/lib.sh"
e2e_begin volumes
node_new n1 192.0.2.1
server_start n1
mkdir -p "$work/host/dir"
echo kept > "$work/host/dir/file"
cat > "$work/pods.yaml" <<Y
apiVersion: v1
kind: ConfigMap
metadata: {name: cm}
data: {k: v1, other: o}
binaryData: {bin: AAEC}
---
apiVersion: v1
kind: Secret
metadata: {name: s}
stringData: {p: hidden}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: http, port: 80}], selector: {app: a}}
---
apiVersion: v1
kind: Pod
metadata: {name: a, labels: {app: a}, annotations: {note: "x y"}}
spec:
  terminationGracePeriodSeconds: 1
  securityContext: {fsGroup: 2000}
  containers:
  - name: c
    image: inro.local/box
    command: [sleep, "100000"]
    securityContext: {runAsUser: 1000}
    resources: {requests: {cpu: 100m}, limits: {memory: 64Mi}}
    envFrom: [{prefix: P_, configMapRef: {name: cm}}]
    env:
    - {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: SECRET, valueFrom: {secretKeyRef: {name: s, key: p}}}
    - {name: MEM, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
    - {name: BOTH, value: "\$(NAME)-\$(P_k)-\$\$(NAME)-\$(NONE)"}
    volumeMounts:
    - {name: cm, mountPath: /cm}
    - {name: items, mountPath: /items}
    - {name: cm, mountPath: /one, subPath: k}
    - {name: secret, mountPath: /secret}
    - {name: all, mountPath: /all}
    - {name: empty, mountPath: /empty}
    - {name: empty, mountPath: /sub, subPathExpr: \$(NAME)/x}
    - {name: memory, mountPath: /memory}
    - {name: host, mountPath: /host}
    - {name: host, mountPath: /ro, readOnly: true}
  - name: other
    image: inro.local/box
    command: [sleep, "100000"]
    securityContext: {runAsUser: 1001}
    volumeMounts: [{name: memory, mountPath: /memory}, {name: empty, mountPath: /empty}]
  volumes:
  - {name: cm, configMap: {name: cm}}
  - {name: items, configMap: {name: cm, defaultMode: 0400, items: [{key: k, path: a/b}, {key: bin, path: bin, mode: 0444}]}}
  - {name: secret, secret: {secretName: s, defaultMode: 0400}}
  - name: all
    projected:
      sources:
      - {serviceAccountToken: {path: token, audience: me, expirationSeconds: 600}}
      - {configMap: {name: cm, items: [{key: k, path: cm-k}]}}
      - {secret: {name: s}}
      - {downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}, {path: note, fieldRef: {fieldPath: "metadata.annotations['note']"}}, {path: cpu, resourceFieldRef: {containerName: c, resource: requests.cpu, divisor: 1m}}]}}
  - {name: empty, emptyDir: {}}
  - {name: memory, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
  - {name: host, hostPath: {path: $work/host/dir, type: Directory}}
Y
check "apply" k apply -f "$work/pods.yaml"
check "the pod is ready" eventually 20 pod_ready a
in_a() { k exec a -c c -- "$@"; }

# --- variables
var() { in_a sh -c "echo \"\$$1\""; }
check "env: fieldRef" is "$(var NAME)" a
check "env: the pod's address" is "$(var IP)" "$(pod_ip a)"
check "env: a Secret" is "$(var SECRET)" hidden
check "env: resourceFieldRef" is "$(var MEM)" 64
check "env: envFrom with a prefix" is "$(var P_other)" o
check "env: references" is "$(var BOTH)" 'a-v1-$(NAME)-$(NONE)'
check "env: the API server" is "$(var KUBERNETES_SERVICE_PORT)" 443
check "env: a Service" is "$(var WEB_SERVICE_PORT_HTTP)" 80
check "env: Docker's way" is "$(var WEB_PORT_80_TCP_ADDR)" "$(service_ip web)"
check "env: the host name" is "$(var HOSTNAME)" a

# --- files
check "configMap" is "$(in_a cat /cm/k /cm/other)" v1o
check "configMap: items" is "$(in_a cat /items/a/b)" v1
check "configMap: bytes" is "$(in_a sh -c 'wc -c < /items/bin' | tr -d ' ')" 3
check "configMap: cannot be written" says "Read-only" in_a sh -c 'echo x > /cm/k'
check "subPath of a configMap" is "$(in_a cat /one)" v1
check "secret" is "$(in_a cat /secret/p)" hidden
check "secret: on memory only" fails grep -rqs hidden "$work/n1/data/pods"
check "group of the files" says " 2000 " in_a stat -c '%u %g ' /secret/..data/p
check "projected: all sources" is "$(in_a cat /all/cm-k /all/p /all/labels /all/note /all/cpu)" $'v1hiddenapp="a"x y100'
check "projected: a token" says '"aud":["me"]' bash -c "cut -d. -f2 <<< '$(in_a cat /all/token)' | tr '_-' '/+' | base64 -d 2> /dev/null"
check "emptyDir is shared" in_a sh -c 'echo hi > /empty/f'
check "emptyDir is shared, read" is "$(k exec a -c other -- cat /empty/f)" hi
check "subPathExpr" in_a sh -c 'echo sub > /sub/f; cat /empty/a/x/f'
check "memory is shared" in_a sh -c 'echo mem > /memory/f'
check "memory is shared, read" is "$(k exec a -c other -- cat /memory/f)" mem
check "memory has its limit" fails in_a sh -c 'seq 300000 > /memory/big'
check "hostPath" is "$(in_a cat /host/file)" kept
check "hostPath, read-only" says "Read-only" k exec a -c c -- sh -c 'echo x > /ro/file'

# --- changes come within two minutes, as a whole
check "patch the ConfigMap" k patch configmap cm --type=merge -p '{"data":{"k":"v2","other":null}}'
check "label the pod" k label pod a tier=new
new_value() { is "$(in_a cat /cm/k)" v2; }
check "the new value" eventually 90 new_value
check "the old key is gone" fails in_a cat /cm/other
check "of a subPath it stays" is "$(in_a cat /one)" v1
new_label() { says 'tier="new"' in_a cat /all/labels; }
check "the new label" eventually 30 new_label

# --- what is missing holds a pod back until it is there
cat > "$work/late.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: late}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: inro.local/box
    command: [sleep, "100000"]
    env: [{name: A, valueFrom: {configMapKeyRef: {name: late, key: k}}}]
    volumeMounts: [{name: v, mountPath: /v}]
  volumes: [{name: v, secret: {secretName: late}}]
---
apiVersion: v1
kind: Pod
metadata: {name: wrong}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: c, image: inro.local/box, command: [sleep, "100000"], volumeMounts: [{name: h, mountPath: /h}]}
  volumes: [{name: h, hostPath: {path: /nonexistent/x, type: File}}]
Y
check "apply pods that lack something" k apply -f "$work/late.yaml"
events_of() { k get events --field-selector "involvedObject.name=$1" -o jsonpath='{range .items[*]}{.reason}{": "}{.message}{"\n"}{end}'; }
check "the event names it" eventually 10 says 'FailedMount: MountVolume.SetUp failed for volume "v" : secret "late" not found' events_of late
check "hostPath of another type" eventually 10 says 'hostPath type check failed: /nonexistent/x is not a file' events_of wrong
check "make the Secret" k create secret generic late --from-literal=x=y
waits_for_config() { is "$(k get pod late -o jsonpath='{.status.containerStatuses[0].state.waiting.reason}')" CreateContainerConfigError; }
check "then the ConfigMap is missed" eventually 60 waits_for_config
check "and named" says 'configmap "late" not found' k get pod late -o jsonpath='{.status.containerStatuses[0].state.waiting.message}'
check "make the ConfigMap" k create configmap late --from-literal=k=v
check "and it runs" eventually 60 pod_ready late

# --- probes and hooks
cat > "$work/probes.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: probes}
spec:
  terminationGracePeriodSeconds: 10
  containers:
  - name: live
    image: inro.local/box
    command: [sh, -c, 'mkdir -p /tmp; touch /tmp/ok; sleep 4; rm /tmp/ok; exec sleep 600']
    livenessProbe: {exec: {command: [cat, /tmp/ok]}, periodSeconds: 1, failureThreshold: 2, terminationGracePeriodSeconds: 1}
  - name: web
    image: inro.local/box
    command: [http, -p, "80"]
    ports: [{name: web, containerPort: 80}]
    startupProbe: {httpGet: {path: /status/200, port: web}, periodSeconds: 1}
    readinessProbe: {tcpSocket: {port: web}, periodSeconds: 1}
    lifecycle:
      postStart: {exec: {command: [sh, -c, 'echo post > /proc/1/fd/1']}}
      preStop: {exec: {command: [sh, -c, 'echo pre > /host/pre']}}
    volumeMounts: [{name: host, mountPath: /host}]
  - name: unready
    image: inro.local/box
    command: [http, -p, "81"]
    readinessProbe: {httpGet: {path: /status/503, port: 81}, periodSeconds: 1}
  volumes: [{name: host, hostPath: {path: HOST}}]
Y
sed -i "s|HOST|$work/host/dir|" "$work/probes.yaml"
check "apply probes" k apply -f "$work/probes.yaml"
ready_of() { is "$(k get pod probes -o jsonpath="{.status.containerStatuses[?(@.name==\"$1\")].ready}")" "$2"; }
restarted() { [ "$(k get pod probes -o jsonpath='{.status.containerStatuses[?(@.name=="live")].restartCount}')" -ge 1 ]; }
check "startup, then ready" eventually 15 ready_of web true
check "never ready" ready_of unready false
check "and why" eventually 10 says "Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 503" events_of probes
check "liveness restarts" eventually 30 restarted
check "and why" says "Killing: Container live failed liveness probe, will be restarted" events_of probes
check "postStart ran" says post k logs probes -c web
check "delete" k delete pod probes --timeout=30s
check "preStop ran" is "$(cat "$work/host/dir/pre")" pre

# --- nothing stays
check "delete all" k delete pod --all --now --timeout=30s
nothing_left() { [ -z "$(ls -A "$work/n1/data/pods" "$work/n1/run/volumes" 2> /dev/null | grep -v ':$')" ]; }
check "no volumes are left" eventually 10 nothing_left
check "no mounts are left" fails grep -F "$work/n1/run/volumes/" /proc/self/mountinfo
check "the host's directory is" is "$(cat "$work/host/dir/file")" kept
check "the log is clean" fails grep -E "check failed|Sanitizer" "$work/n1/log"
e2e_end
