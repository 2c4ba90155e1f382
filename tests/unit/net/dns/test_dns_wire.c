/* test_dns_wire.c -- messages as bytes: what is refused, and how much fits. */
#include "net/dns/dns_wire.h"

#include "tests/unit/net/dns/dns_case.h"

#define HEAD "\x12\x34\x01\x00\0\x01\0\0\0\0\0\0"
#define WEB "\x03web\x07" "default\0"

static int parse(struct dns_query *q, const char *p, size_t len)
{
    uint8_t *exact = malloc(len ? len : 1);      /* so that a byte too far is seen */
    int code;

    memcpy(exact, p, len);
    code = dns_wire_parse_query(q, exact, len);
    free(exact);
    return code;
}
#define PARSE(q, text) parse((q), (text), sizeof(text) - 1)

TEST(a_question)
{
    struct dns_query q;
    char name[DNS_NAME_TEXT_BYTES];

    EXPECT_EQ(PARSE(&q, HEAD "\x03wEb\x07" "default\0" "\0\x01\0\x01"), DNS_NOERROR);
    EXPECT_EQ(q.id, 0x1234);
    EXPECT(q.rd && !q.cd && !q.edns);
    EXPECT_EQ(q.udp_bytes, 512);
    EXPECT_EQ(q.type, DNS_A);
    dns_wire_name_text(&q.name, name);
    EXPECT_STR(name, "web.default.");
    EXPECT_EQ(q.name.w[2], 'E');
    EXPECT_EQ(PARSE(&q, HEAD "\0" "\0\x02\0\x01"), DNS_NOERROR);
    EXPECT_EQ(q.name.len, 1);
}

#define OPT_HEAD "\x12\x34\x01\x10\0\x01\0\0\0\0\0\x01"

TEST(edns)
{
    struct dns_query q;

    EXPECT_EQ(PARSE(&q, OPT_HEAD WEB "\0\x01\0\x01" "\0\0\x29\x10\0\0\0\x80\0\0\0"), DNS_NOERROR);
    EXPECT(q.edns && q.dnssec_ok && q.cd);
    EXPECT_EQ(q.udp_bytes, 4096);
    EXPECT_EQ(PARSE(&q, OPT_HEAD WEB "\0\x01\0\x01" "\0\0\x29\0\x10\0\0\0\0\0\x04\0\x0a\0\0"),
              DNS_NOERROR);
    EXPECT_EQ(q.udp_bytes, 512);
    EXPECT_EQ(PARSE(&q, OPT_HEAD WEB "\0\x01\0\x01" "\0\0\x29\x10\0\0\x01\0\0\0\0"), DNS_BADVERS);
    EXPECT(q.has_question && q.edns);
    EXPECT_EQ(PARSE(&q, OPT_HEAD WEB "\0\x01\0\x01" "\x01x\0\0\x29\x10\0\0\0\0\0\0\0"),
              DNS_FORMERR);
    EXPECT_EQ(PARSE(&q, "\x12\x34\x01\x10\0\x01\0\0\0\0\0\x02" WEB "\0\x01\0\x01"
                        "\0\0\x29\x10\0\0\0\0\0\0\0" "\0\0\x29\x10\0\0\0\0\0\0\0"), DNS_FORMERR);
}

