#include "core/object/codec.h"

#include "tests/harness/test.h"
#include "tests/unit/core/object/quotes.h"

/* The object with defaults; which must not change when they are set once more. */
static const char *defaults(struct buf *b, const struct kind *k, const char *text)
{
    struct arena *a = arena_new(0);
    struct json *raw, *tree, *again;
    struct buf second = BUF_INIT, canonical = BUF_INIT;
    struct err err = ERR_INIT;

    EXPECT_OK(codec_parse(&raw, a, MEDIA_JSON, slice_of(quotes(a, text)), NULL, &err), &err);
    EXPECT_OK(codec_canonical(&tree, a, k->type, raw, NULL, &err), &err);
    codec_default(tree, a, k);
    buf_clear(b);
    json_write(b, tree);
    EXPECT_OK(codec_canonical(&again, a, k->type, tree, NULL, &err), &err);
    json_write(&canonical, again);
    EXPECT_STR(canonical.p, b->p);                       /* the order of fields was kept */
    codec_default(tree, a, k);
    json_write(&second, tree);
    EXPECT_STR(second.p, b->p);
    buf_deinit(&second);
    buf_deinit(&canonical);
    arena_free(a);
    return b->p;
}

static void gives(const struct kind *k, const char *text, const char *want)
{
    struct arena *a = arena_new(0);
    struct buf b = BUF_INIT;

    EXPECT_STR(defaults(&b, k, text), quotes(a, want));
    buf_deinit(&b);
    arena_free(a);
}

/* Only whether this piece is there. */
static bool has(const struct kind *k, const char *text, const char *piece)
{
    struct arena *a = arena_new(0);
    struct buf b = BUF_INIT;
    bool found = strstr(defaults(&b, k, text), quotes(a, piece));

    buf_deinit(&b);
    arena_free(a);
    return found;
}

TEST(pod)
{
    gives(kind_pod(), "{'spec':{'containers':[{'name':'a','image':'nginx:1.20.1','ports':"
                      "[{'containerPort':80}],'resources':{'limits':{'cpu':'1','memory':'1Gi'},"
                      "'requests':{'cpu':'500m'}}}]}}",
          "{'metadata':{},'spec':{'containers':[{'name':'a','image':'nginx:1.20.1','ports':"
          "[{'containerPort':80,'protocol':'TCP'}],'resources':{'limits':{'cpu':'1','memory':'1Gi"
              "'},"
          "'requests':{'cpu':'500m','memory':'1Gi'}},'terminationMessagePath':'/dev/terminat"
              "ion-log',"
          "'terminationMessagePolicy':'File','imagePullPolicy':'IfNotPresent'}],'restartPolic"
              "y':'Always',"
          "'terminationGracePeriodSeconds':30,'dnsPolicy':'ClusterFirst','securityContext':{},"
          "'schedulerName':'default-scheduler','enableServiceLinks':true},'status':{}}");
}

TEST(pod_keeps_what_is_set)
{
    gives(kind_pod(), "{'spec':{'containers':null,'restartPolicy':'Never','terminationG"
          "racePeriodSeconds':0,"
                      "'dnsPolicy':'Default','securityContext':{'runAsUser':1},'schedulerNam"
                          "e':'mine',"
                      "'enableServiceLinks':false}}",
          "{'metadata':{},'spec':{'containers':null,'restartPolicy':'Never',"
          "'terminationGracePeriodSeconds':0,'dnsPolicy':'Default','securityContext':{'runAsU"
              "ser':1},"
          "'schedulerName':'mine','enableServiceLinks':false},'status':{}}");
}

static bool pulls(const char *image, const char *policy)
{
    char text[512], piece[80];

    snprintf(text, sizeof(text), "{'spec':{'containers':[{'name':'a','image':'%s'}]}}", image);
    snprintf(piece, sizeof(piece), "'imagePullPolicy':'%s'", policy);
    return has(kind_pod(), text, piece);
}

