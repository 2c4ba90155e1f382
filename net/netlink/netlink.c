/* netlink.c -- sockets, requests and answers. */
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "net/netlink/netlink_int.h"

int64_t netlink_now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int netlink_raw(enum netlink_bus bus, struct err *err)
{
    struct sockaddr_nl self = { .nl_family = AF_NETLINK };
    int protocol = bus == NETLINK_BUS_NETFILTER ? NETLINK_NETFILTER : NETLINK_ROUTE;
    _cleanup_fd_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    int on = 1;

    if (fd < 0 && errno == EPROTONOSUPPORT && bus == NETLINK_BUS_NETFILTER)
        return err_set(err, ERR_UNSUPPORTED, "this kernel has no netfilter (module nfnetlink)");
    if (fd < 0)
        return err_sys(err, "open a netlink socket");
    if (bind(fd, (struct sockaddr *)&self, sizeof(self)) < 0)
        return err_sys(err, "bind a netlink socket");
    /* Both since Linux 4.12 or before; without them errors are only less readable. */
    (void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
    (void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
    return TAKE_FD(fd);
}

int netlink_adopt(struct netlink **out, int fd, struct err *err)
{
    struct netlink *nl;

    if (fd < 0)
        return err_set(err, ERR_INVALID, "no netlink socket");
    nl = NEW(struct netlink);
    nl->fd = fd;
    nl->timeout_ms = NETLINK_TIMEOUT_MS;
    nl->recv = mem_alloc(NETLINK_RECV_BYTES);
    /* A reply of an earlier, timed out user of the socket must not match ours. */
    nl->seq = (uint32_t)netlink_now_ms();
    *out = nl;
    return 0;
}

int netlink_open(struct netlink **out, enum netlink_bus bus, struct err *err)
{
    int fd = netlink_raw(bus, err);

    return fd < 0 ? -1 : netlink_adopt(out, fd, err);
}

struct netlink *netlink_free(struct netlink *nl)
{
    if (!nl)
        return NULL;
    fd_close(nl->fd);
    mem_free(nl->recv);
    return mem_free(nl);
}

void netlink_set_timeout(struct netlink *nl, int64_t timeout_ms)
{
    check(timeout_ms >= 0);
    nl->timeout_ms = timeout_ms;
}

void netlink_req_init(struct netlink_req *r, uint16_t type, uint16_t flags, size_t head_bytes)
{
    memset(r->bytes, 0, sizeof(r->bytes));
    r->nlh = mnl_nlmsg_put_header(r->bytes);
    r->nlh->nlmsg_type = type;
    r->nlh->nlmsg_flags = NLM_F_REQUEST | flags;
    r->head = mnl_nlmsg_put_extra_header(r->nlh, head_bytes);
}

static int netlink_send(struct netlink *nl, struct netlink_req *r, const char *what,
                        struct err *err)
{
    struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

    check(r->nlh->nlmsg_len <= sizeof(r->bytes));
    r->nlh->nlmsg_seq = ++nl->seq;
    while (sendto(nl->fd, r->nlh, r->nlh->nlmsg_len, 0, (struct sockaddr *)&kernel,
                  sizeof(kernel)) < 0) {
        if (errno != EINTR)
            return err_sys(err, "%s: send to the kernel", what);
    }
    return 0;
}

ssize_t netlink_receive(struct netlink *nl, int64_t until_ms, struct err *err)
{
    struct pollfd p = { .fd = nl->fd, .events = POLLIN };

    for (;;) {
        int64_t left = until_ms - netlink_now_ms();
        int n = poll(&p, 1, left < 0 ? 0 : left > 60000 ? 60000 : (int)left);
        ssize_t len;

        if (n < 0 && errno != EINTR)
            return err_sys(err, "wait for the kernel");
        if (n == 0 && left <= 0)
            return err_set(err, ERR_TIMEOUT, "the kernel did not answer in time");
        if (n <= 0)
            continue;
        len = recv(nl->fd, nl->recv, NETLINK_RECV_BYTES, MSG_DONTWAIT);
        if (len > 0)
            return len;
        if (len < 0 && errno != EINTR && errno != EAGAIN)
            return err_sys(err, "receive from the kernel");
    }
}

/* The kernel's own text in an error, or NULL. */
static const char *nak_text(const struct nlmsghdr *nlh)
{
    const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
    size_t at = sizeof(*e);
    const struct nlattr *attr;

    if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
        return NULL;
    if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
        at += MNL_ALIGN(e->msg.nlmsg_len) - sizeof(e->msg);
    if (at > mnl_nlmsg_get_payload_len(nlh))
        return NULL;
    mnl_attr_for_each_payload((const void *)((const char *)e + at),
                              mnl_nlmsg_get_payload_len(nlh) - at) {
        if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG &&
            memchr(mnl_attr_get_payload(attr), 0, mnl_attr_get_payload_len(attr)))
            return mnl_attr_get_str(attr);
    }
    return NULL;
}

static int nak_code(int e)
{
    switch (e) {
    case ENODEV:
    case ENOENT:
    case ESRCH:
    case EADDRNOTAVAIL:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case EOPNOTSUPP:
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
        return ERR_UNSUPPORTED;
    case EPERM:
    case EACCES:
        return ERR_DENIED;
    default:
        return ERR_SYSTEM;
    }
}

int netlink_nak(const struct nlmsghdr *nlh, const char *what, struct err *err)
{
    const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
    const char *text;
    int no;

    if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*e))
        return err_set(err, ERR_CORRUPT, "%s: short answer from the kernel", what);
    no = -e->error;
    if (no == 0)
        return 0;
    text = nak_text(nlh);
    return err_set_at(err, nak_code(no), no, __FILE__, __LINE__, "%s%s%s", what,
                      text ? ": " : "", text ? text : "");
}

