#include "gen/views.h"

#include <pthread.h>

#include "tests/harness/test.h"
#include "tests/unit/core/object/quotes.h"

static struct object *make(const struct kind *kind, const char *text)
{
    struct arena *a = arena_new(0);
    struct object *o;
    struct err err = ERR_INIT;

    EXPECT_OK(object_new(&o, kind, quotes(a, text), strlen(text), 0, &err), &err);
    arena_free(a);
    return o;
}

static const char pod_text[] =
    "{'kind':'Pod','apiVersion':'v1','metadata':{'name':'web','labels':{'a':'1','b':'2'},"
    "'finalizers':['x/y','z'],'deletionTimestamp':'1970-01-01T00:01:00Z'},"
    "'spec':{'volumes':[{'name':'v','secret':{'secretName':'s','defaultMode':420,"
    "'items':[{'key':'k','path':'p'}]}}],"
    "'containers':[{'name':'c','image':'nginx:1.20.1','args':['-g'],"
    "'ports':[{'containerPort':80,'protocol':'TCP'}],"
    "'resources':{'limits':{'cpu':'500m','memory':'1Gi'}},"
    "'livenessProbe':{'httpGet':{'path':'/','port':'http'},'periodSeconds':10}},"
    "{'name':'d','resources':{},'securityContext':{'runAsUser':0,'privileged':false}}],"
    "'terminationGracePeriodSeconds':0,'affinity':{'nodeAffinity':{}},"
    "'securityContext':{'supplementalGroups':[1,2]}},'status':{'phase':'Running',"
    "'conditions':[{'type':'Ready','status':'True','lastProbeTime':null,"
    "'lastTransitionTime':'1970-01-01T00:00:07Z'}]}}";

TEST(pod)
{
    struct object *o = make(kind_pod(), pod_text);
    const struct pod_view *pod = pod_view(o);
    const struct container_view *c = pod->spec.containers;

    EXPECT(pod == pod_view(o));
    EXPECT_STR(pod->metadata.name, "web");
    EXPECT_STR(pod->metadata.namespace, "");
    EXPECT_EQ(pod->metadata.labels.n, 2);
    EXPECT_STR(view_map_get(&pod->metadata.labels, "b"), "2");
    EXPECT(!view_map_get(&pod->metadata.labels, "c"));
    EXPECT_EQ(pod->metadata.n_finalizers, 2);
    EXPECT_STR(pod->metadata.finalizers[1], "z");
    EXPECT_EQ(pod->metadata.deletion_timestamp_s, 60);
    EXPECT_EQ(pod->metadata.creation_timestamp_s, 0);
    EXPECT_EQ(pod->spec.n_volumes, 1);
    EXPECT_STR(pod->spec.volumes[0].secret->secret_name, "s");
    EXPECT_STR(pod->spec.volumes[0].secret->items[0].path, "p");
    EXPECT(!pod->spec.volumes[0].secret->items[0].has_mode);
    EXPECT(pod->spec.volumes[0].secret->has_default_mode);
    EXPECT(!pod->spec.volumes[0].empty_dir);
    EXPECT_EQ(pod->spec.n_containers, 2);
    EXPECT_STR(c[0].image, "nginx:1.20.1");
    EXPECT_STR(c[0].args[0], "-g");
    EXPECT_EQ(c[0].ports[0].container_port, 80);
    EXPECT_STR(view_map_get(&c[0].resources.limits, "memory"), "1Gi");
    EXPECT_EQ(c[0].resources.requests.n, 0);
    EXPECT_STR(c[0].liveness_probe->http_get->port.s, "http");
    EXPECT_EQ(c[0].liveness_probe->period_seconds, 10);
    EXPECT(!c[0].readiness_probe);
    EXPECT_STR(c[1].name, "d");
    EXPECT_STR(c[1].image, "");
    EXPECT(c[1].security_context->has_run_as_user);
    EXPECT(c[1].security_context->has_privileged && !c[1].security_context->privileged);
    EXPECT(!c[1].security_context->has_run_as_non_root);
    EXPECT(pod->spec.has_termination_grace_period_seconds);
    EXPECT_EQ(pod->spec.termination_grace_period_seconds, 0);
    EXPECT(pod->spec.affinity && pod->spec.affinity->node_affinity);
    EXPECT(!pod->spec.affinity->pod_affinity);
    EXPECT_EQ(pod->spec.security_context->n_supplemental_groups, 2);
    EXPECT_EQ(pod->spec.security_context->supplemental_groups[1], 2);
    EXPECT_STR(pod->status.phase, "Running");
    EXPECT_EQ(pod->status.conditions[0].last_transition_time_s, 7);
    EXPECT_EQ(pod->status.conditions[0].last_probe_time_s, 0);
    EXPECT_EQ(pod->status.n_container_statuses, 0);
    object_unref(o);
}

