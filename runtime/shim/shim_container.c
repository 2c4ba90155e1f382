/* shim_container.c -- one container from plan to exit code.
 *
 *   create: group, pipes, clone -> [set up] -> answered, CREATED
 *   start:  let go -> [exec done] -> answered, RUNNING
 *   exit:   reaped -> rest of the group killed -> outputs drained -> EXITED, told and written down
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "runtime/shim/shim_self.h"

struct shim_box_container *shim_container_find(struct shim_self *s, const char *id)
{
    list_each(c, &s->containers, struct shim_box_container, link)
        if (str_eq(c->info.id, id))
            return c;
    return NULL;
}

static void set_text(const char **at, const char *text)
{
    mem_free((char *)*at);
    *at = mem_strdup(text);
}

static void container_unwatch(struct shim_box_container *c)
{
    loop_io_del(&c->on_sync);
    loop_io_del(&c->on_pid);
    loop_timer_del(&c->drain);
}

void shim_container_free(struct shim_box_container *c)
{
    container_unwatch(c);
    shim_detach_all(c, true);
    for (int i = 0; i < SHIM_LOG_STREAMS; i++)
        shim_stream_end(&c->out[i]);
    shim_stdin_close(c);
    shim_log_close(&c->log, shim_now_ns(c->self));
    oci_proc_deinit(&c->proc);
    if (cgroup_kill(c->self->cgroup, c->group, NULL) == 0)
        (void)cgroup_remove(c->self->cgroup, c->group, NULL);    /* else with the pod's */
    list_del(&c->link);
    c->self->n_containers--;
    mem_free((char *)c->info.id);
    mem_free((char *)c->info.note);
    mem_free((char *)c->info.log_path);
    mem_free((char *)c->info.message);
    mem_free(c->group);
    mem_free(c);
}

/* --- the end */

static void container_finish(struct shim_box_container *c)
{
    container_unwatch(c);
    for (int i = 0; i < SHIM_LOG_STREAMS; i++)
        shim_stream_end(&c->out[i]);
    shim_stdin_close(c);
    shim_log_close(&c->log, shim_now_ns(c->self));
    shim_detach_all(c, false);
    (void)cgroup_remove(c->self->cgroup, c->group, NULL);
    c->info.state = SHIM_EXITED;
    shim_save(c->self);
    shim_tell_container(c->self, c);
    if (c->start_seq) {
        struct err why = ERR_INIT;

        err_set(&why, ERR_FAILED, "%s", c->info.message);
        shim_answer(c->self, c->start_seq, *c->info.message ? &why : NULL);
        c->start_seq = 0;
    }
}

static void drain_on_time(struct loop_timer *t)
{
    container_finish(container_of(t, struct shim_box_container, drain));
}

void shim_container_drained(struct shim_box_container *c)
{
    if (c->info.state != SHIM_EXITED)
        container_finish(c);
}

static void container_died(struct shim_box_container *c, int status, int sig)
{
    struct cgroup_usage use;

    c->dead = true;
    c->info.finished_ns = shim_now_ns(c->self);
    c->info.pid = 0;
    c->info.exit_code = *c->info.message ? 128 : status;
    c->info.signal = *c->info.message ? 0 : sig;
    c->info.oom_killed = cgroup_usage(c->self->cgroup, c->group, &use, NULL) == 0 &&
                         use.oom_kills > 0 && status == 128 + SIGKILL;
    c->proc.pid = 0;
    c->proc.pidfd = fd_close(c->proc.pidfd);
    c->proc.sync = fd_close(c->proc.sync);
    (void)cgroup_kill(c->self->cgroup, c->group, NULL);
    shim_stream_drain(c);
    if (shim_stream_open(c))
        loop_timer_set(c->self->loop, &c->drain, SHIM_DRAIN_MS, drain_on_time);
    else
        container_finish(c);
}

/* --- the way there */

static void create_failed(struct shim_box_container *c, const struct err *why)
{
    struct shim_self *s = c->self;
    uint32_t seq = c->create_seq;

    shim_container_free(c);
    shim_answer(s, seq, why);
}

