#include "tests/unit/core/control/control_box.h"

#define DEPLOYMENT \
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, annotations: {team: x}}\nspec:\n" \
    "  replicas: %d\n" \
    "  selector: {matchLabels: {app: foo}}\n  template:\n    metadata: {labels: {app: foo}}\n" \
    "    spec: {containers: [{name: c, image: 'app:1'}]}\n"

static void put_deployment(struct box *b, int replicas)
{
    fake_client_put(b->f, arena_printf(b->a, DEPLOYMENT, replicas));
}

static void edit(struct box *b, const char *yaml)
{
    fake_client_edit(b->f, kind_deployment(), "default", "d", yaml);
}

static void set_image(struct box *b, const char *image)
{
    edit(b, arena_printf(b->a, "spec: {template: {spec: {containers: [{name: c, image: '%s'}]}}}",
                         image));
}

static struct object *set_of(struct box *b, const char *image)
{
    struct object *rs;

    for (size_t at = 0; (rs = fake_client_next(b->f, kind_replica_set(), &at));) {
        struct json *c = json_at(json_path(object_tree(rs, b->a), "spec.template.spec.containers"),
                                 0);

        if (str_eq(json_get_str(c, "image"), image))
            return rs;
    }
    return NULL;
}

static int64_t size_of(struct box *b, const char *image)
{
    struct object *rs = set_of(b, image);

    return rs ? json_get_int(json_get(object_tree(rs, b->a), "spec"), "replicas", -1) : -1;
}

static const char *condition(struct box *b, const char *type)
{
    return box_condition(b, kind_deployment(), "d", type);
}

static const char *message(struct box *b, const char *type)
{
    struct json *it;

    json_each(it, json_path(box_tree(b, kind_deployment(), "d"), "status.conditions"))
        if (str_eq(json_get_str(it, "type"), type))
            return json_get_str(it, "message");
    return "";
}

static int64_t status(struct box *b, const char *key)
{
    return box_int(b, kind_deployment(), "d", arena_printf(b->a, "status.%s", key));
}

TEST(comes_up)
{
    struct box b;
    struct object *rs;
    const char *hash;

    box_init(&b);
    put_deployment(&b, 10);
    box_settle(&b);
    EXPECT_EQ(box_pods(&b, "foo"), 10);
    EXPECT_EQ(fake_client_count(b.f, kind_replica_set()), 1);
    rs = set_of(&b, "app:1");
    hash = object_label(rs, "pod-template-hash");
    EXPECT(hash);
    EXPECT_STR(object_name(rs), arena_printf(b.a, "d-%s", hash));
    EXPECT_STR(object_annotation(rs, "deployment.kubernetes.io/revision"), "1");
    EXPECT_STR(object_annotation(rs, "deployment.kubernetes.io/desired-replicas"), "10");
    EXPECT_STR(object_annotation(rs, "deployment.kubernetes.io/max-replicas"), "13");
    EXPECT_STR(object_annotation(rs, "team"), "x");
    EXPECT_EQ(status(&b, "replicas"), 10);
    EXPECT_EQ(status(&b, "updatedReplicas"), 10);
    EXPECT_EQ(status(&b, "availableReplicas"), 10);
    EXPECT_EQ(status(&b, "unavailableReplicas"), 0);
    EXPECT_EQ(status(&b, "observedGeneration"), 1);
    EXPECT_STR(condition(&b, "Available"), "True MinimumReplicasAvailable");
    EXPECT_STR(message(&b, "Available"), "Deployment has minimum availability.");
    EXPECT_STR(condition(&b, "Progressing"), "True NewReplicaSetAvailable");
    EXPECT_STR(message(&b, "Progressing"),
               arena_printf(b.a, "ReplicaSet \"d-%s\" has successfully progressed.", hash));
    EXPECT_STR(box_str(&b, kind_deployment(), "d", "metadata.name"), "d");
    EXPECT_STR(object_annotation(fake_client_get(b.f, kind_deployment(), "default", "d"),
                                 "deployment.kubernetes.io/revision"), "1");
    EXPECT(strstr(box_events(&b, "d"), arena_printf(b.a,
        "ScalingReplicaSet: Scaled up replica set d-%s from 0 to 10\n", hash)));
    box_deinit(&b);
}

