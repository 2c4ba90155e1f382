/* cmd_token.c -- tokens by which machines join: Secrets of upstream's bootstrap-token form, made,
 * listed and deleted at the API with the administrator's certificate. */
#include "cmd/cmd.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cmd/cmd_lock.h"
#include "cmd/config.h"
#include "cmd/join_token.h"
#include "cmd/kubeconfig.h"
#include "core/base/b64.h"
#include "core/base/fd.h"
#include "core/base/json.h"
#include "core/base/timefmt.h"
#include "core/http/http.h"

#define SECRETS "/api/v1/namespaces/kube-system/secrets"
#define TYPE "bootstrap.kubernetes.io/token"
#define PREFIX "bootstrap-token-"
#define DEFAULT_GROUP "system:bootstrappers:inro:default-node-token"
#define ID_LEN 6
#define CALL_MS 15000

struct token_run {
    struct config *c;
    struct arena *a;
    struct kubeconfig kubeconfig;
    struct http_fetcher *http;
};

/* --- the API */

static int dial(struct token_run *r, struct err *err)
{
    const struct config *c = r->c;
    const char *path = !str_empty(c->kubeconfig) ? c->kubeconfig
        : arena_printf(r->a, "%s/server/cred/admin.kubeconfig", c->data_dir);
    struct http_client_opts o = { .user_agent = "inro-token" };

    if (kubeconfig_read(&r->kubeconfig, r->a, path, err) < 0)
        return err_wrap(err, "%s (a server makes it; see --kubeconfig and --data-dir)", path);
    o.base_url = r->kubeconfig.server;
    o.ca_pem = slice_of(r->kubeconfig.ca_pem);
    o.cert_pem = slice_of(r->kubeconfig.cert_pem);
    o.key_pem = slice_of(r->kubeconfig.key_pem);
    return http_fetcher_new(&r->http, &o, err);
}

struct ask { const char *method, *path; const struct json *body; };

static int call(struct token_run *r, const struct ask *ask, struct json **out, struct err *err)
{
    struct http_fetch what = { .method = ask->method, .url = ask->path, .deadline_ms = CALL_MS,
                               .type = ask->body ? "application/json" : NULL };
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct http_fetched got = { 0 };
    int status;

    if (ask->body) {
        json_write(&text, ask->body);
        what.body = (struct slice){ text.p, text.len };
    }
    if (http_fetch(&got, r->http, &what, err) < 0)
        return err_wrap(err, "server %s", r->kubeconfig.server);
    status = got.status;
    *out = NULL;
    (void)json_parse(out, r->a, got.body.p ? got.body.p : "", got.body.len, NULL, NULL);
    http_fetched_deinit(&got);
    if (status / 100 == 2)
        return 0;
    return err_set(err, status == 404 ? ERR_NOT_FOUND : ERR_FAILED, "%s",
                   json_get_str(*out, "message") ? json_get_str(*out, "message")
                   : http_status_text(status));
}

/* --- create */

static void put(struct token_run *r, struct json *data, const char *key, const char *text)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    buf_str(&b, "");
    b64_encode(&b, B64_STD, text, strlen(text));
    json_set_str(r->a, data, key, b.p);
}

static const char *join_list(struct arena *a, const struct config_list *l)
{
    const char *text = "";

    for (unsigned i = 0; i < l->n; i++)
        text = arena_printf(a, "%s%s%s", text, i ? "," : "", l->v[i]);
    return text;
}

static void put_expiration(struct token_run *r, struct json *data)
{
    char when[TIMEFMT_BYTES];
    int64_t ns = 0;

    if (!str_eq(r->c->ttl, "0"))
        (void)timefmt_parse_duration(r->c->ttl, &ns, NULL);      /* checked with the flags */
    if (ns <= 0)
        return;
    timefmt_rfc3339(when, env_wall_s(env_real()) + ns / 1000000000);
    put(r, data, "expiration", when);
}

static struct json *secret_of(struct token_run *r, const char *token)
{
    const struct config *c = r->c;
    struct json *o = json_object(r->a), *data = json_object(r->a), *meta;
    const char *id = arena_strndup(r->a, token, ID_LEN);

