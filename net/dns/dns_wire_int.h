/* dns_wire_int.h -- shared by dns_wire*.c. */
#ifndef NET_DNS_DNS_WIRE_INT_H
#define NET_DNS_DNS_WIRE_INT_H

#include <stdint.h>

const char *dns_wire_form(uint16_t type);

static inline uint16_t dns_wire_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t dns_wire_get32(const uint8_t *p)
{
    return (uint32_t)dns_wire_get16(p) << 16 | dns_wire_get16(p + 2);
}

static inline void dns_wire_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void dns_wire_put32(uint8_t *p, uint32_t v)
{
    dns_wire_put16(p, (uint16_t)(v >> 16));
    dns_wire_put16(p + 2, (uint16_t)v);
}

#endif
