/* csrapprove.c: requests for certificates that need no person's word.
 *
 *   a machine that joins asks for its node's client certificate     signer ...client-kubelet
 *   a node renews its own                                           signer ...client-kubelet
 *   a node wants to serve under its own name and address            signer kubelet-serving
 *   a node asks for its name server's client certificate            signer kube-apiserver-client
 *
 * All others wait for "kubectl certificate approve". A node that asks for a name or an address of
 * another, or of the API, is denied: agents trust the API by the same authority. */
#include "core/control/csr.h"

#include "gen/views.h"

#define DNS_CN "system:inro-dns"
#define DNS_ORG "inro:dns"

struct verdict { const char *type, *reason, *message; };

static void on_csr(struct controller *c, struct object *before, struct object *after)
{
    (void)before;
    if (after)
        control_enqueue_object(c, after);
}

static void on_node(struct controller *c, struct object *before, struct object *after)
{
    (void)c;                             /* only looked up */
    (void)before;
    (void)after;
}

static bool is_list(const char *const *v, unsigned n, const char *text)
{
    for (unsigned i = 0; i < n; i++)
        if (str_eq(v[i], text))
            return true;
    return false;
}

static bool is_ready(const struct node_view *v)
{
    for (unsigned i = 0; i < v->status.n_conditions; i++)
        if (str_eq(v->status.conditions[i].type, "Ready"))
            return str_eq(v->status.conditions[i].status, "True");
    return false;
}

/* The API's own names, and those of other nodes that live: a machine may come back under another
 * name. */
static const char *owner_of(struct pass *p, const char *node, const char *text)
{
    const struct crypto_cert *api = p->c->control->opts.api_cert;
    const struct crypto_names *n = api ? crypto_cert_names(api) : NULL;
    struct informer *nodes = control_informer(p->c, kind_node());
    struct object *o;

    if (n && (is_list(n->dns, n->n_dns, text) || is_list(n->ips, n->n_ips, text)))
        return "the API";
    for (size_t at = 0; (o = informer_next(nodes, &at));) {
        const struct node_view *v = node_view(o);

        if (str_eq(object_name(o), node) || !is_ready(v))
            continue;
        for (unsigned i = 0; i < v->status.n_addresses; i++)
            if (str_eq(v->status.addresses[i].address, text))
                return arena_printf(p->a, "node %s", object_name(o));
    }
    return NULL;
}

static bool deny_name(struct pass *p, const struct csr *c, struct verdict *out)
{
    const char *node = c->names->cn + strlen(CSR_NODE_PREFIX), *owner = NULL;
    const char *what = NULL;

    for (unsigned i = 0; i < c->names->n_dns && !owner; i++) {
        what = c->names->dns[i];
        if (!str_eq(what, node))
            owner = "another";
    }
    for (unsigned i = 0; i < c->names->n_dns + c->names->n_ips && !owner; i++) {
        what = i < c->names->n_dns ? c->names->dns[i] : c->names->ips[i - c->names->n_dns];
        owner = owner_of(p, node, what);
    }
    if (!owner)
        return false;
    *out = (struct verdict){ "Denied", "NotOwnName", arena_printf(p->a,
        "node %s cannot serve as \"%s\": that is of %s", node, what, owner) };
    return true;
}

static bool judge(struct pass *p, const struct csr *c, struct verdict *out)
{
    bool own = str_eq(c->username, c->names->cn);

    out->type = "Approved";
    out->reason = "AutoApproved";
    if (str_eq(c->signer, CSR_SIGNER_KUBELET) && csr_by_group(c, "system:bootstrappers"))
        out->message = "Auto approving kubelet client certificate after SubjectAccessReview.";
    else if (str_eq(c->signer, CSR_SIGNER_KUBELET) && own && csr_by_group(c, CSR_NODES))
        out->message = "Auto approving self kubelet client certificate after "
                       "SubjectAccessReview.";
    else if (str_eq(c->signer, CSR_SIGNER_SERVING) && own && csr_by_group(c, CSR_NODES))
        return deny_name(p, c, out) ||
               (out->message = "Auto approving the node's own serving certificate.", true);
    else if (str_eq(c->signer, CSR_SIGNER_CLIENT) && csr_by_group(c, CSR_NODES) &&
             str_eq(c->names->cn, DNS_CN) && c->names->n_orgs == 1 &&
             str_eq(c->names->orgs[0], DNS_ORG))
        out->message = "Auto approving the client certificate of a node's name server.";
    else
        return false;
    return true;
}

static void reconcile(struct pass *p)
{
    struct object *o = control_get(p, kind_certificate_signing_request());
    _cleanup_(csr_deinit) struct csr c = { 0 };
    struct client_req req = { .verb = CLIENT_UPDATE, .subresource = "approval", .grace_s = -1,
                              .kind = kind_certificate_signing_request(), .ns = "" };
    struct verdict verdict;

    if (!o || csr_init(&c, o, p->a, NULL) < 0 || c.approved || c.denied || c.failed || c.issued)
        return;
    if (csr_check(&c, NULL) < 0 || !judge(p, &c, &verdict))
        return;
    csr_set_condition(&c, p->a, verdict.type, verdict.reason, verdict.message);
    req.name = p->name;
    req.body = c.tree;
    control_do(p, &req, NULL, NULL);
}

const struct control_def csrapprove_control = {
    .name = "certificatesigningrequest-approving-controller",
    .watches = { { kind_certificate_signing_request, on_csr }, { kind_node, on_node } },
    .reconcile = reconcile,
};
