/* role_join.c -- asks a server for what an agent needs: its authority, the cluster's settings,
 * certificates. Everything that comes from outside is read here, without rights; what is good goes
 * to the parent, which keeps it.
 *
 *   /cacerts (the token says which digest) --> /v1-inro/config --> CSR of the node's client
 *   certificate, by token or the certificate that it replaces --> with that, the other CSRs
 *
 * Straight-line and short: it ends with its parent or at SIGTERM at once, as it holds nothing. */
#include "cmd/role.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "cmd/join_config.h"
#include "cmd/join_token.h"
#include "core/base/b64.h"
#include "core/base/check.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/http/http.h"

#define CALL_MS 10000                    /* one request */
#define WAIT_MIN_MS 5                    /* between looks at a request */
#define WAIT_QUICK_MS 300                /* doubles after so long */
#define WAIT_MAX_MS 2000
#define WAIT_ALL_MS 60000                /* for a certificate */
#define ANSWER_MAX (256u << 10)
#define CSRS "/apis/certificates.k8s.io/v1/certificatesigningrequests"

struct join {
    struct role *role;
    struct loop_timer end;
    struct arena *a;
    struct join_token token;
    struct http_fetcher *http;
    struct slice ca, cert, key;          /* in the arena */
};

struct answer { int status; struct json *body; struct slice text; };

/* --- requests */

static int dial(struct join *j, bool insecure, struct err *err)
{
    struct http_client_opts o = {
        .base_url = config_api_url(j->role->config), .ca_pem = j->ca, .cert_pem = j->cert,
        .key_pem = j->key, .token = j->cert.len || insecure ? NULL : j->token.secret,
        .insecure = insecure, .user_agent = "inro-agent", .connect_ms = CALL_MS,
    };

    j->http = http_fetcher_free(j->http);
    return http_fetcher_new(&j->http, &o, err);
}

static int call(struct join *j, const char *path, const struct json *body, struct answer *out,
                struct err *err)
{
    struct http_field field = { "inro-node-password", j->role->pem[ROLE_NODE_PASSWORD] };
    struct http_fetch what = {
        .method = body ? "POST" : "GET", .url = path, .deadline_ms = CALL_MS,
        .silence_ms = CALL_MS, .body_max = ANSWER_MAX, .type = body ? "application/json" : NULL,
        .fields = &field, .n_fields = body ? 1 : 0,
    };
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct http_fetched got = { 0 };

    if (body) {
        json_write(&text, body);
        what.body = (struct slice){ text.p, text.len };
    }
    if (http_fetch(&got, j->http, &what, err) < 0)
        return err_wrap(err, "server %s", j->role->config->server);
    out->status = got.status;
    out->text = (struct slice){ arena_strndup(j->a, got.body.p ? got.body.p : "", got.body.len),
                                got.body.len };
    out->body = NULL;
    (void)json_parse(&out->body, j->a, out->text.p, out->text.len, NULL, NULL);
    http_fetched_deinit(&got);
    return 0;
}

/* What the server says to a request that it did not grant. */
static int refused(struct join *j, const struct answer *a, const char *what, struct err *err)
{
    const char *text = json_get_str(a->body, "message");

    if (a->status == 401 && !j->cert.len)
        return err_set(err, ERR_DENIED, "the server does not accept the token: it is wrong, has "
                       "expired or was deleted");
    if (a->status == 401)
        return err_set(err, ERR_DENIED, "the server does not accept this node's certificate: "
                       "join again with a token");
    return err_set(err, a->status == 403 || a->status == 422 ? ERR_DENIED : ERR_UNAVAILABLE,
                   "%s: %s", what, text ? text : http_status_text(a->status));
}

static int send_home(enum role_pem id, struct slice text, struct err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    int result;

    buf_chr(&b, (char)id);
    buf_add(&b, text.p, text.len);
    result = imsg_send(IMSG_FD, ROLE_PEM, b.p, b.len, NULL, 0, err);
    explicit_bzero(b.p, b.len);
    return result;
}

/* --- authority and settings */

static int fetch_ca(struct join *j, struct err *err)
{
    char hash[CRYPTO_SHA256_HEX_BYTES];
    struct answer a;

    j->ca = role_pem(j->role, ROLE_SERVER_CA);
    if (j->ca.len)
        return 0;
    if (dial(j, true, err) < 0 || call(j, "/cacerts", NULL, &a, err) < 0)
        return -1;
    if (a.status != 200)
        return refused(j, &a, "/cacerts", err);
    join_token_ca_hash(hash, a.text);
    if (*j->token.ca_hash && !str_eq(hash, j->token.ca_hash))
        return err_set(err, ERR_DENIED, "the server's authority is not the token's (%.12s..., the "
                       "token says %.12s...): another cluster, or somebody in between", hash,
                       j->token.ca_hash);
    if (!*j->token.ca_hash)
        log_warn("the token pins no authority", "trusting=%s use=%s", hash,
                 "K10<digest>::<secret>");
    j->ca = a.text;
    return send_home(ROLE_SERVER_CA, j->ca, err);
}

