#include "cmd/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/fd.h"

static int listen_on(int *out, const struct sockaddr *sa, socklen_t len, struct err *err)
{
    _cleanup_fd_ int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1, off = 0;

    if (fd < 0)
        return err_sys(err, "socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (sa->sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, sa, len) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
        if (errno == EADDRINUSE)
            return err_set(err, ERR_EXISTS, "another program listens on this port already");
        return err_sys(err, "listen");
    }
    *out = TAKE_FD(fd);
    return 0;
}

int listen_tcp(int *out, const char *address, uint16_t port, struct err *err)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    struct err why = ERR_INIT;

    if (str_empty(address)) {
        if (listen_on(out, (const struct sockaddr *)&v6, sizeof(v6), &why) == 0)
            return 0;
        if (why.code == ERR_EXISTS) {
            if (err)
                *err = why;
            return -1;
        }
    } else if (inet_pton(AF_INET, address, &v4.sin_addr) != 1) {
        return err_set(err, ERR_INVALID, "\"%s\" is not an IPv4 address", address);
    }
    return listen_on(out, (const struct sockaddr *)&v4, sizeof(v4), err);
}

const char *listen_local(const char *address)
{
    return str_empty(address) || str_eq(address, "0.0.0.0") ? "127.0.0.1" : address;
}
