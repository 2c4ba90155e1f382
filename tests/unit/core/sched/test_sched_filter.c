/* The filters, a table of small clusters each: where the pod "p" lands, or why it does not. */
#include "tests/unit/core/sched/sched_box.h"

struct sched_case {
    const char *what;
    const char *nodes[4][3];             /* name, labels, spec */
    const char *pods[6][4];              /* name, metadata, requests, spec; the last is "p" */
    const char *node;                    /* where "p" is; NULL: nowhere */
    const char *why;                     /* up to the words about preemption */
};

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

static void run_case(const struct sched_case *t)
{
    struct sched_box b;
    char want[512];

    printf("%s\n", t->what);
    box_open(&b);
    for (int i = 0; i < 4 && t->nodes[i][0]; i++)
        box_node(&b, t->nodes[i][0], or_empty(t->nodes[i][1]), or_empty(t->nodes[i][2]));
    box_start(&b);
    for (int i = 0; i < 6 && t->pods[i][0]; i++) {
        box_pod(&b, t->pods[i][0], or_empty(t->pods[i][1]), or_empty(t->pods[i][2]),
                or_empty(t->pods[i][3]));
        fake_client_run(b.fake);
    }
    EXPECT_STR(box_node_of(&b, "p"), t->node ? t->node : "");
    if (!t->node) {
        snprintf(want, sizeof(want), "%s no new claims to deallocate, preemption: ", t->why);
        if (!str_starts(box_why(&b, "p"), want))
            EXPECT_STR(box_why(&b, "p"), want);
    }
    box_close(&b);
}

#define RUN(table) \
    do { \
        for (size_t i_ = 0; i_ < ARRAY_LEN(table); i_++) \
            run_case(&(table)[i_]); \
    } while (0)

TEST(resources)
{
    static const struct sched_case table[] = {
        { "exactly full", { { "n1" } }, { { "p", "", "cpu: 4, memory: 8Gi" } }, "n1", NULL },
        { "too much of two", { { "n1" } }, { { "p", "", "cpu: 4001m, memory: 9Gi" } }, NULL,
          "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory." },
        { "beside others", { { "n1" } }, { { "a", "", "cpu: 3" }, { "p", "", "cpu: 2" } }, NULL,
          "0/1 nodes are available: 1 Insufficient cpu." },
        { "ephemeral storage", { { "n1" } },
          { { "a", "", "ephemeral-storage: 6Gi" }, { "p", "", "ephemeral-storage: 5Gi" } }, NULL,
          "0/1 nodes are available: 1 Insufficient ephemeral-storage." },
        { "nobody has it", { { "n1" } },
          { { "p", "", "example.com/gpu: 1" } }, NULL,
          "0/1 nodes are available: 1 Insufficient example.com/gpu." },
        { "the largest init container counts", { { "n1" } },
          { { "p", "", "cpu: 1", "initContainers: [{name: i, image: i, resources: "
              "{requests: {cpu: 5}}}]" } }, NULL, "0/1 nodes are available: 1 Insufficient cpu." },
        { "init containers do not add up", { { "n1" } },
          { { "p", "", "cpu: 3", "initContainers: [{name: i, image: i, resources: "
              "{requests: {cpu: 3}}}, {name: j, image: i, resources: {requests: {cpu: 4}}}]" } },
          "n1", NULL },
        { "sidecars do", { { "n1" } },
          { { "p", "", "cpu: 3", "initContainers: [{name: i, image: i, restartPolicy: Always, "
              "resources: {requests: {cpu: 2}}}]" } }, NULL,
          "0/1 nodes are available: 1 Insufficient cpu." },
        { "a sidecar beside a later init container", { { "n1" } },
          { { "p", "", "cpu: 1", "initContainers: [{name: i, image: i, restartPolicy: Always, "
              "resources: {requests: {cpu: 2}}}, "
              "{name: j, image: i, resources: {requests: {cpu: 3}}}]" } }, NULL,
          "0/1 nodes are available: 1 Insufficient cpu." },
        { "overhead", { { "n1" } }, { { "p", "", "cpu: 3", "overhead: {cpu: 2}" } }, NULL,
          "0/1 nodes are available: 1 Insufficient cpu." },
        { "of the pod as a whole", { { "n1" } },
          { { "p", "", "cpu: 1", "resources: {requests: {cpu: 5}}" } }, NULL,
          "0/1 nodes are available: 1 Insufficient cpu." },
    };

    RUN(table);
}

