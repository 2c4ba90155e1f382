/* net/pod/pod_net.h -- the network of this node's pods: addresses, the bridge, a veth pair per pod,
 * host ports.
 *
 *   pod eth0 10.42.0.5/24 == veth == inro0 10.42.0.1 (bridge) -- host routing -- inro.1 (vxlan)
 *                                                                    \-- uplink     -- other nodes
 *
 * Pods have no on-link route to each other: everything passes the host's routing, so that Services
 * work between two pods of one node without br_netfilter. Nothing here needs a default route or an
 * uplink.
 *
 * Two halves:
 *   - struct pod_net keeps who has which address. It lives on the node's loop; its functions are
 *     short (one small file on the run directory's tmpfs) and are called there only. The ledger is
 *     written before an address is handed out, and struck after all made for it is gone.
 *   - pod_net_up, attach, detach, ... do the kernel work from plain values. They block and are
 *     called from jobs; different pods' calls may run at once. Each may be repeated after a crash.
 *
 *   loop: pod_net_reserve -> job: pod_net_attach ... job: pod_net_detach -> loop: pod_net_release
 *
 * Pods with hostNetwork never come here.
 */
#ifndef NET_POD_POD_NET_H
#define NET_POD_POD_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/cleanup.h"
#include "core/base/err.h"

#define POD_NET_CLUSTER_CIDR "10.42.0.0/16"
#define POD_NET_SERVICE_CIDR "10.43.0.0/16"
#define POD_NET_DNS_IP "10.43.0.10"
#define POD_NET_BRIDGE "inro0"
#define POD_NET_DNS_LINK "inro-dns0"
#define POD_NET_VXLAN "inro.1"             /* as flannel's: network 1, UDP port 8472 */
#define POD_NET_VXLAN_ID 1
#define POD_NET_VXLAN_PORT 8472
#define POD_NET_VXLAN_BYTES 50             /* what a packet grows by on its way to another node */
#define POD_NET_VERB "netns"        /* the hidden verb of the child that enters a pod's namespace */
#define POD_NET_UID_BYTES 64
#define POD_NET_IP_BYTES 16
#define POD_NET_PORTS_MAX 512              /* host ports of one pod */
#define POD_NET_PEERS_MAX 5000
#define POD_NET_LEDGER_BYTES_MAX (16u << 20)

/* --- who has which address (node loop) */
struct pod_net;

struct pod_net_opts {
    const char *cluster_cidr;              /* all pods of the cluster; NULL: POD_NET_CLUSTER_CIDR */
    /* this node's (Node.spec.podCIDR); NULL: the first /24 of cluster_cidr */
    const char *pod_cidr;
    const char *ledger;                    /* path of a file in the run directory */
};

/* Reads the ledger of a former run: leases in it stay valid. */
int pod_net_new(struct pod_net **out, const struct pod_net_opts *opts, struct err *err);
struct pod_net *pod_net_free(struct pod_net *net);
CLEANUP_DEFINE(struct pod_net, pod_net_free)

/* The node learned its podCIDR. Leases outside the new one stay until they are released. */
int pod_net_set_cidr(struct pod_net *net, const char *pod_cidr, struct err *err);
const char *pod_net_cidr(const struct pod_net *net);

/* One pod's network, as a value: copied into jobs, kept in the pod's state. */
struct pod_net_lease {
    char uid[POD_NET_UID_BYTES];
    char ip[POD_NET_IP_BYTES];             /* "10.42.0.5": status.podIP */
    char gateway[POD_NET_IP_BYTES];        /* "10.42.0.1" */
    uint8_t prefix;                        /* 24 */
    char host_if[16];                      /* "pod" and 10 digits made from the uid */
};

/* The pod's lease: the same one when it has one already. ERR_QUOTA: no address is free. */
int pod_net_reserve(struct pod_net *net, const char *uid, struct pod_net_lease *out,
                    struct err *err);
/* A pod without a lease gets this very address, which it had before (status.podIP): after a reboot
 * Services still point to it. False: it is taken, not of this node's network, or no address. */
bool pod_net_claim(struct pod_net *net, const char *uid, const char *ip, struct pod_net_lease *out);
/* False when the pod has none. */
bool pod_net_find(const struct pod_net *net, const char *uid, struct pod_net_lease *out);
/* After pod_net_detach. A pod without a lease is fine. The address is the last one to be handed out
 * again. */
