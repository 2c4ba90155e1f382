/* core/object/rules_pod.c -- Pod: preparation, and what an update of each subresource may change.
 */
#include "core/base/check.h"
#include "core/base/timefmt.h"
#include "core/object/rules_podspec.h"

#define MIRROR "kubernetes.io/config.mirror"
#define DELETION_COST "controller.kubernetes.io/pod-deletion-cost"
#define APPARMOR_PREFIX "container.apparmor.security.beta.kubernetes.io/"
#define UPDATE_TEXT "pod updates may not change fields other than `spec.containers[*].image`," \
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to " \
    "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was " \
    "previously negative)\n"

/* --- annotations that mean something */

void rules_pod_annotations(struct causes *c, const struct rules_path *p, const struct json *notes,
                           const struct json *spec)
{
    const char *cost = json_get_str(notes, DELETION_COST);
    int64_t v;

    if (json_get(notes, MIRROR) && !*rules_str(spec, "nodeName"))
        rules_invalid_s(c, KEY(p, MIRROR), rules_str(notes, MIRROR),
                        "must set spec.nodeName if mirror pod annotation is set");
    if (cost && (str_to_i64(cost, INT32_MIN, INT32_MAX, &v, NULL) < 0 ||
                 (cost[cost[0] == '-'] == '0' && cost[1])))
        rules_invalid_s(c, KEY(p, DELETION_COST), cost, "must be a 32bit integer");
    rules_profile_annotations(c, p, notes, spec);
}

static void check_annotation_changes(struct causes *c, const struct json *obj,
                                     const struct json *old)
{
    const struct rules_path *p = AT(AT(NULL, "metadata"), "annotations");
    const struct json *now = json_get(json_get(obj, "metadata"), "annotations");
    const struct json *then = json_get(json_get(old, "metadata"), "annotations");

    json_each_member(m, then) {
        if (str_eq(json_text(m->val), json_get_str(now, m->key)))
            continue;
        if (str_starts(m->key, APPARMOR_PREFIX))
            rules_forbidden(c, KEY(p, m->key), "may not remove or update AppArmor annotations");
        if (str_eq(m->key, MIRROR))
            rules_forbidden(c, KEY(p, m->key), "may not remove or update mirror pod annotation");
    }
    json_each_member(n, now) {
        if (json_get(then, n->key))
            continue;
        if (str_starts(n->key, APPARMOR_PREFIX))
            rules_forbidden(c, KEY(p, n->key), "may not add AppArmor annotations");
        if (str_eq(n->key, MIRROR))
            rules_forbidden(c, KEY(p, n->key), "may not add mirror pod annotation");
    }
    rules_pod_annotations(c, p, now, json_get(obj, "spec"));
}

/* --- prepare */

static void put_status(struct json *obj, const struct kind *kind, struct arena *a,
                       const char *field,
                       struct json *v)
{
    struct json *status = json_get(obj, "status");

    if (!json_is(status, JSON_OBJECT)) {
        status = json_object(a);
        rules_put(a, obj, kind->type, "status", status);
    }
    rules_put(a, status, rules_type(kind->type, "status"), field, v);
}

static void add_gated_condition(struct json *obj, const struct kind *kind,
                                const struct rules_ctx *ctx)
{
    const struct schema_type *type = rules_type(kind->type, "status.conditions");
    struct json *v = rules_zero(ctx->a, type), *list = json_array(ctx->a);
    char now[TIMEFMT_BYTES];

    rules_put(ctx->a, v, type, "type", json_str(ctx->a, "PodScheduled"));
    rules_put(ctx->a, v, type, "status", json_str(ctx->a, "False"));
    timefmt_rfc3339(now, env_wall_s(ctx->env));
    rules_put(ctx->a, v, type, "lastTransitionTime", json_str(ctx->a, now));
    rules_put(ctx->a, v, type, "reason", json_str(ctx->a, "SchedulingGated"));
    rules_put(ctx->a, v, type, "message",
              json_str(ctx->a, "Scheduling is blocked due to non-empty scheduling gates"));
    json_append(ctx->a, list, v);
    put_status(obj, kind, ctx->a, "conditions", list);
}

