/* node_sweep.c -- the ledgers compared with what is there, in one job. */
#include "runtime/node/node_sweep.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/vec.h"
#include "runtime/node/node_volume.h"
#include "runtime/node/pod_reap.h"
#include "runtime/node/pod_self.h"
#include "runtime/node/podset.h"
#include "runtime/shim/shim_state.h"

struct sweep {
    struct job job;
    struct node_self *self;
    struct map *keep;                    /* uids */
    VEC(const char *) uids;              /* the same, NULL-ended; texts are the leases' or ours */
    VEC(struct pod_net_lease) stale;     /* of pods that are gone */
};

/* --- on the job's thread */

static bool keeps(const struct sweep *s, const char *uid)
{
    return map_get(s->keep, uid);
}

static void complain(const char *what, const struct err *err)
{
    log_warn("leftover not removed", "what=%s why=\"%s\"", what, err->msg);
}

static void sweep_group(void *ctx, const char *name)
{
    const struct sweep *s = ctx;
    struct err err = ERR_INIT;

    if (!str_starts(name, "pod") || keeps(s, name + 3))
        return;
    log_info("leftover group", "name=%s", name);
    if (cgroup_kill(s->self->cgroup, name, &err) < 0 ||
        (cgroup_remove(s->self->cgroup, name, &err) < 0 && err.code != ERR_UNAVAILABLE))
        complain(name, &err);
}

/* Entries of a directory whose uid (what follows the last '_') is nobody's. */
static void sweep_dir(const struct sweep *s, const char *base, const char *sub)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/%s", base, sub);
    struct err err = ERR_INIT;
    DIR *d = opendir(path);
    struct dirent *e;

    while (d && (e = readdir(d)) != NULL) {
        const char *uid = strrchr(e->d_name, '_');

        uid = uid ? uid + 1 : e->d_name;
        if (e->d_name[0] == '.' || keeps(s, uid))
            continue;
        if (fd_remove_tree(dirfd(d), e->d_name, &err) < 0)
            complain(e->d_name, &err);
    }
    if (d)
        closedir(d);
}

/* What a node role left that died while it recorded a pod, or forgot one. */
static void sweep_records(const struct sweep *s)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/pods", s->self->conf->run_dir);
    struct err err = ERR_INIT;
    DIR *d = opendir(path);
    struct dirent *e;

    while (d && (e = readdir(d)) != NULL) {
        _cleanup_(mem_freep) char *dir = mem_printf("%s/%s", path, e->d_name);

        if (e->d_name[0] == '.' || keeps(s, e->d_name))
            continue;
        if (pod_reap_shim(dir, &err) < 0 || shim_state_clean(dir, &err) < 0 ||
            fd_remove_tree(dirfd(d), e->d_name, &err) < 0)
            complain(e->d_name, &err);
    }
    if (d)
        closedir(d);
}

/* A lease's id is UID.CONTAINER. */
static void sweep_images(const struct sweep *s)
{
    struct err err = ERR_INIT;
    char **ids = NULL;
    size_t n = 0;

    if (image_lease_list(&ids, &n, s->self->store, &err) < 0) {
        complain("image leases", &err);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        _cleanup_(mem_freep) char *uid = mem_strndup(ids[i], strcspn(ids[i], "."));

        if (!keeps(s, uid) && image_unlease(s->self->store, ids[i], &err) < 0)
            complain(ids[i], &err);
    }
    image_lease_list_free(ids, n);
}

static void run(struct job *job)
{
    struct sweep *s = container_of(job, struct sweep, job);
    const struct node_conf *conf = s->self->conf;
    struct err err = ERR_INIT;

    sweep_records(s);
    if (cgroup_list(s->self->cgroup, "", sweep_group, s, &err) < 0)
        complain("groups", &err);
    for (size_t i = 0; i < s->stale.len; i++)
        if (s->self->kernel->net_detach(&s->stale.v[i], NODE_JOB_MS, &err) < 0)
            complain(s->stale.v[i].host_if, &err);
    if (node_volume_sweep(conf->data_dir, conf->run_dir, s->uids.v, &err) < 0)
        complain("volumes", &err);
    sweep_dir(s, conf->data_dir, "pods");
    sweep_dir(s, conf->data_dir, "logs");
    sweep_images(s);
}

/* --- on the loop */

static void done(struct job *job)
{
    struct sweep *s = container_of(job, struct sweep, job);
    struct err err = ERR_INIT;

    for (size_t i = 0; i < s->stale.len && job_was_run(job); i++)
        if (pod_net_release(s->self->net, s->stale.v[i].uid, &err) < 0)
            complain(s->stale.v[i].uid, &err);
    s->self->swept = true;
    if (s->self->pods)
        podset_touch_all(s->self->pods);
    map_free(s->keep, NULL);
    for (size_t i = 0; i < s->uids.len; i++)
        mem_free((void *)s->uids.v[i]);
    vec_deinit(&s->uids);
    vec_deinit(&s->stale);
    node_drop(s->self);
    mem_free(s);
}

void node_sweep_start(struct node_self *self)
{
    struct sweep *s = NEW(struct sweep);
    struct pod_net_lease lease;
    struct err err = ERR_INIT;
    struct pod *p;

    s->self = node_hold(self);
    s->keep = map_new();
    for (size_t at = 0; (p = podset_next(self->pods, &at)) != NULL;) {
        map_put(s->keep, p->uid, s);
        vec_push(&s->uids, mem_strdup(p->uid));
    }
    vec_push(&s->uids, NULL);
    for (size_t at = 0; pod_net_next(self->net, &at, &lease);) {
        if (!map_get(s->keep, lease.uid))
            vec_push(&s->stale, lease);
    }
    if (job_add(self->jobs, self->loop, &s->job, JOB_NODE, "node/sweep", run, done, &err) < 0) {
        log_warn("leftovers not removed", "why=\"%s\"", err.msg);
        done(&s->job);
    }
}
