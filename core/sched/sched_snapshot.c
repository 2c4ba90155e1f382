/* sched_snapshot.c: the nodes, what they have, what counts on them; classes of pods; topologies. */
#include "core/sched/sched_cycle.h"
#include "core/object/quantity.h"

#define TOPO_VALUES_SLACK 1024

void sched_snapshot_init(struct sched *s)
{
    s->pods = map_new();
    s->nodes = map_new();
    s->class_by_key = map_new();
    s->images = map_new();
}

/* --- classes */

static void class_key(struct buf *b, const struct object *pod)
{
    const char *key, *value;

    buf_str(b, object_ns(pod));
    buf_str(b, object_is_deleting(pod) ? "\n-" : "\n");
    for (unsigned at = 0; object_next_label(pod, &at, &key, &value);)
        buf_fmt(b, "\n%s=%s", key, value);
    sched_inter_key(b, pod_view(pod));
}

static void class_number(struct sched *s, struct sched_class *c)
{
    if (s->class_holes.len) {
        c->id = s->class_holes.v[--s->class_holes.len];
        s->classes.v[c->id] = c;
        return;
    }
    c->id = (unsigned)s->classes.len;
    vec_push(&s->classes, c);
}

struct sched_class *sched_snapshot_class(struct sched *s, struct object *pod)
{
    const struct affinity_view *af = pod_view(pod)->spec.affinity;
    _cleanup_buf_ struct buf key = BUF_INIT;
    struct sched_class *c;

    class_key(&key, pod);
    c = map_get(s->class_by_key, key.p);
    if (!c) {
        c = NEW(struct sched_class);
        c->key = mem_strdup(key.p);
        c->like = object_ref(pod);
        c->leaving = object_is_deleting(pod);
        c->has_terms = af && (af->pod_affinity || af->pod_anti_affinity);
        c->has_anti = af && af->pod_anti_affinity &&
                      af->pod_anti_affinity->n_required_during_scheduling_ignored_during_execution;
        class_number(s, c);
        map_put(s->class_by_key, c->key, c);
    }
    c->refs++;
    return c;
}

void sched_snapshot_class_drop(struct sched *s, struct sched_class *c)
{
    if (!c || --c->refs)
        return;
    map_del(s->class_by_key, c->key);
    s->classes.v[c->id] = NULL;
    vec_push(&s->class_holes, c->id);
    object_unref(c->like);
    mem_free(c->key);
    mem_free(c);
}

/* --- what counts on a node */

static void count_class(struct sched_node *n, struct sched_class *c, int by)
{
    struct sched_count fresh = { c, 1 };

    if (c->has_terms)
        n->n_terms += (size_t)by;
    if (c->has_anti)
        n->n_anti += (size_t)by;
    for (size_t i = 0; i < n->classes.len; i++) {
        if (n->classes.v[i].class != c)
            continue;
        n->classes.v[i].n += (unsigned)by;
        if (!n->classes.v[i].n)
            n->classes.v[i] = n->classes.v[--n->classes.len];
        return;
    }
    check(by > 0);
    vec_push(&n->classes, fresh);
}

void sched_snapshot_place(struct sched_pod *p, struct sched_node *n)
{
    check(!p->node);
    p->node = n;
    vec_push(&n->pods, p);
    sched_pod_amount_add(&n->used, &p->ask, 1);
    n->full_cpu_m += p->full_cpu_m;
    n->full_memory += p->full_memory;
    count_class(n, p->class, 1);
    for (size_t i = 0; i < p->ports.len; i++)
        vec_push(&n->ports, p->ports.v[i]);
}

static void remove_port(struct sched_node *n, const struct sched_port *port)
{
    for (size_t i = 0; i < n->ports.len; i++) {
        struct sched_port *at = &n->ports.v[i];

        if (at->port != port->port || !str_eq(at->ip, port->ip) ||
            !str_eq(at->protocol, port->protocol))
            continue;
        *at = n->ports.v[--n->ports.len];
        return;
    }
}

static struct sched_node *node_free(struct sched_node *n);

/* A name that pods mention and that no node has. */
void sched_snapshot_tidy(struct sched *s, struct sched_node *n)
{
    if (n->object || n->pods.len || !list_empty(&n->nominated))
        return;
    map_del(s->nodes, n->name);
    node_free(n);
}

void sched_snapshot_unplace(struct sched_pod *p)
{
    struct sched_node *n = p->node;
    size_t at = 0;

    if (!n)
        return;
    while (at < n->pods.len && n->pods.v[at] != p)
        at++;
    check(at < n->pods.len);
    n->pods.v[at] = n->pods.v[--n->pods.len];
    sched_pod_amount_add(&n->used, &p->ask, -1);
    n->full_cpu_m -= p->full_cpu_m;
    n->full_memory -= p->full_memory;
    count_class(n, p->class, -1);
    for (size_t i = 0; i < p->ports.len; i++)
        remove_port(n, &p->ports.v[i]);
    p->node = NULL;
    sched_snapshot_tidy(p->s, n);
}

