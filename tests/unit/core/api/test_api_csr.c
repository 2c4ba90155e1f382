/* Requests for certificates at the API: who asks, what is a request, whose a node's name is. */
#include "tests/unit/core/api/api_fix.h"

#include "core/base/b64.h"

#define CSRS "/apis/certificates.k8s.io/v1/certificatesigningrequests"
#define KUBELET "kubernetes.io/kube-apiserver-client-kubelet"
#define CLIENT "kubernetes.io/kube-apiserver-client"
#define SECRET "/api/v1/namespaces/kube-system/secrets/n2.node-password.inro"

/* The text of `request`: of this subject, by a new key. */
static char *request(const char *cn, const char *org)
{
    const char *orgs[] = { org, NULL };
    struct crypto_issue what = { .cn = cn, .orgs = orgs, .uses = CRYPTO_USE_CLIENT };
    struct crypto_key *key;
    struct buf pem = BUF_INIT, text = BUF_INIT;
    struct err err = ERR_INIT;

    EXPECT_OK(crypto_key_new(&key, &err), &err);
    EXPECT_OK(crypto_csr_new(&pem, key, &what, &err), &err);
    b64_encode(&text, B64_STD, pem.p, pem.len);
    crypto_key_unref(key);
    buf_deinit(&pem);
    return buf_take(&text, NULL);
}

struct post { const char *name, *request, *signer, *more, *token, *password; };
#define POST(n, r, s, ...) \
    (&(struct post){ .name = (n), .request = (r), .signer = (s), __VA_ARGS__ })

static const struct api_reply *post(struct api_peer *p, const struct post *o)
{
    char *body = mem_printf("{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"request\":\"%s\","
                            "\"signerName\":\"%s\",\"usages\":[\"client auth\","
                            "\"digital signature\"]%s}}", o->name, o->request, o->signer,
                            o->more ? o->more : "");
    struct api_ask ask = { .method = "POST", .path = CSRS, .body = body, .token = o->token,
                           .node_password = o->password };
    const struct api_reply *r = api_peer_ask(p, &ask);

    mem_free(body);
    return r;
}

TEST(the_connection_says_who_asks)
{
    struct fix f = fix_new();
    char *text = request("bob", "people");
    const struct api_reply *r = post(f.peer, POST("a", text, CLIENT,
        .more = ",\"username\":\"eve\",\"groups\":[\"kings\"],\"uid\":\"1\","
                "\"extra\":{\"a\":[\"b\"]}"));

    ANSWERS(r, 201);
    EXPECT_STR(fix_str(r, "spec.username"), "admin");
    EXPECT_STR(json_text(json_at(json_path(r->json, "spec.groups"), 0)), "system:masters");
    EXPECT(!json_path(r->json, "spec.uid") && !json_path(r->json, "spec.extra"));
    EXPECT(!json_path(r->json, "status.conditions"));
    mem_free(text);
    fix_close(&f);
}

TEST(a_request_must_be_one)
{
    struct fix f = fix_new();
    char *masters = request("bob", "system:masters");
    const struct api_reply *r = post(f.peer, POST("a", "Zm9v", CLIENT, .more = NULL));

    ANSWERS(r, 422);
    EXPECT(strstr(fix_str(r, "message"), "spec.request: Invalid value"));
    EXPECT(strstr(fix_str(r, "message"), "PEM block type must be CERTIFICATE REQUEST"));
    ANSWERS(post(f.peer, POST("a", "", CLIENT, .more = NULL)), 422);
    r = post(f.peer, POST("a", masters, CLIENT, .more = NULL));
    ANSWERS(r, 403);
    EXPECT(strstr(fix_str(r, "message"), "with system:masters group is not allowed"));
    ANSWERS(post(f.peer, POST("a", masters, "example.com/own", .more = NULL)), 201);
    mem_free(masters);
    fix_close(&f);
}

