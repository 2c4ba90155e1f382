/* test_api_health.c: checks that pass and fail, in upstream's words. */
#include "tests/unit/core/api/api_fix.h"

#include "core/api/api_call.h"

static int fails(void *ctx, struct err *err)
{
    return *(bool *)ctx ? err_set(err, ERR_FAILED, "secret") : 0;
}

TEST(pages)
{
    struct fix f = fix_new();

    EXPECT_STR(api_peer_get(f.peer, "/livez")->text, "ok");
    EXPECT_STR(api_peer_get(f.peer, "/healthz")->text, "ok");
    EXPECT_STR(api_peer_get(f.peer, "/livez?verbose")->text,
               "[+]ping ok\n[+]log ok\n[+]etcd ok\n"
               "[+]poststarthook/start-apiserver-admission-initializer ok\nlivez check passed\n");
    EXPECT_STR(api_peer_get(f.peer, "/readyz?verbose")->text,
               "[+]ping ok\n[+]log ok\n[+]etcd ok\n[+]etcd-readiness ok\n[+]informer-sync ok\n"
               "[+]poststarthook/start-apiserver-admission-initializer ok\n[+]shutdown ok\n"
               "readyz check passed\n");
    EXPECT_STR(api_peer_get(f.peer, "/livez/poststarthook/start-apiserver-admission-initializer")
               ->text, "ok");
    EXPECT_STR(api_peer_get(f.peer, "/readyz/shutdown")->text, "ok");
    ANSWERS(api_peer_get(f.peer, "/livez/shutdown"), 404);
    ANSWERS(api_peer_get(f.peer, "/livez/nosuch"), 404);
    fix_close(&f);
}

TEST(failures_tell_no_reason)
{
    struct fix f = fix_new();
    const struct api_check mine[] = { { "mine", fails } };
    bool bad = true;
    const struct api_reply *r;

    f.box->api->more.checks = mine;
    f.box->api->more.n_checks = 1;
    f.box->api->more.ctx = &bad;
    r = api_peer_get(f.peer, "/livez");
    ANSWERS(r, 500);
    EXPECT(strstr(r->text, "[+]ping ok\n"));
    EXPECT(strstr(r->text, "[-]mine failed: reason withheld\nlivez check failed\n"));
    EXPECT(!strstr(r->text, "secret"));
    r = api_peer_get(f.peer, "/livez/mine");
    ANSWERS(r, 500);
    EXPECT_STR(r->text, "internal server error: secret\n");
    r = api_peer_get(f.peer, "/livez?exclude=mine&verbose");
    ANSWERS(r, 200);
    EXPECT(strstr(r->text, "[+]mine excluded: ok\nlivez check passed\n"));
    r = api_peer_get(f.peer, "/livez?verbose&exclude=mine,b&exclude=c");
    ANSWERS(r, 200);
    EXPECT(strstr(r->text, "warn: some health checks cannot be excluded: no matches for "));
    EXPECT(strstr(r->text, "\"b\"") && strstr(r->text, "\"c\""));
    r = api_peer_get(f.peer, "/metrics/slis");
    EXPECT(strstr(r->text, "kubernetes_healthcheck{name=\"mine\",type=\"livez\"} 0\n"));
    EXPECT(strstr(r->text, "kubernetes_healthcheck{name=\"etcd\",type=\"readyz\"} 1\n"));
    bad = false;
    EXPECT_STR(api_peer_get(f.peer, "/readyz/mine")->text, "ok");
    f.box->api->more.n_checks = 0;
    fix_close(&f);
}

TEST(before_and_after)
{
    struct fix f = fix_new();
    const struct api_reply *r;

    f.box->api->ready = false;
    ANSWERS(api_peer_get(f.peer, "/livez"), 200);
    r = api_peer_get(f.peer, "/readyz");
    ANSWERS(r, 500);
    EXPECT(strstr(r->text, "[-]informer-sync failed: reason withheld\n"));
    api_ready(f.box->api);
    ANSWERS(api_peer_get(f.peer, "/readyz"), 200);
    api_stopping(f.box->api);
    r = api_peer_get(f.peer, "/readyz");
    ANSWERS(r, 500);
    EXPECT(strstr(r->text, "[-]shutdown failed: reason withheld\nreadyz check failed\n"));
    ANSWERS(api_peer_get(f.peer, "/livez"), 200);
    fix_close(&f);
}
