/* api_alloc.c: cluster addresses and node ports. The Services themselves are the ledger: what is
 * taken is read from the cache each time, and the job key "services" lets only one write look at a
 * time. */
#include "core/api/api_call.h"

#include "core/object/rules.h"
#include "gen/views.h"

#include <arpa/inet.h>

#define PORTS 65536

struct api_alloc {
    /* IPv4 range, host order; the first address is the network's */
    uint32_t first, size;
    int port_min, port_max;
};

/* What Services other than one hold. */
struct taken {
    uint8_t *ips;                           /* a bit per address of the range */
    uint8_t ports[PORTS / 8];
};

int api_alloc_new(struct api_alloc **out, const struct api_opts *opts, struct err *err)
{
    struct api_alloc *al = NEW(struct api_alloc);
    const char *cidr = opts->service_cidr ? opts->service_cidr : "10.43.0.0/16";
    const char *slash = strchr(cidr, '/');
    char text[INET_ADDRSTRLEN] = "";
    struct in_addr addr;
    int64_t bits;

    if (slash && (size_t)(slash - cidr) < sizeof(text))
        memcpy(text, cidr, (size_t)(slash - cidr));
    if (!slash || inet_pton(AF_INET, text, &addr) != 1 || str_to_i64(slash + 1, 12, 30, &bits,
                                                                     NULL) < 0) {
        mem_free(al);
        return err_set(err, ERR_INVALID, "service-cidr %s: must be an IPv4 range of /12 to /30",
                       cidr);
    }
    al->size = 1u << (32 - bits);
    al->first = ntohl(addr.s_addr) & ~(al->size - 1);
    al->port_min = opts->node_port_min ? opts->node_port_min : 30000;
    al->port_max = opts->node_port_max ? opts->node_port_max : 32767;
    *out = al;
    return 0;
}

struct api_alloc *api_alloc_free(struct api_alloc *al)
{
    return mem_free(al);
}

void api_alloc_first(const struct api_alloc *al, char out[16])
{
    struct in_addr addr = { .s_addr = htonl(al->first + 1) };

    inet_ntop(AF_INET, &addr, out, 16);
}

static bool bit(const uint8_t *map, uint32_t i) { return map[i / 8] & (1u << (i % 8)); }
static void set_bit(uint8_t *map, uint32_t i)
{
    map[i / 8] = (uint8_t)(map[i / 8] | (1u << (i % 8)));
}

static bool in_range(const struct api_alloc *al, const char *text, uint32_t *index)
{
    struct in_addr addr;

    if (inet_pton(AF_INET, text, &addr) != 1)
        return false;
    *index = ntohl(addr.s_addr) - al->first;
    return ntohl(addr.s_addr) >= al->first && *index < al->size;
}

static void take(const struct api_alloc *al, struct taken *t, const struct service_view *svc)
{
    uint32_t index;

    for (unsigned i = 0; i < svc->spec.n_cluster_ips; i++)
        if (in_range(al, svc->spec.cluster_ips[i], &index))
            set_bit(t->ips, index);
    for (unsigned i = 0; i < svc->spec.n_ports; i++)
        if (svc->spec.ports[i].node_port > 0)
            set_bit(t->ports, (uint32_t)svc->spec.ports[i].node_port & 0xffff);
    if (svc->spec.health_check_node_port > 0)
        set_bit(t->ports, (uint32_t)svc->spec.health_check_node_port & 0xffff);
}

static int find_taken(struct api_call *c, struct taken *t, const char *but_uid, struct err *err)
{
    const struct api_alloc *al = c->api->alloc;
    struct watch_list_opts o = { .kind = kind_service(), .ns = "" };
    struct watch_list l;

    t->ips = arena_alloc(c->a, al->size / 8 + 1);
    /* the network's own and the broadcast address */
    set_bit(t->ips, 0);
    set_bit(t->ips, al->size - 1);
    if (watch_cache_list(&l, c->api->cache, &o, err) < 0)
        return -1;
    for (size_t i = 0; i < l.len; i++)
        if (!str_eq(object_uid(l.v[i]), but_uid))
            take(al, t, service_view(l.v[i]));
    watch_list_deinit(&l);
    return 0;
}

/* Upper part first: the lower part stays free for addresses that people choose. -1: none left. */
static int64_t pick(struct api_call *c, const uint8_t *map, uint32_t from, uint32_t to,
                    uint32_t reserved)
{
    uint32_t n = to - from, start;

    if (reserved >= n)
        reserved = 0;
    env_random(c->api->env, &start, sizeof(start));
    for (uint32_t i = 0; i < n - reserved; i++) {
        uint32_t at = from + reserved + (start + i) % (n - reserved);

        if (!bit(map, at))
            return at;
    }
    for (uint32_t at = from; at < from + reserved; at++)
        if (!bit(map, at))
            return at;
    return -1;
}

static uint32_t clamp(uint32_t v, uint32_t low, uint32_t high)
{
    return v < low ? low : v > high ? high : v;
}

