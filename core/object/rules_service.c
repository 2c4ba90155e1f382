/* core/object/rules_service.c -- Service. Addresses and node ports are given out by the API; here
 * they are only kept in step with what the client said, and checked. */
#include "core/base/check.h"
#include "core/object/rules_impl.h"

#define AFFINITY_SECONDS_MAX 86400
#define KUBELET_PORT 10250
#define SOURCE_RANGES "service.beta.kubernetes.io/load-balancer-source-ranges"
#define TOPOLOGY_HINTS "service.kubernetes.io/topology-aware-hints"
#define TOPOLOGY_MODE "service.kubernetes.io/topology-mode"

static const char only_lb[] = "may only be used when `type` is 'LoadBalancer'";
static const char no_external_name[] = "may not be set for ExternalName services";

static bool is_type(const struct json *spec, const char *type)
{
    return str_eq(rules_str(spec, "type"), type);
}

static const char *first_ip(const struct json *spec)
{
    const char *s = json_text(json_at(json_get(spec, "clusterIPs"), 0));

    return s ? s : "";
}

static bool is_headless(const struct json *spec)
{
    return str_eq(first_ip(spec), "None") || str_eq(rules_str(spec, "clusterIP"), "None");
}

static bool needs_cluster_ip(const struct json *spec)
{
    return !is_type(spec, "ExternalName");
}

static bool needs_node_port(const struct json *spec)
{
    return is_type(spec, "NodePort") ||
           (is_type(spec, "LoadBalancer") && json_get_bool(spec, "allocateLoadBalancerNodePorts",
                                                           true));
}

static bool needs_health_port(const struct json *spec)
{
    return is_type(spec, "LoadBalancer") && str_eq(rules_str(spec, "externalTrafficPolicy"),
                                                   "Local");
}

static bool is_reachable(const struct json *spec)
{
    return is_type(spec, "NodePort") || is_type(spec, "LoadBalancer") ||
           (is_type(spec, "ClusterIP") && json_len(json_get(spec, "externalIPs")) > 0);
}

/* --- prepare */

static struct json *list_of(struct arena *a, const char *s)
{
    struct json *list = json_array(a);

    json_append(a, list, json_str(a, s));
    return list;
}

static void init_families(struct json *spec, const struct json *before,
                          const struct schema_type *type,
                          struct arena *a)
{
    bool loose = is_headless(spec) && json_len(json_get(spec, "selector")) == 0;
    struct json *families, *v;

    if (!needs_cluster_ip(spec))
        return;
    if (!json_get(spec, "ipFamilyPolicy")) {
        const char *policy = before ? json_get_str(before, "ipFamilyPolicy") : NULL;

        rules_put(a, spec, type, "ipFamilyPolicy",
                  json_str(a, policy ? policy : loose ? "RequireDualStack" : "SingleStack"));
    }
    if (json_len(json_get(spec, "ipFamilies")) > 0)
        return;
    families = json_array(a);
    json_each(v, json_get(spec, "clusterIPs"))
        if (rules_ip_family(json_text(v) ? v->s : ""))
            json_append(a, families, json_str(a, rules_ip_family(v->s) == 4 ? "IPv4" : "IPv6"));
    if (json_len(families) == 0)
        json_append(a, families, json_str(a, "IPv4"));
    if (loose && json_len(families) == 1)
        json_append(a, families, json_str(a, str_eq(families->items[0]->s, "IPv4") ? "IPv6" :
                                          "IPv4"));
    rules_put(a, spec, type, "ipFamilies", families);
}

static void service_prepare(struct json *obj, const struct kind *kind, const struct rules_ctx *ctx)
{
    const struct schema_type *type = rules_type(kind->type, "spec");
    struct json *spec = json_get(obj, "spec");

    if (!spec)
        return;
    if (*rules_str(spec, "clusterIP") && json_len(json_get(spec, "clusterIPs")) == 0)
        rules_put(ctx->a, spec, type, "clusterIPs", list_of(ctx->a, rules_str(spec, "clusterIP")));
    init_families(spec, NULL, type, ctx->a);
}

/* What the client left out is what it was. */
static void keep_node_ports(struct json *spec, const struct json *before,
                            const struct schema_type *type,
                            struct arena *a)
{
    struct json *used = json_object(a), *now, *then;

