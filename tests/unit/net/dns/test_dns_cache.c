/* test_dns_cache.c -- how long answers are kept, and how many. */
#include "net/dns/dns_cache.h"

#include "net/dns/dns.h"
#include "tests/unit/net/dns/dns_case.h"

static const uint8_t ip[4] = { 10, 0, 0, 1 };

static void add_soa(struct dns_answer *a, const struct dns_query *q, uint32_t ttl, uint8_t least)
{
    uint8_t data[22] = { 0 };

    data[21] = least;
    dns_wire_add(a, DNS_AUTHORITY, &q->name,
                 &(struct dns_data){ DNS_SOA, ttl, data, sizeof(data) });
}

TEST(how_long)
{
    struct dns_query q = dns_case_query("a.b", DNS_A);
    struct dns_answer a = { 0 };

    EXPECT_EQ(dns_cache_ttl(&q, &a), 0);
    dns_wire_add(&a, DNS_ANSWER, &q.name, &(struct dns_data){ DNS_A, 300, ip, 4 });
    EXPECT_EQ(dns_cache_ttl(&q, &a), DNS_CACHE_TTL_MAX_S);
    dns_wire_add(&a, DNS_ANSWER, &q.name, &(struct dns_data){ DNS_A, 7, ip, 4 });
    EXPECT_EQ(dns_cache_ttl(&q, &a), 7);
    a.tc = true;
    EXPECT_EQ(dns_cache_ttl(&q, &a), 0);
    a.tc = false;
    a.rcode = DNS_SERVFAIL;
    EXPECT_EQ(dns_cache_ttl(&q, &a), 0);
    dns_wire_answer_clear(&a);
    a.rcode = DNS_NXDOMAIN;
    EXPECT_EQ(dns_cache_ttl(&q, &a), 0);
    add_soa(&a, &q, 300, 11);
    EXPECT_EQ(dns_cache_ttl(&q, &a), 11);
    a.rcode = DNS_NOERROR;
    EXPECT_EQ(dns_cache_ttl(&q, &a), 11);
    dns_wire_add(&a, DNS_ANSWER, &q.name,
                 &(struct dns_data){ DNS_CNAME, 4, q.name.w, q.name.len });
    EXPECT_EQ(dns_cache_ttl(&q, &a), 4);
    dns_wire_answer_clear(&a);
    add_soa(&a, &q, 9, 200);
    EXPECT_EQ(dns_cache_ttl(&q, &a), 9);
    dns_wire_answer_deinit(&a);
}

TEST(keys_tell_questions_apart)
{
    struct dns_query q = dns_case_query("A.b", DNS_A), r = dns_case_query("a.B", DNS_A);
    char x[DNS_CACHE_KEY_BYTES], y[DNS_CACHE_KEY_BYTES];

    dns_cache_key(&q, x);
    dns_cache_key(&r, y);
    EXPECT_STR(x, y);
    r.dnssec_ok = true;
    dns_cache_key(&r, y);
    EXPECT(strcmp(x, y) != 0);
    r = dns_case_query("a.b", DNS_AAAA);
    dns_cache_key(&r, y);
    EXPECT(strcmp(x, y) != 0);
    r = dns_case_query("ab", DNS_A);
    memcpy(r.name.w, "\x03" "a.b", 4);                   /* one label with a dot in it */
    r.name.w[4] = 0;
    r.name.len = 5;
    dns_cache_key(&r, y);
    EXPECT_STR(y, "a\\046b. 1");
}

TEST(kept_and_forgotten)
{
    struct dns_cache *c = dns_cache_new();
    struct dns_query q = dns_case_query("a.b", DNS_A);
    struct dns_answer a = { 0 };
    uint32_t age = 9;

    dns_wire_add(&a, DNS_ANSWER, &q.name, &(struct dns_data){ DNS_A, 7, ip, 4 });
    dns_cache_put(c, "k", &a, 0, 1000);
    EXPECT(!dns_cache_get(c, "k", 1000, &age));
    dns_cache_put(c, "k", &a, 7, 1000);
    EXPECT_STR(dns_case_text(&q, dns_cache_get(c, "k", 3999, &age)), "A 10.0.0.1");
    EXPECT_EQ(age, 2);
    EXPECT(dns_cache_get(c, "k", 7999, &age));
    EXPECT(!dns_cache_get(c, "k", 8000, &age));
    EXPECT_EQ(dns_cache_len(c), 0);
    EXPECT_EQ(dns_cache_bytes(c), 0);
    dns_wire_answer_deinit(&a);
    dns_cache_free(c);
}

TEST(the_longest_unused_goes_first)
{
    struct dns_cache *c = dns_cache_new();
    struct dns_query q = dns_case_query("a.b", DNS_A);
    struct dns_answer a = { 0 };
    char key[16];
    uint32_t age;

    dns_wire_add(&a, DNS_ANSWER, &q.name, &(struct dns_data){ DNS_A, 7, ip, 4 });
    for (int i = 0; i < DNS_CACHE_ENTRIES_MAX; i++) {
        snprintf(key, sizeof(key), "%d", i);
        dns_cache_put(c, key, &a, 7, 0);
    }
    EXPECT_EQ(dns_cache_len(c), DNS_CACHE_ENTRIES_MAX);
    EXPECT(dns_cache_get(c, "0", 0, &age));
    dns_cache_put(c, "one more", &a, 7, 0);
    EXPECT_EQ(dns_cache_len(c), DNS_CACHE_ENTRIES_MAX);
    EXPECT(dns_cache_get(c, "0", 0, &age));
    EXPECT(!dns_cache_get(c, "1", 0, &age));
    dns_cache_clear(c);
    for (int i = 0; i < 2000; i++)
        dns_wire_add(&a, DNS_ANSWER, &q.name, &(struct dns_data){ DNS_A, 7, ip, 4 });
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof(key), "%d", i);
        dns_cache_put(c, key, &a, 7, 0);
        EXPECT(dns_cache_bytes(c) <= DNS_CACHE_BYTES_MAX);
    }
    EXPECT(dns_cache_len(c) > 10 && dns_cache_len(c) < 200);
    for (int i = 0; i < 2000; i++)
        dns_wire_add(&a, DNS_ANSWER, &q.name, &(struct dns_data){ DNS_A, 7, ip, 4 });
    dns_cache_put(c, "too large", &a, 7, 0);
    EXPECT(!dns_cache_get(c, "too large", 0, &age));
    dns_wire_answer_deinit(&a);
    dns_cache_free(c);
}
