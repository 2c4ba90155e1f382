/* api_join.c: what a machine needs that wants to be a node: who its token says it is, the
 * authority's certificate, and the settings of the cluster.
 *
 * Two kinds of tokens: "abcdef.0123456789abcdef", a Secret kube-system/bootstrap-token-abcdef as
 * upstream has it, and "server:PASSWORD", the server's own, of which only the digest is known here.
 * Both make a member of system:bootstrappers. */
#include "core/api/api_call.h"

#include "core/base/timefmt.h"
#include "core/crypto/crypto.h"
#include "gen/views.h"

#define TOKEN_ID_LEN 6
#define TOKEN_SECRET_LEN 16
#define SECRET_PREFIX "bootstrap-token-"
#define SECRET_TYPE "bootstrap.kubernetes.io/token"
#define SERVER_TOKEN_PREFIX "server:"

static void forget(struct api_join_facts *f)
{
    mem_free(f->ca);
    mem_free(f->config);
    mem_free(f->token_hash);
}

/* Jobs read the node's name, so it stays as it was set first; the rest is the loop's. */
void api_join_set(struct api *api, const struct api_join *join)
{
    struct api_join_facts *f = api->join;

    if (!join)
        return;
    if (!f) {
        f = api->join = NEW(struct api_join_facts);
        f->node_name = mem_strdup(join->node_name);
    }
    forget(f);
    f->ca = mem_strdup(join->ca_pem);
    f->config = mem_strdup(join->config);
    f->token_hash = mem_strdup(join->token_hash);
}

void api_join_free(struct api *api)
{
    struct api_join_facts *f = api->join;

    if (!f)
        return;
    forget(f);
    mem_free(f->node_name);
    api->join = mem_free(f);
}

/* --- tokens */

static bool is_id(const char *p, size_t len, size_t want)
{
    for (size_t i = 0; i < len; i++)
        if (!(p[i] >= 'a' && p[i] <= 'z') && !(p[i] >= '0' && p[i] <= '9'))
            return false;
    return len == want;
}

static struct slice value_of(const struct secret_view *s, const char *key)
{
    const struct slice *v = view_bytes_get(&s->data, key);

    return v ? *v : (struct slice){ "", 0 };
}

static bool has_expired(struct api *api, struct arena *a, struct slice when)
{
    int64_t us;

    if (!when.len)
        return false;
    return timefmt_parse(arena_strndup(a, when.p, when.len), &us, NULL) < 0 ||
           us / 1000000 <= env_wall_s(api->env);
}

static bool is_good(struct api *api, struct arena *a, const struct secret_view *s,
                    const char *token)
{
    struct slice secret = value_of(s, "token-secret");

    return str_eq(s->type, SECRET_TYPE) &&
           slice_eq(value_of(s, "token-id"), (struct slice){ token, TOKEN_ID_LEN }) &&
           secret.len == TOKEN_SECRET_LEN &&
           crypto_equal(secret.p, token + TOKEN_ID_LEN + 1, TOKEN_SECRET_LEN) &&
           slice_is(value_of(s, "usage-bootstrap-authentication"), "true") &&
           !has_expired(api, a, value_of(s, "expiration"));
}

static void add_groups(struct auth_user *u, struct arena *a, struct slice rest)
{
    struct slice one;

    while (rest.len && slice_split(&rest, ',', &one) && u->n_groups < AUTH_GROUPS_MAX) {
        one = slice_trim(one);
        if (one.len > strlen(AUTH_BOOTSTRAPPERS) && str_starts(one.p, AUTH_BOOTSTRAPPERS ":"))
            u->groups[u->n_groups++] = arena_strndup(a, one.p, one.len);
    }
}

static bool bootstrap_user(struct api *api, struct arena *a, const char *token,
                           struct auth_user *out)
{
    struct object *o = api_lookup(api, kind_secret(), "kube-system",
                                  arena_printf(a, SECRET_PREFIX "%.*s", TOKEN_ID_LEN, token));
    bool good = o && !object_is_deleting(o) && is_good(api, a, secret_view(o), token);

    if (good) {
        auth_user_named(out, arena_printf(a, "system:bootstrap:%.*s", TOKEN_ID_LEN, token),
                        AUTH_BOOTSTRAPPERS);
        add_groups(out, a, value_of(secret_view(o), "auth-extra-groups"));
    }
    object_unref(o);
    return good;
}

static bool server_user(struct api *api, struct arena *a, const char *token,
                        struct auth_user *out)
{
    const char *want = api->join ? api->join->token_hash : NULL;
    char hash[CRYPTO_SHA256_HEX_BYTES];

    if (!want || strlen(want) != sizeof(hash) - 1)
        return false;
    crypto_sha256_hex(hash, token, strlen(token));
    if (!crypto_equal(hash, want, sizeof(hash) - 1))
        return false;
    auth_user_named(out, arena_strdup(a, "system:bootstrap:server"), AUTH_BOOTSTRAPPERS);
    return true;
}

bool api_join_user(struct api *api, struct arena *a, const char *token, struct auth_user *out)
{
    const char *dot = strchr(token, '.');

    if (str_starts(token, SERVER_TOKEN_PREFIX))
        return server_user(api, a, token, out);
    return dot && is_id(token, (size_t)(dot - token), TOKEN_ID_LEN) &&
           is_id(dot + 1, strlen(dot + 1), TOKEN_SECRET_LEN) &&
           bootstrap_user(api, a, token, out);
}

/* --- paths */

static int answer(struct api_call *c, const char *body, const char *type)
{
    if (!body)
        return api_page_not_found(c);
    buf_str(&c->text, body);
    c->text_type = type;
    c->code = 200;
    return 0;
}

int api_join_cacerts(struct api_call *c)
{
    return answer(c, c->api->join ? c->api->join->ca : NULL, "text/plain");
}

int api_join_config(struct api_call *c)
{
    return answer(c, c->api->join ? c->api->join->config : NULL, "application/json");
}