TEST(what_is_no_question)
{
    static const char whole[] = OPT_HEAD WEB "\0\x01\0\x01" "\0\0\x29\x10\0\0\0\x80\0\0\0";
    struct dns_query q;

    for (size_t len = 0; len < sizeof(whole) - 1; len++)
        EXPECT_EQ(parse(&q, whole, len), len < 12 ? -1 : DNS_FORMERR);
    EXPECT_EQ(PARSE(&q, "\x12\x34\x81\0\0\x01\0\0\0\0\0\0" WEB "\0\x01\0\x01"), -1);
    EXPECT_EQ(PARSE(&q, "\x12\x34\x29\0\0\x01\0\0\0\0\0\0" WEB "\0\x01\0\x01"), DNS_NOTIMP);
    EXPECT_EQ(PARSE(&q, "\x12\x34\x03\0\0\x01\0\0\0\0\0\0" WEB "\0\x01\0\x01"), DNS_FORMERR);
    EXPECT_EQ(PARSE(&q, "\x12\x34\x01\0\0\0\0\0\0\0\0\0"), DNS_FORMERR);
    EXPECT_EQ(PARSE(&q, "\x12\x34\x01\0\0\x02\0\0\0\0\0\0" WEB "\0\x01\0\x01" WEB "\0\x01\0\x01"),
              DNS_FORMERR);
    EXPECT_EQ(PARSE(&q, HEAD WEB "\0\x01\0\x03"), DNS_REFUSED);
    EXPECT_EQ(PARSE(&q, HEAD WEB "\0\x01\0\xff"), DNS_REFUSED);
    EXPECT_EQ(PARSE(&q, HEAD WEB "\0\xfc\0\x01"), DNS_REFUSED);
    EXPECT_EQ(PARSE(&q, HEAD WEB "\0\xfb\0\x01"), DNS_REFUSED);
    EXPECT_EQ(PARSE(&q, HEAD WEB "\0\x29\0\x01"), DNS_NOTIMP);
    EXPECT_EQ(PARSE(&q, HEAD WEB "\0\0\0\x01"), DNS_NOTIMP);
    EXPECT_EQ(PARSE(&q, HEAD "\xc0\x0c\0\x01\0\x01"), DNS_FORMERR);      /* points to itself */
    EXPECT_EQ(PARSE(&q, HEAD "\xc0\x00\0\x01\0\x01"), DNS_FORMERR);      /* to the header */
    EXPECT_EQ(PARSE(&q, HEAD "\x01" "a\xc0\x0c\0\x01\0\x01"), DNS_FORMERR);
    EXPECT_EQ(PARSE(&q, HEAD "\xc0\x10\0\x01\0\x01" WEB), DNS_FORMERR);  /* forward */
    EXPECT_EQ(PARSE(&q, HEAD "\x41" "a\0\0\x01\0\x01"), DNS_FORMERR);
    EXPECT_EQ(PARSE(&q, HEAD "\x80" "a\0\0\x01\0\x01"), DNS_FORMERR);
}

TEST(names_as_long_as_may_be)
{
    struct dns_name n, longer;
    char text[300] = "";

    for (int i = 0; i < 3; i++)
        memset(text + i * 64, 'a' + i, 63), text[i * 64 + 63] = '.';
    memset(text + 192, 'd', 61);
    EXPECT_EQ(dns_wire_name(&n, text), 0);
    EXPECT_EQ(n.len, 255);
    text[253] = 'd';
    EXPECT_EQ(dns_wire_name(&n, text), -1);
    EXPECT_EQ(dns_wire_name(&n, "a..b"), -1);
    EXPECT_EQ(dns_wire_name(&n, ".a"), -1);
    EXPECT_EQ(dns_wire_name(&n, "a.."), -1);
    EXPECT_EQ(dns_wire_name(&n, ""), -1);
    EXPECT_EQ(dns_wire_name(&n, "."), 0);
    memset(text, 'x', 64);
    text[64] = '\0';
    EXPECT_EQ(dns_wire_name(&n, text), -1);
    text[63] = '\0';
    EXPECT_EQ(dns_wire_name(&n, text), 0);
    EXPECT_EQ(dns_wire_name_join(&longer, "a.b", &n), 0);
    EXPECT(dns_wire_name_under(&longer, &n));
    EXPECT(!dns_wire_name_under(&n, &longer));
}

static void fill(struct dns_answer *a, const struct dns_query *q, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint8_t ip[4] = { 10, 42, (uint8_t)(i >> 8), (uint8_t)i };

        dns_wire_add(a, DNS_ANSWER, &q->name, &(struct dns_data){ DNS_A, 5, ip, 4 });
    }
}

TEST(what_does_not_fit_is_cut_at_a_record)
{
    struct dns_query q = dns_case_query("db.prod.svc.cluster.local", DNS_A);
    struct dns_answer a = { 0 }, back = { 0 };
    struct err err = ERR_INIT;
    uint8_t out[65535];
    struct dns_rr rr;
    size_t len, at = 0, n = 0;

    fill(&a, &q, 100);
    len = dns_wire_render(out, 512, &q, &a, 0);
    EXPECT(len <= 512 && len > 512 - 16);
    EXPECT(out[2] & 2);
    EXPECT_OK(dns_wire_parse_answer(&back, out, len, &q, &err), &err);
    EXPECT(back.tc);
    while (dns_wire_next(&back, &at, &rr))
        n++;
    EXPECT_EQ(n, (512 - 12 - 27 - 4 - 11) / 16);         /* each name is a pointer */
    len = dns_wire_render(out, sizeof(out), &q, &a, 0);
    EXPECT_EQ(len, 12 + 27 + 4 + 100 * 16 + 11);
    EXPECT(!(out[2] & 2));
    fill(&a, &q, 5000);
    len = dns_wire_render(out, sizeof(out), &q, &a, 0);
    EXPECT(len <= 65535 && out[2] & 2);
    dns_wire_answer_deinit(&a);
    dns_wire_answer_deinit(&back);
}