    json_each(now, json_get(spec, "ports"))
        rules_seen(used, a, arena_printf(a, "%lld", (long long)json_get_int(now, "nodePort", 0)));
    json_each(now, json_get(spec, "ports")) {
        if (json_get_int(now, "nodePort", 0))
            continue;
        json_each(then, json_get(before, "ports")) {
            int64_t port = json_get_int(then, "nodePort", 0);

            if (!port || json_get_int(now, "port", 0) != json_get_int(then, "port", 0) ||
                !str_eq(rules_str(now, "protocol"), rules_str(then, "protocol")) ||
                rules_seen(used, a, arena_printf(a, "%lld", (long long)port)))
                continue;
            rules_put(a, now, rules_type(type, "ports"), "nodePort", json_int(a, port));
            break;
        }
    }
}

static void keep_allocated(struct json *spec, const struct json *before,
                           const struct schema_type *type,
                           struct arena *a)
{
    if (needs_cluster_ip(spec) && needs_cluster_ip(before)) {
        if (!*rules_str(spec, "clusterIP"))
            rules_put_or_del(a, spec, type, "clusterIP", json_get(before, "clusterIP"));
        if (json_len(json_get(spec, "clusterIPs")) == 0 &&
            str_eq(rules_str(spec, "clusterIP"), rules_str(before, "clusterIP")))
            rules_put_or_del(a, spec, type, "clusterIPs", json_get(before, "clusterIPs"));
    }
    if (needs_node_port(spec) && needs_node_port(before))
        keep_node_ports(spec, before, type, a);
    if (needs_health_port(spec) && needs_health_port(before) &&
        !json_get_int(spec, "healthCheckNodePort", 0))
        rules_put_or_del(a, spec, type, "healthCheckNodePort",
                         json_get(before, "healthCheckNodePort"));
}

/* clusterIP and the first of clusterIPs are one: a client that changes only one of them means both.
 */
static void sync_cluster_ips(struct json *spec, const struct json *before,
                             const struct schema_type *type,
                             struct arena *a)
{
    const char *now = rules_str(spec, "clusterIP"), *then = rules_str(before, "clusterIP");
    bool same_list = rules_same(json_get(spec, "clusterIPs"), json_get(before, "clusterIPs"));

    if (str_eq(now, then) || !same_list)
        return;
    if (*then && !*now)
        json_del(spec, "clusterIPs");
    else
        rules_put(a, spec, type, "clusterIPs", list_of(a, now));
}

static void drop_if_same(struct json *spec, const struct json *before, const char *field)
{
    if (rules_same(json_get(spec, field), json_get(before, field)))
        json_del(spec, field);
}

static bool same_node_ports(const struct json *spec, const struct json *before)
{
    const struct json *now = json_get(spec, "ports"), *then = json_get(before, "ports");
    struct json *v, *w;

    json_each(v, now) {
        int64_t port = json_get_int(v, "nodePort", 0);
        bool found = port == 0;

        json_each(w, then)
            found = found || json_get_int(w, "nodePort", 0) == port;
        if (!found)
            return false;
    }
    return true;
}

/* A change of type drops what only the old type had, unless the client changed it too. */
static void drop_stale(struct json *spec, const struct json *before)
{
    static const char *const addresses[] = { "clusterIP", "clusterIPs", "ipFamilies",
                                             "ipFamilyPolicy" };
    bool was_lb = is_type(before, "LoadBalancer"), is_lb = is_type(spec, "LoadBalancer");
    struct json *v;

    for (size_t i = 0; needs_cluster_ip(before) && !needs_cluster_ip(spec) &&
         i < ARRAY_LEN(addresses); i++)
        drop_if_same(spec, before, addresses[i]);
    if (!is_type(before, "ExternalName") && is_type(spec, "ExternalName"))
        drop_if_same(spec, before, "internalTrafficPolicy");
    if (needs_node_port(before) && !needs_node_port(spec) && same_node_ports(spec, before))
        json_each(v, json_get(spec, "ports"))
            json_del(v, "nodePort");
    if (needs_health_port(before) && !needs_health_port(spec))
        drop_if_same(spec, before, "healthCheckNodePort");
    if (was_lb && !is_lb) {
        drop_if_same(spec, before, "allocateLoadBalancerNodePorts");
        drop_if_same(spec, before, "loadBalancerClass");
    }
    if (is_reachable(before) && !is_reachable(spec))
        drop_if_same(spec, before, "externalTrafficPolicy");
}

