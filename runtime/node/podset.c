/* podset.c -- a map of machines by uid, and the informer that tells what should be in it. */
#include "runtime/node/podset.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "runtime/node/pod_record.h"
#include "runtime/node/pod_self.h"

#define UID_BYTES 64

struct podset {
    struct node_self *self;
    struct informer *informer;
    struct map *pods;                    /* uid -> struct pod */
    bool synced;
    bool stopping;
    void (*on_stopped)(void *ctx);
    void *stopped_ctx;
    struct loop_timer stop_timer;
};

/* --- walking */

struct pod *podset_find(const struct podset *s, const char *uid)
{
    return map_get(s->pods, uid);
}

struct pod *podset_next(const struct podset *s, size_t *at)
{
    void *value;

    return map_next(s->pods, at, NULL, &value) ? value : NULL;
}

struct pod *podset_find_name(const struct podset *s, const char *ns, const char *name,
                             const char *uid)
{
    struct pod *p, *found = NULL;

    for (size_t at = 0; (p = podset_next(s, &at)) != NULL;)
        if (str_eq(p->ns, ns) && str_eq(p->name, name) &&
            (str_empty(uid) || str_eq(p->uid, uid)) && (!found || found->gone))
            found = p;
    return found;
}

size_t podset_len(const struct podset *s)
{
    return map_len(s->pods);
}

void podset_touch_all(struct podset *s)
{
    struct pod *p;

    for (size_t at = 0; (p = podset_next(s, &at)) != NULL;)
        pod_touch(p);
}

void podset_claim_all(struct podset *s)
{
    struct pod *p;

    for (size_t at = 0; (p = podset_next(s, &at)) != NULL;)
        pod_claim_address(p);
}

bool podset_synced(const struct podset *s)
{
    return s->synced;
}

struct informer *podset_informer(struct podset *s)
{
    return s->informer;
}

/* --- desired */

static void on_change(struct object *before, struct object *after, void *ctx)
{
    struct podset *s = ctx;
    struct pod *p;

    if (before && (!after || !str_eq(object_uid(before), object_uid(after)))) {
        p = podset_find(s, object_uid(before));
        if (p)
            pod_set_gone(p);
    }
    if (!after)
        return;
    p = podset_find(s, object_uid(after));
    if (p) {
        pod_set_object(p, after);
        return;
    }
    p = pod_new(s->self, &(struct pod_new_opts){ .object = after });
    map_put(s->pods, p->uid, p);
}

/* Those that only the disk knew and the API does not name have ended there. */
static void on_synced(void *ctx)
{
    struct podset *s = ctx;
    struct pod *p;

    s->synced = true;
    for (size_t at = 0; (p = podset_next(s, &at)) != NULL;) {
        struct object *o = informer_get(s->informer, p->ns, p->name);

        if (!o || !str_eq(object_uid(o), p->uid))
            pod_set_gone(p);
    }
    if (s->self->on_pods_synced)
        s->self->on_pods_synced(s->self->ctx);
}

/* --- what a former run left */

static void adopt(struct podset *s, const char *uid)
{
    _cleanup_(mem_freep) char *dir = mem_printf("%s/pods/%s", s->self->conf->run_dir, uid);
    struct pod_record_read r = { 0 };
    struct err err = ERR_INIT;
    struct pod *p;

    if (pod_record_read(&r, dir, &err) < 0) {
        if (err.sys_errno != ENOENT)         /* else the sweep's */
            log_warn("pod record not read", "pod=%s why=\"%s\"", uid, err.msg);
        return;
    }
    if (str_eq(object_uid(r.object), uid)) {
        p = pod_new(s->self, &(struct pod_new_opts){
            .object = r.object, .start_us = r.start_us, .final = r.final, .attempts = r.attempts,
            .adopted = true });
        map_put(s->pods, p->uid, p);
        log_info("pod found again", "pod=%s/%s uid=%s", p->ns, p->name, p->uid);
    }
    pod_record_deinit(&r);
}

static void adopt_all(struct podset *s)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/pods", s->self->conf->run_dir);
    DIR *d = opendir(path);
    struct dirent *e;

    if (!d)
        return;
    while ((e = readdir(d)) != NULL)
        if (e->d_name[0] != '.' && strlen(e->d_name) < UID_BYTES)
            adopt(s, e->d_name);
    closedir(d);
}

/* --- life */

int podset_new(struct podset **out, struct node_self *self, struct err *err)
{
    _cleanup_(mem_freep) char *select = mem_printf("spec.nodeName=%s", self->conf->name);
    struct podset *s = NEW(struct podset);

    s->self = self;
    s->pods = map_new();
    self->pods = s;
    adopt_all(s);
    if (informer_new(&s->informer, self->client,
                     &(struct informer_opts){ .kind = kind_pod(), .field_selector = select },
                     err) < 0) {
        podset_free(s);
        return -1;
    }
    informer_on_change(s->informer, on_change, s);
    informer_on_synced(s->informer, on_synced, s);
    *out = s;
    return 0;
}

static void free_pod(void *p)
{
    pod_free(p);
}

struct podset *podset_free(struct podset *s)
{
    if (!s)
        return NULL;
    loop_timer_del(&s->stop_timer);
    s->informer = informer_free(s->informer);
    map_free(s->pods, free_pod);
    s->self->pods = NULL;
    mem_free(s);
    return NULL;
}

/* --- ending all */

static void stop_on_time(struct loop_timer *t)
{
    struct podset *s = container_of(t, struct podset, stop_timer);
    void (*done)(void *) = s->on_stopped;

    s->on_stopped = NULL;
    if (done)
        done(s->stopped_ctx);
}

void podset_pod_settled(struct podset *s)
{
    struct pod *p;

    if (!s->stopping || !s->on_stopped)
        return;
    for (size_t at = 0; (p = podset_next(s, &at)) != NULL;)
        if (p->sm.now < POD_DONE && (p->sm.now != POD_ADMIT || p->adopted))
            return;
    loop_timer_set(s->self->loop, &s->stop_timer, 0, stop_on_time);
}

void podset_stop(struct podset *s, int64_t grace_ms, void (*done)(void *ctx), void *ctx)
{
    struct pod *p;

    s->stopping = true;
    s->on_stopped = done;
    s->stopped_ctx = ctx;
    s->self->draining = true;
    for (size_t at = 0; (p = podset_next(s, &at)) != NULL;)
        pod_end(p, grace_ms);
    podset_pod_settled(s);
}

void podset_pod_gone(struct podset *s, struct pod *p)
{
    map_del(s->pods, p->uid);
    pod_free(p);
    podset_pod_settled(s);
}
