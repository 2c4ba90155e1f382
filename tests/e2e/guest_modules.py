#!/usr/bin/env python3
"""guest_modules.py FROM TO NAME...: the kernel modules NAME and all they depend on, from the folder of one kernel's
modules, unpacked into TO; TO/order lists them in an order in which they load. What is built in is no module."""
import lzma
import os
import re
import sys


def main():
    found, order = {}, []
    for folder, _, files in os.walk(sys.argv[1]):
        for f in files:
            m = re.match(r"(.*)\.ko(\.xz)?$", f)
            if m:
                found[m[1].replace("-", "_")] = os.path.join(folder, f)

    def add(name):
        path = found.get(name)
        if not path or name in order:
            return
        data = open(path, "rb").read()
        data = lzma.decompress(data) if path.endswith(".xz") else data
        for item in re.findall(rb"\0depends=([^\0]*)", data):
            for other in item.decode().split(","):
                add(other.replace("-", "_"))
        order.append(name)
        with open(os.path.join(sys.argv[2], name + ".ko"), "wb") as f:
            f.write(data)

    for name in sys.argv[3:]:
        add(name)
    with open(os.path.join(sys.argv[2], "order"), "w") as f:
        f.write("\n".join(order) + "\n")


main()
