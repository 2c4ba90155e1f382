/* netlink_int.h -- inside the room: one request and its answers. */
#ifndef NET_NETLINK_NETLINK_INT_H
#define NET_NETLINK_NETLINK_INT_H

#include <libmnl/libmnl.h>

#include "net/netlink/netlink.h"

#define NETLINK_REQ_BYTES 4096
#define NETLINK_RECV_BYTES 65536
#define NETLINK_DUMP_TRIES 8            /* a dump that others' changes cut through is asked again */

struct netlink {
    int fd;
    uint32_t seq;
    int64_t timeout_ms;
    char *recv;                          /* NETLINK_RECV_BYTES */
};

/* A request under construction; attributes are added to `nlh`. */
struct netlink_req {
    struct nlmsghdr *nlh;
    void *head;                          /* the fixed part after nlh */
    _Alignas(8) char bytes[NETLINK_REQ_BYTES];
};

void netlink_req_init(struct netlink_req *r, uint16_t type, uint16_t flags, size_t head_bytes);

/* Sends and waits for the acknowledgement. `what` names the request in errors. */
int netlink_ask(struct netlink *nl, struct netlink_req *r, const char *what, struct err *err);

/* Sends with NLM_F_DUMP, or for a single answer, and calls on_msg for each message of the answer.
 * on_msg returns -1 with err to give up. `restart` is called before the dump is asked again. */
struct netlink_each {
    int (*on_msg)(const struct nlmsghdr *nlh, void *ctx, struct err *err);
    void (*restart)(void *ctx);
    void *ctx;
};
int netlink_dump(struct netlink *nl, struct netlink_req *r, const struct netlink_each *each,
                 const char *what, struct err *err);

/* One datagram with the deadline; returns its length. */
ssize_t netlink_receive(struct netlink *nl, int64_t until_ms, struct err *err);
int64_t netlink_now_ms(void);
/* The error a NLMSG_ERROR carries, with the kernel's words; 0 when it is an acknowledgement. */
int netlink_nak(const struct nlmsghdr *nlh, const char *what, struct err *err);

/* Attributes as a table indexed by type; values not there are NULL. */
struct nlattr;
void netlink_attrs(const struct nlattr **table, unsigned max, const void *p, size_t len);

#endif
