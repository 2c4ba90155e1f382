/* dns_zone.c -- what is kept of Services, EndpointSlices and Pods. */
#include <netinet/in.h>
#include <stdio.h>

#include "core/base/check.h"
#include "core/base/mem.h"
#include "gen/views.h"
#include "net/dns/dns_zone_int.h"

#define SERVICE_NAME_LABEL "kubernetes.io/service-name"
#define SLOTS_FIRST 64

/* --- counts by text */

static void count_up(struct map *m, const char *key)
{
    uintptr_t n = (uintptr_t)map_get(m, key);

    map_put(m, key, (void *)(n + 1));
}

static void count_down(struct map *m, const char *key)
{
    uintptr_t n = (uintptr_t)map_get(m, key);

    check(n > 0);
    if (n == 1)
        map_del(m, key);
    else
        map_put(m, key, (void *)(n - 1));
}

/* --- addresses */

static bool parse_ip(uint32_t *out, const char *text)
{
    unsigned a, b, c, d;
    int end = 0;

    if (str_empty(text) || strlen(text) > 15 ||
        sscanf(text, "%3u.%3u.%3u.%3u%n", &a, &b, &c, &d, &end) != 4 || text[end] ||
        a > 255 || b > 255 || c > 255 || d > 255)
        return false;
    *out = a << 24 | b << 16 | c << 8 | d;
    return *out != 0;
}

static size_t slot_of(const struct zone_table *t, uint32_t ip)
{
    return (ip * 0x9e3779b1u >> 8) & (t->n_slots - 1);
}

static void table_grow(struct zone_table *t)
{
    struct zone_table bigger = { .n_slots = t->n_slots ? t->n_slots * 2 : SLOTS_FIRST,
                                 .len = t->len };

    bigger.slots = mem_alloc_array(bigger.n_slots, sizeof(bigger.slots[0]));
    for (size_t i = 0; i < t->n_slots; i++) {
        for (struct zone_reverse *r = t->slots[i], *next; r; r = next) {
            struct zone_reverse **at = &bigger.slots[slot_of(&bigger, r->ip)];

            next = r->next;
            r->next = *at;
            *at = r;
        }
    }
    mem_free(t->slots);
    *t = bigger;
}

static void reverse_add(struct zone_table *t, struct zone_reverse *r)
{
    if (t->len >= t->n_slots)
        table_grow(t);
    r->next = t->slots[slot_of(t, r->ip)];
    t->slots[slot_of(t, r->ip)] = r;
    t->len++;
}

static void reverse_del(struct zone_table *t, struct zone_reverse *r)
{
    struct zone_reverse **at = &t->slots[slot_of(t, r->ip)];

    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    t->len--;
}

const struct zone_reverse *dns_zone_reverse(const struct dns_zone *z, uint32_t ip)
{
    return z->reverse.n_slots ? z->reverse.slots[slot_of(&z->reverse, ip)] : NULL;
}

/* --- Services */

static uint8_t protocol(const char *name)
{
    if (str_empty(name) || str_eq(name, "TCP"))
        return IPPROTO_TCP;
    return str_eq(name, "UDP") ? IPPROTO_UDP : str_eq(name, "SCTP") ? IPPROTO_SCTP : 0;
}

static void ports_free(struct zone_ports *p)
{
    for (unsigned i = 0; i < p->n; i++)
        mem_free(p->v[i].name);
    mem_free(p->v);
    *p = (struct zone_ports){ 0 };
}

static void ports_add(struct zone_ports *p, const char *name, const char *proto, int32_t port)
{
    uint8_t number = protocol(proto);

    if (number && port > 0 && port <= 65535)
        p->v[p->n++] = (struct zone_port){ mem_strdup(name ? name : ""), number, (uint16_t)port };
}

static void namespace_of(const char *key, char out[OBJECT_KEY_BYTES])
{
    char name[OBJECT_KEY_BYTES];

    object_key_split(key, out, name);
}

static struct zone_service *service_get(struct dns_zone *z, const char *key)
{
    struct zone_service *s = map_get(z->services, key);

    if (!s) {
        s = NEW(struct zone_service);
        s->key = mem_strdup(key);
        map_put(z->services, key, s);
    }
    return s;
}

/* Forgets the Service itself; its slices stay. */
static void service_clear(struct dns_zone *z, struct zone_service *s)
{
    char ns[OBJECT_KEY_BYTES];

    if (s->exists) {
        namespace_of(s->key, ns);
        count_down(z->namespaces, ns);
    }
    for (unsigned i = 0; i < s->n_ips; i++)
        reverse_del(&z->reverse, &s->ips[i]);
    s->ips = mem_free(s->ips);
    s->n_ips = 0;
    s->external = mem_free(s->external);
    ports_free(&s->ports);
    s->exists = s->headless = false;
}

static void service_drop_unused(struct dns_zone *z, struct zone_service *s)
{
    if (s->exists || s->slices)
        return;
    map_del(z->services, s->key);
    mem_free(s->key);
    mem_free(s);
}

