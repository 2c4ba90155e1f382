"""look.py: what a node of a test has on its machine, seen from outside: processes, and everything that it could leave.

    look.py left  WORK CGROUP_ROOT PARENT     all that must be the same before and after, as lines
    look.py memory WORK CGROUP_ROOT PARENT    PSS of parent and roles in KB

To be run in the node's network namespace. WORK holds data and run; PARENT is the server's process id."""
import collections
import glob
import json
import os
import subprocess
import sys


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read().decode(errors="replace")
    except OSError:
        return ""


def link(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""


def children(pid):
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        found += [int(p) for p in read(path).split()]
    return found


def words(pid):
    return read(f"/proc/{pid}/cmdline").split("\0")


def state(pid):
    return read(f"/proc/{pid}/stat").rpartition(")")[2].split()[:1]


class Look:
    def __init__(self, work, cgroup_root, parent):
        self.work, self.cgroup_root, self.parent = work, cgroup_root, int(parent)
        self.run, self.data = work + "/run", work + "/data"

    def role(self, name):
        """The process id of a role, or None."""
        for pid in children(self.parent):
            if words(pid)[1:2] == [name]:
                return pid
        return None

    def roles(self):
        return {"parent": self.parent, **{n: self.role(n) for n in ("control", "node", "dns")}}

    def records(self):
        """What shims wrote down: (uid of the pod, record)."""
        for path in glob.glob(self.run + "/pods/*/state.json"):
            try:
                yield path.split("/")[-2], json.loads(read(path))
            except ValueError:
                pass

    def shims(self):
        """{pid: uid of its pod}"""
        return {r["shim"]: uid for uid, r in self.records() if read(f"/proc/{r['shim']}/comm") == "inro-shim\n"}

    def group_dirs(self):
        roots = ["/sys/fs/cgroup"] + glob.glob("/sys/fs/cgroup/*")
        return [d for r in roots for d, _, _ in os.walk(f"{r}/{self.cgroup_root}")]

    def containers(self):
        """{pid: uid of its pod} of the first processes of containers."""
        return {c["pid"]: uid for uid, r in self.records() for c in r["containers"] if c["pid"] and c["state"] == "running"}

    # --- all that must be the same before and after

    def mounts(self):
        for name, pid in self.roles().items():
            for line in read(f"/proc/{pid}/mountinfo").splitlines():
                if self.work in line.split()[4]:
                    yield f"mount of {name}: {line.split()[4]}"

    def network(self):
        for what in ("link", "addr", "neigh", "rule", "route show table all"):
            text = subprocess.run(["ip", "-o", *what.split()], capture_output=True, text=True, check=True).stdout
            for line in text.splitlines():
                if what == "link":
                    line = line.split(": ")[1]
                # what the kernel itself does for IPv6 and for a bridge without ports comes and goes
                line = line.partition(" valid_lft")[0].replace(" linkdown", "").strip()
                if "fe80" not in line and "ff00" not in line and (what != "neigh" or "10.42." in line):
                    yield f"{what}: {line}"
        text = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
        for n, line in enumerate(text.splitlines()):
            yield f"nft {n:05}: {line.strip()}"

    def files(self):
        for base in ("run", "data/pods", "data/logs", "data/images/leases", "data/images/tmp"):
            for directory, dirs, names in os.walk(f"{self.work}/{base}"):
                for name in dirs + names:
                    yield "file: " + os.path.join(directory, name)
        for line in read(self.run + "/addresses").splitlines():
            yield "address: " + line

    def processes(self):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            if link(f"/proc/{pid}/exe").startswith(self.run + "/"):
                yield f"process: {' '.join(words(pid))}"
        for name, pid in self.roles().items():
            for child in children(pid):
                if state(child) == ["Z"]:
                    yield f"zombie of {name}: {read(f'/proc/{child}/comm').strip()}"

    def descriptors(self):
        for name, pid in self.roles().items():
            kinds = collections.Counter()
            for path in glob.glob(f"/proc/{pid}/fd/*"):
                target = link(path)
                kinds[target.partition("[")[0] if ":[" in target else target] += 1
            for kind, n in kinds.items():
                yield f"descriptors of {name}: {n} {kind}"

    def left(self, descriptors=True):
        lines = [*self.mounts(), *self.network(), *self.files(), *self.processes()]
        lines += ["group: " + d for d in self.group_dirs()]
        return sorted(lines + (list(self.descriptors()) if descriptors else []))

    def memory(self):
        found = {}
        for name, pid in self.roles().items():
            for line in read(f"/proc/{pid}/smaps_rollup").splitlines():
                if line.startswith("Pss:"):
                    found[name] = int(line.split()[1])
        return found


def main():
    look = Look(*sys.argv[2:5])
    if sys.argv[1] == "memory":
        print(json.dumps(look.memory()))
    else:
        print("\n".join(look.left()))


if __name__ == "__main__":
    main()