TEST(empty)
{
    struct object *o = make(kind_pod(), "{'kind':'Pod','apiVersion':'v1'}");
    const struct pod_view *pod = pod_view(o);

    EXPECT_STR(pod->metadata.name, "");
    EXPECT_STR(pod->spec.node_name, "");
    EXPECT(!pod->spec.runtime_class_name && !pod->spec.containers && !pod->spec.n_containers);
    EXPECT_STR(pod->status.pod_ip, "");
    object_unref(o);
}

TEST(others)
{
    struct object *o = make(kind_secret(), "{'kind':'Secret','apiVersion':'v1','data':{'a':'aGkA'},"
                                           "'type':'Opaque'}");

    EXPECT_EQ(view_bytes_get(&secret_view(o)->data, "a")->len, 3);
    EXPECT_MEM(view_bytes_get(&secret_view(o)->data, "a")->p, "hi\0", 3);
    EXPECT(!view_bytes_get(&secret_view(o)->data, "b"));
    object_unref(o);
    o = make(kind_lease(), "{'kind':'Lease','apiVersion':'coordination.k8s.io/v1','spec':"
                           "{'holderIdentity':'n','renewTime':'1970-01-01T00:00:01.500000Z'}}");
    EXPECT_EQ(lease_view(o)->spec.renew_time_us, 1500000);
    EXPECT_STR(lease_view(o)->spec.holder_identity, "n");
    EXPECT(!lease_view(o)->spec.has_lease_duration_seconds);
    object_unref(o);
    o = make(kind_deployment(), "{'kind':'Deployment','apiVersion':'apps/v1','spec':{'replicas':10,"
                                "'selector':{'matchLabels':{'app':'foo'}},'strategy':{'"
                                    "rollingUpdate':"
                                "{'maxSurge':'25%','maxUnavailable':1}}}}");
    EXPECT_EQ(deployment_view(o)->spec.replicas, 10);
    EXPECT_STR(deployment_view(o)->spec.selector->match_labels.v[0].value, "foo");
    EXPECT_STR(deployment_view(o)->spec.strategy.rolling_update->max_surge.s, "25%");
    EXPECT_EQ(deployment_view(o)->spec.strategy.rolling_update->max_unavailable.i, 1);
    object_unref(o);
}

TEST(kinds_without_a_view)
{
    struct object *o = make(kind_role(), "{'kind':'Role','apiVersion':'rbac.authorization.k8s."
                            "io/v1'}");

    EXPECT(!object_view(o));
    object_unref(o);
}

static void *look(void *arg)
{
    return (void *)(uintptr_t)pod_view(arg);
}

TEST(threads_get_the_same_view)
{
    for (int round = 0; round < 50; round++) {
        struct object *o = make(kind_pod(), pod_text);
        pthread_t t[4];
        void *seen[4];

        for (int i = 0; i < 4; i++)
            EXPECT_EQ(pthread_create(&t[i], NULL, look, o), 0);
        for (int i = 0; i < 4; i++)
            pthread_join(t[i], &seen[i]);
        for (int i = 0; i < 4; i++)
            EXPECT(seen[i] == pod_view(o));
        object_unref(o);
    }
}
