/* core/object/rules_warn_kinds.c -- warnings of accepted writes, kind by kind. */
#include <arpa/inet.h>

#include "core/base/check.h"
#include "core/object/codec.h"
#include "core/object/rules_warn.h"

#define AT RULES_AT
#define IDX RULES_IDX
#define KEY RULES_KEY
#define TOPOLOGY_HINTS "service.kubernetes.io/topology-aware-hints"
#define TOPOLOGY_MODE "service.kubernetes.io/topology-mode"
#define MOUNTABLE_SECRETS "kubernetes.io/enforce-mountable-secrets"
#define MANAGED_BY "endpointslice.kubernetes.io/managed-by"

/* An IPv6 address that is not written as RFC 5952 wants it. */
static void warn_ip(const struct rules_ctx *ctx, const struct rules_path *p, const char *s)
{
    unsigned char bytes[16];
    char text[INET6_ADDRSTRLEN];

    if (rules_ip_parse(s, bytes) != 6 || !inet_ntop(AF_INET6, bytes, text, sizeof(text)) ||
        str_eq(text, s))
        return;
    rules_warn_at(ctx, p, "IPv6 address \"%s\" should be in RFC 5952 canonical format (\"%s\")", s,
                  text);
}

/* --- pods and their templates */

static void warn_name(const struct rules_ctx *ctx, const struct json *obj, const char *use)
{
    struct rules_msgs m = { .a = ctx->a };

    rules_fmt_label(&m, rules_str(json_get(obj, "metadata"), "name"));
    if (m.n)
        codec_note(ctx->warnings,
                   "metadata.name: this is used in %s, which can result in surprising "
                   "behavior; a DNS label is recommended: [%s]", use, rules_msgs_join(&m, " "));
}

static void warn_pod(const struct rules_ctx *ctx, const struct json *obj, const struct json *old)
{
    if (old)
        return;
    warn_name(ctx, obj, "the Pod's hostname");
    rules_warn_pod_spec(ctx, NULL, json_get(obj, "metadata"), json_get(obj, "spec"));
}

static void warn_workload(const struct rules_ctx *ctx, const struct json *obj,
                          const struct json *old)
{
    const struct json *tmpl = json_path(obj, "spec.template");

    if (!old)
        warn_name(ctx, obj, "Pod names and hostnames");
    else if (json_get_int(json_get(obj, "metadata"), "generation", 0) ==
             json_get_int(json_get(old, "metadata"), "generation", 0))
        return;
    rules_warn_pod_spec(ctx, AT(AT(NULL, "spec"), "template"), json_get(tmpl, "metadata"),
                        json_get(tmpl, "spec"));
}

/* --- services and endpoints */

static void warn_headless(const struct rules_ctx *ctx, const struct json *spec)
{
    if (*rules_str(spec, "loadBalancerIP"))
        codec_note(ctx->warnings, "spec.loadBalancerIP is ignored for headless services");
    if (json_len(json_get(spec, "externalIPs")))
        codec_note(ctx->warnings, "spec.externalIPs is ignored for headless services");
    if (!str_eq(rules_str(spec, "sessionAffinity"), "None"))
        codec_note(ctx->warnings, "spec.SessionAffinity is ignored for headless services");
}

static void warn_external(const struct rules_ctx *ctx, const struct json *spec, bool headless)
{
    const struct rules_path *p = AT(NULL, "spec");
    const struct json *ips = json_get(spec, "externalIPs");
    bool named = str_eq(rules_str(spec, "type"), "ExternalName");
    struct json *v;

    json_each(v, ips)
        warn_ip(ctx, IDX(AT(p, "externalIPs"), v_i), json_text(v) ? v->s : "");
    if (json_len(ips) && !headless && !named)
        codec_note(ctx->warnings,
                   "spec.externalIPs is deprecated and may no longer be implemented in "
                   "some clusters");
    warn_ip(ctx, AT(p, "loadBalancerIP"), rules_str(spec, "loadBalancerIP"));
    if (named && json_len(ips))
        codec_note(ctx->warnings, "spec.externalIPs is ignored when spec.type is \"ExternalName\"");
    if (!named && *rules_str(spec, "externalName"))
        codec_note(ctx->warnings,
                   "spec.externalName is ignored when spec.type is not \"ExternalName\"");
}

