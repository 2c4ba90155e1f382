/* core/object/rules_apps.c -- Deployment, ReplicaSet. */
#include <stdlib.h>

#include "core/base/check.h"
#include "core/object/rules_impl.h"
#include "core/object/selector.h"

/* The selector must be set, well-formed, and match the labels of the template. */
static void check_template(struct causes *c, const struct rules_path *p, const struct json *spec,
                           const struct json *old_spec)
{
    static const char *const always[] = { "Always", NULL };
    const struct json *selector = json_get(spec, "selector"), *tmpl = json_get(spec, "template");
    const struct rules_path *at = RULES_AT(p, "template");
    const char *restart = rules_str(json_get(tmpl, "spec"), "restartPolicy");
    _cleanup_(selector_freep) struct selector *parsed = NULL;
    struct err err = ERR_INIT;

    (void)old_spec;
    if (!json_is(selector, JSON_OBJECT)) {
        rules_required(c, RULES_AT(p, "selector"), "");
    } else {
        rules_check_selector(c, RULES_AT(p, "selector"), selector);
        if (json_len(json_get(selector, "matchLabels")) +
            json_len(json_get(selector, "matchExpressions")) == 0)
            rules_invalid(c, RULES_AT(p, "selector"), selector,
                          "empty selector is invalid for deployment");
    }
    if (selector_from_json(&parsed, selector, &err) < 0) {
        rules_invalid(c, RULES_AT(p, "selector"), selector, "invalid label selector");
        return;
    }
    if (!tmpl) {
        rules_required(c, at, "");
        return;
    }
    if (!selector_is_everything(parsed)) {
        const struct json *labels = json_get(json_get(tmpl, "metadata"), "labels");

        if (!selector_matches_map(parsed, labels))
            rules_invalid(c, RULES_AT(RULES_AT(at, "metadata"), "labels"), labels,
                          "`selector` does not match template `labels`");
    }
    rules_pod_template(c, at, tmpl);
    if (!rules_in(restart, always))
        rules_unsupported(c, RULES_AT(RULES_AT(at, "spec"), "restartPolicy"), restart, always);
    if (json_get(json_get(tmpl, "spec"), "activeDeadlineSeconds"))
        rules_forbidden(c, RULES_AT(RULES_AT(at, "spec"), "activeDeadlineSeconds"),
                        "activeDeadlineSeconds in ReplicaSet is not Supported");
}

/* --- Deployment */

static void check_positive(struct causes *c, const struct rules_path *p, const struct json *v)
{
    if (json_text(v))
        rules_check_format(c, p, rules_fmt_percent, v->s);
    else if (json_is(v, JSON_INT) && v->i < 0)
        rules_invalid_i(c, p, v->i, "must be greater than or equal to 0");
}

static int64_t percent(const struct json *v)
{
    return json_text(v) && rules_is(rules_fmt_percent, v->s) ? strtoll(v->s, NULL, 10) : -1;
}

static bool is_zero(const struct json *v)
{
    return json_text(v) ? percent(v) == 0 : !v || (v->type == JSON_INT && v->i == 0);
}

static void check_rolling(struct causes *c, const struct rules_path *p, const struct json *v)
{
    const struct json *down = json_get(v, "maxUnavailable"), *up = json_get(v, "maxSurge");

    check_positive(c, RULES_AT(p, "maxUnavailable"), down);
    check_positive(c, RULES_AT(p, "maxSurge"), up);
    if (is_zero(down) && is_zero(up))
        rules_invalid(c, RULES_AT(p, "maxUnavailable"), down, "may not be 0 when `maxSurge` is 0");
    if (percent(down) > 100)
        rules_invalid(c, RULES_AT(p, "maxUnavailable"), down, "must not be greater than 100%%");
}

static void check_strategy(struct causes *c, const struct rules_path *p, const struct json *v)
{
    static const char *const types[] = { "Recreate", "RollingUpdate", NULL };
    const char *type = rules_str(v, "type");
    const struct json *rolling = json_get(v, "rollingUpdate");

    if (!rules_in(type, types))
        causes_add(c, CAUSE_NOT_SUPPORTED, rules_path_text(c->a, p), v,
                   "supported values: \"Recreate\", \"RollingUpdate\"");
    else if (str_eq(type, "Recreate") && rolling)
        rules_forbidden(c, RULES_AT(p, "rollingUpdate"),
                        "may not be specified when strategy `type` is 'Recreate'");
    else if (str_eq(type, "RollingUpdate") && !rolling)
        rules_required(c, RULES_AT(p, "rollingUpdate"),
                       "this should be defaulted and never be nil");
    else if (rolling)
        check_rolling(c, RULES_AT(p, "rollingUpdate"), rolling);
}