TEST(less_important_records_go_without_a_mark)
{
    struct dns_query q = dns_case_query("db.prod.svc.cluster.local", DNS_A);
    struct dns_answer a = { 0 };
    uint8_t out[512];

    fill(&a, &q, 1);
    for (int i = 0; i < 60; i++)
        dns_wire_add(&a, DNS_ADDITIONAL, &q.name,
                     &(struct dns_data){ DNS_A, 5, "\x01\x02\x03\x04", 4 });
    EXPECT(dns_wire_render(out, 512, &q, &a, 0) <= 512);
    EXPECT(!(out[2] & 2));
    EXPECT_EQ(out[7], 1);
    dns_wire_answer_deinit(&a);
}

TEST(ages_and_codes)
{
    struct dns_query q = dns_case_query("a.b", DNS_A);
    struct dns_answer a = { .rcode = DNS_BADVERS }, back = { 0 };
    struct err err = ERR_INIT;
    uint8_t out[512];
    struct dns_rr rr;
    size_t at = 0, len;

    fill(&a, &q, 1);
    len = dns_wire_render(out, 512, &q, &a, 3);
    EXPECT_EQ(out[3] & 15, 0);
    EXPECT_OK(dns_wire_parse_answer(&back, out, len, &q, &err), &err);
    EXPECT_EQ(back.rcode, DNS_BADVERS);
    EXPECT(dns_wire_next(&back, &at, &rr));
    EXPECT_EQ(rr.ttl, 2);
    len = dns_wire_render(out, 512, &q, &a, 9);
    EXPECT_OK(dns_wire_parse_answer(&back, out, len, &q, &err), &err);
    at = 0;
    EXPECT(dns_wire_next(&back, &at, &rr));
    EXPECT_EQ(rr.ttl, 0);
    dns_wire_answer_deinit(&a);
    dns_wire_answer_deinit(&back);
}

/* CNAME, MX and an own type in a foreign answer, names compressed into each other. */
TEST(names_in_foreign_answers_come_out_whole)
{
    static const char m[] =
        "\0\x07\x81\x80\0\x01\0\x04\0\0\0\x01" "\x01" "a\x02" "ex\x03" "com\0" "\0\x0f\0\x01"
        "\xc0\x0c\0\x05\0\x01\0\0\0\x0a\0\x04" "\x01" "b\xc0\x0e"
        "\xc0\x26\0\x0f\0\x01\0\0\0\x0a\0\x09" "\0\x05\x04" "mail\xc0\x0e"
        "\xc0\x26\x01\x23\0\x01\0\0\0\x0a\0\x02" "\xc0\x0c"
        "\xc0\x0c\0\x01\0\x03\0\0\0\x0a\0\x04" "\1\2\3\4"               /* of another class */
        "\0\0\x29\x04\xd0\0\0\0\0\0\0";
    struct dns_query q = dns_case_query("A.ex.com", DNS_MX);
    struct dns_answer a = { 0 };
    struct err err = ERR_INIT;

    EXPECT_OK(dns_wire_parse_answer(&a, (const uint8_t *)m, sizeof(m) - 1, &q, &err), &err);
    EXPECT_STR(dns_case_wire(&q, &a), "CNAME b.ex.com. b.ex.com. MX 5 mail.ex.com. b.ex.com. ?");
    for (size_t len = 0; len < sizeof(m) - 1; len++) {
        uint8_t *exact = malloc(len ? len : 1);

        memcpy(exact, m, len);
        EXPECT_ERR(dns_wire_parse_answer(&a, exact, len, &q, &err), &err, ERR_CORRUPT);
        free(exact);
    }
    q.id = 8;
    EXPECT_ERR(dns_wire_parse_answer(&a, (const uint8_t *)m, sizeof(m) - 1, &q, &err), &err,
               ERR_INVALID);
    q = dns_case_query("b.ex.com", DNS_MX);
    EXPECT_ERR(dns_wire_parse_answer(&a, (const uint8_t *)m, sizeof(m) - 1, &q, &err), &err,
               ERR_INVALID);
    dns_wire_answer_deinit(&a);
}

TEST(a_question_of_our_own)
{
    struct dns_query q = dns_case_query("a.b", DNS_A), back;
    uint8_t out[512];
    size_t len = dns_wire_question(out, 99, &q, true);

    EXPECT_EQ(dns_wire_parse_query(&back, out, len), DNS_NOERROR);
    EXPECT(back.edns && back.rd);
    EXPECT_EQ(back.id, 99);
    EXPECT_EQ(back.udp_bytes, 1232);
    len = dns_wire_question(out, 99, &q, false);
    EXPECT_EQ(dns_wire_parse_query(&back, out, len), DNS_NOERROR);
    EXPECT(!back.edns);
}
