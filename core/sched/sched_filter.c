/* sched_filter.c: which nodes a pod may run on: a table of rules, the first refusal counts. */
#include "core/sched/sched_cycle.h"

#define TAINT_UNSCHEDULABLE "node.kubernetes.io/unschedulable"

static enum sched_fit refuse(struct sched_cycle *c, enum sched_fit fit, const char *why)
{
    sched_cycle_why(c, why);
    return fit;
}

static enum sched_fit unschedulable_fits(struct sched_cycle *c, struct sched_node *n)
{
    static const struct taint_view taint = {
        .key = TAINT_UNSCHEDULABLE, .value = "", .effect = "NoSchedule",
    };

    if (!sched_node_view(n)->spec.unschedulable || sched_match_tolerates(c->v, &taint))
        return SCHED_FIT;
    return refuse(c, SCHED_NEVER, "node(s) were unschedulable");
}

static enum sched_fit name_fits(struct sched_cycle *c, struct sched_node *n)
{
    if (!*c->v->spec.node_name || str_eq(c->v->spec.node_name, n->name))
        return SCHED_FIT;
    return refuse(c, SCHED_NEVER, "node(s) didn't match the requested node name");
}

static enum sched_fit taints_fit(struct sched_cycle *c, struct sched_node *n)
{
    if (sched_match_taints(c->v, sched_node_view(n)))
        return SCHED_FIT;
    return refuse(c, SCHED_NEVER, "node(s) had untolerated taint(s)");
}

static enum sched_fit affinity_fits(struct sched_cycle *c, struct sched_node *n)
{
    if (sched_match_node_affinity(c->v, n->object))
        return SCHED_FIT;
    return refuse(c, SCHED_NEVER, "node(s) didn't match Pod's node affinity/selector");
}

/* The same port of the same protocol, on one address or on all of them. */
static bool ports_clash(const struct sched_port *a, const struct sched_port *b)
{
    return a->port == b->port && str_eq(a->protocol, b->protocol) &&
           (str_eq(a->ip, b->ip) || str_eq(a->ip, "0.0.0.0") || str_eq(b->ip, "0.0.0.0"));
}

static enum sched_fit ports_fit(struct sched_cycle *c, struct sched_node *n)
{
    for (size_t i = 0; i < c->pod->ports.len; i++) {
        for (size_t k = 0; k < n->ports.len; k++) {
            if (ports_clash(&c->pod->ports.v[i], &n->ports.v[k]))
                return refuse(c, SCHED_NO,
                              "node(s) didn't have free ports for the requested pod ports");
        }
    }
    return SCHED_FIT;
}

/* Adds to *fit: more than is free; more than there is. */
static void need(struct sched_cycle *c, const int64_t amounts[3], const char *why,
                 enum sched_fit *fit)
{
    int64_t ask = amounts[0], has = amounts[1], used = amounts[2];

    if (ask <= 0 || ask <= has - used)
        return;
    sched_cycle_why(c, why);
    if (ask > has)
        *fit = SCHED_NEVER;
    else if (*fit == SCHED_FIT)
        *fit = SCHED_NO;
}

static enum sched_fit resources_fit(struct sched_cycle *c, struct sched_node *n)
{
    const struct sched_amounts *ask = &c->pod->ask, *has = &n->has, *used = &n->used;
    enum sched_fit fit = SCHED_FIT;

    if ((int64_t)n->pods.len + 1 > n->pods_max) {
        sched_cycle_why(c, "Too many pods");
        fit = SCHED_NO;
    }
    need(c, (int64_t[]){ ask->cpu_m, has->cpu_m, used->cpu_m }, "Insufficient cpu", &fit);
    need(c, (int64_t[]){ ask->memory, has->memory, used->memory }, "Insufficient memory", &fit);
    need(c, (int64_t[]){ ask->storage, has->storage, used->storage },
         "Insufficient ephemeral-storage", &fit);
    for (size_t i = 0; i < ask->extended.len; i++) {
        unsigned id = ask->extended.v[i].id;

        need(c, (int64_t[]){ ask->extended.v[i].v, sched_pod_amount(has, id),
                             sched_pod_amount(used, id) },
             c->s->extended.v[id].insufficient, &fit);
    }
    return fit;
}

const struct sched_filter sched_filter_table[] = {
    { "NodeUnschedulable", NULL, unschedulable_fits, SCHED_ON_NODE_ADD | SCHED_ON_NODE_TAINT },
    { "NodeName", NULL, name_fits, SCHED_ON_NODE_ADD },
    { "TaintToleration", NULL, taints_fit, SCHED_ON_NODE_ADD | SCHED_ON_NODE_TAINT },
    { "NodeAffinity", NULL, affinity_fits, SCHED_ON_NODE_ADD | SCHED_ON_NODE_LABEL },
    { "NodePorts", NULL, ports_fit, SCHED_ON_NODE_ADD | SCHED_ON_POD_GONE },
    { "NodeResourcesFit", NULL, resources_fit,
      SCHED_ON_NODE_ADD | SCHED_ON_NODE_SIZE | SCHED_ON_POD_GONE },
    { "PodTopologySpread", sched_spread_filter_prepare, sched_spread_filter,
      SCHED_ON_NODE_ADD | SCHED_ON_NODE_GONE | SCHED_ON_NODE_LABEL | SCHED_ON_NODE_TAINT |
      SCHED_ON_POD_ADD | SCHED_ON_POD_GONE },
    { "InterPodAffinity", sched_inter_filter_prepare, sched_inter_filter,
      SCHED_ON_NODE_ADD | SCHED_ON_NODE_LABEL | SCHED_ON_POD_ADD | SCHED_ON_POD_GONE },
};
const unsigned sched_filter_count = ARRAY_LEN(sched_filter_table);

void sched_filter_prepare(struct sched_cycle *c)
{
    for (unsigned i = 0; i < sched_filter_count; i++) {
        if (sched_filter_table[i].prepare)
            sched_filter_table[i].prepare(c);
    }
}

enum sched_fit sched_filter_node(struct sched_cycle *c, struct sched_node *n, unsigned *wakes)
{
    c->n_why = 0;
    for (unsigned i = 0; i < sched_filter_count; i++) {
        enum sched_fit fit = sched_filter_table[i].fits(c, n);

        if (fit == SCHED_FIT)
            continue;
        *wakes |= sched_filter_table[i].wakes;
        return fit;
    }
    return SCHED_FIT;
}
