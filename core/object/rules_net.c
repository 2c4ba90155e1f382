/* core/object/rules_net.c -- EndpointSlice, Lease. */
#include "core/base/check.h"
#include "core/object/rules_impl.h"

#define ENDPOINTS_MAX 1000
#define ADDRESSES_MAX 100
#define TOPOLOGY_MAX 16
#define SLICE_PORTS_MAX 20000
#define HINTS_MAX 8

/* --- addresses that a Service or endpoint may not have */

void rules_check_not_special(struct causes *c, const struct rules_path *p, const char *s)
{
    unsigned char b[16];
    int family = rules_ip_parse(s, b);
    bool zero = true;

    if (!family)
        return;
    for (int i = 0; i < (family == 4 ? 4 : 16); i++)
        zero = zero && b[i] == 0;
    if (zero)
        rules_invalid_s(c, p, s, arena_printf(c->a, "may not be unspecified (%s)", s));
    if (family == 4 ? b[0] == 127 : str_eq(s, "::1"))
        rules_invalid_s(c, p, s, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    if (family == 4 ? b[0] == 169 && b[1] == 254 : b[0] == 0xfe && (b[1] & 0xc0) == 0x80)
        rules_invalid_s(c, p, s, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    if (family == 4 ? b[0] == 224 && b[1] == 0 && b[2] == 0 : b[0] == 0xff && (b[1] & 0x0f) == 2)
        rules_invalid_s(c, p, s,
                        "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
}

/* --- EndpointSlice */

static void check_fqdn(struct causes *c, const struct rules_path *p, const char *s)
{
    size_t len = strlen(s);
    const char *name = str_ends(s, ".") ? arena_strndup(c->a, s, len - 1) : s;
    struct rules_msgs m = { .a = c->a };

    if (!*s) {
        rules_required(c, p, "");
        return;
    }
    rules_fmt_subdomain(&m, name);
    if (m.n)
        rules_invalid_s(c, p, name, rules_msgs_join(&m, ","));
    else if (!strchr(name, '.'))
        rules_invalid_s(c, p, name,
                        "should be a domain with at least two segments separated by dots");
}

static void check_addresses(struct causes *c, const struct rules_path *p, const struct json *list,
                            const char *type)
{
    int want = str_eq(type, "IPv4") ? 4 : str_eq(type, "IPv6") ? 6 : 0;
    struct json *v;

    if (json_len(list) == 0)
        rules_required(c, p, "must contain at least 1 address");
    else if (json_len(list) > ADDRESSES_MAX)
        rules_too_many(c, p, json_len(list), ADDRESSES_MAX);
    json_each(v, list) {
        const char *s = json_text(v) ? v->s : "";
        const struct rules_path *at = RULES_IDX(p, v_i);

        if (str_eq(type, "FQDN"))
            check_fqdn(c, at, s);
        if (!want)
            continue;
        rules_check_ip(c, at, s, true);
        if (rules_ip_family(s) && rules_ip_family(s) != want)
            rules_invalid_s(c, p, s, want == 4 ? "must be an IPv4 address" :
                            "must be an IPv6 address");
        rules_check_not_special(c, at, s);
    }
}

static void check_hints(struct causes *c, const struct rules_path *p, const struct json *hints)
{
    static const char *const lists[] = { "forZones", "forNodes" };

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        const struct json *list = json_get(hints, lists[i]);
        const struct rules_path *at = RULES_AT(p, lists[i]);
        struct json *seen = json_object(c->a), *v;

        if (json_len(list) > HINTS_MAX)
            rules_too_many(c, at, json_len(list), HINTS_MAX);
        json_each(v, list) {
            const char *name = rules_str(v, "name");

            if (rules_seen(seen, c->a, name))
                rules_duplicate(c, RULES_AT(RULES_IDX(at, v_i), "name"), json_str(c->a, name));
            rules_check_format(c, RULES_AT(RULES_IDX(at, v_i), "name"),
                               i == 0 ? rules_fmt_label_value : rules_fmt_subdomain, name);
        }
    }
}

static void check_endpoint(struct causes *c, const struct rules_path *p, const struct json *v,
                           const char *type)
{
    const struct json *topology = json_get(v, "deprecatedTopology");

    check_addresses(c, RULES_AT(p, "addresses"), json_get(v, "addresses"), type);
    if (json_get(v, "nodeName"))
        rules_check_format(c, RULES_AT(p, "nodeName"), rules_fmt_subdomain,
                           rules_str(v, "nodeName"));
    if (json_len(topology) > TOPOLOGY_MAX)
        rules_too_many(c, RULES_AT(p, "deprecatedTopology"), json_len(topology), TOPOLOGY_MAX);
    rules_check_labels(c, RULES_AT(p, "deprecatedTopology"), topology);
    if (json_get(v, "hostname"))
        rules_check_format(c, RULES_AT(p, "hostname"), rules_fmt_label, rules_str(v, "hostname"));
    check_hints(c, RULES_AT(p, "hints"), json_get(v, "hints"));
}

static void check_slice_ports(struct causes *c, const struct rules_path *p, const struct json *list)
{
    static const char *const protocols[] = { "SCTP", "TCP", "UDP", NULL };
    struct json *seen = json_object(c->a), *v;

    if (json_len(list) > SLICE_PORTS_MAX) {
        rules_too_many(c, p, json_len(list), SLICE_PORTS_MAX);
        return;
    }
    json_each(v, list) {
        const struct rules_path *at = RULES_IDX(p, v_i);
        const char *name = rules_str(v, "name");

        if (rules_seen(seen, c->a, name))
            rules_duplicate(c, RULES_AT(at, "name"), json_str(c->a, name));
        if (*name)
            rules_check_format(c, RULES_AT(at, "name"), rules_fmt_label, name);
        if (!json_get(v, "protocol"))
            rules_required(c, RULES_AT(at, "protocol"), "");
        else if (!rules_in(rules_str(v, "protocol"), protocols))
            rules_unsupported(c, RULES_AT(at, "protocol"), rules_str(v, "protocol"), protocols);
        if (json_get(v, "appProtocol"))
            rules_check_format(c, RULES_AT(at, "appProtocol"), rules_fmt_qualified,
                               rules_str(v, "appProtocol"));
    }
}

static void slice_create(struct causes *c, const struct json *obj, const struct rules_ctx *ctx)
{
    static const char *const types[] = { "FQDN", "IPv4", "IPv6", NULL };
    const struct json *endpoints = json_get(obj, "endpoints");
    const struct rules_path *at = RULES_AT(NULL, "endpoints");
    const char *type = rules_str(obj, "addressType");
    struct json *v;

    (void)ctx;
    rules_check_enum(c, RULES_AT(NULL, "addressType"), type, types, true);
    if (json_len(endpoints) > ENDPOINTS_MAX)
        rules_too_many(c, at, json_len(endpoints), ENDPOINTS_MAX);
    else
        json_each(v, endpoints)
            check_endpoint(c, RULES_IDX(at, v_i), v, type);
    check_slice_ports(c, RULES_AT(NULL, "ports"), json_get(obj, "ports"));
}

static void slice_update(struct causes *c, const struct json *obj, const struct json *old,
                         const struct rules_ctx *ctx)
{
    slice_create(c, obj, ctx);
    rules_check_immutable(c, RULES_AT(NULL, "addressType"), json_get(obj, "addressType"),
                          json_get(old, "addressType"));
}

/* v1 knows topology only to keep what older versions wrote. */
static void slice_prepare(struct json *obj, const struct kind *kind, const struct rules_ctx *ctx)
{
    struct json *v;

    (void)kind;
    (void)ctx;
    json_each(v, json_get(obj, "endpoints"))
        json_del(v, "deprecatedTopology");
}

static void slice_prepare_update(struct json *obj, const struct json *old, const struct kind *kind,
                                 const struct rules_ctx *ctx)
{
    struct json *meta = json_get(obj, "metadata");
    const struct json *before = json_get(old, "metadata");

    if (!rules_same(json_get(meta, "labels"), json_get(before, "labels")))
        rules_put(ctx->a, meta, rules_type(kind->type, "metadata"), "generation",
                  json_int(ctx->a, json_get_int(before, "generation", 0) + 1));
}

/* --- Lease */

static void lease_create(struct causes *c, const struct json *obj, const struct rules_ctx *ctx)
{
    const struct rules_path *p = RULES_AT(NULL, "spec");
    const struct json *spec = json_get(obj, "spec"),
        *duration = json_get(spec, "leaseDurationSeconds");

    (void)ctx;
    if (json_is(duration, JSON_INT) && duration->i <= 0)
        rules_invalid(c, RULES_AT(p, "leaseDurationSeconds"), duration, "must be greater than 0");
    rules_check_nonneg(c, p, spec, "leaseTransitions");
    if (json_get(spec, "preferredHolder") && !json_get(spec, "strategy"))
        rules_forbidden(c, RULES_AT(p, "preferredHolder"),
                        "may only be specified if `strategy` is defined");
}

static void lease_update(struct causes *c, const struct json *obj, const struct json *old,
                         const struct rules_ctx *ctx)
{
    (void)old;
    lease_create(c, obj, ctx);
}

/* Coordinated leader election is off: its fields are not kept. */
static void lease_prepare(struct json *obj, const struct kind *kind, const struct rules_ctx *ctx)
{
    struct json *spec = json_get(obj, "spec");

    (void)kind;
    (void)ctx;
    json_del(spec, "strategy");
    json_del(spec, "preferredHolder");
}

static void lease_prepare_update(struct json *obj, const struct json *old, const struct kind *kind,
                                 const struct rules_ctx *ctx)
{
    (void)old;
    lease_prepare(obj, kind, ctx);
}

const struct rules_row rules_net_rows[] = {
    { .group = "discovery.k8s.io", .resource = "endpointslices", .create = slice_create,
      .update = slice_update, .prepare_create = slice_prepare,
          .prepare_update = slice_prepare_update,
      .no_meta_update = true, .meta_create_on_update = true },
    { .group = "coordination.k8s.io", .resource = "leases", .create = lease_create,
      .update = lease_update, .prepare_create = lease_prepare,
      .prepare_update = lease_prepare_update, .needs_version = true, .creates_on_update = true,
      .any_finalizer = true },
    { 0 },
};
