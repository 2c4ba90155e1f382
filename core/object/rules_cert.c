/* rules_cert.c: CertificateSigningRequests: what may be asked for, and which subresource changes
 * what. Whether the request itself can be read is the API's to say: this room knows no keys. */
#include "core/object/rules_impl.h"

#include "core/base/timefmt.h"

#define EXPIRATION_MIN_S 600

#define STATUS RULES_AT(NULL, "status")
#define CONDITIONS RULES_AT(STATUS, "conditions")

static const char *const usages[] = {
    "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign",
    "data encipherment", "decipher only", "digital signature", "email protection",
    "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement",
    "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime", "server auth",
    "signing", "timestamping", NULL,
};
static const char *const known_types[] = { "Approved", "Denied", "Failed", NULL };
static const char *const statuses[] = { "False", "True", "Unknown", NULL };
static const char *const only_true[] = { "True", NULL };

/* --- preparation */

static const struct json *condition_of(const struct json *obj, const char *type)
{
    struct json *it;

    json_each(it, json_path(obj, "status.conditions"))
        if (str_eq(rules_str(it, "type"), type))
            return it;
    return NULL;
}

static void set_times(struct json *obj, const struct json *old, const struct rules_ctx *ctx)
{
    char now[TIMEFMT_BYTES];
    struct json *it;

    timefmt_rfc3339(now, env_wall_s(ctx->env));
    json_each(it, json_path(obj, "status.conditions")) {
        const struct json *had = condition_of(old, rules_str(it, "type"));
        bool same = had && str_eq(rules_str(had, "status"), rules_str(it, "status"));

        if (!*rules_str(it, "lastUpdateTime") && !same)
            json_set_str(ctx->a, it, "lastUpdateTime", now);
        if (!*rules_str(it, "lastTransitionTime") && !same)
            json_set_str(ctx->a, it, "lastTransitionTime", now);
    }
}

/* The request is what it was; "approval" changes the conditions alone. */
static void csr_prepare_update(struct json *obj, const struct json *old, const struct kind *kind,
                               const struct rules_ctx *ctx)
{
    const struct json *conditions = json_path(obj, "status.conditions");
    struct json *status = json_clone(ctx->a, json_get(old, "status"));

    rules_put_or_del(ctx->a, obj, kind->type, "spec", json_get(old, "spec"));
    if (str_eq(ctx->subresource, "approval")) {
        if (!status)
            status = json_object(ctx->a);
        rules_put_or_del(ctx->a, status, rules_type(kind->type, "status"), "conditions",
                         conditions);
        rules_put(ctx->a, obj, kind->type, "status", status);
    }
    if (*ctx->subresource)
        set_times(obj, old, ctx);
}

/* --- validation */

static void check_usages(struct causes *c, const struct json *spec)
{
    const struct rules_path *p = RULES_AT(RULES_AT(NULL, "spec"), "usages");
    struct json *seen = json_object(c->a), *it;

    if (!json_len(json_get(spec, "usages")))
        rules_required(c, p, "");
    json_each(it, json_get(spec, "usages")) {
        const char *text = json_text(it) ? json_text(it) : "";

        if (!rules_in(text, usages))
            rules_unsupported(c, RULES_IDX(p, it_i), text, usages);
        else if (rules_seen(seen, c->a, text))
            rules_duplicate(c, RULES_IDX(p, it_i), it);
    }
}

static void check_spec(struct causes *c, const struct json *spec)
{
    const struct rules_path *p = RULES_AT(NULL, "spec");
    const struct json *seconds = json_get(spec, "expirationSeconds");

    check_usages(c, spec);
    if (str_eq(rules_str(spec, "signerName"), "kubernetes.io/legacy-unknown"))
        rules_invalid_s(c, RULES_AT(p, "signerName"), rules_str(spec, "signerName"),
                        "the legacy signerName is not allowed via this API version");
    else
        rules_check_signer(c, RULES_AT(p, "signerName"), rules_str(spec, "signerName"));
    if (json_is(seconds, JSON_INT) && seconds->i < EXPIRATION_MIN_S)
        rules_invalid_i(c, RULES_AT(p, "expirationSeconds"), seconds->i,
                        "may not specify a duration less than 600 seconds (10 minutes)");
}

static void check_condition(struct causes *c, const struct rules_path *p, const struct json *v)
{
    const char *type = rules_str(v, "type"), *status = rules_str(v, "status");

    if (!*type)
        rules_required(c, RULES_AT(p, "type"), "");
    if (!*status)
        rules_required(c, RULES_AT(p, "status"), "");
    else if (rules_in(type, known_types) && !rules_in(status, only_true))
        rules_unsupported(c, RULES_AT(p, "status"), status, only_true);
    else if (!rules_in(status, statuses))
        rules_unsupported(c, RULES_AT(p, "status"), status, statuses);
}

static void check_conditions(struct causes *c, const struct json *obj)
{
    struct json *seen = json_object(c->a), *it;
    bool approved = false, denied = false;

    json_each(it, json_path(obj, "status.conditions")) {
        const struct rules_path *p = RULES_IDX(CONDITIONS, it_i);
        const char *type = rules_str(it, "type");

        check_condition(c, p, it);
        if (rules_seen(seen, c->a, type))
            rules_duplicate(c, RULES_AT(p, "type"), json_str(c->a, type));
        approved = approved || str_eq(type, "Approved");
        denied = denied || str_eq(type, "Denied");
        if (approved && denied && (str_eq(type, "Approved") || str_eq(type, "Denied")))
            rules_invalid_s(c, RULES_AT(p, "type"), type,
                            "Approved and Denied conditions are mutually exclusive");
    }
}

static void csr_create(struct causes *c, const struct json *obj, const struct rules_ctx *ctx)
{
    (void)ctx;
    check_spec(c, json_get(obj, "spec"));
    check_conditions(c, obj);
}

static void check_kept(struct causes *c, const struct json *obj, const struct json *old,
                       const char *subresource)
{
    for (const char *const *t = known_types; *t; t++) {
        const struct json *now = condition_of(obj, *t), *had = condition_of(old, *t);
        const char *what = had && !now ? "remove" : !had && now ? "add" : NULL;

        if (!what && had && !rules_same(now, had))
            what = "modify";
        if (!what)
            continue;
        if (str_eq(what, "remove") ||
            (!str_eq(*t, "Failed") && !str_eq(subresource, "approval")))
            rules_forbidden(c, CONDITIONS, arena_printf(c->a,
                            "updates may not %s a condition of type \"%s\"", what, *t));
    }
}

static void csr_update(struct causes *c, const struct json *obj, const struct json *old,
                       const struct rules_ctx *ctx)
{
    const char *now = rules_str(json_get(obj, "status"), "certificate");
    const char *had = rules_str(json_get(old, "status"), "certificate");

    csr_create(c, obj, ctx);
    check_kept(c, obj, old, ctx->subresource);
    if (str_eq(now, had))
        return;
    if (!str_eq(ctx->subresource, "status"))
        rules_forbidden(c, RULES_AT(STATUS, "certificate"),
                        "updates may not set certificate content");
    else if (*had)
        rules_forbidden(c, RULES_AT(STATUS, "certificate"),
                        "updates may not modify existing certificate content");
}

const struct rules_row rules_cert_rows[] = {
    { .group = "certificates.k8s.io", .resource = "certificatesigningrequests",
      .prepare_update = csr_prepare_update, .create = csr_create, .update = csr_update,
      .status_sub = "approval" },
    { 0 },
};