/* Adds {key, operator, [value of the pod's label]} for each key that the pod has a label of. */
static void merge_keys(struct arena *a, struct json *term, const struct json *keys, const char *op,
                       const struct json *labels)
{
    struct json *selector = json_get(term, "labelSelector"), *key;

    json_each(key, selector ? keys : NULL) {
        const char *value = json_text(key) ? json_get_str(labels, key->s) : NULL;
        struct json *expr, *values, *list = json_get(selector, "matchExpressions");

        if (!value)
            continue;
        expr = json_object(a);
        values = json_array(a);
        json_append(a, values, json_str(a, value));
        json_set_str(a, expr, "key", key->s);
        json_set_str(a, expr, "operator", op);
        json_set(a, expr, "values", values);
        if (!json_is(list, JSON_ARRAY)) {
            list = json_array(a);
            json_set(a, selector, "matchExpressions", list);
        }
        json_append(a, list, expr);
    }
}

static void merge_term_keys(struct arena *a, struct json *term, const struct json *labels)
{
    merge_keys(a, term, json_get(term, "matchLabelKeys"), "In", labels);
    merge_keys(a, term, json_get(term, "mismatchLabelKeys"), "NotIn", labels);
}

static void merge_label_keys(struct arena *a, struct json *obj)
{
    static const char *const kinds[] = { "podAffinity", "podAntiAffinity" };
    const struct json *labels = json_get(json_get(obj, "metadata"), "labels");
    const struct json *spec = json_get(obj, "spec");
    struct json *term;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct json *v = json_get(json_get(spec, "affinity"), kinds[i]);

        json_each(term, json_get(v, "requiredDuringSchedulingIgnoredDuringExecution"))
            merge_term_keys(a, term, labels);
        json_each(term, json_get(v, "preferredDuringSchedulingIgnoredDuringExecution"))
            merge_term_keys(a, json_get(term, "podAffinityTerm"), labels);
    }
    json_each(term, json_get(spec, "topologySpreadConstraints"))
        merge_keys(a, term, json_get(term, "matchLabelKeys"), "In", labels);
}

static void pod_prepare(struct json *obj, const struct kind *kind, const struct rules_ctx *ctx)
{
    const struct json *spec = json_get(obj, "spec");

    put_status(obj, kind, ctx->a, "phase", json_str(ctx->a, "Pending"));
    put_status(obj, kind, ctx->a, "qosClass", json_str(ctx->a, rules_qos(spec)));
    if (json_len(json_get(spec, "schedulingGates")) > 0)
        add_gated_condition(obj, kind, ctx);
    merge_label_keys(ctx->a, obj);
    rules_profile_copy(obj, kind, ctx);
}

/* spec := the old one with this list of containers. */
static void take_ephemeral(struct json *obj, const struct json *old, const struct kind *kind,
                           struct arena *a)
{
    const struct json *list = json_get(json_get(obj, "spec"), "ephemeralContainers");

    rules_put_or_del(a, obj, kind->type, "spec", json_get(old, "spec"));
    rules_put_or_del(a, json_get(obj, "spec"), rules_type(kind->type, "spec"),
                     "ephemeralContainers", list);
}

static void take_resources(struct json *obj, const struct json *old, const struct kind *kind,
                           struct arena *a)
{
    static const char *const lists[] = { "containers", "initContainers" };
    static const char *const fields[] = { "resources", "resizePolicy" };
    const struct json *spec = json_get(obj, "spec"), *v, *other;
    struct json *kept = json_clone(a, json_get(old, "spec")), *container;
    const struct schema_type *type = rules_type(kind->type, "spec");

    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        json_each(container, json_get(kept, lists[i])) {
            other = json_at(json_get(spec, lists[i]), container_i);
            for (size_t k = 0; other && k < ARRAY_LEN(fields); k++) {
                v = json_get(other, fields[k]);
                rules_put_or_del(a, container, rules_type(type, lists[i]), fields[k], v);
            }
        }
    rules_put_or_del(a, kept, type, "resources", json_get(spec, "resources"));
    rules_put(a, obj, kind->type, "spec", kept);
}

static void pod_prepare_update(struct json *obj, const struct json *old, const struct kind *kind,
                               const struct rules_ctx *ctx)
{
    struct json *meta = json_get(obj, "metadata");
    const struct json *before = json_get(old, "metadata");

    if (str_eq(ctx->subresource, "ephemeralcontainers"))
        take_ephemeral(obj, old, kind, ctx->a);
    if (str_eq(ctx->subresource, "resize"))
        take_resources(obj, old, kind, ctx->a);
    if (!str_eq(ctx->subresource, "status"))
        return;
    rules_put_or_del(ctx->a, meta, rules_type(kind->type, "metadata"), "ownerReferences",
                     json_get(before, "ownerReferences"));
    json_del(meta, "deletionTimestamp");
    if (json_get(before, "deletionTimestamp"))
        rules_put_or_del(ctx->a, meta, rules_type(kind->type, "metadata"), "deletionTimestamp",
                         json_get(before, "deletionTimestamp"));
    if (!*rules_str(json_get(obj, "status"), "qosClass") && json_path_str(old, "status.qosClass"))
        put_status(obj, kind, ctx->a, "qosClass",
                   json_str(ctx->a, json_path_str(old, "status.qosClass")));
}

