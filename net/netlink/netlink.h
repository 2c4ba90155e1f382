/* net/netlink/netlink.h -- the kernel's network configuration: links, addresses, routes, conntrack.
 *
 * A `struct netlink` is one blocking netlink socket with a deadline per request, for job threads
 * and children; never for loops. It belongs to the network namespace it was opened in, wherever it
 * is used: a child that entered a pod's namespace opens the socket and passes it home. One thread
 * at a time.
 *
 * Errors carry the kernel's own words (extended ack) where there are any. Codes a caller may want
 * to tell apart: ERR_NOT_FOUND (no such link, address, route), ERR_EXISTS, ERR_TIMEOUT; the rest is
 * ERR_SYSTEM with sys_errno.
 *
 * The second door of the room is nft.h: nftables batches.
 */
#ifndef NET_NETLINK_NETLINK_H
#define NET_NETLINK_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/cleanup.h"
#include "core/base/err.h"

#define NETLINK_IFNAME_BYTES 16          /* as the kernel's IFNAMSIZ */
#define NETLINK_TIMEOUT_MS 5000          /* per request, unless told otherwise */
#define NETLINK_DUMP_MAX 65536          /* links or routes taken from one dump; more is ERR_QUOTA */

/* An IPv4 address (prefix 32) or network; addr in host byte order. */
struct ip4 { uint32_t addr; uint8_t prefix; };

#define IP4_TEXT_BYTES 20                /* "255.255.255.255/32" and its end */
/* "10.42.0.5" or "10.42.0.0/24" */
int ip4_parse(struct ip4 *out, const char *text, struct err *err);
/* a prefix is needed; host bits are cut */
int ip4_parse_net(struct ip4 *out, const char *text, struct err *err);
const char *ip4_text(char out[IP4_TEXT_BYTES], struct ip4 ip);  /* with "/24" unless prefix is 32 */
const char *ip4_addr_text(char out[IP4_TEXT_BYTES], uint32_t addr);
static inline uint32_t ip4_mask(uint8_t prefix) { return prefix ? ~0u << (32 - prefix) : 0; }
static inline bool ip4_contains(struct ip4 net, uint32_t addr)
{
    return ((net.addr ^ addr) & ip4_mask(net.prefix)) == 0;
}

struct netlink;

enum netlink_bus { NETLINK_BUS_ROUTE, NETLINK_BUS_NETFILTER };

int netlink_open(struct netlink **out, enum netlink_bus bus, struct err *err);
int netlink_adopt(struct netlink **out, int fd, struct err *err);    /* takes fd, also on failure */
int netlink_raw(enum netlink_bus bus, struct err *err);            /* just the fd, for passing on */
struct netlink *netlink_free(struct netlink *nl);
CLEANUP_DEFINE(struct netlink, netlink_free)
void netlink_set_timeout(struct netlink *nl, int64_t timeout_ms);

/* --- links */
/* A tunnel over UDP that learns nothing: netlink_neigh_add says who is where. */
struct netlink_vxlan { uint32_t id; uint16_t port; uint32_t local; };    /* local: own address */

struct netlink_link {
    int index;
    int master;                          /* index of its bridge, 0: none */
    int peer;                   /* index of a veth's other end (in its own namespace), 0: unknown */
    uint32_t mtu;
    bool up;
    bool running;               /* packets pass: some time after it was set up, and the other end */
    bool loopback;
    uint8_t mac[6];
    char name[NETLINK_IFNAME_BYTES];
    char type[16];                       /* "bridge", "veth", "dummy", "" */
    char alias[128];                     /* ifalias: what we wrote beside it */
    struct netlink_vxlan vxlan;          /* of type "vxlan" */
};

int netlink_link_get(struct netlink *nl, const char *name, struct netlink_link *out,
                     struct err *err);
/* All links; the caller frees *out with mem_free. */
int netlink_link_list(struct netlink *nl, struct netlink_link **out, size_t *out_n,
                      struct err *err);
/* `type` is "bridge", "dummy", ...: made down; ERR_EXISTS when the name is taken. mac: or NULL. */
int netlink_link_add(struct netlink *nl, const char *name, const char *type, const uint8_t mac[6],
                     struct err *err);
int netlink_link_add_vxlan(struct netlink *nl, const char *name, const uint8_t mac[6],
                           const struct netlink_vxlan *vxlan, struct err *err);

