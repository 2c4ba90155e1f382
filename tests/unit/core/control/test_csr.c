/* Requests for certificates: which are approved by themselves, what is signed, and how all ends. */
#include "tests/unit/core/control/control_box.h"

#include "core/base/b64.h"
#include "core/base/timefmt.h"
#include "core/crypto/crypto.h"

#define KUBELET "kubernetes.io/kube-apiserver-client-kubelet"
#define SERVING "kubernetes.io/kubelet-serving"
#define CLIENT "kubernetes.io/kube-apiserver-client"

struct authority { struct crypto_key *key; struct crypto_cert *cert; struct buf pem; };

static void authority_init(struct authority *a, const char *cn, const char *const *dns)
{
    struct crypto_issue what = { .cn = cn, .uses = CRYPTO_USE_CA, .not_before_s = 0,
                                 .not_after_s = 4000000000ll };
    struct crypto_issue leaf = { .cn = cn, .dns = dns, .uses = CRYPTO_USE_SERVER,
                                 .not_after_s = 4000000000ll };
    struct err err = ERR_INIT;

    a->pem = BUF_INIT;
    EXPECT_OK(crypto_key_new(&a->key, &err), &err);
    EXPECT_OK(crypto_ca_new(&a->pem, a->key, &what, &err), &err);
    EXPECT_OK(crypto_cert_parse(&a->cert, a->pem.p, a->pem.len, &err), &err);
    if (!dns)
        return;
    buf_clear(&a->pem);
    EXPECT_OK(crypto_cert_issue(&a->pem, a->cert, a->key, a->key, &leaf, &err), &err);
    crypto_cert_unref(a->cert);
    EXPECT_OK(crypto_cert_parse(&a->cert, a->pem.p, a->pem.len, &err), &err);
}

static void authority_deinit(struct authority *a)
{
    crypto_key_unref(a->key);
    crypto_cert_unref(a->cert);
    buf_deinit(&a->pem);
}

struct csr_box { struct box b; struct authority server, client, api; };

static void begin(struct csr_box *x)
{
    static const char *const dns[] = { "kubernetes", NULL };

    box_init(&x->b);
    authority_init(&x->server, "server-ca", NULL);
    authority_init(&x->client, "client-ca", NULL);
    authority_init(&x->api, "api", dns);
    x->b.opts.server_signer = (struct control_signer){ x->server.cert, x->server.key };
    x->b.opts.client_signer = (struct control_signer){ x->client.cert, x->client.key };
    x->b.opts.api_cert = x->api.cert;
    box_restart(&x->b);
}

static void end(struct csr_box *x)
{
    box_deinit(&x->b);
    authority_deinit(&x->server);
    authority_deinit(&x->client);
    authority_deinit(&x->api);
}

struct ask {
    const char *name, *cn, *org, *dns, *ip, *signer, *user, *group, *usage;
};

static void ask(struct csr_box *x, const struct ask *o)
{
    const char *orgs[] = { o->org, NULL }, *dns[] = { o->dns, NULL }, *ips[] = { o->ip, NULL };
    struct crypto_issue what = { .cn = o->cn, .orgs = orgs, .dns = dns, .ips = ips,
                                 .uses = CRYPTO_USE_CLIENT };
    struct buf pem = BUF_INIT, text = BUF_INIT;
    struct crypto_key *key;
    struct err err = ERR_INIT;

    EXPECT_OK(crypto_key_new(&key, &err), &err);
    EXPECT_OK(crypto_csr_new(&pem, key, &what, &err), &err);
    b64_encode(&text, B64_STD, pem.p, pem.len);
    fake_client_put(x->b.f, arena_printf(x->b.a,
        "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\n"
        "metadata: {name: %s}\n"
        "spec: {signerName: %s, username: '%s', groups: ['%s'], request: %s, "
        "usages: [digital signature, %s]}\n", o->name, o->signer, o->user, o->group, text.p,
        o->usage));
    crypto_key_unref(key);
    buf_deinit(&pem);
    buf_deinit(&text);
    fake_client_pass(x->b.f, &x->b.env, 200, 10);
}

static const struct kind *csrs(void)
{
    return kind_certificate_signing_request();
}

/* The certificate that was issued; NULL: none. */
static struct crypto_cert *issued(struct csr_box *x, const char *name)
{
    const char *text = box_str(&x->b, csrs(), name, "status.certificate");
    struct crypto_cert *cert = NULL;
    struct buf pem = BUF_INIT;
    struct err err = ERR_INIT;

    if (!*text)
        return NULL;
    EXPECT_OK(b64_decode(&pem, B64_STD, text, strlen(text), &err), &err);
    EXPECT_OK(crypto_cert_parse(&cert, pem.p, pem.len, &err), &err);
    buf_deinit(&pem);
    return cert;
}

