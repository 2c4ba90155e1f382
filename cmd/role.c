/* role.c -- from a bare process to a running role. */
#include "cmd/role.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cmd/selfstat.h"
#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/log.h"

#define FILES_MAX 65536                  /* open files of a role, where the hard limit allows it */
#define FORMER_MS 15000                  /* how long a role without a parent may take to end */
#define FORMER_STEP_MS 2
#define TRIM_MS 20000                    /* how often freed memory is looked at */
#define TRIM_BYTES (1u << 20)            /* so much of it goes back to the kernel */

const struct role_row role_rows[ROLE_MAX] = {
    [ROLE_CONTROL] = { "control", CONFINE_CONTROL, role_control_open, role_control_start,
                       role_control_stop, role_control_release, role_control_reload },
    [ROLE_NODE] = { "node", CONFINE_NODE, NULL, role_node_start, role_node_stop,
                    role_node_release, role_node_reload },
    [ROLE_DNS] = { "dns", CONFINE_DNS, role_dns_open, role_dns_start, role_dns_stop,
                   role_dns_release, role_dns_reload },
    [ROLE_JOIN] = { "join", CONFINE_JOIN, NULL, role_join_start, role_join_stop,
                    role_join_release, NULL },
};

/* --- rights */

static int tell_refusals(int fd, struct err *err)
{
    return fd < 0 ? 0 : imsg_send(IMSG_FD, ROLE_REFUSALS, NULL, 0, &fd, 1, err);
}

/* Holds nothing that must be written: it goes with its parent, at once. */
static bool is_brief(const struct role *r)
{
    return r->row->confined == CONFINE_JOIN;
}

/* What the table says of this role (runtime/confine). */
static int give_up_rights(struct role *r, struct err *err)
{
    struct arena *a = r->config->a;
    const char *data_dir = r->config->data_dir;
    _cleanup_fd_ int root = -1, refusals = -1;
    struct confine_opts o = {
        .role = r->row->confined, .root = &root,
        .refusals = is_brief(r) ? NULL : &refusals,
        .ports = { [CONFINE_API] = (uint16_t)r->config->https_listen_port },
        .places = {
            [CONFINE_STORE] = arena_printf(a, "%s/db", r->root),
            [CONFINE_PLUGINS] = arena_printf(a, "%s/plugins", data_dir),
            [CONFINE_RESOLV] = r->config->resolv_conf, [CONFINE_HOSTS] = "/etc/hosts",
        },
    };
    int changed;

    root = open(r->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 && r->row->confined == CONFINE_CONTROL)
        return err_sys(err, "open %s", r->root);
    changed = confine_apply(&o, err);
    if (changed < 0)
        return -1;
    if (changed)
        r->root = "";
    return tell_refusals(refusals, err);
}

/* --- from the parent */

static void take_secret(struct role *r, struct imsg *m)
{
    unsigned char id = m->len ? (unsigned char)m->data[0] : ROLE_PEM_MAX;

    if (id >= ROLE_PEM_MAX)
        return;
    role_pem_wipe(r, (enum role_pem)id);
    r->pem[id] = mem_strndup(m->data + 1, m->len - 1);
    explicit_bzero(m->data, m->len);
}

static int receive(struct role *r, struct err *err)
{
    struct imsg m;
    int got;

    while ((got = imsg_recv(IMSG_FD, &m, err)) == 1) {
        int result = 0;
        uint32_t type = m.type;

        if (type == ROLE_CONFIG)
            result = config_read(&r->config, m.data, m.len, err);
        else if (type == ROLE_PEM)
            take_secret(r, &m);
        imsg_deinit(&m);
        if (result < 0 || (type == ROLE_GO && r->config))
            return result;
    }
    return got < 0 ? -1 : err_set(err, ERR_CANCELED, "the parent has gone");
}

static char *lock_path(const struct config *c, const struct role_row *row)
{
    return arena_printf(c->a, "%s/%s.lock", c->run_dir, row->verb);
}

int role_wait_former(const struct config *c, enum role_id id, struct err *err)
{
    const struct timespec pause = { .tv_nsec = FORMER_STEP_MS * 1000000L };
    _cleanup_fd_ int fd = open(lock_path(c, &role_rows[id]), O_RDWR | O_CLOEXEC | O_NOFOLLOW);

    for (int ms = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0; ms += FORMER_STEP_MS) {
        if (ms >= FORMER_MS)
            return err_set(err, ERR_TIMEOUT, "the %s role of a former server does not end",
                           role_rows[id].verb);
        nanosleep(&pause, NULL);
    }
    return 0;
}

/* The former process of this role may still be ending, after the parent was killed. */
static int take_lock(struct role *r, struct err *err)
{
    const char *path = lock_path(r->config, r->row);

    r->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (r->lock < 0)
        return err_sys(err, "open %s", path);
    while (flock(r->lock, LOCK_EX) < 0)
        if (errno != EINTR)
            return err_sys(err, "lock %s", path);
    return 0;
}

struct slice role_pem(const struct role *r, enum role_pem id)
{
    return slice_of(r->pem[id]);
}

void role_pem_wipe(struct role *r, enum role_pem id)
{
    if (r->pem[id])
        explicit_bzero(r->pem[id], strlen(r->pem[id]));
    r->pem[id] = mem_free(r->pem[id]);
}