static void service_prepare_update(struct json *obj, const struct json *old,
                                   const struct kind *kind,
                                   const struct rules_ctx *ctx)
{
    const struct schema_type *type = rules_type(kind->type, "spec");
    struct json *spec = json_get(obj, "spec");
    const struct json *before = json_get(old, "spec");

    if (!spec || str_eq(ctx->subresource, "status"))
        return;
    keep_allocated(spec, before, type, ctx->a);
    sync_cluster_ips(spec, before, type, ctx->a);
    drop_stale(spec, before);
    init_families(spec, before, type, ctx->a);
    if (!is_type(spec, "LoadBalancer") && json_get(obj, "status"))
        rules_put(ctx->a, json_get(obj, "status"), rules_type(kind->type, "status"), "loadBalancer",
                  json_object(ctx->a));
}

/* --- validate */

static void check_port(struct causes *c, const struct rules_path *p, const struct json *v,
                       bool needs_name)
{
    static const char *const protocols[] = { "SCTP", "TCP", "UDP", NULL };
    const char *name = rules_str(v, "name");

    if (needs_name && !*name)
        rules_required(c, RULES_AT(p, "name"), "");
    else if (*name)
        rules_check_format(c, RULES_AT(p, "name"), rules_fmt_label, name);
    rules_check_port(c, RULES_AT(p, "port"), json_get_int(v, "port", 0));
    rules_check_enum(c, RULES_AT(p, "protocol"), rules_str(v, "protocol"), protocols, true);
    rules_check_port_ref(c, RULES_AT(p, "targetPort"), json_get(v, "targetPort"));
    if (json_get(v, "appProtocol"))
        rules_check_format(c, RULES_AT(p, "appProtocol"), rules_fmt_qualified,
                           rules_str(v, "appProtocol"));
}

static void check_duplicates(struct causes *c, const struct rules_path *p, const struct json *ports)
{
    struct json *names = json_object(c->a), *nodes = json_object(c->a), *pairs = json_object(c->a),
        *v;

    json_each(v, ports) {
        const struct rules_path *at = RULES_IDX(p, v_i);
        const char *protocol = rules_str(v, "protocol"), *name = rules_str(v, "name");
        int64_t node = json_get_int(v, "nodePort", 0), port = json_get_int(v, "port", 0);

        if (*name && rules_is(rules_fmt_label, name) && rules_seen(names, c->a, name))
            rules_duplicate(c, RULES_AT(at, "name"), json_get(v, "name"));
        if (node && rules_seen(nodes, c->a, arena_printf(c->a, "%s/%lld", protocol,
                                                         (long long)node)))
            rules_duplicate(c, RULES_AT(at, "nodePort"), json_get(v, "nodePort"));
        if (rules_seen(pairs, c->a, arena_printf(c->a, "%s/%lld", protocol, (long long)port))) {
            struct json *pair = json_object(c->a);

            json_set_str(c->a, pair, "protocol", protocol);
            json_set_int(c->a, pair, "port", port);
            rules_duplicate(c, at, pair);
        }
    }
}

static void check_ports(struct causes *c, const struct rules_path *p, const struct json *spec)
{
    const struct json *ports = json_get(spec, "ports");
    struct json *v;

    if (json_len(ports) == 0 && !is_headless(spec) && !is_type(spec, "ExternalName"))
        rules_required(c, p, "");
    json_each(v, ports) {
        const struct rules_path *at = RULES_IDX(p, v_i);

        check_port(c, at, v, json_len(ports) > 1);
        if (is_type(spec, "LoadBalancer") && json_get_int(v, "port", 0) == KUBELET_PORT)
            rules_invalid_i(c, RULES_AT(at, "port"), KUBELET_PORT,
                            "may not expose port 10250 externally since it is used by kubelet");
        if (is_type(spec, "ClusterIP") && json_get_int(v, "nodePort", 0))
            rules_forbidden(c, RULES_AT(at, "nodePort"),
                            "may not be used when `type` is 'ClusterIP'");
    }
    check_duplicates(c, p, ports);
}

