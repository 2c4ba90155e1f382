/* proxy.c -- informers in, batches out: what is dirty, when it is rendered, one job at a time. */
#include "net/proxy/proxy.h"

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/str.h"
#include "core/client/informer.h"
#include "core/loop/job.h"
#include "net/proxy/proxy_apply.h"
#include "net/proxy/proxy_render.h"
#include "net/proxy/proxy_view.h"

#define CLUSTER_CIDR "10.42.0.0/16"      /* as POD_NET_CLUSTER_CIDR, whose room we do not include */
#define SERVICE_CIDR "10.43.0.0/16"
#define RETRY_FIRST_MS 100
#define ARENA_BYTES (64u << 20)

/* What is kept of a Service. */
struct service {
    VEC(struct object *) slices;         /* references */
    struct svcmap *map;                  /* the last result */
};

struct apply_job {
    struct job job;
    struct proxy *proxy;                 /* NULL once that is freed */
    struct proxy_batch batch;
    enum proxy_extent extent;
    int result;
    struct err err;
    int64_t began_us, took_us;
};

struct proxy {
    struct loop *loop;
    struct job_pool *pool;
    struct informer *service_informer, *slice_informer;
    char *node_name;
    int64_t quiet_ms, max_ms, retry_ms;
    struct map *services;                /* "ns/name" -> struct service */
    struct map *dirty;                   /* "ns/name" -> anything */
    struct proxy_render *render;
    struct loop_timer timer;
    int64_t dirty_since_ms;
    struct apply_job *running;
    enum proxy_extent next;              /* PROXY_CHANGED while all is well */
    bool ready;
    struct arena *arena;
    struct proxy_stats stats;
};

static void plan(struct proxy *p);

/* --- what is dirty */

static void mark(struct proxy *p, const char *key)
{
    if (map_len(p->dirty) == 0)
        p->dirty_since_ms = loop_now_ms(p->loop);
    map_put(p->dirty, key, p);
    plan(p);
}

static struct service *service_get(struct proxy *p, const char *key)
{
    struct service *s = map_get(p->services, key);

    if (!s) {
        s = NEW(struct service);
        map_put(p->services, key, s);
    }
    return s;
}

static void service_free(void *ptr)
{
    struct service *s = ptr;

    for (size_t i = 0; i < s->slices.len; i++)
        object_unref(s->slices.v[i]);
    vec_deinit(&s->slices);
    svcmap_free(s->map);
    mem_free(s);
}

static void on_service(struct object *before, struct object *after, void *ctx)
{
    char key[OBJECT_KEY_BYTES];

    object_key(after ? after : before, key);
    mark(ctx, key);
}

static void slice_out(struct proxy *p, struct object *slice)
{
    char key[OBJECT_KEY_BYTES];
    struct service *s;

    if (!proxy_view_slice_key(slice, key))
        return;
    s = map_get(p->services, key);
    for (size_t i = 0; s && i < s->slices.len; i++) {
        if (!str_eq(object_name(s->slices.v[i]), object_name(slice)))
            continue;
        object_unref(s->slices.v[i]);
        s->slices.v[i] = s->slices.v[--s->slices.len];
        mark(p, key);
        return;
    }
}

static void slice_in(struct proxy *p, struct object *slice)
{
    char key[OBJECT_KEY_BYTES];
    struct service *s;

    if (!proxy_view_slice_key(slice, key))
        return;
    s = service_get(p, key);
    vec_push(&s->slices, object_ref(slice));
    mark(p, key);
}

static void on_slice(struct object *before, struct object *after, void *ctx)
{
    if (before)
        slice_out(ctx, before);
    if (after)
        slice_in(ctx, after);
}

/* --- rendering */

static void refresh(struct proxy *p, const char *key)
{
    char ns[OBJECT_KEY_BYTES], name[OBJECT_KEY_BYTES];
    struct service *s = service_get(p, key);
    struct svcmap *map = NULL;
    struct svcmap_in in;
    struct object *o;

    object_key_split(key, ns, name);
    o = informer_get(p->service_informer, ns, name);
    arena_reset(p->arena);
    if (o && proxy_view_service(&in, p->arena, o)) {
        proxy_view_slices(&in, p->arena, s->slices.v, s->slices.len, p->node_name);
        map = svcmap_new(&in, s->map);
    }
    proxy_render_set(p->render, key, map);
    svcmap_free(s->map);
    s->map = map;
    if (!map && s->slices.len == 0) {
        map_del(p->services, key);
        service_free(s);
    }
}