/* --- images */

static void forget_images(struct sched *s, struct sched_node *n)
{
    for (size_t i = 0; i < n->images.len; i++) {
        struct sched_held *h = &n->images.v[i];

        if (--h->image->nodes == 0)
            mem_free(map_del(s->images, h->name));
        mem_free(h->name);
    }
    n->images.len = 0;
}

static void hold_image(struct sched *s, struct sched_node *n, const char *name, int64_t bytes)
{
    struct sched_held h = { map_get(s->images, name), mem_strdup(name), bytes };

    if (!h.image) {
        h.image = NEW(struct sched_image);
        map_put(s->images, name, h.image);
    }
    h.image->nodes++;
    vec_push(&n->images, h);
}

/* --- nodes */

static struct sched_node *node_free(struct sched_node *n)
{
    check(!n->pods.len);
    vec_deinit(&n->has.extended);
    vec_deinit(&n->used.extended);
    vec_deinit(&n->pods);
    vec_deinit(&n->classes);
    vec_deinit(&n->ports);
    vec_deinit(&n->images);
    vec_deinit(&n->topo);
    object_unref(n->object);
    mem_free(n->name);
    return mem_free(n);
}

struct sched_node *sched_snapshot_find(struct sched *s, const char *name, bool make)
{
    struct sched_node *n = map_get(s->nodes, name);

    if (n || !make)
        return n;
    n = NEW(struct sched_node);
    n->name = mem_strdup(name);
    list_init(&n->nominated);
    map_put(s->nodes, name, n);
    return n;
}

/* What the node says of itself. */
static void node_read(struct sched *s, struct sched_node *n)
{
    const struct node_view *v = sched_node_view(n);
    const char *pods = view_map_get(&v->status.allocatable, "pods");

    n->has.cpu_m = n->has.memory = n->has.storage = 0;
    n->has.extended.len = 0;
    sched_pod_amounts_of(s, &n->has, &v->status.allocatable);
    n->pods_max = 0;
    if (pods)
        quantity_value(pods, &n->pods_max, NULL);
    forget_images(s, n);
    for (unsigned i = 0; i < v->status.n_images; i++) {
        for (unsigned k = 0; k < v->status.images[i].n_names; k++)
            hold_image(s, n, v->status.images[i].names[k], v->status.images[i].size_bytes);
    }
    n->topo.len = 0;
}

static bool same_list(const struct view_map *a, const struct view_map *b)
{
    if (a->n != b->n)
        return false;
    for (unsigned i = 0; i < a->n; i++) {
        if (!str_eq(a->v[i].key, b->v[i].key) || !str_eq(a->v[i].value, b->v[i].value))
            return false;
    }
    return true;
}

static bool same_taints(const struct node_view *a, const struct node_view *b)
{
    if (a->spec.n_taints != b->spec.n_taints || a->spec.unschedulable != b->spec.unschedulable)
        return false;
    for (unsigned i = 0; i < a->spec.n_taints; i++) {
        const struct taint_view *x = &a->spec.taints[i], *y = &b->spec.taints[i];

        if (!str_eq(x->key, y->key) || !str_eq(x->value, y->value) || !str_eq(x->effect, y->effect))
            return false;
    }
    return true;
}

static unsigned node_changes(const struct object *before, const struct object *after)
{
    const struct node_view *a = node_view(before), *b = node_view(after);
    unsigned events = 0;

    if (!same_list(&a->status.allocatable, &b->status.allocatable))
        events |= SCHED_ON_NODE_SIZE;
    if (!same_list(&a->metadata.labels, &b->metadata.labels))
        events |= SCHED_ON_NODE_LABEL;
    if (!same_taints(a, b))
        events |= SCHED_ON_NODE_TAINT;
    return events;
}

void sched_snapshot_node(struct sched *s, struct object *before, struct object *after)
{
    const char *name = object_name(after ? after : before);
    struct sched_node *n = sched_snapshot_find(s, name, after != NULL);
    struct object *old;
    unsigned events;

    if (!n)
        return;
    old = n->object;
    if (!after) {
        n->object = object_unref(n->object);
        forget_images(s, n);
        s->order_stale = true;
        sched_snapshot_tidy(s, n);
        sched_queue_wake(s, SCHED_ON_NODE_GONE);
        return;
    }
    n->object = object_ref(after);
    events = old ? node_changes(old, after) : SCHED_ON_NODE_ADD;
    if (events & (SCHED_ON_NODE_ADD | SCHED_ON_NODE_LABEL))
        s->order_stale = true;
    node_read(s, n);
    object_unref(old);
    sched_queue_wake(s, events);
}

/* --- the order in which nodes are looked at: one of each zone in turn */

struct zone { char *name; VEC(struct sched_node *) nodes; };
struct zones { VEC(struct zone) v; };

