/* sim_truth.c -- what the store published, object by object, and what must hold at each change.
 *
 * After a restart of the role the store must hold all of it again. What the role was writing when
 * it died may be there or not; volatile kinds may be as they were at their last flush.
 */
#include "tests/sim/sim_impl.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/object/quantity.h"
#include "gen/views.h"
#include "store/watch/watch.h"

/* --- looking */

struct object *sim_get(struct sim *s, const struct kind *kind, const char *ns, const char *name)
{
    char key[OBJECT_KEY_BYTES];

    object_key_of(key, kind->namespaced ? ns : "", name ? name : "");
    return map_get(s->objects[kind->storage->id], key);
}

struct object *sim_next(struct sim *s, const struct kind *kind, size_t *at)
{
    const char *key;
    void *value;

    return map_next(s->objects[kind->storage->id], at, &key, &value) ? value : NULL;
}

size_t sim_count(struct sim *s, const struct kind *kind)
{
    return map_len(s->objects[kind->storage->id]);
}

const struct kind *sim_kind_of(const char *key, const char **name)
{
    for (unsigned i = 0; i < kind_count(); i++) {
        const struct kind *k = kind_by_id(i);
        size_t len = k->storage == k && k->storage_prefix ? strlen(k->storage_prefix) : 0;
        const char *slash;

        if (!len || strncmp(key, k->storage_prefix, len) != 0 || key[len] != '/')
            continue;
        slash = strchr(key + len + 1, '/');
        if (k->namespaced != (slash != NULL) || (slash && strchr(slash + 1, '/')))
            continue;
        *name = key + len + 1;
        return k;
    }
    return NULL;
}

struct sim_node *sim_node_of(struct sim *s, const char *name)
{
    for (unsigned i = 0; !str_empty(name) && i < s->n_nodes; i++)
        if (str_eq(s->nodes[i].name, name))
            return &s->nodes[i];
    return NULL;
}

bool sim_is_active(const struct object *pod)
{
    const char *phase = pod_view(pod)->status.phase;

    return !object_is_deleting(pod) && !str_eq(phase, "Failed") && !str_eq(phase, "Succeeded");
}

bool sim_is_ready(const struct object *pod)
{
    const struct pod_status_view *v = &pod_view(pod)->status;

    for (unsigned i = 0; i < v->n_conditions; i++)
        if (str_eq(v->conditions[i].type, "Ready"))
            return str_eq(v->conditions[i].status, "True");
    return false;
}

/* --- names, uids, addresses */

static void check_uid(struct sim *s, const struct object *before, const struct object *now)
{
    if (before && now && !str_eq(object_uid(before), object_uid(now)))
        sim_break(s, "%s %s has another uid without having gone", object_kind(now)->resource,
                  object_name(now));
    /* a volatile object may come back: its deletion was not yet on the disk */
    if (!before && now && map_put(s->uids, object_uid(now), s) && !object_kind(now)->volatile_class)
        sim_break(s, "%s %s has a uid that was there before", object_kind(now)->resource,
                  object_name(now));
}

static void release(struct sim *s, const char *address, const char *who)
{
    const char *holder = str_empty(address) ? NULL : map_get(s->addresses, address);

    if (holder && str_eq(holder, who))
        mem_free(map_del(s->addresses, address));
}

static void take(struct sim *s, const char *address, const char *who)
{
    const char *holder = str_empty(address) ? NULL : map_get(s->addresses, address);

    if (holder && !str_eq(holder, who))
        sim_break(s, "%s and %s both have %s", holder, who, address);
    if (!holder && !str_empty(address))
        map_put(s->addresses, address, mem_strdup(who));
}

typedef void (*each_address)(struct sim *s, const char *address, const char *who);

static void addresses(struct sim *s, const struct object *o, each_address fn)
{
    char who[OBJECT_KEY_BYTES + 32], port[24];

    snprintf(who, sizeof(who), "%s %s", object_kind(o)->resource, object_name(o));
    if (object_kind(o) == kind_node())
        fn(s, node_view(o)->spec.pod_cidr, who);
    if (object_kind(o) != kind_service())
        return;
    if (!str_eq(service_view(o)->spec.cluster_ip, "None"))
        fn(s, service_view(o)->spec.cluster_ip, who);
    for (unsigned i = 0; i < service_view(o)->spec.n_ports; i++) {
        snprintf(port, sizeof(port), "port %" PRId64,
                 (int64_t)service_view(o)->spec.ports[i].node_port);
        if (service_view(o)->spec.ports[i].node_port)
            fn(s, port, who);
    }
}

