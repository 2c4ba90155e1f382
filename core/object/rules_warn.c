/* core/object/rules_warn.c -- what is accepted but deserves a Warning header: pod specs.
 *
 * Said once a write is valid, in upstream's words. A template's warnings come again only when the
 * object's generation rises, a pod's only when it is created.
 */
#include <stdarg.h>
#include <stdio.h>

#include "core/base/check.h"
#include "core/object/codec.h"
#include "core/object/quantity.h"
#include "core/object/rules_warn.h"

#define AT RULES_AT
#define IDX RULES_IDX
#define KEY RULES_KEY
#define NULL_SELECTOR "a null labelSelector results in matching no pod"
#define SECCOMP_POD "seccomp.security.alpha.kubernetes.io/pod"
#define SECCOMP_CONTAINER "container.seccomp.security.alpha.kubernetes.io/"
#define APPARMOR_CONTAINER "container.apparmor.security.beta.kubernetes.io/"
#define PORTS_MAX 256                    /* of one pod that are compared with each other */

void rules_warn_at(const struct rules_ctx *ctx, const struct rules_path *p, const char *format, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    codec_note(ctx->warnings, "%s: %s", rules_path_text(ctx->a, p), text);
}

static const char *quoted(const struct rules_ctx *ctx, const char *s)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    rules_quote(&b, s, strlen(s));
    return arena_strdup(ctx->a, b.p);
}

/* --- deprecated labels and annotations */

static const char *deprecated_label(const char *key)
{
    static const struct { const char *key, *text; } labels[] = {
        { "beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead" },
        { "beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead" },
        { "failure-domain.beta.kubernetes.io/region",
          "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead" },
        { "failure-domain.beta.kubernetes.io/zone",
          "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead" },
        { "beta.kubernetes.io/instance-type",
          "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead" },
        { "app.kubernetes.io/created-by", "deprecated since v1.9" },
        { "scheduler.alpha.kubernetes.io/preferAvoidPods",
          "deprecated since v1.22; use Taints and Tolerations instead" },
        { "node-role.kubernetes.io/master",
          "use \"node-role.kubernetes.io/control-plane\" instead" },
    };

    for (size_t i = 0; i < ARRAY_LEN(labels); i++)
        if (str_eq(labels[i].key, key))
            return labels[i].text;
    return NULL;
}

static void warn_term(const struct rules_ctx *ctx, const struct rules_path *p,
                      const struct json *term)
{
    struct json *expr;

    json_each(expr, json_get(term, "matchExpressions")) {
        const char *key = rules_str(expr, "key"), *text = deprecated_label(key);

        if (text)
            rules_warn_at(ctx, AT(IDX(AT(p, "matchExpressions"), expr_i), "key"), "%s is %s", key,
                          text);
    }
}

static void warn_node_labels(const struct rules_ctx *ctx, const struct rules_path *p,
                             const struct json *spec)
{
    const struct rules_path *at = AT(AT(p, "affinity"), "nodeAffinity");
    const struct json *affinity = json_path(spec, "affinity.nodeAffinity");
    const char *required = "requiredDuringSchedulingIgnoredDuringExecution";
    const char *preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    struct json *term;

    json_each_member(m, json_get(spec, "nodeSelector"))
        if (deprecated_label(m->key))
            rules_warn_at(ctx, KEY(AT(p, "nodeSelector"), m->key), "%s", deprecated_label(m->key));
    json_each(term, json_get(json_get(affinity, required), "nodeSelectorTerms"))
        warn_term(ctx, IDX(AT(AT(at, required), "nodeSelectorTerms"), term_i), term);
    json_each(term, json_get(affinity, preferred))
        warn_term(ctx, AT(IDX(AT(at, preferred), term_i), "preference"),
                  json_get(term, "preference"));
}

static void warn_spread(const struct rules_ctx *ctx, const struct rules_path *p,
                        const struct json *list)
{
    struct json *v;

    json_each(v, list) {
        const char *key = rules_str(v, "topologyKey"), *text = deprecated_label(key);

        if (text)
            rules_warn_at(ctx, AT(IDX(p, v_i), "topologyKey"), "%s is %s", key, text);
        if (!json_is(json_get(v, "labelSelector"), JSON_OBJECT))
            rules_warn_at(ctx, AT(IDX(p, v_i), "labelSelector"), NULL_SELECTOR);
    }
}

