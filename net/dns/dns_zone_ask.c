/* dns_zone_ask.c -- a question's name taken apart, from the right, and what it stands for.
 *
 *   DOMAIN                          SOA, NS            dns-version.DOMAIN      TXT
 *   ns.dns.DOMAIN                   A                  IP.NS.pod.DOMAIN        A
 *   SERVICE.NS.svc.DOMAIN           A, SRV of all ports, or CNAME
 *   ENDPOINT.SERVICE.NS.svc.DOMAIN  A                  (its host name, or its address with dashes)
 *   _PORT._PROTO.SERVICE.NS.svc.DOMAIN                 SRV
 *   D.C.B.A.in-addr.arpa            PTR, for addresses that we know
 *
 * A name that exists without records of the asked type is NODATA, all others are NXDOMAIN; both
 * carry the SOA, whose last number says how long that may be kept.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/mem.h"
#include "core/base/vec.h"
#include "net/dns/dns.h"
#include "net/dns/dns_wire_int.h"
#include "net/dns/dns_zone_int.h"

#define DNS_VERSION "1.1.0"
#define LABELS_MAX 5                     /* before the domain: _port._proto.service.ns.svc */
#define TARGET_BYTES 600                 /* endpoint.service.ns.svc */

struct ask {
    struct dns_zone *z;
    const struct dns_query *q;
    struct dns_name name;                /* what is looked up now: q's, or a CNAME's target */
    char label[LABELS_MAX][DNS_LABEL_BYTES + 1];         /* lower case; from the left */
    unsigned n;                          /* more than LABELS_MAX: too many */
    uint32_t turn;
    struct dns_answer *a;
    unsigned added;
    struct dns_name *chase;
};

enum found { FOUND_NONE, FOUND_NAME, FOUND_CHASE_IN, FOUND_CHASE_OUT };

static void add(struct ask *k, enum dns_section s, const struct dns_name *name,
                const struct dns_data *data)
{
    dns_wire_add(k->a, s, name, data);
    k->added += s == DNS_ANSWER;
}

static void add_a(struct ask *k, enum dns_section s, const struct dns_name *name, uint32_t ip)
{
    uint8_t data[4];

    dns_wire_put32(data, ip);
    add(k, s, name, &(struct dns_data){ DNS_A, DNS_TTL_S, data, 4 });
}

static bool wants(const struct ask *k, uint16_t type)
{
    return k->q->type == type;
}

/* --- the top of the domain */

static void add_soa(struct ask *k, enum dns_section s)
{
    uint8_t data[2 * DNS_NAME_BYTES + 20];
    const uint32_t numbers[] = { k->z->serial, 7200, 1800, 86400, DNS_TTL_S };
    struct dns_name ns, mail;
    size_t len;

    if (dns_wire_name_join(&ns, "ns.dns", &k->z->domain) < 0 ||
        dns_wire_name_join(&mail, "hostmaster", &k->z->domain) < 0)
        return;
    memcpy(data, ns.w, ns.len);
    memcpy(data + ns.len, mail.w, mail.len);
    len = (size_t)ns.len + mail.len;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++, len += 4)
        dns_wire_put32(data + len, numbers[i]);
    add(k, s, &k->z->domain, &(struct dns_data){ DNS_SOA, DNS_TTL_S, data, len });
}

static enum found ask_top(struct ask *k)
{
    struct dns_name ns;

    if (wants(k, DNS_SOA))
        add_soa(k, DNS_ANSWER);
    if (wants(k, DNS_NS) && dns_wire_name_join(&ns, "ns.dns", &k->z->domain) == 0) {
        add(k, DNS_ANSWER, &k->name, &(struct dns_data){ DNS_NS, DNS_TTL_S, ns.w, ns.len });
        add_a(k, DNS_ADDITIONAL, &ns, k->z->dns_ip);
    }
    return FOUND_NAME;
}

