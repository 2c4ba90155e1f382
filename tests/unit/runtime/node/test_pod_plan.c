/* test_pod_plan.c -- security contexts, resources and files of a pod as a plan. */
#include <signal.h>

#include "core/object/codec.h"
#include "runtime/node/pod_plan.h"
#include "tests/harness/test.h"

static const char *const none[] = { NULL };

struct bench {
    struct arena *a;
    struct object *pod;
    struct image image;
    struct oci_plan plan;
    struct cgroup_limits limits;
    struct err err;
};

/* The image's user; the pod's spec and its container, in JSON. */
static int make_as(struct bench *b, const char *user, const char *spec, const char *container)
{
    static char *lower[] = { "/low", NULL };
    struct image_mount mount = { .lower = lower, .n = 1 };
    struct plan_texts args = { 0 }, env = { 0 };
    struct json *raw, *tree;
    const char *text;
    struct pod_plan_in in;

    *b = (struct bench){ .a = arena_new(0), .err = ERR_INIT };
    b->image = (struct image){ .id = "i", .names = none, .digests = none, .entrypoint = none,
                               .cmd = none, .env = none, .workdir = "/w", .user = user,
                               .stop_signal = "", .layers = none };
    text = arena_printf(b->a, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\","
                        "\"metadata\":{\"name\":\"p\",\"namespace\":\"n\",\"uid\":\"u\"},"
                        "\"spec\":{%s%s\"containers\":[{\"name\":\"c\",\"image\":\"i\"%s%s}]},"
                        "\"status\":{\"qosClass\":\"Burstable\"}}", spec,
                        *spec ? "," : "", *container ? "," : "", container);
    EXPECT_OK(json_parse(&raw, b->a, text, strlen(text), NULL, &b->err), &b->err);
    EXPECT_OK(codec_canonical(&tree, b->a, kind_pod()->type, raw, NULL, &b->err), &b->err);
    EXPECT_OK(object_from_tree(&b->pod, kind_pod(), tree, 1, &b->err), &b->err);
    plan_add_text(&args, b->a, "/bin/app");
    plan_add_text(&env, b->a, "PATH=/bin");
    in = (struct pod_plan_in){ .pod = pod_view(b->pod),
                               .container = &pod_view(b->pod)->spec.containers[0],
                               .image = &b->image, .mount = &mount, .id = "id1",
                               .data = "/data/pods/u", .args = &args, .env = &env,
                               .memory_bytes = 1ll << 30 };
    return pod_plan_make(&b->plan, &b->limits, b->a, &in, &b->err);
}

static int make(struct bench *b, const char *spec, const char *container)
{
    return make_as(b, "", spec, container);
}

static void done(struct bench *b)
{
    object_unref(b->pod);
    arena_free(b->a);
}

static const struct plan_mount *mount_at(const struct bench *b, const char *dest)
{
    const struct plan_mount *m = NULL;

    for (size_t i = 0; i < b->plan.mounts.len; i++)
        if (str_eq(b->plan.mounts.v[i].dest, dest))
            m = &b->plan.mounts.v[i];
    return m;
}

TEST(a_plain_container)
{
    struct bench b;

    EXPECT_OK(make(&b, "", ""), &b.err);
    EXPECT_STR(b.plan.cwd, "/w");
    EXPECT_EQ(b.plan.uid, PLAN_NO_ID);
    EXPECT(!b.plan.no_new_privs);
    EXPECT_EQ(b.plan.seccomp, PLAN_SECCOMP_DEFAULT);
    EXPECT_EQ(b.plan.caps[PLAN_CAP_BOUNDING], plan_caps_default());
    EXPECT(b.plan.masked.len > 0);
    EXPECT_STR(b.plan.rootfs.lower.v[0], "/low");
    EXPECT_STR(b.plan.rootfs.upper, "/data/pods/u/containers/id1/upper");
    EXPECT_STR(mount_at(&b, "/etc/hosts")->source, "/data/pods/u/etc-hosts");
    EXPECT_STR(mount_at(&b, "/etc/resolv.conf")->source, "/data/pods/u/resolv.conf");
    EXPECT_STR(mount_at(&b, "/dev/termination-log")->source,
               "/data/pods/u/containers/id1/message");
    EXPECT_EQ(b.limits.memory_max_bytes, 0);
    EXPECT_EQ(b.limits.cpu_quota_us, 0);
    EXPECT_EQ(b.limits.cpu_shares, 2);
    done(&b);
}

TEST(the_container_wins_over_the_pod)
{
    struct bench b;

    EXPECT_OK(make(&b, "\"securityContext\":{\"runAsUser\":1,\"runAsGroup\":2,\"fsGroup\":3,"
                   "\"supplementalGroups\":[4,5],\"seccompProfile\":{\"type\":\"Unconfined\"}}",
                   "\"securityContext\":{\"runAsUser\":7,\"readOnlyRootFilesystem\":true,"
                   "\"allowPrivilegeEscalation\":false,"
                   "\"capabilities\":{\"drop\":[\"ALL\"],\"add\":[\"NET_ADMIN\"]}}"), &b.err);
    EXPECT_EQ(b.plan.uid, 7);
    EXPECT_EQ(b.plan.gid, 2);
    EXPECT_EQ(b.plan.groups.len, 3);
    EXPECT_EQ(b.plan.groups.v[2], 3);
    EXPECT_EQ(b.plan.seccomp, PLAN_SECCOMP_UNCONFINED);
    EXPECT(b.plan.rootfs.read_only);
    EXPECT(b.plan.no_new_privs);
    EXPECT_EQ(b.plan.caps[PLAN_CAP_BOUNDING], 1ull << plan_cap("NET_ADMIN"));
    done(&b);
}