static void deployment_spec(struct causes *c, const struct json *obj, const struct json *old)
{
    const struct rules_path *p = RULES_AT(NULL, "spec");
    const struct json *spec = json_get(obj, "spec");
    int64_t deadline = json_get_int(spec, "progressDeadlineSeconds", 0);
    bool has_deadline = json_get(spec, "progressDeadlineSeconds");

    rules_check_nonneg(c, p, spec, "replicas");
    check_template(c, p, spec, json_get(old, "spec"));
    check_strategy(c, RULES_AT(p, "strategy"), json_get(spec, "strategy"));
    rules_check_nonneg(c, p, spec, "minReadySeconds");
    rules_check_nonneg(c, p, spec, "revisionHistoryLimit");
    rules_check_nonneg(c, p, spec, "progressDeadlineSeconds");
    if (has_deadline && deadline <= json_get_int(spec, "minReadySeconds", 0))
        rules_invalid_i(c, RULES_AT(p, "progressDeadlineSeconds"), deadline,
                        "must be greater than minReadySeconds");
}

static void deployment_create(struct causes *c, const struct json *obj, const struct rules_ctx *ctx)
{
    (void)ctx;
    deployment_spec(c, obj, NULL);
}

/* --- status of both */

static bool has_name(const char *const *names, const char *name)
{
    for (; *names; names++)
        if (str_eq(*names, name))
            return true;
    return false;
}

/* Counters are not negative, and none is greater than the one that it is a part of. */
static void check_counters(struct causes *c, const struct json *status, const char *const *names)
{
    static const char *const parts[][2] = {
        { "updatedReplicas", "replicas" },   { "fullyLabeledReplicas", "replicas" },
        { "readyReplicas", "replicas" },     { "availableReplicas", "replicas" },
        { "availableReplicas", "readyReplicas" },
    };
    const struct rules_path *p = RULES_AT(NULL, "status");

    for (size_t i = 0; names[i]; i++)
        rules_check_nonneg(c, p, status, names[i]);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        int64_t part = json_get_int(status, parts[i][0], 0);

        if (has_name(names, parts[i][0]) && part > json_get_int(status, parts[i][1], 0))
            rules_invalid_i(c, RULES_AT(p, parts[i][0]), part,
                            str_eq(parts[i][1], "replicas") ?
                            "cannot be greater than status.replicas" :
                            "cannot be greater than readyReplicas");
    }
}

static void deployment_status(struct causes *c, const struct json *obj, const struct json *old)
{
    static const char *const names[] = {
        "observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas",
        "unavailableReplicas", "collisionCount", NULL,
    };
    const struct json *status = json_get(obj, "status");
    int64_t count = json_get_int(status, "collisionCount", 0);

    check_counters(c, status, names);
    if (count < json_get_int(json_get(old, "status"), "collisionCount", 0))
        rules_invalid_i(c, RULES_AT(RULES_AT(NULL, "status"), "collisionCount"), count,
                        "cannot be decremented");
}

static void deployment_update(struct causes *c, const struct json *obj, const struct json *old,
                              const struct rules_ctx *ctx)
{
    const struct json *selector = json_get(json_get(obj, "spec"), "selector");

    if (str_eq(ctx->subresource, "status")) {
        deployment_status(c, obj, old);
        return;
    }
    deployment_spec(c, obj, old);
    rules_check_immutable(c, RULES_AT(RULES_AT(NULL, "spec"), "selector"), selector,
                          json_get(json_get(old, "spec"), "selector"));
}

/* Annotations count as part of what a generation describes; a status write leaves labels alone. */
static void deployment_prepare_update(struct json *obj, const struct json *old,
                                      const struct kind *kind,
                                      const struct rules_ctx *ctx)
{
    struct json *meta = json_get(obj, "metadata");
    const struct json *before = json_get(old, "metadata");
    const struct schema_type *type = rules_type(kind->type, "metadata");

    if (str_eq(ctx->subresource, "status"))
        rules_put_or_del(ctx->a, meta, type, "labels", json_get(before, "labels"));
    else if (!rules_same(json_get(meta, "annotations"), json_get(before, "annotations")))
        rules_put(ctx->a, meta, type, "generation",
                  json_int(ctx->a, json_get_int(before, "generation", 0) + 1));
}

/* --- ReplicaSet */

static void replicaset_create(struct causes *c, const struct json *obj, const struct rules_ctx *ctx)
{
    const struct rules_path *p = RULES_AT(NULL, "spec");
    const struct json *spec = json_get(obj, "spec");

    (void)ctx;
    rules_check_nonneg(c, p, spec, "replicas");
    rules_check_nonneg(c, p, spec, "minReadySeconds");
    check_template(c, p, spec, NULL);
}

static void replicaset_update(struct causes *c, const struct json *obj, const struct json *old,
                              const struct rules_ctx *ctx)
{
    static const char *const names[] = {
        "replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas",
        "observedGeneration",
        NULL,
    };

    if (str_eq(ctx->subresource, "status")) {
        check_counters(c, json_get(obj, "status"), names);
        return;
    }
    replicaset_create(c, obj, ctx);
    rules_check_immutable(c, RULES_AT(RULES_AT(NULL, "spec"), "selector"),
                          json_get(json_get(obj, "spec"), "selector"),
                          json_get(json_get(old, "spec"), "selector"));
}

const struct rules_row rules_apps_rows[] = {
    { .group = "apps", .resource = "deployments", .create = deployment_create,
      .update = deployment_update, .prepare_update = deployment_prepare_update },
    { .group = "apps", .resource = "replicasets", .create = replicaset_create,
      .update = replicaset_update },
    { 0 },
};