static void check_external_name(struct causes *c, const struct rules_path *p,
                                const struct json *spec)
{
    const char *name = rules_str(spec, "externalName");

    if (json_len(json_get(spec, "clusterIPs")) > 0)
        rules_forbidden(c, RULES_AT(p, "clusterIPs"), no_external_name);
    if (json_len(json_get(spec, "ipFamilies")) > 0)
        rules_forbidden(c, RULES_AT(p, "ipFamilies"), no_external_name);
    if (json_get(spec, "ipFamilyPolicy"))
        rules_forbidden(c, RULES_AT(p, "ipFamilyPolicy"), no_external_name);
    if (str_ends(name, "."))
        name = arena_strndup(c->a, name, strlen(name) - 1);
    if (!*name)
        rules_required(c, RULES_AT(p, "externalName"), "");
    else
        rules_check_format(c, RULES_AT(p, "externalName"), rules_fmt_subdomain, name);
}

static void check_affinity(struct causes *c, const struct rules_path *p, const struct json *spec)
{
    static const char *const kinds[] = { "ClientIP", "None", NULL };
    const char *kind = rules_str(spec, "sessionAffinity");
    const struct json *config = json_get(spec, "sessionAffinityConfig");
    const struct json *seconds = json_get(json_get(config, "clientIP"), "timeoutSeconds");
    const struct rules_path *at = RULES_AT(p, "sessionAffinityConfig");

    rules_check_enum(c, RULES_AT(p, "sessionAffinity"), kind, kinds, true);
    if (str_eq(kind, "None") && config)
        rules_forbidden(c, at, "must not be set when session affinity is None");
    if (!str_eq(kind, "ClientIP"))
        return;
    if (!config)
        rules_required(c, at, "when session affinity type is ClientIP");
    else if (!json_get(config, "clientIP"))
        rules_required(c, RULES_AT(at, "clientIP"), "when session affinity type is ClientIP");
    else if (!seconds)
        rules_required(c, RULES_AT(RULES_AT(at, "clientIP"), "timeoutSeconds"),
                       "when session affinity type is ClientIP");
    else if (seconds->i <= 0 || seconds->i > AFFINITY_SECONDS_MAX)
        rules_invalid(c, RULES_AT(RULES_AT(at, "clientIP"), "timeoutSeconds"), seconds,
                      "must be greater than 0 and less than %d", AFFINITY_SECONDS_MAX);
}

/* False when some entry is no address at all. */
static bool check_each_ip(struct causes *c, const struct rules_path *p, const struct json *ips)
{
    unsigned before = c->len;
    struct json *v;

    json_each(v, ips) {
        const char *s = json_text(v) ? v->s : "";

        if (v_i == 0 && str_eq(s, "None")) {
            if (json_len(ips) > 1)
                rules_invalid(c, p, ips, "'None' must be the first and only value");
            continue;
        }
        rules_check_ip(c, RULES_IDX(p, v_i), s, true);
    }
    return c->len == before;
}

static void check_ip_families(struct causes *c, const struct rules_path *p, const struct json *spec)
{
    const struct json *ips = json_get(spec, "clusterIPs"), *families = json_get(spec, "ipFamilies");
    unsigned seen[7] = { 0 };
    struct json *v;

    json_each(v, ips) {
        int family = rules_ip_family(json_text(v) ? v->s : "");
        const char *want = json_text(json_at(families, v_i));

        seen[family]++;
        if (family && want && rules_in(want, (const char *const[]){ "IPv4", "IPv6", NULL }) &&
            !str_eq(want, family == 4 ? "IPv4" : "IPv6"))
            rules_invalid(c, RULES_IDX(p, v_i), v,
                          "expected an %s value as indicated by `ipFamilies[%zu]`",
                          want, v_i);
    }
    if (seen[4] > 1 || seen[6] > 1)
        rules_invalid(c, p, ips, "may specify no more than one IP for each IP family");
}

/* Whoever gives out the addresses adds the second family, where there is one. */
static bool is_policy_impossible(const struct json *spec)
{
    return str_eq(rules_str(spec, "ipFamilyPolicy"), "RequireDualStack") &&
           json_len(json_get(spec, "ipFamilies")) < 2;
}

