/* net/dns/dns_zone.h -- inside the room: the cluster's names, kept from Services, EndpointSlices
 * and Pods, and the answers about them (Kubernetes DNS specification 1.1.0). Pure; one owner.
 *
 * Nothing is stored per name: a question's name is taken apart into service, namespace, port and
 * endpoint, so that one change costs what changed and a Service about 200 bytes.
 */
#ifndef NET_DNS_DNS_ZONE_H
#define NET_DNS_DNS_ZONE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/cleanup.h"
#include "core/object/object.h"
#include "net/dns/dns_wire.h"

#define DNS_ZONE_CHASE_MAX 8             /* ExternalNames that point to each other */

struct dns_zone;

/* dns_ip: what ns.dns.DOMAIN is; network order is not used anywhere here. */
struct dns_zone *dns_zone_new(const char *domain, uint32_t dns_ip, uint32_t serial,
                              struct err *err);
struct dns_zone *dns_zone_free(struct dns_zone *z);
CLEANUP_DEFINE(struct dns_zone, dns_zone_free)

/* Names of pods are answered without looking whether there is one. */
void dns_zone_trust_pod_names(struct dns_zone *z);

/* Objects as they are now. */
void dns_zone_service(struct dns_zone *z, const struct object *o);
void dns_zone_service_gone(struct dns_zone *z, const char *ns, const char *name);
void dns_zone_slice(struct dns_zone *z, const struct object *o);
void dns_zone_slice_gone(struct dns_zone *z, const char *ns, const char *name);
void dns_zone_pod(struct dns_zone *z, const struct object *o);
void dns_zone_pod_gone(struct dns_zone *z, const char *ns, const char *name);

/* A new complete list: begin, every object as it is, end: what was not told again is gone. */
enum dns_zone_list { DNS_ZONE_SERVICES, DNS_ZONE_SLICES, DNS_ZONE_PODS, DNS_ZONE_LISTS };
void dns_zone_list_begin(struct dns_zone *z, enum dns_zone_list which);
void dns_zone_list_end(struct dns_zone *z, enum dns_zone_list which);

enum dns_zone_said {
    DNS_ZONE_OTHER,                      /* not ours: ask elsewhere */
    DNS_ZONE_DONE,                       /* the answer is complete */
    DNS_ZONE_CHASE                       /* *chase is outside: its answer belongs behind ours */
};
/* Fills `a`. `turn` changes from question to question: which of several addresses comes first. */
enum dns_zone_said dns_zone_ask(struct dns_zone *z, const struct dns_query *q, uint32_t turn,
                                struct dns_answer *a, struct dns_name *chase);

uint32_t dns_zone_names(const struct dns_zone *z);       /* Services and named endpoints */

#endif