TEST(pull_policy)
{
    EXPECT(pulls("nginx", "Always"));
    EXPECT(pulls("nginx:latest", "Always"));
    EXPECT(pulls("host:5000/nginx", "Always"));
    EXPECT(pulls("nginx:latest@sha256:0000", "Always"));
    EXPECT(pulls("nginx:1", "IfNotPresent"));
    EXPECT(pulls("nginx:latest1", "IfNotPresent"));
    EXPECT(pulls("host:5000/nginx:1", "IfNotPresent"));
    EXPECT(pulls("nginx@sha256:0000", "IfNotPresent"));
    EXPECT(pulls("nginx:1@sha256:0000", "IfNotPresent"));
    EXPECT(pulls("", "IfNotPresent"));
    EXPECT(pulls("Nginx", "IfNotPresent"));
}

TEST(pod_parts)
{
    const char *probe = "{'spec':{'containers':[{'livenessProbe':{'httpGet':{'port':1},"
        "'periodSeconds':7}}]}}";

    EXPECT(has(kind_pod(), probe, "'livenessProbe':{'httpGet':{'path':'/','port':1,'scheme':'HTT"
               "P'},"
                                  "'timeoutSeconds':1,'periodSeconds':7,'successThreshold':1,"
                                  "'failureThreshold':3}"));
    EXPECT(has(kind_pod(), "{'spec':{'volumes':[{'name':'v'}]}}", "[{'name':'v','emptyDir':{}}]"));
    EXPECT(has(kind_pod(), "{'spec':{'volumes':[{'name':'v','secret':{}}]}}",
               "{'defaultMode':420}"));
    EXPECT(has(kind_pod(), "{'spec':{'volumes':[{'name':'v','hostPath':{'path':'/'}}]}}",
               "{'path':'/','type':''}"));
    EXPECT(has(kind_pod(), "{'spec':{'serviceAccount':'x'}}",
               "'serviceAccountName':'x','serviceAccount':'x'"));
    EXPECT(has(kind_pod(), "{'spec':{'serviceAccountName':'y','serviceAccount':'x'}}",
               "'serviceAccountName':'y','serviceAccount':'y'"));
    EXPECT(has(kind_pod(), "{'spec':{'hostNetwork':true,'containers':[{'ports':[{'containerPort"
               "':8}]}]}}",
               "{'hostPort':8,'containerPort':8,"));
    EXPECT(!has(kind_pod(), "{'spec':{'containers':[{'ports':[{'containerPort':8}]}]}}",
                "hostPort"));
    EXPECT(has(kind_pod(), "{'spec':{'containers':[{'resources':{'limits':{'cpu':'1500u'}}}]}}",
               "'limits':{'cpu':'2m'},'requests':{'cpu':'2m'}"));
    EXPECT(has(kind_pod(), "{'spec':{'ephemeralContainers':[{'image':'a'}]}}",
               "'imagePullPolicy':'Always'"));
}

TEST(pod_level_resources)
{
    const char *text = "{'spec':{'containers':[{'resources':{'requests':{'cpu':'500m',"
                       "'memory':'1Gi'}}},{'resources':{'requests':{'cpu':'1'}}}],"
                       "'initContainers':[{'resources':{'requests':{'cpu':'200m',"
                       "'memory':'3Gi'}}}],'resources':{'limits':{'cpu':'4','hugepages-2M"
                           "i':'4Mi'}}}}";

    EXPECT(has(kind_pod(), text, "'requests':{'cpu':'1500m','hugepages-2Mi':'4Mi','memory':'3Gi"
               "'}"));
    EXPECT(has(kind_pod(), "{'spec':{'resources':{'limits':{'cpu':'1'}}}}",
               "'resources':{'limits':{'cpu':'1'},'requests':{'cpu':'1'}}"));
    EXPECT(has(kind_pod(), "{'spec':{'containers':[{'resources':{'limits':"
                           "{'hugepages-2Mi':'2Mi'}}}],'resources':{'requests':{'cpu':'1'}}}}",
               "'resources':{'limits':{'hugepages-2Mi':'2Mi'},'requests':{'cpu':'1',"
               "'hugepages-2Mi':'2Mi'}}"));
    EXPECT(has(kind_pod(), "{'spec':{'resources':{'requests':{'cpu':'1'}}}}",
               "'resources':{'requests':{'cpu':'1'}}"));
    EXPECT(!has(kind_deployment(), "{'spec':{'template':{'spec':{'resources':{'limits':"
                                   "{'cpu':'1'}}}}}}", "requests"));
}

