#!/bin/bash
# story.test.sh: the whole story on one node: four manifests as users have them, with the real kubectl.
. "$(dirname "$0")/lib.sh"
e2e_begin story
node_new n1 192.0.2.1
before=$(leftovers n1)
registry_start n1
for image in "nginx 1.20.1" "app 0.3.2" "app 0.3.3"; do check "push $image" registry_push n1 $image; done
server_start n1
story=$here/story

# --- 1: a Pod
check "apply pod" k apply -f "$story/1-pod.yaml"
need "pod is ready" eventually 20 pod_ready nginx
check "pod answers" says proxy inside n1 curl -s "http://$(pod_ip nginx)/proxy"
check "get pods shows it" says "1/1     Running" k get pods
check "describe shows its events" says "Container started" k describe pod nginx
check "logs" eventually 5 says "GET /proxy" k logs nginx
check "delete waits" k delete -f "$story/1-pod.yaml" --wait --timeout=20s
check "it is gone" says NotFound k get pod nginx

# --- 2: two containers, one network
check "apply sidecar" k apply -f "$story/2-sidecar.yaml"
need "sidecar: wait" k wait --for=condition=Ready pod/foo-instance-1 --timeout=20s
check "sidecar: the proxy reaches the app over localhost" \
    says "foo-instance-1 app 0.3.2" inside n1 curl -s "http://$(pod_ip foo-instance-1)/"
check "sidecar: two of two" says "2/2     Running" k get pods
check "sidecar: delete" k delete -f "$story/2-sidecar.yaml" --wait --timeout=20s

# --- 3: a Deployment: 10, 3, 20
check "apply deployment" k apply -f "$story/3-deployment.yaml"
need "rollout of 10" k rollout status deployment/foo-deployment-1 --timeout=60s
check "10 pods run" eventually 20 pods_running app=foo 10
check "scale to 3" k scale deployment/foo-deployment-1 --replicas=3
check "3 pods run" eventually 40 pods_running app=foo 3
check "scale to 20" k scale deployment/foo-deployment-1 --replicas=20
check "20 pods run" eventually 60 pods_running app=foo 20

# --- 4: a Service, by its name, reaching every endpoint
check "apply service" k apply -f "$story/4-service.yaml"
check "a pod to ask from" k run client --image=inro.local/box --restart=Never --command -- sleep 3600
need "client runs" eventually 10 pod_ready client
seen_pods() {
    local n
    n=$(k exec client -- sh -c 'i=0; while [ $i -lt 200 ]; do fetch http://foo.default.svc.cluster.local/; i=$((i+1)); done' |
        sed 's/ app .*//' | sort -u | wc -l)
    is "$n" 20
}
check "the name reaches every endpoint" eventually 20 seen_pods
check "the short name works" says "app 0.3.2" k exec client -- fetch http://foo/

# --- a roll-out under load
ip=$(service_ip foo)
mkfifo "$work/stop"
inside n1 python3 "$here/client_loop.py" "http://$ip/" 120 200 < "$work/stop" > "$work/loop.json" &
loop=$!
exec 6> "$work/stop"
check "set image" k set image deployment/foo-deployment-1 app=app:0.3.3
check "rollout of 0.3.3" k rollout status deployment/foo-deployment-1 --timeout=90s
check "all answer 0.3.3" eventually 10 says "app 0.3.3" inside n1 curl -s "http://$ip/"
check "undo" k rollout undo deployment/foo-deployment-1
check "rollout back" k rollout status deployment/foo-deployment-1 --timeout=90s
exec 6>&-
wait $loop
check "no request failed" is "$(python3 -c "import json; print(json.load(open('$work/loop.json'))['failed'])")" 0 ||
    python3 -c "import json; [print('   ', k, v) for k, v in json.load(open('$work/loop.json'))['seen'].items() if k.startswith('error')]"
check "history" says "2" k rollout history deployment/foo-deployment-1

# --- blue and green behind one label
sed -e 's/foo-deployment-1/green/' -e 's/app: foo/app: foo-green/' -e 's/app:0.3.2/app:0.3.3/' -e 's/replicas: 10/replicas: 2/' \
    "$story/3-deployment.yaml" > "$work/green.yaml"
check "apply green" k apply -f "$work/green.yaml"
check "green runs" eventually 20 pods_running app=foo-green 2
check "switch the Service to green" k patch service foo -p '{"spec":{"selector":{"app":"foo-green"}}}'
only_green() { says "app 0.3.3" inside n1 curl -s "http://$ip/"; }
check "green answers" eventually 5 only_green
check "and back" k patch service foo -p '{"spec":{"selector":{"app":"foo"}}}'

# --- the everyday commands
check "explain" says "replicas" k explain deployment.spec
check "diff sees a change" says "+  replicas: 4" k diff -f <(sed 's/replicas: 10/replicas: 4/' "$story/3-deployment.yaml")
check "apply a changed file" k apply -f <(sed 's/replicas: 10/replicas: 4/' "$story/3-deployment.yaml")
check "4 pods run" eventually 40 pods_running app=foo 4
echo "hello from outside" > "$work/file"
check "cp in" k_long cp "$work/file" client:/tmp/file
check "exec reads it" says "hello from outside" k exec client -- cat /tmp/file
check "cp out" k_long cp client:/tmp/file "$work/back"
check "the same file" cmp "$work/file" "$work/back"
check "exit codes come through" is "$(k exec client -- sh -c 'exit 7' > /dev/null 2>&1; echo $?)" 7
k_long port-forward service/foo 18080:80 > "$work/pf.log" 2>&1 & pf=$!
check "port-forward" eventually 5 says "app 0.3" inside n1 curl -s http://127.0.0.1:18080/
kill $pf; wait $pf 2> /dev/null
check "top-level listing" says "deployment.apps/foo-deployment-1" k get all

# --- away with it
check "delete all" k delete deployment,service,pod --all --wait --timeout=60s
check "nothing runs" eventually 20 says "No resources found" k get pods
check "stop with pods" inro n1 stop --all --run-dir "$work/n1/run" --data-dir "$work/n1/data" --cgroup-root "$cgroup_base-n1" --node-name n1
check "nothing is left" is "$(leftovers n1)" "$before"
e2e_end
