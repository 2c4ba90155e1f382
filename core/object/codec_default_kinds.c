/* core/object/codec_default_kinds.c -- defaults of workloads, scaling, networking and access rules
 * that depend on more than one field. Each runs on the whole object, before the constants of the
 * tables. */
#include <stdlib.h>
#include <string.h>

#include "core/base/b64.h"
#include "core/base/check.h"
#include "core/object/codec_default.h"

static void text_if_unset(struct json *obj, struct arena *a, const struct schema_type *t,
                          const char *name, const char *value)
{
    if (str_empty(json_get_str(obj, name)))
        codec_default_put(obj, a, t, name, json_str(a, value));
}

static void int_if_unset(struct json *obj, struct arena *a, const struct schema_type *t,
                         const char *name, int64_t value)
{
    if (!json_get(obj, name))
        codec_default_put(obj, a, t, name, json_int(a, value));
}

/* metadata.labels are those of the template when there are none. */
static void labels_of_template(struct json *tree, struct arena *a, const struct schema_type *t)
{
    const struct schema_type *type = codec_default_type_in(t, "metadata");
    struct json *meta = json_get(tree, "metadata");
    const struct json *labels = json_path(tree, "spec.template.metadata.labels");

    if (labels && !json_len(json_get(meta, "labels")))
        codec_default_put(meta, a, type, "labels", json_clone(a, labels));
}

void codec_default_job(struct json *tree, struct arena *a, const struct schema_type *t)
{
    const struct schema_type *type = codec_default_type_in(t, "spec");
    struct json *spec = json_get(tree, "spec");
    bool fails = json_get(spec, "podFailurePolicy");
    bool by_index = json_get(spec, "backoffLimitPerIndex");

    if (!json_get(spec, "completions") && !json_get(spec, "parallelism"))
        codec_default_put(spec, a, type, "completions", json_int(a, 1));
    int_if_unset(spec, a, type, "parallelism", 1);
    int_if_unset(spec, a, type, "backoffLimit", by_index ? INT32_MAX : 6);
    text_if_unset(spec, a, type, "completionMode", "NonIndexed");
    text_if_unset(spec, a, type, "podReplacementPolicy", fails ? "Failed" : "TerminatingOrFailed");
    if (!json_get(spec, "suspend"))
        codec_default_put(spec, a, type, "suspend", json_bool(a, false));
    if (!json_get(spec, "manualSelector"))
        codec_default_put(spec, a, type, "manualSelector", json_bool(a, false));
    labels_of_template(tree, a, t);
}

void codec_default_daemon_set(struct json *tree, struct arena *a, const struct schema_type *t)
{
    const struct schema_type *spec = codec_default_type_in(t, "spec");
    const struct schema_type *type = codec_default_type_in(spec, "updateStrategy");
    struct json *strategy = codec_default_ensure(json_get(tree, "spec"), a, spec, "updateStrategy");
    struct json *rolling;

    text_if_unset(strategy, a, type, "type", "RollingUpdate");
    if (!str_eq(json_get_str(strategy, "type"), "RollingUpdate"))
        return;
    rolling = codec_default_ensure(strategy, a, type, "rollingUpdate");
    type = codec_default_type_in(type, "rollingUpdate");
    int_if_unset(rolling, a, type, "maxUnavailable", 1);
    int_if_unset(rolling, a, type, "maxSurge", 0);
}

void codec_default_stateful_set(struct json *tree, struct arena *a, const struct schema_type *t)
{
    const struct schema_type *spec_type = codec_default_type_in(t, "spec");
    const struct schema_type *type = codec_default_type_in(spec_type, "updateStrategy");
    struct json *spec = json_get(tree, "spec");
    struct json *strategy = codec_default_ensure(spec, a, spec_type, "updateStrategy"), *rolling;

    if (str_empty(json_get_str(strategy, "type"))) {
        codec_default_put(strategy, a, type, "type", json_str(a, "RollingUpdate"));
        codec_default_ensure(strategy, a, type, "rollingUpdate");
    }
    rolling = json_get(strategy, "rollingUpdate");
    if (rolling && str_eq(json_get_str(strategy, "type"), "RollingUpdate"))
        int_if_unset(rolling, a, codec_default_type_in(type, "rollingUpdate"), "partition", 0);
    codec_default_ensure(spec, a, spec_type, "persistentVolumeClaimRetentionPolicy");
}

void codec_default_replication_controller(struct json *tree, struct arena *a,
                                          const struct schema_type *t)
{
    const struct schema_type *type = codec_default_type_in(t, "spec");
    struct json *spec = json_get(tree, "spec");
    const struct json *labels = json_path(spec, "template.metadata.labels");

    if (labels && !json_len(json_get(spec, "selector")))
        codec_default_put(spec, a, type, "selector", json_clone(a, labels));
    labels_of_template(tree, a, t);
}

void codec_default_network_policy(struct json *tree, struct arena *a, const struct schema_type *t)
{
    struct json *spec = json_get(tree, "spec"), *types;

    if (json_len(json_get(spec, "policyTypes")))
        return;
    types = json_array(a);
    json_append(a, types, json_str(a, "Ingress"));
    if (json_len(json_get(spec, "egress")))
        json_append(a, types, json_str(a, "Egress"));
    codec_default_put(spec, a, codec_default_type_in(t, "spec"), "policyTypes", types);
}

