#!/usr/bin/env python3
"""client_loop.py URL SECONDS [RATE]: asks a URL by fresh connections until SECONDS are over or standard input ends,
at most RATE times a second; prints one line of JSON: how many asks, how many failed, and what was answered how often."""
import collections
import http.client
import json
import select
import sys
import time
import urllib.parse


def ask(url):
    conn = http.client.HTTPConnection(url.hostname, url.port or 80, timeout=5)
    try:
        conn.request("GET", url.path or "/")
        answer = conn.getresponse()
        body = answer.read().decode(errors="replace").strip()
        return body if answer.status == 200 else f"error: status {answer.status}"
    except Exception as e:                      # every kind of failure is a failed ask
        return f"error: {type(e).__name__}: {e}"
    finally:
        conn.close()


def main():
    url = urllib.parse.urlsplit(sys.argv[1])
    end = time.monotonic() + float(sys.argv[2])
    pause = 1 / float(sys.argv[3]) if len(sys.argv) > 3 else 0.005
    seen, asked, failed = collections.Counter(), 0, 0
    while time.monotonic() < end:
        text = ask(url)
        asked += 1
        failed += text.startswith("error:")
        seen[text] += 1
        if select.select([sys.stdin], [], [], pause)[0] and not sys.stdin.read(1):
            break
    print(json.dumps({"asked": asked, "failed": failed, "seen": seen}))


main()
