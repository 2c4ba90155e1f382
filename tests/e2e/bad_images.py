#!/usr/bin/env python3
"""bad_images.py GOOD OUT: makes docker-archives that are wrong in one way each, from a good one."""
import hashlib
import io
import json
import os
import sys
import tarfile

good, out = sys.argv[1:]
os.makedirs(out)
ESCAPED = "inro-e2e-escaped"


def write(name, members):
    with tarfile.open(f"{out}/{name}.tar", "w") as t:
        for path, data in members:
            info = tarfile.TarInfo(path)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))


def layer_of(entries):
    buf = io.BytesIO()
    with tarfile.open(fileobj=buf, mode="w") as t:
        for info, data in entries:
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return buf.getvalue()


def image(name, layer, diff=None):
    diff = diff or "sha256:" + hashlib.sha256(layer).hexdigest()
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["x"]},
                         "rootfs": {"type": "layers", "diff_ids": [diff]}}).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [f"bad:{name}"], "Layers": ["layer.tar"]}]).encode()
    write(name, [("manifest.json", manifest), ("config.json", config), ("layer.tar", layer)])


def entry(path, kind=tarfile.REGTYPE, link="", data=b""):
    info = tarfile.TarInfo(path)
    info.type, info.linkname, info.mode = kind, link, 0o644
    if kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        info.devmajor, info.devminor = 1, 3
    return info, data


with open(good, "rb") as f:
    text = f.read()
with open(f"{out}/truncated.tar", "wb") as f:
    f.write(text[:len(text) // 2])
with open(f"{out}/noise.tar", "wb") as f:
    f.write(os.urandom(100000))
open(f"{out}/empty.tar", "wb").close()
write("manifest", [("other.json", b"{}")])
plain = layer_of([entry("a", data=b"x")])
image("digest", plain, "sha256:" + "0" * 64)
up = "../" * 30
image("dotdot", layer_of([entry(f"{up}tmp/{ESCAPED}", data=b"x")]))
image("absolute", layer_of([entry(f"/tmp/{ESCAPED}", data=b"x"), entry(f"/{ESCAPED}", data=b"x")]))
image("symlink", layer_of([entry("d", tarfile.SYMTYPE, "/tmp"), entry(f"d/{ESCAPED}", data=b"x"),
                           entry("e", tarfile.SYMTYPE, up + "tmp"), entry(f"e/{ESCAPED}", data=b"x")]))
image("hardlink", layer_of([entry("h", tarfile.LNKTYPE, "/etc/passwd"), entry("i", tarfile.LNKTYPE, up + "etc/passwd")]))
image("device", layer_of([entry("null", tarfile.CHRTYPE), entry("x", data=b"x")]))
