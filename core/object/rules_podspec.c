/* core/object/rules_podspec.c -- a pod spec as a whole, in pods and in templates. */
#include "core/base/check.h"
#include "core/object/quantity.h"
#include "core/object/rules_podspec.h"

#define NAMESERVERS_MAX 3
#define SEARCHES_MAX 32
#define SEARCH_CHARS_MAX 2048
#define HOSTNAME_OVERRIDE_MAX 64

static void check_dns_lists(struct causes *c, const struct rules_path *p, const struct json *v)
{
    const struct json *servers = json_get(v, "nameservers"), *searches = json_get(v, "searches");
    size_t chars = json_len(searches) ? json_len(searches) - 1 : 0;
    struct json *s;

    if (json_len(servers) > NAMESERVERS_MAX)
        rules_invalid(c, AT(p, "nameservers"), servers, "must not have more than %d nameservers",
                      NAMESERVERS_MAX);
    json_each(s, servers)
        rules_check_ip(c, IDX(AT(p, "nameservers"), s_i), json_text(s) ? s->s : "", true);
    if (json_len(searches) > SEARCHES_MAX)
        rules_invalid(c, AT(p, "searches"), searches, "must not have more than %d search paths",
                      SEARCHES_MAX);
    json_each(s, searches)
        chars += json_text(s) ? s->len : 0;
    if (chars > SEARCH_CHARS_MAX)
        rules_invalid(c, AT(p, "searches"), searches, "must not have more than %d characters "
                      "(including spaces) in the search list", SEARCH_CHARS_MAX);
    json_each(s, searches) {
        const char *text = json_text(s) ? s->s : "";
        size_t len = strlen(text);

        if (!str_eq(text, "."))
            rules_check_format(c, IDX(AT(p, "searches"), s_i), rules_fmt_subdomain_underscore,
                               str_ends(text, ".") ? arena_strndup(c->a, text, len - 1) : text);
    }
    json_each(s, json_get(v, "options"))
        if (!*rules_str(s, "name"))
            rules_required(c, IDX(AT(p, "options"), s_i), "must not be empty");
}

static void check_dns(const struct rules_spec *s, const struct rules_path *spec_at)
{
    static const char *const policies[] = {
        "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None", NULL,
    };
    const char *policy = rules_str(s->spec, "dnsPolicy");
    const struct json *config = json_get(s->spec, "dnsConfig");
    const struct rules_path *p = AT(spec_at, "dnsConfig");

    rules_check_enum(s->c, AT(spec_at, "dnsPolicy"), policy, policies, true);
    if (str_eq(policy, "None") && !config)
        rules_required(s->c, p, "must provide `dnsConfig` when `dnsPolicy` is None");
    else if (str_eq(policy, "None") && json_len(json_get(config, "nameservers")) == 0)
        rules_required(s->c, AT(p, "nameservers"),
                       "must provide at least one DNS nameserver when `dnsPolicy` is None");
    else
        check_dns_lists(s->c, p, config);
}

static void check_host_network(const struct rules_spec *s, const struct rules_path *spec_at)
{
    struct json *container, *port;

    if (!json_get_bool(s->spec, "hostNetwork", false))
        return;
    json_each(container, json_get(s->spec, "containers"))
        json_each(port, json_get(container, "ports")) {
            const struct rules_path *at = IDX(AT(IDX(AT(spec_at, "containers"), container_i),
                                                 "ports"),
                                              port_i);
            int64_t host = json_get_int(port, "hostPort", 0);

            if ((s->is_pod || host) && host != json_get_int(port, "containerPort", 0))
                rules_invalid_i(s->c, AT(at, "hostPort"), host,
                                "must match `containerPort` when `hostNetwork` is true");
        }
}

static void check_gates(const struct rules_spec *s, const struct rules_path *spec_at)
{
    const struct rules_path *p = AT(spec_at, "schedulingGates");
    struct json *seen = json_object(s->c->a), *v;

    json_each(v, json_get(s->spec, "readinessGates"))
        rules_check_format(s->c, AT(IDX(AT(spec_at, "readinessGates"), v_i), "conditionType"),
                           rules_fmt_qualified, rules_str(v, "conditionType"));
    json_each(v, json_get(s->spec, "schedulingGates")) {
        const char *name = rules_str(v, "name");

        rules_check_format(s->c, IDX(p, v_i), rules_fmt_qualified, name);
        if (rules_seen(seen, s->c->a, name))
            rules_duplicate(s->c, IDX(p, v_i), json_str(s->c->a, name));
    }
}

