/* api_csr.c: CertificateSigningRequests: who asks is what the connection says, the request must be
 * one, and what nobody may be given is refused here. */
#include "core/api/api_call.h"

#include "core/base/b64.h"
#include "core/crypto/crypto.h"
#include "core/object/rules.h"

static bool is_csr(const struct kind *kind)
{
    return kind->storage == kind_certificate_signing_request();
}

static void set_user(struct api_call *c, struct json *spec)
{
    const struct auth_user *u = &c->user;
    struct json *groups = json_array(c->a);

    for (size_t i = 0; i < u->n_groups; i++)
        json_append(c->a, groups, json_str(c->a, u->groups[i]));
    json_del(spec, "extra");
    json_del(spec, "uid");
    json_set_str(c->a, spec, "username", u->name);
    if (!str_empty(u->uid))
        json_set_str(c->a, spec, "uid", u->uid);
    json_set(c->a, spec, "groups", groups);
}

static int parse(struct crypto_csr **out, const struct json *spec, struct err *err)
{
    const char *text = json_get_str(spec, "request");
    _cleanup_buf_ struct buf pem = BUF_INIT;

    buf_str(&pem, "");
    if (text && b64_decode(&pem, B64_STD, text, strlen(text), err) < 0)
        return -1;
    if (!strstr(pem.p, "-----BEGIN CERTIFICATE REQUEST-----"))
        return err_set(err, ERR_INVALID, "PEM block type must be CERTIFICATE REQUEST");
    return crypto_csr_parse(out, pem.p, pem.len, err);
}

/* Upstream's CertificateSubjectRestriction. */
static int check_subject(struct api_call *c, const struct json *spec,
                         const struct crypto_names *names)
{
    if (!str_eq(json_get_str(spec, "signerName"), "kubernetes.io/kube-apiserver-client"))
        return 0;
    for (unsigned i = 0; i < names->n_orgs; i++)
        if (str_eq(names->orgs[i], "system:masters"))
            return api_fail(c, status_forbidden(c->a, c->route.kind, c->route.name,
                "use of kubernetes.io/kube-apiserver-client signer with system:masters group is "
                "not allowed"));
    return 0;
}

int api_csr_create(struct api_call *c, const struct kind *kind, struct json *tree,
                   struct causes *causes)
{
    _cleanup_(crypto_csr_freep) struct crypto_csr *csr = NULL;
    struct json *spec;
    struct err err = ERR_INIT;

    if (!is_csr(kind))
        return 0;
    spec = json_ensure_object(c->a, tree, "spec");
    set_user(c, spec);
    if (parse(&csr, spec, &err) < 0) {
        causes_add(causes, CAUSE_INVALID, "spec.request", json_get(spec, "request"), "%s",
                   err.msg);
        return 0;
    }
    return check_subject(c, spec, crypto_csr_names(csr));
}

/* A request is for its maker's eyes, and for those that administer the cluster. */
bool api_csr_visible(struct api_call *c)
{
    struct object *o;
    bool own;

    if (!c->route.kind || !is_csr(c->route.kind) || auth_user_in(&c->user, "system:masters"))
        return true;
    if (c->route.verb == API_CREATE)
        return !c->route.sub;
    o = *c->route.name ? api_lookup(c->api, c->route.kind, "", c->route.name) : NULL;
    own = o && str_eq(json_path_str(object_tree(o, c->a), "spec.username"), c->user.name);
    object_unref(o);
    return own;
}
