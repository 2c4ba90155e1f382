#!/bin/bash
# bench_api.sh: GET and LIST over TLS against nginx that serves the same bytes from a file, and POST against rows
# written to SQLite by hand; the same client (ab with a client certificate, 16 connections) over loopback.
. "$(dirname "$0")/lib.sh"
bench_begin api
bench_need ab apache2-utils
bench_need curl curl
bench_need openssl openssl
nginx=$(bench_unpack nginx nginx) || skip "no nginx (apt-get download nginx)"
ldd "$nginx" | grep -q 'not found' && skip "nginx lacks libraries: $(ldd "$nginx" | grep 'not found' | xargs)"
rounds=3 seconds=3 connections=16

server_start --disable-agent --disable-scheduler --disable-controller-manager
ns_path=/api/v1/namespaces/default

# --- what is served
config_map() {
    printf '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"%s","labels":{"app":"bench"}},"data":{"text":"%s"}}' \
        "$1" "$(head -c 1000 /dev/zero | tr '\0' x)"
}
for ((i = 0; i < 100; i++)); do config_map "object-$i" > "$work/$i.json"; done
for ((i = 0; i < 100; i++)); do
    api POST $ns_path/configmaps -H 'Content-Type: application/json' --data-binary "@$work/$i.json" > /dev/null
done
mkdir -p "$work/www" "$work/nginx"
api GET $ns_path/configmaps/object-1 > "$work/www/get"
api GET $ns_path/configmaps > "$work/www/list"

# --- the peer
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=bench \
    -keyout "$work/nginx/key" -out "$work/nginx/cert" 2> /dev/null
cat > "$work/nginx/conf" <<C
daemon off; worker_processes auto; user root; pid $work/nginx/pid; error_log $work/nginx/error warn;
events { worker_connections 1024; }
http {
    access_log off; keepalive_requests 100000000; default_type application/json; open_file_cache max=10; sendfile on;
    client_body_temp_path $work/nginx/b; proxy_temp_path $work/nginx/p; fastcgi_temp_path $work/nginx/f;
    uwsgi_temp_path $work/nginx/u; scgi_temp_path $work/nginx/s;
    server { listen 127.0.0.1:8443 ssl; ssl_certificate cert; ssl_certificate_key key; root $work/www; }
}
C
nsenter --net="/run/netns/$ns" "$nginx" -p "$work/nginx" -c "$work/nginx/conf" > "$work/nginx/start" 2>&1 &
procs+=($!)
for ((i = 0; i < 100; i++)); do inside curl -sko /dev/null https://127.0.0.1:8443/get && break; sleep 0.05; done

# --- requests
cat "$work/admin.crt" "$work/admin.key" > "$work/admin.pem"
# rate URL [AB FLAGS...]: requests per second; fails when answers were not 2xx
rate() {
    local text url=$1; shift
    text=$(inside ab -q -k -c $connections -t $seconds -n 100000000 -E "$work/admin.pem" "$@" "$url" 2>&1) ||
        { tail -n 5 <<< "$text" >&2; return 1; }
    ! grep -q 'Non-2xx' <<< "$text" || { say "$url: $(grep 'Non-2xx' <<< "$text")"; return 1; }
    sed -nE 's|^Requests per second: *([0-9.]+).*|\1|p' <<< "$text"
}
compare() {
    local what=$1 ours=$2 peer=$3 i
    : > "$work/ours"; : > "$work/peer"
    for ((i = 0; i < rounds; i++)); do
        rate "https://127.0.0.1:$port$ours" >> "$work/ours"
        rate "https://127.0.0.1:8443$peer" >> "$work/peer"
    done
    row "$what" "$(median < "$work/ours" | xargs printf '%.0f/s')" "nginx $(median < "$work/peer" | xargs printf '%.0f/s')" \
        "$(ratio_of "$work/ours" "$work/peer")"
}
compare "GET of $(stat -c %s "$work/www/get") bytes over TLS" $ns_path/configmaps/object-1 /get
compare "LIST of 100, $(($(stat -c %s "$work/www/list") / 1024)) KiB over TLS" $ns_path/configmaps /list

config_map "" | sed 's/"name":""/"generateName":"post-"/' > "$work/post.json"
: > "$work/ours"; : > "$work/peer"
for ((i = 0; i < rounds; i++)); do
    rate "https://127.0.0.1:$port$ns_path/configmaps" -p "$work/post.json" -T application/json >> "$work/ours"
    "$BENCH_BIN/bench_store" --raw "$work" >> "$work/peer"
done
row "POST of 1 KB over TLS, $connections connections" "$(median < "$work/ours" | xargs printf '%.0f/s')" \
    "SQLite $(median < "$work/peer" | xargs printf '%.0f/s')" "$(ratio_of "$work/ours" "$work/peer")"
