/* cmd_server.c -- the parent: prepares, starts the roles, starts them again, ends them. One
 * thread, no request. */
#include "cmd/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/config.h"
#include "cmd/notify.h"
#include "cmd/prepare.h"
#include "cmd/role.h"
#include "core/base/check.h"
#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/loop/child.h"
#include "gen/version.h"

#define AGAIN_MIN_MS 20                  /* until a role that ended is started again; doubles */
#define AGAIN_MAX_MS 10000
#define STEADY_MS 10000                  /* having run so long, the next failure is a first one */
#define END_MS 15000                     /* roles may take this long to end */
#define END_PODS_MS 150000               /* with their pods */
#define OOM_SCORE "-999"
#define IMPATIENT_MS 1000                /* a signal so long after the first one kills the roles */

struct server;

struct server_role {
    struct server *server;
    enum role_id id;
    bool wanted, ready;
    struct child *child;
    struct loop_timer again;
    int64_t wait_ms, started_ms;
    int fds[2];                          /* given to it and its successors */
};

struct server {
    struct config *config;
    struct prepared prepared;
    struct loop *loop;
    struct server_role roles[ROLE_MAX];
    struct loop_io on_signal;
    struct loop_timer deadline;
    int signals;
    bool ready, stopping, stop_pods, kill;
    int64_t begun_ms, stopping_ms;
};

/* --- one role */

static int send_pem(struct server_role *sr, enum role_pem id, const char *text, struct err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    buf_chr(&b, (char)id);
    buf_str(&b, text);
    return child_send(sr->child, ROLE_PEM, b.p, b.len, NULL, 0, err);
}

/* What each role may know. */
static int send_secrets(struct server_role *sr, struct err *err)
{
    static const enum pki_id own[ROLE_MAX] = {
        [ROLE_CONTROL] = PKI_API, [ROLE_NODE] = PKI_NODE_SERVER, [ROLE_DNS] = PKI_MAX,
    };
    static const enum pki_id client[ROLE_MAX] = {
        [ROLE_CONTROL] = PKI_API_CLIENT, [ROLE_NODE] = PKI_NODE, [ROLE_DNS] = PKI_DNS,
    };
    const struct pki *p = &sr->server->prepared.pki;

    if (send_pem(sr, ROLE_SERVER_CA, p->server_ca, err) < 0 ||
        send_pem(sr, ROLE_CLIENT_CA, p->client_ca, err) < 0)
        return -1;
    if (sr->id == ROLE_CONTROL && send_pem(sr, ROLE_SA_KEY, p->sa_key, err) < 0)
        return -1;
    if (own[sr->id] != PKI_MAX && (send_pem(sr, ROLE_CERT, p->v[own[sr->id]].cert, err) < 0 ||
                                   send_pem(sr, ROLE_KEY, p->v[own[sr->id]].key, err) < 0))
        return -1;
    if (send_pem(sr, ROLE_CLIENT_CERT, p->v[client[sr->id]].cert, err) < 0)
        return -1;
    return send_pem(sr, ROLE_CLIENT_KEY, p->v[client[sr->id]].key, err);
}

static void role_start(struct server_role *sr);
static void server_step(struct server *s);

static void on_again(struct loop_timer *t)
{
    role_start(container_of(t, struct server_role, again));
}

static void role_again(struct server_role *sr)
{
    struct server *s = sr->server;
    int64_t ran_ms = loop_now_ms(s->loop) - sr->started_ms;

    sr->wait_ms = ran_ms >= STEADY_MS || !sr->wait_ms ? AGAIN_MIN_MS : sr->wait_ms * 2;
    if (sr->wait_ms > AGAIN_MAX_MS)
        sr->wait_ms = AGAIN_MAX_MS;
    loop_timer_set(s->loop, &sr->again, sr->wait_ms, on_again);
}

static void on_exit_role(struct child *c, int status, int sig, void *ctx)
{
    struct server_role *sr = ctx;
    struct server *s = sr->server;

    sr->child = child_free(c);
    sr->ready = false;
    if (s->stopping) {
        if (status != 0)
            log_warn("role ended badly", "which=%s status=%d", role_rows[sr->id].verb, status);
        server_step(s);
        return;
    }
    role_again(sr);
    log_error("role ended", "which=%s status=%d signal=%d restart_ms=%lld", role_rows[sr->id].verb,
              status,
              sig, (long long)sr->wait_ms);
}