    json_set_str(r->a, o, "apiVersion", "v1");
    json_set_str(r->a, o, "kind", "Secret");
    json_set_str(r->a, o, "type", TYPE);
    meta = json_ensure_object(r->a, o, "metadata");
    json_set_str(r->a, meta, "name", arena_printf(r->a, PREFIX "%s", id));
    json_set_str(r->a, meta, "namespace", "kube-system");
    put(r, data, "token-id", id);
    put(r, data, "token-secret", token + ID_LEN + 1);
    if (!str_empty(c->description))
        put(r, data, "description", c->description);
    put_expiration(r, data);
    if (!c->usages.n || config_has(&c->usages, "authentication"))
        put(r, data, "usage-bootstrap-authentication", "true");
    if (!c->usages.n || config_has(&c->usages, "signing"))
        put(r, data, "usage-bootstrap-signing", "true");
    put(r, data, "auth-extra-groups",
        c->groups.n ? join_list(r->a, &c->groups) : DEFAULT_GROUP);
    json_set(r->a, o, "data", data);
    return o;
}

static int create(struct token_run *r, struct err *err)
{
    char token[JOIN_TOKEN_SECRET_MAX];
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct json *answer;

    join_token_random(token);
    if (r->c->operands.n == 2) {
        if (!join_token_is_bootstrap(r->c->operands.v[1]))
            return err_set(err, ERR_INVALID, "\"%s\" is not [a-z0-9]{6}.[a-z0-9]{16}",
                           r->c->operands.v[1]);
        str_copy(token, sizeof(token), r->c->operands.v[1], NULL);
    }
    if (call(r, &(struct ask){ "POST", SECRETS, secret_of(r, token) }, &answer, err) < 0)
        return -1;
    join_token_write(&text, r->kubeconfig.ca_pem, token);
    puts(text.p);
    return 0;
}

static int generate(struct token_run *r, struct err *err)
{
    char token[JOIN_TOKEN_SECRET_MAX];

    (void)r;
    (void)err;
    join_token_random(token);
    puts(token);
    return 0;
}

/* --- list */

struct row { const char *token, *ttl, *expires, *usages, *description, *groups; };

static const char *value_of(struct token_run *r, const struct json *secret, const char *key)
{
    const char *text = json_get_str(json_get(secret, "data"), key);
    _cleanup_buf_ struct buf b = BUF_INIT;

    buf_str(&b, "");
    if (text)
        (void)b64_decode(&b, B64_STD, text, strlen(text), NULL);
    return arena_strndup(r->a, b.p, b.len);
}

static struct row row_of(struct token_run *r, const struct json *secret)
{
    const char *sign = value_of(r, secret, "usage-bootstrap-signing");
    const char *auth = value_of(r, secret, "usage-bootstrap-authentication");
    struct row row = {
        .token = arena_printf(r->a, "%s.%s", value_of(r, secret, "token-id"),
                              value_of(r, secret, "token-secret")),
        .ttl = "<forever>", .expires = value_of(r, secret, "expiration"),
        .usages = arena_printf(r->a, "%s%s%s", str_eq(auth, "true") ? "authentication" : "",
                               str_eq(auth, "true") && str_eq(sign, "true") ? "," : "",
                               str_eq(sign, "true") ? "signing" : ""),
        .description = value_of(r, secret, "description"),
        .groups = value_of(r, secret, "auth-extra-groups"),
    };
    char ttl[TIMEFMT_BYTES];
    int64_t us, left;

    if (!*row.expires)
        return row;
    left = timefmt_parse(row.expires, &us, NULL) < 0 ? 0
        : us / 1000000 - env_wall_s(env_real());
    timefmt_age(ttl, left);
    row.ttl = left <= 0 ? "<invalid>" : arena_strdup(r->a, ttl);
    return row;
}

