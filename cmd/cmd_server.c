/* cmd_server.c -- a whole cluster on this machine: what its roles are given. */
#include "cmd/cmd.h"

#include <unistd.h>

#include "cmd/listen.h"
#include "cmd/parent.h"
#include "cmd/prepare.h"
#include "core/base/log.h"

#define LOOK_MS 43200000ll               /* between looks at the certificates' age */

struct server {
    struct config *config;
    struct prepared prepared;
    struct parent *parent;
    struct loop_timer look;
    int64_t begun_ms;
};

static const char *text_of(const struct pki *p, enum pki_id id, bool key)
{
    return id == PKI_MAX ? NULL : key ? p->v[id].key : p->v[id].cert;
}

/* What only the control role may know. */
static const char *secret_of_control(const struct server *s, enum role_pem id)
{
    const struct pki *p = &s->prepared.pki;

    switch (id) {
    case ROLE_SA_KEY: return p->sa_key;
    case ROLE_SERVER_CA_KEY: return p->server_ca_key;
    case ROLE_CLIENT_CA_KEY: return p->client_ca_key;
    case ROLE_TOKEN: return s->prepared.token_hash;
    default: return NULL;
    }
}

static const char *secret(void *ctx, enum role_id role, enum role_pem id)
{
    static const enum pki_id own[ROLE_MAX] = {
        [ROLE_CONTROL] = PKI_API, [ROLE_NODE] = PKI_NODE_SERVER, [ROLE_DNS] = PKI_MAX,
        [ROLE_JOIN] = PKI_MAX,
    };
    static const enum pki_id client[ROLE_MAX] = {
        [ROLE_CONTROL] = PKI_API_CLIENT, [ROLE_NODE] = PKI_NODE, [ROLE_DNS] = PKI_DNS,
        [ROLE_JOIN] = PKI_MAX,
    };
    const struct pki *p = &((struct server *)ctx)->prepared.pki;

    switch (id) {
    case ROLE_SERVER_CA: return p->server_ca;
    case ROLE_CLIENT_CA: return p->client_ca;
    case ROLE_CERT: case ROLE_KEY: return text_of(p, own[role], id == ROLE_KEY);
    case ROLE_CLIENT_CERT: case ROLE_CLIENT_KEY:
        return text_of(p, client[role], id == ROLE_CLIENT_KEY);
    default: return role == ROLE_CONTROL ? secret_of_control(ctx, id) : NULL;
    }
}

static void on_ready(void *ctx, int64_t ms)
{
    const struct config *c = ((struct server *)ctx)->config;

    log_info("server is ready", "ms=%lld node=%s port=%d kubeconfig=%s", (long long)ms,
             c->node_name, (int)c->https_listen_port, c->write_kubeconfig);
}

/* Certificates near their end are made anew, the token is read again; roles take both as they
 * run. */
static void look(struct server *s)
{
    struct err err = ERR_INIT;
    int changed = prepare_again(&s->prepared, s->config, &err);

    if (changed < 0)
        log_error("secrets not renewed", "error=\"%s\"", err.msg);
    if (changed > 0)
        parent_reload(s->parent);
}

static void on_look(struct loop_timer *t)
{
    struct server *s = container_of(t, struct server, look);

    look(s);
    loop_timer_set(parent_loop(s->parent), t, LOOK_MS, on_look);
}

static void on_hup(void *ctx)
{
    look(ctx);
}

static int begin(struct server *s, struct err *err)
{
    struct parent_opts opts = { .config = s->config, .command = "server",
                                .begun_ms = s->begun_ms, .secret = secret,
                                .on_ready = on_ready, .on_hup = on_hup, .ctx = s };
    const struct config *c = s->config;

    opts.api = arena_printf(c->a, "https://%s:%d", listen_local(c->bind_address),
                            (int)c->https_listen_port);
    if (parent_new(&s->parent, &opts, err) < 0 || config_derive(s->config, err) < 0 ||
        prepare_server(&s->prepared, c, err) < 0)
        return -1;
    s->config->token = "";               /* the roles are not to know it */
    parent_want(s->parent, ROLE_CONTROL, s->prepared.api, -1);
    if (!c->disable_agent)
        parent_want(s->parent, ROLE_NODE, -1, -1);
    if (prepare_wants_dns(c))
        parent_want(s->parent, ROLE_DNS, s->prepared.dns_udp, s->prepared.dns_tcp);
    loop_timer_set(parent_loop(s->parent), &s->look, LOOK_MS, on_look);
    parent_go(s->parent);
    return 0;
}

static void server_deinit(struct server *s)
{
    loop_timer_del(&s->look);
    parent_free(s->parent);
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
    struct server s = { .prepared = { .api = -1, .dns_udp = -1, .dns_tcp = -1 },
                        .begun_ms = env_mono_ms(env_real()) };
    struct config_input in = { .command = CONFIG_SERVER, .argc = argc, .argv = argv,
                               .env = environ };
    struct err err = ERR_INIT;

    if (config_parse(&s.config, &in, &err) < 0)
        return cmd_misuse("server", err.msg);
    if (s.config->help) {
        config_free(s.config);
        return cmd_help(intro, CONFIG_SERVER);
    }
    if (s.config->operands.n)
        return cmd_misuse("server", "takes no arguments, only flags (see --help)");
    cmd_start_log("server", s.config);
    if (begin(&s, &err) < 0) {
        server_deinit(&s);
        return cmd_fail("server", err.msg);
    }
    parent_run(s.parent);
    server_deinit(&s);
    return 0;
}
