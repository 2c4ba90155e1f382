#include "core/control/csr.h"

#include "core/base/b64.h"

int csr_init(struct csr *c, const struct object *o, struct arena *a, struct err *err)
{
    _cleanup_buf_ struct buf pem = BUF_INIT;
    const char *text;
    struct json *it;

    *c = (struct csr){ .tree = object_tree(o, a) };
    c->spec = json_get(c->tree, "spec");
    c->signer = json_get_str(c->spec, "signerName");
    c->username = json_get_str(c->spec, "username");
    c->issued = !str_empty(json_path_str(c->tree, "status.certificate"));
    json_each(it, json_path(c->tree, "status.conditions")) {
        c->approved = c->approved || str_eq(json_get_str(it, "type"), "Approved");
        c->denied = c->denied || str_eq(json_get_str(it, "type"), "Denied");
        c->failed = c->failed || str_eq(json_get_str(it, "type"), "Failed");
    }
    text = json_get_str(c->spec, "request");
    if (!c->signer || !c->username || !text)
        return err_set(err, ERR_INVALID, "signerName, username or request is missing");
    if (b64_decode(&pem, B64_STD, text, strlen(text), err) < 0 ||
        crypto_csr_parse(&c->request, pem.p, pem.len, err) < 0)
        return -1;
    c->names = crypto_csr_names(c->request);
    return 0;
}

void csr_deinit(struct csr *c)
{
    c->request = crypto_csr_free(c->request);
}

bool csr_by_group(const struct csr *c, const char *group)
{
    struct json *it;

    json_each(it, json_get(c->spec, "groups"))
        if (str_eq(json_text(it), group))
            return true;
    return false;
}

/* --- what is signed */

/* Exactly "digital signature", maybe "key encipherment", and `purpose`. */
static bool has_usages(const struct csr *c, const char *purpose, bool need_signature)
{
    const struct json *list = json_get(c->spec, "usages");
    bool signature = false, wanted = false;
    struct json *it;

    json_each(it, list) {
        const char *u = json_text(it);

        signature = signature || str_eq(u, "digital signature");
        wanted = wanted || str_eq(u, purpose);
        if (!str_eq(u, "digital signature") && !str_eq(u, "key encipherment") &&
            !str_eq(u, purpose))
            return false;
    }
    return wanted && (signature || !need_signature);
}

static int check_node(const struct csr *c, struct err *err)
{
    if (c->names->n_orgs != 1 || !str_eq(c->names->orgs[0], CSR_NODES))
        return err_set(err, ERR_INVALID, "subject organization is not system:nodes");
    if (!str_starts(c->names->cn, CSR_NODE_PREFIX) || !c->names->cn[strlen(CSR_NODE_PREFIX)])
        return err_set(err, ERR_INVALID,
                       "subject common name does not begin with system:node:");
    return 0;
}

static int check_kubelet(const struct csr *c, struct err *err)
{
    const struct crypto_names *n = c->names;

    if (check_node(c, err) < 0)
        return -1;
    if (n->n_dns)
        return err_set(err, ERR_INVALID, "DNS subjectAltNames are not allowed");
    if (n->n_ips)
        return err_set(err, ERR_INVALID, "IP subjectAltNames are not allowed");
    if (n->n_other)
        return err_set(err, ERR_INVALID, "Email and URI subjectAltNames are not allowed");
    if (!has_usages(c, "client auth", true))
        return err_set(err, ERR_INVALID,
                       "usages did not match [client auth digital signature key encipherment]");
    return 0;
}

static int check_serving(const struct csr *c, struct err *err)
{
    const struct crypto_names *n = c->names;

    if (check_node(c, err) < 0)
        return -1;
    if (!n->n_dns && !n->n_ips)
        return err_set(err, ERR_INVALID, "DNS or IP subjectAltName is required");
    if (n->n_other)
        return err_set(err, ERR_INVALID, "Email and URI subjectAltNames are not allowed");
    if (!has_usages(c, "server auth", true))
        return err_set(err, ERR_INVALID,
                       "usages did not match [digital signature key encipherment server auth]");
    return 0;
}

int csr_check(const struct csr *c, struct err *err)
{
    if (str_eq(c->signer, CSR_SIGNER_KUBELET))
        return check_kubelet(c, err);
    if (str_eq(c->signer, CSR_SIGNER_SERVING))
        return check_serving(c, err);
    if (!str_eq(c->signer, CSR_SIGNER_CLIENT))
        return err_set(err, ERR_UNSUPPORTED, "nobody signs for %s here", c->signer);
    if (!has_usages(c, "client auth", false))
        return err_set(err, ERR_INVALID, "usages did not match [client auth]");
    return 0;
}

void csr_set_condition(struct csr *c, struct arena *a, const char *type, const char *reason,
                       const char *message)
{
    struct json *cond = json_object(a);

    json_set_str(a, cond, "type", type);
    json_set_str(a, cond, "status", "True");
    json_set_str(a, cond, "reason", reason);
    json_set_str(a, cond, "message", message);
    json_append(a, json_ensure_array(a, json_ensure_object(a, c->tree, "status"), "conditions"),
                cond);
}
