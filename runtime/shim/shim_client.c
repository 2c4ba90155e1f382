/* shim_client.c -- a handle: a channel, and the requests not yet answered. */
#include "runtime/shim/shim_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/loop/child.h"
#include "runtime/shim/shim.h"
#include "runtime/shim/shim_chan.h"
#include "runtime/shim/shim_state.h"

#define READY_MS 30000                   /* a shim that says nothing for so long is not one */

enum kind { KIND_DONE, KIND_EXEC, KIND_ATTACH, KIND_DIAL, KIND_STOP };

struct waiter {                          /* a request that is not answered, or an exec or attach that goes on */
    struct list link;
    uint32_t seq;
    enum kind kind;
    bool begun;                          /* exec, attach: the first answer came */
    shim_done *done;
    shim_dialed *dialed;
    void *ctx;
    struct shim_exec exec;
    struct shim_attach attach;
};

struct shim {
    struct loop *loop;
    struct shim_events ev;
    struct child *child;                 /* when we started it */
    struct shim_chan *chan;
    struct loop_timer timer;             /* until ready; then for the end */
    struct list waiters;
    uint32_t last_seq;
    pid_t pid;
    int netns;
    bool ready, lost, stopped;
    struct err why;                      /* of the end */
    bool told;                           /* that it ended */
    int busy;                            /* calls that go on after callbacks */
    bool gone;                           /* freed meanwhile: the last such call frees the rest */
};

/* --- answering */

static void waiter_drop(struct waiter *w)
{
    list_del(&w->link);
    mem_free(w);
}

/* The request fails, or what it began ends. w is gone after; nothing of s is touched after the callback. */
static void waiter_fail(struct waiter *w, const struct err *why)
{
    struct waiter copy = *w;

    waiter_drop(w);
    switch (copy.kind) {
    case KIND_DONE: case KIND_STOP:
        if (copy.done)
            copy.done(copy.ctx, why);
        break;
    case KIND_DIAL: copy.dialed(copy.ctx, why, -1); break;
    case KIND_EXEC:
        if (!copy.begun)
            copy.exec.on_started(copy.exec.ctx, why, 0, -1);
        else if (copy.exec.on_exit)
            copy.exec.on_exit(copy.exec.ctx, 137, 9);
        break;
    case KIND_ATTACH:
        if (!copy.begun)
            copy.attach.on_attached(copy.attach.ctx, why);
        else if (copy.attach.on_end)
            copy.attach.on_end(copy.attach.ctx);
        break;
    }
}

/* Fails all; false when a callback freed s. */
static bool fail_all(struct shim *s, const struct err *why)
{
    struct waiter *w;
    bool alive;

    s->busy++;
    while (!s->gone && (w = list_first(&s->waiters, struct waiter, link)))
        waiter_fail(w, why);
    alive = !s->gone;
    if (--s->busy == 0 && !alive)
        mem_free(s);
    return alive;
}

static struct waiter *waiter_find(struct shim *s, uint32_t seq)
{
    list_each(w, &s->waiters, struct waiter, link)
        if (w->seq == seq)
            return w;
    return NULL;
}

/* --- the end */

static void shim_ended(struct shim *s)
{
    struct err why = s->why;
    bool was_ready = s->ready, stopped = s->stopped;
    struct waiter *stop = NULL;

    loop_timer_del(&s->timer);
    s->chan = shim_chan_free(s->chan);
    list_each(w, &s->waiters, struct waiter, link)
        stop = w->kind == KIND_STOP ? w : stop;
    if (stopped && stop) {                   /* the last callback: the others before it */
        struct waiter last = *stop;

        waiter_drop(stop);
        s->told = true;
        if (fail_all(s, &why) && last.done)
            last.done(last.ctx, NULL);
        return;
    }
    if (!fail_all(s, &why) || s->told)
        return;
    s->told = true;
    if (!was_ready)
        s->ev.on_ready(s->ev.ctx, &why);
    else if (s->ev.on_lost)
        s->ev.on_lost(s->ev.ctx, &why);
}

static void end_on_time(struct loop_timer *t)
{
    shim_ended(container_of(t, struct shim, timer));
}

static void shim_end(struct shim *s, const struct err *why)
{
    if (s->lost)
        return;
    s->lost = true;
    s->why = *why;
    loop_timer_set(s->loop, &s->timer, 0, end_on_time);
}

