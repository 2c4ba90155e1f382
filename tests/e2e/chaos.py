#!/usr/bin/env python3
"""chaos.py OPTIONS -- SERVER COMMAND...: kill -9 at random moments of many pods' lives, and exact books of what became of them.

A stream of short pods of several kinds runs. Each container writes into its book, a file in a hostPath volume, when it
starts, is asked to end, and ends; so what the API tells can be compared with what happened:
  - no attempt of a container starts twice
  - exit codes and the last line of the log are those that the container had
  - containers that were ready and are deleted get their preStop and their TERM
A container that we killed, or whose shim we killed, may have been cut short, and nothing else.

Prints what went wrong, a line for each; times in the end. The server command is used after its parent was killed."""
import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

from kube import Answer, Kube
from look import Look, children, read, state, words

PODS = "/api/v1/namespaces/default/pods"
LATE_LINES = 60         # of the log, told of each that was late
BOUND_S = 30            # until all is in order again; what is looked for is 2
WANTED_S = 2

MAIN = """
f=/book/$U.c; echo s >> $f; n=$(grep -c s $f)
%s
"""
KINDS = {
    # name: (restartPolicy, script, the exit code that stays, runs)
    "once": ("Never", "sleep 0.%(pause)d; echo last $n; echo e >> $f; exit %(code)d"),
    "again": ("OnFailure", "echo last $n; echo e >> $f; [ $n -gt 1 ] && exit 0; exit 3"),
    "stays": ("Always", "trap 'echo t >> $f; exit 0' TERM; while :; do sleep 0.1; done"),
}


def manifest(rng, n, images):
    kind = rng.choice(sorted(KINDS))
    code = rng.choice([0, 1, 7, 42]) if kind == "once" else 0
    policy, script = KINDS[kind]
    script = MAIN % (script % {"pause": rng.randrange(0, 5), "code": code} if kind == "once" else script)
    env = [{"name": "U", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}]
    mount = [{"name": "book", "mountPath": "/book"}]
    image = rng.choice(images) if rng.random() < 0.3 else "inro.local/box"
    main = {"name": "c", "image": image, "command": ["sh", "-c", script], "env": env,
            "volumeMounts": mount + [{"name": "own", "mountPath": "/own"}],
            "imagePullPolicy": rng.choice(["Always", "IfNotPresent"])}
    spec = {"restartPolicy": policy, "containers": [main], "terminationGracePeriodSeconds": 5,
            "enableServiceLinks": False, "automountServiceAccountToken": False,
            "volumes": [{"name": "book", "hostPath": {"path": ARGS.book}},
                        {"name": "own", "emptyDir": {"medium": rng.choice(["", "Memory"])}}]}
    if rng.random() < 0.5:
        spec["initContainers"] = [{"name": "i", "image": "inro.local/box", "env": env, "volumeMounts": mount,
                                   "command": ["sh", "-c", "echo s >> /book/$U.i; sleep 0.0%d" % rng.randrange(10)]}]
    if rng.random() < 0.3:
        spec["containers"].append({"name": "d", "image": "inro.local/box", "command": ["sleep", "0.1"]}
                                  if kind == "once" else
                                  {"name": "d", "image": "inro.local/box", "command": ["http"]}
                                  if kind == "stays" else {"name": "d", "image": "inro.local/box", "command": ["true"]})
    if kind == "stays":
        main["readinessProbe"] = {"exec": {"command": ["test", "-s", "/book/$(U).c"]}, "periodSeconds": 1}
        main["readinessProbe"]["exec"]["command"] = ["sh", "-c", "test -s /book/$U.c"]
        main["lifecycle"] = {"preStop": {"exec": {"command": ["sh", "-c", "echo p >> /book/$U.c"]}}}
    name = f"chaos-{n}"
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": spec,
           "metadata": {"name": name, "labels": {"chaos": kind}, "annotations": {"code": str(code)}}}
    return name, pod