static void print_table(struct token_run *r, const struct json *items)
{
    struct json *it;

    printf("%-24s %-10s %-21s %-23s %-20s %s\n", "TOKEN", "TTL", "EXPIRES", "USAGES",
           "DESCRIPTION", "EXTRA GROUPS");
    json_each(it, items) {
        struct row row = row_of(r, it);

        printf("%-24s %-10s %-21s %-23s %-20s %s\n", row.token, row.ttl,
               *row.expires ? row.expires : "<never>", *row.usages ? row.usages : "<none>",
               *row.description ? row.description : "<none>", *row.groups ? row.groups : "<none>");
    }
}

static struct json *json_list(struct token_run *r, const char *text)
{
    struct slice rest = slice_of(text), one;
    struct json *list = json_array(r->a);

    while (rest.len && slice_split(&rest, ',', &one))
        json_append(r->a, list, json_strn(r->a, one.p, one.len));
    return list;
}

static void print_json(struct token_run *r, const struct json *items)
{
    struct json *out = json_array(r->a), *it;
    _cleanup_buf_ struct buf b = BUF_INIT;

    json_each(it, items) {
        struct row row = row_of(r, it);
        struct json *o = json_object(r->a);

        json_set_str(r->a, o, "token", row.token);
        if (*row.description)
            json_set_str(r->a, o, "description", row.description);
        if (*row.expires)
            json_set_str(r->a, o, "expires", row.expires);
        json_set(r->a, o, "usages", json_list(r, row.usages));
        json_set(r->a, o, "groups", json_list(r, row.groups));
        json_append(r->a, out, o);
    }
    json_write_pretty(&b, out, 2);
    puts(b.p);
}

static int list(struct token_run *r, struct err *err)
{
    static const struct ask ask = {
        "GET", SECRETS "?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken", NULL,
    };
    struct json *answer;

    if (!str_empty(r->c->output) && !str_eq(r->c->output, "json") &&
        !str_eq(r->c->output, "text"))
        return err_set(err, ERR_INVALID, "--output: text or json");
    if (call(r, &ask, &answer, err) < 0)
        return -1;
    if (str_eq(r->c->output, "json"))
        print_json(r, json_get(answer, "items"));
    else
        print_table(r, json_get(answer, "items"));
    return 0;
}

/* --- delete */

/* An id, or a whole token of any form. */
static int id_of(const char *text, char id[ID_LEN + 1], struct err *err)
{
    struct join_token t;

    if (strlen(text) != ID_LEN) {
        if (join_token_parse(&t, text, err) < 0)
            return -1;
        text = t.secret;
        if (!join_token_is_bootstrap(text))
            return err_set(err, ERR_INVALID, "the server's own token cannot be deleted");
    }
    memcpy(id, text, ID_LEN);
    id[ID_LEN] = '\0';
    for (const char *p = id; *p; p++)
        if (!(*p >= 'a' && *p <= 'z') && !(*p >= '0' && *p <= '9'))
            return err_set(err, ERR_INVALID, "\"%s\" is neither a token nor its id", id);
    return 0;
}

static int delete(struct token_run *r, struct err *err)
{
    const struct config_list *l = &r->c->operands;
    struct ask ask = { .method = "DELETE" };
    struct json *answer;
    char id[ID_LEN + 1];

    if (l->n < 2)
        return err_set(err, ERR_INVALID, "delete: which token?");
    for (unsigned i = 1; i < l->n; i++) {
        if (id_of(l->v[i], id, err) < 0)
            return -1;
        ask.path = arena_printf(r->a, SECRETS "/" PREFIX "%s", id);
        if (call(r, &ask, &answer, err) < 0)
            return err->code == ERR_NOT_FOUND
                ? err_set(err, ERR_NOT_FOUND, "there is no token %s", id) : -1;
        printf("token \"%s\" deleted\n", id);
    }
    return 0;
}

/* --- rotate: the file is the server's, which reads it again at SIGHUP */