static void chan_on_end(void *ctx, const struct err *why)
{
    struct shim *s = ctx;
    struct err err = ERR_INIT;

    err_set(&err, ERR_UNAVAILABLE, "shim: %s", why->msg);
    shim_end(s, &err);
}

static void ready_on_time(struct loop_timer *t)
{
    struct err err = ERR_INIT;

    err_set(&err, ERR_TIMEOUT, "shim: not ready after %d s", READY_MS / 1000);
    shim_end(container_of(t, struct shim, timer), &err);
}

/* --- records */

static void on_ready(struct shim *s, struct imsg *m, const struct json *v)
{
    int64_t protocol = json_get_int(v, "protocol", 1), oldest = json_get_int(v, "oldest", 1);
    struct err err = ERR_INIT;

    if (s->ready || s->lost)
        return;
    if (oldest > SHIM_PROTOCOL) {
        err_set(&err, ERR_UNSUPPORTED, "shim: it is of a newer version (protocol %lld, oldest "
                "%lld; ours is %d)", (long long)protocol, (long long)oldest, SHIM_PROTOCOL);
        shim_end(s, &err);
        return;
    }
    loop_timer_del(&s->timer);
    s->ready = true;
    s->pid = (pid_t)json_get_int(v, "pid", 0);
    s->netns = imsg_take_fd(m, 0);
    s->ev.on_ready(s->ev.ctx, NULL);
}

static void on_done(struct shim *s, struct imsg *m, const struct json *v)
{
    struct waiter *w = waiter_find(s, (uint32_t)json_get_int(v, "seq", 0)), copy;
    struct err err = ERR_INIT;
    int fd;

    if (!w)
        return;
    if (shim_chan_error(v, &err)) {
        waiter_fail(w, &err);
        return;
    }
    if (w->kind == KIND_STOP) {              /* answered when the process has gone */
        s->stopped = true;
        return;
    }
    if (w->kind == KIND_ATTACH && !w->begun) {
        w->begun = true;
        w->attach.on_attached(w->attach.ctx, NULL);
        return;
    }
    copy = *w;
    waiter_drop(w);
    fd = imsg_take_fd(m, 0);
    if (copy.kind == KIND_DIAL)
        copy.dialed(copy.ctx, NULL, fd);
    else if (copy.done)
        copy.done(copy.ctx, NULL);
}

static void on_container(struct shim *s, struct imsg *m, const struct json *v)
{
    struct shim_container c;

    (void)m;
    if (shim_state_decode_container(&c, v, NULL) == 0 && s->ev.on_container)
        s->ev.on_container(s->ev.ctx, &c);
}

static void on_exec_started(struct shim *s, struct imsg *m, const struct json *v)
{
    struct waiter *w = waiter_find(s, (uint32_t)json_get_int(v, "seq", 0));
    struct err err = ERR_INIT;

    if (!w || w->kind != KIND_EXEC || w->begun)
        return;
    if (shim_chan_error(v, &err)) {
        waiter_fail(w, &err);
        return;
    }
    w->begun = true;
    w->exec.on_started(w->exec.ctx, NULL, (pid_t)json_get_int(v, "pid", 0), imsg_take_fd(m, 0));
}

static void on_exec_exited(struct shim *s, struct imsg *m, const struct json *v)
{
    struct waiter *w = waiter_find(s, (uint32_t)json_get_int(v, "seq", 0)), copy;

    (void)m;
    if (!w || w->kind != KIND_EXEC || !w->begun)
        return;
    copy = *w;
    waiter_drop(w);
    if (copy.exec.on_exit)
        copy.exec.on_exit(copy.exec.ctx, (int)json_get_int(v, "exit", 0),
                          (int)json_get_int(v, "signal", 0));
}

static void on_attach_end(struct shim *s, struct imsg *m, const struct json *v)
{
    struct waiter *w = waiter_find(s, (uint32_t)json_get_int(v, "seq", 0));
    struct err err = ERR_INIT;

    (void)m;
    err_set(&err, ERR_CONFLICT, "container is not running");
    if (w && w->kind == KIND_ATTACH)
        waiter_fail(w, &err);
}

static void on_failed(struct shim *s, struct imsg *m, const struct json *v)
{
    struct err err = ERR_INIT;

    (void)m;
    if (!shim_chan_error(v, &err))
        err_set(&err, ERR_FAILED, "it could not be set up");
    err_wrap(&err, "shim");
    shim_end(s, &err);
}

