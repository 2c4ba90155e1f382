#!/usr/bin/env python3
"""power_disk.py IMAGE SOCKET SEED: a disk that loses power, as an NBD server of one client at a time.

What is written goes into IMAGE at once, and what each block of 4096 bytes was before is remembered until the next
FLUSH. On SIGUSR1 it waits, by lot, for a FLUSH or a write with something at stake, and kills the client there
and then; a client may also go by itself. Each block that was written since the last FLUSH then takes, by lot, one of
the states it had since then: the old one, the newest, or one in between; blocks on their own, so that writes are lost in
any order. After a goodbye (NBD_CMD_DISC) all is kept.
Prints one line per client: "writes N flushes N undecided N lost N"."""
import os
import random
import select
import signal
import socket
import struct
import sys

BLOCK = 4096
MAGIC, OPT_MAGIC, REPLY_MAGIC = b"NBDMAGIC", b"IHAVEOPT", 0x3E889045565A9
REQUEST, SIMPLE = 0x25609513, 0x67446698
READ, WRITE, DISC, FLUSH = 0, 1, 2, 3
OPT_EXPORT_NAME, OPT_ABORT, OPT_INFO, OPT_GO = 1, 2, 6, 7
REP_ACK, REP_INFO, REP_ERR_UNSUP = 1, 3, 0x80000001
FLAGS = 1 | 4                               # HAS_FLAGS, SEND_FLUSH; no FUA: the client flushes instead
EIO = 5


class Gone(Exception):
    pass


class Disk:
    def __init__(self, path, seed):
        self.fd = os.open(path, os.O_RDWR)
        self.size = os.fstat(self.fd).st_size
        self.random = random.Random(seed)
        self.start()

    def start(self):
        self.states, self.writes, self.flushes, self.waits_for = {}, 0, 0, None

    def arm(self, *_):
        self.waits_for = self.random.choice(("flush", "flush", "write"))

    def is_due(self, what):
        return self.waits_for == what and self.states

    def read(self, at, length):
        return os.pread(self.fd, length, at)

    def write(self, at, data):
        self.writes += 1
        first, last = at // BLOCK, (at + len(data) - 1) // BLOCK
        for n in range(first, last + 1):
            if n not in self.states:
                self.states[n] = [os.pread(self.fd, BLOCK, n * BLOCK)]
        os.pwrite(self.fd, data, at)
        for n in range(first, last + 1):
            self.states[n].append(os.pread(self.fd, BLOCK, n * BLOCK))

    def flush(self):
        self.flushes += 1
        self.states = {}

    def cut(self):
        lost = 0
        for n, states in self.states.items():
            chosen = self.random.choice(states)
            if chosen != states[-1]:
                lost += 1
                os.pwrite(self.fd, chosen, n * BLOCK)
        return lost


def take(conn, length):
    parts = []
    while length:
        part = conn.recv(min(length, 1 << 20))
        if not part:
            raise Gone
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def reply(conn, option, kind, data=b""):
    conn.sendall(struct.pack(">QIII", REPLY_MAGIC, option, kind, len(data)) + data)


def greet(conn, size):
    """The fixed newstyle handshake; True when requests may come."""
    conn.sendall(MAGIC + OPT_MAGIC + struct.pack(">H", 3))
    no_zeroes = struct.unpack(">I", take(conn, 4))[0] & 2
    while True:
        magic, option, length = struct.unpack(">8sII", take(conn, 16))
        assert magic == OPT_MAGIC, magic
        take(conn, length)
        if option == OPT_EXPORT_NAME:
            conn.sendall(struct.pack(">QH", size, FLAGS) + (b"" if no_zeroes else bytes(124)))
            return True
        if option in (OPT_INFO, OPT_GO):
            reply(conn, option, REP_INFO, struct.pack(">HQH", 0, size, FLAGS))
            reply(conn, option, REP_ACK)
            if option == OPT_GO:
                return True
        elif option == OPT_ABORT:
            reply(conn, option, REP_ACK)
            return False
        else:
            reply(conn, option, REP_ERR_UNSUP)


def power_is_off(conn):
    p = select.poll()
    p.register(conn, select.POLLRDHUP)
    return any(events & (select.POLLHUP | select.POLLRDHUP) for _, events in p.poll(0))


def cut_power(conn):
    pid, _, _ = struct.unpack("iii", conn.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    os.kill(pid, signal.SIGKILL)
    raise Gone


def serve(conn, disk):
    """True after a goodbye. What had been sent, but not begun when the power went, never happens."""
    while True:
        magic, _, kind, handle, at, length = struct.unpack(">IHHQQI", take(conn, 28))
        assert magic == REQUEST, magic
        data, error = b"", 0
        if kind != DISC and power_is_off(conn):
            raise Gone
        if kind == FLUSH and disk.is_due("flush"):
            cut_power(conn)
        if kind == DISC:
            return True
        if kind == WRITE:
            disk.write(at, take(conn, length))
            if disk.is_due("write"):
                cut_power(conn)
        elif kind == READ:
            data = disk.read(at, length)
        elif kind == FLUSH:
            disk.flush()
        else:
            error = EIO
        conn.sendall(struct.pack(">IIQ", SIMPLE, error, handle) + data)


def main():
    disk = Disk(sys.argv[1], int(sys.argv[3]))
    signal.signal(signal.SIGUSR1, disk.arm)
    server = socket.socket(socket.AF_UNIX)
    server.bind(sys.argv[2])
    server.listen(1)
    while True:
        conn, _ = server.accept()
        disk.start()
        good = False
        try:
            good = greet(conn, disk.size) and serve(conn, disk)
        except (Gone, ConnectionError):
            pass
        undecided = len(disk.states)
        lost = 0 if good else disk.cut()
        conn.close()
        print("writes", disk.writes, "flushes", disk.flushes, "undecided", undecided, "lost", lost, flush=True)


main()
