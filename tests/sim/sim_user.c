/* sim_user.c -- what users ask for: SIM_APPS Deployments d0, d1, ... with a Service each, and
 * SIM_EXTRAS Services that come and go. d0 is never deleted; it owns a ConfigMap "precious" that
 * must never go. d1's pods are large, d2's are recreated, never rolled, and want a fast disk.
 *
 * A user keeps asking until what is there is what was last wished for.
 */
#include "tests/sim/sim_impl.h"

#include <stdio.h>

#include "gen/views.h"

static const char *const milli[SIM_APPS] = { "100m", "600m", "100m" };

const char *sim_user_app(struct sim *s, unsigned i)
{
    return arena_printf(s->a, "d%u", i);
}

/* --- asking */

struct wish { struct sim *s; unsigned i, wish; bool is_delete; };

static struct wish *wish_new(struct sim *s, unsigned i, unsigned wish, bool is_delete)
{
    struct wish *w = NEW(struct wish);

    *w = (struct wish){ s, i, wish, is_delete };
    return w;
}

static void on_app(const struct client_result *r, void *ctx)
{
    struct wish *w = ctx;
    struct sim_app *app = &w->s->apps[w->i];

    app->busy = false;
    if (app->wish == w->wish && (client_ok(r) || (w->is_delete && r->code == 404)))
        app->dirty = false;
    mem_free(w);
}

static const char *spec_of(struct sim *s, unsigned i, bool whole)
{
    const struct sim_app *app = &s->apps[i];
    const char *name = sim_user_app(s, i);
    const char *strategy = whole ? arena_printf(s->a,
        "  revisionHistoryLimit: 2\n  strategy: {type: %s}\n  selector: {matchLabels: {app: %s}}\n",
        i == 2 ? "Recreate" : "RollingUpdate", name) : "";

    return arena_printf(s->a,
        "metadata: {name: %s}\nspec:\n  replicas: %d\n  paused: %s\n%s"
        "  template:\n    metadata: {labels: {app: %s}}\n    spec:\n%s"
        "      containers: [{name: c, image: 'app:%d', resources: {requests: {cpu: %s}}}]\n",
        name, app->replicas, app->paused ? "true" : "null", strategy, name,
        i == 2 ? "      nodeSelector: {disk: fast}\n" : "", app->image, milli[i]);
}

static void ask_app(struct sim *s, unsigned i)
{
    struct sim_app *app = &s->apps[i];
    const struct object *there = sim_get(s, kind_deployment(), "default", sim_user_app(s, i));
    struct sim_ask ask = { .kind = kind_deployment(), .ns = "default", .on_done = on_app };

    if (app->exists && there && object_is_deleting(there))
        return;                          /* the former one has to go first */
    ask.verb = !app->exists ? CLIENT_DELETE : there ? CLIENT_PATCH_MERGE : CLIENT_CREATE;
    if (ask.verb != CLIENT_CREATE)
        ask.name = sim_user_app(s, i);
    if (ask.verb == CLIENT_DELETE)
        ask.propagation = app->delete_foreground ? "Foreground" : "Background";
    else
        ask.yaml = spec_of(s, i, ask.verb == CLIENT_CREATE);
    app->busy = true;
    ask.ctx = wish_new(s, i, app->wish, ask.verb == CLIENT_DELETE);
    sim_net_ask(&s->user_door, &ask);
}

static void on_extra(const struct client_result *r, void *ctx)
{
    struct wish *w = ctx;

    (void)r;
    w->s->extras[w->i].busy = false;
    mem_free(w);
}

/* Services: d0, d1, d2 for the apps, x0 ... come and go, some with a node port. */
static void ask_service(struct sim *s, const char *name, unsigned i, bool is_extra)
{
    bool want = !is_extra || s->extras[i].exists;
    bool there = sim_get(s, kind_service(), "default", name);
    struct sim_ask ask = { .verb = want ? CLIENT_CREATE : CLIENT_DELETE, .kind = kind_service(),
                           .ns = "default", .name = want ? NULL : name };

    if (want == there || (is_extra && s->extras[i].busy))
        return;
    if (want)
        ask.yaml = arena_printf(s->a,
            "metadata: {name: %s}\nspec: {type: %s, selector: {app: %s}, ports: [{port: 80}]}\n",
            name, is_extra && i % 2 ? "NodePort" : "ClusterIP", name);
    if (is_extra) {
        s->extras[i].busy = true;
        ask.on_done = on_extra;
        ask.ctx = wish_new(s, i, 0, !want);
    }
    sim_net_ask(&s->user_door, &ask);
}

