/* csrsign.c: approved requests become certificates.
 *
 * One authority signs what clients show, another what servers show. What is signed says no more
 * than its signer's rules allow (csr.h); what does not keep them is marked Failed. */
#include "core/control/csr.h"

#include "core/base/b64.h"
#include "core/base/log.h"

#define EARLY_S 300                      /* valid from so long before now: clocks differ */
#define SIGN_MIN_S 600

static void on_csr(struct controller *c, struct object *before, struct object *after)
{
    (void)before;
    if (after)
        control_enqueue_object(c, after);
}

static int64_t end_of(struct pass *p, const struct csr *c, const struct crypto_cert *ca)
{
    const struct json *asked = json_get(c->spec, "expirationSeconds");
    int64_t seconds = p->c->control->opts.sign_s ? p->c->control->opts.sign_s : CONTROL_SIGN_S;
    int64_t end;

    if (json_is(asked, JSON_INT) && asked->i < seconds)
        seconds = asked->i < SIGN_MIN_S ? SIGN_MIN_S : asked->i;
    end = control_now_s(p->c->control) + seconds;
    return end < crypto_cert_not_after_s(ca) ? end : crypto_cert_not_after_s(ca);
}

static int sign(struct pass *p, const struct csr *c, struct buf *out, struct err *err)
{
    const struct control_opts *o = &p->c->control->opts;
    bool server = str_eq(c->signer, CSR_SIGNER_SERVING);
    const struct control_signer *ca = server ? &o->server_signer : &o->client_signer;
    struct crypto_issue what = {
        .cn = c->names->cn, .orgs = c->names->orgs, .dns = c->names->dns, .ips = c->names->ips,
        .uses = server ? CRYPTO_USE_SERVER : CRYPTO_USE_CLIENT,
        .not_before_s = control_now_s(p->c->control) - EARLY_S,
    };

    what.not_after_s = end_of(p, c, ca->cert);
    return crypto_cert_issue(out, ca->cert, ca->key, crypto_csr_key(c->request), &what, err);
}

static void write_status(struct pass *p, struct csr *c)
{
    struct client_req req = { .verb = CLIENT_UPDATE, .subresource = "status", .grace_s = -1,
                              .kind = kind_certificate_signing_request(), .ns = "",
                              .name = p->name, .body = c->tree };

    control_do(p, &req, NULL, NULL);
}

static void issue(struct pass *p, struct csr *c)
{
    _cleanup_buf_ struct buf pem = BUF_INIT;
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct err err = ERR_INIT;

    if (csr_check(c, &err) < 0) {
        if (err.code == ERR_UNSUPPORTED)     /* another's signer */
            return;
        csr_set_condition(c, p->a, "Failed", "SignerValidationFailure", err.msg);
    } else if (sign(p, c, &pem, &err) < 0) {
        log_warn("not signed", "csr=%s error=\"%s\"", p->name, err.msg);
        csr_set_condition(c, p->a, "Failed", "SigningFailure", err.msg);
    } else {
        b64_encode(&text, B64_STD, pem.p, pem.len);
        json_set_str(p->a, json_ensure_object(p->a, c->tree, "status"), "certificate", text.p);
        log_info("certificate signed", "csr=%s signer=%s for=%s by=%s", p->name, c->signer,
                 c->names->cn, c->username);
    }
    write_status(p, c);
}

static void reconcile(struct pass *p)
{
    struct object *o = control_get(p, kind_certificate_signing_request());
    _cleanup_(csr_deinit) struct csr c = { 0 };

    if (!o || !p->c->control->opts.client_signer.key || csr_init(&c, o, p->a, NULL) < 0)
        return;
    if (c.approved && !c.denied && !c.failed && !c.issued)
        issue(p, &c);
}

const struct control_def csrsign_control = {
    .name = "certificatesigningrequest-signing-controller",
    .watches = { { kind_certificate_signing_request, on_csr } },
    .reconcile = reconcile,
};
