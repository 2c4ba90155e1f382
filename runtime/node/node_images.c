/* node_images.c -- requests for images: a look, perhaps secrets, perhaps a pull. */
#include "runtime/node/node_images.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#include "core/base/check.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/str.h"

struct node_images {
    struct node_self *self;
    void (*on_change)(void *ctx);
    void *ctx;
    struct loop_timer gc_timer;
    struct gc_job *gc;
};

struct node_images_req {
    struct job job;
    struct node_images *owner;           /* not to be touched once canceled */
    struct node_self *self;              /* held */
    struct node_images_opts o;           /* texts are ours */
    char *image, *policy, *lease;
    struct node_images_result r;
    atomic_bool canceled;                /* read by the job thread */
    bool wants_pull;
    int64_t begun_ms, logged_ms;
    char *configs[NODE_IMAGES_SECRETS_MAX + 1];
    unsigned n_configs, n_secrets, waiting;
    struct buf missing;
};

static void req_free(struct node_images_req *r)
{
    if (r->r.image)
        image_free(r->r.image);
    image_mount_deinit(&r->r.mount);
    for (unsigned i = 0; i < r->n_configs; i++)
        mem_free(r->configs[i]);
    buf_deinit(&r->missing);
    object_unref(r->o.pod);
    mem_free(r->image);
    mem_free(r->policy);
    mem_free(r->lease);
    node_drop(r->self);
    mem_free(r);
}

static void req_end(struct node_images_req *r)
{
    if (!atomic_load(&r->canceled))
        r->o.done(r->o.ctx, &r->r);
    req_free(r);
}

static void req_fail(struct node_images_req *r, enum node_images_end end)
{
    r->r.end = end;
    req_end(r);
}

static int64_t now_ms(const struct node_images_req *r)
{
    return env_mono_ms(r->self->clock);
}

/* --- pull */

static bool is_canceled(void *ctx)
{
    struct node_images_req *r = ctx;

    return atomic_load(&r->canceled);
}

static void on_progress(void *ctx, const struct image_progress *p)
{
    struct node_images_req *r = ctx;
    int64_t now = now_ms(r);

    if (now - r->logged_ms < NODE_IMAGES_LOG_MS)
        return;
    r->logged_ms = now;
    log_info("pulling", "image=%s what=%s bytes=%" PRId64 " of=%" PRId64 " layers=%u/%u", r->image,
             p->what, p->done, p->total, p->layers_done, p->layers);
}

static void pull_run(struct job *j)
{
    struct node_images_req *r = container_of(j, struct node_images_req, job);
    const struct node_self *self = r->self;
    int64_t begun = now_ms(r);
    struct image_pull_opts o = {
        .name = r->image, .dockerconfigs = (const char *const *)r->configs,
        .registries_file = self->conf->registries_file,
        .watch = { .on_progress = on_progress, .is_canceled = is_canceled, .ctx = r } };

    r->r.end = NODE_IMAGES_FAILED;
    r->logged_ms = begun;
    if (atomic_load(&r->canceled) ||
        self->kernel->image_pull(&r->r.image, self->store, &o, &r->r.err) < 0)
        return;
    r->r.pull_ms = now_ms(r) - begun;
    r->r.all_ms = now_ms(r) - r->begun_ms;
    r->r.end = NODE_IMAGES_PULLED;
    if (self->kernel->image_lease(&r->r.mount, self->store, r->r.image, r->lease, &r->r.err) < 0)
        r->r.end = NODE_IMAGES_BROKEN;
}

static void pull_done(struct job *j)
{
    struct node_images_req *r = container_of(j, struct node_images_req, job);
    struct node_images *n = r->owner;
    bool changed = r->r.end == NODE_IMAGES_PULLED;

    if (!job_was_run(j))
        atomic_store(&r->canceled, true);
    changed &= !atomic_load(&r->canceled);
    req_end(r);
    if (changed && n->on_change)
        n->on_change(n->ctx);
}

static void pull_start(struct node_images_req *r)
{
    const struct node_self *self = r->self;
    struct image_ref ref;
    char key[JOB_KEY_BYTES];

    if (image_ref_parse(&ref, r->image, &r->r.err) < 0) {
        req_fail(r, NODE_IMAGES_BAD_NAME);
        return;
    }
    snprintf(key, sizeof(key), "image/%.300s", ref.text);
    if (job_add(self->jobs, self->loop, &r->job, JOB_IMAGE, key, pull_run, pull_done,
                &r->r.err) < 0) {
        req_fail(r, NODE_IMAGES_FAILED);
    }
}

