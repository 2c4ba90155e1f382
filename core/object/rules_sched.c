/* core/object/rules_sched.c -- where a pod may go: affinity, tolerations, topology spread. */
#include "core/base/check.h"
#include "core/object/rules_podspec.h"

static const char bad_operator[] = "not a valid selector operator";

static void check_node_expression(struct causes *c, const struct rules_path *p,
                                  const struct json *expr,
                                  bool values_too)
{
    static const char *const many[] = { "In", "NotIn", NULL };
    static const char *const none[] = { "Exists", "DoesNotExist", NULL };
    static const char *const one[] = { "Gt", "Lt", NULL };
    const char *op = rules_str(expr, "operator");
    const struct json *values = json_get(expr, "values");
    struct json *v;

    if (rules_in(op, many)) {
        if (json_len(values) == 0)
            rules_required(c, AT(p, "values"),
                           "must be specified when `operator` is 'In' or 'NotIn'");
    } else if (rules_in(op, none)) {
        if (json_len(values) > 0)
            rules_forbidden(c, AT(p, "values"),
                            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    } else if (rules_in(op, one)) {
        if (json_len(values) != 1)
            rules_required(c, AT(p, "values"),
                           "must be specified single value when `operator` is 'Lt' or 'Gt'");
    } else {
        rules_invalid_s(c, AT(p, "operator"), op, bad_operator);
    }
    rules_check_format(c, AT(p, "key"), rules_fmt_qualified, rules_str(expr, "key"));
    json_each(v, values_too ? values : NULL)
        rules_check_format(c, IDX(AT(p, "values"), v_i), rules_fmt_label_value,
                           json_text(v) ? v->s : "");
}

static void check_node_field(struct causes *c, const struct rules_path *p, const struct json *expr)
{
    const char *op = rules_str(expr, "operator"), *key = rules_str(expr, "key");
    const struct json *values = json_get(expr, "values");
    struct json *v;

    if (!str_eq(op, "In") && !str_eq(op, "NotIn"))
        rules_invalid_s(c, AT(p, "operator"), op, bad_operator);
    else if (json_len(values) != 1)
        rules_required(c, AT(p, "values"),
                       "must be only one value when `operator` is 'In' or 'NotIn' "
                       "for node field selector");
    if (!str_eq(key, "metadata.name")) {
        rules_invalid_s(c, AT(p, "key"), key, "not a valid field selector key");
        return;
    }
    json_each(v, values)
        rules_check_format(c, IDX(AT(p, "values"), v_i), rules_fmt_subdomain, json_text(v) ? v->s :
                           "");
}

static void check_node_term(struct causes *c, const struct rules_path *p, const struct json *term,
                            bool required)
{
    struct json *expr;

    json_each(expr, json_get(term, "matchExpressions"))
        check_node_expression(c, IDX(AT(p, "matchExpressions"), expr_i), expr, required);
    json_each(expr, json_get(term, "matchFields"))
        check_node_field(c, IDX(AT(p, "matchFields"), expr_i), expr);
}

static void check_weight(struct causes *c, const struct rules_path *p, const struct json *term)
{
    int64_t weight = json_get_int(term, "weight", 0);

    if (weight < 1 || weight > 100)
        rules_invalid_i(c, AT(p, "weight"), weight, "must be in the range 1-100");
}

static void check_node_affinity(struct causes *c, const struct rules_path *p, const struct json *v)
{
    const struct json *must = json_get(v, "requiredDuringSchedulingIgnoredDuringExecution");
    const struct rules_path *at = AT(AT(p, "requiredDuringSchedulingIgnoredDuringExecution"),
                                     "nodeSelectorTerms");
    const struct json *terms = json_get(must, "nodeSelectorTerms");
    struct json *term;

    if (must && json_len(terms) == 0)
        rules_required(c, at, "must have at least one node selector term");
    json_each(term, terms)
        check_node_term(c, IDX(at, term_i), term, true);
    json_each(term, json_get(v, "preferredDuringSchedulingIgnoredDuringExecution")) {
        const struct rules_path *one = IDX(AT(p, "preferredDuringSchedulingIgnoredDuringExecution"),
                                           term_i);

        check_weight(c, one, term);
        check_node_term(c, AT(one, "preference"), json_get(term, "preference"), false);
    }
}

/* Whether the selector already speaks about this key. */
static bool selector_has(const struct json *selector, const char *key, bool expressions_only)
{
    struct json *expr;

    json_each(expr, json_get(selector, "matchExpressions"))
        if (str_eq(json_get_str(expr, "key"), key))
            return true;
    return !expressions_only && json_get(json_get(selector, "matchLabels"), key);
}

static bool list_has(const struct json *list, const char *text)
{
    struct json *v;

    json_each(v, list)
        if (str_eq(json_text(v), text))
            return true;
    return false;
}

static void check_keys(struct causes *c, const struct rules_path *p, const struct json *keys,
                       const struct json *selector)
{
    struct json *key;

    if (json_len(keys) == 0)
        return;
    if (!selector) {
        rules_forbidden(c, p, "must not be specified when labelSelector is not set");
        return;
    }
    json_each(key, keys) {
        rules_check_format(c, IDX(p, key_i), rules_fmt_qualified, json_text(key) ? key->s : "");
    }
}

/* matchLabelKeys were merged into the selector on create, as In; anything else there is the
 * client's own. */
static void check_key_clash(struct causes *c, const struct rules_path *p, const struct json *term,
                            const char *field)
{
    const struct json *keys = json_get(term, field);
    struct json *key;

    json_each(key, keys)
        if (str_eq(field, "matchLabelKeys") && list_has(json_get(term, "mismatchLabelKeys"),
                                                        key->s))
            rules_invalid(c, IDX(AT(p, field), key_i), key,
                          "exists in both matchLabelKeys and mismatchLabelKeys");
}

static void check_pod_term(struct causes *c, const struct rules_path *p, const struct json *term)
{
    const struct json *selector = json_get(term, "labelSelector");
    const char *key = rules_str(term, "topologyKey");
    struct json *ns;

    rules_check_selector(c, AT(p, "labelSelector"), selector);
    rules_check_selector(c, AT(p, "namespaceSelector"), json_get(term, "namespaceSelector"));
    json_each(ns, json_get(term, "namespaces"))
        rules_check_format(c, AT(p, "namespace"), rules_fmt_label, json_text(ns) ? ns->s : "");
    check_keys(c, AT(p, "matchLabelKeys"), json_get(term, "matchLabelKeys"), selector);
    check_keys(c, AT(p, "mismatchLabelKeys"), json_get(term, "mismatchLabelKeys"), selector);
    check_key_clash(c, p, term, "matchLabelKeys");
    if (!*key)
        rules_required(c, AT(p, "topologyKey"), "can not be empty");
    rules_check_format(c, AT(p, "topologyKey"), rules_fmt_qualified, key);
}

static void check_pod_affinity(struct causes *c, const struct rules_path *p, const struct json *v)
{
    static const char must[] = "requiredDuringSchedulingIgnoredDuringExecution";
    static const char want[] = "preferredDuringSchedulingIgnoredDuringExecution";
    struct json *term;

    json_each(term, json_get(v, must))
        check_pod_term(c, IDX(AT(p, must), term_i), term);
    json_each(term, json_get(v, want)) {
        check_weight(c, IDX(AT(p, want), term_i), term);
        check_pod_term(c, AT(IDX(AT(p, want), term_i), "podAffinityTerm"),
                       json_get(term, "podAffinityTerm"));
    }
}

void rules_affinity(struct causes *c, const struct rules_path *p, const struct json *affinity)
{
    check_node_affinity(c, AT(p, "nodeAffinity"), json_get(affinity, "nodeAffinity"));
    check_pod_affinity(c, AT(p, "podAffinity"), json_get(affinity, "podAffinity"));
    check_pod_affinity(c, AT(p, "podAntiAffinity"), json_get(affinity, "podAntiAffinity"));
}

static void check_toleration(struct causes *c, const struct rules_path *p, const struct json *t)
{
    static const char *const effects[] = { "NoSchedule", "PreferNoSchedule", "NoExecute", NULL };
    static const char *const operators[] = { "Equal", "Exists", NULL };
    const char *key = rules_str(t, "key"), *op = rules_str(t, "operator");
    const char *value = rules_str(t, "value"), *effect = rules_str(t, "effect");
    struct rules_msgs m = { .a = c->a };

    if (*key)
        rules_check_format(c, AT(p, "key"), rules_fmt_qualified, key);
    if (!*key && !str_eq(op, "Exists"))
        rules_invalid_s(c, AT(p, "operator"), op,
                        "operator must be Exists when `key` is empty, which "
                        "means \"match all values and all keys\"");
    if (json_get(t, "tolerationSeconds") && !str_eq(effect, "NoExecute"))
        rules_invalid_s(c, AT(p, "effect"), effect,
                        "effect must be 'NoExecute' when `tolerationSeconds` is set");
    if (str_eq(op, "Exists")) {
        if (*value)
            rules_invalid_s(c, AT(p, "operator"), value,
                            "value must be empty when `operator` is 'Exists'");
    } else if (!*op || str_eq(op, "Equal")) {
        rules_fmt_label_value(&m, value);
        if (m.n)
            rules_invalid_s(c, AT(p, "operator"), value, rules_msgs_join(&m, ";"));
    } else {
        rules_unsupported(c, AT(p, "operator"), op, operators);
    }
    rules_check_enum(c, AT(p, "effect"), effect, effects, false);
}

void rules_tolerations(struct causes *c, const struct rules_path *p, const struct json *list)
{
    struct json *t;

    json_each(t, list)
        check_toleration(c, IDX(p, t_i), t);
}

static void check_policy(struct causes *c, const struct rules_path *p, const struct json *v,
                         const char *field)
{
    static const char *const policies[] = { "Honor", "Ignore", NULL };

    rules_check_enum(c, AT(p, field), rules_str(v, field), policies, false);
}

static void check_min_domains(struct causes *c, const struct rules_path *p, const struct json *v,
                              const char *when)
{
    int64_t n = json_get_int(v, "minDomains", 0);

    if (!json_get(v, "minDomains"))
        return;
    if (n <= 0)
        rules_invalid_i(c, AT(p, "minDomains"), n, "must be greater than zero");
    if (!str_eq(when, "DoNotSchedule"))
        rules_invalid(c, AT(p, "minDomains"), json_get(v, "minDomains"),
                      "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not %s", when);
}

static void check_constraint(struct causes *c, const struct rules_path *p, const struct json *v)
{
    static const char *const whens[] = { "DoNotSchedule", "ScheduleAnyway", NULL };
    const char *key = rules_str(v, "topologyKey"), *when = rules_str(v, "whenUnsatisfiable");
    int64_t skew = json_get_int(v, "maxSkew", 0);
    const struct json *selector = json_get(v, "labelSelector");
    struct json *name;

    if (skew <= 0)
        rules_invalid_i(c, AT(p, "maxSkew"), skew, "must be greater than zero");
    if (!*key)
        rules_required(c, AT(p, "topologyKey"), "can not be empty");
    else
        rules_check_format(c, AT(p, "topologyKey"), rules_fmt_qualified, key);
    if (!rules_in(when, whens))
        rules_unsupported(c, AT(p, "whenUnsatisfiable"), when, whens);
    check_min_domains(c, p, v, when);
    check_policy(c, p, v, "nodeAffinityPolicy");
    check_policy(c, p, v, "nodeTaintsPolicy");
    check_keys(c, AT(p, "matchLabelKeys"), json_get(v, "matchLabelKeys"), selector);
    json_each(name, selector ? json_get(v, "matchLabelKeys") : NULL)
        if (json_text(name) && selector_has(selector, name->s, false))
            rules_invalid(c, IDX(AT(p, "matchLabelKeys"), name_i), name,
                          "exists in both matchLabelKeys and labelSelector");
    rules_check_selector(c, AT(p, "labelSelector"), selector);
}

void rules_spread(struct causes *c, const struct rules_path *p, const struct json *list)
{
    struct json *seen = json_object(c->a), *v;

    json_each(v, list) {
        const char *pair = arena_printf(c->a, "{%s, %s}", rules_str(v, "topologyKey"),
                                        rules_str(v, "whenUnsatisfiable"));

        check_constraint(c, IDX(p, v_i), v);
        if (rules_seen(seen, c->a, pair))
            rules_duplicate(c, AT(IDX(p, v_i), "{topologyKey, whenUnsatisfiable}"),
                            json_str(c->a, pair));
    }
}
