/* pod_job.c -- what of a pod's life blocks: directories, groups, network, removal. A job sees only
 * its own struct; its end is told to the pod that is still there. Jobs of a pod run in turn. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "runtime/node/pod_files.h"
#include "runtime/node/pod_plan.h"
#include "runtime/node/pod_reap.h"
#include "runtime/node/pod_record.h"
#include "runtime/node/pod_self.h"
#include "runtime/shim/shim_state.h"

#define HOST_FILE_MAX (1u << 20)
#define REMOVE_TRIES 200                 /* of a group whose processes still die */
#define REMOVE_WAIT_MS 10

struct pod_job {
    struct job job;
    struct list link;
    struct node_self *self;
    struct pod *pod;                     /* NULL: nobody waits */
    struct pod_op *op;                   /* the pod's or a container's; NULL: nobody waits */
    int (*work)(struct pod_job *j, struct err *err);
    struct err err;
    bool failed;
    struct object *object;
    char *dir, *data, *group, *logs, *uid;
    char *id, *name;                     /* of a run and its container */
    unsigned attempt;
    char **leases;                       /* NULL-ended */
    bool has_lease;
    struct pod_net_lease lease;
    struct cgroup_limits limits;
    char *ip;
};

/* --- around the work */

static void job_free(struct pod_job *j)
{
    list_del(&j->link);
    object_unref(j->object);
    for (size_t i = 0; j->leases && j->leases[i]; i++)
        mem_free(j->leases[i]);
    mem_free(j->leases);
    mem_free(j->dir);
    mem_free(j->data);
    mem_free(j->group);
    mem_free(j->logs);
    mem_free(j->uid);
    mem_free(j->id);
    mem_free(j->name);
    mem_free(j->ip);
    node_drop(j->self);
    mem_free(j);
}

static void job_run(struct job *job)
{
    struct pod_job *j = container_of(job, struct pod_job, job);

    j->failed = j->work(j, &j->err) < 0;
}

static void job_done(struct job *job)
{
    struct pod_job *j = container_of(job, struct pod_job, job);

    if (!job_was_run(job)) {
        j->failed = true;
        err_set(&j->err, ERR_CANCELED, "the node stops");
    }
    if (j->failed && !j->op)
        log_warn("pod work failed", "pod=%s why=\"%s\"", j->uid, j->err.msg);
    if (j->pod && j->op) {
        pod_op_end(j->op, j->failed ? &j->err : NULL);
        pod_touch(j->pod);
    }
    job_free(j);
}

static struct pod_job *job_new(struct pod *p, int (*work)(struct pod_job *, struct err *))
{
    struct pod_job *j = NEW(struct pod_job);

    j->self = node_hold(p->self);
    j->pod = p;
    j->work = work;
    j->object = object_ref(p->object);
    j->dir = mem_strdup(p->dir);
    j->data = mem_strdup(p->data);
    j->group = mem_strdup(p->group);
    j->logs = mem_strdup(p->logs);
    j->uid = mem_strdup(p->uid);
    j->ip = mem_strdup(pod_ip(p));
    j->has_lease = p->has_lease;
    j->lease = p->lease;
    list_push(&p->jobs, &j->link);
    return j;
}

static void job_start(struct pod *p, struct pod_job *j, struct pod_op *op)
{
    char key[JOB_KEY_BYTES];
    struct err err = ERR_INIT;

    j->op = op;
    if (op)
        pod_op_begin(op);
    snprintf(key, sizeof(key), "pod/%.300s", p->uid);
    if (job_add(p->self->jobs, p->self->loop, &j->job, JOB_NODE, key, job_run, job_done,
                &err) == 0)
        return;
    if (op)
        pod_op_end(op, &err);
    pod_touch(p);
    job_free(j);
}

void pod_job_orphan(struct pod *p)
{
    list_each(j, &p->jobs, struct pod_job, link) {
        j->pod = NULL;
        j->op = NULL;
        list_del(&j->link);
    }
}