/* --- secrets */

static const char *const secret_keys[] = { ".dockerconfigjson", ".dockercfg" };

static void take_secret(struct node_images_req *r, struct object *o)
{
    const struct secret_view *s = secret_view(o);

    for (size_t i = 0; i < ARRAY_LEN(secret_keys); i++) {
        const struct slice *text = view_bytes_get(&s->data, secret_keys[i]);

        if (text && r->n_configs < NODE_IMAGES_SECRETS_MAX)
            r->configs[r->n_configs++] = mem_strndup(text->p, text->len);
    }
}

struct secret_wait { struct node_images_req *r; char *name; };

static void on_secret(const struct client_result *res, void *ctx)
{
    struct secret_wait *w = ctx;
    struct node_images_req *r = w->r;

    if (client_ok(res) && res->object && object_kind(res->object) == kind_secret())
        take_secret(r, res->object);
    else
        buf_fmt(&r->missing, "%s%s", r->missing.len ? ", " : "", w->name);
    mem_free(w->name);
    mem_free(w);
    if (--r->waiting > 0)
        return;
    if (atomic_load(&r->canceled)) {
        req_free(r);
        return;
    }
    if (r->missing.len && r->o.on_no_secrets)
        r->o.on_no_secrets(r->o.ctx, r->missing.p);
    pull_start(r);
}

static bool ask_secret(struct node_images_req *r, const char *name)
{
    struct secret_wait *w = NEW(struct secret_wait);
    struct err err = ERR_INIT;

    *w = (struct secret_wait){ r, mem_strdup(name) };
    if (client_do(r->self->client,
                  &(struct client_req){ .verb = CLIENT_GET, .kind = kind_secret(),
                                        .ns = object_ns(r->o.pod), .name = name,
                                        .on_done = on_secret, .ctx = w }, &err) == 0)
        return true;
    buf_fmt(&r->missing, "%s%s", r->missing.len ? ", " : "", name);
    mem_free(w->name);
    mem_free(w);
    return false;
}

static void secrets_start(struct node_images_req *r)
{
    const struct pod_spec_view *spec = &pod_view(r->o.pod)->spec;

    for (unsigned i = 0; i < spec->n_image_pull_secrets && i < NODE_IMAGES_SECRETS_MAX; i++)
        r->waiting += ask_secret(r, spec->image_pull_secrets[i].name);
    if (r->waiting == 0)
        pull_start(r);
}

/* --- look */

static void look_run(struct job *j)
{
    struct node_images_req *r = container_of(j, struct node_images_req, job);
    const struct node_self *self = r->self;
    struct image_ref ref;
    bool always = str_eq(r->policy, "Always");

    if (image_ref_parse(&ref, r->image, &r->r.err) < 0) {
        r->r.end = NODE_IMAGES_BAD_NAME;
        return;
    }
    if (always && !image_ref_is_box(&ref)) {
        r->wants_pull = true;
        return;
    }
    if (self->kernel->image_get(&r->r.image, self->store, r->image, &r->r.err) < 0) {
        r->wants_pull = r->r.err.code == ERR_NOT_FOUND && !image_ref_is_box(&ref);
        r->r.end = NODE_IMAGES_BROKEN;
        return;
    }
    r->r.end = NODE_IMAGES_THERE;
    if (self->kernel->image_lease(&r->r.mount, self->store, r->r.image, r->lease, &r->r.err) < 0) {
        r->wants_pull = r->r.err.code == ERR_NOT_FOUND && !image_ref_is_box(&ref);
        r->r.end = NODE_IMAGES_BROKEN;
    }
}

static void look_done(struct job *j)
{
    struct node_images_req *r = container_of(j, struct node_images_req, job);

    if (!job_was_run(j) || atomic_load(&r->canceled)) {
        req_free(r);
        return;
    }
    if (!r->wants_pull) {
        req_end(r);
        return;
    }
    if (r->r.image)
        r->r.image = image_free(r->r.image);
    if (str_eq(r->policy, "Never")) {
        req_fail(r, NODE_IMAGES_NEVER);
        return;
    }
    if (!r->o.may_pull) {
        req_fail(r, NODE_IMAGES_FAILED);
        return;
    }
    err_clear(&r->r.err);
    r->o.on_pulling(r->o.ctx);
    secrets_start(r);
}