TEST(a_machine_joins)
{
    struct csr_box x;
    struct crypto_cert *cert;
    struct err err = ERR_INIT;

    begin(&x);
    ask(&x, &(struct ask){ .name = "a", .cn = "system:node:n2", .org = "system:nodes",
                           .signer = KUBELET, .user = "system:bootstrap:abcdef",
                           .group = "system:bootstrappers", .usage = "client auth" });
    EXPECT_STR(box_condition(&x.b, csrs(), "a", "Approved"), "True AutoApproved");
    cert = issued(&x, "a");
    EXPECT(cert);
    EXPECT_STR(crypto_cert_names(cert)->cn, "system:node:n2");
    EXPECT_EQ(crypto_cert_names(cert)->uses, (unsigned)CRYPTO_USE_CLIENT);
    EXPECT_OK(crypto_cert_verify(cert, (struct slice){ x.client.pem.p, x.client.pem.len },
                                 CRYPTO_USE_CLIENT, 0, &err), &err);
    EXPECT(crypto_cert_not_after_s(cert) > env_wall_s(&x.b.env.env) + CONTROL_SIGN_S - 60 &&
           crypto_cert_not_after_s(cert) <= env_wall_s(&x.b.env.env) + CONTROL_SIGN_S);
    crypto_cert_unref(cert);
    end(&x);
}

TEST(a_node_serves_under_its_own_names)
{
    static const struct { const char *dns, *ip, *user, *want; } rows[] = {
        { "n2", "192.0.2.2", "system:node:n2", "True AutoApproved" },
        { "n3", "192.0.2.2", "system:node:n2", "denied" },
        { "kubernetes", "192.0.2.2", "system:node:n2", "denied" },
        { "n2", "192.0.2.1", "system:node:n2", "denied" },
        { "n2", "192.0.2.2", "system:node:n3", "" },
    };
    struct csr_box x;

    begin(&x);
    fake_client_put(x.b.f, "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n"
                           "status: {conditions: [{type: Ready, status: 'True'}], addresses: "
                           "[{type: InternalIP, address: 192.0.2.1}]}\n");
    fake_client_put(x.b.f, "apiVersion: v1\nkind: Node\nmetadata: {name: n4}\n"
                           "status: {conditions: [{type: Ready, status: Unknown}], addresses: "
                           "[{type: InternalIP, address: 192.0.2.2}]}\n");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *name = arena_printf(x.b.a, "a%zu", i), *got;
        struct crypto_cert *cert;

        ask(&x, &(struct ask){ .name = name, .cn = "system:node:n2", .org = "system:nodes",
                               .dns = rows[i].dns, .ip = rows[i].ip, .signer = SERVING,
                               .user = rows[i].user, .group = "system:nodes",
                               .usage = "server auth" });
        got = box_condition(&x.b, csrs(), name, "Approved");
        if (*box_condition(&x.b, csrs(), name, "Denied"))
            got = "denied";
        EXPECT_STR(got, rows[i].want);
        cert = issued(&x, name);
        EXPECT_EQ(cert != NULL, i == 0);
        crypto_cert_unref(cert);
    }
    end(&x);
}

TEST(others_wait_for_a_person)
{
    static const struct ask rows[] = {
        { .name = "bob", .cn = "bob", .org = "people", .signer = CLIENT, .user = "bob",
          .group = "people", .usage = "client auth" },
        { .name = "dns", .cn = "system:inro-dns", .org = "inro:dns", .signer = CLIENT,
          .user = "bob", .group = "people", .usage = "client auth" },
        { .name = "sans", .cn = "system:node:n2", .org = "system:nodes", .dns = "n2",
          .signer = KUBELET, .user = "system:bootstrap:abcdef", .group = "system:bootstrappers",
          .usage = "client auth" },
        { .name = "org", .cn = "system:node:n2", .org = "system:masters", .signer = KUBELET,
          .user = "system:bootstrap:abcdef", .group = "system:bootstrappers",
          .usage = "client auth" },
        { .name = "use", .cn = "system:node:n2", .org = "system:nodes", .signer = KUBELET,
          .user = "system:bootstrap:abcdef", .group = "system:bootstrappers",
          .usage = "server auth" },
        { .name = "other", .cn = "system:node:n2", .org = "system:nodes", .signer = KUBELET,
          .user = "system:node:n3", .group = "system:nodes", .usage = "client auth" },
    };
    struct csr_box x;

    begin(&x);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ask(&x, &rows[i]);
        EXPECT_STR(box_condition(&x.b, csrs(), rows[i].name, "Approved"), "");
        EXPECT_STR(box_str(&x.b, csrs(), rows[i].name, "status.certificate"), "");
    }
    end(&x);
}

