/* role_control.c -- store, API, and in-process clients for controllers and scheduler. */
#include "cmd/role.h"

#include <unistd.h>

#include "cmd/config_args.h"
#include "cmd/deciders.h"
#include "cmd/join_config.h"
#include "cmd/plugins.h"
#include "cmd/prepare.h"
#include "cmd/selfstat.h"
#include "core/api/api.h"
#include "core/base/log.h"
#include "core/tls/tls.h"
#include "net/tunnel/tunnel.h"

#define CONTROL_JOBS 8                   /* threads: so many writes share one commit of the store */
#define CONTROL_STOP_MS 1000             /* requests may end */

/* What signs certificates of nodes. */
struct signing {
    struct crypto_cert *server_ca, *client_ca, *api;
    struct crypto_key *server_key, *client_key;
};

struct control_role {
    struct role *role;
    struct job_pool *jobs;
    struct watch_cache *cache;
    struct kv *kv;
    struct crypto_key *sa_key;
    struct signing signing;
    struct api *api;
    struct tls_ctx *tls;
    struct http_server *http;
    struct tunnel_server *tunnels;
    struct deciders *deciders;
    struct client *plugins_client;       /* writes their Events */
    unsigned bad;                        /* objects in the store that could not be read */
};

/* --- the store */

static void on_load(void *ctx, const struct kv_change *pair)
{
    struct control_role *c = ctx;
    struct err err = ERR_INIT;

    if (watch_cache_load(c->cache, pair, &err) == 0)
        return;
    c->bad++;
    log_error("unreadable object", "key=%s error=%s", pair->key, err.msg);
}

static void on_change(void *ctx, const struct kv_change *change)
{
    struct control_role *c = ctx;

    watch_cache_apply(c->cache, change);
}

/* Nothing may be acknowledged any more. The parent starts a new process, which reads what is on
 * the disk. */
static void on_fatal(void *ctx, const struct err *why)
{
    (void)ctx;
    log_error("store failed", "error=%s", why->msg);
    _exit(1);
}

static int open_store(struct control_role *c, struct err *err)
{
    struct kv_opts opts = { .env = env_real(), .on_change = on_change, .on_fatal = on_fatal,
                            .ctx = c };

    opts.path = arena_printf(c->role->config->a, "%s/db/state.db", c->role->root);
    c->cache = watch_cache_new(env_real());
    if (kv_open(&c->kv, &opts, on_load, err) < 0)
        return -1;
    watch_cache_ready(c->cache, kv_revision(c->kv));
    return 0;
}

/* --- the API */

static void metrics(void *ctx, struct buf *out)
{
    struct control_role *c = ctx;

    selfstat_metrics(c->role->selfstat, out);
    if (c->deciders)
        deciders_metrics(c->deciders, out);
    admit_lua_metrics(plugins_lua(c->role->plugins), out);
}

static int page(void *ctx, const char *name, struct buf *out)
{
    struct control_role *c = ctx;

    if (!str_eq(name, "plugins"))
        return -1;
    plugins_page(c->role->plugins, out);
    return 0;
}

static int check_deciders(void *ctx, struct err *err)
{
    const struct control_role *c = ctx;

    return deciders_health(c->deciders, err);
}

static int check_plugins(void *ctx, struct err *err)
{
    const struct control_role *c = ctx;

    return plugins_health(c->role->plugins, err);
}

static const struct api_check checks[] = {
    { "controllers", check_deciders }, { "plugins", check_plugins },
};

static int parse_key(struct crypto_key **out, struct role *r, enum role_pem id, struct err *err)
{
    struct slice pem = role_pem(r, id);
    int result = crypto_key_parse(out, pem.p, pem.len, err);

    role_pem_wipe(r, id);
    return result;
}

static int parse_cert(struct crypto_cert **out, struct role *r, enum role_pem id,
                      struct err *err)
{
    struct slice pem = role_pem(r, id);

    return crypto_cert_parse(out, pem.p, pem.len, err);
}

static int make_signing(struct control_role *c, struct err *err)
{
    struct signing *s = &c->signing;
    struct role *r = c->role;

    if (parse_cert(&s->server_ca, r, ROLE_SERVER_CA, err) < 0 ||
        parse_cert(&s->client_ca, r, ROLE_CLIENT_CA, err) < 0 ||
        parse_cert(&s->api, r, ROLE_CERT, err) < 0 ||
        parse_key(&s->server_key, r, ROLE_SERVER_CA_KEY, err) < 0 ||
        parse_key(&s->client_key, r, ROLE_CLIENT_CA_KEY, err) < 0)
        return err_wrap(err, "authorities");
    return 0;
}