struct node_images_req *node_images_ensure(struct node_images *n, const struct node_images_opts *o)
{
    struct node_images_req *r = NEW(struct node_images_req);
    struct node_self *self = n->self;

    r->owner = n;
    r->self = node_hold(n->self);
    r->o = *o;
    r->o.pod = object_ref(o->pod);
    r->image = mem_strdup(o->image);
    r->policy = mem_strdup(o->policy);
    r->lease = mem_strdup(o->lease);
    r->begun_ms = now_ms(r);
    if (job_add(self->jobs, self->loop, &r->job, JOB_NODE, "", look_run, look_done,
                &r->r.err) < 0) {
        req_free(r);
        return NULL;
    }
    return r;
}

void node_images_cancel(struct node_images_req *r)
{
    if (r)
        atomic_store(&r->canceled, true);
}

/* --- small jobs */

struct unlease_job { struct job job; struct node_self *self; char *id; };

static void unlease_run(struct job *j)
{
    struct unlease_job *u = container_of(j, struct unlease_job, job);
    struct err err = ERR_INIT;

    if (u->self->kernel->image_unlease(u->self->store, u->id, &err) < 0)
        log_warn("image lease not given back", "id=%s why=\"%s\"", u->id, err.msg);
}

static void unlease_done(struct job *j)
{
    struct unlease_job *u = container_of(j, struct unlease_job, job);

    node_drop(u->self);
    mem_free(u->id);
    mem_free(u);
}

void node_images_unlease(struct node_images *n, const char *lease)
{
    struct unlease_job *u = NEW(struct unlease_job);
    struct err err = ERR_INIT;

    u->self = node_hold(n->self);
    u->id = mem_strdup(lease);
    if (job_add(n->self->jobs, n->self->loop, &u->job, JOB_NODE, "", unlease_run, unlease_done,
                &err) < 0) {
        log_warn("image lease not given back", "id=%s why=\"%s\"", lease, err.msg);
        unlease_done(&u->job);
    }
}

struct gc_job { struct job job; struct node_images *owner; struct node_self *self;
                struct image_gc_result result; struct err err; bool failed; };

static void gc_on_time(struct loop_timer *t);

static void gc_run(struct job *j)
{
    struct gc_job *g = container_of(j, struct gc_job, job);
    struct image_gc_opts o = { .min_age_s = 120 };

    g->failed = g->self->kernel->image_gc(&g->result, g->self->store, &o, &g->err) < 0;
}

static void gc_done(struct job *j)
{
    struct gc_job *g = container_of(j, struct gc_job, job);
    struct node_images *n = g->owner;

    if (g->failed)
        log_warn("images not collected", "why=\"%s\"", g->err.msg);
    if (g->result.removed)
        log_info("images collected", "removed=%u bytes=%" PRId64, g->result.removed,
                 g->result.freed_bytes);
    if (n) {
        n->gc = NULL;
        loop_timer_set(n->self->loop, &n->gc_timer, NODE_IMAGES_GC_MS, gc_on_time);
        if (g->result.removed && n->on_change)
            n->on_change(n->ctx);
    }
    node_drop(g->self);
    mem_free(g);
}

static void gc_on_time(struct loop_timer *t)
{
    struct node_images *n = container_of(t, struct node_images, gc_timer);
    struct gc_job *g = NEW(struct gc_job);
    struct err err = ERR_INIT;

    g->owner = n;
    g->self = node_hold(n->self);
    n->gc = g;
    if (job_add(n->self->jobs, n->self->loop, &g->job, JOB_NODE, "images/gc", gc_run, gc_done,
                &err) == 0)
        return;
    n->gc = NULL;
    node_drop(g->self);
    mem_free(g);
    loop_timer_set(n->self->loop, &n->gc_timer, NODE_IMAGES_GC_MS, gc_on_time);
}

struct node_images *node_images_new(struct node_self *self, void (*on_change)(void *ctx),
                                    void *ctx)
{
    struct node_images *n = NEW(struct node_images);

    *n = (struct node_images){ .self = self, .on_change = on_change, .ctx = ctx };
    loop_timer_set(self->loop, &n->gc_timer, NODE_IMAGES_GC_MS, gc_on_time);
    return n;
}

struct node_images *node_images_free(struct node_images *n)
{
    if (!n)
        return NULL;
    loop_timer_del(&n->gc_timer);
    if (n->gc)
        n->gc->owner = NULL;
    mem_free(n);
    return NULL;
}
