/* test_api_proxy.c -- proxies of nodes, pods and services: where a request goes, and what of it. */
#include <sys/socket.h>

#include "core/base/fd.h"
#include "tests/unit/core/api/api_fix.h"

/* Whatever is dialled ends here. */
struct world {
    struct fix f;
    struct http_server *there;
    char dialled[128];                   /* "node host:port" of the last one */
    unsigned dials;
    bool refuse;
    char asked[4096];                    /* the last request there: line, headers, body */
};

static void on_request(struct http_req *r, void *ctx)
{
    struct world *w = ctx;
    struct http_field out[] = { { "warning", "299 - \"mine\"" }, { "keep-alive", "timeout=5" },
                                { "location", r->query } };
    struct buf b = BUF_INIT;
    const char *text = str_eq(r->path, "/json") ? "{\"a\":1}" : "hello";

    buf_fmt(&b, "%s %s?%s\n", r->method, r->path, r->query);
    for (unsigned i = 0; i < r->n_fields; i++)
        buf_fmt(&b, "%s: %s\n", r->fields[i].name, r->fields[i].value);
    buf_fmt(&b, "\n%.*s", (int)r->body.len, r->body.p);
    snprintf(w->asked, sizeof(w->asked), "%s", b.p);
    buf_deinit(&b);
    http_respond(r, &(struct http_answer){
        .status = str_eq(r->path, "/to") ? 302 : str_eq(r->path, "/teapot") ? 418 : 200,
        .type = "text/x-tea", .fields = out, .n_fields = str_eq(r->path, "/to") ? 3 : 2,
        .body = text, .len = strlen(text) });
}

static int dial(void *ctx, const char *node, const char *host, uint16_t port, struct err *err)
{
    struct world *w = ctx;
    int pair[2];

    w->dials++;
    snprintf(w->dialled, sizeof(w->dialled), "%s %s:%u", node, host, port);
    if (w->refuse)
        return err_set(err, ERR_QUOTA, "no room");
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    EXPECT_OK(http_server_adopt(w->there, pair[0], NULL, err), err);
    return pair[1];
}

static void put_pod(struct world *w, const char *name, const char *node, const char *ip,
                    const char *ports)
{
    char body[512], path[128];

    snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"nodeName\":\"%s\","
             "\"automountServiceAccountToken\":false,\"containers\":[{\"name\":\"c\","
             "\"image\":\"i:1\",\"ports\":[%s]}]}}", name, node, ports);
    ANSWERS(api_peer_post(w->f.peer, PODS, body), 201);
    snprintf(body, sizeof(body), "{\"status\":{\"podIP\":\"%s\",\"podIPs\":[{\"ip\":\"%s\"}]}}",
             ip, ip);
    snprintf(path, sizeof(path), PODS "/%s/status", name);
    ANSWERS(api_peer_patch(w->f.peer, path, "merge", body), 200);
}

static void world_init(struct world *w)
{
    struct http_server_opts o = { .on_request = on_request, .ctx = w };
    struct err err = ERR_INIT;

    *w = (struct world){ .f = fix_new() };
    EXPECT_OK(http_server_new(&w->there, w->f.box->loop, &o, &err), &err);
    w->f.box->dial = (struct api_dial){ dial, w };
    put_pod(w, "web", "n2", "10.42.1.5", "{\"containerPort\":8080}");
    ANSWERS(api_peer_post(w->f.peer, "/api/v1/nodes", "{\"metadata\":{\"name\":\"n2\"},"
                          "\"status\":{\"addresses\":[{\"type\":\"InternalIP\","
                          "\"address\":\"192.0.2.2\"}]}}"), 201);
}

static void world_deinit(struct world *w)
{
    w->f.peer = api_peer_free(w->f.peer);
    http_server_free(w->there);
    fix_close(&w->f);
}

#define WEB PODS "/web:8080/proxy"

TEST(a_pod_gets_the_request_as_it_was)
{
    _cleanup_(world_deinit) struct world w;
    const struct api_reply *r;

    world_init(&w);
    r = api_peer_ask(w.f.peer, &(struct api_ask){ .method = "PUT", .body = "tea", .type = "a/b",
                     .path = WEB "/x%2Fy//z/?q=%20&r", .accept = "text/x-tea" });
    ANSWERS(r, 200);
    EXPECT_STR(r->text, "hello");
    EXPECT_STR(r->type, "text/x-tea");
    EXPECT_STR(r->warning, "299 - \"mine\"");
    EXPECT_STR(w.dialled, "n2 10.42.1.5:8080");
    EXPECT(str_starts(w.asked, "PUT /x%2Fy//z/?q=%20&r\n"));
    EXPECT(strstr(w.asked, "\naccept: text/x-tea\n"));
    EXPECT(strstr(w.asked, "\ncontent-type: a/b\n"));
    EXPECT(strstr(w.asked, "\nhost: localhost:6443\n"));
    EXPECT(strstr(w.asked, "\nx-forwarded-proto: https\n"));
    EXPECT(strstr(w.asked, "\nx-forwarded-for: "));
    EXPECT(strstr(w.asked, "\n\ntea"));
    ANSWERS(api_peer_get(w.f.peer, WEB "/teapot"), 418);
    EXPECT_EQ(w.dials, 1);                           /* the connection is kept */
    r = api_peer_ask(w.f.peer, &(struct api_ask){ .method = "HEAD", .path = WEB "/json" });
    ANSWERS(r, 200);
    EXPECT_EQ(r->len, 0);
    EXPECT(str_starts(w.asked, "HEAD /json?\n"));
}