static enum found ask_version(struct ask *k)
{
    static const char text[] = "\x05" DNS_VERSION;

    if (k->n != 1)
        return FOUND_NONE;
    if (wants(k, DNS_TXT))
        add(k, DNS_ANSWER, &k->name,
            &(struct dns_data){ DNS_TXT, DNS_TTL_S, text, sizeof(text) - 1 });
    return FOUND_NAME;
}

static enum found ask_dns(struct ask *k)
{
    if (k->n > 2 || (k->n == 2 && !str_eq(k->label[0], "ns")))
        return FOUND_NONE;
    if (k->n == 2 && wants(k, DNS_A))
        add_a(k, DNS_ANSWER, &k->name, k->z->dns_ip);
    return FOUND_NAME;
}

/* --- pods */

static bool dashed_ip(uint32_t *out, const char *text)
{
    unsigned v[4];
    int end = 0;

    if (strlen(text) > 15 || sscanf(text, "%3u-%3u-%3u-%3u%n", v, v + 1, v + 2, v + 3, &end) != 4 ||
        text[end] || v[0] > 255 || v[1] > 255 || v[2] > 255 || v[3] > 255)
        return false;
    *out = v[0] << 24 | v[1] << 16 | v[2] << 8 | v[3];
    return true;
}

static enum found ask_pod(struct ask *k)
{
    char key[DNS_LABEL_BYTES + 16];
    uint32_t ip;

    if (k->n == 1)
        return FOUND_NAME;
    if (k->n == 2)
        return k->z->any_pod || map_get(k->z->pod_namespaces, k->label[0]) ? FOUND_NAME
                                                                           : FOUND_NONE;
    if (k->n > 3 || !dashed_ip(&ip, k->label[0]))
        return FOUND_NONE;
    snprintf(key, sizeof(key), "%s/%u", k->label[1], ip);
    if (!k->z->any_pod && !map_get(k->z->pod_ips, key))
        return FOUND_NONE;
    if (wants(k, DNS_A))
        add_a(k, DNS_ANSWER, &k->name, ip);
    return FOUND_NAME;
}

/* --- Services */

/* One address (and port) of an answer. */
struct target { uint32_t ip; uint16_t port; const char *host; };
struct targets { VEC(struct target) v; };

static int target_order(const void *x, const void *y)
{
    const struct target *a = x, *b = y;

    if (a->ip != b->ip)
        return a->ip < b->ip ? -1 : 1;
    if (a->port != b->port)
        return (int)a->port - (int)b->port;
    return (a->host == NULL) - (b->host == NULL);
}

/* An endpoint stands in several slices while it moves between them. */
static void targets_settle(struct targets *t)
{
    size_t n = 0;

    if (t->v.len > 1)
        qsort(t->v.v, t->v.len, sizeof(t->v.v[0]), target_order);
    for (size_t i = 0; i < t->v.len; i++)
        if (n == 0 || t->v.v[n - 1].ip != t->v.v[i].ip || t->v.v[n - 1].port != t->v.v[i].port)
            t->v.v[n++] = t->v.v[i];
    t->v.len = n;
}

static void add_addresses(struct ask *k, struct targets *t)
{
    targets_settle(t);
    for (size_t i = 0; i < t->v.len; i++)
        add_a(k, DNS_ANSWER, &k->name, t->v.v[(i + k->turn) % t->v.len].ip);
}

static bool host_is(const struct zone_endpoint *e, const char *host)
{
    uint32_t ip;

    return e->host ? str_eq(e->host, host) : dashed_ip(&ip, host) && ip == e->rev.ip;
}

/* The endpoints, of one host name or all; true if there are any. */
static bool gather_endpoints(struct targets *t, const struct zone_service *s, const char *host)
{
    for (const struct zone_slice *slice = s->slices; slice; slice = slice->next)
        for (unsigned i = 0; i < slice->n_eps; i++)
            if (!host || host_is(&slice->eps[i], host))
                vec_push(&t->v, ((struct target){ .ip = slice->eps[i].rev.ip }));
    return t->v.len > 0;
}