TEST(service)
{
    gives(kind_service(), "{'spec':{'ports':[{'port':80}],'selector':{'app':'foo'}}}",
          "{'metadata':{},'spec':{'ports':[{'protocol':'TCP','port':80,'targetPort':80}],"
          "'selector':{'app':'foo'},'type':'ClusterIP','sessionAffinity':'None',"
          "'internalTrafficPolicy':'Cluster'},'status':{'loadBalancer':{}}}");
    EXPECT(has(kind_service(), "{'spec':{'type':'NodePort'}}", "'externalTrafficPolic"
               "y':'Cluster'"));
    EXPECT(has(kind_service(), "{'spec':{'externalIPs':['1.2.3.4']}}", "'externalTrafficPolic"
               "y':'Cluster'"));
    EXPECT(!has(kind_service(), "{'spec':{'type':'ExternalName'}}", "TrafficPolicy"));
    EXPECT(has(kind_service(), "{'spec':{'type':'LoadBalancer'}}", "'allocateLoadBalancer"
               "NodePorts':true"));
    EXPECT(has(kind_service(), "{'spec':{'sessionAffinity':'ClientIP'}}",
               "'sessionAffinityConfig':{'clientIP':{'timeoutSeconds':10800}}"));
    EXPECT(has(kind_service(), "{'spec':{'sessionAffinity':'ClientIP','sessionAffinityConfig':"
                               "{'clientIP':{'timeoutSeconds':5}}}}", "'timeoutSeconds':5"));
    EXPECT(!has(kind_service(), "{'spec':{'sessionAffinityConfig':{'clientIP':{}}}}", "clientIP"));
    EXPECT(has(kind_service(), "{'spec':{'ports':[{'port':1,'targetPort':''}]}}",
               "'targetPort':1"));
    EXPECT(has(kind_service(), "{'spec':{'type':'LoadBalancer'},'status':{'loadBalancer':{"
               "'ingress':"
                               "[{'ip':'1.2.3.4'}]}}}", "{'ip':'1.2.3.4','ipMode':'VIP'}"));
}

TEST(deployment)
{
    const char *text = "{'spec':{'selector':{},'template':{'spec':{'containers':[]}}}}";

    EXPECT(has(kind_deployment(), text, "'spec':{'replicas':1,'selector':{}"));
    EXPECT(has(kind_deployment(), text, "'strategy':{'type':'RollingUpdate','rollingUpdate':"
                                        "{'maxUnavailable':'25%','maxSurge':'25%'}},"
                                        "'revisionHistoryLimit':10,'progressDeadlineSeconds':"
                                            "600}"));
    EXPECT(!has(kind_deployment(), text, "enableServiceLinks"));
    EXPECT(!has(kind_deployment(), "{'spec':{'strategy':{'type':'Recreate'}}}", "rollingUpdate"));
    EXPECT(has(kind_deployment(), "{'spec':{'replicas':0,'strategy':{'rollingUpdate':{'maxSurge'"
               ":0}}}}",
               "{'maxUnavailable':'25%','maxSurge':0}"));
    EXPECT(has(kind_deployment(), "{'spec':{'replicas':0}}", "'replicas':0"));
}