/* --- the address */

static void refuse_ip(struct api_call *c, struct causes *causes, const char *ip, const char *why)
{
    struct json *list = json_array(c->a);

    json_append(c->a, list, json_str(c->a, ip));
    causes_add(causes, CAUSE_INVALID, "spec.clusterIPs", list, "failed to allocate IP%s%s: %s",
               *ip ? " " : "", ip, why);
}

static void set_ip(struct api_call *c, struct json *spec, const char *ip)
{
    struct json *list = json_array(c->a);

    json_append(c->a, list, json_str(c->a, ip));
    json_set_str(c->a, spec, "clusterIP", ip);
    json_set(c->a, spec, "clusterIPs", list);
}

static void set_families(struct api_call *c, struct json *spec, bool both)
{
    struct json *list = json_array(c->a);

    if (!json_get(spec, "ipFamilyPolicy"))
        json_set_str(c->a, spec, "ipFamilyPolicy", both ? "RequireDualStack" : "SingleStack");
    if (json_len(json_get(spec, "ipFamilies")))
        return;
    json_append(c->a, list, json_str(c->a, "IPv4"));
    if (both)
        json_append(c->a, list, json_str(c->a, "IPv6"));
    json_set(c->a, spec, "ipFamilies", list);
}

static void allocate_ip(struct api_call *c, struct json *spec, const struct taken *t,
                        struct causes *causes)
{
    const struct api_alloc *al = c->api->alloc;
    const char *ip = json_get_str(spec, "clusterIP");
    uint32_t index;
    int64_t at;

    if (str_empty(ip)) {
        at = pick(c, t->ips, 0, al->size, clamp(al->size / 16, 16, 256));
        if (at < 0) {
            refuse_ip(c, causes, "", "range is full");
            return;
        }
        struct in_addr addr = { .s_addr = htonl(al->first + (uint32_t)at) };
        char text[INET_ADDRSTRLEN];

        inet_ntop(AF_INET, &addr, text, sizeof(text));
        set_ip(c, spec, text);
    } else if (!in_range(al, ip, &index)) {
        refuse_ip(c, causes, ip, "the provided network does not match the current range");
        return;
    } else if (bit(t->ips, index)) {
        refuse_ip(c, causes, ip, index == 0 || index == al->size - 1
                  ? "the provided IP is not in the valid range"
                      : "provided IP is already allocated");
        return;
    } else {
        set_ip(c, spec, ip);
    }
    set_families(c, spec, false);
}

static void address(struct api_call *c, struct json *spec, const struct taken *t,
                    struct causes *causes)
{
    const char *type = json_get_str(spec, "type"), *ip = json_get_str(spec, "clusterIP");
    const char *policy = json_get_str(spec, "ipFamilyPolicy");

    if (str_eq(type, "ExternalName"))
        return;
    if (str_eq(ip, "None")) {
        set_ip(c, spec, "None");
        set_families(c, spec, !json_len(json_get(spec, "selector")) &&
                     !str_eq(policy, "SingleStack"));
        return;
    }
    if (str_eq(policy, "RequireDualStack")) {
        causes_add(causes, CAUSE_INVALID, "spec.ipFamilyPolicy", json_str(c->a, policy),
                   "this cluster is not configured for dual-stack services");
        return;
    }
    struct json *families = json_get(spec, "ipFamilies"), *it;

    json_each(it, families)
        if (!str_eq(json_text(it), "IPv4"))
            causes_add(causes, CAUSE_INVALID, it_i ? "spec.ipFamilies[1]" : "spec.ipFamilies[0]",
                       it,
                       "not configured on this cluster");
    if (!causes->len)
        allocate_ip(c, spec, t, causes);
}

/* --- node ports */

static bool wants_ports(const struct json *spec)
{
    const char *type = json_get_str(spec, "type");

    return str_eq(type, "NodePort") || (str_eq(type, "LoadBalancer") &&
           json_get_bool(spec, "allocateLoadBalancerNodePorts", true));
}

/* The node port that another protocol of the same port number has in this Service. */
static int64_t sibling(const struct json *ports, size_t at)
{
    const struct json *self = json_at(ports, at);

    for (size_t i = 0; i < json_len(ports); i++) {
        const struct json *other = json_at(ports, i);

        if (i != at && json_get_int(other, "port", 0) == json_get_int(self, "port", 0) &&
            !str_eq(json_get_str(other, "protocol"), json_get_str(self, "protocol")) &&
            json_get_int(other, "nodePort", 0))
            return json_get_int(other, "nodePort", 0);
    }
    return 0;
}

static int64_t free_port(struct api_call *c, struct taken *t)
{
    const struct api_alloc *al = c->api->alloc;
    uint32_t n = (uint32_t)(al->port_max - al->port_min + 1);

    return pick(c, t->ports, (uint32_t)al->port_min, (uint32_t)al->port_max + 1,
                clamp(n / 32, 16, 128));
}

