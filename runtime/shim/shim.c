/* shim.c -- the process that owns a pod.
 *
 * It starts with a channel to the node role (SHIM_CHAN_FD) on which its options come, makes the pod's namespaces,
 * then listens at <dir>/shim.sock for later node roles. There is one link at a time: a new one takes over.
 */
#include "runtime/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "runtime/shim/shim_self.h"
#include "runtime/shim/shim_state.h"

#define STOP_STEP_MS 10
#define STOP_TRIES_MAX 1000              /* ten seconds for killed processes to go */

/* --- small things all parts use */

int64_t shim_now_ns(const struct shim_self *s)
{
    return env_wall_us(s->env) * 1000;
}

void shim_save(struct shim_self *s)
{
    _cleanup_(mem_freep) char *path = mem_printf("%s/%s", s->dir, SHIM_STATE_FILE);
    struct shim_container list[SHIM_CONTAINERS_MAX];
    struct shim_state_file f = { .shim_pid = getpid(), .shim_ticks = s->ticks,
                                 .cgroup_path = s->cgroup_path, .containers = list };
    _cleanup_buf_ struct buf text = BUF_INIT;

    list_each(c, &s->containers, struct shim_box_container, link)
        if (!c->create_seq)
            list[f.len++] = c->info;
    shim_state_encode(&text, &f);
    /* The link tells the same. */
    (void)fd_replace_file(AT_FDCWD, path, (struct slice){ text.p, text.len }, 0600, NULL);
}

void shim_answer(struct shim_self *s, uint32_t seq, const struct err *why)
{
    if (s->link && seq)
        shim_chan_answer(s->link, SHIM_DONE, seq, why, -1);
}

void shim_tell_container(struct shim_self *s, const struct shim_box_container *c)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    if (!s->link || c->create_seq == UINT32_MAX)
        return;
    shim_state_encode_container(&b, &c->info);
    shim_chan_send(s->link, SHIM_CONTAINER, &b, NULL, 0);
}

int shim_plan(struct oci_plan *out, struct arena *a, struct imsg *m, struct err *err)
{
    _cleanup_fd_ int fd = imsg_take_fd(m, 0);
    struct stat st;
    char *text;

    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0)
        return err_set(err, ERR_INVALID, "no plan");
    if (st.st_size > PLAN_RECORD_BYTES_MAX)
        return err_set(err, ERR_QUOTA, "plan is longer than %u bytes", PLAN_RECORD_BYTES_MAX);
    text = arena_alloc(a, (size_t)st.st_size);
    if (pread(fd, text, (size_t)st.st_size, 0) != st.st_size)
        return err_sys(err, "read plan");
    return plan_decode(out, a, text, (size_t)st.st_size, err);
}

/* --- the end */

static void stop_finish(struct shim_self *s)
{
    (void)shim_state_clean(s->dir, NULL);
    shim_answer(s, s->stop_seq, NULL);
    loop_stop(s->loop);
}

static void stop_group(void *ctx, const char *name)
{
    struct shim_self *s = ctx;
    _cleanup_(mem_freep) char *path = mem_printf("%s/%s", s->cgroup_path, name);

    (void)cgroup_remove(s->cgroup, path, NULL);
}

static void stop_on_time(struct loop_timer *t)
{
    struct shim_self *s = container_of(t, struct shim_self, stop_timer);
    bool busy = s->pause.pid > 0 || !list_empty(&s->execs);

    list_each(c, &s->containers, struct shim_box_container, link)
        busy = busy || !c->dead;
    (void)cgroup_kill(s->cgroup, s->cgroup_path, NULL);
    busy = busy || cgroup_count(s->cgroup, s->cgroup_path, NULL) > 0;
    if (busy && s->stop_tries++ < STOP_TRIES_MAX) {
        loop_timer_set(s->loop, t, STOP_STEP_MS, stop_on_time);
        return;
    }
    list_each(c, &s->containers, struct shim_box_container, link)
        shim_container_free(c);
    (void)cgroup_list(s->cgroup, s->cgroup_path, stop_group, s, NULL);
    stop_finish(s);
}

static void stop_begin(struct shim_self *s, uint32_t seq)
{
    s->stop_seq = seq;
    s->stopping = true;
    (void)cgroup_kill(s->cgroup, s->cgroup_path, NULL);
    loop_timer_set(s->loop, &s->stop_timer, 1, stop_on_time);
}

static void pause_on_pid(struct loop_io *io, unsigned events)
{
    struct shim_self *s = container_of(io, struct shim_self, on_pause);
    int status, sig;

    (void)events;
    if (proc_reap(s->pause.pidfd, &status, &sig, NULL) == 0)
        return;
    loop_io_del(&s->on_pause);
    s->pause.pid = 0;
    s->pod.pids = -1;
}