static struct zone *zone_of(struct zones *z, struct map *by_name, const struct sched_node *n)
{
    const char *region = object_label(n->object, SCHED_REGION);
    const char *zone = object_label(n->object, SCHED_ZONE);
    char *name = mem_printf("%s:%s", region ? region : "", zone ? zone : "");
    uintptr_t at = (uintptr_t)map_get(by_name, name);
    struct zone fresh = { name, { 0 } };

    if (at) {
        mem_free(name);
        return &z->v.v[at - 1];
    }
    vec_push(&z->v, fresh);
    map_put(by_name, name, (void *)(uintptr_t)z->v.len);
    return &z->v.v[z->v.len - 1];
}

static void interleave(struct sched *s, struct zones *z)
{
    bool more = true;

    for (size_t round = 0; more; round++) {
        more = false;
        for (size_t i = 0; i < z->v.len; i++) {
            if (round >= z->v.v[i].nodes.len)
                continue;
            z->v.v[i].nodes.v[round]->at = s->order.len;
            vec_push(&s->order, z->v.v[i].nodes.v[round]);
            more = true;
        }
    }
}

static void topos_clear(struct sched *s)
{
    const char *key;
    void *value;

    for (size_t i = 0; i < s->topos.len; i++) {
        mem_free(s->topos.v[i].key);
        map_free(s->topos.v[i].values, NULL);
    }
    s->topos.len = 0;
    for (size_t at = 0; map_next(s->nodes, &at, &key, &value);)
        ((struct sched_node *)value)->topo.len = 0;
}

void sched_snapshot_order(struct sched *s)
{
    struct zones z = { 0 };
    struct map *by_name;
    const char *key;
    void *value;

    if (!s->order_stale)
        return;
    s->order_stale = false;
    s->order_round++;
    s->order.len = 0;
    by_name = map_new();
    for (size_t at = 0; map_next(s->nodes, &at, &key, &value);) {
        struct sched_node *n = value;

        if (n->object)
            vec_push(&zone_of(&z, by_name, n)->nodes, n);
    }
    interleave(s, &z);
    for (size_t i = 0; i < z.v.len; i++) {
        vec_deinit(&z.v.v[i].nodes);
        mem_free(z.v.v[i].name);
    }
    vec_deinit(&z.v);
    map_free(by_name, NULL);
    for (size_t i = 0; i < s->topos.len; i++) {          /* values of nodes that left pile up */
        if (s->topos.v[i].n > 2 * s->order.len + TOPO_VALUES_SLACK) {
            topos_clear(s);
            break;
        }
    }
}

/* --- topologies */

static int32_t topo_value(struct sched_topo *t, const char *value)
{
    uintptr_t at;

    if (!value)
        return -1;
    at = (uintptr_t)map_get(t->values, value);
    if (!at) {
        at = ++t->n;
        map_put(t->values, value, (void *)at);
    }
    return (int32_t)at - 1;
}

int32_t sched_snapshot_topo_of(struct sched *s, struct sched_node *n, unsigned topo)
{
    while (n->topo.len <= topo) {
        struct sched_topo *t = &s->topos.v[n->topo.len];
        int32_t value = topo_value(t, object_label(n->object, t->key));

        vec_push(&n->topo, value);
    }
    return n->topo.v[topo];
}

static unsigned topo_find(struct sched *s, const char *key)
{
    struct sched_topo fresh;

    for (unsigned i = 0; i < s->topos.len; i++) {
        if (str_eq(s->topos.v[i].key, key))
            return i;
    }
    fresh = (struct sched_topo){ mem_strdup(key), map_new(), 0, 0 };
    vec_push(&s->topos, fresh);
    return (unsigned)s->topos.len - 1;
}

unsigned sched_snapshot_topo(struct sched *s, const char *key)
{
    unsigned topo = topo_find(s, key);

    if (s->topos.v[topo].numbered == s->order_round)
        return topo;
    s->topos.v[topo].numbered = s->order_round;
    for (size_t i = 0; i < s->order.len; i++)
        sched_snapshot_topo_of(s, s->order.v[i], topo);
    return topo;
}

void sched_snapshot_deinit(struct sched *s)
{
    const char *key;
    void *value;

    topos_clear(s);
    for (size_t at = 0; map_next(s->pods, &at, &key, &value);) {
        sched_snapshot_unplace(value);
        sched_pod_free(value);
    }
    s->pods = map_free(s->pods, NULL);
    for (size_t at = 0; map_next(s->nodes, &at, &key, &value);) {
        forget_images(s, value);
        node_free(value);
    }
    s->nodes = map_free(s->nodes, NULL);
    s->images = map_free(s->images, NULL);                /* empty: each went with its last node */
    for (size_t i = 0; i < s->extended.len; i++) {
        mem_free(s->extended.v[i].name);
        mem_free(s->extended.v[i].insufficient);
    }
    vec_deinit(&s->extended);
    vec_deinit(&s->topos);
    vec_deinit(&s->order);
    vec_deinit(&s->classes);
    vec_deinit(&s->class_holes);
    s->class_by_key = map_free(s->class_by_key, NULL);
}
