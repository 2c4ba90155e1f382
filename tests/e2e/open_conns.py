#!/usr/bin/env python3
"""open_conns.py HOST:PORT,... N PAUSE: N connections in all to these addresses, each asks over HTTP again and again,
PAUSE seconds apart, on the one connection it has; until standard input ends. Prints "open" once all have had their
first answer, then one line of JSON: connections, answers, and what failed or was closed."""
import asyncio
import json
import sys

TIMEOUT_S = 20


class Tally:
    def __init__(self, n):
        self.n, self.answers, self.first, self.failed = n, 0, 0, []


async def ask(reader, writer):
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise OSError(f"answered {head[:40]}")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    await reader.readexactly(length)


async def one(address, pause, tally, over):
    try:
        host, port = address.rsplit(":", 1)
        reader, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), TIMEOUT_S)
        first = True
        while not over.is_set():
            await asyncio.wait_for(ask(reader, writer), TIMEOUT_S)
            tally.answers += 1
            tally.first += first
            if first and tally.first == tally.n:
                print("open", flush=True)
            first = False
            try:
                await asyncio.wait_for(over.wait(), pause)
            except asyncio.TimeoutError:
                pass
        writer.close()
    except Exception as e:                      # of whatever kind: this connection did not last
        tally.failed.append(f"{address}: {type(e).__name__}: {e}")


async def main():
    addresses, n, pause = sys.argv[1].split(","), int(sys.argv[2]), float(sys.argv[3])
    tally, over, loop = Tally(n), asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(0, lambda: sys.stdin.buffer.read1(1) or (loop.remove_reader(0), over.set()))
    await asyncio.gather(*(one(addresses[i % len(addresses)], pause, tally, over) for i in range(n)))
    print(json.dumps({"connections": n, "answers": tally.answers, "failed": tally.failed}))


asyncio.run(main())