/* --- pods */

static struct sim_set *set_of(struct sim *s, const struct object *pod)
{
    const struct object_owner *o = pod ? object_controller(pod) : NULL;

    return o ? map_get(s->sets, o->uid) : NULL;
}

/* No set gets more pods than it was ever asked for. */
static void count_pod(struct sim *s, const struct object *before, const struct object *now)
{
    struct sim_set *was = set_of(s, before), *is = set_of(s, now);

    if (was && sim_is_active(before))
        was->active--;
    if (!is || !sim_is_active(now))
        return;
    is->active++;
    if (is->active > is->most + s->lost_creates)
        sim_break(s, "a pod too many: %s, of %u, where at most %" PRId64 " were asked for",
                  object_name(now), is->active, is->most);
}

static int64_t milli_of(const struct object *pod)
{
    const struct pod_spec_view *spec = &pod_view(pod)->spec;
    int64_t sum = 0;

    for (unsigned i = 0; i < spec->n_containers; i++) {
        const char *cpu = view_map_get(&spec->containers[i].resources.requests, "cpu");
        int64_t milli;

        if (cpu && quantity_milli(cpu, &milli, NULL) == 0)
            sum += milli;
    }
    return sum;
}

static bool is_over(const struct object *pod)
{
    const char *phase = pod_view(pod)->status.phase;

    return str_eq(phase, "Failed") || str_eq(phase, "Succeeded");
}

static void charge(struct sim *s, const struct object *pod, int sign)
{
    struct sim_node *n = pod && !is_over(pod) ? sim_node_of(s, pod_view(pod)->spec.node_name)
        : NULL;

    if (!n)
        return;
    n->milli += sign * milli_of(pod);
    n->bound += sign;
}

static void check_fit(struct sim *s, const struct object *pod)
{
    struct sim_node *n = sim_node_of(s, pod_view(pod)->spec.node_name);
    const char *disk = view_map_get(&pod_view(pod)->spec.node_selector, "disk");

    if (!n) {
        sim_break(s, "pod %s is bound to %s, which never was", object_name(pod),
                  pod_view(pod)->spec.node_name);
        return;
    }
    if (disk && (n - s->nodes) % 2)
        sim_break(s, "pod %s wants disk=%s and is bound to %s", object_name(pod), disk, n->name);
    if (n->cordoned && sim_now_ms(s) - n->cordon_ms > SIM_CALM_MS && sim_is_calm(s))
        sim_break(s, "pod %s is bound to %s, which is cordoned", object_name(pod), n->name);
    if (n->bound > s->node_pods || n->milli > s->node_milli)
        sim_break(s, "node %s is over-committed: %d pods, %" PRId64 "m CPU, with %s", n->name,
                  n->bound, n->milli, object_name(pod));
}

static void check_binding(struct sim *s, const struct object *before, const struct object *now)
{
    const char *was, *is = now ? pod_view(now)->spec.node_name : NULL;

    charge(s, before, -1);
    charge(s, now, 1);
    if (!now)
        return;
    was = map_get(s->bound, object_uid(now));
    if (was && !str_eq(was, is))
        sim_break(s, "pod %s moved from %s to %s", object_name(now), was,
                  str_empty(is) ? "none" : is);
    if (was || str_empty(is))
        return;
    map_put(s->bound, object_uid(now), mem_strdup(is));
    check_fit(s, now);
}

/* --- apps: how many pods of a roll-out are ready at least */

static struct sim_app *app_named(struct sim *s, const char *app)
{
    return app && app[0] == 'd' && app[1] >= '0' && app[1] < '0' + SIM_APPS ? &s->apps[app[1] - '0']
                                                                           : NULL;
}