static void (*const records[])(struct shim *, struct imsg *, const struct json *) = {
    [SHIM_READY] = on_ready, [SHIM_FAILED] = on_failed, [SHIM_DONE] = on_done,
    [SHIM_CONTAINER] = on_container, [SHIM_EXEC_STARTED] = on_exec_started,
    [SHIM_EXEC_EXITED] = on_exec_exited, [SHIM_ATTACH_END] = on_attach_end,
};

static void chan_on_record(void *ctx, struct imsg *m, const struct json *v)
{
    if (m->type < ARRAY_LEN(records) && records[m->type])
        records[m->type](ctx, m, v);
}

/* --- making a handle */

static struct shim *client_free(struct shim *s)
{
    struct err why = ERR_INIT;

    if (!s)
        return NULL;
    err_set(&why, ERR_CANCELED, "let go");
    s->chan = shim_chan_free(s->chan);
    loop_timer_del(&s->timer);
    (void)fail_all(s, &why);
    child_free(s->child);
    s->netns = fd_close(s->netns);
    s->gone = true;
    return s->busy ? NULL : mem_free(s);
}

/* Takes sock. */
static struct shim *client_new(struct loop *l, const struct shim_events *ev, int sock, struct err *err)
{
    struct shim *s = NEW(struct shim);
    struct shim_chan_opts o = { .on_record = chan_on_record, .on_end = chan_on_end, .ctx = s };

    s->loop = l;
    s->ev = *ev;
    s->netns = -1;
    list_init(&s->waiters);
    if (shim_chan_new(&s->chan, l, sock, &o, err) < 0)
        return client_free(s);
    loop_timer_set(l, &s->timer, READY_MS, ready_on_time);
    return s;
}

static void add_text(struct buf *b, const char *key, const char *text)
{
    buf_fmt(b, ",\"%s\":", key);
    json_write_string(b, text ? text : "", text ? strlen(text) : 0);
}

static const char *flag(bool on)
{
    return on ? "true" : "false";
}

static void send_setup(struct shim *s, const struct shim_opts *o)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    buf_fmt(&b, "{\"protocol\":%d,\"hostNetwork\":%s,\"hostIpc\":%s,\"sharePids\":%s",
            SHIM_PROTOCOL, flag(o->host_network), flag(o->host_ipc), flag(o->share_pids));
    add_text(&b, "dir", o->dir);
    add_text(&b, "cgroup", o->cgroup);
    add_text(&b, "cgroupPath", o->cgroup_path);
    add_text(&b, "hostname", o->hostname);
    add_text(&b, "domainname", o->domainname);
    buf_str(&b, ",\"sysctls\":[");
    for (size_t i = 0; i < o->n_sysctls; i++) {
        buf_fmt(&b, "%s{\"n\":0", i ? "," : "");
        add_text(&b, "name", o->sysctls[i].name);
        add_text(&b, "value", o->sysctls[i].value);
        buf_chr(&b, '}');
    }
    buf_str(&b, "]}");
    shim_chan_send(s->chan, SHIM_SETUP, &b, &o->netns, o->netns >= 0 ? 1 : 0);
}

static int client_start(void *driver, struct shim **out, struct loop *l, const struct shim_opts *o,
                        const struct shim_events *ev, struct err *err)
{
    struct child_opts c = { .verb = SHIM_VERB, .exe = o->box_exe, .detached = true, .keep_stderr = true,
                            .fds = { -1, -1 } };
    _cleanup_fd_ int ours = -1, its = -1;
    struct shim *s;
    int pair[2];

    (void)driver;
    if (fd_mkdirs(o->dir, 0700, err) < 0 || imsg_pair(pair, err) < 0)
        return err_wrap(err, "shim");
    ours = pair[0];
    its = pair[1];
    s = client_new(l, ev, TAKE_FD(ours), err);
    if (!s)
        return err_wrap(err, "shim");
    c.fds[0] = its;
    if (child_start(&s->child, l, &c, err) < 0) {
        client_free(s);
        return err_wrap(err, "shim");
    }
    send_setup(s, o);
    *out = s;
    return 0;
}

static int client_adopt(void *driver, struct shim **out, struct loop *l, const char *dir,
                        const struct shim_events *ev, struct err *err)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    _cleanup_fd_ int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), sock = -1;

    (void)driver;
    if (at < 0)
        return errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "no shim at %s", dir)
                               : err_sys(err, "open %s", dir);
    snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", at, SHIM_SOCKET_FILE);
    sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (sock < 0)
        return err_sys(err, "socket");
    if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
        return errno == ENOENT || errno == ECONNREFUSED
                   ? err_set(err, ERR_NOT_FOUND, "no shim at %s", dir)
                   : err_sys(err, "connect to the shim at %s", dir);
    *out = client_new(l, ev, TAKE_FD(sock), err);
    return *out ? 0 : err_wrap(err, "shim");
}