void pod_job_orphan_op(struct pod *p, struct pod_op *op)
{
    list_each(j, &p->jobs, struct pod_job, link)
        if (j->op == op)
            j->op = NULL;
    *op = (struct pod_op){ 0 };
}

/* --- small tools */

static int write_plain(const char *path, mode_t mode, const char *text, size_t len,
                       struct err *err)
{
    _cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0 || fchmod(fd, mode) < 0)
        return err_sys(err, "create %s", path);
    return fd_write_all(fd, text ? text : "", len, err);
}

static int make_dir(mode_t mode, struct err *err, const char *path)
{
    if (mkdir(path, mode) < 0 && errno != EEXIST)
        return err_sys(err, "mkdir %s", path);
    return 0;
}

/* --- set-up */

int pod_job_record(const struct pod *p, struct err *err)
{
    _cleanup_(mem_freep) char *attempts = pod_container_attempts(p);

    return pod_record_write(p->dir, &(struct pod_record){
        .object = object_bytes(p->object), .final = p->final, .attempts = attempts,
        .start_us = p->start_us }, err);
}

static int setup_work(struct pod_job *j, struct err *err)
{
    if (fd_mkdirs(j->data, 0711, err) < 0 || fd_mkdirs(j->logs, 0755, err) < 0)
        return -1;
    return j->self->kernel->group_make(j->self->cgroup, j->group, &j->limits, err);
}

void pod_job_setup(struct pod *p)
{
    struct pod_job *j;
    struct err err = ERR_INIT;

    if (fd_mkdirs(p->dir, 0700, &err) < 0 || pod_job_record(p, &err) < 0) {
        pod_op_end(&p->op, &err);
        pod_touch(p);
        return;
    }
    p->recorded = true;
    j = job_new(p, setup_work);
    pod_plan_pod_limits(&j->limits, &p->view->spec);
    job_start(p, j, &p->op);
}

/* --- network */

static int write_etc(struct pod_job *j, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(64u << 10);
    _cleanup_buf_ struct buf hosts = BUF_INIT, resolv = BUF_INIT, host = BUF_INIT;
    _cleanup_buf_ struct buf host_hosts = BUF_INIT;
    const struct pod_view *pod = pod_view(j->object);
    const struct node_conf *conf = j->self->conf;
    const char *name = pod_files_hostname(a, conf, pod);

    (void)fd_read_file(&host, AT_FDCWD, conf->resolv_conf, HOST_FILE_MAX, NULL);
    if (pod->spec.host_network)
        (void)fd_read_file(&host_hosts, AT_FDCWD, "/etc/hosts", HOST_FILE_MAX, NULL);
    pod_files_hosts(&hosts, conf, pod, j->ip, host_hosts.p);
    pod_files_resolv(&resolv, conf, pod, host.p);
    name = arena_printf(a, "%s\n", name);
    if (write_plain(arena_printf(a, "%s/etc-hosts", j->data), 0644, hosts.p, hosts.len, err) < 0 ||
        write_plain(arena_printf(a, "%s/resolv.conf", j->data), 0644, resolv.p, resolv.len,
                    err) < 0)
        return -1;
    return write_plain(arena_printf(a, "%s/hostname", j->data), 0644, name, strlen(name), err);
}

static int attach_work(struct pod_job *j, struct err *err)
{
    _cleanup_(mem_freep) char *netns = mem_printf("%s/" SHIM_NETNS_FILE, j->dir);

    if (j->has_lease &&
        j->self->kernel->net_attach(&j->lease, netns, NODE_JOB_MS, err) < 0)
        return -1;
    return write_etc(j, err);
}

void pod_job_attach(struct pod *p)
{
    job_start(p, job_new(p, attach_work), &p->op);
}

/* --- one run */