static struct sim_app *app_of(struct sim *s, const struct object *o)
{
    return app_named(s, object_kind(o) == kind_deployment() ? object_name(o)
                                                            : object_label(o, "app"));
}

/* The least, or the most, that the Deployment asked for lately. */
static int64_t bound_of(struct sim *s, const struct sim_app *app, bool most)
{
    int64_t best = app->sizes.len ? app->sizes.v[app->sizes.len - 1].replicas : 0;

    for (size_t i = app->sizes.len; i-- > 0;) {
        int64_t n = app->sizes.v[i].replicas;

        best = most == (n > best) ? n : best;
        if (sim_now_ms(s) - app->sizes.v[i].at_ms > SIM_WINDOW_MS)
            break;                       /* this one still held when the window began */
    }
    return best;
}

static unsigned ready_pods(struct sim *s, const struct sim_app *app)
{
    struct object *pod;
    unsigned n = 0;

    for (size_t at = 0; (pod = sim_next(s, kind_pod(), &at));)
        n += app_of(s, pod) == app && sim_is_active(pod) && sim_is_ready(pod);
    return n;
}

/* A ready pod goes. Either there was trouble, or a controller took it, which must leave enough. */
static void check_available(struct sim *s, const struct object *before, const struct object *now)
{
    struct sim_app *app = app_of(s, before);
    const struct sim_door *by;
    int64_t least;

    if (!app || !sim_is_active(before) || !sim_is_ready(before))
        return;
    if (now && sim_is_active(now) && sim_is_ready(now) && app_of(s, now) == app)
        return;
    by = sim_net_actor(s, CLIENT_DELETE, before);
    if (!by || by->who != SIM_CONTROL || !sim_is_calm(s)) {
        app->hurt_ms = sim_now_ms(s);
        return;
    }
    if (app - s->apps == 2 || !app->exists || sim_now_ms(s) - app->hurt_ms < SIM_CALM_MS)
        return;                          /* d2 is recreated, not rolled */
    least = bound_of(s, app, false);
    least -= least / 4;                  /* maxUnavailable is 25%, rounded down */
    if (ready_pods(s, app) < least)
        sim_break(s, "%s of d%d was deleted: %u ready pods are left, fewer than %" PRId64,
                  object_name(before), (int)(app - s->apps), ready_pods(s, app), least);
}

/* The uid of the Deployment that the pod's set belongs to; "" without one. */
static const char *deployment_of(struct sim *s, const struct object *pod)
{
    const struct object_owner *set = object_controller(pod), *owner;
    struct object *rs = set ? sim_get(s, kind_replica_set(), object_ns(pod), set->name) : NULL;

    owner = rs && str_eq(object_uid(rs), set->uid) ? object_controller(rs) : NULL;
    return owner ? owner->uid : "";
}

/* d2 is recreated: its new pods come when no old one is left. Those of a d2 that was deleted
 * before are none of its own. */
static void check_recreate(struct sim *s, const struct object *pod)
{
    const char *hash = object_label(pod, "pod-template-hash"), *owner = deployment_of(s, pod);
    struct object *o;

    if (app_of(s, pod) != &s->apps[2])
        return;
    for (size_t at = 0; (o = sim_next(s, kind_pod(), &at));)
        if (app_of(s, o) == &s->apps[2] && sim_is_active(o) &&
            !str_eq(object_label(o, "pod-template-hash"), hash) &&
            str_eq(deployment_of(s, o), owner))
            sim_break(s, "%s comes while the older %s runs", object_name(pod), object_name(o));
}

static void on_pod(struct sim *s, const struct object *before, const struct object *now)
{
    if (!before)
        check_recreate(s, now);
    count_pod(s, before, now);
    check_binding(s, before, now);
    if (before)
        check_available(s, before, now);
}

/* --- sets and Deployments */

static int64_t replicas_of(const struct object *rs)
{
    return replica_set_view(rs)->spec.has_replicas ? replica_set_view(rs)->spec.replicas : 1;
}