static uint8_t protocol_label(const char *label)
{
    return str_eq(label, "_tcp") ? IPPROTO_TCP : str_eq(label, "_udp") ? IPPROTO_UDP :
           str_eq(label, "_sctp") ? IPPROTO_SCTP : 0;
}

/* name and proto NULL, 0: any. */
static bool port_is(const struct zone_port *p, const char *name, uint8_t proto)
{
    return (!proto || p->proto == proto) && (!name || str_eq(p->name, name));
}

static bool any_port(const struct zone_service *s, const char *name, uint8_t proto)
{
    bool found = false;

    for (unsigned i = 0; i < s->ports.n; i++)
        found |= port_is(&s->ports.v[i], name, proto);
    for (const struct zone_slice *e = s->headless ? s->slices : NULL; e; e = e->next)
        for (unsigned i = 0; i < e->ports.n; i++)
            found |= port_is(&e->ports.v[i], name, proto);
    return found;
}

static void gather_srv(struct targets *t, const struct zone_service *s, const char *name,
                       uint8_t proto)
{
    if (!s->headless) {
        for (unsigned i = 0; i < s->ports.n; i++)
            if (s->n_ips > 0 && port_is(&s->ports.v[i], name, proto))
                vec_push(&t->v, ((struct target){ s->ips[0].ip, s->ports.v[i].port, NULL }));
        return;
    }
    for (const struct zone_slice *slice = s->slices; slice; slice = slice->next) {
        for (unsigned p = 0; p < slice->ports.n; p++) {
            if (!port_is(&slice->ports.v[p], name, proto))
                continue;
            for (unsigned i = 0; i < slice->n_eps; i++)
                vec_push(&t->v, ((struct target){ slice->eps[i].rev.ip, slice->ports.v[p].port,
                                                  slice->eps[i].host }));
        }
    }
}

/* "service.ns.svc" below the domain, of an endpoint with its host name before that. */
static int target_name(struct dns_name *out, const struct dns_zone *z, const struct zone_service *s,
                       const struct target *t)
{
    char ns[OBJECT_KEY_BYTES], name[OBJECT_KEY_BYTES], text[TARGET_BYTES * 2];

    object_key_split(s->key, ns, name);
    if (!s->headless && !t->host)
        snprintf(text, sizeof(text), "%s.%s.svc", name, ns);
    else if (t->host)
        snprintf(text, sizeof(text), "%s.%s.%s.svc", t->host, name, ns);
    else
        snprintf(text, sizeof(text), "%u-%u-%u-%u.%s.%s.svc", t->ip >> 24, t->ip >> 16 & 255,
                 t->ip >> 8 & 255, t->ip & 255, name, ns);
    return dns_wire_name_join(out, text, &z->domain);
}

static void add_srv(struct ask *k, const struct zone_service *s, const char *name, uint8_t proto)
{
    struct targets t = { 0 };
    struct dns_name target;
    size_t weight;

    gather_srv(&t, s, name, proto);
    targets_settle(&t);
    weight = t.v.len > 100 ? 1 : t.v.len ? 100 / t.v.len : 0;
    for (int pass = 0; pass < 2; pass++) {               /* the addresses after all of the answer */
        for (size_t i = 0; i < t.v.len; i++) {
            uint8_t data[6 + DNS_NAME_BYTES] = { 0 };

            if (target_name(&target, k->z, s, &t.v.v[i]) < 0)
                continue;
            if (pass == 1) {
                if (i == 0 || t.v.v[i].ip != t.v.v[i - 1].ip)
                    add_a(k, DNS_ADDITIONAL, &target, t.v.v[i].ip);
                continue;
            }
            dns_wire_put16(data + 2, (uint16_t)weight);
            dns_wire_put16(data + 4, t.v.v[i].port);
            memcpy(data + 6, target.w, target.len);
            add(k, DNS_ANSWER, &k->name,
                &(struct dns_data){ DNS_SRV, DNS_TTL_S, data, 6u + target.len });
        }
    }
    vec_deinit(&t.v);
}

