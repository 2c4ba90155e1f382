/* The scores: two nodes fit, the better one is taken. */
#include "tests/unit/core/sched/sched_box.h"

/* Each case is tried in both orders of the nodes' names, so that no order can be the reason. */
struct score_case {
    const char *what;
    const char *good_labels, *good_spec, *good_status;
    const char *bad_labels, *bad_spec, *bad_status;
    const char *extra;                   /* further objects; GOOD and BAD stand for the names */
    const char *meta, *requests, *spec;  /* of the pod */
};

static void put_named(struct sched_box *b, const char *yaml, const char *good, const char *bad)
{
    _cleanup_buf_ struct buf out = BUF_INIT;

    while (*yaml) {
        bool is_good = str_starts(yaml, "GOOD"), is_bad = str_starts(yaml, "BAD");

        if (is_good || is_bad)
            buf_str(&out, is_good ? good : bad);
        else
            buf_chr(&out, *yaml);
        yaml += is_good ? 4 : is_bad ? 3 : 1;
    }
    fake_client_put(b->fake, out.p);
}

static void put_node(struct sched_box *b, const char *name, const char *labels, const char *spec,
                     const char *status)
{
    box_node(b, name, labels ? labels : "", spec ? spec : "");
    if (status)
        fake_client_edit(b->fake, kind_node(), "", name, status);
}

static void run_case(const struct score_case *t, const char *good, const char *bad)
{
    struct sched_box b;

    printf("%s\n", t->what);
    box_open(&b);
    put_node(&b, good, t->good_labels, t->good_spec, t->good_status);
    put_node(&b, bad, t->bad_labels, t->bad_spec, t->bad_status);
    if (t->extra)
        put_named(&b, t->extra, good, bad);
    box_pod(&b, "p", t->meta ? t->meta : "", t->requests ? t->requests : "",
            t->spec ? t->spec : "");
    box_start(&b);
    EXPECT_STR(box_node_of(&b, "p"), good);
    box_close(&b);
}

#define POD(name, node, meta, requests, spec) \
    "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " name meta "}\nspec: {nodeName: " node \
    ", containers: [{name: a, image: a, resources: {requests: {" requests "}}}]" spec "}\n"
#define SERVICE \
    "---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\n" \
    "spec: {selector: {app: w}, ports: [{port: 80}]}\n"
#define PREFER(kind) \
    "affinity: {" kind ": {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 100, " \
    "podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: " \
    "{matchLabels: {app: w}}}}]}}"

static const struct score_case cases[] = {
    { .what = "the emptier node", .requests = "cpu: 1",
      .extra = POD("a", "BAD", "", "cpu: 2", "") },
    { .what = "pods without requests count a little",
      .extra = POD("a", "BAD", "", "", "") },
    { .what = "balance of cpu and memory", .requests = "cpu: 1, memory: 2Gi",
      .extra = POD("a", "BAD", "", "cpu: 2, memory: 200Mi", "")
               POD("b", "GOOD", "", "cpu: 1, memory: 2Gi", "") },
    { .what = "no soft taint", .bad_spec = "taints: [{key: a, effect: PreferNoSchedule}]",
      .extra = POD("a", "GOOD", "", "cpu: 1", "") },
    { .what = "preferred node affinity", .good_labels = "disk: ssd", .bad_labels = "disk: hdd",
      .spec = "affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: "
              "[{weight: 1, preference: {matchExpressions: "
              "[{key: disk, operator: In, values: [ssd]}]}}]}}",
      .extra = POD("a", "GOOD", "", "cpu: 1", "") },
    { .what = "near to friends", .spec = PREFER("podAffinity"),
      .extra = POD("a", "GOOD", ", labels: {app: w}", "cpu: 1", "") },
    { .what = "far from rivals", .spec = PREFER("podAntiAffinity"),
      .extra = POD("a", "BAD", ", labels: {app: w}", "cpu: 1", "")
               POD("b", "GOOD", "", "cpu: 2", "") },
    { .what = "rivals would rather be far", .meta = "labels: {app: w}",
      .extra = POD("a", "BAD", "", "cpu: 1", ", " PREFER("podAntiAffinity"))
               POD("b", "GOOD", "", "cpu: 2", "") },
    { .what = "where it is needed", .meta = "labels: {app: w}",
      .extra = POD("a", "GOOD", ", labels: {app: w}", "cpu: 1",
                   ", affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "
                   "[{topologyKey: kubernetes.io/hostname, labelSelector: "
                   "{matchLabels: {app: w}}}]}}") },
    { .what = "beside fewer of the same Service", .meta = "labels: {app: w}",
      .extra = SERVICE POD("a", "BAD", ", labels: {app: w}", "", "")
               POD("b", "GOOD", "", "cpu: 1", "") },
    { .what = "soft constraint of its own", .meta = "labels: {app: w}",
      .spec = "topologySpreadConstraints: [{topologyKey: kubernetes.io/hostname, maxSkew: 1, "
              "whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: w}}}]",
      .extra = POD("a", "BAD", ", labels: {app: w}", "", "")
               POD("b", "GOOD", "", "cpu: 1", "") },
    { .what = "in the emptier zone", .good_labels = "topology.kubernetes.io/zone: b",
      .bad_labels = "topology.kubernetes.io/zone: a", .meta = "labels: {app: w}",
      .spec = "topologySpreadConstraints: [{topologyKey: topology.kubernetes.io/zone, maxSkew: 1, "
              "whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: w}}}]",
      .extra = POD("a", "BAD", ", labels: {app: w}", "", "")
               POD("b", "GOOD", "", "cpu: 1", "") },
    { .what = "where the image is",
      .good_status = "status: {images: [{names: ['a:latest'], sizeBytes: 2000000000}]}" },
};

TEST(the_better_node)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        run_case(&cases[i], "n1", "n2");
        run_case(&cases[i], "n2", "n1");
    }
}

/* Pods of one ReplicaSet go to as many nodes as there are. */
TEST(replicas_spread)
{
    struct sched_box b;
    unsigned on[3] = { 0 };

    box_open(&b);
    for (int i = 0; i < 3; i++) {
        char name[8];

        snprintf(name, sizeof(name), "n%d", i);
        box_node(&b, name, "", "");
    }
    fake_client_put(b.fake, "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: r, uid: u-1}\n"
                    "spec: {selector: {matchLabels: {app: w}}, template: {metadata: {labels: "
                    "{app: w}}, spec: {containers: [{name: a, image: a}]}}}\n");
    for (int i = 0; i < 9; i++) {
        char name[8];

        snprintf(name, sizeof(name), "p%d", i);
        box_pod(&b, name, "labels: {app: w}, ownerReferences: [{apiVersion: apps/v1, kind: "
                "ReplicaSet, name: r, uid: u-1, controller: true}]", "", "");
    }
    box_start(&b);
    for (int i = 0; i < 9; i++) {
        char name[8];

        snprintf(name, sizeof(name), "p%d", i);
        on[box_node_of(&b, name)[1] - '0']++;
    }
    EXPECT(on[0] == 3 && on[1] == 3 && on[2] == 3);
    box_close(&b);
}
