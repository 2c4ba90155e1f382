/* dns_case.h -- answers as text, for the tests of net/dns: "NXDOMAIN ~SOA", "A 10.43.0.7 +...": `~`
 * stands before records of the authority section, `+` before additional ones. */
#ifndef TESTS_UNIT_NET_DNS_DNS_CASE_H
#define TESTS_UNIT_NET_DNS_DNS_CASE_H

#include <arpa/inet.h>

#include "net/dns/dns_wire.h"
#include "tests/harness/test.h"

static inline struct dns_query dns_case_query(const char *name, uint16_t type)
{
    struct dns_query q = { .id = 7, .rd = true, .edns = true, .udp_bytes = 4096,
                           .has_question = true, .type = type, .cls = DNS_IN };

    EXPECT_EQ(dns_wire_name(&q.name, name), 0);
    return q;
}

static inline void dns_case_data(struct buf *b, const struct dns_rr *rr)
{
    char text[DNS_NAME_TEXT_BYTES], ip[INET6_ADDRSTRLEN];
    struct dns_name n = { 0 };
    unsigned skip = rr->type == DNS_SRV ? 6 : rr->type == DNS_MX ? 2 : 0;

    for (unsigned i = 0; i < skip; i += 2)
        buf_fmt(b, " %u", rr->data[i] << 8 | rr->data[i + 1]);
    switch (rr->type) {
    case DNS_A: case DNS_AAAA:
        buf_fmt(b, " %s", inet_ntop(rr->type == DNS_A ? AF_INET : AF_INET6, rr->data, ip,
                                    sizeof(ip)));
        break;
    case DNS_TXT:
        buf_fmt(b, " \"%.*s\"", rr->data[0], (const char *)rr->data + 1);
        break;
    case DNS_SRV: case DNS_CNAME: case DNS_PTR: case DNS_NS: case DNS_MX:
        n.len = (uint8_t)(rr->len - skip);
        memcpy(n.w, rr->data + skip, n.len);
        dns_wire_name_text(&n, text);
        buf_fmt(b, " %s", text);
        break;
    default: break;
    }
}

static inline const char *dns_case_type(uint16_t type)
{
    switch (type) {
    case DNS_A: return "A";
    case DNS_AAAA: return "AAAA";
    case DNS_CNAME: return "CNAME";
    case DNS_NS: return "NS";
    case DNS_SOA: return "SOA";
    case DNS_PTR: return "PTR";
    case DNS_SRV: return "SRV";
    case DNS_TXT: return "TXT";
    case DNS_MX: return "MX";
    default: return "?";
    }
}

/* Into a buffer of the test's process; owners are shown where they are not the question's. */
static inline const char *dns_case_text(const struct dns_query *q, const struct dns_answer *a)
{
    static const char *const codes[] = { "", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",
                                         "REFUSED" };
    static struct buf b;
    struct dns_rr rr;

    buf_clear(&b);
    buf_str(&b, a->rcode < 6 ? codes[a->rcode] : "?");
    if (a->tc)
        buf_str(&b, " TC");
    for (size_t at = 0; dns_wire_next(a, &at, &rr);) {
        char owner[DNS_NAME_TEXT_BYTES];

        dns_wire_name_text(&rr.name, owner);
        buf_fmt(&b, "%s%s", b.len ? " " : "",
                rr.section == DNS_AUTHORITY ? "~" : rr.section == DNS_ADDITIONAL ? "+" : "");
        if (rr.section != DNS_AUTHORITY && !dns_wire_name_eq(&rr.name, &q->name))
            buf_fmt(&b, "%s ", owner);
        buf_str(&b, dns_case_type(rr.type));
        dns_case_data(&b, &rr);
    }
    return b.p ? b.p : "";
}

/* The same after a way over the wire. */
static inline const char *dns_case_wire(const struct dns_query *q, const struct dns_answer *a)
{
    static uint8_t message[DNS_MESSAGE_BYTES];
    struct dns_answer back = { 0 };
    struct err err = ERR_INIT;
    size_t len = dns_wire_render(message, sizeof(message), q, a, 0);
    const char *text;

    EXPECT_OK(dns_wire_parse_answer(&back, message, len, q, &err), &err);
    text = dns_case_text(q, &back);
    dns_wire_answer_deinit(&back);
    return text;
}

#endif
