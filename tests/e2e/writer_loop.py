#!/usr/bin/env python3
"""writer_loop.py KUBECONFIG NAMESPACE SECONDS: creates ConfigMaps one after the other over HTTPS until SECONDS are over
or standard input ends; prints one line of JSON: the names that were acknowledged, and how many asks failed."""
import base64
import http.client
import json
import select
import ssl
import sys
import tempfile
import time
import urllib.parse

import yaml


def connect(path):
    with open(path) as f:
        config = yaml.safe_load(f)
    cluster = config["clusters"][0]["cluster"]
    user = config["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile("wb", suffix=".pem") as f:
        f.write(base64.b64decode(user["client-certificate-data"]))
        f.write(base64.b64decode(user["client-key-data"]))
        f.flush()
        context.load_cert_chain(f.name)
    url = urllib.parse.urlsplit(cluster["server"])
    return lambda: http.client.HTTPSConnection(url.hostname, url.port, context=context, timeout=5)


def main():
    new, namespace = connect(sys.argv[1]), sys.argv[2]
    end = time.monotonic() + float(sys.argv[3])
    acked, failed, n, conn = [], 0, 0, None
    longest, last = 0.0, time.monotonic()
    while time.monotonic() < end:
        name = f"w{n}"
        n += 1
        body = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"n": str(n)}})
        try:
            conn = conn or new()
            conn.request("POST", f"/api/v1/namespaces/{namespace}/configmaps", body, {"Content-Type": "application/json"})
            answer = conn.getresponse()
            answer.read()
            if answer.status == 201:
                acked.append(name)
                longest, last = max(longest, time.monotonic() - last), time.monotonic()
            else:
                failed += 1
        except Exception:
            failed += 1
            conn = None
        if select.select([sys.stdin], [], [], 0.005)[0] and not sys.stdin.read(1):
            break
    print(json.dumps({"acked": acked, "failed": failed, "longest_gap_s": round(longest, 3)}))


main()