/* --- requests */

struct request {
    struct shim_self *s;
    struct imsg *m;
    const struct json *v;
    uint32_t seq;
    struct shim_box_container *c;        /* for those about one */
};

enum { DONE_NOW = 0, DONE_LATER = 1 };   /* or -1 with an error */

static int on_create(struct request *r, struct err *err)
{
    if (r->s->stopping)
        return err_set(err, ERR_CANCELED, "the pod is stopping");
    return shim_container_create(r->s, r->m, r->v, err) < 0 ? -1 : DONE_LATER;
}

static int on_start(struct request *r, struct err *err)
{
    if (r->c->going && r->c->info.state > SHIM_CREATED)
        return DONE_NOW;                     /* for a former node role: the record says the rest */
    return shim_container_start(r->c, r->seq, err) < 0 ? -1 : DONE_LATER;
}

static int on_kill(struct request *r, struct err *err)
{
    if (r->c->proc.pidfd < 0)
        return DONE_NOW;
    return proc_signal(r->c->proc.pidfd, (int)json_get_int(r->v, "sig", SIGTERM), err);
}

static int on_kill_all(struct request *r, struct err *err)
{
    if (r->c->proc.pidfd >= 0 && proc_signal(r->c->proc.pidfd, SIGKILL, err) < 0)
        return -1;
    return cgroup_kill(r->s->cgroup, r->c->group, err);
}

static int on_remove(struct request *r, struct err *err)
{
    return shim_container_remove(r->c, err);
}

static int on_reopen(struct request *r, struct err *err)
{
    return r->c->log.fd < 0 ? 0 : shim_log_reopen(&r->c->log, err);
}

static int on_resize(struct request *r, struct err *err)
{
    struct winsize size = { .ws_row = (uint16_t)json_get_int(r->v, "rows", 0),
                            .ws_col = (uint16_t)json_get_int(r->v, "cols", 0) };

    if (r->c->proc.pty >= 0 && ioctl(r->c->proc.pty, TIOCSWINSZ, &size) < 0)
        return err_sys(err, "resize");
    return DONE_NOW;
}

static int on_shutdown(struct request *r, struct err *err)
{
    if (r->s->stopping)
        return err_set(err, ERR_CONFLICT, "already stopping");
    stop_begin(r->s, r->seq);
    return DONE_LATER;
}

static int on_exec(struct request *r, struct err *err)
{
    struct err why = ERR_INIT;

    (void)err;
    if (shim_exec_start(r->s, r->m, r->v, &why) < 0 && r->s->link)
        shim_chan_answer(r->s->link, SHIM_EXEC_STARTED, r->seq, &why, -1);
    return DONE_LATER;
}

static int on_exec_kill(struct request *r, struct err *err)
{
    (void)err;
    shim_exec_kill(r->s, r->seq, (int)json_get_int(r->v, "sig", SIGTERM), r->m->type == SHIM_EXEC_FORGET);
    return DONE_LATER;
}

static int on_attach(struct request *r, struct err *err)
{
    int64_t mask = json_get_int(r->v, "fds", 0);
    int fds[3] = { -1, -1, -1 }, result;
    size_t at = 0;

    for (int i = 0; i < 3; i++)
        fds[i] = mask >> i & 1 ? imsg_take_fd(r->m, at++) : -1;
    shim_answer(r->s, r->seq, NULL);         /* before what it may bring */
    result = shim_attach(r->c, r->seq, fds, err);
    for (int i = 0; i < 3; i++)
        fd_close(fds[i]);
    if (result < 0 && r->s->link)
        shim_chan_answer(r->s->link, SHIM_ATTACH_END, r->seq, NULL, -1);
    return DONE_LATER;
}

static int on_detach(struct request *r, struct err *err)
{
    (void)err;
    shim_detach(r->s, r->seq);
    return DONE_LATER;
}

static int on_dial(struct request *r, struct err *err)
{
    int64_t port = json_get_int(r->v, "port", 0);

    if (port < 1 || port > 65535)
        return err_set(err, ERR_INVALID, "no port %lld", (long long)port);
    shim_dial(r->s, r->seq, (uint16_t)port);
    return DONE_LATER;
}

static const struct {
    int (*run)(struct request *r, struct err *err);
    bool one;                            /* about a container */
} requests[] = {
    [SHIM_CREATE] = { on_create, false },       [SHIM_START] = { on_start, true },
    [SHIM_KILL] = { on_kill, true },            [SHIM_KILL_ALL] = { on_kill_all, true },
    [SHIM_REMOVE] = { on_remove, true },        [SHIM_REOPEN] = { on_reopen, true },
    [SHIM_RESIZE] = { on_resize, true },        [SHIM_SHUTDOWN] = { on_shutdown, false },
    [SHIM_EXEC] = { on_exec, false },           [SHIM_EXEC_KILL] = { on_exec_kill, false },
    [SHIM_EXEC_FORGET] = { on_exec_kill, false }, [SHIM_ATTACH] = { on_attach, true },
    [SHIM_DETACH] = { on_detach, false },       [SHIM_DIAL] = { on_dial, false },
};