static void add_ip(struct dns_zone *z, struct zone_service *s, const char *text)
{
    struct zone_reverse *r = &s->ips[s->n_ips];

    if (!parse_ip(&r->ip, text))
        return;
    r->service = s;
    r->is_service = true;
    reverse_add(&z->reverse, r);
    s->n_ips++;
}

void dns_zone_service(struct dns_zone *z, const struct object *o)
{
    const struct service_spec_view *spec = &service_view(o)->spec;
    char key[OBJECT_KEY_BYTES];
    struct zone_service *s;

    object_key(o, key);
    s = service_get(z, key);
    service_clear(z, s);
    s->exists = true;
    s->round = z->round[DNS_ZONE_SERVICES];
    count_up(z->namespaces, object_ns(o));
    z->serial++;
    s->ports.v = mem_alloc_array(spec->n_ports + 1, sizeof(s->ports.v[0]));
    for (unsigned i = 0; i < spec->n_ports; i++)
        ports_add(&s->ports, spec->ports[i].name, spec->ports[i].protocol, spec->ports[i].port);
    if (str_eq(spec->type, "ExternalName")) {
        s->external = mem_strdup(spec->external_name);
        return;
    }
    s->headless = str_eq(spec->cluster_ip, "None");
    if (s->headless)
        return;
    s->ips = mem_alloc_array(spec->n_cluster_ips + 1, sizeof(s->ips[0]));
    for (unsigned i = 0; i < spec->n_cluster_ips; i++)
        add_ip(z, s, spec->cluster_ips[i]);
    if (spec->n_cluster_ips == 0)
        add_ip(z, s, spec->cluster_ip);
}

static void service_gone(struct dns_zone *z, struct zone_service *s)
{
    service_clear(z, s);
    z->serial++;
    service_drop_unused(z, s);
}

void dns_zone_service_gone(struct dns_zone *z, const char *ns, const char *name)
{
    char key[OBJECT_KEY_BYTES];
    struct zone_service *s;

    object_key_of(key, ns, name);
    s = map_get(z->services, key);
    if (s)
        service_gone(z, s);
}

/* --- slices */

static void slice_gone(struct dns_zone *z, const char *key)
{
    struct zone_slice *slice = map_del(z->slices, key), **at;

    if (!slice)
        return;
    for (at = &slice->service->slices; *at != slice; at = &(*at)->next)
        continue;
    *at = slice->next;
    for (unsigned i = 0; i < slice->n_eps; i++) {
        reverse_del(&z->reverse, &slice->eps[i].rev);
        z->named_endpoints -= slice->eps[i].host != NULL;
        mem_free(slice->eps[i].host);
    }
    mem_free(slice->eps);
    ports_free(&slice->ports);
    service_drop_unused(z, slice->service);
    mem_free(slice->name);
    mem_free(slice);
    z->serial++;
}

void dns_zone_slice_gone(struct dns_zone *z, const char *ns, const char *name)
{
    char key[OBJECT_KEY_BYTES];

    object_key_of(key, ns, name);
    slice_gone(z, key);
}

static void add_endpoint(struct dns_zone *z, struct zone_slice *slice,
                         const struct endpoint_view *e)
{
    struct zone_endpoint *to = &slice->eps[slice->n_eps];

    if ((e->conditions.has_ready && !e->conditions.ready) || e->n_addresses == 0 ||
        !parse_ip(&to->rev.ip, e->addresses[0]))
        return;
    to->host = str_empty(e->hostname) ? NULL : mem_strdup(e->hostname);
    to->rev.host = to->host;
    to->rev.service = slice->service;
    reverse_add(&z->reverse, &to->rev);
    z->named_endpoints += to->host != NULL;
    slice->n_eps++;
}

void dns_zone_slice(struct dns_zone *z, const struct object *o)
{
    const struct endpoint_slice_view *view = endpoint_slice_view(o);
    const char *service = object_label(o, SERVICE_NAME_LABEL);
    char key[OBJECT_KEY_BYTES], service_key[OBJECT_KEY_BYTES];
    struct zone_slice *slice;

    object_key(o, key);
    slice_gone(z, key);
    if (str_empty(service) || strlen(service) > 63 || !str_eq(view->address_type, "IPv4"))
        return;
    object_key_of(service_key, object_ns(o), service);
    slice = NEW(struct zone_slice);
    slice->name = mem_strdup(object_name(o));
    slice->round = z->round[DNS_ZONE_SLICES];
    slice->service = service_get(z, service_key);
    slice->next = slice->service->slices;
    slice->service->slices = slice;
    map_put(z->slices, key, slice);
    slice->ports.v = mem_alloc_array(view->n_ports + 1, sizeof(slice->ports.v[0]));
    for (unsigned i = 0; i < view->n_ports; i++)
        ports_add(&slice->ports, view->ports[i].name, view->ports[i].protocol,
                  view->ports[i].has_port ? view->ports[i].port : 0);
    slice->eps = mem_alloc_array(view->n_endpoints + 1, sizeof(slice->eps[0]));
    for (unsigned i = 0; i < view->n_endpoints; i++)
        add_endpoint(z, slice, &view->endpoints[i]);
}

