#include "tests/unit/core/api/api_fix.h"

static bool resolves(const struct json *schemas, const struct json *v, const char **missing)
{
    struct json *it;
    const char *ref = json_get_str(v, "$ref");

    if (ref && !json_get(schemas, strrchr(ref, '/') + 1)) {
        *missing = ref;
        return false;
    }
    json_each_member(m, v)
        if (!resolves(schemas, m->val, missing))
            return false;
    json_each(it, v)
        if (!resolves(schemas, it, missing))
            return false;
    return true;
}

/* Every document of the index is there, under the hash it was announced with, and whole in
 * itself. */
TEST(v3)
{
    struct fix f = fix_new();
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    const struct api_reply *r = api_peer_get(f.peer, "/openapi/v3");
    struct json *paths;
    const char *missing = NULL;
    unsigned n = 0;

    ANSWERS(r, 200);
    paths = json_clone(a, json_get(r->json, "paths"));
    EXPECT(json_get(paths, "api/v1") && json_get(paths, "apis/apps/v1"));
    json_each_member(m, paths) {
        const char *url = json_get_str(m->val, "serverRelativeURL");

        r = api_peer_get(f.peer, url);
        ANSWERS(r, 200);
        EXPECT(strstr(r->etag, strstr(url, "hash=") + 5));
        if (!resolves(json_path(r->json, "components.schemas"), r->json, &missing))
            test_fail(__FILE__, __LINE__, "%s: %s is not defined", url, missing);
        n++;
    }
    EXPECT(n > 8);
    ANSWERS(api_peer_get(f.peer, "/openapi/v3/apis/nosuch/v1"), 404);
    ANSWERS(api_peer_get(f.peer, "/openapi/v3/apis/apps/v9"), 404);
    fix_close(&f);
}

/* kubectl reads from the PATCH operation whether the server checks fields, and explains by the
 * kind's schema. */
TEST(what_kubectl_reads)
{
    struct fix f = fix_new();
    const struct api_reply *r = api_peer_get(f.peer, "/openapi/v3/apis/apps/v1");
    const struct json *op, *pod, *v;
    struct json *it;
    bool found = false;

    op = json_get(json_get(json_get(r->json, "paths"),
                           "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"), "patch");
    EXPECT_STR(json_path_str(op, "x-kubernetes-group-version-kind.kind"), "Deployment");
    json_each(it, json_get(op, "parameters"))
        found = found || str_eq(json_get_str(it, "name"), "fieldValidation");
    EXPECT(found);
    v = json_get(json_path(r->json, "components.schemas"), "io.k8s.api.apps.v1.DeploymentSpec");
    EXPECT_EQ(json_len(json_get(v, "required")), 2);
    pod = json_get(json_path(r->json, "components.schemas"), "io.k8s.api.core.v1.PodSpec");
    EXPECT_STR(json_path_str(pod, "properties.containers.x-kubernetes-patch-merge-key"), "name");
    EXPECT_STR(json_path_str(pod, "properties.containers.x-kubernetes-list-type"), "map");
    fix_close(&f);
}

TEST(v2)
{
    struct fix f = fix_new();
    const struct api_reply *r = api_peer_get(f.peer, "/openapi/v2");
    const char *missing = NULL;

    ANSWERS(r, 200);
    EXPECT_STR(fix_str(r, "swagger"), "2.0");
    EXPECT(resolves(json_get(r->json, "definitions"), r->json, &missing));
    ANSWERS(api_peer_ask(f.peer, &(struct api_ask){ .method = "GET", .path = "/openapi/v2",
            .accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf" }), 406);
    ANSWERS(api_peer_get(f.peer, "/openapi/v1"), 404);
    fix_close(&f);
}