TEST(scales)
{
    struct box b;

    box_init(&b);
    put_deployment(&b, 10);
    box_settle(&b);
    edit(&b, "spec: {replicas: 3}");
    box_settle(&b);
    EXPECT_EQ(box_pods(&b, "foo"), 3);
    EXPECT(strstr(box_events(&b, "d"), "from 10 to 3\n"));
    edit(&b, "spec: {replicas: 20}");
    box_settle(&b);
    EXPECT_EQ(box_pods(&b, "foo"), 20);
    EXPECT_EQ(fake_client_count(b.f, kind_replica_set()), 1);
    EXPECT_STR(object_annotation(set_of(&b, "app:1"), "deployment.kubernetes.io/desired-replicas"),
               "20");
    EXPECT_EQ(status(&b, "availableReplicas"), 20);
    EXPECT_STR(condition(&b, "Progressing"), "True NewReplicaSetAvailable");
    box_deinit(&b);
}

static unsigned ready_pods(struct box *b)
{
    struct object *pod;
    unsigned n = 0;

    for (size_t at = 0; (pod = fake_client_next(b->f, kind_pod(), &at));)
        n += !object_is_deleting(pod) &&
             str_eq(json_path_str(object_tree(pod, b->a), "status.phase"), "Running");
    return n;
}

/* At no time fewer than 8 ready (25 % of 10 may miss, rounded down) or more than 13 in all. */
TEST(rolls_within_its_bounds)
{
    struct box b;

    box_init(&b);
    put_deployment(&b, 10);
    box_settle(&b);
    set_image(&b, "app:2");
    for (int i = 0; i < 400 && size_of(&b, "app:1") != 0; i++) {
        fake_client_pass(b.f, &b.env, 20, 5);
        EXPECT(ready_pods(&b) >= 8);
        EXPECT(box_pods(&b, "foo") <= 13);
        if (i % 5 == 4)
            box_nodes(&b);
    }
    box_settle(&b);
    EXPECT_EQ(size_of(&b, "app:1"), 0);
    EXPECT_EQ(size_of(&b, "app:2"), 10);
    EXPECT_EQ(box_pods(&b, "foo"), 10);
    EXPECT_STR(object_annotation(set_of(&b, "app:2"), "deployment.kubernetes.io/revision"), "2");
    EXPECT_STR(condition(&b, "Progressing"), "True NewReplicaSetAvailable");
    box_deinit(&b);
}

/* kubectl rollout undo puts the old template back: its set is found, and gets the next revision. */
TEST(undo_finds_the_old_set)
{
    struct box b;

    box_init(&b);
    put_deployment(&b, 2);
    box_settle(&b);
    set_image(&b, "app:2");
    box_settle(&b);
    set_image(&b, "app:1");
    box_settle(&b);
    EXPECT_EQ(fake_client_count(b.f, kind_replica_set()), 2);
    EXPECT_EQ(size_of(&b, "app:1"), 2);
    EXPECT_EQ(size_of(&b, "app:2"), 0);
    EXPECT_STR(object_annotation(set_of(&b, "app:1"), "deployment.kubernetes.io/revision"), "3");
    EXPECT_STR(object_annotation(set_of(&b, "app:1"), "deployment.kubernetes.io/revision-history"),
               "1");
    EXPECT_STR(object_annotation(fake_client_get(b.f, kind_deployment(), "default", "d"),
                                 "deployment.kubernetes.io/revision"), "3");
    box_deinit(&b);
}

TEST(keeps_only_so_much_history)
{
    struct box b;

    box_init(&b);
    put_deployment(&b, 1);
    edit(&b, "spec: {revisionHistoryLimit: 2}");
    for (int i = 1; i <= 6; i++) {
        set_image(&b, arena_printf(b.a, "app:%d", i));
        box_settle(&b);
    }
    EXPECT_EQ(fake_client_count(b.f, kind_replica_set()), 3);
    EXPECT_EQ(size_of(&b, "app:6"), 1);
    EXPECT_EQ(size_of(&b, "app:5"), 0);
    EXPECT_EQ(size_of(&b, "app:4"), 0);
    EXPECT_EQ(size_of(&b, "app:3"), -1);
    box_deinit(&b);
}

