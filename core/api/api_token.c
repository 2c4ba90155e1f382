/* api_token.c: tokens of service accounts: TokenRequest, and who a bearer token is. */
#include "core/api/api_call.h"

#include "core/base/map.h"
#include "core/base/timefmt.h"
#include "core/crypto/crypto.h"
#include "core/object/rules.h"

#define TOKEN_MIN_S 600
#define TOKEN_DEFAULT_S 3600
#define TOKEN_MAX_S (1ll << 32)
#define TOKENS_MAX 1024                  /* proven ones, remembered; the oldest are forgotten */
#define TOKEN_YEAR_S (365ll * 24 * 3600)
/* what pods ask for: such tokens live a year, warned about after */
#define TOKEN_POD_S 3607

struct bound { const char *kind, *name, *uid; };

static int check_request(struct api_call *c, const struct json *body)
{
    const char *name = json_path_str(body, "metadata.name"),
        *ns = json_path_str(body, "metadata.namespace");
    int64_t seconds = json_get_int(json_get(body, "spec"), "expirationSeconds", TOKEN_DEFAULT_S);
    struct causes causes = { .a = c->a };

    if (!str_empty(ns) && !str_eq(ns, c->route.ns))
        return api_fail(c, status_bad_request(c->a, "the namespace of the provided object does not "
                                              "match "
                                              "the namespace sent on the request"));
    if (!str_empty(name) && !str_eq(name, c->route.name))
        causes_add(&causes, CAUSE_INVALID, "metadata.name", json_str(c->a, name),
                   "must match the service account name if specified");
    if (seconds < TOKEN_MIN_S)
        causes_add(&causes, CAUSE_INVALID, "spec.expirationSeconds", json_int(c->a, seconds),
                   "may not specify a duration less than 10 minutes");
    if (seconds > TOKEN_MAX_S)
        causes_add(&causes, CAUSE_INVALID, "spec.expirationSeconds", json_int(c->a, seconds),
                   "may not specify a duration larger than 2^32 seconds");
    if (causes.len)
        return api_fail(c, status_invalid_gk(c->a, "authentication.k8s.io", "TokenRequest",
                                             c->route.name,
                                             &causes));
    return 0;
}

static int find_bound(struct api_call *c, const struct json *ref, struct bound *out)
{
    const char *kind = json_get_str(ref, "kind"), *version = json_get_str(ref, "apiVersion");
    const char *name = json_get_str(ref, "name"), *uid = json_get_str(ref, "uid");
    const struct kind *k = NULL;
    struct object *o;

    *out = (struct bound){ NULL, NULL, NULL };
    if (api_node_token(c, kind, name, uid) < 0)
        return -1;
    if (!json_is(ref, JSON_OBJECT))      /* absent, or null */
        return 0;
    if (str_eq(kind, "Pod"))
        k = kind_pod();
    else if (str_eq(kind, "Secret"))
        k = kind_secret();
    else if (str_eq(kind, "Node"))
        k = kind_node();
    if (!k)
        return api_fail(c, status_bad_request(c->a, "cannot bind token to object of type %s, "
                                              "Kind=%s",
            !version ? "/" : strchr(version, '/') ? version : arena_printf(c->a, "/%s", version),
            kind ? kind : ""));
    o = api_lookup(c->api, k, c->route.ns, name ? name : "");
    if (!o)
        return api_fail(c, status_not_found(c->a, k, name ? name : ""));
    *out = (struct bound){ kind, name, arena_strdup(c->a, object_uid(o)) };
    object_unref(o);
    if (!str_empty(uid) && !str_eq(uid, out->uid))
        return api_fail(c, status_conflict(c->a, k, name, arena_printf(c->a,
                                                                       "the UID in the bound "
                                                                           "object "
            "reference (%s) does not match the UID in record. The object might have been deleted "
                "and then "
            "recreated", uid)));
    return 0;
}