/* Of all sets with the same owner. */
static int64_t sum_of(struct sim *s, const struct object *one)
{
    const struct object_owner *owner = object_controller(one), *o;
    struct object *rs;
    int64_t sum = 0;

    for (size_t at = 0; owner && (rs = sim_next(s, kind_replica_set(), &at));) {
        o = object_controller(rs);
        if (o && str_eq(o->uid, owner->uid) && !object_is_deleting(rs))
            sum += replicas_of(rs);
    }
    return sum;
}

static void on_set(struct sim *s, const struct object *before, const struct object *now)
{
    struct sim_app *app;
    struct sim_set *set;
    int64_t most, n;

    if (!now)
        return;
    set = map_get(s->sets, object_uid(now));
    if (!set) {
        set = NEW(struct sim_set);
        map_put(s->sets, object_uid(now), set);
    }
    n = replicas_of(now);
    set->most = n > set->most ? n : set->most;
    app = app_of(s, now);
    if (!app || n <= (before ? replicas_of(before) : 0))
        return;
    most = bound_of(s, app, true);
    if (app - s->apps != 2)
        most += (most + 3) / 4;          /* maxSurge is 25%, rounded up */
    if (sum_of(s, now) > most)
        sim_break(s, "%s grows to %" PRId64 ": its Deployment has %" PRId64 " pods, at most %"
                  PRId64, object_name(now), n, sum_of(s, now), most);
}

static void on_deployment(struct sim *s, const struct object *now)
{
    struct sim_app *app = now ? app_of(s, now) : NULL;
    const char *text = now ? object_annotation(now, "deployment.kubernetes.io/revision") : NULL;
    struct sim_size size = { .at_ms = sim_now_ms(s) };
    int64_t n;

    if (!app)
        return;
    size.replicas = deployment_view(now)->spec.has_replicas ? deployment_view(now)->spec.replicas
        : 1;
    if (!app->sizes.len || app->sizes.v[app->sizes.len - 1].replicas != size.replicas)
        vec_push(&app->sizes, size);
    if (!text || str_to_i64(text, 0, INT64_MAX, &n, NULL) < 0 || !app->exists)
        return;
    if (n < app->revision)
        sim_break(s, "revision of %s went from %" PRId64 " to %" PRId64, object_name(now),
                  app->revision, n);
    app->revision = n;
}

/* --- a change */

static int node_index(struct sim *s, const struct object *o)
{
    const struct sim_node *n = o && object_kind(o) == kind_pod()
        ? sim_node_of(s, pod_view(o)->spec.node_name) : NULL;

    return n ? (int)(n - s->nodes) : -2;
}

static void remember(struct sim *s, const struct kv_change *c, const struct object *before,
                     const struct object *now)
{
    const struct object *o = now ? now : before;
    struct sim_entry e = { .revision = c->revision, .previous = c->previous,
                           .node_before = node_index(s, before), .node_after = node_index(s, now) };

    vec_push(&s->history[object_kind(o)->id].v, e);
}

static void note(struct sim *s, const char *what, const char *key, int64_t revision)
{
    buf_fmt(&s->trace, "%" PRId64 " %u %s %s @%" PRId64 "\n", sim_now_ms(s), s->step, what, key,
            revision);
}

static void put_object(struct sim *s, const struct kind *kind, const char *name, struct object *now)
{
    struct map *m = s->objects[kind->id];

    object_unref(now ? map_put(m, name, object_ref(now)) : map_del(m, name));
}

/* Everything that holds for one object's step from one state to the next. */
static void follow(struct sim *s, struct object *before, struct object *now)
{
    const struct kind *kind = object_kind(now ? now : before);

    check_uid(s, before, now);
    if (before)
        addresses(s, before, release);
    if (now)
        addresses(s, now, take);
    if (kind == kind_pod())
        on_pod(s, before, now);
    else if (kind == kind_replica_set())
        on_set(s, before, now);
    else if (kind == kind_deployment())
        on_deployment(s, now);
}

