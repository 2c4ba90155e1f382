/* dns_cache.c -- a map of answers and a list in order of use. */
#include "net/dns/dns_cache.h"

#include <stdio.h>

#include "core/base/check.h"
#include "core/base/list.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "net/dns/dns.h"
#include "net/dns/dns_wire_int.h"

#define ENTRY_BYTES_MAX (64u << 10)      /* larger answers are not kept */

struct entry {
    struct list link;
    char *key;
    struct dns_answer a;
    int64_t from_ms, until_ms;
    size_t bytes;
};

struct dns_cache {
    struct map *entries;
    struct list used;                    /* the longest unused first */
    size_t bytes;
};

struct dns_cache *dns_cache_new(void)
{
    struct dns_cache *c = NEW(struct dns_cache);

    c->entries = map_new();
    list_init(&c->used);
    return c;
}

static void drop(struct dns_cache *c, struct entry *e)
{
    check(map_del(c->entries, e->key) == e);
    list_del(&e->link);
    c->bytes -= e->bytes;
    dns_wire_answer_deinit(&e->a);
    mem_free(e->key);
    mem_free(e);
}

void dns_cache_clear(struct dns_cache *c)
{
    list_each(e, &c->used, struct entry, link)
        drop(c, e);
}

struct dns_cache *dns_cache_free(struct dns_cache *c)
{
    if (!c)
        return NULL;
    dns_cache_clear(c);
    map_free(c->entries, NULL);
    return mem_free(c);
}

void dns_cache_key(const struct dns_query *q, char out[DNS_CACHE_KEY_BYTES])
{
    size_t len;

    dns_wire_name_text(&q->name, out);
    len = strlen(out);
    snprintf(out + len, DNS_CACHE_KEY_BYTES - len, " %u%s%s", q->type, q->cd ? "c" : "",
             q->dnssec_ok ? "d" : "");
}

uint32_t dns_cache_ttl(const struct dns_query *q, const struct dns_answer *a)
{
    uint32_t ttl = DNS_CACHE_TTL_MAX_S, negative = 0;
    bool answered = false, any = false;
    struct dns_rr rr;

    if (a->tc || (a->rcode != DNS_NOERROR && a->rcode != DNS_NXDOMAIN))
        return 0;
    for (size_t at = 0; dns_wire_next(a, &at, &rr);) {
        if (rr.section == DNS_AUTHORITY && rr.type == DNS_SOA && rr.len >= 20) {
            uint32_t least = dns_wire_get32(rr.data + rr.len - 4);

            negative = least < rr.ttl ? least : rr.ttl;
        }
        if (rr.section != DNS_ANSWER)
            continue;
        any = true;
        answered |= rr.type == q->type || q->type == DNS_ANY;
        ttl = rr.ttl < ttl ? rr.ttl : ttl;
    }
    if (a->rcode == DNS_NOERROR && answered)
        return ttl;
    if (!any)
        ttl = DNS_CACHE_TTL_MAX_S;
    return negative < ttl ? negative : ttl;
}

const struct dns_answer *dns_cache_get(struct dns_cache *c, const char *key, int64_t now_ms,
                                       uint32_t *out_age_s)
{
    struct entry *e = map_get(c->entries, key);

    if (!e)
        return NULL;
    if (now_ms >= e->until_ms) {
        drop(c, e);
        return NULL;
    }
    list_del(&e->link);
    list_push(&c->used, &e->link);
    *out_age_s = (uint32_t)((now_ms - e->from_ms) / 1000);
    return &e->a;
}

void dns_cache_put(struct dns_cache *c, const char *key, const struct dns_answer *a, uint32_t ttl_s,
                   int64_t now_ms)
{
    struct entry *e = map_get(c->entries, key);

    if (e)
        drop(c, e);
    if (ttl_s == 0 || a->rrs.len > ENTRY_BYTES_MAX)
        return;
    e = NEW(struct entry);
    e->key = mem_strdup(key);
    e->a = (struct dns_answer){ .rcode = a->rcode, .ad = a->ad };
    buf_reserve(&e->a.rrs, a->rrs.len + 1);
    buf_add(&e->a.rrs, a->rrs.p ? a->rrs.p : "", a->rrs.len);
    e->from_ms = now_ms;
    e->until_ms = now_ms + (int64_t)ttl_s * 1000;
    e->bytes = sizeof(*e) + 2 * strlen(key) + e->a.rrs.cap + 64;
    c->bytes += e->bytes;
    map_put(c->entries, key, e);
    list_push(&c->used, &e->link);
    while (map_len(c->entries) > DNS_CACHE_ENTRIES_MAX || c->bytes > DNS_CACHE_BYTES_MAX)
        drop(c, list_first(&c->used, struct entry, link));
}

size_t dns_cache_len(const struct dns_cache *c)
{
    return map_len(c->entries);
}

size_t dns_cache_bytes(const struct dns_cache *c)
{
    return c->bytes;
}
