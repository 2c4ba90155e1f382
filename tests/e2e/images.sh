#!/bin/bash
# images.sh: makes the images of the story in out/e2e/images, once: nginx:1.20.1 (nginx of Debian 13's package as a
# reverse proxy for port 8080 of its pod), app:0.3.2 and app:0.3.3 (a small web application on port 8080 whose answers
# show its pod's name and its version), as one OCI layout each and as docker-archives.
set -euo pipefail
cd "$(dirname "$0")/../.."
images=$PWD/out/e2e/images
[ ! -e "$images/.stamp" ] || [ "$images/.stamp" -ot tests/e2e/images.sh ] || exit 0
. packaging/apt.sh
rm -rf "$images"; mkdir -p "$images"
work=$(mktemp -d "$images/make.XXXXXX")
trap 'rm -rf "$work"' EXIT

# --- a root file system of nginx and what it is linked to
apt_init "$work/apt" "$(dpkg --print-architecture)" trixie
mkdir "$work/debs"
(cd "$work/debs" && aptc get download -qq nginx nginx-common libc6 libcrypt1 libpcre2-8-0 libssl3t64 zlib1g libzstd1)
root=$work/root
mkdir -p "$root"/usr/{bin,sbin,lib,lib64}
for d in bin sbin lib lib64; do ln -s "usr/$d" "$root/$d"; done
for deb in "$work"/debs/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$root"
done
rm -rf "$root"/usr/share/{doc,man,lintian,bash-completion} "$root"/usr/lib/*/{gconv,audit}
mkdir -p "$root"/{run,tmp,proc,sys,dev} "$root"/var/{log/nginx,lib/nginx,cache} "$root/usr/share/nginx/html"
chmod 1777 "$root/tmp"
printf 'root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' > "$root/etc/passwd"
printf 'root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n' > "$root/etc/group"

# nginx_conf FILE SERVER-BLOCK
nginx_conf() {
    cat > "$1" <<C
user www-data;
worker_processes 1;
error_log /dev/stderr warn;
pid /run/nginx.pid;
events { worker_connections 512; }
http {
    access_log /dev/stdout;
    client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
$2
}
C
}

# image NAME TAG PORT CONF: an OCI layout out/e2e/images/NAME-TAG
image() {
    local layout=$images/$1-$2
    umoci init --layout "$layout"
    umoci new --image "$layout:$2"
    umoci insert --image "$layout:$2" "$root" / > /dev/null
    nginx_conf "$work/nginx.conf" "$4"
    umoci insert --image "$layout:$2" "$work/nginx.conf" /etc/nginx/nginx.conf > /dev/null
    umoci config --image "$layout:$2" --config.cmd nginx --config.cmd -g --config.cmd 'daemon off;' \
        --config.env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        --config.stopsignal SIGQUIT --config.exposedports "$3/tcp" --architecture "$(dpkg --print-architecture)" --os linux
    umoci gc --layout "$layout" > /dev/null
    skopeo --insecure-policy copy -q "oci:$layout:$2" "docker-archive:$images/$1-$2.tar:$1:$2"
}
image nginx 1.20.1 80 '    server { listen 80; location / { proxy_pass http://127.0.0.1:8080; } location = /proxy { return 200 "proxy\n"; } }'
for v in 0.3.2 0.3.3; do
    image app $v 8080 "    server { listen 8080; location / { return 200 \"\$hostname app $v\\n\"; } }"
done
touch "$images/.stamp"