static enum found ask_external(struct ask *k, const struct zone_service *s)
{
    const char *text = s->external;
    struct dns_name target;

    /* An address is no name: there is nothing to say. */
    if (text[strspn(text, "0123456789.")] == '\0' || dns_wire_name(&target, text) < 0)
        return FOUND_NONE;
    add(k, DNS_ANSWER, &k->name, &(struct dns_data){ DNS_CNAME, DNS_TTL_S, target.w, target.len });
    if (wants(k, DNS_CNAME))
        return FOUND_NAME;
    *k->chase = target;
    return dns_wire_name_under(&target, &k->z->domain) ? FOUND_CHASE_IN : FOUND_CHASE_OUT;
}

static enum found ask_service_name(struct ask *k, const struct zone_service *s)
{
    struct targets t = { 0 };

    if (s->external)
        return ask_external(k, s);
    if (wants(k, DNS_SRV))
        add_srv(k, s, NULL, 0);
    if (wants(k, DNS_A) && s->headless)
        gather_endpoints(&t, s, NULL);
    for (unsigned i = 0; wants(k, DNS_A) && i < s->n_ips; i++)
        vec_push(&t.v, ((struct target){ .ip = s->ips[i].ip }));
    add_addresses(k, &t);
    vec_deinit(&t.v);
    return FOUND_NAME;
}

static enum found ask_endpoint(struct ask *k, const struct zone_service *s)
{
    uint8_t proto = protocol_label(k->label[0]);
    struct targets t = { 0 };
    bool found;

    if (proto)                           /* no records, but names below it */
        return any_port(s, NULL, proto) ? FOUND_NAME : FOUND_NONE;
    found = gather_endpoints(&t, s, k->label[0]);
    if (found && wants(k, DNS_A))
        add_addresses(k, &t);
    vec_deinit(&t.v);
    return found ? FOUND_NAME : FOUND_NONE;
}

static enum found ask_port(struct ask *k, const struct zone_service *s)
{
    uint8_t proto = protocol_label(k->label[1]);
    const char *name = k->label[0] + 1;

    if (k->label[0][0] != '_' || !*name || !proto || !any_port(s, name, proto))
        return FOUND_NONE;
    if (wants(k, DNS_SRV))
        add_srv(k, s, name, proto);
    return FOUND_NAME;
}

static enum found ask_svc(struct ask *k)
{
    char key[2 * DNS_LABEL_BYTES + 2];
    const struct zone_service *s;

    if (k->n == 1)
        return FOUND_NAME;
    if (k->n == 2)
        return map_get(k->z->namespaces, k->label[0]) ? FOUND_NAME : FOUND_NONE;
    snprintf(key, sizeof(key), "%s/%s", k->label[k->n - 2], k->label[k->n - 3]);
    s = map_get(k->z->services, key);
    if (!s || !s->exists)
        return FOUND_NONE;
    if (k->n == 3)
        return ask_service_name(k, s);
    if (s->external)
        return FOUND_NONE;
    return k->n == 4 ? ask_endpoint(k, s) : ask_port(k, s);
}

/* --- dispatch */

static const struct { const char *last; enum found (*ask)(struct ask *); } branches[] = {
    { "svc", ask_svc }, { "pod", ask_pod }, { "dns", ask_dns }, { "dns-version", ask_version },
};