static void warn_annotations(const struct rules_ctx *ctx, const struct rules_path *p,
                             const struct json *notes)
{
    static const struct { const char *key, *text; } old[] = {
        { "scheduler.alpha.kubernetes.io/critical-pod",
          "non-functional in v1.16+; use the \"priorityClassName\" field instead" },
        { "security.alpha.kubernetes.io/sysctls",
          "non-functional in v1.11+; use the \"sysctls\" field instead" },
        { "security.alpha.kubernetes.io/unsafe-sysctls",
          "non-functional in v1.11+; use the \"sysctls\" field instead" },
    };

    for (size_t i = 0; i < ARRAY_LEN(old); i++)
        if (json_get(notes, old[i].key))
            rules_warn_at(ctx, KEY(p, old[i].key), "%s", old[i].text);
}

/* --- volumes */

static void warn_fraction(const struct rules_ctx *ctx, const struct rules_path *p,
                          const struct json *list, const char *name)
{
    const char *text = json_get_str(list, name);
    int64_t milli;

    if (text && quantity_milli(text, &milli, NULL) == 0 && milli % 1000)
        rules_warn_at(ctx, KEY(p, name), "fractional byte value %s is invalid, must be an integer",
                      quoted(ctx, text));
}

static void warn_volumes(const struct rules_ctx *ctx, const struct rules_path *p,
                         const struct json *list)
{
    static const struct { const char *source, *text; } old[] = {
        { "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+" },
        { "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+" },
        { "scaleIO", "deprecated in v1.16, non-functional in v1.22+" },
        { "flocker", "deprecated in v1.22, non-functional in v1.25+" },
        { "storageos", "deprecated in v1.22, non-functional in v1.25+" },
        { "quobyte", "deprecated in v1.22, non-functional in v1.25+" },
        { "glusterfs", "deprecated in v1.25, non-functional in v1.26+" },
        { "cephfs", "deprecated in v1.28, non-functional in v1.31+" },
        { "rbd", "deprecated in v1.28, non-functional in v1.31+" },
    };
    struct json *v;

    json_each(v, list) {
        const struct rules_path *at = AT(AT(AT(IDX(p, v_i), "ephemeral"), "volumeClaimTemplate"),
                                         "spec");

        for (size_t i = 0; i < ARRAY_LEN(old); i++)
            if (json_get(v, old[i].source))
                rules_warn_at(ctx, AT(IDX(p, v_i), str_eq(old[i].source, "storageos") ?
                                      "storageOS" :
                                      old[i].source), "%s", old[i].text);
        warn_fraction(ctx, AT(AT(at, "resources"), "requests"),
                      json_path(v, "ephemeral.volumeClaimTemplate.spec.resources.requests"),
                      "storage");
    }
}

static void warn_same_path(const struct rules_ctx *ctx, const struct rules_path *p,
                           const struct json *tokens, const char *path)
{
    if (json_get(tokens, path))
        rules_warn_at(ctx, p, "has duplicated path with ServiceAccountToken %s", quoted(ctx, path));
}

static void warn_source(const struct rules_ctx *ctx, const struct rules_path *p,
                        const struct json *tokens, const struct json *source)
{
    static const char *const kinds[][2] = {
        { "configMap", "configMap" }, { "secret", "secrets" }, { "downwardAPI", "downwardAPI" },
    };
    const struct json *bundle = json_get(source, "clusterTrustBundle");
    struct json *item;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        json_each(item, json_get(json_get(source, kinds[i][0]), "items"))
            warn_same_path(ctx, IDX(AT(p, kinds[i][1]), item_i), tokens, rules_str(item, "path"));
    if (bundle)
        warn_same_path(ctx, AT(p, "ClusterTrustBundle"), tokens, rules_str(bundle, "path"));
}

/* A token's file must not be another source's too. */
static void warn_projected(const struct rules_ctx *ctx, const struct rules_path *p,
                           const struct json *list)
{
    struct json *tokens = json_object(ctx->a), *v, *source;

    json_each(v, list)
        json_each(source, json_get(json_get(v, "projected"), "sources"))
            if (json_get(source, "serviceAccountToken"))
                rules_seen(tokens, ctx->a, rules_str(json_get(source, "serviceAccountToken"),
                                                     "path"));
    json_each(v, json_len(tokens) ? list : NULL)
        json_each(source, json_get(json_get(v, "projected"), "sources"))
            warn_source(ctx, AT(AT(IDX(p, v_i), "projected"), "sources"), tokens, source);
}

/* --- containers */

static void warn_env(const struct rules_ctx *ctx, const struct rules_path *p,
                     const struct json *list)
{
    struct json *seen = json_object(ctx->a), *v;

    json_each(v, list) {
        const char *name = rules_str(v, "name");
        const char *ref = arena_printf(ctx->a, "$(%s)", name), *value = rules_str(v, "value");

        if (rules_seen(seen, ctx->a, name) &&
            (json_get(v, "valueFrom") || str_eq(value, ref) || !strstr(value, ref)))
            rules_warn_at(ctx, IDX(p, v_i),
                          "hides previous definition of %s, which may be dropped when "
                          "using apply", quoted(ctx, name));
    }
}

