#include "plugins/admit/admit.h"

#include "core/base/str.h"
#include "tests/harness/test.h"

struct world {
    struct arena *a;
    const char *there[8];                    /* "kind/ns/name" */
    /* what a found object is; NULL: nothing but its name */
    const char *text;
    struct admit_lookup lookup;
};

static struct object *get(void *ctx, const struct kind *kind, const char *ns, const char *name)
{
    struct world *w = ctx;
    char key[256];

    snprintf(key, sizeof(key), "%s/%s/%s", kind->kind, ns, name);
    for (size_t i = 0; i < ARRAY_LEN(w->there) && w->there[i]; i++) {
        struct object *o;
        _cleanup_buf_ struct buf b = BUF_INIT;

        if (!str_eq(w->there[i], key))
            continue;
        buf_fmt(&b, "{\"kind\":\"%s\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\","
                "\"resourceVersion\":\"\"%s}}",
                kind->kind, name, w->text ? w->text : "");
        EXPECT(object_new(&o, kind, b.p, b.len, 1, NULL) == 0);
        return o;
    }
    return NULL;
}

static struct admit_request request(struct world *w, const struct kind *kind, const char *text)
{
    static const struct admit_settings settings = { 300, 7 };
    struct admit_request r = { .a = w->a, .env = env_real(), .lookup = &w->lookup,
                               .settings = &settings, .verb = ADMIT_CREATE, .kind = kind,
                               .subresource = "", .ns = "ns",
                               .name = "x", .user = "u" };

    w->lookup = (struct admit_lookup){ .get = get, .ctx = w };
    EXPECT(json_parse(&r.object, w->a, text, strlen(text), NULL, NULL) == 0);
    return r;
}

static const char pod[] =
    "{\"metadata\":{\"name\":\"x\",\"namespace\":\"ns\"},\"spec\":{\"containers\":["
                          "{\"name\":\"c\",\"image\":\"i\"}]}}";

TEST(namespace_must_be_there)
{
    struct world w = { .a = arena_new(0) };
    struct admit_request r = request(&w, kind_config_map(), "{\"metadata\":{\"name\":\"x\"}}");
    struct status *s = admit_mutate(&r);

    EXPECT(s && s->code == 404);
    w.there[0] = "Namespace//ns";
    EXPECT(!admit_mutate(&r));
    w.text = ",\"deletionTimestamp\":\"2020-01-01T00:00:00Z\"";
    s = admit_mutate(&r);
    EXPECT(s && s->code == 403);
    EXPECT(strstr(s->message, "because it is being terminated"));
    arena_free(w.a);
}

TEST(immortal_namespaces)
{
    struct world w = { .a = arena_new(0) };
    struct admit_request r = request(&w, kind_namespace(), "{}");
    static const char *const kept[] = { "default", "kube-system", "kube-public" };

    r.verb = ADMIT_DELETE;
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        struct status *s;

        r.name = kept[i];
        s = admit_validate(&r);
        EXPECT(s && s->code == 403);
    }
    r.name = "mine";
    EXPECT(!admit_validate(&r));
    arena_free(w.a);
}

/* What a plain pod becomes. */
TEST(pod)
{
    struct world w = { .a = arena_new(0), .there = { "Namespace//ns",
                                                     "ServiceAccount/ns/default" } };
    struct admit_request r = request(&w, kind_pod(), pod);
    struct json *spec, *c;

    EXPECT(!admit_mutate(&r));
    spec = json_get(r.object, "spec");
    EXPECT_STR(json_get_str(spec, "serviceAccountName"), "default");
    EXPECT_EQ(json_get_int(spec, "priority", -1), 0);
    EXPECT_STR(json_get_str(spec, "preemptionPolicy"), "PreemptLowerPriority");
    EXPECT_EQ(json_len(json_get(spec, "tolerations")), 2);
    EXPECT_EQ(json_get_int(json_at(json_get(spec, "tolerations"), 0), "tolerationSeconds", -1),
              300);
    EXPECT_EQ(json_get_int(json_at(json_get(spec, "tolerations"), 1), "tolerationSeconds", -1),
              7);
    EXPECT_EQ(json_len(json_get(spec, "volumes")), 1);
    c = json_at(json_get(spec, "containers"), 0);
    EXPECT_STR(json_get_str(json_at(json_get(c, "volumeMounts"), 0), "mountPath"),
               "/var/run/secrets/kubernetes.io/serviceaccount");
    arena_free(w.a);
}

