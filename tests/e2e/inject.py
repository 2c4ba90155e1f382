#!/usr/bin/env python3
"""inject.py PID ROLE: makes a live role, stopped for a moment, try what it must not (x86-64).

A debugger's way: the process is stopped, one of its own `syscall` instructions runs with numbers and
arguments of ours, the answer is read, and it goes on as if nothing had been. So the call is made
by the very process with all that is in force there: user, filter, Landlock.

  inject.py PID control|dns|probe|pull|unpack [PORT]  all attempts; PORT: something else listens there.
                                         Prints each that was not refused; last line "N refused"
  inject.py PID CALL [ARG...]            one call by its number; prints its answer, or "killed"
  inject.py --wait VERB FOLDER           the process "inro VERB" with a descriptor in FOLDER, once
                                         its filter is on: prints its number, stopped (SIGSTOP)
"""
import ctypes
import errno
import os
import signal
import struct
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
GETREGS, SETREGS, SINGLESTEP, DETACH, SEIZE, INTERRUPT = 12, 13, 9, 17, 0x4206, 0x4207
WALL = 0x40000000
NAMES = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss "
         "fs_base gs_base ds es fs gs").split()


class Regs(ctypes.Structure):
    _fields_ = [(n, ctypes.c_ulonglong) for n in NAMES]


class Killed(Exception):
    pass


class Tracee:
    def __init__(self, pid):
        self.pid = pid
        self.ptrace(SEIZE, 0, 0)
        self.ptrace(INTERRUPT, 0, 0)
        self.wait()
        self.before = Regs()
        self.ptrace(GETREGS, 0, ctypes.addressof(self.before))
        self.mem = os.open(f"/proc/{pid}/mem", os.O_RDWR)
        self.at = self.find()

    def ptrace(self, what, addr, data):
        if libc.ptrace(what, self.pid, addr, data) < 0:
            raise OSError(ctypes.get_errno(), f"ptrace {what}")

    def wait(self):
        while True:
            _, status = os.waitpid(self.pid, WALL)
            if os.WIFSIGNALED(status) or os.WIFEXITED(status):
                raise Killed(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0)
            if os.WSTOPSIG(status) == signal.SIGTRAP or status >> 16 == 128:
                return
            self.ptrace(SINGLESTEP, 0, os.WSTOPSIG(status))

    def find(self):
        for line in open(f"/proc/{self.pid}/maps"):
            span, mode, *_ = line.split()
            if "x" in mode and "inro" in line:
                start, end = (int(x, 16) for x in span.split("-"))
                found = os.pread(self.mem, end - start, start).find(b"\x0f\x05")
                if found >= 0:
                    return start + found
        raise SystemExit("no syscall instruction")

    def call(self, nr, *args):
        """The answer: below 0 is -errno."""
        regs = Regs.from_buffer_copy(self.before)
        room = self.before.rsp - 4096
        values = []
        for a in args:
            if isinstance(a, (bytes, str)):
                a = a.encode() + b"\0" if isinstance(a, str) else a
                os.pwrite(self.mem, a, room)
                values.append(room)
                room += len(a) + 8 & ~7
            else:
                values.append(a & (1 << 64) - 1)
        values += [0] * (6 - len(values))
        regs.rip, regs.rax, regs.orig_rax = self.at, nr, (1 << 64) - 1
        regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9 = values
        self.ptrace(SETREGS, 0, ctypes.addressof(regs))
        while regs.rip == self.at:       # a stop of another kind may come first
            self.ptrace(SINGLESTEP, 0, 0)
            self.wait()
            self.ptrace(GETREGS, 0, ctypes.addressof(regs))
        return ctypes.c_longlong(regs.rax).value

    def leave(self):
        os.close(self.mem)
        self.ptrace(SETREGS, 0, ctypes.addressof(self.before))
        self.ptrace(DETACH, 0, 0)


AT_FDCWD = -100
O_WRONLY, O_CREAT, O_DIRECTORY = 1, 0o100, 0o200000
INET, INET6, UNIX, NETLINK, PACKET, ALG, VSOCK = 2, 10, 1, 16, 17, 38, 40
STREAM, DGRAM, RAW, SEQPACKET = 1, 2, 3, 5


def inet(port):
    return struct.pack("<H", INET) + struct.pack(">H", port) + bytes([127, 0, 0, 1]) + bytes(8)