int netlink_ask(struct netlink *nl, struct netlink_req *r, const char *what, struct err *err)
{
    int64_t until = netlink_now_ms() + nl->timeout_ms;

    r->nlh->nlmsg_flags |= NLM_F_ACK;
    if (netlink_send(nl, r, what, err) < 0)
        return -1;
    for (;;) {
        ssize_t len = netlink_receive(nl, until, err);
        int left = (int)len;

        if (len < 0)
            return err_wrap(err, "%s", what);
        for (struct nlmsghdr *nlh = (struct nlmsghdr *)(void *)nl->recv; mnl_nlmsg_ok(nlh, left);
             nlh = mnl_nlmsg_next(nlh, &left)) {
            if (nlh->nlmsg_seq == nl->seq && nlh->nlmsg_type == NLMSG_ERROR)
                return netlink_nak(nlh, what, err);
        }
    }
}

/* One datagram of an answer: 1 when the answer is complete, 0 when more follows. */
static int dump_part(struct netlink *nl, ssize_t len, const struct netlink_each *each,
                     bool *cut, struct err *err)
{
    int left = (int)len;

    for (struct nlmsghdr *nlh = (struct nlmsghdr *)(void *)nl->recv; mnl_nlmsg_ok(nlh, left);
         nlh = mnl_nlmsg_next(nlh, &left)) {
        if (nlh->nlmsg_seq != nl->seq)
            continue;
        if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
            *cut = true;
        if (nlh->nlmsg_type == NLMSG_ERROR)
            return netlink_nak(nlh, "the kernel", err) < 0 ? -1 : 1;
        if (nlh->nlmsg_type == NLMSG_DONE)
            return 1;
        if (each->on_msg(nlh, each->ctx, err) < 0)
            return -1;
    }
    return 0;
}

int netlink_dump(struct netlink *nl, struct netlink_req *r, const struct netlink_each *each,
                 const char *what, struct err *err)
{
    int64_t until = netlink_now_ms() + nl->timeout_ms;

    if ((r->nlh->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
        r->nlh->nlmsg_flags |= NLM_F_ACK;          /* the acknowledgement ends a single answer */
    for (int i = 0; i < NETLINK_DUMP_TRIES; i++) {
        bool cut = false;
        int done = 0;

        if (i > 0 && each->restart)
            each->restart(each->ctx);
        if (netlink_send(nl, r, what, err) < 0)
            return -1;
        while (!done) {
            ssize_t len = netlink_receive(nl, until, err);

            done = len < 0 ? -1 : dump_part(nl, len, each, &cut, err);
            if (done < 0)
                return err_wrap(err, "%s", what);
        }
        if (!cut)
            return 0;
    }
    return err_set(err, ERR_UNAVAILABLE, "%s: it changed while it was read", what);
}

void netlink_attrs(const struct nlattr **table, unsigned max, const void *p, size_t len)
{
    const struct nlattr *attr;

    for (unsigned i = 0; i <= max; i++)
        table[i] = NULL;
    mnl_attr_for_each_payload(p, len) {
        unsigned type = mnl_attr_get_type(attr);

        if (type <= max)
            table[type] = attr;
    }
}
