/* test_pod_ipam.c */
#include "net/pod/pod_ipam.h"
#include "tests/harness/test.h"

static struct ip4 net(const char *text)
{
    struct ip4 ip;
    struct err err = ERR_INIT;

    EXPECT_OK(ip4_parse_net(&ip, text, &err), &err);
    return ip;
}

TEST(a_small_network_is_used_whole)
{
    struct pod_ipam ipam;
    struct err err = ERR_INIT;
    uint32_t addr, seen = 0;

    EXPECT_OK(pod_ipam_init(&ipam, net("10.42.3.0/29"), &err), &err);
    for (int i = 0; i < 5; i++) {
        EXPECT_OK(pod_ipam_take(&ipam, &addr, &err), &err);
        EXPECT(addr >= 0x0a2a0302 && addr <= 0x0a2a0306);
        seen |= 1u << (addr & 7);
    }
    EXPECT_EQ(seen, 0x7c);                       /* not .0, .1 (the gateway), .7 (broadcast) */
    EXPECT_ERR(pod_ipam_take(&ipam, &addr, &err), &err, ERR_QUOTA);
    pod_ipam_give(&ipam, 0x0a2a0304);
    EXPECT_OK(pod_ipam_take(&ipam, &addr, &err), &err);
    EXPECT_EQ(addr, 0x0a2a0304);
}

TEST(a_freed_address_comes_back_last)
{
    struct pod_ipam ipam;
    struct err err = ERR_INIT;
    uint32_t first, addr = 0;

    EXPECT_OK(pod_ipam_init(&ipam, net("10.42.0.0/24"), &err), &err);
    EXPECT_OK(pod_ipam_take(&ipam, &first, &err), &err);
    pod_ipam_give(&ipam, first);
    for (int i = 0; i < 252; i++) {
        EXPECT_OK(pod_ipam_take(&ipam, &addr, &err), &err);
        EXPECT(addr != first);
    }
    EXPECT_OK(pod_ipam_take(&ipam, &addr, &err), &err);
    EXPECT_EQ(addr, first);
    EXPECT_ERR(pod_ipam_take(&ipam, &addr, &err), &err, ERR_QUOTA);
}

TEST(claims)
{
    struct pod_ipam ipam;
    struct err err = ERR_INIT;
    uint32_t addr;

    EXPECT_OK(pod_ipam_init(&ipam, net("10.42.0.0/24"), &err), &err);
    EXPECT(pod_ipam_claim(&ipam, 0x0a2a0002));
    EXPECT(!pod_ipam_claim(&ipam, 0x0a2a0002));
    EXPECT(!pod_ipam_claim(&ipam, 0x0a2a0000));
    EXPECT(!pod_ipam_claim(&ipam, 0x0a2a0001));
    EXPECT(!pod_ipam_claim(&ipam, 0x0a2a00ff));
    EXPECT(!pod_ipam_claim(&ipam, 0x0a2a0100));
    EXPECT(!pod_ipam_claim(&ipam, 0x0a29ffff));
    EXPECT_OK(pod_ipam_take(&ipam, &addr, &err), &err);
    EXPECT_EQ(addr, 0x0a2a0003);
}

TEST(sizes)
{
    struct pod_ipam ipam;
    struct err err = ERR_INIT;
    uint32_t addr = 0;

    EXPECT_ERR(pod_ipam_init(&ipam, net("10.42.0.0/30"), &err), &err, ERR_INVALID);
    EXPECT_ERR(pod_ipam_init(&ipam, net("0.0.0.0/7"), &err), &err, ERR_INVALID);
    EXPECT_OK(pod_ipam_init(&ipam, net("10.0.0.0/8"), &err), &err);
    for (int i = 0; i < POD_IPAM_ADDRS_MAX - 2; i++)
        EXPECT_OK(pod_ipam_take(&ipam, &addr, &err), &err);
    EXPECT_ERR(pod_ipam_take(&ipam, &addr, &err), &err, ERR_QUOTA);
}
