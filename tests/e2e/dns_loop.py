#!/usr/bin/env python3
"""dns_loop.py SERVER NAME SECONDS: asks a name server for NAME's address every 10 ms, each time from a socket of its
own as resolvers do, until SECONDS are over or standard input ends. Prints one line of JSON: how many were asked,
answered, refused (nobody listens) and never answered, and how long the slowest answer took."""
import json
import select
import socket
import struct
import sys
import time

WAIT_S = 10
EVERY_S = 0.01


def query(n, name):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">HHHHHH", n & 0xFFFF, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)


def main():
    server, name, end = sys.argv[1], sys.argv[2], time.monotonic() + float(sys.argv[3])
    waiting, asked, answered, refused, unanswered, slowest = {}, 0, 0, 0, 0, 0.0
    over, next_ask = False, time.monotonic()
    while waiting or not over:
        now = time.monotonic()
        over = over or now >= end
        if not over and now >= next_ask:
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            asked += 1
            next_ask = now + EVERY_S
            try:
                s.connect((server, 53))
                s.send(query(asked, name))
                waiting[s] = now
            except OSError:
                refused += 1
        for s in [s for s, t in waiting.items() if now - t > WAIT_S]:
            unanswered += 1
            del waiting[s]
        inputs = list(waiting) + ([] if over else [sys.stdin])
        for s in select.select(inputs, [], [], EVERY_S)[0]:
            if s is sys.stdin:
                over = over or not sys.stdin.read(1)
                continue
            try:
                good = struct.unpack(">HHHH", s.recv(512)[:8])[3] > 0
                answered += good
                refused += not good
                slowest = max(slowest, time.monotonic() - waiting[s])
            except OSError:
                refused += 1
            del waiting[s]
    print(json.dumps({"asked": asked, "answered": answered, "refused": refused, "unanswered": unanswered,
                      "slowest_ms": int(slowest * 1000)}))


main()
