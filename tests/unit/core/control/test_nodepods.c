/* What becomes of pods when nodes are tainted or go, and which network nodes get. */
#include "tests/unit/core/control/control_box.h"

static void put_node(struct box *b, const char *name)
{
    fake_client_put(b->f, arena_printf(b->a,
        "apiVersion: v1\nkind: Node\nmetadata: {name: %s}\n"
        "status: {conditions: [{type: Ready, status: 'True'}]}\n", name));
}

static void put_pod(struct box *b, const char *name, const char *node, const char *tolerations)
{
    fake_client_put(b->f, arena_printf(b->a,
        "apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: {nodeName: %s, tolerations: [%s], "
        "containers: [{name: c, image: x}]}\nstatus: {phase: Running}\n", name, node, tolerations));
}

static struct object *pod(struct box *b, const char *name)
{
    return fake_client_get(b->f, kind_pod(), "default", name);
}

/* Keeps the nodes alive meanwhile. */
static void pass(struct box *b, int64_t ms)
{
    static unsigned n;

    for (; ms > 0; ms -= 10000) {
        struct object *o;
        const char *names[8];
        unsigned len = 0;

        n++;
        for (size_t at = 0; (o = fake_client_next(b->f, kind_node(), &at)) && len < 8;)
            names[len++] = arena_strdup(b->a, object_name(o));
        for (unsigned i = 0; i < len; i++)
            fake_client_put(b->f, arena_printf(b->a,
                "apiVersion: coordination.k8s.io/v1\nkind: Lease\n"
                "metadata: {name: %s, namespace: kube-node-lease}\n"
                "spec: {renewTime: '2026-01-01T00:00:00.%06uZ'}\n", names[i], n));
        fake_client_pass(b->f, &b->env, ms < 10000 ? ms : 10000, 100);
    }
}

TEST(evicted_when_toleration_ends)
{
    struct box b;

    box_init(&b);
    put_node(&b, "n1");
    put_pod(&b, "now", "n1", "");
    put_pod(&b, "later", "n1",
            "{key: k, operator: Exists, effect: NoExecute, tolerationSeconds: 60}");
    put_pod(&b, "never", "n1", "{operator: Exists}");
    put_pod(&b, "other", "n1", "{key: k, operator: Equal, value: w, effect: NoExecute}");
    pass(&b, 1000);
    EXPECT(!object_is_deleting(pod(&b, "now")));
    fake_client_edit(b.f, kind_node(), "", "n1",
                     "spec: {taints: [{key: k, value: v, effect: NoExecute}]}");
    pass(&b, 1000);
    EXPECT(object_is_deleting(pod(&b, "now")));
    EXPECT(object_is_deleting(pod(&b, "other")));
    EXPECT(!object_is_deleting(pod(&b, "later")));
    EXPECT_STR(box_condition(&b, kind_pod(), "now", "DisruptionTarget"),
               "True DeletionByTaintManager");
    EXPECT(strstr(box_events(&b, "now"),
                  "TaintManagerEviction: Marking for deletion Pod default/now"));
    pass(&b, 50000);
    EXPECT(!object_is_deleting(pod(&b, "later")));
    pass(&b, 20000);
    EXPECT(object_is_deleting(pod(&b, "later")));
    EXPECT(!object_is_deleting(pod(&b, "never")));
    box_deinit(&b);
}

TEST(not_evicted_when_the_taint_goes_first)
{
    struct box b;

    box_init(&b);
    put_node(&b, "n1");
    put_pod(&b, "p", "n1", "{key: k, operator: Exists, effect: NoExecute, tolerationSeconds: 60}");
    fake_client_edit(b.f, kind_node(), "", "n1", "spec: {taints: [{key: k, effect: NoExecute, "
                     "timeAdded: '2026-01-01T00:00:00Z'}]}");
    pass(&b, 50000);
    box_restart(&b);                                     /* the time is in the taint */
    fake_client_edit(b.f, kind_node(), "", "n1", "spec: {taints: null}");
    pass(&b, 100000);
    EXPECT(!object_is_deleting(pod(&b, "p")));
    fake_client_edit(b.f, kind_node(), "", "n1", "spec: {taints: [{key: k, effect: NoExecute, "
                     "timeAdded: '2026-01-01T00:00:00Z'}]}");
    pass(&b, 1000);
    EXPECT(object_is_deleting(pod(&b, "p")));
    box_deinit(&b);
}