TEST(pod_without_account)
{
    struct world w = { .a = arena_new(0), .there = { "Namespace//ns" } };
    struct admit_request r = request(&w, kind_pod(), pod);
    struct status *s = admit_mutate(&r);

    EXPECT(s && s->code == 403);
    EXPECT(strstr(s->message, "service account ns/default"));
    arena_free(w.a);
}

TEST(token_not_wanted)
{
    struct world w = { .a = arena_new(0), .there = { "Namespace//ns",
                                                     "ServiceAccount/ns/default" } };
    struct admit_request r = request(&w, kind_pod(), pod);

    json_set_bool(w.a, json_get(r.object, "spec"), "automountServiceAccountToken", false);
    EXPECT(!admit_mutate(&r));
    EXPECT(!json_get(json_get(r.object, "spec"), "volumes"));
    arena_free(w.a);
}

TEST(priority)
{
    struct world w = { .a = arena_new(0), .there = { "Namespace//ns",
                                                     "ServiceAccount/ns/default" } };
    struct admit_request r = request(&w, kind_pod(), pod);
    struct json *spec = json_get(r.object, "spec");
    struct status *s;

    json_set_str(w.a, spec, "priorityClassName", "system-node-critical");
    EXPECT(!admit_mutate(&r));
    EXPECT_EQ(json_get_int(spec, "priority", 0), 2000001000);
    json_set_str(w.a, spec, "priorityClassName", "nosuch");
    s = admit_mutate(&r);
    EXPECT(s && s->code == 403);
    json_set_str(w.a, spec, "priorityClassName", "");
    json_set_int(w.a, spec, "priority", 7);
    s = admit_mutate(&r);
    EXPECT(s && s->code == 403);
    arena_free(w.a);
}

/* What is there is not added again. */
TEST(tolerations_once)
{
    struct world w = { .a = arena_new(0), .there = { "Namespace//ns",
                                                     "ServiceAccount/ns/default" } };
    struct admit_request r = request(&w, kind_pod(), pod);
    struct json *spec = json_get(r.object, "spec"), *all = json_object(w.a);

    json_set_str(w.a, all, "operator", "Exists");
    json_append(w.a, json_ensure_array(w.a, spec, "tolerations"), all);
    EXPECT(!admit_mutate(&r));
    EXPECT_EQ(json_len(json_get(spec, "tolerations")), 1);
    arena_free(w.a);
}

TEST(new_node_is_tainted)
{
    struct world w = { .a = arena_new(0) };
    struct admit_request r = request(&w, kind_node(), "{\"metadata\":{\"name\":\"n\"}}");
    struct json *taints;

    EXPECT(!admit_mutate(&r));
    EXPECT(!admit_mutate(&r));
    taints = json_path(r.object, "spec.taints");
    EXPECT_EQ(json_len(taints), 1);
    EXPECT_STR(json_get_str(json_at(taints, 0), "key"), "node.kubernetes.io/not-ready");
    arena_free(w.a);
}

/* Subresources are not admitted like the object. */
TEST(subresources)
{
    struct world w = { .a = arena_new(0) };
    struct admit_request r = request(&w, kind_pod(), pod);

    r.subresource = "status";
    EXPECT(!admit_mutate(&r));
    EXPECT(!json_get(json_get(r.object, "spec"), "tolerations"));
    arena_free(w.a);
}