static int fetch_config(struct join *j, struct err *err)
{
    const char *client_ca;
    struct answer a;

    if (dial(j, false, err) < 0 || call(j, "/v1-inro/config", NULL, &a, err) < 0)
        return -1;
    if (a.status != 200)
        return refused(j, &a, "settings of the cluster", err);
    if (a.text.len > JOIN_CONFIG_MAX ||
        join_config_apply(j->role->config, a.text, &client_ca, err) < 0)
        return err_wrap(err, "server %s", j->role->config->server);
    return send_home(ROLE_CLUSTER, a.text, err);
}

/* --- certificates */

struct want {
    char letter;
    const char *signer, *usage;
    enum role_pem cert, key;
};

static const struct want wants[] = {
    { ROLE_WANT_CLIENT, "kubernetes.io/kube-apiserver-client-kubelet", "client auth",
      ROLE_CLIENT_CERT, ROLE_CLIENT_KEY },
    { ROLE_WANT_SERVING, "kubernetes.io/kubelet-serving", "server auth", ROLE_CERT, ROLE_KEY },
    { ROLE_WANT_DNS, "kubernetes.io/kube-apiserver-client", "client auth", ROLE_DNS_CERT,
      ROLE_DNS_KEY },
};

static int make_request(struct join *j, const struct want *w, const struct crypto_key *key,
                        struct buf *out, struct err *err)
{
    const struct config *c = j->role->config;
    bool dns = w->letter == ROLE_WANT_DNS, serving = w->letter == ROLE_WANT_SERVING;
    const char *const orgs[] = { dns ? "inro:dns" : "system:nodes", NULL };
    const char *const names[] = { c->node_name, NULL }, *const ips[] = { c->node_ip, NULL };
    struct crypto_issue what = {
        .cn = dns ? "system:inro-dns" : arena_printf(j->a, "system:node:%s", c->node_name),
        .orgs = orgs, .dns = serving ? names : NULL, .ips = serving ? ips : NULL,
        .uses = serving ? CRYPTO_USE_SERVER : CRYPTO_USE_CLIENT,
    };

    return crypto_csr_new(out, key, &what, err);
}

static struct json *request_body(struct join *j, const struct want *w, const struct buf *pem)
{
    const char *const usages[] = { "digital signature", w->usage };
    struct json *o = json_object(j->a), *spec, *list = json_array(j->a);
    _cleanup_buf_ struct buf text = BUF_INIT;

    b64_encode(&text, B64_STD, pem->p, pem->len);
    json_set_str(j->a, o, "apiVersion", "certificates.k8s.io/v1");
    json_set_str(j->a, o, "kind", "CertificateSigningRequest");
    json_set_str(j->a, json_ensure_object(j->a, o, "metadata"), "generateName", "csr-");
    spec = json_ensure_object(j->a, o, "spec");
    json_set_str(j->a, spec, "request", text.p);
    json_set_str(j->a, spec, "signerName", w->signer);
    for (size_t i = 0; i < ARRAY_LEN(usages); i++)
        json_append(j->a, list, json_str(j->a, usages[i]));
    json_set(j->a, spec, "usages", list);
    return o;
}

/* 1: there; 0: not yet. */
static int look(struct join *j, const struct answer *a, struct slice *cert, struct err *err)
{
    const char *text = json_path_str(a->body, "status.certificate");
    _cleanup_buf_ struct buf pem = BUF_INIT;
    struct json *it;

    json_each(it, json_path(a->body, "status.conditions"))
        if (str_eq(json_get_str(it, "type"), "Denied") ||
            str_eq(json_get_str(it, "type"), "Failed"))
            return err_set(err, ERR_DENIED, "certificate refused: %s",
                           json_get_str(it, "message") ? json_get_str(it, "message") : "");
    if (str_empty(text))
        return 0;
    if (b64_decode(&pem, B64_STD, text, strlen(text), err) < 0)
        return err_wrap(err, "certificate from the server");
    *cert = (struct slice){ arena_strndup(j->a, pem.p, pem.len), pem.len };
    return 1;
}

static int await(struct join *j, const char *name, struct slice *cert, struct err *err)
{
    const char *path = arena_printf(j->a, CSRS "/%s", name);
    int64_t begun = env_mono_ms(env_real()), ms = WAIT_MIN_MS, waited = 0;
    struct answer a;
    int there;

    for (;; waited = env_mono_ms(env_real()) - begun) {
        struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

        if (waited > WAIT_QUICK_MS && ms < WAIT_MAX_MS)
            ms *= 2;
        (void)nanosleep(&t, NULL);
        if (call(j, path, NULL, &a, err) < 0)
            return -1;
        if (a.status != 200)
            return refused(j, &a, "certificate", err);
        there = look(j, &a, cert, err);
        if (there)
            return there < 0 ? -1 : 0;
        if (waited > WAIT_ALL_MS)
            return err_set(err, ERR_TIMEOUT, "request %s waits for approval: kubectl certificate "
                           "approve %s", name, name);
    }
}

