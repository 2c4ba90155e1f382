/* proxy_view.c -- from the typed views to plain numbers. What cannot be read is left out: the API
 * server has checked it, and one bad address must not take the others along. */
#include "net/proxy/proxy_view.h"

#include <netinet/in.h>
#include <stdio.h>

#include "core/base/mem.h"
#include "core/base/str.h"
#include "gen/views.h"
#include "net/netlink/netlink.h"

#define SERVICE_NAME_LABEL "kubernetes.io/service-name"
#define PROXY_NAME_LABEL "service.kubernetes.io/service-proxy-name"
#define HEADLESS_LABEL "service.kubernetes.io/headless"
#define AFFINITY_DEFAULT_S 10800

static uint8_t protocol(const char *name)
{
    if (str_empty(name) || str_eq(name, "TCP"))
        return IPPROTO_TCP;
    return str_eq(name, "UDP") ? IPPROTO_UDP : str_eq(name, "SCTP") ? IPPROTO_SCTP : 0;
}

static bool address(uint32_t *out, const char *text)
{
    struct ip4 ip;

    if (str_empty(text) || ip4_parse(&ip, text, NULL) < 0 || ip.prefix != 32 || ip.addr == 0)
        return false;
    *out = ip.addr;
    return true;
}

static void read_cluster_ips(struct svcmap_in *out, struct arena *a,
                             const struct service_spec_view *spec)
{
    uint32_t *ips = arena_alloc(a, (spec->n_cluster_ips + 1) * sizeof(*ips));
    unsigned n = 0;

    for (unsigned i = 0; i < spec->n_cluster_ips; i++)
        n += address(&ips[n], spec->cluster_ips[i]);
    if (spec->n_cluster_ips == 0)
        n += address(&ips[n], spec->cluster_ip);
    out->cluster_ips = ips;
    out->n_cluster_ips = n;
}

static void read_external_ips(struct svcmap_in *out, struct arena *a, const struct service_view *s)
{
    const struct load_balancer_status_view *lb = &s->status.load_balancer;
    size_t room = (size_t)s->spec.n_external_ips + lb->n_ingress + 1;
    uint32_t *ips = arena_alloc(a, room * sizeof(*ips));
    unsigned n = 0;

    for (unsigned i = 0; i < s->spec.n_external_ips; i++)
        n += address(&ips[n], s->spec.external_ips[i]);
    for (unsigned i = 0; str_eq(s->spec.type, "LoadBalancer") && i < lb->n_ingress; i++) {
        /* Mode Proxy: the balancer wants to see the traffic itself. */
        if (!str_eq(lb->ingress[i].ip_mode, "Proxy"))
            n += address(&ips[n], lb->ingress[i].ip);
    }
    out->external_ips = ips;
    out->n_external_ips = n;
}

static void read_ports(struct svcmap_in *out, struct arena *a, const struct service_spec_view *spec)
{
    struct svcmap_in_port *ports = arena_alloc(a, (spec->n_ports + 1) * sizeof(*ports));
    unsigned n = 0;

    for (unsigned i = 0; i < spec->n_ports; i++) {
        const struct service_port_view *p = &spec->ports[i];
        uint8_t proto = protocol(p->protocol);

        if (!proto || p->port < 1 || p->port > 65535 || p->node_port < 0 || p->node_port > 65535)
            continue;
        ports[n++] = (struct svcmap_in_port){ p->name ? p->name : "", proto, (uint16_t)p->port,
                                              (uint16_t)p->node_port };
    }
    out->ports = ports;
    out->n_ports = n;
}

bool proxy_view_service(struct svcmap_in *out, struct arena *a, const struct object *service)
{
    const struct service_view *s = service_view(service);
    const struct session_affinity_config_view *config = s->spec.session_affinity_config;

    if (str_eq(s->spec.type, "ExternalName") || str_eq(s->spec.cluster_ip, "None") ||
        str_empty(s->spec.cluster_ip) || object_label(service, PROXY_NAME_LABEL))
        return false;
    *out = (struct svcmap_in){
        .external_local = str_eq(s->spec.external_traffic_policy, "Local"),
        .internal_local = str_eq(s->spec.internal_traffic_policy, "Local"),
    };
    if (str_eq(s->spec.session_affinity, "ClientIP")) {
        out->affinity_s = AFFINITY_DEFAULT_S;
        if (config && config->client_ip && config->client_ip->timeout_seconds > 0)
            out->affinity_s = (uint32_t)config->client_ip->timeout_seconds;
    }
    read_cluster_ips(out, a, &s->spec);
    read_external_ips(out, a, s);
    read_ports(out, a, &s->spec);
    return true;
}

static void read_slice(struct svcmap_slice *out, struct arena *a, const struct object *slice,
                       const char *node_name)
{
    const struct endpoint_slice_view *s = endpoint_slice_view(slice);
    struct svcmap_slice_port *ports = arena_alloc(a, (s->n_ports + 1) * sizeof(*ports));
    struct svcmap_endpoint *eps = arena_alloc(a, (s->n_endpoints + 1) * sizeof(*eps));

    *out = (struct svcmap_slice){ .ports = ports, .endpoints = eps };
    for (unsigned i = 0; i < s->n_ports; i++) {
        const struct endpoint_port_view *p = &s->ports[i];

        if (p->has_port && p->port > 0 && p->port <= 65535)
            ports[out->n_ports++] = (struct svcmap_slice_port){
                p->name ? p->name : "", protocol(p->protocol), (uint16_t)p->port };
    }
    for (unsigned i = 0; i < s->n_endpoints; i++) {
        const struct endpoint_view *e = &s->endpoints[i];
        const struct endpoint_conditions_view *c = &e->conditions;
        struct svcmap_endpoint ep = { .ready = !c->has_ready || c->ready };

        if (e->n_addresses == 0 || !address(&ep.ip, e->addresses[0]))
            continue;
        ep.serving = c->has_serving ? c->serving : ep.ready;
        ep.terminating = c->has_terminating && c->terminating;
        ep.local = !str_empty(e->node_name) && str_eq(e->node_name, node_name);
        eps[out->n_endpoints++] = ep;
    }
}

void proxy_view_slices(struct svcmap_in *out, struct arena *a, struct object *const *slices,
                       size_t n,
                       const char *node_name)
{
    struct svcmap_slice *v = arena_alloc(a, (n + 1) * sizeof(*v));

    for (size_t i = 0; i < n; i++)
        read_slice(&v[i], a, slices[i], node_name);
    out->slices = v;
    out->n_slices = (unsigned)n;
}

bool proxy_view_slice_key(const struct object *slice, char out[OBJECT_KEY_BYTES])
{
    const char *name = object_label(slice, SERVICE_NAME_LABEL);

    if (str_empty(name) || strlen(name) > 253 || object_label(slice, HEADLESS_LABEL) ||
        !str_eq(endpoint_slice_view(slice)->address_type, "IPv4"))
        return false;
    object_key_of(out, object_ns(slice), name);
    return true;
}
