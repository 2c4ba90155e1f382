/* A node reads what its pods name, and writes what is its own. */
#include "tests/unit/core/api/api_fix.h"

#define NS "/api/v1/namespaces/default"
#define LEASES "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
#define TOKEN "{\"spec\":{\"audiences\":[\"a\"],\"boundObjectRef\":{\"kind\":\"Pod\"," \
    "\"apiVersion\":\"v1\",\"name\":\"%s\",\"uid\":\"%s\"}}}"

static const char pod_body[] =
    "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"nodeName\":\"%s\","
    "\"automountServiceAccountToken\":false,\"imagePullSecrets\":[{\"name\":\"pull\"}],"
    "\"initContainers\":[{\"name\":\"i\",\"image\":\"i:1\",\"envFrom\":[{\"secretRef\":"
    "{\"name\":\"from\"}}]}],\"containers\":[{\"name\":\"c\",\"image\":\"i:1\",\"env\":["
    "{\"name\":\"A\",\"valueFrom\":{\"secretKeyRef\":{\"name\":\"env\",\"key\":\"k\"}}},"
    "{\"name\":\"B\",\"valueFrom\":{\"configMapKeyRef\":{\"name\":\"env\",\"key\":\"k\"}}}]}],"
    "\"volumes\":[{\"name\":\"a\",\"secret\":{\"secretName\":\"vol\"}},{\"name\":\"b\","
    "\"projected\":{\"sources\":[{\"configMap\":{\"name\":\"proj\"}},"
    "{\"secret\":{\"name\":\"proj\"}}]}}]}}";

struct node_fix { struct fix f; struct api_peer *n2, *n3; };

static void post_pod(struct fix *f, const char *name, const char *node)
{
    char *body = mem_printf(pod_body, name, node);

    ANSWERS(api_peer_post(f->peer, NS "/pods", body), 201);
    mem_free(body);
}

static struct node_fix begin(void)
{
    static const char *const names[] = { "pull", "from", "env", "vol", "proj", "other" };
    struct node_fix x = { .f = fix_new() };
    struct err err = ERR_INIT;

    EXPECT_OK(api_peer_new(&x.n2, x.f.box, "system:node:n2", "system:nodes", &err), &err);
    EXPECT_OK(api_peer_new(&x.n3, x.f.box, "system:node:n3", "system:nodes", &err), &err);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char *body = mem_printf("{\"metadata\":{\"name\":\"%s\"}}", names[i]);

        ANSWERS(api_peer_post(x.f.peer, NS "/secrets", body), 201);
        ANSWERS(api_peer_post(x.f.peer, NS "/configmaps", body), 201);
        mem_free(body);
    }
    post_pod(&x.f, "p", "n2");
    return x;
}

static void end(struct node_fix *x)
{
    api_peer_free(x->n2);
    api_peer_free(x->n3);
    fix_close(&x->f);
}

TEST(secrets_that_its_pods_name)
{
    static const struct { const char *path; int n2; } rows[] = {
        { NS "/secrets/pull", 200 }, { NS "/secrets/from", 200 }, { NS "/secrets/env", 200 },
        { NS "/secrets/vol", 200 }, { NS "/secrets/proj", 200 }, { NS "/secrets/other", 403 },
        { NS "/configmaps/env", 200 }, { NS "/configmaps/proj", 200 },
        { NS "/configmaps/vol", 403 }, { NS "/configmaps/other", 403 },
        { NS "/secrets", 403 }, { "/api/v1/secrets", 403 }, { "/api/v1/configmaps", 403 },
        { NS "/secrets?watch=1", 403 },
        { NS "/secrets?fieldSelector=metadata.name%3Dother", 403 },
        { "/api/v1/namespaces/kube-system/secrets/vol", 403 },
    };
    struct node_fix x = begin();

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (api_peer_get(x.n2, rows[i].path)->code != rows[i].n2)
            test_fail(__FILE__, __LINE__, "n2: %s is not %d", rows[i].path, rows[i].n2);
        if (api_peer_get(x.n3, rows[i].path)->code != 403)
            test_fail(__FILE__, __LINE__, "n3: %s is not 403", rows[i].path);
    }
    EXPECT_EQ(api_peer_put(x.n2, NS "/secrets/vol", "{}")->code, 403);
    /* no longer, when the pod has gone */
    ANSWERS(api_peer_delete(x.n2, NS "/pods/p", "{\"gracePeriodSeconds\":0}"), 200);
    EXPECT_EQ(api_peer_get(x.n2, NS "/secrets/vol")->code, 403);
    end(&x);
}

TEST(pods_that_are_bound_to_it)
{
    struct node_fix x = begin();
    const char *status = "{\"status\":{\"phase\":\"Running\"}}";

    ANSWERS(api_peer_get(x.n2, NS "/pods/p"), 200);
    EXPECT_EQ(api_peer_get(x.n3, NS "/pods/p")->code, 403);
    ANSWERS(api_peer_get(x.n2, "/api/v1/pods?fieldSelector=spec.nodeName%3Dn2"), 200);
    EXPECT_EQ(api_peer_get(x.n2, "/api/v1/pods?fieldSelector=spec.nodeName%3Dn3")->code, 403);
    EXPECT_EQ(api_peer_get(x.n2, "/api/v1/pods")->code, 403);
    ANSWERS(api_peer_patch(x.n2, NS "/pods/p/status", "merge", status), 200);
    EXPECT_EQ(api_peer_patch(x.n3, NS "/pods/p/status", "merge", status)->code, 403);
    EXPECT_EQ(api_peer_patch(x.n2, NS "/pods/p", "merge", "{}")->code, 403);
    EXPECT_EQ(api_peer_delete(x.n3, NS "/pods/p", NULL)->code, 403);
    EXPECT_EQ(api_peer_post(x.n2, NS "/pods", "{}")->code, 403);
    EXPECT_EQ(api_peer_delete(x.n2, NS "/pods", NULL)->code, 403);
    end(&x);
}