static void signing_deinit(struct signing *s)
{
    crypto_cert_unref(s->server_ca);
    crypto_cert_unref(s->client_ca);
    crypto_cert_unref(s->api);
    crypto_key_unref(s->server_key);
    crypto_key_unref(s->client_key);
}

static int start_deciders(struct control_role *c, struct err *err)
{
    const struct signing *s = &c->signing;
    struct deciders_facts facts = {
        .root_ca_pem = c->role->pem[ROLE_SERVER_CA], .api_cert = s->api,
        .server_signer = { s->server_ca, s->server_key },
        .client_signer = { s->client_ca, s->client_key },
    };

    return deciders_new(&c->deciders, c->api, c->role->config, &facts, err);
}

static int dial(void *ctx, const char *node, const char *host, uint16_t port, struct err *err)
{
    return tunnel_server_dial(ctx, node, host, port, err);
}

/* What joining machines are told; its text lives in `cluster`. */
static struct api_join join_facts(const struct role *r, struct buf *cluster)
{
    const struct config *c = r->config;

    join_config_write(cluster, c, r->pem[ROLE_CLIENT_CA]);
    return (struct api_join){ .ca_pem = r->pem[ROLE_SERVER_CA], .config = cluster->p,
                              .token_hash = r->pem[ROLE_TOKEN],
                              .node_name = c->disable_agent ? NULL : c->node_name };
}

static int make_api(struct control_role *c, struct err *err)
{
    const struct role *r = c->role;
    const struct config *config = r->config;
    struct api_opts opts = {
        .dial = { dial, c->tunnels },
        .loop = r->loop, .jobs = c->jobs, .cache = c->cache, .kv = c->kv, .env = env_real(),
        .service_cidr = config->service_cidr, .sa_key = c->sa_key,
        .lua = plugins_lua(r->plugins),
        .more = { metrics, page, checks, ARRAY_LEN(checks), c },
        .issuer = arena_printf(config->a, "https://kubernetes.default.svc.%s",
                               config->cluster_domain),
        .node_ca_pem = r->pem[ROLE_SERVER_CA], .node_cert_pem = r->pem[ROLE_CLIENT_CERT],
        .node_key_pem = r->pem[ROLE_CLIENT_KEY],
        .advertise = arena_printf(config->a, "%s:%d", config->advertise_address,
                                  (int)config->https_listen_port),
    };
    struct slice key = role_pem(r, ROLE_SA_KEY);
    struct admit_settings admit;
    struct config_args args;
    _cleanup_buf_ struct buf cluster = BUF_INIT;
    struct api_join join = join_facts(r, &cluster);

    if (config_args(&args, config, NULL, NULL, err) < 0)
        return -1;
    admit = (struct admit_settings){ args.not_ready_toleration_s, args.unreachable_toleration_s };
    opts.admit = &admit;
    if (prepare_has_dns(config))
        opts.cluster_dns = config->cluster_dns;
    config_node_ports(config, &opts.node_port_min, &opts.node_port_max);
    if (crypto_key_parse(&c->sa_key, key.p, key.len, err) < 0)
        return err_wrap(err, "service accounts' key");
    opts.sa_key = c->sa_key;
    opts.join = &join;
    if (api_new(&c->api, &opts, err) < 0 || api_bootstrap(c->api, err) < 0)
        return -1;
    return 0;
}

/* --- nodes that connect to us */

/* The name in a node's certificate; NULL: it is none. */
static const char *node_of(const struct http_req *req)
{
    static const char prefix[] = "system:node:";
    const struct crypto_names *n;

    if (!req->peer_cert || req->peer_cert_why)
        return NULL;
    n = crypto_cert_names(req->peer_cert);
    for (unsigned i = 0; i < n->n_orgs; i++)
        if (str_eq(n->orgs[i], "system:nodes") && str_starts(n->cn, prefix))
            return n->cn + sizeof(prefix) - 1;
    return NULL;
}