TEST(others)
{
    gives(kind_namespace(), "{'metadata':{'name':'a','labels':{'b':'','z':''}}}",
          "{'metadata':{'name':'a','labels':{'b':'','kubernetes.io/metadata.name':'a','z':''}},"
          "'spec':{},'status':{'phase':'Active'}}");
    EXPECT(has(kind_namespace(), "{'metadata':{'name':'a'}}", "{'kubernetes.io/metadata."
               "name':'a'}"));
    EXPECT(has(kind_node(), "{'status':{'capacity':{'cpu':'2'}}}",
               "'capacity':{'cpu':'2'},'allocatable':{'cpu':'2'}"));
    EXPECT(has(kind_secret(), "{}", "'type':'Opaque'"));
    EXPECT(has(kind_replica_set(), "{}", "'replicas':1"));
    EXPECT(has(kind_endpoint_slice(), "{'ports':[{'port':1}]}",
               "{'name':'','protocol':'TCP','port':1}"));
    gives(kind_config_map(), "{}", "{'metadata':{}}");
}

TEST(workloads)
{
    EXPECT(has(kind_job(), "{'spec':{'template':{'metadata':{'labels':{'a':'b'}}}}}",
               "{'metadata':{'labels':{'a':'b'}},'spec':{'parallelism':1,'completions':1,"
               "'backoffLimit':6,'manualSelector':false,"));
    EXPECT(has(kind_job(), "{'spec':{'parallelism':2,'backoffLimitPerIndex':1}}",
               "'parallelism':2,'backoffLimit':2147483647,"));
    EXPECT(has(kind_daemon_set(), "{}", "'updateStrategy':{'type':'RollingUpdate','rollingUpdate':"
                                        "{'maxUnavailable':1,'maxSurge':0}}"));
    EXPECT(!has(kind_daemon_set(), "{'spec':{'updateStrategy':{'type':'OnDelete'}}}",
                "rollingUpdate"));
    EXPECT(has(kind_stateful_set(), "{}", "'updateStrategy':{'type':'RollingUpdate',"
                                          "'rollingUpdate':{'partition':0}}"));
    EXPECT(has(kind_stateful_set(), "{}", "{'whenDeleted':'Retain','whenScaled':'Retain'}"));
    EXPECT(has(kind_replication_controller(), "{'spec':{'template':{'metadata':{'labels"
               "':{'a':'b'}}}}}",
               "'selector':{'a':'b'}"));
}

TEST(rules_and_scaling)
{
    EXPECT(has(kind_network_policy(), "{}", "'policyTypes':['Ingress']"));
    EXPECT(has(kind_network_policy(), "{'spec':{'egress':[{}]}}", "'policyTypes':['Ingress',"
               "'Egress']"));
    EXPECT(has(kind_role_binding(), "{'subjects':[{'kind':'User','name':'u'},"
                                    "{'kind':'ServiceAccount','name':'s'}]}",
               "[{'kind':'User','apiGroup':'rbac.authorization.k8s.io','name':'u'},"
               "{'kind':'ServiceAccount','name':'s'}]"));
    EXPECT(has(kind_limit_range(), "{'spec':{'limits':[{'type':'Container','max':{'cpu':'2'},"
                                   "'min':{'memory':'1'}}]}}",
               "'default':{'cpu':'2'},'defaultRequest':{'cpu':'2','memory':'1'}"));
    EXPECT(has(kind_horizontal_pod_autoscaler(), "{'spec':{'behavior':{}}}",
               "'minReplicas':1,'maxReplicas':0,'metrics':[{'type':'Resource','resource':{"
               "'name':'cpu','target':{'type':'Utilization','averageUtilization':80}}}],"
               "'behavior':{'scaleUp':{'stabilizationWindowSeconds':0,'selectPolicy':'Max',"
               "'policies':[{'type':'Pods','value':4,'periodSeconds':15},"
               "{'type':'Percent','value':100,'periodSeconds':15}]},"
               "'scaleDown':{'selectPolicy':'Max',"
               "'policies':[{'type':'Percent','value':100,'periodSeconds':15}]}}"));
}