static void on_role_msg(struct child *c, struct imsg *m, void *ctx)
{
    struct server_role *sr = ctx;

    (void)c;
    if (m->type != ROLE_READY)
        return;
    sr->ready = true;
    server_step(sr->server);
}

static int role_spawn(struct server_role *sr, struct err *err)
{
    struct child_opts opts = {
        .verb = role_rows[sr->id].verb, .env = (const char *const *)environ,
        .fds = { sr->fds[0], sr->fds[1], -1 }, .on_msg = on_role_msg, .on_exit = on_exit_role,
            .ctx = sr,
    };
    _cleanup_buf_ struct buf config = BUF_INIT;

    if (child_start(&sr->child, sr->server->loop, &opts, err) < 0)
        return -1;
    config_write(&config, sr->server->config);
    if (child_send(sr->child, ROLE_CONFIG, config.p, config.len, NULL, 0, err) < 0 ||
        send_secrets(sr, err) < 0)
        return -1;
    return child_send(sr->child, ROLE_GO, NULL, 0, NULL, 0, err);
}

static void role_start(struct server_role *sr)
{
    struct err err = ERR_INIT;

    sr->started_ms = loop_now_ms(sr->server->loop);
    if (role_spawn(sr, &err) == 0)
        return;
    log_error("role not started", "which=%s error=%s", role_rows[sr->id].verb, err.msg);
    sr->child = child_free(sr->child);
    role_again(sr);
}

/* --- all roles: they start together, as the API's socket is there already and connections wait in
 * it; they end in order: the node, which may have states to tell, before the API */

static bool stop_role(struct server_role *sr)
{
    struct server *s = sr->server;

    loop_timer_del(&sr->again);
    if (!sr->child)
        return false;
    if (sr->wanted) {                    /* not told yet */
        sr->wanted = false;
        if (s->stop_pods && sr->id == ROLE_NODE)
            (void)child_send(sr->child, ROLE_STOP_PODS, NULL, 0, NULL, 0, NULL);
        (void)child_kill(sr->child, SIGTERM, NULL);
    }
    if (s->kill)
        (void)child_kill(sr->child, SIGKILL, NULL);
    return true;
}

static void server_stop_step(struct server *s)
{
    bool left = stop_role(&s->roles[ROLE_NODE]);

    if (left && !s->kill)
        return;
    left = stop_role(&s->roles[ROLE_DNS]) || left;
    left = stop_role(&s->roles[ROLE_CONTROL]) || left;
    if (!left)
        loop_stop(s->loop);
}

static void server_step(struct server *s)
{
    bool all = true;

    if (s->stopping) {
        server_stop_step(s);
        return;
    }
    for (size_t i = 0; i < ROLE_MAX; i++) {
        struct server_role *sr = &s->roles[i];

        all = all && (!sr->wanted || sr->ready);
        if (sr->wanted && !sr->child && !loop_timer_is_set(&sr->again))
            role_start(sr);
    }
    if (!all || s->ready)
        return;
    s->ready = true;
    log_info("server is ready", "ms=%lld node=%s port=%d kubeconfig=%s",
             (long long)(loop_now_ms(s->loop) - s->begun_ms), s->config->node_name,
             (int)s->config->https_listen_port, s->config->write_kubeconfig);
    notify_state("READY=1\nSTATUS=ready");
    (void)malloc_trim(0);
}

static void on_deadline(struct loop_timer *t)
{
    struct server *s = container_of(t, struct server, deadline);

    log_warn("roles do not end", "killing=true");
    s->kill = true;
    server_stop_step(s);
}