static int client_netns(const struct shim *s)
{
    return s->netns;
}

static pid_t client_pid(const struct shim *s)
{
    return s->pid;
}

/* --- requests */

static struct waiter *waiter_add(struct shim *s, enum kind kind)
{
    struct waiter *w = NEW(struct waiter);

    do
        s->last_seq++;
    while (s->last_seq == 0 || waiter_find(s, s->last_seq));
    w->kind = kind;
    w->seq = s->last_seq;
    list_push(&s->waiters, &w->link);
    if (!s->chan && s->lost)                 /* answered from the loop, as all others were */
        loop_timer_set(s->loop, &s->timer, 0, end_on_time);
    return w;
}

static void send_text(struct shim *s, uint32_t type, struct buf *b, const int *fds, size_t n)
{
    if (s->chan)
        shim_chan_send(s->chan, type, b, fds, n);
    buf_deinit(b);
}

/* {"seq":..,"id":.. ; the caller adds what more there is and the end. */
static struct buf request(const struct waiter *w, const char *id)
{
    struct buf b = BUF_INIT;

    buf_fmt(&b, "{\"seq\":%u", w->seq);
    if (id)
        add_text(&b, "id", id);
    return b;
}

static void simple(struct shim *s, uint32_t type, const char *id, shim_done *done, void *ctx)
{
    struct waiter *w = waiter_add(s, KIND_DONE);
    struct buf b = request(w, id);

    w->done = done;
    w->ctx = ctx;
    buf_chr(&b, '}');
    send_text(s, type, &b, NULL, 0);
}

static int plan_file(const struct oci_plan *p)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    int fd = memfd_create("plan", MFD_CLOEXEC);

    plan_encode(&text, p);
    if (fd >= 0 && fd_write_all(fd, text.p, text.len, NULL) < 0)
        fd = fd_close(fd);
    return fd;                               /* -1: the shim says that there is no plan */
}

static void client_create(struct shim *s, const struct shim_create *c, shim_done *done, void *ctx)
{
    static const struct cgroup_limits none;
    const struct cgroup_limits *l = c->limits ? c->limits : &none;
    struct waiter *w = waiter_add(s, KIND_DONE);
    struct buf b = request(w, c->id);
    _cleanup_fd_ int plan = plan_file(c->plan);

    w->done = done;
    w->ctx = ctx;
    add_text(&b, "note", c->note);
    if (c->log_path)
        add_text(&b, "log", c->log_path);
    buf_fmt(&b, ",\"logBytes\":%lld,\"logFiles\":%d,\"stdin\":%s,\"stdinOnce\":%s",
            (long long)c->log_bytes_max, c->log_files_max, flag(c->with_stdin), flag(c->stdin_once));
    buf_fmt(&b, ",\"limits\":{\"shares\":%lld,\"quota\":%lld,\"period\":%lld,\"memory\":%lld",
            (long long)l->cpu_shares, (long long)l->cpu_quota_us, (long long)l->cpu_period_us,
            (long long)l->memory_max_bytes);
    buf_fmt(&b, ",\"memoryLow\":%lld,\"pids\":%lld}}", (long long)l->memory_low_bytes,
            (long long)l->pids_max);
    send_text(s, SHIM_CREATE, &b, &plan, plan >= 0 ? 1 : 0);
}

static void client_start_container(struct shim *s, const char *id, shim_done *done, void *ctx)
{
    simple(s, SHIM_START, id, done, ctx);
}

static void client_kill(struct shim *s, const char *id, int sig, shim_done *done, void *ctx)
{
    struct waiter *w = waiter_add(s, KIND_DONE);
    struct buf b = request(w, id);

    w->done = done;
    w->ctx = ctx;
    buf_fmt(&b, ",\"sig\":%d}", sig);
    send_text(s, SHIM_KILL, &b, NULL, 0);
}

static void client_kill_all(struct shim *s, const char *id, shim_done *done, void *ctx)
{
    simple(s, SHIM_KILL_ALL, id, done, ctx);
}

static void client_remove(struct shim *s, const char *id, shim_done *done, void *ctx)
{
    simple(s, SHIM_REMOVE, id, done, ctx);
}

