#include "tests/unit/core/control/control_box.h"

#define HOLD "finalizers: [example.com/hold]"

static const char *put_map(struct box *b, const char *name)
{
    fake_client_put(b->f, arena_printf(b->a, "apiVersion: v1\nkind: ConfigMap\n"
                                             "metadata: {name: %s}\n", name));
    return arena_strdup(b->a, object_uid(fake_client_get(b->f, kind_config_map(), "default",
                                                         name)));
}

static char *ref(struct box *b, const char *name, const char *uid, bool block)
{
    return arena_printf(b->a, "{apiVersion: v1, kind: ConfigMap, name: %s, uid: %s, "
                              "blockOwnerDeletion: %s}", name, uid, block ? "true" : "false");
}

static void put_secret(struct box *b, const char *name, const char *refs, const char *more)
{
    fake_client_put(b->f, arena_printf(b->a, "apiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\n"
                                             "  ownerReferences: [%s]\n  %s\n", name, refs, more));
}

static bool there(struct box *b, const struct kind *kind, const char *name)
{
    return fake_client_get(b->f, kind, "default", name);
}

static bool delete_map(struct box *b, const char *name, const char *how)
{
    return fake_client_delete(b->f, kind_config_map(), "default", name, how) == 200;
}

TEST(background)
{
    struct box b;
    const char *uid;

    box_init(&b);
    uid = put_map(&b, "o");
    put_secret(&b, "d1", ref(&b, "o", uid, false), "");
    put_secret(&b, "d2", ref(&b, "o", uid, true), "");
    box_settle(&b);
    EXPECT(there(&b, kind_secret(), "d1"));
    EXPECT(delete_map(&b, "o", "Background"));
    EXPECT(!there(&b, kind_config_map(), "o"));
    box_settle(&b);
    EXPECT(!there(&b, kind_secret(), "d1"));
    EXPECT(!there(&b, kind_secret(), "d2"));
    box_deinit(&b);
}

TEST(absent_owner)
{
    struct box b;

    box_init(&b);
    put_secret(&b, "d", ref(&b, "never", "33333333-3333-3333-3333-333333333333", false), "");
    put_map(&b, "o");
    put_secret(&b, "other", ref(&b, "o", "33333333-3333-3333-3333-333333333333", false), "");
    box_settle(&b);
    EXPECT(!there(&b, kind_secret(), "d"));
    EXPECT(!there(&b, kind_secret(), "other"));          /* of a former object of this name */
    box_deinit(&b);
}

/* The watch of the owner's kind may be late: then it is asked for. */
TEST(owner_that_the_cache_has_not_seen)
{
    struct box b;
    const char *uid;

    box_init(&b);
    fake_client_run(b.f);
    fake_client_lag(b.f, 1000);
    uid = put_map(&b, "o");
    fake_client_lag(b.f, 0);
    put_secret(&b, "d", ref(&b, "o", uid, false), "");
    fake_client_pass(b.f, &b.env, 400, 20);
    EXPECT(there(&b, kind_secret(), "d"));
    fake_client_pass(b.f, &b.env, 4000, 20);
    EXPECT(there(&b, kind_secret(), "d"));
    box_deinit(&b);
}

TEST(foreground_waits_for_blocking_dependents)
{
    struct box b;
    const char *uid;

    box_init(&b);
    uid = put_map(&b, "o");
    put_secret(&b, "d", ref(&b, "o", uid, true), HOLD);
    box_settle(&b);
    EXPECT(delete_map(&b, "o", "Foreground"));
    box_settle(&b);
    EXPECT(there(&b, kind_config_map(), "o"));
    EXPECT(object_is_deleting(fake_client_get(b.f, kind_secret(), "default", "d")));
    fake_client_drop(b.f, kind_secret(), "default", "d");
    box_settle(&b);
    EXPECT(!there(&b, kind_config_map(), "o"));
    box_deinit(&b);
}

TEST(foreground_does_not_wait_for_others)
{
    struct box b;
    const char *uid;

    box_init(&b);
    uid = put_map(&b, "o");
    put_secret(&b, "d", ref(&b, "o", uid, false), HOLD);
    box_settle(&b);
    EXPECT(delete_map(&b, "o", "Foreground"));
    box_settle(&b);
    EXPECT(!there(&b, kind_config_map(), "o"));
    EXPECT(object_is_deleting(fake_client_get(b.f, kind_secret(), "default", "d")));
    box_deinit(&b);
}

