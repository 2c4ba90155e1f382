/* sched_pod.c: what one pod asks for: amounts, host ports, its class. */
#include "core/object/quantity.h"
#include "core/sched/sched_cycle.h"

/* --- amounts */

static unsigned extended_id(struct sched *s, const char *name)
{
    struct sched_extended e;

    for (unsigned i = 0; i < s->extended.len; i++) {
        if (str_eq(s->extended.v[i].name, name))
            return i;
    }
    e = (struct sched_extended){ mem_strdup(name), mem_printf("Insufficient %s", name) };
    vec_push(&s->extended, e);
    return (unsigned)s->extended.len - 1;
}

static int64_t *extended_at(struct sched_amounts *a, unsigned id)
{
    struct sched_amount fresh = { id, 0 };

    for (size_t i = 0; i < a->extended.len; i++) {
        if (a->extended.v[i].id == id)
            return &a->extended.v[i].v;
    }
    vec_push(&a->extended, fresh);
    return &a->extended.v[a->extended.len - 1].v;
}

int64_t sched_pod_amount(const struct sched_amounts *a, unsigned id)
{
    for (size_t i = 0; i < a->extended.len; i++) {
        if (a->extended.v[i].id == id)
            return a->extended.v[i].v;
    }
    return 0;
}

void sched_pod_amount_add(struct sched_amounts *a, const struct sched_amounts *b, int sign)
{
    a->cpu_m += sign * b->cpu_m;
    a->memory += sign * b->memory;
    a->storage += sign * b->storage;
    for (size_t i = 0; i < b->extended.len; i++)
        *extended_at(a, b->extended.v[i].id) += sign * b->extended.v[i].v;
}

static void amounts_max(struct sched_amounts *a, const struct sched_amounts *b)
{
    a->cpu_m = a->cpu_m > b->cpu_m ? a->cpu_m : b->cpu_m;
    a->memory = a->memory > b->memory ? a->memory : b->memory;
    a->storage = a->storage > b->storage ? a->storage : b->storage;
    for (size_t i = 0; i < b->extended.len; i++) {
        int64_t *v = extended_at(a, b->extended.v[i].id);

        *v = *v > b->extended.v[i].v ? *v : b->extended.v[i].v;
    }
}

static void amounts_deinit(struct sched_amounts *a)
{
    vec_deinit(&a->extended);
}

/* One entry of a resource list, set. "pods" is no amount of a pod and is left to the node. */
static void amount_set(struct sched *s, struct sched_amounts *out, const struct view_pair *pair)
{
    int64_t v;

    if (str_eq(pair->key, "cpu")) {
        if (quantity_milli(pair->value, &v, NULL) == 0)
            out->cpu_m = v;
        return;
    }
    if (str_eq(pair->key, "pods") || quantity_value(pair->value, &v, NULL) < 0)
        return;
    if (str_eq(pair->key, "memory"))
        out->memory = v;
    else if (str_eq(pair->key, "ephemeral-storage"))
        out->storage = v;
    else
        *extended_at(out, extended_id(s, pair->key)) = v;
}

void sched_pod_amounts_of(struct sched *s, struct sched_amounts *out, const struct view_map *list)
{
    for (unsigned i = 0; i < list->n; i++)
        amount_set(s, out, &list->v[i]);
}

/* --- requests */

static const struct container_status_view *status_of(const struct pod_view *v, const char *name)
{
    for (unsigned i = 0; i < v->status.n_container_statuses; i++) {
        if (str_eq(v->status.container_statuses[i].name, name))
            return &v->status.container_statuses[i];
    }
    for (unsigned i = 0; i < v->status.n_init_container_statuses; i++) {
        if (str_eq(v->status.init_container_statuses[i].name, name))
            return &v->status.init_container_statuses[i];
    }
    return NULL;
}

/* Of one container: the larger of what it asks for and what was given to it before a resize.
 * `full`: what it does not ask for counts as a little. */
static void container_amounts(struct sched *s, const struct pod_view *v,
                              const struct container_view *c, bool full, struct sched_amounts *out)
{
    const struct container_status_view *st = status_of(v, c->name);
    struct sched_amounts given = { 0 };

    sched_pod_amounts_of(s, out, &c->resources.requests);
    if (st && st->allocated_resources.n) {
        sched_pod_amounts_of(s, &given, &st->allocated_resources);
        amounts_max(out, &given);
        amounts_deinit(&given);
    }
    if (full && !view_map_get(&c->resources.requests, "cpu"))
        out->cpu_m = SCHED_CPU_DEFAULT_M;
    if (full && !view_map_get(&c->resources.requests, "memory"))
        out->memory = SCHED_MEMORY_DEFAULT;
}

