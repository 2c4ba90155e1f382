/* runtime/node/node_listen.c -- reads /proc/PID/net/tcp and tcp6 (proc(5)). */
#include "runtime/node/node_listen.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/str.h"

#define STATE_LISTEN 0x0a
#define TEXT_BYTES_MAX (1u << 20)        /* some thousand sockets: more is not looked at */

void node_listen_add(struct node_listen_ports *p, uint16_t port)
{
    for (unsigned i = 0; i < p->n; i++)
        if (p->v[i] == port)
            return;
    if (port && p->n < NODE_LISTEN_PORTS_MAX)
        p->v[p->n++] = port;
}

/* "  0: 00000000:0050 00000000:0000 0A ...": the local port and the state. */
void node_listen_strike(struct node_listen_ports *p, const char *text)
{
    for (const char *line = text; line && *line; line = strchr(line, '\n'), line += line != NULL) {
        unsigned port, state;

        if (sscanf(line, " %*u: %*[0-9A-F]:%4x %*[0-9A-F]:%*4x %2x", &port, &state) != 2 ||
            state != STATE_LISTEN)
            continue;
        for (unsigned i = 0; i < p->n; i++)
            if (p->v[i] == port)
                p->v[i--] = p->v[--p->n];
    }
}

bool node_listen_all(const struct node_listen_ports *ports, pid_t pid)
{
    static const char *const files[] = { "tcp", "tcp6" };
    struct node_listen_ports left = *ports;

    for (size_t i = 0; i < ARRAY_LEN(files) && left.n; i++) {
        _cleanup_(fd_closep) int fd = -1;
        _cleanup_buf_ struct buf text = BUF_INIT;
        char path[64];
        ssize_t n = 1;

        snprintf(path, sizeof(path), "/proc/%d/net/%s", (int)pid, files[i]);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        while (fd >= 0 && n > 0 && text.len < TEXT_BYTES_MAX) {
            buf_reserve(&text, 16384);
            n = read(fd, text.p + text.len, 16384);
            text.len += n > 0 ? (size_t)n : 0;
        }
        buf_chr(&text, '\0');
        node_listen_strike(&left, text.p);
    }
    return left.n == 0;
}
