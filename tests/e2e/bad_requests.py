#!/usr/bin/env python3
"""bad_requests.py KUBECONFIG: requests that are wrong in one way each; a line "ok WHAT" or "bad WHAT: WHY" for each."""
import base64
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import urllib.parse

import yaml

with open(sys.argv[1]) as f:
    config = yaml.safe_load(f)
cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
url = urllib.parse.urlsplit(cluster["server"])
folder = tempfile.mkdtemp()
with open(f"{folder}/me.pem", "wb") as f:
    f.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))


def context(cert=None):
    c = ssl.create_default_context(cadata=ca)
    if cert:
        c.load_cert_chain(cert)
    return c


def connect(cert=f"{folder}/me.pem"):
    raw = socket.create_connection((url.hostname, url.port), timeout=15)
    return context(cert).wrap_socket(raw, server_hostname=url.hostname)


def talk(sock, parts):
    """Sends parts, reads an answer: (status, body); status 0 when the connection just ended."""
    answer = b""
    try:
        for part in parts:
            sock.sendall(part)
    except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
        pass
    try:
        while b"\r\n\r\n" not in answer or len(answer.split(b"\r\n\r\n", 1)[1]) < length(answer):
            piece = sock.recv(65536)
            if not piece:
                break
            answer += piece
    except (ConnectionResetError, ssl.SSLError, socket.timeout):
        pass
    sock.close()
    if not answer.startswith(b"HTTP/1.1 "):
        return 0, ""
    return int(answer[9:12]), answer.split(b"\r\n\r\n", 1)[-1].decode(errors="replace")


def length(answer):
    for line in answer.split(b"\r\n\r\n", 1)[0].split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


def post(body, kind="application/json", path="/api/v1/namespaces/default/configmaps", more=b""):
    head = (f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n").encode()
    return [head + more + b"\r\n", body]


def case(what, parts, statuses, text="", sock=None):
    try:
        status, body = talk(sock or connect(), parts)
        good = status in statuses and text in body
        print(f"ok {what}" if good else f"bad {what}: {status} {body[:200]!r}")
    except Exception as e:
        print(f"bad {what}: {type(e).__name__}: {e}")


def rss():
    """Resident KiB of all processes of the server's binary in this network namespace."""
    total, mine = 0, os.readlink("/proc/self/ns/net")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/ns/net") == mine and b"inro" in open(f"/proc/{pid}/cmdline", "rb").read():
                total += int(open(f"/proc/{pid}/statm").read().split()[1]) * 4
        except OSError:
            pass
    return total


base = rss()
case("cut JSON", post(b'{"apiVersion":"v1","kind":'), {400}, "BadRequest")
case("JSON of nonsense", post(b"\x00\xff\xfe"), {400})
case("two values", post(b"{}{}"), {400})
case("deep JSON", post(b"[" * 200000 + b"]" * 200000), {400, 413})
case("deep objects", post(b'{"a":' * 100000 + b"1" + b"}" * 100000), {400, 413})
case("bad YAML", post(b"a: [b\nc: d: e", "application/yaml"), {400})
case("YAML aliases", post(b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n" % ((c, c) + (c - 1,) * 9) for c in range(98, 108)),
    "application/yaml"), {400, 413})
case("deep YAML", post(b"[" * 100000, "application/yaml"), {400, 413})
case("100 MB body", post(b"x" * 100_000_000), {413, 0})
case("a body that lies", [b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"],
     {413, 400})
case("a negative length", [b"GET /version HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"], {400, 0})
case("two lengths", [b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"], {400, 0})
case("length and chunks", [b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"], {400, 0})
case("a long header", [b"GET /version HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 2_000_000 + b"\r\n\r\n"], {431, 400, 0})
case("many headers", [b"GET /version HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 50000 + b"\r\n"], {431, 400, 0})
case("no HTTP", [b"\x16\x03\x01nonsense\r\n\r\n"], {400, 0})
case("a wrong media type", post(b"x", "text/plain"), {415}, "UnsupportedMediaType")
case("a wrong method", [b"BREW /api HTTP/1.1\r\nHost: x\r\n\r\n"], {405, 400, 0})
case("escapes in paths", [b"GET /api/v1/namespaces/%00/pods/%2e%2e HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"], {400, 404})
case("dots in paths", [b"GET /api/v1/../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"], {400, 404, 301, 403})
case("nobody", [b"GET /api/v1/secrets HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"], {403, 401}, "", connect(None))

subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
                "-subj", "/O=system:masters/CN=admin", "-keyout", f"{folder}/k.pem", "-out", f"{folder}/c.pem"],
               check=True, capture_output=True)
with open(f"{folder}/fake.pem", "w") as f:
    f.write(open(f"{folder}/c.pem").read() + open(f"{folder}/k.pem").read())
try:
    status, body = talk(connect(f"{folder}/fake.pem"), [b"GET /api/v1/secrets HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"])
    print("ok a certificate of another CA" if status in (401, 403, 0) else f"bad a certificate of another CA: {status} {body[:100]}")
except (ssl.SSLError, ConnectionResetError):
    print("ok a certificate of another CA")

slow = []
for i in range(200):                       # connections that begin a request and never end it
    s = connect()
    s.sendall(b"GET /version HTTP/1.1\r\nHo")
    slow.append(s)
case("an answer beside 200 slow clients", [b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"], {200}, "gitVersion")
for s in slow:
    s.close()
after = rss()
print(f"{'ok' if after < base + 64 * 1024 else 'bad'} memory: {base} KiB before, {after} KiB after")