TEST(too_many_pods)
{
    struct sched_box b;

    box_open(&b);
    box_node(&b, "n1", "", "");
    fake_client_edit(b.fake, kind_node(), "", "n1", "status: {allocatable: {pods: '1'}}");
    box_start(&b);
    box_pod(&b, "a", "", "", "");
    fake_client_run(b.fake);
    box_pod(&b, "b", "", "", "");
    fake_client_run(b.fake);
    EXPECT_STR(box_node_of(&b, "a"), "n1");
    EXPECT(str_starts(box_why(&b, "b"), "0/1 nodes are available: 1 Too many pods."));
    box_close(&b);
}

TEST(extended_resources)
{
    struct sched_box b;

    box_open(&b);
    box_node(&b, "n1", "", "");
    box_node(&b, "n2", "", "");
    fake_client_edit(b.fake, kind_node(), "", "n2",
                     "status: {allocatable: {example.com/gpu: '2'}}");
    box_start(&b);
    for (int i = 0; i < 3; i++) {
        char name[16];

        snprintf(name, sizeof(name), "p%d", i);
        box_pod(&b, name, "", "example.com/gpu: 1", "");
        fake_client_run(b.fake);
        EXPECT_STR(box_node_of(&b, name), i < 2 ? "n2" : "");
    }
    EXPECT(str_starts(box_why(&b, "p2"),
                      "0/2 nodes are available: 2 Insufficient example.com/gpu."));
    box_close(&b);
}

TEST(taints)
{
    static const struct sched_case table[] = {
        { "cordoned", { { "n1", "", "unschedulable: true" } }, { { "p" } }, NULL,
          "0/1 nodes are available: 1 node(s) were unschedulable." },
        { "cordoned and borne", { { "n1", "", "unschedulable: true" } },
          { { "p", "", "", "tolerations: [{key: node.kubernetes.io/unschedulable, "
              "operator: Exists}]" } }, "n1", NULL },
        { "not borne",
          { { "n1", "", "taints: [{key: a, value: b, effect: NoSchedule}]" },
            { "n2", "", "taints: [{key: a, value: b, effect: NoExecute}]" } },
          { { "p", "", "", "tolerations: [{key: a, value: c}]" } }, NULL,
          "0/2 nodes are available: 2 node(s) had untolerated taint(s)." },
        { "borne by value", { { "n1", "", "taints: [{key: a, value: b, effect: NoSchedule}]" } },
          { { "p", "", "", "tolerations: [{key: a, value: b, effect: NoSchedule}]" } },
          "n1", NULL },
        { "another effect", { { "n1", "", "taints: [{key: a, value: b, effect: NoSchedule}]" } },
          { { "p", "", "", "tolerations: [{key: a, value: b, effect: NoExecute}]" } }, NULL,
          "0/1 nodes are available: 1 node(s) had untolerated taint(s)." },
        { "everything borne", { { "n1", "", "taints: [{key: a, effect: NoSchedule}]" } },
          { { "p", "", "", "tolerations: [{operator: Exists}]" } }, "n1", NULL },
        { "only asked", { { "n1", "", "taints: [{key: a, effect: PreferNoSchedule}]" } },
          { { "p" } }, "n1", NULL },
    };

    RUN(table);
}

#define NEED(terms) \
    "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: " \
    "{nodeSelectorTerms: [" terms "]}}}"