/* --- create */

static void check_pod(struct causes *c, const struct json *obj)
{
    const struct json *meta = json_get(obj, "metadata"), *spec = json_get(obj, "spec");

    rules_pod_annotations(c, AT(AT(NULL, "metadata"), "annotations"), json_get(meta, "annotations"),
                          spec);
    rules_pod_spec(c, AT(NULL, "spec"), spec, meta ? meta : json_object(c->a));
}

static void pod_create(struct causes *c, const struct json *obj, const struct rules_ctx *ctx)
{
    const struct json *spec = json_get(obj, "spec");
    const struct rules_path *p = AT(NULL, "spec");

    (void)ctx;
    check_pod(c, obj);
    rules_profile_match(c, obj);
    if (json_len(json_get(spec, "ephemeralContainers")) > 0)
        rules_forbidden(c, AT(p, "ephemeralContainers"), "cannot be set on create");
    if (*rules_str(spec, "nodeName") && json_len(json_get(spec, "schedulingGates")) > 0)
        rules_forbidden(c, AT(p, "nodeName"),
                        "cannot be set until all schedulingGates have been cleared");
}

/* --- update */

/* False when the lists differ in length: nothing more can be said then. */
static bool check_images(struct causes *c, const struct rules_path *p, const struct json *now,
                         const struct json *then)
{
    struct json *v;

    if (json_len(now) != json_len(then)) {
        rules_forbidden(c, p, "pod updates may not add or remove containers");
        return false;
    }
    json_each(v, now)
        if (!*rules_str(v, "image"))
            rules_required(c, AT(IDX(p, v_i), "image"), "");
    return true;
}

static bool check_deadline(struct causes *c, const struct json *spec, const struct json *before)
{
    const struct rules_path *p = AT(AT(NULL, "spec"), "activeDeadlineSeconds");
    const struct json *now = json_get(spec, "activeDeadlineSeconds");
    const struct json *then = json_get(before, "activeDeadlineSeconds");

    if (!now) {
        if (then)
            rules_invalid(c, p, NULL, "must not update from a positive integer to nil value");
        return true;
    }
    if (now->i < 0 || now->i > INT32_MAX)
        rules_invalid(c, p, now, "must be between 0 and 2147483647, inclusive");
    else if (then && then->i < now->i)
        rules_invalid(c, p, now, "must be less than or equal to previous value");
    else
        return true;
    return false;
}

static bool same_toleration(struct arena *a, const struct json *x, const struct json *y)
{
    struct json *p = json_clone(a, x), *q = json_clone(a, y);

    json_del(p, "tolerationSeconds");
    json_del(q, "tolerationSeconds");
    return json_equal(p, q);
}

static void check_tolerations(struct causes *c, const struct json *spec, const struct json *before)
{
    const struct rules_path *p = AT(AT(NULL, "spec"), "tolerations");
    const struct json *now = json_get(spec, "tolerations");
    struct json *old, *v;

    json_each(old, json_get(before, "tolerations")) {
        bool found = false;

        json_each(v, now)
            found = found || same_toleration(c->a, v, old);
        if (!found) {
            rules_forbidden(c, p,
                            "existing toleration can not be modified except its tolerationSeconds");
            return;
        }
    }
    rules_tolerations(c, p, now);
}

static void check_gates(struct causes *c, const struct json *spec, const struct json *before)
{
    const struct rules_path *p = AT(AT(NULL, "spec"), "schedulingGates");
    struct json *v, *old;

    json_each(v, json_get(spec, "schedulingGates")) {
        bool found = false;

        json_each(old, json_get(before, "schedulingGates"))
            found = found || str_eq(rules_str(old, "name"), rules_str(v, "name"));
        if (!found)
            rules_forbidden(c, AT(IDX(p, v_i), "name"),
                            arena_printf(c->a,
                                         "only deletion is allowed, but found new scheduling gate "
                                         "'%s'", rules_str(v, "name")));
    }
}

