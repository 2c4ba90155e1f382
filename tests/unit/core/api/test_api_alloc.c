#include "tests/unit/core/api/api_fix.h"

static void service(struct fix *f, const char *name, const char *spec, int code)
{
    char body[512];

    snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"ports\":[{\"port\":80"
             "}]%s%s}}", name, *spec ? "," : "", spec);
    ANSWERS(api_peer_post(f->peer, SVCS, body), code);
}

static void address_of(struct fix *f, const char *name, char out[64])
{
    char path[128];

    snprintf(path, sizeof(path), SVCS "/%s", name);
    snprintf(out, 64, "%s", fix_str(api_peer_get(f->peer, path), "spec.clusterIP"));
}

TEST(addresses)
{
    struct fix f = fix_new();
    char a[64], b[64], spec[128];

    service(&f, "a", "", 201);
    service(&f, "b", "", 201);
    address_of(&f, "a", a);
    address_of(&f, "b", b);
    EXPECT(str_starts(a, "10.43.") && str_starts(b, "10.43."));
    EXPECT(strcmp(a, b) != 0);
    snprintf(spec, sizeof(spec), "\"clusterIP\":\"%s\"", a);
    service(&f, "c", spec, 422);                 /* taken */
    ANSWERS(api_peer_delete(f.peer, SVCS "/a", NULL), 200);
    service(&f, "c", spec, 201);                 /* free again */
    service(&f, "d", "\"clusterIP\":\"10.99.0.1\"", 422);
    service(&f, "e", "\"clusterIP\":\"10.43.0.0\"", 422);
    service(&f, "h", "\"clusterIP\":\"None\"", 201);
    service(&f, "x", "\"type\":\"ExternalName\",\"externalName\":\"x.example.com\"", 201);
    address_of(&f, "x", a);
    EXPECT_STR(a, "");
    fix_close(&f);
}

/* The address and the ports stay over updates, also by clients that leave them out. */
TEST(kept)
{
    struct fix f = fix_new();
    char before[64], after[64];
    const struct api_reply *r;
    int64_t port;

    service(&f, "a", "\"type\":\"NodePort\"", 201);
    address_of(&f, "a", before);
    r = api_peer_get(f.peer, SVCS "/a");
    port = json_get_int(json_at(json_path(r->json, "spec.ports"), 0), "nodePort", 0);
    EXPECT(port >= 30000 && port <= 32767);
    r = api_peer_put(f.peer, SVCS "/a", "{\"metadata\":{\"name\":\"a\"},\"spec\":{"
                     "\"type\":\"NodePort\",\"ports\":[{\"port\":80}]}}");
    ANSWERS(r, 200);
    EXPECT_EQ(json_get_int(json_at(json_path(r->json, "spec.ports"), 0), "nodePort", 0), port);
    address_of(&f, "a", after);
    EXPECT_STR(before, after);
    fix_close(&f);
}

TEST(node_ports)
{
    struct fix f = fix_new();

    ANSWERS(api_peer_post(f.peer, SVCS, "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"type\":"
            "\"NodePort\",\"ports\":[{\"port\":80,\"nodePort\":30080}]}}"), 201);
    ANSWERS(api_peer_post(f.peer, SVCS, "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"type\":"
            "\"NodePort\",\"ports\":[{\"port\":80,\"nodePort\":30080}]}}"), 422);
    ANSWERS(api_peer_post(f.peer, SVCS, "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"type\":"
            "\"NodePort\",\"ports\":[{\"port\":80,\"nodePort\":80}]}}"), 422);
    ANSWERS(api_peer_delete(f.peer, SVCS "/a", NULL), 200);
    ANSWERS(api_peer_post(f.peer, SVCS, "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"type\":"
            "\"NodePort\",\"ports\":[{\"port\":80,\"nodePort\":30080}]}}"), 201);
    fix_close(&f);
}