static void warn_service(const struct rules_ctx *ctx, const struct json *obj,
                         const struct json *old)
{
    const struct json *spec = json_get(obj, "spec");
    bool headless = str_eq(rules_str(spec, "type"), "ClusterIP") &&
                    str_eq(rules_str(spec, "clusterIP"), "None");
    struct json *v;

    (void)old;
    if (json_path(obj, "metadata.annotations") &&
        json_get(json_path(obj, "metadata.annotations"), TOPOLOGY_HINTS))
        codec_note(ctx->warnings, "annotation " TOPOLOGY_HINTS " is deprecated, please use "
                   TOPOLOGY_MODE " instead");
    json_each(v, headless ? NULL : json_get(spec, "clusterIPs"))
        warn_ip(ctx, IDX(AT(AT(NULL, "spec"), "clusterIPs"), v_i), json_text(v) ? v->s : "");
    if (headless)
        warn_headless(ctx, spec);
    warn_external(ctx, spec, headless);
    if (str_eq(rules_str(spec, "trafficDistribution"), "PreferClose"))
        codec_note(ctx->warnings, "spec.trafficDistribution: \"PreferClose\" is deprecated; use "
                   "\"PreferSameZone\"");
}

static void warn_slice(const struct rules_ctx *ctx, const struct json *obj, const struct json *old)
{
    const char *by = rules_str(json_path(obj, "metadata.labels"), MANAGED_BY);
    struct json *v, *address;

    if (!old && str_eq(rules_str(obj, "addressType"), "FQDN"))
        codec_note(ctx->warnings, "spec.addressType: FQDN endpoints are deprecated");
    if (str_eq(by, "endpointslice-controller.k8s.io") ||
        str_eq(by, "endpointslicemirroring-controller.k8s.io"))
        return;
    json_each(v, json_get(obj, "endpoints"))
        json_each(address, json_get(v, "addresses"))
            warn_ip(ctx, IDX(AT(IDX(AT(NULL, "endpoints"), v_i), "addresses"), address_i),
                    json_text(address) ? address->s : "");
}

/* --- others */

static void warn_node(const struct rules_ctx *ctx, const struct json *obj, const struct json *old)
{
    const struct json *spec = json_get(obj, "spec");

    (void)old;
    if (json_get(spec, "configSource"))
        codec_note(ctx->warnings, "spec.configSource: the feature is removed");
    if (*rules_str(spec, "externalID"))
        codec_note(ctx->warnings,
                   "spec.externalID: this field is deprecated, and is unused by Kubernetes");
}

static void warn_account(const struct rules_ctx *ctx, const struct json *obj,
                         const struct json *old)
{
    if (!json_get(json_path(obj, "metadata.annotations"), MOUNTABLE_SECRETS) ||
        (old && json_get(json_path(old, "metadata.annotations"), MOUNTABLE_SECRETS)))
        return;
    rules_warn_at(ctx, KEY(AT(AT(NULL, "metadata"), "annotations"), MOUNTABLE_SECRETS),
                  "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted "
                  "secrets");
}

static const struct {
    const char *group, *resource;
    void (*warn)(const struct rules_ctx *ctx, const struct json *obj, const struct json *old);
} rows[] = {
    { "", "pods", warn_pod },
    { "", "nodes", warn_node },
    { "", "services", warn_service },
    { "", "serviceaccounts", warn_account },
    { "apps", "deployments", warn_workload },
    { "apps", "replicasets", warn_workload },
    { "discovery.k8s.io", "endpointslices", warn_slice },
};

static void warn(const struct json *obj, const struct json *old, const struct kind *kind,
                 const struct rules_ctx *ctx)
{
    if (!ctx->warnings || !str_empty(ctx->subresource))
        return;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_eq(rows[i].resource, kind->resource) && str_eq(rows[i].group, kind->group))
            rows[i].warn(ctx, obj, old);
}

void rules_warn_create(const struct json *obj, const struct kind *kind, const struct rules_ctx *ctx)
{
    warn(obj, NULL, kind, ctx);
}

void rules_warn_update(const struct json *obj, const struct json *old, const struct kind *kind,
                       const struct rules_ctx *ctx)
{
    warn(obj, old, kind, ctx);
}