static void on_request(struct http_req *req, void *ctx)
{
    static const char text[] = "only for nodes, by their certificate\n";
    struct control_role *c = ctx;
    const char *node;

    if (!str_eq(req->path, TUNNEL_PATH)) {
        api_on_request(req, c->api);
        return;
    }
    node = node_of(req);
    if (node)
        tunnel_server_accept(c->tunnels, node, req);
    else
        http_respond(req, &(struct http_answer){ .status = 403, .body = text,
                                                 .len = sizeof(text) - 1 });
}

static struct tls_ctx_opts tls_opts(const struct role *r)
{
    static const char *const alpn[] = { "h2", "http/1.1", NULL };

    return (struct tls_ctx_opts){
        .server = true, .want_peer = true, .alpn = alpn,
        .cert_pem = role_pem(r, ROLE_CERT), .key_pem = role_pem(r, ROLE_KEY),
        .ca_pem = role_pem(r, ROLE_CLIENT_CA),
    };
}

static int serve(struct control_role *c, struct err *err)
{
    struct http_server_opts http = { .on_request = on_request, .ctx = c };
    struct tls_ctx_opts tls = tls_opts(c->role);

    if (tls_ctx_new(&c->tls, &tls, err) < 0 || http_server_new(&c->http, c->role->loop, &http,
                                                               err) < 0 ||
        http_server_listen_fd(c->http, ROLE_FD, c->tls, err) < 0)
        return -1;
    api_ready(c->api);
    return 0;
}

static int tell_of_plugins(struct control_role *c, struct err *err)
{
    if (api_client_new(&c->plugins_client, c->api, c->role->loop, "system:inro:plugins", err) < 0)
        return -1;
    plugins_tell(c->role->plugins, c->plugins_client);
    return 0;
}

/* --- the role */

int role_control_open(struct role *r, struct err *err)
{
    return plugins_open(&r->plugins, r->config->data_dir, err);
}

int role_control_start(struct role *r, struct err *err)
{
    static const unsigned class_max[JOB_CLASS_MAX] = { 0 };
    struct control_role *c = NEW(struct control_role);

    c->role = r;
    r->state = c;
    c->tunnels = tunnel_server_new(r->loop);
    if (job_pool_new(&c->jobs, CONTROL_JOBS, class_max, err) < 0 ||
        make_signing(c, err) < 0 || open_store(c, err) < 0 ||
        plugins_start(r->plugins, r->loop, c->jobs, err) < 0 || make_api(c, err) < 0 ||
        serve(c, err) < 0 || tell_of_plugins(c, err) < 0 || start_deciders(c, err) < 0)
        return -1;
    role_ready();
    return 0;
}

/* The authorities stay: only what they signed is new, and the token. */
int role_control_reload(struct role *r, struct err *err)
{
    struct control_role *c = r->state;
    struct tls_ctx_opts tls = tls_opts(r);
    _cleanup_buf_ struct buf cluster = BUF_INIT;
    struct api_join join = join_facts(r, &cluster);
    struct api_node_identity node = { r->pem[ROLE_SERVER_CA], r->pem[ROLE_CLIENT_CERT],
                                      r->pem[ROLE_CLIENT_KEY] };

    role_pem_wipe(r, ROLE_SERVER_CA_KEY);
    role_pem_wipe(r, ROLE_CLIENT_CA_KEY);
    api_join_set(c->api, &join);
    if (tls_ctx_reload(c->tls, &tls, err) < 0)
        return -1;
    return api_node_identity_set(c->api, &node, err);
}

static void on_stopped(void *ctx)
{
    struct role *r = ctx;

    loop_stop(r->loop);
}

void role_control_stop(struct role *r)
{
    struct control_role *c = r->state;

    api_stopping(c->api);
    http_server_stop(c->http, CONTROL_STOP_MS, on_stopped, r);
}

void role_control_release(struct role *r)
{
    struct control_role *c = r->state;

    if (!c) {
        r->plugins = plugins_free(r->plugins);
        return;
    }
    deciders_free(c->deciders);
    tunnel_server_free(c->tunnels);
    http_server_free(c->http);
    c->jobs = job_pool_free(c->jobs);
    while (loop_step(r->loop, 0))        /* answers of the last jobs */
        ;
    plugins_tell(r->plugins, NULL);
    client_free(c->plugins_client);
    api_free(c->api);
    r->plugins = plugins_free(r->plugins);
    kv_close(c->kv);
    watch_cache_free(c->cache);
    tls_ctx_unref(c->tls);
    crypto_key_unref(c->sa_key);
    signing_deinit(&c->signing);
    mem_free(c);
}
