/* fd_pass.c -- messages with descriptors over Unix sockets. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/fd.h"

union control {
    char bytes[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
    struct cmsghdr align;
};

static int pass_fail(struct err *err, const char *what)
{
    if (errno == EAGAIN)
        return err_set_at(err, ERR_UNAVAILABLE, errno, __FILE__, __LINE__, "%s", what);
    return err_sys(err, "%s", what);
}

int fd_send(int sock, const void *p, size_t len, const int *fds, size_t n_fds, struct err *err)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)p, .iov_len = len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    union control control = {0};

    check(n_fds <= FD_PASS_MAX);
    check(len > 0);
    if (n_fds) {
        struct cmsghdr *c;

        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
    }
    while (iov.iov_len) {
        ssize_t n = sendmsg(sock, &msg, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN && iov.iov_len < len) {      /* half a message is no message */
            poll(&(struct pollfd){.fd = sock, .events = POLLOUT}, 1, -1);
            continue;
        }
        if (n < 0)
            return pass_fail(err, "send");
        iov.iov_base = (char *)iov.iov_base + n;      /* a stream may take a part */
        iov.iov_len -= (size_t)n;
        msg.msg_control = NULL;
        msg.msg_controllen = 0;
    }
    return 0;
}

/* Up to `room` received descriptors into fds; the rest is closed. Returns how many came. */
static size_t take_fds(struct msghdr *msg, int *fds, size_t room)
{
    size_t total = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < n; i++, total++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (total < room)
                fds[total] = fd;
            else
                fd_close(fd);
        }
    }
    return total;
}

ssize_t fd_recv(int sock, void *p, size_t len, int *fds, size_t *n_fds, struct err *err)
{
    struct iovec iov = {.iov_base = p, .iov_len = len};
    union control control = {0};
    struct msghdr msg = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    int received[FD_PASS_MAX];
    size_t room = n_fds ? *n_fds : 0;
    size_t total;
    ssize_t n;

    check(room <= FD_PASS_MAX);
    do
        n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return pass_fail(err, "receive");
    total = take_fds(&msg, received, room);
    if (total > room || msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        for (size_t i = 0; i < total && i < room; i++)
            fd_close(received[i]);
        return err_set(err, ERR_QUOTA, "received more than %zu bytes or %zu descriptors", len,
                       room);
    }
    if (total)
        memcpy(fds, received, total * sizeof(int));
    if (n_fds)
        *n_fds = total;
    return n;
}
