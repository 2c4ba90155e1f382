#!/usr/bin/env python3
"""power_load.py KUBECONFIG STATE ROUND: writes until the power goes, and checks first that nothing was lost.

STATE (JSON, made when missing) holds what the API has acknowledged so far: per name the acknowledged value (null: there
is none) and, if the last write got no answer, the value it would have set. Waits until the API answers; each name must
then be at its acknowledged value or at the unanswered one. Prints a line "kept N unanswered N" (or "LOST ..." and ends
with status 1), then writes with four threads, each its own names: creates, updates, deletes. Ends when the connections
break, leaves STATE anew, and prints "acknowledged N"."""
import base64
import http.client
import json
import os
import random
import ssl
import sys
import tempfile
import threading
import time
import urllib.parse

import yaml

THREADS = 4
READY_S = 240                               # a guest without KVM on a busy host
PATH = "/api/v1/namespaces/default/configmaps"
ABSENT, NOTHING = None, "-"


def connector(path):
    with open(path) as f:
        config = yaml.safe_load(f)
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile("wb", suffix=".pem") as f:
        f.write(base64.b64decode(user["client-certificate-data"]))
        f.write(base64.b64decode(user["client-key-data"]))
        f.flush()
        context.load_cert_chain(f.name)
    url = urllib.parse.urlsplit(cluster["server"])
    return lambda: http.client.HTTPSConnection(url.hostname, url.port, context=context, timeout=20)


def ask(conn, verb, path, body=None):
    conn.request(verb, path, body and json.dumps(body), {"Content-Type": "application/json"})
    answer = conn.getresponse()
    data = answer.read()
    return answer.status, json.loads(data) if data else None


def wait_ready(new):
    end = time.monotonic() + READY_S
    while True:
        try:
            conn = new()
            status, listed = ask(conn, "GET", PATH)
            if status == 200:
                return listed["items"]
        except (OSError, http.client.HTTPException, ssl.SSLError):
            pass
        if time.monotonic() > end:
            sys.exit("the API does not answer")
        time.sleep(0.05)


def check(items, state):
    have = {i["metadata"]["name"]: i["data"]["v"] for i in items if i["metadata"]["name"].startswith("w-")}
    lost, unanswered = [], 0
    for name, (acked, pending) in state.items():
        now = have.pop(name, ABSENT)
        unanswered += pending != NOTHING
        if now != acked and (pending == NOTHING or now != pending):
            lost.append(f"{name}: {now} instead of {acked} (unanswered: {pending})")
        state[name] = [now, NOTHING]
    lost += [f"{name}: was never written" for name in have]
    if lost:
        print("LOST", *lost[:10], sep="\n")
        sys.exit(1)
    print("kept", len(state), "unanswered", unanswered, flush=True)


class Writer(threading.Thread):
    def __init__(self, new, state, prefix):
        super().__init__()
        self.new, self.state, self.prefix, self.n, self.acked, self.bad = new, state, prefix, 0, 0, ""
        self.random = random.Random(prefix)

    def write(self, conn, name, value):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"v": value}}
        was = self.state.get(name, [ABSENT])[0]
        self.state[name] = [was, value]
        if was is ABSENT:
            status, _ = ask(conn, "POST", PATH, body)
        elif value is ABSENT:
            status, _ = ask(conn, "DELETE", f"{PATH}/{name}")
        else:
            status, _ = ask(conn, "PUT", f"{PATH}/{name}", body)
        if status not in (200, 201):
            self.bad = f"{name}: status {status}"
            raise OSError
        self.state[name] = [value, NOTHING]
        self.acked += 1

    def run(self):
        mine, conn = [], self.new()
        try:
            while True:
                self.n += 1
                what = self.random.random()
                if mine and what < 0.15:
                    self.write(conn, mine.pop(self.random.randrange(len(mine))), ABSENT)
                elif mine and what < 0.5:
                    self.write(conn, self.random.choice(mine), f"{self.n}-" + "x" * self.random.randrange(3000))
                else:
                    name = f"w-{self.prefix}-{self.n}"
                    self.write(conn, name, f"{self.n}")
                    mine.append(name)
        except (OSError, http.client.HTTPException, ssl.SSLError):
            pass


def main():
    new, path = connector(sys.argv[1]), sys.argv[2]
    state = json.load(open(path)) if os.path.exists(path) else {}
    check(wait_ready(new), state)
    parts = [{} for _ in range(THREADS)]
    writers = [Writer(new, parts[i], f"{sys.argv[3]}-{i}") for i in range(THREADS)]
    for w in writers:
        w.start()
    for w in writers:
        w.join()
    for part in parts:
        state.update(part)
    with open(path, "w") as f:
        json.dump(state, f)
    if any(w.bad for w in writers):
        sys.exit("; ".join(w.bad for w in writers))
    print("acknowledged", sum(w.acked for w in writers))


main()