TEST(subresources)
{
    struct fix f = fix_new();
    char *text = request("bob", "people");
    const struct api_reply *r;

    ANSWERS(post(f.peer, POST("a", text, CLIENT, .more = NULL)), 201);
    /* the object itself: neither request nor status change */
    r = api_peer_patch(f.peer, CSRS "/a", "merge", "{\"spec\":{\"signerName\":\"b.c/d\"},"
        "\"status\":{\"conditions\":[{\"type\":\"Approved\",\"status\":\"True\"}]}}");
    ANSWERS(r, 200);
    EXPECT_STR(fix_str(r, "spec.signerName"), CLIENT);
    EXPECT(!json_path(r->json, "status.conditions"));
    /* status may not approve */
    r = api_peer_patch(f.peer, CSRS "/a/status", "merge",
                       "{\"status\":{\"conditions\":[{\"type\":\"Approved\","
                       "\"status\":\"True\"}]}}");
    ANSWERS(r, 422);
    EXPECT(strstr(fix_str(r, "message"), "updates may not add a condition of type \"Approved\""));
    /* approval may, and changes nothing else */
    r = api_peer_patch(f.peer, CSRS "/a/approval", "merge",
                       "{\"status\":{\"certificate\":\"Zm9v\",\"conditions\":[{\"type\":"
                       "\"Approved\",\"status\":\"True\",\"reason\":\"r\"}]}}");
    ANSWERS(r, 200);
    EXPECT(!json_path(r->json, "status.certificate"));
    r = api_peer_get(f.peer, CSRS "/a");
    EXPECT_STR(json_get_str(json_at(json_path(r->json, "status.conditions"), 0), "reason"), "r");
    EXPECT(json_get_str(json_at(json_path(r->json, "status.conditions"), 0), "lastUpdateTime"));
    /* both is neither */
    r = api_peer_patch(f.peer, CSRS "/a/approval", "merge",
                       "{\"status\":{\"conditions\":[{\"type\":\"Approved\",\"status\":\"True\","
                       "\"reason\":\"r\"},{\"type\":\"Denied\",\"status\":\"True\"}]}}");
    ANSWERS(r, 422);
    EXPECT(strstr(fix_str(r, "message"), "mutually exclusive"));
    r = api_peer_patch(f.peer, CSRS "/a/approval", "merge", "{\"status\":{\"conditions\":[]}}");
    ANSWERS(r, 422);
    EXPECT(strstr(fix_str(r, "message"), "may not remove a condition"));
    /* a certificate is set once */
    ANSWERS(api_peer_patch(f.peer, CSRS "/a/status", "merge",
                           "{\"status\":{\"certificate\":\"Zm9v\"}}"), 200);
    ANSWERS(api_peer_patch(f.peer, CSRS "/a/status", "merge",
                           "{\"status\":{\"certificate\":\"YmFy\"}}"), 422);
    mem_free(text);
    fix_close(&f);
}

TEST(bad_specs)
{
    static const struct { const char *spec, *want; } rows[] = {
        { "\"signerName\":\"a\",\"usages\":[\"client auth\"]", "must be a fully qualified domain" },
        { "\"signerName\":\"kubernetes.io/legacy-unknown\",\"usages\":[\"client auth\"]",
          "the legacy signerName is not allowed" },
        { "\"signerName\":\"a.b/c\"", "spec.usages: Required value" },
        { "\"signerName\":\"a.b/c\",\"usages\":[\"any\",\"any\"]", "spec.usages[1]: Duplicate" },
        { "\"signerName\":\"a.b/c\",\"usages\":[\"x\"]", "spec.usages[0]: Unsupported value" },
        { "\"signerName\":\"a.b/c\",\"usages\":[\"any\"],\"expirationSeconds\":599",
          "less than 600 seconds" },
    };
    struct fix f = fix_new();
    char *text = request("bob", "people");

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *body = mem_printf("{\"metadata\":{\"name\":\"a\"},\"spec\":{\"request\":\"%s\",%s}}",
                                text, rows[i].spec);
        const struct api_reply *r = api_peer_post(f.peer, CSRS, body);

        ANSWERS(r, 422);
        if (!strstr(fix_str(r, "message"), rows[i].want))
            test_fail(__FILE__, __LINE__, "%s: %s", rows[i].spec, fix_str(r, "message"));
        mem_free(body);
    }
    mem_free(text);
    fix_close(&f);
}