TEST(node_affinity)
{
    static const struct sched_case table[] = {
        { "selector", { { "n1", "a: b" }, { "n2", "a: c" } },
          { { "p", "", "", "nodeSelector: {a: c}" } }, "n2", NULL },
        { "selector of two", { { "n1", "a: b" }, { "n2", "c: d" } },
          { { "p", "", "", "nodeSelector: {a: b, c: d}" } }, NULL,
          "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector." },
        { "In", { { "n1", "a: b" }, { "n2", "a: c" } },
          { { "p", "", "", NEED("{matchExpressions: [{key: a, operator: In, values: [c, d]}]}") } },
          "n2", NULL },
        { "NotIn", { { "n1", "a: b" }, { "n2", "" } },
          { { "p", "", "", NEED("{matchExpressions: [{key: a, operator: NotIn, values: [b]}]}") } },
          "n2", NULL },
        { "Exists", { { "n1" }, { "n2", "a: b" } },
          { { "p", "", "", NEED("{matchExpressions: [{key: a, operator: Exists}]}") } },
          "n2", NULL },
        { "DoesNotExist", { { "n1" }, { "n2", "a: b" } },
          { { "p", "", "", NEED("{matchExpressions: [{key: a, operator: DoesNotExist}]}") } },
          "n1", NULL },
        { "Gt", { { "n1", "a: '4'" }, { "n2", "a: '5'" } },
          { { "p", "", "", NEED("{matchExpressions: [{key: a, operator: Gt, values: ['4']}]}") } },
          "n2", NULL },
        { "Lt of no number", { { "n1", "a: four" } },
          { { "p", "", "", NEED("{matchExpressions: [{key: a, operator: Lt, values: ['9']}]}") } },
          NULL, "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector." },
        { "one of the terms", { { "n1", "a: b" }, { "n2", "c: d" } },
          { { "p", "", "", NEED("{matchExpressions: [{key: x, operator: Exists}]}, "
                                "{matchExpressions: [{key: c, operator: Exists}]}") } },
          "n2", NULL },
        { "field of a full node", { { "n1" }, { "n2" }, { "n3" } },
          { { "a", "", "cpu: 3", "nodeSelector: {kubernetes.io/hostname: n2}" },
            { "p", "", "cpu: 2", NEED("{matchFields: [{key: metadata.name, operator: In, "
                                      "values: [n2]}]}") } }, NULL,
          "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) "
          "[NodeAffinity]." },
        { "field of no node", { { "n1" } },
          { { "p", "", "", NEED("{matchFields: [{key: metadata.name, operator: In, "
                                "values: [n9]}]}") } }, NULL,
          "0/1 nodes are available: 1 node(s) didn't satisfy plugin(s) [NodeAffinity]." },
        { "field and label", { { "n1", "a: b" }, { "n2", "a: b" } },
          { { "p", "", "", NEED("{matchFields: [{key: metadata.name, operator: In, values: [n2]}], "
                                "matchExpressions: [{key: a, operator: Exists}]}") } },
          "n2", NULL },
        { "field or label", { { "n1", "a: b" }, { "n2" } },
          { { "p", "", "", NEED("{matchFields: [{key: metadata.name, operator: In, "
                                "values: [n9]}]}, "
                                "{matchExpressions: [{key: a, operator: Exists}]}") } },
          "n1", NULL },
        { "field", { { "n1" }, { "n2" } },
          { { "p", "", "", NEED("{matchFields: [{key: metadata.name, operator: In, "
                                "values: [n2]}]}") } }, "n2", NULL },
    };

    RUN(table);
}

#define PORT(extra) \
    "initContainers: [{name: s, image: a, restartPolicy: Always, " \
    "ports: [{containerPort: 80, hostPort: 80" extra "}]}]"

TEST(ports)
{
    static const struct sched_case table[] = {
        { "taken", { { "n1" } }, { { "a", "", "", PORT("") }, { "p", "", "", PORT("") } }, NULL,
          "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod "
          "ports." },
        { "another protocol", { { "n1" } },
          { { "a", "", "", PORT("") }, { "p", "", "", PORT(", protocol: UDP") } }, "n1", NULL },
        { "another address", { { "n1" } },
          { { "a", "", "", PORT(", hostIP: 10.0.0.1") },
            { "p", "", "", PORT(", hostIP: 10.0.0.2") } }, "n1", NULL },
        { "all addresses", { { "n1" } },
          { { "a", "", "", PORT(", hostIP: 10.0.0.1") }, { "p", "", "", PORT("") } }, NULL,
          "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod "
          "ports." },
        { "free elsewhere", { { "n1" }, { "n2", "a: b" } },
          { { "a", "", "", "nodeSelector: {a: b}, " PORT("") }, { "p", "", "", PORT("") } },
          "n1", NULL },
    };

    RUN(table);
}

