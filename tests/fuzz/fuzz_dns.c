/* DNS messages from strangers: as a question to the zone, and as an answer of another server; what
 * is understood is written again and understood once more. */
#include "core/base/check.h"
#include "core/base/mem.h"
#include "net/dns/dns_cache.h"
#include "net/dns/dns_resolv.h"
#include "net/dns/dns_zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_and_read(const struct dns_query *q, const struct dns_answer *a, size_t limit)
{
    static uint8_t out[DNS_MESSAGE_BYTES];
    struct dns_answer back = { 0 };
    size_t len = dns_wire_render(out, limit, q, a, 1);

    check(len <= limit);
    check(dns_wire_parse_answer(&back, out, len, q, NULL) == 0);
    dns_cache_ttl(q, &back);
    dns_wire_answer_deinit(&back);
}

static void as_question(const uint8_t *data, size_t size)
{
    struct dns_zone *z = dns_zone_new("cluster.local", 0x0a2b000a, 1, NULL);
    struct dns_answer a = { 0 };
    struct dns_query q;
    struct dns_name chase;
    int code = dns_wire_parse_query(&q, data, size);

    if (code == DNS_NOERROR && dns_zone_ask(z, &q, 1, &a, &chase) == DNS_ZONE_DONE) {
        write_and_read(&q, &a, 512);
    } else if (code >= 0) {
        static uint8_t out[512];

        a.rcode = (uint8_t)(code > 0 ? code : DNS_SERVFAIL);
        dns_wire_render(out, sizeof(out), &q, &a, 0);
    }
    dns_wire_answer_deinit(&a);
    dns_zone_free(z);
}

static void as_answer(const uint8_t *data, size_t size)
{
    struct dns_answer a = { 0 };
    struct dns_query q = { .udp_bytes = 512 };
    uint8_t *asked;

    if (size < DNS_HEADER_BYTES)
        return;
    asked = mem_alloc(size);             /* the question that this would answer */
    memcpy(asked, data, size);
    asked[2] &= 0x05;
    if (dns_wire_parse_query(&q, asked, size) >= 0 && q.has_question && q.cls == DNS_IN &&
        dns_wire_parse_answer(&a, data, size, &q, NULL) == 0) {
        write_and_read(&q, &a, 512);
        write_and_read(&q, &a, DNS_MESSAGE_BYTES);
    }
    dns_wire_answer_deinit(&a);
    mem_free(asked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dns_upstreams servers;
    char *text;

    if (size > DNS_MESSAGE_BYTES)
        return 0;
    as_question(data, size);
    as_answer(data, size);
    text = mem_strndup((const char *)data, size);
    dns_resolv_parse(&servers, text);
    mem_free(text);
    return 0;
}
