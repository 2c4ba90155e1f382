/* pod_ipam.h -- inside the room: which addresses of one network are taken. Pure.
 *
 * Addresses are handed out in a circle, so that one just freed comes back as late as possible. The
 * network's own address, the first one (the gateway) and the broadcast address are never given.
 */
#ifndef NET_POD_POD_IPAM_H
#define NET_POD_POD_IPAM_H

#include "net/netlink/netlink.h"

#define POD_IPAM_ADDRS_MAX 65536         /* of a larger network only the first part is used */
#define POD_IPAM_PREFIX_MAX 29           /* the smallest network: five pods */

struct pod_ipam {
    struct ip4 net;
    uint32_t size;                       /* addresses considered, from net.addr on */
    uint32_t next;                       /* where the search begins */
    uint32_t taken_n;
    uint8_t taken[POD_IPAM_ADDRS_MAX / 8];
};

int pod_ipam_init(struct pod_ipam *ipam, struct ip4 net, struct err *err);
/* ERR_QUOTA: none free */
int pod_ipam_take(struct pod_ipam *ipam, uint32_t *out, struct err *err);
/* Marks an address taken; false when it is outside, reserved, or taken already. */
bool pod_ipam_claim(struct pod_ipam *ipam, uint32_t addr);
void pod_ipam_give(struct pod_ipam *ipam, uint32_t addr);  /* outside or free: nothing happens */
static inline uint32_t pod_ipam_gateway(const struct pod_ipam *ipam) { return ipam->net.addr + 1; }

#endif
