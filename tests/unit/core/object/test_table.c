#include "core/object/table.h"
#include "tests/harness/test.h"

#define NOW 1000000000                   /* 2001-09-09T01:46:40Z */
#define META "\"metadata\":{\"name\":\"a\",\"namespace\":\"n\",\"uid\":\"u\",\"resourceVersion\":\"1\"," \
    "\"creationTimestamp\":\"2001-09-09T01:41:35Z\"}"

static void expect_cells(const char *group, const char *resource, const char *rest,
                         const char *want)
{
    _cleanup_(object_unrefp) struct object *o = NULL;
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    _cleanup_buf_ struct buf text = BUF_INIT, b = BUF_INIT;
    struct json *got = NULL, *expected = NULL;
    const struct kind *kind = kind_by_resource(group, "v1", resource);
    struct err err = ERR_INIT;

    buf_fmt(&text, "{\"kind\":\"%s\",\"apiVersion\":\"%s\",%s%s%s}", kind->kind,
            kind_api_version(kind), META,
            *rest ? "," : "", rest);
    EXPECT_OK(object_new(&o, kind, text.p, text.len, 0, &err), &err);
    table_cells(&b, o, NOW);
    EXPECT_OK(json_parse(&got, a, b.p, b.len, NULL, &err), &err);
    EXPECT_OK(json_parse(&expected, a, want, strlen(want), NULL, &err), &err);
    if (!json_equal(got, expected))
        EXPECT_STR(b.p, want);
}

static void expect_pod(const char *rest, const char *want)
{
    _cleanup_buf_ struct buf text = BUF_INIT;

    buf_fmt(&text, "[\"a\",%s,\"5m5s\",\"<none>\",\"<none>\",\"<none>\",\"<none>\"]", want);
    expect_cells("", "pods", rest, text.p);
}

TEST(columns)
{
    _cleanup_buf_ struct buf b = BUF_INIT, other = BUF_INIT;

    table_columns(&b, kind_by_resource("", "v1", "serviceaccounts"));
    EXPECT_STR(b.p,
               "[{\"name\":\"Name\",\"type\":\"string\",\"format\":\"name\",\"description\":\"\","
               "\"priority\":0},{\"name\":\"Age\",\"type\":\"string\",\"format\":\"\",\"description\":\"\","
               "\"priority\":0}]");
    table_columns(&other, kind_by_resource("", "v1", "limitranges"));
    EXPECT(strstr(other.p, "Created At") != NULL);
}

#define TWO "\"spec\":{\"containers\":[{\"name\":\"c\"},{\"name\":\"d\"}]},"
#define INIT "\"spec\":{\"initContainers\":[{\"name\":\"i\"},{\"name\":\"s\",\"restartPolicy\":\"Always\"}]," \
    "\"containers\":[{\"name\":\"c\"}]},"

TEST(pod_status)
{
    expect_pod(TWO "\"status\":{\"phase\":\"Pending\"}", "\"0/2\",\"Pending\",\"0\"");
    expect_pod(TWO "\"status\":{\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"c\",\"ready\":true,"
               "\"restartCount\":0,\"state\":{\"running\":{}}},{\"name\":\"d\",\"restartCount\":3,\"lastState\":"
               "{\"terminated\":{\"exitCode\":1,\"finishedAt\":\"2001-09-09T01:45:40Z\"}},\"state\":{\"waiting\":"
               "{\"reason\":\"CrashLoopBackOff\"}}}]}",
               "\"1/2\",\"CrashLoopBackOff\",\"3 (60s ago)\"");
    expect_pod(TWO "\"status\":{\"phase\":\"Succeeded\",\"containerStatuses\":[{\"name\":\"c\",\"state\":"
               "{\"terminated\":{\"exitCode\":0,\"reason\":\"Completed\"}}}]}",
               "\"0/2\",\"Completed\",\"0\"");
    expect_pod(TWO "\"status\":{\"phase\":\"Failed\",\"reason\":\"Evicted\"}",
               "\"0/2\",\"Evicted\",\"0\"");
}