/* Init containers run before the others, one by one, beside the sidecars started before them. */
static void init_amounts(struct sched *s, const struct pod_view *v, bool full,
                         struct sched_amounts *total)
{
    struct sched_amounts sidecars = { 0 }, peak = { 0 };

    for (unsigned i = 0; i < v->spec.n_init_containers; i++) {
        const struct container_view *c = &v->spec.init_containers[i];
        struct sched_amounts one = { 0 };

        container_amounts(s, v, c, full, &one);
        if (str_eq(c->restart_policy, "Always")) {
            sched_pod_amount_add(total, &one, 1);
            sched_pod_amount_add(&sidecars, &one, 1);
            amounts_max(&peak, &sidecars);
        } else {
            sched_pod_amount_add(&one, &sidecars, 1);
            amounts_max(&peak, &one);
        }
        amounts_deinit(&one);
    }
    amounts_max(total, &peak);
    amounts_deinit(&sidecars);
    amounts_deinit(&peak);
}

static void pod_amounts(struct sched *s, const struct pod_view *v, bool full,
                        struct sched_amounts *out)
{
    struct sched_amounts overhead = { 0 };

    for (unsigned i = 0; i < v->spec.n_containers; i++) {
        struct sched_amounts one = { 0 };

        container_amounts(s, v, &v->spec.containers[i], full, &one);
        sched_pod_amount_add(out, &one, 1);
        amounts_deinit(&one);
    }
    init_amounts(s, v, full, out);
    for (unsigned i = 0; v->spec.resources && i < v->spec.resources->requests.n; i++) {
        const struct view_pair *pair = &v->spec.resources->requests.v[i];

        if (str_eq(pair->key, "cpu") || str_eq(pair->key, "memory") ||
            str_starts(pair->key, "hugepages-"))
            amount_set(s, out, pair);                    /* of the pod as a whole */
    }
    sched_pod_amounts_of(s, &overhead, &v->spec.overhead);
    sched_pod_amount_add(out, &overhead, 1);
    amounts_deinit(&overhead);
}

/* --- host ports */

static void add_ports(struct sched_pod *p, const struct container_view *c)
{
    for (unsigned i = 0; i < c->n_ports; i++) {
        const struct container_port_view *v = &c->ports[i];
        struct sched_port port = { v->host_ip, v->protocol, v->host_port };

        if (port.port <= 0)
            continue;
        port.ip = str_empty(port.ip) ? "0.0.0.0" : port.ip;
        port.protocol = str_empty(port.protocol) ? "TCP" : port.protocol;
        vec_push(&p->ports, port);
    }
}

void sched_pod_describe(struct sched_pod *p)
{
    const struct pod_view *v = sched_pod_view(p);
    struct sched_amounts full = { 0 };
    struct sched_class *old = p->class;

    amounts_deinit(&p->ask);
    p->ask = (struct sched_amounts){ 0 };
    pod_amounts(p->s, v, false, &p->ask);
    pod_amounts(p->s, v, true, &full);
    p->full_cpu_m = full.cpu_m;
    p->full_memory = full.memory;
    amounts_deinit(&full);
    p->ports.len = 0;
    for (unsigned i = 0; i < v->spec.n_containers; i++)
        add_ports(p, &v->spec.containers[i]);
    for (unsigned i = 0; i < v->spec.n_init_containers; i++) {
        if (str_eq(v->spec.init_containers[i].restart_policy, "Always"))
            add_ports(p, &v->spec.init_containers[i]);
    }
    p->class = sched_snapshot_class(p->s, p->object);
    sched_snapshot_class_drop(p->s, old);
}

struct sched_pod *sched_pod_free(struct sched_pod *p)
{
    if (!p)
        return NULL;
    check(!p->node);
    sched_queue_remove(p);
    sched_preempt_nominate(p, NULL);
    sched_snapshot_class_drop(p->s, p->class);
    amounts_deinit(&p->ask);
    vec_deinit(&p->ports);
    mem_free(p->event);
    mem_free(p->event_text);
    object_unref(p->object);
    return mem_free(p);
}

bool sched_pod_terminal(const struct object *o)
{
    const char *phase = pod_view(o)->status.phase;

    return str_eq(phase, "Succeeded") || str_eq(phase, "Failed");
}