static struct json *claims_of(struct api_call *c, struct object *sa, const struct json *audiences,
                              const struct bound *bound, int64_t seconds)
{
    struct arena *a = c->a;
    struct json *claims = json_object(a), *k8s = json_object(a), *account = json_object(a);
    int64_t now = env_wall_s(c->api->env);
    bool pod = str_eq(bound->kind, "Pod") && seconds == TOKEN_POD_S;
    char jti[UUID_BYTES];

    env_uuid(c->api->env, jti);
    json_set(a, claims, "aud", json_clone(a, audiences));
    json_set_int(a, claims, "exp", now + (pod ? TOKEN_YEAR_S : seconds));
    json_set_int(a, claims, "iat", now);
    json_set_str(a, claims, "iss", c->api->issuer);
    json_set_str(a, claims, "jti", jti);
    json_set_str(a, k8s, "namespace", object_ns(sa));
    json_set_str(a, account, "name", object_name(sa));
    json_set_str(a, account, "uid", object_uid(sa));
    json_set(a, k8s, "serviceaccount", account);
    if (bound->kind) {
        struct json *b = json_object(a);

        json_set_str(a, b, "name", bound->name);
        json_set_str(a, b, "uid", bound->uid);
        json_set(a, k8s, str_eq(bound->kind, "Pod") ? "pod" : str_eq(bound->kind, "Node") ? "node"
                                                                                       : "secret",
                                                                                           b);
    }
    if (pod)
        json_set_int(a, k8s, "warnafter", now + seconds);
    json_set(a, claims, "kubernetes.io", k8s);
    json_set_int(a, claims, "nbf", now);
    json_set(a, claims, "sub", json_fmt(a, "system:serviceaccount:%s:%s", object_ns(sa),
                                        object_name(sa)));
    return claims;
}

static int sign(struct api_call *c, const struct json *claims, struct buf *out)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct err err = ERR_INIT;

    json_write(&text, claims);
    if (crypto_jwt_sign(out, c->api->sa_key, NULL, (struct slice){ text.p, text.len }, &err) < 0)
        return api_fail(c, status_internal(c->a, err.msg));
    return 0;
}

static void answer(struct api_call *c, struct object *sa, struct json *body, const char *token,
                   const struct json *claims)
{
    struct json *meta = json_ensure_object(c->a, body, "metadata"), *status = json_object(c->a);
    int64_t seconds = json_get_int(json_get(body, "spec"), "expirationSeconds", TOKEN_DEFAULT_S);
    char when[TIMEFMT_BYTES], uid[UUID_BYTES];

    env_uuid(c->api->env, uid);              /* of the request, which is an object like others */
    json_set_str(c->a, body, "kind", "TokenRequest");
    json_set_str(c->a, body, "apiVersion", "authentication.k8s.io/v1");
    json_set_str(c->a, meta, "name", object_name(sa));
    json_set_str(c->a, meta, "namespace", object_ns(sa));
    json_set_str(c->a, meta, "uid", uid);
    timefmt_rfc3339(when, json_get_int(claims, "iat", 0));
    json_set_str(c->a, meta, "creationTimestamp", when);
    timefmt_rfc3339(when, json_get_int(claims, "iat", 0) + seconds);
    json_set_str(c->a, status, "token", token);
    json_set_str(c->a, status, "expirationTimestamp", when);
    json_set(c->a, body, "status", status);
    c->tree = body;
    c->code = 201;
}

static struct json *decode_request(struct api_call *c)
{
    struct json *raw, *body, *spec, *audiences;
    struct err err = ERR_INIT;

    if (api_decode_raw(c, &raw) < 0)
        return NULL;
    if (json_get(raw, "kind") && !str_eq(json_get_str(raw, "kind"), "TokenRequest")) {
        api_fail(c, status_bad_request(c->a, "%s in version \"v1\" cannot be handled as a "
                                       "TokenRequest: "
            "converting (v1.%s) to (authentication.TokenRequest): unknown conversion",
            json_get_str(raw, "kind"), json_get_str(raw, "kind")));
        return NULL;
    }
    if (codec_canonical(&body, c->a, codec_type("authentication.v1.TokenRequest"), raw, &c->notes,
                        &err) < 0) {
        api_fail(c, status_bad_request(c->a, "TokenRequest in version \"v1\" cannot be handled as "
                                       "a "
                                       "TokenRequest: %s", err.msg));
        return NULL;
    }
    if (api_notes_settle(c, c->route.kind, "") < 0)
        return NULL;
    spec = json_ensure_object(c->a, body, "spec");
    if (!json_is(json_get(spec, "expirationSeconds"), JSON_INT))
        json_set_int(c->a, spec, "expirationSeconds", TOKEN_DEFAULT_S);
    audiences = json_ensure_array(c->a, spec, "audiences");
    if (!json_len(audiences))
        json_append(c->a, audiences, json_str(c->a, c->api->issuer));
    return body;
}