static void check_cluster_ips(struct causes *c, const struct rules_path *spec_at,
                              const struct json *spec)
{
    static const char *const families[] = { "IPv4", "IPv6", NULL };
    static const char *const policies[] = { "PreferDualStack", "RequireDualStack", "SingleStack",
                                            NULL };
    const struct rules_path *p = RULES_AT(spec_at, "clusterIPs");
    const struct json *ips = json_get(spec, "clusterIPs");
    struct json *seen = json_object(c->a), *v;

    if (json_len(ips) > 0 && !*rules_str(spec, "clusterIP"))
        rules_invalid(c, p, ips, "must be empty when `clusterIP` is not specified");
    else if (json_len(ips) > 0 && !str_eq(first_ip(spec), rules_str(spec, "clusterIP")))
        rules_invalid(c, p, ips, "first value must match `clusterIP`");
    json_each(v, json_get(spec, "ipFamilies")) {
        const struct rules_path *at = RULES_IDX(RULES_AT(spec_at, "ipFamilies"), v_i);
        const char *family = json_text(v) ? v->s : "";

        if (!rules_in(family, families))
            rules_unsupported(c, at, family, families);
        if (rules_seen(seen, c->a, family))
            rules_duplicate(c, at, v);
    }
    if (json_get(spec, "ipFamilyPolicy") && !rules_in(rules_str(spec, "ipFamilyPolicy"), policies))
        rules_unsupported(c, RULES_AT(spec_at, "ipFamilyPolicy"), rules_str(spec, "ipFamilyPolicy"),
                          policies);
    if (is_policy_impossible(spec))
        rules_invalid_s(c, RULES_AT(spec_at, "ipFamilyPolicy"), "RequireDualStack",
                        "this cluster is not configured for dual-stack services");
    if (json_len(ips) > 2)
        rules_invalid(c, p, ips, "may only hold up to 2 values");
    if (check_each_ip(c, p, ips) && !is_headless(spec))
        check_ip_families(c, p, spec);
    if (is_headless(spec) && (is_type(spec, "NodePort") || is_type(spec, "LoadBalancer")))
        rules_invalid_s(c, RULES_IDX(p, 0), "None",
                        arena_printf(c->a, "may not be set to 'None' for %s services",
                                     rules_str(spec, "type")));
}

/* The field's forerunner, read while the field is empty. */
static void check_range_annotation(struct causes *c, const struct json *obj, bool is_lb)
{
    const struct rules_path *p = RULES_KEY(RULES_AT(RULES_AT(NULL, "metadata"), "annotations"),
                                           SOURCE_RANGES);
    const struct json *v = json_get(json_path(obj, "metadata.annotations"), SOURCE_RANGES);
    struct slice rest = slice_trim(slice_of(json_text(v) ? v->s : "")), part;

    if (!v)
        return;
    if (!is_lb)
        rules_forbidden(c, p, only_lb);
    while (rest.len && slice_split(&rest, ',', &part)) {
        part = slice_trim(part);
        rules_check_cidr(c, p, arena_strndup(c->a, part.p, part.len));
    }
}

static void check_hint_annotations(struct causes *c, const struct json *obj)
{
    const struct json *notes = json_path(obj, "metadata.annotations");
    const char *hints = json_get_str(notes, TOPOLOGY_HINTS),
        *mode = json_get_str(notes, TOPOLOGY_MODE);

    if (hints && mode && !str_eq(hints, mode))
        rules_invalid(c, RULES_KEY(RULES_AT(RULES_AT(NULL, "metadata"), "annotations"),
                                   TOPOLOGY_MODE),
                      json_get(notes, TOPOLOGY_MODE),
                      "must match annotations[%s] when both are specified",
                      TOPOLOGY_HINTS);
}

