/* imsg.c -- one SOCK_SEQPACKET packet: struct imsg_head, then the data; descriptors ride along. */
#include "core/loop/imsg.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "core/base/check.h"
#include "core/base/mem.h"

struct imsg_head { uint32_t type, len; };

int imsg_pair(int out[2], struct err *err)
{
    int bytes = 2 * IMSG_BYTES_MAX;             /* the largest record and its overhead */
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return err_sys(err, "socket pair");
    /* best effort: the default nearly always suffices */
    for (int i = 0; i < 2; i++)
        (void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    out[0] = fds[0];
    out[1] = fds[1];
    return 0;
}

int imsg_send(int sock, uint32_t type, const void *p, size_t len, const int *fds, size_t n_fds,
              struct err *err)
{
    _cleanup_(mem_freep) char *packet = NULL;
    struct imsg_head head = { type, (uint32_t)len };
    struct err why = ERR_INIT;

    if (len > IMSG_BYTES_MAX)
        return err_set(err, ERR_QUOTA, "record of %zu bytes, limit %u", len, IMSG_BYTES_MAX);
    if (n_fds > FD_PASS_MAX)
        return err_set(err, ERR_QUOTA, "record with %zu descriptors, limit %d", n_fds, FD_PASS_MAX);
    packet = mem_alloc(sizeof(head) + len);
    memcpy(packet, &head, sizeof(head));
    if (len > 0)
        memcpy(packet + sizeof(head), p, len);
    if (fd_send(sock, packet, sizeof(head) + len, fds, n_fds, &why) == 0)
        return 0;
    if (why.code == ERR_SYSTEM && (why.sys_errno == EAGAIN || why.sys_errno == EWOULDBLOCK))
        return err_set(err, ERR_UNAVAILABLE, "send record: the peer does not read");
    if (err)
        *err = why;
    return err_wrap(err, "send record");
}

/* Bytes of the next packet, 0 at EOF. */
static ssize_t imsg_peek(int sock, struct err *err)
{
    char c;
    ssize_t n;

    /* ECONNRESET: the peer closed with records of ours unread. It is told once, and before what the
     * peer had sent: its last words still wait behind it. */
    do
        n = recv(sock, &c, 1, MSG_PEEK | MSG_TRUNC);
    while (n < 0 && (errno == EINTR || errno == ECONNRESET));
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return err_set(err, ERR_UNAVAILABLE, "no record yet");
    return n < 0 ? err_sys(err, "receive record") : n;
}

static void imsg_close_fds(const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fd_close(fds[i]);
}

int imsg_recv(int sock, struct imsg *out, struct err *err)
{
    _cleanup_(mem_freep) char *packet = NULL;
    struct imsg_head head;
    int fds[FD_PASS_MAX];
    size_t n_fds = FD_PASS_MAX;
    ssize_t n = imsg_peek(sock, err);

    if (n <= 0)
        return (int)n;
    if ((size_t)n > sizeof(head) + IMSG_BYTES_MAX)
        return err_set(err, ERR_QUOTA, "record of %zd bytes, limit %u", n, IMSG_BYTES_MAX);
    packet = mem_alloc((size_t)n + sizeof(head) + 1);
    n = fd_recv(sock, packet, (size_t)n, fds, &n_fds, err);
    if (n < 0)
        return err_wrap(err, "receive record");
    memcpy(&head, packet, sizeof(head));
    if ((size_t)n < sizeof(head) || head.len != (size_t)n - sizeof(head)) {
        imsg_close_fds(fds, n_fds);
        return err_set(err, ERR_CORRUPT, "record of %zd bytes says %u", n, head.len);
    }
    memmove(packet, packet + sizeof(head), head.len);
    packet[head.len] = 0;
    *out =
        (struct imsg){ .type = head.type, .len = head.len, .data = TAKE(packet), .n_fds = n_fds };
    for (size_t i = 0; i < FD_PASS_MAX; i++)
        out->fds[i] = i < n_fds ? fds[i] : -1;
    return 1;
}

void imsg_deinit(struct imsg *m)
{
    if (m->data)
        imsg_close_fds(m->fds, m->n_fds);
    m->data = mem_free(m->data);
    m->len = m->n_fds = 0;
}

int imsg_take_fd(struct imsg *m, size_t i)
{
    return i < m->n_fds ? TAKE_FD(m->fds[i]) : -1;
}

int imsg_send_err(int sock, const struct err *what, struct err *err)
{
    struct err copy = *what;

    copy.file = NULL;                           /* means nothing elsewhere */
    return imsg_send(sock, IMSG_ERR, &copy, sizeof(copy), NULL, 0, err);
}

void imsg_get_err(const struct imsg *m, struct err *out)
{
    struct err got;

    check(m->type == IMSG_ERR);
    if (m->len != sizeof(got)) {
        err_set(out, ERR_CORRUPT, "an error record of %zu bytes", m->len);
        return;
    }
    memcpy(&got, m->data, sizeof(got));
    got.file = NULL;
    got.msg[sizeof(got.msg) - 1] = 0;
    if (got.code <= ERR_NONE || got.code >= ERR_CODE_MAX)
        got.code = ERR_FAILED;
    *out = got;
}