TEST(its_own_node)
{
    struct node_fix x = begin();
    const char *patch = "{\"metadata\":{\"labels\":{\"%s\":\"x\"}}}";
    static const struct { const char *label; int code; } labels[] = {
        { "disk", 200 }, { "kubernetes.io/hostname", 200 }, { "example.com/a", 200 },
        { "a.node.kubernetes.io/b", 200 }, { "node-role.kubernetes.io/master", 403 },
        { "node-restriction.kubernetes.io/a", 403 }, { "kubernetes.io/other", 403 },
        { "x.k8s.io/a", 403 },
    };

    EXPECT_EQ(api_peer_post(x.n2, "/api/v1/nodes", "{\"metadata\":{\"name\":\"n3\"}}")->code, 403);
    ANSWERS(api_peer_post(x.n2, "/api/v1/nodes", "{\"metadata\":{\"name\":\"n2\"}}"), 201);
    ANSWERS(api_peer_get(x.n3, "/api/v1/nodes/n2"), 200);
    EXPECT_EQ(api_peer_patch(x.n3, "/api/v1/nodes/n2", "merge", "{}")->code, 403);
    EXPECT_EQ(api_peer_patch(x.n3, "/api/v1/nodes/n2/status", "merge", "{}")->code, 403);
    EXPECT_EQ(api_peer_delete(x.n2, "/api/v1/nodes/n2", NULL)->code, 403);
    for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
        char *body = mem_printf(patch, labels[i].label);

        if (api_peer_patch(x.n2, "/api/v1/nodes/n2", "merge", body)->code != labels[i].code)
            test_fail(__FILE__, __LINE__, "%s is not %d", labels[i].label, labels[i].code);
        mem_free(body);
    }
    ANSWERS(api_peer_patch(x.f.peer, "/api/v1/nodes/n2", "merge",
                           "{\"metadata\":{\"labels\":{\"node-restriction.kubernetes.io/a\":"
                           "\"x\"}},\"spec\":{\"taints\":[{\"key\":\"a\",\"effect\":"
                           "\"NoSchedule\"}]}}"), 200);
    ANSWERS(api_peer_patch(x.n2, "/api/v1/nodes/n2", "merge",
                           "{\"metadata\":{\"labels\":{\"disk\":\"y\"}}}"), 200);
    EXPECT_EQ(api_peer_patch(x.n2, "/api/v1/nodes/n2", "merge",
                             "{\"metadata\":{\"labels\":{\"node-restriction.kubernetes.io/a\":"
                             "null}}}")->code, 403);
    EXPECT_EQ(api_peer_patch(x.n2, "/api/v1/nodes/n2", "merge",
                             "{\"spec\":{\"taints\":null}}")->code, 403);
    end(&x);
}

TEST(its_own_lease)
{
    struct node_fix x = begin();
    const char *body = "{\"metadata\":{\"name\":\"n2\"},\"spec\":{\"holderIdentity\":\"n2\"}}";

    EXPECT_EQ(api_peer_post(x.n3, LEASES, body)->code, 403);
    ANSWERS(api_peer_post(x.n2, LEASES, body), 201);
    ANSWERS(api_peer_get(x.n2, LEASES "/n2"), 200);
    EXPECT_EQ(api_peer_get(x.n3, LEASES "/n2")->code, 403);
    EXPECT_EQ(api_peer_patch(x.n3, LEASES "/n2", "merge", "{}")->code, 403);
    EXPECT_EQ(api_peer_get(x.n2, LEASES)->code, 403);
    EXPECT_EQ(api_peer_post(x.n2, "/apis/coordination.k8s.io/v1/namespaces/default/leases",
                            body)->code, 403);
    end(&x);
}

TEST(tokens_for_its_pods)
{
    struct node_fix x = begin();
    char *uid = mem_strdup(fix_str(api_peer_get(x.n2, NS "/pods/p"), "metadata.uid"));
    char *good = mem_printf(TOKEN, "p", uid), *unbound = mem_printf(TOKEN, "p", "");

    ANSWERS(api_peer_post(x.n2, NS "/serviceaccounts/default/token", good), 201);
    EXPECT_EQ(api_peer_post(x.n3, NS "/serviceaccounts/default/token", good)->code, 403);
    EXPECT_EQ(api_peer_post(x.n2, NS "/serviceaccounts/default/token", unbound)->code, 403);
    EXPECT_EQ(api_peer_post(x.n2, NS "/serviceaccounts/default/token", "{\"spec\":{}}")->code,
              403);
    ANSWERS(api_peer_post(x.f.peer, NS "/serviceaccounts",
                          "{\"metadata\":{\"name\":\"boss\"}}"), 201);
    EXPECT_EQ(api_peer_post(x.n2, NS "/serviceaccounts/boss/token", good)->code, 403);
    mem_free(uid);
    mem_free(good);
    mem_free(unbound);
    end(&x);
}
