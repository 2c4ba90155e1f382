/* box_nc.c -- bytes from here to there: connects, or listens for one connection. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmd/box/box.h"
#include "cmd/box/box_run.h"
#include "core/base/fd.h"
#include "core/base/str.h"

static int copy_some(int from, int to)
{
    char chunk[16384];
    ssize_t n = read(from, chunk, sizeof(chunk));

    if (n > 0 && fd_write_all(to, chunk, (size_t)n, NULL) < 0)
        return -1;
    return n > 0;
}

static int relay(char **argv, int sock, int idle_ms)
{
    struct pollfd p[2] = { { .fd = 0, .events = POLLIN }, { .fd = sock, .events = POLLIN } };

    for (;;) {
        int n = poll(p, 2, p[0].fd < 0 ? idle_ms : -1);

        if (n < 0)
            return box_fail(argv, "poll");
        if (n == 0)
            return 0;
        if (p[0].revents && copy_some(0, sock) <= 0) {
            shutdown(sock, SHUT_WR);
            p[0].fd = -1;
        }
        if (p[1].revents && copy_some(sock, 1) <= 0)
            return 0;
    }
}

static int listen_once(char **argv, int port)
{
    struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
    struct sockaddr_in b = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    _cleanup_fd_ int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1, off = 0, r = -1;

    if (fd >= 0) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        r = bind(fd, (struct sockaddr *)&a, sizeof(a));
    }
    if (r < 0) {
        fd_close(fd);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        r = bind(fd, (struct sockaddr *)&b, sizeof(b));
    }
    if (r < 0 || listen(fd, 1) < 0) {
        box_fail(argv, "listen on port %d", port);
        return -1;
    }
    r = accept(fd, NULL, NULL);
    if (r < 0)
        box_fail(argv, "accept");
    return r;
}

int box_nc(int argc, char **argv)
{
    struct box_opts o = { .argc = argc, .argv = argv, .letters = "lw:zvp:nq:" };
    bool listening = false, only_try = false;
    long long timeout = 30000;
    const char *port = NULL;
    struct err err = ERR_INIT;
    int c, fd, status;
    int64_t number = 0;

    while ((c = box_opt(&o)) != -1) {
        listening = listening || c == 'l';
        only_try = only_try || c == 'z';
        timeout = c == 'w' ? box_duration_ms(o.value, 1000) : timeout;
        port = c == 'p' ? o.value : port;
        if (c == '?' || timeout <= 0)
            return box_usage(argv, "bad option or value");
    }
    if (!port)
        port = argc > o.at ? argv[argc - 1] : "";
    if (str_to_i64(port, 1, 65535, &number, NULL) < 0 || (!listening && argc - o.at != 2))
        return box_usage(argv, "bad port or host");
    box_die_on_signals();
    fd = listening ? listen_once(argv, (int)number) : box_dial(argv[o.at], port, timeout, &err);
    if (fd < 0) {
        if (!listening)
            fprintf(stderr, "nc: %s\n", err.msg);
        return 1;
    }
    status = only_try ? 0 : relay(argv, fd, (int)timeout);
    fd_close(fd);
    return status;
}