void role_ready(void)
{
    struct err err = ERR_INIT;

    (void)malloc_trim(0);
    if (imsg_send(IMSG_FD, ROLE_READY, NULL, 0, NULL, 0, &err) < 0)
        log_warn("not told", "error=%s", err.msg);
    log_info("ready", "pid=%d", (int)getpid());
}

/* --- running */

static void stop(struct role *r)
{
    loop_io_del(&r->on_parent);
    loop_io_del(&r->on_signal);
    r->row->stop(r);
}

static void reload(struct role *r)
{
    struct err err = ERR_INIT;

    if (!r->row->reload)
        return;
    if (r->row->reload(r, &err) < 0)
        log_error("secrets not taken", "error=\"%s\"", err.msg);
    else
        log_info("certificates renewed", "restart=no");
}

static void on_parent(struct loop_io *io, unsigned events)
{
    struct role *r = container_of(io, struct role, on_parent);
    struct imsg m;
    int got = imsg_recv(IMSG_FD, &m, NULL);

    (void)events;
    if (got == 1) {
        r->stop_pods = r->stop_pods || m.type == ROLE_STOP_PODS;
        if (m.type == ROLE_PEM)
            take_secret(r, &m);
        else if (m.type == ROLE_RELOAD)
            reload(r);
        imsg_deinit(&m);
        return;
    }
    log_warn("the parent has gone", "ending=true");
    stop(r);
}

static void on_signal(struct loop_io *io, unsigned events)
{
    struct role *r = container_of(io, struct role, on_signal);
    struct signalfd_siginfo info;

    (void)events;
    if (read(r->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        stop(r);
}

/* A peak (a big list, many clients) must not stay in memory for ever. */
static void on_trim(struct loop_timer *t)
{
    struct role *r = container_of(t, struct role, trim);

    mem_trim(TRIM_BYTES);
    loop_timer_set(r->loop, t, TRIM_MS, on_trim);
}

static void raise_files(void)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur >= FILES_MAX)
        return;
    l.rlim_cur = l.rlim_max < FILES_MAX ? l.rlim_max : FILES_MAX;
    (void)setrlimit(RLIMIT_NOFILE, &l);
}

static int start(struct role *r, struct err *err)
{
    sigset_t end;

    (void)signal(SIGINT, SIG_IGN);       /* of a terminal: the parent's to hear */
    (void)signal(SIGHUP, SIG_IGN);
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    check(sigprocmask(SIG_BLOCK, &end, NULL) == 0);
    if (receive(r, err) < 0)
        return err_wrap(err, "set-up");
    log_setup(r->row->verb, config_log_level(r->config), config_log_format(r->config));
    r->root = arena_printf(r->config->a, "%s/server", r->config->data_dir);
    r->signals = signalfd(-1, &end, SFD_CLOEXEC);
    if (r->signals < 0)
        return err_sys(err, "signals");
    r->selfstat = selfstat_new();
    /* An end by the parent's death would lose what is not written yet: its socket tells us
     * instead. */
    if (prctl(PR_SET_PDEATHSIG, is_brief(r) ? SIGKILL : 0) < 0)
        return err_sys(err, "death signal");
    if (take_lock(r, err) < 0 || (r->row->open && r->row->open(r, err) < 0) ||
        give_up_rights(r, err) < 0 || loop_new(&r->loop, env_real(), err) < 0)
        return -1;
    if (loop_io_add(r->loop, &r->on_parent, IMSG_FD, LOOP_READ, on_parent, err) < 0 ||
        loop_io_add(r->loop, &r->on_signal, r->signals, LOOP_READ, on_signal, err) < 0)
        return -1;
    loop_timer_set(r->loop, &r->trim, TRIM_MS, on_trim);
    return r->row->start(r, err);
}

static void release(struct role *r)
{
    loop_io_del(&r->on_parent);
    loop_io_del(&r->on_signal);
    loop_timer_del(&r->trim);
    if (r->loop)
        r->row->release(r);
    loop_free(r->loop);
    fd_close(r->signals);
    for (int i = 0; i < ROLE_PEM_MAX; i++)
        role_pem_wipe(r, (enum role_pem)i);
    config_free(r->config);
    selfstat_free(r->selfstat);
    fd_close(r->lock);
}

int role_main(int argc, char **argv)
{
    struct role r = { .lock = -1, .signals = -1 };
    struct err err = ERR_INIT;
    char name[16];
    int status = 0;

    (void)argc;
    for (size_t i = 0; i < ROLE_MAX; i++)
        if (str_eq(argv[0], role_rows[i].verb))
            r.row = &role_rows[i];
    if (!r.row)
        return 2;
    log_setup(r.row->verb, LOG_INFO, LOG_TEXT);
    snprintf(name, sizeof(name), "inro-%s", r.row->verb);
    (void)prctl(PR_SET_NAME, name);
    (void)signal(SIGPIPE, SIG_IGN);
    raise_files();
    (void)mallopt(M_ARENA_MAX, 2);
    (void)mallopt(M_TRIM_THRESHOLD, 128 << 10);
    if (start(&r, &err) < 0) {
        log_error("start failed", "error=%s", err.msg);
        status = 1;
    } else {
        loop_run(r.loop);
    }
    release(&r);
    return status;
}