static void link_on_record(void *ctx, struct imsg *m, const struct json *v)
{
    struct request r = { .s = ctx, .m = m, .v = v, .seq = (uint32_t)json_get_int(v, "seq", 0) };
    struct err err = ERR_INIT;
    int result;

    if (m->type >= ARRAY_LEN(requests) || !requests[m->type].run) {
        err_set(&err, ERR_UNSUPPORTED, "the pod's supervisor is of an older version (protocol %d), "
                "which does not know request %u", SHIM_PROTOCOL, m->type);
        shim_answer(r.s, r.seq, &err);
        return;
    }
    if (requests[m->type].one)
        r.c = shim_container_find(r.s, json_get_str(v, "id"));
    if (requests[m->type].one && (!r.c || r.c->create_seq))
        result = err_set(&err, ERR_NOT_FOUND, "no container %s", json_get_str(v, "id"));
    else
        result = requests[m->type].run(&r, &err);
    if (result == DONE_LATER)
        return;
    shim_answer(r.s, r.seq, result < 0 ? &err : NULL);
    malloc_trim(0);                          /* what a request needed is no part of what a pod costs */
}

/* --- links */

/* Whoever asked is gone: his processes go too, containers stay. One that is still being made does
 * not: nobody knows of it, and the next one would make another. */
static void link_drop(struct shim_self *s)
{
    s->link = shim_chan_free(s->link);
    list_each(c, &s->containers, struct shim_box_container, link)
        if (c->create_seq)
            shim_container_free(c);
    list_each(e, &s->execs, struct shim_exec_proc, link)
        shim_exec_kill(s, e->seq, SIGKILL, true);
    list_each(d, &s->dials, struct shim_dial, link)
        shim_dial_free(d);
    list_each(c, &s->containers, struct shim_box_container, link)
        c->start_seq = 0;
}

static void link_on_end(void *ctx, const struct err *why)
{
    (void)why;
    link_drop(ctx);
}

static void link_greet(struct shim_self *s)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    list_each(c, &s->containers, struct shim_box_container, link)
        if (!c->create_seq)
            shim_tell_container(s, c);
    buf_fmt(&b, "{\"pid\":%d,\"protocol\":%d,\"oldest\":%d}", (int)getpid(), SHIM_PROTOCOL,
            SHIM_PROTOCOL_OLDEST);
    shim_chan_send(s->link, SHIM_READY, &b, &s->netns, s->netns >= 0 ? 1 : 0);
}

static int link_add(struct shim_self *s, int fd, struct err *err)
{
    struct shim_chan_opts o = { .on_record = link_on_record, .on_end = link_on_end, .ctx = s };

    if (s->link)
        link_drop(s);
    return shim_chan_new(&s->link, s->loop, fd, &o, err);
}

static void listener_on_ready(struct loop_io *io, unsigned events)
{
    struct shim_self *s = container_of(io, struct shim_self, on_listener);
    int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
    struct ucred who;
    socklen_t len = sizeof(who);

    (void)events;
    if (fd < 0)
        return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 || who.uid != geteuid() ||
        link_add(s, fd, NULL) < 0) {
        fd_close(fd);
        return;
    }
    link_greet(s);
}

/* By a short name: a run directory may be longer than a socket address. */
static int listen_at(struct shim_self *s, struct err *err)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    _cleanup_fd_ int dir = open(s->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return err_sys(err, "open %s", s->dir);
    snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", dir, SHIM_SOCKET_FILE);
    (void)unlinkat(dir, SHIM_SOCKET_FILE, 0);
    s->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->listener < 0 || bind(s->listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
        listen(s->listener, 4) < 0)
        return err_sys(err, "listen at %s/%s", s->dir, SHIM_SOCKET_FILE);
    return loop_io_add(s->loop, &s->on_listener, s->listener, LOOP_READ, listener_on_ready, err);
}

/* --- set-up */

/* A node role that died before we could be found again: the next one knows nothing of us, or will
 * find our record and end us. */
static int check_peer(struct err *err)
{
    struct pollfd p = { .fd = SHIM_CHAN_FD };

    if (poll(&p, 1, 0) > 0)
        return err_set(err, ERR_CANCELED, "the node role has gone");
    return 0;
}