static void ask_precious(struct sim *s)
{
    const struct object *d0 = sim_get(s, kind_deployment(), "default", "d0");
    struct sim_ask ask = { .verb = CLIENT_CREATE, .kind = kind_config_map(), .ns = "default" };

    if (sim_get(s, kind_config_map(), "default", "precious"))
        s->precious = true;
    if (!d0 || s->precious)
        return;
    ask.yaml = arena_printf(s->a, "metadata:\n  name: precious\n  ownerReferences:\n"
        "  - {apiVersion: apps/v1, kind: Deployment, name: d0, uid: %s}\n", object_uid(d0));
    sim_net_ask(&s->user_door, &ask);
}

static void on_team(const struct client_result *r, void *ctx)
{
    (void)r;
    ((struct sim *)ctx)->team.busy = false;
}

/* The namespace "team", and a ConfigMap in it. */
static void ask_team(struct sim *s)
{
    const struct object *ns = sim_get(s, kind_namespace(), "", "team");
    struct sim_ask ask = { .verb = CLIENT_CREATE, .kind = kind_namespace(), .on_done = on_team,
                           .ctx = s, .yaml = "metadata: {name: team}" };

    if (s->team.busy || (ns && object_is_deleting(ns)) || (!ns && !s->team.exists))
        return;
    if (ns && !s->team.exists) {
        ask.verb = CLIENT_DELETE;
        ask.name = "team";
        ask.yaml = NULL;
    } else if (ns) {
        if (sim_get(s, kind_config_map(), "team", "c"))
            return;
        ask.kind = kind_config_map();
        ask.ns = "team";
        ask.yaml = "metadata: {name: c}\ndata: {k: v}";
    }
    s->team.busy = true;
    sim_net_ask(&s->user_door, &ask);
}

/* Nodes whose machine is gone are deleted, cordoned ones are marked. */
static void ask_nodes(struct sim *s)
{
    for (unsigned i = 0; i < s->n_nodes; i++) {
        const struct sim_node *n = &s->nodes[i];
        const struct object *o = sim_get(s, kind_node(), "", n->name);
        struct sim_ask ask = { .verb = n->exists ? CLIENT_PATCH_MERGE : CLIENT_DELETE,
                               .kind = kind_node(), .name = n->name };

        if (!o || (n->exists && node_view(o)->spec.unschedulable == n->cordoned))
            continue;
        if (n->exists)
            ask.yaml = n->cordoned ? "spec: {unschedulable: true}" : "spec: {unschedulable: null}";
        sim_net_ask(&s->user_door, &ask);
    }
}

/* Once a second or so: people are slow. */
void sim_user_tick(struct sim *s)
{
    if (sim_now_ms(s) % 1000)
        return;
    for (unsigned i = 0; i < SIM_APPS; i++) {
        ask_service(s, sim_user_app(s, i), i, false);
        if (s->apps[i].dirty && !s->apps[i].busy)
            ask_app(s, i);
    }
    for (unsigned i = 0; i < SIM_EXTRAS; i++)
        ask_service(s, arena_printf(s->a, "x%u", i), i, true);
    ask_precious(s);
    ask_team(s);
    ask_nodes(s);
}

bool sim_user_is_content(const struct sim *s)
{
    for (unsigned i = 0; i < SIM_APPS; i++)
        if (s->apps[i].dirty || s->apps[i].busy)
            return false;
    return true;
}

/* --- changes of mind */

static void wish(struct sim_app *app)
{
    app->wish++;
    app->dirty = true;
}

static void create(struct sim *s, unsigned i)
{
    struct sim_app *app = &s->apps[i];

    app->exists = true;
    app->paused = false;
    app->revision = 0;
    app->replicas = (int)(1 + sim_pick(s, 8));
    app->image = 1;
    sim_log(s, "create d%u replicas=%d", i, app->replicas);
    wish(app);
}

static void scale(struct sim *s, unsigned i)
{
    s->apps[i].replicas = (int)sim_pick(s, 12);
    sim_log(s, "scale d%u to %d", i, s->apps[i].replicas);
    wish(&s->apps[i]);
}

