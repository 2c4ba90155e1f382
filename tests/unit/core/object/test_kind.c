#include "core/object/kind.h"

#include "core/object/schema.h"
#include "tests/harness/test.h"

TEST(found)
{
    const struct kind *pod = kind_by_resource("", "v1", "pods");

    EXPECT(pod == kind_pod());
    EXPECT_EQ(pod->id, KIND_ID_POD);
    EXPECT(kind_by_gvk("apps", "v1", "Deployment") == kind_deployment());
    EXPECT(kind_by_api_version("apps/v1", "ReplicaSet") == kind_replica_set());
    EXPECT(kind_by_api_version("v1", "Pod") == pod);
    EXPECT(!kind_by_api_version("v1", "pod"));
    EXPECT(!kind_by_resource("", "v2", "pods"));
    EXPECT(!kind_by_id(kind_count()));
    EXPECT_STR(kind_api_version(kind_deployment()), "apps/v1");
    EXPECT_STR(kind_group_resource(kind_deployment()), "deployments.apps");
    EXPECT_STR(kind_group_resource(pod), "pods");
}

TEST(served)
{
    static const char *const names[] = {
        "pods", "nodes", "namespaces", "services", "configmaps", "secrets", "serviceaccounts",
            "events",
        "endpointslices", "leases", "deployments", "replicasets",
    };
    unsigned found = 0;

    for (unsigned i = 0; i < kind_count(); i++)
        for (unsigned j = 0; j < sizeof(names) / sizeof(names[0]); j++)
            if (kind_by_id(i)->served && !strcmp(kind_by_id(i)->resource, names[j]))
                found++;
    EXPECT_EQ(found, 13);
}

TEST(rows)
{
    for (unsigned i = 0; i < kind_count(); i++) {
        const struct kind *k = kind_by_id(i);

        EXPECT_EQ(k->id, i);
        EXPECT(k->type && k->storage && k->storage_prefix[0]);
        EXPECT(k->verbs);
        EXPECT(kind_by_gvk(k->group, k->version, k->kind) == k);
        EXPECT(k->storage->storage == k->storage);
        EXPECT_STR(k->storage->storage_prefix, k->storage_prefix);
    }
}

TEST(facts)
{
    const struct kind *k = kind_deployment();

    EXPECT_STR(k->short_names[0], "deploy");
    EXPECT_STR(k->categories[0], "all");
    EXPECT(k->namespaced && k->has_status && k->has_generation && !k->volatile_class &&
           !k->put_creates);
    EXPECT(!kind_node()->namespaced);
    EXPECT(kind_event()->volatile_class && kind_lease()->volatile_class);
    EXPECT(kind_lease()->put_creates && kind_pod()->returns_deleted && kind_job()->orphans);
    EXPECT_STR(kind_sub(k, "scale")->kind, "Scale");
    EXPECT_STR(kind_sub(k, "scale")->group, "autoscaling");
    EXPECT(!kind_sub(k, "nothing"));
    EXPECT(kind_sub(kind_pod(), "exec")->connect && kind_sub(kind_pod(), "log")->connect);
    EXPECT(!kind_sub(kind_pod(), "status")->connect);
    EXPECT(kind_events_event()->storage == kind_event());
    EXPECT_STR(kind_pod()->columns[1].name, "Ready");
    EXPECT(kind_pod()->type == schema_type_by_id("core.v1.Pod"));
}