/* --- pods */

static void pod_gone(struct dns_zone *z, const char *key)
{
    struct zone_pod *p = map_del(z->pods, key);
    char ns[OBJECT_KEY_BYTES];

    if (!p)
        return;
    namespace_of(key, ns);
    count_down(z->pod_namespaces, ns);
    if (p->ns_ip)
        count_down(z->pod_ips, p->ns_ip);
    mem_free(p->ns_ip);
    mem_free(p);
}

void dns_zone_pod_gone(struct dns_zone *z, const char *ns, const char *name)
{
    char key[OBJECT_KEY_BYTES];

    object_key_of(key, ns, name);
    pod_gone(z, key);
}

void dns_zone_pod(struct dns_zone *z, const struct object *o)
{
    const struct pod_status_view *status = &pod_view(o)->status;
    struct zone_pod *p = NEW(struct zone_pod);
    char key[OBJECT_KEY_BYTES];

    object_key(o, key);
    pod_gone(z, key);
    p->round = z->round[DNS_ZONE_PODS];
    map_put(z->pods, key, p);
    count_up(z->pod_namespaces, object_ns(o));
    if (str_eq(status->phase, "Succeeded") || str_eq(status->phase, "Failed") ||
        !parse_ip(&p->ip, status->pod_ip))
        return;                          /* its address may be another pod's already */
    p->ns_ip = mem_printf("%s/%u", object_ns(o), p->ip);
    count_up(z->pod_ips, p->ns_ip);
}

/* --- whole lists */

void dns_zone_list_begin(struct dns_zone *z, enum dns_zone_list which)
{
    z->round[which]++;
}

static void end_services(struct dns_zone *z)
{
    void *value;

    for (size_t at = 0; map_next(z->services, &at, NULL, &value);) {
        struct zone_service *s = value;

        if (s->exists && s->round != z->round[DNS_ZONE_SERVICES])
            service_gone(z, s);
    }
}

static void end_slices(struct dns_zone *z)
{
    const char *key;
    void *value;

    for (size_t at = 0; map_next(z->slices, &at, &key, &value);) {
        char copy[OBJECT_KEY_BYTES];

        if (((struct zone_slice *)value)->round == z->round[DNS_ZONE_SLICES])
            continue;
        str_copy(copy, sizeof(copy), key, NULL);
        slice_gone(z, copy);
    }
}

static void end_pods(struct dns_zone *z)
{
    const char *key;
    void *value;

    for (size_t at = 0; map_next(z->pods, &at, &key, &value);) {
        char copy[OBJECT_KEY_BYTES];

        if (((struct zone_pod *)value)->round == z->round[DNS_ZONE_PODS])
            continue;
        str_copy(copy, sizeof(copy), key, NULL);
        pod_gone(z, copy);
    }
}

void dns_zone_list_end(struct dns_zone *z, enum dns_zone_list which)
{
    static void (*const ends[DNS_ZONE_LISTS])(struct dns_zone *) = {
        [DNS_ZONE_SERVICES] = end_services, [DNS_ZONE_SLICES] = end_slices,
        [DNS_ZONE_PODS] = end_pods,
    };

    ends[which](z);
}

/* --- life */

struct dns_zone *dns_zone_new(const char *domain, uint32_t dns_ip, uint32_t serial,
                              struct err *err)
{
    _cleanup_(dns_zone_freep) struct dns_zone *z = NEW(struct dns_zone);

    z->services = map_new();
    z->slices = map_new();
    z->namespaces = map_new();
    z->pods = map_new();
    z->pod_ips = map_new();
    z->pod_namespaces = map_new();
    z->dns_ip = dns_ip;
    z->serial = serial;
    if (dns_wire_name(&z->domain, domain) < 0 || z->domain.len < 2) {
        err_set(err, ERR_INVALID, "cluster domain \"%s\" is no domain name", domain);
        return NULL;
    }
    return TAKE(z);
}

void dns_zone_trust_pod_names(struct dns_zone *z)
{
    z->any_pod = true;
}

struct dns_zone *dns_zone_free(struct dns_zone *z)
{
    if (!z)
        return NULL;
    for (int i = 0; i < DNS_ZONE_LISTS; i++) {
        dns_zone_list_begin(z, i);
        dns_zone_list_end(z, i);
    }
    map_free(z->services, NULL);
    map_free(z->slices, NULL);
    map_free(z->namespaces, NULL);
    map_free(z->pods, NULL);
    map_free(z->pod_ips, NULL);
    map_free(z->pod_namespaces, NULL);
    mem_free(z->reverse.slots);
    return mem_free(z);
}

uint32_t dns_zone_names(const struct dns_zone *z)
{
    return (uint32_t)map_len(z->services) + z->named_endpoints;
}