static void set_image(struct sim *s, unsigned i)
{
    s->apps[i].image = (int)(1 + sim_pick(s, 5));        /* also back to an older one */
    sim_log(s, "image d%u %d", i, s->apps[i].image);
    wish(&s->apps[i]);
}

static void set_paused(struct sim *s, unsigned i, bool paused)
{
    s->apps[i].paused = paused;
    sim_log(s, "%s d%u", paused ? "pause" : "resume", i);
    wish(&s->apps[i]);
}

static void delete(struct sim *s, unsigned i)
{
    s->apps[i].exists = false;
    s->apps[i].delete_foreground = sim_pick(s, 2);
    sim_log(s, "delete d%u%s", i, s->apps[i].delete_foreground ? " foreground" : "");
    wish(&s->apps[i]);
}

static struct object *some_pod(struct sim *s)
{
    size_t n = sim_count(s, kind_pod()), at = 0, skip = n ? sim_pick(s, (unsigned)n) : 0;
    struct object *o;

    while ((o = sim_next(s, kind_pod(), &at)))
        if (skip-- == 0)
            return o;
    return NULL;
}

/* Takes a pod out of its app for a look, or deletes it. */
static void disturb(struct sim *s)
{
    struct object *pod = some_pod(s);
    struct sim_ask ask = { .verb = CLIENT_DELETE, .kind = kind_pod(), .ns = "default" };

    if (!pod)
        return;
    ask.name = object_name(pod);
    if (sim_pick(s, 2)) {
        sim_log(s, "user deletes %s", ask.name);
    } else {
        sim_log(s, "user takes %s", ask.name);
        ask.verb = CLIENT_PATCH_MERGE;
        ask.yaml = "metadata: {labels: {app: taken}}";
    }
    sim_net_ask(&s->user_door, &ask);
}

static void toggle_extra(struct sim *s)
{
    unsigned i = sim_pick(s, SIM_EXTRAS);

    s->extras[i].exists = !s->extras[i].exists;
    sim_log(s, "Service x%u %s", i, s->extras[i].exists ? "comes" : "goes");
}

/* At most a third of the nodes. */
static void toggle_cordon(struct sim *s)
{
    struct sim_node *n = &s->nodes[sim_pick(s, s->n_nodes)];
    unsigned cordoned = 0;

    for (unsigned i = 0; i < s->n_nodes; i++)
        cordoned += s->nodes[i].cordoned;
    if (!n->cordoned && cordoned * 3 >= s->n_nodes)
        return;
    n->cordoned = !n->cordoned;
    n->cordon_ms = sim_now_ms(s);
    sim_log(s, "%s %s", n->cordoned ? "cordon" : "uncordon", n->name);
}

void sim_user_act(struct sim *s)
{
    unsigned i = sim_pick(s, SIM_APPS), what = sim_pick(s, 14);
    struct sim_app *app = &s->apps[i];

    if (what == 10 || what == 11) {
        toggle_extra(s);
    } else if (what == 12) {
        toggle_cordon(s);
    } else if (what == 13) {
        s->team.exists = !s->team.exists;
        sim_log(s, "namespace team %s", s->team.exists ? "comes" : "goes");
    } else if (!app->exists) {
        if (!sim_get(s, kind_deployment(), "default", sim_user_app(s, i)))
            create(s, i);
    } else {
        switch (what) {
        case 0: case 1: case 2: scale(s, i); break;
        case 3: case 4: case 5: set_image(s, i); break;
        case 6: set_paused(s, i, !app->paused); break;
        case 7: if (i) delete(s, i); break;
        default: disturb(s); break;
        }
    }
}

void sim_user_begin(struct sim *s)
{
    sim_net_open(s, &s->user_door, SIM_USER, "admin");
    for (unsigned i = 0; i < SIM_APPS; i++)
        create(s, i);
}

void sim_user_peace(struct sim *s)
{
    for (unsigned i = 0; i < SIM_APPS; i++)
        if (s->apps[i].exists && s->apps[i].paused)
            set_paused(s, i, false);
    for (unsigned i = 0; i < s->n_nodes; i++)
        s->nodes[i].cordoned = false;
}

void sim_user_last_wish(struct sim *s)
{
    for (unsigned i = 0; i < SIM_APPS; i++)
        if (s->apps[i].exists) {
            s->apps[i].image = s->apps[i].image % 5 + 1;
            sim_log(s, "last image d%u %d", i, s->apps[i].image);
            wish(&s->apps[i]);
        }
}