/* One that is asked for. */
struct order {
    const struct want *want;
    struct crypto_key *key;
    const char *name;                    /* of the CSR */
};

static int order_place(struct join *j, struct order *o, struct err *err)
{
    _cleanup_buf_ struct buf request = BUF_INIT;
    struct answer a;

    if (crypto_key_new(&o->key, err) < 0 || make_request(j, o->want, o->key, &request, err) < 0 ||
        call(j, CSRS, request_body(j, o->want, &request), &a, err) < 0)
        return -1;
    o->name = json_path_str(a.body, "metadata.name");
    return a.status == 201 && o->name ? 0 : refused(j, &a, "certificate", err);
}

static int order_collect(struct join *j, struct order *o, struct err *err)
{
    _cleanup_(crypto_cert_unrefp) struct crypto_cert *parsed = NULL;
    _cleanup_buf_ struct buf key_pem = BUF_INIT;
    struct slice cert, key;

    if (await(j, o->name, &cert, err) < 0 || crypto_key_write(&key_pem, o->key, err) < 0)
        return -1;
    if (crypto_cert_parse(&parsed, cert.p, cert.len, err) < 0 ||
        !crypto_cert_has_key(parsed, o->key))
        return err_set(err, ERR_CORRUPT, "the server's certificate is not for our key");
    key = (struct slice){ arena_strndup(j->a, key_pem.p, key_pem.len), key_pem.len };
    if (send_home(o->want->cert, cert, err) < 0 || send_home(o->want->key, key, err) < 0)
        return -1;
    if (o->want->letter != ROLE_WANT_CLIENT)
        return 0;
    j->cert = cert;
    j->key = key;
    return dial(j, false, err);
}

/* The client's certificate first: with it the others are asked for, side by side. */
static int get_certificates(struct join *j, struct err *err)
{
    const char *letters = j->role->pem[ROLE_WANT];
    struct order orders[ARRAY_LEN(wants)] = { { 0 } };
    int result = 0;

    for (size_t i = 0; i < ARRAY_LEN(wants) && result == 0; i++) {
        orders[i].want = &wants[i];
        if (!letters || !strchr(letters, wants[i].letter))
            continue;
        result = order_place(j, &orders[i], err);
        if (result == 0 && wants[i].letter == ROLE_WANT_CLIENT)
            result = order_collect(j, &orders[i], err);
    }
    for (size_t i = 0; i < ARRAY_LEN(wants) && result == 0; i++)
        if (orders[i].name && wants[i].letter != ROLE_WANT_CLIENT)
            result = order_collect(j, &orders[i], err);
    for (size_t i = 0; i < ARRAY_LEN(wants); i++)
        crypto_key_unref(orders[i].key);
    return result;
}

static int run(struct join *j, struct err *err)
{
    const char *token = j->role->pem[ROLE_TOKEN];

    j->cert = role_pem(j->role, ROLE_CLIENT_CERT);
    j->key = role_pem(j->role, ROLE_CLIENT_KEY);
    if (!str_empty(token) && join_token_parse(&j->token, token, err) < 0)
        return -1;
    if (fetch_ca(j, err) < 0 || fetch_config(j, err) < 0 || get_certificates(j, err) < 0)
        return -1;
    return imsg_send(IMSG_FD, ROLE_READY, NULL, 0, NULL, 0, err);
}

static void on_end(struct loop_timer *t)
{
    loop_stop(container_of(t, struct join, end)->role->loop);
}

int role_join_start(struct role *r, struct err *err)
{
    struct join *j = NEW(struct join);
    struct err why = ERR_INIT;
    sigset_t term;

    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    check(sigprocmask(SIG_UNBLOCK, &term, NULL) == 0);
    (void)err;
    j->role = r;
    j->a = arena_new(0);
    r->state = j;
    if (run(j, &why) < 0)
        (void)imsg_send_err(IMSG_FD, &why, NULL);
    loop_timer_set(r->loop, &j->end, 0, on_end);
    return 0;
}

void role_join_stop(struct role *r)
{
    loop_stop(r->loop);
}

void role_join_release(struct role *r)
{
    struct join *j = r->state;

    if (!j)
        return;
    loop_timer_del(&j->end);
    http_fetcher_free(j->http);
    explicit_bzero(&j->token, sizeof(j->token));
    arena_free(j->a);
    mem_free(j);
}