class Stream(threading.Thread):
    """Makes pods, keeps their books, deletes them."""

    def __init__(self, kube, seed, images):
        super().__init__()
        self.kube, self.rng, self.images = kube, random.Random(seed), images
        self.cut, self.unsure = set(), set()         # uids: of killed containers, of killed shims
        self.wrong, self.stopping = [], False
        self.made = self.ended = self.starts = self.unknown = 0
        self.seen = {}                               # name: [uid, when it may be deleted, deleted, was ready]
        self.failed = None

    def run(self):
        try:
            while not self.stopping or self.seen:
                self.round()
                time.sleep(0.05)
        except Exception as e:
            self.failed = repr(e)
            raise

    def round(self):
        listed = {p["metadata"]["name"]: p
                  for p in self.kube.insist("GET", PODS + "?labelSelector=chaos")["items"]}
        for name in [n for n in self.seen if n not in listed]:
            self.gone(name)
        for name, pod in listed.items():
            self.look_at(name, pod)
        while not self.stopping and len(self.seen) < ARGS.width:
            self.make()

    def make(self):
        name, pod = manifest(self.rng, self.made, self.images)
        self.kube.insist("POST", PODS, pod, ok=(409,))
        uid = self.kube.insist("GET", f"{PODS}/{name}")["metadata"]["uid"]
        self.made += 1
        self.seen[name] = {"uid": uid, "until": time.monotonic() + self.rng.uniform(0.5, 4), "deleted": False,
                           "ready": False, "kind": pod["metadata"]["labels"]["chaos"]}

    def look_at(self, name, pod):
        s = self.seen.get(name)
        if not s or s["deleted"]:
            return
        if s["kind"] == "stays":
            s["ready"] |= any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
            if time.monotonic() > s["until"] and (s["ready"] or self.rng.random() < 0.1):
                s["untouched"] = self.untouched(s["uid"])
                self.delete(name, s, self.rng.choice([2, 5]) if s["ready"] else self.rng.choice([0, 2]))
            return
        if pod["status"].get("phase") in ("Succeeded", "Failed"):
            self.check_end(name, s, pod)
            self.delete(name, s, self.rng.choice([0, 1]))

    def delete(self, name, s, grace):
        s["deleted"] = True
        s["grace"] = grace
        self.kube.insist("DELETE", f"{PODS}/{name}?gracePeriodSeconds={grace}", ok=(404,))

    # --- books

    def untouched(self, uid):
        return uid not in self.cut and uid not in self.unsure

    def book(self, uid, container):
        return read(f"{ARGS.book}/{uid}.{container}").split()

    def complain(self, name, uid, text):
        hit = " (shim killed)" if uid in self.unsure else " (container killed)" if uid in self.cut else ""
        self.wrong.append(f"{name} {uid}{hit}: {text}")

    def check_end(self, name, s, pod):
        uid = s["uid"]
        self.ended += 1
        for c in pod["status"].get("initContainerStatuses", []):
            if self.book(uid, "i").count("s") > c["restartCount"] + 1:
                self.complain(name, uid, f"init container started twice: {c}")
        c = next(x for x in pod["status"]["containerStatuses"] if x["name"] == "c")
        book = self.book(uid, "c")
        starts, ends = book.count("s"), book.count("e")
        self.starts += starts
        end = c["state"].get("terminated")
        if not end and not self.untouched(uid):      # its init container was
            return None
        if not end:
            return self.complain(name, uid, f"phase {pod['status']['phase']} without an end: {c}")
        if starts > c["restartCount"] + 1:
            self.complain(name, uid, f"{starts} starts, {c['restartCount']} restarts")
        if self.untouched(uid) and starts != c["restartCount"] + 1:
            self.complain(name, uid, f"{starts} starts, {c['restartCount']} restarts, untouched: {c}")
        self.unknown += end["reason"] == "ContainerStatusUnknown"
        allowed = {int(pod["metadata"]["annotations"]["code"])}
        if not self.untouched(uid):
            allowed.add(137)
        if uid in self.cut:
            allowed.add(128)
        if end["exitCode"] not in allowed:
            self.complain(name, uid, f"exit code {end}, not of {sorted(allowed)}")
        if end["reason"] == "ContainerStatusUnknown" and uid not in self.unsure:
            self.complain(name, uid, f"the node lost it: {end}")
        if self.untouched(uid):
            log = self.kube.insist("GET", f"{PODS}/{name}/log?container=c&tailLines=1", text=True, ok=(400, 404))
            if log != f"last {starts}\n":
                self.complain(name, uid, f"the log ends with {log!r}, not \"last {starts}\", {ends} ends")

    def gone(self, name):
        s = self.seen.pop(name)
        uid, book = s["uid"], self.book(s["uid"], "c")
        if s["kind"] == "stays":
            self.starts += book.count("s")
        if not s["deleted"]:
            return self.complain(name, uid, "vanished")
        if s["kind"] != "stays" or not s["ready"] or s["grace"] < 5 or not self.untouched(uid):
            return
        if book.count("s") != 1:
            self.complain(name, uid, f"{book.count('s')} starts, untouched")
        if "p" not in book or "t" not in book:
            self.complain(name, uid, f"no preStop or no TERM: {book}")