TEST(orphans)
{
    struct box b;
    const char *uid;
    const struct object_owner *refs;

    box_init(&b);
    uid = put_map(&b, "o");
    put_secret(&b, "d", ref(&b, "o", uid, true), "");
    box_settle(&b);
    fake_client_fail(b.f, CLIENT_PATCH_STRATEGIC, kind_secret(), 1, 500);
    EXPECT(delete_map(&b, "o", "Orphan"));
    box_settle(&b);
    EXPECT(!there(&b, kind_config_map(), "o"));
    EXPECT(there(&b, kind_secret(), "d"));
    EXPECT_EQ(object_owners(fake_client_get(b.f, kind_secret(), "default", "d"), &refs), 0);
    box_deinit(&b);
}

/* With another owner left it stays, and forgets the one that went. */
TEST(two_owners)
{
    struct box b;
    const char *u1, *u2;
    const struct object_owner *refs;

    box_init(&b);
    u1 = put_map(&b, "o1");
    u2 = put_map(&b, "o2");
    put_secret(&b, "d", arena_printf(b.a, "%s, %s", ref(&b, "o1", u1, false), ref(&b, "o2", u2,
                                                                                  false)),
               "");
    box_settle(&b);
    EXPECT(delete_map(&b, "o1", NULL));
    box_settle(&b);
    EXPECT(there(&b, kind_secret(), "d"));
    EXPECT_EQ(object_owners(fake_client_get(b.f, kind_secret(), "default", "d"), &refs), 1);
    EXPECT_STR(refs[0].name, "o2");
    EXPECT(delete_map(&b, "o2", NULL));
    box_settle(&b);
    EXPECT(!there(&b, kind_secret(), "d"));
    box_deinit(&b);
}

TEST(unknown_kinds_of_owners_are_left_alone)
{
    struct box b;

    box_init(&b);
    put_secret(&b, "d", "{apiVersion: example.com/v1, kind: Thing, name: x, uid: u}", "");
    box_settle(&b);
    EXPECT(there(&b, kind_secret(), "d"));
    box_deinit(&b);
}

#define DEPLOYMENT \
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  replicas: 3\n" \
    "  selector: {matchLabels: {app: foo}}\n  template:\n    metadata: {labels: {app: foo}}\n" \
    "    spec: {containers: [{name: c, image: x}]}\n"

TEST(deployment_cascades)
{
    static const char *const ways[] = { "Background", "Foreground" };

    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct box b;

        box_init(&b);
        fake_client_put(b.f, DEPLOYMENT);
        box_settle(&b);
        EXPECT_EQ(box_pods(&b, "foo"), 3);
        fake_client_delete(b.f, kind_deployment(), "default", "d", ways[i]);
        box_settle(&b);
        EXPECT_EQ(fake_client_count(b.f, kind_deployment()), 0);
        EXPECT_EQ(fake_client_count(b.f, kind_replica_set()), 0);
        EXPECT_EQ(fake_client_count(b.f, kind_pod()), 0);
        box_deinit(&b);
    }
}

/* kubectl delete --cascade=orphan */
TEST(deployment_orphans)
{
    struct box b;

    box_init(&b);
    fake_client_put(b.f, DEPLOYMENT);
    box_settle(&b);
    fake_client_delete(b.f, kind_deployment(), "default", "d", "Orphan");
    box_settle(&b);
    EXPECT_EQ(fake_client_count(b.f, kind_deployment()), 0);
    EXPECT_EQ(fake_client_count(b.f, kind_replica_set()), 1);
    EXPECT_EQ(box_pods(&b, "foo"), 3);
    box_deinit(&b);
}

TEST(restart_in_the_middle)
{
    for (unsigned steps = 0; steps < 60; steps++) {
        struct box b;

        box_init(&b);
        fake_client_put(b.f, DEPLOYMENT);
        box_settle(&b);
        fake_client_delete(b.f, kind_deployment(), "default", "d", "Foreground");
        for (unsigned i = 0; i < steps; i++)
            loop_step(b.loop, 0);
        box_restart(&b);
        box_settle(&b);
        EXPECT_EQ(fake_client_count(b.f, kind_deployment()), 0);
        EXPECT_EQ(fake_client_count(b.f, kind_pod()), 0);
        box_deinit(&b);
    }
}
