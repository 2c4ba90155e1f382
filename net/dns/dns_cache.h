/* net/dns/dns_cache.h -- inside the room: answers of other servers for a while, positive and
 * negative; the longest unused go first. Pure; one owner. */
#ifndef NET_DNS_DNS_CACHE_H
#define NET_DNS_DNS_CACHE_H

#include <stdint.h>

#include "core/base/cleanup.h"
#include "net/dns/dns_wire.h"

#define DNS_CACHE_KEY_BYTES (DNS_NAME_TEXT_BYTES + 16)

struct dns_cache;

struct dns_cache *dns_cache_new(void);
struct dns_cache *dns_cache_free(struct dns_cache *c);
CLEANUP_DEFINE(struct dns_cache, dns_cache_free)

/* The key of a question. */
void dns_cache_key(const struct dns_query *q, char out[DNS_CACHE_KEY_BYTES]);
/* Seconds that an answer to it may be kept: 0 for not at all. */
uint32_t dns_cache_ttl(const struct dns_query *q, const struct dns_answer *a);
/* Borrowed until the next call that changes the cache; NULL: not there, or too old. */
const struct dns_answer *dns_cache_get(struct dns_cache *c, const char *key, int64_t now_ms,
                                       uint32_t *out_age_s);
void dns_cache_put(struct dns_cache *c, const char *key, const struct dns_answer *a, uint32_t ttl_s,
                   int64_t now_ms);
void dns_cache_clear(struct dns_cache *c);
size_t dns_cache_len(const struct dns_cache *c);
size_t dns_cache_bytes(const struct dns_cache *c);

#endif