class Killer:
    def __init__(self, kube, look, stream, rng):
        self.kube, self.look, self.stream, self.rng = kube, look, stream, rng
        self.times, self.late, self.probes, self.missed = {}, [], 0, 0
        self.server = None

    # --- what to kill

    def pick(self):
        targets = {"node": 25, "shim": 20, "child": 20, "container": 12, "control": 15, "parent": 8}
        return self.rng.choices(list(targets), targets.values())[0]

    def catch_child(self):
        """A child of the node role, or of a shim before it is the container's: they live for milliseconds."""
        end = time.monotonic() + 0.5
        node, shims, at = self.look.role("node"), [], 0
        want = self.rng.choice(["any", "pull", "init"])
        while time.monotonic() < end:
            if at % 50 == 0:
                shims = list(self.look.shims())
            at += 1
            for pid in children(node) if want != "init" else []:
                verb = words(pid)[1:2]
                if verb and verb[0] != "shim" and (want == "any" or verb[0] in ("pull", "unpack")):
                    return pid, verb[0]
            for shim in shims if want != "pull" else []:
                for pid in children(shim):
                    if read(f"/proc/{pid}/comm") == "inro-shim\n":
                        return pid, "init"
        return None, None

    def find(self, target):
        """(pid, kind, uid)"""
        if target in ("node", "control"):
            return self.look.role(target), target, None
        if target == "parent":
            return self.look.parent, target, None
        if target == "child":
            pid, kind = self.catch_child()
            if pid:
                shim = int(read(f"/proc/{pid}/stat").rpartition(")")[2].split()[1] or 0) if kind == "init" else 0
                return pid, kind, self.look.shims().get(shim) if kind == "init" else None
            target = "container"
        found = self.look.shims() if target == "shim" else self.look.containers()
        if not found:
            return None, target, None
        pid = self.rng.choice(sorted(found))
        return pid, target, found[pid]

    # --- when all is in order again

    def runs_again(self, _):
        """A new pod runs and ends."""
        name = f"probe-{self.probes}"
        self.probes += 1
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
               "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "enableServiceLinks": False,
                        "automountServiceAccountToken": False,
                        "containers": [{"name": "c", "image": "inro.local/box", "command": ["true"]}]}}
        self.kube.insist("POST", PODS, pod, ok=(409,))
        self.until(lambda: self.kube.insist("GET", f"{PODS}/{name}")["status"]["phase"] == "Succeeded")
        return name

    def until(self, test):
        end = time.monotonic() + BOUND_S
        while not test():
            if time.monotonic() > end:
                raise TimeoutError
            time.sleep(0.01)

    def pod_of(self, uid):
        for p in self.kube.insist("GET", PODS)["items"]:
            if p["metadata"]["uid"] == uid:
                return p
        return None

    @staticmethod
    def face(pod):
        """What a pod's status shows of its runs."""
        if not pod or "deletionTimestamp" in pod["metadata"]:
            return None
        return [(c["restartCount"], c.get("containerID"), list(c["state"]), list(c.get("lastState", {})))
                for c in pod["status"].get("containerStatuses", [])] + [pod["status"].get("phase")]

    def shows(self, uid, before, shim=None):
        """The status tells of it. A shim whose containers wait, out of back-off, for their next start changes nothing
        there: another one does its work."""
        waits = before and not any("running" in c[2] for c in before[:-1])
        self.until(lambda: before is None or self.face(self.pod_of(uid)) != before or
                   shim and waits and any(u == uid and p != shim for p, u in self.look.shims().items()))

    def started_all(self, pending):
        def test():
            now = {p["metadata"]["uid"]: p for p in self.kube.insist("GET", PODS)["items"]}
            return all(u not in now or "deletionTimestamp" in now[u]["metadata"] or
                       any(c.get("containerID") for c in now[u]["status"].get("containerStatuses", []) +
                           now[u]["status"].get("initContainerStatuses", [])) for u in pending)
        self.until(test)

    # --- one kill

    def parent_again(self):
        with open(ARGS.log, "ab") as log:
            self.server = subprocess.Popen(ARGS.server, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.look.parent = self.server.pid

    def kill(self):
        pid, kind, uid = self.find(self.pick())
        before = self.face(self.pod_of(uid)) if uid else None
        pending = [p["metadata"]["uid"] for p in self.kube.insist("GET", PODS)["items"]
                   if p["status"].get("phase") == "Pending"] if kind in ("netns", "pull", "unpack") else []
        if kind in ("container", "init") and uid:
            self.stream.cut.add(uid)
        if kind == "shim":
            self.stream.unsure.add(uid)
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, TypeError):
            self.missed += 1
            return
        start, said = time.monotonic(), os.path.getsize(ARGS.log)
        if kind == "parent":
            self.until(lambda: state(pid) in ([], ["Z"]))        # it holds its locks until then
            if self.server:
                self.server.wait()
            self.parent_again()
        try:
            name = None
            if kind in ("node", "control", "parent"):
                name = self.runs_again(pid)
            elif kind in ("shim", "container"):
                self.shows(uid, before, pid if kind == "shim" else None)
            else:
                self.started_all(pending)
            took = time.monotonic() - start
        except TimeoutError:
            took = BOUND_S
            self.stream.wrong.append(f"{kind} {pid} {uid or ''}: not in order after {BOUND_S} s, before: {before}")
        self.times.setdefault(kind, []).append(took)
        if took > WANTED_S:
            self.late.append((kind, pid, uid or "", took, read(ARGS.log)[said:].splitlines()[:LATE_LINES]))
        if name:
            self.kube.insist("DELETE", f"{PODS}/{name}?gracePeriodSeconds=0", ok=(404,))

    def count(self):
        return sum(len(t) for t in self.times.values())

    def report(self):
        for kind, t in sorted(self.times.items()):
            t.sort()
            print(f"  {kind:10} {len(t):4} kills, in order again after {t[len(t) // 2] * 1000:.0f} ms, "
                  f"95 %: {t[len(t) * 95 // 100] * 1000:.0f} ms, longest {t[-1] * 1000:.0f} ms")
        for kind, pid, uid, took, lines in self.late:
            print(f"  late: {kind} {pid} {uid} took {took * 1000:.0f} ms; the log after it:", *lines, sep="\n    ")
        print(f"  {self.count()} kills, {len(self.late)} of them not in order within {WANTED_S} s; {self.missed} came too late")