/* Never a new pod beside an old one. */
TEST(recreate)
{
    struct box b;

    box_init(&b);
    put_deployment(&b, 3);
    edit(&b, "spec: {strategy: {type: Recreate, rollingUpdate: null}}");
    box_settle(&b);
    set_image(&b, "app:2");
    for (int i = 0; i < 100; i++) {
        fake_client_pass(b.f, &b.env, 10, 5);
        if (size_of(&b, "app:2") > 0)
            break;
        if (i > 50)
            box_nodes(&b);
    }
    EXPECT_EQ(size_of(&b, "app:1"), 0);
    EXPECT_EQ(size_of(&b, "app:2"), 3);
    box_settle(&b);
    EXPECT_EQ(box_pods(&b, "foo"), 3);
    EXPECT_STR(condition(&b, "Progressing"), "True NewReplicaSetAvailable");
    box_deinit(&b);
}

TEST(a_broken_image_times_out_and_keeps_the_old_pods)
{
    struct box b;
    const char *hash;

    box_init(&b);
    put_deployment(&b, 4);
    edit(&b, "spec: {progressDeadlineSeconds: 60}");
    box_settle(&b);
    b.broken = true;
    set_image(&b, "app:bad");
    box_settle(&b);
    EXPECT_STR(condition(&b, "Progressing"), "True ReplicaSetUpdated");
    EXPECT_STR(condition(&b, "Available"), "True MinimumReplicasAvailable");
    EXPECT_EQ(size_of(&b, "app:1"), 3);
    EXPECT_EQ(size_of(&b, "app:bad"), 2);
    fake_client_pass(b.f, &b.env, 70000, 500);
    hash = object_label(set_of(&b, "app:bad"), "pod-template-hash");
    EXPECT_STR(condition(&b, "Progressing"), "False ProgressDeadlineExceeded");
    EXPECT_STR(message(&b, "Progressing"),
               arena_printf(b.a, "ReplicaSet \"d-%s\" has timed out progressing.", hash));
    EXPECT_EQ(ready_pods(&b), 3);
    b.broken = false;
    set_image(&b, "app:3");
    box_settle(&b);
    EXPECT_STR(condition(&b, "Progressing"), "True NewReplicaSetAvailable");
    EXPECT_EQ(size_of(&b, "app:bad"), 0);
    EXPECT_EQ(size_of(&b, "app:3"), 4);
    box_deinit(&b);
}

TEST(paused_does_not_roll_but_scales_in_proportion)
{
    struct box b;

    box_init(&b);
    put_deployment(&b, 10);
    box_settle(&b);
    b.broken = true;
    set_image(&b, "app:2");
    box_settle(&b);
    EXPECT_EQ(size_of(&b, "app:1"), 8);
    EXPECT_EQ(size_of(&b, "app:2"), 5);
    edit(&b, "spec: {paused: true, replicas: 20}");
    box_settle(&b);
    EXPECT_STR(condition(&b, "Progressing"), "Unknown DeploymentPaused");
    EXPECT_EQ(size_of(&b, "app:1") + size_of(&b, "app:2"), 25);       /* 20 and a quarter */
    EXPECT_EQ(size_of(&b, "app:1"), 15);
    EXPECT_EQ(size_of(&b, "app:2"), 10);
    set_image(&b, "app:3");
    box_settle(&b);
    EXPECT_EQ(size_of(&b, "app:3"), -1);
    b.broken = false;
    edit(&b, "spec: {paused: false}");
    box_settle(&b);
    EXPECT_EQ(size_of(&b, "app:3"), 20);
    EXPECT_EQ(box_pods(&b, "foo"), 20);
    box_deinit(&b);
}

