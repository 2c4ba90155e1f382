/* sim_user.c -- what users ask for: SIM_APPS Deployments d0, d1, ... with a Service each. d0 is
 * never deleted; it owns a ConfigMap "precious" that must never go.
 */
#include "tests/sim/sim_impl.h"

const char *sim_user_app(struct sim *s, unsigned i)
{
    return arena_printf(s->a, "d%u", i);
}

static void create(struct sim *s, unsigned i)
{
    struct sim_app *app = &s->apps[i];
    const char *name = sim_user_app(s, i);

    *app = (struct sim_app){ .exists = true, .replicas = (int)(1 + sim_pick(s, 8)), .image = 1 };
    sim_log(s, "create %s replicas=%d", name, app->replicas);
    fake_client_put(s->f, arena_printf(s->a,
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %s}\nspec:\n  replicas: %d\n"
        "  revisionHistoryLimit: 2\n  strategy: {type: %s}\n"
        "  selector: {matchLabels: {app: %s}}\n  template:\n    metadata: {labels: {app: %s}}\n"
        "    spec: {containers: [{name: c, image: 'app:1', resources: {requests: {cpu: 100m}}}]}\n",
        name, app->replicas, i == 2 ? "Recreate" : "RollingUpdate", name, name));
}

static void scale(struct sim *s, unsigned i)
{
    s->apps[i].replicas = (int)sim_pick(s, 12);
    sim_log(s, "scale d%u to %d", i, s->apps[i].replicas);
    fake_client_edit(s->f, kind_deployment(), "default", sim_user_app(s, i),
                     arena_printf(s->a, "spec: {replicas: %d}", s->apps[i].replicas));
}

static void set_image(struct sim *s, unsigned i)
{
    s->apps[i].image = (int)(1 + sim_pick(s, 5));        /* also back to an older one */
    sim_log(s, "image d%u %d", i, s->apps[i].image);
    fake_client_edit(s->f, kind_deployment(), "default", sim_user_app(s, i), arena_printf(s->a,
        "spec: {template: {spec: {containers: [{name: c, image: 'app:%d', "
        "resources: {requests: {cpu: 100m}}}]}}}", s->apps[i].image));
}

static void set_paused(struct sim *s, unsigned i, bool paused)
{
    s->apps[i].paused = paused;
    sim_log(s, "%s d%u", paused ? "pause" : "resume", i);
    fake_client_edit(s->f, kind_deployment(), "default", sim_user_app(s, i),
                     paused ? "spec: {paused: true}" : "spec: {paused: null}");
}

static void delete(struct sim *s, unsigned i)
{
    static const char *const ways[] = { "Background", "Foreground" };
    const char *how = ways[sim_pick(s, 2)];

    s->apps[i].exists = false;
    sim_log(s, "delete d%u %s", i, how);
    fake_client_delete(s->f, kind_deployment(), "default", sim_user_app(s, i), how);
}

static struct object *some_pod(struct sim *s)
{
    size_t n = fake_client_count(s->f, kind_pod()), at = 0, skip = n ? sim_pick(s, (unsigned)n) : 0;
    struct object *o;

    while ((o = fake_client_next(s->f, kind_pod(), &at)))
        if (skip-- == 0)
            return o;
    return NULL;
}

/* Takes a pod out of its app for a look, or deletes it. */
static void disturb(struct sim *s)
{
    struct object *pod = some_pod(s);

    if (!pod)
        return;
    if (sim_pick(s, 2)) {
        sim_log(s, "user deletes %s", object_name(pod));
        fake_client_delete(s->f, kind_pod(), "default", object_name(pod), NULL);
    } else {
        sim_log(s, "user takes %s", object_name(pod));
        fake_client_edit(s->f, kind_pod(), "default", object_name(pod),
                         "metadata: {labels: {app: taken}}");
    }
}

void sim_user_act(struct sim *s)
{
    unsigned i = sim_pick(s, SIM_APPS);
    struct sim_app *app = &s->apps[i];

    if (!app->exists) {
        if (!fake_client_get(s->f, kind_deployment(), "default", sim_user_app(s, i)))
            create(s, i);
        return;
    }
    switch (sim_pick(s, 10)) {
    case 0: case 1: case 2: scale(s, i); break;
    case 3: case 4: case 5: set_image(s, i); break;
    case 6: set_paused(s, i, !app->paused); break;
    case 7: if (i) delete(s, i); break;
    default: disturb(s); break;
    }
}

void sim_user_begin(struct sim *s)
{
    struct object *d0;

    fake_client_put(s->f, "apiVersion: v1\nkind: Namespace\nmetadata: {name: default}\n"
                          "spec: {finalizers: [kubernetes]}\nstatus: {phase: Active}\n");
    for (unsigned i = 0; i < SIM_APPS; i++) {
        create(s, i);
        fake_client_put(s->f, arena_printf(s->a,
            "apiVersion: v1\nkind: Service\nmetadata: {name: d%u}\n"
            "spec: {clusterIP: 10.43.0.%u, selector: {app: d%u}, ports: [{port: 80}]}\n", i, i + 20,
            i));
    }
    d0 = fake_client_get(s->f, kind_deployment(), "default", "d0");
    fake_client_put(s->f, arena_printf(s->a,
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: precious\n  ownerReferences:\n"
        "  - {apiVersion: apps/v1, kind: Deployment, name: d0, uid: %s}\n", object_uid(d0)));
}

void sim_user_peace(struct sim *s)
{
    for (unsigned i = 0; i < SIM_APPS; i++)
        if (s->apps[i].exists && s->apps[i].paused)
            set_paused(s, i, false);
}