static void check_port(struct api_call *c, struct taken *t, const char *field, int64_t port,
                       struct causes *causes)
{
    const struct api_alloc *al = c->api->alloc;

    if (port < al->port_min || port > al->port_max)
        causes_add(causes, CAUSE_INVALID, field, json_int(c->a, port),
                   "provided port is not in the valid "
                   "range. The range of valid ports is %d-%d", al->port_min, al->port_max);
    else if (bit(t->ports, (uint32_t)port))
        causes_add(causes, CAUSE_INVALID, field, json_int(c->a, port),
                   "provided port is already allocated");
}

/* True when an earlier port of this Service has this node port already: shared over protocols. */
static bool is_own(const struct json *ports, size_t at, int64_t port)
{
    for (size_t i = 0; i < at; i++)
        if (json_get_int(json_at(ports, i), "nodePort", 0) == port)
            return true;
    return false;
}

static void node_ports(struct api_call *c, struct json *spec, struct taken *t,
                       struct causes *causes)
{
    struct json *ports = json_get(spec, "ports"), *it;

    json_each(it, ports) {
        int64_t port = json_get_int(it, "nodePort", 0);
        const char *field = arena_printf(c->a, "spec.ports[%zu].nodePort", it_i);

        if (port && !is_own(ports, it_i, port))
            check_port(c, t, field, port, causes);
    }
    json_each(it, ports) {
        int64_t port = json_get_int(it, "nodePort", 0);

        if (!port)
            port = sibling(ports, it_i);
        if (!port)
            port = free_port(c, t);
        if (port < 0) {
            causes_add(causes, CAUSE_INVALID, arena_printf(c->a, "spec.ports[%zu].nodePort", it_i),
                       json_int(c->a, 0), "failed to allocate a nodePort: range is full");
            return;
        }
        json_set_int(c->a, it, "nodePort", port);
        set_bit(t->ports, (uint32_t)port & 0xffff);
    }
}

static int health_port(struct api_call *c, struct json *spec, struct taken *t)
{
    int64_t port = json_get_int(spec, "healthCheckNodePort", 0);
    struct causes causes = { .a = c->a };

    if (!str_eq(json_get_str(spec, "type"), "LoadBalancer") ||
        !str_eq(json_get_str(spec, "externalTrafficPolicy"), "Local"))
        return 0;
    if (port)
        check_port(c, t, "", port, &causes);
    else if ((port = free_port(c, t)) > 0)
        json_set_int(c->a, spec, "healthCheckNodePort", port);
    if (causes.len)
        return api_fail(c, status_internal(c->a, arena_printf(c->a,
            "failed to allocate requested HealthCheck NodePort %lld: %s", (long long)port,
            strstr(causes.v[0].message, "provided"))));
    return 0;
}

/* The causes that the allocator itself looks at first. */
static void keep_address_causes(struct causes *causes)
{
    unsigned n = 0;

    for (unsigned i = 0; i < causes->len; i++)
        if (str_starts(causes->v[i].field, "spec.clusterIP") ||
            str_starts(causes->v[i].field, "spec.ipFamil"))
            causes->v[n++] = causes->v[i];
    if (n)
        causes->len = n;
}

static bool concerns_address(const struct causes *causes)
{
    return causes->len && (str_starts(causes->v[0].field, "spec.clusterIP") ||
                           str_starts(causes->v[0].field, "spec.ipFamil"));
}

/* The record of an address names its Service: one without a name gets none. */
static void refuse_nameless(struct api_call *c, const struct json *svc, struct json *spec,
                            struct causes *causes)
{
    const char *ip = json_get_str(spec, "clusterIP");
    struct json *asked = json_array(c->a);

    if (!str_empty(json_path_str(svc, "metadata.name")) || c->opt.dry_run || str_empty(ip) ||
        str_eq(ip, "None"))
        return;
    json_append(c->a, asked, json_str(c->a, ""));
    causes_add(causes, CAUSE_INVALID, "spec.clusterIPs", asked, "failed to allocate IP: "
               "IPAddress.networking.k8s.io \"%s\" is invalid: spec.parentRef.name: Required "
                   "value", ip);
}

int api_alloc_service(struct api_call *c, struct json *svc, const struct json *old,
                      struct causes *causes)
{
    struct json *spec = json_ensure_object(c->a, svc, "spec");
    struct taken *t = ANEW(c->a, struct taken);
    struct causes own = { .a = c->a };
    struct err err = ERR_INIT;

    keep_address_causes(causes);
    if (concerns_address(causes))
        return 0;
    if (find_taken(c, t, json_path_str(old, "metadata.uid"), &err) < 0)
        return api_fail_err(c, &err);
    address(c, spec, t, &own);
    if (!own.len)
        refuse_nameless(c, svc, spec, &own);
    if (!own.len && wants_ports(spec))
        node_ports(c, spec, t, &own);
    if (own.len)
        *causes = own;
    return own.len ? 0 : health_port(c, spec, t);
}