void sim_truth_on_change(struct sim *s, const struct kv_change *c, struct object *now)
{
    const char *name;
    const struct kind *kind = sim_kind_of(c->key, &name);
    _cleanup_(object_unrefp) struct object *before = NULL;

    if (c->revision <= s->top)
        sim_break(s, "revision %" PRId64 " of %s was given out before: %" PRId64, c->revision,
                  c->key, s->top);
    s->top = c->revision;
    if (!kind)
        return;
    before = object_ref(map_get(s->objects[kind->id], name));
    if ((before ? object_rv(before) : 0) != c->previous)
        sim_break(s, "%s was at revision %" PRId64 ", not at %" PRId64, c->key,
                  before ? object_rv(before) : 0, c->previous);
    note(s, now ? "write" : "delete", c->key, c->revision);
    s->writes += !kind->volatile_class;
    put_object(s, kind, name, now);
    if (!before && !now)
        return;
    remember(s, c, before, now);
    follow(s, before, now);
}

/* --- a restart */

void sim_truth_on_load(struct sim *s, const struct kv_change *pair)
{
    const char *name;
    const struct kind *kind = sim_kind_of(pair->key, &name);
    _cleanup_(object_unrefp) struct object *before = NULL, *now = NULL;
    struct err err = ERR_INIT;
    int64_t rv;

    map_put(s->role.loaded, pair->key, s);
    if (!kind)
        return;
    if (object_new(&now, kind, pair->value, pair->value_len, pair->revision, &err) < 0) {
        sim_break(s, "%s is damaged: %s", pair->key, err.msg);
        return;
    }
    before = object_ref(map_get(s->objects[kind->id], name));
    rv = before ? object_rv(before) : 0;
    if (pair->revision == rv)
        return;
    if (!kind->volatile_class && pair->revision <= s->top)
        sim_break(s, "after a restart %s is at revision %" PRId64 ", not at %" PRId64, pair->key,
                  pair->revision, rv);
    if (pair->revision > s->top)
        note(s, "found", pair->key, pair->revision);
    put_object(s, kind, name, now);
    follow(s, before, now);
}

/* What the role was about to delete when it died is no loss. */
static void check_lost(struct sim *s, const struct kind *kind, const char *name)
{
    char key[KV_KEY_BYTES_MAX];
    struct object *o = map_get(s->objects[kind->id], name);

    watch_key(key, kind, object_ns(o), object_name(o));
    if (map_get(s->role.loaded, key))
        return;
    if (!kind->volatile_class && !map_get(s->role.unanswered, key))
        sim_break(s, "after a restart %s of revision %" PRId64 " is lost", key, object_rv(o));
    note(s, "gone", key, object_rv(o));
    object_ref(o);
    put_object(s, kind, name, NULL);
    follow(s, o, NULL);
    object_unref(o);
}

void sim_truth_loaded(struct sim *s)
{
    for (unsigned i = 0; i < kind_count(); i++) {
        const struct kind *kind = kind_by_id(i);
        const char *name;
        void *value;

        s->history[i].v.len = 0;
        for (size_t at = 0; kind->storage == kind && map_next(s->objects[i], &at, &name, &value);)
            check_lost(s, kind, name);
    }
    map_free(s->role.unanswered, NULL);
    s->role.unanswered = map_new();
    if (kv_revision(s->role.kv) < s->top)
        sim_break(s, "after a restart the store is at revision %" PRId64 ", before %" PRId64,
                  kv_revision(s->role.kv), s->top);
    s->top = kv_revision(s->role.kv);
}

/* --- begin and end */

static void free_value(void *p)
{
    mem_free(p);
}

static void unref(void *p)
{
    object_unref(p);
}

void sim_truth_begin(struct sim *s)
{
    for (unsigned i = 0; i < kind_count(); i++)
        s->objects[i] = map_new();
    s->uids = map_new();
    s->bound = map_new();
    s->sets = map_new();
    s->addresses = map_new();
    s->role.unanswered = map_new();
}

void sim_truth_end(struct sim *s)
{
    for (unsigned i = 0; i < kind_count(); i++) {
        map_free(s->objects[i], unref);
        vec_deinit(&s->history[i].v);
    }
    for (unsigned i = 0; i < SIM_APPS; i++)
        vec_deinit(&s->apps[i].sizes);
    map_free(s->uids, NULL);
    map_free(s->bound, free_value);
    map_free(s->sets, free_value);
    map_free(s->addresses, free_value);
    map_free(s->role.unanswered, NULL);
}
