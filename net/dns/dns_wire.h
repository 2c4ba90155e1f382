/* net/dns/dns_wire.h -- inside the room: messages as bytes on the wire (RFC 1035; EDNS: RFC 6891).
 * Pure. Everything read comes from strangers: a length is checked where it is used, compression
 * pointers only ever lead backwards.
 */
#ifndef NET_DNS_DNS_WIRE_H
#define NET_DNS_DNS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/str.h"

#define DNS_NAME_BYTES 255
#define DNS_LABELS_MAX 127
#define DNS_LABEL_BYTES 63
#define DNS_MESSAGE_BYTES 65535
#define DNS_HEADER_BYTES 12
#define DNS_NAME_TEXT_BYTES (DNS_NAME_BYTES * 4 + 1)

enum dns_type {
    DNS_A = 1, DNS_NS = 2, DNS_CNAME = 5, DNS_SOA = 6, DNS_PTR = 12, DNS_HINFO = 13, DNS_MX = 15,
    DNS_TXT = 16, DNS_AAAA = 28, DNS_SRV = 33, DNS_OPT = 41, DNS_IXFR = 251, DNS_AXFR = 252,
    DNS_MAILB = 253, DNS_MAILA = 254, DNS_ANY = 255
};
enum { DNS_IN = 1 };
enum dns_rcode {
    DNS_NOERROR = 0, DNS_FORMERR = 1, DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3, DNS_NOTIMP = 4,
    DNS_REFUSED = 5, DNS_BADVERS = 16
};

/* A whole name on the wire, not compressed, with the root's zero byte. */
struct dns_name { uint8_t len; uint8_t w[DNS_NAME_BYTES]; };

/* From text, with or without the last dot; -1: not a name. */
int dns_wire_name(struct dns_name *out, const char *text);
/* Lower case and with a dot at its end; bytes that are no plain text as \DDD. */
void dns_wire_name_text(const struct dns_name *n, char out[DNS_NAME_TEXT_BYTES]);
bool dns_wire_name_eq(const struct dns_name *a, const struct dns_name *b);      /* any case */
/* Is it this one or below it? */
bool dns_wire_name_under(const struct dns_name *n, const struct dns_name *top);
/* Its labels from the left as offsets into n->w (of the length bytes); returns how many. */
unsigned dns_wire_labels(const struct dns_name *n, uint8_t out[DNS_LABELS_MAX]);
/* front (text of one or more labels, "" for none) + rest; -1: too long. */
int dns_wire_name_join(struct dns_name *out, const char *front, const struct dns_name *rest);

struct dns_query {
    uint16_t id;
    uint8_t opcode;
    bool rd, cd, dnssec_ok, edns;
    uint16_t udp_bytes;                  /* what the asker takes: at least 512 */
    bool has_question;
    struct dns_name name;                /* in the asker's case */
    uint16_t type, cls;
};
/* DNS_NOERROR, or the code to answer with (out holds what is needed for that), or -1: no answer at
 * all, since it is no question. */
int dns_wire_parse_query(struct dns_query *out, const uint8_t *p, size_t len);
/* A question of our own to another server; returns its length. */
size_t dns_wire_question(uint8_t out[512], uint16_t id, const struct dns_query *q, bool edns);

/* What to say, apart from who asked: records one after the other, names not compressed. */
enum dns_section { DNS_ANSWER = 1, DNS_AUTHORITY = 2, DNS_ADDITIONAL = 3 };
struct dns_answer {
    uint8_t rcode;
    bool aa, tc, ad;
    struct buf rrs;
};
struct dns_rr {
    uint8_t section;
    uint16_t type;
    uint32_t ttl;
    struct dns_name name;
    const uint8_t *data;                 /* in the answer */
    uint16_t len;
};
struct dns_data { uint16_t type; uint32_t ttl; const void *p; size_t len; };
void dns_wire_answer_clear(struct dns_answer *a);        /* keeps the memory */
void dns_wire_answer_deinit(struct dns_answer *a);       /* callable twice */
void dns_wire_add(struct dns_answer *a, enum dns_section section, const struct dns_name *name,
                  const struct dns_data *data);
/* Start with *at = 0. */
bool dns_wire_next(const struct dns_answer *a, size_t *at, struct dns_rr *out);

/* Another server's answer to this question, whose id it must have. ERR_CORRUPT when it is none,
 * ERR_INVALID when it answers another question. Records of other classes and OPT are left out. */
int dns_wire_parse_answer(struct dns_answer *out, const uint8_t *p, size_t len,
                          const struct dns_query *asked, struct err *err);

/* The message for this asker, at most `limit` bytes (512 or more): whole records as far as they
 * fit, TC when some of the answer do not. TTLs are less by age_s. Returns its length. */
size_t dns_wire_render(uint8_t *out, size_t limit, const struct dns_query *q,
                       const struct dns_answer *a, uint32_t age_s);

#endif