/* What another Service held back may be free now. */
static void refresh_crowded(struct proxy *p)
{
    VEC(char *) keys = { 0 };
    const char *key;
    size_t at = 0;

    while ((key = proxy_render_next_crowded(p->render, &at)) != NULL)
        vec_push(&keys, mem_strdup(key));
    for (size_t i = 0; i < keys.len; i++) {
        refresh(p, keys.v[i]);
        mem_free(keys.v[i]);
    }
    vec_deinit(&keys);
}

static void refresh_dirty(struct proxy *p)
{
    const char *key;
    size_t at = 0;

    while (map_next(p->dirty, &at, &key, NULL))
        refresh(p, key);
    refresh_crowded(p);
    map_free(p->dirty, NULL);
    p->dirty = map_new();
}

/* --- jobs */

static int64_t now_us(void)
{
    return env_wall_us(env_real());
}

static struct apply_job *apply_job_free(struct apply_job *j)
{
    if (!j)
        return NULL;
    proxy_batch_deinit(&j->batch);
    return mem_free(j);
}

static void apply_run(struct job *job)
{
    struct apply_job *j = container_of(job, struct apply_job, job);

    j->began_us = now_us();
    j->result = proxy_apply(&j->batch, j->extent == PROXY_ANEW, &j->err);
    j->took_us = now_us() - j->began_us;
}

/* What cannot be changed is written anew; where even that fails something in the table is not as we
 * think, and it goes. */
static void apply_failed(struct proxy *p, enum proxy_extent extent, const struct err *err)
{
    p->stats.failed++;
    p->next = extent == PROXY_CHANGED ? PROXY_ANEW : PROXY_SCRATCH;
    p->retry_ms = p->retry_ms ? p->retry_ms * 2 : RETRY_FIRST_MS;
    if (p->retry_ms > PROXY_RETRY_MAX_MS)
        p->retry_ms = PROXY_RETRY_MAX_MS;
    log_warn("Service rules were not applied, all are written anew", "in_ms=%lld why=\"%s\"",
             (long long)p->retry_ms, err->msg);
}

static void apply_done(struct job *job)
{
    struct apply_job *j = container_of(job, struct apply_job, job);
    struct proxy *p = j->proxy;

    if (p && job_was_run(job)) {
        p->running = NULL;
        if (j->result < 0) {
            apply_failed(p, j->extent, &j->err);
        } else {
            p->stats.applied++;
            p->stats.applied_full += j->extent != PROXY_CHANGED;
            p->stats.last_apply_us = j->took_us;
            if (j->extent != PROXY_CHANGED)
                p->stats.last_full_us = j->took_us;
            p->ready = true;
            p->retry_ms = 0;
        }
        plan(p);
    } else if (p) {
        p->running = NULL;
    }
    apply_job_free(j);
}

static void start(struct proxy *p)
{
    struct apply_job *j = NEW(struct apply_job);
    struct err err = ERR_INIT;

    j->proxy = p;
    j->extent = p->next;
    proxy_batch_init(&j->batch);
    proxy_render_batch(p->render, j->extent, &j->batch);
    p->stats.elements = (uint32_t)proxy_render_len(p->render);
    p->stats.services = (uint32_t)map_len(p->services);
    if (proxy_batch_empty(&j->batch)) {
        apply_job_free(j);
        return;
    }
    p->next = PROXY_CHANGED;
    if (job_add(p->pool, p->loop, &j->job, JOB_NODE, "net/proxy", apply_run, apply_done,
                &err) < 0) {
        apply_failed(p, j->extent, &err);
        apply_job_free(j);
        plan(p);
        return;
    }
    p->running = j;
}

