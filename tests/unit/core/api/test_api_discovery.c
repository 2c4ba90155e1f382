#include "tests/unit/core/api/api_fix.h"

/* Both forms name the same resources. */
TEST(two_forms)
{
    static const char v2[] = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    struct fix f = fix_new();
    const struct api_reply *r = api_peer_get(f.peer, "/api/v1");
    const struct json *version;
    struct json *it;
    unsigned plain = 0, all = 0;

    ANSWERS(r, 200);
    json_each(it, json_get(r->json, "resources"))
        plain += !strchr(json_get_str(it, "name"), '/');
    r = api_peer_ask(f.peer, &(struct api_ask){ .method = "GET", .path = "/api", .accept = v2 });
    ANSWERS(r, 200);
    EXPECT_STR(r->type, v2);
    version = json_at(json_get(json_at(json_get(r->json, "items"), 0), "versions"), 0);
    json_each(it, json_get(version, "resources"))
        all++;
    EXPECT(plain >= 8);
    EXPECT_EQ(plain, all);
    fix_close(&f);
}

TEST(groups)
{
    struct fix f = fix_new();
    const struct api_reply *r = api_peer_get(f.peer, "/apis");

    ANSWERS(r, 200);
    EXPECT_STR(json_get_str(json_at(json_get(r->json, "groups"), 0), "name"), "apps");
    r = api_peer_get(f.peer, "/apis/apps");
    EXPECT_STR(fix_str(r, "preferredVersion.groupVersion"), "apps/v1");
    ANSWERS(api_peer_get(f.peer, "/apis/apps/v9"), 404);
    r = api_peer_get(f.peer, "/apis/nosuch.example.com/v1/things");
    ANSWERS(r, 404);
    EXPECT_STR(r->text, "404 page not found\n");
    ANSWERS(api_peer_post(f.peer, "/api/v1", "{}"), 405);
    fix_close(&f);
}

TEST(health_and_version)
{
    struct fix f = fix_new();
    const struct api_reply *r;

    EXPECT_STR(api_peer_get(f.peer, "/livez")->text, "ok");
    EXPECT_STR(api_peer_get(f.peer, "/readyz/etcd")->text, "ok");
    EXPECT(strstr(api_peer_get(f.peer, "/readyz?verbose")->text, "[+]etcd ok\n"));
    ANSWERS(api_peer_get(f.peer, "/livez/nosuch"), 404);
    EXPECT_STR(fix_str(api_peer_get(f.peer, "/version"), "major"), "1");
    r = api_peer_ask(f.peer, &(struct api_ask){ .method = "GET", .path = "/openid/v1/jwks",
                                                .accept = "application/jwk-set+json" });
    ANSWERS(r, 200);
    EXPECT(strstr(r->text, "\"alg\":\"ES256\""));
    r = api_peer_get(f.peer, "/.well-known/openid-configuration");
    EXPECT_STR(fix_str(r, "issuer"), "https://kubernetes.default.svc.cluster.local");
    fix_close(&f);
}