/* A set that carries our name and another template: the hash is made anew. */
TEST(collision)
{
    struct box b;
    const char *name;

    box_init(&b);
    put_deployment(&b, 1);
    box_settle(&b);
    name = arena_strdup(b.a, object_name(set_of(&b, "app:1")));
    fake_client_drop(b.f, kind_deployment(), "default", "d");
    fake_client_edit(b.f, kind_replica_set(), "default", name,
                     "{metadata: {ownerReferences: null, labels: {app: other}}, "
                     "spec: {replicas: 0, template: {spec: {containers: "
                     "[{name: c, image: 'app:9'}]}}}}");
    put_deployment(&b, 1);
    box_settle(&b);
    EXPECT_EQ(status(&b, "collisionCount"), 1);
    EXPECT_EQ(size_of(&b, "app:1"), 1);
    box_deinit(&b);
}

TEST(adopts_an_orphaned_set)
{
    struct box b;
    const char *name;

    box_init(&b);
    put_deployment(&b, 2);
    box_settle(&b);
    name = arena_strdup(b.a, object_name(set_of(&b, "app:1")));
    fake_client_drop(b.f, kind_deployment(), "default", "d");
    fake_client_edit(b.f, kind_replica_set(), "default", name, "metadata: {ownerReferences: null}");
    box_settle(&b);
    put_deployment(&b, 2);
    box_settle(&b);
    EXPECT_EQ(fake_client_count(b.f, kind_replica_set()), 1);
    EXPECT_STR(object_controller(set_of(&b, "app:1"))->name, "d");
    EXPECT_EQ(box_pods(&b, "foo"), 2);
    box_deinit(&b);
}

TEST(refused_pods_show_on_the_deployment)
{
    struct box b;

    box_init(&b);
    fake_client_fail(b.f, CLIENT_CREATE, kind_pod(), 1000, 403);
    put_deployment(&b, 2);
    box_settle(&b);
    EXPECT_STR(condition(&b, "ReplicaFailure"), "True FailedCreate");
    EXPECT_STR(message(&b, "ReplicaFailure"), "injected fault");
    EXPECT_STR(condition(&b, "Available"), "False MinimumReplicasUnavailable");
    box_deinit(&b);
}

TEST(rests_when_done)
{
    struct box b;
    size_t writes;

    box_init(&b);
    put_deployment(&b, 3);
    box_settle(&b);
    set_image(&b, "app:2");
    box_settle(&b);
    writes = fake_client_writes(b.f);
    fake_client_pass(b.f, &b.env, 3000000, 10000);
    EXPECT_EQ(fake_client_writes(b.f), writes);
    box_deinit(&b);
}

/* The control role dies before its Nth request, for every N: what comes after it ends up the same.
 * */
struct killer { unsigned left; bool now; };

static void kill_at(const struct client_req *req, void *ctx)
{
    struct killer *k = ctx;

    (void)req;
    if (k->left && --k->left == 0)
        k->now = true;
}

static unsigned roll_and_die(unsigned at, bool lag)
{
    struct box b;
    struct killer k = { .left = at };
    unsigned used;

    box_init(&b);
    put_deployment(&b, 3);
    box_settle(&b);
    fake_client_on_request(b.f, kill_at, &k);
    fake_client_lag(b.f, lag ? 60 : 0);
    set_image(&b, "app:2");
    for (int i = 0; i < 3000; i++) {
        if (!loop_step(b.loop, 0)) {
            fake_env_advance(&b.env, 5);
            box_nodes(&b);
        }
        if (k.now)
            box_restart(&b);
        k.now = false;
        EXPECT(box_pods(&b, "foo") <= 4);                /* 3 and a surge of 1 */
        if (i % 64 == 0)
            arena_reset(b.a);
    }
    fake_client_lag(b.f, 0);
    box_settle(&b);
    EXPECT_EQ(size_of(&b, "app:2"), 3);
    EXPECT_EQ(size_of(&b, "app:1"), 0);
    EXPECT_EQ(box_pods(&b, "foo"), 3);
    EXPECT_EQ(fake_client_count(b.f, kind_replica_set()), 2);
    EXPECT_STR(condition(&b, "Progressing"), "True NewReplicaSetAvailable");
    used = k.left;
    box_deinit(&b);
    return used;
}

TEST_SLOW(restart_at_every_step, 120)
{
    for (unsigned at = 1; roll_and_die(at, at % 2) == 0; at++)
        ;
}
