#include "core/object/schema.h"

#include "tests/harness/test.h"

static const struct schema_field *at(const char *type, const char *path)
{
    const struct schema_type *t = schema_type_by_id(type);

    EXPECT(t);
    return schema_field_path(t, path);
}

TEST(types)
{
    const struct schema_type *pod = schema_type_by_id("core.v1.Pod");

    EXPECT(pod);
    EXPECT_STR(schema_type_id(pod), "core.v1.Pod");
    EXPECT_STR(schema_type_name(pod), "Pod");
    EXPECT_STR(schema_type_go(pod), "v1.Pod");
    EXPECT_STR(schema_type_proto(pod), "k8s.io.api.core.v1.Pod");
    EXPECT_STR(schema_type_openapi(pod), "io.k8s.api.core.v1.Pod");
    EXPECT_STR(schema_type_gvk(pod, 0), "v1/Pod");
    EXPECT(!schema_type_gvk(pod, 1));
    EXPECT(schema_type_is_object(pod));
    EXPECT(!schema_type_is_list(pod));
    EXPECT(schema_type_is_list(schema_type_by_id("core.v1.PodList")));
    EXPECT(schema_type_is_atomic(schema_type_by_id("core.v1.ObjectReference")));
    EXPECT(schema_type_has_defaults(pod));
    EXPECT(!schema_type_has_defaults(schema_type_by_id("core.v1.ConfigMap")));
    EXPECT(!schema_type_by_id("core.v1.Nothing"));
    EXPECT(!schema_type_openapi(schema_type_by_id("core.v1.VolumeSource")));
}

TEST(every_type_is_found_by_its_id)
{
    EXPECT(schema_type_count() > 800);
    for (unsigned i = 0; i < schema_type_count(); i++)
        EXPECT(schema_type_by_id(schema_type_id(schema_type_at(i))) == schema_type_at(i));
}

TEST(every_field_is_found_by_its_name)
{
    for (unsigned i = 0; i < schema_type_count(); i++) {
        const struct schema_field *fields;
        unsigned n = schema_fields(schema_type_at(i), &fields);

        for (unsigned j = 0; j < n; j++) {
            const char *name = schema_field_name(&fields[j]);

            EXPECT(schema_field(schema_type_at(i), name, strlen(name)) == &fields[j]);
        }
    }
}

TEST(fields)
{
    const struct schema_field *f = at("core.v1.Pod", "spec.containers.ports");
    char go[80];

    EXPECT_STR(schema_field_name(f), "ports");
    EXPECT_EQ(f->shape, SCHEMA_LIST);
    EXPECT_EQ(f->base, SCHEMA_STRUCT);
    EXPECT_EQ(f->number, 6);
    EXPECT_EQ(f->list_type, SCHEMA_LIST_MAP);
    EXPECT(f->flags & SCHEMA_PATCH_MERGE);
    EXPECT_STR(schema_field_merge_key(f), "containerPort");
    EXPECT_STR(schema_field_key(f, 0), "containerPort");
    EXPECT_STR(schema_field_key(f, 1), "protocol");
    EXPECT(!schema_field_key(f, 2));
    schema_field_go(f, false, go, sizeof(go));
    EXPECT_STR(go, "[]v1.ContainerPort");

    f = at("core.v1.ServiceSpec", "ports.protocol");
    EXPECT_STR(schema_field_default(f), "TCP");
    EXPECT_STR(schema_field_value(f, 2), "SCTP");
    EXPECT(f->flags & SCHEMA_ENUM_CLOSED);
    f = at("core.v1.PodSpec", "dnsPolicy");
    EXPECT_STR(schema_field_set(f), "ClusterFirst");
    EXPECT(!schema_field_default(f));
    EXPECT(at("core.v1.PodSpec", "containers")->flags & SCHEMA_ALWAYS);
    EXPECT(at("core.v1.PodSpec", "volumes")->flags & SCHEMA_PATCH_RETAIN_KEYS);
    EXPECT(!at("core.v1.PodSpec", "containers.nothing"));
}

TEST(embedded)
{
    const struct schema_field *f = at("core.v1.Volume", "emptyDir");
    const struct schema_embed *e = schema_field_embed(f);

    EXPECT(e);
    EXPECT_EQ(e->number, 2);
    EXPECT_STR(schema_type_id(schema_embed_type(e)), "core.v1.VolumeSource");
    EXPECT(!schema_embed_parent(e));
    e = schema_field_embed(at("admissionregistration.v1.NamedRuleWithOperations", "apiGroups"));
    EXPECT_STR(schema_type_id(schema_embed_type(e)), "admissionregistration.v1.Rule");
    EXPECT_STR(schema_type_id(schema_embed_type(schema_embed_parent(e))),
               "admissionregistration.v1.RuleWithOperations");
    EXPECT(!schema_field_embed(at("core.v1.Volume", "name")));
}

TEST(groups)
{
    EXPECT_STR(schema_group_name(0), "");
    for (unsigned i = 0; i < schema_group_count(); i++)
        if (!strcmp(schema_group_name(i), "autoscaling")) {
            EXPECT_STR(schema_group_version(i, 0), "v2");
            EXPECT_STR(schema_group_version(i, 1), "v1");
            EXPECT(!schema_group_version(i, 2));
            EXPECT_STR(schema_group_preferred(i), "v2");
        }
}
