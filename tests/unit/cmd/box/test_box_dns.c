#include <arpa/inet.h>
#include <netinet/in.h>

#include "cmd/box/box_dns.h"
#include "tests/harness/test.h"

TEST(resolv_conf)
{
    struct box_dns_conf c;
    char text[INET6_ADDRSTRLEN];

    box_dns_conf_parse(&c, "# comment\nnameserver 10.96.0.10\nnameserver fd00::a\n"
                           "search ns.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5 timeout:2\n");
    EXPECT_EQ(c.n_servers, 2);
    EXPECT_STR(inet_ntop(AF_INET, &((struct sockaddr_in *)&c.server[0])->sin_addr, text, sizeof(text)), "10.96.0.10");
    EXPECT_EQ(c.server[1].ss_family, AF_INET6);
    EXPECT_EQ(c.n_search, 3);
    EXPECT_STR(c.search[2], "cluster.local");
    EXPECT_EQ(c.ndots, 5);
    EXPECT_EQ(c.timeout_ms, 2000);
    box_dns_conf_parse(&c, "");
    EXPECT_EQ(c.n_servers, 1);
    EXPECT_EQ(c.ndots, 1);
}

TEST(questions)
{
    uint8_t q[512];
    struct err err = ERR_INIT;

    EXPECT_EQ(box_dns_question(q, 0x1234, "ab.c.", BOX_DNS_A, &err), 12 + 6 + 4);
    EXPECT_MEM(q, "\x12\x34\x01\0\0\1\0\0\0\0\0\0\2ab\1c\0\0\1\0\1", 22);
    EXPECT_ERR(box_dns_question(q, 1, "a..b", BOX_DNS_A, &err), &err, ERR_INVALID);
    EXPECT_ERR(box_dns_question(q, 1, "0123456789012345678901234567890123456789012345678901234567890123.x",
                                BOX_DNS_A, &err), &err, ERR_INVALID);
}

static const uint8_t reply[] =
    "\x12\x34\x81\x80\0\1\0\2\0\0\0\0"
    "\2ab\1c\0\0\1\0\1"
    "\xc0\x0c\0\5\0\1\0\0\0\x1e\0\4\1x\xc0\x0f"
    "\1x\xc0\x0f\0\1\0\1\0\0\0\x1e\0\4\x0a\1\2\3";

TEST(answers)
{
    struct box_dns_answer a;
    struct err err = ERR_INIT;
    char text[256];

    EXPECT_OK(box_dns_parse(&a, reply, sizeof(reply) - 1, &err), &err);
    EXPECT_EQ(a.n, 2);
    EXPECT_STR(a.v[0].name, "ab.c.");
    EXPECT_EQ(a.v[0].type, BOX_DNS_CNAME);
    box_dns_show(text, sizeof(text), &a, &a.v[0]);
    EXPECT_STR(text, "x.c.");
    EXPECT_STR(a.v[1].name, "x.c.");
    EXPECT_EQ(a.v[1].ttl, 30);
    box_dns_show(text, sizeof(text), &a, &a.v[1]);
    EXPECT_STR(text, "10.1.2.3");
}

TEST(broken_answers)
{
    uint8_t p[sizeof(reply)];
    struct box_dns_answer a;
    struct err err = ERR_INIT;
    char text[256];

    for (size_t len = 0; len < sizeof(reply) - 1; len++)
        EXPECT_ERR(box_dns_parse(&a, reply, len, &err), &err, ERR_CORRUPT);
    for (size_t i = 0; i < sizeof(reply) - 1; i++)               /* each byte wrong: no fault, whatever it says */
        for (int bit = 0; bit < 8; bit++) {
            memcpy(p, reply, sizeof(reply));
            p[i] ^= (uint8_t)(1 << bit);
            if (box_dns_parse(&a, p, sizeof(reply) - 1, &err) < 0)
                continue;
            for (size_t k = 0; k < a.n; k++)
                box_dns_show(text, sizeof(text), &a, &a.v[k]);
        }
    memcpy(p, reply, sizeof(reply));
    p[22] = 0xc0, p[23] = 22;                                    /* a name that points to itself */
    EXPECT_ERR(box_dns_parse(&a, p, sizeof(reply) - 1, &err), &err, ERR_CORRUPT);
}
