/* api_csr.c: CertificateSigningRequests: who asks is what the connection says, the request must be
 * one, and what nobody may be given is refused here. */
#include "core/api/api_call.h"

#include "core/base/b64.h"
#include "core/crypto/crypto.h"
#include "core/object/rules.h"
#include "gen/views.h"

#define SIGNER_KUBELET "kubernetes.io/kube-apiserver-client-kubelet"
#define NODE_PREFIX "system:node:"
#define PASSWORD_MAX 256                     /* bytes */
#define KEYS_MAX 64                          /* of one node that are remembered; the newest */

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
    static const char by_name[] = "metadata.name=";
    const char *name = c->route.name, *selector = api_query_get(&c->query, "fieldSelector");
    struct object *o;
    bool own;

    if (!c->route.kind || !is_csr(c->route.kind) || auth_user_in(&c->user, "system:masters"))
        return true;
    if (c->route.verb == API_CREATE)
        return !c->route.sub;
    if (!*name && selector && str_starts(selector, by_name) && !strchr(selector, ','))
        name = selector + strlen(by_name);   /* a list or watch of one */
    o = *name ? api_lookup(c->api, c->route.kind, "", name) : NULL;
    own = o && str_eq(json_path_str(object_tree(o, c->a), "spec.username"), c->user.name);
    object_unref(o);
    return own;
}

/* --- names of nodes
 *
 * The first machine that asks for the certificate of a node becomes that node: the digest of its
 * password is kept in the Secret kube-system/NODE.node-password.inro, and who comes later must
 * know the password (as in k3s). The Secret also remembers which keys were asked for, so that no
 * request counts twice. It goes with its Node (core/control/nodepass.c). */

struct claim {
    struct api_call *c;
    const char *node, *secret;
    char hash[CRYPTO_SHA256_HEX_BYTES], key[CRYPTO_KEY_ID_BYTES];
    bool proven;                             /* asks with the node's own certificate */
};

static int refuse(struct api_call *c, const char *why)
{
    struct status *s = status_new(c->a, 403, "Forbidden", "%s", why);

    s->kind = "";
    return api_fail(c, s);
}

static int write_secret(struct claim *cl, struct json *tree, bool create)
{
    _cleanup_(api_call_freep) struct api_call *w = api_call_new(cl->c->api, cl->c->home);
    _cleanup_buf_ struct buf text = BUF_INIT;

    json_write(&text, tree);
    w->route = (struct api_route){ .verb = create ? API_CREATE : API_UPDATE,
                                   .kind = kind_secret(), .ns = "kube-system",
                                   .name = create ? "" : cl->secret, .tail = "" };
    w->content_type = "application/json";
    w->body = (struct slice){ text.p, text.len };
    auth_user_named(&w->user, "system:apiserver", "system:masters");
    if ((create ? api_create(w) : api_update(w)) == 0)
        return 0;
    return api_fail(cl->c, status_new(cl->c->a, w->status->code == 409 ? 429 : 500, "", "%s",
                                      arena_strdup(cl->c->a, w->status->message)));
}

static void put(struct claim *cl, struct json *data, const char *key, const char *text)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    b64_encode(&b, B64_STD, text, strlen(text));
    json_set_str(cl->c->a, data, key, b.p);
}

static int claim_new(struct claim *cl)
{
    struct arena *a = cl->c->a;
    struct json *o = json_object(a), *meta, *data;
    struct object *node = api_lookup(cl->c->api, kind_node(), "", cl->node);

    object_unref(node);
    if (node && !cl->proven)
        return refuse(cl->c, arena_printf(a, "node name \"%s\" is taken by a node that did not "
                      "join: choose another --node-name, or delete that Node", cl->node));
    json_set_str(a, o, "apiVersion", "v1");
    json_set_str(a, o, "kind", "Secret");
    json_set_str(a, o, "type", "Opaque");
    meta = json_ensure_object(a, o, "metadata");
    json_set_str(a, meta, "name", cl->secret);
    json_set_str(a, meta, "namespace", "kube-system");
    data = json_ensure_object(a, o, "data");
    put(cl, data, "hash", cl->hash);
    put(cl, data, "keys", cl->key);
    return write_secret(cl, o, true);
}

