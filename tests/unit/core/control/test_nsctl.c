#include "tests/unit/core/control/control_box.h"

static void begin(struct box *b, const char *finalizers)
{
    box_init(b);
    fake_client_put(b->f, arena_printf(b->a,
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: t, finalizers: [%s]}\n"
        "spec: {finalizers: [kubernetes]}\nstatus: {phase: Active}\n", finalizers));
    box_settle(b);
}

static void put(struct box *b, const char *kind, const char *name, const char *meta)
{
    fake_client_put(b->f, arena_printf(b->a, "apiVersion: v1\nkind: %s\n"
        "metadata: {name: %s, namespace: t%s}\n", kind, name, meta));
}

static const char *message(struct box *b, const char *type)
{
    struct json *it;

    json_each(it, json_path(box_tree(b, kind_namespace(), "t"), "status.conditions"))
        if (str_eq(json_get_str(it, "type"), type))
            return json_get_str(it, "message");
    return "";
}

TEST(empties_and_goes)
{
    struct box b;

    begin(&b, "");
    EXPECT(fake_client_get(b.f, kind_service_account(), "t", "default"));
    put(&b, "Secret", "s", "");
    put(&b, "ConfigMap", "c", "");
    fake_client_put(b.f, "apiVersion: v1\nkind: Event\nmetadata: {name: e, namespace: t}\n"
                         "involvedObject: {namespace: t}\n");
    EXPECT_EQ(fake_client_delete(b.f, kind_namespace(), "", "t", NULL), 200);
    box_settle(&b);
    EXPECT(!fake_client_get(b.f, kind_namespace(), "", "t"));
    EXPECT_EQ(fake_client_count(b.f, kind_secret()), 0);
    EXPECT_EQ(fake_client_count(b.f, kind_config_map()), 0);
    EXPECT_EQ(fake_client_count(b.f, kind_service_account()), 0);
    EXPECT(!fake_client_get(b.f, kind_event(), "t", "e"));
    box_deinit(&b);
}

TEST(waits_for_finalizers_and_says_so)
{
    struct box b;
    size_t writes;

    begin(&b, "");
    put(&b, "Secret", "a", ", finalizers: [example.com/hold]");
    EXPECT_EQ(fake_client_delete(b.f, kind_namespace(), "", "t", NULL), 200);
    box_settle(&b);
    EXPECT_STR(box_condition(&b, kind_namespace(), "t", "NamespaceFinalizersRemaining"),
               "True SomeFinalizersRemain");
    EXPECT_STR(message(&b, "NamespaceFinalizersRemaining"), "Some content in the namespace has "
               "finalizers remaining: example.com/hold in 1 resource instances");
    EXPECT_STR(message(&b, "NamespaceContentRemaining"),
               "Some resources are remaining: secrets. has 1 resource instances");
    EXPECT_STR(box_condition(&b, kind_namespace(), "t", "NamespaceDeletionContentFailure"),
               "False ContentDeleted");
    EXPECT_STR(box_condition(&b, kind_namespace(), "t", "NamespaceDeletionDiscoveryFailure"),
               "False ResourcesDiscovered");
    writes = fake_client_writes(b.f);
    fake_client_pass(b.f, &b.env, 3000000, 10000);
    EXPECT_EQ(fake_client_writes(b.f), writes);
    fake_client_drop(b.f, kind_secret(), "t", "a");
    box_settle(&b);
    EXPECT(!fake_client_get(b.f, kind_namespace(), "", "t"));
    box_deinit(&b);
}

TEST(its_own_finalizer_keeps_it)
{
    struct box b;

    begin(&b, "example.com/hold");
    EXPECT_EQ(fake_client_delete(b.f, kind_namespace(), "", "t", NULL), 200);
    box_settle(&b);
    EXPECT(fake_client_get(b.f, kind_namespace(), "", "t"));
    EXPECT(!json_path(box_tree(&b, kind_namespace(), "t"), "spec.finalizers"));
    EXPECT_STR(box_str(&b, kind_namespace(), "t", "status.phase"), "Terminating");
    box_deinit(&b);
}

/* What pods use stays until they are away. */
TEST(pods_first)
{
    struct box b;

    begin(&b, "");
    put(&b, "ConfigMap", "c", "");
    fake_client_put(b.f, "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: t}\n"
                         "spec: {nodeName: n1, containers: [{name: c, image: x}]}\n");
    EXPECT_EQ(fake_client_delete(b.f, kind_namespace(), "", "t", NULL), 200);
    fake_client_pass(b.f, &b.env, 1000, 10);
    EXPECT(object_is_deleting(fake_client_get(b.f, kind_pod(), "t", "p")));
    EXPECT(fake_client_get(b.f, kind_config_map(), "t", "c"));
    EXPECT_STR(message(&b, "NamespaceContentRemaining"),
               "Some resources are remaining: pods. has 1 resource instances");
    fake_client_drop(b.f, kind_pod(), "t", "p");
    fake_client_pass(b.f, &b.env, 1000, 10);
    EXPECT(!fake_client_get(b.f, kind_namespace(), "", "t"));
    box_deinit(&b);
}

TEST(failed_deletes_are_told_and_tried_again)
{
    struct box b;

    begin(&b, "");
    put(&b, "Secret", "a", "");
    fake_client_fail(b.f, CLIENT_DELETE, kind_secret(), 1000, 500);
    EXPECT_EQ(fake_client_delete(b.f, kind_namespace(), "", "t", NULL), 200);
    box_settle(&b);
    EXPECT_STR(box_condition(&b, kind_namespace(), "t", "NamespaceDeletionContentFailure"),
               "True ContentDeletionFailed");
    fake_client_heal(b.f);
    fake_client_pass(b.f, &b.env, 31000, 100);
    EXPECT(!fake_client_get(b.f, kind_namespace(), "", "t"));
    box_deinit(&b);
}