static int prepare_work(struct pod_job *j, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(64u << 10);
    const char *base = arena_printf(a, "%s/containers", j->data);
    const char *run = arena_printf(a, "%s/%s", base, j->id);

    if (make_dir(0711, err, base) < 0 || make_dir(0711, err, run) < 0 ||
        make_dir(0755, err, arena_printf(a, "%s/upper", run)) < 0 ||
        make_dir(0700, err, arena_printf(a, "%s/work", run)) < 0 ||
        fd_mkdirs(arena_printf(a, "%s/%s", j->logs, j->name), 0755, err) < 0)
        return -1;
    return write_plain(arena_printf(a, "%s/message", run), 0666, "", 0, err);
}

void pod_job_prepare(struct pod_container *c)
{
    struct pod_job *j = job_new(c->pod, prepare_work);

    j->id = mem_strdup(c->next_id);
    j->name = mem_strdup(c->name);
    job_start(c->pod, j, &c->op);
}

static int drop_work(struct pod_job *j, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(64u << 10);

    unlink(arena_printf(a, "%s/%s.plan", j->dir, j->id));
    if (j->name)
        unlink(arena_printf(a, "%s/%s/%u.log", j->logs, j->name, j->attempt));
    return fd_remove_tree(AT_FDCWD, arena_printf(a, "%s/containers/%s", j->data, j->id), err);
}

void pod_job_drop_run(struct pod_container *c, const struct pod_run *r, bool with_log)
{
    struct pod_job *j = job_new(c->pod, drop_work);

    j->id = mem_strdup(r->id);
    j->name = with_log ? mem_strdup(c->name) : NULL;
    j->attempt = r->attempt;
    job_start(c->pod, j, NULL);
}

/* --- the end */

static int remove_group(struct pod_job *j, struct err *err)
{
    const struct timespec wait = { .tv_nsec = REMOVE_WAIT_MS * 1000000L };
    const struct node_kernel *k = j->self->kernel;

    if (k->group_kill(j->self->cgroup, j->group, err) < 0)
        return -1;
    for (int i = 0; k->group_remove(j->self->cgroup, j->group, err) < 0; i++) {
        if (i >= REMOVE_TRIES || err->code != ERR_UNAVAILABLE)
            return -1;
        nanosleep(&wait, NULL);
    }
    return 0;
}

static int clean_work(struct pod_job *j, struct err *err)
{
    static const char *const leftovers[] = { "containers", "etc-hosts", "resolv.conf", "hostname" };
    _cleanup_(arena_freep) struct arena *a = arena_new(64u << 10);

    if (pod_reap_shim(j->dir, err) < 0 || remove_group(j, err) < 0)
        return -1;
    err_clear(err);
    if (j->has_lease && j->self->kernel->net_detach(&j->lease, NODE_JOB_MS, err) < 0)
        return -1;
    if (shim_state_clean(j->dir, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(leftovers); i++)
        if (fd_remove_tree(AT_FDCWD, arena_printf(a, "%s/%s", j->data, leftovers[i]), err) < 0)
            return -1;
    for (size_t i = 0; j->leases[i]; i++)
        if (j->self->kernel->image_unlease(j->self->store, j->leases[i], err) < 0)
            return -1;
    return 0;
}

void pod_job_clean(struct pod *p)
{
    struct pod_job *j = job_new(p, clean_work);

    j->leases = mem_alloc_array(p->n_containers + 1, sizeof(*j->leases));
    for (size_t i = 0; i < p->n_containers; i++)
        j->leases[i] = mem_printf("%s.%s", p->uid, p->containers[i].name);
    job_start(p, j, &p->op);
}

static int forget_work(struct pod_job *j, struct err *err)
{
    if (fd_remove_tree(AT_FDCWD, j->logs, err) < 0 || fd_remove_tree(AT_FDCWD, j->data, err) < 0)
        return -1;
    return fd_remove_tree(AT_FDCWD, j->dir, err);        /* the ledger last */
}

void pod_job_forget(struct pod *p)
{
    job_start(p, job_new(p, forget_work), &p->op);
}
