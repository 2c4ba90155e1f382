/* sched_match.c: labels of nodes and pods against selectors, tolerations against taints. */
#include "core/sched/sched_impl.h"

static bool among(const char *value, const char *const *values, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (str_eq(value, values[i]))
            return true;
    }
    return false;
}

/* One requirement on a value that may be NULL: there is none. */
static bool match_value(const char *op, const char *value, const char *const *values, unsigned n)
{
    int64_t have, want;

    if (str_eq(op, "In"))
        return value && among(value, values, n);
    if (str_eq(op, "NotIn"))
        return !value || !among(value, values, n);
    if (str_eq(op, "Exists"))
        return value != NULL;
    if (str_eq(op, "DoesNotExist"))
        return value == NULL;
    if (!value || n != 1 || str_to_i64(value, INT64_MIN, INT64_MAX, &have, NULL) < 0 ||
        str_to_i64(values[0], INT64_MIN, INT64_MAX, &want, NULL) < 0)
        return false;
    return str_eq(op, "Gt") ? have > want : str_eq(op, "Lt") ? have < want : false;
}

bool sched_match_labels(const struct label_selector_view *sel, const struct object *o)
{
    if (!sel)
        return false;
    for (unsigned i = 0; i < sel->match_labels.n; i++) {
        if (!str_eq(object_label(o, sel->match_labels.v[i].key), sel->match_labels.v[i].value))
            return false;
    }
    for (unsigned i = 0; i < sel->n_match_expressions; i++) {
        const struct label_selector_requirement_view *r = &sel->match_expressions[i];

        if (!match_value(r->operator, object_label(o, r->key), r->values, r->n_values))
            return false;
    }
    return true;
}

bool sched_match_node_term(const struct node_selector_term_view *t, const struct object *node)
{
    if (!t->n_match_expressions && !t->n_match_fields)
        return false;                                    /* an empty term selects nothing */
    for (unsigned i = 0; i < t->n_match_expressions; i++) {
        const struct node_selector_requirement_view *r = &t->match_expressions[i];

        if (!match_value(r->operator, object_label(node, r->key), r->values, r->n_values))
            return false;
    }
    for (unsigned i = 0; i < t->n_match_fields; i++) {
        const struct node_selector_requirement_view *r = &t->match_fields[i];
        const char *value = str_eq(r->key, "metadata.name") ? object_name(node) : NULL;

        if (!match_value(r->operator, value, r->values, r->n_values))
            return false;
    }
    return true;
}

bool sched_match_node_affinity(const struct pod_view *p, const struct object *node)
{
    const struct node_affinity_view *na = p->spec.affinity ? p->spec.affinity->node_affinity : NULL;
    const struct node_selector_view *need =
        na ? na->required_during_scheduling_ignored_during_execution : NULL;

    for (unsigned i = 0; i < p->spec.node_selector.n; i++) {
        const struct view_pair *pair = &p->spec.node_selector.v[i];

        if (!str_eq(object_label(node, pair->key), pair->value))
            return false;
    }
    if (!need)
        return true;
    for (unsigned i = 0; i < need->n_node_selector_terms; i++) {
        if (sched_match_node_term(&need->node_selector_terms[i], node))
            return true;
    }
    return false;
}

static bool tolerates(const struct toleration_view *t, const struct taint_view *taint)
{
    int64_t have, want;

    if (*t->effect && !str_eq(t->effect, taint->effect))
        return false;
    if (*t->key && !str_eq(t->key, taint->key))
        return false;
    if (str_eq(t->operator, "Exists"))
        return true;
    if (!*t->operator || str_eq(t->operator, "Equal"))
        return str_eq(t->value, taint->value);
    if (str_to_i64(t->value, INT64_MIN, INT64_MAX, &want, NULL) < 0 ||
        str_to_i64(taint->value, INT64_MIN, INT64_MAX, &have, NULL) < 0)
        return false;
    return str_eq(t->operator, "Gt") ? have > want : str_eq(t->operator, "Lt") && have < want;
}

bool sched_match_tolerates(const struct pod_view *p, const struct taint_view *t)
{
    for (unsigned i = 0; i < p->spec.n_tolerations; i++) {
        if (tolerates(&p->spec.tolerations[i], t))
            return true;
    }
    return false;
}

bool sched_match_taints(const struct pod_view *p, const struct node_view *n)
{
    for (unsigned i = 0; i < n->spec.n_taints; i++) {
        const struct taint_view *t = &n->spec.taints[i];

        if (!str_eq(t->effect, "PreferNoSchedule") && !sched_match_tolerates(p, t))
            return false;
    }
    return true;
}