static int container_created(struct shim_box_container *c, struct err *err)
{
    uint32_t seq = c->create_seq;

    if (c->tty) {
        int fd = fcntl(c->proc.pty, F_DUPFD_CLOEXEC, 3);

        if (fd < 0)
            return err_sys(err, "terminal");
        if (c->in >= 0) {                    /* a placeholder until the terminal is there */
            fd_close(c->in);
            c->in = fcntl(c->proc.pty, F_DUPFD_CLOEXEC, 3);
        }
        if (shim_stream_add(c, SHIM_LOG_STDOUT, fd, err) < 0)
            return -1;
    }
    c->info.state = SHIM_CREATED;
    c->info.created_ns = shim_now_ns(c->self);
    c->create_seq = 0;                       /* from here on it counts */
    shim_save(c->self);
    shim_tell_container(c->self, c);
    shim_answer(c->self, seq, NULL);
    return 0;
}

static void container_started(struct shim_box_container *c)
{
    loop_io_del(&c->on_sync);
    c->proc.sync = fd_close(c->proc.sync);
    if (!c->going)                           /* died before it was let go: its exit comes next */
        return;
    c->info.state = SHIM_RUNNING;
    c->info.started_ns = shim_now_ns(c->self);
    shim_save(c->self);
    shim_tell_container(c->self, c);
    shim_answer(c->self, c->start_seq, NULL);
    c->start_seq = 0;
}

/* False when c is gone. */
static bool container_listen(struct shim_box_container *c)
{
    enum oci_step step = OCI_WAIT;
    struct err err = ERR_INIT;

    if (oci_next(&c->proc, &step, &err) < 0) {
        if (c->create_seq) {
            create_failed(c, &err);
            return false;
        }
        loop_io_del(&c->on_sync);
        set_text(&c->info.message, err.msg); /* reaped in a moment, as exited with 128 */
        return true;
    }
    if (step == OCI_CREATED && container_created(c, &err) < 0) {
        create_failed(c, &err);
        return false;
    }
    if (step == OCI_STARTED && c->create_seq) {
        err_set(&err, ERR_FAILED, "the container's process died while it was set up");
        create_failed(c, &err);
        return false;
    }
    if (step == OCI_STARTED)
        container_started(c);
    return true;
}

static void container_on_sync(struct loop_io *io, unsigned events)
{
    (void)events;
    container_listen(container_of(io, struct shim_box_container, on_sync));
}

static void container_on_pid(struct loop_io *io, unsigned events)
{
    struct shim_box_container *c = container_of(io, struct shim_box_container, on_pid);
    int status = 255, sig = 0;

    (void)events;
    while (c->on_sync.loop)                  /* its last words first */
        if (!container_listen(c))
            return;
    if (proc_reap(c->proc.pidfd, &status, &sig, NULL) == 0)
        return;
    loop_io_del(&c->on_pid);
    container_died(c, status, sig);
}

/* --- create */

static int make_pipe(int *ours, int *its, bool we_read, struct err *err)
{
    int pair[2];

    if (pipe2(pair, O_CLOEXEC) < 0)
        return err_sys(err, "pipe");
    *ours = pair[we_read ? 0 : 1];
    *its = pair[we_read ? 1 : 0];
    return 0;
}

static int container_pipes(struct shim_box_container *c, bool with_stdin, int its[3],
                           struct err *err)
{
    int fd = -1;

    if (c->tty) {
        if (with_stdin)
            c->in = open("/dev/null", O_WRONLY | O_CLOEXEC);
        return 0;
    }
    if (with_stdin && make_pipe(&c->in, &its[0], false, err) < 0)
        return -1;
    for (int i = 0; i < SHIM_LOG_STREAMS; i++)
        if (make_pipe(&fd, &its[i + 1], true, err) < 0 ||
            shim_stream_add(c, (enum shim_log_stream)i, fd, err) < 0)
            return -1;
    return 0;
}

static struct cgroup_limits limits_of(const struct json *v)
{
    return (struct cgroup_limits){
        .cpu_shares = (uint64_t)json_get_int(v, "shares", 0),
        .cpu_quota_us = json_get_int(v, "quota", 0), .cpu_period_us = json_get_int(v, "period", 0),
        .memory_max_bytes = json_get_int(v, "memory", 0),
        .memory_low_bytes = json_get_int(v, "memoryLow", 0), .pids_max = json_get_int(v, "pids", 0),
    };
}

/* The pod as a container sees it: with join_pids another one's PID namespace. */
static int pod_for(struct oci_pod *out, struct shim_self *s, const struct oci_plan *p,
                   struct err *err)
{
    const struct shim_box_container *target;

