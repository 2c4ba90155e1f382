/* cmd/box/box_dns.h -- private to the box: questions to name servers, and answers taken apart. Pure
 * but for box_dns_ask. */
#ifndef CMD_BOX_BOX_DNS_H
#define CMD_BOX_BOX_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/base/err.h"

#define BOX_DNS_NAME 256
#define BOX_DNS_PACKET 4096
#define BOX_DNS_SERVERS 3
#define BOX_DNS_SEARCH 8
#define BOX_DNS_RECORDS 64

enum {
    BOX_DNS_A = 1,
    BOX_DNS_NS = 2,
    BOX_DNS_CNAME = 5,
    BOX_DNS_SOA = 6,
    BOX_DNS_PTR = 12,
    BOX_DNS_MX = 15,
    BOX_DNS_TXT = 16,
    BOX_DNS_AAAA = 28,
    BOX_DNS_SRV = 33,
    BOX_DNS_ANY = 255
};

struct box_dns_conf {
    struct sockaddr_storage server[BOX_DNS_SERVERS];
    size_t n_servers;
    char search[BOX_DNS_SEARCH][BOX_DNS_NAME];
    size_t n_search;
    int ndots, timeout_ms, attempts;
};
/* Of a resolv.conf's text; without servers: 127.0.0.1. */
void box_dns_conf_parse(struct box_dns_conf *out, const char *text);
void box_dns_conf_read(struct box_dns_conf *out);

struct box_dns_record {
    char name[BOX_DNS_NAME];
    uint16_t type, cls;
    uint32_t ttl;
    const uint8_t *data;                 /* in the packet */
    size_t len;
};
struct box_dns_answer {
    uint16_t id, flags;
    int rcode;
    bool truncated;
    uint16_t counts[4];                  /* question, answer, authority, additional */
    size_t n;
    struct box_dns_record v[BOX_DNS_RECORDS];        /* answer and authority */
    const uint8_t *packet;
    size_t len;
};

/* Returns its length; ERR_INVALID for a bad name. */
int box_dns_question(uint8_t out[512], uint16_t id, const char *name, uint16_t type,
                     struct err *err);
int box_dns_parse(struct box_dns_answer *out, const uint8_t *packet, size_t len, struct err *err);
/* The name at an offset, with a dot at its end; -1 for a bad one. */
int box_dns_name(char out[BOX_DNS_NAME], const uint8_t *packet, size_t len, size_t at);
/* A record's data as dig shows it. */
void box_dns_show(char *out, size_t size, const struct box_dns_answer *a,
                  const struct box_dns_record *r);
uint16_t box_dns_type(const char *name);             /* 0: unknown */
const char *box_dns_type_name(uint16_t type);

/* Asks one server over UDP, then TCP if the answer is cut. The answer points into packet. */
int box_dns_ask(struct box_dns_answer *out, uint8_t packet[65536],
                const struct sockaddr_storage *server, const char *name, uint16_t type,
                int64_t timeout_ms, struct err *err);

#endif
