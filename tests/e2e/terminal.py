#!/usr/bin/env python3
"""terminal.py ROWSxCOLS STEP... -- COMMAND...: runs a command on a terminal of its own and plays a dialogue.

Each STEP is "WANT=>SEND": once WANT was printed, SEND is typed ("\\n" is Enter). SEND "resize:ROWSxCOLS:MARK" changes
the size, and waits until a process whose command line is MARK sees it. Prints all output; exits as the command does."""
import fcntl, os, pty, select, signal, struct, sys, termios, time


def set_size(fd, text):
    rows, cols = (int(n) for n in text.split("x"))
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
    return rows, cols


def sizes_seen_by(mark):
    seen = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if f.read().replace(b"\0", b" ").strip() != mark.encode():
                    continue
            fd = os.open(f"/proc/{pid}/fd/0", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
            try:
                seen.add(struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8)))[:2])
            finally:
                os.close(fd)
        except OSError:
            continue
    return seen


def play(fd, pid, send):
    if not send.startswith("resize:"):
        os.write(fd, send.replace("\\n", "\n").encode())
        return
    _, size, mark = send.split(":")
    want = set_size(fd, size)
    os.kill(pid, signal.SIGWINCH)
    end = time.time() + 10
    while want not in sizes_seen_by(mark) and time.time() < end:
        time.sleep(0.05)
    os.write(fd, b"echo size-%d\n" % (want in sizes_seen_by(mark)))


def main():
    split = sys.argv.index("--")
    size, steps, command = sys.argv[1], [s.split("=>", 1) for s in sys.argv[2:split]], sys.argv[split + 1:]
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    set_size(fd, size)
    out, end = b"", time.time() + 30
    while time.time() < end:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                piece = os.read(fd, 65536)
            except OSError:
                break
            if not piece:
                break
            out += piece
        if steps and steps[0][0].encode() in out:
            play(fd, pid, steps.pop(0)[1])
    if time.time() >= end:
        os.kill(pid, signal.SIGKILL)
    sys.stdout.write(out.decode(errors="replace"))
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 255)


main()
