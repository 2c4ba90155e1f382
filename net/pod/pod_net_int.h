/* pod_net_int.h -- inside the room. */
#ifndef NET_POD_POD_NET_INT_H
#define NET_POD_POD_NET_INT_H

#include "net/netlink/nft.h"
#include "net/pod/pod_net.h"

#define POD_NET_TABLE "inro-pod"

/* How long is left of a call that began with `deadline_ms`. */
struct pod_net_clock { int64_t until_ms; };
void pod_net_clock_start(struct pod_net_clock *c, int64_t deadline_ms);
int64_t pod_net_clock_left(const struct pod_net_clock *c);       /* never negative */
int pod_net_open(struct netlink **out, enum netlink_bus bus, const struct pod_net_clock *c,
                 struct err *err);

/* Whether a link of this name is one of a pod's, by its looks. */
bool pod_net_is_host_if(const char *name);

/* The rules of the node's own part; host ports stay as they are. */
int pod_net_rules_up(const struct pod_net_node *node, const struct pod_net_clock *c,
                     struct err *err);
int pod_net_rules_down(const struct pod_net_clock *c, struct err *err);

#endif
