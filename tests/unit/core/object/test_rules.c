#include "core/object/codec.h"
#include "core/object/rules.h"
#include "tests/harness/test.h"

struct fixture { struct arena *a; struct rules_ctx ctx; const struct kind *kind; };

static struct fixture fixture_new(const char *group, const char *resource)
{
    struct fixture f = { .a = arena_new(0), .kind = kind_by_resource(group, "v1", resource) };

    EXPECT(f.kind != NULL);
    f.ctx = (struct rules_ctx){ .a = f.a, .env = env_real(), .ns = "ns", .subresource = "" };
    return f;
}

static struct json *canonical(const struct fixture *f, const char *text)
{
    struct json *raw = NULL, *out = NULL;
    struct err err = ERR_INIT;

    EXPECT_OK(json_parse(&raw, f->a, text, strlen(text), NULL, &err), &err);
    EXPECT_OK(codec_canonical(&out, f->a, f->kind->type, raw, NULL, &err), &err);
    codec_default(out, f->a, f->kind);
    return out;
}

static const char *text_of(const struct fixture *f, const struct json *v)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    json_write(&b, v);
    return arena_strdup(f->a, b.p);
}

/* "field: message|field: message" */
static const char *causes_of(const struct fixture *f, const struct causes *c)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    buf_str(&b, "");
    for (unsigned i = 0; i < c->len; i++)
        buf_fmt(&b, "%s%s: %.64s", i ? "|" : "", c->v[i].field, c->v[i].message);
    return arena_strdup(f->a, b.p);
}

static const char *create(struct fixture *f, const char *text)
{
    struct json *obj = canonical(f, text);
    struct causes c = { .a = f->a };

    rules_prepare_create(obj, f->kind, &f->ctx);
    rules_validate_create(&c, obj, f->kind, &f->ctx);
    return causes_of(f, &c);
}

TEST(metadata)
{
    struct fixture f = fixture_new("", "configmaps");

    EXPECT_STR(create(&f, "{\"metadata\":{\"name\":\"a.b\",\"namespace\":\"n\"}}"), "");
    EXPECT_STR(create(&f, "{\"metadata\":{\"namespace\":\"n\"}}"),
               "metadata.name: Required value: name or generateName is required");
    EXPECT_STR(create(&f, "{\"metadata\":{\"name\":\"a\"}}"), "metadata.namespace: Required value");
    EXPECT_STR(create(&f, "{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\",\"ownerReferences\":"
                          "[{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"\",\"uid\":\"u\"}]}}"),
               "metadata.ownerReferences.name: Invalid value: \"\": must not be empty");
    EXPECT_STR(create(&f,
                      "{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\",\"finalizers\":[\"x\"]}}"),
               "metadata.finalizers[0]: Invalid value: \"x\": name is neither a standard "
               "finalizer name no");
    arena_free(f.a);
}

TEST(secret)
{
    struct fixture f = fixture_new("", "secrets");
    struct json *obj = canonical(&f, "{\"metadata\":{\"name\":\"a\"},\"data\":{\"b\":\"eA==\"},"
                                     "\"stringData\":{\"a\":\"hi\",\"b\":\"y\"}}");

    rules_prepare_create(obj, f.kind, &f.ctx);
    EXPECT_STR(text_of(&f, json_get(obj, "data")), "{\"a\":\"aGk=\",\"b\":\"eQ==\"}");
    EXPECT(!json_get(obj, "stringData"));
    EXPECT_STR(create(&f, "{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\"},"
                          "\"type\":\"kubernetes.io/tls\"}"),
               "data[tls.crt]: Required value|data[tls.key]: Required value");
    arena_free(f.a);
}

TEST(update_keeps_system_metadata)
{
    struct fixture f = fixture_new("", "nodes");
    struct json *old = canonical(&f,
                                 "{\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"creationTimestamp\":"
                                     "\"2020-01-01T00:00:00Z\"},\"spec\":{\"podCIDR\":\"10.0.0.0/24\","
                                     "\"podCIDRs\":[\"10.0.0.0/24\"]},\"status\":{\"phase\":\"Running\"}}");
    struct json *obj = canonical(&f, "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"1\"},"
                                     "\"spec\":{\"podCIDR\":\"10.0.1.0/24\",\"podCIDRs\":[\"10.0.1.0/24\"]}}");
    struct causes c = { .a = f.a };

    rules_prepare_update(obj, old, f.kind, &f.ctx);
    EXPECT_STR(json_path_str(obj, "metadata.uid"), "u");
    EXPECT_STR(json_path_str(obj, "metadata.creationTimestamp"), "2020-01-01T00:00:00Z");
    EXPECT_STR(json_path_str(obj, "status.phase"), "Running");
    rules_validate_update(&c, obj, old, f.kind, &f.ctx);
    EXPECT_STR(causes_of(&f, &c),
               "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to");
    arena_free(f.a);
}

TEST(status_update_takes_only_status)
{
    struct fixture f = fixture_new("apps", "deployments");
    struct json *old = canonical(&f,
                                 "{\"metadata\":{\"name\":\"a\",\"generation\":3},\"spec\":{\"replicas\":2}}");
    struct json *obj = canonical(&f, "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"replicas\":5},"
                                     "\"status\":{\"replicas\":1}}");

    f.ctx.subresource = "status";
    rules_prepare_update(obj, old, f.kind, &f.ctx);
    EXPECT_EQ(json_get_int(json_get(obj, "spec"), "replicas", 0), 2);
    EXPECT_EQ(json_get_int(json_get(obj, "status"), "replicas", 0), 1);
    EXPECT_EQ(json_get_int(json_get(obj, "metadata"), "generation", 0), 3);
    f.ctx.subresource = "";
    obj = canonical(&f,
                    "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"replicas\":5},\"status\":{\"replicas\":1}}");
    rules_prepare_update(obj, old, f.kind, &f.ctx);
    EXPECT_EQ(json_get_int(json_get(obj, "metadata"), "generation", 0), 4);
    EXPECT_EQ(json_get_int(json_get(obj, "status"), "replicas", 0), 0);
    arena_free(f.a);
}