struct walk {
    const struct rules_ctx *ctx;
    const struct rules_path *base;       /* NULL for a pod, spec.template for a template */
    const struct json *spec, *notes;
    struct json *names;                  /* port name -> path of the first */
    struct { const struct json *v; const char *at; } ports[PORTS_MAX];
    unsigned n_ports;
};

static void warn_port_pair(const struct rules_ctx *ctx, const struct rules_path *p,
                           const struct json *x,
                           const struct json *y, const char *other)
{
    int64_t host_x = json_get_int(x, "hostPort", 0), host_y = json_get_int(y, "hostPort", 0);
    bool no_x = !*rules_str(x, "hostIP"), no_y = !*rules_str(y, "hostIP");

    if (json_get_int(x, "containerPort", 0) != json_get_int(y, "containerPort", 0) ||
        !str_eq(rules_str(x, "protocol"), rules_str(y, "protocol")))
        return;
    if (str_eq(rules_str(x, "hostIP"), rules_str(y, "hostIP")) && host_x == host_y)
        rules_warn_at(ctx, p, "duplicate port definition with %s", other);
    else if (!host_x || !host_y)
        rules_warn_at(ctx, p, "overlapping port definition with %s", other);
    else if (host_x == host_y && no_x != no_y)
        rules_warn_at(ctx, p, "dangerously ambiguous port definition with %s", other);
}

static void warn_ports(struct walk *w, const struct rules_path *p, const struct json *list)
{
    struct json *v;

    json_each(v, list) {
        const struct rules_path *at = IDX(p, v_i);

        if (*rules_str(v, "hostIP") && !json_get_int(v, "hostPort", 0))
            rules_warn_at(w->ctx, at,
                          "hostIP set without hostPort: {Name:%s HostPort:0 ContainerPort:%d "
                          "Protocol:%s HostIP:%s}", rules_str(v, "name"),
                          (int)json_get_int(v, "containerPort", 0), rules_str(v, "protocol"),
                          rules_str(v, "hostIP"));
        for (unsigned i = 0; i < w->n_ports; i++)
            warn_port_pair(w->ctx, at, v, w->ports[i].v, w->ports[i].at);
        if (w->n_ports < PORTS_MAX) {
            w->ports[w->n_ports].v = v;
            w->ports[w->n_ports++].at = rules_path_text(w->ctx->a, at);
        }
    }
}

/* After the pairs of all containers; upstream walks them twice. */
static void warn_port_names(struct walk *w, const struct rules_path *p, const struct json *list)
{
    struct json *v;

    json_each(v, list) {
        const char *name = rules_str(v, "name"), *first = json_get_str(w->names, name);

        if (!*name)
            continue;
        if (first)
            rules_warn_at(w->ctx, IDX(p, v_i),
                          "duplicate port name %s with %s, services and probes that "
                          "select ports by name will use %s", quoted(w->ctx, name), first, first);
        else
            json_set_str(w->ctx->a, w->names, name, rules_path_text(w->ctx->a, IDX(p, v_i)));
    }
}

static void warn_profiles(const struct walk *w, const struct json *container)
{
    const struct rules_path *p = AT(AT(w->base, "metadata"), "annotations");
    const char *name = rules_str(container, "name");
    const struct json *sc = json_get(container, "securityContext");
    const char *seccomp = arena_printf(w->ctx->a, SECCOMP_CONTAINER "%s", name);
    const char *apparmor = arena_printf(w->ctx->a, APPARMOR_CONTAINER "%s", name);

    if (!json_get(sc, "seccompProfile") && json_get(w->notes, seccomp))
        rules_warn_at(w->ctx, KEY(p, seccomp),
                      "non-functional in v1.27+; use the \"seccompProfile\" field instead");
    if (w->base && !json_get(sc, "appArmorProfile") &&
        !json_path(w->spec, "securityContext.appArmorProfile") && json_get(w->notes, apparmor))
        rules_warn_at(w->ctx, KEY(p, apparmor),
                      "deprecated since v1.30; use the \"appArmorProfile\" field instead");
}

static void warn_container(struct walk *w, const struct rules_path *p, const struct json *container)
{
    static const char *const lists[] = { "limits", "requests" };
    static const char *const names[] = { "memory", "ephemeral-storage" };

    warn_profiles(w, container);
    for (size_t n = 0; n < ARRAY_LEN(names); n++)
        for (size_t i = 0; i < ARRAY_LEN(lists); i++)
            warn_fraction(w->ctx, AT(AT(p, "resources"), lists[i]),
                          json_get(json_get(container, "resources"), lists[i]), names[n]);
    warn_env(w->ctx, AT(p, "env"), json_get(container, "env"));
}

