/* cmd_agent.c -- a node of somebody else's cluster: node and dns roles under the certificates that
 * its server gives.
 *
 *   first start: join, then roles           later: roles at once, join beside them
 *   join ended well: what came is kept, running roles take it; again when a certificate is old
 *   join failed: again after a while; a refusal of a machine that is no node yet ends the agent
 */
#include "cmd/cmd.h"

#include <unistd.h>

#include "cmd/agent_store.h"
#include "cmd/config.h"
#include "cmd/join_config.h"
#include "cmd/join_token.h"
#include "cmd/parent.h"
#include "cmd/prepare.h"
#include "core/base/fd.h"
#include "core/base/log.h"
#include "core/http/http.h"
#include "core/loop/child.h"

#define LOOK_MS 3600000                  /* between looks at the certificates' age */
#define RENEW_MIN_MS 5000                /* between renewals, however short a life */
#define AGAIN_MIN_MS 200                 /* until the server is asked again; doubles */
#define AGAIN_MAX_MS 10000
#define REFUSED_MS 300000                /* the same when it refused a node that runs */

struct agent {
    struct config *config;
    struct parent *parent;
    struct agent_store store;
    const char *token;
    const char *client_ca;               /* from the settings */
    int dns_udp, dns_tcp;
    bool running;                        /* the roles are started */
    struct child *join;
    char *got[ROLE_PEM_MAX];
    struct loop_timer again;
    int64_t begun_ms, wait_ms;
    struct err why, told;                /* of the last join; what was logged */
};

static int64_t now_s(void)
{
    return env_wall_s(env_real());
}

/* --- the roles */

/* What each role may know. */
static const char *secret(void *ctx, enum role_id role, enum role_pem id)
{
    struct agent *a = ctx;
    char *const *text = a->store.text;

    if (id == ROLE_SERVER_CA)
        return text[id];
    if (role == ROLE_NODE)
        return id == ROLE_CLIENT_CA ? a->client_ca : id == ROLE_CERT || id == ROLE_KEY ||
               id == ROLE_CLIENT_CERT || id == ROLE_CLIENT_KEY ? text[id] : NULL;
    return id == ROLE_CLIENT_CERT ? text[ROLE_DNS_CERT] :
           id == ROLE_CLIENT_KEY ? text[ROLE_DNS_KEY] : NULL;
}

static void on_ready(void *ctx, int64_t ms)
{
    const struct config *c = ((struct agent *)ctx)->config;

    log_info("agent is ready", "ms=%lld node=%s server=%s", (long long)ms, c->node_name,
             c->server);
}

static int start_roles(struct agent *a, struct err *err)
{
    struct slice text = slice_of(a->store.text[ROLE_CLUSTER]);

    if (join_config_apply(a->config, text, &a->client_ca, err) < 0 ||
        prepare_dns(a->config, &a->dns_udp, &a->dns_tcp, err) < 0)
        return -1;
    a->running = true;
    parent_want(a->parent, ROLE_NODE, -1, -1);
    if (prepare_wants_dns(a->config))
        parent_want(a->parent, ROLE_DNS, a->dns_udp, a->dns_tcp);
    parent_go(a->parent);
    return 0;
}

/* --- joining */

static void join_start(struct agent *a);

/* The first certificate to grow old, but not for longer: the clock may be set. */
static int64_t next_look_ms(const struct agent *a)
{
    int64_t ms = agent_store_due_s(&a->store, a->config, now_s()) * 1000;

    return ms < RENEW_MIN_MS ? RENEW_MIN_MS : ms < LOOK_MS ? ms : LOOK_MS;
}

static void on_again(struct loop_timer *t)
{
    struct agent *a = container_of(t, struct agent, again);
    char want[8];

    agent_store_wants(&a->store, a->config, now_s(), want);
    if (*want || a->why.code)
        join_start(a);
    else
        loop_timer_set(parent_loop(a->parent), t, next_look_ms(a), on_again);
}

static void wait(struct agent *a)
{
    int64_t ms = next_look_ms(a);

    if (a->why.code == ERR_DENIED)
        ms = REFUSED_MS;
    else if (a->why.code)
        ms = a->wait_ms = !a->wait_ms ? AGAIN_MIN_MS : a->wait_ms * 2 < AGAIN_MAX_MS
            ? a->wait_ms * 2 : AGAIN_MAX_MS;
    else
        a->wait_ms = 0;
    loop_timer_set(parent_loop(a->parent), &a->again, ms, on_again);
}