/* The first rule that refuses a node gives its reasons; nodes are counted by reason. */
TEST(first_reason)
{
    static const struct sched_case table[] = {
        { "mixed",
          { { "n1", "", "unschedulable: true, taints: [{key: a, effect: NoSchedule}]" },
            { "n2", "", "taints: [{key: a, effect: NoSchedule}]" },
            { "n3", "x: z" }, { "n4" } },
          { { "p", "", "cpu: 5", "nodeSelector: {x: z}" } }, NULL,
          "0/4 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match Pod's node "
          "affinity/selector, 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable." },
    };

    RUN(table);
}

/* --- spreading */

#define SPREAD(key, skew, more) \
    "topologySpreadConstraints: [{topologyKey: " key ", maxSkew: " skew ", whenUnsatisfiable: " \
    "DoNotSchedule, labelSelector: {matchLabels: {app: w}}" more "}]"
#define ZONE "topology.kubernetes.io/zone"

TEST(spread)
{
    static const struct sched_case table[] = {
        { "to the emptier zone", { { "n1", ZONE ": a" }, { "n2", ZONE ": b" } },
          { { "a", "labels: {app: w}", "", "nodeSelector: {" ZONE ": a}" },
            { "p", "labels: {app: w}", "cpu: 1", SPREAD(ZONE, "1", "") } }, "n2", NULL },
        { "no worse than allowed",
          { { "n1", ZONE ": a" }, { "n2", ZONE ": b", "unschedulable: true" } },
          { { "a", "labels: {app: w}", "", "nodeSelector: {" ZONE ": a}" },
            { "p", "labels: {app: w}", "", SPREAD(ZONE, "1", "") } }, NULL,
          "0/2 nodes are available: 1 node(s) didn't match pod topology spread constraints, "
          "1 node(s) were unschedulable." },
        { "a wider skew", { { "n1", ZONE ": a" }, { "n2", ZONE ": b", "unschedulable: true" } },
          { { "a", "labels: {app: w}", "", "nodeSelector: {" ZONE ": a}" },
            { "p", "labels: {app: w}", "", SPREAD(ZONE, "2", "") } }, "n1", NULL },
        { "tainted nodes are no domain when honoured",
          { { "n1", ZONE ": a" },
            { "n2", ZONE ": b", "taints: [{key: a, effect: NoSchedule}]" } },
          { { "a", "labels: {app: w}", "", "nodeSelector: {" ZONE ": a}" },
            { "p", "labels: {app: w}", "", SPREAD(ZONE, "1", ", nodeTaintsPolicy: Honor") } },
          "n1", NULL },
        { "nodes that the selector rules out are no domain",
          { { "n1", ZONE ": a" }, { "n2", ZONE ": b" } },
          { { "a", "labels: {app: w}", "", "nodeSelector: {" ZONE ": a}" },
            { "p", "labels: {app: w}", "",
              "nodeSelector: {" ZONE ": a}, " SPREAD(ZONE, "1", "") } },
          "n1", NULL },
        { "no such label", { { "n1" } },
          { { "p", "labels: {app: w}", "", SPREAD(ZONE, "1", "") } }, NULL,
          "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints "
          "(missing required label)." },
        { "other pods do not count",
          { { "n1", ZONE ": a" }, { "n2", ZONE ": b", "unschedulable: true" } },
          { { "a", "labels: {app: other}", "", "nodeSelector: {" ZONE ": a}" },
            { "p", "labels: {app: w}", "", SPREAD(ZONE, "1", "") } }, "n1", NULL },
        { "fewer domains than asked", { { "n1", ZONE ": a" }, { "n2", ZONE ": b" } },
          { { "a", "labels: {app: w}", "", "nodeSelector: {" ZONE ": a}" },
            { "b", "labels: {app: w}", "", "nodeSelector: {" ZONE ": b}" },
            { "p", "labels: {app: w}", "", SPREAD(ZONE, "1", ", minDomains: 3") } }, NULL,
          "0/2 nodes are available: 2 node(s) didn't match pod topology spread constraints." },
        { "only the same version",
          { { "n1", ZONE ": a" }, { "n2", ZONE ": b", "unschedulable: true" } },
          { { "a", "labels: {app: w, v: '1'}", "", "nodeSelector: {" ZONE ": a}" },
            { "p", "labels: {app: w, v: '2'}", "", SPREAD(ZONE, "1", ", matchLabelKeys: [v]") } },
          "n1", NULL },
    };

    RUN(table);
}