static void check_load_balancer(struct causes *c, const struct rules_path *p,
                                const struct json *obj)
{
    const struct json *spec = json_get(obj, "spec");
    const struct rules_path *ranges_at = RULES_AT(p, "LoadBalancerSourceRanges");
    const struct json *ranges = json_get(spec, "loadBalancerSourceRanges");
    bool is_lb = is_type(spec, "LoadBalancer");
    struct json *v;

    if (json_len(ranges) && !is_lb)
        rules_forbidden(c, ranges_at, only_lb);
    if (json_len(ranges) == 0)
        check_range_annotation(c, obj, is_lb);
    json_each(v, ranges) {
        struct slice s = slice_trim(slice_of(json_text(v) ? v->s : ""));

        rules_check_cidr(c, RULES_IDX(ranges_at, v_i), arena_strndup(c->a, s.p, s.len));
    }
    if (!is_lb && json_get(spec, "allocateLoadBalancerNodePorts"))
        rules_forbidden(c, RULES_AT(p, "allocateLoadBalancerNodePorts"), only_lb);
    if (!json_get(spec, "loadBalancerClass"))
        return;
    if (!is_lb)
        rules_forbidden(c, RULES_AT(p, "loadBalancerClass"), only_lb);
    else
        rules_check_format(c, RULES_AT(p, "loadBalancerClass"), rules_fmt_qualified,
                           rules_str(spec, "loadBalancerClass"));
}

static void check_traffic(struct causes *c, const struct rules_path *p, const struct json *spec)
{
    static const char *const policies[] = { "Cluster", "Local", NULL };
    static const char *const spread[] = { "PreferClose", "PreferSameZone", "PreferSameNode", NULL };
    const char *external = rules_str(spec, "externalTrafficPolicy");
    const char *internal = rules_str(spec, "internalTrafficPolicy");
    int64_t health = json_get_int(spec, "healthCheckNodePort", 0);

    if (is_reachable(spec))
        rules_check_enum(c, RULES_AT(p, "externalTrafficPolicy"), external, policies, true);
    else if (*external)
        rules_invalid_s(c, RULES_AT(p, "externalTrafficPolicy"), external,
                        "may only be set for externally-accessible services");
    if (health && !needs_health_port(spec))
        rules_invalid_i(c, RULES_AT(p, "healthCheckNodePort"), health,
                        "may only be set when `type` is "
                        "'LoadBalancer' and `externalTrafficPolicy` is 'Local'");
    else if (health)
        rules_check_port(c, RULES_AT(p, "healthCheckNodePort"), health);
    if (!is_type(spec, "ExternalName") || *internal)
        rules_check_enum(c, RULES_AT(p, "internalTrafficPolicy"), internal, policies,
                         is_type(spec, "ClusterIP") || is_reachable(spec));
    if (json_get(spec, "trafficDistribution") &&
        !rules_in(rules_str(spec, "trafficDistribution"), spread))
        rules_unsupported(c, RULES_AT(p, "trafficDistribution"),
                          rules_str(spec, "trafficDistribution"),
                          spread);
}

static void service_create(struct causes *c, const struct json *obj, const struct rules_ctx *ctx)
{
    static const char *const types[] = { "ClusterIP", "ExternalName", "LoadBalancer", "NodePort",
                                         NULL };
    const struct rules_path *p = RULES_AT(NULL, "spec");
    const struct json *spec = json_get(obj, "spec");
    struct json *v;

    (void)ctx;
    check_ports(c, RULES_AT(p, "ports"), spec);
    rules_check_labels(c, RULES_AT(p, "selector"), json_get(spec, "selector"));
    check_affinity(c, p, spec);
    if (is_type(spec, "ExternalName"))
        check_external_name(c, p, spec);
    else
        check_cluster_ips(c, p, spec);
    json_each(v, json_get(spec, "externalIPs")) {
        const struct rules_path *at = RULES_IDX(RULES_AT(p, "externalIPs"), v_i);
        const char *s = json_text(v) ? v->s : "";

        rules_check_ip(c, at, s, true);
        rules_check_not_special(c, at, s);
    }
    rules_check_enum(c, RULES_AT(p, "type"), rules_str(spec, "type"), types, true);
    check_load_balancer(c, p, obj);
    check_traffic(c, p, spec);
    check_hint_annotations(c, obj);
}

