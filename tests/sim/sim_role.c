/* sim_role.c -- the control role as one process: store, watch cache, API, controllers, scheduler.
 * It starts from its disk, and dies in one of three ways. */
#include "tests/sim/sim_impl.h"

#include "core/object/patch.h"
#include "core/base/yaml.h"
#include "store/watch/watch.h"

#define START_AGAIN_MS 1000

/* --- the store */

static void on_load(void *ctx, const struct kv_change *pair)
{
    struct sim *s = ctx;
    struct err err = ERR_INIT;

    sim_truth_on_load(s, pair);
    if (!sim_plant_forgets(s, pair) && watch_cache_load(s->role.cache, pair, &err) < 0)
        sim_break(s, "unreadable object %s: %s", pair->key, err.msg);
}

static struct object *object_of(struct sim *s, const struct kv_change *c)
{
    const char *name;
    const struct kind *kind = sim_kind_of(c->key, &name);
    struct object *o = NULL;
    struct err err = ERR_INIT;

    if (kind && c->value && object_new(&o, kind, c->value, c->value_len, c->revision, &err) < 0)
        sim_break(s, "a written object cannot be read back: %s: %s", c->key, err.msg);
    return o;
}

static void on_change(void *ctx, const struct kv_change *c)
{
    struct sim *s = ctx;
    _cleanup_(object_unrefp) struct object *now = object_of(s, c);

    if (!sim_plant_hides(s, c))
        watch_cache_apply(s->role.cache, c);
    sim_truth_on_change(s, c, now);
}

/* The process ends here: nothing that it still does is heard of. */
static void on_fatal(void *ctx, const struct err *why)
{
    struct sim *s = ctx;

    if (!s->role.dying)
        sim_log(s, "the store failed: %s", why->msg);
    s->role.dying = true;
}

static int open_store(struct sim *s, struct err *err)
{
    struct kv_opts o = { .path = s->path, .env = &s->env.env, .inlined = true, .ctx = s,
                         .on_change = on_change, .on_fatal = on_fatal };
    int rc;

    s->role.cache = watch_cache_new(&s->env.env);
    s->role.loaded = map_new();
    sim_plant_before_open(s);
    rc = kv_open(&s->role.kv, &o, on_load, err);
    if (rc == 0) {
        sim_truth_loaded(s);
        watch_cache_ready(s->role.cache, kv_revision(s->role.kv));
    }
    s->role.loaded = map_free(s->role.loaded, NULL);
    return rc;
}

/* --- the rest of it */

static int open_api(struct sim *s, struct err *err)
{
    static const unsigned no_limits[JOB_CLASS_MAX];
    struct sim_role *r = &s->role;
    struct api_opts o;

    if (job_pool_new(&r->jobs, 0, no_limits, err) < 0)
        return -1;
    o = (struct api_opts){ .loop = s->loop, .jobs = r->jobs, .cache = r->cache, .kv = r->kv,
                           .env = &s->env.env, .service_cidr = "10.43.0.0/16",
                           .advertise = "10.1.2.3:6443", .cluster_dns = "10.43.0.10" };
    if (api_new(&r->api, &o, err) < 0 || api_bootstrap(r->api, err) < 0)
        return -1;
    api_ready(r->api);
    return r->dying ? err_set(err, ERR_FAILED, "the store failed meanwhile") : 0;
}

static int open_deciders(struct sim *s, struct err *err)
{
    struct control_opts o = { .root_ca_pem = "PEM", .cluster_cidr = "10.42.0.0/16" };

    if (control_new(&s->role.control, &s->control_door.client, &o, err) < 0)
        return -1;
    return sched_new(&s->role.sched, &s->sched_door.client, NULL, err);
}

void sim_role_start(struct sim *s)
{
    struct err err = ERR_INIT;

    s->role.dying = false;
    if (open_store(s, &err) < 0 || open_api(s, &err) < 0 || open_deciders(s, &err) < 0) {
        const char *path = strstr(err.msg, s->path);     /* differs from run to run */

        sim_log(s, "the role does not start: %s", path ? path + strlen(s->path) : err.msg);
        sim_role_stop(s, fake_disk_is_stopped(s->disk) ? SIM_END_POWER : SIM_END_KILL);
        return;
    }
    s->role.up = true;
    sim_net_connect(s);
}

/* A dead process writes nothing any more: its disk stands until it is gone. */
void sim_role_stop(struct sim *s, enum sim_end how)
{
    struct sim_role *r = &s->role;

    r->up = false;
    s->lost_creates++;                   /* it may not have heard of its last one */
    if (how != SIM_END_CLEAN)
        fake_disk_stop(s->disk);
    r->control = control_free(r->control);
    r->sched = sched_free(r->sched);
    sim_net_drop_calls(&s->control_door);
    sim_net_drop_calls(&s->sched_door);
    r->jobs = job_pool_free(r->jobs);
    while (loop_step(s->loop, 0))        /* what the jobs have answered */
        ;
    sim_net_hang_up(s);
    r->api = api_free(r->api);
    r->kv = kv_close(r->kv);
    r->cache = watch_cache_free(r->cache);
    if (how != SIM_END_CLEAN)
        fake_disk_revive(s->disk, how == SIM_END_POWER);
    r->start_ms = sim_now_ms(s) + START_AGAIN_MS;
}

void sim_role_tick(struct sim *s)
{
    if (s->role.up && s->role.dying)
        sim_role_stop(s, fake_disk_is_stopped(s->disk) ? SIM_END_POWER : SIM_END_KILL);
    if (!s->role.up && sim_now_ms(s) >= s->role.start_ms)
        sim_role_start(s);
    else if (s->role.up)
        kv_step(s->role.kv);
}

/* --- another writer */

struct edit {
    struct kv_commit commit;
    char key[KV_KEY_BYTES_MAX];
    struct buf value;
};

static void edit_done(struct kv_commit *c)
{
    struct edit *e = container_of(c, struct edit, commit);

    buf_deinit(&e->value);
    mem_free(e);
}

static void patched(struct buf *out, const struct object *o, const char *yaml)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *patch = NULL, *tree = NULL;
    struct err err = ERR_INIT;

    if (yaml_parse_all(&patch, a, yaml, strlen(yaml), &err) < 0 ||
        patch_merge(&tree, a, object_tree(o, a), json_at(patch, 0), &err) < 0)
        check_fail(err.msg, __FILE__, __LINE__);
    object_encode(out, tree, 0);
}

void sim_role_edit(struct sim *s, const struct object *o, const char *yaml)
{
    struct edit *e;

    if (!s->role.up || s->role.dying)
        return;
    e = NEW(struct edit);
    watch_key(e->key, object_kind(o), object_ns(o), object_name(o));
    e->commit = (struct kv_commit){ .key = e->key, .expect = object_rv(o), .on_done = edit_done };
    if (yaml) {
        patched(&e->value, o, yaml);
        e->commit.value = e->value.p;
        e->commit.value_len = e->value.len;
    }
    kv_submit(s->role.kv, &e->commit);
}
