/* dns_zone_int.h -- shared by dns_zone*.c: what is kept of the objects. */
#ifndef NET_DNS_DNS_ZONE_INT_H
#define NET_DNS_DNS_ZONE_INT_H

#include "core/base/map.h"
#include "net/dns/dns_zone.h"

struct zone_port { char *name; uint8_t proto; uint16_t port; };
struct zone_ports { struct zone_port *v; unsigned n; };

/* One address in the table of reverse names; chained. */
struct zone_reverse {
    struct zone_reverse *next;
    uint32_t ip;
    bool is_service;                     /* a cluster IP; else an endpoint */
    const struct zone_service *service;
    const char *host;                    /* of an endpoint that has one */
};
struct zone_endpoint { struct zone_reverse rev; char *host; };           /* host NULL: none */

struct zone_slice {
    struct zone_slice *next;             /* of the same Service */
    struct zone_service *service;
    char *name;
    struct zone_ports ports;
    struct zone_endpoint *eps;           /* the ready ones */
    unsigned n_eps;
    unsigned round;
};

/* Exists while there is the Service or a slice of it. */
struct zone_service {
    char *key;                           /* "ns/name" */
    bool exists, headless;
    char *external;                      /* ExternalName */
    struct zone_ports ports;
    struct zone_reverse *ips;
    unsigned n_ips;
    struct zone_slice *slices;
    unsigned round;
};

struct zone_pod { uint32_t ip; unsigned round; char *ns_ip; };   /* ns_ip: key in pod_ips */

struct zone_table { struct zone_reverse **slots; size_t n_slots, len; };

struct dns_zone {
    struct dns_name domain;
    uint32_t dns_ip, serial;
    struct map *services;                /* "ns/name" -> struct zone_service */
    struct map *slices;                  /* "ns/slice name" -> struct zone_slice */
    struct map *namespaces;              /* "ns" -> how many Services */
    bool any_pod;                        /* names of pods are true by themselves */
    struct map *pods;                    /* "ns/name" -> struct zone_pod */
    struct map *pod_ips;                 /* "ns/ip" -> how many pods */
    struct map *pod_namespaces;          /* "ns" -> how many pods */
    struct zone_table reverse;
    unsigned round[DNS_ZONE_LISTS];
    uint32_t named_endpoints;
};

/* The first of the chain that may have this address; compare ip, go on with next. */
const struct zone_reverse *dns_zone_reverse(const struct dns_zone *z, uint32_t ip);

#endif