static void check_ip_change(struct causes *c, const struct json *spec, const struct json *before)
{
    const struct rules_path *p = RULES_AT(RULES_AT(NULL, "spec"), "clusterIPs");
    const struct json *now = json_get(spec, "clusterIPs"), *then = json_get(before, "clusterIPs");
    size_t n = json_len(then) < json_len(now) ? json_len(then) : json_len(now);
    const char *policy = rules_str(spec, "ipFamilyPolicy");

    if (!needs_cluster_ip(spec) || !needs_cluster_ip(before) ||
        (is_headless(spec) && is_headless(before)))
        return;
    for (size_t i = 0; i < n; i++)
        if (!str_eq(json_text(json_at(now, i)), json_text(json_at(then, i))))
            rules_invalid(c, RULES_IDX(p, i), now, "may not change once set");
    if (json_len(then) && !json_len(now))
        rules_invalid(c, RULES_IDX(p, 0), now, "primary clusterIP can not be unset");
    if (json_len(then) > 1 && json_len(now) == 1 && !str_eq(policy, "SingleStack"))
        rules_invalid_s(c, RULES_AT(RULES_AT(NULL, "spec"), "ipFamilyPolicy"), policy,
                        "must be set to 'SingleStack' when releasing the secondary clusterIP");
}

static void check_load_balancer_status(struct causes *c, const struct json *obj)
{
    static const char *const modes[] = { "Proxy", "VIP", NULL };
    const struct json *spec = json_get(obj, "spec");
    const struct json *list = json_get(json_get(json_get(obj, "status"), "loadBalancer"),
                                       "ingress");
    const struct rules_path *p = RULES_AT(RULES_AT(RULES_AT(NULL, "status"), "loadBalancer"),
                                          "ingress");
    struct json *v;

    if (!is_type(spec, "LoadBalancer") && json_len(list)) {
        rules_forbidden(c, p, "may only be used when `spec.type` is 'LoadBalancer'");
        return;
    }
    json_each(v, list) {
        const struct rules_path *at = RULES_IDX(p, v_i);
        const char *ip = rules_str(v, "ip"), *host = rules_str(v, "hostname"),
            *mode = rules_str(v, "ipMode");

        if (*ip)
            rules_check_ip(c, RULES_AT(at, "ip"), ip, true);
        if (*ip && !*mode)
            rules_required(c, RULES_AT(at, "ipMode"), "must be specified when `ip` is set");
        if (!*ip && *mode)
            rules_forbidden(c, RULES_AT(at, "ipMode"), "may not be specified when `ip` is not set");
        else if (*mode && !rules_in(mode, modes))
            rules_unsupported(c, RULES_AT(at, "ipMode"), mode, modes);
        if (*host)
            rules_check_format(c, RULES_AT(at, "hostname"), rules_fmt_subdomain, host);
        if (*host && rules_ip_family(host))
            rules_invalid_s(c, RULES_AT(at, "hostname"), host,
                            "must be a DNS name, not an IP address");
    }
}

/* A new class is checked for its form as well, twice in all. */
static void refuse_class(struct causes *c, const struct rules_path *p, const struct json *v)
{
    rules_invalid(c, p, v, "may not change once set");
    if (json_text(v))
        rules_check_format(c, p, rules_fmt_qualified, v->s);
}

static void service_update(struct causes *c, const struct json *obj, const struct json *old,
                           const struct rules_ctx *ctx)
{
    const struct json *spec = json_get(obj, "spec"), *before = json_get(old, "spec");
    const struct rules_path *p = RULES_AT(NULL, "spec");

    if (str_eq(ctx->subresource, "status")) {
        check_load_balancer_status(c, obj);
        return;
    }
    check_ip_change(c, spec, before);
    if (needs_health_port(spec) && needs_health_port(before) &&
        json_get_int(spec, "healthCheckNodePort", 0) != json_get_int(before, "healthCheckNodePort",
                                                                     0))
        rules_forbidden(c, RULES_AT(p, "healthCheckNodePort"), "field is immutable");
    if (is_type(spec, "LoadBalancer") && is_type(before, "LoadBalancer") &&
        !str_eq(rules_str(spec, "loadBalancerClass"), rules_str(before, "loadBalancerClass")))
        refuse_class(c, RULES_AT(p, "loadBalancerClass"), json_get(spec, "loadBalancerClass"));
    service_create(c, obj, ctx);
}

const struct rules_row rules_service_rows[] = {
    { .group = "", .resource = "services", .create = service_create, .update = service_update,
      .prepare_create = service_prepare, .prepare_update = service_prepare_update,
      .meta_create_on_update = true, .creates_on_update = true },
    { 0 },
};