static void check_claims(const struct rules_spec *s, const struct rules_path *p)
{
    struct json *seen = json_object(s->c->a), *v;
    struct causes *c = s->c;

    json_each(v, json_get(s->spec, "resourceClaims")) {
        const struct rules_path *at = IDX(p, v_i);
        const char *name = rules_str(v, "name");
        const struct json *claim = json_get(v, "resourceClaimName");
        const struct json *tmpl = json_get(v, "resourceClaimTemplateName");

        if (!*name)
            rules_required(c, AT(at, "name"), "");
        else if (rules_seen(seen, c->a, name))
            rules_duplicate(c, AT(at, "name"), json_get(v, "name"));
        else
            rules_check_format(c, AT(at, "name"), rules_fmt_label, name);
        if (claim && tmpl)
            rules_invalid(c, at, v,
                          "at most one of `resourceClaimName` or `resourceClaimTemplateName` "
                          "may be specified");
        if (!claim && !tmpl)
            rules_invalid(c, at, v,
                          "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`");
        if (claim)
            rules_check_format(c, AT(at, "resourceClaimName"), rules_fmt_subdomain,
                               json_text(claim));
        if (tmpl)
            rules_check_format(c, AT(at, "resourceClaimTemplateName"), rules_fmt_subdomain,
                               json_text(tmpl));
    }
}

static void check_aliases(struct causes *c, const struct rules_path *p, const struct json *list)
{
    struct json *v, *name;

    json_each(v, list) {
        rules_check_ip(c, AT(IDX(p, v_i), "ip"), rules_str(v, "ip"), true);
        json_each(name, json_get(v, "hostnames"))
            rules_check_format(c, IDX(AT(IDX(p, v_i), "hostnames"), name_i), rules_fmt_subdomain,
                               json_text(name) ? name->s : "");
    }
}

/* Fields that hold nothing but a name of some form. */
static void check_names(const struct rules_spec *s, const struct rules_path *p)
{
    static const struct { const char *field; rules_format *format; } names[] = {
        { "serviceAccountName", rules_fmt_subdomain }, { "nodeName", rules_fmt_subdomain },
        { "hostname", rules_fmt_label },               { "subdomain", rules_fmt_label },
        { "priorityClassName", rules_fmt_subdomain },  { "runtimeClassName", rules_fmt_subdomain },
    };
    const char *override = rules_str(s->spec, "hostnameOverride");

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (*rules_str(s->spec, names[i].field))
            rules_check_format(s->c, AT(p, names[i].field), names[i].format,
                               rules_str(s->spec, names[i].field));
    if (!json_get(s->spec, "hostnameOverride"))
        return;
    rules_check_format(s->c, AT(p, "hostnameOverride"), rules_fmt_subdomain, override);
    if (strlen(override) > HOSTNAME_OVERRIDE_MAX)
        rules_too_long(s->c, AT(p, "hostnameOverride"), HOSTNAME_OVERRIDE_MAX);
    if (json_get_bool(s->spec, "hostNetwork", false))
        rules_forbidden(s->c, AT(p, "hostnameOverride"),
                        "may not be specified when hostNetwork is true");
    if (json_get_bool(s->spec, "setHostnameAsFQDN", false))
        rules_forbidden(s->c, AT(p, "hostnameOverride"),
                        "may not be specified when setHostnameAsFQDN is true");
}

static void check_policies(const struct rules_spec *s, const struct rules_path *p)
{
    static const char *const restarts[] = { "Always", "OnFailure", "Never", NULL };
    static const char *const preempt[] = { "PreemptLowerPriority", "Never", NULL };
    const struct json *deadline = json_get(s->spec, "activeDeadlineSeconds");

    rules_check_enum(s->c, AT(p, "restartPolicy"), rules_str(s->spec, "restartPolicy"), restarts,
                     true);
    if (json_get(s->spec, "preemptionPolicy"))
        rules_check_enum(s->c, AT(p, "preemptionPolicy"), rules_str(s->spec, "preemptionPolicy"),
                         preempt,
                         true);
    if (!json_get(s->spec, "terminationGracePeriodSeconds"))
        rules_required(s->c, AT(p, "terminationGracePeriodSeconds"), "");
    if (deadline && (deadline->i < 1 || deadline->i > INT32_MAX))
        rules_invalid(s->c, AT(p, "activeDeadlineSeconds"), deadline,
                      "must be between 1 and 2147483647, inclusive");
}