/* A gated pod may still narrow its node selector. */
static void check_gated_selector(struct causes *c, const struct json *spec,
                                 const struct json *before)
{
    const struct json *now = json_get(spec, "nodeSelector"),
        *then = json_get(before, "nodeSelector");

    json_each_member(m, then)
        if (!str_eq(json_get_str(now, m->key), json_text(m->val))) {
            rules_invalid(c, AT(AT(NULL, "spec"), "nodeSelector"), now, "only additions to "
                          "spec.nodeSelector are allowed (no mutations or deletions)");
            return;
        }
}

static bool has_all(const struct json *now, const struct json *then)
{
    struct json *v, *w;

    json_each(v, then) {
        bool found = false;

        json_each(w, now)
            found = found || json_equal(v, w);
        if (!found)
            return false;
    }
    return true;
}

/* Required terms of a gated pod may gain expressions, never lose any or gain terms. */
static void check_gated_affinity(struct causes *c, const struct json *spec,
                                 const struct json *before)
{
    static const char path[] =
        "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution";
    const struct rules_path *p = AT(AT(AT(AT(AT(NULL, "spec"), "affinity"), "nodeAffinity"),
                                       "requiredDuringSchedulingIgnoredDuringExecution"),
                                    "nodeSelectorTerms");
    const struct json *now = json_get(json_path(spec, path), "nodeSelectorTerms");
    const struct json *then = json_get(json_path(before, path), "nodeSelectorTerms");
    struct json *v;

    if (json_len(then) == 0)
        return;
    if (json_len(now) != json_len(then)) {
        rules_invalid(c, p, now,
                      "no additions/deletions to non-empty NodeSelectorTerms list are allowed");
        return;
    }
    json_each(v, then) {
        const struct json *w = json_at(now, v_i);

        if (!has_all(json_get(w, "matchExpressions"), json_get(v, "matchExpressions")) ||
            !has_all(json_get(w, "matchFields"), json_get(v, "matchFields")))
            rules_invalid(c, IDX(p, v_i), w,
                          "only additions are allowed (no mutations or deletions)");
    }
}

static void take_images(struct arena *a, struct json *list, const struct json *old_list)
{
    struct json *v;

    json_each(v, list) {
        json_del(v, "image");
        if (json_get_str(json_at(old_list, v_i), "image"))
            json_set_str(a, v, "image", json_get_str(json_at(old_list, v_i), "image"));
    }
}

static void take(struct arena *a, struct json *spec, const struct json *before, const char *field)
{
    json_del(spec, field);
    if (json_get(before, field))
        json_set(a, spec, field, json_clone(a, json_get(before, field)));
}

/* With everything that may change made equal, the specs must be. */
static void check_rest(struct causes *c, const struct json *spec, const struct json *before)
{
    static const char *const free_fields[] = { "activeDeadlineSeconds", "schedulingGates",
                                               "tolerations" };
    struct json *munged = json_clone(c->a, spec);
    bool gated = json_len(json_get(before, "schedulingGates")) > 0;

    take_images(c->a, json_get(munged, "containers"), json_get(before, "containers"));
    take_images(c->a, json_get(munged, "initContainers"), json_get(before, "initContainers"));
    for (size_t i = 0; i < ARRAY_LEN(free_fields); i++)
        take(c->a, munged, before, free_fields[i]);
    if (json_get_int(before, "terminationGracePeriodSeconds", 0) < 0 &&
        json_get_int(spec, "terminationGracePeriodSeconds", 0) == 1)
        take(c->a, munged, before, "terminationGracePeriodSeconds");
    if (gated) {
        check_gated_selector(c, spec, before);
        check_gated_affinity(c, spec, before);
        take(c->a, munged, before, "nodeSelector");
        if (rules_same(json_path(spec, "affinity.podAffinity"),
                       json_path(before, "affinity.podAffinity")) &&
            rules_same(json_path(spec, "affinity.podAntiAffinity"),
                       json_path(before, "affinity.podAntiAffinity")))
            take(c->a, munged, before, "affinity");
    }
    if (!json_equal(munged, before))
        rules_forbidden(c, AT(NULL, "spec"), UPDATE_TEXT);
}