TEST(pod_init)
{
    expect_pod(INIT "\"status\":{\"phase\":\"Pending\",\"initContainerStatuses\":[{\"name\":\"i\",\"state\":"
               "{\"running\":{}}}]}", "\"0/2\",\"Init:0/2\",\"0\"");
    expect_pod(INIT "\"status\":{\"phase\":\"Pending\",\"initContainerStatuses\":[{\"name\":\"i\",\"state\":"
               "{\"terminated\":{\"exitCode\":2}}}]}", "\"0/2\",\"Init:ExitCode:2\",\"0\"");
    expect_pod(INIT "\"status\":{\"phase\":\"Running\",\"initContainerStatuses\":[{\"name\":\"i\",\"state\":"
               "{\"terminated\":{\"exitCode\":0}}},{\"name\":\"s\",\"started\":true,\"ready\":true,\"restartCount\":1,"
               "\"state\":{\"running\":{}}}],\"containerStatuses\":[{\"name\":\"c\",\"ready\":true,\"state\":"
               "{\"running\":{}}}]}", "\"2/2\",\"Running\",\"1\"");
}

TEST(services)
{
    expect_cells("", "services",
                 "\"spec\":{\"type\":\"LoadBalancer\",\"clusterIPs\":[\"10.0.0.1\"],\"ports\":"
                 "[{\"port\":80,\"nodePort\":30001,\"protocol\":\"TCP\"}],\"selector\":{\"a\":\"b\"}}",
                 "[\"a\",\"LoadBalancer\",\"10.0.0.1\",\"<pending>\",\"80:30001/TCP\",\"5m5s\",\"a=b\"]");
    expect_cells("", "services", "\"spec\":{\"type\":\"ExternalName\",\"externalName\":\"x.y\"}",
                 "[\"a\",\"ExternalName\",\"<none>\",\"x.y\",\"<none>\",\"5m5s\",\"<none>\"]");
}

TEST(others)
{
    expect_cells("", "configmaps", "\"data\":{\"a\":\"1\"},\"binaryData\":{\"b\":\"\"}",
                 "[\"a\",2,\"5m5s\"]");
    expect_cells("apps", "deployments",
                 "\"spec\":{\"replicas\":3,\"selector\":{\"matchLabels\":{\"a\":\"b\"}},"
                 "\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}},"
                 "\"status\":{\"readyReplicas\":1}",
                 "[\"a\",\"1/3\",0,0,\"5m5s\",\"c\",\"i\",\"a=b\"]");
    expect_cells("discovery.k8s.io", "endpointslices",
                 "\"addressType\":\"IPv4\",\"endpoints\":[{\"addresses\":"
                 "[\"1\",\"2\",\"3\",\"4\",\"5\"]}]",
                 "[\"a\",\"IPv4\",\"<unset>\",\"1,2,3 + 2 more...\",\"5m5s\"]");
    expect_cells("", "events",
                 "\"involvedObject\":{\"kind\":\"Pod\",\"name\":\"p\"},\"message\":\" hi\\n\"",
                 "[\"<unknown>\",\"\",\"\",\"pod/p\",\"\",\"\",\"hi\",\"<unknown>\",1,\"a\"]");
    expect_cells("", "limitranges", "", "[\"a\",\"2001-09-09T01:41:35Z\"]");
}

TEST(nodes)
{
    expect_cells("", "nodes",
                 "\"spec\":{\"unschedulable\":true},\"status\":{\"conditions\":[{\"type\":\"Ready\","
                 "\"status\":\"False\"}],\"nodeInfo\":{\"kernelVersion\":\"6.1\",\"architecture\":\"arm64\"}}",
                 "[\"a\",\"NotReady,SchedulingDisabled\",\"<none>\",\"5m5s\",\"\",\"<none>\",\"<none>\","
                 "\"<unknown>\",\"6.1 (arm64)\",\"<unknown>\"]");
}