TEST(credentials_stay_here)
{
    _cleanup_(world_deinit) struct world w;
    const struct api_reply *r;
    char token[2048];

    world_init(&w);
    r = api_peer_post(w.f.peer, "/api/v1/namespaces/default/serviceaccounts/default/token",
                      "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenRequest\","
                      "\"spec\":{}}");
    ANSWERS(r, 201);
    snprintf(token, sizeof(token), "%s", fix_str(r, "status.token"));
    r = api_peer_ask(w.f.peer, &(struct api_ask){ .method = "GET", .path = WEB "/",
                                                  .token = token });
    EXPECT(r->code == 403 || (r->code == 200 && !strstr(w.asked, "authorization")));
}

TEST(ports_and_names)
{
    static const struct { const char *path, *dialled; } good[] = {
        { PODS "/web/proxy/", "n2 10.42.1.5:8080" },             /* the first that it names */
        { PODS "/http:web:81/proxy/", "n2 10.42.1.5:81" },
        { PODS "/bare/proxy/", "n3 10.42.2.6:80" },
        { "/api/v1/nodes/http:n2:9100/proxy/metrics", "n2 192.0.2.2:9100" },
    };
    static const struct { const char *path; int code; const char *why; } bad[] = {
        { PODS "/ftp:web:21/proxy/", 400, "invalid pod request \"ftp:web:21\"" },
        { PODS "/a:b:c:d/proxy/", 400, "invalid pod request \"a:b:c:d\"" },
        { PODS "/none/proxy/", 404, "pods \"none\" not found" },
        { PODS "/here/proxy/", 400, "address not allowed" },
        { PODS "/link/proxy/", 400, "address not allowed" },
        { PODS "/new/proxy/", 400, "address not allowed" },
        { "/api/v1/nodes/none/proxy/", 404, "nodes \"none\" not found" },
        { SVCS "/none/proxy/", 404, "services \"none\" not found" },
    };
    _cleanup_(world_deinit) struct world w;

    world_init(&w);
    put_pod(&w, "bare", "n3", "10.42.2.6", "");
    put_pod(&w, "here", "n2", "127.0.0.1", "");
    put_pod(&w, "link", "n2", "169.254.169.254", "");
    ANSWERS(api_peer_post(w.f.peer, PODS, POD_BODY("new", "")), 201);
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        ANSWERS(api_peer_get(w.f.peer, good[i].path), 200);
        EXPECT_STR(w.dialled, good[i].dialled);
    }
    w.dials = 0;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const struct api_reply *r = api_peer_get(w.f.peer, bad[i].path);

        ANSWERS(r, bad[i].code);
        EXPECT_STR(fix_str(r, "message"), bad[i].why);
    }
    EXPECT_EQ(w.dials, 0);
}

static void put_service(struct world *w)
{
    ANSWERS(api_peer_post(w->f.peer, SVCS, "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"ports\":["
                          "{\"name\":\"http\",\"port\":80},{\"name\":\"admin\",\"port\":81}]}}"),
            201);
}

static void put_slice(struct world *w, const char *endpoints)
{
    char body[1024];

    snprintf(body, sizeof(body), "{\"metadata\":{\"generateName\":\"s-\",\"labels\":"
             "{\"kubernetes.io/service-name\":\"s\"}},\"addressType\":\"IPv4\",\"ports\":["
             "{\"name\":\"http\",\"port\":8080}],\"endpoints\":[%s]}", endpoints);
    ANSWERS(api_peer_post(w->f.peer, "/apis/discovery.k8s.io/v1/namespaces/default/"
                          "endpointslices", body), 201);
}

#define ENDPOINT(ip, ready, pod) "{\"addresses\":[\"" ip "\"],\"conditions\":{\"ready\":" ready \
    "},\"targetRef\":{\"kind\":\"Pod\",\"name\":\"" pod "\",\"namespace\":\"default\"}}"

