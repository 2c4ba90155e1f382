/* core/object/rules_resource.c -- requests and limits, and the class of service that follows from
 * them. */
#include "core/base/check.h"
#include "core/object/quantity.h"
#include "core/object/rules_podspec.h"

static bool is_native(const char *name)
{
    return !strchr(name, '/') || strstr(name, "kubernetes.io/");
}

static bool is_huge(const char *name)
{
    return str_starts(name, "hugepages-");
}

static bool is_extended(const char *name)
{
    return !is_native(name) && !str_starts(name, "requests.") &&
           rules_is(rules_fmt_qualified, name);
}

static bool may_overcommit(const char *name)
{
    return is_native(name) && !is_huge(name);
}

static void check_name(struct causes *c, const struct rules_path *p, const char *name,
                       bool pod_level)
{
    static const char *const container[] = { "cpu", "memory", "ephemeral-storage", NULL };
    static const char *const pod[] = { "cpu", "hugepages-", "memory", NULL };
    static const char *const standard[] = {
        "configmaps", "limits.cpu", "limits.ephemeral-storage", "limits.memory",
        "persistentvolumeclaims", "pods", "replicationcontrollers", "requests.cpu",
        "requests.ephemeral-storage", "requests.memory", "requests.storage", "resourcequotas",
        "secrets", "services", "services.loadbalancers", "services.nodeports", "storage", NULL,
    };

    if (pod_level) {
        if (!str_eq(name, "cpu") && !str_eq(name, "memory") && !is_huge(name))
            rules_unsupported(c, p, name, pod);
        return;
    }
    if (!rules_is(rules_fmt_qualified, name)) {
        rules_check_format(c, p, rules_fmt_qualified, name);
        return;
    }
    if (strchr(name, '/')) {
        if (!is_native(name) && !is_extended(name))
            rules_invalid_s(c, p, name, "doesn't follow extended resource name standard");
    } else if (!rules_in(name, container) && !is_huge(name)) {
        if (!rules_in(name, standard))
            rules_invalid_s(c, p, name, "must be a standard resource type or fully qualified");
        rules_invalid_s(c, p, name, "must be a standard resource for containers");
    }
}

/* What is counted, not measured. */
static bool is_counted(const char *name)
{
    static const char *const counted[] = {
        "pods", "replicationcontrollers", "services", "secrets", "configmaps",
        "persistentvolumeclaims",
        "services.nodeports", "services.loadbalancers", "resourcequotas", NULL,
    };

    return rules_in(name, counted) || is_extended(name);
}

void rules_check_amount(struct causes *c, const struct rules_path *p, const char *name,
                        const char *text)
{
    int64_t milli = 0;

    if (quantity_cmp(text, "0") < 0)
        rules_invalid_s(c, p, text, "must be greater than or equal to 0");
    if (is_counted(name) && quantity_milli(text, &milli, NULL) == 0 && milli % 1000 != 0)
        rules_invalid_s(c, p, text, "must be an integer");
}

static void check_amount(struct causes *c, const struct rules_path *p, const char *name,
                         const char *text)
{
    int64_t page, value;

    rules_check_amount(c, p, name, text);
    if (!is_huge(name))
        return;
    if (quantity_value(name + strlen("hugepages-"), &page, NULL) < 0 || page <= 0)
        rules_invalid_s(c, p, text, arena_printf(c->a, "%s is not a valid huge page size", name));
    else if (quantity_value(text, &value, NULL) == 0 && value % page != 0)
        rules_invalid_s(c, p, text, arena_printf(c->a, "%s is not positive integer multiple of %s",
                                                 text, name));
}

static void check_request(struct causes *c, const struct rules_path *p, const char *name,
                          const char *text, const struct json *limits)
{
    const char *limit = json_get_str(limits, name);
    int order;

    if (!limit) {
        if (!may_overcommit(name))
            rules_required(c, AT(p, "limits"),
                           "Limit must be set for non overcommitable resources");
        return;
    }
    order = quantity_cmp(text, limit);
    if (order != 0 && !may_overcommit(name))
        rules_invalid_s(c, AT(p, "requests"), text,
                        arena_printf(c->a, "must be equal to %s limit of %s", name, limit));
    else if (order > 0)
        rules_invalid_s(c, AT(p, "requests"), text,
                        arena_printf(c->a, "must be less than or equal to %s limit of %s", name,
                                     limit));
}

static void check_claims(struct causes *c, const struct rules_path *p, const struct json *list,
                         const struct json *claims)
{
    struct json *seen = json_object(c->a), *v, *known;

    json_each(v, list) {
        const char *name = rules_str(v, "name");
        const char *both = arena_printf(c->a, "%s/%s", name, rules_str(v, "request"));
        bool found = false;

        if (!*name) {
            rules_required(c, AT(IDX(p, v_i), "name"), "");
            continue;
        }
        if (rules_seen(seen, c->a, both))
            rules_duplicate(c, AT(IDX(p, v_i), "name"), json_get(v, "name"));
        json_each(known, claims)
            found = found || str_eq(json_get_str(known, "name"), name);
        if (!found)
            rules_not_found(c, AT(IDX(p, v_i), "name"), name);
    }
}

void rules_resources(struct causes *c, const struct rules_path *p, const struct json *resources,
                     const struct json *claims, bool pod_level)
{
    const struct json *limits = json_get(resources, "limits"), *lists[2];
    static const char *const names[] = { "limits", "requests" };
    bool huge = false, usual = false;

    lists[0] = limits;
    lists[1] = json_get(resources, "requests");
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        json_each_member(m, lists[i]) {
            const struct rules_path *at = KEY(AT(p, names[i]), m->key);
            const char *text = json_text(m->val) ? m->val->s : "0";

            check_name(c, at, m->key, pod_level);
            check_amount(c, at, m->key, text);
            if (i == 1)
                check_request(c, p, m->key, text, limits);
            huge = huge || is_huge(m->key);
            usual = usual || str_eq(m->key, "cpu") || str_eq(m->key, "memory");
        }
    if (huge && !usual)
        rules_forbidden(c, p, "HugePages require cpu or memory");
    check_claims(c, AT(p, "claims"), json_get(resources, "claims"), claims);
}

/* --- class of service */

struct qos { bool any, all_equal; };

static const char *const qos_resources[] = { "cpu", "memory" };

static bool is_positive(const char *text)
{
    return text && quantity_cmp(text, "0") > 0;
}

static void add_resources(struct qos *q, const struct json *resources)
{
    const struct json *limits = json_get(resources, "limits");
    const struct json *requests = json_get(resources, "requests");

    for (size_t i = 0; i < ARRAY_LEN(qos_resources); i++) {
        const char *limit = json_get_str(limits, qos_resources[i]);
        const char *request = json_get_str(requests, qos_resources[i]);

        if (is_positive(limit) || is_positive(request))
            q->any = true;
        if (!is_positive(limit) || (request && quantity_cmp(request, limit) != 0))
            q->all_equal = false;
    }
}

const char *rules_qos(const struct json *spec)
{
    static const char *const lists[] = { "containers", "initContainers" };
    const struct json *pod = json_get(spec, "resources");
    struct qos q = { .all_equal = true };
    struct json *container;

    if (json_len(json_get(pod, "limits")) || json_len(json_get(pod, "requests")))
        add_resources(&q, pod);
    else
        for (size_t i = 0; i < ARRAY_LEN(lists); i++)
            json_each(container, json_get(spec, lists[i]))
                add_resources(&q, json_get(container, "resources"));
    return !q.any ? "BestEffort" : q.all_equal ? "Guaranteed" : "Burstable";
}
