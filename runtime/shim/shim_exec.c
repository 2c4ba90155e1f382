/* shim_exec.c -- further processes in running containers. Their descriptors are the client's own, nothing passes
 * through the shim but the exit. */
#include <signal.h>

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "runtime/shim/shim_self.h"

void shim_exec_free(struct shim_exec_proc *e)
{
    loop_io_del(&e->on_sync);
    loop_io_del(&e->on_pid);
    oci_proc_deinit(&e->proc);
    list_del(&e->link);
    e->self->n_execs--;
    mem_free(e);
}

static void exec_tell_started(struct shim_exec_proc *e, const struct err *why)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    if (e->self->link && !e->quiet) {
        buf_fmt(&b, "{\"seq\":%u,\"pid\":%d,\"code\":%d,\"errno\":%d,\"msg\":", e->seq, (int)e->proc.pid,
                why ? why->code : 0, why ? why->sys_errno : 0);
        json_write_string(&b, why ? why->msg : "", why ? strlen(why->msg) : 0);
        buf_chr(&b, '}');
        shim_chan_send(e->self->link, SHIM_EXEC_STARTED, &b, &e->proc.pty, e->proc.pty >= 0 ? 1 : 0);
    }
    e->proc.pty = fd_close(e->proc.pty);
}

static void exec_on_pid(struct loop_io *io, unsigned events);

/* False when e is gone. */
static bool exec_listen(struct shim_exec_proc *e)
{
    enum oci_step step = OCI_WAIT;
    struct err err = ERR_INIT;

    if (oci_next(&e->proc, &step, &err) < 0) {
        exec_tell_started(e, &err);
        shim_exec_free(e);
        return false;
    }
    if (step == OCI_STARTED) {
        loop_io_del(&e->on_sync);
        e->proc.sync = fd_close(e->proc.sync);
        e->started = true;
        exec_tell_started(e, NULL);
    }
    return true;
}

static void exec_on_sync(struct loop_io *io, unsigned events)
{
    (void)events;
    exec_listen(container_of(io, struct shim_exec_proc, on_sync));
}

static void exec_on_pid(struct loop_io *io, unsigned events)
{
    struct shim_exec_proc *e = container_of(io, struct shim_exec_proc, on_pid);
    _cleanup_buf_ struct buf b = BUF_INIT;
    int status = 255, sig = 0;

    (void)events;
    while (!e->started)
        if (!exec_listen(e))
            return;
    if (proc_reap(e->proc.pidfd, &status, &sig, NULL) == 0)
        return;
    e->proc.pid = 0;
    buf_fmt(&b, "{\"seq\":%u,\"exit\":%d,\"signal\":%d}", e->seq, status, sig);
    if (e->self->link && !e->quiet)
        shim_chan_send(e->self->link, SHIM_EXEC_EXITED, &b, NULL, 0);
    shim_exec_free(e);
}

static int exec_fds(int out[3], struct imsg *m, int64_t mask)
{
    size_t at = 1;

    for (int i = 0; i < 3; i++)
        out[i] = mask >> i & 1 ? imsg_take_fd(m, at++) : -1;
    return 0;
}

int shim_exec_start(struct shim_self *s, struct imsg *m, const struct json *v, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct shim_box_container *c = shim_container_find(s, json_get_str(v, "id"));
    struct shim_exec_proc *e;
    struct oci_enter into;
    struct oci_plan p;
    int result;

    if (!c || c->info.state != SHIM_RUNNING || c->dead)
        return err_set(err, ERR_CONFLICT, "container is not running");
    if (s->n_execs == SHIM_EXECS_MAX)
        return err_set(err, ERR_QUOTA, "more than %d processes entered one pod", SHIM_EXECS_MAX);
    if (shim_plan(&p, a, m, err) < 0)
        return -1;
    e = NEW(struct shim_exec_proc);
    e->self = s;
    e->seq = (uint32_t)json_get_int(v, "seq", 0);
    e->proc = OCI_PROC_NONE;
    list_push(&s->execs, &e->link);
    s->n_execs++;
    into = (struct oci_enter){ .cgroup_path = c->group, .container = c->proc.pidfd };
    exec_fds(into.stdio, m, json_get_int(v, "fds", 0));
    result = oci_exec(&e->proc, &s->pod, &p, &into, err);
    for (int i = 0; i < 3; i++)
        fd_close(into.stdio[i]);
    if (result < 0 ||
        loop_io_add(s->loop, &e->on_sync, e->proc.sync, LOOP_READ, exec_on_sync, err) < 0 ||
        loop_io_add(s->loop, &e->on_pid, e->proc.pidfd, LOOP_READ, exec_on_pid, err) < 0) {
        shim_exec_free(e);
        return -1;
    }
    return 0;
}

void shim_exec_kill(struct shim_self *s, uint32_t seq, int sig, bool forget)
{
    list_each(e, &s->execs, struct shim_exec_proc, link)
        if (e->seq == seq) {
            e->quiet = e->quiet || forget;
            (void)proc_signal(e->proc.pidfd, forget ? SIGKILL : sig, NULL);
        }
}
