/* sim_plant.c -- planted bugs: each lies in the surroundings of the code under test, not in it. */
#include "tests/sim/sim_impl.h"

#include <sqlite3.h>

#include "core/base/check.h"
#include "core/object/selector.h"
#include "gen/views.h"

static const char *const names[SIM_PLANT_MAX] = {
    [SIM_PLANT_NONE] = "none", [SIM_PLANT_ACK_BEFORE_SYNC] = "ack before sync",
    [SIM_PLANT_REVISION_REUSE] = "revision reuse", [SIM_PLANT_LOST_EVENT] = "lost event",
    [SIM_PLANT_STALE_LIST] = "stale list", [SIM_PLANT_NO_PRECONDITION] = "no precondition",
    [SIM_PLANT_DOUBLE_BIND] = "double bind", [SIM_PLANT_UNFIT_BIND] = "unfit bind",
    [SIM_PLANT_ADDRESS_TWICE] = "address twice", [SIM_PLANT_LOST_DELETE] = "lost delete",
    [SIM_PLANT_CREATE_TWICE] = "create twice", [SIM_PLANT_SURGE] = "surge",
    [SIM_PLANT_DEAF_PODS] = "deaf to pods", [SIM_PLANT_STUCK_NODE] = "stuck node",
    [SIM_PLANT_SAME_NETWORK] = "same network", [SIM_PLANT_GREEDY_GC] = "greedy gc",
    [SIM_PLANT_STALE_SLICE] = "stale slice", [SIM_PLANT_CHATTER] = "chatter",
};

const char *sim_plant_name(enum sim_plant p)
{
    return names[p];
}

static bool is(const struct sim *s, enum sim_plant p)
{
    return s->o.plant == p && s->step > 10;
}

/* --- in the store and its disk */

bool sim_plant_hides(struct sim *s, const struct kv_change *c)
{
    return is(s, SIM_PLANT_LOST_EVENT) && str_starts(c->key, "pods/") && s->step % 7 == 0;
}

bool sim_plant_forgets(struct sim *s, const struct kv_change *pair)
{
    return is(s, SIM_PLANT_STALE_LIST) && str_starts(pair->key, "pods/");
}