static void forget_got(struct agent *a)
{
    for (int i = 0; i < ROLE_PEM_MAX; i++) {
        if (a->got[i])
            explicit_bzero(a->got[i], strlen(a->got[i]));
        a->got[i] = mem_free(a->got[i]);
    }
}

static void joined(struct agent *a)
{
    bool other = a->running && a->got[ROLE_CLUSTER] &&
                 !str_eq(a->got[ROLE_CLUSTER], a->store.text[ROLE_CLUSTER]);
    bool renewed = a->got[ROLE_CLIENT_CERT] || a->got[ROLE_CERT] || a->got[ROLE_DNS_CERT];

    if (agent_store_put(&a->store, a->got, &a->why) < 0)
        return;
    if (other)
        log_warn("the cluster's settings changed", "counts=\"at the next start\"");
    if (!a->running)
        (void)start_roles(a, &a->why);
    else if (renewed)
        parent_reload(a->parent);
}

/* Once per text. */
static void tell(struct agent *a)
{
    if (!a->why.code || str_eq(a->why.msg, a->told.msg))
        return;
    log_warn(a->running ? "server not reached" : "not joined yet", "error=\"%s\"", a->why.msg);
    a->told = a->why;
}

static void on_join_exit(struct child *c, int status, int sig, void *ctx)
{
    struct agent *a = ctx;

    (void)sig;
    a->join = child_free(c);
    if (!a->why.code && status)
        err_set(&a->why, ERR_FAILED, "joining ended with status %d", status);
    if (!a->why.code)
        joined(a);
    forget_got(a);
    if (a->why.code == ERR_DENIED && !a->running) {
        parent_end(a->parent);
        return;
    }
    tell(a);
    wait(a);
}

static void on_join_msg(struct child *c, struct imsg *m, void *ctx)
{
    struct agent *a = ctx;
    unsigned char id = m->len ? (unsigned char)m->data[0] : ROLE_PEM_MAX;

    (void)c;
    if (m->type == IMSG_ERR) {
        imsg_get_err(m, &a->why);
    } else if (m->type == ROLE_PEM && id < ROLE_PEM_MAX) {
        mem_free(a->got[id]);
        a->got[id] = mem_strndup(m->data + 1, m->len - 1);
        explicit_bzero(m->data, m->len);
    }
}

static int join_give(struct agent *a, enum role_pem id, const char *text, struct err *err)
{
    return text ? parent_send_secret(a->join, id, text, err) : 0;
}

static int join_spawn(struct agent *a, struct err *err)
{
    struct child_opts opts = {
        .verb = role_rows[ROLE_JOIN].verb, .env = (const char *const *)environ,
        .fds = { -1 }, .on_msg = on_join_msg, .on_exit = on_join_exit, .ctx = a,
    };
    char *const *text = a->store.text;
    bool client = agent_store_has_client(&a->store, a->config, now_s());
    _cleanup_buf_ struct buf config = BUF_INIT;
    char want[8];

    agent_store_wants(&a->store, a->config, now_s(), want);
    if (child_start(&a->join, parent_loop(a->parent), &opts, err) < 0)
        return -1;
    config_write(&config, a->config);
    if (child_send(a->join, ROLE_CONFIG, config.p, config.len, NULL, 0, err) < 0 ||
        join_give(a, ROLE_WANT, want, err) < 0 ||
        join_give(a, ROLE_SERVER_CA, text[ROLE_SERVER_CA], err) < 0 ||
        join_give(a, ROLE_NODE_PASSWORD, text[ROLE_NODE_PASSWORD], err) < 0 ||
        join_give(a, ROLE_TOKEN, a->token, err) < 0 ||
        (client && join_give(a, ROLE_CLIENT_CERT, text[ROLE_CLIENT_CERT], err) < 0) ||
        (client && join_give(a, ROLE_CLIENT_KEY, text[ROLE_CLIENT_KEY], err) < 0))
        return -1;
    return child_send(a->join, ROLE_GO, NULL, 0, NULL, 0, err);
}

static void join_start(struct agent *a)
{
    err_clear(&a->why);
    if (join_spawn(a, &a->why) == 0)
        return;
    a->join = child_free(a->join);
    tell(a);
    wait(a);
}

static void on_hup(void *ctx)
{
    struct agent *a = ctx;

    if (!a->join)
        join_start(a);
}

