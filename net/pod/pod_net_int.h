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

/* Exactly this address. */
int pod_net_ensure_addr(struct netlink *nl, int index, struct ip4 addr, struct err *err);
int pod_net_link_gone(struct netlink *nl, const char *name, struct err *err);

/* pod_net_vxlan.c: the link of this node, made anew where it differs. A peer's end of the tunnel
 * has the first address of its pods' network; its MAC follows from the node's address, so that
 * nodes need not tell each other. */
int pod_net_vxlan_up(struct netlink *nl, const struct pod_net_node *node, struct netlink_link *out,
                     struct err *err);
/* For each peer's end: its MAC, and the node that has it. */
struct pod_net_end { uint32_t end, node; };
int pod_net_vxlan_set(struct netlink *nl, int index, const struct pod_net_end *ends, unsigned n,
                      struct err *err);

/* Whether a link of this name is one of a pod's, by its looks. */
bool pod_net_is_host_if(const char *name);

/* The rules of the node's own part; host ports stay as they are. */
int pod_net_rules_up(const struct pod_net_node *node, const struct pod_net_clock *c,
                     struct err *err);
int pod_net_rules_down(const struct pod_net_clock *c, struct err *err);

#endif