/* --- other pods */

#define TERM(key, app) \
    "{topologyKey: " key ", labelSelector: {matchLabels: {app: " app "}}}"
#define NEAR(term) \
    "affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [" term "]}}"
#define FAR(term) \
    "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [" term "]}}"

TEST(pod_affinity)
{
    static const struct sched_case table[] = {
        { "near", { { "n1", ZONE ": a" }, { "n2", ZONE ": b" } },
          { { "a", "labels: {app: w}", "cpu: 3", "nodeSelector: {" ZONE ": b}" },
            { "p", "", "", NEAR(TERM(ZONE, "w")) } }, "n2", NULL },
        { "near to nobody", { { "n1", ZONE ": a" } },
          { { "p", "", "", NEAR(TERM(ZONE, "w")) } }, NULL,
          "0/1 nodes are available: 1 node(s) didn't match pod affinity rules." },
        { "the first of its own group", { { "n1", ZONE ": a" } },
          { { "p", "labels: {app: w}", "", NEAR(TERM(ZONE, "w")) } }, "n1", NULL },
        { "but not without the label", { { "n1" } },
          { { "p", "labels: {app: w}", "", NEAR(TERM(ZONE, "w")) } }, NULL,
          "0/1 nodes are available: 1 node(s) didn't match pod affinity rules." },
        { "far", { { "n1" }, { "n2" } },
          { { "a", "labels: {app: w}", "", "nodeSelector: {kubernetes.io/hostname: n1}" },
            { "p", "", "", FAR(TERM("kubernetes.io/hostname", "w")) } }, "n2", NULL },
        { "nowhere far enough", { { "n1" } },
          { { "a", "labels: {app: w}" },
            { "p", "", "", FAR(TERM("kubernetes.io/hostname", "w")) } }, NULL,
          "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules." },
        { "they want to be far", { { "n1" } },
          { { "a", "", "", FAR(TERM("kubernetes.io/hostname", "w")) },
            { "p", "labels: {app: w}" } }, NULL,
          "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules." },
        { "of this namespace only", { { "n1" } },
          { { "a", "namespace: other, labels: {app: w}" },
            { "p", "", "", FAR(TERM("kubernetes.io/hostname", "w")) } }, "n1", NULL },
        { "of all namespaces", { { "n1" } },
          { { "a", "namespace: other, labels: {app: w}" },
            { "p", "", "", FAR("{topologyKey: kubernetes.io/hostname, namespaceSelector: {}, "
                               "labelSelector: {matchLabels: {app: w}}}") } }, NULL,
          "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules." },
        { "another version may be near", { { "n1" } },
          { { "a", "labels: {app: w, v: '1'}" },
            { "p", "labels: {app: w, v: '2'}", "",
              FAR("{topologyKey: kubernetes.io/hostname, matchLabelKeys: [v], "
                  "labelSelector: {matchLabels: {app: w}}}") } }, "n1", NULL },
        { "the same version is no stranger", { { "n1" } },
          { { "a", "labels: {app: w, v: '2'}" },
            { "p", "labels: {app: w, v: '2'}", "",
              FAR("{topologyKey: kubernetes.io/hostname, mismatchLabelKeys: [v], "
                  "labelSelector: {matchLabels: {app: w}}}") } }, "n1", NULL },
    };

    RUN(table);
}