static void client_reopen(struct shim *s, const char *id, shim_done *done, void *ctx)
{
    simple(s, SHIM_REOPEN, id, done, ctx);
}

static uint32_t client_exec(struct shim *s, const struct shim_exec *e)
{
    struct waiter *w = waiter_add(s, KIND_EXEC);
    struct buf b = request(w, e->container_id);
    int fds[4] = { plan_file(e->plan) };
    size_t n = 1;
    int mask = 0;

    w->exec = *e;
    w->exec.container_id = NULL;             /* borrowed, and of no use any more */
    w->exec.plan = NULL;
    for (int i = 0; i < 3; i++)
        if (e->fds[i] >= 0 && !e->plan->tty) {
            fds[n++] = e->fds[i];
            mask |= 1 << i;
        }
    buf_fmt(&b, ",\"fds\":%d}", mask);
    send_text(s, SHIM_EXEC, &b, fds, fds[0] >= 0 ? n : 0);
    fd_close(fds[0]);
    return w->seq;
}

static void about_seq(struct shim *s, uint32_t type, uint32_t seq, int sig)
{
    struct buf b = BUF_INIT;

    buf_fmt(&b, "{\"seq\":%u,\"sig\":%d}", seq, sig);
    send_text(s, type, &b, NULL, 0);
}

static void client_exec_kill(struct shim *s, uint32_t exec, int sig)
{
    about_seq(s, SHIM_EXEC_KILL, exec, sig);
}

static void client_exec_forget(struct shim *s, uint32_t exec)
{
    struct waiter *w = waiter_find(s, exec);

    if (!w)
        return;
    waiter_drop(w);
    about_seq(s, SHIM_EXEC_FORGET, exec, 0);
}

static uint32_t client_attach(struct shim *s, const struct shim_attach *a)
{
    struct waiter *w = waiter_add(s, KIND_ATTACH);
    struct buf b = request(w, a->container_id);
    int all[3] = { a->in, a->out, a->errout }, fds[3], mask = 0;
    size_t n = 0;

    w->attach = *a;
    w->attach.container_id = NULL;
    for (int i = 0; i < 3; i++)
        if (all[i] >= 0) {
            fds[n++] = all[i];
            mask |= 1 << i;
        }
    buf_fmt(&b, ",\"fds\":%d}", mask);
    send_text(s, SHIM_ATTACH, &b, fds, n);
    return w->seq;
}

static void client_detach(struct shim *s, uint32_t attach)
{
    struct waiter *w = waiter_find(s, attach);

    if (!w)
        return;
    waiter_drop(w);
    about_seq(s, SHIM_DETACH, attach, 0);
}

static void client_resize(struct shim *s, const char *id, uint16_t rows, uint16_t cols)
{
    struct buf b = BUF_INIT;

    buf_fmt(&b, "{\"rows\":%u,\"cols\":%u", rows, cols);
    add_text(&b, "id", id);
    buf_chr(&b, '}');
    send_text(s, SHIM_RESIZE, &b, NULL, 0);
}

static void client_dial(struct shim *s, uint16_t port, shim_dialed *done, void *ctx)
{
    struct waiter *w = waiter_add(s, KIND_DIAL);
    struct buf b = request(w, NULL);

    w->dialed = done;
    w->ctx = ctx;
    buf_fmt(&b, ",\"port\":%u}", port);
    send_text(s, SHIM_DIAL, &b, NULL, 0);
}

static void client_shutdown(struct shim *s, shim_done *done, void *ctx)
{
    struct waiter *w = waiter_add(s, KIND_STOP);
    struct buf b = request(w, NULL);

    w->done = done;
    w->ctx = ctx;
    buf_chr(&b, '}');
    send_text(s, SHIM_SHUTDOWN, &b, NULL, 0);
}

const struct shim_driver *shim_client_driver(void)
{
    static const struct shim_driver driver = {
        .start = client_start, .adopt = client_adopt, .free = client_free, .netns = client_netns,
        .pid = client_pid, .create_container = client_create,
        .start_container = client_start_container, .kill_container = client_kill,
        .kill_all = client_kill_all, .remove_container = client_remove, .exec = client_exec,
        .exec_kill = client_exec_kill, .exec_forget = client_exec_forget, .attach = client_attach,
        .detach = client_detach, .resize = client_resize, .reopen_log = client_reopen,
        .dial = client_dial, .shutdown = client_shutdown,
    };

    return &driver;
}