static int setup(struct shim_self *s, const struct json *v, int netns, struct err *err)
{
    const char *dir = json_get_str(v, "dir"), *cgroup = json_get_str(v, "cgroup");
    const char *path = json_get_str(v, "cgroupPath");

    if (str_empty(dir) || dir[0] != '/' || str_empty(cgroup) || str_empty(path))
        return err_set(err, ERR_INVALID, "bad options");
    s->dir = mem_strdup(dir);
    s->cgroup_path = mem_strdup(path);
    if (cgroup_from_text(&s->cgroup, cgroup, err) < 0)
        return -1;
    s->pod.cgroup = s->cgroup;
    if (proc_start_ticks(getpid(), &s->ticks, err) < 0 || check_peer(err) < 0)
        return -1;
    s->recorded = true;
    shim_save(s);                            /* before there is anything to end */
    if (check_peer(err) < 0 || shim_sandbox_make(s, v, netns, err) < 0 || listen_at(s, err) < 0)
        return -1;
    if (s->pause.pid > 0 &&
        loop_io_add(s->loop, &s->on_pause, s->pause.pidfd, LOOP_READ, pause_on_pid, err) < 0)
        return -1;
    shim_save(s);
    return 0;
}

/* The first record, while nothing else can come. */
static int first_record(struct shim_self *s, struct err *err)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_(imsg_deinit) struct imsg m = { 0 };
    _cleanup_fd_ int netns = -1;
    struct json *v = NULL;
    int n = imsg_recv(SHIM_CHAN_FD, &m, err);

    if (n <= 0)
        return n < 0 ? -1 : err_set(err, ERR_CANCELED, "nobody there");
    if (m.type != SHIM_SETUP)
        return err_set(err, ERR_INVALID, "record %u instead of options", m.type);
    if (json_parse(&v, a, m.data, m.len, NULL, err) < 0)
        return -1;
    netns = imsg_take_fd(&m, 0);
    return setup(s, v, netns, err);
}

static void tell_failure(const struct err *why)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    buf_fmt(&b, "{\"code\":%d,\"errno\":%d,\"msg\":", why->code, why->sys_errno);
    json_write_string(&b, why->msg, strlen(why->msg));
    buf_chr(&b, '}');
    (void)imsg_send(SHIM_CHAN_FD, SHIM_FAILED, b.p, b.len, NULL, 0, NULL);
}

/* All what a pod's ends leave behind goes with the process. */
static void self_deinit(struct shim_self *s)
{
    s->link = shim_chan_free(s->link);
    list_each(e, &s->execs, struct shim_exec_proc, link)
        shim_exec_free(e);
    list_each(d, &s->dials, struct shim_dial, link)
        shim_dial_free(d);
    list_each(c, &s->containers, struct shim_box_container, link)
        shim_container_free(c);
    loop_io_del(&s->on_pause);
    loop_io_del(&s->on_listener);
    loop_timer_del(&s->stop_timer);
    oci_proc_deinit(&s->pause);
    fd_close(s->listener);
    fd_close(s->netns);
    fd_close(s->pod.shm);
    fd_close(s->pod.mounts);
    s->cgroup = cgroup_free(s->cgroup);
    s->loop = loop_free(s->loop);
    mem_free(s->dir);
    mem_free(s->cgroup_path);
}

static int shim_run(struct shim_self *s, struct err *err)
{
    if (loop_new(&s->loop, s->env, err) < 0)
        return -1;
    if (first_record(s, err) < 0) {
        if (s->recorded)
            (void)shim_state_clean(s->dir, NULL);
        tell_failure(err);
        return -1;
    }
    if (link_add(s, SHIM_CHAN_FD, err) < 0)
        return -1;
    link_greet(s);
    malloc_trim(0);
    loop_run(s->loop);
    while (s->link && !shim_chan_idle(s->link) && loop_step(s->loop, 1000))
        ;
    return 0;
}

int shim_main(int argc, char **argv)
{
    struct shim_self s = { .env = env_real(), .netns = -1, .listener = -1, .pause = OCI_PROC_NONE,
                           .pod = { .shm = -1, .mounts = -1, .pids = -1 } };
    struct err err = ERR_INIT;
    int result;

    (void)argc, (void)argv;
    list_init(&s.containers);
    list_init(&s.execs);
    list_init(&s.dials);
    umask(0077);
    (void)!chdir("/");
    (void)signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_NAME, "inro-shim");
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    fd_close(IMSG_FD);
    (void)fd_set_cloexec(SHIM_CHAN_FD, true, NULL);
    result = shim_run(&s, &err);
    if (result < 0)
        fprintf(stderr, "inro shim: %s\n", err.msg);
    self_deinit(&s);
    return result < 0 ? 1 : 0;
}
