/* test_status_judge.c -- which nodes and pods are in trouble, and in what words. */
#include "cmd/status_judge.h"

#include "core/base/str.h"
#include "core/base/yaml.h"
#include "tests/harness/test.h"

static struct json *parse(struct arena *a, const char *text)
{
    struct json *v = NULL;
    struct err err = ERR_INIT;

    EXPECT_OK(yaml_parse(&v, a, text, strlen(text), NULL, &err), &err);
    return v;
}

static const char *nth(const struct json *list, size_t i, const char *key)
{
    const char *s = json_get_str(json_at(list, i), key);

    return s ? s : "";
}

TEST(nodes)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *n = status_judge_nodes(a, parse(a,
        "- metadata: {name: a}\n"
        "  spec: {unschedulable: true}\n"
        "  status: {conditions: [{type: Ready, status: 'True'}]}\n"
        "- metadata: {name: b}\n"
        "  status: {conditions: [{type: Ready, status: Unknown, reason: NodeStatusUnknown,\n"
        "           message: Kubelet stopped posting node status.}]}\n"
        "- metadata: {name: c}\n"));

    EXPECT_EQ(json_len(n), 3);
    EXPECT(json_get_bool(json_at(n, 0), "ready", false));
    EXPECT(json_get_bool(json_at(n, 0), "cordoned", false));
    EXPECT(!json_get_bool(json_at(n, 1), "ready", true));
    EXPECT_STR(nth(n, 1, "reason"), "NodeStatusUnknown");
    EXPECT_STR(nth(n, 2, "reason"), "NeverReported");
}

TEST(pods)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);
    struct json *p = status_judge_pods(a, parse(a,
        "- metadata: {name: fine, namespace: d}\n"
        "  status: {phase: Running, conditions: [{type: Ready, status: 'True'}],\n"
        "           containerStatuses: [{name: c, state: {running: {}}}]}\n"
        "- metadata: {name: made, namespace: d}\n"
        "  status: {phase: Pending, containerStatuses: [{name: c, state: {waiting:\n"
        "           {reason: ContainerCreating}}}]}\n"
        "- metadata: {name: image, namespace: d}\n"
        "  status: {phase: Pending, containerStatuses: [{name: c, state: {waiting:\n"
        "           {reason: ImagePullBackOff, message: no such image}}}]}\n"
        "- metadata: {name: loop, namespace: d}\n"
        "  status: {phase: Running, containerStatuses: [{name: c, state: {waiting:\n"
        "           {reason: CrashLoopBackOff, message: back-off 10s}},\n"
        "           lastState: {terminated: {exitCode: 3, reason: Error, message: oh}}}]}\n"
        "- metadata: {name: nowhere, namespace: d}\n"
        "  status: {phase: Pending, conditions: [{type: PodScheduled, status: 'False',\n"
        "           reason: Unschedulable, message: 0/1 nodes are available}]}\n"
        "- metadata: {name: over, namespace: d}\n"
        "  status: {phase: Succeeded, containerStatuses: [{name: c, state: {terminated:\n"
        "           {exitCode: 0}}}]}\n"
        "- metadata: {name: failed, namespace: d}\n"
        "  status: {phase: Failed, reason: Evicted, message: by a taint}\n"
        "- metadata: {name: slow, namespace: d}\n"
        "  status: {phase: Running, conditions: [{type: Ready, status: 'False'}],\n"
        "           containerStatuses: [{name: c, state: {running: {}}}]}\n"
        "- metadata: {name: going, namespace: d, deletionTimestamp: x}\n"
        "  status: {phase: Running, conditions: [{type: Ready, status: 'False'}]}\n"));
    const struct json *bad = json_get(p, "failing");

    EXPECT_EQ(json_get_int(p, "total", 0), 9);
    EXPECT_EQ(json_get_int(json_get(p, "phases"), "Running", 0), 4);
    EXPECT_EQ(json_get_int(json_get(p, "phases"), "Pending", 0), 3);
    EXPECT_EQ(json_len(bad), 5);
    EXPECT_STR(nth(bad, 0, "name"), "image");
    EXPECT_STR(nth(bad, 0, "reason"), "ImagePullBackOff");
    EXPECT_STR(nth(bad, 0, "message"), "no such image");
    EXPECT_STR(nth(bad, 1, "name"), "loop");
    EXPECT_STR(nth(bad, 1, "last"), "exit code 3, Error: oh");
    EXPECT_STR(nth(bad, 2, "reason"), "Unschedulable");
    EXPECT_STR(nth(bad, 3, "reason"), "Evicted");
    EXPECT_STR(nth(bad, 4, "name"), "slow");
    EXPECT_STR(nth(bad, 4, "reason"), "NotReady");
}

TEST(nothing)
{
    _cleanup_(arena_freep) struct arena *a = arena_new(0);

    EXPECT_EQ(json_len(status_judge_nodes(a, NULL)), 0);
    EXPECT_EQ(json_get_int(status_judge_pods(a, NULL), "total", -1), 0);
}