    *out = s->pod;
    if (str_empty(p->join_pids))
        return 0;
    target = shim_container_find(s, p->join_pids);
    if (!target || target->info.state != SHIM_RUNNING || target->proc.pidfd < 0)
        return err_set(err, ERR_NOT_FOUND, "the target container is not running");
    out->pids = target->proc.pidfd;
    return 0;
}

static int container_launch(struct shim_box_container *c, const struct oci_plan *p,
                            const struct json *v, struct err *err)
{
    struct cgroup_limits limits = limits_of(json_get(v, "limits"));
    struct shim_self *s = c->self;
    struct oci_pod pod;
    int its[3] = { -1, -1, -1 }, result;

    if (pod_for(&pod, s, p, err) < 0 ||
        shim_log_open(&c->log, json_get_str(v, "log"), json_get_int(v, "logBytes", 0),
                      (int)json_get_int(v, "logFiles", 0), err) < 0 ||
        cgroup_make(s->cgroup, c->group, &limits, err) < 0)
        return -1;
    result = container_pipes(c, json_get_bool(v, "stdin", false), its, err);
    if (result == 0)
        result = oci_create(&c->proc, &pod, p, c->group, its, err);
    for (int i = 0; i < 3; i++)
        fd_close(its[i]);
    if (result < 0)
        return -1;
    c->info.pid = c->proc.pid;
    if (loop_io_add(s->loop, &c->on_sync, c->proc.sync, LOOP_READ, container_on_sync, err) < 0 ||
        loop_io_add(s->loop, &c->on_pid, c->proc.pidfd, LOOP_READ, container_on_pid, err) < 0)
        return -1;
    return 0;
}

int shim_container_create(struct shim_self *s, struct imsg *m, const struct json *v,
                          struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    const char *id = json_get_str(v, "id");
    struct shim_box_container *c;
    struct oci_plan p;

    if (str_empty(id) || strlen(id) >= SHIM_ID_BYTES || strchr(id, '/') || id[0] == '.')
        return err_set(err, ERR_INVALID, "bad container id");
    if (shim_container_find(s, id))
        return err_set(err, ERR_EXISTS, "container %s exists", id);
    if (s->n_containers == SHIM_CONTAINERS_MAX)
        return err_set(err, ERR_QUOTA, "more than %d containers in one pod", SHIM_CONTAINERS_MAX);
    if (shim_plan(&p, a, m, err) < 0)
        return -1;
    c = NEW(struct shim_box_container);
    c->self = s;
    c->proc = OCI_PROC_NONE;
    c->info = (struct shim_container){ .id = mem_strdup(id), .message = mem_strdup(""),
                                       .note = mem_strdup(json_get_str(v, "note")),
                                       .log_path = mem_strdup(json_get_str(v, "log")) };
    c->group = mem_printf("%s/%s", s->cgroup_path, id);
    c->log.fd = c->in = c->out[0].fd = c->out[1].fd = -1;
    c->tty = p.tty;
    c->stdin_once = json_get_bool(v, "stdinOnce", false);
    c->create_seq = (uint32_t)json_get_int(v, "seq", 0);
    list_init(&c->attached);
    list_push(&s->containers, &c->link);
    s->n_containers++;
    if (container_launch(c, &p, v, err) < 0) {
        shim_container_free(c);
        return -1;
    }
    return 0;
}

int shim_container_start(struct shim_box_container *c, uint32_t seq, struct err *err)
{
    if (c->going && c->info.state == SHIM_CREATED && !c->dead) {
        c->start_seq = seq;                  /* a former node role let it go: its answer comes */
        return 0;
    }
    if (c->create_seq || c->going || c->info.state != SHIM_CREATED || c->dead)
        return err_set(err, ERR_CONFLICT, "container %s cannot be started now", c->info.id);
    if (oci_go(&c->proc, err) < 0)
        return -1;
    c->going = true;
    c->start_seq = seq;
    return 0;
}

int shim_container_remove(struct shim_box_container *c, struct err *err)
{
    struct shim_self *s = c->self;

    if (c->create_seq || c->info.state != SHIM_EXITED)
        return err_set(err, ERR_CONFLICT, "container %s is not exited", c->info.id);
    shim_container_free(c);
    shim_save(s);
    return 0;
}