static void warn_containers(struct walk *w, const struct rules_path *p)
{
    static const char *const lists[] = { "initContainers", "containers", "ephemeralContainers" };

    for (int pass = 0; pass < 3; pass++)
        for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
            struct json *v;

            json_each(v, json_get(w->spec, lists[i])) {
                const struct rules_path *at = IDX(AT(p, lists[i]), v_i);

                if (pass == 0)
                    warn_container(w, at, v);
                else if (pass == 1)
                    warn_ports(w, AT(at, "ports"), json_get(v, "ports"));
                else
                    warn_port_names(w, AT(at, "ports"), json_get(v, "ports"));
            }
        }
}

/* --- the rest of a spec */

static void warn_lists(const struct rules_ctx *ctx, const struct rules_path *p,
                       const struct json *spec)
{
    struct json *ips = json_object(ctx->a), *names = json_object(ctx->a), *v;
    const struct json *secrets = json_get(spec, "imagePullSecrets");

    json_each(v, json_get(spec, "hostAliases"))
        if (rules_seen(ips, ctx->a, rules_str(v, "ip")))
            rules_warn_at(ctx, AT(IDX(AT(p, "hostAliases"), v_i), "ip"), "duplicate ip %s",
                          quoted(ctx, rules_str(v, "ip")));
    json_each(v, secrets)
        if (rules_seen(names, ctx->a, rules_str(v, "name")))
            rules_warn_at(ctx, AT(IDX(AT(p, "imagePullSecrets"), v_i), "name"), "duplicate name %s",
                          quoted(ctx, rules_str(v, "name")));
    json_each(v, secrets)
        if (!*rules_str(v, "name"))
            rules_warn_at(ctx, AT(IDX(AT(p, "imagePullSecrets"), v_i), "name"),
                          "invalid empty name \"\"");
}

static void warn_pod_affinity(const struct rules_ctx *ctx, const struct rules_path *p,
                              const struct json *v)
{
    const char *required = "requiredDuringSchedulingIgnoredDuringExecution";
    const char *preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    struct json *term;

    json_each(term, json_get(v, required))
        if (!json_is(json_get(term, "labelSelector"), JSON_OBJECT))
            rules_warn_at(ctx, AT(IDX(AT(p, required), term_i), "labelSelector"), NULL_SELECTOR);
    json_each(term, json_get(v, preferred))
        if (!json_is(json_path(term, "podAffinityTerm.labelSelector"), JSON_OBJECT))
            rules_warn_at(ctx, AT(AT(IDX(AT(p, preferred), term_i), "podAffinityTerm"),
                                  "labelSelector"),
                          NULL_SELECTOR);
}

void rules_warn_pod_spec(const struct rules_ctx *ctx, const struct rules_path *base,
                         const struct json *meta, const struct json *spec)
{
    const struct rules_path *p = AT(base, "spec"), *notes_at = AT(AT(base, "metadata"),
                                                                  "annotations");
    const struct json *notes = json_get(meta, "annotations"),
        *affinity = json_get(spec, "affinity");
    struct walk w = { .ctx = ctx, .base = base, .spec = spec, .notes = notes,
                      .names = json_object(ctx->a) };

    warn_node_labels(ctx, p, spec);
    warn_spread(ctx, AT(p, "topologySpreadConstraints"),
                json_get(spec, "topologySpreadConstraints"));
    warn_annotations(ctx, notes_at, notes);
    warn_volumes(ctx, AT(p, "volumes"), json_get(spec, "volumes"));
    warn_projected(ctx, AT(p, "volumes"), json_get(spec, "volumes"));
    warn_lists(ctx, p, spec);
    warn_fraction(ctx, AT(p, "overhead"), json_get(spec, "overhead"), "memory");
    warn_fraction(ctx, AT(p, "overhead"), json_get(spec, "overhead"), "ephemeral-storage");
    if (!json_path(spec, "securityContext.seccompProfile") && json_get(notes, SECCOMP_POD))
        rules_warn_at(ctx, KEY(notes_at, SECCOMP_POD),
                      "non-functional in v1.27+; use the \"seccompProfile\" field instead");
    warn_containers(&w, p);
    if (json_get_int(spec, "terminationGracePeriodSeconds", 0) < 0)
        rules_warn_at(ctx, AT(p, "terminationGracePeriodSeconds"),
                      "must be >= 0; negative values are invalid and will be treated as 1");
    warn_pod_affinity(ctx, AT(AT(p, "affinity"), "podAffinity"), json_get(affinity, "podAffinity"));
    warn_pod_affinity(ctx, AT(AT(p, "affinity"), "podAntiAffinity"),
                      json_get(affinity, "podAntiAffinity"));
}