static void approve(struct csr_box *x, const char *name)
{
    fake_client_edit(x->b.f, csrs(), "", name, "{status: {conditions: [{type: Approved, "
                     "status: 'True', lastUpdateTime: '2026-01-01T00:00:00Z'}]}}");
    fake_client_pass(x->b.f, &x->b.env, 200, 10);
}

TEST(what_a_person_approved)
{
    struct csr_box x;
    struct crypto_cert *cert;

    begin(&x);
    ask(&x, &(struct ask){ .name = "bob", .cn = "bob", .org = "people", .signer = CLIENT,
                           .user = "bob", .group = "people", .usage = "client auth" });
    approve(&x, "bob");
    cert = issued(&x, "bob");
    EXPECT(cert);
    crypto_cert_unref(cert);
    /* approved, but not what its signer signs */
    ask(&x, &(struct ask){ .name = "bad", .cn = "bob", .org = "people", .signer = KUBELET,
                           .user = "bob", .group = "people", .usage = "client auth" });
    approve(&x, "bad");
    EXPECT_STR(box_condition(&x.b, csrs(), "bad", "Failed"), "True SignerValidationFailure");
    /* another's signer: not touched */
    ask(&x, &(struct ask){ .name = "own", .cn = "bob", .org = "people", .signer = "example.com/x",
                           .user = "bob", .group = "people", .usage = "client auth" });
    approve(&x, "own");
    EXPECT_STR(box_condition(&x.b, csrs(), "own", "Failed"), "");
    EXPECT_STR(box_str(&x.b, csrs(), "own", "status.certificate"), "");
    end(&x);
}

TEST(answered_requests_go)
{
    struct csr_box x;

    begin(&x);
    ask(&x, &(struct ask){ .name = "a", .cn = "system:node:n2", .org = "system:nodes",
                           .signer = KUBELET, .user = "system:bootstrap:abcdef",
                           .group = "system:bootstrappers", .usage = "client auth" });
    ask(&x, &(struct ask){ .name = "b", .cn = "bob", .org = "people", .signer = CLIENT,
                           .user = "bob", .group = "people", .usage = "client auth" });
    fake_client_pass(x.b.f, &x.b.env, 3500000, 100000);
    EXPECT(fake_client_get(x.b.f, csrs(), "", "a"));
    fake_client_pass(x.b.f, &x.b.env, 200000, 10000);
    EXPECT(!fake_client_get(x.b.f, csrs(), "", "a"));
    fake_client_pass(x.b.f, &x.b.env, 82000000, 1000000);
    EXPECT(fake_client_get(x.b.f, csrs(), "", "b"));
    fake_client_pass(x.b.f, &x.b.env, 2000000, 100000);
    EXPECT(!fake_client_get(x.b.f, csrs(), "", "b"));
    end(&x);
}

TEST(tokens_end)
{
    struct csr_box x;
    char when[TIMEFMT_BYTES];
    struct buf text = BUF_INIT;
    const struct kind *k = kind_secret();

    begin(&x);
    timefmt_rfc3339(when, env_wall_s(&x.b.env.env) + 60);
    b64_encode(&text, B64_STD, when, strlen(when));
    for (int i = 0; i < 2; i++)
        fake_client_put(x.b.f, arena_printf(x.b.a,
            "apiVersion: v1\nkind: Secret\ntype: bootstrap.kubernetes.io/token\n"
            "metadata: {name: t%d, namespace: kube-system}\ndata: {%s%s}\n", i,
            i ? "" : "expiration: ", i ? "" : text.p));
    fake_client_pass(x.b.f, &x.b.env, 58000, 1000);
    EXPECT(fake_client_get(x.b.f, k, "kube-system", "t0"));
    fake_client_pass(x.b.f, &x.b.env, 4000, 1000);
    EXPECT(!fake_client_get(x.b.f, k, "kube-system", "t0"));
    EXPECT(fake_client_get(x.b.f, k, "kube-system", "t1"));
    buf_deinit(&text);
    end(&x);
}

TEST(a_name_is_free_after_its_node)
{
    struct csr_box x;

    begin(&x);
    for (int i = 2; i <= 3; i++)
        fake_client_put(x.b.f, arena_printf(x.b.a, "apiVersion: v1\nkind: Secret\n"
            "metadata: {name: n%d.node-password.inro, namespace: kube-system}\n", i));
    fake_client_put(x.b.f, "apiVersion: v1\nkind: Node\nmetadata: {name: n2}\n");
    fake_client_pass(x.b.f, &x.b.env, 200, 10);
    fake_client_drop(x.b.f, kind_node(), "", "n2");
    fake_client_pass(x.b.f, &x.b.env, 200, 10);
    EXPECT(!fake_client_get(x.b.f, kind_secret(), "kube-system", "n2.node-password.inro"));
    EXPECT(fake_client_get(x.b.f, kind_secret(), "kube-system", "n3.node-password.inro"));
    end(&x);
}