int api_token(struct api_call *c)
{
    struct json *body = decode_request(c), *claims;
    struct bound bound;
    struct object *sa;
    _cleanup_buf_ struct buf token = BUF_INIT;
    int result = -1;

    if (!body || check_request(c, body) < 0)
        return -1;
    sa = api_lookup(c->api, kind_service_account(), c->route.ns, c->route.name);
    if (!sa)
        return api_fail(c, status_not_found(c->a, c->route.kind, c->route.name));
    if (find_bound(c, json_path(body, "spec.boundObjectRef"), &bound) == 0) {
        claims = claims_of(c, sa, json_path(body, "spec.audiences"), &bound,
                           json_get_int(json_get(body, "spec"), "expirationSeconds", 0));
        result = sign(c, claims, &token);
        if (result == 0)
            answer(c, sa, body, token.p, claims);
    }
    object_unref(sa);
    return result;
}

/* --- authentication */

static bool still_there(struct api *api, const struct kind *k, const char *ns,
                        const struct json *ref)
{
    struct object *o;
    bool same;

    if (!ref)
        return true;
    o = api_lookup(api, k, ns, json_get_str(ref, "name") ? json_get_str(ref, "name") : "");
    same = o && str_eq(object_uid(o), json_get_str(ref, "uid"));
    object_unref(o);
    return same;
}

void api_token_forget(struct api *api)
{
    const char *key;
    void *text;

    for (size_t at = 0; api->tokens && map_next(api->tokens, &at, &key, &text);)
        mem_free(text);
    api->tokens = map_free(api->tokens, NULL);
}

static void remember(struct api *api, const char *digest, char *claims)
{
    const char *oldest;
    void *text;
    size_t at = 0;

    if (!api->tokens)
        api->tokens = map_new();
    if (map_len(api->tokens) >= TOKENS_MAX && map_next(api->tokens, &at, &oldest, &text)) {
        map_del(api->tokens, oldest);
        mem_free(text);
    }
    map_put(api->tokens, digest, claims);
}

/* The claims of a token that this cluster signed, or NULL. Proving it takes milliseconds, so what
 * was proven once is remembered by its digest; whether it still holds is seen at each use. */
static const char *proven_claims(struct api *api, const char *token)
{
    const struct crypto_key *keys[] = { api->sa_key };
    char digest[CRYPTO_SHA256_HEX_BYTES];
    struct buf text = BUF_INIT;
    char *claims;

    crypto_sha256_hex(digest, token, strlen(token));
    claims = api->tokens ? map_get(api->tokens, digest) : NULL;
    if (claims)
        return claims;
    if (crypto_jwt_verify(&text, slice_of(token), keys, 1, NULL) < 0) {
        buf_deinit(&text);
        return NULL;
    }
    claims = buf_take(&text, NULL);
    remember(api, digest, claims);
    return claims;
}

bool api_token_user(struct api *api, struct arena *a, const char *token, struct auth_user *out)
{
    const char *text = proven_claims(api, token);
    struct json *claims, *k8s, *aud, *it;
    int64_t now = env_wall_s(api->env);
    const char *ns, *name, *uid;
    bool ours = false;

    if (!text || json_parse(&claims, a, text, strlen(text), NULL, NULL) < 0)
        return false;
    aud = json_get(claims, "aud");
    json_each(it, aud)
        ours = ours || str_eq(json_text(it), api->issuer);
    if (!ours || !str_eq(json_get_str(claims, "iss"), api->issuer) ||
        json_get_int(claims, "exp", 0) <= now || json_get_int(claims, "nbf", 0) > now + 60)
        return false;
    k8s = json_get(claims, "kubernetes.io");
    ns = json_get_str(k8s, "namespace");
    name = json_path_str(k8s, "serviceaccount.name");
    uid = json_path_str(k8s, "serviceaccount.uid");
    if (!ns || !name || !uid ||
        !still_there(api, kind_service_account(), ns, json_get(k8s, "serviceaccount")) ||
        !still_there(api, kind_pod(), ns, json_get(k8s, "pod")) ||
        !still_there(api, kind_secret(), ns, json_get(k8s, "secret")))
        return false;
    auth_user_of_service_account(out, a, ns, name, uid);
    return true;
}
