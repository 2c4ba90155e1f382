/* pod_ipam.c -- a bitmap over the node's network. */
#include "net/pod/pod_ipam.h"

#include <string.h>

static bool bit(const struct pod_ipam *ipam, uint32_t i)
{
    return ipam->taken[i / 8] >> (i % 8) & 1;
}

static void bit_set(struct pod_ipam *ipam, uint32_t i, bool on)
{
    if (on)
        ipam->taken[i / 8] |= (uint8_t)(1 << (i % 8));
    else
        ipam->taken[i / 8] &= (uint8_t)~(1 << (i % 8));
}

/* Places 0 and 1 are the network and the gateway; the very last address is the broadcast one. */
static bool usable(const struct pod_ipam *ipam, uint32_t i)
{
    uint32_t broadcast = ipam->net.addr | ~ip4_mask(ipam->net.prefix);

    return i >= 2 && i < ipam->size && ipam->net.addr + i != broadcast;
}

int pod_ipam_init(struct pod_ipam *ipam, struct ip4 net, struct err *err)
{
    char text[IP4_TEXT_BYTES];
    uint64_t size = (uint64_t)1 << (32 - net.prefix);

    if (net.prefix > POD_IPAM_PREFIX_MAX || net.prefix < 8)
        return err_set(err, ERR_INVALID, "pod network %s: the prefix must be 8 to %d",
                       ip4_text(text, net), POD_IPAM_PREFIX_MAX);
    memset(ipam, 0, sizeof(*ipam));
    ipam->net = (struct ip4){ net.addr & ip4_mask(net.prefix), net.prefix };
    ipam->size = size < POD_IPAM_ADDRS_MAX ? (uint32_t)size : POD_IPAM_ADDRS_MAX;
    ipam->next = 2;
    return 0;
}

int pod_ipam_take(struct pod_ipam *ipam, uint32_t *out, struct err *err)
{
    char text[IP4_TEXT_BYTES];

    for (uint32_t n = 0; n < ipam->size; n++) {
        uint32_t i = (ipam->next + n) % ipam->size;

        if (!usable(ipam, i) || bit(ipam, i))
            continue;
        bit_set(ipam, i, true);
        ipam->taken_n++;
        ipam->next = i + 1;
        *out = ipam->net.addr + i;
        return 0;
    }
    return err_set(err, ERR_QUOTA, "all %u addresses of the pod network %s are taken",
                   ipam->taken_n,
                   ip4_text(text, ipam->net));
}

bool pod_ipam_claim(struct pod_ipam *ipam, uint32_t addr)
{
    uint32_t i = addr - ipam->net.addr;

    if (!usable(ipam, i) || bit(ipam, i))
        return false;
    bit_set(ipam, i, true);
    ipam->taken_n++;
    return true;
}

void pod_ipam_give(struct pod_ipam *ipam, uint32_t addr)
{
    uint32_t i = addr - ipam->net.addr;

    if (!usable(ipam, i) || !bit(ipam, i))
        return;
    bit_set(ipam, i, false);
    ipam->taken_n--;
}