TEST(a_machine_sees_its_own_requests)
{
    struct fix f = fix_new();
    char *mine = request("system:node:n2", "system:nodes"), *other = request("bob", "people");
    struct api_ask ask = { .method = "GET", .path = CSRS "/mine", .token = API_BOX_TOKEN };
    struct api_peer *p;
    struct err err = ERR_INIT;

    EXPECT_OK(api_peer_new(&p, f.box, NULL, NULL, &err), &err);
    ANSWERS(post(p, POST("mine", mine, KUBELET, .token = API_BOX_TOKEN, .password = "pw")), 201);
    ANSWERS(post(f.peer, POST("other", other, CLIENT, .more = NULL)), 201);
    ANSWERS(api_peer_ask(p, &ask), 200);
    ask.path = CSRS "/other";
    ANSWERS(api_peer_ask(p, &ask), 403);
    ask.path = CSRS;
    ANSWERS(api_peer_ask(p, &ask), 403);
    ask.path = CSRS "?fieldSelector=metadata.name%3Dmine";
    ANSWERS(api_peer_ask(p, &ask), 200);
    ask.path = CSRS "?fieldSelector=metadata.name%3Dother";
    ANSWERS(api_peer_ask(p, &ask), 403);
    ask.path = CSRS "?fieldSelector=metadata.name%3Dmine,metadata.name%3Dother";
    ANSWERS(api_peer_ask(p, &ask), 403);
    ask = (struct api_ask){ .method = "PATCH", .path = CSRS "/mine/approval", .body = "{}",
                            .type = "application/merge-patch+json", .token = API_BOX_TOKEN };
    ANSWERS(api_peer_ask(p, &ask), 403);
    api_peer_free(p);
    mem_free(mine);
    mem_free(other);
    fix_close(&f);
}

/* What is answered to this request by the server's token. */
static const char *claim(struct api_peer *p, const char *text, const char *password, int code)
{
    static unsigned n;
    char name[16];
    const struct api_reply *r;

    snprintf(name, sizeof(name), "c%u", n++);
    r = post(p, POST(name, text, KUBELET, .token = API_BOX_TOKEN, .password = password));
    ANSWERS(r, code);
    return fix_str(r, "message");
}

TEST(a_name_belongs_to_who_came_first)
{
    struct fix f = fix_new();
    char *a = request("system:node:n2", "system:nodes"), *b = request("system:node:n2",
                                                                      "system:nodes");
    char *server = request("system:node:n1", "system:nodes");
    char *bad = request("system:node:N 2", "system:nodes");
    struct api_peer *p;
    struct err err = ERR_INIT;

    EXPECT_OK(api_peer_new(&p, f.box, NULL, NULL, &err), &err);
    EXPECT(strstr(claim(p, a, NULL, 403), "without a password"));
    EXPECT(strstr(claim(p, bad, "pw", 403), "no name of a node"));
    EXPECT(strstr(claim(p, server, "pw", 403), "taken by the server itself"));
    claim(p, a, "pw", 201);
    EXPECT(strstr(claim(p, b, "other", 403), "taken: another machine joined under it"));
    EXPECT(strstr(claim(p, a, "pw", 403), "was made before"));
    claim(p, b, "pw", 201);
    EXPECT(strstr(claim(p, a, "pw", 403), "was made before"));
    ANSWERS(api_peer_get(f.peer, SECRET), 200);
    /* without the Secret the name is free again */
    ANSWERS(api_peer_delete(f.peer, SECRET, NULL), 200);
    claim(p, a, "other", 201);
    api_peer_free(p);
    mem_free(a);
    mem_free(b);
    mem_free(server);
    mem_free(bad);
    fix_close(&f);
}

TEST(a_node_that_did_not_join_keeps_its_name)
{
    struct fix f = fix_new();
    char *text = request("system:node:n2", "system:nodes");
    struct api_peer *p;
    struct err err = ERR_INIT;

    EXPECT_OK(api_peer_new(&p, f.box, NULL, NULL, &err), &err);
    ANSWERS(api_peer_post(f.peer, "/api/v1/nodes", "{\"metadata\":{\"name\":\"n2\"}}"), 201);
    EXPECT(strstr(claim(p, text, "pw", 403), "taken by a node that did not join"));
    api_peer_free(p);
    mem_free(text);
    fix_close(&f);
}

TEST(a_node_renews_its_own)
{
    struct fix f = fix_new();
    char *a = request("system:node:n2", "system:nodes"), *b = request("system:node:n3",
                                                                      "system:nodes");
    struct api_peer *node;
    const struct api_reply *r;
    struct err err = ERR_INIT;

    EXPECT_OK(api_peer_new(&node, f.box, "system:node:n2", "system:nodes", &err), &err);
    ANSWERS(post(node, POST("a", a, KUBELET, .token = NULL, .password = "pw")), 201);
    r = post(node, POST("b", b, KUBELET, .token = NULL, .password = "pw"));
    ANSWERS(r, 403);
    EXPECT(strstr(fix_str(r, "message"), "cannot ask for a certificate of node \"n3\""));
    r = post(node, POST("c", a, KUBELET, .token = NULL, .password = "pw"));
    ANSWERS(r, 403);
    EXPECT(strstr(fix_str(r, "message"), "was made before"));
    api_peer_free(node);
    mem_free(a);
    mem_free(b);
    fix_close(&f);
}