static int check_present(const struct token_run *r, const char *ca_pem, struct err *err)
{
    const char *path = arena_printf(r->a, "%s/server/token", r->c->data_dir);
    struct join_token now, given;

    if (access(path, F_OK) < 0)
        return err_sys(err, "%s", path);
    if (str_empty(r->c->token))
        return 0;
    if (join_token_parse(&given, r->c->token, err) < 0)
        return err_wrap(err, "--token");
    r->c->token = "";
    if (join_token_of_server(&now, r->c, ca_pem, err) < 0)
        return -1;
    return str_eq(now.secret, given.secret) ? 0
        : err_set(err, ERR_DENIED, "--token is not the server's present token");
}

static int next_secret(const struct token_run *r, struct join_token *out, struct err *err)
{
    if (str_empty(r->c->new_token)) {
        join_token_random_password(out);
        return 0;
    }
    if (join_token_parse(out, r->c->new_token, err) < 0)
        return err_wrap(err, "--new-token");
    if (join_token_is_bootstrap(out->secret))
        return err_set(err, ERR_INVALID, "--new-token: a server's token is a password, not a "
                       "bootstrap token");
    return 0;
}

static int rotate(struct token_run *r, struct err *err)
{
    const char *dir = arena_printf(r->a, "%s/server/tls/server-ca.crt", r->c->data_dir);
    _cleanup_buf_ struct buf ca = BUF_INIT, text = BUF_INIT;
    struct join_token next;
    pid_t pid;

    if (fd_read_file(&ca, AT_FDCWD, dir, CRYPTO_PEM_MAX, err) < 0 ||
        check_present(r, ca.p, err) < 0 || next_secret(r, &next, err) < 0 ||
        join_token_store(r->c, ca.p, next.secret, err) < 0 ||
        cmd_lock_holder(r->c->run_dir, &pid, err) < 0)
        return -1;
    if (pid && kill(pid, SIGHUP) < 0)
        return err_sys(err, "tell the server (process %d)", (int)pid);
    join_token_write(&text, ca.p, next.secret);
    puts(text.p);
    return 0;
}

/* --- the command */

static const struct verb {
    const char *name;
    int (*run)(struct token_run *r, struct err *err);
    unsigned operands_max;
    bool offline;
} verbs[] = {
    { "create", create, 2, false }, { "list", list, 1, false },
    { "delete", delete, CONFIG_LIST_MAX, false }, { "generate", generate, 1, true },
    { "rotate", rotate, 1, true },
};

static const char intro[] =
    "usage: inro token create [TOKEN] [flags]      makes a token, prints it\n"
    "       inro token list [-o json]\n"
    "       inro token delete TOKEN-OR-ID...\n"
    "       inro token generate                    prints a random one, makes nothing\n"
    "       inro token rotate [--new-token TOKEN]  another token of the server itself\n\n"
    "Tokens by which \"inro agent\" joins this server's cluster.\n";

static int token_run(struct config *c, const struct verb *v, struct err *err)
{
    struct token_run r = { .c = c, .a = c->a };
    int result = v->offline || dial(&r, err) == 0 ? v->run(&r, err) : -1;

    http_fetcher_free(r.http);
    return result;
}

int cmd_token(int argc, char **argv)
{
    struct config_input in = { .command = CONFIG_TOKEN, .argc = argc, .argv = argv,
                               .env = environ };
    _cleanup_(config_freep) struct config *c = NULL;
    const struct verb *v = NULL;
    struct err err = ERR_INIT;

    if (config_parse(&c, &in, &err) < 0)
        return cmd_misuse("token", err.msg);
    if (c->help)
        return cmd_help(intro, CONFIG_TOKEN);
    for (size_t i = 0; i < ARRAY_LEN(verbs) && c->operands.n; i++)
        if (str_eq(verbs[i].name, c->operands.v[0]))
            v = &verbs[i];
    if (!v)
        return cmd_misuse("token", "create, list, delete, generate or rotate? (see --help)");
    if (c->operands.n > v->operands_max)
        return cmd_misuse("token", "too many arguments (see --help)");
    if (token_run(c, v, &err) == 0)
        return 0;
    return err.code == ERR_INVALID ? cmd_misuse("token", err.msg) : cmd_fail("token", err.msg);
}