TEST(a_service_is_one_of_its_pods)
{
    _cleanup_(world_deinit) struct world w;
    const struct api_reply *r;
    bool web = false, other = false;

    world_init(&w);
    put_service(&w);
    r = api_peer_get(w.f.peer, SVCS "/s:http/proxy/");
    ANSWERS(r, 503);
    EXPECT_STR(fix_str(r, "message"), "no endpoints available for service \"s\"");
    /* Not ready, no pod, a pod with another address: nobody to connect to. */
    put_slice(&w, ENDPOINT("10.42.1.5", "false", "web") ","
                  "{\"addresses\":[\"10.42.1.5\"]}," ENDPOINT("10.42.9.9", "true", "web"));
    ANSWERS(api_peer_get(w.f.peer, SVCS "/s:http/proxy/"), 503);
    EXPECT_EQ(w.dials, 0);

    put_pod(&w, "other", "n3", "10.42.2.6", "");
    put_slice(&w, ENDPOINT("10.42.1.5", "true", "web") "," ENDPOINT("10.42.2.6", "true", "other"));
    for (int i = 0; i < 200 && !(web && other); i++) {
        ANSWERS(api_peer_get(w.f.peer, i % 2 ? SVCS "/s:80/proxy/" : SVCS "/http:s:http/proxy/"),
                200);
        web |= str_eq(w.dialled, "n2 10.42.1.5:8080");
        other |= str_eq(w.dialled, "n3 10.42.2.6:8080");
    }
    EXPECT(web && other);
    r = api_peer_get(w.f.peer, SVCS "/s:admin/proxy/");          /* no pod has it */
    ANSWERS(r, 503);
    r = api_peer_get(w.f.peer, SVCS "/s:9/proxy/");
    ANSWERS(r, 503);
    EXPECT_STR(fix_str(r, "message"), "no service port 9 found for service \"s\"");
}

TEST(places_are_told_as_seen_from_here)
{
    static const struct { const char *there, *here; } rows[] = {
        { "/login?x=1", WEB "/login?x=1" },
        { "http://10.42.1.5:8080/a/", WEB "/a/" },
        { "http://10.42.1.5:8080", WEB "/" },
        { "http://10.42.1.5:80801/a", "http://10.42.1.5:80801/a" },
        { "http://localhost:6443/b", WEB "/b" },
        { "https://elsewhere.example/a", "https://elsewhere.example/a" },
        { "//elsewhere.example/a", "//elsewhere.example/a" },
        { "next", "next" },
        { WEB "/kept", WEB "/kept" },
    };
    _cleanup_(world_deinit) struct world w;
    char path[256];

    world_init(&w);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct api_reply *r;

        snprintf(path, sizeof(path), WEB "/to?%s", rows[i].there);
        r = api_peer_get(w.f.peer, path);
        ANSWERS(r, 302);
        EXPECT_STR(r->location, rows[i].here);
    }
    w.dials = 0;
    ANSWERS(api_peer_get(w.f.peer, WEB "?a=b"), 301);
    EXPECT_STR(api_peer_get(w.f.peer, WEB "?a=b")->location, WEB "/?a=b");
    EXPECT_EQ(w.dials, 0);
    ANSWERS(api_peer_post(w.f.peer, WEB, "x"), 200);
    EXPECT(str_starts(w.asked, "POST /?\n"));
}

TEST(who_is_out_of_reach)
{
    _cleanup_(world_deinit) struct world w;
    const struct api_reply *r;

    world_init(&w);
    w.refuse = true;
    r = api_peer_get(w.f.peer, WEB "/");
    ANSWERS(r, 503);
    EXPECT_STR(fix_str(r, "message"), "error trying to reach service: no room");
}

/* Many pods come and go: what is kept for them has an end. */
TEST(clients_do_not_pile_up)
{
    _cleanup_(world_deinit) struct world w;
    char name[16], ip[20], path[128];

    world_init(&w);
    for (int i = 0; i < 80; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        snprintf(ip, sizeof(ip), "10.42.3.%d", i + 1);
        snprintf(path, sizeof(path), PODS "/%s/proxy/", name);
        put_pod(&w, name, "n2", ip, "");
        ANSWERS(api_peer_get(w.f.peer, path), 200);
    }
    for (int i = 0; i < 5; i++)
        loop_step(w.f.box->loop, 1);
    EXPECT(http_server_stats(w.there).conns <= 65);
    ANSWERS(api_peer_get(w.f.peer, PODS "/p79/proxy/"), 200);
    EXPECT_EQ(w.dials, 80);
    ANSWERS(api_peer_get(w.f.peer, PODS "/p0/proxy/"), 200);
    EXPECT_EQ(w.dials, 81);
}