static void check_overhead(const struct rules_spec *s, const struct rules_path *p)
{
    const struct json *overhead = json_get(s->spec, "overhead");
    struct json *as_limits = json_object(s->c->a);

    if (!overhead)
        return;
    json_set(s->c->a, as_limits, "limits", json_clone(s->c->a, overhead));
    rules_resources(s->c, AT(p, "overhead"), as_limits, NULL, false);
}

/* Pod-level requests must cover those of the containers, its limits theirs. */
static void check_pod_resources(const struct rules_spec *s, const struct rules_path *spec_at)
{
    const struct rules_path *p = AT(spec_at, "resources");
    const struct json *resources = json_get(s->spec, "resources");
    const struct json *limits = json_get(resources, "limits");
    const struct json *requests = json_get(resources, "requests");
    struct json *container;

    if (!resources)
        return;
    if (json_get(resources, "claims"))
        rules_forbidden(s->c, AT(p, "claims"), "claims may not be set for Resources at pod-level");
    rules_resources(s->c, p, resources, NULL, true);
    json_each_member(m, requests) {
        int64_t sum = 0, one = 0, have = 0;
        char text[QUANTITY_BYTES];

        json_each(container, json_get(s->spec, "containers")) {
            const char *r = json_get_str(json_get(json_get(container, "resources"), "requests"),
                                         m->key);

            if (r && quantity_milli(r, &one, NULL) == 0)
                sum += one;
        }
        quantity_from_milli(text, sum);
        if (json_text(m->val) && quantity_milli(m->val->s, &have, NULL) == 0 && sum > have)
            rules_invalid_s(s->c, KEY(AT(p, "requests"), m->key), m->val->s,
                            arena_printf(s->c->a,
                                         "must be greater than or equal to aggregate container "
                                         "requests of %s", text));
    }
    json_each(container, json_get(s->spec, "containers"))
        json_each_member(l, json_get(json_get(container, "resources"), "limits")) {
            const char *top = json_get_str(limits, l->key);

            if (top && json_text(l->val) && quantity_cmp(l->val->s, top) > 0)
                rules_invalid_s(s->c, AT(KEY(IDX(AT(p, "containers"), container_i), l->key),
                                         "limits"),
                                l->val->s, arena_printf(s->c->a, "must be less than or equal to "
                                                        "pod "
                                                        "limits of %s", top));
        }
}

void rules_pod_spec(struct causes *c, const struct rules_path *p, const struct json *spec,
                    const struct json *meta)
{
    struct rules_spec s = {
        .c = c, .spec = spec, .meta = meta, .is_pod = meta != NULL,
        .host_users = json_get_bool(spec, "hostUsers", true),
    };

    rules_volumes(&s, AT(p, "volumes"));
    rules_volume_tokens(&s, AT(p, "volumes"));
    check_claims(&s, AT(p, "resourceClaims"));
    rules_containers(&s, p);
    check_pod_resources(&s, p);
    check_host_network(&s, p);
    check_policies(&s, p);
    rules_check_labels(c, AT(p, "nodeSelector"), json_get(spec, "nodeSelector"));
    rules_pod_security(&s, p);
    rules_affinity(c, AT(p, "affinity"), json_get(spec, "affinity"));
    check_dns(&s, p);
    check_gates(&s, p);
    rules_spread(c, AT(p, "topologySpreadConstraints"),
                 json_get(spec, "topologySpreadConstraints"));
    check_names(&s, p);
    rules_tolerations(c, AT(p, "tolerations"), json_get(spec, "tolerations"));
    check_aliases(c, AT(p, "hostAliases"), json_get(spec, "hostAliases"));
    check_overhead(&s, p);
    rules_os(&s, p);
}

void rules_pod_template(struct causes *c, const struct rules_path *p, const struct json *tmpl)
{
    const struct json *m = json_get(tmpl, "metadata"), *spec = json_get(tmpl, "spec");

    rules_check_labels(c, AT(p, "labels"), json_get(m, "labels"));
    rules_check_annotations(c, AT(p, "annotations"), json_get(m, "annotations"));
    rules_pod_annotations(c, AT(p, "annotations"), json_get(m, "annotations"), spec);
    rules_pod_spec(c, AT(p, "spec"), spec, NULL);
    if (json_len(json_get(spec, "ephemeralContainers")) > 0)
        rules_forbidden(c, AT(AT(p, "spec"), "ephemeralContainers"),
                        "ephemeral containers not allowed in pod template");
}
