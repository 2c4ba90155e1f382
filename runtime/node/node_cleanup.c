/* node_cleanup.c -- everything of a node that does not run any more goes; may be repeated. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "runtime/node/node_conf.h"
#include "runtime/node/node_volume.h"
#include "runtime/node/pod_reap.h"
#include "runtime/shim/shim_box.h"
#include "runtime/shim/shim_state.h"

#define TRIES 500
#define WAIT_MS 10

static const char *const run_files[] = { "pods", "volumes", "addresses", "cidr", "box" };

struct cleanup {
    const char *run_dir, *data_dir;
    struct cgroup *cgroup;
    struct err *err;                     /* the first failure */
    bool failed;
};

static void note(struct cleanup *c, const struct err *err)
{
    if (!c->failed && c->err)
        *c->err = *err;
    c->failed = true;
}

static void wait_a_bit(void)
{
    const struct timespec t = { .tv_nsec = WAIT_MS * 1000000L };

    nanosleep(&t, NULL);
}

static void kill_shim(struct cleanup *c, const char *dir)
{
    struct err err = ERR_INIT;

    if (pod_reap_shim(dir, &err) < 0)
        note(c, &err);
}

static void each_pod(struct cleanup *c, void (*what)(struct cleanup *, const char *dir))
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/pods", c->run_dir);
    DIR *d = opendir(path);
    struct dirent *e;

    while (d && (e = readdir(d)) != NULL) {
        _cleanup_(mem_freep) char *dir = mem_printf("%s/%s", path, e->d_name);

        if (e->d_name[0] != '.')
            what(c, dir);
    }
    if (d)
        closedir(d);
}

static void clean_state(struct cleanup *c, const char *dir)
{
    struct err err = ERR_INIT;

    if (shim_state_clean(dir, &err) < 0)
        note(c, &err);
}

static void remove_group(void *ctx, const char *name)
{
    struct cleanup *c = ctx;
    struct err err = ERR_INIT;

    if (!str_starts(name, "pod"))
        return;
    for (int i = 0; i < TRIES; i++) {
        if (cgroup_kill(c->cgroup, name, &err) == 0 && cgroup_remove(c->cgroup, name, &err) == 0)
            return;
        if (err.code != ERR_UNAVAILABLE)
            break;
        wait_a_bit();
    }
    note(c, &err);
}

static void remove_groups(struct cleanup *c, const char *root)
{
    struct err err = ERR_INIT;

    if (cgroup_open(&c->cgroup, root, &err) < 0 ||
        cgroup_list(c->cgroup, "", remove_group, c, &err) < 0 ||
        cgroup_remove(c->cgroup, "", &err) < 0)
        if (err.code != ERR_UNAVAILABLE)     /* somebody else's processes in the root: not ours */
            note(c, &err);
    c->cgroup = cgroup_free(c->cgroup);
}

static void remove_leases(struct cleanup *c)
{
    _cleanup_(mem_freep) char *dir = mem_printf("%s/images", c->data_dir);
    struct image_store *s = NULL;
    struct err err = ERR_INIT;
    char **ids = NULL;
    size_t n = 0;

    if (access(dir, F_OK) < 0)
        return;
    if (image_store_open(&s, dir, env_real(), &err) < 0 ||
        image_lease_list(&ids, &n, s, &err) < 0)
        note(c, &err);
    for (size_t i = 0; i < n; i++)
        if (image_unlease(s, ids[i], &err) < 0)
            note(c, &err);
    image_lease_list_free(ids, n);
    image_store_free(s);
}

static void remove_files(struct cleanup *c)
{
    struct err err = ERR_INIT;
    _cleanup_(mem_freep) char *pods = mem_printf("%s/pods", c->data_dir);

    if (node_volume_sweep(c->data_dir, c->run_dir, NULL, &err) < 0)
        note(c, &err);
    if (fd_remove_tree(AT_FDCWD, pods, &err) < 0)
        note(c, &err);
    if (shim_box_remove(c->run_dir, &err) < 0)
        note(c, &err);
    for (size_t i = 0; i < ARRAY_LEN(run_files); i++) {
        _cleanup_(mem_freep) char *path = mem_printf("%s/%s", c->run_dir, run_files[i]);

        if (fd_remove_tree(AT_FDCWD, path, &err) < 0)
            note(c, &err);
    }
    (void)rmdir(c->run_dir);                 /* others may keep something there */
}

int node_cleanup(const struct node_opts *o, struct err *err)
{
    struct cleanup c = { .run_dir = o->run_dir, .data_dir = o->data_dir, .err = err };
    struct err own = ERR_INIT;

    check(o->run_dir && o->data_dir);
    each_pod(&c, kill_shim);
    remove_groups(&c, o->cgroup_root);
    each_pod(&c, clean_state);
    if (pod_net_down(NODE_JOB_MS, &own) < 0)
        note(&c, &own);
    remove_leases(&c);
    remove_files(&c);
    return c.failed ? -1 : 0;
}