def attempts(role, pid, port):
    """name, number, arguments; or name and a function of the tracee."""
    parent = int(open(f"/proc/{pid}/stat").read().rsplit(")")[1].split()[1])

    def dial(t):
        fd = t.call(41, INET, STREAM, 0)
        if fd < 0:
            return fd
        got = t.call(42, fd, inet(port), 16)
        t.call(3, fd)
        return got

    def fast_open(t):
        fd = t.call(41, INET, STREAM, 0)
        if fd < 0:
            return fd
        got = t.call(44, fd, b"x", 1, 0x20000000, inet(port), 16)
        t.call(3, fd)
        return got

    def bind(t):
        fd = t.call(41, INET, STREAM, 0)
        if fd < 0:
            return fd
        got = t.call(49, fd, inet(18999), 16)
        t.call(3, fd)
        return got

    files = [("open /etc/shadow", "/etc/shadow", 0), ("open /etc/passwd", "/etc/passwd", 0),
             ("open /proc/1/environ", "/proc/1/environ", 0), ("open /", "/", O_DIRECTORY),
             ("write /tmp", "/tmp/inro-inject", O_WRONLY | O_CREAT),
             ("open /dev/kmsg", "/dev/kmsg", 0), ("open /proc/self/mem", "/proc/self/mem", 2)]
    if role == "probe":                  # reads where resolv.conf lies, as everybody may
        files = [f for f in files if f[0] != "open /etc/passwd"]
    if role == "unpack":                 # its "/" is the new tree, which it may change
        files = [f for f in files if f[0] not in ("open /", "write /tmp")]
    rows = [(what, 257, AT_FDCWD, path, flags, 0o600) for what, path, flags in files]
    rows += [
        ("fork", 56, 17, 0, 0, 0, 0), ("vfork", 58), ("clone3", 435, b"\0" * 64, 64),
        ("kill the parent", 62, parent, 0), ("kill init", 62, 1, 0), ("kill all", 62, -1, 0),
        ("tgkill the parent", 234, parent, parent, 0), ("pidfd_open", 434, parent, 0),
        ("setuid 0", 105, 0), ("setresuid 0", 117, 0, 0, 0), ("setgid 0", 106, 0),
        ("capset", 126, struct.pack("<II", 0x20080522, 0), b"\xff" * 24),
        ("prctl dumpable", 157, 4, 1), ("prctl keepcaps", 157, 8, 1),
        ("seccomp", 317, 1, 0, b"\0" * 16), ("socket unix", 41, UNIX, STREAM, 0),
        ("socket netlink", 41, NETLINK, RAW, 0), ("socket packet", 41, PACKET, RAW, 0),
        ("socket raw", 41, INET, RAW, 1), ("socket alg", 41, ALG, SEQPACKET, 0),
        ("socket vsock", 41, VSOCK, STREAM, 0), ("socket mptcp", 41, INET, STREAM, 262),
        ("listen", 50, 3, 1),
        ("memory to run", 9, 0, 4096, 5, 0x22, -1, 0), ("personality", 135, 0x40000),
        ("sethostname", 170, b"x", 1), ("syslog", 103, 3, 0, 0), ("ioctl TIOCSTI", 16, 0, 0x5412, b"x"),
        ("setrlimit of the parent", 302, parent, 7, b"\0" * 16, 0), ("shmget", 29, 0, 4096, 0o1666),
        ("mq_open", 240, "/x", O_CREAT, 0o600, 0), ("memfd_create", 319, "x", 0),
        ("inotify_init", 294, 0), ("fanotify_init", 300, 0, 0),
        ("sched_setscheduler", 144, 0, 1, struct.pack("<I", 1)), ("bind", bind),
        ("fast open", fast_open),
    ]
    if role != "control":                # which makes some for tunnels to nodes
        rows.append(("socketpair", 53, UNIX, STREAM, 0, b"\0" * 8))
    if role not in ("pull", "probe"):    # registries are anywhere, and so may probes be
        rows.append((f"connect to port {port}", dial))
    if role != "unpack":
        rows += [("mknod", 259, AT_FDCWD, "/n", 0o20666, 0x103), ("chown", 260, AT_FDCWD, "/", 0, 0, 0),
                 ("chmod", 268, AT_FDCWD, "/", 0o777, 0)]
    return rows


def try_all(pid, role, port):
    refused, bad = 0, []
    t = Tracee(pid)
    try:
        for what, how, *args in attempts(role, pid, port):
            got = how(t) if callable(how) else t.call(how, *args)
            # a path that is not there for it is as good as one that is refused
            fine = [errno.EPERM, errno.EACCES]
            fine += [errno.ENOENT] if what.startswith(("open", "write")) else []
            fine += [errno.ENOSYS] if what == "clone3" else []
            if -got in fine:
                refused += 1
            else:
                bad.append(f"{role}: {what}: {got}" + (f" {os.strerror(-got)}" if got < 0 else ""))
    finally:
        t.leave()
    print(*bad, sep="\n", end="\n" if bad else "")
    print(f"{refused} refused")
    return 1 if bad else 0


def one(pid, nr, args):
    t = Tracee(pid)
    try:
        print(t.call(nr, *(int(a, 0) if a.lstrip("-").isdigit() else a for a in args)))
    except Killed as k:
        print("killed", k.args[0])
        return 0
    t.leave()
    return 0


def inside(pid, folder):
    try:
        if any(os.readlink(f"/proc/{pid}/fd/{fd}").startswith(folder)
               for fd in os.listdir(f"/proc/{pid}/fd")):
            return True
    except OSError:
        pass
    return False


def wait_for(verb, folder):
    end = time.time() + 20
    want = b"inro\0" + verb.encode() + b"\0"
    while time.time() < end:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if open(f"/proc/{pid}/cmdline", "rb").read() != want or not inside(pid, folder):
                    continue
                os.kill(int(pid), signal.SIGSTOP)
                if "\nSeccomp:\t2\n" in open(f"/proc/{pid}/status").read():
                    print(pid)
                    return 0
                os.kill(int(pid), signal.SIGCONT)
            except OSError:
                continue
        time.sleep(0.0005)
    return 1


if __name__ == "__main__":
    if sys.argv[1] == "--wait":
        sys.exit(wait_for(sys.argv[2], sys.argv[3]))
    if sys.argv[2].isdigit():
        sys.exit(one(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
    sys.exit(try_all(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1))