struct netlink_veth {
    const char *name;                    /* our end; made down */
    const char *peer;                    /* the other end's name */
    int peer_netns;                      /* the namespace it is made in; -1: here */
    const uint8_t *peer_mac;             /* 6 bytes, NULL: random */
    uint32_t mtu;                        /* 0: the kernel's */
};
int netlink_link_add_veth(struct netlink *nl, const struct netlink_veth *veth, struct err *err);
int netlink_link_del(struct netlink *nl, const char *name, struct err *err);

/* What to change of a link; fields at their NETLINK_KEEP stay as they are. */
#define NETLINK_KEEP (-1)
struct netlink_link_change {
    int up;                              /* 0, 1 */
    int master;                          /* index, 0: none */
    int64_t mtu;
    int hairpin;                         /* bridge port only: 0, 1 */
    const char *alias;                   /* NULL: keep */
};
#define NETLINK_LINK_CHANGE_INIT \
    ((struct netlink_link_change){ .up = -1, .master = -1, .mtu = -1, .hairpin = -1 })
int netlink_link_set(struct netlink *nl, int index, const struct netlink_link_change *change,
                     struct err *err);

/* An IPv4 per-link setting (IPV4_DEVCONF_* of linux/ip.h), which is also in
 * /proc/sys/net/ipv4/conf/LINK: works where /proc/sys is read-only. */
enum netlink_conf {
    NETLINK_CONF_FORWARDING = 1, NETLINK_CONF_PROXY_ARP = 3, NETLINK_CONF_ACCEPT_REDIRECTS = 4,
    NETLINK_CONF_SEND_REDIRECTS = 6, NETLINK_CONF_RP_FILTER = 8, NETLINK_CONF_ROUTE_LOCALNET = 26,
};
int netlink_link_conf(struct netlink *nl, int index, enum netlink_conf conf, uint32_t value,
                      struct err *err);

/* --- addresses */
/* no_route: without the on-link route of its prefix. An address that is there is fine. */
int netlink_addr_add(struct netlink *nl, int index, struct ip4 addr, bool no_route,
                     struct err *err);
int netlink_addr_del(struct netlink *nl, int index, struct ip4 addr, struct err *err);
int netlink_addr_list(struct netlink *nl, int index, struct ip4 **out, size_t *out_n,
                      struct err *err);

/* --- routes of the main table */
struct netlink_route {
    struct ip4 dst;                      /* 0.0.0.0/0: default */
    uint32_t via;                        /* 0: on-link */
    uint32_t src;                        /* preferred source, 0: none */
    int index;                           /* outgoing link, 0: by `via` */
    bool onlink;                         /* `via` is taken as reachable */
    uint8_t protocol;                   /* who made it; 0: RTPROT_BOOT. We use NETLINK_PROTO_INRO */
    uint32_t metric;
};
#define NETLINK_PROTO_INRO 86
/* or replaces */
int netlink_route_add(struct netlink *nl, const struct netlink_route *route, struct err *err);
int netlink_route_del(struct netlink *nl, const struct netlink_route *route, struct err *err);
/* protocol 0: all. The caller frees *out with mem_free. */
int netlink_route_list(struct netlink *nl, uint8_t protocol, struct netlink_route **out,
                       size_t *out_n,
                       struct err *err);

/* --- neighbours: the MAC of an address, or (fdb, on a vxlan link) the node behind a MAC */
struct netlink_neigh { int index; bool fdb; uint32_t addr; uint8_t mac[6]; };
/* or replaces; stays until it is deleted */
int netlink_neigh_add(struct netlink *nl, const struct netlink_neigh *n, struct err *err);
/* Also one the kernel learned by itself; `mac` counts with fdb only. None is fine. */
int netlink_neigh_del(struct netlink *nl, const struct netlink_neigh *n, struct err *err);
/* Those that netlink_neigh_add made, of this index and fdb. The caller frees *out with mem_free. */
int netlink_neigh_list(struct netlink *nl, const struct netlink_neigh *like,
                       struct netlink_neigh **out, size_t *out_n, struct err *err);

/* --- conntrack (NETLINK_BUS_NETFILTER): forgets tracked connections, so that a flow is looked up
 * anew. Zero fields match everything. Returns the number of entries removed. */
struct netlink_flow {
    uint8_t proto;                       /* IPPROTO_UDP */
    uint32_t orig_dst;                   /* where it was sent to */
    uint16_t orig_dport;
    uint32_t reply_src;                  /* where it was sent on to */
    uint16_t reply_sport;
};
int netlink_conntrack_del(struct netlink *nl, const struct netlink_flow *flows, size_t n_flows,
                          struct err *err);

#endif
