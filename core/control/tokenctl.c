/* tokenctl.c: Secrets of type kubernetes.io/service-account-token are filled with a token of their
 * account, and go with it.
 *
 * The token is bound to its Secret: it is valid as long as that is there.
 */
#include "core/control/control_impl.h"

#include "core/base/b64.h"
#include "gen/views.h"

#define TOKEN_S (1ll << 32)              /* the longest that the API gives: 136 years */

static const char type[] = "kubernetes.io/service-account-token";
static const char account_name[] = "kubernetes.io/service-account.name";
static const char account_uid[] = "kubernetes.io/service-account.uid";

struct run { const char *account, *uid, *token; };

/* --- keys */

static bool is_token(const struct object *secret)
{
    return str_eq(secret_view(secret)->type, type);
}

static void on_secret(struct controller *c, struct object *before, struct object *after)
{
    (void)before;
    if (after && is_token(after))
        control_enqueue_object(c, after);
}

static void on_account(struct controller *c, struct object *before, struct object *after)
{
    struct informer *i = control_informer(c, kind_secret());
    const struct object *any = after ? after : before;
    struct object *secret;

    if (before && after && str_eq(object_uid(before), object_uid(after)))
        return;
    for (size_t at = 0; (secret = informer_next(i, &at));)
        if (is_token(secret) && str_eq(object_ns(secret), object_ns(any)) &&
            str_eq(object_annotation(secret, account_name), object_name(any)))
            control_enqueue_object(c, secret);
}

/* --- the pass */

static void on_written(struct pass *p, const struct client_result *r, void *arg)
{
    (void)arg;
    if (!client_ok(r) && r->code != 404)
        control_fail(p);
}

static void set_data(struct pass *p, struct json *data, const char *key, const char *text)
{
    struct buf b = BUF_INIT;

    b64_encode(&b, B64_STD, text, strlen(text));
    json_set(p->a, data, key, json_strn(p->a, b.p, b.len));
    buf_deinit(&b);
}

static void fill(struct pass *p)
{
    struct run *run = p->data;
    struct object *secret = control_get(p, kind_secret());
    const char *ca = p->c->control->opts.root_ca_pem;
    struct json *tree, *before, *data;

    if (!secret || p->failed)
        return;
    tree = object_tree(secret, p->a);
    before = json_clone(p->a, tree);
    json_set_str(p->a, json_ensure_object(p->a, json_get(tree, "metadata"), "annotations"),
                 account_uid, run->uid);
    data = json_ensure_object(p->a, tree, "data");
    if (ca)
        set_data(p, data, "ca.crt", ca);
    set_data(p, data, "namespace", p->ns);
    if (run->token)
        set_data(p, data, "token", run->token);
    if (!json_equal(tree, before))
        control_update(p, secret, tree, on_written, NULL);
}

static void on_token(struct pass *p, const struct client_result *r, void *arg)
{
    struct run *run = arg;

    if (client_ok(r) && json_path_str(r->body, "status.token"))
        run->token = arena_strdup(p->a, json_path_str(r->body, "status.token"));
    else
        control_fail(p);
}

static void ask_token(struct pass *p, const struct object *secret, struct run *run)
{
    struct json *body = json_object(p->a), *spec = json_ensure_object(p->a, body, "spec"), *ref;
    struct client_req req = { .verb = CLIENT_CREATE, .kind = kind_service_account(), .ns = p->ns,
                              .name = run->account, .subresource = "token", .body = body,
                              .grace_s = -1 };

    json_set_str(p->a, body, "apiVersion", "authentication.k8s.io/v1");
    json_set_str(p->a, body, "kind", "TokenRequest");
    json_set_int(p->a, spec, "expirationSeconds", TOKEN_S);
    json_set(p->a, spec, "audiences", json_array(p->a));
    ref = json_ensure_object(p->a, spec, "boundObjectRef");
    json_set_str(p->a, ref, "apiVersion", "v1");
    json_set_str(p->a, ref, "kind", "Secret");
    json_set_str(p->a, ref, "name", object_name(secret));
    json_set_str(p->a, ref, "uid", object_uid(secret));
    control_do(p, &req, on_token, run);
}

/* The cache of accounts may be older than that of Secrets: asked before anything is deleted. */
static void on_account_asked(struct pass *p, const struct client_result *r, void *arg)
{
    struct object *secret = control_get(p, kind_secret());
    const char *uid = arg;

    if (client_ok(r) && r->object && (str_empty(uid) || str_eq(uid, object_uid(r->object))))
        control_again(p, 1000);
    else if (!client_ok(r) && r->code != 404)
        control_fail(p);
    else if (secret)
        control_delete(p, secret, NULL, on_written, NULL);
}

static void reconcile(struct pass *p)
{
    struct object *secret = control_get(p, kind_secret()), *account;
    const char *name, *uid;
    struct client_req req = { .verb = CLIENT_GET, .kind = kind_service_account(), .ns = p->ns,
                              .grace_s = -1 };
    struct run *run;

    if (!secret || object_is_deleting(secret) || !is_token(secret))
        return;
    name = object_annotation(secret, account_name);
    uid = object_annotation(secret, account_uid);
    if (str_empty(name))
        return;
    account = informer_get(control_informer(p->c, kind_service_account()), p->ns, name);
    if (!account || (!str_empty(uid) && !str_eq(uid, object_uid(account)))) {
        req.name = name;
        control_do(p, &req, on_account_asked, arena_strdup(p->a, uid));
        return;
    }
    run = ANEW(p->a, struct run);
    run->account = arena_strdup(p->a, name);
    run->uid = arena_strdup(p->a, object_uid(account));
    p->data = run;
    p->then = fill;
    if (!view_bytes_get(&secret_view(secret)->data, "token"))
        ask_token(p, secret, run);
}

const struct control_def tokenctl_control = {
    .name = "serviceaccount-token-controller",
    .watches = { { kind_secret, on_secret }, { kind_service_account, on_account } },
    .reconcile = reconcile,
};