int pod_net_release(struct pod_net *net, const char *uid, struct err *err);
/* Walks the leases, e.g. at start to release those whose pods are gone: *at = 0 first. */
bool pod_net_next(const struct pod_net *net, size_t *at, struct pod_net_lease *out);

/* --- kernel work (jobs, blocking, root). deadline_ms is how long the whole call may take. */

/* How packets reach the pods of other nodes, by the names of flannel. */
enum pod_net_backend {
    POD_NET_NONE,                          /* somebody else sees to it */
    POD_NET_VXLAN_OVERLAY,                 /* "vxlan": over any network between the nodes */
    POD_NET_HOST_GW,                       /* "host-gw": routes; the nodes share a network */
};
int pod_net_backend_parse(enum pod_net_backend *out, const char *text, struct err *err);

/* The node's own part: bridge and gateway address, forwarding, masquerading of what leaves the
 * cluster, the route that makes Service addresses reachable from the host, and the dummy link with
 * the DNS address. */
struct pod_net_node {
    char cluster_cidr[20], pod_cidr[20];
    char service_cidr[20];                 /* "": no route */
    char dns_ip[POD_NET_IP_BYTES];         /* "": no DNS link */
    /* 0: of the link with node_ip, else the smallest with a default route, else 1500; less what
     * the backend adds */
    uint32_t mtu;
    enum pod_net_backend backend;
    char node_ip[POD_NET_IP_BYTES];        /* "": not known; vxlan needs it */
};
/* With the defaults filled in; the texts are checked. */
int pod_net_node_init(struct pod_net_node *out, const struct pod_net *net, const char *service_cidr,
                      const char *dns_ip, struct err *err);
/* backend: NULL is "vxlan" */
int pod_net_node_reach(struct pod_net_node *node, const char *backend, const char *node_ip,
                       struct err *err);
int pod_net_up(const struct pod_net_node *node, int64_t deadline_ms, struct err *err);
/* Removes all that pod_net_up and attach made. Running pods lose their network. */
int pod_net_down(int64_t deadline_ms, struct err *err);

/* eth0 in the namespace at `netns_path` (a /proc/PID/ns/net or a bind mount of one), with lo up.
 * What is whole already is left alone, so that a running pod does not lose a packet. */
int pod_net_attach(const struct pod_net_lease *lease, const char *netns_path, int64_t deadline_ms,
                   struct err *err);
/* Also when the namespace, or half of it all, is gone already. */
int pod_net_detach(const struct pod_net_lease *lease, int64_t deadline_ms, struct err *err);

/* Host ports of a pod: its containers' ports[].hostPort. */
struct pod_net_port {
    char host_ip[POD_NET_IP_BYTES];        /* "" or "0.0.0.0": every local address */
    uint16_t host_port, container_port;
    uint8_t protocol;                      /* IPPROTO_TCP, _UDP, _SCTP */
};
struct pod_net_ports { struct pod_net_lease lease; const struct pod_net_port *ports; unsigned n; };
/* All pods' host ports of this node at once (level, not edge): a full, atomic replacement. One job
 * at a time. */
int pod_net_set_ports(const struct pod_net_ports *pods, unsigned n, int64_t deadline_ms,
                      struct err *err);

/* Start-up: removes our veths of pods that have no lease among these. Returns how many. */
int pod_net_sweep(const struct pod_net_lease *leases, unsigned n, int64_t deadline_ms,
                  struct err *err);

/* The ways to the pods of the other nodes, as the node's backend has it. The whole list each time:
 * only what differs is changed, what leads to nodes not in it is removed. After pod_net_up; node
 * NULL with n 0 removes all. One job at a time. */
struct pod_net_peer { char pod_cidr[20]; char node_ip[POD_NET_IP_BYTES]; };
int pod_net_set_peers(const struct pod_net_node *node, const struct pod_net_peer *peers, unsigned n,
                      int64_t deadline_ms, struct err *err);

/* --- cmd: `inro netns` runs this; never returns to anything but exit. */
int pod_net_verb_main(int argc, char **argv);

#endif
