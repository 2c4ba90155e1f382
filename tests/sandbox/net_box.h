/* net_box.h -- network namespaces for the tests of net: made by unshare, gone with the test's
 * process. They have no way outside. */
#ifndef TESTS_SANDBOX_NET_BOX_H
#define TESTS_SANDBOX_NET_BOX_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness/test.h"

/* A new, empty network namespace; this process stays in its own. Returns the namespace's fd. */
static inline int net_box_new(void)
{
    int before = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), made;

    EXPECT(before >= 0);
    if (unshare(CLONE_NEWNET) < 0)
        test_skip("no new network namespace: needs root");
    made = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    EXPECT(made >= 0);
    EXPECT_EQ(setns(before, CLONE_NEWNET), 0);
    close(before);
    return made;
}

static inline void net_box_enter(int ns)
{
    EXPECT_EQ(setns(ns, CLONE_NEWNET), 0);
}

/* This process moves to a namespace of its own for good; returns its fd. A /proc/sys that belongs
 * to it, writable, is mounted where this process only sees it. */
static inline int net_box_here(void)
{
    int ns = net_box_new();

    net_box_enter(ns);
    if (unshare(CLONE_NEWNS) < 0)
        test_skip("no new mount namespace: needs root");
    EXPECT_EQ(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    EXPECT_EQ(mount("proc", "/proc", "proc", 0, NULL), 0);
    return ns;
}

static inline struct sockaddr_in net_box_addr(const char *ip, uint16_t port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };

    EXPECT_EQ(inet_pton(AF_INET, ip, &a.sin_addr), 1);
    return a;
}

/* Answers every TCP connection (or datagram) with `text` and the peer's address, for ever, in a
 * child in the namespace `ns`. */
static inline pid_t net_box_serve(int ns, int type, const char *ip, uint16_t port,
                                  const char *text)
{
    struct sockaddr_in a = net_box_addr(ip, port);
    int ready[2], on = 1;
    pid_t pid;
    char c;

    EXPECT_EQ(pipe2(ready, O_CLOEXEC), 0);
    pid = fork();
    EXPECT(pid >= 0);
    if (pid == 0) {
        int s;

        if (setns(ns, CLONE_NEWNET) < 0)
            _exit(2);
        s = socket(AF_INET, type | SOCK_CLOEXEC, 0);
        setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (bind(s, (struct sockaddr *)&a, sizeof(a)) < 0 ||
            (type == SOCK_STREAM && listen(s, 128) < 0))
            _exit(3);
        if (write(ready[1], "r", 1) != 1)
            _exit(4);
        for (;;) {
            struct sockaddr_in peer;
            socklen_t len = sizeof(peer);
            char said[128], ip_text[INET_ADDRSTRLEN];
            int n;

            if (type == SOCK_STREAM) {
                int conn = accept(s, (struct sockaddr *)&peer, &len);

                inet_ntop(AF_INET, &peer.sin_addr, ip_text, sizeof(ip_text));
                n = snprintf(said, sizeof(said), "%s %s", text, ip_text);
                if (conn >= 0 && send(conn, said, (size_t)n, MSG_NOSIGNAL) != n)
                    fprintf(stderr, "server: short send\n");
                close(conn);
            } else if (recvfrom(s, said, sizeof(said), 0, (struct sockaddr *)&peer, &len) >= 0) {
                inet_ntop(AF_INET, &peer.sin_addr, ip_text, sizeof(ip_text));
                n = snprintf(said, sizeof(said), "%s %s", text, ip_text);
                sendto(s, said, (size_t)n, 0, (struct sockaddr *)&peer, len);
            }
        }
    }
    close(ready[1]);
    EXPECT_EQ(read(ready[0], &c, 1), 1);
    close(ready[0]);
    return pid;
}

/* Connects (or asks by a datagram) from the namespace `ns` and returns what the server said; "" and
 * errno when it did not work within the time. */
static inline const char *net_box_ask_by(int ns, int sock, const char *ip, uint16_t port,
                                         int wait_ms, char out[128])
{
    struct sockaddr_in a = net_box_addr(ip, port);
    struct pollfd p = { .fd = sock, .events = POLLIN };
    struct timeval tv = { wait_ms / 1000, wait_ms % 1000 * 1000 };
    ssize_t n;

    (void)ns;
    out[0] = 0;
    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
    if (connect(sock, (struct sockaddr *)&a, sizeof(a)) < 0)
        return out;
    if (send(sock, "?", 1, MSG_NOSIGNAL) < 0)
        return out;
    if (poll(&p, 1, wait_ms) != 1) {
        errno = ETIMEDOUT;
        return out;
    }
    n = recv(sock, out, 127, 0);
    if (n < 0)
        return out;
    out[n] = 0;
    return out;
}

static inline const char *net_box_ask(int ns, int type, const char *ip, uint16_t port, int wait_ms,
                                      char out[128])
{
    int before = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), sock, e;

    EXPECT(before >= 0);
    net_box_enter(ns);
    sock = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    EXPECT(sock >= 0);
    net_box_enter(before);
    close(before);
    net_box_ask_by(ns, sock, ip, port, wait_ms, out);
    e = errno;
    close(sock);
    errno = e;
    return out;
}

#endif