def main():
    look = Look(ARGS.work, ARGS.cgroup_root, ARGS.parent)
    stream = Stream(Kube(ARGS.kubeconfig), ARGS.seed, ARGS.images.split(","))
    killer = Killer(Kube(ARGS.kubeconfig), look, stream, random.Random(ARGS.seed + 1))
    stream.start()
    begun = time.monotonic()
    time.sleep(1)
    while killer.count() < ARGS.kills and not stream.failed:
        killer.kill()
        time.sleep(killer.rng.uniform(0, 0.2))
    stream.stopping = True
    stream.join(timeout=120)
    if stream.is_alive():
        stream.wrong.append(f"pods do not end: {sorted(stream.seen)}")
    if stream.failed:
        stream.wrong.append(f"the stream broke: {stream.failed}")
    killer.report()
    print(f"  {stream.made} pods, {stream.ended} ended by themselves, {stream.starts} starts, {stream.unknown} ends that "
          f"nobody saw; {time.monotonic() - begun:.0f} s, seed {ARGS.seed}")
    with open(ARGS.result, "w") as f:
        json.dump({"parent": look.parent, "wrong": stream.wrong, "kills": killer.count()}, f)
    for line in stream.wrong[:40]:
        print("  WRONG " + line)
    sys.stdout.flush()
    os._exit(1 if stream.wrong else 0)               # also when the stream hangs; the server goes on


def parse():
    at = sys.argv.index("--")
    p = argparse.ArgumentParser()
    for name in ("kubeconfig", "book", "work", "cgroup-root", "log", "result", "images"):
        p.add_argument("--" + name, required=True)
    for name, default in (("parent", None), ("kills", 60), ("seed", 1), ("width", 12)):
        p.add_argument("--" + name, type=int, default=default)
    args = p.parse_args(sys.argv[1:at])
    args.server = sys.argv[at + 1:]
    return args


ARGS = parse()
main()