void codec_default_binding(struct json *tree, struct arena *a, const struct schema_type *t)
{
    const struct schema_type *type = codec_default_type_in(t, "subjects");
    struct json *subject;

    json_each(subject, json_get(tree, "subjects")) {
        const char *kind = json_get_str(subject, "kind");

        if (str_eq(kind, "User") || str_eq(kind, "Group"))
            text_if_unset(subject, a, type, "apiGroup", "rbac.authorization.k8s.io");
    }
}

/* Sets in `to` what `from` has and `to` has not. */
static void amounts_from(struct json *item, struct arena *a, const struct schema_type *t,
                         const char *to,
                         const char *from)
{
    struct json *target;

    if (!json_len(json_get(item, from)))
        return;
    target = codec_default_ensure(item, a, t, to);
    json_each_member(m, json_get(item, from))
        if (!json_get(target, m->key))
            codec_default_put_key(target, a, m->key, json_clone(a, m->val));
}

/* Only here: the same spec inside a VolumeAttachment has no defaults. */
void codec_default_persistent_volume(struct json *tree, struct arena *a,
                                     const struct schema_type *t)
{
    const struct schema_type *type = codec_default_type_in(t, "spec");
    struct json *spec = json_get(tree, "spec");

    if (!json_is(spec, JSON_OBJECT))
        return;
    text_if_unset(spec, a, type, "persistentVolumeReclaimPolicy", "Retain");
    text_if_unset(spec, a, type, "volumeMode", "Filesystem");
}

static int by_key(const void *x, const void *y)
{
    const struct json_member *a = x, *b = y;

    return strcmp(a->key, b->key);
}

/* stringData is a way in only: it is merged over data. */
void codec_default_secret(struct json *tree, struct arena *a, const struct schema_type *t)
{
    const struct json *plain = json_get(tree, "stringData");
    struct json *data = json_get(tree, "data");

    if (json_len(plain) > 0 && !json_is(data, JSON_OBJECT)) {
        data = json_object(a);
        codec_default_put(tree, a, t, "data", data);
    }
    json_each_member(m, plain) {
        _cleanup_buf_ struct buf b = BUF_INIT;

        b64_encode(&b, B64_STD, json_text(m->val) ? m->val->s : "", m->val->len);
        json_set(a, data, m->key, json_strn(a, b.p ? b.p : "", b.len));
    }
    if (json_len(plain) > 0)
        qsort(data->members, data->len, sizeof(data->members[0]), by_key);
    json_del(tree, "stringData");
}

void codec_default_limit_range(struct json *tree, struct arena *a, const struct schema_type *t)
{
    const struct schema_type *spec = codec_default_type_in(t, "spec");
    const struct schema_type *type = codec_default_type_in(spec, "limits");
    struct json *item;

    json_each(item, json_path(tree, "spec.limits"))
        if (str_eq(json_get_str(item, "type"), "Container")) {
            amounts_from(item, a, type, "default", "max");
            amounts_from(item, a, type, "defaultRequest", "default");
            amounts_from(item, a, type, "defaultRequest", "min");
        }
}

static struct json *scaling_policy(struct arena *a, const char *type, int64_t value)
{
    struct json *policy = json_object(a);

    json_set_str(a, policy, "type", type);
    json_set_int(a, policy, "value", value);
    json_set_int(a, policy, "periodSeconds", 15);
    return policy;
}

static void scaling_rules(struct json *behavior, struct arena *a, const struct schema_type *t,
                          bool up)
{
    const char *name = up ? "scaleUp" : "scaleDown";
    const struct schema_type *type = codec_default_type_in(t, name);
    struct json *rules = codec_default_ensure(behavior, a, t, name), *policies;

    if (up)
        int_if_unset(rules, a, type, "stabilizationWindowSeconds", 0);
    text_if_unset(rules, a, type, "selectPolicy", "Max");
    if (json_len(json_get(rules, "policies")))
        return;
    policies = json_array(a);
    if (up)
        json_append(a, policies, scaling_policy(a, "Pods", 4));
    json_append(a, policies, scaling_policy(a, "Percent", 100));
    codec_default_put(rules, a, type, "policies", policies);
}

void codec_default_autoscaler(struct json *tree, struct arena *a, const struct schema_type *t)
{
    const struct schema_type *type = codec_default_type_in(t, "spec");
    struct json *spec = json_get(tree, "spec"), *metrics, *metric, *resource, *target;

    if (!json_len(json_get(spec, "metrics"))) {
        metrics = json_array(a);
        metric = json_object(a);
        json_set_str(a, metric, "type", "Resource");
        resource = json_ensure_object(a, metric, "resource");
        json_set_str(a, resource, "name", "cpu");
        target = json_ensure_object(a, resource, "target");
        json_set_str(a, target, "type", "Utilization");
        json_set_int(a, target, "averageUtilization", 80);
        json_append(a, metrics, metric);
        codec_default_put(spec, a, type, "metrics", metrics);
    }
    if (json_get(spec, "behavior")) {
        scaling_rules(json_get(spec, "behavior"), a, codec_default_type_in(type, "behavior"), true);
        scaling_rules(json_get(spec, "behavior"), a, codec_default_type_in(type, "behavior"),
                      false);
    }
}