/* The labels before the domain, as text; false when one of them can be none of ours. */
static bool split(struct ask *k, unsigned domain_labels)
{
    uint8_t at[DNS_LABELS_MAX];

    k->n = dns_wire_labels(&k->name, at) - domain_labels;
    if (k->n > LABELS_MAX)
        return false;
    for (unsigned i = 0; i < k->n; i++) {
        const uint8_t *l = k->name.w + at[i];

        for (unsigned c = 0; c < *l; c++) {
            char ch = (char)l[1 + c];

            ch = (char)(ch >= 'A' && ch <= 'Z' ? ch | 0x20 : ch);
            if (!((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '-' || ch == '_'))
                return false;
            k->label[i][c] = ch;
        }
        k->label[i][*l] = '\0';
    }
    return true;
}

static enum found find(struct ask *k)
{
    uint8_t at[DNS_LABELS_MAX];

    if (!split(k, dns_wire_labels(&k->z->domain, at)))
        return FOUND_NONE;
    if (k->n == 0)
        return ask_top(k);
    for (size_t i = 0; i < ARRAY_LEN(branches); i++)
        if (str_eq(branches[i].last, k->label[k->n - 1]))
            return branches[i].ask(k);
    return FOUND_NONE;
}

/* --- reverse names */

static bool reverse_ip(uint32_t *out, const struct dns_name *name)
{
    char text[DNS_NAME_TEXT_BYTES];
    unsigned v[4];
    int end = 0;

    if (name->len > 32)
        return false;
    dns_wire_name_text(name, text);
    if (sscanf(text, "%3u.%3u.%3u.%3u.in-addr.arpa.%n", v, v + 1, v + 2, v + 3, &end) != 4 ||
        end == 0 || text[end] || v[0] > 255 || v[1] > 255 || v[2] > 255 || v[3] > 255)
        return false;
    *out = v[3] << 24 | v[2] << 16 | v[1] << 8 | v[0];
    return true;
}

/* The Service of this cluster IP; else the endpoints with a host name. */
static bool ask_reverse(struct ask *k)
{
    struct dns_name name;
    uint32_t ip;
    bool found = false;

    if (!reverse_ip(&ip, &k->name))
        return false;
    for (int pass = 0; pass < 2 && !found; pass++) {
        for (const struct zone_reverse *r = dns_zone_reverse(k->z, ip); r; r = r->next) {
            struct target t = { .ip = ip, .host = r->host };

            if (r->ip != ip || r->is_service != (pass == 0) || (!r->is_service && !r->host) ||
                !r->service->exists || target_name(&name, k->z, r->service, &t) < 0)
                continue;
            found = true;
            if (wants(k, DNS_PTR))
                add(k, DNS_ANSWER, &k->name,
                    &(struct dns_data){ DNS_PTR, DNS_TTL_S, name.w, name.len });
        }
    }
    return found;
}

enum dns_zone_said dns_zone_ask(struct dns_zone *z, const struct dns_query *q, uint32_t turn,
                                struct dns_answer *a, struct dns_name *chase)
{
    struct ask k = { .z = z, .q = q, .name = q->name, .turn = turn, .a = a, .chase = chase };
    enum found found = FOUND_CHASE_IN;

    dns_wire_answer_clear(a);
    if (!dns_wire_name_under(&q->name, &z->domain)) {
        if (!ask_reverse(&k))
            return DNS_ZONE_OTHER;
        found = FOUND_NAME;
    }
    a->aa = true;
    for (int i = 0; i < DNS_ZONE_CHASE_MAX && found == FOUND_CHASE_IN; i++) {
        found = find(&k);
        if (found == FOUND_CHASE_IN) {
            k.name = *chase;
            k.added = 0;
        }
    }
    if (found == FOUND_CHASE_OUT)
        return DNS_ZONE_CHASE;
    if (found == FOUND_CHASE_IN)
        a->rcode = DNS_SERVFAIL;         /* a circle */
    else if (found == FOUND_NONE)
        a->rcode = DNS_NXDOMAIN;
    if (found == FOUND_NONE || (found == FOUND_NAME && k.added == 0))
        add_soa(&k, DNS_AUTHORITY);
    return DNS_ZONE_DONE;
}