static void update_spec(struct causes *c, const struct json *obj, const struct json *old)
{
    const struct rules_path *p = AT(NULL, "spec");
    const struct json *spec = json_get(obj, "spec"), *before = json_get(old, "spec");

    if (!check_images(c, AT(p, "containers"), json_get(spec, "containers"),
                      json_get(before, "containers")) ||
        !check_images(c, AT(p, "initContainers"), json_get(spec, "initContainers"),
                      json_get(before, "initContainers")) ||
        !check_deadline(c, spec, before))
        return;
    check_tolerations(c, spec, before);
    check_gates(c, spec, before);
    check_rest(c, spec, before);
}

static void update_ephemeral(struct causes *c, const struct json *obj, const struct json *old)
{
    const struct rules_path *p = AT(AT(NULL, "spec"), "ephemeralContainers");
    const struct json *list = json_get(json_get(obj, "spec"), "ephemeralContainers");
    struct json *before, *v;

    if (json_get(json_path(old, "metadata.annotations"), MIRROR))
        rules_forbidden(c, AT(NULL, ""), "static pods do not support ephemeral containers");
    json_each(before, json_get(json_get(old, "spec"), "ephemeralContainers")) {
        const char *name = rules_str(before, "name");
        const struct json *now = NULL;

        json_each(v, list)
            if (str_eq(rules_str(v, "name"), name))
                now = v;
        if (!now)
            rules_forbidden(c, p, arena_printf(c->a, "existing ephemeral containers \"%s\" may "
                                               "not be "
                                               "removed\n", name));
        else if (!json_equal(now, before))
            rules_forbidden(c, p, arena_printf(c->a, "existing ephemeral containers \"%s\" may "
                                               "not be "
                                               "changed\n", name));
    }
}

static void check_resize(struct causes *c, const struct rules_path *p, const struct json *now,
                         const struct json *then)
{
    static const char *const lists[] = { "requests", "limits" };
    static const char *const texts[] = {
        "resource requests cannot be removed", "resource limits cannot be removed",
    };

    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        json_each_member(m, json_get(then, lists[i]))
            if (!json_get(json_get(now, lists[i]), m->key)) {
                rules_forbidden(c, AT(p, lists[i]), texts[i]);
                break;
            }
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        json_each_member(m, json_get(now, lists[i]))
            if (!str_eq(m->key, "cpu") && !str_eq(m->key, "memory") &&
                !str_eq(json_text(m->val), json_get_str(json_get(then, lists[i]), m->key))) {
                rules_forbidden(c, AT(NULL, "spec"), "only cpu and memory resources are mutable");
                return;
            }
}

static void update_resize(struct causes *c, const struct json *obj, const struct json *old)
{
    const struct rules_path *p = AT(NULL, "spec");
    const struct json *spec = json_get(obj, "spec"), *before = json_get(old, "spec");
    struct json *v;

    if (json_get(json_path(old, "metadata.annotations"), MIRROR))
        rules_forbidden(c, AT(NULL, ""), "static pods cannot be resized");
    if (str_eq(rules_str(json_get(before, "os"), "name"), "windows"))
        rules_forbidden(c, AT(NULL, ""), "windows pods cannot be resized");
    if (!str_eq(rules_qos(spec), rules_qos(before)))
        rules_invalid_s(c, p, rules_str(json_get(obj, "status"), "qosClass"),
                        "Pod QOS Class may not change as a result of resizing");
    json_each(v, json_get(before, "containers"))
        check_resize(c, AT(IDX(AT(p, "containers"), v_i), "resources"),
                     json_get(json_at(json_get(spec, "containers"), v_i), "resources"),
                     json_get(v, "resources"));
    json_each(v, json_get(before, "initContainers")) {
        const struct json *now = json_at(json_get(spec, "initContainers"), v_i);

        if (!str_eq(rules_str(v, "restartPolicy"), "Always")) {
            if (!json_equal(now, v))
                rules_forbidden(c, p, "resources for non-sidecar init containers are immutable");
            continue;
        }
        check_resize(c, AT(IDX(AT(p, "initContainers"), v_i), "resources"),
                     json_get(now, "resources"),
                     json_get(v, "resources"));
    }
}

/* --- status */

/* A sidecar runs again whatever the pod's policy is. */
static bool restarts_itself(const struct json *pod, const char *name)
{
    struct json *v;

    json_each(v, json_get(json_get(pod, "spec"), "initContainers"))
        if (str_eq(rules_str(v, "name"), name))
            return str_eq(rules_str(v, "restartPolicy"), "Always");
    return false;
}