/* --- the command */

/* A machine that is a node of another cluster already is told so, not quietly moved. */
static int check_token(struct agent *a, struct err *err)
{
    const struct config *c = a->config;
    char hash[CRYPTO_SHA256_HEX_BYTES];
    const char *ca = a->store.text[ROLE_SERVER_CA];
    struct join_token t;

    if (join_token_given(c, &a->token, err) < 0)
        return -1;
    if (str_empty(a->token)) {
        if (agent_store_has_client(&a->store, c, now_s()))
            return 0;
        return err_set(err, ERR_INVALID, "--token or --token-file is needed to join");
    }
    if (join_token_parse(&t, a->token, err) < 0)
        return err_wrap(err, "--token");
    if (!ca || !*t.ca_hash)
        return 0;
    join_token_ca_hash(hash, slice_of(ca));
    if (str_eq(hash, t.ca_hash))
        return 0;
    return err_set(err, ERR_INVALID, "--token names another cluster than this node belongs to: to "
                   "move it, remove %s/agent", c->data_dir);
}

static int derive(struct config *c, struct err *err)
{
    struct http_url url;

    if (str_empty(c->server))
        return err_set(err, ERR_INVALID, "--server https://HOST:6443 is needed");
    if (http_url_parse(&url, c->server, err) < 0)
        return err_wrap(err, "--server");
    c->advertise_address = arena_strdup(c->a, url.host);
    c->https_listen_port = url.port;     /* the one that roles may connect to */
    return config_derive(c, err);
}

/* A cable may be out when a machine starts: it is still the node that it was. */
static void keep_address(struct agent *a)
{
    struct config *c = a->config;
    const char *former = agent_store_address(&a->store, c);

    if (!str_starts(c->node_ip, "127.") || !former)
        return;
    log_warn("no network: keeping the former address", "node-ip=%s", former);
    c->node_ip = former;
}

static int begin(struct agent *a, struct err *err)
{
    struct parent_opts opts = { .config = a->config, .command = "agent",
                                .begun_ms = a->begun_ms, .secret = secret,
                                .on_ready = on_ready, .on_hup = on_hup, .ctx = a };

    if (parent_new(&a->parent, &opts, err) < 0 || derive(a->config, err) < 0 ||
        prepare_agent(a->config, err) < 0 || agent_store_open(&a->store, a->config, err) < 0)
        return -1;
    keep_address(a);
    if (check_token(a, err) < 0)
        return -1;
    a->config->token = "";               /* the roles are not to know it */
    if (agent_store_is_complete(&a->store, a->config, now_s()) && start_roles(a, err) < 0)
        return -1;
    join_start(a);
    return 0;
}

static void agent_deinit(struct agent *a)
{
    loop_timer_del(&a->again);
    child_free(a->join);
    parent_free(a->parent);
    forget_got(a);
    agent_store_close(&a->store);
    fd_close(a->dns_udp);
    fd_close(a->dns_tcp);
    config_free(a->config);
}

static const char intro[] =
    "usage: inro agent --server https://HOST:6443 --token TOKEN [flags]\n\n"
    "Makes this machine a node of the server's cluster. The token is of \"inro token create\",\n"
    "or what <data-dir>/server/node-token on the server says; it is needed once. SIGTERM ends the\n"
    "agent; the containers go on, and the next start takes them over.\n";

int cmd_agent(int argc, char **argv)
{
    struct agent a = { .store = { .dir = -1 }, .dns_udp = -1, .dns_tcp = -1,
                       .begun_ms = env_mono_ms(env_real()) };
    struct config_input in = { .command = CONFIG_AGENT, .argc = argc, .argv = argv,
                               .env = environ };
    struct err err = ERR_INIT;

    if (config_parse(&a.config, &in, &err) < 0)
        return cmd_misuse("agent", err.msg);
    if (a.config->help) {
        config_free(a.config);
        return cmd_help(intro, CONFIG_AGENT);
    }
    if (a.config->operands.n)
        return cmd_misuse("agent", "takes no arguments, only flags (see --help)");
    cmd_start_log("agent", a.config);
    if (begin(&a, &err) == 0) {
        parent_run(a.parent);
        if (a.why.code == ERR_DENIED && !a.running)
            err = a.why;
    }
    agent_deinit(&a);
    return err.code ? cmd_fail("agent", err.msg) : 0;
}
