/* test_ip4.c */
#include "net/netlink/netlink.h"
#include "tests/harness/test.h"

TEST(addresses)
{
    struct ip4 ip = { 7, 7 };
    struct err err = ERR_INIT;
    char text[IP4_TEXT_BYTES];

    EXPECT_OK(ip4_parse(&ip, "10.42.0.5", &err), &err);
    EXPECT_EQ(ip.addr, 0x0a2a0005);
    EXPECT_EQ(ip.prefix, 32);
    EXPECT_STR(ip4_text(text, ip), "10.42.0.5");
    EXPECT_OK(ip4_parse(&ip, "255.255.255.255/31", &err), &err);
    EXPECT_STR(ip4_text(text, ip), "255.255.255.255/31");
    EXPECT_OK(ip4_parse_net(&ip, "10.42.7.9/16", &err), &err);
    EXPECT_STR(ip4_text(text, ip), "10.42.0.0/16");
    EXPECT_OK(ip4_parse_net(&ip, "1.2.3.4/0", &err), &err);
    EXPECT_STR(ip4_text(text, ip), "0.0.0.0/0");
}

TEST(wrong_addresses)
{
    static const char *const bad[] = { "", "10.42.0", "10.42.0.256", "10.42.0.5/33", "10.42.0.5/",
                                       "10.42.0.5/-1", "fd00::1", "010.1.1.1/8", "1.2.3.4.5",
                                       "1000.1000.1000.1000", NULL };
    struct ip4 ip = { 7, 7 };
    struct err err = ERR_INIT;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        EXPECT_ERR(ip4_parse(&ip, bad[i], &err), &err, ERR_INVALID);
    EXPECT_ERR(ip4_parse_net(&ip, "10.42.0.0", &err), &err, ERR_INVALID);
    EXPECT_EQ(ip.addr, 7);
}

TEST(networks)
{
    EXPECT(ip4_contains((struct ip4){ 0x0a2a0000, 16 }, 0x0a2affff));
    EXPECT(!ip4_contains((struct ip4){ 0x0a2a0000, 16 }, 0x0a2b0000));
    EXPECT(ip4_contains((struct ip4){ 0, 0 }, 0xffffffff));
    EXPECT(!ip4_contains((struct ip4){ 1, 32 }, 2));
}