TEST(privileged)
{
    struct bench b;

    EXPECT_OK(make(&b, "\"hostPID\":true", "\"securityContext\":{\"privileged\":true}"), &b.err);
    EXPECT(b.plan.host_dev);
    EXPECT(b.plan.host_pid);
    EXPECT_EQ(b.plan.seccomp, PLAN_SECCOMP_UNCONFINED);
    EXPECT_EQ(b.plan.masked.len, 0);
    EXPECT_EQ(b.plan.caps[PLAN_CAP_BOUNDING], plan_caps_all());
    done(&b);
}

struct refusal { const char *container, *user, *message; };

static const struct refusal refusals[] = {
    { "\"securityContext\":{\"runAsNonRoot\":true}", "",
      "container has runAsNonRoot and image will run as root (pod: \"p_n(u)\", container: c)" },
    { "\"securityContext\":{\"runAsNonRoot\":true}", "0:5",
      "container has runAsNonRoot and image will run as root (pod: \"p_n(u)\", container: c)" },
    { "\"securityContext\":{\"runAsNonRoot\":true,\"runAsUser\":0}", "",
      "container's runAsUser breaks non-root policy (pod: \"p_n(u)\", container: c)" },
    { "\"securityContext\":{\"capabilities\":{\"add\":[\"FLY\"]}}", "",
      "unknown capability \"FLY\"" },
    { "\"securityContext\":{\"seccompProfile\":{\"type\":\"Localhost\","
      "\"localhostProfile\":\"x\"}}", "", "seccomp: profiles of type Localhost are not supported" },
};

TEST(what_cannot_be_honoured_is_an_error)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct bench b;

        EXPECT_EQ(make_as(&b, refusals[i].user, "", refusals[i].container), -1);
        EXPECT_STR(b.err.msg, refusals[i].message);
        done(&b);
    }
}

TEST(limits)
{
    struct bench b;
    struct cgroup_limits pod;

    EXPECT_OK(make(&b, "\"overhead\":{\"cpu\":\"100m\",\"memory\":\"1Mi\"},\"initContainers\":["
                   "{\"name\":\"s\",\"image\":\"i\",\"restartPolicy\":\"Always\",\"resources\":"
                   "{\"limits\":{\"cpu\":\"1\",\"memory\":\"10Mi\"}}},"
                   "{\"name\":\"big\",\"image\":\"i\",\"resources\":"
                   "{\"limits\":{\"cpu\":\"3\",\"memory\":\"5Mi\"}}}]",
                   "\"resources\":{\"requests\":{\"cpu\":\"250m\"},\"limits\":{\"cpu\":\"500m\","
                   "\"memory\":\"64Mi\"}}"), &b.err);
    EXPECT_EQ(b.limits.cpu_shares, 256);
    EXPECT_EQ(b.limits.cpu_quota_us, 50000);
    EXPECT_EQ(b.limits.memory_max_bytes, 64 << 20);
    pod_plan_pod_limits(&pod, &pod_view(b.pod)->spec);
    EXPECT_EQ(pod.cpu_shares, cgroup_shares(4100));          /* s and big together are more */
    EXPECT_EQ(pod.cpu_quota_us, cgroup_quota_us(4100));
    EXPECT_EQ(pod.memory_max_bytes, 75 << 20);               /* s and c, with the overhead */
    done(&b);
}

TEST(a_pod_without_all_limits_has_none)
{
    struct bench b;
    struct cgroup_limits pod;

    EXPECT_OK(make(&b, "\"initContainers\":[{\"name\":\"i\",\"image\":\"i\"}]",
                   "\"resources\":{\"limits\":{\"cpu\":\"1\",\"memory\":\"64Mi\"}}"), &b.err);
    pod_plan_pod_limits(&pod, &pod_view(b.pod)->spec);
    EXPECT_EQ(pod.cpu_quota_us, 0);
    EXPECT_EQ(pod.memory_max_bytes, 0);
    EXPECT_EQ(pod.cpu_shares, 1024);
    done(&b);
}

TEST(signals)
{
    EXPECT_EQ(pod_plan_signal("SIGQUIT"), SIGQUIT);
    EXPECT_EQ(pod_plan_signal("QUIT"), SIGQUIT);
    EXPECT_EQ(pod_plan_signal("3"), SIGQUIT);
    EXPECT_EQ(pod_plan_signal("SIGRTMIN+3"), SIGRTMIN + 3);
    EXPECT_EQ(pod_plan_signal("RTMAX-1"), SIGRTMAX - 1);
    EXPECT_EQ(pod_plan_signal(""), SIGTERM);
    EXPECT_EQ(pod_plan_signal("nonsense"), SIGTERM);
    EXPECT_EQ(pod_plan_signal("99"), SIGTERM);
}