TEST(pods_of_gone_nodes)
{
    struct box b;

    box_init(&b);
    put_node(&b, "n1");
    put_node(&b, "n2");
    put_pod(&b, "p", "n1", "{operator: Exists}");
    put_pod(&b, "q", "n2", "{operator: Exists}");
    pass(&b, 60000);
    EXPECT(pod(&b, "p") && pod(&b, "q"));
    fake_client_drop(b.f, kind_node(), "", "n1");
    pass(&b, 30000);
    EXPECT(pod(&b, "p"));
    pass(&b, 20000);
    EXPECT(!pod(&b, "p"));
    EXPECT(pod(&b, "q"));
    /* a node that comes back in time keeps its pods */
    fake_client_drop(b.f, kind_node(), "", "n2");
    pass(&b, 30000);
    put_node(&b, "n2");
    pass(&b, 60000);
    EXPECT(pod(&b, "q"));
    box_deinit(&b);
}

TEST(out_of_service)
{
    struct box b;

    box_init(&b);
    put_node(&b, "n1");
    put_pod(&b, "p", "n1", "{operator: Exists}");
    pass(&b, 1000);
    fake_client_delete(b.f, kind_pod(), "default", "p", NULL);
    pass(&b, 60000);
    EXPECT(pod(&b, "p"));                                /* waits for its node */
    fake_client_edit(b.f, kind_node(), "", "n1",
        "{spec: {taints: [{key: node.kubernetes.io/out-of-service, effect: NoExecute}]}, "
        "status: {conditions: [{type: Ready, status: 'False'}]}}");
    pass(&b, 1000);
    EXPECT(!pod(&b, "p"));
    box_deinit(&b);
}

/* Whoever deleted it died between the mark and the end. */
TEST(deleted_before_it_had_a_node)
{
    struct box b;

    box_init(&b);
    fake_client_put(b.f, "apiVersion: v1\nkind: Pod\nmetadata: {name: p, deletionTimestamp: "
                         "'2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 0}\n"
                         "spec: {containers: [{name: c, image: x}]}\n");
    fake_client_put(b.f, "apiVersion: v1\nkind: Pod\nmetadata: {name: q}\n"
                         "spec: {containers: [{name: c, image: x}]}\n");
    pass(&b, 1000);
    EXPECT(!pod(&b, "p"));
    EXPECT(pod(&b, "q"));
    box_deinit(&b);
}

TEST(networks_of_nodes)
{
    struct box b;

    box_init(&b);
    control_free(b.control);
    b.opts.cluster_cidr = "10.42.0.0/22";                /* four parts */
    fake_client_put(b.f, "apiVersion: v1\nkind: Node\nmetadata: {name: n0}\n"
                         "spec: {podCIDR: 10.42.1.0/24, podCIDRs: [10.42.1.0/24]}\n");
    put_node(&b, "n1");
    put_node(&b, "n2");
    put_node(&b, "n3");
    put_node(&b, "n4");
    box_start(&b);
    pass(&b, 1000);
    EXPECT_STR(box_str(&b, kind_node(), "n1", "spec.podCIDR"), "10.42.0.0/24");
    EXPECT_STR(box_str(&b, kind_node(), "n2", "spec.podCIDR"), "10.42.2.0/24");
    EXPECT_STR(box_str(&b, kind_node(), "n3", "spec.podCIDR"), "10.42.3.0/24");
    EXPECT_STR(box_str(&b, kind_node(), "n4", "spec.podCIDR"), "");
    EXPECT_STR(json_text(json_at(json_path(box_tree(&b, kind_node(), "n1"), "spec.podCIDRs"), 0)),
               "10.42.0.0/24");
    EXPECT(strstr(box_events(&b, "n4"), "CIDRNotAvailable"));
    fake_client_drop(b.f, kind_node(), "", "n2");        /* its part is free again */
    pass(&b, 60000);
    EXPECT_STR(box_str(&b, kind_node(), "n4", "spec.podCIDR"), "10.42.2.0/24");
    box_deinit(&b);
}

TEST(bad_cluster_network)
{
    struct box b;
    struct err err = ERR_INIT;

    box_init(&b);
    b.opts.cluster_cidr = "10.42.0.0/25";
    b.control = control_free(b.control);
    EXPECT_ERR(control_new(&b.control, fake_client_door(b.f), &b.opts, &err), &err, ERR_INVALID);
    EXPECT(strstr(err.msg, "10.42.0.0/25"));
    box_deinit(&b);
}