static void on_time(struct loop_timer *t)
{
    struct proxy *p = container_of(t, struct proxy, timer);

    refresh_dirty(p);
    start(p);
}

/* Decides when the next batch is due; called whenever something of it changed. */
static void plan(struct proxy *p)
{
    int64_t now = loop_now_ms(p->loop), wait;

    if (p->running || !informer_synced(p->service_informer) || !informer_synced(p->slice_informer))
        return;
    if (p->retry_ms) {                   /* a new change does not shorten the back-off */
        if (!loop_timer_is_set(&p->timer))
            loop_timer_set(p->loop, &p->timer, p->retry_ms, on_time);
        return;
    }
    if (p->next == PROXY_CHANGED && map_len(p->dirty) == 0)
        return;
    wait = p->quiet_ms;
    if (map_len(p->dirty) > 0 && p->dirty_since_ms + p->max_ms - now < wait)
        wait = p->dirty_since_ms + p->max_ms - now;
    loop_timer_set(p->loop, &p->timer, wait > 0 ? wait : 0, on_time);
}

static void on_synced(void *ctx)
{
    plan(ctx);
}

/* --- life */

static int render_new(struct proxy *p, const struct proxy_opts *o, struct err *err)
{
    struct proxy_render_opts ro = { 0 };
    struct ip4 dns;

    if (ip4_parse_net(&ro.cluster, o->cluster_cidr ? o->cluster_cidr : CLUSTER_CIDR, err) < 0)
        return err_wrap(err, "cluster CIDR");
    if (ip4_parse_net(&ro.service, o->service_cidr ? o->service_cidr : SERVICE_CIDR, err) < 0)
        return err_wrap(err, "service CIDR");
    if (!str_empty(o->dns_ip)) {
        if (ip4_parse(&dns, o->dns_ip, err) < 0)
            return err_wrap(err, "cluster DNS address");
        ro.dns_ip = dns.addr;
    }
    p->render = proxy_render_new(&ro);
    return 0;
}

static int informers_new(struct proxy *p, struct client *c, struct err *err)
{
    struct informer_opts services = { .kind = kind_service() };
    struct informer_opts slices = { .kind = kind_endpoint_slice() };

    if (informer_new(&p->service_informer, c, &services, err) < 0 ||
        informer_new(&p->slice_informer, c, &slices, err) < 0)
        return -1;
    informer_on_change(p->service_informer, on_service, p);
    informer_on_change(p->slice_informer, on_slice, p);
    informer_on_synced(p->service_informer, on_synced, p);
    informer_on_synced(p->slice_informer, on_synced, p);
    return 0;
}

int proxy_new(struct proxy **out, struct loop *l, struct client *c, struct job_pool *pool,
              const struct proxy_opts *o, struct err *err)
{
    _cleanup_(proxy_freep) struct proxy *p = NEW(struct proxy);

    check(l && c && pool && o->node_name);
    p->loop = l;
    p->pool = pool;
    p->node_name = mem_strdup(o->node_name);
    p->quiet_ms = o->quiet_ms ? o->quiet_ms : PROXY_QUIET_MS;
    p->max_ms = o->max_ms ? o->max_ms : PROXY_MAX_MS;
    p->services = map_new();
    p->dirty = map_new();
    p->arena = arena_new(ARENA_BYTES);
    p->next = PROXY_ANEW;
    if (render_new(p, o, err) < 0 || informers_new(p, c, err) < 0)
        return err_wrap(err, "service proxy");
    *out = TAKE(p);
    return 0;
}

struct proxy *proxy_free(struct proxy *p)
{
    if (!p)
        return NULL;
    if (p->running)
        p->running->proxy = NULL;
    loop_timer_del(&p->timer);
    informer_free(p->service_informer);
    informer_free(p->slice_informer);
    map_free(p->services, service_free);
    map_free(p->dirty, NULL);
    proxy_render_free(p->render);
    arena_free(p->arena);
    mem_free(p->node_name);
    return mem_free(p);
}

bool proxy_ready(const struct proxy *p)
{
    return p->ready;
}

void proxy_stats(const struct proxy *p, struct proxy_stats *out)
{
    *out = p->stats;
}