/* As if there were no mark ahead of what was given out. */
void sim_plant_before_open(struct sim *s)
{
    sqlite3 *db = NULL;

    fake_disk_lie(s->disk, is(s, SIM_PLANT_ACK_BEFORE_SYNC));
    if (!is(s, SIM_PLANT_REVISION_REUSE) ||
        sqlite3_open_v2(s->path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        return;
    (void)sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE;"
                       "UPDATE meta SET revision_mark = (SELECT max(revision) FROM pair)", NULL,
                       NULL, NULL);
    check(sqlite3_close(db) == SQLITE_OK);
}

/* --- on the way into the API */

static bool strip_version(struct client_req *req, struct arena *a)
{
    struct json *body = json_clone(a, req->body);

    if (json_get(body, "metadata"))
        json_del(json_get(body, "metadata"), "resourceVersion");
    req->body = body;
    return true;
}

static void bind_elsewhere(struct sim *s, struct client_req *req, struct arena *a)
{
    struct json *body = json_clone(a, req->body);
    struct object *pod = sim_get(s, kind_pod(), req->ns, req->name);

    if (!pod || !view_map_get(&pod_view(pod)->spec.node_selector, "disk"))
        return;
    json_set_str(a, json_ensure_object(a, body, "target"), "name", "n1");
    req->body = body;
}

static void surge(struct client_req *req, struct arena *a)
{
    struct json *body = json_clone(a, req->body), *spec = json_get(body, "spec");

    if (json_get_int(spec, "replicas", 0) > 0)
        json_set_int(a, spec, "replicas", json_get_int(spec, "replicas", 0) + 9);
    req->body = body;
}

bool sim_plant_request(struct sim *s, struct sim_door *d, struct client_req *req, struct arena *a)
{
    if (d->who != SIM_CONTROL && d->who != SIM_SCHED)
        return true;
    if (is(s, SIM_PLANT_NO_PRECONDITION) && req->verb == CLIENT_UPDATE && req->body)
        return strip_version(req, a);
    if (is(s, SIM_PLANT_UNFIT_BIND) && str_eq(req->subresource, "binding"))
        bind_elsewhere(s, req, a);
    if (is(s, SIM_PLANT_SURGE) && req->kind == kind_replica_set() && req->body &&
        !req->subresource && req->verb == CLIENT_UPDATE)
        surge(req, a);
    return !(is(s, SIM_PLANT_LOST_DELETE) && req->verb == CLIENT_DELETE &&
             req->kind == kind_pod());
}

/* --- on the way out */

bool sim_plant_deaf(struct sim *s, const struct sim_door *d, const struct object *o)
{
    if (d->who != SIM_CONTROL)
        return false;
    if (is(s, SIM_PLANT_STALE_SLICE))
        return object_kind(o) == kind_endpoint_slice() && s->peace;
    return is(s, SIM_PLANT_DEAF_PODS) && object_kind(o) == kind_pod() &&
           (s->step % 5 == 0 || s->peace);
}

/* --- by another writer */

static struct object *any(struct sim *s, const struct kind *kind, bool (*fits)(struct object *o))
{
    struct object *o;
    size_t skip = sim_pick(s, 5);

    for (size_t at = 0; (o = sim_next(s, kind, &at));)
        if (fits(o) && skip-- == 0)
            return o;
    return NULL;
}

static bool is_bound(struct object *pod)
{
    return !str_empty(pod_view(pod)->spec.node_name);
}

static bool is_owned(struct object *pod)
{
    return object_controller(pod) && sim_is_active(pod);
}

static void create_twice(struct sim *s)
{
    struct object *pod = any(s, kind_pod(), is_owned);
    struct json *tree = pod ? sim_tree(s, pod) : NULL;
    struct client_req req = { .verb = CLIENT_CREATE, .kind = kind_pod(), .ns = "default",
                              .body = tree };

    if (!pod)
        return;
    json_del(json_get(tree, "metadata"), "name");
    json_del(json_get(tree, "metadata"), "resourceVersion");
    json_del(json_get(tree, "spec"), "nodeName");
    json_del(tree, "status");
    for (int i = 0; i < 3; i++)
        client_do(&s->user_door.client, &req, NULL);
}

/* The second object of the kind gets this field of the first one's spec. */
static void copy_field(struct sim *s, const struct kind *kind, const char *field)
{
    struct object *first = NULL, *o;
    const char *value = NULL;

    for (size_t at = 0; (o = sim_next(s, kind, &at));) {
        const char *own = json_get_str(json_get(sim_tree(s, o), "spec"), field);

        if (str_empty(own))
            continue;
        if (first) {
            sim_role_edit(s, o, arena_printf(s->a, "spec: {%s: %s}", field, value));
            return;
        }
        first = o;
        value = own;
    }
}

static void stale_slice(struct sim *s)
{
    struct object *o;

    for (size_t at = 0; (o = sim_next(s, kind_endpoint_slice(), &at));)
        if (str_starts(object_name(o), "d"))
            sim_role_edit(s, o, "endpoints: [{addresses: [10.9.9.9]}]");
}

static void edit(struct sim *s, struct object *o, const char *yaml)
{
    if (o)
        sim_role_edit(s, o, yaml);
}

void sim_plant(struct sim *s)
{
    if (s->o.plant == SIM_PLANT_NONE || s->step <= 10)
        return;
    switch (s->o.plant) {
    case SIM_PLANT_ACK_BEFORE_SYNC: fake_disk_lie(s->disk, true); break;
    case SIM_PLANT_CREATE_TWICE: create_twice(s); break;
    case SIM_PLANT_CHATTER: if (s->peace) create_twice(s); break;
    case SIM_PLANT_DOUBLE_BIND:
        edit(s, any(s, kind_pod(), is_bound), "spec: {nodeName: moved}");
        break;
    case SIM_PLANT_SAME_NETWORK: copy_field(s, kind_node(), "podCIDR"); break;
    case SIM_PLANT_ADDRESS_TWICE: copy_field(s, kind_service(), "clusterIP"); break;
    case SIM_PLANT_GREEDY_GC:
        edit(s, sim_get(s, kind_config_map(), "default", "precious"), NULL);
        break;
    case SIM_PLANT_STALE_SLICE: if (s->peace) stale_slice(s); break;
    default: break;
    }
}