static void on_signal(struct loop_io *io, unsigned events)
{
    struct server *s = container_of(io, struct server, on_signal);
    struct signalfd_siginfo info;

    (void)events;
    if (read(s->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (!s->stopping) {
        s->stopping = true;
        s->stopping_ms = loop_now_ms(s->loop);
        s->stop_pods = s->config->stop_pods || info.ssi_signo == SIGUSR1;
        log_info("stopping", "pods=%s", s->stop_pods ? "stop" : "go-on");
        notify_state("STOPPING=1");
        loop_timer_set(s->loop, &s->deadline, s->stop_pods ? END_PODS_MS : END_MS, on_deadline);
    } else if (loop_now_ms(s->loop) - s->stopping_ms >= IMPATIENT_MS) {
        log_warn("asked again", "killing=true");
        s->kill = true;
    }
    server_stop_step(s);
}

static int begin(struct server *s, struct err *err)
{
    const struct config *c = s->config;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    check(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    s->signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (s->signals < 0)
        return err_sys(err, "signals");
    /* As the kubelet's: short of memory, the kernel looks elsewhere first. Containers get their
     * own. */
    (void)fd_write_kernel(AT_FDCWD, "/proc/self/oom_score_adj", OOM_SCORE, NULL);
    if (config_derive(s->config, err) < 0 || prepare_server(&s->prepared, c, err) < 0)
        return -1;
    if (loop_new(&s->loop, env_real(), err) < 0 ||
        loop_io_add(s->loop, &s->on_signal, s->signals, LOOP_READ, on_signal, err) < 0)
        return -1;
    s->roles[ROLE_CONTROL].wanted = true;
    s->roles[ROLE_CONTROL].fds[0] = s->prepared.api;
    s->roles[ROLE_NODE].wanted = !c->disable_agent;
    s->roles[ROLE_DNS].wanted = prepare_wants_dns(c);
    s->roles[ROLE_DNS].fds[0] = s->prepared.dns_udp;
    s->roles[ROLE_DNS].fds[1] = s->prepared.dns_tcp;
    server_step(s);
    return 0;
}

static void server_deinit(struct server *s)
{
    loop_io_del(&s->on_signal);
    for (size_t i = 0; i < ROLE_MAX; i++)
        child_free(s->roles[i].child);
    loop_free(s->loop);
    fd_close(s->signals);
    prepare_deinit(&s->prepared);
    config_free(s->config);
}

static const char intro[] =
    "usage: inro server [flags]\n\n"
    "Runs a whole cluster on this machine: API, controllers, scheduler and (as root) a node with\n"
    "its containers, Services and DNS. SIGTERM ends it; the containers go on, and the next start\n"
    "takes them over.\n\n"
    "  inro server &\n"
    "  KUBECONFIG=/etc/inro/inro.yaml kubectl get nodes\n";

int cmd_server(int argc, char **argv)
{
    struct server s = { .prepared = { .api = -1, .dns_udp = -1, .dns_tcp = -1 }, .signals = -1,
                        .begun_ms = env_mono_ms(env_real()) };
    struct config_input in = { .command = CONFIG_SERVER, .argc = argc, .argv = argv,
                               .env = environ };
    struct err err = ERR_INIT;

    for (size_t i = 0; i < ROLE_MAX; i++)
        s.roles[i] = (struct server_role){ .server = &s, .id = (enum role_id)i, .fds = { -1, -1 } };
    if (config_parse(&s.config, &in, &err) < 0)
        return cmd_misuse("server", err.msg);
    if (s.config->help) {
        config_free(s.config);
        return cmd_help(intro, CONFIG_SERVER);
    }
    if (s.config->operands.n)
        return cmd_misuse("server", "takes no arguments, only flags (see --help)");
    log_setup("server", config_log_level(s.config), config_log_format(s.config));
    log_info("starting", "version=%s commit=%s data-dir=%s", INRO_VERSION, INRO_COMMIT,
             s.config->data_dir);
    for (unsigned i = 0; i < s.config->ignored.n; i++)
        log_warn("flag without meaning here", "flag=--%s", s.config->ignored.v[i]);
    if (begin(&s, &err) < 0) {
        server_deinit(&s);
        return cmd_fail("server", err.msg);
    }
    loop_run(s.loop);
    log_info("stopped", "pods=%s", s.stop_pods ? "stopped" : "go-on");
    server_deinit(&s);
    return 0;
}
