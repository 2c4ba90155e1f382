#!/usr/bin/env python3
"""churn.py KUBECONFIG PODS WAVE SEED: makes and deletes pods in waves; prints the time that one takes, in all.

A wave is made, runs -- some of its pods end by themselves, some have a volume, an init container, two containers -- and is
deleted with a grace of 0 or 1 second before the next comes. Five pods are one of each kind, and the first wave runs until
all are ready, so that what a node makes once is made by then."""
import random
import sys
import time

from kube import Kube

PODS = "/api/v1/namespaces/default/pods"


def manifest(rng, name, kind):
    box = {"name": "c", "image": "inro.local/box", "command": ["sleep", "1000"]}
    spec = {"containers": [box], "terminationGracePeriodSeconds": 1, "enableServiceLinks": False}
    if kind == 1:
        box["command"] = [rng.choice(["true", "false"])]
        spec["restartPolicy"] = "Never"
    if kind == 2:
        box["volumeMounts"] = [{"name": "m", "mountPath": "/m"}, {"name": "d", "mountPath": "/d"}]
        spec["volumes"] = [{"name": "m", "emptyDir": {"medium": "Memory"}}, {"name": "d", "emptyDir": {}}]
    if kind == 3:
        spec["initContainers"] = [{"name": "i", "image": "inro.local/box", "command": ["true"]}]
    if kind == 4:
        spec["containers"].append({"name": "s", "image": "inro.local/box", "command": ["http"],
                                   "readinessProbe": {"httpGet": {"port": 80, "path": "/healthz"}, "periodSeconds": 1}})
        spec["shareProcessNamespace"] = True
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"churn": "yes"}}, "spec": spec}


def until(seconds, test, what):
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            sys.exit(f"churn.py: not {what} within {seconds} s")
        time.sleep(0.05)


def settled(kube):
    """All pods of the wave are ready, or have ended."""
    for p in kube.insist("GET", PODS + "?labelSelector=churn")["items"]:
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", []))
        if not ready and p["status"].get("phase") not in ("Succeeded", "Failed"):
            return False
    return True


def wave(kube, rng, names, first):
    for i, name in enumerate(names):
        kube.insist("POST", PODS, manifest(rng, name, i % 5))
    if first or rng.random() < 0.8:                       # else they are deleted wherever they are
        until(120, lambda: settled(kube), "ready")
    for name in names:
        kube.insist("DELETE", f"{PODS}/{name}?gracePeriodSeconds={rng.randrange(2)}", ok=(404,))
    until(120, lambda: not kube.insist("GET", PODS + "?labelSelector=churn")["items"], "gone")


def main():
    kube, pods, size, rng = Kube(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), random.Random(int(sys.argv[4]))
    begun, done = time.monotonic(), 0
    while done < pods:
        n = min(size, pods - done)
        wave(kube, rng, [f"churn-{done + i}" for i in range(n)], done == 0)
        done += n
    took = time.monotonic() - begun
    print(f"  {pods} pods made and deleted in {took:.1f} s, {took / pods * 1000:.0f} ms each")


main()