static bool knows_key(struct slice keys, const char *key)
{
    struct slice one;

    while (keys.len && slice_split(&keys, '\n', &one))
        if (slice_is(one, key))
            return true;
    return false;
}

static const char *add_key(struct arena *a, struct slice keys, const char *key)
{
    struct slice all = keys, one;
    unsigned n = 0;

    while (all.len && slice_split(&all, '\n', &one))
        n++;
    while (n-- >= KEYS_MAX && slice_split(&keys, '\n', &one))
        ;
    return arena_printf(a, "%.*s%s%s", (int)keys.len, keys.len ? keys.p : "",
                        keys.len ? "\n" : "", key);
}

static int claim_again(struct claim *cl, struct object *o)
{
    const struct slice *hash = view_bytes_get(&secret_view(o)->data, "hash");
    const struct slice *keys = view_bytes_get(&secret_view(o)->data, "keys");
    struct slice known = keys ? *keys : (struct slice){ "", 0 };
    struct arena *a = cl->c->a;
    struct json *tree;

    if (!cl->proven && (!hash || hash->len != sizeof(cl->hash) - 1 ||
                        !crypto_equal(hash->p, cl->hash, hash->len)))
        return refuse(cl->c, arena_printf(a, "node name \"%s\" is taken: another machine joined "
                      "under it; choose another --node-name, or delete that Node", cl->node));
    if (knows_key(known, cl->key))
        return refuse(cl->c, arena_printf(a, "this request for node \"%s\" was made before: each "
                      "needs a new key", cl->node));
    tree = object_tree(o, a);
    put(cl, json_ensure_object(a, tree, "data"), "keys", add_key(a, known, cl->key));
    return write_secret(cl, tree, false);
}

static int claim(struct claim *cl)
{
    struct object *o = api_lookup(cl->c->api, kind_secret(), "kube-system", cl->secret);
    int result = o ? claim_again(cl, o) : claim_new(cl);

    object_unref(o);
    return result;
}

/* A node may ask for itself; others need a password, which makes the name theirs. */
static int check_asker(struct claim *cl)
{
    struct api_call *c = cl->c;
    const char *own = c->api->join ? c->api->join->node_name : NULL;

    cl->proven = auth_user_in(&c->user, "system:nodes");
    if (cl->proven)
        return str_eq(c->user.name + strlen(NODE_PREFIX), cl->node) ? 0
            : refuse(c, arena_printf(c->a, "%s cannot ask for a certificate of node \"%s\"",
                                     c->user.name, cl->node));
    if (str_eq(own, cl->node))
        return refuse(c, arena_printf(c->a, "node name \"%s\" is taken by the server itself: "
                                      "choose another --node-name", cl->node));
    if (str_empty(c->node_password) || strlen(c->node_password) > PASSWORD_MAX)
        return refuse(c, arena_printf(c->a, "node \"%s\" cannot join without a password (header "
                                      "Inro-Node-Password)", cl->node));
    return 0;
}

int api_csr_claim(struct api_call *c, const struct kind *kind, const struct json *tree)
{
    _cleanup_(crypto_csr_freep) struct crypto_csr *csr = NULL;
    const struct json *spec = json_get(tree, "spec");
    struct claim cl = { .c = c };
    struct err err = ERR_INIT;
    const char *text;

    if (!is_csr(kind) || !str_eq(json_get_str(spec, "signerName"), SIGNER_KUBELET) ||
        auth_user_in(&c->user, "system:masters"))
        return 0;
    if (parse(&csr, spec, &err) < 0)
        return api_fail(c, status_internal(c->a, err.msg));
    if (!str_starts(crypto_csr_names(csr)->cn, NODE_PREFIX))
        return 0;
    cl.node = crypto_csr_names(csr)->cn + strlen(NODE_PREFIX);
    cl.secret = arena_printf(c->a, "%s.node-password.inro", cl.node);
    if (rules_dns1123_subdomain(c->a, cl.node))
        return refuse(c, arena_printf(c->a, "\"%s\" is no name of a node", cl.node));
    if (check_asker(&cl) < 0)
        return -1;
    text = arena_printf(c->a, "%s:%s", cl.node, c->node_password ? c->node_password : "");
    crypto_sha256_hex(cl.hash, text, strlen(text));
    crypto_key_id(crypto_csr_key(csr), cl.key);
    return claim(&cl);
}
