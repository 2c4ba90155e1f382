/* keep.c -- see keep.h. */
#include "cmd/keep.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/loop/child.h"

#define SOCKET_FILE "dns.sock"

enum { KEEP_SOCKETS = IMSG_USER };
enum { LISTENER_FD = IMSG_FD + 1, UDP_FD, TCP_FD };

/* By a short name: a run directory may be longer than a socket's address. */
static int address(struct sockaddr_un *out, const char *run_dir, struct err *err)
{
    int dir = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

    *out = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (dir < 0)
        return err_sys(err, "%s", run_dir);
    snprintf(out->sun_path, sizeof(out->sun_path), "/proc/self/fd/%d/" SOCKET_FILE, dir);
    return dir;
}

static bool is_ours(int sock)
{
    struct ucred who;
    socklen_t len = sizeof(who);

    return getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.uid == geteuid();
}

int keep_start(struct loop *l, const char *run_dir, int udp, int tcp, struct err *err)
{
    struct child_opts opts = { .verb = KEEP_VERB, .detached = true };
    _cleanup_fd_ int dir = -1, listener = -1;
    struct child *c = NULL;
    struct sockaddr_un at;

    dir = address(&at, run_dir, err);
    if (dir < 0)
        return -1;
    (void)unlinkat(dir, SOCKET_FILE, 0);
    listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 ||
        fchmodat(dir, SOCKET_FILE, 0600, 0) < 0 || listen(listener, 4) < 0)
        return err_sys(err, "%s/" SOCKET_FILE, run_dir);
    opts.fds[0] = listener;
    opts.fds[1] = udp;
    opts.fds[2] = tcp;
    opts.fds[3] = -1;
    if (child_start(&c, l, &opts, err) < 0)
        return -1;
    child_free(c);                       /* it goes on */
    return 0;
}

static int connect_to(const char *run_dir)
{
    struct timeval limit = { .tv_sec = KEEP_ANSWER_MS / 1000 };
    _cleanup_fd_ int dir = -1, sock = -1;
    struct sockaddr_un at;

    dir = address(&at, run_dir, NULL);
    if (dir < 0)
        return -1;
    sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (sock < 0 || setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
        connect(sock, (struct sockaddr *)&at, sizeof(at)) < 0 || !is_ours(sock))
        return -1;
    (void)unlinkat(dir, SOCKET_FILE, 0);
    return TAKE_FD(sock);
}

static bool is_bound_to(int sock, const char *ip)
{
    struct sockaddr_in have;
    socklen_t len = sizeof(have);
    struct in_addr want;

    return inet_pton(AF_INET, ip, &want) == 1 &&
           getsockname(sock, (struct sockaddr *)&have, &len) == 0 &&
           have.sin_family == AF_INET && have.sin_addr.s_addr == want.s_addr;
}

bool keep_take(const char *run_dir, const char *ip, int *udp, int *tcp)
{
    _cleanup_fd_ int sock = connect_to(run_dir);
    _cleanup_(imsg_deinit) struct imsg m = { 0 };

    if (sock < 0 || imsg_recv(sock, &m, NULL) != 1 || m.type != KEEP_SOCKETS || m.n_fds != 2 ||
        !is_bound_to(m.fds[0], ip) || !is_bound_to(m.fds[1], ip))
        return false;
    *udp = imsg_take_fd(&m, 0);
    *tcp = imsg_take_fd(&m, 1);
    return true;
}

void keep_drop(const char *run_dir)
{
    _cleanup_fd_ int sock = connect_to(run_dir);
    struct imsg m = { 0 };

    while (sock >= 0 && imsg_recv(sock, &m, NULL) == 1)      /* until its end closes when it ends */
        imsg_deinit(&m);
}

int keep_main(int argc, char **argv)
{
    struct pollfd p = { .fd = LISTENER_FD, .events = POLLIN };
    const int fds[2] = { UDP_FD, TCP_FD };
    struct err err = ERR_INIT;
    int conn, ready;

    (void)argc, (void)argv;
    (void)prctl(PR_SET_NAME, "inro-keep");
    (void)fd_close(IMSG_FD);
    do
        ready = poll(&p, 1, KEEP_MS);
    while (ready < 0 && errno == EINTR);
    conn = ready > 0 ? accept4(LISTENER_FD, NULL, NULL, SOCK_CLOEXEC) : -1;
    if (conn < 0 || !is_ours(conn))
        return 0;
    return imsg_send(conn, KEEP_SOCKETS, "", 0, fds, 2, &err) < 0 ? 1 : 0;
}