static void check_observed(struct causes *c, const struct rules_path *p, const struct json *obj)
{
    int64_t v = json_get_int(obj, "observedGeneration", 0);

    if (v < 0)
        rules_invalid_i(c, AT(p, "observedGeneration"), v, "must be a non-negative integer");
}

static void check_transitions(struct causes *c, const struct json *obj, const struct json *old,
                              const char *field, const char *restart)
{
    const struct rules_path *p = AT(AT(NULL, "status"), field);
    struct json *then, *now;

    json_each(then, str_eq(restart, "Always") ? NULL : json_get(json_get(old, "status"), field)) {
        const struct json *ended = json_get(json_get(then, "state"), "terminated");

        if (!ended || (str_eq(restart, "OnFailure") && json_get_int(ended, "exitCode", 0) != 0) ||
            restarts_itself(old, rules_str(then, "name")))
            continue;
        json_each(now, json_get(json_get(obj, "status"), field))
            if (str_eq(rules_str(now, "name"), rules_str(then, "name")) &&
                !json_get(json_get(now, "state"), "terminated"))
                rules_forbidden(c, AT(IDX(p, then_i), "state"),
                                "may not be transitioned to non-terminated state");
    }
}

static void check_status_ips(struct causes *c, const struct json *status, const char *field)
{
    const struct rules_path *p = AT(AT(NULL, "status"), field);
    const struct json *list = json_get(status, field);
    struct json *seen = json_object(c->a), *v;
    unsigned families[7] = { 0 };

    json_each(v, list) {
        const char *ip = rules_str(v, "ip");

        rules_check_ip(c, IDX(p, v_i), ip, true);
        families[rules_ip_family(ip)]++;
        if (rules_seen(seen, c->a, ip))
            rules_duplicate(c, IDX(p, v_i), v);
    }
    if (families[4] > 1 || families[6] > 1)
        rules_invalid(c, p, list, "may specify no more than one IP for each IP family");
}

static void update_status(struct causes *c, const struct json *obj, const struct json *old)
{
    const struct rules_path *p = AT(NULL, "status");
    const struct json *status = json_get(obj, "status"), *before = json_get(old, "status");
    const char *restart = rules_str(json_get(old, "spec"), "restartPolicy");
    const char *nominated = rules_str(status, "nominatedNodeName");
    struct json *v;

    json_each(v, json_get(status, "conditions")) {
        const struct rules_path *at = IDX(AT(AT(NULL, "metadata"), "conditions"), v_i);

        rules_check_format(c, AT(at, "Type"), rules_fmt_qualified, rules_str(v, "type"));
        check_observed(c, at, v);
    }
    check_observed(c, p, status);
    if (*nominated && !str_eq(nominated, rules_str(before, "nominatedNodeName")))
        rules_check_format(c, AT(p, "nominatedNodeName"), rules_fmt_subdomain, nominated);
    if (*nominated && !str_eq(nominated, rules_str(before, "nominatedNodeName")) &&
        *rules_str(json_get(old, "spec"), "nodeName"))
        rules_forbidden(c, AT(p, "nominatedNodeName"),
                        "may not be set on pods that are already bound to a node");
    rules_check_immutable(c, AT(p, "qosClass"), json_get(status, "qosClass"),
                          json_get(before, "qosClass"));
    check_transitions(c, obj, old, "containerStatuses", restart);
    check_transitions(c, obj, old, "initContainerStatuses", restart);
    check_transitions(c, obj, old, "ephemeralContainerStatuses", "Never");
    check_status_ips(c, status, "podIPs");
    check_status_ips(c, status, "hostIPs");
}

static void pod_update(struct causes *c, const struct json *obj, const struct json *old,
                       const struct rules_ctx *ctx)
{
    if (str_eq(ctx->subresource, "status")) {
        check_annotation_changes(c, obj, old);
        update_status(c, obj, old);
        return;
    }
    check_pod(c, obj);
    if (str_eq(ctx->subresource, "resize")) {
        update_resize(c, obj, old);
        return;
    }
    check_annotation_changes(c, obj, old);
    if (str_eq(ctx->subresource, "ephemeralcontainers"))
        update_ephemeral(c, obj, old);
    else if (!str_eq(ctx->subresource, "binding"))
        update_spec(c, obj, old);
}

const struct rules_row rules_pod_rows[] = {
    { .group = "", .resource = "pods", .prepare_create = pod_prepare,
      .prepare_update = pod_prepare_update, .create = pod_create, .update = pod_update,
      .meta_create_on_update = true },
    { 0 },
};
